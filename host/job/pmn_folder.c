/* pmn_folder.c - see pmn_folder.h. Each call: the disk's way, or the bucket's. */
#include "pmn_folder.h"

#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_s3.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pmn_folder {
  const char *path;
  /* of a prefix: */
  pmn_s3 *s3; /* NULL for a folder on a disk */
  pmn_buf bucket;
  const char *prefix; /* of the keys, within path; "" for the whole bucket */
};

static pmn_status fail(const char *what, const char *path, pmn_err *err) {
  pmn_status status = errno == ENOENT ? PMN_STATUS_NOT_FOUND : PMN_STATUS_WRITE;
  return pmn_err_set(err, status, errno, "cannot %s %.300s: %s", what, path, strerror(errno));
}

static pmn_status open_disk(const char *path, bool create, pmn_err *err) {
  struct stat info;
  if (create && mkdir(path, 0777) != 0 && errno != EEXIST) {
    return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot make the folder %.300s: %s", path, strerror(errno));
  }
  if (stat(path, &info) != 0) return fail("open the folder", path, err);
  if (!S_ISDIR(info.st_mode)) return pmn_err_set(err, PMN_STATUS_WRITE, 0, "%.300s is not a folder", path);
  return PMN_STATUS_OK;
}

pmn_status pmn_folder_open(struct pmn_s3 *s3, const char *path, bool create, pmn_folder **folder, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a folder");
  self->path = path;
  pmn_buf_init(&self->bucket, 256);
  if (pmn_s3_is_uri(path)) {
    self->s3 = s3;
    PMN_TRY(pmn_s3_uri_split(path, &self->bucket, &self->prefix, err));
  } else {
    PMN_TRY(open_disk(path, create, err));
  }
  *folder = self;
  self = NULL;
done:
  pmn_folder_close(self);
  return st;
}

void pmn_folder_close(pmn_folder *folder) {
  if (folder == NULL) return;
  pmn_buf_reset(&folder->bucket);
  pmn_free(folder);
}

pmn_status pmn_folder_name(const pmn_folder *folder, const char *name, pmn_buf *path, pmn_err *err) {
  return pmn_buf_printf(path, err, "%s/%s", folder->path, name);
}

/* The path of a file, or in a bucket its key. */
static pmn_status name_file(const pmn_folder *folder, const char *name, pmn_buf *path, pmn_err *err) {
  pmn_buf_init(path, 1 << 16);
  if (folder->s3 == NULL) return pmn_folder_name(folder, name, path, err);
  return pmn_buf_printf(path, err, "%s%s%s", folder->prefix, folder->prefix[0] == '\0' ? "" : "/", name);
}

pmn_status pmn_folder_read(pmn_folder *folder, const char *name, pmn_buf *bytes, pmn_err *err) {
  pmn_buf path;
  pmn_status st = name_file(folder, name, &path, err);
  if (st == PMN_STATUS_OK) {
    st = folder->s3 != NULL ? pmn_s3_get(folder->s3, folder->bucket.data, path.data, -1, NULL, bytes, err)
                            : pmn_file_read(path.data, bytes, err);
  }
  pmn_buf_reset(&path);
  return st;
}

static pmn_status write_disk(const char *path, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  PMN_TRY(pmn_outfile_create(NULL, path, "", true, &out, err));
  PMN_TRY(pmn_outfile_write(out, bytes, size, err));
  PMN_TRY(pmn_outfile_commit(&out, 1, err));
done:
  pmn_outfile_destroy(out);
  return st;
}

pmn_status pmn_folder_write(pmn_folder *folder, const char *name, const void *bytes, size_t size, pmn_err *err) {
  pmn_buf path;
  pmn_status st = name_file(folder, name, &path, err);
  if (st == PMN_STATUS_OK) {
    st = folder->s3 != NULL ? pmn_s3_put(folder->s3, folder->bucket.data, path.data, bytes, size, false, err)
                            : write_disk(path.data, bytes, size, err);
  }
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_folder_remove(pmn_folder *folder, const char *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  PMN_TRY(name_file(folder, name, &path, err));
  if (folder->s3 != NULL)
    st = pmn_s3_delete(folder->s3, folder->bucket.data, path.data, err);
  else if (unlink(path.data) != 0 && errno != ENOENT)
    st = fail("remove", path.data, err);
done:
  pmn_buf_reset(&path);
  return st;
}

typedef struct listing {
  pmn_folder_each *each;
  void *arg;
  size_t prefix_size;
} listing;

static pmn_status list_folder(const listing *l, const char *name, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf text;
  pmn_buf_init(&text, 1 << 16);
  PMN_TRY(pmn_buf_append(&text, name, size, err));
  PMN_TRY(pmn_buf_append(&text, "/", 1, err));
  PMN_TRY(l->each(l->arg, text.data, -1, err));
done:
  pmn_buf_reset(&text);
  return st;
}

static pmn_status list_object(void *arg, const pmn_s3_object *object, pmn_err *err) {
  const listing *l = arg;
  const char *name = object->key + l->prefix_size, *slash = strchr(name, '/');
  return slash != NULL ? list_folder(l, name, (size_t)(slash - name), err) : l->each(l->arg, name, object->size, err);
}

static pmn_status list_disk(const char *path, const listing *l, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  DIR *handle = opendir(path);
  if (handle == NULL) return fail("list", path, err);
  for (struct dirent *entry; st == PMN_STATUS_OK && (errno = 0, entry = readdir(handle)) != NULL;) {
    const char *name = entry->d_name;
    struct stat info;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (fstatat(dirfd(handle), name, &info, AT_SYMLINK_NOFOLLOW) != 0) continue; /* gone meanwhile */
    st = S_ISDIR(info.st_mode) ? list_folder(l, name, strlen(name), err) : l->each(l->arg, name, info.st_size, err);
  }
  if (st == PMN_STATUS_OK && errno != 0) st = fail("list", path, err);
  closedir(handle);
  return st;
}

pmn_status pmn_folder_list(pmn_folder *folder, pmn_folder_each *each, void *arg, pmn_err *err) {
  listing l = {.each = each, .arg = arg};
  pmn_buf prefix;
  if (folder->s3 == NULL) return list_disk(folder->path, &l, err);
  pmn_status st = name_file(folder, "", &prefix, err);
  l.prefix_size = prefix.size;
  if (st == PMN_STATUS_OK) {
    st = pmn_s3_list(folder->s3, folder->bucket.data, prefix.data != NULL ? prefix.data : "", list_object, &l, err);
  }
  pmn_buf_reset(&prefix);
  return st;
}

static pmn_status size_of_object(pmn_folder *folder, const char *key, int64_t *size, pmn_err *err) {
  char etag[PMN_S3_ETAG];
  pmn_status st = pmn_s3_head(folder->s3, folder->bucket.data, key, size, etag, err);
  if (st != PMN_STATUS_NOT_FOUND) return st;
  *size = -1;
  return PMN_STATUS_OK;
}

pmn_status pmn_folder_size(pmn_folder *folder, const char *name, int64_t *size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  pmn_buf path;
  *size = -1;
  PMN_TRY(name_file(folder, name, &path, err));
  if (folder->s3 != NULL)
    st = size_of_object(folder, path.data, size, err);
  else if (stat(path.data, &info) == 0)
    *size = info.st_size;
  else if (errno != ENOENT)
    st = fail("look at", path.data, err);
done:
  pmn_buf_reset(&path);
  return st;
}
