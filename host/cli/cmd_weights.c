/* cmd_weights.c - pomona weights: published weights fetched and verified, other people's converted. */
#include "cli.h"
#include "cli_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: pomona weights list [--json]\n"
    "       pomona weights fetch NAME... [--base-url URL] [--refetch] [--progress HOW] [-q]\n"
    "       pomona weights verify [NAME...] [--json] [-q]\n"
    "       pomona weights convert IN -o OUT [--network NAME] [--overwrite] [-q]\n"
    "Fetches the published weights of networks, and converts weights that you have to the safetensors that --weights\n"
    "of pomona extract takes. Fetched weights are kept in the cache folder ($XDG_CACHE_HOME/pomona/weights) and found\n"
    "there by pomona extract.\n\n"
    "Examples:\n"
    "  pomona weights fetch resnet50\n"
    "  pomona weights convert my_resnet.weights.h5 -o my_resnet.safetensors\n"
    "  pomona extract pictures/ -o features.parquet --features resnet50 --weights my_resnet.safetensors\n\n"
    "Commands:\n"
    "  list     every published file: name, network, size of its pictures, bytes, whether it is fetched, licence\n"
    "  fetch    download, check the hash, convert; what is cut short is taken up again; prints where the result is.\n"
    "           A published file that you have put into the cache folder as NAME.h5 is taken instead of a download\n"
    "  verify   hold what was fetched (all of it without NAME) against its record and the published hash\n"
    "  convert  IN is Keras's .h5, Keras 3's .weights.h5, or safetensors with torchvision's or timm's names; a last\n"
    "           layer of other classes than the network's is left out\n\n"
    "Options:\n"
    "      --base-url URL      where the files are instead of the published address; also $POMONA_WEIGHTS_URL\n"
    "      --refetch           even if it is there: from NAME.h5 if there is one, else from the network\n"
    "      --network NAME      whose weights IN holds; found by the tensors without it. timm's tf_efficientnet_lite0\n"
    "                          and efficientnet_lite0 look alike: name them\n"
    "  -o, --output OUT        safetensors; appears only when it is whole\n"
    "      --overwrite         replace OUT if it is there\n"
    "      --progress HOW      auto (default), plain, json or none, on standard error\n"
    "      --json              print JSON on standard output\n"
    "  -q, --quiet             only errors\n"
    "  -h, --help              this text\n\n"
    "Exit code: 0 done; 2 usage; 3 no such file, here or there; 4 output exists or cannot be written; 5 network: try\n"
    "again; 6 memory; 7 wrong hash, or weights that are malformed or do not fit; 129, 130, 143 interrupted.\n";

/* An option is 1 << its place here, so that a command can say which it takes. */
enum {
  OPT_BASE_URL,
  OPT_REFETCH,
  OPT_NETWORK,
  OPT_OUTPUT,
  OPT_OVERWRITE,
  OPT_PROGRESS,
  OPT_JSON,
  OPT_QUIET,
  OPT_HELP,
};

static const struct option long_options[] = {
    {"base-url", required_argument, NULL, OPT_BASE_URL},
    {"refetch", no_argument, NULL, OPT_REFETCH},
    {"network", required_argument, NULL, OPT_NETWORK},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"overwrite", no_argument, NULL, OPT_OVERWRITE},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"json", no_argument, NULL, OPT_JSON},
    {"quiet", no_argument, NULL, OPT_QUIET},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

typedef struct arguments {
  char **names;
  int count;
  unsigned given; /* options, 1 << each */
  const char *base_url, *network, *output;
  cli_progress progress;
  /* of a download that is under way */
  const char *name;
  bool terminal, line_open;
  time_t last_line;
  int64_t last_done;
} arguments;

static bool has(const arguments *a, int option) {
  return (a->given >> option & 1) != 0;
}

/* Text in JSON's quotes. What is no UTF-8 (a folder's name) goes through as it is. */
static void print_json_text(const char *text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c < ' ' || c == '"' || c == '\\')
      printf("\\u%04x", c);
    else
      putchar(c);
  }
  putchar('"');
}

/* ------------------------------------------------------------------------------------------------------- list -- */

/* All that is published; free it. NULL after saying what is wrong, with the exit code in *code. */
static pmn_weights_info *read_list(int32_t *count, int *code) {
  pmn_err err = PMN_ERR_INIT;
  pmn_weights_info *list = NULL;
  pmn_status status = pmn_weights_list(NULL, 0, count, &err);
  *code = EXIT_DEVICE;
  if (status == PMN_STATUS_OK && (list = calloc((size_t)*count + 1, sizeof *list)) == NULL) {
    fprintf(stderr, "pomona: no memory for the list of weights\n");
    return NULL;
  }
  if (status == PMN_STATUS_OK) status = pmn_weights_list(list, *count, count, &err);
  if (status == PMN_STATUS_OK) return list;
  free(list);
  *code = cli_fail(status, &err);
  return NULL;
}

static void print_json_entry(const pmn_weights_info *w, bool last) {
  printf("  {\"name\": \"%s\", \"network\": \"%s\", \"size\": %d, \"classifier\": %s, \"bytes\": ", w->name, w->network,
      w->size, w->classifier ? "true" : "false");
  if (w->bytes > 0)
    printf("%lld", (long long)w->bytes);
  else
    printf("null");
  printf(", \"fetched\": %s, \"path\": ", w->fetched ? "true" : "false");
  print_json_text(w->path);
  printf(", \"licence\": ");
  print_json_text(w->licence);
  printf("}%s\n", last ? "" : ",");
}

static int list_weights(arguments *a) {
  int32_t count = 0;
  int code = EXIT_ALL_ROWS;
  if (a->count > 0) return cli_usage("weights", "list takes no names");
  pmn_weights_info *list = read_list(&count, &code);
  if (list == NULL) return code;
  if (has(a, OPT_JSON)) {
    printf("[\n");
    for (int32_t i = 0; i < count; i++) print_json_entry(&list[i], i == count - 1);
    printf("]\n");
  } else {
    printf(
        "%-25s %-17s %4s  %-10s %6s  %-7s  %s\n", "name", "network", "size", "classifier", "MB", "fetched", "licence");
    for (int32_t i = 0; i < count; i++) {
      const pmn_weights_info *w = &list[i];
      char megabytes[16] = "?";
      if (w->bytes > 0) snprintf(megabytes, sizeof megabytes, "%.1f", (double)w->bytes * 1e-6);
      printf("%-25s %-17s %4d  %-10s %6s  %-7s  %s\n", w->name, w->network, w->size, w->classifier ? "yes" : "no",
          megabytes, w->fetched ? "yes" : "no", w->licence);
    }
  }
  free(list);
  return EXIT_ALL_ROWS;
}

/* ------------------------------------------------------------------------------------------------------ fetch -- */

static void end_line(arguments *a) {
  if (a->line_open) fputs("\r\033[K", stderr);
  a->line_open = false;
}

static void on_progress(void *arg, int64_t done, int64_t total) {
  arguments *a = arg;
  time_t now = time(NULL);
  bool rewrites = a->progress == CLI_PROGRESS_AUTO && a->terminal;
  if (a->progress == CLI_PROGRESS_NONE || done == a->last_done) return;
  if (now - a->last_line < (rewrites || a->progress == CLI_PROGRESS_JSON ? 1 : 10) && done != total) return;
  a->last_line = now;
  a->last_done = done;
  if (a->progress == CLI_PROGRESS_JSON) {
    fprintf(stderr, "{\"phase\": \"fetch\", \"name\": \"%s\", \"done\": %lld, \"total\": %lld}\n", a->name,
        (long long)done, (long long)total);
    return;
  }
  if (rewrites) fputs("\r\033[K", stderr);
  fprintf(stderr, "%s: %.1f", a->name, (double)done * 1e-6);
  if (total > 0) fprintf(stderr, " of %.1f", (double)total * 1e-6);
  fputs(rewrites ? " MB" : " MB\n", stderr);
  a->line_open = rewrites;
}

static void on_message(void *arg, pmn_level level, const char *text) {
  arguments *a = arg;
  if (level == PMN_LEVEL_DETAIL || (has(a, OPT_QUIET) && level != PMN_LEVEL_WARNING)) return;
  end_line(a);
  fprintf(stderr, "pomona: %s%s\n", level == PMN_LEVEL_WARNING ? "warning: " : "", text);
}

/* A network whose weights need no fetching. */
static bool is_embedded(const char *name) {
  int32_t count = 0;
  bool embedded = false;
  if (pmn_networks_list(NULL, 0, &count, NULL) != PMN_STATUS_OK) return false;
  pmn_network_info *list = calloc((size_t)count + 1, sizeof *list);
  if (list == NULL || pmn_networks_list(list, count, &count, NULL) != PMN_STATUS_OK) count = 0;
  for (int32_t i = 0; i < count; i++) embedded = embedded || (list[i].embedded && strcmp(list[i].name, name) == 0);
  free(list);
  return embedded;
}

static int fetch_weights(arguments *a) {
  int code = EXIT_ALL_ROWS;
  if (a->count == 0) return cli_usage("weights", "fetch what? pomona weights list shows the names");
  pmn_fetch_options options = PMN_FETCH_OPTIONS_INIT;
  options.base_url = a->base_url;
  options.refetch = has(a, OPT_REFETCH);
  options.on_progress = on_progress;
  options.on_message = on_message;
  options.callback_arg = a;
  options.stop = cli_catch_signals();
  for (int i = 0; i < a->count; i++) {
    pmn_fetched fetched;
    pmn_err err = PMN_ERR_INIT;
    options.name = a->name = a->names[i];
    if (is_embedded(a->name)) {
      if (!has(a, OPT_QUIET)) fprintf(stderr, "pomona: %s is inside the program: there is nothing to fetch\n", a->name);
      continue;
    }
    a->last_done = -1;
    pmn_status status = pmn_weights_fetch(&options, &fetched, &err);
    end_line(a);
    if (status != PMN_STATUS_OK) {
      int failed = cli_fail(status, &err);
      if (code == EXIT_ALL_ROWS) code = failed;
      if (status == PMN_STATUS_INTERRUPTED) break;
      continue;
    }
    if (!has(a, OPT_QUIET)) {
      fprintf(stderr, "pomona: %s: %s, %lld bytes, SHA-256 %s%s\n", a->name, fetched.was_there ? "is there" : "fetched",
          (long long)fetched.bytes, fetched.sha256, fetched.pinned ? ", MD5 as published" : "");
    }
    printf("%s\n", fetched.path);
  }
  return code;
}

/* ----------------------------------------------------------------------------------------------------- verify -- */

static int verify_one(const arguments *a, const char *name, bool first) {
  pmn_fetched fetched = {.bytes = 0};
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = pmn_weights_verify(name, &fetched, &err);
  bool good = status == PMN_STATUS_OK;
  if (has(a, OPT_JSON)) {
    printf("%s  {\"name\": ", first ? "" : ",\n");
    print_json_text(name);
    printf(", \"good\": %s", good ? "true" : "false");
    if (good) {
      printf(", \"pinned\": %s, \"bytes\": %lld, \"md5\": \"%s\", \"sha256\": \"%s\", \"safetensors_sha256\": \"%s\"",
          fetched.pinned ? "true" : "false", (long long)fetched.bytes, fetched.md5, fetched.sha256,
          fetched.safetensors_sha256);
    }
    printf(", \"path\": ");
    print_json_text(fetched.path);
    printf("}");
  } else if (good && !has(a, OPT_QUIET)) {
    printf("%s: good; %s; SHA-256 of the safetensors %s\n", name,
        fetched.pinned ? "made of the published file" : "made of the file first seen here, no hash is published",
        fetched.safetensors_sha256);
  }
  return good ? EXIT_ALL_ROWS : cli_fail(status, &err);
}

static int verify_weights(arguments *a) {
  int32_t count = a->count, verified = 0;
  int code = EXIT_ALL_ROWS;
  pmn_weights_info *list = NULL;
  if (a->count == 0 && (list = read_list(&count, &code)) == NULL) return code;
  code = EXIT_ALL_ROWS;
  if (has(a, OPT_JSON)) printf("[\n");
  for (int32_t i = 0; i < count; i++) {
    if (list != NULL && !list[i].fetched) continue;
    int one = verify_one(a, list != NULL ? list[i].name : a->names[i], verified++ == 0);
    if (code == EXIT_ALL_ROWS) code = one;
  }
  if (has(a, OPT_JSON)) printf("%s]\n", verified > 0 ? "\n" : "");
  if (verified == 0 && !has(a, OPT_QUIET)) fprintf(stderr, "pomona: no weights are fetched yet\n");
  free(list);
  return code;
}

/* ---------------------------------------------------------------------------------------------------- convert -- */

static int convert_weights(arguments *a) {
  pmn_converted converted;
  pmn_err err = PMN_ERR_INIT;
  if (a->count != 1) return cli_usage("weights", "convert takes one file, not %d", a->count);
  if (a->output == NULL) return cli_usage("weights", "convert %s to what? name a file with -o", a->names[0]);
  pmn_status status = pmn_weights_convert(
      a->names[0], a->network, a->output, has(a, OPT_OVERWRITE), cli_catch_signals(), &converted, &err);
  if (status != PMN_STATUS_OK) return cli_fail(status, &err);
  if (!has(a, OPT_QUIET)) {
    fprintf(stderr, "pomona: %s: %s%s, trained with %s; %d tensors, %lld bytes, SHA-256 %s\n", a->output,
        converted.network, converted.classifier ? " with its classifier" : "",
        strcmp(converted.framework, "torch") == 0 ? "PyTorch" : "Keras", converted.tensors, (long long)converted.bytes,
        converted.sha256);
    if (converted.note[0] != '\0') fprintf(stderr, "pomona: %s: %s\n", a->output, converted.note);
  }
  return EXIT_ALL_ROWS;
}

/* ------------------------------------------------------------------------------------------------ command line -- */

static const struct {
  const char *name;
  unsigned options; /* that it takes, besides --help */
  int (*run)(arguments *a);
} commands[] = {
    {"list", 1u << OPT_JSON, list_weights},
    {"fetch", 1u << OPT_BASE_URL | 1u << OPT_REFETCH | 1u << OPT_PROGRESS | 1u << OPT_QUIET, fetch_weights},
    {"verify", 1u << OPT_JSON | 1u << OPT_QUIET, verify_weights},
    {"convert", 1u << OPT_NETWORK | 1u << OPT_OUTPUT | 1u << OPT_OVERWRITE | 1u << OPT_QUIET, convert_weights},
};

/* Takes options wherever they stand; false when the user has been told what is wrong. */
static bool parse(int argc, char **argv, arguments *a) {
  static const char *const ways[] = {"auto", "plain", "json", "none"};
  int option, way;
  opterr = 0;
  while ((option = getopt_long(argc, argv, ":o:qh", long_options, NULL)) != -1) {
    if (option == '?' || option == ':') return cli_usage_option("weights", long_options, argv, option), false;
    if (option == 'o') option = OPT_OUTPUT;
    if (option == 'q') option = OPT_QUIET;
    if (option == 'h') option = OPT_HELP;
    a->given |= 1u << option;
    if (option == OPT_HELP) return true;
    if (option == OPT_BASE_URL) a->base_url = optarg;
    if (option == OPT_NETWORK) a->network = optarg;
    if (option == OPT_OUTPUT) a->output = optarg;
    if (option != OPT_PROGRESS) continue;
    for (way = 0; way < 4 && strcmp(optarg, ways[way]) != 0; way++) {}
    if (way == 4) return cli_usage("weights", "--progress %s: it can be auto, plain, json or none", optarg), false;
    a->progress = (cli_progress)way;
  }
  a->names = argv + optind;
  a->count = argc - optind;
  return true;
}

int cmd_weights(int argc, char **argv) {
  const char *terminal = getenv("TERM");
  arguments a = {
      .terminal = isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0, .last_line = time(NULL)};
  if (!parse(argc, argv, &a)) return EXIT_USAGE;
  if (has(&a, OPT_HELP)) {
    fputs(help, stdout);
    return EXIT_ALL_ROWS;
  }
  if (has(&a, OPT_QUIET) && a.progress == CLI_PROGRESS_AUTO) a.progress = CLI_PROGRESS_NONE;
  if (a.count == 0) return cli_usage("weights", "no command: list, fetch, verify or convert");
  const char *command = *a.names++;
  a.count--;
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    if (strcmp(command, commands[i].name) != 0) continue;
    for (const struct option *o = long_options; o->name != NULL; o++) {
      if (has(&a, o->val) && (commands[i].options >> o->val & 1) == 0) {
        return cli_usage("weights", "%s takes no --%s", command, o->name);
      }
    }
    return commands[i].run(&a);
  }
  return cli_usage("weights", "there is no command \"%s\"; it can be list, fetch, verify or convert", command);
}
