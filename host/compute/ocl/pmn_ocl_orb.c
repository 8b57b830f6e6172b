/* pmn_ocl_orb.c - ORB for all pictures of a slice at once; see pmn_orb.c for what it is, pmn_orb_rules.h for its rules.
 *
 *   kernels      shrink level by level; then, of all levels together: fast, peaks, least
 *   host         adds up how many corners each plane has
 *   kernels      list, harris, moments, blur
 *   host         sorts, chooses, makes angles
 *   kernel       bits
 *
 * Keypoints and descriptors are those of pmn_describer_run, to the bit, on every device. Kernels compute whole numbers,
 * and floats of conversions, products and sums alone, which OpenCL's full profile rounds as the host does, in the
 * host's order and never fused. What a device may round otherwise, or lacks, is done here by the very functions of the
 * host's path: where smaller pixels come from (double), angle, cosine and sine (arctangent, division and root in
 * double), and places and sizes of keypoints.
 *
 * The choice is the host's as well: a sort of some hundred keypoints a picture, while a device would sort many short
 * lists of different lengths by kernels longer than all others. It costs 16 bytes down for each corner and 16 bytes up
 * for each keypoint.
 *
 * Corners go to one list by atomic counters, those of a plane side by side, but their order within it is left to
 * chance: it is gone after the sort, whose keys are all different. How many there are is counted before (whole numbers,
 * so in any order), and the list is made as long as that: nothing can overflow, however many there are.
 *
 * Workload: 64 pictures of 100x100 or more, of which a third of the pixels is far enough from the borders; and single
 * photographs. Work-groups belong to planes by a table of how many each needs (orb.clh), so that pictures of many
 * sizes waste none.
 */
#include "pmn_ocl_orb.h"

#include "pmn_mem.h"

#include <stdlib.h>

enum { KERNELS = PMN_OCL_ORB_BITS - PMN_OCL_ORB_SHRINK + 1, MOMENTS_GROUP = 32, ARGUMENTS_MAX = 9 };
#define SCORES 256

/* As kernels leave it: an int4. */
typedef struct corner {
  cl_int place; /* y * width + x in its plane */
  cl_float response;
  cl_int mx, my;
} corner;

/* A corner among others; keys come first, as pmn_orb_key_compare needs it. */
typedef struct ranked {
  uint64_t key;
  const corner *corner;
  int32_t octave;
} ranked;

/* A keypoint for pmn_orb_bits: a uint4. */
typedef struct turned {
  cl_uint at, stride;
  cl_float cosine, sine;
} turned;

typedef struct orb {
  pmn_ocl_describer base;
  pmn_ocl_device *device;
  int32_t keypoints_max, wanted[PMN_ORB_LEVELS];
  cl_kernel kernels[KERNELS];
  cl_mem disc, pattern;
  pmn_ocl_orb_plan plan;
  /* On the device. Tables: */
  pmn_ocl_space planes, groups[PMN_OCL_ORB_FRAMES], places;
  /* a byte for each pixel of all planes; `scores` becomes what is blurred: */
  pmn_ocl_space pixels, scores, peaks;
  /* for each plane: */
  pmn_ocl_space by_score, least, counts, firsts, next;
  /* lists: */
  pmn_ocl_space corners, turned, bits;
  /* The same on the host. */
  pmn_buf host_firsts, host_corners, ranked, host_turned, keypoints, picture_counts, host_bits;
} orb;

/* --------------------------------------------------------------------------------------------------- launches -- */

static pmn_status start(orb *self, pmn_ocl_kernel_id id, const pmn_ocl_argument *arguments, size_t argument_count,
    size_t items, size_t group, pmn_err *err) {
  const size_t all[3] = {items, 1, 1}, local[3] = {group, 1, 1};
  if (items == 0) return PMN_STATUS_OK;
  return pmn_ocl_start(
      self->device, self->kernels[id - PMN_OCL_ORB_SHRINK], arguments, (cl_uint)argument_count, all, local, err);
}

/* Over the pixels of planes [begin, end): what all these kernels begin with, then `more`. */
static pmn_status pixels_start(orb *self, pmn_ocl_kernel_id id, pmn_ocl_orb_frame frame, const int32_t planes[2],
    const cl_mem *in, const pmn_ocl_argument *more, size_t more_count, pmn_err *err) {
  const cl_int begin = planes[0], end = planes[1], margin = pmn_ocl_orb_margins[frame];
  const cl_uint *groups = pmn_ocl_orb_groups(&self->plan, frame);
  pmn_ocl_argument arguments[ARGUMENTS_MAX] = {PMN_OCL_ARGUMENT(*in), PMN_OCL_ARGUMENT(self->planes.buffer),
      PMN_OCL_ARGUMENT(self->groups[frame].buffer), PMN_OCL_ARGUMENT(begin), PMN_OCL_ARGUMENT(end),
      PMN_OCL_ARGUMENT(margin)};
  size_t count = 6, items = (size_t)(groups[end] - groups[begin]) * PMN_OCL_ORB_GROUP;
  for (size_t i = 0; i < more_count; i++) arguments[count++] = more[i];
  return start(self, id, arguments, count, items, PMN_OCL_ORB_GROUP, err);
}

static pmn_status table_load(orb *self, pmn_ocl_space *space, const pmn_buf *table, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_ocl_space_reserve(self->device, space, table->size, 1, "a table of pictures", err));
  PMN_TRY(pmn_ocl_upload(self->device, table->data, table->size, space->buffer, err));
done:
  return st;
}

/* All planes on the device. */
static pmn_status planes_make(orb *self, const pmn_ocl_slice *slice, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_orb_plan *plan = &self->plan;
  const pmn_ocl_plane *last = &slice->planes[slice->count - 1];
  size_t gray_bytes = (size_t)last->offset + (size_t)last->width * (size_t)last->height;
  PMN_TRY(table_load(self, &self->planes, &plan->planes, err));
  PMN_TRY(table_load(self, &self->places, &plan->places, err));
  for (int f = 0; f < PMN_OCL_ORB_FRAMES; f++) PMN_TRY(table_load(self, &self->groups[f], &plan->groups[f], err));
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->pixels, plan->pixels, 1, "levels of pictures", err));
  PMN_OCL_TRY(self->device,
      clEnqueueCopyBuffer(self->device->queue, slice->gray, self->pixels.buffer, 0, 0, gray_bytes, 0, NULL, NULL),
      "copying pictures", err);
  const pmn_ocl_argument more[] = {PMN_OCL_ARGUMENT(self->places.buffer)};
  for (int octave = 1; octave < PMN_ORB_LEVELS && plan->levels[octave] < plan->count; octave++) {
    PMN_TRY(pixels_start(
        self, PMN_OCL_ORB_SHRINK, PMN_OCL_ORB_SHRUNK, &plan->levels[octave], &self->pixels.buffer, more, 1, err));
  }
done:
  return st;
}

/* ---------------------------------------------------------------------------------------------------- corners -- */

static pmn_status peaks_find(orb *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t planes = (size_t)self->plan.count;
  const int32_t all[2] = {0, self->plan.count};
  const cl_uint none = 0;
  const cl_int threshold = PMN_FAST_THRESHOLD;
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->scores, self->plan.pixels, 1, "scores of corners", err));
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->peaks, self->plan.pixels, 1, "corners", err));
  PMN_TRY(
      pmn_ocl_space_reserve(self->device, &self->by_score, planes, SCORES * sizeof(cl_uint), "counts of scores", err));
  PMN_OCL_TRY(self->device,
      clEnqueueFillBuffer(self->device->queue, self->by_score.buffer, &none, sizeof none, 0,
          planes * SCORES * sizeof none, 0, NULL, NULL),
      "clearing counts", err);
  const pmn_ocl_argument scored[] = {PMN_OCL_ARGUMENT(self->scores.buffer), PMN_OCL_ARGUMENT(threshold)};
  PMN_TRY(pixels_start(self, PMN_OCL_ORB_FAST, PMN_OCL_ORB_SCORED, all, &self->pixels.buffer, scored, 2, err));
  const pmn_ocl_argument peaks[] = {PMN_OCL_ARGUMENT(self->peaks.buffer), PMN_OCL_ARGUMENT(self->by_score.buffer)};
  PMN_TRY(pixels_start(self, PMN_OCL_ORB_PEAKS, PMN_OCL_ORB_CORNERS, all, &self->scores.buffer, peaks, 2, err));
done:
  return st;
}

/* host_firsts[p]: the first corner of plane p in the list; one more: how many there are, also in *count. */
static pmn_status corners_count(orb *self, cl_uint *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t planes = (size_t)self->plan.count, bytes = (planes + 1) * sizeof(cl_uint);
  const cl_int plane_count = self->plan.count;
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->least, planes, sizeof(cl_int), "scores of planes", err));
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->counts, planes, sizeof(cl_uint), "counts of corners", err));
  PMN_TRY(pmn_buf_reserve(&self->host_firsts, bytes, err));
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(self->by_score.buffer), PMN_OCL_ARGUMENT(self->planes.buffer),
      PMN_OCL_ARGUMENT(plane_count), PMN_OCL_ARGUMENT(self->least.buffer), PMN_OCL_ARGUMENT(self->counts.buffer)};
  PMN_TRY(start(self, PMN_OCL_ORB_LEAST, arguments, 5, planes, PMN_OCL_ORB_GROUP, err));
  cl_uint *firsts = (cl_uint *)(void *)self->host_firsts.data;
  PMN_TRY(pmn_ocl_download(self->device, self->counts.buffer, planes * sizeof(cl_uint), firsts, err));
  *count = 0;
  for (size_t p = 0; p <= planes; p++) {
    cl_uint here = p < planes ? firsts[p] : 0;
    firsts[p] = *count;
    *count += here;
  }
  self->host_firsts.size = bytes;
done:
  return st;
}

/* The list of corners, each with its response and moments, into host_corners; and `scores` becomes the planes blurred.
 */
static pmn_status corners_measure(orb *self, cl_uint count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const int32_t all[2] = {0, self->plan.count};
  const cl_int plane_count = self->plan.count;
  const cl_float k = PMN_HARRIS_K, scale = PMN_HARRIS_SCALE;
  const cl_float4 weights = {.s = {pmn_blur_weights[0], pmn_blur_weights[1], pmn_blur_weights[2], pmn_blur_weights[3]}};
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->corners, count, sizeof(corner), "corners", err));
  PMN_TRY(pmn_buf_reserve(&self->host_corners, (size_t)count * sizeof(corner), err));
  PMN_TRY(table_load(self, &self->firsts, &self->host_firsts, err));
  PMN_TRY(table_load(self, &self->next, &self->host_firsts, err));
  const pmn_ocl_argument listed[] = {PMN_OCL_ARGUMENT(self->least.buffer), PMN_OCL_ARGUMENT(self->next.buffer),
      PMN_OCL_ARGUMENT(self->corners.buffer)};
  PMN_TRY(pixels_start(self, PMN_OCL_ORB_LIST, PMN_OCL_ORB_CORNERS, all, &self->peaks.buffer, listed, 3, err));
  const pmn_ocl_argument harris[] = {PMN_OCL_ARGUMENT(self->pixels.buffer), PMN_OCL_ARGUMENT(self->planes.buffer),
      PMN_OCL_ARGUMENT(self->firsts.buffer), PMN_OCL_ARGUMENT(plane_count), PMN_OCL_ARGUMENT(count),
      PMN_OCL_ARGUMENT(self->corners.buffer), PMN_OCL_ARGUMENT(k), PMN_OCL_ARGUMENT(scale)};
  PMN_TRY(start(self, PMN_OCL_ORB_HARRIS, harris, 8, count, PMN_OCL_ORB_GROUP, err));
  const pmn_ocl_argument moments[] = {PMN_OCL_ARGUMENT(self->pixels.buffer), PMN_OCL_ARGUMENT(self->planes.buffer),
      PMN_OCL_ARGUMENT(self->firsts.buffer), PMN_OCL_ARGUMENT(plane_count), PMN_OCL_ARGUMENT(self->corners.buffer),
      PMN_OCL_ARGUMENT(self->disc)};
  PMN_TRY(start(self, PMN_OCL_ORB_MOMENTS, moments, 6, (size_t)count * MOMENTS_GROUP, MOMENTS_GROUP, err));
  const pmn_ocl_argument blurred[] = {PMN_OCL_ARGUMENT(self->scores.buffer), PMN_OCL_ARGUMENT(weights)};
  PMN_TRY(pixels_start(self, PMN_OCL_ORB_BLUR, PMN_OCL_ORB_BLURRED, all, &self->pixels.buffer, blurred, 2, err));
  PMN_TRY(pmn_ocl_download(
      self->device, self->corners.buffer, (size_t)count * sizeof(corner), self->host_corners.data, err));
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------- keypoints -- */

/* The best of all levels of a picture, in order; their number is returned. There is room for all its corners. */
static size_t picture_rank(const orb *self, int32_t picture) {
  const int32_t *indices = pmn_ocl_orb_indices(&self->plan, picture);
  const cl_uint *firsts = (const cl_uint *)(const void *)self->host_firsts.data;
  const corner *corners = (const corner *)(const void *)self->host_corners.data;
  ranked *list = (ranked *)(void *)self->ranked.data;
  size_t kept = 0;
  for (int32_t octave = 0; octave < PMN_ORB_LEVELS && indices[octave] >= 0; octave++) {
    size_t begin = firsts[indices[octave]], count = firsts[indices[octave] + 1] - begin;
    for (size_t i = 0; i < count; i++) {
      const corner *c = &corners[begin + i];
      list[kept + i] = (ranked){pmn_orb_key(c->response, (size_t)c->place), c, octave};
    }
    if (count > 1) qsort(list + kept, count, sizeof *list, pmn_orb_key_compare);
    kept += count < (size_t)self->wanted[octave] ? count : (size_t)self->wanted[octave];
  }
  for (size_t i = 0; i < kept; i++) list[i].key = pmn_orb_key(list[i].corner->response, i);
  if (kept > 1) qsort(list, kept, sizeof *list, pmn_orb_key_compare);
  return kept < (size_t)self->keypoints_max ? kept : (size_t)self->keypoints_max;
}

/* The keypoints of a picture, behind those of the pictures before. */
static pmn_status picture_choose(orb *self, const pmn_ocl_slice *slice, int32_t picture, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const ranked *list = (const ranked *)(const void *)self->ranked.data;
  int32_t count = (int32_t)picture_rank(self, picture);
  PMN_TRY(pmn_buf_append(&self->picture_counts, &count, sizeof count, err));
  for (int32_t i = 0; i < count; i++) {
    const corner *c = list[i].corner;
    int32_t octave = list[i].octave, index = pmn_ocl_orb_indices(&self->plan, picture)[octave];
    const pmn_ocl_orb_plane *plane = &pmn_ocl_orb_planes(&self->plan)[index];
    pmn_orb_level level = pmn_orb_level_of(slice->planes[picture].width, slice->planes[picture].height, octave);
    pmn_orb_corner found = {c->place % plane->width, c->place / plane->width, c->mx, c->my, c->response};
    turned t = {.at = plane->at + (cl_uint)c->place, .stride = (cl_uint)plane->width};
    pmn_keypoint keypoint;
    pmn_orb_keypoint(&level, &found, &keypoint, &t.cosine, &t.sine);
    PMN_TRY(pmn_buf_append(&self->keypoints, &keypoint, sizeof keypoint, err));
    PMN_TRY(pmn_buf_append(&self->host_turned, &t, sizeof t, err));
  }
done:
  return st;
}

static pmn_status keypoints_choose(orb *self, const pmn_ocl_slice *slice, cl_uint corner_count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf_clear(&self->keypoints);
  pmn_buf_clear(&self->host_turned);
  pmn_buf_clear(&self->picture_counts);
  PMN_TRY(pmn_buf_reserve(&self->ranked, (size_t)corner_count * sizeof(ranked), err));
  for (int32_t i = 0; i < slice->count; i++) PMN_TRY(picture_choose(self, slice, i, err));
done:
  return st;
}

/* Their descriptors, into host_bits. */
static pmn_status bits_make(orb *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = self->host_turned.size / sizeof(turned), bytes = count * PMN_ORB_BYTES;
  const cl_uint keypoint_count = (cl_uint)count;
  PMN_TRY(table_load(self, &self->turned, &self->host_turned, err));
  PMN_TRY(pmn_ocl_space_reserve(self->device, &self->bits, count, PMN_ORB_BYTES, "descriptors", err));
  PMN_TRY(pmn_buf_reserve(&self->host_bits, bytes, err));
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(self->scores.buffer), PMN_OCL_ARGUMENT(self->turned.buffer),
      PMN_OCL_ARGUMENT(keypoint_count), PMN_OCL_ARGUMENT(self->pattern), PMN_OCL_ARGUMENT(self->bits.buffer)};
  PMN_TRY(start(self, PMN_OCL_ORB_BITS, arguments, 5, bytes, PMN_OCL_ORB_GROUP, err));
  PMN_TRY(pmn_ocl_download(self->device, self->bits.buffer, bytes, self->host_bits.data, err));
done:
  return st;
}

static pmn_status answers_add(const orb *self, int32_t pictures, pmn_ocl_answer *answer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_keypoint *keypoints = (const pmn_keypoint *)(const void *)self->keypoints.data;
  const uint8_t *bits = (const uint8_t *)self->host_bits.data;
  const int32_t *counts = (const int32_t *)(const void *)self->picture_counts.data;
  for (int32_t i = 0, at = 0; i < pictures; at += counts[i++]) {
    PMN_TRY(pmn_ocl_answer_add(answer, keypoints + at, bits + (size_t)at * PMN_ORB_BYTES, counts[i], err));
  }
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------- describer -- */

static pmn_status run(pmn_ocl_describer *base, const pmn_ocl_slice *slice, pmn_ocl_answer *answer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  orb *self = (orb *)base;
  cl_uint count = 0;
  PMN_TRY(pmn_ocl_orb_plan_make(&self->plan, slice, self->wanted, err));
  if (self->plan.count > 0) {
    PMN_TRY(planes_make(self, slice, err));
    PMN_TRY(peaks_find(self, err));
    PMN_TRY(corners_count(self, &count, err));
  }
  if (count == 0) {
    for (int32_t i = 0; i < slice->count; i++) PMN_TRY(pmn_ocl_answer_add(answer, NULL, NULL, 0, err));
    goto done;
  }
  PMN_TRY(corners_measure(self, count, err));
  PMN_TRY(keypoints_choose(self, slice, count, err));
  PMN_TRY(bits_make(self, err));
  PMN_TRY(answers_add(self, slice->count, answer, err));
done:
  return st;
}

/* Three bytes for each pixel of each level, and a corner for each four pixels, of which there can be no more. */
static double bytes(int32_t width, int32_t height) {
  double pixels = 0;
  for (int32_t octave = 0; octave < PMN_ORB_LEVELS; octave++) {
    pmn_orb_level level = pmn_orb_level_of(width, height, octave);
    if (pmn_orb_has_room(&level)) pixels += (double)level.width * level.height;
  }
  return pixels * (3 + sizeof(corner) / 4.0) + SCORES * sizeof(cl_uint) * PMN_ORB_LEVELS;
}

static void destroy(pmn_ocl_describer *base) {
  orb *self = (orb *)base;
  pmn_ocl_space *const spaces[] = {&self->planes, &self->places, &self->pixels, &self->scores, &self->peaks,
      &self->by_score, &self->least, &self->counts, &self->firsts, &self->next, &self->corners, &self->turned,
      &self->bits};
  pmn_buf *const bufs[] = {&self->host_firsts, &self->host_corners, &self->ranked, &self->host_turned, &self->keypoints,
      &self->picture_counts, &self->host_bits};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) pmn_ocl_space_reset(spaces[i]);
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_reset(bufs[i]);
  for (int f = 0; f < PMN_OCL_ORB_FRAMES; f++) pmn_ocl_space_reset(&self->groups[f]);
  for (int i = 0; i < KERNELS; i++) {
    if (self->kernels[i] != NULL) clReleaseKernel(self->kernels[i]);
  }
  if (self->disc != NULL) clReleaseMemObject(self->disc);
  if (self->pattern != NULL) clReleaseMemObject(self->pattern);
  pmn_ocl_orb_plan_reset(&self->plan);
  pmn_free(self);
}

static pmn_status create(pmn_ocl_device *device, int32_t keypoints_max, pmn_ocl_describer **describer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_disc disc;
  orb *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a describer");
  pmn_buf *const bufs[] = {&self->host_firsts, &self->host_corners, &self->ranked, &self->host_turned, &self->keypoints,
      &self->picture_counts, &self->host_bits};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_init(bufs[i], SIZE_MAX);
  pmn_ocl_orb_plan_init(&self->plan);
  self->device = device;
  self->keypoints_max = keypoints_max > 0 ? keypoints_max : PMN_ORB_KEYPOINTS;
  pmn_orb_shares(self->keypoints_max, self->wanted);
  pmn_disc_init(&disc);
  for (int i = 0; i < KERNELS; i++) {
    PMN_TRY(pmn_ocl_kernel_create(
        device, (pmn_ocl_kernel_id)(PMN_OCL_ORB_SHRINK + i), PMN_ACTIVATION_NONE, NULL, &self->kernels[i], err));
  }
  PMN_TRY(pmn_ocl_buffer_create(device, sizeof disc, 1, &disc, "a disc", &self->disc, err));
  PMN_TRY(pmn_ocl_buffer_create(device, sizeof pmn_orb_pattern, 1, pmn_orb_pattern, "a pattern", &self->pattern, err));
  *describer = &self->base;
done:
  if (st != PMN_STATUS_OK) destroy(&self->base);
  return st;
}

const pmn_ocl_describer_kind pmn_ocl_orb = {create, bytes, run, destroy};
