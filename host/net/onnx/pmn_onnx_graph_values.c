/* pmn_onnx_graph_values.c - inputs, outputs, constants and axes of nodes: what all operators share. */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

/* -------------------------------------------------------------------------------------------------- inputs -- */

bool pmn_onnx_input_has(const pmn_onnx_lowering *self, int32_t index) {
  return index >= 0 && index < self->node->input_count && self->node->inputs[index] != PMN_ONNX_NONE;
}

pmn_onnx_item *pmn_onnx_input_item(pmn_onnx_lowering *self, int32_t index) {
  return pmn_onnx_input_has(self, index) ? &self->items[self->node->inputs[index]] : NULL;
}

bool pmn_onnx_input_view(pmn_onnx_lowering *self, int32_t index, pmn_onnx_view *view) {
  const pmn_onnx_item *item = pmn_onnx_input_item(self, index);
  if (item == NULL) return pmn_onnx_refuse(self, "input %d is missing", index);
  switch (item->kind) {
  case PMN_ONNX_COMPUTED:
    *view = item->view;
    return true;
  case PMN_ONNX_ERF:
  case PMN_ONNX_GATE:
    return pmn_onnx_refuse(self, "reads Erf, which is only taken as a part of GELU");
  case PMN_ONNX_DEVIATION:
    return pmn_onnx_refuse(self, "reads Sqrt, which is only taken as a part of LayerNorm");
  case PMN_ONNX_PADDED:
    return pmn_onnx_refuse(self, "reads padding of -infinity, which only MaxPool may");
  case PMN_ONNX_CONSTANT:
    return pmn_onnx_refuse(self, "input %d is constant", index);
  case PMN_ONNX_UNKNOWN: /* whoever should have written it is listed */
    return false;
  }
  return false;
}

const pmn_onnx_value *pmn_onnx_input_constant(pmn_onnx_lowering *self, int32_t index) {
  const pmn_onnx_item *item = pmn_onnx_input_item(self, index);
  return item != NULL && item->kind == PMN_ONNX_CONSTANT ? item->constant : NULL;
}

bool pmn_onnx_input_known(pmn_onnx_lowering *self, int32_t index, const char *what) {
  if (!pmn_onnx_input_has(self, index) || pmn_onnx_input_constant(self, index) != NULL) return true;
  return pmn_onnx_refuse(self, "%s are computed, not constant", what);
}

bool pmn_onnx_input_image(pmn_onnx_lowering *self, int32_t index, pmn_onnx_view *view) {
  if (!pmn_onnx_input_view(self, index, view)) return false;
  const pmn_onnx_item *item = pmn_onnx_input_item(self, index);
  if (view->rank != 4 || view->dims[0] != 1) {
    return pmn_onnx_refuse(self, "its input has %d dimensions and a batch of %lld, not [1, channels, height, width]",
        view->rank, view->rank > 0 ? (long long)view->dims[0] : 1);
  }
  pmn_onnx_layout image = pmn_onnx_layout_image((int32_t)view->dims[2], (int32_t)view->dims[3], (int32_t)view->dims[1]);
  if (pmn_onnx_layout_equal(&view->layout, &image)) return true;
  pmn_tensor t = pmn_graph_shape(self->graph, item->published);
  if (item->published >= 0 && pmn_onnx_node_is_image(self, item->published) && t.h == image.h && t.w == image.w) {
    view->node = item->published;
    view->layout = image;
    return true;
  }
  return pmn_onnx_view_arrange(view, self->graph, NULL, &image);
}

/* ------------------------------------------------------------------------------------------------- outputs -- */

/* Output `index`; NULL if the node has none. */
static pmn_onnx_item *output_item(pmn_onnx_lowering *self, int32_t index) {
  bool has = index < self->node->output_count && self->node->outputs[index] != PMN_ONNX_NONE;
  return has ? &self->items[self->node->outputs[index]] : NULL;
}

bool pmn_onnx_output_read(pmn_onnx_lowering *self, int32_t index) {
  const pmn_onnx_item *item = output_item(self, index);
  return item != NULL && item->read;
}

void pmn_onnx_output_item(pmn_onnx_lowering *self, const pmn_onnx_item *item) {
  pmn_onnx_item *output = output_item(self, 0);
  if (output == NULL) return;
  pmn_onnx_item own = *output;
  *output = *item;
  output->published = -1;
  output->writer = own.writer;
  output->read = own.read;
}

void pmn_onnx_output_view(pmn_onnx_lowering *self, int32_t index, const pmn_onnx_view *view) {
  pmn_onnx_item *item = output_item(self, index);
  if (item == NULL) return;
  item->kind = PMN_ONNX_COMPUTED;
  item->view = *view;
  item->base = view->node;
  item->scale = 1;
}

const pmn_onnx_node *pmn_onnx_writer(const pmn_onnx_lowering *self, pmn_onnx_id id, const char *op) {
  int32_t writer = id == PMN_ONNX_NONE ? -1 : self->items[id].writer;
  if (writer < 0) return NULL;
  const pmn_onnx_node *node = &self->file->nodes[writer];
  return strcmp(node->op, op) == 0 && node->input_count > 0 ? node : NULL;
}

/* ----------------------------------------------------------------------------------------------- constants -- */

double pmn_onnx_value_at(const pmn_onnx_value *value, size_t i) {
  if (value->floats != NULL) return (double)value->floats[i];
  return value->doubles != NULL ? value->doubles[i] : (double)value->ints[i];
}

bool pmn_onnx_value_scalar(const pmn_onnx_value *value, double *number) {
  if (value == NULL || value->count != 1) return false;
  *number = pmn_onnx_value_at(value, 0);
  return true;
}

bool pmn_onnx_finite(pmn_onnx_lowering *self, const pmn_onnx_value *value, const char *what) {
  for (size_t i = 0; i < value->count; i++)
    if (!isfinite(pmn_onnx_value_at(value, i))) return pmn_onnx_refuse(self, "%s that are not finite numbers", what);
  return true;
}

float *pmn_onnx_value_floats(const pmn_onnx_value *value) {
  float *floats = pmn_alloc_aligned(value->count, sizeof *floats);
  for (size_t i = 0; floats != NULL && i < value->count; i++) floats[i] = (float)pmn_onnx_value_at(value, i);
  return floats;
}

bool pmn_onnx_list(
    pmn_onnx_lowering *self, const char *attribute, int32_t index, int64_t list[PMN_ONNX_RANK_MAX], int32_t *count) {
  *count = -1;
  const pmn_onnx_attribute *given = pmn_onnx_attribute_find(self->node, attribute);
  const pmn_onnx_value *value = pmn_onnx_input_constant(self, index);
  if (given != NULL && given->kind == PMN_ONNX_ATTRIBUTE_INTS) {
    if (given->count > PMN_ONNX_RANK_MAX) return pmn_onnx_refuse(self, "%zu %s", given->count, attribute);
    *count = (int32_t)given->count;
    for (int32_t i = 0; i < *count; i++) list[i] = given->integers[i];
  } else if (value != NULL) {
    if (value->ints == NULL || value->count > PMN_ONNX_RANK_MAX)
      return pmn_onnx_refuse(self, "%zu %s, or no whole numbers", value->count, attribute);
    *count = (int32_t)value->count;
    for (int32_t i = 0; i < *count; i++) list[i] = value->ints[i];
  }
  return pmn_onnx_input_known(self, index, attribute);
}

bool pmn_onnx_axis(pmn_onnx_lowering *self, int64_t axis, int32_t rank, int32_t *index) {
  if (axis < -rank || axis >= rank) return pmn_onnx_refuse(self, "axis %lld of %d dimensions", (long long)axis, rank);
  *index = (int32_t)(axis < 0 ? axis + rank : axis);
  return true;
}

/* --------------------------------------------------------------------------------------------------- views -- */

void pmn_onnx_view_widen(pmn_onnx_view *view, int32_t rank) {
  int32_t added = rank - view->rank;
  if (added <= 0) return;
  for (int32_t d = view->rank - 1; d >= 0; d--) view->dims[d + added] = view->dims[d];
  for (int32_t d = 0; d < added; d++) view->dims[d] = 1;
  view->rank = rank;
}

bool pmn_onnx_spatial(pmn_onnx_lowering *self, uint32_t mask, pmn_onnx_view *view, int32_t *h_dim, int32_t *w_dim) {
  if (view->rank != 4 || view->dims[0] != 1 || (mask & 1u) != 0)
    return pmn_onnx_refuse(self, "only two dimensions of four, height and width, can change");
  const int32_t d1 = (int32_t)view->dims[1], d2 = (int32_t)view->dims[2], d3 = (int32_t)view->dims[3];
  pmn_onnx_layout image = pmn_onnx_layout_image(d2, d3, d1), last = pmn_onnx_layout_flat(d1, d2, d3);
  bool may_be_image = (mask >> 1 & 1) == 0, may_be_last = (mask >> 3 & 1) == 0;
  if (!may_be_image && !may_be_last) return pmn_onnx_refuse(self, "channels would change, not height and width alone");
  bool use_last = !may_be_image || (may_be_last && pmn_onnx_layout_equal(&view->layout, &last));
  *h_dim = use_last ? 1 : 2;
  *w_dim = use_last ? 2 : 3;
  return pmn_onnx_view_arrange(view, self->graph, NULL, use_last ? &last : &image);
}

/* ------------------------------------------------------------------------------------------------- affine -- */

/* For every float of the channel axis, the place of its constant; false if constants differ along pixels. */
static bool channel_places(
    const pmn_onnx_view *view, const pmn_onnx_cut *cut, const int64_t *extents, int64_t *places) {
  int64_t channels = view->layout.c, stride = 1;
  for (int64_t c = 0; c < channels; c++) places[c] = 0;
  for (int32_t d = view->rank - 1; d >= 0; d--) {
    int64_t inner = 1;
    for (int32_t i = cut->first[d + 1] - 1; extents[d] > 1 && i >= cut->first[d]; i--) {
      pmn_onnx_factor f = cut->factors[i];
      if (f.stride * f.extent > channels) return false;
      for (int64_t c = 0; c < channels; c++) places[c] += c / f.stride % f.extent * inner * stride;
      inner *= f.extent;
    }
    stride *= extents[d];
  }
  return true;
}

static double *gather(const double *from, const int64_t *places, size_t count) {
  double *to = pmn_alloc(count, sizeof *to);
  for (size_t i = 0; to != NULL && i < count; i++) to[i] = from[places[i]];
  return to;
}

bool pmn_onnx_affine(
    pmn_onnx_lowering *self, const int64_t *extents, double *scale, double *shift, bool named, pmn_onnx_view *view) {
  pmn_onnx_cut cut;
  int64_t *places = NULL;
  bool good = scale != NULL && shift != NULL && pmn_onnx_view_settle(view, self->graph, &cut);
  if (good) places = pmn_alloc((size_t)view->layout.c, sizeof *places);
  if (places != NULL && !channel_places(view, &cut, extents, places)) { /* then every float has constants of its own */
    pmn_onnx_layout row = pmn_onnx_layout_flat(1, 1, (int32_t)pmn_onnx_view_size(view));
    pmn_free(places);
    good = pmn_onnx_view_arrange(view, self->graph, NULL, &row) && pmn_onnx_view_cut(view, &cut);
    places = good ? pmn_alloc((size_t)row.c, sizeof *places) : NULL;
    if (places != NULL) channel_places(view, &cut, extents, places);
  }
  size_t count = (size_t)view->layout.c;
  if (places == NULL) {
    pmn_onnx_refuse_memory(self, count);
    good = false;
  }
  for (size_t c = 0; good && c < count; c++)
    if (!isfinite(scale[places[c]]) || !isfinite(shift[places[c]]))
      good = pmn_onnx_refuse(self, "times %g plus %g", scale[places[c]], shift[places[c]]);
  if (good && pmn_onnx_charge(self, count, 2 * sizeof *scale)) {
    view->node = pmn_graph_affine(self->graph, named ? pmn_onnx_output_name(self, view) : NULL, view->node,
        gather(scale, places, count), gather(shift, places, count));
    good = !pmn_graph_failed(self->graph);
  } else {
    good = false;
  }
  pmn_free(places);
  pmn_free(scale);
  pmn_free(shift);
  return good;
}

pmn_node pmn_onnx_scaled(
    pmn_onnx_lowering *self, const char *name, const pmn_onnx_view *like, pmn_node node, double factor) {
  if (factor == 1) return node;
  size_t channels = (size_t)like->layout.c;
  double *scale = pmn_alloc(channels, sizeof *scale), *shift = pmn_calloc(channels, sizeof *shift);
  for (size_t c = 0; scale != NULL && c < channels; c++) scale[c] = factor;
  return pmn_graph_affine(self->graph, name, node, scale, shift);
}

void pmn_onnx_output_scaled(pmn_onnx_lowering *self, const pmn_onnx_item *item, double factor) {
  double product = item->scale * factor;
  pmn_onnx_view view = item->view;
  view.node = pmn_onnx_scaled(self, pmn_onnx_output_name(self, &view), &view, item->base, product);
  pmn_onnx_output_view(self, 0, &view);
  pmn_onnx_item *output = output_item(self, 0);
  if (output == NULL) return;
  output->base = item->base;
  output->scale = product;
}
