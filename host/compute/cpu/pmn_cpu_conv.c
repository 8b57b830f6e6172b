/* pmn_cpu_conv.c - see pmn_cpu_conv.h. */
#include "pmn_cpu_conv.h"

#include <stddef.h>
#include <string.h>

/* Windows for one matrix product, gathered or as a strip of the picture: as many as fit a level-1 cache; but every
 * product brings the weights, and if those come from beyond level 2, as many as fit there of what is used at a time: a
 * part of each, of long sums. Strips of bf16 stay in level 2. */
enum {
  PATCH_BYTES_BF16 = 512 * 1024,
  PATCH_BYTES = 16 * 1024,
  STRIP_BYTES_BF16 = 256 * 1024,
  STRIP_BYTES_FAR_BF16 = 1024 * 1024,
  STRIP_BYTES = 32 * 1024,
  BYTES_FAR = 384 * 1024,
  WEIGHT_BYTES_NEAR = 1024 * 1024,
  PATCHES_MAX = 256,
  PATCHES_MIN = 16
};

static int32_t patch_length(const pmn_op *op, const pmn_tensor *in) {
  return op->kernel_h * op->kernel_w * (in->c / op->groups);
}

/* Bytes from one window to the next. */
static size_t patch_bytes(const pmn_cpu_kernels *kernels, int32_t length) {
  return kernels->round != NULL ? pmn_cpu_bf16_row(length) * sizeof(pmn_bf16) : (size_t)length * sizeof(float);
}

static int32_t patches_at_once(
    const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  int64_t patch = patch_length(op, in);
  bool near = 4 * patch * (out->c / op->groups) <= WEIGHT_BYTES_NEAR;
  int64_t part = patch < PMN_CPU_DEPTH_MAX ? patch : PMN_CPU_DEPTH_MAX;
  int32_t fitting = (int32_t)(near ? PATCH_BYTES / (4 * patch) : BYTES_FAR / (4 * part));
  if (kernels->round != NULL) fitting = (int32_t)(PATCH_BYTES_BF16 / patch_bytes(kernels, (int32_t)patch));
  int32_t pieces = fitting < PATCHES_MIN ? PATCHES_MIN : fitting > PATCHES_MAX ? PATCHES_MAX : fitting;
  return pieces < out->h * out->w ? pieces : out->h * out->w;
}

/* A convolution whose windows need not be gathered: they lie side by side or overlap, and their rows are runs of
 * numbers in the picture, once it has its padding; with bf16 whole cache lines of the rounded picture. Output rows are
 * taken some at a time, with what they see of the picture. */
typedef struct strip_plan {
  int32_t width; /* pixels across the picture, its padding included */
  int32_t rows;  /* of output, at once */
} strip_plan;

static int32_t strip_height(const pmn_op *op, int32_t out_rows) {
  return (out_rows - 1) * op->stride_h + op->kernel_h;
}

static bool plan_strips(
    const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out, strip_plan *plan) {
  bool rounds = kernels->round != NULL;
  int64_t number = rounds ? sizeof(pmn_bf16) : sizeof(float), length = patch_length(op, in);
  if (op->groups > 1 || op->dilation_w > 1 || op->dilation_h > 1) return false;
  if (op->kernel_w < op->stride_w || op->kernel_h < op->stride_h) return false;
  if (rounds && in->c % PMN_CPU_BF16_LINE != 0) return false;
  plan->width = (out->w - 1) * op->stride_w + op->kernel_w;
  bool far = length * number * out->c > WEIGHT_BYTES_NEAR;
  int64_t room = far ? BYTES_FAR * ((length + PMN_CPU_DEPTH_MAX - 1) / PMN_CPU_DEPTH_MAX) : STRIP_BYTES;
  if (rounds) room = far ? STRIP_BYTES_FAR_BF16 : STRIP_BYTES_BF16;
  int64_t rows = (room / (plan->width * number * in->c) - op->kernel_h) / op->stride_h + 1;
  int32_t least = (PATCHES_MIN + out->w - 1) / out->w;
  if (rows < least) rows = least;
  plan->rows = rows < out->h ? (int32_t)rows : out->h;
  return true;
}

size_t pmn_cpu_patches_size(
    const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  if (pmn_op_is_pointwise(op, in, out)) return kernels->room_bytes / sizeof(float);
  strip_plan plan;
  if (plan_strips(kernels, op, in, out, &plan)) {
    size_t rows = (size_t)strip_height(op, plan.rows), row = (size_t)plan.width * (size_t)in->c;
    if (kernels->round == NULL) return rows * row;
    return (rows + 1) * row * sizeof(pmn_bf16) / sizeof(float); /* its tiles read less than a row behind the last */
  }
  size_t count = (size_t)patches_at_once(kernels, op, in, out);
  if (kernels->round != NULL) count += count / 16 + 1; /* its tiles read so many rows behind the last */
  return count * patch_bytes(kernels, patch_length(op, in)) / sizeof(float);
}

/* Where windows go, in numbers of `width` bytes. */
typedef struct gather {
  const pmn_op *op;
  const pmn_tensor *in;
  void (*round)(const float *from, size_t count, pmn_bf16 *to); /* NULL: they stay floats */
  size_t width;
} gather;

/* Copies `size` numbers; with bf16, zeros to the end of a line behind them. */
static inline void copy_numbers(const gather *g, char *to, const float *from, size_t size) {
  if (g->round != NULL)
    g->round(from, size, (pmn_bf16 *)(void *)to);
  else
    memcpy(to, from, size * sizeof(float));
}

/* Copies `size` numbers; of short runs a fixed PMN_CPU_SLACK, which is a few instructions and no call. What is too much
 * is overwritten by the next run or lies in the slack behind the buffer. */
static inline void copy_run(const gather *g, char *to, const float *from, size_t size) {
  if (g->round == NULL && size <= PMN_CPU_SLACK)
    memcpy(to, from, PMN_CPU_SLACK * sizeof(float));
  else
    copy_numbers(g, to, from, size);
}

/* One row of a window whose columns lie side by side, all channels of them: one run, cut to the picture. */
static void gather_row(const gather *g, const float *row, int32_t left, char *patch) {
  int32_t columns = g->op->kernel_w, in_w = g->in->w;
  size_t c = (size_t)g->in->c, size = (size_t)columns * c;
  int32_t from = left < 0 ? -left : 0;
  int32_t to = left + columns > in_w ? in_w - left : columns;
  if (to - from == columns) {
    copy_run(g, patch, row + (size_t)left * c, size);
    return;
  }
  memset(patch, 0, size * g->width);
  if (from >= to) return;
  copy_numbers(g, patch + (size_t)from * c * g->width, row + (size_t)(left + from) * c, (size_t)(to - from) * c);
}

/* One row of a window in general: `depth` channels of every column. */
static void gather_taps(const gather *g, const float *row, int32_t left, size_t depth, char *patch) {
  for (int32_t s = 0; s < g->op->kernel_w; s++, patch += depth * g->width) {
    int32_t x = left + s * g->op->dilation_w;
    if (x < 0 || x >= g->in->w)
      memset(patch, 0, depth * g->width);
    else
      copy_run(g, patch, row + (size_t)x * (size_t)g->in->c, depth);
  }
}

/* The windows that pixels [first, first + count) see, zeros outside the picture. x is the first channel of the group.
 */
static void gather_patches(
    const gather *g, int32_t out_w, const float *x, int32_t first, int32_t count, char *patches) {
  const pmn_op *op = g->op;
  const pmn_tensor *in = g->in;
  size_t depth = (size_t)(in->c / op->groups), row_size = (size_t)op->kernel_w * depth * g->width;
  size_t length = (size_t)op->kernel_h * row_size, step = length;
  if (g->round != NULL) step = pmn_cpu_bf16_row(patch_length(op, in)) * sizeof(pmn_bf16);
  for (int32_t p = first; p < first + count; p++, patches += step) {
    int32_t top = p / out_w * op->stride_h - op->pad_top, left = p % out_w * op->stride_w - op->pad_left;
    char *patch = patches;
    for (int32_t r = 0; r < op->kernel_h; r++, patch += row_size) {
      int32_t y = top + r * op->dilation_h;
      const float *row = x + (ptrdiff_t)y * in->w * in->c;
      if (y < 0 || y >= in->h)
        memset(patch, 0, row_size);
      else if (op->groups == 1 && op->dilation_w == 1)
        gather_row(g, row, left, patch);
      else
        gather_taps(g, row, left, depth, patch);
    }
    memset(patch, 0, step - length); /* what fills up lines */
  }
}

pmn_cpu_depthwise pmn_cpu_depthwise_args(
    const pmn_op *op, int32_t in_w, int32_t out_w, int32_t channels, const float *packed) {
  return (pmn_cpu_depthwise){.in_w = in_w,
      .out_w = out_w,
      .c = channels,
      .kernel_h = op->kernel_h,
      .kernel_w = op->kernel_w,
      .stride_w = op->stride_w,
      .dilation_w = op->dilation_w,
      .pad_left = op->pad_left,
      .w = packed,
      .bias = packed + (size_t)(op->kernel_h * op->kernel_w) * (size_t)channels,
      .epilogue = {NULL, op->clamp_min, op->clamp_max}};
}

/* Input rows from `first` on, in and beside the picture, of numbers as wide as g says. */
static void fill_strip(const gather *g, const strip_plan *plan, const float *x, int32_t first, int32_t rows, char *to) {
  size_t c = (size_t)g->in->c, width = (size_t)plan->width * c, row_size = (size_t)g->in->w * c;
  size_t before = (size_t)g->op->pad_left * c;
  if (before > width) before = width;
  size_t inside = width - before < row_size ? width - before : row_size, after = width - before - inside;
  for (int32_t y = first; y < first + rows; y++, to += width * g->width) {
    if (y < 0 || y >= g->in->h) {
      memset(to, 0, width * g->width);
      continue;
    }
    const float *from = x + (size_t)y * row_size;
    char *begin = to + before * g->width;
    memset(to, 0, before * g->width);
    copy_numbers(g, begin, from, inside);
    memset(begin + inside * g->width, 0, after * g->width);
  }
}

static void advance(pmn_cpu_gemm *gemm) {
  gemm->y += (size_t)gemm->m * gemm->y_stride;
  if (gemm->epilogue.residual != NULL) gemm->epilogue.residual += (size_t)gemm->m * gemm->y_stride;
}

/* Output rows [first, first + count). */
static void run_strips(const pmn_cpu_kernels *kernels, const gather *g, const pmn_tensor *out, const strip_plan *plan,
    const float *x, int32_t first, int32_t count, pmn_cpu_gemm gemm, float *strip) {
  const pmn_op *op = g->op;
  size_t c = (size_t)g->in->c, row = (size_t)plan->width * c;
  size_t line = (size_t)op->stride_h * row, step = (size_t)op->stride_w * c;
  const pmn_cpu_rounded rounded = {(const pmn_bf16 *)(const void *)strip, out->w, line, step, op->kernel_h, row};
  const pmn_cpu_windows windows = {out->w, op->kernel_w * g->in->c, line, step, row};
  if (g->round != NULL) {
    gemm.rounded = &rounded;
  } else {
    gemm.a = strip;
    gemm.windows = &windows;
  }
  for (int32_t done = 0; done < count; done += plan->rows) {
    int32_t rows = count - done < plan->rows ? count - done : plan->rows;
    int32_t top = (first + done) * op->stride_h - op->pad_top;
    fill_strip(g, plan, x, top, strip_height(op, rows), (char *)strip);
    gemm.m = rows * out->w;
    kernels->gemm(&gemm);
    advance(&gemm);
  }
}

void pmn_cpu_conv2d_pixels(const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, int32_t group, int32_t first, int32_t count, pmn_cpu_gemm gemm,
    float *patches) {
  int32_t depth = in->c / op->groups;
  x += (size_t)group * (size_t)depth;
  gemm.k = patch_length(op, in);
  gemm.room = patches;
  if (pmn_op_is_pointwise(op, in, out)) {
    gemm.m = count;
    gemm.a_stride = (size_t)in->c;
    gemm.a = x + (size_t)first * gemm.a_stride;
    kernels->gemm(&gemm);
    return;
  }
  gather g = {.op = op, .in = in, .round = kernels->round, .width = sizeof(float)};
  if (kernels->round != NULL) g.width = sizeof(pmn_bf16);
  strip_plan plan;
  if (plan_strips(kernels, op, in, out, &plan)) {
    run_strips(kernels, &g, out, &plan, x, first / out->w, count / out->w, gemm, patches);
    return;
  }
  pmn_cpu_rounded rounded = {.a = (const pmn_bf16 *)patches, .step = pmn_cpu_bf16_row(gemm.k), .runs = 1};
  if (kernels->round != NULL) gemm.rounded = &rounded;
  int32_t piece = patches_at_once(kernels, op, in, out);
  gemm.a = patches;
  gemm.a_stride = (size_t)gemm.k;
  for (int32_t done = 0; done < count; done += piece) {
    gemm.m = count - done < piece ? count - done : piece;
    rounded.across = gemm.m;
    gather_patches(&g, out->w, x, first + done, gemm.m, (char *)patches);
    kernels->gemm(&gemm);
    advance(&gemm);
  }
}
