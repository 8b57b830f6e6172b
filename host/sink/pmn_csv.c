/* pmn_csv.c - rows as text: path,label,f0,f1,... or path,label,keypoints,f0,f1,... (RFC 4180 with \n line ends).
 *
 * A row is built whole in memory (1280 features are 15 KB) and handed on; numbers are printed straight into it. Bytes
 * come with their comma from a table of 256.
 */
#include "pmn_csv_text.h"
#include "pmn_float.h"
#include "pmn_mem.h"
#include "pmn_sink_format.h"

#include <string.h>

enum { FLOAT_FIELD = PMN_FLOAT_TEXT_MAX + 1, BYTE_FIELD = 4 }; /* with its comma */

typedef struct byte_text {
  char text[BYTE_FIELD]; /* ",255" */
  uint8_t size;
} byte_text;

typedef struct csv {
  pmn_outfile *file;
  size_t width;
  pmn_buf row;
  byte_text texts[256];
} csv;

static void destroy(void *state) {
  csv *self = state;
  if (self == NULL) return;
  pmn_buf_reset(&self->row);
  pmn_free(self);
}

static pmn_status write_header(csv *self, bool keypoints, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_buf_printf(&self->row, err, "%s", pmn_csv_names(keypoints)));
  for (size_t i = 0; i < self->width; i++) PMN_TRY(pmn_buf_printf(&self->row, err, ",f%zu", i));
  PMN_TRY(pmn_buf_append(&self->row, "\n", 1, err));
  PMN_TRY(pmn_outfile_write(self->file, self->row.data, self->row.size, err));
done:
  return st;
}

static void print_bytes(byte_text texts[256]) {
  for (int i = 0; i < 256; i++) {
    char *p = texts[i].text;
    *p++ = ',';
    if (i >= 100) *p++ = (char)('0' + i / 100);
    if (i >= 10) *p++ = (char)('0' + i / 10 % 10);
    *p++ = (char)('0' + i % 10);
    texts[i].size = (uint8_t)(p - texts[i].text);
  }
}

static pmn_status create(const pmn_sink_options *options, pmn_outfile *const *files, void **state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  csv *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a CSV file");
  self->file = files[0];
  self->width = (size_t)options->width;
  print_bytes(self->texts);
  pmn_buf_init(&self->row, PMN_CSV_NAMES_MAX + self->width * FLOAT_FIELD);
  PMN_TRY(write_header(self, options->keypoints, err));
  *state = self;
  self = NULL;
done:
  destroy(self);
  return st;
}

/* Each returns the end of what it has printed. */
static char *print_floats(const float *values, size_t count, char *p) {
  for (size_t i = 0; i < count; i++) {
    *p++ = ',';
    p += pmn_float_print(values[i], p);
  }
  return p;
}

static char *print_integers(const csv *self, const uint8_t *values, char *p) {
  for (size_t i = 0; i < self->width; i++) {
    const byte_text *t = &self->texts[values[i]];
    memcpy(p, t->text, BYTE_FIELD);
    p += t->size;
  }
  return p;
}

static pmn_status write_row(csv *self, const pmn_row_block *rows, size_t i, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf *row = &self->row;
  size_t at = i * self->width;
  pmn_buf_clear(row);
  PMN_TRY(pmn_csv_names_append(row, rows, i, err));
  PMN_TRY(pmn_buf_reserve(row, row->size + self->width * FLOAT_FIELD + 1, err));
  char *p = row->data + row->size;
  p = bytes != NULL ? print_integers(self, bytes + at, p) : print_floats(rows->features + at, self->width, p);
  *p++ = '\n';
  PMN_TRY(pmn_outfile_write(self->file, row->data, (size_t)(p - row->data), err));
done:
  return st;
}

static pmn_status write(void *state, const pmn_row_block *rows, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int64_t i = 0; i < rows->n; i++) PMN_TRY(write_row(state, rows, (size_t)i, bytes, err));
done:
  return st;
}

static pmn_status finish(void *state, const char *record, pmn_err *err) {
  (void)state, (void)record, (void)err;
  return PMN_STATUS_OK;
}

const pmn_sink_format pmn_sink_csv = {
    .name = "csv",
    .suffixes = {""},
    .create = create,
    .write = write,
    .finish = finish,
    .destroy = destroy,
};
