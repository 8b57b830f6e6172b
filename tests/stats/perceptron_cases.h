/* perceptron_cases.h - generated rows and a network, for the tests of the perceptron. They do not depend on pmn_random.
 */
#ifndef PERCEPTRON_CASES_H
#define PERCEPTRON_CASES_H

#include "stats_cases.h"

#include "pmn_perceptron_loss.h"

#include <math.h>

/* Rows in memory. */
typedef struct table {
  int64_t rows;
  int32_t width, classes;
  double *x;
  int32_t *labels;
  int64_t fail_at; /* no row from there on can be read; 0: all can */
} table;

static inline pmn_status table_read(void *arg, int64_t first, int32_t n, double *rows, pmn_err *err) {
  const table *t = arg;
  if (t->fail_at > 0 && first + n > t->fail_at) return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "the spool is gone");
  memcpy(rows, t->x + first * t->width, (size_t)n * (size_t)t->width * sizeof *rows);
  return PMN_STATUS_OK;
}

static inline pmn_rows rows_of(table *t) {
  return (pmn_rows){t->rows, t->width, t, table_read};
}

/* Nearly normal, of deviation 1. */
static inline double number(uint64_t seed, uint64_t stream, uint64_t i) {
  return sqrt(3.0) * stats_bell(seed, stream, i >> 16, i & 0xFFFF);
}

/* Class c = row mod classes lies around a centre of its own, at about `apart` from 0. table_free(). */
static inline table table_make(int64_t rows, int32_t width, int32_t classes, double apart, uint64_t seed) {
  table t = {.rows = rows, .width = width, .classes = classes};
  size_t values = (size_t)rows * (size_t)width, centres = (size_t)classes * (size_t)width;
  t.x = malloc(values * sizeof *t.x);
  t.labels = malloc((size_t)rows * sizeof *t.labels);
  double *centre = malloc(centres * sizeof *centre);
  if (t.x == NULL || t.labels == NULL || centre == NULL) fail_msg("no memory for %d rows", (int)rows);
  for (size_t i = 0; i < centres; i++) centre[i] = apart * number(seed, 0, i);
  for (size_t i = 0; i < (size_t)rows; i++) t.labels[i] = (int32_t)(i % (size_t)classes);
  for (size_t i = 0; i < values; i++) {
    size_t row = i / (size_t)width, column = i % (size_t)width;
    t.x[i] = centre[(size_t)t.labels[row] * (size_t)width + column] + number(seed, 8, i);
  }
  free(centre);
  return t;
}

static inline void table_free(table *t) {
  free(t->x);
  free(t->labels);
}

typedef struct setup {
  pmn_mlp net;
  int32_t widths[PMN_HIDDEN_LAYERS_MAX + 2];
  size_t count;
  pmn_pool *pool;
  pmn_loss *loss;
  double *weights, *gradient;
} setup;

static inline void setup_init(
    setup *s, const int32_t *widths, int32_t layers, pmn_hidden_kind kind, int64_t rows, int32_t threads) {
  pmn_err err = PMN_ERR_INIT;
  memcpy(s->widths, widths, ((size_t)layers + 1) * sizeof *widths);
  s->net = (pmn_mlp){s->widths, layers, kind};
  s->count = pmn_perceptron_weight_count(widths, layers);
  s->weights = malloc(s->count * sizeof(double));
  s->gradient = malloc(s->count * sizeof(double));
  assert_true(s->weights != NULL && s->gradient != NULL);
  for (size_t i = 0; i < s->count; i++) s->weights[i] = 0.5 * number(5, 16, i);
  check_ok(pmn_pool_create(threads, &s->pool, &err));
  check_ok(pmn_loss_create(&s->net, rows, s->pool, &s->loss, &err));
}

static inline void setup_reset(setup *s) {
  pmn_loss_destroy(s->loss);
  pmn_pool_destroy(s->pool);
  free(s->weights);
  free(s->gradient);
}

#endif
