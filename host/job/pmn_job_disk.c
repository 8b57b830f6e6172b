/* pmn_job_disk.c - a job whose output is a folder on a disk; see pmn_job_place.h.
 *
 * The working folder lies beside OUT, on the same file system, so that one rename shows the whole output. With
 * overwrite, old and new output change places in one step, and the old one is removed last.
 */
#define _GNU_SOURCE /* renameat2 */
#include "pmn_job_place.h"
#include "pmn_mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static pmn_status fail(const char *what, const char *path, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot %s %.300s: %s", what, path, strerror(errno));
}

static pmn_status names_make(const char *output, pmn_job_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  names->output = pmn_strdup(output);
  if (names->output == NULL) return pmn_err_memory(err, strlen(output) + 1, "a path");
  for (size_t size = strlen(output); size > 1 && names->output[size - 1] == '/';) names->output[--size] = '\0';
  const char *slash = strrchr(names->output, '/'), *name = slash == NULL ? names->output : slash + 1;
  if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    PMN_FAIL(
        err, PMN_STATUS_WRITE, "%.300s is no output's name: give the folder or file itself, such as results/", output);
  }
  PMN_TRY(pmn_buf_printf(&path, err, "%.*s.%s.pomona", (int)(name - names->output), names->output, name));
  names->work = pmn_buf_take(&path);
  PMN_TRY(pmn_buf_printf(&path, err, "%.*s.%s.lock", (int)(name - names->output), names->output, name));
  names->guard = pmn_buf_take(&path);
  PMN_TRY(pmn_buf_printf(&path, err, "%.*s", (int)(name - names->output), slash == NULL ? "" : names->output));
  if (slash == NULL) PMN_TRY(pmn_buf_append(&path, ".", 1, err));
  names->parent = pmn_buf_take(&path);
  PMN_TRY(pmn_buf_printf(&path, err, "%s/output", names->work));
  names->place = pmn_buf_take(&path);
done:
  pmn_buf_reset(&path);
  return st;
}

/* "WORK/NAME" */
static pmn_status work_path(const pmn_job_names *names, const char *name, char path[4096], pmn_err *err) {
  if (snprintf(path, 4096, "%s/%s", names->work, name) < 4096) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_WRITE, 0, "the path %.300s... is too long", names->work);
}

static bool is_output_name(const char *name, bool is_folder) {
  return !is_folder && pmn_job_is_ours(name);
}

/* One of them is in every working folder. */
static const char *const MARKERS[] = {"lock", "job.json"};

static bool is_marker(const char *name, bool is_folder) {
  return !is_folder && (strcmp(name, MARKERS[0]) == 0 || strcmp(name, MARKERS[1]) == 0);
}

/* ".NAME.XXXXXX.tmp", for NAME or NAME with a suffix: what pmn_outfile_disk.c leaves after a crash. It keeps 200 bytes
 * of a long name. */
static bool is_temporary(const char *entry, const char *name) {
  size_t size = strlen(entry), length = strnlen(name, 200);
  return size >= length + 12 && entry[0] == '.' && strncmp(entry + 1, name, length) == 0 && entry[length + 1] == '.' &&
         strcmp(entry + size - 4, ".tmp") == 0 && entry[size - 11] == '.';
}

/* The same for an entry of the journal. */
static bool is_half_entry(const char *entry) {
  char name[256];
  size_t size = strlen(entry);
  if (size < 12 || size > sizeof name || entry[0] != '.') return false;
  snprintf(name, sizeof name, "%.*s", (int)(size - 12), entry + 1);
  return pmn_job_is_entry(name) && is_temporary(entry, name);
}

/* What a run writes into its working folder; a network file system may keep there what is open yet removed. */
static bool is_work_name(const char *name, bool is_folder) {
  /* An entry of the journal that is a folder is damaged, and told as such. */
  return is_marker(name, is_folder) || strcmp(name, "output") == 0 || strcmp(name, "old") == 0 ||
         pmn_job_is_entry(name) || is_half_entry(name) ||
         strncmp(name, ".pomona-scratch-", strlen(".pomona-scratch-")) == 0 ||
         strncmp(name, ".nfs", strlen(".nfs")) == 0;
}

/* The same for the folders in it, with files that are not yet whole. */
static bool is_part_name(const char *name, bool is_folder) {
  return !is_folder && (name[0] == '.' || pmn_job_is_ours(name));
}

/* A folder's first name that `mine` does not know, into `name`; "" if there is none. *count is how many names it has.
 */
static pmn_status scan(
    const char *folder, bool (*mine)(const char *name, bool is_folder), char name[256], int64_t *count, pmn_err *err) {
  DIR *handle = opendir(folder);
  name[0] = '\0';
  *count = 0;
  if (handle == NULL) return errno == ENOENT ? PMN_STATUS_OK : fail("list the folder", folder, err);
  for (struct dirent *entry; errno = 0, (entry = readdir(handle)) != NULL;) {
    struct stat info;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    ++*count;
    bool folder_inside =
        fstatat(dirfd(handle), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
    if (name[0] == '\0' && !mine(entry->d_name, folder_inside)) snprintf(name, 256, "%s", entry->d_name);
  }
  pmn_status st = errno == 0 ? PMN_STATUS_OK : fail("list the folder", folder, err);
  closedir(handle);
  return st;
}

/* Bind mounts have the device of what they show, but a mount of their own. */
static bool is_mount_point(const char *path, const char *parent) {
  struct statx a, b;
  if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &a) != 0 ||
      statx(AT_FDCWD, parent, 0, STATX_MNT_ID, &b) != 0)
    return false;
  bool known = (a.stx_mask & b.stx_mask & STATX_MNT_ID) != 0;
  return a.stx_dev_major != b.stx_dev_major || a.stx_dev_minor != b.stx_dev_minor ||
         (known && a.stx_mnt_id != b.stx_mnt_id);
}

static pmn_status look(const pmn_job_names *names, pmn_job_state *state, char what[256], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  int64_t count = 0;
  *state = PMN_JOB_NOTHING;
  if (stat(names->parent, &info) != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot write %.300s: its folder %s: %s", names->output,
        errno == ENOENT ? "does not exist; make it first" : "cannot be opened", strerror(errno));
  }
  if (access(names->parent, W_OK | X_OK) != 0) {
    st = fail("make a folder beside", names->output, err);
    goto done;
  }
  if (lstat(names->output, &info) != 0) {
    if (errno != ENOENT) st = fail("look at", names->output, err);
    goto done;
  }
  if (!S_ISDIR(info.st_mode)) {
    PMN_FAIL(err, PMN_STATUS_WRITE, "%.300s is %s, and a folder of parts cannot take its place; choose another name",
        names->output, S_ISLNK(info.st_mode) ? "a link" : "no folder");
  }
  if (is_mount_point(names->output, names->parent)) {
    PMN_FAIL(err, PMN_STATUS_WRITE,
        "%.300s is a mount point, which nothing can take the place of; name a folder inside it: %.300s/results/",
        names->output, names->output);
  }
  PMN_TRY(scan(names->output, is_output_name, what, &count, err));
  *state = count == 0 ? PMN_JOB_NOTHING : what[0] != '\0' ? PMN_JOB_FOREIGN : PMN_JOB_OUTPUT;
done:
  return st;
}

static pmn_status has_work(const pmn_job_names *names, bool *has, pmn_err *err) {
  struct stat info;
  *has = lstat(names->work, &info) == 0;
  if (!*has && errno != ENOENT && errno != ENAMETOOLONG) return fail("look at", names->work, err);
  if (*has && !S_ISDIR(info.st_mode)) {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0, "%.300s is in the way: it is no folder", names->work);
  }
  return PMN_STATUS_OK;
}

/* ------------------------------------------------------------------------------------------------------ lock -- */

/* The kernel's lock on an open file ends with the process, however that ends. */
typedef struct lock {
  int fd;
  char *own; /* the file, if it goes with the lock; NULL: it goes with the working folder */
} lock;

/* Whoever held it before may have removed it since it was opened. */
static bool is_there(int fd, const char *path) {
  struct stat mine, there;
  if (fstat(fd, &mine) != 0 || lstat(path, &there) != 0) return errno != ENOENT;
  return mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

static void unlock(void *handle) {
  lock *self = handle;
  if (self == NULL) return;
  /* A relative name may mean another's file by now: the caller may have changed the working folder. */
  if (self->fd >= 0 && self->own != NULL && is_there(self->fd, self->own)) unlink(self->own);
  if (self->fd >= 0) close(self->fd);
  pmn_free(self->own);
  pmn_free(self);
}

static pmn_status sync_folder(const char *path, pmn_err *err) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PMN_STATUS_OK;
  int code = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
  close(fd);
  errno = code;
  return code == 0 ? PMN_STATUS_OK : fail("make lasting", path, err);
}

/* The number of a process, or "": a run was killed before it wrote it. False: it is no lock of ours. */
static bool read_owner(int file, char owner[64]) {
  struct stat info;
  ssize_t size = fstat(file, &info) == 0 && S_ISREG(info.st_mode) ? pread(file, owner, 63, 0) : -1;
  owner[size > 0 ? size : 0] = '\0';
  return size >= 0 && size <= 20 && strspn(owner, "0123456789") == (size_t)size;
}

/* The lock's file, locked; with *fd -1 and PMN_STATUS_OK it was removed meanwhile, and is to be made again. */
static pmn_status lock_file(const pmn_job_names *names, const char *path, bool in_work, int *fd, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char owner[64];
  *fd = -1;
  if (in_work && mkdir(names->work, 0777) != 0 && errno != EEXIST) {
    return fail("make the working folder", names->work, err);
  }
  int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (file < 0) return in_work && errno == ENOENT ? PMN_STATUS_OK : fail("open", path, err);
  /* A file system without locks has always taken single files, which come there whole in any case. */
  if (flock(file, LOCK_EX | LOCK_NB) != 0 && (in_work || errno == EWOULDBLOCK)) {
    if (errno != EWOULDBLOCK) {
      st = fail("lock", path, err);
      unlink(path); /* nobody can have it */
      goto done;
    }
    bool known = read_owner(file, owner) && owner[0] != '\0';
    PMN_FAIL(err, PMN_STATUS_EXISTS, "another run (process %s) is writing %.300s; wait for it, or name another output",
        known ? owner : "unknown", names->output);
  }
  if (!read_owner(file, owner)) {
    PMN_FAIL(err, PMN_STATUS_EXISTS,
        "%.300s is where a run has its lock, but holds something that is none of Pomona's and is not removed; move it, "
        "or choose another name",
        path);
  }
  if (is_there(file, path)) {
    *fd = file;
    file = -1;
  }
done:
  if (file >= 0) close(file);
  return st;
}

/* Takes the lock and says whose it is. */
static pmn_status take(const pmn_job_names *names, const char *path, bool in_work, lock *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char owner[64];
  while (self->fd < 0) PMN_TRY(lock_file(names, path, in_work, &self->fd, err));
  int size = snprintf(owner, sizeof owner, "%ld", (long)getpid());
  if (ftruncate(self->fd, 0) != 0 || pwrite(self->fd, owner, (size_t)size, 0) != size) st = fail("write", path, err);
done:
  return st;
}

static bool is_marked(const pmn_job_names *names) {
  char path[4096];
  struct stat info;
  bool marked = false;
  for (size_t i = 0; i < sizeof MARKERS / sizeof *MARKERS; i++) {
    marked = marked || (work_path(names, MARKERS[i], path, NULL) == PMN_STATUS_OK && lstat(path, &info) == 0);
  }
  return marked;
}

/* A working folder that none of us has made: it holds things that no run writes, or has neither lock nor plan. Another
 * run may make it or remove it meanwhile, so these are looked for before and after. */
static pmn_status check_work(const pmn_job_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char what[256], old[4096];
  int64_t count;
  bool marked = is_marked(names);
  PMN_TRY(scan(names->work, is_work_name, what, &count, err));
  marked = marked || is_marked(names);
  if (count > 0 && !marked && what[0] == '\0') PMN_TRY(scan(names->work, is_marker, what, &count, err));
  PMN_TRY(work_path(names, "old", old, err));
  if (what[0] == '\0') PMN_TRY(scan(names->place, is_part_name, what, &count, err));
  if (what[0] == '\0') PMN_TRY(scan(old, is_part_name, what, &count, err));
  if (what[0] != '\0') {
    PMN_FAIL(err, PMN_STATUS_WRITE,
        "%.250s is where the work on %.150s is kept, but holds %.100s, which is none of Pomona's and is not removed; "
        "move that, or choose another name",
        names->work, names->output, what);
  }
done:
  return st;
}

static pmn_status lock_take(const pmn_job_names *names, void **handle, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char path[4096];
  struct stat info;
  bool fresh = lstat(names->work, &info) != 0 && errno == ENOENT;
  *handle = NULL;
  lock *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a lock");
  self->fd = -1;
  PMN_TRY(work_path(names, "lock", path, err));
  if (!fresh) PMN_TRY(check_work(names, err));
  PMN_TRY(take(names, path, true, self, err));
  PMN_TRY(sync_folder(names->parent, err)); /* what is kept in the folder lasts no longer than its name */
  *handle = self;
  self = NULL;
done:
  if (self != NULL) {
    if (fresh && self->fd >= 0) unlink(path);
    if (fresh) rmdir(names->work); /* unless another run has something in it */
    unlock(self);
  }
  return st;
}

static pmn_status guard_take(const pmn_job_names *names, void **handle, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *handle = NULL;
  lock *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a lock");
  self->fd = -1;
  self->own = pmn_strdup(names->guard);
  if (self->own == NULL) {
    st = pmn_err_memory(err, strlen(names->guard) + 1, "a path");
    goto done;
  }
  PMN_TRY(take(names, self->own, false, self, err));
  *handle = self;
  self = NULL;
done:
  unlock(self);
  return st;
}

/* ----------------------------------------------------------------------------------------------- remove, show -- */

/* The files in a folder but the one named `kept`. */
static pmn_status remove_files(const char *path, const char *kept, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  DIR *handle = opendir(path);
  if (handle == NULL) return errno == ENOENT ? PMN_STATUS_OK : fail("open the folder", path, err);
  for (struct dirent *entry; errno = 0, (entry = readdir(handle)) != NULL;) {
    const char *name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, kept) == 0) continue;
    if (unlinkat(dirfd(handle), name, 0) == 0)
      ++*removed;
    else if (errno != ENOENT)
      st = fail("remove what is in", path, err);
  }
  if (st == PMN_STATUS_OK && errno != 0) st = fail("list the folder", path, err);
  closedir(handle);
  return st;
}

/* Folders in it are not entered, and then it stays. */
static pmn_status remove_folder(const char *path, int64_t *removed, pmn_err *err) {
  pmn_status st = remove_files(path, "", removed, err);
  if (st == PMN_STATUS_OK && rmdir(path) != 0 && errno != ENOENT) st = fail("remove", path, err);
  return st;
}

static pmn_status clear(const pmn_job_names *names, bool lock_too, bool uploads_too, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char plan[4096], old[4096], guard[4096];
  (void)uploads_too;
  PMN_TRY(work_path(names, "job.json", plan, err));
  PMN_TRY(work_path(names, "old", old, err));
  PMN_TRY(work_path(names, "lock", guard, err));
  if (unlink(plan) == 0) {
    ++*removed;
    PMN_TRY(sync_folder(names->work, err));
  } else if (errno != ENOENT) {
    st = fail("remove", plan, err);
    goto done;
  }
  PMN_TRY(remove_folder(names->place, removed, err));
  PMN_TRY(remove_folder(old, removed, err));
  PMN_TRY(remove_files(names->work, "lock", removed, err));
  if (!lock_too) goto done;
  if (unlink(guard) == 0) ++*removed;
  /* The next run may have made its own lock there. */
  if (rmdir(names->work) != 0 && errno != ENOENT && errno != ENOTEMPTY && errno != EEXIST)
    st = fail("remove", names->work, err);
done:
  return st;
}

/* Where two folders cannot change places in one step, the old one moves aside first. */
static pmn_status exchange(const pmn_job_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char old[4096];
  if (renameat2(AT_FDCWD, names->place, AT_FDCWD, names->output, RENAME_EXCHANGE) == 0) return PMN_STATUS_OK;
  if (errno != EINVAL && errno != ENOSYS) return fail("replace", names->output, err);
  PMN_TRY(work_path(names, "old", old, err));
  if (rename(names->output, old) != 0) {
    st = fail("replace", names->output, err);
    goto done;
  }
  if (rename(names->place, names->output) != 0) {
    st = fail("replace", names->output, err);
    if (rename(old, names->output) != 0) st = fail("put back", names->output, err);
  }
done:
  return st;
}

/* Temporary files of runs that were killed. */
static pmn_status remove_strays(const char *folder, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  DIR *handle = opendir(folder);
  if (handle == NULL) return fail("open the folder", folder, err);
  for (struct dirent *entry; st == PMN_STATUS_OK && (entry = readdir(handle)) != NULL;) {
    bool stray = entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (stray && unlinkat(dirfd(handle), entry->d_name, 0) != 0) st = fail("remove what is in", folder, err);
  }
  closedir(handle);
  return st;
}

/* The files have their final names already, in the folder that is renamed, and what it replaces goes as a whole. */
static pmn_status show(const pmn_job_names *names, const pmn_job_showing *showing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *place = NULL;
  PMN_TRY(pmn_folder_open(NULL, names->place, true, &place, err));
  PMN_TRY(pmn_folder_write(place, "_record.json", showing->record, strlen(showing->record), err));
  PMN_TRY(pmn_folder_write(place, "_SUCCESS", "", 0, err));
  PMN_TRY(remove_strays(names->place, err));
  PMN_TRY(sync_folder(names->place, err));
  if (rename(names->place, names->output) != 0) { /* onto nothing, or onto an empty folder */
    if (errno != ENOTEMPTY && errno != EEXIST) {
      st = fail("show", names->output, err);
      goto done;
    }
    PMN_TRY(exchange(names, err));
  }
  st = sync_folder(names->parent, err);
done:
  pmn_folder_close(place);
  return st;
}

/* A living run holds a lock on its file. */
static bool remove_unlocked(int folder, const char *name) {
  int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  bool removed = flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0;
  close(fd);
  return removed;
}

static pmn_status sweep(const pmn_job_names *names, int64_t *removed, pmn_err *err) {
  const char *slash = strrchr(names->output, '/'), *name = slash == NULL ? names->output : slash + 1;
  DIR *handle = opendir(names->parent);
  if (handle == NULL) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, errno, "cannot open the folder %.300s: %s", names->parent, strerror(errno));
  }
  for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
    if (is_temporary(entry->d_name, name) && remove_unlocked(dirfd(handle), entry->d_name)) ++*removed;
  }
  closedir(handle);
  return PMN_STATUS_OK;
}

const pmn_job_place pmn_job_disk = {.names = names_make,
    .look = look,
    .has_work = has_work,
    .lock = lock_take,
    .guard = guard_take,
    .unlock = unlock,
    .clear = clear,
    .show = show,
    .sweep = sweep};
