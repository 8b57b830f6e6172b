/* made_up.h - pictures for the tests of describers. */
#ifndef MADE_UP_H
#define MADE_UP_H

#include "check.h"

#include <math.h>

/* Noise, smoothed `times` times over 3 x 3, and stretched to 0 to 255; free(). */
static inline uint8_t *made_up(int width, int height, int times, uint32_t seed) {
  size_t size = (size_t)width * (size_t)height;
  double *a = malloc(size * sizeof *a), *b = malloc(size * sizeof *b), low = 1e9, high = -1e9;
  uint8_t *gray = malloc(size);
  assert_true(a != NULL && b != NULL && gray != NULL);
  for (size_t i = 0; i < size; i++) {
    seed = seed * 1664525u + 1013904223u;
    a[i] = seed >> 16;
  }
  for (int pass = 0; pass < times; pass++) {
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        double sum = 0;
        for (int j = -1; j <= 1; j++) {
          for (int i = -1; i <= 1; i++) {
            sum += a[(size_t)((y + j + height) % height * width + (x + i + width) % width)];
          }
        }
        b[(size_t)(y * width + x)] = sum;
      }
    }
    memcpy(a, b, size * sizeof *a);
  }
  for (size_t i = 0; i < size; i++) low = fmin(low, a[i]), high = fmax(high, a[i]);
  for (size_t i = 0; i < size; i++) gray[i] = (uint8_t)((a[i] - low) * 255 / fmax(high - low, 1));
  free(a);
  free(b);
  return gray;
}

#endif
