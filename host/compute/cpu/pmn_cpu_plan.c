/* pmn_cpu_plan.c - see pmn_cpu_plan.h: two ways to spare memory's bandwidth where tensors outgrow level 2, as those of
 * ResNet50's first stage do, 3.2 MB each.
 *
 * Chains. A pixel of a pointwise convolution's output needs one pixel of its input. So pointwise convolutions that
 * follow one another (a shortcut, the end of a residual block, the beginning of the next one) run in strips of pixels:
 * a strip goes through all of them while it is in level 2. Nothing is computed twice, and no sum changes its order.
 *
 * In place. A convolution that adds a tensor which nobody needs afterwards writes its sum where that tensor was: those
 * lines have just been read, other ones would have to be fetched before they are written.
 */
#include "pmn_cpu_plan.h"

#include "pmn_arena.h"
#include "pmn_mem.h"

enum {
  ALIGNMENT = 16,                  /* floats: a cache line */
  LARGE_BYTES = 1024 * 1024,       /* of a tensor that does not stay in level 2 until it is read */
  CHAIN_WEIGHT_BYTES = 768 * 1024, /* of all its weights, which every strip passes over */
  STRIP_BYTES = 384 * 1024,        /* of all tensors of a chain */
  STRIP_UNIT = 16                  /* pixels: whole tiles of the matrix kernel */
};

/* ---------------------------------------------------------------------------------------------------- chains -- */

static bool may_chain(const pmn_cpu_plan *plan, const pmn_cpu_layer *layer) {
  const pmn_op *op = &layer->op;
  return layer->form == PMN_CPU_SINGLE && op->kind == PMN_OP_CONV2D &&
         pmn_op_is_pointwise(op, &plan->tensors[op->input], &plan->tensors[op->output]);
}

/* The layers from `first` on that make a chain; its strip. */
static void find_chain(pmn_cpu_plan *plan, int32_t first) {
  pmn_cpu_layer *layer = &plan->layers[first];
  const pmn_tensor *shape = &plan->tensors[layer->op.input];
  size_t weights = 0, channels = 0, largest = 0, pixels = (size_t)shape->h * (size_t)shape->w;
  int32_t count = 0;
  for (; count < PMN_CPU_CHAIN_MAX && first + count < plan->split && may_chain(plan, layer); count++, layer++) {
    const pmn_tensor *in = &plan->tensors[layer->op.input], *out = &plan->tensors[layer->op.output];
    weights += layer->weight_bytes;
    if (in->h != shape->h || in->w != shape->w || weights > CHAIN_WEIGHT_BYTES) break;
    channels += (size_t)in->c + (size_t)out->c;
    size_t bytes = pixels * (size_t)out->c * sizeof(float);
    if (bytes > largest) largest = bytes;
  }
  if (count < 2 || largest < LARGE_BYTES) return;
  size_t strip = STRIP_BYTES / (channels * sizeof(float)) / STRIP_UNIT * STRIP_UNIT;
  plan->layers[first].chain = count;
  plan->layers[first].strip = strip < STRIP_UNIT ? STRIP_UNIT : (int32_t)strip;
}

/* --------------------------------------------------------------------------------------------------- in place -- */

/* The tensor in whose place the layer may write: every element is read just before the sum with it is written, and
 * nobody reads it later. Long sums are kept in the output until the residual is added to them. */
static int32_t find_place(const pmn_cpu_plan *plan, int32_t index) {
  const pmn_cpu_layer *layer = &plan->layers[index];
  const pmn_op *op = &layer->op;
  int32_t depth = op->kernel_h * op->kernel_w * (plan->tensors[op->input].c / op->groups);
  bool sums = layer->form == PMN_CPU_WINOGRAD ||
              (layer->form == PMN_CPU_SINGLE && op->kind == PMN_OP_CONV2D && depth <= PMN_CPU_DEPTH_MAX);
  bool own = op->residual != plan->input && op->residual != plan->output && op->residual != op->input &&
             op->residual != op->factor;
  if (!sums || !own) return PMN_NO_TENSOR;
  for (int32_t i = index + 1; i < plan->layer_count; i++) {
    if (pmn_cpu_layer_reads(&plan->layers[i], op->residual)) return PMN_NO_TENSOR;
  }
  return op->residual;
}

/* ---------------------------------------------------------------------------------------------------- memory -- */

static void extend(pmn_arena_block *blocks, const int32_t *home, int32_t tensor, int32_t step) {
  if (tensor == PMN_NO_TENSOR) return;
  pmn_arena_block *b = &blocks[home[tensor]];
  if (step < b->first) b->first = step;
  if (step > b->last) b->last = step;
}

/* home [tensor_count]: the tensor whose place each has, itself as a rule. A chain is one step: its layers alternate. */
static void find_lifetimes(const pmn_cpu_plan *plan, const int32_t *home, pmn_arena_block *blocks) {
  for (int32_t t = 0; t < plan->tensor_count; t++)
    blocks[t] = (pmn_arena_block){.id = t, .first = INT32_MAX, .last = -1};
  for (int32_t i = 0, step = 0; i < plan->layer_count; i++) {
    const pmn_op *op = &plan->layers[i].op, *end = pmn_cpu_layer_end(&plan->layers[i]);
    if (i >= step + plan->layers[step].chain) step = i;
    extend(blocks, home, op->input, step);
    extend(blocks, home, end->residual, step);
    extend(blocks, home, end->factor, step);
    extend(blocks, home, end->output, step);
  }
  extend(blocks, home, plan->output, plan->layer_count);
  for (int32_t t = 0; t < plan->tensor_count; t++) {
    bool placed = t != plan->input && blocks[t].last >= 0;
    blocks[t].size = placed ? pmn_tensor_size(&plan->tensors[t]) : 0;
  }
}

pmn_status pmn_cpu_plan_make(pmn_cpu_plan *plan, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = (size_t)plan->tensor_count;
  int32_t *home = pmn_alloc(count, sizeof *home);
  pmn_arena_block *blocks = pmn_alloc(count, sizeof *blocks);
  if (home == NULL || blocks == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *blocks, "a memory plan"));
  for (int32_t i = 0; i < plan->layer_count; i++) plan->layers[i].chain = 1;
  for (int32_t i = 0; i < plan->layer_count; i += plan->layers[i].chain) find_chain(plan, i);
  for (int32_t t = 0; t < plan->tensor_count; t++) home[t] = t;
  for (int32_t i = 0; i < plan->layer_count; i++) {
    int32_t place = find_place(plan, i);
    if (place != PMN_NO_TENSOR) home[pmn_cpu_layer_end(&plan->layers[i])->output] = home[place];
  }
  find_lifetimes(plan, home, blocks);
  if (!pmn_arena_place(blocks, plan->tensor_count, ALIGNMENT, &plan->arena_size))
    PMN_TRY(pmn_err_memory(err, SIZE_MAX, "a picture's tensors"));
  for (int32_t i = 0; i < plan->tensor_count; i++) plan->tensors[blocks[i].id].arena_offset = blocks[i].offset;
  for (int32_t t = 0; t < plan->tensor_count; t++) plan->tensors[t].arena_offset = plan->tensors[home[t]].arena_offset;
done:
  pmn_free(home);
  pmn_free(blocks);
  return st;
}
