/* pmn_eigen.h - eigenvalues and eigenvectors of a dense symmetric matrix; inside stats only. */
#ifndef PMN_EIGEN_H
#define PMN_EIGEN_H

#include "pmn_stats.h"

/* dsyevd's workspace of 1 + 6 order + 2 order^2 doubles must be counted by LAPACK's 32-bit integer. */
#define PMN_EIGEN_ORDER_MAX PMN_STATS_ORDER_MAX

/* Bytes of that workspace. */
double pmn_eigen_memory(double order);

/* a [order, order] row-major, of which only the upper triangle (column >= row) is read; on success row c of a is the
 * eigenvector of values[c], values descending, rows orthonormal, signs as LAPACK left them.
 * The bits may depend on the number of threads that OpenBLAS uses: set it once for the process.
 * Errors: PMN_STATUS_ARGUMENT past PMN_EIGEN_ORDER_MAX, PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE (no convergence). */
PMN_MUST_USE pmn_status pmn_eigen_symmetric(double *a, int32_t order, double *values, pmn_err *err);

/* The k largest of them: values [k] descending, the rows of vectors [k, order] their eigenvectors (LAPACK's dsyevr). a
 * is destroyed. Errors as above. */
PMN_MUST_USE pmn_status pmn_eigen_largest(
    double *a, int32_t order, int32_t k, double *values, double *vectors, pmn_err *err);

#endif
