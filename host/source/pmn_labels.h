/* pmn_labels.h - the label of every name of a listing, by regular expression or by folder. */
#ifndef PMN_LABELS_H
#define PMN_LABELS_H

#include "pmn_names.h"

#include <regex.h>

typedef struct pmn_labels {
  bool by_regex;
  regex_t regex;
  int64_t level;
} pmn_labels;

/* PMN_STATUS_ARGUMENT if `regex` (NULL: by level) is not one. On any failure there is nothing to reset. */
PMN_MUST_USE pmn_status pmn_labels_init(pmn_labels *labels, const char *regex, int32_t level, pmn_err *err);
void pmn_labels_reset(pmn_labels *labels);

/* Sets the label of every entry. Names that are sorted share the texts of their labels folder by folder. */
PMN_MUST_USE pmn_status pmn_labels_apply(const pmn_labels *labels, size_t key_offset, pmn_names *names, pmn_err *err);

#endif
