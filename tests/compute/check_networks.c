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
  float *parameters[2 * TENSORS_MAX];
  int parameter_count;
} chain;

static int32_t chain_op(chain *c, pmn_op_kind kind, int32_t input, int32_t out_c, int32_t kernel, int32_t stride,
    int32_t residual, bool clamp) {
  const pmn_tensor *in = &c->tensors[input];
  int32_t output = c->program.tensor_count++, index = c->program.op_count++;
  pmn_tensor *out = &c->tensors[output];
  /* "same": as many outputs as strides begin in the picture, padding shared with the odd one after. */
  *out = (pmn_tensor){(in->h + stride - 1) / stride, (in->w + stride - 1) / stride, out_c, 0};
  int32_t pad_h = (out->h - 1) * stride + kernel - in->h, pad_w = (out->w - 1) * stride + kernel - in->w;
  if (kind == POOL) out->h = out->w = 1;
  size_t channels = (size_t)out_c, depth = (size_t)(kernel * kernel) * (kind == CONV ? (size_t)in->c : 1);
  pmn_op op = {.kind = kind,
      .name = "chain",
      .input = input,
      .output = output,
      .residual = residual,
      .kernel_h = kernel,
      .kernel_w = kernel,
      .stride_h = stride,
      .stride_w = stride,
      .pad_top = pad_h > 0 ? pad_h / 2 : 0,
      .pad_left = pad_w > 0 ? pad_w / 2 : 0,
      .clamp_min = clamp ? 0.0f : -INFINITY,
      .clamp_max = clamp ? 6.0f : INFINITY};
  if (kind != POOL) {
    /* Variance of a product of two uniform numbers is 1/9: sums keep about the size of their terms. */
    float scale = 2.0f / sqrtf((float)depth);
    op.weights = c->parameters[c->parameter_count++] = compute_random(100 + (uint64_t)index, depth * channels, scale);
    op.bias = c->parameters[c->parameter_count++] = compute_random(200 + (uint64_t)index, channels, 0.5f);
  }
  c->ops[index] = op;
  return output;
}

/* The last operation that reads a tensor; the program's output is read after the last. */
static int32_t chain_last_read(const chain *c, int32_t tensor) {
  int32_t last = tensor == c->program.output ? c->program.op_count : -1;
  for (int32_t i = 0; i < c->program.op_count; i++) {
    if ((c->ops[i].input == tensor || c->ops[i].residual == tensor) && i > last) last = i;
  }
  return last;
}

/* First fit: every tensor at the lowest place where no living one is. */
static void chain_arena(chain *c) {
  for (int32_t i = 0; i < c->program.op_count; i++) {
    pmn_tensor *t = &c->tensors[c->ops[i].output];
    bool moved = true;
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

/* A small network of the family of MobileNetV2 and EfficientNet-Lite on size x size pictures. */
static chain *chain_create(int32_t size, pmn_input_type type) {
  chain *c = compute_alloc(1, sizeof *c);
  c->tensors[0] = (pmn_tensor){size, size, 3, 0};
  c->program = (pmn_program){.tensors = c->tensors, .ops = c->ops, .tensor_count = 1, .input_type = type};
  memcpy(c->program.input_scale, compute_scale, sizeof compute_scale);
  memcpy(c->program.input_shift, compute_shift, sizeof compute_shift);
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
  t = chain_op(c, CONV, t, 10, 1, 1, PMN_NO_TENSOR, false);
  c->program.output = t;
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

/* Layer by layer: what the device made of what it had before, against what `ref` makes of the same. Head after head,
 * the last being the whole program; the picture judged is the first of two. Largest error as a part of its bound. */
static double chain_check(const chain *c, const compute_config *config, const float *input) {
  float *values[TENSORS_MAX] = {0};
  double worst = 0.0;
  for (int32_t i = 0; i < c->program.op_count; i++) {
    const pmn_op *op = &c->ops[i];
    char name[32];
    snprintf(name, sizeof name, "chain, operation %d", i);
    values[op->output] = chain_head(c, i, config->device, input);
    const float *in = op->input == 0 ? input : values[op->input];
    const float *residual = op->residual == PMN_NO_TENSOR ? NULL : values[op->residual];
    float *expected = compute_apply(&c->program, op, in, residual),
          *bound = compute_bound(&c->program, op, in, residual);
    size_t size = pmn_tensor_size(&c->tensors[op->output]);
    worst = fmax(worst, compute_compare(values[op->output], expected, bound, size, config->label, name));
    free(expected);
    free(bound);
  }
  for (int t = 0; t < TENSORS_MAX; t++) free(values[t]);
  return worst;
}

void check_networks_chain(void **state) {
  (void)state;
  static const int32_t sizes[] = {17, 40, 130};
  double worst = 0.0;
  int count = 0;
  for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
    chain *c = chain_create(sizes[s], PMN_INPUT_F32);
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
void check_networks_batches(void **state) {
  (void)state;
  enum { PICTURES = 7 };
  chain *c = chain_create(50, PMN_INPUT_U8);
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
  assert_true(count > 0);
}

/* Every allocation of our own fails once: the call says so and leaves nothing behind, or does without. */
void check_networks_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  chain *c = chain_create(8, PMN_INPUT_F32);
  float input[8 * 8 * 3] = {0}, output[10], expected[10];
  int failures = 0;
  for (int d = 0; d < compute_config_count; d++) {
    bool done = false;
    for (int64_t k = -1; !done; k++) { /* -1: none fails */
      pmn_network *network = NULL;
      (void)pmn_mem_fail_after(k);
      pmn_status status = pmn_network_create(compute_configs[d].device, &c->program, 1, &network, &err);
      if (status == PMN_STATUS_OK) status = pmn_network_run(network, input, 1, output, &err);
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
  }
  print_message("%d failures of an allocation\n", failures);
  assert_true(failures > 0);
  chain_destroy(c);
}

void check_networks_arguments(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  chain *c = chain_create(8, PMN_INPUT_F32);
  float input[8 * 8 * 3] = {0}, output[10];
  pmn_device *device = compute_configs[0].device;
  pmn_network *network = NULL;
  check_fails(pmn_network_create(device, &c->program, 0, &network, &err), PMN_STATUS_ARGUMENT, "batch of 0");
  assert_null(network);
  check_ok(pmn_network_create(device, &c->program, 1, &network, &err));
  check_fails(pmn_network_run(network, input, 2, output, &err), PMN_STATUS_ARGUMENT, "batch of 2");
  check_fails(pmn_network_run(network, input, 0, output, &err), PMN_STATUS_ARGUMENT, "batch of 0");
  pmn_network_destroy(network);
  pmn_device_options options = {.index = 1000, .threads = 1};
  pmn_device *none = device;
  check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_DEVICE, "no ");
  assert_null(none);
  options = (pmn_device_options){.index = -1, .threads = 0};
  check_fails(pmn_device_open(device->backend, &options, &none, &err), PMN_STATUS_ARGUMENT, "threads");
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
