/* pmn_transform.c - the second pass: from the moments to a fit, and every row through it to the output. */
#include "pmn_run.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_parts.h"
#include "pmn_record.h"
#include "pmn_store.h"

pmn_status pmn_transform_fit(pmn_run *run, const pmn_rows *rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_statistics *s = &run->options->statistics;
  pmn_fit_options options = pmn_statistics_fit_options(s, run->threads);
  options.watch = pmn_run_watch(run);
  char *features = NULL;
  double start = pmn_clock_seconds();
  PMN_TRY(pmn_moments_finish(run->moments, err));
  features = pmn_record_text(run->features);
  if (features == NULL) {
    st = pmn_err_memory(err, 1, "the run record");
    goto done;
  }
  if (s->save_moments != NULL) {
    pmn_moments_view view = pmn_moments_look(run->moments);
    PMN_TRY(pmn_moments_save(s->save_moments, run->replaces, &view, features, &run->kept[run->kept_count], err));
    run->kept_count++;
  }
  if (!pmn_statistics_need_fit(s)) goto done;
  pmn_run_progress(run, "fit", 0, 0, start);
  st = pmn_fit_create(run->moments, rows, &options, &run->fit, err);
  if (st == PMN_STATUS_ARGUMENT && run->restored) pmn_job_drop(run->job); /* of rows that give none */
  if (st != PMN_STATUS_OK) goto done;
  if (s->save_projection != NULL) {
    PMN_TRY(
        pmn_projection_save(s->save_projection, run->replaces, run->fit, features, &run->kept[run->kept_count], err));
    run->kept_count++;
  }
  pmn_moments_destroy(run->moments); /* what comes now has their memory */
  run->moments = NULL;
done:
  pmn_free(features);
  run->meter.stages[PMN_STAGE_FIT].busy_seconds += pmn_clock_seconds() - start;
  return st;
}

/* Rows from *done on, as far as their indices lie below `end`. */
static pmn_status write_part(pmn_run *run, const pmn_rows *rows, int64_t end, int64_t *done, double *x, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t block = pmn_block_rows(run->width);
  while (*done < rows->count && run->rows[*done] < end) {
    int32_t n = 0;
    double start = pmn_clock_seconds();
    while (n < block && *done + n < rows->count && run->rows[*done + n] < end) n++;
    PMN_TRY(pmn_run_check_stop(run, err));
    PMN_TRY(rows->read(rows->arg, *done, n, x, err));
    run->meter.stages[PMN_STAGE_PROJECT].busy_seconds += pmn_clock_seconds() - start;
    PMN_TRY(pmn_outlet_put_wide(run->outlet, run->rows + *done, x, n, err));
    *done += n;
    pmn_run_progress(run, "project", *done, rows->count, run->phase_started);
  }
done:
  return st;
}

pmn_status pmn_transform_run(pmn_run *run, const pmn_rows *rows, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t done = 0, parts;
  size_t values = (size_t)pmn_block_rows(run->width) * (size_t)run->width;
  double *x = pmn_alloc_aligned(values, sizeof *x);
  if (x == NULL) return pmn_err_memory(err, values * sizeof *x, "a block of rows");
  run->phase_started = pmn_clock_seconds();
  run->phase_before = 0;
  run->counts.width = pmn_fit_width(run->fit);
  parts = pmn_parts_count(run);
  for (int64_t part = 0; part < parts; part++) {
    PMN_TRY(pmn_parts_part_begin(run, part, err));
    PMN_TRY(write_part(run, rows, pmn_parts_end(run, part), &done, x, err));
    PMN_TRY(pmn_parts_part_end(run, err));
  }
done:
  pmn_free(x);
  return st;
}
