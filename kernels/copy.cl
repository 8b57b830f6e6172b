/* pmn_copy - elements from anywhere in one tensor to anywhere in another.
 *
 *   out[n, out_first + i0*out_stride.x + i1*out_stride.y + i2*out_stride.z]
 *     = in[n, in_first + i0*in_stride.x + i1*in_stride.y + i2*in_stride.z]          0 <= i0, i1, i2 < extent.x, .y, .z
 *
 * One work-item: one element.
 *   global id 0: (i0 * extent.y + i1) * extent.z + i2, rounded up; 1: n.   Any local size; ids past the last do nothing.
 *
 * Numbers keep their bits, however they are stored. The fourth of every int4 is free. Preconditions: every tensor of the
 * batch has fewer than 2^31 elements; every index lies in its tensor; no element is written twice.
 */
__kernel void pmn_copy(const __global PMN_T *restrict in_base, const ulong in_offset, __global PMN_T *restrict out_base,
    const ulong out_offset, const int in_size, const int out_size, const int4 extent, const int in_first,
    const int4 in_stride, const int out_first, const int4 out_stride) {
  if (get_global_id(0) >= (size_t)(extent.x * extent.y * extent.z)) return;
  const int element = (int)get_global_id(0), n = (int)get_global_id(1);
  const int i2 = element % extent.z, line = element / extent.z, i1 = line % extent.y, i0 = line / extent.y;
  const int from = n * in_size + in_first + i0 * in_stride.x + i1 * in_stride.y + i2 * in_stride.z;
  const int to = n * out_size + out_first + i0 * out_stride.x + i1 * out_stride.y + i2 * out_stride.z;
  out_base[out_offset + (ulong)to] = in_base[in_offset + (ulong)from];
}
