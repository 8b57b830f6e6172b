/* pmn_onnx_constant.c - the operators that exporters leave on constants, computed once while a model is read.
 *
 * Shapes are computed in the file: Shape, Gather, Concat and Reshape in dozens. Everything here is small, but weights
 * go through Cast, Transpose and Identity, too. Operators are in three tables by theme; here is what they share.
 */
#include "pmn_onnx_constant.h"

#include "pmn_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Networks whose weights a file computes instead of holding them fit, the light models of the onnx package: VGG19 has 144
 * million weights, made once and packed once. What a file holds may be cast, turned and packed a few times over. */
enum { BUDGET_BASE = 1300 * 1000 * 1000, BUDGET_OF_BYTE = 16 };

pmn_onnx_budget pmn_onnx_budget_of(const pmn_onnx_graph *graph) {
  size_t whole = BUDGET_BASE + BUDGET_OF_BYTE * graph->size; /* a file has less than 2^31 bytes */
  return (pmn_onnx_budget){.left = whole, .whole = whole};
}

bool pmn_onnx_budget_take(pmn_onnx_budget *budget, size_t count, size_t cost_of_each) {
  if (count > budget->left / cost_of_each) return false;
  budget->left -= count * cost_of_each;
  return true;
}

pmn_status pmn_onnx_call_fail(const pmn_onnx_call *call, const char *format, ...) {
  char message[256];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  return pmn_err_set(call->err, PMN_STATUS_MODEL, 0, "%s", message);
}

pmn_status pmn_onnx_call_charge(const pmn_onnx_call *call, size_t count, size_t cost_of_each) {
  if (pmn_onnx_budget_take(call->budget, count, cost_of_each)) return PMN_STATUS_OK;
  return pmn_onnx_call_fail(call,
      "the constants that the file computes take more than %zu bytes and steps, too many "
      "for a file of %zu bytes",
      call->budget->whole, call->graph->size);
}

const pmn_onnx_value *pmn_onnx_call_input(const pmn_onnx_call *call, int32_t index) {
  return index < call->node->input_count ? call->inputs[index] : NULL;
}

pmn_status pmn_onnx_call_output(
    const pmn_onnx_call *call, int32_t index, pmn_onnx_type type, const int64_t *dims, int32_t rank) {
  size_t count;
  const char *wrong = pmn_onnx_dims_wrong(dims, rank, &count);
  if (wrong != NULL) return pmn_onnx_call_fail(call, "its result has %s", wrong);
  pmn_status st = pmn_onnx_call_charge(call, count, pmn_onnx_type_width(type));
  return st != PMN_STATUS_OK ? st : pmn_onnx_value_create(type, dims, rank, &call->outputs[index], call->err);
}

pmn_status pmn_onnx_call_reshaped(
    const pmn_onnx_call *call, const pmn_onnx_value *in, const int64_t *dims, int32_t rank) {
  pmn_status st = pmn_onnx_call_output(call, 0, in->type, dims, rank);
  if (st != PMN_STATUS_OK) return st;
  if (call->outputs[0].count != in->count) {
    return pmn_onnx_call_fail(
        call, "its input has %zu elements, its result would have %zu", in->count, call->outputs[0].count);
  }
  memcpy(pmn_onnx_value_data(&call->outputs[0]), pmn_onnx_value_data(in), in->count * pmn_onnx_value_width(in));
  return PMN_STATUS_OK;
}

pmn_status pmn_onnx_call_axis(const pmn_onnx_call *call, int64_t axis, int32_t rank, int32_t *result) {
  if (axis < -rank || axis >= rank) {
    return pmn_onnx_call_fail(call, "no axis %lld in %d dimensions", (long long)axis, rank);
  }
  *result = (int32_t)(axis < 0 ? axis + rank : axis);
  return PMN_STATUS_OK;
}

pmn_status pmn_onnx_call_list(const pmn_onnx_call *call, int32_t input, const char *attribute, pmn_onnx_ints *list) {
  const pmn_onnx_value *value = pmn_onnx_call_input(call, input);
  *list = (pmn_onnx_ints){0};
  if (value != NULL) {
    if (value->ints == NULL || value->type == PMN_ONNX_BOOL || value->rank > 1) {
      return pmn_onnx_call_fail(call, "input %d should be a list of whole numbers", input);
    }
    *list = (pmn_onnx_ints){.items = value->ints, .count = value->count, .given = true};
    return PMN_STATUS_OK;
  }
  const pmn_onnx_attribute *found = pmn_onnx_attribute_find(call->node, attribute);
  if (found == NULL || found->kind != PMN_ONNX_ATTRIBUTE_INTS) return PMN_STATUS_OK;
  *list = (pmn_onnx_ints){.items = found->integers, .count = found->count, .given = true};
  return PMN_STATUS_OK;
}

pmn_status pmn_onnx_call_axes(
    const pmn_onnx_call *call, const pmn_onnx_ints *list, int32_t rank, bool marked[PMN_ONNX_RANK_MAX]) {
  pmn_status st = PMN_STATUS_OK;
  memset(marked, 0, PMN_ONNX_RANK_MAX * sizeof *marked);
  for (size_t i = 0; i < list->count; i++) {
    int32_t axis = 0;
    PMN_TRY(pmn_onnx_call_axis(call, list->items[i], rank, &axis));
    if (marked[axis]) {
      st = pmn_onnx_call_fail(call, "axis %d is named twice", axis);
      goto done;
    }
    marked[axis] = true;
  }
done:
  return st;
}

bool pmn_onnx_broadcast(const int64_t *a, int32_t rank_a, const int64_t *b, int32_t rank_b,
    int64_t dims[PMN_ONNX_RANK_MAX], int32_t *rank) {
  *rank = rank_a > rank_b ? rank_a : rank_b;
  for (int32_t i = 1; i <= *rank; i++) { /* from the last dimension */
    int64_t x = i <= rank_a ? a[rank_a - i] : 1, y = i <= rank_b ? b[rank_b - i] : 1;
    if (x != y && x != 1 && y != 1) return false;
    dims[*rank - i] = x == 1 ? y : x;
  }
  return true;
}

void pmn_onnx_walk_broadcast(pmn_onnx_walk *walk, int32_t tensor, const int64_t *dims, int32_t rank) {
  int64_t strides[PMN_ONNX_RANK_MAX];
  pmn_onnx_strides(dims, rank, strides);
  for (int32_t i = 1; i <= walk->rank; i++) {
    walk->strides[tensor][walk->rank - i] = i <= rank && dims[rank - i] != 1 ? strides[rank - i] : 0;
  }
}

static const pmn_onnx_rule *rule_find(const pmn_onnx_node *node) {
  static const pmn_onnx_rule *const tables[] = {pmn_onnx_rules_math, pmn_onnx_rules_move, pmn_onnx_rules_reduce};
  if (node->domain[0] != '\0') return NULL;
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    for (const pmn_onnx_rule *o = tables[i]; o->name != NULL; o++) {
      if (strcmp(o->name, node->op) == 0) return o;
    }
  }
  return NULL;
}

pmn_status pmn_onnx_constant_compute(const pmn_onnx_graph *graph, const pmn_onnx_node *node,
    const pmn_onnx_value *const *inputs, pmn_onnx_budget *budget, pmn_onnx_value *outputs, bool *done, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_onnx_rule *rule = rule_find(node);
  pmn_onnx_call call = {.rule = rule,
      .graph = graph,
      .node = node,
      .inputs = inputs,
      .budget = budget,
      .outputs = outputs,
      .done = done,
      .err = err};
  for (int32_t i = 0; i < node->output_count; i++) outputs[i] = (pmn_onnx_value){0};
  *done = rule != NULL;
  if (rule == NULL) goto done;
  bool counts = node->input_count >= rule->inputs_min && node->input_count <= rule->inputs_max;
  counts = counts && node->output_count >= 1 && node->output_count <= rule->outputs_max;
  for (int32_t i = 0; counts && i < rule->inputs_min; i++) counts = inputs[i] != NULL;
  if (!counts) {
    st = pmn_onnx_call_fail(&call, "it has not the inputs and outputs of this operator");
    goto done;
  }
  for (int32_t i = 0; i < node->input_count; i++) {
    if (inputs[i] != NULL) PMN_TRY(pmn_onnx_call_charge(&call, inputs[i]->count, 1));
  }
  PMN_TRY(rule->run(&call));
  for (int32_t i = 0; *done && i < node->output_count; i++) pmn_onnx_value_settle(&outputs[i]);
done:
  if (st != PMN_STATUS_OK) *done = false;
  for (int32_t i = 0; !*done && i < node->output_count; i++) pmn_onnx_value_reset(&outputs[i]);
  return st;
}

pmn_status pmn_onnx_constant_shape(
    const pmn_onnx_node *node, const int64_t *dims, int32_t rank, pmn_onnx_value *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *output = (pmn_onnx_value){0};
  if (strcmp(node->op, "Size") == 0) {
    int64_t product = 1;
    for (int32_t i = 0; i < rank; i++) {
      if (__builtin_mul_overflow(product, dims[i], &product)) {
        PMN_FAIL(err, PMN_STATUS_MODEL, "a tensor of too many elements");
      }
    }
    PMN_TRY(pmn_onnx_value_create(PMN_ONNX_INT64, NULL, 0, output, err));
    output->ints[0] = product;
    goto done;
  }
  int64_t start = pmn_onnx_attribute_int(node, "start", 0), end = pmn_onnx_attribute_int(node, "end", rank);
  if (start < 0) start += rank;
  if (end < 0) end += rank;
  start = start < 0 ? 0 : start > rank ? rank : start;
  end = end < start ? start : end > rank ? rank : end;
  int64_t count = end - start;
  PMN_TRY(pmn_onnx_value_create(PMN_ONNX_INT64, &count, 1, output, err));
  for (int64_t i = 0; i < count; i++) output->ints[i] = dims[start + i];
done:
  return st;
}
