/* pmn_ref.c - the judge: every operation as pmn_program.h defines it, in plain loops.
 *
 * Sums are fp64, every tensor is rounded to f32 once, when it is stored. One picture at a time, one thread. It is never
 * made faster at the cost of being read less easily: its worth is that one can see that it is right. (The channel loop
 * is innermost because memory is laid out so.)
 */
#include "pmn_backends.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <math.h>
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

static size_t weights_size(const pmn_program *program, const pmn_op *op) {
  return pmn_op_weights_size(op, &program->tensors[op->input], &program->tensors[op->output]);
}

static size_t bias_size(const pmn_program *program, const pmn_op *op) {
  return pmn_op_bias_size(op, &program->tensors[op->output]);
}

static const float *parameters_take(const float *from, size_t count, float **next) {
  if (count == 0) return NULL;
  float *to = memcpy(*next, from, count * sizeof(float));
  *next += count;
  return to;
}

/* Copies weights and bias, which the caller takes back after the call. */
static void parameters_copy(ref_network *network) {
  float *next = network->parameters;
  for (int32_t i = 0; i < network->program.op_count; i++) {
    pmn_op *op = &network->ops[i];
    op->weights = parameters_take(op->weights, weights_size(&network->program, op), &next);
    op->bias = parameters_take(op->bias, bias_size(&network->program, op), &next);
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
    parameters += weights_size(program, op) + bias_size(program, op);
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
  const pmn_tensor *in_shape, *out_shape, *factor_shape;
  const float *in, *residual, *factor;
  const uint8_t *bytes;
  const float *scale, *shift; /* of bytes */
  float *out;
  double *sums;
} operands;

static size_t element(const pmn_tensor *t, int32_t y, int32_t x, int32_t c) {
  return ((size_t)y * (size_t)t->w + (size_t)x) * (size_t)t->c + (size_t)c;
}

static double input_at(const operands *a, int32_t y, int32_t x, int32_t c) {
  size_t at = element(a->in_shape, y, x, c);
  if (a->bytes != NULL) return (double)a->bytes[at] * (double)a->scale[c] + (double)a->shift[c];
  return (double)a->in[at];
}

/* The activations as pmn_program.h defines them, in forms that neither cancel nor overflow. */
static double activate(const pmn_op *op, double v) {
  double alpha = (double)op->alpha;
  switch (op->activation) {
  case PMN_ACTIVATION_NONE:
  case PMN_ACTIVATION_COUNT:
    return v;
  case PMN_ACTIVATION_SIGMOID:
    return 1.0 / (1.0 + exp(-v));
  case PMN_ACTIVATION_TANH:
    return tanh(v);
  case PMN_ACTIVATION_SILU:
    return v / (1.0 + exp(-v));
  case PMN_ACTIVATION_HARD_SWISH:
    return v * fmin(fmax(v / 6.0 + 0.5, 0.0), 1.0);
  case PMN_ACTIVATION_GELU:
    return v / 2.0 * erfc(-v / sqrt(2.0));
  case PMN_ACTIVATION_GELU_TANH: /* 1 + tanh(u) = 2 / (1 + exp(-2u)) */
    return v / (1.0 + exp(-2.0 * sqrt(2.0 / acos(-1.0)) * (v + 0.044715 * v * v * v)));
  case PMN_ACTIVATION_LEAKY_RELU:
    return v < 0.0 ? alpha * v : v;
  case PMN_ACTIVATION_ELU:
    return v < 0.0 ? alpha * expm1(v) : v;
  case PMN_ACTIVATION_SOFTPLUS:
    return fmax(v, 0.0) + log1p(exp(-fabs(v)));
  case PMN_ACTIVATION_MISH:
    return v * tanh(fmax(v, 0.0) + log1p(exp(-fabs(v))));
  }
  return v;
}

/* Adds the residual, activates, clamps, rounds and stores one output pixel. */
static void pixel_store(const operands *a, int32_t y, int32_t x) {
  for (int32_t c = 0; c < a->out_shape->c; c++) {
    size_t at = element(a->out_shape, y, x, c);
    double v = activate(a->op, a->sums[c] + (a->residual != NULL ? (double)a->residual[at] : 0.0));
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
  int32_t depth = a->in_shape->c / a->op->groups, width = channels / a->op->groups;
  for (int32_t i = 0; i < a->in_shape->c; i++) {
    int32_t group = i / depth;
    const float *weights = a->op->weights + (tap * (size_t)depth + (size_t)(i % depth)) * (size_t)channels;
    double v = input_at(a, y, x, i);
    for (int32_t o = group * width; o < (group + 1) * width; o++) a->sums[o] += v * (double)weights[o];
  }
}

/* One pixel of a window that lies in the picture, into the sums of a pool. */
static void pool_add(const operands *a, int32_t y, int32_t x, bool first) {
  for (int32_t c = 0; c < a->out_shape->c; c++) {
    double v = input_at(a, y, x, c);
    if (a->op->kind == PMN_OP_AVERAGE_POOL)
      a->sums[c] += v;
    else if (first || v > a->sums[c])
      a->sums[c] = v;
  }
}

/* How many pixels of a pool's window count: `inside` or those of the padded picture. */
static double pool_divisor(const operands *a, int32_t y, int32_t x, int32_t inside) {
  const pmn_op *op = a->op;
  if (!op->count_padding) return (double)inside;
  int32_t top = y * op->stride_h - op->pad_top, left = x * op->stride_w - op->pad_left;
  int32_t below = a->in_shape->h + op->pad_bottom - top, right = a->in_shape->w + op->pad_right - left;
  return (double)(below < op->kernel_h ? below : op->kernel_h) * (double)(right < op->kernel_w ? right : op->kernel_w);
}

/* Convolutions and pools: everything that looks at a window. */
static void windows_run(const operands *a) {
  const pmn_op *op = a->op;
  const pmn_tensor *in = a->in_shape, *out = a->out_shape;
  bool pools = op->kind == PMN_OP_MAX_POOL || op->kind == PMN_OP_AVERAGE_POOL;
  for (int32_t y = 0; y < out->h; y++) {
    for (int32_t x = 0; x < out->w; x++) {
      int32_t inside = 0;
      for (int32_t o = 0; o < out->c; o++) a->sums[o] = pools ? 0.0 : (double)op->bias[o];
      for (int32_t r = 0; r < op->kernel_h; r++) {
        for (int32_t s = 0; s < op->kernel_w; s++) {
          int32_t in_y = y * op->stride_h + r * op->dilation_h - op->pad_top;
          int32_t in_x = x * op->stride_w + s * op->dilation_w - op->pad_left;
          if (in_y < 0 || in_y >= in->h || in_x < 0 || in_x >= in->w) continue;
          if (pools)
            pool_add(a, in_y, in_x, inside == 0);
          else
            tap_add(a, in_y, in_x, (size_t)r * (size_t)op->kernel_w + (size_t)s);
          inside++;
        }
      }
      double divisor = op->kind == PMN_OP_AVERAGE_POOL ? pool_divisor(a, y, x, inside) : 1.0;
      for (int32_t o = 0; o < out->c; o++) a->sums[o] /= divisor;
      pixel_store(a, y, x);
    }
  }
}

static void global_average_pool_run(const operands *a) {
  const pmn_tensor *in = a->in_shape;
  for (int32_t c = 0; c < in->c; c++) {
    double sum = 0.0;
    for (int32_t y = 0; y < in->h; y++) {
      for (int32_t x = 0; x < in->w; x++) sum += input_at(a, y, x, c);
    }
    a->sums[c] = sum / ((double)in->h * (double)in->w);
  }
  pixel_store(a, 0, 0);
}

static void copy_run(const operands *a) {
  const pmn_copy *copy = &a->op->copy;
  for (int64_t i = 0; i < copy->extent[0]; i++) {
    for (int64_t j = 0; j < copy->extent[1]; j++) {
      for (int64_t k = 0; k < copy->extent[2]; k++) {
        int64_t from = copy->in_first + i * copy->in_stride[0] + j * copy->in_stride[1] + k * copy->in_stride[2];
        int64_t to = copy->out_first + i * copy->out_stride[0] + j * copy->out_stride[1] + k * copy->out_stride[2];
        a->out[to] = a->in[from];
      }
    }
  }
}

/* The kinds whose output pixel follows from the input pixel at its place, and resize: sums of one output pixel. */

static void multiply(const operands *a, int32_t y, int32_t x) {
  const pmn_tensor *f = a->factor_shape;
  for (int32_t c = 0; c < a->out_shape->c; c++) {
    size_t at = element(f, f->h == 1 ? 0 : y, f->w == 1 ? 0 : x, f->c == 1 ? 0 : c);
    a->sums[c] = input_at(a, y, x, c) * (double)a->factor[at];
  }
}

static void softmax(const operands *a, int32_t y, int32_t x) {
  double maximum = input_at(a, y, x, 0), sum = 0.0;
  for (int32_t c = 1; c < a->out_shape->c; c++) maximum = fmax(maximum, input_at(a, y, x, c));
  for (int32_t c = 0; c < a->out_shape->c; c++) sum += a->sums[c] = exp(input_at(a, y, x, c) - maximum);
  for (int32_t c = 0; c < a->out_shape->c; c++) a->sums[c] /= sum;
}

static void lrn(const operands *a, int32_t y, int32_t x) {
  const pmn_op *op = a->op;
  int32_t channels = a->out_shape->c, before = (op->lrn_size - 1) / 2, after = op->lrn_size / 2;
  for (int32_t c = 0; c < channels; c++) {
    double squares = 0.0;
    for (int32_t j = c < before ? 0 : c - before; j < channels && j - c <= after; j++) {
      squares += input_at(a, y, x, j) * input_at(a, y, x, j);
    }
    double base = (double)op->lrn_bias + (double)op->lrn_alpha / (double)op->lrn_size * squares;
    a->sums[c] = input_at(a, y, x, c) / pow(base, (double)op->lrn_beta);
  }
}

static void layer_norm(const operands *a, int32_t y, int32_t x) {
  int32_t channels = a->out_shape->c;
  double mean = 0.0, variance = 0.0;
  for (int32_t c = 0; c < channels; c++) mean += input_at(a, y, x, c) / (double)channels;
  for (int32_t c = 0; c < channels; c++) {
    double deviation = input_at(a, y, x, c) - mean;
    variance += deviation * deviation / (double)channels;
  }
  for (int32_t c = 0; c < channels; c++) {
    double normal = (input_at(a, y, x, c) - mean) / sqrt(variance + (double)a->op->epsilon);
    a->sums[c] = normal * (double)a->op->weights[c] + (double)a->op->bias[c];
  }
}

static void resize(const operands *a, int32_t y, int32_t x) {
  const float *row = a->op->weights + 3 * (size_t)y;
  const float *column = a->op->weights + 3 * ((size_t)a->out_shape->h + (size_t)x);
  int32_t y0 = (int32_t)row[0], y1 = (int32_t)row[1], x0 = (int32_t)column[0], x1 = (int32_t)column[1];
  double f = (double)row[2], g = (double)column[2];
  for (int32_t c = 0; c < a->out_shape->c; c++) {
    a->sums[c] = (1.0 - f) * (1.0 - g) * input_at(a, y0, x0, c) + (1.0 - f) * g * input_at(a, y0, x1, c) +
                 f * (1.0 - g) * input_at(a, y1, x0, c) + f * g * input_at(a, y1, x1, c);
  }
}

static void pixels_run(const operands *a, void (*pixel)(const operands *a, int32_t y, int32_t x)) {
  for (int32_t y = 0; y < a->out_shape->h; y++) {
    for (int32_t x = 0; x < a->out_shape->w; x++) {
      pixel(a, y, x);
      pixel_store(a, y, x);
    }
  }
}

static void operation_run(const operands *a) {
  switch (a->op->kind) {
  case PMN_OP_CONV2D:
  case PMN_OP_DEPTHWISE_CONV2D:
  case PMN_OP_MAX_POOL:
  case PMN_OP_AVERAGE_POOL:
    windows_run(a);
    break;
  case PMN_OP_GLOBAL_AVERAGE_POOL:
    global_average_pool_run(a);
    break;
  case PMN_OP_COPY:
    copy_run(a);
    break;
  case PMN_OP_MULTIPLY:
    pixels_run(a, multiply);
    break;
  case PMN_OP_SOFTMAX:
    pixels_run(a, softmax);
    break;
  case PMN_OP_LRN:
    pixels_run(a, lrn);
    break;
  case PMN_OP_LAYER_NORM:
    pixels_run(a, layer_norm);
    break;
  case PMN_OP_RESIZE:
    pixels_run(a, resize);
    break;
  case PMN_OP_KIND_COUNT:
    break;
  }
}

/* A tensor of the picture that runs: the program's input is the caller's. */
static const float *tensor_data(const ref_network *network, const void *picture, int32_t tensor) {
  if (tensor == PMN_NO_TENSOR) return NULL;
  return tensor == network->program.input ? picture : network->arena + network->tensors[tensor].arena_offset;
}

static void picture_run(const ref_network *network, const void *picture, float *output) {
  const pmn_program *program = &network->program;
  const pmn_tensor *tensors = program->tensors;
  for (int32_t i = 0; i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    operands a = {.op = op, .in_shape = &tensors[op->input], .out_shape = &tensors[op->output]};
    if (op->input == program->input && program->input_type == PMN_INPUT_U8)
      a.bytes = picture;
    else
      a.in = tensor_data(network, picture, op->input);
    a.scale = program->input_scale;
    a.shift = program->input_shift;
    a.residual = tensor_data(network, picture, op->residual);
    a.factor = tensor_data(network, picture, op->factor);
    if (op->factor != PMN_NO_TENSOR) a.factor_shape = &tensors[op->factor];
    a.out = network->arena + tensors[op->output].arena_offset;
    a.sums = network->sums;
    operation_run(&a);
  }
  const pmn_tensor *out = &tensors[program->output];
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

static pmn_status ref_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  (void)device, (void)err;
  size_t columns = (size_t)d;
  for (size_t row = 0; row < (size_t)n; row++) {
    const double *v = x + row * columns;
    for (size_t i = 0; i < columns; i++) {
      for (size_t j = i; j < columns; j++) c[i * columns + j] += v[i] * v[j];
    }
  }
  return PMN_STATUS_OK;
}

static pmn_status ref_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  (void)device, (void)err;
  size_t inner = (size_t)k, columns = (size_t)m;
  for (size_t i = 0; i < (size_t)n; i++) {
    for (size_t j = 0; j < columns; j++) {
      double sum = 0.0;
      for (size_t l = 0; l < inner; l++) sum += a[i * inner + l] * b[j * inner + l];
      y[i * columns + j] = sum;
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
