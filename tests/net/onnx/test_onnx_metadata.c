/* test_onnx_metadata.c - preprocessing records in models, sound and not. */
#include "onnx_sketch.h"
#include "pmn_model.h"

/* A model with up to three metadata entries, "KEY=VALUE" each. */
static pmn_onnx *open_with(const sketch_case *f, const char *const entries[3]) {
  pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, 13);
  for (int i = 0; i < 3 && entries[i] != NULL; i++) {
    char key[64];
    const char *equals = strchr(entries[i], '=');
    snprintf(key, sizeof key, "%.*s", (int)(equals - entries[i]), entries[i]);
    sketch_metadata(&model, key, equals + 1);
  }
  return sketch_accept_model(f, &model);
}

typedef struct good_case {
  const char *entries[3];
  double scale[3], shift[3];
  bool bgr;
  const char *resize, *name, *formula;
} good_case;

static const good_case good[] = {
    {{"pomona.preprocess={}"}, {1, 1, 1}, {0, 0, 0}, false, "bilinear", "file", "(x * 1 - (0, 0, 0)) / (1, 1, 1), RGB"},
    {{"pomona.preprocess={\"channels\":\"BGR\",\"mean\":[1,2,3]}"}, {1, 1, 1}, {-1, -2, -3}, true, "bilinear", "file",
        "(x * 1 - (1, 2, 3)) / (1, 1, 1), BGR"},
    {{"pomona.preprocess={\"scale\":0.5,\"mean\":[1,0,-1],\"std\":[2,4,0.25],\"resize\":\"nearest\"}"},
        {0.25, 0.125, 2}, {-0.5, 0, 4}, false, "nearest", "file", "(x * 0.5 - (1, 0, -1)) / (2, 4, 0.25), RGB"},
    {{"pomona.preprocess={\"size\":[5,4],\"channels\":\"RGB\",\"resize\":\"bicubic\"}"}, {1, 1, 1}, {0, 0, 0}, false,
        "bicubic", "file", "x"},
    {{"pomona.preprocess=raw"}, {1, 1, 1}, {0, 0, 0}, false, "bicubic", "raw", "x"},
    {{"pomona.preprocess=caffe"}, {1, 1, 1}, {-103.939, -116.779, -123.68}, true, "bicubic", "caffe", "BGR"},
    {{"Image.BitmapPixelFormat=Rgb8", "Image.NominalPixelRange=NominalRange_0_255", "Image.ColorSpaceGamma=SRGB"},
        {1, 1, 1}, {0, 0, 0}, false, "bilinear", "file", "x, RGB"},
    {{"Image.BitmapPixelFormat=Bgr8", "Image.NominalPixelRange=Normalized_0_1"}, {1 / 255.0, 1 / 255.0, 1 / 255.0},
        {0, 0, 0}, true, "bilinear", "file", "x / 255, BGR"},
    {{"image.bitmappixelformat=rgb8", "IMAGE.NOMINALPIXELRANGE=normalized_1_1"}, {1 / 127.5, 1 / 127.5, 1 / 127.5},
        {-1, -1, -1}, false, "bilinear", "file", "x / 127.5 - 1, RGB"},
    {{"Image.BitmapPixelFormat=Gray8", "pomona.preprocess=raw"}, {1, 1, 1}, {0, 0, 0}, false, "bicubic", "raw", "x"},
};

static void test_sound(void **state) {
  const sketch_case *f = *state;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_preprocess p;
    bool found = false;
    pmn_onnx *onnx = open_with(f, good[i].entries);
    check_ok(pmn_onnx_preprocess(onnx, &p, &found, &err));
    assert_true(found);
    assert_int_equal(p.width, 5); /* the input's */
    assert_int_equal(p.height, 4);
    for (int c = 0; c < 3; c++) {
      if (p.scale[c] != good[i].scale[c] || p.shift[c] != good[i].shift[c]) {
        fail_msg("%s: channel %d: %g, %g", good[i].entries[0], c, p.scale[c], p.shift[c]);
      }
    }
    assert_int_equal(p.bgr, good[i].bgr);
    assert_string_equal(p.resize, good[i].resize);
    assert_string_equal(p.name, good[i].name);
    if (strstr(p.formula, good[i].formula) == NULL) fail_msg("%s: \"%s\"", good[i].entries[0], p.formula);
    pmn_onnx_close(onnx);
  }
}

static void test_none(void **state) {
  const sketch_case *f = *state;
  static const char *const others[][3] = {{NULL}, {"author=me", "Pomona=x"}, {"Image.ColorSpaceGamma=Linear"}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_preprocess p;
    bool found = true;
    pmn_onnx *onnx = open_with(f, others[i]);
    check_ok(pmn_onnx_preprocess(onnx, &p, &found, &err));
    assert_false(found);
    pmn_onnx_close(onnx);
  }
}

/* Refused when asked for, not before: --preprocess takes the record's place. */
static void test_refused(void **state) {
  const sketch_case *f = *state;
  static const struct {
    const char *entries[3], *text;
  } bad[] = {
      {{"pomona.preprocess="}, "is neither a JSON object nor a name that --preprocess takes"},
      {{"pomona.preprocess=torchvision"}, "is neither a JSON object nor a name that --preprocess takes: torchvision"},
      {{"pomona.preprocess=[]"}, "is neither a JSON object"},
      {{"pomona.preprocess={\"scale\":1,\"scale\":2}"}, "is neither a JSON object"},
      {{"pomona.preprocess={\"mena\":[0,0,0]}"}, "has an unknown member \"mena\""},
      {{"pomona.preprocess={\"scale\":\"1\"}"}, "\"scale\" should be a number"},
      {{"pomona.preprocess={\"scale\":0}"}, "should be such that"},
      {{"pomona.preprocess={\"scale\":1e300}"}, "should be such that"},
      {{"pomona.preprocess={\"std\":[1,0,1]}"}, "\"std\" should be such that"},
      {{"pomona.preprocess={\"std\":[1,1]}"}, "\"std\" should be three numbers"},
      {{"pomona.preprocess={\"std\":[1,1,1,1]}"}, "\"std\" should be three numbers"},
      {{"pomona.preprocess={\"mean\":0.5}"}, "\"mean\" should be three numbers"},
      {{"pomona.preprocess={\"mean\":[0,0,null]}"}, "\"mean\" should be three numbers"},
      {{"pomona.preprocess={\"size\":224}"}, "\"size\" should be [width, height]"},
      {{"pomona.preprocess={\"size\":[0,4]}"}, "\"size\" should be [width, height]"},
      {{"pomona.preprocess={\"size\":[5,4,3]}"}, "\"size\" should be [width, height]"},
      {{"pomona.preprocess={\"size\":[4294967301,4]}"}, "\"size\" should be [width, height]"},
      {{"pomona.preprocess={\"size\":[4,5]}"}, "its metadata speaks of pictures of 4 x 5, its input is 5 x 4"},
      {{"pomona.preprocess={\"channels\":\"GBR\"}"}, "\"channels\" should be \"RGB\" or \"BGR\""},
      {{"pomona.preprocess={\"channels\":3}"}, "\"channels\" should be"},
      {{"pomona.preprocess={\"resize\":\"lanczos\"}"}, "\"resize\" should be \"bilinear\", \"bicubic\" or \"nearest\""},
      {{"Image.BitmapPixelFormat=Rgb8"}, "only one is there"},
      {{"Image.NominalPixelRange=Normalized_0_1"}, "only one is there"},
      {{"Image.BitmapPixelFormat=Gray8", "Image.NominalPixelRange=Normalized_0_1"},
          "Image.BitmapPixelFormat is Gray8; Rgb8 and Bgr8 are taken"},
      {{"Image.BitmapPixelFormat=Rgb8", "Image.NominalPixelRange=NominalRange_16_235"},
          "Image.NominalPixelRange is NominalRange_16_235; NominalRange_0_255, Normalized_0_1"},
      {{"Image.BitmapPixelFormat=Rgb8", "Image.NominalPixelRange=Normalized_0_1", "Image.ColorSpaceGamma=Linear"},
          "Image.ColorSpaceGamma is Linear; SRGB is taken"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_preprocess p;
    bool found = true;
    pmn_onnx *onnx = open_with(f, bad[i].entries);
    check_fails(pmn_onnx_preprocess(onnx, &p, &found, &err), PMN_STATUS_MODEL, bad[i].text);
    assert_false(found);
    assert_int_equal(strncmp(err.message, f->path, strlen(f->path)), 0);
    pmn_onnx_close(onnx);
  }
  /* A record so long that nobody wrote it. */
  char *record = malloc(8192);
  assert_non_null(record);
  memset(record, ' ', 8192);
  memcpy(record, "pomona.preprocess={", 19);
  strcpy(record + 8000, "}");
  pmn_err err = PMN_ERR_INIT;
  pmn_preprocess p;
  bool found;
  pmn_onnx *onnx = open_with(f, (const char *const[3]){record});
  check_fails(pmn_onnx_preprocess(onnx, &p, &found, &err), PMN_STATUS_MODEL, "is neither a JSON object");
  pmn_onnx_close(onnx);
  free(record);
}

/* The record's size is for models whose input is open. */
static void test_open_size(void **state) {
  const sketch_case *f = *state;
  const int64_t dims[] = {-1, -1, 6, 3};
  for (int sized = 0; sized < 2; sized++) {
    pmn_buf graph = sketch_graph(PART_ALL & ~PART_INPUT), input = sketch_value_info("x", FLOAT, dims, 4);
    sketch_message(&graph, GRAPH_INPUT, &input);
    pmn_buf model = sketch_model(&graph, 13);
    sketch_metadata(&model, "pomona.preprocess", sized ? "{\"size\":[6,7]}" : "{}");
    pmn_err err = PMN_ERR_INIT;
    pmn_preprocess p;
    bool found;
    pmn_onnx *onnx = sketch_accept_model(f, &model);
    check_ok(pmn_onnx_preprocess(onnx, &p, &found, &err));
    assert_int_equal(p.width, 6);
    assert_int_equal(p.height, sized ? 7 : 0);
    pmn_onnx_close(onnx);
  }
}

/* A record that makes no sense, or pictures of another size, do not keep anybody from saying how it is. */
static void test_overridden(void **state) {
  const sketch_case *f = *state;
  static const char *const records[] = {"{\"scale\":\"x\"}", "{\"size\":[4,5]}"};
  for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
    pmn_buf graph = sketch_graph(PART_ALL);
    pmn_buf bytes = sketch_model(&graph, 13);
    sketch_metadata(&bytes, "pomona.preprocess", records[i]);
    sketch_file(f->folder, "m.onnx", bytes.data, bytes.size);
    pmn_buf_reset(&bytes);
    pmn_err err = PMN_ERR_INIT;
    pmn_model *model = NULL;
    pmn_model_options options = {.network = f->path};
    check_fails(pmn_model_create(&options, &model, &err), PMN_STATUS_MODEL, "; --preprocess NAME takes its place");
    options.preprocess = "tf";
    check_ok(pmn_model_create(&options, &model, &err));
    assert_string_equal(pmn_model_preprocess(model)->name, "tf");
    assert_int_equal(pmn_model_preprocess(model)->width, 5);
    pmn_model_destroy(model);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_sound, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_none, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_refused, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_open_size, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_overridden, sketch_setup, sketch_teardown),
  };
  return cmocka_run_group_tests_name("onnx_metadata", tests, NULL, NULL);
}
