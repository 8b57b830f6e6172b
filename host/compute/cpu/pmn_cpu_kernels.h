/* pmn_cpu_kernels.h - the inner loops of the cpu backend, one table per instruction set.
 *
 * pmn_cpu_kernels.c is compiled once per instruction set; the best table that the processor has is chosen when a device
 * is opened. All loops work on one picture on one thread, so results depend on neither batch nor threads.
 */
#ifndef PMN_CPU_KERNELS_H
#define PMN_CPU_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* The end of every operation: y = min(max(v + residual, clamp_min), clamp_max). */
typedef struct pmn_cpu_epilogue {
  const float *residual; /* NULL: none; else laid out as y, which it may be */
  float clamp_min, clamp_max;
} pmn_cpu_epilogue;

/* y[m, n] = epilogue(start + a[m, k] w[k, n]), start being the bias that is packed with w, or earlier partial sums. */
typedef struct pmn_cpu_gemm {
  int32_t m, k, n;
  const float *a;
  size_t a_stride;    /* floats from row to row */
  const float *w;     /* packed by pack_weights */
  const float *start; /* NULL: the bias; else [m, n], rows start_stride floats apart, readable to whole vectors */
  size_t start_stride;
  float *y; /* rows y_stride floats apart, as those of the residual */
  size_t y_stride;
  pmn_cpu_epilogue epilogue;
} pmn_cpu_gemm;

/* One row of a depthwise convolution. */
typedef struct pmn_cpu_depthwise {
  const float *const *rows; /* [kernel_h] input rows [in_w, c]; rows outside the picture point to zeros */
  int32_t in_w, out_w, c;
  int32_t kernel_h, kernel_w, stride_w, pad_left;
  const float *w; /* [kernel_h, kernel_w, c] */
  const float *bias;
  float *y; /* [out_w, c] */
  pmn_cpu_epilogue epilogue;
} pmn_cpu_depthwise;

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
} pmn_cpu_kernels;

/* The table of an instruction set by name ("baseline", "avx2", "avx512"), or the best one for NULL. NULL if this
 * processor or this build does not have it. */
const pmn_cpu_kernels *pmn_cpu_kernels_find(const char *isa);

#endif
