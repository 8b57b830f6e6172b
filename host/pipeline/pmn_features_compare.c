/* pmn_features_compare.c - see pmn_store.h: are these the features that a file was made for? */
#include "pmn_store.h"

#include "pmn_mem.h"
#include "pmn_store_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 160 };

typedef struct difference {
  char path[PATH_SIZE];        /* "preprocess.scale[1]" */
  const json_t *theirs, *mine; /* NULL: not there */
} difference;

static bool differ(json_t *theirs, json_t *mine, difference *at);

/* The values under `key`; as differ. */
static bool differ_at(const char *key, json_t *theirs, json_t *mine, difference *at) {
  size_t length = strlen(at->path);
  snprintf(at->path + length, PATH_SIZE - length, "%s%s", length > 0 && key[0] != '[' ? "." : "", key);
  if (differ(theirs, mine, at)) return true;
  at->path[length] = '\0';
  return false;
}

/* False: the values, of which one may be NULL, are the same. Else *at has the first difference. */
static bool differ(json_t *theirs, json_t *mine, difference *at) {
  const char *key;
  json_t *value;
  char index[32];
  at->theirs = theirs;
  at->mine = mine;
  if (json_is_object(theirs) && json_is_object(mine)) {
    json_object_foreach(theirs, key, value) {
      if (differ_at(key, value, json_object_get(mine, key), at)) return true;
    }
    json_object_foreach(mine, key, value) {
      if (json_object_get(theirs, key) == NULL && differ_at(key, NULL, value, at)) return true;
    }
    return false;
  }
  if (json_is_array(theirs) && json_is_array(mine)) {
    for (size_t i = 0; i < json_array_size(theirs) || i < json_array_size(mine); i++) {
      snprintf(index, sizeof index, "[%zu]", i);
      if (differ_at(index, json_array_get(theirs, i), json_array_get(mine, i), at)) return true;
    }
    return false;
  }
  return theirs == NULL || mine == NULL || !json_equal(theirs, mine);
}

static const char *source_name(const json_t *features) {
  const char *network = json_string_value(json_object_get(features, "network"));
  const char *words = json_string_value(json_object_get(features, "words"));
  if (network != NULL || words != NULL) return network != NULL ? network : words;
  if (json_object_get(features, "pixels") != NULL) return "pixels";
  return json_is_true(json_object_get(features, "matrix")) ? "a matrix" : "an unknown source";
}

static pmn_status tell_difference(
    const char *what, const char *theirs, const char *mine, const difference *at, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  bool rounds = strcmp(at->path, "precision") == 0; /* told where it is not fp32 */
  const char *nothing = rounds ? "fp32" : "missing";
  const char *their_text = json_string_value(at->theirs), *my_text = json_string_value(at->mine);
  char *their_json = at->theirs == NULL ? NULL : json_dumps(at->theirs, JSON_ENCODE_ANY);
  char *my_json = at->mine == NULL ? NULL : json_dumps(at->mine, JSON_ENCODE_ANY);
  if ((at->theirs != NULL && their_json == NULL) || (at->mine != NULL && my_json == NULL)) {
    st = pmn_err_memory(err, PATH_SIZE, "a message");
    goto done;
  }
  bool kind = strcmp(at->path, "pixels") == 0 || strcmp(at->path, "words") == 0;
  if (strcmp(at->path, "network") == 0 || strcmp(at->path, "matrix") == 0 ||
      (kind && (their_text == NULL || my_text == NULL))) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s was made for features of %s, these are of %s", what, theirs, mine);
  }
  if (strcmp(at->path, "weights_sha256") == 0 && their_text != NULL && my_text != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s was made for features of %s with other weights (sha256 %.8s..., here %.8s...)", what, theirs, their_text,
        my_text);
  }
  PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s was made for features of %s with %s %.80s, here %.80s", what, theirs, at->path,
      their_json != NULL ? their_json : nothing, my_json != NULL ? my_json : nothing);
done:
  free(their_json);
  free(my_json);
  return st;
}

pmn_status pmn_features_compare(const char *mine, const char *theirs, const char *what, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *my_features = NULL, *their_features = NULL, *my_width = NULL, *their_width = NULL;
  difference at = {.path = ""};
  PMN_TRY(pmn_store_parse(mine, "this run", "features", PMN_STATUS_ARGUMENT, &my_features, err));
  PMN_TRY(pmn_store_parse(theirs, what, "features", PMN_STATUS_MODEL, &their_features, err));
  json_object_del(my_features, "weights");
  json_object_del(their_features, "weights");
  /* The width follows from the rest: what else is different tells more. */
  my_width = json_incref(json_object_get(my_features, "width"));
  their_width = json_incref(json_object_get(their_features, "width"));
  json_object_del(my_features, "width");
  json_object_del(their_features, "width");
  if (differ(their_features, my_features, &at) ||
      (my_width != their_width && differ_at("width", their_width, my_width, &at)))
    st = tell_difference(what, source_name(their_features), source_name(my_features), &at, err);
done:
  json_decref(my_width);
  json_decref(their_width);
  json_decref(my_features);
  json_decref(their_features);
  return st;
}
