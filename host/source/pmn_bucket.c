/* pmn_bucket.c - see pmn_bucket.h. */
#include "pmn_bucket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct walk {
  const char *bucket;
  size_t prefix_size; /* of the keys, in front of what globs match */
  const pmn_walk_filter *filter;
  pmn_names *names;
  int64_t *skipped;
  int64_t seen;
} walk;

/* The key of "s3://bucket/key", or "" for the bucket alone. */
static const char *key_of(const char *path) {
  const char *slash = strchr(path + strlen("s3://"), '/');
  return slash == NULL ? "" : slash + 1;
}

static pmn_status keep(pmn_names *names, const char *bucket, const char *key, const char *stored, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *copy;
  pmn_buf text;
  pmn_buf_init(&text, 1 << 16);
  PMN_TRY(pmn_buf_printf(&text, err, "s3://%s/%s", bucket, key));
  PMN_TRY(pmn_buf_append(&text, "", 1, err));
  PMN_TRY(pmn_buf_append(&text, stored, strlen(stored), err));
  PMN_TRY(pmn_names_copy(names, text.data, text.size, &copy, err));
  PMN_TRY(pmn_names_add(names, copy, err));
done:
  pmn_buf_reset(&text);
  return st;
}

static bool is_hidden(const char *name) {
  size_t size = strcspn(name, "/");
  return name[0] == '.' && size > 1 && !(size == 2 && name[1] == '.');
}

/* Is one of the folders between `below` and `name` hidden? */
static bool lies_hidden(const char *below, const char *name) {
  for (; below < name; below = strchr(below, '/') + 1) {
    if (is_hidden(below)) return true;
  }
  return false;
}

static pmn_status take(void *arg, const pmn_s3_object *object, pmn_err *err) {
  walk *w = arg;
  const char *below = object->key + w->prefix_size, *slash = strrchr(below, '/');
  const char *name = slash == NULL ? below : slash + 1;
  char stored[PMN_S3_ETAG + 32];
  w->seen++;
  if (name[0] == '\0' || lies_hidden(below, name)) return PMN_STATUS_OK;
  bool taken = pmn_walk_takes(w->filter, below, name), hidden = is_hidden(name);
  if (taken == hidden) ++*w->skipped;
  if (!taken || hidden) return PMN_STATUS_OK;
  snprintf(stored, sizeof stored, "%lld %s", (long long)object->size, object->etag != NULL ? object->etag : "");
  return keep(w->names, w->bucket, object->key, stored, err);
}

pmn_status pmn_bucket_walk(
    pmn_s3 *s3, const char *uri, const pmn_walk_filter *filter, pmn_names *names, int64_t *skipped, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  char etag[PMN_S3_ETAG], stored[PMN_S3_ETAG + 32];
  int64_t size;
  pmn_buf bucket, prefix;
  pmn_buf_init(&bucket, 256);
  pmn_buf_init(&prefix, 4096);
  PMN_TRY(pmn_s3_uri_split(uri, &bucket, &key, err));
  size_t length = strlen(key);
  while (length > 0 && key[length - 1] == '/') length--;
  PMN_TRY(pmn_buf_printf(&prefix, err, "%.*s%s", (int)length, key, length > 0 ? "/" : ""));
  walk w = {.bucket = bucket.data, .prefix_size = prefix.size, .filter = filter, .names = names, .skipped = skipped};
  PMN_TRY(pmn_s3_list(s3, bucket.data, prefix.data, take, &w, err));
  if (w.seen > 0 || length == 0 || key[length] == '/') goto done;
  PMN_TRY(pmn_s3_head(s3, bucket.data, key, &size, etag, err));
  snprintf(stored, sizeof stored, "%lld %s", (long long)size, etag);
  PMN_TRY(keep(names, bucket.data, key, stored, err));
done:
  pmn_buf_reset(&bucket);
  pmn_buf_reset(&prefix);
  return st;
}

pmn_status pmn_bucket_add(const char *uri, pmn_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  pmn_buf bucket;
  pmn_buf_init(&bucket, 256);
  PMN_TRY(pmn_s3_uri_split(uri, &bucket, &key, err));
  if (key[0] == '\0')
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s names no object: a list holds one picture a line", uri);
  PMN_TRY(keep(names, bucket.data, key, "", err));
done:
  pmn_buf_reset(&bucket);
  return st;
}

const char *pmn_bucket_stored(const char *path) {
  return path + strlen(path) + 1;
}

void pmn_bucket_object(const char *path, pmn_s3_object *object) {
  const char *stored = pmn_bucket_stored(path);
  char *end = NULL;
  *object = (pmn_s3_object){.key = key_of(path), .size = -1};
  if (stored[0] == '\0') return;
  object->size = strtoll(stored, &end, 10);
  if (end[0] == ' ' && end[1] != '\0') object->etag = end + 1;
}
