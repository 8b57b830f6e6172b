/* pmn_graph_finish.c - from layers to a program.
 *
 * Layers that an output depends on are marked and folded; what is left becomes one operation each (a copy for every
 * part of a concatenation), in the order of building. Only here do factors and terms of channels reach the weights.
 */
#include "pmn_graph_parts.h"

#include "pmn_backend.h"
#include "pmn_fold.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_plan.h"

#include <math.h>
#include <string.h>

static bool reads_bytes(const pmn_graph *graph, const pmn_layer *layer) {
  return layer->op.kind == PMN_OP_CONV2D && layer->op.groups == 1 && layer->op.input == graph->input;
}

/* Operands come before their layer, so one way back through all layers finds everything. */
static void mark_needed(pmn_graph *graph, const pmn_node *outputs, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    graph->layers[outputs[i]].needed = true;
    graph->layers[outputs[i]].readers++;
  }
  for (int32_t i = graph->count - 1; i >= 0; i--) {
    if (!graph->layers[i].needed) continue;
    pmn_node *operand;
    for (int32_t k = 0; (operand = pmn_layer_operand(&graph->layers[i], k)) != NULL; k++) {
      graph->layers[*operand].needed = true;
      graph->layers[*operand].readers++;
    }
  }
}

/* ---------------------------------------------------------------------------------------------------- weights -- */

/* weights[., i, o] * in_scale[i] * scale[o] and (bias[o] + sum of weights[., i, o] * in_shift[i]) * scale[o] + shift[o]
 * in fp64. `rows` of `channels` weights; row r of output channel o belongs to the input channel r % depth of o's group.
 * A depthwise convolution is a group for every channel. */
static void scale_weights(pmn_layer *layer, size_t rows, size_t depth, size_t groups, double *bias) {
  size_t channels = (size_t)layer->shape.c, width = channels / groups;
  for (size_t o = 0; o < channels; o++) bias[o] = (double)layer->bias[o];
  for (size_t r = 0; r < rows; r++) {
    float *row = layer->weights + r * channels;
    for (size_t o = 0; o < channels; o++) {
      size_t i = o / width * depth + r % depth;
      double weight = (double)row[o];
      if (layer->in_scale != NULL) {
        bias[o] += weight * layer->in_shift[i];
        weight *= layer->in_scale[i];
      }
      row[o] = (float)(layer->scale != NULL ? weight * layer->scale[o] : weight);
    }
  }
  for (size_t o = 0; o < channels; o++) {
    layer->bias[o] = (float)(layer->scale != NULL ? bias[o] * layer->scale[o] + layer->shift[o] : bias[o]);
  }
}

/* Channels red, green, blue instead of blue, green, red. */
static void swap_channels(pmn_layer *layer, size_t rows) {
  size_t channels = (size_t)layer->shape.c;
  for (size_t r = 0; r < rows; r += 3) {
    float *first = layer->weights + r * channels, *last = first + 2 * channels;
    for (size_t o = 0; o < channels; o++) {
      float weight = first[o];
      first[o] = last[o];
      last[o] = weight;
    }
  }
}

static void check_finite(
    pmn_graph *graph, const pmn_layer *layer, const char *what, const float *values, size_t count) {
  size_t bad = pmn_nonfinite_find(values, count);
  if (bad == count) return;
  pmn_graph_fail(graph, PMN_STATUS_MODEL, "layer %s: %s %zu is %g%s", layer->op.name, what, bad, (double)values[bad],
      layer->scale != NULL || layer->in_scale != NULL ? " once its factors are multiplied in" : "");
}

static float *fill(pmn_graph *graph, size_t count, float value) {
  float *values = pmn_alloc_aligned(count, sizeof *values);
  if (values == NULL) pmn_graph_fail_memory(graph, count * sizeof *values, "weights");
  for (size_t i = 0; values != NULL && i < count; i++) values[i] = value;
  return values;
}

/* The layer's final weights and bias, in place: there may be half a gigabyte of them. */
static void settle_weights(pmn_graph *graph, pmn_layer *layer) {
  pmn_op *op = &layer->op;
  pmn_tensor in = pmn_graph_shape(graph, op->input);
  size_t weights = pmn_op_weights_size(op, &in, &layer->shape), bias = pmn_op_bias_size(op, &layer->shape);
  if (weights == 0) return;
  if (layer->weights == NULL) layer->weights = fill(graph, weights, 1.0f);
  if (bias > 0 && layer->bias == NULL) layer->bias = fill(graph, bias, 0.0f);
  if (pmn_graph_failed(graph)) return;
  if (layer->scale != NULL || layer->in_scale != NULL) {
    size_t groups = op->kind == PMN_OP_CONV2D ? (size_t)op->groups : bias;
    size_t depth = op->kind == PMN_OP_CONV2D ? (size_t)in.c / groups : 1;
    double *sums = pmn_alloc(bias, sizeof *sums);
    if (sums == NULL) {
      pmn_graph_fail_memory(graph, bias * sizeof *sums, "weights");
      return;
    }
    scale_weights(layer, weights / bias, depth, groups, sums);
    pmn_free(sums);
  }
  if (graph->bgr && reads_bytes(graph, layer)) swap_channels(layer, weights / bias);
  check_finite(graph, layer, "weight", layer->weights, weights);
  check_finite(graph, layer, "bias", layer->bias, bias);
  op->weights = layer->weights;
  op->bias = layer->bias;
}

/* -------------------------------------------------------------------------------------------------- operations -- */

static int32_t add_tensor(pmn_graph *graph, pmn_tensor shape) {
  graph->tensors[graph->program.tensor_count] = shape;
  return graph->program.tensor_count++;
}

static void add_op(pmn_graph *graph, pmn_op op, int32_t output) {
  op.output = output;
  graph->ops[graph->program.op_count++] = op;
}

static int32_t tensor_of(const pmn_graph *graph, pmn_node node) {
  return node == PMN_NO_TENSOR ? PMN_NO_TENSOR : graph->layers[node].tensor;
}

/* The outputs that are this layer, flattened, to their places in the joined tensor. */
static void join(pmn_graph *graph, pmn_node node, const pmn_node *outputs, int32_t count) {
  int32_t first = 0;
  for (int32_t i = 0; i < count; i++) {
    const pmn_layer *layer = &graph->layers[outputs[i]];
    int32_t size = (int32_t)pmn_tensor_size(&layer->shape);
    if (outputs[i] == node) {
      pmn_op op = pmn_op_init(PMN_OP_COPY, layer->op.name, layer->tensor, PMN_NO_TENSOR);
      op.copy = (pmn_copy){.extent = {1, 1, size}, .in_stride = {0, 0, 1}, .out_first = first, .out_stride = {0, 0, 1}};
      add_op(graph, op, graph->program.output);
    }
    first += size;
  }
}

static void lower_layer(pmn_graph *graph, pmn_layer *layer) {
  settle_weights(graph, layer);
  pmn_op op = layer->op;
  bool bytes = reads_bytes(graph, layer);
  op.input = bytes ? graph->program.input : tensor_of(graph, op.input);
  op.residual = tensor_of(graph, op.residual);
  op.factor = tensor_of(graph, op.factor);
  layer->tensor = add_tensor(graph, layer->shape);
  if (op.kind != PMN_OP_COPY) add_op(graph, op, layer->tensor);
  for (int32_t i = 0; i < layer->copy_count; i++) {
    op.copy = layer->copies[i];
    if (layer->sources != NULL) op.input = tensor_of(graph, layer->sources[i]);
    add_op(graph, op, layer->tensor);
  }
}

/* The input's values as a tensor, by a convolution of 1x1 pixel that multiplies each by 1: exact. */
static void lower_input(pmn_graph *graph, pmn_layer *layer) {
  pmn_op op = pmn_op_init(PMN_OP_CONV2D, layer->op.name, graph->program.input, PMN_NO_TENSOR);
  layer->weights = fill(graph, 9, 0.0f);
  layer->bias = fill(graph, 3, 0.0f);
  if (pmn_graph_failed(graph)) return;
  for (int c = 0; c < 3; c++) layer->weights[(graph->bgr ? 2 - c : c) * 3 + c] = 1.0f;
  op.weights = layer->weights;
  op.bias = layer->bias;
  layer->tensor = add_tensor(graph, layer->shape);
  add_op(graph, op, layer->tensor);
}

/* Somebody wants the input's values, and not by a convolution that reads the bytes. */
static bool input_is_wanted(pmn_graph *graph) {
  int32_t readers = graph->layers[graph->input].readers;
  for (int32_t i = 0; i < graph->count; i++) {
    if (graph->layers[i].needed && reads_bytes(graph, &graph->layers[i])) readers--;
  }
  return readers > 0;
}

/* Room for the tensors and operations of all needed layers, and for the input's and the outputs' own. */
static void make_room(pmn_graph *graph, int32_t outputs) {
  int64_t tensors = 3, ops = (int64_t)outputs + 1;
  for (int32_t i = 0; i < graph->count; i++) {
    if (!graph->layers[i].needed) continue;
    tensors++;
    ops += 1 + (int64_t)graph->layers[i].copy_count;
  }
  if (ops > INT32_MAX) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "its layers make %lld operations", (long long)ops);
    return;
  }
  graph->tensors = pmn_alloc((size_t)tensors, sizeof *graph->tensors);
  graph->ops = pmn_alloc((size_t)ops, sizeof *graph->ops);
  if (graph->tensors == NULL || graph->ops == NULL) {
    pmn_graph_fail_memory(graph, (size_t)ops * sizeof *graph->ops, "a program");
  }
}

static void lower_preprocess(pmn_graph *graph) {
  const pmn_layer *input = &graph->layers[graph->input];
  pmn_program *program = &graph->program;
  program->input_type = PMN_INPUT_U8;
  for (int c = 0; c < 3; c++) {
    int channel = graph->bgr ? 2 - c : c;
    program->input_scale[c] = (float)input->scale[channel];
    program->input_shift[c] = (float)input->shift[channel];
    if (isfinite(program->input_scale[c]) && isfinite(program->input_shift[c])) continue;
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "channel %d of the input becomes byte * %g + %g", channel,
        input->scale[channel], input->shift[channel]);
  }
}

static void lower(pmn_graph *graph, const pmn_node *outputs, int32_t count) {
  pmn_program *program = &graph->program;
  make_room(graph, count);
  if (pmn_graph_failed(graph)) return;
  lower_preprocess(graph);
  pmn_layer *input = &graph->layers[graph->input];
  program->input = add_tensor(graph, input->shape);
  int64_t width = 0;
  for (int32_t i = 0; i < count; i++) width += (int64_t)pmn_tensor_size(&graph->layers[outputs[i]].shape);
  if (count > 1 && width > INT32_MAX) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "the layers asked for have 2^31 values or more together");
    return;
  }
  if (count > 1) program->output = add_tensor(graph, (pmn_tensor){.h = 1, .w = 1, .c = (int32_t)width});
  bool wanted = input_is_wanted(graph);
  for (int32_t i = 0; i < graph->count && !pmn_graph_failed(graph); i++) {
    if (!graph->layers[i].needed) continue;
    if (i != graph->input) lower_layer(graph, &graph->layers[i]);
    if (i == graph->input && wanted) lower_input(graph, input);
    if (count > 1) join(graph, i, outputs, count);
  }
  if (count == 1) program->output = graph->layers[outputs[0]].tensor;
  program->tensors = graph->tensors;
  program->ops = graph->ops;
}

/* ----------------------------------------------------------------------------------------------------- finish -- */

static void check_outputs(pmn_graph *graph, const pmn_node *outputs, int32_t count) {
  if (graph->finished) pmn_graph_fail(graph, PMN_STATUS_MODEL, "the network is finished already");
  if (count < 1) pmn_graph_fail(graph, PMN_STATUS_MODEL, "no layer is asked for");
  for (int32_t i = 0; i < count; i++) {
    if (outputs[i] >= 0 && outputs[i] < graph->count) continue;
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "layer %d of %d is asked for", outputs[i], graph->count);
  }
}

static void plan(pmn_graph *graph) {
  pmn_program *p = &graph->program;
  pmn_err err = PMN_ERR_INIT;
  pmn_status st =
      pmn_plan_arena(graph->tensors, p->tensor_count, p->ops, p->op_count, p->input, p->output, &p->arena_size, &err);
  if (st == PMN_STATUS_OK) st = pmn_program_check(p, &err);
  if (st == PMN_STATUS_ARGUMENT) st = PMN_STATUS_MODEL; /* a number of a layer that only the check looks at */
  if (st != PMN_STATUS_OK) pmn_graph_fail(graph, st, "%s", err.message);
}

pmn_status pmn_graph_finish(
    pmn_graph *graph, const pmn_node *outputs, int32_t count, const pmn_program **program, pmn_err *err) {
  check_outputs(graph, outputs, count);
  graph->finished = true;
  if (!pmn_graph_failed(graph)) mark_needed(graph, outputs, count);
  if (!pmn_graph_failed(graph)) pmn_fold(graph);
  if (!pmn_graph_failed(graph)) lower(graph, outputs, count);
  if (!pmn_graph_failed(graph)) plan(graph);
  if (!pmn_graph_failed(graph)) *program = &graph->program;
  return pmn_graph_check(graph, err);
}
