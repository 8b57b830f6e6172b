/* check_matrix.c - syrk and gemm against sums of our own in fp64. */
#include "compute_check.h"

#include "cases.h"

#include <float.h>
#include <math.h>

static void syrk_check(const compute_config *config, int32_t n, int32_t d, double *worst) {
  pmn_err err = PMN_ERR_INIT;
  size_t rows = (size_t)n, columns = (size_t)d;
  double *x = compute_alloc(rows * columns, sizeof(double));
  for (size_t i = 0; i < rows * columns; i++) x[i] = 2.0 * (double)compute_value(11, i) * (1.0 + 0x1p-30 * (double)i);
  double *c = compute_alloc(columns * columns, sizeof(double)),
         *again = compute_alloc(columns * columns, sizeof(double));
  for (size_t i = 0; i < columns * columns; i++) c[i] = again[i] = 0.5 + (double)i;
  check_ok(pmn_device_syrk(config->device, x, n, d, c, &err));
  check_ok(pmn_device_syrk(config->device, x, n, d, again, &err));
  assert_memory_equal(c, again, columns * columns * sizeof(double));
  /* What every device promises; those whose processor is a CPU have fp64 and must do better. */
  bool narrow = config->device->info.type != PMN_DEVICE_CPU;
  double length = narrow ? fmin((double)n, 256) : (double)n, epsilon = narrow ? (double)FLT_EPSILON : DBL_EPSILON;
  for (size_t i = 0; i < columns; i++) {
    for (size_t j = 0; j < columns; j++) {
      double start = 0.5 + (double)(i * columns + j), sum = 0.0, magnitude = 0.0;
      for (size_t r = 0; j >= i && r < rows; r++) {
        double product = x[r * columns + i] * x[r * columns + j];
        sum += product;
        magnitude += fabs(product);
      }
      /* Twice: our own sum rounds too. */
      double bound = 2 * ((length + 4) * epsilon + (double)n * DBL_EPSILON) * (magnitude + start);
      double difference = fabs(c[i * columns + j] - (start + sum));
      if (j < i)
        assert_true(difference == 0.0); /* below the diagonal nothing is written */
      else if (!(difference <= bound)) {
        fail_msg("%s: syrk of %d x %d at %zu, %zu: difference %.3g, bound %.3g", config->label, n, d, i, j, difference,
            bound);
      }
      *worst = fmax(*worst, difference / bound);
    }
  }
  free(x);
  free(c);
  free(again);
}

void check_matrix_syrk(void **state) {
  (void)state;
  static const int32_t sizes[][2] = {{1, 1}, {3, 5}, {17, 16}, {100, 33}, {255, 7}, {256, 64}, {257, 65}, {300, 129},
      {4096, 3}, {4097, 18}, {8200, 31}, {30, 700}}; /* the last in several squares on the cpu */
  ;
  double worst = 0.0;
  int count = 0;
  for (int i = 0; i < compute_config_count; i++) {
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++, count++) {
      syrk_check(&compute_configs[i], sizes[s][0], sizes[s][1], &worst);
    }
  }
  print_message("%d products; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0);
}

static void gemm_check(const compute_config *config, int32_t n, int32_t k, int32_t m, double *worst) {
  pmn_err err = PMN_ERR_INIT;
  size_t rows = (size_t)n, inner = (size_t)k, columns = (size_t)m;
  double *a = compute_alloc(rows * inner, sizeof *a), *b = compute_alloc(inner * columns, sizeof *b);
  double *y = compute_alloc(rows * columns + 1, sizeof *y);
  for (size_t i = 0; i < rows * inner; i++) a[i] = (double)compute_value(12, i) * (1.0 + 0x1p-30 * (double)i);
  for (size_t i = 0; i < inner * columns; i++) b[i] = (double)compute_value(13, i) * (1.0 + 0x1p-30 * (double)i);
  /* As in syrk_check. */
  bool narrow = config->device->info.type != PMN_DEVICE_CPU;
  double length = narrow ? fmin((double)k, 256) : (double)k, epsilon = narrow ? (double)FLT_EPSILON : DBL_EPSILON;
  for (size_t i = 0; i <= rows * columns; i++) y[i] = NAN;
  check_ok(pmn_device_gemm(config->device, a, b, n, k, m, y, &err));
  assert_true(isnan(y[rows * columns]));
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < columns; j++) {
      double sum = 0.0, magnitude = 0.0;
      for (size_t l = 0; l < inner; l++) {
        double product = a[i * inner + l] * b[j * inner + l];
        sum += product;
        magnitude += fabs(product);
      }
      double bound = 2 * ((length + 4) * epsilon + (double)k * DBL_EPSILON) * magnitude;
      double difference = fabs(y[i * columns + j] - sum);
      if (!(difference <= bound)) {
        fail_msg("%s: gemm of %d x %d x %d at %zu, %zu: difference %.3g, bound %.3g", config->label, n, k, m, i, j,
            difference, bound);
      }
      if (bound > 0.0) *worst = fmax(*worst, difference / bound);
    }
  }
  free(a);
  free(b);
  free(y);
}

void check_matrix_gemm(void **state) {
  (void)state;
  static const int32_t sizes[][3] = {{1, 1, 1}, {3, 5, 7}, {16, 16, 16}, {17, 33, 9}, {64, 1280, 10}, {65, 127, 100},
      {300, 513, 3}}; /* the last in several slabs on the cpu, and panels where there is no fp64 */
  double worst = 0.0;
  int count = 0;
  for (int i = 0; i < compute_config_count; i++) {
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++, count++) {
      gemm_check(&compute_configs[i], sizes[s][0], sizes[s][1], sizes[s][2], &worst);
    }
  }
  pmn_err err = PMN_ERR_INIT;
  double one = 1.0;
  check_fails(pmn_device_gemm(compute_reference, &one, &one, 1, 0, 1, &one, &err), PMN_STATUS_ARGUMENT, "gemm");
  print_message("%d products; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0);
}
