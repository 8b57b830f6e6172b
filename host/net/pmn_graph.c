/* pmn_graph.c - the graph itself: its layers, their names, the first error. pmn_graph_build.c makes layers, pmn_fold.c
 * joins them, pmn_graph_finish.c turns them into a program. */
#include "pmn_graph_parts.h"

#include "pmn_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

pmn_graph *pmn_graph_create(const char *origin) {
  pmn_graph *graph = pmn_calloc(1, sizeof *graph);
  if (graph == NULL) return NULL;
  graph->origin = pmn_strdup(origin);
  if (graph->origin != NULL) return graph;
  pmn_free(graph);
  return NULL;
}

void pmn_layer_reset(pmn_layer *layer) {
  pmn_free(layer->weights);
  pmn_free(layer->bias);
  pmn_free(layer->scale);
  pmn_free(layer->shift);
  pmn_free(layer->in_scale);
  pmn_free(layer->in_shift);
  pmn_free(layer->copies);
  pmn_free(layer->sources);
}

void pmn_graph_destroy(pmn_graph *graph) {
  if (graph == NULL) return;
  for (int32_t i = 0; i < graph->count; i++) pmn_layer_reset(&graph->layers[i]);
  pmn_free(graph->layers);
  pmn_graph_names_reset(&graph->names);
  pmn_free(graph->tensors);
  pmn_free(graph->ops);
  pmn_free(graph->origin);
  pmn_free(graph);
}

/* ----------------------------------------------------------------------------------------------------- errors -- */

bool pmn_graph_failed(const pmn_graph *graph) {
  return graph->error.status != PMN_STATUS_OK;
}

pmn_status pmn_graph_check(const pmn_graph *graph, pmn_err *err) {
  if (pmn_graph_failed(graph) && err != NULL) *err = graph->error;
  return graph->error.status;
}

void pmn_graph_fail(pmn_graph *graph, pmn_status status, const char *format, ...) {
  if (pmn_graph_failed(graph)) return;
  char message[sizeof graph->error.message];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  pmn_err_set(&graph->error, status, 0, "%s: %s", graph->origin, message);
}

void pmn_graph_take_error(pmn_graph *graph, pmn_err *err) {
  *err = graph->error;
  size_t origin = strlen(graph->origin) + strlen(": ");
  if (strlen(err->message) > origin) memmove(err->message, err->message + origin, strlen(err->message + origin) + 1);
  graph->error = (pmn_err)PMN_ERR_INIT;
}

void pmn_graph_refuse(pmn_graph *graph, const pmn_layer *layer, const char *format, ...) {
  char message[sizeof graph->error.message];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  const char *name = layer->name[0] != '\0' ? layer->name : layer->kind;
  pmn_graph_fail(graph, PMN_STATUS_MODEL, "layer %s: %s", name, message);
}

void pmn_graph_fail_memory(pmn_graph *graph, size_t bytes, const char *what) {
  pmn_err err;
  pmn_err_memory(&err, bytes, what);
  pmn_graph_fail(graph, err.status, "%s", err.message);
}

/* ------------------------------------------------------------------------------------------- names and layers -- */

static bool is_node(const pmn_graph *graph, pmn_node node) {
  return node >= 0 && node < graph->count;
}

void pmn_graph_alias(pmn_graph *graph, pmn_node node, const char *name) {
  if (pmn_graph_failed(graph) || !is_node(graph, node) || name == NULL || name[0] == '\0') return;
  if (pmn_graph_names_add(&graph->names, name, node) == NULL) {
    pmn_graph_fail_memory(graph, sizeof(pmn_graph_name), "the name of a layer");
  }
}

pmn_node pmn_graph_find(const pmn_graph *graph, const char *name) {
  const pmn_graph_name *found = pmn_graph_names_find(&graph->names, name);
  return found == NULL ? -1 : found->node;
}

pmn_tensor pmn_graph_shape(const pmn_graph *graph, pmn_node node) {
  return is_node(graph, node) ? graph->layers[node].shape : (pmn_tensor){.h = 1, .w = 1, .c = 1};
}

bool pmn_graph_layer_at(const pmn_graph *graph, int32_t index, pmn_graph_layer *layer) {
  if (!is_node(graph, index)) return false;
  const pmn_layer *from = &graph->layers[index];
  *layer = (pmn_graph_layer){.name = from->name,
      .kind = from->kind,
      .h = from->shape.h,
      .w = from->shape.w,
      .c = from->shape.c,
      .parameters = from->parameters,
      .operations = from->operations};
  return true;
}

pmn_node *pmn_layer_operand(pmn_layer *layer, int32_t index) {
  pmn_node *const single[] = {&layer->op.input, &layer->op.residual, &layer->op.factor};
  for (int32_t i = 0; i < 3; i++) {
    if (*single[i] != PMN_NO_TENSOR && index-- == 0) return single[i];
  }
  return layer->sources != NULL && index < layer->copy_count ? &layer->sources[index] : NULL;
}

bool pmn_layer_is_pointwise(const pmn_layer *layer) {
  return layer->op.kind == PMN_OP_DEPTHWISE_CONV2D && layer->weights == NULL;
}
