/* plain_sift.h - SIFT in plain loops and doubles: the judge of the fast one. */
#ifndef PLAIN_SIFT_H
#define PLAIN_SIFT_H

#include "pmn_vision.h"

typedef struct plain_feature {
  pmn_keypoint keypoint;
  uint8_t descriptor[128];
} plain_feature;

/* All features in the order of pmn_vision.h; free(). Ends the program when memory is short. */
plain_feature *plain_sift(const uint8_t *gray, int width, int height, int *count);

#endif
