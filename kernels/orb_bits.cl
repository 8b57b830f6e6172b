/* pmn_orb_bits - descriptors: 256 comparisons around each keypoint, by a pattern turned by its angle.
 *
 *   v(x, y) = blurred[round(x sin + y cos), round(x cos - y sin)],   row and column from the keypoint's pixel
 *   bit k of byte j = v(pattern[0, b], pattern[1, b]) < v(pattern[2, b], pattern[3, b]),   b = 8 j + k
 *
 * One work-item: one byte of a descriptor; neighbouring work-items write neighbouring bytes.
 *   global id 0: i * 32 + j, rounded up. Any local size; ids past the last do nothing.
 *
 * keypoints[i]: its pixel in the buffer, the width of its plane, and the bits of cosine and sine as floats. Products and
 * sums of floats are not fused, and rounding to the nearest, to the even one of two, is exact: as pmn_orb_compare.
 *
 * Precondition: keypoints lie 18 or more within what is blurred.
 */
static uchar pmn_orb_point(const __global uchar *centre, const int stride, const float x, const float y,
    const float cosine, const float sine) {
  const int row = (int)rint(x * sine + y * cosine), column = (int)rint(x * cosine - y * sine);
  return centre[row * stride + column];
}

__kernel void pmn_orb_bits(const __global uchar *restrict blurred, const __global uint4 *restrict keypoints,
    const uint keypoint_count, const __global char *restrict pattern, __global uchar *restrict bits) {
  const size_t at = get_global_id(0);
  if (at / 32 >= keypoint_count) return;
  const uint4 keypoint = keypoints[at / 32];
  const __global uchar *centre = blurred + keypoint.x;
  const int stride = (int)keypoint.y;
  const float cosine = as_float(keypoint.z), sine = as_float(keypoint.w);
  uint value = 0;
  for (int k = 0; k < 8; k++) {
    const __global char *pair = pattern + (at % 32 * 8 + k);
    const uchar first = pmn_orb_point(centre, stride, (float)pair[0], (float)pair[256], cosine, sine);
    const uchar second = pmn_orb_point(centre, stride, (float)pair[512], (float)pair[768], cosine, sine);
    value |= (uint)(first < second) << k;
  }
  bits[at] = (uchar)value;
}
