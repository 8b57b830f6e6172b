/* pmn_cpu_layers.c - single convolutions, and the way to every other layer; see pmn_cpu_layers.h. */
#include "pmn_cpu_layers.h"

#include "pmn_cpu_winograd.h"

#include "pmn_mem.h"

#include <string.h>

/* Floats of a run of output pixels that are activated while they are in the cache. */
enum { RUN_FLOATS = 48 * 1024, RUN_PIXELS_MIN = 64 };

/* A group's columns of weights, [k, n] of [k, groups * n], lie apart in memory; each group is packed as its own matrix.
 */
static pmn_status init_conv2d(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  int32_t k = op->kernel_h * op->kernel_w * (in->c / op->groups), n = out->c / op->groups;
  size_t size = kernels->packed_size(k, n), groups = (size_t)op->groups, count, columns = (size_t)n;
  if (!pmn_size_mul(size, groups, &count)) return pmn_err_memory(err, SIZE_MAX, op->name);
  layer->packed = pmn_slab_alloc(slab, count, sizeof(float));
  float *own = pmn_alloc((size_t)k * columns, sizeof *own);
  layer->weight_bytes = count * sizeof(float);
  if (layer->packed == NULL || own == NULL) {
    pmn_free(own);
    return pmn_err_memory(err, count * sizeof(float), op->name);
  }
  for (size_t g = 0; g < groups; g++) {
    for (size_t row = 0; row < (size_t)k; row++) {
      memcpy(own + row * columns, op->weights + (row * groups + g) * columns, columns * sizeof *own);
    }
    kernels->pack_weights(own, op->bias + g * columns, k, n, layer->packed + g * size);
  }
  pmn_free(own);
  pmn_cpu_raise(&sizes->patches, pmn_cpu_patches_size(kernels, op, in, out));
  return PMN_STATUS_OK;
}

static pmn_status init_depthwise(
    pmn_cpu_layer *layer, const pmn_program *program, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input];
  size_t c = (size_t)in->c, taps = (size_t)(op->kernel_h * op->kernel_w) * c;
  layer->packed = pmn_slab_alloc(slab, taps + c, sizeof(float));
  layer->weight_bytes = (taps + c) * sizeof(float);
  if (layer->packed == NULL) return pmn_err_memory(err, (taps + c) * sizeof(float), op->name);
  memcpy(layer->packed, op->weights, taps * sizeof(float));
  memcpy(layer->packed + taps, op->bias, c * sizeof(float));
  pmn_cpu_raise(&sizes->zeros, (size_t)in->w * c);
  pmn_cpu_raise(&sizes->rows, (size_t)op->kernel_h);
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_layer_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    int32_t index, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  layer->op = program->ops[index];
  layer->op_count = 1;
  if (pmn_block_length(program, index) == 3)
    return pmn_cpu_block_init(layer, kernels, program, index, slab, sizes, err);
  if (kernels->transforms != NULL && pmn_cpu_winograd_matches(program, &layer->op)) {
    return pmn_cpu_winograd_init(layer, kernels, program, slab, sizes, err);
  }
  if (layer->op.kind == PMN_OP_CONV2D) return init_conv2d(layer, kernels, program, slab, sizes, err);
  if (layer->op.kind == PMN_OP_DEPTHWISE_CONV2D) return init_depthwise(layer, program, slab, sizes, err);
  return pmn_cpu_plain_init(layer, kernels, program, slab, sizes, err);
}

const pmn_op *pmn_cpu_layer_end(const pmn_cpu_layer *layer) {
  return layer->form == PMN_CPU_BLOCK ? &layer->last : &layer->op;
}

bool pmn_cpu_layer_reads(const pmn_cpu_layer *layer, int32_t tensor) {
  const pmn_op *end = pmn_cpu_layer_end(layer);
  return layer->op.input == tensor || end->residual == tensor || end->factor == tensor;
}

/* Pixels [from, to) in runs, of rows where all are asked for: one run, but where something is done with it while it is
 * in the cache - an activation, or the other groups' share of the input. */
static void run_conv2d(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, int32_t from, int32_t to, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &tensors[op->input], *out = &tensors[op->output];
  int32_t run = to - from, n = out->c / op->groups;
  size_t channels = (size_t)out->c;
  if (op->groups > 1 || op->activation != PMN_ACTIVATION_NONE) {
    run = RUN_FLOATS / out->c;
    if (run < RUN_PIXELS_MIN) run = RUN_PIXELS_MIN;
    run = (run + out->w - 1) / out->w * out->w;
  }
  size_t packed_size = kernels->packed_size(op->kernel_h * op->kernel_w * (in->c / op->groups), n);
  for (int32_t first = from; first < to; first += run) {
    int32_t count = to - first < run ? to - first : run;
    for (int32_t g = 0; g < op->groups; g++) {
      size_t at = (size_t)first * channels + (size_t)g * (size_t)n;
      pmn_cpu_gemm gemm = {.n = n,
          .w = layer->packed + (size_t)g * packed_size,
          .y = operands->y + at,
          .y_stride = channels,
          .epilogue = pmn_cpu_epilogue_of(op, operands->residual == NULL ? NULL : operands->residual + at)};
      pmn_cpu_conv2d_pixels(kernels, op, in, out, operands->x, g, first, count, gemm, scratch->patches);
    }
    if (op->activation != PMN_ACTIVATION_NONE) {
      kernels->pixel->activate(op, operands->y + (size_t)first * channels, (size_t)count * channels);
    }
  }
}

/* Weights that level 2 does not hold. */
enum { HEAVY_BYTES = 768 * 1024, HEAVY_CHUNK_BYTES = 512 * 1024 };

static bool is_heavy(const pmn_cpu_layer *layer, const pmn_tensor *in, const pmn_tensor *out) {
  const pmn_op *op = &layer->op;
  return layer->weight_bytes > HEAVY_BYTES && op->groups == 1 && op->activation == PMN_ACTIVATION_NONE &&
         pmn_op_is_pointwise(op, in, out);
}

/* A pointwise convolution of several pictures: some panels of weights at a time, for all of them. */
static void run_heavy(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  size_t panel_bytes = kernels->packed_size(in->c, kernels->panel) * sizeof(float);
  int32_t panels = (int32_t)((size_t)HEAVY_CHUNK_BYTES / panel_bytes);
  int32_t chunk = (panels < 1 ? 1 : panels) * kernels->panel;
  for (int32_t column = 0; column < out->c; column += chunk) {
    for (int32_t i = 0; i < count; i++) {
      const float *residual = operands[i].residual == NULL ? NULL : operands[i].residual + column;
      pmn_cpu_gemm gemm = {.m = out->h * out->w,
          .k = in->c,
          .n = out->c - column < chunk ? out->c - column : chunk,
          .a = operands[i].x,
          .a_stride = (size_t)in->c,
          .room = scratch->patches,
          .w = layer->packed + kernels->packed_size(in->c, column),
          .y = operands[i].y + column,
          .y_stride = (size_t)out->c,
          .epilogue = pmn_cpu_epilogue_of(op, residual)};
      kernels->gemm(&gemm);
    }
  }
}

static void run_depthwise(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  size_t row_in = (size_t)in->w * (size_t)in->c, row_out = (size_t)out->w * (size_t)out->c;
  for (int32_t oy = 0; oy < out->h; oy++) {
    for (int32_t r = 0; r < op->kernel_h; r++) {
      int32_t iy = oy * op->stride_h - op->pad_top + r * op->dilation_h;
      scratch->rows[r] = iy < 0 || iy >= in->h ? scratch->zeros : operands->x + (size_t)iy * row_in;
    }
    size_t at = (size_t)oy * row_out;
    pmn_cpu_depthwise d = pmn_cpu_depthwise_args(op, in->w, out->w, out->c, layer->packed);
    d.rows = scratch->rows;
    d.y = operands->y + at;
    d.epilogue = pmn_cpu_epilogue_of(op, operands->residual == NULL ? NULL : operands->residual + at);
    kernels->depthwise_row(&d);
    if (op->activation != PMN_ACTIVATION_NONE) kernels->pixel->activate(op, d.y, row_out);
  }
}

void pmn_cpu_layer_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &tensors[op->input], *out = &tensors[op->output];
  if (layer->form == PMN_CPU_WINOGRAD) {
    pmn_cpu_winograd_run(layer, kernels, in, out, operands, count, scratch);
    return;
  }
  if (layer->form == PMN_CPU_SINGLE && op->kind == PMN_OP_CONV2D && count > 1 && is_heavy(layer, in, out)) {
    run_heavy(layer, kernels, in, out, operands, count, scratch);
    return;
  }
  for (int32_t i = 0; i < count; i++, operands++) {
    if (layer->form == PMN_CPU_BLOCK)
      pmn_cpu_block_run(layer, kernels, tensors, operands->x, operands->y, operands->residual, scratch);
    else if (op->kind == PMN_OP_CONV2D)
      run_conv2d(layer, kernels, tensors, operands, 0, out->h * out->w, scratch);
    else if (op->kind == PMN_OP_DEPTHWISE_CONV2D)
      run_depthwise(layer, kernels, in, out, operands, scratch);
    else
      pmn_cpu_plain_run(layer, kernels, tensors, operands, scratch);
  }
}

void pmn_cpu_layer_run_pixels(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, int32_t first, int32_t count, pmn_cpu_scratch *scratch) {
  run_conv2d(layer, kernels, tensors, operands, first, first + count, scratch);
}
