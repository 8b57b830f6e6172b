/* pmn_classify.h - a trained model asked about every picture: what pmn_predict and pmn_evaluate share. */
#ifndef PMN_CLASSIFY_H
#define PMN_CLASSIFY_H

#include "pmn_run.h"

#include "pmn_classifier.h"

typedef struct pmn_classify pmn_classify;
struct pmn_classify {
  pmn_run run; /* first: steps are given this */
  const pmn_classify_options *options;
  pmn_extract_options rows; /* the user's, with what the model says of features */
  pmn_classifier *model;
  int64_t *indices; /* [PMN_PERCEPTRON_BLOCK] of the rows that wait for their block to fill */
  double *x, *p;    /* [PMN_PERCEPTRON_BLOCK, width], [PMN_PERCEPTRON_BLOCK, classes] */
  int32_t waiting;
  bool wants_output; /* one must be named */
  /* The caller's. begin: the outputs are open, and the model is there. took: for every row, in order. end: after the
   * last of them. */
  pmn_status (*begin)(pmn_classify *self, pmn_err *err);
  pmn_status (*took)(pmn_classify *self, int64_t index, int32_t class_number, double probability, pmn_err *err);
  pmn_status (*end)(pmn_classify *self, pmn_err *err);
};

/* A whole run; product, wants_output and the three calls are set. self->model stays until pmn_classify_reset. */
PMN_MUST_USE pmn_status pmn_classify_run(
    pmn_classify *self, const pmn_classify_options *options, pmn_summary **summary, pmn_err *err);
void pmn_classify_reset(pmn_classify *self);
/* A file for lines of CSV, which the commit makes visible; sealed by the caller. */
PMN_MUST_USE pmn_status pmn_classify_open(pmn_classify *self, pmn_outfile **file, pmn_err *err);

#endif
