/* cmd_models.c - pomona models: the networks that can be named. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>

static const char help[] =
    "Usage: pomona models [OPTION]...\n"
    "Lists the networks that --features can name: their weights, licence, input and what becomes of a picture.\n"
    "Any other convolutional network can be given as an .onnx file; see pomona inspect.\n\n"
    "Options:\n"
    "  -h, --help  this text\n";

static void print_network(const pmn_network_info *n) {
  const char *weights = n->embedded ? "inside the program" : n->weights[0] != '\0' ? n->weights : "not fetched yet";
  printf("%s\n  %s\n", n->name, n->description);
  printf("  input     %d x %d, %s, %s\n", n->size, n->size, n->resize, n->preprocess);
  printf("  features  %s\n", n->layer);
  printf("  weights   %s; %s\n", weights, n->licence);
}

int cmd_models(int argc, char **argv) {
  static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
  int letter;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (letter != 'h') return cli_usage_option("models", options, argv, letter);
    fputs(help, stdout);
    return EXIT_ALL_ROWS;
  }
  if (optind < argc) return cli_usage("models", "unexpected argument %s", argv[optind]);
  int32_t count = 0;
  pmn_err err = PMN_ERR_INIT;
  pmn_network_info *list = NULL;
  pmn_status status = pmn_networks_list(NULL, 0, &count, &err);
  if (status == PMN_STATUS_OK) {
    list = calloc((size_t)count, sizeof *list);
    if (list == NULL) return EXIT_DEVICE;
    status = pmn_networks_list(list, count, &count, &err);
  }
  for (int32_t i = 0; status == PMN_STATUS_OK && i < count; i++) print_network(&list[i]);
  free(list);
  return status == PMN_STATUS_OK ? EXIT_ALL_ROWS : cli_fail(status, &err);
}
