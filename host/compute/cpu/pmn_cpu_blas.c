/* pmn_cpu_blas.c - see pmn_cpu_blas.h.
 *
 * OpenBLAS is held to one thread: its sums depend on the number of threads, ours must not, and these calls are a
 * hundredth of a run. The scatter is summed in fp64 because that costs 1.6 million multiply-adds a picture of 1280
 * features, where the network itself takes 400 million.
 */
#include "pmn_cpu_blas.h"

#include "pmn_mem.h"

#include <cblas.h>

pmn_status pmn_cpu_syrk(pmn_device *device, const float *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  (void)device;
  enum { CHUNK = 256 }; /* rows widened at a time: 2.6 MB for 1280 columns */
  size_t count = (size_t)d * CHUNK;
  double *wide = pmn_alloc_aligned(count, sizeof *wide);
  if (wide == NULL) return pmn_err_memory(err, count * sizeof *wide, "a block of rows");
  openblas_set_num_threads(1);
  for (int32_t first = 0; first < n; first += CHUNK) {
    int32_t rows = n - first < CHUNK ? n - first : CHUNK;
    const float *from = x + (size_t)first * (size_t)d;
    for (size_t i = 0; i < (size_t)rows * (size_t)d; i++) wide[i] = (double)from[i];
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, rows, 1.0, wide, d, 1.0, c, d);
  }
  pmn_free(wide);
  return PMN_STATUS_OK;
}

pmn_status pmn_cpu_gemm_plain(
    pmn_device *device, const float *a, const float *b, int32_t n, int32_t k, int32_t m, float *y, pmn_err *err) {
  (void)device;
  (void)err;
  openblas_set_num_threads(1);
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, m, k, 1.0f, a, k, b, m, 0.0f, y, m);
  return PMN_STATUS_OK;
}
