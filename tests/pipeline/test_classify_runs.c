/* test_classify_runs.c - pmn_train and pmn_evaluate beside what they give: what they tell of their time, and networks
 * whose files are elsewhere than they were. What they give is in test_classify.c. */
#include "extract_check.h"

#include "seeded_weights.h"

static const int32_t hidden[] = {6};

static pmn_train_options train_options(const char *features) {
  pmn_train_options options = PMN_TRAIN_OPTIONS_INIT;
  options.rows = options_for(training, "x.model");
  options.rows.features = features;
  options.hidden = hidden;
  options.hidden_count = 1;
  options.held_out = 0.25;
  return options;
}

static pmn_classify_options classify_options(void) {
  pmn_classify_options options = PMN_CLASSIFY_OPTIONS_INIT;
  options.rows = options_for(training, "none");
  options.rows.output = NULL;
  options.model = in_folder("x.model");
  return options;
}

static pmn_summary *trained(const pmn_train_options *options) {
  pmn_summary *summary;
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_train(options, NULL, &summary, &err));
  return summary;
}

static pmn_status evaluate(
    const pmn_classify_options *options, pmn_evaluation **evaluation, pmn_summary **summary, pmn_err *err) {
  *err = (pmn_err)PMN_ERR_INIT;
  return pmn_evaluate(options, evaluation, summary, err);
}

/* -------------------------------------------------------------------------------------------------------- time -- */

/* Seconds of a stage as the summary has them, which is what the record has too. */
static double stage_seconds(const pmn_summary *summary, const char *name) {
  int32_t count, at = 0;
  const pmn_stage *stages = pmn_summary_stages(summary, &count);
  while (at < count && strcmp(stages[at].name, name) != 0) at++;
  if (at == count) fail_msg("there is no stage %s", name);
  json_t *record = json_loads(pmn_summary_record(summary), 0, NULL);
  double told = 0;
  assert_int_equal(json_unpack(record, "{s:{s:{s:F}}}", "stages", name, "busy_seconds", &told), 0);
  assert_true(told == stages[at].busy_seconds);
  json_decref(record);
  return stages[at].busy_seconds;
}

/* These stages took time, and together no more than the run. */
static void check_stages(const pmn_summary *summary, const char *const *names, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) {
    double seconds = stage_seconds(summary, names[i]);
    if (!(seconds > 0)) fail_msg("%s took no time", names[i]);
    sum += seconds;
  }
  if (sum > pmn_summary_seconds(summary))
    fail_msg("stages of %.4f s in a run of %.4f s", sum, pmn_summary_seconds(summary));
}

/* From words to classes, step by step. On one thread nothing of this happens at the same time: only counting words and
 * adding rows up, which take their turns with the feed, are in no sum. */
static void stages_are_told(void **state) {
  (void)state;
  static const char *const learning[] = {
      "start", "read", "decode", "describe", "vocabulary", "fit", "project", "classifier"};
  static const char *const asking[] = {"start", "read", "decode", "describe"};
  pmn_train_options options = train_options("sift");
  options.rows.width = options.rows.height = 200; /* describing is most of it: twice the pass would be too much */
  options.rows.threads = 1;
  options.rows.words = 8;
  options.rows.statistics.pca_components = 3;
  pmn_summary *summary = trained(&options);
  check_stages(summary, learning, sizeof learning / sizeof *learning);
  assert_true(stage_seconds(summary, "words") > 0);
  assert_true(stage_seconds(summary, "moments") > 0);
  assert_true(stage_seconds(summary, "resize") == 0);
  assert_string_equal(pmn_summary_bound(summary), "describe");
  pmn_summary_destroy(summary);

  pmn_evaluation *evaluation;
  pmn_err err;
  pmn_classify_options asked = classify_options();
  asked.rows.threads = 1;
  check_ok(evaluate(&asked, &evaluation, &summary, &err));
  check_stages(summary, asking, sizeof asking / sizeof *asking);
  assert_true(stage_seconds(summary, "words") > 0);
  assert_true(stage_seconds(summary, "project") > 0);
  assert_true(stage_seconds(summary, "classifier") > 0);
  assert_true(stage_seconds(summary, "vocabulary") == 0); /* it is in the model, */
  assert_true(stage_seconds(summary, "fit") == 0);        /* and so is the projection */
  pmn_summary_destroy(summary);
  pmn_evaluation_destroy(evaluation);
}

/* ---------------------------------------------------------------------------------------------------- networks -- */

static void evaluate_fails(const pmn_classify_options *options, pmn_status status, const char *text) {
  pmn_summary *summary = (pmn_summary *)(uintptr_t)1;
  pmn_evaluation *evaluation = (pmn_evaluation *)(uintptr_t)1;
  pmn_err err;
  check_fails(evaluate(options, &evaluation, &summary, &err), status, text);
  assert_null(summary);
  assert_null(evaluation);
}

/* All 12 pictures, learnt by heart, are known again. */
static void check_known(const pmn_classify_options *options) {
  pmn_summary *summary;
  pmn_evaluation *evaluation;
  pmn_err err;
  check_ok(evaluate(options, &evaluation, &summary, &err));
  assert_int_equal(pmn_evaluation_get(evaluation).correct, PICTURES);
  pmn_summary_destroy(summary);
  pmn_evaluation_destroy(evaluation);
}

/* A model that standardises and projects nothing: its file has no components between scales and weights. */
static void standardised_alone(void **state) {
  (void)state;
  pmn_train_options options = train_options("pixels");
  options.rows.width = options.rows.height = 8;
  options.rows.statistics.with_mean = options.rows.statistics.with_std = true;
  options.held_out = 0;
  pmn_summary_destroy(trained(&options));
  pmn_classify_options asked = classify_options();
  check_known(&asked);
}

/* The network of the model, given anew: where it was, elsewhere, and under another name. */
static void a_moved_onnx_file(void **state) {
  (void)state;
  static const char exports[] = PMN_SOURCE_DIR "/tests/golden/onnx_exports";
  char here[512], there[512];
  snprintf(here, sizeof here, "%s/net.onnx", folder);
  snprintf(there, sizeof there, "%s/elsewhere.onnx", folder);
  shell("cp '%s/mobilenet_v2_op10.onnx' '%s'", exports, here);
  pmn_train_options options = train_options(here);
  options.rows.preprocess = "unit";
  options.held_out = 0;
  pmn_summary_destroy(trained(&options));
  pmn_classify_options asked = classify_options();
  check_known(&asked);
  asked.rows.weights = here;
  check_known(&asked);
  assert_int_equal(rename(here, there), 0);
  evaluate_fails(&asked, PMN_STATUS_NOT_FOUND, "net.onnx");
  asked.rows.weights = there;
  check_known(&asked);
  asked.rows.weights = in_folder("x.model");
  evaluate_fails(&asked, PMN_STATUS_ARGUMENT, "its network is an .onnx file");
  asked.rows.weights = NULL;
  evaluate_fails(&asked, PMN_STATUS_NOT_FOUND, "if it is elsewhere now, say where with --weights");
  shell("cp '%s/squeezenet_op8.onnx' '%s'", exports, here);
  evaluate_fails(&asked, PMN_STATUS_ARGUMENT, "x.model was made for features of");
}

/* The same for weights of a network that has none inside. */
static void moved_weights(void **state) {
  (void)state;
  char here[512], there[512];
  snprintf(here, sizeof here, "%s/here.safetensors", folder);
  snprintf(there, sizeof there, "%s/there.safetensors", folder);
  assert_int_equal(seeded_mobilenet_v2_write(here), 0);
  pmn_train_options options = train_options("mobilenet_v2");
  options.rows.weights = here;
  options.rows.width = options.rows.height = 32;
  options.rows.statistics.with_mean = options.rows.statistics.with_std = true;
  options.held_out = 0;
  pmn_summary_destroy(trained(&options));
  pmn_classify_options asked = classify_options();
  check_known(&asked);
  asked.rows.weights = here;
  check_known(&asked);
  assert_int_equal(rename(here, there), 0);
  asked.rows.weights = NULL;
  evaluate_fails(&asked, PMN_STATUS_NOT_FOUND, "if it is elsewhere now, say where with --weights");
  asked.rows.weights = there;
  check_known(&asked);
  shell("printf '\\001' | dd of='%s' bs=1 seek=200000 conv=notrunc 2>/dev/null", there);
  evaluate_fails(&asked, PMN_STATUS_ARGUMENT, "mobilenet_v2 with other weights");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(stages_are_told),
      in_fresh_folder(standardised_alone),
      in_fresh_folder(a_moved_onnx_file),
      in_fresh_folder(moved_weights),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
