/* pmn_ocl_network.c - a program as a list of kernel launches on one arena.
 *
 * All tensors of all pictures of a batch live in one buffer, the arena: tensor t of a batch of N begins at
 * arena_offset * N, its pictures one after the other.
 *
 * Batches are under way in slots. Each has memory of the host that the driver has made, so that a device can copy it by
 * itself, and a buffer of the device for its pictures. Two queues, both in order, work at once:
 *   uploads:  pictures of batch i + 1 |           pictures of batch i + 2 |
 *   queue:    kernels of batch i ... | rows of i  kernels of batch i + 1 ... | rows of i + 1
 * One operation is one kernel, or one inverted residual on GPUs (pmn_ocl_plan.c). Kernels wait for their pictures by an
 * event. All batches share the arena: rows leave it on the queue of the kernels, before those of the next batch begin.
 * That holds the kernels up for as long as rows take to come down, a few kB a picture; it spares a second copy on the
 * device. Nothing is waited for before the rows of a batch are wanted.
 *
 * With fp16 tensors are halves: a float is narrowed where it enters, and the output widened, by a kernel each.
 *
 * Kernels index within a tensor by 32 bits and a driver limits the size of one buffer, so a network may take a batch in
 * slices of fewer pictures than the caller asked for; the caller sees no difference, neither in bits.
 *
 * Pictures may come in their own sizes: then they go up as they are, to a buffer beside that of the network's input,
 * which the kernels of resampling fill before the network's own.
 */
#include "pmn_ocl_resample.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <stdlib.h>
#include <string.h>

/* Memory of the host that was made by the driver, and stays mapped. */
typedef struct pinned {
  cl_mem buffer;
  void *data;
} pinned;

/* One of a batch under way; the last one is of pmn_ocl_network_run, whose caller has memory of its own. */
typedef struct slot {
  cl_mem input;          /* [slice] pictures, on the device */
  pinned pictures, rows; /* [batch_max] */
  pmn_ocl_space raw;     /* pictures of their own sizes, on the device */
  pmn_ocl_resample_batch resampling;
  cl_event started, done; /* of the kernels and of all; NULL while nothing is under way */
} slot;

enum { RUN_SLOT = PMN_OCL_SLOTS };

typedef struct ocl_network {
  pmn_network base;
  pmn_ocl_batch batch;
  size_t output_size, output_at; /* of one picture: floats; floats into where it is read from: */
  cl_mem output;                 /* the arena, or projected; not held */
  pmn_ocl_launch *launches;
  int32_t launch_count;
  pmn_ocl_launch projection; /* the last one, from the arena to projected; no kernel: there is none */
  cl_mem projected;          /* [slice, k + 1], of the batches in turn, as the arena is */
  slot slots[PMN_OCL_SLOTS + 1];
  pmn_tensor input;             /* of the program */
  bool bytes;                   /* that is what it takes */
  pmn_ocl_resampler *resampler; /* NULL: pictures come as the network sees them */
} ocl_network;

pmn_status pmn_ocl_buffer_create(pmn_ocl_device *device, size_t count, size_t size, const void *host, const char *what,
    cl_mem *buffer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes;
  cl_int code;
  if (!pmn_size_mul(count, size, &bytes) || bytes > device->buffer_bytes_max) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "%s: %zu x %zu bytes for %s; the largest buffer it allows has %llu",
        device->base.info.name, count, size, what, (unsigned long long)device->buffer_bytes_max);
  }
  cl_mem_flags flags = host != NULL ? CL_MEM_READ_ONLY | CL_MEM_COPY_HOST_PTR : CL_MEM_READ_WRITE;
  /* The cast drops a const that OpenCL does not know of: COPY_HOST_PTR only reads. */
  *buffer = clCreateBuffer(device->context, flags, bytes > 0 ? bytes : 1, (void *)(uintptr_t)host, &code);
  PMN_OCL_TRY(device, code, what, err);
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- slots -- */

static pmn_status pinned_create(
    pmn_ocl_device *device, size_t count, size_t size, const char *what, pinned *memory, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes;
  cl_int code;
  if (!pmn_size_mul(count, size, &bytes)) PMN_TRY(pmn_err_memory(err, size, what));
  memory->buffer = clCreateBuffer(device->context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, bytes, NULL, &code);
  PMN_OCL_TRY(device, code, what, err);
  memory->data = clEnqueueMapBuffer(
      device->uploads, memory->buffer, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, bytes, 0, NULL, NULL, &code);
  PMN_OCL_TRY(device, code, what, err);
done:
  return st;
}

static void pinned_reset(const pmn_ocl_device *device, pinned *memory) {
  if (memory->data != NULL) clEnqueueUnmapMemObject(device->uploads, memory->buffer, memory->data, 0, NULL, NULL);
  if (memory->buffer != NULL) clReleaseMemObject(memory->buffer);
  *memory = (pinned){0};
}

static void event_reset(cl_event *event) {
  if (*event != NULL) clReleaseEvent(*event);
  *event = NULL;
}

static void slot_reset(const pmn_ocl_device *device, slot *s) {
  event_reset(&s->started);
  event_reset(&s->done);
  pinned_reset(device, &s->pictures);
  pinned_reset(device, &s->rows);
  pmn_ocl_space_reset(&s->raw);
  pmn_ocl_resample_batch_reset(&s->resampling);
  if (s->input != NULL) clReleaseMemObject(s->input);
  s->input = NULL;
}

/* Nothing of the slot is under way any more, whatever became of it. */
static void slot_abandon(const pmn_ocl_device *device, slot *s) {
  clFinish(device->uploads);
  clFinish(device->queue);
  event_reset(&s->started);
  event_reset(&s->done);
}

/* Room for pictures of their own sizes. Tables of the slice before may still be on their way from where those of this
 * one will be. */
static pmn_status raw_reserve(const ocl_network *network, slot *s, size_t bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->batch.device;
  if (s->done != NULL) PMN_OCL_TRY(device, clWaitForEvents(1, &s->done), "resizing pictures", err);
  PMN_TRY(pmn_ocl_space_reserve(device, &s->raw, bytes, 1, "pictures", err));
done:
  return st;
}

/* Enqueues n pictures, no more than a slice, from `from` to `to`, which is done at s->done; `input_bytes` of them, of
 * these sizes, or as the network sees them if that is NULL. What was under way in the slot before may not be done yet.
 */
static pmn_status slice_enqueue(ocl_network *network, slot *s, const char *from, size_t input_bytes,
    const pmn_picture_size *sizes, int32_t n, float *to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->batch.device;
  size_t output_bytes = (size_t)n * network->output_size * sizeof *to;
  cl_event uploaded = NULL, computing = NULL;
  if (sizes != NULL) PMN_TRY(raw_reserve(network, s, input_bytes, err));
  PMN_OCL_TRY(device,
      clEnqueueWriteBuffer(device->uploads, sizes != NULL ? s->raw.buffer : s->input, CL_FALSE, 0, input_bytes, from,
          s->done != NULL, s->done != NULL ? &s->done : NULL, &uploaded),
      "uploading pictures", err);
  event_reset(&s->done);
  PMN_OCL_TRY(device, clFlush(device->uploads), "uploading pictures", err);
  PMN_OCL_TRY(device, clEnqueueBarrierWithWaitList(device->queue, 1, &uploaded, &computing), "a kernel", err);
  if (sizes != NULL)
    PMN_TRY(pmn_ocl_resampler_run(network->resampler, &s->resampling, sizes, n, s->raw.buffer, s->input, err));
  for (int32_t i = 0; i < network->launch_count; i++) {
    PMN_TRY(pmn_ocl_launch_run(&network->launches[i], device, s->input, n, err));
  }
  if (network->projection.kernel != NULL) PMN_TRY(pmn_ocl_launch_run(&network->projection, device, s->input, n, err));
  PMN_OCL_TRY(device,
      clEnqueueReadBuffer(device->queue, network->output, CL_FALSE, network->output_at * sizeof *to, output_bytes, to,
          0, NULL, &s->done),
      "running the network", err);
  PMN_OCL_TRY(device, clFlush(device->queue), "running the network", err);
  if (s->started == NULL) {
    s->started = computing;
    computing = NULL;
  }
done:
  event_reset(&uploaded);
  event_reset(&computing);
  return st;
}

/* The same for a whole batch, slice after slice. After an error nothing of it is under way. */
static pmn_status batch_enqueue(ocl_network *network, slot *s, const char *from, const pmn_picture_size *sizes,
    int32_t n, float *to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->batch.device;
  int32_t slice = network->batch.slice;
  if (s->input == NULL)
    PMN_TRY(
        pmn_ocl_buffer_create(device, (size_t)slice, network->base.picture_bytes, NULL, "pictures", &s->input, err));
  for (int32_t first = 0; first < n; first += slice) {
    int32_t count = n - first < slice ? n - first : slice;
    size_t bytes = (size_t)count * network->base.picture_bytes;
    if (sizes != NULL) PMN_TRY(pmn_ocl_resampler_bytes(network->resampler, sizes + first, count, &bytes, err));
    PMN_TRY(slice_enqueue(network, s, from, bytes, sizes != NULL ? sizes + first : NULL, count,
        to + (size_t)first * network->output_size, err));
    from += bytes;
  }
done:
  if (st != PMN_STATUS_OK) slot_abandon(device, s);
  return st;
}

/* Waits for the batch. *seconds: from its first kernel to its last row, by the device's clock. */
static pmn_status batch_wait(ocl_network *network, slot *s, double *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = network->batch.device;
  cl_ulong start = 0, end = 0; /* nanoseconds */
  PMN_OCL_TRY(device, clWaitForEvents(1, &s->done), "running the network", err);
  PMN_OCL_TRY(device, clGetEventProfilingInfo(s->started, CL_PROFILING_COMMAND_END, sizeof start, &start, NULL),
      "asking for the time", err);
  PMN_OCL_TRY(device, clGetEventProfilingInfo(s->done, CL_PROFILING_COMMAND_END, sizeof end, &end, NULL),
      "asking for the time", err);
  *seconds = end > start ? (double)(end - start) * 1e-9 : 0.0;
done:
  if (st != PMN_STATUS_OK) slot_abandon(device, s);
  event_reset(&s->started);
  event_reset(&s->done);
  return st;
}

pmn_status pmn_ocl_network_input(pmn_network *base, int32_t index, void **input, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  ocl_network *network = (ocl_network *)base;
  pmn_ocl_device *device = network->batch.device;
  slot *s = &network->slots[index];
  size_t most = (size_t)base->batch_max;
  size_t picture_bytes = network->base.picture_bytes * (network->resampler != NULL ? PMN_RAW_PIXELS : 1);
  PMN_TRY(pinned_create(device, most, picture_bytes, "pictures", &s->pictures, err));
  PMN_TRY(pinned_create(device, most, network->output_size * sizeof(float), "rows", &s->rows, err));
  *input = s->pictures.data;
done:
  if (st != PMN_STATUS_OK) slot_reset(device, s);
  return st;
}

pmn_status pmn_ocl_network_submit(pmn_network *base, int32_t index, int32_t n, pmn_err *err) {
  ocl_network *network = (ocl_network *)base;
  slot *s = &network->slots[index];
  return batch_enqueue(network, s, s->pictures.data, NULL, n, s->rows.data, err);
}

pmn_status pmn_ocl_network_resize(pmn_network *base, pmn_filter filter, bool *resizes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  ocl_network *network = (ocl_network *)base;
  pmn_ocl_device *device = network->batch.device;
  const pmn_tensor *input = &network->input;
  const char *asked = getenv("POMONA_RESIZE");
  bool wanted = device->base.info.type == PMN_DEVICE_GPU;
  if (asked != NULL && strcmp(asked, "device") != 0 && strcmp(asked, "host") != 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "POMONA_RESIZE is \"device\" or \"host\", not \"%s\"", asked);
  if (asked != NULL) wanted = strcmp(asked, "device") == 0;
  if (!wanted || !network->bytes || input->c != 3) goto done;
  for (size_t i = 0; i < sizeof network->slots / sizeof *network->slots; i++)
    pmn_ocl_resample_batch_init(&network->slots[i].resampling);
  PMN_TRY(pmn_ocl_resampler_create(device, filter, input->w, input->h, &network->resampler, err));
  /* What waits to be resized lies in one buffer, too. */
  size_t fits = device->buffer_bytes_max / (PMN_RAW_PIXELS * network->base.picture_bytes);
  if (fits < (size_t)network->batch.slice) network->batch.slice = fits > 0 ? (int32_t)fits : 1;
  *resizes = true;
done:
  return st;
}

pmn_status pmn_ocl_network_submit_pictures(
    pmn_network *base, int32_t index, const pmn_picture_size *sizes, int32_t n, pmn_err *err) {
  ocl_network *network = (ocl_network *)base;
  slot *s = &network->slots[index];
  return batch_enqueue(network, s, s->pictures.data, sizes, n, s->rows.data, err);
}

pmn_status pmn_ocl_network_collect(pmn_network *base, int32_t index, int32_t n, float *output, pmn_err *err) {
  ocl_network *network = (ocl_network *)base;
  slot *s = &network->slots[index];
  double seconds = 0.0;
  pmn_status st = batch_wait(network, s, &seconds, err);
  base->seconds += seconds;
  if (st == PMN_STATUS_OK) memcpy(output, s->rows.data, (size_t)n * network->output_size * sizeof *output);
  return st;
}

pmn_status pmn_ocl_network_run(pmn_network *base, const void *input, int32_t n, float *output, pmn_err *err) {
  ocl_network *network = (ocl_network *)base;
  slot *s = &network->slots[RUN_SLOT];
  double seconds;
  pmn_status st = batch_enqueue(network, s, input, NULL, n, output, err);
  return st == PMN_STATUS_OK ? batch_wait(network, s, &seconds, err) : st;
}

/* --------------------------------------------------------------------------------------------------- network -- */

void pmn_ocl_network_destroy(pmn_network *base) {
  ocl_network *network = (ocl_network *)base;
  if (network == NULL) return;
  const pmn_ocl_device *device = network->batch.device;
  for (size_t i = 0; device != NULL && i < sizeof network->slots / sizeof *network->slots; i++) {
    slot *s = &network->slots[i];
    if (s->done != NULL) slot_abandon(device, s);
    slot_reset(device, s);
  }
  pmn_ocl_resampler_destroy(network->resampler);
  for (int32_t i = 0; i < network->launch_count; i++) pmn_ocl_launch_reset(&network->launches[i]);
  pmn_ocl_launch_reset(&network->projection);
  if (network->projected != NULL) clReleaseMemObject(network->projected);
  if (network->batch.arena != NULL) clReleaseMemObject(network->batch.arena);
  pmn_free(network->launches);
  pmn_free(network);
}

int32_t pmn_ocl_network_launches(const pmn_network *base) {
  return ((const ocl_network *)base)->launch_count;
}

/* What one picture takes of the arena; parts begin at multiples of 16 numbers, as tensors do. */
static void arena_lay_out(pmn_ocl_batch *batch) {
  const pmn_program *program = batch->program;
  const pmn_tensor *input = &program->tensors[program->input], *output = &program->tensors[program->output];
  batch->width = pmn_ocl_width(batch->device);
  batch->arena_size = program->arena_size;
  batch->output_at = output->arena_offset;
  if (batch->device->base.precision != PMN_PRECISION_FP16) return;
  size_t end = (program->arena_size + 15) / 16 * 16;
  batch->narrowed = program->input_type == PMN_INPUT_F32;
  batch->input_at = end;
  if (batch->narrowed) end += (pmn_tensor_size(input) + 15) / 16 * 16;
  batch->output_at = end / 2;
  batch->arena_size = end + 2 * pmn_tensor_size(output);
}

/* How many pictures at once: no tensor of them may have 2^31 elements, nor the arena outgrow the largest buffer. */
static int32_t slice_choose(const pmn_ocl_batch *batch, int32_t batch_max) {
  const pmn_ocl_device *device = batch->device;
  const pmn_program *program = batch->program;
  size_t most = (size_t)batch_max, arena_bytes = batch->arena_size * batch->width;
  for (int32_t i = 0; i < program->tensor_count; i++) {
    size_t fits = (size_t)INT32_MAX / pmn_tensor_size(&program->tensors[i]);
    if (fits < most) most = fits;
  }
  if (device->buffer_bytes_max / arena_bytes < most) most = device->buffer_bytes_max / arena_bytes;
  return most > 0 ? (int32_t)most : 1; /* if not even one fits, creating the buffer says so */
}

/* The launches of the plan; those made before an error are counted, too. */
static pmn_status launches_init(ocl_network *network, const pmn_ocl_plan *plan, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_ocl_batch *batch = &network->batch;
  const pmn_program *program = &plan->program;
  pmn_ocl_launch *launches = network->launches;
  int32_t *count = &network->launch_count;
  if (batch->narrowed) PMN_TRY(pmn_ocl_launch_convert(&launches[(*count)++], batch, PMN_OCL_NARROW, err));
  for (int32_t i = 0; i < program->op_count; i += plan->lengths[i]) {
    pmn_ocl_block block;
    if (pmn_ocl_block_find(batch->device, program, i, &block) > 1)
      PMN_TRY(pmn_ocl_launch_init_block(&launches[(*count)++], batch, &block, err));
    else
      PMN_TRY(pmn_ocl_launch_init(&launches[(*count)++], batch, &program->ops[i], err));
  }
  if (batch->device->base.precision == PMN_PRECISION_FP16)
    PMN_TRY(pmn_ocl_launch_convert(&launches[(*count)++], batch, PMN_OCL_WIDEN, err));
done:
  return st;
}

pmn_status pmn_ocl_network_create(
    pmn_device *base, const pmn_program *program, int32_t batch_max, pmn_network **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = (pmn_ocl_device *)base;
  ocl_network *network = pmn_calloc(1, sizeof *network);
  pmn_ocl_launch *launches = pmn_calloc((size_t)program->op_count + 2, sizeof *launches); /* two that convert */
  pmn_ocl_plan plan = {0};
  if (network == NULL || launches == NULL) {
    pmn_free(launches);
    st = pmn_err_memory(err, ((size_t)program->op_count + 2) * sizeof *launches, "an OpenCL network");
    goto done;
  }
  network->launches = launches;
  PMN_TRY(pmn_ocl_plan_init(&plan, device, program, err));
  program = &plan.program;
  const pmn_tensor *output = &program->tensors[program->output];
  network->input = program->tensors[program->input];
  network->bytes = program->input_type == PMN_INPUT_U8;
  network->batch = (pmn_ocl_batch){.device = device, .program = program};
  arena_lay_out(&network->batch);
  network->batch.slice = slice_choose(&network->batch, batch_max);
  size_t slice = (size_t)network->batch.slice;
  network->output_size = pmn_tensor_size(output);
  network->output_at = network->batch.output_at * slice;
  PMN_TRY(pmn_ocl_buffer_create(device, slice, network->batch.arena_size * network->batch.width, NULL,
      "the tensors of a batch", &network->batch.arena, err));
  network->output = network->batch.arena;
  PMN_TRY(launches_init(network, &plan, err));
  network->batch.program = NULL;
  *result = &network->base;
  network = NULL;
done:
  pmn_ocl_plan_reset(&plan);
  pmn_ocl_network_destroy((pmn_network *)network);
  return st;
}

pmn_status pmn_ocl_network_project(pmn_network *base, const pmn_linear_map *map, bool *taken, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  ocl_network *network = (ocl_network *)base;
  pmn_ocl_device *device = network->batch.device;
  pmn_ocl_launch projection = {0};
  size_t width = (size_t)map->k + 1, slice = (size_t)network->batch.slice;
  cl_mem rows = NULL;
  if (network->projection.kernel != NULL || network->output_size != (size_t)map->d) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a projection of %d columns behind a network whose rows have %zu%s", map->d,
        network->output_size, network->projection.kernel != NULL ? " and are projected already" : "");
  }
  PMN_TRY(pmn_ocl_buffer_create(device, slice, width * sizeof(float), NULL, "projected rows", &rows, err));
  PMN_TRY(pmn_ocl_project_init(&projection, device, map, network->batch.arena, network->output_at, rows, err));
  if (projection.kernel == NULL) goto done;
  network->projection = projection;
  network->output = network->projected = rows;
  network->output_at = 0;
  network->output_size = width;
  *taken = true;
  for (int32_t i = 0; i < PMN_OCL_SLOTS; i++) {
    slot *s = &network->slots[i];
    if (s->rows.data == NULL) continue;
    pinned_reset(device, &s->rows);
    PMN_TRY(pinned_create(device, (size_t)base->batch_max, width * sizeof(float), "rows", &s->rows, err));
  }
done:
  if (!*taken) {
    pmn_ocl_launch_reset(&projection);
    if (rows != NULL) clReleaseMemObject(rows);
  }
  return st;
}
