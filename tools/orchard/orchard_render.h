/* One picture of one kind, as a turntable with a lamp on the left would show it. */
#ifndef ORCHARD_RENDER_H
#define ORCHARD_RENDER_H

#include <stdint.h>

#include "orchard_kind.h"

/* Views 0, 1, ... are for training; views from here on are for testing and never equal a training view. */
#define ORCHARD_TEST_VIEW UINT32_C(0x80000000)

/* Draws view `view` of `kind` on white.
 *   rgb  [size, size, 3] u8, top row first, dense; written whole
 * A pure function of (kind->seed, kind->index, view, size); no allocation, any number of threads. */
void orchard_render(const orchard_kind *kind, uint32_t view, int32_t size, uint8_t *rgb);

#endif
