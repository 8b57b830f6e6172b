/* fake_device.h - a pmn_device that does what a test wants of syrk and gemm: plain loops, failure, or nonsense. */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include "pmn_backend.h"

#include <math.h>

typedef struct fake_device {
  pmn_device base;
  bool syrk_fails, gemm_fails;
  int32_t gemm_rows_min, gemm_rows_max; /* rows of the products asked for */
} fake_device;

static inline pmn_status fake_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  if (((fake_device *)device)->syrk_fails) return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "the fake syrk fails");
  for (int32_t r = 0; r < n; r++) {
    for (int32_t i = 0; i < d; i++) {
      for (int32_t j = i; j < d; j++) c[i * d + j] += x[r * d + i] * x[r * d + j];
    }
  }
  return PMN_STATUS_OK;
}

static inline pmn_status fake_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  fake_device *fake = (fake_device *)device;
  if (fake->gemm_fails) return pmn_err_set(err, PMN_STATUS_DEVICE, 0, "the fake gemm fails");
  if (n < fake->gemm_rows_min) fake->gemm_rows_min = n;
  if (n > fake->gemm_rows_max) fake->gemm_rows_max = n;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t j = 0; j < m; j++) {
      double sum = 0.0;
      for (int32_t t = 0; t < k; t++) sum += a[i * k + t] * b[j * k + t];
      y[i * m + j] = sum;
    }
  }
  return PMN_STATUS_OK;
}

static const pmn_backend fake_backend = {.name = "fake", .syrk = fake_syrk, .gemm = fake_gemm};

static inline fake_device fake_device_make(void) {
  return (fake_device){.base = {.backend = &fake_backend}, .gemm_rows_min = INT32_MAX};
}

#endif
