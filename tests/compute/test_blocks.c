/* test_blocks.c - what a backend (TEST_BACKEND) does beyond single operations: inverted residuals, three operations as
 * one layer; chains of convolutions; and groups of pictures.
 *
 * `cpu` with every instruction set of the machine, `opencl` with the kernels for GPUs on whatever device there is, and
 * a visible skip without one: operation by operation within the bound of compute_check.h, and the fused
 * layer bit for bit what its three operations give apart. They stay apart when a fourth operation reads the wide tensor
 * too; that it is then not fused is a test of its own. Sizes are odd, channels no multiples of any vector, and the wide
 * tensor is large enough in both directions for several slices and for a ring of rows that wraps.
 */
#include "compute_check.h"
#include "pmn_clock.h"

#include "cases.h"
#include "pmn_mem.h"

#include <math.h>

compute_config compute_configs[COMPUTE_CONFIGS_MAX];
int compute_config_count;
pmn_device *compute_reference;

enum { OPS_MAX = 6, PICTURES = 2 };
static bool on_cpu;

typedef struct block {
  pmn_tensor tensors[OPS_MAX + 1];
  pmn_op ops[OPS_MAX];
  pmn_program program;
  float *parameters[2 * OPS_MAX];
} block;

typedef enum padding { SAME, SYMMETRIC } padding;

static block *block_create(int32_t h, int32_t w, int32_t c, pmn_input_type type) {
  block *b = compute_alloc(1, sizeof *b);
  b->tensors[0] = (pmn_tensor){h, w, c, 0};
  /* Powers of two: bytes become exact numbers, so that the bound needs no term for them. */
  b->program = (pmn_program){.tensors = b->tensors,
      .ops = b->ops,
      .tensor_count = 1,
      .input_type = type,
      .input_scale = {1.0f / 64, 1.0f / 128, 1.0f / 64},
      .input_shift = {-2.0f, -1.0f, -1.5f}};
  return b;
}

static void block_destroy(block *b) {
  for (int i = 0; i < 2 * OPS_MAX; i++) free(b->parameters[i]);
  free(b);
}

/* Appends an operation that writes a tensor with memory of its own. */
static int32_t add(
    block *b, pmn_op_kind kind, int32_t input, int32_t out_c, int32_t kernel, int32_t stride, padding pad, bool clamp) {
  const pmn_tensor *in = &b->tensors[input];
  int32_t output = b->program.tensor_count++, index = b->program.op_count++;
  assert_in_range(index, 0, OPS_MAX - 1);
  pmn_tensor *out = &b->tensors[output];
  int32_t size[2] = {in->h, in->w}, before[2];
  for (int axis = 0; axis < 2; axis++) {
    int32_t in_size = size[axis];
    if (pad == SAME) {
      size[axis] = (in_size + stride - 1) / stride;
      int32_t total = (size[axis] - 1) * stride + kernel - in_size;
      before[axis] = total > 0 ? total / 2 : 0;
    } else {
      before[axis] = kernel / 2;
      size[axis] = (in_size + 2 * before[axis] - kernel) / stride + 1;
    }
  }
  *out = (pmn_tensor){size[0], size[1], out_c, b->program.arena_size};
  b->program.arena_size += (pmn_tensor_size(out) + 15) / 16 * 16;
  size_t depth = (size_t)(kernel * kernel) * (kind == CONV ? (size_t)in->c : 1), channels = (size_t)out_c;
  /* Variance of a product of two uniform numbers is 1/9: sums keep about the size of their terms. */
  b->parameters[2 * index] = compute_random(100 + (uint64_t)index, depth * channels, 2.0f / sqrtf((float)depth));
  b->parameters[2 * index + 1] = compute_random(200 + (uint64_t)index, channels, 0.5f);
  pmn_op op = pmn_op_init(kind, "block", input, output);
  op.kernel_h = op.kernel_w = kernel;
  op.stride_h = op.stride_w = stride;
  op.pad_top = before[0];
  op.pad_left = before[1];
  op.weights = b->parameters[2 * index];
  op.bias = b->parameters[2 * index + 1];
  if (clamp) op.clamp_min = 0.0f;
  if (clamp) op.clamp_max = 1.0f;
  b->ops[index] = op;
  return b->program.output = output;
}

/* What the program gives when it ends with operation `last`. */
static float *head(const block *b, int32_t last, pmn_device *device, const void *input) {
  pmn_program program = b->program;
  program.op_count = last + 1;
  program.output = b->ops[last].output;
  return compute_run(device, &program, input, PICTURES, PICTURES);
}

static size_t output_bytes(const block *b) {
  return PICTURES * pmn_tensor_size(&b->tensors[b->program.output]) * sizeof(float);
}

static void same_bits(const block *b, const float *x, const float *y, const char *label, const char *name) {
  if (memcmp(x, y, output_bytes(b)) == 0) return;
  size_t at = 0;
  while (memcmp(&x[at], &y[at], sizeof *x) == 0) at++;
  fail_msg("%s: %s: output %zu is %.9g, apart %.9g", label, name, at, (double)x[at], (double)y[at]);
}

/* Every operation, by the device's own answer to those before it, within its bound of `ref`; then the whole program
 * once more, its bits those of the last head. Largest error as a part of its bound. `input` is that of the device,
 * `input_f32` the same as numbers; the first picture is judged. */
static double judge(
    const block *b, const compute_config *config, const void *input, const float *input_f32, const char *name) {
  float *values[OPS_MAX + 1] = {0};
  double worst = 0.0;
  for (int32_t i = 0; i < b->program.op_count; i++) {
    const pmn_op *op = &b->ops[i];
    values[op->output] = head(b, i, config->device, input);
    int32_t added = op->residual, factor = op->factor;
    const compute_operands operands = {.in = op->input == 0 ? input_f32 : values[op->input],
        .residual = added == PMN_NO_TENSOR ? NULL
                    : added == 0           ? input_f32
                                           : values[added],
        .factor = factor == PMN_NO_TENSOR ? NULL : values[factor]};
    float *expected = compute_apply(&b->program, op, &operands);
    float *bound = compute_bound(&b->program, op, &operands, config);
    size_t size = pmn_tensor_size(&b->tensors[op->output]);
    worst = fmax(worst, compute_compare(values[op->output], expected, bound, size, config->label, name));
    free(expected);
    free(bound);
  }
  float *whole = compute_run(config->device, &b->program, input, PICTURES, PICTURES);
  same_bits(b, whole, values[b->program.output], config->label, name);
  free(whole);
  for (int i = 0; i <= OPS_MAX; i++) free(values[i]);
  return worst;
}

/* The block at operation `first`, fused, against the same with its wide tensor read once more. */
static void compare_apart(block *b, int32_t first, const compute_config *config, const void *input, const char *name) {
  float *fused = compute_run(config->device, &b->program, input, PICTURES, PICTURES);
  pmn_program whole = b->program;
  int32_t output = b->program.output;
  add(b, CONV, b->ops[first].output, 1, 1, 1, SAME, false);
  b->program.output = output;
  float *apart = compute_run(config->device, &b->program, input, PICTURES, PICTURES);
  same_bits(b, fused, apart, config->label, name);
  b->program = whole;
  for (int i = 2 * whole.op_count; i < 2 * OPS_MAX; i++) {
    free(b->parameters[i]);
    b->parameters[i] = NULL;
  }
  free(fused);
  free(apart);
}

static const int32_t sizes[][2] = {{1, 1}, {2, 3}, {7, 5}, {15, 13}, {33, 9}, {11, 61}};
static const int32_t wides[] = {6, 17, 50, 97, 400, 3000}, outs[] = {1, 5, 6, 12, 24, 40};
/* Of the table: prime to the lengths of its axes, so every value of each still comes. */
#ifdef __SANITIZE_ADDRESS__
static const int cpu_step = 7, opencl_step = 31;
#else
static const int cpu_step = 1, opencl_step = 7;
#endif
enum { SIZES = sizeof sizes / sizeof *sizes, WIDES = sizeof wides / sizeof *wides, OUTS = sizeof outs / sizeof *outs };

static void test_table(void **state) {
  (void)state;
  double worst = 0.0;
  int count = 0, residuals = 0, step = on_cpu ? cpu_step : opencl_step;
  for (int at = 0; at < SIZES * WIDES * OUTS * 6; at += step) {
    const int32_t *size = sizes[at % SIZES];
    int32_t wide = wides[at / SIZES % WIDES], out_c = outs[at / SIZES / WIDES % OUTS];
    if (wide > 1024 && size[0] * size[1] > 6)
      continue;                             /* one slice of so many makes a sum that is cut, and takes long */
    int window = at / SIZES / WIDES / OUTS; /* kernel, stride and padding of the depthwise convolution */
    int32_t kernel = window < 3 ? 3 : 5, stride = window % 3 == 0 ? 1 : 2;
    padding pad = window % 3 == 2 ? SYMMETRIC : SAME;
    bool residual = stride == 1 && at % 2 == 0;
    int32_t in_c = residual ? out_c : 3 + at % 9;
    char name[96];
    snprintf(name, sizeof name, "%dx%dx%d, wide %d, %dx%d stride %d %s, out %d%s", size[0], size[1], in_c, wide, kernel,
        kernel, stride, pad == SAME ? "same" : "symmetric", out_c, residual ? ", residual" : "");
    block *b = block_create(size[0], size[1], in_c, PMN_INPUT_F32);
    int32_t t = add(b, CONV, 0, wide, 1, 1, SAME, true);
    t = add(b, DEPTHWISE, t, wide, kernel, stride, pad, true);
    add(b, CONV, t, out_c, 1, 1, SAME, at % 5 == 0);
    if (residual) b->ops[2].residual = 0;
    residuals += residual;
    float *input = compute_random(SEED_INPUT, PICTURES * pmn_tensor_size(&b->tensors[0]), 1.0f);
    for (int i = 0; i < compute_config_count; i++, count++) {
      worst = fmax(worst, judge(b, &compute_configs[i], input, input, name));
      compare_apart(b, 0, &compute_configs[i], input, name);
    }
    free(input);
    block_destroy(b);
  }
  assert_true(residuals > 50 / step);
  print_message("%d blocks; largest error %.4f of its bound\n", count, worst);
}

/* The widening convolution is a 3x3 of stride 2 on bytes, as where networks begin. */
static void test_stem(void **state) {
  (void)state;
  double worst = 0.0;
  for (int at = 0; at < SIZES * WIDES; at++) {
    const int32_t *size = sizes[at % SIZES];
    int32_t wide = wides[at / SIZES], kernel = at % 4 < 2 ? 3 : 5, stride = 1 + at % 2;
    char name[96];
    snprintf(
        name, sizeof name, "bytes %dx%d, wide %d, %dx%d stride %d", 2 * size[0], size[1], wide, kernel, kernel, stride);
    block *b = block_create(2 * size[0], size[1], 3, PMN_INPUT_U8);
    int32_t t = add(b, CONV, 0, wide, 3, 2, at % 3 == 0 ? SYMMETRIC : SAME, true);
    t = add(b, DEPTHWISE, t, wide, kernel, stride, SAME, true);
    add(b, CONV, t, outs[at % OUTS], 1, 1, SAME, false);
    size_t count = PICTURES * pmn_tensor_size(&b->tensors[0]);
    uint8_t *bytes = compute_alloc(count, 1);
    float *numbers = compute_alloc(count, sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
      bytes[i] = compute_byte(SEED_INPUT, i);
      numbers[i] = (float)bytes[i] * b->program.input_scale[i % 3] + b->program.input_shift[i % 3];
    }
    for (int i = 0; i < compute_config_count; i++) {
      worst = fmax(worst, judge(b, &compute_configs[i], bytes, numbers, name));
      compare_apart(b, 0, &compute_configs[i], bytes, name);
    }
    free(bytes);
    free(numbers);
    block_destroy(b);
  }
  print_message("largest error %.4f of its bound\n", worst);
}

/* Wide and narrow tensors that somebody else needs exist. */
static void test_used_elsewhere(void **state) {
  (void)state;
  static const char *const names[] = {"wide read later", "narrow read later", "wide added later", "narrow added later",
      "wide added by the last", "wide is the output", "narrow is the output", "depthwise of another tensor",
      "last of another tensor", "widening adds", "depthwise adds", "wide multiplies later", "wide copied later",
      "depthwise dilated", "widening in groups", "last in groups", "widening activated", "depthwise activated",
      "last activated", "last padded"};
  for (int which = 0; which < 20; which++) {
    block *b = block_create(7, 5, 17, PMN_INPUT_F32);
    int32_t x = add(b, CONV, 0, 17, 1, 1, SAME, false), wide = add(b, CONV, x, 17, 1, 1, SAME, true);
    int32_t narrow = add(b, DEPTHWISE, which == 7 ? x : wide, 17, 3, 1, SAME, true);
    int32_t y = add(b, CONV, which == 8 ? x : narrow, 17, 1, 1, SAME, false);
    pmn_op *ops = b->ops;
    if (which == 0) add(b, CONV, wide, 5, 1, 1, SAME, false);
    if (which == 1) add(b, CONV, narrow, 5, 1, 1, SAME, false);
    if (which == 2 || which == 3) {
      add(b, CONV, y, 17, 1, 1, SAME, false);
      ops[4].residual = which == 2 ? wide : narrow;
    }
    if (which == 4 || which == 7) ops[3].residual = wide;
    if (which == 5) b->program.output = wide;
    if (which == 6) b->program.output = narrow;
    if (which == 8) ops[3].residual = narrow;
    if (which == 9) ops[1].residual = x;
    if (which == 10) ops[2].residual = x;
    if (which == 11) {
      add(b, PMN_OP_MULTIPLY, y, 17, 1, 1, SAME, false);
      ops[4].factor = wide;
    }
    if (which == 12) {
      add(b, PMN_OP_COPY, wide, 17, 1, 1, SAME, false);
      ops[4].copy = (pmn_copy){{1, 1, 7 * 5 * 17}, 0, {0, 0, 1}, 0, {0, 0, 1}};
    }
    if (which == 13) ops[2].dilation_h = ops[2].dilation_w = ops[2].pad_top = ops[2].pad_left = 2;
    if (which == 14) ops[1].groups = 17;
    if (which == 15) ops[3].groups = 17;
    if (which >= 16 && which < 19) ops[which - 15].activation = PMN_ACTIVATION_SILU;
    if (which == 19) {
      b->tensors[y].h++; /* a row of padding below */
      b->program.arena_size = b->tensors[y].arena_offset + pmn_tensor_size(&b->tensors[y]);
    }
    float *input = compute_random(SEED_INPUT, PICTURES * pmn_tensor_size(&b->tensors[0]), 1.0f);
    for (int i = 0; i < compute_config_count; i++) judge(b, &compute_configs[i], input, input, names[which]);
    free(input);
    block_destroy(b);
  }
}

/* Pointwise convolutions on tensors that outgrow level 2 run in strips together, some of them in the place of what they
 * add; 3599 pixels are no multiple of any strip. */
static void test_chains(void **state) {
  (void)state;
  static const char *const names[] = {"shortcut", "shortcut read again", "activated", "groups", "broken by a window",
      "input added", "own input added", "each in the place of the last but one", "one of stride 2 at the end",
      "the output added", "another size between"};
  enum { LARGE = 75 };
  for (int which = 0; which < 11; which++) {
    block *b = block_create(59, 61, which == 5 ? LARGE : 5, PMN_INPUT_F32);
    int32_t half = which == 10 ? add(b, CONV, 0, 9, 1, 2, SAME, false) : 0;
    int32_t shortcut = add(b, CONV, 0, LARGE, 1, 1, SAME, false);
    if (which == 10) add(b, CONV, half, 9, 1, 1, SAME, false);
    int32_t t = add(b, CONV, which == 7 ? shortcut : 0, which == 7 ? LARGE : 9, 1, 1, SAME, true);
    if (which == 4) t = add(b, CONV, t, 9, 3, 1, SAME, true);
    int32_t y = add(b, CONV, which == 6 ? shortcut : t, LARGE, 1, 1, SAME, true);
    pmn_op *last = &b->ops[b->program.op_count - 1];
    if (which != 7) last->residual = which == 5 ? 0 : shortcut;
    if (which == 2) last->activation = PMN_ACTIVATION_SILU;
    t = add(b, CONV, y, which == 7 ? LARGE : 9, 1, which == 8 ? 2 : 1, SAME, false);
    if (which == 3) b->ops[b->program.op_count - 1].groups = 3;
    if (which == 1) {
      add(b, CONV, t, LARGE, 1, 1, SAME, false);
      b->ops[b->program.op_count - 1].residual = shortcut;
    }
    if (which == 9) b->program.output = shortcut;
    float *input = compute_random(SEED_INPUT, PICTURES * pmn_tensor_size(&b->tensors[0]), 1.0f);
    for (int i = 0; i < compute_config_count; i++) judge(b, &compute_configs[i], input, input, names[which]);
    free(input);
    block_destroy(b);
  }
}

/* A block that cannot have its memory leaves nothing behind. */
static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  block *b = block_create(7, 5, 5, PMN_INPUT_F32);
  int32_t t = add(b, CONV, 0, 50, 1, 1, SAME, true);
  t = add(b, DEPTHWISE, t, 50, 3, 1, SAME, true);
  add(b, CONV, t, 5, 1, 1, SAME, false);
  for (int i = 0; i < compute_config_count; i++) {
    pmn_status status = PMN_STATUS_NO_MEMORY;
    int k = 0;
    for (; status != PMN_STATUS_OK; k++) {
      pmn_network *network = NULL;
      pmn_mem_fail_after(k);
      status = pmn_network_create(compute_configs[i].device, &b->program, 1, &network, &err);
      pmn_mem_fail_after(-1);
      if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
      assert_true((network == NULL) == (status != PMN_STATUS_OK));
      pmn_network_destroy(network);
    }
    assert_true(k > (on_cpu ? 10 : 4));
  }
  block_destroy(b);
}

/* a * a + bias where a = 1 + 2^-12 and bias = -(1 + 2^-11): 2^-24 when the multiply-add is fused, 0 when the product is
 * rounded first. A build that loses the fusing is right and a third slower: no tolerance would notice. */
static void multiply_adds_are_fused(void **state) {
  (void)state;
  pmn_op_kind kinds[] = {CONV, DEPTHWISE};
  float a = 1.0f + 0x1p-12f, bias = -(1.0f + 0x1p-11f);
  for (int i = 0; i < compute_config_count; i++) {
    bool can_fuse = strcmp(compute_configs[i].label, "baseline") != 0 && !compute_configs[i].has_bf16;
    for (size_t k = 0; can_fuse && k < sizeof kinds / sizeof *kinds; k++) {
      block *b = block_create(1, 1, 1, PMN_INPUT_F32);
      add(b, kinds[k], 0, 1, 1, 1, SAME, false);
      b->parameters[0][0] = a;
      b->parameters[1][0] = bias;
      float input[PICTURES] = {a, a};
      float *y = head(b, 0, compute_configs[i].device, input);
      if (y[0] != 0x1p-24f)
        fail_msg("%s: %s: %g", compute_configs[i].label, k == 0 ? "conv" : "depthwise", (double)y[0]);
      free(y);
      block_destroy(b);
    }
  }
}

/* Products and their sums are exact here; so only rounding to nearest, and ties to even, gives these bits: of the input
 * and of the weights, where tiles are full and where they are not. */
static void factors_are_rounded_to_even(void **state) {
  (void)state;
  static const struct {
    float value, rounded;
  } cases[] = {{1.0f + 0x1p-8f, 1.0f}, {1.0f + 3 * 0x1p-8f, 1.0f + 0x1p-6f},
      {1.0f + 0x1p-8f + 0x1p-20f, 1.0f + 0x1p-7f}, {1.0f + 0x1p-8f - 0x1p-20f, 1.0f},
      {-1.0f - 3 * 0x1p-8f, -1.0f - 0x1p-6f}, {2.0f - 0x1p-9f, 2.0f}, {1.0f + 0x1p-7f, 1.0f + 0x1p-7f}};
  enum { CASES = sizeof cases / sizeof *cases, CHANNELS = 37 };
  for (int i = 0; i < compute_config_count * CASES * 2; i++) {
    const compute_config *config = &compute_configs[i / (2 * CASES)];
    float value = cases[i / 2 % CASES].value, rounded = cases[i / 2 % CASES].rounded;
    bool in_weights = i % 2 == 0;
    if (!config->has_bf16) continue;
    block *b = block_create(1, 3, CHANNELS, PMN_INPUT_F32);
    add(b, CONV, 0, CHANNELS, 1, 1, SAME, false);
    for (int j = 0; j < CHANNELS * CHANNELS; j++) b->parameters[0][j] = in_weights ? value : 1.0f;
    for (int j = 0; j < CHANNELS; j++) b->parameters[1][j] = 0x1p-10f;
    float input[PICTURES * 3 * CHANNELS];
    for (size_t j = 0; j < sizeof input / sizeof *input; j++) input[j] = in_weights ? 1.0f : value;
    float *y = head(b, 0, config->device, input);
    for (int j = 0; j < PICTURES * 3 * CHANNELS; j++) {
      if (y[j] != CHANNELS * rounded + 0x1p-10f)
        fail_msg("%s: %a becomes %a, not %a", config->label, (double)value, (double)y[j] / CHANNELS, (double)rounded);
    }
    free(y);
    block_destroy(b);
  }
}

/* Pictures that go through the end of a network together, where weights are larger than they are: a Winograd
 * convolution, whose tiles are counted through them; a product with more weights than level 2 holds; and one with so
 * long a sum that it is cut, added to another tensor. Every picture has the bits that it has alone. */
static void groups_of(int32_t h, int32_t w) {
  block *b = block_create(h, w, 3, PMN_INPUT_F32);
  int32_t t = add(b, CONV, 0, 48, 3, 1, SAME, true);
  t = add(b, CONV, t, 48, 3, 1, SAME, true);
  int32_t wide = add(b, CONV, t, 1100, 1, 2, SAME, true), narrow = add(b, CONV, t, 200, 1, 2, SAME, true);
  int32_t y = add(b, CONV, wide, 200, 1, 1, SAME, false);
  b->ops[b->program.op_count - 1].residual = narrow;
  size_t in_size = pmn_tensor_size(&b->tensors[0]), out_size = pmn_tensor_size(&b->tensors[y]);
  float *input = compute_random(SEED_INPUT, PICTURES * in_size, 1.0f);
  for (int i = 0; i < compute_config_count; i++) {
    const compute_config *config = &compute_configs[i];
    judge(b, config, input, input, "groups");
    float *apart = compute_run(config->device, &b->program, input, PICTURES, PICTURES);
    for (size_t k = 0; k < PICTURES; k++) {
      float *alone = compute_run(config->device, &b->program, input + k * in_size, 1, 1);
      if (memcmp(alone, apart + k * out_size, out_size * sizeof *alone) != 0) {
        fail_msg("%s: picture %zu of a group has other bits than alone", config->label, k);
      }
      free(alone);
    }
    free(apart);
  }
  free(input);
  block_destroy(b);
}

static void test_groups(void **state) {
  (void)state;
  groups_of(9, 6);   /* F(2x2, 3x3) */
  groups_of(13, 11); /* F(4x4, 3x3) */
}

/* Where the time went: what was fused has its time with the last of it. */
static void test_times(void **state) {
  (void)state;
  block *b = block_create(9, 9, 5, PMN_INPUT_F32);
  int32_t t = add(b, CONV, 0, 8, 3, 1, SAME, false);
  t = add(b, CONV, t, 50, 1, 1, SAME, true);
  t = add(b, DEPTHWISE, t, 50, 3, 1, SAME, true);
  add(b, CONV, t, 5, 1, 1, SAME, false);
  float *input = compute_random(SEED_INPUT, PICTURES * pmn_tensor_size(&b->tensors[0]), 1.0f);
  float *output = compute_alloc(output_bytes(b), 1);
  for (int i = -1; i < compute_config_count; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_network *network = NULL;
    double seconds[4] = {-1, -1, -1, -1}, once, start = pmn_clock_seconds();
    pmn_device *device = i < 0 ? compute_reference : compute_configs[i].device;
    check_ok(pmn_network_create(device, &b->program, PICTURES, &network, &err));
    check_ok(pmn_network_run(network, input, PICTURES, output, &err));
    assert_int_equal(pmn_network_times(network, seconds), i >= 0);
    if (i >= 0) {
      assert_true(seconds[0] > 0 && seconds[1] == 0 && seconds[2] == 0 && seconds[3] > 0);
      once = seconds[0];
      check_ok(pmn_network_run(network, input, PICTURES, output, &err));
      pmn_network_times(network, seconds);
      assert_true(seconds[0] > once && seconds[0] + seconds[3] < pmn_clock_seconds() - start);
    }
    pmn_network_destroy(network);
  }
  free(input);
  free(output);
  block_destroy(b);
}

/* What the machine has of the backend. */
static void configs_open(void) {
  static const char *const sets[] = {"baseline", "avx2", "avx512", "avx512bf16", "amx"};
  static const char *const tile[] = {"tile"};
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  for (size_t i = 0; i < (on_cpu ? sizeof sets / sizeof *sets : 1); i++) {
    bool bf16 = i >= 3;
    options.isa = on_cpu ? sets[i] : tile[i];
    options.precision = bf16 ? PMN_PRECISION_BF16 : PMN_PRECISION_FP32;
    pmn_device *device = NULL;
    if (pmn_device_open(pmn_backend_find(TEST_BACKEND), &options, &device, &err) == PMN_STATUS_OK) {
      compute_configs[compute_config_count++] =
          (compute_config){device, options.isa, 4.0, on_cpu && !bf16, bf16, false};
    } else {
      print_message("[  SKIPPED ] %s: %s\n", options.isa, err.message);
    }
  }
}

int main(void) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  on_cpu = strcmp(TEST_BACKEND, "cpu") == 0;
  if (pmn_device_open(pmn_backend_find("ref"), &options, &compute_reference, &err) != PMN_STATUS_OK) return 1;
  configs_open();
  if (compute_config_count == 0) return on_cpu ? 1 : 77;
  const struct CMUnitTest blocks[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_stem),
      cmocka_unit_test(test_used_elsewhere),
      cmocka_unit_test(test_no_memory),
  };
  const struct CMUnitTest cpu_only[] = {
      cmocka_unit_test(multiply_adds_are_fused),
      cmocka_unit_test(factors_are_rounded_to_even),
      cmocka_unit_test(test_groups),
      cmocka_unit_test(test_times),
      cmocka_unit_test(test_chains),
  };
  int failures = cmocka_run_group_tests_name("blocks", blocks, NULL, NULL);
  if (on_cpu) failures += cmocka_run_group_tests_name("cpu", cpu_only, NULL, NULL);
  for (int i = 0; i < compute_config_count; i++) pmn_device_close(compute_configs[i].device);
  pmn_device_close(compute_reference);
  return failures != 0;
}
