/* test_ocl_half.c - fp16 on a device: how numbers become halves, which of them are refused, what becomes infinite, and
 * networks whose batch does not fit a buffer. */
#include "check.h"

#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_ocl.h"

#include <math.h>

enum { HALVES = 0x7c00 }; /* from 0 on, without the infinite one */

/* By definition: sign, 5 bits of exponent, 10 of significand. */
static float value_of(uint16_t half) {
  int exponent = half >> 10 & 31, significand = half & 1023;
  float value = ldexpf((float)(exponent > 0 ? 1024 + significand : significand), (exponent > 0 ? exponent : 1) - 25);
  return (half & 0x8000) != 0 ? -value : value;
}

/* Every half is itself; between two neighbours the nearer one is taken, and of a tie the even one. */
static void rounding_is_to_nearest_even(void **state) {
  (void)state;
  for (int i = 0; i + 1 < HALVES; i++) {
    float low = value_of((uint16_t)i), high = value_of((uint16_t)(i + 1)), middle = (low + high) / 2;
    for (uint16_t sign = 0; sign <= 1; sign++) {
      float s = sign != 0 ? -1.0f : 1.0f;
      uint16_t at = (uint16_t)(sign << 15 | i);
      if (pmn_ocl_half_round(s * low) != at || pmn_ocl_half_round(s * high) != at + 1 ||
          pmn_ocl_half_round(s * nextafterf(middle, low)) != at ||
          pmn_ocl_half_round(s * nextafterf(middle, high)) != at + 1 || pmn_ocl_half_round(s * middle) != at + (i & 1))
        fail_msg("between %g and %g", (double)(s * low), (double)(s * high));
    }
  }
  assert_int_equal(pmn_ocl_half_round(65504.0f), HALVES - 1);
  assert_int_equal(pmn_ocl_half_round(-0.0f), 0x8000);
}

/* A 1x1 convolution, or a depthwise one, of 2 channels. */
static pmn_status layer_run(pmn_device *device, pmn_op_kind kind, const float *weights, const float *input, int32_t n,
    int32_t width, float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_network *network = NULL;
  const float bias[2] = {0};
  pmn_tensor tensors[] = {{1, width, 2, 0}, {1, width, 2, 0}};
  pmn_op op = pmn_op_init(kind, "a layer", 0, 1);
  op.weights = weights;
  op.bias = bias;
  pmn_program program = {.tensors = tensors,
      .ops = &op,
      .tensor_count = 2,
      .op_count = 1,
      .output = 1,
      .arena_size = pmn_tensor_size(&tensors[1])};
  PMN_TRY(pmn_network_create(device, &program, n, &network, err));
  PMN_TRY(pmn_network_run(network, input, n, y, err));
done:
  pmn_network_destroy(network);
  return st;
}

static const float kept[4] = {1, 0, 0, 1}, kept_apart[2] = {1, 1};

/* What the device makes of an input is what the host makes of a weight, or infinite, or NaN. */
static void device_rounds_as_the_host(void **state) {
  pmn_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  enum { COUNT = 2 * HALVES };
  float *input = malloc(sizeof *input * COUNT), *y = malloc(sizeof *y * COUNT);
  assert_true(input != NULL && y != NULL);
  for (int i = 0; i < HALVES; i++) {
    float low = value_of((uint16_t)i), high = i + 1 < HALVES ? value_of((uint16_t)(i + 1)) : low;
    input[2 * i] = i % 3 == 0 ? low : (low + high) / 2;
    input[2 * i + 1] = -nextafterf((low + high) / 2, i % 2 == 0 ? low : high);
  }
  check_ok(layer_run(device, PMN_OP_DEPTHWISE_CONV2D, kept_apart, input, 1, HALVES, y, &err));
  for (int i = 0; i < COUNT; i++) {
    float expected = value_of(pmn_ocl_half_round(input[i]));
    if (y[i] != expected) fail_msg("%a becomes %a, not %a", (double)input[i], (double)y[i], (double)expected);
  }
  const float far[8] = {65519.0f, -65520.0f, 1e30f, -INFINITY, NAN, 0x1p-25f, 0x1.8p-25f, -0x1p-24f};
  check_ok(layer_run(device, PMN_OP_DEPTHWISE_CONV2D, kept_apart, far, 1, 4, y, &err));
  assert_true(y[0] == 65504.0f && y[1] == -INFINITY && y[2] == INFINITY && y[3] == -INFINITY && isnan(y[4]));
  assert_true(y[5] == 0.0f && y[6] == 0x1p-24f && y[7] == -0x1p-24f);
  free(input);
  free(y);
}

/* Sums are no halves until they are whole: 3 * 40000 - 2 * 40000 is not infinite on its way. */
static void sums_are_floats(void **state) {
  pmn_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  const float weights[4] = {1, 3, 1, -2}, input[4] = {2047.0f, 2.0f, 40000.0f, 40000.0f};
  float y[4];
  check_ok(layer_run(device, PMN_OP_CONV2D, weights, input, 1, 2, y, &err));
  assert_true(y[0] == 2048.0f); /* 2049 is a tie */
  assert_true(y[1] == 6136.0f); /* 6137 lies between multiples of 4 */
  assert_true(y[2] == INFINITY && y[3] == 40000.0f);
}

static void large_weights_are_refused(void **state) {
  pmn_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  const float large[] = {65504.0f, -65505.0f, INFINITY, NAN}, input[2] = {0.5f, 0.25f};
  float y[2];
  for (size_t i = 0; i < 4; i++) {
    float weights[4] = {1, 0, 0, large[i]}, apart[2] = {1, large[i]};
    for (int kind = 0; kind < 2; kind++) {
      pmn_status status = layer_run(device, kind == 0 ? PMN_OP_CONV2D : PMN_OP_DEPTHWISE_CONV2D,
          kind == 0 ? weights : apart, input, 1, 1, y, &err);
      if (i > 0)
        check_fails(status, PMN_STATUS_MODEL, "a layer: a weight of ");
      else
        assert_true(status == PMN_STATUS_OK && y[0] == 0.5f && y[1] == 16376.0f);
    }
  }
}

/* Slices of two pictures give the bits of one batch. */
static void small_buffers_take_slices(void **state) {
  pmn_ocl_device *device = *state;
  pmn_err err = PMN_ERR_INIT;
  enum { PICTURES = 5, WIDTH = 9, SIZE = PICTURES * WIDTH * 2 };
  float input[SIZE], y[SIZE];
  for (int i = 0; i < SIZE; i++) input[i] = (float)i / 8;
  cl_ulong most = device->buffer_bytes_max;
  /* 18 halves, 18 narrowed and 18 floats, begun at multiples of 16: (32 + 32 + 2 * 18) * 2 bytes */
  device->buffer_bytes_max = 2 * 200;
  check_ok(layer_run(&device->base, PMN_OP_CONV2D, kept, input, PICTURES, WIDTH, y, &err));
  for (int i = 0; i < SIZE; i++) assert_true(y[i] == input[i]);
  device->buffer_bytes_max = 199;
  check_fails(layer_run(&device->base, PMN_OP_CONV2D, kept, input, PICTURES, WIDTH, y, &err), PMN_STATUS_NO_MEMORY,
      "the tensors of a batch");
  device->buffer_bytes_max = most;
}

/* What is cached of one precision is not taken for the other. */
static void kernels_have_another_hash(void **state) {
  pmn_device *device = *state, *other = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = device->info.index, .threads = 1};
  check_ok(pmn_device_open(device->backend, &options, &other, &err));
  assert_true(strlen(other->kernels_hash) == 64 && strcmp(other->kernels_hash, device->kernels_hash) != 0);
  pmn_device_close(other);
}

/* Kernels for tensor cores are for halves alone, for channels in eights, and not for bytes. */
static void tensor_kernels_are_chosen(void **state) {
  pmn_device *device = *state, *tensor = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = device->info.index, .threads = 1, .isa = "tensor"};
  check_fails(pmn_device_open(device->backend, &options, &tensor, &err), PMN_STATUS_ARGUMENT, "--precision fp16");
  options.precision = PMN_PRECISION_FP16;
  check_ok(pmn_device_open(device->backend, &options, &tensor, &err));
  pmn_tensor tensors[] = {{3, 3, 48, 0}, {3, 3, 16, 0}};
  pmn_op op = pmn_op_init(PMN_OP_CONV2D, "pointwise", 0, 1);
  pmn_program program = {.tensors = tensors, .ops = &op, .tensor_count = 2, .op_count = 1, .output = 1};
  const pmn_ocl_device *tiles = (pmn_ocl_device *)device, *cores = (pmn_ocl_device *)tensor;
  assert_int_equal(pmn_ocl_launch_kernel(cores, &program, &op), PMN_OCL_CONV2D_TENSOR);
  assert_int_equal(pmn_ocl_launch_kernel(tiles, &program, &op), PMN_OCL_CONV2D);
  op.groups = 2; /* 24 to 8 */
  assert_int_equal(pmn_ocl_launch_kernel(cores, &program, &op), PMN_OCL_CONV2D_TENSOR);
  op.groups = 4; /* 12 to 4 */
  assert_int_equal(pmn_ocl_launch_kernel(cores, &program, &op), PMN_OCL_CONV2D);
  op.groups = 1;
  tensors[1].c = 12;
  assert_int_equal(pmn_ocl_launch_kernel(cores, &program, &op), PMN_OCL_CONV2D);
  tensors[1].c = 16;
  program.input_type = PMN_INPUT_U8;
  assert_int_equal(pmn_ocl_launch_kernel(cores, &program, &op), PMN_OCL_CONV2D_BYTES);
  pmn_device_close(tensor);
}

static int open_device(void **state) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1, .precision = PMN_PRECISION_FP16};
  pmn_device *device = NULL;
  if (pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err) != PMN_STATUS_OK) return -1;
  *state = device;
  return 0;
}

static int close_device(void **state) {
  pmn_device_close(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rounding_is_to_nearest_even),
      cmocka_unit_test(device_rounds_as_the_host),
      cmocka_unit_test(sums_are_floats),
      cmocka_unit_test(large_weights_are_refused),
      cmocka_unit_test(small_buffers_take_slices),
      cmocka_unit_test(kernels_have_another_hash),
      cmocka_unit_test(tensor_kernels_are_chosen),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  return cmocka_run_group_tests(tests, open_device, close_device);
}
