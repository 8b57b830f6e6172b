/* test_onnx_graph.c - ONNX operators against ONNX Runtime, one tiny model each (tests/golden/make_onnx_graph.py), what
 * people see of a network (names, features, order of values), and files that are refused or damaged.
 *
 * Tolerance: no sum of these models has more than 189 terms (7 x 27), so ONNX Runtime's f32 is within 189 x 2^-24 =
 * 1.2e-5 of the largest value's terms; 2e-5 of the largest value leaves room for exp, erf and tanh, which it computes
 * within a few units of the last place. The cpu backend sums in f32, too: twice that.
 */
#include "check.h"
#include "pmn_backend.h"
#include "pmn_mem.h"
#include "pmn_onnx.h"

#include <math.h>

#define GOLDEN "tests/golden/onnx_graph"

/* A line of the table: a model and one of its tensors, or the message that it must be refused with. */
typedef struct line {
  char model[64], tensor[192];
  int height, width;
  size_t count;
} line;

typedef struct table {
  line *lines;
  int count;
} table;

static table table_read(void) {
  table t = {.lines = calloc(1024, sizeof *t.lines)};
  char text[512];
  FILE *file = fopen(PMN_SOURCE_DIR "/" GOLDEN ".csv", "r");
  assert_non_null(file);
  assert_non_null(t.lines);
  assert_non_null(fgets(text, sizeof text, file));
  while (fgets(text, sizeof text, file) != NULL) {
    line *l = &t.lines[t.count++];
    assert_int_equal(
        sscanf(text, "%63[^\t]\t%191[^\t]\t%d\t%d\t%zu", l->model, l->tensor, &l->height, &l->width, &l->count), 5);
    assert_in_range(t.count, 1, 1023);
  }
  fclose(file);
  return t;
}

/* A file on its way through the importer. */
typedef struct network {
  pmn_onnx *onnx;
  pmn_graph *graph;
  pmn_buf unsupported;
} network;

static void network_path(const char *model, char path[256]) {
  snprintf(path, 256, "%s/" GOLDEN "/%s.onnx", PMN_SOURCE_DIR, model);
}

/* False if the file cannot be read; that the graph cannot be built is in the graph. */
static bool network_open(network *net, const char *path, int height, int width, pmn_err *err) {
  pmn_preprocess preprocess = {.height = height,
      .width = width,
      .resize = "bicubic",
      .scale = {1.0f / 128, 1.0f / 128, 1.0f / 128},
      .shift = {-1, -1, -1},
      .name = "test",
      .formula = ""};
  *net = (network){.onnx = NULL};
  pmn_buf_init(&net->unsupported, 1 << 20);
  if (pmn_onnx_open(path, &net->onnx, err) != PMN_STATUS_OK) return false;
  net->graph = pmn_graph_create("model");
  if (net->graph == NULL) return false;
  pmn_onnx_build(net->onnx, net->graph, &preprocess, &net->unsupported);
  return true;
}

static void network_close(network *net) {
  pmn_onnx_close(net->onnx);
  pmn_graph_destroy(net->graph);
  pmn_buf_reset(&net->unsupported);
}

static network network_of(const char *model, int height, int width) {
  pmn_err err = PMN_ERR_INIT;
  char path[256];
  network net;
  network_path(model, path);
  if (!network_open(&net, path, height, width, &err)) fail_msg("%s: %s", model, err.message);
  return net;
}

/* The picture of make_onnx_graph.py. */
static uint8_t *picture(int height, int width) {
  uint8_t *bytes = malloc((size_t)(height * width * 3)), *at = bytes;
  assert_non_null(bytes);
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      for (int c = 0; c < 3; c++) *at++ = (uint8_t)(y * 37 + x * 91 + c * 53 + y * x * 11 + 7);
  return bytes;
}

/* The values of a node; free() them. */
static float *run(network *net, const char *backend, pmn_node node, int height, int width, size_t *count) {
  pmn_err err = PMN_ERR_INIT;
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  pmn_network *compiled = NULL;
  const pmn_program *program = NULL;
  uint8_t *bytes = picture(height, width);
  check_ok(pmn_graph_finish(net->graph, &node, 1, &program, &err));
  *count = pmn_tensor_size(&program->tensors[program->output]);
  float *values = malloc(*count * sizeof *values);
  assert_non_null(values);
  check_ok(pmn_device_open(pmn_backend_find(backend), &options, &device, &err));
  check_ok(pmn_network_create(device, program, 1, &compiled, &err));
  check_ok(pmn_network_run(compiled, bytes, 1, values, &err));
  pmn_network_destroy(compiled);
  pmn_device_close(device);
  free(bytes);
  return values;
}

/* ------------------------------------------------------------------------------------------------ operators -- */

static bool close_to(const float *values, const float *expected, size_t count, double bound, double *worst) {
  double largest = 0, difference = 0;
  bool finite = true;
  for (size_t i = 0; i < count; i++) {
    largest = fmax(largest, fabs((double)expected[i]));
    difference = fmax(difference, fabs((double)values[i] - (double)expected[i]));
    finite = finite && isfinite(values[i]);
  }
  *worst = difference / largest;
  return finite && difference <= bound * largest;
}

static void check_operators(const char *backend, double bound) {
  table t = table_read();
  check_npy golden = check_npy_read(GOLDEN ".npy");
  const float *expected = golden.data;
  int wrong = 0, compared = 0;
  for (int i = 0; i < t.count; i++) {
    const line *l = &t.lines[i];
    size_t count = 0;
    if (l->count == 0) continue;
    network net = network_of(l->model, l->height, l->width);
    pmn_node node = pmn_graph_failed(net.graph) ? -1 : pmn_graph_find(net.graph, l->tensor);
    if (node < 0) {
      pmn_err err = PMN_ERR_INIT;
      pmn_status status = pmn_graph_check(net.graph, &err);
      print_error("%s: no tensor %s (status %d: %s)\n", l->model, l->tensor, (int)status, err.message);
      wrong++;
    } else {
      double worst = 0;
      float *values = run(&net, backend, pmn_onnx_flatten(net.onnx, net.graph, node), l->height, l->width, &count);
      if (count != l->count || !close_to(values, expected, count, bound, &worst)) {
        print_error("%s, %s: %zu values for %zu, off by %g\n", l->model, l->tensor, count, l->count, worst);
        wrong++;
      }
      free(values);
    }
    expected += l->count;
    compared++;
    network_close(&net);
  }
  assert_ptr_equal(expected, (const float *)golden.data + golden.shape[0]);
  assert_true(compared > 200);
  assert_int_equal(wrong, 0);
  free(golden.data);
  free(t.lines);
}

static void test_operators_ref(void **state) {
  (void)state;
  check_operators("ref", 2e-5);
}

static void test_operators_cpu(void **state) {
  (void)state;
  check_operators("cpu", 4e-5);
}

/* ------------------------------------------------------------------------------------------------- refusals -- */

/* Every model named refuse_* is, and says why. */
static void test_refusals(void **state) {
  (void)state;
  table t = table_read();
  int wrong = 0, refused = 0;
  for (int i = 0; i < t.count; i++) {
    const line *l = &t.lines[i];
    pmn_err err = PMN_ERR_INIT;
    char path[256];
    network net;
    if (l->count > 0) continue;
    network_path(l->model, path);
    pmn_status status = PMN_STATUS_MODEL;
    if (network_open(&net, path, l->height, l->width, &err)) status = pmn_graph_check(net.graph, &err);
    if (status != PMN_STATUS_MODEL || strstr(err.message, l->tensor) == NULL) {
      print_error("%s: status %d, \"%s\"\n", l->model, (int)status, err.message);
      wrong++;
    }
    refused++;
    network_close(&net);
  }
  assert_true(refused > 70);
  assert_int_equal(wrong, 0);
  free(t.lines);
}

/* One line for each node, and none for nodes that only depend on one; what is wrong with a node by itself is said
 * wherever it stands. */
static void test_unsupported_list(void **state) {
  (void)state;
  network net = network_of("refuse_operator", 7, 6);
  assert_string_equal(net.unsupported.data,
      "Det node that writes y, opset 13: an operator that Pomona does not take on tensors of the network\n"
      "NonZero node that writes z, opset 13: an operator that Pomona does not take on tensors of the network\n");
  assert_int_equal(pmn_onnx_features(net.onnx, net.graph), -1);
  network_close(&net);
  net = network_of("refuse_list", 7, 6);
  assert_string_equal(net.unsupported.data,
      "Acos node cos, opset 13: an operator that Pomona does not take on tensors of the network\n"
      "Pad node pad, opset 13: mode wrap\n"
      "Resize node resize, opset 13: mode cubic\n"
      "Conv node large, opset 13: layer d: gives 2097157 x 2097156 x 8 values: each must be 1 or more, their product "
      "below 2^31\n"
      "Softmax node axis, opset 13: axis 9 of 4 dimensions\n");
  network_close(&net);
}

static void test_size_is_fixed(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  network net = network_of("point_Relu_7", 7, 5);
  check_fails(pmn_graph_check(net.graph, &err), PMN_STATUS_ARGUMENT, "the file takes 6 x 7 alone");
  network_close(&net);
  net = network_of("conv_open", 20, 31);
  check_ok(pmn_graph_check(net.graph, &err));
  network_close(&net);
}

/* ---------------------------------------------------------------------------------------------------- names -- */

static void check_shape(const network *net, const char *name, int h, int w, int c) {
  pmn_node node = pmn_graph_find(net->graph, name);
  pmn_tensor t = pmn_graph_shape(net->graph, node);
  if (node < 0 || t.h != h || t.w != w || t.c != c) fail_msg("%s: node %d, %d x %d x %d", name, node, t.h, t.w, t.c);
}

/* Tensors and nodes by name; pictures keep their shape whatever order the file has them in, rows are rows. */
static void test_names(void **state) {
  (void)state;
  network net = network_of("shape_names", 7, 6);
  check_shape(&net, "x", 7, 6, 3);
  check_shape(&net, "c", 5, 4, 4);
  check_shape(&net, "t", 5, 4, 4);
  check_shape(&net, "f", 1, 1, 80);
  check_shape(&net, "y", 1, 1, 2);
  static const char *const pairs[][2] = {{"stem", "c"}, {"act", "r"}, {"turn", "t"}, {"flat", "f"}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
    assert_int_equal(pmn_graph_find(net.graph, pairs[i][0]), pmn_graph_find(net.graph, pairs[i][1]));
  assert_int_equal(pmn_graph_find(net.graph, "v"), -1);
  assert_int_not_equal(pmn_graph_find(net.graph, "t"), pmn_graph_find(net.graph, "r"));
  network_close(&net);
}

/* What is taken if nobody says what: the input of a classifier, or the output. */
static void test_features(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"shape_names", "f"}, {"dense_gemm", "f"}, {"dense_keras", "f"},
      {"dense_matmul_nhwc", "y"}, {"conv_same", "y"}, {"conv_grouped", "y"}, {"sum_Add_two", "y"}, {"head_conv", "p"},
      {"head_conv_squeeze", "p"}, {"head_conv_pixels", "y"}, {"head_conv_map", "y"}, {"head_conv_gate", "y"},
      {"head_conv_taps", "y"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    network net = network_of(cases[i][0], 7, 6);
    pmn_node node = pmn_onnx_features(net.onnx, net.graph);
    if (node < 0 || node != pmn_graph_find(net.graph, cases[i][1])) fail_msg("%s: node %d", cases[i][0], node);
    network_close(&net);
  }
}

/* Views cost nothing: rows of tokens and a block of ConvNeXt leave no copies. One is left where a row is flattened for
 * a dense layer, a name has another order than its tensor's older name, and channels are shuffled. */
static void test_nothing_is_moved(void **state) {
  (void)state;
  static const struct {
    const char *model;
    int copies;
  } cases[] = {{"dense_matmul_nhwc", 0}, {"dense_matmul_tokens", 0}, {"channel_layer_norm", 0},
      {"channel_layer_norm_written", 0}, {"channel_reduce_nhwc", 0}, {"dense_gemm", 1}, {"shape_names", 1},
      {"shape_nhwc", 1}, {"shape_shuffle", 1}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_err err = PMN_ERR_INIT;
    const pmn_program *program = NULL;
    network net = network_of(cases[i].model, 7, 6);
    pmn_node node = pmn_graph_find(net.graph, "y");
    check_ok(pmn_graph_finish(net.graph, &node, 1, &program, &err));
    int copies = 0;
    for (int32_t o = 0; o < program->op_count; o++) copies += program->ops[o].kind == PMN_OP_COPY;
    if (copies > cases[i].copies) fail_msg("%s: %d copies", cases[i].model, copies);
    network_close(&net);
  }
}

/* ----------------------------------------------------------------------------------------- damage and memory -- */

static void build_and_finish(const char *path, int height, int width) {
  pmn_err err = PMN_ERR_INIT;
  network net;
  const pmn_program *program = NULL;
  if (network_open(&net, path, height, width, &err)) {
    pmn_node node = pmn_onnx_features(net.onnx, net.graph);
    if (node >= 0) node = pmn_onnx_flatten(net.onnx, net.graph, node);
    if (pmn_graph_finish(net.graph, &node, 1, &program, &err) == PMN_STATUS_OK &&
        pmn_program_check(program, &err) != PMN_STATUS_OK && err.status != PMN_STATUS_NO_MEMORY)
      fail_msg("%s: %s", path, err.message);
  }
  network_close(&net);
}

/* Bytes changed at random: whatever comes of it, a program that is sound or a message. */
static void test_damaged_files(void **state) {
  (void)state;
  enum { ROUNDS = 25 };
  table t = table_read();
  char folder[64], path[256], damaged[128];
  uint64_t seed = 1;
  check_folder(folder);
  snprintf(damaged, sizeof damaged, "%s/damaged.onnx", folder);
  for (int i = 0; i < t.count; i++) {
    unsigned char bytes[16384];
    if (strcmp(t.lines[i].model, "refuse_budget") == 0) continue; /* damaged, it may be slow but allowed */
    network_path(t.lines[i].model, path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_in_range(size, 1, sizeof bytes - 1);
    for (int round = 0; round < ROUNDS; round++) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      size_t at = (size_t)(seed >> 33) % size;
      unsigned char old = bytes[at];
      bytes[at] = round % 3 == 0 ? (unsigned char)(old + 1) : round % 3 == 1 ? 0xff : (unsigned char)(seed >> 56);
      file = fopen(damaged, "wb");
      assert_non_null(file);
      assert_int_equal(fwrite(bytes, 1, size, file), size);
      fclose(file);
      build_and_finish(damaged, t.lines[i].height, t.lines[i].width);
      bytes[at] = old;
    }
  }
  check_folder_remove(folder);
  free(t.lines);
}

/* Every allocation fails once. */
static void test_no_memory(void **state) {
  (void)state;
  static const char *const models[] = {"shape_shuffle", "shape_across", "point_prelu", "point_gelu_torch",
      "channel_layer_norm_written", "dense_gemm", "dense_matmul_tokens", "sum_layouts", "sum_Add_pixels",
      "move_concat_rows", "move_slice_turned", "resize_nhwc", "shape_computed", "shape_names", "refuse_operator"};
  for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
    char path[256];
    network_path(models[i], path);
    for (int64_t k = 0;; k++) {
      assert_in_range(k, 0, 5000);
      pmn_mem_fail_after(k);
      build_and_finish(path, 7, 6);
      if (pmn_mem_fail_after(-1) <= k) break;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_operators_ref),
      cmocka_unit_test(test_operators_cpu),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_unsupported_list),
      cmocka_unit_test(test_size_is_fixed),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_features),
      cmocka_unit_test(test_nothing_is_moved),
      cmocka_unit_test(test_damaged_files),
      cmocka_unit_test(test_no_memory),
  };
  return check_exit(cmocka_run_group_tests_name("onnx graph", tests, NULL, NULL));
}
