/* pmn_reduce.c - statistics of features from elsewhere: a matrix in a file takes the place of pictures and network.
 *
 * Workload: 8 to 10^7 rows of 20 to 25,088 columns. The matrix is read as often as it is needed, some rows at a time,
 * and is never in memory as a whole.
 */
#include "pmn_run.h"

#include "pmn_choose.h"
#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_parts.h"
#include "pmn_pool.h"
#include "pmn_s3.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static pmn_status check_numbers(const pmn_reduce_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->struct_size != sizeof *o) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "pmn_reduce_options was not made by PMN_REDUCE_OPTIONS_INIT of this version");
  }
  if (o->matrix == NULL || o->matrix[0] == '\0') PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no matrix: name an .npy file");
  if (pmn_s3_is_uri(o->matrix) || (o->index != NULL && pmn_s3_is_uri(o->index))) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s: a matrix and its index are read from a disk: copy them there first",
        pmn_s3_is_uri(o->matrix) ? o->matrix : o->index);
  }
  if (o->threads < 0 || o->threads > 1024) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "threads can be from 0 to 1024");
  PMN_TRY(pmn_statistics_check(&o->statistics, err));
  if (!pmn_statistics_need_fit(&o->statistics) && o->statistics.projection == NULL &&
      o->statistics.save_moments == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "nothing to do: ask for standardisation, for PCA, for both, for a projection that was saved, or save moments");
  }
  if (o->statistics.spool != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "the rows of a matrix are read again where they are: there is no spool");
  }
done:
  return st;
}

static pmn_status open_matrix(pmn_run *run, const pmn_reduce_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_matrix_open(o->matrix, &run->matrix, err));
  run->counts.listed = pmn_matrix_rows(run->matrix);
  run->width = pmn_matrix_columns(run->matrix);
  if (run->counts.listed == 0) PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s has no rows", o->matrix);
  run->features = json_pack("{s:b, s:i}", "matrix", 1, "width", run->width);
  if (run->features == NULL) st = pmn_err_memory(err, 1, "the run record");
done:
  return st;
}

/* What there is of every row, and was planned. */
static pmn_status open_rows(pmn_run *run, const pmn_reduce_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->index != NULL) PMN_TRY(pmn_index_read(o->index, run->counts.listed, &run->index, err));
  run->rows = pmn_alloc((size_t)run->counts.listed, sizeof *run->rows);
  if (run->rows == NULL) {
    st = pmn_err_memory(err, (size_t)run->counts.listed * sizeof *run->rows, "the numbers of the rows");
  }
done:
  return st;
}

/* Rows [first, first + n) in x: those that are numbers move together, and join run->rows; *kept is how many. */
static pmn_status keep_rows(pmn_run *run, int64_t first, int32_t n, double *x, int32_t *kept, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)run->width;
  *kept = 0;
  for (int32_t i = 0; i < n; i++) {
    double *row = x + (size_t)i * width;
    size_t broken = pmn_nonfinite_find_wide(row, width);
    if (broken < width) {
      char reason[64];
      snprintf(reason, sizeof reason, "column %zu is %s", broken, isnan(row[broken]) ? "NaN" : "infinite");
      PMN_TRY(pmn_run_reject(run, first + i, "matrix", reason, err));
      continue;
    }
    if (*kept < i) memcpy(x + (size_t)*kept * width, row, width * sizeof *row);
    run->rows[run->counts.rows++] = first + i;
    (*kept)++;
  }
done:
  return st;
}

/* Rows [first, end) once: to the moments, to the output if no fit comes first, or to both. */
static pmn_status take_rows(pmn_run *run, int64_t first, int64_t end, double *x, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t block = pmn_block_rows(run->width);
  for (; first < end; first += block) {
    int64_t before = run->counts.rows;
    int32_t n = end - first < block ? (int32_t)(end - first) : block, kept;
    double start = pmn_clock_seconds();
    PMN_TRY(pmn_run_check_stop(run, err));
    PMN_TRY(pmn_matrix_read(run->matrix, first, n, x, err));
    PMN_TRY(keep_rows(run, first, n, x, &kept, err));
    PMN_TRY(pmn_run_list_rejects(run, INT64_MAX, err));
    double middle = pmn_clock_seconds();
    run->meter.stages[PMN_STAGE_READ].busy_seconds += middle - start;
    if (run->moments != NULL) {
      PMN_TRY(pmn_moments_add_wide(run->moments, x, kept, err));
      run->meter.stages[PMN_STAGE_MOMENTS].busy_seconds += pmn_clock_seconds() - middle;
    }
    if (run->outlet != NULL) PMN_TRY(pmn_outlet_put_wide(run->outlet, run->rows + before, x, kept, err));
    pmn_run_progress(
        run, run->moments != NULL ? "moments" : "project", first + n, run->counts.listed, run->phase_started);
  }
done:
  return st;
}

/* Every row; a part of the output after the other if rows go there at once. */
static pmn_status first_pass(pmn_run *run, bool fits, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t values = (size_t)pmn_block_rows(run->width) * (size_t)run->width;
  double *x = pmn_alloc_aligned(values, sizeof *x);
  if (x == NULL) return pmn_err_memory(err, values * sizeof *x, "a block of rows");
  run->phase_started = pmn_clock_seconds();
  if (fits) {
    PMN_TRY(take_rows(run, 0, run->counts.listed, x, err));
    goto done;
  }
  for (int64_t first = 0, end; first < run->counts.listed; first = end) {
    end = pmn_parts_border(run, first);
    PMN_TRY(pmn_parts_piece_begin(run, first, err));
    PMN_TRY(take_rows(run, first, end, x, err));
    PMN_TRY(pmn_parts_piece_end(run, end, err));
  }
done:
  pmn_free(x);
  return st;
}

/* The kept rows [first, first + n), by runs of neighbours; what pmn_rows wants. */
static pmn_status read_kept(void *arg, int64_t first, int32_t n, double *rows, pmn_err *err) {
  const pmn_run *run = arg;
  const int64_t *kept = run->rows + first;
  for (int32_t from = 0, to; from < n; from = to) {
    for (to = from + 1; to < n && kept[to] == kept[to - 1] + 1;) to++;
    pmn_status st = pmn_matrix_read(run->matrix, kept[from], to - from, rows + (size_t)from * (size_t)run->width, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return PMN_STATUS_OK;
}

static pmn_status take_steps(pmn_run *run, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_extract_options *o = run->options;
  PMN_TRY(check_numbers(run->reduce, err));
  PMN_TRY(pmn_run_check_format(run, err));
  PMN_TRY(open_matrix(run, run->reduce, err));
  if (o->statistics.projection != NULL) PMN_TRY(pmn_statistics_load(run, err));
  PMN_TRY(pmn_run_open_outputs(run, err));
  run->threads = o->threads > 0 ? o->threads : pmn_pool_processors();
  pmn_meter_init(&run->meter, 1);
  PMN_TRY(pmn_choose_device(run, err));
  bool fits = pmn_statistics_need_fit(&o->statistics);
  PMN_TRY(pmn_parts_begin(run, fits, err));
  PMN_TRY(pmn_statistics_open(run, run->counts.listed, err));
  PMN_TRY(open_rows(run, run->reduce, err));
  run->meter.stages[PMN_STAGE_START].busy_seconds = pmn_clock_seconds() - run->started;
  PMN_TRY(first_pass(run, fits, err));
  PMN_TRY(pmn_run_check_rows(run, err));
  if (run->moments == NULL) goto done;
  pmn_rows rows = {.count = run->counts.rows, .width = run->width, .arg = run, .read = read_kept};
  PMN_TRY(pmn_transform_fit(run, &rows, err));
  if (fits) PMN_TRY(pmn_transform_run(run, &rows, err));
done:
  return st;
}

pmn_status pmn_reduce(const pmn_reduce_options *options, pmn_summary **summary, pmn_err *err) {
  pmn_extract_options common = PMN_EXTRACT_OPTIONS_INIT;
  common.statistics = options->statistics;
  common.output = options->output;
  common.format = options->format;
  common.rejects = options->rejects;
  common.parts = options->parts;
  common.overwrite = options->overwrite;
  common.s3 = options->s3;
  common.backend = options->backend;
  common.device = options->device;
  common.threads = options->threads;
  common.stop_on_error = options->stop_on_error;
  common.max_rejects = options->max_rejects;
  common.on_progress = options->on_progress;
  common.on_message = options->on_message;
  common.callback_arg = options->callback_arg;
  common.stop = options->stop;
  pmn_run run = {.options = &common, .reduce = options};
  return pmn_run_execute(&run, take_steps, summary, err);
}
