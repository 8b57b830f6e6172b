/* pmn_adam.h - Adam: steps along gradients that are noisy; inside stats only. */
#ifndef PMN_ADAM_H
#define PMN_ADAM_H

#include "pmn_err.h"

typedef struct pmn_adam {
  size_t count;
  double rate;
  int64_t steps;
  double *mean, *square; /* [count] running means of the gradient and of its square */
} pmn_adam;

PMN_MUST_USE pmn_status pmn_adam_init(pmn_adam *self, size_t count, double rate, pmn_err *err);
/* x [count] takes a step against the gradient [count]. */
void pmn_adam_step(pmn_adam *self, const double *gradient, double *x);
void pmn_adam_reset(pmn_adam *self);

#endif
