/* test_networks.c - the networks of the zoo, whole, on every backend of this machine.
 *
 * Features are held against timm and Keras (tests/golden/features_README.md) on real pictures, from the JPEG on; bits
 * against bits for batches and threads, on pictures made here. `ref` sums in fp64, one value at a time, and gets two
 * pictures; under a sanitizer the others get fewer too, since the code is the same for every one.
 */
#include "check.h"
#include "pmn_backend.h"
#include "pmn_file.h"
#include "pmn_image.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_source.h"
#include "seeded_weights.h"

#include <jansson.h>
#include <math.h>

enum { SIDE = 224, PICTURE = SIDE * SIDE * 3, GOLDEN = 12, CLASSES = 1000, GRANNY_SMITH = 948 };
#ifdef __SANITIZE_ADDRESS__
enum { MANY = 19, LARGE = 16, FOLDER_MAX = 5, ALL_SETS = 2 };
#else
enum { MANY = 70, LARGE = 64, FOLDER_MAX = 30, ALL_SETS = GOLDEN };
#endif

static char folder[64], seeded_path[128];

/* ------------------------------------------------------------------------------------------------ what it takes -- */

/* Of which layer a model is to give the values; NULL: what it gives if none is asked for. */
static const char *const features = NULL, *const logits = "predictions/logits";

static pmn_model_options options_for(const char *name, const char *const *layer) {
  return (pmn_model_options){
      .network = name, .layers = layer, .layer_count = *layer != NULL, .pooling = PMN_POOLING_AVERAGE};
}

static pmn_model *open_model(const char *name, const char *layer) {
  pmn_err err = PMN_ERR_INIT;
  pmn_model *model = NULL;
  pmn_model_options options = options_for(name, &layer);
  if (pmn_architecture_find(name)->embedded == NULL) options.weights = seeded_path;
  check_ok(pmn_model_create(&options, &model, &err));
  assert_int_equal(pmn_model_preprocess(model)->width, SIDE);
  assert_int_equal(pmn_model_preprocess(model)->height, SIDE);
  return model;
}

/* NULL, and a line that says why, when this machine cannot. */
static pmn_device *open_device(const char *backend, const char *isa, int32_t threads) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = threads, .isa = isa};
  pmn_device *device = NULL;
  pmn_status status = pmn_device_open(pmn_backend_find(backend), &options, &device, &err);
  if (status != PMN_STATUS_OK) {
    print_message("[  SKIPPED ] %s %s: %s\n", backend, isa == NULL ? "" : isa, err.message);
    assert_int_equal(status, PMN_STATUS_DEVICE);
  }
  return device;
}

/* Outputs of n pictures, `batch` at a time. free() the result. */
static float *run(pmn_device *device, const pmn_model *model, const uint8_t *pictures, int n, int batch) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  size_t width = (size_t)pmn_model_width(model);
  float *y = malloc((size_t)n * width * sizeof *y);
  assert_non_null(y);
  for (size_t i = 0; i < (size_t)n * width; i++) y[i] = NAN;
  check_ok(pmn_network_create(device, pmn_model_program(model), batch, &network, &err));
  for (int done = 0; done < n; done += batch) {
    int count = n - done < batch ? n - done : batch;
    check_ok(pmn_network_run(network, pictures + (size_t)done * PICTURE, count, y + (size_t)done * width, &err));
  }
  pmn_network_destroy(network);
  return y;
}

/* A picture of the data set as the network sees it; false when it is not the one with this SHA-256 (NULL: any). */
static bool load(const char *path, const char *sha256, const char *resize, uint8_t *out) {
  pmn_err err = PMN_ERR_INIT;
  pmn_image_limits limits = PMN_IMAGE_LIMITS_DEFAULT;
  pmn_decoder *decoder = NULL;
  pmn_resampler *resampler = NULL;
  pmn_image image;
  pmn_filter filter;
  pmn_buf bytes;
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_buf_init(&bytes, 1 << 20);
  if (pmn_file_read(path, &bytes, &err) != PMN_STATUS_OK) {
    pmn_buf_reset(&bytes);
    return false;
  }
  const void *data = bytes.data;
  check_ok(pmn_sha256_hex(&data, &bytes.size, 1, hex, &err));
  bool same = sha256 == NULL || strcmp(hex, sha256) == 0;
  if (same) {
    assert_true(pmn_filter_find(resize, &filter));
    check_ok(pmn_decoder_create(&limits, &decoder, &err));
    check_ok(pmn_decoder_run(decoder, bytes.data, bytes.size, &image, &err));
    check_ok(pmn_resampler_create(filter, SIDE, SIDE, &resampler, &err));
    check_ok(pmn_resampler_run(resampler, &image, out, &err));
  }
  pmn_resampler_destroy(resampler);
  pmn_decoder_destroy(decoder);
  pmn_buf_reset(&bytes);
  return same;
}

/* The pictures of a golden file; the test is skipped when they are not there, or not the same. */
static uint8_t *load_golden(const char *csv, const char *network, bool is_granny[GOLDEN]) {
  const char *root = check_fruits();
  if (root == NULL) {
    print_message("no pictures: ../shared/fruits-360 and POMONA_FRUITS are missing\n");
    check_skip();
  }
  char path[4096], line[512];
  snprintf(path, sizeof path, PMN_SOURCE_DIR "/tests/golden/%s", csv);
  FILE *file = fopen(path, "r");
  uint8_t *pictures = malloc((size_t)GOLDEN * PICTURE);
  assert_non_null(file);
  assert_non_null(pictures);
  int count = -1; /* the heading */
  bool same = true;
  for (; same && fgets(line, sizeof line, file) != NULL; count++) {
    if (count < 0) continue;
    assert_in_range(count, 0, GOLDEN - 1);
    char *comma = strchr(line, ',');
    assert_non_null(comma);
    comma[1 + strcspn(comma + 1, "\r\n")] = *comma = '\0';
    snprintf(path, sizeof path, "%s/%s", root, line);
    is_granny[count] = strstr(line, "Granny Smith") != NULL;
    same = load(path, comma + 1, pmn_architecture_find(network)->resize, pictures + (size_t)count * PICTURE);
  }
  fclose(file);
  if (!same) {
    free(pictures);
    print_message("%s is missing or not the picture of the golden: another release of the data set?\n", path);
    check_skip();
  }
  assert_int_equal(count, GOLDEN);
  return pictures;
}

/* Pictures made of nothing: soft gradients with a patch of noise, all different. */
static uint8_t *make_pictures(int n) {
  uint8_t *pictures = malloc((size_t)n * PICTURE);
  assert_non_null(pictures);
  uint32_t random = 1;
  for (int i = 0; i < n; i++) {
    for (int at = 0; at < PICTURE; at++) {
      int x = at / 3 % SIDE, y = at / 3 / SIDE, c = at % 3;
      random = random * 1664525u + 1013904223u;
      bool noise = abs(x - 3 * i) < 30 && abs(y - 112) < 40;
      pictures[(size_t)i * PICTURE + (size_t)at] =
          (uint8_t)(noise ? random >> 24 : (uint32_t)(x * (c + 1) / 3 + y * (i % 5) / 5 + 7 * i) & 255u);
    }
  }
  return pictures;
}

/* ------------------------------------------------------------------------------------------------------ goldens -- */

/* Largest difference over largest value, of the first n rows. */
static double difference(const float *y, const check_npy *golden, int n) {
  const float *expected = golden->data;
  double most = 0.0, largest = 0.0;
  for (int64_t i = 0; i < golden->shape[0] * golden->shape[1]; i++) largest = fmax(largest, fabsf(expected[i]));
  for (int64_t i = 0; i < n * golden->shape[1]; i++) {
    double d = fabs((double)y[i] - (double)expected[i]);
    if (!(d <= most)) most = d; /* NaN sticks */
  }
  return most / largest;
}

static const struct {
  const char *backend, *isa;
  int pictures;
} configs[] = {
    {"ref", NULL, 2},
    {"cpu", "baseline", ALL_SETS},
    {"cpu", "avx2", ALL_SETS},
    {"cpu", "avx512", ALL_SETS},
    {"opencl", NULL, GOLDEN},
};

static void check_golden(const char *network, const char *layer, const char *golden_path, const char *csv) {
  bool is_granny[GOLDEN];
  uint8_t *pictures = load_golden(csv, network, is_granny);
  check_npy golden = check_npy_read(golden_path);
  pmn_model *model = open_model(network, layer);
  assert_int_equal(golden.shape[0], GOLDEN);
  assert_int_equal(golden.shape[1], pmn_model_width(model));
  int checked = 0;
  for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
    pmn_device *device = open_device(configs[i].backend, configs[i].isa, 2);
    if (device == NULL) continue;
    float *y = run(device, model, pictures, configs[i].pictures, configs[i].pictures);
    double d = difference(y, &golden, configs[i].pictures);
    print_message("%s %s, %s %s: %.2g of the largest\n", network, layer != NULL ? layer : "features",
        configs[i].backend, configs[i].isa == NULL ? device->info.driver : configs[i].isa, d);
    assert_true(d < 1e-4);
    checked++;
    free(y);
    pmn_device_close(device);
  }
  assert_true(checked >= 2); /* ref and the baseline are everywhere */
  pmn_model_destroy(model);
  free(golden.data);
  free(pictures);
}

static void test_efficientnet_lite0(void **state) {
  (void)state;
  check_golden("efficientnet_lite0", features, "tests/golden/features_efficientnet_lite0.npy",
      "features_efficientnet_lite0.csv");
}

static void test_efficientnet_lite0_logits(void **state) {
  (void)state;
  check_golden("efficientnet_lite0", logits, "tests/golden/features_efficientnet_lite0_logits.npy",
      "features_efficientnet_lite0.csv");
}

static void test_mobilenet_v2(void **state) {
  (void)state;
  check_golden(
      "mobilenet_v2", features, "tests/golden/features_mobilenet_v2_seeded.npy", "features_mobilenet_v2_seeded.csv");
}

/* First class of a row of logits, and its share by softmax. */
static int first_class(const float *row, double *share) {
  int first = 0;
  double sum = 0.0;
  for (int i = 1; i < CLASSES; i++) {
    if (row[i] > row[first]) first = i;
  }
  for (int i = 0; i < CLASSES; i++) sum += exp((double)row[i] - (double)row[first]);
  *share = 1.0 / sum;
  return first;
}

static void test_granny_smith(void **state) {
  (void)state;
  bool is_granny[GOLDEN];
  double share;
  uint8_t *pictures = load_golden("features_efficientnet_lite0.csv", "efficientnet_lite0", is_granny);
  pmn_model *model = open_model("efficientnet_lite0", logits);
  pmn_device *device = open_device("cpu", NULL, 2);
  float *y = run(device, model, pictures, GOLDEN, GOLDEN);
  int grannies = 0;
  for (int i = 0; i < GOLDEN; i++) {
    if (!is_granny[i]) continue;
    grannies++;
    assert_int_equal(first_class(y + i * CLASSES, &share), GRANNY_SMITH);
    assert_true(share > 0.8);
  }
  assert_int_equal(grannies, 3);
  free(y);
  free(pictures);

  pmn_err err = PMN_ERR_INIT;
  char path[4096];
  snprintf(path, sizeof path, "%s/Test/Apple Granny Smith 1", check_fruits());
  const char *source = path;
  pmn_source_options options = {.sources = &source, .source_count = 1, .label_level = -1, .limit = FOLDER_MAX};
  pmn_listing *listing = NULL;
  check_ok(pmn_listing_create(&options, &listing, &err));
  int count = (int)pmn_listing_count(listing);
  assert_int_equal(count, FOLDER_MAX);
  pictures = malloc((size_t)count * PICTURE);
  assert_non_null(pictures);
  for (int i = 0; i < count; i++) {
    assert_true(load(pmn_listing_item(listing, i).path, NULL, "bicubic", pictures + (size_t)i * PICTURE));
  }
  y = run(device, model, pictures, count, count);
  for (int i = 0; i < count; i++) {
    int first = first_class(y + i * CLASSES, &share);
    if (first != GRANNY_SMITH) fail_msg("%s: class %d", pmn_listing_item(listing, i).path, first);
  }
  pmn_listing_destroy(listing);
  free(y);
  free(pictures);
  pmn_device_close(device);
  pmn_model_destroy(model);
}

/* --------------------------------------------------------------------------------------------------------- bits -- */

static void same_rows(const float *x, const float *y, int n, size_t width, const char *what) {
  for (int i = 0; i < n; i++) {
    if (memcmp(x + (size_t)i * width, y + (size_t)i * width, width * sizeof *x) != 0)
      fail_msg("%s: picture %d", what, i);
  }
}

/* Whatever the batch, the threads and the neighbours, the same bits. */
static void check_bits(const char *network, const char *backend, int n, const int *batches, int batch_count) {
  pmn_device *one = open_device(backend, NULL, 1);
  if (one == NULL) check_skip();
  pmn_model *model = open_model(network, features);
  size_t width = (size_t)pmn_model_width(model);
  uint8_t *pictures = make_pictures(n);
  float *expected = run(one, model, pictures, n, 1);
  /* Pictures that all gave the same row would prove nothing. */
  assert_memory_not_equal(expected, expected + width, width * sizeof *expected);
  for (int threads = 1; threads <= 2; threads++) {
    pmn_device *device = open_device(backend, NULL, threads);
    for (int i = 0; i < batch_count; i++) {
      char what[96];
      snprintf(what, sizeof what, "%s on %s, %d threads, batch %d", network, backend, threads, batches[i]);
      float *y = run(device, model, pictures, n, batches[i]);
      same_rows(y, expected, n, width, what);
      free(y);
    }
    pmn_device_close(device);
  }
  /* Back to front: every picture has other neighbours and another place. */
  uint8_t *reversed = malloc((size_t)n * PICTURE);
  assert_non_null(reversed);
  for (int i = 0; i < n; i++) memcpy(reversed + (size_t)i * PICTURE, pictures + (size_t)(n - 1 - i) * PICTURE, PICTURE);
  float *y = run(one, model, reversed, n, batches[batch_count - 1]);
  for (int i = 0; i < n; i++)
    same_rows(y + (size_t)(n - 1 - i) * width, expected + (size_t)i * width, 1, width, "reversed");
  free(y);
  free(reversed);
  free(expected);
  free(pictures);
  pmn_model_destroy(model);
  pmn_device_close(one);
}

static void test_bits_cpu(void **state) {
  (void)state;
  check_bits("efficientnet_lite0", "cpu", MANY, (int[]){7, LARGE}, 2);
  check_bits("mobilenet_v2", "cpu", 9, (int[]){1, 7}, 2);
}

static void test_bits_opencl(void **state) {
  (void)state;
  check_bits("efficientnet_lite0", "opencl", 4, (int[]){1, 3}, 2);
  check_bits("mobilenet_v2", "opencl", 4, (int[]){1, 3}, 2);
}

/* ------------------------------------------------------------------------------------------------ weights files -- */

static void read_seeded(pmn_buf *bytes) {
  pmn_err err = PMN_ERR_INIT;
  pmn_buf_init(bytes, 100 << 20);
  check_ok(pmn_file_read(seeded_path, bytes, &err));
}

static uint32_t bits_at(const pmn_weight *w, size_t index) {
  uint32_t bits;
  memcpy(&bits, (const char *)w->data + 4 * index, 4);
  return bits;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The generator against the numbers of features_README.md, which Python wrote. */
static void test_seeded_weights(void **state) {
  (void)state;
  static const struct {
    const char *name;
    uint32_t first, second, last;
  } tensors[] = {
      {"Conv1/kernel", 0x3c2ee81f, 0x3dd481d9, 0x3d18c604},
      {"bn_Conv1/gamma", 0x3f8a7080, 0x3f4eeadf, 0x3f717a57},
      {"expanded_conv_depthwise/depthwise_kernel", 0xbf3a51a8, 0x3f19a027, 0x3f45e464},
      {"block_1_expand/kernel", 0x3ea3f022, 0xbe87cbd2, 0xbf17c94a},
      {"Conv_1_bn/moving_variance", 0x3f5fe9e8, 0x3f16358b, 0x3f9752d4},
      {"predictions/bias", 0x3b2e229a, 0xbcb9962d, 0xbd428526},
  };
  enum { COUNT = 262 };
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_safetensors *st = NULL;
  read_seeded(&bytes);
  check_ok(pmn_safetensors_create(bytes.data, bytes.size, seeded_path, &st, &err));
  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
    const pmn_weight *w = pmn_safetensors_find(st, tensors[i].name);
    assert_non_null(w);
    assert_int_equal(bits_at(w, 0), tensors[i].first);
    assert_int_equal(bits_at(w, 1), tensors[i].second);
    assert_int_equal(bits_at(w, w->size / 4 - 1), tensors[i].last);
  }
  uint64_t length;
  memcpy(&length, bytes.data, sizeof length);
  json_t *header = json_loadb(bytes.data + 8, (size_t)length, 0, NULL);
  assert_int_equal(json_object_size(header), COUNT);
  const char *names[COUNT], *name;
  const void *parts[COUNT];
  size_t sizes[COUNT], count = 0, floats = 0;
  json_t *value;
  json_object_foreach(header, name, value) names[count++] = name;
  qsort(names, COUNT, sizeof *names, by_text);
  for (int i = 0; i < COUNT; i++) {
    const pmn_weight *w = pmn_safetensors_find(st, names[i]);
    assert_non_null(w);
    parts[i] = w->data;
    sizes[i] = w->size;
    floats += w->size / 4;
  }
  char hex[PMN_SHA256_HEX_SIZE];
  check_ok(pmn_sha256_hex(parts, sizes, COUNT, hex, &err));
  assert_string_equal(hex, "65dc74171b985e4d5397d5db3e5accc37fbb575ffe8bbd2070845e5537b59c49");
  assert_int_equal(floats, 3538984);
  json_decref(header);
  pmn_safetensors_destroy(st);
  pmn_buf_reset(&bytes);
}

/* What is inside the program is what the manifest names. */
static void test_embedded_weights(void **state) {
  (void)state;
  json_t *manifest = json_load_file(PMN_SOURCE_DIR "/weights/manifest.json", 0, NULL);
  assert_non_null(manifest);
  char *text = json_dumps(manifest, 0);
  pmn_model *model = open_model("efficientnet_lite0", features);
  assert_int_equal(strlen(pmn_model_sha256(model)), 64);
  assert_non_null(strstr(text, pmn_model_sha256(model)));
  assert_string_equal(pmn_model_origin(model), "embedded");
  assert_int_equal(pmn_model_width(model), 1280);
  pmn_model_destroy(model);
  pmn_model_destroy(NULL);
  free(text);
  json_decref(manifest);
  assert_null(pmn_architecture_find("efficientnet_lite1"));
  assert_null(pmn_architecture_find(""));
  assert_null(pmn_architecture_at(-1));
  assert_null(pmn_architecture_at(10));
}

/* pmn_model_create on a file of these bytes. */
static pmn_status create_from(const char *name, const void *bytes, size_t size, const char *layer, pmn_err *err) {
  char path[160];
  snprintf(path, sizeof path, "%s/hostile.safetensors", folder);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, size, file), size);
  assert_int_equal(fclose(file), 0);
  pmn_model *model = NULL;
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_model_options options = options_for(name, &layer);
  options.weights = path;
  pmn_status status = pmn_model_create(&options, &model, err);
  assert_true((model == NULL) == (status != PMN_STATUS_OK));
  if (status == PMN_STATUS_MODEL && strncmp(err->message, path, strlen(path)) != 0) fail_msg("%s", err->message);
  pmn_model_destroy(model);
  return status;
}

static void test_hostile_files(void **state) {
  (void)state;
  static const char name[] = "mobilenet_v2";
  pmn_err err = PMN_ERR_INIT;
  pmn_model *model = NULL;
  const pmn_architecture *lite = pmn_architecture_find("efficientnet_lite0");
  pmn_buf bytes;
  read_seeded(&bytes);
  check_ok(create_from(name, bytes.data, bytes.size, logits, &err));
  check_fails(create_from(name, "", 0, features, &err), PMN_STATUS_MODEL, "0 bytes are too few");
  check_fails(create_from(name, bytes.data, 7, features, &err), PMN_STATUS_MODEL, "7 bytes are too few");
  check_fails(create_from(name, bytes.data, 1000, features, &err), PMN_STATUS_MODEL, "header of");
  check_fails(create_from(name, bytes.data, bytes.size - 1, features, &err), PMN_STATUS_MODEL, "tensor");
  check_fails(
      create_from(name, "\x89HDF\r\n\x1a\n        ", 16, features, &err), PMN_STATUS_MODEL, "not a safetensors file");
  check_fails(create_from("efficientnet_lite0", bytes.data, bytes.size, features, &err), PMN_STATUS_MODEL,
      "stem_conv/kernel is missing");
  check_fails(create_from(name, lite->embedded, (size_t)(lite->embedded_end - lite->embedded), features, &err),
      PMN_STATUS_MODEL, "Conv1/kernel is missing");
  /* The classifier's tensors are not needed for features. */
  char *at = strstr(bytes.data + 8, "predictions/kernel");
  assert_non_null(at);
  at[0] = 'P';
  check_ok(create_from(name, bytes.data, bytes.size, features, &err));
  check_fails(create_from(name, bytes.data, bytes.size, logits, &err), PMN_STATUS_MODEL, "holds no classifier");
  at[0] = 'p';
  memset(bytes.data + bytes.size - 4, 0xff, 4); /* the last float of predictions/bias */
  check_ok(create_from(name, bytes.data, bytes.size, features, &err));
  check_fails(create_from(name, bytes.data, bytes.size, logits, &err), PMN_STATUS_MODEL, "predictions/bias holds");
  pmn_buf_reset(&bytes);

  const char *layer = features;
  pmn_model_options options = options_for(name, &layer);
  check_fails(pmn_model_create(&options, &model, &err), PMN_STATUS_ARGUMENT, "--weights");
  options.weights = "/nowhere";
  check_fails(pmn_model_create(&options, &model, &err), PMN_STATUS_NOT_FOUND, "/nowhere");
  options.weights = folder;
  check_fails(pmn_model_create(&options, &model, &err), PMN_STATUS_NOT_FOUND, folder);
  assert_int_equal(pmn_model_create(&options, &model, NULL), PMN_STATUS_NOT_FOUND);
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  const char *layer = logits;
  const pmn_model_options options = options_for("efficientnet_lite0", &layer);
  pmn_status status = PMN_STATUS_NO_MEMORY;
  /* Every one of the first allocations, then some of the many alike of the layers. */
  int k = 0;
  for (; status != PMN_STATUS_OK; k += k < 12 ? 1 : 23) {
    pmn_model *model = NULL;
    pmn_mem_fail_after(k);
    status = pmn_model_create(&options, &model, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    assert_true((model == NULL) == (status != PMN_STATUS_OK));
    pmn_model_destroy(model);
  }
  assert_true(k > 100);
}

static int set_up(void **state) {
  (void)state;
  check_folder(folder);
  snprintf(seeded_path, sizeof seeded_path, "%s/seeded.safetensors", folder);
  return seeded_mobilenet_v2_write(seeded_path);
}

static int tear_down(void **state) {
  (void)state;
  check_folder_remove(folder);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_seeded_weights),
      cmocka_unit_test(test_embedded_weights),
      cmocka_unit_test(test_hostile_files),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_efficientnet_lite0),
      cmocka_unit_test(test_efficientnet_lite0_logits),
      cmocka_unit_test(test_mobilenet_v2),
      cmocka_unit_test(test_granny_smith),
      cmocka_unit_test(test_bits_cpu),
      cmocka_unit_test(test_bits_opencl),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return check_exit(cmocka_run_group_tests_name("networks", tests, set_up, tear_down));
}
