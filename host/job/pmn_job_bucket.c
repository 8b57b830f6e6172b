/* pmn_job_bucket.c - a job whose output is a prefix in a bucket; see pmn_job_place.h.
 *
 * Parts are multipart uploads to their final keys, invisible until they are completed; journal and lock are objects
 * below OUT/_temporary/. Nothing in a bucket is shown at one stroke: with overwrite the old _SUCCESS goes first, then
 * the uploads are completed, what only the older output had is removed, and _SUCCESS comes last.
 */
#include "pmn_job_lock.h"
#include "pmn_job_place.h"
#include "pmn_mem.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 1 << 16 };

static const char LOCK[] = "lock.json";

/* The bucket of names->output, and the prefix of all keys below it: "Results/", or "". */
typedef struct below {
  pmn_buf bucket, prefix;
} below;

static void below_reset(below *b) {
  pmn_buf_reset(&b->bucket);
  pmn_buf_reset(&b->prefix);
}

static pmn_status below_find(const char *uri, below *b, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  pmn_buf_init(&b->bucket, 256);
  pmn_buf_init(&b->prefix, TEXT_MAX);
  PMN_TRY(pmn_s3_uri_split(uri, &b->bucket, &key, err));
  PMN_TRY(pmn_buf_printf(&b->prefix, err, "%s%s", key, key[0] == '\0' ? "" : "/"));
done:
  return st;
}

static pmn_status names_make(const char *output, pmn_job_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf work;
  pmn_buf_init(&work, TEXT_MAX);
  names->output = pmn_strdup(output);
  if (names->output == NULL) return pmn_err_memory(err, strlen(output) + 1, "a path");
  for (size_t size = strlen(output); size > strlen("s3://") && names->output[size - 1] == '/';) {
    names->output[--size] = '\0';
  }
  PMN_TRY(pmn_buf_printf(&work, err, "%s/_temporary", names->output));
  names->work = pmn_buf_take(&work);
  names->place = pmn_strdup(names->output);
  if (names->place == NULL) {
    st = pmn_err_memory(err, strlen(output) + 1, "a path");
    goto done;
  }
  const char *bucket = names->output + strlen("s3://"), *slash = strrchr(bucket, '/');
  if (slash == NULL) goto done;
  PMN_TRY(pmn_buf_printf(&work, err, "%.*s/.%s.lock", (int)(slash - names->output), names->output, slash + 1));
  names->guard = pmn_buf_take(&work);
done:
  pmn_buf_reset(&work);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ look -- */

/* An end of a listing that has seen enough: not an error. */
static const int32_t ENOUGH = -1;

static pmn_status enough(pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_EXISTS, ENOUGH, "enough");
}

static pmn_status list(const pmn_job_names *names, const below *b, pmn_s3_each *each, void *arg, pmn_err *err) {
  pmn_err mine = PMN_ERR_INIT;
  pmn_status st = pmn_s3_list(names->s3, b->bucket.data, b->prefix.data, each, arg, &mine);
  if (st == PMN_STATUS_EXISTS && mine.foreign == ENOUGH) return PMN_STATUS_OK;
  if (st != PMN_STATUS_OK && err != NULL) *err = mine;
  return st;
}

typedef struct view {
  size_t prefix_size;
  pmn_job_state state;
  char *what;
} view;

/* What a run writes below OUT/_temporary/, where other programs may work, too. */
static bool is_work_name(const char *name) {
  return strcmp(name, LOCK) == 0 || pmn_job_is_entry(name);
}

static bool is_work(const char *name) {
  static const char work[] = "_temporary/";
  if (strncmp(name, work, strlen(work)) != 0) return false;
  return name[strlen(work)] == '\0' || is_work_name(name + strlen(work));
}

static pmn_status look_at(void *arg, const pmn_s3_object *object, pmn_err *err) {
  view *v = arg;
  const char *name = object->key + v->prefix_size;
  if (name[0] == '\0' || is_work(name)) return PMN_STATUS_OK; /* an empty object may stand for the folder */
  bool ours = pmn_job_is_ours(name);
  if (!ours)
    v->state = PMN_JOB_FOREIGN;
  else if (v->state == PMN_JOB_NOTHING || strcmp(name, "_SUCCESS") == 0)
    v->state = strcmp(name, "_SUCCESS") == 0 ? PMN_JOB_OUTPUT : PMN_JOB_HALF;
  if (ours) return PMN_STATUS_OK;
  snprintf(v->what, 256, "%s", name);
  return enough(err);
}

static pmn_status look(const pmn_job_names *names, pmn_job_state *state, char what[256], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  below b;
  PMN_TRY(below_find(names->output, &b, err));
  view v = {.prefix_size = b.prefix.size, .state = PMN_JOB_NOTHING, .what = what};
  what[0] = '\0';
  PMN_TRY(list(names, &b, look_at, &v, err));
  *state = v.state;
done:
  below_reset(&b);
  return st;
}

typedef struct work_search {
  size_t prefix_size;
  bool found;
} work_search;

static pmn_status find_work(void *arg, const pmn_s3_object *object, pmn_err *err) {
  work_search *s = arg;
  if (!is_work_name(object->key + s->prefix_size)) return PMN_STATUS_OK;
  s->found = true;
  return enough(err);
}

static pmn_status has_work(const pmn_job_names *names, bool *has, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  below b;
  *has = false;
  PMN_TRY(below_find(names->work, &b, err));
  work_search s = {.prefix_size = b.prefix.size};
  PMN_TRY(list(names, &b, find_work, &s, err));
  *has = s.found;
done:
  below_reset(&b);
  return st;
}

static pmn_status lock_take(const pmn_job_names *names, void **lock, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_lock *taken = NULL;
  below b;
  *lock = NULL;
  PMN_TRY(below_find(names->work, &b, err));
  PMN_TRY(pmn_buf_append(&b.prefix, LOCK, strlen(LOCK), err));
  PMN_TRY(pmn_job_lock_take(names->s3, b.bucket.data, b.prefix.data, names->output, &taken, err));
  *lock = taken;
done:
  below_reset(&b);
  return st;
}

static pmn_status guard_take(const pmn_job_names *names, void **lock, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_lock *taken = NULL;
  const char *key;
  pmn_buf bucket;
  *lock = NULL;
  pmn_buf_init(&bucket, 256);
  PMN_TRY(pmn_s3_uri_split(names->guard, &bucket, &key, err));
  PMN_TRY(pmn_job_lock_take(names->s3, bucket.data, key, names->output, &taken, err));
  *lock = taken;
done:
  pmn_buf_reset(&bucket);
  return st;
}

static void unlock(void *lock) {
  pmn_job_lock_destroy(lock);
}

static pmn_status check_lock(const void *lock, pmn_err *err) {
  return pmn_job_lock_check(lock, err);
}

/* ---------------------------------------------------------------------------------------------- clear and show -- */

typedef struct removal {
  pmn_s3 *s3;
  const char *bucket;
  size_t prefix_size;
  int64_t *removed;
} removal;

static pmn_status remove_object(void *arg, const pmn_s3_object *object, pmn_err *err) {
  const removal *r = arg;
  const char *name = object->key + r->prefix_size;
  if (!is_work_name(name)) return PMN_STATUS_OK;
  if (strcmp(name, LOCK) == 0) return PMN_STATUS_OK; /* whose it is, only unlock knows */
  pmn_status st = pmn_s3_delete(r->s3, r->bucket, object->key, err);
  if (st == PMN_STATUS_OK) ++*r->removed;
  return st;
}

static pmn_status end_upload(void *arg, const char *key, const char *upload_id, pmn_err *err) {
  const removal *r = arg;
  const char *name = key + r->prefix_size;
  if (!pmn_job_is_ours(name)) return PMN_STATUS_OK;
  pmn_status st = pmn_s3_abort(r->s3, r->bucket, key, upload_id, err);
  if (st == PMN_STATUS_OK) ++*r->removed;
  return st;
}

/* The plan first, then the uploads: should this be broken off, the working folder still says that there is something to
 * remove. */
static pmn_status clear(const pmn_job_names *names, bool lock_too, bool uploads_too, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  (void)lock_too;
  below work, output;
  pmn_buf_init(&output.bucket, 256);
  pmn_buf_init(&output.prefix, TEXT_MAX);
  PMN_TRY(below_find(names->work, &work, err));
  PMN_TRY(below_find(names->output, &output, err));
  PMN_TRY(pmn_folder_open(names->s3, names->work, false, &folder, err));
  PMN_TRY(pmn_folder_remove(folder, "job.json", err));
  removal uploads = {
      .s3 = names->s3, .bucket = output.bucket.data, .prefix_size = output.prefix.size, .removed = removed};
  if (uploads_too) {
    PMN_TRY(pmn_s3_list_uploads(names->s3, output.bucket.data, output.prefix.data, end_upload, &uploads, err));
  }
  removal objects = {.s3 = names->s3, .bucket = work.bucket.data, .prefix_size = work.prefix.size, .removed = removed};
  PMN_TRY(list(names, &work, remove_object, &objects, err));
done:
  pmn_folder_close(folder);
  below_reset(&work);
  below_reset(&output);
  return st;
}

static bool is_among(const char *name, const json_t *files) {
  for (size_t i = 0; i < json_array_size(files); i++) {
    const char *one = json_string_value(json_object_get(json_array_get(files, i), "name"));
    if (one != NULL && strcmp(one, name) == 0) return true;
  }
  return false;
}

/* Parts, or the list of rejects, of an older output that the new one does not have. Others are not looked for: what has
 * come there since is somebody else's. */
static pmn_status remove_stale(pmn_folder *output, const pmn_job_showing *showing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < json_array_size(showing->old); i++) {
    const char *name = json_string_value(json_array_get(showing->old, i));
    if (name == NULL || !pmn_job_is_ours(name) || is_among(name, showing->files)) continue;
    PMN_TRY(check_lock(showing->lock, err));
    PMN_TRY(pmn_folder_remove(output, name, err));
  }
done:
  return st;
}

static pmn_status complete(const pmn_job_names *names, const below *b, const json_t *file, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *name = json_string_value(json_object_get(file, "name"));
  const char *upload = json_string_value(json_object_get(file, "upload"));
  pmn_buf key;
  pmn_buf_init(&key, TEXT_MAX);
  if (name == NULL || upload == NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "the journal in %.300s makes no sense", names->work);
  }
  PMN_TRY(pmn_buf_printf(&key, err, "%s%s", b->prefix.data, name));
  st = pmn_s3_complete(names->s3, b->bucket.data, key.data, upload, err);
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_MODEL;
done:
  pmn_buf_reset(&key);
  return st;
}

static pmn_status note_upload(void *arg, const char *key, const char *upload_id, pmn_err *err) {
  (void)key;
  return json_object_set_new(arg, upload_id, json_true()) == 0 ? PMN_STATUS_OK : pmn_err_memory(err, 1, "uploads");
}

/* A rule of the bucket may end uploads that are some days old. Who may not look is told at the end. */
static pmn_status check_parts(const pmn_job_names *names, const json_t *files, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *there = json_object();
  below b;
  PMN_TRY(below_find(names->output, &b, err));
  st = pmn_s3_list_uploads(names->s3, b.bucket.data, b.prefix.data, note_upload, there, err);
  size_t count = st == PMN_STATUS_OK ? json_array_size(files) : 0;
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_OK;
  for (size_t i = 0; st == PMN_STATUS_OK && i < count; i++) {
    const char *name = NULL, *text = NULL;
    if (json_unpack(json_array_get(files, i), "{s:s, s:s}", "name", &name, "upload", &text) != 0) continue;
    json_t *upload = json_loads(text, 0, NULL);
    const char *id = json_string_value(json_object_get(upload, "upload_id"));
    if (id == NULL || json_object_get(there, id) == NULL) {
      st = pmn_err_set(err, PMN_STATUS_MODEL, 0,
          "%.200s/%.100s: its upload is gone, and so is what it held; a rule of the bucket may have ended it",
          names->output, name);
    }
    json_decref(upload);
  }
done:
  json_decref(there);
  below_reset(&b);
  return st;
}

/* An upload that is gone may be so because another run has taken over, which is the better thing to tell. */
static pmn_status complete_all(
    const pmn_job_names *names, const below *b, const pmn_job_showing *showing, pmn_err *err) {
  pmn_err lost = PMN_ERR_INIT;
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; st == PMN_STATUS_OK && i < json_array_size(showing->files); i++) {
    st = complete(names, b, json_array_get(showing->files, i), err);
  }
  if (st == PMN_STATUS_OK || check_lock(showing->lock, &lost) != PMN_STATUS_EXISTS) return st;
  if (err != NULL) *err = lost;
  return PMN_STATUS_EXISTS;
}

/* Who takes over another's work ends its uploads, so what is completed needs no look at the lock. Of the rest each
 * request has one: S3 has nothing that would make the two one. */
static pmn_status show(const pmn_job_names *names, const pmn_job_showing *showing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *output = NULL;
  below b;
  PMN_TRY(below_find(names->output, &b, err));
  PMN_TRY(pmn_folder_open(names->s3, names->output, false, &output, err));
  PMN_TRY(check_lock(showing->lock, err));
  PMN_TRY(pmn_folder_remove(output, "_SUCCESS", err));
  PMN_TRY(complete_all(names, &b, showing, err));
  PMN_TRY(remove_stale(output, showing, err));
  PMN_TRY(check_lock(showing->lock, err));
  PMN_TRY(pmn_folder_write(output, "_record.json", showing->record, strlen(showing->record), err));
  PMN_TRY(check_lock(showing->lock, err));
  PMN_TRY(pmn_folder_write(output, "_SUCCESS", "", 0, err));
done:
  pmn_folder_close(output);
  below_reset(&b);
  return st;
}

static pmn_status remove_shown(pmn_folder *output, const json_t *files, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < json_array_size(files); i++) {
    const char *name = json_string_value(json_array_get(files, i));
    int64_t size;
    if (name == NULL || !pmn_job_is_ours(name)) continue;
    PMN_TRY(pmn_folder_size(output, name, &size, err));
    if (size < 0) continue;
    PMN_TRY(pmn_folder_remove(output, name, err));
    ++*removed;
  }
done:
  return st;
}

/* The plan goes first, since who goes on would look for uploads that are no more. */
static pmn_status undo(const pmn_job_names *names, const json_t *commit, bool old_too, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *work = NULL, *output = NULL;
  json_t *record = json_pack("[s]", "_record.json");
  int64_t size;
  PMN_TRY(pmn_folder_open(names->s3, names->output, false, &output, err));
  PMN_TRY(pmn_folder_open(names->s3, names->work, false, &work, err));
  PMN_TRY(pmn_folder_size(output, "_SUCCESS", &size, err));
  if (size >= 0) goto done; /* not begun, or done */
  if (!old_too && json_is_true(json_object_get(commit, "replaces"))) {
    PMN_FAIL(err, PMN_STATUS_EXISTS,
        "a run broke off while it replaced the output in %.300s, which is half old and half new: go on with --resume, "
        "or start anew with --overwrite",
        names->output);
  }
  PMN_TRY(pmn_folder_remove(work, "job.json", err));
  PMN_TRY(remove_shown(output, json_object_get(commit, "files"), removed, err));
  if (old_too) PMN_TRY(remove_shown(output, json_object_get(commit, "old"), removed, err));
  st = remove_shown(output, record, removed, err);
done:
  json_decref(record);
  pmn_folder_close(work);
  pmn_folder_close(output);
  return st;
}

/* Uploads to the output's own key, or to that of a file beside it; "out.csv" is none of "out"'s. */
static pmn_status end_single(void *arg, const char *key, const char *upload_id, pmn_err *err) {
  static const char *const suffixes[] = {"", ".record.json", ".index.csv", ".rejects.csv"};
  const removal *r = arg;
  bool mine = false;
  for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
    mine = mine || strcmp(key + r->prefix_size, suffixes[i]) == 0;
  }
  if (!mine) return PMN_STATUS_OK;
  pmn_status st = pmn_s3_abort(r->s3, r->bucket, key, upload_id, err);
  if (st == PMN_STATUS_OK) ++*r->removed;
  return st;
}

static pmn_status sweep(const pmn_job_names *names, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *key;
  pmn_buf bucket;
  pmn_buf_init(&bucket, 256);
  PMN_TRY(pmn_s3_uri_split(names->output, &bucket, &key, err));
  removal r = {.s3 = names->s3, .bucket = bucket.data, .prefix_size = strlen(key), .removed = removed};
  if (key[0] != '\0') PMN_TRY(pmn_s3_list_uploads(names->s3, bucket.data, key, end_single, &r, err));
done:
  pmn_buf_reset(&bucket);
  return st;
}

const pmn_job_place pmn_job_bucket = {.names = names_make,
    .look = look,
    .has_work = has_work,
    .lock = lock_take,
    .guard = guard_take,
    .unlock = unlock,
    .check_lock = check_lock,
    .clear = clear,
    .check_parts = check_parts,
    .show = show,
    .undo = undo,
    .sweep = sweep};
