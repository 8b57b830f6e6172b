/* pmn_softmax - over the channels of every pixel.
 *
 *   out[n, p, c] = act(exp(in[n, p, c] - m) / sum over j of exp(in[n, p, j] - m) + residual[n, p, c])
 *   m = max over j of in[n, p, j],   p = y * w + x
 *
 * One work-group: one pixel. Its work-items take every PMN_ITEMS-th channel and meet in local memory, halving their
 * number at every step: the order of the sum depends on nothing but the number of channels.
 *   local size (PMN_ITEMS, 1); group 0: p; 1: n.
 *
 * Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
#ifndef PMN_ITEMS /* of a work-group: a power of two; 1 for CPUs */
#define PMN_ITEMS 64
#endif

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_softmax(
    const __global PMN_T *restrict in_base, const ulong in_offset, const __global PMN_T *restrict residual_base,
    const ulong residual_offset, const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset,
    const int pixels, const int channels, const float alpha, const float clamp_min, const float clamp_max) {
  __local float part[PMN_ITEMS];
  const int item = (int)get_local_id(0), first = ((int)get_group_id(1) * pixels + (int)get_group_id(0)) * channels;
  const __global PMN_T *in = in_base + in_offset + first;
  const __global PMN_T *residual = residual_base + residual_offset + first;
  __global PMN_T *out = out_base + out_offset + first;

  float most = -INFINITY;
  for (int c = item; c < channels; c += PMN_ITEMS) most = fmax(most, PMN_LOAD(c, in));
  part[item] = most;
  for (int half_items = PMN_ITEMS / 2; half_items > 0; half_items /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_items) part[item] = fmax(part[item], part[item + half_items]);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  most = part[0];
  barrier(CLK_LOCAL_MEM_FENCE); /* all have read before part is written again */

  float sum = 0.0f;
  for (int c = item; c < channels; c += PMN_ITEMS) sum += exp(PMN_LOAD(c, in) - most);
  part[item] = sum;
  for (int half_items = PMN_ITEMS / 2; half_items > 0; half_items /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_items) part[item] += part[item + half_items];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  sum = part[0];

  for (int c = item; c < channels; c += PMN_ITEMS) {
    float v = exp(PMN_LOAD(c, in) - most) / sum;
    if (has_residual) v += PMN_LOAD(c, residual);
    PMN_ACT(float, v);
    PMN_STORE(v, c, out);
  }
}
