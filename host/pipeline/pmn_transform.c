/* pmn_transform.c - the second pass: from the moments to a fit, and every spooled row through it to the output. */
#include "pmn_run.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_writer.h"

/* Fixed, so that the bits of a projected row do not depend on the batch size of the first pass. */
enum { ROWS = 4096 };

static pmn_status project(pmn_run *run, pmn_projector *projector, float *x, float *y, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t count = run->counts.rows;
  double phase = pmn_clock_seconds();
  for (int64_t first = 0; first < count; first += ROWS) {
    int32_t n = count - first < ROWS ? (int32_t)(count - first) : ROWS;
    double start = pmn_clock_seconds();
    PMN_TRY(pmn_run_check_stop(run, err));
    PMN_TRY(pmn_spool_read(run->spool, first, n, x, err));
    PMN_TRY(pmn_projector_run(projector, x, n, y, err));
    double middle = pmn_clock_seconds();
    PMN_TRY(pmn_writer_rows(run->sink, run->listing, run->rows + first, n, y, err));
    run->meter.stages[PMN_STAGE_PROJECT].busy_seconds += middle - start;
    run->meter.stages[PMN_STAGE_WRITE].busy_seconds += pmn_clock_seconds() - middle;
    pmn_run_progress(run, "project", first + n, count, phase);
  }
done:
  return st;
}

/* The listing was long enough; what could be read of it may not be. */
static pmn_status check_rows(const pmn_run *run, pmn_err *err) {
  int64_t least = run->options->pca_components > 2 ? run->options->pca_components : 2;
  if (run->counts.rows >= least) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_REJECTED, 0,
      "%lld of %lld pictures became rows, but these statistics need %lld; the last one rejected is %s",
      (long long)run->counts.rows, (long long)run->counts.listed, (long long)least, run->last_reject.message);
}

pmn_status pmn_transform_run(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_projector *projector = NULL;
  float *x = NULL, *y = NULL;
  pmn_rows rows = {
      .count = pmn_spool_count(run->spool), .width = run->width, .arg = run->spool, .read = pmn_spool_read};
  pmn_fit_options options = {.standardize = run->options->standardize,
      .components = run->options->pca_components,
      .ratio = run->options->pca_ratio};
  double start = pmn_clock_seconds();
  PMN_TRY(check_rows(run, err));
  pmn_run_progress(run, "fit", 0, 0, start);
  PMN_TRY(pmn_moments_finish(run->moments, err));
  PMN_TRY(pmn_fit_create(run->moments, &rows, &options, &run->fit, err));
  run->meter.stages[PMN_STAGE_FIT].busy_seconds += pmn_clock_seconds() - start;
  int32_t width = pmn_fit_width(run->fit);
  run->counts.width = width;
  PMN_TRY(pmn_run_open_sink(run, width, err));
  PMN_TRY(pmn_projector_create(run->device, run->fit, ROWS, &projector, err));
  x = pmn_alloc_aligned((size_t)ROWS * (size_t)run->width, sizeof *x);
  y = pmn_alloc_aligned((size_t)ROWS * (size_t)width, sizeof *y);
  if (x == NULL || y == NULL) {
    st = pmn_err_memory(err, (size_t)ROWS * (size_t)(run->width + width) * sizeof *x, "a block of rows");
    goto done;
  }
  PMN_TRY(project(run, projector, x, y, err));
done:
  pmn_projector_destroy(projector);
  pmn_free(x);
  pmn_free(y);
  return st;
}
