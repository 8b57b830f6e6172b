/* pmn_arena.c - see pmn_arena.h.
 *
 * Greedy by size: the largest block is placed first, each at the lowest offset where it meets no placed block of an
 * overlapping lifetime. On the networks of the zoo this reaches the lower bound, the largest input plus output of a
 * layer.
 */
#include "pmn_arena.h"

#include "pmn_mem.h"

#include <stdlib.h>

static int by_size(const void *a, const void *b) {
  const pmn_arena_block *x = a, *y = b;
  if (x->size != y->size) return x->size > y->size ? -1 : 1;
  return x->id < y->id ? -1 : 1;
}

/* Moves the block at `index` to its place among those before it, which are placed and in the order of their offsets:
 * into the first gap that those alive together with it leave. */
static bool place(pmn_arena_block *blocks, int32_t index) {
  pmn_arena_block b = blocks[index];
  b.offset = 0;
  for (int32_t i = 0; i < index; i++) {
    const pmn_arena_block *other = &blocks[i];
    bool alive_together = b.first <= other->last && other->first <= b.last;
    if (!alive_together || b.offset >= other->offset + other->size) continue;
    if (other->offset >= b.offset && other->offset - b.offset >= b.size) break;
    b.offset = other->offset + other->size;
  }
  int32_t at = index;
  for (; at > 0 && blocks[at - 1].offset > b.offset; at--) blocks[at] = blocks[at - 1];
  blocks[at] = b;
  size_t end;
  return pmn_size_add(b.offset, b.size, &end);
}

bool pmn_arena_place(pmn_arena_block *blocks, int32_t count, size_t alignment, size_t *size) {
  *size = 0;
  for (int32_t i = 0; i < count; i++) {
    size_t padded;
    if (!pmn_size_add(blocks[i].size, alignment - 1, &padded)) return false;
    blocks[i].size = padded / alignment * alignment;
  }
  qsort(blocks, (size_t)count, sizeof *blocks, by_size);
  int32_t real = 0; /* those of size 0, the last ones, need no place */
  while (real < count && blocks[real].size > 0) real++;
  for (int32_t i = 0; i < real; i++) {
    if (!place(blocks, i)) return false;
  }
  for (int32_t i = 0; i < count; i++) {
    if (blocks[i].size == 0) blocks[i].offset = 0;
    size_t end = blocks[i].offset + blocks[i].size;
    if (end > *size) *size = end;
  }
  return true;
}
