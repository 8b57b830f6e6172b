/* test_onnx_mutated.c - sound models with a few wrong bytes: all are taken or refused as models, in bounded memory.
 *
 * Deterministic: cut short at every byte, every bit turned, every byte made the start of a huge number. Run under
 * sanitizers it is a fuzzer that finds the same things every time; fuzz_onnx.c looks for new ones.
 */
#include "onnx_run.h"
#include "onnx_sketch.h"

#include <sys/resource.h>

/* Resident memory of the whole program, with what a sanitizer needs besides. */
enum { MEMORY_MAX_KB = 1536 * 1024 };

typedef struct verdicts {
  int taken, refused;
} verdicts;

static void run(const unsigned char *bytes, size_t size, const char *what, size_t at, verdicts *tally) {
  pmn_err err = PMN_ERR_INIT;
  pmn_status status = onnx_run(bytes, size, &err);
  if (status == PMN_STATUS_OK) {
    tally->taken++;
    return;
  }
  tally->refused++;
  if (status != PMN_STATUS_MODEL || err.message[0] == '\0') {
    fail_msg("%s at byte %zu: status %d, \"%s\"", what, at, (int)status, err.message);
  }
}

/* The bytes with those from `at` to `at` + `gone` exchanged for others. */
static void run_spliced(
    const pmn_buf *model, size_t at, size_t gone, const void *bytes, size_t size, const char *what, verdicts *tally) {
  pmn_buf copy = sketch_new();
  sketch_append(&copy, model->data, at);
  sketch_append(&copy, bytes, size);
  sketch_append(&copy, model->data + at + gone, model->size - at - gone);
  run((const unsigned char *)copy.data, copy.size, what, at, tally);
  pmn_buf_reset(&copy);
}

static void check_memory(void) {
  struct rusage usage;
  assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
  if (usage.ru_maxrss > MEMORY_MAX_KB) fail_msg("%ld kB of memory were used", usage.ru_maxrss);
}

/* All mutations at every `stride`-th byte. */
static void mutate(pmn_buf *model, size_t stride, const char *name) {
  static const struct {
    const char *what, *bytes;
    size_t size;
  } numbers[] = {
      {"a length of 2^31 - 1", "\xff\xff\xff\xff\x07", 5},
      {"a number of 2^63 - 1", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9},
      {"a number of -1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
      {"a number without an end", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
      {"0", "\0", 1},
      {"two thousand and more", "\xd0\x0f", 2},
  };
  verdicts tally = {0};
  run((unsigned char *)model->data, model->size, name, 0, &tally);
  if (tally.taken != 1) fail_msg("%s is not sound", name);
  for (size_t at = 0; at < model->size; at += stride) {
    run((unsigned char *)model->data, at, "cut short", at, &tally);
    for (int bit = 0; bit < 8; bit++) {
      char turned = (char)(model->data[at] ^ 1 << bit);
      run_spliced(model, at, 1, &turned, 1, "a bit turned", &tally);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
      run_spliced(model, at, 1, numbers[i].bytes, numbers[i].size, numbers[i].what, &tally);
    }
    run_spliced(model, at, 1, "", 0, "a byte left out", &tally);
  }
  check_memory();
  print_message("%s: %d taken, %d refused\n", name, tally.taken, tally.refused);
  assert_true(tally.refused > tally.taken / 16);
  pmn_buf_reset(model);
}

static void test_sketch(void **state) {
  (void)state;
  pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, 13);
  sketch_metadata(&model, "pomona.preprocess", "{\"mean\": [0.5, 0.5, 0.5]}");
  mutate(&model, 1, "sketch");
}

/* Convolution, pooling, a chain of computed shapes, a dense layer. */
static void test_classifier(void **state) {
  (void)state;
  const int64_t picture[] = {1, 3, 8, 8}, kernel[] = {4, 3, 3, 3}, bias[] = {4}, dense[] = {4, 2}, two[] = {2};
  static const float numbers[4 * 3 * 3 * 3];
  const int64_t shape[] = {0, -1};
  pmn_buf graph = sketch_new(), part, attribute;
  part = sketch_value_info("x", FLOAT, picture, 4);
  sketch_message(&graph, GRAPH_INPUT, &part);
  part = sketch_tensor("k", FLOAT, kernel, 4);
  sketch_bytes(&part, TENSOR_RAW, numbers, sizeof numbers);
  sketch_message(&graph, GRAPH_INITIALIZER, &part);
  part = sketch_tensor("b", FLOAT, bias, 1);
  sketch_bytes(&part, TENSOR_FLOAT_DATA, numbers, 16);
  sketch_message(&graph, GRAPH_INITIALIZER, &part);
  part = sketch_tensor("d", FLOAT, dense, 2);
  sketch_bytes(&part, TENSOR_RAW, numbers, 32);
  sketch_message(&graph, GRAPH_INITIALIZER, &part);
  part = sketch_node("Conv", "conv", "x,k,b", "c");
  attribute = sketch_attribute("strides", 7);
  sketch_number(&attribute, 8, 2);
  sketch_number(&attribute, 8, 2);
  sketch_message(&part, NODE_ATTRIBUTE, &attribute);
  attribute = sketch_attribute("pads", 7);
  for (int i = 0; i < 4; i++) sketch_number(&attribute, 8, 1);
  sketch_message(&part, NODE_ATTRIBUTE, &attribute);
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_node("Relu", "", "c", "r");
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_node("GlobalAveragePool", "", "r", "p");
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_node("Constant", "", "", "s");
  attribute = sketch_attribute("value", 4);
  pmn_buf tensor = sketch_tensor(NULL, INT64, two, 1);
  sketch_bytes(&tensor, TENSOR_RAW, shape, sizeof shape);
  sketch_message(&attribute, 5, &tensor);
  sketch_message(&part, NODE_ATTRIBUTE, &attribute);
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_node("Reshape", "", "p,s", "f");
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_node("Gemm", "fc", "f,d", "y");
  sketch_message(&graph, GRAPH_NODE, &part);
  part = sketch_value_info("y", FLOAT, two, 1);
  sketch_message(&graph, GRAPH_OUTPUT, &part);
  pmn_buf model = sketch_model(&graph, 13);
  mutate(&model, 1, "classifier");
}

/* Operators of the goldens and a network of an exporter, at some of their bytes. */
static void test_files(void **state) {
  (void)state;
  static const struct {
    const char *path;
    size_t stride; /* prime, so that all kinds of fields are met */
  } files[] = {
      {"onnx_constants_16.onnx", 7},
      {"onnx_constants_18.onnx", 47},
      {"onnx_exports/squeezenet_op8.onnx", 97},
      {"onnx_exports/keras_efficientnet_op15.onnx", 131},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[256];
    static unsigned char bytes[1 << 16];
    snprintf(path, sizeof path, PMN_SOURCE_DIR "/tests/golden/%s", files[i].path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("cannot open %s", path);
    pmn_buf model = sketch_new();
    sketch_append(&model, bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    mutate(&model, files[i].stride, files[i].path);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sketch),
      cmocka_unit_test(test_classifier),
      cmocka_unit_test(test_files),
  };
  return cmocka_run_group_tests_name("onnx_mutated", tests, NULL, NULL);
}
