/* pmn_describer.c - see pmn_vision.h: the door to SIFT and ORB. */
#include "pmn_describer_kind.h"

#include <string.h>

enum { SIDE_MAX = (1 << 15) - 1 };

static const pmn_describer_kind *const kinds[] = {[PMN_DESCRIPTOR_SIFT] = &pmn_sift, [PMN_DESCRIPTOR_ORB] = &pmn_orb};

bool pmn_descriptor_find(const char *name, pmn_descriptor_kind *kind) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(kinds[i]->name, name) != 0) continue;
    *kind = (pmn_descriptor_kind)i;
    return true;
  }
  return false;
}

const char *pmn_descriptor_name(pmn_descriptor_kind kind) {
  return kinds[kind]->name;
}

int32_t pmn_descriptor_bytes(pmn_descriptor_kind kind) {
  return kinds[kind]->bytes;
}

int pmn_keypoint_compare(const pmn_keypoint *a, const pmn_keypoint *b) {
  if (a->response != b->response) return a->response > b->response ? -1 : 1;
  if (a->octave != b->octave) return a->octave < b->octave ? -1 : 1;
  if (a->y != b->y) return a->y < b->y ? -1 : 1;
  if (a->x != b->x) return a->x < b->x ? -1 : 1;
  return (a->angle > b->angle) - (a->angle < b->angle);
}

pmn_status pmn_describer_create(
    pmn_descriptor_kind kind, int32_t keypoints_max, pmn_describer **describer, pmn_err *err) {
  *describer = NULL;
  pmn_status st = kinds[kind]->create(keypoints_max, describer, err);
  if (st == PMN_STATUS_OK) (*describer)->kind = kinds[kind];
  return st;
}

void pmn_describer_destroy(pmn_describer *describer) {
  if (describer != NULL) describer->kind->destroy(describer);
}

double pmn_describer_memory(pmn_descriptor_kind kind, int32_t width, int32_t height) {
  return kinds[kind]->memory(width, height);
}

pmn_status pmn_describer_check(int32_t width, int32_t height, pmn_err *err) {
  if (width >= 1 && height >= 1 && width <= SIDE_MAX && height <= SIDE_MAX) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a picture of %d x %d pixels: descriptors take 1 to %d each way",
      width, height, SIDE_MAX);
}

pmn_status pmn_describer_run(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height,
    pmn_described *described, pmn_err *err) {
  *described = (pmn_described){0};
  pmn_status st = pmn_describer_check(width, height, err);
  return st == PMN_STATUS_OK ? describer->kind->run(describer, gray, width, height, described, err) : st;
}
