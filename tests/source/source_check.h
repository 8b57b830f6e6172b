/* source_check.h - for tests of what is read: a temporary folder for each, and damage. */
#ifndef SOURCE_CHECK_H
#define SOURCE_CHECK_H

#include "check_files.h"

#define GOLDEN(name) PMN_SOURCE_DIR "/tests/golden/" name

/* The folder of a test is also its working folder. */
static inline int enter(void **state) {
  make_folder(state);
  return chdir(folder);
}

/* Only after success: the folder of a failed test is left behind. */
static inline void leave(void) {
  assert_int_equal(chdir("/"), 0);
  check_folder_remove(folder);
}

enum { VARIANTS = 600, DAMAGED_MAX = 1024 };

static inline uint32_t draw(uint64_t *seed, uint32_t below) {
  *seed = *seed * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)((*seed >> 33) % below);
}

/* One to four changes: a byte set to one that means something, or to any; a run left out; a run doubled. */
static inline size_t damage(uint64_t *seed, const char *meaning, char *bytes, size_t size) {
  for (uint32_t changes = 1 + draw(seed, 4); changes > 0 && size > 0; changes--) {
    size_t at = draw(seed, (uint32_t)size), run = 1 + draw(seed, 9);
    if (run > size - at) run = size - at;
    switch (draw(seed, 4)) {
    case 0:
      bytes[at] = (char)draw(seed, 256);
      break;
    case 1:
      bytes[at] = meaning[draw(seed, (uint32_t)strlen(meaning))];
      break;
    case 2:
      memmove(bytes + at, bytes + at + run, size - at - run);
      size -= run;
      break;
    default:
      if (size + run > DAMAGED_MAX) break;
      memmove(bytes + at + run, bytes + at, size - at);
      size += run;
    }
  }
  return size;
}

#endif
