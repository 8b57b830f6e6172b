/* pmn_ocl_describe.c - see pmn_ocl_describe.h: slices, buffers, lists and answers of describers.
 *
 * Workload: a batch of 64 pictures of 100 x 100, 10 MB of planes, in one slice; or photographs, each of some gigabytes
 * of planes, one at a time. Slices change no bits: no kernel looks beyond its picture.
 */
#include "pmn_ocl_describe.h"

#include "pmn_mem.h"

#include <string.h>

/* What the buffers of a slice of several pictures may take, where memory is the host's own and where it is not. */
#define SLICE_BYTES_HOSTED 64e6
#define SLICE_BYTES 512e6

static const pmn_ocl_describer_kind *const kinds[] = {
    [PMN_DESCRIPTOR_SIFT] = &pmn_ocl_sift, [PMN_DESCRIPTOR_ORB] = &pmn_ocl_orb};

/* ---------------------------------------------------------------------------------------------------- buffers -- */

pmn_status pmn_ocl_space_reserve(
    pmn_ocl_device *device, pmn_ocl_space *space, size_t count, size_t size, const char *what, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes;
  if (space->buffer != NULL && pmn_size_mul(count, size, &bytes) && bytes <= space->bytes) return PMN_STATUS_OK;
  pmn_ocl_space_reset(space);
  PMN_TRY(pmn_ocl_buffer_create(device, count, size, NULL, what, &space->buffer, err));
  space->bytes = count * size;
done:
  return st;
}

void pmn_ocl_space_reset(pmn_ocl_space *space) {
  if (space->buffer != NULL) clReleaseMemObject(space->buffer);
  *space = (pmn_ocl_space){0};
}

pmn_status pmn_ocl_list_begin(pmn_ocl_device *device, pmn_ocl_list *list, size_t capacity, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const cl_uint none = 0;
  if (capacity > INT32_MAX) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "a list of %zu keypoints: too many", capacity);
  PMN_TRY(pmn_ocl_space_reserve(device, &list->items, capacity, size, "a list of keypoints", err));
  PMN_TRY(pmn_ocl_space_reserve(device, &list->counter, 1, sizeof none, "a counter", err));
  list->capacity = (cl_uint)capacity;
  PMN_OCL_TRY(device,
      clEnqueueFillBuffer(device->queue, list->counter.buffer, &none, sizeof none, 0, sizeof none, 0, NULL, NULL),
      "clearing a counter", err);
done:
  return st;
}

pmn_status pmn_ocl_list_count(pmn_ocl_device *device, const pmn_ocl_list *list, cl_uint *count, pmn_err *err) {
  return pmn_ocl_download(device, list->counter.buffer, sizeof *count, count, err);
}

void pmn_ocl_list_reset(pmn_ocl_list *list) {
  pmn_ocl_space_reset(&list->items);
  pmn_ocl_space_reset(&list->counter);
}

pmn_status pmn_ocl_upload(pmn_ocl_device *device, const void *from, size_t bytes, cl_mem to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (bytes == 0) return PMN_STATUS_OK;
  PMN_OCL_TRY(
      device, clEnqueueWriteBuffer(device->queue, to, CL_TRUE, 0, bytes, from, 0, NULL, NULL), "uploading", err);
done:
  return st;
}

pmn_status pmn_ocl_download(pmn_ocl_device *device, cl_mem from, size_t bytes, void *to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (bytes == 0) return PMN_STATUS_OK;
  PMN_OCL_TRY(device, clEnqueueReadBuffer(device->queue, from, CL_TRUE, 0, bytes, to, 0, NULL, NULL),
      "describing pictures", err);
done:
  return st;
}

pmn_status pmn_ocl_start(pmn_ocl_device *device, cl_kernel kernel, const pmn_ocl_argument *arguments,
    cl_uint argument_count, const size_t items[3], const size_t local[3], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t global[3];
  for (cl_uint i = 0; i < argument_count; i++) {
    PMN_OCL_TRY(device, clSetKernelArg(kernel, i, arguments[i].size, arguments[i].value), "setting an argument", err);
  }
  for (int i = 0; i < 3; i++) global[i] = (items[i] + local[i] - 1) / local[i] * local[i];
  PMN_OCL_TRY(device, clEnqueueNDRangeKernel(device->queue, kernel, 3, NULL, global, local, 0, NULL, NULL),
      "enqueueing a kernel", err);
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- slices -- */

/* How many of the pictures go together; one at least. */
static int32_t slice_choose(const pmn_ocl_describer *self, const pmn_gray_picture *pictures, int32_t n) {
  const pmn_ocl_device *device = self->device;
  double most = device->hosted ? SLICE_BYTES_HOSTED : SLICE_BYTES, bytes = 0;
  double quarter = (double)device->base.info.memory_bytes / 4, buffer = (double)device->buffer_bytes_max;
  if (quarter < most) most = quarter;
  if (buffer < most) most = buffer;
  for (int32_t i = 0; i < n; i++) {
    double width = pictures[i].width, height = pictures[i].height;
    bytes += width * height + self->kind->bytes(pictures[i].width, pictures[i].height);
    if (bytes > most && i > 0) return i;
  }
  return n;
}

/* The pictures on the device. */
static pmn_status slice_load(
    pmn_ocl_describer *self, const pmn_gray_picture *pictures, int32_t n, pmn_ocl_slice *slice, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *slice = (pmn_ocl_slice){.count = n};
  pmn_buf_clear(&self->bytes);
  pmn_buf_clear(&self->planes);
  for (int32_t i = 0; i < n; i++) {
    const pmn_gray_picture *p = &pictures[i];
    pmn_ocl_plane plane = {.offset = self->bytes.size, .width = p->width, .height = p->height};
    PMN_TRY(pmn_buf_append(&self->planes, &plane, sizeof plane, err));
    PMN_TRY(pmn_buf_append(&self->bytes, p->gray, (size_t)p->width * (size_t)p->height, err));
    if (p->width > slice->width) slice->width = p->width;
    if (p->height > slice->height) slice->height = p->height;
  }
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->gray, self->bytes.size, 1, "pictures", err));
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->table, self->planes.size, 1, "a table of pictures", err));
  PMN_TRY(pmn_ocl_upload(self->device, self->bytes.data, self->bytes.size, self->gray.buffer, err));
  PMN_TRY(pmn_ocl_upload(self->device, self->planes.data, self->planes.size, self->table.buffer, err));
  slice->planes = (const pmn_ocl_plane *)(const void *)self->planes.data;
  slice->gray = self->gray.buffer;
  slice->table = self->table.buffer;
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- answer -- */

pmn_status pmn_ocl_answer_add(
    pmn_ocl_answer *answer, const pmn_keypoint *keypoints, const uint8_t *descriptors, int32_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t n = (size_t)count;
  answer->counts[answer->pictures++] = count;
  if (n == 0) return PMN_STATUS_OK;
  PMN_TRY(pmn_buf_append(&answer->keypoints, keypoints, n * sizeof *keypoints, err));
  PMN_TRY(pmn_buf_append(&answer->descriptors, descriptors, n * answer->descriptor_bytes, err));
done:
  return st;
}

static pmn_status answer_begin(pmn_ocl_answer *answer, int32_t n, pmn_err *err) {
  pmn_buf_clear(&answer->keypoints);
  pmn_buf_clear(&answer->descriptors);
  answer->pictures = 0;
  if (n <= answer->capacity) return PMN_STATUS_OK;
  answer->capacity = 0;
  pmn_free(answer->counts);
  answer->counts = pmn_alloc((size_t)n, sizeof *answer->counts);
  if (answer->counts == NULL) return pmn_err_memory(err, (size_t)n * sizeof *answer->counts, "a batch of pictures");
  answer->capacity = n;
  return PMN_STATUS_OK;
}

static void answer_view(const pmn_ocl_answer *answer, pmn_described *described) {
  const pmn_keypoint *keypoints = (const pmn_keypoint *)(const void *)answer->keypoints.data;
  const uint8_t *descriptors = (const uint8_t *)answer->descriptors.data;
  for (int32_t i = 0; i < answer->pictures; i++) {
    int32_t count = answer->counts[i];
    described[i] = (pmn_described){0};
    if (count == 0) continue;
    described[i] = (pmn_described){count, keypoints, descriptors};
    keypoints += count;
    descriptors += (size_t)count * answer->descriptor_bytes;
  }
}

/* -------------------------------------------------------------------------------------------------- describer -- */

pmn_status pmn_ocl_describer_create(
    pmn_device *base, pmn_descriptor_kind kind, int32_t keypoints_max, pmn_device_describer **describer, pmn_err *err) {
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  pmn_ocl_describer *self = NULL;
  if (kinds[kind] == NULL) return PMN_STATUS_OK;
  pmn_status st = kinds[kind]->create(device, keypoints_max, &self, err);
  if (st != PMN_STATUS_OK) return st;
  self->kind = kinds[kind];
  self->device = device;
  self->keypoints_max = keypoints_max;
  self->answer.descriptor_bytes = (size_t)pmn_descriptor_bytes(kind);
  pmn_buf_init(&self->bytes, SIZE_MAX);
  pmn_buf_init(&self->planes, SIZE_MAX);
  pmn_buf_init(&self->answer.keypoints, SIZE_MAX);
  pmn_buf_init(&self->answer.descriptors, SIZE_MAX);
  *describer = &self->base;
  return PMN_STATUS_OK;
}

pmn_status pmn_ocl_describer_run(
    pmn_device_describer *base, const pmn_gray_picture *pictures, int32_t n, pmn_described *described, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_describer *self = (pmn_ocl_describer *)base;
  PMN_TRY(answer_begin(&self->answer, n, err));
  for (int32_t first = 0, count; first < n; first += count) {
    pmn_ocl_slice slice;
    count = slice_choose(self, pictures + first, n - first);
    PMN_TRY(slice_load(self, pictures + first, count, &slice, err));
    PMN_TRY(self->kind->run(self, &slice, &self->answer, err));
  }
  answer_view(&self->answer, described);
done:
  if (st != PMN_STATUS_OK) clFinish(self->device->queue);
  return st;
}

void pmn_ocl_describer_destroy(pmn_device_describer *base) {
  pmn_ocl_describer *self = (pmn_ocl_describer *)base;
  pmn_ocl_space_reset(&self->gray);
  pmn_ocl_space_reset(&self->table);
  pmn_buf_reset(&self->bytes);
  pmn_buf_reset(&self->planes);
  pmn_buf_reset(&self->answer.keypoints);
  pmn_buf_reset(&self->answer.descriptors);
  pmn_free(self->answer.counts);
  self->kind->destroy(self);
}
