/* pmn_cpu_network.c - a program compiled for the cpu, and how it runs.
 *
 * A picture never crosses threads, so there is nothing to synchronise inside a network and the result cannot depend on
 * batch or thread count. Weights are packed once, when the network is created; running allocates nothing.
 *
 * A thread takes a group of pictures. The first part of the network it runs picture by picture, all layers of one in a
 * single arena: there tensors are large, and go from layer to layer through level 2. The second part it runs layer by
 * layer, all pictures of the group, each in a small arena of its own: there the weights are large, and once brought
 * from memory they serve the whole group.
 */
#include "pmn_cpu_network.h"

#include "pmn_cpu_plan.h"

#include "pmn_clock.h"
#include "pmn_mem.h"

#include <string.h>

/* What one thread needs besides the packed weights. */
typedef struct workspace {
  float *arena; /* of the one picture in the first part of the network */
  float *late;  /* [group][late_size]: arenas of the pictures in its second part */
  float *input; /* the picture: normalised bytes, or a copy that has its slack */
  pmn_cpu_scratch scratch;
  double *seconds; /* [layer_count] spent in each layer so far */
} workspace;

typedef struct cpu_network {
  pmn_network base;
  pmn_tensor *tensors;
  pmn_cpu_layer *layers;
  int32_t layer_count, input, output, thread_count;
  int32_t split;     /* layers from here on are run one after the other for a group of pictures */
  int32_t group;     /* pictures in a group, at most */
  size_t late_size;  /* floats that the tensors of those layers reach to in the arena */
  int32_t *crossing; /* [crossing_count]: tensors that the first part writes and the second reads */
  int32_t crossing_count;
  pmn_input_type input_type;
  float input_scale[3], input_shift[3];
  size_t input_size, output_size, arena_size;
  workspace *workspaces;
  pmn_slab slab; /* of packed weights and what workspaces point to */
  /* of the call in flight */
  int32_t batch, group_now;
  const void *batch_input;
  float *batch_output;
} cpu_network;

void pmn_cpu_network_destroy(pmn_network *network) {
  cpu_network *self = (cpu_network *)network;
  pmn_slab_reset(&self->slab);
  pmn_free(self->workspaces);
  pmn_free(self->layers);
  pmn_free(self->crossing);
  pmn_free(self->tensors);
  pmn_free(self);
}

static pmn_status workspace_init(cpu_network *self, const pmn_cpu_scratch_sizes *sizes, workspace *w, pmn_err *err) {
  pmn_slab *slab = &self->slab;
  pmn_cpu_scratch *s = &w->scratch;
  w->arena = pmn_slab_alloc(slab, self->arena_size + PMN_CPU_SLACK, sizeof(float));
  w->late = pmn_slab_alloc(slab, (size_t)self->group * self->late_size + PMN_CPU_SLACK, sizeof(float));
  w->input = pmn_slab_alloc(slab, self->input_size + PMN_CPU_SLACK, sizeof(float));
  w->seconds = pmn_slab_calloc(slab, (size_t)self->layer_count, sizeof *w->seconds);
  s->patches = pmn_slab_alloc(slab, sizes->patches + PMN_CPU_SLACK, sizeof(float));
  s->zeros = pmn_slab_calloc(slab, sizes->zeros, sizeof(float));
  s->wide = pmn_slab_alloc(slab, sizes->wide, sizeof(float));
  s->narrow = pmn_slab_alloc(slab, sizes->narrow, sizeof(float));
  s->sums = pmn_slab_alloc(slab, sizes->sums, sizeof(float));
  s->spectrum = pmn_slab_alloc(slab, sizes->spectrum, sizeof(float));
  s->products = pmn_slab_alloc(slab, sizes->products, sizeof(float));
  s->squares = pmn_slab_alloc(slab, sizes->squares, sizeof(float));
  s->rows = pmn_slab_calloc(slab, sizes->rows, sizeof *s->rows);
  bool good = w->arena != NULL && w->late != NULL && w->input != NULL && w->seconds != NULL && s->patches != NULL &&
              s->zeros != NULL && s->wide != NULL && s->narrow != NULL && s->sums != NULL && s->spectrum != NULL &&
              s->products != NULL && s->squares != NULL && s->rows != NULL;
  return good ? PMN_STATUS_OK : pmn_err_memory(err, self->arena_size * sizeof(float), "a thread's workspace");
}

/* Bytes of a layer's tensor. */
static size_t tensor_bytes(const cpu_network *self, int32_t tensor) {
  return tensor == PMN_NO_TENSOR ? 0 : pmn_tensor_size(&self->tensors[tensor]) * sizeof(float);
}

/* Run picture by picture, a layer reads its weights anew for each; run for a group of pictures at once, it reads the
 * pictures from farther away. The second pays at the end of a network, where pictures are small and weights large: the
 * split is where the bytes saved from there on are the most. */
static void choose_split(cpu_network *self) {
  int64_t saved = 0, most = 0;
  self->split = self->layer_count;
  for (int32_t i = self->layer_count - 1; i >= 0; i--) {
    const pmn_cpu_layer *layer = &self->layers[i];
    const pmn_op *end = pmn_cpu_layer_end(layer);
    if (pmn_cpu_layer_reads(layer, self->input)) break;
    size_t pictures = tensor_bytes(self, layer->op.input) + tensor_bytes(self, end->output) +
                      tensor_bytes(self, end->residual) + tensor_bytes(self, end->factor);
    saved += (int64_t)layer->weight_bytes - (int64_t)pictures;
    if (saved > most) {
      most = saved;
      self->split = i;
    }
  }
}

/* What the second part needs: room for its tensors, and those that the first part leaves to it. */
static pmn_status plan_late(cpu_network *self, int32_t tensor_count, pmn_err *err) {
  self->crossing = pmn_calloc((size_t)tensor_count, sizeof *self->crossing);
  bool *early = pmn_calloc((size_t)tensor_count, sizeof *early);
  if (self->crossing == NULL || early == NULL) {
    pmn_free(early);
    return pmn_err_memory(err, (size_t)tensor_count * sizeof *self->crossing, "a network");
  }
  for (int32_t i = 0; i < self->split; i++) early[pmn_cpu_layer_end(&self->layers[i])->output] = true;
  for (int32_t t = 0; t < tensor_count; t++) {
    bool read = t == self->output, written = false;
    for (int32_t i = self->split; i < self->layer_count; i++) {
      read = read || pmn_cpu_layer_reads(&self->layers[i], t);
      written = written || pmn_cpu_layer_end(&self->layers[i])->output == t;
    }
    if (!read && !written) continue;
    if (early[t]) self->crossing[self->crossing_count++] = t;
    size_t end = self->tensors[t].arena_offset + pmn_tensor_size(&self->tensors[t]);
    if (end > self->late_size) self->late_size = end;
  }
  self->late_size = (self->late_size + 2 * PMN_CPU_SLACK - 1) / PMN_CPU_SLACK * PMN_CPU_SLACK;
  pmn_free(early);
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_cpu_device *cpu = (const pmn_cpu_device *)device;
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
  self->thread_count = pmn_pool_threads(cpu->pool);
  pmn_cpu_scratch_sizes sizes = {0};
  for (int32_t op = 0; op < program->op_count;) {
    pmn_cpu_layer *layer = &self->layers[self->layer_count++];
    PMN_TRY(pmn_cpu_layer_init(layer, &cpu->kernels, program, op, &self->slab, &sizes, err));
    op += layer->op_count;
  }
  self->group = (batch_max + self->thread_count - 1) / self->thread_count;
  if (self->group > PMN_CPU_GROUP_MAX) self->group = PMN_CPU_GROUP_MAX;
  choose_split(self);
  pmn_cpu_plan plan = {.layers = self->layers,
      .tensors = self->tensors,
      .layer_count = self->layer_count,
      .tensor_count = program->tensor_count,
      .split = self->split,
      .input = program->input,
      .output = program->output};
  PMN_TRY(pmn_cpu_plan_make(&plan, err));
  self->arena_size = plan.arena_size;
  PMN_TRY(plan_late(self, program->tensor_count, err));
  self->workspaces = pmn_calloc((size_t)self->thread_count, sizeof *self->workspaces);
  if (self->workspaces == NULL) {
    st = pmn_err_memory(err, sizeof *self->workspaces, "workspaces");
    goto done;
  }
  for (int32_t i = 0; i < self->thread_count; i++) PMN_TRY(workspace_init(self, &sizes, &self->workspaces[i], err));
  *network = &self->base;
  self = NULL;
done:
  if (self != NULL) pmn_cpu_network_destroy(&self->base);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- run -- */

/* Where a tensor is, for the picture whose arena it is. */
static const float *tensor_data(const cpu_network *self, const float *arena, const float *picture, int32_t tensor) {
  if (tensor == PMN_NO_TENSOR) return NULL;
  return tensor == self->input ? picture : arena + self->tensors[tensor].arena_offset;
}

static pmn_cpu_operands find_operands(const cpu_network *self, int32_t index, float *arena, const float *picture) {
  const pmn_op *op = &self->layers[index].op, *end = pmn_cpu_layer_end(&self->layers[index]);
  return (pmn_cpu_operands){.x = tensor_data(self, arena, picture, op->input),
      .residual = tensor_data(self, arena, picture, end->residual),
      .factor = tensor_data(self, arena, picture, end->factor),
      .y = arena + self->tensors[end->output].arena_offset};
}

static void run_layer(const cpu_network *self, int32_t index, float *arenas, int32_t count, workspace *w) {
  const pmn_cpu_kernels *kernels = &((const pmn_cpu_device *)self->base.device)->kernels;
  pmn_cpu_operands operands[PMN_CPU_GROUP_MAX];
  for (int32_t i = 0; i < count; i++) {
    operands[i] = find_operands(self, index, arenas + (size_t)i * self->late_size, w->input);
  }
  double before = pmn_clock_seconds();
  pmn_cpu_layer_run(&self->layers[index], kernels, self->tensors, operands, count, &w->scratch);
  w->seconds[index] += pmn_clock_seconds() - before;
}

/* The layers of a chain, strip by strip. */
static void run_chain(const cpu_network *self, int32_t first, workspace *w) {
  const pmn_cpu_kernels *kernels = &((const pmn_cpu_device *)self->base.device)->kernels;
  const pmn_cpu_layer *layers = &self->layers[first];
  const pmn_tensor *out = &self->tensors[layers->op.output];
  int32_t pixels = out->h * out->w, strip = layers->strip;
  pmn_cpu_operands operands[PMN_CPU_CHAIN_MAX];
  for (int32_t i = 0; i < layers->chain; i++) operands[i] = find_operands(self, first + i, w->arena, w->input);
  for (int32_t at = 0; at < pixels; at += strip) {
    int32_t count = pixels - at < strip ? pixels - at : strip;
    for (int32_t i = 0; i < layers->chain; i++) {
      double before = pmn_clock_seconds();
      pmn_cpu_layer_run_pixels(&layers[i], kernels, self->tensors, &operands[i], at, count, &w->scratch);
      w->seconds[first + i] += pmn_clock_seconds() - before;
    }
  }
}

/* The first part of the network for one picture; what the second needs goes to `late`. */
static void run_early(const cpu_network *self, int64_t index, float *late, workspace *w) {
  const pmn_cpu_kernels *kernels = &((const pmn_cpu_device *)self->base.device)->kernels;
  size_t offset = (size_t)index * self->input_size;
  if (self->input_type == PMN_INPUT_U8) {
    const uint8_t *bytes = (const uint8_t *)self->batch_input + offset;
    kernels->normalize(bytes, self->input_size / 3, self->input_scale, self->input_shift, w->input);
  } else {
    memcpy(w->input, (const float *)self->batch_input + offset, self->input_size * sizeof(float));
  }
  for (int32_t i = 0; i < self->split; i += self->layers[i].chain) {
    if (self->layers[i].chain > 1)
      run_chain(self, i, w);
    else
      run_layer(self, i, w->arena, 1, w);
  }
  for (int32_t i = 0; i < self->crossing_count; i++) {
    const pmn_tensor *t = &self->tensors[self->crossing[i]];
    memcpy(late + t->arena_offset, w->arena + t->arena_offset, pmn_tensor_size(t) * sizeof(float));
  }
}

static void run_group(void *arg, int64_t index, int32_t worker) {
  cpu_network *self = arg;
  workspace *w = &self->workspaces[worker];
  int32_t first = (int32_t)index * self->group_now;
  int32_t count = self->batch - first < self->group_now ? self->batch - first : self->group_now;
  for (int32_t i = 0; i < count; i++) run_early(self, first + i, w->late + (size_t)i * self->late_size, w);
  for (int32_t i = self->split; i < self->layer_count; i++) run_layer(self, i, w->late, count, w);
  for (int32_t i = 0; i < count; i++) {
    const float *output = w->late + (size_t)i * self->late_size + self->tensors[self->output].arena_offset;
    memcpy(self->batch_output + (size_t)(first + i) * self->output_size, output, self->output_size * sizeof(float));
  }
}

pmn_status pmn_cpu_network_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err) {
  (void)err;
  cpu_network *self = (cpu_network *)network;
  self->batch = n;
  self->batch_input = input;
  self->batch_output = output;
  /* Groups as large as they may be, but no thread without one. */
  self->group_now = (n + self->thread_count - 1) / self->thread_count;
  if (self->group_now > self->group) self->group_now = self->group;
  int32_t groups = (n + self->group_now - 1) / self->group_now;
  pmn_pool_run(((const pmn_cpu_device *)network->device)->pool, groups, run_group, self);
  return PMN_STATUS_OK;
}

void pmn_cpu_network_times(const pmn_network *network, double *seconds) {
  const cpu_network *self = (const cpu_network *)network;
  for (int32_t i = 0, op = 0; i < self->layer_count; i++) {
    for (int32_t fused = 1; fused < self->layers[i].op_count; fused++) seconds[op++] = 0;
    seconds[op] = 0;
    for (int32_t t = 0; t < self->thread_count; t++) seconds[op] += self->workspaces[t].seconds[i];
    op++;
  }
}
