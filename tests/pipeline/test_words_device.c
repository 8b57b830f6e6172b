/* test_words_device.c - bags of words whose pictures an OpenCL device describes, on whatever device there is: the table
 * is that of the host, and the same for any batch. How exact the device is, is the matter of tests/compute. */
#include "extract_check.h"

#include <math.h>

enum { WORDS = 6, SIFT_COLUMNS = 6 + 128 };

static pmn_extract_options words_of(const char *features, const char *source, const char *output) {
  pmn_extract_options options = options_for(source, output);
  options.features = features;
  options.words = WORDS;
  options.overwrite = true;
  return options;
}

static void copy_to(char copy[512], const char *path) {
  snprintf(copy, 512, "%s", path);
}

/* Seconds that the threads of the feed have described for. Either they do it or the device, whose time is in no other
 * stage: those that take their turns on one thread are together no longer than the run. */
static double described_by_feed(const pmn_extract_options *options) {
  pmn_summary *summary;
  pmn_err err;
  double seconds = NAN, device = NAN, sum = 0;
  check_ok(extract(options, &summary, &err));
  int32_t count;
  const pmn_stage *stages = pmn_summary_stages(summary, &count);
  for (int32_t i = 0; i < count; i++) {
    if (strcmp(stages[i].name, "describe") == 0) seconds = stages[i].busy_seconds;
    if (strcmp(stages[i].name, "describe_device") == 0) device = stages[i].busy_seconds;
    static const char *const turns[] = {"start", "describe_device", "vocabulary", "words"};
    for (int t = 0; t < 4; t++) sum += strcmp(stages[i].name, turns[t]) == 0 ? stages[i].busy_seconds : 0;
  }
  assert_true((seconds > 0) != (device > 0));
  if (sum > pmn_summary_seconds(summary)) fail_msg("stages of %f s in %f s", sum, pmn_summary_seconds(summary));
  pmn_summary_destroy(summary);
  return seconds;
}

/* Learnt on the device or on the host, counted in batches of any size, with bad pictures between the good ones. */
static void one_table(const char *features) {
  char first[512], other[512], words[512];
  copy_to(first, in_folder("first.csv"));
  copy_to(words, in_folder("words.vocabulary"));
  pmn_extract_options options = words_of(features, mixed, "first.csv");
  options.save_vocabulary = words;
  assert_true(described_by_feed(&options) > 0);
  copy_to(other, in_folder("other.csv"));
  static const int32_t batches[] = {1, 5};
  for (int i = 0; i < 2; i++) {
    options = words_of(features, mixed, "other.csv");
    options.backend = "opencl";
    options.batch = batches[i];
    options.threads = 1 + i;
    assert_true(described_by_feed(&options) <= 0);
    check_same_file(other, first);
  }
  options = words_of(features, mixed, "other.csv");
  options.backend = "opencl";
  options.words = 0;
  options.vocabulary = words;
  assert_true(described_by_feed(&options) <= 0);
  check_same_file(other, first);
}

static void one_table_sift(void **state) {
  (void)state;
  one_table("sift");
}

/* Every row of the table has as many words and keypoints as the table of keypoints has rows of its picture. */
static void check_names(const char *rows, const char *keypoints) {
  char counted[512], named[512];
  copy_to(counted, in_folder("counted"));
  copy_to(named, in_folder("named"));
  shell(
      "awk -F, 'NR > 1 {s = 0; for (i = 4; i <= NF; i++) s += $i; if (s + $3) print $1, s == $3 ? s : -1}' '%s' >'%s'",
      rows, counted);
  shell("awk -F, 'NR > 1 && n[$1]++ == 0 {names[++k] = $1} END {for (i = 1; i <= k; i++) print names[i], n[names[i]]}' "
        "'%s.index.csv' >'%s'",
      keypoints, named);
  check_same_file(counted, named);
}

/* The table of keypoints, of pictures of which not all wait for the device together: each with its own picture's name,
 * and but for rounding the host's; see test_ocl_sift.c. */
static void keypoints(void **state) {
  (void)state;
  check_npy tables[2];
  char paths[2][512], names[2][512];
  for (int device = 0; device < 2; device++) {
    copy_to(names[device], in_folder(device ? "device.csv" : "host.csv"));
    copy_to(paths[device], in_folder(device ? "device.npy" : "host.npy"));
    pmn_extract_options options = words_of("sift", mixed, "rows.csv");
    options.width = options.height = 320;
    options.backend = device ? "opencl" : "cpu";
    options.save_keypoints = paths[device];
    extract_counts(&options);
    check_names(options.output, paths[device]);
    tables[device] = check_npy_read(paths[device]);
    shell("cut -d, -f1,2 '%s.index.csv' > '%s'", paths[device], names[device]);
  }
  check_same_file(names[0], names[1]);
  assert_true(tables[0].shape[0] > PICTURES && tables[0].shape[1] == SIFT_COLUMNS);
  assert_int_equal(tables[0].shape[0], tables[1].shape[0]);
  for (int64_t i = 0; i < tables[0].shape[0]; i++) {
    const float *host = (const float *)tables[0].data + i * SIFT_COLUMNS;
    const float *device = (const float *)tables[1].data + i * SIFT_COLUMNS;
    double unit = ldexp(1, (int)host[5]);
    assert_true(host[5] == device[5] && hypot(host[0] - device[0], host[1] - device[1]) <= 0.001 * unit);
    assert_true(fabs(remainder(host[3] - device[3], 360)) <= 0.1);
    for (int j = 6; j < SIFT_COLUMNS; j++) assert_true(fabsf(host[j] - device[j]) <= 1);
  }
  free(tables[0].data);
  free(tables[1].data);
}

static void blank_picture(void **state) {
  (void)state;
  char source[512];
  copy_to(source, in_folder("pictures"));
  shell("mkdir %s && cp -r %s/* %s && for i in 0 1 zz; do cp %s/tests/golden/image_solid.jpg %s/$i.jpg; done", source,
      training, source, PMN_SOURCE_DIR, source);
  int64_t blank[2];
  for (int device = 0; device < 2; device++) {
    pmn_extract_options options = words_of("sift", source, "rows.csv");
    options.batch = device ? 2 : 0; /* a batch without any keypoint, too */
    options.backend = device ? "opencl" : "cpu";
    blank[device] = extract_counts(&options).blank;
  }
  assert_true(blank[0] >= 3);
  assert_int_equal(blank[0], blank[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(one_table_sift),
      in_fresh_folder(keypoints),
      in_fresh_folder(blank_picture),
  };
  return has_opencl() ? check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard)) : 77;
}
