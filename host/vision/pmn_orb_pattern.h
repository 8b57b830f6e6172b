/* pmn_orb_pattern.h - the 256 pairs of points whose brightness ORB compares. */
#ifndef PMN_ORB_PATTERN_H
#define PMN_ORB_PATTERN_H

#include <stdint.h>

/* x and y of the first points, then x and y of the second ones, in pixels from a keypoint of angle 0. Bit i of a
 * descriptor is 1 where the first point of pair i is the darker one. Turned by any angle and rounded, no point has a
 * coordinate beyond PMN_ORB_REACH. */
extern const int8_t pmn_orb_pattern[4][256];
#define PMN_ORB_REACH 18

#endif
