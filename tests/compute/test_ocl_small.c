/* test_ocl_small.c - every kernel of SIFT and ORB at least once, on as little as makes it do all it does.
 *
 * For an interpreter of kernels: scripts/oclgrind.sh runs it there, and of test_compute single cases. The other tests
 * are the ones that go into sizes. No OpenCL device is a visible skip.
 */
#include "check.h"

#include "made_up.h"
#include "pmn_backend.h"
#include "pmn_ocl.h"

/* Stands in front of the driver's: oclgrind 21.10 does not know that a copy initialises what it writes. */
cl_int clEnqueueCopyBuffer(cl_command_queue queue, cl_mem from, cl_mem to, size_t from_offset, size_t to_offset,
    size_t size, cl_uint count, const cl_event *list, cl_event *event) {
  void *bytes = malloc(size);
  assert_true(bytes != NULL && count == 0 && list == NULL && event == NULL);
  cl_int code = clEnqueueReadBuffer(queue, from, CL_TRUE, from_offset, size, bytes, 0, NULL, NULL);
  if (code == CL_SUCCESS) {
    code = clEnqueueWriteBuffer(queue, to, CL_TRUE, to_offset, size, bytes, 0, NULL, NULL);
  }
  free(bytes);
  return code;
}

/* The device's keypoints of two pictures of different sizes are the host's: to the bit if it rounds as IEEE says, which
 * ORB does not ask for, else as many. */
static void describe(pmn_device *device, pmn_descriptor_kind kind, int width, int height) {
  pmn_err err = PMN_ERR_INIT;
  uint8_t *gray = made_up(width, height, 1, 7), *other = made_up(height, width, 1, 8);
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

static void describe_by(const char *family, pmn_descriptor_kind kind, int width, int height) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device;
  const pmn_device_options options = {.index = -1, .threads = 1, .isa = family};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  describe(device, kind, width, height);
  pmn_device_close(device);
}

static void orb(void **state) {
  (void)state;
  describe_by("vector", PMN_DESCRIPTOR_ORB, 84, 78);
  describe_by("tile", PMN_DESCRIPTOR_ORB, 84, 78);
}

static void sift(void **state) {
  (void)state;
  describe_by("vector", PMN_DESCRIPTOR_SIFT, 24, 20);
  describe_by("tile", PMN_DESCRIPTOR_SIFT, 24, 20);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(orb), cmocka_unit_test(sift)};
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
