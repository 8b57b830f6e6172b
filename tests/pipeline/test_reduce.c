/* test_reduce.c - statistics of features from elsewhere: pmn_reduce, and what pmn_extract shares with it. What every
 * path must give is what another path gives, byte for byte; scikit-learn's and Spark's word is in judge_pca.py and in
 * the golden files of stats. */
#include "reduce_check.h"

#include "pmn_store.h"

#include <math.h>

/* The features of the pictures, saved and then reduced, are what extracting and reducing them at once gives. */
static void reducing_is_the_end_of_extracting(void **state) {
  (void)state;
  char index[512];
  snprintf(index, sizeof index, "%s.index.csv", base_output);
  pmn_extract_options whole = options_for(training, "whole.csv");
  whole.statistics = standard_pca(3);
  assert_int_equal(extract_counts(&whole).rows, PICTURES);
  for (int32_t threads = 1; threads <= 3; threads += 2) {
    pmn_reduce_options options = reduce_options(base_output, "parts.csv");
    options.index = index;
    options.statistics = standard_pca(3);
    options.threads = threads;
    options.overwrite = true;
    pmn_counts counts = reduce_counts(&options);
    assert_int_equal(counts.rows, PICTURES);
    assert_int_equal(counts.width, 3);
    check_same_file(in_folder("parts.csv"), in_folder("whole.csv"));
  }
}

static void rows_are_numbered_without_an_index(void **state) {
  (void)state;
  const float x[] = {1, 5, 3, 5, 8, 5};
  put_matrix("m.npy", x, 3, 2);
  pmn_reduce_options options = reduce_options(in_folder("m.npy"), "out.csv");
  options.statistics.with_mean = true;
  reduce_counts(&options);
  check_text(in_folder("out.csv"), "path,label,f0,f1\n0,,-3.0,0.0\n1,,-1.0,0.0\n2,,4.0,0.0\n");
}

/* Rows that are no numbers are rejects, and the others what they are without them. */
static void broken_rows_are_rejects(void **state) {
  (void)state;
  enum { ROWS = 1500, COLUMNS = 7, BROKEN = 3 };
  static const int64_t at[BROKEN] = {0, 700, 1499};
  static float x[ROWS * COLUMNS], good[ROWS * COLUMNS];
  uint32_t random = 1;
  for (int i = 0; i < ROWS * COLUMNS; i++) {
    random = random * 1664525u + 1013904223u;
    x[i] = (float)(random >> 8) / 65536.0f;
  }
  int64_t kept = 0;
  for (int64_t i = 0; i < ROWS; i++) {
    if (i == at[0] || i == at[1] || i == at[2]) continue;
    memcpy(good + kept++ * COLUMNS, x + i * COLUMNS, COLUMNS * sizeof *x);
  }
  x[at[0] * COLUMNS + 6] = NAN;
  x[at[1] * COLUMNS] = INFINITY;
  x[at[2] * COLUMNS + 3] = -INFINITY;
  put_matrix("x.npy", x, ROWS, COLUMNS);
  put_matrix("good.npy", good, kept, COLUMNS);
  pmn_reduce_options options = reduce_options(in_folder("x.npy"), "x.out.npy");
  options.statistics = standard_pca(2);
  pmn_counts counts = reduce_counts(&options);
  assert_int_equal(counts.rows, ROWS - BROKEN);
  assert_int_equal(counts.rejects, BROKEN);
  check_text(in_folder("x.out.npy.rejects.csv"), "path,stage,reason\n0,matrix,column 6 is NaN\n700,matrix,column 0 is "
                                                 "infinite\n1499,matrix,column 3 is infinite\n");
  options = reduce_options(in_folder("good.npy"), "good.out.npy");
  options.statistics = standard_pca(2);
  reduce_counts(&options);
  check_same_file(in_folder("x.out.npy"), in_folder("good.out.npy"));

  pmn_err err;
  options = reduce_options(in_folder("x.npy"), "stopped.npy");
  options.statistics = standard_pca(2);
  options.stop_on_error = true;
  check_fails(
      reduce(&options, &counts, &err), PMN_STATUS_REJECTED, "stopped at the first bad row: 0: matrix: column 6");
  options.stop_on_error = false;
  options.max_rejects = 2;
  check_fails(reduce(&options, &counts, &err), PMN_STATUS_REJECTED, "more rejects than the 2 allowed");
  assert_int_equal(access(in_folder("stopped.npy"), F_OK), -1);
}

/* Fewer rows than columns, some of them broken: the rows themselves are the matrix that is decomposed. */
static void wide_matrices_skip_broken_rows(void **state) {
  (void)state;
  float *x = malloc((PICTURES + 1) * WIDTH * sizeof *x);
  assert_non_null(x);
  memcpy(x, base, 5 * WIDTH * sizeof *x);
  memcpy(x + 5 * WIDTH, base, WIDTH * sizeof *x);
  x[5 * WIDTH + 17] = NAN;
  memcpy(x + 6 * WIDTH, base + 5 * WIDTH, (PICTURES - 5) * WIDTH * sizeof *x);
  put_matrix("x.npy", x, PICTURES + 1, WIDTH);
  free(x);
  pmn_reduce_options options = reduce_options(in_folder("x.npy"), "x.out.npy");
  options.statistics = standard_pca(4);
  assert_int_equal(reduce_counts(&options).rejects, 1);
  options = reduce_options(base_output, "base.out.npy");
  options.statistics = standard_pca(4);
  reduce_counts(&options);
  check_same_file(in_folder("x.out.npy"), in_folder("base.out.npy"));
}

static void wrong_requests_are_explained(void **state) {
  (void)state;
  const float x[] = {1, 5, 3, 5, 8, 5};
  put_matrix("m.npy", x, 3, 2);
  const struct {
    pmn_statistics statistics;
    pmn_status status;
    const char *text;
  } cases[] = {
      {{0}, PMN_STATUS_ARGUMENT, "nothing to do"},
      {{.with_std = true, .compat = "excel"}, PMN_STATUS_ARGUMENT, "compatible with \"excel\""},
      {{.with_std = true, .projection = "p"}, PMN_STATUS_ARGUMENT, "nothing is fitted beside it"},
      {{.projection = "/nowhere/p"}, PMN_STATUS_NOT_FOUND, "/nowhere/p"},
      {{.pca_components = 3}, PMN_STATUS_ARGUMENT, "3 rows of 2 features give at most 2"},
      {{.pca_components = 1, .memory = 64}, PMN_STATUS_NO_MEMORY, "MB: allow more with --memory"},
      {{.with_std = true, .spool = "/tmp"}, PMN_STATUS_ARGUMENT, "there is no spool"},
      {{.pca_components = 1, .save_projection = "/nowhere/p"}, PMN_STATUS_WRITE, "/nowhere"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    pmn_counts counts;
    pmn_err err;
    pmn_reduce_options options = reduce_options(in_folder("m.npy"), "out.csv");
    options.statistics = cases[i].statistics;
    check_fails(reduce(&options, &counts, &err), cases[i].status, cases[i].text);
    assert_int_equal(access(in_folder("out.csv"), F_OK), -1);
  }
  pmn_counts counts;
  pmn_err err;
  pmn_reduce_options options = reduce_options(in_folder("none.npy"), "out.csv");
  options.statistics.with_mean = true;
  check_fails(reduce(&options, &counts, &err), PMN_STATUS_NOT_FOUND, "none.npy");
  options = reduce_options(in_folder("m.npy"), "out.csv");
  options.statistics.with_mean = true;
  options.statistics.save_projection = options.output;
  options.overwrite = true;
  check_fails(reduce(&options, &counts, &err), PMN_STATUS_ARGUMENT, "two things at once");
  options.statistics.save_projection = options.statistics.save_moments = in_folder("same");
  check_fails(reduce(&options, &counts, &err), PMN_STATUS_ARGUMENT, "two things at once");
  pmn_extract_options extracting = options_for(training, "out.csv");
  pmn_summary *summary;
  extracting.fit_on = training;
  check_fails(extract(&extracting, &summary, &err), PMN_STATUS_ARGUMENT, "nothing to fit on");
  extracting = options_for(training, "out.csv");
  extracting.statistics.save_projection = in_folder("p");
  check_fails(extract(&extracting, &summary, &err), PMN_STATUS_ARGUMENT, "no projection to save");
}

/* No input is replaced, and no two outputs are one file, however they are written. */
static void files_are_one_thing(void **state) {
  (void)state;
  const float x[] = {1, 5, 3, 5, 8, 5};
  char link[512], hard[512], here[512];
  put_matrix("m.npy", x, 3, 2);
  put_text(in_folder("m.csv"), "path\na\nb\nc\n");
  put_text(in_folder("out.npy.index.csv"), "path\na\nb\nc\n");
  shell("cd '%s' && ln -s . link && ln m.npy hard.npy && cp m.npy copy.npy", folder);
  snprintf(link, sizeof link, "%s/link/m.npy", folder);
  snprintf(hard, sizeof hard, "%s/hard.npy", folder);
  snprintf(here, sizeof here, "%s/./link/./m.csv", folder);
  const struct {
    const char *output, *index, *rejects, *projection, *moments, *text;
  } cases[] = {
      {"m.npy", NULL, NULL, NULL, NULL, "m.npy would be replaced by the table"},
      {"link/./m.npy", NULL, NULL, NULL, NULL, "m.npy would be replaced by the table"},
      {"hard.npy", NULL, NULL, NULL, NULL, "m.npy would be replaced by the table"},
      {"out.npy", "out.npy.index.csv", NULL, NULL, NULL, "index.csv would be replaced by a file that belongs to the"},
      {"out.csv", "m.csv", here, NULL, NULL, "m.csv would be replaced by the list of rejects"},
      {"out.csv", NULL, NULL, link, NULL, "m.npy would be replaced by the projection"},
      {"out.csv", NULL, NULL, NULL, hard, "m.npy would be replaced by the moments"},
      {"m.csv", NULL, NULL, NULL, here, "two things at once, the moments and the table"},
      {"x.csv", NULL, here, here, NULL, "two things at once, the list of rejects and the projection"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char index[512];
    pmn_counts counts;
    pmn_err err;
    pmn_reduce_options options = reduce_options(in_folder("m.npy"), cases[i].output);
    options.statistics.with_mean = true;
    options.overwrite = true;
    if (cases[i].index != NULL) {
      snprintf(index, sizeof index, "%s/%s", folder, cases[i].index);
      options.index = index;
    }
    options.rejects = cases[i].rejects;
    options.statistics.save_projection = cases[i].projection;
    options.statistics.save_moments = cases[i].moments;
    check_fails(reduce(&options, &counts, &err), PMN_STATUS_ARGUMENT, cases[i].text);
    check_same_file(in_folder("m.npy"), in_folder("copy.npy"));
    check_text(in_folder("m.csv"), "path\na\nb\nc\n");
  }
  /* A table of parquet has no index: the same index is an input like any other. */
  char index[512];
  snprintf(index, sizeof index, "%s/out.npy.index.csv", folder);
  pmn_reduce_options options = reduce_options(in_folder("m.npy"), "out.npy.parquet");
  options.statistics.with_mean = true;
  options.index = index;
  reduce_counts(&options);

  pmn_err err;
  pmn_summary *summary;
  char picture[512];
  shell("mkdir '%s'/pictures && cp '%s'/00.jpg '%s'/pictures", folder, mixed, folder);
  snprintf(picture, sizeof picture, "%s/pictures/./00.jpg", folder);
  pmn_extract_options extracting = options_for(in_folder("pictures"), "out.csv");
  extracting.statistics.save_moments = picture;
  extracting.overwrite = true;
  check_fails(extract(&extracting, &summary, &err), PMN_STATUS_ARGUMENT, "00.jpg would be replaced by the moments");
}

/* What no float can hold is told with its place, in one pass and in two. */
static void results_beyond_floats_end_the_run(void **state) {
  (void)state;
  const float small[] = {1, 5, 3, 5, 8, 6};
  char kept[512], moments[512];
  double x[] = {1, 5, 3, 1e60, 8, 5};
  put_matrix("small.npy", small, 3, 2);
  put_matrix("x.npy", small, 3, 2);
  FILE *file = fopen(in_folder("x.npy"), "r+b");
  assert_non_null(file);
  char header[128];
  memset(header, ' ', sizeof header);
  int size = snprintf(
      header, sizeof header, "\x93NUMPY\x01%cv%c{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }", 0, 0);
  header[size] = ' ';
  header[127] = '\n';
  fwrite(header, 1, sizeof header, file);
  fwrite(x, sizeof *x, 6, file);
  fclose(file);
  snprintf(kept, sizeof kept, "%s/kept.projection", folder);
  snprintf(moments, sizeof moments, "%s/kept.moments", folder);
  pmn_counts counts;
  pmn_err err;
  pmn_reduce_options options = reduce_options(in_folder("small.npy"), "small.csv");
  options.statistics.with_mean = true;
  options.statistics.save_projection = kept;
  reduce_counts(&options);
  for (int way = 0; way < 3; way++) {
    options = reduce_options(in_folder("x.npy"), "out.csv");
    options.statistics.with_mean = way == 0;
    if (way == 1) options.statistics.projection = kept;
    if (way == 2) options.statistics.save_moments = moments;
    const char *text = way == 0 ? "row 0: column 1 of its result is -inf" : "row 1: column 1 of its result is inf";
    check_fails(reduce(&options, &counts, &err), PMN_STATUS_ARGUMENT, text);
    assert_int_equal(access(in_folder("out.csv"), F_OK), -1);
    assert_int_equal(access(moments, F_OK), -1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(reducing_is_the_end_of_extracting),
      in_fresh_folder(rows_are_numbered_without_an_index),
      in_fresh_folder(broken_rows_are_rejects),
      in_fresh_folder(wide_matrices_skip_broken_rows),
      in_fresh_folder(wrong_requests_are_explained),
      in_fresh_folder(files_are_one_thing),
      in_fresh_folder(results_beyond_floats_end_the_run),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
