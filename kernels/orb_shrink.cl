/* pmn_orb_shrink - levels of pictures from the levels before, in fixed point: whole numbers, the same on every device.
 *
 *   column[i] = (256 - q) in[top, i] + q in[top + 1, i],   (top, q) = places[at + w + y]
 *   out[y, x] = ((256 - p) column[left] + p column[left + 1] + 2^15) / 2^16, cut off,   (left, p) = places[at + x]
 *
 * w = planes[out].width, at = planes[out].places; in = planes[planes[out].from].
 *
 * One work-item: one pixel, `margin` or more from every border. Work-groups and planes: orb.clh.
 *
 * Preconditions: planes begin to end - 1 are made from earlier ones; pixels of in nearer to a border than margin are read
 * by nobody.
 */
__kernel void pmn_orb_shrink(__global uchar *pixels, const __global pmn_orb_plane *planes, const __global uint *groups,
    const int begin, const int end, const int margin, const __global ushort2 *places) {
  const pmn_orb_pixel at = pmn_orb_pixel_of(planes, groups, begin, end, margin);
  if (at.y < 0) return;
  const __global pmn_orb_plane *to = planes + at.plane, *from = planes + to->from;
  const ushort2 column = places[to->places + at.x], row = places[to->places + to->width + at.y];
  const uint p = column.y, q = row.y;
  const __global uchar *upper = pixels + (from->at + (uint)(row.x * from->width + column.x)), *lower = upper + from->width;
  const uint left = (256 - q) * upper[0] + q * lower[0], right = (256 - q) * upper[1] + q * lower[1];
  pixels[to->at + (uint)(at.y * to->width + at.x)] = (uchar)(((256 - p) * left + p * right + (1 << 15)) >> 16);
}
