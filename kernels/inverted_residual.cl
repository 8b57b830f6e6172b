/* pmn_inverted_residual - expansion, depthwise convolution and projection as one kernel, for GPUs.
 *
 *   wide[p, j]   = min(max(expand_bias[j] + sum over i of in[p, i] * expand[i, j], wide_min), wide_max)
 *   narrow[q, j] = min(max(tap_bias[j] + sum over r, s of wide[q * stride - pad + (r, s), j] * taps[r, s, j],
 *                  narrow_min), narrow_max),                                 wide = 0 outside the picture
 *   out[q, o]    = min(max(bias[o] + sum over j of narrow[q, j] * project[j, o] + residual[q, o], clamp_min), clamp_max)
 *
 * Without PMN_EXPAND wide is in. Neither wide nor narrow, the largest tensors of a network, is ever in global memory.
 *
 * One work-group: a tile of PMN_TILE_H x PMN_TILE_W output pixels of one picture, all output channels. The channels j go by
 * in chunks of PMN_CHUNK:
 *
 *   in, PMN_DEPTH channels at a time -> in_tile   [PMN_DEPTH][pixels of the tile's window that lie in the picture]
 *   expand                           -> wide_tile [pixels of the window][PMN_CHUNK], 0 outside the picture
 *   depthwise                        -> narrow    [pixels of the tile][PMN_CHUNK], in the place of in_tile
 *   project: sum += narrow * project, sum being registers: of a work-item PMN_SUMS times PMN_ITEM_M pixels x 4 channels
 *
 * Weights, a chunk after the other, filled up with zeros to whole chunks and whole fours of output channels:
 *   expand [in_c][PMN_CHUNK], its bias [PMN_CHUNK]       only with PMN_EXPAND
 *   taps [kernel_h * kernel_w][PMN_CHUNK], their bias [PMN_CHUNK]
 *   project [PMN_CHUNK][out_c]                           bias [out_c] is a buffer of its own
 *
 *   local size PMN_ITEMS; group 0: tile, row after row; 1: n.
 *
 * Sums run over i, over r, s and over j upwards, as those of pmn_conv2d_tile and pmn_depthwise_conv2d do, and what is
 * added to them follows in the same order: the bits of those three kernels, whatever the batch and the tile.
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; PMN_SUMS * PMN_ITEMS * PMN_ITEM_M * 4 is at least
 * the number of outputs of a tile.
 */
#ifndef PMN_EXPAND
#define PMN_EXPAND 1
#endif
#ifndef PMN_KERNEL_H
#define PMN_KERNEL_H 3
#define PMN_KERNEL_W 3
#define PMN_STRIDE_H 1
#define PMN_STRIDE_W 1
#endif
#ifndef PMN_TILE_H /* their product is a multiple of PMN_ITEM_M */
#define PMN_TILE_H 8
#define PMN_TILE_W 8
#endif
#ifndef PMN_CHUNK /* 16 or 32 */
#define PMN_CHUNK 32
#endif
#ifndef PMN_ITEM_M
#define PMN_ITEM_M 4
#define PMN_SUMS 4
#endif
#ifndef PMN_ITEMS /* work-items; a multiple of PMN_DEPTH and of PMN_CHUNK / 4 */
#define PMN_ITEMS 256
#define PMN_DEPTH 16
#endif

#define PMN_WINDOW_H ((PMN_TILE_H - 1) * PMN_STRIDE_H + PMN_KERNEL_H) /* what a tile looks at */
#define PMN_WINDOW_W ((PMN_TILE_W - 1) * PMN_STRIDE_W + PMN_KERNEL_W)
#define PMN_WINDOW (PMN_WINDOW_H * PMN_WINDOW_W)
#define PMN_TILE (PMN_TILE_H * PMN_TILE_W)
#define PMN_LINE (PMN_WINDOW | 1)    /* of in_tile: odd, so that the transposing stores fall on other banks */
#define PMN_STRIP (PMN_CHUNK + 4)    /* of narrow: so do the reads of items with other pixels */
#define PMN_FOURS (PMN_CHUNK / 4)    /* of channels in a chunk */
#define PMN_ROWS (PMN_ITEMS / PMN_FOURS)
#define PMN_WIDE ((PMN_WINDOW + PMN_ROWS - 1) / PMN_ROWS) /* pixels x 4 channels of wide_tile that a work-item computes */
#define PMN_STEP (PMN_ITEMS / PMN_DEPTH)
#define PMN_LOADS ((PMN_WINDOW + PMN_STEP - 1) / PMN_STEP) /* elements of in_tile that it fetches */
#if PMN_EXPAND && PMN_DEPTH * PMN_LINE > PMN_TILE * PMN_STRIP
#define PMN_SHARED (PMN_DEPTH * PMN_LINE)
#else
#define PMN_SHARED (PMN_TILE * PMN_STRIP)
#endif

static float4 pmn_clamped(float4 v, const float clamp_min, const float clamp_max) {
  PMN_ACT(float4, v);
  return v;
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_inverted_residual(
    const __global float *restrict in_base, const ulong in_offset, const __global float *restrict weights,
    const __global float *restrict bias, const __global float *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global float *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int in_c, const int out_h, const int out_w, const int out_c, const int wide_c, const int pad_top,
    const int pad_left, const float wide_min, const float wide_max, const float narrow_min, const float narrow_max,
    const float clamp_min, const float clamp_max) {
  __local float wide_tile[PMN_WINDOW * PMN_CHUNK];
  __local float shared[PMN_SHARED]; /* in_tile, then narrow */
#if PMN_EXPAND
  __local float expand_tile[PMN_DEPTH * PMN_CHUNK];
#endif
  const int item = (int)get_local_id(0), n = (int)get_global_id(1);
  const int tiles_w = (out_w + PMN_TILE_W - 1) / PMN_TILE_W, tile = (int)get_group_id(0);
  const int tile_y = tile / tiles_w * PMN_TILE_H, tile_x = tile % tiles_w * PMN_TILE_W;
  const int top = tile_y * PMN_STRIDE_H - pad_top, left = tile_x * PMN_STRIDE_W - pad_left;
  /* The part of the window that lies in the picture, its pixels counted row after row. */
  const int begin_y = max(-top, 0), begin_x = max(-left, 0);
  const int inside_w = max(min(PMN_WINDOW_W, in_w - left) - begin_x, 0);
  const int inside = max(min(PMN_WINDOW_H, in_h - top) - begin_y, 0) * inside_w;
  const int first_in = ((n * in_h + top + begin_y) * in_w + left + begin_x) * in_c;
  const __global float *in = in_base + in_offset;

  /* Of wide_tile this work-item computes channels 4 * four.. of pixels row, row + PMN_ROWS, ... */
  const int four = item % PMN_FOURS, row = item / PMN_FOURS;
#if PMN_EXPAND
  /* and it fetches line load_k of in_tile, pixels load_p, load_p + PMN_STEP, ... */
  const int load_k = item % PMN_DEPTH, load_p = item / PMN_DEPTH;
  int from[PMN_LOADS];
#pragma unroll
  for (int l = 0; l < PMN_LOADS; l++) {
    const int p = min(load_p + l * PMN_STEP, inside - 1); /* pixels past the last are not fetched */
    from[l] = inside > 0 ? first_in + (p / inside_w * in_w + p % inside_w) * in_c : 0;
  }
#endif
  /* Of the outputs it sums fours of channels at outputs[], of pixels from pixels[] on. */
  const int out_fours = (out_c + 3) / 4, blocks = PMN_TILE / PMN_ITEM_M * out_fours;
  int outputs[PMN_SUMS], pixels[PMN_SUMS];
  float4 sum[PMN_SUMS][PMN_ITEM_M];
#pragma unroll
  for (int b = 0; b < PMN_SUMS; b++) {
    const int block = min(item + b * PMN_ITEMS, blocks - 1); /* blocks past the last are not stored */
    outputs[b] = block % out_fours;
    pixels[b] = block / out_fours * PMN_ITEM_M;
#pragma unroll
    for (int m = 0; m < PMN_ITEM_M; m++) sum[b][m] = (float4)(0.0f);
  }
  for (int l = item; l < PMN_WINDOW * PMN_CHUNK; l += PMN_ITEMS) wide_tile[l] = 0.0f;
  barrier(CLK_LOCAL_MEM_FENCE);

  for (int first_j = 0; first_j < wide_c; first_j += PMN_CHUNK) {
#if PMN_EXPAND
    float4 wide[PMN_WIDE];
#pragma unroll
    for (int l = 0; l < PMN_WIDE; l++) wide[l] = (float4)(0.0f);
    for (int first_k = 0; first_k < in_c; first_k += PMN_DEPTH) {
      const int k = first_k + load_k;
#pragma unroll
      for (int l = 0; l < PMN_LOADS; l++) {
        const int p = load_p + l * PMN_STEP;
        if (p < inside) shared[load_k * PMN_LINE + p] = k < in_c ? in[from[l] + k] : 0.0f;
      }
      for (int l = item; l < PMN_DEPTH * PMN_CHUNK; l += PMN_ITEMS) {
        expand_tile[l] = first_k + l / PMN_CHUNK < in_c ? weights[first_k * PMN_CHUNK + l] : 0.0f;
      }
      barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll 4
      for (int kk = 0; kk < PMN_DEPTH; kk++) {
        const float4 w = vload4(four, expand_tile + kk * PMN_CHUNK);
#pragma unroll
        for (int l = 0; l < PMN_WIDE; l++) {
          if (l * PMN_ROWS >= inside) continue; /* the same for all work-items */
          const int p = min(row + l * PMN_ROWS, inside - 1);
          wide[l] = fma((float4)(shared[kk * PMN_LINE + p]), w, wide[l]);
        }
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    weights += in_c * PMN_CHUNK;
    const float4 wide_bias = vload4(four, weights);
    weights += PMN_CHUNK;
#endif
#pragma unroll
    for (int l = 0; l < PMN_WIDE; l++) {
      const int p = row + l * PMN_ROWS;
      if (p >= inside) continue;
      const int y = p / inside_w, x = p - y * inside_w;
#if PMN_EXPAND
      const float4 v = pmn_clamped(wide[l] + wide_bias, wide_min, wide_max);
#else
      const int j = first_j + 4 * four, at = first_in + (y * in_w + x) * in_c + j;
      float4 v = (float4)(0.0f);
      if (j < in_c) v.x = in[at];
      if (j + 1 < in_c) v.y = in[at + 1];
      if (j + 2 < in_c) v.z = in[at + 2];
      if (j + 3 < in_c) v.w = in[at + 3];
#endif
      vstore4(v, four, wide_tile + ((begin_y + y) * PMN_WINDOW_W + begin_x + x) * PMN_CHUNK);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const __global float *tap_bias = weights + PMN_KERNEL_H * PMN_KERNEL_W * PMN_CHUNK;
    for (int q = row; q < PMN_TILE; q += PMN_ROWS) {
      const __local float *window =
          wide_tile + (q / PMN_TILE_W * PMN_STRIDE_H * PMN_WINDOW_W + q % PMN_TILE_W * PMN_STRIDE_W) * PMN_CHUNK;
      float4 v = (float4)(0.0f);
      for (int r = 0; r < PMN_KERNEL_H; r++) {
#pragma unroll
        for (int s = 0; s < PMN_KERNEL_W; s++) {
          v = fma(vload4(four, window + (r * PMN_WINDOW_W + s) * PMN_CHUNK),
              vload4(four, weights + (r * PMN_KERNEL_W + s) * PMN_CHUNK), v);
        }
      }
      vstore4(pmn_clamped(v + vload4(four, tap_bias), narrow_min, narrow_max), four, shared + q * PMN_STRIP);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const __global float *project = tap_bias + PMN_CHUNK;
    for (int j = 0; j < PMN_CHUNK; j += 4) {
#pragma unroll
      for (int b = 0; b < PMN_SUMS; b++) {
        const __global float *w = project + 4 * (j * out_fours + outputs[b]);
        const float4 w0 = vload4(0, w), w1 = vload4(out_fours, w), w2 = vload4(2 * out_fours, w);
        const float4 w3 = vload4(3 * out_fours, w);
#pragma unroll
        for (int m = 0; m < PMN_ITEM_M; m++) {
          const float4 a = vload4(0, shared + (pixels[b] + m) * PMN_STRIP + j);
          float4 v = fma((float4)(a.x), w0, sum[b][m]);
          v = fma((float4)(a.y), w1, v);
          v = fma((float4)(a.z), w2, v);
          sum[b][m] = fma((float4)(a.w), w3, v);
        }
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    weights = project + 4 * PMN_CHUNK * out_fours;
  }

  const __global float *residual = residual_base + residual_offset;
  __global float *out = out_base + out_offset;
#pragma unroll
  for (int b = 0; b < PMN_SUMS; b++) {
    if (item + b * PMN_ITEMS >= blocks) continue;
    const int channels = min(4, out_c - 4 * outputs[b]);
    const float4 item_bias = vload4(outputs[b], bias);
#pragma unroll
    for (int m = 0; m < PMN_ITEM_M; m++) {
      const int y = tile_y + (pixels[b] + m) / PMN_TILE_W, x = tile_x + (pixels[b] + m) % PMN_TILE_W;
      if (y >= out_h || x >= out_w) continue;
      const int to = ((n * out_h + y) * out_w + x) * out_c + 4 * outputs[b];
      float4 v = sum[b][m] + item_bias;
      if (channels == 4) {
        if (has_residual) v += vload4(0, residual + to);
        vstore4(pmn_clamped(v, clamp_min, clamp_max), 0, out + to);
      } else {
        float lane[4];
        vstore4(v, 0, lane);
        for (int o = 0; o < channels; o++) {
          float f = lane[o];
          if (has_residual) f += residual[to + o];
          PMN_ACT(float, f);
          out[to + o] = f;
        }
      }
    }
  }
}
