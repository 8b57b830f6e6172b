/* pmn_parquet_read.h - what the footer of a Parquet file says: rows, where the row groups lie, key-value pairs.
 *
 * For files that we wrote, to be checked; values are not read. The footer is Thrift's compact protocol and is not
 * believed: every length and every count is held against the bytes that are left, nesting is bounded, and what is taken
 * over must make sense with the file's size. A footer with a SHA-256 of its own is then held against that: no damage to
 * it passes. Memory is in proportion to the footer, time too.
 */
#ifndef PMN_PARQUET_READ_H
#define PMN_PARQUET_READ_H

#include "pmn_buf.h"

#define PMN_PARQUET_TAIL 8 /* bytes at the end of a file: length of the footer, PAR1 */

typedef struct pmn_parquet_group {
  int64_t rows;
  int64_t values;       /* of the last column: those of the features */
  int64_t offset, size; /* of its pages; all of its columns lie there, one behind the other */
} pmn_parquet_group;

/* Bytes of the footer. */
typedef struct pmn_parquet_text {
  const char *data;
  size_t size;
} pmn_parquet_text;

typedef struct pmn_parquet_pair {
  pmn_parquet_text key, value;
} pmn_parquet_pair;

typedef struct pmn_parquet_info {
  int64_t rows;
  const pmn_parquet_group *groups;
  const pmn_parquet_pair *pairs;
  size_t group_count, pair_count;
  bool sealed;       /* the footer holds its own SHA-256; files of older versions do not */
  pmn_buf memory[2]; /* of groups and pairs */
} pmn_parquet_info;

/* Where the footer of a file of `file_size` bytes begins, by its last bytes; -1: it is no Parquet file, or cut. */
int64_t pmn_parquet_footer_start(const char tail[PMN_PARQUET_TAIL], int64_t file_size);
/* `footer`, all of it, is borrowed as long as *info lives; `start` is where it begins in the file. Row groups must fill
 * the file from its first four bytes to there, and their rows must sum to the file's. PMN_STATUS_MODEL: they do not, or
 * the footer is none, or is not the one that its SHA-256 is of. *info is to be reset after any status. */
PMN_MUST_USE pmn_status pmn_parquet_read(
    const char *footer, size_t size, int64_t start, pmn_parquet_info *info, pmn_err *err);
void pmn_parquet_info_reset(pmn_parquet_info *info);
/* The value of a key; NULL if there is none. */
const pmn_parquet_text *pmn_parquet_find(const pmn_parquet_info *info, const char *key);

#endif
