/* check_case.c - see check_case.h. */
#include "check_case.h"

#include <math.h>

bool case_has(const compute_case *c, char option) {
  return strchr(c->options, option) != NULL;
}

/* What follows `key=` among the options; NULL without it. */
static const char *word(const compute_case *c, const char *key) {
  size_t length = strlen(key);
  for (const char *at = strstr(c->options, key); at != NULL; at = strstr(at + 1, key)) {
    if ((at == c->options || at[-1] == ' ') && at[length] == '=') return at + length + 1;
  }
  return NULL;
}

/* Up to `count` numbers after `key=`, one character apart; the others stay as they are. */
static void numbers(const compute_case *c, const char *key, int count, float *values) {
  char *at = (char *)(uintptr_t)word(c, key);
  for (int i = 0; at != NULL && i < count; i++) {
    values[i] = strtof(at, &at);
    if (*at == '\0' || *at == ' ') return;
    at++;
  }
}

static void activation_set(pmn_op *op, const compute_case *c) {
  static const char *const names[PMN_ACTIVATION_COUNT] = {
      "none", "sigmoid", "tanh", "silu", "hard_swish", "gelu", "gelu_tanh", "leaky_relu", "elu", "softplus", "mish"};
  const char *name = word(c, "act");
  if (name == NULL) return;
  size_t length = strcspn(name, ": ");
  for (int a = 0; a < PMN_ACTIVATION_COUNT; a++) {
    if (strlen(names[a]) == length && strncmp(names[a], name, length) == 0) op->activation = (pmn_activation)a;
  }
  if (op->activation == PMN_ACTIVATION_NONE) fail_msg("%s: activation %s", c->name, name);
  if (name[length] == ':') op->alpha = strtof(name + length + 1, NULL);
}

static void copy_set(pmn_op *op, const compute_case *c) {
  float n[11];
  numbers(c, "copy", 11, n);
  for (int d = 0; d < 3; d++) {
    op->copy.extent[d] = (int32_t)n[d];
    op->copy.in_stride[d] = (int32_t)n[4 + d];
    op->copy.out_stride[d] = (int32_t)n[8 + d];
  }
  op->copy.in_first = (int32_t)n[3];
  op->copy.out_first = (int32_t)n[7];
}

/* Two input lines and a share for every output line. */
static void taps_fill(const char *mode, int32_t in, int32_t out, float *taps) {
  for (int32_t o = 0; o < out; o++) {
    float at = 0.0f;
    if (strncmp(mode, "half", 4) == 0)
      at = fmaxf(((float)o + 0.5f) * (float)in / (float)out - 0.5f, 0.0f);
    else if (strncmp(mode, "corners", 7) == 0)
      at = (float)o * (float)(in - 1) / (float)(out - 1);
    else
      at = floorf((float)o * (float)in / (float)out);
    float low = floorf(at);
    taps[3 * o] = low;
    taps[3 * o + 1] = low + 1.0f < (float)in ? low + 1.0f : low;
    taps[3 * o + 2] = at - low;
  }
}

static void parameters_set(case_program *p, const compute_case *c) {
  size_t weights = pmn_op_weights_size(p->op, &p->tensors[0], &p->tensors[1]);
  size_t bias = pmn_op_bias_size(p->op, &p->tensors[1]);
  if (weights > 0) p->weights = compute_random(SEED_WEIGHTS, weights, 1.0f);
  if (bias > 0) p->bias = compute_random(SEED_BIAS, bias, 1.0f);
  if (c->kind == RESIZE) {
    taps_fill(word(c, "taps"), c->in_h, c->out_h, p->weights);
    taps_fill(word(c, "taps"), c->in_w, c->out_w, p->weights + 3 * c->out_h);
  }
  p->op->weights = p->weights;
  p->op->bias = p->bias;
}

/* The copy that makes the factor: as many of the input's elements as it has, from the last backwards. */
static void factor_add(case_program *p, const compute_case *c) {
  float size[3] = {1, 1, 1};
  numbers(c, "factor", 3, size);
  p->tensors[2] = (pmn_tensor){(int32_t)size[0], (int32_t)size[1], (int32_t)size[2], 0};
  p->tensors[2].arena_offset = (p->program.arena_size + 15) / 16 * 16;
  p->program.arena_size = p->tensors[2].arena_offset + pmn_tensor_size(&p->tensors[2]);
  p->program.tensor_count = 3;
  p->program.op_count = 2;
  p->op = &p->ops[1];
  *p->op = p->ops[0];
  p->op->factor = 2;
  p->ops[0] = pmn_op_init(PMN_OP_COPY, "factor", 0, 2);
  p->ops[0].copy = (pmn_copy){.extent = {1, 1, (int32_t)pmn_tensor_size(&p->tensors[2])},
      .in_first = (int32_t)pmn_tensor_size(&p->tensors[0]) - 1,
      .in_stride = {0, 0, -1},
      .out_stride = {0, 0, 1}};
}

void case_init(case_program *p, const compute_case *c) {
  memset(p, 0, sizeof *p);
  p->tensors[0] = (pmn_tensor){c->in_h, c->in_w, c->in_c, 0};
  p->tensors[1] = (pmn_tensor){c->out_h, c->out_w, c->out_c, 0};
  pmn_op *op = p->op = &p->ops[0];
  *op = pmn_op_init(c->kind, c->name, 0, 1);
  float dilation[2] = {1, 1}, groups = 1, count[2] = {0, 0}, lrn[4] = {0};
  numbers(c, "dilation", 2, dilation);
  numbers(c, "groups", 1, &groups);
  numbers(c, "count", 2, count);
  numbers(c, "lrn", 4, lrn);
  numbers(c, "epsilon", 1, &op->epsilon);
  if (case_has(c, 'R')) op->residual = 0;
  op->kernel_h = c->kernel_h;
  op->kernel_w = c->kernel_w;
  op->stride_h = c->stride_h;
  op->stride_w = c->stride_w;
  op->dilation_h = (int32_t)dilation[0];
  op->dilation_w = (int32_t)dilation[1];
  op->pad_top = c->pad_top;
  op->pad_left = c->pad_left;
  op->pad_bottom = (int32_t)count[0];
  op->pad_right = (int32_t)count[1];
  op->count_padding = word(c, "count") != NULL;
  op->groups = (int32_t)groups;
  op->lrn_size = (int32_t)lrn[0];
  op->lrn_alpha = lrn[1];
  op->lrn_beta = lrn[2];
  op->lrn_bias = lrn[3];
  if (case_has(c, 'C')) op->clamp_min = 0.0f;
  if (case_has(c, 'C')) op->clamp_max = 6.0f;
  activation_set(op, c);
  if (c->kind == COPY) copy_set(op, c);
  parameters_set(p, c);
  p->program = (pmn_program){.tensors = p->tensors,
      .ops = p->ops,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = case_has(c, 'B') ? PMN_INPUT_U8 : PMN_INPUT_F32,
      .arena_size = pmn_tensor_size(&p->tensors[1])};
  memcpy(p->program.input_scale, compute_scale, sizeof compute_scale);
  memcpy(p->program.input_shift, compute_shift, sizeof compute_shift);
  if (c->kind == MULTIPLY) factor_add(p, c);
}

void case_reset(case_program *p) {
  free(p->weights);
  free(p->bias);
}

void *case_input(const compute_case *c, size_t n) {
  size_t size = (size_t)c->in_h * (size_t)c->in_w * (size_t)c->in_c * n;
  float scale = 1.0f;
  numbers(c, "scale", 1, &scale);
  if (!case_has(c, 'B')) return compute_random(SEED_INPUT, size, scale);
  uint8_t *bytes = compute_alloc(size, 1);
  for (size_t i = 0; i < size; i++) bytes[i] = compute_byte(SEED_INPUT, i);
  return bytes;
}

compute_operands case_operands(const case_program *p, const compute_case *c, const void *input) {
  size_t size = pmn_tensor_size(&p->tensors[0]);
  float *in = compute_alloc(size, sizeof(float)), *magnitudes = compute_alloc(size, sizeof(float)), *factor = NULL;
  for (size_t i = 0; i < size; i++) {
    float byte = case_has(c, 'B') ? (float)((const uint8_t *)input)[i] * compute_scale[i % 3] : 0.0f;
    in[i] = case_has(c, 'B') ? byte + compute_shift[i % 3] : ((const float *)input)[i];
    magnitudes[i] = case_has(c, 'B') ? fabsf(byte) + fabsf(compute_shift[i % 3]) : fabsf(in[i]);
  }
  if (c->kind == MULTIPLY) {
    size_t count = pmn_tensor_size(&p->tensors[2]);
    factor = compute_alloc(count, sizeof(float));
    for (size_t i = 0; i < count; i++) factor[i] = in[size - 1 - i];
  }
  return (compute_operands){
      .in = in, .magnitudes = magnitudes, .residual = case_has(c, 'R') ? in : NULL, .factor = factor};
}

void case_operands_reset(compute_operands *operands) {
  free((void *)(uintptr_t)operands->in);
  free((void *)(uintptr_t)operands->magnitudes);
  free((void *)(uintptr_t)operands->factor);
}
