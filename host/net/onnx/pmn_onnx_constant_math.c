/* pmn_onnx_constant_math.c - operators that work element by element, with numpy's broadcasting. Whole numbers stay
 * whole and wrap as two's complement does. */
#include "pmn_onnx_constant.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------- one number -- */

static double negate(double a) {
  return -a;
}
static double reciprocal(double a) {
  return 1 / a;
}
static double sigmoid(double a) {
  return 1 / (1 + exp(-a));
}
static double relu(double a) {
  return a < 0 ? 0 : a;
}
static int64_t negate_whole(int64_t a) {
  return (int64_t)(0 - (uint64_t)a);
}
static int64_t abs_whole(int64_t a) {
  return a < 0 ? negate_whole(a) : a;
}
static int64_t relu_whole(int64_t a) {
  return a < 0 ? 0 : a;
}
static int64_t not_bool(int64_t a) {
  return !a;
}

/* --------------------------------------------------------------------------------------------------- two numbers -- */

static double add(double a, double b) {
  return a + b;
}
static double subtract(double a, double b) {
  return a - b;
}
static double multiply(double a, double b) {
  return a * b;
}
static double divide(double a, double b) {
  return a / b;
}
/* NaN wins, as in numpy. */
static double minimum(double a, double b) {
  return isnan(a) || a < b ? a : b;
}
static double maximum(double a, double b) {
  return isnan(a) || a > b ? a : b;
}
static double equal(double a, double b) {
  return a == b;
}
static double less(double a, double b) {
  return a < b;
}
static double less_or_equal(double a, double b) {
  return a <= b;
}
static double greater(double a, double b) {
  return a > b;
}
static double greater_or_equal(double a, double b) {
  return a >= b;
}
static int64_t add_whole(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a + (uint64_t)b);
}
static int64_t subtract_whole(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a - (uint64_t)b);
}
static int64_t multiply_whole(int64_t a, int64_t b) {
  return (int64_t)((uint64_t)a * (uint64_t)b);
}
/* Towards zero; b is not 0. The one quotient that does not fit is -INT64_MIN. */
static int64_t divide_whole(int64_t a, int64_t b) {
  return b == -1 ? negate_whole(a) : a / b;
}
static int64_t remainder_whole(int64_t a, int64_t b) {
  return b == -1 ? 0 : a % b;
}
/* With the sign of b, as in Python. */
static int64_t modulo_whole(int64_t a, int64_t b) {
  int64_t r = remainder_whole(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
/* a^b rounded towards zero for negative b; 0^-1, which is no number, is 0. */
static int64_t power_whole(int64_t a, int64_t b) {
  uint64_t result = 1, square = (uint64_t)a;
  if (b < 0) return a == 1 ? 1 : a == -1 ? (b % 2 == 0 ? 1 : -1) : 0;
  for (; b > 0; b /= 2, square *= square) {
    if (b % 2 != 0) result *= square;
  }
  return (int64_t)result;
}
static int64_t minimum_whole(int64_t a, int64_t b) {
  return a < b ? a : b;
}
static int64_t maximum_whole(int64_t a, int64_t b) {
  return a > b ? a : b;
}
static int64_t equal_whole(int64_t a, int64_t b) {
  return a == b;
}
static int64_t less_whole(int64_t a, int64_t b) {
  return a < b;
}
static int64_t less_or_equal_whole(int64_t a, int64_t b) {
  return a <= b;
}
static int64_t greater_whole(int64_t a, int64_t b) {
  return a > b;
}
static int64_t greater_or_equal_whole(int64_t a, int64_t b) {
  return a >= b;
}
static int64_t and_bool(int64_t a, int64_t b) {
  return a & b;
}
static int64_t or_bool(int64_t a, int64_t b) {
  return a | b;
}
static int64_t xor_bool(int64_t a, int64_t b) {
  return a ^ b;
}

/* --------------------------------------------------------------------------------------------------------- runs -- */

static pmn_status check_type(const pmn_onnx_call *call, const pmn_onnx_value *value) {
  int32_t kind = value->ints == NULL            ? PMN_ONNX_ACCEPTS_REAL
                 : value->type == PMN_ONNX_BOOL ? PMN_ONNX_ACCEPTS_BOOL
                                                : PMN_ONNX_ACCEPTS_WHOLE;
  if ((call->rule->accepts & kind) != 0) return PMN_STATUS_OK;
  return pmn_onnx_call_fail(call, "an input of type %s", pmn_onnx_type_name(value->type));
}

static pmn_status check_types(const pmn_onnx_call *call, const pmn_onnx_value *a, const pmn_onnx_value *b) {
  if (a->type != b->type) {
    return pmn_onnx_call_fail(
        call, "inputs of types %s and %s", pmn_onnx_type_name(a->type), pmn_onnx_type_name(b->type));
  }
  return check_type(call, a);
}

static pmn_status run_unary(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  pmn_onnx_value *out = &call->outputs[0];
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_type(call, in));
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, in->dims, in->rank));
  for (size_t i = 0; i < in->count; i++) {
    if (in->ints != NULL) {
      out->ints[i] = call->rule->whole1(in->ints[i]);
    } else {
      pmn_onnx_value_set_real(out, i, call->rule->real1(pmn_onnx_value_real(in, i)));
    }
  }
done:
  return st;
}

/* out = a OP b, of `type`; whole numbers only meet whole numbers as such. */
static pmn_status combine(const pmn_onnx_call *call, const pmn_onnx_rule *rule, const pmn_onnx_value *a,
    const pmn_onnx_value *b, pmn_onnx_type type, pmn_onnx_value *out) {
  pmn_onnx_walk walk = {0};
  size_t count;
  if (!pmn_onnx_broadcast(a->dims, a->rank, b->dims, b->rank, walk.dims, &walk.rank) ||
      pmn_onnx_dims_wrong(walk.dims, walk.rank, &count) != NULL) {
    return pmn_onnx_call_fail(call, "the shapes of its inputs do not go together");
  }
  pmn_status st = pmn_onnx_call_charge(call, count, pmn_onnx_type_width(type));
  if (st == PMN_STATUS_OK) st = pmn_onnx_value_create(type, walk.dims, walk.rank, out, call->err);
  if (st != PMN_STATUS_OK) return st;
  pmn_onnx_walk_broadcast(&walk, 0, a->dims, a->rank);
  pmn_onnx_walk_broadcast(&walk, 1, b->dims, b->rank);
  bool whole = a->ints != NULL && b->ints != NULL;
  for (size_t i = 0; i < count; i++, pmn_onnx_walk_next(&walk)) {
    size_t at_a = (size_t)walk.offsets[0], at_b = (size_t)walk.offsets[1];
    if (whole) {
      out->ints[i] = rule->whole2(a->ints[at_a], b->ints[at_b]);
    } else {
      pmn_onnx_value_set_real(out, i, rule->real2(pmn_onnx_value_real(a, at_a), pmn_onnx_value_real(b, at_b)));
    }
  }
  return PMN_STATUS_OK;
}

static pmn_status run_binary(const pmn_onnx_call *call) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  pmn_status st = check_types(call, a, b);
  return st != PMN_STATUS_OK ? st : combine(call, call->rule, a, b, a->type, &call->outputs[0]);
}

static pmn_status run_compare(const pmn_onnx_call *call) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  pmn_status st = check_types(call, a, b);
  return st != PMN_STATUS_OK ? st : combine(call, call->rule, a, b, PMN_ONNX_BOOL, &call->outputs[0]);
}

/* Div and Mod, which whole numbers do not have by 0. */
static pmn_status run_quotient(const pmn_onnx_call *call) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  pmn_onnx_rule rule = *call->rule;
  bool as_c = pmn_onnx_attribute_int(call->node, "fmod", 0) != 0;
  pmn_status st = check_types(call, a, b);
  if (st != PMN_STATUS_OK) return st;
  for (size_t i = 0; b->ints != NULL && i < b->count; i++) {
    if (b->ints[i] == 0) return pmn_onnx_call_fail(call, "a whole number is divided by 0");
  }
  if (rule.real2 == fmod && as_c) rule.whole2 = remainder_whole;
  if (rule.real2 == fmod && a->ints == NULL && !as_c) return pmn_onnx_call_fail(call, "real numbers without fmod");
  return combine(call, &rule, a, b, a->type, &call->outputs[0]);
}

/* The exponent may be of another type. */
static pmn_status run_power(const pmn_onnx_call *call) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  pmn_status st = check_type(call, a);
  if (st == PMN_STATUS_OK) st = check_type(call, b);
  return st != PMN_STATUS_OK ? st : combine(call, call->rule, a, b, a->type, &call->outputs[0]);
}

/* One input or more, from the left. */
static pmn_status run_variadic(const pmn_onnx_call *call) {
  pmn_onnx_value *out = &call->outputs[0], next = {0};
  const pmn_onnx_value *first = call->inputs[0];
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_type(call, first));
  PMN_TRY(pmn_onnx_call_reshaped(call, first, first->dims, first->rank));
  for (int32_t i = 1; i < call->node->input_count; i++) {
    const pmn_onnx_value *b = call->inputs[i];
    if (b == NULL) PMN_TRY(pmn_onnx_call_fail(call, "input %d is left out", i));
    PMN_TRY(check_types(call, out, b));
    PMN_TRY(combine(call, call->rule, out, b, out->type, &next));
    pmn_onnx_value_reset(out);
    *out = next;
    next = (pmn_onnx_value){0};
  }
done:
  pmn_onnx_value_reset(&next);
  return st;
}

/* A bound of Clip: an input since opset 11, before it an attribute. */
static pmn_status find_bound(const pmn_onnx_call *call, int32_t index, const char *name, const pmn_onnx_value **value) {
  *value = pmn_onnx_call_input(call, index);
  if (*value == NULL) return PMN_STATUS_OK;
  if ((*value)->count != 1 || (*value)->type != call->inputs[0]->type) {
    return pmn_onnx_call_fail(call, "%s should be one number of the input's type", name);
  }
  return PMN_STATUS_OK;
}

static pmn_status run_clip(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0], *low, *high;
  pmn_onnx_value *out = &call->outputs[0];
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_type(call, in));
  PMN_TRY(find_bound(call, 1, "min", &low));
  PMN_TRY(find_bound(call, 2, "max", &high));
  double min = (double)pmn_onnx_attribute_float(call->node, "min", -INFINITY);
  double max = (double)pmn_onnx_attribute_float(call->node, "max", INFINITY);
  if (low != NULL) min = pmn_onnx_value_real(low, 0);
  if (high != NULL) max = pmn_onnx_value_real(high, 0);
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, in->dims, in->rank));
  for (size_t i = 0; i < in->count; i++) {
    if (in->ints != NULL) {
      int64_t number = low == NULL ? in->ints[i] : maximum_whole(in->ints[i], low->ints[0]);
      out->ints[i] = high == NULL ? number : minimum_whole(number, high->ints[0]);
    } else {
      pmn_onnx_value_set_real(out, i, minimum(maximum(pmn_onnx_value_real(in, i), min), max));
    }
  }
done:
  return st;
}

static pmn_status run_where(const pmn_onnx_call *call) {
  const pmn_onnx_value *condition = call->inputs[0], *a = call->inputs[1], *b = call->inputs[2];
  pmn_onnx_value *out = &call->outputs[0];
  pmn_onnx_walk walk = {0};
  int64_t both[PMN_ONNX_RANK_MAX];
  int32_t rank;
  pmn_status st = PMN_STATUS_OK;
  if (condition->type != PMN_ONNX_BOOL) PMN_TRY(pmn_onnx_call_fail(call, "a condition that is not of type BOOL"));
  PMN_TRY(check_types(call, a, b));
  if (!pmn_onnx_broadcast(a->dims, a->rank, b->dims, b->rank, both, &rank) ||
      !pmn_onnx_broadcast(condition->dims, condition->rank, both, rank, walk.dims, &walk.rank)) {
    PMN_TRY(pmn_onnx_call_fail(call, "the shapes of its inputs do not go together"));
  }
  PMN_TRY(pmn_onnx_call_output(call, 0, a->type, walk.dims, walk.rank));
  pmn_onnx_walk_broadcast(&walk, 0, condition->dims, condition->rank);
  pmn_onnx_walk_broadcast(&walk, 1, a->dims, a->rank);
  pmn_onnx_walk_broadcast(&walk, 2, b->dims, b->rank);
  size_t width = pmn_onnx_value_width(out);
  char *to = pmn_onnx_value_data(out);
  for (size_t i = 0; i < out->count; i++, pmn_onnx_walk_next(&walk)) {
    bool first = condition->ints[walk.offsets[0]] != 0;
    const char *from = pmn_onnx_value_data(first ? a : b);
    memcpy(to + i * width, from + (size_t)walk.offsets[first ? 1 : 2] * width, width);
  }
done:
  return st;
}

enum {
  REAL = PMN_ONNX_ACCEPTS_REAL,
  BOOLEAN = PMN_ONNX_ACCEPTS_BOOL,
  NUMBERS = PMN_ONNX_ACCEPTS_NUMBERS,
  ALL = PMN_ONNX_ACCEPTS_ALL,
};

const pmn_onnx_rule pmn_onnx_rules_math[] = {
    {"Abs", run_unary, 1, 1, 1, NUMBERS, .real1 = fabs, .whole1 = abs_whole},
    {"Ceil", run_unary, 1, 1, 1, REAL, .real1 = ceil},
    {"Erf", run_unary, 1, 1, 1, REAL, .real1 = erf},
    {"Exp", run_unary, 1, 1, 1, REAL, .real1 = exp},
    {"Floor", run_unary, 1, 1, 1, REAL, .real1 = floor},
    {"Log", run_unary, 1, 1, 1, REAL, .real1 = log},
    {"Neg", run_unary, 1, 1, 1, NUMBERS, .real1 = negate, .whole1 = negate_whole},
    {"Not", run_unary, 1, 1, 1, BOOLEAN, .whole1 = not_bool},
    {"Reciprocal", run_unary, 1, 1, 1, REAL, .real1 = reciprocal},
    {"Relu", run_unary, 1, 1, 1, NUMBERS, .real1 = relu, .whole1 = relu_whole},
    {"Sigmoid", run_unary, 1, 1, 1, REAL, .real1 = sigmoid},
    {"Sqrt", run_unary, 1, 1, 1, REAL, .real1 = sqrt},
    {"Add", run_binary, 2, 2, 1, NUMBERS, .real2 = add, .whole2 = add_whole},
    {"Sub", run_binary, 2, 2, 1, NUMBERS, .real2 = subtract, .whole2 = subtract_whole},
    {"Mul", run_binary, 2, 2, 1, NUMBERS, .real2 = multiply, .whole2 = multiply_whole},
    {"Div", run_quotient, 2, 2, 1, NUMBERS, .real2 = divide, .whole2 = divide_whole},
    {"Mod", run_quotient, 2, 2, 1, NUMBERS, .real2 = fmod, .whole2 = modulo_whole},
    {"Pow", run_power, 2, 2, 1, NUMBERS, .real2 = pow, .whole2 = power_whole},
    {"Min", run_variadic, 1, INT32_MAX, 1, NUMBERS, .real2 = minimum, .whole2 = minimum_whole},
    {"Max", run_variadic, 1, INT32_MAX, 1, NUMBERS, .real2 = maximum, .whole2 = maximum_whole},
    {"Sum", run_variadic, 1, INT32_MAX, 1, REAL, .real2 = add},
    {"And", run_binary, 2, 2, 1, BOOLEAN, .whole2 = and_bool},
    {"Or", run_binary, 2, 2, 1, BOOLEAN, .whole2 = or_bool},
    {"Xor", run_binary, 2, 2, 1, BOOLEAN, .whole2 = xor_bool},
    {"Equal", run_compare, 2, 2, 1, ALL, .real2 = equal, .whole2 = equal_whole},
    {"Less", run_compare, 2, 2, 1, NUMBERS, .real2 = less, .whole2 = less_whole},
    {"LessOrEqual", run_compare, 2, 2, 1, NUMBERS, .real2 = less_or_equal, .whole2 = less_or_equal_whole},
    {"Greater", run_compare, 2, 2, 1, NUMBERS, .real2 = greater, .whole2 = greater_whole},
    {"GreaterOrEqual", run_compare, 2, 2, 1, NUMBERS, .real2 = greater_or_equal, .whole2 = greater_or_equal_whole},
    {.name = "Clip", .run = run_clip, 1, 3, 1, NUMBERS},
    {.name = "Where", .run = run_where, 3, 3, 1, ALL},
    {0},
};
