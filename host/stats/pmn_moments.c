/* pmn_moments.c - n, mean and M2 of a stream of rows, in one pass.
 *
 * Workload: 10^4 to 10^7 rows of 100 to 8192 features, in listing order - so blocks are pictures of one kind, unlike
 * the rest, and a column's mean may be 10^6 deviations away from zero.
 *
 * Each block of PMN_MOMENTS_BLOCK = 2^12 rows is centred by its own mean and merged into (n, mean, M2) with
 *   delta = mean_block - mean,  w = n n_block / (n + n_block)
 *   M2   += sum over the block of y y' + w delta delta',  y = x - mean_block
 *   mean += delta n_block / (n + n_block)                               (Chan, Golub, LeVeque 1983)
 * One shift for the whole stream (a pilot, say the first block's mean) would be cheaper by a pass but wrong: where
 * later blocks lie far from the pilot, rounding x - pilot to the device's f32 costs 2^-24 of that distance, not of the
 * deviation.
 *
 * Error: 2^12 values of 24 bits sum exactly in fp64 unless their magnitudes differ by more than 2^17, so mean_block is
 * right to the last bit or so. y is rounded to f32 after centring: at most 2^-24 of its own size, so by Cauchy-Schwarz
 * an entry of M2 moves by at most 2^-23 sqrt(M2_ii M2_jj). Means and variances never pass through f32. A column of one
 * and the same value gives exactly 0.
 *
 * Bits: blocks are cut at multiples of PMN_MOMENTS_BLOCK whatever the calls of add, host sums run in row order, and
 * syrk gives the same bits for the same block. */
#include "pmn_moments.h"

#include "pmn_eigen.h"
#include "pmn_mem.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define BLOCK_ROWS_FIRST 64 /* a power of two, so that doubling ends at PMN_MOMENTS_BLOCK */

pmn_status pmn_moments_create(
    pmn_device *device, int32_t d, bool with_covariance, pmn_moments **moments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t square = 0;
  pmn_moments *m = NULL;
  *moments = NULL;
  if (d < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics of %" PRId32 " columns: there must be at least one", d);
  /* Said now rather than after hours of pictures. */
  if (with_covariance && d > PMN_EIGEN_ORDER_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "PCA of %" PRId32 " columns with more rows than that is not possible: at most %d columns; pool the features", d,
        PMN_EIGEN_ORDER_MAX);
  m = pmn_calloc(1, sizeof *m);
  if (m == NULL) {
    st = pmn_err_memory(err, sizeof *m, "moments");
    goto done;
  }
  m->device = device;
  m->d = d;
  size_t columns = (size_t)d;
  m->delta = pmn_alloc_aligned(columns, sizeof *m->delta);
  m->mean = pmn_calloc(columns, sizeof *m->mean);
  m->squares = pmn_calloc(columns, sizeof *m->squares);
  if (m->delta == NULL || m->mean == NULL || m->squares == NULL) {
    st = pmn_err_memory(err, columns * sizeof *m->mean, "moments");
    goto done;
  }
  if (with_covariance) {
    /* At most 2^30 entries, by the check above. */
    square = columns * columns;
    m->m2 = pmn_calloc(square, sizeof *m->m2);
    if (m->m2 == NULL) {
      st = pmn_err_memory(err, square * sizeof *m->m2, "the covariance of the features");
      goto done;
    }
  }
  *moments = m;
  m = NULL;
done:
  pmn_moments_destroy(m);
  return st;
}

void pmn_moments_destroy(pmn_moments *moments) {
  if (moments == NULL) return;
  pmn_free(moments->block);
  pmn_free(moments->delta);
  pmn_free(moments->mean);
  pmn_free(moments->squares);
  pmn_free(moments->m2);
  pmn_free(moments);
}

int64_t pmn_moments_count(const pmn_moments *moments) {
  return moments->n + moments->pending;
}

/* Index of the first value that is NaN or infinite, or `count`. The whole run is looked at without a branch first. */
static int64_t nonfinite_find(const float *x, int64_t count) {
  const uint32_t exponent = 0x7f800000u;
  uint32_t bits, any = 0;
  for (int64_t i = 0; i < count; i++) {
    memcpy(&bits, &x[i], sizeof bits);
    any |= (uint32_t)((bits & exponent) == exponent);
  }
  if (any == 0) return count;
  int64_t first = 0;
  while (isfinite(x[first])) first++;
  return first;
}

/* delta = mean of the block, squares += sum of y^2, block = f32(y). */
static void block_centre(pmn_moments *m) {
  size_t d = (size_t)m->d, rows = (size_t)m->pending;
  double *restrict mean = m->delta, *restrict squares = m->squares;
  memset(mean, 0, d * sizeof *mean);
  for (size_t i = 0; i < rows; i++) {
    const float *restrict x = m->block + i * d;
    for (size_t j = 0; j < d; j++) mean[j] += (double)x[j];
  }
  for (size_t j = 0; j < d; j++) mean[j] /= (double)rows;
  for (size_t i = 0; i < rows; i++) {
    float *restrict x = m->block + i * d;
    for (size_t j = 0; j < d; j++) {
      double y = (double)x[j] - mean[j];
      squares[j] += y * y;
      x[j] = (float)y;
    }
  }
}

/* The between-block part of Chan's formula; the scatter within the block is already in squares and m2. */
static void block_merge(pmn_moments *m) {
  size_t d = (size_t)m->d;
  double before = (double)m->n, rows = (double)m->pending, total = before + rows;
  double weight = before * rows / total;
  double *restrict delta = m->delta;
  for (size_t j = 0; j < d; j++) {
    delta[j] -= m->mean[j];
    m->squares[j] += weight * delta[j] * delta[j];
  }
  for (size_t i = 0; m->n > 0 && m->m2 != NULL && i < d; i++) {
    double *restrict row = m->m2 + i * d;
    double factor = weight * delta[i];
    for (size_t j = i; j < d; j++) row[j] += factor * delta[j];
  }
  for (size_t j = 0; j < d; j++) m->mean[j] += delta[j] * (rows / total);
}

static pmn_status block_sum(pmn_moments *m, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)m->d;
  block_centre(m);
  if (m->m2 != NULL) {
    PMN_TRY(pmn_device_syrk(m->device, m->block, m->pending, m->d, m->m2, err));
    for (size_t j = 0; j < d; j++) {
      if (!isfinite(m->m2[j * d + j]))
        PMN_FAIL(err, PMN_STATUS_ARGUMENT,
            "column %zu, rows %" PRId64 " to %" PRId64 ": the values are too large to be squared in fp32", j, m->n,
            m->n + m->pending - 1);
    }
  }
  block_merge(m);
  m->n += m->pending;
  m->pending = 0;
done:
  return st;
}

/* Room for the pending rows and `more`, together at most PMN_MOMENTS_BLOCK. */
static pmn_status block_reserve(pmn_moments *m, int64_t more, pmn_err *err) {
  int64_t need = m->pending + more, rows = m->block_rows > 0 ? m->block_rows : BLOCK_ROWS_FIRST;
  if (need <= m->block_rows) return PMN_STATUS_OK;
  while (rows < need) rows *= 2;
  size_t row_bytes = (size_t)m->d * sizeof *m->block;
  float *block = pmn_realloc(m->block, (size_t)rows, row_bytes);
  if (block == NULL) return pmn_err_memory(err, (size_t)rows * row_bytes, "a block of feature rows");
  m->block = block;
  m->block_rows = (int32_t)rows;
  return PMN_STATUS_OK;
}

pmn_status pmn_moments_add(pmn_moments *moments, const float *x, int64_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)moments->d;
  if (moments->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "rows were added to statistics that are finished");
  while (n > 0) {
    int64_t take = PMN_MOMENTS_BLOCK - moments->pending;
    if (take > n) take = n;
    int64_t values = take * (int64_t)d, bad = nonfinite_find(x, values);
    if (bad < values)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "row %" PRId64 ", column %" PRId64 " is %s: statistics need finite values",
          pmn_moments_count(moments) + bad / (int64_t)d, bad % (int64_t)d, isnan(x[bad]) ? "NaN" : "infinite");
    PMN_TRY(block_reserve(moments, take, err));
    memcpy(moments->block + (size_t)moments->pending * d, x, (size_t)values * sizeof *x);
    moments->pending += (int32_t)take;
    if (moments->pending == PMN_MOMENTS_BLOCK) PMN_TRY(block_sum(moments, err));
    x += values;
    n -= take;
  }
done:
  return st;
}

pmn_status pmn_moments_finish(pmn_moments *moments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (moments->pending > 0) PMN_TRY(block_sum(moments, err));
  moments->finished = true;
  /* The fit may need as much memory again. */
  pmn_free(moments->block);
  moments->block = NULL;
done:
  return st;
}
