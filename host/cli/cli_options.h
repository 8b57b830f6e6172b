/* cli_options.h - options that several commands take, and how their words and numbers are read. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"
#include "cli_report.h"

/* Each says what is wrong and returns false, or -1. `command` and `name` are for that. */
bool cli_number(const char *command, const char *name, const char *text, int64_t min, int64_t max, int64_t *value);
bool cli_number32(const char *command, const char *name, const char *text, int32_t min, int32_t max, int32_t *value);
/* Index of `text` among `words`. */
int cli_choice(const char *command, const char *name, const char *text, const char *const *words, int count);

/* --------------------------------------------------------------------------------------------------- options -- */

enum {
  CLI_OPT_STANDARDIZE = 1024, /* above every command's own */
  CLI_OPT_PCA,
  CLI_OPT_COMPAT,
  CLI_OPT_PROJECTION,
  CLI_OPT_SAVE_PROJECTION,
  CLI_OPT_SAVE_MOMENTS,
  CLI_OPT_MEMORY,
  CLI_OPT_FORMAT,
  CLI_OPT_REJECTS,
  CLI_OPT_PARTS,
  CLI_OPT_OVERWRITE,
  CLI_OPT_REGION,
  CLI_OPT_ENDPOINT_URL,
  CLI_OPT_PROFILE,
  CLI_OPT_NO_SIGN_REQUEST,
  CLI_OPT_BACKEND,
  CLI_OPT_DEVICE,
  CLI_OPT_THREADS,
  CLI_OPT_ON_ERROR,
  CLI_OPT_MAX_REJECTS,
  CLI_OPT_PROGRESS,
  CLI_OPT_JSON,
};

/* In pieces, for commands that take some of them. */
/* clang-format off */
#define CLI_COLUMNS_OPTIONS                                                                                            \
  {"standardize", optional_argument, NULL, CLI_OPT_STANDARDIZE},                                                       \
  {"pca", required_argument, NULL, CLI_OPT_PCA},                                                                       \
  {"compat", required_argument, NULL, CLI_OPT_COMPAT},                                                                 \
  {"memory", required_argument, NULL, CLI_OPT_MEMORY}
#define CLI_FIT_OPTIONS                                                                                                \
  CLI_COLUMNS_OPTIONS,                                                                                                 \
  {"save-projection", required_argument, NULL, CLI_OPT_SAVE_PROJECTION},                                               \
  {"save-moments", required_argument, NULL, CLI_OPT_SAVE_MOMENTS}
#define CLI_STATISTICS_OPTIONS                                                                                         \
  CLI_FIT_OPTIONS,                                                                                                     \
  {"projection", required_argument, NULL, CLI_OPT_PROJECTION}
#define CLI_S3_OPTIONS                                                                                                 \
  {"region", required_argument, NULL, CLI_OPT_REGION},                                                                 \
  {"endpoint-url", required_argument, NULL, CLI_OPT_ENDPOINT_URL},                                                     \
  {"profile", required_argument, NULL, CLI_OPT_PROFILE},                                                               \
  {"no-sign-request", no_argument, NULL, CLI_OPT_NO_SIGN_REQUEST}
#define CLI_RUN_OPTIONS                                                                                                \
  CLI_S3_OPTIONS,                                                                                                      \
  {"rejects", required_argument, NULL, CLI_OPT_REJECTS},                                                               \
  {"overwrite", no_argument, NULL, CLI_OPT_OVERWRITE},                                                                 \
  {"backend", required_argument, NULL, CLI_OPT_BACKEND},                                                               \
  {"device", required_argument, NULL, CLI_OPT_DEVICE},                                                                 \
  {"threads", required_argument, NULL, CLI_OPT_THREADS},                                                               \
  {"on-error", required_argument, NULL, CLI_OPT_ON_ERROR},                                                             \
  {"max-rejects", required_argument, NULL, CLI_OPT_MAX_REJECTS},                                                       \
  {"progress", required_argument, NULL, CLI_OPT_PROGRESS},                                                             \
  {"json", no_argument, NULL, CLI_OPT_JSON},                                                                           \
  {"quiet", no_argument, NULL, 'q'},                                                                                   \
  {"verbose", no_argument, NULL, 'v'},                                                                                 \
  {"help", no_argument, NULL, 'h'}
#define CLI_ROWS_OPTIONS                                                                                               \
  CLI_STATISTICS_OPTIONS,                                                                                              \
  CLI_RUN_OPTIONS,                                                                                                     \
  {"output", required_argument, NULL, 'o'},                                                                            \
  {"format", required_argument, NULL, CLI_OPT_FORMAT},                                                                 \
  {"parts", required_argument, NULL, CLI_OPT_PARTS}
/* clang-format on */

extern const char cli_columns_help[];    /* of CLI_COLUMNS_OPTIONS */
extern const char cli_fit_help[];        /* of CLI_FIT_OPTIONS */
extern const char cli_statistics_help[]; /* of CLI_STATISTICS_OPTIONS */
extern const char cli_s3_help[];         /* of CLI_S3_OPTIONS */

/* Takes one of these options with its optarg; false for any other, and after saying what is wrong. */
bool cli_take_statistics(const char *command, int option, const char *name, pmn_statistics *statistics);

/* The same for CLI_S3_OPTIONS, which cannot be wrong. */
bool cli_take_s3(int option, pmn_s3_access *access);

/* ------------------------------------------------------------------------------------------------------ rows -- */

#define CLI_RUN_LETTERS ":qvh"    /* of CLI_RUN_OPTIONS, for getopt_long */
#define CLI_ROWS_LETTERS ":o:qvh" /* of CLI_ROWS_OPTIONS */

/* A command that writes rows. pmn_reduce's options are a part of pmn_extract's, by the same names. */
typedef struct cli_rows {
  pmn_extract_options options; /* PMN_EXTRACT_OPTIONS_INIT */
  int32_t more_devices[15];    /* what they point to */
  cli_report report;
  bool json, help;
} cli_rows;

/* As cli_take_statistics, for CLI_ROWS_OPTIONS. */
bool cli_take_rows(const char *command, int option, const char *name, cli_rows *rows);
/* Before the run: its callbacks and its flag to stop go to the options. */
void cli_rows_start(cli_rows *rows);
/* After it: says how it went and destroys the summary; the command's exit code. */
int cli_rows_end(cli_rows *rows, pmn_status status, pmn_summary *summary, const pmn_err *err);

#endif
