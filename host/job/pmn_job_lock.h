/* pmn_job_lock.h - one run at a time on an output in a bucket; private to this room.
 *
 * A bucket has no locks. The object `lock.json` says who is at work; its owner writes it anew every 30 seconds while it
 * lives. It is dead when the object is two minutes old, or at once if it was a process of this machine that is no more.
 * How old it is the server says, by its own clock both now and then: clocks of clients may be off by any time.
 */
#ifndef PMN_JOB_LOCK_H
#define PMN_JOB_LOCK_H

#include "pmn_buf.h"
#include "pmn_s3.h"

typedef struct pmn_job_lock pmn_job_lock;

/* `key` of the object. PMN_STATUS_EXISTS: a living run has it; the message says which. */
PMN_MUST_USE pmn_status pmn_job_lock_take(
    pmn_s3 *s3, const char *bucket, const char *key, const char *output, pmn_job_lock **lock, pmn_err *err);
/* PMN_STATUS_EXISTS: another run has taken it over, and has ended by now if it is gone. */
PMN_MUST_USE pmn_status pmn_job_lock_check(const pmn_job_lock *lock, pmn_err *err);
/* Gives it back and removes the object, unless it is another's by now. Accepts NULL. */
void pmn_job_lock_destroy(pmn_job_lock *lock);

#endif
