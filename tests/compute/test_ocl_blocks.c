/* test_ocl_blocks.c - inverted residuals in one launch, behind the door of the OpenCL backend: shapes that networks do
 * not have, the bits of the three launches, how many launches there are, and what does not fit.
 *
 * The kernels are those for GPUs, on whatever device there is. test_blocks.c holds a table of them against `ref`.
 */
#include "compute_check.h"

#include "cases.h"
#include "pmn_ocl.h"
#include "pmn_selfcheck.h"

#include <math.h>

compute_config compute_configs[COMPUTE_CONFIGS_MAX];
int compute_config_count;
pmn_device *compute_reference;
static pmn_device *tile, *halves; /* fp32 and fp16 */

enum { PICTURES = 3, OPS = 4, TENSORS = OPS + 1 };

/* Convolution unless wide is 0, depthwise, pointwise; the output is as large as the window's places say. */
typedef struct shape {
  const char *name;
  int32_t h, w, in_c, wide, out_c, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, out_h, out_w;
  bool residual;
} shape;

/* clang-format off */
static const shape shapes[] = {
    {"one pixel", 1, 1, 8, 48, 8, 3, 3, 1, 1, 1, 1, 1, 1, true},
    {"smaller than a tile", 3, 5, 16, 96, 24, 3, 3, 1, 1, 1, 1, 3, 5, false},
    {"a tile", 8, 8, 24, 144, 24, 3, 3, 1, 1, 1, 1, 8, 8, true},
    {"a tile and one", 9, 17, 33, 65, 33, 3, 3, 1, 1, 1, 1, 9, 17, true},
    {"5x5", 13, 11, 17, 33, 24, 5, 5, 1, 1, 2, 2, 13, 11, false},
    {"stride 2, padded below and right", 14, 18, 16, 96, 24, 3, 3, 2, 2, 0, 0, 7, 9, false},
    {"5x5 of stride 2, padded on one side", 12, 10, 24, 48, 40, 5, 5, 2, 2, 1, 1, 6, 5, false},
    {"padded above and left", 6, 7, 8, 16, 8, 3, 3, 1, 1, 2, 2, 6, 7, true},
    {"no padding", 10, 12, 8, 31, 7, 3, 3, 1, 1, 0, 0, 8, 10, false},
    {"not widened, odd", 7, 6, 33, 0, 33, 5, 5, 1, 1, 2, 2, 7, 6, true},
    {"another stride down than across", 9, 11, 8, 24, 12, 3, 5, 1, 2, 1, 2, 9, 6, false},
    {"window of one row", 5, 9, 8, 40, 12, 1, 7, 1, 1, 0, 3, 5, 9, false},
    {"many sums", 5, 4, 40, 50, 321, 3, 3, 1, 1, 1, 1, 5, 4, false},
    {"as many sums as there may be", 2, 2, 8, 16, 384, 3, 3, 1, 1, 1, 1, 2, 2, false},
    {"chunks of 16", 20, 9, 8, 40, 8, 5, 5, 3, 3, 1, 1, 7, 3, false},
    {"not widened", 9, 11, 32, 0, 16, 3, 3, 1, 1, 1, 1, 9, 11, false},
    {"padded by more than the window", 2, 3, 8, 16, 8, 3, 3, 1, 1, 12, 13, 26, 28, false},
    {"not widened, stride 2", 15, 16, 17, 0, 5, 3, 3, 2, 2, 1, 0, 8, 8, false},
};
/* The first needs more than 48 KB of local memory for its expansion and less without. */
static const shape too_large[] = {
    {"window beyond local memory, half", 20, 20, 8, 16, 8, 15, 15, 1, 1, 7, 7, 20, 20, false},
    {"more sums than registers", 3, 3, 8, 16, 385, 3, 3, 1, 1, 1, 1, 3, 3, false},
    {"window beyond local memory", 20, 20, 8, 16, 8, 21, 21, 1, 1, 10, 10, 20, 20, false},
    {"window beyond everything", 1, 1, 8, 16, 8, 3, 3, 400, 400, 1, 1, 1, 1, false},
};
/* clang-format on */

typedef struct block {
  pmn_tensor tensors[TENSORS];
  pmn_op ops[OPS];
  pmn_program program;
  float *parameters[2 * OPS];
} block;

static void block_add(block *b, pmn_op_kind kind, const shape *s, pmn_tensor out, float low, float high) {
  pmn_program *p = &b->program;
  int32_t index = p->op_count++, input = p->output;
  const pmn_tensor *in = &b->tensors[input];
  pmn_op op = pmn_op_init(kind, s->name, input, p->tensor_count++);
  if (kind == DEPTHWISE) {
    op.kernel_h = s->kernel_h;
    op.kernel_w = s->kernel_w;
    op.stride_h = s->stride_h;
    op.stride_w = s->stride_w;
    op.pad_top = s->pad_top;
    op.pad_left = s->pad_left;
  }
  size_t depth = (size_t)(op.kernel_h * op.kernel_w) * (kind == CONV ? (size_t)in->c : 1), channels = (size_t)out.c;
  op.weights = b->parameters[2 * index] =
      compute_random(10 + (uint64_t)index, depth * channels, 2.0f / sqrtf((float)depth));
  /* A bias that is far from 0 where padding is, so that padding is not what the bias alone would give. */
  op.bias = b->parameters[2 * index + 1] = compute_random(20 + (uint64_t)index, channels, 2.0f);
  op.clamp_min = low;
  op.clamp_max = high;
  b->ops[index] = op;
  out.arena_offset = p->arena_size;
  p->arena_size += (pmn_tensor_size(&out) + 15) / 16 * 16;
  b->tensors[op.output] = out;
  p->output = op.output;
}

static void block_init(block *b, const shape *s) {
  *b = (block){.tensors = {{s->h, s->w, s->in_c, 0}}};
  b->program = (pmn_program){.tensors = b->tensors, .ops = b->ops, .tensor_count = 1, .input_type = PMN_INPUT_F32};
  int32_t wide = s->wide > 0 ? s->wide : s->in_c;
  if (s->wide > 0) block_add(b, CONV, s, (pmn_tensor){s->h, s->w, wide, 0}, 0.0f, 1.5f);
  block_add(b, DEPTHWISE, s, (pmn_tensor){s->out_h, s->out_w, wide, 0}, -0.75f, 1.0f);
  block_add(b, CONV, s, (pmn_tensor){s->out_h, s->out_w, s->out_c, 0}, -1.25f, 1.25f);
  if (s->residual) b->ops[b->program.op_count - 1].residual = 0;
}

static void block_reset(block *b) {
  for (int i = 0; i < 2 * OPS; i++) free(b->parameters[i]);
}

/* But for those that make halves of the input and floats of the output. */
static int32_t launches(pmn_device *device, const pmn_program *program) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  check_ok(pmn_network_create(device, program, PICTURES, &network, &err));
  int32_t count = pmn_ocl_network_launches(network);
  pmn_network_destroy(network);
  return count - (device->precision == PMN_PRECISION_FP16 ? 2 : 0);
}

/* The same with the depthwise convolution's output read once more, which nothing is fused with. */
static float *run_apart(block *b, const shape *s, pmn_device *device, const float *input) {
  pmn_program whole = b->program;
  b->program.output = b->ops[whole.op_count - 1].input;
  block_add(b, CONV, s, (pmn_tensor){s->out_h, s->out_w, 1, 0}, -INFINITY, INFINITY);
  b->program.output = whole.output;
  assert_int_equal(launches(device, &b->program), whole.op_count + 1);
  float *y = compute_run(device, &b->program, input, PICTURES, PICTURES);
  b->program = whole;
  return y;
}

/* Of NaN any is as good. */
static bool same_number(float a, float b) {
  return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void same_bits_in_one_launch(pmn_device *device, size_t step) {
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i += step) {
    const shape *s = &shapes[i];
    block b;
    block_init(&b, s);
    assert_int_equal(launches(device, &b.program), 1);
    size_t in_size = pmn_tensor_size(&b.tensors[0]), out_size = pmn_tensor_size(&b.tensors[b.program.output]);
    float *input = compute_random(SEED_INPUT, PICTURES * in_size, 1.0f);
    input[0] = INFINITY; /* which halves come to, where floats are too large for them */
    float *fused = compute_run(device, &b.program, input, PICTURES, PICTURES);
    float *last = compute_run(device, &b.program, input + (PICTURES - 1) * in_size, 1, 1);
    float *apart = run_apart(&b, s, device, input);
    size_t at = 0, middle = 0;
    for (size_t j = 0; j < PICTURES * out_size; j++) middle += fabsf(apart[j]) < 1.25f;
    if (middle < PICTURES * out_size / 4) fail_msg("%s: most outputs are clamped", s->name);
    while (at < PICTURES * out_size && same_number(fused[at], apart[at])) at++;
    if (at < PICTURES * out_size)
      fail_msg("%s: output %zu is %.9g, apart %.9g", s->name, at, (double)fused[at], (double)apart[at]);
    if (memcmp(last, fused + (PICTURES - 1) * out_size, out_size * sizeof *last) != 0)
      fail_msg("%s: the last picture has other bits alone", s->name);
    free(input);
    free(fused);
    free(last);
    free(apart);
    block_reset(&b);
  }
}

static void same_bits_fp32(void **state) {
  same_bits_in_one_launch(*state, 1);
}

/* Every third shape: PoCL takes seconds for each. Among them are all that make another text of the kernel: expanded or
 * not, channels that fours divide or not. */
static void same_bits_fp16(void **state) {
  (void)state;
  same_bits_in_one_launch(halves, 3);
}

static void what_does_not_fit_is_not_fused(void **state) {
  pmn_device *device = *state;
  for (size_t i = 0; i < sizeof too_large / sizeof *too_large; i++) {
    block b;
    block_init(&b, &too_large[i]);
    if (launches(device, &b.program) != (i == 0 ? 2 : 3)) fail_msg("%s was fused", too_large[i].name);
    block_reset(&b);
  }
}

/* Local memory is the device's: with less of it chunks are shorter, and then there is no block. */
static void local_memory_is_kept(void **state) {
  pmn_ocl_device *device = *state;
  size_t most = device->local_bytes;
  block b;
  block_init(&b, &shapes[2]);
  float *input = compute_random(SEED_INPUT, PICTURES * pmn_tensor_size(&b.tensors[0]), 1.0f);
  float *apart = run_apart(&b, &shapes[2], &device->base, input);
  static const struct {
    cl_ulong bytes;
    int32_t chunk; /* 0: three launches */
  } cases[] = {{48 * 1024, 32}, {24 * 1024, 32}, {16 * 1024, 16}, {8 * 1024, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_ocl_block cut;
    device->local_bytes = cases[i].bytes;
    int32_t length = pmn_ocl_block_find(device, &b.program, 0, &cut);
    assert_int_equal(length, cases[i].chunk == 0 ? 1 : 3);
    if (length == 3) assert_int_equal(cut.chunk, cases[i].chunk);
    float *y = compute_run(&device->base, &b.program, input, PICTURES, PICTURES);
    size_t bytes = PICTURES * pmn_tensor_size(&b.tensors[b.program.output]) * sizeof *y;
    assert_memory_equal(y, apart, bytes);
    free(y);
  }
  device->local_bytes = most;
  free(input);
  free(apart);
  block_reset(&b);
}

/* What the compiler takes of local memory is what pmn_ocl_block.c counts. */
static void counted_memory_is_true(pmn_ocl_device *device, size_t step) {
  pmn_err err = PMN_ERR_INIT;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i += step) {
    block b;
    pmn_ocl_block cut;
    cl_kernel kernel = NULL;
    cl_ulong bytes = 0;
    char options[PMN_OCL_TUNABLES_TEXT];
    block_init(&b, &shapes[i]);
    assert_true(pmn_ocl_block_find(device, &b.program, 0, &cut) > 1);
    pmn_ocl_block_options(&cut, options);
    check_ok(pmn_ocl_kernel_create(device, PMN_OCL_INVERTED_RESIDUAL, PMN_ACTIVATION_NONE, options, &kernel, &err));
    assert_int_equal(
        clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_LOCAL_MEM_SIZE, sizeof bytes, &bytes, NULL), CL_SUCCESS);
    if (bytes != (cl_ulong)pmn_ocl_block_local_bytes(&cut))
      fail_msg("%s: %llu bytes of local memory", shapes[i].name, (unsigned long long)bytes);
    clReleaseKernel(kernel);
    block_reset(&b);
  }
}

static void counted_memory_fp32(void **state) {
  counted_memory_is_true(*state, 1);
}

static void counted_memory_fp16(void **state) {
  (void)state;
  counted_memory_is_true((pmn_ocl_device *)halves, 3);
}

/* And the check that real devices must pass runs these kernels. */
static void the_check_of_devices_passes(void **state) {
  pmn_err err = PMN_ERR_INIT;
  bool cached;
  double ratio = 0.0;
  check_ok(pmn_selfcheck_run(*state, &cached, &ratio, &err));
  print_message("error %.4f of its bound%s\n", ratio, cached ? ", remembered" : "");
}

static int give_tile(void **state) {
  *state = tile;
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(same_bits_fp32),
      cmocka_unit_test(same_bits_fp16),
      cmocka_unit_test(what_does_not_fit_is_not_fused),
      cmocka_unit_test(local_memory_is_kept),
      cmocka_unit_test(counted_memory_fp32),
      cmocka_unit_test(counted_memory_fp16),
      cmocka_unit_test(the_check_of_devices_passes),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = "tile"};
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &tile, &err) != PMN_STATUS_OK) return 1;
  options.precision = PMN_PRECISION_FP16;
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &halves, &err) != PMN_STATUS_OK) return 1;
  /* With less local memory than GPUs have, other things are to be expected. */
  bool enough = ((pmn_ocl_device *)tile)->local_bytes >= 48 * 1024;
  int failures = enough ? cmocka_run_group_tests(tests, give_tile, NULL) : 77;
  pmn_device_close(halves);
  pmn_device_close(tile);
  return failures;
}
