/* pmn_cpu_block.c - an inverted residual as one layer.
 *
 *   x [h, w, cin] --convolution, act--> wide [h, w, cw] --depthwise, act--> narrow [h', w', cw]
 *                 --pointwise--> y [h', w', cout]
 *
 * cw is six times cin: the wide tensor of MobileNetV2's second block has 4.8 MB, and writing and reading it costs more
 * than the arithmetic. So the wide channels are cut into slices (every step up to the last convolution treats channels
 * apart), and a slice is swept down the picture by groups of rows:
 *
 *   for each slice of channels
 *     for each output row
 *       compute the groups of wide rows that its window needs and that are not there yet   -> `wide`, a ring of groups
 *       depthwise row                                                                      -> `narrow`
 *       every narrow_rows rows: sums += narrow slice x the slice's rows of the last weights; the last slice writes y
 *
 * What is alive stays in level 2 of the cache. Sums run over wide channels in ascending order starting from the
 * bias, as the unfused convolution's would, so cutting changes no bit.
 */
#include "pmn_cpu_layers.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>
#include <string.h>

enum {
  WIDE_BYTES = 96 * 1024, /* of a slice's group ring: a small part of level 2; narrower slices make short sums */
  GROUP_PIXELS = 48,      /* pixels a matrix product wants at least, to use its register tiles well */
};

static int32_t round_up(int32_t a, int32_t unit) {
  return (a + unit - 1) / unit * unit;
}

/* Rows of small pictures are taken together until there are GROUP_PIXELS; then the slice is as wide as the cache
 * allows. */
static pmn_cpu_block_plan make_plan(
    const pmn_cpu_kernels *kernels, const pmn_op *middle, const pmn_tensor *wide, const pmn_tensor *out) {
  pmn_cpu_block_plan plan;
  int32_t reach = middle->kernel_h - 1;
  plan.group_rows = pmn_least(wide->h, (GROUP_PIXELS + wide->w - 1) / wide->w);
  plan.groups =
      pmn_least((wide->h + plan.group_rows - 1) / plan.group_rows, (reach + plan.group_rows - 1) / plan.group_rows + 1);
  int64_t panel_bytes = (int64_t)plan.groups * plan.group_rows * wide->w * kernels->panel * 4;
  int32_t panels = (int32_t)(WIDE_BYTES / panel_bytes);
  plan.slice = pmn_least(kernels->panel * (panels < 1 ? 1 : panels), round_up(wide->c, kernels->lanes));
  plan.narrow_rows = pmn_least(out->h, (GROUP_PIXELS + out->w - 1) / out->w);
  return plan;
}

/* Channels of the slice that starts at `first`, padded to whole vectors. */
static int32_t slice_width(
    const pmn_cpu_kernels *kernels, const pmn_cpu_block_plan *plan, int32_t first, int32_t channels) {
  return pmn_least(plan->slice, round_up(channels - first, kernels->lanes));
}

/* Per slice: depthwise taps [kernel_h * kernel_w, slice], then bias [slice]; zero for the padding. */
static void pack_middle(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, int32_t channels) {
  const pmn_op *op = &layer->middle;
  int32_t taps = op->kernel_h * op->kernel_w;
  float *to = layer->packed_middle;
  for (int32_t first = 0; first < channels; first += layer->plan.slice) {
    int32_t width = slice_width(kernels, &layer->plan, first, channels);
    for (int32_t t = 0; t <= taps; t++) {
      const float *from = t < taps ? op->weights + (size_t)t * (size_t)channels : op->bias;
      for (int32_t i = 0; i < width; i++) *to++ = first + i < channels ? from[first + i] : 0.0f;
    }
  }
}

/* Per slice: its rows of the last weights, packed; padding channels have rows of zeros. */
static pmn_status pack_last(
    const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, int32_t channels, int32_t out_channels, pmn_err *err) {
  size_t n = (size_t)out_channels, floats = (size_t)layer->plan.slice * n;
  float *padded = pmn_alloc(floats, sizeof *padded);
  if (padded == NULL) return pmn_err_memory(err, floats * sizeof *padded, layer->last.name);
  float *to = layer->packed_last;
  for (int32_t first = 0; first < channels; first += layer->plan.slice) {
    int32_t width = slice_width(kernels, &layer->plan, first, channels);
    size_t real = (size_t)pmn_least(width, channels - first) * n;
    memset(padded, 0, floats * sizeof *padded);
    memcpy(padded, layer->last.weights + (size_t)first * n, real * sizeof *padded);
    kernels->pack_weights(padded, layer->last.bias, width, out_channels, to);
    to += kernels->packed_size(width, out_channels);
  }
  pmn_free(padded);
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_block_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    int32_t index, pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  layer->form = PMN_CPU_BLOCK;
  layer->op_count = 3;
  layer->middle = program->ops[index + 1];
  layer->last = program->ops[index + 2];
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *wide = &program->tensors[op->output];
  const pmn_tensor *out = &program->tensors[layer->last.output];
  layer->plan = make_plan(kernels, &layer->middle, wide, out);
  int32_t k = op->kernel_h * op->kernel_w * in->c, slices = (wide->c + layer->plan.slice - 1) / layer->plan.slice;
  size_t slice = (size_t)layer->plan.slice, taps = (size_t)(layer->middle.kernel_h * layer->middle.kernel_w);
  layer->packed = pmn_slab_alloc(slab, kernels->packed_size(k, wide->c), sizeof(float));
  layer->packed_middle = pmn_slab_alloc(slab, (size_t)slices * slice * (taps + 1), sizeof(float));
  layer->packed_last =
      pmn_slab_alloc(slab, (size_t)slices * kernels->packed_size(layer->plan.slice, out->c), sizeof(float));
  layer->weight_bytes = (kernels->packed_size(k, wide->c) +
                            (size_t)slices * (slice * (taps + 1) + kernels->packed_size(layer->plan.slice, out->c))) *
                        sizeof(float);
  if (layer->packed == NULL || layer->packed_middle == NULL || layer->packed_last == NULL) {
    return pmn_err_memory(err, kernels->packed_size(k, wide->c) * sizeof(float), op->name);
  }
  kernels->pack_weights(op->weights, op->bias, k, wide->c, layer->packed);
  pack_middle(layer, kernels, wide->c);
  pmn_cpu_raise(&sizes->patches, pmn_cpu_patches_size(kernels, op, in, wide));
  pmn_cpu_raise(&sizes->patches, kernels->room_bytes / sizeof(float));
  pmn_cpu_raise(&sizes->zeros, (size_t)wide->w * slice);
  pmn_cpu_raise(&sizes->rows, (size_t)layer->middle.kernel_h);
  pmn_cpu_raise(&sizes->wide, (size_t)layer->plan.groups * (size_t)layer->plan.group_rows * (size_t)wide->w * slice);
  pmn_cpu_raise(&sizes->narrow, (size_t)layer->plan.narrow_rows * (size_t)out->w * slice);
  pmn_cpu_raise(&sizes->sums, (size_t)out->h * (size_t)out->w * (size_t)round_up(out->c, kernels->lanes));
  return pack_last(layer, kernels, wide->c, out->c, err);
}

/* One slice on its way down the picture. */
typedef struct sweep {
  const pmn_cpu_layer *layer;
  const pmn_cpu_kernels *kernels;
  const pmn_tensor *in, *wide, *out;
  const float *x, *residual;
  float *y;
  pmn_cpu_scratch *scratch;
  int32_t width;     /* channels of the slice */
  int32_t rows_done; /* wide rows computed so far */
  bool is_first, is_last;
  const float *w_first, *w_middle, *w_last;
} sweep;

static float *wide_row(const sweep *s, int32_t row) {
  const pmn_cpu_block_plan *plan = &s->layer->plan;
  return s->scratch->wide + (size_t)(row % (plan->groups * plan->group_rows)) * (size_t)s->wide->w * (size_t)s->width;
}

/* The next group of wide rows, over the oldest one. */
static void widen(sweep *s) {
  const pmn_op *op = &s->layer->op;
  int32_t rows = pmn_least(s->layer->plan.group_rows, s->wide->h - s->rows_done);
  pmn_cpu_gemm gemm = {.n = s->width,
      .w = s->w_first,
      .y = wide_row(s, s->rows_done),
      .y_stride = (size_t)s->width,
      .epilogue = {NULL, op->clamp_min, op->clamp_max}};
  pmn_cpu_conv2d_pixels(
      s->kernels, op, s->in, s->wide, s->x, 0, s->rows_done * s->wide->w, rows * s->wide->w, gemm, s->scratch->patches);
  s->rows_done += rows;
}

static void depthwise(sweep *s, int32_t out_row, float *y) {
  const pmn_op *op = &s->layer->middle;
  for (int32_t r = 0; r < op->kernel_h; r++) {
    int32_t row = out_row * op->stride_h - op->pad_top + r;
    bool inside = row >= 0 && row < s->wide->h;
    while (inside && row >= s->rows_done) widen(s);
    s->scratch->rows[r] = inside ? wide_row(s, row) : s->scratch->zeros;
  }
  pmn_cpu_depthwise d = pmn_cpu_depthwise_args(op, s->wide->w, s->out->w, s->width, s->w_middle);
  d.rows = s->scratch->rows;
  d.y = y;
  s->kernels->depthwise_row(&d);
}

/* Output rows [first, first + rows) from the narrow rows in the scratch. */
static void project(const sweep *s, int32_t first, int32_t rows) {
  const pmn_op *op = &s->layer->last;
  size_t channels = (size_t)s->out->c, sums_stride = (size_t)round_up(s->out->c, s->kernels->lanes / 2);
  size_t pixel = (size_t)first * (size_t)s->out->w;
  float *sums = s->scratch->sums + pixel * sums_stride;
  pmn_cpu_gemm gemm = {.m = rows * s->out->w,
      .k = s->width,
      .n = s->out->c,
      .a = s->scratch->narrow,
      .a_stride = (size_t)s->width,
      .room = s->scratch->patches,
      .w = s->w_last,
      .start = s->is_first ? NULL : sums,
      .start_stride = sums_stride,
      .y = sums,
      .y_stride = sums_stride,
      .epilogue = {NULL, -INFINITY, INFINITY}};
  if (s->is_last) {
    const float *residual = s->residual == NULL ? NULL : s->residual + pixel * channels;
    gemm.y = s->y + pixel * channels;
    gemm.y_stride = channels;
    gemm.epilogue = (pmn_cpu_epilogue){residual, op->clamp_min, op->clamp_max};
  } else {
    gemm.n = (int32_t)sums_stride; /* whole vectors, or half of one: the padding of the weights is zero */
  }
  s->kernels->gemm(&gemm);
}

static void run_slice(sweep *s) {
  int32_t waiting = 0;
  for (int32_t row = 0; row < s->out->h; row++) {
    depthwise(s, row, s->scratch->narrow + (size_t)(waiting * s->out->w) * (size_t)s->width);
    waiting++;
    if (waiting < s->layer->plan.narrow_rows && row + 1 < s->out->h) continue;
    project(s, row + 1 - waiting, waiting);
    waiting = 0;
  }
}

void pmn_cpu_block_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *tensors,
    const float *x, float *y, const float *residual, pmn_cpu_scratch *scratch) {
  const pmn_tensor *in = &tensors[layer->op.input], *wide = &tensors[layer->op.output];
  const pmn_tensor *out = &tensors[layer->last.output];
  int32_t k = layer->op.kernel_h * layer->op.kernel_w * in->c;
  int32_t taps = layer->middle.kernel_h * layer->middle.kernel_w;
  sweep s = {.layer = layer,
      .kernels = kernels,
      .in = in,
      .wide = wide,
      .out = out,
      .x = x,
      .residual = residual,
      .y = y,
      .scratch = scratch,
      .w_first = layer->packed,
      .w_middle = layer->packed_middle,
      .w_last = layer->packed_last};
  for (int32_t first = 0; first < wide->c; first += layer->plan.slice) {
    s.width = slice_width(kernels, &layer->plan, first, wide->c);
    s.rows_done = 0;
    s.is_first = first == 0;
    s.is_last = first + layer->plan.slice >= wide->c;
    run_slice(&s);
    s.w_first += kernels->packed_size(k, s.width);
    s.w_middle += (size_t)(taps + 1) * (size_t)s.width;
    s.w_last += kernels->packed_size(s.width, out->c);
  }
}
