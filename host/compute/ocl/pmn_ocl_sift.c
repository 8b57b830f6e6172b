/* pmn_ocl_sift.c - SIFT on a device: what the kernels of kernels/sift_*.cl are given, in which order. The mathematics
 * is that of pmn_sift.h.
 *
 *   layers      of all octaves of all pictures of a slice: enlarged, blurred along columns and rows, halved
 *   places      extremes, refined, of all octaves                          a list
 *   points      a keypoint for each direction of a place                   a list
 *   order       down to the host: sorted, cut to what is wanted, and up again
 *   descriptors
 *
 * All layers stay until the slice is done, so that a list that was too short is only made again. The host waits three
 * times for a slice: for two counts and for the descriptors.
 *
 * Memory: six layers of 4/3 of the doubled picture, and as much again as one for half blurs: 150 bytes for each pixel.
 */
#include "pmn_ocl_describe.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_sift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  LAYERS_ALL = PMN_SIFT_LAYERS + 3,
  KERNEL_FIRST = PMN_OCL_SIFT_ENLARGE,
  KERNEL_COUNT = PMN_OCL_SIFT_DESCRIBE + 1 - KERNEL_FIRST,
  WEIGHTS = PMN_SIFT_BLUR_MAX + 1,
  DIRECTION_ITEMS = 64, /* work-items of a place, as in sift_directions.cl */
  /* A list begins with one place for so many values of a layer, and a few; noise has twice as many. */
  VALUES_PER_PLACE = 256,
  PLACES_LEAST = 64
};

/* As in sift.clh. */
typedef struct place {
  cl_int picture, octave, layer, y, x;
  cl_float off_x, off_y, off_layer, value;
} place;

typedef struct point {
  pmn_keypoint keypoint;
  cl_int picture, layer, y, x;
  cl_float scale, turn;
} point;

typedef struct sift {
  pmn_ocl_describer describer;
  cl_kernel kernels[KERNEL_COUNT];
  cl_mem weights; /* [blurs][WEIGHTS] */
  int32_t radii[PMN_SIFT_BLURS + 1];
  size_t place_capacity, point_capacity; /* what the largest slice so far has needed */
  pmn_ocl_space layers, half, table, chosen, descriptors;
  pmn_ocl_list places, points;
  pmn_buf planes, found, keypoints, bytes;
  /* Of the slice at hand: */
  int32_t octaves, pictures;
  cl_ulong layer_size;                                         /* values of a layer */
  int32_t widths[PMN_SIFT_OCTAVES], heights[PMN_SIFT_OCTAVES]; /* the largest of each octave */
} sift;

static double bytes(int32_t width, int32_t height) {
  return 4.0 * width * height * 4 / 3 * (LAYERS_ALL + 1) * (double)sizeof(float);
}

static void destroy(pmn_ocl_describer *describer) {
  sift *self = (sift *)describer;
  pmn_ocl_space *const spaces[] = {&self->layers, &self->half, &self->table, &self->chosen, &self->descriptors};
  for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) pmn_ocl_space_reset(spaces[i]);
  pmn_ocl_list_reset(&self->places);
  pmn_ocl_list_reset(&self->points);
  for (int i = 0; i < KERNEL_COUNT; i++) {
    if (self->kernels[i] != NULL) clReleaseKernel(self->kernels[i]);
  }
  if (self->weights != NULL) clReleaseMemObject(self->weights);
  pmn_buf *const bufs[] = {&self->planes, &self->found, &self->keypoints, &self->bytes};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_reset(bufs[i]);
  pmn_free(self);
}

/* The host's own weights, so that layers are the same. */
static pmn_status weights_create(sift *self, pmn_ocl_device *device, pmn_err *err) {
  pmn_sift_space space;
  float weights[PMN_SIFT_BLURS + 1][WEIGHTS];
  pmn_sift_space_init(&space, NULL);
  for (int i = 0; i <= PMN_SIFT_BLURS; i++) {
    const pmn_sift_blur *blur = i == 0 ? &space.first : &space.blurs[i - 1];
    memcpy(weights[i], blur->weights, sizeof weights[i]);
    self->radii[i] = blur->radius;
  }
  return pmn_ocl_buffer_create(
      device, PMN_SIFT_BLURS + 1, sizeof weights[0], weights, "weights of blurs", &self->weights, err);
}

static pmn_status create(pmn_ocl_device *device, int32_t keypoints_max, pmn_ocl_describer **describer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  (void)keypoints_max;
  sift *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a describer");
  pmn_buf *const bufs[] = {&self->planes, &self->found, &self->keypoints, &self->bytes};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) pmn_buf_init(bufs[i], SIZE_MAX);
  PMN_TRY(weights_create(self, device, err));
  for (int i = 0; i < KERNEL_COUNT; i++) {
    pmn_ocl_kernel_id id = (pmn_ocl_kernel_id)(KERNEL_FIRST + i);
    PMN_TRY(pmn_ocl_kernel_create(device, id, PMN_ACTIVATION_NONE, NULL, &self->kernels[i], err));
  }
  *describer = &self->describer;
  self = NULL;
done:
  if (self != NULL) destroy(&self->describer);
  return st;
}

/* ------------------------------------------------------------------------------------------------ scale space -- */

/* The table of planes: of all pictures of octave 0, then of octave 1, ...; none where there is no inside. */
static pmn_status lay_out(sift *self, const pmn_ocl_slice *slice, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->describer.device;
  self->pictures = slice->count;
  self->octaves = 0;
  self->layer_size = 0;
  pmn_buf_clear(&self->planes);
  for (int32_t o = 0; o < PMN_SIFT_OCTAVES; o++) {
    self->widths[o] = self->heights[o] = 0;
    for (int32_t i = 0; i < slice->count; i++) {
      pmn_ocl_plane plane = {self->layer_size, 2 * slice->planes[i].width >> o, 2 * slice->planes[i].height >> o};
      if (pmn_least(plane.width, plane.height) <= 2 * PMN_SIFT_BORDER) plane.width = plane.height = 0;
      uint64_t size = (uint64_t)plane.width * (uint64_t)plane.height;
      if (size > INT32_MAX) {
        PMN_FAIL(err, PMN_STATUS_NO_MEMORY,
            "a picture of %d x %d pixels is too large to be described by OpenCL: use --backend cpu",
            slice->planes[i].width, slice->planes[i].height);
      }
      self->layer_size += size;
      if (plane.width > self->widths[o]) self->widths[o] = plane.width;
      if (plane.height > self->heights[o]) self->heights[o] = plane.height;
      PMN_TRY(pmn_buf_append(&self->planes, &plane, sizeof plane, err));
    }
    if (self->widths[o] > 0) self->octaves = o + 1;
  }
  size_t size = (size_t)self->layer_size;
  PMN_TRY(pmn_ocl_space_reserve(device, &self->layers, size, LAYERS_ALL * sizeof(float), "layers of pictures", err));
  PMN_TRY(pmn_ocl_space_reserve(device, &self->half, size, sizeof(float), "half of a blur", err));
  PMN_TRY(pmn_ocl_space_reserve(device, &self->table, self->planes.size, 1, "a table of planes", err));
  PMN_TRY(pmn_ocl_upload(device, self->planes.data, self->planes.size, self->table.buffer, err));
done:
  return st;
}

static pmn_status start(sift *self, pmn_ocl_kernel_id id, const pmn_ocl_argument *arguments, cl_uint count,
    const size_t items[3], const size_t local[3], pmn_err *err) {
  return pmn_ocl_start(self->describer.device, self->kernels[id - KERNEL_FIRST], arguments, count, items, local, err);
}

/* A work-item for each value of an octave, `border` less on each side. */
static void items_of(const sift *self, int32_t octave, int32_t border, size_t layers, size_t items[3]) {
  items[0] = (size_t)(self->widths[octave] - 2 * border);
  items[1] = (size_t)(self->heights[octave] - 2 * border);
  items[2] = (size_t)self->pictures * layers;
}

static const size_t local[3] = {64, 4, 1}; /* of kernels whose work-items are values */

/* Layer `to` of an octave from layer `from`; blur 0 is that of the doubled picture. */
static pmn_status blur(sift *self, int32_t octave, int32_t number, int32_t from, int32_t to, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t items[3];
  cl_ulong in = (cl_ulong)from * self->layer_size, out = (cl_ulong)to * self->layer_size;
  cl_int first = octave * self->pictures, radius = self->radii[number], weights = number * WEIGHTS;
  items_of(self, octave, 0, 1, items);
  const pmn_ocl_argument columns[] = {PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(in),
      PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(first), PMN_OCL_ARGUMENT(self->weights),
      PMN_OCL_ARGUMENT(weights), PMN_OCL_ARGUMENT(radius), PMN_OCL_ARGUMENT(self->half.buffer)};
  const pmn_ocl_argument rows[] = {PMN_OCL_ARGUMENT(self->half.buffer), PMN_OCL_ARGUMENT(self->table.buffer),
      PMN_OCL_ARGUMENT(first), PMN_OCL_ARGUMENT(self->weights), PMN_OCL_ARGUMENT(weights), PMN_OCL_ARGUMENT(radius),
      PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(out)};
  PMN_TRY(start(self, PMN_OCL_SIFT_BLUR_COLUMNS, columns, sizeof columns / sizeof *columns, items, local, err));
  PMN_TRY(start(self, PMN_OCL_SIFT_BLUR_ROWS, rows, sizeof rows / sizeof *rows, items, local, err));
done:
  return st;
}

static pmn_status make_layers(sift *self, const pmn_ocl_slice *slice, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t items[3];
  const pmn_ocl_argument enlarge[] = {PMN_OCL_ARGUMENT(slice->gray), PMN_OCL_ARGUMENT(slice->table),
      PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(self->layers.buffer)};
  cl_ulong last = PMN_SIFT_LAYERS * self->layer_size;
  items_of(self, 0, 0, 1, items);
  PMN_TRY(start(self, PMN_OCL_SIFT_ENLARGE, enlarge, sizeof enlarge / sizeof *enlarge, items, local, err));
  PMN_TRY(blur(self, 0, 0, 0, 0, err)); /* by way of the half blur */
  for (int32_t o = 0; o < self->octaves; o++) {
    cl_int larger = (o - 1) * self->pictures, first = o * self->pictures;
    const pmn_ocl_argument halve[] = {PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(last),
        PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(larger), PMN_OCL_ARGUMENT(first)};
    items_of(self, o, 0, 1, items);
    if (o > 0) PMN_TRY(start(self, PMN_OCL_SIFT_HALVE, halve, sizeof halve / sizeof *halve, items, local, err));
    for (int32_t i = 0; i < PMN_SIFT_BLURS; i++) PMN_TRY(blur(self, o, i + 1, i, i + 1, err));
  }
done:
  return st;
}

/* ------------------------------------------------------------------------------------------------------ lists -- */

static pmn_status places_start(sift *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  cl_float threshold = floorf(0.5f * 0.04f / PMN_SIFT_LAYERS * 255.0f); /* half the contrast */
  for (cl_int o = 0; o < self->octaves; o++) {
    size_t items[3];
    const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(self->layer_size),
        PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(self->pictures), PMN_OCL_ARGUMENT(o),
        PMN_OCL_ARGUMENT(threshold), PMN_OCL_ARGUMENT(self->places.items.buffer),
        PMN_OCL_ARGUMENT(self->places.counter.buffer), PMN_OCL_ARGUMENT(self->places.capacity)};
    items_of(self, o, PMN_SIFT_BORDER, PMN_SIFT_LAYERS, items);
    PMN_TRY(start(self, PMN_OCL_SIFT_EXTREMES, arguments, sizeof arguments / sizeof *arguments, items, local, err));
  }
done:
  return st;
}

static pmn_status points_start(sift *self, cl_uint places, pmn_err *err) {
  const size_t group[3] = {DIRECTION_ITEMS, 1, 1}, groups[3] = {places * group[0], 1, 1};
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(self->layer_size),
      PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(self->pictures),
      PMN_OCL_ARGUMENT(self->places.items.buffer), PMN_OCL_ARGUMENT(self->points.items.buffer),
      PMN_OCL_ARGUMENT(self->points.counter.buffer), PMN_OCL_ARGUMENT(self->points.capacity)};
  return start(self, PMN_OCL_SIFT_DIRECTIONS, arguments, sizeof arguments / sizeof *arguments, groups, group, err);
}

/* All places, however many there are. */
static pmn_status find_places(sift *self, cl_uint *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->describer.device;
  size_t usual = (size_t)self->layer_size / VALUES_PER_PLACE + PLACES_LEAST;
  if (self->place_capacity < usual) self->place_capacity = usual;
  for (;;) {
    PMN_TRY(pmn_ocl_list_begin(device, &self->places, self->place_capacity, sizeof(place), err));
    PMN_TRY(places_start(self, err));
    PMN_TRY(pmn_ocl_list_count(device, &self->places, count, err));
    if (*count <= self->places.capacity) break;
    self->place_capacity = *count;
  }
done:
  return st;
}

/* All keypoints, on the host: self->found, in no order. */
static pmn_status find_points(sift *self, cl_uint places, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->describer.device;
  cl_uint count = 0;
  pmn_buf_clear(&self->found);
  if (places == 0) return PMN_STATUS_OK;
  size_t usual = (size_t)places + places / 4; /* 15 % of places have several directions, says Lowe */
  if (self->point_capacity < usual) self->point_capacity = usual;
  for (;;) {
    PMN_TRY(pmn_ocl_list_begin(device, &self->points, self->point_capacity, sizeof(point), err));
    PMN_TRY(points_start(self, places, err));
    PMN_TRY(pmn_ocl_list_count(device, &self->points, &count, err));
    if (count <= self->points.capacity) break;
    self->point_capacity = count;
  }
  PMN_TRY(pmn_buf_reserve(&self->found, count * sizeof(point), err));
  PMN_TRY(pmn_ocl_download(device, self->points.items.buffer, count * sizeof(point), self->found.data, err));
  self->found.size = count * sizeof(point);
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- answer -- */

/* By picture, as pmn_vision.h orders keypoints, and equal ones by their place, so that the kernels' order is gone. */
static int by_rank(const void *left, const void *right) {
  const point *a = left, *b = right;
  if (a->picture != b->picture) return a->picture < b->picture ? -1 : 1;
  int order = pmn_keypoint_compare(&a->keypoint, &b->keypoint);
  if (order != 0) return order;
  if (a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
  if (a->y != b->y) return a->y < b->y ? -1 : 1;
  return (a->x > b->x) - (a->x < b->x);
}

/* Sorts, and keeps of each picture as many as are wanted, the first of equal ones: two extremes side by side may be
 * refined to one place. */
static size_t rank(sift *self) {
  point *points = (point *)(void *)self->found.data;
  size_t count = self->found.size / sizeof *points, kept = 0;
  int32_t most = self->describer.keypoints_max, of_picture = 0;
  if (count > 0) qsort(points, count, sizeof *points, by_rank);
  for (size_t i = 0; i < count; i++) {
    const point *before = kept > 0 ? &points[kept - 1] : NULL;
    bool follows = before != NULL && before->picture == points[i].picture;
    if (follows && pmn_keypoint_compare(&before->keypoint, &points[i].keypoint) == 0) continue;
    of_picture = follows ? of_picture + 1 : 1;
    if (most > 0 && of_picture > most) continue;
    points[kept++] = points[i];
  }
  return kept;
}

/* The descriptors of the first `count` points, into self->bytes. */
static pmn_status describe(sift *self, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_ocl_device *device = self->describer.device;
  size_t size = count * PMN_SIFT_BYTES; /* a work-item for each byte */
  const size_t groups[3] = {size, 1, 1}, group[3] = {PMN_SIFT_BYTES, 1, 1};
  if (count == 0) return PMN_STATUS_OK;
  PMN_TRY(pmn_ocl_space_reserve(device, &self->chosen, count, sizeof(point), "keypoints", err));
  PMN_TRY(pmn_ocl_space_reserve(device, &self->descriptors, count, PMN_SIFT_BYTES, "descriptors", err));
  PMN_TRY(pmn_ocl_upload(device, self->found.data, count * sizeof(point), self->chosen.buffer, err));
  const pmn_ocl_argument arguments[] = {PMN_OCL_ARGUMENT(self->layers.buffer), PMN_OCL_ARGUMENT(self->layer_size),
      PMN_OCL_ARGUMENT(self->table.buffer), PMN_OCL_ARGUMENT(self->pictures), PMN_OCL_ARGUMENT(self->chosen.buffer),
      PMN_OCL_ARGUMENT(self->descriptors.buffer)};
  PMN_TRY(start(self, PMN_OCL_SIFT_DESCRIBE, arguments, sizeof arguments / sizeof *arguments, groups, group, err));
  PMN_TRY(pmn_buf_reserve(&self->bytes, size, err));
  PMN_TRY(pmn_ocl_download(device, self->descriptors.buffer, size, self->bytes.data, err));
done:
  return st;
}

static pmn_status answer_add(sift *self, size_t count, pmn_ocl_answer *answer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const point *points = (const point *)(const void *)self->found.data;
  const uint8_t *descriptors = (const uint8_t *)self->bytes.data;
  PMN_TRY(pmn_buf_reserve(&self->keypoints, count * sizeof(pmn_keypoint), err));
  pmn_keypoint *keypoints = (pmn_keypoint *)(void *)self->keypoints.data;
  for (size_t i = 0; i < count; i++) keypoints[i] = points[i].keypoint;
  size_t first = 0;
  for (int32_t p = 0; p < self->pictures; p++) {
    size_t end = first;
    while (end < count && points[end].picture == p) end++;
    const uint8_t *from = end > first ? descriptors + first * PMN_SIFT_BYTES : NULL;
    PMN_TRY(pmn_ocl_answer_add(answer, keypoints + first, from, (int32_t)(end - first), err));
    first = end;
  }
done:
  return st;
}

static pmn_status run(pmn_ocl_describer *describer, const pmn_ocl_slice *slice, pmn_ocl_answer *answer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  sift *self = (sift *)describer;
  cl_uint places = 0;
  pmn_buf_clear(&self->found);
  PMN_TRY(lay_out(self, slice, err));
  if (self->octaves > 0) {
    PMN_TRY(make_layers(self, slice, err));
    PMN_TRY(find_places(self, &places, err));
    PMN_TRY(find_points(self, places, err));
  }
  size_t count = rank(self);
  PMN_TRY(describe(self, count, err));
  PMN_TRY(answer_add(self, count, answer, err));
done:
  return st;
}

const pmn_ocl_describer_kind pmn_ocl_sift = {.create = create, .bytes = bytes, .run = run, .destroy = destroy};
