/* pmn_names.c - see pmn_names.h. */
#include "pmn_names.h"

#include "pmn_mem.h"

#include <stdlib.h>
#include <string.h>

/* Chunks double from the first to the last of these: small listings stay small, large ones allocate rarely. */
enum { CHUNK_FIRST = 4096, CHUNK_LAST = 1 << 20 };

struct pmn_names_chunk {
  struct pmn_names_chunk *next;
  char *data;
};

void pmn_names_reset(pmn_names *names) {
  while (names->chunks != NULL) {
    struct pmn_names_chunk *chunk = names->chunks;
    names->chunks = chunk->next;
    pmn_free(chunk->data);
    pmn_free(chunk);
  }
  pmn_free(names->entries);
  *names = (pmn_names){0};
}

/* Takes ownership of `data` on success only. */
static pmn_status chunk_link(pmn_names *names, char *data, pmn_err *err) {
  struct pmn_names_chunk *chunk = pmn_alloc(1, sizeof *chunk);
  if (chunk == NULL) return pmn_err_memory(err, sizeof *chunk, "a list of names");
  *chunk = (struct pmn_names_chunk){.next = names->chunks, .data = data};
  names->chunks = chunk;
  return PMN_STATUS_OK;
}

static pmn_status reserve(pmn_names *names, size_t size, pmn_err *err) {
  if (size <= names->left) return PMN_STATUS_OK;
  size_t chunk_size = names->chunk_size == 0 ? CHUNK_FIRST : names->chunk_size;
  if (names->chunk_size != 0 && chunk_size < CHUNK_LAST) chunk_size *= 2;
  size_t bytes = size > chunk_size ? size : chunk_size;
  char *data = pmn_alloc(bytes, 1);
  if (data == NULL) return pmn_err_memory(err, bytes, "a list of names");
  pmn_status st = chunk_link(names, data, err);
  if (st != PMN_STATUS_OK) {
    pmn_free(data);
    return st;
  }
  names->room = data;
  names->left = bytes;
  names->chunk_size = chunk_size;
  return PMN_STATUS_OK;
}

pmn_status pmn_names_copy(pmn_names *names, const char *text, size_t size, const char **copy, pmn_err *err) {
  pmn_status st = reserve(names, size + 1, err);
  if (st != PMN_STATUS_OK) return st;
  char *room = names->room;
  memcpy(room, text, size);
  room[size] = '\0';
  names->room += size + 1;
  names->left -= size + 1;
  *copy = room;
  return PMN_STATUS_OK;
}

pmn_status pmn_names_join(
    pmn_names *names, const char *folder, size_t folder_size, const char *name, const char **joined, pmn_err *err) {
  size_t name_size = strlen(name), size = folder_size + 1 + name_size + 1;
  pmn_status st = reserve(names, size, err);
  if (st != PMN_STATUS_OK) return st;
  char *room = names->room;
  memcpy(room, folder, folder_size);
  room[folder_size] = '/';
  memcpy(room + folder_size + 1, name, name_size + 1);
  names->room += size;
  names->left -= size;
  *joined = room;
  return PMN_STATUS_OK;
}

void pmn_names_undo(pmn_names *names, const char *text) {
  size_t size = (size_t)(names->room - text);
  names->room -= size;
  names->left += size;
}

pmn_status pmn_names_adopt(pmn_names *names, pmn_buf *buf, pmn_err *err) {
  if (buf->data == NULL) return PMN_STATUS_OK;
  pmn_status st = chunk_link(names, buf->data, err);
  if (st == PMN_STATUS_OK) (void)pmn_buf_take(buf);
  return st;
}

pmn_status pmn_names_add(pmn_names *names, const char *path, pmn_err *err) {
  if (names->count == names->capacity) {
    size_t capacity = names->capacity + names->capacity / 2 + 64;
    pmn_name *entries = pmn_realloc(names->entries, capacity, sizeof *entries);
    if (entries == NULL) return pmn_err_memory(err, capacity * sizeof *entries, "a list of names");
    names->entries = entries;
    names->capacity = capacity;
  }
  names->entries[names->count++] = (pmn_name){.path = path};
  return PMN_STATUS_OK;
}

/* strcmp compares as unsigned bytes, whatever the locale. */
static int name_compare(const void *a, const void *b) {
  return strcmp(((const pmn_name *)a)->path, ((const pmn_name *)b)->path);
}

size_t pmn_names_sort(pmn_names *names) {
  size_t kept = 0, count = names->count;
  if (count == 0) return 0;
  qsort(names->entries, count, sizeof *names->entries, name_compare);
  for (size_t i = 0; i < count; i++) {
    if (kept > 0 && strcmp(names->entries[kept - 1].path, names->entries[i].path) == 0) continue;
    names->entries[kept++] = names->entries[i];
  }
  names->count = kept;
  return count - kept;
}
