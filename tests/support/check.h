/* check.h - what every test program shares: CMocka, checks of pmn_status, golden files, temporary folders, skips.
 *
 * A golden file is a version 1.0 .npy made by somebody else's software (tests/golden/make_*.py). Tests that need the
 * real pictures call check_fruits() and skip visibly without them.
 */
#ifndef CHECK_H
#define CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pmn_err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The call succeeds; its message is shown if not. Needs a pmn_err named err in scope. */
#define check_ok(call)                                                                                                 \
  do {                                                                                                                 \
    if ((call) != PMN_STATUS_OK) fail_msg("%s: %s", #call, err.message);                                               \
  } while (0)

/* The call fails with `status` and a message that holds `text`. */
#define check_fails(call, expected, text)                                                                              \
  do {                                                                                                                 \
    pmn_status check_status = (call);                                                                                  \
    if (check_status != (expected) || err.status != (expected) || strstr(err.message, (text)) == NULL)                 \
      fail_msg("%s: status %d, message \"%s\"", #call, (int)check_status, err.message);                                \
  } while (0)

typedef struct check_npy {
  int64_t shape[4]; /* 1 beyond the array's own dimensions */
  int dimensions;
  char type[4]; /* "<f4", "<f8" or "|u1" */
  size_t size;  /* bytes of data */
  void *data;   /* free() */
} check_npy;

/* Reads a C-order .npy of float32, float64 or uint8; fails the test when it cannot. `path` may be relative to the
 * project's root. */
static inline check_npy check_npy_read(const char *path) {
  check_npy array = {.shape = {1, 1, 1, 1}};
  char full[4096], header[4097] = {0};
  snprintf(full, sizeof full, path[0] == '/' ? "%s%s" : PMN_SOURCE_DIR "/%s%s", path, "");
  FILE *file = fopen(full, "rb");
  if (file == NULL) fail_msg("cannot open %s", full);
  unsigned char head[10];
  if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY\x01\x00", 8) != 0) fail_msg("%s is no npy 1.0", full);
  size_t length = (size_t)head[8] | (size_t)head[9] << 8;
  if (length > 4096 || fread(header, 1, length, file) != length) fail_msg("%s: bad header", full);
  const char *type = strstr(header, "'descr': '"), *shape = strstr(header, "'shape': (");
  if (type == NULL || shape == NULL || strstr(header, "'fortran_order': False") == NULL)
    fail_msg("%s: %s", full, header);
  memcpy(array.type, type + 10, 3);
  size_t bytes = array.type[2] == '1' ? 1 : array.type[2] == '4' ? 4 : 8;
  for (char *p = (char *)(uintptr_t)shape + 10; *p != ')' && array.dimensions < 4;) {
    array.shape[array.dimensions] = strtoll(p, &p, 10);
    bytes *= (size_t)array.shape[array.dimensions++];
    p += strspn(p, ", ");
  }
  array.size = bytes;
  array.data = malloc(bytes + 1);
  if (array.data == NULL || fread(array.data, 1, bytes, file) != bytes) fail_msg("%s: cut short", full);
  fclose(file);
  return array;
}

/* Skips the test for want of something that this machine does not have; main returns check_exit(failures), so that
 * CTest shows the program as skipped when nothing failed. */
static bool check_skipped;
#define check_skip()                                                                                                   \
  do {                                                                                                                 \
    check_skipped = true;                                                                                              \
    skip();                                                                                                            \
  } while (0)
static inline int check_exit(int failures) {
  return failures != 0 ? 1 : check_skipped ? 77 : 0;
}

/* A fresh folder under /tmp, into `path`; left behind when a test fails, so that it can be looked at. */
static inline void check_folder(char path[64]) {
  snprintf(path, 64, "/tmp/pomona-test-XXXXXX");
  if (mkdtemp(path) == NULL) fail_msg("cannot make %s", path);
}
static inline void check_folder_remove(const char *path) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  if (system(command) != 0) fail_msg("cannot remove %s", path);
}

/* The real pictures: $POMONA_FRUITS or ../shared/fruits-360 beside the project; NULL if neither is there. */
static inline const char *check_fruits(void) {
  static const char beside[] = PMN_SOURCE_DIR "/../shared/fruits-360";
  const char *path = getenv("POMONA_FRUITS");
  if (path == NULL) path = beside;
  return access(path, R_OK | X_OK) == 0 ? path : NULL;
}

#endif
