/* pmn_ocl_resample.h - pictures of many sizes, resized on the device by Pillow's rules (pmn_resample_rules.h). Private
 * to host/compute/ocl. */
#ifndef PMN_OCL_RESAMPLE_H
#define PMN_OCL_RESAMPLE_H

#include "pmn_ocl_describe.h"
#include "pmn_resample_rules.h"

/* What a batch needs until the device is done with it. One for each batch under way. */
typedef struct pmn_ocl_resample_batch {
  pmn_buf tasks, tables; /* on their way up */
  pmn_ocl_space device_tasks;
} pmn_ocl_resample_batch;

void pmn_ocl_resample_batch_init(pmn_ocl_resample_batch *batch);
void pmn_ocl_resample_batch_reset(pmn_ocl_resample_batch *batch);

typedef struct pmn_ocl_resampler pmn_ocl_resampler;

/* To width x height pixels. PMN_STATUS_ARGUMENT when pictures as large as PMN_RAW_PIXELS allows have 2^31 bytes. */
PMN_MUST_USE pmn_status pmn_ocl_resampler_create(pmn_ocl_device *device, pmn_filter filter, int32_t width,
    int32_t height, pmn_ocl_resampler **resampler, pmn_err *err);
void pmn_ocl_resampler_destroy(pmn_ocl_resampler *resampler); /* NULL is fine */

/* Bytes of a batch of pictures, RGB, one after the other. PMN_STATUS_ARGUMENT when one of them is not to go to the
 * device at its size (pmn_resample_takes_raw), or none at all. */
PMN_MUST_USE pmn_status pmn_ocl_resampler_bytes(
    const pmn_ocl_resampler *resampler, const pmn_picture_size *sizes, int32_t n, size_t *bytes, pmn_err *err);
/* Enqueues the batch: raw, the pictures' bytes one after the other, becomes out, [n, height, width, 3] bytes, with the
 * bits of pmn_resampler_run. Nothing is waited for: `batch` and the buffers stay until the queue is done with it.
 * Errors: as above; PMN_STATUS_NO_MEMORY, PMN_STATUS_DEVICE, with the queue left with work. */
PMN_MUST_USE pmn_status pmn_ocl_resampler_run(pmn_ocl_resampler *resampler, pmn_ocl_resample_batch *batch,
    const pmn_picture_size *sizes, int32_t n, cl_mem raw, cl_mem out, pmn_err *err);

#endif
