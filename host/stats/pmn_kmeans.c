/* pmn_kmeans.c - see pmn_kmeans.h: checks, the iteration, and what comes out.
 *
 * Workload: 10^4 to 10^7 points of 128 or 32 bytes, 10 to 1000 words. Points are read block by block, again in every
 * iteration; nothing is kept of a point but 4 bytes while the start is chosen. Sums of bytes, counts of bits and
 * distances are whole numbers (pmn_vocabulary.c), which is why neither threads nor the device show in the result.
 *
 * A mini-batch (Sculley, Web-scale k-means clustering, 2010) moves each centre c by (x - c) / v for every point x drawn
 * for it, v counting them from the first batch on: that makes c the mean of all those points, so their sums and counts
 * simply go on from batch to batch. The start is chosen among 3 batches or 3 k points, as scikit-learn does, unless
 * fewer than k of them differ.
 */
#include "pmn_kmeans.h"

#include "pmn_kmeans_parts.h"
#include "pmn_mem.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ITERATIONS = 100, SAMPLE = 3, BITS = 8 };
/* What small things take, and what allocations are rounded up by. */
enum { SMALL_BYTES = 8192 };
/* count * width: sums of squares of all coordinates, at most 2^16 each, stay below 2^62. */
#define POINTS_BYTES_MAX 0x1p46

/* --------------------------------------------------------------------------------------------- points in memory -- */

static pmn_status held_read(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err) {
  (void)err;
  const pmn_held_points *held = arg;
  memcpy(points, held->data + (size_t)first * (size_t)held->width, (size_t)n * (size_t)held->width);
  return PMN_STATUS_OK;
}

pmn_points pmn_held_points_view(pmn_held_points *held, int64_t count, bool binary) {
  return (pmn_points){.count = count, .width = held->width, .binary = binary, .arg = held, .read = held_read};
}

static int index_compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

pmn_status pmn_points_draw(
    const pmn_points *points, pmn_random *random, int32_t n, int64_t *indices, uint8_t *drawn, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < n; i++) indices[i] = (int64_t)pmn_random_below(random, (uint64_t)points->count);
  qsort(indices, (size_t)n, sizeof *indices, index_compare);
  for (int32_t i = 0; i < n; i++)
    PMN_TRY(points->read(points->arg, indices[i], 1, drawn + (size_t)i * (size_t)points->width, err));
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------ centres -- */

/* Centres become points. */
static void words_start(pmn_words *words, const uint8_t *start) {
  size_t count = (size_t)words->k * (size_t)words->width;
  if (words->binary)
    memcpy(words->bits, start, count);
  else
    for (size_t i = 0; i < count; i++) words->grid[i] = (int32_t)start[i] << words->fraction;
  pmn_words_refresh(words);
}

/* The bit that most of `count` points have; where as many have the other one, the bit stays: so no centre goes to and
 * fro. Returns how many bits changed. */
static double bits_move(uint8_t *bits, size_t width, const int64_t *ones, int64_t count) {
  double moved = 0.0;
  for (size_t j = 0; j < BITS * width; j++) {
    unsigned bit = 1u << j % BITS, old = bits[j / BITS] & bit, now = old;
    if (2 * ones[j] > count) now = bit;
    if (2 * ones[j] < count) now = 0;
    bits[j / BITS] = (uint8_t)((bits[j / BITS] ^ old) | now);
    moved += now != old;
  }
  return moved;
}

/* The mean, rounded to the grid: below 2^24, so the quotient has 29 bits more than needed. Returns the square of the
 * move. */
static double grid_move(int32_t *grid, int32_t fraction, size_t width, const int64_t *sums, int64_t count) {
  double moved = 0.0, scale = ldexp(1.0, fraction);
  for (size_t j = 0; j < width; j++) {
    int32_t now = (int32_t)floor((double)sums[j] * scale / (double)count + 0.5);
    double move = (now - grid[j]) / scale;
    moved += move * move;
    grid[j] = now;
  }
  return moved;
}

/* Centres go to the middle of their points; without points they stay. Returns the sum of squared moves, or of changed
 * bits. */
static double centres_move(pmn_words *words, const pmn_pass *pass) {
  double moved = 0.0;
  size_t width = (size_t)words->width;
  for (size_t c = 0; c < (size_t)words->k; c++) {
    const int64_t *sums = pass->sums + c * (size_t)pass->columns;
    if (pass->counts[c] == 0) continue;
    moved += words->binary ? bits_move(words->bits + c * width, width, sums, pass->counts[c])
                           : grid_move(words->grid + c * width, words->fraction, width, sums, pass->counts[c]);
  }
  pmn_words_refresh(words);
  return moved;
}

/* ---------------------------------------------------------------------------------------------- empty clusters -- */

/* sums += or -= the point. */
static void sums_change(const pmn_pass *pass, size_t word, const uint8_t *point, int sign) {
  int64_t *sums = pass->sums + word * (size_t)pass->columns;
  for (size_t j = 0; j < (size_t)pass->columns; j++)
    sums[j] += sign * (pass->words->binary ? point[j / BITS] >> j % BITS & 1 : point[j]);
  pass->counts[word] += sign;
}

/* The first empty cluster takes the farthest point, the next one the next that differs from it, and so on. The last
 * point of a cluster is shared rather than taken. While there are at least k points that differ, enough of them are not
 * on a centre. */
static pmn_status empty_fill(pmn_pass *pass, const pmn_points *points, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_far far = {0};
  size_t width = (size_t)points->width, k = (size_t)pass->words->k;
  for (size_t c = 0; c < k; c++) far.want += pass->counts[c] == 0;
  if (far.want == 0) goto done;
  far.distances = pmn_alloc((size_t)far.want, sizeof *far.distances);
  far.owners = pmn_alloc((size_t)far.want, sizeof *far.owners);
  far.points = pmn_alloc((size_t)far.want, width);
  if (far.distances == NULL || far.owners == NULL || far.points == NULL) {
    st = pmn_err_memory(err, (size_t)far.want * width, "the points of clusters that are empty");
    goto done;
  }
  PMN_TRY(pmn_pass_run(pass, points, false, &far, err));
  int32_t used = 0;
  for (size_t c = 0; c < k && used < far.have; c++) {
    if (pass->counts[c] != 0) continue;
    const uint8_t *point = far.points + (size_t)used * width;
    size_t owner = (size_t)far.owners[used++];
    if (pass->counts[owner] > 1) sums_change(pass, owner, point, -1);
    sums_change(pass, c, point, 1);
  }
done:
  pmn_free(far.distances);
  pmn_free(far.owners);
  pmn_free(far.points);
  return st;
}

/* ------------------------------------------------------------------------------------------------ the iteration -- */

static bool in_batches(const pmn_kmeans_options *options, const pmn_points *points) {
  return options->mini_batch > 0 && options->mini_batch < points->count;
}

/* Of the points just summed: the mean over the columns of their variance. */
static double variance_mean(const pmn_pass *pass) {
  double n = 0.0, squares = (double)pass->squares;
  size_t columns = (size_t)pass->columns, k = (size_t)pass->words->k;
  for (size_t c = 0; c < k; c++) n += (double)pass->counts[c];
  for (size_t j = 0; j < columns; j++) {
    int64_t sum = 0;
    for (size_t c = 0; c < k; c++) sum += pass->sums[c * columns + j];
    squares -= (double)sum * (double)sum / n;
  }
  return fmax(squares, 0.0) / n / (double)columns;
}

/* One run in flight. */
typedef struct run {
  const pmn_points *points;
  const pmn_kmeans_options *options;
  pmn_random *random;
  pmn_words words;
  pmn_pass pass;
  int64_t *indices;     /* [mini_batch] */
  uint8_t *batch;       /* [mini_batch, width] */
  pmn_held_points held; /* the batch */
  int32_t iterations;
} run;

/* The points of one iteration to their words, and their sums. */
static pmn_status step(run *r, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_pass *pass = &r->pass;
  if (in_batches(r->options, r->points)) {
    pmn_points batch = pmn_held_points_view(&r->held, r->options->mini_batch, r->points->binary);
    PMN_TRY(pmn_points_draw(r->points, r->random, r->options->mini_batch, r->indices, r->batch, err));
    PMN_TRY(pmn_pass_run(pass, &batch, true, NULL, err));
    goto done;
  }
  memset(pass->sums, 0, (size_t)r->words.k * (size_t)pass->columns * sizeof *pass->sums);
  memset(pass->counts, 0, (size_t)r->words.k * sizeof *pass->counts);
  PMN_TRY(pmn_pass_run(pass, r->points, true, NULL, err));
done:
  return st;
}

/* Until centres rest; leaves in pass->inertia that of the last centres. */
static pmn_status steps(run *r, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool batches = in_batches(r->options, r->points);
  int32_t most = r->options->iterations_max == 0 ? ITERATIONS : r->options->iterations_max;
  double moved = INFINITY, rest = 0.0;
  while (r->iterations < most && !(moved <= rest)) {
    PMN_TRY(step(r, err));
    if (r->iterations == 0 && !r->points->binary) rest = r->options->tolerance * variance_mean(&r->pass);
    if (!batches) PMN_TRY(empty_fill(&r->pass, r->points, err));
    moved = centres_move(&r->words, &r->pass);
    r->iterations++;
  }
  if (moved > 0.0 || batches) PMN_TRY(pmn_pass_run(&r->pass, r->points, false, NULL, err));
done:
  return st;
}

static pmn_status vocabulary_make(const run *r, pmn_vocabulary **vocabulary, pmn_err *err) {
  const pmn_words *words = &r->words;
  size_t count = (size_t)words->k * (size_t)words->width;
  pmn_vocabulary *v = pmn_calloc(1, sizeof *v);
  if (v == NULL) return pmn_err_memory(err, sizeof *v, "a vocabulary");
  *v = (pmn_vocabulary){.k = words->k,
      .width = words->width,
      .binary = words->binary,
      .points = r->points->count,
      .iterations = r->iterations,
      .inertia = r->pass.inertia};
  if (words->binary)
    v->bits = pmn_alloc(count, 1);
  else
    v->centres = pmn_alloc(count, sizeof *v->centres);
  if (v->bits == NULL && v->centres == NULL) {
    pmn_vocabulary_destroy(v);
    return pmn_err_memory(err, count * sizeof *v->centres, "a vocabulary");
  }
  if (words->binary)
    memcpy(v->bits, words->bits, count);
  else
    for (size_t i = 0; i < count; i++) v->centres[i] = ldexpf((float)words->grid[i], -words->fraction);
  *vocabulary = v;
  return PMN_STATUS_OK;
}

pmn_status pmn_kmeans_iterate(pmn_device *device, const pmn_points *points, const pmn_kmeans_options *options,
    pmn_pool *pool, pmn_random *random, const uint8_t *start, pmn_vocabulary **vocabulary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  run r = {.points = points, .options = options, .random = random};
  PMN_TRY(pmn_words_init(&r.words, device, options->k, points->width, points->binary, err));
  PMN_TRY(pmn_pass_init(&r.pass, pool, &options->watch, &r.words, err));
  if (in_batches(options, points)) {
    size_t n = (size_t)options->mini_batch;
    r.indices = pmn_alloc(n, sizeof *r.indices);
    r.batch = pmn_alloc(n, (size_t)points->width);
    r.held = (pmn_held_points){r.batch, points->width};
    if (r.indices == NULL || r.batch == NULL) {
      st = pmn_err_memory(err, n * (size_t)points->width, "the points of a mini-batch");
      goto done;
    }
  }
  words_start(&r.words, start);
  PMN_TRY(steps(&r, err));
  PMN_TRY(vocabulary_make(&r, vocabulary, err));
done:
  pmn_pass_reset(&r.pass);
  pmn_words_reset(&r.words);
  pmn_free(r.indices);
  pmn_free(r.batch);
  return st;
}

/* -------------------------------------------------------------------------------------------------------- doors -- */

static pmn_status arguments_check(
    const pmn_device *device, const pmn_points *points, const pmn_kmeans_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (points->count < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no points to make words of");
  if (points->width < 1 || points->width > PMN_POINT_BYTES_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "points of %d bytes: 1 to %d are possible", points->width, PMN_POINT_BYTES_MAX);
  if ((double)points->count * points->width > POINTS_BYTES_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%" PRId64 " points of %d bytes are too many: 64 TiB together are possible",
        points->count, points->width);
  if (o->k < 1 || o->k > PMN_WORDS_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%d words: 1 to %d are possible", o->k, PMN_WORDS_MAX);
  if (o->iterations_max < 0 || o->mini_batch < 0 || o->threads < 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%d iterations, %d points an iteration, %d threads: none can be negative",
        o->iterations_max, o->mini_batch, o->threads);
  if (!(o->tolerance >= 0.0 && isfinite(o->tolerance)))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a tolerance of %g: it is a share, 0 or more", o->tolerance);
  if (!points->binary && device == NULL)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "words of numbers are made with a device, and none was given");
done:
  return st;
}

static int32_t threads_of(const pmn_kmeans_options *options) {
  return options->threads == 0 ? 1 : options->threads;
}

/* Points that the start of mini-batches is chosen among; 0: all. */
static int32_t sample_choose(const pmn_points *points, const pmn_kmeans_options *options) {
  int64_t n = SAMPLE * (int64_t)(options->mini_batch > options->k ? options->mini_batch : options->k);
  bool all = !in_batches(options, points) || options->start == PMN_KMEANS_RANDOM || n >= points->count || n > INT32_MAX;
  return all ? 0 : (int32_t)n;
}

double pmn_kmeans_memory(const pmn_device *device, const pmn_points *points, const pmn_kmeans_options *options) {
  double width = points->width, k = options->k, start = pmn_start_memory(points, options->k, threads_of(options));
  double batch = in_batches(options, points) ? options->mini_batch * (width + sizeof(int64_t)) : 0.0;
  double iteration = pmn_pass_memory(device, options->k, points->width, points->binary, threads_of(options)) + batch +
                     k * (width + sizeof(uint64_t) + sizeof(int32_t)) + k * width * sizeof(float);
  return fmax(start + sample_choose(points, options) * (width + sizeof(int64_t)), iteration) + k * width + SMALL_BYTES;
}

static pmn_status sample_start(const pmn_points *points, const pmn_kmeans_options *options, pmn_pool *pool,
    pmn_random *random, uint8_t *centres, int32_t *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t n = sample_choose(points, options);
  int64_t *indices = pmn_alloc((size_t)n, sizeof *indices);
  uint8_t *drawn = pmn_alloc((size_t)n, (size_t)points->width);
  if (indices == NULL || drawn == NULL) {
    st = pmn_err_memory(err, (size_t)n * (size_t)points->width, "a sample of the points");
    goto done;
  }
  PMN_TRY(pmn_points_draw(points, random, n, indices, drawn, err));
  pmn_held_points held = {drawn, points->width};
  pmn_points sample = pmn_held_points_view(&held, n, points->binary);
  PMN_TRY(pmn_start_choose(&sample, options, pool, random, centres, found, err));
done:
  pmn_free(indices);
  pmn_free(drawn);
  return st;
}

pmn_status pmn_kmeans_run(pmn_device *device, const pmn_points *points, const pmn_kmeans_options *options,
    pmn_vocabulary **vocabulary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_pool *pool = NULL;
  uint8_t *start = NULL;
  pmn_random random;
  int32_t found = 0;
  *vocabulary = NULL;
  PMN_TRY(arguments_check(device, points, options, err));
  pmn_random_init(&random, options->seed);
  PMN_TRY(pmn_pool_create(threads_of(options), &pool, err));
  start = pmn_alloc((size_t)options->k, (size_t)points->width);
  if (start == NULL) {
    st = pmn_err_memory(err, (size_t)options->k * (size_t)points->width, "the first centres");
    goto done;
  }
  if (sample_choose(points, options) > 0) PMN_TRY(sample_start(points, options, pool, &random, start, &found, err));
  if (found < options->k) PMN_TRY(pmn_start_choose(points, options, pool, &random, start, &found, err));
  if (found < options->k)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%d words of %" PRId64 " points of which only %d differ: ask for %d at most",
        options->k, points->count, found, found);
  PMN_TRY(pmn_kmeans_iterate(device, points, options, pool, &random, start, vocabulary, err));
done:
  pmn_pool_destroy(pool);
  pmn_free(start);
  return st;
}
