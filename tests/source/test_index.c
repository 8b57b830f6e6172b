/* test_index.c - names for the rows of a matrix: pmn_index.h against files by Python's csv and by our own sink, whose
 * tables are read again whole, and against damage. tests/golden/make_matrix.py made the files.
 */
#include "source_check.h"

#include "pmn_csv_text.h"
#include "pmn_index.h"
#include "pmn_matrix.h"
#include "pmn_mem.h"
#include "pmn_sink.h"

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
      {"label,path\nx,a\nx,b\r\ny,c\r\n", 3, "c", "y"},
      {"id,label,Path,path,\"PATH\"\r\n1,x,2,a,3", 1, "a", "x"},
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
      {"path,label\na,x\n,x\n", "line 3 of the index a.csv: an empty path"},
      {"\xef\xbb\xbf\"path\"\n\"\"\nb\n", "line 2 of the index a.csv: an empty path"},
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
  pmn_row_block block = {.n = NAMES, .keys = keys, .labels = labels, .features = features[0]};
  check_ok(pmn_sink_create(&(pmn_sink_options){.path = "a.npy", .format = PMN_FORMAT_NPY, .width = 2}, &sink, &err));
  check_ok(pmn_sink_write(sink, &block, &err));
  check_ok(pmn_sink_commit(sink, "{}", &err));
  pmn_sink_destroy(sink);

  static double rows[NAMES][2];
  pmn_matrix *matrix = NULL;
  check_ok(pmn_matrix_open("a.npy", &matrix, &err));
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
      cmocka_unit_test(test_index_by_python),
      cmocka_unit_test_setup(test_index_forms, enter),
      cmocka_unit_test_setup(test_index_damage, enter),
      cmocka_unit_test_setup(test_index_long_fields, enter),
      cmocka_unit_test_setup(test_index_is_streamed, enter),
      cmocka_unit_test(test_index_through_a_pipe),
      cmocka_unit_test_setup(test_what_our_sink_writes_reads_back, enter),
      cmocka_unit_test_setup(test_no_memory, enter),
      cmocka_unit_test_setup(test_damaged_indexes, enter),
  };
  return check_exit(cmocka_run_group_tests_name("index", tests, NULL, NULL));
}
