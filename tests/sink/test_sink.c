/* test_sink.c - the formats and the life of a sink and of the list of rejects. What other readers make of the files is
 * in read_back.py, what a failing system does in test_outfile.c. */
#include "pmn_mem.h"
#include "sink_check.h"

static const char sample_csv[] = "path,label,f0,f1\n"
                                 "a/1.jpg,a,1.0,-0.5\n"
                                 "\"b, \"\"c\"\"/2.jpg\",\"b, \"\"c\"\"\",0.1,1e-10\n"
                                 "\"\\xFF\\\\\n/3.jpg\",,0.0,3e20\n";
static const char sample_index[] = "path,label\n"
                                   "a/1.jpg,a\n"
                                   "\"b, \"\"c\"\"/2.jpg\",\"b, \"\"c\"\"\"\n"
                                   "\"\\xFF\\\\\n/3.jpg\",\n";

static const struct {
  pmn_format format;
  const char *name;  /* of the output */
  const char *files; /* all that a commit leaves */
} formats[] = {
    {PMN_FORMAT_CSV, "out.csv", "out.csv out.csv.record.json"},
    {PMN_FORMAT_PARQUET, "out.parquet", "out.parquet"},
    {PMN_FORMAT_NPY, "out.npy", "out.npy out.npy.index.csv out.npy.record.json"},
};
enum { FORMATS = sizeof formats / sizeof *formats };

static char names[1024];

static void formats_by_name(void **state) {
  (void)state;
  pmn_format format;
  assert_true(pmn_format_find("csv", &format) && format == PMN_FORMAT_CSV);
  assert_true(pmn_format_find("parquet", &format) && format == PMN_FORMAT_PARQUET);
  assert_true(pmn_format_find("npy", &format) && format == PMN_FORMAT_NPY);
  assert_false(pmn_format_find("CSV ", &format) || pmn_format_find("", &format) || pmn_format_find("cs", &format));
  assert_true(pmn_format_of_path("a.npy/b.csv", &format) && format == PMN_FORMAT_CSV);
  assert_true(pmn_format_of_path("x.csv.PARQUET", &format) && format == PMN_FORMAT_PARQUET);
  assert_false(pmn_format_of_path("csv", &format) || pmn_format_of_path("a.csv/b", &format) ||
               pmn_format_of_path("a.csv.", &format) || pmn_format_of_path("", &format));
}

static void csv_text(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_ok(sample_write(in_folder("out.csv"), PMN_FORMAT_CSV, false, &err));
  check_text(in_folder("out.csv"), sample_csv);
  check_text(in_folder("out.csv.record.json"), "{}\n");
}

static void npy_array(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_ok(sample_write(in_folder("out.npy"), PMN_FORMAT_NPY, false, &err));
  check_npy array = check_npy_read(in_folder("out.npy"));
  assert_int_equal(array.dimensions, 2);
  assert_int_equal(array.shape[0], SAMPLE_ROWS);
  assert_int_equal(array.shape[1], SAMPLE_WIDTH);
  assert_string_equal(array.type, "<f4");
  assert_memory_equal(array.data, sample_block().features, sizeof(float) * SAMPLE_ROWS * SAMPLE_WIDTH);
  free(array.data);
  check_text(in_folder("out.npy.index.csv"), sample_index);
  check_text(in_folder("out.npy.record.json"), "{}\n");
}

static void parquet_frame(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_ok(sample_write(in_folder("out.parquet"), PMN_FORMAT_PARQUET, false, &err));
  unsigned char bytes[4096];
  FILE *file = fopen(in_folder("out.parquet"), "rb");
  assert_non_null(file);
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  assert_in_range(size, 100, sizeof bytes - 1);
  assert_memory_equal(bytes, "PAR1", 4);
  assert_memory_equal(bytes + size - 4, "PAR1", 4);
  uint32_t footer;
  memcpy(&footer, bytes + size - 8, 4);
  assert_in_range(footer, 50, size - 12);
  assert_memory_equal(bytes + size - 8 - footer, "\x15\x02\x19\x6c", 4); /* version 1; six schema elements */
}

/* The sample with bytes for features, until the first call that fails. */
static pmn_status bytes_write(const char *path, pmn_format format, const float *features, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_sink *sink = NULL;
  pmn_row_block rows = sample_block();
  rows.features = features;
  pmn_sink_options options = {.path = path, .format = format, .width = SAMPLE_WIDTH, .values = PMN_VALUES_BYTE};
  PMN_TRY(pmn_sink_create(&options, &sink, err));
  PMN_TRY(pmn_sink_write(sink, &rows, err));
  PMN_TRY(pmn_sink_commit(sink, "{}", err));
done:
  pmn_sink_destroy(sink);
  return st;
}

/* Parquet's are read_back.py's. */
static void bytes_as_bytes(void **state) {
  (void)state;
  static const float features[SAMPLE_ROWS * SAMPLE_WIDTH] = {0, 255, 9, 10, 99, 100};
  pmn_err err = PMN_ERR_INIT;
  check_ok(bytes_write(in_folder("out.csv"), PMN_FORMAT_CSV, features, &err));
  check_text(in_folder("out.csv"), "path,label,f0,f1\na/1.jpg,a,0,255\n\"b, \"\"c\"\"/2.jpg\",\"b, \"\"c\"\"\",9,10\n"
                                   "\"\\xFF\\\\\n/3.jpg\",,99,100\n");
  check_ok(bytes_write(in_folder("out.npy"), PMN_FORMAT_NPY, features, &err));
  check_npy array = check_npy_read(in_folder("out.npy"));
  assert_string_equal(array.type, "|u1");
  assert_int_equal(array.shape[0] * array.shape[1], SAMPLE_ROWS * SAMPLE_WIDTH);
  assert_memory_equal(array.data, "\x00\xff\x09\x0a\x63\x64", SAMPLE_ROWS * SAMPLE_WIDTH);
  free(array.data);
  check_text(in_folder("out.npy.index.csv"), sample_index);
  pmn_values values;
  assert_true(pmn_values_find("uint8", &values) && values == PMN_VALUES_BYTE);
  assert_true(pmn_values_find("float32", &values) && values == PMN_VALUES_FLOAT);
  assert_false(pmn_values_find("", &values) || pmn_values_find("uint16", &values));
  assert_string_equal(pmn_values_name(PMN_VALUES_BYTE), "uint8");
}

/* Behind path and label, in CSV and in the index of an array. Parquet's is read_back.py's. */
static void keypoints_before_features(void **state) {
  (void)state;
  static const int32_t keypoints[SAMPLE_ROWS] = {0, 12, INT32_MAX};
  pmn_err err = PMN_ERR_INIT;
  static const char *const outputs[] = {"out.csv", "out.npy"};
  for (int i = 0; i < 2; i++) {
    pmn_sink *sink;
    pmn_row_block rows = sample_block();
    rows.keypoints = keypoints;
    pmn_sink_options options = {.path = in_folder(outputs[i]), .width = SAMPLE_WIDTH, .keypoints = true};
    assert_true(pmn_format_of_path(outputs[i], &options.format));
    check_ok(pmn_sink_create(&options, &sink, &err));
    check_ok(pmn_sink_write(sink, &rows, &err));
    check_ok(pmn_sink_commit(sink, "{}", &err));
    pmn_sink_destroy(sink);
  }
  check_text(in_folder("out.csv"), "path,label,keypoints,f0,f1\n"
                                   "a/1.jpg,a,0,1.0,-0.5\n"
                                   "\"b, \"\"c\"\"/2.jpg\",\"b, \"\"c\"\"\",12,0.1,1e-10\n"
                                   "\"\\xFF\\\\\n/3.jpg\",,2147483647,0.0,3e20\n");
  check_text(in_folder("out.npy.index.csv"), "path,label,keypoints\n"
                                             "a/1.jpg,a,0\n"
                                             "\"b, \"\"c\"\"/2.jpg\",\"b, \"\"c\"\"\",12\n"
                                             "\"\\xFF\\\\\n/3.jpg\",,2147483647\n");
}

/* None may get there; if one does, nothing is written, and the message names its row. */
static void what_is_no_byte_is_told(void **state) {
  (void)state;
  const float wrong[] = {
      256, -1, 0.5f, 254.99998f, 255.00002f, 1e10f, -1e-30f, __builtin_nanf(""), __builtin_inff(), -__builtin_inff()};
  pmn_err err = PMN_ERR_INIT;
  for (size_t w = 0; w < sizeof wrong / sizeof *wrong; w++) {
    for (int i = 0; i < FORMATS; i++) {
      float features[SAMPLE_ROWS * SAMPLE_WIDTH] = {1, 2, 3, wrong[w], 5, wrong[w]};
      check_fails(bytes_write(in_folder(formats[i].name), formats[i].format, features, &err), PMN_STATUS_ARGUMENT,
          "row b, \"c\"/2.jpg has a value that is no byte");
      assert_string_equal(folder_names(folder, true, names), "");
    }
  }
}

static void nothing_shows_before_commit(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < FORMATS; i++) {
    pmn_sink *sink = NULL;
    pmn_row_block rows = sample_block();
    check_ok(pmn_sink_create(
        &(pmn_sink_options){
            .path = in_folder(formats[i].name), .format = formats[i].format, .width = SAMPLE_WIDTH, .overwrite = false},
        &sink, &err));
    for (int k = 0; k < 50000; k++) check_ok(pmn_sink_write(sink, &rows, &err)); /* past every buffer */
    assert_string_equal(folder_names(folder, false, names), "");
    folder_names(folder, true, names);
    char start[32];
    snprintf(start, sizeof start, ".%s.", formats[i].name);
    assert_memory_equal(names, start, strlen(start));
    assert_string_equal(names + strlen(names) - 4, ".tmp");
    pmn_sink_destroy(sink);
    assert_string_equal(folder_names(folder, true, names), "");

    check_ok(sample_write(in_folder(formats[i].name), formats[i].format, false, &err));
    assert_string_equal(folder_names(folder, true, names), formats[i].files);
    check_folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
  }
}

static void overwrites_only_when_told(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < FORMATS; i++) {
    char files[256];
    strcpy(files, formats[i].files);
    /* The output alone, and then each companion alone, is enough to refuse. */
    for (char *name = strtok(files, " "); name != NULL; name = strtok(NULL, " ")) {
      put_text(in_folder(name), "old");
      check_fails(sample_write(in_folder(formats[i].name), formats[i].format, false, &err), PMN_STATUS_EXISTS, name);
      check_text(in_folder(name), "old");
      assert_string_equal(folder_names(folder, true, names), name);
      /* Companions that are somebody else's are not overwritten, those of an older output are. */
      if (strcmp(name, formats[i].name) != 0) {
        bool is_record = strstr(name, "record") != NULL;
        check_fails(sample_write(in_folder(formats[i].name), formats[i].format, true, &err), PMN_STATUS_EXISTS,
            is_record ? "is no run record" : "is no index of rows");
        check_text(in_folder(name), "old");
        assert_string_equal(folder_names(folder, true, names), name);
        put_text(in_folder(name), is_record ? "{\n \"pomona\": \"0.1\",\n}" : "path,label\nold,\n");
      }
      check_ok(sample_write(in_folder(formats[i].name), formats[i].format, true, &err));
      assert_string_equal(folder_names(folder, true, names), formats[i].files);
      check_folder_remove(folder);
      assert_int_equal(mkdir(folder, 0700), 0);
    }
  }
}

/* What appears under a name while rows are computed is not ours to replace. */
static void late_file_is_kept(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < FORMATS; i++) {
    pmn_sink *sink = NULL;
    check_ok(pmn_sink_create(
        &(pmn_sink_options){
            .path = in_folder(formats[i].name), .format = formats[i].format, .width = SAMPLE_WIDTH, .overwrite = false},
        &sink, &err));
    put_text(in_folder(formats[i].name), "late");
    check_fails(pmn_sink_commit(sink, "{}", &err), PMN_STATUS_EXISTS, "appeared");
    pmn_sink_destroy(sink);
    check_text(in_folder(formats[i].name), "late");
    assert_string_equal(folder_names(folder, true, names), formats[i].name);
    unlink(in_folder(formats[i].name));
  }
}

static void no_rows(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < FORMATS; i++) {
    pmn_sink *sink = NULL;
    check_ok(pmn_sink_create(
        &(pmn_sink_options){
            .path = in_folder(formats[i].name), .format = formats[i].format, .width = 3, .overwrite = false},
        &sink, &err));
    check_ok(pmn_sink_write(sink, &(pmn_row_block){0}, &err));
    check_ok(pmn_sink_commit(sink, "{}", &err));
    pmn_sink_destroy(sink);
  }
  check_text(in_folder("out.csv"), "path,label,f0,f1,f2\n");
  check_npy array = check_npy_read(in_folder("out.npy"));
  assert_int_equal(array.shape[0], 0);
  assert_int_equal(array.shape[1], 3);
  free(array.data);
}

static void wrong_calls(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_sink *sink = NULL;
  pmn_row_block rows = sample_block();
  pmn_sink_options options = {.path = in_folder("out.csv"), .format = PMN_FORMAT_CSV, .width = 0};
  check_fails(pmn_sink_create(&options, &sink, &err), PMN_STATUS_ARGUMENT, "0 feature columns");
  options.width = INT32_MAX;
  check_fails(pmn_sink_create(&options, &sink, &err), PMN_STATUS_ARGUMENT, "1 to 16777216");
  options.width = SAMPLE_WIDTH;
  check_ok(pmn_sink_create(&options, &sink, &err));
  check_ok(pmn_sink_commit(sink, "{}", &err));
  check_fails(pmn_sink_write(sink, &rows, &err), PMN_STATUS_ARGUMENT, "no more calls");
  check_fails(pmn_sink_commit(sink, "{}", &err), PMN_STATUS_ARGUMENT, "no more calls");
  pmn_sink_destroy(sink);
  pmn_sink_destroy(NULL);
  pmn_rejects_destroy(NULL);
}

/* A row that could not be written is not forgotten by commit. */
static void failed_sink_is_not_committed(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < FORMATS; i++) {
    pmn_sink *sink = NULL;
    pmn_row_block rows = sample_block();
    check_ok(pmn_sink_create(
        &(pmn_sink_options){
            .path = in_folder(formats[i].name), .format = formats[i].format, .width = SAMPLE_WIDTH, .overwrite = false},
        &sink, &err));
    pmn_mem_fail_after(0);
    pmn_status st = PMN_STATUS_OK;
    for (int k = 0; k < 100000 && st == PMN_STATUS_OK; k++) st = pmn_sink_write(sink, &rows, &err);
    pmn_mem_fail_after(-1);
    assert_int_equal(st, PMN_STATUS_NO_MEMORY);
    check_fails(pmn_sink_commit(sink, "{}", &err), PMN_STATUS_ARGUMENT, "failed");
    pmn_sink_destroy(sink);
    assert_string_equal(folder_names(folder, true, names), "");
  }
}

static void every_allocation_may_fail(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int kind = 0, i = 0; kind < 2; i++, kind += i / FORMATS, i %= FORMATS) {
    int64_t failures = 0;
    for (int64_t after = 0;; after++) {
      pmn_mem_fail_after(after);
      static const float bytes[SAMPLE_ROWS * SAMPLE_WIDTH] = {0};
      pmn_status st = kind == 0 ? sample_write(in_folder(formats[i].name), formats[i].format, false, &err)
                                : bytes_write(in_folder(formats[i].name), formats[i].format, bytes, &err);
      pmn_mem_fail_after(-1);
      if (st == PMN_STATUS_OK) break;
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      assert_string_equal(folder_names(folder, true, names), "");
      failures++;
    }
    assert_in_range(failures, 5, 200);
    assert_string_equal(folder_names(folder, true, names), formats[i].files);
    check_folder_remove(folder);
    assert_int_equal(mkdir(folder, 0700), 0);
  }
}

static void rejects_list(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_rejects *rejects = NULL;
  char out[256];
  strcpy(out, in_folder("out.rejects.csv"));

  check_ok(pmn_rejects_create(NULL, out, false, &rejects, &err)); /* no line, no file */
  check_ok(pmn_rejects_commit(rejects, &err));
  pmn_rejects_destroy(rejects);
  assert_string_equal(folder_names(folder, true, names), "");

  check_ok(pmn_rejects_create(NULL, out, false, &rejects, &err));
  assert_string_equal(folder_names(folder, true, names), "");
  check_ok(pmn_rejects_add(rejects, "a,\xff.jpg", "decode", "no \"JPEG\"", &err));
  check_ok(pmn_rejects_add(rejects, "b.jpg", "read", "gone", &err));
  assert_string_equal(folder_names(folder, false, names), "");
  check_ok(pmn_rejects_commit(rejects, &err));
  check_fails(pmn_rejects_add(rejects, "c", "read", "gone", &err), PMN_STATUS_ARGUMENT, "no more calls");
  check_fails(pmn_rejects_commit(rejects, &err), PMN_STATUS_ARGUMENT, "no more calls");
  pmn_rejects_destroy(rejects);
  assert_string_equal(folder_names(folder, true, names), "out.rejects.csv");
  check_text(out, "path,stage,reason\n\"a,\\xFF.jpg\",decode,\"no \"\"JPEG\"\"\"\nb.jpg,read,gone\n");

  rejects = NULL;
  check_fails(pmn_rejects_create(NULL, out, false, &rejects, &err), PMN_STATUS_EXISTS, "out.rejects.csv exists");
  assert_null(rejects);
  check_ok(pmn_rejects_create(NULL, out, true, &rejects, &err)); /* given up: the old list stays */
  check_ok(pmn_rejects_add(rejects, "c", "read", "gone", &err));
  pmn_rejects_destroy(rejects);
  assert_string_equal(folder_names(folder, true, names), "out.rejects.csv");

  check_ok(pmn_rejects_create(NULL, out, true, &rejects, &err));
  check_ok(pmn_rejects_add(rejects, "c", "read", "gone", &err));
  check_ok(pmn_rejects_commit(rejects, &err));
  pmn_rejects_destroy(rejects);
  check_text(out, "path,stage,reason\nc,read,gone\n");

  check_ok(pmn_rejects_create(NULL, out, true, &rejects, &err)); /* none this time: the old list would be a lie */
  check_ok(pmn_rejects_commit(rejects, &err));
  pmn_rejects_destroy(rejects);
  assert_string_equal(folder_names(folder, true, names), "");
}

/* Only an older list gives way, or an empty file: told at the start, and nothing is removed. */
static void rejects_over_another_file(void **state) {
  (void)state;
  static const char *const texts[] = {"path,stage\n", "path,stage,reasons\nx", "x", "mine, and longer than a header\n"};
  pmn_err err = PMN_ERR_INIT;
  pmn_rejects *rejects = NULL;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put_text(in_folder("mine.csv"), texts[i]);
    check_fails(pmn_rejects_create(NULL, in_folder("mine.csv"), true, &rejects, &err), PMN_STATUS_EXISTS,
        "mine.csv is no list of rejects");
    assert_null(rejects);
    check_text(in_folder("mine.csv"), texts[i]);
  }
  put_text(in_folder("mine.csv"), "");
  check_ok(pmn_rejects_create(NULL, in_folder("mine.csv"), true, &rejects, &err));
  pmn_rejects_destroy(rejects);
}

/* Whole, but for others to show: what is not shown does not stay. */
static void rejects_sealed(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_rejects *rejects;
  pmn_outfile *file = (pmn_outfile *)(uintptr_t)1; /* must be overwritten */
  check_ok(pmn_rejects_create(NULL, in_folder("r.csv"), false, &rejects, &err));
  check_ok(pmn_rejects_seal(rejects, &file, &err)); /* no line, no file */
  assert_null(file);
  pmn_rejects_destroy(rejects);
  for (int shown = 0; shown < 2; shown++) {
    check_ok(pmn_rejects_create(NULL, in_folder("r.csv"), false, &rejects, &err));
    check_ok(pmn_rejects_add(rejects, "key", "read", "gone", &err));
    check_ok(pmn_rejects_seal(rejects, &file, &err));
    assert_string_equal(folder_names(folder, false, names), "");
    check_fails(pmn_rejects_commit(rejects, &err), PMN_STATUS_ARGUMENT, "no more calls");
    if (shown) check_ok(pmn_outfile_publish(&file, 1, &err));
    pmn_rejects_destroy(rejects);
    assert_string_equal(folder_names(folder, true, names), shown ? "r.csv" : "");
  }
  check_text(in_folder("r.csv"), "path,stage,reason\nkey,read,gone\n");
}

static void rejects_without_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_status st = PMN_STATUS_NO_MEMORY;
  for (int64_t after = 0; st != PMN_STATUS_OK; after++) {
    pmn_rejects *rejects = NULL;
    pmn_mem_fail_after(after);
    st = pmn_rejects_create(NULL, in_folder("r.csv"), false, &rejects, &err);
    if (st == PMN_STATUS_OK) st = pmn_rejects_add(rejects, "key", "read", "gone", &err);
    if (st == PMN_STATUS_OK) st = pmn_rejects_commit(rejects, &err);
    pmn_mem_fail_after(-1);
    pmn_rejects_destroy(rejects);
    assert_string_equal(folder_names(folder, true, names), st == PMN_STATUS_OK ? "r.csv" : "");
    assert_true(st == PMN_STATUS_OK || st == PMN_STATUS_NO_MEMORY);
    assert_true(st != PMN_STATUS_OK || after > 5);
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(formats_by_name),
      TEST(csv_text),
      TEST(npy_array),
      TEST(bytes_as_bytes),
      TEST(keypoints_before_features),
      TEST(what_is_no_byte_is_told),
      TEST(parquet_frame),
      TEST(nothing_shows_before_commit),
      TEST(overwrites_only_when_told),
      TEST(late_file_is_kept),
      TEST(no_rows),
      TEST(wrong_calls),
      TEST(failed_sink_is_not_committed),
      TEST(every_allocation_may_fail),
      TEST(rejects_list),
      TEST(rejects_over_another_file),
      TEST(rejects_sealed),
      TEST(rejects_without_memory),
  };
  return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
