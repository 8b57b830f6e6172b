/* pmn_per_machine.h - loops in plain C that are compiled for several instruction sets; which one runs is chosen when
 * the program is loaded. */
#ifndef PMN_PER_MACHINE_H
#define PMN_PER_MACHINE_H

/* In front of a function. Sanitizers instrument the code that chooses, before they are ready to run. */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(__clang__) &&                       \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PMN_PER_MACHINE __attribute__((target_clones("avx2", "default")))
#else
#define PMN_PER_MACHINE
#endif

/* What such a function calls must become part of it, or it is compiled for the least machine. */
#define PMN_INLINE static inline __attribute__((always_inline))

#endif
