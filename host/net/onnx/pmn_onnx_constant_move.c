/* pmn_onnx_constant_move.c - operators that make, move and choose elements but do not compute with them. Most are one
 * walk over the result with its own strides through the input. */
#include "pmn_onnx_constant.h"

#include <math.h>
#include <string.h>

/* Saturates: sizes above PMN_ONNX_COUNT_MAX are refused when a result is made. */
static int64_t times(int64_t a, int64_t b) {
  int64_t result;
  return __builtin_mul_overflow(a, b, &result) ? INT64_MAX : result;
}

static void copy_elements(pmn_onnx_value *out, int64_t to, const pmn_onnx_value *in, int64_t from, int64_t count) {
  size_t width = pmn_onnx_value_width(in);
  char *target = pmn_onnx_value_data(out);
  const char *source = pmn_onnx_value_data(in);
  memcpy(target + (size_t)to * width, source + (size_t)from * width, (size_t)count * width);
}

/* Fills the output with the elements that the walk's first tensor comes by, from `start` on. */
static void copy_walk(pmn_onnx_value *out, const pmn_onnx_value *in, int64_t start, pmn_onnx_walk *walk) {
  for (int64_t i = 0; i < (int64_t)out->count; i++, pmn_onnx_walk_next(walk)) {
    copy_elements(out, i, in, start + walk->offsets[0], 1);
  }
}

/* ------------------------------------------------------------------------------------------------------- making -- */

static pmn_status run_identity(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  return pmn_onnx_call_reshaped(call, in, in->dims, in->rank);
}

static pmn_status run_constant(const pmn_onnx_call *call) {
  pmn_onnx_value *out = &call->outputs[0];
  pmn_status st = PMN_STATUS_OK;
  const pmn_onnx_attribute *value = NULL;
  static const char *const names[] = {"value", "value_float", "value_floats", "value_int", "value_ints"};
  for (size_t i = 0; i < sizeof names / sizeof *names && value == NULL; i++) {
    value = pmn_onnx_attribute_find(call->node, names[i]);
  }
  pmn_onnx_attribute_kind kind = value == NULL ? PMN_ONNX_ATTRIBUTE_OTHER : value->kind;
  int64_t count = value == NULL ? 0 : (int64_t)value->count;
  switch (kind) {
  case PMN_ONNX_ATTRIBUTE_TENSOR:
    return pmn_onnx_call_reshaped(call, &value->tensor, value->tensor.dims, value->tensor.rank);
  case PMN_ONNX_ATTRIBUTE_FLOAT:
    PMN_TRY(pmn_onnx_call_output(call, 0, PMN_ONNX_FLOAT, NULL, 0));
    out->floats[0] = value->number;
    break;
  case PMN_ONNX_ATTRIBUTE_INT:
    PMN_TRY(pmn_onnx_call_output(call, 0, PMN_ONNX_INT64, NULL, 0));
    out->ints[0] = value->integer;
    break;
  case PMN_ONNX_ATTRIBUTE_FLOATS:
    PMN_TRY(pmn_onnx_call_output(call, 0, PMN_ONNX_FLOAT, &count, 1));
    if (count > 0) memcpy(out->floats, value->floats, out->count * sizeof *out->floats);
    break;
  case PMN_ONNX_ATTRIBUTE_INTS:
    PMN_TRY(pmn_onnx_call_output(call, 0, PMN_ONNX_INT64, &count, 1));
    if (count > 0) memcpy(out->ints, value->integers, out->count * sizeof *out->ints);
    break;
  case PMN_ONNX_ATTRIBUTE_STRING:
  case PMN_ONNX_ATTRIBUTE_OTHER:
    *call->done = false;
    break;
  }
done:
  return st;
}

static pmn_status run_constant_of_shape(const pmn_onnx_call *call) {
  pmn_onnx_value *out = &call->outputs[0];
  pmn_onnx_ints shape;
  float nothing = 0;
  const pmn_onnx_value zero = {.type = PMN_ONNX_FLOAT, .count = 1, .floats = &nothing};
  const pmn_onnx_attribute *found = pmn_onnx_attribute_find(call->node, "value");
  const pmn_onnx_value *item = found != NULL && found->kind == PMN_ONNX_ATTRIBUTE_TENSOR ? &found->tensor : &zero;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 0, "", &shape));
  if (item->count != 1) PMN_TRY(pmn_onnx_call_fail(call, "a value of %zu elements, not one", item->count));
  PMN_TRY(pmn_onnx_call_output(call, 0, item->type, shape.items, (int32_t)shape.count));
  for (int64_t i = 0; i < (int64_t)out->count; i++) copy_elements(out, i, item, 0, 1);
done:
  return st;
}

/* Steps of a Range of whole numbers, which fp64 has not digits enough for. */
static double count_whole(int64_t start, int64_t limit, int64_t delta) {
  if (delta > 0 ? limit <= start : limit >= start) return 0;
  uint64_t span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
  uint64_t stride = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
  return (double)((span - 1) / stride) + 1;
}

/* start, start + delta, ... before limit. */
static pmn_status run_range(const pmn_onnx_call *call) {
  const pmn_onnx_value *start = call->inputs[0], *limit = call->inputs[1], *delta = call->inputs[2];
  pmn_onnx_value *out = &call->outputs[0];
  pmn_status st = PMN_STATUS_OK;
  bool good = start->count == 1 && limit->count == 1 && delta->count == 1;
  good = good && start->type == limit->type && start->type == delta->type && start->type != PMN_ONNX_BOOL;
  if (!good) return pmn_onnx_call_fail(call, "inputs that are not three numbers of one type");
  if (pmn_onnx_value_real(delta, 0) == 0) return pmn_onnx_call_fail(call, "steps of 0");
  double from = pmn_onnx_value_real(start, 0), step = pmn_onnx_value_real(delta, 0);
  double count = ceil((pmn_onnx_value_real(limit, 0) - from) / step);
  if (start->ints != NULL) count = count_whole(start->ints[0], limit->ints[0], delta->ints[0]);
  if (!(count <= (double)PMN_ONNX_COUNT_MAX)) return pmn_onnx_call_fail(call, "more than %d steps", PMN_ONNX_COUNT_MAX);
  int64_t whole = count < 0 ? 0 : (int64_t)count;
  PMN_TRY(pmn_onnx_call_output(call, 0, start->type, &whole, 1));
  for (int64_t i = 0; i < whole; i++) {
    if (start->ints != NULL) {
      out->ints[i] = (int64_t)((uint64_t)start->ints[0] + (uint64_t)i * (uint64_t)delta->ints[0]);
    } else {
      pmn_onnx_value_set_real(out, (size_t)i, from + (double)i * step);
    }
  }
done:
  return st;
}

static pmn_status run_cast(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_value *out = &call->outputs[0];
  int64_t to = pmn_onnx_attribute_int(call->node, "to", 0);
  if (to < 0 || to > INT32_MAX || !pmn_onnx_type_known((int32_t)to)) {
    *call->done = false;
    return PMN_STATUS_OK;
  }
  pmn_status st = pmn_onnx_call_output(call, 0, (pmn_onnx_type)to, in->dims, in->rank);
  for (size_t i = 0; st == PMN_STATUS_OK && i < in->count; i++) {
    if (in->ints != NULL && out->ints != NULL) {
      out->ints[i] = in->ints[i];
    } else {
      pmn_onnx_value_set_real(out, i, pmn_onnx_value_real(in, i));
    }
  }
  return st;
}

static pmn_status run_shape(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  return pmn_onnx_constant_shape(call->node, in->dims, in->rank, &call->outputs[0], call->err);
}

/* ----------------------------------------------------------------------------------------------------- reshaping -- */

/* 0 is the input's own dimension (unless allowzero), one -1 what is left. */
static pmn_status run_reshape(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_ints shape;
  int64_t dims[PMN_ONNX_RANK_MAX], product = 1;
  int32_t open = -1;
  bool keep_zero = pmn_onnx_attribute_int(call->node, "allowzero", 0) != 0;
  pmn_status st = pmn_onnx_call_list(call, 1, "", &shape);
  if (st != PMN_STATUS_OK) return st;
  if (shape.count > PMN_ONNX_RANK_MAX) return pmn_onnx_call_fail(call, "%zu dimensions", shape.count);
  for (int32_t i = 0; i < (int32_t)shape.count; i++) {
    dims[i] = shape.items[i];
    if (dims[i] == 0 && !keep_zero) {
      if (i >= in->rank) return pmn_onnx_call_fail(call, "its input has no dimension %d", i);
      dims[i] = in->dims[i];
    }
    if (dims[i] < -1 || (dims[i] == -1 && open >= 0)) return pmn_onnx_call_fail(call, "two open dimensions");
    if (dims[i] == -1) {
      open = i;
    } else {
      product = times(product, dims[i]);
    }
  }
  if (open >= 0 && (product == 0 || (int64_t)in->count % product != 0)) {
    return pmn_onnx_call_fail(call, "%zu elements cannot be shaped so", in->count);
  }
  if (open >= 0) dims[open] = (int64_t)in->count / product;
  return pmn_onnx_call_reshaped(call, in, dims, (int32_t)shape.count);
}

static pmn_status run_flatten(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  int64_t axis = pmn_onnx_attribute_int(call->node, "axis", 1), dims[2] = {1, 1};
  if (axis < -in->rank || axis > in->rank) {
    return pmn_onnx_call_fail(call, "no axis %lld in %d dimensions", (long long)axis, in->rank);
  }
  if (axis < 0) axis += in->rank;
  for (int32_t i = 0; i < in->rank; i++) dims[i < axis ? 0 : 1] = times(dims[i < axis ? 0 : 1], in->dims[i]);
  return pmn_onnx_call_reshaped(call, in, dims, 2);
}

static pmn_status run_squeeze(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_ints axes;
  bool gone[PMN_ONNX_RANK_MAX];
  int64_t dims[PMN_ONNX_RANK_MAX];
  int32_t rank = 0;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "axes", &axes));
  PMN_TRY(pmn_onnx_call_axes(call, &axes, in->rank, gone));
  for (int32_t i = 0; i < in->rank; i++) {
    if (!axes.given) gone[i] = in->dims[i] == 1;
    if (gone[i] && in->dims[i] != 1) PMN_TRY(pmn_onnx_call_fail(call, "dimension %d is not 1", i));
    if (!gone[i]) dims[rank++] = in->dims[i];
  }
  PMN_TRY(pmn_onnx_call_reshaped(call, in, dims, rank));
done:
  return st;
}

static pmn_status run_unsqueeze(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_ints axes;
  bool added[PMN_ONNX_RANK_MAX];
  int64_t dims[PMN_ONNX_RANK_MAX];
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "axes", &axes));
  if (!axes.given) PMN_TRY(pmn_onnx_call_fail(call, "no axes"));
  if (axes.count > (size_t)(PMN_ONNX_RANK_MAX - in->rank)) {
    PMN_TRY(pmn_onnx_call_fail(call, "more than %d dimensions", PMN_ONNX_RANK_MAX));
  }
  int32_t rank = in->rank + (int32_t)axes.count;
  PMN_TRY(pmn_onnx_call_axes(call, &axes, rank, added));
  for (int32_t i = 0, from = 0; i < rank; i++) dims[i] = added[i] ? 1 : in->dims[from++];
  PMN_TRY(pmn_onnx_call_reshaped(call, in, dims, rank));
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------------- moving -- */

static pmn_status run_transpose(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  int64_t strides[PMN_ONNX_RANK_MAX];
  bool taken[PMN_ONNX_RANK_MAX];
  pmn_onnx_ints perm;
  pmn_onnx_walk walk = {.rank = in->rank};
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "perm", &perm));
  PMN_TRY(pmn_onnx_call_axes(call, &perm, in->rank, taken));
  if (perm.given && perm.count != (size_t)in->rank) PMN_TRY(pmn_onnx_call_fail(call, "perm names not all dimensions"));
  pmn_onnx_strides(in->dims, in->rank, strides);
  for (int32_t i = 0; i < in->rank; i++) {
    int32_t from = in->rank - 1 - i;
    if (perm.given) PMN_TRY(pmn_onnx_call_axis(call, perm.items[i], in->rank, &from));
    walk.dims[i] = in->dims[from];
    walk.strides[0][i] = strides[from];
  }
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, walk.dims, walk.rank));
  copy_walk(&call->outputs[0], in, 0, &walk);
done:
  return st;
}

static pmn_status run_expand(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_ints shape;
  pmn_onnx_walk walk = {0};
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "", &shape));
  if (shape.count > PMN_ONNX_RANK_MAX ||
      !pmn_onnx_broadcast(in->dims, in->rank, shape.items, (int32_t)shape.count, walk.dims, &walk.rank)) {
    PMN_TRY(pmn_onnx_call_fail(call, "its input cannot be expanded to this shape"));
  }
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, walk.dims, walk.rank));
  pmn_onnx_walk_broadcast(&walk, 0, in->dims, in->rank);
  copy_walk(&call->outputs[0], in, 0, &walk);
done:
  return st;
}

/* Every dimension is walked as two, [repeats, extent], the first of which does not move through the input. */
static pmn_status run_tile(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  int64_t strides[PMN_ONNX_RANK_MAX], dims[PMN_ONNX_RANK_MAX];
  pmn_onnx_ints repeats;
  pmn_onnx_walk walk = {.rank = 2 * in->rank};
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "", &repeats));
  if (repeats.count != (size_t)in->rank) PMN_TRY(pmn_onnx_call_fail(call, "repeats of %zu dimensions", repeats.count));
  pmn_onnx_strides(in->dims, in->rank, strides);
  for (int32_t i = 0; i < in->rank; i++) {
    dims[i] = repeats.items[i] < 0 ? -1 : times(repeats.items[i], in->dims[i]);
    walk.dims[2 * i] = repeats.items[i];
    walk.dims[2 * i + 1] = in->dims[i];
    walk.strides[0][2 * i + 1] = strides[i];
  }
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, dims, in->rank));
  copy_walk(&call->outputs[0], in, 0, &walk);
done:
  return st;
}

static pmn_status run_slice(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  int64_t strides[PMN_ONNX_RANK_MAX], from = 0;
  pmn_onnx_ints starts, ends, axes, steps;
  bool cut[PMN_ONNX_RANK_MAX];
  pmn_onnx_walk walk = {.rank = in->rank};
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_list(call, 1, "starts", &starts));
  PMN_TRY(pmn_onnx_call_list(call, 2, "ends", &ends));
  PMN_TRY(pmn_onnx_call_list(call, 3, "axes", &axes));
  PMN_TRY(pmn_onnx_call_list(call, 4, "steps", &steps));
  bool good = starts.count == ends.count && (!axes.given || axes.count == starts.count) &&
              (!steps.given || steps.count == starts.count) && starts.count <= (size_t)in->rank;
  if (!good) PMN_TRY(pmn_onnx_call_fail(call, "lists of different lengths"));
  PMN_TRY(pmn_onnx_call_axes(call, &axes, in->rank, cut));
  pmn_onnx_strides(in->dims, in->rank, strides);
  for (int32_t i = 0; i < in->rank; i++) {
    walk.dims[i] = in->dims[i];
    walk.strides[0][i] = strides[i];
  }
  for (size_t i = 0; i < starts.count; i++) {
    int32_t axis = (int32_t)i;
    int64_t step = steps.given ? steps.items[i] : 1, first;
    if (axes.given) PMN_TRY(pmn_onnx_call_axis(call, axes.items[i], in->rank, &axis));
    if (step == 0) PMN_TRY(pmn_onnx_call_fail(call, "a step of 0"));
    pmn_onnx_slice_bounds(in->dims[axis], starts.items[i], ends.items[i], &step, &first, &walk.dims[axis]);
    walk.strides[0][axis] = strides[axis] * step;
    from += strides[axis] * first;
  }
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, walk.dims, walk.rank));
  copy_walk(&call->outputs[0], in, from, &walk);
done:
  return st;
}

/* A dimension among others: `outer` blocks of `extent` runs of `inner` elements. */
typedef struct blocks {
  int64_t outer, extent, inner;
} blocks;

static blocks blocks_of(const pmn_onnx_value *value, int32_t axis) {
  blocks b = {.outer = 1, .extent = value->dims[axis], .inner = 1};
  for (int32_t i = 0; i < axis; i++) b.outer *= value->dims[i];
  for (int32_t i = axis + 1; i < value->rank; i++) b.inner *= value->dims[i];
  return b;
}

/* Whether inputs may stand in a row along `axis`, and their length together. */
static pmn_status measure_row(const pmn_onnx_call *call, int32_t axis, int64_t *total) {
  const pmn_onnx_value *first = call->inputs[0];
  *total = 0;
  for (int32_t i = 0; i < call->node->input_count; i++) {
    const pmn_onnx_value *in = call->inputs[i];
    bool good = in != NULL && in->type == first->type && in->rank == first->rank;
    for (int32_t d = 0; good && d < in->rank; d++) good = d == axis || in->dims[d] == first->dims[d];
    if (!good) return pmn_onnx_call_fail(call, "input %d does not fit to the first", i);
    *total += in->dims[axis];
  }
  return PMN_STATUS_OK;
}

static pmn_status run_concat(const pmn_onnx_call *call) {
  const pmn_onnx_value *first = call->inputs[0];
  pmn_onnx_value *out = &call->outputs[0];
  int64_t dims[PMN_ONNX_RANK_MAX], total, before = 0;
  int32_t axis;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_axis(call, pmn_onnx_attribute_int(call->node, "axis", 0), first->rank, &axis));
  PMN_TRY(measure_row(call, axis, &total));
  memcpy(dims, first->dims, sizeof dims);
  dims[axis] = total;
  PMN_TRY(pmn_onnx_call_output(call, 0, first->type, dims, first->rank));
  for (int32_t i = 0; i < call->node->input_count; i++) {
    blocks b = blocks_of(call->inputs[i], axis);
    int64_t run = b.extent * b.inner;
    for (int64_t o = 0; o < b.outer; o++) {
      copy_elements(out, o * total * b.inner + before, call->inputs[i], o * run, run);
    }
    before += run;
  }
done:
  return st;
}

/* The length of part `index`: from the list, or equal parts of which the last may be shorter. */
static int64_t part_length(const pmn_onnx_ints *lengths, int64_t extent, int32_t parts, int32_t index) {
  if (lengths->given) return lengths->items[index];
  int64_t each = (extent + parts - 1) / parts, left = extent - each * index;
  return left < 0 ? 0 : left < each ? left : each;
}

static pmn_status run_split(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  int32_t axis, parts = call->node->output_count;
  int64_t dims[PMN_ONNX_RANK_MAX], before = 0;
  pmn_onnx_ints lengths;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_axis(call, pmn_onnx_attribute_int(call->node, "axis", 0), in->rank, &axis));
  PMN_TRY(pmn_onnx_call_list(call, 1, "split", &lengths));
  if (lengths.given && lengths.count != (size_t)parts) {
    PMN_TRY(pmn_onnx_call_fail(call, "%zu lengths for %d outputs", lengths.count, parts));
  }
  blocks b = blocks_of(in, axis);
  memcpy(dims, in->dims, sizeof dims);
  for (int32_t i = 0; i < parts; i++) {
    dims[axis] = part_length(&lengths, b.extent, parts, i);
    if (dims[axis] < 0 || dims[axis] > b.extent - before) {
      PMN_TRY(pmn_onnx_call_fail(call, "parts longer than the whole"));
    }
    PMN_TRY(pmn_onnx_call_output(call, i, in->type, dims, in->rank));
    int64_t run = dims[axis] * b.inner;
    for (int64_t o = 0; o < b.outer; o++) {
      copy_elements(&call->outputs[i], o * run, in, (o * b.extent + before) * b.inner, run);
    }
    before += dims[axis];
  }
  if (before != b.extent) PMN_TRY(pmn_onnx_call_fail(call, "parts shorter than the whole"));
done:
  return st;
}

static pmn_status run_gather(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0], *indices = call->inputs[1];
  pmn_onnx_value *out = &call->outputs[0];
  int64_t dims[2 * PMN_ONNX_RANK_MAX];
  int32_t axis, rank = 0;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_onnx_call_axis(call, pmn_onnx_attribute_int(call->node, "axis", 0), in->rank, &axis));
  if (indices->ints == NULL) PMN_TRY(pmn_onnx_call_fail(call, "indices that are no whole numbers"));
  for (int32_t i = 0; i < axis; i++) dims[rank++] = in->dims[i];
  for (int32_t i = 0; i < indices->rank; i++) dims[rank++] = indices->dims[i];
  for (int32_t i = axis + 1; i < in->rank; i++) dims[rank++] = in->dims[i];
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, dims, rank));
  blocks b = blocks_of(in, axis);
  int64_t chosen = (int64_t)indices->count;
  for (int64_t i = 0; i < chosen; i++) {
    int64_t index = indices->ints[i];
    if (index < -b.extent || index >= b.extent) {
      PMN_TRY(pmn_onnx_call_fail(call, "no index %lld in %lld", (long long)index, (long long)b.extent));
    }
    if (index < 0) index += b.extent;
    for (int64_t o = 0; o < b.outer; o++) {
      copy_elements(out, (o * chosen + i) * b.inner, in, (o * b.extent + index) * b.inner, b.inner);
    }
  }
done:
  return st;
}

const pmn_onnx_rule pmn_onnx_rules_move[] = {
    {.name = "Cast", .run = run_cast, 1, 1, 1},
    {.name = "Concat", .run = run_concat, 1, INT32_MAX, 1},
    {.name = "Constant", .run = run_constant, 0, 0, 1},
    {.name = "ConstantOfShape", .run = run_constant_of_shape, 1, 1, 1},
    {.name = "Expand", .run = run_expand, 2, 2, 1},
    {.name = "Flatten", .run = run_flatten, 1, 1, 1},
    {.name = "Gather", .run = run_gather, 2, 2, 1},
    {.name = "Identity", .run = run_identity, 1, 1, 1},
    {.name = "Range", .run = run_range, 3, 3, 1},
    {.name = "Reshape", .run = run_reshape, 2, 2, 1},
    {.name = "Shape", .run = run_shape, 1, 1, 1},
    {.name = "Size", .run = run_shape, 1, 1, 1},
    {.name = "Slice", .run = run_slice, 1, 5, 1},
    {.name = "Split", .run = run_split, 1, 2, INT32_MAX},
    {.name = "Squeeze", .run = run_squeeze, 1, 2, 1},
    {.name = "Tile", .run = run_tile, 2, 2, 1},
    {.name = "Transpose", .run = run_transpose, 1, 1, 1},
    {.name = "Unsqueeze", .run = run_unsqueeze, 1, 2, 1},
    {0},
};
