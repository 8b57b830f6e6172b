/* pmn_cpu_transforms.c - the linear maps around Winograd's products, compiled once per instruction set; the formula and
 * the matrices stand in pmn_cpu_winograd.h.
 *
 * Vectors run along channels. A tile is transformed column by column into a square of vectors on the stack, which stays
 * in level-1 cache, then row by row. What is loaded and stored, not the additions, is the cost: of 4x4 tiles 2.25
 * values per output and channel before the products and as many after them, of 2x2 tiles 4.
 *
 * Counted as direct convolutions, the layers around these reach 90 to 175 % of the peak of one core with avx512 (3x3 of
 * ResNet50, pomona-bench layers); the transforms themselves take a fiftieth of the network's time.
 */
#include "pmn_cpu_vector.h"
#include "pmn_cpu_winograd.h"

enum { WIDEST = PMN_WINOGRAD_SIZE_MAX, SIDE_MAX = WIDEST + 2 };

/* t = B' d, of F(size x size, 3x3) */
INLINE void input_line(const int size, const vec *d, vec *t) {
  if (size == 2) {
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
    return;
  }
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
INLINE void output_line(const int size, const vec *t, vec *y) {
  vec sum = t[1] + t[2], difference = t[1] - t[2];
  if (size == 2) {
    y[0] = t[0] + sum;
    y[1] = difference - t[3];
    return;
  }
  vec sum_2 = t[3] + t[4], difference_2 = t[3] - t[4];
  y[0] = t[0] + sum + sum_2;
  y[1] = difference + 2.0f * difference_2;
  y[2] = sum + 4.0f * sum_2;
  y[3] = difference + 8.0f * difference_2 + t[5];
}

INLINE void input(const int size, const pmn_cpu_tile *tile, float *v) {
  const int side = size + 2;
  for (int32_t channel = 0; channel < tile->c; channel += LANES) {
    vec square[SIDE_MAX][SIDE_MAX];
#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
      const float *x = tile->x + (size_t)j * tile->pixel + (size_t)channel;
      vec d[SIDE_MAX], t[SIDE_MAX];
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) d[i] = load(x + (size_t)i * tile->row);
      input_line(size, d, t);
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) square[i][j] = t[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < side; i++) {
      vec t[SIDE_MAX];
      input_line(size, square[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < side; j++) store(v + (size_t)(i * side + j) * tile->position + (size_t)channel, t[j]);
    }
  }
}

INLINE void output(const int size, const pmn_cpu_tile *tile, const float *bias, int32_t rows, int32_t columns, float *y,
    const pmn_cpu_epilogue *epilogue) {
  const int side = size + 2;
  bounds b = bounds_of(epilogue);
  for (int32_t channel = 0; channel < tile->c; channel += LANES) {
    vec square[WIDEST][SIDE_MAX], start = load(bias + channel);
#pragma GCC unroll 6
    for (int j = 0; j < side; j++) {
      vec t[SIDE_MAX], s[WIDEST];
#pragma GCC unroll 6
      for (int i = 0; i < side; i++) t[i] = load(tile->x + (size_t)(i * side + j) * tile->position + (size_t)channel);
      output_line(size, t, s);
#pragma GCC unroll 4
      for (int i = 0; i < size; i++) square[i][j] = s[i];
    }
    for (int i = 0; i < size && i < rows; i++) {
      vec s[WIDEST];
      output_line(size, square[i], s);
      size_t at = (size_t)i * tile->row + (size_t)channel;
      for (int j = 0; j < size && j < columns; j++, at += tile->pixel) {
        const float *residual = epilogue->residual == NULL ? NULL : epilogue->residual + at;
        finish(y + at, s[j] + start, LANES, residual, &b);
      }
    }
  }
}

static void input_2(const pmn_cpu_tile *tile, float *v) {
  input(2, tile, v);
}
static void input_4(const pmn_cpu_tile *tile, float *v) {
  input(4, tile, v);
}
static void output_2(const pmn_cpu_tile *tile, const float *bias, int32_t rows, int32_t columns, float *y,
    const pmn_cpu_epilogue *epilogue) {
  output(2, tile, bias, rows, columns, y, epilogue);
}
static void output_4(const pmn_cpu_tile *tile, const float *bias, int32_t rows, int32_t columns, float *y,
    const pmn_cpu_epilogue *epilogue) {
  output(4, tile, bias, rows, columns, y, epilogue);
}

const pmn_cpu_transforms PASTE(pmn_cpu_transforms_, ISA)[2] = {{input_2, output_2}, {input_4, output_4}};
