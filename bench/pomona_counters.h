/* pomona_counters.h - the processor's own counts of what this process does outside the kernel. */
#ifndef POMONA_COUNTERS_H
#define POMONA_COUNTERS_H

enum { POMONA_COUNTERS = 3 };

extern const char *const pomona_counter_names[POMONA_COUNTERS]; /* instructions, cycles, cache_misses (last level) */

typedef struct pomona_counters {
  int files[POMONA_COUNTERS]; /* -1: not to be had, as in most virtual machines */
} pomona_counters;

/* Counts the calling thread and all threads that it starts from now on. */
void pomona_counters_open(pomona_counters *counters);
/* Counts so far; NAN where there is no counter. */
void pomona_counters_read(const pomona_counters *counters, double values[POMONA_COUNTERS]);
void pomona_counters_close(pomona_counters *counters);

#endif
