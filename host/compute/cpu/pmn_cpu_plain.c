/* pmn_cpu_plain.c - pools, products, copies, softmax, normalisations, resize: every kind that is no convolution.
 *
 * Each is a loop over output rows that hands one pixel after the other to the kernels of pmn_cpu_pixels.c; an
 * activation passes over a row as soon as the row is there.
 */
#include "pmn_cpu_layers.h"

#include <string.h>

enum { VECTOR_MAX = 16 }; /* floats of the widest vector that parameters are padded to */

static size_t padded(int32_t c) {
  return ((size_t)c + VECTOR_MAX - 1) / VECTOR_MAX * VECTOR_MAX;
}

/* Weights, then the bias, each readable to whole vectors. */
static pmn_status copy_parameters(
    pmn_cpu_layer *layer, const pmn_tensor *in, const pmn_tensor *out, pmn_slab *slab, pmn_err *err) {
  const pmn_op *op = &layer->op;
  size_t weights = pmn_op_weights_size(op, in, out), bias = pmn_op_bias_size(op, out);
  size_t count = weights + bias + 2 * VECTOR_MAX;
  layer->packed = pmn_slab_calloc(slab, count, sizeof(float));
  if (layer->packed == NULL) return pmn_err_memory(err, count * sizeof(float), op->name);
  memcpy(layer->packed, op->weights, weights * sizeof(float));
  if (bias > 0) memcpy(layer->packed + padded(out->c), op->bias, bias * sizeof(float));
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_plain_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  if (op->kind == PMN_OP_LRN) pmn_cpu_raise(&sizes->squares, 3 * (size_t)in->c + 2 * (size_t)kernels->lanes);
  if (op->kind == PMN_OP_LAYER_NORM || op->kind == PMN_OP_RESIZE) return copy_parameters(layer, in, out, slab, err);
  return PMN_STATUS_OK;
}

static void run_copy(const pmn_copy *copy, const float *x, float *y) {
  ptrdiff_t from_step = copy->in_stride[2], to_step = copy->out_stride[2];
  int32_t count = copy->extent[2];
  for (ptrdiff_t i = 0; i < copy->extent[0]; i++) {
    for (ptrdiff_t j = 0; j < copy->extent[1]; j++) {
      const float *from = x + copy->in_first + i * copy->in_stride[0] + j * copy->in_stride[1];
      float *to = y + copy->out_first + i * copy->out_stride[0] + j * copy->out_stride[1];
      if (from_step == 1 && to_step == 1) {
        memcpy(to, from, (size_t)count * sizeof(float));
      } else {
        for (int32_t k = 0; k < count; k++) to[k * to_step] = from[k * from_step];
      }
    }
  }
}

/* A layer on its way over its output. */
typedef struct walk {
  const pmn_cpu_layer *layer;
  const pmn_cpu_pixel_kernels *kernels;
  const pmn_tensor *in, *out, *factor;
  const pmn_cpu_operands *operands;
  pmn_cpu_scratch *scratch;
} walk;

/* [*first, *last) of a window's lines lie in the picture; there is one. */
static void cut_window(int32_t at, int32_t stride, int32_t pad, int32_t kernel, int32_t dilation, int32_t in,
    int32_t *first, int32_t *last) {
  int32_t begin = at * stride - pad;
  *first = begin < 0 ? (-begin + dilation - 1) / dilation : 0;
  *last = (in - begin + dilation - 1) / dilation;
  if (*last > kernel) *last = kernel;
}

static void pool_pixel(const walk *w, int32_t y, int32_t x, float *to, const pmn_cpu_epilogue *e) {
  const pmn_op *op = &w->layer->op;
  int32_t top, bottom, left, right;
  cut_window(y, op->stride_h, op->pad_top, op->kernel_h, op->dilation_h, w->in->h, &top, &bottom);
  cut_window(x, op->stride_w, op->pad_left, op->kernel_w, op->dilation_w, w->in->w, &left, &right);
  size_t c = (size_t)w->in->c, row = (size_t)w->in->w * c;
  size_t first_y = (size_t)(y * op->stride_h - op->pad_top + top * op->dilation_h);
  size_t first_x = (size_t)(x * op->stride_w - op->pad_left + left * op->dilation_w);
  pmn_cpu_window window = {.x = w->operands->x + first_y * row + first_x * c,
      .rows = bottom - top,
      .columns = right - left,
      .c = w->in->c,
      .row_step = (size_t)op->dilation_h * row,
      .column_step = (size_t)op->dilation_w * c};
  if (op->kind == PMN_OP_MAX_POOL) {
    w->kernels->max_pool(&window, to, e);
    return;
  }
  float rows = (float)window.rows, columns = (float)window.columns;
  if (op->count_padding) {
    int32_t below = w->in->h + op->pad_bottom - (y * op->stride_h - op->pad_top);
    int32_t beside = w->in->w + op->pad_right - (x * op->stride_w - op->pad_left);
    rows = (float)(below < op->kernel_h ? below : op->kernel_h);
    columns = (float)(beside < op->kernel_w ? beside : op->kernel_w);
  }
  w->kernels->average_pool(&window, rows * columns, to, e);
}

static void multiply_pixel(
    const walk *w, int32_t y, int32_t x, const float *from, float *to, const pmn_cpu_epilogue *e) {
  const pmn_tensor *f = w->factor;
  size_t pixel = (f->h == 1 ? 0 : (size_t)y) * (size_t)f->w + (f->w == 1 ? 0 : (size_t)x);
  const float *factor = w->operands->factor + pixel * (size_t)f->c;
  w->kernels->multiply(from, factor, f->c == 1, w->out->c, to, e);
}

static void resize_pixel(const walk *w, int32_t y, int32_t x, float *to, const pmn_cpu_epilogue *e) {
  const float *row = w->layer->packed + 3 * (size_t)y;
  const float *column = w->layer->packed + 3 * ((size_t)w->out->h + (size_t)x);
  size_t c = (size_t)w->in->c, row_size = (size_t)w->in->w * c;
  const float *row0 = w->operands->x + (size_t)row[0] * row_size, *row1 = w->operands->x + (size_t)row[1] * row_size;
  size_t x0 = (size_t)column[0] * c, x1 = (size_t)column[1] * c;
  const float *corners[4] = {row0 + x0, row0 + x1, row1 + x0, row1 + x1};
  float f = row[2], g = column[2];
  const float shares[4] = {(1.0f - f) * (1.0f - g), (1.0f - f) * g, f * (1.0f - g), f * g};
  w->kernels->blend(corners, shares, w->out->c, to, e);
}

static void run_pixel(const walk *w, int32_t y, int32_t x, const pmn_cpu_epilogue *e) {
  const pmn_op *op = &w->layer->op;
  int32_t c = w->out->c;
  size_t at = ((size_t)y * (size_t)w->out->w + (size_t)x) * (size_t)c;
  const float *from = w->operands->x + at; /* of kinds whose output is as large as their input */
  float *to = w->operands->y + at;
  pmn_cpu_epilogue end = *e;
  if (end.residual != NULL) end.residual += at;
  switch (op->kind) {
  case PMN_OP_MAX_POOL:
  case PMN_OP_AVERAGE_POOL:
    pool_pixel(w, y, x, to, &end);
    break;
  case PMN_OP_MULTIPLY:
    multiply_pixel(w, y, x, from, to, &end);
    break;
  case PMN_OP_SOFTMAX:
    w->kernels->softmax(from, c, to, &end);
    break;
  case PMN_OP_LRN:
    w->kernels->lrn(from, c, op, w->scratch->squares, to, &end);
    break;
  case PMN_OP_LAYER_NORM:
    w->kernels->layer_norm(from, c, w->layer->packed, w->layer->packed + padded(c), op->epsilon, to, &end);
    break;
  case PMN_OP_RESIZE:
    resize_pixel(w, y, x, to, &end);
    break;
  default:
    break;
  }
}

void pmn_cpu_plain_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const pmn_cpu_operands *operands, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  walk w = {.layer = layer,
      .kernels = kernels->pixel,
      .in = &tensors[op->input],
      .out = &tensors[op->output],
      .factor = op->factor == PMN_NO_TENSOR ? NULL : &tensors[op->factor],
      .operands = operands,
      .scratch = scratch};
  if (op->kind == PMN_OP_COPY) {
    run_copy(&op->copy, operands->x, operands->y);
    return;
  }
  bool activates = op->activation != PMN_ACTIVATION_NONE;
  pmn_cpu_epilogue epilogue = pmn_cpu_epilogue_of(op, operands->residual);
  size_t row = (size_t)w.out->w * (size_t)w.out->c;
  for (int32_t y = 0; y < w.out->h; y++) {
    if (op->kind == PMN_OP_GLOBAL_AVERAGE_POOL)
      kernels->average(operands->x, w.in->h * w.in->w, w.in->c, operands->y, &epilogue);
    else
      for (int32_t x = 0; x < w.out->w; x++) run_pixel(&w, y, x, &epilogue);
    if (activates) kernels->pixel->activate(op, operands->y + (size_t)y * row, row);
  }
}
