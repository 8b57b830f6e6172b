/* pmn_orb_rules.c - see pmn_orb_rules.h: as OpenCV has them by default. */
#include "pmn_orb_rules.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static const float step_up = 1.2f, patch_size = 31;

/* max = a + a q + ... + a q^7, q = 1 / 1.2; the last level gets what rounding leaves. */
void pmn_orb_shares(int32_t keypoints_max, int32_t wanted[PMN_ORB_LEVELS]) {
  float q = (float)(1 / (double)step_up), share = (float)keypoints_max * (1 - q) / (1 - (float)pow(q, PMN_ORB_LEVELS));
  int64_t left = keypoints_max;
  for (int i = 0; i < PMN_ORB_LEVELS - 1; i++, share *= q) {
    wanted[i] = (int32_t)lrintf(share);
    left -= wanted[i];
  }
  wanted[PMN_ORB_LEVELS - 1] = left > 0 ? (int32_t)left : 0;
}

pmn_orb_level pmn_orb_level_of(int32_t width, int32_t height, int32_t octave) {
  double scale = 1;
  for (int32_t i = 0; i < octave; i++) scale *= (double)step_up;
  pmn_orb_level level = {width, height, octave, (float)scale};
  if (octave == 0) return level;
  level.width = (int32_t)lrintf((float)width * (1 / level.scale));
  level.height = (int32_t)lrintf((float)height * (1 / level.scale));
  return level;
}

/* Some pixel is EDGE away from all borders. */
bool pmn_orb_has_room(const pmn_orb_level *level) {
  return level->octave < PMN_ORB_LEVELS && level->width > 2 * PMN_ORB_EDGE && level->height > 2 * PMN_ORB_EDGE;
}

/* At (i + 1/2) from / to - 1/2. */
uint16_t pmn_orb_shrink_place(int32_t i, int32_t from, int32_t to, uint16_t *part) {
  double at = (i + 0.5) * ((double)from / to) - 0.5;
  int32_t whole = (int32_t)at;
  *part = (uint16_t)lrint((at - whole) * 256);
  return (uint16_t)whole;
}

uint64_t pmn_orb_key(float response, size_t found) {
  uint32_t bits;
  memcpy(&bits, &response, sizeof bits);
  uint32_t descending = bits >> 31 ? bits : ~bits & 0x7fffffff;
  return (uint64_t)descending << 32 | found;
}

size_t pmn_orb_key_found(uint64_t key) {
  return (size_t)(key & UINT32_MAX);
}

float pmn_orb_key_response(uint64_t key) {
  uint32_t descending = (uint32_t)(key >> 32), bits = descending >> 31 ? descending : ~descending & 0x7fffffff;
  float response;
  memcpy(&response, &bits, sizeof response);
  return response;
}

int pmn_orb_key_compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
  return (left > right) - (left < right);
}

void pmn_orb_keypoint(
    const pmn_orb_level *level, const pmn_orb_corner *corner, pmn_keypoint *keypoint, float *cosine, float *sine) {
  double mx = corner->mx, my = corner->my, length = sqrt(mx * mx + my * my), angle = atan2(my, mx) * (180 / PI);
  *cosine = length > 0 ? (float)(mx / length) : 1;
  *sine = length > 0 ? (float)(my / length) : 0;
  keypoint->x = (float)corner->x * level->scale;
  keypoint->y = (float)corner->y * level->scale;
  keypoint->size = patch_size * level->scale;
  keypoint->angle = (float)(angle < 0 ? angle + 360 : angle);
  if (keypoint->angle >= 360) keypoint->angle = 0; /* a little less than 360 has been rounded */
  keypoint->response = corner->response;
  keypoint->octave = level->octave;
}
