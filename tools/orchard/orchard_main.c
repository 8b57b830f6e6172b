/* pomona-orchard: pictures of fruit that nobody had to photograph, laid out as Fruits-360 is.
 *
 *   OUT/Training/<Kind name>/<n>_<size>.jpg
 *   OUT/Test/<Kind name>/<n>_<size>.jpg
 *
 * For the demo, for CI and for runs at any scale (10^5 pictures), so it is one thread and one buffer, and it can be
 * stopped and run again: a picture appears under its name only when it is whole, and is not made twice. */
#define _GNU_SOURCE /* asprintf, getopt_long */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <turbojpeg.h>
#include <unistd.h>

#include "orchard_kind.h"
#include "orchard_render.h"

/* Pomona's exit codes, as far as they apply. */
enum { EXIT_USAGE = 2, EXIT_OUTPUT = 4, EXIT_SIGNAL = 128 };

#define KINDS_MAX 1000000
#define VIEWS_MAX 1000000
#define PICTURE_MIN 16 /* pixels, width and height */
#define PICTURE_MAX 2048

typedef struct orchard_options {
  const char *out;
  uint64_t kinds, views, test_views;
  uint64_t seed;
  uint64_t size, quality;
} orchard_options;

/* What a run holds: one picture, its JPEG, and the temporary file that becomes each picture in turn. */
typedef struct orchard_run {
  const orchard_options *options;
  orchard_kind kind;
  uint8_t *rgb;
  tjhandle encoder;
  unsigned char *jpeg;
  unsigned long jpeg_room;
  char *temporary;
  uint64_t made, there;
} orchard_run;

static volatile sig_atomic_t stop_signal = 0;

static void on_signal(int number) {
  stop_signal = number;
}

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("pomona-orchard: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
}

static void print_help(void) {
  puts("Usage: pomona-orchard OUT --kinds N --views N [OPTION]...\n"
       "Make pictures of fruit-like objects on white, JPEG, one folder to a kind:\n"
       "  OUT/Training/Apple Red 1/0_100.jpg ...   OUT/Test/Apple Red 1/0_100.jpg ...\n"
       "\n"
       "  --kinds N        number of kinds, 1 to 1000000\n"
       "  --views N        training pictures of each kind, 0 to 1000000\n"
       "  --test-views N   test pictures of each kind, 0 to 1000000 (default 0: no Test folder)\n"
       "  --seed N         another number grows another orchard, 0 to 2^64-1 (default 1)\n"
       "  --size N         width and height in pixels, 16 to 2048 (default 100)\n"
       "  --quality N      JPEG quality, 1 to 100 (default 90)\n"
       "  -h, --help       show this help\n"
       "\n"
       "A picture depends on seed, kind, view, size and quality alone: ask for more kinds or views\n"
       "later, and those already made stay what they are. Pictures that exist are left alone, so an\n"
       "interrupted run is completed by running it again; for another seed or quality use a new OUT.\n"
       "OUT is made if missing; its parent has to exist.\n"
       "\n"
       "Exit status: 0 all pictures are there; 1 out of memory; 2 usage; 4 OUT cannot be written;\n"
       "130 or 143 stopped by a signal.\n"
       "\n"
       "Example, 131 kinds as in Fruits-360, about 90,000 pictures:\n"
       "  pomona-orchard orchard --kinds 131 --views 517 --test-views 173");
}

/* Reads a whole decimal number from low to high; complains and returns 0 if `text` is none. */
static int read_number(const char *option, const char *text, uint64_t low, uint64_t high, uint64_t *number) {
  char *end = NULL;
  errno = 0;
  const unsigned long long value = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < low || value > high) {
    complain("%s: '%s' is not a whole number from %" PRIu64 " to %" PRIu64 "; see pomona-orchard --help", option, text,
        low, high);
    return 0;
  }
  *number = value;
  return 1;
}

typedef struct number_option {
  const char *name;
  uint64_t low, high;
  uint64_t *number;
  int given;
} number_option;

/* The operand and what must not be missing, once all options are read. Returns an exit status. */
static int check_options(
    int argc, char **argv, const number_option *kinds, const number_option *views, orchard_options *o) {
  if (optind == argc || argv[optind][0] == '\0') {
    complain(
        "no OUT folder named; say where the pictures go, for example: pomona-orchard orchard --kinds 8 --views 20");
    return EXIT_USAGE;
  }
  if (argc - optind > 1) {
    complain("'%s' is a second OUT folder; name one, and quote a name with spaces", argv[optind + 1]);
    return EXIT_USAGE;
  }
  if (!kinds->given || !views->given) {
    const char *missing = kinds->given ? views->name : kinds->name;
    complain("%s is missing; say how many, for example %s 8", missing, missing);
    return EXIT_USAGE;
  }
  o->out = argv[optind];
  return EXIT_SUCCESS;
}

/* Returns an exit status; *help is set if that is all the user wants. */
static int read_options(int argc, char **argv, orchard_options *o, int *help) {
  enum { KINDS, VIEWS, TEST_VIEWS, SEED, SIZE, QUALITY, NUMBERS };
  number_option numbers[NUMBERS] = {
      [KINDS] = {"--kinds", 1, KINDS_MAX, &o->kinds, 0},
      [VIEWS] = {"--views", 0, VIEWS_MAX, &o->views, 0},
      [TEST_VIEWS] = {"--test-views", 0, VIEWS_MAX, &o->test_views, 0},
      [SEED] = {"--seed", 0, UINT64_MAX, &o->seed, 0},
      [SIZE] = {"--size", PICTURE_MIN, PICTURE_MAX, &o->size, 0},
      [QUALITY] = {"--quality", 1, 100, &o->quality, 0},
  };
  static const struct option names[] = {
      {"kinds", required_argument, NULL, KINDS},
      {"views", required_argument, NULL, VIEWS},
      {"test-views", required_argument, NULL, TEST_VIEWS},
      {"seed", required_argument, NULL, SEED},
      {"size", required_argument, NULL, SIZE},
      {"quality", required_argument, NULL, QUALITY},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  for (int c; (c = getopt_long(argc, argv, ":h", names, NULL)) != -1;) {
    if (c == 'h') {
      *help = 1;
      return EXIT_SUCCESS;
    }
    if (c == ':') {
      complain("%s needs a number; see pomona-orchard --help", argv[optind - 1]);
      return EXIT_USAGE;
    }
    if (c == '?') {
      const char letter[] = {'-', (char)optopt, '\0'}; /* inside "-xyz", optind may still point before it */
      const int is_letter = optopt != 0 && optopt != 'h';
      complain("option '%s' is not known here; see pomona-orchard --help", is_letter ? letter : argv[optind - 1]);
      return EXIT_USAGE;
    }
    number_option *n = &numbers[c];
    n->given = 1;
    if (!read_number(n->name, optarg, n->low, n->high, n->number)) {
      return EXIT_USAGE;
    }
  }
  return check_options(argc, argv, &numbers[KINDS], &numbers[VIEWS], o);
}

/* Makes a folder unless it is there. */
static int make_folder(const char *path) {
  struct stat info;
  if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &info) == 0 && S_ISDIR(info.st_mode))) {
    return EXIT_SUCCESS;
  }
  const char *advice = errno == ENOENT ? "make its parent folder first" : "name another OUT or free this one";
  complain("cannot make the folder '%s': %s; %s", path, strerror(errno), advice);
  return EXIT_OUTPUT;
}

/* Writes all bytes to the temporary file. Returns 0, or the errno of what failed. */
static int write_temporary(const orchard_run *o, size_t bytes) {
  const int file = open(o->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) {
    return errno;
  }
  int failure = 0;
  for (size_t done = 0; done < bytes && failure == 0;) {
    const ssize_t n = write(file, o->jpeg + done, bytes - done);
    if (n >= 0) {
      done += (size_t)n;
    } else if (errno != EINTR) {
      failure = errno;
    }
  }
  if (close(file) != 0 && failure == 0) {
    failure = errno;
  }
  return failure;
}

/* Renders, encodes and places one picture. */
static int make_picture(orchard_run *o, uint32_t view, const char *path) {
  const int size = (int)o->options->size;
  unsigned long bytes = o->jpeg_room;
  orchard_render(&o->kind, view, size, o->rgb);
  if (tjCompress2(o->encoder, o->rgb, size, 0, size, TJPF_RGB, &o->jpeg, &bytes, TJSAMP_420, (int)o->options->quality,
          TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
    complain("cannot encode '%s': %s; please report this", path, tjGetErrorStr2(o->encoder));
    return EXIT_FAILURE;
  }
  int failure = write_temporary(o, bytes);
  if (failure == 0 && rename(o->temporary, path) != 0) {
    failure = errno;
  }
  if (failure != 0) {
    complain("cannot write '%s': %s; make room or rights there, then run again: what is done is kept", path,
        strerror(failure));
    return EXIT_OUTPUT;
  }
  o->made++;
  return EXIT_SUCCESS;
}

/* All views of the current kind below one of Training and Test; `first` is the number of view 0 there. */
static int make_views(orchard_run *o, const char *part, uint32_t first, uint64_t views) {
  char name[ORCHARD_NAME_SIZE];
  char *folder = NULL, *path = NULL;
  orchard_kind_name(o->kind.index, name, sizeof(name));
  if (asprintf(&folder, "%s/%s/%s", o->options->out, part, name) < 0) {
    complain("out of memory; free some and run again: what is done is kept");
    return EXIT_FAILURE;
  }
  int status = make_folder(folder);
  for (uint32_t n = 0; n < views && status == EXIT_SUCCESS && stop_signal == 0; n++) {
    struct stat info;
    if (asprintf(&path, "%s/%" PRIu32 "_%" PRIu64 ".jpg", folder, n, o->options->size) < 0) {
      complain("out of memory; free some and run again: what is done is kept");
      status = EXIT_FAILURE;
      break;
    }
    /* An empty file is what a power cut can leave of a rename; it is no picture. */
    if (stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size > 0) {
      o->there++;
    } else {
      status = make_picture(o, first + n, path);
    }
    free(path);
  }
  free(folder);
  return status;
}

/* OUT, OUT/Training and, when asked for, OUT/Test. */
static int make_parts(const orchard_options *o) {
  const char *const parts[] = {"", "/Training", "/Test"};
  int status = EXIT_SUCCESS;
  for (int i = 0; i < (o->test_views > 0 ? 3 : 2) && status == EXIT_SUCCESS; i++) {
    char *path = NULL;
    if (asprintf(&path, "%s%s", o->out, parts[i]) < 0) {
      complain("out of memory; free some and run again");
      return EXIT_FAILURE;
    }
    status = make_folder(path);
    free(path);
  }
  return status;
}

static int make_kinds(orchard_run *o) {
  const orchard_options *options = o->options;
  int status = make_parts(options);
  for (uint32_t k = 0; k < options->kinds && status == EXIT_SUCCESS && stop_signal == 0; k++) {
    orchard_kind_init(&o->kind, options->seed, k);
    status = make_views(o, "Training", 0, options->views);
    if (status == EXIT_SUCCESS && options->test_views > 0) {
      status = make_views(o, "Test", ORCHARD_TEST_VIEW, options->test_views);
    }
  }
  return status;
}

/* The temporary file lies in OUT, so on the same disk as the pictures, and carries the process number, so that two runs
 * into one OUT do not meet. */
static int orchard_init(orchard_run *o, const orchard_options *options) {
  const size_t size = (size_t)options->size;
  *o = (orchard_run){.options = options};
  o->rgb = malloc(size * size * 3);
  o->encoder = tjInitCompress();
  o->jpeg_room = tjBufSize((int)size, (int)size, TJSAMP_420);
  o->jpeg = tjAlloc((int)o->jpeg_room);
  if (asprintf(&o->temporary, "%s/.pomona-orchard-%ld.tmp", options->out, (long)getpid()) < 0) {
    o->temporary = NULL;
  }
  if (o->rgb == NULL || o->encoder == NULL || o->jpeg == NULL || o->temporary == NULL) {
    complain("out of memory for pictures of %zu x %zu; choose a smaller --size", size, size);
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

static void orchard_reset(orchard_run *o) {
  if (o->temporary != NULL) {
    unlink(o->temporary); /* there only if a picture failed half-way */
  }
  if (o->encoder != NULL) {
    tjDestroy(o->encoder);
  }
  tjFree(o->jpeg);
  free(o->temporary);
  free(o->rgb);
}

/* The first signal ends the run after the picture in hand; the second one takes the usual way. */
static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND | SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

int main(int argc, char **argv) {
  orchard_options options = {.seed = 1, .size = 100, .quality = 90};
  orchard_run run;
  int help = 0;
  int status = read_options(argc, argv, &options, &help);
  if (status != EXIT_SUCCESS) {
    return status;
  }
  if (help) {
    print_help();
    return EXIT_SUCCESS;
  }
  catch_signals();
  status = orchard_init(&run, &options);
  if (status == EXIT_SUCCESS) {
    status = make_kinds(&run);
  }
  if (status == EXIT_SUCCESS || run.made + run.there > 0) {
    complain("pictures in '%s': %" PRIu64 " made, %" PRIu64 " were there", options.out, run.made, run.there);
  }
  orchard_reset(&run);
  if (status == EXIT_SUCCESS && stop_signal != 0) {
    complain("stopped by a signal; run again to make the rest");
    status = EXIT_SIGNAL + (int)stop_signal;
  }
  return status;
}
