/* pmn_file.c - see pmn_file.h. */
#include "pmn_file.h"

#include "pmn_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

pmn_status pmn_file_read(const char *path, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf_clear(bytes);
  /* O_NONBLOCK: opening a FIFO by mistake must not hang; regular files ignore it. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat info;
  if (fd < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open %s: %s", path, strerror(errno));
  if (fstat(fd, &info) != 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "%s: %s", path, strerror(errno));
  if (!S_ISREG(info.st_mode)) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s is not a regular file", path);
  if ((uint64_t)info.st_size > bytes->max) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s has %lld bytes, more than the limit of %zu", path, (long long)info.st_size,
        bytes->max);
  }
  size_t size = (size_t)info.st_size;
  PMN_TRY(pmn_buf_reserve(bytes, size, err));
  while (bytes->size < size) {
    ssize_t got = pread(fd, bytes->data + bytes->size, size - bytes->size, (off_t)bytes->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %s: %s", path, strerror(errno));
    if (got == 0) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s became shorter while it was read", path);
    bytes->size += (size_t)got;
  }
  bytes->data[size] = '\0';
done:
  if (st != PMN_STATUS_OK) pmn_buf_clear(bytes);
  if (fd >= 0) close(fd);
  return st;
}

pmn_status pmn_file_write_cached(const char *path, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  FILE *file = NULL;
  pmn_buf temporary;
  pmn_buf_init(&temporary, 4096);
  PMN_TRY(pmn_buf_printf(&temporary, err, "%s.XXXXXX", path));
  int fd = mkstemp(temporary.data);
  if (fd < 0) PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot create %s: %s", temporary.data, strerror(errno));
  file = fdopen(fd, "wb");
  bool good = file != NULL && fwrite(bytes, 1, size, file) == size;
  if (file != NULL)
    good = fclose(file) == 0 && good;
  else
    close(fd);
  if (!good || rename(temporary.data, path) != 0) {
    int code = errno;
    unlink(temporary.data);
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, code, "cannot write %s: %s", path, strerror(code));
  }
done:
  pmn_buf_reset(&temporary);
  return st;
}

/* The folder that holds ours. */
static pmn_status find_caches(pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *cache = getenv("XDG_CACHE_HOME");
  const char *home = getenv("HOME");
  pmn_buf_clear(path);
  if (cache != NULL && cache[0] == '/') {
    PMN_TRY(pmn_buf_printf(path, err, "%s", cache));
  } else if (home != NULL && home[0] == '/') {
    PMN_TRY(pmn_buf_printf(path, err, "%s/.cache", home));
  } else {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "no cache folder: neither XDG_CACHE_HOME nor HOME is an absolute path");
  }
done:
  return st;
}

pmn_status pmn_file_cache_find(const char *name, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(find_caches(path, err));
  PMN_TRY(pmn_buf_printf(path, err, "/pomona/%s", name));
done:
  return st;
}

pmn_status pmn_file_cache_path(const char *name, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(find_caches(path, err));
  for (int level = 0; level < 2; level++) {
    if (level == 1) PMN_TRY(pmn_buf_printf(path, err, "/pomona"));
    struct stat info;
    if (mkdir(path->data, 0700) == 0) continue;
    if (errno != EEXIST) {
      PMN_FAIL_CODE(
          err, PMN_STATUS_NOT_FOUND, errno, "cannot make the cache folder %s: %s", path->data, strerror(errno));
    }
    if (stat(path->data, &info) != 0 || !S_ISDIR(info.st_mode)) {
      PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "the cache folder %s is no folder", path->data);
    }
  }
  PMN_TRY(pmn_buf_printf(path, err, "/%s", name));
done:
  return st;
}
