/* pmn_store.c - see pmn_store.h.
 *
 * Workload: projections of kilobytes to some hundred megabytes; moments of 1280 columns (13 MB) to 25,088 (5 GB). So a
 * matrix is written row by row from where it lies, with zeros made up below its diagonal, and read row by row straight
 * into its place. Files are read by pread, not mapped: one that is cut short by somebody else while we read it is then
 * an error and not a SIGBUS.
 *
 * A list of tensors describes a file, and writing and reading both follow it. jansson takes memory of its own; a value
 * that it could not make is NULL, and whoever is given one gives NULL back. */
#include "pmn_store.h"

#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_safetensors.h"
#include "pmn_text.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VERSION = 1, ALIGNMENT = 64, PATH_SIZE = 160 };

/* Up to here doubles count rows exactly, and a thousand files can be merged before an int64_t overflows. */
#define ROWS_MAX ((int64_t)1 << 53)

typedef enum file_kind { PROJECTION, MOMENTS } file_kind;

static const struct {
  const char *format, *name, *use;
} kinds[] = {{"pomona.projection", "a projection", "give it to --projection"},
    {"pomona.moments", "moments", "use pomona merge"}};

typedef enum value_rule { FINITE, NOT_NEGATIVE, POSITIVE, POSITIVE_OR_INFINITE } value_rule;

typedef struct tensor {
  const char *name;
  value_rule rule;
  int32_t rows, columns; /* rows 0: a vector */
  bool triangle;         /* what is below the diagonal is written as 0, whatever it is */
  const double *values;  /* to be written */
  double *loaded;
} tensor;

/* Tensors in the order of their data; the matrix last, because there may be none. */
enum { P_MEAN, P_SHIFT, P_SCALE, P_VARIANCE, P_RATIO, P_SPECTRUM, P_COMPONENTS, P_COUNT };
enum { M_ORIGIN, M_OFFSET, M_SQUARES, M_M2, M_COUNT };

static int32_t list_projection(const pmn_fit *fit, tensor tensors[P_COUNT]) {
  int32_t d = fit->d, k = fit->k;
  tensors[P_MEAN] = (tensor){.name = "mean", .columns = d, .values = fit->mean};
  tensors[P_SHIFT] = (tensor){.name = "shift", .columns = d, .values = fit->shift};
  tensors[P_SCALE] = (tensor){.name = "scale", .columns = d, .values = fit->scale};
  /* Infinite is what Spark's rule makes 0. */
  tensors[P_SCALE].rule = fit->with_std && fit->compat == PMN_COMPAT_SPARK ? POSITIVE_OR_INFINITE : POSITIVE;
  tensors[P_VARIANCE] =
      (tensor){.name = "explained_variance", .columns = k, .values = fit->explained_variance, .rule = NOT_NEGATIVE};
  tensors[P_RATIO] =
      (tensor){.name = "explained_ratio", .columns = k, .values = fit->explained_ratio, .rule = NOT_NEGATIVE};
  tensors[P_SPECTRUM] =
      (tensor){.name = "spectrum", .columns = fit->spectrum_count, .values = fit->spectrum, .rule = NOT_NEGATIVE};
  tensors[P_COMPONENTS] = (tensor){.name = "components", .rows = k, .columns = d, .values = fit->components};
  return k > 0 ? P_COUNT : P_COMPONENTS;
}

static int32_t list_moments(const pmn_moments_view *view, bool with_covariance, tensor tensors[M_COUNT]) {
  int32_t d = view->d;
  tensors[M_ORIGIN] = (tensor){.name = "origin", .columns = d, .values = view->origin};
  tensors[M_OFFSET] = (tensor){.name = "offset", .columns = d, .values = view->offset};
  tensors[M_SQUARES] = (tensor){.name = "squares", .columns = d, .values = view->squares, .rule = NOT_NEGATIVE};
  tensors[M_M2] = (tensor){.name = "m2", .rows = d, .columns = d, .values = view->m2, .triangle = true};
  return with_covariance ? M_COUNT : M_M2;
}

static int32_t row_count(const tensor *t) {
  return t->rows > 0 ? t->rows : 1;
}

static bool obeys(double value, value_rule rule) {
  bool finite = isfinite(value) || (rule == POSITIVE_OR_INFINITE && value > 0.0);
  return finite && (rule == FINITE || value > 0.0 || (rule == NOT_NEGATIVE && value == 0.0));
}

/* `count` values of a tensor, which begin at the value `first` of it. */
static pmn_status check_values(const char *path, const tensor *t, size_t first, const double *values, size_t count,
    pmn_status status, pmn_err *err) {
  static const char *const rules[] = {[FINITE] = "finite",
      [NOT_NEGATIVE] = "finite and not negative",
      [POSITIVE] = "finite and positive",
      [POSITIVE_OR_INFINITE] = "positive"};
  for (size_t i = 0; i < count; i++) {
    if (obeys(values[i], t->rule)) continue;
    return pmn_err_set(err, status, 0, "%s: value %zu of %s is %g: it must be %s", path, first + i, t->name, values[i],
        rules[t->rule]);
  }
  return PMN_STATUS_OK;
}

/* ------------------------------------------------------------------------------------------------------- JSON -- */

/* To be freed with pmn_free. Numbers come back as the same bits. */
static char *print_json(const json_t *json) {
  size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(17), size = json == NULL ? 0 : json_dumpb(json, NULL, 0, flags);
  char *text = size > 0 ? pmn_alloc(size + 1, 1) : NULL;
  if (text == NULL) return NULL;
  if (json_dumpb(json, text, size, flags) != size) { /* jansson's own memory */
    pmn_free(text);
    return NULL;
  }
  text[size] = '\0';
  return text;
}

/* `where` and `what` name the text, which may be NULL. */
static pmn_status parse_object(
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
static json_t *entry_json(const tensor *t, json_int_t *offset) {
  json_int_t begin = *offset;
  *offset += (json_int_t)sizeof(double) * row_count(t) * t->columns;
  json_t *shape = t->rows > 0 ? json_pack("[i, i]", t->rows, t->columns) : json_pack("[i]", t->columns);
  return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F64", "shape", shape, "data_offsets", begin, *offset);
}

/* The header's text, to be freed with pmn_free; NULL when memory cannot be had. */
static char *print_header(file_kind kind, const json_t *record, const tensor *tensors, int32_t count) {
  char version[16];
  json_int_t offset = 0;
  char *record_text = print_json(record), *text = NULL;
  snprintf(version, sizeof version, "%d", VERSION);
  if (record_text == NULL) return NULL;
  json_t *header = json_pack("{s:{s:s, s:s, s:s, s:s}}", "__metadata__", "format", kinds[kind].format, "version",
      version, "pomona", pmn_version(), "record", record_text);
  bool good = header != NULL;
  for (int32_t i = 0; good && i < count; i++) {
    good = json_object_set_new(header, tensors[i].name, entry_json(&tensors[i], &offset)) == 0;
  }
  if (good) text = print_json(header);
  json_decref(header);
  pmn_free(record_text);
  return text;
}

/* ------------------------------------------------------------------------------------------------------ write -- */

/* A header of text, padded so that the data begin at a multiple of ALIGNMENT. */
static pmn_status write_header(pmn_outfile *out, const char *text, pmn_err *err) {
  static const char spaces[ALIGNMENT] = "                                                                ";
  pmn_status st = PMN_STATUS_OK;
  unsigned char length[8];
  size_t size = strlen(text), padding = ALIGNMENT - 1 - (size + sizeof length + ALIGNMENT - 1) % ALIGNMENT;
  for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)(size + padding) >> 8 * i);
  PMN_TRY(pmn_outfile_write(out, length, sizeof length, err));
  PMN_TRY(pmn_outfile_write(out, text, size, err));
  PMN_TRY(pmn_outfile_write(out, spaces, padding, err));
done:
  return st;
}

static pmn_status write_tensor(pmn_outfile *out, const tensor *t, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t columns = (size_t)t->columns;
  double *zeros = t->triangle ? pmn_calloc(columns, sizeof *zeros) : NULL;
  if (t->triangle && zeros == NULL) return pmn_err_memory(err, columns * sizeof *zeros, "a row of zeros");
  for (size_t row = 0; columns > 0 && row < (size_t)row_count(t); row++) {
    size_t below = t->triangle ? row : 0, first = row * columns + below;
    const double *values = t->values + first;
    PMN_TRY(check_values(pmn_outfile_path(out), t, first, values, columns - below, PMN_STATUS_ARGUMENT, err));
    PMN_TRY(pmn_outfile_write(out, zeros, below * sizeof *zeros, err));
    PMN_TRY(pmn_outfile_write(out, values, (columns - below) * sizeof *values, err));
  }
done:
  pmn_free(zeros);
  return st;
}

/* Takes over `record`, which may be NULL for want of memory. */
static pmn_status write_file(const char *path, bool overwrite, file_kind kind, json_t *record, const tensor *tensors,
    int32_t count, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  char *header = print_header(kind, record, tensors, count);
  if (header == NULL) {
    st = pmn_err_memory(err, sizeof *tensors * (size_t)count, "the header of a file");
    goto done;
  }
  PMN_TRY(pmn_outfile_create(NULL, path, "", overwrite, &out, err));
  PMN_TRY(write_header(out, header, err));
  for (int32_t i = 0; i < count; i++) PMN_TRY(write_tensor(out, &tensors[i], err));
  PMN_TRY(pmn_outfile_seal(out, err));
  *file = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  pmn_free(header);
  json_decref(record);
  return st;
}

pmn_status pmn_projection_save(
    const char *path, bool overwrite, const pmn_fit *fit, const char *features, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  tensor tensors[P_COUNT];
  json_t *object = NULL;
  PMN_TRY(parse_object(features, path, "features", PMN_STATUS_ARGUMENT, &object, err));
  if (!isfinite(fit->total_variance)) {
    json_decref(object);
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the total variance is %g: it must be finite", path, fit->total_variance);
  }
  int32_t count = list_projection(fit, tensors);
  json_t *record = json_pack("{s:I, s:i, s:i, s:b, s:b, s:s, s:f, s:i, s:s?, s:o}", "n", (json_int_t)fit->n, "d",
      fit->d, "k", fit->k, "with_mean", fit->with_mean, "with_std", fit->with_std, "compat",
      fit->compat == PMN_COMPAT_SPARK ? "spark" : "sklearn", "total_variance", fit->total_variance, "constant_columns",
      fit->constant_columns, "solver", fit->solver, "features", object);
  PMN_TRY(write_file(path, overwrite, PROJECTION, record, tensors, count, file, err));
done:
  return st;
}

pmn_status pmn_moments_save(const char *path, bool overwrite, const pmn_moments_view *moments, const char *features,
    pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  tensor tensors[M_COUNT];
  json_t *object = NULL;
  if (moments->n < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: moments of no rows cannot be saved", path);
  PMN_TRY(parse_object(features, path, "features", PMN_STATUS_ARGUMENT, &object, err));
  int32_t count = list_moments(moments, moments->m2 != NULL, tensors);
  json_t *record = json_pack("{s:I, s:i, s:o}", "n", (json_int_t)moments->n, "d", moments->d, "features", object);
  PMN_TRY(write_file(path, overwrite, MOMENTS, record, tensors, count, file, err));
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------- read -- */

typedef struct stored {
  const char *path;
  pmn_safetensors *file;
  json_t *record;
  char *features;
} stored;

static void stored_reset(stored *self) {
  pmn_safetensors_destroy(self->file);
  json_decref(self->record);
  pmn_free(self->features);
}

static pmn_status check_format(const stored *self, file_kind wanted, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  file_kind other = wanted == PROJECTION ? MOMENTS : PROJECTION;
  int64_t version;
  const char *format = pmn_safetensors_metadata(self->file, "format");
  const char *version_text = pmn_safetensors_metadata(self->file, "version");
  if (format != NULL && strcmp(format, kinds[other].format) == 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s holds %s, not %s; %s", self->path, kinds[other].name, kinds[wanted].name,
        kinds[other].use);
  }
  if (format == NULL || strcmp(format, kinds[wanted].format) != 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s does not hold %s: its metadata have no \"format\" \"%s\"", self->path,
        kinds[wanted].name, kinds[wanted].format);
  }
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

/* Opens the file, checks what it is and parses its record. To be reset also after an error. */
static pmn_status open_stored(stored *self, file_kind kind, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_safetensors_open(self->path, &self->file, err));
  PMN_TRY(check_format(self, kind, err));
  const char *text = pmn_safetensors_metadata(self->file, "record");
  PMN_TRY(parse_object(text, self->path, "record", PMN_STATUS_MODEL, &self->record, err));
  const json_t *features = json_object_get(self->record, "features");
  if (!json_is_object(features)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record does not say of which features it is", self->path);
  }
  self->features = print_json(features);
  if (self->features == NULL) st = pmn_err_memory(err, strlen(text), "what is known of features");
done:
  return st;
}

static pmn_status read_integer(
    const stored *self, const char *key, int64_t min, int64_t max, int64_t *value, pmn_err *err) {
  const json_t *json = json_object_get(self->record, key);
  *value = json_integer_value(json);
  if (json_is_integer(json) && *value >= min && *value <= max) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_MODEL, 0, "%s: its record has no %s between %" PRId64 " and %" PRId64, self->path, key, min, max);
}

static pmn_status read_count(
    const stored *self, const char *key, int64_t min, int64_t max, int32_t *value, pmn_err *err) {
  int64_t wide;
  pmn_status st = read_integer(self, key, min, max, &wide, err);
  *value = (int32_t)wide;
  return st;
}

static pmn_status read_bool(const stored *self, const char *key, bool *value, pmn_err *err) {
  const json_t *json = json_object_get(self->record, key);
  *value = json_is_true(json);
  if (json_is_boolean(json)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no %s that is true or false", self->path, key);
}

/* The text that lives as long as the program; NULL: the record has no text. */
static const char *known_solver(const char *name) {
  static const char *const known[] = {"dsyevd", "dsyevd of the Gram matrix", "block Lanczos", "dsyevr"};
  for (size_t i = 0; name != NULL && i < sizeof known / sizeof *known; i++) {
    if (strcmp(name, known[i]) == 0) return known[i];
  }
  return name == NULL ? NULL : "a solver of another version";
}

/* All of *fit but its arrays. */
static pmn_status read_projection_record(const stored *self, pmn_fit *fit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *compat = json_string_value(json_object_get(self->record, "compat"));
  const json_t *total = json_object_get(self->record, "total_variance");
  const pmn_weight *spectrum = pmn_safetensors_find(self->file, "spectrum");
  PMN_TRY(read_integer(self, "n", 2, ROWS_MAX, &fit->n, err));
  PMN_TRY(read_count(self, "d", 1, INT32_MAX, &fit->d, err));
  int64_t most = fit->n < fit->d ? fit->n : fit->d;
  PMN_TRY(read_count(self, "k", 0, most, &fit->k, err));
  PMN_TRY(read_count(self, "constant_columns", 0, fit->d, &fit->constant_columns, err));
  PMN_TRY(read_bool(self, "with_mean", &fit->with_mean, err));
  PMN_TRY(read_bool(self, "with_std", &fit->with_std, err));
  if (compat == NULL || (strcmp(compat, "sklearn") != 0 && strcmp(compat, "spark") != 0)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no compat that is sklearn or spark", self->path);
  }
  fit->compat = strcmp(compat, "spark") == 0 ? PMN_COMPAT_SPARK : PMN_COMPAT_SKLEARN;
  fit->total_variance = json_number_value(total);
  if (!json_is_number(total) || !obeys(fit->total_variance, NOT_NEGATIVE)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no total_variance from 0", self->path);
  }
  fit->solver = known_solver(json_string_value(json_object_get(self->record, "solver")));
  if ((fit->solver != NULL) != (fit->k > 0)) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: its record has a solver without components, or the other way round", self->path);
  }
  int64_t known = spectrum != NULL && spectrum->rank == 1 ? spectrum->shape[0] : 0;
  if (known < fit->k || known > most) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: spectrum has %" PRId64 " values; there must be %" PRId32 " to %" PRId64,
        self->path, known, fit->k, most);
  }
  fit->spectrum_count = (int32_t)known;
done:
  return st;
}

static pmn_status read_tensor(const stored *self, tensor *t, pmn_err *err) {
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
static pmn_status read_tensors(const stored *self, tensor *tensors, int32_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < count; i++) PMN_TRY(read_tensor(self, &tensors[i], err));
  if (pmn_safetensors_at(self->file, count) != NULL) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: there are more tensors than the %" PRId32 " that belong there", self->path, count);
  }
done:
  return st;
}

static double *take(tensor *t) {
  double *values = t->loaded;
  t->loaded = NULL;
  return values;
}

static char *take_features(stored *self) {
  char *features = self->features;
  self->features = NULL;
  return features;
}

pmn_status pmn_projection_load(const char *path, pmn_fit **result, char **features, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  stored self = {.path = path};
  tensor tensors[P_COUNT] = {0};
  *result = NULL;
  *features = NULL;
  pmn_fit *fit = pmn_calloc(1, sizeof *fit);
  if (fit == NULL) return pmn_err_memory(err, sizeof *fit, "a projection");
  PMN_TRY(open_stored(&self, PROJECTION, err));
  PMN_TRY(read_projection_record(&self, fit, err));
  PMN_TRY(read_tensors(&self, tensors, list_projection(fit, tensors), err));
  fit->mean = take(&tensors[P_MEAN]);
  fit->shift = take(&tensors[P_SHIFT]);
  fit->scale = take(&tensors[P_SCALE]);
  fit->explained_variance = take(&tensors[P_VARIANCE]);
  fit->explained_ratio = take(&tensors[P_RATIO]);
  fit->spectrum = take(&tensors[P_SPECTRUM]);
  fit->components = take(&tensors[P_COMPONENTS]);
  *features = take_features(&self);
  *result = fit;
  fit = NULL;
done:
  for (int32_t i = 0; i < P_COUNT; i++) pmn_free(tensors[i].loaded);
  stored_reset(&self);
  pmn_fit_destroy(fit);
  return st;
}

static pmn_status read_moments_record(const stored *self, pmn_moments_view *view, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(read_integer(self, "n", 1, ROWS_MAX, &view->n, err));
  PMN_TRY(read_count(self, "d", 1, INT32_MAX, &view->d, err));
done:
  return st;
}

pmn_status pmn_moments_inspect(const char *path, int64_t *n, int32_t *d, bool *with_covariance, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  stored self = {.path = path};
  pmn_moments_view view = {0};
  PMN_TRY(open_stored(&self, MOMENTS, err));
  PMN_TRY(read_moments_record(&self, &view, err));
  *n = view.n;
  *d = view.d;
  *with_covariance = pmn_safetensors_find(self.file, "m2") != NULL;
done:
  stored_reset(&self);
  return st;
}

pmn_status pmn_moments_load(const char *path, pmn_stored_moments *moments, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  stored self = {.path = path};
  tensor tensors[M_COUNT] = {0};
  pmn_moments_view view = {0};
  *moments = (pmn_stored_moments){0};
  PMN_TRY(open_stored(&self, MOMENTS, err));
  PMN_TRY(read_moments_record(&self, &view, err));
  bool with_covariance = pmn_safetensors_find(self.file, "m2") != NULL;
  PMN_TRY(read_tensors(&self, tensors, list_moments(&view, with_covariance, tensors), err));
  view.origin = moments->origin = take(&tensors[M_ORIGIN]);
  view.offset = moments->offset = take(&tensors[M_OFFSET]);
  view.squares = moments->squares = take(&tensors[M_SQUARES]);
  view.m2 = moments->m2 = take(&tensors[M_M2]);
  moments->features = take_features(&self);
  moments->view = view;
done:
  for (int32_t i = 0; i < M_COUNT; i++) pmn_free(tensors[i].loaded);
  stored_reset(&self);
  return st;
}

void pmn_stored_moments_reset(pmn_stored_moments *moments) {
  pmn_free(moments->features);
  pmn_free(moments->origin);
  pmn_free(moments->offset);
  pmn_free(moments->squares);
  pmn_free(moments->m2);
  *moments = (pmn_stored_moments){0};
}

/* ---------------------------------------------------------------------------------------------------- compare -- */

typedef struct difference {
  char path[PATH_SIZE];        /* "preprocess.scale[1]" */
  const json_t *theirs, *mine; /* NULL: not there */
} difference;

static bool differ(json_t *theirs, json_t *mine, difference *at);

/* The values under `key`; as differ. */
static bool differ_at(const char *key, json_t *theirs, json_t *mine, difference *at) {
  size_t length = strlen(at->path);
  snprintf(at->path + length, PATH_SIZE - length, "%s%s", length > 0 && key[0] != '[' ? "." : "", key);
  if (differ(theirs, mine, at)) return true;
  at->path[length] = '\0';
  return false;
}

/* False: the values, of which one may be NULL, are the same. Else *at has the first difference. */
static bool differ(json_t *theirs, json_t *mine, difference *at) {
  const char *key;
  json_t *value;
  char index[32];
  at->theirs = theirs;
  at->mine = mine;
  if (json_is_object(theirs) && json_is_object(mine)) {
    json_object_foreach(theirs, key, value) {
      if (differ_at(key, value, json_object_get(mine, key), at)) return true;
    }
    json_object_foreach(mine, key, value) {
      if (json_object_get(theirs, key) == NULL && differ_at(key, NULL, value, at)) return true;
    }
    return false;
  }
  if (json_is_array(theirs) && json_is_array(mine)) {
    for (size_t i = 0; i < json_array_size(theirs) || i < json_array_size(mine); i++) {
      snprintf(index, sizeof index, "[%zu]", i);
      if (differ_at(index, json_array_get(theirs, i), json_array_get(mine, i), at)) return true;
    }
    return false;
  }
  return theirs == NULL || mine == NULL || !json_equal(theirs, mine);
}

static const char *source_name(const json_t *features) {
  const char *network = json_string_value(json_object_get(features, "network"));
  if (network != NULL) return network;
  if (json_object_get(features, "pixels") != NULL) return "pixels";
  return json_is_true(json_object_get(features, "matrix")) ? "a matrix" : "an unknown source";
}

static pmn_status tell_difference(
    const char *what, const char *theirs, const char *mine, const difference *at, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *their_text = json_string_value(at->theirs), *my_text = json_string_value(at->mine);
  char *their_json = at->theirs == NULL ? NULL : json_dumps(at->theirs, JSON_ENCODE_ANY);
  char *my_json = at->mine == NULL ? NULL : json_dumps(at->mine, JSON_ENCODE_ANY);
  if ((at->theirs != NULL && their_json == NULL) || (at->mine != NULL && my_json == NULL)) {
    st = pmn_err_memory(err, PATH_SIZE, "a message");
    goto done;
  }
  if (strcmp(at->path, "network") == 0 || strcmp(at->path, "matrix") == 0 ||
      (strcmp(at->path, "pixels") == 0 && (their_text == NULL || my_text == NULL))) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s was made for features of %s, these are of %s", what, theirs, mine);
  }
  if (strcmp(at->path, "weights_sha256") == 0 && their_text != NULL && my_text != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s was made for features of %s with other weights (sha256 %.8s..., here %.8s...)", what, theirs, their_text,
        my_text);
  }
  PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s was made for features of %s with %s %.80s, here %.80s", what, theirs, at->path,
      their_json != NULL ? their_json : "missing", my_json != NULL ? my_json : "missing");
done:
  free(their_json);
  free(my_json);
  return st;
}

pmn_status pmn_features_compare(const char *mine, const char *theirs, const char *what, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *my_features = NULL, *their_features = NULL, *my_width = NULL, *their_width = NULL;
  difference at = {.path = ""};
  PMN_TRY(parse_object(mine, "this run", "features", PMN_STATUS_ARGUMENT, &my_features, err));
  PMN_TRY(parse_object(theirs, what, "features", PMN_STATUS_ARGUMENT, &their_features, err));
  json_object_del(my_features, "weights");
  json_object_del(their_features, "weights");
  /* The width follows from the rest: what else is different tells more. */
  my_width = json_incref(json_object_get(my_features, "width"));
  their_width = json_incref(json_object_get(their_features, "width"));
  json_object_del(my_features, "width");
  json_object_del(their_features, "width");
  if (differ(their_features, my_features, &at) ||
      (my_width != their_width && differ_at("width", their_width, my_width, &at)))
    st = tell_difference(what, source_name(their_features), source_name(my_features), &at, err);
done:
  json_decref(my_width);
  json_decref(their_width);
  json_decref(my_features);
  json_decref(their_features);
  return st;
}
