/* pmn_thrift.c - see pmn_thrift.h. */
#include "pmn_thrift.h"

#include <assert.h>
#include <string.h>

pmn_status pmn_varint_append(pmn_buf *out, uint64_t value, pmn_err *err) {
  unsigned char bytes[10];
  size_t count = 0;
  for (; value >= 0x80; value >>= 7) bytes[count++] = (unsigned char)(value | 0x80);
  bytes[count++] = (unsigned char)value;
  return pmn_buf_append(out, bytes, count, err);
}

void pmn_thrift_init(pmn_thrift *t, pmn_buf *out, pmn_err *err) {
  *t = (pmn_thrift){.out = out, .status = PMN_STATUS_OK, .err = err};
}

pmn_status pmn_thrift_status(const pmn_thrift *t) {
  assert(t->status != PMN_STATUS_OK || t->depth == 0);
  return t->status;
}

static void put(pmn_thrift *t, const void *bytes, size_t size) {
  if (t->status == PMN_STATUS_OK) t->status = pmn_buf_append(t->out, bytes, size, t->err);
}

static void put_byte(pmn_thrift *t, unsigned byte) {
  put(t, &(unsigned char){(unsigned char)byte}, 1);
}

static void put_varint(pmn_thrift *t, uint64_t value) {
  if (t->status == PMN_STATUS_OK) t->status = pmn_varint_append(t->out, value, t->err);
}

/* Small numbers of either sign to small unsigned ones: 0, -1, 1, -2 ... to 0, 1, 2, 3 ... */
static void put_zigzag(pmn_thrift *t, int64_t value) {
  put_varint(t, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

static void put_field(pmn_thrift *t, int id, pmn_thrift_type type) {
  if (id == 0) return;
  assert(t->depth > 0);
  int step = id - t->last_id[t->depth - 1];
  assert(step > 0 && step < 16);
  t->last_id[t->depth - 1] = id;
  put_byte(t, (unsigned)step << 4 | type);
}

void pmn_thrift_struct(pmn_thrift *t, int id) {
  put_field(t, id, PMN_THRIFT_STRUCT);
  assert(t->depth < PMN_THRIFT_DEPTH);
  t->last_id[t->depth++] = 0;
}

void pmn_thrift_end(pmn_thrift *t) {
  assert(t->depth > 0);
  t->depth--;
  put_byte(t, 0);
}

void pmn_thrift_list(pmn_thrift *t, int id, pmn_thrift_type element, size_t count) {
  put_field(t, id, PMN_THRIFT_LIST);
  if (count < 15) {
    put_byte(t, (unsigned)count << 4 | element);
  } else {
    put_byte(t, 0xf0 | element);
    put_varint(t, count);
  }
}

void pmn_thrift_true(pmn_thrift *t, int id) {
  put_field(t, id, PMN_THRIFT_TRUE);
}

void pmn_thrift_false(pmn_thrift *t, int id) {
  put_field(t, id, PMN_THRIFT_FALSE);
}

void pmn_thrift_i8(pmn_thrift *t, int id, int8_t value) {
  put_field(t, id, PMN_THRIFT_I8);
  put_byte(t, (uint8_t)value);
}

void pmn_thrift_i32(pmn_thrift *t, int id, int32_t value) {
  put_field(t, id, PMN_THRIFT_I32);
  put_zigzag(t, value);
}

void pmn_thrift_i64(pmn_thrift *t, int id, int64_t value) {
  put_field(t, id, PMN_THRIFT_I64);
  put_zigzag(t, value);
}

void pmn_thrift_binary(pmn_thrift *t, int id, const void *bytes, size_t size) {
  put_field(t, id, PMN_THRIFT_BINARY);
  put_varint(t, size);
  put(t, bytes, size);
}

void pmn_thrift_text(pmn_thrift *t, int id, const char *text) {
  pmn_thrift_binary(t, id, text, strlen(text));
}

void pmn_thrift_encoded(pmn_thrift *t, const pmn_buf *elements) {
  put(t, elements->data, elements->size);
}
