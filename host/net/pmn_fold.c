/* pmn_fold.c - the rules by which two layers become one operation.
 *
 * Layers are looked at once, in the order of the flow. Most rules let a layer take over the operation of the one layer
 * that it reads ("producer"): it then does the producer's work and its own at its own place in the order, so that all
 * it reads still comes before it. That needs a producer that nobody else reads, which excludes what was asked for. The
 * others let a layer read through its producer, to what the producer reads.
 *
 * Factors and terms of channels are multiplied together in fp64 and reach the weights, rounded once, at the end.
 *
 * Words of the rules: a layer is bare if it has no residual, activation or clamp yet; pointwise if it is a depthwise
 * convolution of 1x1 pixel without weights, which is what affine, activation, addition and padding layers are.
 */
#include "pmn_fold.h"

#include "pmn_mem.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------------ what there is -- */

/* What the operations can do besides their own work. */
typedef struct abilities {
  bool scales;    /* has weights and bias for every channel of the result, which take a factor and a term */
  bool adds;      /* takes a residual */
  bool activates; /* takes an activation and a clamp */
} abilities;

static const abilities abilities_of[PMN_OP_KIND_COUNT] = {
    [PMN_OP_CONV2D] = {true, true, true},
    [PMN_OP_DEPTHWISE_CONV2D] = {true, true, true},
    [PMN_OP_GLOBAL_AVERAGE_POOL] = {false, false, true},
    [PMN_OP_MAX_POOL] = {false, false, true},
    [PMN_OP_AVERAGE_POOL] = {false, false, true},
    [PMN_OP_MULTIPLY] = {false, true, true},
    [PMN_OP_COPY] = {false, false, false},
    [PMN_OP_SOFTMAX] = {false, false, true},
    [PMN_OP_LRN] = {false, false, true},
    [PMN_OP_LAYER_NORM] = {true, false, true},
    [PMN_OP_RESIZE] = {false, false, true},
};

static pmn_layer *layer_at(pmn_graph *graph, pmn_node node) {
  return &graph->layers[node];
}

static bool is_input(const pmn_graph *graph, const pmn_layer *layer) {
  return layer == &graph->layers[graph->input];
}

static bool is_clamped(const pmn_layer *layer) {
  return layer->op.clamp_min > -INFINITY || layer->op.clamp_max < INFINITY;
}

/* Linear in its input, but for a clamp. */
static bool is_linear(const pmn_layer *layer) {
  return layer->op.residual == PMN_NO_TENSOR && layer->op.activation == PMN_ACTIVATION_NONE;
}

static bool is_bare(const pmn_layer *layer) {
  return is_linear(layer) && !is_clamped(layer);
}

static bool any_terms(const double *shift, int32_t channels) {
  for (int32_t c = 0; shift != NULL && c < channels; c++) {
    if (shift[c] != 0.0) return true;
  }
  return false;
}

/* One factor and one term for all channels. */
static bool is_uniform(const pmn_layer *layer) {
  for (int32_t c = 1; c < layer->shape.c; c++) {
    if (layer->scale[c] != layer->scale[0] || layer->shift[c] != layer->shift[0]) return false;
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------- what is done -- */

/* v * scale + shift becomes (v * scale + shift) * by_scale + by_shift, for every channel; the first two may be NULL. */
static bool compose(pmn_graph *graph, double **scale, double **shift, const double *by_scale, const double *by_shift,
    int32_t channels) {
  if (*scale == NULL) {
    *scale = pmn_alloc((size_t)channels, sizeof **scale);
    *shift = pmn_alloc((size_t)channels, sizeof **shift);
    if (*scale == NULL || *shift == NULL) {
      pmn_graph_fail_memory(graph, (size_t)channels * sizeof **scale, "folded layers");
      return false;
    }
    for (int32_t c = 0; c < channels; c++) (*scale)[c] = 1.0, (*shift)[c] = 0.0;
  }
  for (int32_t c = 0; c < channels; c++) {
    (*shift)[c] = (*shift)[c] * by_scale[c] + by_shift[c];
    (*scale)[c] *= by_scale[c];
  }
  return true;
}

/* The layer does what the producer does and no longer what it did; the producer is gone. */
static void take_over(pmn_layer *layer, pmn_layer *producer) {
  pmn_layer_reset(layer);
  layer->op = producer->op;
  layer->weights = producer->weights, layer->bias = producer->bias;
  layer->scale = producer->scale, layer->shift = producer->shift;
  layer->in_scale = producer->in_scale, layer->in_shift = producer->in_shift;
  layer->copies = producer->copies, layer->sources = producer->sources, layer->copy_count = producer->copy_count;
  producer->weights = producer->bias = NULL;
  producer->scale = producer->shift = producer->in_scale = producer->in_shift = NULL;
  producer->copies = NULL, producer->sources = NULL, producer->copy_count = 0;
  producer->needed = false;
}

/* ------------------------------------------------------------------------------------------------- activations -- */

/* An activation goes into the epilogue of a producer that has no activation or clamp; a clamp also after an activation
 * or another clamp: min(max(., a), b) of min(max(., c), d) is one clamp. */
static void fold_activation(pmn_graph *graph, pmn_layer *layer) {
  pmn_layer *producer = layer_at(graph, layer->op.input);
  if (producer->readers != 1 || is_input(graph, producer) || !abilities_of[producer->op.kind].activates) return;
  pmn_op own = layer->op;
  if (own.activation != PMN_ACTIVATION_NONE) {
    if (producer->op.activation != PMN_ACTIVATION_NONE || is_clamped(producer)) return;
    take_over(layer, producer);
    layer->op.activation = own.activation;
    layer->op.alpha = own.alpha;
    layer->op.clamp_min = own.clamp_min;
    layer->op.clamp_max = own.clamp_max;
  } else {
    take_over(layer, producer);
    layer->op.clamp_min = fminf(fmaxf(layer->op.clamp_min, own.clamp_min), own.clamp_max);
    layer->op.clamp_max = fminf(fmaxf(layer->op.clamp_max, own.clamp_min), own.clamp_max);
  }
}

/* x times a function of x that nobody else reads is one activation; the function, a pointwise layer that reads x:
 *   sigmoid(x) -> SiLU;   min(max(x / 6 + 1/2, 0), 1) -> hard swish;   tanh(softplus(x)) -> Mish. */
static bool gate_activation(pmn_graph *graph, const pmn_layer *gate, pmn_node x, pmn_activation *activation) {
  const double tolerance = 1e-6; /* files hold 1/6 in fp32 */
  if (!pmn_layer_is_pointwise(gate) || gate->readers != 1 || gate->op.residual != PMN_NO_TENSOR) return false;
  const pmn_layer *input = layer_at(graph, gate->op.input);
  if (gate->shape.h != input->shape.h || gate->shape.w != input->shape.w) return false; /* pads */
  if (gate->op.input == x && gate->op.activation == PMN_ACTIVATION_SIGMOID && gate->scale == NULL &&
      !is_clamped(gate)) {
    *activation = PMN_ACTIVATION_SILU;
    return true;
  }
  if (gate->op.input == x && gate->op.activation == PMN_ACTIVATION_NONE && gate->scale != NULL && is_uniform(gate) &&
      fabs(gate->scale[0] - 1.0 / 6.0) <= tolerance && fabs(gate->shift[0] - 0.5) <= tolerance &&
      fabs((double)gate->op.clamp_min) <= tolerance && fabs((double)gate->op.clamp_max - 1.0) <= tolerance) {
    *activation = PMN_ACTIVATION_HARD_SWISH;
    return true;
  }
  if (gate->op.activation == PMN_ACTIVATION_TANH && gate->scale == NULL && !is_clamped(gate) && input->op.input == x &&
      pmn_layer_is_pointwise(input) && input->readers == 1 && input->op.residual == PMN_NO_TENSOR &&
      input->op.activation == PMN_ACTIVATION_SOFTPLUS && input->scale == NULL && !is_clamped(input)) {
    *activation = PMN_ACTIVATION_MISH;
    return true;
  }
  return false;
}

static void fold_gate(pmn_graph *graph, pmn_layer *layer) {
  pmn_node operands[] = {layer->op.input, layer->op.factor};
  for (int i = 0; i < 2; i++) {
    pmn_node x = operands[i];
    pmn_layer *gate = layer_at(graph, operands[1 - i]);
    pmn_activation activation;
    if (!is_bare(layer) || !gate_activation(graph, gate, x, &activation)) continue;
    if (activation == PMN_ACTIVATION_MISH) layer_at(graph, gate->op.input)->needed = false;
    gate->needed = false;
    layer_at(graph, x)->readers--;
    layer->op = pmn_op_init(PMN_OP_DEPTHWISE_CONV2D, layer->op.name, x, PMN_NO_TENSOR);
    layer->op.activation = activation;
    fold_activation(graph, layer);
    return;
  }
}

/* --------------------------------------------------------------------------------------------- factors and terms -- */

/* The producer can take a factor and a term: bare, it does so with its weights; clamped, if the factor is positive and
 * both are the same for all channels, as min(max(v, a), b) * s + t = min(max(v * s + t, a * s + t), b * s + t). */
static bool takes_affine(const pmn_graph *graph, const pmn_layer *producer, const pmn_layer *affine) {
  return producer->readers == 1 && !is_input(graph, producer) && abilities_of[producer->op.kind].scales &&
         is_linear(producer) && (!is_clamped(producer) || (is_uniform(affine) && affine->scale[0] > 0.0));
}

static void give_affine(pmn_graph *graph, pmn_layer *producer, const pmn_layer *affine) {
  pmn_op *op = &producer->op;
  if (!compose(graph, &producer->scale, &producer->shift, affine->scale, affine->shift, producer->shape.c)) return;
  if (!is_clamped(producer)) return;
  op->clamp_min = (float)((double)op->clamp_min * affine->scale[0] + affine->shift[0]);
  op->clamp_max = (float)((double)op->clamp_max * affine->scale[0] + affine->shift[0]);
}

/* An affine layer goes into the input's own factors; into a producer that takes it; as one factor for all channels
 * through a product that is bare into one of its operands of the product's channels, (a * b) * s = a * (b * s). */
static void fold_affine(pmn_graph *graph, pmn_layer *layer) {
  pmn_layer *producer = layer_at(graph, layer->op.input);
  if (producer->readers != 1) return;
  if (is_input(graph, producer)) {
    if (!compose(graph, &producer->scale, &producer->shift, layer->scale, layer->shift, layer->shape.c)) return;
    take_over(layer, producer);
    graph->input = (pmn_node)(layer - graph->layers);
  } else if (takes_affine(graph, producer, layer)) {
    give_affine(graph, producer, layer);
    take_over(layer, producer);
  } else if (producer->op.kind == PMN_OP_MULTIPLY && is_bare(producer) && is_uniform(layer) &&
             !any_terms(layer->shift, layer->shape.c)) {
    pmn_node operands[] = {producer->op.factor, producer->op.input};
    for (int i = 0; i < 2; i++) {
      pmn_layer *operand = layer_at(graph, operands[i]);
      if (operand->shape.c != layer->shape.c || !takes_affine(graph, operand, layer)) continue;
      give_affine(graph, operand, layer);
      take_over(layer, producer);
      fold_gate(graph, layer);
      return;
    }
  }
}

/* ---------------------------------------------------------------------------------------------------- additions -- */

/* An addition goes as the residual into the producer of one side, the later if it can, if that is bare. */
static void fold_add(pmn_graph *graph, pmn_layer *layer) {
  pmn_node a = layer->op.input, b = layer->op.residual;
  pmn_node sides[] = {a > b ? a : b, a > b ? b : a};
  for (int i = 0; i < 2; i++) {
    pmn_layer *producer = layer_at(graph, sides[i]);
    bool takes = producer->readers == 1 && !is_input(graph, producer) && abilities_of[producer->op.kind].adds &&
                 is_bare(producer);
    if (!takes) continue;
    take_over(layer, producer);
    layer->op.residual = sides[1 - i];
    return;
  }
}

/* ------------------------------------------------------------------------------------------------------ windows -- */

typedef struct pads {
  int32_t top, left, bottom, right;
} pads;

/* What a pointwise layer adds around its input. */
static pads pads_of(pmn_graph *graph, const pmn_layer *layer) {
  pmn_tensor in = layer_at(graph, layer->op.input)->shape;
  int32_t top = layer->op.pad_top, left = layer->op.pad_left;
  return (pads){top, left, layer->shape.h - in.h - top, layer->shape.w - in.w - left};
}

static bool any_pads(pads p) {
  return p.top > 0 || p.left > 0 || p.bottom > 0 || p.right > 0;
}

/* Lines that the windows along one axis want after the last of the picture. */
static bool reaches_past(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad) {
  return (int64_t)(out - 1) * stride - pad + (int64_t)(kernel - 1) * dilation >= in;
}

static bool reads_padding(const pmn_layer *layer, const pmn_tensor *in) {
  const pmn_op *op = &layer->op;
  return op->pad_top > 0 || op->pad_left > 0 ||
         reaches_past(in->h, layer->shape.h, op->kernel_h, op->stride_h, op->dilation_h, op->pad_top) ||
         reaches_past(in->w, layer->shape.w, op->kernel_w, op->stride_w, op->dilation_w, op->pad_left);
}

/* The producer is a bare pointwise layer, so that what reads it can read what it reads. */
static bool is_transparent(const pmn_graph *graph, const pmn_layer *producer) {
  return producer->readers == 1 && !is_input(graph, producer) && pmn_layer_is_pointwise(producer) && is_bare(producer);
}

static void read_through(pmn_layer *layer, pmn_layer *producer, pads p) {
  layer->op.input = producer->op.input;
  layer->op.pad_top += p.top;
  layer->op.pad_left += p.left;
  producer->needed = false;
}

/* A convolution reads through zero padding, factors and terms. Zeros stay zeros under a factor, but not under a term:
 * with one, no padding may be read. */
static void fold_into_window(pmn_graph *graph, pmn_layer *layer) {
  for (;;) {
    pmn_layer *producer = layer_at(graph, layer->op.input);
    if (!is_transparent(graph, producer)) return;
    pads p = pads_of(graph, producer);
    int32_t channels = producer->shape.c;
    bool shifted = any_terms(producer->shift, channels) || any_terms(layer->in_shift, channels);
    if (shifted && (any_pads(p) || reads_padding(layer, &producer->shape))) return;
    if (producer->scale != NULL) {
      /* What was folded before comes after what the producer does. */
      if (layer->in_scale != NULL &&
          !compose(graph, &producer->scale, &producer->shift, layer->in_scale, layer->in_shift, channels)) {
        return;
      }
      pmn_free(layer->in_scale);
      pmn_free(layer->in_shift);
      layer->in_scale = producer->scale, layer->in_shift = producer->shift;
      producer->scale = producer->shift = NULL;
    }
    read_through(layer, producer, p);
  }
}

/* Pools read through zero padding alone: a maximum if no value is below the zeros, an average if it counts padding or
 * has none of its own; if every window still holds a pixel. */
static void fold_into_pool(pmn_graph *graph, pmn_layer *layer) {
  pmn_op *op = &layer->op;
  pmn_layer *producer = layer_at(graph, op->input);
  if (!is_transparent(graph, producer) || producer->scale != NULL) return;
  const pmn_layer *source = layer_at(graph, producer->op.input);
  pads p = pads_of(graph, producer);
  bool average = op->kind == PMN_OP_AVERAGE_POOL;
  if (average ? !op->count_padding && (op->pad_top > 0 || op->pad_left > 0) : !source->non_negative) return;
  bool meet = pmn_window_meets_picture(
                  source->shape.h, layer->shape.h, op->kernel_h, op->stride_h, op->dilation_h, op->pad_top + p.top) &&
              pmn_window_meets_picture(
                  source->shape.w, layer->shape.w, op->kernel_w, op->stride_w, op->dilation_w, op->pad_left + p.left);
  if (!meet) return;
  read_through(layer, producer, p);
  if (!average) return;
  /* Without counting, what lay below the padded picture did not count, and still does not. */
  op->pad_bottom = p.bottom + (op->count_padding ? op->pad_bottom : 0);
  op->pad_right = p.right + (op->count_padding ? op->pad_right : 0);
  op->count_padding = true;
}

/* An average over the whole picture is a global one. */
static void fold_whole_average(pmn_graph *graph, pmn_layer *layer) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &layer_at(graph, op->input)->shape;
  bool padded = op->pad_top > 0 || op->pad_left > 0 || (op->count_padding && (op->pad_bottom > 0 || op->pad_right > 0));
  if (padded || op->kernel_h != in->h || op->kernel_w != in->w) return;
  layer->op = pmn_op_init(PMN_OP_GLOBAL_AVERAGE_POOL, op->name, op->input, PMN_NO_TENSOR);
}

/* ------------------------------------------------------------------------------------------------------ all rules --
 */

static void fold_layer(pmn_graph *graph, pmn_layer *layer) {
  switch (layer->op.kind) {
  case PMN_OP_CONV2D:
    fold_into_window(graph, layer);
    break;
  case PMN_OP_DEPTHWISE_CONV2D:
    if (layer->weights != NULL) {
      fold_into_window(graph, layer);
    } else if (layer->scale != NULL) {
      fold_affine(graph, layer);
    } else if (layer->op.residual != PMN_NO_TENSOR) {
      fold_add(graph, layer);
    } else if (!is_bare(layer)) {
      fold_activation(graph, layer);
    }
    break;
  case PMN_OP_MULTIPLY:
    fold_gate(graph, layer);
    break;
  case PMN_OP_MAX_POOL:
    fold_into_pool(graph, layer);
    break;
  case PMN_OP_AVERAGE_POOL:
    fold_into_pool(graph, layer);
    fold_whole_average(graph, layer);
    break;
  default:
    break;
  }
}

/* No value of the layer is below 0, by its clamp or activation, or because its operation makes none of values that are
 * not. */
static bool is_non_negative(pmn_graph *graph, pmn_layer *layer) {
  const pmn_op *op = &layer->op;
  if (is_input(graph, layer)) return false;
  if (op->clamp_max < 0.0f) return false;
  if (op->clamp_min >= 0.0f || op->activation == PMN_ACTIVATION_SIGMOID || op->activation == PMN_ACTIVATION_SOFTPLUS) {
    return true;
  }
  bool keeps_sign = op->kind == PMN_OP_MAX_POOL || op->kind == PMN_OP_AVERAGE_POOL || op->kind == PMN_OP_COPY ||
                    (pmn_layer_is_pointwise(layer) && layer->scale == NULL);
  if (!keeps_sign || op->activation != PMN_ACTIVATION_NONE) return false;
  pmn_node *operand;
  for (int32_t i = 0; (operand = pmn_layer_operand(layer, i)) != NULL; i++) {
    if (!layer_at(graph, *operand)->non_negative) return false;
  }
  return true;
}

void pmn_fold(pmn_graph *graph) {
  for (int32_t i = 0; i < graph->count && !pmn_graph_failed(graph); i++) {
    pmn_layer *layer = &graph->layers[i];
    if (!layer->needed) continue;
    if (i != graph->input) fold_layer(graph, layer);
    layer->non_negative = is_non_negative(graph, layer);
  }
}
