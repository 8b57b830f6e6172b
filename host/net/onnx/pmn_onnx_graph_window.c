/* pmn_onnx_graph_window.c - operators with windows: convolution and pooling. */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <string.h>

/* No window of a picture network comes near this; sums of a few of these fit 32 bits. */
enum { WINDOW_MAX = 1 << 20 };

/* The window of a node along one axis. */
typedef struct axis_window {
  int64_t kernel, stride, dilation, before, after;
} axis_window;

/* ------------------------------------------------------------------------------------------------- windows -- */

/* An attribute of two numbers (of four for pads); `otherwise` if it is not given. */
static bool read_numbers(
    pmn_onnx_lowering *self, const char *name, int32_t wanted, int64_t otherwise, int64_t least, int64_t *numbers) {
  int64_t list[PMN_ONNX_RANK_MAX];
  int32_t count;
  if (!pmn_onnx_list(self, name, -1, list, &count)) return false;
  if (count >= 0 && count != wanted) return pmn_onnx_refuse(self, "%d %s: only windows of 2 dimensions", count, name);
  for (int32_t i = 0; i < wanted; i++) {
    numbers[i] = count < 0 ? otherwise : list[i];
    if (numbers[i] < least || numbers[i] > WINDOW_MAX)
      return pmn_onnx_refuse(self, "%s has %lld", name, (long long)numbers[i]);
  }
  return true;
}

/* auto_pad: padding so that there are ceil(in / stride) windows. */
static void pad_same(axis_window *a, int64_t in, bool upper) {
  int64_t out = (in + a->stride - 1) / a->stride;
  int64_t total = (out - 1) * a->stride + (a->kernel - 1) * a->dilation + 1 - in;
  int64_t less = total > 0 ? total / 2 : 0, more = total > 0 ? total - less : 0;
  a->before = upper ? less : more;
  a->after = upper ? more : less;
}

/* How the window is padded beside its pads. */
typedef enum auto_pad { AUTO_PAD_NOTSET, AUTO_PAD_VALID, AUTO_PAD_SAME_UPPER, AUTO_PAD_SAME_LOWER } auto_pad;

static bool read_auto_pad(pmn_onnx_lowering *self, auto_pad *found) {
  static const char *const names[] = {"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"};
  const char *text = pmn_onnx_attribute_text(self->node, "auto_pad", "NOTSET");
  for (int i = 0; i < 4; i++) {
    *found = (auto_pad)i;
    if (strcmp(text, names[i]) == 0) return true;
  }
  return pmn_onnx_refuse(self, "auto_pad %.32s", text);
}

/* Both axes of the node's window, as far as the node says. kernel: of the weights, or 0 to read kernel_shape. */
static bool read_axes(pmn_onnx_lowering *self, const int64_t kernel[2], axis_window axes[2]) {
  int64_t shape[2], strides[2], dilations[2], pads[4];
  auto_pad padding;
  if (!read_numbers(self, "kernel_shape", 2, kernel[0], 1, shape) || !read_numbers(self, "strides", 2, 1, 1, strides) ||
      !read_numbers(self, "dilations", 2, 1, 1, dilations) || !read_numbers(self, "pads", 4, 0, 0, pads))
    return false;
  bool given = pmn_onnx_attribute_find(self->node, "kernel_shape") != NULL;
  for (int i = 0; i < 2; i++) {
    if (!given) shape[i] = kernel[i];
    if (kernel[i] != 0 && shape[i] != kernel[i])
      return pmn_onnx_refuse(self, "kernel_shape is not that of its weights");
    axes[i] = (axis_window){shape[i], strides[i], dilations[i], pads[i], pads[i + 2]};
  }
  return read_auto_pad(self, &padding);
}

/* The padding that the node leaves to the picture. */
static bool place_axes(pmn_onnx_lowering *self, int64_t h, int64_t w, axis_window axes[2]) {
  auto_pad padding;
  int64_t in[2] = {h, w};
  if (!read_auto_pad(self, &padding)) return false;
  for (int i = 0; i < 2 && padding != AUTO_PAD_NOTSET; i++) {
    axes[i].before = axes[i].after = 0;
    if (padding != AUTO_PAD_VALID) pad_same(&axes[i], in[i], padding == AUTO_PAD_SAME_UPPER);
  }
  return true;
}

static pmn_window make_window(const axis_window axes[2]) {
  return (pmn_window){.kernel_h = (int32_t)axes[0].kernel,
      .kernel_w = (int32_t)axes[1].kernel,
      .stride_h = (int32_t)axes[0].stride,
      .stride_w = (int32_t)axes[1].stride,
      .dilation_h = (int32_t)axes[0].dilation,
      .dilation_w = (int32_t)axes[1].dilation,
      .pad_top = (int32_t)axes[0].before,
      .pad_left = (int32_t)axes[1].before,
      .pad_bottom = (int32_t)axes[0].after,
      .pad_right = (int32_t)axes[1].after};
}

static int64_t covered(const axis_window *a) {
  return (a->kernel - 1) * a->dilation + 1;
}

/* Refuses a window larger than the padded picture. */
static bool check_fit(pmn_onnx_lowering *self, const axis_window *a, int64_t in) {
  if (in + a->before + a->after >= covered(a)) return true;
  return pmn_onnx_refuse(self, "a window of %lld pixels on a picture of %lld", (long long)covered(a), (long long)in);
}

/* --------------------------------------------------------------------------------------------- convolution -- */

/* [filters, depth, kernel_h, kernel_w] becomes [kernel_h, kernel_w, depth, filters]. */
static float *turn_weights(const pmn_onnx_value *weights) {
  size_t filters = (size_t)weights->dims[0], depth = (size_t)weights->dims[1];
  size_t taps = (size_t)(weights->dims[2] * weights->dims[3]);
  float *turned = pmn_alloc_aligned(weights->count, sizeof *turned);
  for (size_t i = 0; turned != NULL && i < weights->count; i++) {
    size_t tap = i % taps, d = i / taps % depth, f = i / taps / depth;
    turned[(tap * depth + d) * filters + f] = (float)pmn_onnx_value_at(weights, i);
  }
  return turned;
}

static void lower_conv(pmn_onnx_lowering *self) {
  const pmn_onnx_value *weights = pmn_onnx_input_constant(self, 1), *bias = pmn_onnx_input_constant(self, 2);
  pmn_onnx_view view;
  axis_window axes[2];
  if (weights == NULL) {
    pmn_onnx_refuse(self, pmn_onnx_input_has(self, 1) ? "weights are computed, not constant" : "has no weights");
    return;
  }
  if (weights->rank != 4) {
    pmn_onnx_refuse(self, "weights of %d dimensions, where those of a 2-dimensional kernel have 4", weights->rank);
    return;
  }
  int64_t kernel[2] = {weights->dims[2], weights->dims[3]};
  if (!pmn_onnx_input_known(self, 2, "biases") || !read_axes(self, kernel, axes) ||
      !pmn_onnx_input_image(self, 0, &view))
    return;
  int64_t groups = pmn_onnx_attribute_int(self->node, "group", 1), filters = weights->dims[0];
  int64_t channels = view.layout.c;
  bool small = weights->count > 0 && weights->count <= INT32_MAX && groups >= 1 && groups <= channels;
  if (!small || channels % groups != 0 || filters % groups != 0 || weights->dims[1] != channels / groups) {
    pmn_onnx_refuse(self, "weights [%lld, %lld, %lld, %lld] in %lld groups on %lld channels", (long long)filters,
        (long long)weights->dims[1], (long long)kernel[0], (long long)kernel[1], (long long)groups,
        (long long)channels);
    return;
  }
  if (bias != NULL && bias->count != (size_t)filters) {
    pmn_onnx_refuse(self, "%zu biases of %lld filters", bias->count, (long long)filters);
    return;
  }
  if (!place_axes(self, view.layout.h, view.layout.w, axes) || !check_fit(self, &axes[0], view.layout.h) ||
      !check_fit(self, &axes[1], view.layout.w) || !pmn_onnx_charge(self, weights->count, sizeof(float)) ||
      !pmn_onnx_finite(self, weights, "weights") || (bias != NULL && !pmn_onnx_finite(self, bias, "biases")))
    return;
  float *biases = bias != NULL ? pmn_onnx_value_floats(bias) : NULL;
  if (bias != NULL && biases == NULL) {
    pmn_onnx_refuse_memory(self, bias->count);
    return;
  }
  pmn_window window = make_window(axes);
  const char *name = pmn_onnx_output_name(self, NULL);
  view = pmn_onnx_view_image(self->graph, pmn_graph_conv2d(self->graph, name, view.node, &window, (int32_t)groups,
                                              (int32_t)filters, turn_weights(weights), biases));
  pmn_onnx_output_view(self, 0, &view);
}

/* ------------------------------------------------------------------------------------------------- pooling -- */

/* Padding after the picture that gives ceil_mode's last window; none that would begin in that padding. */
static int64_t ceil_padding(const axis_window *a, int64_t in) {
  int64_t room = in + a->before + a->after - covered(a);
  int64_t last = (room + a->stride - 1) / a->stride;
  if (last * a->stride >= in + a->before) last--;
  int64_t after = last * a->stride + covered(a) - in - a->before;
  return after > a->after ? after : a->after;
}

/* The axes of a pool's window as far as the node says. */
static bool read_pool(pmn_onnx_lowering *self, axis_window axes[2]) {
  static const int64_t unknown[2] = {0, 0};
  if (pmn_onnx_output_read(self, 1)) return pmn_onnx_refuse(self, "gives the places of its maxima");
  if (pmn_onnx_attribute_find(self->node, "kernel_shape") == NULL) return pmn_onnx_refuse(self, "has no kernel_shape");
  return read_axes(self, unknown, axes);
}

/* The window of a pool and, in *counted, its padding without that of ceil_mode. */
static bool place_pool(
    pmn_onnx_lowering *self, const pmn_onnx_view *view, axis_window axes[2], pmn_window *window, pmn_window *counted) {
  int64_t in[2] = {view->layout.h, view->layout.w};
  if (!place_axes(self, in[0], in[1], axes)) return false;
  *counted = make_window(axes);
  for (int i = 0; i < 2; i++) {
    if (!check_fit(self, &axes[i], in[i])) return false;
    if (axes[i].before >= covered(&axes[i]) || axes[i].after >= covered(&axes[i]))
      return pmn_onnx_refuse(self, "padding as large as the window");
    if (pmn_onnx_attribute_int(self->node, "ceil_mode", 0) != 0) axes[i].after = ceil_padding(&axes[i], in[i]);
  }
  *window = make_window(axes);
  return true;
}

/* The picture that a MaxPool reads, with the padding of -infinity that stands before it. */
static bool max_pool_input(pmn_onnx_lowering *self, pmn_onnx_view *view, pmn_window *window) {
  const pmn_onnx_item *item = pmn_onnx_input_item(self, 0);
  pmn_window counted;
  axis_window axes[2];
  if (!read_pool(self, axes)) return false;
  if (item == NULL || item->kind != PMN_ONNX_PADDED)
    return pmn_onnx_input_image(self, 0, view) && place_pool(self, view, axes, window, &counted);
  *view = item->view;
  pmn_onnx_view padded = item->view;
  padded.layout.h += item->pads[0] + item->pads[2];
  padded.layout.w += item->pads[1] + item->pads[3];
  if (!place_pool(self, &padded, axes, window, &counted)) return false;
  window->pad_top += item->pads[0];
  window->pad_left += item->pads[1];
  window->pad_bottom += item->pads[2];
  window->pad_right += item->pads[3];
  return true;
}

static void lower_max_pool(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  pmn_window window;
  if (!max_pool_input(self, &view, &window)) return;
  view = pmn_onnx_view_image(
      self->graph, pmn_graph_max_pool(self->graph, pmn_onnx_output_name(self, NULL), view.node, &window));
  pmn_onnx_output_view(self, 0, &view);
}

static void lower_average_pool(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  pmn_window window, counted;
  axis_window axes[2];
  if (!read_pool(self, axes)) return;
  if (axes[0].dilation != 1 || axes[1].dilation != 1) {
    pmn_onnx_refuse(self, "an average with dilation");
    return;
  }
  if (!pmn_onnx_input_image(self, 0, &view) || !place_pool(self, &view, axes, &window, &counted)) return;
  const char *name = pmn_onnx_output_name(self, NULL);
  bool all = pmn_onnx_attribute_int(self->node, "count_include_pad", 0) != 0;
  bool padded = window.pad_top > 0 || window.pad_left > 0 || window.pad_bottom > 0 || window.pad_right > 0;
  bool global = !padded && window.kernel_h == view.layout.h && window.kernel_w == view.layout.w;
  pmn_node pool = global ? pmn_graph_global_average_pool(self->graph, name, view.node)
                         : pmn_graph_average_pool(self->graph, name, view.node, &window, all ? &counted : NULL);
  view = pmn_onnx_view_image(self->graph, pool);
  pmn_onnx_output_view(self, 0, &view);
}

const pmn_onnx_operator pmn_onnx_operators_window[] = {
    {"Conv", 1, 22, lower_conv},
    {"MaxPool", 1, 22, lower_max_pool},
    {"AveragePool", 7, 22, lower_average_pool},
    {NULL, 0, 0, NULL},
};
