/* pmn_moments.c - n, mean and M2 of a stream of rows, in one pass.
 *
 * Workload: 10^4 to 10^7 rows of 100 to 8192 features, in listing order - so blocks are pictures of one kind, unlike
 * the rest, and a column's mean may be 10^6 deviations away from zero.
 *
 * Rows are counted from the first one, x0: what is summed is of the size of the deviations, however far away the mean.
 * Each block of PMN_MOMENTS_BLOCK = 2^12 rows is centred by its own mean and merged into (n, mean, M2) with
 *   delta = mean_block - mean,  w = n n_block / (n + n_block)
 *   M2   += sum over the block of y y' + w delta delta',  y = x - mean_block
 *   mean += delta n_block / (n + n_block)                               (Chan, Golub, LeVeque 1983)
 * Moments of other runs are merged by the same formula, so it does not matter who saw which rows.
 *
 * Error: everything is fp64, unless the device has none. x - x0 is exact while x is within a factor of two of x0, and
 * else off by 2^-53 of itself; so are the means, and an entry of M2 moves by some 2^-53 sqrt(n) sqrt(M2_ii M2_jj). A
 * device without fp64 rounds y to fp32: 2^-23 instead. A column of one and the same value gives exactly 0.
 *
 * Bits: blocks are cut at multiples of one number of rows whatever the calls of add, host sums run in row order, and
 * syrk gives the same bits for the same block. */
#include "pmn_moments.h"

#include "pmn_eigen.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A power of two, so that doubling ends at the most. Means alone need no large blocks. */
#define BLOCK_ROWS_FIRST 64

static int32_t block_most(int32_t d, bool with_covariance) {
  return with_covariance ? PMN_MOMENTS_BLOCK : pmn_block_rows(d);
}

double pmn_moments_memory(const pmn_device *device, int64_t n, int32_t d, bool with_covariance) {
  int32_t most = block_most(d, with_covariance), rows = n < most ? (int32_t)n : most;
  double columns = d, numbers = (4.0 + rows + (with_covariance ? columns : 0.0)) * columns;
  return numbers * sizeof(double) + (with_covariance ? pmn_device_syrk_bytes(device, rows, d) : 0.0);
}

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
        "the covariance of %" PRId32 " columns is too large: at most %d columns are possible", d, PMN_EIGEN_ORDER_MAX);
  m = pmn_calloc(1, sizeof *m);
  if (m == NULL) {
    st = pmn_err_memory(err, sizeof *m, "moments");
    goto done;
  }
  m->device = device;
  m->d = d;
  m->block_most = block_most(d, with_covariance);
  size_t columns = (size_t)d;
  m->delta = pmn_alloc_aligned(columns, sizeof *m->delta);
  m->origin = pmn_calloc(columns, sizeof *m->origin);
  m->offset = pmn_calloc(columns, sizeof *m->offset);
  m->squares = pmn_calloc(columns, sizeof *m->squares);
  if (m->delta == NULL || m->origin == NULL || m->offset == NULL || m->squares == NULL) {
    st = pmn_err_memory(err, columns * sizeof *m->offset, "moments");
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
  pmn_free(moments->origin);
  pmn_free(moments->offset);
  pmn_free(moments->squares);
  pmn_free(moments->m2);
  pmn_free(moments);
}

int64_t pmn_moments_count(const pmn_moments *moments) {
  return moments->n + moments->pending;
}

/* delta = mean of the block, from its sums; squares += sum of y^2, block = y. */
static void block_centre(pmn_moments *m) {
  size_t d = (size_t)m->d, rows = (size_t)m->pending;
  double *restrict mean = m->delta, *restrict squares = m->squares;
  for (size_t j = 0; j < d; j++) mean[j] /= (double)rows;
  for (size_t i = 0; i < rows; i++) {
    double *restrict x = m->block + i * d;
    for (size_t j = 0; j < d; j++) {
      x[j] -= mean[j];
      squares[j] += x[j] * x[j];
    }
  }
}

/* `rows` more, whose offset is in delta and whose scatter about their mean is in squares and m2 already: what is left
 * of Chan's formula, the part between the two. */
static void means_merge(pmn_moments *m, int64_t rows) {
  size_t d = (size_t)m->d;
  double before = (double)m->n, total = before + (double)rows;
  double weight = before * (double)rows / total;
  double *restrict delta = m->delta;
  for (size_t j = 0; j < d; j++) {
    delta[j] -= m->offset[j];
    m->squares[j] += weight * delta[j] * delta[j];
  }
  for (size_t i = 0; m->n > 0 && m->m2 != NULL && i < d; i++) {
    double *restrict row = m->m2 + i * d;
    double factor = weight * delta[i];
    for (size_t j = i; j < d; j++) row[j] += factor * delta[j];
  }
  for (size_t j = 0; j < d; j++) m->offset[j] += delta[j] * ((double)rows / total);
  m->n += rows;
}

static pmn_status block_sum(pmn_moments *m, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t d = (size_t)m->d;
  block_centre(m);
  if (m->m2 != NULL) PMN_TRY(pmn_device_syrk(m->device, m->block, m->pending, m->d, m->m2, err));
  for (size_t j = 0; j < d; j++) {
    if (!isfinite(m->squares[j]) || (m->m2 != NULL && !isfinite(m->m2[j * d + j])))
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "column %zu, rows %" PRId64 " to %" PRId64 ": the values are too large to be squared", j, m->n,
          m->n + m->pending - 1);
  }
  means_merge(m, m->pending);
  m->pending = 0;
done:
  return st;
}

/* Room for the pending rows and `more`, together at most block_most. */
static pmn_status block_reserve(pmn_moments *m, int64_t more, pmn_err *err) {
  int64_t need = m->pending + more, rows = m->block_rows;
  if (need <= rows) return PMN_STATUS_OK;
  if (rows == 0) rows = m->block_most < BLOCK_ROWS_FIRST ? m->block_most : BLOCK_ROWS_FIRST;
  while (rows < need) rows *= 2;
  size_t row_bytes = (size_t)m->d * sizeof *m->block;
  double *block = pmn_realloc(m->block, (size_t)rows, row_bytes);
  if (block == NULL) return pmn_err_memory(err, (size_t)rows * row_bytes, "a block of feature rows");
  m->block = block;
  m->block_rows = (int32_t)rows;
  return PMN_STATUS_OK;
}

/* One row, of one type or the other, less origin, behind those that wait; room is there. */
static void add_row(pmn_moments *m, const float *narrow, const double *wide) {
  size_t d = (size_t)m->d;
  double *restrict row = m->block + (size_t)m->pending * d;
  double *restrict sums = m->delta, *restrict origin = m->origin;
  for (size_t j = 0; narrow != NULL && j < d; j++) row[j] = (double)narrow[j];
  if (wide != NULL) memcpy(row, wide, d * sizeof *row);
  if (pmn_moments_count(m) == 0) memcpy(origin, row, d * sizeof *origin);
  if (m->pending == 0) memset(sums, 0, d * sizeof *sums);
  for (size_t j = 0; j < d; j++) {
    row[j] -= origin[j];
    sums[j] += row[j];
  }
  m->pending++;
}

/* The last n rows that were added are finite. NaN and infinity stay in the sums, so these are looked at first. */
static pmn_status check_rows(const pmn_moments *m, const float *narrow, const double *wide, int64_t n, pmn_err *err) {
  size_t d = (size_t)m->d, values = (size_t)n * d;
  if (pmn_nonfinite_find_wide(m->delta, d) == d) return PMN_STATUS_OK;
  size_t bad = wide != NULL ? pmn_nonfinite_find_wide(wide, values) : pmn_nonfinite_find(narrow, values);
  if (bad == values) return PMN_STATUS_OK; /* a sum that is too large: block_sum's business */
  bool is_nan = wide != NULL ? isnan(wide[bad]) : isnan(narrow[bad]);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "row %" PRId64 ", column %zu is %s: statistics need finite values",
      pmn_moments_count(m) - n + (int64_t)(bad / d), bad % d, is_nan ? "NaN" : "infinite");
}

/* Rows of one type or the other. */
static pmn_status add(pmn_moments *m, const float *narrow, const double *wide, int64_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t d = m->d;
  if (m->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "rows were added to statistics that are finished");
  while (n > 0) {
    int64_t take = m->block_most - m->pending;
    if (take > n) take = n;
    PMN_TRY(block_reserve(m, take, err));
    for (int64_t i = 0; i < take; i++) {
      add_row(m, narrow != NULL ? narrow + i * d : NULL, wide != NULL ? wide + i * d : NULL);
    }
    PMN_TRY(check_rows(m, narrow, wide, take, err));
    if (narrow != NULL) narrow += take * d;
    if (wide != NULL) wide += take * d;
    if (m->pending == m->block_most) PMN_TRY(block_sum(m, err));
    n -= take;
  }
done:
  return st;
}

pmn_status pmn_moments_add(pmn_moments *moments, const float *x, int64_t n, pmn_err *err) {
  return add(moments, x, NULL, n, err);
}

pmn_status pmn_moments_add_wide(pmn_moments *moments, const double *x, int64_t n, pmn_err *err) {
  return add(moments, NULL, x, n, err);
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

#define ROWS_MAX ((int64_t)1 << 53)

pmn_status pmn_moments_merge(pmn_moments *moments, const pmn_moments_view *other, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_moments *m = moments;
  size_t d = (size_t)m->d;
  if (other->d != m->d)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics of %" PRId32 " columns cannot be added to those of %" PRId32,
        other->d, m->d);
  if (m->m2 != NULL && other->m2 == NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics without a covariance cannot be added to those with one");
  if (m->pending > 0 || other->n < 1)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "statistics can be added to each other once their last row is in");
  if (other->n > ROWS_MAX - m->n)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "more than 2^53 rows together: fp64 cannot count them");
  for (size_t j = 0; j < d; j++) m->squares[j] += other->squares[j];
  for (size_t i = 0; m->m2 != NULL && i < d; i++) {
    for (size_t j = i; j < d; j++) m->m2[i * d + j] += other->m2[i * d + j];
  }
  if (m->n == 0) memcpy(m->origin, other->origin, d * sizeof *m->origin);
  for (size_t j = 0; j < d; j++) m->delta[j] = other->origin[j] - m->origin[j] + other->offset[j];
  means_merge(m, other->n);
done:
  return st;
}

pmn_moments_view pmn_moments_look(const pmn_moments *moments) {
  return (pmn_moments_view){moments->n, moments->d, moments->origin, moments->offset, moments->squares, moments->m2};
}
