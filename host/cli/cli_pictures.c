/* cli_pictures.c - see cli_pictures.h. */
#include "cli_pictures.h"

#include <stdio.h>
#include <stdlib.h>

const char cli_input_help[] =
    "Input:\n"
    "      --include GLOB      of a folder's files take those that match (may be repeated); without it those that are\n"
    "                          named like pictures: .jpg .jpeg .jpe .jfif .png .webp; hidden files are never taken\n"
    "      --label-level N     which part of the path is the label: -1 the folder (default), -2 the one above it,\n"
    "                          0 the topmost\n"
    "      --label-regex RE    the label is what group 1 of this extended regular expression matches in the path\n"
    "      --limit N           only the first N pictures\n\n";
const char cli_features_help[] =
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
    "                          that does not say needs it; pixels are raw: bytes, 0 to 255; unit makes them 0 to 1\n"
    "      --resize FILTER     bicubic, bilinear or nearest, as Pillow computes them (default: the network's, mostly\n"
    "                          bicubic)\n"
    "      --precision HOW     of networks: fp32 (default); bf16, what is multiplied is rounded, faster: only on the "
    "cpu\n"
    "                          and with AVX-512 BF16; fp16, what is stored is rounded: only on opencl; how far "
    "features\n"
    "                          are off is told\n"
    "      --words N           sift and orb: N words are learnt from the descriptors of all pictures (k-means); a row\n"
    "                          tells how often each occurs\n"
    "      --vocabulary FILE   count the words of another run instead, in one pass\n"
    "      --keypoints N       of a picture take the N most distinct ones (default 500);\n"
    "                          of orb each of its 8 levels has a share of them\n"
    "      --weighting HOW     tf (default): how often; tf-idf: times how telling the word is\n"
    "      --norm HOW          none (default), l1 or l2: each row is divided by it\n"
    "      --start HOW         k-means begins with k-means++ (default) or random descriptors\n"
    "      --mini-batch N      k-means takes N descriptors a step, drawn at random (default: all)\n"
    "      --seed N            of what is drawn at random, by --words and by train; else it is refused (default 0)\n"
    "      --gray              of pixels: one channel, grey before it is resized, as Pillow's convert(\"L\")\n";
const char cli_running_help[] =
    "Running:\n"
    "      --backend NAME      auto (default: a GPU through OpenCL if there is one, else cpu), opencl, cpu, or ref,\n"
    "                          the slow reference\n"
    "      --device N[,N...]   index of the backend's device, as pomona devices lists them; several of one kind share\n"
    "                          the batches of a network and change no result\n"
    "      --threads N         threads to compute and to decode (default: all processors)\n"
    "      --batch N           pictures the network takes at once; changes no result\n"
    "      --on-error HOW      skip (default): list bad pictures and go on; stop: end at the first, writing nothing; "
    "a\n"
    "                          folder that cannot be read always ends the run\n"
    "      --max-rejects N     end at more than N bad pictures\n"
    "      --progress HOW      auto (default), plain, json or none, on standard error\n"
    "      --json              print the run record on standard output\n"
    "  -q, --quiet             only errors\n"
    "  -v, --verbose           every rejected picture too\n"
    "  -h, --help              this text\n\n";

/* One of sift and orb; false as below. */
static bool take_words(const char *command, int option, const char *name, pmn_extract_options *o) {
  static const char *const weightings[] = {"tf", "tf-idf"}, *const norms[] = {"none", "l1", "l2"},
                           *const starts[] = {"k-means++", "random"};
  int64_t seed = 0;
  int word;
  switch (option) {
  case CLI_OPT_WORDS:
    return cli_number32(command, name, optarg, 1, 65536, &o->words);
  case CLI_OPT_VOCABULARY:
    o->vocabulary = optarg;
    return true;
  case CLI_OPT_KEYPOINTS:
    return cli_number32(command, name, optarg, 1, 65536, &o->keypoints);
  case CLI_OPT_WEIGHTING:
    word = cli_choice(command, name, optarg, weightings, 2);
    if (word >= 0) o->weighting = weightings[word];
    return word >= 0;
  case CLI_OPT_NORM:
    word = cli_choice(command, name, optarg, norms, 3);
    if (word >= 0) o->norm = norms[word];
    return word >= 0;
  case CLI_OPT_START:
    word = cli_choice(command, name, optarg, starts, 2);
    if (word >= 0) o->start = starts[word];
    return word >= 0;
  case CLI_OPT_MINI_BATCH:
    return cli_number32(command, name, optarg, 1, INT32_MAX, &o->mini_batch);
  default:
    if (!cli_number(command, name, optarg, 0, INT64_MAX, &seed)) return false;
    o->seed = (uint64_t)seed;
    return true;
  }
}

bool cli_take_pictures(const char *command, int option, const char *name, cli_pictures *pictures) {
  pmn_extract_options *o = &pictures->rows.options;
  switch (option) {
  case CLI_OPT_INCLUDE:
    pictures->includes[o->include_count++] = optarg;
    return true;
  case CLI_OPT_LABEL_LEVEL:
    return cli_number32(command, name, optarg, -1000, 1000, &o->label_level);
  case CLI_OPT_LABEL_REGEX:
    o->label_regex = optarg;
    return true;
  case CLI_OPT_LIMIT:
    return cli_number(command, name, optarg, 1, INT64_MAX, &o->limit);
  case CLI_OPT_FEATURES:
    o->features = optarg;
    return true;
  case CLI_OPT_WEIGHTS:
    o->weights = optarg;
    return true;
  case CLI_OPT_LAYER:
    pictures->layers[o->layer_count++] = optarg;
    return true;
  case CLI_OPT_POOL:
    o->pool = optarg;
    return true;
  case CLI_OPT_SIZE:
    if (cli_size(optarg, &o->width, &o->height)) return true;
    cli_size_usage(command, optarg);
    return false;
  case CLI_OPT_PREPROCESS:
    o->preprocess = optarg;
    return true;
  case CLI_OPT_RESIZE:
    o->resize = optarg;
    return true;
  case CLI_OPT_PRECISION:
    o->precision = optarg;
    return true;
  case CLI_OPT_GRAY:
    o->gray = true;
    return true;
  case CLI_OPT_BATCH:
    return cli_number32(command, name, optarg, 1, 65536, &o->batch);
  default:
    if (option >= CLI_OPT_WORDS && option <= CLI_OPT_SEED) return take_words(command, option, name, o);
    return cli_take_rows(command, option, name, &pictures->rows);
  }
}

/* ------------------------------------------------------------------------------------------------------- run -- */

static bool parse(const cli_command *command, int argc, char **argv, cli_pictures *pictures) {
  pmn_extract_options *o = &pictures->rows.options;
  int letter, index = -1;
  opterr = 0;
  while ((letter = getopt_long(argc, argv, command->letters, command->options, &index)) != -1) {
    if (letter == '?' || letter == ':') {
      cli_usage_option(command->name, command->options, argv, letter);
      return false;
    }
    if (!command->take(pictures, letter, index >= 0 ? command->options[index].name : "")) return false;
    if (pictures->rows.help) return true;
    index = -1;
  }
  o->sources = (const char *const *)(argv + optind);
  o->source_count = (size_t)(argc - optind);
  if (o->source_count == 0) return cli_usage(command->name, "no SOURCE: name a folder of pictures"), false;
  return command->check == NULL || command->check(pictures);
}

static int run(const cli_command *command, cli_pictures *pictures) {
  if (pictures->rows.help) {
    command->help();
    return EXIT_ALL_ROWS;
  }
  cli_rows_start(&pictures->rows);
  return command->run(pictures);
}

int cli_pictures_run(const cli_command *command, int argc, char **argv, cli_pictures *pictures) {
  const pmn_extract_options defaults = PMN_EXTRACT_OPTIONS_INIT;
  int code = EXIT_DEVICE;
  pictures->rows = (cli_rows){.options = defaults, .report = {.level = PMN_LEVEL_INFO}};
  pictures->includes = calloc((size_t)argc, sizeof *pictures->includes);
  pictures->layers = calloc((size_t)argc, sizeof *pictures->layers);
  pictures->rows.options.includes = pictures->includes;
  pictures->rows.options.layers = pictures->layers;
  if (pictures->includes != NULL && pictures->layers != NULL)
    code = parse(command, argc, argv, pictures) ? run(command, pictures) : EXIT_USAGE;
  free(pictures->includes);
  free(pictures->layers);
  return code;
}
