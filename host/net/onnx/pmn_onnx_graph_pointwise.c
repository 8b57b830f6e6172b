/* pmn_onnx_graph_pointwise.c - functions of single elements. They do not care how the elements are ordered. */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void activate(pmn_onnx_lowering *self, pmn_activation activation, float alpha, float min, float max) {
  pmn_onnx_view view;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  view.node =
      pmn_graph_activation(self->graph, pmn_onnx_output_name(self, &view), view.node, activation, alpha, min, max);
  pmn_onnx_output_view(self, 0, &view);
}

/* Activations that the graph has. */
static void lower_activation(pmn_onnx_lowering *self) {
  static const struct {
    const char *op;
    pmn_activation activation;
    float alpha; /* if the attribute is not given */
  } table[] = {
      {"Sigmoid", PMN_ACTIVATION_SIGMOID, 0},
      {"Tanh", PMN_ACTIVATION_TANH, 0},
      {"HardSwish", PMN_ACTIVATION_HARD_SWISH, 0},
      {"LeakyRelu", PMN_ACTIVATION_LEAKY_RELU, 0.01f},
      {"Elu", PMN_ACTIVATION_ELU, 1.0f},
      {"Softplus", PMN_ACTIVATION_SOFTPLUS, 0},
      {"Mish", PMN_ACTIVATION_MISH, 0},
  };
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (strcmp(self->node->op, table[i].op) != 0) continue;
    float alpha = pmn_onnx_attribute_float(self->node, "alpha", table[i].alpha);
    activate(self, table[i].activation, alpha, -INFINITY, INFINITY);
  }
}

static void lower_relu(pmn_onnx_lowering *self) {
  activate(self, PMN_ACTIVATION_NONE, 0, 0.0f, INFINITY);
}

static void lower_gelu(pmn_onnx_lowering *self) {
  const char *approximate = pmn_onnx_attribute_text(self->node, "approximate", "none");
  bool tanh = strcmp(approximate, "tanh") == 0;
  if (!tanh && strcmp(approximate, "none") != 0) {
    pmn_onnx_refuse(self, "approximation %.32s", approximate);
    return;
  }
  activate(self, tanh ? PMN_ACTIVATION_GELU_TANH : PMN_ACTIVATION_GELU, 0, -INFINITY, INFINITY);
}

/* A clamp from `min` to `max`; the maximum wins. */
static void clamp(pmn_onnx_lowering *self, double min, double max) {
  if (isnan(min) || isnan(max)) {
    pmn_onnx_refuse(self, "a bound that is not a number");
    return;
  }
  float high = max >= (double)FLT_MAX ? INFINITY : (float)max, low = min <= -(double)FLT_MAX ? -INFINITY : (float)min;
  activate(self, PMN_ACTIVATION_NONE, 0, low < high ? low : high, high);
}

/* Bounds are attributes until opset 10, then inputs. */
static void lower_clip(pmn_onnx_lowering *self) {
  double bounds[2] = {(double)pmn_onnx_attribute_float(self->node, "min", -INFINITY),
      (double)pmn_onnx_attribute_float(self->node, "max", INFINITY)};
  for (int32_t i = 0; i < 2; i++) {
    if (!pmn_onnx_input_has(self, i + 1)) continue;
    if (pmn_onnx_value_scalar(pmn_onnx_input_constant(self, i + 1), &bounds[i])) continue;
    pmn_onnx_refuse(self, "a bound that is not a constant number");
    return;
  }
  clamp(self, bounds[0], bounds[1]);
}

/* Min and Max of one computed tensor and numbers, in any order. */
static void lower_min_max(pmn_onnx_lowering *self) {
  bool maximum = strcmp(self->node->op, "Max") == 0;
  double bound = maximum ? -INFINITY : INFINITY, number;
  pmn_onnx_view view = {.node = -1};
  for (int32_t i = 0; i < self->node->input_count; i++) {
    const pmn_onnx_value *value = pmn_onnx_input_constant(self, i);
    if (value == NULL && view.node < 0) {
      if (!pmn_onnx_input_view(self, i, &view)) return;
    } else if (pmn_onnx_value_scalar(value, &number) && !isnan(number)) {
      bound = maximum ? fmax(bound, number) : fmin(bound, number);
    } else {
      pmn_onnx_refuse(self, "compares a tensor with another, not with numbers");
      return;
    }
  }
  if (view.node < 0) {
    pmn_onnx_refuse(self, "has no computed input");
    return;
  }
  view.node = pmn_graph_activation(self->graph, pmn_onnx_output_name(self, &view), view.node, PMN_ACTIVATION_NONE, 0,
      maximum ? (float)bound : -INFINITY, maximum ? INFINITY : (float)bound);
  pmn_onnx_output_view(self, 0, &view);
}

/* view = view * scale + shift with two numbers. */
static bool scale_all(pmn_onnx_lowering *self, double scale, double shift, bool named, pmn_onnx_view *view) {
  static const int64_t ones[PMN_ONNX_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
  double *scales = pmn_alloc(1, sizeof *scales), *shifts = pmn_alloc(1, sizeof *shifts);
  if (scales != NULL) *scales = scale;
  if (shifts != NULL) *shifts = shift;
  return pmn_onnx_affine(self, ones, scales, shifts, named, view);
}

/* min(max(alpha x + beta, 0), 1) */
static void lower_hard_sigmoid(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  double alpha = (double)pmn_onnx_attribute_float(self->node, "alpha", 0.2f);
  double beta = (double)pmn_onnx_attribute_float(self->node, "beta", 0.5f);
  if (!pmn_onnx_input_view(self, 0, &view) || !scale_all(self, alpha, beta, false, &view)) return;
  view.node = pmn_graph_activation(
      self->graph, pmn_onnx_output_name(self, &view), view.node, PMN_ACTIVATION_NONE, 0, 0.0f, 1.0f);
  pmn_onnx_output_view(self, 0, &view);
}

/* gamma times ELU; the constants are ONNX's, of Klambauer et al. 2017. */
static void lower_selu(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  float alpha = pmn_onnx_attribute_float(self->node, "alpha", 1.67326319217681884765625f);
  double gamma = (double)pmn_onnx_attribute_float(self->node, "gamma", 1.05070102214813232421875f);
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  view.node = pmn_graph_activation(self->graph, NULL, view.node, PMN_ACTIVATION_ELU, alpha, -INFINITY, INFINITY);
  if (scale_all(self, gamma, 0, true, &view)) pmn_onnx_output_view(self, 0, &view);
}

/* max(x, 0) + slope * min(x, 0); a leaky ReLU if all slopes are one number. */
static void lower_prelu(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  const pmn_onnx_value *slope = pmn_onnx_input_constant(self, 1);
  double number;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (pmn_onnx_value_scalar(slope, &number)) {
    activate(self, PMN_ACTIVATION_LEAKY_RELU, (float)number, -INFINITY, INFINITY);
    return;
  }
  int64_t extents[PMN_ONNX_RANK_MAX];
  if (!pmn_onnx_extents(self, slope, &view, extents)) return;
  double *scale = pmn_alloc(slope->count, sizeof *scale), *shift = pmn_calloc(slope->count, sizeof *shift);
  for (size_t i = 0; scale != NULL && i < slope->count; i++) scale[i] = pmn_onnx_value_at(slope, i);
  pmn_onnx_view below = view;
  below.node = pmn_graph_activation(self->graph, NULL, view.node, PMN_ACTIVATION_NONE, 0, -INFINITY, 0.0f);
  if (!pmn_onnx_affine(self, extents, scale, shift, false, &below)) return;
  view.node = pmn_graph_activation(self->graph, NULL, view.node, PMN_ACTIVATION_NONE, 0, 0.0f, INFINITY);
  if (!pmn_onnx_view_arrange(&view, self->graph, NULL, &below.layout)) return;
  view.node = pmn_graph_add(self->graph, pmn_onnx_output_name(self, &view), view.node, below.node);
  pmn_onnx_output_view(self, 0, &view);
}

/* The first half of a GELU as exporters write it: Erf of x / sqrt(2), x being a multiple of a tensor. */
static void lower_erf(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  pmn_onnx_item item = *pmn_onnx_input_item(self, 0);
  double inner = item.scale / sqrt(0.5);
  if (inner == 0 || !isfinite(inner)) {
    pmn_onnx_refuse(self, "of a tensor times %g", item.scale);
    return;
  }
  item.kind = PMN_ONNX_ERF;
  item.inner = fabs(inner - 1) > 1e-6 ? inner : 1; /* files have sqrt(2) in f32 */
  item.view.node = item.base;
  pmn_onnx_output_item(self, &item);
}

const pmn_onnx_operator pmn_onnx_operators_pointwise[] = {
    {"Relu", 1, 22, lower_relu},
    {"Clip", 6, 22, lower_clip},
    {"Min", 1, 22, lower_min_max},
    {"Max", 1, 22, lower_min_max},
    {"Sigmoid", 1, 22, lower_activation},
    {"Tanh", 1, 22, lower_activation},
    {"HardSwish", 14, 22, lower_activation},
    {"LeakyRelu", 1, 22, lower_activation},
    {"Elu", 1, 22, lower_activation},
    {"Softplus", 1, 22, lower_activation},
    {"Mish", 18, 22, lower_activation},
    {"Gelu", 20, 22, lower_gelu},
    {"HardSigmoid", 1, 22, lower_hard_sigmoid},
    {"Selu", 1, 22, lower_selu},
    {"PRelu", 7, 22, lower_prelu},
    {"Erf", 9, 22, lower_erf},
    {NULL, 0, 0, NULL},
};
