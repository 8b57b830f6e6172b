/* pmn_fit.c - from moments to a scaler and PCA; the definitions stand in pmn_stats.h.
 *
 * deviation = sqrt(squares / n), or n - 1; by scikit-learn's rule a column is not divided by it when its own two passes
 *             could not tell it from 0: var <= n eps var + (n mean eps)^2 (Chan, Golub, LeVeque 1983)
 * variance  = eigenvalues of M2 / (n - 1), divided by scale_i scale_j; negative rounding is 0
 * ratio     = variance / (sum of the variances of all columns)
 * K by r    = the fewest components whose ratios sum to more than r
 *
 * How the eigenvectors are found depends on the shape alone:
 *   order up to WHOLE_MAX, or not a small part of them is asked for   LAPACK's dsyevd of the covariance, or of the Gram
 *                                                                     matrix when there are fewer rows than columns
 *   else                                                              block Lanczos (pmn_lanczos.h), on the covariance
 *                                                                     or on the rows; should it fail, LAPACK
 *
 * Everything here is fp64 on the host: 0.1 to some seconds, once per run. */
#include "pmn_eigen.h"
#include "pmn_gram.h"
#include "pmn_mem.h"
#include "pmn_moments.h"
#include "pmn_operators.h"

#include <cblas.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Two entries of a component this close, relatively, count as equal in magnitude: rounding rows to f32 moves entries by
 * up to about 1e-7, and the sign must not hang on that. */
#define SIGN_TIE 1e-6

enum { WHOLE_MAX = 2048 };

pmn_status pmn_fit_check(int64_t n, int32_t d, int32_t components, const char *what, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t most = n < d ? n : d;
  if (n < 2) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics need 2 or more %ss, not %" PRId64, what, n);
  if (components > most)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%" PRId32 " components were asked for, but %" PRId64 " %ss of %" PRId32 " features give at most %" PRId64,
        components, n, what, d, most);
done:
  return st;
}

static pmn_status request_check(
    const pmn_moments *moments, const pmn_rows *rows, const pmn_fit_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t n = moments->n;
  bool pca = options->components != 0 || options->ratio != 0.0;
  if (!moments->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics were asked for before the last row was in");
  if (!options->with_mean && !options->with_std && !pca)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nothing to fit: ask for standardisation, for PCA, or for both");
  if (options->components < 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA of %" PRId32 " components: ask for at least 1", options->components);
  if (options->components != 0 && options->ratio != 0.0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA takes a number of components or a ratio of variance, not both");
  if (!(options->ratio >= 0.0 && options->ratio < 1.0))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA by ratio %g: the ratio must lie between 0 and 1", options->ratio);
  PMN_TRY(pmn_fit_check(n, moments->d, options->components, "row", err));
  if (pca && moments->m2 == NULL) {
    if (rows == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA needs the covariance of the rows, or the rows again");
    if (rows->count != n || rows->width != moments->d)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "the rows to read again are %" PRId64 " of %" PRId32 " columns, the statistics are of %" PRId64
          " rows of %" PRId32 " columns",
          rows->count, rows->width, n, moments->d);
  }
done:
  return st;
}

static bool column_is_constant(const pmn_fit *fit, double squares, double mean) {
  double n = (double)fit->n, variance = squares / n, error = n * mean * DBL_EPSILON;
  if (!fit->with_std || fit->compat == PMN_COMPAT_SPARK) return squares == 0.0;
  return variance <= n * DBL_EPSILON * variance + error * error;
}

static void scaling_fill(pmn_fit *fit, const pmn_moments *moments, bool centred) {
  double n = (double)moments->n, divisor = fit->compat == PMN_COMPAT_SPARK ? n - 1.0 : n;
  double constant_scale = fit->compat == PMN_COMPAT_SPARK ? INFINITY : 1.0;
  for (size_t j = 0; j < (size_t)fit->d; j++) {
    double mean = moments->origin[j] + moments->offset[j];
    bool constant = column_is_constant(fit, moments->squares[j], mean);
    double deviation = constant ? constant_scale : sqrt(moments->squares[j] / divisor);
    fit->mean[j] = mean;
    fit->shift[j] = centred ? mean : 0.0;
    fit->scale[j] = fit->with_std ? deviation : 1.0;
    fit->constant_columns += constant;
    fit->total_variance += moments->squares[j] / (n - 1.0) / (fit->scale[j] * fit->scale[j]);
  }
}

/* Takes over the `count` largest eigenvalues, descending, each the variance of a component times `divisor`, and makes
 * room for K components. */
static pmn_status components_choose(
    pmn_fit *fit, const pmn_fit_options *options, const double *values, int64_t count, double divisor, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = 0;
  int32_t most = fit->n < fit->d ? (int32_t)fit->n : fit->d;
  if (count < most) most = (int32_t)count;
  fit->spectrum = pmn_alloc((size_t)most, sizeof *fit->spectrum);
  if (fit->spectrum == NULL) return pmn_err_memory(err, (size_t)most * sizeof *fit->spectrum, "the components");
  for (int32_t c = 0; c < most; c++) fit->spectrum[c] = fmax(values[c], 0.0) / divisor;
  fit->spectrum_count = most;
  fit->k = options->components;
  if (fit->k == 0) fit->k = pmn_fit_components_for(fit, options->ratio);
  if (fit->k == 0) fit->k = most; /* rounding kept the sum at the ratio */
  if (pmn_size_mul((size_t)fit->k, (size_t)fit->d, &size)) fit->components = pmn_alloc_aligned(size, sizeof(double));
  fit->explained_variance = pmn_alloc((size_t)fit->k, sizeof(double));
  fit->explained_ratio = pmn_alloc((size_t)fit->k, sizeof(double));
  if (fit->components == NULL || fit->explained_variance == NULL || fit->explained_ratio == NULL) {
    st = pmn_err_memory(err, size * sizeof(double), "the components");
    goto done;
  }
  for (int32_t c = 0; c < fit->k; c++) {
    fit->explained_variance[c] = fit->spectrum[c];
    fit->explained_ratio[c] = fit->spectrum[c] / fit->total_variance;
  }
done:
  return st;
}

int32_t pmn_fit_components_for(const pmn_fit *fit, double share) {
  double sum = 0.0;
  for (int32_t c = 0; c < fit->spectrum_count; c++) {
    sum += fit->spectrum[c] / fit->total_variance;
    if (sum > share) return c + 1;
  }
  return 0;
}

/* The largest eigenvalues of a large matrix, by Lanczos; *found tells whether they were. */
static pmn_status components_largest(
    pmn_fit *fit, const pmn_fit_options *options, const pmn_operator *a, double divisor, bool *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t k = (size_t)options->components, d = (size_t)fit->d;
  double *values = pmn_alloc(k, sizeof *values), *vectors = pmn_alloc_aligned(k * d, sizeof *vectors);
  if (values == NULL || vectors == NULL) {
    st = pmn_err_memory(err, k * d * sizeof *vectors, "the components");
    goto done;
  }
  PMN_TRY(pmn_lanczos(a, options->components, &options->watch, values, vectors, found, err));
  if (!*found) goto done;
  PMN_TRY(components_choose(fit, options, values, options->components, divisor, err));
  memcpy(fit->components, vectors, k * d * sizeof *vectors);
  fit->solver = "block Lanczos";
done:
  pmn_free(values);
  pmn_free(vectors);
  return st;
}

static bool few_suffice(const pmn_fit_options *options, int64_t order) {
  return order > WHOLE_MAX && options->components > 0 && pmn_lanczos_suits((int32_t)order, options->components);
}

bool pmn_fit_possible(int64_t order, const pmn_fit_options *options) {
  bool pca = options->components > 0 || options->ratio > 0.0;
  return !pca || order <= PMN_STATS_ORDER_MAX || (order <= INT32_MAX && few_suffice(options, order));
}

int64_t pmn_fit_most(int64_t order) {
  return pmn_lanczos_most(order);
}

double pmn_fit_memory(int64_t n, int32_t d, bool with_covariance, const pmn_fit_options *options, double *kept) {
  int32_t most = n < d ? (int32_t)n : d, k = options->components > 0 ? options->components : most;
  double columns = d, rows = (double)n, vectors = 8.0 * columns; /* of moments and fit */
  bool few = few_suffice(options, with_covariance ? d : n), pca = options->components > 0 || options->ratio > 0.0;
  double need = vectors * sizeof(double) + (with_covariance ? columns * columns * sizeof(double) : 0.0);
  *kept = 0.0;
  if (!pca) return need;
  need += columns * k * sizeof(double);
  if (few) {
    need += columns * k * sizeof(double) + pmn_lanczos_memory(d, k);
    if (!with_covariance) need += pmn_scatter_memory(d, pmn_lanczos_block(k));
    if (!with_covariance && need + rows * columns * sizeof(double) <= (double)options->memory)
      *kept = rows * columns * sizeof(double);
    return need;
  }
  return need + (with_covariance ? pmn_eigen_memory(columns) : pmn_gram_memory(n, d, k));
}

/* m2 becomes the covariance of the standardised columns, both triangles. */
static void covariance_fill(const pmn_fit *fit, double *m2) {
  size_t d = (size_t)fit->d;
  double divisor = (double)fit->n - 1.0;
  for (size_t i = 0; i < d; i++) {
    for (size_t j = i; j < d; j++) {
      double value = m2[i * d + j] / divisor / (fit->scale[i] * fit->scale[j]);
      m2[i * d + j] = m2[j * d + i] = value;
    }
  }
}

static pmn_status components_from_covariance(
    pmn_fit *fit, pmn_moments *moments, const pmn_fit_options *options, pmn_pool *pool, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)fit->d, k = (size_t)options->components;
  double *covariance = moments->m2, *values = pmn_alloc(d, sizeof *values), *vectors = NULL;
  bool few = few_suffice(options, fit->d), found = false;
  if (values == NULL) return pmn_err_memory(err, d * sizeof *values, "the components");
  covariance_fill(fit, covariance);
  if (few) {
    pmn_dense dense = {covariance, fit->d, pool};
    pmn_operator a = pmn_dense_operator(&dense);
    PMN_TRY(components_largest(fit, options, &a, 1.0, &found, err));
    if (found) goto done;
    PMN_TRY(pmn_watch_check(&options->watch, err));
    vectors = pmn_alloc_aligned(k * d, sizeof *vectors);
    if (vectors == NULL) {
      st = pmn_err_memory(err, k * d * sizeof *vectors, "the components");
      goto done;
    }
    PMN_TRY(pmn_eigen_largest(covariance, fit->d, options->components, values, vectors, err));
    PMN_TRY(components_choose(fit, options, values, options->components, 1.0, err));
    memcpy(fit->components, vectors, k * d * sizeof *vectors);
    fit->solver = "dsyevr";
  } else {
    PMN_TRY(pmn_watch_check(&options->watch, err));
    PMN_TRY(pmn_eigen_symmetric(covariance, fit->d, values, err));
    PMN_TRY(components_choose(fit, options, values, fit->d, 1.0, err));
    memcpy(fit->components, covariance, (size_t)fit->k * d * sizeof *covariance);
    fit->solver = "dsyevd";
  }
done:
  pmn_free(values);
  pmn_free(vectors);
  return st;
}

/* What was planned is not what is needed now. */
static pmn_status fallback_check(const pmn_fit *fit, const pmn_fit_options *options, pmn_err *err) {
  double need =
      (8.0 + options->components) * fit->d * sizeof(double) + pmn_gram_memory(fit->n, fit->d, options->components);
  if (options->memory == 0 || need <= (double)options->memory) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0,
      "the largest components of %" PRId64 " rows were not found by iteration; to find them with all others takes "
      "%.4g MB, but may take %.4g MB: allow more memory",
      fit->n, need / 1e6, (double)options->memory / 1e6);
}

static pmn_status components_from_rows(
    pmn_fit *fit, const pmn_rows *rows, const pmn_fit_options *options, pmn_pool *pool, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *inverse = pmn_alloc((size_t)fit->d, sizeof *inverse);
  pmn_gram gram = {.rows = rows, .mean = fit->mean, .inverse = inverse, .watch = &options->watch};
  pmn_scatter scatter = {.rows = rows, .mean = fit->mean, .inverse = inverse, .pool = pool, .watch = &options->watch};
  double divisor = (double)fit->n - 1.0;
  bool found = false;
  if (inverse == NULL) {
    st = pmn_err_memory(err, (size_t)fit->d * sizeof *inverse, "the components");
    goto done;
  }
  for (size_t j = 0; j < (size_t)fit->d; j++) inverse[j] = 1.0 / fit->scale[j];
  if (few_suffice(options, rows->count)) {
    pmn_operator a = pmn_scatter_operator(&scatter);
    double kept;
    (void)pmn_fit_memory(fit->n, fit->d, false, options, &kept);
    PMN_TRY(pmn_scatter_init(&scatter, pmn_lanczos_block(options->components), kept > 0, err));
    PMN_TRY(components_largest(fit, options, &a, divisor, &found, err));
    if (found) goto done;
    pmn_scatter_reset(&scatter);
    PMN_TRY(fallback_check(fit, options, err));
  }
  PMN_TRY(pmn_gram_init(&gram, err));
  PMN_TRY(components_choose(fit, options, gram.values, rows->count, divisor, err));
  PMN_TRY(pmn_gram_components(&gram, fit->k, fit->components, err));
  fit->solver = "dsyevd of the Gram matrix";
done:
  pmn_free(inverse);
  pmn_scatter_reset(&scatter);
  pmn_gram_reset(&gram);
  return st;
}

/* The entry of largest magnitude is positive; among equals, the first. */
static void signs_fix(pmn_fit *fit) {
  int d = fit->d;
  for (int32_t c = 0; c < fit->k; c++) {
    double *row = fit->components + (size_t)c * (size_t)d;
    double largest = fabs(row[cblas_idamax(d, row, 1)]);
    size_t first = 0;
    while (fabs(row[first]) < largest * (1.0 - SIGN_TIE)) first++;
    if (row[first] < 0.0) cblas_dscal(d, -1.0, row, 1);
  }
}

pmn_status pmn_fit_create(
    pmn_moments *moments, const pmn_rows *rows, const pmn_fit_options *options, pmn_fit **fit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_fit *f = NULL;
  pmn_pool *pool = NULL;
  bool pca = options->components > 0 || options->ratio > 0.0;
  *fit = NULL;
  PMN_TRY(request_check(moments, rows, options, err));
  openblas_set_num_threads(1); /* its sums depend on the number of threads, the fit must not */
  f = pmn_calloc(1, sizeof *f);
  if (f == NULL) {
    st = pmn_err_memory(err, sizeof *f, "the fit");
    goto done;
  }
  f->n = moments->n;
  f->d = moments->d;
  f->with_mean = options->with_mean;
  f->with_std = options->with_std;
  f->compat = options->compat;
  f->mean = pmn_alloc((size_t)f->d, sizeof *f->mean);
  f->shift = pmn_alloc((size_t)f->d, sizeof *f->shift);
  f->scale = pmn_alloc((size_t)f->d, sizeof *f->scale);
  if (f->mean == NULL || f->shift == NULL || f->scale == NULL) {
    st = pmn_err_memory(err, (size_t)f->d * sizeof *f->mean, "the fit");
    goto done;
  }
  scaling_fill(f, moments, f->with_mean || (pca && f->compat == PMN_COMPAT_SKLEARN));
  if (pca) {
    if (f->total_variance == 0.0)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "no column varies: all %" PRId64 " rows are the same, so there is nothing for PCA to explain", f->n);
    PMN_TRY(pmn_pool_create(options->threads > 0 ? options->threads : 1, &pool, err));
    PMN_TRY(moments->m2 != NULL ? components_from_covariance(f, moments, options, pool, err)
                                : components_from_rows(f, rows, options, pool, err));
    signs_fix(f);
  }
  *fit = f;
  f = NULL;
done:
  pmn_pool_destroy(pool);
  pmn_fit_destroy(f);
  return st;
}

void pmn_fit_destroy(pmn_fit *fit) {
  if (fit == NULL) return;
  pmn_free(fit->mean);
  pmn_free(fit->shift);
  pmn_free(fit->spectrum);
  pmn_free(fit->scale);
  pmn_free(fit->components);
  pmn_free(fit->explained_variance);
  pmn_free(fit->explained_ratio);
  pmn_free(fit);
}

int32_t pmn_fit_width(const pmn_fit *fit) {
  return fit->k > 0 ? fit->k : fit->d;
}
