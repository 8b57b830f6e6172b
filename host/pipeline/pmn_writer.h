/* pmn_writer.h - batches of finished rows leave through here, on a thread of their own, in order.
 *
 * A fixed number of batches goes round: the maker of features takes an empty one, fills it, hands it over, and the
 * thread writes it to the outlet, or to the spool when a fit comes first.
 */
#ifndef PMN_WRITER_H
#define PMN_WRITER_H

#include "pmn_outlet.h"
#include "pmn_spool.h"

typedef struct pmn_batch {
  int32_t n;
  int64_t *indices; /* [capacity] that the rows are named by */
  float *features;  /* [capacity, width] */
} pmn_batch;

/* One of outlet and spool at most; without either, rows are done with once they are counted. Borrowed until destroy. */
typedef struct pmn_writer_options {
  pmn_outlet *const *outlet; /* where the one of the moment stands; it may change while nothing is under way */
  pmn_spool *spool;
  int32_t capacity, width; /* of a batch */
} pmn_writer_options;

typedef struct pmn_writer pmn_writer;

PMN_MUST_USE pmn_status pmn_writer_create(const pmn_writer_options *options, pmn_writer **writer, pmn_err *err);
/* An empty batch, waiting for one; the error of the writing thread if it failed. */
PMN_MUST_USE pmn_status pmn_writer_take(pmn_writer *writer, pmn_batch **batch, pmn_err *err);
void pmn_writer_give(pmn_writer *writer, pmn_batch *batch);
/* Waits until everything given is written, while no batch is taken; the error of the writing thread if it failed. */
PMN_MUST_USE pmn_status pmn_writer_drain(pmn_writer *writer, pmn_err *err);
/* The same for the last time: no batch can be taken after it. */
PMN_MUST_USE pmn_status pmn_writer_finish(pmn_writer *writer, pmn_meter *meter, pmn_err *err);
void pmn_writer_destroy(pmn_writer *writer);

#endif
