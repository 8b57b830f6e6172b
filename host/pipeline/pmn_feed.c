/* pmn_feed.c - see pmn_feed.h.
 *
 * A ring of `window` slots; picture i lives in slot i % window. A thread takes the next index under the lock, waits
 * until its slot is free, fills it without the lock, and marks it ready. The consumer waits for the slot it needs next.
 *
 * Waking a thread costs as much as reading a small picture, so nobody is woken for every slot: the consumer sleeps
 * until some pictures are finished or nobody is at one, and free slots are told when there are some or the consumer
 * sleeps.
 */
#include "pmn_feed.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_reader.h"

#include <pthread.h>
#include <string.h>

/* No photograph is larger; a file that is will not be read into memory. */
enum { FILE_BYTES_MAX = 256 * 1024 * 1024 };
/* Pictures that a thread is woken for, if more are on their way. */
enum { LOT = 8 };

typedef struct slot {
  pmn_buf prepared;
  bool ready;
  const char *stage; /* NULL: the picture is good */
  pmn_err why;
} slot;

typedef struct worker {
  pmn_feed *feed;
  pthread_t thread;
  pmn_decoder *decoder;
  pmn_preparer *preparer;
  pmn_buf bytes;
  double seconds[PMN_STAGE_DESCRIBE + 1];
} worker;

struct pmn_feed {
  pmn_feed_options options;
  pmn_reader *reader;
  int32_t window; /* slots */
  int64_t count;
  pthread_mutex_t lock;
  pthread_cond_t slot_ready, slot_free;
  bool stop;
  int64_t next;     /* index that the next idle thread takes */
  int64_t consumed; /* pictures the consumer is done with */
  int64_t handed;   /* pictures handed out: consumed, or consumed + 1 */
  int64_t told;     /* consumed when the threads were last told */
  int32_t busy;     /* threads that are at a picture */
  int32_t finished; /* pictures since the consumer fell asleep */
  slot *slots;
  worker *workers;
  int32_t started;
};

/* Seconds since *mark, which becomes now. */
static double lap(double *mark) {
  double now = pmn_clock_seconds(), passed = now - *mark;
  *mark = now;
  return passed;
}

static void load_picture(worker *self, int64_t index, slot *s) {
  pmn_image image;
  double mark = pmn_clock_seconds();
  s->stage = "read";
  pmn_status st = pmn_reader_take(self->feed->reader, index, &self->bytes, &s->why);
  self->seconds[PMN_STAGE_READ] += lap(&mark);
  if (st != PMN_STATUS_OK) return;
  s->stage = "decode";
  st = pmn_decoder_run(self->decoder, self->bytes.data, self->bytes.size, &image, &s->why);
  self->seconds[PMN_STAGE_DECODE] += lap(&mark);
  if (st != PMN_STATUS_OK) return;
  st = pmn_preparer_run(self->preparer, &image, &s->prepared, &s->stage, &s->why);
  bool describes = self->feed->options.prepare.kind == PMN_PREPARE_DESCRIBE;
  self->seconds[describes ? PMN_STAGE_DESCRIBE : PMN_STAGE_RESIZE] += lap(&mark);
  if (st == PMN_STATUS_OK) s->stage = NULL;
}

static void *worker_main(void *arg) {
  worker *self = arg;
  pmn_feed *feed = self->feed;
  pthread_mutex_lock(&feed->lock);
  while (!feed->stop && feed->next < feed->count) {
    int64_t index = feed->next++;
    while (!feed->stop && index >= feed->consumed + feed->window) pthread_cond_wait(&feed->slot_free, &feed->lock);
    if (feed->stop) break;
    feed->busy++;
    pthread_mutex_unlock(&feed->lock);
    slot *s = &feed->slots[index % feed->window];
    load_picture(self, index, s);
    pthread_mutex_lock(&feed->lock);
    s->ready = true;
    feed->busy--;
    if (++feed->finished >= LOT || feed->busy == 0) pthread_cond_signal(&feed->slot_ready);
  }
  pthread_mutex_unlock(&feed->lock);
  return NULL;
}

static pmn_status start_worker(pmn_feed *feed, worker *w, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_feed_options *options = &feed->options;
  const pmn_image_limits limits = PMN_IMAGE_LIMITS_DEFAULT;
  w->feed = feed;
  pmn_buf_init(&w->bytes, FILE_BYTES_MAX);
  PMN_TRY(pmn_decoder_create(&limits, &w->decoder, err));
  PMN_TRY(pmn_preparer_create(&options->prepare, &w->preparer, err));
  int code = pthread_create(&w->thread, NULL, worker_main, w);
  if (code != 0) PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, code, "cannot start a decoding thread");
  feed->started++;
done:
  return st;
}

/* Pictures that are prepared ahead: a batch while another one is computed and one for every thread's hands; and small
 * ones for as long as a part takes to be safe on the disk. */
static int32_t choose_window(const pmn_feed_options *options) {
  enum { AHEAD = 1024, AHEAD_BYTES = 4 << 20 };
  size_t bytes = pmn_prepare_bytes(&options->prepare), fit = bytes > 0 ? AHEAD_BYTES / bytes : 0;
  int32_t least = options->batch + 2 * options->threads, small = fit < AHEAD ? (int32_t)fit : AHEAD;
  return small > least ? small : least;
}

pmn_status pmn_feed_create(const pmn_feed_options *options, pmn_feed **feed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *feed = NULL;
  pmn_feed *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the feed");
  self->options = *options;
  self->options.prepare.threads = options->threads;
  self->count = pmn_listing_count(options->listing);
  self->next = self->consumed = self->handed = self->told = options->first;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->slot_ready, NULL);
  pthread_cond_init(&self->slot_free, NULL);
  self->window = choose_window(&self->options);
  size_t window = (size_t)self->window;
  self->slots = pmn_calloc(window, sizeof *self->slots);
  self->workers = pmn_calloc((size_t)options->threads, sizeof *self->workers);
  if (self->slots == NULL || self->workers == NULL)
    PMN_TRY(pmn_err_memory(err, window * sizeof *self->slots, "decoded pictures"));
  for (size_t i = 0; i < window; i++) pmn_buf_init(&self->slots[i].prepared, SIZE_MAX);
  pmn_reader_options reader = {
      .listing = options->listing, .s3 = options->s3, .first = options->first, .bytes_max = FILE_BYTES_MAX};
  PMN_TRY(pmn_reader_create(&reader, &self->reader, err));
  for (int32_t i = 0; i < options->threads; i++) PMN_TRY(start_worker(self, &self->workers[i], err));
  *feed = self;
  self = NULL;
done:
  pmn_feed_destroy(self);
  return st;
}

/* ARGUMENT: what is wrong with the place that pictures are read from. */
static bool is_not_its_fault(const char *stage, pmn_status status) {
  if (status == PMN_STATUS_ARGUMENT && strcmp(stage, "read") == 0) return true;
  return status == PMN_STATUS_NO_MEMORY || status == PMN_STATUS_NETWORK || status == PMN_STATUS_KEYS ||
         status == PMN_STATUS_INTERRUPTED;
}

/* Without the name of the picture, which whoever tells the reason tells anyway. */
static const char *reason_of(const pmn_feed *feed, int64_t index, const char *message) {
  const char *path = pmn_listing_item(feed->options.listing, index).path;
  size_t size = strlen(path);
  return strncmp(message, path, size) == 0 && strncmp(message + size, ": ", 2) == 0 ? message + size + 2 : message;
}

static void tell_free(pmn_feed *feed) {
  feed->told = feed->consumed;
  pthread_cond_broadcast(&feed->slot_free);
}

pmn_status pmn_feed_next(pmn_feed *feed, bool *more, pmn_picture *picture, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pthread_mutex_lock(&feed->lock);
  if (feed->consumed < feed->handed) {
    feed->slots[feed->consumed % feed->window].ready = false;
    feed->consumed = feed->handed;
    if (feed->consumed - feed->told >= LOT) tell_free(feed);
  }
  *more = feed->handed < feed->count;
  if (*more) {
    slot *s = &feed->slots[feed->handed % feed->window];
    if (!s->ready) tell_free(feed);
    while (!s->ready) {
      feed->finished = 0;
      pthread_cond_wait(&feed->slot_ready, &feed->lock);
    }
    *picture = (pmn_picture){.index = feed->handed,
        .data = s->prepared.data,
        .size = s->prepared.size,
        .stage = s->stage,
        .reason = reason_of(feed, feed->handed, s->why.message)};
    feed->handed++;
    if (s->stage != NULL && is_not_its_fault(s->stage, s->why.status)) {
      if (err != NULL) *err = s->why;
      st = s->why.status;
    }
  }
  pthread_mutex_unlock(&feed->lock);
  return st;
}

void pmn_feed_measure(pmn_feed *feed, pmn_meter *meter) {
  for (int32_t i = 0; i < feed->started; i++) {
    for (int stage = 0; stage <= PMN_STAGE_DESCRIBE; stage++) {
      meter->stages[stage].busy_seconds += feed->workers[i].seconds[stage];
    }
  }
}

void pmn_feed_destroy(pmn_feed *feed) {
  if (feed == NULL) return;
  pthread_mutex_lock(&feed->lock);
  feed->stop = true;
  pthread_cond_broadcast(&feed->slot_free);
  pthread_mutex_unlock(&feed->lock);
  for (int32_t i = 0; i < feed->started; i++) pthread_join(feed->workers[i].thread, NULL);
  for (int32_t i = 0; feed->workers != NULL && i < feed->options.threads; i++) {
    pmn_decoder_destroy(feed->workers[i].decoder);
    pmn_preparer_destroy(feed->workers[i].preparer);
    pmn_buf_reset(&feed->workers[i].bytes);
  }
  pmn_reader_destroy(feed->reader);
  pthread_cond_destroy(&feed->slot_free);
  pthread_cond_destroy(&feed->slot_ready);
  pthread_mutex_destroy(&feed->lock);
  for (int32_t i = 0; feed->slots != NULL && i < feed->window; i++) pmn_buf_reset(&feed->slots[i].prepared);
  pmn_free(feed->slots);
  pmn_free(feed->workers);
  pmn_free(feed);
}
