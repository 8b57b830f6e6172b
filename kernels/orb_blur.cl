/* pmn_orb_blur - planes blurred by a Gaussian of 7x7, sigma 2: what descriptors compare.
 *
 *   mix[y, x] = in[y, x] w0 + sum over k of (in[y - k, x] + in[y + k, x]) wk,   k = 1, 2, 3
 *   out[y, x] = mix[y, x] w0 + sum over k of (mix[y, x - k] + mix[y, x + k]) wk, to the nearest
 *
 * One work-item: one pixel, `margin` or more from every border. Work-groups and planes: orb.clh.
 * Neighbouring work-items read the same columns: caches have them.
 *
 * Only conversions, products and sums of floats, in the order of the host's pmn_blur_row, and none of them fused: the same
 * bits on every device. Precondition: margin is 3 or more.
 */
static float pmn_orb_mix(const __global uchar *p, const int stride, const float4 weights) {
  const int one = p[-stride] + p[stride], two = p[-2 * stride] + p[2 * stride], three = p[-3 * stride] + p[3 * stride];
  return (float)p[0] * weights.x + (float)one * weights.y + (float)two * weights.z + (float)three * weights.w;
}

__kernel void pmn_orb_blur(const __global uchar *restrict pixels, const __global pmn_orb_plane *planes,
    const __global uint *groups, const int begin, const int end, const int margin, __global uchar *restrict blurred,
    const float4 weights) {
  const pmn_orb_pixel p = pmn_orb_pixel_of(planes, groups, begin, end, margin);
  if (p.y < 0) return;
  const int stride = planes[p.plane].width;
  const ulong at = planes[p.plane].at + (ulong)(p.y * stride + p.x);
  float mix[7];
#pragma unroll
  for (int i = 0; i < 7; i++) mix[i] = pmn_orb_mix(pixels + at + i - 3, stride, weights);
  const float one = mix[2] + mix[4], two = mix[1] + mix[5], three = mix[0] + mix[6];
  const float sum = mix[3] * weights.x + one * weights.y + two * weights.z + three * weights.w;
  blurred[at] = (uchar)(int)(sum + 0.5f);
}
