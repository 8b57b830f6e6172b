/* pmn_buf.c - see pmn_buf.h. */
#include "pmn_buf.h"

#include "pmn_mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void pmn_buf_init(pmn_buf *buf, size_t max) {
  *buf = (pmn_buf){.max = max};
}

void pmn_buf_reset(pmn_buf *buf) {
  pmn_free(buf->data);
  pmn_buf_init(buf, buf->max);
}

void pmn_buf_clear(pmn_buf *buf) {
  buf->size = 0;
  if (buf->data != NULL) buf->data[0] = '\0';
}

pmn_status pmn_buf_reserve(pmn_buf *buf, size_t size, pmn_err *err) {
  if (size > buf->max) {
    return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "%zu bytes where at most %zu are allowed", size, buf->max);
  }
  if (buf->data != NULL && size <= buf->capacity) return PMN_STATUS_OK;
  size_t capacity = buf->capacity < 64 ? 64 : buf->capacity;
  while (capacity < size) {
    if (!pmn_size_add(capacity, capacity / 2, &capacity)) capacity = buf->max;
  }
  if (capacity > buf->max) capacity = buf->max;
  size_t bytes;
  char *data = pmn_size_add(capacity, 1, &bytes) ? pmn_realloc(buf->data, bytes, 1) : NULL;
  if (data == NULL) return pmn_err_memory(err, capacity, "a buffer");
  data[buf->size] = '\0';
  buf->data = data;
  buf->capacity = capacity;
  return PMN_STATUS_OK;
}

pmn_status pmn_buf_append(pmn_buf *buf, const void *bytes, size_t size, pmn_err *err) {
  size_t total;
  if (!pmn_size_add(buf->size, size, &total)) return pmn_err_memory(err, size, "a buffer");
  pmn_status st = pmn_buf_reserve(buf, total, err);
  if (st != PMN_STATUS_OK) return st;
  if (size > 0) memcpy(buf->data + buf->size, bytes, size);
  buf->size = total;
  buf->data[total] = '\0';
  return PMN_STATUS_OK;
}

pmn_status pmn_buf_printf(pmn_buf *buf, pmn_err *err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (length < 0) return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "cannot format text by \"%s\"", format);
  pmn_status st = pmn_buf_reserve(buf, buf->size + (size_t)length, err);
  if (st != PMN_STATUS_OK) return st;
  va_start(args, format);
  vsnprintf(buf->data + buf->size, (size_t)length + 1, format, args);
  va_end(args);
  buf->size += (size_t)length;
  return PMN_STATUS_OK;
}

char *pmn_buf_take(pmn_buf *buf) {
  char *data = buf->data;
  pmn_buf_init(buf, buf->max);
  return data;
}
