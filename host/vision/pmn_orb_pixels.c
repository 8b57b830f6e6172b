/* pmn_orb_pixels.c - see pmn_orb_pixels.h.
 *
 * Workload: pictures of 100x100, of which only a third is far enough from the border, up to photographs, of which
 * nearly all is. Plain loops over bytes that lie side by side, which the compiler turns into vectors; compiled twice on
 * x86-64 and chosen at load time. Integers are exact; floats are added in the order written, whatever the width of a
 * vector.
 */
#include "pmn_orb_pixels.h"

#include "pmn_per_machine.h"

#include "pmn_orb_pattern.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bytes, and differences that stop at 0: one instruction each. */
PMN_INLINE uint8_t least(uint8_t a, uint8_t b) {
  return a < b ? a : b;
}
PMN_INLINE uint8_t most(uint8_t a, uint8_t b) {
  return a > b ? a : b;
}
PMN_INLINE uint8_t above(uint8_t a, uint8_t b) {
  return (uint8_t)(most(a, b) - b);
}

/* The largest of the 16 arcs' smallest differences: of pairs, fours and eights side by side, then of nines. */
PMN_INLINE uint8_t best_arc(const uint8_t d[16]) {
  uint8_t two[16], four[16], best = 0;
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) two[i] = least(d[i], d[(i + 1) % 16]);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) four[i] = least(two[i], two[(i + 2) % 16]);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) best = most(best, least(least(four[i], four[(i + 4) % 16]), d[(i + 8) % 16]));
  return best;
}

/* The circle, from the pixel above clockwise. */
static const int8_t circle[16][2] = {{0, -3}, {1, -3}, {2, -2}, {3, -1}, {3, 0}, {3, 1}, {2, 2}, {1, 3}, {0, 3},
    {-1, 3}, {-2, 2}, {-3, 1}, {-3, 0}, {-3, -1}, {-2, -2}, {-1, -3}};

/* 9 neighbours in a row hold two of the four that are above, right, below and left, side by side. */
PMN_INLINE void block_look(const uint8_t *centre, ptrdiff_t stride, bool *bright, bool *dark) {
  uint8_t brightest = 0, darkest = 0;
  const uint8_t *north = centre - 3 * stride, *south = centre + 3 * stride;
  for (ptrdiff_t i = 0; i < PMN_FAST_BLOCK; i++) {
    uint8_t c = centre[i], n = north[i], e = centre[i + 3], s = south[i], w = centre[i - 3];
    brightest = most(brightest, above(least(most(n, s), most(e, w)), c));
    darkest = most(darkest, above(c, most(least(n, s), least(e, w))));
  }
  *bright = brightest > PMN_FAST_THRESHOLD;
  *dark = darkest > PMN_FAST_THRESHOLD;
}

PMN_INLINE uint8_t corner_only(uint8_t score) {
  return score > PMN_FAST_THRESHOLD ? score : 0;
}

/* Most blocks that hold corners hold those of one sort. */
PMN_PER_MACHINE
void pmn_fast_scores(const uint8_t *first, ptrdiff_t stride, size_t count, uint8_t *restrict score) {
  memset(score, 0, count);
  for (size_t block = 0; block < count; block += PMN_FAST_BLOCK, score += PMN_FAST_BLOCK) {
    const uint8_t *centre = first + block, *around[16];
    bool bright, dark;
    block_look(centre, stride, &bright, &dark);
    for (int k = 0; k < 16; k++) around[k] = centre + circle[k][1] * stride + circle[k][0];
    for (int i = 0; bright && i < PMN_FAST_BLOCK; i++) {
      uint8_t d[16];
#pragma GCC unroll 16
      for (int k = 0; k < 16; k++) d[k] = above(around[k][i], centre[i]);
      score[i] = corner_only(best_arc(d));
    }
    for (int i = 0; dark && i < PMN_FAST_BLOCK; i++) {
      uint8_t d[16];
#pragma GCC unroll 16
      for (int k = 0; k < 16; k++) d[k] = above(centre[i], around[k][i]);
      score[i] = most(score[i], corner_only(best_arc(d)));
    }
  }
}

PMN_PER_MACHINE
float pmn_harris(const uint8_t *centre, ptrdiff_t stride) {
  static const int16_t counts[8] = {-1, -1, -1, -1, -1, -1, -1, 0};
  int32_t xx[8] = {0}, yy[8] = {0}, xy[8] = {0};
  for (ptrdiff_t y = -3; y <= 3; y++) {
    const uint8_t *row = centre + y * stride - 3, *up = row - stride, *down = row + stride;
    for (int x = 0; x < 8; x++) {
      int16_t right = (int16_t)(2 * row[x + 1] + up[x + 1] + down[x + 1]);
      int16_t left = (int16_t)(2 * row[x - 1] + up[x - 1] + down[x - 1]);
      int16_t below = (int16_t)(2 * down[x] + down[x - 1] + down[x + 1]);
      int16_t over = (int16_t)(2 * up[x] + up[x - 1] + up[x + 1]);
      int16_t gx = (int16_t)((right - left) & counts[x]), gy = (int16_t)((below - over) & counts[x]);
      xx[x] += gx * gx;
      yy[x] += gy * gy;
      xy[x] += gx * gy;
    }
  }
  int32_t a = 0, b = 0, c = 0; /* at most 49 * 1020^2 */
  for (int x = 0; x < 8; x++) {
    a += xx[x];
    b += yy[x];
    c += xy[x];
  }
  /* As OpenCV has it, to the bit: the four factors of the means are taken at the end. */
  float trace = (float)a + (float)b;
  return ((float)a * (float)b - (float)c * (float)c - PMN_HARRIS_K * trace * trace) * PMN_HARRIS_SCALE;
}

/* A circle drawn in pixels, the same in all eight directions. */
void pmn_disc_init(pmn_disc *disc) {
  memset(disc, 0, sizeof *disc);
  for (int y = 0; y <= PMN_DISC_RADIUS; y++) {
    for (int x = -PMN_DISC_RADIUS; x <= PMN_DISC_RADIUS; x++) {
      int far = abs(x) > y ? abs(x) : y, near = abs(x) > y ? y : abs(x);
      bool inside = far <= lrint(sqrt(PMN_DISC_RADIUS * PMN_DISC_RADIUS - near * near));
      disc->inside[y][x + PMN_DISC_RADIUS] = inside ? 255 : 0;
    }
  }
}

/* Rows above and below the centre come in pairs. Sums of columns stay below 31 * 255, and differences times their
 * distance below 15 * 16 / 2 * 255: 16 bits hold them. */
PMN_PER_MACHINE
void pmn_disc_moments(const pmn_disc *disc, const uint8_t *centre, ptrdiff_t stride, int32_t *mx, int32_t *my) {
  int16_t column[32], tilt[32] = {0};
  const uint8_t *left = centre - PMN_DISC_RADIUS;
  for (int x = 0; x < 32; x++) column[x] = left[x] & disc->inside[0][x];
  for (int16_t y = 1; y <= PMN_DISC_RADIUS; y++) {
    const uint8_t *above = left - y * stride, *below = left + y * stride, *inside = disc->inside[y];
    for (int x = 0; x < 32; x++) {
      int16_t a = above[x] & inside[x], b = below[x] & inside[x];
      column[x] = (int16_t)(column[x] + a + b);
      tilt[x] = (int16_t)(tilt[x] + (int16_t)(b - a) * y);
    }
  }
  *mx = *my = 0;
  for (int x = 0; x < 32; x++) {
    *mx += (x - PMN_DISC_RADIUS) * column[x];
    *my += tilt[x];
  }
}

/* exp(-i i / 8), divided by the sum of all seven. */
const float pmn_blur_weights[PMN_BLUR_REACH + 1] = {0.216105938f, 0.190712824f, 0.131074876f, 0.0701593235f};

PMN_PER_MACHINE
void pmn_blur_row(const uint8_t *first, ptrdiff_t stride, size_t count, float *restrict mix, uint8_t *restrict out) {
  const float *const weights = pmn_blur_weights;
  for (size_t i = 0; i < count + 2 * PMN_BLUR_REACH; i++) {
    const uint8_t *p = first - PMN_BLUR_REACH + i;
    int32_t one = p[-stride] + p[stride], two = p[-2 * stride] + p[2 * stride], three = p[-3 * stride] + p[3 * stride];
    mix[i] = (float)p[0] * weights[0] + (float)one * weights[1] + (float)two * weights[2] + (float)three * weights[3];
  }
  for (size_t i = 0; i < count; i++) {
    const float *m = mix + i + PMN_BLUR_REACH;
    float one = m[-1] + m[1], two = m[-2] + m[2], three = m[-3] + m[3];
    float sum = m[0] * weights[0] + one * weights[1] + two * weights[2] + three * weights[3];
    out[i] = (uint8_t)(int32_t)(sum + 0.5f);
  }
}

/* To the nearest integer, to the even one of two: numbers this large have no fractions. */
PMN_INLINE float nearest(float x) {
  const float large = 3 << 22;
  return (x + large) - large;
}

PMN_PER_MACHINE
void pmn_orb_compare(const uint8_t *centre, ptrdiff_t stride, float cosine, float sine, uint8_t bits[32]) {
  int32_t at[2][256];
  float row = (float)stride; /* and times 18 still exact */
  for (int end = 0; end < 2; end++) {
    const int8_t *px = pmn_orb_pattern[2 * end], *py = pmn_orb_pattern[2 * end + 1];
    for (int i = 0; i < 256; i++) {
      float x = (float)px[i], y = (float)py[i];
      at[end][i] = (int32_t)(nearest(x * sine + y * cosine) * row + nearest(x * cosine - y * sine));
    }
  }
  for (int byte = 0; byte < 32; byte++) {
    uint32_t value = 0;
    for (int k = 0; k < 8; k++) {
      value |= (uint32_t)(centre[at[0][byte * 8 + k]] < centre[at[1][byte * 8 + k]]) << k;
    }
    bits[byte] = (uint8_t)value;
  }
}

/* Both ways in fixed point: a (256 - p) + b p is exact in 16 bits, and only the end is rounded. Pairs of neighbours are
 * gathered first, one copy each, so that the rest goes by vectors. */
PMN_PER_MACHINE
void pmn_shrink_row(
    const pmn_shrink *shrink, const uint8_t *upper, const uint8_t *lower, uint16_t part, uint8_t *restrict out) {
  const uint16_t *at = shrink->at, *parts = shrink->parts;
  uint16_t *restrict mix = shrink->mix, (*restrict pairs)[2] = shrink->pairs, rest = (uint16_t)(256 - part);
  size_t count = shrink->count, width = shrink->width;
  for (size_t x = 0; x < width; x++) mix[x] = (uint16_t)((uint16_t)(upper[x] * rest) + (uint16_t)(lower[x] * part));
  for (size_t x = 0; x < count; x++) memcpy(pairs[x], mix + at[x], sizeof *pairs);
  for (size_t x = 0; x < count; x++) {
    uint32_t w = parts[x];
    out[x] = (uint8_t)((pairs[x][0] * (256 - w) + pairs[x][1] * w + (1 << 15)) >> 16);
  }
}
