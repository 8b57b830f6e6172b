/* pmn_nearest.h - the names that somebody who mistyped one may have meant. */
#ifndef PMN_NEAREST_H
#define PMN_NEAREST_H

#include <stddef.h>
#include <stdint.h>

enum { PMN_NEAREST_COUNT = 3 };

typedef struct pmn_nearest {
  const char *wanted;
  const char *names[PMN_NEAREST_COUNT]; /* the nearest so far, nearest first; borrowed */
  int32_t distances[PMN_NEAREST_COUNT];
  int32_t count;
} pmn_nearest;

pmn_nearest pmn_nearest_init(const char *wanted);
/* A name that there is. Far ones are not kept. */
void pmn_nearest_offer(pmn_nearest *nearest, const char *name);
/* "; did you mean A, B or C?", or "" if nothing is near. */
void pmn_nearest_text(const pmn_nearest *nearest, char *text, size_t size);

#endif
