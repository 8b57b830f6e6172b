/* pmn_numbers.c - see pmn_numbers.h.
 *
 * In NaN and infinity alone all bits of the exponent are set: one more in the lowest of them carries into the sign.
 * There is no branch before the end, so that compilers make vectors of it. */
#include "pmn_numbers.h"

#include <math.h>
#include <string.h>

size_t pmn_nonfinite_find(const float *x, size_t count) {
  const uint32_t exponent = 0x7f800000u, lowest = 0x00800000u;
  uint32_t any = 0, bits;
  for (size_t i = 0; i < count; i++) {
    memcpy(&bits, &x[i], sizeof bits);
    any |= (bits & exponent) + lowest;
  }
  size_t first = any >> 31 == 0 ? count : 0;
  while (first < count && isfinite(x[first])) first++;
  return first;
}

size_t pmn_nonfinite_find_wide(const double *x, size_t count) {
  const uint64_t exponent = 0x7ff0000000000000u, lowest = 0x0010000000000000u;
  uint64_t any = 0, bits;
  for (size_t i = 0; i < count; i++) {
    memcpy(&bits, &x[i], sizeof bits);
    any |= (bits & exponent) + lowest;
  }
  size_t first = any >> 63 == 0 ? count : 0;
  while (first < count && isfinite(x[first])) first++;
  return first;
}
