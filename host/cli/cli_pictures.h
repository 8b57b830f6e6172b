/* cli_pictures.h - what the commands that look at pictures share: which pictures, and which features of them. */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include "cli_options.h"

enum {
  CLI_OPT_INCLUDE = 512, /* above every command's own, below those of cli_options.h */
  CLI_OPT_LABEL_LEVEL,
  CLI_OPT_LABEL_REGEX,
  CLI_OPT_LIMIT,
  CLI_OPT_BATCH,
  CLI_OPT_WEIGHTS,
  CLI_OPT_FEATURES,
  CLI_OPT_LAYER,
  CLI_OPT_POOL,
  CLI_OPT_SIZE,
  CLI_OPT_PREPROCESS,
  CLI_OPT_RESIZE,
  CLI_OPT_PRECISION,
  CLI_OPT_GRAY,
  CLI_OPT_WORDS,
  CLI_OPT_VOCABULARY,
  CLI_OPT_KEYPOINTS,
  CLI_OPT_WEIGHTING,
  CLI_OPT_NORM,
  CLI_OPT_START,
  CLI_OPT_MINI_BATCH,
  CLI_OPT_SEED,
};

/* clang-format off */
#define CLI_INPUT_OPTIONS                                                                                              \
  {"include", required_argument, NULL, CLI_OPT_INCLUDE},                                                               \
  {"label-level", required_argument, NULL, CLI_OPT_LABEL_LEVEL},                                                       \
  {"label-regex", required_argument, NULL, CLI_OPT_LABEL_REGEX},                                                       \
  {"limit", required_argument, NULL, CLI_OPT_LIMIT},                                                                   \
  {"batch", required_argument, NULL, CLI_OPT_BATCH},                                                                   \
  {"weights", required_argument, NULL, CLI_OPT_WEIGHTS}
#define CLI_FEATURES_OPTIONS                                                                                           \
  {"features", required_argument, NULL, CLI_OPT_FEATURES},                                                             \
  {"layer", required_argument, NULL, CLI_OPT_LAYER},                                                                   \
  {"pool", required_argument, NULL, CLI_OPT_POOL},                                                                     \
  {"size", required_argument, NULL, CLI_OPT_SIZE},                                                                     \
  {"preprocess", required_argument, NULL, CLI_OPT_PREPROCESS},                                                         \
  {"resize", required_argument, NULL, CLI_OPT_RESIZE},                                                                 \
  {"precision", required_argument, NULL, CLI_OPT_PRECISION},                                                           \
  {"gray", no_argument, NULL, CLI_OPT_GRAY},                                                                           \
  {"words", required_argument, NULL, CLI_OPT_WORDS},                                                                   \
  {"vocabulary", required_argument, NULL, CLI_OPT_VOCABULARY},                                                         \
  {"keypoints", required_argument, NULL, CLI_OPT_KEYPOINTS},                                                           \
  {"weighting", required_argument, NULL, CLI_OPT_WEIGHTING},                                                           \
  {"norm", required_argument, NULL, CLI_OPT_NORM},                                                                     \
  {"start", required_argument, NULL, CLI_OPT_START},                                                                   \
  {"mini-batch", required_argument, NULL, CLI_OPT_MINI_BATCH},                                                         \
  {"seed", required_argument, NULL, CLI_OPT_SEED}
/* clang-format on */

extern const char cli_input_help[];    /* of CLI_INPUT_OPTIONS but --batch and --weights */
extern const char cli_features_help[]; /* of CLI_FEATURES_OPTIONS and --weights; more lines may follow */
extern const char cli_running_help[];  /* of --batch and CLI_RUN_OPTIONS but those of outputs and buckets */

typedef struct cli_pictures {
  cli_rows rows;
  const char **includes, **layers; /* what rows.options points to */
} cli_pictures;

/* Takes one of these options, or of cli_options.h; false after saying what is wrong. */
bool cli_take_pictures(const char *command, int option, const char *name, cli_pictures *pictures);

/* A command over pictures: what its options are, and what it does when they are right. */
typedef struct cli_command {
  const char *name, *letters;
  const struct option *options;
  bool (*take)(cli_pictures *pictures, int option, const char *name); /* as cli_take_pictures */
  bool (*check)(const cli_pictures *pictures);                        /* says what is missing; or NULL */
  void (*help)(void);
  int (*run)(cli_pictures *pictures); /* its exit code */
} cli_command;

/* `options`, of the right version, are those that the command starts from and is run with. */
int cli_pictures_run(const cli_command *command, int argc, char **argv, cli_pictures *pictures);

#endif
