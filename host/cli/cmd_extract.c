/* cmd_extract.c - pomona extract: options in, summary out. */
#include "cli_pictures.h"

#include <stdio.h>

static const char help_head[] =
    "Usage: pomona extract SOURCE... -o OUT [OPTION]...\n"
    "Computes features of every picture (JPEG, PNG, WebP) and writes one table: path, label, features.\n"
    "Words of sift and orb have the number of keypoints before them, 0 for a picture without any.\n\n"
    "SOURCE is a folder (walked recursively), a file, s3://BUCKET/PREFIX, @LIST (a file of names, one a line or\n"
    "NUL-separated) or - (such a list on standard input). Rows come in byte-wise order of their paths. The label is\n"
    "the folder's name.\n\n"
    "Examples:\n"
    "  pomona extract pictures/ -o features.parquet\n"
    "  pomona extract Training/ -o features.csv --standardize --pca 100\n"
    "  find . -name '*.png' -print0 | pomona extract - -o features.npy --pca 0.95\n"
    "  pomona extract s3://fruit/Test/ -o s3://fruit/Results/ --standardize --pca 100 --resume\n\n";
static const char help_save[] =
    "      --save-vocabulary FILE\n"
    "                          keep the words that were learnt\n"
    "      --save-keypoints FILE\n"
    "                          a .csv, .parquet or .npy table of every keypoint: x, y, size, angle, response, octave,\n"
    "                          descriptor; without -o it is all that is made, and needs no words\n\n";
static const char help_fit_on[] =
    "      --fit-on SOURCE     fit on the pictures of another source, all of them, which give no rows\n"
    "      --spool DIR         where rows wait for the fit (default: the folder of OUT)\n\n";
static const char help_output[] =
    "Output:\n"
    "  -o, --output OUT        .csv, .parquet or .npy; or a folder of parts, which ends with /; appears only when it "
    "is "
    "whole\n"
    "      --format FORMAT     csv, parquet or npy, when the name of OUT does not tell (a folder's default is "
    "parquet)\n"
    "      --parts N           parts of a folder (default: so many that each holds about 64 MB of features)\n"
    "      --rejects FILE      where to list pictures that cannot be read (default OUT.rejects.csv, OUT/_rejects.csv)\n"
    "      --overwrite         replace OUT if it is there\n"
    "      --resume            go on where a run that writes a folder was broken off, or was ended by bad pictures; "
    "its\n"
    "                          output is the same to the byte; begins if nothing is there, does nothing if OUT is\n"
    "                          finished\n\n";
static const char help_exit[] =
    "Exit code: 0 every picture is a row; 1 written, some pictures rejected; 2 usage; 3 input missing, too many\n"
    "rejects or not one row; 4 output exists or cannot be written; 5 network, keys refused or expired, or ended\n"
    "early: go on with --resume; 6 device or memory; 7 bad model or weights; 129, 130, 143 interrupted.\n";

enum { OPT_SAVE_VOCABULARY = 256, OPT_SAVE_KEYPOINTS, OPT_FIT_ON, OPT_SPOOL, OPT_RESUME };

static const struct option long_options[] = {
    CLI_INPUT_OPTIONS,
    CLI_FEATURES_OPTIONS,
    {"save-vocabulary", required_argument, NULL, OPT_SAVE_VOCABULARY},
    {"save-keypoints", required_argument, NULL, OPT_SAVE_KEYPOINTS},
    {"fit-on", required_argument, NULL, OPT_FIT_ON},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"resume", no_argument, NULL, OPT_RESUME},
    CLI_ROWS_OPTIONS,
    {NULL, 0, NULL, 0},
};

static bool take(cli_pictures *pictures, int option, const char *name) {
  pmn_extract_options *o = &pictures->rows.options;
  switch (option) {
  case OPT_SAVE_VOCABULARY:
    o->save_vocabulary = optarg;
    return true;
  case OPT_SAVE_KEYPOINTS:
    o->save_keypoints = optarg;
    return true;
  case OPT_FIT_ON:
    o->fit_on = optarg;
    return true;
  case OPT_SPOOL:
    o->statistics.spool = optarg;
    return true;
  case OPT_RESUME:
    o->resume = true;
    return true;
  default:
    return cli_take_pictures("extract", option, name, pictures);
  }
}

static bool check(const cli_pictures *pictures) {
  const pmn_extract_options *o = &pictures->rows.options;
  if (o->output != NULL || o->save_keypoints != NULL) return true;
  return cli_usage("extract", "no output: name a file with -o"), false;
}

static void help(void) {
  printf("%s%s%s%s%s%s%s%s%s%s", help_head, cli_input_help, cli_features_help, help_save, cli_statistics_help,
      help_fit_on, help_output, cli_s3_help, cli_running_help, help_exit);
}

static int run(cli_pictures *pictures) {
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  pictures->rows.options.pause = cli_catch_termination();
  pmn_status status = pmn_extract(&pictures->rows.options, &summary, &err);
  return cli_rows_end(&pictures->rows, status, summary, &err);
}

int cmd_extract(int argc, char **argv) {
  static const cli_command command = {
      .name = "extract", .letters = CLI_ROWS_LETTERS, .options = long_options, take, check, help, run};
  cli_pictures pictures;
  return cli_pictures_run(&command, argc, argv, &pictures);
}
