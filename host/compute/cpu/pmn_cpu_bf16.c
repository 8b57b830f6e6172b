/* pmn_cpu_bf16.c - matrix products whose factors are rounded to bf16, with intrinsics: C has no words for them.
 *
 * bf16 is the upper half of a float: its range, 8 bits of significand. A product of two of them is exact in fp32, and
 * the instructions add products in pairs to fp32 sums. Compiled twice:
 *
 *   amx         TDPBF16PS: 16 x 16 sums += 16 x 16 pairs times 16 pairs x 16; 17 times the multiply-adds of fp32
 *   avx512bf16  VDPBF16PS: 16 sums += 16 pairs; twice the multiply-adds of fp32 where it takes as long as one of them
 *
 * Measured on a Xeon with AMX, one thread, processor time of a picture on a busy machine: amx takes 0.34 of what
 * fp32 takes for ResNet50, 0.46 for VGG16, 0.52 for MobileNetV2. VDPBF16PS is issued there every second cycle, two
 * fp32 multiply-adds every one: avx512bf16 loses, and is for processors without tiles (AMD from Zen 4 on: not
 * measured).
 *
 * They add in different orders, and so differ in the last bits; each adds an element's pairs in ascending order,
 * whatever the shape of the tile around it, so that bits do not depend on how rows were shared out.
 *
 *   y[i][j] = clamp(start[j] + sum over kk of bf16(a[i][kk]) * bf16(w[kk][j]) + residual[i][j])
 *
 * A block of rows of a is rounded once and stays in level 2, each row on cache lines of its own: a tile that is loaded
 * across lines takes four times as long. Weights are packed as the tiles want them:
 *
 *   panel of 32 columns: bias [32], then per 32 rows: 2 tiles [16 pairs of rows][16 columns][2]
 *
 * A tile of sums is 16 rows at most; rows make tiles of equal height, 49 of them 4 x 13. Of the last one some lie
 * behind the end, a sixteenth of the rows at most; what it makes of them is dropped. The windows of a 3x3 convolution
 * are no rows in memory: tiles load 16 neighbouring pixels of the rounded picture, tap after tap.
 */
#include "pmn_cpu_kernels.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)
#define INLINE static inline __attribute__((always_inline))

enum {
  LINE = PMN_CPU_BF16_LINE, /* rows of weights in one step */
  TILE = 16,                /* rows and columns of a tile of sums */
  PANEL = 2 * TILE,
  ROOM = 160 * 1024,       /* numbers of a block of rounded rows */
  ROWS_WANTED = 64,        /* that a block has if there are as many; longer sums are cut */
  NEAR_BYTES = 512 * 1024, /* weights that level 2 keeps from block to block, which then has ROWS_WANTED */
};

/* --------------------------------------------------------------------------------------------------- packing -- */

static size_t packed_size(int32_t k, int32_t n) {
  size_t rows = ((size_t)k + LINE - 1) / LINE * LINE, columns = ((size_t)n + TILE - 1) / TILE * TILE;
  return (rows / 2 + 1) * columns;
}

/* To nearest, ties to even; a NaN stays one. */
static pmn_bf16 rounded(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if (isnan(value)) return (pmn_bf16)(bits >> 16 | 0x40);
  return (pmn_bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* One tile: rows [row, row + LINE), columns [column, column + TILE), zeros beyond the matrix. */
static void pack_tile(const float *w, int32_t k, int32_t n, int32_t row, int32_t column, pmn_bf16 *to) {
  for (int32_t i = 0; i < LINE; i++) {
    for (int32_t j = 0; j < TILE; j++) {
      bool inside = row + i < k && column + j < n;
      float value = inside ? w[(size_t)(row + i) * (size_t)n + (size_t)(column + j)] : 0.0f;
      to[(i / 2 * TILE + j) * 2 + i % 2] = rounded(value);
    }
  }
}

static void pack_weights(const float *w, const float *bias, int32_t k, int32_t n, float *packed) {
  for (int32_t first = 0; first < n; first += PANEL) {
    int32_t columns = n - first > TILE ? PANEL : TILE;
    for (int32_t j = 0; j < columns; j++) *packed++ = first + j < n ? bias[first + j] : 0.0f;
    for (int32_t row = 0; row < k; row += LINE) {
      for (int32_t j = 0; j < columns; j += TILE, packed += LINE * TILE / 2) {
        pack_tile(w, k, n, row, first + j, (pmn_bf16 *)packed);
      }
    }
  }
}

static void round_run(const float *from, size_t count, pmn_bf16 *to) {
  for (; count >= LINE; count -= LINE, from += LINE, to += LINE) {
    __m512bh line = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(from + TILE), _mm512_loadu_ps(from));
    _mm512_storeu_si512(to, (__m512i)line);
  }
  if (count == 0) return;
  uint32_t lanes = (1u << count) - 1;
  __m512 low = _mm512_maskz_loadu_ps((__mmask16)lanes, from);
  __m512 high = _mm512_maskz_loadu_ps((__mmask16)(lanes >> TILE), from + TILE);
  _mm512_storeu_si512(to, (__m512i)_mm512_cvtne2ps_pbh(high, low));
}

/* --------------------------------------------------------------------------------------------------- products -- */

/* Sums of one or two tiles of rows, below each other, and of one or two tiles of columns: start + a w. */
typedef struct product {
  const char *a[2]; /* first row of either tile */
  size_t a_stride;  /* bytes, as all strides here */
  int32_t runs, steps;
  size_t run; /* a row is `runs` times so many steps of a line, so far apart */
  const float *w, *start;
  size_t start_stride; /* 0 for a bias */
  int32_t height;      /* rows of a tile */
} product;

typedef float sums[2 * TILE][PANEL] __attribute__((aligned(64)));

#ifdef __AMX_BF16__

/* Tiles 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 weights (Intel 64 and IA-32 Architectures Software Developer's
 * Manual, volume 1, chapter 18). */
typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

static void begin(int32_t height) {
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shapes.row_bytes[i] = 64;
    shapes.rows[i] = (uint8_t)(i < 6 ? height : TILE);
  }
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes)); /* GCC 12's _tile_loadconfig reads 8 bytes of it */
}

/* The kernel need not keep tiles that nobody uses. */
static void end(void) {
  _tile_release();
}

INLINE void multiply(const int tall, const int wide, const product *p, sums y) {
  const char *start = (const char *)p->start, *below = start + (size_t)p->height * p->start_stride;
  const float *w = p->w;
  __asm__ volatile("" : : : "memory"); /* GCC 12's _tile_loadd does not say that it reads memory */
  _tile_loadd(0, start, p->start_stride);
  if (wide == 2) _tile_loadd(1, start + 64, p->start_stride);
  if (tall == 2) _tile_loadd(2, below, p->start_stride);
  if (tall == 2 && wide == 2) _tile_loadd(3, below + 64, p->start_stride);
  for (int32_t r = 0; r < p->runs; r++) {
    const char *a0 = p->a[0] + (size_t)r * p->run, *a1 = p->a[1] + (size_t)r * p->run;
    for (int32_t i = 0; i < p->steps; i++, a0 += 64, a1 += 64, w += wide * LINE * TILE / 2) {
      _tile_loadd(4, a0, p->a_stride);
      _tile_loadd(6, w, 64);
      _tile_dpbf16ps(0, 4, 6);
      if (wide == 2) _tile_loadd(7, w + LINE * TILE / 2, 64);
      if (wide == 2) _tile_dpbf16ps(1, 4, 7);
      if (tall == 2) _tile_loadd(5, a1, p->a_stride);
      if (tall == 2) _tile_dpbf16ps(2, 5, 6);
      if (tall == 2 && wide == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, y, sizeof *y);
  if (wide == 2) _tile_stored(1, &y[0][TILE], sizeof *y);
  if (tall == 2) _tile_stored(2, y[p->height], sizeof *y);
  if (tall == 2 && wide == 2) _tile_stored(3, &y[p->height][TILE], sizeof *y);
}

#else

static void begin(int32_t height) {
  (void)height;
}
static void end(void) {}

enum { GROUP = 4 }; /* rows that share their loads of weights */

/* `count` rows; those behind them, which fill up a group, are the last once more. */
INLINE void multiply_group(
    const int wide, const product *p, const char *first, const char *start, int32_t count, float (*y)[PANEL]) {
  const char *a[GROUP];
  __m512 acc[GROUP][2];
#pragma GCC unroll 4
  for (int i = 0; i < GROUP; i++) {
    size_t row = (size_t)(i < count ? i : count - 1);
    a[i] = first + row * p->a_stride;
    const float *from = (const float *)(start + row * p->start_stride);
    acc[i][0] = _mm512_loadu_ps(from);
    if (wide == 2) acc[i][1] = _mm512_loadu_ps(from + TILE);
  }
  const float *w = p->w;
  for (size_t r = 0; r < (size_t)p->runs; r++) {
    for (size_t s = 0; s < (size_t)p->steps; s++, w += wide * LINE * TILE / 2) {
      for (size_t pair = 0; pair < TILE; pair++) {
        __m512bh b0 = (__m512bh)_mm512_loadu_ps(w + pair * TILE), b1 = b0;
        if (wide == 2) b1 = (__m512bh)_mm512_loadu_ps(w + LINE * TILE / 2 + pair * TILE);
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; i++) {
          int32_t values;
          memcpy(&values, a[i] + r * p->run + 64 * s + 4 * pair, sizeof values);
          __m512bh value = (__m512bh)_mm512_set1_epi32(values);
          acc[i][0] = _mm512_dpbf16_ps(acc[i][0], value, b0);
          if (wide == 2) acc[i][1] = _mm512_dpbf16_ps(acc[i][1], value, b1);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < GROUP; i++) {
    if (i >= count) break;
    _mm512_store_ps(y[i], acc[i][0]);
    if (wide == 2) _mm512_store_ps(&y[i][TILE], acc[i][1]);
  }
}

INLINE void multiply(const int tall, const int wide, const product *p, sums y) {
  for (int t = 0; t < tall; t++) {
    for (int32_t row = 0; row < p->height; row += GROUP) {
      int32_t at = t * p->height + row, left = p->height - row;
      const char *start = (const char *)p->start + (size_t)at * p->start_stride;
      multiply_group(wide, p, p->a[t] + (size_t)row * p->a_stride, start, left < GROUP ? left : GROUP, y + at);
    }
  }
}

#endif

static void multiply_any(int tall, int wide, const product *p, sums y) {
  if (tall == 2 && wide == 2) multiply(2, 2, p, y);
  if (tall == 2 && wide == 1) multiply(2, 1, p, y);
  if (tall == 1 && wide == 2) multiply(1, 2, p, y);
  if (tall == 1 && wide == 1) multiply(1, 1, p, y);
}

/* One or two tiles of rows on their way through the panels. */
typedef struct place {
  int tall;
  int32_t row[2], count[2]; /* of y; fewer than the tile has at the end of a line */
} place;

/* y = what follows the sums of one tile of rows. */
static void finish(const pmn_cpu_gemm *g, float (*sum)[PANEL], int32_t row, int32_t count, int32_t column) {
  const float *residual = g->epilogue.residual;
  __m512 low = _mm512_set1_ps(g->epilogue.clamp_min), high = _mm512_set1_ps(g->epilogue.clamp_max);
  for (int32_t j = 0; j < PANEL && column + j < g->n; j += TILE) {
    int32_t columns = g->n - column - j;
    __mmask16 lanes = (__mmask16)(columns >= TILE ? 0xffff : (1u << columns) - 1);
    for (int32_t i = 0; i < count; i++) {
      size_t at = (size_t)(row + i) * g->y_stride + (size_t)(column + j);
      __m512 value = _mm512_load_ps(&sum[i][j]);
      if (residual != NULL) value = _mm512_add_ps(value, _mm512_maskz_loadu_ps(lanes, residual + at));
      _mm512_mask_storeu_ps(g->y + at, lanes, _mm512_min_ps(high, _mm512_max_ps(low, value)));
    }
  }
}

/* The columns of one panel. `p` has a and w. */
static void run_tiles(const pmn_cpu_gemm *g, product *p, const place *at, int32_t column) {
  int wide = g->n - column > TILE ? 2 : 1;
  sums y;
  for (int t = 0; g->start != NULL && t < at->tall; t++) {
    for (int32_t i = 0; i < at->count[t]; i++) {
      const float *from = g->start + (size_t)(at->row[t] + i) * g->start_stride + (size_t)column;
      for (int v = 0; v < wide; v++) {
        _mm512_store_ps(&y[t * p->height + i][v * TILE], _mm512_loadu_ps(from + v * TILE));
      }
    }
    p->start = y[0];
    p->start_stride = sizeof *y;
  }
  multiply_any(at->tall, wide, p, y);
  for (int t = 0; t < at->tall; t++) finish(g, y + t * p->height, at->row[t], at->count[t], column);
}

/* Rows of y from `first` on, as many as g->m, for numbers [depth_first, depth_first + depth) of the sums; `a` are
 * these. */
static void run_block(
    const pmn_cpu_gemm *g, const pmn_cpu_rounded *a, int32_t first, int32_t depth_first, int32_t depth) {
  int32_t in_line = (a->across + TILE - 1) / TILE, height = (a->across + in_line - 1) / in_line;
  int32_t tiles = g->m / a->across * in_line;
  const float *panel = g->w;
  begin(height);
  for (int32_t column = 0; column < g->n; column += PANEL) {
    size_t columns = g->n - column > TILE ? PANEL : TILE;
    product p = {.a_stride = a->step * sizeof *a->a,
        .runs = a->runs,
        .steps = (depth / a->runs + LINE - 1) / LINE,
        .run = a->run * sizeof *a->a,
        .height = height};
    for (int32_t tile = 0; tile < tiles; tile += 2) {
      place at = {.tall = tiles - tile > 1 ? 2 : 1};
      for (int t = 0; t < at.tall; t++) {
        int32_t line = (tile + t) / in_line, begins = (tile + t) % in_line * height, left = a->across - begins;
        at.row[t] = first + line * a->across + begins;
        at.count[t] = left < height ? left : height;
        p.a[t] = (const char *)(a->a + (size_t)line * a->line + (size_t)begins * a->step);
      }
      if (at.tall == 1) p.a[1] = p.a[0];
      p.w = panel + columns + columns * (size_t)depth_first / 2;
      p.start = panel;
      p.start_stride = 0;
      run_tiles(g, &p, &at, column);
    }
    panel += packed_size(g->k, (int32_t)columns);
  }
  end();
}

/* Numbers [first, first + depth) of the sums of g: its rows are rounded block by block. */
static void run_part(const pmn_cpu_gemm *g, int32_t first, int32_t depth) {
  size_t stride = pmn_cpu_bf16_row(depth);
  int32_t most = (int32_t)((size_t)ROOM / stride);
  if (packed_size(depth, g->n) * sizeof(float) <= NEAR_BYTES && most > ROWS_WANTED) most = ROWS_WANTED;
  if (most < g->m) most = most / PANEL * PANEL;
  pmn_bf16 *room = g->room;
  pmn_cpu_gemm block = *g;
  for (int32_t row = 0; row < g->m; row += most) {
    block.m = g->m - row < most ? g->m - row : most;
    for (int32_t i = 0; i < block.m; i++) {
      const float *from = g->a + (size_t)(row + i) * g->a_stride + (size_t)first;
      round_run(from, (size_t)depth, room + (size_t)i * stride);
    }
    const pmn_cpu_rounded rounded = {.a = room, .across = block.m, .step = stride, .runs = 1};
    run_block(&block, &rounded, row, first, depth);
  }
}

/* y holds the partial sums of those that are cut. */
static void gemm(const pmn_cpu_gemm *g) {
  if (g->rounded != NULL) {
    run_block(g, g->rounded, 0, 0, g->k);
    return;
  }
  int32_t rows = g->m < ROWS_WANTED ? g->m : ROWS_WANTED, most = ROOM / rows / LINE * LINE - LINE;
  pmn_cpu_gemm part = *g;
  for (int32_t first = 0; first < g->k; first += most) {
    bool is_last = g->k - first <= most;
    part.epilogue = is_last ? g->epilogue : (pmn_cpu_epilogue){NULL, -INFINITY, INFINITY};
    run_part(&part, first, is_last ? g->k - first : most);
    part.start = g->y;
    part.start_stride = g->y_stride;
  }
}

void PASTE(pmn_cpu_bf16_, ISA)(pmn_cpu_kernels *kernels);
void PASTE(pmn_cpu_bf16_, ISA)(pmn_cpu_kernels *kernels) {
  kernels->isa = TEXT(ISA);
  kernels->panel = PANEL;
  kernels->packed_size = packed_size;
  kernels->pack_weights = pack_weights;
  kernels->gemm = gemm;
  kernels->transforms = NULL;
  kernels->round = round_run;
  kernels->room_bytes = (ROOM + ROOM / TILE + LINE) * sizeof(pmn_bf16);
}
