/* pmn_resample_rows.h - the two hot loops of resampling; private to the room.
 *
 * Weights are fixed point with PMN_WEIGHT_BITS binary digits after the point, sums start at one half, and
 * out = clamp(sum >> PMN_WEIGHT_BITS, 0, 255): exact integers, so the bits are the same on every machine.
 */
#ifndef PMN_RESAMPLE_ROWS_H
#define PMN_RESAMPLE_ROWS_H

#include <stddef.h>
#include <stdint.h>

/* 8 bits for the result, 2 for sums below 0 or above 1 (bicubic has negative lobes), of 32. */
#define PMN_WEIGHT_BITS (32 - 8 - 2)

/* Output i is the sum over t < count[i] of input[first[i] + t] * weights[i * taps + t]. */
typedef struct pmn_weights {
  int32_t in, out; /* sizes they were made for; in = 0: none */
  size_t taps;
  int32_t *first, *count, *weights;
} pmn_weights;

/* Rows that go across together. */
#define PMN_ROWS_ACROSS 8

/* Rows left to right.
 *   in   rows of RGB, w->in pixels each; may be the same row several times
 *   out  rows of RGB, w->out pixels each, each the same row exactly where `in` is
 *   mix  scratch, 4 * PMN_ROWS_ACROSS * w->in bytes */
void pmn_resample_across(
    const pmn_weights *w, const uint8_t *const in[PMN_ROWS_ACROSS], uint8_t *mix, uint8_t *const out[PMN_ROWS_ACROSS]);

/* One output row of `size` bytes from `count` input rows that are `stride` bytes apart. */
void pmn_resample_down(
    const uint8_t *in, size_t stride, const int32_t *weights, int32_t count, size_t size, uint8_t *out);

#endif
