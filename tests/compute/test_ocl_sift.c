/* test_ocl_sift.c - SIFT on an OpenCL device, whichever there is, held against the host's.
 *
 * Both do the same operations on fp32 in the same order, none fused, and take exp, sin and cos from the same sums and
 * products: where the device divides and takes roots as IEEE says, and says so, every bit must be the same.
 *
 * Elsewhere a quotient may be off by 2.5 units in the last place and a root by 3, 2e-7 of themselves. Then
 *   places     move by 0.001 pixels of the octave at most, responses by 1e-5, as test_sift.c reckons for other sums;
 *   angles     of peaks in bins that are off by 5e-7: 10 degrees times that over the curvature of the peak, 0.1 degrees
 *              for one as flat as 1/20000 of its height;
 *   existence  hangs on quotients and peaks that lie on a border by as much: one of 10^6. One of a thousand may;
 *   bytes      of 255 at most are off by 1e-4 before they are rounded: one of a thousand may differ, by one.
 */
#include "check.h"

#include "made_up.h"
#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_ocl.h"

#include <math.h>

static const struct {
  int width, height, smooth;
} cases[] = {{64, 64, 3}, {1, 1, 0}, {31, 90, 2}, {300, 200, 2}, {6, 6, 1}, {113, 47, 6}, {16, 16, 1}, {7, 60, 2},
    {130, 20, 4}, {3, 90, 1}, {100, 100, 1}, {5, 5, 0}, {63, 65, 1}};
enum { CASES = sizeof cases / sizeof *cases };
static pmn_gray_picture pictures[CASES];
enum { BYTES = 128 };
static pmn_device *device;

static pmn_device_describer *on_device(int32_t keypoints_max) {
  pmn_err err;
  pmn_device_describer *describer;
  check_ok(pmn_device_describer_create(device, PMN_DESCRIPTOR_SIFT, keypoints_max, &describer, &err));
  assert_non_null(describer);
  return describer;
}

static void describe(
    pmn_device_describer *describer, const pmn_gray_picture *batch, int32_t n, pmn_described *described) {
  pmn_err err;
  memset(described, 0xff, (size_t)n * sizeof *described);
  check_ok(pmn_device_describer_run(describer, batch, n, described, &err));
}

/* ------------------------------------------------------------------------------------------------ the host -- */

typedef struct tally {
  int expected, found, matched, bytes, bytes_off;
} tally;

static bool is_same(const pmn_keypoint *a, const pmn_keypoint *b) {
  double unit = ldexp(1, a->octave);
  return a->octave == b->octave && hypot(a->x - b->x, a->y - b->y) <= 0.001 * unit &&
         fabsf(a->size - b->size) <= 1e-6f * a->size && fabs(remainder(a->angle - b->angle, 360)) <= 0.1 &&
         fabsf(a->response - b->response) <= 1e-5f;
}

/* Each keypoint of the host's is looked for among the device's that nothing was matched with yet. */
static void compare(const pmn_described *expected, const pmn_described *found, tally *t) {
  bool *taken = calloc((size_t)found->count + 1, sizeof *taken);
  assert_non_null(taken);
  t->expected += expected->count;
  t->found += found->count;
  for (int32_t k = 0; k < expected->count; k++) {
    int32_t i = 0;
    while (i < found->count && (taken[i] || !is_same(&expected->keypoints[k], &found->keypoints[i]))) i++;
    if (i == found->count) continue;
    taken[i] = true;
    t->matched++;
    const uint8_t *a = expected->descriptors + (size_t)k * BYTES;
    const uint8_t *b = found->descriptors + (size_t)i * BYTES;
    for (int32_t j = 0; j < BYTES; j++) {
      t->bytes++;
      t->bytes_off += a[j] != b[j];
      if (abs(a[j] - b[j]) > 1) fail_msg("keypoint %d: byte %d of its descriptor is %d, not %d", k, j, b[j], a[j]);
    }
  }
  free(taken);
}

static void check_equal(const pmn_described *a, const pmn_described *b) {
  assert_int_equal(a->count, b->count);
  if (a->count == 0) return;
  assert_memory_equal(a->keypoints, b->keypoints, (size_t)a->count * sizeof *a->keypoints);
  assert_memory_equal(a->descriptors, b->descriptors, (size_t)a->count * BYTES);
}

static void as_the_host(void **state) {
  (void)state;
  pmn_err err;
  tally t = {0};
  pmn_described found[CASES], expected;
  pmn_describer *host;
  pmn_device_describer *describer = on_device(0);
  bool rounds = ((const pmn_ocl_device *)device)->rounds;
  describe(describer, pictures, CASES, found);
  check_ok(pmn_describer_create(PMN_DESCRIPTOR_SIFT, 0, &host, &err));
  for (int c = 0; c < CASES; c++) {
    check_ok(pmn_describer_run(host, pictures[c].gray, pictures[c].width, pictures[c].height, &expected, &err));
    if (rounds) check_equal(&expected, &found[c]);
    compare(&expected, &found[c], &t);
    for (int32_t k = 1; k < found[c].count; k++) {
      assert_true(pmn_keypoint_compare(&found[c].keypoints[k - 1], &found[c].keypoints[k]) < 0);
    }
  }
  print_message("%d keypoints, %d expected, %d the same; %d of %d bytes differ by one; the device %s\n", t.found,
      t.expected, t.matched, t.bytes_off, t.bytes, rounds ? "rounds" : "does not round");
  assert_true(t.expected > 3000);
  assert_true(t.expected - t.matched <= t.expected / 1000 && t.found - t.matched <= t.expected / 1000);
  assert_true(t.bytes_off <= t.bytes / 1000);
  pmn_describer_destroy(host);
  pmn_device_describer_destroy(describer);
}

/* ------------------------------------------------------------------------------------------------- batches -- */

/* Alone, among others, again and again: the same bits. The batch has every picture several times, so that it does not
 * fit one slice where the device has no memory of its own, 64 MB. */
static void batches(void **state) {
  (void)state;
  enum { TIMES = 5, MANY = TIMES * CASES };
  pmn_gray_picture many[MANY];
  pmn_described found[MANY], one;
  for (int i = 0; i < MANY; i++) many[i] = pictures[i * 5 % CASES];
  pmn_device_describer *all = on_device(0), *alone = on_device(0);
  describe(all, many, MANY, found);
  for (int i = 0; i < MANY; i++) {
    if (i >= CASES) {
      check_equal(&found[i - CASES], &found[i]);
      continue;
    }
    describe(alone, &many[i], 1, &one);
    check_equal(&one, &found[i]);
  }
  pmn_device_describer_destroy(all);
  pmn_device_describer_destroy(alone);
}

static void limits(void **state) {
  (void)state;
  static const int32_t most[] = {1, 50};
  for (size_t i = 0; i < sizeof most / sizeof *most; i++) {
    pmn_described found[CASES], some[CASES];
    pmn_device_describer *all = on_device(0);
    pmn_device_describer *limited = on_device(most[i]);
    describe(all, pictures, CASES, found);
    describe(limited, pictures, CASES, some);
    for (int c = 0; c < CASES; c++) {
      if (found[c].count > most[i]) found[c].count = most[i];
      check_equal(&found[c], &some[c]);
    }
    pmn_device_describer_destroy(all);
    pmn_device_describer_destroy(limited);
  }
}

/* -------------------------------------------------------------------------------------------------- errors -- */

static void arguments(void **state) {
  (void)state;
  pmn_err err;
  pmn_described found;
  uint8_t one = 1;
  const pmn_gray_picture wide = {&one, 32768, 1}, none = {&one, 1, 0};
  pmn_device_describer *describer = on_device(0), *other;
  check_fails(pmn_device_describer_run(describer, &wide, 1, &found, &err), PMN_STATUS_ARGUMENT, "32768 x 1");
  check_fails(pmn_device_describer_run(describer, &none, 1, &found, &err), PMN_STATUS_ARGUMENT, "1 x 0");
  check_fails(pmn_device_describer_run(describer, &none, 0, &found, &err), PMN_STATUS_ARGUMENT, "a batch of 0");
  check_fails(
      pmn_device_describer_create(device, PMN_DESCRIPTOR_SIFT, -1, &other, &err), PMN_STATUS_ARGUMENT, "-1 keypoints");
  pmn_device_describer_destroy(describer);
  pmn_device *cpu;
  pmn_device_options options = {.index = -1, .threads = 1};
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &options, &cpu, &err));
  check_ok(pmn_device_describer_create(cpu, PMN_DESCRIPTOR_SIFT, 0, &other, &err));
  assert_null(other); /* the host's threads describe */
  pmn_device_close(cpu);
}

/* Memory runs out anywhere: an error, no leak, and the same describer answers when there is some again. */
static void out_of_memory(void **state) {
  (void)state;
  bool failed = true;
  for (int64_t k = 0; failed; k++) {
    pmn_err err;
    pmn_described found[3];
    pmn_device_describer *describer = on_device(20);
    assert_true(k < 200);
    (void)pmn_mem_fail_after(k);
    pmn_status st = pmn_device_describer_run(describer, pictures, 3, found, &err);
    (void)pmn_mem_fail_after(-1);
    failed = st != PMN_STATUS_OK;
    if (failed) assert_int_equal(st, PMN_STATUS_NO_MEMORY);
    describe(describer, pictures, 3, found);
    assert_int_equal(found[0].count, 20);
    pmn_device_describer_destroy(describer);
  }
}

static int open_all(void **state) {
  (void)state;
  pmn_err err;
  for (int c = 0; c < CASES; c++) {
    uint8_t *gray = made_up(cases[c].width, cases[c].height, cases[c].smooth, 1 + (uint32_t)c);
    pictures[c] = (pmn_gray_picture){gray, cases[c].width, cases[c].height};
  }
  pmn_device_options options = {.index = -1, .threads = 1};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return 0;
}

static int close_all(void **state) {
  (void)state;
  pmn_device_close(device);
  for (int c = 0; c < CASES; c++) free((void *)(uintptr_t)pictures[c].gray);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(as_the_host),
      cmocka_unit_test(batches),
      cmocka_unit_test(limits),
      cmocka_unit_test(arguments),
      cmocka_unit_test(out_of_memory),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  return check_exit(cmocka_run_group_tests(tests, open_all, close_all));
}
