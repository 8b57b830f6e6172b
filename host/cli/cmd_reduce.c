/* cmd_reduce.c - pomona reduce: features from elsewhere, standardised and reduced. */
#include "cli_options.h"

#include <stdio.h>

static const char help_input[] =
    "Usage: pomona reduce MATRIX.npy -o OUT [OPTION]...\n"
    "Standardises and reduces a matrix of features (.npy, float32, float64 or uint8, C order) of any number of rows,\n"
    "and writes one table: path, label, features.\n\n"
    "Examples:\n"
    "  pomona reduce features.npy -o reduced.parquet --standardize --pca 100 --index features.npy.index.csv\n"
    "  pomona reduce train.npy -o train.csv --pca 0.95 --save-projection fruit.projection\n"
    "  pomona reduce test.npy -o test.csv --projection fruit.projection\n\n"
    "Input:\n"
    "      --index FILE        CSV with a line for every row: its columns path and, if there is one, label are taken;\n"
    "                          paths may repeat; without it rows are named by their numbers, from 0\n\n";
static const char help_output[] =
    "\nOutput:\n"
    "  -o, --output OUT        .csv, .parquet or .npy; or a folder of parts, which ends with /; appears only when it "
    "is "
    "whole\n"
    "      --format FORMAT     csv, parquet or npy, when the name of OUT does not tell (a folder's default is "
    "parquet)\n"
    "      --parts N           parts of a folder (default: so many that each holds about 64 MB)\n"
    "      --rejects FILE      where to list rows with a NaN or an infinity (default OUT.rejects.csv, "
    "OUT/_rejects.csv)\n"
    "      --overwrite         replace OUT if it is there\n\n";
static const char help_running[] =
    "Running:\n"
    "      --backend NAME      auto (default: a GPU through OpenCL if there is one and the matrix is not small, else\n"
    "                          cpu), opencl, cpu, or ref\n"
    "      --device N          index of the backend's device, as pomona devices lists them\n"
    "      --threads N         threads to compute (default: all processors); changes no result\n"
    "      --on-error HOW      skip (default): list bad rows and go on; stop: end at the first, writing nothing\n"
    "      --max-rejects N     end, writing nothing, at more than N bad rows\n"
    "      --progress HOW      auto (default), plain, json or none, on standard error\n"
    "      --json              print the run record on standard output\n"
    "  -q, --quiet             only errors\n"
    "  -v, --verbose           every rejected row too\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 every row is there; 1 written, some rows rejected; 2 usage; 3 input missing, too many rejects or\n"
    "not one row; 4 output exists or cannot be written; 5 network or keys; 6 device or memory; 7 bad projection;\n"
    "129, 130, 143 interrupted.\n";

enum { OPT_INDEX = 256 };

static const struct option long_options[] = {
    {"index", required_argument, NULL, OPT_INDEX},
    CLI_ROWS_OPTIONS,
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  cli_rows rows;
  const char *matrix, *index;
} arguments;

/* One option; false when the command line is wrong and the user has been told. */
static bool take_option(arguments *a, int option, const char *name) {
  if (option != OPT_INDEX) return cli_take_rows("reduce", option, name, &a->rows);
  a->index = optarg;
  return true;
}

static bool parse(int argc, char **argv, arguments *a) {
  int letter, index = -1;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, CLI_ROWS_LETTERS, long_options, &index)) != -1) {
    if (letter == '?' || letter == ':') {
      cli_usage_option("reduce", long_options, argv, letter);
      return false;
    }
    if (!take_option(a, letter, index >= 0 ? long_options[index].name : "")) return false;
    if (a->rows.help) return true;
    index = -1;
  }
  if (argc - optind != 1) return cli_usage("reduce", "name one matrix, an .npy file"), false;
  a->matrix = argv[optind];
  if (a->rows.options.output == NULL) return cli_usage("reduce", "no output: name a file with -o"), false;
  return true;
}

static int run(arguments *a) {
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_reduce_options reduce = PMN_REDUCE_OPTIONS_INIT;
  const pmn_extract_options *o = &a->rows.options;
  if (o->more_device_count > 0) return cli_usage("reduce", "--device: a matrix is reduced on one device");
  cli_rows_start(&a->rows);
  reduce.matrix = a->matrix;
  reduce.index = a->index;
  reduce.statistics = o->statistics;
  reduce.output = o->output;
  reduce.format = o->format;
  reduce.rejects = o->rejects;
  reduce.parts = o->parts;
  reduce.overwrite = o->overwrite;
  reduce.s3 = o->s3;
  reduce.backend = o->backend;
  reduce.device = o->device;
  reduce.threads = o->threads;
  reduce.stop_on_error = o->stop_on_error;
  reduce.max_rejects = o->max_rejects;
  reduce.on_progress = o->on_progress;
  reduce.on_message = o->on_message;
  reduce.callback_arg = o->callback_arg;
  reduce.stop = o->stop;
  pmn_status status = pmn_reduce(&reduce, &summary, &err);
  return cli_rows_end(&a->rows, status, summary, &err);
}

int cmd_reduce(int argc, char **argv) {
  pmn_extract_options defaults = PMN_EXTRACT_OPTIONS_INIT;
  arguments a = {.rows = {.options = defaults, .report = {.level = PMN_LEVEL_INFO, .of_rows = true}}};
  if (!parse(argc, argv, &a)) return EXIT_USAGE;
  if (!a.rows.help) return run(&a);
  printf("%s%s%s%s%s", help_input, cli_statistics_help, help_output, cli_s3_help, help_running);
  return EXIT_ALL_ROWS;
}
