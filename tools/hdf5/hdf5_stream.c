/* hdf5_stream.c - tensors to standard output as one safetensors file: u64 length, JSON header, data. */
#include "hdf5_weights.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void write_all(const void *bytes, size_t size) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t written = write(STDOUT_FILENO, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) fail("cannot write: %s", strerror(errno));
    at += written;
    size -= (size_t)written;
  }
}

/* Names need no escapes: list_tensors has refused those that would. */
static size_t print_header(const tensor_list *list, char *text, size_t capacity) {
  uint64_t offset = 0;
  size_t used = (size_t)snprintf(text, capacity, "{\"__metadata__\":{\"pomona.layout\":\"%s\"}", list->layout);
  for (size_t i = 0; i < list->count; i++) {
    const tensor *t = &list->tensors[i];
    used += (size_t)snprintf(text + used, capacity - used, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", t->name);
    for (int d = 0; d < t->rank; d++) {
      used += (size_t)snprintf(text + used, capacity - used, "%s%" PRIu64, d > 0 ? "," : "", (uint64_t)t->shape[d]);
    }
    used += (size_t)snprintf(
        text + used, capacity - used, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", offset, offset + t->bytes);
    offset += t->bytes;
  }
  text[used++] = '}';
  return used;
}

void write_stream(const tensor_list *list) {
  /* Per tensor: its name, four dimensions and two offsets of at most 20 digits, and less than 64 bytes around them. */
  size_t capacity = 128 + list->count * (NAME_SIZE + 6 * 20 + 64);
  char *header = allocate(capacity, 1);
  size_t size = print_header(list, header, capacity);
  unsigned char length[8];
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)size >> 8 * i);
  write_all(length, sizeof length);
  write_all(header, size);
  free(header);
  for (size_t i = 0; i < list->count; i++) {
    const tensor *t = &list->tensors[i];
    void *data = allocate(t->bytes, 1);
    if (H5Dread(t->dataset, H5T_IEEE_F32LE, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
      fail_hdf5("cannot read the values of %s", t->name);
    }
    write_all(data, t->bytes);
    free(data);
  }
}
