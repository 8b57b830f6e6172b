/* pmn_store_file.h - the form of every file that keeps what was fitted: safetensors with F64 tensors and a record.
 *
 * "__metadata__" holds "format" (pomona.projection, ...), "version" of the format, "pomona", "record", a JSON text with
 * the scalars and, under "features", where the columns come from, and "sha256": in hex, of all bytes of the file, with
 * 64 times '0' for those digits themselves. It is compared before anything else is believed, so that a weight of which
 * a bit has flipped is never used. A list of tensors describes a file, and writing and reading both follow it. What
 * could not be read again is not written; nothing that is read is believed unchecked: a hash tells accidents, not lies.
 */
#ifndef PMN_STORE_FILE_H
#define PMN_STORE_FILE_H

#include "pmn_outfile.h"
#include "pmn_safetensors.h"

struct json_t;

typedef enum pmn_store_kind {
  PMN_STORE_PROJECTION,
  PMN_STORE_MOMENTS,
  PMN_STORE_VOCABULARY,
  PMN_STORE_MODEL
} pmn_store_kind;

/* Up to here doubles count rows exactly, and a thousand files can be merged before an int64_t overflows. */
#define PMN_STORE_ROWS_MAX ((int64_t)1 << 53)

typedef enum pmn_value_rule {
  PMN_VALUE_FINITE,
  PMN_VALUE_NOT_NEGATIVE,
  PMN_VALUE_POSITIVE,
  PMN_VALUE_POSITIVE_OR_INFINITE
} pmn_value_rule;
bool pmn_value_obeys(double value, pmn_value_rule rule);

typedef struct pmn_store_tensor {
  const char *name;
  pmn_value_rule rule;
  int32_t rows, columns; /* rows 0: a vector */
  bool triangle;         /* what is below the diagonal is written as 0, whatever it is */
  const double *values;  /* to be written; borrowed */
  double *loaded;        /* by pmn_stored_tensors; the caller's, pmn_free */
} pmn_store_tensor;

/* Whole where it lies, but not visible before pmn_outfile_publish. Takes over `record`, which may be NULL for want of
 * memory. PMN_STATUS_ARGUMENT: a value breaks its rule; PMN_STATUS_EXISTS, _WRITE, _NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_store_write(const char *path, bool overwrite, pmn_store_kind kind, struct json_t *record,
    const pmn_store_tensor *tensors, int32_t count, pmn_outfile **file, pmn_err *err);

typedef struct pmn_stored {
  const char *path; /* borrowed; the caller sets it */
  pmn_safetensors *file;
  struct json_t *record;
  const struct json_t *section; /* of the record, that values are read from: the record itself at first */
  char *features;               /* the record's, as text */
} pmn_stored;

/* Opens the file, checks what it is and parses its record. To be reset also after an error. PMN_STATUS_NOT_FOUND: it
 * cannot be read. PMN_STATUS_ARGUMENT: it is in a bucket. PMN_STATUS_MODEL: it is no such file, or damaged. */
PMN_MUST_USE pmn_status pmn_stored_open(pmn_stored *self, pmn_store_kind kind, pmn_err *err);
/* The same for whatever kind it is; *format is its name, "pomona.model", or NULL: it is a safetensors file of others,
 * and has no record. PMN_STATUS_MODEL: it is no safetensors file, or damaged. */
PMN_MUST_USE pmn_status pmn_stored_open_any(pmn_stored *self, const char **format, pmn_err *err);
void pmn_stored_reset(pmn_stored *self);
/* Values are read from the record's object `key` from now on, or, for NULL, from the record itself. */
PMN_MUST_USE pmn_status pmn_stored_enter(pmn_stored *self, const char *key, pmn_err *err);
/* A value of the section; PMN_STATUS_MODEL when it is not there or out of range. */
PMN_MUST_USE pmn_status pmn_stored_integer(
    const pmn_stored *self, const char *key, int64_t min, int64_t max, int64_t *value, pmn_err *err);
PMN_MUST_USE pmn_status pmn_stored_count(
    const pmn_stored *self, const char *key, int64_t min, int64_t max, int32_t *value, pmn_err *err);
PMN_MUST_USE pmn_status pmn_stored_bool(const pmn_stored *self, const char *key, bool *value, pmn_err *err);
PMN_MUST_USE pmn_status pmn_stored_number(const pmn_stored *self, const char *key, double *value, pmn_err *err);
/* Index of the text among `words`. */
PMN_MUST_USE pmn_status pmn_stored_choice(
    const pmn_stored *self, const char *key, const char *const *words, int32_t count, int32_t *index, pmn_err *err);
/* Fills `loaded` of all, which are all that is in the file; to be freed also after an error. */
PMN_MUST_USE pmn_status pmn_stored_tensors(
    const pmn_stored *self, pmn_store_tensor *tensors, int32_t count, pmn_err *err);

/* JSON as text, to be freed with pmn_free. Numbers come back as the same bits. */
char *pmn_store_text(const struct json_t *json);
/* `where` and `what` name the text, which may be NULL; `status`: when it is no object. */
PMN_MUST_USE pmn_status pmn_store_parse(
    const char *text, const char *where, const char *what, pmn_status status, struct json_t **object, pmn_err *err);

#endif
