/* pmn_average_pool - the mean of every window, channel by channel.
 *
 *   out[n, y, x, c] = act(sum over r, s of in[n, y*stride_h + r - pad_top, x*stride_w + s - pad_left, c] / divisor
 *                     + residual[n, y, x, c])                         pixels outside the picture are 0
 *   divisor: the number of (r, s) whose row is below count_h and column below count_w, and, unless count_padding, in the
 *            picture. The host gives the picture's size, or with count_padding its size and the pads below and to the right.
 *
 * One work-item: one element of out. Neighbouring work-items read neighbouring channels.
 *   global id 0: (y * out_w + x) * channels + c, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * The sum runs over r, s in this order. Preconditions: every tensor of the batch has fewer than 2^31 elements; every window
 * has a pixel in the picture.
 */
__kernel void pmn_average_pool(const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w, const int channels,
    const int out_h, const int out_w, const int kernel_h, const int kernel_w, const int stride_h, const int stride_w,
    const int pad_top, const int pad_left, const int count_padding, const int count_h, const int count_w,
    const float alpha, const float clamp_min, const float clamp_max) {
  const int n = (int)get_global_id(1), size = out_h * out_w * channels;
  if (get_global_id(0) >= (size_t)size) return;
  const int element = (int)get_global_id(0), c = element % channels, pixel = element / channels;
  const int top = pixel / out_w * stride_h - pad_top, left = pixel % out_w * stride_w - pad_left;
  const int r_begin = max(0, -top), r_end = min(kernel_h, in_h - top);
  const int s_begin = max(0, -left), s_end = min(kernel_w, in_w - left);
  const int rows = min(kernel_h, count_h - top) - (count_padding ? 0 : r_begin);
  const int columns = min(kernel_w, count_w - left) - (count_padding ? 0 : s_begin);
  const __global PMN_T *in = in_base + in_offset + n * in_h * in_w * channels;
  float v = 0.0f;
  for (int r = r_begin; r < r_end; r++) {
    for (int s = s_begin; s < s_end; s++) v += PMN_LOAD(((top + r) * in_w + left + s) * channels + c, in);
  }
  v /= (float)rows * (float)columns;
  if (has_residual) v += PMN_LOAD(residual_offset + (ulong)(n * size + element), residual_base);
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * size + element), out_base);
}
