/* pmn_sift_blur_columns - the first half of a blur: along the columns.
 *
 *   out[y, x] = w[0] in[y, x] + sum over k = 1 .. radius of w[k] (in[y - k, x] + in[y + k, x])     mirrored at the border
 * The planes are those of one octave, from `first`; in begins at in_offset; w is at
 * all_weights[weights_first].
 *
 * One work-item: one value of out. Neighbouring work-items read neighbouring values of a row, and those of the rows around
 * them stay in the cache.
 *   global id 0: x; 1: y; 2: picture.   Any local size; ids past the last do nothing.
 *
 * Preconditions: a plane has fewer than 2^31 values; more than one each way, or none.
 */
__kernel void pmn_sift_blur_columns(const __global float *restrict in_base, const ulong in_offset,
    const __global pmn_plane *restrict planes, const int first, __constant float *all_weights, const int weights_first,
    const int radius, __global float *restrict out) {
  const int x = (int)get_global_id(0), y = (int)get_global_id(1);
  __constant float *weights = all_weights + weights_first;
  const pmn_plane plane = planes[first + (int)get_global_id(2)];
  if (x >= plane.width || y >= plane.height) return;
  const __global float *in = in_base + in_offset + plane.offset + x;
  float sum = weights[0] * in[y * plane.width];
  if (y >= radius && y + radius < plane.height) {
    for (int k = 1; k <= radius; k++) sum += weights[k] * (in[(y - k) * plane.width] + in[(y + k) * plane.width]);
  } else {
    for (int k = 1; k <= radius; k++) {
      const int above = pmn_reflect(y - k, plane.height), below = pmn_reflect(y + k, plane.height);
      sum += weights[k] * (in[above * plane.width] + in[below * plane.width]);
    }
  }
  out[plane.offset + (ulong)(y * plane.width + x)] = sum;
}
