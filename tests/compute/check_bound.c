/* check_bound.c - running programs behind fences, and how far apart two answers may be. */
#include "compute_check.h"

#include "cases.h"

#include <float.h>
#include <math.h>

#define EPSILON ((double)FLT_EPSILON)

enum { FENCE = 64 };
static const uint32_t fence_bits = 0x7fabcdef; /* a NaN of our own */

void *compute_alloc(size_t count, size_t size) {
  void *memory = calloc(count > 0 ? count : 1, size);
  if (memory == NULL) fail_msg("no memory for %zu x %zu bytes", count, size);
  return memory;
}

float compute_stored(float value) {
  if (compute_config_count == 0 || !compute_configs[0].has_fp16) return value;
  int exponent; /* |value| is in [1/2, 1) of 2^exponent; of halves, 2^-14 is the smallest with 11 bits */
  (void)frexpf(value, &exponent);
  float unit = ldexpf(1.0f, (exponent > -13 ? exponent : -13) - 11);
  return copysignf(fminf(unit * rintf(fabsf(value) / unit), 65504.0f), value);
}

double compute_storing_bound(const compute_config *config, double y) {
  return config->has_fp16 ? 0x1p-11 * fabs(y) + 0x1p-25 : 0.0;
}

float *compute_random(uint64_t seed, size_t count, float scale) {
  float *v = compute_alloc(count, sizeof(float));
  for (size_t i = 0; i < count; i++) v[i] = compute_stored(scale * compute_value(seed, i));
  return v;
}

float *compute_absolute(const float *v, size_t count) {
  float *a = compute_alloc(count, sizeof(float));
  for (size_t i = 0; i < count; i++) a[i] = fabsf(v[i]);
  return a;
}

float *compute_run(pmn_device *device, const pmn_program *program, const void *input, int32_t n, int32_t batch_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  size_t size = pmn_tensor_size(&program->tensors[program->output]) * (size_t)n;
  float *fenced = compute_alloc(size + 2 * FENCE, sizeof(float));
  for (size_t i = 0; i < size + 2 * FENCE; i++) memcpy(&fenced[i], &fence_bits, sizeof fence_bits);
  check_ok(pmn_network_create(device, program, batch_max, &network, &err));
  check_ok(pmn_network_run(network, input, n, fenced + FENCE, &err));
  pmn_network_destroy(network);
  for (size_t i = 0; i < FENCE; i++) {
    if (memcmp(&fenced[i], &fence_bits, 4) != 0 || memcmp(&fenced[FENCE + size + i], &fence_bits, 4) != 0) {
      fail_msg("wrote outside the output");
    }
  }
  memmove(fenced, fenced + FENCE, size * sizeof(float));
  return fenced;
}

/* `ref` on one operation alone. Its tensors come from one flat input, taken apart by copies. */
static float *single_run(
    const pmn_program *program, pmn_op op, const float *in, const float *residual, const float *factor) {
  const pmn_tensor *shapes = program->tensors;
  const struct {
    const float *data;
    int32_t tensor;
  } parts[3] = {{in, op.input}, {residual, op.residual}, {factor, op.factor}};
  int32_t operands[3] = {PMN_NO_TENSOR, PMN_NO_TENSOR, PMN_NO_TENSOR};
  pmn_tensor tensors[5] = {{1, 1, 0, 0}, shapes[op.output]};
  pmn_op ops[4];
  size_t arena = pmn_tensor_size(&tensors[1]), size = 0;
  tensors[1].arena_offset = 0;
  for (int i = 0; i < 3; i++) size += parts[i].data == NULL ? 0 : pmn_tensor_size(&shapes[parts[i].tensor]);
  float *flat = compute_alloc(size, sizeof(float));
  pmn_program alone = {.tensors = tensors, .ops = ops, .tensor_count = 2, .input = 0, .output = 1};
  for (int i = 0; i < 3; i++) {
    if (parts[i].data == NULL) continue;
    pmn_tensor *t = &tensors[operands[i] = alone.tensor_count++];
    *t = shapes[parts[i].tensor];
    t->arena_offset = (arena + 15) / 16 * 16;
    size_t count = pmn_tensor_size(t);
    arena = t->arena_offset + count;
    pmn_op *copy = &ops[alone.op_count++];
    *copy = pmn_op_init(PMN_OP_COPY, "part", 0, operands[i]);
    copy->copy = (pmn_copy){
        .extent = {1, 1, (int32_t)count}, .in_first = tensors[0].c, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
    memcpy(flat + tensors[0].c, parts[i].data, count * sizeof(float));
    tensors[0].c += (int32_t)count;
  }
  op.input = operands[0];
  op.residual = operands[1];
  op.factor = operands[2];
  op.output = 1;
  ops[alone.op_count++] = op;
  alone.arena_size = arena;
  float *y = compute_run(compute_reference, &alone, flat, 1, 1);
  free(flat);
  return y;
}

/* The operation without its end: what is added to the residual. */
static pmn_op without_end(const pmn_op *op) {
  pmn_op bare = *op;
  bare.activation = PMN_ACTIVATION_NONE;
  bare.clamp_min = -INFINITY;
  bare.clamp_max = INFINITY;
  return bare;
}

float *compute_apply(const pmn_program *program, const pmn_op *op, const compute_operands *operands) {
  return single_run(program, *op, operands->in, operands->residual, operands->factor);
}

/* Terms of the longest sum that an output is made of; 0 for kinds that do not round. */
static size_t sum_length(const pmn_op *op, const pmn_tensor *in) {
  size_t window = (size_t)op->kernel_h * (size_t)op->kernel_w, pixels = (size_t)in->h * (size_t)in->w;
  switch (op->kind) {
  case PMN_OP_CONV2D:
    return window * (size_t)(in->c / op->groups);
  case PMN_OP_DEPTHWISE_CONV2D:
  case PMN_OP_AVERAGE_POOL:
    return window;
  case PMN_OP_GLOBAL_AVERAGE_POOL:
    return pixels <= 64 ? pixels : 64 + (pixels + 63) / 64; /* a sum of sums of 64 */
  case PMN_OP_MULTIPLY:
    return 1;
  case PMN_OP_RESIZE:
    return 8; /* four products, and the four shares round too */
  default:
    return 0;
  }
}

/* The sum of an operation over absolute values; without its bias, if that is not asked for. free() the result. */
static float *magnitude_run(
    const pmn_program *program, const pmn_op *op, const compute_operands *operands, bool with_bias) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  pmn_op bare = without_end(op);
  float *weights = compute_absolute(op->weights, pmn_op_weights_size(op, in, out));
  float *bias = compute_absolute(op->bias, pmn_op_bias_size(op, out)), *factor = NULL;
  float *magnitudes =
      compute_absolute(operands->magnitudes != NULL ? operands->magnitudes : operands->in, pmn_tensor_size(in));
  if (op->factor != PMN_NO_TENSOR) {
    factor = compute_absolute(operands->factor, pmn_tensor_size(&program->tensors[op->factor]));
  }
  for (size_t i = 0; !with_bias && i < pmn_op_bias_size(op, out); i++) bias[i] = 0.0f;
  bare.weights = weights;
  bare.bias = bias;
  bare.residual = PMN_NO_TENSOR;
  float *sums = single_run(program, bare, magnitudes, NULL, factor);
  free(weights);
  free(bias);
  free(magnitudes);
  free(factor);
  return sums;
}

/* (L + 4) eps M for kinds that are sums of products; see compute_check.h. */
static void sum_bound(const pmn_program *program, const pmn_op *op, const compute_operands *operands, double *bound) {
  size_t length = sum_length(op, &program->tensors[op->input]);
  size_t count = pmn_tensor_size(&program->tensors[op->output]);
  if (length == 0) return;
  float *sums = magnitude_run(program, op, operands, true);
  for (size_t i = 0; i < count; i++) bound[i] = (double)(length + 4) * EPSILON * (double)sums[i];
  free(sums);
}

/* What rounding both factors adds. It also makes sums larger by as much, of which (L + 4) eps would be as much less
 * than is left over in (L + 4). */
static void rounding_bound(
    const pmn_program *program, const pmn_op *op, const compute_operands *operands, double *bound) {
  size_t count = pmn_tensor_size(&program->tensors[op->output]);
  float *products = magnitude_run(program, op, operands, false);
  for (size_t i = 0; i < count; i++) bound[i] += (0x1p-7 + 0x1p-16) * (double)products[i];
  free(products);
}

/* The matrices of F(2x2, 3x3) and F(4x4, 3x3) over absolute values. */
enum { TILE_MAX = 4, SIDE_MAX = 6, TAPS = 3 };
typedef struct winograd {
  int tile, side;
  double bt[SIDE_MAX * SIDE_MAX], g[SIDE_MAX * TAPS], at[TILE_MAX * SIDE_MAX];
} winograd;
static const winograd forms[2] = {{2, 4, {1, 0, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 0, 1},
                                      {1, 0, 0, .5, .5, .5, .5, .5, .5, 0, 0, 1}, {1, 1, 1, 0, 0, 1, 1, 1}},
    {4, 6, {4, 0, 5, 0, 1, 0, 0, 4, 4, 1, 1, 0, 0, 4, 4, 1, 1, 0, 0, 2, 1, 2, 1, 0, 0, 2, 1, 2, 1, 0, 0, 4, 0, 5, 0, 1},
        {1. / 4, 0, 0, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 6, 1. / 24, 1. / 12, 1. / 6, 1. / 24, 1. / 12,
            1. / 6, 0, 0, 1},
        {1, 1, 1, 1, 1, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 4, 4, 0, 0, 1, 1, 8, 8, 1}}};

/* The smaller tiles are for pictures of fewer than eight of the larger ones. Known here a second time: where another is
 * chosen, its errors are not those that are allowed. */
static const winograd *form_for(const pmn_tensor *out) {
  return &forms[((out->h + 3) / 4) * ((out->w + 3) / 4) >= 8];
}

/* y = m x m', x [n, n], m [rows, n] of row-major matrices. */
static void both_sides(const double *m, int rows, int n, const double *x, double *y) {
  double half[SIDE_MAX][SIDE_MAX];
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < n; j++) {
      half[i][j] = 0.0;
      for (int k = 0; k < n; k++) half[i][j] += m[i * n + k] * x[k * n + j];
    }
  }
  for (int i = 0; i < rows; i++) {
    for (int j = 0; j < rows; j++) {
      y[i * rows + j] = 0.0;
      for (int k = 0; k < n; k++) y[i * rows + j] += half[i][k] * m[j * n + k];
    }
  }
}

/* What may take Winograd's way: 3x3 of stride 1 with channels in sixteens, where tiles spare two products in five. */
static bool winograd_may(const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  const winograd *form = form_for(out);
  int64_t tiles = (int64_t)((out->h + form->tile - 1) / form->tile) * ((out->w + form->tile - 1) / form->tile);
  return in->c % 16 == 0 && out->c % 16 == 0 &&
         5 * form->side * form->side * tiles <= (int64_t)3 * TAPS * TAPS * out->h * out->w &&
         op->kind == PMN_OP_CONV2D && op->kernel_h == TAPS && op->kernel_w == TAPS && op->stride_h == 1 &&
         op->stride_w == 1 && op->dilation_h == 1 && op->dilation_w == 1 && op->groups == 1;
}

/* bound[] of one tile: rows and columns of it that lie in the picture. */
static void winograd_tile(const pmn_program *program, const pmn_op *op, const float *magnitudes, const double *taps,
    int32_t y, int32_t x, double *bound) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  const winograd *form = form_for(out);
  int tile_size = form->tile, side = form->side, positions = side * side;
  size_t pairs = (size_t)in->c * (size_t)out->c;
  double *spectrum = compute_alloc((size_t)(in->c * positions), sizeof *spectrum);
  for (int32_t c = 0; c < in->c; c++) {
    double d[SIDE_MAX * SIDE_MAX] = {0};
    for (int i = 0; i < positions; i++) {
      int32_t row = y + i / side - op->pad_top, column = x + i % side - op->pad_left;
      if (row < 0 || row >= in->h || column < 0 || column >= in->w) continue;
      d[i] = (double)magnitudes[(row * in->w + column) * in->c + c];
    }
    both_sides(form->bt, side, side, d, spectrum + c * positions);
  }
  for (int32_t o = 0; o < out->c; o++) {
    double products[SIDE_MAX * SIDE_MAX] = {0}, tile[TILE_MAX * TILE_MAX];
    for (int32_t c = 0; c < in->c; c++) {
      for (int p = 0; p < positions; p++) {
        products[p] += spectrum[c * positions + p] * taps[(size_t)p * pairs + (size_t)(c * out->c + o)];
      }
    }
    both_sides(form->at, tile_size, side, products, tile);
    for (int32_t i = 0; i < tile_size * tile_size; i++) {
      int32_t row = y + i / tile_size, column = x + i % tile_size;
      if (row >= out->h || column >= out->w) continue;
      double size = tile[i] + fabs((double)op->bias[o]);
      bound[(row * out->w + column) * out->c + o] = (double)(in->c + 24) * EPSILON * size;
    }
  }
  free(spectrum);
}

static void winograd_bound(
    const pmn_program *program, const pmn_op *op, const compute_operands *operands, double *bound) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  size_t pairs = (size_t)in->c * (size_t)out->c;
  const winograd *form = form_for(out);
  size_t positions = (size_t)(form->side * form->side);
  double *taps = compute_alloc(positions * pairs, sizeof *taps);
  for (size_t i = 0; i < pairs; i++) {
    double g[TAPS * TAPS], u[SIDE_MAX * SIDE_MAX];
    for (size_t t = 0; t < TAPS * TAPS; t++) g[t] = fabs((double)op->weights[t * pairs + i]);
    both_sides(form->g, form->side, TAPS, g, u);
    for (size_t p = 0; p < positions; p++) taps[p * pairs + i] = u[p];
  }
  float *magnitudes =
      compute_absolute(operands->magnitudes != NULL ? operands->magnitudes : operands->in, pmn_tensor_size(in));
  for (int32_t y = 0; y < out->h; y += form->tile) {
    for (int32_t x = 0; x < out->w; x += form->tile) winograd_tile(program, op, magnitudes, taps, y, x, bound);
  }
  free(magnitudes);
  free(taps);
}

/* exp(x - m) is off by the rounding of x - m, |x - m| eps / 2 of its value, and by the 3 units of exp. The sum below it
 * is off by (terms) eps and by the mean of its terms' errors: weighted by themselves, their |x - m| average to log c at
 * most, since that is the largest entropy. Below the smallest normal number terms may be flushed to 0. */
static void softmax_bound(const float *in, const double *y, int32_t c, double *bound) {
  float most = in[0];
  for (int32_t i = 1; i < c; i++) most = fmaxf(most, in[i]);
  for (int32_t i = 0; i < c; i++) {
    double units = (double)(most - in[i]) + log((double)c) + (double)c + 16.0;
    bound[i] = units * EPSILON * y[i] + (double)FLT_MIN;
  }
}

/* y = x base^-beta: the base is off by (size + 4) eps and so its power by beta times that. A power that is taken
 * through log and exp is off by the rounding of its argument, 4 eps |beta log base|, and 16 eps of its own, which is
 * what OpenCL allows pow. */
static void lrn_bound(const pmn_op *op, const float *in, const double *y, int32_t c, double *bound) {
  double beta = fabs((double)op->lrn_beta);
  int32_t size = op->lrn_size < c ? op->lrn_size : c;
  for (int32_t i = 0; i < c; i++) {
    double log_power = y[i] != 0.0 ? fabs(log(fabs(y[i] / (double)in[i]))) : 0.0;
    bound[i] = (20.0 + beta * ((double)size + 4.0) + 4.0 * log_power) * EPSILON * fabs(y[i]) + (double)FLT_MIN;
  }
}

/* y = (x - mean) / s * w + b. The mean is off by d <= (c + 2) eps mean|x|, which moves x - mean by as much and s^2,
 * least at the true mean, by d^2; the sum of squares is off by (c + 4) eps of itself, s by half of what s^2 is. */
static void layer_norm_bound(const pmn_op *op, const float *in, int32_t c, double *bound) {
  double mean = 0.0, mean_magnitude = 0.0, variance = 0.0;
  for (int32_t i = 0; i < c; i++) {
    mean += (double)in[i] / c;
    mean_magnitude += fabs((double)in[i]) / c;
  }
  for (int32_t i = 0; i < c; i++) variance += ((double)in[i] - mean) * ((double)in[i] - mean) / c;
  double square = variance + (double)op->epsilon, shift = (c + 2.0) * EPSILON * mean_magnitude;
  double relative = ((c + 4.0) * EPSILON + shift * shift / square) / 2.0 + 8.0 * EPSILON;
  for (int32_t i = 0; i < c; i++) {
    double weight = fabs((double)op->weights[i]) / sqrt(square), deviation = fabs((double)in[i] - mean);
    bound[i] = weight * (shift + deviation * relative) + 2.0 * EPSILON * fabs((double)op->bias[i]);
  }
}

/* Kinds whose outputs follow from one pixel's channels. */
static void pixel_bound(const pmn_program *program, const pmn_op *op, const float *in, const double *y, double *bound) {
  const pmn_tensor *out = &program->tensors[op->output];
  size_t pixels = (size_t)out->h * (size_t)out->w, c = (size_t)out->c;
  for (size_t at = 0; at < pixels * c; at += c) {
    if (op->kind == PMN_OP_SOFTMAX) softmax_bound(in + at, y + at, out->c, bound + at);
    if (op->kind == PMN_OP_LRN) lrn_bound(op, in + at, y + at, out->c, bound + at);
    if (op->kind == PMN_OP_LAYER_NORM) layer_norm_bound(op, in + at, out->c, bound + at);
  }
}

/* The steepest slope of every activation, rounded up; of those with alpha, |alpha| may be steeper. */
static double slope_most(const pmn_op *op) {
  static const double slopes[PMN_ACTIVATION_COUNT] = {[PMN_ACTIVATION_NONE] = 1.0,
      [PMN_ACTIVATION_SIGMOID] = 0.25,
      [PMN_ACTIVATION_TANH] = 1.0,
      [PMN_ACTIVATION_SILU] = 1.1,
      [PMN_ACTIVATION_HARD_SWISH] = 1.5,
      [PMN_ACTIVATION_GELU] = 1.13,
      [PMN_ACTIVATION_GELU_TANH] = 1.13,
      [PMN_ACTIVATION_LEAKY_RELU] = 1.0,
      [PMN_ACTIVATION_ELU] = 1.0,
      [PMN_ACTIVATION_SOFTPLUS] = 1.0,
      [PMN_ACTIVATION_MISH] = 1.09};
  bool scaled = op->activation == PMN_ACTIVATION_LEAKY_RELU || op->activation == PMN_ACTIVATION_ELU;
  return fmax(slopes[op->activation], scaled ? fabs((double)op->alpha) : 0.0);
}

double compute_activation_bound(pmn_activation activation, double v, double f, double units) {
  double size = fabs(v), relative = units;
  switch (activation) {
  case PMN_ACTIVATION_NONE:
    return 0.0;
  case PMN_ACTIVATION_GELU: /* exp(-v^2 / 2), or erfc, of a rounded argument: v^2 units more in the lower tail */
    if (v < 0.0) relative += size * size;
    break;
  case PMN_ACTIVATION_GELU_TANH: /* the argument of exp is 1.6 v + 0.07 v^3, four times rounded */
    if (v < 0.0) relative += 4.0 * fmin(size * (1.6 + 0.072 * size * size), 90.0);
    break;
  case PMN_ACTIVATION_HARD_SWISH: /* v / 6 + 1/2 cancels at -3 */
    return 4.0 * EPSILON * size;
  default:
    break;
  }
  /* Results below the smallest normal number may be 0; where one factor is, v multiplies that. */
  return relative * EPSILON * fabs(f) + (double)FLT_MIN * (1.0 + fmin(size, 128.0));
}

float *compute_bound(
    const pmn_program *program, const pmn_op *op, const compute_operands *operands, const compute_config *config) {
  size_t count = pmn_tensor_size(&program->tensors[op->output]);
  double *bound = compute_alloc(count, sizeof(double)), *y = compute_alloc(count, sizeof(double));
  float *result = compute_alloc(count, sizeof(float));
  pmn_op bare = without_end(op);
  bare.residual = PMN_NO_TENSOR;
  float *values = single_run(program, bare, operands->in, NULL, operands->factor);
  bare.activation = op->activation;
  bare.alpha = op->alpha;
  bare.residual = op->residual;
  float *activated = single_run(program, bare, operands->in, operands->residual, operands->factor);
  for (size_t i = 0; i < count; i++) y[i] = (double)values[i];
  if (config->has_winograd && winograd_may(program, op))
    winograd_bound(program, op, operands, bound);
  else
    sum_bound(program, op, operands, bound);
  if (config->has_bf16 && op->kind == PMN_OP_CONV2D) rounding_bound(program, op, operands, bound);
  pixel_bound(program, op, operands->in, y, bound);
  for (size_t i = 0; i < count; i++) {
    double v = y[i];
    if (operands->residual != NULL) {
      double added = (double)operands->residual[i];
      bound[i] += (double)(sum_length(op, &program->tensors[op->input]) + 4) * EPSILON * (fabs(v) + fabs(added));
      v += added;
    }
    bound[i] = slope_most(op) * bound[i] +
               compute_activation_bound(op->activation, v, (double)activated[i], config->activation_units);
    result[i] = (float)(bound[i] + compute_storing_bound(config, fabs((double)activated[i]) + bound[i]));
  }
  free(bound);
  free(y);
  free(values);
  free(activated);
  return result;
}

double compute_compare(
    const float *y, const float *expected, const float *bound, size_t count, const char *label, const char *name) {
  double worst = 0.0;
  for (size_t i = 0; i < count; i++) {
    double difference = fabs((double)y[i] - (double)expected[i]);
    if (!(difference <= (double)bound[i])) {
      fail_msg("%s: %s: output %zu of %zu is %.9g, must be %.9g; difference %.3g, bound %.3g", label, name, i, count,
          (double)y[i], (double)expected[i], difference, (double)bound[i]);
    }
    if (bound[i] > 0.0f) worst = fmax(worst, difference / (double)bound[i]);
  }
  return worst;
}

/* Root of the mean square of errors, as a part of that of the bounds. */
static double mean_error(const float *y, const float *expected, const float *bound, size_t count) {
  double errors = 0.0, bounds = 0.0;
  for (size_t i = 0; i < count; i++) {
    errors += ((double)y[i] - (double)expected[i]) * ((double)y[i] - (double)expected[i]);
    bounds += (double)bound[i] * (double)bound[i];
  }
  return sqrt(errors / bounds);
}

/* Roundings fall to both sides: of Winograd's bound, which adds up all of them, a thousandth is seen. A transform that
 * is wrong in a digit shows here before it passes the bound. */
void compute_check_mean_error(const pmn_program *program, const pmn_op *op, const compute_config *config,
    const float *y, const float *expected, const float *bound, const char *name) {
  if (!config->has_winograd || !winograd_may(program, op)) return;
  double mean = mean_error(y, expected, bound, pmn_tensor_size(&program->tensors[op->output]));
  if (!(mean <= 0.01)) fail_msg("%s: %s: the mean error is %.3g of the bound", config->label, name, mean);
}

/* Of L products whose factors are rounded, all of a size, 0.4 / sqrt(L) of the bound is seen. Cutting digits off
 * instead of rounding them would be twice that. */
void compute_check_mean_rounding(const pmn_program *program, const pmn_op *op, const compute_config *config,
    const float *y, const float *expected, const float *bound, const char *name) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  bool padded = op->pad_top + op->pad_left > 0 || out->h * op->stride_h > in->h || out->w * op->stride_w > in->w;
  size_t count = pmn_tensor_size(out);
  if (!config->has_bf16 || op->kind != PMN_OP_CONV2D || padded || count < 200) return;
  double mean = mean_error(y, expected, bound, count) * sqrt((double)sum_length(op, in));
  if (!(mean <= 0.6)) fail_msg("%s: %s: the mean error is %.3g, times root L, of the bound", config->label, name, mean);
}
