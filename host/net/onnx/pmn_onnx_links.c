/* pmn_onnx_links.c - which node reads what: numbers for names, and nodes in an order in which they can run.
 *
 * Everything here is linear in the file but for one sort of its names: files made to be slow are not. Counts fit an
 * int32_t, since each name takes two bytes of a file of less than 2^31.
 */
#include "pmn_mem.h"
#include "pmn_onnx_read.h"
#include "pmn_text.h"

#include <stdlib.h>
#include <string.h>

enum { WRITER_NONE = -1, WRITER_INITIALIZER = -2, WRITER_INPUT = -3 }; /* else the number of a node */

static const char *text_of(const char *field) {
  return field != NULL ? field : "";
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static pmn_onnx_id id_of(const pmn_onnx_graph *graph, const char *name) {
  const char **found = bsearch(&name, graph->names, (size_t)graph->value_count, sizeof name, by_text);
  return found == NULL ? PMN_ONNX_NONE : (pmn_onnx_id)(found - graph->names);
}

/* Names appear in JSON and in column names. */
static bool valid_text(const char *text) {
  for (size_t left = strlen(text); left > 0;) {
    int length = pmn_text_utf8_length(text, left);
    if (length == 0) return false;
    text += length;
    left -= (size_t)length;
  }
  return true;
}

/* What a node is called in messages. */
static const char *label_of(const Onnx__NodeProto *node) {
  const char *name = text_of(node->name);
  for (size_t i = 0; i < node->n_output && name[0] == '\0'; i++) name = node->output[i];
  return name;
}

static size_t count_references(const Onnx__GraphProto *proto) {
  size_t count = 0;
  for (size_t i = 0; i < proto->n_node; i++) count += proto->node[i]->n_input + proto->node[i]->n_output;
  return count;
}

/* All names of tensors, each once, in order: a name's number is its place. */
static pmn_status collect_names(const Onnx__GraphProto *proto, pmn_onnx_graph *graph, pmn_err *err) {
  size_t max = count_references(proto) + proto->n_initializer + proto->n_input + proto->n_output, count = 0, kept = 0;
  graph->names = pmn_alloc(max, sizeof *graph->names);
  if (graph->names == NULL) return pmn_err_memory(err, max * sizeof *graph->names, "names of tensors");
  for (size_t i = 0; i < proto->n_initializer; i++) graph->names[count++] = text_of(proto->initializer[i]->name);
  for (size_t i = 0; i < proto->n_input; i++) graph->names[count++] = text_of(proto->input[i]->name);
  for (size_t i = 0; i < proto->n_output; i++) graph->names[count++] = text_of(proto->output[i]->name);
  for (size_t i = 0; i < proto->n_node; i++) {
    const Onnx__NodeProto *node = proto->node[i];
    for (size_t j = 0; j < node->n_input; j++) graph->names[count++] = node->input[j];
    for (size_t j = 0; j < node->n_output; j++) graph->names[count++] = node->output[j];
  }
  if (count > 0) qsort(graph->names, count, sizeof *graph->names, by_text);
  for (size_t i = 0; i < count; i++) {
    const char *name = graph->names[i];
    if (name[0] == '\0' || (kept > 0 && strcmp(name, graph->names[kept - 1]) == 0)) continue;
    if (!valid_text(name)) {
      return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: the name of a tensor is not UTF-8", graph->origin);
    }
    graph->names[kept++] = name;
  }
  graph->value_count = (int32_t)kept;
  return PMN_STATUS_OK;
}

static void fill_attributes(const Onnx__NodeProto *proto, pmn_onnx_node *node) {
  node->attribute_count = (int32_t)proto->n_attribute;
  for (size_t i = 0; i < proto->n_attribute; i++) {
    const Onnx__AttributeProto *from = proto->attribute[i];
    pmn_onnx_attribute *to = &node->attributes[i];
    to->name = text_of(from->name);
    to->number = from->f;
    to->integer = from->i;
    to->text = text_of(from->s);
    switch (from->type) {
    case PMN_ONNX_ATTRIBUTE_TENSOR:
      to->kind = from->t != NULL ? PMN_ONNX_ATTRIBUTE_TENSOR : PMN_ONNX_ATTRIBUTE_OTHER;
      break;
    case PMN_ONNX_ATTRIBUTE_FLOATS:
      to->count = from->n_floats;
      to->floats = from->floats;
      to->kind = PMN_ONNX_ATTRIBUTE_FLOATS;
      break;
    case PMN_ONNX_ATTRIBUTE_INTS:
      to->count = from->n_ints;
      to->integers = from->ints;
      to->kind = PMN_ONNX_ATTRIBUTE_INTS;
      break;
    case PMN_ONNX_ATTRIBUTE_FLOAT:
    case PMN_ONNX_ATTRIBUTE_INT:
    case PMN_ONNX_ATTRIBUTE_STRING:
      to->kind = (pmn_onnx_attribute_kind)from->type;
      break;
    default:
      to->kind = PMN_ONNX_ATTRIBUTE_OTHER;
      break;
    }
  }
}

/* Nodes in the file's order, their names as numbers. */
static pmn_status fill_nodes(const Onnx__GraphProto *proto, pmn_onnx_links *links, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_onnx_graph *graph = &links->graph;
  size_t references = count_references(proto);
  for (size_t i = 0; i < proto->n_node; i++) links->attribute_count += proto->node[i]->n_attribute;
  graph->nodes = pmn_calloc(proto->n_node, sizeof *graph->nodes);
  links->ids = pmn_calloc(references, sizeof *links->ids);
  links->attributes = pmn_calloc(links->attribute_count, sizeof *links->attributes);
  if (graph->nodes == NULL || links->ids == NULL || links->attributes == NULL) {
    st = pmn_err_memory(err, proto->n_node * sizeof *graph->nodes, "nodes");
    goto done;
  }
  graph->node_count = (int32_t)proto->n_node;
  pmn_onnx_id *ids = links->ids;
  pmn_onnx_attribute *attributes = links->attributes;
  for (size_t i = 0; i < proto->n_node; i++) {
    const Onnx__NodeProto *from = proto->node[i];
    pmn_onnx_node *to = &graph->nodes[i];
    to->name = text_of(from->name);
    to->op = text_of(from->op_type);
    to->domain = text_of(from->domain);
    if (strcmp(to->domain, "ai.onnx") == 0) to->domain = "";
    if (to->op[0] == '\0')
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: node %s has no operator", graph->origin, label_of(from));
    if (!valid_text(to->name) || !valid_text(to->op) || !valid_text(to->domain)) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: the name of node %zu is not UTF-8", graph->origin, i);
    }
    to->input_count = (int32_t)from->n_input;
    to->output_count = (int32_t)from->n_output;
    to->inputs = ids;
    to->outputs = ids + from->n_input;
    for (size_t j = 0; j < from->n_input; j++) *ids++ = id_of(graph, from->input[j]);
    for (size_t j = 0; j < from->n_output; j++) *ids++ = id_of(graph, from->output[j]);
    to->attributes = attributes;
    attributes += from->n_attribute;
    fill_attributes(from, to);
  }
done:
  return st;
}

/* Notes who writes every value; nobody does so twice. Models of IR versions up to 3 list initializers as inputs, too:
 * defaults of inputs that we leave as they are. */
static pmn_status find_writers(const Onnx__GraphProto *proto, pmn_onnx_links *links, int32_t *writers, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_onnx_graph *graph = &links->graph;
  for (int32_t i = 0; i < graph->value_count; i++) writers[i] = WRITER_NONE;
  for (size_t i = 0; i < proto->n_initializer; i++) {
    pmn_onnx_id id = id_of(graph, text_of(proto->initializer[i]->name));
    if (id == PMN_ONNX_NONE) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: initializer %zu has no name", graph->origin, i);
    if (writers[id] != WRITER_NONE) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: two initializers are called %s", graph->origin, graph->names[id]);
    }
    writers[id] = WRITER_INITIALIZER;
    graph->constants[id] = &links->values[i];
  }
  for (size_t i = 0; i < proto->n_input; i++) {
    pmn_onnx_id id = id_of(graph, text_of(proto->input[i]->name));
    if (id == PMN_ONNX_NONE) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: input %zu has no name", graph->origin, i);
    if (writers[id] == WRITER_INITIALIZER) continue;
    if (writers[id] != WRITER_NONE) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: two inputs are called %s", graph->origin, graph->names[id]);
    }
    writers[id] = WRITER_INPUT;
  }
  for (int32_t i = 0; i < graph->node_count; i++) {
    for (int32_t j = 0; j < graph->nodes[i].output_count; j++) {
      pmn_onnx_id id = graph->nodes[i].outputs[j];
      if (id == PMN_ONNX_NONE) continue;
      if (writers[id] != WRITER_NONE) {
        PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s node %s writes %s, which is written already", graph->origin,
            graph->nodes[i].op, label_of(proto->node[i]), graph->names[id]);
      }
      writers[id] = i;
    }
  }
done:
  return st;
}

/* Everything that is read is written by somebody. */
static pmn_status check_readers(
    const Onnx__GraphProto *proto, const pmn_onnx_graph *graph, const int32_t *writers, pmn_err *err) {
  for (int32_t i = 0; i < graph->node_count; i++) {
    for (int32_t j = 0; j < graph->nodes[i].input_count; j++) {
      pmn_onnx_id id = graph->nodes[i].inputs[j];
      if (id == PMN_ONNX_NONE || writers[id] != WRITER_NONE) continue;
      return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: %s node %s reads %s, which nothing writes", graph->origin,
          graph->nodes[i].op, label_of(proto->node[i]), graph->names[id]);
    }
  }
  for (int32_t i = 0; i < graph->output_count; i++) {
    pmn_onnx_id id = graph->outputs[i];
    if (id != PMN_ONNX_NONE && writers[id] != WRITER_NONE) continue;
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: nothing writes the model's output %s", graph->origin,
        text_of(proto->output[i]->name));
  }
  return PMN_STATUS_OK;
}

/* Depth first with a stack of our own: every node after those that it reads, else in the file's order. */
typedef struct ordering {
  int32_t *stack, *cursor; /* cursor[node]: the input to look at next; -1: not begun */
  bool *placed;
  pmn_onnx_node *sorted;
  int32_t sorted_count;
} ordering;

static pmn_status place_node(
    const pmn_onnx_graph *graph, const int32_t *writers, int32_t first, ordering *order, pmn_err *err) {
  int32_t depth = 0;
  order->stack[depth++] = first;
  order->cursor[first] = 0;
  while (depth > 0) {
    int32_t at = order->stack[depth - 1];
    const pmn_onnx_node *node = &graph->nodes[at];
    if (order->cursor[at] == node->input_count) {
      order->sorted[order->sorted_count++] = *node;
      order->placed[at] = true;
      depth--;
      continue;
    }
    pmn_onnx_id id = node->inputs[order->cursor[at]++];
    int32_t writer = id == PMN_ONNX_NONE ? WRITER_NONE : writers[id];
    if (writer < 0 || order->placed[writer]) continue;
    if (order->cursor[writer] >= 0) {
      return pmn_err_set(
          err, PMN_STATUS_MODEL, 0, "%s: the nodes around %s form a circle", graph->origin, graph->names[id]);
    }
    order->cursor[writer] = 0;
    order->stack[depth++] = writer;
  }
  return PMN_STATUS_OK;
}

static pmn_status sort_nodes(pmn_onnx_graph *graph, const int32_t *writers, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)graph->node_count;
  ordering order = {
      .stack = pmn_alloc(count, sizeof *order.stack),
      .cursor = pmn_alloc(count, sizeof *order.cursor),
      .placed = pmn_calloc(count, sizeof *order.placed),
      .sorted = pmn_alloc(count, sizeof *order.sorted),
  };
  if (order.stack == NULL || order.cursor == NULL || order.placed == NULL || order.sorted == NULL) {
    st = pmn_err_memory(err, count * sizeof *order.sorted, "an order of nodes");
    goto done;
  }
  for (size_t i = 0; i < count; i++) order.cursor[i] = -1;
  for (int32_t i = 0; i < graph->node_count; i++) {
    if (!order.placed[i]) PMN_TRY(place_node(graph, writers, i, &order, err));
  }
  pmn_free(graph->nodes);
  graph->nodes = order.sorted;
  order.sorted = NULL;
done:
  pmn_free(order.stack);
  pmn_free(order.cursor);
  pmn_free(order.placed);
  pmn_free(order.sorted);
  return st;
}

/* [1 or open, 3, height, width] or [1 or open, height, width, 3]. */
static bool picture_shape(const int64_t dims[4]) {
  for (int i = 0; i < 4; i++) {
    if (dims[i] > INT32_MAX) return false;
  }
  return (dims[0] == -1 || dims[0] == 1) && (dims[1] == 3 || dims[3] == 3);
}

/* The one input that no initializer gives a value to. */
static pmn_status find_input(
    const Onnx__GraphProto *proto, pmn_onnx_graph *graph, const int32_t *writers, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const Onnx__ValueInfoProto *input = NULL;
  for (size_t i = 0; i < proto->n_input; i++) {
    if (writers[id_of(graph, proto->input[i]->name)] != WRITER_INPUT) continue;
    if (input != NULL) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s has several inputs, %s and %s; networks of one input, pictures, are taken",
          graph->origin, input->name, proto->input[i]->name);
    }
    input = proto->input[i];
  }
  if (input == NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%s has no input; pictures need one", graph->origin);
  const Onnx__TensorTypeProto *type = input->type == NULL ? NULL : input->type->tensor_type;
  if (type == NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: input %s is not a tensor", graph->origin, input->name);
  if (type->elem_type != PMN_ONNX_FLOAT && type->elem_type != PMN_ONNX_FLOAT16 && type->elem_type != PMN_ONNX_DOUBLE) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: input %s is of type %s; export the model with an input of type FLOAT",
        graph->origin, input->name, pmn_onnx_type_name(type->elem_type));
  }
  const Onnx__TensorShapeProto *shape = type->shape;
  graph->input = id_of(graph, input->name);
  /* Exporters write open dimensions as names, as nothing, or as 0 and -1. */
  for (size_t i = 0; i < 4 && shape != NULL && shape->n_dim == 4; i++) {
    graph->input_dims[i] = shape->dim[i]->has_dim_value && shape->dim[i]->dim_value > 0 ? shape->dim[i]->dim_value : -1;
  }
  if (!picture_shape(graph->input_dims)) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: input %s is not of the shape of pictures, [1, 3, height, width] or [1, height, width, 3]; the "
        "first may be open, the 3 not",
        graph->origin, input->name);
  }
done:
  return st;
}

pmn_status pmn_onnx_links_make(const Onnx__GraphProto *proto, pmn_onnx_links *links, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_onnx_graph *graph = &links->graph;
  int32_t *writers = NULL;
  PMN_TRY(collect_names(proto, graph, err));
  PMN_TRY(fill_nodes(proto, links, err));
  links->value_count = proto->n_initializer;
  links->values = pmn_calloc(proto->n_initializer, sizeof *links->values);
  graph->constants = pmn_calloc((size_t)graph->value_count, sizeof *graph->constants);
  graph->outputs = pmn_calloc(proto->n_output, sizeof *graph->outputs);
  writers = pmn_alloc((size_t)graph->value_count, sizeof *writers);
  if (links->values == NULL || graph->constants == NULL || graph->outputs == NULL || writers == NULL) {
    st = pmn_err_memory(err, proto->n_initializer * sizeof *links->values, "tables of tensors");
    goto done;
  }
  graph->output_count = (int32_t)proto->n_output;
  for (size_t i = 0; i < proto->n_output; i++) graph->outputs[i] = id_of(graph, text_of(proto->output[i]->name));
  if (proto->n_output == 0) PMN_FAIL(err, PMN_STATUS_MODEL, "%s has no output", graph->origin);
  PMN_TRY(find_writers(proto, links, writers, err));
  PMN_TRY(check_readers(proto, graph, writers, err));
  PMN_TRY(sort_nodes(graph, writers, err));
  PMN_TRY(find_input(proto, graph, writers, err));
done:
  pmn_free(writers);
  return st;
}

void pmn_onnx_links_reset(pmn_onnx_links *links) {
  for (size_t i = 0; links->values != NULL && i < links->value_count; i++) pmn_onnx_value_reset(&links->values[i]);
  for (size_t i = 0; links->attributes != NULL && i < links->attribute_count; i++) {
    pmn_onnx_value_reset(&links->attributes[i].tensor);
  }
  pmn_free(links->values);
  pmn_free(links->attributes);
  pmn_free(links->ids);
  pmn_free(links->graph.nodes);
  pmn_free(links->graph.names);
  pmn_free(links->graph.constants);
  pmn_free(links->graph.outputs);
  *links = (pmn_onnx_links){0};
}
