/* pmn_graph.c - see pmn_graph.h. */
#include "pmn_graph.h"

#include "pmn_mem.h"
#include "pmn_plan.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NODES_MAX = 1024 }; /* tensors: the input and one for each layer */

struct pmn_graph {
  const pmn_safetensors *weights;
  pmn_err error; /* the first one; its status is OK until then */
  int32_t op_count, tensor_count;
  pmn_op ops[NODES_MAX];
  pmn_tensor tensors[NODES_MAX];
  char *names[NODES_MAX];  /* of the operations, owned */
  float *owned[NODES_MAX]; /* weights then bias of each operation */
  pmn_program program;
};

pmn_graph *pmn_graph_create(const pmn_safetensors *weights) {
  pmn_graph *graph = pmn_calloc(1, sizeof *graph);
  if (graph != NULL) graph->weights = weights;
  return graph;
}

void pmn_graph_destroy(pmn_graph *graph) {
  if (graph == NULL) return;
  for (int32_t i = 0; i < graph->op_count; i++) {
    pmn_free(graph->names[i]);
    pmn_free(graph->owned[i]);
  }
  pmn_free(graph);
}

static bool failed(const pmn_graph *graph) {
  return graph->error.status != PMN_STATUS_OK;
}

static void fail_full(pmn_graph *graph) {
  pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "a network has more than %d layers", NODES_MAX - 1);
}

/* --------------------------------------------------------------------------------------------------- weights -- */

/* The tensor LAYER/PART as floats: exactly `count` of them, all finite, the shape's product being what the layer needs.
 * `data` of the file need not be aligned, so it is copied. */
static bool read_floats(
    pmn_graph *graph, const char *layer, const char *part, int32_t rank, const int64_t *shape, float *values) {
  char name[256];
  snprintf(name, sizeof name, "%s/%s", layer, part);
  const char *origin = pmn_safetensors_origin(graph->weights);
  const pmn_weight *weight = pmn_safetensors_find(graph->weights, name);
  if (weight == NULL) {
    pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "%s: tensor %s is missing: are these weights of this network?",
        origin, name);
    return false;
  }
  bool same = strcmp(weight->type, "F32") == 0 && weight->rank == rank;
  for (int32_t i = 0; same && i < rank; i++) same = weight->shape[i] == shape[i];
  if (!same) {
    char expected[128] = "";
    for (int32_t i = 0; i < rank; i++) {
      size_t used = strlen(expected);
      snprintf(expected + used, sizeof expected - used, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    }
    pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "%s: tensor %s is not F32 [%s]", origin, name, expected);
    return false;
  }
  memcpy(values, weight->data, weight->size);
  for (size_t i = 0; i < weight->size / sizeof *values; i++) {
    if (isfinite(values[i])) continue;
    pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "%s: tensor %s holds %g at position %zu", origin, name,
        (double)values[i], i);
    return false;
  }
  return true;
}

/* Inference of BatchNorm, gamma * (v - mean) / sqrt(variance + epsilon) + beta, as a factor and a term per channel, put
 * into the weights before it (Ioffe and Szegedy 2015, section 3.1). `weights` has `taps` rows of `channels`. */
static bool fold_batch_norm(
    pmn_graph *graph, const pmn_conv *conv, float *weights, size_t taps, int32_t channels, float *bias) {
  int64_t shape[] = {channels};
  size_t count = (size_t)channels;
  float *parts = pmn_alloc(count * 4, sizeof *parts);
  if (parts == NULL) {
    pmn_err_memory(&graph->error, count * 4 * sizeof *parts, conv->batch_norm);
    return false;
  }
  float *gamma = parts, *beta = parts + count, *mean = parts + 2 * count, *variance = parts + 3 * count;
  bool good = read_floats(graph, conv->batch_norm, "gamma", 1, shape, gamma) &&
              read_floats(graph, conv->batch_norm, "beta", 1, shape, beta) &&
              read_floats(graph, conv->batch_norm, "moving_mean", 1, shape, mean) &&
              read_floats(graph, conv->batch_norm, "moving_variance", 1, shape, variance);
  for (size_t c = 0; good && c < count; c++) {
    double factor = (double)gamma[c] / sqrt((double)variance[c] + conv->epsilon);
    bias[c] = (float)((double)beta[c] - (double)mean[c] * factor);
    bool finite = isfinite(bias[c]);
    for (size_t t = 0; t < taps; t++) {
      weights[t * count + c] = (float)((double)weights[t * count + c] * factor);
      finite = finite && isfinite(weights[t * count + c]);
    }
    good = variance[c] >= 0.0f && finite;
    if (variance[c] < 0.0f) {
      pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "%s: tensor %s/moving_variance holds %g at position %zu",
          pmn_safetensors_origin(graph->weights), conv->batch_norm, (double)variance[c], c);
    } else if (!finite) {
      pmn_err_set(&graph->error, PMN_STATUS_MODEL, 0, "%s: channel %zu of %s times its BatchNorm %s is too large",
          pmn_safetensors_origin(graph->weights), c, conv->name, conv->batch_norm);
    }
  }
  pmn_free(parts);
  return good;
}

/* --------------------------------------------------------------------------------------------------- builders -- */

static pmn_node add_tensor(pmn_graph *graph, int32_t h, int32_t w, int32_t c) {
  graph->tensors[graph->tensor_count] = (pmn_tensor){.h = h, .w = w, .c = c};
  return graph->tensor_count++;
}

pmn_node pmn_graph_input(pmn_graph *graph, int32_t height, int32_t width, const float scale[3], const float shift[3]) {
  graph->program.input_type = PMN_INPUT_U8;
  memcpy(graph->program.input_scale, scale, sizeof graph->program.input_scale);
  memcpy(graph->program.input_shift, shift, sizeof graph->program.input_shift);
  return graph->program.input = add_tensor(graph, height, width, 3);
}

pmn_tensor pmn_graph_shape(const pmn_graph *graph, pmn_node node) {
  return graph->tensors[node];
}

/* Appends an operation that writes a new tensor, with room for its weights (taps x channels) and bias. */
static pmn_op *add_op(pmn_graph *graph, pmn_op op, const char *name, size_t taps, pmn_tensor out) {
  if (graph->op_count == NODES_MAX || graph->tensor_count == NODES_MAX) {
    fail_full(graph);
    return NULL;
  }
  int32_t at = graph->op_count;
  size_t channels = (size_t)out.c, floats = taps > 0 ? (taps + 1) * channels : 0;
  graph->names[at] = pmn_strdup(name);
  graph->owned[at] = pmn_alloc_aligned(floats, sizeof(float));
  graph->op_count++;
  if (graph->names[at] == NULL || graph->owned[at] == NULL) {
    pmn_err_memory(&graph->error, floats * sizeof(float), name);
    return NULL;
  }
  op.name = graph->names[at];
  if (taps > 0) {
    op.weights = graph->owned[at];
    op.bias = graph->owned[at] + taps * channels;
  }
  op.output = add_tensor(graph, out.h, out.w, out.c);
  graph->ops[at] = op;
  return &graph->ops[at];
}

static int32_t same_size(int32_t in, int32_t stride) {
  return (in + stride - 1) / stride;
}

static int32_t same_pad(int32_t in, int32_t kernel, int32_t stride) {
  int32_t total = (same_size(in, stride) - 1) * stride + kernel - in;
  return total > 0 ? total / 2 : 0;
}

static pmn_node add_convolution(pmn_graph *graph, pmn_op_kind kind, pmn_node input, const pmn_conv *conv) {
  if (failed(graph)) return 0;
  pmn_tensor in = graph->tensors[input];
  bool depthwise = kind == PMN_OP_DEPTHWISE_CONV2D;
  pmn_tensor out = {
      .h = same_size(in.h, conv->stride), .w = same_size(in.w, conv->stride), .c = depthwise ? in.c : conv->filters};
  bool linear = conv->clamp_min == 0.0f && conv->clamp_max == 0.0f;
  pmn_op op = {.kind = kind,
      .input = input,
      .residual = conv->residual,
      .kernel_h = conv->kernel,
      .kernel_w = conv->kernel,
      .stride_h = conv->stride,
      .stride_w = conv->stride,
      .pad_top = same_pad(in.h, conv->kernel, conv->stride),
      .pad_left = same_pad(in.w, conv->kernel, conv->stride),
      .clamp_min = linear ? -INFINITY : conv->clamp_min,
      .clamp_max = linear ? INFINITY : conv->clamp_max};
  size_t taps = (size_t)conv->kernel * (size_t)conv->kernel * (depthwise ? 1 : (size_t)in.c);
  pmn_op *added = add_op(graph, op, conv->name, taps, out);
  if (added == NULL) return 0;
  float *weights = graph->owned[graph->op_count - 1], *bias = weights + taps * (size_t)out.c;
  int64_t kernel_shape[] = {conv->kernel, conv->kernel, in.c, depthwise ? 1 : out.c};
  int64_t bias_shape[] = {out.c};
  if (!read_floats(graph, conv->name, depthwise ? "depthwise_kernel" : "kernel", 4, kernel_shape, weights)) return 0;
  if (conv->batch_norm != NULL) {
    fold_batch_norm(graph, conv, weights, taps, out.c, bias);
  } else {
    read_floats(graph, conv->name, "bias", 1, bias_shape, bias);
  }
  return added->output;
}

pmn_node pmn_graph_conv2d(pmn_graph *graph, pmn_node input, const pmn_conv *conv) {
  return add_convolution(graph, PMN_OP_CONV2D, input, conv);
}

pmn_node pmn_graph_depthwise_conv2d(pmn_graph *graph, pmn_node input, const pmn_conv *conv) {
  return add_convolution(graph, PMN_OP_DEPTHWISE_CONV2D, input, conv);
}

pmn_node pmn_graph_global_average_pool(pmn_graph *graph, pmn_node input, const char *name) {
  if (failed(graph)) return 0;
  pmn_tensor in = graph->tensors[input];
  pmn_op op = {.kind = PMN_OP_GLOBAL_AVERAGE_POOL,
      .input = input,
      .residual = PMN_NO_TENSOR,
      .kernel_h = in.h,
      .kernel_w = in.w,
      .stride_h = 1,
      .stride_w = 1,
      .clamp_min = -INFINITY,
      .clamp_max = INFINITY};
  pmn_op *added = add_op(graph, op, name, 0, (pmn_tensor){.h = 1, .w = 1, .c = in.c});
  return added == NULL ? 0 : added->output;
}

pmn_node pmn_graph_dense(pmn_graph *graph, pmn_node input, const char *name, int32_t units) {
  if (failed(graph)) return 0;
  int32_t channels = graph->tensors[input].c;
  pmn_op op = {.kind = PMN_OP_CONV2D,
      .input = input,
      .residual = PMN_NO_TENSOR,
      .kernel_h = 1,
      .kernel_w = 1,
      .stride_h = 1,
      .stride_w = 1,
      .clamp_min = -INFINITY,
      .clamp_max = INFINITY};
  pmn_op *added = add_op(graph, op, name, (size_t)channels, (pmn_tensor){.h = 1, .w = 1, .c = units});
  if (added == NULL) return 0;
  float *weights = graph->owned[graph->op_count - 1], *bias = weights + (size_t)channels * (size_t)units;
  if (!read_floats(graph, name, "kernel", 2, (int64_t[]){channels, units}, weights)) return 0;
  read_floats(graph, name, "bias", 1, (int64_t[]){units}, bias);
  return added->output;
}

/* ----------------------------------------------------------------------------------------------------- finish -- */

pmn_status pmn_graph_finish(pmn_graph *graph, pmn_node output, const pmn_program **program, pmn_err *err) {
  if (failed(graph)) {
    if (err != NULL) *err = graph->error;
    return graph->error.status;
  }
  pmn_program *p = &graph->program;
  p->tensors = graph->tensors;
  p->tensor_count = graph->tensor_count;
  p->ops = graph->ops;
  p->output = output;
  /* Layers are built in the order of the flow: what comes after the one that writes the output is not needed. */
  p->op_count = 0;
  while (p->op_count < graph->op_count && (p->op_count == 0 || graph->ops[p->op_count - 1].output != output)) {
    p->op_count++;
  }
  assert(p->op_count > 0 && p->ops[p->op_count - 1].output == output);
  p->tensor_count = output + 1;
  *program = p;
  return pmn_plan_arena(graph->tensors, p->tensor_count, p->ops, p->op_count, p->input, p->output, &p->arena_size, err);
}
