/* hdf5_main.c - pomona-hdf5: a Keras .h5 file on standard input, its weights as safetensors on standard output.
 *
 * Started by `pomona weights` (host/weights/pmn_hdf5.c), whose process is its one argument: it ends with that. Exit
 * code 0: all was written; 1: one line on standard error says why not. Metadata of the output: "pomona.layout", which
 * is "keras2" (h5 of Keras 1 and 2, and full models) or "keras3" (.weights.h5); the order of the data is the order in
 * which Keras reads its layers.
 */
#define _GNU_SOURCE
#include "hdf5_weights.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Straight to _exit: nothing that HDF5 has registered for the end of the program runs after an error. */
_Noreturn static void end(const char *text) {
  size_t size = strlen(text);
  while (size > 0) {
    ssize_t written = write(STDERR_FILENO, text, size);
    if (written <= 0) break;
    text += written;
    size -= (size_t)written;
  }
  _exit(1);
}

_Noreturn void fail(const char *format, ...) {
  char text[NAME_SIZE + 256];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  end(text);
}

/* The innermost error of HDF5's stack is the reason. */
static herr_t take_reason(unsigned depth, const H5E_error2_t *error, void *text) {
  if (depth == 0 && error->desc != NULL) snprintf(text, 200, "%s", error->desc);
  return 0;
}

_Noreturn void fail_hdf5(const char *format, ...) {
  char text[NAME_SIZE + 256], reason[200] = "";
  va_list args;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_reason, reason);
  va_start(args, format);
  vsnprintf(text, NAME_SIZE, format, args);
  va_end(args);
  size_t used = strlen(text);
  if (reason[0] != '\0') snprintf(text + used, sizeof text - used, " (HDF5: %s)", reason);
  end(text);
}

void *allocate(size_t count, size_t size) {
  void *memory = calloc(count == 0 ? 1 : count, size);
  if (memory == NULL) fail("no memory for %zu x %zu bytes", count, size);
  return memory;
}

static void limit(int resource, rlim_t value) {
  struct rlimit old;
  if (getrlimit(resource, &old) != 0) fail("cannot read the process's limits");
  if (old.rlim_max != RLIM_INFINITY && old.rlim_max < value) value = old.rlim_max;
  struct rlimit new = {.rlim_cur = value, .rlim_max = value};
  if (setrlimit(resource, &new) != 0) fail("cannot limit the process");
}

#if defined(__SANITIZE_ADDRESS__)
/* RLIMIT_AS does not go together with AddressSanitizer: it limits each allocation in its place, to a tensor and more.
 */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void) {
  return "max_allocation_size_mb=1100:allocator_may_return_null=1";
}
#endif

/* Nothing that a file makes HDF5 do can need more than this. */
static void limit_self(void) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, 300);
  limit(RLIMIT_FSIZE, 0);                                           /* pipes are not files */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow is larger than any limit */
  limit(RLIMIT_AS, (rlim_t)3 << 30);
#endif
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Nobody waits for the answer of a process whose parent is gone. */
static void end_with(const char *parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) fail("cannot ask to end with the parent");
  if (getppid() != (pid_t)strtol(parent, NULL, 10)) _exit(1); /* it ended before that */
}

int main(int argc, char **argv) {
  struct stat info;
  tensor_list list = {0};
  if (fstat(STDIN_FILENO, &info) != 0 || !S_ISREG(info.st_mode)) {
    fail("standard input is no regular file: this program is for pomona weights, not for people");
  }
  if (argc > 1) end_with(argv[1]);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5PLset_loading_state(0); /* no filters or drivers from shared libraries */
  limit_self();
  hid_t file = H5Fopen("/dev/stdin", H5F_ACC_RDONLY, H5P_DEFAULT);
  limit(RLIMIT_NOFILE, 0); /* what is open stays open; nothing more can be */
  if (file < 0) fail_hdf5("not an HDF5 file, or a damaged one");
  list_tensors(file, (uint64_t)info.st_size, &list);
  write_stream(&list);
  _exit(0);
}
