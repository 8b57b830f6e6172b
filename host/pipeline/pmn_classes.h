/* pmn_classes.h - the labels that a classifier knows, in byte-wise order: class number i is names[i]. */
#ifndef PMN_CLASSES_H
#define PMN_CLASSES_H

#include "pmn_err.h"

struct json_t;

enum { PMN_CLASSES_MAX = 65536 };

typedef struct pmn_classes {
  int32_t count;
  char **names; /* any bytes, as the file system has them */
} pmn_classes;

void pmn_classes_reset(pmn_classes *classes);
/* The labels that there are among `labels` [n], each once. PMN_STATUS_ARGUMENT: more than PMN_CLASSES_MAX. */
PMN_MUST_USE pmn_status pmn_classes_collect(const char *const *labels, int64_t n, pmn_classes *classes, pmn_err *err);
/* -1: it is none of them. */
int32_t pmn_classes_find(const pmn_classes *classes, const char *label);

/* As an array of texts, by pmn_json_name; NULL when memory cannot be had. */
struct json_t *pmn_classes_json(const pmn_classes *classes);
/* From such an array. PMN_STATUS_MODEL: it is none, or its labels are not ascending; `path` is for that. */
PMN_MUST_USE pmn_status pmn_classes_read(
    const struct json_t *json, const char *path, pmn_classes *classes, pmn_err *err);

#endif
