/* pmn_job_owned.c - which files of a folder are an output's own; see pmn_job_place.h. What is not is never removed. */
#include "pmn_folder.h"
#include "pmn_job_place.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_MAX = 256 << 20 }; /* bytes */

bool pmn_job_is_ours(const char *name) {
  static const char *const names[] = {"_SUCCESS", "_record.json", "_rejects.csv"};
  static const char *const ends[] = {".csv", ".parquet", ".npy", ".npy.index.csv"};
  static const char part[] = "part-";
  bool ours = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) ours = ours || strcmp(name, names[i]) == 0;
  if (ours || strncmp(name, part, strlen(part)) != 0) return ours;
  size_t digits = strspn(name + strlen(part), "0123456789");
  for (size_t i = 0; digits >= 5 && i < sizeof ends / sizeof *ends; i++) {
    ours = ours || strcmp(name + strlen(part) + digits, ends[i]) == 0;
  }
  return ours;
}

typedef struct search {
  json_t *named; /* an object: its keys are the names */
  char *what;
} search;

static pmn_status find_unnamed(void *arg, const char *name, int64_t size, pmn_err *err) {
  const search *s = arg;
  (void)size, (void)err;
  bool is_part = name[0] != '_' && pmn_job_is_ours(name);
  if (s->what[0] == '\0' && is_part && json_object_get(s->named, name) == NULL) snprintf(s->what, 256, "%s", name);
  return PMN_STATUS_OK;
}

/* "files" of _record.json; NULL if it is missing, damaged, or of an older version. */
static pmn_status read_files(pmn_folder *folder, json_t **files, pmn_err *err) {
  pmn_buf text;
  pmn_buf_init(&text, RECORD_MAX);
  *files = NULL;
  pmn_status st = pmn_folder_read(folder, "_record.json", &text, err);
  if (st == PMN_STATUS_OK) {
    json_t *record = json_loadb(text.data != NULL ? text.data : "", text.size, 0, NULL);
    *files = json_incref(json_object_get(record, "files"));
    json_decref(record);
  }
  pmn_buf_reset(&text);
  return st == PMN_STATUS_NOT_FOUND ? PMN_STATUS_OK : st;
}

pmn_status pmn_job_find_unnamed(const pmn_job_names *names, char what[256], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  json_t *files = NULL;
  search s = {.named = json_object(), .what = what};
  bool good = s.named != NULL;
  what[0] = '\0';
  PMN_TRY(pmn_folder_open(names->s3, names->output, false, &folder, err));
  PMN_TRY(read_files(folder, &files, err));
  if (!json_is_array(files)) goto done;
  for (size_t i = 0; good && i < json_array_size(files); i++) {
    const char *name = json_string_value(json_object_get(json_array_get(files, i), "name"));
    good = name == NULL || json_object_set_new(s.named, name, json_true()) == 0;
  }
  if (!good) {
    st = pmn_err_memory(err, 1, "the names of an output");
    goto done;
  }
  st = pmn_folder_list(folder, find_unnamed, &s, err);
done:
  json_decref(s.named);
  json_decref(files);
  pmn_folder_close(folder);
  return st;
}
