/* pmn_extract.c - the main job: checks what was asked, opens everything, runs the passes, commits.
 *
 * Order matters to the user: what can be wrong with the command is found before the pictures are listed, what can be
 * wrong with the output before the network runs for hours.
 */
#include "pmn_run.h"

#include "pmn_choose.h"
#include "pmn_clock.h"
#include "pmn_image.h"
#include "pmn_learn.h"
#include "pmn_mem.h"
#include "pmn_parts.h"
#include "pmn_pool.h"
#include "pmn_s3.h"
#include "pmn_summary.h"

#include <jansson.h>
#include <string.h>

/* --------------------------------------------------------------------------------------------------- options -- */

/* Of a network's input, in each direction; and of layers asked for at once. */
enum { SIZE_PIXELS_MAX = 8192, LAYERS_MAX = 1024 };

static pmn_status check_numbers(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->struct_size != sizeof *o) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_extract_options was not made by PMN_EXTRACT_OPTIONS_INIT of this version");
  }
  if (o->source_count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no SOURCE: name a folder of pictures");
  if (o->threads < 0 || o->threads > 1024 || o->batch < 0 || o->batch > 65536 || o->limit < 0 || o->width < 0 ||
      o->width > SIZE_PIXELS_MAX || o->height < 0 || o->height > SIZE_PIXELS_MAX ||
      (o->width == 0) != (o->height == 0) || o->layer_count > LAYERS_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a number is out of range: limit from 0; threads to 1024; batch to 65536; width and height both 0, or "
        "both to %d; layers to %d",
        SIZE_PIXELS_MAX, LAYERS_MAX);
  }
  if (o->fit_on != NULL && !pmn_statistics_need_fit(&o->statistics) && o->words == 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "there is nothing to fit on %s: ask for words, for standardisation, or for PCA",
        o->fit_on);
  }
done:
  return st;
}

static pmn_status check_resize(const pmn_extract_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_filter filter;
  if (o->resize != NULL && !pmn_filter_find(o->resize, &filter)) {
    PMN_FAIL(
        err, PMN_STATUS_ARGUMENT, "no filter is called \"%s\"; there are bicubic, bilinear and nearest", o->resize);
  }
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------ open -- */

static pmn_status open_listing(
    pmn_run *run, const char *const *sources, size_t source_count, int64_t limit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_source_options source = {.sources = sources,
      .source_count = source_count,
      .includes = o->includes,
      .include_count = o->include_count,
      .label_level = o->label_level,
      .label_regex = o->label_regex,
      .limit = limit};
  for (size_t i = 0; i < source_count; i++) {
    if (pmn_s3_is_uri(sources[i])) PMN_TRY(pmn_run_open_s3(run, err));
  }
  source.s3 = run->s3;
  PMN_TRY(pmn_listing_create(&source, &run->listing, err));
  if (pmn_listing_has_objects(run->listing)) PMN_TRY(pmn_run_open_s3(run, err));
  run->counts.listed = pmn_listing_count(run->listing);
  run->counts.skipped = pmn_listing_skipped(run->listing);
  run->counts.duplicates = pmn_listing_duplicates(run->listing);
  if (run->counts.skipped > 0) {
    pmn_run_message(run, PMN_LEVEL_INFO, "%lld files of the folders are not listed: their names do not match",
        (long long)run->counts.skipped);
  }
  if (run->counts.duplicates > 0) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "%lld pictures were named more than once and are taken once",
        (long long)run->counts.duplicates);
  }
  int64_t unlabelled = 0;
  for (int64_t i = 0; i < run->counts.listed; i++) unlabelled += pmn_listing_item(run->listing, i).label[0] == '\0';
  if (unlabelled > 0) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "%lld pictures have no label: %s finds none in their paths",
        (long long)unlabelled, o->label_regex != NULL ? "the regular expression" : "the label level");
  }
done:
  return st;
}

static pmn_status open_maker(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_maker_create(run->options, &run->maker, err));
  run->width = run->maker->width;
  run->counts.width = run->width;
  run->features = json_incref(run->maker->features);
done:
  return st;
}

static pmn_status open_device(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_choose_device(run, err));
  if (run->options->fit_on == NULL && run->batch > run->counts.listed) run->batch = (int32_t)run->counts.listed;
  PMN_TRY(run->maker->kind->open(run->maker, run->device, run->batch, err));
  run->meter.stages[PMN_STAGE_NETWORK].name = run->maker->kind->stage;
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------- run -- */

static pmn_rows spooled_rows(const pmn_run *run) {
  return (pmn_rows){
      .count = pmn_spool_count(run->spool), .width = run->width, .arg = run->spool, .read = pmn_spool_read};
}

/* `steps` on pictures of another source, of which no row is written and no reject listed. */
static pmn_status take_elsewhere(pmn_run *run, pmn_status (*steps)(pmn_run *run, pmn_err *err), pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_listing *listing = run->listing;
  pmn_counts counts = run->counts;
  run->listing = NULL;
  run->is_fitting = true;
  PMN_TRY(open_listing(run, &run->options->fit_on, 1, 0, err));
  PMN_TRY(pmn_run_check_pictures(run, err));
  PMN_TRY(steps(run, err));
done:
  pmn_listing_destroy(run->listing);
  run->is_fitting = false;
  run->listing = listing;
  run->counts = counts;
  return st;
}

static pmn_status fit_elsewhere(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_statistics_open(run, run->counts.listed, err));
  PMN_TRY(pmn_features_run(run, err));
  pmn_rows rows = spooled_rows(run);
  PMN_TRY(pmn_transform_fit(run, &rows, err));
  if (run->counts.rejects > 0) {
    pmn_run_message(run, PMN_LEVEL_WARNING, "%lld pictures of %.300s could not be read: the fit is without them",
        (long long)run->counts.rejects, run->options->fit_on);
  }
done:
  pmn_spool_destroy(run->spool);
  pmn_moments_destroy(run->moments);
  run->spool = NULL;
  run->moments = NULL;
  return st;
}

/* Words come from where the fit comes from. */
static pmn_status learn(pmn_run *run, pmn_err *err) {
  if (run->options->words == 0) return PMN_STATUS_OK;
  return run->options->fit_on != NULL ? take_elsewhere(run, pmn_learn_words, err) : pmn_learn_words(run, err);
}

static pmn_status take_steps(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  const pmn_statistics *s = &o->statistics;
  PMN_TRY(check_numbers(o, err));
  PMN_TRY(pmn_statistics_check(s, err));
  PMN_TRY(check_resize(o, err));
  PMN_TRY(pmn_run_check_format(run, err));
  PMN_TRY(open_maker(run, err));
  if (s->projection != NULL) PMN_TRY(pmn_statistics_load(run, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  PMN_TRY(open_listing(run, o->sources, o->source_count, o->limit, err));
  PMN_TRY(pmn_run_check_pictures(run, err));
  PMN_TRY(pmn_run_check_stop(run, err));
  run->threads = o->threads > 0 ? o->threads : pmn_pool_processors();
  pmn_meter_init(&run->meter, run->threads);
  PMN_TRY(open_device(run, err));
  run->meter.stages[PMN_STAGE_START].busy_seconds = pmn_clock_seconds() - run->started;
  PMN_TRY(learn(run, err));
  bool fits = o->fit_on == NULL && pmn_statistics_need_fit(s), gathers = o->fit_on == NULL && s->save_moments != NULL;
  PMN_TRY(pmn_parts_begin(run, fits, err));
  if (run->finished != NULL) goto done;
  if (o->fit_on != NULL && pmn_statistics_need_fit(s)) PMN_TRY(take_elsewhere(run, fit_elsewhere, err));
  if (run->fit != NULL) PMN_TRY(pmn_parts_compare_fit(run, err));
  if (fits || gathers) PMN_TRY(pmn_statistics_open(run, run->counts.listed, err));
  PMN_TRY(pmn_features_run(run, err));
  if (run->moments == NULL) goto done;
  pmn_rows rows = {0};
  if (fits) rows = spooled_rows(run);
  PMN_TRY(pmn_transform_fit(run, &rows, err));
  if (fits) PMN_TRY(pmn_transform_run(run, &rows, err));
done:
  return st;
}

pmn_status pmn_extract(const pmn_extract_options *options, pmn_summary **summary, pmn_err *err) {
  pmn_run run = {.options = options};
  return pmn_run_execute(&run, take_steps, summary, err);
}
