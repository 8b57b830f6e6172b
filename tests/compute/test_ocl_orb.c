/* test_ocl_orb.c - ORB on an OpenCL device, held to the bit against the host's (pmn_describer_run).
 *
 * Pictures are generated, and of many sizes in one batch. No OpenCL device is a visible skip. */
#include "check.h"

#include "pmn_backend.h"
#include "pmn_mem.h"

#include <math.h>

enum { BITS = 32 };

static pmn_device *device;

/* ------------------------------------------------------------------------------------------------------- pictures */

static uint32_t state;

static int draw(int below) {
  state = state * 1664525 + 1013904223;
  return (int)((state >> 16) % (uint32_t)below);
}

enum motif { BOXES, NOISE, BLANK, TILES, SPECKS, WAVES, MOTIFS };
static const char *const motif_names[MOTIFS] = {"boxes", "noise", "blank", "tiles", "specks", "waves"};

typedef struct picture {
  enum motif motif;
  int width, height;
  uint8_t *gray;
} picture;

static void boxes_draw(picture *p) {
  for (int n = p->width * p->height / 120 + 1; n > 0; n--) {
    int left = draw(p->width), top = draw(p->height), side = 1 + draw(14), value = draw(256);
    for (int y = top; y < p->height && y < top + side; y++) {
      for (int x = left; x < p->width && x < left + side; x++) p->gray[y * p->width + x] = (uint8_t)value;
    }
  }
}

/* Exactly as long as it is, so that sanitizers see what is read beyond. */
static picture picture_make(enum motif motif, int width, int height) {
  picture p = {motif, width, height, malloc((size_t)width * (size_t)height)};
  assert_non_null(p.gray);
  state = (uint32_t)(width * 1000 + height);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int values[MOTIFS] = {60 + draw(6), draw(256), 77, (x / 8 + y / 8) % 2 * 120, draw(30) == 0 ? 255 : 0,
          (int)(127 + 60 * sin(x * 0.4 + y * 0.1) + 60 * sin(y * 0.5))};
      p.gray[y * width + x] = (uint8_t)values[motif];
    }
  }
  if (motif == BOXES) boxes_draw(&p);
  return p;
}

/* ------------------------------------------------------------------------------------------------------- equality */

static pmn_device_describer *device_describer_of(int32_t keypoints_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_describer *describer;
  check_ok(pmn_device_describer_create(device, PMN_DESCRIPTOR_ORB, keypoints_max, &describer, &err));
  assert_non_null(describer);
  return describer;
}

static pmn_describer *describer_of(int32_t keypoints_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_describer *describer;
  check_ok(pmn_describer_create(PMN_DESCRIPTOR_ORB, keypoints_max, &describer, &err));
  return describer;
}

static void check_equal(const picture *p, const pmn_described *found, const pmn_described *expected) {
  if (found->count != expected->count)
    fail_msg("%s of %d x %d: %d keypoints, the host has %d", motif_names[p->motif], p->width, p->height, found->count,
        expected->count);
  for (int32_t i = 0; i < found->count; i++) {
    const pmn_keypoint *a = &found->keypoints[i], *b = &expected->keypoints[i];
    if (memcmp(a, b, sizeof *a) != 0)
      fail_msg("%s of %d x %d, keypoint %d: level %d, %g, %g, %.9g, %.9g degrees; the host has %d, %g, %g, %.9g, %.9g",
          motif_names[p->motif], p->width, p->height, i, a->octave, (double)a->x, (double)a->y, (double)a->response,
          (double)a->angle, b->octave, (double)b->x, (double)b->y, (double)b->response, (double)b->angle);
    if (memcmp(found->descriptors + (size_t)i * BITS, expected->descriptors + (size_t)i * BITS, BITS) != 0)
      fail_msg("%s of %d x %d, keypoint %d: other bits", motif_names[p->motif], p->width, p->height, i);
  }
}

/* All pictures in one batch, against one after the other on the host; how many keypoints there are. */
static int64_t check_batch(
    pmn_device_describer *describer, int32_t keypoints_max, const picture *pictures, int32_t count) {
  pmn_err err = PMN_ERR_INIT;
  int64_t keypoints = 0;
  pmn_describer *host = describer_of(keypoints_max);
  pmn_gray_picture *batch = calloc((size_t)count, sizeof *batch);
  pmn_described *found = calloc((size_t)count, sizeof *found), expected;
  assert_true(batch != NULL && found != NULL);
  for (int32_t i = 0; i < count; i++) {
    batch[i] = (pmn_gray_picture){pictures[i].gray, pictures[i].width, pictures[i].height};
  }
  check_ok(pmn_device_describer_run(describer, batch, count, found, &err));
  for (int32_t i = 0; i < count; i++) {
    check_ok(pmn_describer_run(host, pictures[i].gray, pictures[i].width, pictures[i].height, &expected, &err));
    check_equal(&pictures[i], &found[i], &expected);
    keypoints += found[i].count;
  }
  free(batch);
  free(found);
  pmn_describer_destroy(host);
  return keypoints;
}

static void pictures_free(picture *pictures, int32_t count) {
  for (int32_t i = 0; i < count; i++) free(pictures[i].gray);
}

/* ---------------------------------------------------------------------------------------------------------- tests */

/* From 1 x 1 to 300 x 200, those with room for no corner among them, in batches of all motifs. The same describer takes
 * small batches after large ones, and what an earlier one left must not show. */
static void sizes(void **unused) {
  (void)unused;
  enum { COUNT = 60 };
  static const int chosen[][2] = {{1, 1}, {2, 1}, {1, 300}, {300, 1}, {62, 62}, {63, 62}, {62, 63}, {63, 63}, {64, 63},
      {63, 65}, {300, 63}, {63, 200}, {75, 75}, {76, 75}, {100, 100}, {300, 200}};
  const int chosen_count = sizeof chosen / sizeof *chosen;
  picture pictures[COUNT];
  for (int i = 0; i < COUNT; i++) {
    int width = i < chosen_count ? chosen[i][0] : 1 + 37 * i % 300;
    int height = i < chosen_count ? chosen[i][1] : 1 + 71 * i % 200;
    pictures[i] = picture_make((enum motif)(i * 5 / 2 % MOTIFS), width, height);
  }
  pmn_device_describer *describer = device_describer_of(0);
  assert_true(check_batch(describer, 0, pictures, COUNT) > 4000);
  for (int first = 0, count = 1; first + count <= COUNT; first += count++) {
    check_batch(describer, 0, pictures + first, count);
  }
  pmn_device_describer_destroy(describer);
  pictures_free(pictures, COUNT);
}

/* Neighbours of which one size differs, of the picture or of a level alone (105 and 106 become 88), share no table. */
static void neighbours(void **unused) {
  (void)unused;
  static const int chosen[][2] = {
      {100, 90}, {100, 120}, {90, 120}, {90, 120}, {105, 120}, {106, 120}, {120, 106}, {120, 105}};
  enum { COUNT = sizeof chosen / sizeof *chosen };
  picture pictures[COUNT];
  for (int i = 0; i < COUNT; i++) pictures[i] = picture_make(NOISE, chosen[i][0], chosen[i][1]);
  pmn_device_describer *describer = device_describer_of(0);
  assert_true(check_batch(describer, 0, pictures, COUNT) > COUNT * 20);
  pmn_device_describer_destroy(describer);
  pictures_free(pictures, COUNT);
}

/* Few of many: the choice by both scores, ties at the end of a share, levels that get none, shares that add up to more;
 * and all of thousands. */
static void keypoints_max(void **unused) {
  (void)unused;
  static const int32_t wanted[] = {1, 2, 3, 7, 50, 2000, INT32_MAX};
  picture pictures[MOTIFS];
  for (int m = 0; m < MOTIFS; m++) pictures[m] = picture_make((enum motif)m, 300 - 10 * m, 240);
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    pmn_device_describer *describer = device_describer_of(wanted[i]);
    int64_t count = check_batch(describer, wanted[i], pictures, MOTIFS);
    assert_true(count > 0 && (wanted[i] < INT32_MAX || count > 5000));
    pmn_device_describer_destroy(describer);
  }
  pictures_free(pictures, MOTIFS);
  pmn_err err = PMN_ERR_INIT;
  pmn_device_describer *describer;
  check_fails(pmn_device_describer_create(device, PMN_DESCRIPTOR_ORB, -1, &describer, &err), PMN_STATUS_ARGUMENT, "-1");
}

/* Nothing to find: in none of the pictures, and in one alone. */
static void nothing(void **unused) {
  (void)unused;
  picture pictures[] = {picture_make(BLANK, 200, 100), picture_make(NOISE, 62, 500), picture_make(BLANK, 63, 63)};
  picture small = picture_make(NOISE, 3, 5);
  pmn_device_describer *describer = device_describer_of(0);
  assert_int_equal(check_batch(describer, 0, pictures, 3), 0);
  assert_int_equal(check_batch(describer, 0, &small, 1), 0);
  pmn_device_describer_destroy(describer);
  pictures_free(pictures, 3);
  free(small.gray);
}

/* More than a slice of 64 MB: some 1.4 MB a picture. And pictures as wide and as high as they come. */
static void slices(void **unused) {
  (void)unused;
  enum { COUNT = 70 };
  picture pictures[COUNT] = {
      picture_make(NOISE, 300, 200), picture_make(BOXES, 290, 210), picture_make(TILES, 200, 300)};
  for (int i = 3; i < COUNT; i++) pictures[i] = pictures[i % 3];
  pmn_device_describer *describer = device_describer_of(0);
  assert_true(check_batch(describer, 0, pictures, COUNT) > COUNT * 200);
  pictures_free(pictures, 3);
  picture large[] = {picture_make(SPECKS, 32767, 63), picture_make(BOXES, 63, 32767)};
  assert_true(check_batch(describer, 0, large, 2) > 200);
  pmn_device_describer_destroy(describer);
  pictures_free(large, 2);
}

/* Memory runs out anywhere: an error, no leak, and the same describer goes on when there is some again. */
static void memory(void **unused) {
  (void)unused;
  picture pictures[] = {picture_make(BOXES, 100, 90), picture_make(NOISE, 64, 64)};
  pmn_gray_picture batch[] = {{pictures[0].gray, 100, 90}, {pictures[1].gray, 64, 64}};
  pmn_device_describer_destroy(device_describer_of(0)); /* kernels are built, or loaded */
  int failures = 0;
  bool done = false;
  for (int64_t k = 0; !done; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_device_describer *describer;
    pmn_described found[2];
    pmn_mem_fail_after(k);
    pmn_status st = pmn_device_describer_create(device, PMN_DESCRIPTOR_ORB, 0, &describer, &err);
    if (st == PMN_STATUS_OK) st = pmn_device_describer_run(describer, batch, 2, found, &err);
    done = pmn_mem_fail_after(-1) <= k;
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      failures++;
    }
    if (describer != NULL) check_batch(describer, 0, pictures, 2);
    pmn_device_describer_destroy(describer);
  }
  assert_true(failures >= 20);
  pictures_free(pictures, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sizes),
      cmocka_unit_test(neighbours),
      cmocka_unit_test(keypoints_max),
      cmocka_unit_test(nothing),
      cmocka_unit_test(slices),
      cmocka_unit_test(memory),
  };
  pmn_err err = PMN_ERR_INIT;
  const pmn_device_options options = {.index = -1, .threads = 1};
  const pmn_backend *backend = pmn_backend_find("opencl");
  pmn_device_info info;
  int32_t count = 0;
  if (backend->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  if (pmn_device_open(backend, &options, &device, &err) != PMN_STATUS_OK) {
    fprintf(stderr, "%s\n", err.message);
    return 1;
  }
  int failures = cmocka_run_group_tests(tests, NULL, NULL);
  pmn_device_close(device);
  return check_exit(failures);
}
