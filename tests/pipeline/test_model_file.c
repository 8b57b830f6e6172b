/* test_model_file.c - files of pmn_train that are damaged, that lie, or that belong to other weights: none is believed.
 */
#include "classify_check.h"

#include "check_store.h"

#include "pmn_classifier.h"
#include "pmn_mem.h"

typedef struct bytes {
  size_t size;
  char *data;
} bytes;

static void write_bytes(const char *path, const bytes *b, size_t size) {
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(b->data, 1, size, file), size);
  fclose(file);
}

/* Puts `to` for the first `from` of the header; the length of the header is mended. */
static void replace(bytes *b, const char *from, const char *to) {
  uint64_t length;
  size_t from_size = strlen(from), to_size = strlen(to);
  memcpy(&length, b->data, sizeof length);
  char *at = memmem(b->data + 8, length, from, from_size);
  if (at == NULL) fail_msg("the header has no %s", from);
  size_t place = (size_t)(at - b->data);
  b->data = realloc(b->data, b->size + to_size + 1);
  assert_non_null(b->data);
  memmove(b->data + place + to_size, b->data + place + from_size, b->size - place - from_size);
  memcpy(b->data + place, to, to_size);
  b->size = b->size + to_size - from_size;
  length = length + to_size - from_size;
  memcpy(b->data, &length, sizeof length);
}

/* `b`, signed, as bad.model of this test's folder. */
static void write_signed(const bytes *b) {
  char path[512];
  snprintf(path, sizeof path, "%s/bad.model", folder);
  check_sign(b->data, b->size);
  write_bytes(path, b, b->size);
}

/* The same of `good` with one change. */
static void write_changed(const bytes *good, const char *from, const char *to) {
  bytes b = {good->size, malloc(good->size)};
  assert_non_null(b.data);
  memcpy(b.data, good->data, good->size);
  replace(&b, from, to);
  write_signed(&b);
  free(b.data);
}

static const struct {
  const char *from, *to, *text;
} lies[] = {
    {"pomona.model", "pomona.projection", "holds a projection, not a model; give it to --projection"},
    {"\\\"classes\\\":[", "\\\"class\\\":[", "no list of 1 to 65536 classes"},
    {"\\\"classes\\\":[", "\\\"classes\\\":[\\\"\\\",", "number 0 of its classes"},
    {"\\\"classes\\\":[", "\\\"classes\\\":[\\\"zz\\\",", "number 1 of its classes"},
    {"\\\"classes\\\":[", "\\\"classes\\\":[\\\" \\\\\\\\q\\\",", "number 0 of its classes"},
    {"\\\"classes\\\":[", "\\\"classes\\\":[\\\" \\\",", "3 classes apart, but 4 have a name"},
    {"\\\"options\\\":{", "\\\"opt\\\":{", "no object options"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"pool\\\":3,", "no text for pool"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"pool\\\":\\\"\\\\\\\\\\\",", "no text for pool"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"layers\\\":3,", "no list of 1 to 1024 layers"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"layers\\\":[\\\"a\\\",3],", "no text for layers"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"width\\\":0,", "no width between 1"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"gray\\\":1,", "no gray that is true or false"},
    {"\\\"features\\\":\\\"orb\\\"", "\\\"features\\\":\\\"pixels\\\"", "it has words, but its features count none"},
    {"\\\"features\\\":\\\"orb\\\"", "\\\"features\\\":\\\"sift\\\"", "its words are of other descriptors than sift"},
    {"\\\"words\\\":8", "\\\"words\\\":9", "its features count other words"},
    {"\\\"vocabulary\\\":{", "\\\"dictionary\\\":{", "its features count words, but it has none"},
    {"\\\"projection\\\":{", "\\\"rejection\\\":{", "more tensors than the 6 that belong there"},
    {"\\\"perceptron\\\":{", "\\\"percept\\\":{", "no object perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,6,0]", "the widths of its perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3]", "the widths of its perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,6.5,3]", "the widths of its perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,2147483648,3]", "the widths of its perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,3]",
        "the widths of its perceptron"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,6,4]", "4 classes apart, but 3 have a name"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,7,3]", "tensor weights.0 is not F64 of the shape"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[2,6,3]", "its projection gives 3 columns"},
    {"\\\"widths\\\":[3,6,3]", "\\\"widths\\\":[3,3]", "tensor weights.0 is not F64 of the shape"},
    {"\\\"activation\\\":\\\"sigmoid\\\"", "\\\"activation\\\":\\\"tanh\\\"", "no activation that is known"},
    {"\\\"iterations\\\":", "\\\"iteration\\\":", "no iterations between"},
    {"\\\"loss\\\":", "\\\"loss\\\":null,\\\"x\\\":", "no loss that is a number"},
    {"\\\"held_out_loss\\\":", "\\\"held_out\\\":", "no held_out_loss that is a number"},
    {"weights.1", "weights.9", "there is no tensor weights.1"},
    {"biases.0", "biases.7", "there is no tensor biases.0"},
    {"\\\"start\\\":\\\"k-means++\\\"", "\\\"start\\\":\\\"k\\\"", "no start that is known"},
    {"\\\"mini_batch\\\":0,\\\"seed\\\":0", "\\\"mini_batch\\\":-1,\\\"seed\\\":0", "no mini_batch between 0"},
    {"\\\"mini_batch\\\":0,\\\"seed\\\":0", "\\\"mini_batch\\\":0,\\\"seed\\\":-1", "no seed between 0"},
    {"\\\"orb\\\",\\\"keypoints\\\":500}", "\\\"orb\\\",\\\"keypoints\\\":65537}", "no keypoints between 1 and 65536"},
    {"\\\"orb\\\",\\\"keypoints\\\":500}", "\\\"orb\\\",\\\"keypoints\\\":500,\\\"resized\\\":{\\\"width\\\":8193}}",
        "no width between 1 and 8192"},
    {"\\\"orb\\\",\\\"keypoints\\\":500}",
        "\\\"orb\\\",\\\"keypoints\\\":500,\\\"resized\\\":{\\\"width\\\":9,\\\"height\\\":9,\\\"resize\\\":"
        "\\\"box\\\"}}",
        "no resize that is known"},
    {"\\\"inertia\\\":", "\\\"inert\\\":", "no inertia that is a number"},
    {"\\\"d\\\":8", "\\\"d\\\":7", "spectrum has 8 values; there must be 3 to 7"},
};

/* A model of every part, small: 8 words of ORB, 3 components, 3 x 6 x 3. */
static bytes small_model(void) {
  pmn_train_options options = train_options(training, "good.model");
  options.rows.features = "orb";
  options.rows.width = options.rows.height = 0;
  options.rows.preprocess = NULL;
  options.rows.words = 8;
  options.rows.statistics.pca_components = 3;
  trained(&options);
  bytes b;
  b.data = read_all(in_folder("good.model"), &b.size);
  return b;
}

static void damaged_models_are_refused(void **state) {
  (void)state;
  char path[512];
  pmn_err err = PMN_ERR_INIT;
  pmn_classifier *model;
  const bytes good = small_model();
  snprintf(path, sizeof path, "%s/bad.model", folder);
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    write_changed(&good, lies[i].from, lies[i].to);
    model = (pmn_classifier *)path;
    pmn_status st = pmn_classifier_load(path, &model, &err);
    if (st != PMN_STATUS_MODEL || strstr(err.message, lies[i].text) == NULL || strstr(err.message, path) == NULL)
      fail_msg("%s: %d %s", lies[i].to, (int)st, err.message);
    assert_null(model);
  }
  for (size_t size = 0; size < good.size; size += size < 64 ? 1 : 97) {
    write_bytes(path, &good, size);
    check_fails(pmn_classifier_load(path, &model, &err), PMN_STATUS_MODEL, path);
  }
  for (size_t i = 0; i < good.size; i += i < 1000 ? 1 : 7) {
    good.data[i] ^= 0x40;
    write_bytes(path, &good, good.size);
    good.data[i] ^= 0x40;
    check_fails(pmn_classifier_load(path, &model, &err), PMN_STATUS_MODEL, path);
  }
  for (int64_t k = 0, done = 0; !done; k++) { /* for want of memory too */
    pmn_mem_fail_after(k);
    pmn_status st = pmn_classifier_load(in_folder("good.model"), &model, &err);
    pmn_mem_fail_after(-1);
    done = st == PMN_STATUS_OK;
    if (!done && st != PMN_STATUS_NO_MEMORY) fail_msg("allocation %d: %d %s", (int)k, (int)st, err.message);
    if (done) pmn_classifier_destroy(model);
    if (done) assert_in_range(k, 20, 400);
  }
  free(good.data);
}

/* Options that no training can have had: it is the model that is wrong, and not who asks it. */
static const struct {
  const char *from, *to, *text;
} contradictions[] = {
    {"{\\\"words\\\":\\\"orb\\\"", "{\\\"wards\\\":\\\"orb\\\"",
        "its perceptron was made for features of an unknown source with wards \"orb\", here missing"},
    {"\\\"features\\\":{", "\\\"features\\\":{\\\"x\\\":3,", "made for features of orb with x 3, here missing"},
    {"\\\"width\\\":8", "\\\"width\\\":\\\"8\\\"", "features of orb with width \"8\", here 8"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"resize\\\":\\\"lanczos\\\",", "no filter is called \"lanczos\""},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"norm\\\":\\\"l7\\\",", "no norm is called \"l7\""},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"precision\\\":\\\"fp8\\\",", "no precision is called \"fp8\""},
    {"\\\"keypoints\\\":500,\\\"words\\\"", "\\\"keypoints\\\":99999999,\\\"words\\\"", "a number is out of range"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"width\\\":9000,\\\"height\\\":9,", "a number is out of range"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"gray\\\":true,", "gray is of pixels"},
    {"\\\"options\\\":{", "\\\"options\\\":{\\\"pool\\\":\\\"avg\\\",", "pooling and preprocessing are of networks"},
};

static void contradictions_are_the_models(void **state) {
  (void)state;
  const bytes good = small_model();
  for (size_t i = 0; i < sizeof contradictions / sizeof *contradictions; i++) {
    write_changed(&good, contradictions[i].from, contradictions[i].to);
    pmn_classify_options asked = classify_options(training, "bad.model", "out.csv");
    predict_fails(&asked, PMN_STATUS_MODEL, contradictions[i].text);
    predict_fails(&asked, PMN_STATUS_MODEL, "bad.model is damaged, or of another pomona");
  }
  free(good.data);
}

/* A model of a network belongs to its weights, and to what else its features were. */
static void other_weights_are_refused(void **state) {
  (void)state;
  bytes b;
  pmn_train_options options = train_options(training, "good.model");
  options.rows.features = NULL;
  options.rows.preprocess = NULL;
  options.rows.width = options.rows.height = 64;
  assert_int_equal(trained(&options).width, WIDTH);
  pmn_classify_options asked = classify_options(training, "good.model", "out.csv");
  predicted(&asked);
  b.data = read_all(in_folder("good.model"), &b.size);
  replace(&b, "\\\"weights_sha256\\\":\\\"", "\\\"weights_sha256\\\":\\\"0");
  write_signed(&b);
  asked = classify_options(training, "bad.model", "other.csv");
  predict_fails(&asked, PMN_STATUS_ARGUMENT, "efficientnet_lite0 with other weights");
  replace(&b, "\\\"options\\\":{\\\"width\\\":64", "\\\"options\\\":{\\\"width\\\":96");
  replace(&b, "\\\"weights_sha256\\\":\\\"0", "\\\"weights_sha256\\\":\\\"");
  write_signed(&b);
  predict_fails(&asked, PMN_STATUS_ARGUMENT, "preprocess.width 64, here 96");
  replace(&b, "\\\"options\\\":{\\\"width\\\":96", "\\\"options\\\":{\\\"precision\\\":\\\"bf16\\\",\\\"width\\\":64");
  replace(&b, "\\\"features\\\":{", "\\\"features\\\":{\\\"precision\\\":\\\"bf16\\\",");
  write_signed(&b);
  asked.rows.backend = "opencl";
  predict_fails(&asked, PMN_STATUS_DEVICE, "bad.model was trained with --precision bf16, and must be asked with such");
  predict_fails(&asked, PMN_STATUS_DEVICE, "wants --backend cpu, or a model trained without --precision");
  asked = classify_options(training, "good.model", "other.csv");
  asked.rows.weights = "missing.safetensors";
  predict_fails(&asked, PMN_STATUS_NOT_FOUND, "missing.safetensors");
  free(b.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      in_fresh_folder(damaged_models_are_refused),
      in_fresh_folder(contradictions_are_the_models),
      in_fresh_folder(other_weights_are_refused),
  };
  return check_exit(cmocka_run_group_tests(tests, make_orchard, remove_orchard));
}
