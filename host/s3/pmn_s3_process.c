/* pmn_s3_process.c - see pmn_s3_source.h: keys that another program prints (a profile's credential_process).
 *
 * No shell: the words are told apart here, as the AWS tools do. What the program prints to its standard output is only
 * ever looked at as JSON; its standard error and its terminal are the user's, so that it can ask or complain.
 */
#define _GNU_SOURCE /* pipe2, environ */
#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_s3_source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------------- words -- */

/* One word from *text on into *out, as POSIX shells quote: '...' as it is, "..." where a backslash escapes \ and ", and
 * a backslash before any other character. False for a quote without its end. */
static bool read_word(const char **text, char **out) {
  char quote = '\0';
  for (const char *p = *text;; p++) {
    if (*p == '\0' || (quote == '\0' && strchr(" \t\r\n", *p) != NULL)) {
      *text = p;
      *(*out)++ = '\0';
      return quote == '\0';
    }
    if (quote == '\0' && (*p == '\'' || *p == '"')) {
      quote = *p;
    } else if (*p == quote) {
      quote = '\0';
    } else {
      bool escape = *p == '\\' && (quote == '\0' || (quote == '"' && (p[1] == '"' || p[1] == '\\')));
      if (escape && *++p == '\0') return false;
      *(*out)++ = *p;
    }
  }
}

/* *words: NULL-terminated, one block of memory with their bytes in `bytes`. */
static pmn_status split(const char *command, char ***words, char **bytes, const char *where, pmn_err *err) {
  size_t size = strlen(command), count = 0;
  *words = pmn_calloc(size / 2 + 2, sizeof **words);
  *bytes = pmn_alloc(size + 1, 1);
  if (*words == NULL || *bytes == NULL) return pmn_err_memory(err, 10 * size, "a command");
  for (char *out = *bytes;;) {
    command += strspn(command, " \t\r\n");
    if (*command == '\0') break;
    (*words)[count++] = out;
    if (!read_word(&command, &out)) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: a quote without its end in the command", where);
    }
  }
  return PMN_STATUS_OK;
}

/* ----------------------------------------------------------------------------------------------------- running -- */

/* Standard input is empty, which ours may not be; signals are as a program expects them. */
static int start(char *const *words, int output, pid_t *pid) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  sigset_t none, pipe_signal;
  sigemptyset(&none);
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  int code = posix_spawn_file_actions_init(&files);
  if (code != 0) return code;
  code = posix_spawnattr_init(&attributes);
  if (code != 0) {
    posix_spawn_file_actions_destroy(&files);
    return code;
  }
  if (code == 0) code = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  if (code == 0) code = posix_spawn_file_actions_adddup2(&files, output, 1);
  if (code == 0) code = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  if (code == 0) code = posix_spawnattr_setsigmask(&attributes, &none);
  if (code == 0) code = posix_spawnattr_setsigdefault(&attributes, &pipe_signal);
  if (code == 0) code = posix_spawnp(pid, words[0], &files, &attributes, words, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return code;
}

/* Everything until the other end is closed. */
static pmn_status collect(int fd, double deadline, pmn_buf *output, const char *where, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_buf_reserve(output, output->max, err)); /* so that secrets are not strewn about */
  for (;;) {
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    double left = deadline - pmn_clock_seconds();
    if (left <= 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: it has not ended in time", where);
    int events = poll(&ready, 1, (int)(left * 1000) + 1);
    if (events == 0 || (events < 0 && errno == EINTR)) continue;
    if (output->size == output->max) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: it prints more than %zu bytes", where, output->max);
    }
    ssize_t got = read(fd, output->data + output->size, output->max - output->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) PMN_FAIL_CODE(err, PMN_STATUS_NETWORK, errno, "%s: %s", where, strerror(errno));
    if (got == 0) break;
    output->size += (size_t)got;
    output->data[output->size] = '\0';
  }
done:
  return st;
}

/* Waits for the end, and makes one when time is up. */
static pmn_status finish(pid_t pid, double deadline, const char *where, pmn_err *err) {
  const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};
  int how = 0;
  pid_t ended;
  while ((ended = waitpid(pid, &how, WNOHANG)) == 0 || (ended < 0 && errno == EINTR)) {
    if (pmn_clock_seconds() >= deadline) {
      kill(pid, SIGKILL);
      while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {}
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: it has not ended in time", where);
    }
    nanosleep(&step, NULL);
  }
  if (ended < 0) return PMN_STATUS_OK; /* the host of this library takes its children's ends itself */
  if (WIFSIGNALED(how)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, how, "%s: ended by signal %d", where, WTERMSIG(how));
  }
  if (WEXITSTATUS(how) == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, how, "%s: ended with exit code %d; run it by hand to see what is wrong",
      where, WEXITSTATUS(how));
}

pmn_status pmn_s3_process_keys(
    const char *command, double seconds, const char *where, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char **words = NULL, *bytes = NULL;
  int ends[2] = {-1, -1};
  pid_t pid = -1;
  double deadline = pmn_clock_seconds() + seconds;
  pmn_buf output;
  pmn_buf_init(&output, PMN_S3_ANSWER_MAX);
  PMN_TRY(split(command, &words, &bytes, where, err));
  if (words[0] == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: there is no command", where);
  if (pipe2(ends, O_CLOEXEC) != 0) PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, errno, "%s: %s", where, strerror(errno));
  int code = start(words, ends[1], &pid);
  if (code != 0)
    PMN_FAIL_CODE(err, PMN_STATUS_ARGUMENT, code, "%s: cannot run %.200s: %s", where, words[0], strerror(code));
  close(ends[1]);
  ends[1] = -1;
  st = collect(ends[0], deadline, &output, where, err);
  pmn_status ended = finish(pid, st == PMN_STATUS_OK ? deadline : 0, where, st == PMN_STATUS_OK ? err : NULL);
  if (st == PMN_STATUS_OK) st = ended;
  if (st == PMN_STATUS_OK) st = pmn_s3_keys_parse(&output, true, where, keys, err);
done:
  if (ends[0] >= 0) close(ends[0]);
  if (ends[1] >= 0) close(ends[1]);
  pmn_s3_wipe(&output);
  pmn_free(words);
  pmn_free(bytes);
  return st;
}
