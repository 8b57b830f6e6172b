/* pmn_walk.h - the files below a folder. */
#ifndef PMN_WALK_H
#define PMN_WALK_H

#include "pmn_names.h"

typedef struct pmn_walk_filter {
  const char *const *includes; /* fnmatch(3) globs; none: by the endings of picture files */
  size_t include_count;
  size_t key_offset; /* the key of a path starts here */
} pmn_walk_filter;

/* Adds every file at or below `folder` that passes the filter; `skipped` counts up those that do not, and hidden
 * ones that would. Hidden folders are not entered.
 * PMN_STATUS_NOT_FOUND (a folder cannot be read, a link leads back to a folder above it), PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_walk_folder(
    const char *folder, const pmn_walk_filter *filter, pmn_names *names, int64_t *skipped, pmn_err *err);

/* Is a file listed, if it is not hidden? `key` is what globs with a slash match, `name` its last component. */
bool pmn_walk_takes(const pmn_walk_filter *filter, const char *key, const char *name);

#endif
