/* pmn_hdf5.c - see pmn_hdf5.h. */
#define _GNU_SOURCE /* pipe2 */
#include "pmn_hdf5.h"

#include "pmn_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SILENCE_SECONDS = 120, STOP_MS = 100, COMPLAINT_SIZE = 400, READ_SIZE = 1 << 20 };

static const char program[] = "pomona-hdf5";

bool pmn_hdf5_has_head(const char head[PMN_HEAD_SIZE]) {
  return memcmp(head, "\x89HDF\r\n\x1a\n", 8) == 0;
}

void pmn_hdf5_show_head(const char head[PMN_HEAD_SIZE], int64_t size, char text[PMN_HEAD_TEXT_SIZE]) {
  int count = size < PMN_HEAD_SIZE ? (int)size : PMN_HEAD_SIZE;
  for (int i = 0; i < count; i++) text[i] = (char)(head[i] >= ' ' && head[i] < 127 ? head[i] : '.');
  snprintf(text + count, (size_t)(PMN_HEAD_TEXT_SIZE - count), "%s", size > count ? "..." : "");
}

typedef struct reader {
  pid_t pid;  /* 0: none was started */
  int answer; /* reading ends of the program's standard output and error; -1: closed */
  int complaint;
  char text[COMPLAINT_SIZE + 1];
  size_t text_size;
} reader;

/* ------------------------------------------------------------------------------------------------ the program -- */

static bool is_there(pmn_buf *path, const char *folder, const char *below) {
  pmn_buf_clear(path);
  return pmn_buf_printf(path, NULL, "%s%s/%s", folder, below, program) == PMN_STATUS_OK &&
         access(path->data, X_OK) == 0;
}

/* $POMONA_LIBEXEC alone if it is set; beside the running program, as in a build; where it is installed, seen from the
 * running program and as it was configured. */
static pmn_status find_program(pmn_buf *path, pmn_err *err) {
  const char *chosen = getenv("POMONA_LIBEXEC");
  char self[4096];
  if (chosen != NULL && chosen[0] != '\0') {
    if (is_there(path, chosen, "")) return PMN_STATUS_OK;
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
        "there is no program %s in %.200s, where POMONA_LIBEXEC says it is", program, chosen);
  }
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  self[length > 0 ? length : 0] = '\0';
  char *slash = strrchr(self, '/');
  if (slash != NULL) {
    *slash = '\0';
    if (is_there(path, self, "") || is_there(path, self, "/../libexec/pomona")) return PMN_STATUS_OK;
  }
  if (is_there(path, PMN_LIBEXEC, "")) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0,
      "cannot read .h5 files: the program %s is not in %s; say where it is with POMONA_LIBEXEC", program, PMN_LIBEXEC);
}

/* A pipe whose ends are above the standard streams, whatever the caller has closed: they are put there in the child. */
static bool open_pipe(int ends[2]) {
  int raw[2];
  ends[0] = ends[1] = -1;
  if (pipe2(raw, O_CLOEXEC) != 0) return false;
  for (int i = 0; i < 2; i++) {
    ends[i] = fcntl(raw[i], F_DUPFD_CLOEXEC, 3);
    close(raw[i]);
  }
  return ends[0] >= 0 && ends[1] >= 0;
}

/* Every signal as it is for a fresh program: ours may block or ignore some. */
static int reset_signals(posix_spawnattr_t *attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  int code = posix_spawnattr_setsigdefault(attributes, &all);
  if (code == 0) code = posix_spawnattr_setsigmask(attributes, &none);
  if (code == 0) code = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  return code;
}

static int spawn(const char *path, int input, int output, int errors, pid_t *pid) {
  static char name[] = "pomona-hdf5", plugins[] = "HDF5_PLUGIN_PATH=", locking[] = "HDF5_USE_FILE_LOCKING=FALSE";
  char parent[16];
  snprintf(parent, sizeof parent, "%d", (int)getpid()); /* so that it knows when we are gone */
  char *const arguments[] = {name, parent, NULL}, *const environment[] = {plugins, locking, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int code = posix_spawn_file_actions_init(&actions);
  if (code != 0) return code;
  code = posix_spawnattr_init(&attributes);
  if (code == 0) {
    code = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (code == 0) code = reset_signals(&attributes);
    if (code == 0) code = posix_spawn(pid, path, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
  }
  posix_spawn_file_actions_destroy(&actions);
  return code;
}

static pmn_status start(reader *self, int fd, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int output[2] = {-1, -1}, errors[2] = {-1, -1}, input = fcntl(fd, F_DUPFD_CLOEXEC, 3);
  pmn_buf path;
  pmn_buf_init(&path, 8192);
  PMN_TRY(find_program(&path, err));
  if (input < 0 || !open_pipe(output) || !open_pipe(errors)) {
    PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, errno, "cannot make a pipe: %s", strerror(errno));
  }
  int code = spawn(path.data, input, output[1], errors[1], &self->pid);
  if (code != 0) {
    self->pid = 0;
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, code, "cannot start %.300s: %s", path.data, strerror(code));
  }
  self->answer = output[0];
  self->complaint = errors[0];
  output[0] = errors[0] = -1;
done:
  for (int i = 0; i < 2; i++) {
    if (output[i] >= 0) close(output[i]);
    if (errors[i] >= 0) close(errors[i]);
  }
  if (input >= 0) close(input);
  pmn_buf_reset(&path);
  return st;
}

/* ------------------------------------------------------------------------------------------------- its answer -- */

static void close_end(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

/* What has arrived on a pipe, at `into`; 0 at its end, which closes it. */
static size_t take(int *fd, void *into, size_t capacity) {
  ssize_t got;
  do {
    got = read(*fd, into, capacity);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) close_end(fd);
  return got <= 0 ? 0 : (size_t)got;
}

static pmn_status take_answer(reader *self, const char *path, pmn_buf *stream, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (stream->size + READ_SIZE > stream->max) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s holds more than the limit of %zu bytes", path, stream->max);
  }
  if (stream->size + READ_SIZE > stream->capacity) {
    size_t twice = 2 * stream->capacity;
    PMN_TRY(pmn_buf_reserve(stream,
        twice > stream->max                ? stream->max
        : stream->size + READ_SIZE > twice ? stream->size + READ_SIZE
                                           : twice,
        err));
  }
  stream->size += take(&self->answer, stream->data + stream->size, READ_SIZE);
done:
  return st;
}

static void take_complaint(reader *self) {
  char rest[COMPLAINT_SIZE];
  size_t room = COMPLAINT_SIZE - self->text_size;
  if (room > 0)
    self->text_size += take(&self->complaint, self->text + self->text_size, room);
  else
    take(&self->complaint, rest, sizeof rest);
}

/* Both pipes to their ends. */
static pmn_status listen_to(
    reader *self, const char *path, const volatile sig_atomic_t *stop, pmn_buf *stream, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double heard = pmn_clock_seconds();
  while (self->answer >= 0 || self->complaint >= 0) {
    struct pollfd ends[] = {{.fd = self->answer, .events = POLLIN}, {.fd = self->complaint, .events = POLLIN}};
    int ready = poll(ends, 2, STOP_MS);
    if (stop != NULL && *stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
    if (ready < 0 && errno != EINTR) PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, errno, "poll: %s", strerror(errno));
    if (ready > 0) heard = pmn_clock_seconds();
    if (pmn_clock_seconds() - heard > SILENCE_SECONDS) {
      PMN_FAIL(
          err, PMN_STATUS_MODEL, "%s: the program that reads it gave nothing for %d seconds", path, SILENCE_SECONDS);
    }
    if (ready > 0 && ends[0].revents != 0) PMN_TRY(take_answer(self, path, stream, err));
    if (ready > 0 && ends[1].revents != 0) take_complaint(self);
  }
done:
  return st;
}

/* How it ended. No status to be had (the caller ignores SIGCHLD): then its answer alone counts. */
static pmn_status judge(const reader *self, bool known, int state, const char *path, pmn_err *err) {
  if (self->text_size > 0) return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: %s", path, self->text);
  if (!known) return PMN_STATUS_OK;
  if (WIFSIGNALED(state)) {
    return pmn_err_set(err, PMN_STATUS_MODEL, WTERMSIG(state),
        "%s: the program that reads it was ended by signal %d (%s): the file is damaged, or made to do harm", path,
        WTERMSIG(state), strsignal(WTERMSIG(state)));
  }
  if (WEXITSTATUS(state) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, WEXITSTATUS(state),
        "%s: the program that reads it ended with code %d and no word", path, WEXITSTATUS(state));
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_hdf5_read(
    int fd, int64_t size, const char *path, const volatile sig_atomic_t *stop, pmn_buf *stream, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  reader self = {.answer = -1, .complaint = -1};
  pmn_buf_clear(stream);
  /* What is stored plainly, as Keras does, comes in about as many bytes; so the buffer seldom moves. */
  size_t guess = (size_t)size + 2 * READ_SIZE;
  PMN_TRY(pmn_buf_reserve(stream, guess < stream->max ? guess : stream->max, err));
  PMN_TRY(start(&self, fd, err));
  PMN_TRY(listen_to(&self, path, stop, stream, err));
done:
  close_end(&self.answer);
  close_end(&self.complaint);
  if (self.pid > 0) {
    int state = 0;
    pid_t ended;
    if (st != PMN_STATUS_OK) kill(self.pid, SIGKILL);
    do {
      ended = waitpid(self.pid, &state, 0);
    } while (ended < 0 && errno == EINTR);
    if (st == PMN_STATUS_OK) st = judge(&self, ended == self.pid, state, path, err);
  }
  return st;
}
