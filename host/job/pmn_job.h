/* pmn_job.h - an output that is a folder of parts: worked on out of sight, journalled, taken up again after a crash.
 *
 *   on a disk                                     in a bucket
 *   PARENT/.NAME.pomona/         working folder   OUT/_temporary/
 *     lock, job.json             who, and what      lock, job.json
 *     NAME.json, rows-00000.f32  journal            NAME.json, rows-00000.f32
 *     shown.json                 record to be shown
 *     output/part-00000.parquet  finished parts     uploads to OUT/part-00000.parquet, not completed
 *
 * A journal entry is a small file that appears whole and lasts, so there is no torn line after a crash. What it tells
 * of is whole before it is written. At the commit the folder `output` is renamed to OUT, so that readers see nothing or
 * all; in a bucket the uploads are completed one after the other. _SUCCESS is what promises the whole either way.
 *
 * Crash at any point: a later run of the same job goes on behind the last entry, and its output is the same to the
 * byte.
 */
#ifndef PMN_JOB_H
#define PMN_JOB_H

#include "pmn_buf.h"
#include "pmn_sink.h"

struct json_t;
typedef struct pmn_job pmn_job; /* one thread at a time */

typedef struct pmn_job_options {
  struct pmn_s3 *s3;  /* NULL unless output is s3:// */
  const char *output; /* the folder */
  bool overwrite, resume;
} pmn_job_options;

/* Outputs that are folders end with a slash. */
bool pmn_job_is_folder(const char *output);

/* Looks at what is there and takes the lock. PMN_STATUS_EXISTS: an output without overwrite, another run at work, or
 * the rest of a broken run without resume or overwrite. PMN_STATUS_WRITE: the parent folder is missing or not writable,
 * OUT is a mount point, or overwrite would remove files that are not Pomona's. */
PMN_MUST_USE pmn_status pmn_job_open(const pmn_job_options *options, pmn_job **job, pmn_err *err);
/* Ends the job. Work that was journalled stays for a later run; without any, nothing stays. */
void pmn_job_close(pmn_job *job);
/* What was journalled leads nowhere: nothing stays. */
void pmn_job_drop(pmn_job *job);
/* Some work would stay, or has stayed, for a later run. */
bool pmn_job_has_journal(const pmn_job *job);
/* What a broken run has left, or the output that it has finished, is gone on with. */
bool pmn_job_goes_on(const pmn_job *job);
/* How to be rid of what has stayed: "remove it with pomona clean", unless that would refuse. */
const char *pmn_job_way_out(const pmn_job *job);
const char *pmn_job_work_folder(const pmn_job *job);

/* `plan`, a JSON object: all that decides the bytes of the output. A new job writes it down; a resumed one compares it
 * member by member: PMN_STATUS_ARGUMENT names the first that differs; `pictures`, a count, and the hashes `listing` and
 * `contents`, it tells in words. *record is NULL, or the run record of an output that this very plan has finished
 * before, to be freed with pmn_free: there is nothing to do. */
PMN_MUST_USE pmn_status pmn_job_begin(pmn_job *job, struct json_t *plan, char **record, pmn_err *err);

/* The journal: entries by name: "fit", "part-NNNNN" and "rows-NNNNN"; others are not known for a job's own. *entry is
 * NULL if there is none; else owned by the caller. A damaged one is an error.
 */
PMN_MUST_USE pmn_status pmn_job_note(pmn_job *job, const char *name, const struct json_t *entry, pmn_err *err);
PMN_MUST_USE pmn_status pmn_job_recall(pmn_job *job, const char *name, struct json_t **entry, pmn_err *err);
PMN_MUST_USE pmn_status pmn_job_forget(pmn_job *job, const char *name, pmn_err *err);

/* Bytes that an entry will vouch for, kept in the working folder, as "rows-NNNNN.f32", before it is written; and read
 * again. */
PMN_MUST_USE pmn_status pmn_job_keep(pmn_job *job, const char *name, const void *bytes, size_t size, pmn_err *err);
/* Replaces the content of `bytes`, which then has `size` bytes. PMN_STATUS_MODEL: those that are there are other ones.
 */
PMN_MUST_USE pmn_status pmn_job_fetch(pmn_job *job, const char *name, size_t size, pmn_buf *bytes, pmn_err *err);

/* What a scratch file may lie beside, appended: there is room for the output. */
PMN_MUST_USE pmn_status pmn_job_scratch_path(const pmn_job *job, pmn_buf *path, pmn_err *err);
/* Where a file of the output is to be written, appended. */
PMN_MUST_USE pmn_status pmn_job_output_path(const pmn_job *job, const char *name, pmn_buf *path, pmn_err *err);
/* A sealed file as a JSON object, owned by the caller: name, bytes, sha256, and in a bucket the upload, and of an array
 * there sha256_from, the size of its header: the hash is of what is behind. */
PMN_MUST_USE pmn_status pmn_job_describe_file(pmn_outfile *sealed, struct json_t **file, pmn_err *err);
/* The files of a sealed table as a JSON array, owned by the caller, without uploads; of the table itself rows, too. */
PMN_MUST_USE pmn_status pmn_job_describe_files(pmn_sink *sink, struct json_t **files, pmn_err *err);
/* The same for a part, with uploads; what is on a disk has its name in `output` after this. */
PMN_MUST_USE pmn_status pmn_job_describe_part(pmn_job *job, pmn_sink *sink, struct json_t **files, pmn_err *err);

/* Are the parts that the journal promises still there, as far as one request tells? `files` as described.
 * PMN_STATUS_MODEL: not all of them; the message says what to do. */
PMN_MUST_USE pmn_status pmn_job_check_parts(pmn_job *job, const struct json_t *files, pmn_err *err);
/* Shows the output: `files` is the array of all files as described, in the order in which a bucket is to show them, and
 * `record` the text of _record.json. */
PMN_MUST_USE pmn_status pmn_job_commit(pmn_job *job, const struct json_t *files, const char *record, pmn_err *err);

/* Appends the path of a working folder of `output`, of a broken or living run, if there is one. */
PMN_MUST_USE pmn_status pmn_job_find_work(struct pmn_s3 *s3, const char *output, pmn_buf *work, pmn_err *err);

/* An output that is one file has no journal and nothing to go on with, but one run at a time, too: a lock beside it,
 * ".NAME.lock", that is void when its owner is dead. PMN_STATUS_EXISTS: a living run has it; the message says which. */
typedef struct pmn_job_guard pmn_job_guard;
PMN_MUST_USE pmn_status pmn_job_guard_take(struct pmn_s3 *s3, const char *output, pmn_job_guard **guard, pmn_err *err);
/* PMN_STATUS_EXISTS: another run has taken this one for dead, and has the lock now. */
PMN_MUST_USE pmn_status pmn_job_guard_check(const pmn_job_guard *guard, pmn_err *err);
/* Nothing stays. Accepts NULL. */
void pmn_job_guard_release(pmn_job_guard *guard);

/* pomona clean: removes what broken runs have left of `output`, a folder or a single file; *removed counts. A run at
 * work is PMN_STATUS_EXISTS; PMN_STATUS_NOT_FOUND: neither an output of that name nor anything of one is there. */
PMN_MUST_USE pmn_status pmn_job_clean(struct pmn_s3 *s3, const char *output, int64_t *removed, pmn_err *err);

#endif
