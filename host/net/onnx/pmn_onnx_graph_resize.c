/* pmn_onnx_graph_resize.c - Resize and Upsample: nearest and linear, with ONNX's ways to place pixels.
 *
 * Places are computed in f32 as ONNX Runtime does, because a nearest pixel is decided by the last bit now and then.
 */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

typedef enum placing {
  HALF_PIXEL,
  PYTORCH_HALF_PIXEL,
  ALIGN_CORNERS,
  ASYMMETRIC,
  HALF_PIXEL_FOR_NEAREST,
  HALF_PIXEL_SYMMETRIC,
  PLACING_COUNT
} placing;
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, DOWN_WHEN_ENLARGING } rounding;

/* How one axis is resized. */
typedef struct resizing {
  placing placing;
  rounding rounding;
  bool linear;
} resizing;

/* The index of `text` among `count` names, -1 for none. */
static int32_t find(const char *const *names, int32_t count, const char *text) {
  for (int32_t i = 0; i < count; i++)
    if (strcmp(names[i], text) == 0) return i;
  return -1;
}

static bool read_resizing(pmn_onnx_lowering *self, resizing *how) {
  static const char *const placings[] = {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
      "tf_half_pixel_for_nn", "half_pixel_symmetric"};
  static const char *const roundings[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  const pmn_onnx_node *node = self->node;
  const char *mode = pmn_onnx_attribute_text(node, "mode", "nearest");
  how->linear = strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0;
  if (!how->linear && strcmp(mode, "nearest") != 0) return pmn_onnx_refuse(self, "mode %.32s", mode);
  if (strcmp(node->op, "Upsample") == 0 || self->file->opset < 11) {
    how->placing = ASYMMETRIC;
    how->rounding = DOWN_WHEN_ENLARGING;
    return true;
  }
  const char *placed = pmn_onnx_attribute_text(node, "coordinate_transformation_mode", "half_pixel");
  const char *rounded = pmn_onnx_attribute_text(node, "nearest_mode", "round_prefer_floor");
  int32_t p = find(placings, PLACING_COUNT, placed), r = find(roundings, 4, rounded);
  /* The symmetric places are often whole numbers but for the last bit, where floor and ceil jump. */
  bool jumps = p == HALF_PIXEL_SYMMETRIC && !how->linear && (r == FLOOR || r == CEIL);
  if (p < 0 || r < 0 || jumps) return pmn_onnx_refuse(self, "places pixels by %.32s and %.32s", placed, rounded);
  how->placing = (placing)p;
  how->rounding = (rounding)r;
  if (pmn_onnx_attribute_int(node, "antialias", 0) != 0) return pmn_onnx_refuse(self, "smooths before it shrinks");
  const char *policy = pmn_onnx_attribute_text(node, "keep_aspect_ratio_policy", "stretch");
  return strcmp(policy, "stretch") == 0 || pmn_onnx_refuse(self, "keeps the aspect ratio");
}

/* Scales or sizes of the four dimensions, from the constant that gives them for `axes` or for all. */
static bool spread_axes(
    pmn_onnx_lowering *self, const pmn_onnx_value *given, const char *what, double numbers[PMN_ONNX_RANK_MAX]) {
  int64_t axes[PMN_ONNX_RANK_MAX];
  int32_t count, axis;
  if (!pmn_onnx_list(self, "axes", -1, axes, &count)) return false;
  if (given->count != (size_t)(count < 0 ? 4 : count))
    return pmn_onnx_refuse(self, "%zu %s of 4 dimensions", given->count, what);
  for (size_t i = 0; i < given->count; i++) {
    if (!pmn_onnx_axis(self, count < 0 ? (int64_t)i : axes[i], 4, &axis)) return false;
    numbers[axis] = pmn_onnx_value_at(given, i);
  }
  return true;
}

/* The scale and the size of each dimension of the result. */
static bool read_sizes(pmn_onnx_lowering *self, const int64_t *dims, float scales[4], int64_t sizes[4]) {
  const pmn_onnx_node *node = self->node;
  bool two = strcmp(node->op, "Resize") == 0 && self->file->opset >= 11; /* roi stands before the scales */
  const pmn_onnx_value *scale = pmn_onnx_input_constant(self, two ? 2 : 1);
  const pmn_onnx_value *size = two ? pmn_onnx_input_constant(self, 3) : NULL;
  const pmn_onnx_attribute *attribute = pmn_onnx_attribute_find(node, "scales"); /* Upsample until opset 8 */
  double numbers[PMN_ONNX_RANK_MAX] = {1, 1, 1, 1};
  bool by_size = size != NULL && size->count > 0;
  if (!pmn_onnx_input_known(self, two ? 2 : 1, "scales") || !pmn_onnx_input_known(self, 3, "sizes")) return false;
  for (int32_t d = 0; by_size && d < 4; d++) numbers[d] = (double)dims[d];
  if (by_size) {
    if (!spread_axes(self, size, "sizes", numbers)) return false;
  } else if (attribute != NULL && attribute->kind == PMN_ONNX_ATTRIBUTE_FLOATS && attribute->count == 4) {
    for (int32_t d = 0; d < 4; d++) numbers[d] = (double)attribute->floats[d];
  } else if (scale == NULL) {
    return pmn_onnx_refuse(self, "has neither scales nor sizes");
  } else if (!spread_axes(self, scale, "scales", numbers)) {
    return false;
  }
  for (int32_t d = 0; d < 4; d++) {
    double out = by_size ? numbers[d] : floor((double)((float)dims[d] * (float)numbers[d]));
    if (!(out >= 1 && out <= 1 << 20)) return pmn_onnx_refuse(self, "dimension %d becomes %g", d, out);
    sizes[d] = (int64_t)out;
    scales[d] = by_size ? (float)sizes[d] / (float)dims[d] : (float)numbers[d];
  }
  return true;
}

/* Where pixel `at` of `out` lies among `in` pixels. */
static float place(placing how, int64_t at, float scale, int64_t in, int64_t out) {
  float x = (float)at;
  switch (how) {
  case PYTORCH_HALF_PIXEL:
    return out > 1 ? (x + 0.5f) / scale - 0.5f : 0.0f;
  case ALIGN_CORNERS:
    return out == 1 ? 0.0f : x * (float)(in - 1) / (float)(out - 1);
  case ASYMMETRIC:
    return x / scale;
  case HALF_PIXEL_FOR_NEAREST:
    return (x + 0.5f) / scale;
  case HALF_PIXEL_SYMMETRIC: { /* the size before it was rounded is spread around the middle */
    float adjusted = (float)out / (scale * (float)in);
    return (float)in / 2 * (1 - adjusted) + (x + 0.5f) / scale - 0.5f;
  }
  default:
    return scale == 1.0f ? x : (x + 0.5f) / scale - 0.5f;
  }
}

/* ONNX Runtime takes what is this near to the middle of two pixels for the middle. */
static const float tie = 1e-6f;

static float nearest(rounding how, float x, bool shrinks) {
  bool middle = fabsf(x - floorf(x) - 0.5f) < tie;
  switch (how) {
  case PREFER_FLOOR:
    return middle ? floorf(x) : roundf(x);
  case PREFER_CEIL:
    return middle ? ceilf(x) : roundf(x);
  case FLOOR:
    return floorf(x);
  case CEIL:
    return ceilf(x);
  default:
    return shrinks ? ceilf(x) : truncf(x);
  }
}

/* For each of `out` lines the two it is made of and the share of the second (PMN_OP_RESIZE). */
static void fill_taps(const resizing *how, int64_t in, int64_t out, float scale, float *taps) {
  float last = (float)(in - 1);
  for (int64_t i = 0; i < out; i++, taps += 3) {
    float x = out == in && scale == 1.0f ? (float)i : place(how->placing, i, scale, in, out);
    if (!how->linear) x = nearest(how->rounding, x, scale < 1.0f);
    x = fminf(fmaxf(x, 0.0f), last);
    taps[0] = floorf(x);
    taps[1] = fminf(taps[0] + 1.0f, last);
    taps[2] = x - taps[0];
  }
}

static void lower_resize(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  resizing how;
  float scales[4];
  int64_t sizes[4];
  int32_t h, w;
  if (!read_resizing(self, &how) || !pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank != 4) {
    pmn_onnx_refuse(self, "resizes %d dimensions", view.rank);
    return;
  }
  if (!read_sizes(self, view.dims, scales, sizes)) return;
  uint32_t mask = 0;
  for (int32_t d = 0; d < 4; d++) mask |= sizes[d] != view.dims[d] || scales[d] != 1.0f ? 1u << d : 0u;
  if (!pmn_onnx_spatial(self, mask, &view, &h, &w)) return;
  size_t lines = (size_t)sizes[h] + (size_t)sizes[w];
  if (!pmn_onnx_charge(self, lines, 3 * sizeof(float))) return;
  float *taps = pmn_alloc(lines * 3, sizeof *taps);
  if (taps != NULL) {
    fill_taps(&how, view.dims[h], sizes[h], scales[h], taps);
    fill_taps(&how, view.dims[w], sizes[w], scales[w], taps + 3 * sizes[h]);
  }
  pmn_node node = pmn_graph_resize(
      self->graph, pmn_onnx_output_name(self, NULL), view.node, (int32_t)sizes[h], (int32_t)sizes[w], taps);
  view = h == 2 ? pmn_onnx_view_image(self->graph, node) : pmn_onnx_view_flat(self->graph, node, sizes, 4);
  pmn_onnx_output_view(self, 0, &view);
}

const pmn_onnx_operator pmn_onnx_operators_resize[] = {
    {"Resize", 10, 22, lower_resize},
    {"Upsample", 7, 9, lower_resize},
    {NULL, 0, 0, NULL},
};
