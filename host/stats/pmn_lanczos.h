/* pmn_lanczos.h - the largest eigenvalues of a symmetric matrix that is only ever multiplied by; inside stats only. */
#ifndef PMN_LANCZOS_H
#define PMN_LANCZOS_H

#include "pmn_stats.h"

/* A symmetric matrix without negative eigenvalues. */
typedef struct pmn_operator {
  int32_t order;
  void *arg;
  /* y = x A for `count` vectors, the rows of x and y [count, order]. Same bits for the same x. */
  pmn_status (*apply)(void *arg, const double *x, int32_t count, double *y, pmn_err *err);
} pmn_operator;

/* True when k of `order` eigenvalues are few enough that this is the cheaper way. */
bool pmn_lanczos_suits(int32_t order, int32_t k);
int64_t pmn_lanczos_most(int64_t order); /* the largest such k */

/* Vectors that are multiplied at once, at most. */
int32_t pmn_lanczos_block(int32_t k);

/* The k largest eigenvalues, descending, to values [k], and their eigenvectors to the rows of vectors [k, order],
 * orthonormal. *converged: every residual |A v - value v|, computed in fp64, is at most PMN_LANCZOS_TOLERANCE of the
 * largest eigenvalue; if not, values and vectors hold what was reached. The same bits on every run.
 * Errors: those of apply and watch, PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE (LAPACK). */
#define PMN_LANCZOS_TOLERANCE 1e-12
PMN_MUST_USE pmn_status pmn_lanczos(const pmn_operator *a, int32_t k, const pmn_watch *watch, double *values,
    double *vectors, bool *converged, pmn_err *err);
/* Bytes that it takes, beside what the operator takes. */
double pmn_lanczos_memory(int32_t order, int32_t k);

#endif
