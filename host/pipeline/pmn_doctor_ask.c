/* pmn_doctor_ask.c - see pmn_doctor.h.
 *
 * The child is another program, started by posix_spawn: a fork of a process that has OpenCL and its threads loaded
 * could do nothing safely. What a driver may do to it (crash, hang in the kernel, write to its streams) must not reach
 * us: it is killed in the end, and not waited for for ever if even that does not end it.
 */
#define _GNU_SOURCE /* pipe2 */
#include "pmn_doctor.h"

#include "pmn_clock.h"
#include "pmn_examine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* A child that only waits, so that tests can see one killed. */
#define SLEEPER "sleep"
#define GRACE_SECONDS 2.0

pmn_status pmn_doctor_probe(const char *name, int32_t device, pmn_err *err) {
  while (strcmp(name, SLEEPER) == 0) pause();
  return pmn_ocl_probe_run(device, name, err);
}

static pmn_status child_start(
    const char *program, const char *name, int32_t device, int out, pid_t *child, pmn_err *err) {
  char index[16], *arguments[] = {(char *)(uintptr_t) "pomona", (char *)(uintptr_t) "doctor-probe",
                      (char *)(uintptr_t)name, index, NULL};
  posix_spawn_file_actions_t actions;
  snprintf(index, sizeof index, "%d", device);
  int code = posix_spawn_file_actions_init(&actions);
  if (code != 0) return pmn_err_memory(err, sizeof actions, "a probe");
  if (code == 0) code = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  if (code == 0) code = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (code == 0) code = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  if (code == 0) code = posix_spawn(child, program, &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (code == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_DEVICE, code, "cannot start %s to probe a device: %s", program, strerror(code));
}

/* What the child writes until it closes its end or the time is over; a text. */
static void answer_read(int from, double deadline, char *text, size_t size) {
  size_t length = 0;
  double left;
  while (length + 1 < size && (left = deadline - pmn_clock_seconds()) > 0) {
    struct pollfd end = {.fd = from, .events = POLLIN};
    int ready = poll(&end, 1, (int)(left * 1e3) + 1);
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    ssize_t got = read(from, text + length, size - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  text[length] = '\0';
  text[strcspn(text, "\n")] = '\0';
}

/* Waits for the child until the deadline; false if it is still there. */
static bool child_wait(pid_t child, double deadline, int *status) {
  for (;;) {
    pid_t ended = waitpid(child, status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) return true;
    if (pmn_clock_seconds() >= deadline) return false;
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
  }
}

pmn_status pmn_doctor_ask(
    const char *program, const char *name, int32_t device, double seconds, char verdict[600], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int ends[2] = {-1, -1}, status = -1;
  char answer[512];
  pid_t child;
  if (pipe2(ends, O_CLOEXEC) != 0) PMN_FAIL_CODE(err, PMN_STATUS_DEVICE, errno, "no pipe: %s", strerror(errno));
  PMN_TRY(child_start(program, name, device, ends[1], &child, err));
  close(ends[1]);
  ends[1] = -1;
  double deadline = pmn_clock_seconds() + seconds;
  answer_read(ends[0], deadline, answer, sizeof answer);
  if (!child_wait(child, deadline, &status)) {
    kill(child, SIGKILL);
    bool ended = child_wait(child, pmn_clock_seconds() + GRACE_SECONDS, &status);
    snprintf(verdict, 600, "no: no answer within %g s%s", seconds, ended ? "" : ", and it cannot be ended");
  } else if (WIFSIGNALED(status)) {
    snprintf(verdict, 600, "no: ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
  } else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    snprintf(verdict, 600, "yes");
  } else {
    snprintf(verdict, 600, "no: %s", answer[0] != '\0' ? answer : "it ended without a word");
  }
done:
  for (int i = 0; i < 2; i++) {
    if (ends[i] >= 0) close(ends[i]);
  }
  return st;
}
