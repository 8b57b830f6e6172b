/* pmn_parquet_meta.h - the Thrift structs of a Parquet file with our columns; private to this room.
 *
 * Reference: github.com/apache/parquet-format, src/main/thrift/parquet.thrift. Schema:
 *
 *   required binary path (STRING)
 *   required binary label (STRING)
 *   required int32 keypoints, which not all tables have
 *   required group features (LIST) { repeated group list { required float element } }
 *
 * or, for bytes, { required int32 element (INT(8, unsigned)) }.
 */
#ifndef PMN_PARQUET_META_H
#define PMN_PARQUET_META_H

#include "pmn_buf.h"

enum { PMN_PARQUET_PATH, PMN_PARQUET_LABEL, PMN_PARQUET_KEYPOINTS, PMN_PARQUET_FEATURES, PMN_PARQUET_COLUMNS };

/* What of the schema is not the same for all tables. */
typedef struct pmn_parquet_form {
  bool bytes;     /* the features */
  bool keypoints; /* there is such a column */
} pmn_parquet_form;
bool pmn_parquet_has(pmn_parquet_form form, int column);

/* One column of one row group, as it lies in the file. */
typedef struct pmn_parquet_chunk {
  int64_t values;
  uint64_t offset;            /* of its first page header */
  uint64_t size;              /* bytes in the file, page headers included */
  uint64_t uncompressed_size; /* the same with pages not compressed */
  const pmn_buf *min, *max;   /* smallest and greatest value as bytes; NULL: not told */
} pmn_parquet_chunk;

/* A data page of version 1: plain values, zstd, levels (if any) in runs. */
PMN_MUST_USE pmn_status pmn_parquet_page_header(
    int32_t values, size_t uncompressed_size, size_t size, pmn_buf *out, pmn_err *err);
PMN_MUST_USE pmn_status pmn_parquet_row_group(pmn_parquet_form form,
    const pmn_parquet_chunk chunks[PMN_PARQUET_COLUMNS], int64_t rows, pmn_buf *out, pmn_err *err);
/* Keys of what the footer says of the run, of the bytes before it, and of itself. The last is the SHA-256 of the footer
 * as it is with PMN_PARQUET_BLANK in the place of these 64 digits: so every byte of a file is under a checksum, and for
 * readers it is one more pair that they do not know. */
#define PMN_PARQUET_RECORD "pomona.record"
#define PMN_PARQUET_SHA256 "pomona.sha256"
#define PMN_PARQUET_FOOTER_SHA256 "pomona.footer.sha256"
#define PMN_PARQUET_BLANK "0000000000000000000000000000000000000000000000000000000000000000"

/* Replaces the content of `out`. `groups`: what pmn_parquet_row_group appended for each of `group_count` row groups.
 * `sha256`, in hex, is of all bytes before the footer. */
PMN_MUST_USE pmn_status pmn_parquet_footer(pmn_parquet_form form, const pmn_buf *groups, size_t group_count,
    int64_t rows, const char *record, const char *sha256, pmn_buf *out, pmn_err *err);

#endif
