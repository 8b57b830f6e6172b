/* pmn_parquet_meta.c - see pmn_parquet_meta.h. Numbers after `&t` are field ids of parquet.thrift. */
#include "pmn_parquet_meta.h"

#include "pmn_sha256.h"
#include "pmn_thrift.h"

#include <string.h>

enum { TYPE_NONE = -1, TYPE_INT32 = 1, TYPE_FLOAT = 4, TYPE_BYTE_ARRAY = 6 };
enum { REPETITION_NONE = -1, REPETITION_REQUIRED = 0, REPETITION_REPEATED = 2 };
enum { CONVERTED_NONE = -1, CONVERTED_UTF8 = 0, CONVERTED_LIST = 3, CONVERTED_UINT_8 = 11 };
enum { LOGICAL_STRING = 1, LOGICAL_LIST = 3, LOGICAL_INTEGER = 10 }; /* fields of the union LogicalType */
enum { ENCODING_PLAIN = 0, ENCODING_RLE = 3 };
enum { PAGE_DATA = 0, CODEC_ZSTD = 6 };

typedef struct node {
  const char *name;
  int type, repetition, children, converted, logical;
} node;

/* Depth first, as the format wants it. */
static const node schema[] = {
    {"schema", TYPE_NONE, REPETITION_NONE, PMN_PARQUET_COLUMNS, CONVERTED_NONE, 0},
    {"path", TYPE_BYTE_ARRAY, REPETITION_REQUIRED, 0, CONVERTED_UTF8, LOGICAL_STRING},
    {"label", TYPE_BYTE_ARRAY, REPETITION_REQUIRED, 0, CONVERTED_UTF8, LOGICAL_STRING},
    {"keypoints", TYPE_INT32, REPETITION_REQUIRED, 0, CONVERTED_NONE, 0},
    {"features", TYPE_NONE, REPETITION_REQUIRED, 1, CONVERTED_LIST, LOGICAL_LIST},
    {"list", TYPE_NONE, REPETITION_REPEATED, 1, CONVERTED_NONE, 0},
    {"element", TYPE_FLOAT, REPETITION_REQUIRED, 0, CONVERTED_NONE, 0},
};
/* In the place of the last, where the features are bytes. */
static const node byte_element = {"element", TYPE_INT32, REPETITION_REQUIRED, 0, CONVERTED_UINT_8, LOGICAL_INTEGER};
enum { NODES = sizeof schema / sizeof *schema, KEYPOINTS_NODE = 3, NAMES_MAX = 3 };

static const struct {
  int type;
  const char *names[NAMES_MAX];
} columns[PMN_PARQUET_COLUMNS] = {
    [PMN_PARQUET_PATH] = {TYPE_BYTE_ARRAY, {"path"}},
    [PMN_PARQUET_LABEL] = {TYPE_BYTE_ARRAY, {"label"}},
    [PMN_PARQUET_KEYPOINTS] = {TYPE_INT32, {"keypoints"}},
    [PMN_PARQUET_FEATURES] = {TYPE_FLOAT, {"features", "list", "element"}},
};

bool pmn_parquet_has(pmn_parquet_form form, int column) {
  return column != PMN_PARQUET_KEYPOINTS || form.keypoints;
}

static size_t column_count(pmn_parquet_form form) {
  return form.keypoints ? PMN_PARQUET_COLUMNS : PMN_PARQUET_COLUMNS - 1;
}

pmn_status pmn_parquet_page_header(int32_t values, size_t uncompressed_size, size_t size, pmn_buf *out, pmn_err *err) {
  pmn_thrift t;
  if (uncompressed_size > INT32_MAX || size > INT32_MAX) {
    return pmn_err_set(err, PMN_STATUS_WRITE, 0, "a Parquet page of %zu bytes is too long", uncompressed_size);
  }
  pmn_thrift_init(&t, out, err);
  pmn_thrift_struct(&t, 0); /* PageHeader */
  pmn_thrift_i32(&t, 1, PAGE_DATA);
  pmn_thrift_i32(&t, 2, (int32_t)uncompressed_size);
  pmn_thrift_i32(&t, 3, (int32_t)size);
  pmn_thrift_struct(&t, 5); /* DataPageHeader */
  pmn_thrift_i32(&t, 1, values);
  pmn_thrift_i32(&t, 2, ENCODING_PLAIN);
  pmn_thrift_i32(&t, 3, ENCODING_RLE);
  pmn_thrift_i32(&t, 4, ENCODING_RLE);
  pmn_thrift_end(&t);
  pmn_thrift_end(&t);
  return pmn_thrift_status(&t);
}

static void put_chunk(pmn_thrift *t, pmn_parquet_form form, int column, const pmn_parquet_chunk *chunk) {
  size_t names = 0;
  while (names < NAMES_MAX && columns[column].names[names] != NULL) names++;
  pmn_thrift_struct(t, 0); /* ColumnChunk */
  pmn_thrift_i64(t, 2, 0); /* no second copy of the metadata outside the footer */
  pmn_thrift_struct(t, 3); /* ColumnMetaData */
  pmn_thrift_i32(t, 1, column == PMN_PARQUET_FEATURES && form.bytes ? TYPE_INT32 : columns[column].type);
  pmn_thrift_list(t, 2, PMN_THRIFT_I32, 2);
  pmn_thrift_i32(t, 0, ENCODING_PLAIN);
  pmn_thrift_i32(t, 0, ENCODING_RLE);
  pmn_thrift_list(t, 3, PMN_THRIFT_BINARY, names);
  for (size_t i = 0; i < names; i++) pmn_thrift_text(t, 0, columns[column].names[i]);
  pmn_thrift_i32(t, 4, CODEC_ZSTD);
  pmn_thrift_i64(t, 5, chunk->values);
  pmn_thrift_i64(t, 6, (int64_t)chunk->uncompressed_size);
  pmn_thrift_i64(t, 7, (int64_t)chunk->size);
  pmn_thrift_i64(t, 9, (int64_t)chunk->offset);
  pmn_thrift_struct(t, 12); /* Statistics; 1 and 2 are deprecated and were compared as signed bytes */
  pmn_thrift_i64(t, 3, 0);  /* nulls */
  if (chunk->min != NULL) {
    pmn_thrift_binary(t, 5, chunk->max->data, chunk->max->size);
    pmn_thrift_binary(t, 6, chunk->min->data, chunk->min->size);
    pmn_thrift_true(t, 7); /* neither is cut short */
    pmn_thrift_true(t, 8);
  }
  pmn_thrift_end(t);
  pmn_thrift_end(t);
  pmn_thrift_end(t);
}

pmn_status pmn_parquet_row_group(pmn_parquet_form form, const pmn_parquet_chunk chunks[PMN_PARQUET_COLUMNS],
    int64_t rows, pmn_buf *out, pmn_err *err) {
  pmn_thrift t;
  uint64_t size = 0, uncompressed_size = 0;
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    if (!pmn_parquet_has(form, i)) continue;
    size += chunks[i].size;
    uncompressed_size += chunks[i].uncompressed_size;
  }
  pmn_thrift_init(&t, out, err);
  pmn_thrift_struct(&t, 0); /* RowGroup */
  pmn_thrift_list(&t, 1, PMN_THRIFT_STRUCT, column_count(form));
  for (int i = 0; i < PMN_PARQUET_COLUMNS; i++) {
    if (pmn_parquet_has(form, i)) put_chunk(&t, form, i, &chunks[i]);
  }
  pmn_thrift_i64(&t, 2, (int64_t)uncompressed_size);
  pmn_thrift_i64(&t, 3, rows);
  pmn_thrift_i64(&t, 5, (int64_t)chunks[0].offset);
  pmn_thrift_i64(&t, 6, (int64_t)size);
  pmn_thrift_end(&t);
  return pmn_thrift_status(&t);
}

static void put_schema_node(pmn_thrift *t, const node *element) {
  pmn_thrift_struct(t, 0); /* SchemaElement */
  if (element->type != TYPE_NONE) pmn_thrift_i32(t, 1, element->type);
  if (element->repetition != REPETITION_NONE) pmn_thrift_i32(t, 3, element->repetition);
  pmn_thrift_text(t, 4, element->name);
  if (element->children > 0) pmn_thrift_i32(t, 5, element->children);
  if (element->converted != CONVERTED_NONE) pmn_thrift_i32(t, 6, element->converted);
  if (element->logical != 0) {
    pmn_thrift_struct(t, 10);
    pmn_thrift_struct(t, element->logical);
    if (element->logical == LOGICAL_INTEGER) {
      pmn_thrift_i8(t, 1, 8); /* bits */
      pmn_thrift_false(t, 2); /* has a sign */
    }
    pmn_thrift_end(t);
    pmn_thrift_end(t);
  }
  pmn_thrift_end(t);
}

static void put_schema(pmn_thrift *t, pmn_parquet_form form) {
  pmn_thrift_list(t, 2, PMN_THRIFT_STRUCT, form.keypoints ? NODES : NODES - 1);
  for (int i = 0; i < NODES; i++) {
    node own = i == NODES - 1 && form.bytes ? byte_element : schema[i];
    if (i == 0) own.children = (int)column_count(form);
    if (i != KEYPOINTS_NODE || form.keypoints) put_schema_node(t, &own);
  }
}

static void put_pair(pmn_thrift *t, const char *key, const char *value) {
  pmn_thrift_struct(t, 0); /* KeyValue */
  pmn_thrift_text(t, 1, key);
  pmn_thrift_text(t, 2, value);
  pmn_thrift_end(t);
}

pmn_status pmn_parquet_footer(pmn_parquet_form form, const pmn_buf *groups, size_t group_count, int64_t rows,
    const char *record, const char *sha256, pmn_buf *out, pmn_err *err) {
  pmn_thrift t;
  char own[PMN_SHA256_HEX_SIZE];
  pmn_buf_clear(out);
  pmn_thrift_init(&t, out, err);
  pmn_thrift_struct(&t, 0); /* FileMetaData */
  pmn_thrift_i32(&t, 1, 1); /* version of the format */
  put_schema(&t, form);
  pmn_thrift_i64(&t, 3, rows);
  pmn_thrift_list(&t, 4, PMN_THRIFT_STRUCT, group_count);
  pmn_thrift_encoded(&t, groups);
  pmn_thrift_list(&t, 5, PMN_THRIFT_STRUCT, 3);
  put_pair(&t, PMN_PARQUET_RECORD, record);
  put_pair(&t, PMN_PARQUET_SHA256, sha256);
  put_pair(&t, PMN_PARQUET_FOOTER_SHA256, PMN_PARQUET_BLANK);
  size_t pairs_end = out->size;
  pmn_thrift_text(&t, 6, "pomona version " PMN_VERSION);
  /* Readers trust min and max only where an order is named: for text, that of unsigned bytes. */
  pmn_thrift_list(&t, 7, PMN_THRIFT_STRUCT, column_count(form));
  for (size_t i = 0; i < column_count(form); i++) {
    pmn_thrift_struct(&t, 0); /* ColumnOrder */
    pmn_thrift_struct(&t, 1); /* TypeDefinedOrder */
    pmn_thrift_end(&t);
    pmn_thrift_end(&t);
  }
  pmn_thrift_end(&t);
  pmn_status st = pmn_thrift_status(&t);
  if (st == PMN_STATUS_OK) st = pmn_sha256_hex((const void *const[]){out->data}, &out->size, 1, own, err);
  /* A byte of zero, the end of the pair, is behind the digits. */
  if (st == PMN_STATUS_OK) memcpy(out->data + pairs_end - 1 - strlen(own), own, strlen(own));
  return st;
}
