/* pmn_ocl_plan.c - which operations are one launch, and where tensors then live.
 *
 * The program's own places are for one operation after the other: the output of a block may lie where its input was,
 * which all three have read by then. A fused block still reads it, so memory is planned anew; tensors within blocks
 * take none, and more pictures fit a device.
 */
#include "pmn_ocl.h"

#include "pmn_arena.h"
#include "pmn_err.h"
#include "pmn_mem.h"

#include <string.h>

enum { ALIGNMENT = 16 }; /* floats, as in the program */

static void extend(pmn_arena_block *blocks, int32_t tensor, int32_t step) {
  if (tensor == PMN_NO_TENSOR) return;
  pmn_arena_block *b = &blocks[tensor];
  if (step < b->first) b->first = step;
  if (step > b->last) b->last = step;
}

/* Alive from the first launch that touches it to the last; what only a block's own operations touch is not. */
static void lifetimes_find(const pmn_ocl_plan *plan, pmn_arena_block *blocks) {
  const pmn_program *program = &plan->program;
  for (int32_t t = 0; t < program->tensor_count; t++)
    blocks[t] = (pmn_arena_block){.id = t, .first = INT32_MAX, .last = -1};
  for (int32_t i = 0; i < program->op_count; i += plan->lengths[i]) {
    const pmn_op *first = &program->ops[i], *last = first + plan->lengths[i] - 1;
    extend(blocks, first->input, i);
    extend(blocks, last->residual, i);
    extend(blocks, last->factor, i);
    extend(blocks, last->output, i);
  }
  extend(blocks, program->output, program->op_count);
  for (int32_t t = 0; t < program->tensor_count; t++) {
    bool placed = t != program->input && blocks[t].last >= 0;
    blocks[t].size = placed ? pmn_tensor_size(&program->tensors[t]) : 0;
  }
}

static pmn_status tensors_place(pmn_ocl_plan *plan, pmn_err *err) {
  int32_t count = plan->program.tensor_count;
  pmn_arena_block *blocks = pmn_alloc((size_t)count, sizeof *blocks);
  if (blocks == NULL) return pmn_err_memory(err, (size_t)count * sizeof *blocks, "a memory plan");
  lifetimes_find(plan, blocks);
  bool placed = pmn_arena_place(blocks, count, ALIGNMENT, &plan->program.arena_size);
  for (int32_t i = 0; i < count; i++) plan->tensors[blocks[i].id].arena_offset = blocks[i].offset;
  pmn_free(blocks);
  return placed ? PMN_STATUS_OK : pmn_err_memory(err, SIZE_MAX, "a picture's tensors");
}

pmn_status pmn_ocl_plan_init(
    pmn_ocl_plan *plan, const pmn_ocl_device *device, const pmn_program *program, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t tensors = (size_t)program->tensor_count, ops = (size_t)program->op_count;
  *plan = (pmn_ocl_plan){.program = *program};
  plan->tensors = pmn_alloc(tensors, sizeof *plan->tensors);
  plan->lengths = pmn_calloc(ops, sizeof *plan->lengths);
  if (plan->tensors == NULL || plan->lengths == NULL) {
    PMN_TRY(pmn_err_memory(err, tensors * sizeof *plan->tensors, "an OpenCL network"));
  }
  memcpy(plan->tensors, program->tensors, tensors * sizeof *plan->tensors);
  plan->program.tensors = plan->tensors;
  for (int32_t i = 0; i < program->op_count; i += plan->lengths[i], plan->launch_count++) {
    pmn_ocl_block block;
    plan->lengths[i] = pmn_ocl_block_find(device, program, i, &block);
  }
  if (plan->launch_count < program->op_count) PMN_TRY(tensors_place(plan, err));
done:
  if (st != PMN_STATUS_OK) pmn_ocl_plan_reset(plan);
  return st;
}

void pmn_ocl_plan_reset(pmn_ocl_plan *plan) {
  pmn_free(plan->tensors);
  pmn_free(plan->lengths);
  *plan = (pmn_ocl_plan){0};
}
