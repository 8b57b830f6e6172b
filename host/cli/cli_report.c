/* cli_report.c - see cli_report.h. One line that is rewritten on a terminal; elsewhere a line every ten seconds. */
#include "cli_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void cli_report_start(cli_report *report) {
  const char *terminal = getenv("TERM");
  report->terminal = isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
  if (report->level < 0 && report->progress == CLI_PROGRESS_AUTO) report->progress = CLI_PROGRESS_NONE;
  report->last_line = seconds_now();
}

static void print_left(double seconds) {
  long left = (long)(seconds + 0.5);
  if (seconds < 0) return;
  if (left >= 3600)
    fprintf(stderr, ", %ld h %02ld min left", left / 3600, left / 60 % 60);
  else if (left >= 60)
    fprintf(stderr, ", %ld min %02ld s left", left / 60, left % 60);
  else
    fprintf(stderr, ", %ld s left", left);
}

static void print_line(const cli_report *report, const pmn_progress *p) {
  if (p->total == 0) {
    fprintf(stderr, "%s ...", p->phase);
    return;
  }
  fprintf(stderr, "%s: %lld/%lld, %.0f %s/s", p->phase, (long long)p->done, (long long)p->total, p->images_per_second,
      report->of_rows ? "rows" : "images");
  if (p->rejects > 0) fprintf(stderr, ", %lld rejected", (long long)p->rejects);
  if (p->done < p->total) print_left(p->seconds_left);
}

void cli_report_progress(void *arg, const pmn_progress *p) {
  cli_report *report = arg;
  double now = seconds_now();
  bool last = p->done == p->total;
  if (report->progress == CLI_PROGRESS_NONE) return;
  if (report->progress == CLI_PROGRESS_JSON) {
    fprintf(stderr,
        "{\"phase\": \"%s\", \"done\": %lld, \"total\": %lld, \"rejects\": %lld, \"images_per_second\": %.1f, "
        "\"seconds_left\": %.1f}\n",
        p->phase, (long long)p->done, (long long)p->total, (long long)p->rejects, p->images_per_second,
        p->seconds_left);
    return;
  }
  if (report->progress == CLI_PROGRESS_AUTO && report->terminal) {
    fputs("\r\033[K", stderr);
    print_line(report, p);
    fflush(stderr);
    report->line_open = true;
    return;
  }
  if (!last && now - report->last_line < 10) return;
  report->last_line = now;
  print_line(report, p);
  fputc('\n', stderr);
}

void cli_report_message(void *arg, pmn_level level, const char *text) {
  cli_report *report = arg;
  if ((int)level > report->level) return;
  cli_report_end(report);
  fprintf(stderr, "pomona: %s%s\n", level == PMN_LEVEL_WARNING ? "warning: " : "", text);
}

void cli_report_end(cli_report *report) {
  if (report->line_open) fputs("\r\033[K", stderr);
  report->line_open = false;
}

static void print_explained(const pmn_summary *summary) {
  int32_t count = 0;
  double sum = 0;
  const double *ratios = pmn_summary_explained(summary, &count);
  if (count == 0) return;
  for (int32_t i = 0; i < count; i++) sum += ratios[i];
  fprintf(stderr, "explained variance: %.4f in %d components, one by one:", sum, count);
  for (int32_t i = 0; i < count; i++) fprintf(stderr, "%s%.4f", i % 12 == 0 ? "\n  " : " ", ratios[i]);
  fputc('\n', stderr);
}

void cli_report_summary(const cli_report *report, const pmn_summary *summary, const char *output) {
  pmn_counts counts = pmn_summary_counts(summary);
  double seconds = pmn_summary_seconds(summary);
  int32_t stage_count = 0;
  const pmn_stage *stages = pmn_summary_stages(summary, &stage_count);
  if (report->level < 0) return;
  if (!report->from_model) print_explained(summary);
  if (report->to_model || report->from_model) output = NULL;
  fprintf(stderr, "stages:");
  const char *before = " ";
  for (int32_t i = 0; i < stage_count; i++) {
    if (stages[i].busy_seconds == 0) continue;
    fprintf(stderr, "%s%s %.2f s", before, stages[i].name, stages[i].busy_seconds);
    const char *lanes = strcmp(stages[i].name, "network") == 0 ? "devices" : "threads";
    if (stages[i].lanes > 1) fprintf(stderr, " on %d %s", stages[i].lanes, lanes);
    before = ", ";
  }
  fprintf(stderr, "\nbound by: %s\n", pmn_summary_bound(summary));
  const char *what = report->of_rows ? "rows" : "pictures";
  fprintf(stderr, "%lld %s: ", (long long)counts.listed, what);
  if (counts.width > 0)
    fprintf(stderr, "%lld rows of %lld columns", (long long)counts.rows, (long long)counts.width);
  else
    fprintf(stderr, "%lld keypoints", (long long)counts.keypoints);
  fprintf(stderr, "%s%s, %lld rejected; ", output != NULL ? " in " : "", output != NULL ? output : "",
      (long long)counts.rejects);
  if (counts.restored > 0) fprintf(stderr, "%lld of them were done before; ", (long long)counts.restored);
  fprintf(stderr, "%.2f s, %.0f %s/s\n", seconds, seconds > 0 ? (double)(counts.listed - counts.restored) / seconds : 0,
      report->of_rows ? "rows" : "images");
  if (counts.blank > 0) {
    fprintf(stderr, "%lld pictures have no keypoint%s%s\n", (long long)counts.blank,
        counts.width > 0 ? ": their words are all 0" : "", output != NULL ? ", and the run record names them" : "");
  }
  const char *rejects = pmn_summary_rejects_path(summary);
  if (rejects != NULL) fprintf(stderr, "rejected %s and reasons: %s\n", what, rejects);
}
