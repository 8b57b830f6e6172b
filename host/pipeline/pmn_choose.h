/* pmn_choose.h - which device a run uses. */
#ifndef PMN_CHOOSE_H
#define PMN_CHOOSE_H

#include "pmn_run.h"

/* Opens run->devices by options->backend, options->device and options->more_devices, checks OpenCL devices against the
 * reference, sets run->batch, and says what was chosen and why. A device that was named and is missing, or computes
 * wrong, is PMN_STATUS_DEVICE: nothing else is taken in its place. PMN_STATUS_ARGUMENT: several where nothing is
 * shared, one of them twice, or of different kinds. */
PMN_MUST_USE pmn_status pmn_choose_device(pmn_run *run, pmn_err *err);

#endif
