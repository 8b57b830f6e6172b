/* pmn_cpu_conv.h - a convolution, or a run of its output pixels, as matrix products; and the memory that layers work
 * in. */
#ifndef PMN_CPU_CONV_H
#define PMN_CPU_CONV_H

#include "pmn_block.h"
#include "pmn_cpu_kernels.h"
#include "pmn_program.h"

/* Floats that may be read and written behind the end of every tensor and of the patches. */
enum { PMN_CPU_SLACK = 16 };

/* Scratch memory of one thread, as large as the neediest layer wants it. Floats. */
typedef struct pmn_cpu_scratch {
  float *patches; /* a convolution's windows, or the strip of the picture that they lie in; or a product's room */
  float *zeros;   /* a row of a depthwise input, outside the picture */
  float *wide;    /* rows of a slice of a block's wide tensor */
  float *narrow;  /* rows of the slice after the depthwise convolution */
  float *sums;    /* partial sums of a block's output */
  float *spectrum, *products;
  float *squares;     /* of one pixel, between zeros */
  const float **rows; /* [kernel_h] of a depthwise convolution */
} pmn_cpu_scratch;

typedef struct pmn_cpu_scratch_sizes {
  size_t patches, zeros, wide, narrow, sums, spectrum, products, squares, rows;
} pmn_cpu_scratch_sizes;

static inline void pmn_cpu_raise(size_t *size, size_t needed) {
  if (needed > *size) *size = needed;
}

/* Floats of `patches` that a convolution, and the products that it is made of, want. */
size_t pmn_cpu_patches_size(
    const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out);
/* What every row of a depthwise convolution of `channels` channels has in common; `packed` holds its taps, then its
 * bias. The caller adds rows, y and, if there is one, the residual. */
pmn_cpu_depthwise pmn_cpu_depthwise_args(
    const pmn_op *op, int32_t in_w, int32_t out_w, int32_t channels, const float *packed);
/* One group's channels of pixels [first, first + count) of a convolution's output, whole rows of it. `gemm`
 * says the rest: n, w, start, y and residual (of the first pixel), strides and epilogue. */
void pmn_cpu_conv2d_pixels(const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, int32_t group, int32_t first, int32_t count, pmn_cpu_gemm gemm,
    float *patches);

#endif
