/* pmn_run.c - what the steps of a run share; see pmn_run.h. */
#include "pmn_run.h"

#include "pmn_clock.h"

#include <stdarg.h>
#include <stdio.h>

const char *pmn_version(void) {
  return PMN_VERSION;
}

bool pmn_run_needs_fit(const pmn_run *run) {
  const pmn_extract_options *o = run->options;
  return o->standardize || o->pca_components > 0 || o->pca_ratio > 0;
}

pmn_status pmn_run_check_stop(const pmn_run *run, pmn_err *err) {
  if (run->options->stop == NULL || *run->options->stop == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted; nothing was written");
}

void pmn_run_message(const pmn_run *run, pmn_level level, const char *format, ...) {
  char text[1024];
  va_list args;
  if (run->options->on_message == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  run->options->on_message(run->options->callback_arg, level, text);
}

void pmn_run_progress(pmn_run *run, const char *phase, int64_t done, int64_t total, double phase_started) {
  double now = pmn_clock_seconds(), seconds = now - phase_started;
  if (run->options->on_progress == NULL || (now - run->progress_last < 0.1 && done < total)) return;
  run->progress_last = now;
  pmn_progress progress = {
      .done = done, .total = total, .rejects = run->counts.rejects, .phase = phase, .seconds_left = -1};
  if (seconds > 0) progress.images_per_second = (double)done / seconds;
  if (done > 0) progress.seconds_left = (double)(total - done) * seconds / (double)done;
  run->options->on_progress(run->options->callback_arg, &progress);
}

pmn_status pmn_run_open_sink(pmn_run *run, int32_t width, pmn_err *err) {
  pmn_sink_options options = {
      .path = run->options->output, .format = run->format, .width = width, .overwrite = run->options->overwrite};
  return pmn_sink_create(&options, &run->sink, err);
}
