/* pmn_cpu_blas.h - dense linear algebra of the cpu backend, through CBLAS. Contracts in pmn_backend.h. */
#ifndef PMN_CPU_BLAS_H
#define PMN_CPU_BLAS_H

#include "pmn_backend.h"

pmn_status pmn_cpu_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err);
pmn_status pmn_cpu_gemm_plain(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err);

#endif
