/* cmd_reduce.c - pomona reduce: features from elsewhere, standardised and reduced. */
#include "cli_options.h"
#include "cli_report.h"

#include <stdio.h>

static const char help_input[] =
    "Usage: pomona reduce MATRIX.npy -o OUT [OPTION]...\n"
    "Standardises and reduces a matrix of features (.npy, float32 or float64, C order) of any number of rows, and "
    "writes\n"
    "one table: path, label, features.\n\n"
    "Examples:\n"
    "  pomona reduce features.npy -o reduced.parquet --standardize --pca 100 --index features.npy.index.csv\n"
    "  pomona reduce train.npy -o train.csv --pca 0.95 --save-projection fruit.projection\n"
    "  pomona reduce test.npy -o test.csv --projection fruit.projection\n\n"
    "Input:\n"
    "      --index FILE        CSV with a line for every row: its columns path and, if there is one, label are taken;\n"
    "                          without it rows are named by their numbers, from 0\n\n";
static const char help_output[] =
    "\nOutput:\n"
    "  -o, --output OUT        .csv, .parquet or .npy; appears only when it is whole\n"
    "      --format FORMAT     csv, parquet or npy, when the name of OUT does not tell\n"
    "      --rejects FILE      where to list rows with a NaN or an infinity (default OUT.rejects.csv)\n"
    "      --overwrite         replace OUT if it is there\n\n"
    "Running:\n"
    "      --backend NAME      auto (default: a GPU through OpenCL if there is one, else cpu), opencl, cpu, or ref\n"
    "      --device N          index of the backend's device, as pomona devices lists them\n"
    "      --threads N         threads to compute (default: all processors); changes no result\n"
    "      --on-error HOW      skip (default): list bad rows and go on; stop: end at the first, writing nothing\n"
    "      --max-rejects N     end, writing nothing, at more than N bad rows\n"
    "      --progress HOW      auto (default), plain, json or none, on standard error\n"
    "      --json              print the run record on standard output\n"
    "  -q, --quiet             only errors\n"
    "  -v, --verbose           every rejected row too\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 every row is there; 1 written, some rows rejected; 2 usage; 3 input missing or too many rejects;\n"
    "4 output exists or cannot be written; 6 device or memory; 7 bad projection; 129, 130, 143 interrupted.\n";

enum {
  OPT_INDEX = 256,
  OPT_FORMAT,
  OPT_REJECTS,
  OPT_OVERWRITE,
  OPT_BACKEND,
  OPT_DEVICE,
  OPT_THREADS,
  OPT_ON_ERROR,
  OPT_MAX_REJECTS,
  OPT_PROGRESS,
  OPT_JSON,
};

static const struct option long_options[] = {
    {"index", required_argument, NULL, OPT_INDEX},
    CLI_STATISTICS_OPTIONS,
    {"output", required_argument, NULL, 'o'},
    {"format", required_argument, NULL, OPT_FORMAT},
    {"rejects", required_argument, NULL, OPT_REJECTS},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"backend", required_argument, NULL, OPT_BACKEND},
    {"device", required_argument, NULL, OPT_DEVICE},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"on-error", required_argument, NULL, OPT_ON_ERROR},
    {"max-rejects", required_argument, NULL, OPT_MAX_REJECTS},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  pmn_reduce_options reduce;
  cli_report report;
  bool json, help;
} arguments;

/* One option; false when the command line is wrong and the user has been told. */
static bool take_option(arguments *a, int option, const char *name) {
  static const char *const on_error[] = {"skip", "stop"};
  static const char *const progress[] = {"auto", "plain", "json", "none"};
  pmn_reduce_options *o = &a->reduce;
  int word;
  switch (option) {
  case OPT_INDEX:
    o->index = optarg;
    return true;
  case 'o':
    o->output = optarg;
    return true;
  case OPT_FORMAT:
    o->format = optarg;
    return true;
  case OPT_REJECTS:
    o->rejects = optarg;
    return true;
  case OPT_OVERWRITE:
    o->overwrite = true;
    return true;
  case OPT_BACKEND:
    o->backend = optarg;
    return true;
  case OPT_DEVICE:
    return cli_number32("reduce", name, optarg, 0, 1000, &o->device);
  case OPT_THREADS:
    return cli_number32("reduce", name, optarg, 1, 1024, &o->threads);
  case OPT_ON_ERROR:
    word = cli_choice("reduce", name, optarg, on_error, 2);
    o->stop_on_error = word == 1;
    return word >= 0;
  case OPT_MAX_REJECTS:
    return cli_number("reduce", name, optarg, 0, INT64_MAX, &o->max_rejects);
  case OPT_PROGRESS:
    word = cli_choice("reduce", name, optarg, progress, 4);
    a->report.progress = word < 0 ? CLI_PROGRESS_NONE : (cli_progress)word;
    return word >= 0;
  case OPT_JSON:
    a->json = true;
    return true;
  case 'q':
    a->report.level = -1;
    return true;
  case 'v':
    a->report.level = PMN_LEVEL_DETAIL;
    return true;
  case 'h':
    a->help = true;
    return true;
  default:
    return cli_take_statistics("reduce", option, name, &o->statistics);
  }
}

static bool parse(int argc, char **argv, arguments *a) {
  int letter, index = -1;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":o:qvh", long_options, &index)) != -1) {
    if (letter == '?' || letter == ':') {
      cli_usage_option("reduce", long_options, argv, letter);
      return false;
    }
    if (!take_option(a, letter, index >= 0 ? long_options[index].name : "")) return false;
    if (a->help) return true;
    index = -1;
  }
  if (argc - optind != 1) return cli_usage("reduce", "name one matrix, an .npy file"), false;
  a->reduce.matrix = argv[optind];
  if (a->reduce.output == NULL) return cli_usage("reduce", "no output: name a file with -o"), false;
  return true;
}

static int run(arguments *a) {
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  cli_report_start(&a->report);
  a->reduce.on_progress = cli_report_progress;
  a->reduce.on_message = cli_report_message;
  a->reduce.callback_arg = &a->report;
  a->reduce.stop = cli_catch_signals();
  pmn_status status = pmn_reduce(&a->reduce, &summary, &err);
  cli_report_end(&a->report);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  int code = pmn_summary_counts(summary).rejects > 0 ? EXIT_SOME_REJECTED : EXIT_ALL_ROWS;
  cli_report_summary(&a->report, summary, a->reduce.output);
  if (a->json) printf("%s\n", pmn_summary_record(summary));
  pmn_summary_destroy(summary);
  return code;
}

int cmd_reduce(int argc, char **argv) {
  pmn_reduce_options defaults = PMN_REDUCE_OPTIONS_INIT;
  arguments a = {.reduce = defaults, .report = {.level = PMN_LEVEL_INFO, .of_rows = true}};
  if (!parse(argc, argv, &a)) return EXIT_USAGE;
  if (!a.help) return run(&a);
  printf("%s%s%s", help_input, cli_statistics_help, help_output);
  return EXIT_ALL_ROWS;
}
