/* pmn_cpu_kernels.h - the inner loops of the cpu backend, one table per instruction set.
 *
 * pmn_cpu_kernels.c and pmn_cpu_pixels.c are compiled once per instruction set; the best table that the processor has
 * is chosen when a device is opened. pmn_cpu_bf16.c replaces the matrix products of a table by those of bf16. All loops
 * work on one picture on one thread, so results depend on neither batch nor threads.
 */
#ifndef PMN_CPU_KERNELS_H
#define PMN_CPU_KERNELS_H

#include "pmn_program.h"

/* The end of every operation: y = min(max(v + residual, clamp_min), clamp_max). Any other activation is a second pass
 * over what was just written. */
typedef struct pmn_cpu_epilogue {
  const float *residual; /* NULL: none; else laid out as y, elsewhere */
  float clamp_min, clamp_max;
} pmn_cpu_epilogue;

/* Longer sums are cut into parts of equal length, so that a panel of weights stays in level-2 cache for all rows. */
enum { PMN_CPU_DEPTH_MAX = 1024 };

/* A number of bf16: the upper half of a float's bits. Rows of them start on a cache line and end in zeros that fill
 * one, and then another, which keeps rows out of each other's sets of the cache. */
typedef uint16_t pmn_bf16;
enum { PMN_CPU_BF16_LINE = 32 };
static inline size_t pmn_cpu_bf16_row(int32_t k) {
  return (size_t)((k + PMN_CPU_BF16_LINE - 1) / PMN_CPU_BF16_LINE + 1) * PMN_CPU_BF16_LINE;
}

/* A matrix a[m, k] of such numbers that need not exist: its rows are windows of a picture. Row i begins at
 * a + i / across * line + i % across * step and has k numbers in `runs` of equal length, `run` apart; every run is
 * whole cache lines. Behind a row of `across` there may be read as many more as are missing to fill its tiles. */
typedef struct pmn_cpu_rounded {
  const pmn_bf16 *a;
  int32_t across; /* divides m */
  size_t line, step;
  int32_t runs;
  size_t run;
} pmn_cpu_rounded;

/* The same of floats: row i begins at a + i / across * line + i % across * step and has runs of `length` numbers, `run`
 * apart, of which the last may be shorter. */
typedef struct pmn_cpu_windows {
  int32_t across, length;
  size_t line, step, run;
} pmn_cpu_windows;

/* y[m, n] = epilogue(start + a[m, k] w[k, n]), start being the bias that is packed with w, or earlier partial sums. */
typedef struct pmn_cpu_gemm {
  int32_t m, k, n;
  const float *a;
  size_t a_stride;                /* floats from row to row */
  const pmn_cpu_windows *windows; /* instead of a_stride; or NULL */
  const pmn_cpu_rounded *rounded; /* bf16: instead of the three; NULL: a is rounded here, into `room` */
  void *room;                     /* bf16: `room_bytes` on a cache line */
  const float *w;                 /* packed by pack_weights */
  const float *ahead;             /* weights to bring into level 2 for what comes next, or NULL */
  const float *start; /* NULL: the bias; else [m, n], rows start_stride floats apart, readable to whole vectors */
  size_t start_stride;
  float *y; /* rows y_stride floats apart, as those of the residual; holds partial sums of a long one meanwhile */
  size_t y_stride;
  pmn_cpu_epilogue epilogue;
} pmn_cpu_gemm;

/* One row of a depthwise convolution. */
typedef struct pmn_cpu_depthwise {
  const float *const *rows; /* [kernel_h] input rows [in_w, c]; rows outside the picture point to zeros */
  int32_t in_w, out_w, c;
  int32_t kernel_h, kernel_w, stride_w, dilation_w, pad_left;
  const float *w; /* [kernel_h, kernel_w, c] */
  const float *bias;
  float *y; /* [out_w, c] */
  pmn_cpu_epilogue epilogue;
} pmn_cpu_depthwise;

/* The part of a pool's window that lies in the picture: rows x columns pixels, at least one. */
typedef struct pmn_cpu_window {
  const float *x; /* its first pixel */
  int32_t rows, columns, c;
  size_t row_step, column_step; /* floats from one to the next */
} pmn_cpu_window;

/* One pixel of `c` channels, or one run of floats. x and what lies behind it are readable to whole vectors. */
typedef struct pmn_cpu_pixel_kernels {
  /* y[count] = activation and clamp of `op`, in place */
  void (*activate)(const pmn_op *op, float *y, size_t count);
  void (*max_pool)(const pmn_cpu_window *window, float *y, const pmn_cpu_epilogue *epilogue);
  void (*average_pool)(const pmn_cpu_window *window, float divisor, float *y, const pmn_cpu_epilogue *epilogue);
  /* y[count] = epilogue(x * factor[count], or * factor[0]) */
  void (*multiply)(
      const float *x, const float *factor, bool one_factor, int32_t count, float *y, const pmn_cpu_epilogue *epilogue);
  void (*softmax)(const float *x, int32_t c, float *y, const pmn_cpu_epilogue *epilogue);
  /* `squares` is scratch of 3 c + 2 lanes floats */
  void (*lrn)(const float *x, int32_t c, const pmn_op *op, float *squares, float *y, const pmn_cpu_epilogue *epilogue);
  /* weights and bias are readable to whole vectors */
  void (*layer_norm)(const float *x, int32_t c, const float *weights, const float *bias, float epsilon, float *y,
      const pmn_cpu_epilogue *epilogue);
  /* y = epilogue(sum over i of x[i] * shares[i]) */
  void (*blend)(const float *const x[4], const float shares[4], int32_t c, float *y, const pmn_cpu_epilogue *epilogue);
} pmn_cpu_pixel_kernels;

/* One tile of a Winograd convolution (pmn_cpu_winograd.h). Steps are in floats. */
typedef struct pmn_cpu_tile {
  const float *x;
  int32_t c;         /* channels, whole vectors */
  size_t row, pixel; /* of the picture, from one row and pixel to the next */
  size_t position;   /* of the transformed tile, from one position to the next */
} pmn_cpu_tile;

typedef struct pmn_cpu_transforms {
  /* v = B' x B: x is the first of the pixels, v the tile's place in the first position */
  void (*input_tile)(const pmn_cpu_tile *tile, float *v);
  /* y = epilogue(A' x A + bias), rows x columns pixels of it: x is the tile's place in the first position */
  void (*output_tile)(const pmn_cpu_tile *tile, const float *bias, int32_t rows, int32_t columns, float *y,
      const pmn_cpu_epilogue *epilogue);
} pmn_cpu_transforms;

typedef struct pmn_cpu_kernels {
  const char *isa;
  int32_t lanes; /* floats in a vector */
  int32_t panel; /* columns in a panel of weights, a multiple of lanes */
  /* Floats that pack_weights writes for w [k, n] and bias [n]. */
  size_t (*packed_size)(int32_t k, int32_t n);
  /* Panels of as many columns as the kernel holds in registers; each is its bias, then k rows, zero beyond column n. */
  void (*pack_weights)(const float *w, const float *bias, int32_t k, int32_t n, float *packed);
  void (*gemm)(const pmn_cpu_gemm *args);
  void (*depthwise_row)(const pmn_cpu_depthwise *args);
  /* y[c] = epilogue(mean over pixels of x[pixels, c]) */
  void (*average)(const float *x, int32_t pixels, int32_t c, float *y, const pmn_cpu_epilogue *epilogue);
  /* y[pixels, 3] = x * scale + shift */
  void (*normalize)(const uint8_t *x, size_t pixels, const float scale[3], const float shift[3], float *y);
  const pmn_cpu_pixel_kernels *pixel;
  const pmn_cpu_transforms *transforms; /* [2]: of F(2x2, 3x3), of F(4x4, 3x3); NULL with bf16 */
  /* NULL without bf16. to[count] = from[count], rounded to nearest even, then zeros up to a multiple of a line. */
  void (*round)(const float *from, size_t count, pmn_bf16 *to);
  size_t room_bytes; /* what gemm wants; 0 without bf16 */
} pmn_cpu_kernels;

#endif
