/* pmn_adam.c - see pmn_adam.h. Algorithm 1 of Kingma and Ba, "Adam: a method for stochastic optimization", 2015, in the
 * order of their section 2 that spares a pass, with their numbers:
 *
 *   m = B1 m + (1 - B1) g,   v = B2 v + (1 - B2) g^2
 *   x = x - rate sqrt(1 - B2^t) / (1 - B1^t) * m / (sqrt(v) + EPSILON)
 */
#include "pmn_adam.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

#define B1 0.9
#define B2 0.999
#define EPSILON 1e-8

pmn_status pmn_adam_init(pmn_adam *self, size_t count, double rate, pmn_err *err) {
  *self = (pmn_adam){.count = count, .rate = rate};
  self->mean = pmn_calloc(count, sizeof *self->mean);
  self->square = pmn_calloc(count, sizeof *self->square);
  if (self->mean != NULL && self->square != NULL) return PMN_STATUS_OK;
  pmn_adam_reset(self);
  return pmn_err_memory(err, 2 * count * sizeof *self->mean, "the state of Adam");
}

void pmn_adam_step(pmn_adam *self, const double *gradient, double *x) {
  double t = (double)++self->steps, step = self->rate * sqrt(1.0 - pow(B2, t)) / (1.0 - pow(B1, t));
  double *restrict m = self->mean, *restrict v = self->square, *restrict to = x;
  const double *restrict g = gradient;
  for (size_t i = 0; i < self->count; i++) {
    m[i] = B1 * m[i] + (1.0 - B1) * g[i];
    v[i] = B2 * v[i] + (1.0 - B2) * (g[i] * g[i]);
    to[i] -= step * m[i] / (sqrt(v[i]) + EPSILON);
  }
}

void pmn_adam_reset(pmn_adam *self) {
  pmn_free(self->mean);
  pmn_free(self->square);
  self->mean = self->square = NULL;
}
