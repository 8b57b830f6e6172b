/* pmn_job_owned.c - which files of a folder are an output's own; see pmn_job_place.h. What is not is never removed. */
#include "pmn_folder.h"
#include "pmn_infile.h"
#include "pmn_job_place.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { RECORD_MAX = 256 << 20 }; /* bytes */

/* "part-NNNNN" or "rows-NNNNN" before `end`. */
static bool is_numbered(const char *name, const char *begin, const char *end) {
  size_t length = strlen(begin);
  if (strncmp(name, begin, length) != 0) return false;
  size_t digits = strspn(name + length, "0123456789");
  return digits >= 5 && strcmp(name + length + digits, end) == 0;
}

bool pmn_job_is_ours(const char *name) {
  static const char *const names[] = {"_SUCCESS", "_record.json", "_rejects.csv"};
  static const char *const ends[] = {".csv", ".parquet", ".npy", ".npy.index.csv"};
  bool ours = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) ours = ours || strcmp(name, names[i]) == 0;
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) ours = ours || is_numbered(name, "part-", ends[i]);
  return ours;
}

bool pmn_job_is_entry(const char *name) {
  static const char *const names[] = {"job.json", "commit.json", "shown.json", "fit.json"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(name, names[i]) == 0) return true;
  }
  return is_numbered(name, "part-", ".json") || is_numbered(name, "rows-", ".json") ||
         is_numbered(name, "rows-", ".f32");
}

typedef struct search {
  json_t *named; /* an object: its keys are the names */
  json_t *there;
  bool has_record; /* and it is Pomona's */
  char *what;
} search;

static pmn_status find_unnamed(void *arg, const char *name, int64_t size, pmn_err *err) {
  const search *s = arg;
  bool success = strcmp(name, "_SUCCESS") == 0, record = strcmp(name, "_record.json") == 0, part = name[0] != '_';
  if (!pmn_job_is_ours(name)) return PMN_STATUS_OK;
  bool foreign = (success && size > 0) || (record && !s->has_record) || (part && !json_object_get(s->named, name));
  if (foreign && s->what[0] == '\0') snprintf(s->what, 256, "%s", name);
  if (success || record) return PMN_STATUS_OK;
  if (json_array_append_new(s->there, json_string(name)) == 0) return PMN_STATUS_OK;
  return pmn_err_memory(err, 1, "the names of an output");
}

/* _record.json; NULL if it is missing or damaged. */
static pmn_status read_record(pmn_folder *folder, json_t **record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t size;
  pmn_buf text;
  pmn_buf_init(&text, RECORD_MAX);
  *record = NULL;
  PMN_TRY(pmn_folder_size(folder, "_record.json", &size, err));
  if (size < 0) goto done;
  PMN_TRY(pmn_folder_read(folder, "_record.json", &text, err));
  *record = json_loadb(text.data != NULL ? text.data : "", text.size, 0, NULL);
done:
  pmn_buf_reset(&text);
  return st;
}

/* Of an array of names, or of objects that have one. */
static bool add_names(json_t *named, const json_t *array) {
  bool good = true;
  for (size_t i = 0; good && i < json_array_size(array); i++) {
    const json_t *one = json_array_get(array, i);
    const char *name = json_string_value(json_is_object(one) ? json_object_get(one, "name") : one);
    good = name == NULL || json_object_set_new(named, name, json_true()) == 0;
  }
  return good;
}

/* An empty file passes for a list of rejects, too. */
static pmn_status check_rejects(const pmn_job_names *names, char what[256], pmn_err *err) {
  static const char file_name[] = "_rejects.csv", header[] = "path,stage,reason\n";
  pmn_status st = PMN_STATUS_OK;
  char begin[sizeof header] = "";
  pmn_infile *file = NULL;
  pmn_buf path;
  pmn_buf_init(&path, 1 << 16);
  PMN_TRY(pmn_buf_printf(&path, err, "%s/%s", names->output, file_name));
  PMN_TRY(pmn_infile_open(names->s3, path.data, &file, err));
  if (file == NULL || pmn_infile_size(file) == 0) goto done;
  int64_t size = pmn_infile_size(file), most = (int64_t)strlen(header);
  PMN_TRY(pmn_infile_read(file, 0, begin, (size_t)(size < most ? size : most), err));
  if (strcmp(begin, header) != 0) snprintf(what, 256, "%s", file_name);
done:
  pmn_infile_close(file);
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_job_find_unnamed(
    const pmn_job_names *names, const json_t *commit, json_t *there, char what[256], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  json_t *record = NULL;
  search s = {.named = json_object(), .there = there, .what = what};
  what[0] = '\0';
  PMN_TRY(pmn_folder_open(names->s3, names->output, false, &folder, err));
  PMN_TRY(read_record(folder, &record, err));
  bool good = s.named != NULL && add_names(s.named, json_object_get(record, "files")) &&
              add_names(s.named, json_object_get(commit, "files")) &&
              add_names(s.named, json_object_get(commit, "old"));
  if (!good) {
    st = pmn_err_memory(err, 1, "the names of an output");
    goto done;
  }
  s.has_record = json_is_string(json_object_get(record, "pomona"));
  PMN_TRY(pmn_folder_list(folder, find_unnamed, &s, err));
  if (what[0] == '\0') st = check_rejects(names, what, err);
done:
  json_decref(s.named);
  json_decref(record);
  pmn_folder_close(folder);
  return st;
}
