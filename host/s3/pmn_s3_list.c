/* pmn_s3_list.c - what is in a bucket: ListObjectsV2, page by page; see pmn_s3.h.
 *
 * Workload: up to many millions of objects, a thousand on a page. While the caller works on one page the next is on its
 * way; its continuation token is known as soon as a page is there, and goes back as it came.
 */
#include "pmn_latch.h"
#include "pmn_mem.h"
#include "pmn_s3_call.h"
#include "pmn_s3_xml.h"
#include "pmn_text.h"

#include <stdio.h>
#include <string.h>

enum {
  PAGE_MAX = 16 << 20, /* a thousand keys of a kilobyte, three characters for each byte, take less than 4 MiB */
  ENTRIES_MAX = 1 << 20,
  KEY_MAX = 16 << 10, /* as long as any text of an answer can be */
  TOKEN_MAX = 16 << 10,
  EMPTY_MAX = 100, /* pages in a row that hold nothing */
};

/* Offsets into a page's texts. */
typedef struct entry {
  size_t key, etag;
  int64_t size;
} entry;

typedef struct page {
  pmn_s3_call call;
  pmn_s3_outcome outcome;
  char asked[TOKEN_MAX]; /* the token it is asked for with; "" for the first page */
  pmn_latch here;        /* closed while it is under way */

  /* what the answer says, as it says it */
  pmn_buf texts, entries;
  char token[TOKEN_MAX];
  bool truncated, encoded;
  entry next; /* size -1, key or etag SIZE_MAX: not said yet */
} page;

typedef struct listing {
  pmn_s3 *s3;
  const char *bucket, *prefix;
  volatile sig_atomic_t stop;
  page pages[2];
  pmn_buf key, last; /* decoded: of this object, and of the one before */
} listing;

/* ------------------------------------------------------------------------------------------------------ a page -- */

static pmn_status keep_text(page *self, const char *text, size_t *at, pmn_err *err) {
  *at = self->texts.size;
  return pmn_buf_append(&self->texts, text, strlen(text) + 1, err);
}

static pmn_status fail_page(const char *what, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the listing is not as S3 writes it: %s", what);
}

static pmn_status take_text(void *arg, const char *path, const char *text, pmn_err *err) {
  static const entry none = {.key = SIZE_MAX, .etag = SIZE_MAX, .size = -1};
  page *self = arg;
  pmn_status st = PMN_STATUS_OK;
  if (strcmp(path, "Contents/Key") == 0) return keep_text(self, text, &self->next.key, err);
  if (strcmp(path, "Contents/ETag") == 0) return keep_text(self, text, &self->next.etag, err);
  if (strcmp(path, "Contents/Size") == 0 && !pmn_text_int64(text, 0, INT64_MAX, &self->next.size)) {
    return fail_page("a size that is no number", err);
  }
  if (strcmp(path, "IsTruncated") == 0) self->truncated = strcmp(text, "true") == 0;
  if (strcmp(path, "EncodingType") == 0) self->encoded = strcmp(text, "url") == 0;
  if (strcmp(path, "NextContinuationToken") == 0) {
    if (strlen(text) >= sizeof self->token) return fail_page("a continuation token that is too long", err);
    memcpy(self->token, text, strlen(text) + 1);
  }
  if (strcmp(path, "Contents") == 0) {
    if (self->next.key == SIZE_MAX || self->next.size < 0) return fail_page("an object without key or size", err);
    if (self->next.etag == SIZE_MAX) PMN_TRY(keep_text(self, "", &self->next.etag, err));
    PMN_TRY(pmn_buf_append(&self->entries, &self->next, sizeof self->next, err));
    self->next = none;
  }
done:
  return st;
}

static pmn_status check_page(void *arg, pmn_http_answer *answer, pmn_err *err) {
  page *self = arg;
  pmn_buf_clear(&self->texts);
  pmn_buf_clear(&self->entries);
  self->truncated = self->encoded = false;
  self->token[0] = '\0';
  self->next = (entry){.key = SIZE_MAX, .etag = SIZE_MAX, .size = -1};
  pmn_status st = pmn_s3_xml_parse(&answer->body, "ListBucketResult", take_text, self, err);
  pmn_buf_reset(&answer->body);
  if (st == PMN_STATUS_OK && self->truncated && self->token[0] == '\0') {
    st = fail_page("there is more, but no continuation token", err);
  }
  return st;
}

static void on_page(void *arg, pmn_s3_outcome *outcome) {
  page *self = arg;
  (void)outcome;
  pmn_latch_open(&self->here);
}

static pmn_status ask_for_page(listing *self, page *one, const char *token, pmn_err *err) {
  snprintf(one->asked, sizeof one->asked, "%s", token);
  one->call = (pmn_s3_call){
      .method = "GET",
      .bucket = self->bucket,
      .query = {{"list-type", "2"}, {"encoding-type", "url"}, {"prefix", self->prefix},
          {"continuation-token", one->asked}},
      .query_count = one->asked[0] != '\0' ? 4 : 3,
      .answer_max = PAGE_MAX,
      .denied = PMN_STATUS_NOT_FOUND,
      .stop = &self->stop,
      .check = check_page,
      .check_arg = one,
  };
  pmn_latch_close(&one->here);
  pmn_status st = pmn_s3_call_start(self->s3, &one->call, &one->outcome, on_page, one, err);
  if (st != PMN_STATUS_OK) pmn_latch_open(&one->here);
  return st;
}

/* ---------------------------------------------------------------------------------------------------- all pages -- */

static pmn_status check_key(listing *self, pmn_err *err) {
  const char *key = self->key.data;
  if (strncmp(key, self->prefix, strlen(self->prefix)) != 0) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "s3://%.63s/%.120s: the server lists %.120s, which is elsewhere",
        self->bucket, self->prefix, key);
  }
  if (self->last.data != NULL && strcmp(self->last.data, key) >= 0) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "s3://%.63s: the server lists %.120s after %.120s; only byte-wise order is understood", self->bucket, key,
        self->last.data);
  }
  return PMN_STATUS_OK;
}

static pmn_status work_on_page(listing *self, const page *one, pmn_s3_each *each, void *arg, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const entry *entries = (const entry *)(const void *)one->entries.data;
  for (size_t i = 0; i < one->entries.size / sizeof *entries; i++) {
    const char *key = one->texts.data + entries[i].key, *etag = one->texts.data + entries[i].etag;
    if (one->encoded) {
      PMN_TRY(pmn_s3_url_decode(key, &self->key, err));
    } else {
      pmn_buf_clear(&self->key);
      PMN_TRY(pmn_buf_append(&self->key, key, strlen(key), err));
    }
    PMN_TRY(check_key(self, err));
    const pmn_s3_object object = {
        .key = self->key.data, .size = entries[i].size, .etag = strlen(etag) < PMN_S3_ETAG ? etag : ""};
    PMN_TRY(each(arg, &object, err));
    pmn_buf swap = self->last;
    self->last = self->key;
    self->key = swap;
  }
done:
  return st;
}

/* `empty` counts pages in a row that held nothing. */
static pmn_status check_progress(const listing *self, const page *one, int *empty, pmn_err *err) {
  *empty = one->entries.size > 0 ? 0 : *empty + 1;
  if (!one->truncated || (strcmp(one->token, one->asked) != 0 && *empty < EMPTY_MAX)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "s3://%.63s/%.200s: the server's listing goes in circles: %s",
      self->bucket, self->prefix, *empty < EMPTY_MAX ? "a continuation token comes again" : "page after page is empty");
}

static pmn_status list_pages(listing *self, pmn_s3_each *each, void *arg, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int empty = 0;
  PMN_TRY(ask_for_page(self, &self->pages[0], "", err));
  for (int turn = 0;; turn = 1 - turn) {
    page *one = &self->pages[turn];
    pmn_latch_wait(&one->here);
    if (one->outcome.status != PMN_STATUS_OK) {
      *err = one->outcome.error;
      st = one->outcome.status;
      goto done;
    }
    PMN_TRY(check_progress(self, one, &empty, err));
    if (one->truncated) PMN_TRY(ask_for_page(self, &self->pages[1 - turn], one->token, err));
    PMN_TRY(work_on_page(self, one, each, arg, err));
    if (!one->truncated) break;
  }
done:
  __atomic_store_n(&self->stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 2; i++) pmn_latch_wait(&self->pages[i].here);
  return st;
}

pmn_status pmn_s3_list(pmn_s3 *s3, const char *bucket, const char *prefix, pmn_s3_each *each, void *arg, pmn_err *err) {
  pmn_err unused;
  listing *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a listing");
  self->s3 = s3;
  self->bucket = bucket;
  self->prefix = prefix;
  pmn_buf_init(&self->key, KEY_MAX);
  pmn_buf_init(&self->last, KEY_MAX);
  for (int i = 0; i < 2; i++) {
    pmn_buf_init(&self->pages[i].texts, PAGE_MAX);
    pmn_buf_init(&self->pages[i].entries, ENTRIES_MAX * sizeof(entry));
    pmn_latch_init(&self->pages[i].here, true);
  }
  pmn_status st = list_pages(self, each, arg, err != NULL ? err : &unused);
  for (int i = 0; i < 2; i++) {
    pmn_s3_outcome_reset(&self->pages[i].outcome);
    pmn_buf_reset(&self->pages[i].texts);
    pmn_buf_reset(&self->pages[i].entries);
    pmn_latch_destroy(&self->pages[i].here);
  }
  pmn_buf_reset(&self->key);
  pmn_buf_reset(&self->last);
  pmn_free(self);
  return st;
}
