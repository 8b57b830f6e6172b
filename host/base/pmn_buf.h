/* pmn_buf.h - a growing run of bytes that is born with a maximum size.
 *
 * For anything whose length comes from outside. data[size] is always a NUL (not counted), so text can be read in place.
 */
#ifndef PMN_BUF_H
#define PMN_BUF_H

#include "pmn_err.h"

typedef struct pmn_buf {
  char *data; /* NULL until the first append */
  size_t size, capacity, max;
} pmn_buf;

void pmn_buf_init(pmn_buf *buf, size_t max);
/* Frees the bytes; the buffer is empty and may be used again with the same maximum. */
void pmn_buf_reset(pmn_buf *buf);
/* Forgets the bytes but keeps the memory: for buffers reused in a loop. */
void pmn_buf_clear(pmn_buf *buf);
/* Room for `size` bytes in all. PMN_STATUS_NO_MEMORY past the maximum or when memory cannot be had. */
PMN_MUST_USE pmn_status pmn_buf_reserve(pmn_buf *buf, size_t size, pmn_err *err);
PMN_MUST_USE pmn_status pmn_buf_append(pmn_buf *buf, const void *bytes, size_t size, pmn_err *err);
PMN_MUST_USE pmn_status pmn_buf_printf(pmn_buf *buf, pmn_err *err, const char *format, ...) PMN_PRINTF(3, 4);
/* Hands the bytes to the caller (pmn_free) and leaves the buffer empty; NULL if nothing was ever appended. */
char *pmn_buf_take(pmn_buf *buf);

#endif
