/* cmd_clean.c - pomona clean: what broken runs have left is removed. */
#include "cli_options.h"

#include <stdio.h>

static const char help_usage[] =
    "Usage: pomona clean OUT [OPTION]...\n"
    "Removes what runs that were broken off have left of an output: working folder and journal, temporary files, and\n"
    "in buckets uploads that were never completed. What is finished stays, and a run at work is left alone.\n\n"
    "Examples:\n"
    "  pomona clean results/\n"
    "  pomona clean s3://fruit/Results/\n\n";
static const char help_running[] =
    "Running:\n"
    "  -q, --quiet             only errors\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 nothing is left; 2 usage; 3 neither OUT nor anything of it is there; 4 a run is at work, or\n"
    "something cannot be removed; 5 network or keys; 129, 130, 143 interrupted.\n";

static const struct option long_options[] = {
    CLI_S3_OPTIONS,
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int cmd_clean(int argc, char **argv) {
  pmn_clean_options options = PMN_CLEAN_OPTIONS_INIT;
  pmn_err err = PMN_ERR_INIT;
  int64_t removed = 0;
  int letter;
  bool quiet = false;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":qh", long_options, NULL)) != -1) {
    if (letter == '?' || letter == ':') return cli_usage_option("clean", long_options, argv, letter);
    if (letter == 'h') {
      printf("%s%s%s", help_usage, cli_s3_help, help_running);
      return EXIT_ALL_ROWS;
    }
    quiet = quiet || letter == 'q';
    if (letter != 'q') cli_take_s3(letter, &options.s3);
  }
  if (argc - optind != 1) return cli_usage("clean", "name one output");
  options.output = argv[optind];
  options.stop = cli_catch_signals();
  pmn_status status = pmn_clean(&options, &removed, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  if (!quiet) fprintf(stderr, "%lld files and uploads removed\n", (long long)removed);
  return EXIT_ALL_ROWS;
}
