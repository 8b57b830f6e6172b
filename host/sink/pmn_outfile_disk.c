/* pmn_outfile_disk.c - output files on a disk; see pmn_outfile_kind.h.
 *
 * What is never done: replacing anything but a regular file. With overwrite, `-o /dev/null` run by root would otherwise
 * put a table where the null device was, and a symbolic link would silently become a file of its own.
 */
#define _GNU_SOURCE /* O_PATH, renameat2 */
#include "pmn_mem.h"
#include "pmn_outfile_kind.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  TEMPORARY_KEEPS = 200, /* bytes of the name kept in the temporary name: NAME_MAX is 255 */
  TEMPORARY_SIZE = TEMPORARY_KEEPS + 16,
};

typedef struct disk {
  const pmn_outfile_name *file;
  const char *name; /* last component of the path, within it */
  char temporary[TEMPORARY_SIZE];
  int folder, fd; /* -1: closed */
  bool temporary_exists;
} disk;

static pmn_status open_folder(disk *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t length = (size_t)(self->name - self->file->path); /* with the slash; 0: the working folder */
  char *folder = pmn_strdup(length == 0 ? "." : self->file->path);
  if (folder == NULL) return pmn_err_memory(err, length + 1, "a path");
  if (length > 0) folder[length] = '\0';
  /* O_PATH: enough to create and rename, and allowed without the right to list the folder. */
  self->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (self->folder < 0 && errno == ENOENT) {
    PMN_FAIL_CODE(
        err, PMN_STATUS_WRITE, ENOENT, "cannot write %s: its folder does not exist; make it first", self->file->shown);
  }
  if (self->folder < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot write %s: cannot open its folder: %s", self->file->shown,
        strerror(errno));
  }
done:
  pmn_free(folder);
  return st;
}

static pmn_status check_name(const disk *self, pmn_err *err) {
  struct stat info;
  if (self->name[0] == '\0') {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0, "cannot write \"%s\": it names no file", self->file->shown);
  }
  if (fstatat(self->folder, self->name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return PMN_STATUS_OK;
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot write %s: %s", self->file->shown, strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) {
    return pmn_err_set(
        err, PMN_STATUS_WRITE, EISDIR, "cannot write %s: it is a folder; give the name of a file", self->file->shown);
  }
  if (!self->file->overwrite) {
    return pmn_err_set(
        err, PMN_STATUS_EXISTS, EEXIST, "%s exists; choose another name or allow to overwrite it", self->file->shown);
  }
  if (!S_ISREG(info.st_mode)) {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0,
        "will not replace %s: it is a link or a device; give the name of a regular file", self->file->shown);
  }
  return PMN_STATUS_OK;
}

/* 62^6 names: a collision with what a crash left is unlikely, and O_EXCL notices it. */
static pmn_status open_temporary(void *state, pmn_err *err) {
  disk *self = state;
  static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (int attempt = 0; attempt < 100; attempt++) {
    unsigned char noise[6];
    char suffix[7] = "";
    if (getrandom(noise, sizeof noise, 0) != (ssize_t)sizeof noise) break;
    for (int i = 0; i < 6; i++) suffix[i] = letters[noise[i] % 62];
    snprintf(self->temporary, sizeof self->temporary, ".%.*s.%s.tmp", TEMPORARY_KEEPS, self->name, suffix);
    /* 0666 less the umask, as any new file: mkstemp would make it private. */
    self->fd = openat(self->folder, self->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (self->fd >= 0) {
      self->temporary_exists = true;
      /* Tells pomona clean that somebody is at it. A file system without locks cannot. */
      if (flock(self->fd, LOCK_EX | LOCK_NB) != 0) errno = 0;
      return PMN_STATUS_OK;
    }
    if (errno != EEXIST) break;
  }
  return pmn_err_set(
      err, PMN_STATUS_WRITE, errno, "cannot create a file in the folder of %s: %s", self->file->shown, strerror(errno));
}

static void close_disk(void *state) {
  disk *self = state;
  if (self->fd >= 0) close(self->fd);
  if (self->temporary_exists) unlinkat(self->folder, self->temporary, 0);
  if (self->folder >= 0) close(self->folder);
  pmn_free(self);
}

static pmn_status open_disk(const pmn_outfile_name *file, void **state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  disk *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an output file");
  const char *slash = strrchr(file->path, '/');
  self->folder = self->fd = -1;
  self->file = file;
  self->name = slash == NULL ? file->path : slash + 1;
  PMN_TRY(open_folder(self, err));
  PMN_TRY(check_name(self, err));
  *state = self;
  self = NULL;
done:
  if (self != NULL) close_disk(self);
  return st;
}

static pmn_status check_disk(void *state, pmn_err *err) {
  disk *self = state;
  if (faccessat(self->folder, ".", W_OK | X_OK, AT_EACCESS) == 0) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_WRITE, errno, "cannot create a file in the folder of %s: %s", self->file->shown, strerror(errno));
}

static pmn_status fail_write(const disk *self, int code, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_WRITE, code, "cannot write %s: %s", self->file->shown, strerror(code));
}

static pmn_status write_disk(void *state, const char *bytes, size_t size, pmn_err *err) {
  disk *self = state;
  while (size > 0) {
    ssize_t written = write(self->fd, bytes, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_write(self, errno, err);
    bytes += written;
    size -= (size_t)written;
  }
  return PMN_STATUS_OK;
}

static pmn_status rewrite_head(void *state, const char *bytes, size_t size, pmn_err *err) {
  disk *self = state;
  for (size_t at = 0; at < size;) {
    ssize_t written = pwrite(self->fd, bytes + at, size - at, (off_t)at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail_write(self, errno, err);
    at += (size_t)written;
  }
  return PMN_STATUS_OK;
}

/* A full disk may show as late as fsync or close. */
static pmn_status seal(void *state, pmn_err *err) {
  disk *self = state;
  if (fsync(self->fd) != 0) return fail_write(self, errno, err);
  int failed = close(self->fd);
  self->fd = -1;
  return failed == 0 ? PMN_STATUS_OK : fail_write(self, errno, err);
}

static pmn_status reread(void *state, pmn_digest **digest, pmn_err *err) {
  disk *self = state;
  struct stat info;
  if (fstat(self->fd, &info) != 0) return fail_write(self, errno, err);
  return pmn_digest_read(self->fd, info.st_size, self->file->shown, false, NULL, digest, err);
}

static const char *no_upload(void *state) {
  (void)state;
  return NULL;
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

static pmn_status publish(void *state, pmn_err *err) {
  disk *self = state;
  int folder = self->folder;
  int failed = self->file->overwrite ? renameat(folder, self->temporary, folder, self->name)
                                     : rename_new(folder, self->temporary, self->name);
  if (failed && errno == EEXIST) {
    return pmn_err_set(err, PMN_STATUS_EXISTS, EEXIST,
        "%s appeared while its rows were computed and was left as it is; choose another name", self->file->shown);
  }
  if (failed) return fail_write(self, errno, err);
  self->temporary_exists = false;
  return PMN_STATUS_OK;
}

/* Makes the new name itself last. Not every file system can (EINVAL), and a folder may be writable but not readable. */
static pmn_status sync_folder(void *state, pmn_err *err) {
  disk *self = state;
  int fd = openat(self->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PMN_STATUS_OK;
  int code = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  return code == 0 ? PMN_STATUS_OK : fail_write(self, code, err);
}

static void unpublish(void *state) {
  disk *self = state;
  unlinkat(self->folder, self->name, 0);
}

static pmn_status remove_old(void *state, pmn_err *err) {
  disk *self = state;
  if (unlinkat(self->folder, self->name, 0) == 0 || errno == ENOENT) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot remove %s: %s", self->file->shown, strerror(errno));
}

const pmn_outfile_kind pmn_outfile_disk = {
    .open = open_disk,
    .check = check_disk,
    .begin = open_temporary,
    .write = write_disk,
    .rewrite_head = rewrite_head,
    .seal = seal,
    .reread = reread,
    .upload = no_upload,
    .publish = publish,
    .unpublish = unpublish,
    .keep = sync_folder,
    .remove = remove_old,
    .close = close_disk,
};
