/* pmn_numbers.h - small questions about numbers that several rooms ask. */
#ifndef PMN_NUMBERS_H
#define PMN_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

static inline int32_t pmn_least(int32_t a, int32_t b) {
  return a < b ? a : b;
}

/* Index of the first value that is NaN or infinite, or `count`. Without such a value, which is the rule, the rows are
 * gone through once at the speed of memory. */
size_t pmn_nonfinite_find(const float *x, size_t count);
size_t pmn_nonfinite_find_wide(const double *x, size_t count);

#endif
