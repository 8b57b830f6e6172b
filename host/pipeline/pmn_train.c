/* pmn_train.c - pmn_train of pomona.h: features as for a table, but the rows go to a perceptron.
 *
 * The rows wait on the disk as the perceptron will see them, projected if they are to be. What is learnt from them, and
 * what was learnt before, words and projection, becomes one file at the end.
 */
#include "pmn_run.h"

#include "pmn_classifier.h"
#include "pmn_clock.h"
#include "pmn_learn.h"
#include "pmn_maker_words.h"
#include "pmn_mem.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

enum { HIDDEN = 100, TOLD = 10 /* times that the loss is told */ };

/* More than this share of ln(classes), the loss of guessing, has taught nothing worth a model. */
static const double HOPELESS = 0.9;

typedef struct training {
  pmn_run run; /* first: steps are given this */
  const pmn_train_options *options;
  pmn_perceptron_options learner;
  pmn_spool *rows; /* in the order of run.rows */
  pmn_classes classes;
  int32_t *labels; /* [rows] class of each */
  pmn_perceptron *made;
} training;

/* --------------------------------------------------------------------------------------------------- options -- */

static pmn_status check_tables(const pmn_extract_options *o, pmn_err *err) {
  const pmn_statistics *s = &o->statistics;
  if (o->fit_on == NULL && o->format == NULL && o->parts == 0 && !o->resume && o->pause == NULL &&
      o->save_vocabulary == NULL && s->projection == NULL && s->save_projection == NULL && s->save_moments == NULL)
    return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "a model is one file that holds everything: it is fitted on its own pictures, and nothing is saved beside it");
}

static pmn_status take_options(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_train_options *o = self->options;
  pmn_perceptron_options *p = &self->learner;
  if (o->struct_size != sizeof *o)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_train_options was not made by PMN_TRAIN_OPTIONS_INIT of this version");
  if (o->rows.output == NULL || o->rows.output[0] == '\0')
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output: name a file for the model");
  if (pmn_job_is_folder(o->rows.output))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s: a model is one file, not a folder: give it a name, like %.150sfruit.model", o->rows.output,
        o->rows.output);
  if (pmn_s3_is_uri(o->rows.output)) PMN_TRY(pmn_outfile_check(NULL, o->rows.output, "", true, err));
  PMN_TRY(check_tables(&o->rows, err));
  if (!pmn_hidden_find(o->activation != NULL ? o->activation : "sigmoid", &p->activation))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no activation is called \"%s\"; there are sigmoid and relu", o->activation);
  if (!pmn_solver_find(o->solver != NULL ? o->solver : "lbfgs", &p->solver))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no solver is called \"%s\"; there are lbfgs and adam", o->solver);
  if (o->hidden_count < -1 || o->hidden_count > PMN_HIDDEN_LAYERS_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "there can be 0 to %d hidden layers", PMN_HIDDEN_LAYERS_MAX);
  p->hidden_count = o->hidden_count < 0 ? 1 : o->hidden_count;
  if (o->hidden_count < 0) p->hidden[0] = HIDDEN;
  for (int32_t i = 0; i < o->hidden_count; i++) {
    p->hidden[i] = o->hidden[i];
    if (o->hidden[i] < 1) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a hidden layer has one neuron at least");
  }
  if (o->iterations < 0 || o->patience < 0 || !(o->penalty >= 0) || isinf(o->penalty) || !(o->held_out >= 0) ||
      o->held_out >= 1) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a number is out of range: iterations, patience and penalty from 0; the share held out from 0, below 1");
  }
  p->iterations_max = o->iterations;
  p->patience = o->patience;
  p->penalty = o->penalty;
  p->held_out = o->held_out;
  p->seed = o->rows.seed;
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- labels -- */

static const char *label_of(const pmn_run *run, int64_t index) {
  return pmn_listing_item(run->listing, index).label;
}

/* The labels of `n` pictures, those numbered by `indices` or the first n; *labels is the caller's, pmn_free. */
static pmn_status list_labels(
    const pmn_run *run, const int64_t *indices, int64_t n, const char ***labels, pmn_err *err) {
  const char **list = *labels = pmn_alloc((size_t)n, sizeof *list);
  if (list == NULL) return pmn_err_memory(err, (size_t)n * sizeof *list, "labels");
  for (int64_t i = 0; i < n; i++) list[i] = label_of(run, indices != NULL ? indices[i] : i);
  return PMN_STATUS_OK;
}

static pmn_status check_labelled(const pmn_run *run, pmn_err *err) {
  int64_t missing = 0;
  const char *first = NULL;
  for (int64_t i = run->counts.listed; i-- > 0;) {
    if (label_of(run, i)[0] != '\0') continue;
    first = pmn_listing_item(run->listing, i).key;
    missing++;
  }
  if (missing == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "%lld pictures have no label, the first is %.240s: without one there is nothing to learn from it",
      (long long)missing, first);
}

/* Bytes that the training of rows of that width may take. */
static pmn_status check_memory(const training *self, int64_t rows, int32_t width, pmn_err *err) {
  double need = pmn_perceptron_memory(rows, width, self->classes.count, &self->learner),
         limit = (double)pmn_statistics_memory(&self->run.options->statistics);
  if (need <= limit) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0,
      "training on %lld rows of %d columns needs %.4g MB of memory, but may take %.4g MB: allow more with --memory, or "
      "reduce the features with --pca",
      (long long)rows, width, need / 1e6, limit / 1e6);
}

/* What the listing tells before hours go by. */
static pmn_status check_listing(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_run *run = &self->run;
  const pmn_statistics *s = &run->options->statistics;
  const char **labels = NULL;
  int64_t *counts = NULL, most = 0;
  PMN_TRY(check_labelled(run, err));
  PMN_TRY(list_labels(run, NULL, run->counts.listed, &labels, err));
  PMN_TRY(pmn_classes_collect(labels, run->counts.listed, &self->classes, err));
  if (self->classes.count < 2) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "all %lld pictures have the label %.240s: at least two are needed",
        (long long)run->counts.listed, self->classes.names[0]);
  }
  counts = pmn_calloc((size_t)self->classes.count, sizeof *counts);
  if (counts == NULL) PMN_TRY(pmn_err_memory(err, (size_t)self->classes.count * sizeof *counts, "labels"));
  for (int64_t i = 0; i < run->counts.listed; i++) {
    int64_t count = ++counts[pmn_classes_find(&self->classes, labels[i])];
    if (count > most) most = count;
  }
  if (self->learner.held_out > 0 && (most < 2 || llround((double)most * self->learner.held_out) < 1)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "no label has more than %lld pictures, too few to hold a share of %g of them out: give another share, or 0",
        (long long)most, self->learner.held_out);
  }
  int32_t width = s->pca_ratio > 0 ? 1 : s->pca_components > 0 ? s->pca_components : run->width;
  PMN_TRY(check_memory(self, run->counts.listed, width, err));
done:
  pmn_free(labels);
  pmn_free(counts);
  return st;
}

/* Classes are the labels of pictures that became rows. */
static pmn_status number_rows(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_run *run = &self->run;
  int32_t listed = self->classes.count;
  int64_t n = run->counts.rows;
  const char **labels = NULL;
  PMN_TRY(list_labels(run, run->rows, n, &labels, err));
  pmn_classes_reset(&self->classes);
  PMN_TRY(pmn_classes_collect(labels, n, &self->classes, err));
  if (self->classes.count < 2) {
    PMN_FAIL(err, PMN_STATUS_REJECTED,
        "%lld of %lld pictures became rows, of %d labels: at least two are needed; the last one rejected is %.300s",
        (long long)n, (long long)run->counts.listed, self->classes.count, run->last_reject.message);
  }
  if (self->classes.count < listed) {
    pmn_run_message(run, PMN_LEVEL_WARNING,
        "%d of %d labels have no picture that could be read: the model does not know them",
        listed - self->classes.count, listed);
  }
  self->labels = pmn_alloc((size_t)n, sizeof *self->labels);
  if (self->labels == NULL) PMN_TRY(pmn_err_memory(err, (size_t)n * sizeof *self->labels, "labels"));
  for (int64_t i = 0; i < n; i++) self->labels[i] = pmn_classes_find(&self->classes, labels[i]);
done:
  pmn_free(labels);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ rows -- */

/* Rows as the perceptron will see them. Their width is known when the first of them comes. */
static pmn_status take_rows(void *arg, const int64_t *indices, const float *rows, int32_t n, pmn_err *err) {
  (void)indices;
  pmn_status st = PMN_STATUS_OK;
  training *self = arg;
  pmn_buf beside;
  pmn_buf_init(&beside, 1 << 16);
  if (self->rows == NULL) {
    PMN_TRY(pmn_run_scratch_path(&self->run, &beside, err));
    PMN_TRY(pmn_spool_create(beside.data, (int32_t)self->run.counts.width, &self->rows, err));
  }
  PMN_TRY(pmn_spool_append(self->rows, rows, n, err));
done:
  pmn_buf_reset(&beside);
  return st;
}

/* Every picture to a row in self->rows. */
static pmn_status make_rows(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = &self->run;
  bool fits = pmn_statistics_need_fit(&run->options->statistics);
  if (fits) PMN_TRY(pmn_statistics_open(run, run->counts.listed, err));
  PMN_TRY(pmn_features_run(run, err));
  if (!fits) goto done;
  pmn_rows rows = {
      .count = pmn_spool_count(run->spool), .width = run->width, .arg = run->spool, .read = pmn_spool_read};
  PMN_TRY(pmn_transform_fit(run, &rows, err));
  PMN_TRY(pmn_transform_run(run, &rows, err));
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------- training -- */

static void tell_loss(void *arg, int32_t iteration, double loss, double held_out_loss) {
  const training *self = arg;
  int32_t most = self->learner.iterations_max > 0 ? self->learner.iterations_max : 100, step = most / TOLD;
  if (step > 1 && iteration % step != 0) return;
  if (isnan(held_out_loss))
    pmn_run_message(&self->run, PMN_LEVEL_INFO, "iteration %d: loss %.4f", iteration, loss);
  else
    pmn_run_message(&self->run, PMN_LEVEL_INFO, "iteration %d: loss %.4f, of the rows held out %.4f", iteration, loss,
        held_out_loss);
}

static pmn_status learn(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = &self->run;
  double start = pmn_clock_seconds();
  PMN_TRY(number_rows(self, err));
  pmn_rows rows = {.count = pmn_spool_count(self->rows),
      .width = (int32_t)run->counts.width,
      .arg = self->rows,
      .read = pmn_spool_read};
  PMN_TRY(check_memory(self, rows.count, rows.width, err));
  pmn_run_progress(run, "train", 0, 0, start);
  self->learner.threads = run->threads;
  self->learner.watch = pmn_run_watch(run);
  self->learner.on_iteration = tell_loss;
  self->learner.callback_arg = self;
  PMN_TRY(pmn_perceptron_train(&rows, self->labels, self->classes.count, &self->learner, &self->made, err));
  if (self->made->loss > HOPELESS * log(self->classes.count)) {
    pmn_run_message(run, PMN_LEVEL_WARNING,
        "a loss of %.4f is hardly less than that of guessing, %.4f: try it with features that are standardised",
        self->made->loss, log(self->classes.count));
  }
done:
  run->meter.stages[PMN_STAGE_CLASSIFIER].busy_seconds += pmn_clock_seconds() - start;
  return st;
}

static pmn_status keep_model(training *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = &self->run;
  const pmn_lexicon *words = pmn_maker_look_words(run->maker);
  pmn_extract_options recipe = *run->options;
  if (words != NULL) pmn_maker_say_words(run->maker, &recipe);
  pmn_classifier_parts parts = {.features = run->features,
      .options = pmn_recipe_json(&recipe),
      .perceptron = pmn_perceptron_json(self->made, &self->learner),
      .classes = &self->classes,
      .words = words,
      .fit = run->fit,
      .made = self->made};
  run->results = json_pack(
      "{s:{s:o, s:O}}", "training", "classes", pmn_classes_json(&self->classes), "perceptron", parts.perceptron);
  if (parts.options == NULL || run->results == NULL) PMN_TRY(pmn_err_memory(err, 1, "what is known of a model"));
  PMN_TRY(pmn_classifier_save(run->options->output, run->replaces, &parts, &run->kept[run->kept_count], err));
  run->kept_count++;
done:
  json_decref(parts.options);
  json_decref(parts.perceptron);
  return st;
}

static pmn_status take_steps(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  training *self = (training *)run;
  const pmn_extract_options *o = run->options;
  PMN_TRY(take_options(self, err));
  PMN_TRY(pmn_pictures_check(o, err));
  PMN_TRY(pmn_pictures_open_maker(run, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  PMN_TRY(pmn_pictures_list(run, o->sources, o->source_count, o->limit, err));
  PMN_TRY(check_listing(self, err));
  PMN_TRY(pmn_pictures_open_device(run, err));
  PMN_TRY(pmn_learn_words(run, err));
  PMN_TRY(make_rows(self, err));
  PMN_TRY(learn(self, err));
  PMN_TRY(keep_model(self, err));
done:
  return st;
}

pmn_status pmn_train(const pmn_train_options *options, pmn_training *result, pmn_summary **summary, pmn_err *err) {
  training self = {.run = {.options = &options->rows, .product = "the model"}, .options = options};
  self.run.taker = (pmn_row_taker){take_rows, &self};
  pmn_status st = pmn_run_execute(&self.run, take_steps, summary, err);
  if (st == PMN_STATUS_OK && result != NULL) {
    const pmn_perceptron *p = self.made;
    *result = (pmn_training){.rows = p->rows,
        .held_out_rows = p->held_out_rows,
        .width = p->widths[0],
        .classes = p->widths[p->layer_count],
        .iterations = p->iterations,
        .loss = p->loss,
        .held_out_loss = p->held_out_loss};
  }
  pmn_spool_destroy(self.rows);
  pmn_classes_reset(&self.classes);
  pmn_free(self.labels);
  pmn_perceptron_destroy(self.made);
  return st;
}
