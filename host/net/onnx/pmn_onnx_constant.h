/* pmn_onnx_constant.h - how operators on constants are written; inside pmn_onnx_constant*.c only.
 *
 * An operator is a line of a table. pmn_onnx_constant_compute finds it, checks the number of inputs, and makes what it
 * gives values of the declared type; sizes and types are the operator's own business.
 */
#ifndef PMN_ONNX_CONSTANT_H
#define PMN_ONNX_CONSTANT_H

#include "pmn_onnx_value.h"

typedef struct pmn_onnx_call pmn_onnx_call;

/* Types that an operator's inputs may have. */
enum {
  PMN_ONNX_ACCEPTS_REAL = 1,
  PMN_ONNX_ACCEPTS_WHOLE = 2,
  PMN_ONNX_ACCEPTS_BOOL = 4,
  PMN_ONNX_ACCEPTS_NUMBERS = PMN_ONNX_ACCEPTS_REAL | PMN_ONNX_ACCEPTS_WHOLE,
  PMN_ONNX_ACCEPTS_ALL = PMN_ONNX_ACCEPTS_NUMBERS | PMN_ONNX_ACCEPTS_BOOL,
};

typedef struct pmn_onnx_rule {
  const char *name;
  pmn_status (*run)(const pmn_onnx_call *call);
  int32_t inputs_min, inputs_max; /* the first inputs_min must not be left out */
  int32_t outputs_max;
  int32_t accepts; /* of all inputs that are data; looked at by operators of pmn_onnx_constant_math.c */
  /* What is done to one element or two; FLOAT and FLOAT16 are computed in fp64 and rounded once. */
  double (*real1)(double);
  int64_t (*whole1)(int64_t);
  double (*real2)(double, double);
  int64_t (*whole2)(int64_t, int64_t);
} pmn_onnx_rule;

/* Ended by one without a name. */
extern const pmn_onnx_rule pmn_onnx_rules_math[], pmn_onnx_rules_move[], pmn_onnx_rules_reduce[];

struct pmn_onnx_call {
  const pmn_onnx_rule *rule;
  const pmn_onnx_graph *graph;
  const pmn_onnx_node *node;
  const pmn_onnx_value *const *inputs;
  pmn_onnx_budget *budget;
  pmn_onnx_value *outputs;
  bool *done; /* true unless the operator says otherwise */
  pmn_err *err;
};

/* PMN_STATUS_MODEL with the message. */
pmn_status pmn_onnx_call_fail(const pmn_onnx_call *call, const char *format, ...) PMN_PRINTF(2, 3);
/* Takes this much from the budget, or fails. */
PMN_MUST_USE pmn_status pmn_onnx_call_charge(const pmn_onnx_call *call, size_t count, size_t cost_of_each);
/* NULL for an input that is left out. */
const pmn_onnx_value *pmn_onnx_call_input(const pmn_onnx_call *call, int32_t index);
/* Makes output `index`; its elements are not set. */
PMN_MUST_USE pmn_status pmn_onnx_call_output(
    const pmn_onnx_call *call, int32_t index, pmn_onnx_type type, const int64_t *dims, int32_t rank);
/* The same elements as `in` in another shape. */
PMN_MUST_USE pmn_status pmn_onnx_call_reshaped(
    const pmn_onnx_call *call, const pmn_onnx_value *in, const int64_t *dims, int32_t rank);
/* An axis from -rank to rank - 1 as one from 0. */
PMN_MUST_USE pmn_status pmn_onnx_call_axis(const pmn_onnx_call *call, int64_t axis, int32_t rank, int32_t *result);

/* Whole numbers that are an input since some opset and an attribute before it. Borrowed. */
typedef struct pmn_onnx_ints {
  const int64_t *items;
  size_t count;
  bool given;
} pmn_onnx_ints;
PMN_MUST_USE pmn_status pmn_onnx_call_list(
    const pmn_onnx_call *call, int32_t input, const char *attribute, pmn_onnx_ints *list);
/* Marks the axes of such a list; an axis that is named twice is an error. */
PMN_MUST_USE pmn_status pmn_onnx_call_axes(
    const pmn_onnx_call *call, const pmn_onnx_ints *list, int32_t rank, bool marked[PMN_ONNX_RANK_MAX]);

/* The shape that tensors of these shapes have together by numpy's rules; false if they have none. */
bool pmn_onnx_broadcast(
    const int64_t *a, int32_t rank_a, const int64_t *b, int32_t rank_b, int64_t dims[PMN_ONNX_RANK_MAX], int32_t *rank);
/* Sets the strides with which tensor `tensor` of a walk goes through a value that is broadcast to the walk's box. */
void pmn_onnx_walk_broadcast(pmn_onnx_walk *walk, int32_t tensor, const int64_t *dims, int32_t rank);

#endif
