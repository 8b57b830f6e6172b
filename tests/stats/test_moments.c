/* test_moments.c - moments where scikit-learn has no opinion: bits, merging, digits far from zero, errors. */
#include "stats_check.h"

static void bits_do_not_depend_on_batches(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = stats_device(*state);
  const stats_case c = {"batches", 30, 2 * PMN_MOMENTS_BLOCK + 77, 7, 3, 0.1, 1e3, true, 4, 0.0, PLAIN, 4};
  const int64_t batches[] = {1, 63, 1000, PMN_MOMENTS_BLOCK, PMN_MOMENTS_BLOCK + 1};
  const pmn_fit_options options = {.with_mean = true, .with_std = true, .components = 4};
  float *x = stats_rows(&c);
  pmn_fit *whole = NULL;
  pmn_moments *moments = gather(device, x, c.n, c.d, true, c.n);
  check_ok(pmn_fit_create(moments, NULL, &options, &whole, &err));
  pmn_moments_destroy(moments);
  for (size_t i = 0; i < sizeof batches / sizeof batches[0]; i++) {
    pmn_fit *fit = NULL;
    moments = gather(device, x, c.n, c.d, true, batches[i]);
    check_ok(pmn_fit_create(moments, NULL, &options, &fit, &err));
    check_same_fit(whole, fit);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
  }
  pmn_fit_destroy(whole);
  free(x);
  pmn_device_close(device);
}

static void nonfinite_values_are_named(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const int32_t d = 5;
  float *x = calloc(5000 * 5, sizeof *x);
  assert_non_null(x);
  const struct {
    float value;
    int64_t row, column;
    const char *text;
  } cases[] = {{NAN, 0, 0, "row 100, column 0 is NaN"}, {INFINITY, 4200, 3, "row 4300, column 3 is infinite"},
      {-INFINITY, 4999, 4, "row 5099, column 4 is infinite"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pmn_moments *moments = NULL;
    check_ok(pmn_moments_create(&fake.base, d, true, &moments, &err));
    check_ok(pmn_moments_add(moments, x, 100, &err));
    x[cases[i].row * d + cases[i].column] = cases[i].value;
    check_fails(pmn_moments_add(moments, x, 5000, &err), PMN_STATUS_ARGUMENT, cases[i].text);
    x[cases[i].row * d + cases[i].column] = 0.0f;
    pmn_moments_destroy(moments);
  }
  free(x);
}

/* Finite values whose squares are not, or not even their distances. */
static void huge_values_are_an_error(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const double sizes[] = {1e200, 1.5e308};
  for (size_t i = 0; i < 2; i++) {
    const double huge = sizes[i], x[] = {1, huge, 2, huge, 3, huge, 4, -huge};
    pmn_moments *moments = NULL;
    check_ok(pmn_moments_create(&fake.base, 2, true, &moments, &err));
    check_ok(pmn_moments_add_wide(moments, x, 4, &err));
    check_fails(
        pmn_moments_finish(moments, &err), PMN_STATUS_ARGUMENT, "column 1, rows 0 to 3: the values are too large");
    pmn_moments_destroy(moments);
  }
}

/* A mean a million deviations away, and parts of unlike size: what one run gives, to rounding. */
static void merged_moments_are_those_of_one_run(void **state) {
  pmn_err err = PMN_ERR_INIT;
  const stats_case c = {"merge", 35, 9000, 30, 6, 0.2, 1e6, true, 5, 0.0, PLAIN, 5};
  const int64_t ends[] = {1, 1000, 6100, 9000};
  pmn_device *device = stats_device(*state);
  float *x = stats_rows(&c);
  pmn_moments *one = gather(device, x, c.n, c.d, true, 777), *sum = NULL;
  check_ok(pmn_moments_create(NULL, c.d, true, &sum, &err));
  int64_t first = 0;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; first = ends[i++]) {
    pmn_moments *part = gather(device, x + first * c.d, ends[i] - first, c.d, true, 500);
    pmn_moments_view view = pmn_moments_look(part);
    check_ok(pmn_moments_merge(sum, &view, &err));
    pmn_moments_destroy(part);
  }
  check_ok(pmn_moments_finish(sum, &err));
  pmn_moments_view a = pmn_moments_look(one), b = pmn_moments_look(sum);
  assert_int_equal(a.n, b.n);
  for (int32_t i = 0; i < c.d; i++) {
    double distance = a.origin[i] - b.origin[i] + (a.offset[i] - b.offset[i]);
    assert_true(fabs(distance) <= 1e-12 * sqrt(a.squares[i] / (double)a.n));
    assert_true(fabs(a.squares[i] - b.squares[i]) <= 1e-12 * a.squares[i]);
    for (int32_t j = i; j < c.d; j++) {
      double allowed = 1e-12 * sqrt(a.squares[i] * a.squares[j]);
      assert_true(fabs(a.m2[i * c.d + j] - b.m2[i * c.d + j]) <= allowed);
    }
  }
  pmn_fit *fit_one = NULL, *fit_sum = NULL;
  const pmn_fit_options options = {.with_mean = true, .with_std = true, .components = 5};
  check_ok(pmn_fit_create(one, NULL, &options, &fit_one, &err));
  check_ok(pmn_fit_create(sum, NULL, &options, &fit_sum, &err));
  for (int32_t i = 0; i < 5 * c.d; i++) {
    if (!(fabs(fit_one->components[i] - fit_sum->components[i]) <= 1e-10))
      fail_msg("entry %d is %.17g and %.17g", i, fit_one->components[i], fit_sum->components[i]);
  }
  pmn_fit_destroy(fit_one);
  pmn_fit_destroy(fit_sum);
  pmn_moments_destroy(one);
  pmn_moments_destroy(sum);
  pmn_device_close(device);
  free(x);
}

static void moments_that_do_not_fit_are_refused(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {1, 2, 3, 4, 5, 7};
  pmn_moments *two = gather(&fake.base, x, 3, 2, true, 3), *bare = gather(&fake.base, x, 3, 2, false, 3), *sum = NULL;
  pmn_moments_view view = pmn_moments_look(two), bare_view = pmn_moments_look(bare);
  check_ok(pmn_moments_create(NULL, 3, true, &sum, &err));
  check_fails(pmn_moments_merge(sum, &view, &err), PMN_STATUS_ARGUMENT, "statistics of 2 columns cannot be added");
  pmn_moments_destroy(sum);
  check_ok(pmn_moments_create(&fake.base, 2, true, &sum, &err));
  check_fails(pmn_moments_merge(sum, &bare_view, &err), PMN_STATUS_ARGUMENT, "without a covariance");
  check_ok(pmn_moments_add(sum, x, 1, &err));
  check_fails(pmn_moments_merge(sum, &view, &err), PMN_STATUS_ARGUMENT, "once their last row is in");
  pmn_moments_destroy(sum);
  check_ok(pmn_moments_create(NULL, 2, true, &sum, &err));
  check_ok(pmn_moments_merge(sum, &view, &err));
  view.n = ((int64_t)1 << 53) - 2;
  check_fails(pmn_moments_merge(sum, &view, &err), PMN_STATUS_ARGUMENT, "more than 2^53 rows");
  pmn_moments_destroy(sum);
  pmn_moments_destroy(two);
  pmn_moments_destroy(bare);
}

/* fp64 rows keep their digits: at a mean of 1e9 an f32 has none of them left. */
static void wide_rows_keep_their_digits(void **state) {
  pmn_err err = PMN_ERR_INIT;
  enum { N = 5000, D = 3 };
  pmn_device *device = stats_device(*state);
  double *x = malloc(sizeof *x * N * D), sums[D] = {0}, expected[D][D] = {{0}};
  assert_non_null(x);
  for (int i = 0; i < N; i++) {
    double t[D] = {
        stats_bell(3, 0, (uint64_t)i, 0), stats_bell(3, 8, (uint64_t)i, 1), stats_bell(3, 16, (uint64_t)i, 2)};
    double y[D] = {t[0], 0.5 * t[0] + t[1], t[2] - t[1]};
    for (int j = 0; j < D; j++) {
      x[i * D + j] = 1e9 + y[j];
      sums[j] += x[i * D + j] - 1e9;
    }
  }
  for (int i = 0; i < N * D; i += D) {
    for (int a = 0; a < D; a++) {
      for (int b = a; b < D; b++) expected[a][b] += (x[i + a] - 1e9 - sums[a] / N) * (x[i + b] - 1e9 - sums[b] / N);
    }
  }
  pmn_moments *moments = NULL;
  check_ok(pmn_moments_create(device, D, true, &moments, &err));
  for (int i = 0; i < N; i += 100) check_ok(pmn_moments_add_wide(moments, x + i * D, 100, &err));
  check_ok(pmn_moments_finish(moments, &err));
  pmn_moments_view view = pmn_moments_look(moments);
  for (int a = 0; a < D; a++) {
    for (int b = a; b < D; b++) {
      double allowed = 1e-12 * sqrt(expected[a][a] * expected[b][b]);
      if (!(fabs(view.m2[a * D + b] - expected[a][b]) <= allowed))
        fail_msg("entry %d, %d is %.17g, not %.17g", a, b, view.m2[a * D + b], expected[a][b]);
    }
  }
  pmn_moments_destroy(moments);
  pmn_device_close(device);
  free(x);
}

int main(void) {
  static char ref[] = "ref", cpu[] = "cpu", opencl[] = "opencl";
  const struct CMUnitTest tests[] = {
      {"bits_do_not_depend_on_batches_ref", bits_do_not_depend_on_batches, NULL, NULL, ref},
      {"bits_do_not_depend_on_batches_cpu", bits_do_not_depend_on_batches, NULL, NULL, cpu},
      {"bits_do_not_depend_on_batches_opencl", bits_do_not_depend_on_batches, NULL, NULL, opencl},
      cmocka_unit_test(nonfinite_values_are_named),
      cmocka_unit_test(huge_values_are_an_error),
      {"merged_moments_are_those_of_one_run_ref", merged_moments_are_those_of_one_run, NULL, NULL, ref},
      {"merged_moments_are_those_of_one_run_cpu", merged_moments_are_those_of_one_run, NULL, NULL, cpu},
      {"merged_moments_are_those_of_one_run_opencl", merged_moments_are_those_of_one_run, NULL, NULL, opencl},
      cmocka_unit_test(moments_that_do_not_fit_are_refused),
      {"wide_rows_keep_their_digits_cpu", wide_rows_keep_their_digits, NULL, NULL, cpu},
      {"wide_rows_keep_their_digits_opencl", wide_rows_keep_their_digits, NULL, NULL, opencl},
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
