/* test_ocl_networks.c - networks of inverted residuals with the OpenCL kernels for GPUs, on whatever device there is:
 * how many launches a batch takes, and features beside those of `ref`.
 *
 * Pictures are small, for time's sake; the launches do not depend on that.
 */
#include "check.h"
#include "pmn_model.h"
#include "pmn_ocl.h"
#include "seeded_weights.h"

#include <math.h>

enum { SIDE = 64, PICTURES = 2, LAUNCHES_MAX = 24 };
static char seeded_path[128];

static pmn_device *open_device(const char *backend, const char *isa) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 2, .isa = isa};
  pmn_device *device = NULL;
  check_ok(pmn_device_open(pmn_backend_find(backend), &options, &device, &err));
  return device;
}

/* The number of launches, which is `most` at most; 0 of a device that has none. */
static int32_t run(
    pmn_device *device, const pmn_model *model, const uint8_t *pictures, int32_t n, float *y, int32_t most) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  int32_t launches = 0;
  check_ok(pmn_network_create(device, pmn_model_program(model), n, &network, &err));
  check_ok(pmn_network_run(network, pictures, n, y, &err));
  if (most > 0) {
    launches = pmn_ocl_network_launches(network);
    print_message(
        "%s: %d operations in %d launches\n", pmn_model_name(model), pmn_model_program(model)->op_count, launches);
    assert_in_range(launches, 1, most);
  }
  pmn_network_destroy(network);
  return launches;
}

/* fp16 fuses the same operations, and takes one launch more, which widens the features. The plan is enough to tell:
 * test_ocl_blocks.c computes such blocks. */
static void check_launches_fp16(const pmn_model *model, int32_t launches_fp32) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = "tile", .precision = PMN_PRECISION_FP16};
  pmn_device *device = NULL;
  pmn_ocl_plan plan = {0};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  check_ok(pmn_ocl_plan_init(&plan, (pmn_ocl_device *)device, pmn_model_program(model), &err));
  assert_int_equal(plan.launch_count, launches_fp32);
  assert_in_range(plan.launch_count + 1, 1, LAUNCHES_MAX);
  pmn_ocl_plan_reset(&plan);
  pmn_device_close(device);
}

/* Within 1e-4 of the largest feature, which is what test_networks.c allows every backend beside the framework. */
static void check_network(const char *name, const char *weights) {
  pmn_err err = PMN_ERR_INIT;
  pmn_model_options options = {
      .network = name, .weights = weights, .width = SIDE, .height = SIDE, .pooling = PMN_POOLING_AVERAGE};
  pmn_model *model = NULL;
  check_ok(pmn_model_create(&options, &model, &err));
  size_t width = (size_t)pmn_model_width(model), picture = SIDE * SIDE * 3;
  uint8_t *pictures = malloc(PICTURES * picture);
  float *expected = malloc(PICTURES * width * sizeof *expected), *y = malloc(PICTURES * width * sizeof *y);
  float *alone = malloc(width * sizeof *alone);
  assert_true(pictures != NULL && expected != NULL && y != NULL && alone != NULL);
  for (int i = 0; i < PICTURES; i++) seeded_picture(i, SIDE, SIDE, pictures + (size_t)i * picture);
  pmn_device *ref = open_device("ref", NULL), *tile = open_device("opencl", "tile");
  run(ref, model, pictures, PICTURES, expected, 0);
  check_launches_fp16(model, run(tile, model, pictures, PICTURES, y, LAUNCHES_MAX));
  run(tile, model, pictures + picture, 1, alone, LAUNCHES_MAX);
  double largest = 0.0, most = 0.0;
  for (size_t i = 0; i < PICTURES * width; i++) {
    double difference = fabs((double)y[i] - (double)expected[i]);
    largest = fmax(largest, fabs((double)expected[i]));
    if (!(difference <= most)) most = difference; /* NaN sticks */
  }
  print_message("%s: %.2g of the largest\n", name, most / largest);
  assert_true(most < 1e-4 * largest);
  assert_memory_equal(alone, y + width, width * sizeof *alone);
  pmn_device_close(tile);
  pmn_device_close(ref);
  pmn_model_destroy(model);
  free(pictures);
  free(expected);
  free(y);
  free(alone);
}

static void test_mobilenet_v2(void **state) {
  (void)state;
  check_network("mobilenet_v2", seeded_path);
}

static void test_efficientnet_lite0(void **state) {
  (void)state;
  check_network("efficientnet_lite0", NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mobilenet_v2),
      cmocka_unit_test(test_efficientnet_lite0),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  char folder[] = "/tmp/pomona-ocl-XXXXXX";
  if (mkdtemp(folder) == NULL) return 1;
  snprintf(seeded_path, sizeof seeded_path, "%s/mobilenet_v2.safetensors", folder);
  if (seeded_mobilenet_v2_write(seeded_path) != 0) return 1;
  int failures = cmocka_run_group_tests(tests, NULL, NULL);
  remove(seeded_path);
  rmdir(folder);
  return failures;
}
