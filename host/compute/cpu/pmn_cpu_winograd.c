/* pmn_cpu_winograd.c - see pmn_cpu_winograd.h.
 *
 *   for each block of tiles
 *     every tile: B' d B                                     -> `spectrum` [36][tiles, in]
 *     every position: [tiles, in] [in, out]                  -> `products` [36][tiles, out]
 *     every tile: A' [...] A, bias, residual, clamp          -> y
 *
 * A block has as many tiles as make the transformed weights worth their way from memory, and no more than keep both
 * arrays in level-2 cache where the weights stay there too.
 */
#include "pmn_cpu_winograd.h"

#include "pmn_cpu_layers.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

enum { TILE = PMN_WINOGRAD_TILE, SIDE = PMN_WINOGRAD_SIDE, POSITIONS = PMN_WINOGRAD_POSITIONS };

/* Between positions, so that a tile's 36 values do not all want the same set of the level-1 cache. */
enum { STEP = 16 };

static const double g_matrix[SIDE][3] = {{1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6}, {-1.0 / 6, 1.0 / 6, -1.0 / 6},
    {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}};

static int32_t tiles_of(const pmn_tensor *out) {
  return ((out->h + TILE - 1) / TILE) * ((out->w + TILE - 1) / TILE);
}

/* Channels fill whole vectors of every instruction set, and products are at most half of the direct ones: tiles reach
 * over the edge of small pictures. */
bool pmn_cpu_winograd_matches(const pmn_program *program, const pmn_op *op) {
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  return op->kind == PMN_OP_CONV2D && op->kernel_h == 3 && op->kernel_w == 3 && op->stride_h == 1 &&
         op->stride_w == 1 && op->dilation_h == 1 && op->dilation_w == 1 && op->groups == 1 &&
         in->c % PMN_CPU_SLACK == 0 && out->c % PMN_CPU_SLACK == 0 &&
         (int64_t)2 * POSITIONS * tiles_of(out) <= (int64_t)9 * out->h * out->w;
}

/* The larger the weights, the more tiles are to share their way from memory. */
static int32_t tiles_in_block(const pmn_tensor *in, const pmn_tensor *out) {
  enum { BYTES_LEAST = 384 * 1024, TILES_MAX = 256, UNIT = 8 };
  int64_t tile_bytes = POSITIONS * 4 * ((int64_t)in->c + out->c);
  int64_t bytes = POSITIONS * 4 * (int64_t)in->c * out->c / 4;
  if (bytes < BYTES_LEAST) bytes = BYTES_LEAST;
  int64_t tiles = bytes / tile_bytes / UNIT * UNIT;
  return tiles < UNIT ? UNIT : tiles > TILES_MAX ? TILES_MAX : (int32_t)tiles;
}

/* G g G' of one pair of channels; steps of the taps in floats. */
static void transform_taps(const float *g, size_t step, double u[SIDE][SIDE]) {
  double half[SIDE][3];
  for (int i = 0; i < SIDE; i++) {
    for (int s = 0; s < 3; s++) {
      half[i][s] = 0;
      for (int r = 0; r < 3; r++) half[i][s] += g_matrix[i][r] * (double)g[(size_t)(3 * r + s) * step];
    }
  }
  for (int i = 0; i < SIDE; i++) {
    for (int j = 0; j < SIDE; j++) {
      u[i][j] = 0;
      for (int s = 0; s < 3; s++) u[i][j] += half[i][s] * g_matrix[j][s];
    }
  }
}

pmn_status pmn_cpu_winograd_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  size_t k = (size_t)in->c, n = (size_t)out->c, packed_size = kernels->packed_size(in->c, out->c);
  float *spectrum = pmn_alloc(POSITIONS * k * n, sizeof *spectrum), *zeros = pmn_calloc(n, sizeof *zeros);
  layer->packed = pmn_alloc_aligned(POSITIONS * packed_size + n, sizeof(float));
  if (spectrum == NULL || zeros == NULL || layer->packed == NULL) {
    st = pmn_err_memory(err, POSITIONS * k * n * sizeof *spectrum, op->name);
    goto done;
  }
  for (size_t i = 0; i < k * n; i++) {
    double u[SIDE][SIDE];
    transform_taps(op->weights + i, k * n, u);
    for (size_t p = 0; p < POSITIONS; p++) spectrum[p * k * n + i] = (float)u[p / SIDE][p % SIDE];
  }
  for (size_t p = 0; p < POSITIONS; p++) {
    kernels->pack_weights(spectrum + p * k * n, zeros, in->c, out->c, layer->packed + p * packed_size);
  }
  memcpy(layer->packed + POSITIONS * packed_size, op->bias, n * sizeof(float));
  layer->form = PMN_CPU_WINOGRAD;
  layer->weight_bytes = (POSITIONS * packed_size + n) * sizeof(float);
  layer->tiles = tiles_in_block(in, out);
  pmn_cpu_raise(&sizes->patches, SIDE * SIDE * k);
  pmn_cpu_raise(&sizes->spectrum, POSITIONS * ((size_t)layer->tiles * k + STEP));
  pmn_cpu_raise(&sizes->products, POSITIONS * ((size_t)layer->tiles * n + STEP));
done:
  pmn_free(spectrum);
  pmn_free(zeros);
  return st;
}

/* The first pixel of a tile's input: in the picture, or where the part of it that lies there is surrounded by zeros. */
static const float *tile_input(const pmn_op *op, const pmn_tensor *in, const float *x, int32_t tile_y, int32_t tile_x,
    float *patch, pmn_cpu_tile *tile) {
  int32_t top = tile_y * TILE - op->pad_top, left = tile_x * TILE - op->pad_left;
  size_t c = (size_t)in->c, row = (size_t)in->w * c;
  if (top >= 0 && left >= 0 && top + SIDE <= in->h && left + SIDE <= in->w) {
    tile->row = row;
    return x + (size_t)top * row + (size_t)left * c;
  }
  int32_t from = left < 0 ? -left : 0, to = in->w - left < SIDE ? in->w - left : SIDE;
  tile->row = SIDE * c;
  memset(patch, 0, SIDE * SIDE * c * sizeof *patch);
  for (int32_t i = 0; i < SIDE; i++) {
    if (top + i < 0 || top + i >= in->h || from >= to) continue;
    memcpy(patch + ((size_t)(i * SIDE + from)) * c, x + (size_t)(top + i) * row + (size_t)(left + from) * c,
        (size_t)(to - from) * c * sizeof *patch);
  }
  return patch;
}

/* Tiles are counted through the pictures. */
typedef struct tile_place {
  int32_t picture, y, x; /* in tiles */
} tile_place;

static tile_place find_tile(const pmn_tensor *out, int32_t index) {
  int32_t across = (out->w + TILE - 1) / TILE, down = (out->h + TILE - 1) / TILE;
  return (tile_place){index / (across * down), index / across % down, index % across};
}

void pmn_cpu_winograd_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  int32_t tiles = count * tiles_of(out);
  size_t k = (size_t)in->c, n = (size_t)out->c, packed_size = kernels->packed_size(in->c, out->c);
  for (int32_t first = 0; first < tiles; first += layer->tiles) {
    int32_t block = tiles - first < layer->tiles ? tiles - first : layer->tiles;
    pmn_cpu_tile tile = {.c = in->c, .pixel = k, .position = (size_t)block * k + STEP};
    for (int32_t t = 0; t < block; t++) {
      tile_place at = find_tile(out, first + t);
      tile.x = tile_input(op, in, operands[at.picture].x, at.y, at.x, scratch->patches, &tile);
      kernels->transforms->input_tile(&tile, scratch->spectrum + (size_t)t * k);
    }
    size_t position = (size_t)block * n + STEP;
    for (size_t p = 0; p < POSITIONS; p++) {
      pmn_cpu_gemm gemm = {.m = block,
          .k = in->c,
          .n = out->c,
          .a = scratch->spectrum + p * tile.position,
          .a_stride = k,
          .w = layer->packed + p * packed_size,
          .y = scratch->products + p * position,
          .y_stride = n,
          .epilogue = {NULL, -INFINITY, INFINITY}};
      kernels->gemm(&gemm);
    }
    tile = (pmn_cpu_tile){.c = out->c, .row = (size_t)out->w * n, .pixel = n, .position = position};
    for (int32_t t = 0; t < block; t++) {
      tile_place place = find_tile(out, first + t);
      const pmn_cpu_operands *o = &operands[place.picture];
      int32_t y = place.y * TILE, x = place.x * TILE;
      int32_t rows = out->h - y < TILE ? out->h - y : TILE, columns = out->w - x < TILE ? out->w - x : TILE;
      size_t at = ((size_t)y * (size_t)out->w + (size_t)x) * n;
      pmn_cpu_epilogue epilogue = pmn_cpu_epilogue_of(op, o->residual == NULL ? NULL : o->residual + at);
      tile.x = scratch->products + (size_t)t * n;
      kernels->transforms->output_tile(
          &tile, layer->packed + POSITIONS * packed_size, rows, columns, o->y + at, &epilogue);
    }
  }
  for (int32_t i = 0; i < count && op->activation != PMN_ACTIVATION_NONE; i++) {
    kernels->pixel->activate(op, operands[i].y, pmn_tensor_size(out));
  }
}
