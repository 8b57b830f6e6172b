/* pmn_orb_fast - scores of corners, FAST-9 (Rosten and Drummond, ECCV 2006).
 *
 *   d[k] = in[y + circle[k].y, x + circle[k].x] - in[y, x],   k of 16 on a circle of radius 3
 *   s = max over k of max(min over j < 9 of d[k + j], min over j < 9 of -d[k + j]),   k + j modulo 16
 *   scores[y, x] = s if s > threshold, else 0
 *
 * One work-item: one pixel, `margin` or more from every border. Work-groups and planes: orb.clh.
 *
 * Nine in a row hold two of the four above, right, below and left, side by side: most pixels are done after these.
 * Smallest and largest of nine are found from pairs, fours and eights. Precondition: margin is 3 or more.
 */
__constant char2 pmn_orb_circle[16] = {(char2)(0, -3), (char2)(1, -3), (char2)(2, -2), (char2)(3, -1), (char2)(3, 0),
    (char2)(3, 1), (char2)(2, 2), (char2)(1, 3), (char2)(0, 3), (char2)(-1, 3), (char2)(-2, 2), (char2)(-3, 1),
    (char2)(-3, 0), (char2)(-3, -1), (char2)(-2, -2), (char2)(-1, -3)};

__kernel void pmn_orb_fast(const __global uchar *restrict pixels, const __global pmn_orb_plane *planes,
    const __global uint *groups, const int begin, const int end, const int margin, __global uchar *restrict scores,
    const int threshold) {
  const pmn_orb_pixel p = pmn_orb_pixel_of(planes, groups, begin, end, margin);
  if (p.y < 0) return;
  const int stride = planes[p.plane].width;
  const ulong at = planes[p.plane].at + (ulong)(p.y * stride + p.x);
  const __global uchar *centre = pixels + at;
  const int c = centre[0], n = centre[-3 * stride] - c, e = centre[3] - c, s = centre[3 * stride] - c, w = centre[-3] - c;
  scores[at] = 0;
  if (min(max(n, s), max(e, w)) <= threshold && max(min(n, s), min(e, w)) >= -threshold) return;
  int low[16], high[16], fours_low[16], fours_high[16], best = 0;
#pragma unroll
  for (int k = 0; k < 16; k++) low[k] = centre[pmn_orb_circle[k].y * stride + pmn_orb_circle[k].x] - c;
#pragma unroll
  for (int k = 0; k < 16; k++) high[k] = max(low[k], low[(k + 1) % 16]);
#pragma unroll
  for (int k = 0; k < 16; k++) {
    const int two = min(low[k], low[(k + 1) % 16]), next = min(low[(k + 2) % 16], low[(k + 3) % 16]);
    fours_low[k] = min(two, next);
    fours_high[k] = max(high[k], high[(k + 2) % 16]);
  }
#pragma unroll
  for (int k = 0; k < 16; k++) {
    const int ninth = low[(k + 8) % 16];
    best = max(best, min(min(fours_low[k], fours_low[(k + 4) % 16]), ninth));
    best = max(best, -max(max(fours_high[k], fours_high[(k + 4) % 16]), ninth));
  }
  if (best > threshold) scores[at] = (uchar)best;
}
