/* pmn_backends.h - the backends there are; for pmn_backend.c and for the backends themselves. */
#ifndef PMN_BACKENDS_H
#define PMN_BACKENDS_H

#include "pmn_backend.h"

extern const pmn_backend pmn_backend_ref, pmn_backend_cpu, pmn_backend_opencl;

#endif
