/* cmd_predict.c - pomona predict: the class of every picture. */
#include "cli_model.h"

#include <stdio.h>

static const char help_head[] = "Usage: pomona predict SOURCE... --model MODEL -o OUT.csv [OPTION]...\n"
                                "Asks a model for the class of every picture and writes a table: path, label, class, "
                                "probability, and of words the\n"
                                "number of keypoints. The label is what the path says, and is not needed.\n\n"
                                "Example:\n"
                                "  pomona predict pictures/ --model fruit.model -o classes.csv\n\n";
static const char help_output[] =
    "Output:\n"
    "  -o, --output OUT.csv    appears only when it is whole\n"
    "      --rejects FILE      where to list pictures that cannot be read (default OUT.csv.rejects.csv)\n"
    "      --overwrite         replace OUT.csv if it is there\n\n";

static const struct option long_options[] = {
    CLI_MODEL_OPTIONS,
    {"output", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0},
};

static bool take(cli_pictures *pictures, int option, const char *name) {
  return cli_take_model("predict", option, name, pictures);
}

static bool check(const cli_pictures *pictures) {
  if (!cli_check_model("predict", pictures)) return false;
  if (pictures->rows.options.output != NULL) return true;
  return cli_usage("predict", "no output: name a .csv file with -o"), false;
}

static void help(void) {
  printf("%s%s%s%s%s%s%s", help_head, cli_model_help, cli_input_help, help_output, cli_s3_help, cli_running_help,
      cli_model_exit);
}

static int run(cli_pictures *pictures) {
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_classify_options options = cli_model_options(pictures);
  pictures->rows.report.from_model = true;
  pmn_status status = pmn_predict(&options, &summary, &err);
  return cli_rows_end(&pictures->rows, status, summary, &err);
}

int cmd_predict(int argc, char **argv) {
  static const cli_command command = {
      .name = "predict", .letters = CLI_ROWS_LETTERS, .options = long_options, take, check, help, run};
  cli_model arguments = {.model = NULL};
  return cli_pictures_run(&command, argc, argv, &arguments.pictures);
}
