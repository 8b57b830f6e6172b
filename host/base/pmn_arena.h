/* pmn_arena.h - one piece of memory for many blocks: those that are never alive at the same time share it. */
#ifndef PMN_ARENA_H
#define PMN_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Alive from step `first` to step `last`, both included; a block that is never alive has first > last. */
typedef struct pmn_arena_block {
  size_t size, offset; /* in the caller's unit; a block of size 0 gets offset 0 */
  int32_t id;          /* the caller's name of it, different for each */
  int32_t first, last;
} pmn_arena_block;

/* Gives every block its offset, a multiple of `alignment`, and the size of the whole; reorders them. False: the size
 * does not fit a size_t. */
bool pmn_arena_place(pmn_arena_block *blocks, int32_t count, size_t alignment, size_t *size);

#endif
