/* test_matrix.c - tables of features from elsewhere: pmn_matrix.h against files by NumPy, and against damage.
 * tests/golden/make_matrix.py made the files.
 */
#include "source_check.h"

#include "pmn_matrix.h"
#include "pmn_mem.h"
#include "pmn_pool.h"

#include <fcntl.h>

/* The whole of a file of at most `max` bytes. */
static size_t get(const char *path, void *bytes, size_t max) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("cannot open %s", path);
  size_t size = fread(bytes, 1, max, file);
  assert_true(feof(file) || size < max);
  fclose(file);
  return size;
}

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
    const char *type;
  } files[] = {{GOLDEN("matrix_f4.npy"), 4, "float32"}, {GOLDEN("matrix_f8.npy"), 4, "float64"},
      {GOLDEN("matrix_f8_v2.npy"), 4, "float64"}, {GOLDEN("matrix_f4_v3.npy"), 4, "float32"},
      {GOLDEN("matrix_u1.npy"), 4, "uint8"}, {GOLDEN("matrix_no_rows.npy"), 0, "float64"}};
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_matrix *matrix = open_matrix(files[f].path);
    assert_int_equal(pmn_matrix_rows(matrix), files[f].rows);
    assert_int_equal(pmn_matrix_columns(matrix), 3);
    assert_string_equal(pmn_matrix_type(matrix), files[f].type);
    bool wide = strcmp(files[f].type, "float64") == 0, bytes = strcmp(files[f].type, "uint8") == 0;
    for (int64_t first = 0; first <= files[f].rows; first++) {
      for (int32_t n = 0; first + n <= files[f].rows; n++) {
        double rows[4 * 3 + 1];
        for (int i = 0; i < 13; i++) rows[i] = -1;
        check_ok(pmn_matrix_read(matrix, first, n, rows, &err));
        for (int i = 0; i < 3 * n; i++) {
          double value = (7.0 * (double)(first + i / 3) + i % 3) / 3.0;
          assert_true(rows[i] == (wide ? value : bytes ? (double)(uint8_t)value : (double)(float)value));
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

/* ------------------------------------------------------------------------------------------------------ damage -- */

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
    static const char *const types[] = {"uint8", "", "float32", "float64"};
    for (int t = 0; t < 4; t++) assert_true(strcmp(pmn_matrix_type(matrix), types[t]) != 0 || (values << t) < size);
    double *rows = malloc(values * sizeof *rows + 1);
    assert_non_null(rows);
    check_ok(pmn_matrix_read(matrix, 0, (int32_t)pmn_matrix_rows(matrix), rows, &err));
    free(rows);
    pmn_matrix_close(matrix);
  }
  assert_in_range(taken, 20, VARIANTS - 100);
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
      cmocka_unit_test_setup(test_damaged_matrices, enter),
  };
  return check_exit(cmocka_run_group_tests_name("matrix", tests, NULL, NULL));
}
