/* pmn_outlet.h - finished rows on their way to the sink: through the fitted transform if there is one, and named. Or to
 * whoever takes them in its place. */
#ifndef PMN_OUTLET_H
#define PMN_OUTLET_H

#include "pmn_meter.h"
#include "pmn_sink.h"
#include "pmn_stats.h"

enum { PMN_OUTLET_NUMBER = 24 };

/* n rows as they leave, and the indices that they would be named by. */
typedef struct pmn_row_taker {
  pmn_status (*take)(void *arg, const int64_t *indices, const float *rows, int32_t n, pmn_err *err);
  void *arg;
} pmn_row_taker;

/* All borrowed until destroy. */
typedef struct pmn_outlet_options {
  pmn_sink *sink;
  pmn_row_taker taker;      /* if there is one, there is no sink; it measures its time itself */
  pmn_projector *projector; /* NULL: rows go to the sink as they are */
  int32_t width, out_width; /* of rows as they come, and as they leave */
  bool checks;              /* rows come transformed already: they may hold what no fp32 holds */
  /* Key and label of row `index`; they live until the next call, and may use `number` for that. */
  void (*name)(const void *arg, int64_t index, char number[PMN_OUTLET_NUMBER], const char **key, const char **label);
  const void *arg;
  const int32_t *keypoints; /* of row `index`; NULL: the table has no such column */
} pmn_outlet_options;

typedef struct pmn_outlet pmn_outlet; /* one thread at a time */

PMN_MUST_USE pmn_status pmn_outlet_create(const pmn_outlet_options *options, pmn_outlet **outlet, pmn_err *err);
void pmn_outlet_destroy(pmn_outlet *outlet);
/* Bytes that an outlet takes beside its projector. */
double pmn_outlet_memory(int32_t width, int32_t out_width);
/* n rows [n, width] and the indices that they are named by. PMN_STATUS_ARGUMENT: a result is beyond fp32; the message
 * names row and column. */
PMN_MUST_USE pmn_status pmn_outlet_put(
    pmn_outlet *outlet, const int64_t *indices, const float *rows, int64_t n, pmn_err *err);
/* The same for rows of fp64. */
PMN_MUST_USE pmn_status pmn_outlet_put_wide(
    pmn_outlet *outlet, const int64_t *indices, const double *rows, int64_t n, pmn_err *err);
/* Writes what is waiting for its block to fill, and adds the time of all calls to the meter. */
PMN_MUST_USE pmn_status pmn_outlet_finish(pmn_outlet *outlet, pmn_meter *meter, pmn_err *err);

#endif
