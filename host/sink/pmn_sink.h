/* pmn_sink.h - tables to files: CSV, Parquet, npy. A file shows under its final name only when it is whole.
 *
 * Life of a sink: create (temporary file beside the final one, or an upload), write blocks of rows in order, seal (the
 * files are whole), commit (they are visible) or destroy without commit, which removes everything. Columns: path,
 * label, for some the number of keypoints, then `width` features: f32, or bytes.
 *
 * csv: header path,label,f0,f1,... or path,label,keypoints,f0,f1,...; RFC 4180 with \n line ends; shortest decimals
 * that read back to the same float, or the integers 0 to 255.
 *
 * parquet: path, label: string; keypoints: INT32; features: list<float>, or list<uint8>, which is INT32 with the
 * logical type INT(8, unsigned) (3-level LIST); zstd; row groups near 64 MiB, 4 bytes a value; key-value pairs
 * "pomona.record", the record given to seal, "pomona.sha256", the hash of all bytes before the footer, and
 * "pomona.footer.sha256", that of the footer with zeros in its own place.
 *
 * npy: [rows, width] little-endian f32 or u8, version 1.0; the other columns in OUT.index.csv.
 *
 * A table of one file has its run record beside it in OUT.record.json, unless the format holds one. Keys and labels are
 * given as raw bytes and written as pmn_text_escape gives them.
 */
#ifndef PMN_SINK_H
#define PMN_SINK_H

#include "pmn_outfile.h"

typedef enum pmn_format { PMN_FORMAT_CSV, PMN_FORMAT_PARQUET, PMN_FORMAT_NPY } pmn_format;
bool pmn_format_find(const char *name, pmn_format *format);    /* "csv", "parquet", "npy" */
bool pmn_format_of_path(const char *path, pmn_format *format); /* by the ending of a file name */
/* What is added to a table's name for its files, that of its record included; NULL past the last. */
const char *pmn_format_suffix(pmn_format format, size_t index);
const char *pmn_format_name(pmn_format format);  /* and ending of a file name, after a dot */
bool pmn_format_holds_record(pmn_format format); /* in the file itself, and so not beside it */

/* How features are written. They come as floats either way: bytes are exact in them. */
typedef enum pmn_values { PMN_VALUES_FLOAT, PMN_VALUES_BYTE } pmn_values;
const char *pmn_values_name(pmn_values values); /* NumPy's: "float32", "uint8" */
bool pmn_values_find(const char *name, pmn_values *values);

typedef struct pmn_sink_options {
  struct pmn_s3 *s3; /* NULL unless path is s3:// */
  const char *path;
  pmn_format format;
  int32_t width; /* feature columns, at least 1 */
  pmn_values values;
  bool keypoints; /* there is such a column */
  bool overwrite;
  bool is_part; /* of a folder, which has one record for all of them */
} pmn_sink_options;

/* Rows in order; borrowed for the call. */
typedef struct pmn_row_block {
  int64_t n;
  const char *const *keys, *const *labels; /* [n] NUL-terminated raw bytes */
  const float *features;                   /* [n, width] dense */
  const int32_t *keypoints;                /* [n]; NULL where there is no such column */
} pmn_row_block;

typedef struct pmn_sink pmn_sink; /* one thread at a time */

/* PMN_STATUS_EXISTS (the output or a companion of it is there and overwrite is false, or what has a companion's name is
 * none, and so is not overwritten), PMN_STATUS_WRITE (folder
 * missing, no permission, disk full: the message says which). */
PMN_MUST_USE pmn_status pmn_sink_create(const pmn_sink_options *options, pmn_sink **sink, pmn_err *err);
/* PMN_STATUS_ARGUMENT: a value that is no byte where bytes are to be written, which none may reach. */
PMN_MUST_USE pmn_status pmn_sink_write(pmn_sink *sink, const pmn_row_block *rows, pmn_err *err);
/* After the last row: the files of the table are whole where they lie, but not visible. `record` is JSON text for
 * formats that hold one. */
PMN_MUST_USE pmn_status pmn_sink_seal(pmn_sink *sink, const char *record, pmn_err *err);
int64_t pmn_sink_rows(const pmn_sink *sink); /* written so far */
/* The sealed files of the table, the record's not among them; borrowed. */
pmn_outfile *const *pmn_sink_files(const pmn_sink *sink, size_t *count);
/* A sealed file that is to be visible if and only if the table is; owned by the sink from now on. At most three. */
void pmn_sink_adopt(pmn_sink *sink, pmn_outfile *file);
/* Seals what is not sealed, writes `record`, JSON text, if the table has a file for it, and makes everything visible.
 * After any status only destroy may follow. */
PMN_MUST_USE pmn_status pmn_sink_commit(pmn_sink *sink, const char *record, pmn_err *err);
void pmn_sink_destroy(pmn_sink *sink);

/* The list of pictures left out: CSV with header path,stage,reason. The file is created at the first line. */
typedef struct pmn_rejects pmn_rejects;
PMN_MUST_USE pmn_status pmn_rejects_create(
    struct pmn_s3 *s3, const char *path, bool overwrite, pmn_rejects **rejects, pmn_err *err);
PMN_MUST_USE pmn_status pmn_rejects_add(
    pmn_rejects *rejects, const char *key, const char *stage, const char *reason, pmn_err *err);
/* For an output that shows all its files at one time: the file, whole and not visible; NULL without a line. Borrowed;
 * only destroy may follow. */
PMN_MUST_USE pmn_status pmn_rejects_seal(pmn_rejects *rejects, pmn_outfile **file, pmn_err *err);
/* Makes the file visible if there is a line. With overwrite and no line, a list of an earlier run is removed. */
PMN_MUST_USE pmn_status pmn_rejects_commit(pmn_rejects *rejects, pmn_err *err);
void pmn_rejects_destroy(pmn_rejects *rejects);

#endif
