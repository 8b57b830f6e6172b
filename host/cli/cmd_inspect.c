/* cmd_inspect.c - pomona inspect: what is in a network or a file. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char help[] =
    "Usage: pomona inspect NAME|FILE [OPTION]...\n"
    "Shows the layers of a network, with the shape that each gives, its parameters and its multiply-adds for one "
    "picture;\n"
    "and the file's hash, and what must be done to a picture before it goes in. Layers can be taken by --layer NAME.\n"
    "FILE is an .onnx or .safetensors file. Of an .onnx file that cannot be computed, every operator that stands in "
    "the\n"
    "way is listed, and the exit code is 7. Of a projection, moments, a vocabulary or a trained model it shows how it "
    "was\n"
    "made and what is in it.\n\n"
    "Options:\n"
    "      --network NAME   whose weights a safetensors file holds, when the file itself does not say\n"
    "      --size W[xH]     for pictures of this size\n"
    "      --json           all of it as JSON\n"
    "  -h, --help           this text\n";

enum { OPT_NETWORK = 256, OPT_SIZE, OPT_JSON };

static const struct option long_options[] = {
    {"network", required_argument, NULL, OPT_NETWORK},
    {"size", required_argument, NULL, OPT_SIZE},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void print_text(const pmn_inspection *inspection) {
  pmn_inspection_info info = pmn_inspection_get(inspection);
  int32_t count;
  const pmn_layer_info *layers = pmn_inspection_layers(inspection, &count);
  int name_width = 4, kind_width = 4;
  for (int32_t i = 0; i < count; i++) {
    int name = (int)strlen(layers[i].name), kind = (int)strlen(layers[i].kind);
    if (name > name_width) name_width = name < 48 ? name : 48;
    if (kind > kind_width) kind_width = kind < 24 ? kind : 24;
  }
  printf("%-*s  %-*s  %18s %12s %14s\n", name_width, "name", kind_width, "kind", "shape", "parameters", "operations");
  for (int32_t i = 0; i < count; i++) {
    const pmn_layer_info *l = &layers[i];
    printf("%-*s  %-*s  %18s %12lld %14lld\n", name_width, l->name, kind_width, l->kind, l->shape,
        (long long)l->parameters, (long long)l->operations);
  }
  printf(
      "\n%s%s%s", info.kind, info.name != NULL && info.name[0] != '\0' ? " " : "", info.name != NULL ? info.name : "");
  if (info.opset > 0) printf(", opset %d", info.opset);
  printf(": %lld parameters", (long long)info.parameters);
  if (info.operations > 0) printf(", %lld multiply-adds for a picture", (long long)info.operations);
  putchar('\n');
  if (info.sha256 != NULL) printf("sha256      %s\n", info.sha256);
  if (info.width > 0) {
    printf("input       %d x %d%s\n", info.width, info.height, info.any_size ? ", other sizes with --size" : "");
    printf("preprocess  %s\n", info.preprocess != NULL
                                   ? info.preprocess
                                   : "not in the file: say how with --preprocess (tf, caffe, torch, ...)");
  }
  if (info.features != NULL) printf("features    %s\n", info.features);
  if (info.made != NULL) printf("made        %s\n", info.made);
}

static int run(const pmn_inspect_options *options, bool json) {
  pmn_inspection *inspection = NULL;
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = pmn_inspect(options, &inspection, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  int32_t count;
  const char *const *unsupported = pmn_inspection_unsupported(inspection, &count);
  if (json) {
    printf("%s\n", pmn_inspection_record(inspection));
  } else {
    print_text(inspection);
    if (count > 0) printf("\nnot supported:\n");
    for (int32_t i = 0; i < count; i++) printf("  %s\n", unsupported[i]);
  }
  if (count > 0) {
    fprintf(stderr, "pomona: %s: %d node%s cannot be computed; the layers listed are those before and beside them\n",
        options->target, count, count == 1 ? "" : "s");
  }
  pmn_inspection_destroy(inspection);
  return count > 0 ? EXIT_MODEL : EXIT_ALL_ROWS;
}

int cmd_inspect(int argc, char **argv) {
  pmn_inspect_options options = PMN_INSPECT_OPTIONS_INIT;
  bool json = false;
  int letter;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    switch (letter) {
    case OPT_NETWORK:
      options.network = optarg;
      break;
    case OPT_SIZE:
      if (!cli_size(optarg, &options.width, &options.height)) return cli_size_usage("inspect", optarg);
      break;
    case OPT_JSON:
      json = true;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_ALL_ROWS;
    default:
      return cli_usage_option("inspect", long_options, argv, letter);
    }
  }
  if (optind + 1 != argc) return cli_usage("inspect", "name one network or one file");
  options.target = argv[optind];
  return run(&options, json);
}
