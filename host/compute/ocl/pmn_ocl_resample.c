/* pmn_ocl_resample.c - see pmn_ocl_resample.h.
 *
 *   kernel   first pass, of the pictures that need two: raw to rows
 *   kernel   the other pass, of all pictures: raw or rows to out
 *
 * or one kernel for the nearest. The host makes weights by the function of its own path and decides which pass comes
 * first; kernels sum whole numbers. A picture that has the size already takes a pass of weights 0 and 1, which changes
 * nothing; a batch of such pictures is copied.
 *
 * Workload: batches of 64 pictures of 100 x 100 to 224 x 224, all of one size: two launches, no table to be made. Or
 * photographs, each of its own size: tables are kept per source size, up to TABLES_KEPT of them and those of a batch;
 * then all are forgotten. New ones go up behind the others, on the queue of the kernels: nothing that runs is touched.
 *
 * Memory: of a picture that pmn_resample_takes_raw, what lies between the passes is no larger than the larger of the
 * picture and the resized one. Say w x h becomes W x H, and w h <= 4 W H. Across first, it is W h: where h <= H, at
 * most W H; else h - H <= 2 (w - W), so W < w and W h < w h. Down first, it is w H, and H < h: w H < w h.
 */
#include "pmn_ocl_resample.h"

#include "pmn_mem.h"

#include <string.h>

/* Ints. */
#define TABLES_KEPT ((size_t)4 << 20)
enum { COLOURS = 3 };

/* struct pmn_resample_task of resample.clh. */
typedef struct task {
  cl_ulong in, out;
  cl_int from_rows, in_width, width, height, down, table, table_down, unused;
} task;

/* Tables of one direction. */
typedef struct direction {
  int32_t out;
  int32_t *places; /* [PMN_RAW_SIDE * out + 1] where the table of a source size begins, and 1; 0: there is none */
} direction;

struct pmn_ocl_resampler {
  pmn_ocl_device *device;
  pmn_filter filter;
  direction across, down;
  cl_kernel kernel;
  pmn_weights weights;  /* of the table in the making */
  pmn_ocl_space tables; /* on the device */
  size_t tables_size;   /* ints of them, without those of the batch in the making */
  pmn_ocl_space rows;   /* between the passes */
};

void pmn_ocl_resample_batch_init(pmn_ocl_resample_batch *batch) {
  *batch = (pmn_ocl_resample_batch){0};
  pmn_buf_init(&batch->tasks, SIZE_MAX);
  pmn_buf_init(&batch->tables, SIZE_MAX);
}

void pmn_ocl_resample_batch_reset(pmn_ocl_resample_batch *batch) {
  pmn_buf_reset(&batch->tasks);
  pmn_buf_reset(&batch->tables);
  pmn_ocl_space_reset(&batch->device_tasks);
}

/* ----------------------------------------------------------------------------------------------------- tables -- */

static size_t places_size(const direction *d) {
  return (size_t)d->out * PMN_RAW_SIDE + 1;
}

static void tables_forget(pmn_ocl_resampler *self) {
  memset(self->across.places, 0, places_size(&self->across) * sizeof(int32_t));
  memset(self->down.places, 0, places_size(&self->down) * sizeof(int32_t));
  self->tables_size = 0;
}

/* Behind those of the batch: as resample.clh has it. */
static pmn_status table_append(pmn_buf *tables, const pmn_weights *w, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t lines = (size_t)w->out;
  PMN_TRY(pmn_buf_append(tables, w->first, lines * sizeof *w->first, err));
  if (w->taps == 0) goto done;
  PMN_TRY(pmn_buf_append(tables, w->count, lines * sizeof *w->count, err));
  size_t bytes = w->taps * lines * sizeof(int32_t);
  PMN_TRY(pmn_buf_reserve(tables, tables->size + bytes, err));
  int32_t *to = (int32_t *)(void *)(tables->data + tables->size);
  for (size_t t = 0; t < w->taps; t++) {
    for (size_t i = 0; i < lines; i++) *to++ = (int32_t)t < w->count[i] ? w->weights[i * w->taps + t] : 0;
  }
  tables->size += bytes;
done:
  return st;
}

/* Where the table of a source size begins, made if there is none. */
static pmn_status table_find(
    pmn_ocl_resampler *self, direction *d, int32_t in, pmn_buf *tables, cl_int *place, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (d->places[in] == 0) {
    size_t at = self->tables_size + tables->size / sizeof(int32_t);
    PMN_TRY(pmn_weights_make(self->filter, in, d->out, &self->weights, err));
    PMN_TRY(table_append(tables, &self->weights, err));
    if (self->tables_size + tables->size / sizeof(int32_t) > INT32_MAX)
      PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "2^31 weights or more to resize one batch: take fewer pictures at once");
    d->places[in] = (int32_t)at + 1;
  }
  *place = d->places[in] - 1;
done:
  return st;
}

/* Those of the batch go up; what is there moves when there is no more room. */
static pmn_status tables_load(pmn_ocl_resampler *self, const pmn_buf *fresh, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->device;
  size_t used = self->tables_size * sizeof(int32_t), wanted = used + fresh->size;
  pmn_ocl_space larger = {0};
  if (fresh->size == 0) return PMN_STATUS_OK;
  if (wanted > self->tables.bytes) {
    PMN_TRY(pmn_ocl_space_reserve(device, &larger, wanted + wanted / 2, 1, "resampling tables", err));
    if (used > 0) {
      PMN_OCL_TRY(device,
          clEnqueueCopyBuffer(device->queue, self->tables.buffer, larger.buffer, 0, 0, used, 0, NULL, NULL),
          "moving tables", err);
    }
    pmn_ocl_space_reset(&self->tables); /* it lives until it has been read */
    self->tables = larger;
    larger = (pmn_ocl_space){0};
  }
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(device->queue, self->tables.buffer, CL_FALSE, used, fresh->size, fresh->data, 0, NULL, NULL),
      "uploading tables", err);
  self->tables_size = wanted / sizeof(int32_t);
done:
  pmn_ocl_space_reset(&larger);
  return st;
}

/* -------------------------------------------------------------------------------------------------- resampler -- */

static pmn_status direction_init(direction *d, int32_t out, pmn_err *err) {
  d->out = out;
  d->places = pmn_calloc(places_size(d), sizeof *d->places);
  return d->places != NULL ? PMN_STATUS_OK : pmn_err_memory(err, places_size(d) * sizeof *d->places, "resampling");
}

pmn_status pmn_ocl_resampler_create(pmn_ocl_device *device, pmn_filter filter, int32_t width, int32_t height,
    pmn_ocl_resampler **resampler, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_resampler *self = NULL;
  pmn_ocl_kernel_id id = filter == PMN_FILTER_NEAREST ? PMN_OCL_RESAMPLE_NEAREST : PMN_OCL_RESAMPLE_PASS;
  *resampler = NULL;
  if (width < 1 || height < 1 || width > INT32_MAX / COLOURS / PMN_RAW_PIXELS / height ||
      width >= INT32_MAX / PMN_RAW_SIDE || height >= INT32_MAX / PMN_RAW_SIDE) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "cannot resize to %d x %d pixels on a device: a side is at least 1, and %d times "
        "as many pixels must have less than 2^31 bytes",
        width, height, PMN_RAW_PIXELS);
  }
  self = pmn_calloc(1, sizeof *self);
  if (self == NULL) PMN_TRY(pmn_err_memory(err, sizeof *self, "resampling"));
  self->device = device;
  self->filter = filter;
  PMN_TRY(direction_init(&self->across, width, err));
  PMN_TRY(direction_init(&self->down, height, err));
  PMN_TRY(pmn_ocl_kernel_create(device, id, PMN_ACTIVATION_NONE, NULL, &self->kernel, err));
  *resampler = self;
  self = NULL;
done:
  pmn_ocl_resampler_destroy(self);
  return st;
}

void pmn_ocl_resampler_destroy(pmn_ocl_resampler *resampler) {
  pmn_ocl_resampler *self = resampler;
  if (self == NULL) return;
  if (self->kernel != NULL) clReleaseKernel(self->kernel);
  pmn_free(self->across.places);
  pmn_free(self->down.places);
  pmn_weights_reset(&self->weights);
  pmn_ocl_space_reset(&self->tables);
  pmn_ocl_space_reset(&self->rows);
  pmn_free(self);
}

/* ------------------------------------------------------------------------------------------------------ batch -- */

static size_t bytes_of(int32_t width, int32_t height) {
  return (size_t)width * (size_t)height * COLOURS;
}

pmn_status pmn_ocl_resampler_bytes(
    const pmn_ocl_resampler *resampler, const pmn_picture_size *sizes, int32_t n, size_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t width = resampler->across.out, height = resampler->down.out;
  *bytes = 0;
  for (int32_t i = 0; i < n; i++) {
    int32_t w = sizes[i].width, h = sizes[i].height;
    if (w < 1 || h < 1 || !pmn_resample_takes_raw(w, h, width, height)) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a picture of %d x %d pixels is not resized to %d x %d on a device", w, h,
          width, height);
    }
    if (!pmn_size_add(*bytes, bytes_of(w, h), bytes)) PMN_TRY(pmn_err_memory(err, SIZE_MAX, "pictures"));
  }
done:
  return st;
}

/* A batch in the making. */
typedef struct plan {
  cl_ulong in, rows; /* bytes so far */
  int32_t first_count;
  int32_t first_pixels; /* the largest output of the first pass */
} plan;

/* Tasks of picture i, of which `later` is that of the last pass. */
static pmn_status tasks_add(
    pmn_ocl_resampler *self, pmn_ocl_resample_batch *batch, pmn_picture_size size, int32_t i, plan *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t width = self->across.out, height = self->down.out;
  task *tasks = (task *)(void *)batch->tasks.data, *later = &tasks[i];
  *later = (task){.in = p->in, .out = bytes_of(width, height) * (size_t)i};
  later->in_width = size.width;
  later->width = width;
  later->height = height;
  p->in += bytes_of(size.width, size.height);
  bool nearest = self->filter == PMN_FILTER_NEAREST, changes_down = size.height != height;
  later->down = changes_down;
  if (nearest || !changes_down || size.width != width)
    PMN_TRY(table_find(self, &self->across, size.width, &batch->tables, &later->table, err));
  if (nearest || changes_down)
    PMN_TRY(table_find(self, &self->down, size.height, &batch->tables, &later->table_down, err));
  if (nearest || !changes_down) goto done;
  cl_int across = later->table, down = later->table_down;
  later->table = down;
  if (size.width == width) goto done;
  task first = *later;
  bool down_first = pmn_resample_down_first(size.width, size.height, width, height);
  first.down = down_first;
  first.table = down_first ? down : across;
  first.width = down_first ? size.width : width;
  first.height = down_first ? height : size.height;
  first.out = p->rows;
  later->down = !down_first;
  later->table = down_first ? across : down;
  later->in = first.out;
  later->in_width = first.width;
  later->from_rows = 1;
  p->rows += bytes_of(first.width, first.height);
  if (first.width * first.height > p->first_pixels) p->first_pixels = first.width * first.height;
  p->first_count++;
  PMN_TRY(pmn_buf_append(&batch->tasks, &first, sizeof first, err));
done:
  return st;
}

/* Tasks: the last pass of every picture, in their order; then the first passes of those that need two. */
static pmn_status tasks_make(pmn_ocl_resampler *self, pmn_ocl_resample_batch *batch, const pmn_picture_size *sizes,
    int32_t n, plan *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf_clear(&batch->tasks);
  pmn_buf_clear(&batch->tables);
  if (self->tables_size > TABLES_KEPT) tables_forget(self);
  PMN_TRY(pmn_buf_reserve(&batch->tasks, 2 * (size_t)n * sizeof(task), err));
  batch->tasks.size = (size_t)n * sizeof(task);
  for (int32_t i = 0; i < n; i++) PMN_TRY(tasks_add(self, batch, sizes[i], i, p, err));
done:
  return st;
}

static pmn_status tasks_load(pmn_ocl_resampler *self, pmn_ocl_resample_batch *batch, const plan *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->device;
  const pmn_buf *tasks = &batch->tasks;
  PMN_TRY(tables_load(self, &batch->tables, err));
  PMN_TRY(pmn_ocl_space_reserve(device, &batch->device_tasks, tasks->size, 1, "a table of pictures", err));
  PMN_TRY(pmn_ocl_space_reserve(device, &self->rows, (size_t)p->rows, 1, "resized rows", err));
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(
          device->queue, batch->device_tasks.buffer, CL_FALSE, 0, tasks->size, tasks->data, 0, NULL, NULL),
      "uploading a table of pictures", err);
done:
  return st;
}

/* `count` tasks from `first`, of up to `pixels` each. */
static pmn_status pass_start(pmn_ocl_resampler *self, const pmn_ocl_resample_batch *batch, cl_mem raw, cl_mem rows,
    cl_mem out, int32_t first, int32_t count, int32_t pixels, pmn_err *err) {
  const cl_int first_task = first;
  const size_t items[3] = {(size_t)pixels, (size_t)count, 1};
  const size_t local[3] = {self->device->family->element_local, 1, 1};
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(raw), PMN_OCL_ARGUMENT(rows), PMN_OCL_ARGUMENT(out),
      PMN_OCL_ARGUMENT(batch->device_tasks.buffer), PMN_OCL_ARGUMENT(self->tables.buffer),
      PMN_OCL_ARGUMENT(first_task)};
  if (count == 0) return PMN_STATUS_OK;
  return pmn_ocl_start(self->device, self->kernel, arguments, sizeof arguments / sizeof *arguments, items, local, err);
}

static pmn_status nearest_start(
    pmn_ocl_resampler *self, const pmn_ocl_resample_batch *batch, cl_mem raw, cl_mem out, int32_t n, pmn_err *err) {
  const size_t items[3] = {(size_t)(self->across.out * self->down.out), (size_t)n, 1};
  const size_t local[3] = {self->device->family->element_local, 1, 1};
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(raw), PMN_OCL_ARGUMENT(out),
      PMN_OCL_ARGUMENT(batch->device_tasks.buffer), PMN_OCL_ARGUMENT(self->tables.buffer)};
  return pmn_ocl_start(self->device, self->kernel, arguments, sizeof arguments / sizeof *arguments, items, local, err);
}

static bool all_fit(const pmn_ocl_resampler *self, const pmn_picture_size *sizes, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    if (sizes[i].width != self->across.out || sizes[i].height != self->down.out) return false;
  }
  return true;
}

pmn_status pmn_ocl_resampler_run(pmn_ocl_resampler *resampler, pmn_ocl_resample_batch *batch,
    const pmn_picture_size *sizes, int32_t n, cl_mem raw, cl_mem out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_resampler *self = resampler;
  pmn_ocl_device *device = self->device;
  plan p = {0};
  size_t bytes;
  PMN_TRY(pmn_ocl_resampler_bytes(self, sizes, n, &bytes, err));
  if (all_fit(self, sizes, n)) {
    PMN_OCL_TRY(
        device, clEnqueueCopyBuffer(device->queue, raw, out, 0, 0, bytes, 0, NULL, NULL), "copying pictures", err);
    goto done;
  }
  PMN_TRY(tasks_make(self, batch, sizes, n, &p, err));
  PMN_TRY(tasks_load(self, batch, &p, err));
  if (self->filter == PMN_FILTER_NEAREST) {
    PMN_TRY(nearest_start(self, batch, raw, out, n, err));
    goto done;
  }
  cl_mem rows = self->rows.buffer;
  PMN_TRY(pass_start(self, batch, raw, raw, rows, n, p.first_count, p.first_pixels, err));
  PMN_TRY(pass_start(self, batch, raw, rows, out, 0, n, self->across.out * self->down.out, err));
done:
  if (st != PMN_STATUS_OK) tables_forget(self); /* some may not have gone up */
  return st;
}
