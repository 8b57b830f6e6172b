/* pmn_selfcheck_parts.h - what the checks of a device share, private to them. */
#ifndef PMN_SELFCHECK_PARTS_H
#define PMN_SELFCHECK_PARTS_H

#include "pmn_backend.h"
#include "pmn_buf.h"

/* `count` numbers in [-1, 1), the same everywhere; to be freed with pmn_free, NULL when memory cannot be had. */
float *pmn_selfcheck_numbers(uint32_t seed, size_t count);
/* A program of its own on the device, once: n pictures to `output`. Errors as of pmn_network_create and _run. */
PMN_MUST_USE pmn_status pmn_selfcheck_apply(
    pmn_device *device, const pmn_program *program, const void *input, int32_t n, float *output, pmn_err *err);

/* Where a success of this device in what was checked is remembered; false when there is nowhere, or nothing that names
 * its code. */
bool pmn_selfcheck_place(const pmn_device *device, const char *checked, pmn_buf *path);
bool pmn_selfcheck_recall(const char *path, double *ratio);
void pmn_selfcheck_keep(const char *path, double ratio);

#endif
