/* pmn_cpu_conv.c - see pmn_cpu_conv.h. */
#include "pmn_cpu_conv.h"

#include <stddef.h>
#include <string.h>

/* Windows gathered for one matrix product: as many as fit a level-1 cache; but every product brings the weights, and if
 * those come from beyond level 2, as many as fit there of what is used at a time: a part of each, of long sums. */
enum {
  PATCH_BYTES = 16 * 1024,
  PATCH_BYTES_FAR = 384 * 1024,
  WEIGHT_BYTES_NEAR = 1024 * 1024,
  PATCHES_MAX = 256,
  PATCHES_MIN = 16
};

bool pmn_cpu_is_pointwise(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  return op->kernel_h == 1 && op->kernel_w == 1 && op->stride_h == 1 && op->stride_w == 1 && op->pad_top == 0 &&
         op->pad_left == 0 && in->h == out->h && in->w == out->w;
}

static int32_t patches_at_once(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  int64_t patch = (int64_t)op->kernel_h * op->kernel_w * (in->c / op->groups);
  bool near = 4 * patch * (out->c / op->groups) <= WEIGHT_BYTES_NEAR;
  int64_t part = patch < PMN_CPU_DEPTH_MAX ? patch : PMN_CPU_DEPTH_MAX;
  int32_t fitting = (int32_t)(near ? PATCH_BYTES / (4 * patch) : PATCH_BYTES_FAR / (4 * part));
  int32_t pieces = fitting < PATCHES_MIN ? PATCHES_MIN : fitting > PATCHES_MAX ? PATCHES_MAX : fitting;
  return pieces < out->h * out->w ? pieces : out->h * out->w;
}

size_t pmn_cpu_patches_size(const pmn_op *op, const pmn_tensor *in, const pmn_tensor *out) {
  size_t patch = (size_t)(op->kernel_h * op->kernel_w) * (size_t)(in->c / op->groups);
  return pmn_cpu_is_pointwise(op, in, out) ? 0 : (size_t)patches_at_once(op, in, out) * patch;
}

/* Copies `size` floats; of short runs a fixed PMN_CPU_SLACK, which is a few instructions and no call. What is too much
 * is overwritten by the next run or lies in the slack behind the buffer. */
static inline void copy_run(float *to, const float *from, size_t size) {
  if (size <= PMN_CPU_SLACK)
    memcpy(to, from, PMN_CPU_SLACK * sizeof(float));
  else
    memcpy(to, from, size * sizeof(float));
}

/* One row of a window whose columns lie side by side, all channels of them: one run, cut to the picture. */
static void gather_row(const pmn_op *op, const pmn_tensor *in, const float *row, int32_t left, float *patch) {
  size_t c = (size_t)in->c, size = (size_t)op->kernel_w * c;
  int32_t from = left < 0 ? -left : 0;
  int32_t to = left + op->kernel_w > in->w ? in->w - left : op->kernel_w;
  if (to - from == op->kernel_w) {
    copy_run(patch, row + (size_t)left * c, size);
    return;
  }
  memset(patch, 0, size * sizeof(float));
  if (from < to) {
    memcpy(patch + (size_t)from * c, row + (size_t)(left + from) * c, (size_t)(to - from) * c * sizeof(float));
  }
}

/* One row of a window in general: `depth` channels of every column. */
static void gather_taps(
    const pmn_op *op, const pmn_tensor *in, const float *row, int32_t left, size_t depth, float *patch) {
  for (int32_t s = 0; s < op->kernel_w; s++, patch += depth) {
    int32_t x = left + s * op->dilation_w;
    if (x < 0 || x >= in->w)
      memset(patch, 0, depth * sizeof(float));
    else
      copy_run(patch, row + (size_t)x * (size_t)in->c, depth);
  }
}

/* The windows that pixels [first, first + count) see, zeros outside the picture. x is the first channel of the group.
 */
static void gather_patches(const pmn_op *op, const pmn_tensor *in, int32_t out_w, const float *x, int32_t first,
    int32_t count, float *patches) {
  size_t depth = (size_t)(in->c / op->groups), row_size = (size_t)op->kernel_w * depth;
  for (int32_t p = first; p < first + count; p++) {
    int32_t top = p / out_w * op->stride_h - op->pad_top, left = p % out_w * op->stride_w - op->pad_left;
    for (int32_t r = 0; r < op->kernel_h; r++, patches += row_size) {
      int32_t y = top + r * op->dilation_h;
      const float *row = x + (ptrdiff_t)y * in->w * in->c;
      if (y < 0 || y >= in->h)
        memset(patches, 0, row_size * sizeof(float));
      else if (op->groups == 1 && op->dilation_w == 1)
        gather_row(op, in, row, left, patches);
      else
        gather_taps(op, in, row, left, depth, patches);
    }
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

void pmn_cpu_conv2d_pixels(const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, int32_t group, int32_t first, int32_t count, pmn_cpu_gemm gemm,
    float *patches) {
  int32_t depth = in->c / op->groups;
  x += (size_t)group * (size_t)depth;
  gemm.k = op->kernel_h * op->kernel_w * depth;
  if (pmn_cpu_is_pointwise(op, in, out)) {
    gemm.m = count;
    gemm.a_stride = (size_t)in->c;
    gemm.a = x + (size_t)first * gemm.a_stride;
    kernels->gemm(&gemm);
    return;
  }
  int32_t piece = patches_at_once(op, in, out);
  gemm.a = patches;
  gemm.a_stride = (size_t)gemm.k;
  for (int32_t done = 0; done < count; done += piece) {
    gemm.m = count - done < piece ? count - done : piece;
    gather_patches(op, in, out->w, x, first + done, gemm.m, patches);
    kernels->gemm(&gemm);
    gemm.y += (size_t)gemm.m * gemm.y_stride;
    if (gemm.epilogue.residual != NULL) gemm.epilogue.residual += (size_t)gemm.m * gemm.y_stride;
  }
}
