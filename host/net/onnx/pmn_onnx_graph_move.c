/* pmn_onnx_graph_move.c - operators that put tensors together, take parts of them, and pad them. */
#include "pmn_onnx_lowering.h"
#include "pmn_onnx_value.h"

#include "pmn_mem.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* --------------------------------------------------------------------------------------------------- concat -- */

/* The layout in which an input of a concatenation must be, so that its part of the result is a run of channels:
 * pictures joined at their channels stay pictures; everything else is rows of what follows the axis. */
static pmn_onnx_layout concat_layout(const int64_t *dims, int32_t rank, int32_t axis) {
  if (rank == 4 && dims[0] == 1 && axis == 1)
    return pmn_onnx_layout_image((int32_t)dims[2], (int32_t)dims[3], (int32_t)dims[1]);
  if (rank == 4 && dims[0] == 1 && axis == 3)
    return pmn_onnx_layout_flat((int32_t)dims[1], (int32_t)dims[2], (int32_t)dims[3]);
  int64_t rows = 1, row = 1;
  for (int32_t d = 0; d < rank; d++) *(d < axis ? &rows : &row) *= dims[d];
  return pmn_onnx_layout_flat(1, (int32_t)rows, (int32_t)row);
}

/* A constant beside the tensor `like`: as many slices of that as it has along the axis, times 0, plus the constant. */
static bool constant_view(pmn_onnx_lowering *self, const pmn_onnx_value *value, const pmn_onnx_view *like, int32_t axis,
    pmn_onnx_view *view) {
  bool fits = value->rank == like->rank && value->count > 0;
  for (int32_t d = 0; fits && d < like->rank; d++) fits = d == axis || value->dims[d] == like->dims[d];
  if (!fits) return pmn_onnx_refuse(self, "a constant of another shape than the tensors");
  static const int64_t zero = 0;
  *view = *like;
  if (!pmn_onnx_view_pick(view, self->graph, NULL, axis, &zero, 1) ||
      !pmn_onnx_view_expand(view, self->graph, value->dims))
    return false;
  double *scale = pmn_calloc(value->count, sizeof *scale), *shift = pmn_alloc(value->count, sizeof *shift);
  for (size_t i = 0; shift != NULL && i < value->count; i++) shift[i] = pmn_onnx_value_at(value, i);
  return pmn_onnx_affine(self, value->dims, scale, shift, false, view);
}

/* The first input that is not constant, whose dimensions but one are those of all. */
static bool concat_model(pmn_onnx_lowering *self, pmn_onnx_view *view) {
  int32_t first = 0;
  while (pmn_onnx_input_constant(self, first) != NULL) first++;
  return pmn_onnx_input_view(self, first, view);
}

/* Input `index` laid out for the concatenation with `first`. */
static bool concat_input(
    pmn_onnx_lowering *self, int32_t index, const pmn_onnx_view *first, int32_t axis, pmn_onnx_view *view) {
  const pmn_onnx_value *constant = pmn_onnx_input_constant(self, index);
  bool good =
      constant != NULL ? constant_view(self, constant, first, axis, view) : pmn_onnx_input_view(self, index, view);
  if (!good) return false;
  bool fits = view->rank == first->rank;
  for (int32_t d = 0; fits && d < view->rank; d++) fits = d == axis || view->dims[d] == first->dims[d];
  if (!fits) return pmn_onnx_refuse(self, "input %d is of another shape than those before it", index);
  pmn_onnx_layout layout = concat_layout(view->dims, view->rank, axis);
  return pmn_onnx_view_arrange(view, self->graph, NULL, &layout);
}

static void lower_concat(pmn_onnx_lowering *self) {
  pmn_onnx_view first, view, result;
  int32_t count = self->node->input_count, axis;
  int64_t along = 0;
  if (!concat_model(self, &first) ||
      !pmn_onnx_axis(self, pmn_onnx_attribute_int(self->node, "axis", 1), first.rank, &axis))
    return;
  pmn_node *nodes = pmn_calloc((size_t)count, sizeof *nodes);
  if (nodes == NULL) {
    pmn_onnx_refuse_memory(self, (size_t)count);
    return;
  }
  bool good = true;
  for (int32_t i = 0; good && i < count; i++) {
    good = concat_input(self, i, &first, axis, &view);
    nodes[i] = view.node;
    along += view.dims[axis];
  }
  result = first;
  result.dims[axis] = along;
  int64_t others = pmn_onnx_view_size(&first) / first.dims[axis];
  if (good && along > INT32_MAX / others) good = pmn_onnx_refuse(self, "gives 2^31 elements or more");
  if (good) {
    result.layout = concat_layout(result.dims, result.rank, axis);
    result.node = pmn_graph_concat(self->graph, pmn_onnx_output_name(self, &result), nodes, count);
    pmn_onnx_output_view(self, 0, &result);
  }
  pmn_free(nodes);
}

/* ---------------------------------------------------------------------------------------------------- parts -- */

/* A part of the tensor as output `index`. */
static bool output_part(pmn_onnx_lowering *self, int32_t index, const pmn_onnx_view *of, const int64_t *starts,
    const int64_t *counts, const int64_t *steps) {
  pmn_onnx_view view = *of;
  bool whole = true;
  for (int32_t d = 0; d < view.rank; d++) whole = whole && counts[d] == view.dims[d] && steps[d] > 0;
  if (!whole && !pmn_onnx_view_slice(&view, self->graph, NULL, starts, counts, steps)) return false;
  pmn_onnx_output_view(self, index, &view);
  return true;
}

/* Sizes of the outputs: given, or as equal as can be (num_outputs: the last may be smaller). */
static bool split_size(pmn_onnx_lowering *self, const pmn_onnx_value *sizes, const pmn_onnx_attribute *attribute,
    int64_t extent, int32_t index, int64_t *size) {
  int32_t outputs = self->node->output_count;
  size_t given = attribute != NULL ? attribute->count : sizes != NULL ? sizes->count : (size_t)outputs;
  if (given != (size_t)outputs) return pmn_onnx_refuse(self, "%zu sizes of %d outputs", given, outputs);
  if (attribute != NULL) {
    *size = attribute->integers[index];
  } else if (sizes != NULL) {
    *size = sizes->ints[index];
  } else {
    int64_t part = (extent + outputs - 1) / outputs;
    *size = index < outputs - 1 ? part : extent - part * (outputs - 1);
  }
  return true;
}

static void lower_split(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int32_t axis;
  const pmn_onnx_attribute *attribute = pmn_onnx_attribute_find(self->node, "split");
  const pmn_onnx_value *sizes = pmn_onnx_input_constant(self, 1);
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_input_known(self, 1, "sizes") ||
      !pmn_onnx_axis(self, pmn_onnx_attribute_int(self->node, "axis", 0), view.rank, &axis))
    return;
  int64_t outputs = pmn_onnx_attribute_int(self->node, "num_outputs", self->node->output_count);
  if (outputs != self->node->output_count) {
    pmn_onnx_refuse(self, "num_outputs is %lld, but it has %d", (long long)outputs, self->node->output_count);
    return;
  }
  if ((attribute != NULL && attribute->kind != PMN_ONNX_ATTRIBUTE_INTS) || (sizes != NULL && sizes->ints == NULL)) {
    pmn_onnx_refuse(self, "sizes are no whole numbers");
    return;
  }
  int64_t starts[PMN_ONNX_RANK_MAX] = {0}, counts[PMN_ONNX_RANK_MAX], steps[PMN_ONNX_RANK_MAX], at = 0;
  for (int32_t d = 0; d < view.rank; d++) {
    counts[d] = view.dims[d];
    steps[d] = 1;
  }
  for (int32_t i = 0; i < self->node->output_count; i++) {
    if (!split_size(self, sizes, attribute, view.dims[axis], i, &counts[axis])) return;
    if (counts[axis] < 1 || counts[axis] > view.dims[axis] - at) {
      pmn_onnx_refuse(self, "output %d of %lld, at %lld of %lld", i, (long long)counts[axis], (long long)at,
          (long long)view.dims[axis]);
      return;
    }
    starts[axis] = at;
    at += counts[axis];
    if (!output_part(self, i, &view, starts, counts, steps)) return;
  }
  if (at != view.dims[axis])
    pmn_onnx_refuse(self, "sizes of %lld together, of %lld", (long long)at, (long long)view.dims[axis]);
}

/* Bounds are attributes until opset 9, then inputs. */
static void lower_slice(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t first[PMN_ONNX_RANK_MAX], end[PMN_ONNX_RANK_MAX], axes[PMN_ONNX_RANK_MAX], step[PMN_ONNX_RANK_MAX];
  int64_t starts[PMN_ONNX_RANK_MAX], counts[PMN_ONNX_RANK_MAX], steps[PMN_ONNX_RANK_MAX];
  int32_t count, end_count, axis_count, step_count, axis;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_list(self, "starts", 1, first, &count) ||
      !pmn_onnx_list(self, "ends", 2, end, &end_count) || !pmn_onnx_list(self, "axes", 3, axes, &axis_count) ||
      !pmn_onnx_list(self, "steps", 4, step, &step_count))
    return;
  bool fits = count == end_count && (axis_count < 0 || axis_count == count) && (step_count < 0 || step_count == count);
  if (!fits || count < 0 || count > view.rank) {
    pmn_onnx_refuse(self, "%d starts, %d ends, %d axes, %d steps", count, end_count, axis_count, step_count);
    return;
  }
  for (int32_t d = 0; d < view.rank; d++) {
    starts[d] = 0;
    counts[d] = view.dims[d];
    steps[d] = 1;
  }
  for (int32_t i = 0; i < count; i++) {
    if (!pmn_onnx_axis(self, axis_count < 0 ? i : axes[i], view.rank, &axis)) return;
    steps[axis] = step_count < 0 ? 1 : step[i];
    if (steps[axis] != 0)
      pmn_onnx_slice_bounds(view.dims[axis], first[i], end[i], &steps[axis], &starts[axis], &counts[axis]);
    if (steps[axis] == 0 || counts[axis] == 0) {
      pmn_onnx_refuse(self, "nothing from %lld to %lld by %lld of %lld", (long long)first[i], (long long)end[i],
          (long long)steps[axis], (long long)view.dims[axis]);
      return;
    }
  }
  output_part(self, 0, &view, starts, counts, steps);
}

/* Whether the indices are all of the dimension in its order. */
static bool are_all(const int64_t *indices, int64_t count, int64_t extent) {
  for (int64_t i = 0; i < count; i++)
    if (indices[i] != i) return false;
  return count == extent;
}

/* Indices that are known: the dimension takes their shape. */
static void lower_gather(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  const pmn_onnx_value *indices = pmn_onnx_input_constant(self, 1);
  int32_t axis;
  if (indices == NULL || indices->ints == NULL || indices->count == 0) {
    pmn_onnx_refuse(self, "indices that are not constant");
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &view) ||
      !pmn_onnx_axis(self, pmn_onnx_attribute_int(self->node, "axis", 0), view.rank, &axis))
    return;
  int32_t rank = view.rank - 1 + indices->rank;
  int64_t extent = view.dims[axis], count = (int64_t)indices->count, dims[PMN_ONNX_RANK_MAX];
  if (rank > PMN_ONNX_RANK_MAX) {
    pmn_onnx_refuse(self, "%d dimensions", rank);
    return;
  }
  int64_t *list = pmn_alloc(indices->count, sizeof *list);
  if (list == NULL) {
    pmn_onnx_refuse_memory(self, indices->count);
    return;
  }
  bool good = true;
  for (int64_t i = 0; good && i < count; i++) {
    list[i] = indices->ints[i];
    good = list[i] >= -extent && list[i] < extent;
    if (!good) pmn_onnx_refuse(self, "index %lld of %lld", (long long)list[i], (long long)extent);
    if (list[i] < 0) list[i] += extent;
  }
  if (good && !are_all(list, count, extent)) good = pmn_onnx_view_pick(&view, self->graph, NULL, axis, list, count);
  pmn_free(list);
  if (!good) return;
  for (int32_t d = 0; d < rank; d++) {
    bool index = d >= axis && d < axis + indices->rank;
    dims[d] = index ? indices->dims[d - axis] : view.dims[d < axis ? d : d - indices->rank + 1];
  }
  memcpy(view.dims, dims, sizeof dims);
  view.rank = rank;
  pmn_onnx_output_view(self, 0, &view);
}

/* ------------------------------------------------------------------------------------------------------ pad -- */

/* What is put around the tensor: an attribute until opset 10, then an input. */
static bool pad_value(pmn_onnx_lowering *self, double *value) {
  *value = (double)pmn_onnx_attribute_float(self->node, "value", 0.0f);
  if (!pmn_onnx_input_has(self, 2)) return true;
  if (pmn_onnx_value_scalar(pmn_onnx_input_constant(self, 2), value)) return true;
  return pmn_onnx_refuse(self, "pads with a value that is not a constant number");
}

/* The padding before and behind each dimension, and the dimensions that have any. */
static bool read_pads(pmn_onnx_lowering *self, int32_t rank, int64_t before[PMN_ONNX_RANK_MAX],
    int64_t behind[PMN_ONNX_RANK_MAX], uint32_t *mask) {
  int64_t list[PMN_ONNX_RANK_MAX], axes[PMN_ONNX_RANK_MAX];
  int32_t count, axis_count, axis;
  if (!pmn_onnx_list(self, "pads", 1, list, &count) || !pmn_onnx_list(self, "axes", 3, axes, &axis_count)) return false;
  int32_t padded = axis_count < 0 ? rank : axis_count;
  if (count != 2 * padded) return pmn_onnx_refuse(self, "%d pads of %d dimensions", count, padded);
  *mask = 0;
  memset(before, 0, PMN_ONNX_RANK_MAX * sizeof *before);
  memset(behind, 0, PMN_ONNX_RANK_MAX * sizeof *behind);
  for (int32_t i = 0; i < padded; i++) {
    if (!pmn_onnx_axis(self, axis_count < 0 ? i : axes[i], rank, &axis)) return false;
    before[axis] = list[i];
    behind[axis] = list[i + padded];
    if (before[axis] != 0 || behind[axis] != 0) *mask |= 1u << axis;
    bool huge =
        before[axis] > 1 << 20 || behind[axis] > 1 << 20 || before[axis] < -(1 << 20) || behind[axis] < -(1 << 20);
    if (huge) return pmn_onnx_refuse(self, "pads of %lld and %lld", (long long)list[i], (long long)list[i + padded]);
  }
  return true;
}

/* Pads with the tensor's own elements: the last ones repeated, or those before them mirrored. */
static bool pad_by_pixels(
    pmn_onnx_lowering *self, const int64_t *before, const int64_t *behind, bool edge, pmn_onnx_view *view) {
  for (int32_t d = 0; d < view->rank; d++) {
    int64_t extent = view->dims[d], last = extent - 1, count = before[d] + extent + behind[d];
    if (before[d] == 0 && behind[d] == 0) continue;
    bool reach = edge || (before[d] < extent && behind[d] < extent);
    if (before[d] < 0 || behind[d] < 0 || !reach) {
      return pmn_onnx_refuse(self, "pads of %lld and %lld around %lld, by its own elements", (long long)before[d],
          (long long)behind[d], (long long)extent);
    }
    int64_t *indices = pmn_alloc((size_t)count, sizeof *indices);
    if (indices == NULL) {
      pmn_onnx_refuse_memory(self, (size_t)count);
      return false;
    }
    for (int64_t i = 0; i < count; i++) {
      int64_t at = i - before[d], mirrored = at < 0 ? -at : at > last ? 2 * last - at : at;
      indices[i] = edge ? (at < 0 ? 0 : at > last ? last : at) : mirrored;
    }
    bool good = pmn_onnx_view_pick(view, self->graph, NULL, d, indices, count);
    pmn_free(indices);
    if (!good) return false;
  }
  return true;
}

static void lower_pad(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t before[PMN_ONNX_RANK_MAX], behind[PMN_ONNX_RANK_MAX];
  uint32_t mask = 0;
  int32_t h, w;
  double value;
  const char *mode = pmn_onnx_attribute_text(self->node, "mode", "constant");
  if (!pad_value(self, &value)) return;
  bool lowest = value <= -(double)FLT_MAX;
  bool constant = strcmp(mode, "constant") == 0, edge = strcmp(mode, "edge") == 0;
  if (!constant && !edge && strcmp(mode, "reflect") != 0) {
    pmn_onnx_refuse(self, "mode %.32s", mode);
    return;
  }
  if (constant && value != 0 && !lowest) {
    pmn_onnx_refuse(self, "value %g: only zeros are put around pictures", value);
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &view) || !read_pads(self, view.rank, before, behind, &mask)) return;
  if (mask == 0) {
    pmn_onnx_output_view(self, 0, &view);
    return;
  }
  if (!constant) {
    if (pad_by_pixels(self, before, behind, edge, &view)) pmn_onnx_output_view(self, 0, &view);
    return;
  }
  if (!pmn_onnx_spatial(self, mask, &view, &h, &w)) return;
  int64_t height = view.dims[h] + before[h] + behind[h], width = view.dims[w] + before[w] + behind[w];
  int32_t top = (int32_t)before[h], left = (int32_t)before[w], bottom = (int32_t)behind[h], right = (int32_t)behind[w];
  if (height < 1 || width < 1) {
    pmn_onnx_refuse(self, "crops everything");
  } else if (lowest && (h != 2 || top < 0 || left < 0 || bottom < 0 || right < 0)) {
    pmn_onnx_refuse(self, "pads something else than [1, channels, height, width] with -infinity");
  } else if (lowest) {
    pmn_onnx_item item = {.kind = PMN_ONNX_PADDED, .view = view, .base = view.node, .pads = {top, left, bottom, right}};
    pmn_onnx_output_item(self, &item);
  } else {
    pmn_node node = pmn_graph_pad(self->graph, pmn_onnx_output_name(self, NULL), view.node, top, left, bottom, right);
    view.dims[h] = height;
    view.dims[w] = width;
    view = h == 2 ? pmn_onnx_view_image(self->graph, node) : pmn_onnx_view_flat(self->graph, node, view.dims, 4);
    pmn_onnx_output_view(self, 0, &view);
  }
}

const pmn_onnx_operator pmn_onnx_operators_move[] = {
    {"Concat", 4, 22, lower_concat},
    {"Split", 2, 22, lower_split},
    {"Slice", 1, 22, lower_slice},
    {"Gather", 1, 22, lower_gather},
    {"Pad", 2, 22, lower_pad},
    {NULL, 0, 0, NULL},
};
