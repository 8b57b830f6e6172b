/* pmn_conv2d_vector - convolution, for devices whose work-items are turns of a CPU thread.
 *
 *   out[n, y, x, o] = act(bias[o] + sum over r, s, i of in[n, y*stride_h + r*dilation_h - pad_top,
 *                     x*stride_w + s*dilation_w - pad_left, first + i] * w[r, s, i, o] + residual[n, y, x, o])
 *
 * i counts the in_c / groups channels of o's group, of which `first` is the first. Weights are packed [panel][r][s][i][16]
 * and bias [panel][16], both filled up with zeros: every group has as many panels of 16 output channels as it needs. A 1x1
 * convolution is the matrix product it looks like; a dense layer is a 1x1 convolution of one pixel.
 *
 * One work-item: 16 channels of PMN_BLOCKS x PMN_PIXELS output pixels that follow each other in y * out_w + x.
 *   global id 0: pixels / (PMN_BLOCKS * PMN_PIXELS), rounded up; 1: panel; 2: n.   Any local size.
 * PMN_PIXELS vectors of sums, one of weights and one broadcast stay in registers: 14 of the 16 that AVX2 has. No local
 * memory: on a CPU it is memory like any other.
 *
 * The sum runs over r, s, i in this order, whatever n is: the same bits for a picture in every batch.
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; groups divides in_c and out_c; PMN_BYTES means
 * in_c = 3 and groups = 1.
 */
#ifndef PMN_PIXELS /* pixels that share one load of weights: 1 to 14 */
#define PMN_PIXELS 6
#endif
#ifndef PMN_BLOCKS /* blocks of pixels of one work-item: spreads its start-up cost */
#define PMN_BLOCKS 4
#endif
#ifndef PMN_BYTES /* 1: the input is u8, read as value * scale[i] + shift[i] */
#define PMN_BYTES 0
#endif

#if PMN_BYTES
#define PMN_INPUT uchar
#define PMN_FACTOR(at, i) fma(convert_float(in[at]), (i) == 0 ? scale.x : (i) == 1 ? scale.y : scale.z, \
    (i) == 0 ? shift.x : (i) == 1 ? shift.y : shift.z)
#else
#define PMN_INPUT PMN_T
#define PMN_FACTOR(at, i) PMN_LOAD(at, in)
#endif

__kernel void pmn_conv2d_vector(const __global PMN_INPUT *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict weights, const __global float *restrict bias,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w, const int in_c,
    const int out_h, const int out_w, const int out_c, const int kernel_h, const int kernel_w, const int stride_h,
    const int stride_w, const int dilation_h, const int dilation_w, const int pad_top, const int pad_left,
    const float alpha, const float clamp_min, const float clamp_max, const int groups, const float4 scale,
    const float4 shift) {
  const int pixels = out_h * out_w, n = (int)get_global_id(2), group_in = in_c / groups, group_out = out_c / groups;
  const int group_panels = (group_out + 15) / 16, group = (int)get_global_id(1) / group_panels;
  const int channel = group * group_out + (int)get_global_id(1) % group_panels * 16;
  const int channels = min(16, (group + 1) * group_out - channel); /* of this panel */
  const __global PMN_INPUT *in = in_base + in_offset + (ulong)n * (ulong)(in_h * in_w * in_c) + group * group_in;
  const __global PMN_T *residual = residual_base + residual_offset + (ulong)n * (ulong)(pixels * out_c);
  __global PMN_T *out = out_base + out_offset + (ulong)n * (ulong)(pixels * out_c);
  const __global PMN_T *panel = weights + (ulong)get_global_id(1) * (ulong)(kernel_h * kernel_w * group_in) * 16;
  const float16 panel_bias = vload16(get_global_id(1), bias);

  for (int block = 0; block < PMN_BLOCKS; block++) {
    const int first = ((int)get_global_id(0) * PMN_BLOCKS + block) * PMN_PIXELS;
    if (first >= pixels) return;
    int top[PMN_PIXELS], left[PMN_PIXELS];
    float16 sum[PMN_PIXELS];
#pragma unroll
    for (int p = 0; p < PMN_PIXELS; p++) {
      /* Past the last pixel the last one is computed again, and not stored. */
      const int pixel = min(first + p, pixels - 1);
      top[p] = pixel / out_w * stride_h - pad_top;
      left[p] = pixel % out_w * stride_w - pad_left;
      sum[p] = (float16)(0.0f);
    }
    const __global PMN_T *w = panel;
    for (int r = 0; r < kernel_h; r++) {
      for (int s = 0; s < kernel_w; s++, w += group_in * 16) {
        int at[PMN_PIXELS], inside[PMN_PIXELS], all_inside = 1;
#pragma unroll
        for (int p = 0; p < PMN_PIXELS; p++) {
          const int y = top[p] + r * dilation_h, x = left[p] + s * dilation_w;
          inside[p] = y >= 0 && y < in_h && x >= 0 && x < in_w;
          at[p] = inside[p] ? (y * in_w + x) * in_c : 0;
          all_inside &= inside[p];
        }
        if (all_inside) {
          for (int i = 0; i < group_in; i++) {
            const float16 v = PMN_LOADN(16, i, w);
#pragma unroll
            for (int p = 0; p < PMN_PIXELS; p++) sum[p] = fma((float16)(PMN_FACTOR(at[p] + i, i)), v, sum[p]);
          }
        } else {
#pragma unroll
          for (int p = 0; p < PMN_PIXELS; p++) {
            if (!inside[p]) continue;
            for (int i = 0; i < group_in; i++) {
              sum[p] = fma((float16)(PMN_FACTOR(at[p] + i, i)), PMN_LOADN(16, i, w), sum[p]);
            }
          }
        }
      }
    }
#pragma unroll
    for (int p = 0; p < PMN_PIXELS; p++) {
      if (first + p >= pixels) continue;
      const int to = (first + p) * out_c + channel;
      float16 v = sum[p] + panel_bias;
      if (channels == 16) {
        if (has_residual) v += PMN_LOADN(16, 0, residual + to);
        PMN_ACT(float16, v);
        PMN_STOREN(16, v, 0, out + to);
      } else {
        float lane[16];
        vstore16(v, 0, lane);
        for (int o = 0; o < channels; o++) {
          float f = lane[o];
          if (has_residual) f += PMN_LOAD(to + o, residual);
          PMN_ACT(float, f);
          PMN_STORE(f, to + o, out);
        }
      }
    }
  }
}
