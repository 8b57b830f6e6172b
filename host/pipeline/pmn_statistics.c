/* pmn_statistics.c - what is asked of the columns: checked, planned, and made ready before the first row comes. */
#include "pmn_run.h"

#include "pmn_buf.h"
#include "pmn_mem.h"
#include "pmn_record.h"
#include "pmn_store.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
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

int64_t pmn_statistics_memory(const pmn_statistics *s) {
  return s->memory > 0 ? s->memory : (int64_t)sysconf(_SC_PHYS_PAGES) / 4 * (int64_t)sysconf(_SC_PAGESIZE);
}

pmn_fit_options pmn_statistics_fit_options(const pmn_statistics *s, int32_t threads) {
  pmn_fit_options options = {.with_mean = s->with_mean,
      .with_std = s->with_std,
      .components = s->pca_components,
      .ratio = s->pca_ratio,
      .threads = threads,
      .memory = pmn_statistics_memory(s)};
  if (!pmn_compat_find(s->compat, &options.compat)) options.compat = PMN_COMPAT_SKLEARN; /* it was checked */
  return options;
}

/* ------------------------------------------------------------------------------------------------------ plan -- */

/* Bytes that go with rows, and with the names of those of a matrix. */
static double names_bytes(const pmn_run *run, int64_t rows) {
  struct stat info;
  double bytes = (double)rows * sizeof *run->rows;
  if (pmn_run_counts_keypoints(run)) bytes += (double)rows * sizeof *run->keypoint_counts;
  if (run->reduce == NULL || run->reduce->index == NULL) return bytes;
  if (stat(run->reduce->index, &info) == 0) bytes += (double)info.st_size;
  return bytes + (double)rows * 2.0 * sizeof(char *);
}

/* What passes by while rows come: a block of the matrix, or batches on their way to the disk and pieces of a journal.
 */
static double passing_bytes(const pmn_run *run, int64_t rows, double block) {
  double row = (double)run->width * sizeof(float), batch = rows < run->batch ? (double)rows : run->batch;
  if (run->matrix != NULL) return block;
  return 3.0 * batch * row + (run->journals ? ((double)rows / (double)run->piece_count + 1.0) * row : 0.0);
}

/* Everything that grows with rows or columns: the most of what is there while rows come, while the fit is made and
 * while rows are projected. *kept as in pmn_fit_memory. */
static double need_bytes(
    const pmn_run *run, int64_t rows, bool covariance, const pmn_fit_options *options, double *kept) {
  const pmn_statistics *s = &run->options->statistics;
  int32_t d = run->width, most = rows < d ? (int32_t)rows : d, lines = pmn_block_rows(d);
  bool fits = pmn_statistics_need_fit(s), projects = fits || run->fit != NULL;
  int32_t k = run->fit != NULL ? run->fit->k : s->pca_ratio > 0 ? most : s->pca_components;
  double block = (double)(rows < lines ? (int32_t)rows : lines) * d * sizeof(double);
  double coming = passing_bytes(run, rows, block), fitting = 0.0;
  double projecting = pmn_outlet_memory(d, k > 0 ? k : d);
  *kept = 0.0;
  if (projects) projecting += (3.0 + k) * d * sizeof(double) + pmn_projector_memory(run->device, d, k);
  if (fits || s->save_moments != NULL) coming += pmn_moments_memory(run->device, rows, d, covariance);
  if (fits) {
    fitting = pmn_fit_memory(rows, d, covariance, options, kept);
    projecting += block;
  } else {
    coming += projecting; /* rows go to the table as they come */
  }
  return names_bytes(run, rows) + fmax(fmax(coming, fitting + *kept), projecting);
}

/* True when the run would do with what is allowed, were it asked for otherwise. */
static bool would_fit(const pmn_run *run, int64_t rows, bool covariance, pmn_fit_options options) {
  double kept;
  return need_bytes(run, rows, covariance, &options, &kept) - kept <= (double)options.memory;
}

/* The ways out that there are: ", or ..." each. */
static pmn_status tell_ways(
    const pmn_run *run, int64_t rows, bool covariance, const pmn_fit_options *options, pmn_buf *ways, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  bool pca = options->components > 0 || options->ratio > 0;
  pmn_fit_options fewer = *options;
  fewer.components = 1;
  fewer.ratio = 0;
  PMN_TRY(pmn_buf_printf(ways, err, "%s", ""));
  if (covariance && !(pca && rows >= run->width) && would_fit(run, rows, false, *options))
    PMN_TRY(pmn_buf_printf(ways, err, ", or do without --save-moments, which keeps the whole covariance"));
  if (options->ratio > 0 && would_fit(run, rows, covariance, fewer))
    PMN_TRY(pmn_buf_printf(ways, err, ", or ask for a number of components instead of a share"));
  if (o->pool != NULL && strcmp(o->pool, "none") == 0)
    PMN_TRY(pmn_buf_printf(ways, err, ", or pool the features to fewer columns"));
done:
  return st;
}

static double megabytes(double bytes) {
  return bytes / 1e6;
}

static pmn_status plan(pmn_run *run, int64_t rows, bool covariance, bool spools, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  pmn_fit_options options = pmn_statistics_fit_options(s, run->threads);
  double kept, need = need_bytes(run, rows, covariance, &options, &kept), limit = (double)options.memory;
  double spooled = spools ? (double)rows * run->width * sizeof(float) : 0.0;
  pmn_buf ways;
  pmn_buf_init(&ways, 4096);
  if (run->journals && !run->is_fitting) spooled *= 2; /* what is journalled is kept apart */
  if (need > limit) {
    PMN_TRY(tell_ways(run, rows, covariance, &options, &ways, err));
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY,
        "the statistics of %lld rows of %d columns need %.4g MB of memory, but may take %.4g MB%s: allow more with "
        "--memory%s",
        (long long)rows, run->width, megabytes(need), megabytes(limit),
        s->memory > 0 ? "" : ", a quarter of the machine", ways.data);
  }
  pmn_run_message(run, PMN_LEVEL_INFO,
      "statistics of %lld rows of %d columns: up to %.4g MB of memory beside the program's own, %.4g MB on the disk",
      (long long)rows, run->width, megabytes(need), megabytes(spooled));
done:
  pmn_buf_reset(&ways);
  return st;
}

/* What no memory helps against. */
static pmn_status check_order(const pmn_run *run, int64_t rows, bool pca, bool covariance, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  pmn_fit_options options = pmn_statistics_fit_options(s, run->threads);
  if (covariance && run->width > PMN_STATS_ORDER_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s the covariance of all columns: at most %d are possible, not %d",
        pca && rows >= run->width ? "PCA of more rows than columns needs" : "--save-moments keeps", PMN_STATS_ORDER_MAX,
        run->width);
  }
  if (!covariance && !pmn_fit_possible(rows, &options)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "PCA of %lld rows of %d columns: of more than %d rows only some components can be found: ask for %lld or fewer",
        (long long)rows, run->width, PMN_STATS_ORDER_MAX, (long long)pmn_fit_most(rows));
  }
done:
  return st;
}

pmn_status pmn_run_scratch_path(const pmn_run *run, pmn_buf *path, pmn_err *err) {
  const pmn_extract_options *o = run->options;
  if (o->statistics.spool != NULL) return pmn_buf_printf(path, err, "%s/spool", o->statistics.spool);
  if (run->job != NULL) return pmn_job_scratch_path(run->job, path, err);
  return pmn_buf_printf(path, err, "%s", o->output);
}

static pmn_status open_spool(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf beside;
  pmn_buf_init(&beside, 1 << 16);
  PMN_TRY(pmn_run_scratch_path(run, &beside, err));
  PMN_TRY(pmn_spool_create(beside.data, run->width, &run->spool, err));
done:
  pmn_buf_reset(&beside);
  return st;
}

pmn_status pmn_statistics_open(pmn_run *run, int64_t rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  bool fits = pmn_statistics_need_fit(s), pca = s->pca_components > 0 || s->pca_ratio > 0;
  /* With fewer rows than columns the rows themselves are the smaller matrix. Who merges needs the whole covariance. */
  bool covariance = s->save_moments != NULL || (pca && rows >= run->width), spools = fits && run->matrix == NULL;
  if (fits) PMN_TRY(pmn_fit_check(rows, run->width, s->pca_components, run->matrix != NULL ? "row" : "picture", err));
  PMN_TRY(check_order(run, rows, pca, covariance, err));
  PMN_TRY(plan(run, rows, covariance, spools, err));
  if (spools) PMN_TRY(open_spool(run, err));
  if (fits || s->save_moments != NULL)
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
