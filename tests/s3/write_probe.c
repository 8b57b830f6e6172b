/* write_probe.c - the writing calls of pmn_s3.h as a program, for check_write.py. Where the server is and who asks is
 * in the AWS_... variables. The exit code is the pmn_status, the message goes to standard error.
 *
 *   put BUCKET KEY FILE [new | kept]  kept: new, on a connection that was used before
 *   head BUCKET KEY                   delete BUCKET KEY
 *   abort BUCKET KEY ID               uploads BUCKET PREFIX     complete BUCKET KEY DESCRIPTION
 *   upload BUCKET KEY FILE PIECE HEAD END
 *                                     in writes of PIECE bytes; HEAD: a text that replaces the first bytes before
 *                                     finish; END: drop, kill (the process, before finish), describe, complete
 *   many BUCKET KEY FILE              four uploads at once, KEY.0 to KEY.3, from four threads
 */
#include "pmn_file.h"
#include "pmn_s3.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pmn_status print_upload(void *arg, const char *key, const char *upload_id, pmn_err *err) {
  (void)arg;
  (void)err;
  printf("%s\t%s\n", key, upload_id);
  return PMN_STATUS_OK;
}

static pmn_status write_in_pieces(pmn_s3_upload *upload, const pmn_buf *bytes, size_t piece, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t at = 0; at < bytes->size && st == PMN_STATUS_OK; at += piece) {
    size_t left = bytes->size - at;
    st = pmn_s3_upload_write(upload, bytes->data + at, left < piece ? left : piece, err);
  }
  return st;
}

/* words: PIECE HEAD END */
static pmn_status upload_file(
    pmn_s3 *s3, const char *bucket, const char *key, const pmn_buf *bytes, char *const *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_upload *upload = NULL;
  pmn_buf json;
  pmn_buf_init(&json, 1 << 20);
  const char *end = words[2];
  PMN_TRY(pmn_s3_upload_create(s3, bucket, key, &upload, err));
  PMN_TRY(write_in_pieces(upload, bytes, (size_t)strtoull(words[0], NULL, 10), err));
  PMN_TRY(pmn_s3_upload_rewrite_head(upload, words[1], strlen(words[1]), err));
  if (strcmp(end, "drop") == 0) goto done;
  if (strcmp(end, "kill") == 0) raise(SIGKILL);
  PMN_TRY(pmn_s3_upload_finish(upload, err));
  PMN_TRY(pmn_s3_upload_describe(upload, &json, err));
  if (strcmp(end, "describe") == 0)
    puts(json.data);
  else
    PMN_TRY(pmn_s3_complete(s3, bucket, key, json.data, err));
done:
  pmn_s3_upload_destroy(upload);
  pmn_buf_reset(&json);
  return st;
}

typedef struct one_of_many {
  pmn_s3 *s3;
  const char *bucket, *key;
  const pmn_buf *bytes;
  int number;
  pmn_status st;
  pmn_err err;
} one_of_many;

static void *upload_one(void *arg) {
  one_of_many *self = arg;
  char key[256], piece[] = "1000003", head[] = "", end[] = "complete";
  char *words[] = {piece, head, end};
  snprintf(key, sizeof key, "%s.%d", self->key, self->number);
  self->st = upload_file(self->s3, self->bucket, key, self->bytes, words, &self->err);
  return NULL;
}

static pmn_status upload_many(pmn_s3 *s3, const char *bucket, const char *key, const pmn_buf *bytes, pmn_err *err) {
  one_of_many all[4];
  pthread_t threads[4];
  pmn_status st = PMN_STATUS_OK;
  for (int i = 0; i < 4; i++) {
    all[i] = (one_of_many){s3, bucket, key, bytes, i, PMN_STATUS_OK, PMN_ERR_INIT};
    if (pthread_create(&threads[i], NULL, upload_one, &all[i]) != 0) abort();
  }
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    if (st == PMN_STATUS_OK && all[i].st != PMN_STATUS_OK) {
      st = all[i].st;
      *err = all[i].err;
    }
  }
  return st;
}

static pmn_status run(pmn_s3 *s3, int count, char *const *words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *verb = words[1], *bucket = words[2], *key = words[3];
  pmn_buf bytes;
  pmn_buf_init(&bytes, 1 << 30);
  if (count == 4 && strcmp(verb, "head") == 0) {
    int64_t size;
    char etag[PMN_S3_ETAG];
    PMN_TRY(pmn_s3_head(s3, bucket, key, &size, etag, err));
    printf("%lld %s\n", (long long)size, etag);
  } else if (count == 4 && strcmp(verb, "delete") == 0) {
    st = pmn_s3_delete(s3, bucket, key, err);
  } else if (count == 4 && strcmp(verb, "uploads") == 0) {
    st = pmn_s3_list_uploads(s3, bucket, key, print_upload, NULL, err);
  } else if (count == 5 && strcmp(verb, "abort") == 0) {
    st = pmn_s3_abort(s3, bucket, key, words[4], err);
  } else if (count == 5 && strcmp(verb, "complete") == 0) {
    st = pmn_s3_complete(s3, bucket, key, words[4], err);
  } else {
    PMN_TRY(pmn_file_read(words[4], &bytes, err));
    if (count <= 6 && strcmp(verb, "put") == 0) {
      bool kept = count == 6 && strcmp(words[5], "kept") == 0;
      if (kept) PMN_TRY(pmn_s3_list_uploads(s3, bucket, "none of this name", print_upload, NULL, err));
      st = pmn_s3_put(s3, bucket, key, bytes.data, bytes.size, count == 6, err);
    } else if (count == 8 && strcmp(verb, "upload") == 0) {
      st = upload_file(s3, bucket, key, &bytes, words + 5, err);
    } else if (count == 5 && strcmp(verb, "many") == 0) {
      st = upload_many(s3, bucket, key, &bytes, err);
    } else {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "see the head of write_probe.c");
    }
  }
done:
  pmn_buf_reset(&bytes);
  return st;
}

int main(int count, char **words) {
  const pmn_s3_options options = {.stop = NULL};
  pmn_s3 *s3 = NULL;
  pmn_err err = PMN_ERR_INIT;
  if (count < 4) return PMN_STATUS_ARGUMENT;
  pmn_status st = pmn_s3_create(&options, &s3, &err);
  if (st == PMN_STATUS_OK) st = run(s3, count, words, &err);
  if (st != PMN_STATUS_OK) fprintf(stderr, "%s\n", err.message);
  pmn_s3_destroy(s3);
  return (int)st;
}
