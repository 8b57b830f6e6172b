/* pmn_s3_write.c - small objects, and making large ones visible; see pmn_s3.h.
 *
 * Workload: a handful of calls at the start and the end of a run, by which an output appears or does not. Every one may
 * be repeated: after a lost answer by the client itself, after a crash by --resume.
 */
#include "pmn_s3_client.h"
#include "pmn_s3_refusal.h"
#include "pmn_s3_stored.h"
#include "pmn_s3_xml.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
  ANSWER_MAX = 64 << 10,
  PAGE_MAX = 8 << 20,     /* a thousand uploads with keys of a kilobyte, percent-encoded */
  COMPLETE_MAX = 4 << 20, /* ten thousand parts */
  COMPLETE_SECONDS = 120, /* without a byte: the server puts them together; no other call takes that long */
};

/* -------------------------------------------------------------------------------------------------- one request -- */

/* What is there; `missing`: nothing is, which is more than that it cannot be had. */
static pmn_status look(pmn_s3 *s3, const char *bucket, const char *key, int64_t *size, char etag[PMN_S3_ETAG],
    bool *missing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {
      .method = "HEAD", .bucket = bucket, .key = key, .answer_max = ANSWER_MAX, .denied = PMN_STATUS_ARGUMENT};
  PMN_TRY(pmn_s3_call_run(s3, &call, &outcome, err));
  if (outcome.answer.content_length < 0) {
    PMN_FAIL(err, PMN_STATUS_NETWORK, "s3://%.60s/%.200s: the server does not say how large it is", bucket, key);
  }
  *size = outcome.answer.content_length;
  pmn_s3_etag_copy(&outcome.answer, etag);
done:
  *missing = outcome.answer.status == PMN_STATUS_OK && outcome.answer.code == 404;
  pmn_s3_outcome_reset(&outcome);
  return st;
}

pmn_status pmn_s3_head(
    pmn_s3 *s3, const char *bucket, const char *key, int64_t *size, char etag[PMN_S3_ETAG], pmn_err *err) {
  bool missing;
  return look(s3, bucket, key, size, etag, &missing, err);
}

pmn_status pmn_s3_age(pmn_s3 *s3, const char *bucket, const char *key, int64_t *seconds, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {
      .method = "HEAD", .bucket = bucket, .key = key, .answer_max = ANSWER_MAX, .denied = PMN_STATUS_ARGUMENT};
  PMN_TRY(pmn_s3_call_run(s3, &call, &outcome, err));
  time_t now = pmn_http_answer_time(&outcome.answer);
  time_t then = pmn_http_answer_date(&outcome.answer, "Last-Modified");
  if (now == (time_t)-1 || then == (time_t)-1) {
    PMN_FAIL(err, PMN_STATUS_NETWORK, "s3://%.60s/%.200s: the server does not say how old it is", bucket, key);
  }
  *seconds = now > then ? (int64_t)(now - then) : 0;
done:
  pmn_s3_outcome_reset(&outcome);
  return st;
}

static pmn_status check_put(void *arg, pmn_http_answer *answer, pmn_err *err) {
  return pmn_s3_stored_check(arg, answer, err);
}

static pmn_status put_once(pmn_s3 *s3, const char *bucket, const char *key, const void *bytes, size_t size,
    const pmn_s3_md5 *md5, bool only_new, pmn_s3_outcome *outcome, pmn_err *err) {
  const pmn_s3_call call = {
      .method = "PUT",
      .bucket = bucket,
      .key = key,
      .headers = {{"content-md5", md5->base64}, {"content-type", "application/octet-stream"}, {"if-none-match", "*"}},
      .header_count = only_new ? 3 : 2,
      .body = bytes,
      .body_size = size,
      .answer_max = ANSWER_MAX,
      .denied = PMN_STATUS_WRITE,
      .check = check_put,
      .check_arg = (void *)(uintptr_t)md5,
  };
  return pmn_s3_call_run(s3, &call, outcome, err);
}

/* Where an answer was lost the object that is there is ours: the request was sent again, by libcurl itself if the
 * connection had been used before. */
static pmn_status judge_existing(
    pmn_s3 *s3, const char *bucket, const char *key, const void *bytes, size_t size, pmn_err *err) {
  pmn_buf found;
  pmn_buf_init(&found, size);
  bool ours = pmn_s3_get(s3, bucket, key, -1, NULL, &found, NULL) == PMN_STATUS_OK && found.size == size &&
              (size == 0 || memcmp(found.data, bytes, size) == 0);
  pmn_buf_reset(&found);
  if (ours) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_EXISTS, 0, "s3://%.60s/%.200s is there already", bucket, key);
}

pmn_status pmn_s3_put(
    pmn_s3 *s3, const char *bucket, const char *key, const void *bytes, size_t size, bool only_new, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_outcome outcome = {0};
  pmn_s3_md5 md5;
  int64_t there = -1;
  char etag[PMN_S3_ETAG];
  bool missing;
  PMN_TRY(pmn_s3_md5_compute(bytes, size, &md5, err));
  st = put_once(s3, bucket, key, bytes, size, &md5, only_new, &outcome, err);
  if (st == PMN_STATUS_OK || !only_new) goto done;
  int32_t code = outcome.answer.code;
  if (code == 412 || code == 409) {
    st = judge_existing(s3, bucket, key, bytes, size, err);
  } else if (code == 501 || code == 400) {
    /* The condition may be what this server does not know; if it is not, the next PUT says so. */
    st = look(s3, bucket, key, &there, etag, &missing, err);
    if (st == PMN_STATUS_OK) st = judge_existing(s3, bucket, key, bytes, size, err);
    if (!missing) goto done;
    pmn_s3_outcome_reset(&outcome);
    st = put_once(s3, bucket, key, bytes, size, &md5, false, &outcome, err);
  }
done:
  pmn_s3_outcome_reset(&outcome);
  return st;
}

/* DELETE, for which `gone` is as good as done. */
static pmn_status delete_or_gone(
    pmn_s3 *s3, const char *bucket, const char *key, const char *upload_id, const char *gone, pmn_err *err) {
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {
      .method = "DELETE",
      .bucket = bucket,
      .key = key,
      .query = {{"uploadId", upload_id}},
      .query_count = upload_id != NULL ? 1 : 0,
      .answer_max = ANSWER_MAX,
      .denied = PMN_STATUS_WRITE,
  };
  pmn_status st = pmn_s3_call_run(s3, &call, &outcome, err);
  if (st != PMN_STATUS_OK && strcmp(outcome.code, gone) == 0) st = PMN_STATUS_OK;
  if (st != PMN_STATUS_OK && st != PMN_STATUS_INTERRUPTED) {
    pthread_mutex_lock(&s3->lock);
    s3->undeleted = outcome.error;
    pthread_mutex_unlock(&s3->lock);
  }
  pmn_s3_outcome_reset(&outcome);
  return st;
}

pmn_status pmn_s3_delete(pmn_s3 *s3, const char *bucket, const char *key, pmn_err *err) {
  return delete_or_gone(s3, bucket, key, NULL, "NoSuchKey", err);
}

pmn_status pmn_s3_abort(pmn_s3 *s3, const char *bucket, const char *key, const char *upload_id, pmn_err *err) {
  return delete_or_gone(s3, bucket, key, upload_id, "NoSuchUpload", err);
}

/* ----------------------------------------------------------------------------------------------- making visible -- */

/* What a description says, and what completing it brings to light. */
typedef struct completion {
  json_t *json;
  const char *upload_id; /* of json */
  size_t parts;
  int64_t size;
  bool opaque;            /* ETags are no MD5s here: only the number of parts can be told from the object's */
  char etag[PMN_S3_ETAG]; /* of the object: "MD5 of the parts' MD5s-N", or "-N" */
  pmn_buf body;
  char code[PMN_S3_CODE]; /* of an error inside a 200; "": none */
} completion;

static pmn_status read_parts(completion *self, const json_t *parts, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_md5 md5;
  pmn_buf sums;
  pmn_buf_init(&sums, COMPLETE_MAX);
  self->parts = json_array_size(parts);
  PMN_TRY(
      pmn_buf_printf(&self->body, err, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"));
  for (size_t i = 0; i < self->parts; i++) {
    json_int_t size;
    const char *etag;
    unsigned char sum[16] = {0};
    bool good = json_unpack(json_array_get(parts, i), "[I, s!]", &size, &etag) == 0 && size > 0 &&
                strlen(etag) < PMN_S3_ETAG && strpbrk(etag, "<>&") == NULL &&
                !__builtin_add_overflow(self->size, size, &self->size);
    if (good && !pmn_s3_md5_parse(etag, sum)) good = self->opaque;
    if (!good) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "part %zu of an upload is not described as it should be", i + 1);
    PMN_TRY(pmn_buf_append(&sums, sum, sizeof sum, err));
    PMN_TRY(pmn_buf_printf(&self->body, err, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1, etag));
  }
  PMN_TRY(pmn_buf_printf(&self->body, err, "</CompleteMultipartUpload>"));
  PMN_TRY(pmn_s3_md5_compute(sums.data, sums.size, &md5, err));
  if (self->opaque) {
    snprintf(self->etag, sizeof self->etag, "-%zu\"", self->parts);
  } else {
    snprintf(self->etag, sizeof self->etag, "\"%s-%zu\"", md5.hex, self->parts);
  }
done:
  pmn_buf_reset(&sums);
  return st;
}

static pmn_status read_description(completion *self, const char *text, pmn_err *err) {
  json_t *parts;
  int opaque;
  self->json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  if (self->json == NULL ||
      json_unpack(
          self->json, "{s: s, s: b, s: o!}", "upload_id", &self->upload_id, "opaque", &opaque, "parts", &parts) != 0 ||
      !json_is_array(parts) || self->upload_id[0] == '\0') {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "the description of an upload is damaged");
  }
  self->opaque = opaque != 0;
  return read_parts(self, parts, err);
}

static pmn_status take_nothing(void *arg, const char *path, const char *text, pmn_err *err) {
  (void)arg;
  (void)path;
  (void)text;
  (void)err;
  return PMN_STATUS_OK;
}

/* S3 says 200 before it has done the work, and may have to add that it did not. */
static pmn_status check_completed(void *arg, pmn_http_answer *answer, pmn_err *err) {
  completion *self = arg;
  pmn_s3_refusal refusal;
  self->code[0] = '\0';
  pmn_status st = pmn_s3_xml_parse(&answer->body, "CompleteMultipartUploadResult", take_nothing, NULL, err);
  if (st == PMN_STATUS_OK) return st;
  pmn_s3_refusal_read(answer, false, false, &refusal);
  if (refusal.code[0] == '\0') return st;
  snprintf(self->code, sizeof self->code, "%s", refusal.code);
  bool again = refusal.cure == PMN_S3_CURE_AGAIN || refusal.cure == PMN_S3_CURE_SLOWER;
  return pmn_err_set(err, again ? PMN_STATUS_NETWORK : PMN_STATUS_WRITE, 200,
      "the server began with 200, then said %s: %s", refusal.code, refusal.message);
}

/* The upload is no more: because an earlier call completed it? */
static pmn_status find_completed(
    pmn_s3 *s3, const char *bucket, const char *key, const completion *want, pmn_err *err) {
  int64_t size = 0;
  char etag[PMN_S3_ETAG];
  bool missing;
  pmn_status st = look(s3, bucket, key, &size, etag, &missing, err);
  if (missing) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, 0, "s3://%.60s/%.200s: its upload is gone, and so is what it held", bucket, key);
  }
  if (st != PMN_STATUS_OK) return st;
  size_t length = strlen(etag), tail = strlen(want->etag);
  if (size != want->size || length < tail || strcmp(etag + length - tail, want->etag) != 0) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "s3://%.60s/%.200s: its upload is gone, and another object has this name", bucket, key);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_s3_complete(pmn_s3 *s3, const char *bucket, const char *key, const char *description, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_outcome outcome = {0};
  completion self = {0};
  pmn_buf_init(&self.body, COMPLETE_MAX);
  PMN_TRY(read_description(&self, description, err));
  if (self.parts == 0) {
    PMN_TRY(pmn_s3_put(s3, bucket, key, NULL, 0, false, err));
    st = pmn_s3_abort(s3, bucket, key, self.upload_id, err);
    goto done;
  }
  const pmn_s3_call call = {
      .method = "POST",
      .bucket = bucket,
      .key = key,
      .query = {{"uploadId", self.upload_id}},
      .query_count = 1,
      .headers = {{"content-type", "application/xml"}},
      .header_count = 1,
      .body = self.body.data,
      .body_size = self.body.size,
      .answer_max = ANSWER_MAX,
      .denied = PMN_STATUS_WRITE,
      .stall_seconds = COMPLETE_SECONDS,
      .check = check_completed,
      .check_arg = &self,
  };
  st = pmn_s3_call_run(s3, &call, &outcome, err);
  const char *code = st == PMN_STATUS_OK ? "" : outcome.code[0] != '\0' ? outcome.code : self.code;
  if (strcmp(code, "NoSuchUpload") == 0) {
    st = find_completed(s3, bucket, key, &self, err);
  } else if (strcmp(code, "InvalidPart") == 0) {
    PMN_FAIL(
        err, PMN_STATUS_NOT_FOUND, "s3://%.60s/%.200s: the server does not have the parts that were sent", bucket, key);
  }
done:
  pmn_s3_outcome_reset(&outcome);
  pmn_buf_reset(&self.body);
  json_decref(self.json);
  return st;
}

/* -------------------------------------------------------------------------------------------- uploads under way -- */

/* One answer: for each upload its key and its ID, each ended by a NUL. */
typedef struct uploads_page {
  pmn_buf texts, key, id; /* key, id: of the one being read */
  bool truncated, encoded;
} uploads_page;

static pmn_status set_text(pmn_buf *to, const char *text, pmn_err *err) {
  pmn_buf_clear(to);
  return pmn_buf_append(to, text, strlen(text), err);
}

static pmn_status take_upload(void *arg, const char *path, const char *text, pmn_err *err) {
  uploads_page *self = arg;
  pmn_status st = PMN_STATUS_OK;
  if (strcmp(path, "Upload/Key") == 0) return set_text(&self->key, text, err);
  if (strcmp(path, "Upload/UploadId") == 0) return set_text(&self->id, text, err);
  if (strcmp(path, "IsTruncated") == 0) self->truncated = strcmp(text, "true") == 0;
  if (strcmp(path, "EncodingType") == 0) self->encoded = strcmp(text, "url") == 0;
  if (strcmp(path, "Upload") != 0) return PMN_STATUS_OK;
  if (self->key.size == 0 || self->id.size == 0) {
    PMN_FAIL(err, PMN_STATUS_NETWORK, "the answer lists an upload without key or ID: it is not S3's");
  }
  PMN_TRY(pmn_buf_append(&self->texts, self->key.data, self->key.size + 1, err));
  PMN_TRY(pmn_buf_append(&self->texts, self->id.data, self->id.size + 1, err));
  pmn_buf_clear(&self->key);
  pmn_buf_clear(&self->id);
done:
  return st;
}

static pmn_status check_page(void *arg, pmn_http_answer *answer, pmn_err *err) {
  uploads_page *self = arg;
  pmn_buf_clear(&self->texts);
  pmn_buf_clear(&self->key);
  pmn_buf_clear(&self->id);
  self->truncated = self->encoded = false;
  return pmn_s3_xml_parse(&answer->body, "ListMultipartUploadsResult", take_upload, self, err);
}

/* `marker`: key and ID, each ended by a NUL, after which the page begins, replaced by the last ones of it. Not what the
 * answer calls the next markers: of those nobody can say whether they are encoded. */
static pmn_status list_page(pmn_s3 *s3, const char *bucket, const char *prefix, uploads_page *page, pmn_buf *marker,
    pmn_s3_each_upload *each, void *arg, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_outcome outcome = {0};
  pmn_s3_call call = {
      .method = "GET",
      .bucket = bucket,
      .query = {{"uploads", ""}, {"prefix", prefix}, {"encoding-type", "url"}},
      .query_count = 3,
      .answer_max = PAGE_MAX,
      .denied = PMN_STATUS_NOT_FOUND,
      .check = check_page,
      .check_arg = page,
  };
  if (marker->size > 0) {
    call.query[call.query_count++] = (pmn_s3_pair){"key-marker", marker->data};
    call.query[call.query_count++] = (pmn_s3_pair){"upload-id-marker", marker->data + strlen(marker->data) + 1};
  }
  PMN_TRY(pmn_s3_call_run(s3, &call, &outcome, err));
  for (size_t at = 0; at < page->texts.size;) {
    const char *listed = page->texts.data + at, *upload_id = listed + strlen(listed) + 1;
    at += strlen(listed) + strlen(upload_id) + 2;
    PMN_TRY(page->encoded ? pmn_s3_url_decode(listed, &page->key, err) : set_text(&page->key, listed, err));
    PMN_TRY(set_text(marker, page->key.data, err));
    PMN_TRY(pmn_buf_append(marker, "", 1, err));
    PMN_TRY(pmn_buf_append(marker, upload_id, strlen(upload_id) + 1, err));
    PMN_TRY(each(arg, marker->data, upload_id, err));
  }
done:
  pmn_s3_outcome_reset(&outcome);
  return st;
}

pmn_status pmn_s3_list_uploads(
    pmn_s3 *s3, const char *bucket, const char *prefix, pmn_s3_each_upload *each, void *arg, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uploads_page page = {0};
  pmn_buf marker, before;
  pmn_buf_init(&page.texts, PAGE_MAX);
  pmn_buf_init(&page.key, PAGE_MAX);
  pmn_buf_init(&page.id, PAGE_MAX);
  pmn_buf_init(&marker, PAGE_MAX);
  pmn_buf_init(&before, PAGE_MAX);
  for (uint64_t pages = 1;; pages++) {
    PMN_TRY(list_page(s3, bucket, prefix, &page, &marker, each, arg, err));
    if (!page.truncated) break;
    if (marker.size == before.size && (marker.size == 0 || memcmp(marker.data, before.data, marker.size) == 0)) {
      PMN_FAIL(err, PMN_STATUS_NETWORK, "s3://%.60s: the server does not get on listing its uploads", bucket);
    }
    if ((pages & (pages - 1)) == 0) { /* where it was at the last power of two: finds circles of any length (Brent) */
      pmn_buf_clear(&before);
      PMN_TRY(pmn_buf_append(&before, marker.data, marker.size, err));
    }
  }
done:
  pmn_buf_reset(&page.texts);
  pmn_buf_reset(&page.key);
  pmn_buf_reset(&page.id);
  pmn_buf_reset(&marker);
  pmn_buf_reset(&before);
  return st;
}
