/* cmd_tune.c - pomona tune: how a device computes a network's layers fastest. */
#include "cli_options.h"

#include <stdio.h>

static const char help[] =
    "Usage: pomona tune [OPTION]...\n"
    "Measures on an OpenCL device how the work of each layer of a network is cut best. For every shape of convolution "
    "a\n"
    "few tens of tunings are tried; one that does not give the same bits as the default is never used. What is faster\n"
    "than the default by more than times vary is kept in the cache folder, and used by all later runs on such a "
    "device\n"
    "with the same driver. Features stay the same to the bit. A run that is interrupted keeps what it has finished;\n"
    "nothing else should use the device meanwhile.\n\n"
    "Examples:\n"
    "  pomona tune\n"
    "  pomona tune --features resnet50 --device 0 --precision fp16\n\n"
    "Columns: the shape's window and stride, input and output (height x width x channels), how many layers have it,\n"
    "microseconds of a batch with the default and with the fastest, how many per cent less that is, and the tuning "
    "that\n"
    "is used from now on. A dash: the default stays.\n\n"
    "Options:\n"
    "      --features NETWORK  a network's name or an .onnx file, as in pomona extract (default: efficientnet_lite0)\n"
    "      --weights FILE      its weights, if they are elsewhere\n"
    "      --size W[xH]        of the pictures (default: the network's own)\n"
    "      --batch N           pictures at a time (default: 64 on a GPU, else 16); what pomona extract is given\n"
    "      --device N          of the OpenCL devices, as pomona devices counts them (default: the first GPU, else the "
    "first)\n"
    "      --precision HOW     fp32 (default) or fp16, which are tuned apart\n"
    "  -q, --quiet             only errors and the table\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 every layer was measured; 2 usage; 3 there is no cache folder; 4 it cannot be written; 6 device or\n"
    "memory; 7 bad weights or model; 129, 130, 143 interrupted.\n";

enum { OPT_FEATURES = 256, OPT_WEIGHTS, OPT_SIZE, OPT_BATCH, OPT_PRECISION };

static const struct option long_options[] = {
    {"features", required_argument, NULL, OPT_FEATURES},
    {"weights", required_argument, NULL, OPT_WEIGHTS},
    {"size", required_argument, NULL, OPT_SIZE},
    {"batch", required_argument, NULL, OPT_BATCH},
    {"precision", required_argument, NULL, OPT_PRECISION},
    {"device", required_argument, NULL, CLI_OPT_DEVICE},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* Of all layers so far; seconds of a batch. */
typedef struct tally {
  cli_report report;
  double default_seconds, seconds;
  int32_t shapes, kept, wrong;
} tally;

static double gain(double before, double after) {
  return before > 0 ? 100.0 * (before - after) / before : 0.0;
}

static void on_layer(void *arg, const pmn_tuned_layer *l) {
  tally *t = arg;
  double seconds = l->kept ? l->seconds : l->default_seconds;
  if (l->index == 1)
    printf("%-52s %6s %12s %12s %6s  %s\n", "shape", "layers", "default us", "best us", "gain", "tuning");
  printf("%-52s %6d %12.1f %12.1f %5.1f%%  %s\n", l->shape, l->layers, 1e6 * l->default_seconds, 1e6 * l->seconds,
      gain(l->default_seconds, l->seconds), l->kept ? l->tuning : "-");
  fflush(stdout);
  if (t->report.level >= (int)PMN_LEVEL_INFO)
    fprintf(stderr, "%d/%d %s: %d tunings right, %d that the device cannot run, %d wrong\n", l->index, l->total,
        l->name, l->right, l->refused, l->wrong);
  t->default_seconds += l->layers * l->default_seconds;
  t->seconds += l->layers * seconds;
  t->shapes++;
  t->kept += l->kept;
  t->wrong += l->wrong;
}

static void on_message(void *arg, pmn_level level, const char *text) {
  cli_report_message(&((tally *)arg)->report, level, text);
}

static int run(pmn_tune_options *options, int level) {
  tally t = {.report = {.level = level}};
  pmn_err err = PMN_ERR_INIT;
  options->on_layer = on_layer;
  options->on_message = on_message;
  options->callback_arg = &t;
  options->stop = cli_catch_signals();
  pmn_status status = pmn_tune(options, &err);
  if (t.shapes > 0) {
    printf("%d of %d shapes have a tuning that is not the default; convolutions of a batch: %.1f us, were %.1f us\n",
        t.kept, t.shapes, 1e6 * t.seconds, 1e6 * t.default_seconds);
  }
  if (t.wrong > 0)
    fprintf(stderr, "pomona: warning: %d tunings gave other bits than the default; they are not used\n", t.wrong);
  return status == PMN_STATUS_OK ? EXIT_ALL_ROWS : cli_fail(status, &err);
}

int cmd_tune(int argc, char **argv) {
  pmn_tune_options options = PMN_TUNE_OPTIONS_INIT;
  int letter, level = PMN_LEVEL_INFO;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, ":qh", long_options, NULL)) != -1) {
    switch (letter) {
    case OPT_FEATURES:
      options.features = optarg;
      break;
    case OPT_WEIGHTS:
      options.weights = optarg;
      break;
    case OPT_SIZE:
      if (!cli_size(optarg, &options.width, &options.height)) return cli_size_usage("tune", optarg);
      break;
    case OPT_BATCH:
      if (!cli_number32("tune", "batch", optarg, 1, 65536, &options.batch)) return EXIT_USAGE;
      break;
    case OPT_PRECISION:
      options.precision = optarg;
      break;
    case CLI_OPT_DEVICE:
      if (!cli_number32("tune", "device", optarg, 0, 1000, &options.device)) return EXIT_USAGE;
      break;
    case 'q':
      level = -1;
      break;
    case 'h':
      fputs(help, stdout);
      return EXIT_ALL_ROWS;
    default:
      return cli_usage_option("tune", long_options, argv, letter);
    }
  }
  if (optind < argc) return cli_usage("tune", "unexpected argument %s", argv[optind]);
  return run(&options, level);
}
