/* pmn_classifier.h - all that makes a class of a picture, but a network's own weights: what pmn_train makes, in one
 * file.
 *
 * A file of pmn_store_file.h. Its record has "features", what the maker says of itself; "options", that make it again
 * (pmn_recipe.h); "classes" (pmn_classes.h); "perceptron"; and "vocabulary" and "projection" if there are any
 * (pmn_store_parts.h). Tensors: "words", "idf"; those of the projection; "weights.0" [outputs, inputs] and "biases.0"
 * [outputs] of the first layer, and so on.
 */
#ifndef PMN_CLASSIFIER_H
#define PMN_CLASSIFIER_H

#include "pmn_classes.h"
#include "pmn_lexicon.h"
#include "pmn_perceptron.h"
#include "pmn_recipe.h"

/* To be saved: everything is borrowed. */
typedef struct pmn_classifier_parts {
  struct json_t *features, *options, *perceptron; /* objects; the last by pmn_perceptron_json */
  const pmn_classes *classes;
  const pmn_lexicon *words; /* or NULL */
  const pmn_fit *fit;       /* or NULL */
  const pmn_perceptron *made;
} pmn_classifier_parts;

/* What there is to know of a perceptron but its weights; NULL when memory cannot be had. */
struct json_t *pmn_perceptron_json(const pmn_perceptron *perceptron, const pmn_perceptron_options *options);
/* "sigmoid" or "relu", which NULL is not; "lbfgs" or "adam". */
bool pmn_hidden_find(const char *name, pmn_hidden_kind *kind);
bool pmn_solver_find(const char *name, pmn_solver_kind *kind);

/* Errors and *file as those of pmn_projection_save. */
PMN_MUST_USE pmn_status pmn_classifier_save(
    const char *path, bool overwrite, const pmn_classifier_parts *parts, pmn_outfile **file, pmn_err *err);

typedef struct pmn_classifier {
  char *features; /* text of a JSON object */
  pmn_recipe recipe;
  pmn_classes classes;
  pmn_lexicon words; /* without a vocabulary where the features have none */
  pmn_fit *fit;      /* or NULL */
  pmn_perceptron *perceptron;
} pmn_classifier;

/* PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL: it is no such file, or damaged. Its parts fit together: only whether the
 * maker gives what they want is to be seen. */
PMN_MUST_USE pmn_status pmn_classifier_load(const char *path, pmn_classifier **classifier, pmn_err *err);
void pmn_classifier_destroy(pmn_classifier *classifier); /* NULL is fine */

#endif
