/* pmn_cpu_plan.h - which layers of a network run in strips together, and where its tensors live. */
#ifndef PMN_CPU_PLAN_H
#define PMN_CPU_PLAN_H

#include "pmn_cpu_layers.h"

/* Layers of one chain, at most. */
enum { PMN_CPU_CHAIN_MAX = 4 };

/* A network as far as it is made: weights packed, layers before `split` run picture by picture. */
typedef struct pmn_cpu_plan {
  pmn_cpu_layer *layers; /* [layer_count]; chain and strip are filled */
  pmn_tensor
      *tensors; /* [tensor_count]; arena_offset is filled, in floats; without meaning for what no layer touches */
  int32_t layer_count, tensor_count, split, input, output;
  size_t arena_size; /* floats of one picture: the result */
} pmn_cpu_plan;

/* The program's own plan is for one operation after the other; this one knows what is fused. PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_cpu_plan_make(pmn_cpu_plan *plan, pmn_err *err);

#endif
