/* pmn_writer.c - see pmn_writer.h. */
#include "pmn_writer.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_queue.h"

#include <pthread.h>

enum { BATCHES = 3 }; /* one being filled, one waiting, one being written */

struct pmn_writer {
  pmn_writer_options options;
  pmn_batch batches[BATCHES];
  pmn_queue *empty, *full;
  pthread_t thread;
  bool started, joined;
  double seconds;
  pmn_err error; /* written by the thread, read after the empty queue closed or the thread ended */
};

static pmn_status put(const pmn_writer_options *o, const pmn_batch *batch, pmn_err *err) {
  if (o->spool != NULL) return pmn_spool_append(o->spool, batch->features, batch->n, err);
  if (*o->outlet != NULL) return pmn_outlet_put(*o->outlet, batch->indices, batch->features, batch->n, err);
  return PMN_STATUS_OK;
}

static void *writer_main(void *arg) {
  pmn_writer *self = arg;
  void *item;
  while (pmn_queue_pop(self->full, &item)) {
    pmn_batch *batch = item;
    double start = pmn_clock_seconds();
    pmn_status st = put(&self->options, batch, &self->error);
    self->seconds += pmn_clock_seconds() - start;
    if (st != PMN_STATUS_OK) {
      pmn_queue_close(self->full);
      break;
    }
    pmn_queue_push(self->empty, batch);
  }
  pmn_queue_close(self->empty);
  return NULL;
}

pmn_status pmn_writer_create(const pmn_writer_options *options, pmn_writer **writer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *writer = NULL;
  pmn_writer *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the writer");
  self->options = *options;
  PMN_TRY(pmn_queue_create(BATCHES, &self->empty, err));
  PMN_TRY(pmn_queue_create(BATCHES, &self->full, err));
  size_t capacity = (size_t)options->capacity, width = (size_t)options->width;
  for (int i = 0; i < BATCHES; i++) {
    pmn_batch *batch = &self->batches[i];
    batch->indices = pmn_alloc(capacity, sizeof *batch->indices);
    batch->features = pmn_alloc_aligned(capacity * width, sizeof *batch->features);
    if (batch->indices == NULL || batch->features == NULL) {
      st = pmn_err_memory(err, capacity * width * sizeof *batch->features, "a batch of features");
      goto done;
    }
    pmn_queue_push(self->empty, batch);
  }
  int code = pthread_create(&self->thread, NULL, writer_main, self);
  if (code != 0) PMN_FAIL_CODE(err, PMN_STATUS_NO_MEMORY, code, "cannot start the writing thread");
  self->started = true;
  *writer = self;
  self = NULL;
done:
  pmn_writer_destroy(self);
  return st;
}

static void join(pmn_writer *writer) {
  if (!writer->started || writer->joined) return;
  pmn_queue_close(writer->full);
  pthread_join(writer->thread, NULL);
  writer->joined = true;
}

static pmn_status thread_error(const pmn_writer *writer, pmn_err *err) {
  if (writer->error.status != PMN_STATUS_OK && err != NULL) *err = writer->error;
  return writer->error.status;
}

pmn_status pmn_writer_take(pmn_writer *writer, pmn_batch **batch, pmn_err *err) {
  void *item = NULL;
  if (!pmn_queue_pop(writer->empty, &item) || item == NULL) {
    join(writer);
    return thread_error(writer, err);
  }
  *batch = item;
  (*batch)->n = 0;
  return PMN_STATUS_OK;
}

void pmn_writer_give(pmn_writer *writer, pmn_batch *batch) {
  /* A closed queue means that the thread failed: the next take says so. */
  pmn_queue_push(writer->full, batch);
}

pmn_status pmn_writer_drain(pmn_writer *writer, pmn_err *err) {
  void *batches[BATCHES];
  for (int i = 0; i < BATCHES; i++) {
    if (!pmn_queue_pop(writer->empty, &batches[i])) {
      join(writer);
      return thread_error(writer, err);
    }
  }
  for (int i = 0; i < BATCHES; i++) pmn_queue_push(writer->empty, batches[i]);
  return PMN_STATUS_OK;
}

pmn_status pmn_writer_finish(pmn_writer *writer, pmn_meter *meter, pmn_err *err) {
  join(writer);
  if (writer->error.status != PMN_STATUS_OK) return thread_error(writer, err);
  /* An outlet measures for itself. */
  if (writer->options.spool != NULL) meter->stages[PMN_STAGE_WRITE].busy_seconds += writer->seconds;
  return PMN_STATUS_OK;
}

void pmn_writer_destroy(pmn_writer *writer) {
  if (writer == NULL) return;
  join(writer);
  pmn_queue_destroy(writer->full);
  pmn_queue_destroy(writer->empty);
  for (int i = 0; i < BATCHES; i++) {
    pmn_free(writer->batches[i].indices);
    pmn_free(writer->batches[i].features);
  }
  pmn_free(writer);
}
