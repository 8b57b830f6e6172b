/* test_graph.c - building networks: shapes and padding, names, errors, and programs made of single layers. What is
 * refused is test_graph_refusals.c's, what a network computes test_graph_values.c's, what folding does test_fold.c's.
 *
 * Shapes are held against TensorFlow's "same" worked out by hand and against the definition of a window counted out.
 */
#include "graph_tiny.h"

/* The program's operations as a text. */
static const char *operations(pmn_graph *graph, pmn_node output) {
  pmn_err err = PMN_ERR_INIT;
  const pmn_program *program = NULL;
  check_ok(pmn_graph_finish(graph, &output, 1, &program, &err));
  return graph_describe(program);
}

/* ---------------------------------------------------------------------------------------------- shapes, padding -- */

/* Output size and padding before of one convolution with "same" padding, height and width apart. */
static void conv_shape(int kernel, int stride, int h, int w, bool depthwise, pmn_tensor *out, int pad[2]) {
  pmn_err err = PMN_ERR_INIT;
  pmn_preprocess preprocess = graph_sized(h, w);
  pmn_graph *graph = pmn_graph_create("same");
  const pmn_program *program = NULL;
  pmn_node x = graph_conv(graph, "stem", pmn_graph_input(graph, NULL, &preprocess), pmn_window_square(1, 1), 2);
  pmn_window window = pmn_window_same(kernel, stride, h, w);
  int filters = depthwise ? 2 : 5, groups = depthwise ? 2 : 1;
  x = pmn_graph_conv2d(
      graph, "c", x, &window, groups, filters, graph_zeros((size_t)(kernel * kernel * 2 / groups * filters)), NULL);
  *out = pmn_graph_shape(graph, x);
  check_ok(pmn_graph_finish(graph, &x, 1, &program, &err));
  assert_int_equal(program->op_count, 2);
  const pmn_op *op = &program->ops[1];
  assert_int_equal(op->kind, depthwise ? PMN_OP_DEPTHWISE_CONV2D : PMN_OP_CONV2D);
  assert_int_equal(op->kernel_h, kernel);
  assert_int_equal(op->kernel_w, kernel);
  assert_int_equal(op->stride_h, stride);
  assert_int_equal(op->stride_w, stride);
  assert_int_equal(program->tensors[op->output].h, out->h);
  assert_int_equal(program->tensors[op->output].w, out->w);
  assert_int_equal(out->c, filters);
  pad[0] = op->pad_top;
  pad[1] = op->pad_left;
  pmn_graph_destroy(graph);
}

static void test_same_padding(void **state) {
  (void)state;
  /* By hand: size, kernel, stride, output size, padding before; the rest of the padding comes after. */
  static const int cases[][5] = {{224, 3, 2, 112, 0}, {225, 3, 2, 113, 1}, {112, 5, 2, 56, 1}, {113, 5, 2, 57, 2},
      {56, 3, 1, 56, 1}, {14, 5, 1, 14, 2}, {14, 5, 2, 7, 1}, {7, 5, 2, 4, 2}, {7, 3, 2, 4, 1}, {8, 3, 2, 4, 0},
      {7, 1, 2, 4, 0}, {8, 1, 2, 4, 0}, {5, 1, 1, 5, 0}, {1, 1, 2, 1, 0}, {1, 3, 1, 1, 1}, {1, 3, 2, 1, 1},
      {1, 5, 2, 1, 2}, {2, 3, 2, 1, 0}, {2, 5, 2, 1, 1}, {3, 5, 2, 2, 2}, {2, 5, 1, 2, 2}};
  enum { COUNT = sizeof cases / sizeof *cases };
  for (int i = 0; i < COUNT; i++) {
    for (int j = 0; j < COUNT; j++) { /* height and width of different cases must not be mixed up */
      if (cases[i][1] != cases[j][1] || cases[i][2] != cases[j][2]) continue;
      pmn_tensor out;
      int pad[2];
      conv_shape(cases[i][1], cases[i][2], cases[i][0], cases[j][0], (i + j) % 2 == 1, &out, pad);
      if (out.h != cases[i][3] || out.w != cases[j][3] || pad[0] != cases[i][4] || pad[1] != cases[j][4]) {
        fail_msg("%d x %d, kernel %d, stride %d: %d x %d, padding %d, %d", cases[i][0], cases[j][0], cases[i][1],
            cases[i][2], out.h, out.w, pad[0], pad[1]);
      }
    }
  }
}

/* The definition once more, without its formula: one window begins every `stride` pixels, and as little padding is
 * shared out, half before rounded down, as lets the last window end. */
static void test_same_padding_counted(void **state) {
  (void)state;
  for (int size = 1; size <= 20; size++) {
    for (int kernel = 1; kernel <= 5; kernel += 2) {
      for (int stride = 1; stride <= 2; stride++) {
        int windows = 0, padding = 0, last = 0, pad[2];
        for (int at = 0; at < size; at += stride, windows++) last = at;
        while (last + kernel > size + padding) padding++;
        pmn_tensor out;
        conv_shape(kernel, stride, size, 21 - size, false, &out, pad);
        assert_int_equal(out.h, windows);
        assert_int_equal(pad[0], padding / 2);
      }
    }
  }
}

/* Windows of every size, stride, dilation and padding counted out on the padded picture, for convolutions and pools; a
 * pool is refused when one of its windows holds no pixel. */
static void test_windows_counted(void **state) {
  (void)state;
  int fits = 0, refused = 0;
  uint64_t random = 5;
  for (int round = 0; round < 4000; round++) {
    int n[8];
    for (int i = 0; i < 8; i++) n[i] = graph_random(&random) % 4;
    int size = 1 + graph_random(&random) % 7, kernel = 1 + n[0], stride = 1 + n[1], dilation = 1 + n[2] / 2;
    pmn_window window = {1, kernel, 1, stride, 1, dilation, 0, n[3], 0, n[4]};
    int windows = 0;
    bool meet = true;
    for (int at = -n[3]; at + (kernel - 1) * dilation < size + n[4]; at += stride, windows++) {
      bool pixel = false;
      for (int k = 0; k < kernel; k++) pixel = pixel || (at + k * dilation >= 0 && at + k * dilation < size);
      meet = meet && pixel;
    }
    pmn_preprocess preprocess = graph_sized(1, size);
    pmn_graph *graph = pmn_graph_create("windows");
    pmn_node x = pmn_graph_input(graph, NULL, &preprocess);
    pmn_node convolved = graph_conv(graph, NULL, x, window, 2);
    assert_int_equal(pmn_graph_failed(graph), windows == 0);
    if (windows > 0) {
      assert_int_equal(pmn_graph_shape(graph, convolved).w, windows);
      pmn_node pool = pmn_graph_max_pool(graph, NULL, x, &window);
      assert_int_equal(pmn_graph_failed(graph), !meet);
      if (meet) assert_int_equal(pmn_graph_shape(graph, pool).w, windows);
    }
    fits += windows > 0 && meet;
    refused += windows > 0 && !meet;
    pmn_graph_destroy(graph);
  }
  assert_true(fits > 1000 && refused > 100);
}

typedef struct shape_case {
  const char *what;
  pmn_node (*build)(pmn_graph *graph, pmn_node x);
  int32_t h, w, c;
  const char *kind, *operations;
  int64_t parameters, multiply_adds;
} shape_case;

static pmn_node dilated(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){2, 3, 2, 1, 3, 2, 1, 0, 2, 1}, 4);
}
static pmn_node grouped(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(3, 2);
  return pmn_graph_conv2d(g, "a", x, &window, 3, 6, graph_zeros(54), NULL);
}
static pmn_node depthwise(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(2, 1);
  return pmn_graph_conv2d(g, "a", x, &window, 3, 3, graph_zeros(12), graph_zeros(3));
}
static pmn_node dense(pmn_graph *g, pmn_node x) {
  return pmn_graph_dense(g, "a", x, 10, graph_zeros(7 * 6 * 3 * 10), graph_zeros(10));
}
static pmn_node affine(pmn_graph *g, pmn_node x) {
  return pmn_graph_affine(g, "a", pmn_graph_flatten(g, NULL, x), graph_doubles(126, 1), graph_doubles(126, 2));
}
static pmn_node sigmoid(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_SIGMOID, 0, -INFINITY, INFINITY);
}
static pmn_node relu6(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_NONE, NAN, 0, 6);
}
static pmn_node add(pmn_graph *g, pmn_node x) {
  return pmn_graph_add(g, "a", x, x);
}
static pmn_node multiply(pmn_graph *g, pmn_node x) {
  return pmn_graph_multiply(g, "a", x, pmn_graph_global_max_pool(g, NULL, x));
}
static pmn_node max_pool(pmn_graph *g, pmn_node x) {
  return pmn_graph_max_pool(g, "a", x, &(pmn_window){3, 2, 2, 2, 1, 2, 0, 1, 1, 0});
}
static pmn_node average_pool(pmn_graph *g, pmn_node x) {
  /* One line more below than counts, as ONNX's ceil_mode has it. */
  pmn_window window = {4, 2, 2, 2, 1, 1, 1, 0, 2, 0}, counted = window;
  counted.pad_bottom = 1;
  return pmn_graph_average_pool(g, "a", x, &window, &counted);
}
static pmn_node global_average(pmn_graph *g, pmn_node x) {
  return pmn_graph_global_average_pool(g, "a", x);
}
static pmn_node global_max(pmn_graph *g, pmn_node x) {
  return pmn_graph_global_max_pool(g, "a", x);
}
static pmn_node pad(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, 1, 2, 3, 4);
}
static pmn_node crop(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, -1, -2, -3, 0);
}
static pmn_node crop_and_pad(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, -1, 2, 3, -1);
}
static pmn_node concat(pmn_graph *g, pmn_node x) {
  return pmn_graph_concat(g, "a", (pmn_node[]){x, x, sigmoid(g, x)}, 3);
}
static pmn_node copy(pmn_graph *g, pmn_node x) {
  /* A transposition. */
  pmn_copy all = {.extent = {7, 6, 3}, .in_stride = {18, 3, 1}, .out_stride = {3, 21, 1}};
  return pmn_graph_copy(g, "a", x, (pmn_tensor){.h = 6, .w = 7, .c = 3}, &all, 1);
}
static pmn_node flatten(pmn_graph *g, pmn_node x) {
  return pmn_graph_flatten(g, "a", x);
}
static pmn_node softmax(pmn_graph *g, pmn_node x) {
  return pmn_graph_softmax(g, "a", x);
}
static pmn_node lrn(pmn_graph *g, pmn_node x) {
  return pmn_graph_lrn(g, "a", x, 5, 1e-4f, 0.75f, 1);
}
static pmn_node layer_norm(pmn_graph *g, pmn_node x) {
  return pmn_graph_layer_norm(g, "a", x, 1e-6f, graph_zeros(3), graph_zeros(3));
}
static pmn_node resize(pmn_graph *g, pmn_node x) {
  return pmn_graph_resize(g, "a", x, 2, 3, graph_zeros(15));
}

static const shape_case shape_cases[] = {
    {"dilated", dilated, 4, 3, 4, "conv2d", "conv/1,0", 76, 864},
    {"grouped", grouped, 3, 2, 6, "conv2d", "conv conv", 54, 324},
    {"depthwise", depthwise, 6, 5, 3, "depthwise_conv2d", "conv depthwise", 15, 360},
    {"dense", dense, 1, 1, 10, "dense", "conv copy conv", 1270, 1260},
    {"affine", affine, 1, 1, 126, "affine", "conv copy depthwise", 252, 126},
    {"sigmoid", sigmoid, 7, 6, 3, "sigmoid", "conv depthwise:sigmoid", 0, 0},
    {"relu6", relu6, 7, 6, 3, "relu", "conv depthwise[0,6]", 0, 0},
    {"add", add, 7, 6, 3, "add", "conv depthwise+", 0, 0},
    {"multiply", multiply, 7, 6, 3, "multiply", "conv max multiply", 0, 126},
    {"max_pool", max_pool, 3, 3, 3, "max_pool", "conv max/0,1", 0, 0},
    {"average_pool", average_pool, 4, 3, 3, "average_pool", "conv average/1,0#1,0", 0, 0},
    {"global_average", global_average, 1, 1, 3, "global_average_pool", "conv mean", 0, 0},
    {"global_max", global_max, 1, 1, 3, "global_max_pool", "conv max", 0, 0},
    {"pad", pad, 11, 12, 3, "pad", "conv depthwise/1,2", 0, 0},
    {"crop", crop, 3, 4, 3, "crop", "conv copy", 0, 0},
    {"crop_and_pad", crop_and_pad, 9, 7, 3, "pad", "conv copy depthwise/0,2", 0, 0},
    {"concat", concat, 7, 6, 9, "concat", "conv depthwise:sigmoid copy copy copy", 0, 0},
    {"copy", copy, 6, 7, 3, "copy", "conv copy", 0, 0},
    {"flatten", flatten, 1, 1, 126, "flatten", "conv copy", 0, 0},
    {"softmax", softmax, 7, 6, 3, "softmax", "conv softmax", 0, 0},
    {"lrn", lrn, 7, 6, 3, "lrn", "conv lrn", 0, 0},
    {"layer_norm", layer_norm, 7, 6, 3, "layer_norm", "conv norm", 6, 0},
    {"resize", resize, 2, 3, 3, "resize", "conv resize", 0, 0},
};

static void test_layers(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases; i++) {
    const shape_case *c = &shape_cases[i];
    pmn_graph *graph = graph_start();
    pmn_node x = c->build(graph, 0);
    pmn_graph_layer layer;
    assert_true(pmn_graph_layer_at(graph, x, &layer));
    pmn_tensor shape = pmn_graph_shape(graph, x);
    if (layer.h != c->h || layer.w != c->w || layer.c != c->c || shape.h != c->h || shape.w != c->w || shape.c != c->c)
      fail_msg("%s: %d x %d x %d", c->what, layer.h, layer.w, layer.c);
    const char *text = operations(graph, x);
    if (strcmp(text, c->operations) != 0) fail_msg("%s: %s", c->what, text);
    assert_string_equal(layer.name, "a");
    assert_string_equal(layer.kind, c->kind);
    assert_int_equal(layer.parameters, c->parameters);
    assert_int_equal(layer.operations, c->multiply_adds);
    pmn_graph_destroy(graph);
  }
}

/* Pixel (y, x) of the picture in channel c; 0 outside. */
static float pixel(int y, int x, int c) {
  return y < 0 || y >= H || x < 0 || x >= W ? 0.0f : (float)picture()[(y * W + x) * 3 + c];
}

/* What copies move, looked up pixel by pixel. */
static void test_moved_values(void **state) {
  (void)state;
  static const struct {
    pmn_node (*build)(pmn_graph *graph, pmn_node x);
    int above, before; /* lines and columns put in front of the picture */
  } cases[] = {{pad, 1, 2}, {crop, -1, -2}, {crop_and_pad, -1, 2}};
  for (int i = 0; i < 4; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_graph *graph = graph_start();
    pmn_node doubled = pmn_graph_affine(graph, NULL, 0, graph_doubles(3, 2), graph_doubles(3, 0));
    pmn_node last = i < 3 ? cases[i].build(graph, 0) : pmn_graph_concat(graph, NULL, (pmn_node[]){doubled, 0}, 2);
    pmn_tensor shape = pmn_graph_shape(graph, last);
    const pmn_program *program = NULL;
    check_ok(pmn_graph_finish(graph, &last, 1, &program, &err));
    float *y = graph_run(program, picture());
    for (int at = 0; at < (int)pmn_tensor_size(&shape); at++) {
      int c = at % shape.c, column = at / shape.c % shape.w, row = at / shape.c / shape.w;
      float expected = i < 3 ? pixel(row - cases[i].above, column - cases[i].before, c)
                             : pixel(row, column, c % 3) * (c < 3 ? 2.0f : 1.0f);
      if (y[at] != expected) fail_msg("case %d: value %d is %g, must be %g", i, at, (double)y[at], (double)expected);
    }
    free(y);
    pmn_graph_destroy(graph);
  }
}

/* Nothing is computed that no output needs, and what nobody needs forbids no folding. */
static void test_unneeded(void **state) {
  (void)state;
  pmn_graph *graph = graph_start();
  pmn_node x = graph_conv(graph, "a", 0, pmn_window_square(1, 1), 4);
  pmn_node y = pmn_graph_affine(graph, "b", x, graph_doubles(4, 2), graph_doubles(4, 1));
  pmn_graph_softmax(graph, "c", x);
  pmn_graph_softmax(graph, "d", y);
  pmn_graph_softmax(graph, "e", 0);
  assert_string_equal(operations(graph, y), "conv");
  pmn_graph_destroy(graph);
}

/* -------------------------------------------------------------------------------------------------------- names -- */

static void test_names(void **state) {
  (void)state;
  pmn_graph *graph = graph_start();
  pmn_node x = graph_conv(graph, "x", 0, pmn_window_square(1, 1), 4), unnamed = sigmoid(graph, x);
  pmn_node same = graph_conv(graph, "x", unnamed, pmn_window_square(1, 1), 4);
  pmn_graph_alias(graph, unnamed, "other");
  pmn_graph_alias(graph, same, "other");
  pmn_graph_alias(graph, same, NULL);
  pmn_graph_alias(graph, same, "");
  assert_int_equal(pmn_graph_find(graph, "input"), 0);
  assert_int_equal(pmn_graph_find(graph, "x"), x);
  assert_int_equal(pmn_graph_find(graph, "other"), unnamed);
  assert_int_equal(pmn_graph_find(graph, "y"), -1);
  assert_int_equal(pmn_graph_find(graph, ""), -1);
  /* Layers that change nothing are names. */
  assert_int_equal(pmn_graph_activation(graph, "none", x, PMN_ACTIVATION_NONE, 0, -INFINITY, INFINITY), x);
  assert_int_equal(pmn_graph_pad(graph, "zero", x, 0, 0, 0, 0), x);
  assert_int_equal(pmn_graph_concat(graph, "one", &x, 1), x);
  pmn_node mean = pmn_graph_global_average_pool(graph, "mean", x);
  assert_int_equal(pmn_graph_flatten(graph, "flat", mean), mean);
  assert_int_equal(pmn_graph_find(graph, "none"), x);
  assert_int_equal(pmn_graph_find(graph, "zero"), x);
  assert_int_equal(pmn_graph_find(graph, "one"), x);
  assert_int_equal(pmn_graph_find(graph, "flat"), mean);
  assert_false(pmn_graph_failed(graph));
  pmn_graph_layer layer;
  assert_true(pmn_graph_layer_at(graph, same, &layer));
  assert_string_equal(layer.name, "x");
  assert_false(pmn_graph_layer_at(graph, -1, &layer));
  assert_false(pmn_graph_layer_at(graph, mean + 1, &layer));
  pmn_graph_destroy(graph);
}

static void test_many_layers(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_graph *graph = graph_start();
  pmn_node x = 0;
  char name[32];
  for (int i = 0; i < 100000 - 1; i++) {
    snprintf(name, sizeof name, "layer_%d", i);
    x = pmn_graph_softmax(graph, name, x);
  }
  assert_false(pmn_graph_failed(graph));
  assert_int_equal(x, 100000 - 1);
  for (int i = 0; i < 100000 - 1; i += 97) {
    snprintf(name, sizeof name, "layer_%d", i);
    assert_int_equal(pmn_graph_find(graph, name), i + 1);
  }
  x = 3000;
  const pmn_program *program = NULL;
  check_ok(pmn_graph_finish(graph, &x, 1, &program, &err));
  assert_int_equal(program->op_count, 3001);
  pmn_graph_destroy(graph);

  graph = graph_start();
  for (int i = 0; i < 100000; i++) x = pmn_graph_softmax(graph, NULL, 0);
  check_fails(pmn_graph_finish(graph, &x, 1, &program, &err), PMN_STATUS_MODEL,
      "tiny.onnx: layer softmax: is one more than the 100000 layers");
  pmn_graph_destroy(graph);
}

/* ------------------------------------------------------------------------------------------------------ errors -- */

/* The first error is the one told; after it builders give node 0 and free what they are handed. */
static void test_first_error(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  const pmn_program *program = NULL;
  pmn_graph *graph = graph_start();
  pmn_graph_fail(graph, PMN_STATUS_ARGUMENT, "the %s one\nof two lines", "first");
  assert_true(pmn_graph_failed(graph));
  pmn_graph_fail(graph, PMN_STATUS_MODEL, "the second one");
  for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases; i++) {
    assert_int_equal(shape_cases[i].build(graph, 0), 0);
  }
  pmn_node x = 0;
  check_fails(
      pmn_graph_finish(graph, &x, 1, &program, &err), PMN_STATUS_ARGUMENT, "tiny.onnx: the first one of two lines");
  assert_int_equal(pmn_graph_finish(graph, &x, 1, &program, NULL), PMN_STATUS_ARGUMENT);
  assert_int_equal(pmn_graph_find(graph, "a"), -1);
  pmn_graph_destroy(graph);
  /* Without any layer there is a shape all the same. */
  graph = pmn_graph_create("empty");
  pmn_tensor shape = pmn_graph_shape(graph, 0);
  assert_true(shape.h == 1 && shape.w == 1 && shape.c == 1);
  check_fails(pmn_graph_finish(graph, &x, 1, &program, &err), PMN_STATUS_MODEL, "empty: layer 0 of 0");
  pmn_graph_destroy(graph);
}

static void test_finish(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  const pmn_program *program = NULL;
  pmn_node x[2] = {0, 1};
  pmn_graph *graph = graph_start();
  check_fails(pmn_graph_finish(graph, x, 0, &program, &err), PMN_STATUS_MODEL, "no layer is asked for");
  pmn_graph_destroy(graph);
  graph = graph_start();
  check_fails(pmn_graph_finish(graph, x, 2, &program, &err), PMN_STATUS_MODEL, "layer 1 of 1 is asked for");
  pmn_graph_destroy(graph);
  /* Only once, and nothing afterwards. */
  graph = graph_start();
  check_ok(pmn_graph_finish(graph, x, 1, &program, &err));
  assert_int_equal(graph_conv(graph, "late", 0, pmn_window_square(1, 1), 2), 0);
  assert_true(pmn_graph_failed(graph));
  check_fails(pmn_graph_finish(graph, x, 1, &program, &err), PMN_STATUS_MODEL, "layer late: comes after the graph");
  pmn_graph_destroy(graph);
  graph = graph_start();
  check_ok(pmn_graph_finish(graph, x, 1, &program, &err));
  check_fails(pmn_graph_finish(graph, x, 1, &program, &err), PMN_STATUS_MODEL, "finished already");
  pmn_graph_destroy(graph);
  /* Outputs of 2^31 values together. */
  pmn_preprocess preprocess = graph_sized(20000, 20000);
  graph = pmn_graph_create("large");
  x[1] = x[0] = pmn_graph_input(graph, "input", &preprocess);
  check_fails(pmn_graph_finish(graph, x, 2, &program, &err), PMN_STATUS_MODEL, "2^31 values or more together");
  pmn_graph_destroy(graph);
  pmn_graph_destroy(NULL);
}

/* ------------------------------------------------------------------------------------------------------- memory -- */

static void test_missing_parameters(void **state) {
  (void)state;
  for (int i = 0; i < 7; i++) {
    pmn_err err = PMN_ERR_INIT;
    const pmn_program *program = NULL;
    pmn_graph *graph = graph_start();
    pmn_node x = 0;
    pmn_window window = pmn_window_square(1, 1);
    switch (i) {
    case 0:
      x = pmn_graph_conv2d(graph, "a", x, &window, 1, 2, NULL, graph_zeros(2));
      break;
    case 1:
      x = pmn_graph_dense(graph, "a", x, 2, NULL, graph_zeros(2));
      break;
    case 2:
      x = pmn_graph_affine(graph, "a", x, NULL, graph_doubles(3, 1));
      break;
    case 3:
      x = pmn_graph_affine(graph, "a", x, graph_doubles(3, 1), NULL);
      break;
    case 4:
      x = pmn_graph_layer_norm(graph, "a", x, 1, NULL, graph_zeros(3));
      break;
    case 5:
      x = pmn_graph_layer_norm(graph, "a", x, 1, graph_zeros(3), NULL);
      break;
    case 6:
      x = pmn_graph_resize(graph, "a", x, 2, 2, NULL);
      break;
    }
    check_fails(
        pmn_graph_finish(graph, &x, 1, &program, &err), PMN_STATUS_NO_MEMORY, "tiny.onnx: cannot get the memory");
    pmn_graph_destroy(graph);
  }
}

/* A network with something of everything: every allocation fails once. */
static pmn_node build_everything(pmn_graph *graph) {
  pmn_node middle, x = tiny_build(graph, &normalised, &middle);
  for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases && !pmn_graph_failed(graph); i++) {
    if (shape_cases[i].build != affine) shape_cases[i].build(graph, 0);
  }
  pmn_graph_alias(graph, x, "again");
  pmn_node pooled = pmn_graph_global_max_pool(graph, NULL, middle);
  x = pmn_graph_concat(graph, NULL, (pmn_node[]){x, pooled, x}, 3);
  return pmn_graph_flatten(graph, "flat", pmn_graph_pad(graph, NULL, x, 1, 0, 0, 0));
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_err err = PMN_ERR_INIT;
    const pmn_program *program = NULL;
    status = PMN_STATUS_NO_MEMORY;
    /* Parameters are the caller's allocations: only the graph's own fail here. */
    pmn_graph *graph = pmn_graph_create("memory");
    pmn_node outputs[2] = {0, graph == NULL ? 0 : build_everything(graph)};
    pmn_mem_fail_after(k);
    if (graph != NULL) status = pmn_graph_finish(graph, outputs, 2, &program, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) {
      assert_int_equal(status, PMN_STATUS_NO_MEMORY);
      assert_int_equal(err.status, PMN_STATUS_NO_MEMORY);
      assert_null(program);
    }
    pmn_graph_destroy(graph);
  }
  assert_true(k > 12);
}

/* As before, while building: builders that get no parameters pass them on as NULL. */
static pmn_node build_parameterless(pmn_graph *graph) {
  pmn_node x = pmn_graph_input(graph, "input", &graph_raw);
  pmn_window window = pmn_window_square(1, 1);
  float *weights = pmn_calloc(6, sizeof *weights), *bias = pmn_calloc(2, sizeof *bias);
  x = pmn_graph_conv2d(graph, "a", x, &window, 1, 2, weights, bias);
  double *scale = pmn_calloc(2, sizeof *scale), *shift = pmn_calloc(2, sizeof *shift);
  x = pmn_graph_affine(graph, "b", sigmoid(graph, x), scale, shift);
  x = pmn_graph_concat(graph, "c", (pmn_node[]){x, x}, 2);
  x = pmn_graph_flatten(graph, "d", pmn_graph_pad(graph, "e", x, -1, 1, 0, 0));
  for (int i = 0; i < 80; i++) x = pmn_graph_softmax(graph, NULL, x); /* the list of layers grows */
  pmn_graph_alias(graph, x, "f");
  return x;
}

static void test_no_memory_building(void **state) {
  (void)state;
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_err err = PMN_ERR_INIT;
    const pmn_program *program = NULL;
    status = PMN_STATUS_NO_MEMORY;
    pmn_mem_fail_after(k);
    pmn_graph *graph = pmn_graph_create("memory");
    pmn_node x = graph == NULL ? 0 : build_parameterless(graph);
    pmn_mem_fail_after(-1);
    if (graph != NULL) {
      status = pmn_graph_finish(graph, &x, 1, &program, &err);
      if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    }
    pmn_graph_destroy(graph);
  }
  assert_true(k > 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_padding),
      cmocka_unit_test(test_same_padding_counted),
      cmocka_unit_test(test_windows_counted),
      cmocka_unit_test(test_layers),
      cmocka_unit_test(test_moved_values),
      cmocka_unit_test(test_unneeded),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_many_layers),
      cmocka_unit_test(test_first_error),
      cmocka_unit_test(test_finish),
      cmocka_unit_test(test_missing_parameters),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_no_memory_building),
  };
  return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
