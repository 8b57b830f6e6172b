/* pmn_plan.c - see pmn_plan.h. */
#include "pmn_plan.h"

#include "pmn_arena.h"
#include "pmn_mem.h"

enum { ALIGNMENT = 16 }; /* floats: a cache line */

static void extend(pmn_arena_block *blocks, int32_t tensor, int32_t op) {
  if (tensor == PMN_NO_TENSOR) return;
  if (op < blocks[tensor].first) blocks[tensor].first = op;
  if (op > blocks[tensor].last) blocks[tensor].last = op;
}

static void find_lifetimes(
    pmn_arena_block *blocks, int32_t tensor_count, const pmn_op *ops, int32_t op_count, int32_t output) {
  for (int32_t i = 0; i < tensor_count; i++) blocks[i] = (pmn_arena_block){.id = i, .first = op_count, .last = -1};
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
  pmn_arena_block *blocks = pmn_alloc((size_t)tensor_count, sizeof *blocks);
  if (blocks == NULL) return pmn_err_memory(err, (size_t)tensor_count * sizeof *blocks, "a memory plan");
  find_lifetimes(blocks, tensor_count, ops, op_count, output);
  for (int32_t i = 0; i < tensor_count; i++) {
    size_t pixels, size;
    const pmn_tensor *t = &tensors[i];
    if (!pmn_size_mul((size_t)t->h, (size_t)t->w, &pixels) || !pmn_size_mul(pixels, (size_t)t->c, &size) ||
        size > SIZE_MAX / 8) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "a tensor of %d x %d x %d is too large", t->h, t->w, t->c);
    }
    blocks[i].size = i == input ? 0 : size;
  }
  if (!pmn_arena_place(blocks, tensor_count, ALIGNMENT, arena_size))
    PMN_FAIL(err, PMN_STATUS_MODEL, "the network's activations are too large for this machine");
  for (int32_t i = 0; i < tensor_count; i++) tensors[blocks[i].id].arena_offset = blocks[i].offset;
done:
  pmn_free(blocks);
  return st;
}
