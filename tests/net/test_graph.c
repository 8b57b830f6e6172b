/* test_graph.c - building networks: shapes and padding, BatchNorm folded into weights, and tensors that are not as they
 * should be.
 *
 * Shapes are held against TensorFlow's "same" worked out by hand; folding against the unfolded layers in fp64, within
 * a bound that the evaluation carries along.
 */
#include "net_weights.h"
#include "pmn_backend.h"
#include "pmn_graph.h"
#include "pmn_mem.h"

#include <float.h>
#include <math.h>

static const float ones[3] = {1, 1, 1}, zeros[3] = {0, 0, 0};

static pmn_safetensors *open_weights(const net_weights *weights, net_bytes *file) {
  pmn_err err = PMN_ERR_INIT;
  pmn_safetensors *st = NULL;
  *file = net_weights_write(weights);
  check_ok(pmn_safetensors_create(file->bytes, file->size, "tiny.safetensors", &st, &err));
  return st;
}

/* ---------------------------------------------------------------------------------------------- shapes, padding -- */

/* Output size and padding before of one convolution, height and width apart. */
static void conv_shape(int kernel, int stride, int h, int w, bool depthwise, pmn_tensor *out, int pad[2]) {
  pmn_err err = PMN_ERR_INIT;
  net_weights weights = {.count = 0};
  net_bytes file;
  net_weights_add(&weights, "stem", "kernel", 4, (int[]){1, 1, 3, 2}, -1, 1);
  net_weights_add(&weights, "stem", "bias", 1, (int[]){2}, -1, 1);
  net_weights_add(&weights, "c", "kernel", 4, (int[]){kernel, kernel, 2, 5}, -1, 1);
  net_weights_add(&weights, "c", "depthwise_kernel", 4, (int[]){kernel, kernel, 2, 1}, -1, 1);
  net_weights_add(&weights, "c", "bias", 1, (int[]){depthwise ? 2 : 5}, -1, 1);
  pmn_safetensors *st = open_weights(&weights, &file);
  pmn_graph *graph = pmn_graph_create(st);
  const pmn_program *program = NULL;
  pmn_conv stem = {.name = "stem", .filters = 2, .kernel = 1, .stride = 1, .residual = PMN_NO_TENSOR};
  pmn_conv conv = {.name = "c", .filters = 5, .kernel = kernel, .stride = stride, .residual = PMN_NO_TENSOR};
  pmn_node x = pmn_graph_conv2d(graph, pmn_graph_input(graph, h, w, ones, zeros), &stem);
  x = depthwise ? pmn_graph_depthwise_conv2d(graph, x, &conv) : pmn_graph_conv2d(graph, x, &conv);
  *out = pmn_graph_shape(graph, x);
  check_ok(pmn_graph_finish(graph, x, &program, &err));
  check_ok(pmn_program_check(program, &err));
  assert_int_equal(program->op_count, 2);
  const pmn_op *op = &program->ops[1];
  assert_int_equal(op->kind, depthwise ? PMN_OP_DEPTHWISE_CONV2D : PMN_OP_CONV2D);
  assert_int_equal(op->kernel_h, kernel);
  assert_int_equal(op->kernel_w, kernel);
  assert_int_equal(op->stride_h, stride);
  assert_int_equal(op->stride_w, stride);
  assert_int_equal(program->tensors[op->output].h, out->h);
  assert_int_equal(program->tensors[op->output].w, out->w);
  assert_int_equal(out->c, depthwise ? 2 : 5);
  pad[0] = op->pad_top;
  pad[1] = op->pad_left;
  pmn_graph_destroy(graph);
  pmn_safetensors_destroy(st);
  free(file.bytes);
  net_weights_reset(&weights);
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

/* ---------------------------------------------------------------------------------------- a tiny network, in fp64 --
 */

enum { H = 7, W = 6, STEM = 6, OUT = 4, UNITS = 5 };
static const double epsilon = 1e-3;
static const float scale[3] = {1.0f / 64, 1.0f / 60, 1.0f / 58}, shift[3] = {-2.0f, -1.75f, -2.25f};

static void add_batch_norm(net_weights *weights, const char *layer, int channels) {
  net_weights_add(weights, layer, "gamma", 1, &channels, 0.5f, 1.5f);
  net_weights_add(weights, layer, "beta", 1, &channels, -0.5f, 0.5f);
  net_weights_add(weights, layer, "moving_mean", 1, &channels, -0.5f, 0.5f);
  net_weights_add(weights, layer, "moving_variance", 1, &channels, 0.01f, 2.0f);
}

static void tiny_weights(net_weights *w) {
  net_weights_add(w, "stem", "kernel", 4, (int[]){3, 3, 3, STEM}, -0.5f, 0.5f);
  add_batch_norm(w, "stem_bn", STEM);
  net_weights_add(w, "deep", "depthwise_kernel", 4, (int[]){3, 3, STEM, 1}, -0.5f, 0.5f);
  add_batch_norm(w, "deep_bn", STEM);
  net_weights_add(w, "back", "kernel", 4, (int[]){1, 1, STEM, STEM}, -0.7f, 0.7f);
  add_batch_norm(w, "back_bn", STEM);
  net_weights_add(w, "plain", "kernel", 4, (int[]){3, 3, STEM, OUT}, -0.4f, 0.4f);
  net_weights_add(w, "plain", "bias", 1, (int[]){OUT}, -0.4f, 0.4f);
  net_weights_add(w, "dense", "kernel", 2, (int[]){OUT, UNITS}, -0.7f, 0.7f);
  net_weights_add(w, "dense", "bias", 1, (int[]){UNITS}, -0.7f, 0.7f);
}

static pmn_node tiny_build(pmn_graph *graph, pmn_node *middle) {
  pmn_node x = pmn_graph_input(graph, H, W, scale, shift);
  pmn_conv conv = {.name = "stem",
      .batch_norm = "stem_bn",
      .epsilon = epsilon,
      .filters = STEM,
      .kernel = 3,
      .stride = 2,
      .clamp_max = 6.0f,
      .residual = PMN_NO_TENSOR};
  pmn_node stem = pmn_graph_conv2d(graph, x, &conv);
  conv = (pmn_conv){.name = "deep",
      .batch_norm = "deep_bn",
      .epsilon = epsilon,
      .kernel = 3,
      .stride = 1,
      .clamp_min = -0.25f,
      .clamp_max = 0.5f,
      .residual = PMN_NO_TENSOR};
  x = pmn_graph_depthwise_conv2d(graph, stem, &conv);
  conv = (pmn_conv){.name = "back",
      .batch_norm = "back_bn",
      .epsilon = epsilon,
      .filters = STEM,
      .kernel = 1,
      .stride = 1,
      .residual = stem};
  *middle = x = pmn_graph_conv2d(graph, x, &conv);
  conv = (pmn_conv){.name = "plain", .filters = OUT, .kernel = 3, .stride = 1, .residual = PMN_NO_TENSOR};
  x = pmn_graph_conv2d(graph, x, &conv);
  x = pmn_graph_global_average_pool(graph, x, "pool");
  return pmn_graph_dense(graph, x, "dense", UNITS);
}

/* A tensor in fp64 with a bound on what fp32 may make of each of its values. */
typedef struct layer64 {
  int h, w, c;
  double v[H * W * STEM], bound[H * W * STEM];
} layer64;

/* A convolution as the layers were trained: plain sum, then BatchNorm by its definition or a bias, residual, clamp.
 * Bound: u = FLT_EPSILON / 2 for each rounding of a folded weight, of the folded bias, and of the result, of which
 * there are two with a residual; what was wrong in the input passes through the magnitudes of the weights. */
static layer64 conv64(
    const net_weights *weights, const layer64 *in, const pmn_conv *conv, bool depthwise, const layer64 *residual) {
  const double u = FLT_EPSILON / 2;
  const float *kernel = net_weights_find(weights, conv->name, depthwise ? "depthwise_kernel" : "kernel")->values;
  const float *norm[4] = {NULL}, *bias = NULL;
  static const char *const parts[] = {"gamma", "beta", "moving_mean", "moving_variance"};
  for (int i = 0; i < 4 && conv->batch_norm != NULL; i++) {
    norm[i] = net_weights_find(weights, conv->batch_norm, parts[i])->values;
  }
  if (conv->batch_norm == NULL) bias = net_weights_find(weights, conv->name, "bias")->values;
  int k = conv->kernel, s = conv->stride;
  layer64 out = {.h = (in->h + s - 1) / s, .w = (in->w + s - 1) / s, .c = depthwise ? in->c : conv->filters};
  int pad_h = ((out.h - 1) * s + k - in->h) / 2, pad_w = ((out.w - 1) * s + k - in->w) / 2;
  for (int at = 0; at < out.h * out.w * out.c; at++) {
    int o = at % out.c, x = at / out.c % out.w, y = at / out.c / out.w;
    double factor = bias != NULL ? 1.0 : (double)norm[0][o] / sqrt((double)norm[3][o] + epsilon);
    double term = bias != NULL ? (double)bias[o] : (double)norm[1][o] - (double)norm[2][o] * factor;
    double sum = 0.0, wrong = u * fabs(term);
    for (int tap = 0; tap < k * k; tap++) {
      int iy = y * s + tap / k - pad_h, ix = x * s + tap % k - pad_w;
      if (iy < 0 || iy >= in->h || ix < 0 || ix >= in->w) continue;
      for (int i = depthwise ? o : 0; i < (depthwise ? o + 1 : in->c); i++) {
        double weight = (double)kernel[depthwise ? tap * out.c + o : (tap * in->c + i) * out.c + o];
        int from = (iy * in->w + ix) * in->c + i;
        sum += weight * in->v[from];
        wrong += fabs(weight * factor) * (in->bound[from] + u * fabs(in->v[from]));
      }
    }
    double v = sum * factor + term;
    wrong += u * fabs(v);
    if (residual != NULL) {
      v += residual->v[at];
      wrong += residual->bound[at] + u * fabs(v);
    }
    if (conv->clamp_min != 0.0f || conv->clamp_max != 0.0f) v = fmin(fmax(v, conv->clamp_min), conv->clamp_max);
    out.v[at] = v;
    out.bound[at] = wrong * 1.001; /* products of errors */
  }
  return out;
}

static void tiny_expected(const net_weights *weights, const uint8_t *picture, layer64 *middle, layer64 *last) {
  layer64 in = {.h = H, .w = W, .c = 3};
  for (int i = 0; i < H * W * 3; i++) {
    in.v[i] = picture[i] * (double)scale[i % 3] + (double)shift[i % 3];
    in.bound[i] = FLT_EPSILON / 2 * (fabs(picture[i] * (double)scale[i % 3]) + fabs(in.v[i]));
  }
  pmn_conv conv = {.name = "stem", .batch_norm = "stem_bn", .filters = STEM, .kernel = 3, .stride = 2, .clamp_max = 6};
  layer64 stem = conv64(weights, &in, &conv, false, NULL);
  conv = (pmn_conv){
      .name = "deep", .batch_norm = "deep_bn", .kernel = 3, .stride = 1, .clamp_min = -0.25f, .clamp_max = 0.5f};
  layer64 deep = conv64(weights, &stem, &conv, true, NULL);
  conv = (pmn_conv){.name = "back", .batch_norm = "back_bn", .filters = STEM, .kernel = 1, .stride = 1};
  *middle = conv64(weights, &deep, &conv, false, &stem);
  conv = (pmn_conv){.name = "plain", .filters = OUT, .kernel = 3, .stride = 1};
  layer64 plain = conv64(weights, middle, &conv, false, NULL), pool = {.h = 1, .w = 1, .c = OUT};
  for (int c = 0; c < OUT; c++) {
    for (int p = 0; p < plain.h * plain.w; p++) {
      pool.v[c] += plain.v[p * OUT + c] / (plain.h * plain.w);
      pool.bound[c] += plain.bound[p * OUT + c] / (plain.h * plain.w);
    }
    pool.bound[c] += FLT_EPSILON / 2 * fabs(pool.v[c]);
  }
  conv = (pmn_conv){.name = "dense", .filters = UNITS, .kernel = 1, .stride = 1};
  *last = conv64(weights, &pool, &conv, false, NULL);
}

static double compare64(const float *y, const layer64 *expected) {
  double worst = 0.0;
  for (int i = 0; i < expected->h * expected->w * expected->c; i++) {
    double part = fabs((double)y[i] - expected->v[i]) / expected->bound[i];
    if (!(part <= 1.0)) fail_msg("value %d is %.9g, must be %.9g", i, (double)y[i], expected->v[i]);
    worst = fmax(worst, part);
  }
  return worst;
}

static void test_folding(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  net_weights weights = {.count = 0};
  net_bytes file;
  tiny_weights(&weights);
  pmn_safetensors *st = open_weights(&weights, &file);
  uint8_t picture[H * W * 3];
  for (int i = 0; i < H * W * 3; i++) picture[i] = (uint8_t)(i * 97 % 256);
  layer64 expected[2];
  tiny_expected(&weights, picture, &expected[0], &expected[1]);
  pmn_device_options options = {.index = -1, .threads = 1};
  pmn_device *device = NULL;
  check_ok(pmn_device_open(pmn_backend_find("ref"), &options, &device, &err));
  for (int part = 0; part < 2; part++) { /* cut off after the residual, then whole */
    pmn_graph *graph = pmn_graph_create(st);
    pmn_node middle, last = tiny_build(graph, &middle);
    const pmn_program *program = NULL;
    pmn_network *network = NULL;
    float y[H * W * STEM];
    check_ok(pmn_graph_finish(graph, part == 0 ? middle : last, &program, &err));
    assert_int_equal(program->op_count, part == 0 ? 3 : 6);
    check_ok(pmn_network_create(device, program, 1, &network, &err));
    check_ok(pmn_network_run(network, picture, 1, y, &err));
    print_message("largest error %.3f of its bound\n", compare64(y, &expected[part]));
    pmn_network_destroy(network);
    pmn_graph_destroy(graph);
  }
  pmn_device_close(device);
  pmn_safetensors_destroy(st);
  free(file.bytes);
  net_weights_reset(&weights);
}

/* ------------------------------------------------------------------------------------------------ bad tensors -- */

/* What a tiny network of these weights answers; the error, or success, of any builder must come out here. */
static pmn_status tiny_finish(const net_weights *weights, pmn_err *err) {
  net_bytes file;
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_safetensors *st = open_weights(weights, &file);
  pmn_graph *graph = pmn_graph_create(st);
  const pmn_program *program = NULL;
  pmn_node middle, last = tiny_build(graph, &middle);
  pmn_status status = pmn_graph_finish(graph, last, &program, err);
  pmn_graph_destroy(graph);
  pmn_safetensors_destroy(st);
  free(file.bytes);
  return status;
}

typedef enum fault { MISSING, OTHER_TYPE, OTHER_SHAPE, OTHER_RANK, HOLDS_NAN, HOLDS_INFINITY, FAULT_COUNT } fault;

static void spoil(net_weights *weights, int index, fault kind) {
  net_weight *t = &weights->tensors[index];
  switch (kind) {
  case MISSING:
    strcat(t->name, "_");
    break;
  case OTHER_TYPE: /* the same size, other numbers */
    t->type = "I32";
    break;
  case OTHER_SHAPE: /* as many values, in another order; a vector one shorter */
    if (t->rank > 1 && t->shape[t->rank - 1] != t->shape[0]) {
      int first = t->shape[0];
      t->shape[0] = t->shape[t->rank - 1];
      t->shape[t->rank - 1] = first;
    } else {
      t->count = t->count / (size_t)t->shape[0] * (size_t)(t->shape[0] - 1);
      t->shape[0]--;
    }
    break;
  case OTHER_RANK: /* with one dimension of 1 more, or one less */
    if (t->rank == 4) {
      t->shape[2] *= t->shape[3];
      t->rank = 3;
    } else {
      t->shape[t->rank++] = 1;
    }
    break;
  case HOLDS_NAN:
    t->values[t->count - 1] = NAN;
    break;
  case HOLDS_INFINITY:
    t->values[t->count / 2] = -INFINITY;
    break;
  case FAULT_COUNT:
    break;
  }
}

static void test_bad_tensors(void **state) {
  (void)state;
  static const char *const texts[] = {"is missing", "is not F32 [", "is not F32 [", "is not F32 [", "holds", "holds"};
  pmn_err err;
  for (int index = 0;; index++) {
    net_weights weights = {.count = 0};
    tiny_weights(&weights);
    int count = weights.count;
    check_ok(tiny_finish(&weights, &err));
    net_weights_reset(&weights);
    if (index == count) break;
    for (int kind = 0; kind < FAULT_COUNT; kind++) {
      char name[80];
      tiny_weights(&weights);
      snprintf(name, sizeof name, "tiny.safetensors: tensor %s ", weights.tensors[index].name);
      spoil(&weights, index, (fault)kind);
      check_fails(tiny_finish(&weights, &err), PMN_STATUS_MODEL, texts[kind]);
      if (strncmp(err.message, name, strlen(name)) != 0) fail_msg("%s: %s", name, err.message);
      net_weights_reset(&weights);
    }
  }
}

static void spoil_value(const char *layer, const char *part, float value, const char *text) {
  pmn_err err;
  net_weights weights = {.count = 0};
  tiny_weights(&weights);
  net_weights_find(&weights, layer, part)->values[1] = value;
  if (text == NULL) {
    check_ok(tiny_finish(&weights, &err));
  } else {
    check_fails(tiny_finish(&weights, &err), PMN_STATUS_MODEL, text);
  }
  net_weights_reset(&weights);
}

static void test_bad_batch_norm(void **state) {
  (void)state;
  spoil_value("deep_bn", "moving_variance", 0.0f, NULL);
  spoil_value("deep_bn", "moving_variance", -0.0005f, "deep_bn/moving_variance holds -0.0005 at position 1");
  spoil_value("deep_bn", "moving_variance", -0.001f, "deep_bn/moving_variance holds -0.001 at position 1");
  spoil_value("stem_bn", "moving_variance", -4.0f, "stem_bn/moving_variance holds -4 at position 1");
  /* Finite, but not once they are multiplied: weights, and mean. */
  static const char *const parts[] = {"gamma", "moving_mean"};
  for (int i = 0; i < 2; i++) {
    net_weights weights = {.count = 0};
    pmn_err err;
    tiny_weights(&weights);
    net_weights_find(&weights, "back_bn", "moving_variance")->values[1] = 0.0f;
    net_weights_find(&weights, "back_bn", "moving_mean")->values[1] = 0.0f;
    net_weights_find(&weights, "back_bn", parts[i])->values[1] = FLT_MAX;
    check_fails(tiny_finish(&weights, &err), PMN_STATUS_MODEL, "channel 1 of back times its BatchNorm back_bn is too");
    net_weights_reset(&weights);
  }
}

/* The first error is the one told, whatever comes after it. */
static void test_first_error(void **state) {
  (void)state;
  pmn_err err;
  net_weights weights = {.count = 0};
  tiny_weights(&weights);
  spoil(&weights, 5, MISSING);
  spoil(&weights, 0, HOLDS_NAN);
  spoil(&weights, weights.count - 1, MISSING);
  check_fails(tiny_finish(&weights, &err), PMN_STATUS_MODEL, "stem/kernel holds nan");
  net_weights_reset(&weights);
}

static void test_too_many_layers(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  net_weights weights = {.count = 0};
  net_bytes file;
  net_weights_add(&weights, "x", "kernel", 4, (int[]){1, 1, 3, 3}, -1, 1);
  pmn_safetensors *st = open_weights(&weights, &file);
  for (int layers = 1020; layers <= 1030; layers++) {
    pmn_graph *graph = pmn_graph_create(st);
    pmn_node x = pmn_graph_input(graph, 1, 1, ones, zeros);
    for (int i = 0; i < layers; i++) x = pmn_graph_global_average_pool(graph, x, "pool");
    const pmn_program *program = NULL;
    pmn_status status = pmn_graph_finish(graph, x, &program, &err);
    assert_int_equal(status, layers <= 1023 ? PMN_STATUS_OK : PMN_STATUS_MODEL); /* and the input */
    if (status != PMN_STATUS_OK) assert_non_null(strstr(err.message, "more than 1023 layers"));
    pmn_graph_destroy(graph);
  }
  pmn_safetensors_destroy(st);
  free(file.bytes);
  net_weights_reset(&weights);
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  net_weights weights = {.count = 0};
  net_bytes file;
  tiny_weights(&weights);
  pmn_safetensors *st = open_weights(&weights, &file);
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_mem_fail_after(k);
    pmn_graph *graph = pmn_graph_create(st);
    const pmn_program *program = NULL;
    pmn_node middle;
    if (graph != NULL) status = pmn_graph_finish(graph, tiny_build(graph, &middle), &program, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    if (graph != NULL && status != PMN_STATUS_OK) assert_int_equal(err.status, PMN_STATUS_NO_MEMORY);
    pmn_graph_destroy(graph);
  }
  assert_true(k > 12); /* two for each layer */
  pmn_graph_destroy(NULL);
  pmn_safetensors_destroy(st);
  free(file.bytes);
  net_weights_reset(&weights);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_same_padding),
      cmocka_unit_test(test_same_padding_counted),
      cmocka_unit_test(test_folding),
      cmocka_unit_test(test_bad_tensors),
      cmocka_unit_test(test_bad_batch_norm),
      cmocka_unit_test(test_first_error),
      cmocka_unit_test(test_too_many_layers),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
