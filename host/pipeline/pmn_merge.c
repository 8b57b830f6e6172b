/* pmn_merge.c - one set of statistics from those of several runs. */
#include "pomona.h"

#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_pool.h"
#include "pmn_run.h"
#include "pmn_store.h"

static pmn_status check_options(const pmn_merge_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &o->statistics;
  if (o->struct_size != sizeof *o) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_merge_options was not made by PMN_MERGE_OPTIONS_INIT of this version");
  }
  if (o->moments_count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no statistics: name files of --save-moments");
  if (o->threads < 0 || o->threads > 1024) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "threads can be from 0 to 1024");
  PMN_TRY(pmn_statistics_check(s, err));
  if (s->save_projection == NULL && s->save_moments == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nothing to write: name a file for the projection, for the statistics, or both");
  }
  if (s->save_projection != NULL) PMN_TRY(pmn_outfile_check(NULL, s->save_projection, "", o->overwrite, err));
  if (s->save_moments != NULL) PMN_TRY(pmn_outfile_check(NULL, s->save_moments, "", o->overwrite, err));
done:
  return st;
}

/* All files, one after the other: the first one's numbers become the sum. */
static pmn_status add_all(const pmn_merge_options *o, pmn_moments **sum, char **features, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored_moments stored = {0};
  for (size_t i = 0; i < o->moments_count; i++) {
    PMN_TRY(pmn_moments_load(o->moments[i], &stored, err));
    if (*sum == NULL) {
      *features = stored.features;
      stored.features = NULL;
      PMN_TRY(pmn_moments_create(NULL, stored.view.d, stored.view.m2 != NULL, sum, err));
    } else {
      PMN_TRY(pmn_features_compare(*features, stored.features, o->moments[i], err));
    }
    PMN_TRY(pmn_moments_merge(*sum, &stored.view, err));
    pmn_stored_moments_reset(&stored);
  }
  PMN_TRY(pmn_moments_finish(*sum, err));
done:
  pmn_stored_moments_reset(&stored);
  return st;
}

pmn_status pmn_merge(const pmn_merge_options *options, pmn_merged *merged, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_merge_options *o = options;
  const pmn_statistics *s = &o->statistics;
  pmn_moments *sum = NULL;
  pmn_fit *fit = NULL;
  char *features = NULL;
  *merged = (pmn_merged){0};
  PMN_TRY(check_options(o, err));
  PMN_TRY(add_all(o, &sum, &features, err));
  pmn_moments_view view = pmn_moments_look(sum);
  merged->rows = view.n;
  merged->width = view.d;
  if (s->save_moments != NULL) PMN_TRY(pmn_moments_save(s->save_moments, o->overwrite, &view, features, err));
  if (s->save_projection == NULL) goto done;
  pmn_fit_options fit_options = pmn_statistics_fit_options(s, o->threads > 0 ? o->threads : pmn_pool_processors());
  PMN_TRY(pmn_fit_create(sum, NULL, &fit_options, &fit, err));
  merged->components = fit->k;
  for (int32_t c = 0; c < fit->k; c++) merged->explained += fit->explained_ratio[c];
  PMN_TRY(pmn_projection_save(s->save_projection, o->overwrite, fit, features, err));
done:
  pmn_fit_destroy(fit);
  pmn_moments_destroy(sum);
  pmn_free(features);
  return st;
}
