/* pmn_global_average_pool - the mean of every channel over a picture.
 *
 *   out[n, 0, 0, c] = act(sum over p of in[n, p, c] / pixels),  p = y * w + x
 *
 * One work-item: one channel of one picture. Neighbouring work-items read neighbouring channels.
 *   global id 0: c, rounded up; 1: n.   Any local size; ids past the last channel do nothing.
 *
 * The sum is one of sums over runs of 64 pixels: one sum over a picture of 112x112 would lose four digits to rounding.
 * Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
__kernel void pmn_global_average_pool(const __global PMN_T *restrict in_base, const ulong in_offset,
    __global PMN_T *restrict out_base, const ulong out_offset, const int pixels, const int channels,
    const float alpha, const float clamp_min, const float clamp_max) {
  const int c = (int)get_global_id(0), n = (int)get_global_id(1);
  if (c >= channels) return;
  const __global PMN_T *in = in_base + in_offset + n * pixels * channels + c;
  float sum = 0.0f;
  for (int first = 0; first < pixels; first += 64) {
    const int end = min(first + 64, pixels);
    float run = 0.0f;
    for (int p = first; p < end; p++) run += PMN_LOAD(p * channels, in);
    sum += run;
  }
  float v = sum / (float)pixels;
  PMN_ACT(float, v);
  PMN_STORE(v, out_offset + (ulong)(n * channels + c), out_base);
}
