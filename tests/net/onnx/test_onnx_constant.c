/* test_onnx_constant.c - operators on constants: against ONNX Runtime, bit by bit, and on inputs that they cannot have.
 *
 * Golden files (tests/golden/make_onnx_constants.py) are models whose nodes read initializers only; the initializer
 * NAME.expected is what ONNX Runtime gives for output NAME.
 */
#include "check.h"
#include "pmn_mem.h"
#include "pmn_onnx_file.h"

/* ------------------------------------------------------------------------------------------------------- goldens -- */

static const pmn_onnx_value *find_expected(const pmn_onnx_graph *graph, const char *name) {
  char expected[128];
  snprintf(expected, sizeof expected, "%s.expected", name);
  for (int32_t i = 0; i < graph->value_count; i++) {
    if (strcmp(graph->names[i], expected) == 0) return graph->constants[i];
  }
  fail_msg("no %s", expected);
  return NULL;
}

static double number_at(const pmn_onnx_value *value, size_t i) {
  if (value->floats != NULL) return (double)value->floats[i];
  return value->doubles != NULL ? value->doubles[i] : (double)value->ints[i];
}

static void compare(const pmn_onnx_value *value, const pmn_onnx_value *expected, const char *name) {
  if (value->type != expected->type || value->rank != expected->rank ||
      memcmp(value->dims, expected->dims, sizeof value->dims) != 0 || value->count != expected->count) {
    fail_msg("%s: type %d, rank %d, %zu elements", name, (int)value->type, value->rank, value->count);
  }
  for (size_t i = 0; i < value->count; i++) {
    double a = number_at(value, i), b = number_at(expected, i);
    bool same = value->ints != NULL ? value->ints[i] == expected->ints[i] : memcmp(&a, &b, sizeof a) == 0;
    if (!same) fail_msg("%s: element %zu is %.17g, not %.17g", name, i, a, b);
  }
}

/* Computes a node whose inputs are constants. */
static pmn_status compute(
    const pmn_onnx_graph *graph, const pmn_onnx_node *node, pmn_onnx_value outputs[8], bool *done, pmn_err *err) {
  const pmn_onnx_value *inputs[8] = {NULL};
  assert_true(node->input_count <= 8 && node->output_count <= 8);
  for (int32_t i = 0; i < node->input_count; i++) {
    if (node->inputs[i] != PMN_ONNX_NONE) inputs[i] = graph->constants[node->inputs[i]];
  }
  pmn_onnx_budget budget = pmn_onnx_budget_of(graph);
  return pmn_onnx_constant_compute(graph, node, inputs, &budget, outputs, done, err);
}

static void check_golden(const char *name, int cases) {
  char path[256];
  pmn_err err = PMN_ERR_INIT;
  pmn_onnx *onnx = NULL;
  snprintf(path, sizeof path, PMN_SOURCE_DIR "/tests/golden/%s", name);
  check_ok(pmn_onnx_open(path, &onnx, &err));
  const pmn_onnx_graph *graph = pmn_onnx_file_graph(onnx);
  int checked = 0;
  for (int32_t n = 0; n < graph->node_count; n++) {
    const pmn_onnx_node *node = &graph->nodes[n];
    if (strcmp(node->name, "picture") == 0) continue;
    pmn_onnx_value outputs[8] = {{0}};
    bool done = false;
    check_ok(compute(graph, node, outputs, &done, &err));
    if (!done) fail_msg("%s was not computed", node->name);
    for (int32_t i = 0; i < node->output_count; i++) {
      const char *output = graph->names[node->outputs[i]];
      compare(&outputs[i], find_expected(graph, output), output);
      pmn_onnx_value_reset(&outputs[i]);
    }
    checked++;
  }
  assert_int_equal(checked, cases);
  pmn_onnx_close(onnx);
}

static void test_goldens(void **state) {
  (void)state;
  check_golden("onnx_constants_9.onnx", 9);
  check_golden("onnx_constants_11.onnx", 21);
  check_golden("onnx_constants_13.onnx", 144);
  check_golden("onnx_constants_14.onnx", 13);
  check_golden("onnx_constants_15.onnx", 3);
  check_golden("onnx_constants_16.onnx", 3);
  check_golden("onnx_constants_18.onnx", 16);
}

/* ------------------------------------------------------------------------------------------------------ refusals -- */

/* A constant as "3,2:0 1 2 3 4 5" of whole numbers, "f3,2:0 ..." of FLOAT, "b...", BOOL; ":5" is a number without
 * dimensions; "-" an input left out. */
static pmn_onnx_value *parse_value(const char *text) {
  if (text == NULL || text[0] == '-') return NULL;
  pmn_onnx_value *value = calloc(1, sizeof *value);
  assert_non_null(value);
  value->type = text[0] == 'f' ? PMN_ONNX_FLOAT : text[0] == 'b' ? PMN_ONNX_BOOL : PMN_ONNX_INT64;
  if (value->type != PMN_ONNX_INT64) text++;
  char *p = (char *)(uintptr_t)text;
  value->count = 1;
  while (*p != ':') {
    value->dims[value->rank] = strtoll(p, &p, 10);
    value->count *= (size_t)value->dims[value->rank++];
    if (*p == ',') p++;
  }
  value->floats = value->type == PMN_ONNX_FLOAT ? pmn_calloc(value->count, sizeof *value->floats) : NULL;
  value->ints = value->type != PMN_ONNX_FLOAT ? pmn_calloc(value->count, sizeof *value->ints) : NULL;
  p++;
  for (size_t i = 0; i < value->count && *p != '\0'; i++) {
    if (value->floats != NULL) value->floats[i] = strtof(p, &p);
    if (value->ints != NULL) value->ints[i] = strtoll(p, &p, 10);
  }
  return value;
}

typedef struct bad_case {
  const char *op, *inputs[4], *attribute; /* "axis=1", "axes=0,0" for a list */
  int32_t outputs;
  const char *text; /* NULL: not computed, but no error */
} bad_case;

static void refuse(const bad_case *c) {
  pmn_onnx_value *values[4] = {NULL}, outputs[3] = {{0}};
  const pmn_onnx_value *inputs[4];
  pmn_onnx_id ids[4] = {0, 0, 0, 0};
  const char *names[] = {"z"};
  int64_t integers[8] = {0};
  char name[16] = "";
  pmn_onnx_attribute attribute = {.name = name, .integers = integers};
  const pmn_onnx_graph graph = {.origin = "m.onnx", .opset = 13, .names = names};
  pmn_onnx_budget budget = pmn_onnx_budget_of(&graph);
  pmn_onnx_node node = {
      .name = "n", .op = c->op, .domain = "", .inputs = ids, .outputs = ids, .attributes = &attribute};
  if (c->attribute != NULL) {
    char *p = (char *)(uintptr_t)strchr(c->attribute, '=');
    snprintf(name, sizeof name, "%.*s", (int)(p - c->attribute), c->attribute);
    while (*p != '\0' && p[1] != '\0') integers[attribute.count++] = strtoll(p + 1, &p, 10);
    attribute.integer = integers[0];
    bool one = strcmp(name, "axis") == 0 || strcmp(name, "to") == 0 || strcmp(name, "allowzero") == 0;
    attribute.kind = one ? PMN_ONNX_ATTRIBUTE_INT : PMN_ONNX_ATTRIBUTE_INTS;
    node.attribute_count = 1;
  }
  for (; node.input_count < 4 && c->inputs[node.input_count] != NULL; node.input_count++) {
    inputs[node.input_count] = values[node.input_count] = parse_value(c->inputs[node.input_count]);
  }
  node.output_count = c->outputs;
  bool done = true;
  pmn_err err = PMN_ERR_INIT;
  if (c->text != NULL) {
    check_fails(
        pmn_onnx_constant_compute(&graph, &node, inputs, &budget, outputs, &done, &err), PMN_STATUS_MODEL, c->text);
    if (strstr(err.message, "m.onnx") != NULL) fail_msg("%s: says where: \"%s\"", c->op, err.message);
  } else {
    check_ok(pmn_onnx_constant_compute(&graph, &node, inputs, &budget, outputs, &done, &err));
  }
  if (done) fail_msg("%s: done", c->op);
  for (int i = 0; i < 3; i++) {
    if (outputs[i].floats != NULL || outputs[i].doubles != NULL || outputs[i].ints != NULL) fail_msg("%s: kept", c->op);
  }
  for (int i = 0; i < 4; i++) {
    if (values[i] != NULL) pmn_onnx_value_reset(values[i]);
    free(values[i]);
  }
}

#define INT_MIN_TEXT "-9223372036854775808"
static const char counts[] = "it has not the inputs and outputs", together[] = "do not go together",
                  large[] = "its result has more than ", negative[] = "its result has a negative dimension";

static const bad_case bad[] = {
    /* not ours */
    {"Conv", {"f1,1,1,1:1", "f1,1,1,1:1"}, NULL, 1, NULL},
    {"BatchNormalization", {"f1:1"}, NULL, 1, NULL},
    {"add", {"f1:1", "f1:1"}, NULL, 1, NULL},
    {"Cast", {"f1:1"}, "to=8", 1, NULL},
    {"Cast", {"f1:1"}, "to=-1", 1, NULL},
    {"Cast", {"f1:1"}, "to=4294967297", 1, NULL},
    {"Cast", {"f1:1"}, NULL, 1, NULL},
    {"Constant", {NULL}, NULL, 1, NULL},
    /* inputs and outputs */
    {"Add", {"f1:1"}, NULL, 1, counts},
    {"Add", {"f1:1", "-"}, NULL, 1, counts},
    {"Add", {"f1:1", "f1:1", "f1:1"}, NULL, 1, counts},
    {"Add", {"f1:1", "f1:1"}, NULL, 2, counts},
    {"Add", {"f1:1", "f1:1"}, NULL, 0, counts},
    {"Max", {"f1:1", "-"}, NULL, 1, "input 1 is left out"},
    /* types */
    {"Add", {"f1:1", "1:1"}, NULL, 1, "inputs of types FLOAT and INT64"},
    {"Add", {"b1:1", "b1:1"}, NULL, 1, "an input of type BOOL"},
    {"And", {"1:1", "1:1"}, NULL, 1, "an input of type INT64"},
    {"Sqrt", {"1:4"}, NULL, 1, "an input of type INT64"},
    {"Exp", {"b1:1"}, NULL, 1, "an input of type BOOL"},
    {"Not", {"1:1"}, NULL, 1, "an input of type INT64"},
    {"Less", {"b1:1", "b1:1"}, NULL, 1, "an input of type BOOL"},
    {"Pow", {"f1:1", "b1:1"}, NULL, 1, "an input of type BOOL"},
    {"Where", {"1:1", "f1:1", "f1:1"}, NULL, 1, "a condition that is not of type BOOL"},
    {"Where", {"b1:1", "f1:1", "1:1"}, NULL, 1, "inputs of types FLOAT and INT64"},
    {"Clip", {"f1:1", "1:0"}, NULL, 1, "min should be one number of the input's type"},
    {"Clip", {"f1:1", "-", "f2:0 1"}, NULL, 1, "max should be one number of the input's type"},
    {"MatMul", {"f1:1", "1:1"}, NULL, 1, "inputs that are no matrices of one type"},
    {"MatMul", {"f:1", "f1:1"}, NULL, 1, "inputs that are no matrices of one type"},
    {"ReduceSum", {"b1:1"}, NULL, 1, "an input of no numbers"},
    {"ReduceMax", {"f0:"}, NULL, 1, "an input of no numbers"},
    {"Concat", {"f1:1", "1:1"}, "axis=0", 1, "input 1 does not fit to the first"},
    {"Reshape", {"f1:1", "f1:1"}, NULL, 1, "input 1 should be a list of whole numbers"},
    {"Reshape", {"f1:1", "1,1:1"}, NULL, 1, "input 1 should be a list of whole numbers"},
    {"Gather", {"f2:1 2", "f1:1"}, NULL, 1, "indices that are no whole numbers"},
    {"Range", {":0", "f:3", ":1"}, NULL, 1, "inputs that are not three numbers of one type"},
    {"Range", {":0", "2:3 4", ":1"}, NULL, 1, "inputs that are not three numbers of one type"},
    {"Mod", {"f1:1", "f1:1"}, NULL, 1, "real numbers without fmod"},
    /* numbers */
    {"Div", {"2:1 2", "2:1 0"}, NULL, 1, "a whole number is divided by 0"},
    {"Mod", {"2:1 2", "2:1 0"}, NULL, 1, "a whole number is divided by 0"},
    {"Range", {":0", ":5", ":0"}, NULL, 1, "steps of 0"},
    {"Range", {":0", ":9223372036854775807", ":1"}, NULL, 1, "more than 268435456 steps"},
    {"Range", {":9223372036854775807", ":" INT_MIN_TEXT, ":-1"}, NULL, 1, "more than 268435456 steps"},
    {"Range", {"f:0", "f:5", "f:0"}, NULL, 1, "steps of 0"},
    {"Range", {"f:0", "f:nan", "f:1"}, NULL, 1, "more than 268435456 steps"},
    {"Slice", {"f2:1 2", "1:0", "1:2", "1:0"}, "steps=0", 1, "a step of 0"},
    {"Gather", {"f2:1 2", "1:2"}, NULL, 1, "no index 2 in 2"},
    {"Gather", {"f2:1 2", "1:-3"}, NULL, 1, "no index -3 in 2"},
    {"Gather", {"f2:1 2", "1:" INT_MIN_TEXT}, NULL, 1, "no index -9223372036854775808 in 2"},
    /* axes */
    {"Gather", {"f:1", ":0"}, NULL, 1, "no axis 0 in 0 dimensions"},
    {"Gather", {"f2:1 2", "1:0"}, "axis=1", 1, "no axis 1 in 1 dimensions"},
    {"Concat", {"f2:1 2"}, "axis=-2", 1, "no axis -2 in 1 dimensions"},
    {"Split", {"f2:1 2"}, "axis=9223372036854775807", 2, "no axis 9223372036854775807"},
    {"Flatten", {"f2:1 2"}, "axis=2", 1, "no axis 2 in 1 dimensions"},
    {"Flatten", {"f2:1 2"}, "axis=" INT_MIN_TEXT, 1, "no axis"},
    {"Transpose", {"f2,1:1 2"}, "perm=0", 1, "perm names not all dimensions"},
    {"Transpose", {"f2,1:1 2"}, "perm=0,0", 1, "axis 0 is named twice"},
    {"Transpose", {"f2,1:1 2"}, "perm=0,2", 1, "no axis 2 in 2 dimensions"},
    {"Squeeze", {"f2,1:1 2"}, "axes=0", 1, "dimension 0 is not 1"},
    {"Squeeze", {"f2,1:1 2"}, "axes=1,-1", 1, "axis 1 is named twice"},
    {"Unsqueeze", {"f2,1:1 2"}, NULL, 1, "no axes"},
    {"Unsqueeze", {"f2,1:1 2"}, "axes=3", 1, "no axis 3 in 3 dimensions"},
    {"Unsqueeze", {"f1:1", "8:0 1 2 3 4 5 6 7"}, NULL, 1, "more than 8 dimensions"},
    {"ReduceSum", {"f2,1:1 2"}, "axes=0,0", 1, "axis 0 is named twice"},
    {"Slice", {"f2:1 2", "1:0", "1:2", "1:1"}, NULL, 1, "no axis 1 in 1 dimensions"},
    {"Slice", {"f2:1 2", "1:0", "2:2 2"}, NULL, 1, "lists of different lengths"},
    {"Slice", {"f2:1 2", "2:0 0", "2:2 2"}, NULL, 1, "lists of different lengths"},
    {"Slice", {"f2,1:1 2", "2:0 0", "2:2 2", "2:0 0"}, NULL, 1, "axis 0 is named twice"},
    /* shapes */
    {"Add", {"f2:1 2", "f3:1 2 3"}, NULL, 1, together},
    {"Where", {"b2:1 1", "f3:1 2 3", "f1:0"}, NULL, 1, together},
    {"MatMul", {"f2,3:", "f2,3:"}, NULL, 1, together},
    {"MatMul", {"f2,2,3:", "f3,3,2:"}, NULL, 1, together},
    {"Reshape", {"f6:", "2:4 -1"}, NULL, 1, "6 elements cannot be shaped so"},
    {"Reshape", {"f6:", "2:5 1"}, NULL, 1, "its input has 6 elements, its result would have 5"},
    {"Reshape", {"f6:", "2:-1 -1"}, NULL, 1, "open dimensions"},
    {"Reshape", {"f6:", "1:-2"}, NULL, 1, "open dimensions"},
    {"Reshape", {"f6:", "2:6 0"}, NULL, 1, "its input has no dimension 1"},
    {"Reshape", {"f0:", "2:0 -1"}, NULL, 1, "0 elements cannot be shaped so"},
    {"Reshape", {"f6:", "2:9223372036854775807 9223372036854775807"}, NULL, 1, large},
    {"Reshape", {"f6:", "3:4294967296 4294967296 -1"}, NULL, 1, "cannot be shaped so"},
    {"Reshape", {"f6:", "9:1 1 1 1 1 1 1 1 6"}, NULL, 1, "9 dimensions"},
    {"Concat", {"f2,1:", "f3,1:"}, "axis=1", 1, "input 1 does not fit to the first"},
    {"Concat", {"f2,1:", "f2:"}, "axis=0", 1, "input 1 does not fit to the first"},
    {"Split", {"f4:", "2:1 2"}, NULL, 2, "parts shorter than the whole"},
    {"Split", {"f4:", "2:3 2"}, NULL, 2, "parts longer than the whole"},
    {"Split", {"f4:", "2:5 -1"}, NULL, 2, "parts longer than the whole"},
    {"Split", {"f4:", "2:4 9223372036854775807"}, NULL, 2, "parts longer than the whole"},
    {"Split", {"f4:", "3:1 1 2"}, NULL, 2, "3 lengths for 2 outputs"},
    {"Expand", {"f3:", "1:2"}, NULL, 1, "cannot be expanded"},
    {"Expand", {"f1:", "9:1 1 1 1 1 1 1 1 1"}, NULL, 1, "cannot be expanded"},
    {"Tile", {"f3:", "2:1 2"}, NULL, 1, "repeats of 2 dimensions"},
    /* sizes: nothing is made before they are looked at */
    {"Expand", {"f1:", "2:65536 65536"}, NULL, 1, large},
    {"Expand", {"f1:", "1:-1"}, NULL, 1, negative},
    {"Expand", {"f1:", "3:0 4294967296 4294967296"}, NULL, 1, large},
    {"Tile", {"f2:", "1:9223372036854775807"}, NULL, 1, large},
    {"Tile", {"f2:", "1:-1"}, NULL, 1, negative},
    {"ConstantOfShape", {"2:16384 16385"}, NULL, 1, large},
    {"ConstantOfShape", {"2:-1 -1"}, NULL, 1, negative},
    {"ConstantOfShape", {"9:1 1 1 1 1 1 1 1 1"}, NULL, 1, large},
    {"Gather", {"f1,1,1,1,1:1", "1,1,1,1,1:0"}, NULL, 1, large},
    {"Add", {"f20000,1:", "f1,20000:"}, NULL, 1, together},
    {"MatMul", {"f20000,1:", "f1,20000:"}, NULL, 1, large},
    {"MatMul", {"f1100,1100:", "f1100,1100:"}, NULL, 1,
        "the constants that the file computes take more than 1300000000 bytes and steps"},
};

static void test_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refuse(&bad[i]);
}

/* More digits than fp64 has. (ONNX Runtime counts in fp64 and gives a number less.) */
static void test_range(void **state) {
  (void)state;
  static const char *const texts[] = {":4611686018427387904", ":4611686018427387909", ":2"};
  pmn_onnx_value *values[3], output = {0};
  pmn_onnx_id ids[3] = {0, 0, 0};
  const pmn_onnx_graph graph = {.origin = "m.onnx"};
  pmn_onnx_budget budget = pmn_onnx_budget_of(&graph);
  const pmn_onnx_node node = {
      .name = "n", .op = "Range", .domain = "", .inputs = ids, .outputs = ids, .input_count = 3, .output_count = 1};
  pmn_err err = PMN_ERR_INIT;
  bool done = false;
  for (int i = 0; i < 3; i++) values[i] = parse_value(texts[i]);
  check_ok(
      pmn_onnx_constant_compute(&graph, &node, (const pmn_onnx_value *const *)values, &budget, &output, &done, &err));
  assert_true(done);
  assert_int_equal(output.count, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(output.ints[i], ((int64_t)1 << 62) + 2 * i);
  pmn_onnx_value_reset(&output);
  for (int i = 0; i < 3; i++) {
    pmn_onnx_value_reset(values[i]);
    free(values[i]);
  }
}

/* Every operator pays for what it reads and gives; what the budget does not allow is not made. */
static void test_budget(void **state) {
  (void)state;
  static const char *const ops[] = {"Identity", "Neg", "ReduceSum", "Transpose", "Shape"};
  static const size_t costs[] = {6 + 24, 6 + 24, 6 + 4, 6 + 24, 6};
  pmn_onnx_value *value = parse_value("f2,3:1 2 3 4 5 6"), output;
  pmn_onnx_id id = 0;
  const pmn_onnx_graph graph = {.origin = "m.onnx", .opset = 13, .size = 100};
  assert_int_equal(pmn_onnx_budget_of(&graph).left, 1300001600);
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    const pmn_onnx_node node = {
        .name = "n", .op = ops[i], .domain = "", .inputs = &id, .outputs = &id, .input_count = 1, .output_count = 1};
    const pmn_onnx_value *const inputs[] = {value};
    for (size_t lacking = 0; lacking < 2; lacking++) {
      pmn_onnx_budget budget = {.left = costs[i] - lacking, .whole = 7};
      pmn_err err = PMN_ERR_INIT;
      bool done = false;
      pmn_status status = pmn_onnx_constant_compute(&graph, &node, inputs, &budget, &output, &done, &err);
      if (lacking == 0) {
        check_ok(status);
        assert_int_equal(budget.left, 0);
      } else {
        check_fails(status, PMN_STATUS_MODEL, "take more than 7 bytes and steps, too many for a file of 100 bytes");
      }
      pmn_onnx_value_reset(&output);
    }
  }
  pmn_onnx_value_reset(value);
  free(value);
}

/* Shape and Size of what is no constant, whose dimensions may be larger than those of constants. */
static void test_shape(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_onnx_value value;
  const int64_t dims[] = {1, 3, INT32_MAX, 1ll << 40};
  pmn_onnx_attribute attributes[] = {{.name = "start", .kind = PMN_ONNX_ATTRIBUTE_INT, .integer = -3},
      {.name = "end", .kind = PMN_ONNX_ATTRIBUTE_INT, .integer = 3}};
  pmn_onnx_node node = {.name = "n", .op = "Shape", .domain = ""};
  check_ok(pmn_onnx_constant_shape(&node, dims, 4, &value, &err));
  assert_int_equal(value.type, PMN_ONNX_INT64);
  assert_int_equal(value.rank, 1);
  assert_int_equal(value.count, 4);
  assert_memory_equal(value.ints, dims, sizeof dims);
  pmn_onnx_value_reset(&value);
  node.attributes = attributes;
  node.attribute_count = 2;
  check_ok(pmn_onnx_constant_shape(&node, dims, 4, &value, &err));
  assert_int_equal(value.count, 2);
  assert_memory_equal(value.ints, dims + 1, 2 * sizeof *dims);
  pmn_onnx_value_reset(&value);
  node.op = "Size";
  check_ok(pmn_onnx_constant_shape(&node, dims, 3, &value, &err));
  assert_int_equal(value.rank, 0);
  assert_int_equal(value.ints[0], 3ll * INT32_MAX);
  pmn_onnx_value_reset(&value);
  check_fails(pmn_onnx_constant_shape(&node, dims, 4, &value, &err), PMN_STATUS_MODEL, "too many elements");
}

/* Every allocation of every golden case fails once. */
static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_onnx *onnx = NULL;
  int failures = 0;
  check_ok(pmn_onnx_open(PMN_SOURCE_DIR "/tests/golden/onnx_constants_13.onnx", &onnx, &err));
  const pmn_onnx_graph *graph = pmn_onnx_file_graph(onnx);
  for (int32_t n = 0; n < graph->node_count; n++) {
    if (strcmp(graph->nodes[n].name, "picture") == 0) continue;
    pmn_onnx_value outputs[8] = {{0}};
    bool done = false;
    for (int64_t k = 0; !done; k++, failures++) {
      pmn_mem_fail_after(k);
      pmn_status status = compute(graph, &graph->nodes[n], outputs, &done, &err);
      pmn_mem_fail_after(-1);
      if (!done) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
      if (done) assert_int_equal(status, PMN_STATUS_OK);
    }
    for (int i = 0; i < 8; i++) pmn_onnx_value_reset(&outputs[i]);
  }
  assert_true(failures > 2 * 144);
  pmn_onnx_close(onnx);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_goldens),
      cmocka_unit_test(test_refused),
      cmocka_unit_test(test_range),
      cmocka_unit_test(test_budget),
      cmocka_unit_test(test_shape),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests_name("onnx_constant", tests, NULL, NULL);
}
