/* pmn_cpu_math.h - exponentials and logarithms of vectors, for activations, softmax and local response normalisation.
 *
 * No libm call per element, and forms that neither cancel nor overflow, so that errors stay relative to the result.
 * With u = 2^-24, half a unit in the last place, and Taylor series cut where the first term left out is below u / 4:
 *
 * exp_of, |x| < 87.33: r = x - n ln2 is off by 0.4 u at most (n * LN2_HIGH is exact, |r| < 0.35), its series and the
 * last sum by u each: 3 u.
 *
 * expm1_of, x <= 0: the same; where 2^n (1 + rest) - 1 cancels (n = -1), by 1.8 times: 5 u.
 *
 * log1p_of, 0 <= x <= 1: s = x / (2 + x) is off by 2 u, the series adds 2 u: 4 u.
 *
 * log_of, x > 0: as much relative to |log m| + |e| ln2, x = m 2^e: 4 u of that.
 */
#ifndef PMN_CPU_MATH_H
#define PMN_CPU_MATH_H

#include "pmn_cpu_vector.h"

#define LN2 0.693147181f
#define LN2_HIGH 0.693145752f /* 0x1.62e4p-1: 15 bits, so that products with |n| < 128 are exact */
#define LN2_LOW 1.42860677e-6f

INLINE vec magnitude(vec v) {
  return (vec)((mask)v & 0x7fffffff);
}

/* exp(x) = scale + scale * rest: scale a power of two, rest = exp(r) - 1 with |r| <= ln2 / 2. -87.336 <= x <= 87. */
typedef struct exponential {
  vec scale, rest;
} exponential;

INLINE exponential split_exp(vec x) {
  vec turns = x * 1.44269504f; /* 1 / ln2 */
  mask n = __builtin_convertvector(turns + select(turns < 0.0f, splat(-0.5f), splat(0.5f)), mask);
  vec k = __builtin_convertvector(n, vec);
  vec r = (x - k * LN2_HIGH) - k * LN2_LOW;
  vec series = splat(1.0f / 5040.0f);
  series = series * r + 1.0f / 720.0f;
  series = series * r + 1.0f / 120.0f;
  series = series * r + 1.0f / 24.0f;
  series = series * r + 1.0f / 6.0f;
  series = series * r + 1.0f / 2.0f;
  return (exponential){(vec)((n + 127) << 23), r + r * r * series};
}

/* For x <= 87; 0 where it is no normal number any more. */
INLINE vec exp_of(vec x) {
  exponential p = split_exp(select(x < -87.336f, splat(-87.336f), x));
  return select(x < -87.336f, splat(0.0f), p.scale + p.scale * p.rest);
}

/* exp(x) - 1 for x <= 0. */
INLINE vec expm1_of(vec x) {
  exponential p = split_exp(select(x < -87.336f, splat(-87.336f), x));
  return p.scale * p.rest + (p.scale - 1.0f);
}

/* log((1 + s) / (1 - s)) = 2 (s + s^3 / 3 + s^5 / 5 + ...), |s| <= 1/3. */
INLINE vec log_ratio(vec s) {
  vec square = s * s, series = splat(2.0f / 15.0f);
  series = series * square + 2.0f / 13.0f;
  series = series * square + 2.0f / 11.0f;
  series = series * square + 2.0f / 9.0f;
  series = series * square + 2.0f / 7.0f;
  series = series * square + 2.0f / 5.0f;
  series = series * square + 2.0f / 3.0f;
  return 2.0f * s + s * square * series;
}

/* log(1 + x) for 0 <= x <= 1. */
INLINE vec log1p_of(vec x) {
  return log_ratio(x / (2.0f + x));
}

/* log(x) for normal x > 0. */
INLINE vec log_of(vec x) {
  mask bits = (mask)x - 0x3f3504f3;                 /* sqrt(1/2), so that m lies in [sqrt(1/2), sqrt(2)) */
  vec e = __builtin_convertvector(bits >> 23, vec); /* rounds down, below 0 too */
  vec m = (vec)((bits & 0x007fffff) + 0x3f3504f3);
  return log_ratio((m - 1.0f) / (m + 1.0f)) + e * LN2;
}

/* exp(y^2) erfc(y) for y >= 0: t = 1 / (1 + 0.4 y) times a polynomial in t, fitted at 200 Chebyshev nodes of t between
 * y = 0 and y = 10 to a relative error of 6.7e-8. */
INLINE vec scaled_erfc(vec y) {
  vec t = 1.0f / (1.0f + 0.4f * y), p = splat(0.04194180342f);
  p = p * t - 0.1435891297f;
  p = p * t + 0.09055944251f;
  p = p * t + 0.08068357211f;
  p = p * t + 0.08460270103f;
  p = p * t + 0.1914151356f;
  p = p * t + 0.2023696411f;
  p = p * t + 0.2263791328f;
  p = p * t + 0.2256377676f;
  return p * t;
}

#endif
