/* pmn_parquet_read.c - see pmn_parquet_read.h. Numbers in `case` are field ids of parquet.thrift.
 *
 * A reader that has failed stays where it is and gives zeros, so that only the end needs to ask. Every element of a
 * list takes a byte or more: a count that is larger than what is left is a lie, and loops end with the bytes.
 */
#include "pmn_parquet_read.h"

#include "pmn_mem.h"
#include "pmn_parquet_meta.h"
#include "pmn_sha256.h"

#include <string.h>

enum { MAGIC = 4, DEPTH_MAX = 16 /* of structs and lists in each other; ours need 6 */ };

enum { TRUE = 1, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT };

typedef struct reader {
  const unsigned char *at, *end;
  bool failed;
  int depth;
} reader;

/* --------------------------------------------------------------------------------------------------- protocol -- */

static size_t left(const reader *r) {
  return (size_t)(r->end - r->at);
}

/* `size` bytes, or NULL. */
static const unsigned char *take(reader *r, uint64_t size) {
  if (r->failed || size > left(r)) {
    r->failed = true;
    return NULL;
  }
  const unsigned char *bytes = r->at;
  r->at += size;
  return bytes;
}

static unsigned take_byte(reader *r) {
  const unsigned char *byte = take(r, 1);
  return byte != NULL ? *byte : 0;
}

static uint64_t take_varint(reader *r) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    unsigned byte = take_byte(r);
    if (shift == 63 && byte > 1) break; /* more than 64 bits */
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  r->failed = true;
  return 0;
}

static int64_t take_zigzag(reader *r) {
  uint64_t value = take_varint(r);
  return (int64_t)(value >> 1 ^ (value & 1 ? UINT64_MAX : 0));
}

/* The next field of a struct: its type and id; false at the end. *id is that of the field before, 0 at the start. */
static bool take_field(reader *r, int64_t *id, unsigned *type) {
  unsigned byte = take_byte(r);
  *type = byte & 15;
  if (r->failed || byte == 0) return false;
  *id = byte >> 4 != 0 ? *id + (byte >> 4) : take_zigzag(r);
  if (*id < 1 || *id > INT16_MAX) r->failed = true;
  return !r->failed;
}

/* Begins a list; its elements must be of `type`, unless that is 0. */
static uint64_t take_list(reader *r, unsigned *type, unsigned wanted) {
  unsigned byte = take_byte(r);
  uint64_t count = byte >> 4 == 15 ? take_varint(r) : byte >> 4;
  *type = byte & 15;
  if (count > left(r) || (wanted != 0 && count > 0 && *type != wanted)) r->failed = true;
  return r->failed ? 0 : count;
}

static void skip(reader *r, unsigned type, bool is_element);

static void skip_map(reader *r) {
  uint64_t count = take_varint(r);
  unsigned types = count > 0 ? take_byte(r) : 0;
  if (count > left(r)) r->failed = true;
  for (uint64_t i = 0; !r->failed && i < count; i++) {
    skip(r, types >> 4, true);
    skip(r, types & 15, true);
  }
}

static void skip_struct(reader *r) {
  int64_t id = 0;
  unsigned type;
  while (take_field(r, &id, &type)) skip(r, type, false);
}

/* A value of a field, or an element of a list: there, a truth value takes a byte. */
static void skip(reader *r, unsigned type, bool is_element) {
  if (r->depth == DEPTH_MAX) r->failed = true;
  if (r->failed) return;
  r->depth++;
  if (type == TRUE || type == FALSE) {
    if (is_element) take_byte(r);
  } else if (type == BYTE) {
    take_byte(r);
  } else if (type == I16 || type == I32 || type == I64) {
    take_varint(r);
  } else if (type == DOUBLE) {
    take(r, 8);
  } else if (type == BINARY) {
    take(r, take_varint(r));
  } else if (type == LIST || type == SET) {
    unsigned element;
    uint64_t count = take_list(r, &element, 0);
    for (uint64_t i = 0; !r->failed && i < count; i++) skip(r, element, true);
  } else if (type == MAP) {
    skip_map(r);
  } else if (type == STRUCT) {
    skip_struct(r);
  } else {
    r->failed = true;
  }
  r->depth--;
}

/* Begins a list of structs. */
static uint64_t take_structs(reader *r, unsigned type) {
  if (type != LIST) r->failed = true;
  return take_list(r, &type, STRUCT);
}

static int64_t take_i64(reader *r, unsigned type) {
  if (type != I64) r->failed = true;
  return take_zigzag(r);
}

static pmn_parquet_text take_text(reader *r, unsigned type) {
  if (type != BINARY) r->failed = true;
  uint64_t size = take_varint(r);
  const unsigned char *bytes = take(r, size);
  if (bytes == NULL) return (pmn_parquet_text){"", 0};
  return (pmn_parquet_text){(const char *)bytes, (size_t)size};
}

/* ---------------------------------------------------------------------------------------------------- structs -- */

typedef struct chunk {
  int64_t values, offset, size; /* -1: not told */
} chunk;

static void take_metadata(reader *r, chunk *c) {
  int64_t id = 0;
  unsigned type;
  while (take_field(r, &id, &type)) {
    switch (id) {
    case 5:
      c->values = take_i64(r, type);
      break;
    case 7:
      c->size = take_i64(r, type);
      break;
    case 9:
      c->offset = take_i64(r, type);
      break;
    default:
      skip(r, type, false);
    }
  }
}

static void take_chunk(reader *r, chunk *c) {
  int64_t id = 0;
  unsigned type;
  *c = (chunk){-1, -1, -1};
  while (take_field(r, &id, &type)) {
    if (id == 3 && type == STRUCT)
      take_metadata(r, c);
    else
      skip(r, type, false);
  }
  if (c->values < 0 || c->offset < 0 || c->size < 0) r->failed = true;
}

/* The columns of a row group, which must lie one behind the other. */
static void take_columns(reader *r, unsigned type, pmn_parquet_group *group) {
  uint64_t count = take_structs(r, type);
  if (count == 0) r->failed = true;
  group->size = 0;
  for (uint64_t i = 0; !r->failed && i < count; i++) {
    chunk c;
    int64_t end;
    take_chunk(r, &c);
    if (i == 0) group->offset = c.offset;
    if (r->failed || __builtin_add_overflow(group->offset, group->size, &end) || c.offset != end ||
        __builtin_add_overflow(group->size, c.size, &group->size)) {
      r->failed = true;
    }
    group->values = c.values;
  }
}

static void take_group(reader *r, pmn_parquet_group *group) {
  int64_t id = 0, offset = -1, size = -1;
  unsigned type;
  *group = (pmn_parquet_group){-1, -1, -1, -1};
  while (take_field(r, &id, &type)) {
    switch (id) {
    case 1:
      take_columns(r, type, group);
      break;
    case 3:
      group->rows = take_i64(r, type);
      break;
    case 5:
      offset = take_i64(r, type);
      break;
    case 6:
      size = take_i64(r, type);
      break;
    default:
      skip(r, type, false);
    }
  }
  if (group->rows < 0 || group->size < 0 || offset != group->offset || size != group->size) r->failed = true;
}

static void take_pair(reader *r, pmn_parquet_pair *pair) {
  int64_t id = 0;
  unsigned type;
  *pair = (pmn_parquet_pair){{"", 0}, {"", 0}};
  while (take_field(r, &id, &type)) {
    if (id == 1)
      pair->key = take_text(r, type);
    else if (id == 2)
      pair->value = take_text(r, type);
    else
      skip(r, type, false);
  }
}

static pmn_status take_groups(reader *r, unsigned type, pmn_buf *groups, pmn_err *err) {
  uint64_t count = take_structs(r, type);
  for (uint64_t i = 0; !r->failed && i < count; i++) {
    pmn_parquet_group group;
    take_group(r, &group);
    pmn_status st = pmn_buf_append(groups, &group, sizeof group, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return PMN_STATUS_OK;
}

static pmn_status take_pairs(reader *r, unsigned type, pmn_buf *pairs, pmn_err *err) {
  uint64_t count = take_structs(r, type);
  for (uint64_t i = 0; !r->failed && i < count; i++) {
    pmn_parquet_pair pair;
    take_pair(r, &pair);
    pmn_status st = pmn_buf_append(pairs, &pair, sizeof pair, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return PMN_STATUS_OK;
}

/* ----------------------------------------------------------------------------------------------------- footer -- */

int64_t pmn_parquet_footer_start(const char tail[PMN_PARQUET_TAIL], int64_t file_size) {
  uint32_t size;
  memcpy(&size, tail, sizeof size); /* little-endian, as this machine: pmn_parquet.c sees to it */
  if (memcmp(tail + sizeof size, "PAR1", MAGIC) != 0 || file_size < MAGIC + PMN_PARQUET_TAIL) return -1;
  return (int64_t)size <= file_size - MAGIC - PMN_PARQUET_TAIL ? file_size - PMN_PARQUET_TAIL - (int64_t)size : -1;
}

/* Do the row groups fill the file up to `start`, and make its rows? */
static bool is_whole(const pmn_parquet_info *info, int64_t start) {
  int64_t end = MAGIC, rows = 0;
  for (size_t i = 0; i < info->group_count; i++) {
    const pmn_parquet_group *group = &info->groups[i];
    if (group->offset != end || __builtin_add_overflow(end, group->size, &end) ||
        __builtin_add_overflow(rows, group->rows, &rows)) {
      return false;
    }
  }
  return end == start && rows == info->rows;
}

/* A footer that has lost its hash may have lost it with the name of the pair. */
static bool has_odd_key(const pmn_parquet_info *info) {
  for (size_t i = 0; i < info->pair_count; i++) {
    const pmn_parquet_text *value = &info->pairs[i].value;
    if (pmn_parquet_find(info, PMN_PARQUET_RECORD) != value && pmn_parquet_find(info, PMN_PARQUET_SHA256) != value)
      return true;
  }
  return false;
}

static pmn_status check_seal(const char *footer, size_t size, pmn_parquet_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_parquet_text *digits = pmn_parquet_find(info, PMN_PARQUET_FOOTER_SHA256);
  char sha256[PMN_SHA256_HEX_SIZE];
  if (digits == NULL) {
    if (pmn_parquet_find(info, PMN_PARQUET_RECORD) == NULL || !has_odd_key(info)) return PMN_STATUS_OK;
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "the footer holds a pair that Pomona does not write");
  }
  if (digits->size != strlen(PMN_PARQUET_BLANK)) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "the SHA-256 of its footer has %zu digits", digits->size);
  }
  const char *end = digits->data + digits->size;
  const void *const parts[] = {footer, PMN_PARQUET_BLANK, end};
  const size_t sizes[] = {(size_t)(digits->data - footer), strlen(PMN_PARQUET_BLANK), (size_t)(footer + size - end)};
  PMN_TRY(pmn_sha256_hex(parts, sizes, 3, sha256, err));
  info->sealed = memcmp(digits->data, sha256, digits->size) == 0;
  if (!info->sealed) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the SHA-256 of its footer is %s and not %.64s, as it says", sha256, digits->data);
  }
done:
  return st;
}

pmn_status pmn_parquet_read(const char *footer, size_t size, int64_t start, pmn_parquet_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  reader r = {.at = (const unsigned char *)footer, .end = (const unsigned char *)footer + size};
  int64_t id = 0;
  unsigned type;
  *info = (pmn_parquet_info){.rows = -1};
  for (int i = 0; i < 2; i++) pmn_buf_init(&info->memory[i], SIZE_MAX);
  while (take_field(&r, &id, &type)) {
    if (id == 3)
      info->rows = take_i64(&r, type);
    else if (id == 4)
      PMN_TRY(take_groups(&r, type, &info->memory[0], err));
    else if (id == 5)
      PMN_TRY(take_pairs(&r, type, &info->memory[1], err));
    else
      skip(&r, type, false);
  }
  if (r.failed || left(&r) > 0 || info->rows < 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the footer makes no sense from byte %lld of the file on",
        (long long)(start + (r.at - (const unsigned char *)footer)));
  }
  info->groups = (const pmn_parquet_group *)(const void *)info->memory[0].data;
  info->pairs = (const pmn_parquet_pair *)(const void *)info->memory[1].data;
  info->group_count = info->memory[0].size / sizeof *info->groups;
  info->pair_count = info->memory[1].size / sizeof *info->pairs;
  if (!is_whole(info, start)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the row groups do not make up the file, or their rows not its %lld rows",
        (long long)info->rows);
  }
  PMN_TRY(check_seal(footer, size, info, err));
done:
  return st;
}

void pmn_parquet_info_reset(pmn_parquet_info *info) {
  for (int i = 0; i < 2; i++) pmn_buf_reset(&info->memory[i]);
}

const pmn_parquet_text *pmn_parquet_find(const pmn_parquet_info *info, const char *key) {
  for (size_t i = 0; i < info->pair_count; i++) {
    const pmn_parquet_pair *pair = &info->pairs[i];
    if (pair->key.size == strlen(key) && memcmp(pair->key.data, key, pair->key.size) == 0) return &pair->value;
  }
  return NULL;
}
