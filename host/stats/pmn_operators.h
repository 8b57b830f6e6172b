/* pmn_operators.h - the two matrices whose largest eigenvalues are looked for, and the rows that one is made of; inside
 * stats only. */
#ifndef PMN_OPERATORS_H
#define PMN_OPERATORS_H

#include "pmn_lanczos.h"
#include "pmn_pool.h"
#include "pmn_stats.h"

/* A whole symmetric matrix [order, order], both triangles. Borrowed. */
typedef struct pmn_dense {
  const double *matrix;
  int32_t order;
  pmn_pool *pool;
} pmn_dense;
pmn_operator pmn_dense_operator(pmn_dense *dense);

/* Rows [first, first + n) as they are decomposed, to y [n, width]: (x - mean) * inverse, of the deviation or 1, as a
 * division takes several times as long. */
PMN_MUST_USE pmn_status pmn_rows_standardise(
    const pmn_rows *rows, const double *mean, const double *inverse, int64_t first, int32_t n, double *y, pmn_err *err);

enum { PMN_SCATTER_PIECES = 8 };

/* y'y of the standardised rows y = (x - mean) * inverse, without ever forming it. The caller fills the first five,
 * which are borrowed until reset; several threads of the pool read rows at once. */
typedef struct pmn_scatter {
  const pmn_rows *rows;
  const double *mean, *inverse; /* [width] */
  pmn_pool *pool;
  const pmn_watch *watch;
  double *rows_at_hand; /* [count, width] standardised, once `filled`; NULL: they are read for every product */
  bool filled;
  int32_t tile_most; /* rows of a tile */
  /* of the product in flight */
  double *buffer;   /* [tile_most, width], unless rows are at hand */
  double *y;        /* the tile */
  double *products; /* [tile_most, count] */
  const double *vectors;
  double *images;
  int64_t first;       /* row of the tile at work */
  int32_t tile, count; /* its rows, and the vectors */
  pmn_status statuses[PMN_SCATTER_PIECES];
  pmn_err errors[PMN_SCATTER_PIECES];
} pmn_scatter;
/* count_max: vectors that are multiplied at once, at most. at_hand: keep all rows, if the memory can be had. */
PMN_MUST_USE pmn_status pmn_scatter_init(pmn_scatter *scatter, int32_t count_max, bool at_hand, pmn_err *err);
void pmn_scatter_reset(pmn_scatter *scatter);
pmn_operator pmn_scatter_operator(pmn_scatter *scatter);
/* Bytes that it takes, rows at hand not counted. */
double pmn_scatter_memory(int32_t width, int32_t count_max);

#endif
