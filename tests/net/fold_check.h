/* fold_check.h - for tests of folding: networks of exact numbers, in few words, and what folding makes of them.
 *
 * A network is built twice, and run once with its last layer asked for and once with all layers asked for, which
 * forbids all folding. Weights, factors and pictures are small multiples of powers of 2, so that both runs are exact
 * and must agree to the bit; rules whose arithmetic cannot be exact have a bound of their own.
 */
#ifndef FOLD_CHECK_H
#define FOLD_CHECK_H

#include "graph_check.h"

#include <float.h>

enum { H = 6, W = 5, C = 4 };

/* --------------------------------------------------------------------------------- building with exact numbers -- */

typedef struct net {
  pmn_graph *graph;
  uint64_t random;
} net;

/* -2, -1, 0, 1, 2 */
static inline float *weights(net *n, size_t count) {
  float *values = pmn_alloc_aligned(count, sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = (float)(graph_random(&n->random) % 5 - 2);
  return values;
}

static inline double *doubles(net *n, int32_t count, const double *from, int32_t choices) {
  double *values = pmn_alloc((size_t)count, sizeof *values);
  for (int32_t i = 0; i < count; i++) values[i] = from[graph_random(&n->random) % choices];
  return values;
}

static inline int32_t channels(const net *n, pmn_node x) {
  return pmn_graph_shape(n->graph, x).c;
}

static inline pmn_node conv_window(net *n, pmn_node x, pmn_window window, int32_t groups, int32_t filters) {
  size_t taps = (size_t)(window.kernel_h * window.kernel_w), depth = (size_t)(channels(n, x) / groups);
  float *w = weights(n, taps * depth * (size_t)filters), *b = weights(n, (size_t)filters);
  return pmn_graph_conv2d(n->graph, NULL, x, &window, groups, filters, w, b);
}

/* `kernel` wide, without padding. */
static inline pmn_node conv(net *n, pmn_node x, int32_t kernel) {
  return conv_window(n, x, pmn_window_square(kernel, 1), 1, C);
}

/* 3x3, padded to the size it has. */
static inline pmn_node conv_same(net *n, pmn_node x) {
  pmn_tensor shape = pmn_graph_shape(n->graph, x);
  return conv_window(n, x, pmn_window_same(3, 1, shape.h, shape.w), 1, C);
}

static inline pmn_node depthwise(net *n, pmn_node x, pmn_window window) {
  return conv_window(n, x, window, channels(n, x), channels(n, x));
}

static inline pmn_node dense(net *n, pmn_node x, int32_t units) {
  pmn_tensor shape = pmn_graph_shape(n->graph, x);
  float *w = weights(n, pmn_tensor_size(&shape) * (size_t)units);
  return pmn_graph_dense(n->graph, NULL, x, units, w, weights(n, (size_t)units));
}

static inline pmn_node affine(net *n, pmn_node x) {
  int32_t c = channels(n, x);
  double *scale = doubles(n, c, (double[]){-1.0, 0.5, 2.0}, 3), *shift = doubles(n, c, (double[]){-2.0, 0.5, 1.0}, 3);
  return pmn_graph_affine(n->graph, NULL, x, scale, shift);
}

/* The same for all channels. */
static inline pmn_node affine_of(net *n, pmn_node x, double scale, double shift) {
  int32_t c = channels(n, x);
  return pmn_graph_affine(n->graph, NULL, x, doubles(n, c, &scale, 1), doubles(n, c, &shift, 1));
}

static inline pmn_node scale_only(net *n, pmn_node x) {
  int32_t c = channels(n, x);
  double *scale = doubles(n, c, (double[]){-1.0, 0.5, 2.0}, 3), zero = 0.0;
  return pmn_graph_affine(n->graph, NULL, x, scale, doubles(n, c, &zero, 1));
}

static inline pmn_node clamp(net *n, pmn_node x, float low, float high) {
  return pmn_graph_activation(n->graph, NULL, x, PMN_ACTIVATION_NONE, 0, low, high);
}

static inline pmn_node relu(net *n, pmn_node x) {
  return clamp(n, x, 0, INFINITY);
}

static inline pmn_node activate(net *n, pmn_node x, pmn_activation activation) {
  return pmn_graph_activation(n->graph, NULL, x, activation, 0.5f, -INFINITY, INFINITY);
}

static inline pmn_node pad(net *n, pmn_node x, int32_t top, int32_t left, int32_t bottom, int32_t right) {
  return pmn_graph_pad(n->graph, NULL, x, top, left, bottom, right);
}

static inline pmn_node add(net *n, pmn_node a, pmn_node b) {
  return pmn_graph_add(n->graph, NULL, a, b);
}

static inline pmn_node multiply(net *n, pmn_node a, pmn_node b) {
  return pmn_graph_multiply(n->graph, NULL, a, b);
}

/* 2x2, stride 1: takes no factors and no residual, and its values are exact. */
static inline pmn_node max_pool(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(2, 1);
  return pmn_graph_max_pool(n->graph, NULL, x, &window);
}

static inline pmn_node average_pool(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(2, 1);
  return pmn_graph_average_pool(n->graph, NULL, x, &window, NULL);
}

static inline pmn_node mean(net *n, pmn_node x) {
  return pmn_graph_global_average_pool(n->graph, NULL, x);
}

/* -------------------------------------------------------------------------------------------- twice, and compared --
 */

typedef pmn_node (*builder)(net *n, pmn_node input);

static inline net net_create(builder build, pmn_node *last) {
  static const pmn_preprocess raw = {.width = W, .height = H, .scale = {1, 1, 1}, .shift = {-1, 0, 1}};
  net n = {.graph = pmn_graph_create("test"), .random = 7};
  *last = build(&n, pmn_graph_input(n.graph, "input", &raw));
  return n;
}

static inline const uint8_t *picture(void) {
  static uint8_t bytes[H * W * 3];
  for (int i = 0; i < H * W * 3; i++) bytes[i] = (uint8_t)(i * 7 % 5);
  return bytes;
}

/* The last layer's values when every layer is asked for. */
static inline float *run_unfolded(builder build) {
  pmn_err err = PMN_ERR_INIT;
  pmn_node last;
  net n = net_create(build, &last);
  pmn_graph_layer layer;
  pmn_node all[64];
  int32_t count = 0;
  size_t before = 0;
  for (; pmn_graph_layer_at(n.graph, count, &layer); count++) {
    assert_true(count < 64);
    all[count] = count;
    pmn_tensor shape = pmn_graph_shape(n.graph, count);
    if (count < last) before += pmn_tensor_size(&shape);
  }
  const pmn_program *program = NULL;
  check_ok(pmn_graph_finish(n.graph, all, count, &program, &err));
  float *values = graph_run(program, picture());
  pmn_tensor shape = pmn_graph_shape(n.graph, last);
  memmove(values, values + before, pmn_tensor_size(&shape) * sizeof *values);
  pmn_graph_destroy(n.graph);
  return values;
}

/* The network's operations, and its values within `epsilons` roundings of their magnitude of those without folding. */
static inline void check_epsilons(const char *what, builder build, const char *operations, double epsilons) {
  pmn_err err = PMN_ERR_INIT;
  pmn_node last;
  net n = net_create(build, &last);
  const pmn_program *program = NULL;
  check_ok(pmn_graph_finish(n.graph, &last, 1, &program, &err));
  if (strcmp(graph_describe(program), operations) != 0)
    fail_msg("%s: %s, must be %s", what, graph_describe(program), operations);
  float *expected = run_unfolded(build), *values = graph_run(program, picture());
  bool differ = false;
  for (size_t i = 0; i < graph_output_size(program); i++) {
    double bound = epsilons * FLT_EPSILON * fmax(1.0, fabs((double)expected[i]));
    if (!(fabs((double)values[i] - (double)expected[i]) <= bound)) {
      fail_msg("%s: value %zu is %.9g, must be %.9g", what, i, (double)values[i], (double)expected[i]);
    }
    differ = differ || values[i] != values[0];
  }
  if (!differ) fail_msg("%s: all values are %g, which shows nothing", what, (double)values[0]);
  free(values);
  free(expected);
  pmn_graph_destroy(n.graph);
}

#define check_folds(build, operations) check_epsilons(#build, build, operations, 0)

#endif
