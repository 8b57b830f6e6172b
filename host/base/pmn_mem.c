/* pmn_mem.c - see pmn_mem.h. */
#include "pmn_mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What is read again and again from beyond the caches, weights above all, is read a tenth faster through large pages.
 */
enum { HUGE_PAGE = 2 * 1024 * 1024 };

static atomic_llong fail_after = -1;
static atomic_llong tried = 0;

static bool may_allocate(size_t count, size_t size, size_t *bytes) {
  long long sequence = atomic_fetch_add_explicit(&tried, 1, memory_order_relaxed);
  long long limit = atomic_load_explicit(&fail_after, memory_order_relaxed);
  if (limit >= 0 && sequence >= limit) return false;
  if (!pmn_size_mul(count, size, bytes)) return false;
  if (*bytes == 0) *bytes = 1;
  return true;
}

int64_t pmn_mem_fail_after(int64_t after) {
  atomic_store(&fail_after, after);
  return atomic_exchange(&tried, 0);
}

void *pmn_alloc(size_t count, size_t size) {
  size_t bytes;
  return may_allocate(count, size, &bytes) ? malloc(bytes) : NULL;
}

void *pmn_calloc(size_t count, size_t size) {
  size_t bytes;
  return may_allocate(count, size, &bytes) ? calloc(1, bytes) : NULL;
}

void *pmn_alloc_aligned(size_t count, size_t size) {
  size_t bytes;
  void *memory = NULL;
  if (!may_allocate(count, size, &bytes)) return NULL;
  bool large = bytes >= 2 * HUGE_PAGE;
  if (posix_memalign(&memory, large ? HUGE_PAGE : 64, bytes) != 0) return NULL;
  if (large) madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: without it all works, slower */
  return memory;
}

void *pmn_realloc(void *old, size_t count, size_t size) {
  size_t bytes;
  return may_allocate(count, size, &bytes) ? realloc(old, bytes) : NULL;
}

char *pmn_strdup(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = pmn_alloc(size, 1);
  if (copy != NULL) memcpy(copy, text, size);
  return copy;
}

void pmn_free(void *memory) {
  free(memory);
}
