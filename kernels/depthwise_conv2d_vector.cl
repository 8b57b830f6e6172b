/* pmn_depthwise_conv2d_vector - every channel with a kernel of its own, for CPUs.
 *
 *   out[n, y, x, c] = act(bias[c] + sum over r, s of in[n, y*stride_h + r*dilation_h - pad_top,
 *                     x*stride_w + s*dilation_w - pad_left, c] * w[r, s, c] + residual[n, y, x, c])
 *
 * One work-item: PMN_VECTOR neighbouring channels of PMN_COLUMNS neighbouring pixels of one output row. Channels left over
 * when PMN_VECTOR does not divide their number go one by one.
 *   global id 0: x / PMN_COLUMNS * groups + group, group = c / PMN_VECTOR, groups and columns rounded up
 *   global id 1: n * out_h + y.   Local size (PMN_LOCAL, 1); ids past the end of dimension 0 do nothing.
 *
 * The sum runs over r, s in this order. Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
#ifndef PMN_VECTOR /* channels of a work-item */
#define PMN_VECTOR 16
#endif
#ifndef PMN_COLUMNS /* pixels of a work-item: up to a whole row */
#define PMN_COLUMNS 1
#endif
#ifndef PMN_LOCAL
#define PMN_LOCAL 1
#endif

#define PMN_FLOATS PMN_PASTE(float, PMN_VECTOR)

__kernel __attribute__((reqd_work_group_size(PMN_LOCAL, 1, 1))) void pmn_depthwise_conv2d_vector(
    const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict weights, const __global float *restrict bias,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w, const int channels,
    const int out_h, const int out_w, const int kernel_h, const int kernel_w, const int stride_h, const int stride_w,
    const int dilation_h, const int dilation_w, const int pad_top, const int pad_left, const float alpha,
    const float clamp_min, const float clamp_max) {
  const int groups = (channels + PMN_VECTOR - 1) / PMN_VECTOR;
  const int channel = (int)get_global_id(0) % groups * PMN_VECTOR, first = (int)get_global_id(0) / groups * PMN_COLUMNS;
  const int row = (int)get_global_id(1), n = row / out_h, top = row % out_h * stride_h - pad_top;
  const int r_begin = pmn_taps_before(-top, dilation_h), r_end = min(kernel_h, pmn_taps_before(in_h - top, dilation_h));
  const int end = min(first + PMN_COLUMNS, out_w);
  const __global PMN_T *in = in_base + in_offset + n * in_h * in_w * channels;
  const __global PMN_T *residual = residual_base + residual_offset + row * out_w * channels;
  __global PMN_T *out = out_base + out_offset + row * out_w * channels;

  if (channel + PMN_VECTOR <= channels) {
    const PMN_FLOATS group_bias = PMN_PASTE(vload, PMN_VECTOR)(0, bias + channel);
    for (int x = first; x < end; x++) {
      const int left = x * stride_w - pad_left, s_begin = pmn_taps_before(-left, dilation_w);
      const int s_end = min(kernel_w, pmn_taps_before(in_w - left, dilation_w));
      PMN_FLOATS v = (PMN_FLOATS)(0.0f);
      for (int r = r_begin; r < r_end; r++) {
        const int at = (top + r * dilation_h) * in_w + left;
        for (int s = s_begin; s < s_end; s++) {
          v = fma(PMN_LOADN(PMN_VECTOR, 0, in + (at + s * dilation_w) * channels + channel),
              PMN_LOADN(PMN_VECTOR, 0, weights + (r * kernel_w + s) * channels + channel), v);
        }
      }
      v += group_bias;
      if (has_residual) v += PMN_LOADN(PMN_VECTOR, 0, residual + x * channels + channel);
      PMN_ACT(PMN_FLOATS, v);
      PMN_STOREN(PMN_VECTOR, v, 0, out + x * channels + channel);
    }
  } else {
    for (int x = first; x < end; x++) {
      const int left = x * stride_w - pad_left, s_begin = pmn_taps_before(-left, dilation_w);
      const int s_end = min(kernel_w, pmn_taps_before(in_w - left, dilation_w));
      for (int c = channel; c < channels; c++) {
        float v = 0.0f;
        for (int r = r_begin; r < r_end; r++) {
          const int at = (top + r * dilation_h) * in_w + left;
          for (int s = s_begin; s < s_end; s++) {
            v = fma(PMN_LOAD((at + s * dilation_w) * channels + c, in),
                PMN_LOAD((r * kernel_w + s) * channels + c, weights), v);
          }
        }
        v += bias[c];
        if (has_residual) v += PMN_LOAD(x * channels + c, residual);
        PMN_ACT(float, v);
        PMN_STORE(v, x * channels + c, out);
      }
    }
  }
}
