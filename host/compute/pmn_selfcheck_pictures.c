/* pmn_selfcheck_pictures.c - the checks of pmn_selfcheck.h that need pictures: describing, and a lower precision. */
#include "pmn_selfcheck.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_selfcheck_parts.h"

#include <math.h>
#include <stdlib.h>

/* --------------------------------------------------------------------------------------------------- pictures -- */

/* Squares of one colour, as edges and surfaces are in pictures, under a little noise. */
static void picture_fill(const pmn_tensor *in, const float *numbers, uint8_t *bytes) {
  enum { SQUARE = 16 };
  size_t c = (size_t)in->c, w = (size_t)in->w, size = pmn_tensor_size(in);
  for (size_t i = 0; i < size; i++) {
    size_t y = i / c / w, x = i / c % w, square = (y / SQUARE * w + x / SQUARE) * c + i % c;
    bytes[i] = (uint8_t)(128.0f + 112.0f * numbers[square] + 15.0f * numbers[i]);
  }
}

/* ------------------------------------------------------------------------------------------------- describing -- */

/* Every sum has one order and nothing is fused: devices differ from the host only in quotients and roots, 2e-7 of
 * themselves where they are not IEEE's. Places then move by 0.001 pixels of the octave, angles by 0.1 degrees, and
 * bytes by one; one keypoint of a thousand may come or go, and one byte of a thousand differ
 * (tests/compute/test_ocl_sift.c). Of some hundred keypoints ten times as many are allowed here. ORB's kernels do not
 * divide. */
static bool is_same_keypoint(pmn_descriptor_kind kind, const pmn_keypoint *a, const pmn_keypoint *b) {
  bool exact = kind == PMN_DESCRIPTOR_ORB;
  double place = exact ? 0.0 : ldexp(0.001, a->octave),
         turn = fabs(remainder((double)a->angle - (double)b->angle, 360));
  return a->octave == b->octave && fabs((double)a->x - (double)b->x) <= place &&
         fabs((double)a->y - (double)b->y) <= place && turn <= (exact ? 0.0 : 0.1);
}

/* Bytes of two descriptors that are not the same, or -1: one of them is farther off than rounding explains. */
static int32_t bytes_off(pmn_descriptor_kind kind, const uint8_t *a, const uint8_t *b) {
  int32_t off = 0;
  for (int32_t i = 0; i < pmn_descriptor_bytes(kind); i++) {
    if (abs(a[i] - b[i]) > (kind == PMN_DESCRIPTOR_ORB ? 0 : 1)) return -1;
    off += a[i] != b[i];
  }
  return off;
}

/* Each keypoint of the host's is looked for among the device's. */
static pmn_status describing_compare(const pmn_device *device, pmn_descriptor_kind kind, const pmn_described *expected,
    const pmn_described *found, pmn_err *err) {
  int32_t bytes = pmn_descriptor_bytes(kind), same = 0, off = 0;
  int32_t allowed = kind == PMN_DESCRIPTOR_ORB ? 0 : expected->count / 100 + 1;
  for (int32_t i = 0; i < expected->count; i++) {
    for (int32_t j = 0; j < found->count; j++) {
      if (!is_same_keypoint(kind, &expected->keypoints[i], &found->keypoints[j])) continue;
      int32_t here = bytes_off(
          kind, expected->descriptors + (size_t)i * (size_t)bytes, found->descriptors + (size_t)j * (size_t)bytes);
      if (here < 0) continue;
      same++;
      off += here;
      break;
    }
  }
  int32_t most = found->count > expected->count ? found->count : expected->count;
  if (most - same <= allowed && off <= allowed * bytes) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_DEVICE, 0,
      "%s (%s) computes wrong: of %d keypoints of %s that the host finds in a picture it finds %d, among %d, and %d "
      "bytes of them differ; choose another --device or --backend cpu",
      device->info.name, device->info.driver, expected->count, pmn_descriptor_name(kind), same, found->count, off);
}

/* In one batch, so that it is seen whether their places in it are kept apart. */
static const pmn_tensor described_pictures[] = {{168, 200, 1, 0}, {121, 151, 1, 0}};
enum { DESCRIBED = sizeof described_pictures / sizeof *described_pictures, KEYPOINTS = 300 };

static pmn_status describing_check(
    pmn_device_describer *describer, pmn_descriptor_kind kind, uint8_t *bytes[DESCRIBED], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_gray_picture pictures[DESCRIBED];
  pmn_described expected, found[DESCRIBED];
  pmn_describer *host = NULL;
  PMN_TRY(pmn_describer_create(kind, KEYPOINTS, &host, err));
  for (int i = 0; i < DESCRIBED; i++) {
    const pmn_tensor *size = &described_pictures[i];
    float *numbers = pmn_selfcheck_numbers(7 + (uint32_t)i, pmn_tensor_size(size));
    bytes[i] = pmn_alloc(pmn_tensor_size(size), 1);
    if (numbers != NULL && bytes[i] != NULL) picture_fill(size, numbers, bytes[i]);
    bool good = numbers != NULL && bytes[i] != NULL;
    pmn_free(numbers);
    if (!good) PMN_TRY(pmn_err_memory(err, pmn_tensor_size(size) * sizeof *numbers, "the check of a device"));
    pictures[i] = (pmn_gray_picture){.gray = bytes[i], .width = size->w, .height = size->h};
  }
  PMN_TRY(pmn_device_describer_run(describer, pictures, DESCRIBED, found, err));
  for (int i = 0; i < DESCRIBED; i++) {
    PMN_TRY(pmn_describer_run(host, bytes[i], pictures[i].width, pictures[i].height, &expected, err));
    PMN_TRY(describing_compare(describer->device, kind, &expected, &found[i], err));
  }
done:
  pmn_describer_destroy(host);
  return st;
}

pmn_status pmn_selfcheck_describe(pmn_device *device, pmn_descriptor_kind kind, bool *cached, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint8_t *bytes[DESCRIBED] = {NULL};
  pmn_device_describer *describer = NULL;
  double ratio;
  pmn_buf path;
  pmn_buf_init(&path, 4096);
  bool cache = pmn_selfcheck_place(device, pmn_descriptor_name(kind), &path);
  *cached = cache && pmn_selfcheck_recall(path.data, &ratio);
  if (*cached) goto done;
  PMN_TRY(pmn_device_describer_create(device, kind, KEYPOINTS, &describer, err));
  if (describer == NULL) goto done;
  PMN_TRY(describing_check(describer, kind, bytes, err));
  if (cache) pmn_selfcheck_keep(path.data, 0.0);
done:
  pmn_device_describer_destroy(describer);
  for (int i = 0; i < DESCRIBED; i++) pmn_free(bytes[i]);
  pmn_buf_reset(&path);
  return st;
}

/* -------------------------------------------------------------------------------------------------- precision -- */

static pmn_precision_error compare_rows(const float *y, const float *expected, size_t width) {
  double product = 0, norm = 0, expected_norm = 0, most = 0, difference = 0;
  for (size_t i = 0; i < width; i++) {
    double a = (double)y[i], b = (double)expected[i];
    product += a * b;
    norm += a * a;
    expected_norm += b * b;
    most = fmax(most, fabs(b));
    difference = fmax(difference, fabs(a - b));
  }
  double lengths = sqrt(norm) * sqrt(expected_norm);
  return (pmn_precision_error){.cosine = lengths > 0             ? product / lengths
                                         : norm == expected_norm ? 1
                                                                 : 0,
      .difference = most > 0 ? difference / most : difference};
}

pmn_status pmn_selfcheck_precision(
    pmn_network *network, const pmn_program *program, pmn_precision_error *error, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_tensor *in = &program->tensors[program->input];
  size_t size = pmn_tensor_size(in), width = pmn_tensor_size(&program->tensors[program->output]);
  const pmn_backend *backend = network->device->backend;
  const pmn_device_info *info = &network->device->info;
  pmn_device *device = NULL;
  float *numbers = pmn_selfcheck_numbers(6, size), *rows = pmn_alloc(2 * width, sizeof *rows);
  uint8_t *bytes = pmn_alloc(size, 1);
  if (numbers == NULL || rows == NULL || bytes == NULL) {
    st = pmn_err_memory(err, size * sizeof *numbers + 2 * width * sizeof *rows, "the check of a precision");
    goto done;
  }
  picture_fill(in, numbers, bytes);
  PMN_TRY(pmn_device_open(backend, &(pmn_device_options){.index = info->index, .threads = 1, .isa = ""}, &device, err));
  PMN_TRY(pmn_network_run(network, bytes, 1, rows, err));
  PMN_TRY(pmn_selfcheck_apply(device, program, bytes, 1, rows + width, err));
  bool finite = pmn_nonfinite_find(rows, width) == width,
       expected_finite = pmn_nonfinite_find(rows + width, width) == width;
  if (!finite && expected_finite) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s does not hold this network's values: features of a probe are finite in fp32 only; use --precision fp32",
        pmn_precision_name(network->device->precision));
  }
  *error = (pmn_precision_error){.cosine = 0, .difference = 1}; /* where not even fp32 has features */
  if (finite && expected_finite) *error = compare_rows(rows, rows + width, width);
done:
  pmn_device_close(device);
  pmn_free(numbers);
  pmn_free(rows);
  pmn_free(bytes);
  return st;
}
