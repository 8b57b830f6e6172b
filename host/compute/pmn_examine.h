/* pmn_examine.h - what an OpenCL device is and how fast it is asked and answered, for `pomona doctor`. */
#ifndef PMN_EXAMINE_H
#define PMN_EXAMINE_H

#include "pmn_err.h"

/* Takes one fact: a name and a text, both borrowed for the call. */
typedef struct pmn_facts {
  pmn_status (*add)(void *arg, const char *name, const char *value, pmn_err *err);
  void *arg;
} pmn_facts;

/* The loader, the files that name drivers (*usable: those whose library can be loaded), and the platforms. */
PMN_MUST_USE pmn_status pmn_ocl_examine_drivers(const pmn_facts *facts, int32_t *usable, pmn_err *err);
/* What device `index` of pmn_backend "opencl" says of itself. PMN_STATUS_DEVICE: there is none such. *nvidia: inline
 * PTX can be asked for. */
PMN_MUST_USE pmn_status pmn_ocl_examine_device(int32_t index, const pmn_facts *facts, bool *nvidia, pmn_err *err);
/* Launches of an empty kernel, copies from pageable and from pinned memory both ways, and whether a copy and a kernel
 * of two queues overlap. Takes a second or two and at most 64 MB of the device. */
PMN_MUST_USE pmn_status pmn_ocl_examine_speed(int32_t index, const pmn_facts *facts, pmn_err *err);

/* Name of the i-th probe; NULL past the last. The first is plain OpenCL C, for any device; the others are PTX. */
const char *pmn_ocl_probe_name(int32_t i);
/* Compiles and runs a probe and holds every number against a plain sum. PMN_STATUS_DEVICE, with a message: not built,
 * not run, or other numbers. May hang with a driver that does: call it in a process of its own. */
PMN_MUST_USE pmn_status pmn_ocl_probe_run(int32_t index, const char *name, pmn_err *err);

#endif
