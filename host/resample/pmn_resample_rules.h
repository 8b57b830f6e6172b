/* pmn_resample_rules.h - what resampling is wherever it runs: filters, weights, and the order of the two passes.
 * pmn_resample.c follows these rules on the host, the OpenCL backend on a device; hence the same bits.
 *
 * Weights are fixed point with PMN_WEIGHT_BITS binary digits after the point, sums start at one half, and
 *
 *   out = clamp(sum >> PMN_WEIGHT_BITS, 0, 255)
 *
 * after each pass: exact integers, so the bits are the same on every machine.
 */
#ifndef PMN_RESAMPLE_RULES_H
#define PMN_RESAMPLE_RULES_H

#include "pmn_err.h"

/* Equal to Pillow 13's Image.resize(size, filter) to the bit. */
typedef enum pmn_filter { PMN_FILTER_NEAREST, PMN_FILTER_BILINEAR, PMN_FILTER_BICUBIC } pmn_filter;
bool pmn_filter_find(const char *name, pmn_filter *filter); /* "nearest", "bilinear", "bicubic" */
const char *pmn_filter_name(pmn_filter filter);

/* 8 bits for the result, 2 for sums below 0 or above 1 (bicubic has negative lobes), of 32: the rest. Compilers of
 * kernels are told this number as it stands. */
#define PMN_WEIGHT_BITS 22

/* One direction. Output i is the sum over t < count[i] of input[first[i] + t] * weights[i * taps + t]; with the nearest
 * it is input[first[i]], and there is nothing else (taps 0, count and weights NULL). */
typedef struct pmn_weights {
  int32_t in, out; /* sizes they were made for; in = 0: none */
  size_t taps;
  int32_t *first, *count, *weights;
} pmn_weights;

/* Those of in to out pixels, both at least 1, in the place of what *weights holds, which may be zero. Where nothing
 * changes (in == out), output i is input i exactly. PMN_STATUS_NO_MEMORY: *weights is zero. */
PMN_MUST_USE pmn_status pmn_weights_make(
    pmn_filter filter, int32_t in, int32_t out, pmn_weights *weights, pmn_err *err);
void pmn_weights_reset(pmn_weights *weights);

/* The order of two passes: top to bottom first, or left to right. It shows in the last bit. */
bool pmn_resample_down_first(int32_t in_width, int32_t in_height, int32_t width, int32_t height);

/* Whether a picture goes to a device at its own size, to be made width x height there, or resized before: it may have
 * PMN_RAW_PIXELS times the pixels, and PMN_RAW_SIDE times each side. So what waits for a batch, the rows between two
 * passes, and tables of weights are a few times the resized pictures, whatever comes. */
enum { PMN_RAW_PIXELS = 4, PMN_RAW_SIDE = 16 };
bool pmn_resample_takes_raw(int32_t in_width, int32_t in_height, int32_t width, int32_t height);

#endif
