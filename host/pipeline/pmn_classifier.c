/* pmn_classifier.c - see pmn_classifier.h. */
#include "pmn_classifier.h"

#include "pmn_mem.h"
#include "pmn_store_parts.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
  LAYERS_MAX = PMN_HIDDEN_LAYERS_MAX + 1,
  LAYER_TENSORS = 2 * LAYERS_MAX,
  TENSORS_MAX = PMN_LEXICON_TENSORS + PMN_PROJECTION_TENSORS + LAYER_TENSORS,
};

static const char *const hidden_names[] = {[PMN_HIDDEN_SIGMOID] = "sigmoid", [PMN_HIDDEN_RELU] = "relu"};
static const char *const solver_names[] = {[PMN_SOLVER_LBFGS] = "lbfgs", [PMN_SOLVER_ADAM] = "adam"};

bool pmn_hidden_find(const char *name, pmn_hidden_kind *kind) {
  for (*kind = PMN_HIDDEN_SIGMOID; *kind <= PMN_HIDDEN_RELU; (*kind)++) {
    if (strcmp(hidden_names[*kind], name) == 0) return true;
  }
  return false;
}

bool pmn_solver_find(const char *name, pmn_solver_kind *kind) {
  for (*kind = PMN_SOLVER_LBFGS; *kind <= PMN_SOLVER_ADAM; (*kind)++) {
    if (strcmp(solver_names[*kind], name) == 0) return true;
  }
  return false;
}

/* ---------------------------------------------------------------------------------------------------- tensors -- */

/* All tensors of a file, in their order, and the names of those that are numbered. */
typedef struct tensor_list {
  pmn_store_tensor all[TENSORS_MAX];
  char names[LAYER_TENSORS][24];
  pmn_store_tensor *words, *projection, *layers; /* where each part begins; NULL: there is none */
  int32_t count;
} tensor_list;

/* Layer after layer, W then b; values NULL: to be read. */
static void list_layers(tensor_list *list, const pmn_perceptron *p, const double *values) {
  list->layers = list->all + list->count;
  for (int32_t l = 0; l < p->layer_count; l++) {
    int32_t inputs = p->widths[l], outputs = p->widths[l + 1];
    char *weights = list->names[2 * l], *biases = list->names[2 * l + 1];
    snprintf(weights, sizeof *list->names, "weights.%" PRId32, l);
    snprintf(biases, sizeof *list->names, "biases.%" PRId32, l);
    list->all[list->count++] =
        (pmn_store_tensor){.name = weights, .rows = outputs, .columns = inputs, .values = values};
    if (values != NULL) values += (size_t)outputs * (size_t)inputs;
    list->all[list->count++] = (pmn_store_tensor){.name = biases, .columns = outputs, .values = values};
    if (values != NULL) values += outputs;
  }
}

/* Each part is NULL if there is none; the numbers as in the lists of the parts. */
static void list_all(tensor_list *list, const pmn_lexicon *words, const double *word_values, const pmn_fit *fit,
    const pmn_perceptron *p, const double *weights) {
  if (words != NULL) {
    list->words = list->all;
    pmn_lexicon_list(words, word_values, list->all);
    list->count += PMN_LEXICON_TENSORS;
  }
  if (fit != NULL) {
    list->projection = list->all + list->count;
    list->count += pmn_projection_list(fit, list->projection);
  }
  list_layers(list, p, weights);
}

/* ------------------------------------------------------------------------------------------------------- save -- */

json_t *pmn_perceptron_json(const pmn_perceptron *p, const pmn_perceptron_options *o) {
  json_t *widths = json_array();
  for (int32_t l = 0; l <= p->layer_count; l++) {
    if (json_array_append_new(widths, json_integer(p->widths[l])) == 0) continue;
    json_decref(widths);
    return NULL;
  }
  json_t *held = isnan(p->held_out_loss) ? json_null() : json_real(p->held_out_loss);
  return json_pack("{s:o, s:s, s:s, s:I, s:f, s:i, s:f, s:o, s:I, s:I}", "widths", widths, "activation",
      hidden_names[p->activation], "solver", solver_names[o->solver], "seed", (json_int_t)o->seed, "penalty",
      o->penalty, "iterations", p->iterations, "loss", p->loss, "held_out_loss", held, "rows", (json_int_t)p->rows,
      "held_out_rows", (json_int_t)p->held_out_rows);
}

static json_t *describe(const pmn_classifier_parts *parts, json_t *projection) {
  json_t *record = json_pack("{s:O, s:O, s:o, s:O}", "features", parts->features, "options", parts->options, "classes",
      pmn_classes_json(parts->classes), "perceptron", parts->perceptron);
  bool good = record != NULL;
  if (parts->words != NULL)
    good = good && json_object_set_new(record, "vocabulary", pmn_lexicon_describe(parts->words)) == 0;
  if (projection != NULL) good = good && json_object_set(record, "projection", projection) == 0;
  if (good) return record;
  json_decref(record);
  return NULL;
}

pmn_status pmn_classifier_save(
    const char *path, bool overwrite, const pmn_classifier_parts *parts, pmn_outfile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  tensor_list tensors = {.count = 0};
  double *word_values = NULL;
  json_t *projection = NULL;
  if (parts->words != NULL) PMN_TRY(pmn_lexicon_values(parts->words, &word_values, err));
  if (parts->fit != NULL) PMN_TRY(pmn_projection_describe(path, parts->fit, &projection, err));
  list_all(&tensors, parts->words, word_values, parts->fit, parts->made, parts->made->weights);
  PMN_TRY(pmn_store_write(
      path, overwrite, PMN_STORE_MODEL, describe(parts, projection), tensors.all, tensors.count, file, err));
done:
  json_decref(projection);
  pmn_free(word_values);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- load -- */

void pmn_classifier_destroy(pmn_classifier *classifier) {
  if (classifier == NULL) return;
  pmn_free(classifier->features);
  pmn_recipe_reset(&classifier->recipe);
  pmn_classes_reset(&classifier->classes);
  pmn_lexicon_reset(&classifier->words);
  pmn_fit_destroy(classifier->fit);
  pmn_perceptron_destroy(classifier->perceptron);
  pmn_free(classifier);
}

static pmn_status read_widths(const pmn_stored *stored, pmn_perceptron *p, pmn_err *err) {
  const json_t *widths = json_object_get(stored->section, "widths");
  size_t count = json_array_size(widths);
  bool good = count >= 2 && count <= LAYERS_MAX + 1;
  for (size_t i = 0; good && i < count; i++) {
    json_int_t width = json_integer_value(json_array_get(widths, i));
    good = width >= 1 && width <= INT32_MAX;
    p->widths[i] = (int32_t)width;
  }
  p->layer_count = (int32_t)count - 1;
  if (good) p->weight_count = pmn_perceptron_weight_count(p->widths, p->layer_count);
  if (p->weight_count > 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: the widths of its perceptron are none", stored->path);
}

/* All of it but its weights. */
static pmn_status read_perceptron(pmn_stored *stored, pmn_classifier *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t index;
  pmn_perceptron *p = self->perceptron = pmn_calloc(1, sizeof *p);
  if (p == NULL) PMN_TRY(pmn_err_memory(err, sizeof *p, "a perceptron"));
  PMN_TRY(pmn_stored_enter(stored, "perceptron", err));
  PMN_TRY(read_widths(stored, p, err));
  PMN_TRY(pmn_stored_choice(stored, "activation", hidden_names, PMN_HIDDEN_RELU + 1, &index, err));
  p->activation = (pmn_hidden_kind)index;
  PMN_TRY(pmn_stored_count(stored, "iterations", 0, INT32_MAX, &p->iterations, err));
  PMN_TRY(pmn_stored_integer(stored, "rows", 1, PMN_STORE_ROWS_MAX, &p->rows, err));
  PMN_TRY(pmn_stored_integer(stored, "held_out_rows", 0, PMN_STORE_ROWS_MAX, &p->held_out_rows, err));
  PMN_TRY(pmn_stored_number(stored, "loss", &p->loss, err));
  p->held_out_loss = NAN;
  if (p->held_out_rows > 0) PMN_TRY(pmn_stored_number(stored, "held_out_loss", &p->held_out_loss, err));
  if (p->widths[p->layer_count] != self->classes.count) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its perceptron tells %" PRId32 " classes apart, but %" PRId32 " have a name",
        stored->path, p->widths[p->layer_count], self->classes.count);
  }
done:
  return st;
}

/* Words for sift and orb, and for nothing else. */
static pmn_status read_words(pmn_stored *stored, pmn_classifier *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_lexicon *words = &self->words;
  const char *features = self->recipe.options.features;
  bool wanted = features != NULL && pmn_descriptor_find(features, &words->descriptor);
  if (wanted != (json_object_get(stored->record, "vocabulary") != NULL)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s", stored->path,
        wanted ? "its features count words, but it has none" : "it has words, but its features count none");
  }
  if (!wanted) return PMN_STATUS_OK;
  words->vocabulary = pmn_calloc(1, sizeof *words->vocabulary);
  if (words->vocabulary == NULL) PMN_TRY(pmn_err_memory(err, sizeof *words->vocabulary, "a vocabulary"));
  PMN_TRY(pmn_stored_enter(stored, "vocabulary", err));
  st = pmn_lexicon_read(stored, words, err);
  if (st == PMN_STATUS_ARGUMENT)
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its words are of other descriptors than %s", stored->path, features);
  if (st != PMN_STATUS_OK) goto done;
  if (words->vocabulary->k != self->recipe.options.words)
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its features count other words than it has", stored->path);
done:
  return st;
}

static pmn_status read_projection(pmn_stored *stored, pmn_classifier *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (json_object_get(stored->record, "projection") == NULL) return PMN_STATUS_OK;
  self->fit = pmn_calloc(1, sizeof *self->fit);
  if (self->fit == NULL) PMN_TRY(pmn_err_memory(err, sizeof *self->fit, "a projection"));
  PMN_TRY(pmn_stored_enter(stored, "projection", err));
  PMN_TRY(pmn_projection_read(stored, self->fit, err));
  if (pmn_fit_width(self->fit) != self->perceptron->widths[0]) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its projection gives %" PRId32 " columns, but its perceptron wants %" PRId32,
        stored->path, pmn_fit_width(self->fit), self->perceptron->widths[0]);
  }
done:
  return st;
}

static pmn_status take_weights(const tensor_list *list, pmn_perceptron *p, pmn_err *err) {
  double *to = p->weights = pmn_alloc_aligned(p->weight_count, sizeof *to);
  if (to == NULL) return pmn_err_memory(err, p->weight_count * sizeof *to, "the weights of a perceptron");
  for (int32_t i = 0; i < 2 * p->layer_count; i++) {
    const pmn_store_tensor *t = &list->layers[i];
    size_t count = (size_t)t->columns * (size_t)(t->rows > 0 ? t->rows : 1);
    memcpy(to, t->loaded, count * sizeof *to);
    to += count;
  }
  return PMN_STATUS_OK;
}

static pmn_status read_tensors(const pmn_stored *stored, pmn_classifier *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  tensor_list tensors = {.count = 0};
  const pmn_lexicon *words = self->words.vocabulary != NULL ? &self->words : NULL;
  list_all(&tensors, words, NULL, self->fit, self->perceptron, NULL);
  PMN_TRY(pmn_stored_tensors(stored, tensors.all, tensors.count, err));
  if (words != NULL) PMN_TRY(pmn_lexicon_take(stored, tensors.words, &self->words, err));
  if (self->fit != NULL) pmn_projection_take(self->fit, tensors.projection);
  PMN_TRY(take_weights(&tensors, self->perceptron, err));
done:
  for (int32_t i = 0; i < tensors.count; i++) pmn_free(tensors.all[i].loaded);
  return st;
}

pmn_status pmn_classifier_load(const char *path, pmn_classifier **classifier, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored stored = {.path = path};
  *classifier = NULL;
  pmn_classifier *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a model");
  PMN_TRY(pmn_stored_open(&stored, PMN_STORE_MODEL, err));
  PMN_TRY(pmn_classes_read(json_object_get(stored.record, "classes"), path, &self->classes, err));
  PMN_TRY(pmn_stored_enter(&stored, "options", err));
  PMN_TRY(pmn_recipe_read(&stored, &self->recipe, err));
  PMN_TRY(read_perceptron(&stored, self, err));
  PMN_TRY(read_words(&stored, self, err));
  PMN_TRY(read_projection(&stored, self, err));
  PMN_TRY(read_tensors(&stored, self, err));
  self->features = stored.features;
  stored.features = NULL;
  *classifier = self;
  self = NULL;
done:
  pmn_stored_reset(&stored);
  pmn_classifier_destroy(self);
  return st;
}
