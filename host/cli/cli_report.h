/* cli_report.h - what a run says on standard error: messages, progress, and the summary at its end. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "pomona.h"

typedef enum cli_progress { CLI_PROGRESS_AUTO, CLI_PROGRESS_PLAIN, CLI_PROGRESS_JSON, CLI_PROGRESS_NONE } cli_progress;

typedef struct cli_report {
  int level; /* highest pmn_level shown; -1: errors only */
  cli_progress progress;
  bool of_rows; /* what is counted are rows of a matrix, not pictures */
  /* Rows become a model, or what a model says: the output is no table of them. Of a model's own fit nothing is told. */
  bool to_model, from_model;
  /* private */
  bool terminal, line_open;
  double last_line;
} cli_report;

void cli_report_start(cli_report *report);
/* The callbacks of pmn_extract_options; arg is the report. */
void cli_report_progress(void *report, const pmn_progress *progress);
void cli_report_message(void *report, pmn_level level, const char *text);
/* Leaves the terminal on a fresh line. */
void cli_report_end(cli_report *report);
/* output: NULL where there is none */
void cli_report_summary(const cli_report *report, const pmn_summary *summary, const char *output);

#endif
