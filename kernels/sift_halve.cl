/* pmn_sift_halve - an octave begins with every second value each way of the one before, from the first.
 *
 *   out[y, x] = in[2 y, 2 x]
 *
 * Both are layers of one buffer: in begins at in_offset, out at 0. The planes are those of two octaves, from `larger` and
 * from `first`.
 *
 * One work-item: one value of out.
 *   global id 0: x; 1: y; 2: picture.   Any local size; ids past the last do nothing.
 *
 * Preconditions: a plane has fewer than 2^31 values; one of the octave is half of the one of the larger octave, rounded
 * down, or has no size.
 */
__kernel void pmn_sift_halve(__global float *layers, const ulong in_offset, const __global pmn_plane *restrict planes,
    const int larger, const int first) {
  const int x = (int)get_global_id(0), y = (int)get_global_id(1);
  const pmn_plane from = planes[larger + (int)get_global_id(2)], to = planes[first + (int)get_global_id(2)];
  if (x >= to.width || y >= to.height) return;
  layers[to.offset + (ulong)(y * to.width + x)] = layers[in_offset + from.offset + (ulong)(2 * y * from.width + 2 * x)];
}
