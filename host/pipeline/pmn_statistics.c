/* pmn_statistics.c - what is asked of the columns: checked, planned, and made ready before the first row comes. */
#include "pmn_run.h"

#include "pmn_buf.h"
#include "pmn_mem.h"
#include "pmn_store.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

bool pmn_compat_find(const char *name, pmn_compat *compat) {
  if (name == NULL || strcmp(name, "sklearn") == 0)
    *compat = PMN_COMPAT_SKLEARN;
  else if (strcmp(name, "spark") == 0)
    *compat = PMN_COMPAT_SPARK;
  else
    return false;
  return true;
}

bool pmn_statistics_need_fit(const pmn_statistics *s) {
  return s->with_mean || s->with_std || s->pca_components > 0 || s->pca_ratio > 0;
}

pmn_status pmn_statistics_check(const pmn_statistics *s, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_compat compat;
  if (s->pca_components < 0 || s->memory < 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a number is out of range: pca and memory from 0");
  }
  if (s->pca_ratio < 0 || s->pca_ratio >= 1 || isnan(s->pca_ratio)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the share of variance must lie between 0 and 1");
  }
  if (s->pca_ratio > 0 && s->pca_components > 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "ask for a number of components or for a share of variance, not both");
  }
  if (!pmn_compat_find(s->compat, &compat)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nothing is compatible with \"%s\"; there are sklearn and spark", s->compat);
  }
  if (s->projection != NULL && (pmn_statistics_need_fit(s) || s->save_projection != NULL || s->save_moments != NULL)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "a projection brings its own standardisation and PCA: nothing is fitted beside it, and nothing saved");
  }
  if (s->save_projection != NULL && !pmn_statistics_need_fit(s)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "there is no projection to save: ask for standardisation, for PCA, or for both");
  }
done:
  return st;
}

pmn_fit_options pmn_statistics_fit_options(const pmn_statistics *s, int32_t threads) {
  pmn_fit_options options = {.with_mean = s->with_mean,
      .with_std = s->with_std,
      .components = s->pca_components,
      .ratio = s->pca_ratio,
      .threads = threads,
      .memory = s->memory > 0 ? s->memory : (int64_t)sysconf(_SC_PHYS_PAGES) / 4 * (int64_t)sysconf(_SC_PAGESIZE)};
  if (!pmn_compat_find(s->compat, &options.compat)) options.compat = PMN_COMPAT_SKLEARN; /* it was checked */
  return options;
}

static double megabytes(int64_t bytes) {
  return (double)bytes / 1e6;
}

static pmn_status plan(pmn_run *run, int64_t rows, bool covariance, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  pmn_fit_options options = pmn_statistics_fit_options(s, run->threads);
  int64_t kept, need = pmn_fit_memory(rows, run->width, covariance, &options, &kept);
  int64_t limit = options.memory;
  int64_t spooled = run->spool == NULL ? 0 : rows * run->width * (int64_t)sizeof(float);
  if (run->journals && !run->is_fitting) spooled *= 2; /* what is journalled is kept apart */
  if (need > limit) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY,
        "the statistics of %lld rows of %d columns need %.4g MB of memory, but may take %.4g MB%s: allow more with "
        "--memory, pool the features to fewer columns%s",
        (long long)rows, run->width, megabytes(need), megabytes(limit),
        s->memory > 0 ? "" : ", a quarter of the machine",
        options.components > 0 ? "" : ", or ask for a number of components instead of a share");
  }
  pmn_run_message(run, PMN_LEVEL_INFO,
      "statistics of %lld rows of %d columns: up to %.4g MB of memory, %.4g MB on the disk", (long long)rows,
      run->width, megabytes(need + kept), megabytes(spooled));
done:
  return st;
}

static pmn_status open_spool(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  pmn_buf beside;
  pmn_buf_init(&beside, 1 << 16);
  if (o->statistics.spool != NULL)
    PMN_TRY(pmn_buf_printf(&beside, err, "%s/spool", o->statistics.spool));
  else if (run->job != NULL)
    PMN_TRY(pmn_job_scratch_path(run->job, &beside, err));
  else
    PMN_TRY(pmn_buf_printf(&beside, err, "%s", o->output));
  PMN_TRY(pmn_spool_create(beside.data, run->width, &run->spool, err));
done:
  pmn_buf_reset(&beside);
  return st;
}

pmn_status pmn_statistics_open(pmn_run *run, int64_t rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  PMN_TRY(pmn_fit_check(rows, run->width, s->pca_components, run->matrix != NULL ? "row" : "picture", err));
  /* With fewer rows than columns the rows themselves are the smaller matrix. Who merges needs the whole covariance. */
  bool pca = s->pca_components > 0 || s->pca_ratio > 0;
  bool covariance = s->save_moments != NULL || (pca && rows >= run->width);
  if (run->matrix == NULL && pmn_statistics_need_fit(s)) PMN_TRY(open_spool(run, err));
  PMN_TRY(plan(run, rows, covariance, err));
  PMN_TRY(pmn_moments_create(run->device, run->width, covariance, &run->moments, err));
done:
  return st;
}

pmn_status pmn_statistics_load(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *path = run->options->statistics.projection;
  char *theirs = NULL, *mine = NULL;
  PMN_TRY(pmn_projection_load(path, &run->fit, &theirs, err));
  mine = pmn_record_text(run->features);
  if (mine == NULL) {
    st = pmn_err_memory(err, 1, "the run record");
    goto done;
  }
  PMN_TRY(pmn_features_compare(mine, theirs, path, err));
done:
  pmn_free(theirs);
  pmn_free(mine);
  return st;
}
