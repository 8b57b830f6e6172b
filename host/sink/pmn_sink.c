/* pmn_sink.c - see pmn_sink.h. The life of a sink, the same for every format; pmn_sink_format.h is what differs. */
#include "pmn_sink.h"

#include "pmn_buf.h"
#include "pmn_companion.h"
#include "pmn_mem.h"
#include "pmn_sink_format.h"

#include <string.h>
#include <strings.h>

/* A row is held in memory, and Parquet pages and their values are counted in 32 bits. */
enum { WIDTH_MAX = 1 << 24, ADOPTED_MAX = 3 };

static const char RECORD_SUFFIX[] = ".record.json";
/* How they begin; pmn_record.c, and pmn_npy.c. */
static const char RECORD_BEGIN[] = "{\n \"pomona\": \"", INDEX_BEGIN[] = "path,label";

static const pmn_sink_format *const formats[] = {
    [PMN_FORMAT_CSV] = &pmn_sink_csv,
    [PMN_FORMAT_PARQUET] = &pmn_sink_parquet,
    [PMN_FORMAT_NPY] = &pmn_sink_npy,
};

static const char *const values_names[] = {[PMN_VALUES_FLOAT] = "float32", [PMN_VALUES_BYTE] = "uint8"};

struct pmn_sink {
  const pmn_sink_format *format;
  void *state;
  size_t width;
  pmn_values values;
  pmn_buf bytes; /* the features of a block, narrowed */
  /* The table's, then its record's if it has one, then those that were adopted. */
  pmn_outfile *files[PMN_SINK_FILES_MAX + 1 + ADOPTED_MAX];
  size_t table_files, file_count;
  int64_t rows;
  bool has_record;
  enum { OPEN, SEALED, CLOSED } phase; /* closed: committed, or failed and so in no state to be committed */
};

bool pmn_format_find(const char *name, pmn_format *format) {
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    if (strcmp(name, formats[i]->name) == 0) {
      *format = (pmn_format)i;
      return true;
    }
  }
  return false;
}

bool pmn_format_of_path(const char *path, pmn_format *format) {
  const char *dot = strrchr(path, '.');
  for (size_t i = 0; dot != NULL && i < sizeof formats / sizeof *formats; i++) {
    if (strcasecmp(dot + 1, formats[i]->name) == 0) {
      *format = (pmn_format)i;
      return true;
    }
  }
  return false;
}

const char *pmn_format_name(pmn_format format) {
  return formats[format]->name;
}

const char *pmn_format_suffix(pmn_format format, size_t index) {
  const pmn_sink_format *f = formats[format];
  size_t count = 0;
  while (count < PMN_SINK_FILES_MAX && f->suffixes[count] != NULL) count++;
  return index < count ? f->suffixes[index] : index == count && !f->holds_record ? RECORD_SUFFIX : NULL;
}

bool pmn_format_holds_record(pmn_format format) {
  return formats[format]->holds_record;
}

const char *pmn_values_name(pmn_values values) {
  return values_names[values];
}

bool pmn_values_find(const char *name, pmn_values *values) {
  for (size_t i = 0; i < sizeof values_names / sizeof *values_names; i++) {
    if (strcmp(name, values_names[i]) == 0) {
      *values = (pmn_values)i;
      return true;
    }
  }
  return false;
}

/* Of these files the user has named the first; what has the names of the others is to be an older output's. */
static pmn_status check_companion(const pmn_sink_options *options, const char *suffix, pmn_err *err) {
  if (!options->overwrite || options->is_part || suffix[0] == '\0') return PMN_STATUS_OK;
  bool is_record = strcmp(suffix, RECORD_SUFFIX) == 0;
  return pmn_companion_check(options->s3, options->path, suffix, is_record ? RECORD_BEGIN : INDEX_BEGIN,
      is_record ? "run record" : "index of rows", err);
}

static pmn_status add_file(pmn_sink *sink, const pmn_sink_options *options, const char *suffix, pmn_err *err) {
  pmn_status st = check_companion(options, suffix, err);
  if (st != PMN_STATUS_OK) return st;
  st = pmn_outfile_create(options->s3, options->path, suffix, options->overwrite, &sink->files[sink->file_count], err);
  if (st == PMN_STATUS_OK) sink->file_count++;
  return st;
}

pmn_status pmn_sink_create(const pmn_sink_options *options, pmn_sink **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_sink *sink = NULL;
  if (options->width < 1 || options->width > WIDTH_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "cannot write a table of %d feature columns: 1 to %d are possible",
        options->width, (int)WIDTH_MAX);
  }
  sink = pmn_calloc(1, sizeof *sink);
  if (sink == NULL) {
    st = pmn_err_memory(err, sizeof *sink, "an output");
    goto done;
  }
  sink->format = formats[options->format];
  sink->width = (size_t)options->width;
  sink->values = options->values;
  pmn_buf_init(&sink->bytes, SIZE_MAX);
  while (sink->file_count < PMN_SINK_FILES_MAX && sink->format->suffixes[sink->file_count] != NULL) {
    PMN_TRY(add_file(sink, options, sink->format->suffixes[sink->file_count], err));
  }
  sink->table_files = sink->file_count;
  sink->has_record = !options->is_part && !sink->format->holds_record;
  if (sink->has_record) PMN_TRY(add_file(sink, options, RECORD_SUFFIX, err));
  PMN_TRY(sink->format->create(options, sink->files, &sink->state, err));
  *result = sink;
  sink = NULL;
done:
  pmn_sink_destroy(sink);
  return st;
}

static pmn_status refuse(pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "an output that failed or was committed takes no more calls");
}

/* `count` floats to bytes; false: some are none, and to[] is not to be used. */
static bool narrow(const float *from, size_t count, uint8_t *to) {
  uint32_t others = 0;
  for (size_t i = 0; i < count; i++) {
    int32_t byte = from[i] >= 0 && from[i] <= UINT8_MAX ? (int32_t)from[i] : 0; /* NaN: 0, and not equal to it */
    others |= (float)byte != from[i];
    to[i] = (uint8_t)byte;
  }
  return others == 0;
}

/* The one place where floats become bytes. Whoever asks for bytes has made them of bytes: any other value is our own
 * mistake, and is told, never rounded. */
static pmn_status narrow_block(pmn_sink *sink, const pmn_row_block *rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = sink->width, count = (size_t)rows->n * width, row = 0;
  PMN_TRY(pmn_buf_reserve(&sink->bytes, count, err));
  uint8_t *bytes = (uint8_t *)sink->bytes.data;
  if (count == 0 || narrow(rows->features, count, bytes)) goto done;
  while (narrow(rows->features + row * width, width, bytes)) row++;
  PMN_FAIL(err, PMN_STATUS_ARGUMENT, "row %.240s has a value that is no byte in a table of bytes: report this",
      rows->keys[row]);
done:
  return st;
}

pmn_status pmn_sink_write(pmn_sink *sink, const pmn_row_block *rows, pmn_err *err) {
  if (sink->phase != OPEN) return refuse(err);
  bool narrows = sink->values == PMN_VALUES_BYTE;
  pmn_status st = narrows ? narrow_block(sink, rows, err) : PMN_STATUS_OK;
  const uint8_t *bytes = narrows ? (const uint8_t *)sink->bytes.data : NULL;
  if (st == PMN_STATUS_OK) st = sink->format->write(sink->state, rows, bytes, err);
  if (st != PMN_STATUS_OK) sink->phase = CLOSED;
  sink->rows += rows->n;
  return st;
}

pmn_status pmn_sink_seal(pmn_sink *sink, const char *record, pmn_err *err) {
  if (sink->phase != OPEN) return refuse(err);
  sink->phase = CLOSED;
  pmn_status st = sink->format->finish(sink->state, record, err);
  for (size_t i = 0; st == PMN_STATUS_OK && i < sink->table_files; i++) st = pmn_outfile_seal(sink->files[i], err);
  if (st == PMN_STATUS_OK) sink->phase = SEALED;
  return st;
}

int64_t pmn_sink_rows(const pmn_sink *sink) {
  return sink->rows;
}

pmn_outfile *const *pmn_sink_files(const pmn_sink *sink, size_t *count) {
  *count = sink->table_files;
  return sink->files;
}

void pmn_sink_adopt(pmn_sink *sink, pmn_outfile *file) {
  sink->files[sink->file_count++] = file;
}

pmn_status pmn_sink_commit(pmn_sink *sink, const char *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (sink->phase == CLOSED) return refuse(err);
  if (sink->phase == OPEN) PMN_TRY(pmn_sink_seal(sink, record, err));
  sink->phase = CLOSED;
  if (sink->has_record) {
    pmn_outfile *file = sink->files[sink->table_files];
    PMN_TRY(pmn_outfile_write(file, record, strlen(record), err));
    PMN_TRY(pmn_outfile_write(file, "\n", 1, err));
    PMN_TRY(pmn_outfile_seal(file, err));
  }
  st = pmn_outfile_publish(sink->files, sink->file_count, err);
done:
  return st;
}

void pmn_sink_destroy(pmn_sink *sink) {
  if (sink == NULL) return;
  sink->format->destroy(sink->state);
  pmn_buf_reset(&sink->bytes);
  for (size_t i = 0; i < sink->file_count; i++) pmn_outfile_destroy(sink->files[i]);
  pmn_free(sink);
}
