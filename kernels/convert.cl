/* pmn_convert - numbers on their way in and out of halves: a network's input is narrowed, its output widened.
 *
 *   out[i] = in[i]        PMN_TO = 16: from float to half, rounded to nearest even;  32: from half to float, exactly
 *
 * One work-item: one number of one picture.
 *   global id 0: its place in the picture, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * Offsets count elements of what lies there. Preconditions: every tensor of the batch has fewer than 2^31 elements.
 */
#ifndef PMN_TO
#define PMN_TO 16
#endif

#if PMN_TO == 16
#define PMN_FROM_TYPE float
#define PMN_TO_TYPE ushort
#else
#define PMN_FROM_TYPE ushort
#define PMN_TO_TYPE float
#endif

__kernel void pmn_convert(const __global PMN_FROM_TYPE *restrict in_base, const ulong in_offset,
    __global PMN_TO_TYPE *restrict out_base, const ulong out_offset, const int size) {
  if (get_global_id(0) >= (size_t)size) return;
  const ulong element = (ulong)((int)get_global_id(1) * size + (int)get_global_id(0));
#if PMN_TO == 16
  vstore_half_rte(in_base[in_offset + element], out_offset + element, (__global half *)out_base);
#else
  out_base[out_offset + element] = vload_half(in_offset + element, (const __global half *)in_base);
#endif
}
