/* pmn_sift_enlarge - every picture at twice its size: value X lies at (X + 0.5) / 2 - 0.5, between two pixels.
 *
 *   out[X] = 3/4 in[i] + 1/4 in[i + 1] for odd X,   1/4 in[i] + 3/4 in[i + 1] for even X,   i = floor((X - 1) / 2)
 * and so each way; beyond the border its outermost pixel. Exact: sixteenths of numbers up to 255.
 *
 * The planes are those of octave 0. One work-item: one value of out. Neighbouring work-items write neighbouring values.
 *   global id 0: X; 1: Y; 2: picture.   Any local size; ids past the last do nothing.
 *
 * Preconditions: a plane of out has fewer than 2^31 values, and is twice as large as its picture, or has no size.
 */
__kernel void pmn_sift_enlarge(const __global uchar *restrict gray, const __global pmn_plane *restrict pictures,
    const __global pmn_plane *restrict planes, __global float *restrict out) {
  const int x = (int)get_global_id(0), y = (int)get_global_id(1);
  const pmn_plane from = pictures[get_global_id(2)], to = planes[get_global_id(2)];
  if (x >= to.width || y >= to.height) return;
  const __global uchar *in = gray + from.offset;
  const int left = max((x - 1) >> 1, 0), right = min(((x - 1) >> 1) + 1, from.width - 1);
  const int above = max((y - 1) >> 1, 0), below = min(((y - 1) >> 1) + 1, from.height - 1);
  const float right_part = (x & 1) != 0 ? 0.25f : 0.75f, below_part = (y & 1) != 0 ? 0.25f : 0.75f;
  const float upper = (1.0f - right_part) * in[above * from.width + left] + right_part * in[above * from.width + right];
  const float lower = (1.0f - right_part) * in[below * from.width + left] + right_part * in[below * from.width + right];
  out[to.offset + (ulong)(y * to.width + x)] = (1.0f - below_part) * upper + below_part * lower;
}
