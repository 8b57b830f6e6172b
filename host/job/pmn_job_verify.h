/* pmn_job_verify.h - is an output as its record says? */
#ifndef PMN_JOB_VERIFY_H
#define PMN_JOB_VERIFY_H

#include "pmn_err.h"

struct pmn_s3;

/* As pmn_verify. `s3`: NULL unless output is s3://. */
PMN_MUST_USE pmn_status pmn_job_verify(
    struct pmn_s3 *s3, const char *output, const volatile sig_atomic_t *stop, pmn_verified *verified, pmn_err *err);

#endif
