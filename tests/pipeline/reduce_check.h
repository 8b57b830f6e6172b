/* reduce_check.h - what the tests of pmn_reduce and of what it keeps share: matrices, and one run. */
#ifndef REDUCE_CHECK_H
#define REDUCE_CHECK_H

#include "extract_check.h"

static inline pmn_reduce_options reduce_options(const char *matrix, const char *output) {
  static char paths[2][512];
  snprintf(paths[0], sizeof paths[0], "%s", matrix);
  snprintf(paths[1], sizeof paths[1], "%s/%s", folder, output);
  pmn_reduce_options options = PMN_REDUCE_OPTIONS_INIT;
  options.matrix = paths[0];
  options.output = paths[1];
  options.backend = "cpu";
  options.threads = 2;
  options.on_progress = on_progress;
  options.on_message = on_message;
  options.stop = &seen.stop;
  return options;
}

static inline pmn_status reduce(const pmn_reduce_options *options, pmn_counts *counts, pmn_err *err) {
  pmn_summary *summary = (pmn_summary *)(uintptr_t)1;
  memset(&seen, 0, sizeof seen);
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_status st = pmn_reduce(options, &summary, err);
  if (st != PMN_STATUS_OK) {
    assert_null(summary);
    return st;
  }
  *counts = pmn_summary_counts(summary);
  pmn_summary_destroy(summary);
  return st;
}

static inline pmn_counts reduce_counts(const pmn_reduce_options *options) {
  pmn_counts counts = {0};
  pmn_err err;
  check_ok(reduce(options, &counts, &err));
  return counts;
}

/* [rows, columns] f32 as numpy would save it. */
static inline void put_matrix(const char *name, const float *x, int64_t rows, int32_t columns) {
  char header[128];
  int size = snprintf(header, sizeof header,
      "\x93NUMPY\x01%cv%c{'descr': '<f4', 'fortran_order': False, 'shape': (%lld, %d), }", 0, 0, (long long)rows,
      columns);
  memset(header + size, ' ', sizeof header - (size_t)size);
  header[127] = '\n';
  FILE *file = fopen(in_folder(name), "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(header, 1, sizeof header, file), sizeof header);
  assert_int_equal(fwrite(x, sizeof *x, (size_t)(rows * columns), file), rows * columns);
  assert_int_equal(fclose(file), 0);
}

static inline pmn_statistics standard_pca(int32_t k) {
  return (pmn_statistics){.with_mean = true, .with_std = true, .pca_components = k};
}

#endif
