/* pmn_cpu_vector.h - vectors of one instruction set, for the sources that are compiled once per set.
 *
 * The build defines ISA (a name, pasted into symbols) and LANES (floats in a vector). Everything here is inlined, but
 * for the ends of rows that fill no vector.
 */
#ifndef PMN_CPU_VECTOR_H
#define PMN_CPU_VECTOR_H

#include "pmn_cpu_kernels.h"

#include <string.h>

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef float half_vec __attribute__((vector_size(LANES * 2), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
#define INLINE static inline __attribute__((always_inline))

/* The parts of the table that have sources of their own. */
extern const pmn_cpu_pixel_kernels PASTE(pmn_cpu_pixels_, ISA);
extern const pmn_cpu_transforms PASTE(pmn_cpu_transforms_, ISA)[2];

INLINE vec load(const float *p) {
  return *(const vec *)p;
}
INLINE void store(float *p, vec v) {
  *(vec *)p = v;
}
INLINE half_vec low_half(vec v) {
  half_vec half;
  memcpy(&half, &v, sizeof half);
  return half;
}
INLINE vec splat(float x) {
  return x - (vec){0};
}

INLINE vec select(mask m, vec yes, vec no) {
  return (vec)((m & (mask)yes) | (~m & (mask)no));
}

/* The epilogue of a tile, in registers. */
typedef struct bounds {
  vec low, high;
} bounds;

INLINE bounds bounds_of(const pmn_cpu_epilogue *e) {
  return (bounds){splat(e->clamp_min), splat(e->clamp_max)};
}

/* GCC has no vector minimum in C, but makes one of a loop over lanes that it may not unroll. */
INLINE vec clamp(vec v, const bounds *b) {
  vec low = b->low, high = b->high, result;
#pragma GCC unroll 1
  for (int i = 0; i < LANES; i++) {
    float x = v[i] < low[i] ? low[i] : v[i];
    result[i] = x > high[i] ? high[i] : x;
  }
  return result;
}

/* The first `count` lanes, 0 < count < LANES, in pieces whose sizes are powers of two. */
INLINE vec load_some(const float *p, int count) {
  vec v = {0};
  float *lanes = (float *)&v;
  for (int piece = LANES / 2, at = 0; piece > 0; piece /= 2) {
    if ((count & piece) == 0) continue;
    memcpy(lanes + at, p + at, (size_t)piece * 4);
    at += piece;
  }
  return v;
}

INLINE void store_some(float *p, vec v, int count) {
  const float *lanes = (const float *)&v;
  for (int piece = LANES / 2, at = 0; piece > 0; piece /= 2) {
    if ((count & piece) == 0) continue;
    memcpy(p + at, lanes + at, (size_t)piece * 4);
    at += piece;
  }
}

/* y = clamp(v + residual) of half a vector. */
INLINE void finish_half(float *y, half_vec v, const float *residual, const bounds *b) {
  vec whole = {0};
  if (residual != NULL) v += *(const half_vec *)residual;
  memcpy(&whole, &v, sizeof v);
  *(half_vec *)y = low_half(clamp(whole, b));
}

/* Not inlined: the vector must have an address here, and may then stay in its register on the other path. */
static __attribute__((noinline)) void finish_some(
    float *y, const float *lanes, int count, const float *residual, const bounds *b) {
  vec v = load(lanes);
  if (residual != NULL) v += load_some(residual, count);
  store_some(y, clamp(v, b), count);
}

/* y = clamp(v + residual), the first `count` lanes of it. */
INLINE void finish(float *y, vec v, int count, const float *residual, const bounds *b) {
  if (__builtin_expect(count >= LANES, 1)) {
    if (residual != NULL) v += load(residual);
    store(y, clamp(v, b));
  } else {
    float lanes[LANES];
    store(lanes, v);
    finish_some(y, lanes, count, residual, b);
  }
}

#endif
