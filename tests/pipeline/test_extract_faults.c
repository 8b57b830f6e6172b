/* test_extract_faults.c - pmn_extract when things go wrong: wrong options, outputs in the way, pictures that may not be
 * left out, a full disk, no memory, a raised flag. Every time: the right status, a message that names the thing, and
 * nothing left behind. */
#include "extract_check.h"

#include "pmn_mem.h"
#include "seeded_weights.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

/* Names in this test's folder, hidden ones too, sorted and joined by spaces; borrowed. */
static const char *left_behind(void) {
  static char names[1024];
  struct dirent **list;
  int count = scandir(folder, &list, NULL, alphasort);
  size_t used = 0;
  names[0] = '\0';
  for (int i = 0; i < count; i++) {
    const char *name = list[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
      used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used > 0 ? " " : "", name);
    free(list[i]);
  }
  free(list);
  return names;
}

/* A run that must fail with `status` and a message that holds `text`, leaving nothing in the folder. */
static void extract_fails(const pmn_extract_options *options, pmn_status status, const char *text) {
  pmn_summary *summary;
  pmn_err err;
  check_fails(extract(options, &summary, &err), status, text);
  assert_string_equal(left_behind(), "");
}

static void wrong_options(void **state) {
  (void)state;
  static const struct {
    size_t offset;
    const char *text;
    const char *expected;
  } names[] = {
      {offsetof(pmn_extract_options, features), "resnet", "\"resnet\""},
      {offsetof(pmn_extract_options, resize), "lanczos", "\"lanczos\""},
      {offsetof(pmn_extract_options, format), "xls", "\"xls\""},
      {offsetof(pmn_extract_options, backend), "cuda", "\"cuda\""},
      {offsetof(pmn_extract_options, label_regex), "(", "("},
  };
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    pmn_extract_options options = options_for(training, "out.npy");
    memcpy((char *)&options + names[i].offset, &names[i].text, sizeof names[i].text);
    extract_fails(&options, PMN_STATUS_ARGUMENT, names[i].expected);
  }
  pmn_extract_options unfetched = options_for(training, "out.npy");
  unfetched.features = "mobilenet_v2";
  extract_fails(&unfetched, PMN_STATUS_NOT_FOUND, "no weights here");
  static const struct {
    int32_t pca, threads, batch;
    int64_t limit;
    double ratio;
    const char *expected;
  } numbers[] = {
      {-1, 0, 0, 0, 0, "out of range"},
      {0, 1025, 0, 0, 0, "out of range"},
      {0, -1, 0, 0, 0, "out of range"},
      {0, 0, -1, 0, 0, "out of range"},
      {0, 0, 65537, 0, 0, "out of range"},
      {0, 0, 0, -1, 0, "out of range"},
      {0, 0, 0, 0, 1, "between 0 and 1"},
      {0, 0, 0, 0, -0.5, "between 0 and 1"},
      {0, 0, 0, 0, (double)NAN, "between 0 and 1"},
      {2, 0, 0, 0, 0.5, "not both"},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    pmn_extract_options options = options_for(training, "out.npy");
    options.statistics.pca_components = numbers[i].pca;
    options.threads = numbers[i].threads;
    options.batch = numbers[i].batch;
    options.limit = numbers[i].limit;
    options.statistics.pca_ratio = numbers[i].ratio;
    extract_fails(&options, PMN_STATUS_ARGUMENT, numbers[i].expected);
  }
  pmn_extract_options options = options_for(training, "out.txt");
  extract_fails(&options, PMN_STATUS_ARGUMENT, "out.txt");
  options = options_for(training, "out.npy");
  options.struct_size = 0;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "PMN_EXTRACT_OPTIONS_INIT");
  options = options_for(training, "out.npy");
  options.source_count = 0;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "SOURCE");
  options.output = NULL;
  options.source_count = 1;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "output");
}

static void missing_things(void **state) {
  (void)state;
  pmn_extract_options options = options_for("/nowhere/pictures", "out.npy");
  extract_fails(&options, PMN_STATUS_NOT_FOUND, "/nowhere/pictures");
  options = options_for("@/nowhere/list", "out.npy");
  extract_fails(&options, PMN_STATUS_NOT_FOUND, "/nowhere/list");
  options = options_for(folder, "out.npy");
  extract_fails(&options, PMN_STATUS_NOT_FOUND, "no pictures in");
  options = options_for(training, "out.npy");
  options.backend = "opencl";
  options.device = 99;
  extract_fails(&options, PMN_STATUS_DEVICE, "99");
  options.backend = "cpu";
  extract_fails(&options, PMN_STATUS_DEVICE, "99");
  options.backend = "auto";
  options.device = 0;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "name the backend");
}

/* What is there is told before anything is computed, and stays as it is. */
static void output_exists(void **state) {
  (void)state;
  static const char *const in_the_way[] = {
      "out.npy", "out.npy.index.csv", "out.npy.record.json", "out.npy.rejects.csv"};
  for (int i = 0; i < 4; i++) {
    pmn_extract_options options = options_for("/nowhere", "out.npy"); /* a source that would fail later */
    pmn_summary *summary;
    pmn_err err;
    put_text(in_folder(in_the_way[i]), "old");
    check_fails(extract(&options, &summary, &err), PMN_STATUS_EXISTS, in_the_way[i]);
    assert_int_equal(seen.messages + seen.progresses, 0);
    assert_string_equal(left_behind(), in_the_way[i]);
    check_text(in_folder(in_the_way[i]), "old");
    assert_int_equal(unlink(in_folder(in_the_way[i])), 0);
  }
}

static void overwrite(void **state) {
  (void)state;
  static const char list[] = "path,stage,reason\nof an earlier run,read,gone\n";
  put_text(in_folder("out.npy"), "old");
  put_text(in_folder("out.npy.rejects.csv"), list);
  pmn_extract_options options = options_for(training, "out.npy");
  options.overwrite = true;
  pmn_summary *summary;
  pmn_err err;
  options.stop_on_error = true;
  options.sources = (const char *const[]){mixed};
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "00_a.jpg");
  check_text(in_folder("out.npy"), "old");
  check_text(in_folder("out.npy.rejects.csv"), list);
  options.sources = (const char *const[]){training};
  extract_counts(&options);
  check_same_file(in_folder("out.npy"), base_output);
  assert_string_equal(left_behind(), "out.npy out.npy.index.csv out.npy.record.json");
}

static void outputs_that_cannot_be_written(void **state) {
  (void)state;
  static const char *const outputs[] = {"/nowhere/out.npy", "/proc/out.npy", "/dev/null/out.npy"};
  for (int i = 0; i < 3; i++) {
    pmn_extract_options options = options_for("/nowhere", outputs[i]);
    extract_fails(&options, PMN_STATUS_WRITE, outputs[i]);
    if (i == 1) continue; /* /proc says that it can be written to */
    options = options_for("/nowhere", "out.npy");
    options.rejects = outputs[i];
    extract_fails(&options, PMN_STATUS_WRITE, outputs[i]);
  }
}

static void rejects_where_the_output_goes(void **state) {
  (void)state;
  static const char *const names[] = {
      "out.npy", "./out.npy", "../%s/out.npy", "out.npy.index.csv", ".//out.npy.record.json"};
  for (int i = 0; i < 5; i++) {
    char name[256], path[512];
    snprintf(name, sizeof name, "%s", names[i]);
    if (i == 2) snprintf(name, sizeof name, "../%s/out.npy", strrchr(folder, '/') + 1);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    pmn_extract_options options = options_for(training, "out.npy");
    options.rejects = path;
    extract_fails(&options, PMN_STATUS_ARGUMENT, "is to be two things at once, the list of rejects and ");
  }
}

static void pictures_that_may_not_be_left_out(void **state) {
  (void)state;
  pmn_extract_options options = options_for(mixed, "out.csv");
  options.stop_on_error = true;
  extract_fails(&options, PMN_STATUS_REJECTED, "00_a.jpg: decode: ");
  options = options_for(mixed, "out.csv");
  options.max_rejects = 4;
  options.batch = 1; /* rows were written by then */
  extract_fails(&options, PMN_STATUS_REJECTED, "more rejects than the 4 allowed; the last is 05_z.jpg: read: ");
  options.max_rejects = 0;
  extract_fails(&options, PMN_STATUS_REJECTED, "00_a.jpg");
  options.max_rejects = MIXED_BAD;
  assert_int_equal(extract_counts(&options).rows, PICTURES);
}

static void too_few_for_statistics(void **state) {
  (void)state;
  pmn_extract_options options = options_for(training, "out.csv");
  options.limit = 1;
  options.statistics.with_mean = options.statistics.with_std = true;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "2 or more");
  options.statistics.with_mean = options.statistics.with_std = false;
  options.statistics.pca_components = 1;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "2 or more");
  options.limit = 0;
  options.statistics.pca_components = PICTURES + 1;
  extract_fails(&options, PMN_STATUS_ARGUMENT, "13 components were asked for, but 12 pictures");
  /* Enough were listed, too few could be read. */
  options = options_for(mixed, "out.csv");
  options.statistics.pca_components = PICTURES + MIXED_BAD;
  extract_fails(&options, PMN_STATUS_REJECTED, "12 of 20 pictures became rows");
  options.includes = (const char *const[]){"*z.jpg"};
  options.include_count = 1;
  options.statistics.pca_components = 0;
  options.statistics.pca_ratio = 0.9;
  extract_fails(&options, PMN_STATUS_REJECTED, "none of 7 pictures became a row");
}

/* Nothing but rejects is no table, whatever is asked for; the old one stays, and no journal leads there again. */
static void not_one_row(void **state) {
  (void)state;
  static const char *const outputs[] = {"out.csv", "out/"};
  for (int i = 0; i < 2; i++) {
    pmn_extract_options options = options_for(mixed, outputs[i]);
    options.limit = 3; /* 00.jpg, 00_a.jpg, 00_z.jpg */
    assert_int_equal(extract_counts(&options).rows, 1);
    options.limit = 0;
    options.includes = (const char *const[]){"*z.jpg"};
    options.include_count = 1;
    options.overwrite = true;
    shell("cd '%s' && mkdir before && cp -a out* before", folder);
    pmn_summary *summary;
    pmn_err err;
    check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "none of 7 pictures became a row");
    assert_non_null(strstr(err.message, "the first one rejected is 00_z.jpg: decode: the file is empty"));
    assert_null(strstr(err.message, "--resume"));
    shell("cd '%s' && mkdir after && mv $(ls -A | grep -v -e before -e after) after && diff -r before after", folder);
    shell("cd '%s' && rm -r before after", folder);
  }
}

/* A flag raised early, and in the last moment before the output would show. */
static void raised_flag(void **state) {
  (void)state;
  static const char *const phases[] = {"features", "fit", "project"};
  for (int i = 0; i < 3; i++) {
    for (int late = 0; late < 2; late++) {
      pmn_extract_options options = options_for(mixed, "out.npy");
      options.batch = 3;
      options.statistics.with_mean = options.statistics.with_std = i > 0;
      seen.stop_phase = phases[i];
      seen.stop_late = late == 1;
      extract_fails(&options, PMN_STATUS_INTERRUPTED, "nothing was written");
      if (late == 0) assert_true(i > 0 || seen.last.done < seen.last.total);
      assert_string_equal(seen.last.phase, phases[i]);
    }
  }
  seen.stop_phase = NULL;
}

static void raised_before_the_start(void **state) {
  (void)state;
  volatile sig_atomic_t up = 1;
  pmn_extract_options options = options_for(training, "out.npy");
  options.stop = &up;
  extract_fails(&options, PMN_STATUS_INTERRUPTED, "interrupted");
  assert_int_equal(seen.progresses + seen.messages, 0); /* nor was the network opened */
}

/* No file may grow beyond 32 KiB: rows, spool or table fail, at once or as late as the commit. */
static void full_disk(void **state) {
  (void)state;
  static const char *const outputs[] = {"out.csv", "out.npy", "out.parquet"};
  struct rlimit before, small;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 32768;
  for (int i = 0; i < 3; i++) {
    for (int spooled = 0; spooled < 2; spooled++) {
      pmn_summary *summary;
      pmn_err err;
      pmn_extract_options options = options_for(mixed, outputs[i]);
      options.statistics.with_mean = options.statistics.with_std = spooled == 1;
      options.batch = 3;
      assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
      pmn_status st = extract(&options, &summary, &err);
      assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
      assert_int_equal(st, PMN_STATUS_WRITE);
      assert_non_null(strstr(err.message, "File too large"));
      assert_non_null(strstr(err.message, spooled ? "temporary file" : outputs[i]));
      assert_string_equal(left_behind(), "");
    }
  }
}

static void overwrite_bytes(const char *path, long offset, const void *bytes, size_t size) {
  FILE *file = fopen(path, "r+b");
  if (file == NULL || fseek(file, offset, SEEK_SET) != 0 || fwrite(bytes, 1, size, file) != size || fclose(file) != 0)
    fail_msg("cannot change %s", path);
}

static void weights(void **state) {
  (void)state;
  char path[128];
  uint64_t header;
  snprintf(path, sizeof path, "%s/weights", orchard);
  assert_int_equal(seeded_mobilenet_v2_write(path), 0);
  FILE *file = fopen(path, "rb");
  assert_int_equal(fread(&header, sizeof header, 1, file), 1);
  fclose(file);
  pmn_extract_options options = options_for(training, "out.npy");
  options.features = "mobilenet_v2";
  options.weights = path;
  options.limit = 1;
  assert_int_equal(extract_counts(&options).width, 1280);
  shell("rm '%s'/out*", folder);
  /* The first layer's, finite, but sums of them are not. */
  float huge[3 * 3 * 3 * 32];
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) huge[i] = 3e38f;
  overwrite_bytes(path, (long)header + 8, huge, sizeof huge);
  options.layers = (const char *const[]){"Conv1"};
  options.layer_count = 1;
  extract_fails(&options, PMN_STATUS_REJECTED, "its features are not finite numbers");
  options.layer_count = 0;
  /* Somewhere in the middle of the tensors. */
  overwrite_bytes(path, (long)header + 8 + 4000000, &(float){NAN}, sizeof(float));
  extract_fails(&options, PMN_STATUS_MODEL, "weights");
  overwrite_bytes(path, 0, &(uint64_t){UINT64_MAX}, 8);
  extract_fails(&options, PMN_STATUS_MODEL, "weights");
  put_text(path, "");
  extract_fails(&options, PMN_STATUS_MODEL, "weights");
  unlink(path);
  extract_fails(&options, PMN_STATUS_NOT_FOUND, "weights");
}

static int descriptors(void) {
  int count = 0;
  DIR *list = opendir("/proc/self/fd");
  while (readdir(list) != NULL) count++;
  closedir(list);
  return count;
}

/* Each allocation in turn is the first of no more: NO_MEMORY, nothing left, nothing lost (the sanitizers see that). */
static void no_memory(void **state) {
  (void)state;
#if defined(__SANITIZE_THREAD__)
  enum { STEP = 17 }; /* a run takes ten times as long, and memory is not what this build looks at */
#else
  enum { STEP = 1 };
#endif
  pmn_summary *summary;
  pmn_err err;
  pmn_extract_options options = options_for(training, "right.csv");
  options.limit = 3;
  options.threads = 1;
  options.batch = 2;
  options.statistics.with_mean = options.statistics.with_std = true;
  options.statistics.pca_components = 2;
  pmn_mem_fail_after(-1);
  extract_counts(&options);
  int64_t tried = pmn_mem_fail_after(-1), failed = 0;
  print_message("%lld allocations\n", (long long)tried);
  shell("mkdir '%s/right' && mv '%s'/right.* '%s/right'", folder, folder, folder);
  int open_before = descriptors();
  for (int64_t k = 0; k < tried; k += STEP) {
    options = options_for(training, "right.csv");
    options.limit = 3;
    options.threads = 1;
    options.batch = 2;
    options.statistics.with_mean = options.statistics.with_std = true;
    options.statistics.pca_components = 2;
    pmn_mem_fail_after(k);
    pmn_status st = extract(&options, &summary, &err);
    pmn_mem_fail_after(-1);
    assert_null(strstr(seen.text, "rejected")); /* it is not the picture's fault */
    if (st == PMN_STATUS_OK) {                  /* one that can be done without */
      pmn_summary_destroy(summary);
      check_same_file(in_folder("right.csv"), in_folder("right/right.csv"));
      shell("rm '%s'/right.*", folder);
      continue;
    }
    failed++;
    if (st != PMN_STATUS_NO_MEMORY) fail_msg("allocation %lld: status %d, %s", (long long)k, (int)st, err.message);
    assert_string_equal(left_behind(), "right");
  }
  assert_int_equal(descriptors(), open_before);
  assert_true(failed > tried / STEP / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(wrong_options),
      in_fresh_folder(missing_things),
      in_fresh_folder(output_exists),
      in_fresh_folder(overwrite),
      in_fresh_folder(outputs_that_cannot_be_written),
      in_fresh_folder(rejects_where_the_output_goes),
      in_fresh_folder(pictures_that_may_not_be_left_out),
      in_fresh_folder(too_few_for_statistics),
      in_fresh_folder(not_one_row),
      in_fresh_folder(raised_flag),
      in_fresh_folder(raised_before_the_start),
      in_fresh_folder(full_disk),
      in_fresh_folder(weights),
      in_fresh_folder(no_memory),
  };
  return cmocka_run_group_tests(tests, make_orchard, remove_orchard);
}
