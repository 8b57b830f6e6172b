/* test_program.c - pmn_program_check: sound programs pass, and each way to break one is named. */
#include "check.h"

#include "pmn_backend.h"

#include <math.h>

typedef struct sample {
  pmn_tensor tensors[10];
  pmn_op ops[10];
  pmn_program program;
  float taps[36];
} sample;

static const float parameters[4096];

/* conv -> depthwise -> project with the conv's output as residual -> pool; tensors 1 and 3 apart, 2 beside them. */
static sample *sample_create(void) {
  sample *s = calloc(1, sizeof *s);
  assert_non_null(s);
  const pmn_tensor tensors[5] = {{8, 6, 3, 0}, {4, 3, 8, 0}, {4, 3, 8, 96}, {4, 3, 8, 192}, {1, 1, 8, 96}};
  memcpy(s->tensors, tensors, sizeof tensors);
  pmn_op op = pmn_op_init(PMN_OP_CONV2D, "none", 0, 1);
  op.weights = op.bias = parameters;
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

/* Every other kind: two pools, joined by copies, then one after the other, each output in memory of its own. */
enum { MAXIMUM, MEAN, LEFT, RIGHT, GROUPS, LOCAL, LAYER, PRODUCT, LARGER, SHARES };

static sample *plain_create(void) {
  sample *s = calloc(1, sizeof *s);
  assert_non_null(s);
  const pmn_tensor tensors[10] = {{6, 6, 8, 0}, {3, 3, 8, 0}, {3, 3, 8, 80}, {3, 3, 16, 160}, {3, 3, 16, 304},
      {3, 3, 16, 448}, {3, 3, 16, 592}, {3, 3, 16, 736}, {6, 6, 16, 880}, {6, 6, 16, 1456}};
  memcpy(s->tensors, tensors, sizeof tensors);
  s->ops[MAXIMUM] = pmn_op_init(PMN_OP_MAX_POOL, "maximum", 0, 1);
  s->ops[MEAN] = pmn_op_init(PMN_OP_AVERAGE_POOL, "mean", 0, 2);
  s->ops[LEFT] = pmn_op_init(PMN_OP_COPY, "left", 1, 3);
  s->ops[RIGHT] = pmn_op_init(PMN_OP_COPY, "right", 2, 3);
  s->ops[GROUPS] = pmn_op_init(PMN_OP_CONV2D, "groups", 3, 4);
  s->ops[LOCAL] = pmn_op_init(PMN_OP_LRN, "local", 4, 5);
  s->ops[LAYER] = pmn_op_init(PMN_OP_LAYER_NORM, "layer", 5, 6);
  s->ops[PRODUCT] = pmn_op_init(PMN_OP_MULTIPLY, "product", 6, 7);
  s->ops[LARGER] = pmn_op_init(PMN_OP_RESIZE, "larger", 7, 8);
  s->ops[SHARES] = pmn_op_init(PMN_OP_SOFTMAX, "shares", 8, 9);
  for (int i = 0; i < 10; i++) {
    s->ops[i].weights = s->ops[i].bias = parameters;
    s->ops[i].kernel_h = s->ops[i].kernel_w = i == GROUPS || i == MAXIMUM ? 3 : i == MEAN ? 2 : 1;
    s->ops[i].stride_h = s->ops[i].stride_w = i <= MEAN ? 2 : 1;
  }
  s->ops[MAXIMUM].pad_top = s->ops[MAXIMUM].pad_left = 1;
  s->ops[LEFT].copy = (pmn_copy){{1, 9, 8}, 0, {0, 8, 1}, 0, {0, 16, 1}};
  s->ops[RIGHT].copy = (pmn_copy){{1, 9, 8}, 0, {0, 8, 1}, 8, {0, 16, 1}};
  s->ops[GROUPS].groups = s->ops[GROUPS].dilation_h = s->ops[GROUPS].dilation_w = 2;
  s->ops[GROUPS].pad_top = s->ops[GROUPS].pad_left = 2;
  s->ops[LOCAL].lrn_size = 5;
  s->ops[LOCAL].lrn_bias = 1;
  s->ops[LAYER].epsilon = 1e-5f;
  s->ops[PRODUCT].factor = 4;
  s->ops[LARGER].weights = s->taps;
  for (int i = 0; i < 12; i++) {
    s->taps[3 * i] = (float)(i % 6 / 2);
    s->taps[3 * i + 1] = i % 6 < 4 ? s->taps[3 * i] + 1 : 2;
    s->taps[3 * i + 2] = 0.5f;
  }
  s->program = (pmn_program){
      .tensors = s->tensors, .ops = s->ops, .tensor_count = 10, .op_count = 10, .output = 9, .arena_size = 2032};
  return s;
}

static void test_sound(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  sample *s = sample_create(), *plain = plain_create();
  check_ok(pmn_program_check(&s->program, &err));
  check_ok(pmn_program_check(&plain->program, &err));
  free(s);
  free(plain);
}

static void test_sizes(void **state) {
  (void)state;
  static const size_t weights[10] = {[GROUPS] = 3 * 3 * 8 * 16, [LAYER] = 16, [LARGER] = 36};
  static const size_t bias[10] = {[GROUPS] = 16, [LAYER] = 16};
  sample *s = plain_create(), *other = sample_create();
  for (int i = 0; i < 10; i++) {
    const pmn_op *op = &s->ops[i];
    assert_int_equal(pmn_op_weights_size(op, &s->tensors[op->input], &s->tensors[op->output]), weights[i]);
    assert_int_equal(pmn_op_bias_size(op, &s->tensors[op->output]), bias[i]);
  }
  assert_int_equal(pmn_op_weights_size(&other->ops[1], &other->tensors[1], &other->tensors[2]), 5 * 5 * 8);
  assert_int_equal(pmn_op_bias_size(&other->ops[1], &other->tensors[2]), 8);
  assert_int_equal(pmn_op_weights_size(&other->ops[3], &other->tensors[3], &other->tensors[4]), 0);
  free(s);
  free(other);
}

/* Breaks a sound program by one statement and expects the message. */
#define check_broken_of(create, statement, text)                                                                       \
  do {                                                                                                                 \
    sample *s = create();                                                                                              \
    statement;                                                                                                         \
    check_fails(pmn_program_check(&s->program, &err), PMN_STATUS_ARGUMENT, text);                                      \
    free(s);                                                                                                           \
  } while (0)
#define check_broken(statement, text) check_broken_of(sample_create, statement, text)
#define check_plain_broken(statement, text) check_broken_of(plain_create, statement, text)
/* The same for a change that leaves the program sound. */
#define check_plain_sound(statement)                                                                                   \
  do {                                                                                                                 \
    sample *s = plain_create();                                                                                        \
    statement;                                                                                                         \
    check_ok(pmn_program_check(&s->program, &err));                                                                    \
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
  check_broken(s->ops[0].pad_left = 3, "6 columns to 3"); /* more windows would fit */
  check_broken(s->ops[0].stride_h = 1, "8 rows to 4");
  check_broken(s->ops[0].kernel_h = INT32_MAX, "height");
  check_broken(s->ops[0].stride_h = INT32_MAX, "height");
  check_broken(s->ops[0].dilation_h = INT32_MAX, "height");
  check_broken(s->ops[0].pad_top = INT32_MAX, "height");
  check_broken(s->ops[0].dilation_w = 0, "dilation 0");
  check_broken((s->ops[0].kernel_h = s->ops[0].kernel_w = 20000), "2^31 weights");
  check_broken(s->ops[0].groups = 0, "0 groups");
  check_broken(s->ops[0].groups = -1, "-1 groups");
  check_broken(s->ops[0].groups = 2, "2 groups do not divide 3 channels in and 8 out");
  check_broken((s->ops[0].groups = 3, s->tensors[1].c = 9), "1 group only");
  check_broken(s->tensors[2].c = 7, "depthwise: 8 channels in, 7 out");
  check_broken(s->tensors[4].h = 2, "1 x 1, not 2 x 1");
  check_broken(s->ops[3].residual = 3, "global pool takes no residual");
  check_broken((s->tensors[3].c = 7, s->tensors[4].c = 7), "residual of 4 x 3 x 8");
  check_broken(s->ops[2].clamp_min = NAN, "clamp");
  check_broken((s->ops[2].clamp_min = 6, s->ops[2].clamp_max = 0), "clamp");
  check_broken((s->ops[0].kind = PMN_OP_DEPTHWISE_CONV2D, s->tensors[1].c = 3), "bytes");
  check_broken(s->ops[2].activation = PMN_ACTIVATION_COUNT, "activation 11");
  check_broken(s->ops[2].activation = (pmn_activation)-1, "activation -1");
  check_broken(s->ops[2].alpha = INFINITY, "alpha inf");
  check_broken(s->ops[2].factor = 1, "project: only a multiplication takes a factor");
}

/* The branches have one channel, spread by the copies, and the mean is a factor of h x w. */
static void factor_of_size(sample *s, int32_t h, int32_t w) {
  s->tensors[0].c = s->tensors[1].c = s->tensors[2].c = 1;
  for (int i = LEFT; i <= RIGHT; i++) s->ops[i].copy.in_stride[1] = s->ops[i].copy.in_stride[2] = 0;
  s->tensors[2].h = h;
  s->tensors[2].w = w;
  s->ops[MEAN].kernel_h = s->ops[MEAN].stride_h = 6 / h;
  s->ops[MEAN].kernel_w = s->ops[MEAN].stride_w = 6 / w;
  s->ops[PRODUCT].factor = 2;
}

static void test_kinds(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_plain_broken(s->ops[MAXIMUM].pad_top = 3, "maximum: kernel height 3"); /* a window of padding alone */
  check_plain_broken(s->ops[MAXIMUM].stride_w = 4, "6 columns to 3"); /* the last one begins past the picture */
  check_plain_broken(s->ops[MAXIMUM].dilation_w = 7, "dilation 7");   /* steps over the picture */
  check_plain_sound((s->ops[MAXIMUM].dilation_w = 3, s->ops[MAXIMUM].pad_left = 3));
  check_plain_broken(s->tensors[1].c = 9, "maximum: 8 channels in, 9 out");
  check_plain_broken(s->ops[MEAN].pad_top = 2, "mean: kernel height 2");
  check_plain_broken((s->ops[MEAN].dilation_h = 2, s->ops[MEAN].pad_top = 1), "dilation");
  check_plain_sound((s->ops[MEAN].count_padding = true, s->ops[MEAN].pad_bottom = 3));
  check_plain_broken((s->ops[MEAN].count_padding = true, s->ops[MEAN].pad_bottom = -1), "-1 rows below");
  check_plain_broken((s->ops[MEAN].count_padding = true, s->ops[MEAN].pad_right = INT32_MAX), "2147483647 columns");
  check_plain_sound(s->ops[GROUPS].pad_top = 3); /* of convolutions padding may be anything */
  check_plain_broken(s->ops[LOCAL].lrn_size = 0, "local: normalises over 0 channels");
  check_plain_broken(s->ops[LOCAL].lrn_alpha = -1, "alpha -1");
  check_plain_broken(s->ops[LOCAL].lrn_beta = NAN, "beta nan");
  check_plain_broken(s->ops[LOCAL].lrn_bias = 0, "bias 0");
  check_plain_broken(s->tensors[5].w = 2, "local: 3 x 3 in, 3 x 2 out");
  check_plain_broken(s->ops[LAYER].epsilon = 0, "layer: epsilon 0");
  check_plain_broken(s->ops[LAYER].epsilon = INFINITY, "epsilon inf");
  check_plain_broken(s->ops[LAYER].weights = NULL, "layer has no weights");
  check_plain_broken(s->ops[LAYER].bias = NULL, "layer has no weights or no bias");
  check_plain_broken(s->ops[PRODUCT].factor = PMN_NO_TENSOR, "product reads tensor -1");
  check_plain_broken(s->ops[PRODUCT].factor = 10, "product reads tensor 10");
  check_plain_broken(s->ops[PRODUCT].factor = 8, "before it is written");
  check_plain_broken(s->ops[PRODUCT].factor = 2, "a factor of 3 x 3 x 8");
  check_plain_broken(s->ops[PRODUCT].factor = 0, "a factor of 6 x 6 x 8");
  check_plain_sound(factor_of_size(s, 3, 1));
  check_plain_sound(factor_of_size(s, 1, 3));
  check_plain_broken(factor_of_size(s, 3, 2), "a factor of 3 x 2 x 1");
  check_plain_broken(factor_of_size(s, 2, 3), "a factor of 2 x 3 x 1");
  check_plain_broken(s->tensors[5].arena_offset = 304, "local: output overlaps that of groups"); /* a factor lives on */
  check_plain_broken(s->tensors[9].c = 17, "shares: 16 channels in, 17 out");
  check_plain_broken(s->ops[LARGER].weights = NULL, "larger has no weights");
  check_plain_broken(s->taps[0] = -1, "takes lines -1 and 1 of 3");
  check_plain_broken(s->taps[7] = 3, "output line 2 takes lines 1 and 3 of 3");
  check_plain_broken(s->taps[6] = 0.5f, "takes lines 0.5");
  check_plain_broken(s->taps[18] = NAN, "output line 0 takes lines nan");
  check_plain_broken(s->taps[2] = 1.5f, "share 1.5");
  check_plain_broken(s->taps[35] = -0.1f, "output line 5");
  check_plain_broken(s->tensors[8].c = 15, "larger: 16 channels in, 15 out");
}

static void swap(pmn_op *a, pmn_op *b) {
  pmn_op kept = *a;
  *a = *b;
  *b = kept;
}

static void test_copies(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_plain_broken(s->ops[LEFT].copy.extent[2] = 7, "groups reads tensor 3 before its last 9 elements are written");
  check_plain_broken(s->ops[LEFT].copy.extent[0] = 0, "left copies 0 x 9 x 8");
  check_plain_broken(s->ops[LEFT].copy.extent[0] = 3, "left copies 3 x 9 x 8 elements to a tensor of 144");
  check_plain_broken(s->ops[LEFT].copy.extent[0] = INT32_MAX, "left copies 2147483647 x");
  check_plain_broken(s->ops[LEFT].copy.in_first = 1, "left copies from outside");
  check_plain_broken(s->ops[LEFT].copy.in_first = -1, "left copies from outside");
  check_plain_broken(s->ops[LEFT].copy.in_stride[1] = -8, "left copies from outside");
  check_plain_broken(s->ops[LEFT].copy.in_stride[1] = INT32_MAX, "left copies from outside");
  check_plain_broken(s->ops[LEFT].copy.in_stride[1] = INT32_MIN, "left copies from outside");
  check_plain_broken(s->ops[RIGHT].copy.out_first = 9, "right copies to outside");
  check_plain_broken(s->ops[RIGHT].copy.out_first = -1, "right copies to outside");
  check_plain_broken(s->ops[RIGHT].copy.out_stride[1] = -16, "right copies to outside");
  check_plain_broken(s->ops[RIGHT].copy.out_first = 7, "right copies to element 7 of its output, which was written");
  check_plain_broken(s->ops[LEFT].copy.out_stride[2] = 0, "left copies to element 0");
  check_plain_sound(
      (s->ops[LEFT].copy.in_first = 71, s->ops[LEFT].copy.in_stride[1] = -8, s->ops[LEFT].copy.in_stride[2] = -1));
  check_plain_sound(s->ops[LEFT].copy.in_stride[1] = s->ops[LEFT].copy.in_stride[2] = 0);
  check_plain_broken(s->ops[RIGHT].residual = 1, "right: a copy takes no residual");
  check_plain_broken(s->ops[RIGHT].activation = PMN_ACTIVATION_TANH, "right: a copy takes no");
  check_plain_broken(s->ops[RIGHT].clamp_max = 6, "right: a copy takes no");
  check_plain_broken(s->ops[RIGHT].input = 3, "before its last 72 elements are written");
  check_plain_broken((s->ops[MEAN].output = 3, s->tensors[0].c = s->tensors[1].c = 16),
      "left writes tensor 3, which was written before");
  check_plain_broken((s->ops[RIGHT] = s->ops[GROUPS], s->ops[RIGHT].input = 1, s->ops[RIGHT].output = 3),
      "groups writes tensor 3, which was written before");
  check_plain_broken(s->ops[LOCAL] = s->ops[RIGHT], "right writes tensor 3, which was written before");
  check_plain_broken((s->program.op_count = 3, s->program.output = 3), "no operation writes the program's output");
  /* What copies write lives from the first of them on. */
  check_plain_broken(
      (swap(&s->ops[MEAN], &s->ops[LEFT]), s->tensors[2].arena_offset = 160), "mean: output overlaps that of left");
  check_plain_broken(s->tensors[3].arena_offset = 64, "left: output overlaps that of maximum");
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
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_indices),
      cmocka_unit_test(test_shapes),
      cmocka_unit_test(test_kinds),
      cmocka_unit_test(test_copies),
      cmocka_unit_test(test_arena),
  };
  return cmocka_run_group_tests_name("compute program", tests, NULL, NULL);
}
