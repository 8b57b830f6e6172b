/* pmn_sift_loops.c - see pmn_sift_loops.h. The build defines ISA (a name, pasted into symbols) and LANES.
 *
 * Blur: rows of the plane are summed into one row, which is then summed along itself; both times the two values that
 * share a weight are added first. That row and the rows it comes from stay in level 1 for pictures of some hundred
 * pixels, and the plane is read and written once. The border is mirrored at its outermost values: 2 1 0 1 2.
 *
 * Directions: atan(q) / (2 pi) for 0 <= q <= 1 is an odd polynomial of degree 9, the best one by absolute error, found
 * by weighted least squares; with its rounding it is off by less than 1.9e-6 turns, 0.0007 degrees (test_sift).
 */
#include "pmn_sift_loops.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define PASTE2(a, b) a##b
#define PASTE(a, b) PASTE2(a, b)
#define TEXT2(a) #a
#define TEXT(a) TEXT2(a)
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t mask __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

INLINE vec load(const float *p) {
  return *(const vec *)p;
}
INLINE void store(float *p, vec v) {
  *(vec *)p = v;
}
INLINE vec splat(float x) {
  return x - (vec){0};
}
INLINE vec select(mask m, vec yes, vec no) {
  return (vec)((m & (mask)yes) | (~m & (mask)no));
}
/* GCC has no vector minimum in C, but makes one of a loop over lanes that it may not unroll. */
INLINE vec least(vec a, vec b) {
  vec result;
#pragma GCC unroll 1
  for (int i = 0; i < LANES; i++) result[i] = a[i] < b[i] ? a[i] : b[i];
  return result;
}
INLINE vec most(vec a, vec b) {
  vec result;
#pragma GCC unroll 1
  for (int i = 0; i < LANES; i++) result[i] = a[i] > b[i] ? a[i] : b[i];
  return result;
}
INLINE bool any(mask m) {
  int64_t words[LANES / 2], all = 0;
  memcpy(words, &m, sizeof words);
#pragma GCC unroll 8
  for (int i = 0; i < LANES / 2; i++) all |= words[i];
  return all != 0;
}

/* ------------------------------------------------------------------------------------------- scale space -- */

/* A row at twice its length: value X lies at (X + 0.5) / 2 - 0.5, a quarter of the way between two values. */
static void widen(const uint8_t *gray, int32_t width, float *out) {
  out[0] = gray[0];
  for (int32_t x = 1; x < width; x++) {
    float a = gray[x - 1], b = gray[x];
    out[2 * x - 1] = 0.75f * a + 0.25f * b;
    out[2 * x] = 0.25f * a + 0.75f * b;
  }
  out[2 * width - 1] = gray[width - 1];
}

/* Exact: sixteenths of numbers up to 255. */
static void enlarge(const uint8_t *gray, const pmn_sift_plane *out, float *lines) {
  float *before = lines, *now = lines + out->stride;
  int32_t width = out->width / 2, height = out->height / 2;
  size_t stride = (size_t)out->stride, row_size = (size_t)out->width * sizeof(float);
  widen(gray, width, before);
  memcpy(out->at, before, row_size);
  for (int32_t y = 1; y < height; y++) {
    widen(gray + (size_t)y * (size_t)width, width, now);
    float *upper = out->at + (size_t)(2 * y - 1) * stride, *lower = upper + stride;
    for (int32_t x = 0; x < out->stride; x += LANES) {
      vec a = load(before + x), b = load(now + x);
      store(upper + x, 0.75f * a + 0.25f * b);
      store(lower + x, 0.25f * a + 0.75f * b);
    }
    float *old = before;
    before = now;
    now = old;
  }
  memcpy(out->at + (size_t)(out->height - 1) * stride, before, row_size);
}

/* Into [0, n), by mirroring at 0 and n - 1 as often as it takes; n > 1. */
static int32_t reflect(int32_t i, int32_t n) {
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

/* Weighted sums at x, of as many vectors: of rows[-k] and rows[k]. */
INLINE void sum_rows(
    const int vectors, const float *const *rows, const pmn_sift_blur *blur, int32_t x, float *restrict line) {
  vec sum[4];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) sum[v] = blur->weights[0] * load(rows[0] + x + v * LANES);
  for (int32_t k = 1; k <= blur->radius; k++) {
    const float *up = rows[-k] + x, *down = rows[k] + x;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[v] += blur->weights[k] * (load(up + v * LANES) + load(down + v * LANES));
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) store(line + x + v * LANES, sum[v]);
}

/* The same along a line. */
INLINE void sum_line(
    const int vectors, const float *restrict line, const pmn_sift_blur *blur, int32_t x, float *restrict out) {
  vec sum[4];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) sum[v] = blur->weights[0] * load(line + x + v * LANES);
  for (int32_t k = 1; k <= blur->radius; k++) {
    const float *left = line + x - k, *right = line + x + k;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) sum[v] += blur->weights[k] * (load(left + v * LANES) + load(right + v * LANES));
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; v++) store(out + x + v * LANES, sum[v]);
}

/* Row y of the plane, summed over rows, into line, and mirrored to both sides of it. */
static void blur_rows(const pmn_sift_plane *in, const pmn_sift_blur *blur, int32_t y, float *line) {
  const float *rows[2 * PMN_SIFT_BLUR_MAX + 1];
  const float **middle = rows + PMN_SIFT_BLUR_MAX;
  int32_t radius = blur->radius, width = in->width, x = 0;
  for (int32_t k = -radius; k <= radius; k++) {
    middle[k] = in->at + (size_t)reflect(y + k, in->height) * (size_t)in->stride;
  }
  for (; x + 4 * LANES <= in->stride; x += 4 * LANES) sum_rows(4, middle, blur, x, line);
  int left = (in->stride - x) / LANES;
  if (left == 3) sum_rows(3, middle, blur, x, line);
  if (left == 2) sum_rows(2, middle, blur, x, line);
  if (left == 1) sum_rows(1, middle, blur, x, line);
  for (int32_t k = 1; k <= radius; k++) {
    line[-k] = line[reflect(-k, width)];
    line[width - 1 + k] = line[reflect(width - 1 + k, width)];
  }
}

static void blur_line(const float *line, const pmn_sift_blur *blur, int32_t stride, float *out) {
  int32_t x = 0;
  for (; x + 4 * LANES <= stride; x += 4 * LANES) sum_line(4, line, blur, x, out);
  int left = (stride - x) / LANES;
  if (left == 3) sum_line(3, line, blur, x, out);
  if (left == 2) sum_line(2, line, blur, x, out);
  if (left == 1) sum_line(1, line, blur, x, out);
}

static void blur_plane(
    const pmn_sift_plane *in, const pmn_sift_blur *blur, const pmn_sift_plane *out, float *difference, float *line) {
  int32_t stride = in->stride;
  for (int32_t y = 0; y < in->height; y++) {
    size_t at = (size_t)y * (size_t)stride;
    float *to = out->at + at;
    blur_rows(in, blur, y, line);
    blur_line(line, blur, stride, to);
    if (difference == NULL) continue;
    for (int32_t x = 0; x < stride; x += LANES) store(difference + at + x, load(to + x) - load(in->at + at + x));
  }
}

/* ---------------------------------------------------------------------------------------------- extremes -- */

/* Is at[0] surpassed by one of the nine values around p? */
static bool surpassed(const float *at, const float *p, ptrdiff_t stride) {
  for (ptrdiff_t j = -stride; j <= stride; j += stride) {
    for (int i = -1; i <= 1; i++) {
      if (*at > 0.0f ? p[j + i] > *at : p[j + i] < *at) return true;
    }
  }
  return false;
}

/* Of the values beyond the threshold those that lead their own layer, in vectors; these are few, and are held against
 * the other two layers one by one. */
static int32_t extremes(
    const float *const layers[3], ptrdiff_t stride, int32_t first, int32_t end, float threshold, int32_t *columns) {
  int32_t count = 0, leads[PMN_SIFT_SPAN];
  vec largest = {0};
  for (int32_t x = first; x < end; x += LANES) {
    vec value = load(layers[1] + x);
    largest = most(largest, most(value, -value));
  }
  if (!any(largest > threshold)) return 0;
  for (int32_t x = first; x < end; x += LANES) {
    const float *at = layers[1] + x;
    vec value = load(at), top = value, bottom = value;
#pragma GCC unroll 3
    for (ptrdiff_t j = -1; j <= 1; j++) {
#pragma GCC unroll 3
      for (int i = -1; i <= 1; i++) {
        vec other = load(at + j * stride + i);
        top = most(top, other);
        bottom = least(bottom, other);
      }
    }
    mask lead = ((value > threshold) & (value == top)) | ((value < -threshold) & (value == bottom));
    memcpy(leads + (x - first), &lead, sizeof lead);
  }
  for (int32_t four = first; four < end; four += 4) {
    int64_t words[2];
    memcpy(words, leads + (four - first), sizeof words);
    if ((words[0] | words[1]) == 0) continue; /* the rule */
    for (int32_t x = four; x < four + 4 && x < end; x++) {
      const float *at = layers[1] + x;
      if (leads[x - first] == 0 || surpassed(at, layers[0] + x, stride) || surpassed(at, layers[2] + x, stride)) {
        continue;
      }
      columns[count++] = x;
    }
  }
  return count;
}

/* --------------------------------------------------------------------------------------------- gradients -- */

/* Direction in turns of (dx, dy), [0, 1]; 0 of (0, 0). */
INLINE vec turn_of(vec dx, vec dy) {
  vec ax = most(dx, -dx), ay = most(dy, -dy);
  vec q = least(ax, ay) / most(most(ax, ay), splat(1e-30f)), square = q * q;
  vec turn = splat(0.003317601513117552f);
  turn = turn * square - 0.01355305127799511f;
  turn = turn * square + 0.028673240914940834f;
  turn = turn * square - 0.052569638937711716f;
  turn = turn * square + 0.1591336727142334f;
  turn = turn * q;
  turn = select(ay > ax, 0.25f - turn, turn);
  turn = select(dx < 0.0f, 0.5f - turn, turn);
  return select(dy < 0.0f, 1.0f - turn, turn);
}

static void gradients(const float *at, ptrdiff_t stride, int32_t count, float weight, const float *weights,
    float *magnitudes, float *turns) {
  for (int32_t x = 0; x < count; x += LANES) {
    vec dx = load(at + x + 1) - load(at + x - 1), dy = load(at + x - stride) - load(at + x + stride); /* y up */
    vec square = dx * dx + dy * dy, length;
#pragma GCC unroll 1
    for (int i = 0; i < LANES; i++) length[i] = sqrtf(square[i]);
    store(magnitudes + x, length * (weight * load(weights + x)));
    store(turns + x, turn_of(dx, dy));
  }
}

typedef float pair __attribute__((vector_size(8), aligned(4), may_alias));

INLINE void add_pair(float *bins, pair v) {
  *(pair *)bins += v;
}

static void share(
    const pmn_sift_cells *cells, int32_t count, const float *magnitudes, const float *turns, float *bins) {
  enum { COLUMN = PMN_SIFT_TURNS + 1, ROW = (PMN_SIFT_CELLS + 2) * COLUMN };
  const float last = 4.9999995f; /* the largest number below CELLS + 1: nothing is shared beyond the ring */
  vec lane;
  for (int i = 0; i < LANES; i++) lane[i] = (float)i;
  for (int32_t x = 0; x < count; x += LANES) {
    vec k = lane + (cells->first + (float)x);
    vec row_at = cells->row + k * cells->row_step, column_at = cells->column + k * cells->column_step;
    vec row = least(most(row_at, splat(0.0f)), splat(last)), column = least(most(column_at, splat(0.0f)), splat(last));
    vec turn = (load(turns + x) - cells->turn) * (float)PMN_SIFT_TURNS;
    turn = select(turn < 0.0f, turn + (float)PMN_SIFT_TURNS, turn);
    mask r = __builtin_convertvector(row, mask), c = __builtin_convertvector(column, mask);
    mask t = __builtin_convertvector(turn, mask);
    vec r1 = row - __builtin_convertvector(r, vec), c1 = column - __builtin_convertvector(c, vec);
    vec t1 = turn - __builtin_convertvector(t, vec);
    mask place = r * ROW + c * COLUMN + (t & (PMN_SIFT_TURNS - 1));
    vec all = select((row_at <= last) & (column_at <= last), load(magnitudes + x), (vec){0}), lower = all * r1,
        upper = all - lower;
    vec lower_right = lower * c1, upper_right = upper * c1;
    float parts[5][LANES];
    int32_t places[LANES];
    store(parts[0], upper - upper_right);
    store(parts[1], upper_right);
    store(parts[2], lower - lower_right);
    store(parts[3], lower_right);
    store(parts[4], t1);
    memcpy(places, &place, sizeof places);
    for (int i = 0; i < LANES && x + i < count; i++) {
      float *at = bins + places[i];
      pair split = {1.0f - parts[4][i], parts[4][i]};
      add_pair(at, parts[0][i] * split);
      add_pair(at + COLUMN, parts[1][i] * split);
      add_pair(at + ROW, parts[2][i] * split);
      add_pair(at + ROW + COLUMN, parts[3][i] * split);
    }
  }
}

extern const pmn_sift_loops PASTE(pmn_sift_loops_, ISA);
const pmn_sift_loops PASTE(pmn_sift_loops_, ISA) = {
    .isa = TEXT(ISA),
    .enlarge = enlarge,
    .blur = blur_plane,
    .extremes = extremes,
    .gradients = gradients,
    .share = share,
};
