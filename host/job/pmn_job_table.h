/* pmn_job_table.h - what a finished file of an output holds, found by reading it once; private to this room.
 *
 * Which format a file has, its content tells: names may be anything.
 */
#ifndef PMN_JOB_TABLE_H
#define PMN_JOB_TABLE_H

#include "pmn_infile.h"
#include "pmn_sha256.h"
#include "pmn_sink.h"

typedef enum pmn_table_kind { PMN_TABLE_ROWS, PMN_TABLE_INDEX, PMN_TABLE_REJECTS } pmn_table_kind;

/* What is known of a file, and what is asked. */
typedef struct pmn_table_wanted {
  pmn_table_kind kind;
  int64_t width;      /* feature columns */
  pmn_values values;  /* of them */
  bool keypoints;     /* there is a column of them before */
  const char *sha256; /* of the bytes from sha256_from on, in hex; "": not known */
  int64_t sha256_from;
  const volatile sig_atomic_t *stop;
} pmn_table_wanted;

typedef struct pmn_table_found {
  int64_t rows; /* of a table; lines of an index or of a list of rejects, without its header */
  bool hashed;  /* its bytes were held against a checksum, the one that is known or one inside */
} pmn_table_found;

/* PMN_STATUS_MODEL: damaged; the message says how. A hash may leave out the header of an array and nothing else. */
PMN_MUST_USE pmn_status pmn_table_check(
    pmn_infile *file, const pmn_table_wanted *wanted, pmn_table_found *found, pmn_err *err);
/* The run record in a Parquet file; *is_parquet is false, and `record` left as it is, for files of other formats. */
PMN_MUST_USE pmn_status pmn_table_record(pmn_infile *file, bool *is_parquet, pmn_buf *record, pmn_err *err);

#endif
