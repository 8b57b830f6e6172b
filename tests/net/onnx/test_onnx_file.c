/* test_onnx_file.c - what is read of ONNX files, and what is refused with which message. Files are sketched byte by
 * byte. */
#include "onnx_sketch.h"
#include "pmn_mem.h"
#include "pmn_onnx_file.h"

#include <math.h>

static pmn_onnx_id find_id(const pmn_onnx_graph *graph, const char *name) {
  for (int32_t i = 0; i < graph->value_count; i++) {
    if (strcmp(graph->names[i], name) == 0) return i;
  }
  fail_msg("no value %s", name);
  return PMN_ONNX_NONE;
}

/* -------------------------------------------------------------------------------------------------------- sound -- */

static void test_sound(void **state) {
  const sketch_case *f = *state;
  pmn_buf graph = sketch_graph(PART_ALL);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  int32_t width, height;
  pmn_onnx_input_size(onnx, &width, &height);
  assert_int_equal(width, 5);
  assert_int_equal(height, 4);
  assert_string_equal(pmn_onnx_name(onnx), "sketch");
  assert_int_equal(pmn_onnx_opset(onnx), 13);
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  assert_string_equal(g->origin, f->path);
  assert_int_equal(g->opset, 13);
  assert_int_equal(g->value_count, 4);
  assert_int_equal(g->node_count, 2);
  assert_string_equal(g->nodes[0].op, "Mul");
  assert_string_equal(g->nodes[0].name, "scale");
  assert_string_equal(g->nodes[0].domain, "");
  assert_int_equal(g->nodes[0].input_count, 2);
  assert_int_equal(g->nodes[0].inputs[0], g->input);
  assert_int_equal(g->nodes[0].inputs[1], find_id(g, "w"));
  assert_int_equal(g->nodes[1].inputs[0], g->nodes[0].outputs[0]);
  assert_string_equal(g->nodes[1].name, "");
  assert_int_equal(g->output_count, 1);
  assert_int_equal(g->outputs[0], g->nodes[1].outputs[0]);
  assert_string_equal(g->names[g->input], "x");
  const int64_t dims[] = {1, 3, 4, 5};
  assert_memory_equal(g->input_dims, dims, sizeof dims);
  assert_null(g->constants[g->input]);
  const pmn_onnx_value *w = g->constants[find_id(g, "w")];
  assert_int_equal(w->type, PMN_ONNX_FLOAT);
  assert_int_equal(w->rank, 3);
  assert_int_equal(w->dims[0], 3);
  assert_int_equal(w->count, 3);
  const float weights[] = {0.5f, 1, 2};
  assert_memory_equal(w->floats, weights, sizeof weights);
  bool found = true;
  pmn_err err = PMN_ERR_INIT;
  pmn_preprocess preprocess;
  check_ok(pmn_onnx_preprocess(onnx, &preprocess, &found, &err));
  assert_false(found);
  pmn_onnx_close(onnx);
  pmn_onnx_close(NULL);
}

/* sha256sum of the file says the same. */
static void test_hash(void **state) {
  const sketch_case *f = *state;
  pmn_buf graph = sketch_graph(PART_ALL);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  sketch_check_hash(f, onnx, "m.onnx");
  pmn_onnx_close(onnx);
}

static void test_no_model(void **state) {
  const sketch_case *f = *state;
  pmn_err err = PMN_ERR_INIT;
  pmn_onnx *onnx = NULL;
  check_fails(pmn_onnx_open(f->path, &onnx, &err), PMN_STATUS_NOT_FOUND, "m.onnx");
  pmn_buf empty = sketch_new();
  sketch_refuse_model(f, &empty, "it has no graph");
  pmn_buf picture = sketch_new();
  sketch_append(&picture, "\xff\xd8\xff\xe0 not a model", 16);
  sketch_refuse_model(f, &picture, "is not an ONNX file, or is cut short");
}

/* ------------------------------------------------------------------------------------------------ opsets, domains --
 */

static void test_opset(void **state) {
  const sketch_case *f = *state;
  static const struct {
    int64_t opset;
    const char *text;
  } bad[] = {{0, "is of ONNX opset 0; 7 to 22 are taken"}, {6, "opset 6;"}, {23, "opset 23;"}, {-1, "opset -1;"},
      {INT64_MAX, "opset 9223372036854775807"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, bad[i].opset);
    sketch_refuse_model(f, &model, bad[i].text);
  }
  for (int opset = 7; opset <= 22; opset += 15) {
    pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, opset);
    pmn_onnx *onnx = sketch_accept_model(f, &model);
    assert_int_equal(pmn_onnx_opset(onnx), opset);
    pmn_onnx_close(onnx);
  }
  /* Other domains have versions of their own; "ai.onnx" is ONNX's by its full name. */
  static const char *const domains[] = {"com.microsoft", "ai.onnx"};
  for (int i = 0; i < 2; i++) {
    pmn_buf graph = sketch_graph(PART_ALL), import = sketch_new(), node = sketch_node("Gelu", "g", "m", "z");
    sketch_text(&node, NODE_DOMAIN, domains[i]);
    sketch_message(&graph, GRAPH_NODE, &node);
    pmn_buf model = sketch_model(&graph, 11);
    sketch_text(&import, 1, domains[i]);
    sketch_number(&import, 2, i == 0 ? 1 : 11);
    sketch_message(&model, MODEL_OPSET, &import);
    pmn_onnx *onnx = sketch_accept_model(f, &model);
    assert_int_equal(pmn_onnx_opset(onnx), 11);
    assert_string_equal(pmn_onnx_file_graph(onnx)->nodes[2].domain, i == 0 ? "com.microsoft" : "");
    pmn_onnx_close(onnx);
  }
  pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, 11), import = sketch_new();
  sketch_number(&import, 2, 12);
  sketch_message(&model, MODEL_OPSET, &import);
  sketch_refuse_model(f, &model, "names two opsets, 11 and 12");
}

/* ------------------------------------------------------------------------------------------------------- inputs -- */

static void test_input(void **state) {
  const sketch_case *f = *state;
  static const struct {
    int64_t dims[5];
    int rank, type;
    const char *text;
  } bad[] = {
      {{1, 3, 4}, 3, FLOAT, "is not of the shape of pictures"},
      {{1, 3, 4, 5, 6}, 5, FLOAT, "is not of the shape of pictures"},
      {{0}, 0, FLOAT, "is not of the shape of pictures"},
      {{1, 1, 4, 5}, 4, FLOAT, "is not of the shape of pictures"},
      {{1, -1, 4, 5}, 4, FLOAT, "is not of the shape of pictures"},
      {{2, 3, 4, 5}, 4, FLOAT, "is not of the shape of pictures"},
      {{1, 3, 1ll << 40, 5}, 4, FLOAT, "is not of the shape of pictures"},
      {{1, 3, 4, 5}, 4, UINT8, "input x is of type UINT8"},
      {{1, 3, 4, 5}, 4, STRING, "input x is of type STRING"},
      {{1, 3, 4, 5}, 4, 99, "input x is of type unknown"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = sketch_graph(PART_ALL & ~PART_INPUT);
    pmn_buf input = sketch_value_info("x", bad[i].type, bad[i].dims, bad[i].rank);
    sketch_message(&graph, GRAPH_INPUT, &input);
    sketch_refuse_graph(f, &graph, bad[i].text);
  }
  static const struct {
    int64_t dims[4];
    int type;
    int32_t width, height;
  } good[] = {
      {{-1, 3, -1, -1}, FLOAT, 0, 0},
      {{1, 6, 7, 3}, FLOAT, 7, 6},
      {{0, 3, 0, 9}, FLOAT16, 9, 0}, /* open dimensions as zeros */
      {{-1, -1, -1, 3}, DOUBLE, 0, 0},
      {{1, 3, 5, 3}, FLOAT, 3, 5},
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    pmn_buf graph = sketch_graph(PART_ALL & ~PART_INPUT);
    pmn_buf input = sketch_value_info("x", good[i].type, good[i].dims, 4);
    sketch_message(&graph, GRAPH_INPUT, &input);
    pmn_onnx *onnx = sketch_accept_graph(f, &graph);
    int32_t width, height;
    pmn_onnx_input_size(onnx, &width, &height);
    assert_int_equal(width, good[i].width);
    assert_int_equal(height, good[i].height);
    pmn_onnx_close(onnx);
  }
}

static void test_input_count(void **state) {
  const sketch_case *f = *state;
  const int64_t dims[] = {1, 3, 4, 5}, weight[] = {3, 1, 1};
  pmn_buf none = sketch_graph(PART_ALL & ~(PART_INPUT | PART_NODES)), node = sketch_node("Relu", "", "w", "y");
  sketch_message(&none, GRAPH_NODE, &node);
  sketch_refuse_graph(f, &none, "has no input");
  pmn_buf two = sketch_graph(PART_ALL), input = sketch_value_info("length", FLOAT, dims, 4);
  sketch_message(&two, GRAPH_INPUT, &input);
  sketch_refuse_graph(f, &two, "has several inputs, x and length");
  /* IR versions up to 3: an initializer is an input, too. */
  pmn_buf old = sketch_graph(PART_ALL);
  input = sketch_value_info("w", FLOAT, weight, 3);
  sketch_message(&old, GRAPH_INPUT, &input);
  pmn_onnx *onnx = sketch_accept_graph(f, &old);
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  assert_string_equal(g->names[g->input], "x");
  assert_non_null(g->constants[find_id(g, "w")]);
  pmn_onnx_close(onnx);
  /* A sequence (field 4 of TypeProto), and an input without any type. */
  for (int i = 0; i < 2; i++) {
    pmn_buf graph = sketch_graph(PART_ALL & ~PART_INPUT), info = sketch_new(), type = sketch_new();
    sketch_bytes(&type, 4, "", 0);
    sketch_text(&info, 1, "x");
    if (i == 0) sketch_message(&info, 2, &type);
    pmn_buf_reset(&type);
    sketch_message(&graph, GRAPH_INPUT, &info);
    sketch_refuse_graph(f, &graph, "input x is not a tensor");
  }
}

/* -------------------------------------------------------------------------------------------------- names, order -- */

static void test_names(void **state) {
  const sketch_case *f = *state;
  const int64_t dims[] = {1, 3, 4, 5};
  const struct {
    const char *op, *name, *inputs, *outputs, *text;
  } bad[] = {
      {"Relu", "r", "nowhere", "z", "Relu node r reads nowhere, which nothing writes"},
      {"Relu", "", "nowhere", "z", "Relu node z reads nowhere"},
      {"Relu", "r", "x", "m", "Relu node r writes m, which is written already"},
      {"Relu", "r", "x", "w", "Relu node r writes w, which is written already"},
      {"Relu", "r", "m", "x", "Relu node r writes x, which is written already"},
      {"Split", "r", "m", "z,z", "Split node r writes z, which is written already"},
      {"", "r", "m", "z", "node r has no operator"},
      {"Relu", "r", "z", "z", "the nodes around z form a circle"},
      {"Relu", "r", "m\xff", "z", "the name of a tensor is not UTF-8"},
      {"Relu", "\xc3", "m", "z", "the name of node 2 is not UTF-8"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = sketch_graph(PART_ALL);
    pmn_buf node = sketch_node(bad[i].op, bad[i].name, bad[i].inputs, bad[i].outputs);
    sketch_message(&graph, GRAPH_NODE, &node);
    sketch_refuse_graph(f, &graph, bad[i].text);
  }
  pmn_buf graph = sketch_graph(PART_ALL & ~PART_OUTPUT);
  sketch_refuse_graph(f, &graph, "has no output");
  graph = sketch_graph(PART_ALL);
  pmn_buf info = sketch_value_info("z", FLOAT, dims, 4);
  sketch_message(&graph, GRAPH_OUTPUT, &info);
  sketch_refuse_graph(f, &graph, "nothing writes the model's output z");
  graph = sketch_graph(PART_ALL);
  info = sketch_value_info("x", FLOAT, dims, 4);
  sketch_message(&graph, GRAPH_INPUT, &info);
  sketch_refuse_graph(f, &graph, "two inputs are called x");
  graph = sketch_graph(PART_ALL);
  info = sketch_value_info(NULL, FLOAT, dims, 4);
  sketch_message(&graph, GRAPH_INPUT, &info);
  sketch_refuse_graph(f, &graph, "input 1 has no name");
  graph = sketch_graph(PART_ALL);
  info = sketch_tensor("w", FLOAT, dims, 0);
  sketch_message(&graph, GRAPH_INITIALIZER, &info);
  sketch_refuse_graph(f, &graph, "two initializers are called w");
  graph = sketch_graph(PART_ALL);
  info = sketch_tensor(NULL, FLOAT, dims, 0);
  sketch_message(&graph, GRAPH_INITIALIZER, &info);
  sketch_refuse_graph(f, &graph, "initializer 1 has no name");
  graph = sketch_graph(PART_ALL);
  sketch_bytes(&graph, GRAPH_SPARSE, "", 0);
  sketch_refuse_graph(f, &graph, "has sparse initializers");
}

/* A chain d = c = b = a = x written backwards, and a circle far from the start. */
static void test_order(void **state) {
  const sketch_case *f = *state;
  static const char *const chain[][2] = {{"c", "y"}, {"b", "c"}, {"x,a", "b"}, {"x,", "a"}};
  pmn_buf graph = sketch_graph(PART_INPUT | PART_OUTPUT);
  for (int i = 0; i < 4; i++) {
    pmn_buf node = sketch_node("Sum", "", chain[i][0], chain[i][1]);
    sketch_message(&graph, GRAPH_NODE, &node);
  }
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  assert_int_equal(g->node_count, 4);
  for (int i = 0; i < 4; i++) assert_string_equal(g->names[g->nodes[i].outputs[0]], chain[3 - i][1]);
  assert_int_equal(g->nodes[0].input_count, 2);
  assert_int_equal(g->nodes[0].inputs[1], PMN_ONNX_NONE);
  pmn_onnx_close(onnx);

  enum { LONG = 5000 };
  for (int circle = 0; circle < 2; circle++) {
    graph = sketch_graph(PART_ALL);
    for (int i = LONG; i > 0; i--) {
      char from[32], to[32];
      snprintf(from, sizeof from, i == 1 ? "%s" : "%sn%d", i == 1 ? (circle ? "n5000" : "m") : "", i - 1);
      snprintf(to, sizeof to, "n%d", i);
      pmn_buf node = sketch_node("Relu", "", from, to);
      sketch_message(&graph, GRAPH_NODE, &node);
    }
    if (circle) {
      sketch_refuse_graph(f, &graph, "form a circle");
    } else {
      onnx = sketch_accept_graph(f, &graph);
      assert_int_equal(pmn_onnx_file_graph(onnx)->node_count, LONG + 2);
      pmn_onnx_close(onnx);
    }
  }
}

/* ------------------------------------------------------------------------------------------------------- tensors -- */

static const pmn_onnx_value *find_constant(const pmn_onnx *onnx, const char *name) {
  const pmn_onnx_graph *g = pmn_onnx_file_graph(onnx);
  return g->constants[find_id(g, name)];
}

static void packed(pmn_buf *tensor, int field, const int64_t *numbers, int count) {
  pmn_buf list = sketch_new();
  for (int i = 0; i < count; i++) sketch_varint(&list, (uint64_t)numbers[i]);
  sketch_message(tensor, field, &list);
}

/* The same three numbers in every place that ONNX has for them. */
static void test_tensor_forms(void **state) {
  const sketch_case *f = *state;
  const int64_t dims[] = {3}, wholes[] = {1, 0, 100}, halves[] = {0x3c00, 0x0000, 0x5640};
  const float floats[] = {1, 0, 100};
  const double doubles[] = {1, 0, 100};
  const int32_t words[] = {1, 0, 100};
  const unsigned char bytes[] = {1, 0, 100};
  const uint16_t half_words[] = {0x3c00, 0x0000, 0x5640};
  const struct {
    int type, field;
    const void *bytes;
    size_t size;
    const int64_t *packed;
  } forms[] = {
      {FLOAT, TENSOR_FLOAT_DATA, floats, sizeof floats, NULL},
      {FLOAT, TENSOR_RAW, floats, sizeof floats, NULL},
      {DOUBLE, TENSOR_DOUBLE_DATA, doubles, sizeof doubles, NULL},
      {DOUBLE, TENSOR_RAW, doubles, sizeof doubles, NULL},
      {FLOAT16, TENSOR_INT32_DATA, NULL, 0, halves},
      {FLOAT16, TENSOR_RAW, half_words, sizeof half_words, NULL},
      {INT64, TENSOR_INT64_DATA, NULL, 0, wholes},
      {INT64, TENSOR_RAW, wholes, sizeof wholes, NULL},
      {INT32, TENSOR_INT32_DATA, NULL, 0, wholes},
      {INT32, TENSOR_RAW, words, sizeof words, NULL},
      {INT8, TENSOR_INT32_DATA, NULL, 0, wholes},
      {INT8, TENSOR_RAW, bytes, sizeof bytes, NULL},
      {UINT8, TENSOR_INT32_DATA, NULL, 0, wholes},
      {UINT8, TENSOR_RAW, bytes, sizeof bytes, NULL},
      {BOOL, TENSOR_INT32_DATA, NULL, 0, wholes},
      {BOOL, TENSOR_RAW, bytes, sizeof bytes, NULL},
  };
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", forms[i].type, dims, 1);
    if (forms[i].packed != NULL) packed(&tensor, forms[i].field, forms[i].packed, 3);
    if (forms[i].packed == NULL) sketch_bytes(&tensor, forms[i].field, forms[i].bytes, forms[i].size);
    sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
    pmn_onnx *onnx = sketch_accept_graph(f, &graph);
    const pmn_onnx_value *t = find_constant(onnx, "t");
    assert_int_equal(t->type, forms[i].type);
    assert_int_equal(t->count, 3);
    for (int k = 0; k < 3; k++) {
      double number = t->floats != NULL    ? (double)t->floats[k]
                      : t->doubles != NULL ? t->doubles[k]
                                           : (double)t->ints[k];
      double expected = forms[i].type == BOOL ? doubles[k] != 0 : doubles[k];
      if (number != expected) fail_msg("form %zu: element %d is %g", i, k, number);
    }
    pmn_onnx_close(onnx);
  }
}

/* Not packed, as old writers have it; signs of narrow types; every kind of float16. */
static void test_tensor_details(void **state) {
  const sketch_case *f = *state;
  const int64_t three[] = {3}, six[] = {6}, empty[] = {0, 7};
  pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("plain", FLOAT, three, 1);
  for (int i = 0; i < 3; i++) sketch_float(&tensor, TENSOR_FLOAT_DATA, (float)i - 1);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  tensor = sketch_tensor("signs", INT8, three, 1);
  sketch_bytes(&tensor, TENSOR_RAW, "\xff\x80\x7f", 3);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  tensor = sketch_tensor("words", INT32, three, 1);
  sketch_bytes(&tensor, TENSOR_RAW, "\xff\xff\xff\xff\x00\x00\x00\x80\xff\xff\xff\x7f", 12);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  tensor = sketch_tensor("halves", FLOAT16, six, 1);
  sketch_bytes(&tensor, TENSOR_RAW, "\x01\x00\xff\x7b\x00\xfc\x00\x7e\x00\x04\x00\x80", 12);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  tensor = sketch_tensor("empty", FLOAT, empty, 2);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  tensor = sketch_tensor("scalar", INT64, NULL, 0);
  packed(&tensor, TENSOR_INT64_DATA, (int64_t[]){-5}, 1);
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  assert_true(find_constant(onnx, "plain")->floats[0] == -1 && find_constant(onnx, "plain")->floats[2] == 1);
  const int64_t signs[] = {-1, -128, 127}, words[] = {-1, INT32_MIN, INT32_MAX};
  assert_memory_equal(find_constant(onnx, "signs")->ints, signs, sizeof signs);
  assert_memory_equal(find_constant(onnx, "words")->ints, words, sizeof words);
  const float *halves = find_constant(onnx, "halves")->floats;
  assert_true(halves[0] == 0x1p-24f && halves[1] == 65504 && halves[2] == -INFINITY && isnan(halves[3]));
  assert_true(halves[4] == 0x1p-14f && halves[5] == 0 && signbit(halves[5]));
  assert_int_equal(find_constant(onnx, "empty")->count, 0);
  assert_int_equal(find_constant(onnx, "empty")->dims[1], 7);
  assert_int_equal(find_constant(onnx, "scalar")->rank, 0);
  assert_int_equal(find_constant(onnx, "scalar")->ints[0], -5);
  pmn_onnx_close(onnx);
}

static void test_tensor_refused(void **state) {
  const sketch_case *f = *state;
  static const unsigned char zeros[64];
  const struct {
    int64_t dims[9];
    int rank, type, field;
    size_t size;
    const char *text;
  } bad[] = {
      {{3}, 1, FLOAT, TENSOR_RAW, 11, "initializer t has 11 bytes of data where its shape needs 12"},
      {{3}, 1, FLOAT, TENSOR_RAW, 13, "13 bytes"},
      {{3}, 1, FLOAT, TENSOR_FLOAT_DATA, 8, "2 elements of data where its shape needs 3"},
      {{3}, 1, FLOAT, TENSOR_FLOAT_DATA, 16, "4 elements"},
      {{3}, 1, FLOAT, 0, 0, "0 elements of data where its shape needs 3"},
      {{0}, 0, FLOAT, 0, 0, "0 elements of data where its shape needs 1"},
      {{0, 5}, 2, FLOAT, TENSOR_RAW, 4, "4 bytes of data where its shape needs 0"},
      {{-1}, 1, FLOAT, TENSOR_RAW, 4, "has a negative dimension"},
      {{1ll << 32, 1ll << 32}, 2, FLOAT, TENSOR_RAW, 4, "has more than 2^28 elements"},
      {{1 << 28, 2}, 2, FLOAT, TENSOR_RAW, 4, "has more than 2^28 elements"},
      {{1 << 28, 1 << 28, 0}, 3, FLOAT, 0, 0, "has more than 2^28 elements"},
      {{1, 1, 1, 1, 1, 1, 1, 1, 1}, 9, FLOAT, TENSOR_RAW, 4, "more than 8 dimensions"},
      {{1}, 1, DOUBLE, TENSOR_FLOAT_DATA, 4, "in that of another type"},
      {{1}, 1, STRING, TENSOR_RAW, 1, "initializer t is of type STRING (8), which is not taken"},
      {{1}, 1, 16, TENSOR_RAW, 2, "type BFLOAT16 (16)"},
      {{1}, 1, 22, TENSOR_RAW, 1, "type INT4 (22)"},
      {{1}, 1, 17, TENSOR_RAW, 1, "type FLOAT8E4M3FN (17)"},
      {{1}, 1, 0, TENSOR_RAW, 1, "type UNDEFINED (0)"},
      {{1}, 1, -7, TENSOR_RAW, 1, "type unknown (-7)"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", bad[i].type, bad[i].dims, bad[i].rank);
    if (bad[i].field != 0) sketch_bytes(&tensor, bad[i].field, zeros, bad[i].size);
    sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
    sketch_refuse_graph(f, &graph, bad[i].text);
  }
  const int64_t one[] = {1};
  for (int form = 0; form < 3; form++) {
    pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", FLOAT, one, 1);
    sketch_bytes(&tensor, TENSOR_RAW, zeros, 4);
    if (form == 0) sketch_float(&tensor, TENSOR_FLOAT_DATA, 1);
    if (form == 1) packed(&tensor, TENSOR_INT64_DATA, one, 1);
    if (form == 2) sketch_bytes(&tensor, TENSOR_SEGMENT, "", 0);
    sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
    sketch_refuse_graph(f, &graph, form == 2 ? "initializer t is cut into segments" : "has data in several forms");
  }
}

/* ---------------------------------------------------------------------------------------------------- attributes -- */

static void test_attributes(void **state) {
  const sketch_case *f = *state;
  const int64_t one[] = {1};
  pmn_buf graph = sketch_graph(PART_ALL), node = sketch_node("Odd", "odd", "m", "z"), a;
  a = sketch_attribute("alpha", 1);
  sketch_float(&a, 2, 0.25f);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("group", 2);
  sketch_number(&a, 3, -3);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("zero", 2); /* writers leave zeros out */
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("auto_pad", 3);
  sketch_text(&a, 4, "SAME_UPPER");
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("value", 4);
  pmn_buf tensor = sketch_tensor(NULL, FLOAT, one, 1);
  sketch_float(&tensor, TENSOR_FLOAT_DATA, 7);
  sketch_message(&a, 5, &tensor);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("scales", 6);
  sketch_float(&a, 7, 1.5f);
  sketch_float(&a, 7, 2.5f);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("pads", 7);
  for (int i = 0; i < 3; i++) sketch_number(&a, 8, i);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("body", 5); /* a graph */
  sketch_bytes(&a, 6, "\x0a\x00", 2);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  a = sketch_attribute("missing", 4); /* a tensor that is not there */
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  sketch_message(&graph, GRAPH_NODE, &node);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  const pmn_onnx_node *odd = &pmn_onnx_file_graph(onnx)->nodes[2];
  assert_int_equal(odd->attribute_count, 9);
  assert_true(pmn_onnx_attribute_float(odd, "alpha", 9) == 0.25f);
  assert_true(pmn_onnx_attribute_float(odd, "beta", 9) == 9);
  assert_true(pmn_onnx_attribute_float(odd, "group", 9) == 9); /* another kind */
  assert_int_equal(pmn_onnx_attribute_int(odd, "group", 1), -3);
  assert_int_equal(pmn_onnx_attribute_int(odd, "zero", 1), 0);
  assert_int_equal(pmn_onnx_attribute_int(odd, "alpha", 1), 1);
  assert_string_equal(pmn_onnx_attribute_text(odd, "auto_pad", "NOTSET"), "SAME_UPPER");
  assert_string_equal(pmn_onnx_attribute_text(odd, "none", "NOTSET"), "NOTSET");
  const pmn_onnx_attribute *value = pmn_onnx_attribute_find(odd, "value"), *scales, *pads;
  assert_int_equal(value->kind, PMN_ONNX_ATTRIBUTE_TENSOR);
  assert_true(value->tensor.count == 1 && value->tensor.floats[0] == 7);
  scales = pmn_onnx_attribute_find(odd, "scales");
  assert_int_equal(scales->kind, PMN_ONNX_ATTRIBUTE_FLOATS);
  assert_true(scales->count == 2 && scales->floats[1] == 2.5f);
  pads = pmn_onnx_attribute_find(odd, "pads");
  assert_int_equal(pads->kind, PMN_ONNX_ATTRIBUTE_INTS);
  assert_true(pads->count == 3 && pads->integers[2] == 2);
  assert_int_equal(pmn_onnx_attribute_find(odd, "body")->kind, PMN_ONNX_ATTRIBUTE_OTHER);
  assert_int_equal(pmn_onnx_attribute_find(odd, "missing")->kind, PMN_ONNX_ATTRIBUTE_OTHER);
  assert_null(pmn_onnx_attribute_find(odd, "none"));
  pmn_onnx_close(onnx);

  graph = sketch_graph(PART_ALL);
  node = sketch_node("Constant", "", "", "z");
  a = sketch_attribute("value", 4);
  tensor = sketch_tensor(NULL, STRING, one, 1);
  sketch_message(&a, 5, &tensor);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  sketch_message(&graph, GRAPH_NODE, &node);
  sketch_refuse_graph(f, &graph, "the attribute of the node that writes z is of type STRING");
}

/* ------------------------------------------------------------------------------------------------------ limits -- */

/* Fields that we do not know, two bytes each: parsed they would be forty times the file. */
static void test_memory_limit(void **state) {
  const sketch_case *f = *state;
  enum { FIELDS = 3 * 1000 * 1000 };
  pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, 13);
  char *fields = malloc(2 * FIELDS);
  assert_non_null(fields);
  for (int i = 0; i < FIELDS; i++) memcpy(fields + 2 * i, "\x78\x01", 2); /* field 15 */
  sketch_append(&model, fields, 2 * FIELDS);
  free(fields);
  sketch_refuse_model(f, &model, "parsed, its ");
}

/* The same graph again and again, which protobuf merges each time: quadratic, but for the limit. */
static void test_merged_graphs(void **state) {
  const sketch_case *f = *state;
  pmn_buf graph = sketch_graph(PART_ALL), model = sketch_model(&graph, 13);
  for (int i = 0; i < 200 * 1000; i++) {
    sketch_append(&model, "\x3a\x02\x0a\x00", 4); /* a graph of one node */
  }
  sketch_refuse_model(f, &model, "parsed, its ");
}

/* Subgraphs in subgraphs, deeper than any stack: they are not looked into. */
static void test_nested(void **state) {
  const sketch_case *f = *state;
  enum { DEPTH = 20000 };
  size_t size = 0;
  unsigned char *nest = malloc(32 * DEPTH), *end = nest + 32 * DEPTH, *at = end;
  assert_non_null(nest);
  static const unsigned char tags[] = {1 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2}; /* node in graph, attribute, graph */
  for (int i = 0; i < 3 * DEPTH; i++, size = (size_t)(end - at)) {
    unsigned char varint[5];
    int length = 0;
    for (size_t left = size;; left >>= 7) {
      varint[length++] = (unsigned char)((left & 127) | (left > 127 ? 128 : 0));
      if (left <= 127) break;
    }
    while (length > 0) *--at = varint[--length];
    *--at = tags[i % 3];
  }
  /* `at` is a field "graph" of an attribute. */
  pmn_buf graph = sketch_graph(PART_ALL), node = sketch_node("If", "if", "m", "z"), a = sketch_attribute("then", 5);
  sketch_append(&a, at, size);
  free(nest);
  sketch_message(&node, NODE_ATTRIBUTE, &a);
  sketch_message(&graph, GRAPH_NODE, &node);
  pmn_onnx *onnx = sketch_accept_graph(f, &graph);
  assert_int_equal(pmn_onnx_file_graph(onnx)->nodes[2].attributes[0].kind, PMN_ONNX_ATTRIBUTE_OTHER);
  pmn_onnx_close(onnx);
}

static void test_no_memory(void **state) {
  const sketch_case *f = *state;
  pmn_buf graph = sketch_graph(PART_ALL), tensor = sketch_tensor("t", FLOAT, (int64_t[]){1}, 1);
  sketch_external(&tensor, "location=w.bin");
  sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  sketch_file(f->folder, "w.bin", "\0\0\0\0", 4);
  pmn_buf model = sketch_model(&graph, 13);
  sketch_metadata(&model, "pomona.preprocess", "{\"size\": [5, 4]}");
  sketch_file(f->folder, "m.onnx", model.data, model.size);
  pmn_buf_reset(&model);
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int64_t k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_onnx *onnx = NULL;
    pmn_mem_fail_after(k);
    status = pmn_onnx_open(f->path, &onnx, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK && (status != PMN_STATUS_NO_MEMORY || onnx != NULL)) {
      fail_msg("allocation %lld: status %d, %s", (long long)k, (int)status, err.message);
    }
    pmn_onnx_close(onnx);
  }
  assert_true(k > 50);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_sound, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_hash, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_no_model, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_opset, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_input, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_input_count, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_names, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_order, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_tensor_forms, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_tensor_details, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_tensor_refused, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_attributes, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_memory_limit, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_merged_graphs, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_nested, sketch_setup, sketch_teardown),
      cmocka_unit_test_setup_teardown(test_no_memory, sketch_setup, sketch_teardown),
  };
  return cmocka_run_group_tests_name("onnx_file", tests, NULL, NULL);
}
