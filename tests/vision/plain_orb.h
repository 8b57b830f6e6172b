/* plain_orb.h - ORB in plain loops, pixel by pixel: the judge of the fast one, to the bit. */
#ifndef PLAIN_ORB_H
#define PLAIN_ORB_H

#include "pmn_vision.h"

typedef struct plain_orb_feature {
  pmn_keypoint keypoint;
  uint8_t descriptor[32];
} plain_orb_feature;

/* The features in the order of pmn_vision.h; free(). keypoints_max is not 0. Ends the program when memory is short. */
plain_orb_feature *plain_orb(const uint8_t *gray, int width, int height, int keypoints_max, int *count);

#endif
