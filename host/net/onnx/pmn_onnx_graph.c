/* pmn_onnx_graph.c - from ONNX nodes to layers: the walk, the names, and what people may take from the result.
 *
 * The batch is one picture: shapes are all known, so what an exporter computes from shapes folds to constants on the
 * way (see pmn_onnx_constant_compute). Operators live in pmn_onnx_graph_*.c, in tables by theme.
 */
#include "pmn_onnx_lowering.h"

#include "pmn_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* In what order pmn_onnx_flatten reads a node. */
typedef enum pmn_onnx_order {
  PMN_ONNX_ORDER_NONE,
  PMN_ONNX_ORDER_MEMORY, /* h, w, c */
  PMN_ONNX_ORDER_IMAGE,  /* c, h, w */
} pmn_onnx_order;

void pmn_onnx_lowering_destroy(pmn_onnx_lowering *lowering) {
  if (lowering == NULL) return;
  for (int32_t i = 0; i < lowering->computed_count; i++) pmn_onnx_value_reset(&lowering->computed[i]);
  pmn_free(lowering->computed);
  pmn_free(lowering->items);
  pmn_free(lowering->orders);
  pmn_free(lowering);
}

/* ------------------------------------------------------------------------------------------------ refusals -- */

bool pmn_onnx_refuse(pmn_onnx_lowering *self, const char *format, ...) {
  if (self->refused || pmn_graph_failed(self->graph)) return false;
  const pmn_onnx_node *node = self->node;
  char reason[256], line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(reason, sizeof reason, format, args);
  va_end(args);
  bool named = node->name[0] != '\0' || node->output_count == 0 || node->outputs[0] == PMN_ONNX_NONE;
  snprintf(line, sizeof line, "%.64s node %s%.160s, opset %d: %s", node->op, named ? "" : "that writes ",
      named ? node->name : self->file->names[node->outputs[0]], self->file->opset, reason);
  pmn_err err = PMN_ERR_INIT;
  if (pmn_buf_printf(self->unsupported, &err, "%s\n", line) != PMN_STATUS_OK)
    pmn_graph_fail(self->graph, err.status, "%s", err.message);
  if (self->refused_count++ == 0) snprintf(self->first_refused, sizeof self->first_refused, "%.255s", line);
  self->refused = true;
  return false;
}

void pmn_onnx_refuse_memory(pmn_onnx_lowering *self, size_t count) {
  const char *name = self->node != NULL ? self->node->name : "input"; /* there is no node yet */
  pmn_graph_fail(self->graph, PMN_STATUS_NO_MEMORY, "cannot get the memory for %zu values of node %s", count, name);
}

bool pmn_onnx_charge(pmn_onnx_lowering *self, size_t count, size_t size) {
  if (pmn_onnx_budget_take(&self->budget, count, size)) return true;
  return pmn_onnx_refuse(self,
      "with its parameters, constants take more than %zu bytes and steps, too many for a file "
      "of %zu bytes",
      self->budget.whole, self->file->size);
}

/* --------------------------------------------------------------------------------------------------- names -- */

/* Whether a node's tensor is what people expect under the name of this view: features in a row, a picture [1, c, h, w]
 * or [1, h, w, c], or rows of tokens, channels being channels. */
static pmn_onnx_order view_order(const pmn_onnx_view *view) {
  const pmn_onnx_layout *is = &view->layout;
  const int64_t *dims = view->dims;
  int32_t rank = view->rank;
  pmn_onnx_layout flat = pmn_onnx_layout_flat(is->h, is->w, is->c), image = pmn_onnx_layout_image(is->h, is->w, is->c);
  bool is_flat = pmn_onnx_layout_equal(is, &flat), is_image = pmn_onnx_layout_equal(is, &image);
  bool batched = rank > 2 && dims[0] == 1;
  if (!batched || rank > 4) return is_flat && is->h == 1 && is->w == 1 ? PMN_ONNX_ORDER_MEMORY : PMN_ONNX_ORDER_NONE;
  if (rank == 4) {
    if (is_image && dims[1] == is->c && dims[2] == is->h && dims[3] == is->w) return PMN_ONNX_ORDER_IMAGE;
    bool same = dims[1] == is->h && dims[2] == is->w && dims[3] == is->c;
    return is_flat && same ? PMN_ONNX_ORDER_MEMORY : PMN_ONNX_ORDER_NONE;
  }
  if (is_image && dims[1] == is->c) return PMN_ONNX_ORDER_IMAGE;
  return is_flat && dims[2] == is->c ? PMN_ONNX_ORDER_MEMORY : PMN_ONNX_ORDER_NONE;
}

static pmn_onnx_order node_order(const pmn_onnx_lowering *self, pmn_node node) {
  return node >= 0 && node < self->order_count ? (pmn_onnx_order)self->orders[node] : PMN_ONNX_ORDER_NONE;
}

bool pmn_onnx_node_is_image(const pmn_onnx_lowering *self, pmn_node node) {
  return node_order(self, node) == PMN_ONNX_ORDER_IMAGE;
}

static void keep_order(pmn_onnx_lowering *self, pmn_node node, pmn_onnx_order order) {
  if (node >= self->order_count) {
    int32_t count = node + 64;
    uint8_t *orders = pmn_realloc(self->orders, (size_t)count, sizeof *orders);
    if (orders == NULL) {
      pmn_onnx_refuse_memory(self, (size_t)count);
      return;
    }
    memset(orders + self->order_count, 0, (size_t)(count - self->order_count));
    self->orders = orders;
    self->order_count = count;
  }
  self->orders[node] = (uint8_t)order;
}

const char *pmn_onnx_output_name(const pmn_onnx_lowering *self, const pmn_onnx_view *like) {
  const pmn_onnx_node *node = self->node;
  if (node->output_count == 0 || node->outputs[0] == PMN_ONNX_NONE) return NULL;
  bool scattered = like != NULL && view_order(like) == PMN_ONNX_ORDER_NONE;
  return scattered ? NULL : self->file->names[node->outputs[0]];
}

/* Gives a value's name, and the writing node's, to a node of the graph: the view's own, or a copy in the right order
 * that vanishes again if nobody asks for it. */
static void publish(pmn_onnx_lowering *self, pmn_onnx_item *item, const char *name, const char *second_name) {
  pmn_onnx_view view = item->view;
  pmn_onnx_order order = view_order(&view), held = node_order(self, view.node);
  bool single = view.layout.c == 1 || (view.layout.h == 1 && view.layout.w == 1); /* both orders are the same */
  if (order == PMN_ONNX_ORDER_NONE || (held != PMN_ONNX_ORDER_NONE && held != order && !single)) {
    pmn_onnx_layout target = view.layout;
    if (order == PMN_ONNX_ORDER_NONE) {
      bool image = view.rank == 4 && view.dims[0] == 1;
      target = image ? pmn_onnx_layout_image((int32_t)view.dims[2], (int32_t)view.dims[3], (int32_t)view.dims[1])
                     : pmn_onnx_layout_flat(1, 1, (int32_t)pmn_onnx_view_size(&view));
      order = image ? PMN_ONNX_ORDER_IMAGE : PMN_ONNX_ORDER_MEMORY;
      pmn_onnx_view_arrange(&view, self->graph, name, &target);
    } else {
      pmn_tensor shape = {.h = target.h, .w = target.w, .c = target.c};
      int32_t size = (int32_t)pmn_onnx_view_size(&view);
      pmn_copy whole = {.extent = {1, 1, size}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
      view.node = pmn_graph_copy(self->graph, name, view.node, shape, &whole, 1);
    }
    if (pmn_graph_failed(self->graph)) return;
  }
  pmn_graph_alias(self->graph, view.node, name);
  pmn_graph_alias(self->graph, view.node, second_name);
  if (node_order(self, view.node) == PMN_ONNX_ORDER_NONE) keep_order(self, view.node, order);
  item->published = view.node;
}

/* ------------------------------------------------------------------------------------------------- the walk -- */

static const pmn_onnx_operator *operator_find(const char *name, int32_t opset, bool *known) {
  static const pmn_onnx_operator *const themes[] = {pmn_onnx_operators_window, pmn_onnx_operators_channel,
      pmn_onnx_operators_pointwise, pmn_onnx_operators_arithmetic, pmn_onnx_operators_shape, pmn_onnx_operators_move,
      pmn_onnx_operators_resize};
  *known = false;
  for (size_t t = 0; t < sizeof themes / sizeof *themes; t++) {
    for (const pmn_onnx_operator *o = themes[t]; o->name != NULL; o++) {
      if (strcmp(o->name, name) != 0) continue;
      *known = true;
      if (opset >= o->since && opset <= o->until) return o;
    }
  }
  return NULL;
}

/* Whether an input from `first` on is unknown. */
static bool reads_unknown(const pmn_onnx_lowering *self, int32_t first) {
  for (int32_t i = first; i < self->node->input_count; i++) {
    pmn_onnx_id id = self->node->inputs[i];
    if (id != PMN_ONNX_NONE && self->items[id].kind == PMN_ONNX_UNKNOWN) return true;
  }
  return false;
}

static bool reads_constants_only(const pmn_onnx_lowering *self) {
  for (int32_t i = 0; i < self->node->input_count; i++) {
    pmn_onnx_id id = self->node->inputs[i];
    if (id != PMN_ONNX_NONE && self->items[id].kind != PMN_ONNX_CONSTANT) return false;
  }
  return true;
}

static bool reads_shape(const pmn_onnx_node *node) {
  return strcmp(node->op, "Shape") == 0 || strcmp(node->op, "Size") == 0;
}

/* A node that would give constants if a tensor were known: the tensor's writer is listed, so this one need not be. */
static bool pass_over(pmn_onnx_lowering *self) {
  const pmn_onnx_node *node = self->node;
  for (int32_t i = 0; !reads_shape(node) && i < node->input_count; i++) {
    const pmn_onnx_item *item = pmn_onnx_input_item(self, i);
    if (item != NULL && item->kind != PMN_ONNX_CONSTANT && !item->of_shapes) return false;
  }
  for (int32_t i = 0; i < node->output_count; i++)
    if (node->outputs[i] != PMN_ONNX_NONE) self->items[node->outputs[i]].of_shapes = true;
  return true;
}

/* Makes the node's outputs constants if that can be done. */
static bool fold(pmn_onnx_lowering *self) {
  const pmn_onnx_node *node = self->node;
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = PMN_STATUS_OK;
  bool done = false;
  const pmn_onnx_value **inputs = pmn_calloc((size_t)node->input_count + 1, sizeof *inputs);
  if (inputs == NULL) {
    pmn_onnx_refuse_memory(self, (size_t)node->input_count);
    return true;
  }
  for (int32_t i = 0; i < node->input_count; i++) {
    if (node->inputs[i] != PMN_ONNX_NONE) inputs[i] = self->items[node->inputs[i]].constant;
  }
  pmn_onnx_value *outputs = self->computed + self->computed_count;
  status = pmn_onnx_constant_compute(self->file, node, inputs, &self->budget, outputs, &done, &err);
  pmn_free(inputs);
  if (status == PMN_STATUS_NO_MEMORY) {
    pmn_graph_fail(self->graph, status, "%s", err.message);
  } else if (status != PMN_STATUS_OK) {
    pmn_onnx_refuse(self, "%s", err.message);
  } else if (done) {
    self->computed_count += node->output_count;
    for (int32_t i = 0; i < node->output_count; i++) {
      if (node->outputs[i] == PMN_ONNX_NONE) continue;
      self->items[node->outputs[i]].kind = PMN_ONNX_CONSTANT;
      self->items[node->outputs[i]].constant = &outputs[i];
    }
  }
  return status != PMN_STATUS_OK || done;
}

/* Shape and Size of a computed value. */
static bool fold_shape(pmn_onnx_lowering *self) {
  const pmn_onnx_node *node = self->node;
  pmn_onnx_view view;
  if (!reads_shape(node) || node->output_count != 1 || node->outputs[0] == PMN_ONNX_NONE) return false;
  if (!pmn_onnx_input_view(self, 0, &view)) return true;
  pmn_err err = PMN_ERR_INIT;
  pmn_onnx_value *output = self->computed + self->computed_count;
  pmn_status status = pmn_onnx_constant_shape(node, view.dims, view.rank, output, &err);
  if (status == PMN_STATUS_NO_MEMORY) {
    pmn_graph_fail(self->graph, status, "%s", err.message);
  } else if (status != PMN_STATUS_OK) {
    pmn_onnx_refuse(self, "%s", err.message);
  } else {
    self->computed_count++;
    pmn_onnx_output_item(self, &(pmn_onnx_item){.kind = PMN_ONNX_CONSTANT, .constant = output});
  }
  return true;
}

/* Gives the outputs their names. */
static void publish_outputs(pmn_onnx_lowering *self) {
  const pmn_onnx_node *node = self->node;
  for (int32_t i = 0; i < node->output_count && !pmn_graph_failed(self->graph); i++) {
    pmn_onnx_id id = node->outputs[i];
    if (id == PMN_ONNX_NONE || self->items[id].kind != PMN_ONNX_COMPUTED) continue;
    publish(self, &self->items[id], self->file->names[id], i == 0 ? node->name : NULL);
  }
}

static void lower_node(pmn_onnx_lowering *self) {
  const pmn_onnx_node *node = self->node;
  bool known = false, own = node->domain[0] == '\0';
  const pmn_onnx_operator *operator= own ? operator_find(node->op, self->file->opset, &known) : NULL;
  if (!own) {
    pmn_onnx_refuse(self, "an operator of domain %.64s, not of ONNX's own", node->domain);
    return;
  }
  bool unknown = reads_unknown(self, 0);
  if (!unknown && reads_constants_only(self) && fold(self)) return;
  if (!unknown && fold_shape(self)) return;
  if (unknown && pass_over(self)) return;
  if (operator!= NULL && !reads_unknown(self, 1)) {
    operator->lower(self);
  } else if (operator== NULL && known) {
    pmn_onnx_refuse(self, "the operator has another meaning, or none, in this opset");
  } else if (operator== NULL) {
    pmn_onnx_refuse(self, "an operator that Pomona does not take on tensors of the network");
  }
  publish_outputs(self);
}

/* A layer that the graph does not take becomes the refusal of the node, so that the walk goes on. */
static void refuse_failure(pmn_onnx_lowering *self) {
  pmn_err err = PMN_ERR_INIT;
  if (pmn_graph_check(self->graph, &err) != PMN_STATUS_MODEL) return;
  pmn_graph_take_error(self->graph, &err);
  pmn_onnx_refuse(self, "%s", err.message);
  for (int32_t i = 0; i < self->node->output_count; i++) {
    if (self->node->outputs[i] != PMN_ONNX_NONE) self->items[self->node->outputs[i]].kind = PMN_ONNX_UNKNOWN;
  }
}

/* ---------------------------------------------------------------------------------------------- beginning -- */

static void lower_input(pmn_onnx_lowering *self, const pmn_preprocess *preprocess) {
  const pmn_onnx_graph *file = self->file;
  const int64_t *dims = file->input_dims;
  const char *name = file->names[file->input];
  bool channels_first = dims[1] == 3; /* else they are last: the file was checked for it */
  int64_t height = channels_first ? dims[2] : dims[1], width = channels_first ? dims[3] : dims[2];
  if ((height > 0 && height != preprocess->height) || (width > 0 && width != preprocess->width)) {
    pmn_graph_fail(self->graph, PMN_STATUS_ARGUMENT,
        "pictures are %d x %d, but the file takes %lld x %lld alone: export it with open sizes for others",
        preprocess->width, preprocess->height, (long long)width, (long long)height);
    return;
  }
  pmn_node node = pmn_graph_input(self->graph, name, preprocess);
  int64_t last[4] = {1, preprocess->height, preprocess->width, 3};
  pmn_onnx_item *item = &self->items[file->input];
  item->kind = PMN_ONNX_COMPUTED;
  item->view = channels_first ? pmn_onnx_view_image(self->graph, node) : pmn_onnx_view_flat(self->graph, node, last, 4);
  item->base = node;
  item->scale = 1;
  if (!pmn_graph_failed(self->graph)) publish(self, item, name, NULL);
}

/* Constants that nodes compute have their place from the start, so that items can point to them. */
static bool prepare(pmn_onnx_lowering *self) {
  const pmn_onnx_graph *file = self->file;
  int64_t outputs = 0;
  for (int32_t n = 0; n < file->node_count; n++) outputs += file->nodes[n].output_count;
  self->items = pmn_calloc((size_t)file->value_count + 1, sizeof *self->items);
  self->computed = pmn_calloc((size_t)outputs + 1, sizeof *self->computed);
  if (self->items == NULL || self->computed == NULL || outputs > INT32_MAX) return false;
  for (int32_t i = 0; i < file->value_count; i++) {
    self->items[i] = (pmn_onnx_item){.published = -1, .writer = -1, .base = -1};
    if (file->constants[i] == NULL) continue;
    self->items[i].kind = PMN_ONNX_CONSTANT;
    self->items[i].constant = file->constants[i];
  }
  for (int32_t n = 0; n < file->node_count; n++) {
    const pmn_onnx_node *node = &file->nodes[n];
    for (int32_t i = 0; i < node->output_count; i++)
      if (node->outputs[i] != PMN_ONNX_NONE) self->items[node->outputs[i]].writer = n;
    for (int32_t i = 0; i < node->input_count; i++)
      if (node->inputs[i] != PMN_ONNX_NONE) self->items[node->inputs[i]].read = true;
  }
  for (int32_t i = 0; i < file->output_count; i++)
    if (file->outputs[i] != PMN_ONNX_NONE) self->items[file->outputs[i]].read = true;
  return true;
}

/* ------------------------------------------------------------------------------------------------- features -- */

static bool is_row(const pmn_onnx_view *view) {
  return view->rank > 0 && view->dims[view->rank - 1] == pmn_onnx_view_size(view);
}

static bool is_one_of(const char *op, const char *const *names) {
  for (; *names != NULL; names++)
    if (strcmp(op, *names) == 0) return true;
  return false;
}

/* Whether a node may stand behind a classifier: it moves or names class scores, makes them probabilities, or adds to
 * them. */
static bool ends_classifier(const char *op) {
  static const char *const names[] = {"Add", "Cast", "Dropout", "Flatten", "Identity", "Reshape", "Sigmoid", "Softmax",
      "Squeeze", "Transpose", "Unsqueeze", NULL};
  return is_one_of(op, names);
}

/* A convolution that is a dense layer: weights of one pixel, on one pixel. */
static bool is_dense_conv(const pmn_onnx_lowering *self, const pmn_onnx_node *node, const pmn_onnx_view *view) {
  const pmn_onnx_value *weights = self->items[node->inputs[1]].constant;
  return view->rank == 4 && view->dims[2] == 1 && view->dims[3] == 1 && weights->dims[2] == 1 && weights->dims[3] == 1;
}

/* See pmn_onnx_features. */
static pmn_node find_features(const pmn_onnx_lowering *self) {
  const pmn_onnx_graph *file = self->file;
  pmn_onnx_id id = file->output_count > 0 ? file->outputs[0] : PMN_ONNX_NONE;
  if (id == PMN_ONNX_NONE) return -1;
  pmn_node output = self->items[id].published;
  bool plain = true; /* no node so far but those that end a classifier */
  for (int32_t writer = self->items[id].writer; writer >= 0; writer = self->items[id].writer) {
    const pmn_onnx_node *node = &file->nodes[writer];
    int32_t computed = 0;
    for (int32_t i = 0; i < node->input_count; i++) {
      if (node->inputs[i] == PMN_ONNX_NONE || self->items[node->inputs[i]].kind == PMN_ONNX_CONSTANT) continue;
      computed++;
      id = node->inputs[i];
    }
    if (computed != 1) break;
    bool dense = strcmp(node->op, "Gemm") == 0 || strcmp(node->op, "MatMul") == 0;
    if (dense && is_row(&self->items[id].view)) return self->items[id].published;
    bool conv = strcmp(node->op, "Conv") == 0;
    if (conv && plain && is_dense_conv(self, node, &self->items[id].view)) return self->items[id].published;
    if (dense || conv) break;
    plain = plain && ends_classifier(node->op);
  }
  return output;
}

void pmn_onnx_build(pmn_onnx *onnx, pmn_graph *graph, const pmn_preprocess *preprocess, pmn_buf *unsupported) {
  pmn_onnx_lowering *self = pmn_calloc(1, sizeof *self);
  pmn_onnx_file_keep(onnx, self);
  if (self == NULL) {
    pmn_graph_fail(graph, PMN_STATUS_NO_MEMORY, "cannot get the memory for an ONNX network");
    return;
  }
  self->file = pmn_onnx_file_graph(onnx);
  self->graph = graph;
  self->unsupported = unsupported;
  self->features = -1;
  self->budget = pmn_onnx_budget_of(self->file);
  if (prepare(self)) {
    lower_input(self, preprocess);
  } else {
    pmn_graph_fail(graph, PMN_STATUS_NO_MEMORY, "cannot get the memory for the %d values of an ONNX network",
        self->file->value_count);
  }
  for (int32_t n = 0; n < self->file->node_count && !pmn_graph_failed(graph); n++) {
    self->node = &self->file->nodes[n];
    self->refused = false;
    lower_node(self);
    refuse_failure(self);
  }
  if (self->refused_count == 1) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL, "%s", self->first_refused);
  } else if (self->refused_count > 1) {
    pmn_graph_fail(
        graph, PMN_STATUS_MODEL, "%d nodes cannot be taken; the first: %s", self->refused_count, self->first_refused);
  }
  if (!pmn_graph_failed(graph)) self->features = find_features(self);
  if (self->features < 0) {
    pmn_graph_fail(graph, PMN_STATUS_MODEL,
        "the network's first output does not depend on the picture, or is a step "
        "inside of GELU or LayerNorm");
  }
  for (int32_t i = 0; i < self->computed_count; i++) pmn_onnx_value_reset(&self->computed[i]);
  pmn_free(self->computed);
  pmn_free(self->items);
  self->computed = NULL;
  self->items = NULL;
  self->computed_count = 0;
}

pmn_node pmn_onnx_features(const pmn_onnx *onnx, const pmn_graph *graph) {
  const pmn_onnx_lowering *lowering = pmn_onnx_file_lowering(onnx);
  return lowering == NULL || pmn_graph_failed(graph) ? -1 : lowering->features;
}

pmn_node pmn_onnx_flatten(const pmn_onnx *onnx, pmn_graph *graph, pmn_node node) {
  const pmn_onnx_lowering *lowering = pmn_onnx_file_lowering(onnx);
  if (lowering == NULL || node_order(lowering, node) != PMN_ONNX_ORDER_IMAGE)
    return pmn_graph_flatten(graph, NULL, node);
  pmn_onnx_view view = pmn_onnx_view_image(graph, node);
  pmn_onnx_layout row = pmn_onnx_layout_flat(1, 1, (int32_t)pmn_onnx_view_size(&view));
  return pmn_onnx_view_arrange(&view, graph, NULL, &row) ? view.node : 0;
}
