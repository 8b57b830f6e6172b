/* pmn_reader.h - the bytes of a listing's pictures: read from the disk when they are asked for, fetched ahead from
 * buckets. */
#ifndef PMN_READER_H
#define PMN_READER_H

#include "pmn_source.h"

typedef struct pmn_reader pmn_reader; /* any number of threads */

typedef struct pmn_reader_options {
  const pmn_listing *listing;
  struct pmn_s3 *s3; /* NULL if no path is s3:// */
  int64_t first;     /* index of the first picture that will be asked for */
  size_t bytes_max;  /* a larger file is an error, before memory is taken */
} pmn_reader_options;

PMN_MUST_USE pmn_status pmn_reader_create(const pmn_reader_options *options, pmn_reader **reader, pmn_err *err);
/* The bytes of picture `index` into `bytes` (content replaced); each once, roughly in order. PMN_STATUS_NOT_FOUND is
 * the picture's own fault; PMN_STATUS_NETWORK and PMN_STATUS_INTERRUPTED are not. */
PMN_MUST_USE pmn_status pmn_reader_take(pmn_reader *reader, int64_t index, pmn_buf *bytes, pmn_err *err);
void pmn_reader_destroy(pmn_reader *reader);

#endif
