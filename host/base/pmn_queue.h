/* pmn_queue.h - a bounded queue of pointers between stages.
 *
 * Any number of threads may push and pop. Closing wakes everybody: pushes fail at once, pops drain what is left and
 * then fail. Items still queued at destroy are the caller's: pop them first.
 */
#ifndef PMN_QUEUE_H
#define PMN_QUEUE_H

#include "pmn_err.h"

typedef struct pmn_queue pmn_queue;

PMN_MUST_USE pmn_status pmn_queue_create(size_t capacity, pmn_queue **queue, pmn_err *err);
void pmn_queue_destroy(pmn_queue *queue);
bool pmn_queue_push(pmn_queue *queue, void *item); /* waits for room; false once closed */
bool pmn_queue_pop(pmn_queue *queue, void **item); /* waits for an item; false once closed and empty */
void pmn_queue_close(pmn_queue *queue);

#endif
