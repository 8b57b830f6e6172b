/* test_ocl_small.c - every kernel of both families at least once, on as little as makes it do all it does.
 *
 * A second under a driver; minutes under an interpreter of kernels, which is what this is for: scripts/oclgrind.sh runs
 * it there and fails when a kernel of kernels/ was not launched. The other tests are the ones that go into sizes.
 * No OpenCL device is a visible skip.
 */
#include "check.h"

#include "made_up.h"
#include "pmn_backend.h"
#include "pmn_ocl.h"
#include "pmn_selfcheck.h"

static pmn_device *open_family(const char *family) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device;
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = family};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return device;
}

/* The device's keypoints of two pictures of different sizes are the host's: to the bit if it rounds as IEEE says, which
 * ORB does not ask for, else as many. */
static void describe(pmn_device *device, pmn_descriptor_kind kind, int width, int height, int smooth) {
  pmn_err err = PMN_ERR_INIT;
  uint8_t *gray = made_up(width, height, smooth, 7), *other = made_up(height, width, smooth, 8);
  const pmn_gray_picture pictures[] = {{gray, width, height}, {other, height, width}};
  pmn_described found[2], expected;
  pmn_device_describer *describer;
  pmn_describer *host;
  check_ok(pmn_device_describer_create(device, kind, 0, &describer, &err));
  check_ok(pmn_describer_create(kind, 0, &host, &err));
  assert_non_null(describer);
  check_ok(pmn_device_describer_run(describer, pictures, 2, found, &err));
  bool exact = kind == PMN_DESCRIPTOR_ORB || ((const pmn_ocl_device *)device)->rounds;
  for (int i = 0; i < 2; i++) {
    const pmn_gray_picture *p = &pictures[i];
    check_ok(pmn_describer_run(host, p->gray, p->width, p->height, &expected, &err));
    print_message("%s: %d keypoints\n", pmn_descriptor_name(kind), expected.count);
    assert_true(expected.count > 3);
    assert_int_equal(found[i].count, expected.count);
    if (!exact) continue;
    size_t count = (size_t)expected.count, bytes = (size_t)pmn_descriptor_bytes(kind);
    assert_memory_equal(found[i].keypoints, expected.keypoints, count * sizeof *expected.keypoints);
    assert_memory_equal(found[i].descriptors, expected.descriptors, count * bytes);
  }
  pmn_describer_destroy(host);
  pmn_device_describer_destroy(describer);
  free(gray);
  free(other);
}

static void check_family(const char *family) {
  pmn_err err = PMN_ERR_INIT;
  bool cached;
  double ratio;
  pmn_device *device = open_family(family);
  check_ok(pmn_selfcheck_run(device, &cached, &ratio, &err));
  print_message("%s: %s, error %.4f of its bound%s\n", family, device->info.name, ratio, cached ? ", from before" : "");
  assert_true(ratio < 1.0);
  describe(device, PMN_DESCRIPTOR_ORB, 80, 72, 1);
  describe(device, PMN_DESCRIPTOR_SIFT, 24, 20, 1);
  pmn_device_close(device);
}

static void vector(void **state) {
  (void)state;
  check_family("vector");
}

static void tile(void **state) {
  (void)state;
  check_family("tile");
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(vector), cmocka_unit_test(tile)};
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
