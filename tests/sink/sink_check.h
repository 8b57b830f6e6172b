/* sink_check.h - what the tests of this room share: a small table, and what lies in a folder. */
#ifndef SINK_CHECK_H
#define SINK_CHECK_H

#include "check_files.h"
#include "pmn_sink.h"

#include <dirent.h>

enum { SAMPLE_ROWS = 3, SAMPLE_WIDTH = 2 };

static inline pmn_row_block sample_block(void) {
  static const char *const keys[SAMPLE_ROWS] = {"a/1.jpg", "b, \"c\"/2.jpg", "\xff\\\n/3.jpg"};
  static const char *const labels[SAMPLE_ROWS] = {"a", "b, \"c\"", ""};
  static const float features[SAMPLE_ROWS * SAMPLE_WIDTH] = {1, -0.5f, 0.1f, 1e-10f, 0, 3e20f};
  return (pmn_row_block){.n = SAMPLE_ROWS, .keys = keys, .labels = labels, .features = features};
}

/* Names in a folder, sorted and joined by spaces, into `names`; those that begin with a dot only if `hidden`. */
static inline const char *folder_names(const char *where, bool hidden, char names[1024]) {
  struct dirent **list;
  int count = scandir(where, &list, NULL, alphasort);
  if (count < 0) fail_msg("cannot list %s", where);
  size_t used = 0;
  names[0] = '\0';
  for (int i = 0; i < count; i++) {
    const char *name = list[i]->d_name;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && (hidden || name[0] != '.')) {
      used += (size_t)snprintf(names + used, 1024 - used, "%s%s", used > 0 ? " " : "", name);
    }
    free(list[i]);
  }
  free(list);
  return names;
}

/* The whole life of a sink with the sample in it, until the first call that fails. */
static inline pmn_status sample_write(const char *path, pmn_format format, bool overwrite, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_sink *sink = NULL;
  pmn_row_block rows = sample_block();
  PMN_TRY(pmn_sink_create(
      &(pmn_sink_options){.path = path, .format = format, .width = SAMPLE_WIDTH, .overwrite = overwrite}, &sink, err));
  PMN_TRY(pmn_sink_write(sink, &rows, err));
  PMN_TRY(pmn_sink_commit(sink, "{}", err));
done:
  pmn_sink_destroy(sink);
  return st;
}

#endif
