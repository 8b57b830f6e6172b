/* test_sift.c - SIFT against OpenCV's answers, against the plain version in doubles, and against itself: other
 * instruction sets, other pictures before, other limits.
 *
 * Two sums of the same floats in another order differ in the last bits, 1e-7 of 255. Differences of blurred pictures,
 * where a keypoint has at least 3, then are off by 1e-5 of themselves; the matrix that the exact place is solved with
 * loses some digits more: 0.001 pixels of the octave, a thousandth of the size, 1e-5 of the response.
 *
 * Directions are counted whole into bins. Where a gradient on the border of two bins falls to the other one, the peak
 * moves, a flat one by up to a degree, and the descriptor turns with it. OpenCV's angles come from another polynomial,
 * so this happens, to few: the limit for one descriptor is 5 % of its length, 512, but half of them must be equal.
 * Against the plain version it does not happen in these pictures: 0.1 degrees, and bytes that differ by one at most,
 * of which there are few.
 */
#include "check.h"

#include "made_up.h"
#include "plain_sift.h"
#include "pmn_mem.h"
#include "pmn_sift.h"

#include <math.h>

enum { BYTES = PMN_SIFT_BYTES };

static const double pi = 3.14159265358979323846;

static pmn_describer *describer_create(int32_t keypoints_max) {
  pmn_err err;
  pmn_describer *describer;
  check_ok(pmn_describer_create(PMN_DESCRIPTOR_SIFT, keypoints_max, &describer, &err));
  return describer;
}

static pmn_described describe(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height) {
  pmn_err err;
  pmn_described found;
  check_ok(pmn_describer_run(describer, gray, width, height, &found, &err));
  return found;
}

/* -------------------------------------------------------------------------------------------- other answers -- */

static double descriptor_distance(const uint8_t *a, const uint8_t *b) {
  double sum = 0;
  for (int i = 0; i < BYTES; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sqrt(sum);
}

typedef struct tolerance {
  double degrees, distance; /* of descriptors */
} tolerance;

static bool same_keypoint(const pmn_keypoint *a, const pmn_keypoint *b, double degrees) {
  double unit = ldexp(1, a->octave);
  return a->octave == b->octave && hypot(a->x - b->x, a->y - b->y) <= 0.001 * unit &&
         fabsf(a->size - b->size) <= 0.001f * a->size && fabs(remainder(a->angle - b->angle, 360)) <= degrees &&
         fabsf(a->response - b->response) <= 1e-5f;
}

/* Every feature is found, no other, and half of the descriptors are equal. */
static void check_same(const pmn_described *found, const plain_feature *features, int count, tolerance allowed) {
  double most = 0;
  int equal = 0;
  assert_int_equal(found->count, count);
  for (int k = 0; k < count; k++) {
    const pmn_keypoint *expected = &features[k].keypoint;
    double nearest = INFINITY;
    for (int i = 0; i < found->count; i++) {
      if (!same_keypoint(expected, &found->keypoints[i], allowed.degrees)) continue;
      nearest = fmin(nearest, descriptor_distance(found->descriptors + (size_t)i * BYTES, features[k].descriptor));
    }
    if (nearest > allowed.distance) {
      fail_msg("keypoint %d at %g, %g, angle %g, octave %d: descriptor off by %g", k, expected->x, expected->y,
          expected->angle, expected->octave, nearest);
    }
    most = fmax(most, nearest);
    equal += nearest == 0;
  }
  print_message("%d keypoints, %d descriptors equal, others off by %.1f at most\n", count, equal, most);
  assert_true(2 * equal >= count);
}

static void opencv(void **state) {
  (void)state;
  check_npy pictures = check_npy_read("tests/golden/sift_pictures.npy");
  check_npy sizes = check_npy_read("tests/golden/sift_sizes.npy");
  check_npy rows = check_npy_read("tests/golden/sift_keypoints.npy");
  check_npy descriptors = check_npy_read("tests/golden/sift_descriptors.npy");
  plain_feature *features = calloc((size_t)rows.shape[0], sizeof *features);
  assert_non_null(features);
  for (int64_t k = 0; k < rows.shape[0]; k++) {
    const float *v = (const float *)rows.data + 6 * k;
    features[k].keypoint = (pmn_keypoint){v[0], v[1], v[2], v[3], v[4], (int32_t)v[5]};
    memcpy(features[k].descriptor, (const uint8_t *)descriptors.data + k * BYTES, BYTES);
  }
  pmn_describer *describer = describer_create(0);
  const uint8_t *gray = pictures.data;
  int64_t first = 0;
  for (int64_t p = 0; p < sizes.shape[0]; p++) {
    const float *size = (const float *)sizes.data + 3 * p;
    int32_t width = (int32_t)size[0], height = (int32_t)size[1], count = (int32_t)size[2];
    pmn_described found = describe(describer, gray, width, height);
    check_same(&found, features + first, count, (tolerance){1, 0.05 * 512});
    gray += (size_t)width * (size_t)height;
    first += count;
  }
  assert_int_equal(first, rows.shape[0]);
  pmn_describer_destroy(describer);
  free(features);
  free(pictures.data);
  free(sizes.data);
  free(rows.data);
  free(descriptors.data);
}

static const struct {
  int width, height, smooth;
} cases[] = {{64, 64, 3}, {31, 90, 2}, {113, 47, 6}, {16, 16, 1}, {7, 60, 2}, {6, 6, 1}, {130, 20, 4}};
enum { CASES = sizeof cases / sizeof *cases };

static void plain(void **state) {
  (void)state;
  pmn_describer *describer = describer_create(0);
  for (int c = 0; c < CASES; c++) {
    int count;
    uint8_t *gray = made_up(cases[c].width, cases[c].height, cases[c].smooth, 1 + (uint32_t)c);
    plain_feature *features = plain_sift(gray, cases[c].width, cases[c].height, &count);
    pmn_described found = describe(describer, gray, cases[c].width, cases[c].height);
    check_same(&found, features, count, (tolerance){0.1, 2});
    free(features);
    free(gray);
  }
  pmn_describer_destroy(describer);
}

/* ------------------------------------------------------------------------------------------ instruction sets -- */

/* All of a picture with the loops of one instruction set, in the order of finding: keypoints and descriptors. */
static size_t run_with(const pmn_sift_loops *loops, const uint8_t *gray, int width, int height, char **bytes) {
  pmn_err err;
  pmn_sift_space space;
  pmn_sift_points points = {0};
  pmn_sift_space_init(&space, loops);
  check_ok(pmn_sift_space_begin(&space, gray, width, height, &err));
  for (int32_t o = 0; o < space.octaves; o++) {
    pmn_sift_space_octave(&space, o);
    check_ok(pmn_sift_points_find(&space, o, &points, &err));
  }
  size_t each = sizeof(pmn_keypoint) + BYTES, size = (size_t)points.count * each;
  *bytes = malloc(size + 1);
  assert_non_null(*bytes);
  for (int32_t k = 0; k < points.count; k++) {
    uint8_t descriptor[BYTES];
    pmn_sift_point_describe(&space, &points.at[k], descriptor);
    memcpy(*bytes + (size_t)k * each, &points.at[k].keypoint, sizeof(pmn_keypoint));
    memcpy(*bytes + (size_t)k * each + sizeof(pmn_keypoint), descriptor, BYTES);
  }
  pmn_sift_space_reset(&space);
  pmn_free(points.at);
  return size;
}

static void instruction_sets(void **state) {
  (void)state;
  static const char *const names[] = {"avx2", "avx512"};
  assert_non_null(pmn_sift_loops_find("baseline"));
  assert_null(pmn_sift_loops_find("none"));
  for (int n = 0; n < 2; n++) {
    const pmn_sift_loops *loops = pmn_sift_loops_find(names[n]);
    if (loops == NULL) {
      print_message("%s is not to be had here\n", names[n]);
      continue;
    }
    assert_string_equal(loops->isa, names[n]);
    for (int c = 0; c < CASES; c++) {
      uint8_t *gray = made_up(cases[c].width, cases[c].height, cases[c].smooth, 77 + (uint32_t)c);
      char *ours, *plain_bytes;
      size_t size = run_with(loops, gray, cases[c].width, cases[c].height, &ours);
      size_t other = run_with(pmn_sift_loops_find("baseline"), gray, cases[c].width, cases[c].height, &plain_bytes);
      assert_int_equal(size, other);
      assert_memory_equal(ours, plain_bytes, size);
      free(ours);
      free(plain_bytes);
      free(gray);
    }
  }
}

static pmn_sift_plane plane_create(int32_t width, int32_t height) {
  int32_t stride = ((width + PMN_SIFT_VECTOR - 1) / PMN_SIFT_VECTOR | 1) * PMN_SIFT_VECTOR;
  pmn_sift_plane plane = {width, height, stride, pmn_alloc_aligned((size_t)(stride * height), sizeof(float))};
  assert_non_null(plane.at);
  memset(plane.at, 0, (size_t)(stride * height) * sizeof(float));
  return plane;
}

static int reflect(int i, int n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

/* The sum of both passes in doubles. All terms are positive and their sum is 255 at most; each pass rounds a term
 * radius
 * + 2 times, so the result is off by 2 (radius + 2) 2^-24 of it; and once more, for terms of second order. */
static void check_blur(
    const pmn_sift_plane *in, const pmn_sift_blur *blur, const pmn_sift_plane *out, const float *difference) {
  double bound = (2 * (blur->radius + 2) + 1) * ldexp(255, -24);
  for (int y = 0; y < in->height; y++) {
    for (int x = 0; x < in->width; x++) {
      double sum = 0;
      for (int j = -blur->radius; j <= blur->radius; j++) {
        for (int i = -blur->radius; i <= blur->radius; i++) {
          sum += (double)blur->weights[abs(j)] * (double)blur->weights[abs(i)] *
                 (double)in->at[reflect(y + j, in->height) * in->stride + reflect(x + i, in->width)];
        }
      }
      int at = y * in->stride + x;
      if (!(fabs(out->at[at] - sum) <= bound)) fail_msg("%d, %d: %.9g for %.9g", x, y, out->at[at], sum);
      if (difference[at] != out->at[at] - in->at[at]) fail_msg("%d, %d: difference %.9g", x, y, difference[at]);
    }
  }
}

/* Doubling is exact; every blur keeps to its bound; pictures of all kinds of widths, narrower than a blur, too. */
static void scale_space(void **state) {
  (void)state;
  static const int sizes[][2] = {{1, 1}, {1, 3}, {2, 1}, {5, 4}, {6, 9}, {17, 3}, {25, 6}, {40, 2}};
  pmn_sift_space space;
  pmn_sift_space_init(&space, pmn_sift_loops_find(NULL));
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    int width = sizes[s][0], height = sizes[s][1];
    uint8_t *gray = made_up(width, height, 0, 11);
    pmn_sift_plane in = plane_create(2 * width, 2 * height), out = plane_create(2 * width, 2 * height);
    pmn_sift_plane difference = plane_create(2 * width, 2 * height), lines = plane_create(2 * width + 32, 2);
    space.loops->enlarge(gray, &in, lines.at);
    for (int y = 0; y < in.height; y++) {
      for (int x = 0; x < in.width; x++) {
        /* 3 parts of the pixel it lies in, 1 of the neighbour it lies towards, each way */
        int y1 = y / 2 + (y % 2 == 0 ? -1 : 1), x1 = x / 2 + (x % 2 == 0 ? -1 : 1);
        y1 = y1 < 0 ? 0 : y1 < height ? y1 : height - 1, x1 = x1 < 0 ? 0 : x1 < width ? x1 : width - 1;
        int sixteenths = 9 * gray[y / 2 * width + x / 2] + 3 * gray[y / 2 * width + x1] + 3 * gray[y1 * width + x / 2] +
                         gray[y1 * width + x1];
        assert_true(in.at[y * in.stride + x] == (float)sixteenths / 16);
      }
    }
    for (int b = 0; b < PMN_SIFT_BLURS; b++) {
      space.loops->blur(&in, &space.blurs[b], &out, difference.at, lines.at + PMN_SIFT_VECTOR);
      check_blur(&in, &space.blurs[b], &out, difference.at);
    }
    pmn_free(in.at);
    pmn_free(out.at);
    pmn_free(difference.at);
    pmn_free(lines.at);
    free(gray);
  }
}

/* The bound that the polynomial's comment claims, all around the circle and for vectors of any length. */
static void directions(void **state) {
  (void)state;
  enum { COUNT = 64 };
  const pmn_sift_loops *loops = pmn_sift_loops_find(NULL);
  float plane[3][COUNT + 2 + PMN_SIFT_VECTOR], weights[PMN_SIFT_ROW_MAX], magnitudes[PMN_SIFT_ROW_MAX];
  float turns[PMN_SIFT_ROW_MAX];
  double most = 0;
  for (int i = 0; i < PMN_SIFT_ROW_MAX; i++) weights[i] = 1.0f;
  for (int step = 0; step < 4000; step++) {
    double turn = step / 4000.0, length = pow(10, step % 7 - 3);
    memset(plane, 0, sizeof plane);
    plane[1][2] = (float)(length * cos(2 * pi * turn));
    plane[0][1] = (float)(length * sin(2 * pi * turn));
    loops->gradients(&plane[1][1], COUNT + 2 + PMN_SIFT_VECTOR, 1, 2.0f, weights, magnitudes, turns);
    double exact = atan2(plane[0][1], plane[1][2]) / (2 * pi);
    most = fmax(most, fabs(remainder(turns[0] - exact, 1)));
    assert_true(turns[0] >= 0.0f && turns[0] <= 1.0f);
    assert_true(fabs(magnitudes[0] / 2 - length) <= 1e-6 * length);
  }
  print_message("off by %.3g turns at most\n", most);
  assert_true(most < 1.9e-6);
}

/* -------------------------------------------------------------------------------------------------- edges -- */

static void nothing_to_find(void **state) {
  (void)state;
  static const int32_t sizes[][2] = {{1, 1}, {1, 9}, {9, 1}, {1, 300}, {300, 1}, {2, 2}, {3, 3}, {5, 5}, {2, 90}};
  pmn_describer *describer = describer_create(0);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    uint8_t *gray = made_up(sizes[s][0], sizes[s][1], 0, 5);
    assert_int_equal(describe(describer, gray, sizes[s][0], sizes[s][1]).count, 0);
    free(gray);
  }
  for (int value = 0; value < 256; value += 85) {
    uint8_t gray[40 * 30];
    memset(gray, value, sizeof gray);
    assert_int_equal(describe(describer, gray, 40, 30).count, 0);
  }
  pmn_err err;
  pmn_described found;
  uint8_t one = 1;
  check_fails(pmn_describer_run(describer, &one, 0, 1, &found, &err), PMN_STATUS_ARGUMENT, "0 x 1");
  check_fails(pmn_describer_run(describer, &one, 1, 32768, &found, &err), PMN_STATUS_ARGUMENT, "1 x 32768");
  pmn_describer_destroy(describer);
}

static int rank_of(const pmn_keypoint *a, const pmn_keypoint *b) {
  float left[] = {-a->response, (float)a->octave, a->y, a->x, a->angle};
  float right[] = {-b->response, (float)b->octave, b->y, b->x, b->angle};
  for (int i = 0; i < 5; i++) {
    if (left[i] != right[i]) return left[i] < right[i] ? -1 : 1;
  }
  return 0;
}

/* Strictly in order, so without twins; in range; and a limit keeps the first ones as they are. */
static void order_and_limits(void **state) {
  (void)state;
  static const int32_t limits[] = {1, 50, INT32_MAX};
  enum { WIDTH = 100, HEIGHT = 75 };
  uint8_t *gray = made_up(WIDTH, HEIGHT, 2, 99);
  pmn_describer *all = describer_create(0);
  pmn_described found = describe(all, gray, WIDTH, HEIGHT);
  assert_true(found.count > 50);
  bool shared = false; /* do two directions of one place occur? */
  for (int32_t k = 0; k < found.count; k++) {
    const pmn_keypoint *p = &found.keypoints[k];
    assert_true(p->x >= 0 && p->x < WIDTH && p->y >= 0 && p->y < HEIGHT && p->angle >= 0 && p->angle < 360);
    assert_true(p->response > 0 && p->size > 0 && p->octave >= -1);
    double length = 0;
    for (int i = 0; i < BYTES; i++) length += pow(found.descriptors[k * BYTES + i], 2);
    assert_true(sqrt(length) > 480 && sqrt(length) < 520); /* 512, less what bytes cut off at 255 */
    if (k > 0) assert_true(rank_of(p - 1, p) < 0);
    shared |= k > 0 && p->x == p[-1].x && p->y == p[-1].y;
  }
  assert_true(shared);
  for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
    pmn_describer *some = describer_create(limits[l]);
    pmn_described kept = describe(some, gray, WIDTH, HEIGHT);
    assert_int_equal(kept.count, limits[l] < found.count ? limits[l] : found.count);
    assert_memory_equal(kept.keypoints, found.keypoints, (size_t)kept.count * sizeof *kept.keypoints);
    assert_memory_equal(kept.descriptors, found.descriptors, (size_t)kept.count * BYTES);
    pmn_describer_destroy(some);
  }
  pmn_describer_destroy(all);
  free(gray);
}

/* What a describer saw before changes nothing. */
static void used_again(void **state) {
  (void)state;
  pmn_describer *used = describer_create(0);
  for (int turn = 0; turn < 2; turn++) {
    for (int i = 0; i < CASES; i++) {
      int c = turn == 0 ? i : CASES - 1 - i;
      uint8_t *gray = made_up(cases[c].width, cases[c].height, cases[c].smooth, 7 + (uint32_t)c);
      pmn_describer *fresh = describer_create(0);
      pmn_described expected = describe(fresh, gray, cases[c].width, cases[c].height);
      pmn_described found = describe(used, gray, cases[c].width, cases[c].height);
      assert_int_equal(found.count, expected.count);
      if (found.count > 0) {
        assert_memory_equal(found.keypoints, expected.keypoints, (size_t)found.count * sizeof *found.keypoints);
        assert_memory_equal(found.descriptors, expected.descriptors, (size_t)found.count * BYTES);
      }
      pmn_describer_destroy(fresh);
      free(gray);
    }
  }
  pmn_describer_destroy(used);
}

/* A small picture, then a large one. */
static pmn_status run_both(pmn_describer *describer, const uint8_t *gray, int32_t counts[2]) {
  pmn_err err;
  pmn_described found;
  pmn_status st = pmn_describer_run(describer, gray, 30, 20, &found, &err);
  if (st != PMN_STATUS_OK) return st;
  counts[0] = found.count;
  st = pmn_describer_run(describer, gray, 140, 120, &found, &err);
  counts[1] = found.count;
  return st;
}

/* Memory runs out anywhere: an error, no leak, and the same describer answers when there is some again. The largest
 * picture seen, nothing more is asked for. */
static void out_of_memory(void **state) {
  (void)state;
  uint8_t *gray = made_up(140, 120, 1, 3);
  int32_t expected[2], counts[2];
  pmn_describer *whole = describer_create(0);
  assert_int_equal(run_both(whole, gray, expected), PMN_STATUS_OK);
  pmn_describer_destroy(whole);
  assert_true(expected[1] > 256); /* so that the list of keypoints has grown once */
  bool failed = true;
  for (int64_t k = 0; failed; k++) {
    assert_true(k < 20);
    pmn_err err;
    pmn_describer *describer;
    (void)pmn_mem_fail_after(k);
    pmn_status st = pmn_describer_create(PMN_DESCRIPTOR_SIFT, 0, &describer, &err);
    failed = st != PMN_STATUS_OK;
    if (failed) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      assert_null(describer);
    } else {
      st = run_both(describer, gray, counts);
      failed = st != PMN_STATUS_OK;
      if (failed) assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      for (int again = 0; again < 2; again++) {
        (void)pmn_mem_fail_after(again == 0 ? -1 : 0);
        assert_int_equal(run_both(describer, gray, counts), PMN_STATUS_OK);
        assert_memory_equal(counts, expected, sizeof counts);
      }
    }
    (void)pmn_mem_fail_after(-1);
    pmn_describer_destroy(describer);
  }
  free(gray);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(opencv),
      cmocka_unit_test(plain),
      cmocka_unit_test(instruction_sets),
      cmocka_unit_test(scale_space),
      cmocka_unit_test(directions),
      cmocka_unit_test(nothing_to_find),
      cmocka_unit_test(order_and_limits),
      cmocka_unit_test(used_again),
      cmocka_unit_test(out_of_memory),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
