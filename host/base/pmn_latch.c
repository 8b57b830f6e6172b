/* pmn_latch.c - see pmn_latch.h. */
#include "pmn_latch.h"

void pmn_latch_init(pmn_latch *latch, bool open) {
  pthread_mutex_init(&latch->lock, NULL);
  pthread_cond_init(&latch->changed, NULL);
  latch->open = open;
}

void pmn_latch_destroy(pmn_latch *latch) {
  pthread_cond_destroy(&latch->changed);
  pthread_mutex_destroy(&latch->lock);
}

static void set(pmn_latch *self, bool open) {
  pthread_mutex_lock(&self->lock);
  self->open = open;
  if (open) pthread_cond_broadcast(&self->changed); /* under the lock: *self may be gone behind it */
  pthread_mutex_unlock(&self->lock);
}

void pmn_latch_close(pmn_latch *latch) {
  set(latch, false);
}

void pmn_latch_open(pmn_latch *latch) {
  set(latch, true);
}

void pmn_latch_wait(pmn_latch *latch) {
  pthread_mutex_lock(&latch->lock);
  while (!latch->open) pthread_cond_wait(&latch->changed, &latch->lock);
  pthread_mutex_unlock(&latch->lock);
}
