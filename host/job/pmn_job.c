/* pmn_job.c - see pmn_job.h. What is the same for disks and buckets: plan, journal, order of things. */
#include "pmn_job.h"

#include "pmn_job_place.h"
#include "pmn_job_plan.h"
#include "pmn_json.h"
#include "pmn_mem.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { ENTRY_MAX = 256 << 20 }; /* bytes: an entry lists the rejects of a part */

struct pmn_job {
  const pmn_job_place *place;
  pmn_job_names names;
  void *lock;
  pmn_folder *work;
  bool overwrite;
  bool finished; /* an output is there, and resume was asked for */
  bool journal;  /* there is something to go on with */
  bool replaces; /* its commit was begun over an older output, which is not whole any more: clean would refuse */
  bool shown;    /* the output is there: the working folder can go */
  bool begun;    /* by this run or one before it: there may be uploads */
};

bool pmn_job_is_folder(const char *output) {
  size_t size = strlen(output);
  return size > 0 && output[size - 1] == '/';
}

const pmn_job_place *pmn_job_place_choose(const char *output) {
  return pmn_s3_is_uri(output) ? &pmn_job_bucket : &pmn_job_disk;
}

void pmn_job_names_reset(pmn_job_names *names) {
  pmn_free(names->output);
  pmn_free(names->parent);
  pmn_free(names->work);
  pmn_free(names->place);
  pmn_free(names->guard);
}

/* ------------------------------------------------------------------------------------------------------ open -- */

/* What neither an output's record nor `commit`, an entry of the journal or NULL, names is not that output's, so it is
 * not replaced with it. `there` gets the names of what is. */
static pmn_status look(
    const pmn_job *self, const json_t *commit, pmn_job_state *state, json_t *there, char what[256], pmn_err *err) {
  pmn_status st = self->place->look(&self->names, state, what, err);
  bool passes =
      self->overwrite ? *state == PMN_JOB_OUTPUT || *state == PMN_JOB_HALF : *state == PMN_JOB_HALF && commit != NULL;
  if (st != PMN_STATUS_OK || !passes) return st;
  st = pmn_job_find_unnamed(&self->names, commit, there, what, err);
  if (what[0] != '\0') *state = PMN_JOB_FOREIGN;
  return st;
}

/* Without overwrite nothing may be there but what a commit that broke off, and that is gone on with, has shown. */
static pmn_status refuse_output(
    const pmn_job *self, const json_t *commit, pmn_job_state state, const char *what, pmn_err *err) {
  bool other = state == PMN_JOB_OUTPUT || (state == PMN_JOB_HALF && commit == NULL);
  if (other && !self->overwrite) {
    return pmn_err_set(err, PMN_STATUS_EXISTS, 0,
        "%.300s holds an output; choose another name or allow to overwrite it", self->names.output);
  }
  if (state == PMN_JOB_FOREIGN) {
    return pmn_err_set(err, self->overwrite ? PMN_STATUS_WRITE : PMN_STATUS_EXISTS, 0,
        "%.200s holds %.200s, which is none of Pomona's and is not removed; choose another name, or remove it "
        "yourself",
        self->names.output, what);
  }
  return PMN_STATUS_OK;
}

static pmn_status find_entry(void *arg, const char *name, int64_t size, pmn_err *err) {
  static const char suffix[] = ".json";
  size_t length = strlen(name);
  (void)size, (void)err;
  bool is_json = name[0] != '.' && length >= sizeof suffix && strcmp(name + length - strlen(suffix), suffix) == 0;
  if (is_json && strcmp(name, "job.json") != 0 && strcmp(name, "lock.json") != 0) *(bool *)arg = true;
  return PMN_STATUS_OK;
}

/* A lock and a plan alone, as of a run that was broken off at once, are nothing to go on with; nor is a journal without
 * its plan, which goes first when work is removed. */
static pmn_status find_journal(pmn_job *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t size;
  bool entries = false;
  json_t *commit = NULL;
  PMN_TRY(pmn_folder_size(self->work, "job.json", &size, err));
  if (size >= 0) PMN_TRY(pmn_folder_list(self->work, find_entry, &entries, err));
  self->journal = entries;
  PMN_TRY(pmn_job_recall(self, "commit", &commit, err));
  self->replaces = json_is_true(json_object_get(commit, "replaces"));
done:
  json_decref(commit);
  return st;
}

/* What is half there is the commit's that the journal tells of, or nobody knows whose. */
static pmn_status face_half(const pmn_job *self, const json_t *commit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_state state;
  char what[256];
  json_t *there = json_array();
  PMN_TRY(look(self, commit, &state, there, what, err));
  st = refuse_output(self, commit, state, what, err);
done:
  json_decref(there);
  return st;
}

/* What a broken run has left is gone on with, or removed, or in the way. */
static pmn_status face_work(pmn_job *self, pmn_job_state state, bool resume, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t removed = 0;
  json_t *commit = NULL;
  bool has;
  PMN_TRY(self->place->has_work(&self->names, &has, err));
  PMN_TRY(self->place->lock(&self->names, &self->lock, err));
  self->journal = self->begun = has; /* as long as nothing is known of it, it stays */
  PMN_TRY(pmn_folder_open(self->names.s3, self->names.work, true, &self->work, err));
  PMN_TRY(find_journal(self, err));
  if (state == PMN_JOB_HALF) {
    PMN_TRY(pmn_job_recall(self, "commit", &commit, err));
    /* A journal without its plan is nothing to go on with. */
    st = face_half(self, self->journal || self->overwrite ? commit : NULL, err);
    if (st != PMN_STATUS_OK) {
      self->journal = has; /* who is refused removes nothing */
      goto done;
    }
  }
  if (self->journal && resume) goto done;
  if (self->journal && !self->overwrite) {
    PMN_FAIL(err, PMN_STATUS_EXISTS, "a broken run has left its work in %.200s: go on with --resume, or %s",
        self->names.work, pmn_job_way_out(self));
  }
  /* Whose it is, only the journal knows, so it goes first. */
  if (commit != NULL) PMN_TRY(self->place->undo(&self->names, commit, true, &removed, err));
  PMN_TRY(self->place->clear(&self->names, false, self->begun, &removed, err));
  self->journal = self->replaces = false;
done:
  json_decref(commit);
  return st;
}

pmn_status pmn_job_open(const pmn_job_options *options, pmn_job **job, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_state state;
  char what[256];
  json_t *there = json_array();
  pmn_job *self = pmn_calloc(1, sizeof *self);
  *job = NULL;
  if (self == NULL || there == NULL) {
    st = pmn_err_memory(err, sizeof *self, "a job");
    goto done;
  }
  self->place = pmn_job_place_choose(options->output);
  self->names.s3 = pmn_s3_is_uri(options->output) ? options->s3 : NULL;
  self->overwrite = options->overwrite;
  PMN_TRY(self->place->names(options->output, &self->names, err));
  PMN_TRY(self->place->look(&self->names, &state, what, err));
  if (state != PMN_JOB_HALF) PMN_TRY(look(self, NULL, &state, there, what, err));
  /* Whether an output that is there is this job's own is known when the plan is. */
  self->finished = state == PMN_JOB_OUTPUT && options->resume && !options->overwrite;
  if (!self->finished && state != PMN_JOB_HALF) PMN_TRY(refuse_output(self, NULL, state, what, err));
  PMN_TRY(face_work(self, state, options->resume, err));
  *job = self;
  self = NULL;
done:
  json_decref(there);
  if (self != NULL && self->lock == NULL) {
    pmn_job_names_reset(&self->names);
    pmn_free(self);
  } else {
    pmn_job_close(self);
  }
  return st;
}

static pmn_status check_lock(const pmn_job *self, pmn_err *err) {
  return self->place->check_lock != NULL ? self->place->check_lock(self->lock, err) : PMN_STATUS_OK;
}

void pmn_job_close(pmn_job *job) {
  int64_t removed = 0;
  if (job == NULL) return;
  pmn_folder_close(job->work);
  /* What cannot be removed is for pomona clean; the output is whole. */
  bool clears = (!job->journal || job->shown) && check_lock(job, NULL) == PMN_STATUS_OK;
  if (clears && job->place->clear(&job->names, true, job->begun, &removed, NULL) != PMN_STATUS_OK) removed = 0;
  job->place->unlock(job->lock);
  pmn_job_names_reset(&job->names);
  pmn_free(job);
}

void pmn_job_drop(pmn_job *job) {
  job->journal = false;
}

bool pmn_job_has_journal(const pmn_job *job) {
  return job->journal && !job->shown;
}

bool pmn_job_goes_on(const pmn_job *job) {
  return job->journal || job->finished;
}

const char *pmn_job_way_out(const pmn_job *job) {
  return job->replaces ? "start anew with --overwrite" : "remove it with pomona clean";
}

const char *pmn_job_work_folder(const pmn_job *job) {
  return job->names.work;
}

/* --------------------------------------------------------------------------------------------------- journal -- */

pmn_status pmn_job_read_json(pmn_folder *folder, const char *name, json_t **json, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_error_t where;
  pmn_buf text;
  int64_t size;
  *json = NULL;
  pmn_buf_init(&text, ENTRY_MAX);
  PMN_TRY(pmn_folder_size(folder, name, &size, err));
  if (size < 0) goto done;
  PMN_TRY(pmn_folder_read(folder, name, &text, err));
  *json = json_loadb(text.data != NULL ? text.data : "", text.size, JSON_REJECT_DUPLICATES, &where);
  if (*json == NULL) {
    pmn_buf path;
    pmn_buf_init(&path, 1 << 16);
    st = pmn_folder_name(folder, name, &path, err);
    if (st == PMN_STATUS_OK) {
      st = pmn_err_set(
          err, PMN_STATUS_MODEL, 0, "%.300s is damaged (%.100s); start anew: pomona clean", path.data, where.text);
    }
    pmn_buf_reset(&path);
  }
done:
  pmn_buf_reset(&text);
  return st;
}

/* "NAME.json" */
static pmn_status name_entry(const char *name, pmn_buf *file, pmn_err *err) {
  pmn_buf_init(file, 4096);
  return pmn_buf_printf(file, err, "%s.json", name);
}

pmn_status pmn_job_note(pmn_job *job, const char *name, const json_t *entry, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf file;
  char *text = pmn_json_text(entry, JSON_COMPACT | JSON_SORT_KEYS);
  PMN_TRY(name_entry(name, &file, err));
  if (text == NULL) PMN_TRY(pmn_err_memory(err, 1, "an entry of the journal"));
  PMN_TRY(pmn_folder_write(job->work, file.data, text, strlen(text), err));
  job->journal = true;
done:
  pmn_free(text);
  pmn_buf_reset(&file);
  return st;
}

pmn_status pmn_job_recall(pmn_job *job, const char *name, json_t **entry, pmn_err *err) {
  pmn_buf file;
  *entry = NULL;
  pmn_status st = name_entry(name, &file, err);
  if (st == PMN_STATUS_OK) st = pmn_job_read_json(job->work, file.data, entry, err);
  pmn_buf_reset(&file);
  return st;
}

pmn_status pmn_job_forget(pmn_job *job, const char *name, pmn_err *err) {
  pmn_buf file;
  pmn_status st = name_entry(name, &file, err);
  if (st == PMN_STATUS_OK) st = pmn_folder_remove(job->work, file.data, err);
  pmn_buf_reset(&file);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ plan -- */

static pmn_status compare_plans(const pmn_job *self, json_t *there, json_t *here, pmn_err *err) {
  char text[256];
  if (!pmn_job_plans_differ(there, here, text)) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "%.150s is another job's (%s); go on as it was, or start anew with --overwrite",
      self->finished ? self->names.output : self->names.work, text);
}

/* A record as a run gives it, to be freed with pmn_free. */
static pmn_status copy_record(const json_t *record, char **text, pmn_err *err) {
  *text = pmn_json_text(record, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  return *text != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the run record");
}

/* The output is there: it is this job's, and then there is nothing to do, or another's. */
static pmn_status face_output(pmn_job *self, json_t *plan, char **text, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  json_t *record = NULL;
  PMN_TRY(pmn_folder_open(self->names.s3, self->names.output, false, &folder, err));
  PMN_TRY(pmn_job_read_json(folder, "_record.json", &record, err));
  json_t *theirs = json_object_get(record, "plan");
  if (!json_is_object(theirs)) {
    PMN_FAIL(err, PMN_STATUS_EXISTS, "%.300s holds an output of other origin; choose another name", self->names.output);
  }
  PMN_TRY(compare_plans(self, theirs, plan, err));
  st = copy_record(record, text, err);
done:
  json_decref(record);
  pmn_folder_close(folder);
  return st;
}

/* Killed when the output was shown, but the work not yet removed: what lies there now is the output that was replaced,
 * or nothing, and must not be shown again. *text stays NULL if the output was not shown. */
static pmn_status find_shown(pmn_job *self, char **text, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *folder = NULL;
  json_t *mine = NULL, *there = NULL;
  if (self->names.s3 != NULL) return PMN_STATUS_OK; /* nothing there takes the place of another thing */
  PMN_TRY(pmn_job_recall(self, "shown", &mine, err));
  if (mine == NULL) goto done;
  st = pmn_folder_open(NULL, self->names.output, false, &folder, err);
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_OK;
  if (st != PMN_STATUS_OK || folder == NULL) goto done;
  PMN_TRY(pmn_job_read_json(folder, "_record.json", &there, err));
  if (there != NULL && json_equal(mine, there)) st = copy_record(there, text, err);
done:
  json_decref(mine);
  json_decref(there);
  pmn_folder_close(folder);
  return st;
}

pmn_status pmn_job_begin(pmn_job *job, json_t *plan, char **record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *theirs = NULL;
  *record = NULL;
  job->begun = true;
  PMN_TRY(pmn_job_recall(job, "job", &theirs, err));
  if (job->finished) {
    PMN_TRY(face_output(job, plan, record, err));
    /* Killed after the output was shown: what is left of this job can go. Another's stays. */
    job->shown = theirs == NULL || json_equal(theirs, plan);
    goto done;
  }
  if (theirs != NULL) {
    PMN_TRY(compare_plans(job, theirs, plan, err));
    PMN_TRY(find_shown(job, record, err));
    job->shown = *record != NULL;
  } else {
    PMN_TRY(pmn_job_note(job, "job", plan, err));
  }
  job->journal = theirs != NULL; /* a plan alone is nothing to go on with */
done:
  json_decref(theirs);
  return st;
}

/* -------------------------------------------------------------------------------------------- parts and commit -- */

pmn_status pmn_job_keep(pmn_job *job, const char *name, const void *bytes, size_t size, pmn_err *err) {
  return pmn_folder_write(job->work, name, bytes, size, err);
}

pmn_status pmn_job_fetch(pmn_job *job, const char *name, size_t size, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = pmn_folder_read(job->work, name, bytes, err);
  if (st != PMN_STATUS_OK || bytes->size == size) return st;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s in %.300s has %zu bytes and not %zu; start anew: pomona clean", name,
      job->names.work, bytes->size, size);
}

pmn_status pmn_job_scratch_path(const pmn_job *job, pmn_buf *path, pmn_err *err) {
  return pmn_folder_name(job->work, "scratch", path, err);
}

pmn_status pmn_job_output_path(const pmn_job *job, const char *name, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *place = NULL;
  PMN_TRY(pmn_folder_open(job->names.s3, job->names.place, true, &place, err));
  PMN_TRY(pmn_folder_name(place, name, path, err));
done:
  pmn_folder_close(place);
  return st;
}

/* `completed`: another process may make it visible. */
static json_t *describe(pmn_outfile *file, bool completed) {
  const char *path = pmn_outfile_path(file), *slash = strrchr(path, '/');
  const char *upload = completed ? pmn_outfile_upload(file) : NULL;
  uint64_t from;
  const char *sha256 = pmn_outfile_sha256(file, &from);
  json_t *json = json_pack("{s:o, s:I, s:s}", "name", pmn_json_name(slash == NULL ? path : slash + 1), "bytes",
      (json_int_t)pmn_outfile_size(file), "sha256", sha256);
  bool good = json != NULL;
  if (good && from > 0) good = json_object_set_new(json, "sha256_from", json_integer((json_int_t)from)) == 0;
  if (good && upload != NULL) good = json_object_set_new(json, "upload", json_string(upload)) == 0;
  if (good) return json;
  json_decref(json);
  return NULL;
}

pmn_status pmn_job_describe_file(pmn_outfile *sealed, json_t **file, pmn_err *err) {
  *file = describe(sealed, true);
  return *file != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the list of files");
}

static pmn_status describe_files(pmn_sink *sink, bool completed, json_t **files, pmn_err *err) {
  size_t count;
  pmn_outfile *const *sealed = pmn_sink_files(sink, &count);
  json_t *array = json_array();
  bool good = array != NULL;
  for (size_t i = 0; good && i < count; i++) good = json_array_append_new(array, describe(sealed[i], completed)) == 0;
  /* The first is the table; others belong to it. */
  good = good && json_object_set_new(json_array_get(array, 0), "rows", json_integer(pmn_sink_rows(sink))) == 0;
  *files = array;
  if (good) return PMN_STATUS_OK;
  json_decref(array);
  *files = NULL;
  return pmn_err_memory(err, 1, "the list of files");
}

pmn_status pmn_job_describe_files(pmn_sink *sink, json_t **files, pmn_err *err) {
  return describe_files(sink, false, files, err);
}

pmn_status pmn_job_describe_part(pmn_job *job, pmn_sink *sink, json_t **files, pmn_err *err) {
  pmn_status st = describe_files(sink, true, files, err);
  return st == PMN_STATUS_OK && job->names.s3 == NULL ? pmn_sink_commit(sink, "", err) : st;
}

/* Before the first file is shown: all that will be, and what of an older output is there. A run that goes on with it
 * finds its own files there, so the first entry stays. */
static pmn_status note_commit(
    pmn_job *job, const json_t *files, json_t *there, bool replaces, json_t **commit, pmn_err *err) {
  json_t *names = json_array();
  job->replaces = replaces;
  *commit = json_pack("{s:O, s:O, s:b}", "files", names, "old", there, "replaces", replaces);
  bool good = *commit != NULL;
  for (size_t i = 0; good && i < json_array_size(files); i++) {
    good = json_array_append(names, json_object_get(json_array_get(files, i), "name")) == 0;
  }
  json_decref(names);
  return good ? pmn_job_note(job, "commit", *commit, err) : pmn_err_memory(err, 1, "an entry of the journal");
}

/* The journal promises what is no more. */
static pmn_status tell_way_out(const pmn_job *job, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  if (err != NULL) why = *err;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.380s; what is left of this run is of no use: %s%s", why.message,
      pmn_job_way_out(job), job->replaces ? "" : ", then run again");
}

pmn_status pmn_job_check_parts(pmn_job *job, const json_t *files, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *commit = NULL;
  if (job->place->check_parts == NULL) return PMN_STATUS_OK;
  PMN_TRY(pmn_job_recall(job, "commit", &commit, err));
  if (commit != NULL) goto done; /* some are objects by now */
  st = job->place->check_parts(&job->names, files, err);
  if (st == PMN_STATUS_MODEL) st = tell_way_out(job, err);
done:
  json_decref(commit);
  return st;
}

pmn_status pmn_job_commit(pmn_job *job, const json_t *files, const char *record, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *shown = NULL, *commit = NULL, *there = json_array();
  pmn_job_state state;
  char what[256];
  /* Something may have come there since the job was opened. */
  PMN_TRY(check_lock(job, err));
  PMN_TRY(pmn_job_recall(job, "commit", &commit, err));
  PMN_TRY(look(job, commit, &state, there, what, err));
  PMN_TRY(refuse_output(job, commit, state, what, err));
  if (job->names.s3 == NULL) {
    shown = json_loads(record, 0, NULL);
    if (shown == NULL) PMN_TRY(pmn_err_memory(err, strlen(record), "the run record"));
    PMN_TRY(pmn_job_note(job, "shown", shown, err));
  } else if (commit == NULL) {
    PMN_TRY(note_commit(job, files, there, state != PMN_JOB_NOTHING, &commit, err));
  }
  const pmn_job_showing showing = {
      .files = files, .old = json_object_get(commit, "old"), .record = record, .lock = job->lock};
  st = job->place->show(&job->names, &showing, err);
  if (st == PMN_STATUS_MODEL) st = tell_way_out(job, err);
  job->shown = st == PMN_STATUS_OK;
done:
  json_decref(shown);
  json_decref(commit);
  json_decref(there);
  return st;
}
