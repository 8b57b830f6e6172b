/* pmn_cpu_winograd.c - see pmn_cpu_winograd.h.
 *
 *   for each block of tiles
 *     every tile: B' d B                                     -> `spectrum` [positions][tiles, in]
 *     every position: [tiles, in] [in, out]                  -> `products` [positions][tiles, out]
 *     every tile: A' [...] A, bias, residual, clamp          -> y
 *
 * A block has as many tiles as make the transformed weights worth their way from memory, and no more than keep both
 * arrays in level-2 cache where the weights stay there too. Where a block has few tiles, as that of one small picture,
 * it makes its weights from the taps, which are a quarter of them for 4x4 tiles.
 */
#include "pmn_cpu_winograd.h"

#include "pmn_cpu_layers.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>
#include <string.h>

enum { TAPS = 3 };

/* Between positions, so that a tile's values do not all want the same set of the level-1 cache. */
enum { STEP = 16 };

/* Weights that come from memory for every block, once transformed: a block of few tiles has them sooner from the taps.
 * One of many tiles would have to bring these anew for each panel. */
enum { FAR_BYTES = 1024 * 1024, TILES_FEW = 24 };

static int32_t tiles_of(const pmn_tensor *out, int32_t size) {
  return ((out->h + size - 1) / size) * ((out->w + size - 1) / size);
}

static int32_t positions_of(int32_t size) {
  return (size + 2) * (size + 2);
}

/* Pixels across a tile. The choice depends on the picture alone, never on how many come at once: a picture's result
 * must not. */
static int32_t size_for(const pmn_tensor *out) {
  enum { TILES_LEAST = 8 };
  return tiles_of(out, 4) < TILES_LEAST ? 2 : 4;
}

/* Channels fill whole vectors of every instruction set, and products are at most 0.6 of the direct ones: tiles reach
 * over the edge of small pictures. */
bool pmn_cpu_winograd_matches(const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  int32_t size = size_for(out);
  return op->kind == PMN_OP_CONV2D && op->kernel_h == TAPS && op->kernel_w == TAPS && op->stride_h == 1 &&
         op->stride_w == 1 && op->dilation_h == 1 && op->dilation_w == 1 && op->groups == 1 &&
         in->c % PMN_CPU_SLACK == 0 && out->c % PMN_CPU_SLACK == 0 &&
         (int64_t)5 * positions_of(size) * tiles_of(out, size) <= (int64_t)3 * TAPS * TAPS * out->h * out->w;
}

/* The larger the weights, the more tiles are to share their way from memory. */
static int32_t tiles_in_block(const pmn_tensor *in, const pmn_tensor *out, int64_t positions) {
  enum { BYTES_LEAST = 384 * 1024, TILES_MAX = 256, UNIT = 8 };
  int64_t tile_bytes = positions * 4 * ((int64_t)in->c + out->c);
  int64_t bytes = positions * 4 * (int64_t)in->c * out->c / 4;
  if (bytes < BYTES_LEAST) bytes = BYTES_LEAST;
  int64_t tiles = bytes / tile_bytes / UNIT * UNIT;
  return tiles < UNIT ? UNIT : tiles > TILES_MAX ? TILES_MAX : (int32_t)tiles;
}

/* The taps for each panel of columns, [k][9][width]. */
static void pack_taps(const pmn_op *op, size_t panel, size_t k, size_t n, float *to) {
  size_t count = TAPS * TAPS;
  for (size_t column = 0; column < n; column += panel) {
    size_t width = n - column < panel ? n - column : panel;
    for (size_t i = 0; i < k * count; i++, to += width) {
      memcpy(to, op->weights + (i % count * k + i / count) * n + column, width * sizeof *to);
    }
  }
}

/* One line of the weights of a panel of columns. Its products begin with a bias of zero. */
static void transform_taps(const pmn_cpu_transforms *transforms, const float *taps, int32_t k, int32_t width,
    int32_t side, int32_t line, float *u, size_t step) {
  for (int32_t i = 0; i < side; i++) memset(u + (size_t)i * step, 0, (size_t)width * sizeof *u);
  transforms->taps_line(taps, k, width, line, u + width, step);
}

pmn_status pmn_cpu_winograd_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  layer->form = PMN_CPU_WINOGRAD;
  layer->size = size_for(out);
  const pmn_cpu_transforms *transforms = &kernels->transforms[layer->size == 4];
  int32_t side = layer->size + 2, panel = kernels->panel;
  size_t k = (size_t)in->c, n = (size_t)out->c, positions = (size_t)positions_of(layer->size);
  size_t packed_size = kernels->packed_size(in->c, out->c), bytes = positions * packed_size * sizeof(float);
  layer->tiles = tiles_in_block(in, out, (int64_t)positions);
  layer->packed = pmn_alloc_aligned(positions * packed_size + n, sizeof(float));
  layer->taps = pmn_alloc_aligned(TAPS * TAPS * k * n, sizeof(float));
  if (layer->packed == NULL || layer->taps == NULL) return pmn_err_memory(err, bytes, op->name);
  pack_taps(op, (size_t)panel, k, n, layer->taps);
  for (int32_t column = 0; column < out->c; column += panel) {
    const float *taps = layer->taps + TAPS * TAPS * k * (size_t)column;
    for (int32_t line = 0; line < side; line++) {
      float *u = layer->packed + (size_t)(line * side) * packed_size + (k + 1) * (size_t)column;
      transform_taps(transforms, taps, in->c, pmn_least(panel, out->c - column), side, line, u, packed_size);
    }
  }
  memcpy(layer->packed + positions * packed_size, op->bias, n * sizeof(float));
  layer->weight_bytes = bytes + n * sizeof(float);
  if (bytes <= FAR_BYTES || tiles_of(out, layer->size) > TILES_FEW) {
    pmn_free(layer->taps);
    layer->taps = NULL;
  }
  pmn_cpu_raise(&sizes->patches, positions * k);
  pmn_cpu_raise(&sizes->spectrum, positions * ((size_t)layer->tiles * k + STEP));
  pmn_cpu_raise(&sizes->products, positions * ((size_t)layer->tiles * n + STEP));
  if (layer->taps != NULL) pmn_cpu_raise(&sizes->line, (size_t)side * (k + 1) * (size_t)panel);
  return PMN_STATUS_OK;
}

/* Tiles are counted through the pictures. */
typedef struct tile_corner {
  int32_t picture, y, x; /* x and y of its first output */
} tile_corner;

static tile_corner find_tile(const pmn_tensor *out, int32_t size, int32_t index) {
  int32_t across = (out->w + size - 1) / size, down = (out->h + size - 1) / size;
  return (tile_corner){index / (across * down), index / across % down * size, index % across * size};
}

/* The first pixel of a tile's input: in the picture, or where the part of it that lies there is surrounded by zeros. */
static const float *tile_input(const pmn_op *op, const pmn_tensor *in, const float *x, const tile_corner *corner,
    int32_t side, float *patch, pmn_cpu_tile *tile) {
  int32_t top = corner->y - op->pad_top, left = corner->x - op->pad_left;
  size_t c = (size_t)in->c, row = (size_t)in->w * c, patch_row = (size_t)side * c;
  if (top >= 0 && left >= 0 && top + side <= in->h && left + side <= in->w) {
    tile->row = row;
    return x + (size_t)top * row + (size_t)left * c;
  }
  int32_t from = left < 0 ? -left : 0, to = in->w - left < side ? in->w - left : side;
  tile->row = patch_row;
  memset(patch, 0, (size_t)side * patch_row * sizeof *patch);
  for (int32_t i = 0; i < side; i++) {
    if (top + i < 0 || top + i >= in->h || from >= to) continue;
    memcpy(patch + (size_t)i * patch_row + (size_t)from * c, x + (size_t)(top + i) * row + (size_t)(left + from) * c,
        (size_t)(to - from) * c * sizeof *patch);
  }
  return patch;
}

/* One block of tiles at work: [positions][tiles, k] -> [positions][tiles, n]. */
typedef struct block {
  const pmn_cpu_layer *layer;
  const pmn_cpu_kernels *kernels;
  int32_t tiles, k, n;
  size_t in_step, out_step; /* from one position to the next */
  pmn_cpu_scratch *scratch;
} block;

static void multiply(const block *b, size_t position, int32_t column, int32_t n, const float *w, const float *ahead) {
  pmn_cpu_gemm gemm = {.m = b->tiles,
      .k = b->k,
      .n = n,
      .a = b->scratch->spectrum + position * b->in_step,
      .a_stride = (size_t)b->k,
      .w = w,
      .ahead = ahead,
      .y = b->scratch->products + position * b->out_step + (size_t)column,
      .y_stride = (size_t)b->n,
      .epilogue = {NULL, -INFINITY, INFINITY}};
  b->kernels->gemm(&gemm);
}

static void multiply_transformed(const block *b) {
  const float *packed = b->layer->packed;
  size_t positions = (size_t)positions_of(b->layer->size), size = b->kernels->packed_size(b->k, b->n);
  for (size_t p = 0; p < positions; p++) {
    multiply(b, p, 0, b->n, packed + p * size, packed + (p + 1 == positions ? 0 : p + 1) * size);
  }
}

/* Panel by panel of columns, line by line of positions: a line's weights are made and used in level 2, the same bits
 * that are kept. Meanwhile the next panel's taps come, a share with every position. */
static void multiply_taps(const block *b) {
  const pmn_cpu_layer *layer = b->layer;
  const pmn_cpu_transforms *transforms = &b->kernels->transforms[layer->size == 4];
  int32_t side = layer->size + 2, panel = b->kernels->panel;
  size_t positions = (size_t)(side * side);
  const float *taps = layer->taps;
  for (int32_t column = 0; column < b->n; column += panel) {
    int32_t width = pmn_least(panel, b->n - column);
    size_t size = (size_t)(TAPS * TAPS) * (size_t)b->k * (size_t)width, step = (size_t)(b->k + 1) * (size_t)width;
    const float *coming = column + panel < b->n ? taps + size : layer->taps;
    for (int32_t line = 0; line < side; line++) {
      float *u = b->scratch->line;
      transform_taps(transforms, taps, b->k, width, side, line, u, step);
      for (int32_t i = 0; i < side; i++, u += step) {
        size_t position = (size_t)(line * side + i);
        multiply(b, position, column, width, u, coming + size / positions * position);
      }
    }
    taps += size;
  }
}

static void put_block(const block *b, const pmn_tensor *out, int32_t first, const pmn_cpu_operands *operands) {
  const pmn_cpu_layer *layer = b->layer;
  const pmn_cpu_transforms *transforms = &b->kernels->transforms[layer->size == 4];
  size_t n = (size_t)b->n;
  const float *bias = layer->packed + (size_t)positions_of(layer->size) * b->kernels->packed_size(b->k, b->n);
  pmn_cpu_tile tile = {.c = b->n, .row = (size_t)out->w * n, .pixel = n, .position = b->out_step};
  for (int32_t t = 0; t < b->tiles; t++) {
    tile_corner corner = find_tile(out, layer->size, first + t);
    const pmn_cpu_operands *o = &operands[corner.picture];
    int32_t rows = pmn_least(out->h - corner.y, layer->size), columns = pmn_least(out->w - corner.x, layer->size);
    size_t at = ((size_t)corner.y * (size_t)out->w + (size_t)corner.x) * n;
    pmn_cpu_epilogue epilogue = pmn_cpu_epilogue_of(&layer->op, o->residual == NULL ? NULL : o->residual + at);
    tile.x = b->scratch->products + (size_t)t * n;
    transforms->output_tile(&tile, bias, rows, columns, o->y + at, &epilogue);
  }
}

void pmn_cpu_winograd_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  const pmn_cpu_transforms *transforms = &kernels->transforms[layer->size == 4];
  int32_t tiles = count * tiles_of(out, layer->size);
  size_t k = (size_t)in->c;
  block b = {.layer = layer, .kernels = kernels, .k = in->c, .n = out->c, .scratch = scratch};
  for (int32_t first = 0; first < tiles; first += layer->tiles) {
    b.tiles = pmn_least(layer->tiles, tiles - first);
    b.in_step = (size_t)b.tiles * k + STEP;
    b.out_step = (size_t)b.tiles * (size_t)out->c + STEP;
    pmn_cpu_tile tile = {.c = in->c, .pixel = k, .position = b.in_step};
    for (int32_t t = 0; t < b.tiles; t++) {
      tile_corner corner = find_tile(out, layer->size, first + t);
      tile.x = tile_input(op, in, operands[corner.picture].x, &corner, layer->size + 2, scratch->patches, &tile);
      transforms->input_tile(&tile, scratch->spectrum + (size_t)t * k);
    }
    if (layer->taps != NULL && b.tiles <= TILES_FEW)
      multiply_taps(&b);
    else
      multiply_transformed(&b);
    put_block(&b, out, first, operands);
  }
  for (int32_t i = 0; i < count && op->activation != PMN_ACTIVATION_NONE; i++) {
    kernels->pixel->activate(op, operands[i].y, pmn_tensor_size(out));
  }
}
