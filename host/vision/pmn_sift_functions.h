/* pmn_sift_functions.h - the functions that SIFT needs of a library, from additions and products alone, so that every
 * processor and every device (kernels/sift.clh has the same lines) gives the same bits. Series of Taylor, cut where the
 * next term is below 6e-9; with rounding they are off by less than 2e-7 of 1.
 */
#ifndef PMN_SIFT_FUNCTIONS_H
#define PMN_SIFT_FUNCTIONS_H

#include <math.h>
#include <stdint.h>

/* 2^x = 2^n e^y, n whole, |y| <= ln 2 / 2; |x| < 100. */
static inline float pmn_sift_exp2(float x) {
  float whole = rintf(x), y = (x - whole) * 0.69314718f;
  float sum = 1.0f / 5040 * y + 1.0f / 720;
  sum = sum * y + 1.0f / 120;
  sum = sum * y + 1.0f / 24;
  sum = sum * y + 1.0f / 6;
  sum = sum * y + 0.5f;
  sum = sum * y + 1.0f;
  return ldexpf(sum * y + 1.0f, (int)whole);
}

static inline float pmn_sift_exp(float x) {
  return pmn_sift_exp2(x * 1.44269504f);
}

/* Of a direction in turns, [0, 1]: y is its angle to the nearest axis, at most an eighth of a turn. */
static inline void pmn_sift_cosine_sine(float turn, float *cosine, float *sine) {
  int32_t axis = (int32_t)rintf(4 * turn);
  float y = (turn - 0.25f * (float)axis) * 6.28318531f, square = y * y;
  float s = 1.0f / 362880 * square - 1.0f / 5040, c = -1.0f / 3628800 * square + 1.0f / 40320;
  s = s * square + 1.0f / 120;
  s = s * square - 1.0f / 6;
  s = s * square * y + y;
  c = c * square - 1.0f / 720;
  c = c * square + 1.0f / 24;
  c = c * square - 0.5f;
  c = c * square + 1.0f;
  *cosine = axis % 2 == 0 ? c : s;
  *sine = axis % 2 == 0 ? s : c;
  if (axis == 1 || axis == 2) *cosine = -*cosine;
  if (axis == 2 || axis == 3) *sine = -*sine;
}

#endif
