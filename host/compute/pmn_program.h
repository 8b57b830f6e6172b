/* pmn_program.h - a network as a backend sees it: a straight list of operations on tensors.
 *
 * `net` writes programs, backends compile them once (weights packed, kernels chosen) and run them on batches. A backend
 * may fuse operations as it likes; the result of every operation is defined here and `ref` computes it plainly.
 *
 * Layout: activations NHWC f32; convolution weights [kernel_h, kernel_w, in_channels / groups, out_channels]; depthwise
 * weights [kernel_h, kernel_w, channels]; bias [out_channels]. All shapes below are those of one picture.
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

/* Windows: output (y, x) looks at input rows y*stride_h + r*dilation_h - pad_top for r < kernel_h, and columns
 * likewise. `end(v) = act(v + residual[y, x, c])`, residual being 0 if there is none, is the epilogue of every
 * operation. */
typedef enum pmn_op_kind {
  /* out[y, x, o] = end(bias[o] + sum over r, s, i of in[row(r), column(s), first + i] * weights[r, s, i, o]),
   * in = 0 outside the picture; first = o / (out_c / groups) * (in_c / groups), i < in_c / groups.
   * A dense layer is a 1x1 convolution of a 1x1 picture. */
  PMN_OP_CONV2D,
  /* The same with out channel o reading only in channel o; weights [kernel_h, kernel_w, channels]. With a 1x1 kernel it
   * is also what scales and shifts channels, applies an activation or an addition alone, and pads with zeros. */
  PMN_OP_DEPTHWISE_CONV2D,
  /* out[0, 0, c] = end(mean over y, x of in[y, x, c]). No weights, no bias; no residual. */
  PMN_OP_GLOBAL_AVERAGE_POOL,
  /* out[y, x, c] = end(maximum of the window's pixels that lie in the picture; there is always one). */
  PMN_OP_MAX_POOL,
  /* out[y, x, c] = end(sum of the window's pixels that lie in the picture, at least one, / divisor); the divisor is
   * their number or, with `count_padding`, the number that lie in the picture enlarged by its four pads. Dilation 1. */
  PMN_OP_AVERAGE_POOL,
  /* out[y, x, c] = end(in[y, x, c] * factor[y or 0, x or 0, c or 0]): of the factor's h, w and c each is the input's
     or 1. */
  PMN_OP_MULTIPLY,
  /* out[out_first + sum of i_d * out_stride[d]] = in[in_first + sum of i_d * in_stride[d]] for every i_d < extent[d],
   * d = 0, 1, 2, indices counting floats of a tensor. Several of these may write one tensor, each element once. No
   * epilogue: act is none, residual is none. Concatenates, slices, shuffles channels, crops, reshapes, transposes. */
  PMN_OP_COPY,
  /* out[y, x, c] = end(exp(in[y, x, c] - m) / sum over j of exp(in[y, x, j] - m)), m the maximum over j. */
  PMN_OP_SOFTMAX,
  /* Local response normalisation (Krizhevsky et al. 2012, section 3.3), as ONNX has it:
   * out[y, x, c] = end(in[y, x, c] / (lrn_bias + lrn_alpha / lrn_size * sum over j of in[y, x, j]^2)^lrn_beta),
   * j from max(0, c - (lrn_size - 1) / 2) to min(channels - 1, c + lrn_size / 2), divisions of integers rounding down.
   */
  PMN_OP_LRN,
  /* Layer normalisation over channels (Ba et al. 2016): out[y, x, c] = end((in[y, x, c] - mean) / sqrt(variance +
   * epsilon) * weights[c] + bias[c]), mean and population variance of in[y, x, .]. */
  PMN_OP_LAYER_NORM,
  /* Bilinear or nearest: rows y0 = int(weights[3y]), y1 = int(weights[3y + 1]), f = weights[3y + 2] for every output
   * row, then the same three for every column: out = end((1-f) (1-g) in[y0, x0] + (1-f) g in[y0, x1] + f (1-g) in[y1,
   * x0]
   * + f g in[y1, x1]). weights [(h' + w') * 3]. No bias. */
  PMN_OP_RESIZE,
  PMN_OP_KIND_COUNT
} pmn_op_kind;

/* act(v) = min(max(f(v), clamp_min), clamp_max); the clamp is -INFINITY and INFINITY for none, 0 and 6 for ReLU6. */
typedef enum pmn_activation {
  PMN_ACTIVATION_NONE,       /* f(v) = v */
  PMN_ACTIVATION_SIGMOID,    /* 1 / (1 + exp(-v)) */
  PMN_ACTIVATION_TANH,       /* tanh(v) */
  PMN_ACTIVATION_SILU,       /* v / (1 + exp(-v)), also called swish */
  PMN_ACTIVATION_HARD_SWISH, /* v * min(max(v / 6 + 1/2, 0), 1) */
  PMN_ACTIVATION_GELU,       /* v / 2 * (1 + erf(v / sqrt(2))) */
  PMN_ACTIVATION_GELU_TANH,  /* v / 2 * (1 + tanh(sqrt(2 / pi) * (v + 0.044715 v^3))) */
  PMN_ACTIVATION_LEAKY_RELU, /* v < 0 ? alpha * v : v */
  PMN_ACTIVATION_ELU,        /* v < 0 ? alpha * (exp(v) - 1) : v */
  PMN_ACTIVATION_SOFTPLUS,   /* log(1 + exp(v)) */
  PMN_ACTIVATION_MISH,       /* v * tanh(log(1 + exp(v))) */
  PMN_ACTIVATION_COUNT
} pmn_activation;

typedef struct pmn_copy {
  int32_t extent[3]; /* each at least 1 */
  int32_t in_first, in_stride[3], out_first, out_stride[3];
} pmn_copy;

typedef struct pmn_op {
  pmn_op_kind kind;
  const char *name; /* of the layer, for messages */
  int32_t input, output;
  int32_t residual; /* tensor added before the activation, same shape as the output; PMN_NO_TENSOR for none */
  int32_t factor;   /* PMN_OP_MULTIPLY's second tensor; PMN_NO_TENSOR for every other kind */
  /* Windows. Kernel, stride and dilation are 1 or more, pads 0 or more. Of convolutions pads may exceed the kernel. */
  int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int32_t pad_top, pad_left;
  /* Only PMN_OP_AVERAGE_POOL with count_padding reads these two; elsewhere they follow from the shapes. */
  int32_t pad_bottom, pad_right;
  bool count_padding;
  int32_t groups; /* of PMN_OP_CONV2D: divides both numbers of channels */
  const float *weights, *bias;
  pmn_copy copy;
  int32_t lrn_size;
  float lrn_alpha, lrn_beta, lrn_bias;
  float epsilon; /* PMN_OP_LAYER_NORM */
  pmn_activation activation;
  float alpha; /* of the activation */
  float clamp_min, clamp_max;
} pmn_op;

/* An operation without residual, factor, activation or clamp, with a 1x1 window of stride and dilation 1 and 1 group.
 */
pmn_op pmn_op_init(pmn_op_kind kind, const char *name, int32_t input, int32_t output);

/* Floats at op->weights and at op->bias; 0 for none. Sizes must have been checked. */
size_t pmn_op_weights_size(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out);
size_t pmn_op_bias_size(const pmn_op *op, const pmn_tensor *out);

typedef enum pmn_input_type { PMN_INPUT_F32, PMN_INPUT_U8 } pmn_input_type;

typedef struct pmn_program {
  const pmn_tensor *tensors;
  const pmn_op *ops; /* in an order in which every tensor is written before it is read; once, copies apart */
  int32_t tensor_count, op_count;
  int32_t input, output; /* tensors; the input is written by no operation */
  /* A u8 input has 3 channels and is read as value * input_scale[c] + input_shift[c]; padding is 0 after that. Only
   * PMN_OP_CONV2D of 1 group reads it, and not as a residual. */
  pmn_input_type input_type;
  float input_scale[3], input_shift[3];
  size_t arena_size; /* floats of one picture */
} pmn_program;

#endif
