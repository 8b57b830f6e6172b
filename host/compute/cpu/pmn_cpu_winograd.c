/* pmn_cpu_winograd.c - see pmn_cpu_winograd.h.
 *
 *   for each block of tiles
 *     every tile: B' d B                                     -> `spectrum` [positions][tiles, in]
 *     every position: [tiles, in] [in, out]                  -> `products` [positions][tiles, out]
 *     every tile: A' [...] A, bias, residual, clamp          -> y
 *
 * A block has as many tiles as make the transformed weights worth their way from memory, and no more than keep both
 * arrays in level-2 cache where the weights stay there too.
 */
#include "pmn_cpu_winograd.h"

#include "pmn_cpu_layers.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>
#include <string.h>

enum { SIDE_MAX = PMN_WINOGRAD_SIZE_MAX + 2, TAPS = 3 };

/* Between positions, so that a tile's values do not all want the same set of the level-1 cache. */
enum { STEP = 16 };

static const double g_matrix_2[][TAPS] = {
    {1, 0, 0}, {1.0 / 2, 1.0 / 2, 1.0 / 2}, {1.0 / 2, -1.0 / 2, 1.0 / 2}, {0, 0, 1}};
static const double g_matrix_4[][TAPS] = {{1.0 / 4, 0, 0}, {-1.0 / 6, -1.0 / 6, -1.0 / 6},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6}, {1.0 / 24, 1.0 / 12, 1.0 / 6}, {1.0 / 24, -1.0 / 12, 1.0 / 6}, {0, 0, 1}};

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

/* G g G' of one pair of channels, u [side, side]; steps of the taps in floats. */
static void transform_taps(const float *g, size_t step, int32_t side, double *u) {
  const double(*matrix)[TAPS] = side == SIDE_MAX ? g_matrix_4 : g_matrix_2;
  double half[SIDE_MAX][TAPS];
  for (int i = 0; i < side; i++) {
    for (int s = 0; s < TAPS; s++) {
      half[i][s] = 0;
      for (int r = 0; r < TAPS; r++) half[i][s] += matrix[i][r] * (double)g[(size_t)(TAPS * r + s) * step];
    }
  }
  for (int i = 0; i < side; i++) {
    for (int j = 0; j < side; j++) {
      u[i * side + j] = 0;
      for (int s = 0; s < TAPS; s++) u[i * side + j] += half[i][s] * matrix[j][s];
    }
  }
}

pmn_status pmn_cpu_winograd_init(pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_program *program,
    pmn_slab *slab, pmn_cpu_scratch_sizes *sizes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_op *op = &layer->op;
  const pmn_tensor *in = &program->tensors[op->input], *out = &program->tensors[op->output];
  size_t k = (size_t)in->c, n = (size_t)out->c, packed_size = kernels->packed_size(in->c, out->c);
  int32_t size = size_for(out);
  size_t positions = (size_t)positions_of(size);
  float *spectrum = pmn_alloc(positions * k * n, sizeof *spectrum), *zeros = pmn_calloc(n, sizeof *zeros);
  layer->packed = pmn_slab_alloc(slab, positions * packed_size + n, sizeof(float));
  if (spectrum == NULL || zeros == NULL || layer->packed == NULL) {
    st = pmn_err_memory(err, positions * k * n * sizeof *spectrum, op->name);
    goto done;
  }
  for (size_t i = 0; i < k * n; i++) {
    double u[SIDE_MAX * SIDE_MAX];
    transform_taps(op->weights + i, k * n, size + 2, u);
    for (size_t p = 0; p < positions; p++) spectrum[p * k * n + i] = (float)u[p];
  }
  for (size_t p = 0; p < positions; p++) {
    kernels->pack_weights(spectrum + p * k * n, zeros, in->c, out->c, layer->packed + p * packed_size);
  }
  memcpy(layer->packed + positions * packed_size, op->bias, n * sizeof(float));
  layer->form = PMN_CPU_WINOGRAD;
  layer->weight_bytes = (positions * packed_size + n) * sizeof(float);
  layer->size = size;
  layer->tiles = tiles_in_block(in, out, (int64_t)positions);
  pmn_cpu_raise(&sizes->patches, positions * k);
  pmn_cpu_raise(&sizes->spectrum, positions * ((size_t)layer->tiles * k + STEP));
  pmn_cpu_raise(&sizes->products, positions * ((size_t)layer->tiles * n + STEP));
done:
  pmn_free(spectrum);
  pmn_free(zeros);
  return st;
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

void pmn_cpu_winograd_run(const pmn_cpu_layer *layer, const pmn_cpu_kernels *kernels, const pmn_tensor *in,
    const pmn_tensor *out, const pmn_cpu_operands *operands, int32_t count, pmn_cpu_scratch *scratch) {
  const pmn_op *op = &layer->op;
  const pmn_cpu_transforms *transforms = &kernels->transforms[layer->size == 4];
  int32_t size = layer->size, tiles = count * tiles_of(out, size);
  size_t positions = (size_t)positions_of(size);
  size_t k = (size_t)in->c, n = (size_t)out->c, packed_size = kernels->packed_size(in->c, out->c);
  for (int32_t first = 0; first < tiles; first += layer->tiles) {
    int32_t block = pmn_least(layer->tiles, tiles - first);
    pmn_cpu_tile tile = {.c = in->c, .pixel = k, .position = (size_t)block * k + STEP};
    for (int32_t t = 0; t < block; t++) {
      tile_corner corner = find_tile(out, size, first + t);
      tile.x = tile_input(op, in, operands[corner.picture].x, &corner, size + 2, scratch->patches, &tile);
      transforms->input_tile(&tile, scratch->spectrum + (size_t)t * k);
    }
    size_t position = (size_t)block * n + STEP;
    for (size_t p = 0; p < positions; p++) {
      pmn_cpu_gemm gemm = {.m = block,
          .k = in->c,
          .n = out->c,
          .a = scratch->spectrum + p * tile.position,
          .a_stride = k,
          .w = layer->packed + p * packed_size,
          .ahead = layer->packed + (p + 1 == positions ? 0 : p + 1) * packed_size,
          .y = scratch->products + p * position,
          .y_stride = n,
          .epilogue = {NULL, -INFINITY, INFINITY}};
      kernels->gemm(&gemm);
    }
    tile = (pmn_cpu_tile){.c = out->c, .row = (size_t)out->w * n, .pixel = n, .position = position};
    for (int32_t t = 0; t < block; t++) {
      tile_corner corner = find_tile(out, size, first + t);
      const pmn_cpu_operands *o = &operands[corner.picture];
      int32_t rows = pmn_least(out->h - corner.y, size), columns = pmn_least(out->w - corner.x, size);
      size_t at = ((size_t)corner.y * (size_t)out->w + (size_t)corner.x) * n;
      pmn_cpu_epilogue epilogue = pmn_cpu_epilogue_of(op, o->residual == NULL ? NULL : o->residual + at);
      tile.x = scratch->products + (size_t)t * n;
      transforms->output_tile(&tile, layer->packed + positions * packed_size, rows, columns, o->y + at, &epilogue);
    }
  }
  for (int32_t i = 0; i < count && op->activation != PMN_ACTIVATION_NONE; i++) {
    kernels->pixel->activate(op, operands[i].y, pmn_tensor_size(out));
  }
}
