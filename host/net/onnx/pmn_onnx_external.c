/* pmn_onnx_external.c - tensors that lie in files of their own beside the model.
 *
 * The model names the file, so the name is hostile: it may lead only to a regular file below the model's own folder,
 * through no link of any kind. Each component is opened from the folder before it, so nothing can be exchanged between
 * a check and the opening.
 */
#include "pmn_mem.h"
#include "pmn_onnx_read.h"
#include "pmn_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOCATION_EXTERNAL = 1 };

bool pmn_onnx_external_named(const Onnx__TensorProto *tensor) {
  return tensor->data_location == LOCATION_EXTERNAL;
}

/* NULL if the tensor has no such key. */
static const char *entry_of(const Onnx__TensorProto *tensor, const char *key) {
  for (size_t i = 0; i < tensor->n_external_data; i++) {
    const Onnx__StringStringEntryProto *entry = tensor->external_data[i];
    if (entry->key != NULL && strcmp(entry->key, key) == 0) return entry->value;
  }
  return NULL;
}

static const char *name_of(const Onnx__TensorProto *tensor) {
  return tensor->name != NULL ? tensor->name : "";
}

/* The folder that a file is in. */
static pmn_status open_folder(const char *path, int *folder, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char *copy = pmn_strdup(path);
  if (copy == NULL) return pmn_err_memory(err, strlen(path), "the name of a folder");
  char *slash = strrchr(copy, '/');
  if (slash != NULL) slash[slash == copy] = '\0';
  *folder = open(slash == NULL ? "." : copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (*folder < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open the folder of %s: %s", path, strerror(errno));
  }
done:
  pmn_free(copy);
  return st;
}

/* Opens folder/location, component by component. */
static pmn_status open_below(int folder, const char *origin, const char *location, int *file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int at = folder;
  char *copy = pmn_strdup(location), *component = copy;
  if (copy == NULL) return pmn_err_memory(err, strlen(location), "the name of a file");
  if (location[0] == '/' || location[0] == '\0') {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: external data \"%s\" is not named relative to the model", origin, location);
  }
  while (component != NULL) {
    char *slash = strchr(component, '/');
    if (slash != NULL) *slash = '\0';
    if (component[0] == '\0' || strcmp(component, "..") == 0) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: external data \"%s\" is not a plain path below the model's folder", origin,
          location);
    }
    /* O_NONBLOCK: opening a FIFO must not hang; regular files ignore it. */
    int kind = slash != NULL ? O_DIRECTORY : O_NONBLOCK;
    int next = openat(at, component, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind);
    int code = errno;
    if (at != folder) close(at);
    at = next;
    if (next < 0) {
      /* A link where a folder should be is ENOTDIR, as a file there is; where a file should be, ELOOP. */
      const char *why = code == ELOOP     ? " (symbolic links are not followed; copy the file)"
                        : code == ENOTDIR ? " (a part of it is no folder; symbolic links are not followed)"
                                          : "";
      PMN_FAIL_CODE(err, PMN_STATUS_MODEL, code, "%s: cannot open external data \"%s\"%s: %s", origin, location, why,
          strerror(code));
    }
    component = slash == NULL ? NULL : slash + 1;
  }
  *file = at;
  at = folder;
done:
  if (at != folder && at >= 0) close(at);
  pmn_free(copy);
  return st;
}

static pmn_status read_file(int file, const char *origin, const char *location, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  if (fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: external data \"%s\" is not a regular file", origin, location);
  }
  if (info.st_nlink != 1) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: external data \"%s\" has %llu hard links, where only one is safe; copy the file", origin, location,
        (unsigned long long)info.st_nlink);
  }
  if ((uint64_t)info.st_size > bytes->max) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: with external data \"%s\" the model is above the limit of %d bytes", origin,
        location, PMN_ONNX_FILE_MAX);
  }
  size_t size = (size_t)info.st_size;
  PMN_TRY(pmn_buf_reserve(bytes, size, err));
  while (bytes->size < size) {
    ssize_t got = pread(file, bytes->data + bytes->size, size - bytes->size, (off_t)bytes->size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: cannot read external data \"%s\" to its end", origin, location);
    }
    bytes->size += (size_t)got;
  }
done:
  return st;
}

static int by_location(const void *a, const void *b) {
  return strcmp(((const pmn_onnx_external *)a)->location, ((const pmn_onnx_external *)b)->location);
}

/* Notes a tensor's file, or only counts it while there is no list. */
static void note_location(const Onnx__TensorProto *tensor, pmn_onnx_externals *externals) {
  if (tensor == NULL || !pmn_onnx_external_named(tensor)) return;
  const char *location = entry_of(tensor, "location");
  if (externals->files != NULL) externals->files[externals->count].location = location == NULL ? "" : location;
  externals->count++;
}

static void note_locations(const Onnx__GraphProto *graph, pmn_onnx_externals *externals) {
  externals->count = 0;
  for (size_t i = 0; i < graph->n_initializer; i++) note_location(graph->initializer[i], externals);
  for (size_t i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *node = graph->node[i];
    for (size_t j = 0; j < node->n_attribute; j++) note_location(node->attribute[j]->t, externals);
  }
}

pmn_status pmn_onnx_externals_read(
    const Onnx__GraphProto *graph, const char *origin, size_t max, pmn_onnx_externals *externals, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int folder = -1, file = -1;
  size_t kept = 0;
  *externals = (pmn_onnx_externals){0};
  note_locations(graph, externals);
  if (externals->count == 0) goto done;
  externals->files = pmn_calloc(externals->count, sizeof *externals->files);
  if (externals->files == NULL) {
    st = pmn_err_memory(err, externals->count * sizeof *externals->files, "a list of files");
    goto done;
  }
  note_locations(graph, externals);
  qsort(externals->files, externals->count, sizeof *externals->files, by_location);
  for (size_t i = 0; i < externals->count; i++) {
    if (kept > 0 && by_location(&externals->files[i], &externals->files[kept - 1]) == 0) continue;
    externals->files[kept++].location = externals->files[i].location;
  }
  externals->count = kept;
  PMN_TRY(open_folder(origin, &folder, err));
  for (size_t i = 0; i < externals->count; i++) {
    pmn_onnx_external *external = &externals->files[i];
    pmn_buf_init(&external->bytes, max);
    PMN_TRY(open_below(folder, origin, external->location, &file, err));
    PMN_TRY(read_file(file, origin, external->location, &external->bytes, err));
    max -= external->bytes.size;
    close(file);
    file = -1;
  }
done:
  if (file >= 0) close(file);
  if (folder >= 0) close(folder);
  return st;
}

void pmn_onnx_externals_reset(pmn_onnx_externals *externals) {
  for (size_t i = 0; externals->files != NULL && i < externals->count; i++) pmn_buf_reset(&externals->files[i].bytes);
  pmn_free(externals->files);
  *externals = (pmn_onnx_externals){0};
}

pmn_status pmn_onnx_external_find(const pmn_onnx_externals *externals, const Onnx__TensorProto *tensor,
    const char *origin, const void **bytes, size_t *size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t from = 0, length = 0;
  const char *location = entry_of(tensor, "location"), *offset = entry_of(tensor, "offset");
  const char *extent = entry_of(tensor, "length");
  pmn_onnx_external key = {.location = location == NULL ? "" : location};
  const pmn_onnx_external *file = bsearch(&key, externals->files, externals->count, sizeof key, by_location);
  if (file == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: tensor %s names no file for its data", origin, name_of(tensor));
  }
  int64_t end = (int64_t)file->bytes.size;
  bool good = offset == NULL || pmn_text_int64(offset, 0, end, &from);
  good = good && (extent == NULL || pmn_text_int64(extent, 0, end - from, &length));
  if (!good) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: tensor %s lies outside external data \"%s\" of %lld bytes", origin,
        name_of(tensor), location, (long long)end);
  }
  *bytes = file->bytes.data + from;
  *size = (size_t)(extent == NULL ? end - from : length);
done:
  return st;
}
