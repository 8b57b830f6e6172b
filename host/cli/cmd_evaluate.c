/* cmd_evaluate.c - pomona evaluate: how often a model is right. The numbers go to standard output. */
#include "cli_model.h"

#include <math.h>
#include <stdio.h>

static const char help_head[] = "Usage: pomona evaluate SOURCE... --model MODEL [OPTION]...\n"
                                "Asks a model for the class of every picture and holds it against the label. Prints "
                                "accuracy, precision and recall\n"
                                "of every label and, of up to 20 labels, the confusion matrix. Pictures with labels "
                                "that the training did not know\n"
                                "are counted apart.\n\n"
                                "Example:\n"
                                "  pomona evaluate Test/ --model fruit.model --csv scores.csv\n\n";
static const char help_output[] =
    "Output:\n"
    "      --csv FILE          write all of it there: measure,label,class,value; measure is accuracy; pictures, "
    "precision\n"
    "                          or recall of a label; blank: those of its pictures without a keypoint, where words are\n"
    "                          counted; confusion: pictures of a label that were taken for a class; unseen: pictures "
    "of a\n"
    "                          label that the training did not know\n"
    "      --rejects FILE      where to list pictures that cannot be read (default FILE.rejects.csv of --csv; without\n"
    "                          that they are only counted)\n"
    "      --overwrite         replace FILE if it is there\n\n";

enum { OPT_CSV = CLI_OPT_MODEL + 1, SHOWN = 20 /* labels of a matrix, and others, on a terminal */ };

static const struct option long_options[] = {
    CLI_MODEL_OPTIONS,
    {"csv", required_argument, NULL, OPT_CSV},
    {NULL, 0, NULL, 0},
};

static bool take(cli_pictures *pictures, int option, const char *name) {
  if (option != OPT_CSV) return cli_take_model("evaluate", option, name, pictures);
  pictures->rows.options.output = optarg;
  return true;
}

static bool check(const cli_pictures *pictures) {
  return cli_check_model("evaluate", pictures);
}

static void help(void) {
  printf("%s%s%s%s%s%s%s", help_head, cli_model_help, cli_input_help, help_output, cli_s3_help, cli_running_help,
      cli_model_exit);
}

/* A label at the end of a line, which it cannot steer. */
static void print_label(const char *label) {
  printf("  %s", label[0] == '\0' ? "(no label)" : "");
  for (; *label != '\0'; label++) putchar((unsigned char)*label < 0x20 || *label == 0x7f ? '?' : *label);
  putchar('\n');
}

static void print_share(double share) {
  if (isnan(share))
    printf("%9s", "-");
  else
    printf("%9.4f", share);
}

static void print_matrix(const pmn_class_scores *classes, int32_t count, const int64_t *confusion) {
  int width = 1;
  if (count > SHOWN) {
    printf("\nThe confusion matrix of %d labels is too wide for a terminal: --csv FILE writes it.\n", count);
    return;
  }
  for (int32_t i = 0; i < count * count; i++) {
    int digits = snprintf(NULL, 0, "%lld", (long long)confusion[i]);
    if (digits > width) width = digits;
  }
  printf("\nconfusion matrix: a line for each label, a column for each prediction, in the same order\n");
  for (int32_t row = 0; row < count; row++) {
    for (int32_t i = 0; i < count; i++) printf("%*lld", width + 1, (long long)confusion[row * count + i]);
    print_label(classes[row].label);
  }
}

static void print_unseen(const pmn_evaluation *evaluation) {
  int32_t count;
  const pmn_class_scores *unseen = pmn_evaluation_unseen(evaluation, &count);
  if (count == 0) return;
  printf("\n%lld pictures are in none of these numbers: the training did not know their labels\n",
      (long long)pmn_evaluation_get(evaluation).unseen_rows);
  for (int32_t i = 0; i < count && i < SHOWN; i++) {
    printf("%9lld", (long long)unseen[i].rows);
    print_label(unseen[i].label);
  }
  if (count > SHOWN) printf("and %d labels more\n", count - SHOWN);
}

static void print_evaluation(const pmn_evaluation *evaluation) {
  int32_t count;
  pmn_evaluation_totals totals = pmn_evaluation_get(evaluation);
  const pmn_class_scores *classes = pmn_evaluation_classes(evaluation, &count);
  printf("accuracy");
  print_share(totals.accuracy);
  printf(": %lld of %lld pictures\n", (long long)totals.correct, (long long)totals.rows);
  if (totals.blank_rows > 0) {
    printf("%lld of these pictures have no keypoint: the model was asked with words that are all 0\n",
        (long long)totals.blank_rows);
  }
  printf("\n pictures precision   recall  label\n");
  for (int32_t i = 0; i < count; i++) {
    printf("%9lld ", (long long)classes[i].rows);
    print_share(classes[i].precision);
    print_share(classes[i].recall);
    print_label(classes[i].label);
  }
  print_matrix(classes, count, pmn_evaluation_confusion(evaluation));
  print_unseen(evaluation);
}

static int run(cli_pictures *pictures) {
  pmn_summary *summary = NULL;
  pmn_evaluation *evaluation = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_classify_options options = cli_model_options(pictures);
  pictures->rows.report.from_model = true;
  pmn_status status = pmn_evaluate(&options, &evaluation, &summary, &err);
  int code = cli_rows_end(&pictures->rows, status, summary, &err);
  if (status == PMN_STATUS_OK && !pictures->rows.json) print_evaluation(evaluation);
  pmn_evaluation_destroy(evaluation);
  return code;
}

int cmd_evaluate(int argc, char **argv) {
  static const cli_command command = {
      .name = "evaluate", .letters = CLI_RUN_LETTERS, .options = long_options, take, check, help, run};
  cli_model arguments = {.model = NULL};
  return cli_pictures_run(&command, argc, argv, &arguments.pictures);
}
