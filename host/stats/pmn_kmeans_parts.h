/* pmn_kmeans_parts.h - what the parts of k-means share; inside stats only. */
#ifndef PMN_KMEANS_PARTS_H
#define PMN_KMEANS_PARTS_H

#include "pmn_kmeans.h"
#include "pmn_pool.h"
#include "pmn_random.h"

enum { PMN_POINT_BYTES_MAX = 65536 };

/* ----------------------------------------------------------------------------- words, and the nearest of a point -- */

/* Words as points are compared with them; pmn_vocabulary.c says why this is exact. */
typedef struct pmn_words {
  pmn_device *device;
  int32_t k, width;
  bool binary;
  uint8_t *bits;    /* [k, width] if binary; what follows is of float words */
  int32_t fraction; /* bits behind the point */
  int32_t *grid;    /* [k, width] the centres times 2^fraction: whole numbers */
  int32_t digits;   /* 1, or 3 where the device multiplies in fp32: factors that make up a number of the grid */
  double *factors;  /* [digits, k, width] */
  double *norms;    /* [k] sums of squares of the grid */
} pmn_words;

/* All words are 0. `device` is borrowed until reset. words may be reset whatever this returns. */
PMN_MUST_USE pmn_status pmn_words_init(
    pmn_words *words, pmn_device *device, int32_t k, int32_t width, bool binary, pmn_err *err);
void pmn_words_reset(pmn_words *words);
/* To be called when grid has changed. */
void pmn_words_refresh(pmn_words *words);
/* Points of a block, in multiples of PMN_WORDS_SLAB; and the numbers that the next calls need for each of them. */
enum { PMN_WORDS_SLAB = 128, PMN_WORDS_SLABS_MAX = 16 };
int32_t pmn_words_block(int32_t k, int32_t width);
size_t pmn_words_products(const pmn_words *words);
/* What the nearest words of n points are found by: x [n, width] float points widened; products [n, products]. Binary:
 * nothing to be done. */
PMN_MUST_USE pmn_status pmn_words_multiply(
    const pmn_words *words, const double *x, int32_t n, double *products, pmn_err *err);
/* The nearest word of each of n points, of equally near ones the first, and its distance: bits, or 2^(2 fraction) times
 * the squared distance, which is a whole number. Returns the sum of the squares of all coordinates. Products are used
 * up. Several threads may call this at once. */
uint64_t pmn_words_nearest(
    const pmn_words *words, const uint8_t *points, double *products, int32_t n, int32_t *nearest, uint64_t *distances);
double pmn_words_memory(const pmn_device *device, int32_t k, int32_t width, bool binary);

/* ------------------------------------------------------------------------------- what the pieces of a loop return --
 */

enum { PMN_PIECES_MAX = 64 };
typedef struct pmn_pieces {
  pmn_status statuses[PMN_PIECES_MAX];
  pmn_err errors[PMN_PIECES_MAX];
} pmn_pieces;
/* Of the first piece that failed. */
PMN_MUST_USE pmn_status pmn_pieces_check(const pmn_pieces *pieces, int64_t count, pmn_err *err);

/* ------------------------------------------------------------------------------------------ a pass over all points --
 */

/* The farthest points that differ, the farthest first, of equally far ones the first. */
typedef struct pmn_far {
  int32_t want, have;
  uint64_t *distances; /* [want] */
  int32_t *owners;     /* [want] their words */
  uint8_t *points;     /* [want, width] */
} pmn_far;

typedef struct pmn_tally pmn_tally;

/* Assigns points to words, block by block, and sums them up. */
typedef struct pmn_pass {
  pmn_pool *pool;
  const pmn_watch *watch;
  const pmn_words *words;
  int32_t rows, columns; /* of a block; numbers that a sum has: width, or 8 * width bits */
  uint8_t *points;       /* a block: [rows, width] */
  double *x, *products;
  int32_t *nearest;
  uint64_t *distances;
  pmn_tally *tallies; /* [threads] */
  pmn_pieces *pieces;
  /* of the pass in flight */
  const pmn_points *source;
  int64_t first;
  int32_t n;
  bool sum;
  /* results; sums and counts are added to, the others are of the last run */
  int64_t *sums;    /* [k, columns] */
  int64_t *counts;  /* [k] */
  uint64_t squares; /* sum of squares of all coordinates */
  double inertia;   /* sum of squared distances */
} pmn_pass;

/* pool, watch and words are borrowed until reset. pass may be reset whatever this returns. */
PMN_MUST_USE pmn_status pmn_pass_init(
    pmn_pass *pass, pmn_pool *pool, const pmn_watch *watch, const pmn_words *words, pmn_err *err);
void pmn_pass_reset(pmn_pass *pass);
/* sum: sums and counts are wanted; far: if not NULL, the farthest points are. */
PMN_MUST_USE pmn_status pmn_pass_run(pmn_pass *pass, const pmn_points *points, bool sum, pmn_far *far, pmn_err *err);
double pmn_pass_memory(const pmn_device *device, int32_t k, int32_t width, bool binary, int32_t threads);

/* ---------------------------------------------------------------------------------------------------- the start -- */

/* k different points to centres [k, width], *found of them: fewer only where there are no more. */
PMN_MUST_USE pmn_status pmn_start_choose(const pmn_points *points, const pmn_kmeans_options *options, pmn_pool *pool,
    pmn_random *random, uint8_t *centres, int32_t *found, pmn_err *err);
double pmn_start_memory(const pmn_points *points, int32_t k, int32_t threads);

/* Points [n, width] at random, one may come more than once, in their order. */
PMN_MUST_USE pmn_status pmn_points_draw(
    const pmn_points *points, pmn_random *random, int32_t n, int64_t *indices, uint8_t *drawn, pmn_err *err);
/* Those as points; data is borrowed. */
typedef struct pmn_held_points {
  const uint8_t *data;
  int32_t width;
} pmn_held_points;
pmn_points pmn_held_points_view(pmn_held_points *held, int64_t count, bool binary);

/* ------------------------------------------------------------------------------------------------ the iteration -- */

/* From given centres [k, width] on; options have been checked. */
PMN_MUST_USE pmn_status pmn_kmeans_iterate(pmn_device *device, const pmn_points *points,
    const pmn_kmeans_options *options, pmn_pool *pool, pmn_random *random, const uint8_t *start,
    pmn_vocabulary **vocabulary, pmn_err *err);

#endif
