/* graph_check.h - for tests of graphs: programs as a line of text, and run by the reference. */
#ifndef GRAPH_CHECK_H
#define GRAPH_CHECK_H

#include "check.h"
#include "pmn_backend.h"
#include "pmn_graph.h"
#include "pmn_mem.h"

#include <math.h>

/* Appends to a text that is known to be short. */
#define graph_text_add(text, size, ...) snprintf((text) + strlen(text), (size)-strlen(text), __VA_ARGS__)

/* The operations in order, a word each: "conv/1,1+[0,inf]" is a convolution with padding above and to the left, a
 * residual and a clamp. */
static inline const char *graph_describe(const pmn_program *program) {
  static const char *const kinds[PMN_OP_KIND_COUNT] = {
      "conv", "depthwise", "mean", "max", "average", "multiply", "copy", "softmax", "lrn", "norm", "resize"};
  static const char *const activations[PMN_ACTIVATION_COUNT] = {
      "", ":sigmoid", ":tanh", ":silu", ":hard", ":gelu", ":gelutanh", ":leaky", ":elu", ":softplus", ":mish"};
  static char text[4096];
  text[0] = '\0';
  for (int32_t i = 0; i < program->op_count; i++) {
    const pmn_op *op = &program->ops[i];
    graph_text_add(text, sizeof text, "%s%s", i > 0 ? " " : "", kinds[op->kind]);
    if (op->pad_top > 0 || op->pad_left > 0) graph_text_add(text, sizeof text, "/%d,%d", op->pad_top, op->pad_left);
    if (op->count_padding) graph_text_add(text, sizeof text, "#%d,%d", op->pad_bottom, op->pad_right);
    graph_text_add(text, sizeof text, "%s%s", op->residual != PMN_NO_TENSOR ? "+" : "", activations[op->activation]);
    if (op->clamp_min > -INFINITY || op->clamp_max < INFINITY)
      graph_text_add(text, sizeof text, "[%g,%g]", (double)op->clamp_min, (double)op->clamp_max);
  }
  return text;
}

static inline size_t graph_output_size(const pmn_program *program) {
  return pmn_tensor_size(&program->tensors[program->output]);
}

/* The output for one picture; free() it. */
static inline float *graph_run(const pmn_program *program, const uint8_t *picture) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  pmn_network *network = NULL;
  float *values = malloc(graph_output_size(program) * sizeof *values);
  assert_non_null(values);
  check_ok(pmn_device_open(pmn_backend_find("ref"), &options, &device, &err));
  check_ok(pmn_network_create(device, program, 1, &network, &err));
  check_ok(pmn_network_run(network, picture, 1, values, &err));
  pmn_network_destroy(network);
  pmn_device_close(device);
  return values;
}

/* Numbers in [0, 2^31), the same on every run. */
static inline int32_t graph_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (int32_t)(*state >> 33);
}

/* What the helpers below build with: pictures of 7 x 6 pixels, weights of zero. */
static const pmn_preprocess graph_raw = {.width = 6, .height = 7, .scale = {1, 1, 1}};

static inline pmn_preprocess graph_sized(int32_t h, int32_t w) {
  pmn_preprocess preprocess = graph_raw;
  preprocess.height = h;
  preprocess.width = w;
  return preprocess;
}

static inline float *graph_zeros(size_t count) {
  return pmn_calloc(count, sizeof(float));
}

static inline double *graph_doubles(size_t count, double value) {
  double *values = pmn_alloc(count, sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = value;
  return values;
}

/* A graph with an input of 7 x 6 pixels. */
static inline pmn_graph *graph_start(void) {
  pmn_graph *graph = pmn_graph_create("tiny.onnx");
  assert_non_null(graph);
  assert_int_equal(pmn_graph_input(graph, "input", &graph_raw), 0);
  return graph;
}

static inline pmn_node graph_conv(
    pmn_graph *graph, const char *name, pmn_node input, pmn_window window, int32_t filters) {
  size_t depth = (size_t)pmn_graph_shape(graph, input).c;
  return pmn_graph_conv2d(graph, name, input, &window, 1, filters,
      graph_zeros((size_t)(window.kernel_h * window.kernel_w * filters) * depth), graph_zeros((size_t)filters));
}

#endif
