/* pmn_lbfgs.h - where a smooth function of many variables is least, from its values and gradients; inside stats only.
 */
#ifndef PMN_LBFGS_H
#define PMN_LBFGS_H

#include "pmn_err.h"

typedef struct pmn_lbfgs_problem {
  size_t count; /* variables: at most INT32_MAX */
  void *arg;
  /* The value and the gradient [count] at x [count]. A value or gradient that is not finite is a step too far. */
  pmn_status (*evaluate)(void *arg, const double *x, double *value, double *gradient, pmn_err *err);
  /* After the iteration-th step, counted from 1, which led to x; *stop = true ends the search. May be NULL. */
  pmn_status (*on_step)(void *arg, int32_t iteration, const double *x, double value, bool *stop, pmn_err *err);
} pmn_lbfgs_problem;

typedef struct pmn_lbfgs_options {
  int32_t memory; /* steps that are remembered, at least 1 */
  int32_t iterations_max;
  double tolerance; /* see PMN_LBFGS_CONVERGED */
} pmn_lbfgs_options;

enum { PMN_LBFGS_WINDOW = 10 };

typedef enum pmn_lbfgs_end {
  PMN_LBFGS_CONVERGED, /* in the last PMN_LBFGS_WINDOW steps, together, the value fell by no more than tolerance *
                          max(1, |value|) */
  PMN_LBFGS_FLAT,      /* no lower value was found downhill: the gradient is 0, but for rounding */
  PMN_LBFGS_ITERATIONS,
  PMN_LBFGS_STOPPED /* by on_step */
} pmn_lbfgs_end;

typedef struct pmn_lbfgs_result {
  double value;
  int32_t iterations;
  int64_t evaluations;
  pmn_lbfgs_end end;
} pmn_lbfgs_result;

/* x [count] is where the search begins and, on PMN_STATUS_OK, where it ended: the least value that was seen. The value
 * never rises from step to step. PMN_STATUS_ARGUMENT: value or gradient is not finite at the start;
 * PMN_STATUS_NO_MEMORY; what the functions return. OpenBLAS must be on one thread, lest the bits depend on it. */
PMN_MUST_USE pmn_status pmn_lbfgs(const pmn_lbfgs_problem *problem, const pmn_lbfgs_options *options, double *x,
    pmn_lbfgs_result *result, pmn_err *err);
/* Bytes. */
double pmn_lbfgs_memory(size_t count, int32_t memory);

#endif
