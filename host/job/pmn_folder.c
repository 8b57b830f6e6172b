/* pmn_folder.c - see pmn_folder.h. */
#include "pmn_folder.h"

#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pmn_folder {
  struct pmn_s3 *s3;
  const char *path;
};

static pmn_status fail(const char *what, const char *path, pmn_err *err) {
  pmn_status status = errno == ENOENT ? PMN_STATUS_NOT_FOUND : PMN_STATUS_WRITE;
  return pmn_err_set(err, status, errno, "cannot %s %.300s: %s", what, path, strerror(errno));
}

pmn_status pmn_folder_open(struct pmn_s3 *s3, const char *path, bool create, pmn_folder **folder, pmn_err *err) {
  struct stat info;
  if (create && mkdir(path, 0777) != 0 && errno != EEXIST) {
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot make the folder %.300s: %s", path, strerror(errno));
  }
  if (stat(path, &info) != 0) return fail("open the folder", path, err);
  if (!S_ISDIR(info.st_mode)) return pmn_err_set(err, PMN_STATUS_WRITE, 0, "%.300s is not a folder", path);
  pmn_folder *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a folder");
  self->s3 = s3;
  self->path = path;
  *folder = self;
  return PMN_STATUS_OK;
}

void pmn_folder_close(pmn_folder *folder) {
  pmn_free(folder);
}

pmn_status pmn_folder_name(const pmn_folder *folder, const char *name, pmn_buf *path, pmn_err *err) {
  return pmn_buf_printf(path, err, "%s/%s", folder->path, name);
}

pmn_status pmn_folder_read(pmn_folder *folder, const char *name, pmn_buf *bytes, pmn_err *err) {
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  pmn_status st = pmn_folder_name(folder, name, &path, err);
  if (st == PMN_STATUS_OK) st = pmn_file_read(path.data, bytes, err);
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_folder_write(pmn_folder *folder, const char *name, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  PMN_TRY(pmn_folder_name(folder, name, &path, err));
  PMN_TRY(pmn_outfile_create(folder->s3, path.data, "", true, &out, err));
  PMN_TRY(pmn_outfile_write(out, bytes, size, err));
  PMN_TRY(pmn_outfile_commit(&out, 1, err));
done:
  pmn_outfile_destroy(out);
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_folder_remove(pmn_folder *folder, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  PMN_TRY(pmn_folder_name(folder, name, &path, err));
  if (unlink(path.data) != 0 && errno != ENOENT) st = fail("remove", path.data, err);
done:
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_folder_list(pmn_folder *folder, pmn_folder_each *each, void *arg, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  DIR *handle = opendir(folder->path);
  if (handle == NULL) return fail("list", folder->path, err);
  for (struct dirent *entry; st == PMN_STATUS_OK && (entry = readdir(handle)) != NULL;) {
    struct stat info;
    if (fstatat(dirfd(handle), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue; /* gone meanwhile */
    if (!S_ISDIR(info.st_mode)) st = each(arg, entry->d_name, info.st_size, err);
  }
  closedir(handle);
  return st;
}

pmn_status pmn_folder_size(pmn_folder *folder, const char *name, int64_t *size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  PMN_TRY(pmn_folder_name(folder, name, &path, err));
  *size = -1;
  if (stat(path.data, &info) == 0)
    *size = info.st_size;
  else if (errno != ENOENT)
    st = fail("look at", path.data, err);
done:
  pmn_buf_reset(&path);
  return st;
}
