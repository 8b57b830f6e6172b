/* pmn_infile.c - see pmn_infile.h.
 *
 * Workload of objects: a look at the first bytes and the last, then once from the beginning to the end, in small steps,
 * of files from some bytes to thousands of gigabytes. What is small comes at once; of what is larger a piece of up to
 * WINDOW bytes is held, and that much is fetched only for who goes on where he stopped: others get LOOK bytes. So there
 * are never more than WINDOW bytes in memory, and as many on their way.
 */
#include "pmn_infile.h"

#include "pmn_mem.h"
#include "pmn_s3.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PMN_INFILE_WINDOW /* smaller in a test */
#define PMN_INFILE_WINDOW (16 << 20)
#endif
enum { WINDOW = PMN_INFILE_WINDOW, LOOK = WINDOW / 256 };

struct pmn_infile {
  char *path;
  int64_t size;
  int fd; /* -1: an object */
  /* of an object: */
  pmn_s3 *s3;
  pmn_buf bucket, bytes;
  const char *key; /* within path */
  char etag[PMN_S3_ETAG];
  int64_t window; /* where `bytes` begins */
  int64_t last;   /* end of the last read; -1: none was */
};

static pmn_status fail(const pmn_infile *self, const char *what, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, errno, "cannot %s %.300s: %s", what, self->path, strerror(errno));
}

static pmn_status open_disk(pmn_infile *self, bool *there, pmn_err *err) {
  struct stat info;
  /* O_NONBLOCK: opening a FIFO by mistake must not hang; regular files ignore it. */
  self->fd = open(self->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  *there = self->fd >= 0;
  if (!*there) return errno == ENOENT || errno == ENOTDIR ? PMN_STATUS_OK : fail(self, "open", err);
  if (fstat(self->fd, &info) != 0) return fail(self, "look at", err);
  if (!S_ISREG(info.st_mode)) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "%.300s is not a regular file", self->path);
  }
  self->size = info.st_size;
  return PMN_STATUS_OK;
}

static pmn_status open_object(pmn_infile *self, bool *there, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *there = false;
  PMN_TRY(pmn_s3_uri_split(self->path, &self->bucket, &self->key, err));
  if (self->key[0] == '\0') goto done;
  st = pmn_s3_head(self->s3, self->bucket.data, self->key, &self->size, self->etag, err);
  *there = st == PMN_STATUS_OK;
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_OK;
done:
  return st;
}

pmn_status pmn_infile_open(struct pmn_s3 *s3, const char *path, pmn_infile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool there;
  *file = NULL;
  pmn_infile *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a file");
  self->fd = -1;
  self->last = -1;
  pmn_buf_init(&self->bucket, 256);
  pmn_buf_init(&self->bytes, WINDOW);
  self->path = pmn_strdup(path);
  if (self->path == NULL) {
    st = pmn_err_memory(err, strlen(path) + 1, "a path");
    goto done;
  }
  if (pmn_s3_is_uri(path)) self->s3 = s3;
  PMN_TRY(self->s3 != NULL ? open_object(self, &there, err) : open_disk(self, &there, err));
  if (!there) goto done;
  *file = self;
  self = NULL;
done:
  pmn_infile_close(self);
  return st;
}

void pmn_infile_close(pmn_infile *file) {
  if (file == NULL) return;
  if (file->fd >= 0) close(file->fd);
  pmn_buf_reset(&file->bucket);
  pmn_buf_reset(&file->bytes);
  pmn_free(file->path);
  pmn_free(file);
}

const char *pmn_infile_path(const pmn_infile *file) {
  return file->path;
}

int64_t pmn_infile_size(const pmn_infile *file) {
  return file->size;
}

/* Makes `bytes` begin at `at`: with `size` bytes, or more of them, or as many as may be held. */
static pmn_status fetch(pmn_infile *self, int64_t at, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *bucket = self->bucket.data;
  int64_t wanted = at == self->last ? WINDOW : LOOK;
  if ((int64_t)size > wanted) wanted = size < WINDOW ? (int64_t)size : WINDOW;
  if (wanted > self->size - at) wanted = self->size - at;
  if (self->size <= WINDOW) {
    at = 0;
    PMN_TRY(pmn_s3_get(self->s3, bucket, self->key, self->size, self->etag, &self->bytes, err));
  } else {
    PMN_TRY(pmn_s3_get_range(self->s3, bucket, self->key, at, (size_t)wanted, self->etag, &self->bytes, err));
  }
  self->window = at;
done:
  if (st != PMN_STATUS_OK) pmn_buf_clear(&self->bytes);
  return st;
}

static pmn_status read_object(pmn_infile *self, int64_t at, char *bytes, size_t size, pmn_err *err) {
  while (size > 0) {
    int64_t end = self->window + (int64_t)self->bytes.size;
    if (at < self->window || at >= end) {
      pmn_status st = fetch(self, at, size, err);
      if (st != PMN_STATUS_OK) return st;
      end = self->window + (int64_t)self->bytes.size;
    }
    size_t piece = (int64_t)size < end - at ? size : (size_t)(end - at);
    memcpy(bytes, self->bytes.data + (at - self->window), piece);
    bytes += piece;
    size -= piece;
    at += (int64_t)piece;
    self->last = at;
  }
  return PMN_STATUS_OK;
}

static pmn_status read_disk(const pmn_infile *self, int64_t at, char *bytes, size_t size, pmn_err *err) {
  for (size_t have = 0; have < size;) {
    ssize_t got = pread(self->fd, bytes + have, size - have, at + (int64_t)have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(self, "read", err);
    if (got == 0) {
      return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "%.300s became shorter while it was read", self->path);
    }
    have += (size_t)got;
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_infile_read(pmn_infile *file, int64_t at, void *bytes, size_t size, pmn_err *err) {
  return file->s3 == NULL ? read_disk(file, at, bytes, size, err) : read_object(file, at, bytes, size, err);
}

pmn_status pmn_infile_read_all(pmn_infile *file, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = (size_t)file->size;
  pmn_buf_clear(bytes);
  if (size > bytes->max) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s has %zu bytes, more than the %zu that it may have", file->path, size,
        bytes->max);
  }
  PMN_TRY(pmn_buf_reserve(bytes, size, err));
  PMN_TRY(pmn_infile_read(file, 0, bytes->data, size, err));
  bytes->size = size;
  bytes->data[size] = '\0';
done:
  return st;
}
