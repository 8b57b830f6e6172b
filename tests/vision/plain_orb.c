/* plain_orb.c - see plain_orb.h.
 *
 * Nothing is shared with the fast one but the table of 256 pairs. Every step is written as its definition reads; every
 * pixel is asked for by its place, and a place outside ends the program.
 */
#include "plain_orb.h"

#include "pmn_orb_pattern.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { EDGE = 31, THRESHOLD = 20, RADIUS = 15, LEVELS = 8 };

typedef struct picture {
  int width, height;
  uint8_t *pixels;
} picture;

typedef struct corner {
  int x, y, score;
  float response;
} corner;

static void *take(size_t count, size_t size) {
  void *memory = calloc(count + 1, size);
  if (memory == NULL) abort();
  return memory;
}

static int pixel(const picture *p, int x, int y) {
  if (x < 0 || y < 0 || x >= p->width || y >= p->height) {
    fprintf(stderr, "plain_orb: pixel %d, %d of %d x %d\n", x, y, p->width, p->height);
    abort();
  }
  return p->pixels[y * p->width + x];
}

/* Bilinear, with fractions rounded to 1/256, and one rounding at the end. */
static picture shrink(const picture *from, int width, int height) {
  picture to = {width, height, take((size_t)width * (size_t)height, 1)};
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      double at_x = (x + 0.5) * ((double)from->width / width) - 0.5;
      double at_y = (y + 0.5) * ((double)from->height / height) - 0.5;
      int x0 = (int)floor(at_x), y0 = (int)floor(at_y);
      int right = (int)rint((at_x - x0) * 256), low = (int)rint((at_y - y0) * 256);
      int upper = pixel(from, x0, y0) * (256 - right) + pixel(from, x0 + 1, y0) * right;
      int lower = pixel(from, x0, y0 + 1) * (256 - right) + pixel(from, x0 + 1, y0 + 1) * right;
      to.pixels[y * width + x] = (uint8_t)((upper * (256 - low) + lower * low + 32768) / 65536);
    }
  }
  return to;
}

/* Sums of floats in this order, columns before rows: another order may round otherwise. */
static picture blur(const picture *from) {
  static const float w[4] = {0.216105938f, 0.190712824f, 0.131074876f, 0.0701593235f};
  picture to = {from->width, from->height, take((size_t)from->width * (size_t)from->height, 1)};
  for (int y = 3; y < from->height - 3; y++) {
    for (int x = 3; x < from->width - 3; x++) {
      float column[7];
      for (int i = -3; i <= 3; i++) {
        column[i + 3] = (float)pixel(from, x + i, y) * w[0];
        for (int j = 1; j <= 3; j++) {
          column[i + 3] += (float)(pixel(from, x + i, y - j) + pixel(from, x + i, y + j)) * w[j];
        }
      }
      float sum = column[3] * w[0];
      for (int j = 1; j <= 3; j++) sum += (column[3 - j] + column[3 + j]) * w[j];
      to.pixels[y * from->width + x] = (uint8_t)floorf(sum + 0.5f);
    }
  }
  return to;
}

/* The largest t for which 9 in a row of 16 on the circle are all at least t brighter, or all at least t darker. */
static int fast_score(const picture *p, int x, int y) {
  static const int circle[16][2] = {{0, 3}, {1, 3}, {2, 2}, {3, 1}, {3, 0}, {3, -1}, {2, -2}, {1, -3}, {0, -3},
      {-1, -3}, {-2, -2}, {-3, -1}, {-3, 0}, {-3, 1}, {-2, 2}, {-1, 3}};
  int best = 0;
  for (int sign = -1; sign <= 1; sign += 2) {
    for (int start = 0; start < 16; start++) {
      int least = 255;
      for (int k = start; k < start + 9; k++) {
        int d = sign * (pixel(p, x + circle[k % 16][0], y + circle[k % 16][1]) - pixel(p, x, y));
        if (d < least) least = d;
      }
      if (least > best) best = least;
    }
  }
  return best > THRESHOLD ? best : 0;
}

static float harris(const picture *p, int x, int y) {
  int a = 0, b = 0, c = 0;
  for (int v = y - 3; v <= y + 3; v++) {
    for (int u = x - 3; u <= x + 3; u++) {
      int gx = 0, gy = 0;
      for (int i = -1; i <= 1; i++) {
        gx += (2 - abs(i)) * (pixel(p, u + 1, v + i) - pixel(p, u - 1, v + i));
        gy += (2 - abs(i)) * (pixel(p, u + i, v + 1) - pixel(p, u + i, v - 1));
      }
      a += gx * gx;
      b += gy * gy;
      c += gx * gy;
    }
  }
  float scale = 1.0f / (4 * 7 * 255.0f), trace = (float)a + (float)b;
  return ((float)a * (float)b - (float)c * (float)c - 0.04f * trace * trace) * (scale * scale * scale * scale);
}

/* Half the length of row v of the disc: the circle of its first eighth, and that mirrored. */
static int half_row(int v) {
  int u = (int)rint(sqrt(RADIUS * RADIUS - v * v));
  if (v <= u) return u;
  for (u = v; u > 0 && (int)rint(sqrt(RADIUS * RADIUS - u * u)) < v;) u--;
  return u;
}

static void describe(const picture *p, const picture *blurred, int x, int y, plain_orb_feature *f) {
  int mx = 0, my = 0;
  for (int v = -RADIUS; v <= RADIUS; v++) {
    for (int u = -half_row(abs(v)); u <= half_row(abs(v)); u++) {
      mx += u * pixel(p, x + u, y + v);
      my += v * pixel(p, x + u, y + v);
    }
  }
  double length = sqrt((double)mx * mx + (double)my * my), angle = atan2(my, mx) * 180 / 3.14159265358979323846;
  float cosine = length > 0 ? (float)(mx / length) : 1, sine = length > 0 ? (float)(my / length) : 0;
  f->keypoint.angle = (float)(angle < 0 ? angle + 360 : angle);
  if (f->keypoint.angle >= 360) f->keypoint.angle = 0;
  for (int i = 0; i < 256; i++) {
    int value[2];
    for (int end = 0; end < 2; end++) {
      float px = pmn_orb_pattern[2 * end][i], py = pmn_orb_pattern[2 * end + 1][i];
      value[end] = pixel(blurred, x + (int)rintf(px * cosine - py * sine), y + (int)rintf(px * sine + py * cosine));
    }
    if (value[0] < value[1]) f->descriptor[i / 8] |= (uint8_t)(1 << (i % 8));
  }
}

static int by_score(const void *a, const void *b) {
  return ((const corner *)b)->score - ((const corner *)a)->score;
}

static int by_response(const void *a, const void *b) {
  const corner *c = a, *d = b;
  if (c->response != d->response) return c->response < d->response ? 1 : -1;
  return c->y != d->y ? c->y - d->y : c->x - d->x;
}

static int by_distinction(const void *a, const void *b) {
  const pmn_keypoint *c = &((const plain_orb_feature *)a)->keypoint, *d = &((const plain_orb_feature *)b)->keypoint;
  if (c->response != d->response) return c->response < d->response ? 1 : -1;
  if (c->octave != d->octave) return c->octave - d->octave;
  if (c->y != d->y) return c->y < d->y ? -1 : 1;
  return c->x < d->x ? -1 : 1;
}

/* The level's corners, best first; `wanted` at most. */
static corner *corners_of(const picture *p, int wanted, int *count) {
  size_t area = (size_t)p->width * (size_t)p->height;
  int *score = take(area, sizeof(int)), found = 0;
  corner *corners = take(area, sizeof *corners);
  for (int y = EDGE - 1; y <= p->height - EDGE; y++) {
    for (int x = EDGE - 1; x <= p->width - EDGE; x++) score[y * p->width + x] = fast_score(p, x, y);
  }
  for (int y = EDGE; y < p->height - EDGE; y++) {
    for (int x = EDGE; x < p->width - EDGE; x++) {
      int s = score[y * p->width + x], higher = 0;
      for (int v = y - 1; v <= y + 1; v++) {
        for (int u = x - 1; u <= x + 1; u++) higher += (u != x || v != y) && score[v * p->width + u] >= s;
      }
      if (s > 0 && higher == 0) corners[found++] = (corner){x, y, s, harris(p, x, y)};
    }
  }
  qsort(corners, (size_t)found, sizeof *corners, by_score);
  if (found > 2 * wanted) {
    int last = 2 * wanted;
    while (last > 0 && last < found && corners[last].score == corners[last - 1].score) last++;
    found = last;
  }
  qsort(corners, (size_t)found, sizeof *corners, by_response);
  *count = found < wanted ? found : wanted;
  free(score);
  return corners;
}

plain_orb_feature *plain_orb(const uint8_t *gray, int width, int height, int keypoints_max, int *count) {
  picture at = {width, height, take((size_t)width * (size_t)height, 1)};
  for (int i = 0; i < width * height; i++) at.pixels[i] = gray[i];
  plain_orb_feature *all = take((size_t)keypoints_max + LEVELS, sizeof *all);
  float q = (float)(1 / (double)1.2f), share = (float)keypoints_max * (1 - q) / (1 - (float)pow(q, LEVELS));
  int given = 0, found = 0;
  for (int octave = 0; octave < LEVELS; octave++, share *= q) {
    int wanted = octave < LEVELS - 1 ? (int)rintf(share) : keypoints_max - given;
    if (wanted < 0) wanted = 0;
    given += wanted;
    float scale = (float)pow((double)1.2f, octave);
    if (octave > 0) {
      picture next = shrink(&at, (int)rintf((float)width * (1 / scale)), (int)rintf((float)height * (1 / scale)));
      free(at.pixels);
      at = next;
    }
    if (at.width <= 2 * EDGE || at.height <= 2 * EDGE) break;
    int corner_count;
    corner *corners = corners_of(&at, wanted, &corner_count);
    picture blurred = blur(&at);
    for (int i = 0; i < corner_count; i++) {
      plain_orb_feature *f = &all[found++];
      f->keypoint = (pmn_keypoint){
          (float)corners[i].x * scale, (float)corners[i].y * scale, 31 * scale, 0, corners[i].response, octave};
      describe(&at, &blurred, corners[i].x, corners[i].y, f);
    }
    free(corners);
    free(blurred.pixels);
  }
  free(at.pixels);
  qsort(all, (size_t)found, sizeof *all, by_distinction);
  *count = found < keypoints_max ? found : keypoints_max;
  return all;
}
