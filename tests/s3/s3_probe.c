/* s3_probe.c - the reading calls of pmn_s3.h as a program, for check_client.py and check_client_faults.py. Where the
 * server is and who asks is in the AWS_... variables. The exit code is the pmn_status, the message goes to standard
 * error. Keys are written in hex.
 *
 *   list BUCKET PREFIX        a line "KEY SIZE ETAG" for every object
 *   get BUCKET KEY SIZE       the bytes
 *   range BUCKET KEY AT SIZE ETAG   some of them; "-" for any ETag
 *   put BUCKET KEY TEXT       one request, signed as all are
 *   read BUCKET PREFIX AHEAD BYTES_MAX OBJECT_MAX THREADS TAKEN
 *                             lists, says "listed N" and waits for a line, then takes the first TAKEN objects by the
 *                             reader: a line "INDEX MD5" or "INDEX STATUS MESSAGE" for each. A negative AHEAD does not
 *                             tell the reader sizes and ETags
 *   head BUCKET KEY, delete BUCKET KEY, abort BUCKET KEY ID, uploads BUCKET PREFIX
 *                             for what is said when they are refused; write_probe.c has them in earnest
 *   describe - -
 *
 * PROBE_FLAGS, an environment variable: the letter "a" for --no-sign-request. SIGUSR1 raises the stop flag.
 */
#include "pmn_mem.h"
#include "pmn_s3_call.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t stop;
static void raise_stop(int number) {
  (void)number;
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

static pmn_status print_object(void *arg, const pmn_s3_object *object, pmn_err *err) {
  int64_t *left = arg;
  for (const char *p = object->key; *p != '\0'; p++) printf("%02x", (unsigned char)*p);
  printf(" %lld %s\n", (long long)object->size, object->etag);
  if (--*left == 0) return pmn_err_set(err, PMN_STATUS_WRITE, 0, "enough");
  return PMN_STATUS_OK;
}

typedef struct kept {
  char *key, *etag;
  int64_t size;
} kept;

typedef struct job {
  const char *bucket;
  kept *objects;
  int64_t count, capacity, taken;
  bool tell;
  atomic_llong next;
  pmn_s3_reader *reader;
  size_t object_max;
} job;

static pmn_status keep_object(void *arg, const pmn_s3_object *object, pmn_err *err) {
  job *self = arg;
  (void)err;
  if (self->count == self->capacity) {
    self->capacity = self->capacity * 2 + 64;
    self->objects = realloc(self->objects, (size_t)self->capacity * sizeof *self->objects);
  }
  if (self->objects == NULL) abort();
  self->objects[self->count++] = (kept){strdup(object->key), strdup(object->etag), object->size};
  return PMN_STATUS_OK;
}

static void name(void *arg, int64_t i, const char **bucket, pmn_s3_object *object) {
  const job *self = arg;
  const kept *o = &self->objects[i];
  *bucket = self->bucket;
  *object = (pmn_s3_object){o->key, self->tell ? o->size : -1, self->tell ? o->etag : NULL};
}

static void *take(void *arg) {
  job *self = arg;
  pmn_buf bytes;
  pmn_buf_init(&bytes, self->object_max);
  for (int64_t i; (i = atomic_fetch_add(&self->next, 1)) < self->taken;) {
    pmn_err err = PMN_ERR_INIT;
    pmn_status st = pmn_s3_reader_take(self->reader, i, &bytes, &err);
    unsigned char md5[16];
    char hex[33];
    size_t size = sizeof md5;
    if (st != PMN_STATUS_OK) {
      printf("%lld %d %s\n", (long long)i, (int)st, err.message);
    } else {
      if (EVP_Q_digest(NULL, "MD5", NULL, bytes.size > 0 ? bytes.data : "", bytes.size, md5, &size) != 1) abort();
      for (size_t k = 0; k < size; k++) snprintf(hex + 2 * k, 3, "%02x", md5[k]);
      printf("%lld %s\n", (long long)i, hex);
    }
  }
  pmn_buf_reset(&bytes);
  return NULL;
}

/* words: AHEAD BYTES_MAX OBJECT_MAX THREADS TAKEN */
static pmn_status read_all(pmn_s3 *s3, const char *bucket, const char *prefix, char **words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pthread_t threads[64];
  long long ahead = atoll(words[0]);
  int thread_count = atoi(words[3]);
  job self = {.bucket = bucket, .tell = ahead > 0, .object_max = (size_t)atoll(words[2])};
  PMN_TRY(pmn_s3_list(s3, bucket, prefix, keep_object, &self, err));
  printf("listed %lld\n", (long long)self.count);
  fflush(stdout);
  getchar();
  self.taken = atoll(words[4]) < self.count ? atoll(words[4]) : self.count;
  const pmn_s3_reader_options options = {
      .count = self.count,
      .ahead = ahead > 0 ? ahead : -ahead,
      .bytes_max = (size_t)atoll(words[1]),
      .object_max = self.object_max,
      .name = name,
      .arg = &self,
  };
  PMN_TRY(pmn_s3_reader_create(s3, &options, &self.reader, err));
  for (int i = 0; i < thread_count; i++) {
    if (pthread_create(&threads[i], NULL, take, &self) != 0) abort();
  }
  for (int i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
  fflush(stdout);
  getchar();
  pmn_s3_reader_destroy(self.reader);
done:
  for (int64_t i = 0; i < self.count; i++) {
    free(self.objects[i].key);
    free(self.objects[i].etag);
  }
  free(self.objects);
  return st;
}

static pmn_status put(pmn_s3 *s3, const char *bucket, const char *key, const char *text, pmn_err *err) {
  pmn_s3_outcome outcome = {0};
  const pmn_s3_call call = {.method = "PUT",
      .bucket = bucket,
      .key = key,
      .headers = {{"content-type", "text/plain"}},
      .header_count = 1,
      .body = text,
      .body_size = strlen(text),
      .answer_max = 1024,
      .denied = PMN_STATUS_WRITE};
  pmn_status st = pmn_s3_call_run(s3, &call, &outcome, err);
  pmn_s3_outcome_reset(&outcome);
  return st;
}

static pmn_status run(pmn_s3 *s3, int count, char **words, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *verb = words[1], *bucket = words[2], *key = words[3];
  pmn_buf bytes;
  pmn_buf_init(&bytes, 64 << 20);
  char etag[PMN_S3_ETAG];
  int64_t left = count == 5 ? atoll(words[4]) : -1;
  if (strcmp(verb, "list") == 0) {
    st = pmn_s3_list(s3, bucket, key, print_object, &left, err);
  } else if (count == 5 && strcmp(verb, "get") == 0) {
    PMN_TRY(pmn_s3_get(s3, bucket, key, left, NULL, &bytes, err));
    if (bytes.size > 0) fwrite(bytes.data, 1, bytes.size, stdout);
  } else if (count == 7 && strcmp(verb, "range") == 0) {
    const char *same = strcmp(words[6], "-") == 0 ? NULL : words[6];
    PMN_TRY(pmn_s3_get_range(s3, bucket, key, atoll(words[4]), (size_t)atoll(words[5]), same, &bytes, err));
    fwrite(bytes.data, 1, bytes.size, stdout);
  } else if (count == 9 && strcmp(verb, "read") == 0) {
    st = read_all(s3, bucket, key, words + 4, err);
  } else if (count == 5 && strcmp(verb, "put") == 0) {
    st = put(s3, bucket, key, words[4], err);
  } else if (strcmp(verb, "head") == 0) {
    st = pmn_s3_head(s3, bucket, key, &left, etag, err);
  } else if (strcmp(verb, "delete") == 0) {
    st = pmn_s3_delete(s3, bucket, key, err);
  } else if (count == 5 && strcmp(verb, "abort") == 0) {
    st = pmn_s3_abort(s3, bucket, key, words[4], err);
  } else if (strcmp(verb, "uploads") == 0) {
    st = pmn_s3_list_uploads(s3, bucket, key, NULL, NULL, err);
  } else if (strcmp(verb, "describe") == 0) {
    puts(pmn_s3_describe(s3));
  } else {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "see the head of s3_probe.c");
  }
done:
  pmn_buf_reset(&bytes);
  return st;
}

int main(int count, char **words) {
  const char *flags = getenv("PROBE_FLAGS");
  if (flags == NULL) flags = "";
  const pmn_s3_options options = {
      .flags = {.no_sign_request = strchr(flags, 'a') != NULL},
      .stop = &stop,
  };
  pmn_s3 *s3 = NULL;
  pmn_err err = PMN_ERR_INIT;
  if (count < 4 || signal(SIGUSR1, raise_stop) == SIG_ERR) return PMN_STATUS_ARGUMENT;
  pmn_status st = pmn_s3_create(&options, &s3, &err);
  if (st == PMN_STATUS_OK) st = run(s3, count, words, &err);
  if (st != PMN_STATUS_OK) fprintf(stderr, "%s\n", err.message);
  pmn_s3_destroy(s3);
  return (int)st;
}
