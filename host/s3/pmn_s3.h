/* pmn_s3.h - a client of S3: listing, reading, writing. Blocking calls, from any number of threads at once.
 *
 * Each call signs, sends, checks lengths and ETags, and tries again what may pass: broken lines, 5xx, 429, SlowDown
 * (fewer requests at once from then on), RequestTimeout, expired keys, a clock that is off (once), a bucket of another
 * region (once). Tries end after attempts_max, when the client's budget of retries is spent, or when a line that was
 * good has been dead for 45 seconds.
 *
 * Errors of all calls: PMN_STATUS_ARGUMENT (no credentials, bad name; pmn_s3_get and pmn_s3_head also: access
 * denied, which must not pass for "there is none"), PMN_STATUS_NOT_FOUND (no such bucket or key; listings and readers
 * also: access denied), PMN_STATUS_WRITE (nowhere to write to, denied), PMN_STATUS_NETWORK (gave up; may pass),
 * PMN_STATUS_KEYS (expired, refused), PMN_STATUS_INTERRUPTED, PMN_STATUS_NO_MEMORY.
 */
#ifndef PMN_S3_H
#define PMN_S3_H

#include "pmn_buf.h"
#include "pmn_s3_config.h"

typedef struct pmn_s3 pmn_s3;

enum { PMN_S3_ETAG = 136, PMN_S3_IN_FLIGHT = 64 };

/* Starts with "s3://"; whether the rest makes sense, pmn_s3_uri_split says. */
bool pmn_s3_is_uri(const char *text);
/* Parts of "s3://bucket/key". *bucket is appended; *key points into uri, "" if there is none. PMN_STATUS_ARGUMENT for
 * impossible bucket names. */
PMN_MUST_USE pmn_status pmn_s3_uri_split(const char *uri, pmn_buf *bucket, const char **key, pmn_err *err);

typedef struct pmn_s3_options {
  pmn_s3_flags flags;
  const volatile sig_atomic_t *stop;
} pmn_s3_options;
PMN_MUST_USE pmn_status pmn_s3_create(const pmn_s3_options *options, pmn_s3 **s3, pmn_err *err);
/* Readers and uploads go first. NULL is fine. */
void pmn_s3_destroy(pmn_s3 *s3);

typedef struct pmn_s3_object {
  const char *key; /* raw bytes, decoded */
  int64_t size;
  const char *etag; /* with its quotes */
} pmn_s3_object;

/* Every object whose key starts with `prefix`, in byte-wise order of the keys (checked: a server that lists otherwise
 * is PMN_STATUS_NOT_FOUND, as is a bucket that is not there), page by page; `each` is called for one object after the
 * other in the calling thread, texts borrowed for the call; an error it returns ends the listing. */
typedef pmn_status pmn_s3_each(void *arg, const pmn_s3_object *object, pmn_err *err);
PMN_MUST_USE pmn_status pmn_s3_list(
    pmn_s3 *s3, const char *bucket, const char *prefix, pmn_s3_each *each, void *arg, pmn_err *err);

/* The whole object; `bytes` is replaced, bytes->max caps it. `size` -1 or as listed, `etag` NULL or as listed: an
 * object that has changed since is PMN_STATUS_NOT_FOUND and says so; a body that was cut is tried again. Where the ETag
 * is the MD5 (32 hex digits and no SSE), it is compared. */
PMN_MUST_USE pmn_status pmn_s3_get(
    pmn_s3 *s3, const char *bucket, const char *key, int64_t size, const char *etag, pmn_buf *bytes, pmn_err *err);
/* Bytes [at, at + size) of an object, which must have them, and more than them; size 1 or more. `bytes` is replaced.
 * Only their number can be checked. PMN_STATUS_NOT_FOUND also for a server that gives no parts of objects. */
PMN_MUST_USE pmn_status pmn_s3_get_range(pmn_s3 *s3, const char *bucket, const char *key, int64_t at, size_t size,
    const char *etag, pmn_buf *bytes, pmn_err *err);
/* Many objects, fetched ahead: at most PMN_S3_IN_FLIGHT at once (fewer when the server asks for it), at most `ahead`
 * objects or bytes_max bytes beyond the last one taken. `name` is asked for the i-th object, i from 0 to count-1, from
 * threads of the client; texts must live as long as the reader. */
typedef struct pmn_s3_reader pmn_s3_reader;
typedef struct pmn_s3_reader_options {
  int64_t count, ahead;
  size_t bytes_max;  /* of bodies under way or waiting, but one always may; of unknown size: 1 MiB until it is there */
  size_t object_max; /* a larger object is an error of its own, before memory is taken */
  void (*name)(void *arg, int64_t i, const char **bucket, pmn_s3_object *object); /* size -1: not known */
  void *arg;
} pmn_s3_reader_options;
PMN_MUST_USE pmn_status pmn_s3_reader_create(
    pmn_s3 *s3, const pmn_s3_reader_options *options, pmn_s3_reader **reader, pmn_err *err);
/* Waits for object i; each may be taken once, by any thread, roughly in order: one that is `ahead` or more beyond the
 * first one not taken waits for that. Errors are the object's own; bytes->max caps it too. */
PMN_MUST_USE pmn_status pmn_s3_reader_take(pmn_s3_reader *reader, int64_t i, pmn_buf *bytes, pmn_err *err);
/* Cancels what is under way. NULL is fine. */
void pmn_s3_reader_destroy(pmn_s3_reader *reader);

/* A small object in one request. `only_new`: PMN_STATUS_EXISTS if there is one with other bytes (If-None-Match: *; a
 * server that does not know this is asked with HEAD first, and then two clients can both pass in one moment). Bytes of
 * its own, a random number say, tell a client's object from another's after a lost answer. */
PMN_MUST_USE pmn_status pmn_s3_put(
    pmn_s3 *s3, const char *bucket, const char *key, const void *bytes, size_t size, bool only_new, pmn_err *err);
/* Size and ETag; PMN_STATUS_NOT_FOUND without a message's fuss if there is none. */
PMN_MUST_USE pmn_status pmn_s3_head(
    pmn_s3 *s3, const char *bucket, const char *key, int64_t *size, char etag[PMN_S3_ETAG], pmn_err *err);
/* Seconds since the object was written, by the server's clock alone: what the clocks of clients say does not matter.
 * PMN_STATUS_NOT_FOUND if there is none, PMN_STATUS_NETWORK if the server does not say. */
PMN_MUST_USE pmn_status pmn_s3_age(pmn_s3 *s3, const char *bucket, const char *key, int64_t *seconds, pmn_err *err);
/* It is no error if there is none. */
PMN_MUST_USE pmn_status pmn_s3_delete(pmn_s3 *s3, const char *bucket, const char *key, pmn_err *err);

/* A large object in parts, invisible until it is completed. One thread at a time per upload. */
typedef struct pmn_s3_upload pmn_s3_upload;
/* Of up to 10,000 parts of 8 MiB, which is 78 GiB. */
PMN_MUST_USE pmn_status pmn_s3_upload_create(
    pmn_s3 *s3, const char *bucket, const char *key, pmn_s3_upload **upload, pmn_err *err);
/* Buffers parts of 8 MiB and sends them in the background, a few at once: errors may come later, at the latest
 * from finish. */
PMN_MUST_USE pmn_status pmn_s3_upload_write(pmn_s3_upload *upload, const void *bytes, size_t size, pmn_err *err);
/* Replaces bytes at the start of the object: the first part waits for this until finish. size <= 8 MiB, all of it
 * written before. */
PMN_MUST_USE pmn_status pmn_s3_upload_rewrite_head(pmn_s3_upload *upload, const void *bytes, size_t size, pmn_err *err);
/* Sends the rest and waits until the server has it all. Then pmn_s3_upload_describe appends what completing takes, as
 * one line of JSON {"upload_id", "opaque", "parts": [[size, etag], ...]}, to be kept in a journal; opaque: ETags are no
 * MD5s, as with SSE-KMS. */
PMN_MUST_USE pmn_status pmn_s3_upload_finish(pmn_s3_upload *upload, pmn_err *err);
PMN_MUST_USE pmn_status pmn_s3_upload_describe(pmn_s3_upload *upload, pmn_buf *json, pmn_err *err);
/* Makes a finished upload visible at once, as pmn_s3_complete does; one that cannot be is aborted by destroy. */
PMN_MUST_USE pmn_status pmn_s3_upload_complete(pmn_s3_upload *upload, pmn_err *err);
/* Frees, and aborts unless it was described: then who has the description completes or aborts it. Once the stop flag is
 * up nothing can be sent: the upload stays, invisible, for pmn_s3_list_uploads. NULL is fine. */
void pmn_s3_upload_destroy(pmn_s3_upload *upload);
/* Makes a finished upload visible. Idempotent: if the upload is gone because an answer was lost, the object is held
 * against size and ETag; PMN_STATUS_NOT_FOUND if it is another one or none, or parts are missing. A 200 that carries an
 * error is an error. */
PMN_MUST_USE pmn_status pmn_s3_complete(
    pmn_s3 *s3, const char *bucket, const char *key, const char *description, pmn_err *err);
/* It is no error if there is no such upload. */
PMN_MUST_USE pmn_status pmn_s3_abort(
    pmn_s3 *s3, const char *bucket, const char *key, const char *upload_id, pmn_err *err);
/* Uploads under way whose keys start with `prefix`. */
typedef pmn_status pmn_s3_each_upload(void *arg, const char *key, const char *upload_id, pmn_err *err);
PMN_MUST_USE pmn_status pmn_s3_list_uploads(
    pmn_s3 *s3, const char *bucket, const char *prefix, pmn_s3_each_upload *each, void *arg, pmn_err *err);

/* Has a delete or an abort failed, whoever asked for it, and why? Interruptions do not count. */
bool pmn_s3_undeleted(pmn_s3 *s3, pmn_err *why);

/* One line without secrets for records and doctor: endpoint, region, source of the keys. Borrowed. */
const char *pmn_s3_describe(const pmn_s3 *s3);

#endif
