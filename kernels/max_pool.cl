/* pmn_max_pool - the largest pixel of every window, channel by channel.
 *
 *   out[n, y, x, c] = act(max over r, s of in[n, y*stride_h + r*dilation_h - pad_top, x*stride_w + s*dilation_w - pad_left, c]
 *                     + residual[n, y, x, c])                         pixels outside the picture do not count
 *
 * One work-item: one element of out. Neighbouring work-items read neighbouring channels.
 *   global id 0: (y * out_w + x) * channels + c, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; every window has a pixel in the picture.
 */
__kernel void pmn_max_pool(const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w, const int channels,
    const int out_h, const int out_w, const int kernel_h, const int kernel_w, const int stride_h, const int stride_w,
    const int dilation_h, const int dilation_w, const int pad_top, const int pad_left, const float alpha,
    const float clamp_min, const float clamp_max) {
  const int n = (int)get_global_id(1), size = out_h * out_w * channels;
  if (get_global_id(0) >= (size_t)size) return;
  const int element = (int)get_global_id(0), c = element % channels, pixel = element / channels;
  const int top = pixel / out_w * stride_h - pad_top, left = pixel % out_w * stride_w - pad_left;
  const int r_end = min(kernel_h, pmn_taps_before(in_h - top, dilation_h));
  const int s_begin = pmn_taps_before(-left, dilation_w);
  const int s_end = min(kernel_w, pmn_taps_before(in_w - left, dilation_w));
  const __global PMN_T *in = in_base + in_offset + n * in_h * in_w * channels;
  float v = -INFINITY;
  for (int r = pmn_taps_before(-top, dilation_h); r < r_end; r++) {
    const int row = (top + r * dilation_h) * in_w + left;
    for (int s = s_begin; s < s_end; s++) {
      const float f = PMN_LOAD((row + s * dilation_w) * channels + c, in);
      v = f > v ? f : v;
    }
  }
  if (has_residual) v += PMN_LOAD(residual_offset + (ulong)(n * size + element), residual_base);
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * size + element), out_base);
}
