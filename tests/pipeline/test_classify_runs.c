/* test_classify_runs.c - pmn_train and pmn_evaluate beside what they give: models of every kind that come back from their
 * files. What they give is in test_classify.c. */
#include "extract_check.h"

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

/* ------------------------------------------------------------------------------------------------------ models -- */

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

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(standardised_alone),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
