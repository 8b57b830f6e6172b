/* classify_check.h - what the tests of training and asking share: options for both on the orchard's pictures, runs that
 * must succeed and runs that must not. */
#ifndef CLASSIFY_CHECK_H
#define CLASSIFY_CHECK_H

#include "extract_check.h"

#include <dirent.h>

enum { KINDS = 3, VIEWS = PICTURES / KINDS };

static const int32_t hidden[] = {6};

/* Of pixels 8 x 8, to `output` in this test's folder; `source` stays where it is. */
static inline pmn_train_options train_options(const char *source, const char *output) {
  pmn_train_options options = PMN_TRAIN_OPTIONS_INIT;
  options.rows = options_for(source, output);
  options.rows.features = "pixels";
  options.rows.width = options.rows.height = 8;
  options.rows.preprocess = "unit";
  options.hidden = hidden;
  options.hidden_count = 1;
  options.held_out = 0.25;
  return options;
}

/* Before every run; the phase to stop at stays. */
static inline void forget(void) {
  const char *phase = seen.stop_phase;
  memset(&seen, 0, sizeof seen);
  seen.stop_phase = phase;
}

static inline pmn_status train(
    const pmn_train_options *options, pmn_training *made, pmn_summary **summary, pmn_err *err) {
  forget();
  *err = (pmn_err)PMN_ERR_INIT;
  *summary = (pmn_summary *)(uintptr_t)1;
  pmn_status st = pmn_train(options, made, summary, err);
  if (st != PMN_STATUS_OK && *summary != NULL) fail_msg("a failed run has a summary");
  return st;
}

/* A training that must succeed. */
static inline pmn_training trained(const pmn_train_options *options) {
  pmn_training made;
  pmn_summary *summary;
  pmn_err err;
  check_ok(train(options, &made, &summary, &err));
  pmn_summary_destroy(summary);
  return made;
}

static inline void train_fails(const pmn_train_options *options, pmn_status status, const char *text) {
  pmn_summary *summary;
  pmn_err err;
  check_fails(train(options, NULL, &summary, &err), status, text);
}

/* Only for one call: paths are those of options_for and in_folder. */
static inline pmn_classify_options classify_options(const char *source, const char *model, const char *output) {
  pmn_classify_options options = PMN_CLASSIFY_OPTIONS_INIT;
  options.rows = options_for(source, output != NULL ? output : "none");
  if (output == NULL) options.rows.output = NULL;
  options.model = in_folder(model);
  return options;
}

static inline void predicted(const pmn_classify_options *options) {
  pmn_summary *summary;
  pmn_err err = PMN_ERR_INIT;
  forget();
  check_ok(pmn_predict(options, &summary, &err));
  pmn_summary_destroy(summary);
}

static inline pmn_evaluation *evaluated(const pmn_classify_options *options, pmn_counts *counts) {
  pmn_evaluation *evaluation;
  pmn_summary *summary;
  pmn_err err = PMN_ERR_INIT;
  forget();
  check_ok(pmn_evaluate(options, &evaluation, &summary, &err));
  *counts = pmn_summary_counts(summary);
  pmn_summary_destroy(summary);
  return evaluation;
}

static inline void predict_fails(const pmn_classify_options *options, pmn_status status, const char *text) {
  pmn_summary *summary = (pmn_summary *)(uintptr_t)1;
  pmn_err err = PMN_ERR_INIT;
  forget();
  check_fails(pmn_predict(options, &summary, &err), status, text);
  assert_null(summary);
}

static inline void evaluate_fails(const pmn_classify_options *options, pmn_status status, const char *text) {
  pmn_summary *summary = (pmn_summary *)(uintptr_t)1;
  pmn_evaluation *evaluation = (pmn_evaluation *)(uintptr_t)1;
  pmn_err err = PMN_ERR_INIT;
  forget();
  check_fails(pmn_evaluate(options, &evaluation, &summary, &err), status, text);
  assert_null(summary);
  assert_null(evaluation);
}

static inline int files_in(const char *path) {
  int count = 0;
  DIR *dir = opendir(path);
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) count += entry->d_name[0] != '.' || entry->d_name[1] != 0;
  closedir(dir);
  return count - 1; /* ".." */
}

#endif
