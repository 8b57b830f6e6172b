/* plain_sift.c - see plain_sift.h. Lowe 2004 as OpenCV's defaults have it, step by step; every number is a double,
 * every function of libm is called where the formula has it, nothing is shared, skipped or cut short. Slow on purpose.
 *
 * Section numbers are Lowe's.
 */
#include "plain_sift.h"

#include <math.h>
#include <stdlib.h>

enum { LAYERS = 3, GAUSSIANS = LAYERS + 3, BORDER = 5, STEPS = 5, BINS = 36, CELLS = 4, TURNS = 8, OCTAVES_MAX = 32 };

static const double pi = 3.14159265358979323846;
static const double sigma = 1.6, contrast = 0.04, edge = 10.0, peak = 0.8;

typedef struct plane {
  int width, height;
  double *at; /* [height, width] */
} plane;

typedef struct octave {
  plane gauss[GAUSSIANS], difference[GAUSSIANS - 1];
} octave;

typedef struct list {
  plain_feature *features;
  int count;
} list;

static plane plane_create(int width, int height) {
  plane p = {width, height, calloc((size_t)width * (size_t)height, sizeof(double))};
  if (p.at == NULL) abort();
  return p;
}

static double get(const plane *p, int y, int x) {
  return p->at[(size_t)y * (size_t)p->width + (size_t)x];
}

static int clamp(int i, int n) {
  return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* ... 2 1 0 1 2 ... n-2 n-1 n-2 ... */
static int reflect(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

/* ----------------------------------------------------------------------------------------- 3: scale space -- */

/* Twice the size: value X of the doubled picture lies at (X + 0.5) / 2 - 0.5 of the picture, between two pixels. */
static plane doubled(const uint8_t *gray, int width, int height) {
  plane p = plane_create(2 * width, 2 * height);
  for (int y = 0; y < p.height; y++) {
    for (int x = 0; x < p.width; x++) {
      double sy = (y + 0.5) / 2 - 0.5, sx = (x + 0.5) / 2 - 0.5, v = 0;
      for (int j = 0; j < 2; j++) {
        for (int i = 0; i < 2; i++) {
          double y0 = floor(sy) + j, x0 = floor(sx) + i, w = (1 - fabs(sy - y0)) * (1 - fabs(sx - x0));
          v += w * gray[clamp((int)y0, height) * width + clamp((int)x0, width)];
        }
      }
      p.at[y * p.width + x] = v;
    }
  }
  return p;
}

/* Every second value, from the first one. */
static plane halved(const plane *from) {
  plane p = plane_create(from->width / 2, from->height / 2);
  for (int y = 0; y < p.height; y++) {
    for (int x = 0; x < p.width; x++) p.at[y * p.width + x] = get(from, 2 * y, 2 * x);
  }
  return p;
}

/* Convolved with exp(-(x x + y y) / (2 s s)), 4 s to each side, weights of sum 1. */
static plane blurred(const plane *from, double s) {
  int size = (int)lrint(8 * s + 1) | 1, r = size / 2;
  double *w = calloc((size_t)size, sizeof *w), sum = 0;
  if (w == NULL) abort();
  for (int i = -r; i <= r; i++) sum += w[i + r] = exp(-i * i / (2 * s * s));
  plane line = plane_create(from->width, from->height), p = plane_create(from->width, from->height);
  for (int y = 0; y < p.height; y++) {
    for (int x = 0; x < p.width; x++) {
      double v = 0;
      for (int i = -r; i <= r; i++) v += w[i + r] / sum * get(from, y, reflect(x + i, p.width));
      line.at[y * p.width + x] = v;
    }
  }
  for (int y = 0; y < p.height; y++) {
    for (int x = 0; x < p.width; x++) {
      double v = 0;
      for (int i = -r; i <= r; i++) v += w[i + r] / sum * get(&line, reflect(y + i, p.height), x);
      p.at[y * p.width + x] = v;
    }
  }
  free(w);
  free(line.at);
  return p;
}

/* Layer i is blurred by sigma 2^(i/3), each from the one before: blurs add in squares. */
static octave octave_create(plane base) {
  octave o = {.gauss = {base}};
  for (int i = 1; i < GAUSSIANS; i++) {
    double before = sigma * pow(2, (i - 1.0) / LAYERS), total = sigma * pow(2, (double)i / LAYERS);
    o.gauss[i] = blurred(&o.gauss[i - 1], sqrt(total * total - before * before));
    plane *d = &o.difference[i - 1];
    *d = plane_create(base.width, base.height);
    for (int k = 0; k < base.width * base.height; k++) d->at[k] = o.gauss[i].at[k] - o.gauss[i - 1].at[k];
  }
  return o;
}

static void octave_destroy(octave *o) {
  for (int i = 0; i < GAUSSIANS; i++) free(o->gauss[i].at);
  for (int i = 0; i < GAUSSIANS - 1; i++) free(o->difference[i].at);
}

/* --------------------------------------------------------------------------------- 4: the exact place -- */

static bool extreme(const octave *o, int layer, int y, int x) {
  double v = get(&o->difference[layer], y, x);
  if (fabs(v) <= floor(0.5 * contrast / LAYERS * 255)) return false;
  for (int l = layer - 1; l <= layer + 1; l++) {
    for (int j = y - 1; j <= y + 1; j++) {
      for (int i = x - 1; i <= x + 1; i++) {
        double other = get(&o->difference[l], j, i);
        if (v > 0 ? other > v : other < v) return false;
      }
    }
  }
  return true;
}

/* Gradient g and matrix of second derivatives h of the differences at a place, by x, y, layer; of values up to 1. */
static void derivatives(const octave *o, int layer, int y, int x, double g[3], double h[3][3]) {
  static const int step[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
#define AT(sx, sy, sl) (get(&o->difference[layer + (sl)], y + (sy), x + (sx)) / 255)
  for (int a = 0; a < 3; a++) {
    const int *s = step[a];
    double up = AT(s[0], s[1], s[2]), down = AT(-s[0], -s[1], -s[2]);
    g[a] = (up - down) / 2;
    h[a][a] = up + down - 2 * AT(0, 0, 0);
    for (int b = 0; b < a; b++) {
      const int *t = step[b];
      h[a][b] = h[b][a] =
          (AT(s[0] + t[0], s[1] + t[1], s[2] + t[2]) - AT(s[0] - t[0], s[1] - t[1], s[2] - t[2]) -
              AT(t[0] - s[0], t[1] - s[1], t[2] - s[2]) + AT(-s[0] - t[0], -s[1] - t[1], -s[2] - t[2])) /
          4;
    }
  }
#undef AT
}

static double determinant(double m[3][3]) {
  return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
         m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

/* h * offset = -g by Cramer's rule; no offset where there is no solution. */
static void solve(double h[3][3], const double g[3], double offset[3]) {
  double d = determinant(h);
  for (int a = 0; a < 3; a++) {
    double m[3][3];
    for (int i = 0; i < 3; i++) {
      for (int j = 0; j < 3; j++) m[i][j] = j == a ? -g[i] : h[i][j];
    }
    offset[a] = d == 0 ? 0 : determinant(m) / d;
  }
}

/* Moves to the place where the parabola through the neighbours peaks; false if that is none worth keeping. */
static bool refine(const octave *o, int *layer, int *y, int *x, double offset[3], double *value) {
  double g[3], h[3][3];
  int width = o->gauss[0].width, height = o->gauss[0].height, step = 0;
  for (; step < STEPS; step++) {
    derivatives(o, *layer, *y, *x, g, h);
    solve(h, g, offset);
    if (fabs(offset[0]) < 0.5 && fabs(offset[1]) < 0.5 && fabs(offset[2]) < 0.5) break;
    for (int a = 0; a < 3; a++) {
      if (!(fabs(offset[a]) < 1e8)) return false;
    }
    *x += (int)lrint(offset[0]), *y += (int)lrint(offset[1]), *layer += (int)lrint(offset[2]);
    if (*layer < 1 || *layer > LAYERS || *x < BORDER || *x >= width - BORDER || *y < BORDER || *y >= height - BORDER) {
      return false;
    }
  }
  if (step == STEPS) return false;
  *value = get(&o->difference[*layer], *y, *x) / 255;
  for (int a = 0; a < 3; a++) *value += g[a] * offset[a] / 2;
  if (fabs(*value) * LAYERS < contrast) return false;
  double trace = h[0][0] + h[1][1], det = h[0][0] * h[1][1] - h[0][1] * h[0][1];
  return det > 0 && trace * trace * edge < (edge + 1) * (edge + 1) * det;
}

/* ------------------------------------------------------------------------------------ 5: orientation -- */

/* Magnitude and direction in degrees, [0, 360), of the gradient; y points up here. */
static double gradient(const plane *p, int y, int x, double *degrees) {
  double dx = get(p, y, x + 1) - get(p, y, x - 1), dy = get(p, y - 1, x) - get(p, y + 1, x);
  *degrees = atan2(dy, dx) * 180 / pi;
  if (*degrees < 0) *degrees += 360;
  return sqrt(dx * dx + dy * dy);
}

static void directions(const plane *p, int y, int x, double scale, double smooth[BINS]) {
  double raw[BINS] = {0}, s = 1.5 * scale;
  int r = (int)lrint(3 * s);
  for (int j = -r; j <= r; j++) {
    for (int i = -r; i <= r; i++) {
      if (y + j < 1 || y + j > p->height - 2 || x + i < 1 || x + i > p->width - 2) continue;
      double degrees, m = gradient(p, y + j, x + i, &degrees);
      raw[lrint(degrees * BINS / 360) % BINS] += m * exp(-(i * i + j * j) / (2 * s * s));
    }
  }
  static const double weights[5] = {1 / 16.0, 4 / 16.0, 6 / 16.0, 4 / 16.0, 1 / 16.0};
  for (int b = 0; b < BINS; b++) {
    smooth[b] = 0;
    for (int k = -2; k <= 2; k++) smooth[b] += weights[k + 2] * raw[(b + k + BINS) % BINS];
  }
}

/* -------------------------------------------------------------------------------------- 6: descriptor -- */

static void describe(const plane *p, int y, int x, double degrees, double scale, uint8_t descriptor[128]) {
  double bins[CELLS][CELLS][TURNS] = {{{0}}}, cell = 3 * scale, turn = degrees * pi / 180;
  int r = (int)lrint(cell * sqrt(2) * (CELLS + 1) / 2);
  for (int j = -r; j <= r; j++) {
    for (int i = -r; i <= r; i++) {
      double u = (i * cos(turn) - j * sin(turn)) / cell, v = (i * sin(turn) + j * cos(turn)) / cell;
      double column = u + CELLS / 2 - 0.5, row = v + CELLS / 2 - 0.5;
      if (column <= -1 || column >= CELLS || row <= -1 || row >= CELLS) continue;
      if (y + j < 1 || y + j > p->height - 2 || x + i < 1 || x + i > p->width - 2) continue;
      double direction, m = gradient(p, y + j, x + i, &direction);
      m *= exp(-(u * u + v * v) / (CELLS * CELLS / 2.0));
      double o = (direction - degrees) / 360 * TURNS;
      for (int a = 0; a < CELLS; a++) {
        for (int b = 0; b < CELLS; b++) {
          for (int c = 0; c < TURNS; c++) {
            double away = fabs(remainder(o - c, TURNS));
            bins[a][b][c] += m * fmax(0, 1 - fabs(row - a)) * fmax(0, 1 - fabs(column - b)) * fmax(0, 1 - away);
          }
        }
      }
    }
  }
  double *all = &bins[0][0][0], norm = 0, clipped = 0;
  for (int k = 0; k < 128; k++) norm += all[k] * all[k];
  for (int k = 0; k < 128; k++) all[k] = fmin(all[k], 0.2 * sqrt(norm)), clipped += all[k] * all[k];
  for (int k = 0; k < 128; k++) {
    descriptor[k] = (uint8_t)fmin(255, rint(all[k] * 512 / fmax(sqrt(clipped), 1.1920929e-7)));
  }
}

/* ------------------------------------------------------------------------------------------- together -- */

/* The features of one extremum: one for each direction that is nearly as strong as the strongest. */
static void add_features(const octave *o, int index, int layer, int y, int x, list *all) {
  double offset[3], value, smooth[BINS], most = 0;
  if (!refine(o, &layer, &y, &x, offset, &value)) return;
  double scale = sigma * pow(2, (layer + offset[2]) / LAYERS), unit = ldexp(1, index - 1);
  const plane *p = &o->gauss[layer];
  directions(p, y, x, scale, smooth);
  for (int b = 0; b < BINS; b++) most = fmax(most, smooth[b]);
  for (int b = 0; b < BINS; b++) {
    double before = smooth[(b + BINS - 1) % BINS], at = smooth[b], after = smooth[(b + 1) % BINS];
    if (!(at > before && at > after && at >= peak * most)) continue;
    double degrees = fmod((b + (before - after) / 2 / (before - 2 * at + after) + BINS) * 360 / BINS, 360);
    all->features = realloc(all->features, (size_t)(all->count + 1) * sizeof *all->features);
    if (all->features == NULL) abort();
    plain_feature *f = &all->features[all->count++];
    f->keypoint = (pmn_keypoint){(float)((x + offset[0]) * unit), (float)((y + offset[1]) * unit),
        (float)(2 * scale * unit), degrees > 0 ? (float)(360 - degrees) : 0, (float)fabs(value), index - 1};
    describe(p, (int)lrint(y + offset[1]), (int)lrint(x + offset[0]), degrees, scale, f->descriptor);
  }
}

static int by_rank(const void *left, const void *right) {
  const pmn_keypoint *a = &((const plain_feature *)left)->keypoint, *b = &((const plain_feature *)right)->keypoint;
  if (a->response != b->response) return a->response > b->response ? -1 : 1;
  if (a->octave != b->octave) return a->octave < b->octave ? -1 : 1;
  if (a->y != b->y) return a->y < b->y ? -1 : 1;
  if (a->x != b->x) return a->x < b->x ? -1 : 1;
  return (a->angle > b->angle) - (a->angle < b->angle);
}

static void drop_twins(list *all) {
  int kept = 0;
  for (int k = 0; k < all->count; k++) {
    if (kept == 0 || by_rank(&all->features[kept - 1], &all->features[k]) != 0) {
      all->features[kept++] = all->features[k];
    }
  }
  all->count = kept;
}

plain_feature *plain_sift(const uint8_t *gray, int width, int height, int *count) {
  list all = {NULL, 0};
  plane first = doubled(gray, width, height);
  plane base = blurred(&first, sqrt(sigma * sigma - 4 * 0.5 * 0.5));
  free(first.at);
  int octaves = (int)lrint(log2(width < height ? base.width : base.height) - 2) + 1;
  for (int index = 0; index < octaves; index++) {
    octave o = octave_create(base);
    for (int layer = 1; layer <= LAYERS; layer++) {
      for (int y = BORDER; y < base.height - BORDER; y++) {
        for (int x = BORDER; x < base.width - BORDER; x++) {
          if (extreme(&o, layer, y, x)) add_features(&o, index, layer, y, x, &all);
        }
      }
    }
    if (index + 1 < octaves) base = halved(&o.gauss[LAYERS]);
    octave_destroy(&o);
  }
  if (octaves <= 0) free(base.at);
  if (all.count > 0) qsort(all.features, (size_t)all.count, sizeof *all.features, by_rank);
  drop_twins(&all);
  *count = all.count;
  return all.features;
}
