/* pmn_extract.c - the main job: checks what was asked, opens everything, runs the passes, commits.
 *
 * Order matters to the user: what can be wrong with the command is found before the pictures are listed, what can be
 * wrong with the output before the network runs for hours.
 */
#include "pmn_run.h"

#include "pmn_learn.h"
#include "pmn_maker_words.h"
#include "pmn_parts.h"

static pmn_status check_fit_on(const pmn_extract_options *o, pmn_err *err) {
  if (o->fit_on == NULL || pmn_statistics_need_fit(&o->statistics) || o->words > 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "there is nothing to fit on %s: ask for words, for standardisation, or for PCA", o->fit_on);
}

/* Of rows only their words are drawn: a seed that decides nothing was meant for something else. */
static pmn_status check_seed(const pmn_extract_options *o, pmn_err *err) {
  if (o->seed == 0 || o->words > 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "a seed is of words that are learnt (--words): nothing else of a table is drawn at random");
}

/* Without a table there are keypoints, and nothing is made of them. */
static pmn_status check_bare(const pmn_extract_options *o, pmn_err *err) {
  const pmn_statistics *s = &o->statistics;
  bool table = o->words > 0 || o->vocabulary != NULL || o->save_vocabulary != NULL || o->weighting != NULL ||
               o->norm != NULL || o->start != NULL || o->mini_batch > 0 || o->seed != 0 || o->fit_on != NULL ||
               o->format != NULL || o->parts != 0 || o->resume || pmn_statistics_need_fit(s) || s->projection != NULL ||
               s->save_projection != NULL || s->save_moments != NULL;
  if (!table) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "no output: without one %.300s is written, and neither words nor statistics are made of the keypoints",
      o->save_keypoints);
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
  PMN_TRY(pmn_pictures_list(run, &run->options->fit_on, 1, 0, err));
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
  PMN_TRY(pmn_pictures_check(o, err));
  PMN_TRY(check_fit_on(o, err));
  PMN_TRY(check_seed(o, err));
  PMN_TRY(pmn_run_check_format(run, err));
  PMN_TRY(pmn_pictures_open_maker(run, err));
  if (s->projection != NULL) PMN_TRY(pmn_statistics_load(run, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  PMN_TRY(pmn_pictures_list(run, o->sources, o->source_count, o->limit, err));
  PMN_TRY(pmn_pictures_open_device(run, err));
  PMN_TRY(pmn_pictures_project(run, err));
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

static pmn_status drop_rows(void *arg, const int64_t *indices, const float *rows, int32_t n, pmn_err *err) {
  (void)arg, (void)indices, (void)rows, (void)n, (void)err;
  return PMN_STATUS_OK;
}

static pmn_status take_keypoints(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  PMN_TRY(pmn_pictures_check(o, err));
  PMN_TRY(check_bare(o, err));
  PMN_TRY(pmn_pictures_open_maker(run, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  PMN_TRY(pmn_pictures_list(run, o->sources, o->source_count, o->limit, err));
  PMN_TRY(pmn_pictures_open_device(run, err));
  PMN_TRY(pmn_features_run(run, err));
done:
  return st;
}

pmn_status pmn_extract(const pmn_extract_options *options, pmn_summary **summary, pmn_err *err) {
  pmn_run run = {.options = options};
  if (!pmn_maker_is_bare(options)) return pmn_run_execute(&run, take_steps, summary, err);
  run.product = "the keypoints";
  run.taker.take = drop_rows;
  return pmn_run_execute(&run, take_keypoints, summary, err);
}
