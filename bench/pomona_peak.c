/* pomona_peak.c - see pomona_peak.h. The loops are those of pomona_peak_loop.c. */
#include "pomona_peak.h"

#include "pmn_clock.h"

#include <stddef.h>

enum { STEPS = 1 << 14, TRIES = 60, ADDITIONS = 1 << 18 };

void pomona_peak_baseline(int steps);

static bool always(void) {
  return true;
}

#if defined(__x86_64__)
void pomona_peak_avx2(int steps);
void pomona_peak_avx512(int steps);

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
  return __builtin_cpu_supports("avx512f");
}

static const pomona_peak peaks[] = {{"baseline", 4, always, pomona_peak_baseline},
    {"avx2", 8, has_avx2, pomona_peak_avx2}, {"avx512", 16, has_avx512, pomona_peak_avx512}};
#else
static const pomona_peak peaks[] = {{"baseline", 4, always, pomona_peak_baseline}};
#endif

const pomona_peak *pomona_peak_at(int index) {
  return index < (int)(sizeof peaks / sizeof *peaks) ? &peaks[index] : NULL;
}

double pomona_peak_gflops(const pomona_peak *peak) {
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    double start = pmn_clock_seconds();
    peak->multiply_add(STEPS);
    double rate = 2e-9 * peak->lanes * POMONA_PEAK_SUMS * STEPS / (pmn_clock_seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}

double pomona_peak_clock(void) {
  double best = 0;
  for (int i = 0; i < TRIES; i++) {
    unsigned long sum = 0, term = 1;
    double start = pmn_clock_seconds();
    for (int step = 0; step < ADDITIONS; step++) {
      sum += term;
      /* Of registers: newer cores do the addition of a small constant for nothing. */
      __asm__ volatile("" : "+r"(sum), "+r"(term));
    }
    double rate = 1e-9 * ADDITIONS / (pmn_clock_seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}
