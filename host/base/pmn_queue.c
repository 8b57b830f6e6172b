/* pmn_queue.c - see pmn_queue.h. A ring under one mutex: the items are whole batches, so the lock is never hot. */
#include "pmn_queue.h"

#include "pmn_mem.h"

#include <pthread.h>

struct pmn_queue {
  pthread_mutex_t lock;
  pthread_cond_t has_item, has_room;
  bool closed;
  size_t capacity, head, count;
  void *items[];
};

pmn_status pmn_queue_create(size_t capacity, pmn_queue **queue, pmn_err *err) {
  size_t bytes;
  *queue = NULL;
  if (capacity == 0) return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a queue needs room for at least 1 item");
  bool fits = pmn_size_mul(capacity, sizeof(void *), &bytes) && pmn_size_add(bytes, sizeof(pmn_queue), &bytes);
  pmn_queue *q = fits ? pmn_calloc(1, bytes) : NULL;
  if (q == NULL) return pmn_err_memory(err, capacity, "a queue");
  *queue = q;
  q->capacity = capacity;
  pthread_mutex_init(&q->lock, NULL);
  pthread_cond_init(&q->has_item, NULL);
  pthread_cond_init(&q->has_room, NULL);
  return PMN_STATUS_OK;
}

void pmn_queue_destroy(pmn_queue *queue) {
  if (queue == NULL) return;
  pthread_cond_destroy(&queue->has_room);
  pthread_cond_destroy(&queue->has_item);
  pthread_mutex_destroy(&queue->lock);
  pmn_free(queue);
}

bool pmn_queue_push(pmn_queue *queue, void *item) {
  pthread_mutex_lock(&queue->lock);
  while (!queue->closed && queue->count == queue->capacity) pthread_cond_wait(&queue->has_room, &queue->lock);
  bool open = !queue->closed;
  if (open) {
    queue->items[(queue->head + queue->count) % queue->capacity] = item;
    queue->count++;
    pthread_cond_signal(&queue->has_item);
  }
  pthread_mutex_unlock(&queue->lock);
  return open;
}

bool pmn_queue_pop(pmn_queue *queue, void **item) {
  pthread_mutex_lock(&queue->lock);
  while (!queue->closed && queue->count == 0) pthread_cond_wait(&queue->has_item, &queue->lock);
  bool got = queue->count > 0;
  if (got) {
    *item = queue->items[queue->head];
    queue->head = (queue->head + 1) % queue->capacity;
    queue->count--;
    pthread_cond_signal(&queue->has_room);
  }
  pthread_mutex_unlock(&queue->lock);
  return got;
}

void pmn_queue_close(pmn_queue *queue) {
  pthread_mutex_lock(&queue->lock);
  queue->closed = true;
  pthread_cond_broadcast(&queue->has_item);
  pthread_cond_broadcast(&queue->has_room);
  pthread_mutex_unlock(&queue->lock);
}
