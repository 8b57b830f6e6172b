/* pmn_matrix.c - see pmn_matrix.h.
 *
 * Reference: numpy.lib.format. The header is a Python dict literal of three entries; it is read as a grammar of just
 * those, so nothing in it can ask for memory or time. Rows are read with pread, never mapped: a file that becomes
 * shorter is then an error and not a signal.
 */
#include "pmn_matrix.h"

#include "pmn_mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are taken from the file as they lie in memory");

enum {
  HEADER_MAX = 10000, /* what numpy.load itself takes; two dimensions of floats need 118 */
  PIECE = 8192        /* values that are widened at a time: 32 KB of stack */
};

static const struct {
  const char *descr, *name; /* in the header, and in full */
  size_t size;
} types[] = {{"<f4", "float32", sizeof(float)}, {"<f8", "float64", sizeof(double)}, {"|u1", "uint8", 1}};
enum { F4, F8, U1, TYPES };

struct pmn_matrix {
  char *path;
  int fd;
  int type; /* of `types` */
  int64_t rows;
  int32_t columns;
  uint64_t data; /* where in the file the first row starts */
};

/* ------------------------------------------------------------------------------------------------------- header -- */

typedef struct header {
  const char *start, *at, *end;
  const char *descr;
  int descr_size;
  bool has_descr, has_order, has_shape;
  bool records; /* descr is a list of fields; nothing behind it was read */
  bool fortran_order;
  int32_t rank;
  int64_t shape[2]; /* the first two of `rank` */
} header;

/* Takes `token` after any blanks, or nothing. */
static bool take(header *h, const char *token) {
  size_t size = strlen(token);
  while (h->at < h->end && (*h->at == ' ' || *h->at == '\t' || *h->at == '\n' || *h->at == '\r')) h->at++;
  if ((size_t)(h->end - h->at) < size || memcmp(h->at, token, size) != 0) return false;
  h->at += size;
  return true;
}

/* A string as NumPy needs them: without escapes. */
static bool take_string(header *h, const char **text, int *size) {
  char quote = take(h, "'") ? '\'' : take(h, "\"") ? '"' : '\0';
  if (quote == '\0') return false;
  const char *stop = memchr(h->at, quote, (size_t)(h->end - h->at));
  if (stop == NULL || memchr(h->at, '\\', (size_t)(stop - h->at)) != NULL) return false;
  *text = h->at;
  *size = (int)(stop - h->at);
  h->at = stop + 1;
  return true;
}

static bool take_extent(header *h, int64_t *extent) {
  *extent = 0;
  (void)take(h, "");
  const char *first = h->at;
  for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++) {
    if (__builtin_mul_overflow(*extent, 10, extent) || __builtin_add_overflow(*extent, *h->at - '0', extent)) {
      return false;
    }
  }
  if (h->at == first) return false;
  (void)take(h, "L"); /* Python 2 marks its long numbers */
  return true;
}

static bool take_shape(header *h) {
  if (!take(h, "(")) return false;
  while (!take(h, ")")) {
    int64_t extent;
    if (!take_extent(h, &extent)) return false;
    if (h->rank < 2) h->shape[h->rank] = extent;
    h->rank++;
    if (take(h, ",")) continue;
    return take(h, ")");
  }
  return true;
}

static bool take_entry(header *h) {
  const char *key;
  int size;
  if (!take_string(h, &key, &size) || !take(h, ":")) return false;
  bool *seen = size == 5 && memcmp(key, "descr", 5) == 0             ? &h->has_descr
               : size == 13 && memcmp(key, "fortran_order", 13) == 0 ? &h->has_order
               : size == 5 && memcmp(key, "shape", 5) == 0           ? &h->has_shape
                                                                     : NULL;
  if (seen == NULL || *seen) return false;
  *seen = true;
  if (seen == &h->has_shape) return take_shape(h);
  if (seen == &h->has_order) return (h->fortran_order = take(h, "True")) || take(h, "False");
  h->records = take(h, "[");
  return !h->records && take_string(h, &h->descr, &h->descr_size);
}

static bool take_dict(header *h) {
  if (!take(h, "{")) return false;
  while (!take(h, "}")) {
    if (!take_entry(h)) return false;
    if (take(h, ",")) continue;
    if (!take(h, "}")) return false;
    break;
  }
  (void)take(h, "");
  return h->at == h->end && h->has_descr && h->has_order && h->has_shape;
}

/* What the header says, taken over if it is a table that we read. */
static pmn_status header_apply(const header *h, pmn_matrix *m, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (m->type = 0; m->type < TYPES; m->type++) {
    if (h->descr_size == 3 && memcmp(h->descr, types[m->type].descr, 3) == 0) break;
  }
  if (m->type == TYPES) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.200s holds values of type '%.*s' where features are little-endian floats of 32 or 64 bits, or bytes: "
        "convert with .astype('<f4')",
        m->path, h->descr_size < 40 ? h->descr_size : 40, h->descr);
  }
  if (h->fortran_order) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.200s is in Fortran order, column after column: save it with numpy.ascontiguousarray", m->path);
  }
  if (h->rank != 2) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.200s has %d dimension%s where a table of features has two: save it with .reshape(rows, columns)", m->path,
        h->rank, h->rank == 1 ? "" : "s");
  }
  if (h->shape[1] < 1 || h->shape[1] > INT32_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.200s has %lld columns: there must be 1 to %d", m->path,
        (long long)h->shape[1], INT32_MAX);
  }
  m->rows = h->shape[0];
  m->columns = (int32_t)h->shape[1];
done:
  return st;
}

/* --------------------------------------------------------------------------------------------------------- file -- */

static size_t value_size(const pmn_matrix *m) {
  return types[m->type].size;
}

/* `size` bytes at `at`; short files were found out by pmn_matrix_open, so one that ends early has become shorter. */
static pmn_status read_at(const pmn_matrix *m, uint64_t at, void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t have = 0; have < size;) {
    ssize_t got = pread(m->fd, (char *)bytes + have, size - have, (off_t)(at + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %.300s: %s", m->path, strerror(errno));
    if (got == 0) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%.300s became shorter while it was read", m->path);
    have += (size_t)got;
  }
done:
  return st;
}

/* The kinds of file that are taken for .npy, from their first bytes. */
static pmn_status magic_fail(const pmn_matrix *m, const unsigned char *head, pmn_err *err) {
  if (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%.300s is a .npz or another zip archive: save the one array of features in it with numpy.save", m->path);
  }
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "%.300s is no .npy, which start with \\x93NUMPY: save the features with numpy.save", m->path);
}

/* Reads the header of a file of `file_size` bytes. */
static pmn_status header_read(pmn_matrix *m, uint64_t file_size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  unsigned char head[12] = {0};
  char text[HEADER_MAX];
  PMN_TRY(read_at(m, 0, head, file_size < sizeof head ? (size_t)file_size : sizeof head, err));
  if (memcmp(head, "\x93NUMPY", 6) != 0) {
    st = magic_fail(m, head, err);
    goto done;
  }
  if (head[6] < 1 || head[6] > 3 || head[7] != 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s is a .npy of version %d.%d, not 1.0, 2.0 or 3.0: save it by numpy.save",
        m->path, head[6], head[7]);
  }
  uint32_t length = (uint32_t)head[8] | (uint32_t)head[9] << 8;
  if (head[6] > 1) length |= (uint32_t)head[10] << 16 | (uint32_t)head[11] << 24;
  uint64_t start = head[6] > 1 ? 12 : 10;
  if (length > HEADER_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s has a header of %u bytes where a table of floats needs less than %d: %s",
        m->path, length, HEADER_MAX, "save it again with numpy.save");
  }
  m->data = start + length;
  if (m->data > file_size) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s is cut short: it has %llu bytes, its header alone %llu", m->path,
        (unsigned long long)file_size, (unsigned long long)m->data);
  }
  PMN_TRY(read_at(m, start, text, length, err));
  header h = {.start = text, .at = text, .end = text + length};
  bool good = take_dict(&h);
  if (h.records) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s holds records of named fields where features are plain floats: %s",
        m->path, "convert it with numpy.lib.recfunctions.structured_to_unstructured");
  }
  if (!good) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s has a header unlike NumPy's {'descr': ..., 'fortran_order': ..., 'shape': ...}, from byte %llu on: %s",
        m->path, (unsigned long long)(start + (uint64_t)(h.at - h.start)), "save it again with numpy.save");
  }
  PMN_TRY(header_apply(&h, m, err));
done:
  return st;
}

static pmn_status size_check(const pmn_matrix *m, uint64_t file_size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t bytes = 0;
  if (!pmn_size_mul((size_t)m->rows, (size_t)m->columns, &bytes) || !pmn_size_mul(bytes, value_size(m), &bytes) ||
      !pmn_size_add(bytes, (size_t)m->data, &bytes)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s is cut short: it has %llu bytes, its header gives %lld rows of %d",
        m->path, (unsigned long long)file_size, (long long)m->rows, m->columns);
  }
  if (file_size != bytes) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.200s %s: it has %llu bytes where %lld rows of %d columns make %zu: %s",
        m->path, file_size < bytes ? "is cut short" : "goes on behind its data", (unsigned long long)file_size,
        (long long)m->rows, m->columns, bytes,
        file_size < bytes ? "copy or save it again" : "save it again, as one array to a file");
  }
done:
  return st;
}

pmn_status pmn_matrix_open(const char *path, pmn_matrix **matrix, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  *matrix = NULL;
  pmn_matrix *m = pmn_calloc(1, sizeof *m);
  if (m == NULL) return pmn_err_memory(err, sizeof *m, "a matrix");
  m->fd = -1;
  m->path = pmn_strdup(path);
  if (m->path == NULL) {
    st = pmn_err_memory(err, strlen(path) + 1, "the path of a matrix");
    goto done;
  }
  /* O_NONBLOCK: opening a FIFO by mistake must not hang; regular files ignore it. */
  m->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (m->fd < 0 || fstat(m->fd, &info) != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open %.300s: %s", path, strerror(errno));
  }
  if (!S_ISREG(info.st_mode)) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%.300s is not a regular file", path);
  PMN_TRY(header_read(m, (uint64_t)info.st_size, err));
  PMN_TRY(size_check(m, (uint64_t)info.st_size, err));
  *matrix = m;
  m = NULL;
done:
  pmn_matrix_close(m);
  return st;
}

void pmn_matrix_close(pmn_matrix *matrix) {
  if (matrix == NULL) return;
  if (matrix->fd >= 0) close(matrix->fd);
  pmn_free(matrix->path);
  pmn_free(matrix);
}

int64_t pmn_matrix_rows(const pmn_matrix *matrix) {
  return matrix->rows;
}

int32_t pmn_matrix_columns(const pmn_matrix *matrix) {
  return matrix->columns;
}

const char *pmn_matrix_type(const pmn_matrix *matrix) {
  return types[matrix->type].name;
}

pmn_status pmn_matrix_read(void *matrix, int64_t first, int32_t n, double *rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_matrix *m = matrix;
  float floats[PIECE];
  uint8_t bytes[PIECE];
  void *piece = m->type == U1 ? (void *)bytes : floats;
  size_t count = (size_t)n * (size_t)m->columns; /* no overflow from here on: the file has that many bytes */
  uint64_t at = m->data + (uint64_t)first * (uint64_t)m->columns * value_size(m);
  if (m->type == F8) return read_at(m, at, rows, count * sizeof *rows, err);
  for (size_t i = 0; i < count; i += PIECE) {
    size_t values = count - i < PIECE ? count - i : PIECE;
    PMN_TRY(read_at(m, at + i * value_size(m), piece, values * value_size(m), err));
    for (size_t j = 0; j < values; j++) rows[i + j] = m->type == U1 ? (double)bytes[j] : (double)floats[j];
  }
done:
  return st;
}
