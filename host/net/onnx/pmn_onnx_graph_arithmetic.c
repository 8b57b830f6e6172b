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
  int64_t both[PMN_ONNX_RANK_MAX];
  if (value->count == 0) return pmn_onnx_refuse(self, "a constant without elements");
  pmn_onnx_view_widen(view, value->rank);
  for (int32_t d = 0; d < view->rank; d++) {
    int32_t at = value->rank - view->rank + d;
    extents[d] = at >= 0 ? value->dims[at] : 1;
    both[d] = extents[d] == 1 ? view->dims[d] : extents[d];
    if (view->dims[d] != 1 && view->dims[d] != both[d]) {
      return pmn_onnx_refuse(self, "a constant of %lld along dimension %d, where the tensor has %lld",
          (long long)extents[d], d, (long long)view->dims[d]);
    }
  }
  return pmn_onnx_view_expand(view, self->graph, both);
}

/* A constant with every number the same is a number. */
static bool uniform(const pmn_onnx_value *value, double *number) {
  *number = pmn_onnx_value_at(value, 0);
  for (size_t i = 1; i < value->count; i++)
    if (pmn_onnx_value_at(value, i) != *number) return false;
  return true;
}

typedef enum arithmetic { ADD, SUBTRACT, MULTIPLY, DIVIDE } arithmetic;

/* The view (an input) by a constant, which is the second operand, or the first if `reversed`: output 0. */
static void by_constant(
    pmn_onnx_lowering *self, arithmetic kind, pmn_onnx_view view, const pmn_onnx_value *value, bool reversed) {
  int64_t extents[PMN_ONNX_RANK_MAX];
  if (!pmn_onnx_extents(self, value, &view, extents)) return;
  double *scale = pmn_alloc(value->count, sizeof *scale), *shift = pmn_alloc(value->count, sizeof *shift);
  for (size_t i = 0; scale != NULL && shift != NULL && i < value->count; i++) {
    double k = pmn_onnx_value_at(value, i);
    scale[i] = kind == MULTIPLY ? k : kind == DIVIDE ? 1 / k : kind == SUBTRACT && reversed ? -1 : 1;
    shift[i] = kind == MULTIPLY || kind == DIVIDE ? 0 : kind == SUBTRACT && !reversed ? -k : k;
  }
  if (pmn_onnx_affine(self, extents, scale, shift, true, &view)) pmn_onnx_output_view(self, 0, &view);
}

/* Input `index` times or divided by a constant. */
static void scale_by_constant(pmn_onnx_lowering *self, arithmetic kind, int32_t index, const pmn_onnx_value *value) {
  pmn_onnx_view view;
  int64_t extents[PMN_ONNX_RANK_MAX];
  double number;
  if (!pmn_onnx_input_view(self, index, &view)) return;
  int64_t size = pmn_onnx_view_size(&view);
  if (!pmn_onnx_extents(self, value, &view, extents)) return;
  if (!uniform(value, &number) || pmn_onnx_view_size(&view) != size) {
    by_constant(self, kind, view, value, false);
    return;
  }
  pmn_onnx_item item = *pmn_onnx_input_item(self, index);
  item.view.rank = view.rank;
  memcpy(item.view.dims, view.dims, sizeof view.dims);
  pmn_onnx_output_scaled(self, &item, kind == DIVIDE ? 1 / number : number);
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

/* Brings two tensors into step: of equal dimensions, or `b` to be spread over `a`. Swaps them if need be, and repeats
 * what cannot be spread. */
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
  int64_t both[PMN_ONNX_RANK_MAX];
  for (int32_t d = 0; d < rank; d++) {
    both[d] = a->dims[d] == 1 ? b->dims[d] : a->dims[d];
    if (b->dims[d] != 1 && b->dims[d] != both[d])
      return pmn_onnx_refuse(
          self, "two tensors of %lld and %lld along dimension %d", (long long)a->dims[d], (long long)b->dims[d], d);
  }
  if (!pmn_onnx_view_expand(a, self->graph, both)) return false;
  pmn_onnx_layout layout;
  if (factor_layout(a, b, &layout)) return pmn_onnx_view_arrange(b, self->graph, NULL, &layout);
  if (rank == 4 && a->dims[0] == 1) { /* as a picture, dimensions are axes */
    layout = pmn_onnx_layout_image((int32_t)a->dims[2], (int32_t)a->dims[3], (int32_t)a->dims[1]);
    if (!pmn_onnx_view_arrange(a, self->graph, NULL, &layout)) return false;
    if (factor_layout(a, b, &layout)) return pmn_onnx_view_arrange(b, self->graph, NULL, &layout);
  }
  return pmn_onnx_view_expand(b, self->graph, both) && pmn_onnx_view_arrange(b, self->graph, NULL, &a->layout);
}

/* Repeats what has 1 pixel in a direction, or 1 channel, until it has the shape of `like`. */
static bool spread(pmn_onnx_lowering *self, const pmn_onnx_layout *like, pmn_onnx_view *view) {
  pmn_onnx_layout is = view->layout;
  if (!pmn_onnx_charge(self, (size_t)like->c + (size_t)like->h + (size_t)like->w, 3 * sizeof(float))) return false;
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

/* Mul of a multiple m x of a tensor with k (1 + erf(i x / sqrt(2))): 2 k m / i * gelu(i x). */
static void multiply_gate(pmn_onnx_lowering *self, int32_t gate_index) {
  const pmn_onnx_item *gate = pmn_onnx_input_item(self, gate_index), *item = pmn_onnx_input_item(self, 1 - gate_index);
  double number;
  if (item->kind == PMN_ONNX_UNKNOWN) return;
  if (item->kind == PMN_ONNX_CONSTANT && pmn_onnx_value_scalar(item->constant, &number)) {
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
  double scale = 2 * gate->gate * item->scale / gate->inner;
  gelu.base = pmn_onnx_scaled(self, NULL, &gelu.view, item->base, gate->inner);
  gelu.base = pmn_graph_activation(self->graph, NULL, gelu.base, PMN_ACTIVATION_GELU, 0, -INFINITY, INFINITY);
  gelu.scale = 1;
  pmn_onnx_output_scaled(self, &gelu, scale);
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
    scale_by_constant(self, MULTIPLY, 1 - i, value);
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
    scale_by_constant(self, DIVIDE, 0, by);
  }
}

/* 1 + erf, the second step of a GELU; false if the node is something else. */
static bool add_to_erf(pmn_onnx_lowering *self, int32_t constant) {
  const pmn_onnx_item *erf = pmn_onnx_input_item(self, 1 - constant);
  double number = 0;
  if (erf == NULL || erf->kind != PMN_ONNX_ERF || strcmp(self->node->op, "Sub") == 0) return false;
  if (!pmn_onnx_value_scalar(pmn_onnx_input_constant(self, constant), &number) || number != 1) return false;
  pmn_onnx_item gate = *erf;
  gate.kind = PMN_ONNX_GATE;
  gate.gate = 1;
  pmn_onnx_output_item(self, &gate);
  return true;
}

/* The sum (or difference) of all inputs that are not constant. `named`: it is output 0. */
static bool add_tensors(pmn_onnx_lowering *self, bool named, int32_t last, pmn_onnx_view *sum) {
  bool minus = strcmp(self->node->op, "Sub") == 0;
  pmn_onnx_view next;
  sum->node = -1;
  for (int32_t i = 0; i < self->node->input_count; i++) {
    if (pmn_onnx_input_constant(self, i) != NULL) continue;
    if (!pmn_onnx_input_view(self, i, &next)) return false;
    if (minus && sum->node >= 0) next.node = pmn_onnx_scaled(self, NULL, &next, next.node, -1); /* a - b = a + (-1) b */
    if (sum->node < 0) {
      *sum = next;
    } else if (!add(self, named && i == last, sum, &next)) {
      return false;
    }
  }
  return true;
}

/* Add, Sub and Sum: any number of tensors, and at most one constant, which comes last. */
static void lower_add(pmn_onnx_lowering *self) {
  int32_t count = self->node->input_count, constant = -1, tensor = -1;
  for (int32_t i = 0; i < count; i++) {
    bool is_constant = pmn_onnx_input_constant(self, i) != NULL;
    if (is_constant && constant >= 0) {
      pmn_onnx_refuse(self, "adds two constants to a tensor");
      return;
    }
    *(is_constant ? &constant : &tensor) = i;
  }
  if ((count != 2 && strcmp(self->node->op, "Sum") != 0) || tensor < 0) {
    pmn_onnx_refuse(self, "%d inputs", count);
    return;
  }
  pmn_onnx_view sum;
  if (count == 2 && constant >= 0 && add_to_erf(self, constant)) return;
  if (!add_tensors(self, constant < 0, tensor, &sum)) return;
  bool minus = strcmp(self->node->op, "Sub") == 0;
  if (constant < 0) {
    pmn_onnx_output_view(self, 0, &sum);
  } else {
    by_constant(self, minus ? SUBTRACT : ADD, sum, pmn_onnx_input_constant(self, constant), constant == 0);
  }
}

/* x^2 and x^3: products; the sum of squares and the tanh form of GELU need them. */
static void lower_power(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  double exponent = 0;
  bool number = pmn_onnx_value_scalar(pmn_onnx_input_constant(self, 1), &exponent);
  if (!number || (exponent != 2 && exponent != 3)) {
    pmn_onnx_refuse(self, "an exponent that is neither 2 nor 3");
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &view)) return;
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
