/* kmeans_cases.h - the generated points behind tests/golden/kmeans_*.npy; mirrors CASES and points() of make_kmeans.py
 * bit for bit. Points in memory, and ready devices. */
#ifndef KMEANS_CASES_H
#define KMEANS_CASES_H

#include "stats_cases.h"

#include "pmn_kmeans.h"

#include <math.h>

typedef struct kmeans_case {
  const char *name;
  uint64_t seed;
  int32_t n, width, clusters;
  double spread;
  int32_t k;
  double tolerance;
  bool binary;
  int32_t batch;
  bool far_start;
} kmeans_case;

static const kmeans_case kmeans_cases[] = {
    {"apart", 1, 1500, 8, 6, 6.0, 6, 0.0, false, 0, false},
    {"overlap", 2, 4500, 16, 12, 40.0, 12, 0.0, false, 0, false},
    {"tolerance", 2, 4500, 16, 12, 40.0, 12, 1e-3, false, 0, false},
    {"sift", 3, 700, 128, 10, 30.0, 10, 0.0, false, 0, false},
    {"many", 4, 3000, 6, 40, 10.0, 40, 0.0, false, 0, false},
    {"empty", 5, 900, 5, 5, 10.0, 6, 0.0, false, 0, true},
    {"one", 6, 300, 3, 4, 20.0, 1, 0.0, false, 0, false},
    {"batches", 7, 2500, 8, 9, 20.0, 9, 0.0, false, 100, false},
    {"bits", 8, 2500, 32, 10, 0.3, 10, 0.0, true, 0, false},
    {"bits_empty", 9, 601, 3, 4, 0.2, 7, 0.0, true, 0, true},
};
enum { KMEANS_CASES = sizeof kmeans_cases / sizeof kmeans_cases[0], KMEANS_BATCHES = 12 };

static inline uint8_t kmeans_byte(const kmeans_case *c, uint64_t i, uint64_t j) {
  uint64_t cluster = (uint64_t)(stats_uniform(c->seed, 0, i, 0) * c->clusters);
  if (!c->binary) {
    double x = floor(200.0 * stats_uniform(c->seed, 1, cluster, j) + c->spread * stats_bell(c->seed, 2, i, j) + 0.5);
    return (uint8_t)(x < 0.0 ? 0.0 : x > 255.0 ? 255.0 : x);
  }
  unsigned byte = 0;
  for (unsigned b = 0; b < 8; b++) {
    bool one = stats_uniform(c->seed, 1, cluster, 8 * j + b) < 0.5;
    bool other = stats_uniform(c->seed, 2, i, 8 * j + b) < c->spread;
    byte |= (unsigned)(one != other) << b;
  }
  return (uint8_t)byte;
}

/* pmn_points of memory, with faults that tests ask for. */
typedef struct kmeans_memory {
  uint8_t *data; /* [count, width]; free() */
  int64_t count;
  int32_t width;
  bool fails; /* every read, */
  int reads;  /* once so many have been; counted down by one thread only */
} kmeans_memory;

static inline pmn_status kmeans_read(void *arg, int64_t first, int32_t n, uint8_t *points, pmn_err *err) {
  kmeans_memory *m = arg;
  if (m->fails && m->reads-- <= 0)
    return pmn_err_set(err, PMN_STATUS_WRITE, 0, "the fake spool fails at %d", (int)first);
  if (first < 0 || n < 1 || first + n > m->count) return pmn_err_set(err, PMN_STATUS_WRITE, 0, "no such points");
  memcpy(points, m->data + first * m->width, (size_t)n * (size_t)m->width);
  return PMN_STATUS_OK;
}

static inline pmn_points kmeans_points(kmeans_memory *m, bool binary) {
  return (pmn_points){.count = m->count, .width = m->width, .binary = binary, .arg = m, .read = kmeans_read};
}

static inline kmeans_memory kmeans_memory_make(const kmeans_case *c) {
  kmeans_memory m = {.data = malloc((size_t)c->n * (size_t)c->width), .count = c->n, .width = c->width};
  assert_non_null(m.data);
  for (int32_t i = 0; i < c->n; i++) {
    for (int32_t j = 0; j < c->width; j++) m.data[i * c->width + j] = kmeans_byte(c, (uint64_t)i, (uint64_t)j);
  }
  return m;
}

static inline const kmeans_case *kmeans_find(const char *name) {
  for (int i = 0; i < KMEANS_CASES; i++) {
    if (strcmp(kmeans_cases[i].name, name) == 0) return &kmeans_cases[i];
  }
  return NULL;
}

/* 1030 points, some past a block of the start, of which `differ` differ: all but the last of those come once. */
static inline kmeans_memory kmeans_repeated(int32_t differ) {
  kmeans_memory m = {.data = malloc(1030 * 2), .count = 1030, .width = 2};
  assert_non_null(m.data);
  for (int32_t i = 0; i < 1030; i++) {
    m.data[2 * i] = (uint8_t)(i < differ ? i : differ - 1);
    m.data[2 * i + 1] = (uint8_t)(m.data[2 * i] / 3);
  }
  return m;
}

/* The centres to start from, free(). */
static inline uint8_t *kmeans_start(const kmeans_case *c, const kmeans_memory *m) {
  uint8_t *start = malloc((size_t)c->k * (size_t)c->width);
  assert_non_null(start);
  for (int32_t t = 0; t < c->k; t++)
    memcpy(start + t * c->width, m->data + (int64_t)t * c->n / c->k * c->width, (size_t)c->width);
  for (int32_t j = 0; c->far_start && j < c->width; j++) {
    start[(c->k - 1) * c->width + j] = c->binary ? (uint8_t)(255 - start[j]) : 255;
    if (c->binary) start[(c->k - 2) * c->width + j] = start[j];
  }
  return start;
}

static inline double kmeans_checksum(const kmeans_memory *m) {
  uint64_t sum = 0;
  for (size_t i = 0; i < (size_t)m->count * (size_t)m->width; i++) sum += m->data[i] * (2 * (uint64_t)i + 1);
  return (double)(sum & 0xFFFFFFFFu);
}

/* NULL when there is no such device here. */
static inline pmn_device *kmeans_device(const char *backend, int32_t threads) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = threads};
  pmn_device *device = NULL;
  pmn_status st = pmn_device_open(pmn_backend_find(backend), &options, &device, &err);
  if (st != PMN_STATUS_OK && strcmp(backend, "opencl") != 0) fail_msg("%s: %s", backend, err.message);
  return st == PMN_STATUS_OK ? device : NULL;
}

/* A device without fp64, as pmn_backend.h describes it: factors rounded to fp32, and 256 products summed in it. */
static inline pmn_status narrow_gemm(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  (void)device, (void)err;
  for (int32_t i = 0; i < n; i++) {
    for (int32_t j = 0; j < m; j++) {
      y[i * m + j] = 0.0;
      for (int32_t first = 0; first < k; first += 256) {
        float sum = 0.0f;
        for (int32_t t = first; t < k && t < first + 256; t++) sum += (float)a[i * k + t] * (float)b[j * k + t];
        y[i * m + j] += (double)sum;
      }
    }
  }
  return PMN_STATUS_OK;
}
static const pmn_backend narrow_backend = {.name = "narrow", .gemm = narrow_gemm};

#endif
