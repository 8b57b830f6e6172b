/* test_threads.c - queues and pools under contention; to be run under the thread sanitizer, too. */
#define _GNU_SOURCE
#include "check.h"

#include "pmn_latch.h"
#include "pmn_mem.h"
#include "pmn_pool.h"
#include "pmn_queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

/* -------------------------------------------------------------------------------------------------- queues -- */

static void test_queue_keeps_order_and_drains_after_close(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_queue *queue = NULL;
  int items[7];
  void *item = NULL;
  check_ok(pmn_queue_create(3, &queue, &err));
  for (int round = 0; round < 5; round++) { /* the ring wraps at every offset */
    for (int i = 0; i < 2; i++) assert_true(pmn_queue_push(queue, &items[i]));
    for (int i = 0; i < 2; i++) {
      assert_true(pmn_queue_pop(queue, &item));
      assert_ptr_equal(item, &items[i]);
    }
  }
  for (int i = 0; i < 3; i++) assert_true(pmn_queue_push(queue, &items[i]));
  pmn_queue_close(queue);
  assert_false(pmn_queue_push(queue, &items[3]));
  for (int i = 0; i < 3; i++) {
    assert_true(pmn_queue_pop(queue, &item));
    assert_ptr_equal(item, &items[i]);
  }
  assert_false(pmn_queue_pop(queue, &item));
  pmn_queue_destroy(queue);
  pmn_queue_destroy(NULL);
}

static void test_queue_refuses_sizes_it_cannot_have(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_queue *queue = (pmn_queue *)&err;
  check_fails(pmn_queue_create(0, &queue, &err), PMN_STATUS_ARGUMENT, "at least 1");
  assert_null(queue);
  check_fails(pmn_queue_create(SIZE_MAX / sizeof(void *) + 2, &queue, &err), PMN_STATUS_NO_MEMORY, "queue");
  check_fails(pmn_queue_create(SIZE_MAX / sizeof(void *), &queue, &err), PMN_STATUS_NO_MEMORY, "queue");
  (void)pmn_mem_fail_after(0);
  pmn_status st = pmn_queue_create(4, &queue, &err);
  (void)pmn_mem_fail_after(-1);
  assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  assert_null(queue);
}

enum { PRODUCERS = 3, CONSUMERS = 3, EACH = 5000 };

typedef struct traffic {
  pmn_queue *queue;
  atomic_int seen[PRODUCERS * EACH]; /* how often item i came out */
  atomic_int refused, disordered;
} traffic;

typedef struct producer {
  traffic *t;
  int first;
} producer;

static void *produce(void *arg) {
  producer *self = arg;
  for (int i = 0; i < EACH; i++) {
    if (!pmn_queue_push(self->t->queue, &self->t->seen[self->first + i])) atomic_fetch_add(&self->t->refused, 1);
  }
  return NULL;
}

static void *consume(void *arg) {
  traffic *t = arg;
  void *item = NULL;
  ptrdiff_t last[PRODUCERS] = {-1, -1, -1};
  while (pmn_queue_pop(t->queue, &item)) {
    ptrdiff_t index = (atomic_int *)item - t->seen;
    if (index <= last[index / EACH]) atomic_fetch_add(&t->disordered, 1);
    last[index / EACH] = index;
    atomic_fetch_add(&t->seen[index], 1);
  }
  return NULL;
}

/* Every item comes out once, and those of one producer in its order. */
static void test_queue_with_many_threads(void **state) {
  (void)state;
  static traffic t;
  pmn_err err = PMN_ERR_INIT;
  pthread_t in[PRODUCERS], out[CONSUMERS];
  producer producers[PRODUCERS];
  check_ok(pmn_queue_create(4, &t.queue, &err));
  for (int i = 0; i < CONSUMERS; i++) assert_int_equal(pthread_create(&out[i], NULL, consume, &t), 0);
  for (int i = 0; i < PRODUCERS; i++) {
    producers[i] = (producer){&t, i * EACH};
    assert_int_equal(pthread_create(&in[i], NULL, produce, &producers[i]), 0);
  }
  for (int i = 0; i < PRODUCERS; i++) pthread_join(in[i], NULL);
  pmn_queue_close(t.queue);
  for (int i = 0; i < CONSUMERS; i++) pthread_join(out[i], NULL);
  for (int i = 0; i < PRODUCERS * EACH; i++) assert_int_equal(atomic_load(&t.seen[i]), 1);
  assert_int_equal(atomic_load(&t.refused), 0);
  assert_int_equal(atomic_load(&t.disordered), 0);
  pmn_queue_destroy(t.queue);
}

typedef struct waiter {
  pmn_queue *queue;
  atomic_int done;
  bool last;
} waiter;

static void *push_three(void *arg) {
  waiter *w = arg;
  for (int i = 0; i < 3; i++) {
    w->last = pmn_queue_push(w->queue, w);
    atomic_fetch_add(&w->done, 1);
  }
  return NULL;
}

static void *pop_one(void *arg) {
  waiter *w = arg;
  void *item = NULL;
  atomic_store(&w->done, 1);
  w->last = pmn_queue_pop(w->queue, &item);
  return NULL;
}

static void wait_and_rest(waiter *w, int done) {
  struct timespec rest = {.tv_nsec = 20000000};
  while (atomic_load(&w->done) < done) sched_yield();
  nanosleep(&rest, NULL); /* most likely it waits inside the queue by now; right either way */
}

static void test_queue_close_wakes_those_who_wait(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pthread_t threads[2];
  void *item = NULL;
  waiter full = {.last = true}, empty[2] = {{.last = true}, {.last = true}};
  check_ok(pmn_queue_create(2, &full.queue, &err));
  assert_int_equal(pthread_create(&threads[0], NULL, push_three, &full), 0);
  wait_and_rest(&full, 2);
  assert_int_equal(atomic_load(&full.done), 2); /* the third finds no room */
  pmn_queue_close(full.queue);
  pthread_join(threads[0], NULL);
  assert_false(full.last);
  for (int i = 0; i < 2; i++) assert_true(pmn_queue_pop(full.queue, &item));
  assert_false(pmn_queue_pop(full.queue, &item));

  check_ok(pmn_queue_create(2, &empty[0].queue, &err));
  empty[1].queue = empty[0].queue;
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&threads[i], NULL, pop_one, &empty[i]), 0);
  for (int i = 0; i < 2; i++) wait_and_rest(&empty[i], 1);
  pmn_queue_close(empty[0].queue);
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
    assert_false(empty[i].last);
  }
  pmn_queue_destroy(full.queue);
  pmn_queue_destroy(empty[0].queue);
}

/* --------------------------------------------------------------------------------------------------- pools -- */

enum { THREADS_MAX = 5, LOOP_MAX = 2000 };

typedef struct loop {
  int32_t threads;
  int64_t count;
  int calls[LOOP_MAX]; /* not atomic: each index has one caller, and the pool orders it before our reading */
  atomic_int inside[THREADS_MAX];
  atomic_int wrong;
} loop;

static void loop_body(void *arg, int64_t index, int32_t worker) {
  loop *l = arg;
  if (index < 0 || index >= l->count || worker < 0 || worker >= l->threads) {
    atomic_fetch_add(&l->wrong, 1);
    return;
  }
  if (atomic_fetch_add(&l->inside[worker], 1) != 0) atomic_fetch_add(&l->wrong, 1); /* two threads, one number */
  l->calls[index]++;
  atomic_fetch_sub(&l->inside[worker], 1);
}

static void test_pool_calls_every_index_once(void **state) {
  (void)state;
  static const int64_t counts[] = {0, 1, 2, 3, 4, 5, 7, 100, LOOP_MAX, 1, 0};
  pmn_err err = PMN_ERR_INIT;
  for (int32_t threads = 1; threads <= THREADS_MAX; threads++) {
    pmn_pool *pool = NULL;
    check_ok(pmn_pool_create(threads, &pool, &err));
    assert_int_equal(pmn_pool_threads(pool), threads);
    for (int round = 0; round < 20; round++) {
      for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        static loop l;
        memset(l.calls, 0, sizeof l.calls);
        l.threads = threads;
        l.count = counts[c];
        pmn_pool_run(pool, counts[c], loop_body, &l);
        assert_int_equal(atomic_load(&l.wrong), 0);
        for (int64_t i = 0; i < LOOP_MAX; i++) assert_int_equal(l.calls[i], i < counts[c]);
      }
    }
    pmn_pool_destroy(pool);
  }
  pmn_pool_destroy(NULL);
}

typedef struct meeting {
  pthread_barrier_t barrier;
  int left[4];
} meeting;

static void meet(void *arg, int64_t index, int32_t worker) {
  meeting *m = arg;
  struct timespec pause = {.tv_nsec = 2000000};
  pthread_barrier_wait(&m->barrier);
  if (worker != 0) nanosleep(&pause, NULL); /* the caller is ready first, and must wait */
  m->left[index]++;
}

/* All threads take part, the caller included: n bodies that wait for each other need n threads. And it ends with the
 * last of them. */
static void test_pool_runs_all_its_threads_and_waits_for_them(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_pool *pool = NULL;
  meeting m = {.left = {0}};
  assert_int_equal(pthread_barrier_init(&m.barrier, NULL, 4), 0);
  check_ok(pmn_pool_create(4, &pool, &err));
  for (int i = 0; i < 10; i++) {
    pmn_pool_run(pool, 4, meet, &m);
    for (int k = 0; k < 4; k++) assert_int_equal(m.left[k], i + 1);
  }
  pmn_pool_destroy(pool);
  pthread_barrier_destroy(&m.barrier);
}

enum { MANY = 1000000 };

static void count_call(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  ((unsigned char *)arg)[index]++;
}

/* Empty bodies: the threads meet at the counter all the time. */
static void test_pool_under_contention(void **state) {
  (void)state;
  static unsigned char calls[MANY];
  pmn_err err = PMN_ERR_INIT;
  pmn_pool *pool = NULL;
  check_ok(pmn_pool_create(4, &pool, &err));
  pmn_pool_run(pool, MANY, count_call, calls);
  for (int i = 0; i < MANY; i++) {
    if (calls[i] != 1) fail_msg("index %d: %d calls", i, calls[i]);
  }
  pmn_pool_destroy(pool);
}

static void test_pool_refuses_sizes_it_cannot_have(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_pool *pool = (pmn_pool *)&err;
  check_fails(pmn_pool_create(0, &pool, &err), PMN_STATUS_ARGUMENT, "0 threads");
  assert_null(pool);
  check_fails(pmn_pool_create(INT32_MIN, &pool, &err), PMN_STATUS_ARGUMENT, "at least 1");
  (void)pmn_mem_fail_after(0);
  pmn_status st = pmn_pool_create(2, &pool, &err);
  (void)pmn_mem_fail_after(-1);
  assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  assert_null(pool);
}

static void test_processors_are_those_we_may_use(void **state) {
  (void)state;
  cpu_set_t all, one;
  assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
  assert_int_equal(pmn_pool_processors(), CPU_COUNT(&all));
  CPU_ZERO(&one);
  for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
    if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
  }
  assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
  assert_int_equal(pmn_pool_processors(), 1);
  assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
}

/* ------------------------------------------------------------------------------------------------- latches -- */

typedef struct errand {
  pmn_latch asked, done;
  int value;
} errand;

static void *run_errand(void *arg) {
  errand *self = arg;
  pmn_latch_wait(&self->asked);
  self->value = 7;
  pmn_latch_open(&self->done); /* from here on *self may be gone */
  return NULL;
}

static void test_latch_holds_until_it_is_opened(void **state) {
  (void)state;
  for (int round = 0; round < 200; round++) {
    pthread_t thread;
    errand *one = calloc(1, sizeof *one);
    pmn_latch_init(&one->asked, true);
    pmn_latch_init(&one->done, false);
    pmn_latch_wait(&one->asked);
    pmn_latch_close(&one->asked);
    assert_int_equal(pthread_create(&thread, NULL, run_errand, one), 0);
    if (round % 2 == 0) sched_yield();
    one->value = 3; /* nobody else looks at it yet */
    pmn_latch_open(&one->asked);
    pmn_latch_wait(&one->done);
    assert_int_equal(one->value, 7);
    pmn_latch_wait(&one->done); /* open stays open */
    pmn_latch_destroy(&one->asked);
    pmn_latch_destroy(&one->done);
    free(one);
    pthread_join(thread, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_queue_keeps_order_and_drains_after_close),
      cmocka_unit_test(test_queue_refuses_sizes_it_cannot_have),
      cmocka_unit_test(test_queue_with_many_threads),
      cmocka_unit_test(test_queue_close_wakes_those_who_wait),
      cmocka_unit_test(test_latch_holds_until_it_is_opened),
      cmocka_unit_test(test_pool_calls_every_index_once),
      cmocka_unit_test(test_pool_runs_all_its_threads_and_waits_for_them),
      cmocka_unit_test(test_pool_under_contention),
      cmocka_unit_test(test_pool_refuses_sizes_it_cannot_have),
      cmocka_unit_test(test_processors_are_those_we_may_use),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
