/* pmn_resample_rows.c - see pmn_resample_rows.h.
 *
 * Workload: 100x100 to 224x224 by four taps a way, a fifth of a million sums a picture. Plain loops over bytes that lie
 * side by side, which the compiler turns into vectors; compiled three times on x86-64, where the baseline has no 32-bit
 * multiplication, and chosen at load time.
 */
#include "pmn_resample_rows.h"

#include "pmn_per_machine.h"

#include <string.h>

#define HALF (1 << (PMN_WEIGHT_BITS - 1))

/* Sums kept at a time: in the first cache, and a whole number of vectors. */
#define CHUNK 256

#define MIXED (PMN_ROWS_ACROSS * 4)

/* Up to four taps: the addresses and weights of all four. Where fewer are left, the first is read again with weight 0.
 */
typedef struct four {
  const uint8_t *p[4];
  int32_t w[4];
} four;

PMN_INLINE four take_four(const uint8_t *in, size_t stride, const int32_t *weights, int32_t left) {
  four taps;
  for (int32_t t = 0; t < 4; t++) {
    taps.p[t] = t < left ? in + (size_t)t * stride : in;
    taps.w[t] = t < left ? weights[t] : 0;
  }
  return taps;
}

#define SUM_OF(f, i) ((f).p[0][i] * (f).w[0] + (f).p[1][i] * (f).w[1] + (f).p[2][i] * (f).w[2] + (f).p[3][i] * (f).w[3])

/* The shifted sum is within a few times 255, so that 16 bits hold it: twice as many to a vector. */
PMN_INLINE uint8_t clamp(int32_t sum) {
  int16_t value = (int16_t)(sum >> PMN_WEIGHT_BITS);
  value = value < 0 ? 0 : value;
  value = value > 255 ? 255 : value;
  return (uint8_t)value;
}

/* out[i] for i < size, from bytes that are `stride` apart from tap to tap. */
PMN_INLINE void weigh(const uint8_t *in, size_t stride, const int32_t *weights, int32_t count, size_t size,
    int32_t *restrict sums, uint8_t *restrict out) {
  four taps = take_four(in, stride, weights, count);
  if (count <= 4) { /* every picture that grows: no sums to store */
    for (size_t i = 0; i < size; i++) out[i] = clamp(HALF + SUM_OF(taps, i));
    return;
  }
  for (size_t i = 0; i < size; i++) sums[i] = HALF + SUM_OF(taps, i);
  for (int32_t t = 4; t < count; t += 4) {
    taps = take_four(in + (size_t)t * stride, stride, weights + t, count - t);
    for (size_t i = 0; i < size; i++) sums[i] += SUM_OF(taps, i);
  }
  for (size_t i = 0; i < size; i++) out[i] = clamp(sums[i]);
}

PMN_PER_MACHINE
void pmn_resample_across(const pmn_weights *w, const uint8_t *const in[PMN_ROWS_ACROSS], uint8_t *restrict mix,
    uint8_t *const out[PMN_ROWS_ACROSS]) {
  /* Pixel x of all the rows side by side, four bytes each, the fourth of no meaning. */
  size_t last_in = (size_t)w->in - 1, last_out = (size_t)w->out - 1;
  for (size_t r = 0; r < PMN_ROWS_ACROSS; r++) {
    uint8_t *to = mix + r * 4;
    for (size_t x = 0; x < last_in; x++) memcpy(to + x * MIXED, in[r] + x * 3, 4);
    memcpy(to + last_in * MIXED, in[r] + last_in * 3, 3);
    to[last_in * MIXED + 3] = 0;
  }
  int32_t sums[MIXED];
  uint8_t pixels[MIXED];
  for (size_t x = 0; x <= last_out; x++) {
    weigh(mix + (size_t)w->first[x] * MIXED, MIXED, w->weights + x * w->taps, w->count[x], MIXED, sums, pixels);
    /* The fourth byte is overwritten by the next pixel; the last pixel of a row has none. */
    if (x < last_out)
      for (size_t r = 0; r < PMN_ROWS_ACROSS; r++) memcpy(out[r] + x * 3, pixels + r * 4, 4);
    else
      for (size_t r = 0; r < PMN_ROWS_ACROSS; r++) memcpy(out[r] + x * 3, pixels + r * 4, 3);
  }
}

PMN_PER_MACHINE
void pmn_resample_down(
    const uint8_t *in, size_t stride, const int32_t *weights, int32_t count, size_t size, uint8_t *out) {
  int32_t sums[CHUNK];
  size_t x = 0;
  for (; x + CHUNK <= size; x += CHUNK) weigh(in + x, stride, weights, count, CHUNK, sums, out + x);
  weigh(in + x, stride, weights, count, size - x, sums, out + x);
}
