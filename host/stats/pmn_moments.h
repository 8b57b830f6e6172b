/* pmn_moments.h - what pmn_moments.c gathers and pmn_fit.c reads; inside stats only. */
#ifndef PMN_MOMENTS_H
#define PMN_MOMENTS_H

#include "pmn_stats.h"

struct pmn_moments {
  pmn_device *device;
  int32_t d;
  bool finished;
  int64_t n;     /* rows merged so far; after finish, all rows */
  double *block; /* [block_rows, d]; the rows waiting, less origin, and the same rows centred while they are summed */
  int32_t block_rows; /* grows to block_most: a few wide rows need no whole block */
  int32_t block_most; /* rows that are summed together */
  int32_t pending;    /* rows waiting in `block` */
  double *origin;     /* [d] the first row: all that follows is counted from there */
  double *offset;     /* [d] mean of the n rows - origin */
  double *delta;      /* [d] sums of the rows waiting; then their offset, then its distance from that so far */
  double *squares;    /* [d] sum of (x - mean)^2, summed here: variances do not depend on the device */
  double *m2;         /* [d, d] sum of (x - mean)(x - mean)', upper triangle; NULL without covariance */
};

#endif
