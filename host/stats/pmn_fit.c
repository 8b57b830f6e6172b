/* pmn_fit.c - from moments to StandardScaler and PCA, by scikit-learn's definitions.
 *
 * scale     = sqrt(squares / n); a column whose variance rounding cannot tell from 0 has scale 1 and is constant:
 *             var <= n eps var + (n mean eps)^2, the bound of the two-pass variance (Chan, Golub, LeVeque 1983)
 * variance  = eigenvalues of M2 / (n - 1), divided by scale_i scale_j when standardised; negative rounding is 0
 * ratio     = variance / (sum of the variances of all columns)
 * K by r    = the fewest components whose ratios sum to more than r
 *
 * Everything here is fp64 on the host: 0.1 to some seconds for 1280 columns, once per run. */
#include "pmn_eigen.h"
#include "pmn_gram.h"
#include "pmn_mem.h"
#include "pmn_moments.h"

#include <cblas.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Two entries of a component this close, relatively, count as equal in magnitude: rounding rows to f32 moves entries by
 * up to about 1e-7, and the sign must not hang on that. */
#define SIGN_TIE 1e-6

static pmn_status request_check(
    const pmn_moments *moments, const pmn_rows *rows, const pmn_fit_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t n = moments->n, most = n < moments->d ? n : moments->d;
  bool pca = options->components != 0 || options->ratio != 0.0;
  if (!moments->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics were asked for before the last row was in");
  if (!options->standardize && !pca)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nothing to fit: ask for standardisation, for PCA, or for both");
  if (options->components < 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA of %" PRId32 " components: ask for at least 1", options->components);
  if (options->components != 0 && options->ratio != 0.0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA takes a number of components or a ratio of variance, not both");
  if (!(options->ratio >= 0.0 && options->ratio < 1.0))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA by ratio %g: the ratio must lie between 0 and 1", options->ratio);
  if (n == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "there are no rows: statistics need at least two");
  if (n == 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "one row has no variance: statistics need at least two rows");
  if (options->components > most)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "PCA of %" PRId32 " components needs as many rows and columns; there are %" PRId64 " rows of %" PRId32
        " columns: ask for at most %" PRId64 " components",
        options->components, n, moments->d, most);
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

static bool column_is_constant(double variance, double mean, double n) {
  double error = n * mean * DBL_EPSILON;
  return variance <= n * DBL_EPSILON * variance + error * error;
}

static void scaling_fill(pmn_fit *fit, const pmn_moments *moments) {
  double n = (double)moments->n;
  for (size_t j = 0; j < (size_t)fit->d; j++) {
    double variance = moments->squares[j] / n;
    bool constant = column_is_constant(variance, moments->mean[j], n);
    fit->mean[j] = moments->mean[j];
    fit->scale[j] = fit->standardized && !constant ? sqrt(variance) : 1.0;
    fit->constant_columns += constant;
    fit->total_variance += moments->squares[j] / (n - 1.0) / (fit->scale[j] * fit->scale[j]);
  }
}

/* Keeps K of `count` eigenvalues, descending, each the variance of a component times `divisor`: sets k and allocates.
 */
static pmn_status components_choose(
    pmn_fit *fit, const pmn_fit_options *options, const double *values, int64_t count, double divisor, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = 0;
  int32_t most = fit->n < fit->d ? (int32_t)fit->n : fit->d;
  if (count < most) most = (int32_t)count;
  int32_t k = options->components;
  double sum = 0.0;
  /* The trace of what was decomposed, so that ratios sum to 1 to the last bits and a K by ratio near 1 is right. */
  fit->total_variance = 0.0;
  for (int64_t c = 0; c < count; c++) fit->total_variance += fmax(values[c], 0.0) / divisor;
  while (options->components == 0 && k < most && sum <= options->ratio) {
    sum += fmax(values[k++], 0.0) / divisor / fit->total_variance;
  }
  if (pmn_size_mul((size_t)k, (size_t)fit->d, &size)) fit->components = pmn_alloc_aligned(size, sizeof(double));
  fit->explained_variance = pmn_alloc((size_t)k, sizeof(double));
  fit->explained_ratio = pmn_alloc((size_t)k, sizeof(double));
  if (fit->components == NULL || fit->explained_variance == NULL || fit->explained_ratio == NULL) {
    st = pmn_err_memory(err, size * sizeof(double), "the components");
    goto done;
  }
  for (int32_t c = 0; c < k; c++) {
    fit->explained_variance[c] = fmax(values[c], 0.0) / divisor;
    fit->explained_ratio[c] = fit->explained_variance[c] / fit->total_variance;
  }
  fit->k = k;
done:
  return st;
}

static pmn_status components_from_covariance(
    pmn_fit *fit, const pmn_moments *moments, const pmn_fit_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)fit->d;
  double divisor = (double)fit->n - 1.0;
  /* d * d doubles are in moments->m2 already: the product fits. */
  double *covariance = pmn_alloc_aligned(d * d, sizeof *covariance);
  double *values = pmn_alloc(d, sizeof *values);
  if (covariance == NULL || values == NULL) {
    st = pmn_err_memory(err, d * d * sizeof *covariance, "the covariance of the features");
    goto done;
  }
  for (size_t i = 0; i < d; i++) {
    for (size_t j = i; j < d; j++) {
      covariance[i * d + j] = moments->m2[i * d + j] / divisor / (fit->scale[i] * fit->scale[j]);
    }
  }
  PMN_TRY(pmn_eigen_symmetric(covariance, fit->d, values, err));
  PMN_TRY(components_choose(fit, options, values, fit->d, 1.0, err));
  memcpy(fit->components, covariance, (size_t)fit->k * d * sizeof *covariance);
done:
  pmn_free(covariance);
  pmn_free(values);
  return st;
}

static pmn_status components_from_rows(
    pmn_fit *fit, const pmn_rows *rows, const pmn_fit_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_gram gram = {0};
  PMN_TRY(pmn_gram_init(&gram, rows, fit->mean, fit->scale, err));
  PMN_TRY(components_choose(fit, options, gram.values, rows->count, (double)fit->n - 1.0, err));
  PMN_TRY(pmn_gram_components(&gram, fit->k, fit->components, err));
done:
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
    const pmn_moments *moments, const pmn_rows *rows, const pmn_fit_options *options, pmn_fit **fit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_fit *f = NULL;
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
  f->standardized = options->standardize;
  f->mean = pmn_alloc((size_t)f->d, sizeof *f->mean);
  f->scale = pmn_alloc((size_t)f->d, sizeof *f->scale);
  if (f->mean == NULL || f->scale == NULL) {
    st = pmn_err_memory(err, (size_t)f->d * sizeof *f->mean, "the fit");
    goto done;
  }
  scaling_fill(f, moments);
  if (options->components > 0 || options->ratio > 0.0) {
    if (f->constant_columns == f->d)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "no column varies: all %" PRId64 " rows are the same, so there is nothing for PCA to explain", f->n);
    PMN_TRY(moments->m2 != NULL ? components_from_covariance(f, moments, options, err)
                                : components_from_rows(f, rows, options, err));
    signs_fix(f);
  }
  *fit = f;
  f = NULL;
done:
  pmn_fit_destroy(f);
  return st;
}

void pmn_fit_destroy(pmn_fit *fit) {
  if (fit == NULL) return;
  pmn_free(fit->mean);
  pmn_free(fit->scale);
  pmn_free(fit->components);
  pmn_free(fit->explained_variance);
  pmn_free(fit->explained_ratio);
  pmn_free(fit);
}

int32_t pmn_fit_width(const pmn_fit *fit) {
  return fit->k > 0 ? fit->k : fit->d;
}
