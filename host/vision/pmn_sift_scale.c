/* pmn_sift_scale.c - see pmn_sift.h: the scale space, Lowe's section 3.
 *
 * Blurs add in squares: to come from s to t, blur by sqrt(t^2 - s^2). The picture itself counts as blurred by 0.5
 * pixels, 1 of the doubled one. An octave begins with every second pixel of layer LAYERS of the one before, which is
 * blurred by 2 SIGMA: SIGMA pixels of its own.
 *
 * All planes lie in one block that only grows: 176 bytes for each pixel of the picture, 1.9 MB for 100 x 100.
 */
#include "pmn_sift.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <math.h>

/* exp(-k^2 / (2 sigma^2)) up to 4 sigma, of sum 1. The radius is OpenCV's, which rounds the width to 8 sigma + 1 and
 * makes it odd. */
static pmn_sift_blur blur_of(double sigma) {
  pmn_sift_blur blur = {.radius = ((int32_t)lrint(8 * sigma + 1) | 1) / 2};
  double weights[PMN_SIFT_BLUR_MAX + 1], sum = 0;
  for (int32_t k = 0; k <= blur.radius; k++) {
    weights[k] = exp(-k * k / (2 * sigma * sigma));
    sum += k == 0 ? weights[k] : 2 * weights[k];
  }
  for (int32_t k = 0; k <= blur.radius; k++) blur.weights[k] = (float)(weights[k] / sum);
  return blur;
}

void pmn_sift_space_init(pmn_sift_space *space, const pmn_sift_loops *loops) {
  *space = (pmn_sift_space){.loops = loops, .first = blur_of(sqrt(PMN_SIFT_SIGMA * PMN_SIFT_SIGMA - 1.0))};
  for (int i = 0; i < PMN_SIFT_BLURS; i++) {
    double from = PMN_SIFT_SIGMA * exp2((double)i / PMN_SIFT_LAYERS), to = from * exp2(1.0 / PMN_SIFT_LAYERS);
    space->blurs[i] = blur_of(sqrt(to * to - from * from));
  }
}

void pmn_sift_space_reset(pmn_sift_space *space) {
  pmn_free(space->memory);
  *space = (pmn_sift_space){0};
}

/* An odd number of vectors, so that the rows a blur needs at once do not all fall into the same sets of a cache. */
static int32_t stride_of(int32_t width) {
  return ((width + PMN_SIFT_VECTOR - 1) / PMN_SIFT_VECTOR | 1) * PMN_SIFT_VECTOR;
}

/* The plane at *used floats of the block, which move on; sizes are below 2^16 each way, so nothing overflows. */
static pmn_sift_plane plane_at(float *memory, size_t *used, int32_t width, int32_t height) {
  pmn_sift_plane plane = {width, height, stride_of(width), memory == NULL ? NULL : memory + *used};
  *used += (size_t)plane.stride * (size_t)height;
  return plane;
}

/* Places all planes in `memory`, or only counts the floats they take (NULL). */
static size_t lay_out(pmn_sift_space *space, float *memory, int32_t width, int32_t height) {
  size_t used = 0;
  space->line = memory == NULL ? NULL : memory + PMN_SIFT_VECTOR;
  used += 2 * (size_t)stride_of(width) + 2 * PMN_SIFT_VECTOR;
  space->even = plane_at(memory, &used, width, height);
  space->odd = plane_at(memory, &used, width, height);
  for (int i = 0; i < PMN_SIFT_DIFFERENCES; i++) space->differences[i] = plane_at(memory, &used, width, height);
  for (int32_t o = 0; o < space->octaves; o++) {
    for (int i = 1; i <= PMN_SIFT_LAYERS; i++) space->kept[o][i] = plane_at(memory, &used, width >> o, height >> o);
  }
  return used + PMN_SIFT_VECTOR; /* loops read beyond the last row */
}

/* OpenCV goes on down to 3 pixels, but what has no inside has no keypoints. */
static int32_t octaves_of(int32_t width, int32_t height) {
  int32_t octaves = 0;
  while (pmn_least(width, height) >> octaves > 2 * PMN_SIFT_BORDER) octaves++;
  return octaves;
}

double pmn_sift_space_memory(int32_t width, int32_t height) {
  pmn_sift_space space = {.octaves = octaves_of(2 * width, 2 * height)};
  return (double)lay_out(&space, NULL, 2 * width, 2 * height) * sizeof(float);
}

pmn_status pmn_sift_space_begin(
    pmn_sift_space *space, const uint8_t *gray, int32_t width, int32_t height, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  width *= 2, height *= 2;
  space->octaves = octaves_of(width, height);
  size_t size = lay_out(space, NULL, width, height);
  if (size > space->memory_size) {
    pmn_free(space->memory);
    space->memory_size = 0;
    space->memory = pmn_alloc_aligned(size, sizeof *space->memory);
    if (space->memory == NULL) {
      st = pmn_err_memory(err, size * sizeof *space->memory, "the scale space of a picture");
      goto done;
    }
    space->memory_size = size;
    /* What lies between rows is computed with too, for nothing: it must be numbers. */
    for (size_t i = 0; i < size; i++) space->memory[i] = 0.0f;
  }
  (void)lay_out(space, space->memory, width, height);
  space->loops->enlarge(gray, &space->odd, space->line);
  space->loops->blur(&space->odd, &space->first, &space->even, NULL, space->line);
done:
  return st;
}

/* Every second value each way, from the first one. */
static void halve(const pmn_sift_plane *in, pmn_sift_plane *out) {
  for (int32_t y = 0; y < out->height; y++) {
    const float *from = in->at + 2 * (size_t)y * (size_t)in->stride;
    float *to = out->at + (size_t)y * (size_t)out->stride;
    for (int32_t x = 0; x < out->width; x++) to[x] = from[2 * x];
  }
}

/* The same memory for a smaller plane. */
static void shape_as(pmn_sift_plane *plane, const pmn_sift_plane *like) {
  *plane = (pmn_sift_plane){like->width, like->height, like->stride, plane->at};
}

void pmn_sift_space_octave(pmn_sift_space *space, int32_t octave) {
  pmn_sift_plane *kept = space->kept[octave];
  if (octave > 0) {
    shape_as(&space->even, &kept[1]);
    shape_as(&space->odd, &kept[1]);
    for (int i = 0; i < PMN_SIFT_DIFFERENCES; i++) shape_as(&space->differences[i], &kept[1]);
    halve(&space->kept[octave - 1][PMN_SIFT_LAYERS], &space->even);
  }
  const pmn_sift_plane *layers[] = {&space->even, &kept[1], &kept[2], &kept[3], &space->odd, &space->even};
  for (int i = 0; i < PMN_SIFT_BLURS; i++) {
    space->loops->blur(layers[i], &space->blurs[i], layers[i + 1], space->differences[i].at, space->line);
  }
}
