/* test_classify.c - pmn_train, pmn_evaluate and pmn_predict on pictures of pomona-orchard: what they give, that the
 * same bits come of any number of threads, and what is refused. How good the models are, judge_classify.py asks. */
#include "check_store.h"
#include "classify_check.h"

#include "pmn_classifier.h"
#include "pmn_mem.h"

#include <math.h>

/* ------------------------------------------------------------------------------------------------------- good -- */

/* What is in the evaluation adds up; every row is right. */
static void check_all_right(const pmn_evaluation *evaluation) {
  pmn_evaluation_totals totals = pmn_evaluation_get(evaluation);
  int32_t count, unseen;
  const pmn_class_scores *classes = pmn_evaluation_classes(evaluation, &count);
  const int64_t *confusion = pmn_evaluation_confusion(evaluation);
  assert_int_equal(count, KINDS);
  assert_int_equal(totals.rows, PICTURES);
  assert_int_equal(totals.correct, PICTURES);
  assert_int_equal(totals.unseen_rows, 0);
  assert_true(totals.accuracy == 1.0);
  pmn_evaluation_unseen(evaluation, &unseen);
  assert_int_equal(unseen, 0);
  for (int32_t i = 0; i < count; i++) {
    assert_int_equal(classes[i].rows, VIEWS);
    assert_true(classes[i].precision == 1.0 && classes[i].recall == 1.0);
    if (i > 0) assert_true(strcmp(classes[i - 1].label, classes[i].label) < 0);
    for (int32_t j = 0; j < count; j++) assert_int_equal(confusion[i * count + j], i == j ? VIEWS : 0);
  }
}

/* 12 pictures that were learnt by heart are known again. */
static void pixels_are_learnt(void **state) {
  (void)state;
  pmn_train_options options = train_options(training, "pixels.model");
  pmn_training made = trained(&options);
  assert_int_equal(made.classes, KINDS);
  assert_int_equal(made.rows, PICTURES - KINDS);
  assert_int_equal(made.held_out_rows, KINDS);
  assert_int_equal(made.width, 8 * 8 * 3);
  assert_in_range(made.iterations, 1, 100);
  assert_true(made.loss < 0.5 && made.held_out_loss >= 0);
  assert_string_equal(seen.phases, "features train");
  assert_non_null(strstr(seen.text, "iteration 10: loss "));
  options.held_out = 0;
  options.rows.overwrite = true;
  made = trained(&options);
  assert_int_equal(made.rows, PICTURES);
  assert_true(isnan(made.held_out_loss));
  assert_int_equal(files_in(folder), 1);

  pmn_counts counts;
  pmn_classify_options asked = classify_options(training, "pixels.model", NULL);
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  check_all_right(evaluation);
  pmn_evaluation_destroy(evaluation);
  assert_int_equal(counts.rows, PICTURES);
  assert_int_equal(files_in(folder), 1);
}

/* Lines of the table, each of which has a probability; *blank, where words are counted, are those without a keypoint.
 */
static int64_t check_predictions(const char *path, const char *first, int64_t *blank) {
  size_t size;
  int64_t lines = 0;
  char *text = read_all(path, &size), *line = strtok(text, "\n");
  assert_string_equal(line, blank != NULL ? "path,label,class,probability,keypoints" : "path,label,class,probability");
  while ((line = strtok(NULL, "\n")) != NULL) {
    char *end, *comma = strrchr(line, ',');
    if (blank != NULL) {
      *blank += strtol(comma + 1, &end, 10) == 0;
      if (*end != '\0' || end == comma + 1) fail_msg("%s", line);
      *comma = '\0';
      comma = strrchr(line, ',');
    }
    double p = strtod(comma + 1, &end);
    if (*end != '\0' || !(p > 1.0 / KINDS && p <= 1.0)) fail_msg("%s", line);
    if (lines++ == 0 && strncmp(line, first, strlen(first)) != 0) fail_msg("%s is not %s", line, first);
  }
  free(text);
  return lines;
}

/* Any bytes make a label: it comes back as tables have it, in the matrix and in the predictions. */
static void labels_of_any_bytes(void **state) {
  (void)state;
  char pictures[128], name[160];
  snprintf(pictures, sizeof pictures, "%s/pictures", folder);
  shell("cp -r '%s' '%s'", training, pictures);
  shell("cd '%s' && set -- * && mv \"$1\" \"$(printf '0\\377\\\\x,\"')\" && mv \"$2\" \"$(printf 'A\\303\\274')\"",
      pictures);
  pmn_train_options options = train_options(pictures, "bytes.model");
  options.held_out = 0;
  trained(&options);
  pmn_classify_options asked = classify_options(pictures, "bytes.model", "out.csv");
  predicted(&asked);
  snprintf(name, sizeof name, "%s/out.csv", folder);
  size_t size;
  char *text = read_all(name, &size);
  if (strstr(text, ",\"0\\xFF\\\\x,\"\"\",\"0\\xFF\\\\x,\"\"\",") == NULL) fail_msg("%s", text);
  free(text);
  asked = classify_options(pictures, "bytes.model", "scores.csv");
  pmn_counts counts;
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  check_all_right(evaluation);
  int32_t count;
  assert_string_equal(pmn_evaluation_classes(evaluation, &count)[0].label, "0\xff\\x,\"");
  assert_string_equal(pmn_evaluation_classes(evaluation, &count)[1].label, "A\xc3\xbc");
  pmn_evaluation_destroy(evaluation);
  text = read_all(in_folder("scores.csv"), &size);
  static const char head[] = "measure,label,class,value\naccuracy,,,1.0\npictures,\"0\\xFF\\\\x,\"\"\",,4\nprecision,"
                             "\"0\\xFF\\\\x,\"\"\",,1.0\n";
  if (strncmp(text, head, sizeof head - 1) != 0) fail_msg("%s", text);
  assert_non_null(strstr(text, "\nconfusion,\"0\\xFF\\\\x,\"\"\",A\xc3\xbc,0\n"));
  free(text);
}

static const char *const described[] = {"sift", "orb"};

/* The same file, and the same table, whatever the threads and the batch; words and projection are in it. */
static void threads_change_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    pmn_train_options options = train_options(training, "one.model");
    if (i < 2) {
      options.rows.features = described[i];
      options.rows.width = options.rows.height = 0;
      options.rows.preprocess = NULL;
      options.rows.words = 8;
      options.rows.weighting = "tf-idf";
      options.rows.norm = "l2";
    }
    options.rows.statistics.with_mean = options.rows.statistics.with_std = true;
    options.rows.statistics.pca_components = 3;
    options.rows.seed = 7;
    options.rows.threads = options.rows.batch = 1;
    options.rows.overwrite = true;
    trained(&options);
    char two[512];
    snprintf(two, sizeof two, "%s/two.model", folder);
    options.rows.output = two;
    options.rows.threads = 2;
    options.rows.batch = 5;
    trained(&options);
    check_same_file(in_folder("two.model"), in_folder("one.model"));

    pmn_classify_options asked = classify_options(training, "one.model", "one.csv");
    asked.rows.threads = asked.rows.batch = 1;
    asked.rows.overwrite = true;
    predicted(&asked);
    asked = classify_options(training, "two.model", "two.csv");
    asked.rows.batch = 5;
    asked.rows.overwrite = true;
    predicted(&asked);
    check_same_file(in_folder("two.csv"), in_folder("one.csv"));
    int64_t blank = 0;
    assert_int_equal(check_predictions(in_folder("one.csv"), "", i < 2 ? &blank : NULL), PICTURES);
    assert_int_equal(blank, i == 1 ? 4 : 0); /* ORB sees nothing in four of them */

    options.rows.seed = 8;
    trained(&options);
    check_other_file(in_folder("two.model"), in_folder("one.model"));
  }
}

static void describe_small(pmn_extract_options *rows) {
  rows->features = "sift";
  rows->preprocess = NULL;
  rows->words = 6;
  rows->keypoints = 20;
  rows->width = rows->height = 80;
  rows->resize = "bilinear";
}

/* A vocabulary of another run is in the model too: the file may go. With it comes how its pictures were described, so
 * that the model answers as one that has learnt the same words itself. */
static void a_vocabulary_moves_in(void **state) {
  (void)state;
  char words[512], first[512];
  snprintf(first, sizeof first, "%s/first.csv", folder);
  snprintf(words, sizeof words, "%s/words", folder);
  pmn_extract_options rows = options_for(training, "rows.npy");
  describe_small(&rows);
  rows.save_vocabulary = words;
  assert_int_equal(extract_counts(&rows).width, 6);
  pmn_train_options options = train_options(training, "words.model");
  options.rows.features = "sift";
  options.rows.width = options.rows.height = 0;
  options.rows.preprocess = NULL;
  options.rows.vocabulary = words;
  assert_int_equal(trained(&options).width, 6);
  assert_int_equal(remove(words), 0);
  pmn_classify_options asked = classify_options(training, "words.model", "first.csv");
  predicted(&asked);
  options = train_options(training, "own.model");
  describe_small(&options.rows);
  trained(&options);
  asked = classify_options(training, "own.model", "second.csv");
  predicted(&asked);
  check_same_file(in_folder("second.csv"), first);
}

/* A picture without a keypoint gets a class as any other; that nothing was seen of it is told. */
static void blank_pictures_are_told(void **state) {
  (void)state;
  char pictures[128];
  snprintf(pictures, sizeof pictures, "%s/pictures", folder);
  shell("cp -r '%s' '%s'", training, pictures);
  shell("cd '%s' && set -- * && cp %s/tests/golden/image_solid.jpg \"$2\" && mkdir Unseen && cp \"$2/image_solid.jpg\" "
        "Unseen",
      pictures, PMN_SOURCE_DIR);
  pmn_train_options options = train_options(training, "words.model");
  describe_small(&options.rows);
  trained(&options);
  pmn_counts counts;
  int64_t blank = 0;
  pmn_classify_options asked = classify_options(pictures, "words.model", "scores.csv");
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  int32_t count;
  assert_int_equal(counts.blank, 2);
  assert_int_equal(pmn_evaluation_get(evaluation).blank_rows, 1);
  assert_int_equal(pmn_evaluation_get(evaluation).rows, PICTURES + 1);
  const pmn_class_scores *classes = pmn_evaluation_classes(evaluation, &count);
  for (int32_t i = 0; i < count; i++) assert_int_equal(classes[i].blank, i == 1);
  assert_int_equal(pmn_evaluation_unseen(evaluation, &count)[0].blank, 1);
  char line[256];
  size_t size;
  char *text = read_all(in_folder("scores.csv"), &size);
  for (int32_t i = 0; i < KINDS; i++) {
    snprintf(line, sizeof line, "\nblank,%s,,%d\n", classes[i].label, i == 1);
    assert_non_null(strstr(text, line));
  }
  free(text);
  pmn_evaluation_destroy(evaluation);
  asked = classify_options(pictures, "words.model", "classes.csv");
  predicted(&asked);
  assert_int_equal(check_predictions(in_folder("classes.csv"), "", &blank), PICTURES + 2);
  assert_int_equal(blank, 2);
}

/* Labels that the training did not see are in no other number. */
static void unseen_labels_are_apart(void **state) {
  (void)state;
  char pictures[128];
  snprintf(pictures, sizeof pictures, "%s/pictures", folder);
  pmn_train_options options = train_options(training, "pixels.model");
  options.held_out = 0;
  trained(&options);
  shell("cp -r '%s' '%s'", training, pictures);
  shell("cd '%s' && set -- * && mv \"$2\" Zzz && mkdir Yyy && set -- Zzz/* && mv \"$1\" Yyy", pictures);
  pmn_counts counts;
  pmn_classify_options asked = classify_options(pictures, "pixels.model", NULL);
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  pmn_evaluation_totals totals = pmn_evaluation_get(evaluation);
  int32_t count;
  const pmn_class_scores *unseen = pmn_evaluation_unseen(evaluation, &count);
  assert_int_equal(count, 2);
  assert_string_equal(unseen[0].label, "Yyy");
  assert_string_equal(unseen[1].label, "Zzz");
  assert_int_equal(unseen[0].rows, 1);
  assert_int_equal(unseen[1].rows, VIEWS - 1);
  assert_int_equal(totals.unseen_rows, VIEWS);
  assert_int_equal(totals.rows, PICTURES - VIEWS);
  assert_int_equal(totals.correct, PICTURES - VIEWS);
  assert_true(totals.accuracy == 1.0);
  const pmn_class_scores *classes = pmn_evaluation_classes(evaluation, &count);
  assert_int_equal(count, KINDS);
  assert_int_equal(classes[1].rows, 0);
  assert_true(isnan(classes[1].recall) && isnan(classes[1].precision));
  assert_true(classes[0].precision == 1.0);
  pmn_evaluation_destroy(evaluation);
  asked = classify_options(pictures, "pixels.model", NULL);
  asked.rows.label_level = 5; /* no labels at all */
  evaluate_fails(&asked, PMN_STATUS_NOT_FOUND,
      "none of 12 pictures has a label that the model knows: the first picture's is missing,");
  assert_string_equal(seen.phases, ""); /* not after hours */
  asked = classify_options(pictures, "pixels.model", NULL);
  asked.rows.label_level = -2;
  evaluate_fails(&asked, PMN_STATUS_NOT_FOUND, "the first picture's is \"pictures\", the model's first is");
  shell("cd '%s' && for f in [!YZ]*/*; do echo text > \"$f\"; done", pictures);
  asked = classify_options(pictures, "pixels.model", NULL);
  evaluate_fails(
      &asked, PMN_STATUS_REJECTED, "of the pictures whose labels the model knows none could be read; the first");
}

/* A picture of the first kind among those of the second is a mistake of the model, and has its place. */
static void mistakes_have_their_place(void **state) {
  (void)state;
  char pictures[128];
  snprintf(pictures, sizeof pictures, "%s/pictures", folder);
  pmn_train_options options = train_options(training, "pixels.model");
  options.held_out = 0;
  trained(&options);
  shell("cp -r '%s' '%s'", training, pictures);
  shell("cd '%s' && set -- * && mv \"$1/0_100.jpg\" \"$2/strange.jpg\"", pictures);
  pmn_counts counts;
  int32_t count;
  pmn_classify_options asked = classify_options(pictures, "pixels.model", "scores.csv");
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  const pmn_class_scores *classes = pmn_evaluation_classes(evaluation, &count);
  static const int64_t confusion[] = {VIEWS - 1, 0, 0, 1, VIEWS, 0, 0, 0, VIEWS};
  assert_memory_equal(pmn_evaluation_confusion(evaluation), confusion, sizeof confusion);
  assert_int_equal(pmn_evaluation_get(evaluation).correct, PICTURES - 1);
  assert_true(classes[0].precision == 3.0 / 4 && classes[0].recall == 1.0);
  assert_true(classes[1].precision == 1.0 && classes[1].recall == 4.0 / 5);
  size_t size;
  char *text = read_all(in_folder("scores.csv"), &size);
  const char *a = classes[0].label, *b = classes[1].label;
  char expected[512];
  snprintf(expected, sizeof expected, "\nprecision,%s,,0.75\nrecall,%s,,1.0\n", a, a);
  if (strstr(text, expected) == NULL) fail_msg("no %s in %s", expected, text);
  snprintf(expected, sizeof expected, "\nconfusion,%s,%s,1\nconfusion,%s,%s,4\n", b, a, b, b);
  if (strstr(text, expected) == NULL) fail_msg("no %s in %s", expected, text);
  pmn_evaluation_destroy(evaluation);
  free(text);
}

/* Pictures that cannot be read are rejects everywhere, and the classes are those of the others. */
static void rejects(void **state) {
  (void)state;
  char list[512];
  pmn_train_options options = train_options(mixed, "mixed.model");
  options.rows.label_regex = "^(.)";
  options.held_out = 0;
  pmn_summary *summary;
  pmn_training made;
  pmn_err err;
  check_ok(train(&options, &made, &summary, &err));
  assert_int_equal(pmn_summary_counts(summary).rejects, MIXED_BAD);
  assert_int_equal(made.rows, PICTURES);
  assert_int_equal(made.classes, 2);
  snprintf(list, sizeof list, "%s/mixed.model.rejects.csv", folder);
  assert_string_equal(pmn_summary_rejects_path(summary), list);
  pmn_summary_destroy(summary);

  pmn_counts counts;
  pmn_classify_options asked = classify_options(mixed, "mixed.model", NULL);
  asked.rows.label_regex = "^(.)";
  pmn_evaluation *evaluation = evaluated(&asked, &counts);
  assert_int_equal(counts.rejects, MIXED_BAD);
  assert_int_equal(pmn_evaluation_get(evaluation).rows, PICTURES);
  pmn_evaluation_destroy(evaluation);
  assert_int_equal(files_in(folder), 2); /* without an output no list of rejects */
  asked = classify_options(mixed, "mixed.model", "out.csv");
  predicted(&asked);
  check_same_file(in_folder("out.csv.rejects.csv"), list);
  assert_int_equal(check_predictions(in_folder("out.csv"), "00.jpg,mixed,", NULL), PICTURES);

  options.rows.max_rejects = 3;
  options.rows.overwrite = true;
  train_fails(&options, PMN_STATUS_REJECTED, "more rejects than the 3 allowed");
  options.rows.max_rejects = -1;
  options.rows.label_regex = "^[0-9]*(_|.)"; /* the bad ones have a label that no good one has */
  assert_int_equal(remove(list), 0);
  train_fails(&options, PMN_STATUS_REJECTED, "of 1 labels: at least two are needed");
}

/* --------------------------------------------------------------------------------------------------------- bad -- */

static void wrong_options(void **state) {
  (void)state;
  static const int32_t none[] = {6, 0};
  const pmn_train_options good = train_options(training, "x.model");
  pmn_train_options o = good;
  o.struct_size = 1;
  train_fails(&o, PMN_STATUS_ARGUMENT, "PMN_TRAIN_OPTIONS_INIT");
  o = good, o.rows.struct_size = 1;
  train_fails(&o, PMN_STATUS_ARGUMENT, "PMN_EXTRACT_OPTIONS_INIT");
  o = good, o.rows.output = NULL;
  train_fails(&o, PMN_STATUS_ARGUMENT, "no output");
  o = good, o.rows.fit_on = "x";
  train_fails(&o, PMN_STATUS_ARGUMENT, "fitted on its own pictures");
  o = good, o.rows.statistics.save_projection = "x";
  train_fails(&o, PMN_STATUS_ARGUMENT, "nothing is saved beside it");
  o = good, o.activation = "tanh";
  train_fails(&o, PMN_STATUS_ARGUMENT, "\"tanh\"");
  o = good, o.solver = "sgd";
  train_fails(&o, PMN_STATUS_ARGUMENT, "\"sgd\"");
  o = good, o.hidden_count = 17;
  train_fails(&o, PMN_STATUS_ARGUMENT, "0 to 16");
  o = good, o.hidden = none, o.hidden_count = 2;
  train_fails(&o, PMN_STATUS_ARGUMENT, "one neuron");
  o = good, o.held_out = 1;
  train_fails(&o, PMN_STATUS_ARGUMENT, "out of range");
  o = good, o.penalty = NAN;
  train_fails(&o, PMN_STATUS_ARGUMENT, "out of range");
  o = good, o.held_out = 0.1;
  train_fails(&o, PMN_STATUS_ARGUMENT, "no label has more than 4 pictures, too few");
  o = good, o.rows.label_regex = "^x";
  train_fails(&o, PMN_STATUS_ARGUMENT, "12 pictures have no label, the first is ");
  o = good, o.rows.label_level = -2;
  train_fails(&o, PMN_STATUS_ARGUMENT, "all 12 pictures have the label Training");
  o = good, o.rows.statistics.memory = 1000;
  train_fails(&o, PMN_STATUS_NO_MEMORY, "training on 12 rows of 192 columns");
  o = good, o.rows.output = "/nowhere/x.model";
  train_fails(&o, PMN_STATUS_WRITE, "/nowhere");
  o = good, o.rows.output = "models/";
  train_fails(&o, PMN_STATUS_ARGUMENT, "models/: a model is one file, not a folder: give it a name, like models/fruit");
  o = good, o.rows.output = folder;
  train_fails(&o, PMN_STATUS_WRITE, "it is a folder; give the name of a file");
  o = good, o.rows.output = "s3://bucket/x.model";
  train_fails(&o, PMN_STATUS_ARGUMENT, "written to a disk, not to a bucket: name one there, and copy it afterwards");
  assert_int_equal(files_in(folder), 0);

  trained(&good);
  train_fails(&good, PMN_STATUS_EXISTS, "x.model");
  assert_string_equal(seen.phases, ""); /* not after hours */
  pmn_classify_options p = classify_options(training, "x.model", "out.csv");
  const pmn_classify_options fine = p;
  p.struct_size = 1;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "PMN_CLASSIFY_OPTIONS_INIT");
  p = fine, p.model = NULL;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "no model");
  p = fine, p.rows.output = NULL;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "no output");
  p = fine, p.rows.output = "x.parquet";
  predict_fails(&p, PMN_STATUS_ARGUMENT, "CSV");
  p = fine, p.rows.features = "pixels";
  predict_fails(&p, PMN_STATUS_ARGUMENT, "those of the model");
  p = fine, p.rows.seed = 1;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "those of the model");
  p = fine, p.rows.statistics.pca_components = 2;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "those of the model");
  p = fine, p.rows.weights = "w.safetensors";
  predict_fails(&p, PMN_STATUS_ARGUMENT, "pixels have none");
  p = fine, p.model = "missing.model";
  predict_fails(&p, PMN_STATUS_NOT_FOUND, "missing.model");
  p = fine, p.model = "s3://bucket/x.model";
  predict_fails(&p, PMN_STATUS_ARGUMENT, "x.model: only a file on a disk can be read as a model: copy it first");
  p = fine, p.rows.rejects = p.model, p.rows.overwrite = true;
  predict_fails(&p, PMN_STATUS_ARGUMENT, "x.model");
  assert_int_equal(files_in(folder), 1);
  predicted(&fine);
  predict_fails(&fine, PMN_STATUS_EXISTS, "out.csv");
}

/* A training that ends early leaves the old model as it was, and nothing else. */
static void interrupted(void **state) {
  (void)state;
  static const char *const phases[] = {"describe", "words", "features", "fit", "project", "train"};
  pmn_train_options options = train_options(training, "x.model");
  options.rows.features = "orb";
  options.rows.width = options.rows.height = 0;
  options.rows.preprocess = NULL;
  options.rows.words = 8;
  options.rows.statistics.pca_components = 3;
  for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
    seen.stop_phase = phases[i];
    train_fails(&options, PMN_STATUS_INTERRUPTED, "interrupted");
    if (strstr(seen.phases, phases[i]) == NULL) fail_msg("there was no phase %s: %s", phases[i], seen.phases);
    assert_int_equal(files_in(folder), 0);
    assert_null(strstr(seen.text, "iteration"));
  }
  seen.stop_phase = NULL;
  put_text(in_folder("x.model"), "old");
  options.rows.overwrite = true;
  seen.stop_phase = "train";
  train_fails(&options, PMN_STATUS_INTERRUPTED, "interrupted");
  check_text(in_folder("x.model"), "old");
  seen.stop_phase = NULL;
  trained(&options);
  seen.stop_phase = "features";
  pmn_classify_options asked = classify_options(training, "x.model", "out.csv");
  predict_fails(&asked, PMN_STATUS_INTERRUPTED, "interrupted");
  assert_int_equal(files_in(folder), 1);
}

/* For want of memory, wherever, nothing is left and everything is freed. */
static void every_allocation_may_fail(void **state) {
  (void)state;
  pmn_train_options options = train_options(training, "x.model");
  options.rows.statistics.pca_components = 3;
  options.rows.threads = 1;
  options.rows.on_message = NULL;
  options.rows.on_progress = NULL;
  forget();
  pmn_status status = PMN_STATUS_NO_MEMORY;
  for (int64_t k = 0; status != PMN_STATUS_OK; k += k < 60 ? 1 : 7) {
    pmn_summary *summary = NULL;
    pmn_err err = PMN_ERR_INIT;
    pmn_mem_fail_after(k);
    status = pmn_train(&options, NULL, &summary, &err);
    pmn_mem_fail_after(-1);
    pmn_summary_destroy(summary);
    if (status != PMN_STATUS_OK && status != PMN_STATUS_NO_MEMORY)
      fail_msg("allocation %d: %d %s", (int)k, (int)status, err.message);
    if (status != PMN_STATUS_OK) assert_int_equal(files_in(folder), 0);
  }
  status = PMN_STATUS_NO_MEMORY;
  for (int64_t k = 0; status != PMN_STATUS_OK; k += k < 60 ? 1 : 7) {
    pmn_summary *summary = NULL;
    pmn_evaluation *evaluation = NULL;
    pmn_err err = PMN_ERR_INIT;
    pmn_classify_options asked = classify_options(training, "x.model", "out.csv");
    asked.rows.on_message = NULL;
    asked.rows.on_progress = NULL;
    pmn_mem_fail_after(k);
    status = pmn_evaluate(&asked, &evaluation, &summary, &err);
    pmn_mem_fail_after(-1);
    pmn_summary_destroy(summary);
    pmn_evaluation_destroy(evaluation);
    if (status != PMN_STATUS_OK && status != PMN_STATUS_NO_MEMORY)
      fail_msg("allocation %d: %d %s", (int)k, (int)status, err.message);
    if (status != PMN_STATUS_OK) assert_int_equal(files_in(folder), 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(pixels_are_learnt),
      in_fresh_folder(labels_of_any_bytes),
      in_fresh_folder(threads_change_nothing),
      in_fresh_folder(a_vocabulary_moves_in),
      in_fresh_folder(blank_pictures_are_told),
      in_fresh_folder(unseen_labels_are_apart),
      in_fresh_folder(mistakes_have_their_place),
      in_fresh_folder(rejects),
      in_fresh_folder(wrong_options),
      in_fresh_folder(interrupted),
      in_fresh_folder(every_allocation_may_fail),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
