/* pmn_cpu_transforms.c - the linear maps around Winograd's products, compiled once per instruction set; the formula and
 * the matrices stand in pmn_cpu_winograd.h.
 *
 * Vectors run along channels. A tile is transformed column by column into a square of vectors on the stack, which stays
 * in level-1 cache, then row by row. What is loaded and stored, not the additions, is the cost: 2.25 values per output
 * and channel before the products and as many after them.
 */
#include "pmn_cpu_vector.h"
#include "pmn_cpu_winograd.h"

enum { SIDE = PMN_WINOGRAD_SIDE, TILE = PMN_WINOGRAD_TILE };

/* t = B' d */
INLINE void input_line(const vec d[SIDE], vec t[SIDE]) {
  vec even = d[4] - 4.0f * d[2], odd = d[3] - 4.0f * d[1];
  vec even_2 = d[4] - d[2], odd_2 = 2.0f * (d[3] - d[1]);
  t[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = even_2 + odd_2;
  t[4] = even_2 - odd_2;
  t[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

/* y = A' t */
INLINE void output_line(const vec t[SIDE], vec y[TILE]) {
  vec sum = t[1] + t[2], difference = t[1] - t[2], sum_2 = t[3] + t[4], difference_2 = t[3] - t[4];
  y[0] = t[0] + sum + sum_2;
  y[1] = difference + 2.0f * difference_2;
  y[2] = sum + 4.0f * sum_2;
  y[3] = difference + 8.0f * difference_2 + t[5];
}

static void input_tile(const pmn_cpu_tile *tile, float *v) {
  for (int32_t channel = 0; channel < tile->c; channel += LANES) {
    vec square[SIDE][SIDE];
#pragma GCC unroll 6
    for (int j = 0; j < SIDE; j++) {
      const float *x = tile->x + (size_t)j * tile->pixel + (size_t)channel;
      vec d[SIDE], t[SIDE];
#pragma GCC unroll 6
      for (int i = 0; i < SIDE; i++) d[i] = load(x + (size_t)i * tile->row);
      input_line(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < SIDE; i++) square[i][j] = t[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < SIDE; i++) {
      vec t[SIDE];
      input_line(square[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < SIDE; j++) store(v + (size_t)(i * SIDE + j) * tile->position + (size_t)channel, t[j]);
    }
  }
}

static void output_tile(const pmn_cpu_tile *tile, const float *bias, int32_t rows, int32_t columns, float *y,
    const pmn_cpu_epilogue *epilogue) {
  bounds b = bounds_of(epilogue);
  for (int32_t channel = 0; channel < tile->c; channel += LANES) {
    vec square[TILE][SIDE], start = load(bias + channel);
#pragma GCC unroll 6
    for (int j = 0; j < SIDE; j++) {
      vec t[SIDE], s[TILE];
#pragma GCC unroll 6
      for (int i = 0; i < SIDE; i++) t[i] = load(tile->x + (size_t)(i * SIDE + j) * tile->position + (size_t)channel);
      output_line(t, s);
#pragma GCC unroll 4
      for (int i = 0; i < TILE; i++) square[i][j] = s[i];
    }
    for (int i = 0; i < rows; i++) {
      vec s[TILE];
      output_line(square[i], s);
      size_t at = (size_t)i * tile->row + (size_t)channel;
      for (int j = 0; j < columns; j++, at += tile->pixel) {
        const float *residual = epilogue->residual == NULL ? NULL : epilogue->residual + at;
        finish(y + at, s[j] + start, LANES, residual, &b);
      }
    }
  }
}

const pmn_cpu_transforms PASTE(pmn_cpu_transforms_, ISA) = {.input_tile = input_tile, .output_tile = output_tile};
