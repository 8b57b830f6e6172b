/* cli.h - what the commands share. The program sees the public header alone. */
#ifndef CLI_H
#define CLI_H

#include "pomona.h"

#include <getopt.h>

/* Exit codes, the same for every command; shown by --help. */
enum {
  EXIT_ALL_ROWS = 0,
  EXIT_SOME_REJECTED = 1,
  EXIT_USAGE = 2,
  EXIT_INPUT = 3,
  EXIT_OUTPUT = 4,
  EXIT_TEMPORARY = 5,
  EXIT_DEVICE = 6,
  EXIT_MODEL = 7,
  EXIT_SIGNAL = 128, /* plus the signal's number */
};

/* Commands: argv[0] is the command's name. They return an exit code. */
int cmd_extract(int argc, char **argv);
int cmd_reduce(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_evaluate(int argc, char **argv);
int cmd_predict(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_clean(int argc, char **argv);
int cmd_verify(int argc, char **argv);
int cmd_devices(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_doctor_probe(int argc, char **argv); /* the child of the doctor */
int cmd_models(int argc, char **argv);
int cmd_inspect(int argc, char **argv);
int cmd_tune(int argc, char **argv);
int cmd_weights(int argc, char **argv);

/* Prints "pomona: MESSAGE" on stderr and returns the exit code that `status` stands for. */
int cli_fail(pmn_status status, const pmn_err *err);
/* Prints what is wrong with the command line and how to get help; returns EXIT_USAGE. */
int cli_usage(const char *command, const char *format, ...) PMN_PRINTF(2, 3);

/* The same for the option at which getopt_long has just returned `letter`, '?' or ':'. */
int cli_usage_option(const char *command, const struct option *options, char *const *argv, int letter);

/* A flag that SIGHUP, SIGINT and SIGTERM raise; a second signal of a kind ends the program at once. */
const volatile sig_atomic_t *cli_catch_signals(void);
/* After that: a flag for SIGTERM alone, which then no longer raises the other. It is what a cloud sends to a machine
 * that it will take away in two minutes. */
const volatile sig_atomic_t *cli_catch_termination(void);

/* The whole of `text` as a number from min to max; false otherwise. */
bool cli_int64(const char *text, int64_t min, int64_t max, int64_t *value);

/* "224" or "640x480", each from 1 to 8192. */
bool cli_size(const char *text, int32_t *width, int32_t *height);
/* Says that `text` is no such size; returns EXIT_USAGE. */
int cli_size_usage(const char *command, const char *text);

#endif
