/* pmn_slab.c - see pmn_slab.h. */
#include "pmn_slab.h"

#include "pmn_mem.h"

#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

/* GAP: between pieces, for AddressSanitizer to see who reaches over. */
enum { LINE = 64, GAP = LINE, CHUNK = 8 * 1024 * 1024 };

typedef struct pmn_slab_chunk {
  struct pmn_slab_chunk *next;
  char *memory;
  size_t used, size;
} pmn_slab_chunk;

static size_t room(const pmn_slab_chunk *chunk) {
  return chunk == NULL ? 0 : chunk->size - chunk->used;
}

/* A chunk that has room for `bytes`; it comes first if that leaves it more room than the one that was first. */
static pmn_slab_chunk *chunk_new(pmn_slab *slab, size_t bytes) {
  pmn_slab_chunk *chunk = pmn_calloc(1, sizeof *chunk), *first = slab->chunks;
  if (chunk == NULL) return NULL;
  chunk->size = bytes > CHUNK ? bytes : CHUNK;
  chunk->memory = pmn_alloc_aligned(chunk->size, 1);
  if (chunk->memory == NULL) {
    pmn_free(chunk);
    return NULL;
  }
  ASAN_POISON_MEMORY_REGION(chunk->memory, chunk->size);
  if (first == NULL || chunk->size - bytes > room(first)) {
    chunk->next = first;
    slab->chunks = chunk;
  } else {
    chunk->next = first->next;
    first->next = chunk;
  }
  return chunk;
}

void *pmn_slab_alloc(pmn_slab *slab, size_t count, size_t size) {
  size_t bytes, whole;
  if (!pmn_size_mul(count, size, &bytes) || !pmn_size_add(bytes, GAP + LINE - 1, &whole)) return NULL;
  whole = whole / LINE * LINE;
  pmn_slab_chunk *chunk = slab->chunks;
  if (room(chunk) < whole) chunk = chunk_new(slab, whole);
  if (chunk == NULL) return NULL;
  char *piece = chunk->memory + chunk->used;
  chunk->used += whole;
  ASAN_UNPOISON_MEMORY_REGION(piece, bytes);
  return piece;
}

void *pmn_slab_calloc(pmn_slab *slab, size_t count, size_t size) {
  void *piece = pmn_slab_alloc(slab, count, size);
  if (piece != NULL) memset(piece, 0, count * size);
  return piece;
}

void pmn_slab_reset(pmn_slab *slab) {
  for (pmn_slab_chunk *chunk = slab->chunks, *next; chunk != NULL; chunk = next) {
    next = chunk->next;
    ASAN_UNPOISON_MEMORY_REGION(chunk->memory, chunk->size);
    pmn_free(chunk->memory);
    pmn_free(chunk);
  }
  slab->chunks = NULL;
}
