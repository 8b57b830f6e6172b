/* pmn_outfile.c - see pmn_outfile.h.
 *
 * What is never done: replacing anything but a regular file. With overwrite, `-o /dev/null` run by root would otherwise
 * put a table where the null device was, and a symbolic link would silently become a file of its own.
 */
#define _GNU_SOURCE /* O_PATH, renameat2 */
#include "pmn_outfile.h"

#include "pmn_mem.h"
#include "pmn_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  BUFFER_SIZE = 1 << 17,
  TEMPORARY_KEEPS = 200, /* bytes of the name kept in the temporary name: NAME_MAX is 255 */
  TEMPORARY_SIZE = TEMPORARY_KEEPS + 16,
  SHOWN_MAX = 240, /* bytes of the path shown in messages, so that the reason is not cut off */
};

struct pmn_outfile {
  char *path;       /* final path, as given, plus suffix */
  const char *name; /* its last component, within path */
  char shown[SHOWN_MAX + 8];
  char temporary[TEMPORARY_SIZE];
  int folder, fd; /* -1: closed */
  bool overwrite;
  bool temporary_exists;
  uint64_t size; /* including what is still in the buffer */
  size_t buffered;
  char buffer[BUFFER_SIZE];
};

/* The path as UTF-8 for messages; of a long one the end, which tells more than the beginning. */
static pmn_status show_path(pmn_outfile *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf text;
  pmn_buf_init(&text, (size_t)1 << 20);
  PMN_TRY(pmn_text_escape(&text, out->path, strlen(out->path), err));
  const char *from = text.size == 0 ? "" : text.data;
  if (text.size > SHOWN_MAX) from += text.size - SHOWN_MAX;
  while (((unsigned char)*from & 0xc0) == 0x80) from++;
  snprintf(out->shown, sizeof out->shown, "%s%s", text.size > SHOWN_MAX ? "..." : "", from);
done:
  pmn_buf_reset(&text);
  return st;
}

static pmn_status open_folder(pmn_outfile *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t length = (size_t)(out->name - out->path); /* with the slash; 0: the working folder */
  char *folder = pmn_strdup(length == 0 ? "." : out->path);
  if (folder == NULL) return pmn_err_memory(err, length + 1, "a path");
  if (length > 0) folder[length] = '\0';
  /* O_PATH: enough to create and rename, and allowed without the right to list the folder. */
  out->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (out->folder < 0 && errno == ENOENT) {
    PMN_FAIL_CODE(
        err, PMN_STATUS_WRITE, ENOENT, "cannot write %s: its folder does not exist; make it first", out->shown);
  }
  if (out->folder < 0) {
    PMN_FAIL_CODE(
        err, PMN_STATUS_WRITE, errno, "cannot write %s: cannot open its folder: %s", out->shown, strerror(errno));
  }
done:
  pmn_free(folder);
  return st;
}

static pmn_status check_name(const pmn_outfile *out, pmn_err *err) {
  struct stat info;
  if (out->name[0] == '\0') {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0, "cannot write \"%s\": it names no file", out->shown);
  }
  if (fstatat(out->folder, out->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return PMN_STATUS_OK;
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot write %s: %s", out->shown, strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    return pmn_err_set(
        err, PMN_STATUS_WRITE, EISDIR, "cannot write %s: it is a folder; give the name of a file", out->shown);
  }
  if (!out->overwrite) {
    return pmn_err_set(
        err, PMN_STATUS_EXISTS, EEXIST, "%s exists; choose another name or allow to overwrite it", out->shown);
  }
  if (!S_ISREG(info.st_mode)) {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0,
        "will not replace %s: it is a link or a device; give the name of a regular file", out->shown);
  }
  return PMN_STATUS_OK;
}

/* 62^6 names: a collision with what a crash left is unlikely, and O_EXCL notices it. */
static pmn_status open_temporary(pmn_outfile *out, pmn_err *err) {
  static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int attempt = 0; attempt < 100; attempt++) {
    unsigned char noise[6];
    char suffix[7] = "";
    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise) break;
    for (int i = 0; i < 6; i++) suffix[i] = letters[noise[i] % 62];
    snprintf(out->temporary, sizeof out->temporary, ".%.*s.%s.tmp", TEMPORARY_KEEPS, out->name, suffix);
    /* 0666 less the umask, as any new file: mkstemp would make it private. */
    out->fd = openat(out->folder, out->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (out->fd >= 0) {
      out->temporary_exists = true;
      return PMN_STATUS_OK;
    }
    if (errno != EEXIST) break;
  }
  return pmn_err_set(
      err, PMN_STATUS_WRITE, errno, "cannot create a file in the folder of %s: %s", out->shown, strerror(errno));
}

/* A handle with its folder open and its name checked, but no file yet. */
static pmn_status open_name(const char *path, const char *suffix, bool overwrite, pmn_outfile **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = pmn_calloc(1, sizeof *out);
  if (out == NULL) return pmn_err_memory(err, sizeof *out, "an output file");
  out->folder = out->fd = -1;
  out->overwrite = overwrite;
  size_t length = strlen(path), suffix_size = strlen(suffix) + 1;
  out->path = pmn_alloc(length + suffix_size, 1);
  if (out->path == NULL) {
    st = pmn_err_memory(err, length + suffix_size, "a path");
    goto done;
  }
  memcpy(out->path, path, length);
  memcpy(out->path + length, suffix, suffix_size);
  const char *slash = strrchr(out->path, '/');
  out->name = slash == NULL ? out->path : slash + 1;
  PMN_TRY(show_path(out, err));
  PMN_TRY(open_folder(out, err));
  PMN_TRY(check_name(out, err));
  *result = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  return st;
}

pmn_status pmn_outfile_check(const char *path, const char *suffix, bool overwrite, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  PMN_TRY(open_name(path, suffix, overwrite, &out, err));
  if (faccessat(out->folder, ".", W_OK | X_OK, AT_EACCESS) != 0) {
    PMN_FAIL_CODE(
        err, PMN_STATUS_WRITE, errno, "cannot create a file in the folder of %s: %s", out->shown, strerror(errno));
  }
done:
  pmn_outfile_destroy(out);
  return st;
}

pmn_status pmn_outfile_create(
    const char *path, const char *suffix, bool overwrite, pmn_outfile **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  PMN_TRY(open_name(path, suffix, overwrite, &out, err));
  PMN_TRY(open_temporary(out, err));
  *result = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  return st;
}

static pmn_status fail_write(const pmn_outfile *out, int code, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_WRITE, code, "cannot write %s: %s", out->shown, strerror(code));
}

static pmn_status write_all(pmn_outfile *out, const char *bytes, size_t size, pmn_err *err) {
  while (size > 0) {
    ssize_t written = write(out->fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_write(out, errno, err);
    bytes += written;
    size -= (size_t)written;
  }
  return PMN_STATUS_OK;
}

static pmn_status flush(pmn_outfile *out, pmn_err *err) {
  size_t size = out->buffered;
  out->buffered = 0;
  return write_all(out, out->buffer, size, err);
}

pmn_status pmn_outfile_write(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (size > BUFFER_SIZE - out->buffered) PMN_TRY(flush(out, err));
  if (size >= BUFFER_SIZE) {
    PMN_TRY(write_all(out, bytes, size, err));
  } else if (size > 0) {
    memcpy(out->buffer + out->buffered, bytes, size);
    out->buffered += size;
  }
  out->size += size;
done:
  return st;
}

pmn_status pmn_outfile_rewrite_head(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = flush(out, err);
  const char *from = bytes;
  for (size_t at = 0; st == PMN_STATUS_OK && at < size;) {
    ssize_t written = pwrite(out->fd, from + at, size - at, (off_t)at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0)
      st = fail_write(out, errno, err);
    else
      at += (size_t)written;
  }
  return st;
}

const char *pmn_outfile_path(const pmn_outfile *out) {
  return out->path;
}

uint64_t pmn_outfile_size(const pmn_outfile *out) {
  return out->size;
}

/* A full disk may show as late as fsync or close. */
static pmn_status make_whole(pmn_outfile *out, pmn_err *err) {
  pmn_status st = flush(out, err);
  if (st != PMN_STATUS_OK) return st;
  if (fsync(out->fd) != 0) return fail_write(out, errno, err);
  int failed = close(out->fd);
  out->fd = -1;
  return failed == 0 ? PMN_STATUS_OK : fail_write(out, errno, err);
}

/* rename that never replaces; as rename, 0 or -1 and errno. */
static int rename_new(int folder, const char *from, const char *to) {
  struct stat info;
  if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  /* A file system that cannot (NFS) has links, which do not replace either. */
  if (linkat(folder, from, folder, to, 0) == 0) return unlinkat(folder, from, 0);
  if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return -1;
  /* One without links (object stores seen as folders) can only be asked first. */
  if (fstatat(folder, to, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    errno = EEXIST;
    return -1;
  }
  return renameat(folder, from, folder, to);
}

static pmn_status make_visible(pmn_outfile *out, pmn_err *err) {
  int folder = out->folder;
  int failed = out->overwrite ? renameat(folder, out->temporary, folder, out->name)
                              : rename_new(folder, out->temporary, out->name);
  if (failed && errno == EEXIST) {
    return pmn_err_set(err, PMN_STATUS_EXISTS, EEXIST,
        "%s appeared while its rows were computed and was left as it is; choose another name", out->shown);
  }
  if (failed) return fail_write(out, errno, err);
  out->temporary_exists = false;
  return PMN_STATUS_OK;
}

/* Makes the new name itself last. Not every file system can (EINVAL), and a folder may be writable but not readable. */
static pmn_status sync_folder(const pmn_outfile *out, pmn_err *err) {
  int fd = openat(out->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PMN_STATUS_OK;
  int code = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return code == 0 ? PMN_STATUS_OK : fail_write(out, code, err);
}

pmn_status pmn_outfile_commit(pmn_outfile *const *files, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t hidden = count; /* files[hidden] and those after it are visible */
  for (size_t i = 0; i < count; i++) PMN_TRY(make_whole(files[i], err));
  while (hidden > 0) {
    PMN_TRY(make_visible(files[hidden - 1], err));
    hidden--;
  }
  PMN_TRY(sync_folder(files[0], err));
done:
  if (st != PMN_STATUS_OK) {
    for (size_t i = hidden; i < count; i++) unlinkat(files[i]->folder, files[i]->name, 0);
  }
  return st;
}

void pmn_outfile_destroy(pmn_outfile *out) {
  if (out == NULL) return;
  if (out->fd >= 0) close(out->fd);
  if (out->temporary_exists) unlinkat(out->folder, out->temporary, 0);
  if (out->folder >= 0) close(out->folder);
  pmn_free(out->path);
  pmn_free(out);
}

pmn_status pmn_outfile_remove_old(const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  PMN_TRY(open_name(path, "", true, &out, err));
  if (unlinkat(out->folder, out->name, 0) != 0 && errno != ENOENT) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot remove %s: %s", out->shown, strerror(errno));
  }
done:
  pmn_outfile_destroy(out);
  return st;
}
