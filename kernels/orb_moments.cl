/* pmn_orb_moments - where the grey values around corners lie: what the angles of keypoints are made from.
 *
 *   corners[i].z, .w = sum over x, y of (x, y) in[cy + y, cx + x],   x, y in a disc of radius 15
 *
 * One work-group: one corner. One work-item: one row of the disc; the first one adds the rows up. Whole numbers.
 *   global id 0: i * 32 + y + 15.   Local size 32, of which one item has no row.
 *
 * disc [16, 32]: [|y|, x + 15] is 255 inside and 0 outside. Preconditions: as in orb_harris.cl, 15 from every border.
 */
__kernel __attribute__((reqd_work_group_size(32, 1, 1))) void pmn_orb_moments(const __global uchar *restrict pixels,
    const __global pmn_orb_plane *planes, const __global uint *firsts, const int plane_count, __global int4 *restrict corners,
    const __global uchar *restrict disc) {
  __local int rows_x[32], rows_y[32];
  const uint i = (uint)get_group_id(0);
  const int item = (int)get_local_id(0), y = item - 15;
  const int plane = pmn_orb_find(firsts, 0, plane_count, i), stride = planes[plane].width;
  int sum = 0, sum_x = 0;
  if (y <= 15) {
    const __global uchar *row = pixels + planes[plane].at + (ulong)(corners[i].x + y * stride);
    const __global uchar *inside = disc + abs(y) * 32 + 15;
    for (int x = -15; x <= 15; x++) {
      const int value = row[x] & inside[x];
      sum += value;
      sum_x += x * value;
    }
  }
  rows_x[item] = sum_x;
  rows_y[item] = y * sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item > 0) return;
  int mx = 0, my = 0;
  for (int row = 0; row < 32; row++) {
    mx += rows_x[row];
    my += rows_y[row];
  }
  corners[i].z = mx;
  corners[i].w = my;
}
