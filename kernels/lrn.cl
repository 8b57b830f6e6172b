/* pmn_lrn - local response normalisation: every channel divided by a power of its neighbours' squares.
 *
 *   out[n, p, c] = act(in[n, p, c] / (offset + scale * sum over j of in[n, p, j]^2)^beta + residual[n, p, c])
 *   j from max(0, c - before) to min(channels - 1, c + after),   p = y * w + x
 *
 * One work-item: one element of out. Neighbouring work-items read neighbouring channels.
 *   global id 0: p * channels + c, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * The sum runs over j upwards. Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
__kernel void pmn_lrn(const __global PMN_T *restrict in_base, const ulong in_offset,
    const __global PMN_T *restrict residual_base, const ulong residual_offset, const int has_residual,
    __global PMN_T *restrict out_base, const ulong out_offset, const int pixels, const int channels, const int before,
    const int after, const float offset, const float scale, const float beta, const float alpha, const float clamp_min,
    const float clamp_max) {
  const int n = (int)get_global_id(1), size = pixels * channels;
  if (get_global_id(0) >= (size_t)size) return;
  const int element = (int)get_global_id(0), c = element % channels;
  const __global PMN_T *in = in_base + in_offset + (n * size + element - c);
  const int end = after < channels - c ? c + after + 1 : channels;
  float sum = 0.0f;
  for (int j = max(0, c - before); j < end; j++) sum = fma(PMN_LOAD(j, in), PMN_LOAD(j, in), sum);
  float v = PMN_LOAD(c, in) / pow(fma(scale, sum, offset), beta);
  if (has_residual) v += PMN_LOAD(residual_offset + (ulong)(n * size + element), residual_base);
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * size + element), out_base);
}
