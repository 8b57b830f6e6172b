/* cmd_merge.c - pomona merge: the statistics of several runs become one projection. */
#include "cli_options.h"

#include <stdio.h>

static const char help_usage[] =
    "Usage: pomona merge MOMENTS... [OPTION]...\n"
    "Adds what several runs kept with --save-moments, and fits what one run over all their rows would fit.\n\n"
    "Example:\n"
    "  pomona merge monday.moments tuesday.moments --standardize --pca 100 --save-projection week.projection\n\n";
static const char help_running[] =
    "\nRunning:\n"
    "      --threads N         threads to compute (default: all processors); changes no result\n"
    "      --overwrite         replace files that are there\n"
    "  -q, --quiet             only errors\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 written; 2 usage, or statistics of other features; 3 input missing; 4 output exists or cannot be\n"
    "written; 6 memory; 7 a file is damaged.\n";

enum { OPT_THREADS = 256, OPT_OVERWRITE };

static const struct option long_options[] = {
    CLI_FIT_OPTIONS,
    {"threads", required_argument, NULL, OPT_THREADS},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  pmn_merge_options merge;
  bool quiet, help;
} arguments;

static bool take_option(arguments *a, int option, const char *name) {
  switch (option) {
  case OPT_THREADS:
    return cli_number32("merge", name, optarg, 1, 1024, &a->merge.threads);
  case OPT_OVERWRITE:
    a->merge.overwrite = true;
    return true;
  case 'q':
    a->quiet = true;
    return true;
  case 'h':
    a->help = true;
    return true;
  default:
    return cli_take_statistics("merge", option, name, &a->merge.statistics);
  }
}

static bool parse(int argc, char **argv, arguments *a) {
  int letter, index = -1;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":qh", long_options, &index)) != -1) {
    if (letter == '?' || letter == ':') {
      cli_usage_option("merge", long_options, argv, letter);
      return false;
    }
    if (!take_option(a, letter, index >= 0 ? long_options[index].name : "")) return false;
    if (a->help) return true;
    index = -1;
  }
  a->merge.moments = (const char *const *)(argv + optind);
  a->merge.moments_count = (size_t)(argc - optind);
  if (a->merge.moments_count == 0) return cli_usage("merge", "name the files of --save-moments"), false;
  return true;
}

int cmd_merge(int argc, char **argv) {
  pmn_merge_options defaults = PMN_MERGE_OPTIONS_INIT;
  arguments a = {.merge = defaults};
  pmn_merged merged;
  pmn_err err = PMN_ERR_INIT;
  if (!parse(argc, argv, &a)) return EXIT_USAGE;
  if (a.help) {
    printf("%s%s%s", help_usage, cli_fit_help, help_running);
    return EXIT_ALL_ROWS;
  }
  cli_report report = {.level = a.quiet ? -1 : PMN_LEVEL_INFO};
  a.merge.stop = cli_catch_signals();
  a.merge.on_message = cli_report_message;
  a.merge.callback_arg = &report;
  pmn_status status = pmn_merge(&a.merge, &merged, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  if (a.quiet) return EXIT_ALL_ROWS;
  fprintf(stderr, "%lld rows of %d columns together\n", (long long)merged.rows, merged.width);
  if (merged.components > 0)
    fprintf(stderr, "%d components explain %.2f %% of the variance\n", merged.components, 100 * merged.explained);
  return EXIT_ALL_ROWS;
}
