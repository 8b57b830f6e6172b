/* pmn_layers.c - see pmn_layers.h. */
#include "pmn_layers.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SIZE_MIN = 32 };
static const double torch_epsilon = 1e-5;

/* ------------------------------------------------------------------------------------------------- parameters -- */

static void write_down(pmn_layers *layers, const char *name, int32_t rank, const int64_t *shape) {
  int32_t at = layers->spec_count++;
  if (at >= layers->spec_capacity) return;
  pmn_tensor_spec *spec = &layers->specs[at];
  *spec = (pmn_tensor_spec){.rank = rank};
  snprintf(spec->name, sizeof spec->name, "%s", name);
  memcpy(spec->shape, shape, (size_t)rank * sizeof *shape);
}

static bool is_f32(const pmn_weight *weight, int32_t rank, const int64_t *shape) {
  return strcmp(weight->type, "F32") == 0 && weight->rank == rank &&
         memcmp(weight->shape, shape, (size_t)rank * sizeof *shape) == 0;
}

static void refuse_shape(pmn_layers *layers, const char *name, int32_t rank, const int64_t *shape) {
  char expected[128] = "";
  for (int32_t i = 0; i < rank; i++) {
    size_t used = strlen(expected);
    snprintf(expected + used, sizeof expected - used, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
  }
  pmn_graph_fail(
      layers->graph, PMN_STATUS_MODEL, "tensor %s is not F32 [%s]: are these weights of this network?", name, expected);
}

static float *read_floats(pmn_layers *layers, const char *name, int32_t rank, const int64_t *shape) {
  const pmn_weight *weight = pmn_safetensors_find(layers->weights, name);
  if (weight == NULL) {
    pmn_graph_fail(layers->graph, PMN_STATUS_MODEL, "tensor %s is missing: are these weights of this network?", name);
    return NULL;
  }
  if (!is_f32(weight, rank, shape)) {
    refuse_shape(layers, name, rank, shape);
    return NULL;
  }
  float *values = pmn_alloc_aligned(weight->size, 1);
  if (values == NULL) return NULL;
  memcpy(values, weight->data, weight->size); /* the file need not be aligned */
  size_t count = weight->size / sizeof *values, bad = pmn_nonfinite_find(values, count);
  if (bad == count) return values;
  pmn_graph_fail(layers->graph, PMN_STATUS_MODEL, "tensor %s holds %g at position %zu", name, (double)values[bad], bad);
  pmn_free(values);
  return NULL;
}

/* The tensor LAYER/PART, for a builder of the graph: NULL after an error, and when memory cannot be had. */
static float *take(pmn_layers *layers, const char *layer, const char *part, int32_t rank, const int64_t *shape) {
  char name[sizeof layers->specs->name];
  if (pmn_graph_failed(layers->graph)) return NULL;
  snprintf(name, sizeof name, "%s/%s", layer, part);
  if (layers->weights != NULL) return read_floats(layers, name, rank, shape);
  size_t count = 1;
  for (int32_t i = 0; i < rank; i++) {
    if (!pmn_size_mul(count, (size_t)shape[i], &count)) return NULL;
  }
  write_down(layers, name, rank, shape);
  return pmn_calloc(count, sizeof(float)); /* not touched: costs no memory on most systems */
}

/* ----------------------------------------------------------------------------------------------- convolutions -- */

pmn_node pmn_layers_input(pmn_layers *layers, const pmn_preprocess *preprocess) {
  if (preprocess->width < SIZE_MIN || preprocess->height < SIZE_MIN) {
    pmn_graph_fail(layers->graph, PMN_STATUS_ARGUMENT, "pictures must have %dx%d pixels or more, not %dx%d", SIZE_MIN,
        SIZE_MIN, preprocess->width, preprocess->height);
  }
  return pmn_graph_input(layers->graph, "input", preprocess);
}

static pmn_window padded_window(const pmn_layers *layers, pmn_node input, int32_t kernel, int32_t stride) {
  pmn_tensor in = pmn_graph_shape(layers->graph, input);
  if (!layers->torch) return pmn_window_same(kernel, stride, in.h, in.w);
  pmn_window window = pmn_window_square(kernel, stride);
  window.pad_top = window.pad_left = window.pad_bottom = window.pad_right = (kernel - 1) / 2;
  return window;
}

static pmn_node convolve(pmn_layers *layers, const char *tensors, const char *name, pmn_node input, int32_t filters,
    const pmn_window *window, bool bias) {
  int64_t shape[] = {window->kernel_h, window->kernel_w, pmn_graph_shape(layers->graph, input).c, filters};
  float *kernel = take(layers, tensors, "kernel", 4, shape), *term = NULL;
  if (bias && (term = take(layers, tensors, "bias", 1, shape + 3)) == NULL) {
    pmn_free(kernel);
    kernel = NULL;
  }
  return pmn_graph_conv2d(layers->graph, name, input, window, 1, filters, kernel, term);
}

pmn_node pmn_layers_conv2d_window(
    pmn_layers *layers, const char *name, pmn_node input, int32_t filters, const pmn_window *window, bool bias) {
  return convolve(layers, name, name, input, filters, window, bias);
}

pmn_node pmn_layers_conv2d(
    pmn_layers *layers, const char *name, pmn_node input, int32_t filters, int32_t kernel, int32_t stride, bool bias) {
  pmn_window window = padded_window(layers, input, kernel, stride);
  return convolve(layers, name, name, input, filters, &window, bias);
}

/* "NAME/PART": what goes into the activation that is part of the layer NAME. */
typedef struct inner_name {
  char text[128];
} inner_name;

static inner_name name_inner(const char *name, const char *part) {
  inner_name inner;
  snprintf(inner.text, sizeof inner.text, "%s/%s", name, part);
  return inner;
}

pmn_node pmn_layers_conv2d_relu(pmn_layers *layers, const char *name, pmn_node input, int32_t filters, int32_t kernel) {
  pmn_window window = padded_window(layers, input, kernel, 1);
  inner_name linear = name_inner(name, "linear");
  return pmn_layers_relu(layers, name, convolve(layers, name, linear.text, input, filters, &window, true), INFINITY);
}

pmn_node pmn_layers_depthwise_conv2d_window(
    pmn_layers *layers, const char *name, pmn_node input, const pmn_window *window) {
  int32_t channels = pmn_graph_shape(layers->graph, input).c;
  int64_t shape[] = {window->kernel_h, window->kernel_w, channels, 1};
  float *kernel = take(layers, name, "depthwise_kernel", 4, shape);
  return pmn_graph_conv2d(layers->graph, name, input, window, channels, channels, kernel, NULL);
}

pmn_node pmn_layers_depthwise_conv2d(
    pmn_layers *layers, const char *name, pmn_node input, int32_t kernel, int32_t stride) {
  pmn_window window = padded_window(layers, input, kernel, stride);
  return pmn_layers_depthwise_conv2d_window(layers, name, input, &window);
}

pmn_node pmn_layers_pad(pmn_layers *layers, const char *name, pmn_node input, int32_t kernel, int32_t stride) {
  pmn_window window = padded_window(layers, input, kernel, stride);
  return pmn_graph_pad(
      layers->graph, name, input, window.pad_top, window.pad_left, window.pad_bottom, window.pad_right);
}

/* ------------------------------------------------------------------------------------------------ other layers -- */

/* gamma * (x - mean) / sqrt(variance + epsilon) + beta, as a factor and a term per channel. */
static void join_batch_norm(pmn_layers *layers, const char *name, int32_t channels, double epsilon,
    const float *const parts[4], double *scale, double *shift) {
  const float *gamma = parts[0], *beta = parts[1], *mean = parts[2], *variance = parts[3];
  for (int32_t c = 0; c < channels; c++) {
    if (variance[c] < 0.0f) {
      pmn_graph_fail(layers->graph, PMN_STATUS_MODEL, "tensor %s/moving_variance holds %g at position %d", name,
          (double)variance[c], c);
      return;
    }
    scale[c] = (double)gamma[c] / sqrt((double)variance[c] + epsilon);
    shift[c] = (double)beta[c] - (double)mean[c] * scale[c];
  }
}

pmn_node pmn_layers_batch_norm(pmn_layers *layers, const char *name, pmn_node input, double epsilon) {
  static const char *const names[] = {"gamma", "beta", "moving_mean", "moving_variance"};
  int32_t channels = pmn_graph_shape(layers->graph, input).c;
  float *parts[4];
  bool whole = true;
  for (int i = 0; i < 4; i++) {
    parts[i] = take(layers, name, names[i], 1, (int64_t[]){channels});
    whole = whole && parts[i] != NULL;
  }
  double *scale = whole ? pmn_alloc((size_t)channels, sizeof *scale) : NULL;
  double *shift = whole ? pmn_alloc((size_t)channels, sizeof *shift) : NULL;
  if (scale != NULL && shift != NULL) {
    join_batch_norm(layers, name, channels, layers->torch ? torch_epsilon : epsilon,
        (const float *const[]){parts[0], parts[1], parts[2], parts[3]}, scale, shift);
  }
  for (int i = 0; i < 4; i++) pmn_free(parts[i]);
  return pmn_graph_affine(layers->graph, name, input, scale, shift);
}

pmn_node pmn_layers_relu(pmn_layers *layers, const char *name, pmn_node input, float max) {
  return pmn_graph_activation(layers->graph, name, input, PMN_ACTIVATION_NONE, 0.0f, 0.0f, max);
}

static pmn_node dense(pmn_layers *layers, const char *tensors, const char *name, pmn_node input, int32_t units) {
  pmn_tensor in = pmn_graph_shape(layers->graph, input);
  int64_t shape[] = {(int64_t)in.h * in.w * in.c, units};
  float *kernel = take(layers, tensors, "kernel", 2, shape), *bias = take(layers, tensors, "bias", 1, shape + 1);
  if (bias == NULL) {
    pmn_free(kernel);
    kernel = NULL;
  }
  return pmn_graph_dense(layers->graph, name, input, units, kernel, bias);
}

pmn_node pmn_layers_dense_relu(pmn_layers *layers, const char *name, pmn_node input, int32_t units) {
  inner_name linear = name_inner(name, "linear");
  return pmn_layers_relu(layers, name, dense(layers, name, linear.text, input, units), INFINITY);
}

pmn_node pmn_layers_dense_softmax(pmn_layers *layers, const char *name, pmn_node input, int32_t units) {
  inner_name logits = name_inner(name, "logits");
  return pmn_graph_softmax(layers->graph, name, dense(layers, name, logits.text, input, units));
}
