/* pmn_sift_points.c - see pmn_sift.h: keypoints and their descriptors, Lowe's sections 3.1 to 6.
 *
 * OpenCV's conventions, which are in no paper: extremes are looked for 5 pixels inside the border; those of less than
 * half the contrast are not tried; a step of the refinement moves by whole pixels and layers, five times at most; the
 * patch of a descriptor lies around the nearest pixel of the nearest layer, not around the refined place.
 */
#include "pmn_sift.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_sift_functions.h"

#include <math.h>
#include <string.h>

enum { BORDER = PMN_SIFT_BORDER, STEPS = 5, BINS = 36 };

static const float contrast = 0.04f, edge = 10.0f, peak = 0.8f;

/* A value of the differences of this octave. */
typedef struct place {
  const pmn_sift_space *space;
  int32_t layer, y, x;
} place;

/* ---------------------------------------------------------------------------------------- 4: refinement -- */

/* First and second derivatives by x, y and layer, of pictures from 0 to 1. */
typedef struct derivatives {
  float x, y, s, xx, yy, ss, xy, xs, ys;
} derivatives;

static derivatives derivatives_at(const place *p) {
  const pmn_sift_plane *planes = p->space->differences;
  ptrdiff_t row = planes->stride, at = p->y * row + p->x;
  const float *d = planes[p->layer].at + at, *up = planes[p->layer + 1].at + at, *down = planes[p->layer - 1].at + at;
  const float whole = 1 / 255.0f, half = whole / 2, quarter = whole / 4;
  return (derivatives){
      .x = (d[1] - d[-1]) * half,
      .y = (d[row] - d[-row]) * half,
      .s = (*up - *down) * half,
      .xx = (d[1] + d[-1] - 2 * *d) * whole,
      .yy = (d[row] + d[-row] - 2 * *d) * whole,
      .ss = (*up + *down - 2 * *d) * whole,
      .xy = (d[row + 1] - d[row - 1] - d[1 - row] + d[-row - 1]) * quarter,
      .xs = (up[1] - up[-1] - down[1] + down[-1]) * quarter,
      .ys = (up[row] - up[-row] - down[row] + down[-row]) * quarter,
  };
}

typedef struct offset {
  float x, y, s;
} offset;

/* Where the parabola peaks: H offset = -g, by Cramer's rule; no offset where there is no solution. */
static offset solve(const derivatives *d) {
  float a = d->yy * d->ss - d->ys * d->ys, b = d->xs * d->ys - d->xy * d->ss, c = d->xy * d->ys - d->xs * d->yy;
  float e = d->xx * d->ss - d->xs * d->xs, f = d->xy * d->xs - d->xx * d->ys, g = d->xx * d->yy - d->xy * d->xy;
  float determinant = d->xx * a + d->xy * b + d->xs * c;
  if (determinant == 0.0f) return (offset){0};
  return (offset){-(a * d->x + b * d->y + c * d->s) / determinant, -(b * d->x + e * d->y + f * d->s) / determinant,
      -(c * d->x + f * d->y + g * d->s) / determinant};
}

/* Moves the place to the one whose parabola peaks within half a step of it, and says how far off; false if there is
 * none, or one of little contrast, or an edge: r = 10 or more between the principal curvatures (4.1). */
static bool refine(place *p, offset *o, float *value) {
  const pmn_sift_plane *plane = &p->space->differences[0];
  derivatives d;
  for (int step = 0;; step++) {
    if (step == STEPS) return false;
    d = derivatives_at(p);
    *o = solve(&d);
    if (fabsf(o->x) < 0.5f && fabsf(o->y) < 0.5f && fabsf(o->s) < 0.5f) break;
    const float far = 1e6f; /* further than any picture reaches; NaN, too, is not below it */
    if (!(fabsf(o->x) < far && fabsf(o->y) < far && fabsf(o->s) < far)) return false;
    p->x += (int32_t)lrintf(o->x);
    p->y += (int32_t)lrintf(o->y);
    p->layer += (int32_t)lrintf(o->s);
    if (p->layer < 1 || p->layer > PMN_SIFT_LAYERS || p->x < BORDER || p->x >= plane->width - BORDER || p->y < BORDER ||
        p->y >= plane->height - BORDER) {
      return false;
    }
  }
  float at = plane[p->layer].at[(ptrdiff_t)p->y * plane->stride + p->x] / 255.0f;
  *value = at + 0.5f * (d.x * o->x + d.y * o->y + d.s * o->s);
  if (fabsf(*value) * PMN_SIFT_LAYERS < contrast) return false;
  float trace = d.xx + d.yy, determinant = d.xx * d.yy - d.xy * d.xy;
  return determinant > 0.0f && trace * trace * edge < (edge + 1) * (edge + 1) * determinant;
}

/* -------------------------------------------------------------------------------------------- 5: patches -- */

/* A square of gradients around a pixel, as far as its plane has them: rows [top, bottom], columns [left, right] counted
 * from the pixel. weights[k + radius] = exp(-k^2 / (2 sigma^2)); the weight of a place is a product of two. */
typedef struct patch {
  const pmn_sift_plane *plane;
  int32_t y, x, top, bottom, left, right, radius;
  float weights[PMN_SIFT_ROW_MAX], magnitudes[PMN_SIFT_ROW_MAX], turns[PMN_SIFT_ROW_MAX];
} patch;

static int32_t more(int32_t a, int32_t b) {
  return a > b ? a : b;
}

static void patch_init(patch *p, const pmn_sift_plane *plane, int32_t y, int32_t x, int32_t radius, float sigma) {
  p->plane = plane;
  p->y = y, p->x = x, p->radius = radius;
  p->top = more(-radius, 1 - y), p->bottom = pmn_least(radius, plane->height - 2 - y);
  p->left = more(-radius, 1 - x), p->right = pmn_least(radius, plane->width - 2 - x);
  memset(p->weights, 0, sizeof p->weights);
  for (int32_t k = 0; k <= radius; k++) {
    p->weights[radius + k] = p->weights[radius - k] = pmn_sift_exp((float)(-k * k) / (2 * sigma * sigma));
  }
}

/* Gradients of columns [first, first + count) of a row. */
static void patch_row(patch *p, const pmn_sift_loops *loops, int32_t row, int32_t first, int32_t count) {
  const float *at = p->plane->at + (ptrdiff_t)(p->y + row) * p->plane->stride + p->x + first;
  loops->gradients(at, p->plane->stride, count, p->weights[p->radius + row], p->weights + p->radius + first,
      p->magnitudes, p->turns);
}

/* ---------------------------------------------------------------------------------------- 5: directions -- */

/* The histogram of directions around a pixel, in 36 bins, smoothed by 1 4 6 4 1. */
static void directions(
    const pmn_sift_space *space, const pmn_sift_plane *plane, int32_t y, int32_t x, float scale, float smooth[BINS]) {
  patch p;
  float sigma = 1.5f * scale, raw[BINS + 4] = {0}, *bins = raw + 2;
  patch_init(&p, plane, y, x, (int32_t)lrintf(3 * sigma), sigma);
  int32_t count = p.right - p.left + 1;
  for (int32_t row = p.top; row <= p.bottom; row++) {
    patch_row(&p, space->loops, row, p.left, count);
    for (int32_t k = 0; k < count; k++) {
      int32_t bin = (int32_t)(p.turns[k] * BINS + 0.5f);
      bins[bin == BINS ? 0 : bin] += p.magnitudes[k];
    }
  }
  bins[-2] = bins[BINS - 2], bins[-1] = bins[BINS - 1], bins[BINS] = bins[0], bins[BINS + 1] = bins[1];
  for (int32_t b = 0; b < BINS; b++) {
    smooth[b] = (bins[b - 2] + bins[b + 2]) / 16 + (bins[b - 1] + bins[b + 1]) / 4 + bins[b] * 6 / 16;
  }
}

static pmn_status point_add(pmn_sift_points *points, const pmn_sift_point *point, pmn_err *err) {
  if (points->count == points->capacity) {
    size_t capacity = points->capacity == 0 ? 256 : 2 * (size_t)points->capacity;
    pmn_sift_point *at = capacity > INT32_MAX ? NULL : pmn_realloc(points->at, capacity, sizeof *at);
    if (at == NULL) return pmn_err_memory(err, capacity * sizeof *at, "the keypoints of a picture");
    points->at = at;
    points->capacity = (int32_t)capacity;
  }
  points->at[points->count++] = *point;
  return PMN_STATUS_OK;
}

/* One keypoint for each direction that is at least 0.8 of the strongest; a parabola through three bins says where its
 * peak is. */
static pmn_status points_add(
    const place *p, int32_t octave, const offset *o, float value, pmn_sift_points *points, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  float smooth[BINS], strongest = 0.0f, unit = ldexpf(1.0f, octave - 1); /* a pixel of the octave */
  float scale = (float)PMN_SIFT_SIGMA * pmn_sift_exp2(((float)p->layer + o->s) / PMN_SIFT_LAYERS);
  directions(p->space, &p->space->kept[octave][p->layer], p->y, p->x, scale, smooth);
  for (int32_t b = 0; b < BINS; b++) strongest = smooth[b] > strongest ? smooth[b] : strongest;
  for (int32_t b = 0; b < BINS; b++) {
    float before = smooth[b == 0 ? BINS - 1 : b - 1], at = smooth[b], after = smooth[b == BINS - 1 ? 0 : b + 1];
    if (at <= before || at <= after || at < peak * strongest) continue;
    float bin = (float)b + 0.5f * (before - after) / (before - 2 * at + after);
    if (bin < 0.0f) bin += BINS;
    if (bin >= BINS) bin -= BINS;
    float angle = 360.0f - bin * (360.0f / BINS);
    pmn_sift_point point = {
        .keypoint = {((float)p->x + o->x) * unit, ((float)p->y + o->y) * unit, 2 * scale * unit,
            angle < 360.0f ? angle : 0.0f, fabsf(value), octave - 1},
        .layer = p->layer,
        .y = p->y,
        .x = p->x,
        .scale = scale,
        .turn = bin / BINS,
    };
    PMN_TRY(point_add(points, &point, err));
  }
done:
  return st;
}

pmn_status pmn_sift_points_find(const pmn_sift_space *space, int32_t octave, pmn_sift_points *points, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_sift_plane *planes = space->differences;
  const float threshold = floorf(0.5f * contrast / PMN_SIFT_LAYERS * 255.0f);
  ptrdiff_t stride = planes->stride;
  int32_t columns[PMN_SIFT_SPAN], last = planes->width - BORDER;
  for (int32_t layer = 1; layer <= PMN_SIFT_LAYERS; layer++) {
    for (int32_t y = BORDER; y < planes->height - BORDER; y++) {
      const float *rows[3];
      for (int i = 0; i < 3; i++) rows[i] = planes[layer - 1 + i].at + y * stride;
      for (int32_t first = BORDER; first < last; first += PMN_SIFT_SPAN) {
        int32_t count =
            space->loops->extremes(rows, stride, first, pmn_least(first + PMN_SIFT_SPAN, last), threshold, columns);
        for (int32_t k = 0; k < count; k++) {
          place p = {space, layer, y, columns[k]};
          offset o;
          float value;
          if (refine(&p, &o, &value)) PMN_TRY(points_add(&p, octave, &o, value, points, err));
        }
      }
    }
  }
done:
  return st;
}

/* ---------------------------------------------------------------------------------------- 6: descriptors -- */

/* Narrows [*first, *last] to the k for which at + k * step may lie between 0 and `end`, whatever rounding does; a place
 * more on either side counts for nothing. */
static void narrow(float at, float step, float end, int32_t *first, int32_t *last) {
  if (fabsf(step) < 1e-4f) return; /* it hardly changes along a row */
  float a = -at / step, b = (end - at) / step;
  float low = (a < b ? a : b) - 0.01f, high = (a < b ? b : a) + 0.01f;
  *first = more(*first, (int32_t)fmaxf(low, -1000.0f));
  *last = pmn_least(*last, (int32_t)fminf(high, 1000.0f) + 1);
}

/* To length 1, no direction above 0.2, to length 512, in bytes. Eight sums side by side: they are one vector. */
static void normalise(const float *bins, uint8_t descriptor[PMN_SIFT_BYTES]) {
  float all[PMN_SIFT_BYTES], norm = 0.0f;
  for (int pass = 0; pass < 2; pass++) {
    float sums[PMN_SIFT_TURNS] = {0}, most = 0.2f * sqrtf(norm);
    for (int32_t cell = 0; cell < PMN_SIFT_CELLS * PMN_SIFT_CELLS; cell++) {
      int32_t row = cell / PMN_SIFT_CELLS + 1, column = cell % PMN_SIFT_CELLS + 1;
      const float *from = bins + (row * (PMN_SIFT_CELLS + 2) + column) * (PMN_SIFT_TURNS + 1);
      float *to = all + cell * PMN_SIFT_TURNS;
      for (int t = 0; t < PMN_SIFT_TURNS; t++) {
        to[t] = t == 0 ? from[0] + from[PMN_SIFT_TURNS] : from[t];
        if (pass == 1 && to[t] > most) to[t] = most;
        sums[t] += to[t] * to[t];
      }
    }
    norm = 0.0f;
    for (int t = 0; t < PMN_SIFT_TURNS; t++) norm += sums[t];
  }
  float factor = 512.0f / fmaxf(sqrtf(norm), 1.1920929e-7f);
  for (int i = 0; i < PMN_SIFT_BYTES; i++) {
    float v = all[i] * factor;
    descriptor[i] = (uint8_t)lrintf(v < 255.0f ? v : 255.0f);
  }
}

/* Cell (r, c) has its middle at r - 2.5, c - 2.5 cells of 3 scales from the pixel, in a frame turned by the keypoint's
 * direction; ring cells 0 and 5 are summed and thrown away. The weight falls to exp(-1/2) at two cells. */
void pmn_sift_point_describe(
    const pmn_sift_space *space, const pmn_sift_point *point, uint8_t descriptor[PMN_SIFT_BYTES]) {
  const float half = PMN_SIFT_CELLS / 2 + 0.5f, end = PMN_SIFT_CELLS + 1, cell = 3 * point->scale;
  float bins[PMN_SIFT_BINS] = {0};
  float cosine, sine;
  pmn_sift_cosine_sine(point->turn, &cosine, &sine);
  cosine /= cell, sine /= cell;
  patch p;
  patch_init(&p, &space->kept[point->keypoint.octave + 1][point->layer], point->y, point->x,
      (int32_t)lrintf(cell * 1.41421356f * end * 0.5f), PMN_SIFT_CELLS / 2 * cell);
  for (int32_t row = p.top; row <= p.bottom; row++) {
    float column_at = half - (float)row * sine, row_at = half + (float)row * cosine;
    int32_t first = p.left, last = p.right;
    narrow(column_at, cosine, end, &first, &last);
    narrow(row_at, sine, end, &first, &last);
    if (first > last) continue;
    patch_row(&p, space->loops, row, first, last - first + 1);
    pmn_sift_cells cells = {.column = column_at,
        .column_step = cosine,
        .row = row_at,
        .row_step = sine,
        .first = (float)first,
        .turn = point->turn};
    space->loops->share(&cells, last - first + 1, p.magnitudes, p.turns, bins);
  }
  normalise(bins, descriptor);
}
