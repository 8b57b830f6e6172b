/* graph_tiny.h - for tests of graphs: a tiny network with the layers that most networks have, and a picture for it. */
#ifndef GRAPH_TINY_H
#define GRAPH_TINY_H

#include "graph_check.h"

enum { H = 7, W = 6, STEM = 6, OUT = 4, UNITS = 5 };
static const pmn_preprocess normalised = {
    .width = W, .height = H, .scale = {1.0f / 64, 1.0f / 60, 1.0f / 58}, .shift = {-2.0f, -1.75f, -2.25f}};

/* A convolution with what follows it, as the network was trained; NULL for no factors. */
typedef struct layer_spec {
  int kernel, stride, filters;
  bool depthwise, bias, batch_norm;
  float clamp_min, clamp_max;
} layer_spec;

static const layer_spec stem_spec = {3, 2, STEM, false, false, true, 0, 6};
static const layer_spec deep_spec = {3, 1, STEM, true, false, true, -0.25f, 0.5f};
static const layer_spec back_spec = {1, 1, STEM, false, true, true, -INFINITY, INFINITY};
static const layer_spec plain_spec = {3, 1, OUT, false, true, false, -INFINITY, INFINITY};
static const layer_spec dense_spec = {1, 1, UNITS, false, true, false, -INFINITY, INFINITY};

enum { WEIGHTS_MAX = 9 * STEM * STEM };

typedef struct layer_values {
  float weights[WEIGHTS_MAX], bias[STEM];
  double scale[STEM], shift[STEM];
} layer_values;

/* The same for the same layer, whoever asks. */
static inline layer_values values_of(const layer_spec *spec) {
  layer_values v;
  uint64_t random = (uint64_t)(spec->kernel * 64 + spec->filters * 8 + spec->depthwise);
  for (int i = 0; i < WEIGHTS_MAX; i++) v.weights[i] = (float)(graph_random(&random) % 2001 - 1000) / 1700.0f;
  for (int i = 0; i < STEM; i++) {
    v.bias[i] = spec->bias ? (float)(graph_random(&random) % 2001 - 1000) / 2300.0f : 0.0f;
    v.scale[i] = spec->batch_norm ? (graph_random(&random) % 2001 - 300) / 1100.0 : 1.0;
    v.shift[i] = spec->batch_norm ? (graph_random(&random) % 2001 - 1000) / 1300.0 : 0.0;
  }
  return v;
}

static inline void *copy_of(const void *from, size_t size) {
  return memcpy(pmn_alloc_aligned(size, 1), from, size);
}

static inline pmn_node build_layer(pmn_graph *graph, pmn_node x, const layer_spec *spec) {
  layer_values v = values_of(spec);
  pmn_tensor in = pmn_graph_shape(graph, x);
  pmn_window window = pmn_window_same(spec->kernel, spec->stride, in.h, in.w);
  float *weights = copy_of(v.weights, sizeof v.weights), *bias = spec->bias ? copy_of(v.bias, sizeof v.bias) : NULL;
  if (spec == &dense_spec) return pmn_graph_dense(graph, NULL, x, spec->filters, weights, bias);
  x = pmn_graph_conv2d(graph, NULL, x, &window, spec->depthwise ? in.c : 1, spec->filters, weights, bias);
  if (spec->batch_norm)
    x = pmn_graph_affine(graph, NULL, x, copy_of(v.scale, sizeof v.scale), copy_of(v.shift, sizeof v.shift));
  return pmn_graph_activation(graph, NULL, x, PMN_ACTIVATION_NONE, 0, spec->clamp_min, spec->clamp_max);
}

static inline pmn_node tiny_build(pmn_graph *graph, const pmn_preprocess *preprocess, pmn_node *middle) {
  pmn_node stem = build_layer(graph, pmn_graph_input(graph, "input", preprocess), &stem_spec);
  pmn_node x = build_layer(graph, build_layer(graph, stem, &deep_spec), &back_spec);
  *middle = x = pmn_graph_add(graph, "middle", stem, x);
  x = pmn_graph_global_average_pool(graph, "pool", build_layer(graph, x, &plain_spec));
  return build_layer(graph, x, &dense_spec);
}

static inline const uint8_t *picture(void) {
  static uint8_t bytes[H * W * 3];
  for (int i = 0; i < H * W * 3; i++) bytes[i] = (uint8_t)(i * 97 % 256);
  return bytes;
}

#endif
