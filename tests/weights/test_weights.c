/* test_weights.c - the manifest, matches of other people's names with the zoo's, and the writer. */
#include "check.h"

#include "pmn_convert.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_weights.h"

#include <math.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* ---------------------------------------------------------------------------------------------------- manifest -- */

/* Every published file is of a network of the zoo and named after it; addresses differ; hashes are those that Keras
 * checks. */
static void test_manifest(void **state) {
  (void)state;
  const pmn_weights_entry *e, *other;
  int32_t pinned = 0, count = 0;
  for (; (e = pmn_weights_at(count)) != NULL; count++) {
    char name[64], size[16] = "";
    const pmn_architecture *architecture = pmn_architecture_find(e->network);
    assert_non_null(architecture);
    assert_string_equal(e->licence, architecture->licence);
    if (e->size != architecture->size) snprintf(size, sizeof size, "_%d", e->size);
    snprintf(name, sizeof name, "%s%s%s", e->network, size, e->classifier ? "_top" : "");
    assert_string_equal(e->name, name);
    assert_int_equal(strstr(e->path, "no_top") == NULL && strstr(e->path, "notop") == NULL, e->classifier);
    assert_ptr_equal(pmn_weights_find(name), e);
    for (int32_t i = 0; (other = pmn_weights_at(i)) != NULL; i++) {
      if (i != count) assert_string_not_equal(other->path, e->path);
    }
    pinned += e->md5 != NULL;
    if (e->md5 != NULL) assert_int_equal(strspn(e->md5, "0123456789abcdef"), 32);
  }
  assert_int_equal(count, 50);
  assert_int_equal(pinned, 6);
  assert_string_equal(pmn_weights_base(), "https://storage.googleapis.com/tensorflow/keras-applications/");
  assert_string_equal(pmn_weights_find("vgg19_top")->md5, "cbe5617147190e668d6c5d5026f83318");
  assert_string_equal(pmn_weights_find("mobilenet_v2_0.5_160")->path,
      "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.5_160_no_top.h5");
  assert_null(pmn_weights_at(-1));
  assert_null(pmn_weights_find("mobilenet_v2_1.4_96"));
}

static void test_choose(void **state) {
  (void)state;
  static const struct {
    const char *network;
    int32_t width, height;
    bool classifier;
    const char *name;
  } cases[] = {{"mobilenet_v2_0.5", 0, 0, false, "mobilenet_v2_0.5"},
      {"mobilenet_v2_0.5", 160, 160, false, "mobilenet_v2_0.5_160"},
      {"mobilenet_v2_0.5", 160, 160, true, "mobilenet_v2_0.5_160_top"},
      {"mobilenet_v2_0.5", 160, 128, false, "mobilenet_v2_0.5"},
      {"mobilenet_v2_0.5", 100, 100, false, "mobilenet_v2_0.5"},
      {"mobilenet_v2_1.4", 96, 96, false, "mobilenet_v2_1.4"}, {"resnet50", 50, 50, false, "resnet50"},
      {"vgg19", 0, 0, true, "vgg19_top"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const pmn_weights_entry *e =
        pmn_weights_choose(cases[i].network, cases[i].width, cases[i].height, cases[i].classifier);
    assert_non_null(e);
    assert_string_equal(e->name, cases[i].name);
  }
  assert_null(pmn_weights_choose("efficientnet_lite0", 0, 0, false));
  assert_null(pmn_weights_choose("resnet51", 0, 0, false));
}

static void test_path(void **state) {
  (void)state;
  char folder[64], expected[192], command[512];
  pmn_err err = PMN_ERR_INIT;
  pmn_buf path;
  bool found = true;
  check_folder(folder);
  setenv("XDG_CACHE_HOME", folder, 1);
  pmn_buf_init(&path, 4096);
  check_ok(pmn_weights_path(pmn_weights_find("resnet50"), &path, &found, &err));
  assert_false(found);
  snprintf(expected, sizeof expected, "%s/pomona", folder);
  assert_int_not_equal(access(expected, F_OK), 0); /* to look makes no folder */
  snprintf(expected, sizeof expected, "%s/pomona/weights/resnet50.safetensors", folder);
  assert_string_equal(path.data, expected);
  snprintf(command, sizeof command, "mkdir -p '%s/pomona/weights' && : >'%s'", folder, expected);
  assert_int_equal(system(command), 0);
  check_ok(pmn_weights_path(pmn_weights_find("resnet50"), &path, &found, &err));
  assert_true(found);
  pmn_buf_reset(&path);
  check_folder_remove(folder);
}

/* ----------------------------------------------------------------------------------------------------- matches -- */

/* A real network's tensors, of weights_names.csv, as a safetensors file whose values are pages that nobody has touched:
 * VGG's half a gigabyte costs nothing. */
typedef struct golden {
  char *map;
  size_t size;
  pmn_safetensors *file;
} golden;

/* How the file differs from the real network's. */
typedef struct changes {
  const char *without; /* leaves out tensors whose name begins with this */
  const char *odd;     /* this one has another shape */
  long classes;        /* in the place of 1000 */
  bool sorted;         /* by name */
} changes;

/* One tensor's dtype and shape as JSON. `shape`: "64x3x7x7" or "". Returns its bytes. */
static size_t describe(pmn_buf *header, const char *name, const char *shape, long classes, size_t offset) {
  pmn_err err = PMN_ERR_INIT;
  size_t bytes = sizeof(float);
  check_ok(pmn_buf_printf(header, &err, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[", name));
  for (const char *at = shape; *at != '\0' && *at != '\n';) {
    char *end;
    long extent = strtol(at, &end, 10);
    if (classes > 0 && extent == 1000) extent = classes;
    bytes *= (size_t)extent;
    check_ok(pmn_buf_printf(header, &err, "%s%ld", at == shape ? "" : ",", extent));
    at = *end == 'x' ? end + 1 : end;
  }
  check_ok(pmn_buf_printf(header, &err, "],\"data_offsets\":[%zu,%zu]}", offset, offset + bytes));
  return bytes;
}

static int by_line(const void *a, const void *b) {
  return strcmp(a, b);
}

static golden open_golden(const char *source, const char *network, changes change) {
  enum { LINES_MAX = 500, LINE_SIZE = 256 };
  golden g = {.map = NULL};
  pmn_err err = PMN_ERR_INIT;
  char(*lines)[LINE_SIZE] = calloc(LINES_MAX, sizeof *lines), start[64];
  size_t data = 0, count = 0;
  pmn_buf header;
  pmn_buf_init(&header, 1 << 20);
  FILE *csv = fopen(PMN_SOURCE_DIR "/tests/golden/weights_names.csv", "r");
  assert_non_null(csv);
  assert_non_null(lines);
  int begins = snprintf(start, sizeof start, "%s,%s,", source, network);
  check_ok(pmn_buf_printf(&header, &err, "{\"__metadata__\":{}"));
  while (fgets(lines[count], LINE_SIZE, csv) != NULL) {
    if (strncmp(lines[count], start, (size_t)begins) != 0) continue;
    assert_true(++count < LINES_MAX);
  }
  fclose(csv);
  if (change.sorted) qsort(lines, count, sizeof *lines, by_line);
  for (size_t i = 0; i < count; i++) {
    char *name = lines[i] + begins, *comma = strchr(name, ',');
    *comma = '\0';
    if (change.without != NULL && strncmp(name, change.without, strlen(change.without)) == 0) continue;
    bool odd = change.odd != NULL && strcmp(name, change.odd) == 0;
    data += describe(&header, name, odd ? "7x5" : comma + 1, change.classes, data);
  }
  free(lines);
  check_ok(pmn_buf_printf(&header, &err, "}"));
  g.size = 8 + header.size + data;
  g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_true(g.map != MAP_FAILED);
  for (int i = 0; i < 8; i++) g.map[i] = (char)(header.size >> 8 * i);
  memcpy(g.map + 8, header.data, header.size);
  check_ok(pmn_safetensors_create(g.map, g.size, "golden", &g.file, &err));
  pmn_buf_reset(&header);
  return g;
}

static void close_golden(golden *g) {
  pmn_safetensors_destroy(g->file);
  munmap(g->map, g->size);
}

static const pmn_weights_tensor *tensor_of(const pmn_match *match, const char *name) {
  for (int32_t i = 0; i < match->count; i++) {
    if (strcmp(match->tensors[i].spec->name, name) == 0) return &match->tensors[i];
  }
  fail_msg("no tensor %s", name);
  return NULL;
}

/* Tensors of VGG by the names of three frameworks, chosen by hand: the last convolution of a block, and the classifier,
 * whose first layer reads the picture in another order. */
static void test_vgg(void **state) {
  (void)state;
  static const struct {
    const char *source, *network, *names[4]; /* of block3_conv3, block5_conv3, fc1 and predictions */
    int32_t rank_of_fc1;
  } cases[] = {
      {"torchvision", "vgg16",
          {"features.14.weight", "features.28.weight", "classifier.0.weight", "classifier.6.weight"}, 2},
      {"timm", "vgg16", {"features.14.weight", "features.28.weight", "pre_logits.fc1.weight", "head.fc.weight"}, 4},
      {"torchvision", "vgg19",
          {"features.14.weight", "features.32.weight", "classifier.0.weight", "classifier.6.weight"}, 2},
      {"timm", "vgg19", {"features.14.weight", "features.32.weight", "pre_logits.fc1.weight", "head.fc.weight"}, 4},
      {"keras", "vgg16", {"block3_conv3/kernel", "block5_conv3/kernel", "fc1/kernel", "predictions/kernel"}, 2},
      {"keras", "vgg19", {"block3_conv3/kernel", "block5_conv3/kernel", "fc1/kernel", "predictions/kernel"}, 2},
  };
  pmn_err err = PMN_ERR_INIT;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool torch = strcmp(cases[i].source, "keras") != 0;
    golden g = open_golden(cases[i].source, cases[i].network, (changes){.without = NULL});
    pmn_match match = {.file = g.file, .architecture = pmn_architecture_find(cases[i].network), .torch = torch};
    check_ok(torch ? pmn_match_torch(&match, &err) : pmn_match_keras(&match, &err));
    assert_true(match.classifier);
    assert_int_equal(match.count, strcmp(cases[i].network, "vgg16") == 0 ? 32 : 38);
    static const char *const ours[] = {
        "block3_conv3/kernel", "block5_conv3/kernel", "fc1/kernel", "predictions/kernel"};
    for (int k = 0; k < 4; k++) {
      assert_string_equal(tensor_of(&match, ours[k])->source->name, cases[i].names[k]);
    }
    const pmn_weights_tensor *fc1 = tensor_of(&match, "fc1/kernel");
    assert_int_equal(fc1->source->rank, cases[i].rank_of_fc1);
    if (torch) {
      assert_memory_equal(fc1->view, ((int64_t[]){4096, 512, 7, 7}), sizeof fc1->view);
      assert_memory_equal(fc1->axes, ((int32_t[]){2, 3, 1, 0}), sizeof fc1->axes);
    }
    pmn_match_reset(&match);
    close_golden(&g);
  }
}

/* Without its classifier, a file is one of the features alone; half a classifier is none. */
static void test_parts(void **state) {
  (void)state;
  static const struct {
    const char *source, *network, *classifier;
  } cases[] = {{"torchvision", "resnet50", "fc."}, {"timm", "mobilenet_v2", "classifier."},
      {"timm", "efficientnet_lite0", "classifier."}, {"keras", "resnet50", "predictions/"}};
  pmn_err err = PMN_ERR_INIT;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool torch = strcmp(cases[i].source, "keras") != 0;
    golden whole = open_golden(cases[i].source, cases[i].network, (changes){.without = NULL});
    golden part = open_golden(cases[i].source, cases[i].network, (changes){.without = cases[i].classifier});
    pmn_match match = {.file = part.file, .architecture = pmn_architecture_find(cases[i].network), .torch = torch};
    check_ok(torch ? pmn_match_torch(&match, &err) : pmn_match_keras(&match, &err));
    assert_false(match.classifier);
    int32_t features = match.count;
    match.file = whole.file;
    check_ok(torch ? pmn_match_torch(&match, &err) : pmn_match_keras(&match, &err));
    assert_true(match.classifier);
    assert_int_equal(match.count, features + 2);
    pmn_match_reset(&match);
    close_golden(&whole);
    close_golden(&part);
  }
}

/* Sorted by name, as our own files are: gamma is not the first of a norm, nor the kernel of a layer with a bias. */
static void test_sorted(void **state) {
  (void)state;
  static const char *const networks[] = {"resnet50", "vgg16", "vgg19"};
  pmn_err err = PMN_ERR_INIT;
  for (int i = 0; i < 3; i++) {
    golden g = open_golden("keras", networks[i], (changes){.sorted = true});
    pmn_match match = {.file = g.file, .architecture = pmn_architecture_find(networks[i])};
    check_ok(pmn_match_keras(&match, &err));
    assert_true(match.classifier);
    for (int32_t k = 0; k < match.count; k++) {
      assert_string_equal(match.tensors[k].source->name, match.tensors[k].spec->name);
    }
    pmn_match_reset(&match);
    close_golden(&g);
  }
}

/* The last layer of another number of classes costs the whole classifier, VGG's dense layers too, and nothing else. */
static void test_other_classes(void **state) {
  (void)state;
  static const struct {
    const char *source, *network;
  } cases[] = {{"torchvision", "vgg16"}, {"timm", "vgg19"}, {"keras", "vgg16"}, {"keras", "resnet50"},
      {"torchvision", "mobilenet_v2"}};
  pmn_err err = PMN_ERR_INIT;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool torch = strcmp(cases[i].source, "keras") != 0;
    golden g = open_golden(cases[i].source, cases[i].network, (changes){.classes = 131, .sorted = !torch});
    pmn_match match = {.file = g.file, .architecture = pmn_architecture_find(cases[i].network), .torch = torch};
    pmn_tensor_spec *features = NULL;
    int32_t count = 0;
    check_ok(torch ? pmn_match_torch(&match, &err) : pmn_match_keras(&match, &err));
    assert_false(match.classifier);
    assert_true(pmn_match_is_cut(&match));
    assert_int_equal(match.classes, 131);
    assert_int_equal(match.own_classes, 1000);
    check_ok(pmn_architecture_tensors(match.architecture, torch, false, &features, &count, &err));
    assert_int_equal(match.count, count);
    for (int32_t k = 0; k < count; k++) assert_string_equal(match.tensors[k].spec->name, features[k].name);
    pmn_free(features);
    pmn_match_reset(&match);
    close_golden(&g);
  }
}

static void test_misfits(void **state) {
  (void)state;
  static const struct {
    const char *source, *network, *as, *without, *odd, *says;
  } cases[] = {
      {"torchvision", "resnet50", "resnet50", "layer3.4.bn2.bias", NULL,
          "no tensor layer3.4.bn2.bias, which would be "
          "conv4_block5_2_bn/beta of resnet50"},
      {"torchvision", "resnet50", "resnet50", NULL, "layer2.0.downsample.0.weight", "has the shape [7, 5]"},
      {"torchvision", "resnet50", "vgg16", NULL, NULL, "no tensor features.0.weight"},
      {"torchvision", "vgg19", "vgg16", NULL, NULL, "no tensor features.17.weight"},
      {"torchvision", "mobilenet_v2", "mobilenet_v2_0.5", NULL, NULL, "shape"},
      {"timm", "vgg16", "vgg16", "pre_logits.fc1", NULL, "no place for 4 of its tensors: pre_logits.fc2.weight"},
      {"keras", "vgg16", "vgg16", "block2_conv2/bias", NULL, "layer block2_conv2 has 1 tensors"},
      {"keras", "vgg16", "vgg16", NULL, "block2_conv2/bias", "would have [128]"},
      {"keras", "resnet50", "resnet50", "conv3_block1_0_", NULL, "does not fit resnet50"},
  };
  pmn_err err = PMN_ERR_INIT;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    bool torch = strcmp(cases[i].source, "keras") != 0;
    golden g =
        open_golden(cases[i].source, cases[i].network, (changes){.without = cases[i].without, .odd = cases[i].odd});
    pmn_match match = {.file = g.file, .architecture = pmn_architecture_find(cases[i].as), .torch = torch};
    pmn_status st = torch ? pmn_match_torch(&match, &err) : pmn_match_keras(&match, &err);
    if (st != PMN_STATUS_MODEL || strstr(err.message, cases[i].says) == NULL) {
      fail_msg("case %zu: status %d, %s", i, (int)st, err.message);
    }
    pmn_match_reset(&match);
    close_golden(&g);
  }
}

static void test_match_without_memory(void **state) {
  (void)state;
  golden keras = open_golden("keras", "resnet50", (changes){.without = NULL});
  golden torch = open_golden("timm", "resnet50", (changes){.without = NULL});
  for (int kind = 0; kind < 2; kind++) {
    for (int64_t after = 0;; after++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_match match = {.file = kind == 0 ? keras.file : torch.file,
          .architecture = pmn_architecture_find("resnet50"),
          .torch = kind == 1};
      pmn_mem_fail_after(after);
      pmn_status st = kind == 0 ? pmn_match_keras(&match, &err) : pmn_match_torch(&match, &err);
      pmn_mem_fail_after(-1);
      pmn_match_reset(&match);
      if (st == PMN_STATUS_OK) {
        assert_true(after > 3);
        break;
      }
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
    }
  }
  close_golden(&keras);
  close_golden(&torch);
}

/* ------------------------------------------------------------------------------------------------------ writer -- */

static const pmn_weights_metadata metadata[] = {{"pomona.network", "none"}, {"pomona.framework", "torch"}};

/* A convolution of [2, 3, 2, 2] in PyTorch's order becomes [2, 2, 3, 2]; every element where it belongs. */
static void test_writer(void **state) {
  (void)state;
  float conv[24], plain[5] = {1, 2, 3, 4, 5};
  for (int i = 0; i < 24; i++) conv[i] = (float)i;
  /* 1, -2, 65504, the smallest subnormal, the largest one, infinity: IEEE 754-2008, table 3.5. */
  static const uint16_t half[] = {0x3c00, 0xc000, 0x7bff, 0x0001, 0x83ff, 0x7c00}, brain[] = {0x3f80, 0xc0a0};
  static const float halves[] = {1, -2, 65504, 0x1p-24f, -1023 * 0x1p-24f, INFINITY}, brains[] = {1, -5};
  const pmn_weight sources[] = {{"c", "F32", 4, {2, 3, 2, 2}, conv, 0, sizeof conv},
      {"p", "F32", 1, {5}, plain, 0, sizeof plain}, {"h", "F16", 1, {6}, half, 0, sizeof half},
      {"b", "BF16", 1, {2}, brain, 0, sizeof brain}};
  const pmn_tensor_spec specs[] = {
      {"z/kernel", 4, {2, 2, 3, 2}}, {"a/bias", 1, {5}}, {"m/half", 1, {6}}, {"b/brain", 1, {2}}};
  pmn_weights_tensor tensors[] = {{&specs[0], &sources[0], {2, 3, 2, 2}, {2, 3, 1, 0}},
      {&specs[1], &sources[1], {1, 1, 1, 5}, {0, 1, 2, 3}}, {&specs[2], &sources[2], {1, 1, 1, 6}, {0, 1, 2, 3}},
      {&specs[3], &sources[3], {1, 1, 1, 2}, {0, 1, 2, 3}}};
  char folder[64], path[96], sha256[PMN_SHA256_HEX_SIZE], actual[PMN_SHA256_HEX_SIZE];
  pmn_err err = PMN_ERR_INIT;
  pmn_safetensors *file = NULL;
  pmn_buf bytes;
  int64_t size = 0;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/out", folder);
  const volatile sig_atomic_t stop = 1;
  check_fails(pmn_weights_write(path, false, tensors, 4, metadata, 2, &stop, sha256, &size, &err),
      PMN_STATUS_INTERRUPTED, "interrupted");
  assert_int_equal(rmdir(folder), 0); /* nothing is left in it */
  assert_int_equal(mkdir(folder, 0700), 0);
  check_ok(pmn_weights_write(path, false, tensors, 4, metadata, 2, NULL, sha256, &size, &err));
  check_fails(
      pmn_weights_write(path, false, tensors, 4, metadata, 2, NULL, sha256, &size, &err), PMN_STATUS_EXISTS, "out");
  check_ok(pmn_weights_write(path, true, tensors, 4, metadata, 2, NULL, sha256, &size, &err));
  pmn_buf_init(&bytes, 1 << 20);
  check_ok(pmn_file_read(path, &bytes, &err));
  assert_int_equal(bytes.size, size);
  const void *data = bytes.data;
  check_ok(pmn_sha256_hex(&data, &bytes.size, 1, actual, &err));
  assert_string_equal(actual, sha256);
  check_ok(pmn_safetensors_create(bytes.data, bytes.size, "out", &file, &err));
  assert_string_equal(pmn_safetensors_metadata(file, "pomona.network"), "none");
  assert_string_equal(pmn_safetensors_metadata(file, "pomona.framework"), "torch");
  assert_string_equal(pmn_safetensors_at(file, 0)->name, "a/bias");
  assert_string_equal(pmn_safetensors_at(file, 3)->name, "z/kernel");
  assert_int_equal(((const char *)pmn_safetensors_at(file, 0)->data - bytes.data) % 64, 0);
  assert_memory_equal(pmn_safetensors_find(file, "a/bias")->data, plain, sizeof plain);
  assert_memory_equal(pmn_safetensors_find(file, "m/half")->data, halves, sizeof halves);
  assert_memory_equal(pmn_safetensors_find(file, "b/brain")->data, brains, sizeof brains);
  const pmn_weight *kernel = pmn_safetensors_find(file, "z/kernel");
  assert_memory_equal(kernel->shape, specs[0].shape, 4 * sizeof(int64_t));
  for (int h = 0; h < 2; h++) {
    for (int w = 0; w < 2; w++) {
      for (int in = 0; in < 3; in++) {
        for (int out = 0; out < 2; out++) {
          float value;
          memcpy(&value, (const char *)kernel->data + 4 * (((h * 2 + w) * 3 + in) * 2 + out), 4);
          assert_float_equal(value, conv[((out * 3 + in) * 2 + h) * 2 + w], 0);
        }
      }
    }
  }
  pmn_safetensors_destroy(file);
  pmn_buf_reset(&bytes);
  check_folder_remove(folder);
}

static void test_writer_without_memory(void **state) {
  (void)state;
  static const float value = 1;
  static const pmn_weight source = {"s", "F32", 1, {1}, &value, 0, sizeof value};
  static const pmn_tensor_spec spec = {"a/bias", 1, {1}};
  pmn_weights_tensor tensor = {&spec, &source, {1, 1, 1, 1}, {0, 1, 2, 3}};
  char folder[64], path[96], sha256[PMN_SHA256_HEX_SIZE];
  int64_t size = 0, after = 0;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/out", folder);
  for (pmn_status st = PMN_STATUS_NO_MEMORY; st != PMN_STATUS_OK; after++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_mem_fail_after(after);
    st = pmn_weights_write(path, false, &tensor, 1, metadata, 2, NULL, sha256, &size, &err);
    pmn_mem_fail_after(-1);
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      assert_int_not_equal(access(path, F_OK), 0);
    }
  }
  assert_true(after > 3);
  check_folder_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_manifest),
      cmocka_unit_test(test_choose),
      cmocka_unit_test(test_path),
      cmocka_unit_test(test_vgg),
      cmocka_unit_test(test_parts),
      cmocka_unit_test(test_sorted),
      cmocka_unit_test(test_other_classes),
      cmocka_unit_test(test_misfits),
      cmocka_unit_test(test_match_without_memory),
      cmocka_unit_test(test_writer),
      cmocka_unit_test(test_writer_without_memory),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
