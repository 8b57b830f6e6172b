/* pmn_walk.c - the recursive walk of a folder.
 *
 * Workload: 10^4 to 10^7 files in 1 to 10^5 folders. The kind of an entry comes from readdir where the file system
 * tells it, so a plain file costs no system call of its own; links and unknown kinds cost one stat.
 *
 * The walk goes breadth first over a table of folders, opening each by its path: one descriptor and no recursion,
 * however deep the tree; only the system's limit on the length of a path ends it, with an error. Each folder knows the
 * one it was found in, so a loop is a folder with the device and inode of one above it. Two links to the same folder
 * side by side are no loop: both are walked.
 */
#include "pmn_walk.h"

#include "pmn_mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO_PARENT = -1 };

typedef struct folder {
  const char *path; /* without a slash at its end: "" is the root of the file system */
  int64_t parent;
  dev_t device;
  ino_t inode;
  bool by_link; /* found as a symbolic link, or as what readdir could not name */
} folder;

typedef struct walk {
  const pmn_walk_filter *filter;
  pmn_names *names;
  folder *folders;
  int64_t count, capacity;
  int64_t skipped;
} walk;

static const char *shown(const folder *f) {
  return f->path[0] == '\0' ? "/" : f->path;
}

static pmn_status folder_push(walk *w, const char *path, int64_t parent, bool by_link, pmn_err *err) {
  if (w->count == w->capacity) {
    int64_t capacity = w->capacity + w->capacity / 2 + 16;
    folder *folders = pmn_realloc(w->folders, (size_t)capacity, sizeof *folders);
    if (folders == NULL) return pmn_err_memory(err, (size_t)capacity * sizeof *folders, "a list of folders");
    w->folders = folders;
    w->capacity = capacity;
  }
  w->folders[w->count++] = (folder){.path = path, .parent = parent, .by_link = by_link};
  return PMN_STATUS_OK;
}

/* Fails if folders[index] is one of the folders above it. The culprit is the last link on the way down. */
static pmn_status loop_check(const walk *w, int64_t index, pmn_err *err) {
  const folder *self = &w->folders[index];
  int64_t link = self->by_link ? index : NO_PARENT;
  for (int64_t i = self->parent; i != NO_PARENT; i = w->folders[i].parent) {
    const folder *above = &w->folders[i];
    if (above->device == self->device && above->inode == self->inode) {
      return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
          "%.200s leads back to a folder that it lies below (%.200s is entered again): remove this link",
          shown(&w->folders[link == NO_PARENT ? index : link]), shown(above));
    }
    if (link == NO_PARENT && above->by_link) link = i;
  }
  return PMN_STATUS_OK;
}

static bool has_picture_ending(const char *name) {
  static const char *const endings[] = {"jpg", "jpeg", "jpe", "jfif", "png", "webp"};
  const char *dot = strrchr(name, '.');
  char lower[5] = "";
  if (dot == NULL || strlen(dot + 1) >= sizeof lower) return false;
  for (size_t i = 0; dot[1 + i] != '\0'; i++) {
    char c = dot[1 + i];
    lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
  }
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    if (strcmp(lower, endings[i]) == 0) return true;
  }
  return false;
}

bool pmn_walk_takes(const pmn_walk_filter *filter, const char *key, const char *name) {
  if (filter->include_count == 0) return has_picture_ending(name);
  for (size_t i = 0; i < filter->include_count; i++) {
    const char *glob = filter->includes[i];
    const char *text = strchr(glob, '/') != NULL ? key : name;
    if (fnmatch(glob, text, 0) == 0) return true;
  }
  return false;
}

/* Whether an entry is a folder, links followed. A link that leads nowhere is a file: it is judged by its name like any
 * other, and reading it will tell what is wrong. */
static pmn_status entry_kind(int fd, const folder *f, const struct dirent *entry, bool *is_folder, pmn_err *err) {
  struct stat info;
  *is_folder = entry->d_type == DT_DIR;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return PMN_STATUS_OK;
  if (fstatat(fd, entry->d_name, &info, 0) == 0) {
    *is_folder = S_ISDIR(info.st_mode);
    return PMN_STATUS_OK;
  }
  if (errno == ENOENT || errno == ELOOP) return PMN_STATUS_OK;
  int code = errno;
  return pmn_err_set(
      err, PMN_STATUS_NOT_FOUND, code, "cannot tell what %.200s/%.200s is: %s", f->path, entry->d_name, strerror(code));
}

static pmn_status entry_take(walk *w, int fd, int64_t index, const struct dirent *entry, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const folder *f = &w->folders[index];
  const char *path = NULL;
  bool is_folder = false;
  if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) return PMN_STATUS_OK;
  bool hidden = entry->d_name[0] == '.';
  st = entry_kind(fd, f, entry, &is_folder, hidden ? NULL : err);
  if (hidden && (st != PMN_STATUS_OK || is_folder)) return PMN_STATUS_OK;
  if (st != PMN_STATUS_OK) goto done;
  PMN_TRY(pmn_names_join(w->names, f->path, strlen(f->path), entry->d_name, &path, err));
  if (is_folder) {
    PMN_TRY(folder_push(w, path, index, entry->d_type != DT_DIR, err));
    goto done;
  }
  bool taken = pmn_walk_takes(w->filter, path + w->filter->key_offset, entry->d_name);
  if (taken && !hidden) {
    PMN_TRY(pmn_names_add(w->names, path, err));
  } else {
    pmn_names_undo(w->names, path);
    w->skipped += taken == hidden;
  }
done:
  return st;
}

static pmn_status folder_read(walk *w, int64_t index, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *path = shown(&w->folders[index]);
  struct stat info;
  DIR *stream = NULL;
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &info) != 0 || (stream = fdopendir(fd)) == NULL) {
    PMN_FAIL_CODE(err, errno == ENOMEM ? PMN_STATUS_NO_MEMORY : PMN_STATUS_NOT_FOUND, errno,
        "cannot open the folder %.300s: %s", path, strerror(errno));
  }
  w->folders[index].device = info.st_dev;
  w->folders[index].inode = info.st_ino;
  PMN_TRY(loop_check(w, index, err));
  for (;;) {
    errno = 0;
    const struct dirent *entry = readdir(stream);
    if (entry == NULL) break;
    PMN_TRY(entry_take(w, fd, index, entry, err));
  }
  if (errno != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read the folder %.300s: %s", path, strerror(errno));
  }
done:
  if (stream != NULL)
    closedir(stream);
  else if (fd >= 0)
    close(fd);
  return st;
}

pmn_status pmn_walk_folder(
    const char *folder_path, const pmn_walk_filter *filter, pmn_names *names, int64_t *skipped, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  walk w = {.filter = filter, .names = names};
  const char *path = NULL;
  size_t size = strlen(folder_path);
  while (size > 0 && folder_path[size - 1] == '/') size--;
  PMN_TRY(pmn_names_copy(names, folder_path, size, &path, err));
  PMN_TRY(folder_push(&w, path, NO_PARENT, false, err));
  for (int64_t i = 0; i < w.count; i++) PMN_TRY(folder_read(&w, i, err));
  *skipped += w.skipped;
done:
  pmn_free(w.folders);
  return st;
}
