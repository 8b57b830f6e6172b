/* pmn_vision.h - local features of a picture: keypoints, and a descriptor of each.
 *
 *   SIFT   Lowe, Distinctive image features from scale-invariant keypoints, IJCV 2004. 128 bytes: 4 x 4 cells of 8
 *          directions. OpenCV's defaults: first octave doubled, sigma 1.6, 3 layers an octave, contrast 0.04, edge 10.
 *   ORB    Rublee et al., ORB: an efficient alternative to SIFT or SURF, ICCV 2011. 32 bytes, 256 comparisons. OpenCV's
 *          defaults: FAST-9 with threshold 20 ranked by Harris, 8 levels of 1.2, patches of 31 pixels.
 */
#ifndef PMN_VISION_H
#define PMN_VISION_H

#include "pmn_err.h"

typedef enum pmn_descriptor_kind { PMN_DESCRIPTOR_SIFT, PMN_DESCRIPTOR_ORB } pmn_descriptor_kind;
/* "sift" or "orb"; false for any other name. */
bool pmn_descriptor_find(const char *name, pmn_descriptor_kind *kind);
const char *pmn_descriptor_name(pmn_descriptor_kind kind);
/* Bytes of a descriptor: 128 numbers from 0 to 255, compared by their Euclidean distance; or 256 bits in 32 bytes, by
 * the number of bits that differ. */
int32_t pmn_descriptor_bytes(pmn_descriptor_kind kind);

/* As OpenCV tells it. */
typedef struct pmn_keypoint {
  float x, y;     /* pixels; the centre of the first one is 0, 0 */
  float size;     /* pixels, the diameter of what is described */
  float angle;    /* degrees, [0, 360), from x towards y, which points down */
  float response; /* how distinct it is; comparable within a picture */
  int32_t octave; /* SIFT: from -1, the doubled one; ORB: the level */
} pmn_keypoint;

/* The order of pmn_described: the most distinct first; equal ones by octave, y, x, angle, so that the order depends on
 * nothing but the picture. Below 0, 0 or above 0 as qsort has it; 0: the same keypoint. */
int pmn_keypoint_compare(const pmn_keypoint *a, const pmn_keypoint *b);

/* What was found in a picture, in that order. Views into the describer, valid until its next run. */
typedef struct pmn_described {
  int32_t count;
  const pmn_keypoint *keypoints; /* [count] */
  const uint8_t *descriptors;    /* [count, pmn_descriptor_bytes] */
} pmn_described;

typedef struct pmn_describer pmn_describer; /* keeps its memory from picture to picture; one thread at a time */

/* keypoints_max: the most distinct ones that are kept; 0: all of SIFT's, 500 of ORB's (OpenCV's default). */
PMN_MUST_USE pmn_status pmn_describer_create(
    pmn_descriptor_kind kind, int32_t keypoints_max, pmn_describer **describer, pmn_err *err);
void pmn_describer_destroy(pmn_describer *describer); /* NULL is fine */
/* PMN_STATUS_ARGUMENT for a picture whose sides no describer takes. */
/* Bytes of memory, about, that a describer takes for a picture of that size beside the picture itself: of SIFT 176 a
 * pixel, since its first octave is doubled; of ORB 8. */
double pmn_describer_memory(pmn_descriptor_kind kind, int32_t width, int32_t height);
PMN_MUST_USE pmn_status pmn_describer_check(int32_t width, int32_t height, pmn_err *err);
/* gray [height, width], dense, 1 to 2^15 - 1 pixels each way. A picture without keypoints is no error. Same bits on
 * every machine of the same instruction set. PMN_STATUS_ARGUMENT (size), PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_describer_run(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height,
    pmn_described *described, pmn_err *err);

#endif
