/* pmn_conv2d_tile - convolution as a tiled matrix product, for GPUs.
 *
 *   out[m, o] = act(bias[o] + sum over k of a[m, k] * w[k, o] + residual[m, o])
 *
 *   m = (n * out_h + y) * out_w + x          rows: every output pixel of the batch
 *   k = (r * kernel_w + s) * group_in + i    the window, laid flat; group_in = in_c / groups channels of o's group,
 *                                            of which `first` is the first
 *   a[m, k] = in[n, y*stride_h + r*dilation_h - pad_top, x*stride_w + s*dilation_w - pad_left, first + i],
 *             0 outside the picture; never written down
 *
 *              o ->  PMN_TILE_N
 *            +-----------+          Weights are packed [panel][k][PMN_TILE_N], bias [panel][PMN_TILE_N], both filled up
 *      k |   |  b_tile   |          with zeros: every group has as many panels of PMN_TILE_N output channels as it needs.
 *        v   +-----------+
 *   +------+ +-----------+          One work-group: one PMN_TILE_M x PMN_TILE_N tile of out; it walks k in steps of
 * m |a_tile| |  out tile |          PMN_TILE_K, each step through local memory.
 *   +------+ +-----------+          One work-item: PMN_ITEM_M rows x PMN_ITEM_N channels of it,
 *                                   in registers: quads of channels, which lie as far apart as the group's items hold.
 *
 *   local size (PMN_TILE_N / PMN_ITEM_N, PMN_TILE_M / PMN_ITEM_M); group 0: panel; 1: m / PMN_TILE_M, rounded up.
 *
 * The numbers of the next step come from global memory into registers while this one is computed. From local memory an
 * item reads (PMN_ITEM_M + PMN_ITEM_N) / 4 vectors for PMN_ITEM_M * PMN_ITEM_N products.
 *
 * The sum runs over k upwards, and what follows it sees the same four channels, whatever the batch and the sizes of tiles:
 * the same bits for a picture at every place.
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; groups divides in_c and out_c; PMN_BYTES means
 * in_c = 3 and groups = 1; PMN_ALIGNED means that 4 divides out_c / groups, and without PMN_BYTES in_c / groups.
 */
#ifndef PMN_TILE_M /* a multiple of 4 */
#define PMN_TILE_M 64
#endif
#ifndef PMN_TILE_N /* a multiple of PMN_ITEM_N */
#define PMN_TILE_N 64
#endif
#ifndef PMN_TILE_K /* a multiple of 4, divides the number of work-items */
#define PMN_TILE_K 16
#endif
#ifndef PMN_ITEM_M /* a multiple of 4, divides PMN_TILE_M */
#define PMN_ITEM_M 4
#endif
#ifndef PMN_ITEM_N /* a multiple of 4 */
#define PMN_ITEM_N 4
#endif
#ifndef PMN_BYTES /* 1: the input is u8, read as value * scale[i] + shift[i] */
#define PMN_BYTES 0
#endif

#ifndef PMN_ALIGNED
#define PMN_ALIGNED 0
#endif

#define PMN_QUADS (PMN_ITEM_N / 4)
#define PMN_ITEMS_N (PMN_TILE_N / PMN_ITEM_N)
#define PMN_ITEMS (PMN_ITEMS_N * (PMN_TILE_M / PMN_ITEM_M))
/* A work-item fetches PMN_LOADS_A times PMN_RUN neighbours along k, of rows that lie PMN_STEP_M apart, */
#if PMN_BYTES
#define PMN_RUN 1
#define PMN_NUMBERS float
#define PMN_FETCH(at, i)                                                                            \
  fma(convert_float(in[at]), (i) == 0 ? scale.x : (i) == 1 ? scale.y : scale.z, (i) == 0   ? shift.x \
                                                                                : (i) == 1 ? shift.y \
                                                                                           : shift.z)
#elif PMN_ALIGNED
#define PMN_RUN 4
#define PMN_NUMBERS float4
#define PMN_FETCH(at, i) PMN_LOADA(4, 0, in + (at))
#else
#define PMN_RUN 1
#define PMN_NUMBERS float
#define PMN_FETCH(at, i) PMN_LOAD(at, in)
#endif
#if PMN_RUN == 4
#define PMN_TRANSPOSE(v, to) \
  ((to)[0] = (v).x, (to)[4 * PMN_LINE_A] = (v).y, (to)[8 * PMN_LINE_A] = (v).z, (to)[12 * PMN_LINE_A] = (v).w)
#else
#define PMN_TRANSPOSE(v, to) (*(to) = (v))
#endif
#define PMN_STEP_M (PMN_ITEMS * PMN_RUN / PMN_TILE_K)
#define PMN_LOADS_A (PMN_TILE_M / PMN_STEP_M)
/* and PMN_LOADS_B times four neighbours of b_tile; both tiles are counted in vectors of four. */
#define PMN_LINE_B (PMN_TILE_N / 4)
#define PMN_LOADS_B ((PMN_TILE_K * PMN_LINE_B + PMN_ITEMS - 1) / PMN_ITEMS)
#define PMN_LINE_A (PMN_TILE_M / 4 + 1) /* + 1: the transposing stores fall on other banks */

#if PMN_BYTES
#define PMN_INPUT uchar
#else
#define PMN_INPUT PMN_T
#endif

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS_N, PMN_TILE_M / PMN_ITEM_M, 1))) void pmn_conv2d_tile(
    const __global PMN_INPUT *restrict in_base, const ulong in_offset, const __global PMN_T *restrict weights,
    const __global float *restrict bias, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int in_c, const int out_h, const int out_w, const int out_c, const int kernel_h, const int kernel_w,
    const int stride_h, const int stride_w, const int dilation_h, const int dilation_w, const int pad_top,
    const int pad_left, const float alpha, const float clamp_min, const float clamp_max, const int groups,
    const float4 scale, const float4 shift, const int n) {
  __local float4 a_tile[PMN_TILE_K * PMN_LINE_A];
  __local float4 b_tile[PMN_TILE_K * PMN_LINE_B];
  const int group_in = in_c / groups, group_out = out_c / groups;
  const int rows = n * out_h * out_w, depth = kernel_h * kernel_w * group_in;
  const int group_panels = (group_out + PMN_TILE_N - 1) / PMN_TILE_N, group = (int)get_group_id(0) / group_panels;
  const int item = (int)(get_local_id(1) * PMN_ITEMS_N + get_local_id(0));
  const int first_m = (int)get_group_id(1) * PMN_TILE_M;
  const __global PMN_INPUT *in = in_base + in_offset + group * group_in;
  const __global PMN_T *panel = weights + (ulong)get_group_id(0) * (ulong)PMN_TILE_N * (ulong)depth;

  /* This work-item fetches columns load_k.. of a_tile, rows load_m, load_m + PMN_STEP_M, ... */
  const int load_k = item % (PMN_TILE_K / PMN_RUN) * PMN_RUN, load_m = item / (PMN_TILE_K / PMN_RUN);
  int top[PMN_LOADS_A], left[PMN_LOADS_A], picture[PMN_LOADS_A];
#pragma unroll
  for (int l = 0; l < PMN_LOADS_A; l++) {
    const int m = min(first_m + load_m + l * PMN_STEP_M, rows - 1); /* rows past the last are not stored */
    const int y = m / out_w % out_h;
    top[l] = y * stride_h - pad_top;
    left[l] = m % out_w * stride_w - pad_left;
    picture[l] = m / (out_h * out_w) * in_h;
  }
  float4 sum[PMN_QUADS][PMN_ITEM_M];
#pragma unroll
  for (int i = 0; i < PMN_QUADS * PMN_ITEM_M; i++) sum[i / PMN_ITEM_M][i % PMN_ITEM_M] = (float4)(0.0f);

  /* In turn: fetch a step, compute the one before, store what was fetched. */
  for (int first_k = 0; first_k < depth + PMN_TILE_K; first_k += PMN_TILE_K) {
    PMN_NUMBERS a_next[PMN_LOADS_A];
    float4 b_next[PMN_LOADS_B];
    const int k = first_k + load_k, tap = k / group_in, i = k - tap * group_in, r = tap / kernel_w, s = tap - r * kernel_w;
#pragma unroll
    for (int l = 0; l < PMN_LOADS_A; l++) {
      const int y = top[l] + r * dilation_h, x = left[l] + s * dilation_w;
      const bool inside = k < depth && y >= 0 && y < in_h && x >= 0 && x < in_w;
      a_next[l] = inside ? PMN_FETCH(((picture[l] + y) * in_w + x) * in_c + i, i) : (PMN_NUMBERS)(0.0f);
    }
#pragma unroll
    for (int l = 0; l < PMN_LOADS_B; l++) {
      const int at = item + l * PMN_ITEMS;
      const bool inside = at < PMN_TILE_K * PMN_LINE_B && first_k + at / PMN_LINE_B < depth;
      b_next[l] = inside ? PMN_LOADA(4, first_k * PMN_LINE_B + at, panel) : (float4)(0.0f);
    }
    if (first_k > 0) {
#pragma unroll
      for (int kk = 0; kk < PMN_TILE_K; kk++) {
        float a[PMN_ITEM_M];
#pragma unroll
        for (int m = 0; m < PMN_ITEM_M / 4; m++)
          vstore4(a_tile[kk * PMN_LINE_A + get_local_id(1) * (PMN_ITEM_M / 4) + m], m, a);
#pragma unroll
        for (int q = 0; q < PMN_QUADS; q++) {
          const float4 b = b_tile[kk * PMN_LINE_B + q * PMN_ITEMS_N + get_local_id(0)];
#pragma unroll
          for (int m = 0; m < PMN_ITEM_M; m++) sum[q][m] = fma((float4)(a[m]), b, sum[q][m]);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int l = 0; l < PMN_LOADS_A; l++) {
      __local float *to = (__local float *)a_tile + load_k * (4 * PMN_LINE_A) + load_m + l * PMN_STEP_M;
      PMN_TRANSPOSE(a_next[l], to);
    }
#pragma unroll
    for (int l = 0; l < PMN_LOADS_B; l++) {
      if (item + l * PMN_ITEMS < PMN_TILE_K * PMN_LINE_B) b_tile[item + l * PMN_ITEMS] = b_next[l];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const __global PMN_T *residual = residual_base + residual_offset;
  __global PMN_T *out = out_base + out_offset;
#pragma unroll
  for (int q = 0; q < PMN_QUADS; q++) {
    const int item_o = (q * PMN_ITEMS_N + (int)get_local_id(0)) * 4;
    const int first_o = (int)get_group_id(0) % group_panels * PMN_TILE_N + item_o;
    const int channel = group * group_out + first_o, channels = min(4, group_out - first_o); /* of this quad */
    if (channels <= 0) return;
    const float4 item_bias = *(const __global float4 *)(bias + get_group_id(0) * PMN_TILE_N + item_o);
#pragma unroll
    for (int i = 0; i < PMN_ITEM_M; i++) {
      const int m = first_m + (int)get_local_id(1) * PMN_ITEM_M + i, to = m * out_c + channel;
      float4 v = sum[q][i] + item_bias;
#if PMN_ALIGNED
      if (m < rows) {
        if (has_residual) v += PMN_LOADA(4, 0, residual + to);
        PMN_ACT(float4, v);
        PMN_STOREA(4, v, 0, out + to);
      }
#else
      float lane[4];
      vstore4(v, 0, lane);
#pragma unroll
      for (int o = 0; o < 4; o++) {
        if (o < channels && m < rows) {
          float f = lane[o];
          if (has_residual) f += PMN_LOAD(to + o, residual);
          PMN_ACT(float, f);
          PMN_STORE(f, to + o, out);
        }
      }
#endif
    }
  }
}
