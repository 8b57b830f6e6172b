/* pmn_gram.c - see pmn_gram.h.
 *
 * Workload: 8 to some thousand rows of 8192 columns and more, where the covariance [d, d] would cost d/n times as much.
 * With y the standardised rows, [n, d], fp64 throughout:
 *   y y' = U L U'      (n x n; as in "snapshot" PCA, Sirovich 1987)
 *   V = L^-1/2 U' y    rows are the eigenvectors of y'y, with the same eigenvalues
 * A tile of rows is in memory at a time, besides U and V. Dividing by a small L magnifies rounding: components of value
 * l come out at right angles to about eps * largest / l only. So V is made orthonormal again by CholeskyQR: V V' = R
 * R', V := R^-1 V. It squares the condition number, but V's is near 1. R is lower triangular, so a component is only
 * corrected by those before it, as by Gram-Schmidt.
 *
 * Centred rows have rank n - 1 at most, yet k = n may be asked for (scikit-learn allows it): eigenvalues that rounding
 * cannot tell from 0 are set to 0 and V is completed by unit vectors, each the one that lies farthest from V. */
#include "pmn_gram.h"

#include "pmn_eigen.h"
#include "pmn_mem.h"
#include "pmn_operators.h"

#include <cblas.h>
#include <float.h>
#include <inttypes.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#define TILE_BYTES (32u << 20) /* of fp64 rows; two tiles are held */

typedef struct tile {
  int32_t rows_max;
  double *y; /* [rows_max, width] */
} tile;

static int32_t tile_rows(int64_t count, int32_t width) {
  int64_t fit = (int64_t)TILE_BYTES / (int64_t)sizeof(double) / width;
  if (fit > count) fit = count;
  return fit < 1 ? 1 : (int32_t)fit;
}

double pmn_gram_memory(int64_t n, int32_t d, int32_t k) {
  int32_t rows = tile_rows(n, d);
  double count = (double)n, square = count * count + count, values = (double)rows * d, triangle = (double)k * k;
  double finding = 2.0 * values * sizeof values, solving = pmn_eigen_memory(count);
  double projecting = (fmax(values, triangle) + (double)(d + k)) * sizeof values;
  return square * sizeof square + fmax(fmax(finding, solving), projecting);
}

static void tile_reset(tile *t) {
  pmn_free(t->y);
}

static pmn_status tile_init(tile *t, const pmn_rows *rows, pmn_err *err) {
  size_t size;
  memset(t, 0, sizeof *t);
  t->rows_max = tile_rows(rows->count, rows->width);
  if (!pmn_size_mul((size_t)t->rows_max, (size_t)rows->width, &size))
    return pmn_err_memory(err, SIZE_MAX, "feature rows");
  t->y = pmn_alloc_aligned(size, sizeof *t->y);
  if (t->y == NULL) return pmn_err_memory(err, size * sizeof *t->y, "a tile of feature rows");
  return PMN_STATUS_OK;
}

/* Rows [first, first + n) into t->y. */
static pmn_status tile_read(tile *t, const pmn_gram *gram, int64_t first, int32_t n, pmn_err *err) {
  pmn_status st = pmn_watch_check(gram->watch, err);
  if (st != PMN_STATUS_OK) return st;
  return pmn_rows_standardise(gram->rows, gram->mean, gram->inverse, first, n, t->y, err);
}

static int32_t tile_length(const tile *t, int64_t first, int64_t count) {
  return count - first < t->rows_max ? (int32_t)(count - first) : t->rows_max;
}

/* vectors = y y', its upper triangle (and a little below it). */
static pmn_status gram_fill(pmn_gram *gram, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t d = gram->rows->width;
  int64_t n = gram->rows->count;
  tile left = {0}, right = {0};
  PMN_TRY(tile_init(&left, gram->rows, err));
  if (n > left.rows_max) PMN_TRY(tile_init(&right, gram->rows, err));
  for (int64_t i = 0; i < n; i += left.rows_max) {
    int32_t i_rows = tile_length(&left, i, n);
    PMN_TRY(tile_read(&left, gram, i, i_rows, err));
    for (int64_t j = i; j < n; j += left.rows_max) {
      int32_t j_rows = tile_length(&left, j, n);
      const double *y = left.y;
      if (j > i) {
        PMN_TRY(tile_read(&right, gram, j, j_rows, err));
        y = right.y;
      }
      cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, i_rows, j_rows, d, 1.0, left.y, d, y, d, 0.0,
          gram->vectors + i * n + j, (int)n);
    }
  }
done:
  tile_reset(&left);
  tile_reset(&right);
  return st;
}

pmn_status pmn_gram_init(pmn_gram *gram, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_rows *rows = gram->rows;
  size_t square = 0;
  if (rows->count > PMN_EIGEN_ORDER_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "PCA of %" PRId64 " rows by their Gram matrix: at most %d rows are possible",
        rows->count, PMN_EIGEN_ORDER_MAX);
  size_t n = (size_t)rows->count, longer = n > (size_t)rows->width ? n : (size_t)rows->width;
  if (pmn_size_mul(n, n, &square)) gram->vectors = pmn_alloc_aligned(square, sizeof *gram->vectors);
  gram->values = pmn_alloc(n, sizeof *gram->values);
  if (gram->vectors == NULL || gram->values == NULL) {
    st = pmn_err_memory(err, square * sizeof *gram->vectors, "the Gram matrix of the features");
    goto done;
  }
  PMN_TRY(gram_fill(gram, err));
  PMN_TRY(pmn_watch_check(gram->watch, err));
  PMN_TRY(pmn_eigen_symmetric(gram->vectors, (int32_t)n, gram->values, err));
  double smallest = DBL_EPSILON * (double)longer * gram->values[0];
  for (size_t c = 0; c < n; c++) {
    if (!(gram->values[c] > smallest)) gram->values[c] = 0.0;
  }
done:
  return st;
}

void pmn_gram_reset(pmn_gram *gram) {
  pmn_free(gram->vectors);
  pmn_free(gram->values);
  gram->vectors = gram->values = NULL;
}

/* v [k, d] := R^-1 v with v v' = R R'. */
static pmn_status rows_orthonormalise(double *v, int32_t k, int32_t d, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *r = pmn_alloc_aligned((size_t)k * (size_t)k, sizeof *r);
  if (r == NULL) return pmn_err_memory(err, (size_t)k * (size_t)k * sizeof *r, "the components");
  cblas_dsyrk(CblasRowMajor, CblasLower, CblasNoTrans, k, d, 1.0, v, d, 0.0, r, k);
  /* Column-major upper is row-major lower. */
  lapack_int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', k, r, k);
  if (info != 0)
    PMN_FAIL_CODE(err, PMN_STATUS_DEVICE, info,
        "component %" PRId32 " of %" PRId32 " cannot be told from those before it: ask for fewer components",
        (int32_t)info, k);
  cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, k, d, 1.0, r, k, v, d);
done:
  pmn_free(r);
  return st;
}

/* Rows [have, k) of v become unit vectors orthogonal to all before them. The squares of column j of v sum to the share
 * of unit vector j that v already spans; over all j they sum to the rows of v, so the least is at most rows / d: what
 * is left of that unit vector is at least 1 / sqrt(d) long, and one Gram-Schmidt step loses no more than a factor
 * sqrt(d).
 */
static pmn_status rows_complete(double *v, int32_t have, int32_t k, int32_t d, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *spanned = pmn_calloc((size_t)d, sizeof *spanned);
  double *overlap = pmn_alloc((size_t)k, sizeof *overlap);
  if (spanned == NULL || overlap == NULL) {
    st = pmn_err_memory(err, (size_t)d * sizeof *spanned, "the components");
    goto done;
  }
  for (int32_t c = 0; c < k; c++) {
    double *row = v + (size_t)c * (size_t)d;
    if (c >= have) {
      size_t least = 0;
      for (size_t j = 1; j < (size_t)d; j++) {
        if (spanned[j] < spanned[least]) least = j;
      }
      memset(row, 0, (size_t)d * sizeof *row);
      row[least] = 1.0;
      if (c > 0) {
        cblas_dgemv(CblasRowMajor, CblasNoTrans, c, d, 1.0, v, d, row, 1, 0.0, overlap, 1);
        cblas_dgemv(CblasRowMajor, CblasTrans, c, d, -1.0, v, d, overlap, 1, 1.0, row, 1);
      }
      cblas_dscal(d, 1.0 / cblas_dnrm2(d, row, 1), row, 1);
    }
    for (size_t j = 0; j < (size_t)d; j++) spanned[j] += row[j] * row[j];
  }
done:
  pmn_free(spanned);
  pmn_free(overlap);
  return st;
}

pmn_status pmn_gram_components(const pmn_gram *gram, int32_t k, double *components, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t d = gram->rows->width, have = 0;
  int64_t n = gram->rows->count;
  tile t = {0};
  while (have < k && gram->values[have] > 0.0) have++;
  PMN_TRY(tile_init(&t, gram->rows, err));
  for (int64_t first = 0; have > 0 && first < n; first += t.rows_max) {
    int32_t length = tile_length(&t, first, n);
    PMN_TRY(tile_read(&t, gram, first, length, err));
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, have, d, length, 1.0, gram->vectors + first, (int)n, t.y, d,
        first == 0 ? 0.0 : 1.0, components, d);
  }
  for (int32_t c = 0; c < have; c++) {
    cblas_dscal(d, 1.0 / sqrt(gram->values[c]), components + (size_t)c * (size_t)d, 1);
  }
  if (have > 0) PMN_TRY(rows_orthonormalise(components, have, d, err));
  if (have < k) PMN_TRY(rows_complete(components, have, k, d, err));
done:
  tile_reset(&t);
  return st;
}
