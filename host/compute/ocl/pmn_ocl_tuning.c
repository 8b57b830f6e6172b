/* pmn_ocl_tuning.c - the tunings there are, and the rule that gives a layer one. See pmn_ocl_tuning.h.
 *
 * The rule was reasoned, and measured on processors only: no GPU has run it yet. Tiles are of 64 x 64, but
 *   - panels are narrower where much of them would be padding: in layers of few channels;
 *   - a work-item sums 8 x 8 outputs where that leaves eight groups for each unit of the device. Of local memory it
 * then reads 4 vectors for 64 products, with 4 x 4 outputs 2 for 16, about as many as a unit of NVIDIA's delivers while
 * it multiplies; but it takes twice the registers, and a quarter of the work-items;
 *   - tiles are halved where there would be fewer than two groups for each unit, of which one computes while the other
 * waits for memory, and where the device cannot run groups so large. There are few sizes, because each
 * is a program that a driver compiles when a network first needs it.
 */
#include "pmn_ocl_tuning.h"

#include <stdio.h>
#include <string.h>

enum { ROW = 1 << 20 }; /* columns: a whole row, however wide */

/* {TILE_M, TILE_N, TILE_K, ITEM_M, ITEM_N}. The work-items of a group, (M / ITEM_M) * (N / ITEM_N), are a multiple of
 * TILE_K, and a work-item fetches a whole number of rows of a step. */
static const pmn_ocl_tuning tile_table[] = {
    {{64, 64, 16, 4, 4}},
    {{64, 64, 32, 4, 4}},
    {{64, 64, 16, 8, 4}},
    {{64, 64, 16, 8, 8}},
    {{64, 64, 8, 8, 8}},
    {{128, 64, 16, 8, 4}},
    {{128, 64, 8, 8, 8}},
    {{128, 128, 16, 8, 8}},
    {{128, 128, 8, 8, 8}},
    {{64, 128, 16, 4, 8}},
    {{32, 128, 16, 4, 8}},
    {{128, 32, 16, 8, 4}},
    {{128, 32, 8, 8, 4}},
    {{64, 32, 16, 4, 4}},
    {{64, 32, 32, 4, 4}},
    {{64, 32, 8, 8, 4}},
    {{32, 64, 16, 4, 4}},
    {{32, 64, 32, 4, 4}},
    {{32, 32, 16, 4, 4}},
    {{32, 32, 32, 4, 4}},
    {{16, 64, 16, 4, 4}},
    {{256, 16, 8, 8, 4}},
    {{128, 16, 16, 4, 4}},
    {{64, 16, 16, 4, 4}},
    {{32, 16, 16, 4, 4}},
};

/* {TILE_M, TILE_N, TILE_K, WARPS_M, WARPS_N} */
static const pmn_ocl_tuning tensor_table[] = {
    {{128, 128, 32, 2, 2}},
    {{256, 64, 32, 4, 1}},
    {{128, 64, 32, 2, 2}},
    {{128, 64, 16, 2, 2}},
    {{64, 128, 32, 2, 2}},
    {{64, 64, 64, 2, 2}},
    {{64, 64, 32, 2, 2}},
    {{128, 32, 32, 4, 1}},
    {{64, 32, 32, 4, 1}},
    {{32, 64, 32, 1, 4}},
};

/* {PIXELS, BLOCKS} */
#define BLOCKS(pixels)                                                                                                 \
  {{pixels, 1}}, {{pixels, 4}}, {                                                                                      \
    { pixels, 16 }                                                                                                     \
  }
static const pmn_ocl_tuning vector_table[] = {BLOCKS(1), BLOCKS(2), BLOCKS(4), BLOCKS(6), BLOCKS(8), BLOCKS(12)};

/* {VECTOR, COLUMNS, LOCAL} */
#define LOCALS(vector, columns)                                                                                        \
  {{vector, columns, 32}}, {{vector, columns, 64}}, {                                                                  \
    { vector, columns, 128 }                                                                                           \
  }
static const pmn_ocl_tuning depthwise_tile_table[] = {LOCALS(2, 1), LOCALS(2, 2), LOCALS(2, 4), LOCALS(4, 1),
    LOCALS(4, 2), LOCALS(4, 4), LOCALS(8, 1), LOCALS(8, 2), LOCALS(8, 4)};
#define COLUMNS(vector)                                                                                                \
  {{vector, 1, 1}}, {{vector, 2, 1}}, {{vector, 4, 1}}, {{vector, 8, 1}}, {                                            \
    { vector, ROW, 1 }                                                                                                 \
  }
static const pmn_ocl_tuning depthwise_vector_table[] = {COLUMNS(4), COLUMNS(8), COLUMNS(16)};

/* The tunings of a kernel. */
typedef struct space {
  const char *macros[PMN_OCL_TUNABLES], *names[PMN_OCL_TUNABLES]; /* NULL: the kernel has fewer */
  const pmn_ocl_tuning *table;
  size_t count;
} space;
#define TABLE(table) table, sizeof table / sizeof table[0]
#define DEPTHWISE                                                                                                      \
  {"VECTOR", "COLUMNS", "LOCAL"}, {                                                                                    \
    "channels", ", columns", ", group"                                                                                 \
  }
static const space tile_space = {{"TILE_M", "TILE_N", "TILE_K", "ITEM_M", "ITEM_N"}, {"tile", "x", "x", ", item", "x"},
                       TABLE(tile_table)},
                   tensor_space = {{"TILE_M", "TILE_N", "TILE_K", "WARPS_M", "WARPS_N"},
                       {"tile", "x", "x", ", warps", "x"}, TABLE(tensor_table)},
                   vector_space = {{"PIXELS", "BLOCKS"}, {"pixels", ", blocks"}, TABLE(vector_table)},
                   depthwise_tile_space = {DEPTHWISE, TABLE(depthwise_tile_table)},
                   depthwise_vector_space = {DEPTHWISE, TABLE(depthwise_vector_table)};

static const space *space_of(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel) {
  bool tiled = device->family->tiled;
  if (kernel == PMN_OCL_DEPTHWISE_CONV2D) return tiled ? &depthwise_tile_space : &depthwise_vector_space;
  if (kernel == PMN_OCL_CONV2D_TENSOR) return &tensor_space;
  return tiled ? &tile_space : &vector_space;
}

bool pmn_ocl_kernel_tunes(pmn_ocl_kernel_id kernel) {
  return kernel == PMN_OCL_CONV2D || kernel == PMN_OCL_CONV2D_BYTES || kernel == PMN_OCL_CONV2D_TENSOR ||
         kernel == PMN_OCL_DEPTHWISE_CONV2D;
}

/* ----------------------------------------------------------------------------------------------------- shapes -- */

pmn_ocl_shape pmn_ocl_shape_of(const pmn_ocl_layer *l) {
  const pmn_op *op = l->op;
  return (pmn_ocl_shape){
      {(int32_t)l->kernel, (int32_t)op->activation, l->in->h, l->in->w, l->in->c, l->out->h, l->out->w, l->out->c,
          op->kernel_h, op->kernel_w, op->stride_h, op->stride_w, op->dilation_h, op->dilation_w, op->groups}};
}

void pmn_ocl_shape_print(const pmn_ocl_layer *l, char *text, size_t size) {
  const pmn_op *op = l->op;
  char extra[96] = "";
  int used = 0;
  if (op->dilation_h > 1 || op->dilation_w > 1)
    used += snprintf(extra, sizeof extra, ", dilation %dx%d", op->dilation_h, op->dilation_w);
  if (op->groups > 1) used += snprintf(extra + used, sizeof extra - (size_t)used, ", groups %d", op->groups);
  if (l->kernel == PMN_OCL_CONV2D_BYTES) snprintf(extra + used, sizeof extra - (size_t)used, ", bytes");
  snprintf(text, size, "%s%dx%d/%d %dx%dx%d -> %dx%dx%d%s", l->kernel == PMN_OCL_DEPTHWISE_CONV2D ? "depthwise " : "",
      op->kernel_h, op->kernel_w, op->stride_h, l->in->h, l->in->w, l->in->c, l->out->h, l->out->w, l->out->c, extra);
}

/* ---------------------------------------------------------------------------------------------------- tunings -- */

const pmn_ocl_tuning *pmn_ocl_tuning_table(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, size_t *count) {
  const space *s = space_of(device, kernel);
  *count = s->count;
  return s->table;
}

void pmn_ocl_tuning_local(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning,
    size_t local[2], size_t *bytes) {
  const int32_t *v = tuning->values;
  local[0] = local[1] = 1;
  *bytes = 0;
  if (kernel == PMN_OCL_DEPTHWISE_CONV2D) {
    local[0] = (size_t)v[PMN_OCL_LOCAL];
  } else if (kernel == PMN_OCL_CONV2D_TENSOR) {
    enum { WARP = 32, PAIR = 2 * sizeof(cl_half), FRAGMENTS = 6 }; /* pairs of an item, shown to others without PTX */
    local[0] = (size_t)(WARP * v[PMN_OCL_WARPS_M] * v[PMN_OCL_WARPS_N]);
    *bytes = PAIR * (size_t)(v[PMN_OCL_TILE_M] * (v[PMN_OCL_TILE_K] / 2 + 4) +
                             v[PMN_OCL_TILE_K] / 2 * (v[PMN_OCL_TILE_N] + 8));
    if (!device->ptx) *bytes += PAIR * FRAGMENTS * local[0];
  } else if (device->family->tiled) {
    local[0] = (size_t)(v[PMN_OCL_TILE_N] / v[PMN_OCL_ITEM_N]);
    local[1] = (size_t)(v[PMN_OCL_TILE_M] / v[PMN_OCL_ITEM_M]);
    *bytes = (size_t)v[PMN_OCL_TILE_K] * (size_t)(v[PMN_OCL_TILE_M] + 4 + v[PMN_OCL_TILE_N]) * sizeof(float);
  }
}

bool pmn_ocl_tuning_fits(const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning) {
  size_t local[2], bytes;
  pmn_ocl_tuning_local(device, kernel, tuning, local, &bytes);
  return local[0] * local[1] <= device->group_max && local[0] <= device->local_max[0] &&
         local[1] <= device->local_max[1] && bytes <= device->local_bytes;
}

bool pmn_ocl_tuning_same(const pmn_ocl_tuning *a, const pmn_ocl_tuning *b) {
  return memcmp(a->values, b->values, sizeof a->values) == 0;
}

/* What the kernels for GPUs know of a layer when they are compiled. */
static void shape_options(const pmn_ocl_device *device, const pmn_ocl_layer *l, char *text, size_t size) {
  const pmn_op *op = l->op;
  bool bytes = l->kernel == PMN_OCL_CONV2D_BYTES;
  bool aligned = l->out->c / op->groups % 4 == 0 && (bytes || l->in->c / op->groups % 4 == 0);
  if (l->kernel == PMN_OCL_DEPTHWISE_CONV2D) {
    snprintf(text, size, " -DPMN_KERNEL_H=%d -DPMN_KERNEL_W=%d -DPMN_STRIDE_W=%d -DPMN_DILATION_W=%d", op->kernel_h,
        op->kernel_w, op->stride_w, op->dilation_w);
  } else if (l->kernel == PMN_OCL_CONV2D_TENSOR) {
    snprintf(text, size, " -DPMN_PTX=%d", device->ptx);
  } else {
    snprintf(text, size, " -DPMN_ALIGNED=%d", aligned);
  }
}

void pmn_ocl_tuning_options(
    const pmn_ocl_device *device, const pmn_ocl_layer *layer, const pmn_ocl_tuning *tuning, char *text, size_t size) {
  const space *s = space_of(device, layer->kernel);
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < PMN_OCL_TUNABLES && s->macros[i] != NULL && used < size; i++)
    used += (size_t)snprintf(text + used, size - used, " -DPMN_%s=%d", s->macros[i], tuning->values[i]);
  if (device->family->tiled && used < size) shape_options(device, layer, text + used, size - used);
}

void pmn_ocl_tuning_adapt(const pmn_ocl_device *device, const pmn_ocl_layer *layer, pmn_ocl_tuning *tuning) {
  if (!device->family->tiled || layer->kernel != PMN_OCL_DEPTHWISE_CONV2D) return;
  while (layer->in->c % tuning->values[PMN_OCL_VECTOR] != 0) tuning->values[PMN_OCL_VECTOR] /= 2;
}

void pmn_ocl_tuning_print(
    const pmn_ocl_device *device, pmn_ocl_kernel_id kernel, const pmn_ocl_tuning *tuning, char *text, size_t size) {
  const space *s = space_of(device, kernel);
  size_t used = 0;
  text[0] = '\0';
  for (int i = 0; i < PMN_OCL_TUNABLES && s->names[i] != NULL && used < size; i++) {
    bool by = strcmp(s->names[i], "x") == 0;
    if (tuning->values[i] == ROW)
      used += (size_t)snprintf(text + used, size - used, "%s all", s->names[i]);
    else
      used += (size_t)snprintf(text + used, size - used, "%s%s%d", s->names[i], by ? "" : " ", tuning->values[i]);
  }
}

/* ------------------------------------------------------------------------------------------------------- rule -- */

static int64_t groups_needed(int64_t units, int64_t group) {
  return (units + group - 1) / group;
}

/* Halves a panel of 64 down to 16 while that saves at least a quarter of the channels that are computed. */
static int32_t panel_rule(int64_t channels) {
  int32_t panel = 64;
  while (panel > 16) {
    int64_t computed = groups_needed(channels, panel) * panel, halved = groups_needed(channels, panel / 2) * panel / 2;
    if (halved * 4 > computed * 3) break;
    panel /= 2;
  }
  return panel;
}

static pmn_ocl_tuning tile_rule(const pmn_ocl_device *device, const pmn_ocl_layer *l) {
  int64_t rows = (int64_t)l->n * l->out->h * l->out->w, channels = l->out->c / l->op->groups;
  int64_t units = device->base.info.compute_units;
  int32_t panel = panel_rule(channels);
  const pmn_ocl_tuning largest = panel == 64   ? (pmn_ocl_tuning){{64, 64, 8, 8, 8}}
                                 : panel == 32 ? (pmn_ocl_tuning){{128, 32, 16, 8, 4}}
                                               : (pmn_ocl_tuning){{128, 16, 16, 4, 4}};
  const pmn_ocl_tuning large = {{64, panel, 16, 4, 4}}, small = {{32, panel < 32 ? panel : 32, 16, 4, 4}};
  int64_t panels = groups_needed(channels, panel) * l->op->groups;
  int64_t groups = groups_needed(rows, 64) * panels;
  int64_t largest_groups = groups_needed(rows, largest.values[PMN_OCL_TILE_M]) * panels;
  if (largest_groups >= 8 * units && pmn_ocl_tuning_fits(device, l->kernel, &largest)) return largest;
  return groups >= 2 * units && pmn_ocl_tuning_fits(device, l->kernel, &large) ? large : small;
}

/* A warp of the large tile multiplies 64 x 32, and loads 24 vectors of registers for 16 instructions. */
static pmn_ocl_tuning tensor_rule(const pmn_ocl_device *device, const pmn_ocl_layer *l) {
  int64_t rows = (int64_t)l->n * l->out->h * l->out->w, channels = l->out->c / l->op->groups;
  bool narrow = panel_rule(channels) < 64;
  int64_t panels = groups_needed(channels, narrow ? 32 : 64) * l->op->groups;
  bool busy = groups_needed(rows, 128) * panels >= 4 * (int64_t)device->base.info.compute_units;
  if (narrow) return busy ? (pmn_ocl_tuning){{128, 32, 32, 4, 1}} : (pmn_ocl_tuning){{64, 32, 32, 4, 1}};
  return busy ? (pmn_ocl_tuning){{128, 64, 32, 2, 2}} : (pmn_ocl_tuning){{64, 64, 32, 2, 2}};
}

/* Six pixels share a load of weights: as many as AVX2 has registers for. Of a dense layer's one pixel six would be the
 * same one, six times. */
static pmn_ocl_tuning vector_rule(const pmn_ocl_layer *l) {
  return l->out->h * l->out->w == 1 ? (pmn_ocl_tuning){{1, 1}} : (pmn_ocl_tuning){{6, 4}};
}

static pmn_ocl_tuning depthwise_rule(const pmn_ocl_device *device, const pmn_ocl_layer *l) {
  if (!device->family->tiled) return (pmn_ocl_tuning){{16, ROW, 1}};
  pmn_ocl_tuning t = {{4, 4, 64}};
  while (t.values[PMN_OCL_LOCAL] > 1 && !pmn_ocl_tuning_fits(device, l->kernel, &t)) t.values[PMN_OCL_LOCAL] /= 2;
  return t;
}

pmn_ocl_tuning pmn_ocl_tuning_rule(const pmn_ocl_device *device, const pmn_ocl_layer *layer) {
  if (layer->kernel == PMN_OCL_DEPTHWISE_CONV2D) return depthwise_rule(device, layer);
  if (layer->kernel == PMN_OCL_CONV2D_TENSOR) return tensor_rule(device, layer);
  return device->family->tiled ? tile_rule(device, layer) : vector_rule(layer);
}

pmn_ocl_tuning pmn_ocl_tuning_choose(const pmn_ocl_device *device, const pmn_ocl_layer *layer) {
  pmn_ocl_shape shape = pmn_ocl_shape_of(layer);
  const pmn_ocl_tuning *tuned = pmn_ocl_tuned_find(device, &shape);
  return tuned != NULL ? *tuned : pmn_ocl_tuning_rule(device, layer);
}
