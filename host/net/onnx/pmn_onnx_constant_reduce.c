/* pmn_onnx_constant_reduce.c - operators whose results are sums (products, extremes) over parts of their inputs. */
#include "pmn_onnx_constant.h"

#include <math.h>
#include <string.h>

static double sum(double total, double item) {
  return total + item;
}
static double product(double total, double item) {
  return total * item;
}
static double least(double total, double item) {
  return isnan(total) || total < item ? total : item;
}
static double most(double total, double item) {
  return isnan(total) || total > item ? total : item;
}
static int64_t sum_whole(int64_t total, int64_t item) {
  return (int64_t)((uint64_t)total + (uint64_t)item);
}
static int64_t product_whole(int64_t total, int64_t item) {
  return (int64_t)((uint64_t)total * (uint64_t)item);
}
static int64_t least_whole(int64_t total, int64_t item) {
  return total < item ? total : item;
}
static int64_t most_whole(int64_t total, int64_t item) {
  return total > item ? total : item;
}

/* Which axes go: those of an input or attribute; else all, or none if noop_with_empty_axes. */
static pmn_status find_axes(const pmn_onnx_call *call, int32_t rank, bool reduced[PMN_ONNX_RANK_MAX]) {
  pmn_onnx_ints list;
  pmn_status st = pmn_onnx_call_list(call, 1, "axes", &list);
  if (st == PMN_STATUS_OK) st = pmn_onnx_call_axes(call, &list, rank, reduced);
  if (st != PMN_STATUS_OK || list.count > 0) return st;
  bool all = pmn_onnx_attribute_int(call->node, "noop_with_empty_axes", 0) == 0;
  for (int32_t i = 0; i < rank; i++) reduced[i] = all;
  return PMN_STATUS_OK;
}

/* Goes through the input in order, and in step through the output, which stands still along reduced axes. Totals of
 * real numbers are fp64. */
static pmn_status run_reduce(const pmn_onnx_call *call) {
  const pmn_onnx_value *in = call->inputs[0];
  const pmn_onnx_rule *rule = call->rule;
  bool reduced[PMN_ONNX_RANK_MAX], mean = strcmp(rule->name, "ReduceMean") == 0;
  bool keep = pmn_onnx_attribute_int(call->node, "keepdims", 1) != 0;
  int64_t kept[PMN_ONNX_RANK_MAX], dims[PMN_ONNX_RANK_MAX];
  int32_t rank = 0;
  pmn_onnx_walk walk = {.rank = in->rank};
  pmn_onnx_value totals = {0};
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(find_axes(call, in->rank, reduced));
  for (int32_t i = 0; i < in->rank; i++) {
    walk.dims[i] = in->dims[i];
    kept[i] = reduced[i] ? 1 : in->dims[i];
    if (keep || !reduced[i]) dims[rank++] = kept[i];
  }
  if (in->type == PMN_ONNX_BOOL || in->count == 0) PMN_TRY(pmn_onnx_call_fail(call, "an input of no numbers"));
  PMN_TRY(pmn_onnx_call_output(call, 0, in->type, dims, rank));
  pmn_onnx_value *out = &call->outputs[0];
  PMN_TRY(pmn_onnx_value_create(in->ints != NULL ? PMN_ONNX_INT64 : PMN_ONNX_DOUBLE, dims, rank, &totals, call->err));
  pmn_onnx_walk_broadcast(&walk, 0, kept, in->rank);
  double start = rule->real2 == product ? 1 : rule->real2 == least ? INFINITY : rule->real2 == most ? -INFINITY : 0;
  for (size_t i = 0; i < out->count; i++) pmn_onnx_value_set_real(&totals, i, start);
  for (size_t i = 0; i < in->count; i++, pmn_onnx_walk_next(&walk)) {
    int64_t at = walk.offsets[0];
    if (in->ints != NULL) {
      totals.ints[at] = rule->whole2(totals.ints[at], in->ints[i]);
    } else {
      totals.doubles[at] = rule->real2(totals.doubles[at], pmn_onnx_value_real(in, i));
    }
  }
  int64_t items = (int64_t)(in->count / out->count);
  for (size_t i = 0; i < out->count; i++) {
    if (in->ints != NULL) {
      out->ints[i] = mean ? totals.ints[i] / items : totals.ints[i];
    } else {
      pmn_onnx_value_set_real(out, i, mean ? totals.doubles[i] / (double)items : totals.doubles[i]);
    }
  }
done:
  pmn_onnx_value_reset(&totals);
  return st;
}

/* A matrix product of numpy: [..., m, k] by [..., k, n]; a vector is a row on the left and a column on the right. */
typedef struct matrices {
  int64_t m, k, n;
  pmn_onnx_walk walk;              /* over pairs of matrices: offsets 0 and 1 are in matrices */
  int64_t dims[PMN_ONNX_RANK_MAX]; /* of the result */
  int32_t rank;
} matrices;

static pmn_status find_matrices(const pmn_onnx_call *call, matrices *mm) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  *mm = (matrices){0};
  bool good = a->type == b->type && a->type != PMN_ONNX_BOOL && a->rank > 0 && b->rank > 0;
  if (!good) return pmn_onnx_call_fail(call, "inputs that are no matrices of one type");
  mm->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
  mm->k = a->dims[a->rank - 1];
  mm->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
  int32_t stack_a = a->rank > 1 ? a->rank - 2 : 0, stack_b = b->rank > 1 ? b->rank - 2 : 0;
  good = mm->k == b->dims[b->rank > 1 ? b->rank - 2 : 0];
  good = good && pmn_onnx_broadcast(a->dims, stack_a, b->dims, stack_b, mm->walk.dims, &mm->walk.rank);
  if (!good) return pmn_onnx_call_fail(call, "the shapes of its inputs do not go together");
  pmn_onnx_walk_broadcast(&mm->walk, 0, a->dims, stack_a);
  pmn_onnx_walk_broadcast(&mm->walk, 1, b->dims, stack_b);
  mm->rank = mm->walk.rank;
  memcpy(mm->dims, mm->walk.dims, (size_t)mm->rank * sizeof *mm->dims);
  if (a->rank > 1) mm->dims[mm->rank++] = mm->m;
  if (b->rank > 1) mm->dims[mm->rank++] = mm->n;
  return PMN_STATUS_OK;
}

static pmn_status run_matmul(const pmn_onnx_call *call) {
  const pmn_onnx_value *a = call->inputs[0], *b = call->inputs[1];
  pmn_onnx_value *out = &call->outputs[0];
  matrices mm;
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(find_matrices(call, &mm));
  PMN_TRY(pmn_onnx_call_output(call, 0, a->type, mm.dims, mm.rank));
  if (mm.k > 0) PMN_TRY(pmn_onnx_call_charge(call, out->count, (size_t)mm.k));
  int64_t matrix = mm.m * mm.n;
  for (int64_t i = 0; i < (int64_t)out->count; i++) {
    if (i > 0 && i % matrix == 0) pmn_onnx_walk_next(&mm.walk);
    int64_t row = i % matrix / mm.n, column = i % mm.n, whole = 0;
    int64_t at_a = mm.walk.offsets[0] * mm.m * mm.k + row * mm.k, at_b = mm.walk.offsets[1] * mm.k * mm.n + column;
    double real = 0;
    for (int64_t k = 0; k < mm.k; k++, at_a++, at_b += mm.n) {
      if (a->ints != NULL) {
        whole = sum_whole(whole, product_whole(a->ints[at_a], b->ints[at_b]));
      } else {
        real += pmn_onnx_value_real(a, (size_t)at_a) * pmn_onnx_value_real(b, (size_t)at_b);
      }
    }
    if (a->ints != NULL) out->ints[i] = whole;
    if (a->ints == NULL) pmn_onnx_value_set_real(out, (size_t)i, real);
  }
done:
  return st;
}

const pmn_onnx_rule pmn_onnx_rules_reduce[] = {
    {.name = "MatMul", .run = run_matmul, 2, 2, 1},
    {"ReduceMax", run_reduce, 1, 2, 1, .real2 = most, .whole2 = most_whole},
    {"ReduceMean", run_reduce, 1, 2, 1, .real2 = sum, .whole2 = sum_whole},
    {"ReduceMin", run_reduce, 1, 2, 1, .real2 = least, .whole2 = least_whole},
    {"ReduceProd", run_reduce, 1, 2, 1, .real2 = product, .whole2 = product_whole},
    {"ReduceSum", run_reduce, 1, 2, 1, .real2 = sum, .whole2 = sum_whole},
    {0},
};
