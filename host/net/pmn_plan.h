/* pmn_plan.h - where every tensor of a picture lives: one arena, memory reused as soon as nobody needs it. */
#ifndef PMN_PLAN_H
#define PMN_PLAN_H

#include "pmn_err.h"
#include "pmn_program.h"

/* Fills arena_offset of every tensor but the input and gives the arena's size in floats. Tensors that live at the same
 * time, an operation's inputs and output among them, never share memory. The output lives to the end.
 * PMN_STATUS_MODEL: the sizes do not fit a size_t; PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_plan_arena(pmn_tensor *tensors, int32_t tensor_count, const pmn_op *ops, int32_t op_count,
    int32_t input, int32_t output, size_t *arena_size, pmn_err *err);

#endif
