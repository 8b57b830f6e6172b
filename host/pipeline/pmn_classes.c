/* pmn_classes.c - see pmn_classes.h. */
#include "pmn_classes.h"

#include "pmn_json.h"
#include "pmn_mem.h"
#include "pmn_text.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

void pmn_classes_reset(pmn_classes *classes) {
  for (int32_t i = 0; i < classes->count; i++) pmn_free(classes->names[i]);
  pmn_free(classes->names);
  *classes = (pmn_classes){0};
}

static int compare(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names [count] are the classes' own from now on, also after an error, which leaves the rest of them out. */
static pmn_status keep(const char *const *names, int64_t count, pmn_classes *classes, pmn_err *err) {
  classes->names = pmn_calloc((size_t)count, sizeof *classes->names);
  if (classes->names == NULL) return pmn_err_memory(err, (size_t)count * sizeof *classes->names, "labels");
  for (; classes->count < count; classes->count++) {
    char *name = pmn_strdup(names[classes->count]);
    if (name == NULL) return pmn_err_memory(err, strlen(names[classes->count]) + 1, "labels");
    classes->names[classes->count] = name;
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_classes_collect(const char *const *labels, int64_t n, pmn_classes *classes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t count = 0;
  const char **sorted = pmn_alloc((size_t)n, sizeof *sorted);
  *classes = (pmn_classes){0};
  if (sorted == NULL) return pmn_err_memory(err, (size_t)n * sizeof *sorted, "labels");
  if (n > 0) memcpy(sorted, labels, (size_t)n * sizeof *sorted);
  qsort(sorted, (size_t)n, sizeof *sorted, compare);
  for (int64_t i = 0; i < n; i++) {
    if (count == 0 || strcmp(sorted[count - 1], sorted[i]) != 0) sorted[count++] = sorted[i];
  }
  if (count > PMN_CLASSES_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%lld pictures have %lld labels, but at most %d are possible: choose another level", (long long)n,
        (long long)count, PMN_CLASSES_MAX);
  }
  PMN_TRY(keep(sorted, count, classes, err));
done:
  pmn_free(sorted);
  if (st != PMN_STATUS_OK) pmn_classes_reset(classes);
  return st;
}

int32_t pmn_classes_find(const pmn_classes *classes, const char *label) {
  char **found = NULL;
  if (classes->count > 0)
    found = bsearch(&label, classes->names, (size_t)classes->count, sizeof *classes->names, compare);
  return found == NULL ? -1 : (int32_t)(found - classes->names);
}

/* ------------------------------------------------------------------------------------------------------- JSON -- */

json_t *pmn_classes_json(const pmn_classes *classes) {
  json_t *array = json_array();
  for (int32_t i = 0; i < classes->count; i++) {
    if (json_array_append_new(array, pmn_json_name(classes->names[i])) == 0) continue;
    json_decref(array);
    return NULL;
  }
  return array;
}

pmn_status pmn_classes_read(const json_t *json, const char *path, pmn_classes *classes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = json_array_size(json); /* 0 of what is no array */
  *classes = (pmn_classes){0};
  if (count == 0 || count > PMN_CLASSES_MAX)
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: its record has no list of 1 to %d classes", path, PMN_CLASSES_MAX);
  classes->names = pmn_calloc(count, sizeof *classes->names);
  if (classes->names == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *classes->names, "labels"));
  for (size_t i = 0; i < count; i++) {
    const char *text = json_string_value(json_array_get(json, i));
    char *name = text == NULL ? NULL : pmn_alloc(strlen(text) + 1, 1);
    if (text != NULL && name == NULL) PMN_TRY(pmn_err_memory(err, strlen(text) + 1, "labels"));
    bool good = name != NULL && pmn_text_unescape(text, name) && name[0] != '\0' &&
                (i == 0 || strcmp(classes->names[i - 1], name) < 0);
    if (!good) {
      pmn_free(name);
      PMN_FAIL(
          err, PMN_STATUS_MODEL, "%s: number %zu of its classes is no label, or not behind the one before", path, i);
    }
    classes->names[classes->count++] = name;
  }
done:
  if (st != PMN_STATUS_OK) pmn_classes_reset(classes);
  return st;
}
