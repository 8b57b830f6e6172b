/* pmn_program.h - a network as a backend sees it: a straight list of operations on tensors.
 *
 * `net` writes programs, backends compile them once (weights packed, kernels chosen) and run them on batches. A backend
 * may fuse operations as it likes; the result of every operation is defined here and `ref` computes it plainly.
 *
 * Layout: activations NHWC f32; convolution weights [kernel_h, kernel_w, in_channels, out_channels]; depthwise weights
 * [kernel_h, kernel_w, channels]; bias [out_channels]. All shapes below are those of one picture.
 */
#ifndef PMN_PROGRAM_H
#define PMN_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PMN_NO_TENSOR (-1)

typedef struct pmn_tensor {
  int32_t h, w, c;
  /* Where the tensor lives in the arena of one picture, in floats, a multiple of 16. Tensors whose lifetimes overlap do
   * not overlap in the arena. Meaningless for the program's input, which is the caller's memory. */
  size_t arena_offset;
} pmn_tensor;

static inline size_t pmn_tensor_size(const pmn_tensor *t) {
  return (size_t)t->h * (size_t)t->w * (size_t)t->c;
}

typedef enum pmn_op_kind {
  /* out[y, x, o] = act(bias[o] + sum over r, s, i of in[y*stride_h + r - pad_top, x*stride_w + s - pad_left, i]
   *                * weights[r, s, i, o] + residual[y, x, o]),   in = 0 outside the picture.
   * A dense layer is a 1x1 convolution of a 1x1 picture. */
  PMN_OP_CONV2D,
  /* The same with out channel o reading only in channel o; weights [kernel_h, kernel_w, channels]. */
  PMN_OP_DEPTHWISE_CONV2D,
  /* out[0, 0, c] = act(mean over y, x of in[y, x, c]). No weights, no bias. */
  PMN_OP_GLOBAL_AVERAGE_POOL,
  PMN_OP_KIND_COUNT
} pmn_op_kind;

/* act(v) = min(max(v, clamp_min), clamp_max); -INFINITY and INFINITY for no activation, 0 and 6 for ReLU6. */
typedef struct pmn_op {
  pmn_op_kind kind;
  const char *name; /* of the layer, for messages */
  int32_t input, output;
  int32_t residual; /* tensor added before the activation, same shape as the output; PMN_NO_TENSOR for none */
  int32_t kernel_h, kernel_w, stride_h, stride_w;
  int32_t pad_top, pad_left; /* bottom and right follow from the shapes of input and output */
  const float *weights, *bias;
  float clamp_min, clamp_max;
} pmn_op;

typedef enum pmn_input_type { PMN_INPUT_F32, PMN_INPUT_U8 } pmn_input_type;

typedef struct pmn_program {
  const pmn_tensor *tensors;
  const pmn_op *ops; /* in an order in which every tensor is written before it is read, once */
  int32_t tensor_count, op_count;
  int32_t input, output; /* tensors; the input is written by no operation */
  /* A u8 input has 3 channels and is read as value * input_scale[c] + input_shift[c]; padding is 0 after that. Only
   * PMN_OP_CONV2D reads it, and not as a residual. */
  pmn_input_type input_type;
  float input_scale[3], input_shift[3];
  size_t arena_size; /* floats of one picture */
} pmn_program;

#endif
