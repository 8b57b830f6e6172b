/* pmn_sift_isa.c - which instruction set SIFT's loops use on this processor. */
#include "pmn_sift_loops.h"

#include <string.h>

extern const pmn_sift_loops pmn_sift_loops_baseline;
#if defined(__x86_64__)
extern const pmn_sift_loops pmn_sift_loops_avx2, pmn_sift_loops_avx512;
#endif

const pmn_sift_loops *pmn_sift_loops_find(const char *isa) {
  const pmn_sift_loops *best_first[3];
  int count = 0;
#if defined(__x86_64__)
  /* libgcc's check includes the operating system's: registers that it does not save are not offered. */
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw")) {
    best_first[count++] = &pmn_sift_loops_avx512;
  }
  if (__builtin_cpu_supports("avx2")) best_first[count++] = &pmn_sift_loops_avx2;
#endif
  best_first[count++] = &pmn_sift_loops_baseline;
  for (int i = 0; i < count; i++) {
    if (isa == NULL || strcmp(isa, best_first[i]->isa) == 0) return best_first[i];
  }
  return NULL;
}
