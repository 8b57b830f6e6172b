/* pmn_describing.h - prepared pictures to keypoints and descriptors, a batch at a time: by the device, if it has a
 * describer for them, else by the threads of the feed. One place knows who it is. */
#ifndef PMN_DESCRIBING_H
#define PMN_DESCRIBING_H

#include "pmn_backend.h"
#include "pmn_feed.h"

typedef struct pmn_describing pmn_describing; /* one thread at a time */

/* prepare->kind, PMN_PREPARE_DESCRIBE, becomes what is left to the feed. The device is borrowed until destroy. Errors
 * as of pmn_device_describer_create; PMN_STATUS_DEVICE: it describes wrong. */
PMN_MUST_USE pmn_status pmn_describing_create(
    pmn_device *device, pmn_prepare_options *prepare, pmn_describing **describing, pmn_err *err);
void pmn_describing_destroy(pmn_describing *describing); /* NULL is fine */
/* Picture `index` of a batch, in order; 0 begins a new one. What the feed has made of it is copied. */
PMN_MUST_USE pmn_status pmn_describing_put(
    pmn_describing *describing, int32_t index, const pmn_picture *picture, pmn_err *err);
/* What was found in the pictures of the batch, [as many as were put], valid until the next put. What is in a picture
 * does not depend on the others. */
PMN_MUST_USE pmn_status pmn_describing_run(pmn_describing *describing, const pmn_described **described, pmn_err *err);
/* Seconds that the device has described for until now; 0 where the feed does it, and for NULL. */
double pmn_describing_seconds(const pmn_describing *describing);

#endif
