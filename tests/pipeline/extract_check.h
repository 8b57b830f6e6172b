/* extract_check.h - what the tests of pmn_extract share: a small orchard, one run, and what a run leaves behind.
 *
 * The orchard is made once a program, by pomona-orchard; each test has a fresh folder for its outputs. Runs are on the
 * cpu backend, so that the tests do not hang on what devices there are.
 */
#ifndef EXTRACT_CHECK_H
#define EXTRACT_CHECK_H

#include "check_files.h"

#include <jansson.h>

enum { PICTURES = 12, WIDTH = 1280 };

static char orchard[64];     /* orchard/Training/KIND/VIEW.jpg: 3 kinds of 4 views */
static char training[80];    /* orchard/Training */
static char mixed[80];       /* the same pictures with bad ones between them, see make_mixed */
static char base_output[80]; /* all pictures of the orchard, made once with the default batch */
static float *base;          /* [PICTURES, WIDTH] */
static const char *const mixed_bad[] = {
    "00_a.jpg", "00_z.jpg", "03_z.jpg", "04_z.jpg", "05_z.jpg", "05_zz.jpg", "07_z.jpg", "11_z.jpg"};
static const char *const mixed_stage[] = {"decode", "decode", "decode", "decode", "read", "decode", "decode", "decode"};
enum { MIXED_BAD = sizeof mixed_bad / sizeof *mixed_bad };

/* What the callbacks saw of the last run. */
static struct {
  int messages, progresses;
  pmn_progress last;
  char phases[64];        /* each phase once, in order of appearance */
  char text[4096];        /* all messages, a line each */
  const char *stop_phase; /* raise the flag at a progress of this phase ... */
  bool stop_late;         /* ... the last one instead of the first */
  volatile sig_atomic_t stop;
} seen;

/* For tests of what OpenCL devices do. */
static inline bool has_opencl(void) {
  pmn_device_info list[16];
  int32_t count = 0;
  bool listed = pmn_devices_list(list, 16, &count, NULL) == PMN_STATUS_OK;
  for (int32_t i = 0; listed && i < count && i < 16; i++) {
    if (strcmp(list[i].backend, "opencl") == 0) return true;
  }
  return false;
}

static void on_progress(void *arg, const pmn_progress *p) {
  (void)arg;
  const char *last_phase = seen.progresses > 0 ? seen.last.phase : "";
  if (strcmp(p->phase, last_phase) != 0) {
    size_t used = strlen(seen.phases);
    snprintf(seen.phases + used, sizeof seen.phases - used, "%s%s", used > 0 ? " " : "", p->phase);
  } else if (p->done < seen.last.done || p->total != seen.last.total || p->rejects < seen.last.rejects) {
    fail_msg("progress goes back: %lld of %lld", (long long)p->done, (long long)p->total);
  }
  if (p->done > p->total) fail_msg("progress of %lld of none", (long long)p->done);
  seen.progresses++;
  seen.last = *p;
  if (seen.stop_phase != NULL && strcmp(seen.stop_phase, p->phase) == 0 && (!seen.stop_late || p->done == p->total))
    seen.stop = 1;
}

static void on_message(void *arg, pmn_level level, const char *text) {
  (void)arg;
  size_t used = strlen(seen.text);
  seen.messages++;
  snprintf(seen.text + used, sizeof seen.text - used, "%d %s\n", (int)level, text);
}

/* Options for one source and an output in this test's folder. */
static pmn_extract_options options_for(const char *source, const char *output) {
  static const char *sources[1];
  static char path[512];
  sources[0] = source;
  snprintf(path, sizeof path, output[0] == '/' ? "%s%s" : "%s/%s", output[0] == '/' ? "" : folder, output);
  pmn_extract_options options = PMN_EXTRACT_OPTIONS_INIT;
  options.sources = sources;
  options.source_count = 1;
  options.output = path;
  options.backend = "cpu";
  options.threads = 2;
  options.on_progress = on_progress;
  options.on_message = on_message;
  options.stop = &seen.stop;
  return options;
}

/* One run; the summary is the caller's when it succeeds and NULL when it does not. */
static pmn_status extract(const pmn_extract_options *options, pmn_summary **summary, pmn_err *err) {
  const char *stop_phase = seen.stop_phase;
  bool stop_late = seen.stop_late;
  memset(&seen, 0, sizeof seen);
  seen.stop_phase = stop_phase;
  seen.stop_late = stop_late;
  *summary = (pmn_summary *)(uintptr_t)1; /* must be overwritten whatever happens */
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_status st = pmn_extract(options, summary, err);
  if (st != PMN_STATUS_OK && *summary != NULL) fail_msg("a failed run has a summary");
  if (st != PMN_STATUS_OK && (err->status != st || err->message[0] == '\0')) fail_msg("status %d, no message", st);
  return st;
}

/* A run that must succeed; its counts. */
static pmn_counts extract_counts(const pmn_extract_options *options) {
  pmn_summary *summary;
  pmn_err err;
  check_ok(extract(options, &summary, &err));
  pmn_counts counts = pmn_summary_counts(summary);
  assert_int_equal(counts.rows + counts.rejects, counts.listed);
  assert_int_equal(pmn_summary_rejects_path(summary) != NULL, counts.rejects > 0);
  pmn_summary_destroy(summary);
  return counts;
}

/* Good pictures 00.jpg to 11.jpg, byte for byte those of the orchard in their order, and bad ones before, between and
 * after them: empty, text, cut short in the head and in the picture, a link to nothing, a web page, a cut end. */
static void make_mixed(void) {
  shell("mkdir '%s' && cd '%s' && i=0 && find '%s' -name '*.jpg' | LC_ALL=C sort | while read -r f; do "
        "cp \"$f\" \"$(printf %%02d.jpg $i)\"; i=$((i+1)); done",
      mixed, mixed, training);
  shell("cd '%s' && : >00_a.jpg && : >00_z.jpg && echo 'a text' >03_z.jpg && head -c 100 03.jpg >04_z.jpg && "
        "ln -s nothing 05_z.jpg && head -c 1200 05.jpg >05_zz.jpg && echo '<!DOCTYPE html><html>' >07_z.jpg && "
        "head -c 1500 11.jpg >11_z.jpg",
      mixed);
}

static int make_orchard(void **state) {
  (void)state;
  check_folder(orchard);
  check_folder(folder);
  snprintf(training, sizeof training, "%s/Training", orchard);
  snprintf(mixed, sizeof mixed, "%s/mixed", orchard);
  snprintf(base_output, sizeof base_output, "%s/base.npy", orchard);
  shell("'%s' '%s' --kinds 3 --views 4 >/dev/null 2>&1", POMONA_ORCHARD, orchard);
  make_mixed();
  pmn_extract_options options = options_for(training, base_output);
  pmn_counts counts = extract_counts(&options);
  assert_int_equal(counts.rows, PICTURES);
  check_npy array = check_npy_read(base_output);
  assert_int_equal(array.shape[0] * array.shape[1], PICTURES * WIDTH);
  base = array.data;
  check_folder_remove(folder);
  return 0;
}

static int remove_orchard(void **state) {
  (void)state;
  free(base);
  check_folder_remove(orchard);
  return 0;
}

static int start_test(void **state) {
  seen.stop_phase = NULL;
  seen.stop_late = false;
  return make_folder(state);
}

#define in_fresh_folder(test) cmocka_unit_test_setup_teardown(test, start_test, remove_folder)

#endif
