/* test_model.c - what may be chosen about a network, and what is said to those who choose wrong. */
#include "check.h"
#include "onnx_sketch.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_nearest.h"
#include "seeded_weights.h"

#include <math.h>

static char folder[64], small_weights[96], small_torch_weights[96], small_headless_weights[96];
static const char small[] = "mobilenet_v2_0.35", lite[] = "efficientnet_lite0";

/* The model of these options; its layers are `first` and `second`, NULL for none. */
static pmn_status create(
    pmn_model_options options, const char *first, const char *second, pmn_model **model, pmn_err *err) {
  const char *layers[] = {first, second};
  options.layers = layers;
  options.layer_count = (first != NULL) + (second != NULL);
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_status status = pmn_model_create(&options, model, err);
  assert_true((*model == NULL) == (status != PMN_STATUS_OK));
  return status;
}

static void refuse(
    pmn_model_options options, const char *layer, pmn_status expected, const char *text, const char *more) {
  pmn_err err;
  pmn_model *model = NULL;
  check_fails(create(options, layer, NULL, &model, &err), expected, text);
  if (strstr(err.message, more) == NULL) fail_msg("\"%s\" is not in \"%s\"", more, err.message);
}

/* -------------------------------------------------------------------------------------------------- preprocess -- */

static void test_preprocess(void **state) {
  (void)state;
  static const struct {
    const char *name, *resize;
    bool bgr;
    double mean[3], divisor[3]; /* of (x - mean) / divisor */
  } expected[] = {{"tf", "bicubic", false, {127.5, 127.5, 127.5}, {127.5, 127.5, 127.5}},
      {"caffe", "bicubic", true, {103.939, 116.779, 123.68}, {1, 1, 1}},
      {"torch", "bicubic", false, {0.485 * 255, 0.456 * 255, 0.406 * 255}, {0.229 * 255, 0.224 * 255, 0.225 * 255}},
      {"lite", "bicubic", false, {127, 127, 127}, {128, 128, 128}},
      {"unit", "bicubic", false, {0, 0, 0}, {255, 255, 255}}, {"raw", "bicubic", false, {0, 0, 0}, {1, 1, 1}}};
  for (int32_t i = 0; i < 6; i++) {
    const pmn_preprocess *p = pmn_preprocess_at(i);
    assert_non_null(p);
    assert_string_equal(p->name, expected[i].name);
    assert_ptr_equal(pmn_preprocess_find(p->name), p);
    assert_non_null(strstr(PMN_PREPROCESS_NAMES, p->name));
    assert_string_equal(p->resize, expected[i].resize);
    assert_int_equal(p->bgr, expected[i].bgr);
    assert_true(strlen(p->formula) > 0);
    assert_int_equal(p->width, 0);
    assert_int_equal(p->height, 0);
    for (int c = 0; c < 3; c++) {
      for (int x = 0; x < 256; x++) {
        double exact = (x - expected[i].mean[c]) / expected[i].divisor[c];
        double got = (double)p->scale[c] * x + (double)p->shift[c];
        /* Both numbers are rounded to float once. */
        double bound = 6e-8 * (fabs((double)p->scale[c]) * x + fabs((double)p->shift[c]));
        if (!(fabs(got - exact) <= bound)) fail_msg("%s: %d gives %.9g, not %.9g", p->name, x, got, exact);
      }
    }
  }
  assert_null(pmn_preprocess_at(6));
  assert_null(pmn_preprocess_at(-1));
  assert_null(pmn_preprocess_find("TF"));
  assert_null(pmn_preprocess_find(""));
}

static void check_preprocess(pmn_model_options options, const char *name, const char *resize, int width, int height) {
  pmn_err err;
  pmn_model *model = NULL;
  char filter[16] = "";
  if (options.resize != NULL) {
    snprintf(filter, sizeof filter, "%s", options.resize);
    options.resize = filter; /* to be gone when the model is looked at */
  }
  check_ok(create(options, NULL, NULL, &model, &err));
  memset(filter, 0, sizeof filter);
  const pmn_preprocess *p = pmn_model_preprocess(model);
  const pmn_program *program = pmn_model_program(model);
  assert_string_equal(p->name, name);
  assert_string_equal(p->resize, resize);
  assert_int_equal(p->width, width);
  assert_int_equal(p->height, height);
  assert_int_equal(program->tensors[program->input].w, width);
  assert_int_equal(program->tensors[program->input].h, height);
  pmn_model_destroy(model);
}

static void test_choice_of_preprocess(void **state) {
  (void)state;
  pmn_model_options o = {.network = lite};
  check_preprocess(o, "lite", "bicubic", 224, 224);
  o.width = 64;
  check_preprocess(o, "lite", "bicubic", 64, 224);
  o.height = 97;
  o.resize = "nearest";
  check_preprocess(o, "lite", "nearest", 64, 97);
  o.preprocess = "torch";
  check_preprocess(o, "torch", "nearest", 64, 97);
  o.resize = NULL;
  check_preprocess(o, "torch", "bicubic", 64, 97);
  o.preprocess = "imagenet";
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "\"imagenet\"", "tf, caffe, torch, lite, unit, raw");

  /* What PyTorch trained wants PyTorch's pictures, unless the user knows better. */
  o = (pmn_model_options){.network = small, .weights = small_weights};
  check_preprocess(o, "tf", "bicubic", 224, 224);
  o.weights = small_torch_weights;
  check_preprocess(o, "torch", "bicubic", 224, 224);
  o.width = o.height = 50;
  o.resize = "nearest";
  check_preprocess(o, "torch", "nearest", 50, 50);
  o.preprocess = "tf";
  check_preprocess(o, "tf", "nearest", 50, 50);
}

/* ------------------------------------------------------------------------------------------------------- names -- */

static void test_nearest(void **state) {
  (void)state;
  static const struct {
    const char *wanted, *names[5], *text;
  } cases[] = {{"abc", {"abd"}, "; did you mean abd?"}, {"abc", {"xyz", "", "abcdefgh"}, "; did you mean abcdefgh?"},
      {"abcdef", {"abcdxy", "abcdex", "Abcdef"}, "; did you mean Abcdef, abcdex or abcdxy?"},
      {"conv_1", {"conv_2", "conv_3", "conv_4", "conv_5", "conv_1_relu"}, "; did you mean conv_2, conv_3 or conv_4?"},
      {"ab", {"cabd", "ba"}, ""}, {"", {"a"}, ""}, {"kitten", {"sitting", "mitten"}, "; did you mean mitten?"},
      {"pol_1", {"pool_2", "pool_1_output_0", "poo"}, "; did you mean pool_2 or pool_1_output_0?"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[400];
    pmn_nearest nearest = pmn_nearest_init(cases[i].wanted);
    for (int n = 0; n < 5 && cases[i].names[n] != NULL; n++) pmn_nearest_offer(&nearest, cases[i].names[n]);
    pmn_nearest_text(&nearest, text, sizeof text);
    assert_string_equal(text, cases[i].text);
  }
  /* Names of any length, text of any size. */
  char longest[1000], text[8];
  memset(longest, 'x', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  pmn_nearest nearest = pmn_nearest_init(longest);
  pmn_nearest_offer(&nearest, longest);
  assert_int_equal(nearest.count, 1);
  pmn_nearest_text(&nearest, text, sizeof text);
  assert_string_equal(text, "; did y");
}

static void test_unknown_network(void **state) {
  (void)state;
  refuse((pmn_model_options){.network = "mobilenetv2"}, NULL, PMN_STATUS_ARGUMENT, "did you mean mobilenet_v2,",
      "pomona models");
  refuse((pmn_model_options){.network = "ResNet"}, NULL, PMN_STATUS_ARGUMENT, "did you mean resnet50?", ".onnx");
  refuse((pmn_model_options){.network = "vgg17"}, NULL, PMN_STATUS_ARGUMENT, "vgg16 or vgg19?", "\"vgg17\"");
  refuse((pmn_model_options){.network = "my_network.pb"}, NULL, PMN_STATUS_ARGUMENT,
      "no network is called \"my_network.pb\"; \"pomona models\" lists them", ".onnx");
  refuse((pmn_model_options){.network = ""}, NULL, PMN_STATUS_ARGUMENT, "\"\"", "pomona models");
  refuse((pmn_model_options){.network = ".onnx"}, NULL, PMN_STATUS_ARGUMENT, "\".onnx\"", "pomona models");
  refuse((pmn_model_options){.network = "/nowhere/my.onnx"}, NULL, PMN_STATUS_NOT_FOUND, "/nowhere/my.onnx", "");
  refuse((pmn_model_options){.network = "my.onnx", .weights = small_weights}, NULL, PMN_STATUS_ARGUMENT,
      "leave out --weights", "my.onnx");
}

static void test_unknown_layer(void **state) {
  (void)state;
  pmn_model_options o = {.network = lite};
  refuse(o, "head_rellu", PMN_STATUS_ARGUMENT, "efficientnet_lite0 has no layer \"head_rellu\"; did you mean head_relu",
      "\"pomona inspect efficientnet_lite0\" lists them");
  refuse(o, "zzz", PMN_STATUS_ARGUMENT, "has no layer \"zzz\"; \"pomona inspect", "");
  /* Weights without a classifier, or none at all, do not come between the user and the hint. */
  o = (pmn_model_options){.network = small};
  refuse(o, "out_relux", PMN_STATUS_ARGUMENT, "did you mean out_relu", "mobilenet_v2_0.35");
  o.weights = small_headless_weights;
  refuse(o, "prediction", PMN_STATUS_ARGUMENT, "did you mean predictions", "");
  o.weights = "/nowhere";
  refuse(o, "block_5_ad", PMN_STATUS_ARGUMENT, "block_5_add", "");
}

/* ------------------------------------------------------------------------------------------------------ layers -- */

static void check_widths(
    pmn_model_options options, const char *first, int first_width, const char *second, int second_width) {
  pmn_err err;
  pmn_model *model = NULL;
  int32_t width;
  check_ok(create(options, first, second, &model, &err));
  assert_int_equal(pmn_model_output_count(model), second != NULL ? 2 : 1);
  const char *name = pmn_model_output_name(model, 0, &width);
  assert_string_equal(name, first != NULL ? first : pmn_architecture_find(options.network)->features);
  assert_int_equal(width, first_width);
  if (second != NULL) {
    assert_string_equal(pmn_model_output_name(model, 1, &width), second);
    assert_int_equal(width, second_width);
  }
  assert_int_equal(pmn_model_width(model), first_width + second_width);
  pmn_model_destroy(model);
}

static void test_layers(void **state) {
  (void)state;
  pmn_model_options o = {.network = small, .weights = small_headless_weights, .width = 64, .height = 33};
  check_widths(o, NULL, 1280, NULL, 0);
  check_widths(o, "block_1_pad", 48, "Conv1", 16);
  check_widths(o, "out_relu", 1280, "out_relu", 1280);
  check_widths(o, "global_average_pooling2d", 1280, "input", 3);
  o.pooling = PMN_POOLING_MAX;
  check_widths(o, NULL, 1280, NULL, 0);
  o.pooling = PMN_POOLING_NONE;
  check_widths(o, NULL, 2 * 2 * 1280, NULL, 0);
  check_widths(o, "Conv1_relu", 32 * 17 * 16, "global_average_pooling2d", 1280);
  /* The classifier's layers need its weights; nothing else does. */
  refuse(o, "predictions", PMN_STATUS_MODEL, "holds no classifier", small_headless_weights);
  refuse(o, "predictions/logits", PMN_STATUS_MODEL, "which layer predictions", "");
  o.weights = small_weights;
  check_widths(o, "predictions", 1000, "predictions/logits", 1000);

  pmn_pooling pooling;
  for (int i = 0; i < 3; i++) {
    static const char *const names[] = {"avg", "max", "none"};
    assert_true(pmn_pooling_find(names[i], &pooling));
    assert_int_equal(pooling, i);
    assert_string_equal(pmn_pooling_name(pooling), names[i]);
  }
  assert_false(pmn_pooling_find("mean", &pooling));
}

/* The model tells of the network's own layers, every one of which can be asked for. */
static void test_list_of_layers(void **state) {
  (void)state;
  pmn_err err;
  pmn_model *model = NULL, *other = NULL;
  pmn_graph_layer layer;
  int32_t count = 0;
  pmn_model_options o = {.network = lite, .width = 32, .height = 32};
  check_ok(create(o, "predictions", NULL, &model, &err));
  for (; pmn_model_layer_at(model, count, &layer); count++) {
    assert_true(strlen(layer.name) > 0);
    assert_true(strlen(layer.kind) > 0);
    if (count % 16 == 0) check_widths(o, layer.name, layer.c, NULL, 0);
  }
  assert_true(count > 130);
  assert_false(pmn_model_layer_at(model, -1, &layer));
  assert_true(pmn_model_layer_at(model, count - 1, &layer));
  assert_string_equal(layer.name, "predictions");
  o.width = 64; /* now the features are pooled, by a layer that is not the network's */
  check_ok(create(o, NULL, NULL, &other, &err));
  assert_true(pmn_model_layer_at(other, count - 3, &layer));
  assert_string_equal(layer.name, "global_average_pool");
  assert_false(pmn_model_layer_at(other, count - 2, &layer));
  assert_string_equal(pmn_model_name(model), lite);
  pmn_model_destroy(model);
  pmn_model_destroy(other);
}

/* ------------------------------------------------------------------------------------------------------- sizes -- */

/* Builds a network without weights. */
static pmn_status build(
    const pmn_architecture *a, int width, int height, bool classifier, pmn_tensor *features, pmn_err *err) {
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_preprocess preprocess = *pmn_preprocess_find(a->preprocess);
  preprocess.width = width;
  preprocess.height = height;
  pmn_layers layers = {.graph = pmn_graph_create(a->name)};
  assert_non_null(layers.graph);
  a->build(&layers, &preprocess, classifier);
  pmn_status status = pmn_graph_check(layers.graph, err);
  if (status == PMN_STATUS_OK) {
    assert_true(pmn_graph_find(layers.graph, a->features) > 0);
    assert_int_equal(pmn_graph_find(layers.graph, a->classifier) >= 0, classifier);
    *features = pmn_graph_shape(layers.graph, pmn_graph_find(layers.graph, a->features));
  }
  pmn_graph_destroy(layers.graph);
  return status;
}

static void test_sizes(void **state) {
  (void)state;
  const pmn_architecture *a;
  pmn_err err;
  for (int32_t i = 0; (a = pmn_architecture_at(i)) != NULL; i++) {
    bool rounds_down = strncmp(a->name, "vgg", 3) == 0;
    assert_string_equal(a->resize, "bicubic");
    assert_non_null(pmn_preprocess_find(a->preprocess));
    assert_true(strlen(a->description) > 0 && strlen(a->licence) > 0);
    assert_ptr_equal(pmn_architecture_find(a->name), a);
    for (int size = 32; size < 330; size += size < 70 ? 1 : 37) {
      pmn_tensor features;
      check_ok(build(a, size, 363 - size, false, &features, &err));
      assert_int_equal(features.w, rounds_down ? size / 32 : (size + 31) / 32);
      assert_int_equal(features.h, rounds_down ? (363 - size) / 32 : (363 - size + 31) / 32);
    }
    pmn_tensor features;
    check_fails(build(a, 31, 224, false, &features, &err), PMN_STATUS_ARGUMENT,
        "pictures must have 32x32 pixels or more, not 31x224");
    check_fails(build(a, 224, 31, true, &features, &err), PMN_STATUS_ARGUMENT, "not 224x31");
    assert_int_equal(strncmp(err.message, a->name, strlen(a->name)), 0);
    check_ok(build(a, 224, 224, true, &features, &err));
    if (!rounds_down) continue;
    check_fails(build(a, 256, 224, true, &features, &err), PMN_STATUS_ARGUMENT,
        "fc1 and those after it take pictures of 224x224 pixels, not 256x224");
    check_fails(build(a, 224, 223, true, &features, &err), PMN_STATUS_ARGUMENT, "not 224x223");
  }
  /* Told before any weights are looked for. */
  refuse((pmn_model_options){.network = "resnet50", .width = 20, .height = 20}, NULL, PMN_STATUS_ARGUMENT,
      "resnet50: pictures must have 32x32", "20x20");
  refuse((pmn_model_options){.network = "vgg16", .width = 100, .height = 100}, "fc2", PMN_STATUS_ARGUMENT,
      "vgg16: layer fc1", "100x100");
}

/* ---------------------------------------------------------------------------------------------------- metadata -- */

static pmn_buf read_small(void) {
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_buf_init(&bytes, 100 << 20);
  check_ok(pmn_file_read(small_weights, &bytes, &err));
  return bytes;
}

/* Writes and frees the bytes. */
static void write_bytes(const char *path, pmn_buf *bytes) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes->data, 1, bytes->size, file), bytes->size);
  assert_int_equal(fclose(file), 0);
  pmn_buf_reset(bytes);
}

/* A copy of the weights whose header has `to` for the first `from`, texts of one length. */
static void write_changed(const char *path, const char *from, const char *to) {
  pmn_buf bytes = read_small();
  char *at = strstr(bytes.data + 8, from);
  assert_non_null(at);
  assert_int_equal(strlen(from), strlen(to));
  memcpy(at, to, strlen(to));
  write_bytes(path, &bytes);
}

/* A copy of the weights with `value` as element `index` of a tensor. */
static void write_value(const char *path, const char *tensor, size_t index, float value) {
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes = read_small();
  pmn_safetensors *file = NULL;
  check_ok(pmn_safetensors_create(bytes.data, bytes.size, path, &file, &err));
  const pmn_weight *weight = pmn_safetensors_find(file, tensor);
  assert_non_null(weight);
  memcpy(bytes.data + ((const char *)weight->data - bytes.data) + 4 * index, &value, sizeof value);
  pmn_safetensors_destroy(file);
  write_bytes(path, &bytes);
}

/* A copy of the weights in which bn_Conv1/gamma has shape [16, 1]: room for that is taken from the metadata. */
static void write_other_rank(const char *path) {
  static const char gamma[] = "\"bn_Conv1/gamma\":{\"dtype\":\"F32\",\"shape\":[16";
  pmn_buf bytes = read_small();
  char *key = strstr(bytes.data + 8, "pomona.framework"), *end = strstr(bytes.data + 8, gamma);
  assert_true(key != NULL && end > key);
  end += strlen(gamma);
  memmove(key, key + 2, (size_t)(end - key) - 2);
  memcpy(end - 2, ",1", 2);
  write_bytes(path, &bytes);
}

static void test_bad_tensors(void **state) {
  (void)state;
  char path[96];
  snprintf(path, sizeof path, "%s/changed.safetensors", folder);
  pmn_model_options o = {.network = small, .weights = path};
  write_value(path, "bn_Conv1/moving_variance", 3, -1.0f);
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor bn_Conv1/moving_variance holds -1 at position 3", path);
  write_value(path, "block_3_depthwise/depthwise_kernel", 5, INFINITY);
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor block_3_depthwise/depthwise_kernel holds inf at position 5", path);
  write_value(path, "predictions/bias", 999, NAN);
  check_widths(o, NULL, 1280, NULL, 0);
  refuse(o, "predictions", PMN_STATUS_MODEL, "tensor predictions/bias holds", "at position 999");
  write_changed(path, "F32", "I32");
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor Conv1/kernel is not F32 [3, 3, 3, 16]", path);
  write_changed(path, "[3,3,3,16]", "[3,3,16,3]");
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor Conv1/kernel is not F32 [3, 3, 3, 16]", path);
  write_changed(path, "[3,3,3,16]", "[27,16]   ");
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor Conv1/kernel is not F32 [3, 3, 3, 16]", path);
  write_other_rank(path);
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor bn_Conv1/gamma is not F32 [16]", path);
  write_changed(path, "bn_Conv1/beta", "bn_Conv1/Beta");
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor bn_Conv1/beta is missing", path);
  unlink(path);
}

static void test_metadata(void **state) {
  (void)state;
  char path[96];
  snprintf(path, sizeof path, "%s/changed.safetensors", folder);
  pmn_model_options o = {.network = small, .weights = path};
  write_changed(path, "mobilenet_v2_0.35", "mobilenet_v2_0.75");
  refuse(o, NULL, PMN_STATUS_MODEL, "the weights are of mobilenet_v2_0.75, not of mobilenet_v2_0.35", path);
  write_changed(path, "keras", "caffe");
  refuse(o, NULL, PMN_STATUS_MODEL, "\"caffe\"", "keras nor torch");
  /* Without the entries nothing is known, and the tensors are believed. */
  write_changed(path, "pomona.network", "pomona.nothing");
  check_widths(o, NULL, 1280, NULL, 0);
  o.network = "mobilenet_v2";
  refuse(o, NULL, PMN_STATUS_MODEL, "tensor Conv1/kernel is not F32 [3, 3, 3, 32]", path);
  unlink(path);
}

static void test_no_weights(void **state) {
  (void)state;
  const pmn_architecture *a;
  for (int32_t i = 0; (a = pmn_architecture_at(i)) != NULL; i++) {
    if (a->embedded != NULL) continue;
    refuse((pmn_model_options){.network = a->name}, NULL, PMN_STATUS_ARGUMENT, "--weights", "pomona weights fetch");
  }
}

/* Before weights are there: which of them are needed, and what no weights could mend. */
static void test_check(void **state) {
  (void)state;
  static const struct {
    const char *network, *layer;
    int32_t size;
    bool classifier;
    const char *refused;
  } cases[] = {{"vgg16", NULL, 0, false, NULL}, {"vgg16", "block5_pool", 100, false, NULL},
      {"vgg16", "fc1", 0, true, NULL}, {"vgg16", "flatten", 0, false, NULL},
      {"resnet50", "predictions", 50, true, NULL}, {"vgg16", "fc2", 100, false, "224x224"},
      {"vgg16", "fc3", 0, false, "did you mean fc1 or fc2"}, {"vgg17", NULL, 0, false, "did you mean vgg16"},
      {"resnet50", NULL, 31, false, "31"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_err err = PMN_ERR_INIT;
    bool classifier = !cases[i].classifier;
    const pmn_model_options options = {.network = cases[i].network,
        .width = cases[i].size,
        .height = cases[i].size,
        .layers = &cases[i].layer,
        .layer_count = cases[i].layer != NULL};
    pmn_status status = pmn_model_check(&options, &classifier, &err);
    if (cases[i].refused != NULL) {
      check_fails(status, PMN_STATUS_ARGUMENT, cases[i].refused);
    } else {
      check_ok(status);
      if (classifier != cases[i].classifier) fail_msg("case %zu: classifier %d", i, classifier);
    }
  }
}

/* Convolutions of torchvision's ResNet50 have no biases; the lists differ in nothing else. */
static void test_torch_tensors(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  const pmn_architecture *a;
  for (int32_t i = 0; (a = pmn_architecture_at(i)) != NULL; i++) {
    pmn_tensor_spec *keras = NULL, *torch = NULL;
    int32_t keras_count = 0, torch_count = 0, k = 0, left_out = 0;
    check_ok(pmn_architecture_tensors(a, false, true, &keras, &keras_count, &err));
    check_ok(pmn_architecture_tensors(a, true, true, &torch, &torch_count, &err));
    for (int32_t t = 0; t < torch_count; k++) {
      assert_in_range(k, 0, keras_count - 1);
      if (memcmp(&keras[k], &torch[t], sizeof *keras) == 0) {
        t++;
      } else {
        left_out++;
        assert_non_null(strstr(keras[k].name, "_conv/bias"));
      }
    }
    assert_int_equal(k, keras_count);
    assert_int_equal(left_out, strcmp(a->name, "resnet50") == 0 ? 53 : 0);
    pmn_free(keras);
    pmn_free(torch);
  }
}

/* -------------------------------------------------------------------------------------------------------- ONNX -- */

#define EXPORTS PMN_SOURCE_DIR "/tests/golden/onnx_exports/"

static void test_onnx_choices(void **state) {
  (void)state;
  static const char fixed[] = EXPORTS "resnet_op7.onnx", open[] = EXPORTS "shufflenet_v2_op13_open.onnx";
  pmn_err err;
  pmn_model *model = NULL;
  int32_t width;
  pmn_model_options o = {.network = fixed};
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "does not say how pictures are to be prepared", "tf, caffe, torch");
  o.preprocess = "torch";
  check_preprocess(o, "torch", "bicubic", 48, 48);
  o.width = o.height = 48;
  o.resize = "nearest";
  check_preprocess(o, "torch", "nearest", 48, 48);
  o.width = 64;
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "takes pictures of 48x48 pixels, not 64x48", fixed);
  o.width = 48;
  o.height = 47;
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "takes pictures of 48x48 pixels, not 48x47", fixed);
  o = (pmn_model_options){.network = fixed, .preprocess = "torch", .pooling = PMN_POOLING_NONE};
  refuse(o, "/8/GlobalAveragePol", PMN_STATUS_ARGUMENT, "has no layer \"/8/GlobalAveragePol\"; did you mean /8/Global",
      "pomona inspect");
  check_ok(create(o, "/7/relu_2/Relu", "classes", &model, &err));
  assert_string_equal(pmn_model_origin(model), fixed);
  assert_int_equal(strlen(pmn_model_sha256(model)), 64);
  assert_string_equal(pmn_model_output_name(model, 0, &width), "/7/relu_2/Relu");
  assert_int_equal(pmn_model_width(model), width + 10);
  pmn_model_destroy(model);
  model = NULL;

  o = (pmn_model_options){.network = open, .preprocess = "unit"};
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "leaves the size of pictures open: give one with --size", open);
  o.width = 64;
  refuse(o, NULL, PMN_STATUS_ARGUMENT, "leaves the size of pictures open", open);
  o.height = 48;
  check_preprocess(o, "unit", "bicubic", 64, 48);
}

/* What the file says is taken, until the user says otherwise. */
static void test_onnx_record(void **state) {
  (void)state;
  char path[96];
  snprintf(path, sizeof path, "%s/sketch.onnx", folder);
  pmn_buf graph = sketch_graph(PART_ALL), bytes = sketch_model(&graph, 13);
  sketch_metadata(&bytes, "pomona.preprocess", "{\"resize\": \"nearest\", \"scale\": 0.5}");
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes.data, 1, bytes.size, file), bytes.size);
  assert_int_equal(fclose(file), 0);
  pmn_buf_reset(&bytes);
  pmn_model_options o = {.network = path};
  check_preprocess(o, "file", "nearest", 5, 4);
  o.resize = "bicubic";
  check_preprocess(o, "file", "bicubic", 5, 4);
  o.preprocess = "caffe";
  check_preprocess(o, "caffe", "bicubic", 5, 4);
  pmn_err err;
  pmn_model *model = NULL;
  check_ok(create(o, NULL, NULL, &model, &err));
  assert_string_equal(pmn_model_name(model), "sketch");
  pmn_model_destroy(model);
  /* Every allocation. */
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_mem_fail_after(k);
    model = NULL;
    status = create(o, NULL, NULL, &model, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    pmn_model_destroy(model);
  }
  assert_true(k > 30);
  unlink(path);
}

/* Every allocation that is not one of the many alike of the layers. */
static void test_no_memory(void **state) {
  (void)state;
  pmn_model_options o = {.network = lite, .width = 32, .height = 32, .resize = "nearest", .pooling = PMN_POOLING_MAX};
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int k = 0;
  for (; status != PMN_STATUS_OK; k += k < 20 ? 1 : 17) {
    pmn_err err;
    pmn_model *model = NULL;
    pmn_mem_fail_after(k);
    status = create(o, "head_relu", "predictions", &model, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    pmn_model_destroy(model);
  }
  assert_true(k > 500);
  pmn_err err = PMN_ERR_INIT;
  status = PMN_STATUS_NO_MEMORY;
  for (k = 0; status != PMN_STATUS_OK; k += 7) {
    pmn_tensor_spec *specs = NULL;
    int32_t count;
    pmn_mem_fail_after(k);
    status = pmn_architecture_tensors(pmn_architecture_find("vgg16"), false, false, &specs, &count, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    assert_true((specs == NULL) == (status != PMN_STATUS_OK));
    pmn_free(specs);
  }
  assert_true(k > 50);
}

static int set_up(void **state) {
  (void)state;
  check_folder(folder);
  snprintf(small_weights, sizeof small_weights, "%s/keras.safetensors", folder);
  snprintf(small_torch_weights, sizeof small_torch_weights, "%s/torch.safetensors", folder);
  snprintf(small_headless_weights, sizeof small_headless_weights, "%s/headless.safetensors", folder);
  return seeded_weights_write(small_weights, small, "keras", true) ||
         seeded_weights_write(small_torch_weights, small, "torch", true) ||
         seeded_weights_write(small_headless_weights, small, NULL, false);
}

static int tear_down(void **state) {
  (void)state;
  check_folder_remove(folder);
  return 0;
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_preprocess),
      cmocka_unit_test(test_choice_of_preprocess),
      cmocka_unit_test(test_nearest),
      cmocka_unit_test(test_unknown_network),
      cmocka_unit_test(test_unknown_layer),
      cmocka_unit_test(test_layers),
      cmocka_unit_test(test_list_of_layers),
      cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_bad_tensors),
      cmocka_unit_test(test_metadata),
      cmocka_unit_test(test_no_weights),
      cmocka_unit_test(test_check),
      cmocka_unit_test(test_torch_tensors),
      cmocka_unit_test(test_onnx_choices),
      cmocka_unit_test(test_onnx_record),
      cmocka_unit_test(test_no_memory),
  };
  if (argc > 1) cmocka_set_test_filter(argv[1]);
  return cmocka_run_group_tests_name("model", tests, set_up, tear_down);
}
