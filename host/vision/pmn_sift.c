/* pmn_sift.c - see pmn_vision.h: SIFT's describer. Octave after octave is blurred and searched; descriptors are made of
 * those keypoints that stay. All memory stays for the next picture and only grows.
 */
#include "pmn_sift.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <stdlib.h>

typedef struct sift {
  pmn_describer base;
  int32_t keypoints_max; /* 0: all */
  pmn_sift_space space;
  pmn_sift_points points;
  int32_t capacity; /* of the two answers */
  pmn_keypoint *keypoints;
  uint8_t *descriptors;
} sift;

static void destroy(pmn_describer *describer) {
  sift *self = (sift *)describer;
  pmn_sift_space_reset(&self->space);
  pmn_free(self->points.at);
  pmn_free(self->keypoints);
  pmn_free(self->descriptors);
  pmn_free(self);
}

static pmn_status create(int32_t keypoints_max, pmn_describer **describer, pmn_err *err) {
  sift *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a describer");
  self->keypoints_max = keypoints_max;
  pmn_sift_space_init(&self->space, pmn_sift_loops_find(NULL));
  *describer = &self->base;
  return PMN_STATUS_OK;
}

static int by_rank(const void *left, const void *right) {
  return pmn_keypoint_compare(&((const pmn_sift_point *)left)->keypoint, &((const pmn_sift_point *)right)->keypoint);
}

/* Sorts, and keeps the first of equal keypoints: two extremes side by side may be refined to one place. */
static void rank(pmn_sift_points *points, int32_t keypoints_max) {
  if (points->count == 0) return;
  qsort(points->at, (size_t)points->count, sizeof *points->at, by_rank);
  int32_t kept = 1;
  for (int32_t k = 1; k < points->count; k++) {
    if (by_rank(&points->at[kept - 1], &points->at[k]) != 0) points->at[kept++] = points->at[k];
  }
  points->count = keypoints_max > 0 ? pmn_least(kept, keypoints_max) : kept;
}

/* Room for the answer, as much as the points have, so that it seldom grows. */
static pmn_status answer_reserve(sift *self, pmn_err *err) {
  int32_t count = self->points.capacity;
  if (self->keypoints_max > 0) count = pmn_least(count, self->keypoints_max);
  if (count <= self->capacity) return PMN_STATUS_OK;
  self->capacity = 0;
  pmn_free(self->keypoints);
  pmn_free(self->descriptors);
  self->keypoints = pmn_alloc((size_t)count, sizeof *self->keypoints);
  self->descriptors = pmn_alloc((size_t)count, PMN_SIFT_BYTES);
  if (self->keypoints == NULL || self->descriptors == NULL) {
    return pmn_err_memory(
        err, (size_t)count * (sizeof *self->keypoints + PMN_SIFT_BYTES), "the descriptors of a picture");
  }
  self->capacity = count;
  return PMN_STATUS_OK;
}

static pmn_status run(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height,
    pmn_described *described, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  sift *self = (sift *)describer;
  pmn_sift_points *points = &self->points;
  points->count = 0;
  PMN_TRY(pmn_sift_space_begin(&self->space, gray, width, height, err));
  for (int32_t o = 0; o < self->space.octaves; o++) {
    pmn_sift_space_octave(&self->space, o);
    PMN_TRY(pmn_sift_points_find(&self->space, o, points, err));
  }
  rank(points, self->keypoints_max);
  PMN_TRY(answer_reserve(self, err));
  for (int32_t k = 0; k < points->count; k++) {
    self->keypoints[k] = points->at[k].keypoint;
    pmn_sift_point_describe(&self->space, &points->at[k], self->descriptors + (size_t)k * PMN_SIFT_BYTES);
  }
  *described = (pmn_described){points->count, self->keypoints, self->descriptors};
done:
  return st;
}

const pmn_describer_kind pmn_sift = {.name = "sift",
    .bytes = PMN_SIFT_BYTES,
    .memory = pmn_sift_space_memory,
    .create = create,
    .destroy = destroy,
    .run = run};
