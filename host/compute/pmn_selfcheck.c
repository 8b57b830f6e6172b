/* pmn_selfcheck.c - see pmn_selfcheck.h.
 *
 * Drivers do miscompile kernels, and a wrong feature looks like a right one. So every kind of layer, and the blocks
 * that devices fuse, run once, small, with sizes that are no multiple of any tile (but three, large enough for a GPU to
 * take the tiles that it takes when it has much to do), and is held against `ref` within what rounding explains:
 *   |y - ref| <= (terms of the sum + 4) * FLT_EPSILON * M
 * M the same sum over absolute values, which is `ref` run on absolute inputs and parameters. With fp16, inputs, weights
 * and results are rounded to 2^-11 of themselves, or to 2^-25, besides. Softmax and the
 * normalisations, which are no such sums, and activations are treated in bound_of. The tests hold every kind to tighter
 * bounds; what is asked here is whether a device computes the right thing at all.
 */
#include "pmn_selfcheck.h"

#include "pmn_backends.h"
#include "pmn_err.h"
#include "pmn_mem.h"
#include "pmn_selfcheck_parts.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct check_layer {
  const char *name;
  pmn_op_kind kind;
  pmn_tensor in, out;
  int32_t kernel, stride, pad, dilation, groups;
  enum { PLAIN, BYTES, ADDS, CLAMPS } end; /* of bytes there is a clamp, too */
  pmn_activation activation;
} check_layer;

#define CONV PMN_OP_CONV2D
#define DEPTHWISE PMN_OP_DEPTHWISE_CONV2D
#define NONE PMN_ACTIVATION_NONE

/* clang-format off */
static const check_layer layers[] = {
    {"stem of bytes", CONV, {18, 22, 3, 0}, {9, 11, 37, 0}, 3, 2, 0, 1, 1, BYTES, NONE},
    {"expansion", CONV, {7, 11, 24, 0}, {7, 11, 150, 0}, 1, 1, 0, 1, 1, CLAMPS, NONE},
    {"depthwise 3x3", DEPTHWISE, {9, 13, 38, 0}, {9, 13, 38, 0}, 3, 1, 1, 1, 1, CLAMPS, NONE},
    {"depthwise 5x5 of stride 2", DEPTHWISE, {14, 10, 38, 0}, {7, 5, 38, 0}, 5, 2, 1, 1, 1, CLAMPS, NONE},
    {"depthwise of dilation 2", DEPTHWISE, {9, 7, 38, 0}, {9, 7, 38, 0}, 3, 1, 2, 2, 1, PLAIN, NONE},
    {"projection with residual", CONV, {7, 11, 41, 0}, {7, 11, 41, 0}, 1, 1, 0, 1, 1, ADDS, NONE},
    {"convolution 3x3", CONV, {6, 7, 19, 0}, {6, 7, 33, 0}, 3, 1, 1, 1, 1, CLAMPS, NONE},
    {"convolution in groups", CONV, {6, 7, 57, 0}, {6, 7, 54, 0}, 3, 1, 1, 1, 3, PLAIN, NONE},
    {"convolution of dilation 2", CONV, {8, 7, 19, 0}, {4, 4, 33, 0}, 3, 2, 2, 2, 1, PLAIN, NONE},
    {"pool", PMN_OP_GLOBAL_AVERAGE_POOL, {7, 7, 130, 0}, {1, 1, 130, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"max pool", PMN_OP_MAX_POOL, {9, 7, 37, 0}, {5, 4, 37, 0}, 3, 2, 1, 1, 1, PLAIN, NONE},
    {"average pool", PMN_OP_AVERAGE_POOL, {9, 7, 37, 0}, {5, 4, 37, 0}, 3, 2, 1, 1, 1, PLAIN, NONE},
    {"product", PMN_OP_MULTIPLY, {5, 7, 37, 0}, {5, 7, 37, 0}, 1, 1, 0, 1, 1, ADDS, NONE},
    {"shuffle", PMN_OP_COPY, {5, 7, 39, 0}, {5, 7, 39, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"softmax", PMN_OP_SOFTMAX, {2, 3, 131, 0}, {2, 3, 131, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"local response normalisation", PMN_OP_LRN, {5, 7, 37, 0}, {5, 7, 37, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"layer normalisation", PMN_OP_LAYER_NORM, {3, 5, 131, 0}, {3, 5, 131, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"resize", PMN_OP_RESIZE, {5, 7, 37, 0}, {10, 14, 37, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"dense layer", CONV, {1, 1, 321, 0}, {1, 1, 77, 0}, 1, 1, 0, 1, 1, PLAIN, NONE},
    {"sigmoid", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_SIGMOID},
    {"tanh", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_TANH},
    {"silu", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_SILU},
    {"hard swish", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_HARD_SWISH},
    {"gelu", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_GELU},
    {"gelu by tanh", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_GELU_TANH},
    {"leaky relu", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_LEAKY_RELU},
    {"elu", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_ELU},
    {"softplus", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_SOFTPLUS},
    {"mish", DEPTHWISE, {5, 7, 38, 0}, {5, 7, 38, 0}, 1, 1, 0, 1, 1, PLAIN, PMN_ACTIVATION_MISH},
    {"large layer of 16 channels", CONV, {96, 96, 8, 0}, {96, 96, 16, 0}, 1, 1, 0, 1, 1, CLAMPS, NONE},
    {"large layer of 24 channels", CONV, {96, 96, 8, 0}, {96, 96, 24, 0}, 1, 1, 0, 1, 1, CLAMPS, NONE},
    {"large layer of 64 channels", CONV, {96, 96, 8, 0}, {96, 96, 64, 0}, 1, 1, 0, 1, 1, CLAMPS, NONE},
};
/* clang-format on */
enum {
  PICTURES = 2,
  SYRK_ROWS = 300,
  SYRK_COLUMNS = 37,
  GEMM_ROWS = 21,
  GEMM_INNER = 130,
  GEMM_COLUMNS = 19,
  PROJECTED = 300,
  COMPONENTS = 77
};

static float *absolute_create(const float *v, size_t count) {
  float *a = pmn_alloc(count, sizeof(float));
  for (size_t i = 0; a != NULL && i < count; i++) a[i] = fabsf(v[i]);
  return a;
}

/* The worst of everything compared so far. */
typedef struct verdict {
  pmn_device *device;
  double ratio;
} verdict;

static pmn_status value_compare(
    verdict *v, const char *name, double value, double expected, double bound, pmn_err *err) {
  double difference = fabs(value - expected);
  if (!(difference <= bound)) { /* written so that NaN is wrong */
    return pmn_err_set(err, PMN_STATUS_DEVICE, 0,
        "%s (%s) computes wrong: %s gives %.7g for %.7g, a difference of %.3g where rounding explains %.3g; choose "
        "another --device or --backend cpu",
        v->device->info.name, v->device->info.driver, name, value, expected, difference, bound);
  }
  if (bound > 0.0 && difference / bound > v->ratio) v->ratio = difference / bound;
  return PMN_STATUS_OK;
}

/* -------------------------------------------------------------------------------------------------- one layer -- */

/* Everything one layer needs; sizes in elements, of all pictures where there are several. */
typedef struct layer_work {
  pmn_tensor tensors[3]; /* input, output, and the factor of a product */
  pmn_op ops[2];
  pmn_op *op; /* the last: before a product a copy makes its factor */
  pmn_program program;
  size_t in_size, out_size, weights_size, bias_size;
  float *numbers, *weights, *bias; /* numbers: the input as f32 */
  float *magnitudes, *weights_abs, *bias_abs;
  uint8_t *bytes;
  float *y, *expected, *magnitude;
} layer_work;

static void layer_work_reset(layer_work *w) {
  float *const blocks[] = {
      w->numbers, w->weights, w->bias, w->magnitudes, w->weights_abs, w->bias_abs, w->y, w->expected, w->magnitude};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) pmn_free(blocks[i]);
  pmn_free(w->bytes);
}

static const float byte_scale[3] = {0.0171f, 0.0175f, 0.0174f}, byte_shift[3] = {-2.118f, -2.036f, -1.804f};

/* A product's factor: one number for every channel, the first of the input. */
static void factor_init(layer_work *w, const check_layer *l) {
  w->tensors[2] = (pmn_tensor){1, 1, l->in.c, (pmn_tensor_size(&l->out) + 15) / 16 * 16};
  w->program.tensor_count = 3;
  w->program.op_count = 2;
  w->program.arena_size = w->tensors[2].arena_offset + (size_t)l->in.c;
  w->op = &w->ops[1];
  *w->op = w->ops[0];
  w->op->factor = 2;
  w->ops[0] = pmn_op_init(PMN_OP_COPY, l->name, 0, 2);
  w->ops[0].copy = (pmn_copy){{1, 1, l->in.c}, 0, {0, 0, 1}, 0, {0, 0, 1}};
}

static void program_init(layer_work *w, const check_layer *l) {
  w->tensors[0] = l->in;
  w->tensors[1] = l->out;
  pmn_op *op = w->op = &w->ops[0];
  *op = pmn_op_init(l->kind, l->name, 0, 1);
  if (l->end == ADDS) op->residual = 0;
  op->kernel_h = op->kernel_w = l->kernel;
  op->stride_h = op->stride_w = l->stride;
  op->pad_top = op->pad_left = l->pad;
  op->dilation_h = op->dilation_w = l->dilation;
  op->groups = l->groups;
  int32_t pixels = l->in.h * l->in.w, depth = l->in.c / 3;
  op->copy = (pmn_copy){{pixels, 3, depth}, 0, {l->in.c, depth, 1}, 0, {l->in.c, 1, 3}};
  op->lrn_size = 5;
  op->lrn_alpha = op->lrn_bias = 1.0f;
  op->lrn_beta = 0.75f;
  op->epsilon = 1e-3f;
  op->activation = l->activation;
  op->alpha = 0.3f;
  if (l->end == BYTES || l->end == CLAMPS) op->clamp_min = 0.0f;
  if (l->end == BYTES || l->end == CLAMPS) op->clamp_max = 6.0f;
  w->program = (pmn_program){.tensors = w->tensors,
      .ops = w->ops,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = l->end == BYTES ? PMN_INPUT_U8 : PMN_INPUT_F32,
      .arena_size = pmn_tensor_size(&l->out)};
  memcpy(w->program.input_scale, byte_scale, sizeof byte_scale);
  memcpy(w->program.input_shift, byte_shift, sizeof byte_shift);
  if (l->kind == PMN_OP_MULTIPLY) factor_init(w, l);
}

/* Twice as many lines, each a blend of two neighbours. */
static void taps_fill(int32_t in, float *taps) {
  for (int32_t i = 0; i < 2 * in; i++) {
    taps[3 * i] = (float)(i / 2);
    taps[3 * i + 1] = (float)(i / 2 + 1 < in ? i / 2 + 1 : i / 2);
    taps[3 * i + 2] = i % 2 == 0 ? 0.25f : 0.7f;
  }
}

static pmn_status layer_work_init(layer_work *w, const check_layer *l, pmn_err *err) {
  program_init(w, l);
  w->in_size = pmn_tensor_size(&l->in) * PICTURES;
  w->out_size = pmn_tensor_size(&l->out) * PICTURES;
  w->weights_size = pmn_op_weights_size(w->op, &l->in, &l->out);
  w->bias_size = pmn_op_bias_size(w->op, &l->out);
  w->numbers = pmn_selfcheck_numbers(1, w->in_size);
  w->weights = pmn_selfcheck_numbers(2, w->weights_size);
  w->bias = pmn_selfcheck_numbers(3, w->bias_size);
  w->bytes = pmn_alloc(w->in_size, 1);
  w->y = pmn_alloc(w->out_size, sizeof(float));
  w->expected = pmn_alloc(w->out_size, sizeof(float));
  w->magnitude = pmn_alloc(w->out_size, sizeof(float));
  if (w->numbers == NULL || w->weights == NULL || w->bias == NULL || w->bytes == NULL || w->y == NULL ||
      w->expected == NULL || w->magnitude == NULL) {
    return pmn_err_memory(err, (w->in_size + w->out_size + w->weights_size) * sizeof(float), "the check of a device");
  }
  if (l->kind == PMN_OP_RESIZE) {
    taps_fill(l->in.h, w->weights);
    taps_fill(l->in.w, w->weights + 6 * l->in.h);
  }
  /* Activations bend between -8 and 8. */
  for (size_t i = 0; l->activation != PMN_ACTIVATION_NONE && i < w->weights_size; i++) w->weights[i] *= 8.0f;
  w->magnitudes = absolute_create(w->numbers, w->in_size);
  w->weights_abs = absolute_create(w->weights, w->weights_size);
  w->bias_abs = absolute_create(w->bias, w->bias_size);
  if (w->magnitudes == NULL || w->weights_abs == NULL || w->bias_abs == NULL) {
    return pmn_err_memory(err, (w->in_size + w->weights_size) * sizeof(float), "the check of a device");
  }
  for (size_t i = 0; i < w->in_size; i++) {
    w->bytes[i] = (uint8_t)((w->numbers[i] + 1.0f) * 128.0f);
    if (l->end == BYTES) w->magnitudes[i] = (float)w->bytes[i] * byte_scale[i % 3] + fabsf(byte_shift[i % 3]);
  }
  w->op->weights = w->weights;
  w->op->bias = w->bias;
  /* A device that writes nothing must not be right by chance. */
  for (size_t i = 0; i < w->out_size; i++) w->y[i] = NAN;
  return PMN_STATUS_OK;
}

/* Terms of the sums behind an output. */
static int32_t terms_of(const check_layer *l) {
  int32_t window = l->kernel * l->kernel;
  switch (l->kind) {
  case PMN_OP_CONV2D:
    return window * l->in.c / l->groups;
  case PMN_OP_GLOBAL_AVERAGE_POOL:
    return l->in.h * l->in.w;
  case PMN_OP_SOFTMAX:
  case PMN_OP_LAYER_NORM:
    return l->in.c;
  case PMN_OP_RESIZE:
    return 8; /* four products of rounded shares */
  default:
    return window;
  }
}

/* What rounding explains. Softmax and local response normalisation are relative to their results: terms of 2 in their
 * exponents, 16 units for exp or pow and 2 for a division make 20. Deviations are below 2 and their standard deviation
 * is near 0.58, so that 4 is above every normalised value. No activation is steeper than 1.5, none is above |v| + 1,
 * and OpenCL allows the functions that they are made of 20 units.
 * Halves: two factors and the result make 3 times 2^-11 of M. Numbers are below 1, so that an exponential moves by
 * 2 * 2^-11 of itself, a normalised value by 2 * 2^-11 / 0.58 and 2 * 2^-11 of itself, and one of local response
 * normalisation by (1 + 2 beta) 2^-11: 4 times 2^-11 holds for all. A factor below 2^-14 is off by 2^-25, and its
 * weight is 8 at most. */
static double bound_of(const check_layer *l, pmn_precision precision, double expected, double magnitude) {
  double units = (double)terms_of(l) + 4.0;
  if (l->kind == PMN_OP_SOFTMAX || l->kind == PMN_OP_LRN || l->kind == PMN_OP_LAYER_NORM) {
    units += 20.0;
    magnitude = fabs(expected) + (l->kind == PMN_OP_LAYER_NORM ? 4.0 : 0.0);
  }
  if (l->activation != PMN_ACTIVATION_NONE) {
    units += 20.0;
    magnitude = 1.5 * magnitude + 1.0;
  }
  double bound = units * (double)FLT_EPSILON * magnitude;
  if (precision == PMN_PRECISION_FP16) bound += 4 * 0x1p-11 * magnitude + (terms_of(l) + 8) * 0x1p-24;
  return bound;
}

static pmn_status layer_check(verdict *v, pmn_device *reference, const check_layer *l, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  layer_work w = {0};
  PMN_TRY(layer_work_init(&w, l, err));
  const void *input = l->end == BYTES ? (const void *)w.bytes : w.numbers;
  PMN_TRY(pmn_selfcheck_apply(v->device, &w.program, input, PICTURES, w.y, err));
  PMN_TRY(pmn_selfcheck_apply(reference, &w.program, input, PICTURES, w.expected, err));
  w.op->weights = w.weights_abs;
  w.op->bias = w.bias_abs;
  w.op->activation = PMN_ACTIVATION_NONE;
  w.op->clamp_min = -INFINITY;
  w.op->clamp_max = INFINITY;
  w.program.input_type = PMN_INPUT_F32;
  PMN_TRY(pmn_selfcheck_apply(reference, &w.program, w.magnitudes, PICTURES, w.magnitude, err));
  for (size_t i = 0; i < w.out_size; i++) {
    double expected = (double)w.expected[i];
    double bound = bound_of(l, v->device->precision, expected, (double)w.magnitude[i]);
    PMN_TRY(value_compare(v, l->name, (double)w.y[i], expected, bound, err));
  }
done:
  layer_work_reset(&w);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- blocks -- */

/* Inverted residuals, which devices run as one kernel. The error of an operation goes through the sums of the next, so
 * M is all of them run on absolute values, and their terms add up; clamps make no error larger. */
typedef struct check_block {
  const char *name;
  pmn_tensor in, wide, out;
  int32_t kernel, stride;
  bool widens, adds;
} check_block;
static const check_block blocks[] = {
    {"inverted residual", {9, 13, 24, 0}, {9, 13, 70, 0}, {9, 13, 24, 0}, 3, 1, true, true},
    {"inverted residual of stride 2", {14, 10, 18, 0}, {14, 10, 37, 0}, {7, 5, 33, 0}, 5, 2, true, false},
    {"separable convolution", {9, 11, 37, 0}, {9, 11, 37, 0}, {9, 11, 16, 0}, 3, 1, false, false},
};

/* parameters: weights and bias of each operation. */
typedef struct block_work {
  pmn_tensor tensors[4];
  pmn_op ops[3];
  pmn_program program;
  float *parameters[6], *input, *rows; /* rows: the device's, those expected, M */
  size_t in_size, out_size;
} block_work;

static void block_work_reset(block_work *w) {
  for (int i = 0; i < 6; i++) pmn_free(w->parameters[i]);
  pmn_free(w->input);
  pmn_free(w->rows);
}

/* Appends an operation; weights are as small as keeps sums near 1. False when memory cannot be had. */
static bool block_add(block_work *w, const check_block *b, pmn_op_kind kind, pmn_tensor shape) {
  pmn_program *p = &w->program;
  int32_t index = p->op_count++;
  pmn_op *op = &w->ops[index];
  pmn_tensor *out = &w->tensors[index + 1];
  *op = pmn_op_init(kind, b->name, index, index + 1);
  *out = shape;
  out->arena_offset = p->arena_size;
  p->output = p->tensor_count++;
  p->arena_size += (pmn_tensor_size(out) + 15) / 16 * 16;
  if (kind == DEPTHWISE) {
    op->kernel_h = op->kernel_w = b->kernel;
    op->stride_h = op->stride_w = b->stride;
    op->pad_top = op->pad_left = b->kernel / 2;
  }
  size_t size = pmn_op_weights_size(op, out - 1, out);
  float *weights = w->parameters[2 * index] = pmn_selfcheck_numbers((uint32_t)index + 7, size);
  op->weights = weights;
  op->bias = w->parameters[2 * index + 1] = pmn_selfcheck_numbers((uint32_t)index + 10, (size_t)out->c);
  for (size_t i = 0; weights != NULL && i < size; i++) weights[i] *= 4.0f * (float)out->c / (float)size;
  return op->weights != NULL && op->bias != NULL;
}

static pmn_status block_work_init(block_work *w, const check_block *b, pmn_err *err) {
  w->tensors[0] = b->in;
  w->program = (pmn_program){.tensors = w->tensors, .ops = w->ops, .tensor_count = 1, .input_type = PMN_INPUT_F32};
  w->in_size = pmn_tensor_size(&b->in) * PICTURES;
  w->out_size = pmn_tensor_size(&b->out) * PICTURES;
  w->input = pmn_selfcheck_numbers(1, w->in_size);
  w->rows = pmn_alloc(3 * w->out_size, sizeof *w->rows);
  pmn_tensor narrow = {b->out.h, b->out.w, b->wide.c, 0};
  if (w->input == NULL || w->rows == NULL || (b->widens && !block_add(w, b, CONV, b->wide)) ||
      !block_add(w, b, DEPTHWISE, narrow) || !block_add(w, b, CONV, b->out)) {
    return pmn_err_memory(err, (w->in_size + 3 * w->out_size) * sizeof(float), "the check of a device");
  }
  for (int32_t i = 0; i + 1 < w->program.op_count; i++) {
    w->ops[i].clamp_min = 0.0f;
    w->ops[i].clamp_max = 0.5f;
  }
  if (b->adds) w->ops[w->program.op_count - 1].residual = 0;
  for (size_t i = 0; i < w->out_size; i++) w->rows[i] = NAN;
  return PMN_STATUS_OK;
}

/* The same on absolute values, without clamps; the terms of its sums. */
static int32_t block_work_magnify(block_work *w) {
  int32_t terms = 0;
  for (size_t i = 0; i < w->in_size; i++) w->input[i] = fabsf(w->input[i]);
  for (int32_t i = 0; i < w->program.op_count; i++) {
    pmn_op *op = &w->ops[i];
    size_t channels = (size_t)w->tensors[i + 1].c, size = pmn_op_weights_size(op, &w->tensors[i], &w->tensors[i + 1]);
    for (size_t k = 0; k < size; k++) w->parameters[2 * i][k] = fabsf(w->parameters[2 * i][k]);
    for (size_t k = 0; k < channels; k++) w->parameters[2 * i + 1][k] = fabsf(w->parameters[2 * i + 1][k]);
    op->clamp_min = -INFINITY;
    op->clamp_max = INFINITY;
    terms += (int32_t)(size / channels) + 4;
  }
  return terms;
}

/* Halves: the input, and weights and results of each operation, are rounded to 2^-11 of themselves; the sum and 1 for
 * their products. What is below 2^-14 is off by 2^-25. A row of weights sums to 4 at most, so that an operation makes
 * four times of what comes in: 16 * 2^-25 a term holds for three. */
static double block_bound(pmn_precision precision, int32_t ops, int32_t terms, double magnitude) {
  double bound = terms * (double)FLT_EPSILON * magnitude;
  if (precision == PMN_PRECISION_FP16) bound += (2 * ops + 2) * 0x1p-11 * magnitude + terms * 0x1p-21;
  return bound;
}

static pmn_status block_check(verdict *v, pmn_device *reference, const check_block *b, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  block_work w = {0};
  PMN_TRY(block_work_init(&w, b, err));
  float *y = w.rows, *expected = y + w.out_size, *magnitude = expected + w.out_size;
  PMN_TRY(pmn_selfcheck_apply(v->device, &w.program, w.input, PICTURES, y, err));
  PMN_TRY(pmn_selfcheck_apply(reference, &w.program, w.input, PICTURES, expected, err));
  int32_t terms = block_work_magnify(&w);
  PMN_TRY(pmn_selfcheck_apply(reference, &w.program, w.input, PICTURES, magnitude, err));
  for (size_t i = 0; i < w.out_size; i++) {
    double bound = block_bound(v->device->precision, w.program.op_count, terms, (double)magnitude[i]);
    PMN_TRY(value_compare(v, b->name, (double)y[i], (double)expected[i], bound, err));
  }
done:
  block_work_reset(&w);
  return st;
}

/* --------------------------------------------------------------------------------------------------- products -- */

static pmn_status syrk_check(verdict *v, pmn_device *reference, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { SIZE = SYRK_COLUMNS * SYRK_COLUMNS, COUNT = SYRK_ROWS * SYRK_COLUMNS };
  float *numbers = pmn_selfcheck_numbers(4, COUNT);
  double *sums = pmn_calloc(3 * SIZE, sizeof(double)), *x = pmn_calloc(2 * COUNT, sizeof(double));
  if (numbers == NULL || x == NULL || sums == NULL) {
    st = pmn_err_memory(err, (3 * SIZE + 2 * COUNT) * sizeof(double), "the check of a device");
    goto done;
  }
  double *absolute = x + COUNT;
  for (size_t i = 0; i < COUNT; i++) {
    x[i] = (double)numbers[i];
    absolute[i] = fabs(x[i]);
  }
  double *y = sums, *expected = sums + SIZE, *magnitude = sums + 2 * SIZE;
  PMN_TRY(pmn_device_syrk(v->device, x, SYRK_ROWS, SYRK_COLUMNS, y, err));
  PMN_TRY(pmn_device_syrk(reference, x, SYRK_ROWS, SYRK_COLUMNS, expected, err));
  PMN_TRY(pmn_device_syrk(reference, absolute, SYRK_ROWS, SYRK_COLUMNS, magnitude, err));
  for (size_t i = 0; i < SIZE; i++) {
    /* A device without fp64 sums 256 rows in fp32: that much is allowed to all. */
    PMN_TRY(value_compare(v, "syrk", y[i], expected[i], (256 + 4) * (double)FLT_EPSILON * magnitude[i], err));
  }
done:
  pmn_free(numbers);
  pmn_free(x);
  pmn_free(sums);
  return st;
}

static pmn_status gemm_check(verdict *v, pmn_device *reference, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { A = GEMM_ROWS * GEMM_INNER, B = GEMM_INNER * GEMM_COLUMNS, Y = GEMM_ROWS * GEMM_COLUMNS };
  float *numbers = pmn_selfcheck_numbers(5, A + B);
  double *a = pmn_calloc(2 * (A + B) + 3 * Y, sizeof *a);
  if (numbers == NULL || a == NULL) {
    st = pmn_err_memory(err, (2 * (A + B) + 3 * Y) * sizeof *a, "the check of a device");
    goto done;
  }
  double *b = a + A, *a_abs = b + B, *b_abs = a_abs + A, *y = b_abs + B, *expected = y + Y, *magnitude = expected + Y;
  for (size_t i = 0; i < A + B; i++) {
    a[i] = (double)numbers[i];
    a_abs[i] = fabs(a[i]);
  }
  PMN_TRY(pmn_device_gemm(v->device, a, b, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, y, err));
  PMN_TRY(pmn_device_gemm(reference, a, b, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, expected, err));
  PMN_TRY(pmn_device_gemm(reference, a_abs, b_abs, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, magnitude, err));
  for (size_t i = 0; i < Y; i++) {
    /* As for syrk. */
    double bound = (256 + 4) * (double)FLT_EPSILON * magnitude[i];
    PMN_TRY(value_compare(v, "gemm", y[i], expected[i], bound, err));
  }
done:
  pmn_free(numbers);
  pmn_free(a);
  return st;
}

/* ------------------------------------------------------------------------------------------------- projection -- */

/* Shift, scale and components of a projection, one behind the other. */
static void map_fill(const float *numbers, double *values) {
  for (size_t i = 0; i < PROJECTED; i++) {
    values[i] = 10.0 * (double)numbers[i];
    values[PROJECTED + i] = 1.5 + (double)numbers[PROJECTED + i];
  }
  for (size_t i = 2 * PROJECTED; i < (2 + COMPONENTS) * PROJECTED; i++) values[i] = (double)numbers[i];
}

/* y [2, COMPONENTS + 1], of x [2, PROJECTED] whose last value is not finite: the second row is its flag. */
static pmn_status rows_compare(verdict *v, const pmn_linear_map *map, const float *x, const float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double unit = (256 + 4) * (double)FLT_EPSILON;
  if (v->device->precision == PMN_PRECISION_FP16) unit += 0x1p-11; /* x is rounded */
  for (size_t j = 0; j < COMPONENTS; j++) {
    double sum = 0.0, magnitude = 0.0;
    for (size_t i = 0; i < PROJECTED; i++) {
      double weight = map->components[j * PROJECTED + i] / map->scale[i];
      sum += ((double)x[i] - map->shift[i]) * weight;
      magnitude += (fabs((double)x[i]) + fabs(map->shift[i])) * fabs(weight);
    }
    PMN_TRY(value_compare(v, "projection", (double)y[j], sum, unit * magnitude, err));
  }
  PMN_TRY(value_compare(v, "projection", (double)y[COMPONENTS], 0.0, 0.0, err));
  PMN_TRY(value_compare(v, "projection", (double)y[2 * COMPONENTS + 1], 1.0, 0.0, err));
done:
  return st;
}

/* A saved fit behind a network that copies its input, where the device takes it. */
static pmn_status projection_check(verdict *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { VALUES = (2 + COMPONENTS) * PROJECTED };
  pmn_network *network = NULL;
  bool taken = false;
  float *numbers = pmn_selfcheck_numbers(6, VALUES + 2 * PROJECTED), *x = numbers != NULL ? numbers + VALUES : NULL;
  double *values = pmn_alloc(VALUES, sizeof *values);
  float y[2 * (COMPONENTS + 1)];
  if (numbers == NULL || values == NULL) {
    st = pmn_err_memory(err, VALUES * sizeof *values, "the check of a device");
    goto done;
  }
  map_fill(numbers, values);
  x[2 * PROJECTED - 1] = INFINITY;
  pmn_tensor tensors[] = {{1, 1, PROJECTED, 0}, {1, 1, PROJECTED, 0}};
  pmn_op op = pmn_op_init(PMN_OP_COPY, "projection", 0, 1);
  op.copy = (pmn_copy){.extent = {1, 1, PROJECTED}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  pmn_program program = {.tensors = tensors,
      .ops = &op,
      .tensor_count = 2,
      .op_count = 1,
      .output = 1,
      .arena_size = (PROJECTED + 15) / 16 * 16};
  pmn_linear_map map = {PROJECTED, COMPONENTS, values, values + PROJECTED, values + 2 * PROJECTED};
  PMN_TRY(pmn_network_create(v->device, &program, 2, &network, err));
  PMN_TRY(pmn_network_project(network, &map, &taken, err));
  if (!taken) goto done;
  for (size_t i = 0; i < sizeof y / sizeof *y; i++) y[i] = NAN;
  PMN_TRY(pmn_network_run(network, x, 2, y, err));
  PMN_TRY(rows_compare(v, &map, x, y, err));
done:
  pmn_network_destroy(network);
  pmn_free(numbers);
  pmn_free(values);
  return st;
}

/* -------------------------------------------------------------------------------------------------------- all -- */

pmn_status pmn_selfcheck_run(pmn_device *device, bool *cached, double *error_ratio, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *reference = NULL;
  verdict v = {.device = device};
  pmn_buf path;
  pmn_buf_init(&path, 4096);
  bool cache = pmn_selfcheck_place(device, "layers", &path);
  *cached = cache && pmn_selfcheck_recall(path.data, error_ratio);
  if (*cached) goto done;
  PMN_TRY(pmn_device_open(&pmn_backend_ref, &(pmn_device_options){.index = -1, .threads = 1}, &reference, err));
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) PMN_TRY(layer_check(&v, reference, &layers[i], err));
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) PMN_TRY(block_check(&v, reference, &blocks[i], err));
  PMN_TRY(syrk_check(&v, reference, err));
  PMN_TRY(gemm_check(&v, reference, err));
  PMN_TRY(projection_check(&v, err));
  *error_ratio = v.ratio;
  if (cache) pmn_selfcheck_keep(path.data, v.ratio);
done:
  pmn_device_close(reference);
  pmn_buf_reset(&path);
  return st;
}
