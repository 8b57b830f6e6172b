/* pmn_cpu_kernels.c - the inner loops, written once in GNU C vector extensions, compiled once per instruction set.
 *
 * The build defines for each: ISA (a name, pasted into symbols), LANES (floats in a vector), ROWS and VECTORS (the
 * register tile of the matrix kernel: ROWS x VECTORS accumulators, VECTORS columns of weights and one broadcast value
 * must fit the register file).
 *
 *   set       registers    LANES  ROWS x VECTORS   accumulators
 *   baseline  16 x 128 bit   4       4 x 3           12   (aarch64: 32 registers, 8 x 3)
 *   avx2      16 x 256 bit   8       6 x 2           12
 *   avx512    32 x 512 bit  16       8 x 3           24
 *
 * A last vector of which half is in use is computed as half a vector (but of windows): 24 channels cost a Zen 4 what
 * they should.
 *
 * Matrix kernel: y[i][v] = clamp(bias[v] + sum over kk of a[i][kk] * w[kk][v] + residual[i][v]). acc[i][v] starts as
 * the bias and takes its products for kk = 0 .. k-1 in that order, whatever the shape of the tile around it; so the
 * bits of an element do not depend on how rows were shared out. Per kk it issues ROWS x VECTORS multiply-adds for ROWS
 * + VECTORS loads, which keeps two FMA units busy from level-2 cache.
 *
 * Depthwise: y[x][c] = clamp(bias[c] + sum over r, s of in[r][x * stride + s][c] * w[r][s][c] + residual[x][c]).
 * Vectors run along channels, the weights of a row of the window stay in registers while four neighbouring outputs
 * share their loads of the input, those at the edges of the picture too: 14 outputs a row are 3 x 4 + 2.
 *
 * Shares of the peak, one core with avx512 that does 217 GFLOP/s in registers (pomona-bench layers): tiles over panels
 * in level 2, 75 % (k = 64) to 88 % (k = 1024); whole pointwise layers of ResNet50, all that comes from memory
 * included, 45 to 72 %; inverted residuals, depthwise part included, 40 to 62 %. On a Zen 4 with half that peak, which
 * caches feed more easily, inverted residuals of MobileNetV2 run at 69 to 92 %, pointwise layers of ResNet50 at 86 to
 * 96 %.
 */
#include "pmn_cpu_vector.h"

#include <math.h>

enum { PANEL = LANES * VECTORS };

/* -------------------------------------------------------------------------------------------------- matrices -- */

/* Columns of the panel that starts at column `first`: whole panels, then the vectors that are left. */
INLINE int panel_vectors(int32_t first, int32_t n) {
  int32_t left = (n - first + LANES - 1) / LANES;
  return left < VECTORS ? left : VECTORS;
}

static size_t packed_size(int32_t k, int32_t n) {
  return (size_t)(k + 1) * (size_t)((n + LANES - 1) / LANES * LANES);
}

static void pack_weights(const float *w, const float *bias, int32_t k, int32_t n, float *packed) {
  for (int32_t first = 0; first < n; first += PANEL) {
    int32_t columns = panel_vectors(first, n) * LANES;
    for (int32_t row = -1; row < k; row++) {
      const float *from = row < 0 ? bias : w + (size_t)row * (size_t)n;
      for (int32_t j = 0; j < columns; j++) *packed++ = first + j < n ? from[first + j] : 0.0f;
    }
  }
}

/* Where a tile is, and what to bring into level 2 meanwhile: `step` floats with every row of weights. */
typedef struct gemm_place {
  int32_t row, column;
  int32_t done; /* numbers of the first run of a window that were summed before */
  const float *w, *coming;
  int step;
} gemm_place;

/* Where the windows of a tile's rows begin. */
INLINE void find_windows(const int rows, const pmn_cpu_gemm *g, int32_t row, const float **a) {
  const pmn_cpu_windows *windows = g->windows;
  int32_t line = row / windows->across, x = row % windows->across;
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    a[i] = g->a + (size_t)line * windows->line + (size_t)x * windows->step;
    if (++x < windows->across) continue;
    x = 0;
    line++;
  }
}

/* is_half: of the last vector only the lower half is computed. is_windowed: rows of a are windows. */
INLINE void tile(const int rows, const int vectors, const bool is_half, const bool is_windowed, const pmn_cpu_gemm *g,
    const gemm_place *at) {
  const int whole = is_half ? vectors - 1 : vectors;
  int32_t row = at->row, column = at->column;
  const float *w = at->w, *coming = at->coming;
  vec acc[ROWS][VECTORS];
  half_vec last[ROWS];
  const float *a[ROWS];
  if (is_windowed) find_windows(rows, g, row, a);
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
    if (!is_windowed) a[i] = g->a + (size_t)(row + i) * g->a_stride;
    const float *start = g->start == NULL ? w : g->start + (size_t)(row + i) * g->start_stride + (size_t)column;
#pragma GCC unroll 4
    for (int v = 0; v < whole; v++) acc[i][v] = load(start + v * LANES);
    if (is_half) last[i] = *(const half_vec *)(start + whole * LANES);
  }
  int32_t left = g->k, k = is_windowed ? g->windows->length - at->done : left;
  for (;;) {
    if (is_windowed && k > left) k = left;
    for (int32_t kk = 0; kk < k; kk++) {
      w += vectors * LANES;
      __builtin_prefetch(coming, 0, 2);
      coming += at->step;
      vec b[VECTORS];
      half_vec b_last = {0};
#pragma GCC unroll 4
      for (int v = 0; v < whole; v++) b[v] = load(w + v * LANES);
      if (is_half) b_last = *(const half_vec *)(w + whole * LANES);
#pragma GCC unroll 16
      for (int i = 0; i < rows; i++) {
        vec value = splat(a[i][kk]);
#pragma GCC unroll 4
        for (int v = 0; v < whole; v++) acc[i][v] += value * b[v];
        if (is_half) last[i] += low_half(value) * b_last;
      }
    }
    if (!is_windowed || (left -= k) == 0) break;
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) a[i] += g->windows->run - (size_t)(g->windows->length - k);
    k = g->windows->length;
  }
  bounds b = bounds_of(&g->epilogue);
  const float *residual = g->epilogue.residual;
  float *y = g->y + (size_t)row * g->y_stride + (size_t)column;
  if (residual != NULL) residual += (size_t)row * g->y_stride + (size_t)column;
  size_t stride = g->y_stride;
  int count = g->n - column;
#pragma GCC unroll 16
  for (int i = 0; i < rows; i++) {
#pragma GCC unroll 4
    for (int v = 0; v < whole; v++) {
      size_t offset = (size_t)i * stride + (size_t)(v * LANES);
      finish(y + offset, acc[i][v], count - v * LANES, residual == NULL ? NULL : residual + offset, &b);
    }
    if (!is_half) continue;
    size_t offset = (size_t)i * stride + (size_t)(whole * LANES);
    finish_half(y + offset, last[i], residual == NULL ? NULL : residual + offset, &b);
  }
}

/* Every height of tile is its own straight code: a short last tile costs no more than its rows. */
INLINE void tile_rows(const int vectors, const bool is_half, const bool is_windowed, int rows, const pmn_cpu_gemm *g,
    const gemm_place *at) {
  switch (rows) {
  case 1:
    tile(1, vectors, is_half, is_windowed, g, at);
    break;
  case 2:
    tile(2, vectors, is_half, is_windowed, g, at);
    break;
  case 3:
    tile(3, vectors, is_half, is_windowed, g, at);
    break;
  case 4:
    tile(4, vectors, is_half, is_windowed, g, at);
    break;
#if ROWS > 4
  case 5:
    tile(5, vectors, is_half, is_windowed, g, at);
    break;
  case 6:
    tile(6, vectors, is_half, is_windowed, g, at);
    break;
#endif
#if ROWS > 6
  case 7:
    tile(7, vectors, is_half, is_windowed, g, at);
    break;
  case 8:
    tile(8, vectors, is_half, is_windowed, g, at);
    break;
#endif
  default:
    __builtin_unreachable();
  }
}

/* Three kinds of tile of so many vectors. A window's last vector is never computed by halves. */
#define TILES(vectors)                                                                                                 \
  static void tile_##vectors(int rows, const pmn_cpu_gemm *g, const gemm_place *at) {                                  \
    tile_rows(vectors, false, false, rows, g, at);                                                                     \
  }                                                                                                                    \
  static void half_##vectors(int rows, const pmn_cpu_gemm *g, const gemm_place *at) {                                  \
    tile_rows(vectors, true, false, rows, g, at);                                                                      \
  }                                                                                                                    \
  static void windows_##vectors(int rows, const pmn_cpu_gemm *g, const gemm_place *at) {                               \
    tile_rows(vectors, false, true, rows, g, at);                                                                      \
  }
TILES(1)
TILES(2)
#if VECTORS > 2
TILES(3)
#endif

static void run_tile(int vectors, int rows, const pmn_cpu_gemm *g, const gemm_place *at) {
  static void (*const tiles[][VECTORS])(int, const pmn_cpu_gemm *, const gemm_place *) = {
#if VECTORS > 2
    {tile_1, tile_2, tile_3},
    {half_1, half_2, half_3},
    {windows_1, windows_2, windows_3}
#else
    {tile_1, tile_2},
    {half_1, half_2},
    {windows_1, windows_2}
#endif
  };
  bool is_half = g->n - at->column == vectors * LANES - LANES / 2;
  tiles[g->windows != NULL ? 2 : is_half ? 1 : 0][vectors - 1](rows, g, at);
}

/* Where panel `column` of weights [depth, n] has its row `first`; `panel` is its bias. */
INLINE const float *panel_row(const float *panel, int32_t column, int32_t n, int32_t first) {
  return panel + (size_t)first * (size_t)(panel_vectors(column, n) * LANES);
}

/* Asks for the residual of a tile, which comes while the tile is summed up; for writing, because y takes its place in
 * memory where it can (pmn_cpu_plan.c). */
static void fetch_residual(const pmn_cpu_gemm *g, int32_t row, int32_t column, int rows, int vectors) {
  for (int32_t i = row; i < row + rows; i++) {
    const float *line = g->epilogue.residual + (size_t)i * g->y_stride + (size_t)column;
    for (int v = 0; v < vectors; v++) __builtin_prefetch(line + v * LANES, 1, 3);
  }
}

/* All rows and columns, for rows [depth_first, depth_first + g->k) of weights that have `depth` of them. Rows of a are
 * taken in blocks that stay in level-2 cache while all panels of weights pass over them; as few blocks as can be, for
 * each brings the weights from wherever they are. While a panel is at work, the next one is brought, each tile its
 * share: all of it if there are three tiles or more, else a third or two thirds of its lines. */
static void gemm_part(const pmn_cpu_gemm *g, int32_t depth, int32_t depth_first) {
  enum { BLOCK_BYTES = 448 * 1024 };
  int32_t most = (int32_t)(BLOCK_BYTES / (4 * (int64_t)g->k)), blocks = (g->m + most - 1) / most;
  int32_t block = ((g->m + blocks - 1) / blocks + ROWS - 1) / ROWS * ROWS;
  for (int32_t start = 0; start < g->m; start += block) {
    int32_t rows = g->m - start < block ? g->m - start : block;
    /* Tiles of nearly equal height: 49 rows are 7 x 7, not 6 x 8 + 1. */
    int32_t tiles = (rows + ROWS - 1) / ROWS, height = rows / tiles, taller = rows % tiles;
    const float *panel = g->w;
    for (int32_t column = 0; column < g->n; column += PANEL) {
      int vectors = panel_vectors(column, g->n);
      size_t row_size = (size_t)(vectors * LANES);
      const float *next = panel + (size_t)(depth + 1) * row_size, *coming = g->ahead;
      if (column + PANEL < g->n) coming = panel_row(next, column + PANEL, g->n, depth_first);
      if (coming == NULL || (column + PANEL >= g->n && start + block < g->m))
        coming = panel_row(g->w, 0, g->n, depth_first);
      gemm_place at = {.row = start,
          .column = column,
          .done = g->windows == NULL ? 0 : depth_first % g->windows->length,
          .w = panel_row(panel, column, g->n, depth_first),
          .coming = coming,
          .step = (PANEL + tiles - 1) / tiles};
      size_t share = (size_t)g->k * (size_t)at.step, left = (size_t)g->k * row_size;
      for (int32_t t = 0; t < tiles; t++) {
        int tile_height = height + (t < taller);
        if (g->epilogue.residual != NULL) fetch_residual(g, at.row, column, tile_height, vectors);
        run_tile(vectors, tile_height, g, &at);
        at.row += tile_height;
        left -= share < left ? share : left;
        if (left > 0)
          at.coming += share;
        else
          at.step = 0; /* nothing is left to bring */
      }
      panel = next;
    }
  }
}

/* Where number k of a window is. */
INLINE size_t window_offset(const pmn_cpu_windows *windows, int32_t k) {
  return (size_t)(k / windows->length) * windows->run + (size_t)(k % windows->length);
}

/* y holds the partial sums of long ones. */
static void gemm(const pmn_cpu_gemm *g) {
  int32_t parts = (g->k + PMN_CPU_DEPTH_MAX - 1) / PMN_CPU_DEPTH_MAX;
  pmn_cpu_gemm part = *g;
  for (int32_t i = 0; i < parts; i++) {
    int32_t first = (int32_t)((int64_t)g->k * i / parts), end = (int32_t)((int64_t)g->k * (i + 1) / parts);
    bool is_last = i + 1 == parts;
    part.k = end - first;
    part.a = g->a + (g->windows == NULL ? (size_t)first : window_offset(g->windows, first));
    part.ahead = is_last ? g->ahead : panel_row(g->w, 0, g->n, end);
    part.epilogue = is_last ? g->epilogue : (pmn_cpu_epilogue){NULL, -INFINITY, INFINITY};
    gemm_part(&part, g->k, first);
    part.start = g->y;
    part.start_stride = g->y_stride;
  }
}

/* ------------------------------------------------------------------------------------------------- depthwise -- */

/* How many of 0, dilation, 2 dilation, ... lie before `distance`. */
INLINE int32_t taps_before(int32_t distance, int32_t dilation) {
  if (distance <= 0) return 0;
  return dilation == 1 ? distance : (distance - 1) / dilation + 1;
}

/* Output x of channels [channel, channel + count), by a window of any shape: only its columns that lie in the picture.
 */
INLINE void depthwise_one(const pmn_cpu_depthwise *d, int32_t x, int32_t channel, int count) {
  int32_t left = x * d->stride_w - d->pad_left;
  int32_t first = taps_before(-left, d->dilation_w), last = taps_before(d->in_w - left, d->dilation_w);
  if (last > d->kernel_w) last = d->kernel_w;
  vec acc = count >= LANES ? load(d->bias + channel) : load_some(d->bias + channel, count);
  for (int32_t r = 0; r < d->kernel_h; r++) {
    for (int32_t s = first; s < last; s++) {
      const float *w = d->w + (size_t)(r * d->kernel_w + s) * (size_t)d->c + channel;
      const float *in = d->rows[r] + (size_t)(left + s * d->dilation_w) * (size_t)d->c + channel;
      vec weight = count >= LANES ? load(w) : load_some(w, count);
      vec value = count >= LANES ? load(in) : load_some(in, count);
      acc += value * weight;
    }
  }
  size_t at = (size_t)x * (size_t)d->c + (size_t)channel;
  const float *residual = d->epilogue.residual == NULL ? NULL : d->epilogue.residual + at;
  bounds b = bounds_of(&d->epilogue);
  finish(d->y + at, acc, count, residual, &b);
}

enum { DEPTHWISE_OUTPUTS = 4 };

/* Outputs [x, x + outputs), one vector of channels. edge: columns of the windows may lie outside the picture, and are
 * left out. */
INLINE void depthwise_tile(const int kernel, const int stride, const int outputs, const bool edge,
    const pmn_cpu_depthwise *d, int32_t x, int32_t channel, const bounds *b) {
  size_t c = (size_t)d->c;
  vec acc[DEPTHWISE_OUTPUTS];
  for (int o = 0; o < outputs; o++) acc[o] = load(d->bias + channel);
  int32_t left = x * stride - d->pad_left, right = d->in_w - left;
#pragma GCC unroll 5
  for (int r = 0; r < kernel; r++) {
    const float *w = d->w + (size_t)(r * kernel) * c + (size_t)channel;
    vec weights[5];
#pragma GCC unroll 5
    for (int s = 0; s < kernel; s++) weights[s] = load(w + (size_t)s * c);
#pragma GCC unroll 16
    for (int i = 0; i < (outputs - 1) * stride + kernel; i++) {
      if (edge && (left + i < 0 || i >= right)) continue;
      vec value = load(d->rows[r] + (size_t)(left + i) * c + channel);
#pragma GCC unroll 4
      for (int o = 0; o < outputs; o++) {
        int s = i - o * stride;
        if (s >= 0 && s < kernel) acc[o] += value * weights[s];
      }
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < outputs; o++) {
    size_t at = (size_t)(x + o) * c + (size_t)channel;
    const float *residual = d->epilogue.residual == NULL ? NULL : d->epilogue.residual + at;
    finish(d->y + at, acc[o], LANES, residual, b);
  }
}

/* A row of one vector of channels; outputs [inner, outer) have their whole window inside the picture. */
INLINE void depthwise_span(
    const int kernel, const int stride, const pmn_cpu_depthwise *d, int32_t inner, int32_t outer, int32_t channel) {
  bounds b = bounds_of(&d->epilogue);
  for (int32_t x = 0; x < d->out_w; x += DEPTHWISE_OUTPUTS) {
    int32_t outputs = d->out_w - x;
    if (x >= inner && x + DEPTHWISE_OUTPUTS <= outer)
      depthwise_tile(kernel, stride, DEPTHWISE_OUTPUTS, false, d, x, channel, &b);
    else if (outputs >= 4)
      depthwise_tile(kernel, stride, 4, true, d, x, channel, &b);
    else if (outputs == 3)
      depthwise_tile(kernel, stride, 3, true, d, x, channel, &b);
    else if (outputs == 2)
      depthwise_tile(kernel, stride, 2, true, d, x, channel, &b);
    else
      depthwise_tile(kernel, stride, 1, true, d, x, channel, &b);
  }
}

static void depthwise_row(const pmn_cpu_depthwise *d) {
  int32_t inner = (d->pad_left + d->stride_w - 1) / d->stride_w;
  int32_t reach = d->in_w - d->kernel_w + d->pad_left;
  int32_t outer = reach < 0 ? 0 : reach / d->stride_w + 1;
  if (outer > d->out_w) outer = d->out_w;
  bool square = d->kernel_h == d->kernel_w && d->kernel_w <= 5 && d->stride_w <= 2 && d->dilation_w == 1;
  int shape = square ? d->kernel_w * 10 + d->stride_w : 0;
  for (int32_t channel = 0; channel < d->c; channel += LANES) {
    int count = d->c - channel;
    switch (count >= LANES ? shape : 0) {
    case 11:
      depthwise_span(1, 1, d, inner, outer, channel);
      break;
    case 31:
      depthwise_span(3, 1, d, inner, outer, channel);
      break;
    case 32:
      depthwise_span(3, 2, d, inner, outer, channel);
      break;
    case 51:
      depthwise_span(5, 1, d, inner, outer, channel);
      break;
    case 52:
      depthwise_span(5, 2, d, inner, outer, channel);
      break;
    default:
      for (int32_t x = 0; x < d->out_w; x++) depthwise_one(d, x, channel, count);
      break;
    }
  }
}

/* ----------------------------------------------------------------------------------------------------- small -- */

/* Sums of SUM_RUN pixels, then the sum of those: one sum over a picture of 112x112 would lose four digits to rounding.
 */
static void average(const float *x, int32_t pixels, int32_t c, float *y, const pmn_cpu_epilogue *epilogue) {
  enum { SUM_RUN = 64 };
  vec share = splat((float)pixels);
  bounds b = bounds_of(epilogue);
  for (int32_t channel = 0; channel < c; channel += LANES) {
    int count = c - channel;
    vec sum = {0};
    for (int32_t first = 0; first < pixels; first += SUM_RUN) {
      int32_t end = pixels - first < SUM_RUN ? pixels : first + SUM_RUN;
      vec run = {0};
      for (int32_t p = first; p < end; p++) {
        const float *at = x + (size_t)p * (size_t)c + channel;
        run += count >= LANES ? load(at) : load_some(at, count);
      }
      sum += run;
    }
    const float *residual = epilogue->residual == NULL ? NULL : epilogue->residual + channel;
    finish(y + channel, sum / share, count, residual, &b);
  }
}

static void normalize(const uint8_t *x, size_t pixels, const float scale[3], const float shift[3], float *y) {
  float s0 = scale[0], s1 = scale[1], s2 = scale[2], t0 = shift[0], t1 = shift[1], t2 = shift[2];
  for (size_t i = 0; i < pixels; i++) {
    y[3 * i] = (float)x[3 * i] * s0 + t0;
    y[3 * i + 1] = (float)x[3 * i + 1] * s1 + t1;
    y[3 * i + 2] = (float)x[3 * i + 2] * s2 + t2;
  }
}

extern const pmn_cpu_kernels PASTE(pmn_cpu_kernels_, ISA);
const pmn_cpu_kernels PASTE(pmn_cpu_kernels_, ISA) = {
    .isa = TEXT(ISA),
    .lanes = LANES,
    .panel = PANEL,
    .packed_size = packed_size,
    .pack_weights = pack_weights,
    .gemm = gemm,
    .depthwise_row = depthwise_row,
    .average = average,
    .normalize = normalize,
    .pixel = &PASTE(pmn_cpu_pixels_, ISA),
    .transforms = PASTE(pmn_cpu_transforms_, ISA),
};
