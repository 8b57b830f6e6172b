/* pmn_selfcheck.h - does a device compute right? Asked before a run trusts it with its pictures. */
#ifndef PMN_SELFCHECK_H
#define PMN_SELFCHECK_H

#include "pmn_backend.h"

/* Runs a small fixed set of layers, matrix products and a projection on the device and on `ref` and compares within
 * rounding. *error_ratio: the largest difference as a part of what rounding explains, below 1. A success is remembered
 * in the cache folder for devices that compile kernels, by device, driver, kernels and version; *cached then says that
 * this one was. PMN_STATUS_DEVICE, with the layer and the figures, for a device that computes wrong; also the device's
 * own errors. */
PMN_MUST_USE pmn_status pmn_selfcheck_run(pmn_device *device, bool *cached, double *error_ratio, pmn_err *err);

/* Describes two small generated pictures in one batch on the device and on the host and compares: ORB to the bit, SIFT
 * within what a division that is not IEEE's explains. For a device that describes pictures of that kind; one that does
 * not is not asked. Remembered and refused as above. */
PMN_MUST_USE pmn_status pmn_selfcheck_describe(
    pmn_device *device, pmn_descriptor_kind kind, bool *cached, pmn_err *err);

/* How far a network in a lower precision is off, on one picture of coloured squares: its features beside those of the
 * same program in fp32. */
typedef struct pmn_precision_error {
  double cosine;     /* between the two rows; 1 where both are 0; 0 where not even those of fp32 are finite */
  double difference; /* largest of one feature, as a part of the largest feature of fp32 */
} pmn_precision_error;

/* `network` was made from `program`, whose input is bytes, on a device of the backend that has the precision.
 * PMN_STATUS_MODEL when its features are not finite and those of fp32 are. */
PMN_MUST_USE pmn_status pmn_selfcheck_precision(
    pmn_network *network, const pmn_program *program, pmn_precision_error *error, pmn_err *err);

#endif
