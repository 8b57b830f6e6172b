/* pmn_onnx_graph_channel.c - operators along channels: dense layers, normalisation, softmax, reductions.
 *
 * Each says which dimensions are its channels; pmn_onnx_view_channels then finds them in place mostly, whether the file
 * is NCHW, NHWC or rows of tokens.
 */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------- dense -- */

/* y = alpha x W + bias, W [k, n], or [n, k] when `transposed`. */
typedef struct dense {
  const pmn_onnx_value *weights;
  bool transposed;
  int64_t k, n;
  float alpha;
  float *bias; /* [n] or NULL */
} dense;

/* The place in [h, w, c] of each element of a row, in the row's order. */
static int32_t *row_places(const pmn_onnx_view *view) {
  int64_t size = pmn_onnx_view_size(view), run = 1;
  int32_t *places = pmn_calloc((size_t)size, sizeof *places);
  for (int32_t f = view->layout.count - 1; places != NULL && f >= 0; f--) {
    pmn_onnx_factor factor = view->layout.factors[f];
    for (int64_t i = 0; i < size; i++) places[i] += (int32_t)(i / run % factor.extent * factor.stride);
    run *= factor.extent;
  }
  return places;
}

/* Weights [k, n] with row i at places[i] (NULL: at i), in tiles so that neither side jumps at every step. */
static float *dense_weights(const dense *d, const int32_t *places) {
  enum { TILE = 64 };
  size_t k = (size_t)d->k, n = (size_t)d->n, k_step = d->transposed ? 1 : n, n_step = d->transposed ? k : 1;
  float *weights = pmn_alloc_aligned(k * n, sizeof *weights);
  for (size_t k0 = 0; weights != NULL && k0 < k; k0 += TILE) {
    size_t k1 = k - k0 < TILE ? k : k0 + TILE;
    for (size_t n0 = 0; n0 < n; n0 += TILE) {
      size_t n1 = n - n0 < TILE ? n : n0 + TILE;
      for (size_t i = k0; i < k1; i++) {
        float *row = weights + (places == NULL ? i : (size_t)places[i]) * n;
        for (size_t j = n0; j < n1; j++)
          row[j] = (float)pmn_onnx_value_at(d->weights, i * k_step + j * n_step) * d->alpha;
      }
    }
  }
  return weights;
}

/* The last dimension of the view, times weights: a dense layer for one row, a 1x1 convolution for several. */
static void lower_dense(pmn_onnx_lowering *self, dense *d, pmn_onnx_view *view) {
  int32_t last = view->rank - 1;
  if (view->dims[last] == pmn_onnx_view_size(view)) {
    int32_t *places = row_places(view);
    if (places == NULL) {
      pmn_onnx_refuse_memory(self, (size_t)d->k);
      pmn_free(d->bias);
      return;
    }
    view->node = pmn_graph_dense(
        self->graph, pmn_onnx_output_name(self, NULL), view->node, (int32_t)d->n, dense_weights(d, places), d->bias);
    pmn_free(places);
    view->dims[last] = d->n;
    *view = pmn_onnx_view_flat(self->graph, view->node, view->dims, view->rank);
  } else {
    pmn_onnx_cut cut;
    if (!pmn_onnx_view_channels(view, self->graph, 1u << last) || !pmn_onnx_view_settle(view, self->graph, &cut)) {
      pmn_free(d->bias);
      return;
    }
    pmn_onnx_layout out = pmn_onnx_layout_init(view->layout.h, view->layout.w, (int32_t)d->n);
    for (int32_t i = 0; i < cut.first[last]; i++)
      pmn_onnx_layout_append(&out, cut.factors[i].extent, cut.factors[i].stride / d->k * d->n);
    pmn_onnx_layout_append(&out, d->n, 1);
    pmn_onnx_view result = {.layout = out, .rank = view->rank};
    memcpy(result.dims, view->dims, sizeof result.dims);
    result.dims[last] = d->n;
    pmn_window one = pmn_window_square(1, 1);
    result.node = pmn_graph_conv2d(self->graph, pmn_onnx_output_name(self, &result), view->node, &one, 1, (int32_t)d->n,
        dense_weights(d, NULL), d->bias);
    *view = result;
  }
  pmn_onnx_output_view(self, 0, view);
}

static bool has_weights(pmn_onnx_lowering *self) {
  if (pmn_onnx_input_constant(self, 1) != NULL) return true;
  return pmn_onnx_refuse(self, pmn_onnx_input_has(self, 1) ? "weights are computed, not constant" : "has no weights");
}

/* Checks weights of rank 2 against the view, and fills in k and n. */
static bool check_dense(pmn_onnx_lowering *self, const pmn_onnx_view *view, dense *d) {
  const pmn_onnx_value *weights = d->weights;
  int32_t last = weights->rank - 1;
  bool matrix = weights->rank >= 2 && weights->count > 0 && weights->count <= INT32_MAX;
  for (int32_t i = 0; i < last - 1; i++) matrix = matrix && weights->dims[i] == 1;
  if (!matrix || view->rank < 2) return pmn_onnx_refuse(self, "a factor that is not a matrix");
  if (!pmn_onnx_charge(self, weights->count, sizeof(float)) || !pmn_onnx_finite(self, weights, "weights")) return false;
  d->k = weights->dims[d->transposed ? last : last - 1];
  d->n = weights->dims[d->transposed ? last - 1 : last];
  if (view->dims[view->rank - 1] == d->k && weights->rank <= view->rank) return true;
  return pmn_onnx_refuse(self, "weights of %lld x %lld for %lld values", (long long)d->k, (long long)d->n,
      (long long)view->dims[view->rank - 1]);
}

/* Gemm's third input, times beta, for each of n columns. */
static bool read_bias(pmn_onnx_lowering *self, int64_t n, float **bias) {
  const pmn_onnx_value *value = pmn_onnx_input_constant(self, 2);
  *bias = NULL;
  if (!pmn_onnx_input_known(self, 2, "biases") || value == NULL) return !pmn_onnx_input_has(self, 2);
  if ((value->count != 1 && value->count != (size_t)n) || (value->rank > 1 && value->dims[0] != 1) || value->rank > 2)
    return pmn_onnx_refuse(self, "%zu biases of %lld columns", value->count, (long long)n);
  if (!pmn_onnx_finite(self, value, "biases")) return false;
  float beta = pmn_onnx_attribute_float(self->node, "beta", 1.0f);
  *bias = pmn_alloc_aligned((size_t)n, sizeof **bias);
  if (*bias == NULL) pmn_onnx_refuse_memory(self, (size_t)n);
  for (int64_t i = 0; *bias != NULL && i < n; i++)
    (*bias)[i] = (float)pmn_onnx_value_at(value, value->count == 1 ? 0 : (size_t)i) * beta;
  return *bias != NULL;
}

static void lower_gemm(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  dense d = {.weights = pmn_onnx_input_constant(self, 1),
      .transposed = pmn_onnx_attribute_int(self->node, "transB", 0) != 0,
      .alpha = pmn_onnx_attribute_float(self->node, "alpha", 1.0f)};
  if (pmn_onnx_attribute_int(self->node, "transA", 0) != 0) {
    pmn_onnx_refuse(self, "transposes the tensor of the network (transA)");
    return;
  }
  if (!has_weights(self) || !pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank != 2) {
    pmn_onnx_refuse(self, "a first factor of %d dimensions, not 2", view.rank);
    return;
  }
  if (check_dense(self, &view, &d) && read_bias(self, d.n, &d.bias)) lower_dense(self, &d, &view);
}

static void lower_matmul(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  dense d = {.weights = pmn_onnx_input_constant(self, 1), .alpha = 1.0f};
  if (has_weights(self) && pmn_onnx_input_view(self, 0, &view) && check_dense(self, &view, &d))
    lower_dense(self, &d, &view);
}

/* -------------------------------------------------------------------------------------------- normalisation -- */

static void lower_batch_norm(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  const pmn_onnx_value *parts[4];
  bool training = pmn_onnx_attribute_int(self->node, "training_mode", 0) != 0;
  if (training || pmn_onnx_attribute_int(self->node, "spatial", 1) != 1) {
    pmn_onnx_refuse(self, training ? "is in training mode" : "normalises pixels apart");
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank < 2) {
    pmn_onnx_refuse(self, "an input of %d dimensions", view.rank);
    return;
  }
  size_t channels = (size_t)view.dims[1];
  for (int32_t i = 0; i < 4; i++) {
    parts[i] = pmn_onnx_input_constant(self, i + 1);
    if (parts[i] != NULL && parts[i]->count == channels) continue;
    pmn_onnx_refuse(self, "scale, bias, mean and variance are not %zu constants each", channels);
    return;
  }
  double epsilon = (double)pmn_onnx_attribute_float(self->node, "epsilon", 1e-5f);
  double *scale = pmn_alloc(channels, sizeof *scale), *shift = pmn_alloc(channels, sizeof *shift);
  for (size_t c = 0; scale != NULL && shift != NULL && c < channels; c++) {
    scale[c] = pmn_onnx_value_at(parts[0], c) / sqrt(pmn_onnx_value_at(parts[3], c) + epsilon);
    shift[c] = pmn_onnx_value_at(parts[1], c) - pmn_onnx_value_at(parts[2], c) * scale[c];
  }
  int64_t extents[PMN_ONNX_RANK_MAX] = {1, view.dims[1], 1, 1, 1, 1, 1, 1};
  if (pmn_onnx_affine(self, extents, scale, shift, true, &view)) pmn_onnx_output_view(self, 0, &view);
}

/* [channels] constants, or one number. */
static float *floats_or(const pmn_onnx_value *value, size_t channels, float otherwise) {
  if (value != NULL) return pmn_onnx_value_floats(value);
  float *floats = pmn_alloc_aligned(channels, sizeof *floats);
  for (size_t c = 0; floats != NULL && c < channels; c++) floats[c] = otherwise;
  return floats;
}

void pmn_onnx_normalise(pmn_onnx_lowering *self, uint32_t mask, float epsilon, const pmn_onnx_value *gain,
    const pmn_onnx_value *bias, pmn_onnx_view *view) {
  if (!pmn_onnx_view_channels(view, self->graph, mask)) return;
  size_t channels = (size_t)view->layout.c;
  if (!pmn_onnx_charge(self, channels, 2 * sizeof(float))) return;
  if (!(epsilon >= 0) || isinf(epsilon)) {
    pmn_onnx_refuse(self, "epsilon %g", (double)epsilon);
    return;
  }
  if ((gain != NULL && !pmn_onnx_finite(self, gain, "scales")) ||
      (bias != NULL && !pmn_onnx_finite(self, bias, "biases")))
    return;
  view->node = pmn_graph_layer_norm(self->graph, pmn_onnx_output_name(self, view), view->node, epsilon,
      floats_or(gain, channels, 1.0f), floats_or(bias, channels, 0.0f));
  pmn_onnx_output_view(self, 0, view);
}

static void lower_layer_norm(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  const pmn_onnx_value *gain = pmn_onnx_input_constant(self, 1), *bias = pmn_onnx_input_constant(self, 2);
  int32_t axis;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_input_known(self, 2, "biases") ||
      !pmn_onnx_axis(self, pmn_onnx_attribute_int(self->node, "axis", -1), view.rank, &axis))
    return;
  size_t channels = 1;
  uint32_t mask = 0;
  for (int32_t d = axis; d < view.rank; d++) {
    channels *= (size_t)view.dims[d];
    mask |= 1u << d;
  }
  if (gain == NULL || gain->count != channels || (bias != NULL && bias->count != channels) ||
      pmn_onnx_output_read(self, 1) || pmn_onnx_output_read(self, 2)) {
    pmn_onnx_refuse(self, "scale and bias are not %zu constants, or mean and deviation are asked for", channels);
    return;
  }
  pmn_onnx_normalise(self, mask, pmn_onnx_attribute_float(self->node, "epsilon", 1e-5f), gain, bias, &view);
}

static bool is_number(const pmn_onnx_lowering *self, pmn_onnx_id id, double *number) {
  return id != PMN_ONNX_NONE && self->items[id].kind == PMN_ONNX_CONSTANT &&
         pmn_onnx_value_scalar(self->items[id].constant, number);
}

/* Matches number + ReduceMean(Pow(x - ReduceMean(x), 2)), written by `add`: the values' ids. */
typedef struct variance {
  double epsilon;
  pmn_onnx_id of_squares, centred, mean, x;
} variance;

static bool match_variance(const pmn_onnx_lowering *self, const pmn_onnx_node *add, variance *found) {
  double two = 0;
  if (add == NULL || add->input_count != 2) return false;
  int32_t number = is_number(self, add->inputs[1], &found->epsilon) ? 1 : 0;
  found->of_squares = add->inputs[1 - number];
  const pmn_onnx_node *reduce_squares = pmn_onnx_writer(self, found->of_squares, "ReduceMean");
  if (reduce_squares == NULL || !is_number(self, add->inputs[number], &found->epsilon)) return false;
  const pmn_onnx_node *power = pmn_onnx_writer(self, reduce_squares->inputs[0], "Pow");
  if (power == NULL || power->input_count != 2 || !is_number(self, power->inputs[1], &two) || two != 2) return false;
  found->centred = power->inputs[0];
  const pmn_onnx_node *minus = pmn_onnx_writer(self, found->centred, "Sub");
  if (minus == NULL || minus->input_count != 2) return false;
  found->x = minus->inputs[0];
  found->mean = minus->inputs[1];
  const pmn_onnx_node *reduce = pmn_onnx_writer(self, found->mean, "ReduceMean");
  return reduce != NULL && reduce->inputs[0] == found->x && found->x != PMN_ONNX_NONE;
}

/* Sqrt on the way to a layer normalisation that is written out: (x - mean) / Sqrt(variance + epsilon). */
static void lower_sqrt(pmn_onnx_lowering *self) {
  variance v;
  pmn_onnx_id input = self->node->input_count > 0 ? self->node->inputs[0] : PMN_ONNX_NONE;
  bool matches = match_variance(self, pmn_onnx_writer(self, input, "Add"), &v);
  if (matches && self->items[v.x].kind == PMN_ONNX_UNKNOWN) return;
  if (!matches || self->items[v.x].kind != PMN_ONNX_COMPUTED) {
    pmn_onnx_refuse(self, "is only taken as a part of LayerNorm");
    return;
  }
  pmn_onnx_item item = self->items[v.x];
  const pmn_onnx_view *x = &item.view, *mean = &self->items[v.mean].view, *squares = &self->items[v.of_squares].view;
  bool alike = x->rank == mean->rank && x->rank == squares->rank;
  for (int32_t d = 0; alike && d < x->rank; d++) {
    alike = mean->dims[d] == squares->dims[d];
    if (mean->dims[d] == 1) item.mask |= 1u << d;
  }
  if (!alike) {
    pmn_onnx_refuse(self, "is of a variance along other dimensions than its mean");
    return;
  }
  item.kind = PMN_ONNX_DEVIATION;
  item.gate = v.epsilon;
  item.centred = v.centred;
  pmn_onnx_output_item(self, &item);
}

static void lower_lrn(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t size = pmn_onnx_attribute_int(self->node, "size", 0);
  if (size < 1 || size > INT32_MAX / 2) {
    pmn_onnx_refuse(self, "size %lld", (long long)size);
    return;
  }
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank < 2) {
    pmn_onnx_refuse(self, "an input of %d dimensions", view.rank);
    return;
  }
  if (!pmn_onnx_view_channels(&view, self->graph, 1u << 1)) return;
  view.node = pmn_graph_lrn(self->graph, pmn_onnx_output_name(self, &view), view.node, (int32_t)size,
      pmn_onnx_attribute_float(self->node, "alpha", 1e-4f), pmn_onnx_attribute_float(self->node, "beta", 0.75f),
      pmn_onnx_attribute_float(self->node, "bias", 1.0f));
  pmn_onnx_output_view(self, 0, &view);
}

/* Until opset 12 over all dimensions from the axis on, since then over one. */
static void lower_softmax(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  bool one = self->file->opset >= 13;
  int32_t axis;
  if (!pmn_onnx_input_view(self, 0, &view) ||
      !pmn_onnx_axis(self, pmn_onnx_attribute_int(self->node, "axis", one ? -1 : 1), view.rank, &axis))
    return;
  uint32_t mask = one ? 1u << axis : ~((1u << axis) - 1u);
  if (!pmn_onnx_view_channels(&view, self->graph, mask)) return;
  view.node = pmn_graph_softmax(self->graph, pmn_onnx_output_name(self, &view), view.node);
  pmn_onnx_output_view(self, 0, &view);
}

/* ----------------------------------------------------------------------------------------------- reductions -- */

typedef enum reduction { MEAN, SUM, MAXIMUM } reduction;

/* Reduces the dimensions of `mask`: the others become channels. */
static void reduce(pmn_onnx_lowering *self, uint32_t mask, bool keep, reduction kind, pmn_onnx_view *view) {
  if (!pmn_onnx_view_channels(view, self->graph, ~mask)) return;
  int64_t dims[PMN_ONNX_RANK_MAX];
  int32_t rank = 0;
  for (int32_t d = 0; d < view->rank; d++) {
    bool reduced = (mask >> d & 1) != 0;
    if (!reduced || keep) dims[rank++] = reduced ? 1 : view->dims[d];
  }
  pmn_onnx_view result = {.layout = pmn_onnx_layout_flat(1, 1, view->layout.c), .rank = rank};
  memcpy(result.dims, dims, (size_t)rank * sizeof *dims);
  const char *name = pmn_onnx_output_name(self, &result);
  if (kind == MAXIMUM) {
    result.node = pmn_graph_global_max_pool(self->graph, name, view->node);
  } else {
    double pixels = kind == SUM ? (double)view->layout.h * view->layout.w : 1;
    result.node = pmn_graph_global_average_pool(self->graph, pixels == 1 ? name : NULL, view->node);
    result.node = pmn_onnx_scaled(self, name, &result, result.node, pixels);
  }
  pmn_onnx_output_view(self, 0, &result);
}

static void lower_reduce(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  int64_t axes[PMN_ONNX_RANK_MAX];
  int32_t count;
  if (!pmn_onnx_input_view(self, 0, &view) || !pmn_onnx_list(self, "axes", 1, axes, &count)) return;
  bool none = count <= 0;
  if (none && pmn_onnx_attribute_int(self->node, "noop_with_empty_axes", 0) != 0) {
    pmn_onnx_output_view(self, 0, &view);
    return;
  }
  uint32_t mask = none ? (1u << view.rank) - 1u : 0;
  for (int32_t i = 0; i < count; i++) {
    int32_t axis;
    if (!pmn_onnx_axis(self, axes[i], view.rank, &axis)) return;
    mask |= 1u << axis;
  }
  bool keep = pmn_onnx_attribute_int(self->node, "keepdims", 1) != 0;
  reduction kind = strcmp(self->node->op, "ReduceMax") == 0   ? MAXIMUM
                   : strcmp(self->node->op, "ReduceSum") == 0 ? SUM
                                                              : MEAN;
  reduce(self, mask, keep, kind, &view);
}

static void lower_global_pool(pmn_onnx_lowering *self) {
  pmn_onnx_view view;
  if (!pmn_onnx_input_view(self, 0, &view)) return;
  if (view.rank < 3) {
    pmn_onnx_refuse(self, "an input of %d dimensions", view.rank);
    return;
  }
  reduce(
      self, ((1u << view.rank) - 1u) & ~3u, true, strcmp(self->node->op, "GlobalMaxPool") == 0 ? MAXIMUM : MEAN, &view);
}

const pmn_onnx_operator pmn_onnx_operators_channel[] = {
    {"Gemm", 7, 22, lower_gemm},
    {"MatMul", 1, 22, lower_matmul},
    {"BatchNormalization", 7, 22, lower_batch_norm},
    {"LayerNormalization", 17, 22, lower_layer_norm},
    {"Sqrt", 6, 22, lower_sqrt},
    {"LRN", 1, 22, lower_lrn},
    {"Softmax", 1, 22, lower_softmax},
    {"ReduceMean", 1, 22, lower_reduce},
    {"ReduceMax", 1, 22, lower_reduce},
    {"ReduceSum", 1, 22, lower_reduce},
    {"GlobalAveragePool", 1, 22, lower_global_pool},
    {"GlobalMaxPool", 1, 22, lower_global_pool},
    {NULL, 0, 0, NULL},
};
