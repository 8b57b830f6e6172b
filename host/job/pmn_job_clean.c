/* pmn_job_clean.c - what broken runs leave, found and removed; and the lock of outputs that are one file. See
 * pmn_job.h.
 */
#include "pmn_job.h"
#include "pmn_job_place.h"
#include "pmn_mem.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <sys/stat.h>

static pmn_status name_exists(const pmn_job_names *names, const char *path, bool *exists, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  const char *key;
  char etag[PMN_S3_ETAG];
  int64_t size;
  pmn_buf bucket;
  pmn_buf_init(&bucket, 256);
  *exists = names->s3 == NULL && lstat(path, &info) == 0;
  if (names->s3 == NULL) goto done;
  PMN_TRY(pmn_s3_uri_split(path, &bucket, &key, err));
  st = pmn_s3_head(names->s3, bucket.data, key, &size, etag, err);
  *exists = st == PMN_STATUS_OK;
  if (st == PMN_STATUS_NOT_FOUND) st = PMN_STATUS_OK;
done:
  pmn_buf_reset(&bucket);
  return st;
}

pmn_status pmn_job_find_work(struct pmn_s3 *s3, const char *output, pmn_buf *work, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_job_place *place = pmn_job_place_choose(output);
  pmn_job_names names = {.s3 = pmn_s3_is_uri(output) ? s3 : NULL};
  bool has;
  PMN_TRY(place->names(output, &names, err));
  PMN_TRY(place->has_work(&names, &has, err));
  if (has) PMN_TRY(pmn_buf_printf(work, err, "%s", names.work));
done:
  pmn_job_names_reset(&names);
  return st;
}

/* What runs that wrote one file have left. Nobody takes the lock if none is there: that would only make one. Temporary
 * files on a disk tell whose they are; an upload is known for a dead run's by the lock beside it. */
static pmn_status clean_file(const pmn_job_place *place, const pmn_job_names *names, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  void *lock = NULL;
  bool has = false;
  if (names->guard != NULL) PMN_TRY(name_exists(names, names->guard, &has, err));
  if (has) PMN_TRY(place->guard(names, &lock, err));
  *removed += has;
  if (has || names->s3 == NULL) PMN_TRY(place->sweep(names, removed, err));
done:
  place->unlock(lock);
  return st;
}

/* Who mistypes a name is not to believe that nothing is left. */
static pmn_status check_output(
    const pmn_job_place *place, const pmn_job_names *names, const char *output, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_state state = PMN_JOB_NOTHING;
  char what[256];
  bool exists = false;
  if (names->guard != NULL) PMN_TRY(name_exists(names, names->output, &exists, err));
  /* Of a folder in a bucket only what is below it is there. */
  if (!exists && names->s3 != NULL) PMN_TRY(place->look(names, &state, what, err));
  if (exists || state != PMN_JOB_NOTHING) goto done;
  PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%.300s is not there, nor has a broken run left anything of it: check the name",
      output);
done:
  return st;
}

static pmn_status undo_commit(const pmn_job_place *place, const pmn_job_names *names, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_folder *work = NULL;
  json_t *commit = NULL;
  if (place->undo == NULL) return PMN_STATUS_OK;
  PMN_TRY(pmn_folder_open(names->s3, names->work, false, &work, err));
  PMN_TRY(pmn_job_read_json(work, "commit.json", &commit, err));
  if (commit != NULL) st = place->undo(names, commit, false, removed, err);
done:
  json_decref(commit);
  pmn_folder_close(work);
  return st;
}

pmn_status pmn_job_clean(struct pmn_s3 *s3, const char *output, int64_t *removed, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_job_place *place = pmn_job_place_choose(output);
  pmn_job_names names = {.s3 = pmn_s3_is_uri(output) ? s3 : NULL};
  void *lock = NULL;
  bool has;
  *removed = 0;
  PMN_TRY(place->names(output, &names, err));
  PMN_TRY(place->has_work(&names, &has, err));
  if (has) PMN_TRY(place->lock(&names, &lock, err));
  if (has) PMN_TRY(undo_commit(place, &names, removed, err));
  if (has) PMN_TRY(place->clear(&names, true, true, removed, err));
  PMN_TRY(clean_file(place, &names, removed, err));
  if (!has && *removed == 0) PMN_TRY(check_output(place, &names, output, err));
done:
  place->unlock(lock);
  pmn_job_names_reset(&names);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- guard -- */

struct pmn_job_guard {
  const pmn_job_place *place;
  void *lock;
};

pmn_status pmn_job_guard_take(struct pmn_s3 *s3, const char *output, pmn_job_guard **guard, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_job_names names = {.s3 = pmn_s3_is_uri(output) ? s3 : NULL};
  bool has = false;
  int64_t removed = 0;
  pmn_job_guard *self = pmn_calloc(1, sizeof *self);
  *guard = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a lock");
  self->place = pmn_job_place_choose(output);
  PMN_TRY(self->place->names(output, &names, err));
  if (names.s3 != NULL && names.guard != NULL) PMN_TRY(name_exists(&names, names.guard, &has, err));
  PMN_TRY(self->place->guard(&names, &self->lock, err));
  /* The lock was all that told of a dead run's uploads; and one that only sleeps is not to complete them. */
  if (has) PMN_TRY(self->place->sweep(&names, &removed, err));
  *guard = self;
  self = NULL;
done:
  pmn_job_guard_release(self);
  pmn_job_names_reset(&names);
  return st;
}

pmn_status pmn_job_guard_check(const pmn_job_guard *guard, pmn_err *err) {
  return guard->place->check_lock != NULL ? guard->place->check_lock(guard->lock, err) : PMN_STATUS_OK;
}

void pmn_job_guard_release(pmn_job_guard *guard) {
  if (guard == NULL) return;
  guard->place->unlock(guard->lock);
  pmn_free(guard);
}
