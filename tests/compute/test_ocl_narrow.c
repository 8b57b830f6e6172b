/* test_ocl_narrow.c - the matrix products on a device that says it has no fp64: what they promise then, on whatever
 * device there is. */
#include "check.h"

#include "pmn_backend.h"
#include "pmn_ocl.h"

#include <float.h>
#include <math.h>

enum { N = 20, K = 25088, M = 3 };

/* All the same, so that each rounding of a sum goes the same way. */
static void long_products_keep_their_digits(void **state) {
  pmn_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  double *a = malloc(sizeof *a * N * K), *b = malloc(sizeof *b * M * K), y[N * M];
  assert_true(a != NULL && b != NULL);
  for (int i = 0; i < N * K; i++) a[i] = 0.1 * (1 + i / K);
  for (int i = 0; i < M * K; i++) b[i] = 1.0 / 3.0;
  check_ok(pmn_device_gemm(device, a, b, N, K, M, y, &err));
  for (int i = 0; i < N * M; i++) {
    double expected = 0.1 * (1 + i / M) / 3.0 * K;
    if (!(fabs(y[i] / expected - 1.0) <= (256 + 4) * (double)FLT_EPSILON / 4))
      fail_msg("value %d is %.9g, not %.9g", i, y[i], expected);
  }
  free(a);
  free(b);
}

static void many_rows_keep_their_digits(void **state) {
  pmn_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  enum { ROWS = 5000, COLUMNS = 5 };
  double *x = malloc(sizeof *x * ROWS * COLUMNS), c[COLUMNS * COLUMNS] = {0};
  assert_non_null(x);
  for (int i = 0; i < ROWS * COLUMNS; i++) x[i] = 0.1 * (1 + i % COLUMNS);
  check_ok(pmn_device_syrk(device, x, ROWS, COLUMNS, c, &err));
  for (int i = 0; i < COLUMNS; i++) {
    for (int j = i; j < COLUMNS; j++) {
      double expected = 0.01 * (1 + i) * (1 + j) * ROWS;
      assert_true(fabs(c[i * COLUMNS + j] / expected - 1.0) <= (256 + 4) * (double)FLT_EPSILON / 4);
    }
  }
  free(x);
}

static int open_narrow(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err) != PMN_STATUS_OK) return 0;
  ((pmn_ocl_device *)device)->fp64 = false;
  *state = device;
  return 0;
}

static int close_narrow(void **state) {
  pmn_device_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(long_products_keep_their_digits),
      cmocka_unit_test(many_rows_keep_their_digits),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  return cmocka_run_group_tests(tests, open_narrow, close_narrow);
}
