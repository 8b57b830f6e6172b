/* test_plan.c - where tensors live: no two that are needed together share memory, and little is wasted.
 *
 * Held against a simulation that looks whether numbers survive, against the check that backends rely on, and against
 * the lower bound that no plan can pass.
 */
#include "check.h"
#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_plan.h"
#include "seeded_weights.h"

#include <math.h>

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
        needed = needed || p->ops[j].output == t || p->ops[j].input == t || p->ops[j].residual == t;
      }
      if (written && needed && t != p->input) alive += rounded(&p->tensors[t]);
    }
    if (alive > most) most = alive;
  }
  return most;
}

/* Every operation writes the number of its output all over it, after its inputs were found whole. */
static void simulate(const pmn_program *p) {
  int32_t *arena = calloc(p->arena_size + 1, sizeof *arena);
  assert_non_null(arena);
  for (int32_t i = 0; i <= p->op_count; i++) {
    int32_t read[2] = {p->output, PMN_NO_TENSOR};
    for (int pass = 0; pass < 2; pass++) { /* before and after the operation wrote */
      if (i < p->op_count) {
        read[0] = p->ops[i].input;
        read[1] = p->ops[i].residual;
      }
      for (int r = 0; r < 2; r++) {
        if (read[r] == PMN_NO_TENSOR || read[r] == p->input) continue;
        const pmn_tensor *t = &p->tensors[read[r]];
        assert_true(t->arena_offset % 16 == 0 && t->arena_offset + pmn_tensor_size(t) <= p->arena_size);
        for (size_t at = 0; at < pmn_tensor_size(t); at++) {
          if (arena[t->arena_offset + at] != read[r]) fail_msg("tensor %d is overwritten at layer %d", read[r], i);
        }
      }
      if (i == p->op_count) break;
      const pmn_tensor *out = &p->tensors[p->ops[i].output];
      assert_true(out->arena_offset + pmn_tensor_size(out) <= p->arena_size);
      for (size_t at = 0; at < pmn_tensor_size(out); at++) arena[out->arena_offset + at] = p->ops[i].output;
    }
  }
  free(arena);
}

static size_t sum_of_tensors(const pmn_program *p) {
  size_t sum = 0;
  for (int32_t t = 0; t < p->tensor_count; t++) sum += t == p->input ? 0 : rounded(&p->tensors[t]);
  return sum;
}

static void test_plan_zoo(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char folder[64], path[128];
  check_folder(folder);
  snprintf(path, sizeof path, "%s/seeded.safetensors", folder);
  assert_int_equal(seeded_mobilenet_v2_write(path), 0);
  for (int32_t i = 0; pmn_architecture_at(i) != NULL; i++) {
    const pmn_architecture *architecture = pmn_architecture_at(i);
    for (int output = PMN_OUTPUT_FEATURES; output <= PMN_OUTPUT_LOGITS; output++) {
      pmn_model *model = NULL;
      const char *weights = architecture->embedded == NULL ? path : NULL;
      check_ok(pmn_model_create(architecture, weights, (pmn_output)output, &model, &err));
      const pmn_program *p = pmn_model_program(model);
      check_ok(pmn_program_check(p, &err));
      simulate(p);
      print_message("%s: arena %.2f MB, all tensors %.2f MB\n", architecture->name, 4e-6 * (double)p->arena_size,
          4e-6 * (double)sum_of_tensors(p));
      assert_int_equal(p->arena_size, lower_bound(p));
      assert_true(p->arena_size < sum_of_tensors(p) / 4);
      pmn_model_destroy(model);
    }
  }
  check_folder_remove(folder);
}

/* Random programs with residuals over any distance: pointwise operations, so that the check of programs has no other
 * reason to complain. */
static void test_plan_random(void **state) {
  (void)state;
  enum { OPS = 24 };
  static float parameters[64 * 64];
  uint64_t random = 1;
  int reused = 0, rounds = 400;
  double worst = 0.0;
  for (int round = 0; round < rounds; round++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_tensor tensors[OPS + 1] = {{.h = 3, .w = 5, .c = 5000}}; /* large, and not in the arena */
    pmn_op ops[OPS];
    pmn_program p = {.tensors = tensors, .ops = ops, .tensor_count = OPS + 1, .op_count = OPS, .input = 0};
    for (int i = 0; i < OPS; i++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      int recent = i < 3 ? i + 1 : 3;
      int32_t input = i - (int32_t)((random >> 33) % (uint64_t)recent);
      int32_t c = 1 + (int32_t)((random >> 40) % 64),
              residual = (int32_t)((random >> 50) % 3 == 0 ? (random >> 20) % (uint64_t)(i + 1) : 0) - 1;
      if (residual <= 0) residual = PMN_NO_TENSOR;
      if (residual > 0) c = tensors[residual].c;
      tensors[i + 1] = (pmn_tensor){.h = 3, .w = 5, .c = c};
      ops[i] = (pmn_op){.kind = PMN_OP_CONV2D,
          .name = "random",
          .input = input,
          .output = i + 1,
          .residual = residual,
          .kernel_h = 1,
          .kernel_w = 1,
          .stride_h = 1,
          .stride_w = 1,
          .weights = parameters,
          .bias = parameters,
          .clamp_min = -INFINITY,
          .clamp_max = INFINITY};
    }
    p.output = 1 + (int32_t)((random >> 30) % OPS);
    check_ok(pmn_plan_arena(tensors, OPS + 1, ops, OPS, 0, p.output, &p.arena_size, &err));
    check_ok(pmn_program_check(&p, &err));
    simulate(&p);
    size_t least = lower_bound(&p);
    assert_true(p.arena_size >= least);
    reused += p.arena_size < sum_of_tensors(&p);
    worst = fmax(worst, (double)p.arena_size / (double)least);
  }
  print_message("%d of %d plans reuse memory; the worst is %.2f of the lower bound\n", reused, rounds, worst);
  assert_true(reused > rounds * 9 / 10 && worst < 2.0);
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
    ops[i] = (pmn_op){.input = i, .output = i + 1, .residual = i == OPS - 1 ? 1 : PMN_NO_TENSOR};
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
    ops[i] = (pmn_op){.input = i, .output = i + 1, .residual = PMN_NO_TENSOR};
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
      cmocka_unit_test(test_plan_limits),
  };
  return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
