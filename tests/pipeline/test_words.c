/* test_words.c - bags of visual words: what learning, counting and keeping words owe to each other. Whether the words
 * are good is the word of tests/stats and tests/vision; here a row must be what another path to it gives, byte for
 * byte. */
#include "extract_check.h"

#include "pmn_learn.h"

#include <math.h>

enum { WORDS = 6 };

static pmn_extract_options words_of(const char *features, const char *source, const char *output) {
  pmn_extract_options options = options_for(source, output);
  options.features = features;
  options.words = WORDS;
  options.overwrite = true;
  return options;
}

/* Rows of a finished run, and their number; free() the data. */
static float *rows_of(const pmn_extract_options *options, int64_t *count) {
  pmn_counts counts = extract_counts(options);
  assert_int_equal(counts.width, WORDS);
  check_npy rows = check_npy_read(options->output);
  *count = rows.shape[0];
  return rows.data;
}

static void copy_to(char copy[512], const char *path) {
  snprintf(copy, 512, "%s", path);
}

/* The same table for any number of threads and any batch, learnt or taken from a file, as one file or as parts. */
static void one_table(const char *features) {
  char first[512], other[512], vocabulary[512];
  copy_to(first, in_folder("first.csv"));
  copy_to(vocabulary, in_folder("words.vocabulary"));
  pmn_extract_options options = words_of(features, training, "first.csv");
  options.threads = 1;
  options.save_vocabulary = vocabulary;
  extract_counts(&options);
  copy_to(other, in_folder("other.csv"));
  options = words_of(features, training, "other.csv");
  options.threads = 3;
  options.batch = 5;
  extract_counts(&options);
  check_same_file(other, first);
  options.words = 0;
  options.vocabulary = vocabulary;
  options.batch = 1;
  extract_counts(&options);
  check_same_file(other, first);
  options.vocabulary = NULL;
  options.words = WORDS;
  /* Nothing else would show that the words depend on what was given. */
  options.seed = 1;
  extract_counts(&options);
  check_other_file(other, first);
  options.seed = 0;
  options.start = "random";
  extract_counts(&options);
  check_other_file(other, first);
}

static void one_table_sift(void **state) {
  (void)state;
  one_table("sift");
}

static void one_table_orb(void **state) {
  (void)state;
  one_table("orb");
}

/* Every keypoint is a word of its picture, and a row of the table of keypoints. */
static void every_keypoint_counts(void **state) {
  (void)state;
  char keypoints[512];
  int64_t count;
  copy_to(keypoints, in_folder("keypoints.npy"));
  pmn_extract_options options = words_of("sift", training, "rows.npy");
  options.keypoints = 7;
  options.save_keypoints = keypoints;
  float *rows = rows_of(&options, &count);
  double sum = 0;
  assert_int_equal(count, PICTURES);
  for (int64_t i = 0; i < count; i++) {
    double words = 0;
    for (int w = 0; w < WORDS; w++) words += (double)rows[i * WORDS + w];
    assert_true(words <= 7);
    sum += words;
  }
  check_npy table = check_npy_read(keypoints);
  assert_int_equal(table.shape[0], (int64_t)sum);
  assert_int_equal(table.shape[1], 6 + 128);
  float right = 0, low = 0, turned = 0;
  for (int64_t i = 0; i < table.shape[0]; i++) {
    const float *row = (const float *)table.data + i * (6 + 128);
    assert_true(row[0] >= 0 && row[0] < 100 && row[1] >= 0 && row[1] < 100); /* x and y, in pixels */
    assert_true(row[2] > 1 && row[2] < 40 && row[3] >= 0 && row[3] < 360);   /* size and angle */
    assert_true(row[4] > 0 && row[4] < 1 && row[5] >= -1 && row[5] < 5);     /* response and octave */
    right = fmaxf(right, row[0]);
    low = fmaxf(low, row[1]);
    turned = fmaxf(turned, row[3]);
    double norm = 0;
    for (int b = 0; b < 128; b++) norm += (double)row[6 + b] * (double)row[6 + b];
    assert_true(norm > 400.0 * 400.0 && norm < 600.0 * 600.0); /* 512, rounded to bytes */
  }
  assert_true(right > 50 && low > 50 && turned > 180); /* they are spread over the pictures, and directions */
  free(table.data);
  free(rows);
}

/* What weighting and norm do to a row of counts, by their formulas. */
static void weighting_and_norm(void **state) {
  (void)state;
  int64_t count;
  pmn_extract_options options = words_of("orb", training, "rows.npy");
  float *tf = rows_of(&options, &count), idf[WORDS];
  for (int w = 0; w < WORDS; w++) {
    int with = 0;
    for (int64_t i = 0; i < count; i++) with += tf[i * WORDS + w] > 0;
    idf[w] = (float)(log((1.0 + (double)count) / (1.0 + with)) + 1.0);
  }
  options.weighting = "tf-idf";
  float *weighted = rows_of(&options, &count);
  options.norm = "l2";
  float *normed = rows_of(&options, &count);
  options.norm = "l1";
  float *shares = rows_of(&options, &count);
  for (int64_t i = 0; i < count; i++) {
    double squares = 0, sum = 0;
    for (int w = 0; w < WORDS; w++) {
      int64_t at = i * WORDS + w;
      double expected = (double)(tf[at] * idf[w]);
      assert_true(fabs((double)weighted[at] - expected) <= 2e-7 * expected);
      squares += (double)weighted[at] * (double)weighted[at];
      sum += (double)weighted[at];
    }
    for (int w = 0; w < WORDS; w++) {
      int64_t at = i * WORDS + w;
      assert_true(fabs((double)normed[at] - (squares > 0 ? (double)weighted[at] / sqrt(squares) : 0)) <= 2e-7);
      assert_true(fabs((double)shares[at] - (sum > 0 ? (double)weighted[at] / sum : 0)) <= 2e-7);
    }
  }
  free(tf);
  free(weighted);
  free(normed);
  free(shares);
}

/* A picture of one colour has no keypoint: a row of zeros, told and counted. */
static void blank_picture(void **state) {
  (void)state;
  int64_t count;
  char source[512];
  copy_to(source, in_folder("pictures"));
  shell("cp -r %s %s && cp %s/tests/golden/image_solid.jpg %s/blank.jpg", training, source, PMN_SOURCE_DIR, source);
  pmn_extract_options options = words_of("sift", source, "rows.npy");
  options.norm = "l2";
  float *rows = rows_of(&options, &count);
  assert_int_equal(count, PICTURES + 1);
  int zeros = 0;
  for (int64_t i = 0; i < count; i++) {
    bool zero = true;
    for (int w = 0; w < WORDS; w++) zero = zero && rows[i * WORDS + w] == 0;
    zeros += zero;
  }
  free(rows);
  pmn_summary *summary;
  pmn_err err;
  check_ok(extract(&options, &summary, &err));
  assert_int_equal(pmn_summary_counts(summary).blank, zeros);
  json_t *record = json_loads(pmn_summary_record(summary), 0, NULL), *blank = json_object_get(record, "blank");
  assert_int_equal(json_array_size(blank), zeros);
  bool named = false;
  for (size_t i = 0; i < json_array_size(blank); i++)
    named = named || strcmp(json_string_value(json_array_get(blank, i)), "blank.jpg") == 0;
  assert_true(named);
  json_decref(record);
  pmn_summary_destroy(summary);
}

/* Words learnt on one source, rows of another; then the same words by their file. */
static void words_from_elsewhere(void **state) {
  (void)state;
  char first[512], vocabulary[512], few[512], second[512];
  copy_to(first, in_folder("first.csv"));
  copy_to(second, in_folder("second.csv"));
  copy_to(vocabulary, in_folder("words.vocabulary"));
  copy_to(few, in_folder("few"));
  shell("mkdir %s && cp -r \"%s/$(ls %s | head -n 1)\" %s", few, training, training, few);
  pmn_extract_options options = words_of("orb", few, "first.csv");
  options.fit_on = training;
  options.save_vocabulary = vocabulary;
  options.statistics.with_mean = options.statistics.with_std = true;
  assert_int_equal(extract_counts(&options).rows, PICTURES / 3);
  options = words_of("orb", few, "second.csv");
  options.words = 0;
  options.vocabulary = vocabulary;
  options.fit_on = training;
  options.statistics.with_mean = options.statistics.with_std = true;
  extract_counts(&options);
  check_same_file(second, first);
}

/* A table of keypoints is one that pmn_verify knows: its record counts keypoints, and pictures apart. */
static void keypoints_are_verified(void **state) {
  (void)state;
  static const char *const names[] = {"k.csv", "k.npy", "k.parquet"};
  for (size_t i = 0; i < 6; i++) {
    char path[512];
    pmn_err err = PMN_ERR_INIT;
    pmn_verified found;
    copy_to(path, in_folder(names[i / 2]));
    pmn_extract_options options = words_of("orb", mixed, "words.csv");
    options.save_keypoints = path;
    if (i % 2 == 1) options.words = 0;
    if (i % 2 == 1) options.output = NULL;
    pmn_counts counts = extract_counts(&options);
    pmn_verify_options asked = PMN_VERIFY_OPTIONS_INIT;
    asked.output = path;
    check_ok(pmn_verify(&asked, &found, &err));
    assert_int_equal(found.rows, counts.keypoints);
    assert_int_equal(found.rejects, 0);
  }
  char path[512];
  snprintf(path, sizeof path, "%s", in_folder("k.npy.record.json"));
  json_t *record = json_load_file(path, 0, NULL), *pictures = json_object_get(record, "pictures");
  assert_int_equal(json_integer_value(json_object_get(pictures, "rows")), PICTURES);
  assert_int_equal(json_integer_value(json_object_get(pictures, "rejects")), MIXED_BAD);
  json_decref(record);
}

/* A folder that is finished is not said to be of other pictures; and no keypoints are promised that nobody makes. */
static void keypoints_of_a_finished_folder(void **state) {
  (void)state;
  char keypoints[512];
  pmn_summary *summary;
  pmn_err err;
  copy_to(keypoints, in_folder("k.npy"));
  pmn_extract_options options = words_of("orb", training, "out/");
  options.overwrite = false;
  options.save_keypoints = keypoints;
  extract_counts(&options);
  options.resume = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "is finished already, and keypoints are made");
  options.save_keypoints = NULL;
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  assert_non_null(strstr(seen.text, "finished already: nothing is left to do"));
}

/* Without a table: the same keypoints, and nothing that only a table has. */
static void keypoints_alone(void **state) {
  (void)state;
  char first[512], second[512], rejects[512];
  copy_to(first, in_folder("first.npy"));
  copy_to(second, in_folder("second.npy"));
  copy_to(rejects, in_folder("second.npy.rejects.csv"));
  pmn_extract_options options = words_of("orb", mixed, "words.csv");
  options.save_keypoints = first;
  extract_counts(&options);
  options.output = NULL;
  options.save_keypoints = second;
  pmn_summary *summary;
  pmn_err err;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "neither words nor statistics");
  options.words = 0;
  options.statistics.with_mean = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "neither words nor statistics");
  options.statistics.with_mean = false;
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.width, 0);
  assert_int_equal(counts.rejects, MIXED_BAD);
  check_same_file(second, first);
  check_same_file(rejects, in_folder("words.csv.rejects.csv"));
  check_npy table = check_npy_read(second);
  assert_int_equal(table.shape[0], counts.keypoints);
  free(table.data);
  options.overwrite = false;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_EXISTS, "second.npy");
}

/* Pictures are described as for the words that are given, where nothing else is said; where it is, both are told. */
static void words_say_how_to_describe(void **state) {
  (void)state;
  char first[512], vocabulary[512];
  copy_to(first, in_folder("first.csv"));
  copy_to(vocabulary, in_folder("words.vocabulary"));
  pmn_extract_options options = words_of("orb", training, "first.csv");
  options.keypoints = 25;
  options.width = options.height = 80;
  options.resize = "nearest";
  options.start = "random";
  options.mini_batch = 60;
  options.seed = 5;
  options.save_vocabulary = vocabulary;
  pmn_summary *summary;
  pmn_err err;
  check_ok(extract(&options, &summary, &err));
  json_t *record = json_loads(pmn_summary_record(summary), 0, NULL);
  const char *descriptor, *resize, *start;
  int keypoints, width, height, mini_batch, seed, pictures;
  assert_int_equal(
      json_unpack(record, "{s:{s:{s:s, s:i, s:{s:i, s:i, s:s}}, s:s, s:i, s:i, s:i}}", "vocabulary", "features",
          "descriptor", &descriptor, "keypoints", &keypoints, "resized", "width", &width, "height", &height, "resize",
          &resize, "start", &start, "mini_batch", &mini_batch, "seed", &seed, "pictures", &pictures),
      0);
  assert_string_equal(descriptor, "orb");
  assert_int_equal(keypoints, 25);
  assert_true(width == 80 && height == 80 && strcmp(resize, "nearest") == 0 && strcmp(start, "random") == 0);
  assert_true(mini_batch == 60 && seed == 5 && pictures == PICTURES);
  json_decref(record);
  pmn_summary_destroy(summary);
  options = words_of("orb", training, "second.csv");
  options.words = 0;
  options.vocabulary = vocabulary;
  extract_counts(&options);
  check_same_file(in_folder("second.csv"), first);
  assert_null(strstr(seen.text, "learnt from"));
  options.overwrite = true;
  options.keypoints = 9;
  options.width = options.height = 70;
  extract_counts(&options);
  check_other_file(in_folder("second.csv"), first);
  assert_non_null(strstr(seen.text, "0 the words were learnt from 25 keypoints a picture at most, here it is 9\n"));
  assert_non_null(
      strstr(seen.text, "0 the words were learnt from pictures in 80 x 80, nearest, here they are 70 x 70, nearest\n"));
  options.keypoints = 0;
  options.width = options.height = 80;
  extract_counts(&options);
  check_same_file(in_folder("second.csv"), first);
  assert_null(strstr(seen.text, "learnt from"));
  options.width = options.height = 0;
  options.resize = "bilinear";
  extract_counts(&options);
  check_other_file(in_folder("second.csv"), first);
  assert_non_null(strstr(seen.text, "80 x 80, nearest, here they are 80 x 80, bilinear\n"));
}

/* Bad pictures end a run while its words are learnt, not behind that. */
static void rejects_while_learning(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  pmn_extract_options options = words_of("orb", mixed, "x.csv");
  options.max_rejects = MIXED_BAD - 1;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "more rejects than the 7 allowed");
  assert_string_equal(seen.phases, "describe");
  options.stop_on_error = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "stopped at the first bad picture: 00_a.jpg");
  assert_string_equal(seen.phases, "describe");
  options.stop_on_error = false;
  options.max_rejects = MIXED_BAD;
  assert_int_equal(extract_counts(&options).rejects, MIXED_BAD);
}

/* SIFT takes 1.76 MB for 100 x 100 pixels: with 2 MB no two threads describe at once, and with 1 MB none does. */
static void little_memory(void **state) {
  (void)state;
  char vocabulary[512], first[512], second[512];
  copy_to(vocabulary, in_folder("words.vocabulary"));
  copy_to(first, in_folder("first.csv"));
  copy_to(second, in_folder("second.csv"));
  pmn_extract_options options = words_of("sift", training, "first.csv");
  options.save_vocabulary = vocabulary;
  extract_counts(&options);
  options = words_of("sift", training, "second.csv");
  options.words = 0;
  options.vocabulary = vocabulary;
  options.width = options.height = 100;
  extract_counts(&options);
  copy_to(first, in_folder("third.csv"));
  options.output = first;
  options.threads = 3;
  options.statistics.memory = 2000000;
  extract_counts(&options);
  check_same_file(second, first);
  options.statistics.memory = 1000000;
  pmn_summary *summary;
  pmn_err err;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "100 x 100 pixels need 1.8");
}

static void wrong_words(void **state) {
  (void)state;
  char vocabulary[512];
  pmn_summary *summary;
  pmn_err err;
  copy_to(vocabulary, in_folder("orb.vocabulary"));
  pmn_extract_options options = words_of("orb", training, "rows.npy");
  options.save_vocabulary = vocabulary;
  extract_counts(&options);
  check_fails(extract(&(pmn_extract_options){0}, &summary, &err), PMN_STATUS_ARGUMENT, "PMN_EXTRACT_OPTIONS_INIT");
  options = words_of("sift", training, "rows.npy");
  options.words = 0;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "--words 30");
  options.vocabulary = vocabulary;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "words of orb");
  options.words = WORDS;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "not both");
  options.words = 0;
  options.save_vocabulary = vocabulary;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "nothing is learnt");
  options = words_of("sift", training, "rows.npy");
  options.words = 60000;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "60000");
  options = words_of("sift", training, "rows.npy");
  options.weighting = "idf";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "\"idf\"");
  options = words_of("sift", training, "rows.npy");
  options.norm = "l3";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "\"l3\"");
  options = words_of("sift", training, "rows.npy");
  options.start = "first";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "\"first\"");
  options = words_of("pixels", training, "rows.npy");
  options.width = options.height = 4;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "sift and orb");
  options = words_of("sift", training, "rows.npy");
  options.gray = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "grey pictures in any case");
  options = words_of("sift", training, "rows.npy");
  options.save_keypoints = in_folder("keypoints.txt");
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "keypoints.txt");
  options.save_keypoints = NULL;
  options.save_vocabulary = in_folder("rows.npy");
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "two things at once");
}

/* A vocabulary that was cut or changed is refused, whatever was changed. */
static void damaged_vocabulary(void **state) {
  (void)state;
  char vocabulary[512], damaged[512];
  size_t size;
  copy_to(vocabulary, in_folder("words.vocabulary"));
  copy_to(damaged, in_folder("damaged.vocabulary"));
  pmn_extract_options options = words_of("orb", training, "rows.npy");
  options.save_vocabulary = vocabulary;
  extract_counts(&options);
  char *bytes = read_all(vocabulary, &size);
  options = words_of("orb", training, "rows.npy");
  options.words = 0;
  options.vocabulary = damaged;
  options.limit = 1;
  for (size_t at = 0; at < size; at += size / 97 + 1) {
    for (int cut = 0; cut < 2; cut++) {
      FILE *file = fopen(damaged, "wb");
      assert_non_null(file);
      bytes[at] = (char)(bytes[at] ^ 0x20);
      assert_int_equal(fwrite(bytes, 1, cut ? at : size, file), cut ? at : size);
      bytes[at] = (char)(bytes[at] ^ 0x20);
      assert_int_equal(fclose(file), 0);
      pmn_summary *summary;
      pmn_err err;
      check_fails(extract(&options, &summary, &err), PMN_STATUS_MODEL, damaged);
    }
  }
  free(bytes);
}

/* Runs of the sample follow one another, differ by one descriptor at most, and the last ends with the last. */
static void runs_of_the_sample_cover_all(void **state) {
  (void)state;
  enum { RUNS = 10 * 1000 * 1000 };
  static const int64_t counts[] = {RUNS + 1, RUNS + 21, 2 * (int64_t)RUNS - 1, 123456789012, INT64_C(1) << 46};
  for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
    int64_t least = counts[c] / RUNS, begin = pmn_learn_border(counts[c], RUNS, 0);
    assert_int_equal(begin, 0);
    for (int64_t i = 1; i <= RUNS; i++) {
      int64_t end = pmn_learn_border(counts[c], RUNS, i);
      if (end - begin != least && end - begin != least + 1)
        fail_msg("run %d of %lld descriptors has %lld", (int)i, (long long)counts[c], (long long)(end - begin));
      begin = end;
    }
    assert_true(begin == counts[c]);
  }
}

static void interrupted(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  static const char *const phases[] = {"describe", "words", "features"};
  for (int i = 0; i < 3; i++) {
    pmn_extract_options options = words_of("sift", training, "rows.npy");
    options.save_vocabulary = in_folder("words.vocabulary");
    seen.stop_phase = phases[i];
    check_fails(extract(&options, &summary, &err), PMN_STATUS_INTERRUPTED, "interrupted");
    assert_int_equal(access(in_folder("rows.npy"), F_OK), -1);
    assert_int_equal(access(in_folder("words.vocabulary"), F_OK), -1);
  }
  seen.stop_phase = NULL;
}

/* The counts of keypoints of a piece that a broken run has kept: what makes no sense is not believed. */
static void damaged_entry(const pmn_extract_options *options, const char *name) {
  char path[512];
  json_error_t where;
  copy_to(path, in_folder(name));
  json_t *entry = json_load_file(path, 0, &where), *counts = json_object_get(entry, "keypoints");
  assert_true(json_array_size(counts) > 0);
  json_t *const wrong[] = {
      NULL, json_array(), json_pack("[i]", -1), json_pack("[s]", "3"), json_pack("[I]", INT64_MAX)};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    pmn_summary *summary;
    pmn_err err;
    json_t *changed = json_deep_copy(entry), *array = json_object_get(changed, "keypoints");
    if (i == 0)
      json_object_del(changed, "keypoints");
    else if (i == 1)
      json_array_remove(array, 0);
    else
      json_array_set(array, 0, json_array_get(wrong[i], 0));
    assert_int_equal(json_dump_file(changed, path, 0), 0);
    check_fails(extract(options, &summary, &err), PMN_STATUS_MODEL, "makes no sense");
    json_decref(changed);
    json_decref(wrong[i]);
  }
  assert_int_equal(json_dump_file(entry, path, 0), 0);
  json_decref(entry);
}

/* Blank pictures, one of them first, with a bad one at the end, whose run stops there (with words that are there: else
 * it would stop while they are learnt) and is taken up again without it: the same parts, with the same keypoints, and
 * the same blank rows as of a run that was never broken. */
static void taken_up(bool fits) {
  char source[512], vocabulary[512];
  json_t *blank[2];
  copy_to(source, in_folder("pictures"));
  copy_to(vocabulary, in_folder("words.vocabulary"));
  shell("cp -r %s %s && for i in 0 zz1 zz3; do cp %s/tests/golden/image_solid.jpg %s/$i.jpg; done && echo >%s/zz2.jpg",
      training, source, PMN_SOURCE_DIR, source, source);
  for (int broken = 0; broken < 2; broken++) {
    pmn_summary *summary;
    pmn_err err;
    pmn_extract_options options = words_of("sift", source, broken ? "broken/" : "whole/");
    options.overwrite = false;
    options.format = "csv";
    options.parts = 5;
    options.stop_on_error = broken;
    options.statistics.with_mean = options.statistics.with_std = fits;
    if (!broken) options.save_vocabulary = vocabulary;
    if (broken) {
      options.words = 0;
      options.vocabulary = vocabulary;
      check_fails(extract(&options, &summary, &err), PMN_STATUS_REJECTED, "zz2.jpg");
      options.stop_on_error = false;
      options.resume = true;
      damaged_entry(&options, fits ? ".broken.pomona/rows-00000.json" : ".broken.pomona/part-00000.json");
    }
    check_ok(extract(&options, &summary, &err));
    assert_int_equal(pmn_summary_counts(summary).restored > 0, broken);
    json_t *record = json_loads(pmn_summary_record(summary), 0, NULL);
    blank[broken] = json_incref(json_object_get(record, "blank"));
    assert_int_equal(json_array_size(blank[broken]), pmn_summary_counts(summary).blank);
    json_decref(record);
    pmn_summary_destroy(summary);
  }
  assert_true(json_array_size(blank[0]) >= 3);
  assert_true(json_equal(blank[0], blank[1]));
  json_decref(blank[0]);
  json_decref(blank[1]);
  for (int part = 0; part < 5; part++) {
    char whole[512], name[64];
    snprintf(name, sizeof name, "whole/part-%05d.csv", part);
    copy_to(whole, in_folder(name));
    snprintf(name, sizeof name, "broken/part-%05d.csv", part);
    check_same_file(in_folder(name), whole);
  }
}

static void taken_up_again(void **state) {
  (void)state;
  taken_up(false);
}

/* The rows come from the journal, and so do their keypoints. */
static void taken_up_again_before_a_fit(void **state) {
  (void)state;
  taken_up(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(one_table_sift),
      in_fresh_folder(one_table_orb),
      in_fresh_folder(every_keypoint_counts),
      in_fresh_folder(weighting_and_norm),
      in_fresh_folder(blank_picture),
      in_fresh_folder(words_from_elsewhere),
      in_fresh_folder(wrong_words),
      in_fresh_folder(little_memory),
      in_fresh_folder(keypoints_alone),
      in_fresh_folder(keypoints_are_verified),
      in_fresh_folder(keypoints_of_a_finished_folder),
      in_fresh_folder(rejects_while_learning),
      in_fresh_folder(words_say_how_to_describe),
      in_fresh_folder(damaged_vocabulary),
      cmocka_unit_test(runs_of_the_sample_cover_all),
      in_fresh_folder(interrupted),
      in_fresh_folder(taken_up_again),
      in_fresh_folder(taken_up_again_before_a_fit),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
