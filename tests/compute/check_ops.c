/* check_ops.c - single operations: against goldens, against `ref`, and one by one against the same in a batch. */
#include "check_case.h"

#include <float.h>
#include <math.h>

static int64_t case_work(const compute_case *c) {
  return (int64_t)c->out_h * c->out_w * c->out_c * c->kernel_h * c->kernel_w * (c->kind == CONV ? c->in_c : 1);
}

/* One case on all configurations. Returns the largest error as a part of its bound. */
static double case_check(const compute_case *c) {
  case_program p;
  case_init(&p, c);
  int32_t n = case_work(c) < 200000 ? 3 : 1;
  size_t out_size = pmn_tensor_size(&p.tensors[1]);
  void *input = case_input(c, (size_t)n);
  compute_operands operands = case_operands(&p, c, input);
  float *expected = compute_run(compute_reference, &p.program, input, 1, 1);
  double worst = 0.0;
  for (int i = 0; i < compute_config_count; i++) {
    float *bound = compute_bound(&p.program, p.op, &operands, &compute_configs[i]);
    float *y = compute_run(compute_configs[i].device, &p.program, input, n, n);
    worst = fmax(worst, compute_compare(y, expected, bound, out_size, compute_configs[i].label, c->name));
    compute_check_mean_error(&p.program, p.op, &compute_configs[i], y, expected, bound, c->name);
    compute_check_mean_rounding(&p.program, p.op, &compute_configs[i], y, expected, bound, c->name);
    /* The last picture alone gives the bits it gave in the batch. */
    size_t last = (size_t)n - 1, in_bytes = pmn_tensor_size(&p.tensors[0]) * (case_has(c, 'B') ? 1 : sizeof(float));
    float *alone = compute_run(compute_configs[i].device, &p.program, (const char *)input + last * in_bytes, 1, 1);
    if (memcmp(alone, y + last * out_size, out_size * sizeof(float)) != 0) {
      fail_msg("%s: %s: other bits alone than in a batch of %d", compute_configs[i].label, c->name, n);
    }
    free(y);
    free(alone);
    free(bound);
  }
  free(input);
  free(expected);
  case_operands_reset(&operands);
  case_reset(&p);
  return worst;
}

/* POMONA_TEST_CASE names one case, the only one then: scripts/oclgrind.sh. */
void check_ops_table(void **state) {
  (void)state;
  double worst = 0.0;
  int count = 0;
  const char *worst_name = "", *only = getenv("POMONA_TEST_CASE");
  for (int i = 0; i < COMPUTE_CASE_COUNT; i++) {
    if (only != NULL && strcmp(only, compute_cases[i].name) != 0) continue;
    count++;
    double ratio = case_check(&compute_cases[i]);
    if (ratio >= worst) {
      worst = ratio;
      worst_name = compute_cases[i].name;
    }
  }
  print_message("%d cases; largest error %.4f of its bound (%s)\n", count, worst, worst_name);
  assert_true(count > 0 && compute_config_count > 0);
}

void check_ops_sweep(void **state) {
  (void)state;
  double worst = 0.0;
  int count = 0;
  for (int i = 0; i < COMPUTE_SWEEP_COUNT; i++) {
    int32_t s = compute_sweep[i];
    const compute_case sweep[] = {
        {"sweep_pixels", CONV, 1, s, 5, 19, 1, 1, 1, 1, 0, 0, 1, s, "C"},
        {"sweep_in", CONV, 3, 3, s, 10, 1, 1, 1, 1, 0, 0, 3, 3, ""},
        {"sweep_out", CONV, 3, 3, 7, s, 1, 1, 1, 1, 0, 0, 3, 3, ""},
        {"sweep_all", CONV, 1, s, s, s, 1, 1, 1, 1, 0, 0, 1, s, "R"},
        {"sweep_window", CONV, s, 4, 3, 9, 3, 3, 1, 1, 1, 1, s, 4, ""},
        {"sweep_depthwise_channels", DEPTHWISE, 4, 5, s, s, 3, 3, 1, 1, 1, 1, 4, 5, "C"},
        {"sweep_depthwise_width", DEPTHWISE, 3, s, 12, 12, 5, 5, 1, 1, 2, 2, 3, s, "R"},
        {"sweep_depthwise_stride", DEPTHWISE, s, s, 9, 9, 3, 3, 2, 2, 1, 1, (s + 1) / 2, (s + 1) / 2, ""},
        {"sweep_pool", POOL, 2, s, s, s, 1, 1, 1, 1, 0, 0, 1, 1, ""},
        {"sweep_groups", CONV, 2, 3, 2 * s, 6, 1, 1, 1, 1, 0, 0, 2, 3, "groups=2"},
        {"sweep_group_columns", CONV, 3, 2, 6, 3 * s, 3, 3, 1, 1, 1, 1, 3, 2, "C groups=3"},
        {"sweep_dilation", CONV, 3, s, 2, 5, 3, 3, 1, 1, 1, 2, 3, s, "dilation=1x2"},
        {"sweep_max_pool", MAX_POOL, 3, s, s, s, 3, 3, 2, 2, 1, 1, 2, (s + 1) / 2, ""},
        {"sweep_average_pool", AVERAGE_POOL, s, 3, s, s, 3, 3, 1, 1, 1, 1, s, 3, ""},
        {"sweep_multiply", MULTIPLY, 2, 3, s, s, 1, 1, 1, 1, 0, 0, 2, 3, "factor=1x3x1"},
        {"sweep_softmax", SOFTMAX, 2, 2, s, s, 1, 1, 1, 1, 0, 0, 2, 2, "scale=16"},
        {"sweep_lrn", LRN, 2, 2, s, s, 1, 1, 1, 1, 0, 0, 2, 2, "lrn=6:2:0.75:1 scale=2"},
        {"sweep_layer_norm", LAYER_NORM, 2, 2, s, s, 1, 1, 1, 1, 0, 0, 2, 2, "epsilon=0.001"},
        {"sweep_resize", RESIZE, 3, 4, s, s, 1, 1, 1, 1, 0, 0, 6, 8, "taps=half"},
        {"sweep_silu", CONV, 2, s, 3, s, 1, 1, 1, 1, 0, 0, 2, s, "act=silu scale=4"},
    };
    for (size_t j = 0; j < sizeof sweep / sizeof sweep[0]; j++) {
      /* With fp16 loads and stores are others, and each pair of size and kind takes PoCL a second to compile. */
      if (compute_configs[0].has_fp16 && (j + (size_t)i) % 3 != 0) continue;
      worst = fmax(worst, case_check(&sweep[j]));
      count++;
    }
  }
  print_message("%d cases; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0 && compute_config_count > 0);
}

/* Every configuration, and `ref` itself, against PyTorch in float64. For `ref` the bound is one rounding to f32. */
void check_ops_goldens(void **state) {
  (void)state;
  check_npy golden = check_npy_read("tests/golden/compute_ops.npy");
  assert_string_equal(golden.type, "<f8");
  const double *next = golden.data, *end = next + golden.size / sizeof(double);
  const compute_config judge = {compute_reference, "ref", 1.0, false, false, false};
  double worst = 0.0;
  int count = 0;
  for (int i = 0; next < end; i++, count++) {
    assert_true(i < COMPUTE_CASE_COUNT);
    const compute_case *c = &compute_cases[i];
    case_program p;
    case_init(&p, c);
    size_t size = pmn_tensor_size(&p.tensors[1]);
    assert_true((size_t)(end - next) >= size);
    void *input = case_input(c, 1);
    compute_operands operands = case_operands(&p, c, input);
    for (int d = -1; d < compute_config_count; d++) {
      pmn_device *device = d < 0 ? compute_reference : compute_configs[d].device;
      const compute_config *config = d < 0 ? &judge : &compute_configs[d];
      float *bound = compute_bound(&p.program, p.op, &operands, config);
      float *y = compute_run(device, &p.program, input, 1, 1);
      for (size_t o = 0; o < size; o++) {
        /* Half a unit in the last place of f32, denormal or not, and what fp64 rounding of the sum can move. */
        double one_rounding = fmax(fabs(next[o]) * FLT_EPSILON / 2 * (1 + 1e-6), 0x1p-150) + (double)bound[o] * 1e-8;
        double allowed = device == compute_reference ? one_rounding : (double)bound[o] + one_rounding;
        double difference = fabs((double)y[o] - next[o]);
        if (!(difference <= allowed)) {
          fail_msg("%s: %s: output %zu is %.9g, golden %.9g, allowed difference %.3g",
              d < 0 ? "ref" : compute_configs[d].label, c->name, o, (double)y[o], next[o], allowed);
        }
        if (allowed > 0.0) worst = fmax(worst, difference / allowed);
      }
      free(y);
      free(bound);
    }
    next += size;
    free(input);
    case_operands_reset(&operands);
    case_reset(&p);
  }
  print_message("%d goldens; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0);
  free(golden.data);
}

/* Pictures of one number: every addition to a single long sum would round the same way. */
void check_ops_means(void **state) {
  (void)state;
  static const int32_t sides[] = {8, 9, 64, 112, 300};
  double worst = 0.0;
  for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
    enum { CHANNELS = 19 };
    pmn_tensor tensors[] = {{sides[s], sides[s], CHANNELS, 0}, {1, 1, CHANNELS, 0}};
    size_t count = pmn_tensor_size(&tensors[0]);
    pmn_op op = pmn_op_init(PMN_OP_GLOBAL_AVERAGE_POOL, "mean", 0, 1);
    pmn_program program = {
        .tensors = tensors, .ops = &op, .tensor_count = 2, .op_count = 1, .output = 1, .arena_size = CHANNELS};
    float *input = compute_alloc(count, sizeof(float));
    for (size_t i = 0; i < count; i++) input[i] = compute_stored(0.1f * (float)(1 + i % CHANNELS));
    const compute_operands operands = {.in = input};
    float *expected = compute_apply(&program, &op, &operands);
    for (int d = 0; d < compute_config_count; d++) {
      const compute_config *config = &compute_configs[d];
      float *y = compute_run(config->device, &program, input, 1, 1);
      float *bound = compute_bound(&program, &op, &operands, config);
      worst = fmax(worst, compute_compare(y, expected, bound, CHANNELS, config->label, "mean"));
      free(y);
      free(bound);
    }
    free(expected);
    free(input);
  }
  print_message("largest error %.4f of its bound\n", worst);
}

/* Every activation over the whole range of f32, and densely where it bends; alone, that is on a 1x1 depthwise
 * convolution of weight 1. */
static float *activation_input(size_t *count) {
  static const float single[] = {0.0f, FLT_MIN, 1e-30f, 1e-10f, 1e-5f, 0x1p-12f, 9.0f, 16.7f, 17.4f, 60.0f, 86.9f,
      87.0f, 87.1f, 87.4f, 88.0f, 88.8f, 89.0f, 103.9f, 105.0f, 1e3f, 1e6f, 1e10f, 1e19f, 1e20f, 1e37f, FLT_MAX};
  enum { SINGLE = sizeof single / sizeof single[0], DENSE = 20000 };
  *count = 2 * SINGLE + DENSE;
  float *v = compute_alloc(*count, sizeof(float));
  for (size_t i = 0; i < SINGLE; i++) {
    v[2 * i] = compute_stored(single[i]);
    v[2 * i + 1] = compute_stored(-single[i]);
  }
  for (size_t i = 0; i < DENSE; i++) {
    /* Half of them in [-4, 4), where curves bend, the others in [-32, 32). */
    v[2 * SINGLE + i] = compute_stored((i % 2 == 0 ? 4.0f : 32.0f) * compute_value(SEED_INPUT, i));
  }
  return v;
}

void check_ops_activations(void **state) {
  (void)state;
  static const char *const names[PMN_ACTIVATION_COUNT] = {
      "none", "sigmoid", "tanh", "silu", "hard_swish", "gelu", "gelu_tanh", "leaky_relu", "elu", "softplus", "mish"};
  size_t count;
  float *input = activation_input(&count), weight = 1.0f, bias = 0.0f;
  for (int a = 0; a < PMN_ACTIVATION_COUNT; a++) {
    pmn_tensor tensors[] = {{1, (int32_t)count, 1, 0}, {1, (int32_t)count, 1, 0}};
    pmn_op op = pmn_op_init(PMN_OP_DEPTHWISE_CONV2D, names[a], 0, 1);
    op.weights = &weight;
    op.bias = &bias;
    op.activation = (pmn_activation)a;
    op.alpha = 0.3f;
    pmn_program program = {
        .tensors = tensors, .ops = &op, .tensor_count = 2, .op_count = 1, .output = 1, .arena_size = count};
    const compute_operands operands = {.in = input};
    float *expected = compute_apply(&program, &op, &operands), worst = 0.0f;
    for (int d = 0; d < compute_config_count; d++) {
      float *y = compute_run(compute_configs[d].device, &program, input, 1, 1);
      float *bound = compute_alloc(count, sizeof(float));
      for (size_t i = 0; i < count; i++) {
        double f = (double)expected[i], units = compute_configs[d].activation_units;
        double own = compute_activation_bound(op.activation, (double)input[i], f, units);
        bound[i] = (float)(own + compute_storing_bound(&compute_configs[d], fabs(f) + own));
      }
      worst = fmaxf(worst, (float)compute_compare(y, expected, bound, count, compute_configs[d].label, names[a]));
      free(y);
      free(bound);
    }
    print_message("%s: %zu values; largest error %.4f of its bound\n", names[a], count, (double)worst);
    free(expected);
  }
  free(input);
}
