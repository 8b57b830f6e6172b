/* test_features.c - which features a run gives: layers, pooling, size and preprocessing, and what pmn_inspect says of
 * them. */
#include "extract_check.h"

#include <float.h>
#include <math.h>

enum { PIXELS = 7 * 7 };

/* Rows of a finished run; free() the data. */
static float *rows_of(pmn_extract_options *options, int64_t width) {
  options->overwrite = true;
  assert_int_equal(extract_counts(options).width, width);
  check_npy rows = check_npy_read(options->output);
  assert_int_equal(rows.dimensions, 2);
  assert_int_equal(rows.shape[0], options->limit);
  assert_int_equal(rows.shape[1], width);
  return rows.data;
}

static pmn_extract_options options_of(const char *const *layers, size_t count, const char *pool) {
  pmn_extract_options options = options_for(training, "out.npy");
  options.layers = layers;
  options.layer_count = count;
  options.pool = pool;
  options.limit = 2;
  return options;
}

/* The largest difference of two rows as a part of the largest value. */
static double difference(const float *a, const float *b, int64_t count) {
  double largest = 0, worst = 0;
  for (int64_t i = 0; i < count; i++) {
    largest = fmax(largest, fabs((double)b[i]));
    worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
  }
  return worst / largest;
}

/* Folded differently when an inner layer is looked at, so within rounding: 60 layers of sums of up to 1920 products. */
static const double rounding = 1e-5;

static void layers_side_by_side(void **state) {
  (void)state;
  const char *layers[] = {"head_relu", "head_bn", "head_relu"};
  pmn_extract_options options = options_of(layers, 3, NULL);
  float *rows = rows_of(&options, 3 * WIDTH);
  for (int r = 0; r < 2; r++) {
    const float *row = rows + r * 3 * WIDTH;
    assert_memory_equal(row, row + 2 * WIDTH, WIDTH * sizeof *row);
    assert_true(difference(row, base + r * WIDTH, WIDTH) < rounding);
    assert_true(difference(row + WIDTH, base + r * WIDTH, WIDTH) > 0.01); /* negative values are still there */
  }
  free(rows);
}

static void pooling(void **state) {
  (void)state;
  const char *layers[] = {"head_relu"};
  pmn_extract_options options = options_of(layers, 1, "none");
  float *all = rows_of(&options, PIXELS * WIDTH);
  options.pool = "max";
  float *largest = rows_of(&options, WIDTH);
  options.pool = "avg";
  float *mean = rows_of(&options, WIDTH);
  assert_memory_equal(mean, base, 2 * WIDTH * sizeof *base); /* what is taken anyway */
  for (int r = 0; r < 2; r++) {
    for (int c = 0; c < WIDTH; c++) {
      double sum = 0;
      float most = -INFINITY;
      for (int p = 0; p < PIXELS; p++) {
        float v = all[(r * PIXELS + p) * WIDTH + c];
        sum += (double)v;
        most = fmaxf(most, v);
      }
      assert_true(most == largest[r * WIDTH + c]);
      assert_true(fabs(sum / PIXELS - (double)mean[r * WIDTH + c]) <= 50 * (double)FLT_EPSILON * sum / PIXELS);
    }
  }
  free(all);
  free(largest);
  free(mean);
}

static void size_and_preprocessing(void **state) {
  (void)state;
  pmn_extract_options options = options_of(NULL, 0, NULL);
  options.preprocess = "lite"; /* the network's own */
  float *rows = rows_of(&options, WIDTH);
  assert_memory_equal(rows, base, 2 * WIDTH * sizeof *base);
  free(rows);
  options.preprocess = "unit";
  rows = rows_of(&options, WIDTH);
  assert_true(difference(rows, base, WIDTH) > 0.01);
  free(rows);
  options.preprocess = NULL;
  options.width = 97;
  options.height = 131;
  options.pool = "none";
  rows = rows_of(&options, 4 * 5 * WIDTH); /* halved five times, rounding up */
  free(rows);
}

/* The record says which numbers stand where, and how the pictures were prepared. */
static void record(void **state) {
  (void)state;
  const char *layers[] = {"stem_conv", "head_relu"};
  pmn_extract_options options = options_of(layers, 2, "max");
  options.width = options.height = 64;
  options.resize = "nearest";
  pmn_summary *summary;
  pmn_err err;
  check_ok(extract(&options, &summary, &err));
  json_t *all = json_loads(pmn_summary_record(summary), 0, NULL);
  json_t *features = json_object_get(all, "features");
  json_t *expected =
      json_pack("[{s:s, s:i}, {s:s, s:i}]", "layer", "stem_conv", "width", 32, "layer", "head_relu", "width", WIDTH);
  assert_true(json_equal(json_object_get(features, "layers"), expected));
  assert_string_equal(json_string_value(json_object_get(features, "pool")), "max");
  assert_string_equal(json_string_value(json_object_get(features, "network")), "efficientnet_lite0");
  const json_t *preprocess = json_object_get(features, "preprocess");
  assert_int_equal(json_integer_value(json_object_get(preprocess, "width")), 64);
  assert_string_equal(json_string_value(json_object_get(preprocess, "resize")), "nearest");
  assert_string_equal(json_string_value(json_object_get(preprocess, "name")), "lite");
  assert_string_equal(json_string_value(json_object_get(preprocess, "channels")), "RGB");
  json_decref(expected);
  json_decref(all);
  pmn_summary_destroy(summary);
}

static void wrong_names(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  const char *unknown[] = {"head_rely"};
  pmn_extract_options options = options_of(unknown, 1, NULL);
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "head_relu"); /* what is meant is said */
  options = options_of(NULL, 0, "median");
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "\"median\"");
  options = options_of(NULL, 0, NULL);
  options.preprocess = "imagenet";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "imagenet");
  options = options_of(NULL, 0, NULL);
  options.features = "mobilenetv2";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "mobilenet_v2");
  options = options_of(NULL, 0, NULL);
  options.width = 64;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "both");
  options.width = options.height = 8193;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "8192");
  options.width = options.height = 16;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "32");
  options = options_of(NULL, 0, NULL);
  options.features = "missing.onnx";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_NOT_FOUND, "missing.onnx");
}

/* What is asked of pixels that they do not have. Their values are Pillow's word: judge_pixels.py. */
static void wrong_pixels(void **state) {
  (void)state;
  pmn_summary *summary;
  pmn_err err;
  const char *layer[] = {"head_relu"};
  pmn_extract_options options = options_of(layer, 1, NULL);
  options.features = "pixels";
  options.width = options.height = 4;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "of networks");
  options.layer_count = 0;
  options.width = options.height = 0;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "--size");
  options.width = options.height = 4;
  options.preprocess = "imagenet";
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "\"imagenet\"");
  options.preprocess = "torch";
  options.gray = true;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "one channel");
  options.features = NULL;
  options.preprocess = NULL;
  options.width = options.height = 0;
  check_fails(extract(&options, &summary, &err), PMN_STATUS_ARGUMENT, "networks look at colours");
}

/* ---------------------------------------------------------------------------------------------------- inspect -- */

static const pmn_layer_info *layer_of(const pmn_inspection *inspection, const char *name) {
  int32_t count;
  const pmn_layer_info *layers = pmn_inspection_layers(inspection, &count);
  for (int32_t i = 0; i < count; i++) {
    if (strcmp(layers[i].name, name) == 0) return &layers[i];
  }
  fail_msg("no layer %s", name);
  return NULL;
}

static void inspected_network(void **state) {
  (void)state;
  pmn_inspection *inspection;
  pmn_err err;
  pmn_inspect_options options = PMN_INSPECT_OPTIONS_INIT;
  options.target = "vgg16";
  check_ok(pmn_inspect(&options, &inspection, &err));
  pmn_inspection_info info = pmn_inspection_get(inspection);
  assert_string_equal(info.name, "vgg16");
  assert_string_equal(info.features, "block5_pool");
  assert_null(info.sha256);
  assert_int_equal(info.parameters, 138357544); /* Keras 3.15: VGG16(weights=None).count_params() */
  const pmn_layer_info *layer = layer_of(inspection, "block1_conv2/linear");
  assert_string_equal(layer->shape, "224 x 224 x 64");
  assert_int_equal(layer->parameters, 64 * 64 * 9 + 64);
  assert_int_equal(layer->operations, (int64_t)224 * 224 * 64 * 64 * 9);
  json_t *all = json_loads(pmn_inspection_record(inspection), 0, NULL);
  assert_int_equal(json_integer_value(json_object_get(all, "parameters")), info.parameters);
  json_decref(all);
  pmn_inspection_destroy(inspection);

  options.width = options.height = 32; /* too small for the classifier: the rest is shown */
  check_ok(pmn_inspect(&options, &inspection, &err));
  assert_string_equal(layer_of(inspection, "block5_pool")->shape, "1 x 1 x 512");
  pmn_inspection_destroy(inspection);
}

static void nothing_to_inspect(void **state) {
  (void)state;
  pmn_inspection *inspection;
  pmn_err err;
  pmn_inspect_options options = PMN_INSPECT_OPTIONS_INIT;
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_ARGUMENT, "nothing to inspect");
  options.target = "mobilenet";
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_ARGUMENT, "no network is called \"mobilenet\"");
  options.target = in_folder("weights.h5");
  put_text(options.target, "Keras's, it says");
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_MODEL, "convert");
  options.target = "missing.safetensors";
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_NOT_FOUND, "missing");
  options.target = "missing.onnx";
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_NOT_FOUND, "missing");
  options.target = "vgg16";
  options.struct_size = 1;
  check_fails(pmn_inspect(&options, &inspection, &err), PMN_STATUS_ARGUMENT, "nothing to inspect");
}

static void listed_networks(void **state) {
  (void)state;
  static pmn_network_info list[64];
  pmn_err err;
  int32_t count, counted;
  check_ok(pmn_networks_list(list, 64, &count, &err));
  assert_in_range(count, 10, 64);
  assert_string_equal(list[0].name, "efficientnet_lite0");
  assert_true(list[0].embedded);
  check_ok(pmn_networks_list(NULL, 0, &counted, &err));
  assert_int_equal(counted, count);
  for (int32_t i = 0; i < count; i++) {
    pmn_inspection *inspection;
    pmn_inspect_options options = PMN_INSPECT_OPTIONS_INIT;
    options.target = list[i].name;
    check_ok(pmn_inspect(&options, &inspection, &err));
    layer_of(inspection, list[i].layer);
    pmn_inspection_destroy(inspection);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(layers_side_by_side),
      in_fresh_folder(pooling),
      in_fresh_folder(size_and_preprocessing),
      in_fresh_folder(record),
      in_fresh_folder(wrong_names),
      in_fresh_folder(wrong_pixels),
      cmocka_unit_test(inspected_network),
      in_fresh_folder(nothing_to_inspect),
      cmocka_unit_test(listed_networks),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
