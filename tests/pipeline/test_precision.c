/* test_precision.c - extract with fp16 on OpenCL: near fp32, told how near, in the record, and not mixed with fp32. */
#include "extract_check.h"

#include <math.h>

enum { SIDE = 64 };

static pmn_extract_options options_of(const char *output, const char *backend, const char *precision) {
  pmn_extract_options options = options_for(training, output);
  options.width = options.height = SIDE;
  options.backend = backend;
  options.precision = precision;
  return options;
}

/* A probe tells the cosine, in a message and in the record, and every row keeps it; "auto" takes OpenCL. */
static void rows_are_near(void **state) {
  (void)state;
  pmn_extract_options options = options_of("fp32.npy", "opencl", "fp32");
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  check_npy exact = check_npy_read(in_folder("fp32.npy"));
  assert_null(strstr(seen.text, "fp16"));
  pmn_summary *summary;
  pmn_err err;
  options = options_of("fp16.npy", "auto", "fp16");
  check_ok(extract(&options, &summary, &err));
  assert_non_null(strstr(seen.text, "computing with opencl: "));
  assert_non_null(strstr(seen.text, "fp16: features of a probe have cosine 0.9999"));
  check_npy rounded = check_npy_read(in_folder("fp16.npy"));
  json_t *all = json_loads(pmn_summary_record(summary), 0, NULL);
  const json_t *probe = json_object_get(json_object_get(all, "device"), "fp16_probe");
  double cosine = json_real_value(json_object_get(probe, "cosine"));
  double largest = json_real_value(json_object_get(probe, "largest_difference"));
  print_message("probe: cosine %.7f, largest difference %.2g\n", cosine, largest);
  assert_true(cosine >= 0.9999 && cosine < 1.0 && largest > 0.0 && largest < 0.05);
  assert_string_equal(json_string_value(json_object_get(json_object_get(all, "features"), "precision")), "fp16");
  assert_int_equal(exact.size, rounded.size);
  const float *a = exact.data, *b = rounded.data;
  for (int i = 0; i < PICTURES; i++, a += WIDTH, b += WIDTH) {
    double product = 0.0, a_norm = 0.0, b_norm = 0.0;
    for (int j = 0; j < WIDTH; j++) {
      product += (double)a[j] * (double)b[j];
      a_norm += (double)a[j] * (double)a[j];
      b_norm += (double)b[j] * (double)b[j];
    }
    if (!(product >= 0.9999 * sqrt(a_norm * b_norm))) fail_msg("row %d: %g", i, product / sqrt(a_norm * b_norm));
  }
  json_decref(all);
  pmn_summary_destroy(summary);
  free(exact.data);
  free(rounded.data);
}

/* A projection of one precision is none of the other. */
static void projections_are_apart(void **state) {
  (void)state;
  char projection[512];
  snprintf(projection, sizeof projection, "%s", in_folder("fp16.proj"));
  pmn_extract_options options = options_of("rows.npy", "opencl", "fp16");
  options.statistics.pca_components = 3;
  options.statistics.save_projection = projection;
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  pmn_summary *summary;
  pmn_err err;
  options = options_of("other.npy", "opencl", NULL);
  options.statistics.projection = projection;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "with precision \"fp16\", here fp32");
  options = options_of("other.npy", "opencl", "fp16");
  options.statistics.projection = projection;
  assert_int_equal(extract_counts(&options).rows, PICTURES);
}

static void other_backends_have_none(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  pmn_extract_options options = options_of("rows.npy", "cpu", "fp16");
  check_fails(extract(&options, &summary, &err), PMN_STATUS_DEVICE, "the cpu backend has no fp16");
  options = options_of("rows.npy", "opencl", "bf16");
  check_fails(extract(&options, &summary, &err), PMN_STATUS_DEVICE, "the opencl backend has no bf16");
  options = options_of("rows.npy", "opencl", "fp16");
  options.features = "pixels";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "precision fp16 is of networks");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(rows_are_near),
      in_fresh_folder(projections_are_apart),
      in_fresh_folder(other_backends_have_none),
  };
  return has_opencl() ? check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard)) : 77;
}
