/* pmn_orb_harris - how distinct corners are (Harris and Stephens, 1988).
 *
 *   gx, gy = Sobel, unscaled; a, b, c = sum over 7x7 pixels of gx gx, gy gy, gx gy
 *   corners[i].y = the bits of (a b - c c - k (a + b) (a + b)) scale, in floats
 *
 * One work-item: one corner.   global id 0: i, rounded up. Any local size; ids past the last do nothing.
 *
 * Sums are integers below 2^31. Of floats there are only conversions, products and sums, which round alike on every
 * device, in the order of the host's pmn_harris, and none of them fused.
 *
 * Preconditions: corners[i].x = y * w + x of plane p for firsts[p] <= i < firsts[p + 1], 4 or more from every border.
 */
__kernel void pmn_orb_harris(const __global uchar *restrict pixels, const __global pmn_orb_plane *planes,
    const __global uint *firsts, const int plane_count, const uint corner_count, __global int4 *restrict corners,
    const float k, const float scale) {
  const uint i = (uint)get_global_id(0);
  if (i >= corner_count) return;
  const int plane = pmn_orb_find(firsts, 0, plane_count, i), stride = planes[plane].width;
  const __global uchar *centre = pixels + planes[plane].at + (ulong)corners[i].x;
  int xx = 0, yy = 0, xy = 0;
  for (int y = -3; y <= 3; y++) {
    const __global uchar *row = centre + y * stride, *up = row - stride, *down = row + stride;
    for (int x = -3; x <= 3; x++) {
      const int gx = 2 * (row[x + 1] - row[x - 1]) + (up[x + 1] - up[x - 1]) + (down[x + 1] - down[x - 1]);
      const int gy = 2 * (down[x] - up[x]) + (down[x - 1] - up[x - 1]) + (down[x + 1] - up[x + 1]);
      xx += gx * gx;
      yy += gy * gy;
      xy += gx * gy;
    }
  }
  const float a = (float)xx, b = (float)yy, c = (float)xy, trace = a + b;
  corners[i].y = as_int((a * b - c * c - k * trace * trace) * scale);
}
