/* kill_at.c - loaded into the program before the C library (LD_PRELOAD), by check_crash.py: kills the process at one of
 * the calls that change what stands on the disk, or makes them slow, or writes down their order.
 *
 *   KILL_AT=N       SIGKILL right behind call number N of those that are counted
 *   KILL_AT_DELAY=N milliseconds before each of them
 *   KILL_AT_LOG=F   a line for each: the call, and its paths between tabs. Writes are told too, but not counted. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static long number(const char *name) {
  const char *text = getenv(name);
  return text == NULL ? 0 : atol(text);
}

static void path_of(int folder, const char *name, char path[8192]) {
  char link[64], target[4096] = "";
  if (folder != AT_FDCWD && (name == NULL || name[0] != '/')) {
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t size = readlink(link, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = '\0';
  }
  snprintf(path, 8192, "%s%s%s", target, target[0] != '\0' && name != NULL ? "/" : "", name == NULL ? "" : name);
}

static void tell(const char *call, int folder, const char *name, int to_folder, const char *to) {
  static int log = -1;
  char path[8192], to_path[8192] = "";
  if (getenv("KILL_AT_LOG") == NULL) return;
  if (log < 0) log = open(getenv("KILL_AT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  path_of(folder, name, path);
  if (to != NULL) path_of(to_folder, to, to_path);
  dprintf(log, "%s\t%s\t%s\n", call, path, to_path);
}

static void before(void) {
  long delay = number("KILL_AT_DELAY");
  if (delay > 0) usleep((unsigned)delay * 1000);
  pthread_mutex_lock(&mutex);
}

static void after(void) {
  static long calls;
  if (++calls == number("KILL_AT")) kill(getpid(), SIGKILL);
  pthread_mutex_unlock(&mutex);
}

#define REAL(name) ((__typeof__(name) *)(unsigned long)dlsym(RTLD_NEXT, #name))

/* A call that is counted. */
#define COUNTED(name, parameters, arguments, ...)                                                                      \
  int name parameters {                                                                                                \
    before();                                                                                                          \
    tell(#name, __VA_ARGS__);                                                                                          \
    int result = REAL(name) arguments;                                                                                 \
    after();                                                                                                           \
    return result;                                                                                                     \
  }

COUNTED(fsync, (int fd), (fd), fd, NULL, 0, NULL)
COUNTED(ftruncate, (int fd, off_t size), (fd, size), fd, NULL, 0, NULL)
COUNTED(mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path, 0, NULL)
COUNTED(rmdir, (const char *path), (path), AT_FDCWD, path, 0, NULL)
COUNTED(unlink, (const char *path), (path), AT_FDCWD, path, 0, NULL)
COUNTED(unlinkat, (int at, const char *path, int flags), (at, path, flags), at, path, 0, NULL)
COUNTED(rename, (const char *from, const char *to), (from, to), AT_FDCWD, from, AT_FDCWD, to)
COUNTED(renameat, (int at, const char *from, int to_at, const char *to), (at, from, to_at, to), at, from, to_at, to)
COUNTED(renameat2, (int at, const char *from, int to_at, const char *to, unsigned flags), (at, from, to_at, to, flags),
    at, from, to_at, to)

/* dprintf does not come by here. */
ssize_t write(int fd, const void *bytes, size_t size) {
  tell("write", fd, NULL, 0, NULL);
  return REAL(write)(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
  tell("write", fd, NULL, 0, NULL);
  return REAL(pwrite)(fd, bytes, size, at);
}
