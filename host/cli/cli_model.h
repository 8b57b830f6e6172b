/* cli_model.h - what the commands that ask a model about pictures share: evaluate and predict. */
#ifndef CLI_MODEL_H
#define CLI_MODEL_H

#include "cli_pictures.h"

enum { CLI_OPT_MODEL = 256 };

/* clang-format off */
#define CLI_MODEL_OPTIONS                                                                                              \
  CLI_INPUT_OPTIONS,                                                                                                   \
  CLI_RUN_OPTIONS,                                                                                                     \
  {"model", required_argument, NULL, CLI_OPT_MODEL}
/* clang-format on */

extern const char cli_model_help[]; /* of --model, --weights and the input */
extern const char cli_model_exit[]; /* codes */

typedef struct cli_model {
  cli_pictures pictures; /* first: a cli_command's calls are given this */
  const char *model;
} cli_model;

/* As cli_take_pictures, `pictures` being those of a cli_model. */
bool cli_take_model(const char *command, int option, const char *name, cli_pictures *pictures);
/* Says that no model is named; false then. */
bool cli_check_model(const char *command, const cli_pictures *pictures);
pmn_classify_options cli_model_options(const cli_pictures *pictures);

#endif
