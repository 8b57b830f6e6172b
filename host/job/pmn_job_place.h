/* pmn_job_place.h - what of a job differs between a disk and a bucket; private to this room. */
#ifndef PMN_JOB_PLACE_H
#define PMN_JOB_PLACE_H

#include "pmn_folder.h"
#include "pmn_job.h"

typedef struct pmn_job_names {
  struct pmn_s3 *s3;
  char *output; /* OUT, without slashes at its end */
  char *parent; /* what OUT lies in; of a bucket NULL */
  char *work;   /* the working folder */
  char *place;  /* where files of the output are written */
  char *guard;  /* the lock of an output that is one file; of a whole bucket NULL */
} pmn_job_names;

/* What stands under OUT's name. In a bucket a run may be broken off while it shows its output: parts, and no _SUCCESS.
 */
typedef enum pmn_job_state { PMN_JOB_NOTHING, PMN_JOB_FOREIGN, PMN_JOB_HALF, PMN_JOB_OUTPUT } pmn_job_state;

/* What becomes the output. `old`: names of files of an older one, or of a commit that broke off; those that are not
 * among `files` go. */
typedef struct pmn_job_showing {
  const struct json_t *files, *old;
  const char *record;
  const void *lock; /* is asked for again and again: a run may sleep at any point, and be taken for dead */
} pmn_job_showing;

typedef struct pmn_job_place {
  PMN_MUST_USE pmn_status (*names)(const char *output, pmn_job_names *names, pmn_err *err);
  /* Can an output be made there at all? *what is one of its files, for PMN_JOB_FOREIGN a file that is not ours. */
  PMN_MUST_USE pmn_status (*look)(const pmn_job_names *names, pmn_job_state *state, char what[256], pmn_err *err);
  /* A working folder of a broken or living run is there. */
  PMN_MUST_USE pmn_status (*has_work)(const pmn_job_names *names, bool *has, pmn_err *err);
  /* *lock is NULL and PMN_STATUS_EXISTS when a living run holds it; the message says which. */
  PMN_MUST_USE pmn_status (*lock)(const pmn_job_names *names, void **lock, pmn_err *err);
  /* The same for an output that is one file: names->guard, which goes when it is unlocked. */
  PMN_MUST_USE pmn_status (*guard)(const pmn_job_names *names, void **lock, pmn_err *err);
  void (*unlock)(void *lock); /* accepts NULL */
  /* PMN_STATUS_EXISTS: it is another's by now. NULL where that cannot be. */
  PMN_MUST_USE pmn_status (*check_lock)(const void *lock, pmn_err *err);
  /* The working folder and all that belongs to it; counts what it removes. The plan goes first, since the journal is
   * believed as long as it is there; the lock last, and only if `lock_too`: that of a bucket ends with unlock.
   * `uploads_too`: a run has begun here, so uploads to names of parts are taken for its own. */
  PMN_MUST_USE pmn_status (*clear)(
      const pmn_job_names *names, bool lock_too, bool uploads_too, int64_t *removed, pmn_err *err);
  /* PMN_STATUS_MODEL: what was to become of `files` is there no more. NULL where nobody removes it. */
  PMN_MUST_USE pmn_status (*check_parts)(const pmn_job_names *names, const struct json_t *files, pmn_err *err);
  /* All `files` are in place: with the run record they become the output. */
  PMN_MUST_USE pmn_status (*show)(const pmn_job_names *names, const pmn_job_showing *showing, pmn_err *err);
  /* Removes what a commit has shown that broke off; `commit` is its entry in the journal. PMN_STATUS_EXISTS: it
   * replaced an older output, which is not to be had any more, and what is left of that goes only if `old_too`. NULL
   * where all is shown at one stroke. */
  PMN_MUST_USE pmn_status (*undo)(
      const pmn_job_names *names, const struct json_t *commit, bool old_too, int64_t *removed, pmn_err *err);
  /* What broken runs leave of outputs that are single files. */
  PMN_MUST_USE pmn_status (*sweep)(const pmn_job_names *names, int64_t *removed, pmn_err *err);
} pmn_job_place;

extern const pmn_job_place pmn_job_disk, pmn_job_bucket;
const pmn_job_place *pmn_job_place_choose(const char *output);
void pmn_job_names_reset(pmn_job_names *names);

/* A file of JSON, owned by the caller; *json is NULL if there is none. PMN_STATUS_MODEL: it is damaged. */
PMN_MUST_USE pmn_status pmn_job_read_json(pmn_folder *folder, const char *name, struct json_t **json, pmn_err *err);

/* Names that an output holds: part-NNNNN.csv and its like, _record.json, _rejects.csv, _SUCCESS. */
bool pmn_job_is_ours(const char *name);
/* Names that a journal holds: job.json, commit.json, shown.json, fit.json, part-NNNNN.json, rows-NNNNN.json and .f32.
 */
bool pmn_job_is_entry(const char *name);
/* What has such a name and is none of Pomona's all the same: a part that neither OUT's record nor `commit` names, which
 * is an entry of the journal or NULL; a record, a list of rejects or a _SUCCESS that is none. The first one goes into
 * `what`; "" if there is none. `there`: an array, which gets the names of all parts and of the list of rejects
 * that are there. */
PMN_MUST_USE pmn_status pmn_job_find_unnamed(
    const pmn_job_names *names, const struct json_t *commit, struct json_t *there, char what[256], pmn_err *err);

#endif
