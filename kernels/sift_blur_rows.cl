/* pmn_sift_blur_rows - the second half of a blur: along the rows.
 *
 *   out[y, x] = w[0] in[y, x] + sum over k = 1 .. radius of w[k] (in[y, x - k] + in[y, x + k])     mirrored at the border
 * The planes are those of one octave, from `first_plane`; out begins at out_offset; w is at
 * all_weights[weights_first].
 *
 * One work-group: PMN_COLUMNS values of PMN_ROWS rows, which are read once, with `radius` more to each side, into local
 * memory.
 *   local size (PMN_COLUMNS, PMN_ROWS, 1); global id 0: x; 1: y; 2: picture; whole groups past the last do nothing.
 *
 * Preconditions: a plane has fewer than 2^31 values; more than one each way, or none; radius is at most PMN_RADIUS.
 */
#define PMN_COLUMNS 64
#define PMN_ROWS 4
#define PMN_RADIUS 13

__kernel __attribute__((reqd_work_group_size(PMN_COLUMNS, PMN_ROWS, 1))) void pmn_sift_blur_rows(
    const __global float *restrict in_base, const __global pmn_plane *restrict planes, const int first_plane,
    __constant float *all_weights, const int weights_first, const int radius, __global float *restrict out_base,
    const ulong out_offset) {
  __local float lines[PMN_ROWS][PMN_COLUMNS + 2 * PMN_RADIUS];
  const int column = (int)get_local_id(0), x = (int)get_global_id(0), y = (int)get_global_id(1);
  const int first = (int)get_group_id(0) * PMN_COLUMNS;
  __constant float *weights = all_weights + weights_first;
  const pmn_plane plane = planes[first_plane + (int)get_global_id(2)];
  if (first >= plane.width || (int)get_group_id(1) * PMN_ROWS >= plane.height) return; /* the whole group */
  __local float *line = lines[get_local_id(1)];
  const __global float *in = in_base + plane.offset + (ulong)(min(y, plane.height - 1) * plane.width);
  for (int k = column; k < PMN_COLUMNS + 2 * radius; k += PMN_COLUMNS) {
    line[k] = in[pmn_reflect(min(first + k - radius, plane.width - 1 + radius), plane.width)];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  if (x >= plane.width || y >= plane.height) return;
  const __local float *at = line + column + radius;
  float sum = weights[0] * at[0];
  for (int k = 1; k <= radius; k++) sum += weights[k] * (at[-k] + at[k]);
  out_base[out_offset + plane.offset + (ulong)(y * plane.width + x)] = sum;
}
