/* pmn_clock.h - time. */
#ifndef PMN_CLOCK_H
#define PMN_CLOCK_H

#include <stdint.h>

/* Monotonic seconds since an unknown start; resolution of a nanosecond. */
double pmn_clock_seconds(void);
/* Now as "2026-11-21T08:50:35Z". */
void pmn_clock_utc(char text[32]);

#endif
