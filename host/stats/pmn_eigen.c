/* pmn_eigen.c - LAPACK's divide and conquer (dsyevd), and its relatively robust representations for some of the vectors
 * (dsyevr), with their workspace from pmn_mem and their order turned around.
 *
 * LAPACK is column-major: our upper triangle is its lower one, and its eigenvector columns are our rows, so nothing is
 * transposed. The `_work` entry leaves all allocation to us. Workload: order 100 to 8192; at 8192 the workspace is 1
 * GiB. */
#include "pmn_eigen.h"

#include "pmn_mem.h"

#include <inttypes.h>
#include <lapacke.h>
#include <string.h>

double pmn_eigen_memory(double order) {
  return (2.0 * order * order + 8.0 * order) * sizeof(double);
}

static void double_swap(double *a, double *b) {
  double t = *a;
  *a = *b;
  *b = t;
}

/* LAPACK gives ascending eigenvalues: turns `count` of them and their vectors around. */
static void order_reverse(double *a, size_t count, size_t order, double *values) {
  for (size_t top = 0, bottom = count - 1; top < bottom; top++, bottom--) {
    double_swap(&values[top], &values[bottom]);
    for (size_t j = 0; j < order; j++) double_swap(&a[top * order + j], &a[bottom * order + j]);
  }
}

pmn_status pmn_eigen_symmetric(double *a, int32_t order, double *values, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *work = NULL, work_size = 0;
  lapack_int *integers = NULL, integers_size = 0;
  if (order > PMN_EIGEN_ORDER_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "eigenvectors of a matrix of order %" PRId32 ": at most %d is possible", order,
        PMN_EIGEN_ORDER_MAX);
  lapack_int info =
      LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'V', 'L', order, a, order, values, &work_size, -1, &integers_size, -1);
  if (info == 0) {
    work = pmn_alloc_aligned((size_t)work_size, sizeof *work);
    integers = pmn_alloc((size_t)integers_size, sizeof *integers);
    if (work == NULL || integers == NULL) {
      st = pmn_err_memory(err, (size_t)work_size * sizeof *work, "the workspace of the eigenvectors");
      goto done;
    }
    info = LAPACKE_dsyevd_work(
        LAPACK_COL_MAJOR, 'V', 'L', order, a, order, values, work, (lapack_int)work_size, integers, integers_size);
  }
  if (info != 0)
    PMN_FAIL_CODE(err, PMN_STATUS_DEVICE, info,
        "the eigenvectors of a matrix of order %" PRId32 " were not found (LAPACK dsyevd: %" PRId32 ")", order,
        (int32_t)info);
  order_reverse(a, (size_t)order, (size_t)order, values);
done:
  pmn_free(work);
  pmn_free(integers);
  return st;
}

pmn_status pmn_eigen_largest(double *a, int32_t order, int32_t k, double *values, double *vectors, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double *work = NULL, *all = NULL, work_size = 0;
  lapack_int *integers = NULL, *support = NULL, integers_size = 0, found = 0;
  if (order > PMN_EIGEN_ORDER_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "eigenvectors of a matrix of order %" PRId32 ": at most %d is possible", order,
        PMN_EIGEN_ORDER_MAX);
  all = pmn_alloc((size_t)order, sizeof *all);
  support = pmn_alloc(2 * (size_t)k, sizeof *support);
  lapack_int info = LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', order, a, order, 0, 0, order - k + 1, order, 0,
      &found, all, vectors, order, support, &work_size, -1, &integers_size, -1);
  if (info == 0) {
    work = pmn_alloc_aligned((size_t)work_size, sizeof *work);
    integers = pmn_alloc((size_t)integers_size, sizeof *integers);
    if (work == NULL || integers == NULL || all == NULL || support == NULL) {
      st = pmn_err_memory(err, (size_t)work_size * sizeof *work, "the workspace of the eigenvectors");
      goto done;
    }
    info = LAPACKE_dsyevr_work(LAPACK_COL_MAJOR, 'V', 'I', 'L', order, a, order, 0, 0, order - k + 1, order, 0, &found,
        all, vectors, order, support, work, (lapack_int)work_size, integers, integers_size);
  }
  if (info != 0 || found != k)
    PMN_FAIL_CODE(err, PMN_STATUS_DEVICE, info,
        "%" PRId32 " eigenvectors of a matrix of order %" PRId32 " were not found (LAPACK dsyevr: %" PRId32 ")", k,
        order, (int32_t)info);
  order_reverse(vectors, (size_t)k, (size_t)order, all);
  memcpy(values, all, (size_t)k * sizeof *values);
done:
  pmn_free(work);
  pmn_free(integers);
  pmn_free(all);
  pmn_free(support);
  return st;
}
