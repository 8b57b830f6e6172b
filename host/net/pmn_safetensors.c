/* pmn_safetensors.c - see pmn_safetensors.h. JSON by jansson, which refuses bad UTF-8, duplicate keys and deep nesting.
 */
#define _GNU_SOURCE /* memmem */
#include "pmn_safetensors.h"

#include "pmn_digest.h"
#include "pmn_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pmn_safetensors {
  char *origin;
  int fd;            /* -1: the caller has the bytes */
  size_t data_begin; /* in the file */
  json_t *header;    /* owns the names */
  pmn_weight *tensors;
  size_t count;
};

/* 160 bytes for each of as many tensors as we take. Parsed JSON can need 75 times the memory of its text, so the
 * format's own limit of 100 MB would let a file of that size ask for 7 GB. */
enum { HEADER_MAX = 160 * PMN_TENSOR_COUNT_MAX, HASH_BLOCK = 1 << 17 };

static const char metadata_key[] = "__metadata__";

static size_t type_size(const char *type) {
  static const struct {
    const char *name;
    size_t size;
  } types[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8}, {"I32", 4}, {"I16", 2}, {"I8", 1},
      {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1}, {"BOOL", 1}};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strcmp(types[i].name, type) == 0) return types[i].size;
  }
  return 0;
}

void pmn_safetensors_destroy(pmn_safetensors *file) {
  if (file == NULL) return;
  if (file->fd >= 0) close(file->fd);
  if (file->header != NULL) json_decref(file->header);
  pmn_free(file->tensors);
  pmn_free(file->origin);
  pmn_free(file);
}

/* One entry of the header; `data` has `data_size` bytes, or is NULL when they are in a file. */
static pmn_status read_entry(const char *origin, const char *name, json_t *entry, const char *data, size_t data_size,
    pmn_weight *tensor, pmn_err *err) {
  const char *type = json_string_value(json_object_get(entry, "dtype"));
  json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
  size_t size = type == NULL ? 0 : type_size(type);
  if (size == 0) return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: tensor %s has no known dtype", origin, name);
  if (!json_is_array(shape) || json_array_size(shape) > PMN_TENSOR_RANK_MAX) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: tensor %s has no shape of up to 8 dimensions", origin, name);
  }
  *tensor = (pmn_weight){.name = name, .rank = (int32_t)json_array_size(shape)};
  strncpy(tensor->type, type, sizeof tensor->type - 1);
  for (int32_t i = 0; i < tensor->rank; i++) {
    json_t *dimension = json_array_get(shape, (size_t)i);
    int64_t extent = json_integer_value(dimension);
    if (!json_is_integer(dimension) || extent < 0 || extent > INT32_MAX || !pmn_size_mul(size, (size_t)extent, &size)) {
      return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: tensor %s: dimension %d is out of range", origin, name, i);
    }
    tensor->shape[i] = extent;
  }
  json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
  int64_t from = json_integer_value(begin), to = json_integer_value(end);
  if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end) || from < 0 || to < from ||
      (uint64_t)to > data_size || (uint64_t)(to - from) != size) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%s: tensor %s: data_offsets do not give the %zu bytes of its shape within the %zu of the file", origin, name,
        size, data_size);
  }
  tensor->data = data == NULL ? NULL : data + from;
  tensor->offset = (size_t)from;
  tensor->size = size;
  return PMN_STATUS_OK;
}

/* "__metadata__" is a map from text to text. */
static pmn_status check_metadata(const char *origin, json_t *metadata, pmn_err *err) {
  const char *key;
  json_t *value;
  bool good = json_is_object(metadata);
  json_object_foreach(metadata, key, value) good = good && json_is_string(value);
  return good ? PMN_STATUS_OK
              : pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: __metadata__ is not a map from text to text", origin);
}

static int by_data(const void *a, const void *b) {
  const pmn_weight *x = a, *y = b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return x->size < y->size ? -1 : x->size > y->size;
}

static pmn_status read_entries(pmn_safetensors *self, const char *data, size_t data_size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *name;
  json_t *entry;
  json_t *metadata = json_object_get(self->header, metadata_key);
  size_t entries = json_object_size(self->header) - (metadata != NULL);
  if (metadata != NULL) PMN_TRY(check_metadata(self->origin, metadata, err));
  if (entries > PMN_TENSOR_COUNT_MAX) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %zu tensors, more than %d", self->origin, entries, PMN_TENSOR_COUNT_MAX);
  }
  self->tensors = pmn_calloc(entries, sizeof *self->tensors);
  if (self->tensors == NULL) {
    st = pmn_err_memory(err, entries * sizeof *self->tensors, "a table of tensors");
    goto done;
  }
  json_object_foreach(self->header, name, entry) {
    if (strcmp(name, metadata_key) == 0) continue;
    PMN_TRY(read_entry(self->origin, name, entry, data, data_size, &self->tensors[self->count++], err));
  }
  qsort(self->tensors, self->count, sizeof *self->tensors, by_data);
  size_t at = 0;
  for (size_t i = 0; i < self->count; at += self->tensors[i++].size) {
    if (self->tensors[i].offset == at) continue;
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: there is a hole or an overlap before tensor %s", self->origin,
        self->tensors[i].name);
  }
  if (at != data_size) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %zu bytes at the end belong to no tensor", self->origin, data_size - at);
  }
done:
  return st;
}

/* NULL when memory cannot be had. */
static pmn_safetensors *make(const char *origin) {
  pmn_safetensors *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return NULL;
  self->fd = -1;
  self->origin = pmn_strdup(origin);
  if (self->origin != NULL) return self;
  pmn_free(self);
  return NULL;
}

/* Where the data begin in a file of `size` bytes, the first 9 of which are in `head`. */
static pmn_status find_data(
    const char *origin, const unsigned char *head, size_t size, size_t *data_begin, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint64_t length = 0;
  if (size < 8) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %zu bytes are too few for a safetensors file", origin, size);
  for (int i = 7; i >= 0; i--) length = length << 8 | head[i];
  if (length > size - 8 || length > HEADER_MAX || length < 2 || head[8] != '{') {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: not a safetensors file: its first 8 bytes give a header of %llu bytes", origin,
        (unsigned long long)length);
  }
  *data_begin = 8 + (size_t)length;
done:
  return st;
}

/* The header's text, up to data_begin, of a file of `size` bytes. */
static pmn_status read_header(pmn_safetensors *self, const char *text, const char *data, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t length = self->data_begin - 8;
  json_error_t problem = {.text = ""};
  self->header = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
  /* The parser says what is wrong with a text, and nothing, or so by its code, when memory could not be had. */
  if (self->header == NULL && (problem.text[0] == '\0' || json_error_code(&problem) == json_error_out_of_memory)) {
    st = pmn_err_memory(err, length, "the header of a weights file");
    goto done;
  }
  if (self->header == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: the header is not JSON: %s at byte %d", self->origin, problem.text,
        problem.position);
  }
  PMN_TRY(read_entries(self, data, size - self->data_begin, err));
done:
  return st;
}

pmn_status pmn_safetensors_create(
    const void *bytes, size_t size, const char *origin, pmn_safetensors **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *text = bytes;
  pmn_safetensors *self = make(origin);
  *file = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a weights file");
  PMN_TRY(find_data(origin, bytes, size, &self->data_begin, err));
  PMN_TRY(read_header(self, text + 8, text + self->data_begin, size, err));
  *file = self;
  self = NULL;
done:
  pmn_safetensors_destroy(self);
  return st;
}

/* Bytes [from, from + size) of the file. */
static pmn_status read_at(const pmn_safetensors *self, size_t from, void *bytes, size_t size, pmn_err *err) {
  for (size_t done = 0; done < size;) {
    ssize_t got = pread(self->fd, (char *)bytes + done, size - done, (off_t)(from + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return pmn_err_set(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %s: %s", self->origin, strerror(errno));
    }
    if (got == 0) {
      return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "%s became shorter while it was read", self->origin);
    }
    done += (size_t)got;
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_safetensors_open(const char *path, pmn_safetensors **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  unsigned char head[9] = {0};
  struct stat info;
  char *text = NULL;
  pmn_safetensors *self = make(path);
  *file = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a weights file");
  /* O_NONBLOCK: opening a FIFO by mistake must not hang; regular files ignore it. */
  self->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (self->fd < 0 || fstat(self->fd, &info) != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open %s: %s", path, strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s is not a regular file", path);
  size_t size = (size_t)info.st_size;
  PMN_TRY(read_at(self, 0, head, size < sizeof head ? size : sizeof head, err));
  PMN_TRY(find_data(path, head, size, &self->data_begin, err));
  text = pmn_alloc(self->data_begin - 8, 1);
  if (text == NULL) {
    st = pmn_err_memory(err, self->data_begin - 8, "the header of a weights file");
    goto done;
  }
  PMN_TRY(read_at(self, 8, text, self->data_begin - 8, err));
  PMN_TRY(read_header(self, text, NULL, size, err));
  *file = self;
  self = NULL;
done:
  pmn_free(text);
  pmn_safetensors_destroy(self);
  return st;
}

pmn_status pmn_safetensors_read(
    const pmn_safetensors *file, const pmn_weight *tensor, size_t from, void *bytes, size_t size, pmn_err *err) {
  return read_at(file, file->data_begin + tensor->offset + from, bytes, size, err);
}

pmn_status pmn_safetensors_hash(
    const pmn_safetensors *file, const char *blank, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t buffer_size = file->data_begin > HASH_BLOCK ? file->data_begin : HASH_BLOCK, data_size = 0;
  pmn_digest *digest = pmn_digest_create(false);
  char *buffer = pmn_alloc(buffer_size, 1);
  if (digest == NULL || buffer == NULL) {
    st = pmn_err_memory(err, buffer_size, "the hash of a file");
    goto done;
  }
  PMN_TRY(read_at(file, 0, buffer, file->data_begin, err));
  char *found = blank != NULL ? memmem(buffer, file->data_begin, blank, strlen(blank)) : NULL;
  if (found != NULL) memset(found, '0', strlen(blank));
  bool good = pmn_digest_update(digest, buffer, file->data_begin);
  for (size_t i = 0; i < file->count; i++) data_size += file->tensors[i].size; /* there are no holes */
  for (size_t at = 0; good && at < data_size; at += buffer_size) {
    size_t size = data_size - at < buffer_size ? data_size - at : buffer_size;
    PMN_TRY(read_at(file, file->data_begin + at, buffer, size, err));
    good = pmn_digest_update(digest, buffer, size);
  }
  if (!good || !pmn_digest_finish(digest, NULL, sha256))
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute the hash of %s", file->origin);
done:
  pmn_digest_destroy(digest);
  pmn_free(buffer);
  return st;
}

/* A few hundred tensors, each looked up once: in order of data, a plain search is fast enough. */
const pmn_weight *pmn_safetensors_find(const pmn_safetensors *file, const char *name) {
  for (size_t i = 0; i < file->count; i++) {
    if (strcmp(file->tensors[i].name, name) == 0) return &file->tensors[i];
  }
  return NULL;
}

const pmn_weight *pmn_safetensors_at(const pmn_safetensors *file, int32_t index) {
  return index >= 0 && (size_t)index < file->count ? &file->tensors[index] : NULL;
}

const char *pmn_safetensors_metadata(const pmn_safetensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, metadata_key), key));
}

const char *pmn_safetensors_origin(const pmn_safetensors *file) {
  return file->origin;
}
