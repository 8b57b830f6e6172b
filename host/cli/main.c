/* main.c - the pomona program: finds the command and runs it. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"extract", "features of pictures to a table", cmd_extract},
    {"reduce", "features from elsewhere, standardised and reduced", cmd_reduce},
    {"train", "a model of labelled pictures", cmd_train},
    {"evaluate", "how often a model is right", cmd_evaluate},
    {"predict", "the class of every picture", cmd_predict},
    {"merge", "the statistics of several runs made one", cmd_merge},
    {"clean", "what broken runs have left of an output, removed", cmd_clean},
    {"verify", "an output held against its record", cmd_verify},
    {"models", "the networks that can be named", cmd_models},
    {"inspect", "layers, shapes and hash of a network or model file", cmd_inspect},
    {"weights", "fetch, verify and convert the weights of networks", cmd_weights},
    {"tune", "the fastest kernels for a network on a device, found and kept", cmd_tune},
    {"devices", "what this machine can compute with", cmd_devices},
    {"doctor", "what this machine offers and lacks, device by device", cmd_doctor},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_help(void) {
  printf("Usage: pomona COMMAND [OPTION]...\n"
         "Turns folders of pictures into tables of features.\n\n"
         "Example:\n"
         "  pomona extract pictures/ -o features.parquet --standardize --pca 100\n\n"
         "Commands:\n");
  for (int i = 0; i < COMMAND_COUNT; i++) printf("  %-10s %s\n", commands[i].name, commands[i].summary);
  printf("\nOptions:\n"
         "  -h, --help     this text; after a command, the command's own\n"
         "      --version  the version\n");
}

/* A full disk under standard output must not pass for success. */
static int finish(int code) {
  if (code != EXIT_ALL_ROWS && code != EXIT_SOME_REJECTED) return code;
  bool failed_before = ferror(stdout) != 0;
  if (fflush(stdout) == 0 && !failed_before) return code;
  fprintf(stderr, "pomona: cannot write to standard output: %s\n", failed_before ? "a write failed" : strerror(errno));
  return EXIT_OUTPUT;
}

int main(int argc, char **argv) {
  if (argc < 2) return cli_usage(NULL, "no command");
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
    print_help();
    return finish(EXIT_ALL_ROWS);
  }
  if (strcmp(name, "--version") == 0) {
    printf("pomona %s\n", pmn_version());
    return finish(EXIT_ALL_ROWS);
  }
  if (strcmp(name, "doctor-probe") == 0) return finish(cmd_doctor_probe(argc - 1, argv + 1));
  for (int i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(name, commands[i].name) == 0) return finish(commands[i].run(argc - 1, argv + 1));
  }
  return cli_usage(NULL, "there is no command \"%s\"", name);
}
