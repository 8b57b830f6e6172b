/* pmn_sift_loops.h - SIFT's inner loops on plain arrays, compiled once per instruction set; inside vision only.
 *
 * No sum depends on the width of a vector and nothing is fused, so every set gives the same bits.
 */
#ifndef PMN_SIFT_LOOPS_H
#define PMN_SIFT_LOOPS_H

#include <stddef.h>
#include <stdint.h>

enum {
  PMN_SIFT_VECTOR = 16, /* floats in the widest vector: what rows are padded to, and loops may read and write beyond */
  PMN_SIFT_BLUR_MAX = 13, /* values to each side that a blur weighs */
  PMN_SIFT_ROW_MAX = 96,  /* a row of a patch: 77 values at most, padded */
  PMN_SIFT_SPAN = 64,     /* columns of a row in which extremes are looked for at once */
  PMN_SIFT_CELLS = 4,     /* cells of a descriptor each way, */
  PMN_SIFT_TURNS = 8,     /* directions of a cell; with a ring of cells around and the first direction once more: */
  PMN_SIFT_BINS = (PMN_SIFT_CELLS + 2) * (PMN_SIFT_CELLS + 2) * (PMN_SIFT_TURNS + 1)
};

/* float at[height][stride], of which width count; what is beyond them is any number. */
typedef struct pmn_sift_plane {
  int32_t width, height, stride;
  float *at; /* 64-byte aligned; stride is an odd multiple of PMN_SIFT_VECTOR */
} pmn_sift_plane;

/* weights[0] in the middle, weights[k] at k to either side; 0 < k <= radius. */
typedef struct pmn_sift_blur {
  int32_t radius;
  float weights[PMN_SIFT_BLUR_MAX + 1];
} pmn_sift_blur;

/* Cell coordinates of value k of a row of a patch: column + (first + k) * column_step, row + (first + k) * row_step;
 * [0, 5) counts. */
typedef struct pmn_sift_cells {
  float column, column_step, row, row_step;
  float first;
  float turn; /* of the patch; subtracted from those of the gradients */
} pmn_sift_cells;

typedef struct pmn_sift_loops {
  const char *isa;
  /* gray [height, width] at twice its size into out; lines: room for two rows of out. */
  void (*enlarge)(const uint8_t *gray, const pmn_sift_plane *out, float *lines);
  /* out = in blurred; difference (or NULL) = out - in, of the same shape. line: a row of in, and PMN_SIFT_VECTOR floats
   * before and after it. */
  void (*blur)(
      const pmn_sift_plane *in, const pmn_sift_blur *blur, const pmn_sift_plane *out, float *difference, float *line);
  /* The columns in [first, end), a span at most, of a row that are beyond +-threshold and not surpassed by their 26
   * neighbours; returns how many. layers: the row in the layer below, its own, the one above. */
  int32_t (*extremes)(
      const float *const layers[3], ptrdiff_t stride, int32_t first, int32_t end, float threshold, int32_t *columns);
  /* Gradients of `count` values of a row: magnitude times weight times weights[k], and direction in turns, [0, 1]. */
  void (*gradients)(const float *at, ptrdiff_t stride, int32_t count, float weight, const float *weights,
      float *magnitudes, float *turns);
  /* Shares the gradients of a row out to the bins [CELLS + 2][CELLS + 2][TURNS + 1] around them, linearly each way. */
  void (*share)(const pmn_sift_cells *cells, int32_t count, const float *magnitudes, const float *turns, float *bins);
} pmn_sift_loops;

/* The best of this processor; by name ("baseline", "avx2", "avx512") NULL where it is not to be had. */
const pmn_sift_loops *pmn_sift_loops_find(const char *isa);

#endif
