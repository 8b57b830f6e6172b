/* pmn_resample_pass - one direction of resampling for many pictures, in whole numbers: the same on every device.
 *
 *   out[y, x] = clamp((sum over t < count[i] of in[..] weights[t, i] + 2^(B - 1)) / 2^B, 0, 255)     B = PMN_WEIGHT_BITS
 *
 * rounded down, with i = x and in[y, first[x] + t] left to right, i = y and in[first[y] + t, x] top to bottom. Colour by colour.
 * Sums stay below 2^31: PMN_WEIGHT_BITS is chosen so (pmn_resample_rules.h).
 *
 * One work-item: one pixel of the output.
 *   global id 0: y * width + x, up to the largest picture; 1: task - first_task.   Any local size.
 *
 * Preconditions: a picture has fewer than 2^31 bytes; tables stay within `in`; no two tasks write the same bytes; `rows` is
 * not read by any task of this launch if it is `out`.
 */
__kernel void pmn_resample_pass(const __global uchar *raw, const __global uchar *rows, __global uchar *out,
    const __global pmn_resample_task *tasks, const __global int *tables, const int first_task) {
  const __global pmn_resample_task *task = tasks + first_task + (int)get_global_id(1);
  const int width = task->width, height = task->height;
  if (get_global_id(0) >= (size_t)(width * height)) return;
  const int pixel = (int)get_global_id(0), y = pixel / width, x = pixel - y * width;
  const bool down = task->down != 0;
  const int lines = down ? height : width, line = down ? y : x, stride = down ? 3 * width : 3;
  const __global int *table = tables + task->table + line;
  const int first = table[0], count = table[lines], in_width = task->in_width;
  const __global uchar *in = (task->from_rows ? rows : raw) + task->in + 3 * (down ? first * width + x : y * in_width + first);
  const __global int *weights = table + 2 * lines;
  int red = 1 << (PMN_WEIGHT_BITS - 1), green = red, blue = red;
  for (int t = 0; t < count; t++, in += stride) {
    const int weight = weights[t * lines];
    red += weight * in[0];
    green += weight * in[1];
    blue += weight * in[2];
  }
  __global uchar *to = out + task->out + 3 * pixel;
  to[0] = convert_uchar_sat(red >> PMN_WEIGHT_BITS);
  to[1] = convert_uchar_sat(green >> PMN_WEIGHT_BITS);
  to[2] = convert_uchar_sat(blue >> PMN_WEIGHT_BITS);
}
