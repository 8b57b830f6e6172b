/* pmn_recipe.c - see pmn_recipe.h: two tables of options, and a list of layers. */
#include "pmn_recipe.h"

#include "pmn_json.h"
#include "pmn_mem.h"
#include "pmn_text.h"

#include <jansson.h>
#include <string.h>

enum { LAYERS_MAX = 1024 };

static const struct {
  const char *key;
  size_t offset; /* of a const char * */
} texts[] = {
    {"features", offsetof(pmn_extract_options, features)},
    {"weights", offsetof(pmn_extract_options, weights)},
    {"pool", offsetof(pmn_extract_options, pool)},
    {"preprocess", offsetof(pmn_extract_options, preprocess)},
    {"resize", offsetof(pmn_extract_options, resize)},
    {"precision", offsetof(pmn_extract_options, precision)},
    {"weighting", offsetof(pmn_extract_options, weighting)},
    {"norm", offsetof(pmn_extract_options, norm)},
};
static const struct {
  const char *key;
  size_t offset; /* of an int32_t that is 0 where it is not set */
} numbers[] = {
    {"width", offsetof(pmn_extract_options, width)},
    {"height", offsetof(pmn_extract_options, height)},
    {"keypoints", offsetof(pmn_extract_options, keypoints)},
    {"words", offsetof(pmn_extract_options, words)},
};
enum { TEXT_COUNT = sizeof texts / sizeof *texts, NUMBER_COUNT = sizeof numbers / sizeof *numbers };

static const char **text_at(pmn_extract_options *options, int i) {
  return (const char **)(void *)((char *)options + texts[i].offset);
}

static int32_t *number_at(pmn_extract_options *options, int i) {
  return (int32_t *)(void *)((char *)options + numbers[i].offset);
}

static json_t *layers_json(const pmn_extract_options *options) {
  json_t *array = json_array();
  for (size_t i = 0; i < options->layer_count; i++) {
    if (json_array_append_new(array, pmn_json_name(options->layers[i])) == 0) continue;
    json_decref(array);
    return NULL;
  }
  return array;
}

json_t *pmn_recipe_json(const pmn_extract_options *options) {
  pmn_extract_options o = *options;
  json_t *json = json_object();
  bool good = json != NULL;
  for (int i = 0; i < TEXT_COUNT; i++) {
    const char *text = *text_at(&o, i);
    if (text != NULL) good = good && json_object_set_new(json, texts[i].key, pmn_json_name(text)) == 0;
  }
  for (int i = 0; i < NUMBER_COUNT; i++) {
    int32_t number = *number_at(&o, i);
    if (number != 0) good = good && json_object_set_new(json, numbers[i].key, json_integer(number)) == 0;
  }
  if (o.layer_count > 0) good = good && json_object_set_new(json, "layers", layers_json(&o)) == 0;
  if (o.gray) good = good && json_object_set_new(json, "gray", json_true()) == 0;
  if (good) return json;
  json_decref(json);
  return NULL;
}

/* ------------------------------------------------------------------------------------------------------- read -- */

static void free_text(const char *text) {
  pmn_free((void *)(uintptr_t)text);
}

void pmn_recipe_reset(pmn_recipe *recipe) {
  pmn_extract_options *o = &recipe->options;
  for (int i = 0; i < TEXT_COUNT; i++) free_text(*text_at(o, i));
  for (size_t i = 0; i < o->layer_count; i++) free_text(o->layers[i]);
  pmn_free((void *)(uintptr_t)o->layers);
  *recipe = (pmn_recipe){{0}};
}

/* A text of the caller's own. */
static pmn_status read_text(
    const pmn_stored *stored, const json_t *json, const char *key, const char **text, pmn_err *err) {
  const char *escaped = json_string_value(json);
  char *name = escaped == NULL ? NULL : pmn_alloc(strlen(escaped) + 1, 1);
  if (escaped != NULL && name == NULL) return pmn_err_memory(err, strlen(escaped) + 1, "options");
  if (name != NULL && pmn_text_unescape(escaped, name)) {
    *text = name;
    return PMN_STATUS_OK;
  }
  pmn_free(name);
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: its record has no text for %s", stored->path, key);
}

static pmn_status read_layers(const pmn_stored *stored, const json_t *json, pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = json_array_size(json);
  if (count == 0 || count > LAYERS_MAX)
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no list of 1 to %d layers", stored->path, LAYERS_MAX);
  const char **layers = pmn_calloc(count, sizeof *layers);
  if (layers == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *layers, "options"));
  o->layers = layers;
  for (; o->layer_count < count; o->layer_count++)
    PMN_TRY(read_text(stored, json_array_get(json, o->layer_count), "layers", &layers[o->layer_count], err));
done:
  return st;
}

pmn_status pmn_recipe_read(const pmn_stored *stored, pmn_recipe *recipe, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_extract_options *o = &recipe->options;
  *recipe = (pmn_recipe){{0}};
  for (int i = 0; i < TEXT_COUNT; i++) {
    const json_t *json = json_object_get(stored->section, texts[i].key);
    if (json != NULL) PMN_TRY(read_text(stored, json, texts[i].key, text_at(o, i), err));
  }
  for (int i = 0; i < NUMBER_COUNT; i++) {
    if (json_object_get(stored->section, numbers[i].key) == NULL) continue;
    PMN_TRY(pmn_stored_count(stored, numbers[i].key, 1, INT32_MAX, number_at(o, i), err));
  }
  const json_t *layers = json_object_get(stored->section, "layers");
  if (layers != NULL) PMN_TRY(read_layers(stored, layers, o, err));
  if (json_object_get(stored->section, "gray") != NULL) PMN_TRY(pmn_stored_bool(stored, "gray", &o->gray, err));
done:
  if (st != PMN_STATUS_OK) pmn_recipe_reset(recipe);
  return st;
}

void pmn_recipe_apply(const pmn_recipe *recipe, pmn_extract_options *options) {
  pmn_extract_options from = recipe->options;
  for (int i = 0; i < TEXT_COUNT; i++) {
    if (*text_at(options, i) == NULL) *text_at(options, i) = *text_at(&from, i);
  }
  for (int i = 0; i < NUMBER_COUNT; i++) *number_at(options, i) = *number_at(&from, i);
  options->layers = from.layers;
  options->layer_count = from.layer_count;
  options->gray = from.gray;
}

bool pmn_recipe_is_set(const pmn_extract_options *options) {
  pmn_extract_options o = *options;
  bool set = o.layer_count > 0 || o.gray;
  for (int i = 0; i < TEXT_COUNT; i++) set = set || *text_at(&o, i) != NULL;
  for (int i = 0; i < NUMBER_COUNT; i++) set = set || *number_at(&o, i) != 0;
  return set;
}
