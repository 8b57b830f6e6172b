/* pmn_s3_reader.c - whole objects, one or many; see pmn_s3.h.
 *
 * Workload: hundreds of thousands of pictures of some ten kilobytes, taken by the threads that decode them, in order or
 * nearly so. What is fetched ahead lies in a ring of `ahead` slots; object i has slot i % ahead.
 * Invariants: base <= next <= base + ahead. Objects before `base` have been taken; those from base to next are under
 * way, there, or taken out of turn. A slot under way belongs to the client's thread, all others to who holds the lock.
 * Bodies that are under way or there are never expected to be more than bytes_max, unless it is one alone.
 */
#include "pmn_mem.h"
#include "pmn_s3_call.h"
#include "pmn_s3_stored.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { UNKNOWN_SIZE = 1 << 20 }; /* what an object that was not listed counts as until it is there */

typedef struct fetch {
  pmn_s3_call call;
  pmn_s3_outcome outcome;
  int64_t size;     /* as listed; -1: not known */
  const char *etag; /* as listed; "": not known */
} fetch;

typedef enum slot_state { EMPTY, UNDER_WAY, THERE, TAKEN } slot_state;

typedef struct slot {
  fetch fetch;
  pmn_s3_reader *reader;
  slot_state state;
  size_t counted; /* bytes it adds to reader->bytes */
} slot;

struct pmn_s3_reader {
  pmn_s3 *s3;
  pmn_s3_reader_options options;
  volatile sig_atomic_t stop;

  pthread_mutex_t lock; /* of all that follows */
  pthread_cond_t changed;
  int64_t base, next;
  int32_t under_way;
  size_t bytes;
  slot *slots;
};

/* ---------------------------------------------------------------------------------------------------- one object -- */

/* Is this the object that was listed, whole? */
static pmn_status check_object(void *arg, pmn_http_answer *answer, pmn_err *err) {
  const fetch *self = arg;
  pmn_s3_md5 md5;
  unsigned char said[16];
  size_t size = answer->body.size;
  const char *etag = pmn_http_answer_header(answer, "etag");
  if (self->etag[0] != '\0' && etag[0] == '\0') {
    return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the answer names no ETag: it is not S3's");
  }
  /* Without MD5, as in FIPS mode, its length has to do. */
  if (pmn_s3_md5_of_answer(answer, said) && pmn_s3_md5_compute(answer->body.data, size, &md5, NULL) == PMN_STATUS_OK &&
      memcmp(md5.bytes, said, 16) != 0) {
    return pmn_err_set(
        err, PMN_STATUS_NETWORK, 0, "%zu bytes came with MD5 %s where ETag %.40s was said", size, md5.hex, etag);
  }
  if (self->etag[0] != '\0' && !pmn_s3_etag_equal(self->etag, etag)) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, 0, "it has changed since it was listed (ETag %.40s, now %.40s)", self->etag, etag);
  }
  if (self->size >= 0 && size != (uint64_t)self->size) {
    return pmn_err_set(
        err, PMN_STATUS_NETWORK, 0, "%zu bytes came where %lld were listed", size, (long long)self->size);
  }
  return PMN_STATUS_OK;
}

static void prepare(fetch *self, const char *bucket, const pmn_s3_object *object, size_t max, pmn_status denied) {
  bool known = object->size >= 0 && (uint64_t)object->size <= max;
  self->size = object->size;
  self->etag = object->etag != NULL ? object->etag : "";
  self->call = (pmn_s3_call){
      .method = "GET",
      .bucket = bucket,
      .key = object->key,
      .answer_max = known ? (size_t)object->size : max,
      .denied = denied,
      .etag = self->etag[0] != '\0' ? self->etag : NULL,
      .check = check_object,
      .check_arg = self,
  };
}

/* A body larger than listed was refused before it was looked at. */
static pmn_status explain(fetch *self, pmn_err *err) {
  const pmn_http_answer *answer = &self->outcome.answer;
  if (answer->too_large && self->size >= 0 && self->outcome.status == PMN_STATUS_NOT_FOUND) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "s3://%.63s/%.240s: it has changed since it was listed (%lld bytes)", self->call.bucket, self->call.key,
        (long long)self->size);
  }
  if (err != NULL) *err = self->outcome.error;
  return self->outcome.status;
}

static pmn_status fail_size(const char *bucket, const char *key, int64_t size, size_t max, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "s3://%.63s/%.240s: %lld bytes, more than the %zu that are allowed",
      bucket, key, (long long)size, max);
}

/* Hands the body over; bytes->max stays. */
static void move_body(fetch *self, pmn_buf *bytes) {
  pmn_buf *body = &self->outcome.answer.body;
  size_t max = bytes->max;
  pmn_buf_reset(bytes);
  *bytes = *body;
  bytes->max = max;
  pmn_buf_init(body, 0);
}

pmn_status pmn_s3_get(
    pmn_s3 *s3, const char *bucket, const char *key, int64_t size, const char *etag, pmn_buf *bytes, pmn_err *err) {
  const pmn_s3_object object = {.key = key, .size = size, .etag = etag};
  fetch self = {.size = -1};
  if (size >= 0 && (uint64_t)size > bytes->max) return fail_size(bucket, key, size, bytes->max, err);
  prepare(&self, bucket, &object, bytes->max, PMN_STATUS_ARGUMENT);
  pmn_status st = pmn_s3_call_run(s3, &self.call, &self.outcome, err);
  if (st == PMN_STATUS_OK) {
    move_body(&self, bytes);
  } else if (self.outcome.answer.too_large) {
    st = explain(&self, err);
  }
  pmn_s3_outcome_reset(&self.outcome);
  return st;
}

/* --------------------------------------------------------------------------------------------------- many objects --
 */

static void on_object(void *arg, pmn_s3_outcome *outcome);

static void end_slot(slot *one, pmn_status status, const pmn_err *error) {
  one->fetch.outcome.status = status;
  one->fetch.outcome.error = *error;
  one->state = THERE;
  pthread_cond_broadcast(&one->reader->changed);
}

/* Starts what may be started. Under the lock, from any thread: calls are only put on the client's list. */
static void start_more(pmn_s3_reader *self) {
  const pmn_s3_reader_options *o = &self->options;
  while (self->next < o->count && self->next < self->base + o->ahead && self->under_way < PMN_S3_IN_FLIGHT) {
    slot *one = &self->slots[self->next % o->ahead];
    pmn_err err = PMN_ERR_INIT;
    const char *bucket = NULL;
    pmn_s3_object object = {.size = -1};
    o->name(o->arg, self->next, &bucket, &object);
    bool too_large = object.size >= 0 && (uint64_t)object.size > o->object_max;
    size_t counted = too_large ? 0 : object.size >= 0 ? (size_t)object.size : UNKNOWN_SIZE;
    if (self->bytes > 0 && (self->bytes >= o->bytes_max || counted > o->bytes_max - self->bytes)) break;
    self->next++;
    if (too_large) {
      end_slot(one, fail_size(bucket, object.key, object.size, o->object_max, &err), &err);
      continue;
    }
    prepare(&one->fetch, bucket, &object, o->object_max, PMN_STATUS_NOT_FOUND);
    one->fetch.call.stop = &self->stop;
    one->state = UNDER_WAY;
    pmn_status st = pmn_s3_call_start(self->s3, &one->fetch.call, &one->fetch.outcome, on_object, one, &err);
    if (st != PMN_STATUS_OK) {
      end_slot(one, st, &err);
      continue;
    }
    self->under_way++;
    self->bytes += one->counted = counted;
  }
}

static void on_object(void *arg, pmn_s3_outcome *outcome) {
  slot *one = arg;
  pmn_s3_reader *self = one->reader;
  pthread_mutex_lock(&self->lock);
  one->state = THERE;
  self->under_way--;
  self->bytes -= one->counted;
  self->bytes += one->counted = outcome->answer.body.size;
  if (!self->stop) start_more(self);
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

pmn_status pmn_s3_reader_create(
    pmn_s3 *s3, const pmn_s3_reader_options *options, pmn_s3_reader **reader, pmn_err *err) {
  pmn_s3_reader *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a reader of S3");
  self->s3 = s3;
  self->options = *options;
  if (self->options.ahead < 1) self->options.ahead = 1;
  self->slots = pmn_calloc((size_t)self->options.ahead, sizeof *self->slots);
  if (self->slots == NULL) {
    pmn_free(self);
    return pmn_err_memory(err, (size_t)options->ahead * sizeof *self->slots, "a reader of S3");
  }
  for (int64_t i = 0; i < self->options.ahead; i++) self->slots[i].reader = self;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  pthread_mutex_lock(&self->lock);
  start_more(self);
  pthread_mutex_unlock(&self->lock);
  *reader = self;
  return PMN_STATUS_OK;
}

pmn_status pmn_s3_reader_take(pmn_s3_reader *reader, int64_t i, pmn_buf *bytes, pmn_err *err) {
  slot *one = &reader->slots[i % reader->options.ahead];
  fetch *fetched = &one->fetch;
  pmn_status st;
  pthread_mutex_lock(&reader->lock);
  while (!(i < reader->next && one->state == THERE)) pthread_cond_wait(&reader->changed, &reader->lock);
  st = fetched->outcome.status;
  if (st != PMN_STATUS_OK) {
    st = explain(fetched, err);
  } else if (fetched->outcome.answer.body.size > bytes->max) {
    int64_t size = (int64_t)fetched->outcome.answer.body.size;
    st = fail_size(fetched->call.bucket, fetched->call.key, size, bytes->max, err);
  } else {
    move_body(fetched, bytes);
  }
  reader->bytes -= one->counted;
  one->counted = 0;
  pmn_s3_outcome_reset(&fetched->outcome);
  one->state = TAKEN;
  for (slot *oldest; reader->base < reader->next; reader->base++) {
    oldest = &reader->slots[reader->base % reader->options.ahead];
    if (oldest->state != TAKEN) break;
    oldest->state = EMPTY;
  }
  start_more(reader);
  pthread_mutex_unlock(&reader->lock);
  return st;
}

void pmn_s3_reader_destroy(pmn_s3_reader *reader) {
  if (reader == NULL) return;
  pthread_mutex_lock(&reader->lock);
  __atomic_store_n(&reader->stop, 1, __ATOMIC_RELAXED); /* the client looks at it, too */
  while (reader->under_way > 0) pthread_cond_wait(&reader->changed, &reader->lock);
  pthread_mutex_unlock(&reader->lock);
  for (int64_t i = 0; i < reader->options.ahead; i++) pmn_s3_outcome_reset(&reader->slots[i].fetch.outcome);
  pthread_cond_destroy(&reader->changed);
  pthread_mutex_destroy(&reader->lock);
  pmn_free(reader->slots);
  pmn_free(reader);
}
