/* cli_model.c - see cli_model.h. */
#include "cli_model.h"

const char cli_model_help[] =
    "Model:\n"
    "      --model FILE        what pomona train has written\n"
    "      --weights FILE      where the network's weights, or the .onnx file, are now; others than those that it was\n"
    "                          trained with are refused\n\n";
const char cli_model_exit[] =
    "Exit code: 0 every picture has a class; 1 the same but for some pictures rejected; 2 usage; 3 input missing,\n"
    "too many rejects or not one row; 4 output exists or cannot be written; 5 network or keys; 6 device or memory;\n"
    "7 bad model or weights; 129, 130, 143 interrupted.\n";

bool cli_take_model(const char *command, int option, const char *name, cli_pictures *pictures) {
  if (option != CLI_OPT_MODEL) return cli_take_pictures(command, option, name, pictures);
  ((cli_model *)pictures)->model = optarg;
  return true;
}

bool cli_check_model(const char *command, const cli_pictures *pictures) {
  if (((const cli_model *)pictures)->model != NULL) return true;
  return cli_usage(command, "no model: name a file of pomona train with --model"), false;
}

pmn_classify_options cli_model_options(const cli_pictures *pictures) {
  pmn_classify_options options = PMN_CLASSIFY_OPTIONS_INIT;
  options.model = ((const cli_model *)pictures)->model;
  options.rows = pictures->rows.options;
  return options;
}
