/* test_ocl_project.c - features through a saved fit on the device: kernels/project.cl, behind a network that only
 * copies its input. Both families of kernels; with fp64, and as if the device had none. No OpenCL device is a visible
 * skip.
 *
 * The judge sums in long double. What may be off, M being sum of |x - shift| |w| and w = components / scale:
 *   fp64   u |y| for the last rounding, u = 2^-24, and (256 + d / 256 + 4) 2^-53 M; and the bits are those that the
 *          formula gives here, because each of its steps is rounded correctly everywhere
 *   fp32   what the kernel's file says, (t + 4) u M + 3 u^2 sum of |shift| |w|, and u |y|; t = 256 or fewer terms of a
 * run FLT_MIN is added: devices may take smaller numbers for 0. */
#include "check.h"

#include "cases.h"
#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_ocl.h"

#include <float.h>
#include <math.h>

enum { RUN = 256, CONFIGS = 4 };
static const struct {
  const char *family, *label;
  bool fp64;
} configs[CONFIGS] = {{"vector", "vector, fp64", true}, {"tile", "tile, fp64", true}, {"vector", "vector, fp32", false},
    {"tile", "tile, fp32", false}};

/* A fit and pictures whose features are far from 0 and vary little, as some networks' do; one column becomes 0. */
typedef struct problem {
  pmn_linear_map map;
  int32_t n;
  float *x; /* [n, d] */
  double *shift, *scale, *components;
} problem;

static void *need(size_t count, size_t size) {
  void *memory = calloc(count, size);
  assert_non_null(memory);
  return memory;
}

static problem problem_create(int32_t n, int32_t d, int32_t k) {
  size_t columns = (size_t)d, rows = (size_t)n;
  problem p = {.n = n,
      .x = need(rows * columns, sizeof(float)),
      .shift = need(columns, sizeof(double)),
      .scale = need(columns, sizeof(double)),
      .components = need((size_t)k * columns, sizeof(double))};
  for (size_t i = 0; i < columns; i++) {
    p.shift[i] = i % 3 == 0 ? 0.0 : 100.0 / 3.0 * (double)compute_value(1, i);
    p.scale[i] = i % 7 == 6 ? INFINITY : 0.05 + fabs((double)compute_value(2, i));
    for (size_t r = 0; r < rows; r++) p.x[r * columns + i] = (float)p.shift[i] + compute_value(3 + r, i);
  }
  for (size_t i = 0; i < (size_t)k * columns; i++)
    p.components[i] = (double)compute_value(9, i) * (1.0 + 0x1p-30) / sqrt(d);
  p.map = (pmn_linear_map){d, k, p.shift, p.scale, p.components};
  return p;
}

static void problem_destroy(problem *p) {
  free(p->x);
  free(p->shift);
  free(p->scale);
  free(p->components);
}

static pmn_device *device_open(int config) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = NULL;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = configs[config].family};
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  if (configs[config].fp64 && !((pmn_ocl_device *)device)->fp64) {
    print_message("[  SKIPPED ] %s: the device has none\n", configs[config].label);
    pmn_device_close(device);
    return NULL;
  }
  ((pmn_ocl_device *)device)->fp64 = configs[config].fp64;
  return device;
}

/* Features of d columns, as they are given. */
static pmn_network *network_create(pmn_device *device, int32_t d, int32_t batch_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  pmn_tensor tensors[] = {{1, 1, d, 0}, {1, 1, d, 16}}; /* not where the arena begins */
  pmn_op op = pmn_op_init(PMN_OP_COPY, "copy", 0, 1);
  op.copy = (pmn_copy){.extent = {1, 1, d}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  pmn_program program = {.tensors = tensors,
      .ops = &op,
      .tensor_count = 2,
      .op_count = 1,
      .input = 0,
      .output = 1,
      .arena_size = 16 + ((size_t)d + 15) / 16 * 16};
  check_ok(pmn_network_create(device, &program, batch_max, &network, &err));
  return network;
}

static pmn_network *projected_create(pmn_device *device, const pmn_linear_map *map, int32_t batch_max) {
  pmn_err err = PMN_ERR_INIT;
  bool taken = false;
  pmn_network *network = network_create(device, map->d, batch_max);
  check_ok(pmn_network_project(network, map, &taken, &err));
  assert_true(taken);
  return network;
}

/* Rows [n, k + 1], prefilled with NaN and fenced. free() them. */
static float *rows_make(pmn_network *network, const problem *p, int32_t first, int32_t n) {
  pmn_err err = PMN_ERR_INIT;
  size_t values = (size_t)n * ((size_t)p->map.k + 1);
  float *y = need(values + 1, sizeof *y);
  for (size_t i = 0; i <= values; i++) y[i] = NAN;
  check_ok(pmn_network_run(network, p->x + (size_t)first * (size_t)p->map.d, n, y, &err));
  assert_true(isnan(y[values]));
  return y;
}

/* The formula of the kernel in fp64. */
static float formula(const pmn_linear_map *m, const float *x, const double *component) {
  double sum = 0.0;
  for (int32_t first = 0; first < m->d; first += RUN) {
    double run = 0.0;
    for (int32_t i = first; i < m->d && i < first + RUN; i++)
      run = fma(((double)x[i] - m->shift[i]) / m->scale[i], component[i], run);
    sum += run;
  }
  return (float)sum;
}

/* How far one value is off, as a part of what it may be. */
static double error_ratio(
    const pmn_linear_map *m, const float *x, const double *component, bool fp64, int32_t terms, float y) {
  const double u = 0x1p-24;
  long double sum = 0;
  double moved = 0.0, size = 0.0;
  for (int32_t i = 0; i < m->d; i++) {
    long double w = (long double)component[i] / (long double)m->scale[i];
    long double z = (long double)x[i] - (long double)m->shift[i];
    sum += z * w;
    moved += fabs((double)(z * w));
    size += fabs(m->shift[i] * (double)w);
  }
  double bound = u * fabs((double)sum) + (double)FLT_MIN;
  bound += fp64 ? (RUN + (double)m->d / RUN + 4) * 0x1p-53 * moved : (terms + 4) * u * moved + 3 * u * u * size;
  return fabs((double)((long double)y - sum)) / bound;
}

static const int32_t sizes[][3] = {/* n, d, k */
    {1, 1, 1}, {2, 7, 33}, {3, 5, 2}, {2, 255, 15}, {2, 256, 16}, {3, 257, 17}, {2, 511, 63}, {1, 512, 64},
    {2, 513, 65}, {2, 1000, 127}, {3, 1280, 100}, {1, 2048, 129}, {2, 3000, 300}};

static double problem_check(pmn_device *device, int config, int32_t terms, const problem *p) {
  const pmn_linear_map *m = &p->map;
  pmn_network *network = projected_create(device, m, p->n);
  float *y = rows_make(network, p, 0, p->n);
  double worst = 0.0;
  for (int32_t r = 0; r < p->n; r++) {
    const float *x = p->x + (size_t)r * (size_t)m->d, *row = y + (size_t)r * ((size_t)m->k + 1);
    assert_true(row[m->k] == 0.0f);
    for (int32_t j = 0; j < m->k; j++) {
      const double *component = m->components + (size_t)j * (size_t)m->d;
      double ratio = error_ratio(m, x, component, configs[config].fp64, terms, row[j]);
      if (!(ratio <= 1.0))
        fail_msg("%s: %d x %d: row %d, component %d is off by %.3g of its bound", configs[config].label, m->d, m->k, r,
            j, ratio);
      if (configs[config].fp64 && row[j] != formula(m, x, component))
        fail_msg("%s: %d x %d: row %d, component %d is %.9g, not %.9g", configs[config].label, m->d, m->k, r, j,
            (double)row[j], (double)formula(m, x, component));
      worst = fmax(worst, ratio);
    }
  }
  free(y);
  pmn_network_destroy(network);
  return worst;
}

static void rows_are_what_the_fit_makes(void **state) {
  (void)state;
  int count = 0;
  for (int c = 0; c < CONFIGS; c++) {
    double worst = 0.0;
    pmn_device *device = device_open(c);
    for (size_t s = 0; device != NULL && s < sizeof sizes / sizeof *sizes; s++, count++) {
      problem p = problem_create(sizes[s][0], sizes[s][1], sizes[s][2]);
      worst = fmax(worst, problem_check(device, c, RUN, &p));
      problem_destroy(&p);
    }
    print_message("%s: largest error %.4f of its bound\n", configs[c].label, worst);
    pmn_device_close(device);
  }
  assert_true(count > 0);
}

/* A mean that is a million deviations away, and sums that go one way: first of as many terms as there are, then of one
 * in every run, which each time loses almost half a unit in the last place of a sum in one float. */
static void long_sums_keep_their_digits(void **state) {
  (void)state;
  enum { D = 25088 };
  static const float term = 1.0f + 0x1p-18f - 0x1p-23f;
  problem p = problem_create(2, D, 1);
  for (int sparse = 0; sparse < 2; sparse++) {
    for (int i = 0; i < D; i++) {
      p.shift[i] = sparse ? 0.0 : 1e6 + 1.0 / 3.0;
      p.scale[i] = 1.0;
      p.components[i] = sparse ? 1.0 : 1.0 / sqrt(D);
      p.x[i] = !sparse ? 1e6f + 1.25f : i % RUN == 0 ? term : 0.0f;
      p.x[D + i] = !sparse ? 1e6f - 0.5f : -p.x[i];
    }
    for (int c = 0; c < CONFIGS; c++) {
      pmn_device *device = device_open(c);
      if (device == NULL) continue;
      double ratio = problem_check(device, c, sparse ? 1 : RUN, &p);
      print_message("%s%s: error %.4f of its bound\n", configs[c].label, sparse ? ", one term a run" : "", ratio);
      pmn_device_close(device);
    }
  }
  problem_destroy(&p);
}

/* Sums of which only roundings are left: in fp64 their bits, too, are the formula's. */
static void roundings_are_the_formulas(void **state) {
  (void)state;
  enum { D = 700, K = 20 };
  problem p = problem_create(3, D, K);
  for (size_t i = 0; i < D; i += 2) {
    p.shift[i + 1] = p.shift[i];
    p.scale[i + 1] = p.scale[i];
    for (size_t r = 0; r < 3; r++) p.x[r * D + i + 1] = p.x[r * D + i];
    for (size_t j = 0; j < K; j++) p.components[j * D + i + 1] = -p.components[j * D + i];
  }
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    (void)problem_check(device, c, RUN, &p);
    pmn_device_close(device);
  }
  problem_destroy(&p);
}

/* Batches and their slices: a picture's row has the same bits in all of them. */
static void rows_do_not_depend_on_the_batch(void **state) {
  (void)state;
  enum { N = 7, D = 700, K = 70 };
  problem p = problem_create(N, D, K);
  size_t row = (K + 1) * sizeof(float);
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    pmn_network *network = projected_create(device, &p.map, N);
    float *whole = rows_make(network, &p, 0, N);
    for (int32_t size = 1; size < N; size++) {
      for (int32_t first = 0; first < N; first += size) {
        int32_t n = N - first < size ? N - first : size;
        float *part = rows_make(network, &p, first, n);
        assert_memory_equal(part, (const char *)whole + (size_t)first * row, (size_t)n * row);
        free(part);
      }
    }
    pmn_network_destroy(network);
    /* The arena holds three pictures; the map still fits. */
    cl_ulong buffer = ((pmn_ocl_device *)device)->buffer_bytes_max;
    ((pmn_ocl_device *)device)->buffer_bytes_max = 3 * (16 + 704) * sizeof(float);
    network = network_create(device, D, N);
    ((pmn_ocl_device *)device)->buffer_bytes_max = buffer;
    pmn_err err = PMN_ERR_INIT;
    bool taken = false;
    check_ok(pmn_network_project(network, &p.map, &taken, &err));
    float *sliced = rows_make(network, &p, 0, N);
    assert_memory_equal(sliced, whole, N * row);
    free(sliced);
    free(whole);
    pmn_network_destroy(network);
    pmn_device_close(device);
  }
  problem_destroy(&p);
}

/* Batches under way in all slots at once, of other lengths and pictures. */
static void rows_do_not_depend_on_the_slot(void **state) {
  (void)state;
  enum { N = 5, D = 700, K = 70 };
  pmn_err err = PMN_ERR_INIT;
  problem p = problem_create(N, D, K);
  bool taken = false;
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    pmn_network *network = projected_create(device, &p.map, N);
    float *whole = rows_make(network, &p, 0, N), *part = need(N * (K + 1), sizeof *part);
    int32_t slots = pmn_network_slots(network);
    assert_true(slots > 1 && slots < N);
    for (int32_t slot = 0; slot < slots; slot++) {
      void *input;
      check_ok(pmn_network_input(network, slot, &input, &err));
      memcpy(input, p.x + slot * D, (size_t)(N - slot) * D * sizeof(float));
      check_ok(pmn_network_submit(network, slot, N - slot, &err));
    }
    for (int32_t slot = 0; slot < slots; slot++) {
      check_ok(pmn_network_collect(network, slot, part, &err));
      assert_memory_equal(part, whole + slot * (K + 1), (size_t)(N - slot) * (K + 1) * sizeof *part);
    }
    pmn_network_destroy(network);
    /* A network that has made rows before projects the next ones, k larger than d or not; but none under way. */
    void *input;
    float features[D];
    network = network_create(device, D, N);
    check_ok(pmn_network_input(network, 1, &input, &err));
    memcpy(input, p.x, D * sizeof(float));
    check_ok(pmn_network_submit(network, 1, 1, &err));
    check_fails(pmn_network_project(network, &p.map, &taken, &err), PMN_STATUS_ARGUMENT, "under way");
    check_ok(pmn_network_collect(network, 1, features, &err));
    check_ok(pmn_network_project(network, &p.map, &taken, &err));
    assert_true(taken);
    memcpy(input, p.x, (size_t)N * D * sizeof(float));
    check_ok(pmn_network_submit(network, 1, N, &err));
    check_ok(pmn_network_collect(network, 1, part, &err));
    assert_memory_equal(part, whole, (size_t)N * (K + 1) * sizeof *part);
    pmn_network_destroy(network);
    free(whole);
    free(part);
    pmn_device_close(device);
  }
  problem_destroy(&p);
}

/* One feature that is no number marks its picture, wherever it is, and no other. */
static void broken_features_are_told(void **state) {
  (void)state;
  enum { N = 3, D = 600, K = 90 };
  static const int places[] = {0, 1, 63, 64, 255, 256, 511, 512, D - 1};
  static const float breaks[] = {NAN, INFINITY, -INFINITY};
  problem p = problem_create(N, D, K);
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    pmn_network *network = projected_create(device, &p.map, N);
    float *good = rows_make(network, &p, 0, N);
    for (size_t i = 0; i < sizeof places / sizeof *places * 3; i++) {
      float *at = &p.x[D + places[i / 3]], kept = *at;
      *at = breaks[i % 3];
      float *y = rows_make(network, &p, 0, N);
      assert_true(y[K] == 0.0f && y[2 * K + 1] == 1.0f && y[3 * K + 2] == 0.0f);
      assert_memory_equal(y, good, (K + 1) * sizeof *y);
      assert_memory_equal(y + 2 * (K + 1), good + 2 * (K + 1), (K + 1) * sizeof *y);
      *at = kept;
      free(y);
    }
    free(good);
    pmn_network_destroy(network);
    pmn_device_close(device);
  }
  problem_destroy(&p);
}

/* Finite features, results that fp32 cannot hold: no feature is to blame. */
static void results_beyond_fp32_are_infinite(void **state) {
  (void)state;
  enum { D = 300, K = 3 };
  for (int c = 0; c < CONFIGS; c++) {
    problem p = problem_create(1, D, K);
    pmn_device *device = device_open(c);
    for (int i = 0; i < D; i++) {
      p.shift[i] = 0.0;
      p.scale[i] = 1.0;
      p.x[i] = FLT_MAX / 8;
      for (int j = 0; j < K; j++) p.components[j * D + i] = j == 0 ? 1.0 : j == 1 ? -1.0 : i == 299 ? 1.0 : 0.0;
    }
    if (device != NULL) {
      pmn_network *network = projected_create(device, &p.map, 1);
      float *y = rows_make(network, &p, 0, 1);
      assert_true(isinf(y[0]) && y[0] > 0 && isinf(y[1]) && y[1] < 0 && y[2] == FLT_MAX / 8 && y[3] == 0.0f);
      free(y);
      pmn_network_destroy(network);
    }
    pmn_device_close(device);
    problem_destroy(&p);
  }
}

/* What is not taken leaves the network as it was. */
static void refuse(pmn_device *device, const problem *p) {
  pmn_err err = PMN_ERR_INIT;
  bool taken = true;
  pmn_network *network = network_create(device, p->map.d, 1);
  float *y = need((size_t)p->map.d, sizeof *y);
  check_ok(pmn_network_project(network, &p->map, &taken, &err));
  assert_false(taken);
  check_ok(pmn_network_run(network, p->x, 1, y, &err));
  assert_memory_equal(y, p->x, (size_t)p->map.d * sizeof *y);
  free(y);
  pmn_network_destroy(network);
}

static void maps_that_do_not_fit_are_left_to_the_host(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    cl_ulong *buffer = &((pmn_ocl_device *)device)->buffer_bytes_max, kept = *buffer;
    problem p = problem_create(1, 40, 30);
    *buffer = 64 * sizeof(float); /* the features, but not the map */
    refuse(device, &p);
    *buffer = kept;
    if (!configs[c].fp64) {
      p.shift[39] = 1e300;
      refuse(device, &p);
      p.shift[39] = 0.0;
      p.scale[39] = 1e-300;
      refuse(device, &p);
    }
    problem_destroy(&p);
    pmn_device_close(device);
  }
  for (int i = 0; i < 2; i++) {
    pmn_device *device = NULL;
    pmn_device_options options = {.index = -1, .threads = 1};
    check_ok(pmn_device_open(pmn_backend_find(i == 0 ? "ref" : "cpu"), &options, &device, &err));
    problem p = problem_create(1, 40, 30);
    refuse(device, &p);
    problem_destroy(&p);
    pmn_device_close(device);
  }
}

static void a_network_is_projected_once_and_by_its_width(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  bool taken = true;
  problem p = problem_create(1, 40, 30), wider = problem_create(1, 41, 30), same = problem_create(1, 31, 30);
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    if (device == NULL) continue;
    pmn_network *network = network_create(device, 40, 1);
    check_fails(pmn_network_project(network, &wider.map, &taken, &err), PMN_STATUS_ARGUMENT, "41 columns");
    assert_false(taken);
    check_ok(pmn_network_project(network, &p.map, &taken, &err));
    assert_true(taken);
    float *before = rows_make(network, &p, 0, 1);
    check_fails(pmn_network_project(network, &same.map, &taken, &err), PMN_STATUS_ARGUMENT, "projected already");
    float *after = rows_make(network, &p, 0, 1);
    assert_memory_equal(before, after, 31 * sizeof *before);
    free(before);
    free(after);
    pmn_network_destroy(network);
    pmn_device_close(device);
  }
  problem_destroy(&p);
  problem_destroy(&wider);
  problem_destroy(&same);
}

/* Every allocation of our own fails once: the call says so, and the network goes on without. */
static void memory_may_run_out(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  int failures = 0;
  problem p = problem_create(1, 40, 30);
  for (int c = 0; c < CONFIGS; c++) {
    pmn_device *device = device_open(c);
    bool done = device == NULL;
    for (int64_t k = 0; !done; k++) {
      bool taken = true;
      float y[40];
      pmn_network *network = network_create(device, 40, 1);
      (void)pmn_mem_fail_after(k);
      pmn_status st = pmn_network_project(network, &p.map, &taken, &err);
      done = pmn_mem_fail_after(-1) <= k;
      assert_true(taken == (st == PMN_STATUS_OK));
      check_ok(pmn_network_run(network, p.x, 1, y, &err));
      if (st != PMN_STATUS_OK) {
        assert_int_equal(st, PMN_STATUS_NO_MEMORY);
        assert_memory_equal(y, p.x, sizeof y);
        failures++;
      }
      pmn_network_destroy(network);
    }
    pmn_device_close(device);
  }
  assert_true(failures >= 2);
  problem_destroy(&p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_what_the_fit_makes),
      cmocka_unit_test(long_sums_keep_their_digits),
      cmocka_unit_test(roundings_are_the_formulas),
      cmocka_unit_test(rows_do_not_depend_on_the_batch),
      cmocka_unit_test(rows_do_not_depend_on_the_slot),
      cmocka_unit_test(broken_features_are_told),
      cmocka_unit_test(results_beyond_fp32_are_infinite),
      cmocka_unit_test(maps_that_do_not_fit_are_left_to_the_host),
      cmocka_unit_test(a_network_is_projected_once_and_by_its_width),
      cmocka_unit_test(memory_may_run_out),
  };
  pmn_device_info info;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(&info, 1, &count, NULL) != PMN_STATUS_OK || count == 0) return 77;
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
