/* test_random.c - the generator against published numbers, and that what is made of it is even. */
#include "check.h"

#include "pmn_random.h"

#include <math.h>

/* The first outputs of splitmix64 for seed 1234567 (Rosetta Code, Pseudo-random numbers/Splitmix64), and of
 * xoshiro256** for the state 1, 2, 3, 4 (the tests of Rust's rand_xoshiro, made with the authors' C code). */
static void test_published_numbers(void **state) {
  (void)state;
  static const uint64_t seeded[4] = {
      6457827717110365317u, 3203168211198807973u, 9817491932198370423u, 4593380528125082431u};
  static const uint64_t outputs[] = {11520, 0, 1509978240, 1215971899390074240u, 1216172134540287360u,
      607988272756665600u, 16172922978634559625u, 8476171486693032832u, 10595114339597558777u, 2904607092377533576u};
  pmn_random random;
  pmn_random_init(&random, 1234567);
  for (int i = 0; i < 4; i++) assert_true(random.state[i] == seeded[i]);
  random = (pmn_random){{1, 2, 3, 4}};
  for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++) assert_true(pmn_random_next(&random) == outputs[i]);
}

/* Of 60,000 draws every seventh lies in each place, within 5 deviations. */
static void test_even(void **state) {
  (void)state;
  enum { DRAWS = 60000, PLACES = 7 };
  double below[PLACES] = {0}, uniform[PLACES] = {0}, mean = DRAWS / (double)PLACES;
  pmn_random random;
  pmn_random_init(&random, 0);
  for (int i = 0; i < DRAWS; i++) {
    below[pmn_random_below(&random, PLACES)]++;
    double u = pmn_random_uniform(&random);
    assert_true(u >= 0.0 && u < 1.0);
    uniform[(int)(u * PLACES)]++;
  }
  for (int i = 0; i < PLACES; i++) {
    assert_true(fabs(below[i] - mean) < 5.0 * sqrt(mean));
    assert_true(fabs(uniform[i] - mean) < 5.0 * sqrt(mean));
  }
}

/* With n = 3 * 2^62, a third of which 2^64 has left over, a generator that only takes the remainder would hit the
 * lowest third twice as often as each of the others. */
static void test_large_n_is_even(void **state) {
  (void)state;
  enum { DRAWS = 30000 };
  double thirds[3] = {0};
  pmn_random random;
  pmn_random_init(&random, 5);
  for (int i = 0; i < DRAWS; i++) thirds[pmn_random_below(&random, (uint64_t)3 << 62) >> 62]++;
  for (int i = 0; i < 3; i++) assert_true(fabs(thirds[i] - DRAWS / 3.0) < 5.0 * sqrt(DRAWS / 3.0));
  for (int i = 0; i < 100; i++) assert_true(pmn_random_below(&random, 1) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_published_numbers), cmocka_unit_test(test_even), cmocka_unit_test(test_large_n_is_even)};
  return check_exit(cmocka_run_group_tests_name("random numbers", tests, NULL, NULL));
}
