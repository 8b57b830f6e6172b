/* stats_check.h - what the tests of moments and fits share: both made of rows in memory, and compared. */
#ifndef STATS_CHECK_H
#define STATS_CHECK_H

#include "stats_cases.h"

#include "fake_device.h"

#include <math.h>

static const pmn_fit_options STANDARDIZE = {.with_mean = true, .with_std = true};

/* A case's rows through moments on `device`, in batches of `batch`. */
static inline pmn_moments *gather(
    pmn_device *device, const float *x, int64_t n, int32_t d, bool with_covariance, int64_t batch) {
  pmn_err err = PMN_ERR_INIT;
  pmn_moments *moments = NULL;
  check_ok(pmn_moments_create(device, d, with_covariance, &moments, &err));
  for (int64_t first = 0; first < n; first += batch) {
    check_ok(pmn_moments_add(moments, x + first * d, batch < n - first ? batch : n - first, &err));
  }
  check_ok(pmn_moments_finish(moments, &err));
  return moments;
}

static inline pmn_rows memory_rows(stats_memory *memory, const float *x, int64_t n, int32_t d) {
  *memory = (stats_memory){.x = x, .width = d};
  return (pmn_rows){.count = n, .width = d, .arg = memory, .read = stats_memory_read};
}

/* A fit of rows in memory by the Gram matrix. */
static inline pmn_fit *gram_fit(fake_device *fake, const float *x, int64_t n, int32_t d, int32_t k) {
  pmn_err err = PMN_ERR_INIT;
  stats_memory memory;
  pmn_rows rows = memory_rows(&memory, x, n, d);
  pmn_fit *fit = NULL;
  pmn_moments *moments = gather(&fake->base, x, n, d, false, n);
  check_ok(pmn_fit_create(moments, &rows, &(pmn_fit_options){.components = k}, &fit, &err));
  pmn_moments_destroy(moments);
  return fit;
}

static inline void check_orthonormal(const double *v, int32_t k, int32_t d) {
  for (int32_t a = 0; a < k; a++) {
    for (int32_t b = 0; b <= a; b++) {
      double dot = 0.0;
      for (int64_t j = 0; j < d; j++) dot += v[a * (int64_t)d + j] * v[b * (int64_t)d + j];
      if (!(fabs(dot - (a == b)) <= 1e-10)) fail_msg("component %d times %d is %.17g", a, b, dot);
    }
  }
}

static inline void check_same_fit(const pmn_fit *a, const pmn_fit *b) {
  size_t d = (size_t)a->d, k = (size_t)a->k;
  assert_int_equal(a->k, b->k);
  assert_memory_equal(a->mean, b->mean, d * sizeof *a->mean);
  assert_memory_equal(a->scale, b->scale, d * sizeof *a->scale);
  assert_memory_equal(a->components, b->components, k * d * sizeof *a->components);
  assert_memory_equal(a->explained_variance, b->explained_variance, k * sizeof *a->explained_variance);
  assert_memory_equal(a->explained_ratio, b->explained_ratio, k * sizeof *a->explained_ratio);
}

#endif
