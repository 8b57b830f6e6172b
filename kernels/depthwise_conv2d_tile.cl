/* pmn_depthwise_conv2d_tile - every channel with a kernel of its own, for GPUs.
 *
 *   out[n, y, x, c] = act(bias[c] + sum over r, s of in[n, y*stride_h + r*dilation_h - pad_top,
 *                     x*PMN_STRIDE_W + s*PMN_DILATION_W - pad_left, c] * w[r, s, c] + residual[n, y, x, c])
 *
 * One work-item: PMN_VECTOR neighbouring channels of PMN_COLUMNS neighbouring pixels of one output row. It slides down
 * the rows of the window; what its pixels see of a row is in registers, so that every number and every weight is loaded
 * once for all of them: for 3x3, stride 1 and four pixels 6 + 3 vectors a row, where each pixel by itself loads 3 + 3.
 *   global id 0: x / PMN_COLUMNS * groups + group, group = c / PMN_VECTOR, columns rounded up
 *   global id 1: n * out_h + y.   Local size (PMN_LOCAL, 1); ids past the end of dimension 0 do nothing.
 *
 * The sum runs over r, s in this order; outside the picture it adds 0. Preconditions: every tensor of the batch has fewer
 * than 2^31 elements; PMN_VECTOR divides channels; no bias is -0, so that nobody can tell a sum of -0 from one of +0.
 */
#ifndef PMN_VECTOR /* 1, 2, 4 or 8 */
#define PMN_VECTOR 4
#endif
#ifndef PMN_COLUMNS
#define PMN_COLUMNS 4
#endif
#ifndef PMN_LOCAL
#define PMN_LOCAL 64
#endif
#ifndef PMN_KERNEL_W
#define PMN_KERNEL_H 3
#define PMN_KERNEL_W 3
#define PMN_STRIDE_W 1
#define PMN_DILATION_W 1
#endif
#define PMN_SEEN ((PMN_COLUMNS - 1) * PMN_STRIDE_W + (PMN_KERNEL_W - 1) * PMN_DILATION_W + 1) /* pixels of an input row */
#define PMN_SEEN_MAX 32 /* of more, each is loaded where it is needed: registers end, and so do compilers' loops */

#if PMN_VECTOR == 1
#define PMN_FLOATS float
#define PMN_VLOAD(p) PMN_LOAD(0, p)
#define PMN_VSTORE(v, p) PMN_STORE(v, 0, p)
#else
#define PMN_FLOATS PMN_PASTE(float, PMN_VECTOR)
#define PMN_VLOAD(p) PMN_LOADA(PMN_VECTOR, 0, p)
#define PMN_VSTORE(v, p) PMN_STOREA(PMN_VECTOR, v, 0, p)
#endif

__kernel __attribute__((reqd_work_group_size(PMN_LOCAL, 1, 1))) void pmn_depthwise_conv2d_tile(
    const __global PMN_T *restrict in_base, const ulong in_offset, const __global PMN_T *restrict weights,
    const __global float *restrict bias, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int channels, const int out_h, const int out_w, const int stride_h, const int dilation_h, const int pad_top,
    const int pad_left, const float alpha, const float clamp_min, const float clamp_max) {
  const int groups = channels / PMN_VECTOR, item = (int)get_global_id(0);
  const int channel = item % groups * PMN_VECTOR, first = item / groups * PMN_COLUMNS;
  if (first >= out_w) return;
  const int row = (int)get_global_id(1), n = row / out_h, top = row % out_h * stride_h - pad_top;
  const int left = first * PMN_STRIDE_W - pad_left;
  const __global PMN_T *in = in_base + in_offset + n * in_h * in_w * channels + channel;
  PMN_FLOATS sum[PMN_COLUMNS];
#pragma unroll
  for (int c = 0; c < PMN_COLUMNS; c++) sum[c] = (PMN_FLOATS)(0.0f);

  for (int r = 0; r < PMN_KERNEL_H; r++) {
    const int y = top + r * dilation_h;
    if (y < 0 || y >= in_h) continue;
#if PMN_SEEN <= PMN_SEEN_MAX
    PMN_FLOATS seen[PMN_SEEN];
#pragma unroll
    for (int i = 0; i < PMN_SEEN; i++) {
      const int x = left + i;
      seen[i] = x >= 0 && x < in_w ? PMN_VLOAD(in + (y * in_w + x) * channels) : (PMN_FLOATS)(0.0f);
    }
#pragma unroll
    for (int s = 0; s < PMN_KERNEL_W; s++) {
      const PMN_FLOATS w = PMN_VLOAD(weights + (r * PMN_KERNEL_W + s) * channels + channel);
#pragma unroll
      for (int c = 0; c < PMN_COLUMNS; c++)
        sum[c] = fma(seen[c * PMN_STRIDE_W + s * PMN_DILATION_W], w, sum[c]);
    }
#else
    for (int s = 0; s < PMN_KERNEL_W; s++) {
      const PMN_FLOATS w = PMN_VLOAD(weights + (r * PMN_KERNEL_W + s) * channels + channel);
#pragma unroll
      for (int c = 0; c < PMN_COLUMNS; c++) {
        const int x = left + c * PMN_STRIDE_W + s * PMN_DILATION_W;
        const PMN_FLOATS v = x >= 0 && x < in_w ? PMN_VLOAD(in + (y * in_w + x) * channels) : (PMN_FLOATS)(0.0f);
        sum[c] = fma(v, w, sum[c]);
      }
    }
#endif
  }

  const PMN_FLOATS item_bias = *(const __global PMN_FLOATS *)(bias + channel);
  const int to = (row * out_w + first) * channels + channel;
#pragma unroll
  for (int c = 0; c < PMN_COLUMNS; c++) {
    PMN_FLOATS v = sum[c] + item_bias;
    if (first + c < out_w) {
      if (has_residual) v += PMN_VLOAD(residual_base + residual_offset + to + c * channels);
      PMN_ACT(PMN_FLOATS, v);
      PMN_VSTORE(v, out_base + out_offset + to + c * channels);
    }
  }
}
