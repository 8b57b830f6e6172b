/* pmn_cpu.c - the cpu backend: one picture per thread, all layers of it, in that thread's own arena.
 *
 * A picture never crosses threads, so there is nothing to synchronise inside a network, weights are shared through the
 * last-level cache, and the result cannot depend on batch or thread count. Weights are packed once, when the network is
 * created; running allocates nothing.
 */
#include "pmn_backends.h"
#include "pmn_cpu_blas.h"
#include "pmn_cpu_layers.h"

#include "pmn_mem.h"
#include "pmn_pool.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct cpu_device {
  pmn_device base;
  const pmn_cpu_kernels *kernels;
  pmn_pool *pool;
} cpu_device;

/* What one thread needs besides the packed weights. */
typedef struct workspace {
  float *arena;
  float *input; /* the picture: normalised bytes, or a copy that has its slack */
  pmn_cpu_scratch scratch;
} workspace;

typedef struct cpu_network {
  pmn_network base;
  pmn_tensor *tensors;
  pmn_cpu_layer *layers;
  int32_t layer_count, input, output, thread_count;
  pmn_input_type input_type;
  float input_scale[3], input_shift[3];
  size_t input_size, output_size, arena_size;
  workspace *workspaces;
  /* of the call in flight */
  const void *batch_input;
  float *batch_output;
} cpu_network;

/* ---------------------------------------------------------------------------------------------------- device -- */

static void fill_info(const pmn_cpu_kernels *kernels, pmn_device_info *info) {
  *info = (pmn_device_info){.type = PMN_DEVICE_CPU, .compute_units = pmn_pool_processors()};
  snprintf(info->backend, sizeof info->backend, "cpu");
  snprintf(info->driver, sizeof info->driver, "%s kernels", kernels->isa);
  snprintf(info->name, sizeof info->name, "this machine's processor");
  FILE *file = fopen("/proc/cpuinfo", "re");
  char line[256];
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "model name", 10) != 0 || strchr(line, ':') == NULL) continue;
    const char *name = strchr(line, ':') + 1;
    name += strspn(name, " ");
    snprintf(info->name, sizeof info->name, "%.*s", (int)strcspn(name, "\n"), name);
    break;
  }
  if (file != NULL) fclose(file);
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) info->memory_bytes = (uint64_t)pages * (uint64_t)page;
}

static pmn_status devices(pmn_device_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  (void)err;
  *count = 1;
  if (capacity > 0) fill_info(pmn_cpu_kernels_find(NULL), &list[0]);
  return PMN_STATUS_OK;
}

static void close_device(pmn_device *device) {
  cpu_device *self = (cpu_device *)device;
  pmn_pool_destroy(self->pool);
  pmn_free(self);
}

static pmn_status open_device(const pmn_device_options *options, pmn_device **device, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cpu_device *self = NULL;
  const pmn_cpu_kernels *kernels = pmn_cpu_kernels_find(options->isa);
  if (kernels == NULL) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "this processor has no %s kernels; its best are %s", options->isa,
        pmn_cpu_kernels_find(NULL)->isa);
  }
  if (options->index > 0) {
    PMN_FAIL(err, PMN_STATUS_DEVICE, "there is no cpu device %d; the only one is 0", options->index);
  }
  self = pmn_calloc(1, sizeof *self);
  if (self == NULL) {
    st = pmn_err_memory(err, sizeof *self, "a device");
    goto done;
  }
  self->kernels = kernels;
  fill_info(kernels, &self->base.info);
  PMN_TRY(pmn_pool_create(options->threads, &self->pool, err));
  *device = &self->base;
  self = NULL;
done:
  if (self != NULL) close_device(&self->base);
  return st;
}

/* --------------------------------------------------------------------------------------------------- network -- */

static void workspace_reset(workspace *w) {
  pmn_free(w->arena);
  pmn_free(w->input);
  pmn_free(w->scratch.patches);
  pmn_free(w->scratch.zeros);
  pmn_free(w->scratch.wide);
  pmn_free(w->scratch.narrow);
  pmn_free(w->scratch.sums);
  pmn_free(w->scratch.squares);
  pmn_free(w->scratch.rows);
}

static void network_destroy(pmn_network *network) {
  cpu_network *self = (cpu_network *)network;
  for (int32_t i = 0; self->layers != NULL && i < self->layer_count; i++) pmn_cpu_layer_reset(&self->layers[i]);
  for (int32_t i = 0; self->workspaces != NULL && i < self->thread_count; i++) workspace_reset(&self->workspaces[i]);
  pmn_free(self->workspaces);
  pmn_free(self->layers);
  pmn_free(self->tensors);
  pmn_free(self);
}

static pmn_status workspace_init(
    const cpu_network *self, const pmn_cpu_scratch_sizes *sizes, workspace *w, pmn_err *err) {
  pmn_cpu_scratch *s = &w->scratch;
  w->arena = pmn_alloc_aligned(self->arena_size + PMN_CPU_SLACK, sizeof(float));
  w->input = pmn_alloc_aligned(self->input_size + PMN_CPU_SLACK, sizeof(float));
  s->patches = pmn_alloc_aligned(sizes->patches + PMN_CPU_SLACK, sizeof(float));
  s->zeros = pmn_calloc(sizes->zeros, sizeof(float));
  s->wide = pmn_alloc_aligned(sizes->wide, sizeof(float));
  s->narrow = pmn_alloc_aligned(sizes->narrow, sizeof(float));
  s->sums = pmn_alloc_aligned(sizes->sums, sizeof(float));
  s->squares = pmn_alloc_aligned(sizes->squares, sizeof(float));
  s->rows = pmn_calloc(sizes->rows, sizeof *s->rows);
  bool good = w->arena != NULL && w->input != NULL && s->patches != NULL && s->zeros != NULL && s->wide != NULL &&
              s->narrow != NULL && s->sums != NULL && s->squares != NULL && s->rows != NULL;
  return good ? PMN_STATUS_OK : pmn_err_memory(err, self->arena_size * sizeof(float), "a thread's workspace");
}

static pmn_status network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err) {
  (void)batch_max; /* pictures are taken one at a time: any batch costs the same memory */
  pmn_status st = PMN_STATUS_OK;
  cpu_device *cpu = (cpu_device *)device;
  cpu_network *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a network");
  self->base.device = device;
  self->tensors = pmn_alloc((size_t)program->tensor_count, sizeof *self->tensors);
  self->layers = pmn_calloc((size_t)program->op_count, sizeof *self->layers);
  if (self->tensors == NULL || self->layers == NULL) {
    st = pmn_err_memory(err, sizeof *self->layers * (size_t)program->op_count, "a network");
    goto done;
  }
  memcpy(self->tensors, program->tensors, (size_t)program->tensor_count * sizeof *self->tensors);
  self->input = program->input;
  self->output = program->output;
  self->input_type = program->input_type;
  memcpy(self->input_scale, program->input_scale, sizeof self->input_scale);
  memcpy(self->input_shift, program->input_shift, sizeof self->input_shift);
  self->input_size = pmn_tensor_size(&program->tensors[program->input]);
  self->output_size = pmn_tensor_size(&program->tensors[program->output]);
  self->arena_size = program->arena_size;
  self->thread_count = pmn_pool_threads(cpu->pool);
  pmn_cpu_scratch_sizes sizes = {0};
  for (int32_t i = 0, taken; i < program->op_count; i += taken) {
    pmn_cpu_layer *layer = &self->layers[self->layer_count++];
    PMN_TRY(pmn_cpu_layer_init(layer, cpu->kernels, program, i, &taken, &sizes, err));
  }
  self->workspaces = pmn_calloc((size_t)self->thread_count, sizeof *self->workspaces);
  if (self->workspaces == NULL) {
    st = pmn_err_memory(err, sizeof *self->workspaces, "workspaces");
    goto done;
  }
  for (int32_t i = 0; i < self->thread_count; i++) PMN_TRY(workspace_init(self, &sizes, &self->workspaces[i], err));
  *network = &self->base;
  self = NULL;
done:
  if (self != NULL) network_destroy(&self->base);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- run -- */

static const float *tensor_data(const cpu_network *self, const workspace *w, const float *picture, int32_t tensor) {
  if (tensor == PMN_NO_TENSOR) return NULL;
  return tensor == self->input ? picture : w->arena + self->tensors[tensor].arena_offset;
}

static void run_picture(void *arg, int64_t index, int32_t worker) {
  cpu_network *self = arg;
  const pmn_cpu_kernels *kernels = ((const cpu_device *)self->base.device)->kernels;
  workspace *w = &self->workspaces[worker];
  float *picture = w->input;
  size_t offset = (size_t)index * self->input_size;
  if (self->input_type == PMN_INPUT_U8) {
    const uint8_t *bytes = (const uint8_t *)self->batch_input + offset;
    kernels->normalize(bytes, self->input_size / 3, self->input_scale, self->input_shift, picture);
  } else {
    memcpy(picture, (const float *)self->batch_input + offset, self->input_size * sizeof(float));
  }
  for (int32_t i = 0; i < self->layer_count; i++) {
    const pmn_cpu_layer *layer = &self->layers[i];
    const pmn_op *end = pmn_cpu_layer_end(layer);
    pmn_cpu_operands operands = {.x = tensor_data(self, w, picture, layer->op.input),
        .residual = tensor_data(self, w, picture, end->residual),
        .factor = tensor_data(self, w, picture, end->factor),
        .y = w->arena + self->tensors[end->output].arena_offset};
    pmn_cpu_layer_run(layer, kernels, self->tensors, &operands, &w->scratch);
  }
  memcpy(self->batch_output + (size_t)index * self->output_size, w->arena + self->tensors[self->output].arena_offset,
      self->output_size * sizeof(float));
}

static pmn_status network_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err) {
  (void)err;
  cpu_network *self = (cpu_network *)network;
  self->batch_input = input;
  self->batch_output = output;
  pmn_pool_run(((cpu_device *)network->device)->pool, n, run_picture, self);
  return PMN_STATUS_OK;
}

const pmn_backend pmn_backend_cpu = {
    .name = "cpu",
    .devices = devices,
    .open = open_device,
    .close = close_device,
    .network_create = network_create,
    .network_run = network_run,
    .network_destroy = network_destroy,
    .syrk = pmn_cpu_syrk,
    .gemm = pmn_cpu_gemm_plain,
};
