/* pmn_cpu_layers.c - single operations; see pmn_cpu_layers.h. */
#include "pmn_cpu_layers.h"

#include "pmn_mem.h"

#include <string.h>

static pmn_status init_conv2d(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  int32_t k = op->kernel_h * op->kernel_w * program->tensors[op->input].c, n = program->tensors[op->output].c;
  size_t count = kernels->packed_size(k, n);
  layer->packed = pmn_alloc_aligned(count, sizeof(float));
  if (layer->packed == NULL) return pmn_err_memory(err, count * sizeof(float), op->name);
  kernels->pack_weights(op->weights, op->bias, k, n, layer->packed);
  pmn_cpu_raise(&sizes->patches, pmn_cpu_patches_size(op, &program->tensors[op->input]));
  return PMN_STATUS_OK;
}

static pmn_status init_depthwise(
    pmn_cpu_layer *layer, const pmn_program *program, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input];
  size_t c = (size_t)in->c, taps = (size_t)(op->kernel_h * op->kernel_w) * c;
  layer->packed = pmn_alloc_aligned(taps + c, sizeof(float));
  if (layer->packed == NULL) return pmn_err_memory(err, (taps + c) * sizeof(float), op->name);
  memcpy(layer->packed, op->weights, taps * sizeof(float));
  memcpy(layer->packed + taps, op->bias, c * sizeof(float));
  pmn_cpu_raise(&sizes->zeros, (size_t)in->w * c);
  pmn_cpu_raise(&sizes->rows, (size_t)op->kernel_h);
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_layer_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    int32_t index, int32_t *taken, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  layer->op = program->ops[index];
  *taken = 1;
  if (pmn_cpu_block_matches(program, index)) {
    *taken = 3;
    return pmn_cpu_block_init(layer, kernels, program, index, sizes, err);
  }
  if (layer->op.kind == PMN_OP_CONV2D) return init_conv2d(layer, kernels, program, sizes, err);
  if (layer->op.kind == PMN_OP_DEPTHWISE_CONV2D) return init_depthwise(layer, program, sizes, err);
  return PMN_STATUS_OK;
}

void pmn_cpu_layer_reset(pmn_cpu_layer *layer) {
  pmn_free(layer->packed);
  pmn_free(layer->packed_middle);
  pmn_free(layer->packed_last);
}

const pmn_op *pmn_cpu_layer_end(const pmn_cpu_layer *layer) {
  return layer->is_block ? &layer->last : &layer->op;
}

static void run_depthwise(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  size_t row_in = (size_t)in->w * (size_t)in->c, row_out = (size_t)out->w * (size_t)out->c;
  for (int32_t oy = 0; oy < out->h; oy++) {
    for (int32_t r = 0; r < op->kernel_h; r++) {
      int32_t iy = oy * op->stride_h - op->pad_top + r;
      scratch->rows[r] = iy < 0 || iy >= in->h ? scratch->zeros : x + (size_t)iy * row_in;
    }
    pmn_cpu_depthwise d = pmn_cpu_depthwise_args(op, in->w, out->w, out->c, layer->packed);
    d.rows = scratch->rows;
    d.y = y + (size_t)oy * row_out;
    if (residual != NULL) d.epilogue.residual = residual + (size_t)oy * row_out;
    kernels->depthwise_row(&d);
  }
}

void pmn_cpu_layer_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &tensors[op->input], *out = &tensors[op->output];
  if (layer->is_block) {
    pmn_cpu_block_run(layer, kernels, tensors, x, y, residual, scratch);
    return;
  }
  pmn_cpu_epilogue epilogue = {residual, op->clamp_min, op->clamp_max};
  pmn_cpu_gemm gemm = {.n = out->c, .w = layer->packed, .y = y, .y_stride = (size_t)out->c, .epilogue = epilogue};
  switch (op->kind) {
  case PMN_OP_CONV2D:
    pmn_cpu_conv2d_pixels(kernels, op, in, out, x, 0, out->h * out->w, gemm, scratch->patches);
    break;
  case PMN_OP_DEPTHWISE_CONV2D:
    run_depthwise(layer, kernels, in, out, x, y, residual, scratch);
    break;
  case PMN_OP_GLOBAL_AVERAGE_POOL:
    kernels->average(x, in->h * in->w, in->c, y, &epilogue);
    break;
  case PMN_OP_KIND_COUNT:
    break;
  }
}
