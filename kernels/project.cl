/* pmn_project - a picture's features through a saved fit: standardised, then onto its components.
 *
 *   y[n, j] = sum over i of z[i] * components[j, i],   z[i] = (x[n, i] - shift[i]) / scale[i]
 *   y[n, components] = 1 if any x[n, i] is NaN or infinite, else 0
 *
 * One work-group: PMN_ITEMS * PMN_EACH components of one picture; a work-item has every PMN_ITEMS-th of them. The features come
 * through local memory, PMN_RUN at a time, and are standardised on the way: once for the group, not for every component.
 * Neighbouring work-items read neighbouring components.
 *   local size (PMN_ITEMS, 1); group 0: block of components; 1: n.
 *
 * A component's sum is one of sums over runs of PMN_RUN features, each a chain of fused multiplications, so that its order
 * depends on nothing but the number of features: not on the batch, nor on PMN_ITEMS and PMN_EACH.
 *
 * PMN_FP64: all of it in fp64, rounded to fp32 at the end, infinite where fp32 ends; every step is one that OpenCL rounds
 * correctly, so that all devices agree on every bit.
 *   columns: shift [features], scale [features];   weights [features, stride]: components', zeros behind the last.
 * Else in fp32, u = 2^-24:
 *   columns: shift [features] as fp32, and what fp32 left of it;   weights: components' / scale.
 *   x - shift is found to 2 u of itself (where the two are close, their difference is exact) and 2 u^2 of |shift|, a weight
 *   to u, a run costs u for each of its terms, and runs are summed in two floats, where only u^2 is lost. Together, w being
 *   components / scale in full and t the terms of a run that are not 0,
 *   |error| <= (t + 4) u * sum of |x - shift| |w| + 3 u^2 * sum of |shift| |w|.
 *   (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 4.3; Dekker 1971)
 */
#ifndef PMN_FP64
#define PMN_FP64 0
#endif
#ifndef PMN_ITEMS /* of a work-group: 1 for CPUs */
#define PMN_ITEMS 64
#endif
#ifndef PMN_EACH /* components of a work-item: as many as a CPU's vectors want */
#define PMN_EACH 1
#endif
#ifndef PMN_RUN
#define PMN_RUN 256
#endif

#pragma OPENCL FP_CONTRACT OFF
#if PMN_FP64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
typedef double pmn_real;
#else
typedef float pmn_real;
#endif

/* a + b is the sum that comes back and *rest, exactly. */
static float pmn_two_sum(const float a, const float b, float *rest) {
  const float sum = a + b, of_b = sum - a;
  *rest = (a - (sum - of_b)) + (b - of_b);
  return sum;
}

static pmn_real pmn_standardise(const float x, const pmn_real first, const pmn_real second) {
#if PMN_FP64
  return ((double)x - first) / second;
#else
  return (x - first) - second;
#endif
}

/* *rest: what *sum has lost. */
static void pmn_add(pmn_real *sum, pmn_real *rest, const pmn_real run) {
#if PMN_FP64
  *sum += run;
#else
  float lost;
  *sum = pmn_two_sum(*sum, run, &lost);
  *rest += lost;
#endif
}

__kernel __attribute__((reqd_work_group_size(PMN_ITEMS, 1, 1))) void pmn_project(const __global float *restrict x_base,
    const ulong x_offset, const __global pmn_real *restrict columns, const __global pmn_real *restrict weights,
    __global float *restrict y_base, const int features, const int components, const int stride) {
  __local pmn_real z[PMN_RUN];
  __local int broken;
  const int item = (int)get_local_id(0), first_component = (int)get_group_id(0) * PMN_ITEMS * PMN_EACH + item;
  const ulong n = get_group_id(1);
  const __global float *x = x_base + x_offset + n * (ulong)features;
  const __global pmn_real *w = weights + first_component;
  __global float *y = y_base + n * ((ulong)components + 1);
  pmn_real sums[PMN_EACH], rests[PMN_EACH];
  int is_broken = 0;

  if (item == 0) broken = 0;
  for (int e = 0; e < PMN_EACH; e++) sums[e] = rests[e] = 0;
  for (int first = 0; first < features; first += PMN_RUN) {
    const int count = min(PMN_RUN, features - first);
    pmn_real run[PMN_EACH];
    barrier(CLK_LOCAL_MEM_FENCE); /* all have read the run before */
    for (int i = item; i < count; i += PMN_ITEMS) {
      const float v = x[first + i];
      is_broken |= (as_uint(v) & 0x7f800000u) == 0x7f800000u;
      z[i] = pmn_standardise(v, columns[first + i], columns[features + first + i]);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int e = 0; e < PMN_EACH; e++) run[e] = 0;
    for (int i = 0; i < count; i++, w += stride) {
      for (int e = 0; e < PMN_EACH; e++) run[e] = fma(z[i], w[e * PMN_ITEMS], run[e]);
    }
    for (int e = 0; e < PMN_EACH; e++) pmn_add(&sums[e], &rests[e], run[e]);
  }

  for (int e = 0; e < PMN_EACH; e++) {
    const int j = first_component + e * PMN_ITEMS;
    /* Where fp32 ends, what is left of the sum is NaN. */
    if (j < components) y[j] = isinf(sums[e]) ? (float)sums[e] : (float)(sums[e] + rests[e]);
  }
  if (is_broken) atomic_or(&broken, 1);
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item == 0 && get_group_id(0) == 0) y[components] = (float)broken;
}
