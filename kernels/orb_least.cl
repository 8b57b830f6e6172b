/* pmn_orb_least - the score from which on corners of a plane are looked at closely, and how many those are.
 *
 *   least[p] = the largest t that planes[p].most or more corners reach; 0 if there are not so many
 *   counts[p] = how many corners reach it: sum over s >= t of by_score[p, s]
 *
 * Corners of the score t are all in, so that nothing depends on an order. Of a plane with most = 0 there are none.
 *
 * One work-item: one plane.   global id 0: p, rounded up. Any local size; ids past the last do nothing.
 */
__kernel void pmn_orb_least(const __global uint *restrict by_score, const __global pmn_orb_plane *planes, const int count,
    __global int *restrict least, __global uint *restrict counts) {
  const int p = (int)get_global_id(0);
  if (p >= count) return;
  const __global uint *scores = by_score + (ulong)p * 256;
  const uint most = (uint)planes[p].most;
  uint reached = most > 0 ? scores[255] : 0;
  int t = most > 0 ? 255 : 256;
  while (t > 0 && reached < most) reached += scores[--t];
  least[p] = t;
  counts[p] = reached;
}
