/* pmn_resample_nearest - every pixel the one of the input that the tables name.
 *
 *   out[y, x] = in[down[y], across[x]]
 *
 * One work-item: one pixel of the output.
 *   global id 0: y * width + x, up to the largest picture; 1: task.   Any local size.
 *
 * Preconditions: a picture has fewer than 2^31 bytes; tables stay within `in`.
 */
__kernel void pmn_resample_nearest(const __global uchar *restrict raw, __global uchar *restrict out,
    const __global pmn_resample_task *tasks, const __global int *tables) {
  const __global pmn_resample_task *task = tasks + get_global_id(1);
  const int width = task->width, height = task->height;
  if (get_global_id(0) >= (size_t)(width * height)) return;
  const int pixel = (int)get_global_id(0), y = pixel / width, x = pixel - y * width;
  const int from = tables[task->table_down + y] * task->in_width + tables[task->table + x];
  const __global uchar *in = raw + task->in + 3 * from;
  __global uchar *to = out + task->out + 3 * pixel;
  for (int c = 0; c < 3; c++) to[c] = in[c];
}
