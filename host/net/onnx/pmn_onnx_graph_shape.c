/* pmn_onnx_graph_shape.c - operators that only look at a tensor in another way: nothing is moved (pmn_onnx_view.h). */
#include "pmn_onnx_lowering.h"

#include <string.h>

/* The view with other dimensions of the same number of elements. */
static bool regroup(pmn_onnx_lowering *self, const int64_t *dims, int32_t rank, pmn_onnx_view *view) {
  int64_t size = pmn_onnx_view_size(view), product = 1;
  for (int32_t d = 0; d < rank; d++) {
    if (dims[d] < 1 || dims[d] > size / product)
      return pmn_onnx_refuse(self, "%lld elements do not fit the new shape", (long long)size);
    product *= dims[d];
  }
  if (product != size)
    return pmn_onnx_refuse(self, "%lld elements for a shape of %lld", (long long)size, (long long)product);
  memmove(view->dims, dims, (size_t)rank * sizeof *dims);
  view->rank = rank;
  return true;
}

/* -1 stands for what is left; 0 for the old dimension unless allowzero. */
static void lower_reshape(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t dims[PMN_ONNX_RANK_MAX], known = 1;
  int32_t rank, open = -1;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_list(self, "shape", 1, dims, &rank)) return;
  int64_t size = pmn_onnx_view_size(&view);
  bool zero_copies = pmn_onnx_attribute_int(self->node, "allowzero", 0) == 0;
  for (int32_t d = 0; d < rank; d++) {
    if (dims[d] == 0 && zero_copies && d < view.rank) dims[d] = view.dims[d];
    if (dims[d] == -1 && open < 0) {
      open = d;
    } else if (dims[d] < 1 || dims[d] > size / known) {
      pmn_onnx_refuse(self, "dimension %d becomes %lld of %lld elements", d, (long long)dims[d], (long long)size);
      return;
    } else {
      known *= dims[d];
    }
  }
  if (open >= 0) dims[open] = size / known;
  if (rank < 0) {
    pmn_onnx_refuse(self, "has no shape");
  } else if (regroup(self, dims, rank, &view)) {
    pmn_onnx_output_view(self, 0, &view);
  }
}

static void lower_flatten(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t axis = pmn_onnx_attribute_int(self->node, "axis", 1), dims[2] = {1, 1};
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (axis < 0) axis += view.rank;
  if (axis < 0 || axis > view.rank) {
    pmn_onnx_refuse(self, "axis %lld of %d dimensions", (long long)axis, view.rank);
    return;
  }
  for (int32_t d = 0; d < view.rank; d++) dims[d < axis ? 0 : 1] *= view.dims[d];
  if (regroup(self, dims, 2, &view)) pmn_onnx_output_view(self, 0, &view);
}

/* The node's axes as a mask of dimensions of `rank`; *given is false if there are none. */
static bool read_axes(pmn_onnx_lowering *self, int32_t rank, uint32_t *mask, bool *given) {
  int64_t axes[PMN_ONNX_RANK_MAX];
  int32_t count, axis;
  if (!pmn_onnx_list(self, "axes", 1, axes, &count)) return false;
  *given = count >= 0;
  *mask = 0;
  for (int32_t i = 0; i < count; i++) {
    if (!pmn_onnx_axis(self, axes[i], rank, &axis)) return false;
    if ((*mask >> axis & 1) != 0) return pmn_onnx_refuse(self, "axis %d twice", axis);
    *mask |= 1u << axis;
  }
  return true;
}

static void lower_squeeze(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  uint32_t mask;
  bool given;
  int64_t dims[PMN_ONNX_RANK_MAX];
  int32_t rank = 0;
  if (!pmn_onnx_input_view(self, 0, &view) || !read_axes(self, view.rank, &mask, &given)) return;
  for (int32_t d = 0; d < view.rank; d++) {
    bool drop = given ? (mask >> d & 1) != 0 : view.dims[d] == 1;
    if (!drop) dims[rank++] = view.dims[d];
  }
  if (regroup(self, dims, rank, &view)) pmn_onnx_output_view(self, 0, &view);
}

static void lower_unsqueeze(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  uint32_t mask;
  bool given;
  int64_t list[PMN_ONNX_RANK_MAX], dims[PMN_ONNX_RANK_MAX];
  int32_t added;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_list(self, "axes", 1, list, &added)) return;
  int32_t rank = view.rank + (added > 0 ? added : 0), from = 0;
  if (rank > PMN_ONNX_RANK_MAX) {
    pmn_onnx_refuse(self, "%d dimensions", rank);
    return;
  }
  if (!read_axes(self, rank, &mask, &given)) return;
  for (int32_t d = 0; d < rank; d++) dims[d] = (mask >> d & 1) != 0 ? 1 : view.dims[from++];
  if (regroup(self, dims, rank, &view)) pmn_onnx_output_view(self, 0, &view);
}

static void lower_transpose(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t list[PMN_ONNX_RANK_MAX];
  int32_t count, perm[PMN_ONNX_RANK_MAX];
  uint32_t seen = 0;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_list(self, "perm", -1, list, &count)) return;
  if (count >= 0 && count != view.rank) {
    pmn_onnx_refuse(self, "a permutation of %d for %d dimensions", count, view.rank);
    return;
  }
  for (int32_t d = 0; d < view.rank; d++) {
    if (!pmn_onnx_axis(self, count < 0 ? view.rank - 1 - d : list[d], view.rank, &perm[d])) return;
    seen |= 1u << perm[d];
  }
  if (seen != (1u << view.rank) - 1u) {
    pmn_onnx_refuse(self, "a dimension twice");
  } else if (pmn_onnx_view_transpose(&view, self->graph, perm)) {
    pmn_onnx_output_view(self, 0, &view);
  }
}

/* Pictures to [1, c / b^2, h * b, w * b]: DCR has the block's place before the channel, CRD behind it. */
static void lower_depth_to_space(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t b = pmn_onnx_attribute_int(self->node, "blocksize", 0);
  bool crd = strcmp(pmn_onnx_attribute_text(self->node, "mode", "DCR"), "CRD") == 0;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank != 4 || b < 1 || b > 1 << 15 || view.dims[1] % (b * b) != 0) {
    pmn_onnx_refuse(self, "blocks of %lld on %d dimensions", (long long)b, view.rank);
    return;
  }
  int64_t n = view.dims[0], c = view.dims[1] / (b * b), h = view.dims[2], w = view.dims[3];
  int64_t dcr_dims[6] = {n, b, b, c, h, w}, crd_dims[6] = {n, c, b, b, h, w}, dims[4] = {n, c, h * b, w * b};
  static const int32_t dcr_perm[6] = {0, 3, 4, 1, 5, 2}, crd_perm[6] = {0, 1, 4, 2, 5, 3};
  if (regroup(self, crd ? crd_dims : dcr_dims, 6, &view) &&
      pmn_onnx_view_transpose(&view, self->graph, crd ? crd_perm : dcr_perm) && regroup(self, dims, 4, &view))
    pmn_onnx_output_view(self, 0, &view);
}

static void lower_space_to_depth(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t b = pmn_onnx_attribute_int(self->node, "blocksize", 0);
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank != 4 || b < 1 || b > 1 << 15 || view.dims[2] % b != 0 || view.dims[3] % b != 0) {
    pmn_onnx_refuse(self, "blocks of %lld on %d dimensions", (long long)b, view.rank);
    return;
  }
  int64_t n = view.dims[0], c = view.dims[1], h = view.dims[2] / b, w = view.dims[3] / b;
  int64_t apart[6] = {n, c, h, b, w, b}, dims[4] = {n, c * b * b, h, w};
  static const int32_t perm[6] = {0, 3, 5, 1, 2, 4};
  if (regroup(self, apart, 6, &view) && pmn_onnx_view_transpose(&view, self->graph, perm) &&
      regroup(self, dims, 4, &view))
    pmn_onnx_output_view(self, 0, &view);
}

/* ------------------------------------------------------------------------------- nothing happens in inference -- */

static void lower_identity(pmn_onnx_lowering *self) {
  const pmn_onnx_item *item = pmn_onnx_input_item(self, 0);
  if (item == NULL) {
    pmn_onnx_refuse(self, "has no input");
  } else {
    pmn_onnx_output_item(self, item);
  }
}

static void lower_dropout(pmn_onnx_lowering *self) {
  const pmn_onnx_value *training = pmn_onnx_input_constant(self, 2);
  bool trains =
      pmn_onnx_input_has(self, 2) && (training == NULL || training->count != 1 || pmn_onnx_value_at(training, 0) != 0);
  if (trains || pmn_onnx_output_read(self, 1)) {
    pmn_onnx_refuse(self, "is in training mode, or gives its mask");
    return;
  }
  lower_identity(self);
}

static void lower_cast(pmn_onnx_lowering *self) {
  int64_t to = pmn_onnx_attribute_int(self->node, "to", 0);
  if (to != PMN_ONNX_FLOAT && to != PMN_ONNX_DOUBLE) {
    pmn_onnx_refuse(self, "casts a tensor to data type %lld, not to float", (long long)to);
    return;
  }
  lower_identity(self);
}

const pmn_onnx_operator pmn_onnx_operators_shape[] = {
    {"Reshape", 5, 22, lower_reshape},
    {"Flatten", 1, 22, lower_flatten},
    {"Squeeze", 1, 22, lower_squeeze},
    {"Unsqueeze", 1, 22, lower_unsqueeze},
    {"Transpose", 1, 22, lower_transpose},
    {"DepthToSpace", 1, 22, lower_depth_to_space},
    {"SpaceToDepth", 1, 22, lower_space_to_depth},
    {"Identity", 1, 22, lower_identity},
    {"Dropout", 7, 22, lower_dropout},
    {"Cast", 6, 22, lower_cast},
    {NULL, 0, 0, NULL},
};
