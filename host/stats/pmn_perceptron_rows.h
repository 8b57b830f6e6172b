/* pmn_perceptron_rows.h - the rows that a perceptron learns from, in memory; inside stats only. */
#ifndef PMN_PERCEPTRON_ROWS_H
#define PMN_PERCEPTRON_ROWS_H

#include "pmn_random.h"
#include "pmn_stats.h"

/* Rows that are trained, in the order of the source, and behind them those that are held out, in the same order. */
typedef struct pmn_lessons {
  double *x;       /* [count + held_count, width] */
  int32_t *labels; /* [count + held_count] */
  int64_t count, held_count;
} pmn_lessons;

/* Labels are checked, and rows, which must be finite. Of a class with c rows, the whole number nearest to c * held_out
 * is held out, chosen at random, but never its last row. PMN_STATUS_ARGUMENT: see pmn_perceptron_train; none could be
 * held out, though held_out > 0. What the watch returns; it is asked between blocks. */
PMN_MUST_USE pmn_status pmn_lessons_init(pmn_lessons *lessons, const pmn_rows *rows, const int32_t *labels,
    int32_t classes, double held_out, pmn_random *random, const pmn_watch *watch, pmn_err *err);
void pmn_lessons_reset(pmn_lessons *lessons);
/* Bytes, at most, while they are made. */
double pmn_lessons_memory(int64_t rows, int32_t width, int32_t classes);

#endif
