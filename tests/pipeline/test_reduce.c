/* test_reduce.c - statistics of features from elsewhere, kept projections and moments: pmn_reduce, pmn_merge, and what
 * pmn_extract shares with them. What every path must give is what another path gives, byte for byte; scikit-learn's and
 * Spark's word is in judge_pca.py and in the golden files of stats. */
#include "extract_check.h"

#include "pmn_store.h"

#include <math.h>

static pmn_reduce_options reduce_options(const char *matrix, const char *output) {
  static char paths[2][512];
  snprintf(paths[0], sizeof paths[0], "%s", matrix);
  snprintf(paths[1], sizeof paths[1], "%s/%s", folder, output);
  pmn_reduce_options options = PMN_REDUCE_OPTIONS_INIT;
  options.matrix = paths[0];
  options.output = paths[1];
  options.backend = "cpu";
  options.threads = 2;
  options.on_progress = on_progress;
  options.on_message = on_message;
  options.stop = &seen.stop;
  return options;
}

static pmn_status reduce(const pmn_reduce_options *options, pmn_counts *counts, pmn_err *err) {
  pmn_summary *summary = (pmn_summary *)(uintptr_t)1;
  memset(&seen, 0, sizeof seen);
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_status st = pmn_reduce(options, &summary, err);
  if (st != PMN_STATUS_OK) {
    assert_null(summary);
    return st;
  }
  *counts = pmn_summary_counts(summary);
  pmn_summary_destroy(summary);
  return st;
}

static pmn_counts reduce_counts(const pmn_reduce_options *options) {
  pmn_counts counts = {0};
  pmn_err err;
  check_ok(reduce(options, &counts, &err));
  return counts;
}

/* [rows, columns] f32 as numpy would save it. */
static void put_matrix(const char *name, const float *x, int64_t rows, int32_t columns) {
  char header[128];
  int size = snprintf(header, sizeof header,
      "\x93NUMPY\x01%cv%c{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }", 0, 0, (long long)rows,
      columns);
  memset(header + size, ' ', sizeof header - (size_t)size);
  header[127] = '\n';
  FILE *file = fopen(in_folder(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(header, 1, sizeof header, file), sizeof header);
  assert_int_equal(fwrite(x, sizeof *x, (size_t)(rows * columns), file), rows * columns);
  assert_int_equal(fclose(file), 0);
}

static pmn_statistics standard_pca(int32_t k) {
  return (pmn_statistics){.with_mean = true, .with_std = true, .pca_components = k};
}

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

/* A kept projection gives the rows that it was fitted on the same bits, in one pass. */
static void projections_can_be_kept(void **state) {
  (void)state;
  char kept[512];
  snprintf(kept, sizeof kept, "%s/kept.projection", folder);
  pmn_extract_options options = options_for(training, "fitted.csv");
  options.statistics = standard_pca(3);
  options.statistics.save_projection = kept;
  extract_counts(&options);
  assert_string_equal(seen.phases, "features fit project");
  options = options_for(training, "applied.csv");
  options.statistics.projection = kept;
  options.batch = 5;
  assert_int_equal(extract_counts(&options).width, 3);
  assert_string_equal(seen.phases, "features");
  check_same_file(in_folder("applied.csv"), in_folder("fitted.csv"));

  pmn_summary *summary;
  pmn_err err;
  options = options_for(training, "other.csv");
  options.statistics.projection = kept;
  options.width = options.height = 96;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "preprocess.");
  pmn_counts counts;
  pmn_reduce_options reduced = reduce_options(base_output, "other.csv");
  reduced.statistics.projection = kept;
  check_fails(reduce(&reduced, &counts, &err), PMN_STATUS_ARGUMENT, "kept.projection");
}

static void fits_elsewhere(void **state) {
  (void)state;
  char kind[160], kept[512];
  shell("ls '%s' | head -1 > '%s'", training, in_folder("kind"));
  size_t size;
  char *name = read_all(in_folder("kind"), &size);
  name[strcspn(name, "\n")] = '\0';
  snprintf(kind, sizeof kind, "%s/%s", training, name);
  free(name);
  snprintf(kept, sizeof kept, "%s/kept.projection", folder);
  pmn_extract_options options = options_for(training, "fitted.csv");
  options.statistics = standard_pca(2);
  options.statistics.save_projection = kept;
  extract_counts(&options);
  options = options_for(kind, "applied.csv");
  options.statistics.projection = kept;
  int64_t rows = extract_counts(&options).rows;
  options = options_for(kind, "at_once.csv");
  options.statistics = standard_pca(2);
  options.fit_on = training;
  assert_int_equal(extract_counts(&options).rows, rows);
  check_same_file(in_folder("at_once.csv"), in_folder("applied.csv"));
  /* A limit is of the table, and a short table makes no short batches of the fit. */
  options = options_for(kind, "first.csv");
  options.statistics = standard_pca(2);
  options.fit_on = training;
  options.limit = 1;
  pmn_summary *first;
  pmn_err failed;
  if (extract(&options, &first, &failed) != PMN_STATUS_OK) fail_msg("%s", failed.message);
  assert_int_equal(pmn_summary_counts(first).rows, 1);
  assert_null(strstr(pmn_summary_record(first), "\"batch\": 1\n"));
  assert_non_null(strstr(pmn_summary_record(first), "\"fitted_rows\": 12"));
  pmn_summary_destroy(first);
  shell("head -2 '%s' > '%s'", in_folder("at_once.csv"), in_folder("expected.csv"));
  check_same_file(in_folder("first.csv"), in_folder("expected.csv"));

  /* Bad pictures there are no rejects of the table. */
  pmn_summary *summary;
  pmn_err err;
  options = options_for(kind, "mixed.csv");
  options.statistics = standard_pca(2);
  options.fit_on = mixed;
  check_ok(extract(&options, &summary, &err));
  assert_int_equal(pmn_summary_counts(summary).rejects, 0);
  assert_null(pmn_summary_rejects_path(summary));
  assert_non_null(strstr(pmn_summary_record(summary), "\"fit_rejects\": 8"));
  json_t *record = json_loads(pmn_summary_record(summary), 0, NULL);
  json_t *rejected = json_object_get(json_object_get(record, "statistics"), "fit_rejected");
  assert_int_equal(json_array_size(rejected), MIXED_BAD);
  for (size_t i = 0; i < MIXED_BAD; i++) {
    assert_string_equal(json_string_value(json_array_get(json_array_get(rejected, i), 0)), mixed_bad[i]);
    assert_string_equal(json_string_value(json_array_get(json_array_get(rejected, i), 1)), mixed_stage[i]);
    assert_non_null(strstr(seen.text, mixed_bad[i]));
  }
  json_decref(record);
  assert_non_null(strstr(seen.text, "8 pictures of "));
  pmn_summary_destroy(summary);
  assert_int_equal(access(in_folder("mixed.csv.rejects.csv"), F_OK), -1);
  check_same_file(in_folder("mixed.csv"), in_folder("at_once.csv"));
}

/* The moments of two halves, merged, give the projection of the whole. */
static void merged_runs_fit_as_one(void **state) {
  (void)state;
  enum { ROWS = 400, COLUMNS = 20, K = 4 };
  static float x[ROWS * COLUMNS];
  char paths[3][512], merged_path[512];
  for (int i = 0; i < ROWS; i++) {
    for (int j = 0; j < COLUMNS; j++)
      x[i * COLUMNS + j] =
          1000.0f + sinf((float)(i * (j + 3))) * (float)(COLUMNS - j) + (i < 150 ? 5.0f : 0.0f) * (float)(j % 3);
  }
  put_matrix("first.npy", x, 150, COLUMNS);
  put_matrix("second.npy", x + 150 * COLUMNS, ROWS - 150, COLUMNS);
  put_matrix("whole.npy", x, ROWS, COLUMNS);
  static const char *const names[] = {"first", "second", "whole"};
  for (int i = 0; i < 3; i++) {
    char matrix[64], output[64];
    snprintf(paths[i], sizeof paths[i], "%s/%s.%s", folder, names[i], i < 2 ? "moments" : "projection");
    snprintf(matrix, sizeof matrix, "%s.npy", names[i]);
    snprintf(output, sizeof output, "%s.csv", names[i]);
    pmn_reduce_options options = reduce_options(in_folder(matrix), output);
    options.statistics = standard_pca(K);
    if (i < 2)
      options.statistics.save_moments = paths[i];
    else
      options.statistics.save_projection = paths[i];
    reduce_counts(&options);
  }
  snprintf(merged_path, sizeof merged_path, "%s/merged.projection", folder);
  const char *const halves[] = {paths[0], paths[1]};
  pmn_merge_options merge = PMN_MERGE_OPTIONS_INIT;
  pmn_merged merged;
  pmn_err err = PMN_ERR_INIT;
  merge.moments = halves;
  merge.moments_count = 2;
  merge.statistics = standard_pca(K);
  merge.statistics.save_projection = merged_path;
  check_ok(pmn_merge(&merge, &merged, &err));
  assert_int_equal(merged.rows, ROWS);
  assert_int_equal(merged.components, K);
  check_fails(pmn_merge(&merge, &merged, &err), PMN_STATUS_EXISTS, "merged.projection");
  pmn_fit *a = NULL, *b = NULL;
  char *features[2] = {NULL, NULL};
  check_ok(pmn_projection_load(paths[2], &a, &features[0], &err));
  check_ok(pmn_projection_load(merged_path, &b, &features[1], &err));
  assert_string_equal(features[0], features[1]);
  for (int j = 0; j < COLUMNS; j++) {
    assert_true(fabs(a->mean[j] - b->mean[j]) <= 1e-10 * fabs(a->mean[j]));
    assert_true(fabs(a->scale[j] - b->scale[j]) <= 1e-10 * a->scale[j]);
  }
  for (int i = 0; i < K * COLUMNS; i++) assert_true(fabs(a->components[i] - b->components[i]) <= 1e-10);
  pmn_fit_destroy(a);
  pmn_fit_destroy(b);
  free(features[0]);
  free(features[1]);
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

/* A run that fails, however late, leaves files of earlier runs as they were, and none of its own. */
static void a_failed_run_keeps_nothing(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  char kept[512], moments[512];
  snprintf(kept, sizeof kept, "%s/kept.projection", folder);
  snprintf(moments, sizeof moments, "%s/kept.moments", folder);
  for (int overwrite = 0; overwrite < 2; overwrite++) {
    pmn_extract_options options = options_for(training, "out.csv");
    options.statistics = standard_pca(2);
    options.statistics.save_projection = kept;
    options.statistics.save_moments = moments;
    options.overwrite = overwrite;
    if (overwrite) put_text(kept, "an old projection");
    if (overwrite) put_text(moments, "old moments");
    seen.stop_phase = "project";
    assert_int_equal(extract(&options, &summary, &err), PMN_STATUS_INTERRUPTED);
    if (overwrite) {
      check_text(kept, "an old projection");
      check_text(moments, "old moments");
    } else {
      assert_int_equal(access(kept, F_OK), -1);
      assert_int_equal(access(moments, F_OK), -1);
    }
  }
  pmn_extract_options options = options_for(training, "out.csv");
  options.statistics = standard_pca(2);
  options.statistics.save_projection = kept;
  options.statistics.save_moments = moments;
  options.overwrite = true;
  seen.stop_phase = NULL;
  extract_counts(&options);
  pmn_fit *fit = NULL;
  char *features = NULL;
  check_ok(pmn_projection_load(kept, &fit, &features, &err));
  pmn_fit_destroy(fit);
  free(features);
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

static void raise_stop(void *flag, pmn_level level, const char *text) {
  (void)level;
  (void)text;
  *(volatile sig_atomic_t *)flag = 1;
}

static void a_merge_replaces_no_input(void **state) {
  (void)state;
  const float x[] = {1, 5, 3, 5, 8, 4};
  char moments[512], other[512];
  put_matrix("m.npy", x, 3, 2);
  snprintf(moments, sizeof moments, "%s/a.moments", folder);
  snprintf(other, sizeof other, "%s/./a.moments", folder);
  pmn_reduce_options options = reduce_options(in_folder("m.npy"), "out.csv");
  options.statistics.save_moments = moments;
  reduce_counts(&options);
  const char *const inputs[] = {moments};
  pmn_merge_options merge = PMN_MERGE_OPTIONS_INIT;
  pmn_merged merged;
  pmn_err err;
  merge.moments = inputs;
  merge.moments_count = 1;
  merge.overwrite = true;
  merge.statistics.with_mean = true;
  merge.statistics.save_projection = other;
  check_fails(pmn_merge(&merge, &merged, &err), PMN_STATUS_ARGUMENT, "a.moments would be replaced by the projection");
  merge.statistics.save_projection = in_folder("p");
  merge.statistics.save_moments = in_folder("./p");
  check_fails(pmn_merge(&merge, &merged, &err), PMN_STATUS_ARGUMENT, "two things at once");
  merge.statistics.save_moments = NULL;
  merge.statistics.memory = 64;
  check_fails(pmn_merge(&merge, &merged, &err), PMN_STATUS_NO_MEMORY, "allow more with --memory");
  merge.statistics.memory = 1 << 20;
  volatile sig_atomic_t stop = 0;
  merge.stop = &stop;
  merge.on_message = raise_stop;
  merge.callback_arg = (void *)&stop;
  check_fails(pmn_merge(&merge, &merged, &err), PMN_STATUS_INTERRUPTED, "nothing was written");
  assert_int_equal(access(in_folder("p"), F_OK), -1);
  merge.on_message = NULL;
  stop = 0;
  check_ok(pmn_merge(&merge, &merged, &err));
  assert_int_equal(merged.rows, 3);
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

/* Moments need neither a fit nor a second row. */
static void a_single_row_has_moments(void **state) {
  (void)state;
  const float x[] = {1, 5, 3};
  char moments[512];
  pmn_stored_moments stored = {0};
  pmn_err err = PMN_ERR_INIT;
  put_matrix("m.npy", x, 1, 3);
  snprintf(moments, sizeof moments, "%s/kept.moments", folder);
  pmn_reduce_options options = reduce_options(in_folder("m.npy"), "out.csv");
  options.statistics.save_moments = moments;
  reduce_counts(&options);
  check_text(in_folder("out.csv"), "path,label,f0,f1,f2\n0,,1.0,5.0,3.0\n");
  check_ok(pmn_moments_load(moments, &stored, &err));
  assert_int_equal(stored.view.n, 1);
  assert_true(stored.view.origin[1] + stored.view.offset[1] == 5.0 && stored.view.squares[1] == 0.0);
  pmn_stored_moments_reset(&stored);
  pmn_extract_options extracting = options_for(training, "one.npy");
  extracting.limit = 1;
  extracting.overwrite = true;
  extracting.statistics.save_moments = moments;
  assert_int_equal(extract_counts(&extracting).rows, 1);
  pmn_counts counts;
  options.overwrite = true;
  options.statistics.with_mean = true;
  check_fails(reduce(&options, &counts, &err), PMN_STATUS_ARGUMENT, "2 or more rows");
}

/* Moments alone: the table is as without statistics. */
static void moments_may_be_kept_alone(void **state) {
  (void)state;
  char moments[512];
  snprintf(moments, sizeof moments, "%s/kept.moments", folder);
  pmn_extract_options options = options_for(training, "out.npy");
  options.statistics.save_moments = moments;
  assert_int_equal(extract_counts(&options).width, WIDTH);
  check_same_file(in_folder("out.npy"), base_output);
  pmn_stored_moments stored = {0};
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_moments_load(moments, &stored, &err));
  assert_int_equal(stored.view.n, PICTURES);
  for (int j = 0; j < WIDTH; j++) {
    double sum = 0;
    for (int i = 0; i < PICTURES; i++) sum += (double)base[i * WIDTH + j];
    assert_true(fabs(stored.view.origin[j] + stored.view.offset[j] - sum / PICTURES) <= 1e-12 * (1 + fabs(sum)));
  }
  pmn_stored_moments_reset(&stored);

  /* The same numbers, but nobody knows of which features. */
  char unknown[512];
  snprintf(unknown, sizeof unknown, "%s/unknown.moments", folder);
  pmn_reduce_options reduced = reduce_options(base_output, "unknown.csv");
  reduced.statistics.with_mean = true;
  reduced.statistics.save_moments = unknown;
  reduce_counts(&reduced);
  const char *const both[] = {moments, unknown};
  pmn_merge_options merge = PMN_MERGE_OPTIONS_INIT;
  pmn_merged merged;
  merge.moments = both;
  merge.moments_count = 2;
  merge.statistics.save_moments = in_folder("merged.moments");
  check_fails(
      pmn_merge(&merge, &merged, &err), PMN_STATUS_ARGUMENT, "unknown.moments was made for features of a matrix");
  assert_int_equal(access(in_folder("merged.moments"), F_OK), -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(reducing_is_the_end_of_extracting),
      in_fresh_folder(rows_are_numbered_without_an_index),
      in_fresh_folder(broken_rows_are_rejects),
      in_fresh_folder(wide_matrices_skip_broken_rows),
      in_fresh_folder(projections_can_be_kept),
      in_fresh_folder(fits_elsewhere),
      in_fresh_folder(merged_runs_fit_as_one),
      in_fresh_folder(wrong_requests_are_explained),
      in_fresh_folder(a_failed_run_keeps_nothing),
      in_fresh_folder(files_are_one_thing),
      in_fresh_folder(a_merge_replaces_no_input),
      in_fresh_folder(results_beyond_floats_end_the_run),
      in_fresh_folder(a_single_row_has_moments),
      in_fresh_folder(moments_may_be_kept_alone),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
