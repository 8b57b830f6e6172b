/* pmn_s3_range.c - a piece of an object; see pmn_s3.h.
 *
 * Workload: objects of gigabytes, read from the beginning to the end in pieces of some megabytes. An ETag says nothing
 * of a piece's bytes, so that its length has to do: who needs more holds the whole against a hash of his own.
 */
#include "pmn_s3_call.h"
#include "pmn_s3_stored.h"

#include <stdio.h>

typedef struct piece {
  size_t size;
  const char *etag; /* NULL: not known */
} piece;

static pmn_status check_piece(void *arg, pmn_http_answer *answer, pmn_err *err) {
  const piece *self = arg;
  const char *etag = pmn_http_answer_header(answer, "etag");
  if (self->etag != NULL && etag[0] != '\0' && !pmn_s3_etag_equal(self->etag, etag)) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "it has changed since it was looked at (ETag %.40s, now %.40s)",
        self->etag, etag);
  }
  if (answer->code != 206) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, 0, "the server answers %d: it gives no parts of objects", (int)answer->code);
  }
  if (answer->body.size != self->size) {
    return pmn_err_set(
        err, PMN_STATUS_NETWORK, 0, "%zu bytes came where %zu were asked for", answer->body.size, self->size);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_s3_get_range(pmn_s3 *s3, const char *bucket, const char *key, int64_t at, size_t size, const char *etag,
    pmn_buf *bytes, pmn_err *err) {
  char range[64];
  piece wanted = {.size = size, .etag = etag};
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {
      .method = "GET",
      .bucket = bucket,
      .key = key,
      .headers = {{"range", range}},
      .header_count = 1,
      .answer_max = size,
      .check = check_piece,
      .check_arg = &wanted,
  };
  snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)at, (long long)at + (long long)size - 1);
  pmn_buf_clear(bytes);
  pmn_status st = pmn_s3_call_run(s3, &call, &outcome, err);
  if (st == PMN_STATUS_OK) {
    st = pmn_buf_append(bytes, outcome.answer.body.data, size, err);
  } else if (outcome.answer.too_large) {
    st = pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "s3://%.63s/%.240s: the server sends more than was asked for: it gives no parts of objects", bucket, key);
  }
  pmn_s3_outcome_reset(&outcome);
  return st;
}
