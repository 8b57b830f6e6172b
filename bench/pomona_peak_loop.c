/* pomona_peak_loop.c - the loop of pomona_peak.h, compiled once for each instruction set with ISA and LANES.
 *
 * A step is POMONA_PEAK_SUMS independent sum = sum * factor + term, which -ffp-contract=fast makes one instruction
 * where there is one. The empty assembly keeps every sum in a register and every step in the loop. The values tend to
 * 2: no subnormal numbers, no infinities. */
#include "pomona_peak.h"

#if defined(__aarch64__)
#define KEEP(value) __asm__ volatile("" : "+w"(value))
#else
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#endif
#define EACH_SUM(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
#define BEGIN(i)                                                                                                       \
  vector sum##i = factor;                                                                                              \
  KEEP(sum##i);
#define STEP(i)                                                                                                        \
  sum##i = sum##i * factor + term;                                                                                     \
  KEEP(sum##i);
#define JOIN(a, b) a##b
#define NAME(isa) JOIN(pomona_peak_, isa)

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));

void NAME(ISA)(int steps);

void NAME(ISA)(int steps) {
  vector factor = {0}, term = {0};
  factor += 0.5f;
  term += 1.0f;
  KEEP(factor);
  KEEP(term);
  EACH_SUM(BEGIN)
  for (int step = 0; step < steps; step++) {
    EACH_SUM(STEP)
  }
}
