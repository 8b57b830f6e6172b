/* pmn_run.h - one run over pictures or over a matrix, private to the pipeline: what its steps share. */
#ifndef PMN_RUN_H
#define PMN_RUN_H

#include "pmn_backend.h"
#include "pmn_index.h"
#include "pmn_job.h"
#include "pmn_maker.h"
#include "pmn_matrix.h"
#include "pmn_outlet.h"
#include "pmn_source.h"
#include "pmn_spool.h"

typedef struct pmn_run {
  const pmn_extract_options *options; /* of pmn_reduce too: what it has in common with pmn_extract */
  const pmn_reduce_options *reduce;   /* of pmn_reduce, else NULL */
  double started;                     /* pmn_clock_seconds */
  char started_utc[32];

  /* a run whose output is no table, but one file or none: pmn_train.c, pmn_classify.c */
  const char *product;    /* what that file is, "the model"; NULL: a table */
  const char *model;      /* a file that is read; or NULL */
  pmn_row_taker taker;    /* of the rows */
  struct json_t *results; /* for the record, by their keys */

  /* what is to be done: filled by pmn_extract.c or pmn_reduce.c */
  pmn_format format;
  pmn_maker *maker;        /* of rows, from pictures */
  struct json_t *features; /* what the rows are, for the record: the maker's own, or of the matrix */
  int32_t threads, batch, width;
  char *rejects_path;
  bool rejects_inside; /* the folder that is the output */
  bool replaces;     /* files of the same names: as asked for, or because they are of the job that is taken up again */
  struct pmn_s3 *s3; /* NULL until a bucket is spoken of */
  pmn_listing *listing;                       /* of pictures; or: */
  pmn_matrix *matrix;                         /* whose rows are the features, */
  pmn_index *index;                           /* and their names, if there are any */
  pmn_device *device;                         /* the first of: */
  pmn_device *devices[PMN_MAKER_DEVICES_MAX]; /* of one kind; they share the batches */
  int32_t device_count;
  pmn_rejects *rejects;

  pmn_job_guard *guard; /* of an output that is one file; or: */

  /* an output that is a folder: pmn_parts.c */
  pmn_job *job;
  bool journals;           /* a broken run can be taken up again, once it has begun */
  bool restored;           /* what it had done is this run's now */
  int64_t piece_count;     /* of the first pass */
  bool in_piece;           /* one is under way */
  int64_t kept_rows;       /* of the spool, in files of the journal */
  struct json_t *plan;     /* what decides the bytes of the output */
  struct json_t *files;    /* of finished parts */
  struct json_t *rejected; /* of the piece under way: [index, stage, reason] */
  char *finished;          /* record of an output that this very plan has finished before: nothing is left to do */

  /* what happens on the way: pmn_features.c, pmn_transform.c */
  pmn_counts counts;
  /* Of a pass, the first in the listing and the last that was found; messages "KEY: STAGE: REASON", lines that cannot
   * steer a terminal. */
  pmn_err first_reject, last_reject;
  int64_t first_rejected;     /* its index */
  struct pmn_reject *waiting; /* rejects whose place in the list is not certain yet */
  size_t waiting_count, waiting_capacity;
  int64_t *rows;            /* [counts.rows] index of each row in the listing or matrix */
  int32_t *keypoint_counts; /* [counts.listed] by that index, of rows; NULL: there are no keypoints */
  pmn_sink *sink;
  struct pmn_keypoints *keypoints; /* NULL unless they are to be saved */
  pmn_projector *projector;
  bool projected; /* rows come from the maker as run->fit makes them, each with its flag: pmn_network_project */
  pmn_outlet *outlet;
  pmn_spool *spool; /* when a fit comes before the output */
  pmn_moments *moments;
  bool is_fitting;             /* on the pictures of fit_on, which are none of the table's */
  struct json_t *fit_rejected; /* of those pictures, what could not be read: [path, stage, reason] */
  pmn_outfile *kept[3];        /* vocabulary, moments and projection, sealed, until the commit */
  size_t kept_count;
  pmn_fit *fit;
  pmn_meter meter;
  double phase_started, progress_last;
  int64_t phase_before; /* what was done when the phase began: a broken run's, not this one's */
} pmn_run;

/* pmn_statistics.c: what is asked of the columns. */
bool pmn_compat_find(const char *name, pmn_compat *compat); /* "sklearn", which NULL means too, or "spark" */
PMN_MUST_USE pmn_status pmn_statistics_check(const pmn_statistics *statistics, pmn_err *err);
/* True when a fit comes before the first row can be written. */
bool pmn_statistics_need_fit(const pmn_statistics *statistics);
pmn_fit_options pmn_statistics_fit_options(const pmn_statistics *statistics, int32_t threads);
/* What the user allows, or a quarter of the machine. */
int64_t pmn_statistics_memory(const pmn_statistics *statistics);
/* Beside what files without a name are to be made: in --spool, or by the output. */
PMN_MUST_USE pmn_status pmn_run_scratch_path(const pmn_run *run, pmn_buf *path, pmn_err *err);
/* Everything that takes in rows, for up to `rows` of them, if anything is asked of the columns; before anything is
 * allocated it says what the run will take, or that this is too much. */
PMN_MUST_USE pmn_status pmn_statistics_open(pmn_run *run, int64_t rows, pmn_err *err);
/* The saved projection, if it was made for these features. */
PMN_MUST_USE pmn_status pmn_statistics_load(pmn_run *run, pmn_err *err);

/* pmn_pictures.c: what every run over pictures begins with, in this order. */
PMN_MUST_USE pmn_status pmn_pictures_check(const pmn_extract_options *options, pmn_err *err);
PMN_MUST_USE pmn_status pmn_pictures_open_maker(pmn_run *run, pmn_err *err);
/* run->listing, of which no picture is an output. */
PMN_MUST_USE pmn_status pmn_pictures_list(
    pmn_run *run, const char *const *sources, size_t source_count, int64_t limit, pmn_err *err);
/* Threads, meter, device, and the maker on it: the first picture can come. */
PMN_MUST_USE pmn_status pmn_pictures_open_device(pmn_run *run, pmn_err *err);
/* run->fit was there before the run: the device applies it behind the network, if it can. */
PMN_MUST_USE pmn_status pmn_pictures_project(pmn_run *run, pmn_err *err);

/* PMN_STATUS_INTERRUPTED once the caller's stop flag is up. */
PMN_MUST_USE pmn_status pmn_run_check_stop(const pmn_run *run, pmn_err *err);
pmn_watch pmn_run_watch(const pmn_run *run); /* that asks it */
void pmn_run_message(const pmn_run *run, pmn_level level, const char *format, ...) PMN_PRINTF(3, 4);
/* Tells the caller, at most ten times a second, and always for done == total. */
void pmn_run_progress(pmn_run *run, const char *phase, int64_t done, int64_t total, double phase_started);

/* A client; `access` and `stop` as in the options. */
PMN_MUST_USE pmn_status pmn_run_make_s3(
    const pmn_s3_access *access, const volatile sig_atomic_t *stop, struct pmn_s3 **s3, pmn_err *err);
/* run->s3, made when it is needed first. */
PMN_MUST_USE pmn_status pmn_run_open_s3(pmn_run *run, pmn_err *err);

/* pmn_outputs.c: where the rows go. */
PMN_MUST_USE pmn_status pmn_run_check_format(pmn_run *run, pmn_err *err);
/* Can everything be written? Leaves nothing behind but the open list of rejects. */
PMN_MUST_USE pmn_status pmn_run_open_outputs(pmn_run *run, pmn_err *err);
/* No picture of the listing is to be replaced. */
PMN_MUST_USE pmn_status pmn_run_check_pictures(const pmn_run *run, pmn_err *err);
/* How features are written: as bytes where they are the maker's own bytes and nothing is fitted or projected. */
pmn_values pmn_run_values(const pmn_run *run);
/* Are the pictures' keypoints counted, a column of the table before the features? */
bool pmn_run_counts_keypoints(const pmn_run *run);
/* A file of the output, for rows as the features or run->fit make them, and the outlet that leads to it. */
PMN_MUST_USE pmn_status pmn_run_open_outlet(pmn_run *run, const char *path, pmn_err *err);
/* The reject of row `index`: counted and to be listed, or the end of the run. `stage`, which lives until it is listed,
 * and `reason` as in the list. */
PMN_MUST_USE pmn_status pmn_run_reject(
    pmn_run *run, int64_t index, const char *stage, const char *reason, pmn_err *err);
/* The same before there are rows, as the `count`-th of its pass: neither counted nor listed. */
PMN_MUST_USE pmn_status pmn_run_bear_reject(
    pmn_run *run, int64_t index, const char *stage, const char *reason, int64_t count, pmn_err *err);
/* After a pass over all that was listed. PMN_STATUS_REJECTED: nothing became a row, or too little for the fit that
 * comes; the journal, which would lead here again, is dropped. */
PMN_MUST_USE pmn_status pmn_run_check_rows(pmn_run *run, pmn_err *err);
/* Every row before index `end` is decided: rejects before it that wait are listed, in the order of their indices. */
PMN_MUST_USE pmn_status pmn_run_list_rejects(pmn_run *run, int64_t end, pmn_err *err);
void pmn_run_forget_rejects(pmn_run *run);

/* The keypoints of row `index`. Without any it is blank: counted, and named in the run record. */
void pmn_run_take_keypoints(pmn_run *run, int64_t index, int32_t count);

/* A whole run: `steps` up to the last row in the sink, then the commit; run->options is set. The run is closed. */
PMN_MUST_USE pmn_status pmn_run_execute(
    pmn_run *run, pmn_status (*steps)(pmn_run *run, pmn_err *err), pmn_summary **summary, pmn_err *err);

/* First pass: every picture to its features, into run->outlet or run->spool, and run->moments. Fills counts and rows.
 */
PMN_MUST_USE pmn_status pmn_features_run(pmn_run *run, pmn_err *err);
/* The fit of the rows that run->moments has seen; `rows` as pmn_fit_create wants them. Saves what was asked for. */
PMN_MUST_USE pmn_status pmn_transform_fit(pmn_run *run, const pmn_rows *rows, pmn_err *err);
/* Second pass: every row through the fit to the output. */
PMN_MUST_USE pmn_status pmn_transform_run(pmn_run *run, const pmn_rows *rows, pmn_err *err);
/* A picture of fit_on that could not be read, for run->fit_rejected. */
PMN_MUST_USE pmn_status pmn_record_reject(
    pmn_run *run, const char *key, const char *stage, const char *reason, pmn_err *err);
/* The run record as JSON text, to be freed with pmn_free; NULL when memory cannot be had. `files` describes the
 * finished files of the output; NULL: they are not finished yet. */
char *pmn_record_create(const pmn_run *run, const char *bound, double seconds, const struct json_t *files);
/* What the table is like, for record and plan; NULL when memory cannot be had. */
struct json_t *pmn_record_table(const pmn_run *run);
/* Counts of a record, for a run that found its output finished, and where its rejects are: NULL, or freed with
 * pmn_free.
 */
PMN_MUST_USE pmn_status pmn_record_counts(const char *record, pmn_counts *counts, char **rejects_path, pmn_err *err);
/* Hash of a file that was saved with that output, "moments" or "projection"; "" if none was. */
void pmn_record_saved(const char *record, const char *what, char sha256[PMN_SHA256_HEX_SIZE]);

#endif
