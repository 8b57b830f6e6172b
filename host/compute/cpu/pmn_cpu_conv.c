/* pmn_cpu_conv.c - see pmn_cpu_conv.h. */
#include "pmn_cpu_conv.h"

#include <string.h>

/* Windows gathered for one matrix product: as many as fit a level-1 cache beside the weights. */
enum { PATCH_BYTES = 16 * 1024, PATCHES_MAX = 256, PATCHES_MIN = 16 };

bool pmn_cpu_is_pointwise(const pmn_op *op) {
  return op->kernel_h == 1 && op->kernel_w == 1 && op->stride_h == 1 && op->stride_w == 1 && op->pad_top == 0 &&
         op->pad_left == 0;
}

static int32_t patches_at_once(int32_t patch_size) {
  int32_t fitting = (int32_t)(PATCH_BYTES / (4 * (int64_t)patch_size));
  return fitting < PATCHES_MIN ? PATCHES_MIN : fitting > PATCHES_MAX ? PATCHES_MAX : fitting;
}

size_t pmn_cpu_patches_size(const pmn_op *op, const pmn_tensor *in) {
  int32_t patch = op->kernel_h * op->kernel_w * in->c;
  return pmn_cpu_is_pointwise(op) ? 0 : (size_t)patches_at_once(patch) * (size_t)patch;
}

/* Copies `size` floats; of short runs a fixed PMN_CPU_SLACK, which is a few instructions and no call. What is too much
 * is overwritten by the next run or lies in the slack behind the buffer. */
static inline void copy_run(float *to, const float *from, size_t size) {
  if (size <= PMN_CPU_SLACK)
    memcpy(to, from, PMN_CPU_SLACK * sizeof(float));
  else
    memcpy(to, from, size * sizeof(float));
}

/* The windows that pixels [first, first + count) see, zeros outside the picture. */
static void gather_patches(const pmn_op *op, const pmn_tensor *in, int32_t out_w, const float *x, int32_t first,
    int32_t count, float *patches) {
  size_t c = (size_t)in->c, row_size = (size_t)op->kernel_w * c;
  for (int32_t p = first; p < first + count; p++) {
    int32_t top = p / out_w * op->stride_h - op->pad_top, left = p % out_w * op->stride_w - op->pad_left;
    int32_t from = left < 0 ? -left : 0;
    int32_t to = left + op->kernel_w > in->w ? in->w - left : op->kernel_w;
    for (int32_t r = 0; r < op->kernel_h; r++, patches += row_size) {
      bool inside = top + r >= 0 && top + r < in->h && from < to;
      if (!inside || to - from < op->kernel_w) memset(patches, 0, row_size * sizeof(float));
      if (!inside) continue;
      const float *row = x + ((size_t)(top + r) * (size_t)in->w + (size_t)(left + from)) * c;
      if (to - from == op->kernel_w) {
        copy_run(patches, row, row_size);
      } else {
        memcpy(patches + (size_t)from * c, row, (size_t)(to - from) * c * sizeof(float));
      }
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
      .pad_left = op->pad_left,
      .w = packed,
      .bias = packed + (size_t)(op->kernel_h * op->kernel_w) * (size_t)channels,
      .epilogue = {NULL, op->clamp_min, op->clamp_max}};
}

void pmn_cpu_conv2d_pixels(const pmn_cpu_kernels *kernels, const pmn_op *op, const pmn_tensor *in,
    const pmn_tensor *out, const float *x, int32_t first, int32_t count, pmn_cpu_gemm gemm, float *patches) {
  gemm.k = op->kernel_h * op->kernel_w * in->c;
  gemm.a_stride = (size_t)gemm.k;
  if (pmn_cpu_is_pointwise(op)) {
    gemm.m = count;
    gemm.a = x + (size_t)first * gemm.a_stride;
    kernels->gemm(&gemm);
    return;
  }
  int32_t piece = patches_at_once(gemm.k);
  gemm.a = patches;
  for (int32_t done = 0; done < count; done += piece) {
    gemm.m = count - done < piece ? count - done : piece;
    gather_patches(op, in, out->w, x, first + done, gemm.m, patches);
    kernels->gemm(&gemm);
    gemm.y += (size_t)gemm.m * gemm.y_stride;
    if (gemm.epilogue.residual != NULL) gemm.epilogue.residual += (size_t)gemm.m * gemm.y_stride;
  }
}
