/* check_bound.c - running programs behind fences, and how far apart two answers may be. */
#include "compute_check.h"

#include "cases.h"

#include <float.h>
#include <math.h>

enum { FENCE = 64 };
static const uint32_t fence_bits = 0x7fabcdef; /* a NaN of our own */

void *compute_alloc(size_t count, size_t size) {
  void *memory = calloc(count > 0 ? count : 1, size);
  if (memory == NULL) fail_msg("no memory for %zu x %zu bytes", count, size);
  return memory;
}

float *compute_random(uint64_t seed, size_t count, float scale) {
  float *v = compute_alloc(count, sizeof(float));
  for (size_t i = 0; i < count; i++) v[i] = scale * compute_value(seed, i);
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

/* `ref` on one operation alone, linear: no clamp, no residual. */
static float *linear_run(
    const pmn_program *program, const pmn_op *op, const float *in, const float *weights, const float *bias) {
  pmn_tensor tensors[2] = {program->tensors[op->input], program->tensors[op->output]};
  tensors[1].arena_offset = 0;
  pmn_op single = *op;
  single.input = 0;
  single.output = 1;
  single.residual = PMN_NO_TENSOR;
  single.weights = weights;
  single.bias = bias;
  single.clamp_min = -INFINITY;
  single.clamp_max = INFINITY;
  pmn_program alone = {.tensors = tensors,
      .ops = &single,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = PMN_INPUT_F32,
      .arena_size = pmn_tensor_size(&tensors[1])};
  return compute_run(compute_reference, &alone, in, 1, 1);
}

float *compute_apply(const pmn_program *program, const pmn_op *op, const float *in, const float *residual) {
  size_t size = pmn_tensor_size(&program->tensors[op->output]);
  float *y = linear_run(program, op, in, op->weights, op->bias);
  for (size_t i = 0; i < size; i++) {
    float v = y[i] + (residual != NULL ? residual[i] : 0.0f);
    y[i] = fminf(fmaxf(v, op->clamp_min), op->clamp_max);
  }
  return y;
}

float *compute_bound(const pmn_program *program, const pmn_op *op, const float *in, const float *residual) {
  const pmn_tensor *in_shape = &program->tensors[op->input], *out_shape = &program->tensors[op->output];
  size_t in_size = pmn_tensor_size(in_shape), out_size = pmn_tensor_size(out_shape), channels = (size_t)out_shape->c;
  size_t window = (size_t)op->kernel_h * (size_t)op->kernel_w, length = window;
  if (op->kind == PMN_OP_CONV2D) length *= (size_t)in_shape->c;
  if (op->kind == PMN_OP_GLOBAL_AVERAGE_POOL) length = (size_t)in_shape->h * (size_t)in_shape->w;
  size_t weights_size = op->kind == PMN_OP_CONV2D ? length * channels : window * channels;
  bool weighted = op->kind != PMN_OP_GLOBAL_AVERAGE_POOL;
  float *weights = weighted ? compute_absolute(op->weights, weights_size) : NULL;
  float *bias = weighted ? compute_absolute(op->bias, channels) : NULL;
  float *absolute = compute_absolute(in, in_size);
  float *bound = linear_run(program, op, absolute, weights, bias);
  for (size_t i = 0; i < out_size; i++) {
    bound[i] = (float)(length + 4) * FLT_EPSILON * (bound[i] + (residual != NULL ? fabsf(residual[i]) : 0.0f));
  }
  free(weights);
  free(bias);
  free(absolute);
  return bound;
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
