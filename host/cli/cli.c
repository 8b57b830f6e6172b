/* cli.c - see cli.h. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_PIXELS = 8192 }; /* as pomona.h has it */

static volatile sig_atomic_t caught, terminated;

static void raise_flag(int signal_number) {
  caught = signal_number;
}

static void raise_terminated(int signal_number) {
  terminated = signal_number;
}

/* A signal that was ignored from the start stays ignored: nohup, and what a script puts in the background. */
static void catch_signal(int signal_number, void (*handler)(int)) {
  struct sigaction old, action = {.sa_handler = handler, .sa_flags = (int)(SA_RESETHAND | SA_RESTART)};
  sigemptyset(&action.sa_mask);
  if (sigaction(signal_number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(signal_number, &action, NULL);
}

const volatile sig_atomic_t *cli_catch_signals(void) {
  catch_signal(SIGHUP, raise_flag);
  catch_signal(SIGINT, raise_flag);
  catch_signal(SIGTERM, raise_flag);
  signal(SIGXFSZ, SIG_IGN); /* a file size limit is then an error that the library reports */
  signal(SIGPIPE, SIG_IGN); /* a run of hours does not end because nobody reads its progress any more */
  return &caught;
}

const volatile sig_atomic_t *cli_catch_termination(void) {
  catch_signal(SIGTERM, raise_terminated);
  return &terminated;
}

int cli_fail(pmn_status status, const pmn_err *err) {
  bool may_overwrite = status == PMN_STATUS_EXISTS && strstr(err->message, "allow to overwrite") != NULL;
  fprintf(stderr, "pomona: %s%s\n", err->message, may_overwrite ? " (--overwrite)" : "");
  switch (status) {
  case PMN_STATUS_OK:
    return EXIT_ALL_ROWS;
  case PMN_STATUS_ARGUMENT:
    return EXIT_USAGE;
  case PMN_STATUS_NOT_FOUND:
  case PMN_STATUS_IMAGE:
  case PMN_STATUS_REJECTED:
    return EXIT_INPUT;
  case PMN_STATUS_EXISTS:
  case PMN_STATUS_WRITE:
    return EXIT_OUTPUT;
  case PMN_STATUS_MODEL:
    return EXIT_MODEL;
  case PMN_STATUS_NETWORK:
  case PMN_STATUS_KEYS:
  case PMN_STATUS_PAUSED:
    return EXIT_TEMPORARY;
  case PMN_STATUS_DEVICE:
  case PMN_STATUS_NO_MEMORY:
    return EXIT_DEVICE;
  case PMN_STATUS_INTERRUPTED:
    return EXIT_SIGNAL + (caught != 0 ? caught : terminated != 0 ? terminated : SIGINT);
  }
  return EXIT_DEVICE;
}

int cli_usage(const char *command, const char *format, ...) {
  va_list args;
  fprintf(stderr, "pomona%s%s: ", command != NULL ? " " : "", command != NULL ? command : "");
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "; pomona%s%s --help tells more\n", command != NULL ? " " : "", command != NULL ? command : "");
  return EXIT_USAGE;
}

int cli_usage_option(const char *command, const struct option *options, char *const *argv, int letter) {
  const char *word = argv[optind - 1]; /* where getopt stopped; for a letter among others, perhaps the word before */
  bool is_long = strncmp(word, "--", 2) == 0;
  if (letter == ':' && is_long) return cli_usage(command, "%s needs a value", word);
  if (letter == ':') return cli_usage(command, "-%c needs a value", optopt);
  if (optopt == 0) return cli_usage(command, "%s is no option, or short for more than one", word);
  for (; options->name != NULL; options++) {
    if (options->val == optopt && is_long) return cli_usage(command, "--%s takes no value", options->name);
  }
  return cli_usage(command, "-%c is no option", optopt);
}

bool cli_int64(const char *text, int64_t min, int64_t max, int64_t *value) {
  char *end = NULL;
  if (!isdigit((unsigned char)text[0]) && text[0] != '-') return false;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (errno != 0 || *end != '\0' || parsed < min || parsed > max) return false;
  *value = parsed;
  return true;
}

bool cli_size(const char *text, int32_t *width, int32_t *height) {
  char first[8];
  int64_t w, h;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits >= sizeof first || (text[digits] != '\0' && text[digits] != 'x')) return false;
  memcpy(first, text, digits);
  first[digits] = '\0';
  if (!cli_int64(first, 1, SIZE_MAX_PIXELS, &w)) return false;
  h = w;
  if (text[digits] == 'x' && !cli_int64(text + digits + 1, 1, SIZE_MAX_PIXELS, &h)) return false;
  *width = (int32_t)w;
  *height = (int32_t)h;
  return true;
}

int cli_size_usage(const char *command, const char *text) {
  return cli_usage(command, "--size %s: not a size like 224 or 640x480, each from 1 to %d", text, SIZE_MAX_PIXELS);
}
