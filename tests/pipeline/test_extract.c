/* test_extract.c - pmn_extract end to end: the rows, their order, names and labels, the bits of their features, what
 * the summary and the record say. What goes wrong on the way is in test_extract_faults.c, other people's statistics in
 * judge_pca.py. */
#include "extract_check.h"

#include <float.h>
#include <math.h>

/* The path and label columns of the orchard, by find and sort. */
static void rows_in_byte_order(void **state) {
  (void)state;
  size_t size;
  char index_path[96];
  snprintf(index_path, sizeof index_path, "%s.index.csv", base_output);
  shell("cd '%s' && echo path,label >%s && find . -name '*.jpg' -printf '%%P,%%h\\n' | sed 's|,\\./|,|' | "
        "LC_ALL=C sort -t, -k1,1 >>%s",
      training, in_folder("expected"), in_folder("expected"));
  char *expected = read_all(in_folder("expected"), &size);
  check_text(index_path, expected);
  free(expected);
}

static void same_bits_whatever_the_batch(void **state) {
  (void)state;
  static const int32_t batches[] = {1, 7, 64};
  for (int b = 0; b < 3; b++) {
    for (int32_t threads = 1; threads <= 2; threads++) {
      pmn_extract_options options = options_for(training, "out.npy");
      options.batch = batches[b];
      options.threads = threads;
      options.overwrite = true;
      assert_int_equal(extract_counts(&options).rows, PICTURES);
      check_same_file(in_folder("out.npy"), base_output);
      options = options_for(training, b == 0 && threads == 1 ? "first.npy" : "pca.npy");
      options.batch = batches[b];
      options.threads = threads;
      options.overwrite = true;
      options.statistics.with_mean = options.statistics.with_std = true;
      options.statistics.pca_components = 5;
      assert_int_equal(extract_counts(&options).width, 5);
      if (b > 0 || threads > 1) check_same_file(in_folder("pca.npy"), in_folder("first.npy"));
    }
  }
}

/* Line i of a rejects file without the header; NULL past the last. Borrowed from `text`, which is cut up. */
static char *next_line(char **text) {
  char *line = *text, *end = strchr(line, '\n');
  if (end == NULL) return NULL;
  *end = '\0';
  *text = end + 1;
  return line;
}

static void check_rejects(const char *path) {
  size_t size;
  char *text = read_all(path, &size), *rest = text, *line = next_line(&rest), start[64];
  assert_string_equal(line, "path,stage,reason");
  for (int i = 0; i < MIXED_BAD; i++) {
    line = next_line(&rest);
    snprintf(start, sizeof start, "%s,%s,", mixed_bad[i], mixed_stage[i]);
    if (line == NULL || strncmp(line, start, strlen(start)) != 0 || strlen(line) < strlen(start) + 8)
      fail_msg("\"%s\" where %s is due", line, start);
    if (strcmp(mixed_stage[i], "read") == 0) assert_non_null(strstr(line, "No such file"));
  }
  assert_string_equal(rest, "");
  free(text);
}

static void bad_pictures_leave_their_neighbours(void **state) {
  (void)state;
  static const int32_t batches[] = {1, 4, 64};
  for (int b = 0; b < 3; b++) {
    pmn_extract_options options = options_for(mixed, "out.npy");
    options.batch = batches[b];
    options.threads = 1 + b % 2;
    options.overwrite = true;
    pmn_counts counts = extract_counts(&options);
    assert_int_equal(counts.listed, PICTURES + MIXED_BAD);
    assert_int_equal(counts.rejects, MIXED_BAD);
    check_same_file(in_folder("out.npy"), base_output);
    check_text(in_folder("out.npy.index.csv"), "path,label\n00.jpg,mixed\n01.jpg,mixed\n02.jpg,mixed\n03.jpg,mixed\n"
                                               "04.jpg,mixed\n05.jpg,mixed\n06.jpg,mixed\n07.jpg,mixed\n08.jpg,mixed\n"
                                               "09.jpg,mixed\n10.jpg,mixed\n11.jpg,mixed\n");
    check_rejects(in_folder("out.npy.rejects.csv"));
    assert_int_equal(seen.last.done, counts.listed); /* although the last picture is a bad one */
    assert_int_equal(seen.last.rejects, MIXED_BAD);
  }
  pmn_extract_options options = options_for(mixed, "out.csv");
  options.rejects = in_folder("others.csv");
  options.statistics.pca_components = 2;
  pmn_summary *summary;
  pmn_err err;
  check_ok(extract(&options, &summary, &err));
  assert_string_equal(pmn_summary_rejects_path(summary), in_folder("others.csv"));
  pmn_summary_destroy(summary);
  check_rejects(in_folder("others.csv"));
  assert_int_equal(access(in_folder("out.csv.rejects.csv"), F_OK), -1);
}

static const char names_index[] = "path,label\n"
                                  "\"a\nn.jpg\",names\n"
                                  "a b.jpg,names\n"
                                  "\"a\"\"q.jpg\",names\n"
                                  "\"a,c.jpg\",names\n"
                                  "a\\\\b.jpg,names\n"
                                  "a\xc3\xbc.jpg,names\n"
                                  "a\\xFF.jpg,names\n"
                                  "\"la,\"\"b/1.jpg\",\"la,\"\"b\"\n";
enum { NAMES = 8 };

static void make_names(void) {
  static const char *const names[NAMES] = {
      "a\nn.jpg", "a b.jpg", "a\"q.jpg", "a,c.jpg", "a\\b.jpg", "a\xc3\xbc.jpg", "a\xff.jpg", "la,\"b/1.jpg"};
  char path[512];
  size_t size;
  snprintf(path, sizeof path, "%s/00.jpg", mixed);
  char *picture = read_all(path, &size);
  shell("mkdir -p '%s/names/la,\"b'", folder);
  for (int i = 0; i < NAMES; i++) {
    snprintf(path, sizeof path, "%s/names/%s", folder, names[i]);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(picture, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
  }
  free(picture);
}

/* Every row of a CSV is a row of the index, a comma, and the floats of picture 0 to the bit. */
static void check_csv_rows(const char *text, const char *index) {
  const char *at = strchr(text, '\n') + 1, *name = strchr(index, '\n') + 1;
  for (int row = 0; row < NAMES; row++) {
    const char *end = name;
    for (bool quoted = false; *end != '\n' || quoted; end++) quoted ^= *end == '"';
    assert_memory_equal(at, name, (size_t)(end - name));
    at += end - name;
    name = end + 1;
    for (int i = 0; i < WIDTH; i++) {
      char *after;
      assert_int_equal(*at, ',');
      assert_true(strtof(at + 1, &after) == base[i]);
      at = after;
    }
    assert_int_equal(*at++, '\n');
  }
  assert_string_equal(at, "");
}

static void names_of_any_bytes(void **state) {
  (void)state;
  make_names();
  pmn_extract_options options = options_for(in_folder("names"), "out.npy");
  assert_int_equal(extract_counts(&options).rows, NAMES);
  check_text(in_folder("out.npy.index.csv"), names_index);
  options = options_for(in_folder("names"), "out.csv");
  assert_int_equal(extract_counts(&options).rows, NAMES);
  size_t size;
  char *csv = read_all(in_folder("out.csv"), &size);
  assert_int_equal(strlen(csv), size);
  check_csv_rows(csv, names_index);
  free(csv);
}

/* A name cannot steer a terminal, and a long one does not push the reason out of the message. */
static void names_in_messages(void **state) {
  (void)state;
  char name[256];
  memset(name, 'n', 200);
  strcpy(name + 200, "\x1b[31m\xff\r\n.jpg");
  shell("mkdir -p '%s/x/%s/%s'", folder, name, name);
  char path[1024];
  snprintf(path, sizeof path, "%s/x/%s/%s/%s", folder, name, name, name);
  put_text(path, "no picture");
  pmn_extract_options options = options_for(in_folder("x"), "out.npy");
  shell("cp \"$(find '%s' -name '*.jpg' | head -n 1)\" '%s/x/good.jpg'", training, folder);
  assert_int_equal(extract_counts(&options).rejects, 1);
  int lines = 0;
  for (const char *p = seen.text; *p != '\0'; p++) {
    lines += *p == '\n';
    assert_true((unsigned char)*p >= 0x20 || *p == '\n');
    assert_true((unsigned char)*p < 0x80);
  }
  assert_int_equal(lines, seen.messages);
  assert_non_null(strstr(seen.text, "decode: "));
  options.stop_on_error = true;
  options.overwrite = true;
  pmn_summary *summary;
  pmn_err err;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "n [31m?  .jpg: decode: ");
}

static void labels_and_limit(void **state) {
  (void)state;
  pmn_extract_options options = options_for(orchard, "out.npy");
  options.limit = 2;
  options.label_level = 0;
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.listed, 2);
  size_t size;
  char *index = read_all(in_folder("out.npy.index.csv"), &size);
  assert_non_null(strstr(index, ".jpg,Training\n"));
  free(index);
  options.overwrite = true;
  options.label_regex = "([0-9]+)_100";
  extract_counts(&options);
  index = read_all(in_folder("out.npy.index.csv"), &size);
  assert_non_null(strstr(index, "/0_100.jpg,0\n"));
  free(index);
  check_npy rows = check_npy_read(in_folder("out.npy"));
  assert_int_equal(rows.shape[0], 2);
  assert_memory_equal(rows.data, base, 2 * WIDTH * sizeof *base);
  free(rows.data);
}

static void counts_of_what_is_left_out(void **state) {
  (void)state;
  char first[128];
  snprintf(first, sizeof first, "%s/00.jpg", mixed);
  pmn_extract_options options = options_for(mixed, "out.npy");
  options.sources = (const char *const[]){first, first};
  options.source_count = 2;
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.listed, 1);
  assert_int_equal(counts.duplicates, 1);
  assert_non_null(strstr(seen.text, "0 1 pictures were named more than once"));
  options = options_for(mixed, "out2.npy");
  options.includes = (const char *const[]){"0[12].jpg"};
  options.include_count = 1;
  counts = extract_counts(&options);
  assert_int_equal(counts.rows, 2);
  assert_int_equal(counts.skipped, PICTURES + MIXED_BAD - 2);
}

static void filters(void **state) {
  (void)state;
  pmn_extract_options options = options_for(training, "bicubic.npy");
  options.resize = "bicubic";
  extract_counts(&options);
  check_same_file(in_folder("bicubic.npy"), base_output); /* the network's own */
  options = options_for(training, "nearest.npy");
  options.resize = "nearest";
  extract_counts(&options);
  check_npy rows = check_npy_read(in_folder("nearest.npy"));
  for (int i = 0; i < PICTURES; i++)
    assert_memory_not_equal((float *)rows.data + i * WIDTH, base + i * WIDTH, WIDTH * sizeof *base);
  free(rows.data);
}

/* y = (x - mean) / deviation in fp64, rounded to float once: half an ulp, and what the two ways to sum differ by. */
static void standardised_columns(void **state) {
  (void)state;
  pmn_extract_options options = options_for(training, "out.npy");
  options.statistics.with_mean = options.statistics.with_std = true;
  assert_int_equal(extract_counts(&options).width, WIDTH);
  assert_string_equal(seen.phases, "features fit project");
  check_npy rows = check_npy_read(in_folder("out.npy"));
  assert_int_equal(rows.shape[0], PICTURES);
  assert_int_equal(rows.shape[1], WIDTH);
  const float *y = rows.data;
  for (int c = 0; c < WIDTH; c++) {
    double mean = 0, square = 0;
    for (int r = 0; r < PICTURES; r++) mean += (double)base[r * WIDTH + c] / PICTURES;
    for (int r = 0; r < PICTURES; r++) square += pow((double)base[r * WIDTH + c] - mean, 2) / PICTURES;
    for (int r = 0; r < PICTURES; r++) {
      double x = (double)base[r * WIDTH + c], expected = square == 0 ? 0 : (x - mean) / sqrt(square);
      double got = (double)y[r * WIDTH + c];
      if (fabs(got - expected) > (double)FLT_EPSILON * fabs(expected) + 1e-11)
        fail_msg("row %d, column %d: %.9g, not %.9g", r, c, got, expected);
    }
  }
  free(rows.data);
}

static void components_by_number_and_by_ratio(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  int32_t all, some;
  pmn_extract_options options = options_for(training, "all.csv");
  options.statistics.pca_components = PICTURES;
  check_ok(extract(&options, &summary, &err));
  double ratios[PICTURES], sum = 0;
  const double *explained = pmn_summary_explained(summary, &all);
  assert_int_equal(all, PICTURES);
  for (int i = 0; i < all; i++) {
    ratios[i] = explained[i];
    sum += ratios[i];
    assert_true(ratios[i] >= 0 && (i == 0 || ratios[i] <= ratios[i - 1]));
  }
  assert_true(fabs(sum - 1) < 1e-12); /* twelve rows have no more variance than that */
  pmn_summary_destroy(summary);

  options = options_for(training, "some.csv");
  options.statistics.pca_ratio = ratios[0] + ratios[1] + ratios[2] / 2;
  check_ok(extract(&options, &summary, &err));
  explained = pmn_summary_explained(summary, &some);
  assert_int_equal(some, 3);
  assert_int_equal(pmn_summary_counts(summary).width, 3);
  for (int i = 0; i < some; i++) assert_true(fabs(explained[i] - ratios[i]) < 1e-12);
  pmn_summary_destroy(summary);
  size_t size;
  char *csv = read_all(in_folder("some.csv"), &size);
  assert_memory_equal(csv, "path,label,f0,f1,f2\n", 20);
  free(csv);

  options = options_for(training, "none.csv");
  options.statistics.with_mean = options.statistics.with_std = true;
  check_ok(extract(&options, &summary, &err));
  assert_null(pmn_summary_explained(summary, &some));
  assert_int_equal(some, 0);
  pmn_summary_destroy(summary);
}

/* Without statistics a table of no rows is a table. */
/* A part may be without rows; a table may not. */
static void no_rows(void **state) {
  (void)state;
  shell("mkdir '%s/bad' && cd '%s/bad' && : >1.jpg && echo text >2.png && cp \"$(find '%s' -name '*.jpg' | head -n "
        "1)\" 0.jpg",
      folder, folder, training);
  pmn_extract_options options = options_for(in_folder("bad"), "npy/");
  options.format = "npy";
  options.parts = 3;
  assert_int_equal(extract_counts(&options).rejects, 2);
  assert_int_equal(seen.last.done, 3);
  check_npy rows = check_npy_read(in_folder("npy/part-00001.npy"));
  assert_int_equal(rows.shape[0], 0);
  assert_int_equal(rows.shape[1], WIDTH);
  free(rows.data);
  check_text(in_folder("npy/part-00001.npy.index.csv"), "path,label\n");
  options = options_for(in_folder("bad"), "csv/");
  options.format = "csv";
  options.parts = 3;
  extract_counts(&options);
  size_t size;
  char *csv = read_all(in_folder("csv/part-00002.csv"), &size);
  assert_memory_equal(csv, "path,label,f0,f1,", 17);
  assert_ptr_equal(strchr(csv, '\n'), csv + size - 1);
  free(csv);
  options = options_for(in_folder("bad"), "parquet/");
  options.parts = 3;
  extract_counts(&options);
}

static json_int_t count_of(const json_t *record, const char *name) {
  return json_integer_value(json_object_get(json_object_get(record, "counts"), name));
}

static void check_record(const char *text, const pmn_summary *summary) {
  json_error_t error;
  pmn_counts counts = pmn_summary_counts(summary);
  json_t *record = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  if (record == NULL) fail_msg("the record is no JSON: %s", error.text);
  assert_string_equal(json_string_value(json_object_get(record, "pomona")), pmn_version());
  assert_int_equal(count_of(record, "listed"), counts.listed);
  assert_int_equal(count_of(record, "rows"), counts.rows);
  assert_int_equal(count_of(record, "rejects"), counts.rejects);
  assert_int_equal(count_of(record, "width"), counts.width);
  const json_t *statistics = json_object_get(record, "statistics");
  assert_int_equal(json_integer_value(json_object_get(statistics, "fitted_rows")), counts.rows);
  int32_t kept;
  const double *explained = pmn_summary_explained(summary, &kept);
  const json_t *ratios = json_object_get(statistics, "explained_variance_ratio");
  assert_int_equal(json_array_size(ratios), kept);
  for (int32_t i = 0; i < kept; i++) assert_true(json_real_value(json_array_get(ratios, (size_t)i)) == explained[i]);
  const json_t *input = json_object_get(record, "input");
  assert_string_equal(json_string_value(json_array_get(json_object_get(input, "sources"), 0)), mixed);
  const json_t *features = json_object_get(record, "features");
  assert_int_equal(strlen(json_string_value(json_object_get(features, "weights_sha256"))), 64);
  assert_string_equal(json_string_value(json_object_get(record, "bound")), pmn_summary_bound(summary));
  assert_string_equal(json_string_value(json_object_get(record, "rejects")), pmn_summary_rejects_path(summary));
  json_decref(record);
}

static void record_in_every_output(void **state) {
  (void)state;
  static const char *const outputs[] = {"out.csv", "out.npy", "out.parquet"};
  for (int i = 0; i < 3; i++) {
    pmn_summary *summary;
    pmn_err err;
    pmn_extract_options options = options_for(mixed, outputs[i]);
    options.statistics.pca_components = 2;
    check_ok(extract(&options, &summary, &err));
    const char *record = pmn_summary_record(summary);
    check_record(record, summary);
    char name[32];
    snprintf(name, sizeof name, "%s%s", outputs[i], i < 2 ? ".record.json" : "");
    size_t size;
    char *bytes = read_all(in_folder(name), &size);
    assert_non_null(memmem(bytes, size, record, strlen(record)));
    free(bytes);
    int32_t stage_count;
    const pmn_stage *stages = pmn_summary_stages(summary, &stage_count);
    bool bound_found = false;
    for (int32_t s = 0; s < stage_count; s++) {
      assert_true(stages[s].busy_seconds >= 0 && stages[s].lanes >= 1);
      bound_found |= strcmp(stages[s].name, pmn_summary_bound(summary)) == 0 && stages[s].busy_seconds > 0;
    }
    assert_true(bound_found && pmn_summary_seconds(summary) > 0);
    pmn_summary_destroy(summary);
  }
}

/* 915 malformed files: each is a row or a reject, and nobody crashes. */
static void every_malformed_jpeg(void **state) {
  (void)state;
  const char *files = PMN_SOURCE_DIR "/../shared/bad-jpeg/files";
  if (access(files, R_OK | X_OK) != 0) check_skip();
  pmn_extract_options options = options_for(files, "out.npy");
  options.includes = (const char *const[]){"*"};
  options.include_count = 1;
  pmn_counts counts = extract_counts(&options);
  print_message("%lld files: %lld rows, %lld rejects\n", (long long)counts.listed, (long long)counts.rows,
      (long long)counts.rejects);
  assert_int_equal(counts.listed, 915);
  assert_in_range(counts.rows, 1, 914);
  size_t size;
  char *rejects = read_all(in_folder("out.npy.rejects.csv"), &size), *rest = rejects;
  int64_t lines = -1; /* the header; neither these names nor the reasons hold a newline */
  while (next_line(&rest) != NULL) lines++;
  assert_int_equal(lines, counts.rejects);
  free(rejects);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(rows_in_byte_order),
      in_fresh_folder(same_bits_whatever_the_batch),
      in_fresh_folder(bad_pictures_leave_their_neighbours),
      in_fresh_folder(names_of_any_bytes),
      in_fresh_folder(names_in_messages),
      in_fresh_folder(labels_and_limit),
      in_fresh_folder(counts_of_what_is_left_out),
      in_fresh_folder(filters),
      in_fresh_folder(standardised_columns),
      in_fresh_folder(components_by_number_and_by_ratio),
      in_fresh_folder(no_rows),
      in_fresh_folder(record_in_every_output),
      in_fresh_folder(every_malformed_jpeg),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
