/* pmn_ocl_half.c - weights as halves: rounded here once, not by every work-item that reads them.
 *
 * A half is IEEE 754's binary16: a sign, 5 bits of exponent, 11 bits of significand of which 10 are stored. Normal
 * numbers go from 2^-14 to 65504; below lie the multiples of 2^-24. Rounding is to nearest, ties to even, so that a
 * weight is off by 2^-11 of itself at most, or by 2^-25.
 */
#include "pmn_ocl.h"

#include "pmn_err.h"
#include "pmn_mem.h"

#include <math.h>
#include <string.h>

uint16_t pmn_ocl_half_round(float value) {
  uint32_t bits;
  float shifted = fabsf(value) + 0.5f; /* in [0.5, 1) the last place of a float is 2^-24: that of a subnormal half */
  memcpy(&bits, &value, sizeof bits);
  uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude < 0x38800000) { /* 2^-14 */
    memcpy(&bits, &shifted, sizeof bits);
    return (uint16_t)(sign | (bits - 0x3f000000));
  }
  magnitude += 0xfff + (magnitude >> 13 & 1);
  return (uint16_t)(sign | (magnitude - (112u << 23)) >> 13); /* exponents count from -127, and from -15 */
}

size_t pmn_ocl_width(const pmn_ocl_device *device) {
  return device->base.precision == PMN_PRECISION_FP16 ? sizeof(uint16_t) : sizeof(float);
}

pmn_status pmn_ocl_weights_check(
    const pmn_ocl_device *device, const char *name, const float *weights, size_t count, pmn_err *err) {
  for (size_t i = 0; i < count && device->base.precision == PMN_PRECISION_FP16; i++) {
    if (!(fabsf(weights[i]) <= PMN_OCL_HALF_MAX)) {
      return pmn_err_set(err, PMN_STATUS_MODEL, 0,
          "%s: a weight of %g, where fp16 goes to %g: compute this network with --precision fp32", name,
          (double)weights[i], (double)PMN_OCL_HALF_MAX);
    }
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_ocl_weights_create(
    pmn_ocl_device *device, const char *name, const float *weights, size_t count, cl_mem *buffer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  uint16_t *halves = NULL;
  if (device->base.precision != PMN_PRECISION_FP16)
    return pmn_ocl_buffer_create(device, count, sizeof *weights, weights, "weights", buffer, err);
  PMN_TRY(pmn_ocl_weights_check(device, name, weights, count, err));
  halves = pmn_alloc(count, sizeof *halves);
  if (halves == NULL) PMN_TRY(pmn_err_memory(err, count * sizeof *halves, name));
  for (size_t i = 0; i < count; i++) halves[i] = pmn_ocl_half_round(weights[i]);
  PMN_TRY(pmn_ocl_buffer_create(device, count, sizeof *halves, halves, "weights", buffer, err));
done:
  pmn_free(halves);
  return st;
}
