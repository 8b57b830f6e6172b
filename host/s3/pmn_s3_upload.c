/* pmn_s3_upload.c - large objects in parts, see pmn_s3.h.
 *
 * The caller's thread fills one part while up to IN_FLIGHT others are on their way. The first part stays here until
 * finish, because the head of a file (an npy's shape) is only known at its end.
 *
 * Workload: tables of some gigabytes, written in pieces of a few kilobytes to a few megabytes.
 * Invariants: memory is SLOTS parts at most. A part whose `busy` is set belongs to the client's thread, all others to
 * the caller's. What was sent is counted in `sent`, index number - 1; an ETag is there once the server has the part.
 */
#include "pmn_mem.h"
#include "pmn_s3_stored.h"
#include "pmn_s3_xml.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  PART_SIZE = 8 << 20,
  PARTS_MAX = 10000, /* S3's own limit */
  IN_FLIGHT = 4,
  SLOTS = IN_FLIGHT + 2, /* the head, and one being filled */
  ANSWER_MAX = 64 << 10,
  DESCRIPTION_MAX = 4 << 20, /* 10,000 parts of an ETag each */
};

typedef struct part {
  pmn_s3_upload *upload;
  pmn_buf bytes;
  int32_t number; /* from 1 */
  bool busy;
  char number_text[16];
  pmn_s3_md5 md5;
  pmn_s3_call call;
  pmn_s3_outcome outcome;
} part;

typedef struct sent {
  size_t size;
  bool opaque; /* the ETag is no MD5 */
  char etag[PMN_S3_ETAG];
} sent;

struct pmn_s3_upload {
  pmn_s3 *s3;
  char *bucket, *key, *id; /* id: NULL until the server has named it */
  part parts[SLOTS];       /* the first is the head */
  part *filling;
  bool finished, described; /* described: whoever has the description completes or aborts it */

  pthread_mutex_t lock; /* of these, and of parts[].busy */
  pthread_cond_t changed;
  int32_t in_flight, count, capacity; /* of sent */
  sent *sent;
  pmn_status failed; /* of any part: the upload cannot go on */
  pmn_err error;
};

/* -------------------------------------------------------------------------------------------------------- parts -- */

static pmn_status check_part(void *arg, pmn_http_answer *answer, pmn_err *err) {
  return pmn_s3_stored_check(&((const part *)arg)->md5, answer, err);
}

static void fail(pmn_s3_upload *self, pmn_status status, const pmn_err *error) {
  if (self->failed != PMN_STATUS_OK) return;
  self->failed = status;
  self->error = *error;
}

static void on_part(void *arg, pmn_s3_outcome *outcome) {
  part *p = arg;
  pmn_s3_upload *self = p->upload;
  pthread_mutex_lock(&self->lock);
  if (outcome->status == PMN_STATUS_OK) {
    sent *to = &self->sent[p->number - 1];
    unsigned char md5[16];
    pmn_s3_etag_copy(&outcome->answer, to->etag);
    to->opaque = !pmn_s3_md5_of_answer(&outcome->answer, md5);
  } else {
    fail(self, outcome->status, &outcome->error);
  }
  p->busy = false;
  self->in_flight--;
  pthread_cond_broadcast(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

/* Waits until fewer than `limit` parts are on their way. PMN_STATUS_OK, or what has failed. */
static pmn_status wait_for_parts(pmn_s3_upload *self, int32_t limit, pmn_err *err) {
  pthread_mutex_lock(&self->lock);
  while (self->in_flight >= limit) pthread_cond_wait(&self->changed, &self->lock);
  pmn_status st = self->failed;
  if (st != PMN_STATUS_OK && err != NULL) *err = self->error;
  pthread_mutex_unlock(&self->lock);
  return st;
}

/* Gives the next part its number. */
static pmn_status number_part(pmn_s3_upload *self, part *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (self->count == PARTS_MAX) {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0,
        "s3://%.60s/%.200s: larger than %d parts of %d MiB, which is all that S3 takes; cut the output with --parts",
        self->bucket, self->key, PARTS_MAX, PART_SIZE >> 20);
  }
  pthread_mutex_lock(&self->lock);
  if (self->count == self->capacity) {
    int32_t capacity = self->capacity == 0 ? 64 : 2 * self->capacity;
    sent *more = pmn_realloc(self->sent, (size_t)capacity, sizeof *more);
    if (more == NULL) {
      st = pmn_err_memory(err, (size_t)capacity * sizeof *more, "the parts of an upload");
    } else {
      self->sent = more;
      self->capacity = capacity;
    }
  }
  if (st == PMN_STATUS_OK) {
    self->sent[self->count] = (sent){0};
    p->number = ++self->count;
  }
  pthread_mutex_unlock(&self->lock);
  return st;
}

static pmn_status send_part(pmn_s3_upload *self, part *p, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(wait_for_parts(self, IN_FLIGHT, err));
  PMN_TRY(pmn_s3_md5_compute(p->bytes.data, p->bytes.size, &p->md5, err));
  pmn_s3_outcome_reset(&p->outcome);
  snprintf(p->number_text, sizeof p->number_text, "%d", (int)p->number);
  p->call = (pmn_s3_call){
      .method = "PUT",
      .bucket = self->bucket,
      .key = self->key,
      .query = {{"partNumber", p->number_text}, {"uploadId", self->id}},
      .query_count = 2,
      .headers = {{"content-md5", p->md5.base64}},
      .header_count = 1,
      .body = p->bytes.data,
      .body_size = p->bytes.size,
      .answer_max = ANSWER_MAX,
      .denied = PMN_STATUS_WRITE,
      .check = check_part,
      .check_arg = p,
  };
  pthread_mutex_lock(&self->lock);
  self->sent[p->number - 1].size = p->bytes.size;
  p->busy = true;
  self->in_flight++;
  pthread_mutex_unlock(&self->lock);
  st = pmn_s3_call_start(self->s3, &p->call, &p->outcome, on_part, p, err);
  if (st != PMN_STATUS_OK) {
    pthread_mutex_lock(&self->lock);
    p->busy = false;
    self->in_flight--;
    pthread_mutex_unlock(&self->lock);
  }
done:
  return st;
}

/* Sends the part that is full, unless it is the head, and takes another one to fill. */
static pmn_status next_part(pmn_s3_upload *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  part *next = NULL;
  if (self->filling != &self->parts[0]) PMN_TRY(send_part(self, self->filling, err));
  pthread_mutex_lock(&self->lock);
  for (size_t i = 1; i < SLOTS; i++) {
    if (!self->parts[i].busy) next = &self->parts[i]; /* at most IN_FLIGHT of IN_FLIGHT + 1 are busy */
  }
  pthread_mutex_unlock(&self->lock);
  PMN_TRY(number_part(self, next, err));
  pmn_buf_clear(&next->bytes);
  self->filling = next;
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------- upload -- */

static pmn_status take_id(void *arg, const char *path, const char *text, pmn_err *err) {
  char **id = arg;
  if (strcmp(path, "UploadId") != 0) return PMN_STATUS_OK;
  pmn_free(*id);
  *id = pmn_strdup(text);
  return *id != NULL ? PMN_STATUS_OK : pmn_err_memory(err, strlen(text) + 1, "the name of an upload");
}

static pmn_status check_created(void *arg, pmn_http_answer *answer, pmn_err *err) {
  pmn_s3_upload *self = arg;
  pmn_status st = pmn_s3_xml_parse(&answer->body, "InitiateMultipartUploadResult", take_id, &self->id, err);
  if (st == PMN_STATUS_OK && (self->id == NULL || self->id[0] == '\0')) {
    st = pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the answer names no upload: it is not S3's");
  }
  return st;
}

static pmn_status start_upload(pmn_s3_upload *self, pmn_err *err) {
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {
      .method = "POST",
      .bucket = self->bucket,
      .key = self->key,
      .query = {{"uploads", ""}},
      .query_count = 1,
      .headers = {{"content-type", "application/octet-stream"}},
      .header_count = 1,
      .answer_max = ANSWER_MAX,
      .denied = PMN_STATUS_WRITE,
      .check = check_created,
      .check_arg = self,
  };
  pmn_status st = pmn_s3_call_run(self->s3, &call, &outcome, err);
  pmn_s3_outcome_reset(&outcome);
  return st;
}

pmn_status pmn_s3_upload_create(pmn_s3 *s3, const char *bucket, const char *key, pmn_s3_upload **upload, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_upload *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an upload");
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->changed, NULL);
  self->s3 = s3;
  self->bucket = pmn_strdup(bucket);
  self->key = pmn_strdup(key);
  self->filling = &self->parts[0];
  for (size_t i = 0; i < SLOTS; i++) {
    self->parts[i].upload = self;
    pmn_buf_init(&self->parts[i].bytes, PART_SIZE);
  }
  if (self->bucket == NULL || self->key == NULL) {
    st = pmn_err_memory(err, strlen(bucket) + strlen(key) + 2, "an upload");
    goto done;
  }
  PMN_TRY(number_part(self, self->filling, err));
  PMN_TRY(start_upload(self, err));
  *upload = self;
  self = NULL;
done:
  pmn_s3_upload_destroy(self);
  return st;
}

/* Bytes may be missing now: nothing may be completed any more. */
static void give_up(pmn_s3_upload *self, pmn_status status, const pmn_err *err) {
  const pmn_err unsaid = {status, 0, "an upload that has failed cannot go on"};
  pthread_mutex_lock(&self->lock);
  fail(self, status, err != NULL ? err : &unsaid);
  pthread_mutex_unlock(&self->lock);
}

pmn_status pmn_s3_upload_write(pmn_s3_upload *self, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *from = bytes;
  if (self->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "an upload that is finished takes no more bytes");
  PMN_TRY(wait_for_parts(self, INT32_MAX, err));
  while (size > 0) {
    if (self->filling->bytes.size == PART_SIZE) PMN_TRY(next_part(self, err));
    size_t room = PART_SIZE - self->filling->bytes.size, some = size < room ? size : room;
    PMN_TRY(pmn_buf_append(&self->filling->bytes, from, some, err));
    from += some;
    size -= some;
  }
done:
  if (st != PMN_STATUS_OK && !self->finished) give_up(self, st, err);
  return st;
}

pmn_status pmn_s3_upload_rewrite_head(pmn_s3_upload *self, const void *bytes, size_t size, pmn_err *err) {
  pmn_buf *head = &self->parts[0].bytes;
  if (self->finished || size > head->size) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "the first %zu bytes of an upload cannot be replaced: %s", size,
        self->finished ? "it is finished" : "that many were not written, or are not kept");
  }
  if (size > 0) memcpy(head->data, bytes, size);
  return PMN_STATUS_OK;
}

pmn_status pmn_s3_upload_finish(pmn_s3_upload *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  part *head = &self->parts[0];
  if (self->finished) return PMN_STATUS_OK;
  PMN_TRY(wait_for_parts(self, INT32_MAX, err));
  if (self->filling != head) PMN_TRY(send_part(self, self->filling, err));
  if (head->bytes.size > 0) PMN_TRY(send_part(self, head, err));
  PMN_TRY(wait_for_parts(self, 1, err));
  for (size_t i = 0; i < SLOTS; i++) pmn_buf_reset(&self->parts[i].bytes);
  if (self->sent[0].size == 0) self->count = 0; /* an empty object: parts of no bytes are not taken everywhere */
  self->finished = true;
done:
  if (st != PMN_STATUS_OK) give_up(self, st, err);
  return st;
}

pmn_status pmn_s3_upload_describe(pmn_s3_upload *self, pmn_buf *json, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool opaque = false, good = true;
  char *text = NULL;
  json_t *parts = json_array(), *root = NULL;
  if (!self->finished) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "an upload that is not finished cannot be described");
  for (int32_t i = 0; i < self->count; i++) {
    const sent *one = &self->sent[i];
    good = good && json_array_append_new(parts, json_pack("[I, s]", (json_int_t)one->size, one->etag)) == 0;
    opaque = opaque || one->opaque;
  }
  root = json_pack("{s: s, s: b, s: O}", "upload_id", self->id, "opaque", (int)opaque, "parts", parts);
  text = good && root != NULL ? json_dumps(root, JSON_COMPACT) : NULL;
  if (text == NULL) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "no memory for the description of an upload");
  PMN_TRY(pmn_buf_append(json, text, strlen(text), err));
  self->described = true;
done:
  free(text);
  json_decref(root);
  json_decref(parts);
  return st;
}

pmn_status pmn_s3_upload_complete(pmn_s3_upload *self, pmn_err *err) {
  bool described = self->described;
  pmn_buf text;
  pmn_buf_init(&text, DESCRIPTION_MAX);
  pmn_status st = pmn_s3_upload_describe(self, &text, err);
  if (st == PMN_STATUS_OK) st = pmn_s3_complete(self->s3, self->bucket, self->key, text.data, err);
  self->described = described || st == PMN_STATUS_OK;
  pmn_buf_reset(&text);
  return st;
}

void pmn_s3_upload_destroy(pmn_s3_upload *self) {
  if (self == NULL) return;
  wait_for_parts(self, 1, NULL); /* a part that comes after the abort would stay */
  if (!self->described && self->id != NULL) {
    pmn_status aborted = pmn_s3_abort(self->s3, self->bucket, self->key, self->id, NULL);
    (void)aborted; /* if it fails, the upload stays behind, invisible, for whoever lists uploads */
  }
  for (size_t i = 0; i < SLOTS; i++) {
    pmn_buf_reset(&self->parts[i].bytes);
    pmn_s3_outcome_reset(&self->parts[i].outcome);
  }
  pthread_cond_destroy(&self->changed);
  pthread_mutex_destroy(&self->lock);
  pmn_free(self->sent);
  pmn_free(self->bucket);
  pmn_free(self->key);
  pmn_free(self->id);
  pmn_free(self);
}
