/* pmn_mem.h - all heap memory of the library comes through here.
 *
 * Sizes are given as count x size so that the product is checked; tests make the k-th allocation fail. Hot loops do not
 * allocate. Every function returns NULL on failure and sets nothing else; free with pmn_free, whatever allocated it.
 */
#ifndef PMN_MEM_H
#define PMN_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *pmn_alloc(size_t count, size_t size);  /* uninitialised; a product of 0 gives a pointer that may be freed */
void *pmn_calloc(size_t count, size_t size); /* zeroed */
/* Aligned to 64 bytes: a cache line, and the widest vector we compute with. Uninitialised. */
void *pmn_alloc_aligned(size_t count, size_t size);
/* Grows or shrinks memory of pmn_alloc or pmn_calloc (not aligned memory); on failure the old block stays valid. */
void *pmn_realloc(void *old, size_t count, size_t size);
char *pmn_strdup(const char *text);
void pmn_free(void *memory);

/* a * b, a + b into *out; false when the result does not fit a size_t. */
static inline bool pmn_size_mul(size_t a, size_t b, size_t *out) {
  return !__builtin_mul_overflow(a, b, out);
}
static inline bool pmn_size_add(size_t a, size_t b, size_t *out) {
  return !__builtin_add_overflow(a, b, out);
}

/* Fault injection for tests: the next `after` allocations succeed, then every one fails until called with a negative
 * number, which is the start state. Returns how many allocations were tried since the last call. */
int64_t pmn_mem_fail_after(int64_t after);

#endif
