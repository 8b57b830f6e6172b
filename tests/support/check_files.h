/* check_files.h - folders and files of tests: a folder for each test, shell commands, whole files written, read and
 * compared. */
#ifndef CHECK_FILES_H
#define CHECK_FILES_H

#include "check.h"

static char folder[64]; /* of this test */

static inline int make_folder(void **state) {
  (void)state;
  check_folder(folder);
  return 0;
}

static inline int remove_folder(void **state) {
  (void)state;
  check_folder_remove(folder);
  return 0;
}

/* A path; eight live at a time. */
static inline const char *at(const char *where, const char *name) {
  static char paths[8][512];
  static int turn;
  turn = (turn + 1) % 8;
  snprintf(paths[turn], sizeof paths[turn], "%s/%s", where, name);
  return paths[turn];
}

static inline const char *in_folder(const char *name) {
  return at(folder, name);
}

/* A command that must succeed: fixtures only. */
static inline void PMN_PRINTF(1, 2) shell(const char *format, ...) {
  char command[2048];
  va_list args;
  va_start(args, format);
  vsnprintf(command, sizeof command, format, args);
  va_end(args);
  if (system(command) != 0) fail_msg("%s: failed", command);
}

/* All of a file, NUL-terminated; free(). */
static inline char *read_all(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) fail_msg("cannot open %s", path);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  char *bytes = calloc(1, *size + 1);
  if (bytes == NULL || fread(bytes, 1, *size, file) != *size) fail_msg("cannot read %s", path);
  fclose(file);
  return bytes;
}

static inline void put(const char *path, const void *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) fail_msg("cannot write %s", path);
}

static inline void put_text(const char *path, const char *text) {
  put(path, text, strlen(text));
}

static inline void check_text(const char *path, const char *expected) {
  size_t size;
  char *text = read_all(path, &size);
  if (size != strlen(expected) || memcmp(text, expected, size) != 0) {
    fail_msg("%s holds \"%s\", not \"%s\"", path, text, expected);
  }
  free(text);
}

static inline void check_same_file(const char *path, const char *expected_path) {
  size_t size, expected_size;
  char *bytes = read_all(path, &size), *expected = read_all(expected_path, &expected_size);
  if (size != expected_size || memcmp(bytes, expected, size) != 0) fail_msg("%s is not %s", path, expected_path);
  free(bytes);
  free(expected);
}

static inline void check_other_file(const char *path, const char *than) {
  size_t sizes[2];
  char *a = read_all(path, &sizes[0]), *b = read_all(than, &sizes[1]);
  assert_true(sizes[0] != sizes[1] || memcmp(a, b, sizes[0]) != 0);
  free(a);
  free(b);
}

#endif
