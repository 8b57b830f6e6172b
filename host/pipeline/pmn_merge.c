/* pmn_merge.c - one set of statistics from those of several runs. */
#include "pomona.h"

#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_places.h"
#include "pmn_pool.h"
#include "pmn_run.h"
#include "pmn_store.h"

#include <math.h>
#include <stdio.h>

static pmn_status check_places(const pmn_merge_options *o, pmn_err *err) {
  const pmn_statistics *s = &o->statistics;
  const pmn_place outputs[] = {
      {.path = s->save_projection, .what = "the projection"}, {.path = s->save_moments, .what = "the moments"}};
  pmn_status st = pmn_places_check(outputs, 2, NULL, 0, err);
  for (size_t i = 0; st == PMN_STATUS_OK && i < o->moments_count; i++) {
    pmn_place input = {.path = o->moments[i]};
    st = pmn_places_check(outputs, 2, &input, 1, err);
  }
  return st;
}

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
  PMN_TRY(check_places(o, err));
  if (s->save_projection != NULL) PMN_TRY(pmn_outfile_check(NULL, s->save_projection, "", o->overwrite, err));
  if (s->save_moments != NULL) PMN_TRY(pmn_outfile_check(NULL, s->save_moments, "", o->overwrite, err));
done:
  return st;
}

/* The sum beside the one that is added to it; then the fit. What one file says of its columns is true of all. */
static pmn_status plan(const pmn_merge_options *o, const pmn_fit_options *fit, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t n;
  int32_t d;
  bool covariance, pca = fit->components > 0 || fit->ratio > 0;
  double kept, need, limit = (double)fit->memory;
  PMN_TRY(pmn_moments_inspect(o->moments[0], &n, &d, &covariance, err));
  if (pca && !covariance)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s holds no covariance, which PCA needs", o->moments[0]);
  need = 2.0 * (4.0 + (covariance ? d : 0.0)) * d * sizeof(double);
  if (o->statistics.save_projection != NULL) need = fmax(need, pmn_fit_memory(n, d, covariance, fit, &kept));
  if (need > limit) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY,
        "statistics of %d columns need %.4g MB of memory, but may take %.4g MB%s: allow more with --memory", d,
        need / 1e6, limit / 1e6, o->statistics.memory > 0 ? "" : ", a quarter of the machine");
  }
  if (o->on_message != NULL) {
    char text[128];
    snprintf(text, sizeof text, "statistics of %d columns: up to %.4g MB of memory", d, need / 1e6);
    o->on_message(o->callback_arg, PMN_LEVEL_INFO, text);
  }
done:
  return st;
}

static pmn_status check_stop(const void *options, pmn_err *err) {
  const volatile sig_atomic_t *stop = ((const pmn_merge_options *)options)->stop;
  if (stop == NULL || *stop == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted; nothing was written");
}

/* All files, one after the other: the first one's numbers become the sum. */
static pmn_status add_all(const pmn_merge_options *o, pmn_moments **sum, char **features, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored_moments stored = {0};
  for (size_t i = 0; i < o->moments_count; i++) {
    PMN_TRY(check_stop(o, err));
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
  pmn_fit_options fit_options;
  pmn_outfile *files[2];
  size_t count = 0;
  char *features = NULL;
  *merged = (pmn_merged){0};
  PMN_TRY(check_options(o, err));
  fit_options = pmn_statistics_fit_options(s, o->threads > 0 ? o->threads : pmn_pool_processors());
  fit_options.watch = (pmn_watch){check_stop, o};
  PMN_TRY(plan(o, &fit_options, err));
  PMN_TRY(add_all(o, &sum, &features, err));
  pmn_moments_view view = pmn_moments_look(sum);
  merged->rows = view.n;
  merged->width = view.d;
  if (s->save_moments != NULL) {
    PMN_TRY(pmn_moments_save(s->save_moments, o->overwrite, &view, features, &files[count], err));
    count++;
  }
  if (s->save_projection != NULL) {
    PMN_TRY(pmn_fit_create(sum, NULL, &fit_options, &fit, err));
    merged->components = fit->k;
    for (int32_t c = 0; c < fit->k; c++) merged->explained += fit->explained_ratio[c];
    PMN_TRY(pmn_projection_save(s->save_projection, o->overwrite, fit, features, &files[count], err));
    count++;
  }
  PMN_TRY(check_stop(o, err));
  PMN_TRY(pmn_outfile_publish(files, count, err));
done:
  while (count > 0) pmn_outfile_destroy(files[--count]);
  pmn_fit_destroy(fit);
  pmn_moments_destroy(sum);
  pmn_free(features);
  return st;
}
