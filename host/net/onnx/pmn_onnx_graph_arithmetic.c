/* pmn_onnx_graph_arithmetic.c - sums and products: with constants, which become scales and shifts, and of two tensors.
 *
 * Activations that exporters write as several nodes (SiLU, hard swish, Mish, GELU) are put together here: the last node
 * of each is a product.
 */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------- constants -- */

bool pmn_onnx_extents(pmn_onnx_lowering *self, const pmn_onnx_value *value, pmn_onnx_view *view, int64_t *extents) {
  if (value == NULL) return pmn_onnx_refuse(self, "an input that is neither constant nor a tensor of the network");
  pmn_onnx_view_widen(view, value->rank);
  for (int32_t d = 0; d < view->rank; d++) {
    int32_t at = value->rank - view->rank + d;
    extents[d] = at >= 0 ? value->dims[at] : 1;
    if (extents[d] != 1 && extents[d] != view->dims[d]) {
      return pmn_onnx_refuse(self, "a constant of %lld along dimension %d, where the tensor has %lld",
          (long long)extents[d], d, (long long)view->dims[d]);
    }
  }
  return true;
}

/* The product of all extents of a constant that broadcasts is its count. One with every number the same is a number. */
static bool uniform(const pmn_onnx_value *value, double *number) {
  if (value->count == 0) return false;
  *number = pmn_onnx_value_at(value, 0);
  for (size_t i = 1; i < value->count; i++)
    if (pmn_onnx_value_at(value, i) != *number) return false;
  return true;
}

/* Input `index` (a tensor) by the other (a constant): x + k, x - k, k - x, x * k, x / k. */
static void by_constant(pmn_onnx_lowering *self, int32_t index, const pmn_onnx_value *value) {
  char op = self->node->op[0]; /* of Add, Sum, Sub, Mul, Div */
  bool product = op == 'M' || op == 'D', minus = strcmp(self->node->op, "Sub") == 0;
  pmn_onnx_view view;
  int64_t extents[PMN_ONNX_RANK_MAX];
  double number;
  if (!pmn_onnx_input_view(self, index, &view) || !pmn_onnx_extents(self, value, &view, extents)) return;
  if (op == 'D' && index == 1) {
    pmn_onnx_refuse(self, "divides a constant by a tensor");
    return;
  }
  if (product && uniform(value, &number)) {
    pmn_onnx_item item = *pmn_onnx_input_item(self, index);
    item.view.rank = view.rank;
    memcpy(item.view.dims, view.dims, sizeof view.dims);
    pmn_onnx_output_scaled(self, &item, op == 'D' ? 1 / number : number);
    return;
  }
  double *scale = pmn_alloc(value->count, sizeof *scale), *shift = pmn_alloc(value->count, sizeof *shift);
  for (size_t i = 0; scale != NULL && shift != NULL && i < value->count; i++) {
    double k = pmn_onnx_value_at(value, i);
    scale[i] = op == 'M' ? k : op == 'D' ? 1 / k : minus && index == 1 ? -1 : 1;
    shift[i] = product ? 0 : minus && index == 0 ? -k : k;
  }
  if (pmn_onnx_affine(self, extents, scale, shift, true, &view)) pmn_onnx_output_view(self, 0, &view);
}

/* ------------------------------------------------------------------------------------------- two tensors -- */

/* Cuts factors at the borders of the node's three axes; false if that cannot be. */
static bool split_axes(const pmn_onnx_layout *layout, const pmn_onnx_factor *factor, pmn_onnx_factor parts[3]) {
  int64_t borders[3] = {layout->c, (int64_t)layout->w * layout->c, (int64_t)layout->h * layout->w * layout->c};
  pmn_onnx_factor left = *factor;
  for (int32_t axis = 0; axis < 3; axis++) { /* c, w, h */
    int64_t room = left.stride < borders[axis] ? borders[axis] / left.stride : 1;
    int64_t extent = left.extent < room ? left.extent : room;
    if (left.extent % extent != 0) return false;
    parts[2 - axis] = (pmn_onnx_factor){.extent = extent, .stride = left.stride};
    left = (pmn_onnx_factor){.extent = left.extent / extent, .stride = left.stride * extent};
  }
  return left.extent == 1;
}

/* Where `small`, which has 1 along some dimensions of `large`, must have its elements so that it is a factor of large's
 * node: [h or 1, w or 1, c or 1]. False if the dimensions lie across the node's axes. */
static bool factor_layout(const pmn_onnx_view *large, const pmn_onnx_view *small, pmn_onnx_layout *layout) {
  pmn_onnx_cut cut;
  if (!pmn_onnx_view_cut(large, &cut)) return false;
  int32_t size[3] = {large->layout.h, large->layout.w, large->layout.c};
  bool kept[3] = {false, false, false}, spread[3] = {false, false, false};
  pmn_onnx_factor parts[PMN_ONNX_FACTORS_MAX + PMN_ONNX_RANK_MAX][3];
  for (int32_t d = 0; d < large->rank; d++) {
    bool *marks = small->dims[d] == large->dims[d] ? kept : spread;
    for (int32_t i = cut.first[d]; i < cut.first[d + 1]; i++) {
      if (!split_axes(&large->layout, &cut.factors[i], parts[i])) return false;
      for (int32_t axis = 0; axis < 3; axis++) marks[axis] = marks[axis] || parts[i][axis].extent > 1;
    }
  }
  for (int32_t axis = 0; axis < 3; axis++) {
    if (kept[axis] && spread[axis]) return false;
    if (spread[axis]) size[axis] = 1;
  }
  int64_t from[3] = {(int64_t)large->layout.w * large->layout.c, large->layout.c, 1};
  int64_t to[3] = {(int64_t)size[1] * size[2], size[2], 1};
  *layout = pmn_onnx_layout_init(size[0], size[1], size[2]);
  for (int32_t d = 0; d < large->rank; d++) {
    for (int32_t i = cut.first[d]; small->dims[d] == large->dims[d] && i < cut.first[d + 1]; i++) {
      for (int32_t axis = 0; axis < 3; axis++) {
        int64_t stride = parts[i][axis].stride / from[axis] * to[axis];
        if (!pmn_onnx_layout_append(layout, parts[i][axis].extent, stride)) return false;
      }
    }
  }
  return true;
}

static bool same_dims(const pmn_onnx_view *a, const pmn_onnx_view *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

/* Brings two tensors into step: of equal dimensions, or `b` to be spread over `a`. Swaps them if need be. */
static bool match(pmn_onnx_lowering *self, pmn_onnx_view *a, pmn_onnx_view *b) {
  int32_t rank = a->rank > b->rank ? a->rank : b->rank;
  pmn_onnx_view_widen(a, rank);
  pmn_onnx_view_widen(b, rank);
  if (same_dims(a, b)) return pmn_onnx_view_arrange(b, self->graph, NULL, &a->layout);
  if (pmn_onnx_view_size(a) < pmn_onnx_view_size(b)) {
    pmn_onnx_view swapped = *a;
    *a = *b;
    *b = swapped;
  }
  for (int32_t d = 0; d < rank; d++)
    if (b->dims[d] != 1 && b->dims[d] != a->dims[d])
      return pmn_onnx_refuse(self, "two tensors that both have to be spread over the other, or do not fit");
  pmn_onnx_layout layout;
  if (!factor_layout(a, b, &layout)) { /* as a picture, dimensions are axes */
    if (rank != 4 || a->dims[0] != 1) return pmn_onnx_refuse(self, "spreads a tensor over one of %d dimensions", rank);
    layout = pmn_onnx_layout_image((int32_t)a->dims[2], (int32_t)a->dims[3], (int32_t)a->dims[1]);
    if (!pmn_onnx_view_arrange(a, self->graph, NULL, &layout) || !factor_layout(a, b, &layout))
      return pmn_onnx_refuse(self, "spreads a tensor over one of another order");
  }
  return pmn_onnx_view_arrange(b, self->graph, NULL, &layout);
}

/* Repeats what has 1 pixel in a direction, or 1 channel, until it has the shape of `like`. */
static bool spread(pmn_onnx_lowering *self, const pmn_onnx_layout *like, pmn_onnx_view *view) {
  pmn_onnx_layout is = view->layout;
  if (is.c != like->c) {
    size_t count = (size_t)like->c;
    float *ones = pmn_alloc_aligned(count, sizeof *ones);
    for (size_t i = 0; ones != NULL && i < count; i++) ones[i] = 1.0f;
    pmn_window one = pmn_window_square(1, 1);
    view->node = pmn_graph_conv2d(self->graph, NULL, view->node, &one, 1, like->c, ones, NULL);
  }
  if (is.h != like->h || is.w != like->w) {
    size_t lines = (size_t)like->h + (size_t)like->w;
    float *taps = pmn_calloc(lines * 3, sizeof *taps);
    for (size_t i = 0; taps != NULL && i < lines; i++) {
      bool row = i < (size_t)like->h;
      float at = row ? (is.h == 1 ? 0.0f : (float)i) : (is.w == 1 ? 0.0f : (float)(i - (size_t)like->h));
      taps[3 * i] = taps[3 * i + 1] = at;
    }
    view->node = pmn_graph_resize(self->graph, NULL, view->node, like->h, like->w, taps);
  }
  view->layout = *like;
  return !pmn_graph_failed(self->graph);
}

/* a + b, of which `name` is the result's. */
static bool add(pmn_onnx_lowering *self, bool named, pmn_onnx_view *a, pmn_onnx_view *b) {
  if (!match(self, a, b) || !spread(self, &a->layout, b)) return false;
  a->node = pmn_graph_add(self->graph, named ? pmn_onnx_output_name(self, a) : NULL, a->node, b->node);
  return true;
}

static void multiply(pmn_onnx_lowering *self, pmn_onnx_view *a, pmn_onnx_view *b) {
  if (!match(self, a, b)) return;
  a->node = pmn_graph_multiply(self->graph, pmn_onnx_output_name(self, a), a->node, b->node);
  pmn_onnx_output_view(self, 0, a);
}

/* ------------------------------------------------------------------------------------ activations in parts -- */

/* x * f(x), the node being f: an activation of x by itself. */
static bool gated_activation(const pmn_onnx_lowering *self, pmn_onnx_id x, pmn_onnx_id gate, pmn_activation *found) {
  const pmn_onnx_node *node = pmn_onnx_writer(self, gate, "Sigmoid");
  *found = PMN_ACTIVATION_SILU;
  if (node != NULL) return node->inputs[0] == x;
  node = pmn_onnx_writer(self, gate, "HardSigmoid");
  *found = PMN_ACTIVATION_HARD_SWISH;
  if (node != NULL) {
    bool sixth = fabsf(pmn_onnx_attribute_float(node, "alpha", 0.2f) - 1.0f / 6.0f) < 1e-6f;
    return node->inputs[0] == x && sixth && pmn_onnx_attribute_float(node, "beta", 0.5f) == 0.5f;
  }
  node = pmn_onnx_writer(self, gate, "Tanh");
  *found = PMN_ACTIVATION_MISH;
  if (node != NULL) node = pmn_onnx_writer(self, node->inputs[0], "Softplus");
  return node != NULL && node->inputs[0] == x;
}

/* Mul of a tensor x, or a multiple of it, with k (1 + erf(x / sqrt(2))): 2 k gelu(x). */
static void multiply_gate(pmn_onnx_lowering *self, int32_t gate_index) {
  const pmn_onnx_item *gate = pmn_onnx_input_item(self, gate_index), *item = pmn_onnx_input_item(self, 1 - gate_index);
  double number;
  if (pmn_onnx_value_scalar(item->constant, &number)) {
    pmn_onnx_item output = *gate;
    output.gate *= number;
    pmn_onnx_output_item(self, &output);
    return;
  }
  bool same = item->kind == PMN_ONNX_COMPUTED && item->base == gate->view.node &&
              pmn_onnx_layout_equal(&item->view.layout, &gate->view.layout) && same_dims(&item->view, &gate->view);
  if (!same) {
    pmn_onnx_refuse(self, "1 + Erf times another tensor than in GELU");
    return;
  }
  pmn_onnx_item gelu = *item;
  gelu.base = pmn_graph_activation(self->graph, NULL, item->base, PMN_ACTIVATION_GELU, 0, -INFINITY, INFINITY);
  gelu.scale = 1;
  pmn_onnx_output_scaled(self, &gelu, 2 * gate->gate * item->scale);
}

/* ----------------------------------------------------------------------------------------------- operators -- */

static void lower_multiply(pmn_onnx_lowering *self) {
  pmn_onnx_view a, b;
  const pmn_onnx_node *node = self->node;
  if (node->input_count != 2 || !pmn_onnx_input_has(self, 0) || !pmn_onnx_input_has(self, 1)) {
    pmn_onnx_refuse(self, "%d inputs", node->input_count);
    return;
  }
  for (int32_t i = 0; i < 2; i++) {
    if (pmn_onnx_input_item(self, i)->kind == PMN_ONNX_GATE) {
      multiply_gate(self, i);
      return;
    }
  }
  for (int32_t i = 0; i < 2; i++) {
    const pmn_onnx_value *value = pmn_onnx_input_constant(self, i);
    if (value == NULL) continue;
    by_constant(self, 1 - i, value);
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &a) || !pmn_onnx_input_view(self, 1, &b)) return;
  pmn_activation found;
  for (int32_t i = 0; i < 2; i++) {
    if (!gated_activation(self, node->inputs[i], node->inputs[1 - i], &found)) continue;
    pmn_onnx_view *x = i == 0 ? &a : &b;
    x->node = pmn_graph_activation(self->graph, pmn_onnx_output_name(self, x), x->node, found, 0, -INFINITY, INFINITY);
    pmn_onnx_output_view(self, 0, x);
    return;
  }
  multiply(self, &a, &b);
}

static void lower_divide(pmn_onnx_lowering *self) {
  const pmn_onnx_value *by = pmn_onnx_input_constant(self, 1);
  const pmn_onnx_item *deviation = pmn_onnx_input_item(self, 1);
  if (deviation != NULL && deviation->kind == PMN_ONNX_DEVIATION && deviation->centred == self->node->inputs[0]) {
    pmn_onnx_view view = deviation->view;
    pmn_onnx_normalise(self, deviation->mask, (float)deviation->gate, NULL, NULL, &view);
    return;
  }
  if (by == NULL) {
    pmn_onnx_refuse(self, "divides by a tensor");
  } else {
    by_constant(self, 0, by);
  }
}

/* Add, Sub and Sum: any number of tensors, and at most one constant, which comes last. */
static void lower_add(pmn_onnx_lowering *self) {
  int32_t count = self->node->input_count, tensors = 0, constant = -1;
  bool minus = strcmp(self->node->op, "Sub") == 0;
  pmn_onnx_view sum = {.node = -1}, next;
  for (int32_t i = 0; i < count; i++) {
    bool is_constant = pmn_onnx_input_constant(self, i) != NULL;
    if (is_constant && constant >= 0) {
      pmn_onnx_refuse(self, "adds two constants to a tensor");
      return;
    }
    if (is_constant) constant = i;
    tensors += is_constant ? 0 : 1;
  }
  const pmn_onnx_item *first = pmn_onnx_input_item(self, constant == 0 ? 1 : 0);
  double number = 0;
  if (count == 2 && first != NULL && first->kind == PMN_ONNX_ERF &&
      pmn_onnx_value_scalar(pmn_onnx_input_constant(self, constant), &number) && number == 1 && !minus) {
    pmn_onnx_item gate = *first;
    gate.kind = PMN_ONNX_GATE;
    gate.gate = 1;
    pmn_onnx_output_item(self, &gate);
    return;
  }
  if (constant >= 0 && count == 2) {
    by_constant(self, 1 - constant, pmn_onnx_input_constant(self, constant));
    return;
  }
  if (count != 2 && strcmp(self->node->op, "Sum") != 0) {
    pmn_onnx_refuse(self, "%d inputs", count);
    return;
  }
  if (constant >= 0 || tensors == 0) {
    pmn_onnx_refuse(self, "adds a constant to %d tensors", tensors);
    return;
  }
  for (int32_t i = 0; i < count; i++) {
    if (!pmn_onnx_input_view(self, i, &next)) return;
    if (minus && i == 1) { /* a - b = a + (-1) b */
      static const int64_t ones[PMN_ONNX_RANK_MAX] = {1, 1, 1, 1, 1, 1, 1, 1};
      double *scale = pmn_alloc(1, sizeof *scale), *shift = pmn_calloc(1, sizeof *shift);
      if (scale != NULL) *scale = -1;
      if (!pmn_onnx_affine(self, ones, scale, shift, false, &next)) return;
    }
    if (i == 0) {
      sum = next;
    } else if (!add(self, i == count - 1, &sum, &next)) {
      return;
    }
  }
  pmn_onnx_output_view(self, 0, &sum);
}

/* x^2 and x^3: products; the sum of squares and the tanh form of GELU need them. */
static void lower_power(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  double exponent = 0;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  bool number = pmn_onnx_value_scalar(pmn_onnx_input_constant(self, 1), &exponent);
  if (!number || (exponent != 2 && exponent != 3)) {
    pmn_onnx_refuse(self, "an exponent that is neither 2 nor 3");
    return;
  }
  pmn_node x = view.node;
  const char *name = pmn_onnx_output_name(self, &view);
  view.node = pmn_graph_multiply(self->graph, exponent == 2 ? name : NULL, x, x);
  if (exponent == 3) view.node = pmn_graph_multiply(self->graph, name, view.node, x);
  pmn_onnx_output_view(self, 0, &view);
}

static void lower_negate(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  if (pmn_onnx_input_view(self, 0, &view)) pmn_onnx_output_scaled(self, pmn_onnx_input_item(self, 0), -1);
}

const pmn_onnx_operator pmn_onnx_operators_arithmetic[] = {
    {"Add", 7, 22, lower_add},
    {"Sub", 7, 22, lower_add},
    {"Sum", 6, 22, lower_add},
    {"Mul", 7, 22, lower_multiply},
    {"Div", 7, 22, lower_divide},
    {"Neg", 6, 22, lower_negate},
    {"Pow", 7, 22, lower_power},
    {NULL, 0, 0, NULL},
};
