/* pmn_outlet.c - see pmn_outlet.h. */
#include "pmn_outlet.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <string.h>

enum { ROWS = 512 /* that are named together */ };

struct pmn_outlet {
  pmn_outlet_options options;
  int32_t block;    /* rows that are transformed together: what the projector's bits ask for, however the rows come */
  int32_t waiting;  /* rows of the block that is filling up */
  int64_t *indices; /* [block] */
  double *x;        /* [block, width]; NULL without a projector */
  float *y;         /* [block, out_width] */
  char (*numbers)[PMN_OUTLET_NUMBER];
  const char **names; /* [2, ROWS] keys, then labels */
  int32_t keypoints[ROWS];
  double project_seconds, write_seconds;
};

double pmn_outlet_memory(int32_t width, int32_t out_width) {
  return (double)pmn_block_rows(width) * ((double)width * sizeof(double) + (double)out_width * sizeof(float));
}

pmn_status pmn_outlet_create(const pmn_outlet_options *options, pmn_outlet **outlet, pmn_err *err) {
  pmn_outlet *self = pmn_calloc(1, sizeof *self);
  size_t width = (size_t)options->width, out_width = (size_t)options->out_width;
  *outlet = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a block of rows");
  self->options = *options;
  self->block = pmn_block_rows(options->width);
  size_t block = (size_t)self->block;
  self->numbers = pmn_alloc(ROWS, sizeof *self->numbers);
  self->names = pmn_alloc(2 * ROWS, sizeof *self->names);
  self->indices = pmn_alloc(block, sizeof *self->indices);
  self->y = pmn_alloc_aligned(block * out_width, sizeof *self->y);
  bool good = self->numbers != NULL && self->names != NULL && self->indices != NULL && self->y != NULL;
  if (options->projector != NULL) {
    self->x = pmn_alloc_aligned(block * width, sizeof *self->x);
    good = good && self->x != NULL;
  }
  if (!good) {
    pmn_outlet_destroy(self);
    return pmn_err_memory(err, block * width * sizeof *self->x, "a block of rows");
  }
  *outlet = self;
  return PMN_STATUS_OK;
}

void pmn_outlet_destroy(pmn_outlet *outlet) {
  if (outlet == NULL) return;
  pmn_free(outlet->indices);
  pmn_free(outlet->x);
  pmn_free(outlet->y);
  pmn_free(outlet->numbers);
  pmn_free(outlet->names);
  pmn_free(outlet);
}

/* At most ROWS rows as they leave. */
static pmn_status write_rows(pmn_outlet *self, const int64_t *indices, const float *rows, int32_t n, pmn_err *err) {
  const pmn_row_taker *taker = &self->options.taker;
  if (taker->take != NULL) return taker->take(taker->arg, indices, rows, n, err);
  double start = pmn_clock_seconds();
  for (int32_t i = 0; i < n; i++) {
    self->options.name(self->options.arg, indices[i], self->numbers[i], &self->names[i], &self->names[ROWS + i]);
    if (self->options.keypoints != NULL) self->keypoints[i] = self->options.keypoints[indices[i]];
  }
  pmn_row_block block = {.n = n,
      .keys = self->names,
      .labels = self->names + ROWS,
      .features = rows,
      .keypoints = self->options.keypoints != NULL ? self->keypoints : NULL};
  pmn_status st = pmn_sink_write(self->options.sink, &block, err);
  self->write_seconds += pmn_clock_seconds() - start;
  return st;
}

/* The first of n rows that no fp32 holds ends the run. */
static pmn_status check_finite(pmn_outlet *self, const int64_t *indices, const float *rows, int32_t n, pmn_err *err) {
  size_t width = (size_t)self->options.out_width, count = (size_t)n * width, at = pmn_nonfinite_find(rows, count);
  const char *key, *label;
  if (at == count) return PMN_STATUS_OK;
  self->options.name(self->options.arg, indices[at / width], self->numbers[0], &key, &label);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "row %.240s: column %zu of its result is %g, which is beyond what a table of 32-bit floats can hold", key,
      at % width, (double)rows[at]);
}

/* The rows that wait, transformed and written. */
static pmn_status flush(pmn_outlet *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double start = pmn_clock_seconds();
  if (self->waiting == 0) return PMN_STATUS_OK;
  PMN_TRY(pmn_projector_run(self->options.projector, self->x, self->waiting, self->y, err));
  PMN_TRY(check_finite(self, self->indices, self->y, self->waiting, err));
  self->project_seconds += pmn_clock_seconds() - start;
  PMN_TRY(write_rows(self, self->indices, self->y, self->waiting, err));
  self->waiting = 0;
done:
  return st;
}

/* Room for some of n rows in the block: where they go, and how many. */
static double *reserve(pmn_outlet *self, const int64_t *indices, int64_t n, int32_t *count) {
  *count = n < self->block - self->waiting ? (int32_t)n : self->block - self->waiting;
  memcpy(self->indices + self->waiting, indices, (size_t)*count * sizeof *indices);
  return self->x + (size_t)self->waiting * (size_t)self->options.width;
}

static pmn_status took(pmn_outlet *self, int32_t count, pmn_err *err) {
  self->waiting += count;
  return self->waiting == self->block ? flush(self, err) : PMN_STATUS_OK;
}

pmn_status pmn_outlet_put(pmn_outlet *outlet, const int64_t *indices, const float *rows, int64_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)outlet->options.width;
  for (int32_t count; n > 0; n -= count, indices += count, rows += (size_t)count * width) {
    if (outlet->options.projector == NULL) {
      count = n < ROWS ? (int32_t)n : ROWS;
      if (outlet->options.checks) PMN_TRY(check_finite(outlet, indices, rows, count, err));
      PMN_TRY(write_rows(outlet, indices, rows, count, err));
      continue;
    }
    double *to = reserve(outlet, indices, n, &count);
    for (size_t i = 0; i < (size_t)count * width; i++) to[i] = (double)rows[i];
    PMN_TRY(took(outlet, count, err));
  }
done:
  return st;
}

pmn_status pmn_outlet_put_wide(
    pmn_outlet *outlet, const int64_t *indices, const double *rows, int64_t n, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)outlet->options.width;
  for (int32_t count; n > 0; n -= count, indices += count, rows += (size_t)count * width) {
    if (outlet->options.projector == NULL) {
      count = n < outlet->block ? (int32_t)n : outlet->block;
      for (size_t i = 0; i < (size_t)count * width; i++) outlet->y[i] = (float)rows[i];
      PMN_TRY(check_finite(outlet, indices, outlet->y, count, err));
      PMN_TRY(write_rows(outlet, indices, outlet->y, count, err));
      continue;
    }
    double *to = reserve(outlet, indices, n, &count);
    memcpy(to, rows, (size_t)count * width * sizeof *to);
    PMN_TRY(took(outlet, count, err));
  }
done:
  return st;
}

pmn_status pmn_outlet_finish(pmn_outlet *outlet, pmn_meter *meter, pmn_err *err) {
  pmn_status st = flush(outlet, err);
  meter->stages[PMN_STAGE_PROJECT].busy_seconds += outlet->project_seconds;
  meter->stages[PMN_STAGE_WRITE].busy_seconds += outlet->write_seconds;
  return st;
}
