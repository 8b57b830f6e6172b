/* pmn_layer_norm - every pixel's channels brought to mean 0 and variance 1, then scaled and shifted.
 *
 *   out[n, p, c] = act((in[n, p, c] - mean) / sqrt(variance + epsilon) * weights[c] + bias[c] + residual[n, p, c])
 *   mean = sum over j of in[n, p, j] / channels,   variance = sum over j of (in[n, p, j] - mean)^2 / channels,   p = y * w + x
 *
 * One work-group: one pixel. Its work-items take every PMN_ITEMS-th channel and meet in local memory, halving their
 * number at every step: the order of the sums depends on nothing but the number of channels.
 *   local size (PMN_ITEMS, 1); group 0: p; 1: n.
 *
 * Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
#ifndef PMN_ITEMS /* of a work-group: a power of two; 1 for CPUs */
#define PMN_ITEMS 64
#endif

/* The sum of every work-item's v, for all of them. */
static float pmn_group_sum(__local float *part, const int item, const float v) {
  barrier(CLK_LOCAL_MEM_FENCE); /* all have read what an earlier sum left */
  part[item] = v;
  for (int half_items = PMN_ITEMS / 2; half_items > 0; half_items /= 2) {
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item < half_items) part[item] += part[item + half_items];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  return part[0];
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_layer_norm(
    const __global PMN_T *restrict in_base, const ulong in_offset, const __global float *restrict weights,
    const __global float *restrict bias, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int pixels,
    const int channels, const float epsilon, const float alpha, const float clamp_min, const float clamp_max) {
  __local float part[PMN_ITEMS];
  const int item = (int)get_local_id(0), first = ((int)get_group_id(1) * pixels + (int)get_group_id(0)) * channels;
  const __global PMN_T *in = in_base + in_offset + first;
  const __global PMN_T *residual = residual_base + residual_offset + first;
  __global PMN_T *out = out_base + out_offset + first;

  float sum = 0.0f;
  for (int c = item; c < channels; c += PMN_ITEMS) sum += PMN_LOAD(c, in);
  const float mean = pmn_group_sum(part, item, sum) / (float)channels;
  float squares = 0.0f;
  for (int c = item; c < channels; c += PMN_ITEMS) squares += (PMN_LOAD(c, in) - mean) * (PMN_LOAD(c, in) - mean);
  const float deviation = sqrt(pmn_group_sum(part, item, squares) / (float)channels + epsilon);

  for (int c = item; c < channels; c += PMN_ITEMS) {
    float v = (PMN_LOAD(c, in) - mean) / deviation * weights[c] + bias[c];
    if (has_residual) v += PMN_LOAD(c, residual);
    PMN_ACT(float, v);
    PMN_STORE(v, c, out);
  }
}
