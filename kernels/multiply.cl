/* pmn_multiply - one tensor times another, which may have one row, one column or one channel for all.
 *
 *   out[n, y, x, c] = act(in[n, y, x, c] * factor[n, y or 0, x or 0, c or 0] + residual[n, y, x, c])
 *
 * One work-item: one element of out.
 *   global id 0: (y * w + x) * channels + c, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * stride_y, stride_x and stride_c lead from a row, column or channel of the factor to the next, and are 0 where it has one
 * for all; factor_size is that of one picture. Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
__kernel void pmn_multiply(const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict factor_base, const ulong factor_offset,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int h, const int w, const int channels,
    const int factor_size, const int stride_y, const int stride_x, const int stride_c, const float alpha,
    const float clamp_min, const float clamp_max) {
  const int n = (int)get_global_id(1), size = h * w * channels;
  if (get_global_id(0) >= (size_t)size) return;
  const int element = (int)get_global_id(0), c = element % channels, pixel = element / channels, y = pixel / w, x = pixel % w;
  const int at = n * factor_size + y * stride_y + x * stride_x + c * stride_c;
  float v = PMN_LOAD(in_offset + (ulong)(n * size + element), in_base) *
            PMN_LOAD(factor_offset + (ulong)at, factor_base);
  if (has_residual) v += PMN_LOAD(residual_offset + (ulong)(n * size + element), residual_base);
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * size + element), out_base);
}
