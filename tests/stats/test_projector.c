/* test_projector.c - projected rows: their bits are their own, and long sums keep their digits. */
#include "stats_check.h"

/* Columns that are all the same, and far away: in fp32 each sum would round the same way, 25,088 times. */
static void long_sums_keep_their_digits(void **state) {
  enum { N = 5, D = 25088 };
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = stats_device(*state);
  static const double rows[N] = {1e6, 1e6 + 0.3, 1e6 - 1.7, 1e6 + 2.9, 1e6 - 0.45};
  double *x = malloc(sizeof *x * N * D), *components = malloc(sizeof *components * D), *ones = malloc(sizeof *ones * D);
  double *shift = calloc(D, sizeof *shift);
  assert_true(x != NULL && components != NULL && ones != NULL && shift != NULL);
  for (int i = 0; i < N * D; i++) x[i] = rows[i / D];
  for (int j = 0; j < D; j++) {
    components[j] = 1.0 / sqrt(D);
    ones[j] = 1.0;
  }
  for (int centred = 0; centred < 2; centred++) {
    pmn_fit fit = {.d = D, .k = 1, .shift = shift, .scale = ones, .components = components};
    pmn_projector *projector = NULL;
    float y[N];
    for (int j = 0; j < D; j++) shift[j] = centred ? 1e6 : 0.0;
    check_ok(pmn_projector_create(device, &fit, &projector, &err));
    check_ok(pmn_projector_run(projector, x, N, y, &err));
    for (int i = 0; i < N; i++) {
      double expected = (rows[i] - shift[0]) * sqrt(D), largest = centred ? 2.9 * sqrt(D) : 1e6 * sqrt(D);
      if (!(fabs((double)y[i] - expected) <= 1e-5 * largest))
        fail_msg("row %d is %.9g, not %.9g", i, (double)y[i], expected);
    }
    pmn_projector_destroy(projector);
  }
  free(x);
  free(components);
  free(ones);
  free(shift);
  pmn_device_close(device);
}

/* Blocks of rows are cut by their size. */
static void blocks_are_some_megabytes(void **state) {
  (void)state;
  static const int32_t widths[] = {1, 1280, 2048, 2049, 25088, 500000, 1 << 20, 1 << 24, INT32_MAX};
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    int32_t rows = pmn_block_rows(widths[i]);
    assert_true(rows == 1 || (double)rows * widths[i] * 8 <= 8388608.0);
    assert_true(rows >= 1 && rows <= 512 && (rows & (rows - 1)) == 0);
    assert_true(rows == 512 || (double)rows * widths[i] * 16 > 8388608.0);
  }
}

/* A row's bits are its own: cut the stream at another end, or make the projector for another maximum, nothing moves.
 * The fake shows why: the device is always asked for the same number of rows. */
static void projection_does_not_depend_on_the_number_of_rows(void **state) {
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  pmn_device *device = *state != NULL ? stats_device(*state) : &fake.base;
  const stats_case c = {"project", 34, 1300, 33, 5, 0.1, 10.0, true, 7, 0.0, PLAIN, 7};
  const int32_t lengths[] = {1, 2, 511, 512, 513, 1024, 1299};
  const pmn_fit_options options = {.with_mean = true, .with_std = true, .components = 7};
  float *x = stats_rows(&c);
  float *whole = malloc((size_t)c.n * 7 * sizeof *whole), *part = malloc((size_t)c.n * 7 * sizeof *part);
  assert_true(whole != NULL && part != NULL);
  pmn_fit *fit = NULL;
  pmn_projector *projector = NULL;
  pmn_moments *moments = gather(device, x, c.n, c.d, true, c.n);
  check_ok(pmn_fit_create(moments, NULL, &options, &fit, &err));
  check_ok(pmn_projector_create(device, fit, &projector, &err));
  check_ok(stats_project(projector, x, c.n, c.d, whole, &err));
  pmn_projector_destroy(projector);
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    int32_t n = lengths[i];
    for (int32_t j = 0; j < c.n * 7; j++) part[j] = NAN;
    check_ok(pmn_projector_create(device, fit, &projector, &err));
    check_ok(stats_project(projector, x, n, c.d, part, &err));
    assert_memory_equal(whole, part, (size_t)n * 7 * sizeof *part);
    assert_true(isnan(part[n * 7]));
    pmn_projector_destroy(projector);
  }
  if (*state == NULL) assert_int_equal(fake.gemm_rows_min, fake.gemm_rows_max);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(moments);
  free(x);
  free(whole);
  free(part);
  if (*state != NULL) pmn_device_close(device);
}

int main(void) {
  static char ref[] = "ref", cpu[] = "cpu", opencl[] = "opencl";
  const struct CMUnitTest tests[] = {
      {"long_sums_keep_their_digits_ref", long_sums_keep_their_digits, NULL, NULL, ref},
      {"long_sums_keep_their_digits_cpu", long_sums_keep_their_digits, NULL, NULL, cpu},
      {"long_sums_keep_their_digits_opencl", long_sums_keep_their_digits, NULL, NULL, opencl},
      cmocka_unit_test(blocks_are_some_megabytes),
      {"projection_does_not_depend_on_the_number_of_rows_fake", projection_does_not_depend_on_the_number_of_rows, NULL,
          NULL, NULL},
      {"projection_does_not_depend_on_the_number_of_rows_ref", projection_does_not_depend_on_the_number_of_rows, NULL,
          NULL, ref},
      {"projection_does_not_depend_on_the_number_of_rows_cpu", projection_does_not_depend_on_the_number_of_rows, NULL,
          NULL, cpu},
      {"projection_does_not_depend_on_the_number_of_rows_opencl", projection_does_not_depend_on_the_number_of_rows,
          NULL, NULL, opencl},
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
