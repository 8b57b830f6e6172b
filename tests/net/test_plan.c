/* test_plan.c - where tensors live: no two that are needed together share memory, and little is wasted.
 *
 * Held against a simulation that looks whether numbers survive, against the check that backends rely on, and against
 * the lower bound that no plan can pass.
 */
#include "graph_check.h"
#include "pmn_model.h"
#include "pmn_plan.h"

static size_t rounded(const pmn_tensor *t) {
  return (pmn_tensor_size(t) + 15) / 16 * 16;
}

/* No plan can be smaller: the most that is alive during one operation. */
static size_t lower_bound(const pmn_program *p) {
  size_t most = 0;
  for (int32_t i = 0; i < p->op_count; i++) {
    size_t alive = 0;
    for (int32_t t = 0; t < p->tensor_count; t++) {
      bool written = false, needed = t == p->output;
      for (int32_t j = 0; j <= i; j++) written = written || p->ops[j].output == t;
      for (int32_t j = i; j < p->op_count; j++) {
        const pmn_op *op = &p->ops[j];
        needed = needed || op->output == t || op->input == t || op->residual == t || op->factor == t;
      }
      if (written && needed && t != p->input) alive += rounded(&p->tensors[t]);
    }
    if (alive > most) most = alive;
  }
  return most;
}

/* The tensor is where it must be, and whole: every element holds its number. */
static void look_at(const pmn_program *p, const int32_t *arena, int32_t tensor, int32_t op) {
  if (tensor == PMN_NO_TENSOR || tensor == p->input) return;
  const pmn_tensor *t = &p->tensors[tensor];
  assert_true(t->arena_offset % 16 == 0 && t->arena_offset + pmn_tensor_size(t) <= p->arena_size);
  for (size_t at = 0; at < pmn_tensor_size(t); at++) {
    if (arena[t->arena_offset + at] != tensor) fail_msg("tensor %d is overwritten at operation %d", tensor, op);
  }
}

/* The operation writes its tensor's number all over it, a copy over its part. */
static void write_number(const pmn_program *p, int32_t *arena, const pmn_op *op) {
  const pmn_tensor *out = &p->tensors[op->output];
  assert_true(out->arena_offset + pmn_tensor_size(out) <= p->arena_size);
  if (op->kind != PMN_OP_COPY) {
    for (size_t at = 0; at < pmn_tensor_size(out); at++) arena[out->arena_offset + at] = op->output;
    return;
  }
  const pmn_copy *c = &op->copy;
  for (int32_t i = 0; i < c->extent[0] * c->extent[1] * c->extent[2]; i++) {
    int32_t x = i % c->extent[2], y = i / c->extent[2] % c->extent[1], z = i / c->extent[2] / c->extent[1];
    int32_t at = c->out_first + z * c->out_stride[0] + y * c->out_stride[1] + x * c->out_stride[2];
    assert_in_range(at, 0, pmn_tensor_size(out) - 1);
    arena[out->arena_offset + (size_t)at] = op->output;
  }
}

/* Every operation finds what it reads whole before and after it has written. */
static void simulate(const pmn_program *p) {
  int32_t *arena = calloc(p->arena_size + 1, sizeof *arena);
  assert_non_null(arena);
  for (int32_t i = 0; i < p->op_count; i++) {
    const pmn_op *op = &p->ops[i];
    for (int pass = 0; pass < 2; pass++) {
      look_at(p, arena, op->input, i);
      look_at(p, arena, op->residual, i);
      look_at(p, arena, op->factor, i);
      if (pass == 0) write_number(p, arena, op);
    }
  }
  look_at(p, arena, p->output, p->op_count);
  free(arena);
}

static size_t sum_of_tensors(const pmn_program *p) {
  size_t sum = 0;
  for (int32_t t = 0; t < p->tensor_count; t++) sum += t == p->input ? 0 : rounded(&p->tensors[t]);
  return sum;
}

/* A network of the zoo with weights of zero. */
static pmn_graph *build_zoo(const pmn_architecture *architecture, pmn_node *last) {
  pmn_preprocess preprocess = *pmn_preprocess_find(architecture->preprocess);
  preprocess.width = preprocess.height = architecture->size;
  pmn_layers layers = {.graph = pmn_graph_create(architecture->name)};
  architecture->build(&layers, &preprocess, false);
  pmn_graph_layer layer;
  *last = -1;
  while (pmn_graph_layer_at(layers.graph, *last + 1, &layer)) ++*last;
  return layers.graph;
}

static void test_plan_zoo(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int32_t i = 0; pmn_architecture_at(i) != NULL; i++) {
    const pmn_architecture *architecture = pmn_architecture_at(i);
    pmn_node last;
    pmn_graph *graph = build_zoo(architecture, &last);
    const pmn_program *p = NULL;
    check_ok(pmn_graph_finish(graph, &last, 1, &p, &err));
    simulate(p);
    size_t least = lower_bound(p), all = sum_of_tensors(p);
    print_message("%s: %d operations, arena %.2f MB, %.3f of the lower bound, all tensors %.2f MB\n",
        architecture->name, p->op_count, 4e-6 * (double)p->arena_size, (double)p->arena_size / (double)least,
        4e-6 * (double)all);
    /* Largest first is not always best: a tenth is what it may waste here. */
    assert_true(p->arena_size >= least && p->arena_size <= least + least / 10 && p->arena_size < all / 2);
    pmn_graph_destroy(graph);
  }
}

/* A random program: pointwise convolutions with residuals over any distance, products, and tensors that several copies
 * write while others are written; so that the check of programs has no other reason to complain. */
enum { RANDOM_OPS = 24, RANDOM_TENSORS = RANDOM_OPS + 1, CHANNELS = 64 };

static void random_program(uint64_t *random, pmn_tensor *tensors, pmn_op *ops, pmn_program *p) {
  static float parameters[CHANNELS * CHANNELS];
  int32_t open = PMN_NO_TENSOR, written = 0; /* the tensor that copies still write, and how much of it they have */
  *p = (pmn_program){.tensors = tensors, .ops = ops, .op_count = RANDOM_OPS, .tensor_count = 1};
  tensors[0] = (pmn_tensor){.h = 3, .w = 5, .c = 5000}; /* large, and not in the arena */
  int32_t whole[RANDOM_TENSORS] = {0}, count = 1;       /* tensors that can be read */
  for (int i = 0; i < RANDOM_OPS; i++) {
    int32_t input = whole[count - 1 - graph_random(random) % (count < 3 ? count : 3)];
    int32_t other = whole[graph_random(random) % count], choice = graph_random(random) % 8;
    bool opens = open == PMN_NO_TENSOR && choice == 0 && i + 4 < RANDOM_OPS;
    bool closes = open != PMN_NO_TENSOR && (choice < 4 || i + 4 >= RANDOM_OPS);
    if (opens || closes) { /* in three parts of a third each */
      if (opens)
        open = p->tensor_count++, tensors[open] = (pmn_tensor){.h = 3, .w = 1, .c = 1 + other % 9}, written = 0;
      ops[i] = pmn_op_init(PMN_OP_COPY, "copy", input, open);
      ops[i].copy = (pmn_copy){.extent = {1, 1, tensors[open].c}, .out_first = written, .out_stride = {0, 0, 1}};
      written += tensors[open].c;
      if (written == 3 * tensors[open].c) whole[count++] = open, open = PMN_NO_TENSOR;
      continue;
    }
    bool multiplies = choice == 4, adds = choice > 4 && other != 0;
    const pmn_tensor *like = adds ? &tensors[other] : &tensors[input];
    if (adds && (tensors[input].h != like->h || tensors[input].w != like->w)) adds = false;
    int32_t c = multiplies ? tensors[input].c : adds ? like->c : 1 + graph_random(random) % CHANNELS;
    if (multiplies && input == 0) multiplies = false, c = CHANNELS;
    int32_t output = p->tensor_count++;
    tensors[output] = (pmn_tensor){.h = tensors[input].h, .w = tensors[input].w, .c = c};
    ops[i] = pmn_op_init(multiplies ? PMN_OP_MULTIPLY : PMN_OP_CONV2D, "random", input, output);
    if (multiplies) ops[i].factor = input;
    if (adds) ops[i].residual = other;
    ops[i].weights = ops[i].bias = parameters;
    whole[count++] = output;
  }
  p->output = whole[1 + graph_random(random) % (count - 1)];
  assert_int_equal(open, PMN_NO_TENSOR);
}

static void test_plan_random(void **state) {
  (void)state;
  uint64_t random = 1;
  int reused = 0, rounds = 1000, copied = 0;
  double worst = 0.0;
  for (int round = 0; round < rounds; round++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_tensor tensors[RANDOM_TENSORS];
    pmn_op ops[RANDOM_OPS];
    pmn_program p;
    random_program(&random, tensors, ops, &p);
    check_ok(pmn_plan_arena(tensors, p.tensor_count, ops, p.op_count, 0, p.output, &p.arena_size, &err));
    check_ok(pmn_program_check(&p, &err));
    simulate(&p);
    size_t least = lower_bound(&p);
    assert_true(p.arena_size >= least);
    reused += p.arena_size < sum_of_tensors(&p);
    copied += p.tensor_count < RANDOM_TENSORS;
    worst = fmax(worst, (double)p.arena_size / (double)least);
  }
  print_message("%d of %d plans reuse memory, %d have copies; the worst is %.2f of the lower bound\n", reused, rounds,
      copied, worst);
  assert_true(reused > rounds * 9 / 10 && copied > rounds / 4 && worst < 2.0);
}

/* A network as deep as there may be, every tenth tensor needed to the end: a plan that looks at all pairs more than
 * once would take minutes. */
static void test_plan_deep(void **state) {
  (void)state;
  enum { OPS = 20000 };
  pmn_err err = PMN_ERR_INIT;
  size_t size = 0;
  pmn_op *ops = calloc(OPS, sizeof *ops);
  pmn_tensor *tensors = calloc(OPS + 1, sizeof *tensors);
  assert_non_null(ops);
  assert_non_null(tensors);
  for (int i = 0; i <= OPS; i++) tensors[i] = (pmn_tensor){.h = 1, .w = 1, .c = 1 + i % 40};
  for (int i = 0; i < OPS; i++) {
    ops[i] = pmn_op_init(PMN_OP_COPY, "deep", i, i + 1);
    if (i >= OPS / 2) ops[i].residual = (OPS - i) / 10 * 10;
  }
  check_ok(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err));
  pmn_program p = {.tensors = tensors, .ops = ops, .tensor_count = OPS + 1, .op_count = OPS, .arena_size = size};
  assert_true(size < sum_of_tensors(&p) / 5);
  free(ops);
  free(tensors);
}

static void test_plan_limits(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  size_t size = 1;
  enum { OPS = 40 };
  pmn_op ops[OPS];
  pmn_tensor tensors[OPS + 1] = {{.h = 1, .w = 1, .c = 1}};
  for (int i = 0; i < OPS; i++) {
    tensors[i + 1] = (pmn_tensor){.h = 1, .w = 1, .c = 1};
    /* Every operation reads the one before and, by the last one's residual, the first stays alive. */
    ops[i] = pmn_op_init(PMN_OP_CONV2D, "limits", i, i + 1);
    if (i == OPS - 1) ops[i].residual = 1;
  }
  check_ok(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err));
  assert_int_equal(size, 48);
  pmn_mem_fail_after(0);
  pmn_status status = pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err);
  pmn_mem_fail_after(-1);
  assert_int_equal(status, PMN_STATUS_NO_MEMORY);

  tensors[3] = (pmn_tensor){.h = INT32_MAX, .w = INT32_MAX, .c = INT32_MAX};
  check_fails(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err), PMN_STATUS_MODEL, "is too large");
  tensors[3] = (pmn_tensor){.h = INT32_MAX, .w = INT32_MAX, .c = 1};
  check_fails(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err), PMN_STATUS_MODEL, "is too large");
  tensors[3] = (pmn_tensor){.h = -1, .w = 1, .c = 1};
  check_fails(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err), PMN_STATUS_MODEL, "is too large");
  /* 2^60 floats each: two at a time fit, twenty do not. */
  for (int i = 0; i < OPS; i++) {
    tensors[i + 1] = (pmn_tensor){.h = 1 << 30, .w = 1 << 30, .c = 1};
    ops[i] = pmn_op_init(PMN_OP_CONV2D, "limits", i, i + 1);
  }
  check_ok(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err));
  assert_true(size == (size_t)1 << 61);
  for (int i = 0; i < OPS; i++) ops[i].input = i < OPS / 2 ? 0 : i - OPS / 2 + 1;
  check_fails(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, OPS, &size, &err), PMN_STATUS_MODEL, "are too large");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plan_zoo),
      cmocka_unit_test(test_plan_random),
      cmocka_unit_test(test_plan_deep),
      cmocka_unit_test(test_plan_limits),
  };
  return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
