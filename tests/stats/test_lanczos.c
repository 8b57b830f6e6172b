/* test_lanczos.c - the largest eigenvalues by block Lanczos, against matrices whose eigenvalues are known by
 * construction, and against LAPACK's whole decomposition. */
#include "stats_cases.h"

#include "fake_device.h"
#include "pmn_eigen.h"
#include "pmn_lanczos.h"
#include "pmn_mem.h"
#include "pmn_operators.h"

#include <math.h>

enum { ORDER = 240 };

typedef enum spectrum_kind { DECAY, ALL_EQUAL, MULTIPLE, RANK_3, CLUSTER, TINY, HUGE_VALUES, SPECTRA } spectrum_kind;
static const char *const spectrum_names[SPECTRA] = {
    "decay", "all equal", "multiple", "rank 3", "cluster", "tiny", "huge"};

static double eigenvalue(spectrum_kind kind, int32_t i) {
  switch (kind) {
  case DECAY:
    return pow(0.9, i);
  case ALL_EQUAL:
    return 3.0;
  case MULTIPLE:
    return i < 20 ? 5.0 : 1.0 / (double)i;
  case RANK_3:
    return i < 3 ? 3.0 - i : 0.0;
  case CLUSTER:
    return i < 30 ? 1.0 - 1e-7 * i : 0.5 * pow(0.95, i);
  case TINY:
    return 1e-200 * pow(0.8, i);
  default:
    return 1e150 * pow(0.8, i);
  }
}

/* H1 H2 diag H2 H1 with Householder's H = I - 2 u u': the eigenvalues are those of the diagonal. */
static double *matrix_create(spectrum_kind kind) {
  double *a = calloc((size_t)ORDER * ORDER, sizeof *a), u[ORDER], w[ORDER];
  assert_non_null(a);
  for (int32_t i = 0; i < ORDER; i++) a[i * ORDER + i] = eigenvalue(kind, i);
  for (uint64_t h = 0; h < 2; h++) {
    double length = 0.0, mix = 0.0;
    for (int32_t i = 0; i < ORDER; i++) {
      u[i] = stats_uniform(7, h, (uint64_t)i, 0) - 0.5;
      length += u[i] * u[i];
    }
    for (int32_t i = 0; i < ORDER; i++) u[i] /= sqrt(length);
    for (int32_t i = 0; i < ORDER; i++) {
      w[i] = 0.0;
      for (int32_t j = 0; j < ORDER; j++) w[i] += a[i * ORDER + j] * u[j];
      mix += w[i] * u[i];
    }
    for (int32_t i = 0; i < ORDER; i++) {
      for (int32_t j = 0; j < ORDER; j++)
        a[i * ORDER + j] += 4.0 * mix * u[i] * u[j] - 2.0 * (w[i] * u[j] + u[i] * w[j]);
    }
  }
  return a;
}

static void check_pairs(const double *a, const char *name, int32_t k, const double *values, const double *vectors) {
  for (int32_t c = 0; c < k; c++) {
    const double *v = vectors + c * ORDER;
    double residual = 0.0;
    for (int32_t i = 0; i < ORDER; i++) {
      double r = -values[c] * v[i];
      for (int32_t j = 0; j < ORDER; j++) r += a[i * ORDER + j] * v[j];
      residual = fmax(residual, fabs(r));
    }
    if (!(residual <= 1e-11 * values[0]))
      fail_msg("%s: residual %d is %g of the largest", name, c, residual / values[0]);
    for (int32_t b = 0; b <= c; b++) {
      double dot = 0.0;
      for (int32_t j = 0; j < ORDER; j++) dot += v[j] * vectors[b * ORDER + j];
      if (!(fabs(dot - (b == c)) <= 1e-12)) fail_msg("%s: vector %d times %d is %.17g", name, b, c, dot);
    }
  }
}

static void known_spectra(void **state) {
  (void)state;
  enum { K = 16 };
  pmn_err err = PMN_ERR_INIT;
  pmn_pool *pool = NULL;
  check_ok(pmn_pool_create(2, &pool, &err));
  double values[K], *vectors = malloc(sizeof(double) * K * ORDER);
  assert_non_null(vectors);
  for (int kind = 0; kind < SPECTRA; kind++) {
    double *a = matrix_create((spectrum_kind)kind);
    pmn_dense dense = {a, ORDER, pool};
    pmn_operator op = pmn_dense_operator(&dense);
    bool converged = false;
    check_ok(pmn_lanczos(&op, K, &(pmn_watch){0}, values, vectors, &converged, &err));
    if (!converged) fail_msg("%s: did not converge", spectrum_names[kind]);
    for (int32_t c = 0; c < K; c++) {
      double expected = eigenvalue((spectrum_kind)kind, c);
      if (!(fabs(values[c] - expected) <= 1e-12 * values[0]))
        fail_msg("%s: value %d is %.17g, not %.17g", spectrum_names[kind], c, values[c], expected);
    }
    check_pairs(a, spectrum_names[kind], K, values, vectors);
    free(a);
  }
  free(vectors);
  pmn_pool_destroy(pool);
}

static void some_of_lapack(void **state) {
  (void)state;
  enum { K = 5 };
  pmn_err err = PMN_ERR_INIT;
  double values[K], *vectors = malloc(sizeof(double) * K * ORDER), *a = matrix_create(DECAY),
                    *copy = matrix_create(DECAY);
  assert_non_null(vectors);
  check_ok(pmn_eigen_largest(copy, ORDER, K, values, vectors, &err));
  for (int32_t c = 0; c < K; c++) assert_true(fabs(values[c] - eigenvalue(DECAY, c)) <= 1e-12);
  check_pairs(a, "dsyevr", K, values, vectors);
  free(vectors);
  free(a);
  free(copy);
}

static pmn_status broken_apply(void *arg, const double *x, int32_t count, double *y, pmn_err *err) {
  int *calls = arg;
  if ((*calls)++ == 1) return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "the rows are gone");
  for (int32_t i = 0; i < count * ORDER; i++) y[i] = x[i] * (double)(1 + i % ORDER);
  return PMN_STATUS_OK;
}

static void a_failing_operator_surfaces(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  int calls = 0;
  bool converged = true;
  double value, vector[ORDER];
  pmn_operator op = {.order = ORDER, .arg = &calls, .apply = broken_apply};
  check_fails(pmn_lanczos(&op, 1, &(pmn_watch){0}, &value, vector, &converged, &err), PMN_STATUS_NOT_FOUND, "the rows are gone");
  assert_false(converged);
}

/* ------------------------------------------------------------------------------------------------------ fits -- */

enum { LONG = 2300, SHORT = 2100, K = 4 };

/* Rows on every way that there is to their components. */
typedef struct way {
  const char *solver;
  bool covariance;
  pmn_fit_options options;
} way;

static pmn_fit *fit_by(const way *w, const float *x, int32_t n, int32_t d, int32_t threads, int64_t memory_bytes) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = stats_device("cpu");
  stats_memory memory = {.x = x, .width = d};
  pmn_rows rows = {.count = n, .width = d, .arg = &memory, .read = stats_memory_read};
  pmn_fit_options options = w->options;
  pmn_moments *moments = NULL;
  pmn_fit *fit = NULL;
  options.threads = threads;
  options.memory = memory_bytes;
  check_ok(pmn_moments_create(device, d, w->covariance, &moments, &err));
  check_ok(pmn_moments_add(moments, x, n, &err));
  check_ok(pmn_moments_finish(moments, &err));
  check_ok(pmn_fit_create(moments, &rows, &options, &fit, &err));
  assert_string_equal(fit->solver, w->solver);
  pmn_moments_destroy(moments);
  pmn_device_close(device);
  return fit;
}

static void check_fits(const char *name, const pmn_fit *a, const pmn_fit *b) {
  assert_true(fabs(a->total_variance - b->total_variance) <= 1e-12 * a->total_variance);
  int32_t count = a->k < b->k ? a->k : b->k,
          known = a->spectrum_count < b->spectrum_count ? a->spectrum_count : b->spectrum_count;
  for (int32_t c = 0; c < known; c++) {
    if (!(fabs(a->spectrum[c] - b->spectrum[c]) <= 1e-11 * a->spectrum[0]))
      fail_msg("%s: variance %d is %.17g and %.17g", name, c, a->spectrum[c], b->spectrum[c]);
  }
  for (int32_t i = 0; i < count * a->d; i++) {
    if (!(fabs(a->components[i] - b->components[i]) <= 1e-8))
      fail_msg("%s: component %d, entry %d is %.17g and %.17g", name, i / a->d, i % a->d, a->components[i],
          b->components[i]);
  }
}

static void ways_agree(void **state) {
  (void)state;
  static const struct {
    int32_t n, d;
    way ways[2];
  } cases[] = {
      {LONG, SHORT,
          {{"block Lanczos", true, {.with_mean = true, .with_std = true, .components = K}},
              {"dsyevd", true, {.with_mean = true, .with_std = true, .ratio = 0.9}}}},
      {SHORT, LONG,
          {{"block Lanczos", false, {.components = K}}, {"dsyevd of the Gram matrix", false, {.ratio = 0.9}}}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const stats_case c = {"large", 41, cases[i].n, cases[i].d, 6, 0.05, 3.0, true, K, 0.0, PLAIN, K};
    float *x = stats_rows(&c);
    pmn_fit *some = fit_by(&cases[i].ways[0], x, c.n, c.d, 1, 0);
    pmn_fit *again = fit_by(&cases[i].ways[0], x, c.n, c.d, 3, (int64_t)1 << 30); /* rows are kept at hand */
    pmn_fit *all = fit_by(&cases[i].ways[1], x, c.n, c.d, 1, 0);
    assert_int_equal(some->k, K);
    assert_int_equal(some->spectrum_count, K);
    assert_int_equal(all->spectrum_count, c.n < c.d ? c.n : c.d);
    assert_memory_equal(some->components, again->components, sizeof(double) * K * (size_t)c.d);
    assert_memory_equal(some->spectrum, again->spectrum, sizeof(double) * K);
    check_fits(i == 0 ? "covariance" : "rows", some, all);
    pmn_fit_destroy(some);
    pmn_fit_destroy(again);
    pmn_fit_destroy(all);
    free(x);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(known_spectra),
      cmocka_unit_test(some_of_lapack),
      cmocka_unit_test(a_failing_operator_surfaces),
      cmocka_unit_test(ways_agree),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
