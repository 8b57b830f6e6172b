/* pmn_conv2d_tensor - convolution as a tiled matrix product on tensor cores: halves in, sums in fp32.
 *
 *   out[m, o] = act(bias[o] + sum over k of a[m, k] * w[k, o] + residual[m, o])       rows m, depth k as in conv2d_tile.cl
 *
 * One work-group: one PMN_TILE_M x PMN_TILE_N tile of out by PMN_WARPS_M x PMN_WARPS_N warps of 32 work-items; it walks k
 * in steps of PMN_TILE_K through local memory, and fetches the next step while it computes this one. A warp multiplies
 * PMN_ROWS x 16 rows by PMN_COLUMNS x 8 channels with mma.sync.m16n8k16 (PTX ISA 8, section 9.7.14.5.8), in registers:
 *
 *   g = lane / 4, t = lane % 4        a: [0] row g, [1] row g + 8, k = 2t, 2t + 1;  [2], [3] the same rows, k + 8
 *   lane = work-item of the warp      b: [0] column g, k = 2t, 2t + 1;  [1] k + 8
 *                                     d: x, y row g, columns 2t, 2t + 1;  z, w row g + 8
 *
 *   a_tile [PMN_TILE_M][PMN_TILE_K / 2] and b_tile [PMN_TILE_K / 2][PMN_TILE_N], pairs of halves along k, with lines so
 *   long that the 32 loads of a fragment fall on 32 banks.
 *
 * Weights are packed [panel][k / 2][PMN_TILE_N][2], bias [panel][PMN_TILE_N], both filled up with zeros.
 *   local size PMN_ITEMS; group 0: panel; 1: m / PMN_TILE_M, rounded up.
 *
 * Without PMN_PTX the fragments go through local memory, and every work-item sums what its registers of d are defined to
 * be: what is above is then tested on any device, and only the instruction itself is not.
 *
 * Sums run over k upwards, 16 at a time, whatever the batch and the sizes of tiles: the same bits for a picture at every
 * place. Preconditions: fp16; every tensor of the batch has fewer than 2^31 elements; 8 divides in_c / groups and
 * out_c / groups.
 */
#ifndef PMN_TILE_M /* a multiple of 16 * PMN_WARPS_M */
#define PMN_TILE_M 128
#define PMN_TILE_N 64 /* a multiple of 8 * PMN_WARPS_N */
#define PMN_TILE_K 32 /* a multiple of 16 */
#define PMN_WARPS_M 2
#define PMN_WARPS_N 2
#endif
#ifndef PMN_PTX
#define PMN_PTX 0
#endif

#define PMN_ITEMS (32 * PMN_WARPS_M * PMN_WARPS_N)
#define PMN_ROWS (PMN_TILE_M / PMN_WARPS_M / 16)
#define PMN_COLUMNS (PMN_TILE_N / PMN_WARPS_N / 8)
#define PMN_LINE_A (PMN_TILE_K / 2 + 4) /* pairs */
#define PMN_LINE_B (PMN_TILE_N + 8)
#define PMN_EIGHTS (PMN_TILE_K / 8) /* that a work-item fetches of a row at a time, */
#define PMN_STEP_M (PMN_ITEMS / PMN_EIGHTS)
#define PMN_LOADS_A (PMN_TILE_M / PMN_STEP_M) /* so many times, */
#define PMN_LOADS_B (PMN_TILE_K * PMN_TILE_N / 8 / PMN_ITEMS) /* and so many times four pairs of weights */

#if PMN_PTX
static float4 pmn_mma(const uint *a, const uint *b, float4 d) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d.x), "+f"(d.y), "+f"(d.z), "+f"(d.w)
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  return d;
}
#else
/* Number `k` of row or column `line`, of which the register that lane (line, t) holds of `pairs`, the warp's, has two. */
static float pmn_fragment(const __local uint *pairs, const int registers, const int first, const int step, const int line,
    const int k) {
  const ushort2 pair = as_ushort2(pairs[(line * 4 + k % 8 / 2) * registers + first + k / 8 * step]);
  return vload_half(k % 2, (const half *)&pair);
}

/* a and b: of all lanes of the warp, four and two registers each. */
static float4 pmn_mma(const __local uint *a, const __local uint *b, float4 d, const int lane) {
  const int g = lane / 4, t = lane % 4;
  for (int k = 0; k < 16; k++) {
    const float high = pmn_fragment(a, 4, 0, 2, g, k), low = pmn_fragment(a, 4, 1, 2, g, k);
    const float left = pmn_fragment(b, 2, 0, 1, 2 * t, k), right = pmn_fragment(b, 2, 0, 1, 2 * t + 1, k);
    d = fma((float4)(high, high, low, low), (float4)(left, right, left, right), d);
  }
  return d;
}
#endif

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_conv2d_tensor(
    const __global PMN_T *restrict in_base, const ulong in_offset, const __global PMN_T *restrict weights,
    const __global float *restrict bias, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int in_c, const int out_h, const int out_w, const int out_c, const int kernel_h, const int kernel_w,
    const int stride_h, const int stride_w, const int dilation_h, const int dilation_w, const int pad_top,
    const int pad_left, const float alpha, const float clamp_min, const float clamp_max, const int groups,
    const float4 scale, const float4 shift, const int n) {
  __local uint4 a_tile[PMN_TILE_M * PMN_LINE_A / 4], b_tile[PMN_TILE_K / 2 * PMN_LINE_B / 4];
  const __local uint *a_pairs = (const __local uint *)a_tile, *b_pairs = (const __local uint *)b_tile;
  const int group_in = in_c / groups, group_out = out_c / groups;
  const int rows = n * out_h * out_w, depth = kernel_h * kernel_w * group_in;
  const int group_panels = (group_out + PMN_TILE_N - 1) / PMN_TILE_N, group = (int)get_group_id(0) / group_panels;
  const int item = (int)get_local_id(0), warp = item / 32, lane = item % 32, g = lane / 4, t = lane % 4;
  const int warp_m = warp / PMN_WARPS_N * (PMN_ROWS * 16), warp_n = warp % PMN_WARPS_N * (PMN_COLUMNS * 8);
  const int first_m = (int)get_group_id(1) * PMN_TILE_M;
  const __global PMN_T *in = in_base + in_offset + group * group_in;
  const __global uint4 *panel = (const __global uint4 *)(weights + (ulong)get_group_id(0) * PMN_TILE_N * (ulong)depth);

  /* This work-item fetches eight numbers from load_k on of rows load_m, load_m + PMN_STEP_M, ... */
  const int load_k = item % PMN_EIGHTS * 8, load_m = item / PMN_EIGHTS;
  int top[PMN_LOADS_A], left[PMN_LOADS_A], picture[PMN_LOADS_A];
#pragma unroll
  for (int l = 0; l < PMN_LOADS_A; l++) {
    const int m = min(first_m + load_m + l * PMN_STEP_M, rows - 1); /* rows past the last are not stored */
    const int y = m / out_w % out_h;
    top[l] = y * stride_h - pad_top;
    left[l] = m % out_w * stride_w - pad_left;
    picture[l] = m / (out_h * out_w) * in_h;
  }
  float4 sum[PMN_ROWS][PMN_COLUMNS];
#pragma unroll
  for (int i = 0; i < PMN_ROWS * PMN_COLUMNS; i++) sum[i / PMN_COLUMNS][i % PMN_COLUMNS] = (float4)(0.0f);
#if !PMN_PTX
  __local uint a_shown[PMN_ITEMS * 4], b_shown[PMN_ITEMS * 2];
#endif

  /* In turn: fetch a step, compute the one before, store what was fetched. */
  for (int first_k = 0; first_k < depth + PMN_TILE_K; first_k += PMN_TILE_K) {
    uint4 a_next[PMN_LOADS_A], b_next[PMN_LOADS_B];
    const int k = first_k + load_k, tap = k / group_in, i = k - tap * group_in, r = tap / kernel_w, s = tap - r * kernel_w;
#pragma unroll
    for (int l = 0; l < PMN_LOADS_A; l++) {
      const int y = top[l] + r * dilation_h, x = left[l] + s * dilation_w;
      const bool inside = k < depth && y >= 0 && y < in_h && x >= 0 && x < in_w;
      a_next[l] = inside ? *(const __global uint4 *)(in + ((picture[l] + y) * in_w + x) * in_c + i) : (uint4)(0);
    }
#pragma unroll
    for (int l = 0; l < PMN_LOADS_B; l++) {
      const int at = item + l * PMN_ITEMS;
      b_next[l] = first_k + at / (PMN_TILE_N / 4) * 2 < depth ? panel[first_k / 2 * (PMN_TILE_N / 4) + at] : (uint4)(0);
    }
    if (first_k > 0) {
#pragma unroll
      for (int kk = 0; kk < PMN_TILE_K / 2; kk += 8) {
        uint a[PMN_ROWS][4], b[PMN_COLUMNS][2];
#pragma unroll
        for (int p = 0; p < PMN_ROWS * 4; p++)
          a[p / 4][p % 4] = a_pairs[(warp_m + p / 4 * 16 + p % 2 * 8 + g) * PMN_LINE_A + kk + p % 4 / 2 * 4 + t];
#pragma unroll
        for (int p = 0; p < PMN_COLUMNS * 2; p++)
          b[p / 2][p % 2] = b_pairs[(kk + p % 2 * 4 + t) * PMN_LINE_B + warp_n + p / 2 * 8 + g];
#if PMN_PTX
#pragma unroll
        for (int p = 0; p < PMN_ROWS * PMN_COLUMNS; p++) {
          const int row = p / PMN_COLUMNS, column = p % PMN_COLUMNS;
          sum[row][column] = pmn_mma(a[row], b[column], sum[row][column]);
        }
#else
        for (int p = 0; p < PMN_ROWS * PMN_COLUMNS; p++) {
          const int row = p / PMN_COLUMNS, column = p % PMN_COLUMNS;
          barrier(CLK_LOCAL_MEM_FENCE);
          for (int f = 0; f < 4; f++) a_shown[item * 4 + f] = a[row][f];
          for (int f = 0; f < 2; f++) b_shown[item * 2 + f] = b[column][f];
          barrier(CLK_LOCAL_MEM_FENCE);
          sum[row][column] = pmn_mma(a_shown + warp * 128, b_shown + warp * 64, sum[row][column], lane);
        }
#endif
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
    for (int l = 0; l < PMN_LOADS_A; l++)
      a_tile[((load_m + l * PMN_STEP_M) * PMN_LINE_A + load_k / 2) / 4] = a_next[l];
#pragma unroll
    for (int l = 0; l < PMN_LOADS_B; l++) {
      const int at = item + l * PMN_ITEMS;
      b_tile[at / (PMN_TILE_N / 4) * (PMN_LINE_B / 4) + at % (PMN_TILE_N / 4)] = b_next[l];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }

  const __global PMN_T *residual = residual_base + residual_offset;
  __global PMN_T *out = out_base + out_offset;
#pragma unroll
  for (int p = 0; p < PMN_ROWS * PMN_COLUMNS; p++) {
    const int panel_o = warp_n + p % PMN_COLUMNS * 8 + 2 * t;
    const int first_o = (int)get_group_id(0) % group_panels * PMN_TILE_N + panel_o;
    const float2 item_bias = *(const __global float2 *)(bias + get_group_id(0) * PMN_TILE_N + panel_o);
    const float4 d = sum[p / PMN_COLUMNS][p % PMN_COLUMNS];
#pragma unroll
    for (int half_d = 0; half_d < 2; half_d++) {
      const int m = first_m + warp_m + p / PMN_COLUMNS * 16 + half_d * 8 + g, to = m * out_c + group * group_out + first_o;
      float2 v = (half_d == 0 ? d.xy : d.zw) + item_bias;
      if (m < rows && first_o < group_out) {
        if (has_residual) v += PMN_LOADA(2, 0, residual + to);
        PMN_ACT(float2, v);
        PMN_STOREA(2, v, 0, out + to);
      }
    }
  }
}
