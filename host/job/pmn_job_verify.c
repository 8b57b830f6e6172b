/* pmn_job_verify.c - see pmn_job_verify.h.
 *
 * The record names the files, or for outputs of older versions those that are there stand for them; each is read once
 * and held against what is recorded, then the sums against the counts. Nothing of the record is believed: names stay
 * within the output, numbers are checked before they are added. The first difference ends it.
 *
 * What damage can pass: none to a table, which is under the SHA-256 of the record or, in a single Parquet file, under
 * its own two. Record and rejects have no checksum (who changes a table on purpose changes the record too): a flip
 * there is seen where it changes a count, a size, a hash, a file's name or the form of the text. test_verify.c counts
 * them.
 */
#include "pmn_job_verify.h"

#include "pmn_folder.h"
#include "pmn_job.h"
#include "pmn_job_place.h"
#include "pmn_job_table.h"
#include "pmn_mem.h"
#include "pmn_s3.h"
#include "pmn_text.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RECORD_MAX = 256 << 20, PATH_BYTES = 1 << 16 };

static const char index_suffix[] = ".index.csv";

typedef struct verify {
  pmn_s3 *s3;
  const char *output; /* as messages show it */
  const volatile sig_atomic_t *stop;
  pmn_verified *result;
  pmn_buf path; /* of the output, without slashes at its end */
  bool is_folder;
  bool has_work; /* of a broken or living run */
  json_t *there; /* of a folder: what is in it, by name; of sub-folders with a slash */
  json_t *record, *files;
  json_t *rows; /* of the files of the record, by name */
  int64_t width;
  pmn_values values;
  bool keypoints;          /* the table has a column of them */
  int64_t unhashed;        /* files without a checksum */
  bool unlisted;           /* the record names no files */
  bool remote_rejects;     /* the list of rejects is in a bucket, and the output is not */
  int64_t passed_over;     /* files and sub-folders that are none of the output's, and no reader's */
  const char *passed_name; /* one of them, within `there` */
} verify;

static void reset(verify *v) {
  pmn_buf_reset(&v->path);
  json_decref(v->there);
  json_decref(v->record);
  json_decref(v->files);
  json_decref(v->rows);
}

static pmn_status no_memory(pmn_err *err) {
  return pmn_err_memory(err, 1, "the list of files");
}

/* ----------------------------------------------------------------------------------------------------- record -- */

static pmn_status parse_record(verify *v, const char *path, const pmn_buf *text, pmn_err *err) {
  json_error_t where;
  v->record = json_loadb(text->data != NULL ? text->data : "", text->size, JSON_REJECT_DUPLICATES, &where);
  if (json_is_object(v->record)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "the run record %.300s is damaged: %.150s", path,
      v->record == NULL ? where.text : "it is no JSON object");
}

/* A number of the record that cannot be negative; -1 if there is none. */
static bool take_number(const json_t *object, const char *key, int64_t *value) {
  const json_t *json = json_object_get(object, key);
  *value = json == NULL ? -1 : json_integer_value(json);
  return json == NULL || (json_is_integer(json) && *value >= 0);
}

static pmn_status check_counts(verify *v, pmn_err *err) {
  const json_t *counts = json_object_get(v->record, "counts");
  pmn_verified *r = v->result;
  int64_t sum;
  if (!take_number(counts, "listed", &r->listed) || !take_number(counts, "rows", &r->rows) ||
      !take_number(counts, "rejects", &r->rejects) || !take_number(counts, "width", &v->width) || r->listed < 0 ||
      r->rows < 0 || r->rejects < 0 || v->width < 1 || v->width > INT32_MAX) {
    return pmn_err_set(
        err, PMN_STATUS_MODEL, 0, "the record of %.300s is damaged: its counts make no sense", v->output);
  }
  if (__builtin_add_overflow(r->rows, r->rejects, &sum) || sum != r->listed) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "the record of %.300s does not add up: %lld rows and %lld rejects are not the %lld that were listed", v->output,
        (long long)r->rows, (long long)r->rejects, (long long)r->listed);
  }
  return PMN_STATUS_OK;
}

/* What the table is like; records of older versions do not say: floats, and no keypoints. */
static pmn_status check_table(verify *v, pmn_err *err) {
  const json_t *table = json_object_get(v->record, "table");
  const json_t *keypoints = json_object_get(table, "keypoints");
  const char *values = json_string_value(json_object_get(table, "values"));
  v->values = PMN_VALUES_FLOAT;
  v->keypoints = json_is_true(keypoints);
  bool good = values != NULL && pmn_values_find(values, &v->values) && json_is_boolean(keypoints);
  if (table == NULL || good) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_MODEL, 0, "the record of %.300s is damaged: its table is none that Pomona writes", v->output);
}

/* Adds a file that only its name is known of. */
static pmn_status add_name(verify *v, const char *name, pmn_err *err) {
  json_t *entry = json_pack("{s:s}", "name", name);
  return entry != NULL && json_array_append_new(v->files, entry) == 0 ? PMN_STATUS_OK : no_memory(err);
}

static pmn_status take_files(verify *v, pmn_err *err) {
  json_t *files = json_object_get(v->record, "files");
  if (json_is_array(files)) {
    v->files = json_incref(files);
    return PMN_STATUS_OK;
  }
  if (files != NULL) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "the record of %.300s is damaged: its files are no list", v->output);
  }
  v->unlisted = true;
  v->files = json_array();
  return v->files != NULL ? PMN_STATUS_OK : no_memory(err);
}

/* ----------------------------------------------------------------------------------------------------- folder -- */

static pmn_status take_name(void *arg, const char *name, int64_t size, pmn_err *err) {
  verify *v = arg;
  pmn_status st = PMN_STATUS_OK;
  pmn_buf text; /* jansson takes valid UTF-8 only */
  (void)size;
  pmn_buf_init(&text, PATH_BYTES);
  PMN_TRY(pmn_text_escape(&text, name, strlen(name), err));
  if (text.size > 0 && json_object_set_new(v->there, text.data, json_true()) != 0) st = no_memory(err);
done:
  pmn_buf_reset(&text);
  return st;
}

static bool is_there(const verify *v, const char *name) {
  return json_object_get(v->there, name) != NULL;
}

static bool is_part(const char *name) {
  return strncmp(name, "part-", strlen("part-")) == 0;
}

static bool ends_as_index(const char *name) {
  size_t size = strlen(name);
  return size > strlen(index_suffix) && strcmp(name + size - strlen(index_suffix), index_suffix) == 0;
}

/* Nothing is there, or it is not finished; `work` is where a run has left what it did. */
static pmn_status refuse(const verify *v, const char *what, const char *work, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "%.200s %s%s%.200s%s", v->output, what,
      work != NULL ? "; a run has left its work in " : "", work != NULL ? work : "",
      work != NULL ? ": wait for it, or go on with --resume" : "");
}

static pmn_status open_folder(verify *v, const char *work, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  pmn_buf text, path;
  const char *name;
  json_t *value;
  pmn_buf_init(&text, RECORD_MAX);
  pmn_buf_init(&path, PATH_BYTES);
  st = pmn_folder_open(v->s3, v->path.data, false, &folder, err);
  if (st == PMN_STATUS_NOT_FOUND) st = refuse(v, "is not there", work, err);
  if (st != PMN_STATUS_OK) goto done;
  v->there = json_object();
  if (v->there == NULL) {
    st = no_memory(err);
    goto done;
  }
  PMN_TRY(pmn_folder_list(folder, take_name, v, err));
  if (!is_there(v, "_SUCCESS")) {
    bool empty = json_object_size(v->there) == 0;
    st = refuse(v, empty ? "holds no output" : "is not finished: it has no _SUCCESS", work, err);
    goto done;
  }
  PMN_TRY(pmn_folder_name(folder, "_record.json", &path, err));
  if (!is_there(v, "_record.json")) PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s is not there", path.data);
  PMN_TRY(pmn_folder_read(folder, "_record.json", &text, err));
  PMN_TRY(parse_record(v, path.data, &text, err));
  PMN_TRY(take_files(v, err));
  json_object_foreach(v->there, name, value) {
    if (v->unlisted && is_part(name) && strchr(name, '/') == NULL) PMN_TRY(add_name(v, name, err));
  }
done:
  pmn_folder_close(folder);
  pmn_buf_reset(&text);
  pmn_buf_reset(&path);
  return st;
}

/* ------------------------------------------------------------------------------------------------ single file -- */

/* The output with something behind its name; *file is NULL if there is no such file. */
static pmn_status open_beside(const verify *v, const char *suffix, pmn_infile **file, pmn_err *err) {
  pmn_buf path;
  pmn_buf_init(&path, PATH_BYTES);
  pmn_status st = pmn_buf_printf(&path, err, "%s%s", v->path.data, suffix);
  if (st == PMN_STATUS_OK) st = pmn_infile_open(v->s3, path.data, file, err);
  pmn_buf_reset(&path);
  return st;
}

/* Files of a record that names none: the table, and what is beside it. */
static pmn_status name_files(verify *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *file = NULL;
  char name[32];
  PMN_TRY(add_name(v, "table", err));
  PMN_TRY(open_beside(v, index_suffix, &file, err));
  snprintf(name, sizeof name, "table%s", index_suffix);
  if (file != NULL) PMN_TRY(add_name(v, name, err));
done:
  pmn_infile_close(file);
  return st;
}

static pmn_status open_single(verify *v, const char *work, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *table = NULL, *beside = NULL;
  pmn_buf text;
  bool inside = false;
  pmn_buf_init(&text, RECORD_MAX);
  PMN_TRY(open_beside(v, "", &table, err));
  if (table == NULL) {
    st = refuse(v, "is not there", work, err);
    goto done;
  }
  PMN_TRY(pmn_table_record(table, &inside, &text, err));
  if (!inside) {
    PMN_TRY(open_beside(v, ".record.json", &beside, err));
    if (beside == NULL) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s has no run record beside it: %.300s.record.json is not there", v->output,
          v->output);
    }
    PMN_TRY(pmn_infile_read_all(beside, &text, err));
  }
  PMN_TRY(parse_record(v, pmn_infile_path(inside ? table : beside), &text, err));
  PMN_TRY(take_files(v, err));
  if (v->unlisted) PMN_TRY(name_files(v, err));
  if (inside) v->unlisted = false; /* a record inside cannot name its file */
done:
  pmn_infile_close(table);
  pmn_infile_close(beside);
  pmn_buf_reset(&text);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ files -- */

/* One file of the record, in words that can be trusted. */
typedef struct entry {
  const char *name, *sha256;
  int64_t bytes, rows, sha256_from; /* -1: not recorded */
  pmn_table_kind kind;
} entry;

static bool is_sha256(const char *text) {
  size_t digits = strspn(text, "0123456789abcdef");
  return text[digits] == '\0' && (digits == 0 || digits == PMN_SHA256_HEX_SIZE - 1);
}

/* An index has the name of the table that it follows, with something behind it. */
static bool is_index(const verify *v, size_t i, const char *name) {
  const char *table = i == 0 ? NULL : json_string_value(json_object_get(json_array_get(v->files, i - 1), "name"));
  size_t size = table == NULL ? 0 : strlen(table);
  if (v->unlisted && v->is_folder) return ends_as_index(name);
  return table != NULL && strncmp(name, table, size) == 0 && strcmp(name + size, index_suffix) == 0;
}

static bool take_entry(const verify *v, size_t i, entry *e) {
  const json_t *json = json_array_get(v->files, i), *sha256 = json_object_get(json, "sha256");
  e->name = json_string_value(json_object_get(json, "name"));
  if (e->name == NULL || !take_number(json, "bytes", &e->bytes) || !take_number(json, "rows", &e->rows) ||
      !take_number(json, "sha256_from", &e->sha256_from)) {
    return false;
  }
  e->sha256 = sha256 == NULL ? "" : json_string_value(sha256);
  if (e->sha256 == NULL || !is_sha256(e->sha256)) return false;
  e->kind = is_index(v, i, e->name) ? PMN_TABLE_INDEX : PMN_TABLE_ROWS;
  if (v->is_folder) return is_part(e->name) && strchr(e->name, '/') == NULL;
  return i == 0 || (i == 1 && e->kind == PMN_TABLE_INDEX); /* the first is the output, whatever it was called then */
}

static pmn_status open_entry(const verify *v, const entry *e, pmn_infile **file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  const char *suffix = e->kind == PMN_TABLE_INDEX ? index_suffix : "";
  pmn_buf_init(&path, PATH_BYTES);
  PMN_TRY(v->is_folder ? pmn_buf_printf(&path, err, "%s/%s", v->path.data, e->name)
                       : pmn_buf_printf(&path, err, "%s%s", v->path.data, suffix));
  PMN_TRY(pmn_infile_open(v->s3, path.data, file, err));
  if (*file == NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s is not there, but the record names it", path.data);
done:
  pmn_buf_reset(&path);
  return st;
}

static pmn_status check_file(verify *v, const entry *e, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *file = NULL;
  const pmn_table_wanted wanted = {
      .kind = e->kind,
      .width = v->width,
      .values = v->values,
      .keypoints = v->keypoints,
      .sha256 = e->sha256,
      .sha256_from = e->sha256_from > 0 ? e->sha256_from : 0,
      .stop = v->stop,
  };
  pmn_table_found found = {.rows = e->rows};
  PMN_TRY(open_entry(v, e, &file, err));
  if (e->bytes >= 0 && e->bytes != pmn_infile_size(file)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s has %lld bytes and not %lld, as recorded", pmn_infile_path(file),
        (long long)pmn_infile_size(file), (long long)e->bytes);
  }
  PMN_TRY(pmn_table_check(file, &wanted, &found, err));
  if (!found.hashed) v->unhashed++;
  if (e->rows >= 0 && e->rows != found.rows) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s holds %lld rows and not %lld, as recorded", pmn_infile_path(file),
        (long long)found.rows, (long long)e->rows);
  }
  v->result->files++;
  v->result->bytes += pmn_infile_size(file);
  if (json_object_set_new(v->rows, e->name, json_integer(found.rows)) != 0) st = no_memory(err);
done:
  pmn_infile_close(file);
  return st;
}

/* Rows of all tables together, and an index line for each row of an array. */
static pmn_status check_sums(const verify *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t sum = 0;
  bool too_many = false;
  entry e;
  for (size_t i = 0; i < json_array_size(v->files); i++) {
    if (!take_entry(v, i, &e)) continue; /* as all were before */
    int64_t rows = json_integer_value(json_object_get(v->rows, e.name));
    if (e.kind == PMN_TABLE_ROWS) {
      too_many = too_many || __builtin_add_overflow(sum, rows, &sum);
      continue;
    }
    char table[4096];
    snprintf(table, sizeof table, "%.*s", (int)(strlen(e.name) - strlen(index_suffix)), e.name);
    const json_t *array = json_object_get(v->rows, table);
    if (array == NULL || json_integer_value(array) == rows) continue;
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.200s of %.200s holds %lld lines for %lld rows", e.name, v->output,
        (long long)rows, (long long)json_integer_value(array));
  }
  if (too_many || sum != v->result->rows) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s holds %lld rows, but its record counts %lld", v->output, (long long)sum,
        (long long)v->result->rows);
  }
done:
  return st;
}

/* Spark, pandas, pyarrow and others read every file of a folder, and some of them those of its sub-folders, unless the
 * name starts with _ or a dot: what the record does not name would make rows that it does not count. */
static pmn_status check_foreign(verify *v, pmn_err *err) {
  static const char *const own[] = {"_SUCCESS", "_record.json", "_rejects.csv"};
  pmn_status st = PMN_STATUS_OK;
  const char *name;
  json_t *value;
  json_object_foreach(v->there, name, value) {
    bool known = json_object_get(v->rows, name) != NULL;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) known = known || strcmp(name, own[i]) == 0;
    if (known || (v->has_work && strcmp(name, "_temporary/") == 0)) continue;
    if (name[0] != '_' && name[0] != '.') {
      PMN_FAIL(err, PMN_STATUS_MODEL,
          "%.300s/%.150s is there, but the record does not name it: readers would take it for a part; move it away",
          v->path.data, name);
    }
    if (v->passed_over++ == 0) v->passed_name = name;
  }
done:
  return st;
}

static pmn_status check_files(verify *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  entry e;
  v->rows = json_object();
  if (v->rows == NULL) return no_memory(err);
  for (size_t i = 0; i < json_array_size(v->files); i++) {
    if (!take_entry(v, i, &e) || json_object_get(v->rows, e.name) != NULL) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "the record of %.300s is damaged: its file %zu makes no sense", v->output, i + 1);
    }
    if (json_object_set_new(v->rows, e.name, json_integer(-1)) != 0) {
      st = no_memory(err);
      goto done;
    }
  }
  PMN_TRY(check_foreign(v, err));
  for (size_t i = 0; i < json_array_size(v->files); i++) {
    if (take_entry(v, i, &e)) PMN_TRY(check_file(v, &e, err));
  }
  PMN_TRY(check_sums(v, err));
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- rejects -- */

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : 0;
}

/* The name that pmn_text_escape has made this of. */
static pmn_status unescape(const char *text, pmn_buf *name, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (; *text != '\0'; text++) {
    char byte = *text;
    if (byte == '\\' && text[1] == '\\') {
      text++;
    } else if (byte == '\\' && text[1] == 'x' && text[2] != '\0' && text[3] != '\0') {
      byte = (char)(hex_digit(text[2]) << 4 | hex_digit(text[3]));
      text += 3;
    }
    PMN_TRY(pmn_buf_append(name, &byte, 1, err));
  }
done:
  return st;
}

/* Is it the list that a run writes for an output of this very name, if it is not told where? */
static bool is_usual(const verify *v, const char *recorded, const char *suffix) {
  const char *slash = strrchr(v->path.data, '/'), *name = slash == NULL ? v->path.data : slash + 1;
  size_t size = strlen(recorded), name_size = strlen(name), end = name_size + strlen(suffix);
  if (size < end || (size > end && recorded[size - end - 1] != '/')) return false;
  return strncmp(recorded + size - end, name, name_size) == 0 && strcmp(recorded + size - strlen(suffix), suffix) == 0;
}

/* Where the list of rejects is: in its usual place, which moves with the output, or where the user has put it. */
static pmn_status find_rejects(const verify *v, const char *text, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *usual = NULL;
  pmn_buf recorded;
  const char *suffix = v->is_folder ? "/_rejects.csv" : ".rejects.csv";
  pmn_buf_init(&recorded, PATH_BYTES);
  PMN_TRY(unescape(text, &recorded, err));
  PMN_TRY(pmn_buf_append(&recorded, "", 0, err));
  PMN_TRY(open_beside(v, suffix, &usual, err));
  if (usual != NULL || is_usual(v, recorded.data, suffix))
    PMN_TRY(pmn_buf_printf(path, err, "%s%s", v->path.data, suffix));
  else
    PMN_TRY(pmn_buf_append(path, recorded.data, recorded.size, err));
done:
  pmn_infile_close(usual);
  pmn_buf_reset(&recorded);
  return st;
}

static pmn_status count_rejects(verify *v, const char *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *file = NULL;
  const pmn_table_wanted wanted = {.kind = PMN_TABLE_REJECTS, .sha256 = "", .stop = v->stop};
  pmn_table_found found;
  PMN_TRY(pmn_infile_open(v->s3, path, &file, err));
  if (file == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the list of %lld rejects, %.300s, is not there%s", (long long)v->result->rejects,
        path, path[0] == '/' || pmn_s3_is_uri(path) ? "" : ", seen from this folder");
  }
  PMN_TRY(pmn_table_check(file, &wanted, &found, err));
  if (found.rows != v->result->rejects) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s lists %lld rejects, but the record counts %lld", path,
        (long long)found.rows, (long long)v->result->rejects);
  }
  v->result->files++;
  v->result->bytes += pmn_infile_size(file);
done:
  pmn_infile_close(file);
  return st;
}

static pmn_status check_rejects(verify *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *recorded = json_string_value(json_object_get(v->record, "rejects"));
  pmn_buf path;
  pmn_buf_init(&path, PATH_BYTES);
  if (v->result->rejects == 0) {
    if (recorded == NULL && !is_there(v, "_rejects.csv")) goto done;
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.300s has a list of rejects, but its record counts none", v->output);
  }
  if (recorded == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the record of %.300s counts %lld rejects, but names no list of them", v->output,
        (long long)v->result->rejects);
  }
  PMN_TRY(find_rejects(v, recorded, &path, err));
  if (v->s3 == NULL && pmn_s3_is_uri(path.data))
    v->remote_rejects = true;
  else
    PMN_TRY(count_rejects(v, path.data, err));
done:
  pmn_buf_reset(&path);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ whole -- */

/* One more thing that the user is to know of. */
static void note(pmn_verified *result, const char *format, ...) PMN_PRINTF(2, 3);
static void note(pmn_verified *result, const char *format, ...) {
  char *notes = result->notes;
  size_t used = strlen(notes);
  va_list args;
  if (used > 0 && used + 2 < sizeof result->notes) used += (size_t)snprintf(notes + used, 3, "; ");
  va_start(args, format);
  vsnprintf(notes + used, sizeof result->notes - used, format, args);
  va_end(args);
}

static void write_notes(const verify *v, const char *work) {
  pmn_verified *result = v->result;
  if (v->unlisted) {
    note(result, "the record, of an older version, names no files: their sizes and checksums could not be checked");
  } else if (v->unhashed > 0) {
    note(result, "of %lld %s no checksum of all bytes is recorded: %s rows and size were checked",
        (long long)v->unhashed, v->unhashed == 1 ? "file" : "files", v->unhashed == 1 ? "its" : "their");
  }
  if (v->remote_rejects) note(result, "the list of rejects is in a bucket and was not looked at");
  if (v->passed_over > 0) {
    note(result, "%lld %s no part of the output, and readers pass over: %.100s%s", (long long)v->passed_over,
        v->passed_over == 1 ? "file is" : "files are", v->passed_name, v->passed_over == 1 ? "" : " and others");
  }
  if (work != NULL) note(result, "a run has left its work in %.300s", work);
}

/* Where a folder and a file may have the same name, the file is what the name says. */
static pmn_status find_kind(verify *v, pmn_err *err) {
  struct stat info;
  pmn_infile *file = NULL;
  v->is_folder = pmn_job_is_folder(v->output);
  bool is_file = v->is_folder && v->s3 == NULL && stat(v->path.data, &info) == 0 && !S_ISDIR(info.st_mode);
  if (is_file) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "%.300s is a file and no folder: name it without the slash at the end", v->path.data);
  }
  if (v->is_folder) return PMN_STATUS_OK;
  if (v->s3 == NULL) {
    v->is_folder = stat(v->path.data, &info) == 0 && S_ISDIR(info.st_mode);
    return PMN_STATUS_OK;
  }
  pmn_status st = pmn_infile_open(v->s3, v->path.data, &file, err);
  v->is_folder = file == NULL;
  pmn_infile_close(file);
  return st;
}

/* A part has no record of its own; a table of such a name has, in no folder that has one. */
static pmn_status refuse_part(const verify *v, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_infile *record = NULL;
  const char *slash = strrchr(v->path.data, '/'), *name = slash == NULL ? v->path.data : slash + 1;
  pmn_buf path;
  pmn_buf_init(&path, PATH_BYTES);
  if (v->is_folder || !pmn_job_is_ours(name)) goto done;
  PMN_TRY(pmn_buf_printf(&path, err, "%.*s_record.json", (int)(name - v->path.data), v->path.data));
  PMN_TRY(pmn_infile_open(v->s3, path.data, &record, err));
  if (record == NULL) goto done;
  PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%.200s is a part of an output: verify %.*s", v->path.data,
      slash == NULL ? 1 : (int)(name - v->path.data), slash == NULL ? "." : v->path.data);
done:
  pmn_infile_close(record);
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_job_verify(
    struct pmn_s3 *s3, const char *output, const volatile sig_atomic_t *stop, pmn_verified *verified, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  verify v = {.s3 = s3, .output = output, .stop = stop, .result = verified};
  size_t size = strlen(output), least = pmn_s3_is_uri(output) ? strlen("s3://") : 1;
  pmn_buf work;
  *verified = (pmn_verified){.files = 0};
  pmn_buf_init(&v.path, PATH_BYTES);
  pmn_buf_init(&work, PATH_BYTES);
  while (size > least && output[size - 1] == '/') size--;
  PMN_TRY(pmn_buf_append(&v.path, output, size, err));
  PMN_TRY(find_kind(&v, err));
  PMN_TRY(refuse_part(&v, err));
  st = pmn_job_find_work(s3, v.path.data, &work, err);
  if (st != PMN_STATUS_OK && st != PMN_STATUS_WRITE) goto done; /* "." can be read, but no run has worked on it */
  v.has_work = work.size > 0;
  PMN_TRY(v.is_folder ? open_folder(&v, work.data, err) : open_single(&v, work.data, err));
  PMN_TRY(check_counts(&v, err));
  PMN_TRY(check_table(&v, err));
  PMN_TRY(check_files(&v, err));
  PMN_TRY(check_rejects(&v, err));
  write_notes(&v, work.data);
done:
  reset(&v);
  pmn_buf_reset(&work);
  return st;
}
