/* pmn_ocl_block.c - inverted residuals as one launch: which are, how their work is cut, and their weights.
 *
 * Wide tensors have six times the channels of what they are made from: layer by layer MobileNetV2 moves most of its
 * bytes between the three operations of its blocks. kernels/inverted_residual.cl keeps them in local memory. It gives
 * the bits of the three kernels, so what is fused where is a matter of speed alone. (Only tensor cores round sums
 * otherwise; what they would compute of a block depends on nothing but network and device.)
 */
#include "pmn_ocl.h"

#include "pmn_block.h"
#include "pmn_err.h"
#include "pmn_mem.h"

#include <stdio.h>
#include <string.h>

enum {
  LOCAL_BYTES_MAX = 48 * 1024, /* what GPUs give a work-group without being asked for more */
  DEPTH = 16,                  /* input channels that are expanded at a time */
  WINDOW_SIDE_MAX = 64,        /* of what a tile looks at; local memory ends before that */
  SUMS_MAX = 24,               /* fours of sums that a work-item has registers for */
};

static int64_t round_up(int64_t a, int64_t unit) {
  return (a + unit - 1) / unit * unit;
}

int64_t pmn_ocl_block_local_bytes(const pmn_ocl_block *b) {
  int64_t window_h = (int64_t)(b->tile_h - 1) * b->depthwise->stride_h + b->depthwise->kernel_h;
  int64_t window_w = (int64_t)(b->tile_w - 1) * b->depthwise->stride_w + b->depthwise->kernel_w;
  if (window_h > WINDOW_SIDE_MAX || window_w > WINDOW_SIDE_MAX) return INT64_MAX;
  int64_t window = window_h * window_w, width = (int64_t)b->width, number = sizeof(float);
  int64_t in_tile = b->expand != NULL ? number * DEPTH * 4 * ((window + 3) / 4 | 1) : 0;
  int64_t narrow = width * b->tile_h * b->tile_w * (b->chunk + 4);
  int64_t expand_tile = b->expand != NULL ? number * DEPTH * b->chunk : 0;
  return width * window * b->chunk + (in_tile > narrow ? in_tile : narrow) + expand_tile;
}

/* How a block is cut, on the grounds of arithmetic: no GPU has measured it. A tile of stride 2 looks at four times its
 * pixels, so it is smaller. Long chunks share more of what is read; a work-item sums several pixels, which share
 * weights, as long as every item of the group gets some. False: it does not fit, and stays three launches. */
static bool block_cut(const pmn_ocl_device *device, pmn_ocl_block *b) {
  int64_t most = device->local_bytes < LOCAL_BYTES_MAX ? (int64_t)device->local_bytes : LOCAL_BYTES_MAX;
  b->tile_w = 8;
  b->tile_h = b->depthwise->stride_h == 1 && b->depthwise->stride_w == 1 ? 8 : 4;
  b->chunk = 32;
  if (pmn_ocl_block_local_bytes(b) > most) b->chunk = 16;
  int64_t outputs = (int64_t)b->tile_h * b->tile_w * (b->out_padded / 4);
  b->item_m = 4;
  while (b->item_m > 1 && outputs / b->item_m < PMN_OCL_BLOCK_ITEMS) b->item_m /= 2;
  int64_t sums = round_up(outputs / b->item_m, PMN_OCL_BLOCK_ITEMS) / PMN_OCL_BLOCK_ITEMS;
  b->sums = sums <= SUMS_MAX ? (int32_t)sums : SUMS_MAX + 1;
  return pmn_ocl_block_local_bytes(b) <= most && PMN_OCL_BLOCK_ITEMS <= device->group_max &&
         b->sums * b->item_m <= SUMS_MAX;
}

static pmn_ocl_block block_of(const pmn_ocl_device *device, const pmn_program *program, int32_t index, int32_t length) {
  const pmn_op *last = &program->ops[index + length - 1];
  pmn_ocl_block b = {.expand = length == 3 ? last - 2 : NULL, .depthwise = last - 1, .project = last};
  b.width = pmn_ocl_width(device);
  b.in_c = program->tensors[program->ops[index].input].c;
  b.wide_c = program->tensors[last->input].c;
  b.out_c = program->tensors[last->output].c;
  b.out_padded = (int32_t)round_up(b.out_c, 4);
  return b;
}

/* A chunk's weights. */
static size_t chunk_size(const pmn_ocl_block *b) {
  size_t taps = (size_t)b->depthwise->kernel_h * (size_t)b->depthwise->kernel_w;
  return (size_t)b->chunk * ((b->expand != NULL ? (size_t)b->in_c : 0) + taps + (size_t)b->out_padded);
}

int32_t pmn_ocl_block_find(
    const pmn_ocl_device *device, const pmn_program *program, int32_t index, pmn_ocl_block *block) {
  int32_t length = device->family->tiled ? pmn_block_length(program, index) : 1;
  if (length == 1) return 1;
  const pmn_op *first = &program->ops[index];
  const pmn_tensor *in = &program->tensors[first->input], *wide = &program->tensors[first->output];
  bool bytes = first->input == program->input && program->input_type == PMN_INPUT_U8;
  if (length == 3 && (bytes || !pmn_op_is_pointwise(first, in, wide))) return 1;
  *block = block_of(device, program, index, length);
  return block_cut(device, block) && chunk_size(block) <= INT32_MAX ? length : 1;
}

void pmn_ocl_block_options(const pmn_ocl_block *b, char options[PMN_OCL_TUNABLES_TEXT]) {
  const pmn_op *d = b->depthwise;
  snprintf(options, PMN_OCL_TUNABLES_TEXT,
      " -DPMN_EXPAND=%d -DPMN_ALIGNED=%d -DPMN_KERNEL_H=%d -DPMN_KERNEL_W=%d -DPMN_STRIDE_H=%d -DPMN_STRIDE_W=%d"
      " -DPMN_TILE_H=%d -DPMN_TILE_W=%d -DPMN_CHUNK=%d -DPMN_ITEM_M=%d -DPMN_SUMS=%d -DPMN_ITEMS=%d -DPMN_DEPTH=%d",
      b->expand != NULL, b->in_c % 4 == 0 && b->out_c % 4 == 0, d->kernel_h, d->kernel_w, d->stride_h, d->stride_w,
      b->tile_h, b->tile_w, b->chunk, b->item_m, b->sums, PMN_OCL_BLOCK_ITEMS, DEPTH);
}

/* -------------------------------------------------------------------------------------------------- weights -- */

/* `count` of the columns of a matrix [rows][columns] from `first` on into [rows][width], whose rest is zero already.
 * The end of what was written. */
static float *columns_pack(
    const float *from, size_t rows, size_t columns, size_t first, size_t count, size_t width, float *to) {
  for (size_t r = 0; r < rows; r++, to += width) memcpy(to, from + r * columns + first, count * sizeof *to);
  return to;
}

static void weights_pack(const pmn_ocl_block *b, float *to) {
  size_t chunk = (size_t)b->chunk, in_c = (size_t)b->in_c, wide_c = (size_t)b->wide_c, out_c = (size_t)b->out_c;
  size_t taps = (size_t)b->depthwise->kernel_h * (size_t)b->depthwise->kernel_w;
  for (size_t first = 0; first < wide_c; first += chunk) {
    size_t count = wide_c - first < chunk ? wide_c - first : chunk;
    if (b->expand != NULL) to = columns_pack(b->expand->weights, in_c, wide_c, first, count, chunk, to);
    to = columns_pack(b->depthwise->weights, taps, wide_c, first, count, chunk, to);
    columns_pack(b->project->weights + first * out_c, count, out_c, 0, out_c, (size_t)b->out_padded, to);
    to += chunk * (size_t)b->out_padded;
  }
}

/* Those of expand, of the taps and of project, as pmn_ocl_bias_copy has them; no expand leaves zeros. */
static void bias_pack(const pmn_ocl_block *b, size_t wide_padded, float *to) {
  if (b->expand != NULL) pmn_ocl_bias_copy(b->expand->bias, (size_t)b->wide_c, to);
  pmn_ocl_bias_copy(b->depthwise->bias, (size_t)b->wide_c, to + wide_padded);
  pmn_ocl_bias_copy(b->project->bias, (size_t)b->out_c, to + 2 * wide_padded);
}

pmn_status pmn_ocl_block_upload(
    const pmn_ocl_block *b, pmn_ocl_device *device, cl_mem *weights, cl_mem *bias, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *const ops[] = {b->expand, b->depthwise, b->project};
  size_t wide_c = (size_t)b->wide_c, taps = (size_t)b->depthwise->kernel_h * (size_t)b->depthwise->kernel_w;
  const size_t counts[] = {(size_t)b->in_c * wide_c, taps * wide_c, wide_c * (size_t)b->out_c};
  size_t chunks = (wide_c + (size_t)b->chunk - 1) / (size_t)b->chunk, wide_padded = chunks * (size_t)b->chunk;
  size_t size = chunks * chunk_size(b), biases = 2 * wide_padded + (size_t)b->out_padded;
  float *packed = pmn_calloc(size + biases, sizeof *packed);
  if (packed == NULL) {
    st = pmn_err_memory(err, (size + biases) * sizeof *packed, b->project->name);
    goto done;
  }
  for (int i = 0; i < 3; i++) {
    if (ops[i] != NULL) PMN_TRY(pmn_ocl_weights_check(device, ops[i]->name, ops[i]->weights, counts[i], err));
  }
  weights_pack(b, packed);
  bias_pack(b, wide_padded, packed + size);
  PMN_TRY(pmn_ocl_weights_create(device, b->project->name, packed, size, weights, err));
  PMN_TRY(pmn_ocl_buffer_create(device, biases, sizeof *packed, packed + size, "bias", bias, err));
done:
  pmn_free(packed);
  return st;
}
