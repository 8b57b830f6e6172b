/* test_kmeans_start.c - the first centres: against plain Python with the same random numbers, and what is drawn how
 * often. */
#include "kmeans_cases.h"

#include "pmn_kmeans_parts.h"

static void choose(kmeans_memory *m, bool binary, pmn_kmeans_options options, uint8_t *centres) {
  pmn_points points = kmeans_points(m, binary);
  pmn_err err = PMN_ERR_INIT;
  pmn_random random;
  pmn_pool *pool = NULL;
  int32_t found = 0;
  pmn_random_init(&random, options.seed);
  check_ok(pmn_pool_create(options.threads, &pool, &err));
  check_ok(pmn_start_choose(&points, &options, pool, &random, centres, &found, &err));
  pmn_pool_destroy(pool);
  assert_int_equal(found, options.k);
}

/* STARTS of make_kmeans.py. */
static void test_as_plain_python(void **state) {
  (void)state;
  static const struct {
    const char *name; /* NULL: 57 points again and again */
    pmn_kmeans_start start;
    int32_t k;
  } starts[] = {{"many", PMN_KMEANS_PLUSPLUS, 40}, {"bits", PMN_KMEANS_PLUSPLUS, 10}, {NULL, PMN_KMEANS_PLUSPLUS, 57},
      {"many", PMN_KMEANS_RANDOM, 40}, {"bits_empty", PMN_KMEANS_RANDOM, 30}, {NULL, PMN_KMEANS_RANDOM, 57}};
  check_npy golden = check_npy_read("tests/golden/kmeans_start.npy");
  const uint8_t *expected = golden.data;
  uint8_t centres[40 * 32];
  for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
    const kmeans_case *c = starts[i].name == NULL ? NULL : kmeans_find(starts[i].name);
    kmeans_memory m = c == NULL ? kmeans_repeated(57) : kmeans_memory_make(c);
    pmn_kmeans_options options = {.k = starts[i].k, .seed = i, .start = starts[i].start};
    for (options.threads = 1; options.threads < 4; options.threads += 2) {
      choose(&m, c != NULL && c->binary, options, centres);
      for (int32_t t = 0; t < options.k; t++) {
        if (memcmp(centres + t * m.width, expected + t * m.width, (size_t)m.width) != 0)
          fail_msg("start %zu, %d threads: centre %d is another one", i, options.threads, t);
      }
    }
    expected += options.k * m.width;
    free(m.data);
  }
  assert_int_equal(expected - (const uint8_t *)golden.data, golden.size);
  free(golden.data);
}

/* Each of ten points is among three centres in 300 of 1000 runs, give or take 4 deviations: no point is preferred. */
static void test_random_start_is_even(void **state) {
  (void)state;
  kmeans_memory m = {.data = malloc(10), .count = 10, .width = 1};
  double hits[10] = {0};
  for (uint8_t i = 0; i < 10; i++) m.data[i] = (uint8_t)(i * i);
  for (uint64_t seed = 0; seed < 1000; seed++) {
    uint8_t centres[3];
    choose(&m, false, (pmn_kmeans_options){.k = 3, .seed = seed, .start = PMN_KMEANS_RANDOM, .threads = 1}, centres);
    assert_true(centres[0] != centres[1] && centres[1] != centres[2] && centres[0] != centres[2]);
    for (int c = 0; c < 3; c++) hits[(int)(sqrt(centres[c]) + 0.5)]++;
  }
  for (int i = 0; i < 10; i++) {
    if (fabs(hits[i] - 300.0) > 4.0 * sqrt(1000.0 * 0.3 * 0.7)) fail_msg("point %d: %g of 1000, not 300", i, hits[i]);
  }
  free(m.data);
}

/* The second centre of k-means++ is drawn by squared distance: with k = 2, two trials, and points 0, 1 and 3, from 0
 * the better of two draws. Left of 1: (3 - 1)^2 = 4; of 3: 1. So 3 unless both draws are 1, which is (1/10)^2. From 3:
 * weights 9, 4; 0 leaves 1, 1 leaves 1: the first drawn. From 1: weights 1, 4; 0 leaves 4, 3 leaves 1: (1/5)^2. */
static void test_plusplus_draws_by_square(void **state) {
  (void)state;
  uint8_t data[3] = {0, 1, 3};
  kmeans_memory m = {.data = data, .count = 3, .width = 1};
  double pairs[4][4] = {{0}}, from[4] = {0};
  enum { RUNS = 6000 };
  for (uint64_t seed = 0; seed < RUNS; seed++) {
    uint8_t centres[2];
    choose(&m, false, (pmn_kmeans_options){.k = 2, .seed = seed, .threads = 1}, centres);
    pairs[centres[0]][centres[1]]++;
    from[centres[0]]++;
  }
  const double expected[3][3] = {{0, 1, 0.01}, {3, 0, 9.0 / 13.0}, {1, 0, 0.04}};
  for (int i = 0; i < 3; i++) {
    int a = (int)expected[i][0], b = (int)expected[i][1];
    double p = expected[i][2], mean = from[a] * p;
    assert_true(fabs(from[a] - RUNS / 3.0) <= 4.0 * sqrt(RUNS * 2.0 / 9.0));
    if (fabs(pairs[a][b] - mean) > 4.0 * sqrt(mean * (1.0 - p)))
      fail_msg("%d after %d: %g times, not %g", b, a, pairs[a][b], mean);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_plain_python),
      cmocka_unit_test(test_random_start_is_even),
      cmocka_unit_test(test_plusplus_draws_by_square),
  };
  return check_exit(cmocka_run_group_tests_name("the start of k-means", tests, NULL, NULL));
}
