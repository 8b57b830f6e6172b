/* cmd_verify.c - pomona verify: is an output still what its run has written? */
#include "cli_options.h"

#include <stdio.h>

static const char help_usage[] =
    "Usage: pomona verify OUT [OPTION]...\n"
    "Holds an output against its run record: every file there, of the recorded size and SHA-256, and in a folder none\n"
    "more that readers would take for a part; the rows of every part and of all together; rows and rejects as many as\n"
    "were listed; a line for every reject. What could not be checked is said. The record and the list of rejects\n"
    "themselves have no checksums: of these, what they count and name is checked.\n\n"
    "Examples:\n"
    "  pomona verify features.parquet\n"
    "  pomona verify s3://fruit/Results/\n\n";
static const char help_running[] = "Running:\n"
                                   "  -q, --quiet             only errors\n"
                                   "  -h, --help              this text\n\n"
                                   "Exit code: 0 all is as recorded; 2 usage; 3 there is no output, it is not "
                                   "finished, or cannot be read; 5 network or keys;\n"
                                   "7 something differs: the first such thing is named; 129, 130, 143 interrupted.\n";

static const struct option long_options[] = {
    CLI_S3_OPTIONS,
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

int cmd_verify(int argc, char **argv) {
  pmn_verify_options options = PMN_VERIFY_OPTIONS_INIT;
  pmn_verified verified;
  pmn_err err = PMN_ERR_INIT;
  int letter;
  bool quiet = false;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":qh", long_options, NULL)) != -1) {
    if (letter == '?' || letter == ':') return cli_usage_option("verify", long_options, argv, letter);
    if (letter == 'h') {
      printf("%s%s%s", help_usage, cli_s3_help, help_running);
      return EXIT_ALL_ROWS;
    }
    quiet = quiet || letter == 'q';
    if (letter != 'q') cli_take_s3(letter, &options.s3);
  }
  if (argc - optind != 1) return cli_usage("verify", "name one output");
  options.output = argv[optind];
  options.stop = cli_catch_signals();
  pmn_status status = pmn_verify(&options, &verified, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  if (quiet) return EXIT_ALL_ROWS;
  fprintf(stderr, "%s: as recorded: %lld files, %lld bytes, %lld rows + %lld rejects = %lld listed%s%s\n",
      options.output, (long long)verified.files, (long long)verified.bytes, (long long)verified.rows,
      (long long)verified.rejects, (long long)verified.listed, verified.notes[0] != '\0' ? "; " : "", verified.notes);
  return EXIT_ALL_ROWS;
}
