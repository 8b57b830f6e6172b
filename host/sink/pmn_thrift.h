/* pmn_thrift.h - writes Thrift's compact protocol, as far as Parquet's metadata needs it.
 *
 * Reference: github.com/apache/thrift, doc/specs/thrift-compact-protocol.md. Fields of a struct are written in
 * ascending order of their ids, which differ by less than 16 (true of every struct of Parquet), so the short field
 * header always does. The first failure sticks and turns the calls after it into nothing: pmn_thrift_status tells at
 * the end.
 *
 *   pmn_thrift_struct(&t, 0);              begin the outermost struct, or one inside a list
 *   pmn_thrift_i64(&t, 3, rows);           field 3
 *   pmn_thrift_list(&t, 4, PMN_THRIFT_STRUCT, n);   n elements must follow
 *   pmn_thrift_end(&t);                    end the innermost struct
 */
#ifndef PMN_THRIFT_H
#define PMN_THRIFT_H

#include "pmn_buf.h"

typedef enum pmn_thrift_type {
  PMN_THRIFT_TRUE = 1,
  PMN_THRIFT_FALSE = 2,
  PMN_THRIFT_I8 = 3,
  PMN_THRIFT_I32 = 5,
  PMN_THRIFT_I64 = 6,
  PMN_THRIFT_BINARY = 8,
  PMN_THRIFT_LIST = 9,
  PMN_THRIFT_STRUCT = 12,
} pmn_thrift_type;

#define PMN_THRIFT_DEPTH 8

typedef struct pmn_thrift {
  pmn_buf *out; /* borrowed */
  pmn_status status;
  pmn_err *err;
  int depth;                     /* structs open */
  int last_id[PMN_THRIFT_DEPTH]; /* of the fields written in each */
} pmn_thrift;

void pmn_thrift_init(pmn_thrift *t, pmn_buf *out, pmn_err *err);
PMN_MUST_USE pmn_status pmn_thrift_status(const pmn_thrift *t);

/* An id of 0 means: no field but an element of the list begun last, or the outermost struct. */
void pmn_thrift_struct(pmn_thrift *t, int id);
void pmn_thrift_end(pmn_thrift *t);
void pmn_thrift_list(pmn_thrift *t, int id, pmn_thrift_type element, size_t count);
/* As a field only: elements are written otherwise. */
void pmn_thrift_true(pmn_thrift *t, int id);
void pmn_thrift_false(pmn_thrift *t, int id);
void pmn_thrift_i8(pmn_thrift *t, int id, int8_t value);
void pmn_thrift_i32(pmn_thrift *t, int id, int32_t value);
void pmn_thrift_i64(pmn_thrift *t, int id, int64_t value);
void pmn_thrift_binary(pmn_thrift *t, int id, const void *bytes, size_t size);
void pmn_thrift_text(pmn_thrift *t, int id, const char *text);
/* Elements of a list that were encoded before. */
void pmn_thrift_encoded(pmn_thrift *t, const pmn_buf *elements);

/* Appends an unsigned LEB128 number: the varint of Thrift and of Parquet's runs. */
PMN_MUST_USE pmn_status pmn_varint_append(pmn_buf *out, uint64_t value, pmn_err *err);

#endif
