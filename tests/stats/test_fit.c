/* test_fit.c - fits where scikit-learn has no opinion: Spark's rules by hand, what is left where data end, Gram
 * matrices in tiles, errors and faults. */
#include "stats_check.h"

#include "pmn_mem.h"

#include <float.h>

/* Spark's rules by hand: the deviation of the sample, 0 for a column without one, and rows that are projected as they
 * are; against its own software in test_stats_golden.c. */
static void spark_standardises_by_the_sample(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {1, 5, 10, 2, 5, 14, 6, 5, 6}; /* [3, 3]; deviations sqrt(7), 0, 4 */
  const struct {
    bool with_mean, with_std;
    float expected[9];
  } cases[] = {
      {true, true, {-2 / 2.6457513f, 0, 0, -1 / 2.6457513f, 0, 1, 3 / 2.6457513f, 0, -1}},
      {false, true, {1 / 2.6457513f, 0, 2.5f, 2 / 2.6457513f, 0, 3.5f, 6 / 2.6457513f, 0, 1.5f}},
      {true, false, {-2, 0, 0, -1, 0, 4, 3, 0, -4}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pmn_fit *fit = NULL;
    pmn_projector *projector = NULL;
    float y[9];
    pmn_moments *moments = gather(&fake.base, x, 3, 3, true, 3);
    const pmn_fit_options options = {
        .with_mean = cases[i].with_mean, .with_std = cases[i].with_std, .compat = PMN_COMPAT_SPARK};
    check_ok(pmn_fit_create(moments, NULL, &options, &fit, &err));
    check_ok(pmn_projector_create(&fake.base, fit, &projector, &err));
    check_ok(stats_project(projector, x, 3, 3, y, &err));
    for (int j = 0; j < 9; j++) {
      if (!(fabsf(y[j] - cases[i].expected[j]) <= 1e-6f)) fail_msg("case %zu, %d: %g", i, j, (double)y[j]);
    }
    pmn_projector_destroy(projector);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
  }
}

/* One column that varies beside one that does not: the component is (1, 0), and rows are not centred for it. */
static void spark_projects_rows_as_they_are(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {10, 5, 12, 5, 17, 5};
  for (int compat = 0; compat < 2; compat++) {
    pmn_fit *fit = NULL;
    pmn_projector *projector = NULL;
    float y[3];
    pmn_moments *moments = gather(&fake.base, x, 3, 2, true, 3);
    const pmn_fit_options options = {.compat = (pmn_compat)compat, .components = 1};
    check_ok(pmn_fit_create(moments, NULL, &options, &fit, &err));
    check_ok(pmn_projector_create(&fake.base, fit, &projector, &err));
    check_ok(stats_project(projector, x, 3, 2, y, &err));
    float mean = compat == PMN_COMPAT_SPARK ? 0.0f : 13.0f;
    for (int i = 0; i < 3; i++) assert_true(fabsf(y[i] - (x[2 * i] - mean)) <= 1e-5f);
    pmn_projector_destroy(projector);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
  }
}

static void shares_of_variance_are_counted(void **state) {
  (void)state;
  double spectrum[] = {6, 2, 1};
  pmn_fit fit = {.total_variance = 10, .spectrum = spectrum, .spectrum_count = 3};
  assert_int_equal(pmn_fit_components_for(&fit, 0.5), 1);
  assert_int_equal(pmn_fit_components_for(&fit, 0.79), 2);
  assert_int_equal(pmn_fit_components_for(&fit, 0.85), 3);
  assert_int_equal(pmn_fit_components_for(&fit, 0.95), 0); /* the tenth that is not known would be needed */
}

static void wrong_requests_are_explained(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {1, 2, 3, 4, 5, 7, 9, 11, 2, 4, 1, 3}; /* [3, 4] */
  const struct {
    int64_t n;
    pmn_fit_options options;
    const char *text;
  } cases[] = {
      {0, {.with_mean = true, .with_std = true}, "statistics need 2 or more rows, not 0"},
      {1, {.with_mean = true, .with_std = true}, "statistics need 2 or more rows, not 1"},
      {1, {.components = 1}, "2 or more rows, not 1"},
      {3, {.components = 4}, "4 components were asked for, but 3 rows of 4 features give at most 3"},
      {3, {.components = -1}, "PCA of -1 components"},
      {3, {.components = 2, .ratio = 0.5}, "not both"},
      {3, {.ratio = 1.0}, "the ratio must lie between 0 and 1"},
      {3, {.ratio = -0.5}, "the ratio must lie between 0 and 1"},
      {3, {.ratio = NAN}, "the ratio must lie between 0 and 1"},
      {3, {.with_std = false}, "nothing to fit"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pmn_fit *fit = (pmn_fit *)&fake;
    pmn_moments *moments = gather(&fake.base, x, cases[i].n, 4, true, 3);
    check_fails(pmn_fit_create(moments, NULL, &cases[i].options, &fit, &err), PMN_STATUS_ARGUMENT, cases[i].text);
    assert_null(fit);
    pmn_moments_destroy(moments);
  }
}

static void wrong_order_of_calls_is_an_error(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {1, 2, 3, 4};
  pmn_moments *moments = NULL;
  pmn_fit *fit = NULL;
  stats_memory memory;
  check_fails(pmn_moments_create(&fake.base, 0, true, &moments, &err), PMN_STATUS_ARGUMENT, "at least one");
  check_fails(
      pmn_moments_create(&fake.base, 32767, true, &moments, &err), PMN_STATUS_ARGUMENT, "at most 32766 columns");
  assert_null(moments);
  check_ok(pmn_moments_create(&fake.base, 2, false, &moments, &err));
  check_ok(pmn_moments_add(moments, x, 2, &err));
  check_fails(pmn_fit_create(moments, NULL, &STANDARDIZE, &fit, &err), PMN_STATUS_ARGUMENT, "last row");
  check_ok(pmn_moments_finish(moments, &err));
  check_ok(pmn_moments_finish(moments, &err));
  check_fails(pmn_moments_add(moments, x, 2, &err), PMN_STATUS_ARGUMENT, "finished");
  pmn_fit_options pca = {.components = 1};
  check_fails(pmn_fit_create(moments, NULL, &pca, &fit, &err), PMN_STATUS_ARGUMENT, "the rows again");
  pmn_rows rows = memory_rows(&memory, x, 1, 2);
  check_fails(pmn_fit_create(moments, &rows, &pca, &fit, &err), PMN_STATUS_ARGUMENT,
      "the rows to read again are 1 of 2 columns, the statistics are of 2 rows of 2 columns");
  pmn_moments_destroy(moments);
  pmn_moments_destroy(NULL);
  pmn_fit_destroy(NULL);
  pmn_projector_destroy(NULL);
}

static void constant_data_standardise_to_zero_and_have_no_components(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {0.1f, 1e6f, 0.1f, 1e6f, 0.1f, 1e6f};
  pmn_fit *fit = NULL;
  pmn_projector *projector = NULL;
  float y[6] = {9, 9, 9, 9, 9, 9};
  pmn_moments *moments = gather(&fake.base, x, 3, 2, true, 1);
  pmn_fit_options pca = {.with_mean = true, .with_std = true, .ratio = 0.5};
  check_fails(pmn_fit_create(moments, NULL, &pca, &fit, &err), PMN_STATUS_ARGUMENT, "no column varies: all 3 rows");
  check_ok(pmn_fit_create(moments, NULL, &STANDARDIZE, &fit, &err));
  assert_int_equal(fit->constant_columns, 2);
  assert_true(fit->total_variance == 0.0);
  check_ok(pmn_projector_create(&fake.base, fit, &projector, &err));
  check_ok(stats_project(projector, x, 3, 2, y, &err));
  for (int i = 0; i < 6; i++) assert_true(y[i] == 0.0f);
  pmn_projector_destroy(projector);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(moments);
}

/* var <= n eps var + (n mean eps)^2 of StandardScaler. One value of n a step of f32 above 1 has variance 2^-46 / n,
 * which meets the bound where n^3 = 2^58: between 650,000 and 670,000 rows. scikit-learn 1.9.1 decides both the same
 * way. */
static void nearly_constant_is_constant_by_the_bound(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const int64_t counts[] = {650000, 670000};
  float *x = malloc(670000 * sizeof *x);
  assert_non_null(x);
  for (int64_t i = 0; i < 670000; i++) x[i] = 1.0f;
  x[1234] = nextafterf(1.0f, 2.0f);
  for (int i = 0; i < 2; i++) {
    pmn_fit *fit = NULL;
    pmn_moments *moments = gather(&fake.base, x, counts[i], 1, false, counts[i]);
    check_ok(pmn_fit_create(moments, NULL, &STANDARDIZE, &fit, &err));
    double deviation = 0x1p-23 / sqrt((double)counts[i]);
    assert_int_equal(fit->constant_columns, i);
    assert_true(i == 1 ? fit->scale[0] == 1.0 : fabs(fit->scale[0] / deviation - 1.0) < 1e-4);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
  }
  free(x);
}

/* Deviations of 1 at 10^12: scikit-learn's two passes could not tell, and nothing is divided there; but the columns do
 * vary, for PCA and for Spark, whose rule is a deviation of exactly 0. */
static void far_columns_vary(void **state) {
  (void)state;
  enum { N = 20000 };
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  double *x = malloc(sizeof *x * 2 * N), squares = 0.0, sum = 0.0;
  assert_non_null(x);
  for (int i = 0; i < N; i++) {
    x[2 * i] = 1e12 + stats_bell(36, 0, (uint64_t)i, 0);
    x[2 * i + 1] = 7.0;
    sum += x[2 * i] - 1e12;
  }
  for (int i = 0; i < N; i++) squares += (x[2 * i] - 1e12 - sum / N) * (x[2 * i] - 1e12 - sum / N);
  const struct {
    pmn_fit_options options;
    double scale;
    int32_t constant;
  } cases[] = {
      {{.components = 1}, 1.0, 1},
      {{.with_mean = true, .with_std = true}, 1.0, 2},
      {{.with_mean = true, .with_std = true, .compat = PMN_COMPAT_SPARK}, sqrt(squares / (N - 1)), 1},
      {{.with_std = true, .compat = PMN_COMPAT_SPARK, .components = 1}, sqrt(squares / (N - 1)), 1},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_moments *moments = NULL;
    pmn_fit *fit = NULL;
    check_ok(pmn_moments_create(&fake.base, 2, true, &moments, &err));
    check_ok(pmn_moments_add_wide(moments, x, N, &err));
    check_ok(pmn_moments_finish(moments, &err));
    check_ok(pmn_fit_create(moments, NULL, &cases[i].options, &fit, &err));
    assert_int_equal(fit->constant_columns, cases[i].constant);
    if (!(fabs(fit->scale[0] / cases[i].scale - 1.0) < 1e-9)) fail_msg("case %zu: scale %g", i, fit->scale[0]);
    if (i == 0) assert_true(fabs(fit->explained_variance[0] / (squares / (N - 1)) - 1.0) < 1e-9);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
  }
  free(x);
}

/* Says no at the question that `left` counts down to. */
typedef struct stopper {
  int left, asked;
} stopper;

static pmn_status stop_after(const void *arg, pmn_err *err) {
  stopper *s = (stopper *)(uintptr_t)arg;
  s->asked++;
  return s->left-- > 0 ? PMN_STATUS_OK : pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "enough");
}

/* However the components are found, the fit asks along the way and ends when it is told to. */
static void fits_can_be_stopped(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  const struct {
    int32_t n, d;
    bool with_covariance;
    int asked; /* at least */
  } ways[] = {
      {40, 12, true, 1}, {12, 40, false, 3}, {30, 150000, false, 4}, {2100, 2049, true, 3}, {2049, 2050, false, 9}};
  for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
    const stats_case c = {"stop", 37, ways[i].n, ways[i].d, 4, 0.3, 1.0, true, 2, 0.0, PLAIN, 2};
    float *x = stats_rows(&c);
    stats_memory memory;
    pmn_rows rows = memory_rows(&memory, x, c.n, c.d);
    pmn_device *device = stats_device("cpu");
    for (int left = 0; left <= ways[i].asked; left += ways[i].asked - 1 > 0 ? ways[i].asked - 1 : 1) {
      stopper s = {.left = left};
      pmn_fit_options options = {.components = 2, .watch = {stop_after, &s}};
      pmn_fit *fit = NULL;
      pmn_moments *moments = gather(device, x, c.n, c.d, ways[i].with_covariance, c.n);
      pmn_status status = pmn_fit_create(moments, ways[i].with_covariance ? NULL : &rows, &options, &fit, &err);
      if (left < ways[i].asked && status != PMN_STATUS_INTERRUPTED) fail_msg("way %zu: only %d questions", i, s.asked);
      if (left < ways[i].asked) assert_int_equal(s.asked, left + 1);
      pmn_fit_destroy(fit);
      pmn_moments_destroy(moments);
    }
    pmn_device_close(device);
    free(x);
  }
}

/* Three kinds of rows, repeated: rank 2 when centred; ten of twelve components have nothing to explain. */
static void components_without_variance_complete_the_basis(void **state) {
  (void)state;
  enum { N = 12, D = 30 };
  fake_device fake = fake_device_make();
  float x[N * D];
  for (int i = 0; i < N; i++) {
    for (int j = 0; j < D; j++) x[i * D + j] = (float)stats_bell(31, 0, (uint64_t)(i % 3), (uint64_t)j);
  }
  pmn_fit *fit = gram_fit(&fake, x, N, D, N), *again = gram_fit(&fake, x, N, D, N);
  check_orthonormal(fit->components, N, D);
  check_same_fit(fit, again);
  assert_true(fit->explained_ratio[1] > 0.1);
  for (int c = 2; c < N; c++) assert_true(fit->explained_ratio[c] == 0.0);
  assert_true(fabs(fit->explained_ratio[0] + fit->explained_ratio[1] - 1.0) < 1e-14);
  pmn_fit_destroy(fit);
  pmn_fit_destroy(again);
  /* More rows than columns, one column constant: the last component fills the last dimension there is. */
  for (int i = 0; i < 36; i++) {
    for (int j = 0; j < 10; j++) x[i * 10 + j] = j == 4 ? 3.0f : (float)stats_bell(32, 0, (uint64_t)i, (uint64_t)j);
  }
  fit = gram_fit(&fake, x, 36, 10, 10);
  check_orthonormal(fit->components, 10, 10);
  assert_true(fit->explained_ratio[8] > 0.0 && fit->explained_ratio[9] == 0.0);
  assert_true(fabs(fit->components[9 * 10 + 4] - 1.0) < 1e-12);
  pmn_fit_destroy(fit);
}

/* One column a million times larger than the others: variances from 1 down to 10^-12 of the largest, where U' y alone
 * is far from orthogonal. */
static void components_of_steep_variances_are_orthonormal(void **state) {
  (void)state;
  enum { N = 24, D = 40, K = 23 };
  fake_device fake = fake_device_make();
  for (float steepness = 1e4f; steepness < 1e8f; steepness *= 10.0f) {
    float x[N * D];
    for (int i = 0; i < N * D; i++) x[i] = (float)stats_bell(35, 0, (uint64_t)i, 0) * (i % D == 3 ? steepness : 1.0f);
    pmn_fit *fit = gram_fit(&fake, x, N, D, K);
    check_orthonormal(fit->components, K, D);
    pmn_fit_destroy(fit);
  }
}

/* 90 rows of 100,000 columns are three tiles, the last one short. The judge: components' rows are orthonormal, and the
 * rows projected on component c have mean 0 and variance explained_variance[c], by plain loops in fp64. */
static void gram_matrix_in_tiles(void **state) {
  (void)state;
  enum { N = 90, D = 100000, K = 4 };
  fake_device fake = fake_device_make();
  float *x = malloc((size_t)N * D * sizeof *x);
  assert_non_null(x);
  for (int i = 0; i < N; i++) {
    double a = stats_bell(33, 0, (uint64_t)i, 0), b = stats_bell(33, 0, (uint64_t)i, 1);
    for (int j = 0; j < D; j++) {
      x[(int64_t)i * D + j] =
          (float)(5.0 + a * (j % 7) + b * (j % 11 - 5) + 0.1 * stats_uniform(33, 8, (uint64_t)i, (uint64_t)(j % 64)));
    }
  }
  pmn_fit *fit = gram_fit(&fake, x, N, D, K);
  check_orthonormal(fit->components, K, D);
  double total = 0.0;
  for (int64_t j = 0; j < D; j++) {
    for (int i = 0; i < N; i++) {
      double y = (double)x[(int64_t)i * D + j] - fit->mean[j];
      total += y * y / (N - 1);
    }
  }
  assert_true(fabs(fit->total_variance - total) < 1e-10 * total);
  for (int c = 0; c < K; c++) {
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < N; i++) {
      double projected = 0.0;
      for (int64_t j = 0; j < D; j++)
        projected += ((double)x[(int64_t)i * D + j] - fit->mean[j]) * fit->components[(int64_t)c * D + j];
      sum += projected;
      squares += projected * projected;
    }
    double variance = squares / (N - 1);
    assert_true(fabs(sum) < 1e-9 * sqrt(total));
    if (!(fabs(variance - fit->explained_variance[c]) < 1e-10 * total))
      fail_msg("component %d explains %.17g, not %.17g", c, variance, fit->explained_variance[c]);
  }
  pmn_fit_destroy(fit);
  free(x);
}

/* Two standardised columns have the components (1, 1) and (1, -1) / sqrt(2) whatever the data: which entry is larger is
 * rounding, and the sign must not follow it. */
static void signs_do_not_follow_rounding(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const pmn_fit_options options = {.with_mean = true, .with_std = true, .components = 2};
  for (uint64_t seed = 40; seed < 60; seed++) {
    const stats_case c = {"signs", seed, 50, 2, 2, 0.3, 1.0, true, 2, 0.0, PLAIN, 2};
    float *x = stats_rows(&c);
    pmn_fit *fit = NULL;
    pmn_moments *moments = gather(&fake.base, x, c.n, c.d, true, c.n);
    check_ok(pmn_fit_create(moments, NULL, &options, &fit, &err));
    assert_true(fit->components[0] > 0.7 && fit->components[2] > 0.7);
    pmn_fit_destroy(fit);
    pmn_moments_destroy(moments);
    free(x);
  }
}

static void failures_of_device_and_rows_surface(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  fake_device fake = fake_device_make();
  const float x[] = {1, 2, 3, 5, 4, 4};
  pmn_moments *moments = NULL;
  fake.syrk_fails = true;
  check_ok(pmn_moments_create(&fake.base, 2, true, &moments, &err));
  check_ok(pmn_moments_add(moments, x, 3, &err));
  check_fails(pmn_moments_finish(moments, &err), PMN_STATUS_DEVICE, "the fake syrk fails");
  pmn_moments_destroy(moments);

  moments = gather(&fake.base, x, 3, 2, false, 3);
  stats_memory memory;
  pmn_rows rows = memory_rows(&memory, x, 3, 2);
  pmn_fit_options options = {.components = 1};
  pmn_fit *fit = NULL;
  memory.broken = true;
  check_fails(pmn_fit_create(moments, &rows, &options, &fit, &err), PMN_STATUS_NOT_FOUND, "the spool is gone");
  memory.broken = false;
  check_ok(pmn_fit_create(moments, &rows, &options, &fit, &err));
  pmn_projector *projector = NULL;
  float y[3];
  check_ok(pmn_projector_create(&fake.base, fit, &projector, &err));
  fake.gemm_fails = true;
  check_fails(stats_project(projector, x, 2, 2, y, &err), PMN_STATUS_DEVICE, "the fake gemm fails");
  pmn_projector_destroy(projector);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(moments);
}

/* Everything, with the k-th allocation failing for all k: an error each time, and nothing leaks (under ASan). */
static pmn_status run_all(pmn_device *device, bool with_covariance, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const float x[] = {1, 2, 3, 4, 2, 1, 5, 5, 1, 3, 3, 7}; /* [3, 4] */
  float y[9];
  stats_memory memory;
  pmn_rows rows = memory_rows(&memory, x, 3, 4);
  pmn_fit_options options = {.with_mean = true, .with_std = true, .components = 3}; /* the third is a completion */
  pmn_moments *moments = NULL;
  pmn_fit *fit = NULL;
  pmn_projector *projector = NULL;
  PMN_TRY(pmn_moments_create(device, 4, with_covariance, &moments, err));
  PMN_TRY(pmn_moments_add(moments, x, 3, err));
  PMN_TRY(pmn_moments_finish(moments, err));
  PMN_TRY(pmn_fit_create(moments, &rows, &options, &fit, err));
  PMN_TRY(pmn_projector_create(device, fit, &projector, err));
  PMN_TRY(stats_project(projector, x, 3, 4, y, err));
done:
  pmn_projector_destroy(projector);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(moments);
  return st;
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  fake_device fake = fake_device_make();
  for (int with_covariance = 0; with_covariance < 2; with_covariance++) {
    pmn_status status = PMN_STATUS_NO_MEMORY;
    int64_t k = 0;
    for (; status != PMN_STATUS_OK && k < 100; k++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_mem_fail_after(k);
      status = run_all(&fake.base, with_covariance, &err);
      pmn_mem_fail_after(-1);
      if (status != PMN_STATUS_OK) {
        assert_int_equal(status, PMN_STATUS_NO_MEMORY);
        assert_int_equal(err.status, PMN_STATUS_NO_MEMORY);
        assert_non_null(strstr(err.message, "bytes of memory for"));
      }
    }
    assert_int_equal(status, PMN_STATUS_OK);
    assert_in_range(k, 15, 40);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(spark_standardises_by_the_sample),
      cmocka_unit_test(spark_projects_rows_as_they_are),
      cmocka_unit_test(shares_of_variance_are_counted),
      cmocka_unit_test(wrong_requests_are_explained),
      cmocka_unit_test(wrong_order_of_calls_is_an_error),
      cmocka_unit_test(constant_data_standardise_to_zero_and_have_no_components),
      cmocka_unit_test(nearly_constant_is_constant_by_the_bound),
      cmocka_unit_test(far_columns_vary),
      cmocka_unit_test(fits_can_be_stopped),
      cmocka_unit_test(components_without_variance_complete_the_basis),
      cmocka_unit_test(components_of_steep_variances_are_orthonormal),
      cmocka_unit_test(gram_matrix_in_tiles),
      cmocka_unit_test(signs_do_not_follow_rounding),
      cmocka_unit_test(failures_of_device_and_rows_surface),
      cmocka_unit_test(every_allocation_may_fail),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
