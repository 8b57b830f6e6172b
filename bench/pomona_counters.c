/* pomona_counters.c - see pomona_counters.h. By Linux's perf_event_open(2), which perf(1) uses too. */
#include "pomona_counters.h"

#include <linux/perf_event.h>
#include <math.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *const pomona_counter_names[POMONA_COUNTERS] = {"instructions", "cycles", "cache_misses"};

void pomona_counters_open(pomona_counters *counters) {
  static const uint64_t events[POMONA_COUNTERS] = {
      PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CPU_CYCLES, PERF_COUNT_HW_CACHE_MISSES};
  for (int i = 0; i < POMONA_COUNTERS; i++) {
    struct perf_event_attr attributes = {.type = PERF_TYPE_HARDWARE,
        .size = sizeof attributes,
        .config = events[i],
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .inherit = 1,
        .exclude_kernel = 1,
        .exclude_hv = 1};
    counters->files[i] = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
  }
}

void pomona_counters_read(const pomona_counters *counters, double values[POMONA_COUNTERS]) {
  for (int i = 0; i < POMONA_COUNTERS; i++) {
    struct {
      uint64_t value, enabled, running; /* nanoseconds; fewer running than enabled where events take turns */
    } count;
    values[i] = NAN;
    if (counters->files[i] < 0 || read(counters->files[i], &count, sizeof count) != (ssize_t)sizeof count) continue;
    if (count.running > 0) values[i] = (double)count.value * ((double)count.enabled / (double)count.running);
  }
}

void pomona_counters_close(pomona_counters *counters) {
  for (int i = 0; i < POMONA_COUNTERS; i++) {
    if (counters->files[i] >= 0) close(counters->files[i]);
    counters->files[i] = -1;
  }
}
