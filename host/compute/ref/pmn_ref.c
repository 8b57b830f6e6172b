/* pmn_ref.c - the judge: every operation as pmn_program.h defines it, in plain loops.
 *
 * Sums are fp64, every tensor is rounded to f32 once, when it is stored. One picture at a time, one thread. It is never
 * made faster at the cost of being read less easily: its worth is that one can see that it is right. (The channel loop
 * is innermost because memory is laid out so.)
 */
#include "pmn_backends.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <string.h>
#include <unistd.h>

typedef struct ref_network {
  pmn_network base;
  pmn_program program; /* tensors, ops and the weights they point to are copies */
  pmn_tensor *tensors;
  pmn_op *ops;
  float *parameters; /* weights and bias of every operation */
  float *arena;      /* of one picture */
  double *sums;      /* one output pixel, all channels */
} ref_network;

/* ---------------------------------------------------------------------------------------------------- device -- */

static void device_describe(pmn_device_info *info) {
  *info = (pmn_device_info){.backend = "ref", .type = PMN_DEVICE_CPU, .name = "reference", .compute_units = 1};
  strcpy(info->driver, "plain loops, sums in fp64");
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  info->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
}

static pmn_status ref_devices(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  (void)err;
  *count = 1;
  if (capacity > 0) device_describe(&list[0]);
  return PMN_STATUS_OK;
}

static pmn_status ref_open(const pmn_device_options *options, pmn_device **device, pmn_err *err) {
  if (options->index > 0) {
    return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "no device %d: the reference has only device 0", options->index);
  }
  *device = pmn_calloc(1, sizeof **device);
  if (*device == NULL) return pmn_err_memory(err, sizeof **device, "the reference device");
  device_describe(&(*device)->info);
  return PMN_STATUS_OK;
}

static void ref_close(pmn_device *device) {
  pmn_free(device);
}

/* --------------------------------------------------------------------------------------------------- network -- */

static size_t weights_size(const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  if (op->kind == PMN_OP_GLOBAL_AVERAGE_POOL) return 0;
  return (size_t)op->kernel_h * (size_t)op->kernel_w * (size_t)out->c * (op->kind == PMN_OP_CONV2D ? (size_t)in->c : 1);
}

static void ref_network_destroy(pmn_network *base) {
  ref_network *network = (ref_network *)base;
  if (network == NULL) return;
  pmn_free(network->tensors);
  pmn_free(network->ops);
  pmn_free(network->parameters);
  pmn_free(network->arena);
  pmn_free(network->sums);
  pmn_free(network);
}

/* Copies weights and bias, which the caller takes back after the call. */
static void parameters_copy(ref_network *network) {
  float *next = network->parameters;
  for (int32_t i = 0; i < network->program.op_count; i++) {
    pmn_op *op = &network->ops[i];
    size_t count = weights_size(&network->program, op);
    if (count == 0) continue;
    size_t channels = (size_t)network->tensors[op->output].c;
    op->weights = memcpy(next, op->weights, count * sizeof(float));
    op->bias = memcpy(next + count, op->bias, channels * sizeof(float));
    next += count + channels;
  }
}

static pmn_status ref_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **result, pmn_err *err) {
  (void)device, (void)batch_max;
  pmn_status st = PMN_STATUS_OK;
  size_t tensor_count = (size_t)program->tensor_count, op_count = (size_t)program->op_count;
  size_t parameters = 0, channels = 1;
  for (int32_t i = 0; i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    size_t out_channels = (size_t)program->tensors[op->output].c;
    parameters += weights_size(program, op) + out_channels;
    if (out_channels > channels) channels = out_channels;
  }
  ref_network *network = pmn_calloc(1, sizeof *network);
  if (network != NULL) {
    network->tensors = pmn_alloc(tensor_count, sizeof(pmn_tensor));
    network->ops = pmn_alloc(op_count, sizeof(pmn_op));
    network->parameters = pmn_alloc(parameters, sizeof(float));
    network->arena = pmn_alloc_aligned(program->arena_size, sizeof(float));
    network->sums = pmn_alloc(channels, sizeof(double));
  }
  if (network == NULL || network->tensors == NULL || network->ops == NULL || network->parameters == NULL ||
      network->arena == NULL || network->sums == NULL) {
    st = pmn_err_memory(err, (program->arena_size + parameters) * sizeof(float), "the reference network");
    goto done;
  }
  memcpy(network->tensors, program->tensors, tensor_count * sizeof(pmn_tensor));
  memcpy(network->ops, program->ops, op_count * sizeof(pmn_op));
  network->program = *program;
  network->program.tensors = network->tensors;
  network->program.ops = network->ops;
  parameters_copy(network);
  *result = &network->base;
  network = NULL;
done:
  ref_network_destroy((pmn_network *)network);
  return st;
}

/* One operation on one picture: where its tensors are. `bytes` is set instead of `in` for a u8 input. */
typedef struct operands {
  const pmn_op *op;
  const pmn_tensor *in_shape, *out_shape;
  const float *in, *residual;
  const uint8_t *bytes;
  const float *scale, *shift; /* of bytes */
  float *out;
  double *sums;
} operands;

static double input_at(const operands *a, int32_t y, int32_t x, int32_t c) {
  size_t at = ((size_t)y * (size_t)a->in_shape->w + (size_t)x) * (size_t)a->in_shape->c + (size_t)c;
  if (a->bytes != NULL) return (double)a->bytes[at] * (double)a->scale[c] + (double)a->shift[c];
  return (double)a->in[at];
}

/* Adds the residual, clamps, rounds and stores one output pixel. */
static void pixel_store(const operands *a, size_t pixel) {
  size_t channels = (size_t)a->out_shape->c;
  for (size_t c = 0; c < channels; c++) {
    size_t at = pixel * channels + c;
    double v = a->sums[c] + (a->residual != NULL ? (double)a->residual[at] : 0.0);
    if (v < (double)a->op->clamp_min) v = (double)a->op->clamp_min;
    if (v > (double)a->op->clamp_max) v = (double)a->op->clamp_max;
    a->out[at] = (float)v;
  }
}

/* One tap of a window: input pixel (y, x) times the weights of kernel position `tap`, onto sums. */
static void tap_add(const operands *a, int32_t y, int32_t x, size_t tap) {
  int32_t channels = a->out_shape->c;
  if (a->op->kind == PMN_OP_DEPTHWISE_CONV2D) {
    const float *weights = a->op->weights + tap * (size_t)channels;
    for (int32_t c = 0; c < channels; c++) a->sums[c] += input_at(a, y, x, c) * (double)weights[c];
    return;
  }
  for (int32_t i = 0; i < a->in_shape->c; i++) {
    const float *weights = a->op->weights + (tap * (size_t)a->in_shape->c + (size_t)i) * (size_t)channels;
    double v = input_at(a, y, x, i);
    for (int32_t o = 0; o < channels; o++) a->sums[o] += v * (double)weights[o];
  }
}

static void convolution(const operands *a) {
  const pmn_op *op = a->op;
  const pmn_tensor *in = a->in_shape, *out = a->out_shape;
  for (int32_t y = 0; y < out->h; y++) {
    for (int32_t x = 0; x < out->w; x++) {
      for (int32_t o = 0; o < out->c; o++) a->sums[o] = (double)op->bias[o];
      for (int32_t r = 0; r < op->kernel_h; r++) {
        for (int32_t s = 0; s < op->kernel_w; s++) {
          int32_t in_y = y * op->stride_h + r - op->pad_top, in_x = x * op->stride_w + s - op->pad_left;
          if (in_y < 0 || in_y >= in->h || in_x < 0 || in_x >= in->w) continue;
          tap_add(a, in_y, in_x, (size_t)r * (size_t)op->kernel_w + (size_t)s);
        }
      }
      pixel_store(a, (size_t)y * (size_t)out->w + (size_t)x);
    }
  }
}

static void global_average_pool(const operands *a) {
  const pmn_tensor *in = a->in_shape;
  for (int32_t c = 0; c < in->c; c++) {
    double sum = 0.0;
    for (int32_t y = 0; y < in->h; y++) {
      for (int32_t x = 0; x < in->w; x++) sum += input_at(a, y, x, c);
    }
    a->sums[c] = sum / ((double)in->h * (double)in->w);
  }
  pixel_store(a, 0);
}

static void picture_run(const ref_network *network, const void *picture, float *output) {
  const pmn_program *program = &network->program;
  for (int32_t i = 0; i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    const pmn_tensor *tensors = program->tensors;
    bool first = op->input == program->input, bytes = first && program->input_type == PMN_INPUT_U8;
    operands a = {.op = op, .in_shape = &tensors[op->input], .out_shape = &tensors[op->output]};
    a.bytes = bytes ? picture : NULL;
    a.in = bytes ? NULL : first ? picture : network->arena + tensors[op->input].arena_offset;
    a.scale = program->input_scale;
    a.shift = program->input_shift;
    if (op->residual == program->input)
      a.residual = picture;
    else if (op->residual != PMN_NO_TENSOR)
      a.residual = network->arena + tensors[op->residual].arena_offset;
    a.out = network->arena + tensors[op->output].arena_offset;
    a.sums = network->sums;
    if (op->kind == PMN_OP_GLOBAL_AVERAGE_POOL)
      global_average_pool(&a);
    else
      convolution(&a);
  }
  const pmn_tensor *out = &program->tensors[program->output];
  memcpy(output, network->arena + out->arena_offset, pmn_tensor_size(out) * sizeof(float));
}

static pmn_status ref_network_run(pmn_network *base, const void *input, int32_t n, float *output, pmn_err *err) {
  (void)err;
  const ref_network *network = (const ref_network *)base;
  const pmn_program *program = &network->program;
  size_t in_size = pmn_tensor_size(&program->tensors[program->input]);
  size_t out_size = pmn_tensor_size(&program->tensors[program->output]);
  size_t in_bytes = in_size * (program->input_type == PMN_INPUT_U8 ? 1 : sizeof(float));
  for (size_t i = 0; i < (size_t)n; i++) {
    picture_run(network, (const char *)input + i * in_bytes, output + i * out_size);
  }
  return PMN_STATUS_OK;
}

/* ---------------------------------------------------------------------------------------------------- matrix -- */

static pmn_status ref_syrk(pmn_device *device, const float *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  (void)device, (void)err;
  size_t columns = (size_t)d;
  for (size_t row = 0; row < (size_t)n; row++) {
    const float *v = x + row * columns;
    for (size_t i = 0; i < columns; i++) {
      for (size_t j = i; j < columns; j++) c[i * columns + j] += (double)v[i] * (double)v[j];
    }
  }
  return PMN_STATUS_OK;
}

static pmn_status ref_gemm(
    pmn_device *device, const float *a, const float *b, int32_t n, int32_t k, int32_t m, float *y, pmn_err *err) {
  (void)device, (void)err;
  size_t inner = (size_t)k, columns = (size_t)m;
  for (size_t i = 0; i < (size_t)n; i++) {
    for (size_t j = 0; j < columns; j++) {
      double sum = 0.0;
      for (size_t l = 0; l < inner; l++) sum += (double)a[i * inner + l] * (double)b[l * columns + j];
      y[i * columns + j] = (float)sum;
    }
  }
  return PMN_STATUS_OK;
}

const pmn_backend pmn_backend_ref = {
    .name = "ref",
    .devices = ref_devices,
    .open = ref_open,
    .close = ref_close,
    .network_create = ref_network_create,
    .network_run = ref_network_run,
    .network_destroy = ref_network_destroy,
    .syrk = ref_syrk,
    .gemm = ref_gemm,
};
