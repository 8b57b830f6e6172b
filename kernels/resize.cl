/* pmn_resize - every output pixel from four pixels: bilinear, or nearest with f = g = 0.
 *
 *   out[n, y, x, c] = act((1-f) (1-g) in[n, y0, x0, c] + (1-f) g in[n, y0, x1, c] + f (1-g) in[n, y1, x0, c]
 *                     + f g in[n, y1, x1, c] + residual[n, y, x, c])
 *   y0, y1, f = taps[3 y], taps[3 y + 1], taps[3 y + 2];   x0, x1, g likewise from taps[3 (out_h + x)]
 *
 * One work-item: one element of out. Neighbouring work-items read neighbouring channels.
 *   global id 0: (y * out_w + x) * channels + c, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; the taps' pixels lie in the picture.
 */
__kernel void pmn_resize(const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global float *restrict taps, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int channels, const int out_h, const int out_w, const float alpha, const float clamp_min,
    const float clamp_max) {
  const int n = (int)get_global_id(1), size = out_h * out_w * channels;
  if (get_global_id(0) >= (size_t)size) return;
  const int element = (int)get_global_id(0), c = element % channels, pixel = element / channels;
  const float3 row = vload3(pixel / out_w, taps), column = vload3(out_h + pixel % out_w, taps);
  const int top = (int)row.x * in_w, bottom = (int)row.y * in_w, left = (int)column.x, right = (int)column.y;
  const float f = row.z, g = column.z;
  const __global PMN_T *in = in_base + in_offset + (n * in_h * in_w * channels + c);
  float v = (1.0f - f) * (1.0f - g) * PMN_LOAD((top + left) * channels, in) +
            (1.0f - f) * g * PMN_LOAD((top + right) * channels, in) +
            f * (1.0f - g) * PMN_LOAD((bottom + left) * channels, in) +
            f * g * PMN_LOAD((bottom + right) * channels, in);
  if (has_residual) v += PMN_LOAD(residual_offset + (ulong)(n * size + element), residual_base);
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * size + element), out_base);
}
