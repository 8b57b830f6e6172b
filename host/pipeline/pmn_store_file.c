/* pmn_store_file.c - see pmn_store_file.h.
 *
 * Workload: projections of kilobytes to some hundred megabytes; moments of 1280 columns (13 MB) to 25,088 (5 GB). So a
 * matrix is written row by row from where it lies, with zeros made up below its diagonal, and read row by row straight
 * into its place. The hash stands in the header, before what it is of: all bytes pass twice, first through the hash.
 * Files are read by pread, not mapped: one that is cut short by somebody else while we read it is then
 * an error and not a SIGBUS.
 *
 * jansson takes memory of its own; a value that it could not make is NULL, and whoever is given one gives NULL back. */
#include "pmn_store_file.h"

#include "pmn_digest.h"
#include "pmn_json.h"
#include "pmn_mem.h"
#include "pmn_s3.h"
#include "pmn_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, ALIGNMENT = 64 };

static const struct {
  const char *format, *name, *use;
} kinds[] = {[PMN_STORE_PROJECTION] = {"pomona.projection", "a projection", "give it to --projection"},
    [PMN_STORE_MOMENTS] = {"pomona.moments", "moments", "use pomona merge"},
    [PMN_STORE_VOCABULARY] = {"pomona.vocabulary", "a vocabulary", "give it to --vocabulary"},
    [PMN_STORE_MODEL] = {"pomona.model", "a model", "use pomona evaluate or pomona predict"}};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

static int32_t row_count(const pmn_store_tensor *t) {
  return t->rows > 0 ? t->rows : 1;
}

bool pmn_value_obeys(double value, pmn_value_rule rule) {
  bool finite = isfinite(value) || (rule == PMN_VALUE_POSITIVE_OR_INFINITE && value > 0.0);
  return finite && (rule == PMN_VALUE_FINITE || value > 0.0 || (rule == PMN_VALUE_NOT_NEGATIVE && value == 0.0));
}

/* `count` values of a tensor, which begin at the value `first` of it. */
static pmn_status check_values(const char *path, const pmn_store_tensor *t, size_t first, const double *values,
    size_t count, pmn_status status, pmn_err *err) {
  static const char *const rules[] = {[PMN_VALUE_FINITE] = "finite",
      [PMN_VALUE_NOT_NEGATIVE] = "finite and not negative",
      [PMN_VALUE_POSITIVE] = "finite and positive",
      [PMN_VALUE_POSITIVE_OR_INFINITE] = "positive"};
  for (size_t i = 0; i < count; i++) {
    if (pmn_value_obeys(values[i], t->rule)) continue;
    return pmn_err_set(err, status, 0, "%s: value %zu of %s is %g: it must be %s", path, first + i, t->name, values[i],
        rules[t->rule]);
  }
  return PMN_STATUS_OK;
}

/* ------------------------------------------------------------------------------------------------------- JSON -- */

char *pmn_store_text(const json_t *json) {
  return pmn_json_text(json, JSON_COMPACT | JSON_REAL_PRECISION(17));
}

pmn_status pmn_store_parse(
    const char *text, const char *where, const char *what, pmn_status status, json_t **object, pmn_err *err) {
  json_error_t problem = {.text = ""};
  *object = text == NULL ? NULL : json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  if (json_is_object(*object)) return PMN_STATUS_OK;
  bool memory = text != NULL && *object == NULL &&
                (problem.text[0] == '\0' || json_error_code(&problem) == json_error_out_of_memory);
  json_decref(*object);
  *object = NULL;
  if (memory) return pmn_err_memory(err, strlen(text), what);
  return pmn_err_set(err, status, 0, "%s: its %s must be a JSON object", where, what);
}

/* An entry of the header; *offset moves on. */
static json_t *entry_json(const pmn_store_tensor *t, json_int_t *offset) {
  json_int_t begin = *offset;
  *offset += (json_int_t)sizeof(double) * row_count(t) * t->columns;
  json_t *shape = t->rows > 0 ? json_pack("[i, i]", t->rows, t->columns) : json_pack("[i]", t->columns);
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F64", "shape", shape, "data_offsets", begin, *offset);
}

/* Where the hash is going to be. */
static const char no_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";
_Static_assert(sizeof no_hash == PMN_SHA256_HEX_SIZE, "as many digits");

/* The header's text with no_hash, to be freed with pmn_free; NULL when memory cannot be had. */
static char *print_header(pmn_store_kind kind, const json_t *record, const pmn_store_tensor *tensors, int32_t count) {
  char version[16];
  json_int_t offset = 0;
  char *record_text = pmn_store_text(record), *text = NULL;
  snprintf(version, sizeof version, "%d", VERSION);
  if (record_text == NULL) return NULL;
  json_t *header = json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "__metadata__", "sha256", no_hash, "format",
      kinds[kind].format, "version", version, "pomona", pmn_version(), "record", record_text);
  bool good = header != NULL;
  for (int32_t i = 0; good && i < count; i++) {
    good = json_object_set_new(header, tensors[i].name, entry_json(&tensors[i], &offset)) == 0;
  }
  if (good) text = pmn_store_text(header);
  json_decref(header);
  pmn_free(record_text);
  return text;
}

/* ------------------------------------------------------------------------------------------------------ write -- */

/* Through the hash, or to the file. */
typedef struct stream {
  const char *path;
  pmn_digest *digest;
  pmn_outfile *out; /* NULL: not yet */
} stream;

static pmn_status put(const stream *to, const void *bytes, size_t size, pmn_err *err) {
  if (to->out != NULL) return pmn_outfile_write(to->out, bytes, size, err);
  if (size == 0 || pmn_digest_update(to->digest, bytes, size)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute the hash of %s", to->path);
}

/* A header of text, padded so that the data begin at a multiple of ALIGNMENT. */
static pmn_status put_header(const stream *to, const char *text, pmn_err *err) {
  static const char spaces[ALIGNMENT] = "                                                                ";
  pmn_status st = PMN_STATUS_OK;
  unsigned char length[8];
  size_t size = strlen(text), padding = ALIGNMENT - 1 - (size + sizeof length + ALIGNMENT - 1) % ALIGNMENT;
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)(size + padding) >> 8 * i);
  PMN_TRY(put(to, length, sizeof length, err));
  PMN_TRY(put(to, text, size, err));
  PMN_TRY(put(to, spaces, padding, err));
done:
  return st;
}

static pmn_status put_tensor(const stream *to, const pmn_store_tensor *t, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t columns = (size_t)t->columns;
  double *zeros = t->triangle ? pmn_calloc(columns, sizeof *zeros) : NULL;
  if (t->triangle && zeros == NULL) return pmn_err_memory(err, columns * sizeof *zeros, "a row of zeros");
  for (size_t row = 0; columns > 0 && row < (size_t)row_count(t); row++) {
    size_t below = t->triangle ? row : 0, first = row * columns + below;
    const double *values = t->values + first;
    PMN_TRY(check_values(to->path, t, first, values, columns - below, PMN_STATUS_ARGUMENT, err));
    PMN_TRY(put(to, zeros, below * sizeof *zeros, err));
    PMN_TRY(put(to, values, (columns - below) * sizeof *values, err));
  }
done:
  pmn_free(zeros);
  return st;
}

static pmn_status put_all(
    const stream *to, const char *header, const pmn_store_tensor *tensors, int32_t count, pmn_err *err) {
  pmn_status st = put_header(to, header, err);
  for (int32_t i = 0; i < count && st == PMN_STATUS_OK; i++) st = put_tensor(to, &tensors[i], err);
  return st;
}

/* Takes over `record`, which may be NULL for want of memory. */
pmn_status pmn_store_write(const char *path, bool overwrite, pmn_store_kind kind, json_t *record,
    const pmn_store_tensor *tensors, int32_t count, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  char sha256[PMN_SHA256_HEX_SIZE];
  char *header = print_header(kind, record, tensors, count);
  stream to = {.path = path, .digest = pmn_digest_create(false)};
  if (header == NULL || to.digest == NULL) {
    st = pmn_err_memory(err, sizeof *tensors * (size_t)count, "the header of a file");
    goto done;
  }
  PMN_TRY(pmn_outfile_create(NULL, path, "", overwrite, &out, err));
  PMN_TRY(put_all(&to, header, tensors, count, err));
  if (!pmn_digest_finish(to.digest, NULL, sha256))
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute the hash of %s", path);
  memcpy(strstr(header, no_hash), sha256, sizeof sha256 - 1); /* the metadata come first, and it first of them */
  to.out = out;
  PMN_TRY(put_all(&to, header, tensors, count, err));
  PMN_TRY(pmn_outfile_seal(out, err));
  *file = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  pmn_digest_destroy(to.digest);
  pmn_free(header);
  json_decref(record);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- read -- */

void pmn_stored_reset(pmn_stored *self) {
  pmn_safetensors_destroy(self->file);
  json_decref(self->record);
  pmn_free(self->features);
}

/* KIND_COUNT for what is no file of ours. */
static size_t find_kind(const pmn_safetensors *file) {
  const char *format = pmn_safetensors_metadata(file, "format");
  size_t kind = 0;
  while (kind < KIND_COUNT && (format == NULL || strcmp(format, kinds[kind].format) != 0)) kind++;
  return kind;
}

static pmn_status check_kind(const pmn_stored *self, pmn_store_kind wanted, pmn_err *err) {
  size_t kind = find_kind(self->file);
  if (kind == wanted) return PMN_STATUS_OK;
  if (kind < KIND_COUNT) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s holds %s, not %s; %s", self->path, kinds[kind].name,
        kinds[wanted].name, kinds[kind].use);
  }
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s does not hold %s: its metadata have no \"format\" \"%s\"",
      self->path, kinds[wanted].name, kinds[wanted].format);
}

static pmn_status check_version(const pmn_stored *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t version;
  const char *version_text = pmn_safetensors_metadata(self->file, "version");
  if (version_text == NULL || !pmn_text_int64(version_text, 1, INT32_MAX, &version)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its metadata have no \"version\"", self->path);
  }
  if (version > VERSION) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s has version %" PRId64 " of its format, which this pomona %s does not know yet: use a newer one", self->path,
        version, pmn_version());
  }
done:
  return st;
}

static pmn_status check_hash(const pmn_stored *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char actual[PMN_SHA256_HEX_SIZE];
  const char *told = pmn_safetensors_metadata(self->file, "sha256");
  if (told == NULL || strlen(told) != sizeof actual - 1) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: its metadata have no \"sha256\": it is damaged, or of an older pomona; make it "
        "again",
        self->path);
  }
  PMN_TRY(pmn_safetensors_hash(self->file, told, actual, err));
  if (strcmp(told, actual) != 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s is damaged: its bytes have SHA-256 %.12s..., not the %.12s... that it was written with; take another copy, "
        "or make it again",
        self->path, actual, told);
  }
done:
  return st;
}

/* Who names a picture, a table or a bucket by mistake is told what should be there. */
static pmn_status open_file(pmn_stored *self, pmn_store_kind kind, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  size_t length = strlen(self->path);
  if (pmn_s3_is_uri(self->path)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%.300s: only a file on a disk can be read as %s: copy it first (aws s3 cp), and name the copy", self->path,
        kinds[kind].name);
  }
  pmn_status st = pmn_safetensors_open(self->path, &self->file, &why);
  const char *reason = why.message;
  if (strncmp(reason, self->path, length) == 0 && strncmp(reason + length, ": ", 2) == 0) reason += length + 2;
  if (st == PMN_STATUS_MODEL)
    return pmn_err_set(err, st, 0, "%.240s is not %s, or is damaged: %.240s", self->path, kinds[kind].name, reason);
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
  return st;
}

static pmn_status read_record(pmn_stored *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_version(self, err));
  PMN_TRY(check_hash(self, err));
  const char *text = pmn_safetensors_metadata(self->file, "record");
  PMN_TRY(pmn_store_parse(text, self->path, "record", PMN_STATUS_MODEL, &self->record, err));
  self->section = self->record;
  const json_t *features = json_object_get(self->record, "features");
  if (!json_is_object(features)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record does not say of which features it is", self->path);
  }
  self->features = pmn_store_text(features);
  if (self->features == NULL) st = pmn_err_memory(err, strlen(text), "what is known of features");
done:
  return st;
}

pmn_status pmn_stored_open(pmn_stored *self, pmn_store_kind kind, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(open_file(self, kind, err));
  PMN_TRY(check_kind(self, kind, err));
  PMN_TRY(read_record(self, err));
done:
  return st;
}

pmn_status pmn_stored_open_any(pmn_stored *self, const char **format, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_safetensors_open(self->path, &self->file, err));
  size_t kind = find_kind(self->file);
  *format = kind < KIND_COUNT ? kinds[kind].format : NULL;
  if (*format != NULL) PMN_TRY(read_record(self, err));
done:
  return st;
}

pmn_status pmn_stored_enter(pmn_stored *self, const char *key, pmn_err *err) {
  self->section = key != NULL ? json_object_get(self->record, key) : self->record;
  if (json_is_object(self->section)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no object %s", self->path, key);
}

pmn_status pmn_stored_integer(
    const pmn_stored *self, const char *key, int64_t min, int64_t max, int64_t *value, pmn_err *err) {
  const json_t *json = json_object_get(self->section, key);
  *value = json_integer_value(json);
  if (json_is_integer(json) && *value >= min && *value <= max) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_MODEL, 0, "%s: its record has no %s between %" PRId64 " and %" PRId64, self->path, key, min, max);
}

pmn_status pmn_stored_count(
    const pmn_stored *self, const char *key, int64_t min, int64_t max, int32_t *value, pmn_err *err) {
  int64_t wide;
  pmn_status st = pmn_stored_integer(self, key, min, max, &wide, err);
  *value = (int32_t)wide;
  return st;
}

pmn_status pmn_stored_bool(const pmn_stored *self, const char *key, bool *value, pmn_err *err) {
  const json_t *json = json_object_get(self->section, key);
  *value = json_is_true(json);
  if (json_is_boolean(json)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no %s that is true or false", self->path, key);
}

pmn_status pmn_stored_number(const pmn_stored *self, const char *key, double *value, pmn_err *err) {
  const json_t *json = json_object_get(self->section, key);
  *value = json_number_value(json);
  if (json_is_number(json) && isfinite(*value)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no %s that is a number", self->path, key);
}

pmn_status pmn_stored_choice(
    const pmn_stored *self, const char *key, const char *const *words, int32_t count, int32_t *index, pmn_err *err) {
  const char *text = json_string_value(json_object_get(self->section, key));
  for (*index = 0; text != NULL && *index < count; (*index)++) {
    if (strcmp(text, words[*index]) == 0) return PMN_STATUS_OK;
  }
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no %s that is known", self->path, key);
}

static pmn_status read_tensor(const pmn_stored *self, pmn_store_tensor *t, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_weight *source = pmn_safetensors_find(self->file, t->name);
  if (source == NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: there is no tensor %s", self->path, t->name);
  int32_t rank = t->rows > 0 ? 2 : 1;
  if (strcmp(source->type, "F64") != 0 || source->rank != rank || source->shape[rank - 1] != t->columns ||
      (rank == 2 && source->shape[0] != t->rows)) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s: tensor %s is not F64 of the shape that its record gives, %" PRId32 " x %" PRId32, self->path, t->name,
        row_count(t), t->columns);
  }
  if (source->size == 0) goto done;
  size_t columns = (size_t)t->columns, row_size = columns * sizeof *t->loaded;
  t->loaded = pmn_alloc_aligned((size_t)row_count(t), row_size); /* as many bytes as there are in the file */
  if (t->loaded == NULL) {
    st = pmn_err_memory(err, source->size, t->name);
    goto done;
  }
  for (size_t row = 0; row < (size_t)row_count(t); row++) {
    double *values = t->loaded + row * columns;
    PMN_TRY(pmn_safetensors_read(self->file, source, row * row_size, values, row_size, err));
    PMN_TRY(check_values(self->path, t, row * columns, values, columns, PMN_STATUS_MODEL, err));
  }
done:
  return st;
}

/* Fills `loaded` of all; to be freed also after an error. */
pmn_status pmn_stored_tensors(const pmn_stored *self, pmn_store_tensor *tensors, int32_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < count; i++) PMN_TRY(read_tensor(self, &tensors[i], err));
  if (pmn_safetensors_at(self->file, count) != NULL) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: there are more tensors than the %" PRId32 " that belong there", self->path, count);
  }
done:
  return st;
}
