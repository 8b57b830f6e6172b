/* test_kept.c - projections and moments that pmn_extract and pmn_reduce keep, what is made of them, and pmn_merge. */
#include "reduce_check.h"

#include "pmn_store.h"

#include <math.h>

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
      in_fresh_folder(projections_can_be_kept),
      in_fresh_folder(fits_elsewhere),
      in_fresh_folder(merged_runs_fit_as_one),
      in_fresh_folder(a_failed_run_keeps_nothing),
      in_fresh_folder(a_merge_replaces_no_input),
      in_fresh_folder(a_single_row_has_moments),
      in_fresh_folder(moments_may_be_kept_alone),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
