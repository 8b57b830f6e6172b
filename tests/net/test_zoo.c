/* test_zoo.c - every network of the zoo against Keras and torchvision, layer by layer, at even and odd sizes.
 *
 * Weights and pictures are made of nothing (seeded_weights.h), so that all of them can be held against
 * tests/golden/features_zoo.csv without anybody's files. `ref` sums in fp64, one value at a time: it gets one picture
 * of the small sizes, and under a sanitizer all get one, since the code is the same for every picture. With fp16
 * cosines with the golden rows are asked for: turn_most.
 */
#include "check.h"
#include "pmn_backend.h"
#include "pmn_buf.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "seeded_weights.h"

#include <math.h>

enum { PICTURES = 2, LAYERS_MAX = 16, REF_PIXELS_MAX = 4096 };
#ifdef __SANITIZE_ADDRESS__
enum { PICTURES_RUN = 1 };
#else
enum { PICTURES_RUN = PICTURES };
#endif

static char folder[64];

/* Lines of the golden file that one run of a network answers: those that differ in their layers only. */
typedef struct golden_run {
  char network[32], framework[16], pooling[8];
  int width, height, layer_count;
  char layers[LAYERS_MAX][64];
  int values[LAYERS_MAX]; /* of each layer, for one picture */
  size_t first;           /* value of the first line */
} golden_run;

typedef struct golden_line {
  char network[32], framework[16], pooling[8], layer[64];
  int width, height, values;
} golden_line;

static bool read_line(FILE *file, golden_line *line) {
  char text[512];
  if (fgets(text, sizeof text, file) == NULL) return false;
  if (sscanf(text, "%31[^,],%15[^,],%d,%d,%7[^,],%63[^,],%d", line->network, line->framework, &line->width,
          &line->height, line->pooling, line->layer, &line->values) != 7) {
    fail_msg("features_zoo.csv: %s", text);
  }
  return true;
}

static bool same_run(const golden_run *run, const golden_line *line) {
  return strcmp(run->network, line->network) == 0 && strcmp(run->framework, line->framework) == 0 &&
         strcmp(run->pooling, line->pooling) == 0 && run->width == line->width && run->height == line->height;
}

static golden_run begin_run(const golden_line *line, size_t first) {
  golden_run run = {.width = line->width, .height = line->height, .first = first};
  strcpy(run.network, line->network);
  strcpy(run.framework, line->framework);
  strcpy(run.pooling, line->pooling);
  return run;
}

/* ------------------------------------------------------------------------------------------------------ a run -- */

static const struct {
  const char *backend, *isa;
  pmn_precision precision;
} configs[] = {{"ref", NULL, PMN_PRECISION_FP32}, {"cpu", "baseline", PMN_PRECISION_FP32},
    {"cpu", NULL, PMN_PRECISION_FP32}, {"opencl", NULL, PMN_PRECISION_FP32}, {"opencl", NULL, PMN_PRECISION_FP16}};

static pmn_model *open_model(const golden_run *run, const char *weights) {
  pmn_err err = PMN_ERR_INIT;
  pmn_model *model = NULL;
  const char *layers[LAYERS_MAX];
  for (int i = 0; i < run->layer_count; i++) layers[i] = run->layers[i];
  pmn_model_options options = {.network = run->network,
      .weights = weights,
      .width = run->width,
      .height = run->height,
      .layers = layers,
      .layer_count = run->layer_count};
  assert_true(pmn_pooling_find(run->pooling, &options.pooling));
  check_ok(pmn_model_create(&options, &model, &err));
  int width, sum = 0;
  assert_int_equal(pmn_model_output_count(model), run->layer_count);
  for (int i = 0; i < run->layer_count; i++, sum += width) {
    assert_string_equal(pmn_model_output_name(model, i, &width), run->layers[i]);
    assert_int_equal(width, run->values[i]);
  }
  assert_int_equal(pmn_model_width(model), sum);
  return model;
}

/* The largest difference of a layer's rows from the golden ones, over the largest golden value. */
static double difference(const float *y, size_t stride, const float *golden, int values, int pictures) {
  double most = 0.0, largest = 0.0;
  for (int i = 0; i < PICTURES * values; i++) largest = fmax(largest, fabs((double)golden[i]));
  for (int p = 0; p < pictures; p++) {
    for (int i = 0; i < values; i++) {
      double d = fabs((double)y[(size_t)p * stride + (size_t)i] - (double)golden[p * values + i]);
      if (!(d <= most)) most = d; /* NaN sticks */
    }
  }
  return most / largest;
}

/* One less the cosine between a layer's row and the golden one, of the first picture. */
static double turned(const float *y, const float *golden, int values) {
  double product = 0.0, norm = 0.0, golden_norm = 0.0;
  for (int i = 0; i < values; i++) {
    product += (double)y[i] * (double)golden[i];
    norm += (double)y[i] * (double)y[i];
    golden_norm += (double)golden[i] * (double)golden[i];
  }
  return 1.0 - product / sqrt(norm * golden_norm);
}

/* Runs the model on a device; the worst of its layers, by their difference or, with fp16, by how far they turned. */
static double run_on(pmn_device *device, const pmn_model *model, const golden_run *run, const float *golden,
    const uint8_t *pixels, int pictures) {
  pmn_err err = PMN_ERR_INIT;
  pmn_network *network = NULL;
  size_t width = (size_t)pmn_model_width(model);
  float *y = malloc(width * PICTURES * sizeof *y);
  assert_non_null(y);
  for (size_t i = 0; i < width * PICTURES; i++) y[i] = NAN;
  check_ok(pmn_network_create(device, pmn_model_program(model), pictures, &network, &err));
  check_ok(pmn_network_run(network, pixels, pictures, y, &err));
  pmn_network_destroy(network);
  double worst = 0.0;
  const float *column = y, *expected = golden + run->first;
  for (int i = 0; i < run->layer_count; i++) {
    bool fp16 = device->precision == PMN_PRECISION_FP16;
    double d =
        fp16 ? turned(column, expected, run->values[i]) : difference(column, width, expected, run->values[i], pictures);
    if (!(d < 1e-4)) print_message("%s: %.2g\n", run->layers[i], d);
    if (!(d <= worst)) worst = d;
    column += run->values[i];
    expected += PICTURES * run->values[i];
  }
  free(y);
  return worst;
}

/* What one less the cosine may be with fp16: the ten thousandth that is asked for; on small pictures, five of them for
 * a MobileNetV2 of seeded weights, which magnifies roundings. Of fp32's, 2^-24 of a number, it makes 1.3e-5 there, 220
 * times as much; so of a half's, 2^-12 / sqrt(3) in the mean, 3.1 %, and half of its square is 4.8e-4. */
static double turn_most(const golden_run *run) {
  bool magnifies = strncmp(run->network, "mobilenet", 9) == 0 && run->width * run->height < 224 * 224;
  return magnifies ? 5e-4 : 1e-4;
}

static void check_run(const golden_run *run, const char *weights, const float *golden) {
  pmn_err err = PMN_ERR_INIT;
  pmn_model *model = open_model(run, weights);
  size_t picture = (size_t)run->width * (size_t)run->height * 3;
  uint8_t *pixels = malloc(picture * PICTURES);
  assert_non_null(pixels);
  for (int i = 0; i < PICTURES; i++) seeded_picture(i, run->width, run->height, pixels + (size_t)i * picture);
  int checked = 0;
  for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
    bool ref = strcmp(configs[i].backend, "ref") == 0;
    if (ref && run->width * run->height > REF_PIXELS_MAX) continue;
    pmn_device *device = NULL;
    bool fp16 = configs[i].precision == PMN_PRECISION_FP16;
    pmn_device_options options = {.index = -1, .threads = 2, .isa = configs[i].isa, .precision = configs[i].precision};
    if (pmn_device_open(pmn_backend_find(configs[i].backend), &options, &device, &err) != PMN_STATUS_OK) continue;
    double d = run_on(device, model, run, golden, pixels, ref || fp16 ? 1 : PICTURES_RUN);
    if (fp16)
      print_message("%s, fp16: cosine %.7f\n", run->network, 1.0 - d);
    else
      print_message("%s %s %dx%d %s, %s %s: %.2g of the largest\n", run->network, run->framework, run->width,
          run->height, run->pooling, configs[i].backend, device->info.driver, d);
    assert_true(d < (fp16 ? turn_most(run) : 1e-4));
    checked++;
    pmn_device_close(device);
  }
  assert_true(checked >= 2);
  free(pixels);
  pmn_model_destroy(model);
}

/* Every run of the golden file for a network and framework, with weights with the classifier or without. */
static void check_network(const char *network, const char *framework, bool classifier) {
  char path[96], heading[128];
  snprintf(path, sizeof path, "%s/seeded.safetensors", folder);
  assert_int_equal(seeded_weights_write(path, network, framework, classifier), 0);
  check_npy golden = check_npy_read("tests/golden/features_zoo.npy");
  FILE *file = fopen(PMN_SOURCE_DIR "/tests/golden/features_zoo.csv", "r");
  assert_non_null(file);
  assert_non_null(fgets(heading, sizeof heading, file));
  golden_line line;
  golden_run run = {.layer_count = 0};
  size_t first = 0;
  int runs = 0;
  for (bool more = true; more;) {
    more = read_line(file, &line);
    if (!more || !same_run(&run, &line)) {
      if (strcmp(run.network, network) == 0 && strcmp(run.framework, framework) == 0) {
        check_run(&run, path, golden.data);
        runs++;
      }
      if (more) run = begin_run(&line, first);
    }
    if (!more) break;
    assert_in_range(run.layer_count, 0, LAYERS_MAX - 1);
    strcpy(run.layers[run.layer_count], line.layer);
    run.values[run.layer_count++] = line.values;
    first += (size_t)line.values * PICTURES;
  }
  assert_int_equal(first, golden.size / sizeof(float));
  assert_true(runs > 0);
  fclose(file);
  free(golden.data);
  unlink(path);
}

static void test_mobilenet_v2(void **state) {
  (void)state;
  check_network("mobilenet_v2", "keras", false);
  check_network("mobilenet_v2_0.35", "keras", true);
  check_network("mobilenet_v2_1.4", "keras", false);
}

static void test_mobilenet_v2_torch(void **state) {
  (void)state;
  check_network("mobilenet_v2", "torch", true);
}

static void test_resnet50(void **state) {
  (void)state;
  check_network("resnet50", "keras", true);
}

static void test_resnet50_torch(void **state) {
  (void)state;
  check_network("resnet50", "torch", true);
}

static void test_vgg(void **state) {
  (void)state;
  check_network("vgg16", "keras", false);
  check_network("vgg19", "keras", false);
}

/* ---------------------------------------------------------------------------------------------------- tensors -- */

/* The classes of Keras's layers that have weights, by which the golden lists are sorted. */
typedef enum layer_class { CONV2D, DEPTHWISE_CONV2D, BATCH_NORM, DENSE, LAYER_CLASS_COUNT } layer_class;

/* Of a tensor; a bias is of the class of the kernel before it. */
static layer_class class_of(const pmn_tensor_spec *spec, layer_class before) {
  const char *part = strrchr(spec->name, '/');
  if (strcmp(part, "/bias") == 0) return before;
  if (strcmp(part, "/depthwise_kernel") == 0) return DEPTHWISE_CONV2D;
  if (strcmp(part, "/kernel") == 0) return spec->rank == 4 ? CONV2D : DENSE;
  return BATCH_NORM;
}

static void append_spec(pmn_buf *text, const pmn_tensor_spec *spec) {
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_buf_printf(text, &err, "%s ", spec->name));
  for (int32_t d = 0; d < spec->rank; d++) {
    check_ok(pmn_buf_printf(text, &err, "%s%lld", d > 0 ? "x" : "", (long long)spec->shape[d]));
  }
  check_ok(pmn_buf_printf(text, &err, "\n"));
}

/* Names, shapes and order of a network's tensors are Keras's. */
static void check_tensors(const char *network, bool top, int tensors, const char *sha256) {
  pmn_err err = PMN_ERR_INIT;
  pmn_tensor_spec *specs = NULL;
  int32_t count = 0;
  pmn_buf text;
  char hex[PMN_SHA256_HEX_SIZE];
  pmn_buf_init(&text, 1 << 20);
  assert_non_null(pmn_architecture_find(network));
  check_ok(pmn_architecture_tensors(pmn_architecture_find(network), false, top, &specs, &count, &err));
  assert_int_equal(count, tensors);
  for (layer_class wanted = CONV2D; wanted < LAYER_CLASS_COUNT; wanted++) {
    layer_class own = CONV2D;
    for (int32_t i = 0; i < count; i++) {
      own = class_of(&specs[i], own);
      if (own == wanted) append_spec(&text, &specs[i]);
    }
  }
  const void *bytes = text.data;
  check_ok(pmn_sha256_hex(&bytes, &text.size, 1, hex, &err));
  if (strcmp(hex, sha256) != 0) fail_msg("%s: Keras's tensors are others than\n%s", network, text.data);
  pmn_buf_reset(&text);
  pmn_free(specs);
}

static void test_tensors(void **state) {
  (void)state;
  char line[256], network[32], sha256[65];
  int top, tensors, lines = 0;
  FILE *file = fopen(PMN_SOURCE_DIR "/tests/golden/features_zoo_tensors.csv", "r");
  assert_non_null(file);
  assert_non_null(fgets(line, sizeof line, file));
  for (; fgets(line, sizeof line, file) != NULL; lines++) {
    assert_int_equal(sscanf(line, "%31[^,],%d,%d,%64s", network, &top, &tensors, sha256), 4);
    check_tensors(network, top != 0, tensors, sha256);
  }
  fclose(file);
  /* Twice every network but efficientnet_lite0, which is not Keras's. */
  int networks = 0;
  while (pmn_architecture_at(networks) != NULL) networks++;
  assert_int_equal(lines, 2 * (networks - 1));
}

static int set_up(void **state) {
  (void)state;
  check_folder(folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  check_folder_remove(folder);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tensors),
      cmocka_unit_test(test_mobilenet_v2),
      cmocka_unit_test(test_mobilenet_v2_torch),
      cmocka_unit_test(test_resnet50),
      cmocka_unit_test(test_resnet50_torch),
      cmocka_unit_test(test_vgg),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests_name("zoo", tests, set_up, tear_down);
}
