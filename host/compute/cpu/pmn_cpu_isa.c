/* pmn_cpu_isa.c - which instruction set the inner loops use on this processor. */
#include "pmn_cpu_network.h"

#include <string.h>

extern const pmn_cpu_kernels pmn_cpu_kernels_baseline;
#if defined(__x86_64__)
extern const pmn_cpu_kernels pmn_cpu_kernels_avx2, pmn_cpu_kernels_avx512;

/* libgcc's check includes the operating system's: registers that it does not save are not offered. */
static bool has_avx512(void) {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
}
#endif

static bool is_asked(const char *isa, const char *name) {
  return isa == NULL || strcmp(isa, name) == 0;
}

#ifdef PMN_CPU_BF16
#include <sys/syscall.h>
#include <unistd.h>

void pmn_cpu_bf16_avx512bf16(pmn_cpu_kernels *kernels), pmn_cpu_bf16_amx(pmn_cpu_kernels *kernels);

/* Linux lets a process use the tiles once it has asked for them (Documentation/arch/x86/xstate.rst); threads that it
 * starts have them too. */
static bool has_amx(void) {
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  return __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
         syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static bool find_bf16(const char *isa, pmn_cpu_kernels *kernels) {
  if (!has_avx512() || !__builtin_cpu_supports("avx512bf16")) return false;
  *kernels = pmn_cpu_kernels_avx512;
  if (is_asked(isa, "amx") && has_amx()) {
    pmn_cpu_bf16_amx(kernels);
    return true;
  }
  if (is_asked(isa, "avx512bf16")) {
    pmn_cpu_bf16_avx512bf16(kernels);
    return true;
  }
  return false;
}
#else
static bool find_bf16(const char *isa, pmn_cpu_kernels *kernels) {
  (void)isa;
  (void)kernels;
  return false;
}
#endif

bool pmn_cpu_kernels_find(const char *isa, pmn_precision precision, pmn_cpu_kernels *kernels) {
  const pmn_cpu_kernels *best_first[3];
  int count = 0;
  if (precision == PMN_PRECISION_BF16) return find_bf16(isa, kernels);
#if defined(__x86_64__)
  if (has_avx512()) best_first[count++] = &pmn_cpu_kernels_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best_first[count++] = &pmn_cpu_kernels_avx2;
#endif
  best_first[count++] = &pmn_cpu_kernels_baseline;
  for (int i = 0; i < count; i++) {
    if (!is_asked(isa, best_first[i]->isa)) continue;
    *kernels = *best_first[i];
    return true;
  }
  return false;
}
