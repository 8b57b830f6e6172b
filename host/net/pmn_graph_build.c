/* pmn_graph_build.c - the builders of layers: every number is checked and every shape inferred here.
 *
 * They may be called with whatever an ONNX file says, so sums and products are of 31-bit numbers in 64 bits, or
 * checked. What needs more than shapes (indices of copies and of resizing, constants of normalisation) is left to
 * pmn_program_check at the end.
 *
 * A builder fills in one pmn_layer, beginning with `begin`, and hands it to `append`, which frees it after an error.
 */
#include "pmn_graph_parts.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------- all layers -- */

/* A layer that reads `input` and, until the builder says otherwise, gives its shape. */
static pmn_layer begin(pmn_graph *graph, const char *name, const char *kind, pmn_op_kind op, pmn_node input) {
  pmn_layer layer = {.name = name == NULL ? "" : name, .kind = kind, .shape = pmn_graph_shape(graph, input)};
  layer.op = pmn_op_init(op, "", input, PMN_NO_TENSOR);
  if (input < 0 || input >= graph->count) pmn_graph_refuse(graph, &layer, "reads layer %d of %d", input, graph->count);
  return layer;
}

static bool make_room(pmn_graph *graph) {
  if (graph->count < graph->capacity) return true;
  int32_t capacity = graph->capacity == 0 ? 64 : graph->capacity * 2;
  pmn_layer *larger = pmn_realloc(graph->layers, (size_t)capacity, sizeof *larger);
  if (larger == NULL) {
    pmn_graph_fail_memory(graph, (size_t)capacity * sizeof *larger, "layers");
    return false;
  }
  graph->layers = larger;
  graph->capacity = capacity;
  return true;
}

static void keep_name(pmn_graph *graph, pmn_layer *layer) {
  layer->op.name = layer->kind;
  if (layer->name[0] == '\0') return;
  layer->name = pmn_graph_names_add(&graph->names, layer->name, graph->count);
  layer->op.name = layer->name;
  if (layer->name == NULL) pmn_graph_fail_memory(graph, sizeof(pmn_graph_name), "the name of a layer");
}

/* Takes the layer into the graph, or frees it if the graph has failed. */
static pmn_node append(pmn_graph *graph, pmn_layer *layer) {
  const pmn_tensor *t = &layer->shape;
  if (graph->finished) {
    pmn_graph_refuse(graph, layer, "comes after the graph was finished");
  } else if (t->h < 1 || t->w < 1 || t->c < 1 || (int64_t)t->h * t->w > INT32_MAX / t->c) {
    pmn_graph_refuse(
        graph, layer, "gives %d x %d x %d values: each must be 1 or more, their product below 2^31", t->h, t->w, t->c);
  } else if (graph->count == PMN_GRAPH_LAYERS_MAX) {
    pmn_graph_refuse(graph, layer, "is one more than the %d layers that a network may have", PMN_GRAPH_LAYERS_MAX);
  }
  if (!pmn_graph_failed(graph) && make_room(graph)) keep_name(graph, layer);
  if (pmn_graph_failed(graph)) {
    pmn_layer_reset(layer);
    return 0;
  }
  graph->layers[graph->count] = *layer;
  return graph->count++;
}

/* A layer that changes nothing is only a name. */
static pmn_node pass(pmn_graph *graph, const char *name, const char *kind, pmn_node input) {
  begin(graph, name, kind, PMN_OP_COPY, input);
  pmn_graph_alias(graph, input, name);
  return pmn_graph_failed(graph) ? 0 : input;
}

static void require(pmn_graph *graph, const pmn_layer *layer, const void *parameters) {
  if (parameters != NULL || pmn_graph_failed(graph)) return;
  pmn_graph_fail(graph, PMN_STATUS_NO_MEMORY, "cannot get the memory for parameters of layer %s", layer->name);
}

static void refuse_shapes(pmn_graph *graph, const pmn_layer *layer, const char *what, pmn_node a, pmn_node b) {
  pmn_tensor x = pmn_graph_shape(graph, a), y = pmn_graph_shape(graph, b);
  pmn_graph_refuse(graph, layer, "%d x %d x %d %s %d x %d x %d", x.h, x.w, x.c, what, y.h, y.w, y.c);
}

/* The sum of sizes along an axis; 0, which `append` refuses, if it has no meaning. */
static int32_t size_sum(int64_t sum) {
  return sum < 0 || sum > INT32_MAX ? 0 : (int32_t)sum;
}

/* ---------------------------------------------------------------------------------------------------- windows -- */

pmn_window pmn_window_square(int32_t kernel, int32_t stride) {
  return (pmn_window){
      .kernel_h = kernel, .kernel_w = kernel, .stride_h = stride, .stride_w = stride, .dilation_h = 1, .dilation_w = 1};
}

static void pad_same(int32_t in, int32_t kernel, int32_t stride, int32_t *before, int32_t *after) {
  int64_t out = ((int64_t)in + stride - 1) / stride, total = (out - 1) * stride + kernel - in;
  if (total <= 0) return;
  *before = (int32_t)(total / 2);
  *after = (int32_t)(total - total / 2);
}

pmn_window pmn_window_same(int32_t kernel, int32_t stride, int32_t h, int32_t w) {
  pmn_window window = pmn_window_square(kernel, stride);
  if (stride < 1) return window; /* which the builders refuse */
  pad_same(h, kernel, stride, &window.pad_top, &window.pad_bottom);
  pad_same(w, kernel, stride, &window.pad_left, &window.pad_right);
  return window;
}

/* Number of windows along an axis; 0 if there is none, or a number that pmn_program does not take. */
static int32_t window_count(
    int32_t in, int32_t kernel, int32_t stride, int32_t dilation, int32_t before, int32_t after) {
  if (kernel < 1 || stride < 1 || dilation < 1 || before < 0 || after < 0) return 0;
  int64_t extent = (int64_t)(kernel - 1) * dilation + 1, padded = (int64_t)in + before + after;
  if (extent > padded) return 0;
  int64_t count = (padded - extent) / stride + 1;
  return padded + extent + count * stride <= INT32_MAX ? (int32_t)count : 0;
}

/* Puts the window into the layer's operation and its effect into the layer's height and width. */
static void set_window(pmn_graph *graph, pmn_layer *layer, const pmn_window *window) {
  pmn_tensor in = layer->shape;
  pmn_op *op = &layer->op;
  op->kernel_h = window->kernel_h, op->kernel_w = window->kernel_w;
  op->stride_h = window->stride_h, op->stride_w = window->stride_w;
  op->dilation_h = window->dilation_h, op->dilation_w = window->dilation_w;
  op->pad_top = window->pad_top, op->pad_left = window->pad_left;
  layer->shape.h =
      window_count(in.h, window->kernel_h, window->stride_h, window->dilation_h, window->pad_top, window->pad_bottom);
  layer->shape.w =
      window_count(in.w, window->kernel_w, window->stride_w, window->dilation_w, window->pad_left, window->pad_right);
  if (layer->shape.h < 1 || layer->shape.w < 1) {
    pmn_graph_refuse(graph, layer,
        "kernel %d x %d, stride %d x %d, dilation %d x %d, padding %d, %d, %d, %d do not fit a picture of %d x %d",
        window->kernel_h, window->kernel_w, window->stride_h, window->stride_w, window->dilation_h, window->dilation_w,
        window->pad_top, window->pad_left, window->pad_bottom, window->pad_right, in.h, in.w);
  }
}

bool pmn_window_meets_picture(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad) {
  for (int64_t o = 0; o < out; o++) {
    int64_t first = o * stride - pad, last = first + (int64_t)(kernel - 1) * dilation;
    if (first < 0) first += (dilation - 1 - first) / dilation * dilation; /* the first line that is not above */
    if (first > last || first >= in) return false;
  }
  return true;
}

static void set_pool_window(pmn_graph *graph, pmn_layer *layer, const pmn_window *window) {
  pmn_tensor in = layer->shape;
  set_window(graph, layer, window);
  if (pmn_graph_failed(graph)) return;
  const pmn_op *op = &layer->op;
  bool meet = pmn_window_meets_picture(in.h, layer->shape.h, op->kernel_h, op->stride_h, op->dilation_h, op->pad_top) &&
              pmn_window_meets_picture(in.w, layer->shape.w, op->kernel_w, op->stride_w, op->dilation_w, op->pad_left);
  if (!meet) pmn_graph_refuse(graph, layer, "a window of the pool lies in the padding altogether");
}

/* ------------------------------------------------------------------------------------- layers with parameters -- */

pmn_node pmn_graph_input(pmn_graph *graph, const char *name, const pmn_preprocess *preprocess) {
  pmn_layer layer = {.name = name == NULL ? "" : name, .kind = "input"};
  layer.op = pmn_op_init(PMN_OP_COPY, "", PMN_NO_TENSOR, PMN_NO_TENSOR);
  layer.shape = (pmn_tensor){.h = preprocess->height, .w = preprocess->width, .c = 3};
  layer.scale = pmn_alloc(3, sizeof *layer.scale);
  layer.shift = pmn_alloc(3, sizeof *layer.shift);
  if (graph->count > 0) pmn_graph_refuse(graph, &layer, "is not the first layer");
  require(graph, &layer, layer.scale);
  require(graph, &layer, layer.shift);
  for (int c = 0; c < 3 && !pmn_graph_failed(graph); c++) {
    layer.scale[c] = preprocess->scale[c];
    layer.shift[c] = preprocess->shift[c];
  }
  graph->bgr = preprocess->bgr;
  return graph->input = append(graph, &layer);
}

/* The layer's weights, `depth` of them for every tap of the window and every channel of the result, and its bias. */
static void count_parameters(pmn_graph *graph, pmn_layer *layer, int32_t depth) {
  if (pmn_graph_failed(graph)) return;
  size_t taps = 0, count = 0, channels = (size_t)layer->shape.c;
  bool fits = pmn_size_mul((size_t)layer->op.kernel_h, (size_t)layer->op.kernel_w, &taps) &&
              pmn_size_mul(taps, (size_t)depth, &count) && pmn_size_mul(count, channels, &count) && count <= INT32_MAX;
  if (!fits) {
    pmn_graph_refuse(graph, layer, "%d x %d taps, %d channels in and %d out make 2^31 weights or more",
        layer->op.kernel_h, layer->op.kernel_w, depth, layer->shape.c);
    return;
  }
  layer->parameters = (int64_t)count + (layer->bias != NULL ? (int64_t)channels : 0);
  layer->operations = (int64_t)count * layer->shape.h * layer->shape.w;
}

pmn_node pmn_graph_conv2d(pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window, int32_t groups,
    int32_t filters, float *weights, float *bias) {
  pmn_layer layer = begin(graph, name, "conv2d", PMN_OP_CONV2D, input);
  int32_t channels = layer.shape.c;
  layer.weights = weights;
  layer.bias = bias;
  if (groups < 1 || filters < 1 || channels % groups != 0 || filters % groups != 0) {
    pmn_graph_refuse(graph, &layer, "%d groups do not divide %d channels in and %d out", groups, channels, filters);
  } else {
    if (groups > 1 && groups == channels && groups == filters) {
      layer.kind = "depthwise_conv2d";
      layer.op.kind = PMN_OP_DEPTHWISE_CONV2D;
    } else {
      layer.op.groups = groups;
    }
    set_window(graph, &layer, window);
    layer.shape.c = filters;
    count_parameters(graph, &layer, channels / groups);
  }
  require(graph, &layer, weights);
  return append(graph, &layer);
}

pmn_node pmn_graph_dense(
    pmn_graph *graph, const char *name, pmn_node input, int32_t units, float *weights, float *bias) {
  pmn_layer layer = begin(graph, name, "dense", PMN_OP_CONV2D, pmn_graph_flatten(graph, NULL, input));
  int32_t channels = layer.shape.c;
  layer.weights = weights;
  layer.bias = bias;
  layer.shape.c = units;
  if (units >= 1) count_parameters(graph, &layer, channels);
  require(graph, &layer, weights);
  return append(graph, &layer);
}

pmn_node pmn_graph_affine(pmn_graph *graph, const char *name, pmn_node input, double *scale, double *shift) {
  pmn_layer layer = begin(graph, name, "affine", PMN_OP_DEPTHWISE_CONV2D, input);
  layer.scale = scale;
  layer.shift = shift;
  layer.parameters = 2 * (int64_t)layer.shape.c;
  layer.operations = (int64_t)pmn_tensor_size(&layer.shape);
  require(graph, &layer, scale);
  require(graph, &layer, shift);
  return append(graph, &layer);
}

pmn_node pmn_graph_layer_norm(
    pmn_graph *graph, const char *name, pmn_node input, float epsilon, float *gain, float *bias) {
  pmn_layer layer = begin(graph, name, "layer_norm", PMN_OP_LAYER_NORM, input);
  layer.weights = gain;
  layer.bias = bias;
  layer.op.epsilon = epsilon;
  layer.parameters = 2 * (int64_t)layer.shape.c;
  require(graph, &layer, gain);
  require(graph, &layer, bias);
  return append(graph, &layer);
}

pmn_node pmn_graph_resize(pmn_graph *graph, const char *name, pmn_node input, int32_t h, int32_t w, float *taps) {
  pmn_layer layer = begin(graph, name, "resize", PMN_OP_RESIZE, input);
  layer.weights = taps;
  layer.shape.h = h;
  layer.shape.w = w;
  require(graph, &layer, taps);
  return append(graph, &layer);
}

/* ---------------------------------------------------------------------------------- layers without parameters -- */

static const char *activation_name(pmn_activation activation) {
  static const char *const names[PMN_ACTIVATION_COUNT] = {
      "clamp", "sigmoid", "tanh", "silu", "hard_swish", "gelu", "gelu_tanh", "leaky_relu", "elu", "softplus", "mish"};
  return (int)activation < 0 || activation >= PMN_ACTIVATION_COUNT ? "activation" : names[activation];
}

pmn_node pmn_graph_activation(pmn_graph *graph, const char *name, pmn_node input, pmn_activation activation,
    float alpha, float clamp_min, float clamp_max) {
  bool clamps = !(clamp_min == -INFINITY && clamp_max == INFINITY);
  if (activation == PMN_ACTIVATION_NONE && !clamps) return pass(graph, name, "activation", input);
  bool relu = activation == PMN_ACTIVATION_NONE && clamp_min == 0.0f;
  pmn_layer layer = begin(graph, name, relu ? "relu" : activation_name(activation), PMN_OP_DEPTHWISE_CONV2D, input);
  layer.op.activation = activation;
  bool has_alpha = activation == PMN_ACTIVATION_LEAKY_RELU || activation == PMN_ACTIVATION_ELU;
  layer.op.alpha = has_alpha ? alpha : 0.0f;
  layer.op.clamp_min = clamp_min;
  layer.op.clamp_max = clamp_max;
  if ((int)activation < 0 || activation >= PMN_ACTIVATION_COUNT || !isfinite(layer.op.alpha) ||
      !(clamp_min <= clamp_max)) {
    pmn_graph_refuse(graph, &layer, "an activation with alpha %g and values from %g to %g", (double)alpha,
        (double)clamp_min, (double)clamp_max);
  }
  return append(graph, &layer);
}

pmn_node pmn_graph_add(pmn_graph *graph, const char *name, pmn_node a, pmn_node b) {
  pmn_layer layer = begin(graph, name, "add", PMN_OP_DEPTHWISE_CONV2D, a), other = begin(graph, name, "add", 0, b);
  const pmn_tensor *x = &layer.shape, *y = &other.shape;
  if (x->h != y->h || x->w != y->w || x->c != y->c) refuse_shapes(graph, &layer, "plus", a, b);
  layer.op.residual = b;
  return append(graph, &layer);
}

static bool broadcasts(pmn_tensor factor, pmn_tensor to) {
  return (factor.h == to.h || factor.h == 1) && (factor.w == to.w || factor.w == 1) &&
         (factor.c == to.c || factor.c == 1);
}

pmn_node pmn_graph_multiply(pmn_graph *graph, const char *name, pmn_node a, pmn_node b) {
  pmn_layer layer = begin(graph, name, "multiply", PMN_OP_MULTIPLY, a), other = begin(graph, name, "multiply", 0, b);
  layer.op.factor = b;
  if (!broadcasts(other.shape, layer.shape)) refuse_shapes(graph, &layer, "times", a, b);
  layer.operations = (int64_t)pmn_tensor_size(&layer.shape);
  return append(graph, &layer);
}

pmn_node pmn_graph_max_pool(pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window) {
  pmn_layer layer = begin(graph, name, "max_pool", PMN_OP_MAX_POOL, input);
  set_pool_window(graph, &layer, window);
  return append(graph, &layer);
}

pmn_node pmn_graph_average_pool(
    pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window, const pmn_window *counted) {
  pmn_layer layer = begin(graph, name, "average_pool", PMN_OP_AVERAGE_POOL, input);
  set_pool_window(graph, &layer, window);
  if (window->dilation_h != 1 || window->dilation_w != 1) {
    pmn_graph_refuse(graph, &layer, "an average pool with dilation %d x %d, which must be 1", window->dilation_h,
        window->dilation_w);
  }
  if (counted != NULL) {
    layer.op.count_padding = true;
    layer.op.pad_bottom = counted->pad_bottom;
    layer.op.pad_right = counted->pad_right;
    if (counted->pad_top != window->pad_top || counted->pad_left != window->pad_left || counted->pad_bottom < 0 ||
        counted->pad_right < 0 || counted->pad_bottom > window->pad_bottom || counted->pad_right > window->pad_right) {
      pmn_graph_refuse(graph, &layer, "counts padding of %d, %d, %d, %d pixels that it does not have", counted->pad_top,
          counted->pad_left, counted->pad_bottom, counted->pad_right);
    }
  }
  return append(graph, &layer);
}

pmn_node pmn_graph_global_average_pool(pmn_graph *graph, const char *name, pmn_node input) {
  pmn_layer layer = begin(graph, name, "global_average_pool", PMN_OP_GLOBAL_AVERAGE_POOL, input);
  layer.shape.h = layer.shape.w = 1;
  return append(graph, &layer);
}

pmn_node pmn_graph_global_max_pool(pmn_graph *graph, const char *name, pmn_node input) {
  pmn_layer layer = begin(graph, name, "global_max_pool", PMN_OP_MAX_POOL, input);
  pmn_window whole = pmn_window_square(1, 1);
  whole.kernel_h = layer.shape.h;
  whole.kernel_w = layer.shape.w;
  set_pool_window(graph, &layer, &whole);
  return append(graph, &layer);
}

pmn_node pmn_graph_softmax(pmn_graph *graph, const char *name, pmn_node input) {
  pmn_layer layer = begin(graph, name, "softmax", PMN_OP_SOFTMAX, input);
  return append(graph, &layer);
}

pmn_node pmn_graph_lrn(
    pmn_graph *graph, const char *name, pmn_node input, int32_t size, float alpha, float beta, float bias) {
  pmn_layer layer = begin(graph, name, "lrn", PMN_OP_LRN, input);
  layer.op.lrn_size = size;
  layer.op.lrn_alpha = alpha;
  layer.op.lrn_beta = beta;
  layer.op.lrn_bias = bias;
  return append(graph, &layer);
}

/* ----------------------------------------------------------------------------------------------------- copies -- */

static void set_copies(pmn_graph *graph, pmn_layer *layer, const pmn_copy *copies, int32_t count) {
  layer->copies = pmn_alloc((size_t)count, sizeof *layer->copies);
  layer->copy_count = count;
  require(graph, layer, layer->copies);
  if (layer->copies != NULL && copies != NULL) memcpy(layer->copies, copies, (size_t)count * sizeof *copies);
}

pmn_node pmn_graph_copy(
    pmn_graph *graph, const char *name, pmn_node input, pmn_tensor shape, const pmn_copy *copies, int32_t count) {
  pmn_layer layer = begin(graph, name, "copy", PMN_OP_COPY, input);
  layer.shape = shape;
  if (count < 1) {
    pmn_graph_refuse(graph, &layer, "%d copies", count);
  } else {
    set_copies(graph, &layer, copies, count);
  }
  return append(graph, &layer);
}

pmn_node pmn_graph_flatten(pmn_graph *graph, const char *name, pmn_node input) {
  pmn_layer layer = begin(graph, name, "flatten", PMN_OP_COPY, input);
  if (layer.shape.h == 1 && layer.shape.w == 1) return pass(graph, name, "flatten", input);
  int32_t size = (int32_t)pmn_tensor_size(&layer.shape);
  layer.shape = (pmn_tensor){.h = 1, .w = 1, .c = size};
  set_copies(graph, &layer, &(pmn_copy){.extent = {1, 1, size}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}}, 1);
  return append(graph, &layer);
}

pmn_node pmn_graph_concat(pmn_graph *graph, const char *name, const pmn_node *inputs, int32_t count) {
  if (count == 1) return pass(graph, name, "concat", inputs[0]);
  pmn_layer layer = begin(graph, name, "concat", PMN_OP_COPY, count > 0 ? inputs[0] : -1);
  if (pmn_graph_failed(graph)) return 0;
  layer.op.input = PMN_NO_TENSOR;
  layer.sources = pmn_alloc((size_t)count, sizeof *layer.sources);
  require(graph, &layer, layer.sources);
  set_copies(graph, &layer, NULL, count);
  int64_t channels = 0;
  for (int32_t i = 0; i < count; i++) channels += begin(graph, name, "concat", PMN_OP_COPY, inputs[i]).shape.c;
  layer.shape.c = size_sum(channels);
  int32_t first = 0, pixels = layer.shape.h * layer.shape.w;
  for (int32_t i = 0; i < count && !pmn_graph_failed(graph) && layer.shape.c > 0; i++) {
    pmn_tensor in = pmn_graph_shape(graph, inputs[i]);
    if (in.h != layer.shape.h || in.w != layer.shape.w) refuse_shapes(graph, &layer, "beside", inputs[0], inputs[i]);
    layer.sources[i] = inputs[i];
    layer.copies[i] = (pmn_copy){.extent = {1, pixels, in.c},
        .in_stride = {0, in.c, 1},
        .out_first = first,
        .out_stride = {0, layer.shape.c, 1}};
    first += in.c;
  }
  return append(graph, &layer);
}

static pmn_node crop(
    pmn_graph *graph, const char *name, pmn_node input, int32_t top, int32_t left, int32_t bottom, int32_t right) {
  pmn_layer layer = begin(graph, name, "crop", PMN_OP_COPY, input);
  pmn_tensor in = layer.shape;
  layer.shape.h = size_sum((int64_t)in.h - top - bottom);
  layer.shape.w = size_sum((int64_t)in.w - left - right);
  if (layer.shape.h > 0 && layer.shape.w > 0) {
    int32_t row = in.w * in.c, out_row = layer.shape.w * in.c;
    set_copies(graph, &layer,
        &(pmn_copy){.extent = {1, layer.shape.h, out_row},
            .in_first = top * row + left * in.c,
            .in_stride = {0, row, 1},
            .out_stride = {0, out_row, 1}},
        1);
  }
  return append(graph, &layer);
}

pmn_node pmn_graph_pad(
    pmn_graph *graph, const char *name, pmn_node input, int32_t top, int32_t left, int32_t bottom, int32_t right) {
  if (top == INT32_MIN || left == INT32_MIN || bottom == INT32_MIN || right == INT32_MIN) {
    pmn_layer layer = begin(graph, name, "pad", PMN_OP_DEPTHWISE_CONV2D, input);
    pmn_graph_refuse(graph, &layer, "crops 2^31 lines");
    return 0;
  }
  bool crops = top < 0 || left < 0 || bottom < 0 || right<0, pads = top> 0 || left > 0 || bottom > 0 || right > 0;
  if (crops) {
    input = crop(graph, pads ? NULL : name, input, top < 0 ? -top : 0, left < 0 ? -left : 0, bottom < 0 ? -bottom : 0,
        right < 0 ? -right : 0);
    if (!pads) return input;
  }
  if (!pads) return pass(graph, name, "pad", input);
  pmn_layer layer = begin(graph, name, "pad", PMN_OP_DEPTHWISE_CONV2D, input);
  pmn_window window = pmn_window_square(1, 1);
  window.pad_top = top > 0 ? top : 0;
  window.pad_left = left > 0 ? left : 0;
  window.pad_bottom = bottom > 0 ? bottom : 0;
  window.pad_right = right > 0 ? right : 0;
  set_window(graph, &layer, &window);
  return append(graph, &layer);
}
