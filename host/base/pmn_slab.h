/* pmn_slab.h - many pieces of memory that end together, side by side on large pages.
 *
 * For what is read again and again from beyond the caches, such as the weights of a network: most pieces are too small
 * to get large pages of their own. One thread fills a slab; its pieces are anybody's.
 */
#ifndef PMN_SLAB_H
#define PMN_SLAB_H

#include <stddef.h>

/* Starts as {0}. */
typedef struct pmn_slab {
  struct pmn_slab_chunk *chunks; /* the one that pieces are taken from is first */
} pmn_slab;

/* count x size bytes, aligned to 64; uninitialised, or zeroed. NULL: no memory. */
void *pmn_slab_alloc(pmn_slab *slab, size_t count, size_t size);
void *pmn_slab_calloc(pmn_slab *slab, size_t count, size_t size);
/* Ends all pieces; the slab is empty then. */
void pmn_slab_reset(pmn_slab *slab);

#endif
