/* test_matrix.c - tables of features from elsewhere: pmn_matrix.h against files by NumPy, pmn_index.h against files by
 * Python's csv and by our own sink, and both against damage. tests/golden/make_matrix.py made the files. Longer than a
 * file should be, for its tables of cases.
 */
#include "check.h"

#include "pmn_csv_text.h"
#include "pmn_index.h"
#include "pmn_matrix.h"
#include "pmn_mem.h"
#include "pmn_pool.h"
#include "pmn_sink.h"

#include <fcntl.h>

#define GOLDEN(name) PMN_SOURCE_DIR "/tests/golden/" name

static char home[64]; /* the temporary folder of the running test, also its working folder */

static int enter(void **state) {
  (void)state;
  check_folder(home);
  return chdir(home);
}

static void leave(void) {
  assert_int_equal(chdir("/"), 0);
  check_folder_remove(home);
}

static void put(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* The whole of a file of at most `max` bytes. */
static size_t get(const char *path, void *bytes, size_t max) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("cannot open %s", path);
  size_t size = fread(bytes, 1, max, file);
  assert_true(feof(file) || size < max);
  fclose(file);
  return size;
}

/* ------------------------------------------------------------------------------------------------------ matrix -- */

/* A .npy of version 1.0 with just this header, which puts the data anywhere, and `size` bytes of data. */
static void put_npy(const char *path, const char *text, const void *data, size_t size) {
  size_t length = strlen(text);
  unsigned char head[10] = "\x93NUMPY\x01";
  head[8] = (unsigned char)(length & 255);
  head[9] = (unsigned char)(length >> 8);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(head, 1, 10, file), 10);
  assert_int_equal(fwrite(text, 1, length, file), length);
  if (size > 0) assert_int_equal(fwrite(data, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

static pmn_matrix *open_matrix(const char *path) {
  pmn_err err = PMN_ERR_INIT;
  pmn_matrix *matrix = NULL;
  check_ok(pmn_matrix_open(path, &matrix, &err));
  return matrix;
}

#define check_open_fails(path, expected, text)                                                                         \
  do {                                                                                                                 \
    pmn_err err = PMN_ERR_INIT;                                                                                        \
    pmn_matrix *none = (pmn_matrix *)&err;                                                                             \
    check_fails(pmn_matrix_open(path, &none, &err), expected, text);                                                   \
    assert_null(none);                                                                                                 \
  } while (0)

static void test_tables_by_numpy(void **state) {
  (void)state;
  static const struct {
    const char *path;
    int64_t rows;
    bool wide;
  } files[] = {{GOLDEN("matrix_f4.npy"), 4, false}, {GOLDEN("matrix_f8.npy"), 4, true},
      {GOLDEN("matrix_f8_v2.npy"), 4, true}, {GOLDEN("matrix_f4_v3.npy"), 4, false},
      {GOLDEN("matrix_no_rows.npy"), 0, true}};
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_matrix *matrix = open_matrix(files[f].path);
    assert_int_equal(pmn_matrix_rows(matrix), files[f].rows);
    assert_int_equal(pmn_matrix_columns(matrix), 3);
    assert_int_equal(pmn_matrix_is_wide(matrix), files[f].wide);
    for (int64_t first = 0; first <= files[f].rows; first++) {
      for (int32_t n = 0; first + n <= files[f].rows; n++) {
        double rows[4 * 3 + 1];
        for (int i = 0; i < 13; i++) rows[i] = -1;
        check_ok(pmn_matrix_read(matrix, first, n, rows, &err));
        for (int i = 0; i < 3 * n; i++) {
          double value = (7.0 * (double)(first + i / 3) + i % 3) / 3.0;
          assert_true(rows[i] == (files[f].wide ? value : (double)(float)value));
        }
        assert_true(rows[3 * n] == -1);
      }
    }
    pmn_matrix_close(matrix);
  }
  pmn_matrix_close(NULL);
}

static void test_tables_by_numpy_that_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *path, *text;
  } files[] = {{GOLDEN("matrix_fortran.npy"), "numpy.ascontiguousarray"},
      {GOLDEN("matrix_vector.npy"), "has 1 dimension where"}, {GOLDEN("matrix_scalar.npy"), "has 0 dimensions where"},
      {GOLDEN("matrix_cube.npy"), "has 3 dimensions where"}, {GOLDEN("matrix_no_columns.npy"), "has 0 columns"},
      {GOLDEN("matrix_f2.npy"), "type '<f2' where"}, {GOLDEN("matrix_big_endian.npy"), "type '>f4' where"},
      {GOLDEN("matrix_integers.npy"), "type '<i8' where"}, {GOLDEN("matrix_complex.npy"), "type '<c8' where"},
      {GOLDEN("matrix_objects.npy"), "type '|O' where"}, {GOLDEN("matrix_integers.npy"), "with .astype('<f4')"},
      {GOLDEN("matrix_records.npy"), "structured_to_unstructured"}, {GOLDEN("matrix_one.npz"), "is a .npz"},
      {GOLDEN("matrix_index.csv"), "is no .npy"}};
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    assert_int_equal(symlink(files[f].path, "a.npy"), 0);
    check_open_fails("a.npy", PMN_STATUS_ARGUMENT, files[f].text);
    check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "a.npy "); /* every message says where */
    assert_int_equal(unlink("a.npy"), 0);
  }
  leave();
}

/* Whatever is the same to Python is the same to us; the last is how Python 2 writes long numbers. */
static void test_headers_in_any_form(void **state) {
  (void)state;
  static const char *const headers[] = {
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), }\n",
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}",
      "{'shape':(2,1),'fortran_order':False,'descr':'<f8'}",
      "  {\t\"fortran_order\" :\nFalse , 'shape' : ( 2 , 1 , ) ,\r\n'descr' :\"<f8\" , } \n\n ",
      "{'descr': '<f8', 'fortran_order': False, 'shape': (2L, 1L)}",
  };
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    pmn_err err = PMN_ERR_INIT;
    static const double data[2] = {0.1, -3e200};
    double rows[2];
    put_npy("a.npy", headers[i], data, sizeof data);
    pmn_matrix *matrix = open_matrix("a.npy");
    assert_int_equal(pmn_matrix_rows(matrix), 2);
    assert_int_equal(pmn_matrix_columns(matrix), 1);
    check_ok(pmn_matrix_read(matrix, 0, 2, rows, &err));
    assert_memory_equal(rows, data, sizeof data);
    pmn_matrix_close(matrix);
  }
  leave();
}

static void test_hostile_headers(void **state) {
  (void)state;
  static const char unlike[] = "unlike NumPy's";
  static const struct {
    const char *header, *text;
  } cases[] = {
      {"", unlike},
      {"{", unlike},
      {"{}", unlike},
      {"{'", unlike},
      {"{'descr': '<f8', 'fortran_order': False}", unlike},
      {"{'descr': '<f8', 'shape': (2, 1)}", unlike},
      {"{'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)} x", "from byte 68 on"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), 'more': 1}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1), 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8' 'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{,'descr': '<f8', 'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 1),,}", unlike},
      {"{'descr' '<f8', 'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{'descr': <f8, 'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{'descr': '<\\x668', 'fortran_order': False, 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': 0, 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': Falsey, 'shape': (2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': 2}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': [2, 1]}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (,)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2.0, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775808, 1)}", unlike},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 1)}", "is cut short"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", "is cut short"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693951, 1)}", "is cut short"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693954, 1)}", "is cut short"},
      {"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 2147483648)}", "has 2147483648 columns"},
      {"{'descr': '<f80', 'fortran_order': False, 'shape': (2, 1)}", "type '<f80'"},
      {"{'descr': '<f40', 'fortran_order': False, 'shape': (2, 1)}", "type '<f40'"},
      {"{'descr': '', 'fortran_order': False, 'shape': (2, 1)}", "type ''"},
  };
  static const double data[2];
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put_npy("a.npy", cases[i].header, data, sizeof data);
    check_open_fails("a.npy", PMN_STATUS_ARGUMENT, cases[i].text);
  }
  leave();
}

static void test_sizes_are_checked(void **state) {
  (void)state;
  char bytes[1024];
  size_t size = get(GOLDEN("matrix_f8_v2.npy"), bytes, sizeof bytes);
  assert_int_equal(size, 128 + 4 * 3 * 8);
  for (size_t shorter = 0; shorter < size; shorter++) {
    put("a.npy", bytes, shorter);
    check_open_fails("a.npy", PMN_STATUS_ARGUMENT,
        shorter < 6   ? "is no .npy"
        : shorter < 7 ? "version 0.0"
                      : "cut short");
  }
  put("a.npy", bytes, size - 1);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "it has 223 bytes where 4 rows of 3 columns make 224");
  put("a.npy", bytes, size + 1);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "goes on behind its data: it has 225 bytes");
  memcpy(bytes + 8, "\x11\x27\0\0", 4); /* 10001 */
  put("a.npy", bytes, size);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "a header of 10001 bytes");
  memcpy(bytes + 8, "\xff\xff\xff\xff", 4);
  put("a.npy", bytes, size);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "a header of 4294967295 bytes");
  bytes[6] = 4;
  put("a.npy", bytes, size);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "version 4.0");
  memcpy(bytes + 6, "\x01\x01", 2);
  put("a.npy", bytes, size);
  check_open_fails("a.npy", PMN_STATUS_ARGUMENT, "version 1.1");
  leave();
}

static void test_what_is_no_file(void **state) {
  (void)state;
  assert_int_equal(mkfifo("fifo", 0600), 0);
  check_open_fails("fifo", PMN_STATUS_NOT_FOUND, "fifo is not a regular file");
  check_open_fails(".", PMN_STATUS_NOT_FOUND, "is not a regular file");
  check_open_fails("none.npy", PMN_STATUS_NOT_FOUND, "cannot open none.npy: No such file");
  leave();
}

static void test_a_file_that_becomes_shorter(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char bytes[1024];
  double rows[4 * 3];
  for (int wide = 0; wide < 2; wide++) {
    size_t size = get(wide ? GOLDEN("matrix_f8.npy") : GOLDEN("matrix_f4.npy"), bytes, sizeof bytes);
    put("a.npy", bytes, size);
    pmn_matrix *matrix = open_matrix("a.npy");
    assert_int_equal(truncate("a.npy", (off_t)size - 1), 0);
    check_ok(pmn_matrix_read(matrix, 0, 3, rows, &err));
    check_fails(pmn_matrix_read(matrix, 0, 4, rows, &err), PMN_STATUS_NOT_FOUND, "a.npy became shorter");
    pmn_matrix_close(matrix);
  }
  leave();
}

/* More than 2^32 values, in a file with a hole: rows and offsets need all their bits. */
static void test_more_than_32_bits(void **state) {
  (void)state;
  enum { ROWS = 1200000000 };
  pmn_err err = PMN_ERR_INIT;
  static const char header[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (1200000000, 4), }\n";
  const float last[4] = {0.5f, -7, 0, 1};
  double rows[8];
  off_t end = 10 + (off_t)strlen(header) + (off_t)ROWS * 4 * 4;
  put_npy("a.npy", header, NULL, 0);
  int fd = open("a.npy", O_WRONLY);
  assert_int_equal(pwrite(fd, last, sizeof last, end - (off_t)sizeof last), sizeof last);
  close(fd);
  pmn_matrix *matrix = open_matrix("a.npy");
  assert_int_equal(pmn_matrix_rows(matrix), ROWS);
  check_ok(pmn_matrix_read(matrix, ROWS - 2, 2, rows, &err));
  for (int i = 0; i < 8; i++) assert_true(rows[i] == (i < 4 ? 0 : (double)last[i - 4]));
  pmn_matrix_close(matrix);
  leave();
}

/* Rows longer than a piece, from several threads; value i of the file is i, or i / 7. */
enum { LONG_ROWS = 24, LONG_COLUMNS = 9001 };

typedef struct reading {
  pmn_matrix *matrix;
  bool wide;
  bool good[LONG_ROWS];
} reading;

static void read_rows(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  reading *r = arg;
  double *rows = pmn_alloc(2 * LONG_COLUMNS, sizeof *rows);
  int64_t first = index < LONG_ROWS - 1 ? index : index - 1;
  pmn_err err = PMN_ERR_INIT;
  r->good[index] = rows != NULL && pmn_matrix_read(r->matrix, first, 2, rows, &err) == PMN_STATUS_OK;
  for (int64_t i = 0; r->good[index] && i < 2 * LONG_COLUMNS; i++) {
    double value = (double)(first * LONG_COLUMNS + i);
    r->good[index] = rows[i] == (r->wide ? value / 7 : value);
  }
  pmn_free(rows);
}

static void test_long_rows_by_several_threads(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_pool *pool = NULL;
  static double wide[LONG_ROWS * LONG_COLUMNS];
  static float narrow[LONG_ROWS * LONG_COLUMNS];
  for (int i = 0; i < LONG_ROWS * LONG_COLUMNS; i++) {
    narrow[i] = (float)i;
    wide[i] = i / 7.0;
  }
  put_npy("0.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (24, 9001)}", narrow, sizeof narrow);
  put_npy("1.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (24, 9001)}", wide, sizeof wide);
  check_ok(pmn_pool_create(4, &pool, &err));
  for (int w = 0; w < 2; w++) {
    reading r = {.matrix = open_matrix(w ? "1.npy" : "0.npy"), .wide = w};
    pmn_pool_run(pool, LONG_ROWS, read_rows, &r);
    for (int i = 0; i < LONG_ROWS; i++) assert_true(r.good[i]);
    pmn_matrix_close(r.matrix);
  }
  pmn_pool_destroy(pool);
  leave();
}

/* ------------------------------------------------------------------------------------------------------- index -- */

static pmn_index *read_index(const char *path, int64_t rows) {
  pmn_err err = PMN_ERR_INIT;
  pmn_index *index = NULL;
  check_ok(pmn_index_read(path, rows, &index, &err));
  return index;
}

#define check_index_fails(path, rows, expected, text)                                                                  \
  do {                                                                                                                 \
    pmn_err err = PMN_ERR_INIT;                                                                                        \
    pmn_index *none = (pmn_index *)&err;                                                                               \
    check_fails(pmn_index_read(path, rows, &none, &err), expected, text);                                              \
    assert_null(none);                                                                                                 \
  } while (0)

static void check_row(const pmn_index *index, int64_t row, const char *path, const char *label) {
  assert_string_equal(pmn_index_path(index, row), path);
  assert_string_equal(pmn_index_label(index, row), label);
}

static void test_index_by_python(void **state) {
  (void)state;
  pmn_index *index = read_index(GOLDEN("matrix_index.csv"), 4);
  check_row(index, 0, "a/1.jpg", "a");
  check_row(index, 1, "b, \"c\"/2.jpg", "b, \"c\"");
  check_row(index, 2, "two\nlines.jpg", "two\r\nlines");
  check_row(index, 3, "gr\xc3\xbcn/\xc3\xa9.jpg", "");
  pmn_index_destroy(index);
  pmn_index_destroy(NULL);
}

static void test_index_forms(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t rows;
    const char *path, *label; /* of the last row */
  } cases[] = {
      {"path", 0, NULL, NULL},
      {"path,label\r\n", 0, NULL, NULL},
      {"path\na", 1, "a", ""},
      {"path\na\n", 1, "a", ""},
      {"path\na\nb\na", 3, "a", ""},
      {"path,label\na,", 1, "a", ""},
      {"path,label\n,x\n", 1, "", "x"},
      {"label,path\nx,a\nx,b\r\ny,c\r\n", 3, "c", "y"},
      {"id,label,Path,path,\"PATH\"\r\n1,x,2,a,3", 1, "a", "x"},
      {"\xef\xbb\xbf\"path\"\n\"\"", 1, "", ""},
      {"\xef\xbb\xbflabel,path\nx,\"\"\"\"\"\"\n", 1, "\"\"", "x"},
      {"path,label\n\"a\r\nb\",\",\"\r\n", 1, "a\r\nb", ","},
      {"path,label\n\xef\xbb\xbf \xff, x \n", 1, "\xef\xbb\xbf \xff", " x "},
      /* What pmn_text_escape writes for a name is that name. */
      {"path,label\na\\\\b,\\xFF\\\\xFF\n", 1, "a\\b", "\xff\\xFF"},
      {"path,label\n\\xC3(,\\xE9t\\xE9\n", 1, "\xc3(", "\xe9t\xe9"},
      /* What it never writes stands for itself: single backslashes, lower case, ASCII, whole UTF-8, half of each. */
      {"path,label\nC:\\a\\b.jpg,\\xff\n", 1, "C:\\a\\b.jpg", "\\xff"},
      {"path,label\n\\x41,\\xC3\\xA9\n", 1, "\\x41", "\\xC3\\xA9"},
      {"path,label\n\\x00,\\x\n", 1, "\\x00", "\\x"},
      {"path,label\n\\xF,\\\n", 1, "\\xF", "\\"},
      {"path,label\na\\\\b\\c,\xff\\xFF\n", 1, "a\\\\b\\c", "\xff\\xFF"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put("a.csv", cases[i].text, strlen(cases[i].text));
    pmn_index *index = read_index("a.csv", cases[i].rows);
    if (cases[i].rows > 0) check_row(index, cases[i].rows - 1, cases[i].path, cases[i].label);
    pmn_index_destroy(index);
  }
  leave();
}

static void test_index_damage(void **state) {
  (void)state;
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "has no column path"},
      {"a.jpg,a\nb.jpg,b\n", "has no column path"},
      {"path,label,path\n", "has two columns path"},
      {"label,path,label\n", "has two columns label"},
      {"path\n", "has 0 rows below its header, the matrix 2"},
      {"path\na\n", "has 1 row below its header, the matrix 2"},
      {"path\na\nb\nc\nd", "has 4 rows below its header, the matrix 2"},
      {"path,label\na,x\nb\n", "line 3 of the index a.csv: 1 field where the header has 2"},
      {"path,label\n\"a\n\n\",x\r\nb,x,y\n", "line 5 of the index a.csv: 3 fields where the header has 2"},
      {"path,label\na,x\n\nb,y", "line 3 of the index a.csv: 1 field where"},
      {"path,label\na,x\nb,y\nc", "line 4 of the index a.csv: 1 field where"},
      {"path,label\na,x\nb,\"y\nz", "line 3 of the index a.csv: the quote that opens a field here is never closed"},
      {"path,label\n\"a\n\",\"", "line 3 of the index a.csv: the quote"},
      {"path,\"label\na,x\nb,y", "line 1 of the index a.csv: the quote"},
      {"path,label\na\"b,x\n", "line 2 of the index a.csv: a quote inside a field"},
      {"path,label\n\"a\"b,x\n", "line 2 of the index a.csv: text behind a closing quote"},
      {"path,label\n\"a\n\" ,x\n", "line 3 of the index a.csv: text behind a closing quote"},
      {"path,label\ra,x\r", "line 1 of the index a.csv: a carriage return"},
      {"path,label\na,x\nb,y\r", "line 3 of the index a.csv: a carriage return"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    put("a.csv", cases[i].text, strlen(cases[i].text));
    check_index_fails("a.csv", 2, PMN_STATUS_ARGUMENT, cases[i].message);
  }
  put("a.csv", "path\na\nb\0", 9);
  check_index_fails("a.csv", 2, PMN_STATUS_ARGUMENT, "line 3 of the index a.csv: a NUL byte");
  put("a.csv", "path\na\n\"\n\0\"", 11);
  check_index_fails("a.csv", 2, PMN_STATUS_ARGUMENT, "line 4 of the index a.csv: a NUL byte");
  put("a.csv", "\xff\xfep\0a\0t\0h\0\n\0", 12);
  check_index_fails("a.csv", 2, PMN_STATUS_ARGUMENT, "must be text in UTF-8");
  check_index_fails("none.csv", 2, PMN_STATUS_NOT_FOUND, "cannot open the index none.csv: No such file");
  check_index_fails(".", 2, PMN_STATUS_NOT_FOUND, "cannot read the index .: Is a directory");
  leave();
}

/* A field may be as long as any sink writes for a path of the system, and not without end; one ignored may. */
static void test_index_long_fields(void **state) {
  (void)state;
  enum { MOST = 1 << 18, HEAD = 16 };
  static char text[HEAD + MOST + 2];
  memset(text, 'b', sizeof text);
  memcpy(text, "path,other\na,1\n\"", HEAD);
  memcpy(text + HEAD + MOST - 3, "\",2", 3);
  put("a.csv", text, HEAD + MOST);
  pmn_index *index = read_index("a.csv", 2);
  assert_int_equal(strlen(pmn_index_path(index, 1)), MOST - 3);
  pmn_index_destroy(index);
  memset(text + HEAD + MOST - 3, 'b', 5);
  memcpy(text, "other,path\n1,a\n", HEAD - 1);
  text[HEAD - 1] = ',';
  put("a.csv", text, HEAD + MOST);
  pmn_index_destroy(read_index("a.csv", 2));
  put("a.csv", text, HEAD + MOST + 1);
  check_index_fails("a.csv", 2, PMN_STATUS_ARGUMENT, "line 3 of the index a.csv: a field of 262145 bytes");
  text[HEAD - 1] = 'c';
  memcpy(text + HEAD + MOST - 1, ",d", 2);
  put("a.csv", text, HEAD + MOST + 1);
  index = read_index("a.csv", 2);
  check_row(index, 1, "d", "");
  pmn_index_destroy(index);
  leave();
}

/* More than one buffer, with a quote, a line end and a comma on every border. */
static void test_index_is_streamed(void **state) {
  (void)state;
  enum { ROWS = 20000 };
  for (int shift = 0; shift < 24; shift++) {
    FILE *file = fopen("a.csv", "wb");
    assert_non_null(file);
    fprintf(file, "%.*s,path,label\r\n", shift, "abcdefghijklmnopqrstuvwxyz");
    for (int i = 0; i < ROWS; i++) fprintf(file, ",\"%d\"\"\r\n\",\"%d\"\r\n", i, i / 100);
    assert_int_equal(fclose(file), 0);
    pmn_index *index = read_index("a.csv", ROWS);
    for (int i = 0; i < ROWS; i++) {
      char path[32], label[32];
      snprintf(path, sizeof path, "%d\"\r\n", i);
      snprintf(label, sizeof label, "%d", i / 100);
      check_row(index, i, path, label);
      assert_ptr_equal(pmn_index_label(index, i), pmn_index_label(index, i / 100 * 100));
    }
    pmn_index_destroy(index);
  }
  check_index_fails("a.csv", 3, PMN_STATUS_ARGUMENT, "has 20000 rows below its header, the matrix 3");
  (void)pmn_mem_fail_after(-1);
  check_index_fails("a.csv", 0, PMN_STATUS_ARGUMENT, "the matrix 0"); /* rows without a place are counted, not kept */
  assert_in_range(pmn_mem_fail_after(-1), 1, 4);
  check_index_fails("a.csv", INT64_MAX, PMN_STATUS_ARGUMENT, "the matrix 9223372036854775807");
  leave();
}

static void test_index_through_a_pipe(void **state) {
  (void)state;
  int ends[2];
  char name[32];
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "path\na\n", 7), 7);
  close(ends[1]);
  snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
  pmn_index *index = read_index(name, 1);
  check_row(index, 0, "a", "");
  pmn_index_destroy(index);
  close(ends[0]);
}

/* ----------------------------------------------------------------------------------------- our own tables again -- */

/* Every byte alone and beside a backslash, as path and, the other way round, as label. */
enum { NAMES = 4 * 255 };

static void test_what_our_sink_writes_reads_back(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static char names[NAMES][8];
  static const char *keys[NAMES], *labels[NAMES];
  static float features[NAMES][2];
  for (int i = 0; i < NAMES; i++) {
    char byte = (char)(i / 4 + 1);
    static const char *const forms[] = {"%c", "\\%cx", "\\x%cF", "\xe2%c\x82"};
    snprintf(names[i], sizeof names[i], forms[i % 4], byte);
    keys[i] = labels[NAMES - 1 - i] = names[i];
    features[i][0] = (float)i / 3;
    features[i][1] = -1e30f / (float)(i + 1);
  }
  pmn_sink *sink = NULL;
  pmn_row_block block = {NAMES, keys, labels, features[0]};
  check_ok(pmn_sink_create(&(pmn_sink_options){.path = "a.npy", .format = PMN_FORMAT_NPY, .width = 2, .overwrite = false}, &sink, &err));
  check_ok(pmn_sink_write(sink, &block, &err));
  check_ok(pmn_sink_commit(sink, "{}", &err));
  pmn_sink_destroy(sink);

  static double rows[NAMES][2];
  pmn_matrix *matrix = open_matrix("a.npy");
  pmn_index *index = read_index("a.npy.index.csv", NAMES);
  assert_int_equal(pmn_matrix_rows(matrix), NAMES);
  assert_int_equal(pmn_matrix_columns(matrix), 2);
  check_ok(pmn_matrix_read(matrix, 0, NAMES, rows[0], &err));
  for (int i = 0; i < NAMES; i++) {
    check_row(index, i, keys[i], labels[i]);
    for (int j = 0; j < 2; j++) assert_true(rows[i][j] == (double)features[i][j]);
  }
  pmn_index_destroy(index);
  pmn_matrix_close(matrix);
  leave();
}

/* What `call` gives when ever more allocations succeed, until it succeeds; `least` is how many it needs. */
#define check_no_memory(call, least)                                                                                   \
  do {                                                                                                                 \
    pmn_err err = PMN_ERR_INIT;                                                                                        \
    int64_t given = 0;                                                                                                 \
    for (pmn_status st = PMN_STATUS_NO_MEMORY; st != PMN_STATUS_OK; given++) {                                         \
      pmn_mem_fail_after(given);                                                                                       \
      st = (call);                                                                                                     \
      pmn_mem_fail_after(-1);                                                                                          \
      if (st != PMN_STATUS_OK) check_fails(st, PMN_STATUS_NO_MEMORY, "");                                              \
    }                                                                                                                  \
    assert_in_range(given - 1, least, 100);                                                                            \
  } while (0)

static void test_no_memory(void **state) {
  (void)state;
  static const char text[] = "path,label\na\\\\,x\nb\\xFF,y\n";
  pmn_matrix *matrix = NULL;
  pmn_index *index = NULL;
  put("a.csv", text, sizeof text - 1);
  check_no_memory(pmn_matrix_open(GOLDEN("matrix_f4.npy"), &matrix, &err), 2);
  check_no_memory(pmn_index_read("a.csv", 2, &index, &err), 6);
  pmn_matrix_close(matrix);
  pmn_index_destroy(index);
  leave();
}

/* ------------------------------------------------------------------------------------------------------ damage -- */

enum { VARIANTS = 600, DAMAGED_MAX = 1024 };

static uint32_t draw(uint64_t *seed, uint32_t below) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((*seed >> 33) % below);
}

/* One to four changes: a byte set to one that means something, or to any; a run left out; a run doubled. */
static size_t damage(uint64_t *seed, const char *meaning, char *bytes, size_t size) {
  for (uint32_t changes = 1 + draw(seed, 4); changes > 0 && size > 0; changes--) {
    size_t at = draw(seed, (uint32_t)size), run = 1 + draw(seed, 9);
    if (run > size - at) run = size - at;
    switch (draw(seed, 4)) {
    case 0:
      bytes[at] = (char)draw(seed, 256);
      break;
    case 1:
      bytes[at] = meaning[draw(seed, (uint32_t)strlen(meaning))];
      break;
    case 2:
      memmove(bytes + at, bytes + at + run, size - at - run);
      size -= run;
      break;
    default:
      if (size + run > DAMAGED_MAX) break;
      memmove(bytes + at + run, bytes + at, size - at);
      size += run;
    }
  }
  return size;
}

/* What is still taken has the size that it says, and all its rows can be read. */
static void test_damaged_matrices(void **state) {
  (void)state;
  uint64_t seed = 2026;
  int taken = 0;
  for (int i = 0; i < VARIANTS; i++) {
    pmn_err err = PMN_ERR_INIT;
    char bytes[DAMAGED_MAX];
    size_t size = get(i % 2 ? GOLDEN("matrix_f4.npy") : GOLDEN("matrix_f8_v2.npy"), bytes, sizeof bytes);
    size_t header = i % 4 < 2 ? 80 : size; /* half of them where it matters */
    size_t damaged = damage(&seed, "0123456789'\"{}(),:\\LTF<>fi ", bytes, header);
    memmove(bytes + damaged, bytes + header, size - header < DAMAGED_MAX - damaged ? size - header : 0);
    size = size - header + damaged;
    put("a.npy", bytes, size);
    pmn_matrix *matrix = NULL;
    if (pmn_matrix_open("a.npy", &matrix, &err) != PMN_STATUS_OK) {
      if (err.status != PMN_STATUS_ARGUMENT || matrix != NULL) fail_msg("variant %d: %s", i, err.message);
      continue;
    }
    taken++;
    size_t values = (size_t)pmn_matrix_rows(matrix) * (size_t)pmn_matrix_columns(matrix);
    assert_true(values * (pmn_matrix_is_wide(matrix) ? 8 : 4) < size);
    double *rows = malloc(values * sizeof *rows + 1);
    assert_non_null(rows);
    check_ok(pmn_matrix_read(matrix, 0, (int32_t)pmn_matrix_rows(matrix), rows, &err));
    free(rows);
    pmn_matrix_close(matrix);
  }
  assert_in_range(taken, 20, VARIANTS - 100);
  leave();
}

/* What is still taken, written by our rules and read again, is the same. */
static void test_damaged_indexes(void **state) {
  (void)state;
  uint64_t seed = 2026;
  int taken = 0;
  pmn_buf again;
  pmn_buf_init(&again, 1 << 20);
  for (int i = 0; i < VARIANTS; i++) {
    pmn_err err = PMN_ERR_INIT;
    static const char text[] =
        "id,path,label\r\n1,a\\\\b,\"x\"\"\"\n2,\"\\xFF,\n\r\n\",y\n3,\\xE2\\x82c,\n4,C:\\d,\"z\"";
    char bytes[DAMAGED_MAX];
    memcpy(bytes, text, sizeof text - 1);
    put("a.csv", bytes,
        damage(&seed,
            ",\"\r\n\\x\xff"
            "F",
            bytes, sizeof text - 1));
    pmn_index *index = NULL, *same = NULL;
    int64_t rows = 4;
    while (pmn_index_read("a.csv", rows, &index, &err) != PMN_STATUS_OK && rows > 0) {
      if (err.status != PMN_STATUS_ARGUMENT || index != NULL) fail_msg("variant %d: %s", i, err.message);
      rows--;
    }
    if (index == NULL) continue;
    taken++;
    pmn_buf_clear(&again);
    check_ok(pmn_buf_append(&again, "path,label\n", 11, &err));
    for (int64_t r = 0; r < rows; r++) {
      check_ok(pmn_csv_text_append(&again, pmn_index_path(index, r), &err));
      check_ok(pmn_buf_append(&again, ",", 1, &err));
      check_ok(pmn_csv_text_append(&again, pmn_index_label(index, r), &err));
      check_ok(pmn_buf_append(&again, "\n", 1, &err));
    }
    put("b.csv", again.data, again.size);
    check_ok(pmn_index_read("b.csv", rows, &same, &err));
    for (int64_t r = 0; r < rows; r++) check_row(same, r, pmn_index_path(index, r), pmn_index_label(index, r));
    pmn_index_destroy(same);
    pmn_index_destroy(index);
  }
  pmn_buf_reset(&again);
  assert_in_range(taken, 50, VARIANTS - 100);
  leave();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tables_by_numpy),
      cmocka_unit_test_setup(test_tables_by_numpy_that_are_refused, enter),
      cmocka_unit_test_setup(test_headers_in_any_form, enter),
      cmocka_unit_test_setup(test_hostile_headers, enter),
      cmocka_unit_test_setup(test_sizes_are_checked, enter),
      cmocka_unit_test_setup(test_what_is_no_file, enter),
      cmocka_unit_test_setup(test_a_file_that_becomes_shorter, enter),
      cmocka_unit_test_setup(test_more_than_32_bits, enter),
      cmocka_unit_test_setup(test_long_rows_by_several_threads, enter),
      cmocka_unit_test(test_index_by_python),
      cmocka_unit_test_setup(test_index_forms, enter),
      cmocka_unit_test_setup(test_index_damage, enter),
      cmocka_unit_test_setup(test_index_long_fields, enter),
      cmocka_unit_test_setup(test_index_is_streamed, enter),
      cmocka_unit_test(test_index_through_a_pipe),
      cmocka_unit_test_setup(test_what_our_sink_writes_reads_back, enter),
      cmocka_unit_test_setup(test_no_memory, enter),
      cmocka_unit_test_setup(test_damaged_matrices, enter),
      cmocka_unit_test_setup(test_damaged_indexes, enter),
  };
  return check_exit(cmocka_run_group_tests_name("matrix", tests, NULL, NULL));
}
