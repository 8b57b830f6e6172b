/* job_check.h - what the tests of the room job share: what lies in a folder, and a small job that does what the
 * pipeline does: parts, each with an entry in the journal, then the commit. */
#ifndef JOB_CHECK_H
#define JOB_CHECK_H

#include "check_files.h"

#include "pmn_job.h"
#include "pmn_mem.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/wait.h>

enum { PARTS = 3 };

static inline int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All names in a folder, hidden ones too, sorted and joined with spaces; "-" if there is no folder. Two live at a time.
 */
static inline const char *names_in(const char *path) {
  static char lists[2][1024];
  static int turn;
  char *text = lists[turn = !turn], *names[64];
  size_t count = 0, used = 0;
  DIR *handle = opendir(path);
  if (handle == NULL) return "-";
  for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && count < 64)
      names[count++] = strdup(entry->d_name);
  }
  closedir(handle);
  qsort(names, count, sizeof *names, by_name);
  text[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    used += (size_t)snprintf(text + used, sizeof lists[0] - used, "%s%s", i > 0 ? " " : "", names[i]);
    free(names[i]);
  }
  return text;
}

static inline pmn_status open_job(const char *output, bool overwrite, bool resume, pmn_job **job, pmn_err *err) {
  pmn_job_options options = {.output = output, .overwrite = overwrite, .resume = resume};
  *job = (pmn_job *)(uintptr_t)1; /* must be overwritten whatever happens */
  pmn_status st = pmn_job_open(&options, job, err);
  if (st != PMN_STATUS_OK && *job != NULL) fail_msg("a job that could not be opened is there");
  return st;
}

/* A job to be tried, never to be had. */
static inline pmn_status try_job(const char *output, bool overwrite, bool resume, pmn_err *err) {
  pmn_job *job;
  pmn_status st = open_job(output, overwrite, resume, &job, err);
  if (st == PMN_STATUS_OK) pmn_job_close(job);
  return st;
}

/* What decides the bytes of the small job: the letter in its rows. */
static inline json_t *plan_for(char letter) {
  return json_pack("{s:s#, s:i, s:{s:b, s:f}}", "letter", &letter, 1, "parts", PARTS, "statistics", "with_mean", 1,
      "pca_ratio", 0.1);
}

static inline pmn_status write_part(pmn_job *job, int part, char letter, json_t **files, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char name[32], key[8];
  const char *keys[] = {key}, *labels[] = {""};
  float features[] = {0.5f};
  pmn_row_block rows = {.n = 1, .keys = keys, .labels = labels, .features = features};
  pmn_sink *sink = NULL;
  pmn_buf path;
  pmn_buf_init(&path, 4096);
  snprintf(name, sizeof name, "part-%05d.csv", part);
  snprintf(key, sizeof key, "%c%d", letter, part);
  PMN_TRY(pmn_job_output_path(job, name, &path, err));
  pmn_sink_options options = {
      .path = path.data, .format = PMN_FORMAT_CSV, .width = 1, .overwrite = true, .is_part = true};
  PMN_TRY(pmn_sink_create(&options, &sink, err));
  PMN_TRY(pmn_sink_write(sink, &rows, err));
  PMN_TRY(pmn_sink_seal(sink, "", err));
  PMN_TRY(pmn_job_describe_part(job, sink, files, err));
done:
  pmn_sink_destroy(sink);
  pmn_buf_reset(&path);
  return st;
}

/* Parts from the first that the journal does not know; `parts` in all. */
static inline pmn_status write_parts(pmn_job *job, int parts, char letter, json_t *all, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *entry = NULL;
  for (int part = 0; part < parts; part++) {
    char name[32];
    snprintf(name, sizeof name, "part-%05d", part);
    PMN_TRY(pmn_job_recall(job, name, &entry, err));
    if (entry == NULL) {
      PMN_TRY(write_part(job, part, letter, &entry, err));
      PMN_TRY(pmn_job_note(job, name, entry, err));
    }
    json_array_extend(all, entry);
    json_decref(entry);
    entry = NULL;
  }
done:
  json_decref(entry);
  return st;
}

/* A whole run of the small job; *found tells that its output was there already. */
static inline pmn_status run_job(
    const char *output, char letter, bool overwrite, bool resume, bool *found, pmn_err *err) {
  static int number;
  pmn_status st = PMN_STATUS_OK;
  pmn_job *job = NULL;
  char *record = NULL, *text = NULL;
  json_t *plan = plan_for(letter), *files = json_array();
  json_t *mine = json_pack("{s:s, s:O, s:O, s:i, s:i}", "pomona", "a test", "files", files, "plan", plan, "process",
      (int)getpid(), "number", number++);
  PMN_TRY(open_job(output, overwrite, resume, &job, err));
  PMN_TRY(pmn_job_begin(job, plan, &record, err));
  if (found != NULL) *found = record != NULL;
  if (record != NULL) goto done;
  PMN_TRY(write_parts(job, PARTS, letter, files, err));
  text = json_dumps(mine, JSON_INDENT(1));
  PMN_TRY(pmn_job_commit(job, files, text, err));
done:
  pmn_job_close(job);
  pmn_free(record);
  free(text);
  json_decref(plan);
  json_decref(files);
  json_decref(mine);
  return st;
}

/* A run that ends behind `parts` parts, as one that is interrupted, and leaves its work. */
static inline void leave_work(const char *output, char letter, int parts) {
  pmn_err err = PMN_ERR_INIT;
  pmn_job *job;
  char *record;
  json_t *plan = plan_for(letter), *files = json_array();
  check_ok(open_job(output, true, true, &job, &err));
  check_ok(pmn_job_begin(job, plan, &record, &err));
  assert_null(record);
  check_ok(write_parts(job, parts, letter, files, &err));
  pmn_job_close(job);
  json_decref(plan);
  json_decref(files);
}

/* The letter of the whole output that stands there; 0 for nothing. Anything else ends the test. */
static inline char output_letter(const char *output) {
  char path[512], rows[64] = "", letter = 0;
  const char *names = names_in(output);
  if (strcmp(names, "-") == 0 || names[0] == '\0') return 0;
  if (strcmp(names, "_SUCCESS _record.json part-00000.csv part-00001.csv part-00002.csv") != 0)
    fail_msg("%s holds %s", output, names);
  for (int part = 0; part < PARTS; part++) {
    snprintf(path, sizeof path, "%s/part-%05d.csv", output, part);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("cannot open %s", path);
    rows[fread(rows, 1, sizeof rows - 1, file)] = '\0';
    fclose(file);
    char expected[64], first = strlen(rows) > 14 ? rows[14] : '?';
    if (part == 0) letter = first;
    snprintf(expected, sizeof expected, "path,label,f0\n%c%d,,0.5\n", letter, part);
    if (strcmp(rows, expected) != 0) fail_msg("%s holds \"%s\", not \"%s\"", path, rows, expected);
  }
  return letter;
}

#endif
