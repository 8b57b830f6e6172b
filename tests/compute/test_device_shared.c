/* test_device_shared.c - two threads that multiply on one device wait for one another: a run projects rows on one
 * thread while the next batch is computed on another. */
#include "check.h"

#include "pmn_backend.h"

#include <pthread.h>

enum { ROWS = 512, INNER = 24, COLUMNS = 8, CALLS = 3000, SECONDS = 60 };

typedef struct side {
  pmn_device *device;
  double a[ROWS * INNER], b[COLUMNS * INNER], expected[ROWS * COLUMNS], y[ROWS * COLUMNS];
  int wrong;
} side;

static void fill(side *s, int seed) {
  for (int i = 0; i < ROWS * INNER; i++) s->a[i] = (i * 7 + seed) % 11;
  for (int i = 0; i < COLUMNS * INNER; i++) s->b[i] = (i * 5 + seed) % 13;
  for (int row = 0; row < ROWS; row++) {
    for (int column = 0; column < COLUMNS; column++) {
      double sum = 0; /* of small whole numbers: exact in any order */
      for (int i = 0; i < INNER; i++) sum += s->a[row * INNER + i] * s->b[column * INNER + i];
      s->expected[row * COLUMNS + column] = sum;
    }
  }
}

static void *multiply(void *arg) {
  side *s = arg;
  for (int i = 0; i < CALLS; i++) {
    memset(s->y, 0, sizeof s->y);
    pmn_status st = pmn_device_gemm(s->device, s->a, s->b, ROWS, INNER, COLUMNS, s->y, NULL);
    s->wrong += st != PMN_STATUS_OK || memcmp(s->y, s->expected, sizeof s->y) != 0;
  }
  return NULL;
}

static void calls_wait_for_one_another(void **state) {
  (void)state;
  static side sides[2];
  pthread_t other;
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device;
  pmn_device_options options = {.index = -1, .threads = 3};
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &options, &device, &err));
  for (int i = 0; i < 2; i++) {
    sides[i].device = device;
    fill(&sides[i], i);
  }
  alarm(SECONDS); /* threads that meet in a pool may wait for ever */
  assert_int_equal(pthread_create(&other, NULL, multiply, &sides[1]), 0);
  multiply(&sides[0]);
  pthread_join(other, NULL);
  alarm(0);
  assert_int_equal(sides[0].wrong, 0);
  assert_int_equal(sides[1].wrong, 0);
  pmn_device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(calls_wait_for_one_another)};
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
