/* pomona_peak.h - what one core can do at most: multiply-adds in registers, a loop for each instruction set. */
#ifndef POMONA_PEAK_H
#define POMONA_PEAK_H

#include <stdbool.h>

typedef struct pomona_peak {
  const char *isa; /* as --isa names it */
  int lanes;       /* floats of a register */
  bool (*runs)(void);
  void (*multiply_add)(int steps); /* steps * POMONA_PEAK_SUMS multiply-adds of `lanes` floats, or products and sums */
} pomona_peak;

/* Independent sums of a step: enough to hide the latency of a multiply-add (4 cycles, two a cycle), and few enough for
 * 16 registers with the factor and the term. */
enum { POMONA_PEAK_SUMS = 12 };

/* Of those sets that were compiled for this processor family, the widest last; NULL after the last. */
const pomona_peak *pomona_peak_at(int index);
/* GFLOP/s in fp32 of the calling thread, a multiply-add being two operations; the best of many short runs. */
double pomona_peak_gflops(const pomona_peak *peak);
/* GHz that the calling thread's core runs at, by a chain of additions of one cycle each. */
double pomona_peak_clock(void);

#endif
