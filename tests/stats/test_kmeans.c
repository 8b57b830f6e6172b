/* test_kmeans.c - words: against scikit-learn and plain Python, the same bits on every device and with any number of
 * threads, and hard cases. */
#include "kmeans_cases.h"

#include "pmn_kmeans_parts.h"
#include "pmn_mem.h"

static pmn_device *cpu;

static bool same_words(const pmn_vocabulary *a, const pmn_vocabulary *b) {
  size_t count = (size_t)a->k * (size_t)a->width;
  return a->k == b->k && a->width == b->width && a->iterations == b->iterations && a->inertia == b->inertia &&
         (a->binary ? memcmp(a->bits, b->bits, count) : memcmp(a->centres, b->centres, count * sizeof(float))) == 0;
}

static double value_at(const pmn_vocabulary *v, size_t i) {
  return v->binary ? v->bits[i] : (double)v->centres[i];
}

/* The sum of squared distances, or bits, of the points to their nearest words, in plain loops; the nearest words to
 * `nearest` unless that is NULL. */
static double plain_inertia(const pmn_vocabulary *v, const kmeans_memory *m, int32_t *nearest) {
  double sum = 0.0;
  for (int64_t i = 0; i < m->count; i++) {
    double best = INFINITY;
    for (int32_t c = 0; c < v->k; c++) {
      double distance = 0.0;
      for (int32_t j = 0; j < v->width; j++) {
        size_t at = (size_t)c * (size_t)v->width + (size_t)j;
        double difference = m->data[i * m->width + j] - value_at(v, at);
        distance += v->binary ? __builtin_popcount((unsigned)(m->data[i * m->width + j] ^ v->bits[at]))
                              : difference * difference;
      }
      if (distance < best && nearest != NULL) nearest[i] = c;
      best = fmin(best, distance);
    }
    sum += best;
  }
  return sum;
}

/* A device is given even for bits, which do not need it. */
static pmn_vocabulary *run_words(pmn_device *device, kmeans_memory *m, bool binary, pmn_kmeans_options options) {
  pmn_err err = PMN_ERR_INIT;
  pmn_points points = kmeans_points(m, binary);
  pmn_vocabulary *v = NULL;
  check_ok(pmn_kmeans_run(device, &points, &options, &v, &err));
  return v;
}

/* One run of a finder. */
static pmn_status assign(pmn_device *device, const pmn_vocabulary *vocabulary, const uint8_t *points, int32_t n,
    int32_t *words, float *distances, pmn_err *err) {
  pmn_finder *finder;
  pmn_status st = pmn_finder_create(device, vocabulary, &finder, err);
  if (st == PMN_STATUS_OK) st = pmn_finder_run(finder, points, n, words, distances, err);
  pmn_finder_destroy(finder);
  return st;
}

static pmn_vocabulary *iterate(
    pmn_device *device, kmeans_memory *m, bool binary, pmn_kmeans_options options, const uint8_t *start) {
  pmn_err err = PMN_ERR_INIT;
  pmn_points points = kmeans_points(m, binary);
  pmn_vocabulary *v = NULL;
  pmn_pool *pool = NULL;
  pmn_random random;
  pmn_random_init(&random, options.seed);
  check_ok(pmn_pool_create(options.threads == 0 ? 1 : options.threads, &pool, &err));
  check_ok(pmn_kmeans_iterate(device, &points, &options, pool, &random, start, &v, &err));
  pmn_pool_destroy(pool);
  return v;
}

/* ------------------------------------------------------------------------------------------------------ golden -- */

enum { HEAD = 6 }; /* numbers of a golden file before the centres */

/* From the same start: as many iterations, and the same centres to half of the grid's 2^-15; bits are equal. Inertia
 * then differs by the grid's n width 2^-32, as squared distances to a mean have no term of first order (both are far
 * below the 1e-9 that is allowed for); of batches, whose centres are not the means of all points, by that term also, at
 * most 2 sqrt(inertia n width) 2^-16 by Cauchy and Schwarz. */
static void test_same_start_same_words(void **state) {
  (void)state;
  for (int i = 0; i < KMEANS_CASES; i++) {
    const kmeans_case *c = &kmeans_cases[i];
    char path[128];
    snprintf(path, sizeof path, "tests/golden/kmeans_%s.npy", c->name);
    check_npy golden = check_npy_read(path);
    const double *g = golden.data;
    size_t count = (size_t)c->k * (size_t)c->width;
    kmeans_memory m = kmeans_memory_make(c);
    uint8_t *start = kmeans_start(c, &m);
    assert_int_equal(golden.shape[0], HEAD + count);
    if (kmeans_checksum(&m) != g[0]) fail_msg("%s: other points than the golden ones", c->name);
    pmn_kmeans_options options = {.k = c->k, .seed = c->seed, .tolerance = c->tolerance, .mini_batch = c->batch};
    if (c->batch > 0) options.iterations_max = KMEANS_BATCHES;
    pmn_vocabulary *v = iterate(cpu, &m, c->binary, options, start);
    if (v->iterations != (int32_t)g[1]) fail_msg("%s: %d iterations, not %g", c->name, v->iterations, g[1]);
    double first_order = c->batch > 0 ? 2.0 * sqrt(g[2] * c->n * c->width) * 0x1p-16 : 0.0;
    if (!(fabs(v->inertia - g[2]) <= 1e-9 * g[2] + first_order))
      fail_msg("%s: inertia %.17g, not %.17g", c->name, v->inertia, g[2]);
    assert_int_equal(v->points, c->n);
    for (size_t j = 0; j < count; j++) {
      if (!(fabs(value_at(v, j) - g[HEAD + j]) <= (c->binary ? 0.0 : 0x1p-16)))
        fail_msg("%s: number %zu is %.9g, not %.9g", c->name, j, value_at(v, j), g[HEAD + j]);
    }
    pmn_vocabulary_destroy(v);
    free(start);
    free(m.data);
    free(golden.data);
  }
}

/* 20 seeds of ours against 50 of scikit-learn's, whose results spread by up to a quarter: the best is within 3 % of its
 * best, and the mean no more above its mean than chance allows (3 deviations). */
static void test_plusplus_is_as_good(void **state) {
  (void)state;
  enum { SEEDS = 20, JUDGES = 50 };
  static const char *const names[] = {"apart", "overlap", "sift", "many"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    const kmeans_case *c = kmeans_find(names[i]);
    char path[128];
    snprintf(path, sizeof path, "tests/golden/kmeans_%s.npy", c->name);
    check_npy golden = check_npy_read(path);
    const double *g = golden.data;
    kmeans_memory m = kmeans_memory_make(c);
    double best = INFINITY, mean = 0.0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
      pmn_vocabulary *v = run_words(cpu, &m, false, (pmn_kmeans_options){.k = c->k, .seed = seed});
      best = fmin(best, v->inertia);
      mean += v->inertia / SEEDS;
      pmn_vocabulary_destroy(v);
    }
    double chance = g[5] * sqrt(1.0 / SEEDS + 1.0 / JUDGES);
    if (!(best <= 1.03 * g[3])) fail_msg("%s: inertia %g at best, not %g", c->name, best, g[3]);
    if (!(mean <= g[4] * (1.0 + 1e-9) + 3.0 * chance))
      fail_msg("%s: mean inertia %g, not %g, +- %g", c->name, mean, g[4], chance);
    free(m.data);
    free(golden.data);
  }
}

/* -------------------------------------------------------------------------------------------------- same bits -- */

static const pmn_kmeans_options ways[] = {
    {.k = 9, .seed = 4, .tolerance = 1e-4},
    {.k = 9, .seed = 4, .start = PMN_KMEANS_RANDOM},
    {.k = 9, .seed = 4, .mini_batch = 300, .iterations_max = 7},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static void test_threads_do_not_show(void **state) {
  (void)state;
  static const int32_t threads[] = {2, 3, 7};
  for (int i = 0; i < 2 * WAYS; i++) {
    kmeans_memory m = kmeans_memory_make(kmeans_find(i < WAYS ? "overlap" : "bits"));
    pmn_kmeans_options options = ways[i % WAYS];
    pmn_vocabulary *one = run_words(cpu, &m, i >= WAYS, options);
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
      pmn_device *device = kmeans_device("cpu", threads[t]);
      options.threads = threads[t];
      pmn_vocabulary *many = run_words(device, &m, i >= WAYS, options);
      if (!same_words(one, many)) fail_msg("way %d: %d threads make other words", i, threads[t]);
      pmn_vocabulary_destroy(many);
      pmn_device_close(device);
    }
    pmn_vocabulary_destroy(one);
    free(m.data);
  }
}

/* 300 bytes a point: more products than a narrow device sums at once. */
static void test_devices_do_not_show(void **state) {
  (void)state;
  pmn_device narrow = {.backend = &narrow_backend};
  pmn_device *ref = kmeans_device("ref", 1), *opencl = kmeans_device("opencl", 2);
  pmn_device *devices[] = {ref, &narrow, opencl};
  kmeans_case wide = *kmeans_find("sift");
  wide.width = 300;
  for (int i = 0; i < 2 * WAYS; i++) {
    kmeans_memory m = kmeans_memory_make(i < WAYS ? kmeans_find("overlap") : &wide);
    pmn_vocabulary *expected = run_words(cpu, &m, false, ways[i % WAYS]);
    for (size_t d = 0; d < 3; d++) {
      if (devices[d] == NULL) continue;
      pmn_vocabulary *v = run_words(devices[d], &m, false, ways[i % WAYS]);
      if (!same_words(expected, v)) fail_msg("way %d: %s makes other words", i, devices[d]->backend->name);
      pmn_vocabulary_destroy(v);
    }
    pmn_vocabulary_destroy(expected);
    free(m.data);
  }
  pmn_device_close(ref);
  pmn_device_close(opencl);
  if (opencl == NULL) check_skip();
}

static void test_seeds_differ(void **state) {
  (void)state;
  kmeans_memory m = kmeans_memory_make(kmeans_find("overlap"));
  for (int i = 0; i < WAYS; i++) {
    pmn_kmeans_options other = ways[i];
    other.seed++;
    pmn_vocabulary *a = run_words(cpu, &m, false, ways[i]), *b = run_words(cpu, &m, false, other);
    assert_false(same_words(a, b));
    pmn_vocabulary_destroy(a);
    pmn_vocabulary_destroy(b);
  }
  free(m.data);
}

/* ------------------------------------------------------------------------------------------------------ assign -- */

enum { WIDTH = 128, FRACTION = 15 };

/* A point between two words: as near to both, then nearer to the second by the least that the grid can tell, whatever
 * the device. */
static void test_ties_are_known(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_device narrow = {.backend = &narrow_backend};
  pmn_device *ref = kmeans_device("ref", 1), *opencl = kmeans_device("opencl", 1);
  pmn_device *devices[] = {ref, cpu, &narrow, opencl};
  float centres[3 * WIDTH], distances[1];
  uint8_t point[WIDTH];
  pmn_vocabulary v = {.k = 3, .width = WIDTH, .centres = centres};
  for (int j = 0; j < WIDTH; j++) {
    centres[j] = 0.0f;
    centres[WIDTH + j] = 225.0f - (float)(j % 3);
    centres[2 * WIDTH + j] = 255.0f - (float)(j % 3);
    point[j] = (uint8_t)(240 - j % 3);
  }
  for (int d = 0; d < 4; d++) {
    int32_t word = -1;
    if (devices[d] == NULL) continue;
    check_ok(assign(devices[d], &v, point, 1, &word, distances, &err));
    assert_int_equal(word, 1);
    assert_float_equal(distances[0], 128.0f * 225.0f, 0.0f);
    centres[2 * WIDTH + 77] -= ldexpf(1.0f, -FRACTION);
    check_ok(assign(devices[d], &v, point, 1, &word, NULL, &err));
    assert_int_equal(word, 2);
    centres[2 * WIDTH + 77] += ldexpf(1.0f, 1 - FRACTION);
    check_ok(assign(devices[d], &v, point, 1, &word, NULL, &err));
    assert_int_equal(word, 1);
    centres[2 * WIDTH + 77] -= ldexpf(1.0f, -FRACTION);
  }
  pmn_device_close(ref);
  pmn_device_close(opencl);
}

/* Words as far from 0 as they can be, |c|^2 nearly 2^53 of the grid's units, which differ in their distance to a point
 * by one such unit, 5^2 + 1^2 against 3^2 + 4^2: at the widths where the grid changes, too. */
static void test_one_unit_counts(void **state) {
  (void)state;
  static const int32_t widths[] = {2, 32, 33, 128, 129, 130, 516, 517, 2064, 65536};
  pmn_err err = PMN_ERR_INIT;
  pmn_device narrow = {.backend = &narrow_backend}, *devices[] = {cpu, &narrow};
  for (uint64_t i = 0; i < 2 * sizeof widths / sizeof widths[0]; i++) {
    size_t width = (size_t)widths[i / 2];
    uint8_t *point = malloc(width);
    double *x = malloc(width * sizeof *x), products[2 * 3];
    pmn_words words;
    int32_t word;
    uint64_t distance, expected = 25;
    check_ok(pmn_words_init(&words, devices[i % 2], 2, (int32_t)width, false, &err));
    for (size_t j = 0; j < width; j++) {
      int32_t off = j < 2 ? 0 : (int32_t)(4.0 * stats_uniform(i, 3, j >> 8, j & 255));
      words.grid[j] = words.grid[width + j] = (255 << words.fraction) - off;
      expected += (uint64_t)(off * off);
      point[j] = 255;
      x[j] = 255.0;
    }
    words.grid[0] -= 5;
    words.grid[1] -= 1;
    words.grid[width] -= 3;
    words.grid[width + 1] -= 4;
    pmn_words_refresh(&words);
    check_ok(pmn_words_multiply(&words, x, 1, products, &err));
    (void)pmn_words_nearest(&words, point, products, 1, &word, &distance);
    if (word != 1 || distance != expected) fail_msg("width %zu: word %d is nearest", width, word);
    pmn_words_reset(&words);
    free(point);
    free(x);
  }
}

/* All extremes: 65,536 columns of 255 against 0, the least fraction. */
static void test_widest_points(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  size_t width = PMN_POINT_BYTES_MAX;
  pmn_device narrow = {.backend = &narrow_backend};
  kmeans_memory m = {.data = calloc(2, width), .count = 2, .width = (int32_t)width};
  memset(m.data + width, 255, width);
  pmn_vocabulary *v = run_words(cpu, &m, false, (pmn_kmeans_options){.k = 1});
  assert_float_equal(v->centres[0], 127.5f, 0.0f);
  assert_true(v->inertia == 2.0 * 127.5 * 127.5 * (double)width);
  for (size_t j = 0; j < width; j++) v->centres[j] = 0.0f;
  for (int d = 0; d < 2; d++) {
    int32_t words[2];
    float distances[2];
    check_ok(assign(d == 0 ? cpu : &narrow, v, m.data, 2, words, distances, &err));
    assert_true(distances[0] == 0.0f && distances[1] == 65025.0f * 65536.0f);
  }
  pmn_vocabulary_destroy(v);
  free(m.data);
}

/* More points than a block has, against plain loops. */
static void test_assign_is_the_nearest(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static const char *const names[] = {"overlap", "bits"};
  for (int i = 0; i < 2; i++) {
    const kmeans_case *c = kmeans_find(names[i]);
    kmeans_memory m = kmeans_memory_make(c);
    pmn_vocabulary *v = run_words(cpu, &m, c->binary, (pmn_kmeans_options){.k = 37, .seed = 1});
    int32_t *words = malloc(sizeof *words * (size_t)c->n), *plain = malloc(sizeof *plain * (size_t)c->n);
    float *distances = malloc(sizeof *distances * (size_t)c->n);
    double inertia = plain_inertia(v, &m, plain), sum = 0.0;
    check_ok(assign(c->binary ? NULL : cpu, v, m.data, c->n, words, distances, &err));
    assert_memory_equal(words, plain, sizeof *words * (size_t)c->n);
    for (int32_t j = 0; j < c->n; j++) sum += (double)distances[j];
    assert_true(fabs(sum - inertia) <= inertia * 0x1p-24); /* each distance is rounded to fp32 */
    assert_true(fabs(v->inertia - inertia) <= inertia * 1e-12);
    check_ok(assign(c->binary ? NULL : cpu, v, m.data, 0, words, distances, &err));
    pmn_vocabulary_destroy(v);
    free(words);
    free(plain);
    free(distances);
    free(m.data);
  }
}

/* Point by point or together, one finder tells the same, whatever the device and what it was asked before. */
static void test_a_finder_keeps_nothing(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  enum { SOME = 300 };
  static const char *const names[] = {"overlap", "bits"};
  pmn_device narrow = {.backend = &narrow_backend};
  for (int i = 0; i < 4; i++) {
    const kmeans_case *c = kmeans_find(names[i % 2]);
    kmeans_memory m = kmeans_memory_make(c);
    pmn_vocabulary *v = run_words(cpu, &m, c->binary, (pmn_kmeans_options){.k = 9});
    pmn_finder *finder;
    int32_t words[SOME], one;
    float distances[SOME], distance;
    check_ok(pmn_finder_create(i < 2 ? cpu : &narrow, v, &finder, &err));
    check_ok(pmn_finder_run(finder, m.data, SOME, words, distances, &err));
    for (int32_t j = SOME - 1; j >= 0; j--) {
      check_ok(pmn_finder_run(finder, m.data + (size_t)j * (size_t)m.width, 1, &one, &distance, &err));
      assert_int_equal(one, words[j]);
      assert_true(distance == distances[j]);
    }
    pmn_finder_destroy(finder);
    pmn_vocabulary_destroy(v);
    free(m.data);
  }
}

static void test_assign_refuses_numbers_that_no_word_has(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  float centres[6] = {1, 2, 3, 4, 5, 255.5f};
  uint8_t point[3] = {0};
  int32_t word;
  pmn_vocabulary v = {.k = 2, .width = 3, .centres = centres};
  check_fails(assign(cpu, &v, point, 1, &word, NULL, &err), PMN_STATUS_ARGUMENT, "word 1");
  centres[5] = NAN;
  check_fails(assign(cpu, &v, point, 1, &word, NULL, &err), PMN_STATUS_ARGUMENT, "column 2");
  centres[5] = 6.0f;
  check_fails(assign(NULL, &v, point, 1, &word, NULL, &err), PMN_STATUS_ARGUMENT, "device");
}

/* -------------------------------------------------------------------------------------------------- hard cases -- */

static void test_as_many_words_as_points_differ(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static const int32_t differ[] = {1, 2, 57, 200};
  for (int i = 0; i < 16; i++) {
    int32_t n = differ[i / 4];
    bool binary = i % 4 >= 2;
    kmeans_memory m = kmeans_repeated(n);
    pmn_points points = kmeans_points(&m, binary);
    pmn_kmeans_options options = {.k = n, .seed = 3, .start = i % 2 == 0 ? PMN_KMEANS_PLUSPLUS : PMN_KMEANS_RANDOM};
    for (options.mini_batch = 0; options.mini_batch <= 20; options.mini_batch += 20) {
      options.k = n;
      pmn_vocabulary *v = run_words(cpu, &m, binary, options);
      assert_true(v->inertia == 0.0);
      pmn_vocabulary_destroy(v);
      char text[64];
      snprintf(text, sizeof text, "%d words of 1030 points of which only %d differ", n + 1, n);
      options.k = n + 1;
      check_fails(pmn_kmeans_run(cpu, &points, &options, &v, &err), PMN_STATUS_ARGUMENT, text);
      assert_null(v);
    }
    free(m.data);
  }
}

static void test_one_point_and_full_sums(void **state) {
  (void)state;
  kmeans_memory m = {.data = malloc(700), .count = 1, .width = 1};
  memset(m.data, 255, 700);
  for (m.count = 1; m.count <= 700; m.count += 699) {
    pmn_vocabulary *v = run_words(cpu, &m, false, (pmn_kmeans_options){.k = 1});
    assert_true(v->centres[0] == 255.0f && v->inertia == 0.0 && v->iterations == 1);
    pmn_vocabulary_destroy(v);
    v = run_words(NULL, &m, true, (pmn_kmeans_options){.k = 1, .start = PMN_KMEANS_RANDOM});
    assert_true(v->bits[0] == 255 && v->inertia == 0.0);
    pmn_vocabulary_destroy(v);
  }
  free(m.data);
}

/* Five of six centres on one place, and none near any point: four are empty at once, and again later. Inertia never
 * grows, and in the end no cluster is empty. */
static void test_empty_clusters(void **state) {
  (void)state;
  static const char *const names[] = {"empty", "bits_empty"};
  for (int i = 0; i < 2; i++) {
    kmeans_case c = *kmeans_find(names[i]);
    kmeans_memory m = kmeans_memory_make(&c);
    uint8_t *start = kmeans_start(&c, &m);
    for (int32_t t = 1; t < c.k; t++) memcpy(start + t * c.width, start, (size_t)c.width);
    double before = INFINITY;
    int32_t *words = malloc(sizeof *words * (size_t)c.n);
    pmn_kmeans_options options = {.k = c.k, .threads = 3};
    bool rested = false;
    for (options.iterations_max = 1; !rested; options.iterations_max++) {
      pmn_vocabulary *v = iterate(cpu, &m, c.binary, options, start);
      if (!(v->inertia <= before)) fail_msg("%s: inertia grows from %.17g to %.17g", c.name, before, v->inertia);
      before = v->inertia;
      rested = v->iterations < options.iterations_max;
      if (rested) {
        (void)plain_inertia(v, &m, words);
        for (int32_t t = 0, found = 0; t < c.k; t++, found = 0) {
          for (int32_t p = 0; p < c.n; p++) found += words[p] == t;
          if (found == 0) fail_msg("%s: word %d has no points", c.name, t);
        }
      }
      pmn_vocabulary_destroy(v);
    }
    free(words);
    free(start);
    free(m.data);
  }
}

/* One iteration from centres that all lie on the first point. Of the two clusters that are empty the first takes the
 * farthest point, of equally far ones the first; the second takes another one that differs. Those are missing where
 * they were: 0 * 10 + 200 * 4 + 100 * 2 of 16 points are left. A cluster of one point keeps it. */
static void test_who_takes_what(void **state) {
  (void)state;
  enum { MAX = 24 };
  static const struct {
    int32_t count, width;
    uint8_t points[MAX], start[6];
    float centres[6];
  } cases[] = {
      {18, 1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 200, 200, 100, 100, 100, 200, 200}, {0}, {62.5f, 200, 100}},
      {7, 2, {0, 0, 0, 0, 0, 50, 0, 0, 50, 0, 0, 0, 1, 1}, {0}, {0.2f, 0.2f, 0, 50, 50, 0}},
      {3, 1, {0, 0, 100}, {0, 150, 255}, {0, 100, 100}},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t data[MAX];
    memcpy(data, cases[i].points, MAX);
    kmeans_memory m = {.data = data, .count = cases[i].count, .width = cases[i].width};
    pmn_vocabulary *v = iterate(cpu, &m, false, (pmn_kmeans_options){.k = 3, .iterations_max = 1}, cases[i].start);
    for (int j = 0; j < 3 * m.width; j++) {
      if (fabs((double)v->centres[j] - (double)cases[i].centres[j]) > 0x1p-17)
        fail_msg("case %zu: number %d is %g, not %g", i, j, (double)v->centres[j], (double)cases[i].centres[j]);
    }
    pmn_vocabulary_destroy(v);
  }
}

/* A batch of as many points as there are is no batch. */
static void test_batch_of_all(void **state) {
  (void)state;
  kmeans_memory m = kmeans_memory_make(kmeans_find("apart"));
  pmn_vocabulary *a = run_words(cpu, &m, false, (pmn_kmeans_options){.k = 5, .seed = 2});
  pmn_vocabulary *b = run_words(cpu, &m, false, (pmn_kmeans_options){.k = 5, .seed = 2, .mini_batch = 1500});
  assert_true(same_words(a, b));
  pmn_vocabulary_destroy(a);
  pmn_vocabulary_destroy(b);
  free(m.data);
}

/* -------------------------------------------------------------------------------------------------- what fails -- */

static void test_bad_arguments(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_vocabulary *v = NULL;
  kmeans_memory m = kmeans_repeated(10);
  const pmn_points good = kmeans_points(&m, false);
  static const struct {
    int64_t count;
    int32_t width;
    pmn_kmeans_options options;
    const char *text;
  } bad[] = {
      {0, 2, {.k = 1}, "no points"},
      {5, 0, {.k = 1}, "points of 0 bytes"},
      {5, 65537, {.k = 1}, "points of 65537 bytes"},
      {INT64_MAX, 2, {.k = 1}, "too many"},
      {5, 2, {.k = 0}, "0 words"},
      {5, 2, {.k = 65537}, "65537 words"},
      {5, 2, {.k = 1, .iterations_max = -1}, "-1 iterations"},
      {5, 2, {.k = 1, .mini_batch = -2}, "-2 points"},
      {5, 2, {.k = 1, .threads = -3}, "-3 threads"},
      {5, 2, {.k = 1, .tolerance = -1e-9}, "tolerance"},
      {5, 2, {.k = 1, .tolerance = NAN}, "tolerance"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    pmn_points points = good;
    points.count = bad[i].count;
    points.width = bad[i].width;
    check_fails(pmn_kmeans_run(cpu, &points, &bad[i].options, &v, &err), PMN_STATUS_ARGUMENT, bad[i].text);
  }
  pmn_kmeans_options options = {.k = 2};
  check_fails(pmn_kmeans_run(NULL, &good, &options, &v, &err), PMN_STATUS_ARGUMENT, "device");
  free(m.data);
}

/* Any read may be the one that fails: of the start, of a batch, of the iteration, of the last pass. */
static void test_any_read_may_fail(void **state) {
  (void)state;
  kmeans_memory m = kmeans_memory_make(kmeans_find("apart"));
  pmn_points points = kmeans_points(&m, false);
  for (int i = 0; i < WAYS; i++) {
    pmn_kmeans_options options = ways[i];
    options.iterations_max = 2;
    pmn_status st = PMN_STATUS_WRITE;
    for (int reads = 0; st != PMN_STATUS_OK; reads += 1 + reads / 8) {
      pmn_err err = PMN_ERR_INIT;
      pmn_vocabulary *v = NULL;
      m.fails = true;
      m.reads = reads;
      st = pmn_kmeans_run(cpu, &points, &options, &v, &err);
      if (m.reads < 0) {
        assert_int_equal(st, PMN_STATUS_WRITE);
        assert_non_null(strstr(err.message, "fake spool"));
      }
      pmn_vocabulary_destroy(v);
    }
  }
  free(m.data);
}

static pmn_status count_down(const void *arg, pmn_err *err) {
  int *left = *(int *const *)arg;
  return (*left)-- > 0 ? PMN_STATUS_OK : pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted by the test");
}

/* 4500 points of two blocks and more: the watch is asked often, and every time it may end the run. */
static void test_watch_is_asked(void **state) {
  (void)state;
  kmeans_memory m = kmeans_memory_make(kmeans_find("overlap"));
  pmn_points points = kmeans_points(&m, false);
  for (int i = 0; i < WAYS; i++) {
    pmn_status st = PMN_STATUS_INTERRUPTED;
    int asked = 0;
    for (int after = 0; st != PMN_STATUS_OK; after += 7) {
      pmn_err err = PMN_ERR_INIT;
      int left = after, *pointer = &left;
      pmn_vocabulary *v = NULL;
      pmn_kmeans_options options = ways[i];
      options.watch = (pmn_watch){count_down, &pointer};
      st = pmn_kmeans_run(cpu, &points, &options, &v, &err);
      if (st != PMN_STATUS_OK) assert_int_equal(st, PMN_STATUS_INTERRUPTED);
      asked = after - left;
      pmn_vocabulary_destroy(v);
    }
    if (asked < 15) fail_msg("way %d: asked %d times", i, asked);
  }
  free(m.data);
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  for (int i = 0; i < 2 * WAYS; i++) {
    kmeans_case c = *kmeans_find(i < WAYS ? "empty" : "bits_empty");
    kmeans_memory m = kmeans_memory_make(&c);
    pmn_points points = kmeans_points(&m, c.binary);
    pmn_kmeans_options options = ways[i % WAYS];
    options.iterations_max = 2;
    pmn_status st = PMN_STATUS_NO_MEMORY;
    for (int64_t after = 0; st != PMN_STATUS_OK; after++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_vocabulary *v = NULL;
      int32_t words[3];
      pmn_mem_fail_after(after);
      st = pmn_kmeans_run(cpu, &points, &options, &v, &err);
      if (st == PMN_STATUS_OK) st = assign(cpu, v, m.data, 3, words, NULL, &err);
      pmn_mem_fail_after(-1);
      if (st != PMN_STATUS_OK) assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      pmn_vocabulary_destroy(v);
    }
    free(m.data);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_start_same_words),
      cmocka_unit_test(test_plusplus_is_as_good),
      cmocka_unit_test(test_threads_do_not_show),
      cmocka_unit_test(test_devices_do_not_show),
      cmocka_unit_test(test_seeds_differ),
      cmocka_unit_test(test_ties_are_known),
      cmocka_unit_test(test_one_unit_counts),
      cmocka_unit_test(test_widest_points),
      cmocka_unit_test(test_assign_is_the_nearest),
      cmocka_unit_test(test_a_finder_keeps_nothing),
      cmocka_unit_test(test_assign_refuses_numbers_that_no_word_has),
      cmocka_unit_test(test_as_many_words_as_points_differ),
      cmocka_unit_test(test_one_point_and_full_sums),
      cmocka_unit_test(test_empty_clusters),
      cmocka_unit_test(test_who_takes_what),
      cmocka_unit_test(test_batch_of_all),
      cmocka_unit_test(test_bad_arguments),
      cmocka_unit_test(test_any_read_may_fail),
      cmocka_unit_test(test_watch_is_asked),
      cmocka_unit_test(test_every_allocation_may_fail),
  };
  cpu = kmeans_device("cpu", 2);
  int failures = cmocka_run_group_tests_name("k-means", tests, NULL, NULL);
  pmn_device_close(cpu);
  return check_exit(failures);
}
