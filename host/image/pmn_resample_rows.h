/* pmn_resample_rows.h - the two hot loops of resampling; private to the room.
 *
 * Weights and sums: pmn_resample_rules.h. */
#ifndef PMN_RESAMPLE_ROWS_H
#define PMN_RESAMPLE_ROWS_H

#include "pmn_resample_rules.h"

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
