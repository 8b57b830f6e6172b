/* test_program.c - pmn_program_check: a sound program passes, and each way to break it is named. */
#include "check.h"

#include "pmn_backend.h"

#include <math.h>

/* conv -> depthwise -> project with the conv's output as residual -> pool; tensors 1 and 3 apart, 2 beside them. */
typedef struct sample {
  pmn_tensor tensors[5];
  pmn_op ops[4];
  pmn_program program;
} sample;

static const float parameters[4096];

static sample *sample_create(void) {
  sample *s = calloc(1, sizeof *s);
  assert_non_null(s);
  const pmn_tensor tensors[] = {{8, 6, 3, 0}, {4, 3, 8, 0}, {4, 3, 8, 96}, {4, 3, 8, 192}, {1, 1, 8, 96}};
  memcpy(s->tensors, tensors, sizeof tensors);
  const pmn_op op = {.kind = PMN_OP_CONV2D,
      .residual = PMN_NO_TENSOR,
      .kernel_h = 1,
      .kernel_w = 1,
      .stride_h = 1,
      .stride_w = 1,
      .weights = parameters,
      .bias = parameters,
      .clamp_min = -INFINITY,
      .clamp_max = INFINITY};
  for (int i = 0; i < 4; i++) {
    s->ops[i] = op;
    s->ops[i].input = i;
    s->ops[i].output = i + 1;
  }
  s->ops[0].name = "stem";
  s->ops[0].kernel_h = s->ops[0].kernel_w = 3;
  s->ops[0].stride_h = s->ops[0].stride_w = 2;
  s->ops[1].name = "depthwise";
  s->ops[1].kind = PMN_OP_DEPTHWISE_CONV2D;
  s->ops[1].kernel_h = s->ops[1].kernel_w = 5;
  s->ops[1].pad_top = s->ops[1].pad_left = 2;
  s->ops[2].name = "project";
  s->ops[2].residual = 1;
  s->ops[3].name = "pool";
  s->ops[3].kind = PMN_OP_GLOBAL_AVERAGE_POOL;
  s->program = (pmn_program){.tensors = s->tensors,
      .ops = s->ops,
      .tensor_count = 5,
      .op_count = 4,
      .input = 0,
      .output = 4,
      .input_type = PMN_INPUT_U8,
      .input_scale = {1, 1, 1},
      .arena_size = 288};
  return s;
}

static void test_sound(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  sample *s = sample_create();
  check_ok(pmn_program_check(&s->program, &err));
  free(s);
}

/* Breaks a sound program by one statement and expects the message. */
#define check_broken(statement, text)                                                                                  \
  do {                                                                                                                 \
    sample *s = sample_create();                                                                                       \
    statement;                                                                                                         \
    check_fails(pmn_program_check(&s->program, &err), PMN_STATUS_ARGUMENT, text);                                      \
    free(s);                                                                                                           \
  } while (0)

static void test_indices(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_broken(s->program.op_count = 0, "0 operations");
  check_broken(s->program.input = 5, "input 5");
  check_broken(s->program.output = -1, "output -1");
  check_broken(s->program.output = 0, "no operation writes");
  check_broken(s->program.op_count = 3, "no operation writes");
  check_broken(s->ops[1].input = 5, "depthwise reads tensor 5");
  check_broken(s->ops[1].input = -1, "depthwise reads tensor -1");
  check_broken(s->ops[2].residual = 7, "project reads tensor 7");
  check_broken(s->ops[2].residual = 4, "before it is written");
  check_broken(s->ops[1].input = 3, "before it is written");
  check_broken(s->ops[1].input = 2, "before it is written");
  check_broken(s->ops[3].output = 5, "pool writes tensor 5");
  check_broken(s->ops[3].output = 2, "written before");
  check_broken(s->ops[3].output = 0, "written before");
  check_broken(s->ops[1].name = NULL, "operation 1 has no name");
  check_broken(s->ops[1].kind = PMN_OP_KIND_COUNT, "unknown kind");
}

static void test_shapes(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_broken(s->tensors[2].h = 0, "tensor 2");
  check_broken(s->tensors[0].w = INT32_MAX, "tensor 0");
  check_broken(s->tensors[0].c = 4, "must be 3");
  check_broken(s->program.input_scale[1] = NAN, "channel 1");
  check_broken(s->program.input_type = (pmn_input_type)2, "type of input");
  check_broken(s->ops[0].weights = NULL, "no weights");
  check_broken(s->ops[1].bias = NULL, "no bias");
  check_broken(s->ops[0].kernel_h = 0, "stem: kernel height 0");
  check_broken(s->ops[0].stride_w = 0, "stride 0");
  check_broken(s->ops[0].pad_top = -1, "padding -1");
  check_broken(s->ops[0].pad_left = 3, "padding 3");   /* a window of padding alone */
  check_broken(s->ops[0].stride_h = 3, "8 rows to 4"); /* the last window begins past the picture */
  check_broken(s->ops[0].stride_h = 1, "8 rows to 4"); /* more windows would fit */
  check_broken(s->ops[0].kernel_h = INT32_MAX, "height");
  check_broken(s->tensors[2].c = 7, "depthwise: 8 channels in, 7 out");
  check_broken(s->tensors[4].h = 2, "1 x 1, not 2 x 1");
  check_broken(s->ops[3].residual = 3, "pool takes no residual");
  check_broken((s->tensors[3].c = 7, s->tensors[4].c = 7), "residual of 4 x 3 x 8");
  check_broken(s->ops[2].clamp_min = NAN, "clamp");
  check_broken((s->ops[2].clamp_min = 6, s->ops[2].clamp_max = 0), "clamp");
  check_broken((s->ops[0].kind = PMN_OP_DEPTHWISE_CONV2D, s->tensors[1].c = 3), "bytes");
}

static void test_arena(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_broken(s->tensors[1].arena_offset = 8, "multiple of 16");
  check_broken(s->program.arena_size = 287, "ends past");
  check_broken(s->tensors[3].arena_offset = SIZE_MAX - 15, "ends past");
  check_broken(s->program.arena_size = SIZE_MAX, "arena of");
  check_broken(s->tensors[2].arena_offset = 80, "depthwise: output overlaps that of stem");
  check_broken(s->tensors[3].arena_offset = 0, "project: output overlaps that of stem"); /* a residual lives on */
  check_broken(s->tensors[3].arena_offset = 96, "overlaps that of depthwise");
  /* Without the residual the stem's output is free when project writes. */
  sample *s = sample_create();
  s->ops[2].residual = PMN_NO_TENSOR;
  s->tensors[3].arena_offset = 0;
  check_ok(pmn_program_check(&s->program, &err));
  free(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sound),
      cmocka_unit_test(test_indices),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_arena),
  };
  return cmocka_run_group_tests_name("compute program", tests, NULL, NULL);
}
