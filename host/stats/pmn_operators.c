/* pmn_operators.c - see pmn_operators.h.
 *
 * Both multiply a few vectors at a time by a matrix that no cache holds: what costs is to bring the matrix, once for
 * all of them. Work is cut into pieces of fixed size whatever the number of threads, and every number is summed by one
 * of them in one order.
 */
#include "pmn_operators.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <cblas.h>

enum { PANEL = 256 }; /* columns of an image that one piece of work covers */
/* Rows of a tile: many, so that its products are worth a call; few where they are long. */
enum { TILE = 512, TILE_BYTES = 32 * 1024 * 1024, PIECES = PMN_SCATTER_PIECES };

/* ----------------------------------------------------------------------------------------------------- dense -- */

typedef struct dense_call {
  const double *matrix, *x;
  double *y;
  int32_t order, count;
} dense_call;

static void dense_panel(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const dense_call *c = arg;
  int32_t first = (int32_t)index * PANEL, columns = pmn_least(PANEL, c->order - first);
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, c->count, columns, c->order, 1.0, c->x, c->order,
      c->matrix + (size_t)first * (size_t)c->order, c->order, 0.0, c->y + first, c->order);
}

static pmn_status dense_apply(void *arg, const double *x, int32_t count, double *y, pmn_err *err) {
  (void)err;
  pmn_dense *dense = arg;
  dense_call call = {dense->matrix, x, y, dense->order, count};
  pmn_pool_run(dense->pool, (dense->order + PANEL - 1) / PANEL, dense_panel, &call);
  return PMN_STATUS_OK;
}

pmn_operator pmn_dense_operator(pmn_dense *dense) {
  return (pmn_operator){.order = dense->order, .arg = dense, .apply = dense_apply};
}

/* --------------------------------------------------------------------------------------------------- scatter -- */

pmn_status pmn_rows_standardise(const pmn_rows *rows, const double *mean, const double *inverse, int64_t first,
    int32_t n, double *y, pmn_err *err) {
  size_t d = (size_t)rows->width;
  pmn_status st = rows->read(rows->arg, first, n, y, err);
  for (size_t i = 0; st == PMN_STATUS_OK && i < (size_t)n; i++) {
    double *restrict row = y + i * d;
    for (size_t j = 0; j < d; j++) row[j] = (row[j] - mean[j]) * inverse[j];
  }
  return st;
}

static int32_t tile_rows(int32_t width) {
  int32_t rows = TILE_BYTES / (int32_t)sizeof(double) / width / PIECES * PIECES;
  return rows < PIECES ? PIECES : pmn_least(rows, TILE);
}

double pmn_scatter_memory(int32_t width, int32_t count_max) {
  return (double)tile_rows(width) * ((double)width + count_max) * sizeof(double);
}

pmn_status pmn_scatter_init(pmn_scatter *scatter, int32_t count_max, bool at_hand, pmn_err *err) {
  size_t d = (size_t)scatter->rows->width, n = (size_t)scatter->rows->count;
  size_t tile = (size_t)(scatter->tile_most = tile_rows(scatter->rows->width));
  /* One or the other; without room for all rows after all, there is room for a tile. */
  if (at_hand) scatter->rows_at_hand = pmn_alloc_aligned(n * d, sizeof *scatter->rows_at_hand);
  if (scatter->rows_at_hand == NULL) scatter->buffer = pmn_alloc_aligned(tile * d, sizeof *scatter->buffer);
  scatter->products = pmn_alloc_aligned(tile * (size_t)count_max, sizeof *scatter->products);
  if ((scatter->rows_at_hand == NULL && scatter->buffer == NULL) || scatter->products == NULL)
    return pmn_err_memory(err, tile * d * sizeof *scatter->buffer, "a tile of feature rows");
  return PMN_STATUS_OK;
}

void pmn_scatter_reset(pmn_scatter *scatter) {
  pmn_free(scatter->rows_at_hand);
  pmn_free(scatter->buffer);
  pmn_free(scatter->products);
  scatter->rows_at_hand = scatter->buffer = scatter->products = NULL;
}

/* Reads and standardises some rows of the tile, and multiplies them by the vectors: products = y vectors'. */
static void scatter_rows(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  pmn_scatter *s = arg;
  int32_t piece = s->tile_most / PIECES, from = (int32_t)index * piece, n = pmn_least(piece, s->tile - from);
  double *y = s->y + (size_t)from * (size_t)s->rows->width;
  s->statuses[index] = PMN_STATUS_OK;
  if (!s->filled) {
    s->statuses[index] = pmn_rows_standardise(s->rows, s->mean, s->inverse, s->first + from, n, y, &s->errors[index]);
  }
  if (s->statuses[index] != PMN_STATUS_OK) return;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, s->count, s->rows->width, 1.0, y, s->rows->width, s->vectors,
      s->rows->width, 0.0, s->products + (size_t)from * (size_t)s->count, s->count);
}

/* Some columns of images += products' y. */
static void scatter_columns(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const pmn_scatter *s = arg;
  int32_t d = s->rows->width, first = (int32_t)index * PANEL, columns = pmn_least(PANEL, d - first);
  cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s->count, columns, s->tile, 1.0, s->products, s->count,
      s->y + first, d, s->first == 0 ? 0.0 : 1.0, s->images + first, d);
}

static pmn_status scatter_apply(void *arg, const double *x, int32_t count, double *y, pmn_err *err) {
  pmn_scatter *s = arg;
  s->count = count;
  s->vectors = x;
  s->images = y;
  int32_t piece = s->tile_most / PIECES;
  for (s->first = 0; s->first < s->rows->count; s->first += s->tile_most) {
    int64_t left = s->rows->count - s->first;
    pmn_status st = pmn_watch_check(s->watch, err);
    if (st != PMN_STATUS_OK) return st;
    s->tile = left < s->tile_most ? (int32_t)left : s->tile_most;
    s->y = s->rows_at_hand != NULL ? s->rows_at_hand + (size_t)s->first * (size_t)s->rows->width : s->buffer;
    int32_t pieces = (s->tile + piece - 1) / piece;
    pmn_pool_run(s->pool, pieces, scatter_rows, s);
    for (int32_t i = 0; i < pieces; i++) {
      if (s->statuses[i] == PMN_STATUS_OK) continue;
      if (err != NULL) *err = s->errors[i];
      return s->statuses[i];
    }
    pmn_pool_run(s->pool, (s->rows->width + PANEL - 1) / PANEL, scatter_columns, s);
  }
  s->filled = s->rows_at_hand != NULL;
  return PMN_STATUS_OK;
}

pmn_operator pmn_scatter_operator(pmn_scatter *scatter) {
  return (pmn_operator){.order = scatter->rows->width, .arg = scatter, .apply = scatter_apply};
}
