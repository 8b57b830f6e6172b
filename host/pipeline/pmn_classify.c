/* pmn_classify.c - see pmn_classify.h. Rows go to the perceptron PMN_PERCEPTRON_BLOCK together, wherever the batches
 * end: so its bits depend on neither batch nor threads. */
#include "pmn_classify.h"

#include "pmn_clock.h"
#include "pmn_json.h"
#include "pmn_maker_words.h"
#include "pmn_mem.h"
#include "pmn_record.h"
#include "pmn_store.h"
#include "pmn_text.h"

#include <jansson.h>

static pmn_status check(const pmn_classify_options *options, bool wants_output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_extract_options o = options->rows;
  const pmn_statistics *s = &o.statistics;
  if (options->struct_size != sizeof *options)
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "pmn_classify_options was not made by PMN_CLASSIFY_OPTIONS_INIT of this version");
  if (options->model == NULL || options->model[0] == '\0')
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no model: name a file of pomona train with --model");
  if (wants_output && (o.output == NULL || o.output[0] == '\0'))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no output: name a .csv file");
  o.weights = NULL;
  if (pmn_recipe_is_set(&o) || o.vocabulary != NULL || o.save_vocabulary != NULL || o.start != NULL ||
      o.mini_batch != 0 || o.seed != 0 || o.fit_on != NULL || o.format != NULL || o.parts != 0 || o.resume ||
      o.pause != NULL || pmn_statistics_need_fit(s) || s->projection != NULL || s->save_projection != NULL ||
      s->save_moments != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "the features are those of the model: beside pictures, output and running only weights can be given");
  }
  if (o.output != NULL && !pmn_text_ends(o.output, ".csv"))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s: what is written is CSV; name a .csv file", o.output);
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------ open -- */

static bool is_onnx(const char *features) {
  return features != NULL && pmn_text_ends(features, ".onnx");
}

/* The user's options become those that the model was trained with. */
static pmn_status take_recipe(pmn_classify *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *weights = self->rows.weights;
  pmn_recipe_apply(&self->model->recipe, &self->rows);
  if (weights == NULL || !is_onnx(self->rows.features)) goto done;
  if (!is_onnx(weights)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.200s was trained with %.120s: its network is an .onnx file, but %.120s is not named like one",
        self->options->model, self->rows.features, weights);
  }
  self->rows.features = weights; /* where the file is now */
  self->rows.weights = NULL;
done:
  return st;
}

/* The training had the same options: it would have refused them too. */
static pmn_status blame_model(const pmn_classify *self, const pmn_err *why, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_MODEL, why->foreign,
      "%.160s is damaged, or of another pomona: what it keeps of its features contradicts itself: %.240s",
      self->options->model, why->message);
}

/* The network may have been moved since the training. */
static pmn_status open_maker(pmn_classify *self, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  bool moved = self->options->rows.weights != NULL;
  pmn_status st = pmn_pictures_check(&self->rows, &why);
  if (st == PMN_STATUS_OK) st = pmn_pictures_open_maker(&self->run, &why);
  if (st == PMN_STATUS_ARGUMENT && !moved) return blame_model(self, &why, err);
  if (st == PMN_STATUS_NOT_FOUND && !moved && (self->rows.weights != NULL || is_onnx(self->rows.features))) {
    return pmn_err_set(err, st, why.foreign,
        "%.300s: %.120s was trained with that file; if it is elsewhere now, say where "
        "with --weights",
        why.message, self->options->model);
  }
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
  return st;
}

/* Are these the features that the model was made for? What it brings of them becomes the run's. */
static pmn_status take_model(pmn_classify *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_run *run = &self->run;
  pmn_classifier *model = self->model;
  const char *path = self->options->model;
  pmn_err why = PMN_ERR_INIT;
  if (model->words.vocabulary != NULL) PMN_TRY(pmn_maker_take_words(run->maker, &model->words, err));
  char *mine = pmn_record_text(run->features);
  if (mine == NULL) PMN_TRY(pmn_err_memory(err, 1, "the run record"));
  /* Of a network the file may be another one now; everything else is in the model. */
  bool network = json_object_get(run->features, "network") != NULL;
  st = pmn_features_compare(mine, model->features, network ? path : "its perceptron", &why);
  pmn_free(mine);
  if (st == PMN_STATUS_ARGUMENT && !network) return blame_model(self, &why, err);
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
  if (st != PMN_STATUS_OK) goto done;
  int32_t wanted = model->fit != NULL ? model->fit->d : model->perceptron->widths[0];
  if (wanted != run->width)
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s is made for rows of %d columns, but its features have %d", path, wanted, run->width);
  run->fit = model->fit;
  model->fit = NULL;
  run->results = json_pack("{s:o}", "model", pmn_json_name(path));
  if (run->results == NULL) st = pmn_err_memory(err, 1, "the run record");
done:
  return st;
}

/* Who asks a model has not said in which precision: the training did. */
static pmn_status open_device(pmn_classify *self, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_precision precision;
  pmn_status st = pmn_pictures_open_device(&self->run, &why);
  bool rounds = pmn_precision_find(self->rows.precision, &precision) && precision != PMN_PRECISION_FP32;
  if (st == PMN_STATUS_DEVICE && rounds) {
    return pmn_err_set(err, st, why.foreign,
        "%.160s was trained with --precision %s, and must be asked with such features: %.160s, or a model trained "
        "without --precision",
        self->options->model, self->rows.precision, why.message);
  }
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
  return st;
}

static pmn_status open_block(pmn_classify *self, pmn_err *err) {
  const pmn_perceptron *p = self->model->perceptron;
  size_t width = (size_t)p->widths[0], classes = (size_t)p->widths[p->layer_count];
  self->indices = pmn_alloc(PMN_PERCEPTRON_BLOCK, sizeof *self->indices);
  self->x = pmn_alloc_aligned(PMN_PERCEPTRON_BLOCK * width, sizeof *self->x);
  self->p = pmn_alloc_aligned(PMN_PERCEPTRON_BLOCK * classes, sizeof *self->p);
  if (self->indices != NULL && self->x != NULL && self->p != NULL) return PMN_STATUS_OK;
  return pmn_err_memory(err, PMN_PERCEPTRON_BLOCK * (width + classes) * sizeof *self->x, "a block of rows");
}

pmn_status pmn_classify_open(pmn_classify *self, pmn_outfile **file, pmn_err *err) {
  pmn_run *run = &self->run;
  pmn_status st = pmn_outfile_create(run->s3, run->options->output, "", run->replaces, file, err);
  if (st == PMN_STATUS_OK) run->kept[run->kept_count++] = *file;
  return st;
}

/* ------------------------------------------------------------------------------------------------------- rows -- */

static pmn_status ask(pmn_classify *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_perceptron *perceptron = self->model->perceptron;
  size_t classes = (size_t)perceptron->widths[perceptron->layer_count];
  double start = pmn_clock_seconds();
  if (self->waiting == 0) return PMN_STATUS_OK;
  PMN_TRY(pmn_perceptron_predict(perceptron, self->x, self->waiting, self->p, err));
  for (int32_t i = 0; i < self->waiting; i++) {
    const double *p = self->p + (size_t)i * classes;
    size_t best = 0;
    for (size_t c = 1; c < classes; c++) {
      if (p[c] > p[best]) best = c;
    }
    PMN_TRY(self->took(self, self->indices[i], (int32_t)best, p[best], err));
  }
  self->waiting = 0;
done:
  self->run.meter.stages[PMN_STAGE_CLASSIFIER].busy_seconds += pmn_clock_seconds() - start;
  return st;
}

static pmn_status take_rows(void *arg, const int64_t *indices, const float *rows, int32_t n, pmn_err *err) {
  pmn_classify *self = arg;
  size_t width = (size_t)self->model->perceptron->widths[0];
  for (int32_t i = 0; i < n; i++) {
    double *to = self->x + (size_t)self->waiting * width;
    for (size_t j = 0; j < width; j++) to[j] = (double)rows[(size_t)i * width + j];
    self->indices[self->waiting++] = indices[i];
    if (self->waiting < PMN_PERCEPTRON_BLOCK) continue;
    pmn_status st = ask(self, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return PMN_STATUS_OK;
}

static pmn_status take_steps(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_classify *self = (pmn_classify *)run;
  const pmn_extract_options *o = run->options;
  PMN_TRY(check(self->options, self->wants_output, err));
  PMN_TRY(pmn_pictures_check(o, err));
  PMN_TRY(pmn_classifier_load(self->options->model, &self->model, err));
  PMN_TRY(take_recipe(self, err));
  PMN_TRY(open_maker(self, err));
  PMN_TRY(take_model(self, err));
  PMN_TRY(open_block(self, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  PMN_TRY(pmn_pictures_list(run, o->sources, o->source_count, o->limit, err));
  PMN_TRY(open_device(self, err));
  PMN_TRY(pmn_pictures_project(run, err));
  PMN_TRY(self->begin(self, err));
  PMN_TRY(pmn_features_run(run, err));
  PMN_TRY(ask(self, err));
  PMN_TRY(self->end(self, err));
done:
  return st;
}

pmn_status pmn_classify_run(
    pmn_classify *self, const pmn_classify_options *options, pmn_summary **summary, pmn_err *err) {
  self->options = options;
  self->rows = options->rows;
  self->run.options = &self->rows;
  self->run.model = options->model;
  self->run.taker = (pmn_row_taker){take_rows, self};
  return pmn_run_execute(&self->run, take_steps, summary, err);
}

void pmn_classify_reset(pmn_classify *self) {
  pmn_classifier_destroy(self->model);
  pmn_free(self->indices);
  pmn_free(self->x);
  pmn_free(self->p);
}
