/* pmn_cpu_layers.h - operations of a program as the cpu backend runs them: weights packed, neighbours fused.
 *
 * An inverted residual - a convolution that widens, a depthwise one, a pointwise one that narrows - is one layer here:
 * the wide tensor between them is the largest of the network and never exists as a whole (pmn_cpu_block.c).
 */
#ifndef PMN_CPU_LAYERS_H
#define PMN_CPU_LAYERS_H

#include "pmn_cpu_conv.h"
#include "pmn_err.h"
#include "pmn_slab.h"

#include <math.h>

/* How a block is cut: slices of channels, each swept down the picture. */
typedef struct pmn_cpu_block_plan {
  int32_t slice;       /* channels of the wide tensor in a slice, a multiple of the panel */
  int32_t group_rows;  /* rows of the wide tensor computed together */
  int32_t groups;      /* groups kept: enough that a window never reaches an overwritten one */
  int32_t narrow_rows; /* rows of output whose projection is computed together */
} pmn_cpu_block_plan;

typedef enum pmn_cpu_form { PMN_CPU_SINGLE, PMN_CPU_WINOGRAD, PMN_CPU_BLOCK } pmn_cpu_form;

typedef struct pmn_cpu_layer {
  pmn_op op;           /* the operation; of a block, the widening convolution */
  pmn_op middle, last; /* of a block: the depthwise and the narrowing convolution */
  pmn_cpu_form form;
  int32_t op_count; /* operations of the program that it covers: 3 of a block, else 1 */
  int32_t size;     /* of a Winograd convolution: pixels across an output tile, 2 or 4 */
  int32_t tiles;    /* and tiles that are transformed together */
  int32_t chain;    /* layers from here on that run in strips together: 1 for most (pmn_cpu_plan.c) */
  int32_t strip;    /* pixels of a chain's strip */
  pmn_cpu_block_plan plan;
  float *packed, *packed_middle, *packed_last; /* in the network's slab */
  size_t weight_bytes;                         /* of what is packed */
} pmn_cpu_layer;

/* Pictures that a layer runs for at once, at most. */
enum { PMN_CPU_GROUP_MAX = 8 };

/* Where the tensors of a layer are for one picture, NULL for none. */
typedef struct pmn_cpu_operands {
  const float *x, *residual, *factor;
  float *y;
} pmn_cpu_operands;

/* Fills `layer` from the operation at ops[index] (and its successors, when they make a block), packs weights into the
 * slab, raises *sizes to what it needs. */
PMN_MUST_USE pmn_status pmn_cpu_layer_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, int32_t index, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
/* The tensor that the layer writes, and the one it adds (or PMN_NO_TENSOR). */
const pmn_op *pmn_cpu_layer_end(const pmn_cpu_layer *layer);
/* Does it read `tensor`, as its input, residual or factor? */
bool pmn_cpu_layer_reads(const pmn_cpu_layer *layer, int32_t tensor);
/* Runs one layer of `count` pictures, operands [count]. */
void pmn_cpu_layer_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch);
/* The same for pixels [first, first + count) of one picture; a pointwise convolution only. */
void pmn_cpu_layer_run_pixels(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, int32_t first, int32_t count, pmn_cpu_scratch *scratch);

/* What the loops apply themselves: all of it, or only the residual where an activation passes over what they wrote. */
static inline pmn_cpu_epilogue pmn_cpu_epilogue_of(const pmn_op *op, const float *residual) {
  if (op->activation == PMN_ACTIVATION_NONE) return (pmn_cpu_epilogue){residual, op->clamp_min, op->clamp_max};
  return (pmn_cpu_epilogue){residual, -INFINITY, INFINITY};
}

/* pmn_cpu_plain.c: every kind that is no convolution. */
PMN_MUST_USE pmn_status pmn_cpu_plain_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
void pmn_cpu_plain_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, pmn_cpu_scratch *scratch);

/* pmn_cpu_winograd.c: 3x3 convolutions of stride 1. */
bool pmn_cpu_winograd_matches(const pmn_program *program, const pmn_op *op);
PMN_MUST_USE pmn_status pmn_cpu_winograd_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
void pmn_cpu_winograd_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch);

/* pmn_cpu_block.c: a block of three operations as one layer (pmn_block.h). */
PMN_MUST_USE pmn_status pmn_cpu_block_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels,
    const pmn_program *program, int32_t index, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err);
void pmn_cpu_block_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch);

#endif
