/* pmn_orb_list - corners that are looked at closely, as a list: those of one plane after those of another.
 *
 *   corners[next[p]++].x = y * w + x of every pixel with peaks[y, x] >= least[p] and peaks[y, x] > 0
 *
 * One work-item: one pixel, `margin` or more from every border. Work-groups and planes: orb.clh.
 *
 * The order within a plane is by chance; the host sorts. pmn_orb_least has counted, so next[p] ends where the corners of
 * plane p + 1 begin and the list is as long as it must be.
 */
__kernel void pmn_orb_list(const __global uchar *restrict peaks, const __global pmn_orb_plane *planes,
    const __global uint *groups, const int begin, const int end, const int margin, const __global int *restrict least,
    __global uint *restrict next, __global int4 *restrict corners) {
  const pmn_orb_pixel p = pmn_orb_pixel_of(planes, groups, begin, end, margin);
  if (p.y < 0) return;
  const int place = p.y * planes[p.plane].width + p.x;
  const int s = peaks[planes[p.plane].at + (ulong)place];
  if (s > 0 && s >= least[p.plane]) corners[atomic_inc(next + p.plane)].x = place;
}
