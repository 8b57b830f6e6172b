/* pmn_cpu_network.h - what the cpu backend's device and its networks share. Contracts in pmn_backend.h. */
#ifndef PMN_CPU_NETWORK_H
#define PMN_CPU_NETWORK_H

#include "pmn_backend.h"
#include "pmn_cpu_kernels.h"
#include "pmn_pool.h"

typedef struct pmn_cpu_device {
  pmn_device base;
  pmn_cpu_kernels kernels;
  pmn_pool *pool;
} pmn_cpu_device;

/* Fills *kernels for an instruction set by name ("baseline", "avx2", "avx512"; with bf16 "avx512bf16", "amx"), or the
 * best one for NULL. False if this processor or this build does not have it. */
bool pmn_cpu_kernels_find(const char *isa, pmn_precision precision, pmn_cpu_kernels *kernels);

pmn_status pmn_cpu_network_create(
    pmn_device *device, const pmn_program *program, int32_t batch_max, pmn_network **network, pmn_err *err);
pmn_status pmn_cpu_network_run(pmn_network *network, const void *input, int32_t n, float *output, pmn_err *err);
void pmn_cpu_network_destroy(pmn_network *network);
void pmn_cpu_network_times(const pmn_network *network, double *seconds);

#endif
