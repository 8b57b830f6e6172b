/* pomona-s3-read: how fast the client lists a prefix and reads what is there, as pomona extract has it read ahead, with
 * nothing done to the bytes but what reading is: length and MD5 checked. For bench/s3_read.py. */
#include "pmn_clock.h"
#include "pmn_s3.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AHEAD = 256, BYTES_MAX = 64 << 20, THREADS_MAX = 64 };

typedef struct found {
  char *key, *etag;
  int64_t size;
} found;

typedef struct job {
  const char *bucket;
  found *objects;
  int64_t count, capacity;
  pmn_s3_reader *reader;
  atomic_llong next, bytes, failed;
} job;

static pmn_status add(void *arg, const pmn_s3_object *object, pmn_err *err) {
  job *self = arg;
  if (self->count == self->capacity) {
    self->capacity = 2 * self->capacity + 1024;
    self->objects = realloc(self->objects, (size_t)self->capacity * sizeof *self->objects);
    if (self->objects == NULL) return pmn_err_memory(err, (size_t)self->capacity * sizeof *self->objects, "a listing");
  }
  found *one = &self->objects[self->count++];
  *one = (found){strdup(object->key), strdup(object->etag), object->size};
  return one->key != NULL && one->etag != NULL ? PMN_STATUS_OK : pmn_err_memory(err, strlen(object->key), "a key");
}

static void name(void *arg, int64_t i, const char **bucket, pmn_s3_object *object) {
  const job *self = arg;
  *bucket = self->bucket;
  *object = (pmn_s3_object){self->objects[i].key, self->objects[i].size, self->objects[i].etag};
}

static void *take(void *arg) {
  job *self = arg;
  pmn_buf bytes;
  pmn_buf_init(&bytes, BYTES_MAX);
  for (int64_t i; (i = atomic_fetch_add(&self->next, 1)) < self->count;) {
    pmn_err err = PMN_ERR_INIT;
    if (pmn_s3_reader_take(self->reader, i, &bytes, &err) == PMN_STATUS_OK)
      atomic_fetch_add(&self->bytes, (long long)bytes.size);
    else if (atomic_fetch_add(&self->failed, 1) == 0)
      fprintf(stderr, "pomona-s3-read: %s\n", err.message);
  }
  pmn_buf_reset(&bytes);
  return NULL;
}

static pmn_status read_all(pmn_s3 *s3, const char *prefix, int threads, job *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pthread_t thread[THREADS_MAX];
  int started = 0;
  double begun = pmn_clock_seconds();
  PMN_TRY(pmn_s3_list(s3, self->bucket, prefix, add, self, err));
  double listed = pmn_clock_seconds();
  const pmn_s3_reader_options options = {
      .count = self->count, .ahead = AHEAD, .bytes_max = BYTES_MAX, .object_max = BYTES_MAX, .name = name, .arg = self};
  PMN_TRY(pmn_s3_reader_create(s3, &options, &self->reader, err));
  while (started < threads && pthread_create(&thread[started], NULL, take, self) == 0) started++;
  if (started == 0) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "cannot start a thread");
  for (int i = 0; i < started; i++) pthread_join(thread[i], NULL);
  double end = pmn_clock_seconds();
  printf("{\"objects\": %lld, \"bytes\": %lld, \"failed\": %lld, \"list_s\": %.3f, \"read_s\": %.3f}\n",
      (long long)self->count, (long long)self->bytes, (long long)self->failed, listed - begun, end - listed);
done:
  pmn_s3_reader_destroy(self->reader);
  return st;
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  pmn_s3 *s3 = NULL;
  pmn_buf bucket;
  job self = {.count = 0};
  const char *prefix;
  int threads = argc == 3 ? atoi(argv[2]) : 0;
  if (threads < 1 || threads > THREADS_MAX) {
    fprintf(stderr, "Usage: pomona-s3-read s3://BUCKET/PREFIX THREADS\n");
    return 2;
  }
  pmn_buf_init(&bucket, 256);
  pmn_status st = pmn_s3_uri_split(argv[1], &bucket, &prefix, &err);
  self.bucket = bucket.data;
  if (st == PMN_STATUS_OK) st = pmn_s3_create(&(pmn_s3_options){.stop = NULL}, &s3, &err);
  if (st == PMN_STATUS_OK) st = read_all(s3, prefix, threads, &self, &err);
  if (st != PMN_STATUS_OK) fprintf(stderr, "pomona-s3-read: %s\n", err.message);
  pmn_s3_destroy(s3);
  for (int64_t i = 0; i < self.count; i++) {
    free(self.objects[i].key);
    free(self.objects[i].etag);
  }
  free(self.objects);
  pmn_buf_reset(&bucket);
  return st == PMN_STATUS_OK && self.failed == 0 ? 0 : 1;
}
