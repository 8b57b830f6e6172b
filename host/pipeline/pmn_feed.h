/* pmn_feed.h - pictures, read, decoded and prepared by many threads, handed out in the order of the listing.
 *
 * The threads work a bounded number of pictures ahead of the consumer, so memory does not grow with the listing. A
 * picture that cannot be had is handed out like any other, with its reason.
 */
#ifndef PMN_FEED_H
#define PMN_FEED_H

#include "pmn_meter.h"
#include "pmn_prepare.h"
#include "pmn_source.h"

typedef struct pmn_feed_options {
  const pmn_listing *listing;
  struct pmn_s3 *s3; /* NULL if no picture is in a bucket */
  int64_t first;     /* index of the first picture */
  pmn_prepare_options prepare;
  int32_t threads, batch; /* pictures that the consumer takes together, at most */
} pmn_feed_options;

/* One picture. `stage` is NULL and `data` what it was prepared to when it is good; else what failed ("read", "decode")
 * and why. Valid until the next pmn_feed_next. */
typedef struct pmn_picture {
  int64_t index; /* in the listing */
  const void *data;
  size_t size;
  const char *stage, *reason;
} pmn_picture;

typedef struct pmn_feed pmn_feed;

PMN_MUST_USE pmn_status pmn_feed_create(const pmn_feed_options *options, pmn_feed **feed, pmn_err *err);
/* The next picture, waiting for it if need be; false after the last one. One consumer. PMN_STATUS_NO_MEMORY,
 * _NETWORK and _INTERRUPTED from the threads end the feed with an error: they are not the picture's fault. */
PMN_MUST_USE pmn_status pmn_feed_next(pmn_feed *feed, bool *more, pmn_picture *picture, pmn_err *err);
/* Adds the threads' busy seconds to the meter; after the last picture only. */
void pmn_feed_measure(pmn_feed *feed, pmn_meter *meter);
/* Ends the threads, whatever they are at, and frees everything. */
void pmn_feed_destroy(pmn_feed *feed);

#endif
