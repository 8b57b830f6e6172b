/* test_ocl_tune.c - tunings of the OpenCL backend: none of them changes a bit, what a file says is believed only when
 * it is ours and whole, and the tuner keeps what it finishes. Looks behind the door. No OpenCL device is a visible
 * skip. */
#include "check_case.h"

#include "pmn_ocl_tuning.h"

#include <dirent.h>

pmn_device *compute_reference; /* of compute_apply, which nothing here calls */
compute_config compute_configs[COMPUTE_CONFIGS_MAX];
int compute_config_count;

enum { PICTURES = 3 };
static char cache[64];

/* Channels that no panel, vector or quad divides, and some that all or quads do. Every tuning runs on one of these;
 * compiling takes most of the time, so that bytes and activations, which are other programs, have every few tunings
 * only. */
static const compute_case convolutions[] = {
    {"conv_1", CONV, 5, 7, 1, 1, 1, 1, 1, 1, 0, 0, 5, 7, ""},
    {"conv_3_to_17", CONV, 9, 7, 3, 17, 3, 3, 2, 2, 1, 1, 5, 4, "C"},
    {"conv_17_residual", CONV, 6, 5, 17, 17, 3, 3, 1, 1, 2, 2, 6, 5, "R dilation=2x2"},
    {"conv_64_to_136_groups", CONV, 4, 9, 64, 136, 1, 1, 1, 1, 0, 0, 4, 9, "groups=2"},
};
static const compute_case stems[] = {
    {"bytes_3_to_64", CONV, 11, 9, 3, 64, 3, 3, 2, 2, 0, 0, 5, 4, "BC"},
};
static const compute_case activated[] = {
    {"conv_17_silu", CONV, 6, 5, 17, 17, 3, 3, 1, 1, 1, 1, 6, 5, "act=silu"},
};
/* Depths that no step divides, rows and channels that no tile divides. */
static const compute_case on_tensor_cores[] = {
    {"conv_8_to_8", CONV, 5, 7, 8, 8, 3, 3, 2, 2, 1, 1, 3, 4, "C"},
    {"conv_24_to_136_groups", CONV, 4, 9, 48, 272, 1, 1, 1, 1, 0, 0, 4, 9, "groups=2"},
    {"conv_40_residual", CONV, 9, 10, 40, 40, 3, 3, 1, 1, 2, 2, 9, 10, "R dilation=2x2 act=silu"},
};
static const compute_case depthwise[] = {
    {"depthwise_1", DEPTHWISE, 3, 5, 1, 1, 3, 3, 1, 1, 1, 1, 3, 5, ""},
    {"depthwise_3", DEPTHWISE, 7, 9, 3, 3, 3, 3, 2, 2, 1, 1, 4, 5, "C"},
    {"depthwise_17_residual", DEPTHWISE, 6, 7, 17, 17, 3, 3, 1, 1, 2, 2, 6, 7, "R dilation=2x2"},
    {"depthwise_64", DEPTHWISE, 8, 5, 64, 64, 5, 5, 1, 1, 2, 2, 8, 5, ""},
};
static const compute_case depthwise_activated[] = {
    {"depthwise_20_hard_swish", DEPTHWISE, 8, 5, 20, 20, 3, 3, 1, 1, 1, 1, 8, 5, "act=hard_swish"},
};

/* "tensor" is of fp16, and so are families behind "fp16 "; the others are of fp32. */
static pmn_device *device_open(const char *family) {
  pmn_err err = PMN_ERR_INIT;
  bool fp16 = strncmp(family, "fp16 ", 5) == 0;
  pmn_device_options options = {.index = -1, .threads = 1, .isa = fp16 ? family + 5 : family};
  if (fp16 || strcmp(family, "tensor") == 0) options.precision = PMN_PRECISION_FP16;
  pmn_device *device = NULL;
  check_ok(pmn_device_open(pmn_backend_find("opencl"), &options, &device, &err));
  return device;
}

static pmn_ocl_layer layer_of(const pmn_ocl_device *device, const case_program *p) {
  return (pmn_ocl_layer){
      pmn_ocl_launch_kernel(device, &p->program, p->op), p->op, &p->tensors[0], &p->tensors[1], PICTURES};
}

/* Three pictures in one network. The outcome is between fences, and NaN before. */
static float *case_run(pmn_device *device, const case_program *p, const compute_case *c) {
  void *input = case_input(c, PICTURES);
  float *y = compute_run(device, &p->program, input, PICTURES, PICTURES);
  free(input);
  return y;
}

/* ------------------------------------------------------------------------------------------------- candidates -- */

/* Every `step`-th tuning of a kernel on every case, held against what the rule gives: on the next case the one behind
 * it, for each takes PoCL a second to compile. */
static int tunings_check(const char *family, const compute_case *cases, size_t count, size_t step) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device *device = device_open(family);
  pmn_ocl_device *ocl = (pmn_ocl_device *)device;
  int checked = 0;
  for (size_t i = 0; i < count; i++) {
    case_program p;
    size_t tunings;
    case_init(&p, &cases[i]);
    pmn_ocl_layer layer = layer_of(ocl, &p);
    pmn_ocl_shape shape = pmn_ocl_shape_of(&layer);
    const pmn_ocl_tuning *table = pmn_ocl_tuning_table(ocl, layer.kernel, &tunings);
    size_t bytes = pmn_tensor_size(&p.tensors[1]) * PICTURES * sizeof(float);
    float *expected = case_run(device, &p, &cases[i]);
    for (size_t t = i % step; t < tunings; t += step, checked++) {
      char text[96];
      assert_true(pmn_ocl_tuning_fits(ocl, layer.kernel, &table[t]));
      check_ok(pmn_ocl_tuned_keep(ocl, &shape, &table[t], &err));
      pmn_ocl_tuning chosen = pmn_ocl_tuning_choose(ocl, &layer);
      assert_true(pmn_ocl_tuning_same(&chosen, &table[t]));
      float *y = case_run(device, &p, &cases[i]);
      pmn_ocl_tuning_print(ocl, layer.kernel, &table[t], text, sizeof text);
      if (memcmp(y, expected, bytes) != 0) fail_msg("%s, %s: %s changes bits", family, cases[i].name, text);
      free(y);
    }
    free(expected);
    case_reset(&p);
  }
  pmn_device_close(device);
  return checked;
}

#define ALL(cases) cases, sizeof cases / sizeof cases[0]

static void test_tile(void **state) {
  (void)state;
  assert_true(tunings_check("tile", ALL(convolutions), 4) == 25);
  assert_true(tunings_check("tile", ALL(stems), 9) == 3);
  assert_true(tunings_check("tile", ALL(activated), 9) == 3);
}

static void test_tensor(void **state) {
  (void)state;
  assert_true(tunings_check("tensor", ALL(on_tensor_cores), 3) == 10);
}

static void test_vector(void **state) {
  (void)state;
  assert_true(tunings_check("vector", ALL(convolutions), 4) == 18);
  assert_true(tunings_check("vector", ALL(stems), 7) == 3);
  assert_true(tunings_check("vector", ALL(activated), 7) == 3);
}

static void test_depthwise(void **state) {
  (void)state;
  assert_true(tunings_check("tile", ALL(depthwise), 4) == 27);
  assert_true(tunings_check("vector", ALL(depthwise), 4) == 15);
  assert_true(tunings_check("tile", ALL(depthwise_activated), 8) == 4);
  assert_true(tunings_check("vector", ALL(depthwise_activated), 4) == 4);
}

/* -------------------------------------------------------------------------------------------------------- rule -- */

/* What the rule gives a pointwise layer on a device of so many units. */
static pmn_ocl_tuning pointwise_rule(pmn_ocl_device *device, int32_t side, int32_t channels, int32_t n, int32_t units) {
  pmn_tensor in = {side, side, 8, 0}, out = {side, side, channels, 0};
  pmn_op op = pmn_op_init(PMN_OP_CONV2D, "pointwise", 0, 1);
  pmn_ocl_layer layer = {PMN_OCL_CONV2D, &op, &in, &out, n};
  int32_t before = device->base.info.compute_units;
  device->base.info.compute_units = units;
  pmn_ocl_tuning t = pmn_ocl_tuning_rule(device, &layer);
  device->base.info.compute_units = before;
  return t;
}

static void tile_is(pmn_ocl_tuning t, int32_t m, int32_t n, int32_t item_m) {
  assert_int_equal(t.values[PMN_OCL_TILE_M], m);
  assert_int_equal(t.values[PMN_OCL_TILE_N], n);
  assert_int_equal(t.values[PMN_OCL_ITEM_M], item_m);
}

static void test_rule(void **state) {
  (void)state;
  pmn_device *device = device_open("tile");
  pmn_ocl_device *ocl = (pmn_ocl_device *)device;
  tile_is(pointwise_rule(ocl, 56, 64, 64, 132), 64, 64, 8);
  tile_is(pointwise_rule(ocl, 56, 144, 64, 132), 64, 64, 8); /* 160 channels computed would not be a quarter less */
  tile_is(pointwise_rule(ocl, 56, 96, 64, 132), 128, 32, 8);
  tile_is(pointwise_rule(ocl, 56, 24, 64, 132), 128, 32, 8);
  tile_is(pointwise_rule(ocl, 56, 16, 64, 132), 128, 16, 4);
  tile_is(pointwise_rule(ocl, 56, 1, 64, 132), 128, 16, 4);
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 132), 32, 32, 4); /* 16 groups for 132 units */
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 9), 32, 32, 4);
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 8), 64, 64, 4); /* two for each */
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 3), 64, 64, 4);
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 2), 64, 64, 8); /* eight for each */
  ocl->group_max = 128;
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 2), 64, 64, 8);
  tile_is(pointwise_rule(ocl, 1, 1000, 64, 8), 32, 32, 4);
  pmn_device_close(device);
  device = device_open("vector");
  ocl = (pmn_ocl_device *)device;
  assert_int_equal(pointwise_rule(ocl, 1, 1000, 1, 2).values[PMN_OCL_PIXELS], 1);
  assert_int_equal(pointwise_rule(ocl, 7, 1000, 1, 2).values[PMN_OCL_PIXELS], 6);
  pmn_device_close(device);
}

/* -------------------------------------------------------------------------------------------------------- file -- */

/* Path of the one file of tunings. */
static void tuned_path(char path[512]) {
  char folder[128];
  int count = 0;
  snprintf(folder, sizeof folder, "%s/pomona", cache);
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
    if (strncmp(e->d_name, "tuned-", 6) != 0) continue;
    snprintf(path, 512, "%s/%s", folder, e->d_name);
    count++;
  }
  closedir(dir);
  assert_int_equal(count, 1);
}

static void tuned_remove(void) {
  char command[160];
  snprintf(command, sizeof command, "rm -f '%s'/pomona/tuned-*", cache);
  assert_int_equal(system(command), 0);
}

static long file_read(const char *path, char *bytes, size_t size) {
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  long count = (long)fread(bytes, 1, size, file);
  fclose(file);
  return count;
}

static void file_write(const char *path, const char *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
}

/* Shapes that a fresh device of the family finds in the file. */
static int32_t tuned_found(const char *family) {
  pmn_device *device = device_open(family);
  int32_t count = ((pmn_ocl_device *)device)->tuned_count;
  pmn_device_close(device);
  return count;
}

/* Keeps tunings for a row of a stem of 3 and of 4 channels; the second may be none of the table. */
static void tunings_write(pmn_ocl_tuning second) {
  pmn_err err = PMN_ERR_INIT;
  tuned_remove();
  pmn_device *device = device_open("vector");
  for (int32_t c = 3; c <= 4; c++) {
    pmn_ocl_shape shape = {{PMN_OCL_CONV2D, 0, 1, 1, c}};
    check_ok(pmn_ocl_tuned_keep((pmn_ocl_device *)device, &shape, c == 3 ? &(pmn_ocl_tuning){{8, 4}} : &second, &err));
  }
  pmn_device_close(device);
}

static void test_file(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_ocl_shape shape = {{PMN_OCL_CONV2D, 0, 1, 1, 3}};
  tunings_write((pmn_ocl_tuning){{12, 1}});
  assert_int_equal(tuned_found("vector"), 2);
  assert_int_equal(tuned_found("tile"), 0); /* other kernels */
  pmn_device *device = device_open("vector");
  const pmn_ocl_tuning *tuning = pmn_ocl_tuned_find((pmn_ocl_device *)device, &shape);
  assert_true(tuning != NULL && tuning->values[PMN_OCL_PIXELS] == 8 && tuning->values[PMN_OCL_BLOCKS] == 4);
  shape.numbers[1]++; /* another activation */
  assert_null(pmn_ocl_tuned_find((pmn_ocl_device *)device, &shape));
  shape.numbers[1]--;
  check_ok(pmn_ocl_tuned_keep((pmn_ocl_device *)device, &shape, NULL, &err));
  assert_null(pmn_ocl_tuned_find((pmn_ocl_device *)device, &shape));
  pmn_device_close(device);
  assert_int_equal(tuned_found("vector"), 1);
}

static void test_file_damaged(void **state) {
  (void)state;
  char path[512], bytes[1024];
  tunings_write((pmn_ocl_tuning){{12, 1}});
  tuned_path(path);
  size_t size = (size_t)file_read(path, bytes, sizeof bytes);
  assert_in_range(size, 150, 400);
  for (size_t cut = 0; cut < size; cut++) { /* line ends are among them */
    file_write(path, bytes, cut);
    assert_int_equal(tuned_found("vector"), 0);
  }
  for (size_t i = 0; i < size; i++) {
    bytes[i] ^= 1;
    file_write(path, bytes, size);
    assert_int_equal(tuned_found("vector"), 0);
    bytes[i] ^= 1;
  }
  file_write(path, bytes, size);
  assert_int_equal(tuned_found("vector"), 2);
}

/* With the right hash, and yet nothing that we would run. */
static void test_file_wrong(void **state) {
  (void)state;
  static const pmn_ocl_tuning wrong[] = {{{0, 0}}, {{7, 3}}, {{1000000, 1}}, {{8, 4, 1}}, {{64, 64, 16, 4, 4}}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    tunings_write(wrong[i]);
    assert_int_equal(tuned_found("vector"), 0);
  }
  pmn_err err = PMN_ERR_INIT;
  tuned_remove();
  pmn_device *device = device_open("vector");
  for (int32_t kernel = PMN_OCL_GLOBAL_AVERAGE_POOL; kernel <= PMN_OCL_KERNEL_COUNT; kernel++) {
    pmn_ocl_shape shape = {{kernel}};
    check_ok(pmn_ocl_tuned_keep((pmn_ocl_device *)device, &shape, &(pmn_ocl_tuning){{8, 4}}, &err));
    assert_int_equal(tuned_found("vector"), 0);
    check_ok(pmn_ocl_tuned_keep((pmn_ocl_device *)device, &shape, NULL, &err));
  }
  pmn_device_close(device);
}

/* A whole file of another driver, under the name of ours; and one that this device cannot run. */
static void test_file_foreign(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char path[512], bytes[1024];
  tunings_write((pmn_ocl_tuning){{12, 1}});
  tuned_path(path);
  long size = file_read(path, bytes, sizeof bytes);
  tuned_remove();
  pmn_device *device = device_open("vector");
  pmn_ocl_device *ocl = (pmn_ocl_device *)device;
  pmn_ocl_shape shape = {{PMN_OCL_CONV2D, 0, 1, 1, 5}};
  snprintf(ocl->base.info.driver, sizeof ocl->base.info.driver, "another");
  check_ok(pmn_ocl_tuned_keep(ocl, &shape, &(pmn_ocl_tuning){{8, 4}}, &err));
  tuned_path(path);
  pmn_ocl_tuned_reset(ocl);
  pmn_ocl_tuned_load(ocl);
  assert_int_equal(ocl->tuned_count, 1);
  file_write(path, bytes, (size_t)size);
  pmn_ocl_tuned_reset(ocl);
  pmn_ocl_tuned_load(ocl);
  assert_int_equal(ocl->tuned_count, 0);
  pmn_device_close(device);
  tunings_write((pmn_ocl_tuning){{12, 1}});
  device = device_open("vector");
  ocl = (pmn_ocl_device *)device;
  pmn_ocl_tuned_reset(ocl);
  ocl->group_max = 0;
  pmn_ocl_tuned_load(ocl);
  assert_int_equal(ocl->tuned_count, 0);
  pmn_device_close(device);
  tuned_remove();
}

/* ------------------------------------------------------------------------------------------------------- tuner -- */

typedef struct watcher {
  int32_t calls, layers[2], totals[2], tried[2];
  bool kept[2];
  volatile sig_atomic_t stop;
  bool stops;
} watcher;

static void on_layer(void *arg, const pmn_tuned_layer *l) {
  watcher *w = arg;
  assert_in_range(l->index, 1, 2);
  assert_int_equal(l->index, ++w->calls);
  assert_int_equal(l->wrong, 0);
  assert_true(l->default_seconds > 0 && l->seconds > 0);
  assert_non_null(strstr(l->shape, "depthwise 3x3/1 9x9x"));
  w->layers[l->index - 1] = l->layers;
  w->totals[l->index - 1] = l->total;
  w->tried[l->index - 1] = l->right + l->refused;
  w->kept[l->index - 1] = l->kept;
  if (w->stops) w->stop = 1;
}

/* Three depthwise layers, of which the first and the last have one shape, and one that has no tunings. */
static pmn_status tuner_run(pmn_device *device, watcher *w, pmn_err *err) {
  float weights[9 * 8], bias[8] = {0};
  for (int i = 0; i < 72; i++) weights[i] = (float)(i % 5) - 2.0f;
  pmn_tensor tensors[] = {{9, 9, 8, 0}, {9, 9, 8, 0}, {9, 9, 8, 656}, {9, 9, 8, 0}, {1, 1, 8, 656}};
  pmn_op ops[4];
  for (int i = 0; i < 3; i++) {
    ops[i] = pmn_op_init(PMN_OP_DEPTHWISE_CONV2D, "depthwise", i, i + 1);
    ops[i].kernel_h = ops[i].kernel_w = 3;
    ops[i].pad_top = ops[i].pad_left = 1;
    ops[i].weights = weights;
    ops[i].bias = bias;
  }
  ops[1].activation = PMN_ACTIVATION_LEAKY_RELU;
  ops[2].residual = 1;
  ops[3] = pmn_op_init(PMN_OP_GLOBAL_AVERAGE_POOL, "pool", 3, 4);
  tensors[3].arena_offset = 1312;
  pmn_program program = {
      .tensors = tensors, .ops = ops, .tensor_count = 5, .op_count = 4, .input = 0, .output = 4, .arena_size = 2000};
  pmn_tune_watch watch = {on_layer, w, &w->stop};
  return pmn_device_tune(device, &program, 4, &watch, err);
}

static void tuner_check(const char *family) {
  pmn_err err = PMN_ERR_INIT;
  tuned_remove();
  pmn_device *device = device_open(family);
  watcher w = {0};
  check_ok(tuner_run(device, &w, &err));
  assert_int_equal(w.calls, 2);
  assert_int_equal(w.layers[0], 2);
  assert_int_equal(w.layers[1], 1);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(w.totals[i], 2);
    assert_int_equal(w.tried[i], 14); /* of 15 one is the default */
  }
  assert_int_equal(((pmn_ocl_device *)device)->tuned_count, w.kept[0] + w.kept[1]);
  pmn_device_close(device);
  assert_int_equal(tuned_found(family), w.kept[0] + w.kept[1]);
}

static void test_tuner(void **state) {
  (void)state;
  tuner_check("vector");
  tuner_check("fp16 vector");
}

static void test_tuner_stops(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  tuned_remove();
  pmn_device *device = device_open("vector");
  watcher w = {.stops = true};
  check_fails(tuner_run(device, &w, &err), PMN_STATUS_INTERRUPTED, "kept");
  assert_int_equal(w.calls, 1);
  char path[512];
  tuned_path(path); /* there is one, of what was finished */
  pmn_device_close(device);
  assert_int_equal(tuned_found("vector"), w.kept[0]);
}

static void test_tuner_refuses(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  watcher w = {0};
  pmn_device *device = NULL;
  pmn_device_options options = {.index = -1, .threads = 1};
  check_ok(pmn_device_open(pmn_backend_find("cpu"), &options, &device, &err));
  check_fails(tuner_run(device, &w, &err), PMN_STATUS_ARGUMENT, "nothing to tune");
  pmn_device_close(device);
  device = device_open("vector");
  setenv("XDG_CACHE_HOME", "/dev/null", 1);
  check_fails(tuner_run(device, &w, &err), PMN_STATUS_NOT_FOUND, "cache");
  setenv("XDG_CACHE_HOME", cache, 1);
  pmn_device_close(device);
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  int32_t count = 0;
  if (pmn_backend_find("opencl")->devices(NULL, 0, &count, &err) != PMN_STATUS_OK || count == 0) {
    print_message("[  SKIPPED ] no OpenCL device %s\n", err.message);
    return 77;
  }
  check_folder(cache);
  setenv("XDG_CACHE_HOME", cache, 1);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rule),
      cmocka_unit_test(test_file),
      cmocka_unit_test(test_file_damaged),
      cmocka_unit_test(test_file_wrong),
      cmocka_unit_test(test_file_foreign),
      cmocka_unit_test(test_tuner),
      cmocka_unit_test(test_tuner_stops),
      cmocka_unit_test(test_tuner_refuses),
      cmocka_unit_test(test_depthwise),
      cmocka_unit_test(test_vector),
      cmocka_unit_test(test_tile),
      cmocka_unit_test(test_tensor),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  int failures = cmocka_run_group_tests_name("compute opencl tunings", tests, NULL, NULL);
  if (failures == 0) check_folder_remove(cache);
  return failures != 0;
}
