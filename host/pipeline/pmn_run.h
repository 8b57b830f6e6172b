/* pmn_run.h - one run of pmn_extract, private to the pipeline: what its steps share. */
#ifndef PMN_RUN_H
#define PMN_RUN_H

#include "pmn_backend.h"
#include "pmn_image.h"
#include "pmn_meter.h"
#include "pmn_model.h"
#include "pmn_sink.h"
#include "pmn_source.h"
#include "pmn_spool.h"
#include "pmn_stats.h"

typedef struct pmn_run {
  const pmn_extract_options *options;
  double started; /* pmn_clock_seconds */
  char started_utc[32];

  /* what is to be done: filled by pmn_extract.c */
  pmn_format format;
  pmn_filter filter;
  int32_t picture_width, picture_height; /* of the network's input */
  struct json_t *features;               /* what the model says of itself, for the record */
  pmn_model *model;                      /* until the device has its weights */
  int32_t threads, batch, width;
  char *rejects_path;
  pmn_listing *listing;
  pmn_device *device;
  pmn_network *network;
  pmn_rejects *rejects;

  /* what happens on the way: pmn_features.c, pmn_transform.c */
  pmn_counts counts;
  pmn_err last_reject; /* its message: "KEY: STAGE: REASON", a line that cannot steer a terminal */
  int64_t *rows;       /* [counts.rows] index of each row's picture in the listing */
  pmn_sink *sink;
  pmn_spool *spool; /* when a fit comes before the output */
  pmn_moments *moments;
  pmn_fit *fit;
  pmn_meter meter;
  double progress_last;
} pmn_run;

/* True when rows are standardised or projected, so that all features are needed before the first row can be written. */
bool pmn_run_needs_fit(const pmn_run *run);
/* PMN_STATUS_INTERRUPTED once the caller's stop flag is up. */
PMN_MUST_USE pmn_status pmn_run_check_stop(const pmn_run *run, pmn_err *err);
void pmn_run_message(const pmn_run *run, pmn_level level, const char *format, ...) PMN_PRINTF(3, 4);
/* Tells the caller, at most ten times a second, and always for done == total. */
void pmn_run_progress(pmn_run *run, const char *phase, int64_t done, int64_t total, double phase_started);
/* The output's file, ready for rows of `width` columns. */
PMN_MUST_USE pmn_status pmn_run_open_sink(pmn_run *run, int32_t width, pmn_err *err);

/* First pass: every picture to its features, into run->sink or run->spool and run->moments. Fills counts and rows. */
PMN_MUST_USE pmn_status pmn_features_run(pmn_run *run, pmn_err *err);
/* Second pass: the fit, and the projected rows of the spool into run->sink. */
PMN_MUST_USE pmn_status pmn_transform_run(pmn_run *run, pmn_err *err);
/* Network, weights, layers and preprocessing of a model, for run->features; NULL when memory cannot be had. */
struct json_t *pmn_record_features(const pmn_model *model, pmn_pooling pooling);
/* The run record as JSON text, to be freed with pmn_free; NULL when memory cannot be had. */
char *pmn_record_create(const pmn_run *run, const char *bound, double seconds);

#endif
