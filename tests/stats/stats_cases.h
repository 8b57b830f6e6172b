/* stats_cases.h - the generated rows behind tests/golden/stats_*.npy; mirrors CASES and rows() of make_stats.py bit for
 * bit (plain fp64 arithmetic in the same order, no contraction, one rounding to f32). */
#ifndef STATS_CASES_H
#define STATS_CASES_H

#include "check.h"

#include "pmn_stats.h"

typedef enum stats_special { PLAIN, CONSTANT, EQUAL, FAR_BLOCK } stats_special;

typedef struct stats_case {
  const char *name;
  uint64_t seed;
  int32_t n, d, latent;
  double noise, mean;
  bool standardize;
  int32_t k;
  double ratio;
  stats_special special;
  int32_t distinct; /* components that the data determine one by one; further ones are any basis of their space */
} stats_case;

static const stats_case stats_cases[] = {
    {"scaler", 1, 1000, 12, 3, 0.50, 2.0, true, 0, 0.00, PLAIN, 0},
    {"pca", 2, 500, 20, 8, 0.05, 2.0, false, 5, 0.00, PLAIN, 5},
    {"both", 3, 500, 20, 8, 0.05, 2.0, true, 5, 0.00, PLAIN, 5},
    {"wide", 4, 20, 60, 9, 0.02, 2.0, true, 8, 0.00, PLAIN, 8},
    {"wide_raw", 5, 8, 300, 5, 0.02, 5.0, false, 4, 0.00, PLAIN, 4},
    {"two_rows", 6, 2, 7, 2, 0.10, 1.0, true, 1, 0.00, PLAIN, 1},
    {"full", 7, 15, 40, 6, 0.30, 1.0, true, 15, 0.00, PLAIN, 14}, /* centred rows have rank n - 1 */
    {"ratio_80", 8, 300, 30, 12, 0.05, 1.0, true, 0, 0.80, PLAIN, 3},
    {"ratio_95", 9, 300, 30, 12, 0.05, 1.0, false, 0, 0.95, PLAIN, 6},
    {"ratio_wide", 10, 25, 90, 12, 0.05, 1.0, true, 0, 0.80, PLAIN, 3},
    {"constant", 11, 400, 20, 6, 0.05, 2.0, true, 4, 0.00, CONSTANT, 4},
    {"rank_3", 12, 200, 50, 3, 0.00, 0.0, false, 10, 0.00, PLAIN, 3},
    {"mean_1e4", 13, 3000, 20, 6, 0.20, 1e4, true, 5, 0.00, PLAIN, 5},
    {"mean_1e6", 14, 3000, 20, 6, 0.20, 1e6, true, 5, 0.00, PLAIN, 5},
    {"mean_1e6_raw", 15, 3000, 20, 6, 0.20, 1e6, false, 5, 0.00, PLAIN, 5},
    {"equal", 16, 64, 6, 0, 0.00, 3.0, false, 3, 0.00, EQUAL, 0},
    {"far_block", 17, 10000, 40, 8, 0.05, 1.0, false, 5, 0.00, FAR_BLOCK, 5},
    {"blocks", 18, 10000, 40, 12, 0.05, 2.0, true, 10, 0.00, PLAIN, 10},
};
enum { STATS_CASES = sizeof stats_cases / sizeof stats_cases[0] };

static inline double stats_uniform(uint64_t seed, uint64_t stream, uint64_t i, uint64_t j) {
  uint64_t counter = (stream << 40) + (i << 16) + j;
  uint64_t z = seed * 0xD1342543DE82EF95u + (counter + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z = z ^ (z >> 31);
  return (double)(z >> 40) / 16777216.0;
}

static inline double stats_bell(uint64_t seed, uint64_t stream, uint64_t i, uint64_t j) {
  double sum = 0.0;
  for (uint64_t t = 0; t < 4; t++) sum += stats_uniform(seed, stream + t, i, j);
  return sum - 2.0;
}

static inline double stats_value(const stats_case *c, uint64_t i, uint64_t j) {
  static const double patterns[3][6] = {{1, 1, 1, 1, 0, 0}, {1, -1, 1, -1, 0, 0}, {0, 0, 0, 0, 0.5, 0.5}};
  double x = c->mean * (1.0 + 0.125 * (double)(j % 5));
  for (uint64_t r = 0; r < (uint64_t)c->latent; r++) {
    double weight = 2.0 * stats_uniform(c->seed, 8, r, j) - 1.0;
    x += 1.0 / (double)(r + 1) * stats_bell(c->seed, 0, i, r) * weight;
  }
  x += c->noise * stats_bell(c->seed, 16, i, j);
  if (c->special == CONSTANT && j == 3) x = 0.1;
  if (c->special == CONSTANT && j == 11) x = 1234567.875;
  if (c->special == FAR_BLOCK && i < 4096) x += 10000.0;
  for (uint64_t r = 0; c->special == EQUAL && r < 3; r++) x += (1.0 - 2.0 * (double)(i >> r & 1)) * patterns[r][j];
  return x;
}

/* [n, d], free(). */
static inline float *stats_rows(const stats_case *c) {
  float *x = malloc((size_t)c->n * (size_t)c->d * sizeof *x);
  if (x == NULL) fail_msg("no memory for case %s", c->name);
  for (int32_t i = 0; i < c->n; i++) {
    for (int32_t j = 0; j < c->d; j++) {
      x[(size_t)i * (size_t)c->d + (size_t)j] = (float)stats_value(c, (uint64_t)i, (uint64_t)j);
    }
  }
  return x;
}

static inline double stats_checksum(const float *x, size_t count) {
  uint64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t bits;
    memcpy(&bits, &x[i], sizeof bits);
    sum += (uint64_t)bits * (2 * (uint64_t)i + 1);
  }
  return (double)(sum & 0xFFFFFFFFu);
}

/* pmn_rows of memory. */
typedef struct stats_memory {
  const float *x;
  int32_t width;
  int64_t reads;
  bool broken;
} stats_memory;

static inline pmn_status stats_memory_read(void *arg, int64_t first, int32_t n, double *rows, pmn_err *err) {
  stats_memory *memory = arg;
  __atomic_add_fetch(&memory->reads, n, __ATOMIC_RELAXED); /* several threads of a fit read */
  if (memory->broken) return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "the spool is gone");
  const float *x = memory->x + first * memory->width;
  for (int64_t i = 0; i < (int64_t)n * memory->width; i++) rows[i] = (double)x[i];
  return PMN_STATUS_OK;
}

/* x [n, d] through a projector. */
static inline pmn_status stats_project(
    pmn_projector *projector, const float *x, int32_t n, int32_t d, float *y, pmn_err *err) {
  size_t count = (size_t)n * (size_t)d;
  double *wide = malloc(count * sizeof *wide);
  if (wide == NULL) fail_msg("no memory for %d rows", n);
  for (size_t i = 0; i < count; i++) wide[i] = (double)x[i];
  pmn_status st = pmn_projector_run(projector, wide, n, y, err);
  free(wide);
  return st;
}

/* Opens a device of the backend, or skips the test visibly. */
static inline pmn_device *stats_device(const char *name) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = NULL;
  const pmn_backend *backend = pmn_backend_find(name);
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device_info info;
  int32_t count = 0;
  if (backend != NULL) check_ok(backend->devices(&info, 1, &count, &err));
  if (count == 0) {
    print_message("no device of backend %s\n", name);
    check_skip();
  }
  check_ok(pmn_device_open(backend, &options, &device, &err));
  return device;
}

#endif
