/* pmn_latch.h - waiting for one thing that another thread does: an answer, a page. */
#ifndef PMN_LATCH_H
#define PMN_LATCH_H

#include <pthread.h>
#include <stdbool.h>

typedef struct pmn_latch {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  bool open;
} pmn_latch;

void pmn_latch_init(pmn_latch *latch, bool open);
void pmn_latch_destroy(pmn_latch *latch);

void pmn_latch_close(pmn_latch *latch);
/* Who waits may destroy the latch as soon as it is open. */
void pmn_latch_open(pmn_latch *latch);
/* Returns once it is open, at once if it is. */
void pmn_latch_wait(pmn_latch *latch);

#endif
