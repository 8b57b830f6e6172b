/* pmn_index.c - see pmn_index.h.
 *
 * One pass, byte by byte, over a buffer that is refilled; one field at a time in memory. What a line has wrong is told
 * with its number, lines inside quotes counted, as an editor counts them.
 */
#include "pmn_index.h"

#include "pmn_mem.h"
#include "pmn_names.h"
#include "pmn_text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
  READ_SIZE = 1 << 16,
  FIELD_MAX = 1 << 18 /* 16 times the longest path of the system, escaped; escaped again it still fits any sink */
};

struct pmn_index {
  pmn_names names;
};

typedef struct csv {
  const char *path;
  int fd, code; /* errno of a read that failed; the file then seems to end */
  int64_t line; /* of the next byte, from 1 */
  size_t at, end;
  size_t size;                        /* of the field, of which text has the first FIELD_MAX bytes */
  int64_t columns, path_at, label_at; /* -1: not there */
  pmn_buf name, again;
  char text[FIELD_MAX];
  char bytes[READ_SIZE];
} csv;

/* ------------------------------------------------------------------------------------------------------- fields -- */

static int byte_refill(csv *c) {
  c->at = c->end = 0;
  while (c->end < READ_SIZE && c->code == 0) {
    ssize_t got = read(c->fd, c->bytes + c->end, READ_SIZE - c->end);
    if (got == 0) break;
    if (got > 0)
      c->end += (size_t)got;
    else if (errno != EINTR)
      c->code = errno;
  }
  if (c->code != 0) c->end = 0;
  return c->end == 0 ? EOF : (unsigned char)c->bytes[0];
}

static int byte_peek(csv *c) {
  return c->at < c->end ? (unsigned char)c->bytes[c->at] : byte_refill(c);
}

static int byte_next(csv *c) {
  int byte = byte_peek(c);
  if (byte != EOF) c->at++;
  if (byte == '\n') c->line++;
  return byte;
}

static void field_put(csv *c, int byte) {
  if (c->size < FIELD_MAX) c->text[c->size] = (char)byte;
  c->size++;
}

static pmn_status field_fail(const csv *c, int64_t line, const char *problem, pmn_err *err) {
  if (c->code != 0) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, c->code, "cannot read the index %.300s: %s", c->path, strerror(c->code));
  }
  return pmn_err_set(
      err, PMN_STATUS_ARGUMENT, 0, "line %lld of the index %.250s: %s", (long long)line, c->path, problem);
}

/* What is wrong with a NUL byte, wherever it is. */
static const char nul_problem[] = "a NUL byte, which no path has: the file must be text in UTF-8";

/* The rest of a field whose opening quote was read. */
static pmn_status quoted_read(csv *c, pmn_err *err) {
  int64_t first_line = c->line;
  for (;;) {
    int64_t line = c->line;
    int byte = byte_next(c);
    if (byte == '"' && byte_peek(c) != '"') return PMN_STATUS_OK;
    if (byte == '"') (void)byte_next(c);
    if (byte == EOF) return field_fail(c, first_line, "the quote that opens a field here is never closed", err);
    if (byte == '\0') return field_fail(c, line, nul_problem, err);
    field_put(c, byte);
  }
}

/* One field, and in *stop what ended it: ',', '\n' or EOF. */
static pmn_status field_read(csv *c, int *stop, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool quoted = byte_peek(c) == '"';
  c->size = 0;
  if (quoted) {
    (void)byte_next(c);
    PMN_TRY(quoted_read(c, err));
  }
  int64_t line = c->line;
  int byte = byte_next(c);
  for (; byte != ',' && byte != '\n' && byte != '\r' && byte != EOF; byte = byte_next(c)) {
    const char *problem = byte == '\0'  ? nul_problem
                          : quoted      ? "text behind a closing quote: quotes inside a field are written twice"
                          : byte == '"' ? "a quote inside a field: put the field in quotes and write its quotes twice"
                                        : NULL;
    if (problem != NULL) return field_fail(c, line, problem, err);
    field_put(c, byte);
  }
  if (byte == '\r') byte = byte_peek(c) == '\n' ? byte_next(c) : '\r';
  if (byte == '\r') {
    return field_fail(c, line, "a carriage return without a line feed: lines end with LF or CR LF", err);
  }
  if (byte == EOF && c->code != 0) return field_fail(c, line, "", err);
  *stop = byte;
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------------- rows -- */

static pmn_status header_read(csv *c, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int stop = ',';
  if (byte_peek(c) == 0xef && c->end >= 3 && memcmp(c->bytes, "\xef\xbb\xbf", 3) == 0) c->at = 3;
  for (; stop == ','; c->columns++) {
    PMN_TRY(field_read(c, &stop, err));
    int64_t *column = c->size == 4 && memcmp(c->text, "path", 4) == 0    ? &c->path_at
                      : c->size == 5 && memcmp(c->text, "label", 5) == 0 ? &c->label_at
                                                                         : NULL;
    if (column == NULL) continue;
    if (*column >= 0) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the index %.300s has two columns %s: which one is meant?", c->path,
          column == &c->path_at ? "path" : "label");
    }
    *column = c->columns;
  }
  if (c->path_at < 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "the index %.300s has no column path: its first line must name its columns, as in path,label", c->path);
  }
done:
  return st;
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The name for which pmn_text_escape writes this field, or the field itself; see pmn_index.h. */
static pmn_status name_find(csv *c, const char **name, size_t *size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *name = c->text;
  *size = c->size;
  if (memchr(c->text, '\\', c->size) == NULL) return PMN_STATUS_OK;
  pmn_buf_clear(&c->name);
  pmn_buf_clear(&c->again);
  for (size_t i = 0; i < c->size; i++) {
    char byte = c->text[i];
    size_t left = c->size - i - 1;
    if (byte == '\\' && left >= 1 && c->text[i + 1] == '\\') {
      i += 1;
    } else if (byte == '\\' && left >= 3 && c->text[i + 1] == 'x') {
      int high = hex_digit(c->text[i + 2]), low = hex_digit(c->text[i + 3]);
      if (high >= 0 && low >= 0) {
        byte = (char)(high * 16 + low);
        i += 3;
      }
    }
    PMN_TRY(pmn_buf_append(&c->name, &byte, 1, err));
  }
  PMN_TRY(pmn_text_escape(&c->again, c->name.data, c->name.size, err));
  if (c->again.size == c->size && memcmp(c->again.data, c->text, c->size) == 0) {
    *name = c->name.data;
    *size = c->name.size;
  }
done:
  return st;
}

/* Keeps the field as a path or as a label: the text of `previous`, which may be NULL, if it is the same. */
static pmn_status field_keep(
    csv *c, int64_t line, pmn_names *names, const char *previous, const char **kept, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *name;
  size_t size;
  if (c->size > FIELD_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "line %lld of the index %.250s: a field of %zu bytes, more than a path may have",
        (long long)line, c->path, c->size);
  }
  PMN_TRY(name_find(c, &name, &size, err));
  if (previous != NULL && strlen(previous) == size && memcmp(previous, name, size) == 0)
    *kept = previous;
  else
    PMN_TRY(pmn_names_copy(names, name, size, kept, err));
done:
  return st;
}

/* One line below the header; `names` NULL: only looked at. */
static pmn_status row_read(csv *c, pmn_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int stop = ',';
  int64_t first_line = c->line, fields = 0;
  const char *path = NULL, *label = "";
  const char *previous = names == NULL || names->count == 0 ? label : names->entries[names->count - 1].label;
  for (; stop == ','; fields++) {
    int64_t line = c->line;
    PMN_TRY(field_read(c, &stop, err));
    if (names == NULL) continue;
    if (fields == c->path_at) PMN_TRY(field_keep(c, line, names, NULL, &path, err));
    if (fields == c->label_at) PMN_TRY(field_keep(c, line, names, previous, &label, err));
  }
  if (fields != c->columns) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "line %lld of the index %.250s: %lld field%s where the header has %lld; a comma in a field needs quotes",
        (long long)first_line, c->path, (long long)fields, fields == 1 ? "" : "s", (long long)c->columns);
  }
  if (names == NULL) goto done;
  if (path[0] == '\0') {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "line %lld of the index %.250s: an empty path, which would name no row",
        (long long)first_line, c->path);
  }
  PMN_TRY(pmn_names_add(names, path, err));
  names->entries[names->count - 1].label = label;
done:
  return st;
}

static pmn_status rows_read(csv *c, int64_t rows, pmn_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t count = 0;
  PMN_TRY(header_read(c, err));
  for (; byte_peek(c) != EOF; count++) PMN_TRY(row_read(c, count < rows ? names : NULL, err));
  if (c->code != 0) {
    st = field_fail(c, c->line, "", err);
    goto done;
  }
  if (count != rows) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "the index %.250s has %lld row%s below its header, the matrix %lld: there must be one for each, in its order",
        c->path, (long long)count, count == 1 ? "" : "s", (long long)rows);
  }
done:
  return st;
}

pmn_status pmn_index_read(const char *path, int64_t rows, pmn_index **index, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *index = NULL;
  pmn_index *self = pmn_calloc(1, sizeof *self);
  csv *c = pmn_calloc(1, sizeof *c);
  if (self == NULL || c == NULL) {
    pmn_free(self);
    pmn_free(c);
    return pmn_err_memory(err, sizeof *c, "an index");
  }
  c->path = path;
  c->line = 1;
  c->path_at = c->label_at = -1;
  pmn_buf_init(&c->name, FIELD_MAX);
  pmn_buf_init(&c->again, 4 * FIELD_MAX); /* each byte of a name may become \xHH */
  c->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (c->fd < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open the index %.300s: %s", path, strerror(errno));
  }
  PMN_TRY(rows_read(c, rows, &self->names, err));
  *index = self;
  self = NULL;
done:
  if (c->fd >= 0) close(c->fd);
  pmn_buf_reset(&c->name);
  pmn_buf_reset(&c->again);
  pmn_free(c);
  pmn_index_destroy(self);
  return st;
}

void pmn_index_destroy(pmn_index *index) {
  if (index == NULL) return;
  pmn_names_reset(&index->names);
  pmn_free(index);
}

const char *pmn_index_path(const pmn_index *index, int64_t row) {
  return index->names.entries[row].path;
}

const char *pmn_index_label(const pmn_index *index, int64_t row) {
  return index->names.entries[row].label;
}
