/* pmn_labels.c - see pmn_labels.h; what a level means is said in pmn_source.h. */
#include "pmn_labels.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
  const char *start;
  size_t size;
} text;

pmn_status pmn_labels_init(pmn_labels *labels, const char *regex, int32_t level, pmn_err *err) {
  *labels = (pmn_labels){.by_regex = regex != NULL, .level = level};
  if (regex == NULL) return PMN_STATUS_OK;
  int code = regcomp(&labels->regex, regex, REG_EXTENDED);
  if (code == 0) return PMN_STATUS_OK;
  char reason[128];
  regerror(code, &labels->regex, reason, sizeof reason);
  labels->by_regex = false;
  return pmn_err_set(err, code == REG_ESPACE ? PMN_STATUS_NO_MEMORY : PMN_STATUS_ARGUMENT, code,
      "the label expression \"%.200s\" is no POSIX extended regular expression: %s", regex, reason);
}

void pmn_labels_reset(pmn_labels *labels) {
  if (labels->by_regex) regfree(&labels->regex);
  labels->by_regex = false;
}

static bool is_dots(text component, size_t count) {
  return component.size == count && memcmp(component.start, "..", count) == 0;
}

/* The last component of path[0, *size) that is not "."; *size becomes where it starts. Empty when there is none. */
static text component_last(const char *path, size_t *size) {
  for (;;) {
    while (*size > 0 && path[*size - 1] == '/') (*size)--;
    size_t end = *size;
    while (*size > 0 && path[*size - 1] != '/') (*size)--;
    text component = {path + *size, end - *size};
    if (component.size == 0 || !is_dots(component, 1)) return component;
  }
}

/* The component `level` (negative) of the real path of the folder folder[0, size), into `real`. */
static text component_real(const char *folder, size_t size, int64_t level, char real[PATH_MAX]) {
  char path[PATH_MAX];
  text component = {"", 0};
  if (size >= sizeof path) return component;
  memcpy(path, size > 0 ? folder : ".", size > 0 ? size : 1);
  path[size > 0 ? size : 1] = '\0';
  if (realpath(path, real) == NULL) return component;
  size_t left = strlen(real);
  for (int64_t i = 0; i > level; i--) {
    component = component_last(real, &left);
    if (component.size == 0) break;
  }
  return component;
}

/* Counted from the end of the folder as it is written; from a ".." on, or where a relative path begins, the file system
 * is asked what the real folders above are called. */
static text component_from_end(const char *folder, size_t size, int64_t level, char real[PATH_MAX]) {
  bool absolute = size > 0 && folder[0] == '/';
  for (int64_t i = -1;; i--) {
    size_t end = size;
    text component = component_last(folder, &size);
    if (is_dots(component, 2)) return component_real(folder, end, level - i - 1, real);
    if (component.size == 0 && !absolute) return component_real("", 0, level - i - 1, real);
    if (component.size == 0 || i == level) return component;
  }
}

/* Counted from the start of the key's folder; `folder` starts where the key does. */
static text component_from_start(const char *folder, size_t size, int64_t level, char real[PATH_MAX]) {
  for (size_t at = 0; at < size;) {
    text component = {folder + at, 0};
    while (at < size && folder[at] != '/') at++;
    component.size = (size_t)(folder + at - component.start);
    if (component.size > 0 && !is_dots(component, 1) && level-- == 0) {
      return is_dots(component, 2) ? component_real(folder, at, -1, real) : component;
    }
    while (at < size && folder[at] == '/') at++;
  }
  return (text){"", 0};
}

static size_t folder_size(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* The path behind "s3://bucket/", or the path itself. */
static size_t bucket_size(const char *path) {
  if (strncmp(path, "s3://", 5) != 0) return 0;
  const char *slash = strchr(path + 5, '/');
  return slash == NULL ? strlen(path) : (size_t)(slash - path) + 1;
}

/* Folders of keys are names and nothing else: no file system has real ones for them. */
static text label_in_bucket(const char *folder, size_t size, int64_t level) {
  text component = {"", 0};
  for (size_t at = 0; level >= 0 && at < size; level--) {
    while (at < size && folder[at] == '/') at++;
    component.start = folder + at;
    while (at < size && folder[at] != '/') at++;
    component.size = (size_t)(folder + at - component.start);
    if (level == 0) return component;
  }
  for (; level < 0 && size > 0; level++) {
    component = component_last(folder, &size);
    if (level == -1) return component;
  }
  return (text){"", 0};
}

static text label_by_level(const char *path, size_t key_offset, int64_t level, char real[PATH_MAX]) {
  size_t size = folder_size(path), bucket = bucket_size(path);
  if (bucket > 0) return size <= bucket ? (text){"", 0} : label_in_bucket(path + bucket, size - bucket, level);
  if (level < 0) return component_from_end(path, size, level, real);
  return size <= key_offset ? (text){"", 0} : component_from_start(path + key_offset, size - key_offset, level, real);
}

static pmn_status label_by_regex(const regex_t *regex, const char *key, text *label, pmn_err *err) {
  regmatch_t match[2];
  int code = regexec(regex, key, 2, match, 0);
  *label = (text){"", 0};
  if (code == REG_NOMATCH) return PMN_STATUS_OK;
  if (code != 0) return pmn_err_set(err, PMN_STATUS_NO_MEMORY, code, "no memory to match a label in %.300s", key);
  const regmatch_t *group = &match[regex->re_nsub > 0 ? 1 : 0];
  if (group->rm_so >= 0) *label = (text){key + group->rm_so, (size_t)(group->rm_eo - group->rm_so)};
  return PMN_STATUS_OK;
}

pmn_status pmn_labels_apply(const pmn_labels *labels, size_t key_offset, pmn_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char real[PATH_MAX];
  for (size_t i = 0; i < names->count; i++) {
    pmn_name *entry = &names->entries[i];
    const pmn_name *previous = i > 0 ? entry - 1 : NULL;
    text label;
    if (labels->by_regex) {
      PMN_TRY(label_by_regex(&labels->regex, entry->path + key_offset, &label, err));
    } else {
      size_t size = folder_size(entry->path);
      if (previous != NULL && folder_size(previous->path) == size && memcmp(previous->path, entry->path, size) == 0) {
        entry->label = previous->label;
        continue;
      }
      label = label_by_level(entry->path, key_offset, labels->level, real);
    }
    if (previous != NULL && strlen(previous->label) == label.size &&
        memcmp(previous->label, label.start, label.size) == 0) {
      entry->label = previous->label;
    } else {
      PMN_TRY(pmn_names_copy(names, label.start, label.size, &entry->label, err));
    }
  }
done:
  return st;
}
