/* pmn_moments.h - what pmn_moments.c gathers and pmn_fit.c reads; inside stats only. */
#ifndef PMN_MOMENTS_H
#define PMN_MOMENTS_H

#include "pmn_stats.h"

struct pmn_moments {
  pmn_device *device;
  int32_t d;
  bool finished;
  int64_t n;          /* rows merged so far; after finish, all rows */
  float *block;       /* [block_rows, d]; the rows waiting, and the same rows centred while they are summed */
  int32_t block_rows; /* grows to PMN_MOMENTS_BLOCK: a few wide rows need no whole block */
  int32_t pending;    /* rows waiting in `block` */
  double *delta;      /* [d] scratch: mean of the block, then its distance from the mean so far */
  double *mean;       /* [d] of the n rows */
  double *squares;    /* [d] sum of (x - mean)^2, never rounded to f32: variances do not depend on the device */
  double *m2;         /* [d, d] sum of (x - mean)(x - mean)', upper triangle; NULL without covariance */
};

#endif
