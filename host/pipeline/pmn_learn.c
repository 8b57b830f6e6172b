/* pmn_learn.c - see pmn_learn.h.
 *
 * Pictures are described twice, once for the words and once for the rows. That costs a second pass, and spares every
 * later step the question where its descriptors are: rows are made, journalled, fitted and projected as those of any
 * other features.
 *
 * Of more than SAMPLE descriptors k-means sees a sample: they are cut into SAMPLE runs of almost equal length, and of
 * each run one is drawn, by a hash of the seed and the run's number.
 */
#include "pmn_learn.h"

#include "pmn_clock.h"
#include "pmn_feed.h"
#include "pmn_maker_words.h"
#include "pmn_mem.h"
#include "pmn_random.h"
#include "pmn_scratch.h"

#include <string.h>

enum { SAMPLE = 10 * 1000 * 1000, BLOCK = 4096 };

typedef struct lesson {
  pmn_run *run;
  pmn_scratch *scratch; /* descriptors of all pictures, one after the other */
  int32_t *counts;      /* [pictures] of each that could be read */
  int64_t pictures, unread, descriptors;
  size_t width;     /* bytes of a descriptor */
  double described; /* when all pictures were: their time is that of the feed's stages */
} lesson;

/* --------------------------------------------------------------------------------------------------- describe -- */

/* The batch of `n` pictures that were put. */
static pmn_status take_batch(lesson *self, pmn_describing *describing, int32_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_described *described;
  if (n == 0) return PMN_STATUS_OK;
  PMN_TRY(pmn_describing_run(describing, &described, err));
  for (int32_t i = 0; i < n; i++) {
    size_t size = (size_t)described[i].count * self->width;
    self->counts[self->pictures++] = described[i].count;
    self->descriptors += described[i].count;
    if (size > 0) PMN_TRY(pmn_scratch_append(self->scratch, described[i].descriptors, size, err));
  }
done:
  return st;
}

static pmn_status describe(lesson *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = self->run;
  pmn_feed *feed = NULL;
  pmn_feed_options options = {.listing = run->listing,
      .s3 = run->s3,
      .prepare = run->maker->prepare,
      .threads = run->threads,
      .batch = run->batch};
  pmn_describing *describing = pmn_maker_look_describing(run->maker);
  int32_t waiting = 0;
  double start = pmn_clock_seconds();
  PMN_TRY(pmn_feed_create(&options, &feed, err));
  for (int64_t i = 0; i < run->counts.listed; i++) {
    pmn_picture picture;
    bool more;
    PMN_TRY(pmn_run_check_stop(run, err));
    PMN_TRY(pmn_feed_next(feed, &more, &picture, err));
    if (picture.stage == NULL) {
      PMN_TRY(pmn_describing_put(describing, waiting++, &picture, err));
    } else {
      self->unread++;
      PMN_TRY(pmn_run_bear_reject(run, picture.index, picture.stage, picture.reason, self->unread, err));
    }
    if (waiting == run->batch || i + 1 == run->counts.listed) {
      PMN_TRY(take_batch(self, describing, waiting, err));
      waiting = 0;
    }
    pmn_run_progress(run, "describe", i + 1, run->counts.listed, start);
  }
  pmn_feed_measure(feed, &run->meter);
done:
  pmn_feed_destroy(feed);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- cluster -- */

static pmn_status read_all(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err) {
  const lesson *self = arg;
  return pmn_scratch_read(self->scratch, (uint64_t)first * self->width, points, (size_t)n * self->width, err);
}

int64_t pmn_learn_border(int64_t descriptors, int64_t runs, int64_t i) {
  return i * (descriptors / runs) + i * (descriptors % runs) / runs;
}

static pmn_status read_sample(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const lesson *self = arg;
  for (int32_t i = 0; i < n; i++) {
    pmn_random random;
    int64_t from = pmn_learn_border(self->descriptors, SAMPLE, first + i);
    int64_t end = pmn_learn_border(self->descriptors, SAMPLE, first + i + 1);
    pmn_random_init(&random, self->run->options->seed ^ (uint64_t)(first + i) * UINT64_C(0x9e3779b97f4a7c15));
    uint64_t at = (uint64_t)from + pmn_random_below(&random, (uint64_t)(end - from));
    PMN_TRY(pmn_scratch_read(self->scratch, at * self->width, points + (size_t)i * self->width, self->width, err));
  }
done:
  return st;
}

static pmn_status cluster(lesson *self, pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = self->run;
  const pmn_extract_options *o = run->options;
  bool sampled = self->descriptors > SAMPLE;
  pmn_points points = {.count = sampled ? SAMPLE : self->descriptors,
      .width = (int32_t)self->width,
      .binary = words->descriptor == PMN_DESCRIPTOR_ORB,
      .arg = self,
      .read = sampled ? read_sample : read_all};
  pmn_kmeans_options options = {.k = o->words,
      .start = words->learning.start,
      .seed = words->learning.seed,
      .tolerance = 1e-4,
      .mini_batch = words->learning.mini_batch,
      .threads = run->threads,
      .watch = pmn_run_watch(run)};
  double need = pmn_kmeans_memory(run->device, &points, &options),
         limit = (double)pmn_statistics_memory(&o->statistics);
  if (need > limit) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY,
        "%d words of %d bytes need %.4g MB of memory, but may take %.4g MB: allow more with --memory, or ask for fewer",
        o->words, points.width, need / 1e6, limit / 1e6);
  }
  if (sampled) {
    pmn_run_message(run, PMN_LEVEL_INFO, "%lld descriptors: words are made of a sample of %d",
        (long long)self->descriptors, SAMPLE);
  }
  pmn_run_progress(run, "words", 0, 0, pmn_clock_seconds());
  PMN_TRY(pmn_kmeans_run(run->device, &points, &options, &words->vocabulary, err));
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------------- idf -- */

/* In how many pictures each word occurs: with [k]. Descriptors go through in blocks, whatever picture they are of. */
static pmn_status count_pictures(lesson *self, const pmn_lexicon *words, int64_t *with, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t k = (size_t)words->vocabulary->k;
  uint8_t *block = pmn_alloc(BLOCK, self->width);
  int32_t *nearest = pmn_alloc(BLOCK, sizeof *nearest);
  int64_t *last = pmn_alloc(k, sizeof *last); /* picture that the word was seen in last */
  pmn_finder *finder = NULL;
  if (block == NULL || nearest == NULL || last == NULL) PMN_TRY(pmn_err_memory(err, k * sizeof *last, "words"));
  PMN_TRY(pmn_finder_create(self->run->device, words->vocabulary, &finder, err));
  for (size_t i = 0; i < k; i++) last[i] = -1;
  int64_t picture = 0, left = self->counts[0];
  for (int64_t first = 0; first < self->descriptors; first += BLOCK) {
    int32_t n = (int32_t)(self->descriptors - first < BLOCK ? self->descriptors - first : BLOCK);
    PMN_TRY(pmn_run_check_stop(self->run, err));
    PMN_TRY(read_all(self, first, n, block, err));
    PMN_TRY(pmn_finder_run(finder, block, n, nearest, NULL, err));
    for (int32_t i = 0; i < n; i++, left--) {
      while (left == 0) left = self->counts[++picture];
      if (last[nearest[i]] != picture) with[nearest[i]]++;
      last[nearest[i]] = picture;
    }
  }
done:
  pmn_finder_destroy(finder);
  pmn_free(block);
  pmn_free(nearest);
  pmn_free(last);
  return st;
}

static pmn_status weigh(lesson *self, pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t k = (size_t)words->vocabulary->k;
  int64_t *with = pmn_calloc(k, sizeof *with);
  words->idf = pmn_alloc(k, sizeof *words->idf);
  if (with == NULL || words->idf == NULL) PMN_TRY(pmn_err_memory(err, k * sizeof *with, "words"));
  PMN_TRY(count_pictures(self, words, with, err));
  pmn_histogram_idf(with, self->pictures, words->vocabulary->k, words->idf);
  words->pictures = self->pictures;
done:
  pmn_free(with);
  return st;
}

/* -------------------------------------------------------------------------------------------------------- all -- */

static pmn_status learn(lesson *self, pmn_lexicon *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = self->run;
  const pmn_extract_options *o = run->options;
  pmn_buf beside;
  pmn_buf_init(&beside, 1 << 16);
  self->counts = pmn_alloc((size_t)run->counts.listed, sizeof *self->counts);
  if (self->counts == NULL) PMN_TRY(pmn_err_memory(err, (size_t)run->counts.listed * sizeof *self->counts, "counts"));
  PMN_TRY(pmn_run_scratch_path(run, &beside, err));
  PMN_TRY(pmn_scratch_create(beside.data, "--spool", &self->scratch, err));
  PMN_TRY(describe(self, err));
  self->described = pmn_clock_seconds();
  if (self->pictures == 0) PMN_TRY(pmn_run_check_rows(run, err)); /* there are no rows yet: it says why */
  if (self->unread > 0) {
    pmn_run_message(
        run, PMN_LEVEL_WARNING, "%lld pictures could not be read: the words are without them", (long long)self->unread);
  }
  if (self->descriptors == 0) {
    PMN_FAIL(err, PMN_STATUS_REJECTED, "none of %lld pictures has a keypoint: there is nothing to make words of",
        (long long)run->counts.listed);
  }
  PMN_TRY(cluster(self, words, err));
  PMN_TRY(weigh(self, words, err));
  PMN_TRY(pmn_lexicon_hash(words, err));
  if (o->save_vocabulary != NULL) {
    PMN_TRY(pmn_lexicon_save(o->save_vocabulary, run->replaces, words, &run->kept[run->kept_count], err));
    run->kept_count++;
  }
  pmn_run_message(run, PMN_LEVEL_INFO, "%d words of %lld descriptors in %lld pictures, after %d rounds", o->words,
      (long long)self->descriptors, (long long)self->pictures, words->vocabulary->iterations);
done:
  pmn_buf_reset(&beside);
  return st;
}

pmn_status pmn_learn_words(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (!pmn_maker_wants_words(run->maker)) return PMN_STATUS_OK;
  const pmn_prepare_options *p = &run->maker->prepare;
  const pmn_extract_options *o = run->options;
  pmn_lexicon words = {.descriptor = p->descriptor,
      .learning = {.keypoints_max = p->keypoints_max,
          .width = p->width,
          .height = p->height,
          .filter = p->filter,
          .start = o->start != NULL && strcmp(o->start, "random") == 0 ? PMN_KMEANS_RANDOM : PMN_KMEANS_PLUSPLUS,
          .mini_batch = o->mini_batch,
          .seed = o->seed}};
  lesson self = {.run = run, .width = (size_t)pmn_descriptor_bytes(words.descriptor)};
  PMN_TRY(learn(&self, &words, err));
  PMN_TRY(pmn_maker_take_words(run->maker, &words, err));
  run->meter.stages[PMN_STAGE_WORDS].busy_seconds += pmn_clock_seconds() - self.described;
done:
  pmn_scratch_destroy(self.scratch);
  pmn_free(self.counts);
  pmn_lexicon_reset(&words);
  return st;
}
