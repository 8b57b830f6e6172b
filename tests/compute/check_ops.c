/* check_ops.c - single operations: against goldens, against `ref`, and one by one against the same in a batch. */
#include "compute_check.h"

#include "cases.h"

#include <float.h>
#include <math.h>

/* A case as a program, with its numbers. */
typedef struct case_program {
  pmn_tensor tensors[2];
  pmn_op op;
  pmn_program program;
  float *weights, *bias;
} case_program;

static bool has(const compute_case *c, char flag) {
  return strchr(c->flags, flag) != NULL;
}

static void case_init(case_program *p, const compute_case *c) {
  memset(p, 0, sizeof *p);
  p->tensors[0] = (pmn_tensor){c->in_h, c->in_w, c->in_c, 0};
  p->tensors[1] = (pmn_tensor){c->out_h, c->out_w, c->out_c, 0};
  size_t window = (size_t)c->kernel_h * (size_t)c->kernel_w;
  if (c->kind != POOL) {
    size_t depth = c->kind == CONV ? window * (size_t)c->in_c : window;
    p->weights = compute_random(SEED_WEIGHTS, depth * (size_t)c->out_c, 1.0f);
    p->bias = compute_random(SEED_BIAS, (size_t)c->out_c, 1.0f);
  }
  p->op = (pmn_op){.kind = c->kind,
      .name = c->name,
      .input = 0,
      .output = 1,
      .residual = has(c, 'R') ? 0 : PMN_NO_TENSOR,
      .kernel_h = c->kernel_h,
      .kernel_w = c->kernel_w,
      .stride_h = c->stride_h,
      .stride_w = c->stride_w,
      .pad_top = c->pad_top,
      .pad_left = c->pad_left,
      .weights = p->weights,
      .bias = p->bias,
      .clamp_min = has(c, 'C') ? 0.0f : -INFINITY,
      .clamp_max = has(c, 'C') ? 6.0f : INFINITY};
  p->program = (pmn_program){.tensors = p->tensors,
      .ops = &p->op,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = has(c, 'B') ? PMN_INPUT_U8 : PMN_INPUT_F32,
      .arena_size = pmn_tensor_size(&p->tensors[1])};
  memcpy(p->program.input_scale, compute_scale, sizeof compute_scale);
  memcpy(p->program.input_shift, compute_shift, sizeof compute_shift);
}

static void case_reset(case_program *p) {
  free(p->weights);
  free(p->bias);
}

/* n pictures that differ; the first is the golden's. */
static void *case_input(const compute_case *c, size_t n) {
  size_t size = (size_t)c->in_h * (size_t)c->in_w * (size_t)c->in_c * n;
  if (!has(c, 'B')) return compute_random(SEED_INPUT, size, 1.0f);
  uint8_t *bytes = compute_alloc(size, 1);
  for (size_t i = 0; i < size; i++) bytes[i] = compute_byte(SEED_INPUT, i);
  return bytes;
}

/* Magnitudes of the first picture as the operation sees them: |value|, or |byte * scale| + |shift|. */
static float *case_magnitudes(const compute_case *c, const void *input) {
  size_t size = (size_t)c->in_h * (size_t)c->in_w * (size_t)c->in_c;
  if (!has(c, 'B')) return compute_absolute(input, size);
  float *v = compute_alloc(size, sizeof(float));
  for (size_t i = 0; i < size; i++) {
    v[i] = (float)((const uint8_t *)input)[i] * fabsf(compute_scale[i % 3]) + fabsf(compute_shift[i % 3]);
  }
  return v;
}

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
  float *magnitudes = case_magnitudes(c, input);
  float *expected = compute_run(compute_reference, &p.program, input, 1, 1);
  float *bound = compute_bound(&p.program, &p.op, magnitudes, has(c, 'R') ? magnitudes : NULL);
  double worst = 0.0;
  for (int i = 0; i < compute_config_count; i++) {
    float *y = compute_run(compute_configs[i].device, &p.program, input, n, n);
    worst = fmax(worst, compute_compare(y, expected, bound, out_size, compute_configs[i].label, c->name));
    /* The last picture alone gives the bits it gave in the batch. */
    size_t last = (size_t)n - 1, in_bytes = pmn_tensor_size(&p.tensors[0]) * (has(c, 'B') ? 1 : sizeof(float));
    float *alone = compute_run(compute_configs[i].device, &p.program, (const char *)input + last * in_bytes, 1, 1);
    if (memcmp(alone, y + last * out_size, out_size * sizeof(float)) != 0) {
      fail_msg("%s: %s: other bits alone than in a batch of %d", compute_configs[i].label, c->name, n);
    }
    free(y);
    free(alone);
  }
  free(input);
  free(magnitudes);
  free(expected);
  free(bound);
  case_reset(&p);
  return worst;
}

void check_ops_table(void **state) {
  (void)state;
  double worst = 0.0;
  int count = 0;
  const char *worst_name = "";
  for (int i = 0; i < COMPUTE_CASE_COUNT; i++, count++) {
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
    };
    for (size_t j = 0; j < sizeof sweep / sizeof sweep[0]; j++, count++) worst = fmax(worst, case_check(&sweep[j]));
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
    float *magnitudes = case_magnitudes(c, input);
    float *bound = compute_bound(&p.program, &p.op, magnitudes, has(c, 'R') ? magnitudes : NULL);
    for (int d = -1; d < compute_config_count; d++) {
      pmn_device *device = d < 0 ? compute_reference : compute_configs[d].device;
      float *y = compute_run(device, &p.program, input, 1, 1);
      for (size_t o = 0; o < size; o++) {
        /* Half a unit in the last place of f32, and what fp64 rounding of the sum can move. */
        double one_rounding = fabs(next[o]) * FLT_EPSILON / 2 * (1 + 1e-6) + (double)bound[o] * 1e-8;
        double allowed = device == compute_reference ? one_rounding : (double)bound[o] + one_rounding;
        double difference = fabs((double)y[o] - next[o]);
        if (!(difference <= allowed)) {
          fail_msg("%s: %s: output %zu is %.9g, golden %.9g, allowed difference %.3g",
              d < 0 ? "ref" : compute_configs[d].label, c->name, o, (double)y[o], next[o], allowed);
        }
        if (allowed > 0.0) worst = fmax(worst, difference / allowed);
      }
      free(y);
    }
    next += size;
    free(input);
    free(magnitudes);
    free(bound);
    case_reset(&p);
  }
  print_message("%d goldens; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0);
  free(golden.data);
}
