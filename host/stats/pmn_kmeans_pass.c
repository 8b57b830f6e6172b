/* pmn_kmeans_pass.c - all points to their nearest words, once: block by block, as they do not fit memory.
 *
 * A block is read and widened in slabs by the threads of the pool, multiplied by the device, and compared and summed in
 * slabs again. Every thread sums for itself, first in 16 bits, which is four times as many sums a vector as in 64, and
 * after 256 points of a word, before they could overflow, into whole ones. All sums are whole numbers, so it does not
 * matter which thread had which points.
 */
#include "pmn_kmeans_parts.h"
#include "pmn_kmeans_rows.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>
#include <string.h>

enum { RECENT_MAX = 256, BITS = 8 }; /* 256 * 255 < 2^16 */

struct pmn_tally {
  uint16_t *recent; /* [k, columns] sums of the last points of each word */
  int32_t *pending; /* [k] how many those are */
  int64_t *sums, *counts;
  uint64_t squares;
};

pmn_status pmn_pieces_check(const pmn_pieces *pieces, int64_t count, pmn_err *err) {
  for (int64_t i = 0; i < count; i++) {
    if (pieces->statuses[i] == PMN_STATUS_OK) continue;
    if (err != NULL) *err = pieces->errors[i];
    return pieces->statuses[i];
  }
  return PMN_STATUS_OK;
}

static int32_t columns_of(int32_t width, bool binary) {
  return binary ? BITS * width : width;
}

double pmn_pass_memory(const pmn_device *device, int32_t k, int32_t width, bool binary, int32_t threads) {
  double rows = pmn_words_block(k, width), sums = (double)k * columns_of(width, binary);
  double block = rows * (width + 12.0) + (binary ? 0.0 : rows * (width + 3.0 * k) * sizeof(double));
  double tally = sums * (sizeof(int64_t) + sizeof(uint16_t)) + k * 12.0 + sizeof(pmn_tally);
  return pmn_words_memory(device, k, width, binary) + block + threads * tally + (sums + k) * sizeof(int64_t) +
         sizeof(pmn_pieces);
}

static bool tally_init(pmn_tally *tally, size_t k, size_t columns) {
  tally->recent = pmn_calloc(k * columns, sizeof *tally->recent);
  tally->pending = pmn_calloc(k, sizeof *tally->pending);
  tally->sums = pmn_calloc(k * columns, sizeof *tally->sums);
  tally->counts = pmn_calloc(k, sizeof *tally->counts);
  return tally->recent != NULL && tally->pending != NULL && tally->sums != NULL && tally->counts != NULL;
}

pmn_status pmn_pass_init(pmn_pass *pass, pmn_pool *pool, const pmn_watch *watch, const pmn_words *words, pmn_err *err) {
  pmn_pass *p = pass;
  *p = (pmn_pass){.pool = pool, .watch = watch, .words = words};
  p->rows = pmn_words_block(words->k, words->width);
  p->columns = columns_of(words->width, words->binary);
  size_t k = (size_t)words->k, width = (size_t)words->width, rows = (size_t)p->rows, columns = (size_t)p->columns;
  size_t products = pmn_words_products(words);
  bool enough = true;
  p->points = pmn_alloc_aligned(rows * width, 1);
  p->x = pmn_alloc_aligned(words->binary ? 0 : rows * width, sizeof *p->x);
  p->products = pmn_alloc_aligned(rows * products, sizeof *p->products);
  p->nearest = pmn_alloc(rows, sizeof *p->nearest);
  p->distances = pmn_alloc(rows, sizeof *p->distances);
  p->pieces = pmn_calloc(1, sizeof *p->pieces);
  p->sums = pmn_calloc(k * columns, sizeof *p->sums);
  p->counts = pmn_calloc(k, sizeof *p->counts);
  p->tallies = pmn_calloc((size_t)pmn_pool_threads(pool), sizeof *p->tallies);
  for (int32_t t = 0; p->tallies != NULL && t < pmn_pool_threads(pool); t++)
    enough &= tally_init(&p->tallies[t], k, columns);
  if (enough && p->points != NULL && p->x != NULL && p->products != NULL && p->nearest != NULL &&
      p->distances != NULL && p->pieces != NULL && p->sums != NULL && p->counts != NULL && p->tallies != NULL)
    return PMN_STATUS_OK;
  return pmn_err_memory(err, rows * (width * 9 + products * 8) + k * columns * 18, "points and sums of k-means");
}

void pmn_pass_reset(pmn_pass *pass) {
  for (int32_t t = 0; pass->tallies != NULL && t < pmn_pool_threads(pass->pool); t++) {
    pmn_free(pass->tallies[t].recent);
    pmn_free(pass->tallies[t].pending);
    pmn_free(pass->tallies[t].sums);
    pmn_free(pass->tallies[t].counts);
  }
  pmn_free(pass->tallies);
  pmn_free(pass->points);
  pmn_free(pass->x);
  pmn_free(pass->products);
  pmn_free(pass->nearest);
  pmn_free(pass->distances);
  pmn_free(pass->pieces);
  pmn_free(pass->sums);
  pmn_free(pass->counts);
  *pass = (pmn_pass){0};
}

/* -------------------------------------------------------------------------------------------------------- sums -- */

static void tally_flush(pmn_tally *tally, size_t word, size_t columns) {
  tally->counts[word] += tally->pending[word];
  tally->pending[word] = 0;
  pmn_sums_flush(tally->recent + word * columns, columns, tally->sums + word * columns);
}

static void tally_add(pmn_tally *tally, const pmn_pass *p, const uint8_t *point, size_t word) {
  uint16_t *recent = tally->recent + word * (size_t)p->columns;
  if (p->words->binary)
    pmn_bits_add(point, (size_t)p->words->width, recent);
  else
    pmn_bytes_add(point, (size_t)p->words->width, recent);
  if (++tally->pending[word] == RECENT_MAX) tally_flush(tally, word, (size_t)p->columns);
}

/* What the threads have goes over to sums and counts. */
static void tallies_gather(pmn_pass *p) {
  size_t columns = (size_t)p->columns, k = (size_t)p->words->k;
  for (int32_t t = 0; t < pmn_pool_threads(p->pool); t++) {
    pmn_tally *tally = &p->tallies[t];
    p->squares += tally->squares;
    tally->squares = 0;
    for (size_t c = 0; p->sum && c < k; c++) {
      if (tally->pending[c] > 0) tally_flush(tally, c, columns);
      p->counts[c] += tally->counts[c];
      tally->counts[c] = 0;
      int64_t *restrict from = tally->sums + c * columns, *restrict to = p->sums + c * columns;
      for (size_t j = 0; j < columns; j++) to[j] += from[j];
      memset(from, 0, columns * sizeof *from);
    }
  }
}

/* -------------------------------------------------------------------------------------------------------- slabs -- */

static void slab_read(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const pmn_pass *p = arg;
  size_t width = (size_t)p->words->width, from = (size_t)index * PMN_WORDS_SLAB;
  int32_t n = pmn_least(PMN_WORDS_SLAB, p->n - (int32_t)from);
  uint8_t *points = p->points + from * width;
  p->pieces->statuses[index] =
      p->source->read(p->source->arg, p->first + (int64_t)from, n, points, &p->pieces->errors[index]);
  if (p->pieces->statuses[index] == PMN_STATUS_OK && !p->words->binary)
    pmn_bytes_widen(points, (size_t)n * width, p->x + from * width);
}

static void slab_assign(void *arg, int64_t index, int32_t worker) {
  const pmn_pass *p = arg;
  pmn_tally *tally = &p->tallies[worker];
  size_t width = (size_t)p->words->width, from = (size_t)index * PMN_WORDS_SLAB;
  int32_t n = pmn_least(PMN_WORDS_SLAB, p->n - (int32_t)from);
  tally->squares += pmn_words_nearest(p->words, p->points + from * width,
      p->products + from * pmn_words_products(p->words), n, p->nearest + from, p->distances + from);
  for (size_t i = from; p->sum && i < from + (size_t)n; i++)
    tally_add(tally, p, p->points + i * width, (size_t)p->nearest[i]);
}

/* ---------------------------------------------------------------------------------------------------- the pass -- */

/* Points come in their order, so of equal ones the first is there already. A point on its centre is not far. */
static void far_offer(pmn_far *far, const uint8_t *point, size_t width, uint64_t distance, int32_t owner) {
  if (distance == 0 || (far->have == far->want && distance <= far->distances[far->have - 1])) return;
  int32_t at = far->have;
  while (at > 0 && far->distances[at - 1] < distance) at--;
  for (int32_t i = at - 1; i >= 0 && far->distances[i] == distance; i--) {
    if (memcmp(far->points + (size_t)i * width, point, width) == 0) return;
  }
  if (far->have < far->want) far->have++;
  size_t behind = (size_t)(far->have - 1 - at);
  memmove(far->distances + at + 1, far->distances + at, behind * sizeof *far->distances);
  memmove(far->owners + at + 1, far->owners + at, behind * sizeof *far->owners);
  memmove(far->points + (size_t)(at + 1) * width, far->points + (size_t)at * width, behind * width);
  far->distances[at] = distance;
  far->owners[at] = owner;
  memcpy(far->points + (size_t)at * width, point, width);
}

static pmn_status block_run(pmn_pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t slabs = (p->n + PMN_WORDS_SLAB - 1) / PMN_WORDS_SLAB;
  PMN_TRY(pmn_watch_check(p->watch, err));
  pmn_pool_run(p->pool, slabs, slab_read, p);
  PMN_TRY(pmn_pieces_check(p->pieces, slabs, err));
  PMN_TRY(pmn_words_multiply(p->words, p->x, p->n, p->products, err));
  pmn_pool_run(p->pool, slabs, slab_assign, p);
done:
  return st;
}

/* Distances reach 2^53: their sum is kept in two numbers, exactly. */
pmn_status pmn_pass_run(pmn_pass *pass, const pmn_points *points, bool sum, pmn_far *far, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_pass *p = pass;
  uint64_t high = 0, low = 0;
  p->source = points;
  p->sum = sum;
  p->squares = 0;
  for (p->first = 0; p->first < points->count; p->first += p->rows) {
    p->n = points->count - p->first < p->rows ? (int32_t)(points->count - p->first) : p->rows;
    PMN_TRY(block_run(p, err));
    for (size_t i = 0; i < (size_t)p->n; i++) {
      low += p->distances[i];
      if (far != NULL)
        far_offer(
            far, p->points + i * (size_t)p->words->width, (size_t)p->words->width, p->distances[i], p->nearest[i]);
    }
    high += low >> 32;
    low &= UINT32_MAX;
  }
  tallies_gather(p);
  p->inertia = ldexp((double)high * 0x1p32 + (double)low, -2 * p->words->fraction);
done:
  return st;
}
