/* test_devices.c - several OpenCL devices that share the batches of a network: the table of one of them. PoCL makes of
 * this processor two of one kind and one of another; where another driver lists its devices first, skipped. */
#include "extract_check.h"

#include "pmn_backend.h"

static pmn_device_info infos[3];

static void need_devices(void) {
  bool kinds = strcmp(infos[0].name, infos[1].name) == 0 && strcmp(infos[0].name, infos[2].name) != 0;
  if (!kinds) check_skip();
}

/* On device `first`, and with it on the `count` of `more`. */
static pmn_extract_options shared(const char *output, int32_t batch, int32_t first, const int32_t *more, size_t count) {
  pmn_extract_options options = options_for(mixed, output);
  options.backend = "opencl";
  options.width = options.height = 32;
  options.batch = batch;
  options.device = first;
  options.more_devices = more;
  options.more_device_count = count;
  options.overwrite = true;
  return options;
}

static void one_table(void **state) {
  (void)state;
  need_devices();
  pmn_extract_options options = shared("one.csv", 32, 0, NULL, 0);
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  for (int32_t batch = 1; batch < 6; batch += 2) {
    pmn_summary *summary;
    pmn_err err;
    int32_t count;
    options = shared("two.csv", batch, batch == 3, &(int32_t){batch != 3}, 1);
    check_ok(extract(&options, &summary, &err));
    check_same_file(in_folder("two.csv"), in_folder("one.csv"));
    check_same_file(in_folder("two.csv.rejects.csv"), in_folder("one.csv.rejects.csv"));
    assert_non_null(strstr(seen.text, "2 devices"));
    const pmn_stage *stages = pmn_summary_stages(summary, &count);
    for (int32_t i = 0; i < count; i++) {
      if (strcmp(stages[i].name, "network") == 0) assert_int_equal(stages[i].lanes, 2);
    }
    json_t *all = json_loads(pmn_summary_record(summary), 0, NULL);
    json_t *expected = json_pack("[i, i]", batch == 3, batch != 3);
    assert_true(json_equal(json_object_get(json_object_get(all, "device"), "indices"), expected));
    json_decref(expected);
    json_decref(all);
    pmn_summary_destroy(summary);
  }
}

/* Each of them has the saved projection. */
static void projected(void **state) {
  (void)state;
  need_devices();
  char projection[512];
  snprintf(projection, sizeof projection, "%s", in_folder("x.projection"));
  pmn_extract_options options = shared("fit.csv", 32, 0, NULL, 0);
  options.statistics = (pmn_statistics){.with_mean = true, .with_std = true, .pca_components = 3};
  options.statistics.save_projection = projection;
  (void)extract_counts(&options);
  for (int two = 0; two < 2; two++) {
    options = shared(two ? "two.csv" : "one.csv", 2, 0, &(int32_t){1}, (size_t)two);
    options.statistics.projection = projection;
    assert_int_equal(extract_counts(&options).width, 3);
    assert_non_null(strstr(seen.text, "the device projects"));
  }
  check_same_file(in_folder("two.csv"), in_folder("one.csv"));
}

/* Begun on one device, ended on two. */
static void resumed(void **state) {
  (void)state;
  static const int32_t other = 1;
  pmn_summary *summary;
  pmn_err err;
  need_devices();
  pmn_extract_options options = shared("one/", 32, 0, NULL, 0);
  options.parts = 3;
  (void)extract_counts(&options);
  for (int i = 0; i < 2; i++) {
    options = shared("two/", 1, 0, &other, (size_t)i);
    options.parts = 3;
    options.resume = true;
    options.overwrite = false;
    seen.stop_phase = i == 0 ? "features" : NULL;
    if (i == 0) check_fails(extract(&options, &summary, &err), PMN_STATUS_INTERRUPTED, "");
  }
  assert_int_equal(extract_counts(&options).rows, PICTURES);
  for (int part = 0; part < 3; part++) {
    char one[32], two[32];
    snprintf(one, sizeof one, "one/part-%05d.parquet", part);
    snprintf(two, sizeof two, "two/part-%05d.parquet", part);
    check_same_file(in_folder(two), in_folder(one));
  }
}

static void refusals(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  need_devices();
  pmn_extract_options options = shared("out.csv", 1, 1, &(int32_t){2}, 1);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "devices 1 and 2 are of different kinds");
  options = shared("out.csv", 1, 1, &(int32_t){1}, 1);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "device 1: name each device once");
  options = shared("out.csv", 1, 2, (const int32_t[]){0, 1, 0}, 3);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "device 0: name each device once");
  options = shared("out.csv", 1, -1, &(int32_t){0}, 1);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "by its index");
  options = shared("out.csv", 1, 0, &(int32_t){99}, 1);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_DEVICE, "no OpenCL device 99");
  options = shared("out.csv", 1, 0, &(int32_t){1}, 1);
  options.features = "pixels";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "of a network");
  options = shared("out.csv", 1, 0, &(int32_t){1}, 16);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "17 devices");
  options = shared("out.csv", 1, 0, &(int32_t){1}, 1);
  options.backend = "cpu";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_DEVICE, "no cpu device 1");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(one_table),
      in_fresh_folder(projected),
      in_fresh_folder(resumed),
      in_fresh_folder(refusals),
  };
  int32_t count = 0;
  if (setenv("POCL_DEVICES", "basic basic pthread", 1) != 0) return 1;
  if (pmn_backend_find("opencl")->devices(infos, 3, &count, NULL) != PMN_STATUS_OK || count < 3) return 77;
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
