/* pmn_orb_peaks - scores that are above those of all eight neighbours, and how many there are of each.
 *
 *   peaks[y, x] = s if s = scores[y, x] > scores[y + j, x + i] for all i, j of -1, 0, 1 but (0, 0), else 0
 *   by_score[plane, s] = how many pixels of the plane have peaks = s, s > 0
 *
 * One work-item: one pixel, `margin` or more from every border. Work-groups and planes: orb.clh.
 *
 * Counting is atomic; sums of integers do not depend on the order. Preconditions: by_score [planes, 256] is 0; scores are
 * there up to margin - 1 from the borders.
 */
__kernel void pmn_orb_peaks(const __global uchar *restrict scores, const __global pmn_orb_plane *planes,
    const __global uint *groups, const int begin, const int end, const int margin, __global uchar *restrict peaks,
    __global uint *restrict by_score) {
  const pmn_orb_pixel p = pmn_orb_pixel_of(planes, groups, begin, end, margin);
  if (p.y < 0) return;
  const int stride = planes[p.plane].width;
  const ulong at = planes[p.plane].at + (ulong)(p.y * stride + p.x);
  const __global uchar *above = scores + at - stride, *row = scores + at, *below = scores + at + stride;
  const uchar s = row[0];
  const bool peak = s > row[-1] && s > row[1] && s > above[-1] && s > above[0] && s > above[1] && s > below[-1] &&
                    s > below[0] && s > below[1];
  peaks[at] = peak ? s : 0;
  if (peak) atomic_inc(by_score + (p.plane * 256 + s));
}
