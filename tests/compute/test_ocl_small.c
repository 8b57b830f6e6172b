/* test_ocl_small.c - every kernel of SIFT and ORB at least once, and those of blocks, projections, resizing and halves,
 * on as little as makes them do all they do.
 *
 * For an interpreter of kernels: scripts/oclgrind.sh runs it there, and of test_compute single cases. The other tests
 * are the ones that go into sizes; each judge is that of the test of the same kernel. No OpenCL device is a visible
 * skip.
 */
#include "check.h"

#include "cases.h"
#include "made_up.h"
#include "pmn_backend.h"
#include "pmn_image.h"
#include "pmn_ocl.h"
#include "pmn_ocl_resample.h"

#include <math.h>

static const char *const families[] = {"vector", "tile"};

static pmn_device *open_device(const char *family, pmn_precision precision) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device;
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = family, .precision = precision};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return device;
}

/* Stands in front of the driver's: oclgrind 21.10 does not know that a copy initialises what it writes. */
cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
    size_t size, cl_uint count, const cl_event *list, cl_event *event) {
  void *bytes = malloc(size);
  assert_true(bytes != NULL && count == 0 && list == NULL && event == NULL);
  cl_int code = clEnqueueReadBuffer(queue, from, CL_TRUE, from_offset, size, bytes, 0, NULL, NULL);
  if (code == CL_SUCCESS) {
    code = clEnqueueWriteBuffer(queue, to, CL_TRUE, to_offset, size, bytes, 0, NULL, NULL);
  }
  free(bytes);
  return code;
}

/* The device's keypoints of two pictures of different sizes are the host's: to the bit if it rounds as IEEE says, which
 * ORB does not ask for, else as many. */
static void describe(pmn_device *device, pmn_descriptor_kind kind, int width, int height) {
  pmn_err err = PMN_ERR_INIT;
  uint8_t *gray = made_up(width, height, 1, 7), *other = made_up(height, width, 1, 8);
  const pmn_gray_picture pictures[] = {{gray, width, height}, {other, height, width}};
  pmn_described found[2], expected;
  pmn_device_describer *describer;
  pmn_describer *host;
  check_ok(pmn_device_describer_create(device, kind, 0, &describer, &err));
  check_ok(pmn_describer_create(kind, 0, &host, &err));
  assert_non_null(describer);
  check_ok(pmn_device_describer_run(describer, pictures, 2, found, &err));
  bool exact = kind == PMN_DESCRIPTOR_ORB || ((const pmn_ocl_device *)device)->rounds;
  for (int i = 0; i < 2; i++) {
    const pmn_gray_picture *p = &pictures[i];
    check_ok(pmn_describer_run(host, p->gray, p->width, p->height, &expected, &err));
    assert_true(expected.count > 3);
    assert_int_equal(found[i].count, expected.count);
    if (!exact) continue;
    size_t count = (size_t)expected.count, bytes = (size_t)pmn_descriptor_bytes(kind);
    assert_memory_equal(found[i].keypoints, expected.keypoints, count * sizeof *expected.keypoints);
    assert_memory_equal(found[i].descriptors, expected.descriptors, count * bytes);
  }
  pmn_describer_destroy(host);
  pmn_device_describer_destroy(describer);
  free(gray);
  free(other);
}

static void describe_by(const char *family, pmn_descriptor_kind kind, int width, int height) {
  pmn_device *device = open_device(family, PMN_PRECISION_FP32);
  describe(device, kind, width, height);
  pmn_device_close(device);
}

static void orb(void **state) {
  (void)state;
  describe_by("vector", PMN_DESCRIPTOR_ORB, 84, 78);
  describe_by("tile", PMN_DESCRIPTOR_ORB, 84, 78);
}

static void sift(void **state) {
  (void)state;
  describe_by("vector", PMN_DESCRIPTOR_SIFT, 24, 20);
  describe_by("tile", PMN_DESCRIPTOR_SIFT, 24, 20);
}

/* A chain of operations, each on the output of the one before; weights and bias of all are the same long lists. */
enum { OPS = 3, PICTURES = 2, PARAMETERS = 1024 };
typedef struct chain {
  pmn_tensor tensors[OPS + 1];
  pmn_op ops[OPS];
  pmn_program program;
  float weights[PARAMETERS], bias[PARAMETERS];
} chain;

static void chain_add(chain *c, pmn_op_kind kind, int32_t channels, int32_t kernel) {
  pmn_program *p = &c->program;
  int32_t input = p->tensor_count - 1, output = p->tensor_count++;
  pmn_op op = pmn_op_init(kind, "an operation", input, output);
  op.kernel_h = op.kernel_w = kernel;
  op.pad_top = op.pad_left = kernel / 2;
  op.weights = c->weights;
  op.bias = c->bias;
  c->ops[p->op_count++] = op;
  c->tensors[output] = (pmn_tensor){c->tensors[0].h, c->tensors[0].w, channels, p->arena_size};
  p->arena_size += (pmn_tensor_size(&c->tensors[output]) + 15) / 16 * 16;
  p->output = output;
}

static void chain_init(chain *c, int32_t height, int32_t width, int32_t channels) {
  *c = (chain){.tensors = {{height, width, channels, 0}}};
  c->program = (pmn_program){.tensors = c->tensors, .ops = c->ops, .tensor_count = 1, .input_type = PMN_INPUT_F32};
  for (uint64_t i = 0; i < PARAMETERS; i++) {
    c->weights[i] = compute_value(SEED_WEIGHTS, i) / 2;
    c->bias[i] = 2 * compute_value(SEED_BIAS, i);
  }
}

static void chain_run(const chain *c, pmn_device *device, const float *input, int32_t launches, float *y) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network;
  check_ok(pmn_network_create(device, &c->program, PICTURES, &network, &err));
  assert_int_equal(pmn_ocl_network_launches(network), launches);
  check_ok(pmn_network_run(network, input, PICTURES, y, &err));
  pmn_network_destroy(network);
}

/* Two chunks of wide channels, two tiles, output channels that are no whole four; the bits of three launches, which it
 * is where local memory is short. */
static void block_of(int32_t out_c, bool residual) {
  enum { H = 3, W = 9, IN = 5, WIDE = 33 };
  chain c;
  chain_init(&c, H, W, IN);
  chain_add(&c, PMN_OP_CONV2D, WIDE, 1);
  chain_add(&c, PMN_OP_DEPTHWISE_CONV2D, WIDE, 3);
  chain_add(&c, PMN_OP_CONV2D, out_c, 1);
  c.ops[0].clamp_min = 0.0f;
  c.ops[0].clamp_max = 1.5f;
  if (residual) c.ops[2].residual = 0;
  size_t count = PICTURES * H * W * (size_t)out_c;
  float input[PICTURES * H * W * IN], *fused = malloc(count * sizeof *fused), *apart = malloc(count * sizeof *apart);
  assert_true(fused != NULL && apart != NULL);
  for (uint64_t i = 0; i < sizeof input / sizeof *input; i++) input[i] = compute_value(SEED_INPUT, i);
  pmn_device *device = open_device("tile", PMN_PRECISION_FP32);
  chain_run(&c, device, input, 1, fused);
  ((pmn_ocl_device *)device)->local_bytes = 8 * 1024;
  chain_run(&c, device, input, 3, apart);
  assert_memory_equal(fused, apart, count * sizeof *fused);
  pmn_device_close(device);
  free(fused);
  free(apart);
}

static void inverted_residual(void **state) {
  (void)state;
  block_of(5, true);
  block_of(8, false);
}

/* Ties go to even, and what is beyond the largest half is infinite. */
static void convert(void **state) {
  (void)state;
  enum { COUNT = 10 };
  static const float cases[COUNT][2] = {{1 + 0x1p-11f, 1}, {1 + 3 * 0x1p-11f, 1 + 0x1p-9f},
      {-0x1.004p-3f, -0x1.004p-3f}, {65519, 65504}, {-65520, -INFINITY}, {0x1p-25f, 0}, {0x1.8p-25f, 0x1p-24f},
      {-0x1p-24f, -0x1p-24f}, {2049, 2048}, {INFINITY, INFINITY}};
  for (int f = 0; f < 2; f++) {
    float input[PICTURES * COUNT], y[PICTURES * COUNT];
    chain c;
    chain_init(&c, 1, COUNT / 2, 2);
    chain_add(&c, PMN_OP_DEPTHWISE_CONV2D, 2, 1);
    for (int i = 0; i < 2; i++) {
      c.weights[i] = 1.0f;
      c.bias[i] = 0.0f;
    }
    for (int i = 0; i < PICTURES * COUNT; i++) input[i] = cases[i % COUNT][0];
    pmn_device *device = open_device(families[f], PMN_PRECISION_FP16);
    chain_run(&c, device, input, 3, y);
    for (int i = 0; i < PICTURES * COUNT; i++) {
      if (y[i] != cases[i % COUNT][1]) fail_msg("%s: %a becomes %a", families[f], (double)input[i], (double)y[i]);
    }
    pmn_device_close(device);
  }
}

/* Two runs of features, and components that fill no work-group. With fp64 the formula's bits; else within the bound of
 * kernels/project.cl, plus u |y|. */
enum { D = 259, K = 17, RUN = 256 };
typedef struct fit {
  double shift[D], scale[D], components[K * D];
} fit;

static void judge_projection(const fit *m, const float *x, const float *row, bool fp64) {
  const double u = 0x1p-24;
  assert_true(row[K] == 0.0f);
  for (int j = 0; j < K; j++) {
    double sum = 0.0, moved = 0.0, size = 0.0;
    for (int first = 0; first < D; first += RUN) {
      double run = 0.0;
      for (int i = first; i < D && i < first + RUN; i++) {
        double z = ((double)x[i] - m->shift[i]) / m->scale[i], component = m->components[j * D + i];
        run = fma(z, component, run);
        moved += fabs(z * component);
        size += fabs(m->shift[i] / m->scale[i] * component);
      }
      sum += run;
    }
    double bound = fp64 ? 0.0 : (RUN + 4) * u * moved + 3 * u * u * size + u * fabs(sum);
    double y = fp64 ? (double)(float)sum : sum;
    if (!(fabs((double)row[j] - y) <= bound)) fail_msg("component %d is %.9g, not %.9g", j, (double)row[j], y);
  }
}

static void project_by(const char *family, bool fp64) {
  pmn_err err = PMN_ERR_INIT;
  static fit m;
  static chain c;
  static float x[PICTURES * D], rows[PICTURES * (K + 1)];
  pmn_network *network;
  bool taken = false;
  pmn_device *device = open_device(family, PMN_PRECISION_FP32);
  if (fp64 && !((pmn_ocl_device *)device)->fp64) {
    print_message("[  SKIPPED ] %s, fp64: the device has none\n", family);
    pmn_device_close(device);
    return;
  }
  ((pmn_ocl_device *)device)->fp64 = fp64;
  for (uint64_t i = 0; i < D; i++) {
    m.shift[i] = 1e6 / 3.0 * (double)compute_value(1, i);
    m.scale[i] = 0.05 + fabs((double)compute_value(2, i));
    for (uint64_t n = 0; n < PICTURES; n++) x[n * D + i] = (float)m.shift[i] + compute_value(3 + n, i);
    for (uint64_t j = 0; j < K; j++) m.components[j * D + i] = (double)compute_value(9 + j, i) / 16.0;
  }
  chain_init(&c, 1, 1, D);
  chain_add(&c, PMN_OP_COPY, D, 1);
  c.ops[0].copy = (pmn_copy){.extent = {1, 1, D}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  check_ok(pmn_network_create(device, &c.program, PICTURES, &network, &err));
  check_ok(pmn_network_project(network, &(pmn_linear_map){D, K, m.shift, m.scale, m.components}, &taken, &err));
  assert_true(taken);
  check_ok(pmn_network_run(network, x, PICTURES, rows, &err));
  for (int n = 0; n < PICTURES; n++) judge_projection(&m, x + n * D, rows + n * (K + 1), fp64);
  pmn_network_destroy(network);
  pmn_device_close(device);
}

static void project_fp64(void **state) {
  (void)state;
  for (int f = 0; f < 2; f++) project_by(families[f], true);
}

static void project_fp32(void **state) {
  (void)state;
  for (int f = 0; f < 2; f++) project_by(families[f], false);
}

/* Pictures that take two passes in either order, one pass, and none, in one batch: the host's bytes. Buffers are
 * exactly as long as they must be. */
static void resample_by(const char *family, pmn_filter filter) {
  pmn_err err = PMN_ERR_INIT;
  enum { W = 5, H = 4, N = 5, SIZE = 3 * W * H };
  static const pmn_picture_size sizes[N] = {{7, 9}, {8, 3}, {W, 6}, {2, H}, {W, H}};
  uint8_t raw_bytes[512], found[N * SIZE], expected[SIZE];
  size_t count = 0;
  cl_mem raw, out;
  pmn_ocl_resampler *resampler;
  pmn_resampler *host;
  pmn_ocl_resample_batch work;
  pmn_ocl_device *device = (pmn_ocl_device *)open_device(family, PMN_PRECISION_FP32);
  for (size_t i = 0; i < sizeof raw_bytes; i++) raw_bytes[i] = compute_byte(SEED_INPUT, i);
  for (int i = 0; i < N; i++) count += 3 * (size_t)(sizes[i].width * sizes[i].height);
  assert_true(count <= sizeof raw_bytes);
  check_ok(pmn_ocl_buffer_create(device, count, 1, raw_bytes, "raw", &raw, &err));
  check_ok(pmn_ocl_buffer_create(device, sizeof found, 1, NULL, "out", &out, &err));
  pmn_ocl_resample_batch_init(&work);
  check_ok(pmn_ocl_resampler_create(device, filter, W, H, &resampler, &err));
  check_ok(pmn_ocl_resampler_run(resampler, &work, sizes, N, raw, out, &err));
  check_ok(pmn_ocl_download(device, out, sizeof found, found, &err));
  check_ok(pmn_resampler_create(filter, W, H, &host, &err));
  const uint8_t *from = raw_bytes;
  for (int i = 0; i < N; i++) {
    check_ok(pmn_resampler_run(host, &(pmn_image){sizes[i].width, sizes[i].height, from}, expected, &err));
    assert_memory_equal(found + i * SIZE, expected, SIZE);
    from += 3 * sizes[i].width * sizes[i].height;
  }
  pmn_resampler_destroy(host);
  pmn_ocl_resampler_destroy(resampler);
  pmn_ocl_resample_batch_reset(&work);
  clReleaseMemObject(raw);
  clReleaseMemObject(out);
  pmn_device_close(&device->base);
}

static void resample_pass(void **state) {
  (void)state;
  for (int f = 0; f < 2; f++) {
    resample_by(families[f], PMN_FILTER_BILINEAR);
    resample_by(families[f], PMN_FILTER_BICUBIC);
  }
}

static void resample_nearest(void **state) {
  (void)state;
  for (int f = 0; f < 2; f++) resample_by(families[f], PMN_FILTER_NEAREST);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(orb), cmocka_unit_test(sift), cmocka_unit_test(inverted_residual),
      cmocka_unit_test(project_fp64), cmocka_unit_test(project_fp32), cmocka_unit_test(resample_pass),
      cmocka_unit_test(resample_nearest), cmocka_unit_test(convert)};
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
