/* pmn_selfcheck.c - see pmn_selfcheck.h.
 *
 * Drivers do miscompile kernels, and a wrong feature looks like a right one. So every kind of layer runs once, small,
 * with sizes that are no multiple of any tile, and is held against `ref` within |y - ref| <= (terms of the sum + 4) *
 * FLT_EPSILON * (the same sum over absolute values), the bound that the tests use. The sum over absolute values is
 * `ref` run on absolute inputs and parameters.
 */
#include "pmn_selfcheck.h"

#include "pmn_backends.h"
#include "pmn_err.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_sha256.h"
#include "pmn_text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct check_layer {
  const char *name;
  pmn_op_kind kind;
  pmn_tensor in, out;
  int32_t kernel, stride, pad;
  bool bytes, residual, clamp;
} check_layer;

static const check_layer layers[] = {
    {"stem of bytes", PMN_OP_CONV2D, {18, 22, 3, 0}, {9, 11, 37, 0}, 3, 2, 0, true, false, true},
    {"expansion", PMN_OP_CONV2D, {7, 11, 24, 0}, {7, 11, 150, 0}, 1, 1, 0, false, false, true},
    {"depthwise 3x3", PMN_OP_DEPTHWISE_CONV2D, {9, 13, 38, 0}, {9, 13, 38, 0}, 3, 1, 1, false, false, true},
    {"depthwise 5x5 of stride 2", PMN_OP_DEPTHWISE_CONV2D, {14, 10, 38, 0}, {7, 5, 38, 0}, 5, 2, 1, false, false, true},
    {"projection with residual", PMN_OP_CONV2D, {7, 11, 41, 0}, {7, 11, 41, 0}, 1, 1, 0, false, true, false},
    {"convolution 3x3", PMN_OP_CONV2D, {6, 7, 19, 0}, {6, 7, 33, 0}, 3, 1, 1, false, false, true},
    {"pool", PMN_OP_GLOBAL_AVERAGE_POOL, {7, 7, 130, 0}, {1, 1, 130, 0}, 1, 1, 0, false, false, false},
    {"dense layer", PMN_OP_CONV2D, {1, 1, 321, 0}, {1, 1, 77, 0}, 1, 1, 0, false, false, false},
};
enum { PICTURES = 2, SYRK_ROWS = 300, SYRK_COLUMNS = 37, GEMM_ROWS = 21, GEMM_INNER = 130, GEMM_COLUMNS = 19 };

/* A fixed sequence of numbers in [-1, 1): any would do, the same everywhere. */
static float number_next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u; /* Numerical Recipes, 2nd ed., section 7.1 */
  return (float)((int32_t)(*state >> 8) - (1 << 23)) / (float)(1 << 23);
}

static float *numbers_create(uint32_t seed, size_t count) {
  float *v = pmn_alloc(count, sizeof(float));
  for (size_t i = 0; v != NULL && i < count; i++) v[i] = number_next(&seed);
  return v;
}

static float *absolute_create(const float *v, size_t count) {
  float *a = pmn_alloc(count, sizeof(float));
  for (size_t i = 0; a != NULL && i < count; i++) a[i] = fabsf(v[i]);
  return a;
}

/* The worst of everything compared so far. */
typedef struct verdict {
  pmn_device *device;
  double ratio;
} verdict;

static pmn_status value_compare(
    verdict *v, const char *name, double value, double expected, double bound, pmn_err *err) {
  double difference = fabs(value - expected);
  if (!(difference <= bound)) { /* written so that NaN is wrong */
    return pmn_err_set(err, PMN_STATUS_DEVICE, 0,
        "%s (%s) computes wrong: %s gives %.7g for %.7g, a difference of %.3g where rounding explains %.3g; choose "
        "another "
        "--device or --backend cpu",
        v->device->info.name, v->device->info.driver, name, value, expected, difference, bound);
  }
  if (bound > 0.0 && difference / bound > v->ratio) v->ratio = difference / bound;
  return PMN_STATUS_OK;
}

static pmn_status program_run(
    pmn_device *device, const pmn_program *program, const void *input, int32_t n, float *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_network *network = NULL;
  PMN_TRY(pmn_network_create(device, program, n, &network, err));
  PMN_TRY(pmn_network_run(network, input, n, output, err));
done:
  pmn_network_destroy(network);
  return st;
}

/* -------------------------------------------------------------------------------------------------- one layer -- */

/* Everything one layer needs; sizes in elements, of all pictures where there are several. */
typedef struct layer_work {
  size_t in_size, out_size, weights_size, channels, terms;
  float *numbers, *weights, *bias; /* numbers: the input as f32 */
  float *magnitudes, *weights_abs, *bias_abs;
  uint8_t *bytes;
  float *y, *expected, *magnitude;
} layer_work;

static void layer_work_reset(layer_work *w) {
  float *const blocks[] = {
      w->numbers, w->weights, w->bias, w->magnitudes, w->weights_abs, w->bias_abs, w->y, w->expected, w->magnitude};
  for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) pmn_free(blocks[i]);
  pmn_free(w->bytes);
}

static const float byte_scale[3] = {0.0171f, 0.0175f, 0.0174f}, byte_shift[3] = {-2.118f, -2.036f, -1.804f};

static pmn_status layer_work_init(layer_work *w, const check_layer *l, pmn_err *err) {
  size_t window = (size_t)l->kernel * (size_t)l->kernel;
  w->channels = (size_t)l->out.c;
  w->in_size = pmn_tensor_size(&l->in) * PICTURES;
  w->out_size = pmn_tensor_size(&l->out) * PICTURES;
  w->weights_size = window * w->channels * (l->kind == PMN_OP_CONV2D ? (size_t)l->in.c : 1);
  w->terms = window * (l->kind == PMN_OP_CONV2D ? (size_t)l->in.c : 1);
  if (l->kind == PMN_OP_GLOBAL_AVERAGE_POOL) w->terms = (size_t)l->in.h * (size_t)l->in.w;
  w->numbers = numbers_create(1, w->in_size);
  w->weights = numbers_create(2, w->weights_size);
  w->bias = numbers_create(3, w->channels);
  w->bytes = pmn_alloc(w->in_size, 1);
  w->y = pmn_alloc(w->out_size, sizeof(float));
  w->expected = pmn_alloc(w->out_size, sizeof(float));
  w->magnitude = pmn_alloc(w->out_size, sizeof(float));
  if (w->numbers != NULL) w->magnitudes = absolute_create(w->numbers, w->in_size);
  if (w->weights != NULL) w->weights_abs = absolute_create(w->weights, w->weights_size);
  if (w->bias != NULL) w->bias_abs = absolute_create(w->bias, w->channels);
  if (w->bytes == NULL || w->y == NULL || w->expected == NULL || w->magnitude == NULL || w->magnitudes == NULL ||
      w->weights_abs == NULL || w->bias_abs == NULL) {
    return pmn_err_memory(err, (w->in_size + w->out_size + w->weights_size) * sizeof(float), "the check of a device");
  }
  for (size_t i = 0; i < w->in_size; i++) {
    w->bytes[i] = (uint8_t)((w->numbers[i] + 1.0f) * 128.0f);
    if (l->bytes) w->magnitudes[i] = (float)w->bytes[i] * byte_scale[i % 3] + fabsf(byte_shift[i % 3]);
  }
  /* A device that writes nothing must not be right by chance. */
  for (size_t i = 0; i < w->out_size; i++) w->y[i] = NAN;
  return PMN_STATUS_OK;
}

static pmn_status layer_check(verdict *v, pmn_device *reference, const check_layer *l, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  layer_work w = {0};
  PMN_TRY(layer_work_init(&w, l, err));
  const pmn_tensor tensors[] = {l->in, l->out};
  pmn_op op = {.kind = l->kind,
      .name = l->name,
      .input = 0,
      .output = 1,
      .residual = l->residual ? 0 : PMN_NO_TENSOR,
      .kernel_h = l->kernel,
      .kernel_w = l->kernel,
      .stride_h = l->stride,
      .stride_w = l->stride,
      .pad_top = l->pad,
      .pad_left = l->pad,
      .weights = w.weights,
      .bias = w.bias,
      .clamp_min = l->clamp ? 0.0f : -INFINITY,
      .clamp_max = l->clamp ? 6.0f : INFINITY};
  pmn_program program = {.tensors = tensors,
      .ops = &op,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .input_type = l->bytes ? PMN_INPUT_U8 : PMN_INPUT_F32,
      .arena_size = pmn_tensor_size(&l->out)};
  memcpy(program.input_scale, byte_scale, sizeof byte_scale);
  memcpy(program.input_shift, byte_shift, sizeof byte_shift);
  const void *input = l->bytes ? (const void *)w.bytes : w.numbers;
  PMN_TRY(program_run(v->device, &program, input, PICTURES, w.y, err));
  PMN_TRY(program_run(reference, &program, input, PICTURES, w.expected, err));
  op.weights = w.weights_abs;
  op.bias = w.bias_abs;
  op.clamp_min = -INFINITY;
  op.clamp_max = INFINITY;
  program.input_type = PMN_INPUT_F32;
  PMN_TRY(program_run(reference, &program, w.magnitudes, PICTURES, w.magnitude, err));
  for (size_t i = 0; i < w.out_size; i++) {
    double bound = (double)(w.terms + 4) * (double)FLT_EPSILON * (double)w.magnitude[i];
    PMN_TRY(value_compare(v, l->name, (double)w.y[i], (double)w.expected[i], bound, err));
  }
done:
  layer_work_reset(&w);
  return st;
}

/* --------------------------------------------------------------------------------------------------- products -- */

static pmn_status syrk_check(verdict *v, pmn_device *reference, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { SIZE = SYRK_COLUMNS * SYRK_COLUMNS };
  float *x = numbers_create(4, SYRK_ROWS * SYRK_COLUMNS), *absolute = NULL;
  double *sums = pmn_calloc(3 * SIZE, sizeof(double));
  if (x != NULL) absolute = absolute_create(x, SYRK_ROWS * SYRK_COLUMNS);
  if (absolute == NULL || sums == NULL) {
    st = pmn_err_memory(err, 3 * SIZE * sizeof(double), "the check of a device");
    goto done;
  }
  double *y = sums, *expected = sums + SIZE, *magnitude = sums + 2 * SIZE;
  PMN_TRY(pmn_device_syrk(v->device, x, SYRK_ROWS, SYRK_COLUMNS, y, err));
  PMN_TRY(pmn_device_syrk(reference, x, SYRK_ROWS, SYRK_COLUMNS, expected, err));
  PMN_TRY(pmn_device_syrk(reference, absolute, SYRK_ROWS, SYRK_COLUMNS, magnitude, err));
  for (size_t i = 0; i < SIZE; i++) {
    /* A device without fp64 sums 256 rows in fp32: that much is allowed to all. */
    PMN_TRY(value_compare(v, "syrk", y[i], expected[i], (256 + 4) * (double)FLT_EPSILON * magnitude[i], err));
  }
done:
  pmn_free(x);
  pmn_free(absolute);
  pmn_free(sums);
  return st;
}

static pmn_status gemm_check(verdict *v, pmn_device *reference, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  enum { A = GEMM_ROWS * GEMM_INNER, B = GEMM_INNER * GEMM_COLUMNS, Y = GEMM_ROWS * GEMM_COLUMNS };
  float *a = numbers_create(5, A), *b = numbers_create(6, B), *a_abs = NULL, *b_abs = NULL;
  float *products = pmn_calloc(3 * Y, sizeof(float));
  if (a != NULL) a_abs = absolute_create(a, A);
  if (b != NULL) b_abs = absolute_create(b, B);
  if (a_abs == NULL || b_abs == NULL || products == NULL) {
    st = pmn_err_memory(err, 3 * Y * sizeof(float), "the check of a device");
    goto done;
  }
  float *y = products, *expected = products + Y, *magnitude = products + 2 * Y;
  PMN_TRY(pmn_device_gemm(v->device, a, b, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, y, err));
  PMN_TRY(pmn_device_gemm(reference, a, b, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, expected, err));
  PMN_TRY(pmn_device_gemm(reference, a_abs, b_abs, GEMM_ROWS, GEMM_INNER, GEMM_COLUMNS, magnitude, err));
  for (size_t i = 0; i < Y; i++) {
    double bound = (GEMM_INNER + 4) * (double)FLT_EPSILON * (double)magnitude[i];
    PMN_TRY(value_compare(v, "gemm", (double)y[i], (double)expected[i], bound, err));
  }
done:
  pmn_free(a);
  pmn_free(b);
  pmn_free(a_abs);
  pmn_free(b_abs);
  pmn_free(products);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ cache -- */

#define CACHE_TITLE "pomona check 1 passed "

/* Where a success of this device is remembered; false when there is nowhere, or nothing that names its code. */
static bool cache_path(const pmn_device *device, pmn_buf *path) {
  const pmn_device_info *info = &device->info;
  const char *texts[] = {PMN_VERSION, info->backend, info->name, info->driver, device->kernels_hash};
  const void *parts[5];
  size_t sizes[5];
  char hex[PMN_SHA256_HEX_SIZE], name[PMN_SHA256_HEX_SIZE + 16];
  if (device->kernels_hash[0] == '\0') return false;
  for (size_t i = 0; i < 5; i++) {
    parts[i] = texts[i];
    sizes[i] = strlen(texts[i]) + 1;
  }
  if (pmn_sha256_hex(parts, sizes, 5, hex, NULL) != PMN_STATUS_OK) return false;
  snprintf(name, sizeof name, "check-%s.txt", hex);
  return pmn_file_cache_path(name, path, NULL) == PMN_STATUS_OK;
}

static bool cache_load(const char *path, double *ratio) {
  pmn_buf file;
  pmn_buf_init(&file, 256);
  bool good = pmn_file_read(path, &file, NULL) == PMN_STATUS_OK &&
              strncmp(file.data, CACHE_TITLE, strlen(CACHE_TITLE)) == 0 &&
              pmn_text_double(file.data + strlen(CACHE_TITLE), ratio) && *ratio >= 0.0 && *ratio <= 1.0;
  pmn_buf_reset(&file);
  return good;
}

pmn_status pmn_selfcheck_run(pmn_device *device, bool *cached, double *error_ratio, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_device *reference = NULL;
  verdict v = {.device = device};
  char text[64];
  pmn_buf path;
  pmn_buf_init(&path, 4096);
  bool cache = cache_path(device, &path);
  *cached = cache && cache_load(path.data, error_ratio);
  if (*cached) goto done;
  PMN_TRY(pmn_device_open(&pmn_backend_ref, &(pmn_device_options){.index = -1, .threads = 1}, &reference, err));
  for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) PMN_TRY(layer_check(&v, reference, &layers[i], err));
  PMN_TRY(syrk_check(&v, reference, err));
  PMN_TRY(gemm_check(&v, reference, err));
  *error_ratio = v.ratio;
  snprintf(text, sizeof text, CACHE_TITLE "%.6f", v.ratio);
  /* A cache that cannot be written costs the next run a second and nothing else. */
  if (cache && pmn_file_write_cached(path.data, text, strlen(text), NULL) != PMN_STATUS_OK) goto done;
done:
  pmn_device_close(reference);
  pmn_buf_reset(&path);
  return st;
}
