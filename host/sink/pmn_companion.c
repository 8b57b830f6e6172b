/* pmn_companion.c - see pmn_companion.h. */
#include "pmn_companion.h"

#include "pmn_buf.h"
#include "pmn_s3.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BEGIN_MAX = 64 };

static pmn_status read_disk(const char *path, size_t size, pmn_buf *bytes, pmn_err *err) {
  struct stat info;
  char text[BEGIN_MAX];
  FILE *file = stat(path, &info) == 0 && S_ISREG(info.st_mode) ? fopen(path, "rbe") : NULL;
  if (file == NULL) return PMN_STATUS_OK;
  pmn_status st = pmn_buf_append(bytes, text, fread(text, 1, size, file), err);
  fclose(file);
  return st;
}

static pmn_status read_object(struct pmn_s3 *s3, const char *path, size_t size, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  char etag[PMN_S3_ETAG];
  int64_t there = 0;
  pmn_buf bucket;
  pmn_buf_init(&bucket, 256);
  PMN_TRY(pmn_s3_uri_split(path, &bucket, &key, err));
  st = pmn_s3_head(s3, bucket.data, key, &there, etag, err);
  if (st == PMN_STATUS_OK && there > (int64_t)size)
    st = pmn_s3_get_range(s3, bucket.data, key, 0, size, NULL, bytes, err);
  else if (st == PMN_STATUS_OK)
    st = pmn_s3_get(s3, bucket.data, key, there, NULL, bytes, err);
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_OK;
done:
  pmn_buf_reset(&bucket);
  return st;
}

pmn_status pmn_companion_check(
    struct pmn_s3 *s3, const char *path, const char *suffix, const char *begin, const char *what, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = strlen(begin);
  pmn_buf name, bytes;
  pmn_buf_init(&name, 1 << 16);
  pmn_buf_init(&bytes, size);
  PMN_TRY(pmn_buf_printf(&name, err, "%s%s", path, suffix));
  PMN_TRY(
      pmn_s3_is_uri(path) ? read_object(s3, name.data, size, &bytes, err) : read_disk(name.data, size, &bytes, err));
  if (bytes.size > 0 && (bytes.size != size || memcmp(bytes.data, begin, size) != 0)) {
    PMN_FAIL(
        err, PMN_STATUS_EXISTS, "%.300s is no %s, so it is not overwritten by one; name another file", name.data, what);
  }
done:
  pmn_buf_reset(&name);
  pmn_buf_reset(&bytes);
  return st;
}
