/* test_stats_golden.c - moments, fit and projection against scikit-learn in float64 on the same f32 rows.
 *
 * Every case runs on every backend, with the covariance and, where the rows are not too many, by the Gram matrix as
 * well. Tolerances: transformed values and components 1e-5 of the largest, ratios 1e-6 - the contract. They leave room:
 * rounding centred rows to f32 moves an entry of the covariance by at most 2^-23 = 1.2e-7 of its deviations, a
 * component by that times (largest variance / gap between variances), where the least gap of the cases is 1.4e-3 but
 * the effect averages out over rows; the fp32 product of d <= 300 terms adds about sqrt(300) 2^-24 = 1e-6. */
#include "stats_cases.h"

#include <float.h>
#include <math.h>

enum { SHOWN = 8, GRAM_ROWS_MAX = 500 };

/* The parts of a golden file, in their order; borrowed from `file`. */
typedef struct golden {
  check_npy file;
  int32_t k;
  const double *mean, *scale, *variance, *ratio, *components, *shown;
} golden;

static golden golden_read(const stats_case *c, const float *x) {
  char path[256];
  golden g = {0};
  snprintf(path, sizeof path, "tests/golden/stats_%s.npy", c->name);
  g.file = check_npy_read(path);
  const double *p = g.file.data;
  assert_string_equal(g.file.type, "<f8");
  if (p[0] != stats_checksum(x, (size_t)c->n * (size_t)c->d))
    fail_msg("%s: the rows are not those of the file", c->name);
  g.k = (int32_t)p[1];
  size_t d = (size_t)c->d, k = (size_t)g.k, width = k > 0 ? k : d;
  assert_int_equal(g.file.size, (2 + 2 * d + 2 * k + k * d + SHOWN * width) * sizeof(double));
  g.mean = p + 2;
  g.scale = g.mean + d;
  g.variance = g.scale + d;
  g.ratio = g.variance + k;
  g.components = g.ratio + k;
  g.shown = g.components + k * d;
  return g;
}

/* |got - expected| <= tolerance for each of `count`; the message has the worst place. */
static void check_near(
    const stats_case *c, const char *what, const double *got, const double *expected, size_t count, double tolerance) {
  size_t worst = 0;
  for (size_t i = 0; i < count; i++) {
    double error = fabs(got[i] - expected[i]);
    if (!(error <= fabs(got[worst] - expected[worst]))) worst = i;
  }
  if (count > 0 && !(fabs(got[worst] - expected[worst]) <= tolerance))
    fail_msg("%s: %s[%zu] is %.17g, expected %.17g: off by %.3g, allowed %.3g", c->name, what, worst, got[worst],
        expected[worst], fabs(got[worst] - expected[worst]), tolerance);
}

static double largest(const double *x, size_t count) {
  double most = 0.0;
  for (size_t i = 0; i < count; i++) most = fmax(most, fabs(x[i]));
  return most;
}

static void check_scaling(const stats_case *c, const pmn_fit *fit, const golden *g) {
  size_t d = (size_t)c->d;
  /* The judge adds up n values one after the other: n eps of the mean. */
  check_near(c, "mean", fit->mean, g->mean, d, c->n * DBL_EPSILON * largest(g->mean, d));
  /* Squares never pass through f32: n eps, and eps |mean| (3e-10 at mean 1e6) of the distance between blocks. */
  check_near(c, "scale", fit->scale, g->scale, d, 1e-9 * largest(g->scale, d));
  assert_int_equal(fit->constant_columns, c->special == CONSTANT ? 2 : 0);
}

static void check_orthonormal(const stats_case *c, const pmn_fit *fit) {
  for (int32_t a = 0; a < fit->k; a++) {
    for (int32_t b = 0; b <= a; b++) {
      double dot = 0.0;
      for (int32_t j = 0; j < fit->d; j++) dot += fit->components[a * fit->d + j] * fit->components[b * fit->d + j];
      if (!(fabs(dot - (a == b)) <= 1e-10)) fail_msg("%s: component %d times %d is %.17g", c->name, a, b, dot);
    }
  }
}

/* The largest entry of each is positive, or as large (to 1e-6) as one before it that is. */
static void check_signs(const stats_case *c, const pmn_fit *fit) {
  for (int32_t a = 0; a < fit->k; a++) {
    const double *row = fit->components + (size_t)a * (size_t)fit->d;
    double most = largest(row, (size_t)fit->d);
    int32_t j = 0;
    while (fabs(row[j]) < most * (1.0 - 1e-6)) j++;
    if (!(row[j] > 0.0)) fail_msg("%s: entry %d of component %d is %g", c->name, j, a, row[j]);
  }
}

/* Components 0 and 1 of the case "equal" span a plane; which two vectors of it they are is not determined. */
static void check_plane(const stats_case *c, const pmn_fit *fit, const golden *g) {
  const double *u = fit->components, *v = g->components;
  for (int32_t i = 0; i < c->d; i++) {
    for (int32_t j = 0; j < c->d; j++) {
      double got = u[i] * u[j] + u[c->d + i] * u[c->d + j], expected = v[i] * v[j] + v[c->d + i] * v[c->d + j];
      check_near(c, "projector of the plane", &got, &expected, 1, 1e-5);
    }
  }
  check_near(c, "component 2", u + 2 * c->d, v + 2 * c->d, (size_t)c->d, 1e-5);
}

static void check_components(const stats_case *c, const pmn_fit *fit, const golden *g) {
  size_t d = (size_t)c->d;
  assert_int_equal(fit->k, g->k);
  check_near(c, "ratio", fit->explained_ratio, g->ratio, (size_t)g->k, 1e-6);
  check_near(c, "variance", fit->explained_variance, g->variance, (size_t)g->k, 1e-6 * g->variance[0]);
  for (int32_t a = 0; a < c->distinct; a++) {
    /* Small variances beside a large one keep their digits too: centring by blocks, not by one pilot, is for that. */
    check_near(c, "small variance", &fit->explained_variance[a], &g->variance[a], 1, 2e-6 * g->variance[a]);
    const double *expected = g->components + (size_t)a * d;
    check_near(c, "component", fit->components + (size_t)a * d, expected, d, 1e-5 * largest(expected, d));
  }
  if (c->special == EQUAL) check_plane(c, fit, g);
  check_orthonormal(c, fit);
  check_signs(c, fit);
}

static void check_projection(
    const stats_case *c, pmn_device *device, const pmn_fit *fit, const golden *g, const float *x) {
  pmn_err err = PMN_ERR_INIT;
  pmn_projector *projector = NULL;
  size_t width = (size_t)pmn_fit_width(fit), d = (size_t)c->d;
  size_t shown = fit->k == 0 ? width : (size_t)c->distinct;
  check_ok(pmn_projector_create(device, fit, &projector, &err));
  float *rows = malloc(SHOWN * d * sizeof *rows), *y = malloc(SHOWN * width * sizeof *y);
  assert_non_null(rows);
  assert_non_null(y);
  for (size_t t = 0; t < SHOWN; t++) memcpy(rows + t * d, x + t * (size_t)c->n / SHOWN * d, d * sizeof *rows);
  for (size_t i = 0; i < SHOWN * width; i++) y[i] = NAN;
  check_ok(stats_project(projector, rows, SHOWN, c->d, y, &err));
  double tolerance = 1e-5 * largest(g->shown, SHOWN * width);
  for (size_t t = 0; t < SHOWN; t++) {
    for (size_t a = 0; a < shown; a++) {
      double got = (double)y[t * width + a];
      check_near(c, "transformed row", &got, &g->shown[t * width + a], 1, tolerance);
    }
  }
  free(rows);
  free(y);
  pmn_projector_destroy(projector);
}

static pmn_moments *moments_gather(const stats_case *c, pmn_device *device, const float *x, bool with_covariance) {
  pmn_err err = PMN_ERR_INIT;
  pmn_moments *moments = NULL;
  check_ok(pmn_moments_create(device, c->d, with_covariance, &moments, &err));
  int64_t batch = 1;
  for (int64_t first = 0; first < c->n; first += batch, batch = batch * 3 + 1) {
    if (batch > c->n - first) batch = c->n - first;
    check_ok(pmn_moments_add(moments, x + first * c->d, batch, &err));
    assert_int_equal(pmn_moments_count(moments), first + batch);
  }
  check_ok(pmn_moments_finish(moments, &err));
  assert_int_equal(pmn_moments_count(moments), c->n);
  return moments;
}

static void case_run(const stats_case *c, pmn_device *device, const float *x, const golden *g, bool with_covariance) {
  pmn_err err = PMN_ERR_INIT;
  stats_memory memory = {.x = x, .width = c->d};
  pmn_rows rows = {.count = c->n, .width = c->d, .arg = &memory, .read = stats_memory_read};
  pmn_fit_options options = {
      .with_mean = c->standardize, .with_std = c->standardize, .components = c->k, .ratio = c->ratio};
  pmn_fit *fit = NULL;
  pmn_moments *moments = moments_gather(c, device, x, with_covariance);
  check_ok(pmn_fit_create(moments, with_covariance ? NULL : &rows, &options, &fit, &err));
  assert_int_equal(fit->n, c->n);
  assert_int_equal(fit->d, c->d);
  assert_int_equal(fit->with_std, c->standardize);
  assert_int_equal(pmn_fit_width(fit), g->k > 0 ? g->k : c->d);
  check_scaling(c, fit, g);
  check_components(c, fit, g);
  check_projection(c, device, fit, g, x);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(moments);
}

static void golden_test(void **state) {
  pmn_device *device = stats_device(*state);
  for (int i = 0; i < STATS_CASES; i++) {
    const stats_case *c = &stats_cases[i];
    float *x = stats_rows(c);
    golden g = golden_read(c, x);
    case_run(c, device, x, &g, true);
    if (c->n <= GRAM_ROWS_MAX) case_run(c, device, x, &g, false);
    free(g.file.data);
    free(x);
  }
  pmn_device_close(device);
}

int main(void) {
  static char ref[] = "ref", cpu[] = "cpu", opencl[] = "opencl";
  const struct CMUnitTest tests[] = {
      {"golden_ref", golden_test, NULL, NULL, ref},
      {"golden_cpu", golden_test, NULL, NULL, cpu},
      {"golden_opencl", golden_test, NULL, NULL, opencl},
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
