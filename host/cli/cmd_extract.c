/* cmd_extract.c - pomona extract: options in, summary out. */
#include "cli_options.h"

#include <stdio.h>
#include <stdlib.h>

static const char help_input[] =
    "Usage: pomona extract SOURCE... -o OUT [OPTION]...\n"
    "Computes features of every picture (JPEG, PNG, WebP) and writes one table: path, label, features.\n\n"
    "SOURCE is a folder (walked recursively), a file, s3://BUCKET/PREFIX, @LIST (a file of names, one a line or\n"
    "NUL-separated) or - (such a list on standard input). Rows come in byte-wise order of their paths. The label is\n"
    "the folder's name.\n\n"
    "Examples:\n"
    "  pomona extract pictures/ -o features.parquet\n"
    "  pomona extract Training/ -o features.csv --standardize --pca 100\n"
    "  find . -name '*.png' -print0 | pomona extract - -o features.npy --pca 0.95\n"
    "  pomona extract s3://fruit/Test/ -o s3://fruit/Results/ --standardize --pca 100 --resume\n\n"
    "Input:\n"
    "      --include GLOB      of a folder's files take those that match (may be repeated); without it those that are\n"
    "                          named like pictures: .jpg .jpeg .jpe .jfif .png .webp; hidden files are never taken\n"
    "      --label-level N     which part of the path is the label: -1 the folder (default), -2 the one above it,\n"
    "                          0 the topmost\n"
    "      --label-regex RE    the label is what group 1 of this extended regular expression matches in the path\n"
    "      --limit N           only the first N pictures\n\n";
static const char help_work[] =
    "Features:\n"
    "      --features NAME     a network by name (pomona models lists them; default efficientnet_lite0, which needs\n"
    "                          nothing; others need pomona weights fetch NAME once), or an .onnx file; or pixels: the\n"
    "                          resized picture itself, height, width, channel; with --size; or sift, orb: words\n"
    "                          of local features\n"
    "      --weights FILE      safetensors with the network's tensors, as pomona weights convert writes them\n"
    "      --layer NAME        take this layer (pomona inspect lists them); may be repeated, the values of all are "
    "then\n"
    "                          one row, in this order; without it the layer before the classifier\n"
    "      --pool HOW          of a layer with more than one pixel: avg (default), max, or none, which takes every "
    "value\n"
    "      --size W[xH]        pixels of the network's input (default: what the network was trained on)\n"
    "      --preprocess HOW    tf, caffe, torch, lite, unit or raw: how bytes become the network's input; an .onnx "
    "file\n"
    "                          that does not say needs it; pixels are raw: 0 to 255, unit makes them 0 to 1\n"
    "      --resize FILTER     bicubic, bilinear or nearest, as Pillow computes them (default: the network's, mostly\n"
    "                          bicubic)\n"
    "      --words N           sift and orb: N words are learnt from the descriptors of all pictures (k-means); a row\n"
    "                          tells how often each occurs\n"
    "      --vocabulary FILE   count the words of another run instead, in one pass\n"
    "      --save-vocabulary FILE\n"
    "                          keep the words that were learnt\n"
    "      --save-keypoints FILE\n"
    "                          a .csv, .parquet or .npy table of every keypoint: x, y, size, angle, response, octave,\n"
    "                          descriptor\n"
    "      --keypoints N       of a picture take the N most distinct ones (default 500)\n"
    "      --weighting HOW     tf (default): how often; tf-idf: times how telling the word is\n"
    "      --norm HOW          none (default), l1 or l2: each row is divided by it\n"
    "      --start HOW         k-means begins with k-means++ (default) or random descriptors\n"
    "      --mini-batch N      k-means takes N descriptors a step, drawn at random (default: all)\n"
    "      --seed N            of whatever is drawn at random (default 0)\n"
    "      --gray              of pixels: one channel, grey before it is resized, as Pillow's convert(\"L\")\n\n";
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
    "      --resume            go on where a run that writes a folder was broken off; its output is the same to the\n"
    "                          byte; begins if nothing is there, does nothing if OUT is finished\n\n";
static const char help_running[] =
    "Running:\n"
    "      --backend NAME      auto (default: a GPU through OpenCL if there is one, else cpu), opencl, cpu, or ref,\n"
    "                          the slow reference\n"
    "      --device N          index of the backend's device, as pomona devices lists them\n"
    "      --threads N         threads to compute and to decode (default: all processors)\n"
    "      --batch N           pictures the network takes at once; changes no result\n"
    "      --on-error HOW      skip (default): list bad pictures and go on; stop: end at the first, writing nothing\n"
    "                          (of a folder of parts what was done is kept for --resume); a folder that cannot be\n"
    "                          read always ends the run\n"
    "      --max-rejects N     the same at more than N bad pictures\n"
    "      --progress HOW      auto (default), plain, json or none, on standard error\n"
    "      --json              print the run record on standard output\n"
    "  -q, --quiet             only errors\n"
    "  -v, --verbose           every rejected picture too\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 every picture is a row; 1 written, some pictures rejected; 2 usage; 3 input missing or too many\n"
    "rejects; 4 output exists or cannot be written; 5 ended early, go on with --resume; 6 device or memory; 7 bad\n"
    "model or weights; 129, 130, 143 interrupted.\n";

enum {
  OPT_INCLUDE = 256,
  OPT_LABEL_LEVEL,
  OPT_LABEL_REGEX,
  OPT_LIMIT,
  OPT_FEATURES,
  OPT_WEIGHTS,
  OPT_LAYER,
  OPT_POOL,
  OPT_SIZE,
  OPT_PREPROCESS,
  OPT_RESIZE,
  OPT_GRAY,
  OPT_WORDS,
  OPT_VOCABULARY,
  OPT_SAVE_VOCABULARY,
  OPT_SAVE_KEYPOINTS,
  OPT_KEYPOINTS,
  OPT_WEIGHTING,
  OPT_NORM,
  OPT_START,
  OPT_MINI_BATCH,
  OPT_SEED,
  OPT_FIT_ON,
  OPT_SPOOL,
  OPT_RESUME,
  OPT_BATCH,
};

static const struct option long_options[] = {
    {"include", required_argument, NULL, OPT_INCLUDE},
    {"label-level", required_argument, NULL, OPT_LABEL_LEVEL},
    {"label-regex", required_argument, NULL, OPT_LABEL_REGEX},
    {"limit", required_argument, NULL, OPT_LIMIT},
    {"features", required_argument, NULL, OPT_FEATURES},
    {"weights", required_argument, NULL, OPT_WEIGHTS},
    {"layer", required_argument, NULL, OPT_LAYER},
    {"pool", required_argument, NULL, OPT_POOL},
    {"size", required_argument, NULL, OPT_SIZE},
    {"preprocess", required_argument, NULL, OPT_PREPROCESS},
    {"resize", required_argument, NULL, OPT_RESIZE},
    {"gray", no_argument, NULL, OPT_GRAY},
    {"words", required_argument, NULL, OPT_WORDS},
    {"vocabulary", required_argument, NULL, OPT_VOCABULARY},
    {"save-vocabulary", required_argument, NULL, OPT_SAVE_VOCABULARY},
    {"save-keypoints", required_argument, NULL, OPT_SAVE_KEYPOINTS},
    {"keypoints", required_argument, NULL, OPT_KEYPOINTS},
    {"weighting", required_argument, NULL, OPT_WEIGHTING},
    {"norm", required_argument, NULL, OPT_NORM},
    {"start", required_argument, NULL, OPT_START},
    {"mini-batch", required_argument, NULL, OPT_MINI_BATCH},
    {"seed", required_argument, NULL, OPT_SEED},
    {"fit-on", required_argument, NULL, OPT_FIT_ON},
    {"spool", required_argument, NULL, OPT_SPOOL},
    {"resume", no_argument, NULL, OPT_RESUME},
    {"batch", required_argument, NULL, OPT_BATCH},
    CLI_ROWS_OPTIONS,
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  cli_rows rows;
  const char **includes, **layers;
} arguments;

/* One of sift and orb; false as below. */
static bool take_words(pmn_extract_options *o, int option, const char *name) {
  static const char *const weightings[] = {"tf", "tf-idf"}, *const norms[] = {"none", "l1", "l2"},
                           *const starts[] = {"k-means++", "random"};
  int64_t seed = 0;
  int word;
  switch (option) {
  case OPT_WORDS:
    return cli_number32("extract", name, optarg, 1, 65536, &o->words);
  case OPT_VOCABULARY:
    o->vocabulary = optarg;
    return true;
  case OPT_SAVE_VOCABULARY:
    o->save_vocabulary = optarg;
    return true;
  case OPT_SAVE_KEYPOINTS:
    o->save_keypoints = optarg;
    return true;
  case OPT_KEYPOINTS:
    return cli_number32("extract", name, optarg, 1, 65536, &o->keypoints);
  case OPT_WEIGHTING:
    word = cli_choice("extract", name, optarg, weightings, 2);
    if (word >= 0) o->weighting = weightings[word];
    return word >= 0;
  case OPT_NORM:
    word = cli_choice("extract", name, optarg, norms, 3);
    if (word >= 0) o->norm = norms[word];
    return word >= 0;
  case OPT_START:
    word = cli_choice("extract", name, optarg, starts, 2);
    if (word >= 0) o->start = starts[word];
    return word >= 0;
  case OPT_MINI_BATCH:
    return cli_number32("extract", name, optarg, 1, INT32_MAX, &o->mini_batch);
  default:
    if (!cli_number("extract", name, optarg, 0, INT64_MAX, &seed)) return false;
    o->seed = (uint64_t)seed;
    return true;
  }
}

/* One option; false when the command line is wrong and the user has been told. */
static bool take_option(arguments *a, int option, const char *name) {
  pmn_extract_options *o = &a->rows.options;
  switch (option) {
  case OPT_INCLUDE:
    a->includes[o->include_count++] = optarg;
    return true;
  case OPT_LABEL_LEVEL:
    return cli_number32("extract", name, optarg, -1000, 1000, &o->label_level);
  case OPT_LABEL_REGEX:
    o->label_regex = optarg;
    return true;
  case OPT_LIMIT:
    return cli_number("extract", name, optarg, 1, INT64_MAX, &o->limit);
  case OPT_FEATURES:
    o->features = optarg;
    return true;
  case OPT_WEIGHTS:
    o->weights = optarg;
    return true;
  case OPT_LAYER:
    a->layers[o->layer_count++] = optarg;
    return true;
  case OPT_POOL:
    o->pool = optarg;
    return true;
  case OPT_SIZE:
    if (cli_size(optarg, &o->width, &o->height)) return true;
    cli_size_usage("extract", optarg);
    return false;
  case OPT_PREPROCESS:
    o->preprocess = optarg;
    return true;
  case OPT_RESIZE:
    o->resize = optarg;
    return true;
  case OPT_GRAY:
    o->gray = true;
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
  case OPT_BATCH:
    return cli_number32("extract", name, optarg, 1, 65536, &o->batch);
  default:
    if (option >= OPT_WORDS && option <= OPT_SEED) return take_words(o, option, name);
    return cli_take_rows("extract", option, name, &a->rows);
  }
}

static bool parse(int argc, char **argv, arguments *a) {
  pmn_extract_options *o = &a->rows.options;
  int letter, index = -1;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, CLI_ROWS_LETTERS, long_options, &index)) != -1) {
    if (letter == '?' || letter == ':') {
      cli_usage_option("extract", long_options, argv, letter);
      return false;
    }
    if (!take_option(a, letter, index >= 0 ? long_options[index].name : "")) return false;
    if (a->rows.help) return true;
    index = -1;
  }
  o->sources = (const char *const *)(argv + optind);
  o->source_count = (size_t)(argc - optind);
  if (o->source_count == 0) return cli_usage("extract", "no SOURCE: name a folder of pictures"), false;
  if (o->output == NULL) return cli_usage("extract", "no output: name a file with -o"), false;
  return true;
}

static int run(cli_rows *rows) {
  pmn_summary *summary = NULL;
  pmn_err err = PMN_ERR_INIT;
  cli_rows_start(rows);
  rows->options.pause = cli_catch_termination();
  pmn_status status = pmn_extract(&rows->options, &summary, &err);
  return cli_rows_end(rows, status, summary, &err);
}

int cmd_extract(int argc, char **argv) {
  pmn_extract_options defaults = PMN_EXTRACT_OPTIONS_INIT;
  arguments a = {.rows = {.options = defaults, .report = {.level = PMN_LEVEL_INFO}}};
  int code = EXIT_USAGE;
  a.includes = calloc((size_t)argc, sizeof *a.includes);
  a.layers = calloc((size_t)argc, sizeof *a.layers);
  a.rows.options.includes = a.includes;
  a.rows.options.layers = a.layers;
  if (a.includes == NULL || a.layers == NULL) {
    free(a.includes);
    free(a.layers);
    return EXIT_DEVICE;
  }
  if (parse(argc, argv, &a)) {
    if (a.rows.help) {
      printf("%s%s%s%s%s%s%s", help_input, help_work, cli_statistics_help, help_fit_on, help_output, cli_s3_help,
          help_running);
      code = EXIT_ALL_ROWS;
    } else {
      code = run(&a.rows);
    }
  }
  free(a.includes);
  free(a.layers);
  return code;
}
