/* pmn_orb_pixels.h - the loops over pixels of ORB; inside vision only.
 *
 * Pictures are rows of bytes, `stride` apart. What is read around a pixel must be in memory, where the row before or
 * the one behind may take the place of a border that is not looked at.
 */
#ifndef PMN_ORB_PIXELS_H
#define PMN_ORB_PIXELS_H

#include <stddef.h>
#include <stdint.h>

/* FAST-9 (Rosten and Drummond, Machine learning for high-speed corner detection, ECCV 2006): a corner has 9 neighbours
 * in a row, of 16 on a circle of radius 3, that are all brighter by more than the threshold, or all darker. score[i] of
 * pixel first[i]: the largest difference for which that holds; 0 where it is not above the threshold. Scores are made
 * in blocks of PMN_FAST_BLOCK: count is a multiple of it. */
#define PMN_FAST_THRESHOLD 20
#define PMN_FAST_BLOCK 32
void pmn_fast_scores(const uint8_t *first, ptrdiff_t stride, size_t count, uint8_t *restrict score);

/* Harris and Stephens, 1988: det M - 0.04 (trace M)^2, M = mean over 7x7 pixels of (gx, gy)(gx, gy)', by Sobel / 4 of
 * gray values from 0 to 1. Reads 8 columns, of which the last counts for nothing. To the bit, in floats and
 * this order: (a b - c c - PMN_HARRIS_K t t) PMN_HARRIS_SCALE, t = a + b, of the sums of gx gx, gy gy and gx gy. */
#define PMN_HARRIS_K 0.04f
#define PMN_HARRIS_FACTOR (1.0f / (4 * 7 * 255.0f))
#define PMN_HARRIS_SCALE (PMN_HARRIS_FACTOR * PMN_HARRIS_FACTOR * PMN_HARRIS_FACTOR * PMN_HARRIS_FACTOR)
float pmn_harris(const uint8_t *centre, ptrdiff_t stride);

/* Moments of the disc of radius 15: sum of x times gray, and of y. */
#define PMN_DISC_RADIUS 15
typedef struct pmn_disc {
  uint8_t inside[PMN_DISC_RADIUS + 1][32]; /* [|y|][x + 15]: 255 or 0; the last column is outside */
} pmn_disc;
void pmn_disc_init(pmn_disc *disc);
void pmn_disc_moments(const pmn_disc *disc, const uint8_t *centre, ptrdiff_t stride, int32_t *mx, int32_t *my);

/* out[i] of pixel first[i]: Gaussian, 7x7, sigma 2. mix: room for count + 6 floats. Columns first, then rows: pixels as
 * far from the middle are added, and the sums weighed from the middle outwards. */
#define PMN_BLUR_REACH 3
extern const float pmn_blur_weights[PMN_BLUR_REACH + 1];
void pmn_blur_row(const uint8_t *first, ptrdiff_t stride, size_t count, float *restrict mix, uint8_t *restrict out);

/* The 256 comparisons around a pixel of the blurred picture, the pattern turned by the angle of these. */
void pmn_orb_compare(const uint8_t *centre, ptrdiff_t stride, float cosine, float sine, uint8_t bits[32]);

/* Pixel x of `count` of a smaller row lies between pixels at[x] and at[x] + 1 of `width` of the larger one, parts[x] /
 * 256 of the way. */
typedef struct pmn_shrink {
  size_t count, width;
  uint16_t *at, *parts; /* [count] */
  uint16_t *mix;        /* [width] room */
  uint16_t (*pairs)[2]; /* [count] room */
} pmn_shrink;
/* A row of the smaller picture from two of the larger one, `part` / 256 of the way from the upper to the lower one. */
void pmn_shrink_row(
    const pmn_shrink *shrink, const uint8_t *upper, const uint8_t *lower, uint16_t part, uint8_t *restrict out);

#endif
