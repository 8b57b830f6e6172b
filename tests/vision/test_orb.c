/* test_orb.c - ORB against OpenCV's golden answers, and to the bit against plain loops.
 *
 * Pictures are generated; those of the golden files as tests/golden/make_orb.py draws them. */
#include "check.h"

#include "plain_orb.h"
#include "pmn_mem.h"

#include <math.h>

enum { BITS = 32, COLUMNS = 7 };

/* ---------------------------------------------------------------------------------------------------------- pictures
 */

static uint32_t state;

static int draw(int below) {
  state = state * 1664525 + 1013904223;
  return (int)((state >> 16) % (uint32_t)below);
}

enum motif { SHAPES, NOISE, BLANK, TILES, SPECKS, SLOPE };
static const char *const motif_names[] = {"shapes", "noise", "blank", "tiles", "specks", "slope"};

static void shape_draw(uint8_t *gray, int width, int height) {
  int cx = draw(width), cy = draw(height), radius = 2 + draw(12), value = draw(248), disc = draw(2);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int dx = abs(x - cx), dy = abs(y - cy);
      bool inside = disc ? dx * dx + dy * dy <= radius * radius : dx <= radius && dy <= radius;
      if (inside) gray[y * width + x] = (uint8_t)value;
    }
  }
}

/* Exactly as long as it says, so that sanitizers see what is read beyond. free(). */
static uint8_t *picture(enum motif motif, int width, int height) {
  uint8_t *gray = malloc((size_t)width * (size_t)height);
  assert_non_null(gray);
  state = (uint32_t)(width * 1000 + height);
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      int values[] = {(x + y) / 4 % 200, draw(256), 77, (x / 8 + y / 8) % 2 * 90 + (x % 16 == 3 && y % 16 == 5) * 120,
          draw(40) == 0 ? 255 : 0, (3 * x + 2 * y) % 256};
      gray[y * width + x] = (uint8_t)values[motif];
    }
  }
  if (motif != SHAPES) return gray;
  state = (uint32_t)(width * 1000 + height);
  for (int i = 0; i < width * height / 150; i++) shape_draw(gray, width, height);
  for (int i = 0; i < width * height; i++) gray[i] = (uint8_t)(gray[i] + draw(8));
  return gray;
}

static pmn_describer *describer_of(int32_t keypoints_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_describer *describer;
  check_ok(pmn_describer_create(PMN_DESCRIPTOR_ORB, keypoints_max, &describer, &err));
  return describer;
}

/* ------------------------------------------------------------------------------------------------------------ OpenCV
 */

static const struct {
  int width, height, wanted;
} golden_cases[] = {
    {100, 100, 0}, {63, 150, 0}, {131, 97, 0}, {320, 240, 0}, {320, 240, 50}, {223, 301, 120}}; /* of make_orb.py */

/* Counts for each of the 256 bits how often it differs. */
static int different_bits(const uint8_t *a, const uint8_t *b, int of_bit[8 * BITS]) {
  int count = 0;
  for (int i = 0; i < 8 * BITS; i++) {
    int different = (a[i / 8] ^ b[i / 8]) >> i % 8 & 1;
    of_bit[i] += different;
    count += different;
  }
  return count;
}

/* Place, size, response and level are OpenCV's to the bit. Its arctangent is a polynomial that is up to 0.00955 degrees
 * off (make_orb.py measures it), and so are its angles. Points of the pattern, at most 18.4 pixels away, move by 0.003
 * pixels for that: one of 256 pairs may see another pixel now and then. OpenCV's descriptors differed by 0.03 bits on
 * average in 90000, and by 5 at most. The same bit, 4 times in all: 783 keypoints have 0.1 differences for each; a pair
 * that is one pixel off has some 50. */
static int golden_check(const pmn_described *d, const float *row, const uint8_t *bits, int of_bit[8 * BITS]) {
  for (int32_t i = 0; i < d->count; i++) {
    const pmn_keypoint *k = &d->keypoints[i];
    if (k->x != row[1] || k->y != row[2] || k->octave != (int32_t)row[6]) continue;
    assert_true(k->size == row[3] && k->response == row[5]);
    double off = fabs((double)k->angle - (double)row[4]);
    assert_true(fmin(off, 360 - off) < 0.01);
    int different = different_bits(d->descriptors + (size_t)i * BITS, bits, of_bit);
    assert_true(different <= 8);
    return different;
  }
  fail_msg("OpenCV's keypoint at %g, %g of level %g is not there", (double)row[1], (double)row[2], (double)row[6]);
  return 0;
}

static void golden(void **unused) {
  (void)unused;
  check_npy keypoints = check_npy_read("tests/golden/orb_keypoints.npy");
  check_npy bits = check_npy_read("tests/golden/orb_bits.npy");
  assert_true(keypoints.shape[1] == COLUMNS && bits.shape[1] == BITS && keypoints.shape[0] == bits.shape[0]);
  int64_t at = 0, different = 0;
  int of_bit[8 * BITS] = {0};
  for (size_t c = 0; c < sizeof golden_cases / sizeof *golden_cases; c++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_described d;
    pmn_describer *describer = describer_of(golden_cases[c].wanted);
    uint8_t *gray = picture(SHAPES, golden_cases[c].width, golden_cases[c].height);
    check_ok(pmn_describer_run(describer, gray, golden_cases[c].width, golden_cases[c].height, &d, &err));
    int32_t count = 0;
    for (; at < keypoints.shape[0]; at++, count++) {
      const float *row = (const float *)keypoints.data + at * COLUMNS;
      if (row[0] != (float)c) break;
      different += golden_check(&d, row, (const uint8_t *)bits.data + at * BITS, of_bit);
    }
    assert_int_equal(d.count, count);
    free(gray);
    pmn_describer_destroy(describer);
  }
  assert_int_equal(at, keypoints.shape[0]);
  assert_true((double)different <= 0.1 * (double)at);
  for (int i = 0; i < 8 * BITS; i++) assert_in_range(of_bit[i], 0, 4);
  free(keypoints.data);
  free(bits.data);
}

/* ------------------------------------------------------------------------------------------------------- plain loops
 */

static void check_plain(pmn_describer *describer, enum motif motif, int width, int height, int keypoints_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_described d;
  uint8_t *gray = picture(motif, width, height);
  int count;
  plain_orb_feature *plain = plain_orb(gray, width, height, keypoints_max, &count);
  check_ok(pmn_describer_run(describer, gray, width, height, &d, &err));
  if (d.count != count)
    fail_msg("%s of %d x %d: %d keypoints, plainly %d", motif_names[motif], width, height, d.count, count);
  for (int i = 0; i < count; i++) {
    if (memcmp(&d.keypoints[i], &plain[i].keypoint, sizeof(pmn_keypoint)) != 0 ||
        memcmp(d.descriptors + (size_t)i * BITS, plain[i].descriptor, BITS) != 0)
      fail_msg("%s of %d x %d: keypoint %d is another one", motif_names[motif], width, height, i);
  }
  free(plain);
  free(gray);
}

/* One describer for all, so that what an earlier picture left must not show. Widths around every length of a block. */
static void plain(void **unused) {
  (void)unused;
  pmn_describer *describer = describer_of(0);
  for (int motif = SHAPES; motif <= SLOPE; motif++) {
    for (int i = 0; i < 12; i++) check_plain(describer, (enum motif)motif, 63 + 7 * i, 140 - 5 * i, 500);
  }
  for (int width = 88; width < 98; width++) check_plain(describer, NOISE, width, 70, 500);
  check_plain(describer, SPECKS, 300, 200, 500);
  check_plain(describer, NOISE, 2000, 66, 500);
  check_plain(describer, SHAPES, 63, 63, 500);
  pmn_describer_destroy(describer);
}

/* Few are wanted of many: the choice by both scores, ties, levels that get none, and shares that add up to more. */
static void keypoints_max(void **unused) {
  (void)unused;
  static const int32_t wanted[] = {1, 2, 3, 7, 8, 50, 2000};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    pmn_describer *describer = describer_of(wanted[i]);
    for (int motif = SHAPES; motif <= SLOPE; motif++) check_plain(describer, (enum motif)motif, 230, 241, wanted[i]);
    pmn_describer_destroy(describer);
  }
  pmn_describer *describer = describer_of(INT32_MAX);
  check_plain(describer, NOISE, 120, 120, 100000);
  pmn_describer_destroy(describer);
  pmn_err err = PMN_ERR_INIT;
  check_fails(pmn_describer_create(PMN_DESCRIPTOR_ORB, -1, &describer, &err), PMN_STATUS_ARGUMENT, "-1");
  assert_null(describer);
}

/* ------------------------------------------------------------------------------------------------------------- edges
 */

static int32_t count_of(pmn_describer *describer, enum motif motif, int width, int height) {
  pmn_err err = PMN_ERR_INIT;
  pmn_described d;
  uint8_t *gray = picture(motif, width, height);
  check_ok(pmn_describer_run(describer, gray, width, height, &d, &err));
  free(gray);
  return d.count;
}

static void nothing_to_find(void **unused) {
  (void)unused;
  static const int sizes[][2] = {{1, 1}, {2, 1}, {7, 7}, {62, 62}, {62, 500}, {500, 62}, {32767, 1}, {1, 32767}};
  pmn_describer *describer = describer_of(0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    assert_int_equal(count_of(describer, SPECKS, sizes[i][0], sizes[i][1]), 0);
  }
  assert_int_equal(count_of(describer, BLANK, 200, 200), 0);
  assert_true(count_of(describer, NOISE, 32767, 63) > 0); /* as wide as they come */
  assert_true(count_of(describer, NOISE, 63, 32767) > 0);
  pmn_err err = PMN_ERR_INIT;
  pmn_described d = {1, NULL, NULL};
  check_fails(pmn_describer_run(describer, (const uint8_t *)"", 32768, 1, &d, &err), PMN_STATUS_ARGUMENT, "32768 x 1");
  assert_int_equal(d.count, 0);
  pmn_describer_destroy(describer);
}

/* Keypoints of a picture of 63 x 63, all `ground` but for one pixel. */
static int32_t count_of_speck(int x, int y, uint8_t ground, uint8_t value) {
  pmn_err err = PMN_ERR_INIT;
  pmn_described d;
  pmn_describer *describer = describer_of(0);
  uint8_t gray[63 * 63];
  memset(gray, ground, sizeof gray);
  gray[y * 63 + x] = value;
  check_ok(pmn_describer_run(describer, gray, 63, 63, &d, &err));
  if (d.count == 1) assert_true(d.keypoints[0].x == 31 && d.keypoints[0].y == 31 && d.keypoints[0].size == 31);
  int32_t count = d.count;
  pmn_describer_destroy(describer);
  return count;
}

/* 31 pixels from every border there is one place; and a corner differs by more than 20. */
static void border(void **unused) {
  (void)unused;
  for (int y = 30; y <= 32; y++) {
    for (int x = 30; x <= 32; x++) assert_int_equal(count_of_speck(x, y, 0, 200), x == 31 && y == 31);
  }
  assert_int_equal(count_of_speck(31, 31, 100, 120), 0);
  assert_int_equal(count_of_speck(31, 31, 100, 121), 1);
  assert_int_equal(count_of_speck(31, 31, 100, 80), 0);
  assert_int_equal(count_of_speck(31, 31, 100, 79), 1);
}

/* Tiles are all alike: responses in plenty are equal. */
static void order(void **unused) {
  (void)unused;
  pmn_err err = PMN_ERR_INIT;
  pmn_described d;
  pmn_describer *describer = describer_of(0);
  uint8_t *gray = picture(TILES, 320, 240);
  check_ok(pmn_describer_run(describer, gray, 320, 240, &d, &err));
  int equal = 0;
  for (int32_t i = 1; i < d.count; i++) {
    const pmn_keypoint *a = &d.keypoints[i - 1], *b = &d.keypoints[i];
    bool place = a->octave < b->octave || (a->octave == b->octave && (a->y < b->y || (a->y == b->y && a->x < b->x)));
    assert_true(a->response > b->response || (a->response == b->response && place));
    equal += a->response == b->response;
  }
  assert_true(equal > 50);
  free(gray);
  pmn_describer_destroy(describer);
}

/* -------------------------------------------------------------------------------------------------------------- names
 */

static void names(void **unused) {
  (void)unused;
  pmn_descriptor_kind kind = PMN_DESCRIPTOR_SIFT;
  assert_true(pmn_descriptor_find("orb", &kind));
  assert_int_equal(kind, PMN_DESCRIPTOR_ORB);
  assert_string_equal(pmn_descriptor_name(kind), "orb");
  assert_int_equal(pmn_descriptor_bytes(kind), BITS);
  assert_false(pmn_descriptor_find("ORB", &kind));
}

/* ------------------------------------------------------------------------------------------------------------- memory
 */

/* Every allocation fails once, and the describer that it failed in goes on as if nothing had happened. */
static void memory(void **unused) {
  (void)unused;
  uint8_t *gray = picture(SHAPES, 150, 130);
  pmn_err err = PMN_ERR_INIT;
  pmn_described d;
  pmn_describer *whole = describer_of(0);
  check_ok(pmn_describer_run(whole, gray, 150, 130, &d, &err));
  pmn_mem_fail_after(0); /* once is enough for pictures of a size */
  pmn_described again;
  check_ok(pmn_describer_run(whole, gray, 150, 130, &again, &err));
  assert_int_equal(pmn_mem_fail_after(-1), 0);
  int failures = 0;
  bool done = false;
  for (int64_t k = 0; !done; k++) {
    pmn_describer *describer;
    pmn_described partial;
    pmn_mem_fail_after(k);
    pmn_status st = pmn_describer_create(PMN_DESCRIPTOR_ORB, 0, &describer, &err);
    if (st == PMN_STATUS_OK) st = pmn_describer_run(describer, gray, 150, 130, &partial, &err);
    done = pmn_mem_fail_after(-1) <= k;
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      failures++;
    }
    if (describer != NULL) {
      check_ok(pmn_describer_run(describer, gray, 150, 130, &partial, &err));
      assert_int_equal(partial.count, d.count);
      assert_memory_equal(partial.keypoints, d.keypoints, sizeof(pmn_keypoint) * (size_t)d.count);
      assert_memory_equal(partial.descriptors, d.descriptors, (size_t)d.count * BITS);
    }
    pmn_describer_destroy(describer);
  }
  assert_true(failures >= 13);
  pmn_describer_destroy(whole);
  free(gray);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(golden),
      cmocka_unit_test(plain),
      cmocka_unit_test(keypoints_max),
      cmocka_unit_test(nothing_to_find),
      cmocka_unit_test(border),
      cmocka_unit_test(order),
      cmocka_unit_test(names),
      cmocka_unit_test(memory),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
