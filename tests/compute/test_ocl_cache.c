/* test_ocl_cache.c - what the OpenCL backend keeps in the cache folder: binaries of kernels and the verdict on a
 * device. Whatever happens to the files, answers stay the same. No OpenCL device is a visible skip. */
#include "check.h"

#include "pmn_selfcheck.h"

#include <dirent.h>
#include <math.h>

static char cache[64];

static int64_t stamp; /* of the files seen last: times of writing, added up */

/* Number of files of the cache that begin with `prefix`; each is put through `damage` if that is not NULL. */
static int cache_files(const char *prefix, void (*damage)(const char *path)) {
  char folder[128], path[512];
  int count = 0;
  stamp = 0;
  snprintf(folder, sizeof folder, "%s/pomona", cache);
  DIR *dir = opendir(folder);
  if (dir == NULL) return 0;
  for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    if (strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
    count++;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    if (damage != NULL) damage(path);
    struct stat info;
    if (stat(path, &info) == 0) stamp += (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
  }
  closedir(dir);
  return count;
}

static long file_size(const char *path) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  return (long)info.st_size;
}

static void damage_empty(const char *path) {
  assert_int_equal(truncate(path, 0), 0);
}
static void damage_cut(const char *path) {
  assert_int_equal(truncate(path, file_size(path) / 2), 0);
}
static void damage_byte(const char *path) {
  FILE *file = fopen(path, "r+b");
  assert_non_null(file);
  fseek(file, file_size(path) / 2, SEEK_SET);
  int byte = fgetc(file);
  fseek(file, -1, SEEK_CUR);
  fputc(byte ^ 1, file);
  assert_int_equal(fclose(file), 0);
}
static void damage_nothing(const char *path) {
  (void)path;
}
static void damage_remove(const char *path) {
  assert_int_equal(unlink(path), 0);
}

static pmn_device *device_open(const char *family) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = family};
  pmn_device *device = NULL;
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return device;
}

/* A depthwise convolution and a pool: two kernels. */
static void network_check(void) {
  pmn_err err = PMN_ERR_INIT;
  float weights[9 * 4], bias[4] = {0, 1, 2, 3}, input[5 * 5 * 4], y[4];
  for (int i = 0; i < 36; i++) weights[i] = 1;
  for (int i = 0; i < 100; i++) input[i] = (float)(i % 4);
  pmn_tensor tensors[] = {{5, 5, 4, 0}, {3, 3, 4, 0}, {1, 1, 4, 48}};
  pmn_op ops[] = {
      pmn_op_init(PMN_OP_DEPTHWISE_CONV2D, "depthwise", 0, 1), pmn_op_init(PMN_OP_GLOBAL_AVERAGE_POOL, "pool", 1, 2)};
  ops[0].kernel_h = ops[0].kernel_w = 3;
  ops[0].weights = weights;
  ops[0].bias = bias;
  ops[1].clamp_max = 25;
  pmn_program program = {
      .tensors = tensors, .ops = ops, .tensor_count = 3, .op_count = 2, .input = 0, .output = 2, .arena_size = 64};
  pmn_device *device = device_open(NULL);
  pmn_network *network = NULL;
  check_ok(pmn_network_create(device, &program, 1, &network, &err));
  check_ok(pmn_network_run(network, input, 1, y, &err));
  pmn_network_destroy(network);
  pmn_device_close(device);
  const float expected[] = {0, 10, 20, 25}; /* 9 c + c, clamped */
  assert_memory_equal(y, expected, sizeof y);
}

static void test_binaries(void **state) {
  (void)state;
  void (*const damages[])(const char *) = {damage_nothing, damage_empty, damage_cut, damage_byte, damage_remove};
  network_check();
  assert_int_equal(cache_files("opencl-", NULL), 2);
  for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
    assert_int_equal(cache_files("opencl-", damages[i]), 2);
    int64_t before = stamp;
    network_check();
    assert_int_equal(cache_files("opencl-", NULL), 2);
    assert_true(i == 0 ? stamp == before : stamp != before); /* whole files are used, others replaced */
  }
}

static void test_no_cache_folder(void **state) {
  (void)state;
  setenv("XDG_CACHE_HOME", "/dev/null", 1);
  network_check();
  setenv("XDG_CACHE_HOME", cache, 1);
}

static void test_selfcheck(void **state) {
  (void)state;
  static const char *const families[] = {"vector", "tile"};
  pmn_err err = PMN_ERR_INIT;
  bool cached = true;
  double ratio = -1.0, again = -1.0;
  for (int f = 0; f < 2; f++) {
    pmn_device *device = device_open(families[f]);
    check_ok(pmn_selfcheck_run(device, &cached, &ratio, &err));
    print_message("%s, %s: error %.4f of its bound\n", device->info.name, families[f], ratio);
    assert_true(!cached && ratio > 0.0 && ratio < 1.0);
    assert_int_equal(cache_files("check-", NULL), f + 1);
    check_ok(pmn_selfcheck_run(device, &cached, &again, &err));
    assert_true(cached && fabs(again - ratio) < 1e-5);
    pmn_device_close(device);
  }
  cache_files("check-", damage_cut);
  pmn_device *device = device_open(families[0]);
  check_ok(pmn_selfcheck_run(device, &cached, &again, &err));
  assert_false(cached);
  pmn_device_close(device);
}

/* Describing has verdicts of its own, one for each kind. */
static void test_selfcheck_describe(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  bool cached = true;
  cache_files("check-", damage_remove);
  pmn_device *device = device_open(NULL);
  for (int kind = PMN_DESCRIPTOR_SIFT; kind <= (int)PMN_DESCRIPTOR_ORB; kind++) {
    check_ok(pmn_selfcheck_describe(device, (pmn_descriptor_kind)kind, &cached, &err));
    assert_false(cached);
    assert_int_equal(cache_files("check-", NULL), kind + 1);
    check_ok(pmn_selfcheck_describe(device, (pmn_descriptor_kind)kind, &cached, &err));
    assert_true(cached);
  }
  pmn_device_close(device);
}

static void test_family_unknown(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = "avx2"};
  pmn_device *device = NULL;
  check_fails(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err), PMN_STATUS_DEVICE, "\"tile\"");
}

int main(void) {
  pmn_err err = PMN_ERR_INIT;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(NULL, 0, &count, &err) != PMN_STATUS_OK || count == 0) {
    print_message("[  SKIPPED ] no OpenCL device %s\n", err.message);
    return 77;
  }
  check_folder(cache);
  setenv("XDG_CACHE_HOME", cache, 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_binaries),
      cmocka_unit_test(test_no_cache_folder),
      cmocka_unit_test(test_selfcheck),
      cmocka_unit_test(test_selfcheck_describe),
      cmocka_unit_test(test_family_unknown),
  };
  int failures = cmocka_run_group_tests_name("compute opencl cache", tests, NULL, NULL);
  if (failures == 0) check_folder_remove(cache);
  return failures != 0;
}
