/* pmn_kmeans_start.c - k different points to begin with.
 *
 * k-means++ (Arthur and Vassilvitskii, 2007): the first centre is any point, every further one a point drawn with
 * probability proportional to D^2, its squared distance to the nearest centre so far. As in scikit-learn, 2 + ln k
 * points are drawn each time, and the one that leaves the least sum of D^2 is taken. Bits are numbers 0 and 1, so their
 * D^2 is the number of bits that differ.
 *
 * D^2 of every point is kept, 4 bytes: without that, k^2 / 2 distances a point would be computed instead of k (and as
 * many for each point drawn). There is one pass over the points for each centre: it brings D^2 up to the centre taken
 * last, and sums, block by block, what each of the drawn points would leave. The sums of the one that is taken then say
 * in which block the next draw falls, and only that block is read again. All sums are whole numbers: they do not depend
 * on order.
 *
 * Random start: points are drawn until k differ. Where many are equal that may fail; then what is missing is drawn as
 * above, one at a time, each point that differs from all centres with the same probability.
 */
#include "pmn_kmeans_parts.h"
#include "pmn_kmeans_rows.h"
#include "pmn_mem.h"

#include <math.h>
#include <string.h>

enum { BLOCK = 1024, BLOCK_BYTES = 256 * 1024, DRAWS_A_CENTRE = 8 };

typedef struct start {
  const pmn_points *points;
  pmn_pool *pool;
  pmn_random *random;
  const pmn_watch *watch;
  bool flat; /* the random start's weights: 1 for a point that differs from all centres */
  int32_t rows, trials;
  int64_t blocks;
  uint32_t *d2;        /* [count] without the newest centre */
  uint64_t *sums;      /* [blocks, trials] */
  uint8_t *candidates; /* [trials, width] */
  uint8_t *block;      /* [threads, rows, width] */
  uint32_t *distances; /* [threads, rows] */
  int16_t *wide;       /* [threads, width] the point that distances are to */
  pmn_pieces *pieces;
  const uint8_t *newest; /* centre; NULL: none yet */
  int32_t drawn;         /* candidates of the pass in flight */
  int64_t first_block;
} start;

static int32_t rows_choose(int32_t width) {
  int32_t rows = BLOCK_BYTES / width;
  return rows > BLOCK ? BLOCK : rows < 1 ? 1 : rows;
}

static int32_t trials_choose(int32_t k) {
  return 2 + (int32_t)log(k);
}

double pmn_start_memory(const pmn_points *points, int32_t k, int32_t threads) {
  double rows = rows_choose(points->width), width = points->width, trials = trials_choose(k);
  double blocks = ceil((double)points->count / rows);
  return (double)points->count * sizeof(uint32_t) + blocks * trials * sizeof(uint64_t) + trials * width +
         threads * (rows * (width + sizeof(uint32_t)) + width * sizeof(int16_t)) + sizeof(pmn_pieces);
}

static void start_reset(start *s) {
  pmn_free(s->d2);
  pmn_free(s->sums);
  pmn_free(s->candidates);
  pmn_free(s->block);
  pmn_free(s->distances);
  pmn_free(s->wide);
  pmn_free(s->pieces);
}

static pmn_status start_init(start *s, int32_t k, pmn_err *err) {
  size_t count = (size_t)s->points->count, width = (size_t)s->points->width;
  s->rows = rows_choose(s->points->width);
  s->trials = trials_choose(k);
  s->blocks = (s->points->count + s->rows - 1) / s->rows;
  size_t workers_rows = (size_t)pmn_pool_threads(s->pool) * (size_t)s->rows;
  s->d2 = pmn_alloc(count, sizeof *s->d2);
  s->sums = pmn_alloc((size_t)s->blocks * (size_t)s->trials, sizeof *s->sums);
  s->candidates = pmn_alloc((size_t)s->trials, width);
  s->block = pmn_alloc(workers_rows, width);
  s->distances = pmn_alloc(workers_rows, sizeof *s->distances);
  s->wide = pmn_alloc((size_t)pmn_pool_threads(s->pool) * width, sizeof *s->wide);
  s->pieces = pmn_calloc(1, sizeof *s->pieces);
  if (s->d2 == NULL || s->sums == NULL || s->candidates == NULL || s->block == NULL || s->distances == NULL ||
      s->wide == NULL || s->pieces == NULL)
    return pmn_err_memory(err, count * sizeof *s->d2, "distances of the points to the first centres");
  memset(s->d2, 0xFF, count * sizeof *s->d2);
  return PMN_STATUS_OK;
}

static void distances_find(
    const start *s, int32_t worker, const uint8_t *points, size_t n, const uint8_t *to, uint32_t *distances) {
  size_t width = (size_t)s->points->width;
  int16_t *wide = s->wide + (size_t)worker * width;
  if (s->points->binary) {
    pmn_bits_distances(points, n, width, to, distances);
    return;
  }
  for (size_t j = 0; j < width; j++) wide[j] = to[j];
  pmn_bytes_distances(points, n, width, wide, distances);
}

static uint64_t weight(const start *s, uint32_t d2) {
  return s->flat ? d2 != 0 : d2;
}

static int32_t block_rows(const start *s, int64_t block) {
  int64_t left = s->points->count - block * s->rows;
  return left < s->rows ? (int32_t)left : s->rows;
}

/* Reads a block into the worker's buffer, and brings its D^2 up to the newest centre. */
static pmn_status block_read(const start *s, int64_t block, int32_t worker, pmn_err *err) {
  int64_t first = block * s->rows;
  size_t n = (size_t)block_rows(s, block);
  uint8_t *points = s->block + (size_t)worker * (size_t)s->rows * (size_t)s->points->width;
  uint32_t *distances = s->distances + (size_t)worker * (size_t)s->rows, *d2 = s->d2 + first;
  pmn_status st = s->points->read(s->points->arg, first, (int32_t)n, points, err);
  if (st != PMN_STATUS_OK || s->newest == NULL) return st;
  distances_find(s, worker, points, n, s->newest, distances);
  for (size_t i = 0; i < n; i++) d2[i] = distances[i] < d2[i] ? distances[i] : d2[i];
  return st;
}

static void block_sum(void *arg, int64_t index, int32_t worker) {
  const start *s = arg;
  int64_t block = s->first_block + index;
  size_t n = (size_t)block_rows(s, block), width = (size_t)s->points->width;
  const uint8_t *points = s->block + (size_t)worker * (size_t)s->rows * width;
  uint32_t *distances = s->distances + (size_t)worker * (size_t)s->rows;
  s->pieces->statuses[index] = block_read(s, block, worker, &s->pieces->errors[index]);
  if (s->pieces->statuses[index] != PMN_STATUS_OK) return;
  const uint32_t *d2 = s->d2 + block * s->rows;
  for (int32_t t = 0; t < s->drawn; t++) {
    uint64_t sum = 0;
    distances_find(s, worker, points, n, s->candidates + (size_t)t * width, distances);
    for (size_t i = 0; i < n; i++) sum += weight(s, distances[i] < d2[i] ? distances[i] : d2[i]);
    s->sums[block * s->trials + t] = sum;
  }
}

/* The pass: what each candidate leaves of the sum of weights, block by block. The best is put to *best, the first of
 * equal ones, and what it leaves to *left. */
static pmn_status candidates_judge(start *s, int32_t *best, uint64_t *left, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (s->first_block = 0; s->first_block < s->blocks; s->first_block += PMN_PIECES_MAX) {
    int64_t blocks = s->blocks - s->first_block;
    if (blocks > PMN_PIECES_MAX) blocks = PMN_PIECES_MAX;
    PMN_TRY(pmn_watch_check(s->watch, err));
    pmn_pool_run(s->pool, blocks, block_sum, s);
    PMN_TRY(pmn_pieces_check(s->pieces, blocks, err));
  }
  *left = UINT64_MAX;
  for (int32_t t = 0; t < s->drawn; t++) {
    uint64_t sum = 0;
    for (int64_t b = 0; b < s->blocks; b++) sum += s->sums[b * s->trials + t];
    if (sum >= *left) continue;
    *left = sum;
    *best = t;
  }
done:
  return st;
}

/* Point number `at` along the weights, of which column `taken` of sums has those of the blocks. */
static pmn_status point_at(start *s, int32_t taken, uint64_t at, uint8_t *point, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)s->points->width;
  int64_t block = 0;
  for (; at >= s->sums[block * s->trials + taken]; block++) at -= s->sums[block * s->trials + taken];
  PMN_TRY(block_read(s, block, 0, err));
  const uint32_t *d2 = s->d2 + block * s->rows;
  size_t i = 0;
  for (; at >= weight(s, d2[i]); i++) at -= weight(s, d2[i]);
  memcpy(point, s->block + i * width, width);
done:
  return st;
}

/* Centres [0, have) are given; the others are drawn. */
static pmn_status centres_draw(start *s, int32_t k, int32_t have, uint8_t *centres, int32_t *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)s->points->width;
  int32_t taken = 0;
  uint64_t left = 0;
  for (*found = 0; *found < k; ++*found) {
    uint8_t *centre = centres + (size_t)*found * width;
    s->drawn = 1;
    if (*found < have) {
      memcpy(s->candidates, centre, width);
    } else if (*found == 0) {
      int64_t first = (int64_t)pmn_random_below(s->random, (uint64_t)s->points->count);
      PMN_TRY(s->points->read(s->points->arg, first, 1, s->candidates, err));
    } else {
      if (left == 0) break;
      s->drawn = s->flat ? 1 : s->trials;
      for (int32_t t = 0; t < s->drawn; t++) {
        PMN_TRY(point_at(s, taken, pmn_random_below(s->random, left), s->candidates + (size_t)t * width, err));
      }
    }
    PMN_TRY(candidates_judge(s, &taken, &left, err));
    memcpy(centre, s->candidates + (size_t)taken * width, width);
    s->newest = centre;
  }
done:
  return st;
}

/* Points that differ, as long as a few draws find them. */
static pmn_status centres_try(const start *s, int32_t k, uint8_t *centres, int32_t *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)s->points->width;
  *found = 0;
  for (int64_t draws = (int64_t)k * DRAWS_A_CENTRE; draws > 0 && *found < k; draws--) {
    uint8_t *centre = centres + (size_t)*found * width;
    int32_t same = 0;
    if (draws % BLOCK == 0) PMN_TRY(pmn_watch_check(s->watch, err));
    int64_t at = (int64_t)pmn_random_below(s->random, (uint64_t)s->points->count);
    PMN_TRY(s->points->read(s->points->arg, at, 1, centre, err));
    while (same < *found && memcmp(centres + (size_t)same * width, centre, width) != 0) same++;
    if (same == *found) ++*found;
  }
done:
  return st;
}

pmn_status pmn_start_choose(const pmn_points *points, const pmn_kmeans_options *options, pmn_pool *pool,
    pmn_random *random, uint8_t *centres, int32_t *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  start s = {.points = points, .pool = pool, .random = random, .watch = &options->watch};
  int32_t have = 0;
  s.flat = options->start == PMN_KMEANS_RANDOM;
  if (s.flat) {
    PMN_TRY(centres_try(&s, options->k, centres, found, err));
    if (*found == options->k) goto done;
    have = *found;
  }
  PMN_TRY(start_init(&s, options->k, err));
  PMN_TRY(centres_draw(&s, options->k, have, centres, found, err));
done:
  start_reset(&s);
  return st;
}
