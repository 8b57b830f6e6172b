/* test_selfcheck.c - good devices pass, each way to compute wrong is refused by name, a success is remembered. */
#include "check.h"

#include "pmn_mem.h"
#include "pmn_selfcheck.h"

#include <math.h>

/* `ref` with one thing wrong: which, and by how much. */
static struct {
  const char *layer; /* networks whose first operation has this name */
  float factor, term;
  bool syrk, gemm, fails;
  int projection; /* 1: a value of it, 2 and 3: its flags */
} fault;
static const char *network_layer;

static pmn_status wrong_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err) {
  network_layer = program->ops[0].name;
  return pmn_backend_find("ref")->network_create(device, program, batch_max, network, err);
}

/* `ref` has none: this one is the checked one's own. */
static pmn_linear_map projected;

static pmn_status wrong_project(pmn_network *network, const pmn_linear_map *map, bool *taken, pmn_err *err) {
  (void)network;
  (void)err;
  projected = *map;
  *taken = true;
  return PMN_STATUS_OK;
}

static void project(const float *x, int32_t n, float *y) {
  int32_t d = projected.d, k = projected.k;
  for (int32_t row = 0; row < n; row++, x += d, y += k + 1) {
    y[k] = 0.0f;
    for (int32_t i = 0; i < d; i++) y[k] = isfinite(x[i]) ? y[k] : 1.0f;
    for (int32_t j = 0; j < k; j++) {
      double sum = 0.0;
      for (int32_t i = 0; i < d; i++)
        sum += ((double)x[i] - projected.shift[i]) / projected.scale[i] * projected.components[j * d + i];
      y[j] = (float)sum;
    }
    if (fault.projection == 1 && row == 0) y[k - 1] += 1.0f;
    if (fault.projection == row + 2) y[k] = 1.0f - y[k];
  }
}

static pmn_status wrong_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err) {
  if (fault.fails) return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "the device is lost");
  if (strcmp(network_layer, "projection") == 0) {
    project(input, n, output);
    return PMN_STATUS_OK;
  }
  pmn_status st = pmn_backend_find("ref")->network_run(network, input, n, output, err);
  if (fault.layer != NULL && strcmp(network_layer, fault.layer) == 0) output[7] = output[7] * fault.factor + fault.term;
  return st;
}

static pmn_status wrong_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  pmn_status st = pmn_backend_find("ref")->syrk(device, x, n, d, c, err);
  if (fault.syrk) c[d + 3] += 0.1;
  return st;
}

static pmn_status wrong_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  pmn_status st = pmn_backend_find("ref")->gemm(device, a, b, n, k, m, y, err);
  if (fault.gemm) y[n * m - 1] += 0.01;
  return st;
}

static void test_wrong_devices(void **state) {
  (void)state;
  static const char *const layers[] = {"stem of bytes", "expansion", "depthwise 3x3", "depthwise 5x5 of stride 2",
      "depthwise of dilation 2", "projection with residual", "convolution 3x3", "convolution in groups",
      "convolution of dilation 2", "pool", "max pool", "average pool", "product", "shuffle", "softmax",
      "local response normalisation", "layer normalisation", "resize", "dense layer", "sigmoid", "tanh", "silu",
      "hard swish", "gelu", "gelu by tanh", "leaky relu", "elu", "softplus", "mish", "large layer of 16 channels",
      "large layer of 24 channels", "large layer of 64 channels", "inverted residual", "inverted residual of stride 2",
      "separable convolution"};
  pmn_backend wrong = *pmn_backend_find("ref");
  wrong.network_create = wrong_create;
  wrong.network_run = wrong_run;
  wrong.network_project = wrong_project;
  wrong.syrk = wrong_syrk;
  wrong.gemm = wrong_gemm;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device;
  bool cached;
  double ratio;
  check_ok(pmn_device_open(&wrong, &options, &device, &err));
  check_ok(pmn_selfcheck_run(device, &cached, &ratio, &err));
  assert_true(ratio < 0.5 / 260 && !cached); /* the projection is rounded at its end, of 260 units in the last place */
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
    fault.layer = layers[i];
    fault.factor = 1.0f;
    fault.term = 0.01f;
    check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, layers[i]);
    assert_non_null(strstr(err.message, "computes wrong"));
    fault.term = NAN;
    check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, layers[i]);
  }
  fault.layer = NULL;
  fault.syrk = true;
  check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, "syrk");
  fault.syrk = false;
  fault.gemm = true;
  check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, "gemm");
  fault.gemm = false;
  for (fault.projection = 1; fault.projection <= 3; fault.projection++)
    check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, "projection gives");
  fault.projection = 0;
  fault.fails = true;
  check_fails(pmn_selfcheck_run(device, &cached, &ratio, &err), PMN_STATUS_DEVICE, "the device is lost");
  fault.fails = false;
  pmn_device_close(device);
}

/* The host's describers as a device's, with one thing wrong. */
static struct {
  int shifted, flipped, lost; /* every so many keypoints: 5 pixels off, a bit or a half of a byte, not there; 0: none */
  bool exchanged;             /* the pictures of the batch */
} described_wrong;

typedef struct wrong_describer {
  pmn_device_describer base;
  pmn_describer *host[2];
  pmn_keypoint keypoints[2][300];
  uint8_t descriptors[2][300 * 128];
  pmn_descriptor_kind kind;
} wrong_describer;

static pmn_status wrong_describer_create(pmn_device *device, pmn_descriptor_kind kind, int32_t keypoints_max,
    pmn_device_describer **describer, pmn_err *err) {
  (void)device;
  wrong_describer *self = calloc(1, sizeof *self);
  assert_non_null(self);
  self->kind = kind;
  for (int i = 0; i < 2; i++) assert_int_equal(pmn_describer_create(kind, keypoints_max, &self->host[i], err), 0);
  *describer = &self->base;
  return PMN_STATUS_OK;
}

static bool hits(int every, int i) {
  return every > 0 && i % every == every - 1;
}

static pmn_status wrong_describer_run(pmn_device_describer *describer, const pmn_gray_picture *pictures, int32_t n,
    pmn_described *described, pmn_err *err) {
  wrong_describer *self = (wrong_describer *)describer;
  size_t bytes = (size_t)pmn_descriptor_bytes(self->kind);
  assert_int_equal(n, 2);
  for (int p = 0; p < 2; p++) {
    pmn_described found;
    int kept = 0;
    assert_int_equal(
        pmn_describer_run(self->host[p], pictures[p].gray, pictures[p].width, pictures[p].height, &found, err), 0);
    assert_in_range(found.count, 50, 300);
    for (int i = 0; i < found.count; i++) {
      if (hits(described_wrong.lost, i)) continue;
      self->keypoints[p][kept] = found.keypoints[i];
      uint8_t *descriptor =
          memcpy(self->descriptors[p] + (size_t)kept * bytes, found.descriptors + (size_t)i * bytes, bytes);
      if (hits(described_wrong.shifted, i)) self->keypoints[p][kept].x += 5;
      if (hits(described_wrong.flipped, i)) descriptor[7] ^= self->kind == PMN_DESCRIPTOR_ORB ? 1 : 128;
      kept++;
    }
    described[described_wrong.exchanged ? 1 - p : p] =
        (pmn_described){.count = kept, .keypoints = self->keypoints[p], .descriptors = self->descriptors[p]};
  }
  return PMN_STATUS_OK;
}

static void wrong_describer_destroy(pmn_device_describer *describer) {
  wrong_describer *self = (wrong_describer *)describer;
  for (int i = 0; i < 2; i++) pmn_describer_destroy(self->host[i]);
  free(self);
}

/* A keypoint of ORB that is another, or a tenth of SIFT's, is refused; one of SIFT's is not: that may be rounding. */
static void test_wrong_describing(void **state) {
  (void)state;
  pmn_backend wrong = *pmn_backend_find("ref");
  wrong.describer_create = wrong_describer_create;
  wrong.describer_run = wrong_describer_run;
  wrong.describer_destroy = wrong_describer_destroy;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device;
  bool cached;
  check_ok(pmn_device_open(&wrong, &options, &device, &err));
  for (int kind = PMN_DESCRIPTOR_SIFT; kind <= (int)PMN_DESCRIPTOR_ORB; kind++) {
    int every = kind == PMN_DESCRIPTOR_ORB ? 50 : 10;
    const char *name = pmn_descriptor_name((pmn_descriptor_kind)kind);
    memset(&described_wrong, 0, sizeof described_wrong);
    check_ok(pmn_selfcheck_describe(device, (pmn_descriptor_kind)kind, &cached, &err));
    assert_false(cached);
    for (int which = 0; which < 4; which++) {
      memset(&described_wrong, 0, sizeof described_wrong);
      described_wrong.shifted = which == 0 ? every : 0;
      described_wrong.flipped = which == 1 ? every : 0;
      described_wrong.lost = which == 2 ? every : 0;
      described_wrong.exchanged = which == 3;
      check_fails(pmn_selfcheck_describe(device, (pmn_descriptor_kind)kind, &cached, &err), PMN_STATUS_DEVICE, name);
      assert_non_null(strstr(err.message, "computes wrong: of "));
    }
  }
  memset(&described_wrong, 0, sizeof described_wrong);
  described_wrong.lost = 200;
  check_ok(pmn_selfcheck_describe(device, PMN_DESCRIPTOR_SIFT, &cached, &err));
  pmn_device_close(device);
  /* A device without describers has nothing to be checked. */
  check_ok(pmn_device_open(pmn_backend_find("ref"), &options, &device, &err));
  check_ok(pmn_selfcheck_describe(device, PMN_DESCRIPTOR_ORB, &cached, &err));
  pmn_device_close(device);
}

static void test_cpu(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 2};
  pmn_device *device;
  bool cached;
  double ratio;
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &options, &device, &err));
  check_ok(pmn_selfcheck_run(device, &cached, &ratio, &err));
  print_message("%s: error %.4f of its bound\n", device->info.name, ratio);
  assert_true(ratio > 0.0 && ratio < 1.0 && !cached);
  pmn_device_close(device);
}

/* A device that stores halves passes, with more room for error. */
static void test_fp16(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static const char *const kernels[] = {"vector", "tile", "tensor"};
  for (int i = 0; i < 3; i++) {
    pmn_device_options options = {.index = -1, .threads = 1, .isa = kernels[i], .precision = PMN_PRECISION_FP16};
    pmn_device *device = NULL;
    bool cached;
    double ratio;
    if (pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err) != PMN_STATUS_OK) {
      print_message("[  SKIPPED ] %s\n", err.message);
      return;
    }
    device->kernels_hash[0] = '\0'; /* an earlier success is not remembered */
    check_ok(pmn_selfcheck_run(device, &cached, &ratio, &err));
    print_message("opencl, fp16, %s: error %.4f of its bound\n", kernels[i], ratio);
    assert_true(ratio > 0.0 && ratio < 1.0 && !cached);
    pmn_device_close(device);
  }
}

/* A network of bytes whose outputs are sums of 27 products, against itself in fp32. */
static void precision_check(const char *backend, pmn_precision precision, float scale, double least, double most) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = NULL;
  pmn_network *network = NULL;
  pmn_device_options options = {.index = -1, .threads = 1, .precision = precision};
  pmn_tensor tensors[] = {{20, 20, 3, 0}, {18, 18, 40, 0}};
  pmn_op op = pmn_op_init(PMN_OP_CONV2D, "probed", 0, 1);
  float weights[27 * 40], bias[40] = {0};
  for (int i = 0; i < 27 * 40; i++) weights[i] = (float)(i * 7919 % 1000) / 1000.0f - 0.4f;
  op.kernel_h = op.kernel_w = 3;
  op.weights = weights;
  op.bias = bias;
  pmn_program program = {.tensors = tensors,
      .ops = &op,
      .tensor_count = 2,
      .op_count = 1,
      .output = 1,
      .input_type = PMN_INPUT_U8,
      .input_scale = {scale, scale, scale},
      .arena_size = pmn_tensor_size(&tensors[1])};
  if (pmn_device_open(pmn_backend_find(backend), &options, &device, &err) != PMN_STATUS_OK) {
    print_message("[  SKIPPED ] %s\n", err.message);
    return;
  }
  check_ok(pmn_network_create(device, &program, 1, &network, &err));
  pmn_precision_error error = {0};
  setenv("POMONA_ISA", "amx", 1); /* of the device, perhaps; that of fp32 is another */
  pmn_status st = pmn_selfcheck_precision(network, &program, &error, &err);
  unsetenv("POMONA_ISA");
  if (isinf(most)) {
    check_fails(st, PMN_STATUS_MODEL, "fp16 does not hold this network's values");
    pmn_network_destroy(network);
    pmn_device_close(device);
    return;
  }
  check_ok(st);
  print_message("%s: cosine %.9f, largest difference %.3g\n", device->info.driver, error.cosine, error.difference);
  assert_true(error.difference >= least && error.difference <= most);
  assert_true(fabs(error.cosine - 1.0) <= most * most + 1e-12);
  bool done = strcmp(backend, "cpu") != 0; /* OpenCL does without what only its cache needs */
  for (int64_t k = 0; !done; k++) {
    (void)pmn_mem_fail_after(k);
    pmn_status status = pmn_selfcheck_precision(network, &program, &error, &err);
    done = pmn_mem_fail_after(-1) <= k;
    assert_int_equal(status, done ? PMN_STATUS_OK : PMN_STATUS_NO_MEMORY);
  }
  pmn_network_destroy(network);
  pmn_device_close(device);
}

/* fp32 is not off; bf16 is, by what two roundings to 8 bits of 27 products make at most: sums of positive and negative
 * ones are three times smaller than what is summed. With fp16 it is one rounding to 11 bits, for bytes are not rounded,
 * and that of the sum. */
static void test_precision(void **state) {
  (void)state;
  precision_check("cpu", PMN_PRECISION_FP32, 0.01f, 0.0, 0.0);
  precision_check("cpu", PMN_PRECISION_BF16, 0.01f, 1e-5, 3.0 * 0x1p-7);
  precision_check("opencl", PMN_PRECISION_FP32, 0.01f, 0.0, 0.0);
  precision_check("opencl", PMN_PRECISION_FP16, 0.01f, 1e-6, 4.0 * 0x1p-11);
  precision_check("opencl", PMN_PRECISION_FP16, 1000.0f, INFINITY, INFINITY);
}

static void test_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device;
  bool cached, done = false;
  double ratio;
  check_ok(pmn_device_open(pmn_backend_find("ref"), &options, &device, &err));
  for (int64_t k = 0; !done; k++) {
    (void)pmn_mem_fail_after(k);
    pmn_status status = pmn_selfcheck_run(device, &cached, &ratio, &err);
    done = pmn_mem_fail_after(-1) <= k;
    assert_int_equal(status, done ? PMN_STATUS_OK : PMN_STATUS_NO_MEMORY);
  }
  pmn_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wrong_devices),
      cmocka_unit_test(test_wrong_describing),
      cmocka_unit_test(test_cpu),
      cmocka_unit_test(test_fp16),
      cmocka_unit_test(test_precision),
      cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests_name("compute selfcheck", tests, NULL, NULL);
}
