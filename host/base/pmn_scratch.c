/* pmn_scratch.c - see pmn_scratch.h. */
#define _GNU_SOURCE /* O_TMPFILE */
#include "pmn_scratch.h"

#include "pmn_buf.h"
#include "pmn_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pmn_scratch {
  int fd;
  uint64_t size;
  char *folder;  /* for messages, as */
  char cure[64]; /* which begins with a semicolon, or is "" */
};

/* O_TMPFILE where the file system has it; elsewhere a name that is removed at once. */
static int open_unnamed(const char *folder, pmn_err *err) {
  int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  pmn_buf name;
  pmn_buf_init(&name, 8192);
  if (pmn_buf_printf(&name, err, "%s/.pomona-scratch-XXXXXX", folder) == PMN_STATUS_OK) {
    fd = mkostemp(name.data, O_CLOEXEC);
    if (fd >= 0) unlink(name.data);
  }
  pmn_buf_reset(&name);
  return fd;
}

/* The folder of `beside`; of what is in a bucket, $TMPDIR. To be freed; NULL when memory cannot be had. */
static char *find_folder(const char *beside, bool in_bucket) {
  const char *temporary = getenv("TMPDIR"), *slash = strrchr(beside, '/');
  if (in_bucket) return pmn_strdup(temporary != NULL && temporary[0] != '\0' ? temporary : "/tmp");
  char *folder = pmn_strdup(slash == NULL ? "." : slash == beside ? "/" : beside);
  if (folder != NULL && slash != NULL && slash != beside) folder[slash - beside] = '\0';
  return folder;
}

pmn_status pmn_scratch_create(const char *beside, const char *option, pmn_scratch **scratch, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *scratch = NULL;
  bool in_bucket = strncmp(beside, "s3://", strlen("s3://")) == 0;
  pmn_scratch *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a temporary file");
  self->fd = -1;
  self->folder = find_folder(beside, in_bucket);
  if (self->folder == NULL) PMN_TRY(pmn_err_memory(err, strlen(beside) + 1, "a path"));
  if (option != NULL || in_bucket) {
    snprintf(self->cure, sizeof self->cure, "; %s%s%s moves it", option != NULL ? option : "",
        option != NULL && in_bucket ? " or " : "", in_bucket ? "TMPDIR" : "");
  }
  self->fd = open_unnamed(self->folder, err);
  if (self->fd < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot make a temporary file in %.300s: %s%s", self->folder,
        strerror(errno), self->cure);
  }
  *scratch = self;
  self = NULL;
done:
  pmn_scratch_destroy(self);
  return st;
}

void pmn_scratch_destroy(pmn_scratch *scratch) {
  if (scratch == NULL) return;
  if (scratch->fd >= 0) close(scratch->fd);
  pmn_free(scratch->folder);
  pmn_free(scratch);
}

pmn_status pmn_scratch_append(pmn_scratch *scratch, const void *bytes, size_t size, pmn_err *err) {
  size_t done = 0;
  while (done < size) {
    ssize_t written = pwrite(scratch->fd, (const char *)bytes + done, size - done, (off_t)(scratch->size + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot keep features in a temporary file in %.300s: %s%s",
          scratch->folder, strerror(errno), scratch->cure);
    }
    done += (size_t)written;
  }
  scratch->size += size;
  return PMN_STATUS_OK;
}

uint64_t pmn_scratch_size(const pmn_scratch *scratch) {
  return scratch->size;
}

pmn_status pmn_scratch_read(const pmn_scratch *scratch, uint64_t at, void *bytes, size_t size, pmn_err *err) {
  size_t done = 0;
  while (done < size) {
    ssize_t got = pread(scratch->fd, (char *)bytes + done, size - done, (off_t)(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      return pmn_err_set(err, PMN_STATUS_WRITE, got < 0 ? errno : 0,
          "cannot read features back from the temporary file in %.300s: %s", scratch->folder,
          got < 0 ? strerror(errno) : "it became shorter");
    }
    done += (size_t)got;
  }
  return PMN_STATUS_OK;
}

void pmn_scratch_clear(pmn_scratch *scratch) {
  scratch->size = 0;
  /* Room that cannot be given back is written over by what comes next. */
  if (ftruncate(scratch->fd, 0) != 0) return;
}
