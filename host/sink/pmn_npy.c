/* pmn_npy.c - rows as a NumPy array, with the other columns in a CSV beside it.
 *
 * Reference: numpy.lib.format, version 1.0. The header has the same length for every number of rows, so it is written
 * first with none and again at the end.
 */
#include "pmn_npy.h"
#include "pmn_csv_text.h"
#include "pmn_mem.h"
#include "pmn_sink_format.h"

#include <stdio.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats go to the file as they lie in memory");

/* 10 bytes of magic, version and length, then text padded to a multiple of 64; longest text: 88 bytes. */
enum { HEADER_SIZE = PMN_NPY_HEADER, HEADER_TEXT = HEADER_SIZE - 10 };

typedef struct npy {
  pmn_outfile *file, *index;
  size_t width;
  pmn_values values;
  int64_t rows;
  pmn_buf line;
} npy;

static void destroy(void *state) {
  npy *self = state;
  if (self == NULL) return;
  pmn_buf_reset(&self->line);
  pmn_free(self);
}

void pmn_npy_header(int64_t rows, int64_t columns, pmn_values values, char header[PMN_NPY_HEADER]) {
  char text[HEADER_TEXT + 1];
  snprintf(text, sizeof text, "{'descr': '%s', 'fortran_order': False, 'shape': (%lld, %lld), }",
      values == PMN_VALUES_BYTE ? "|u1" : "<f4", (long long)rows, (long long)columns);
  memcpy(header, "\x93NUMPY\x01\x00", 8);
  header[8] = HEADER_TEXT;
  header[9] = 0;
  memset(header + 10, ' ', HEADER_TEXT);
  memcpy(header + 10, text, strlen(text));
  header[HEADER_SIZE - 1] = '\n';
}

static pmn_status create(const pmn_sink_options *options, pmn_outfile *const *files, void **state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char header[HEADER_SIZE];
  npy *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an npy file");
  self->file = files[0];
  self->index = files[1];
  self->width = (size_t)options->width;
  self->values = options->values;
  pmn_buf_init(&self->line, PMN_CSV_NAMES_MAX);
  pmn_npy_header(0, options->width, options->values, header);
  PMN_TRY(pmn_outfile_write_head(self->file, header, HEADER_SIZE, err));
  const char *names = pmn_csv_names(options->keypoints);
  PMN_TRY(pmn_outfile_write(self->index, names, strlen(names), err));
  PMN_TRY(pmn_outfile_write(self->index, "\n", 1, err));
  *state = self;
  self = NULL;
done:
  destroy(self);
  return st;
}

static pmn_status write(void *state, const pmn_row_block *rows, const uint8_t *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  npy *self = state;
  for (int64_t i = 0; i < rows->n; i++) {
    pmn_buf_clear(&self->line);
    PMN_TRY(pmn_csv_names_append(&self->line, rows, (size_t)i, err));
    PMN_TRY(pmn_buf_append(&self->line, "\n", 1, err));
    PMN_TRY(pmn_outfile_write(self->index, self->line.data, self->line.size, err));
  }
  size_t count = (size_t)rows->n * self->width;
  PMN_TRY(bytes != NULL ? pmn_outfile_write(self->file, bytes, count, err)
                        : pmn_outfile_write(self->file, rows->features, count * sizeof *rows->features, err));
  self->rows += rows->n;
done:
  return st;
}

static pmn_status finish(void *state, const char *record, pmn_err *err) {
  npy *self = state;
  char header[HEADER_SIZE];
  (void)record;
  pmn_npy_header(self->rows, (int64_t)self->width, self->values, header);
  return pmn_outfile_rewrite_head(self->file, header, HEADER_SIZE, err);
}

const pmn_sink_format pmn_sink_npy = {
    .name = "npy",
    .suffixes = {"", ".index.csv"},
    .create = create,
    .write = write,
    .finish = finish,
    .destroy = destroy,
};
