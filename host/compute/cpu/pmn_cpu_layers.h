/* pmn_cpu_layers.h - operations of a program as the cpu backend runs them: weights packed, neighbours fused.
 *
 * An inverted residual - a convolution that widens, a depthwise one, a pointwise one that narrows - is one layer here:
 * the wide tensor between them is the largest of the network and never exists as a whole (pmn_cpu_block.c).
 */
#ifndef PMN_CPU_LAYERS_H
#define PMN_CPU_LAYERS_H

#include "pmn_cpu_kernels.h"
#include "pmn_err.h"
#include "pmn_program.h"

/* Scratch memory of one thread, as large as the neediest layer wants it. Floats. */
typedef struct pmn_cpu_scratch {
  float *patches;     /* windows of a convolution that is not pointwise, one per row of a matrix */
  float *zeros;       /* a row of a depthwise input, outside the picture */
  float *wide;        /* rows of a slice of a block's wide tensor */
  float *narrow;      /* rows of the slice after the depthwise convolution */
  float *sums;        /* partial sums of a block's output */
  const float **rows; /* [kernel_h] of a depthwise convolution */
} pmn_cpu_scratch;

typedef struct pmn_cpu_scratch_sizes {
  size_t patches, zeros, wide, narrow, sums, rows;
} pmn_cpu_scratch_sizes;

/* How a block is cut: slices of channels, each swept down the picture. */
typedef struct pmn_cpu_block_plan {
  int32_t slice;       /* channels of the wide tensor in a slice, a multiple of the panel */
  int32_t group_rows;  /* rows of the wide tensor computed together */
  int32_t groups;      /* groups kept: enough that a window never reaches an overwritten one */
  int32_t narrow_rows; /* rows of output whose projection is computed together */
} pmn_cpu_block_plan;

typedef struct pmn_cpu_layer {
  pmn_op op;           /* the operation; of a block, the widening convolution */
  pmn_op middle, last; /* of a block: the depthwise and the narrowing convolution */
  bool is_block;
  pmn_cpu_block_plan plan;
  float *packed, *packed_middle, *packed_last;
} pmn_cpu_layer;

/* Fills `layer` from the operation at ops[index] (and its successors, when they make a block), packs weights, raises
 * *sizes to what it needs. *taken is the number of operations it covers. On failure destroy what was packed. */
PMN_MUST_USE pmn_status pmn_cpu_layer_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, int32_t index, int32_t *taken, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
void pmn_cpu_layer_reset(pmn_cpu_layer *layer);
/* The tensor that the layer writes, and the one it adds (or PMN_NO_TENSOR). */
const pmn_op *pmn_cpu_layer_end(const pmn_cpu_layer *layer);
/* Runs one layer of one picture: x, y and residual are its input, output and residual tensor. */
void pmn_cpu_layer_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch);

/* Shared by the files of the layers. */

/* Pixels [first, first + count) of a convolution's output, pixels in row-major order. `gemm` says the rest: k, n, w,
 * start, y (of the first pixel), strides and epilogue. */
void pmn_cpu_conv2d_pixels(const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, int32_t first, int32_t count, pmn_cpu_gemm gemm, float *patches);
bool pmn_cpu_is_pointwise(const pmn_op *op);
/* Floats of scratch for the windows of a convolution; 0 for a pointwise one. */
size_t pmn_cpu_patches_size(const pmn_op *op, const pmn_tensor *in);
static inline void pmn_cpu_raise(size_t *size, size_t needed) {
  if (needed > *size) *size = needed;
}

bool pmn_cpu_block_matches(const pmn_program *program, int32_t index);
PMN_MUST_USE pmn_status pmn_cpu_block_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, int32_t index, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
void pmn_cpu_block_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch);

#endif
