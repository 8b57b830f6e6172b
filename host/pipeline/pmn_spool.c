/* pmn_spool.c - see pmn_spool.h. */
#define _GNU_SOURCE
#include "pmn_spool.h"

#include "pmn_buf.h"
#include "pmn_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pmn_spool {
  int fd;
  int32_t width;
  int64_t count;
};

/* O_TMPFILE where the file system has it; elsewhere a name that is removed at once. */
static int open_unnamed(const char *folder, pmn_err *err) {
  int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  pmn_buf name;
  pmn_buf_init(&name, 8192);
  if (pmn_buf_printf(&name, err, "%s/.pomona-spool-XXXXXX", folder) == PMN_STATUS_OK) {
    fd = mkostemp(name.data, O_CLOEXEC);
    if (fd >= 0) unlink(name.data);
  }
  pmn_buf_reset(&name);
  return fd;
}

pmn_status pmn_spool_create(const char *beside, int32_t width, pmn_spool **spool, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *spool = NULL;
  const char *slash = strrchr(beside, '/');
  char *folder = pmn_strdup(slash == NULL ? "." : slash == beside ? "/" : beside);
  pmn_spool *self = pmn_calloc(1, sizeof *self);
  if (folder == NULL || self == NULL) {
    st = pmn_err_memory(err, sizeof *self, "the spool");
    goto done;
  }
  if (slash != NULL && slash != beside) folder[slash - beside] = '\0';
  self->width = width;
  self->fd = open_unnamed(folder, err);
  if (self->fd < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot make a temporary file in %s: %s", folder, strerror(errno));
  }
  *spool = self;
  self = NULL;
done:
  pmn_free(self);
  pmn_free(folder);
  return st;
}

void pmn_spool_destroy(pmn_spool *spool) {
  if (spool == NULL) return;
  close(spool->fd);
  pmn_free(spool);
}

pmn_status pmn_spool_append(pmn_spool *spool, const float *rows, int64_t n, pmn_err *err) {
  size_t row = (size_t)spool->width * sizeof(float), size = (size_t)n * row, done = 0;
  while (done < size) {
    off_t at = (off_t)((size_t)spool->count * row + done);
    ssize_t written = pwrite(spool->fd, (const char *)rows + done, size - done, at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return pmn_err_set(err, PMN_STATUS_WRITE, errno,
          "cannot keep the features in a temporary file beside the output: %s", strerror(errno));
    }
    done += (size_t)written;
  }
  spool->count += n;
  return PMN_STATUS_OK;
}

int64_t pmn_spool_count(const pmn_spool *spool) {
  return spool->count;
}

pmn_status pmn_spool_read(void *spool, int64_t first, int32_t n, float *rows, pmn_err *err) {
  const pmn_spool *self = spool;
  size_t row = (size_t)self->width * sizeof(float), size = (size_t)n * row, done = 0;
  while (done < size) {
    ssize_t got = pread(self->fd, (char *)rows + done, size - done, (off_t)((size_t)first * row + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return pmn_err_set(err, PMN_STATUS_WRITE, got < 0 ? errno : 0,
          "cannot read features back from the temporary file: %s", got < 0 ? strerror(errno) : "it became shorter");
    }
    done += (size_t)got;
  }
  return PMN_STATUS_OK;
}
