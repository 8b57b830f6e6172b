/* check_networks.c - programs of many operations: tensors that take turns in the arena, residuals over several layers,
 * batches and threads that must not change a bit. */
#include "compute_check.h"

#include "cases.h"
#include "pmn_mem.h"

#include <math.h>

enum { TENSORS_MAX = 64 };

/* A program under construction; every call of chain_op adds one operation and the tensor it writes. */
typedef struct chain {
  pmn_tensor tensors[TENSORS_MAX];
  pmn_op ops[TENSORS_MAX];
  pmn_program program;
  float *parameters[3 * TENSORS_MAX];
  int parameter_count;
} chain;

static float *chain_parameter(chain *c, float *values) {
  return c->parameters[c->parameter_count++] = values;
}

static int32_t chain_op(chain *c, pmn_op_kind kind, int32_t input, int32_t out_c, int32_t kernel, int32_t stride,
    int32_t residual, bool clamp) {
  const pmn_tensor *in = &c->tensors[input];
  int32_t output = c->program.tensor_count++, index = c->program.op_count++;
  pmn_tensor *out = &c->tensors[output];
  /* "same": as many outputs as strides begin in the picture, padding shared with the odd one after. */
  *out = (pmn_tensor){(in->h + stride - 1) / stride, (in->w + stride - 1) / stride, out_c, 0};
  int32_t pad_h = (out->h - 1) * stride + kernel - in->h, pad_w = (out->w - 1) * stride + kernel - in->w;
  if (kind == POOL) out->h = out->w = 1;
  pmn_op op = pmn_op_init(kind, "chain", input, output);
  op.residual = residual;
  op.kernel_h = op.kernel_w = kernel;
  op.stride_h = op.stride_w = stride;
  op.pad_top = pad_h > 0 ? pad_h / 2 : 0;
  op.pad_left = pad_w > 0 ? pad_w / 2 : 0;
  if (clamp) op.clamp_min = 0.0f;
  if (clamp) op.clamp_max = 6.0f;
  size_t weights = pmn_op_weights_size(&op, in, out), bias = pmn_op_bias_size(&op, out);
  /* Variance of a product of two uniform numbers is 1/9: sums keep about the size of their terms. */
  float scale = 2.0f / sqrtf((float)weights / (float)out_c);
  if (weights > 0) op.weights = chain_parameter(c, compute_random(100 + (uint64_t)index, weights, scale));
  if (bias > 0) op.bias = chain_parameter(c, compute_random(200 + (uint64_t)index, bias, 0.5f));
  c->ops[index] = op;
  return output;
}

/* The operation added last, for what chain_op does not ask. */
static pmn_op *chain_last(chain *c) {
  return &c->ops[c->program.op_count - 1];
}

static int32_t chain_activated(chain *c, int32_t tensor, pmn_activation activation) {
  chain_last(c)->activation = activation;
  chain_last(c)->alpha = 0.5f;
  return tensor;
}

/* Copies `count` channels of `input` from channel `from` on to channel `to` of `output`. */
static void chain_copy(chain *c, int32_t input, int32_t from, int32_t count, int32_t output, int32_t to) {
  const pmn_tensor *in = &c->tensors[input], *out = &c->tensors[output];
  pmn_op *op = &c->ops[c->program.op_count++];
  *op = pmn_op_init(PMN_OP_COPY, "copy", input, output);
  op->copy = (pmn_copy){{1, in->h * in->w, count}, from, {0, in->c, 1}, to, {0, out->c, 1}};
}

static int32_t chain_tensor(chain *c, int32_t h, int32_t w, int32_t channels) {
  c->tensors[c->program.tensor_count] = (pmn_tensor){h, w, channels, 0};
  return c->program.tensor_count++;
}

/* Twice as high and wide, bilinear. */
static int32_t chain_double(chain *c, int32_t input) {
  const pmn_tensor in = c->tensors[input];
  int32_t output = chain_tensor(c, 2 * in.h, 2 * in.w, in.c);
  float *taps = chain_parameter(c, compute_alloc(6 * (size_t)(in.h + in.w), sizeof(float)));
  for (int32_t i = 0; i < 2 * (in.h + in.w); i++) {
    int32_t line = i < 2 * in.h ? i : i - 2 * in.h, last = i < 2 * in.h ? in.h - 1 : in.w - 1;
    int32_t first = line == 0 ? 0 : (line - 1) / 2;
    taps[3 * i] = (float)first;
    taps[3 * i + 1] = (float)(first < last ? first + 1 : last);
    taps[3 * i + 2] = line == 0 ? 0.0f : line % 2 == 0 ? 0.75f : 0.25f;
  }
  pmn_op *op = &c->ops[c->program.op_count++];
  *op = pmn_op_init(PMN_OP_RESIZE, "double", input, output);
  op->weights = taps;
  return output;
}

/* The last operation that reads a tensor; the program's output is read after the last. */
static int32_t chain_last_read(const chain *c, int32_t tensor) {
  int32_t last = tensor == c->program.output ? c->program.op_count : -1;
  for (int32_t i = 0; i < c->program.op_count; i++) {
    const pmn_op *op = &c->ops[i];
    if (op->input == tensor || op->residual == tensor || op->factor == tensor) last = i > last ? i : last;
  }
  return last;
}

static bool chain_written_before(const chain *c, int32_t index) {
  bool written = false;
  for (int32_t j = 0; j < index; j++) written |= c->ops[j].output == c->ops[index].output;
  return written;
}

/* First fit: every tensor at the lowest place where no living one is. */
static void chain_arena(chain *c) {
  for (int32_t i = 0; i < c->program.op_count; i++) {
    pmn_tensor *t = &c->tensors[c->ops[i].output];
    bool moved = !chain_written_before(c, i);
    while (moved) {
      moved = false;
      for (int32_t j = 0; j < i; j++) {
        const pmn_tensor *o = &c->tensors[c->ops[j].output];
        size_t o_end = o->arena_offset + pmn_tensor_size(o);
        if (chain_last_read(c, c->ops[j].output) < i) continue;
        if (t->arena_offset < o_end && o->arena_offset < t->arena_offset + pmn_tensor_size(t)) {
          t->arena_offset = (o_end + 15) / 16 * 16;
          moved = true;
        }
      }
    }
    size_t end = t->arena_offset + pmn_tensor_size(t);
    if (end > c->program.arena_size) c->program.arena_size = end;
  }
}

/* expand, depthwise, project; with a residual where the shapes allow. */
static int32_t chain_block(chain *c, int32_t input, int32_t out_c, int32_t kernel, int32_t stride) {
  int32_t wide = c->tensors[input].c * 6;
  bool same = stride == 1 && c->tensors[input].c == out_c;
  int32_t t = chain_op(c, CONV, input, wide, 1, 1, PMN_NO_TENSOR, true);
  t = chain_op(c, DEPTHWISE, t, wide, kernel, stride, PMN_NO_TENSOR, true);
  return chain_op(c, CONV, t, out_c, 1, 1, same ? input : PMN_NO_TENSOR, false);
}

/* A small network of the family of MobileNetV2 and EfficientNet-Lite. */
static void build_mobile(chain *c) {
  int32_t t = chain_op(c, CONV, 0, 16, 3, 2, PMN_NO_TENSOR, true);
  t = chain_op(c, DEPTHWISE, t, 16, 3, 1, PMN_NO_TENSOR, true);
  t = chain_op(c, CONV, t, 8, 1, 1, PMN_NO_TENSOR, false);
  t = chain_block(c, t, 12, 3, 2);
  t = chain_block(c, t, 12, 3, 1);
  t = chain_block(c, t, 20, 5, 2);
  t = chain_block(c, t, 20, 5, 1);
  t = chain_block(c, t, 20, 3, 1);
  t = chain_op(c, CONV, t, 100, 1, 1, PMN_NO_TENSOR, true);
  t = chain_op(c, POOL, t, 100, 1, 1, PMN_NO_TENSOR, false);
  c->program.output = chain_op(c, CONV, t, 10, 1, 1, PMN_NO_TENSOR, false);
}

/* A piece of everything else: branches that copies join, shuffle and cut; groups, dilation, attention to channels,
 * normalisations, a resize, a softmax. */
static void build_mixed(chain *c) {
  int32_t none = PMN_NO_TENSOR;
  int32_t stem = chain_activated(c, chain_op(c, CONV, 0, 16, 3, 2, none, false), PMN_ACTIVATION_SILU);
  int32_t most = chain_op(c, MAX_POOL, stem, 16, 3, 2, none, false);
  int32_t mean = chain_op(c, AVERAGE_POOL, most, 16, 3, 1, none, false);
  int32_t grouped = chain_activated(c, chain_op(c, CONV, most, 24, 3, 1, none, false), PMN_ACTIVATION_GELU);
  chain_last(c)->groups = 4;
  chain_last(c)->dilation_h = chain_last(c)->dilation_w = 2;
  chain_last(c)->pad_top = chain_last(c)->pad_left = 2;
  int32_t h = c->tensors[most].h, w = c->tensors[most].w;
  int32_t joined = chain_tensor(c, h, w, 56), shuffled = chain_tensor(c, h, w, 56), cut = chain_tensor(c, h, w, 24);
  chain_copy(c, most, 0, 16, joined, 0);
  chain_copy(c, grouped, 0, 24, joined, 32);
  chain_copy(c, mean, 0, 16, joined, 16);
  chain_copy(c, joined, 0, 1, shuffled, 0);
  chain_last(c)->copy = (pmn_copy){{h * w, 8, 7}, 0, {56, 7, 1}, 0, {56, 1, 8}};
  chain_copy(c, shuffled, 9, 24, cut, 0);
  int32_t t = chain_activated(c, chain_op(c, CONV, cut, 24, 1, 1, grouped, true), PMN_ACTIVATION_MISH);
  int32_t share = chain_op(c, POOL, t, 24, 1, 1, none, false);
  share = chain_activated(c, chain_op(c, CONV, share, 6, 1, 1, none, false), PMN_ACTIVATION_ELU);
  share = chain_activated(c, chain_op(c, CONV, share, 24, 1, 1, none, false), PMN_ACTIVATION_SIGMOID);
  t = chain_op(c, MULTIPLY, t, 24, 1, 1, none, false);
  chain_last(c)->factor = share;
  t = chain_op(c, LRN, t, 24, 1, 1, none, false);
  chain_last(c)->lrn_size = 5;
  chain_last(c)->lrn_alpha = chain_last(c)->lrn_bias = 1.0f;
  chain_last(c)->lrn_beta = 0.75f;
  t = chain_op(c, LAYER_NORM, t, 24, 1, 1, none, false);
  chain_last(c)->epsilon = 1e-3f;
  t = chain_double(c, t);
  t = chain_activated(c, chain_op(c, DEPTHWISE, t, 24, 5, 2, none, false), PMN_ACTIVATION_HARD_SWISH);
  t = chain_op(c, POOL, t, 24, 1, 1, none, false);
  t = chain_op(c, CONV, t, 10, 1, 1, none, false);
  c->program.output = chain_op(c, SOFTMAX, t, 10, 1, 1, none, false);
}

static void (*const builds[])(chain *c) = {build_mobile, build_mixed};
enum { BUILDS = sizeof builds / sizeof builds[0] };

/* For size x size pictures. */
static chain *chain_create(int build, int32_t size, pmn_input_type type) {
  chain *c = compute_alloc(1, sizeof *c);
  c->tensors[0] = (pmn_tensor){size, size, 3, 0};
  c->program = (pmn_program){.tensors = c->tensors, .ops = c->ops, .tensor_count = 1, .input_type = type};
  memcpy(c->program.input_scale, compute_scale, sizeof compute_scale);
  memcpy(c->program.input_shift, compute_shift, sizeof compute_shift);
  builds[build](c);
  chain_arena(c);
  return c;
}

static void chain_destroy(chain *c) {
  for (int i = 0; i < c->parameter_count; i++) free(c->parameters[i]);
  free(c);
}

/* The program cut off after operation `last`: its output is that operation's. Everything else, the arena too, is as it
 * is in the whole. */
static float *chain_head(const chain *c, int32_t last, pmn_device *device, const float *input) {
  pmn_program head = c->program;
  head.op_count = last + 1;
  head.output = c->ops[last].output;
  return compute_run(device, &head, input, 2, 2);
}

/* What the copies up to operation `last` make of the tensor that it writes. */
static float *chain_copied(const chain *c, int32_t last, float *const *values) {
  float *y = compute_alloc(pmn_tensor_size(&c->tensors[c->ops[last].output]), sizeof(float));
  for (int32_t i = 0; i <= last; i++) {
    const pmn_copy *copy = &c->ops[i].copy;
    if (c->ops[i].output != c->ops[last].output) continue;
    for (int32_t at = 0; at < copy->extent[0] * copy->extent[1] * copy->extent[2]; at++) {
      int32_t k = at % copy->extent[2], j = at / copy->extent[2] % copy->extent[1];
      int32_t h = at / copy->extent[2] / copy->extent[1];
      y[copy->out_first + h * copy->out_stride[0] + j * copy->out_stride[1] + k * copy->out_stride[2]] =
          values[c->ops[i].input]
                [copy->in_first + h * copy->in_stride[0] + j * copy->in_stride[1] + k * copy->in_stride[2]];
    }
  }
  return y;
}

/* Layer by layer: what the device made of what it had before, against what `ref` makes of the same. Head after head,
 * the last being the whole program; the picture judged is the first of two. Largest error as a part of its bound. */
static double chain_check(const chain *c, const compute_config *config, const float *input) {
  float *values[TENSORS_MAX] = {0};
  double worst = 0.0;
  for (int32_t i = 0; i < c->program.op_count; i++) {
    const pmn_op *op = &c->ops[i];
    bool copies = op->kind == PMN_OP_COPY;
    if (copies && i + 1 < c->program.op_count && c->ops[i + 1].output == op->output) continue; /* not complete */
    char name[32];
    snprintf(name, sizeof name, "chain, operation %d", i);
    values[op->output] = chain_head(c, i, config->device, input);
    const compute_operands operands = {.in = op->input == 0 ? input : values[op->input],
        .residual = op->residual == PMN_NO_TENSOR ? NULL : values[op->residual],
        .factor = op->factor == PMN_NO_TENSOR ? NULL : values[op->factor]};
    size_t size = pmn_tensor_size(&c->tensors[op->output]);
    float *expected = copies ? chain_copied(c, i, values) : compute_apply(&c->program, op, &operands);
    float *bound = copies ? compute_alloc(size, sizeof *bound) : compute_bound(&c->program, op, &operands, config);
    worst = fmax(worst, compute_compare(values[op->output], expected, bound, size, config->label, name));
    if (!copies) compute_check_mean_error(&c->program, op, config, values[op->output], expected, bound, name);
    free(expected);
    free(bound);
  }
  for (int t = 0; t < TENSORS_MAX; t++) free(values[t]);
  return worst;
}

void check_networks_chain(void **state) {
  (void)state;
  static const int32_t sizes[] = {17, 40, 130};
  enum { SIZES = sizeof sizes / sizeof sizes[0] };
  double worst = 0.0;
  int count = 0;
  for (int s = 0; s < BUILDS * SIZES; s++) {
    chain *c = chain_create(s / SIZES, sizes[s % SIZES], PMN_INPUT_F32);
    size_t all = 0;
    for (int32_t t = 1; t < c->program.tensor_count; t++) all += pmn_tensor_size(&c->tensors[t]);
    assert_true(c->program.arena_size < all / 2); /* tensors do take turns */
    float *input = compute_random(SEED_INPUT, pmn_tensor_size(&c->tensors[0]) * 2, 1.0f);
    for (int i = 0; i < compute_config_count; i++, count++) {
      worst = fmax(worst, chain_check(c, &compute_configs[i], input));
    }
    free(input);
    chain_destroy(c);
  }
  print_message("%d chains; largest error %.4f of its bound\n", count, worst);
  assert_true(count > 0);
}

/* Batches of 1, 3 and 7, and networks made for more than they are given: the same bits, and on every configuration that
 * differs from the one before by threads only, too. */
static int batches_check(int build) {
  enum { PICTURES = 7 };
  chain *c = chain_create(build, 50, PMN_INPUT_U8);
  size_t in_size = pmn_tensor_size(&c->tensors[0]), out_size = pmn_tensor_size(&c->tensors[c->program.output]);
  uint8_t *input = compute_alloc(PICTURES * in_size, 1);
  for (size_t i = 0; i < PICTURES * in_size; i++) input[i] = compute_byte(SEED_INPUT, i);
  float *previous = NULL;
  int count = 0;
  for (int d = 0; d < compute_config_count; d++) {
    pmn_device *device = compute_configs[d].device;
    float *singly = compute_alloc(PICTURES * out_size, sizeof(float));
    for (size_t i = 0; i < PICTURES; i++) {
      float *y = compute_run(device, &c->program, input + i * in_size, 1, 1);
      memcpy(singly + i * out_size, y, out_size * sizeof(float));
      free(y);
    }
    assert_memory_not_equal(singly, singly + out_size, out_size * sizeof(float));
    static const int32_t runs[][2] = {{3, 3}, {3, 8}, {7, 7}, {7, 16}};
    for (size_t r = 0; r < sizeof runs / sizeof runs[0]; r++, count++) {
      float *y = compute_run(device, &c->program, input, runs[r][0], runs[r][1]);
      if (memcmp(y, singly, (size_t)runs[r][0] * out_size * sizeof(float)) != 0) {
        fail_msg("%s: a batch of %d changes bits", compute_configs[d].label, runs[r][0]);
      }
      free(y);
    }
    if (strstr(compute_configs[d].label, "2 threads") != NULL) {
      assert_non_null(previous);
      assert_memory_equal(singly, previous, PICTURES * out_size * sizeof(float));
    }
    free(previous);
    previous = singly;
  }
  free(previous);
  free(input);
  chain_destroy(c);
  return count;
}

void check_networks_batches(void **state) {
  (void)state;
  for (int build = 0; build < BUILDS; build++) assert_true(batches_check(build) > 0);
}

/* Batches of several sizes under way in all slots at once, collected in their order: the same bits as each alone. A run
 * between them disturbs nobody. */
static void slots_check(int build, pmn_device *device) {
  enum { MOST = 5, BATCHES = 8 };
  static const int32_t sizes[BATCHES] = {3, 5, 1, 2, 5, 4, 1, 3};
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network;
  void *input;
  chain *c = chain_create(build, 17, PMN_INPUT_U8);
  size_t in_size = pmn_tensor_size(&c->tensors[0]), out_size = pmn_tensor_size(&c->tensors[c->program.output]);
  uint8_t *pictures = compute_alloc(BATCHES * MOST * in_size, 1);
  float *expected[BATCHES], *rows = compute_alloc(MOST * out_size, sizeof *rows);
  for (size_t i = 0; i < BATCHES * MOST * in_size; i++) pictures[i] = compute_byte(SEED_INPUT, i);
  for (int b = 0; b < BATCHES; b++)
    expected[b] = compute_run(device, &c->program, pictures + (size_t)b * MOST * in_size, sizes[b], MOST);
  check_ok(pmn_network_create(device, &c->program, MOST, &network, &err));
  int32_t slots = pmn_network_slots(network);
  double seconds = 0.0;
  for (int begun = 0, done = 0; done < BATCHES; done++) {
    for (; begun < BATCHES && begun - done < slots; begun++) {
      check_ok(pmn_network_input(network, begun % slots, &input, &err));
      memset(input, 0xff, MOST * in_size); /* of the batch before */
      memcpy(input, pictures + (size_t)begun * MOST * in_size, (size_t)sizes[begun] * in_size);
      check_ok(pmn_network_submit(network, begun % slots, sizes[begun], &err));
    }
    check_ok(pmn_network_run(network, pictures, sizes[0], rows, &err));
    assert_memory_equal(rows, expected[0], (size_t)sizes[0] * out_size * sizeof *rows);
    size_t bytes = (size_t)sizes[done] * out_size * sizeof *rows;
    memset(rows, 0xff, MOST * out_size * sizeof *rows);
    check_ok(pmn_network_collect(network, done % slots, rows, &err));
    assert_memory_equal(rows, expected[done], bytes);
    for (size_t i = bytes; i < MOST * out_size * sizeof *rows; i++) assert_int_equal(((uint8_t *)rows)[i], 0xff);
    assert_true(pmn_network_seconds(network) > seconds);
    seconds = pmn_network_seconds(network);
  }
  for (int32_t slot = 0; slot < slots; slot++) check_ok(pmn_network_submit(network, slot, MOST, &err));
  pmn_network_destroy(network); /* with all of them under way */
  for (int b = 0; b < BATCHES; b++) free(expected[b]);
  free(rows);
  free(pictures);
  chain_destroy(c);
}

void check_networks_slots(void **state) {
  (void)state;
  for (int d = 0; d < BUILDS * compute_config_count; d++) slots_check(d % BUILDS, compute_configs[d / BUILDS].device);
  assert_true(compute_config_count > 0);
}

/* Every allocation of our own fails once: the call says so and leaves nothing behind, or does without. */
static int memory_check(int build, pmn_device *device) {
  pmn_err err = PMN_ERR_INIT;
  chain *c = chain_create(build, 8, PMN_INPUT_F32);
  float input[8 * 8 * 3] = {0}, output[10], expected[10];
  int failures = 0;
  bool done = false;
  for (int64_t k = -1; !done; k++) { /* -1: none fails */
    pmn_network *network = NULL;
    (void)pmn_mem_fail_after(k);
    pmn_status status = pmn_network_create(device, &c->program, 1, &network, &err);
    if (k < 0) (void)pmn_mem_fail_after(-1);
    if (status == PMN_STATUS_OK) status = pmn_network_run(network, input, 1, output, &err);
    /* What the cpu needs it has taken at creation. */
    if (k < 0 && strcmp(device->backend->name, "cpu") == 0) assert_int_equal(pmn_mem_fail_after(-1), 0);
    done = pmn_mem_fail_after(-1) <= k;
    pmn_network_destroy(network);
    if (k < 0) memcpy(expected, output, sizeof expected);
    if (status == PMN_STATUS_OK) {
      assert_memory_equal(output, expected, sizeof expected);
    } else {
      assert_int_equal(status, PMN_STATUS_NO_MEMORY);
      failures++;
    }
  }
  chain_destroy(c);
  return failures;
}

void check_networks_memory(void **state) {
  (void)state;
  int failures = 0;
  for (int d = 0; d < BUILDS * compute_config_count; d++) {
    failures += memory_check(d % BUILDS, compute_configs[d / BUILDS].device);
  }
  print_message("%d failures of an allocation\n", failures);
  assert_true(failures > 0);
}

void check_networks_arguments(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  chain *c = chain_create(0, 8, PMN_INPUT_F32);
  float input[8 * 8 * 3] = {0}, output[10];
  pmn_device *device = compute_configs[0].device;
  pmn_network *network = NULL;
  check_fails(pmn_network_create(device, &c->program, 0, &network, &err), PMN_STATUS_ARGUMENT, "batch of 0");
  assert_null(network);
  check_ok(pmn_network_create(device, &c->program, 1, &network, &err));
  check_fails(pmn_network_run(network, input, 2, output, &err), PMN_STATUS_ARGUMENT, "batch of 2");
  check_fails(pmn_network_run(network, input, 0, output, &err), PMN_STATUS_ARGUMENT, "batch of 0");
  int32_t slots = pmn_network_slots(network);
  void *place;
  assert_in_range(slots, 1, PMN_NETWORK_SLOTS_MAX);
  check_fails(pmn_network_submit(network, 0, 1, &err), PMN_STATUS_ARGUMENT, "slot 0");
  check_fails(pmn_network_input(network, slots, &place, &err), PMN_STATUS_ARGUMENT, "slot");
  check_fails(pmn_network_input(network, -1, &place, &err), PMN_STATUS_ARGUMENT, "slot -1");
  assert_null(place);
  (void)pmn_mem_fail_after(0); /* a slot that the driver does not make */
  if (slots == 1) check_fails(pmn_network_input(network, 0, &place, &err), PMN_STATUS_NO_MEMORY, "pictures");
  (void)pmn_mem_fail_after(-1);
  check_ok(pmn_network_input(network, 0, &place, &err));
  memset(place, 0, sizeof input);
  check_fails(pmn_network_submit(network, 0, 2, &err), PMN_STATUS_ARGUMENT, "batch of 2");
  check_fails(pmn_network_submit(network, slots, 1, &err), PMN_STATUS_ARGUMENT, "slot");
  check_fails(pmn_network_collect(network, 0, output, &err), PMN_STATUS_ARGUMENT, "no batch");
  check_ok(pmn_network_submit(network, 0, 1, &err));
  check_fails(pmn_network_submit(network, 0, 1, &err), PMN_STATUS_ARGUMENT, "under way");
  check_fails(pmn_network_input(network, 0, &place, &err), PMN_STATUS_ARGUMENT, "under way");
  check_ok(pmn_network_collect(network, 0, output, &err));
  check_fails(pmn_network_collect(network, 0, output, &err), PMN_STATUS_ARGUMENT, "no batch");
  pmn_network_destroy(network);
  pmn_device_options options = {.index = 1000, .threads = 1};
  pmn_device *none = device;
  check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_DEVICE, "no ");
  assert_null(none);
  options = (pmn_device_options){.index = -1, .threads = 0};
  check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_ARGUMENT, "threads");
  options = (pmn_device_options){.index = -1, .threads = 1, .precision = PMN_PRECISION_BF16};
  if (strcmp(device->backend->name, "cpu") != 0)
    check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_DEVICE, "--backend cpu");
  options.precision = PMN_PRECISION_FP16;
  if (strcmp(device->backend->name, "opencl") != 0)
    check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_DEVICE, "--backend opencl");
  for (int fp32 = 0; fp32 < 2 && strcmp(device->backend->name, "cpu") == 0; fp32++) {
    options.isa = fp32 ? "amx" : "avx2"; /* each of the other precision */
    options.precision = fp32 ? PMN_PRECISION_FP32 : PMN_PRECISION_BF16;
    check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_DEVICE, "this pro");
    assert_null(none);
  }
  int32_t count = 0;
  pmn_device_info info;
  check_ok(device->backend->devices(&info, 1, &count, &err));
  assert_true(count >= 1);
  assert_string_equal(info.backend, device->backend->name);
  assert_true(info.name[0] != '\0' && info.driver[0] != '\0' && info.memory_bytes > 0 && info.compute_units > 0);
  assert_null(pmn_backend_find("nothing"));
  pmn_device_close(NULL);
  pmn_network_destroy(NULL);
  chain_destroy(c);
}
