/* pmn_pool.c - see pmn_pool.h. Work is whole pictures, so one shared counter is fair and never contended. */
#define _GNU_SOURCE
#include "pmn_pool.h"

#include "pmn_mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

struct pmn_pool {
  pthread_mutex_t lock;
  pthread_cond_t work, idle;
  int32_t threads, running; /* running: helpers still inside the current loop */
  uint64_t generation;      /* counts loops; helpers wait for it to move */
  bool quit;
  pmn_pool_body body;
  void *arg;
  int64_t count;
  atomic_llong next;
  struct pmn_helper {
    pmn_pool *pool;
    int32_t worker;
    pthread_t thread;
  } helpers[];
};

static void work(pmn_pool *pool, int32_t worker) {
  for (;;) {
    int64_t index = atomic_fetch_add(&pool->next, 1);
    if (index >= pool->count) return;
    pool->body(pool->arg, index, worker);
  }
}

static void *helper_main(void *arg) {
  struct pmn_helper *self = arg;
  pmn_pool *pool = self->pool;
  uint64_t seen = 0;
  pthread_mutex_lock(&pool->lock);
  for (;;) {
    while (!pool->quit && pool->generation == seen) pthread_cond_wait(&pool->work, &pool->lock);
    if (pool->quit) break;
    seen = pool->generation;
    pthread_mutex_unlock(&pool->lock);
    work(pool, self->worker);
    pthread_mutex_lock(&pool->lock);
    if (--pool->running == 0) pthread_cond_signal(&pool->idle);
  }
  pthread_mutex_unlock(&pool->lock);
  return NULL;
}

pmn_status pmn_pool_create(int32_t threads, pmn_pool **pool, pmn_err *err) {
  *pool = NULL;
  if (threads < 1) return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%d threads: at least 1 is needed", threads);
  size_t bytes = sizeof(pmn_pool) + (size_t)(threads - 1) * sizeof(struct pmn_helper);
  pmn_pool *p = pmn_calloc(1, bytes);
  if (p == NULL) return pmn_err_memory(err, bytes, "a thread pool");
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->idle, NULL);
  p->threads = 1;
  for (int32_t i = 0; i < threads - 1; i++) {
    p->helpers[i] = (struct pmn_helper){.pool = p, .worker = i + 1};
    int code = pthread_create(&p->helpers[i].thread, NULL, helper_main, &p->helpers[i]);
    if (code != 0) {
      pmn_pool_destroy(p);
      return pmn_err_set(err, PMN_STATUS_NO_MEMORY, code, "cannot start thread %d of %d", i + 1, threads);
    }
    p->threads++;
  }
  *pool = p;
  return PMN_STATUS_OK;
}

void pmn_pool_destroy(pmn_pool *pool) {
  if (pool == NULL) return;
  pthread_mutex_lock(&pool->lock);
  pool->quit = true;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  for (int32_t i = 0; i < pool->threads - 1; i++) pthread_join(pool->helpers[i].thread, NULL);
  pthread_cond_destroy(&pool->idle);
  pthread_cond_destroy(&pool->work);
  pthread_mutex_destroy(&pool->lock);
  pmn_free(pool);
}

int32_t pmn_pool_threads(const pmn_pool *pool) {
  return pool->threads;
}

void pmn_pool_run(pmn_pool *pool, int64_t count, pmn_pool_body body, void *arg) {
  pthread_mutex_lock(&pool->lock);
  pool->body = body;
  pool->arg = arg;
  pool->count = count;
  atomic_store(&pool->next, 0);
  pool->running = pool->threads - 1;
  pool->generation++;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->lock);
  work(pool, 0);
  pthread_mutex_lock(&pool->lock);
  while (pool->running > 0) pthread_cond_wait(&pool->idle, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
}

int32_t pmn_pool_processors(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int count = CPU_COUNT(&set);
  return count < 1 ? 1 : count;
}
