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
 * wide_tile and narrow are stored as tensors are, in_tile as floats; all are counted in vectors of four.
 *
 * Weights, a chunk after the other, filled up with zeros to whole chunks and whole fours of output channels:
 *   expand [in_c][PMN_CHUNK]                       only with PMN_EXPAND
 *   taps [kernel_h * kernel_w][PMN_CHUNK]
 *   project [PMN_CHUNK][out_c]
 * and of all chunks, floats: bias of expand [wide_c], of the taps [wide_c], of project [out_c].
 *
 *   local size PMN_ITEMS; group 0: tile, row after row; 1: n.
 *
 * Sums run over i, over r, s and over j upwards, as those of pmn_conv2d_tile and pmn_depthwise_conv2d_tile do, and what
 * is added to them follows in the same order: the bits of those three kernels, whatever the batch and the tile.
 * Preconditions: every tensor of the batch has fewer than 2^31 elements; PMN_SUMS * PMN_ITEMS * PMN_ITEM_M * 4 is at least
 * the number of outputs of a tile; PMN_ALIGNED means that 4 divides in_c and out_c; no bias is -0.
 */
#ifndef PMN_EXPAND
#define PMN_EXPAND 1
#endif
#ifndef PMN_ALIGNED
#define PMN_ALIGNED 1
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
#define PMN_FOURS (PMN_CHUNK / 4)       /* of channels in a chunk */
#define PMN_QUADS ((PMN_WINDOW + 3) / 4) /* of pixels in the window */
#define PMN_LINE (PMN_QUADS | 1)        /* of in_tile: odd, so that the transposing stores fall on more banks */
#define PMN_STRIP (PMN_FOURS + 1)       /* of narrow: so do the reads of items with other pixels */
#define PMN_ROWS (PMN_ITEMS / PMN_FOURS)
#define PMN_WIDE ((PMN_QUADS + PMN_ROWS - 1) / PMN_ROWS)  /* times 4 pixels x 4 channels of wide_tile for a work-item, */
#define PMN_NARROW ((PMN_TILE + PMN_ROWS - 1) / PMN_ROWS) /* times 1 x 4 of narrow; */
#if PMN_ALIGNED
#define PMN_RUN 4 /* it fetches so many neighbouring channels for in_tile, */
#define PMN_NUMBERS float4
#define PMN_FETCH(p) PMN_LOADA(4, 0, p)
#else
#define PMN_RUN 1
#define PMN_NUMBERS float
#define PMN_FETCH(p) PMN_LOAD(0, p)
#endif
#define PMN_STEP (PMN_ITEMS * PMN_RUN / PMN_DEPTH)
#define PMN_LOADS ((4 * PMN_QUADS + PMN_STEP - 1) / PMN_STEP) /* so many times */

static float4 pmn_clamped(float4 v, const float clamp_min, const float clamp_max) {
  PMN_ACT(float4, v);
  return v;
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_inverted_residual(
    const __global PMN_T *restrict in_base, const ulong in_offset, const __global PMN_T *restrict weights,
    const __global float *restrict bias, const __global PMN_T *restrict residual_base, const ulong residual_offset,
    const int has_residual, __global PMN_T *restrict out_base, const ulong out_offset, const int in_h, const int in_w,
    const int in_c, const int out_h, const int out_w, const int out_c, const int wide_c, const int pad_top,
    const int pad_left, const float wide_min, const float wide_max, const float narrow_min, const float narrow_max,
    const float clamp_min, const float clamp_max) {
  __local PMN_TN(4) wide_tile[PMN_WINDOW * PMN_FOURS];
  __local union {
#if PMN_EXPAND
    float4 in_tile[PMN_DEPTH * PMN_LINE];
#endif
    PMN_TN(4) narrow[PMN_TILE * PMN_STRIP];
  } shared;
#if PMN_EXPAND
  __local float4 expand_tile[PMN_DEPTH * PMN_FOURS];
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
  const __global PMN_T *in = in_base + in_offset;
  const __global float4 *biases = (const __global float4 *)bias;
  const int wide_fours = (wide_c + PMN_CHUNK - 1) / PMN_CHUNK * PMN_FOURS;

  /* Of wide_tile this work-item computes channels 4 * four.. of pixels 4 * row.., 4 * (row + PMN_ROWS).., ... */
  const int four = item % PMN_FOURS, row = item / PMN_FOURS;
#if PMN_EXPAND
  /* and it fetches lines load_k.. of in_tile, pixels load_p, load_p + PMN_STEP, ... */
  const int load_k = item % (PMN_DEPTH / PMN_RUN) * PMN_RUN, load_p = item / (PMN_DEPTH / PMN_RUN);
  int from[PMN_LOADS];
#pragma unroll
  for (int l = 0; l < PMN_LOADS; l++) {
    const int p = load_p + l * PMN_STEP;
    from[l] = p < inside ? first_in + (p / inside_w * in_w + p % inside_w) * in_c : -1;
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
  for (int l = item; l < PMN_WINDOW * PMN_FOURS; l += PMN_ITEMS) wide_tile[l] = (PMN_TN(4))(0);
  barrier(CLK_LOCAL_MEM_FENCE);

  for (int first_j = 0; first_j < wide_c; first_j += PMN_CHUNK) {
#if PMN_EXPAND
    float4 wide[PMN_WIDE][4];
#pragma unroll
    for (int l = 0; l < 4 * PMN_WIDE; l++) wide[l / 4][l % 4] = (float4)(0.0f);
    for (int first_k = 0; first_k < in_c; first_k += PMN_DEPTH) {
#pragma unroll
      for (int l = 0; l < PMN_LOADS; l++) {
        const int p = load_p + l * PMN_STEP, k = first_k + load_k;
        __local float *to = (__local float *)shared.in_tile + load_k * (4 * PMN_LINE) + p;
        const PMN_NUMBERS v = from[l] >= 0 && k < in_c ? PMN_FETCH(in + from[l] + k) : (PMN_NUMBERS)(0.0f);
        if (p < 4 * PMN_QUADS) {
#if PMN_RUN == 4
          to[0] = v.x;
          to[4 * PMN_LINE] = v.y;
          to[8 * PMN_LINE] = v.z;
          to[12 * PMN_LINE] = v.w;
#else
          *to = v;
#endif
        }
      }
      for (int l = item; l < PMN_DEPTH * PMN_FOURS; l += PMN_ITEMS) {
        const bool is = first_k + l / PMN_FOURS < in_c;
        expand_tile[l] = is ? PMN_LOADA(4, first_k * PMN_FOURS + l, weights) : (float4)(0.0f);
      }
      barrier(CLK_LOCAL_MEM_FENCE);
#pragma unroll
      for (int l = 0; l < PMN_WIDE; l++) {
        const int quad = row + l * PMN_ROWS;
        if (4 * quad < inside) {
#pragma unroll 4
          for (int kk = 0; kk < PMN_DEPTH; kk++) {
            const float4 w = expand_tile[kk * PMN_FOURS + four], a = shared.in_tile[kk * PMN_LINE + quad];
            wide[l][0] = fma((float4)(a.x), w, wide[l][0]);
            wide[l][1] = fma((float4)(a.y), w, wide[l][1]);
            wide[l][2] = fma((float4)(a.z), w, wide[l][2]);
            wide[l][3] = fma((float4)(a.w), w, wide[l][3]);
          }
        }
      }
      barrier(CLK_LOCAL_MEM_FENCE);
    }
    weights += in_c * PMN_CHUNK;
    const float4 wide_bias = biases[first_j / 4 + four];
#endif
#pragma unroll
    for (int l = 0; l < 4 * PMN_WIDE; l++) {
      const int p = 4 * (row + l / 4 * PMN_ROWS) + l % 4;
      if (p < inside) {
        const int y = p / inside_w, x = p - y * inside_w;
#if PMN_EXPAND
        const float4 v = pmn_clamped(wide[l / 4][l % 4] + wide_bias, wide_min, wide_max);
#else
        const int j = first_j + 4 * four;
        const __global PMN_T *at = in + first_in + (y * in_w + x) * in_c + j;
        float4 v = (float4)(0.0f);
#if PMN_ALIGNED
        if (j < in_c) v = PMN_LOADA(4, 0, at);
#else
        if (j < in_c) v.x = PMN_LOAD(0, at);
        if (j + 1 < in_c) v.y = PMN_LOAD(1, at);
        if (j + 2 < in_c) v.z = PMN_LOAD(2, at);
        if (j + 3 < in_c) v.w = PMN_LOAD(3, at);
#endif
#endif
        wide_tile[((begin_y + y) * PMN_WINDOW_W + begin_x + x) * PMN_FOURS + four] = PMN_PACK(4, v);
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const float4 tap_bias = biases[wide_fours + first_j / 4 + four];
    float4 taken[PMN_NARROW];
#pragma unroll
    for (int l = 0; l < PMN_NARROW; l++) taken[l] = (float4)(0.0f);
    for (int r = 0; r < PMN_KERNEL_H; r++) {
#pragma unroll
      for (int s = 0; s < PMN_KERNEL_W; s++) {
        const float4 w = PMN_LOADA(4, (r * PMN_KERNEL_W + s) * PMN_FOURS + four, weights);
#pragma unroll
        for (int l = 0; l < PMN_NARROW; l++) {
          const int q = min(row + l * PMN_ROWS, PMN_TILE - 1);
          const int y = q / PMN_TILE_W * PMN_STRIDE_H + r, x = q % PMN_TILE_W * PMN_STRIDE_W + s;
          taken[l] = fma(PMN_UNPACK(4, wide_tile[(y * PMN_WINDOW_W + x) * PMN_FOURS + four]), w, taken[l]);
        }
      }
    }
#pragma unroll
    for (int l = 0; l < PMN_NARROW; l++) {
      const int q = row + l * PMN_ROWS;
      /* Channels that only fill up the chunk are 0, and not what an infinity times their weight 0 is. */
      const int4 is = first_j + 4 * four + (int4)(0, 1, 2, 3) < (int4)(wide_c);
      const float4 v = is ? pmn_clamped(taken[l] + tap_bias, narrow_min, narrow_max) : (float4)(0.0f);
      if (q < PMN_TILE) shared.narrow[q * PMN_STRIP + four] = PMN_PACK(4, v);
    }
    barrier(CLK_LOCAL_MEM_FENCE);

    const __global PMN_T *project = weights + PMN_KERNEL_H * PMN_KERNEL_W * PMN_CHUNK;
    for (int j = 0; j < PMN_FOURS; j++) {
#pragma unroll
      for (int b = 0; b < PMN_SUMS; b++) {
        const int at = 4 * j * out_fours + outputs[b];
        const float4 w0 = PMN_LOADA(4, at, project), w1 = PMN_LOADA(4, at + out_fours, project);
        const float4 w2 = PMN_LOADA(4, at + 2 * out_fours, project), w3 = PMN_LOADA(4, at + 3 * out_fours, project);
#pragma unroll
        for (int m = 0; m < PMN_ITEM_M; m++) {
          const float4 a = PMN_UNPACK(4, shared.narrow[(pixels[b] + m) * PMN_STRIP + j]);
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

  const __global PMN_T *residual = residual_base + residual_offset;
  __global PMN_T *out = out_base + out_offset;
#pragma unroll
  for (int b = 0; b < PMN_SUMS; b++) {
    const float4 item_bias = biases[2 * wide_fours + outputs[b]];
#pragma unroll
    for (int m = 0; m < PMN_ITEM_M; m++) {
      const int y = tile_y + (pixels[b] + m) / PMN_TILE_W, x = tile_x + (pixels[b] + m) % PMN_TILE_W;
      const bool mine = item + b * PMN_ITEMS < blocks && y < out_h && x < out_w;
      const int to = ((n * out_h + y) * out_w + x) * out_c + 4 * outputs[b];
      float4 v = sum[b][m] + item_bias;
#if PMN_ALIGNED
      if (mine) {
        if (has_residual) v += PMN_LOADA(4, 0, residual + to);
        PMN_STOREA(4, pmn_clamped(v, clamp_min, clamp_max), 0, out + to);
      }
#else
      float lane[4];
      vstore4(v, 0, lane);
#pragma unroll
      for (int o = 0; o < 4; o++) {
        if (mine && 4 * outputs[b] + o < out_c) {
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
