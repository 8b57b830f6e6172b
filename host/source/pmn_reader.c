/* pmn_reader.c - see pmn_reader.h. A sorted listing has all its s3:// paths side by side, so they are one range of it.
 */
#include "pmn_reader.h"

#include "pmn_bucket.h"
#include "pmn_file.h"
#include "pmn_mem.h"

#include <string.h>

enum {
  AHEAD = 4 * PMN_S3_IN_FLIGHT, /* objects: decoding takes some at once, and answers come in bursts */
  AHEAD_BYTES = 64 * 1024 * 1024,
};

typedef struct bucket {
  int64_t first; /* index of the first object in it */
  char *name;
} bucket;

struct pmn_reader {
  pmn_reader_options options;
  int64_t first, end; /* of the objects: indices of the listing */
  bucket *buckets;
  size_t bucket_count;
  pmn_s3_reader *objects;
};

static void name_object(void *arg, int64_t i, const char **bucket_name, pmn_s3_object *object) {
  const pmn_reader *self = arg;
  int64_t index = self->first + i;
  size_t low = 0, high = self->bucket_count - 1;
  while (low < high) { /* the last bucket that begins at or before it */
    size_t middle = low + (high - low + 1) / 2;
    if (self->buckets[middle].first <= index)
      low = middle;
    else
      high = middle - 1;
  }
  *bucket_name = self->buckets[low].name;
  pmn_bucket_object(pmn_listing_item(self->options.listing, index).path, object);
}

static pmn_status add_bucket(pmn_reader *self, int64_t index, const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  pmn_buf name;
  pmn_buf_init(&name, 256);
  bucket *buckets = pmn_realloc(self->buckets, self->bucket_count + 1, sizeof *buckets);
  if (buckets == NULL) return pmn_err_memory(err, sizeof *buckets, "a list of buckets");
  self->buckets = buckets;
  PMN_TRY(pmn_s3_uri_split(path, &name, &key, err));
  buckets[self->bucket_count++] = (bucket){.first = index, .name = pmn_buf_take(&name)};
done:
  pmn_buf_reset(&name);
  return st;
}

/* The range of objects, and where in it each bucket begins. */
static pmn_status find_objects(pmn_reader *self, pmn_err *err) {
  int64_t count = pmn_listing_count(self->options.listing);
  size_t known = 0; /* bytes of "s3://bucket/" of the bucket of the moment */
  const char *last = "";
  self->first = self->end = self->options.first;
  for (int64_t i = self->options.first; i < count; i++) {
    const char *path = pmn_listing_item(self->options.listing, i).path;
    if (!pmn_s3_is_uri(path)) {
      if (self->end > self->first) break;
      self->first = self->end = i + 1;
      continue;
    }
    self->end = i + 1;
    if (known > 0 && strncmp(path, last, known) == 0) continue;
    pmn_status st = add_bucket(self, i, path, err);
    if (st != PMN_STATUS_OK) return st;
    known = strlen("s3://") + strlen(self->buckets[self->bucket_count - 1].name) + 1;
    last = path;
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_reader_create(const pmn_reader_options *options, pmn_reader **reader, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_reader *self = pmn_calloc(1, sizeof *self);
  *reader = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "what reads pictures");
  self->options = *options;
  PMN_TRY(find_objects(self, err));
  if (self->end > self->first) {
    pmn_s3_reader_options objects = {.count = self->end - self->first,
        .ahead = AHEAD,
        .bytes_max = AHEAD_BYTES,
        .object_max = options->bytes_max,
        .name = name_object,
        .arg = self};
    PMN_TRY(pmn_s3_reader_create(options->s3, &objects, &self->objects, err));
  }
  *reader = self;
  self = NULL;
done:
  pmn_reader_destroy(self);
  return st;
}

pmn_status pmn_reader_take(pmn_reader *reader, int64_t index, pmn_buf *bytes, pmn_err *err) {
  if (index >= reader->first && index < reader->end) {
    return pmn_s3_reader_take(reader->objects, index - reader->first, bytes, err);
  }
  return pmn_file_read(pmn_listing_item(reader->options.listing, index).path, bytes, err);
}

void pmn_reader_destroy(pmn_reader *reader) {
  if (reader == NULL) return;
  pmn_s3_reader_destroy(reader->objects);
  for (size_t i = 0; i < reader->bucket_count; i++) pmn_free(reader->buckets[i].name);
  pmn_free(reader->buckets);
  pmn_free(reader);
}
