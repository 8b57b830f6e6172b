/* pmn_plan.c - see pmn_plan.h.
 *
 * Greedy by size: the largest tensor is placed first, each at the lowest offset where it meets no placed tensor of an
 * overlapping lifetime. On the networks of the zoo this reaches the lower bound, the largest input plus output of a
 * layer.
 */
#include "pmn_plan.h"

#include "pmn_mem.h"

#include <stdlib.h>

enum { ALIGNMENT = 16 }; /* floats: a cache line */

typedef struct block {
  size_t size, offset;
  int32_t tensor, first, last; /* operations from the one that writes it first to the last that reads it */
} block;

static int by_size(const void *a, const void *b) {
  const block *x = a, *y = b;
  if (x->size != y->size) return x->size > y->size ? -1 : 1;
  return x->tensor < y->tensor ? -1 : 1;
}

/* Moves the block at `index` to its place among those before it, which are placed and in the order of their offsets:
 * into the first gap that those alive together with it leave. */
static bool place(block *blocks, int32_t index) {
  block b = blocks[index];
  b.offset = 0;
  for (int32_t i = 0; i < index; i++) {
    const block *other = &blocks[i];
    bool alive_together = b.first <= other->last && other->first <= b.last;
    if (!alive_together || b.offset >= other->offset + other->size) continue;
    if (other->offset >= b.offset && other->offset - b.offset >= b.size) break;
    b.offset = other->offset + other->size;
  }
  int32_t at = index;
  for (; at > 0 && blocks[at - 1].offset > b.offset; at--) blocks[at] = blocks[at - 1];
  blocks[at] = b;
  size_t end;
  return pmn_size_add(b.offset, b.size, &end);
}

static void extend(block *blocks, int32_t tensor, int32_t op) {
  if (tensor == PMN_NO_TENSOR) return;
  if (op < blocks[tensor].first) blocks[tensor].first = op;
  if (op > blocks[tensor].last) blocks[tensor].last = op;
}

static void find_lifetimes(block *blocks, int32_t tensor_count, const pmn_op *ops, int32_t op_count, int32_t output) {
  for (int32_t i = 0; i < tensor_count; i++) blocks[i] = (block){.tensor = i, .first = op_count, .last = -1};
  for (int32_t i = 0; i < op_count; i++) {
    extend(blocks, ops[i].output, i);
    extend(blocks, ops[i].input, i);
    extend(blocks, ops[i].residual, i);
    extend(blocks, ops[i].factor, i);
  }
  extend(blocks, output, op_count);
}

pmn_status pmn_plan_arena(pmn_tensor *tensors, int32_t tensor_count, const pmn_op *ops, int32_t op_count, int32_t input,
    int32_t output, size_t *arena_size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *arena_size = 0;
  block *blocks = pmn_alloc((size_t)tensor_count, sizeof *blocks);
  if (blocks == NULL) return pmn_err_memory(err, (size_t)tensor_count * sizeof *blocks, "a memory plan");
  find_lifetimes(blocks, tensor_count, ops, op_count, output);
  for (int32_t i = 0; i < tensor_count; i++) {
    size_t pixels, size;
    const pmn_tensor *t = &tensors[i];
    if (!pmn_size_mul((size_t)t->h, (size_t)t->w, &pixels) || !pmn_size_mul(pixels, (size_t)t->c, &size) ||
        size > SIZE_MAX / 8) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "a tensor of %d x %d x %d is too large", t->h, t->w, t->c);
    }
    blocks[i].size = i == input ? 0 : (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
  qsort(blocks, (size_t)tensor_count, sizeof *blocks, by_size);
  for (int32_t i = 0; i < tensor_count; i++) {
    if (!place(blocks, i)) PMN_FAIL(err, PMN_STATUS_MODEL, "the network's activations are too large for this machine");
  }
  for (int32_t i = 0; i < tensor_count; i++) {
    tensors[blocks[i].tensor].arena_offset = blocks[i].offset;
    size_t end = blocks[i].offset + blocks[i].size;
    if (end > *arena_size) *arena_size = end;
  }
done:
  pmn_free(blocks);
  return st;
}
