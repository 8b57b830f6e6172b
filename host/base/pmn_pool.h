/* pmn_pool.h - a fixed set of threads that shares out loops.
 *
 * pmn_pool_run calls body(arg, index, worker) once for every index in [0, count), in any order, on `threads` workers of
 * which the caller is one; worker is in [0, threads). It returns when all have returned. One caller at a time.
 */
#ifndef PMN_POOL_H
#define PMN_POOL_H

#include "pmn_err.h"

typedef struct pmn_pool pmn_pool;
typedef void (*pmn_pool_body)(void *arg, int64_t index, int32_t worker);

PMN_MUST_USE pmn_status pmn_pool_create(int32_t threads, pmn_pool **pool, pmn_err *err);
void pmn_pool_destroy(pmn_pool *pool);
int32_t pmn_pool_threads(const pmn_pool *pool);
void pmn_pool_run(pmn_pool *pool, int64_t count, pmn_pool_body body, void *arg);

/* Processors this process may run on (its affinity mask), at least 1. */
int32_t pmn_pool_processors(void);

#endif
