/* pmn_orb.c - see pmn_vision.h: ORB, as OpenCV has it by default.
 *
 * Level by level of a pyramid whose levels are each 1.2 times smaller than the one before:
 *
 *   corners   FAST-9 above 20 that score more than their eight neighbours, at least 31 pixels from every border
 *   best      of the number wanted of the level twice as many by that score, ties too; of these the number by Harris
 *   angle     from the corner to the centroid of the gray values in the disc of radius 15 around it
 *   bits      256 comparisons in the level, blurred by a Gaussian of sigma 2, by a pattern turned by that angle
 *
 * Levels get shares of the keypoints as a geometric series by 1 / 1.2.
 *
 * Workload: 100x100, of which 38x38, 21x21 and 7x7 pixels are far enough from the borders; and photographs. A level
 * is made from the one before, so that two are kept besides the picture; nothing beyond a border is ever looked at.
 * Memory only grows, and is kept from picture to picture.
 */
#include "pmn_describer_kind.h"
#include "pmn_mem.h"
#include "pmn_orb_rules.h"

#include <stdlib.h>
#include <string.h>

enum {
  LEVELS = PMN_ORB_LEVELS,
  EDGE = PMN_ORB_EDGE,
  MARGIN = PMN_ORB_MARGIN,
  AROUND = PMN_ORB_REACH,
  BITS_BYTES = PMN_ORB_BYTES,
  CELL = 16, /* pixels of a row that are blurred together */
};

typedef struct space {
  void *memory;
  size_t bytes;
} space;

typedef struct corner {
  int32_t x, y;
  uint8_t score;
} corner;

typedef struct level {
  const uint8_t *pixels;
  pmn_orb_level size;
} level;

typedef struct orb {
  pmn_describer describer;
  int32_t keypoints_max, wanted[LEVELS];
  pmn_disc disc;
  space smaller[2], places, mix, pairs; /* levels by turns, and rows of what becomes pixels */
  /* Of one level: */
  space scores, corners, keys, needed, blurred;
  size_t corner_count, by_score[256];
  /* Of all, as found and as handed out: */
  space keypoints, bits, keypoints_sorted, bits_sorted;
  size_t count;
} orb;

/* Room for count x size bytes; what is there stays. */
static pmn_status space_grow(space *self, size_t count, size_t size, pmn_err *err) {
  size_t bytes;
  if (!pmn_size_mul(count, size, &bytes)) return pmn_err_memory(err, SIZE_MAX, "keypoints");
  if (bytes <= self->bytes) return PMN_STATUS_OK;
  size_t more; /* lists grow little by little */
  if (bytes / 2 < self->bytes && pmn_size_add(self->bytes, bytes / 2, &more)) bytes = more;
  void *memory = pmn_realloc(self->memory, bytes, 1);
  if (memory == NULL) return pmn_err_memory(err, bytes, "keypoints");
  *self = (space){memory, bytes};
  return PMN_STATUS_OK;
}

/* ----------------------------------------------------------------------------------------------------- the corners */

static bool is_peak(const uint8_t *const rows[3], int32_t x) {
  uint8_t s = rows[1][x];
  bool beside = s > rows[1][x - 1] && s > rows[1][x + 1];
  bool above = s > rows[0][x - 1] && s > rows[0][x] && s > rows[0][x + 1];
  return beside && above && s > rows[2][x - 1] && s > rows[2][x] && s > rows[2][x + 1];
}

/* Corners of row y, of `count` scores, that score more than all neighbours; the first and the last are only that. */
static pmn_status corners_take(orb *self, const uint8_t *const rows[3], int32_t count, int32_t y, pmn_err *err) {
  pmn_status st = space_grow(&self->corners, self->corner_count + (size_t)count / 2 + 1, sizeof(corner), err);
  if (st != PMN_STATUS_OK) return st;
  corner *corners = self->corners.memory;
  for (int32_t start = 0; start < count; start += 8) {
    uint64_t eight;
    memcpy(&eight, rows[1] + start, sizeof eight);
    for (int32_t x = start; eight != 0 && x < start + 8; x++) { /* it is 0, mostly */
      if (rows[1][x] == 0 || x == 0 || x >= count - 1 || !is_peak(rows, x)) continue;
      self->by_score[rows[1][x]]++;
      corners[self->corner_count++] = (corner){EDGE - 1 + x, y, rows[1][x]};
    }
  }
  return PMN_STATUS_OK;
}

static pmn_status corners_find(orb *self, const level *at, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  self->corner_count = 0;
  memset(self->by_score, 0, sizeof self->by_score);
  int32_t count = at->size.width - 2 * (EDGE - 1); /* scores of a row: those of corners, and one more at each end */
  size_t padded = ((size_t)count + PMN_FAST_BLOCK - 1) / PMN_FAST_BLOCK * PMN_FAST_BLOCK;
  PMN_TRY(space_grow(&self->scores, padded, 3, err));
  uint8_t *scores = self->scores.memory;
  for (int32_t y = EDGE - 1; y <= at->size.height - EDGE; y++) {
    /* The last block reads into the next row; EDGE of them follow. */
    const uint8_t *first = at->pixels + (size_t)y * (size_t)at->size.width + (EDGE - 1);
    pmn_fast_scores(first, at->size.width, padded, scores + (size_t)(y % 3) * padded);
    if (y <= EDGE) continue;
    const uint8_t *rows[3];
    for (int32_t i = 0; i < 3; i++) rows[i] = scores + (size_t)((y + 1 + i) % 3) * padded;
    PMN_TRY(corners_take(self, rows, count, y - 1, err));
  }
done:
  return st;
}

/* The level's best corners, as *count keys of self->keys. */
static pmn_status corners_choose(orb *self, const level *at, int32_t wanted, size_t *count, pmn_err *err) {
  size_t most = 2 * (size_t)wanted, better = 0;
  int32_t least = 255;
  while (least > 0 && better + self->by_score[least] < most) better += self->by_score[least--];
  pmn_status st = space_grow(&self->keys, self->corner_count, sizeof(uint64_t), err);
  if (st != PMN_STATUS_OK) return st;
  uint64_t *keys = self->keys.memory;
  const corner *corners = self->corners.memory;
  size_t chosen = 0;
  for (size_t i = 0; i < self->corner_count; i++) {
    if (corners[i].score < least) continue;
    const uint8_t *pixel = at->pixels + (size_t)corners[i].y * (size_t)at->size.width + corners[i].x;
    keys[chosen++] = pmn_orb_key(pmn_harris(pixel, at->size.width), i);
  }
  if (chosen > 0) qsort(keys, chosen, sizeof *keys, pmn_orb_key_compare);
  *count = chosen < (size_t)wanted ? chosen : (size_t)wanted;
  return PMN_STATUS_OK;
}

/* --------------------------------------------------------------------------------------------------- the keypoints */

/* Which cells of which rows are compared around the chosen corners. */
static void cells_mark(const orb *self, size_t count, size_t cells, uint8_t *needed) {
  const corner *corners = self->corners.memory;
  const uint64_t *keys = self->keys.memory;
  for (size_t i = 0; i < count; i++) {
    corner c = corners[pmn_orb_key_found(keys[i])];
    size_t first = (size_t)(c.x - AROUND) / CELL, last = (size_t)(c.x + AROUND) / CELL;
    for (int32_t y = c.y - AROUND; y <= c.y + AROUND; y++) {
      memset(needed + (size_t)y * cells + first, 1, last - first + 1);
    }
  }
}

/* self->blurred is as large as the level; only what is compared is blurred. */
static pmn_status level_blur(orb *self, const level *at, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t width = (size_t)at->size.width, height = (size_t)at->size.height, cells = width / CELL + 1;
  PMN_TRY(space_grow(&self->blurred, width, height, err));
  PMN_TRY(space_grow(&self->needed, cells, height, err));
  PMN_TRY(space_grow(&self->mix, width + 2 * PMN_BLUR_REACH, sizeof(float), err));
  uint8_t *needed = self->needed.memory, *blurred = self->blurred.memory;
  memset(needed, 0, cells * height);
  cells_mark(self, count, cells, needed);
  for (size_t y = MARGIN; y < height - MARGIN; y++) {
    const uint8_t *row = needed + y * cells;
    for (size_t cell = 0, end; cell < cells; cell = end + 1) {
      for (end = cell; end < cells && row[end]; end++) continue;
      size_t left = cell * CELL, right = end * CELL < width ? end * CELL : width, place = y * width + left;
      if (end > cell) pmn_blur_row(at->pixels + place, at->size.width, right - left, self->mix.memory, blurred + place);
    }
  }
done:
  return st;
}

/* Adds the level's keypoints, `wanted` at most. */
static pmn_status level_describe(orb *self, const level *at, int32_t wanted, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count;
  PMN_TRY(corners_find(self, at, err));
  PMN_TRY(corners_choose(self, at, wanted, &count, err));
  if (count == 0) goto done;
  PMN_TRY(level_blur(self, at, count, err));
  PMN_TRY(space_grow(&self->keypoints, self->count + count, sizeof(pmn_keypoint), err));
  PMN_TRY(space_grow(&self->bits, self->count + count, BITS_BYTES, err));
  pmn_keypoint *keypoints = (pmn_keypoint *)self->keypoints.memory + self->count;
  uint8_t *bits = (uint8_t *)self->bits.memory + self->count * BITS_BYTES;
  const uint8_t *blurred = self->blurred.memory;
  const uint64_t *keys = self->keys.memory;
  for (size_t i = 0; i < count; i++) {
    corner c = ((const corner *)self->corners.memory)[pmn_orb_key_found(keys[i])];
    size_t place = (size_t)c.y * (size_t)at->size.width + (size_t)c.x;
    pmn_orb_corner found = {.x = c.x, .y = c.y, .response = pmn_orb_key_response(keys[i])};
    float cosine, sine;
    pmn_disc_moments(&self->disc, at->pixels + place, at->size.width, &found.mx, &found.my);
    pmn_orb_keypoint(&at->size, &found, &keypoints[i], &cosine, &sine);
    pmn_orb_compare(blurred + place, at->size.width, cosine, sine, bits + i * BITS_BYTES);
  }
  self->count += count;
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- the pyramid */

/* The level after `from`, of the given size, into memory of `self` that `from` is not in. Its first and last MARGIN
 * rows and columns, which nothing is computed from, stay as they are. */
static pmn_status level_shrink(orb *self, const level *from, level *to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  space *pixels = &self->smaller[to->size.octave % 2];
  pmn_shrink shrink = {
      (size_t)to->size.width - 2 * MARGIN, (size_t)from->size.width - 2 * MARGIN, NULL, NULL, NULL, NULL};
  PMN_TRY(space_grow(pixels, (size_t)to->size.width, (size_t)to->size.height, err));
  PMN_TRY(space_grow(&self->places, 2 * shrink.count, sizeof *shrink.at, err));
  PMN_TRY(space_grow(&self->mix, shrink.width, sizeof *shrink.mix, err));
  PMN_TRY(space_grow(&self->pairs, shrink.count, sizeof *shrink.pairs, err));
  shrink.at = self->places.memory;
  shrink.parts = shrink.at + shrink.count;
  shrink.mix = self->mix.memory;
  shrink.pairs = self->pairs.memory;
  for (size_t x = 0; x < shrink.count; x++) {
    int32_t place = (int32_t)x + MARGIN;
    shrink.at[x] = (uint16_t)(pmn_orb_shrink_place(place, from->size.width, to->size.width, &shrink.parts[x]) - MARGIN);
  }
  for (int32_t y = MARGIN; y < to->size.height - MARGIN; y++) {
    uint16_t part, at = pmn_orb_shrink_place(y, from->size.height, to->size.height, &part);
    const uint8_t *upper = from->pixels + (size_t)at * (size_t)from->size.width + MARGIN;
    uint8_t *out = (uint8_t *)pixels->memory + (size_t)y * (size_t)to->size.width + MARGIN;
    pmn_shrink_row(&shrink, upper, upper + from->size.width, part, out);
  }
  to->pixels = pixels->memory;
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- the describer */

/* All keypoints in the order of pmn_vision.h. */
static pmn_status keypoints_sort(orb *self, pmn_described *described, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(space_grow(&self->keys, self->count, sizeof(uint64_t), err));
  PMN_TRY(space_grow(&self->keypoints_sorted, self->count, sizeof(pmn_keypoint), err));
  PMN_TRY(space_grow(&self->bits_sorted, self->count, BITS_BYTES, err));
  uint64_t *keys = self->keys.memory;
  const pmn_keypoint *keypoints = self->keypoints.memory;
  const uint8_t *bits = self->bits.memory;
  pmn_keypoint *keypoints_sorted = self->keypoints_sorted.memory;
  uint8_t *bits_sorted = self->bits_sorted.memory;
  for (size_t i = 0; i < self->count; i++) keys[i] = pmn_orb_key(keypoints[i].response, i);
  if (self->count > 0) qsort(keys, self->count, sizeof *keys, pmn_orb_key_compare);
  /* The levels' numbers are rounded each for itself and may add up to more. */
  size_t count = self->count < (size_t)self->keypoints_max ? self->count : (size_t)self->keypoints_max;
  for (size_t i = 0; i < count; i++) {
    size_t found = pmn_orb_key_found(keys[i]);
    keypoints_sorted[i] = keypoints[found];
    memcpy(bits_sorted + i * BITS_BYTES, bits + found * BITS_BYTES, BITS_BYTES);
  }
  *described = (pmn_described){(int32_t)count, keypoints_sorted, bits_sorted};
done:
  return st;
}

static pmn_status run(pmn_describer *describer, const uint8_t *gray, int32_t width, int32_t height,
    pmn_described *described, pmn_err *err) {
  orb *self = (orb *)describer;
  pmn_status st = PMN_STATUS_OK;
  level at = {gray, pmn_orb_level_of(width, height, 0)};
  self->count = 0;
  while (pmn_orb_has_room(&at.size)) {
    int32_t octave = at.size.octave;
    if (self->wanted[octave] > 0) PMN_TRY(level_describe(self, &at, self->wanted[octave], err));
    level next = {NULL, pmn_orb_level_of(width, height, octave + 1)};
    if (pmn_orb_has_room(&next.size)) PMN_TRY(level_shrink(self, &at, &next, err));
    at = next;
  }
  PMN_TRY(keypoints_sort(self, described, err));
done:
  return st;
}

static void destroy(pmn_describer *describer) {
  orb *self = (orb *)describer;
  space *const spaces[] = {&self->smaller[0], &self->smaller[1], &self->places, &self->mix, &self->pairs, &self->scores,
      &self->blurred, &self->needed, &self->corners, &self->keys, &self->keypoints, &self->bits,
      &self->keypoints_sorted, &self->bits_sorted};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) pmn_free(spaces[i]->memory);
  pmn_free(self);
}

static pmn_status create(int32_t keypoints_max, pmn_describer **describer, pmn_err *err) {
  if (keypoints_max < 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%d keypoints at most: give a number from 0", keypoints_max);
  }
  orb *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a describer");
  self->keypoints_max = keypoints_max > 0 ? keypoints_max : PMN_ORB_KEYPOINTS;
  pmn_orb_shares(self->keypoints_max, self->wanted);
  pmn_disc_init(&self->disc);
  *describer = &self->describer;
  return PMN_STATUS_OK;
}

/* Two levels, and of one its scores, what is blurred, and lists that grow with its corners. */
static double memory(int32_t width, int32_t height) {
  return 8.0 * width * height;
}

const pmn_describer_kind pmn_orb = {"orb", BITS_BYTES, memory, create, destroy, run};
