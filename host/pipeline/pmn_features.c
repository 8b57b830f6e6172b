/* pmn_features.c - the first pass: pictures in listing order, through a network or as they are, to rows.
 *
 * A bad picture leaves no gap in a batch: the next good one takes its place. Rows therefore hold only good pictures, in
 * the order of the listing, and every picture of the listing is a row or a reject when this returns PMN_STATUS_OK.
 *
 * As many batches are under way as the maker has slots: while a device computes some, the next is filled. They are
 * collected in the order in which they were filled, and all of them before a piece ends.
 */
#include "pmn_run.h"

#include "pmn_clock.h"
#include "pmn_feed.h"
#include "pmn_keypoints.h"
#include "pmn_maker_words.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_parts.h"
#include "pmn_writer.h"

#include <string.h>

typedef struct pass {
  pmn_run *run;
  pmn_feed *feed;
  pmn_writer *writer;
  pmn_batch *slots;          /* [maker->slots] whose rows are not made yet: no features */
  int32_t oldest, under_way; /* batches, from slot `oldest` on; the one that is filled comes behind them */
  int32_t size;              /* of a batch: no listing needs a larger one than itself */
  int64_t taken, border;     /* index of the next picture, and of the first that is not to join the batch */
  double seconds;            /* of collecting */
} pass;

static void tell_progress(const pass *p) {
  pmn_run *run = p->run;
  pmn_run_progress(run, "features", run->counts.rows + run->counts.rejects, run->counts.listed, run->phase_started);
}

/* Values of a row as the maker makes it: behind a projected one is its flag. */
static int32_t made_width(const pmn_run *run) {
  return run->projected ? pmn_fit_width(run->fit) + 1 : run->width;
}

/* Rows that hold NaN or infinity are no rows: weights can make them, whatever the picture. A flag tells it of features
 * that stayed on the device; it does not go further. */
static pmn_status drop_broken_rows(const pass *p, pmn_batch *batch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t made = (size_t)made_width(p->run), width = p->run->projected ? made - 1 : made;
  int32_t kept = 0;
  for (int32_t i = 0; i < batch->n; i++) {
    const float *row = batch->features + (size_t)i * made;
    bool broken = p->run->projected ? row[width] != 0.0f : pmn_nonfinite_find(row, width) < width;
    if (broken) {
      PMN_TRY(pmn_run_reject(
          p->run, batch->indices[i], p->run->maker->kind->stage, "its features are not finite numbers", err));
      continue;
    }
    float *to = batch->features + (size_t)kept * width;
    if (to != row) memmove(to, row, width * sizeof *row);
    batch->indices[kept++] = batch->indices[i];
  }
  batch->n = kept;
done:
  return st;
}

/* The batch in the oldest slot becomes rows. */
static pmn_status make_rows(pass *p, pmn_batch *batch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = p->run;
  pmn_batch *slot = &p->slots[p->oldest];
  double start = pmn_clock_seconds();
  batch->n = slot->n;
  memcpy(batch->indices, slot->indices, (size_t)slot->n * sizeof *slot->indices);
  slot->n = 0;
  PMN_TRY(run->maker->kind->collect(run->maker, p->oldest, batch->n, batch->features, err));
  p->seconds += pmn_clock_seconds() - start;
  for (int32_t i = 0; run->keypoint_counts != NULL && i < batch->n; i++)
    pmn_run_take_keypoints(run, batch->indices[i], run->maker->kind->keypoints(run->maker, i));
  const pmn_described *described = pmn_maker_look_described(run->maker);
  for (int32_t i = 0; run->keypoints != NULL && !run->is_fitting && i < batch->n; i++)
    PMN_TRY(pmn_keypoints_put(run->keypoints, batch->indices[i], &described[i], err));
  PMN_TRY(drop_broken_rows(p, batch, err));
  if (batch->n > 0) memcpy(run->rows + run->counts.rows, batch->indices, (size_t)batch->n * sizeof *batch->indices);
  run->counts.rows += batch->n;
  if (run->moments != NULL && batch->n > 0) {
    start = pmn_clock_seconds();
    PMN_TRY(pmn_moments_add(run->moments, batch->features, batch->n, err));
    run->meter.stages[PMN_STAGE_MOMENTS].busy_seconds += pmn_clock_seconds() - start;
  }
done:
  return st;
}

/* The oldest batch is made, and handed to the writer. */
static pmn_status collect_batch(pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_batch *batch = NULL;
  PMN_TRY(pmn_writer_take(p->writer, &batch, err));
  PMN_TRY(make_rows(p, batch, err));
  p->oldest = (p->oldest + 1) % p->run->maker->slots;
  p->under_way--;
  /* Whatever comes before the pictures of the next batch is decided. */
  PMN_TRY(pmn_run_list_rejects(p->run, p->under_way > 0 ? p->slots[p->oldest].indices[0] : INT64_MAX, err));
  pmn_writer_give(p->writer, batch);
  tell_progress(p);
done:
  return st;
}

static pmn_status collect_all(pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  while (p->under_way > 0) PMN_TRY(collect_batch(p, err));
done:
  return st;
}

/* Takes pictures until the next slot is full or the border is reached. */
static pmn_status fill_batch(pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_maker *maker = p->run->maker;
  int32_t slot = (p->oldest + p->under_way) % maker->slots;
  pmn_batch *batch = &p->slots[slot];
  while (batch->n < p->size && p->taken < p->border) {
    pmn_picture picture;
    bool more;
    PMN_TRY(pmn_run_check_stop(p->run, err));
    PMN_TRY(pmn_feed_next(p->feed, &more, &picture, err));
    p->taken++;
    if (picture.stage != NULL) {
      /* The first bad one is wanted: rows before it may be bad, too. */
      if (p->run->options->stop_on_error) PMN_TRY(collect_all(p, err));
      PMN_TRY(pmn_run_reject(p->run, picture.index, picture.stage, picture.reason, err));
      tell_progress(p);
      continue;
    }
    PMN_TRY(maker->kind->put(maker, slot, batch->n, &picture, err));
    batch->indices[batch->n++] = picture.index;
  }
  if (batch->n > 0) {
    if (maker->kind->begin != NULL) PMN_TRY(maker->kind->begin(maker, slot, batch->n, err));
    p->under_way++;
  }
done:
  return st;
}

static pmn_status run_piece(pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  p->border = pmn_parts_border(p->run, p->taken);
  PMN_TRY(pmn_parts_piece_begin(p->run, p->taken, err));
  while (p->taken < p->border) {
    PMN_TRY(fill_batch(p, err));
    if (p->under_way == p->run->maker->slots) PMN_TRY(collect_batch(p, err));
  }
  PMN_TRY(collect_all(p, err));
  PMN_TRY(pmn_writer_drain(p->writer, err));
  PMN_TRY(pmn_parts_piece_end(p->run, p->border, err));
done:
  return st;
}

static pmn_status run_pass(pass *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = p->run;
  const pmn_maker *maker = run->maker;
  const pmn_describing *describing = pmn_maker_look_describing(maker);
  double before = maker->kind->seconds != NULL ? maker->kind->seconds(maker) : 0.0;
  double described_before = pmn_describing_seconds(describing);
  while (p->taken < run->counts.listed) PMN_TRY(run_piece(p, err));
  double described = pmn_describing_seconds(describing) - described_before;
  run->meter.stages[PMN_STAGE_NETWORK].busy_seconds +=
      maker->kind->seconds != NULL ? maker->kind->seconds(maker) - before : p->seconds - described;
  PMN_TRY(pmn_writer_finish(p->writer, &run->meter, err));
  /* Of this pass and of the words before it: it is the same describer. */
  run->meter.stages[PMN_STAGE_DEVICE].busy_seconds = pmn_describing_seconds(describing);
  pmn_feed_measure(p->feed, &run->meter);
done:
  return st;
}

static pmn_status open_slots(pass *p, pmn_err *err) {
  size_t count = (size_t)p->run->maker->slots, size = (size_t)p->size;
  p->slots = pmn_calloc(count, sizeof *p->slots);
  bool good = p->slots != NULL;
  for (size_t i = 0; good && i < count; i++) {
    p->slots[i].indices = pmn_alloc(size, sizeof *p->slots[i].indices);
    good = p->slots[i].indices != NULL;
  }
  return good ? PMN_STATUS_OK : pmn_err_memory(err, count * size * sizeof(int64_t), "batches");
}

static void close_slots(pass *p) {
  for (int32_t i = 0; p->slots != NULL && i < p->run->maker->slots; i++) pmn_free(p->slots[i].indices);
  pmn_free(p->slots);
}

/* What there is of every row; of those of fit_on, if they came before, nothing more. */
static pmn_status open_rows(pmn_run *run, pmn_err *err) {
  size_t listed = (size_t)run->counts.listed;
  bool counts = pmn_run_counts_keypoints(run);
  pmn_free(run->rows);
  pmn_free(run->keypoint_counts);
  run->rows = pmn_alloc(listed, sizeof *run->rows);
  run->keypoint_counts = counts ? pmn_alloc(listed, sizeof *run->keypoint_counts) : NULL;
  bool good = run->rows != NULL && (!counts || run->keypoint_counts != NULL);
  return good ? PMN_STATUS_OK : pmn_err_memory(err, listed * sizeof *run->rows, "the rows");
}

pmn_status pmn_features_run(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pass p = {.run = run};
  run->phase_started = pmn_clock_seconds();
  run->first_reject.message[0] = '\0';
  p.size = run->counts.listed < run->batch ? (int32_t)run->counts.listed : run->batch;
  pmn_feed_options feed = {
      .listing = run->listing, .s3 = run->s3, .prepare = run->maker->prepare, .threads = run->threads, .batch = p.size};
  pmn_writer_options writer = {.outlet = &run->outlet, .capacity = p.size, .width = made_width(run)};
  PMN_TRY(open_rows(run, err));
  PMN_TRY(open_slots(&p, err));
  PMN_TRY(pmn_parts_restore(run, &p.taken, err));
  feed.first = p.taken;
  writer.spool = run->spool;
  PMN_TRY(pmn_feed_create(&feed, &p.feed, err));
  PMN_TRY(pmn_writer_create(&writer, &p.writer, err));
  PMN_TRY(run_pass(&p, err));
  PMN_TRY(pmn_run_check_rows(run, err));
done:
  pmn_feed_destroy(p.feed);
  pmn_writer_destroy(p.writer);
  close_slots(&p);
  return st;
}
