/* pmn_s3_call.h - one call of S3 with its signature and its retries; private to the room. */
#ifndef PMN_S3_CALL_H
#define PMN_S3_CALL_H

#include "pmn_http.h"
#include "pmn_s3.h"
#include "pmn_s3_sign.h"

enum { PMN_S3_CODE = 64 };

/* Borrowed until the outcome is there. */
typedef struct pmn_s3_call {
  const char *method, *bucket;
  const char *key; /* raw bytes without a leading slash; NULL: the bucket itself */
  pmn_s3_pair query[PMN_S3_PAIRS_MAX];
  size_t query_count;
  pmn_s3_pair headers[PMN_S3_PAIRS_MAX]; /* signed; names in lower case */
  size_t header_count;
  const void *body;
  size_t body_size;
  size_t answer_max;
  /* ETag that the body is to have, NULL: any. A body with it, or with none, that is larger than answer_max was damaged
   * on its way or is not S3's, and is asked for again; with another it is another object. */
  const char *etag;
  double stall_seconds;              /* of its first try; 0, and all others: pmn_http's */
  const volatile sig_atomic_t *stop; /* non-zero: it ends with PMN_STATUS_INTERRUPTED; may be NULL */
  /* What denial is: PMN_STATUS_WRITE of all that writes, where a bucket that is not there is the same;
   * PMN_STATUS_NOT_FOUND where the input lacks something; PMN_STATUS_ARGUMENT where it must not pass for "none". */
  pmn_status denied;
  /* A 2xx answer is looked at before it is believed: PMN_STATUS_NETWORK from here means try again (a body that is not
   * what was promised, an error inside a 200); other errors are final. NULL: it is believed. */
  pmn_status (*check)(void *arg, pmn_http_answer *answer, pmn_err *err);
  void *check_arg;
} pmn_s3_call;

/* How a call ended; {0} before. `answer.code` is 2xx when `status` is OK; else `code` is S3's ("NoSuchKey", "" if none
 * came). */
typedef struct pmn_s3_outcome {
  pmn_status status;
  pmn_http_answer answer;
  char code[PMN_S3_CODE];
  int32_t tries; /* requests sent */
  pmn_err error;
} pmn_s3_outcome;
void pmn_s3_outcome_reset(pmn_s3_outcome *outcome);

/* Sends, tries again, waits. The outcome is the caller's, to be reset; its error is copied to err. */
PMN_MUST_USE pmn_status pmn_s3_call_run(pmn_s3 *s3, const pmn_s3_call *call, pmn_s3_outcome *outcome, pmn_err *err);
/* The same without waiting: `done` is called once from the client's thread and must not block; retries and pauses
 * happen before. */
typedef void pmn_s3_call_done(void *arg, pmn_s3_outcome *outcome);
PMN_MUST_USE pmn_status pmn_s3_call_start(
    pmn_s3 *s3, const pmn_s3_call *call, pmn_s3_outcome *outcome, pmn_s3_call_done *done, void *arg, pmn_err *err);

#endif
