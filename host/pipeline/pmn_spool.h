/* pmn_spool.h - feature rows on disk between the pass that makes them and the pass that projects them. */
#ifndef PMN_SPOOL_H
#define PMN_SPOOL_H

#include "pmn_err.h"

typedef struct pmn_spool pmn_spool; /* one thread at a time */

/* `beside` is the path of the output. Errors as those of pmn_scratch.h. */
PMN_MUST_USE pmn_status pmn_spool_create(const char *beside, int32_t width, pmn_spool **spool, pmn_err *err);
void pmn_spool_destroy(pmn_spool *spool);
/* Appends n rows [n, width]. */
PMN_MUST_USE pmn_status pmn_spool_append(pmn_spool *spool, const float *rows, int64_t n, pmn_err *err);
/* Rows [first, first + n) as they were appended. */
PMN_MUST_USE pmn_status pmn_spool_read_narrow(
    const pmn_spool *spool, int64_t first, int64_t n, float *rows, pmn_err *err);
int64_t pmn_spool_count(const pmn_spool *spool);
/* Rows [first, first + n); the signature that pmn_rows wants, `spool` being a pmn_spool. */
PMN_MUST_USE pmn_status pmn_spool_read(void *spool, int64_t first, int32_t n, double *rows, pmn_err *err);

#endif
