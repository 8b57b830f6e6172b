/* cli_options.h - options that several commands take, and how their words and numbers are read. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "cli.h"

/* Each says what is wrong and returns false, or -1. `command` and `name` are for that. */
bool cli_number(const char *command, const char *name, const char *text, int64_t min, int64_t max, int64_t *value);
bool cli_number32(const char *command, const char *name, const char *text, int32_t min, int32_t max, int32_t *value);
/* Index of `text` among `words`. */
int cli_choice(const char *command, const char *name, const char *text, const char *const *words, int count);

/* ------------------------------------------------------------------------------------------------ statistics -- */

enum {
  CLI_OPT_STANDARDIZE = 1024, /* above every command's own */
  CLI_OPT_PCA,
  CLI_OPT_COMPAT,
  CLI_OPT_PROJECTION,
  CLI_OPT_SAVE_PROJECTION,
  CLI_OPT_SAVE_MOMENTS,
  CLI_OPT_MEMORY,
  CLI_OPT_SPOOL,
};

/* What fits, for every command; then what only those with rows have. */
/* clang-format off */
#define CLI_FIT_OPTIONS                                                                                                \
  {"standardize", optional_argument, NULL, CLI_OPT_STANDARDIZE},                                                       \
  {"pca", required_argument, NULL, CLI_OPT_PCA},                                                                       \
  {"compat", required_argument, NULL, CLI_OPT_COMPAT},                                                                 \
  {"save-projection", required_argument, NULL, CLI_OPT_SAVE_PROJECTION},                                               \
  {"save-moments", required_argument, NULL, CLI_OPT_SAVE_MOMENTS}
#define CLI_STATISTICS_OPTIONS                                                                                         \
  CLI_FIT_OPTIONS,                                                                                                     \
  {"projection", required_argument, NULL, CLI_OPT_PROJECTION},                                                         \
  {"memory", required_argument, NULL, CLI_OPT_MEMORY},                                                                 \
  {"spool", required_argument, NULL, CLI_OPT_SPOOL}
/* clang-format on */

extern const char cli_fit_help[];        /* of CLI_FIT_OPTIONS */
extern const char cli_statistics_help[]; /* of CLI_STATISTICS_OPTIONS */

/* Takes one of these options with its optarg; false for any other, and after saying what is wrong. */
bool cli_take_statistics(const char *command, int option, const char *name, pmn_statistics *statistics);

#endif
