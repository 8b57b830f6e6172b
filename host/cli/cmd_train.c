/* cmd_train.c - pomona train: a model of labelled pictures. */
#include "cli_pictures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help_head[] =
    "Usage: pomona train SOURCE... -o MODEL [OPTION]...\n"
    "Computes features of labelled pictures, as pomona extract does, and trains a multilayer perceptron on them. "
    "MODEL\n"
    "is one file with all that pomona evaluate and pomona predict need, but a network's weights.\n\n"
    "SOURCE is what pomona extract takes. Every picture needs a label: the folder's name, unless the options below "
    "say\n"
    "otherwise.\n\n"
    "Examples:\n"
    "  pomona train Training/ -o fruit.model --standardize --pca 100\n"
    "  pomona train Training/ -o fruit.model --features sift --words 30 --pca 21 --hidden 21,21\n\n";
static const char help_train[] =
    "\nPerceptron:\n"
    "      --hidden N[,N]...   widths of the hidden layers, or none (default: one of 100)\n"
    "      --activation NAME   of hidden layers: sigmoid (default) or relu\n"
    "      --solver NAME       lbfgs (default), over all rows, or adam, over 200 at a time\n"
    "      --iterations N      at most; of adam, times through all rows (default 100)\n"
    "      --penalty X         on the squares of the weights, L2 (default 0)\n"
    "      --held-out SHARE    share of each label's rows that is not trained but tells when to end (default 0.1);\n"
    "                          0: none\n"
    "      --patience N        end after N iterations in which their loss has not fallen (default 10)\n\n";
static const char help_output[] =
    "Output:\n"
    "  -o, --output MODEL      the model's file; appears only when it is whole\n"
    "      --rejects FILE      where to list pictures that cannot be read (default MODEL.rejects.csv)\n"
    "      --overwrite         replace MODEL if it is there\n"
    "      --spool DIR         where rows wait on the disk (default: the folder of MODEL)\n\n";
static const char help_exit[] =
    "Exit code: 0 every picture is learnt from; 1 written, some pictures rejected; 2 usage; 3 input missing,\n"
    "too many rejects or not one row; 4 output exists or cannot be written; 5 network or keys; 6 device or memory;\n"
    "7 bad vocabulary or weights; 129, 130, 143 interrupted.\n";

enum {
  OPT_HIDDEN = 256,
  OPT_ACTIVATION,
  OPT_SOLVER,
  OPT_ITERATIONS,
  OPT_PENALTY,
  OPT_HELD_OUT,
  OPT_PATIENCE,
  OPT_SPOOL,
  LAYERS_MAX = 16,
};

static const struct option long_options[] = {
    CLI_INPUT_OPTIONS,
    CLI_FEATURES_OPTIONS,
    CLI_COLUMNS_OPTIONS,
    CLI_RUN_OPTIONS,
    {"output", required_argument, NULL, 'o'},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"hidden", required_argument, NULL, OPT_HIDDEN},
    {"activation", required_argument, NULL, OPT_ACTIVATION},
    {"solver", required_argument, NULL, OPT_SOLVER},
    {"iterations", required_argument, NULL, OPT_ITERATIONS},
    {"penalty", required_argument, NULL, OPT_PENALTY},
    {"held-out", required_argument, NULL, OPT_HELD_OUT},
    {"patience", required_argument, NULL, OPT_PATIENCE},
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  cli_pictures pictures; /* first: the calls below are given this */
  pmn_train_options train;
  int32_t hidden[LAYERS_MAX];
} arguments;

/* "21,21", or "none". */
static bool take_hidden(arguments *a, const char *text) {
  a->train.hidden = a->hidden;
  a->train.hidden_count = 0;
  if (strcmp(text, "none") == 0) return true;
  for (const char *p = text; a->train.hidden_count < LAYERS_MAX;) {
    char *end;
    long width = strtol(p, &end, 10);
    if (*p < '1' || *p > '9' || width > 1000000 || (*end != ',' && *end != '\0')) break;
    a->hidden[a->train.hidden_count++] = (int32_t)width;
    if (*end == '\0') return true;
    p = end + 1;
  }
  cli_usage("train", "--hidden %s: neither none nor widths like 100 or 21,21, of %d layers at most", text, LAYERS_MAX);
  return false;
}

/* From 0, and below `limit`. */
static bool take_real(const char *name, const char *text, double limit, double *value) {
  char *end;
  *value = strtod(text, &end);
  if (end != text && *end == '\0' && *value >= 0 && *value < limit) return true;
  if (isinf(limit))
    cli_usage("train", "--%s %s: not a number from 0", name, text);
  else
    cli_usage("train", "--%s %s: not a number from 0 and below %g", name, text, limit);
  return false;
}

static bool take(cli_pictures *pictures, int option, const char *name) {
  static const char *const activations[] = {"sigmoid", "relu"}, *const solvers[] = {"lbfgs", "adam"};
  arguments *a = (arguments *)pictures;
  int word;
  switch (option) {
  case OPT_HIDDEN:
    return take_hidden(a, optarg);
  case OPT_ACTIVATION:
    word = cli_choice("train", name, optarg, activations, 2);
    if (word >= 0) a->train.activation = activations[word];
    return word >= 0;
  case OPT_SOLVER:
    word = cli_choice("train", name, optarg, solvers, 2);
    if (word >= 0) a->train.solver = solvers[word];
    return word >= 0;
  case OPT_ITERATIONS:
    return cli_number32("train", name, optarg, 1, 1000000, &a->train.iterations);
  case OPT_PATIENCE:
    return cli_number32("train", name, optarg, 1, 1000000, &a->train.patience);
  case OPT_PENALTY:
    return take_real(name, optarg, INFINITY, &a->train.penalty);
  case OPT_HELD_OUT:
    return take_real(name, optarg, 1, &a->train.held_out);
  case OPT_SPOOL:
    pictures->rows.options.statistics.spool = optarg;
    return true;
  default:
    return cli_take_pictures("train", option, name, pictures);
  }
}

static bool check(const cli_pictures *pictures) {
  if (pictures->rows.options.output != NULL) return true;
  return cli_usage("train", "no output: name a file for the model with -o"), false;
}

static void help(void) {
  printf("%s%s%s\n%s%s%s%s%s%s", help_head, cli_input_help, cli_features_help, cli_columns_help, help_train,
      help_output, cli_s3_help, cli_running_help, help_exit);
}

static int run(cli_pictures *pictures) {
  arguments *a = (arguments *)pictures;
  pmn_summary *summary = NULL;
  pmn_training made;
  pmn_err err = PMN_ERR_INIT;
  a->train.rows = pictures->rows.options;
  pictures->rows.report.to_model = true;
  pmn_status status = pmn_train(&a->train, &made, &summary, &err);
  int code = cli_rows_end(&pictures->rows, status, summary, &err);
  if (status != PMN_STATUS_OK || pictures->rows.report.level < 0) return code;
  fprintf(stderr, "%d labels; %lld rows trained in %d iterations, loss %.4f", made.classes, (long long)made.rows,
      made.iterations, made.loss);
  if (made.held_out_rows > 0)
    fprintf(stderr, "; %lld rows held out, loss %.4f", (long long)made.held_out_rows, made.held_out_loss);
  fputc('\n', stderr);
  return code;
}

int cmd_train(int argc, char **argv) {
  static const cli_command command = {
      .name = "train", .letters = CLI_ROWS_LETTERS, .options = long_options, take, check, help, run};
  const pmn_train_options defaults = PMN_TRAIN_OPTIONS_INIT;
  arguments a = {.train = defaults};
  return cli_pictures_run(&command, argc, argv, &a.pictures);
}
