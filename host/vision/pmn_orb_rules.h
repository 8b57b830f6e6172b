/* pmn_orb_rules.h - what ORB is wherever it runs: levels and their sizes, shares of keypoints, their order, and what
 * becomes of a corner. pmn_orb.c follows these rules on the host, the OpenCL backend on a device; hence the same bits.
 */
#ifndef PMN_ORB_RULES_H
#define PMN_ORB_RULES_H

#include "pmn_orb_pattern.h"
#include "pmn_orb_pixels.h"
#include "pmn_vision.h"

enum {
  PMN_ORB_LEVELS = 8,
  PMN_ORB_EDGE = 31, /* pixels from a corner to every border, at least; what is nearer to one than the margin: */
  PMN_ORB_MARGIN = PMN_ORB_EDGE - PMN_ORB_REACH - PMN_BLUR_REACH, /* is never looked at */
  PMN_ORB_KEYPOINTS = 500,                                        /* of a picture, when no number is given */
  PMN_ORB_BYTES = 32,
};

/* How many of keypoints_max each level may give. They are rounded each for itself and may add up to more. */
void pmn_orb_shares(int32_t keypoints_max, int32_t wanted[PMN_ORB_LEVELS]);

typedef struct pmn_orb_level {
  int32_t width, height, octave; /* 0 is the picture itself */
  float scale;                   /* pixels of the picture that a pixel of the level is wide */
} pmn_orb_level;

/* Level `octave` of a picture, 0 to PMN_ORB_LEVELS. */
pmn_orb_level pmn_orb_level_of(int32_t width, int32_t height, int32_t octave);
/* Whether it may have keypoints. If not, nor do further ones. */
bool pmn_orb_has_room(const pmn_orb_level *level);

/* Pixel i of `to` in a row lies between two of `from`, more of them: the first one, and 256ths of the way in *part. */
uint16_t pmn_orb_shrink_place(int32_t i, int32_t from, int32_t to, uint16_t *part);

/* Numbers that sort as the most distinct first, then the first found: levels, and corners in them row by row, are found
 * in the order that pmn_vision.h wants of equal ones. found: below 2^32. */
uint64_t pmn_orb_key(float response, size_t found);
size_t pmn_orb_key_found(uint64_t key);
float pmn_orb_key_response(uint64_t key);
int pmn_orb_key_compare(const void *a, const void *b); /* for qsort of keys, or of what begins with one */

/* The keypoint of a corner in pixel x, y of its level, by the moments around it; and cosine and sine of its angle. */
typedef struct pmn_orb_corner {
  int32_t x, y, mx, my;
  float response;
} pmn_orb_corner;
void pmn_orb_keypoint(
    const pmn_orb_level *level, const pmn_orb_corner *corner, pmn_keypoint *keypoint, float *cosine, float *sine);

#endif
