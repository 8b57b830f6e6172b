/* test_graph_refusals.c - what builders and finish refuse, each with a message that names the layer: whatever a file
 * that nobody has vouched for may ask for ends here.
 */
#include "graph_check.h"

static pmn_node sigmoid(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, NULL, x, PMN_ACTIVATION_SIGMOID, 0, -INFINITY, INFINITY);
}

/* Layers that must be refused, with what the message must hold. */
static pmn_node no_such_input(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x + 1, pmn_window_square(1, 1), 2);
}
static pmn_node negative_input(pmn_graph *g, pmn_node x) {
  return pmn_graph_softmax(g, "a", -x - 1);
}
static pmn_node second_input(pmn_graph *g, pmn_node x) {
  (void)x;
  return pmn_graph_input(g, "a", &graph_raw);
}
static pmn_node kernel_zero(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, pmn_window_square(0, 1), 2);
}
static pmn_node stride_zero(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, pmn_window_square(1, 0), 2);
}
static pmn_node same_stride_zero(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_same(1, 0, 7, 6);
  return pmn_graph_max_pool(g, "a", x, &window);
}
static pmn_node dilation_negative(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){2, 2, 1, 1, 1, -1, 0, 0, 0, 0}, 2);
}
static pmn_node pad_negative(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){1, 1, 1, 1, 1, 1, 0, -1, 0, 0}, 2);
}
static pmn_node kernel_large(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, pmn_window_square(7, 1), 2);
}
static pmn_node dilation_large(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){2, 2, 1, 1, INT32_MAX, 1, 0, 0, 0, 0}, 2);
}
static pmn_node pads_large(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){1, 1, 1, 1, 1, 1, INT32_MAX, 0, INT32_MAX, 0}, 2);
}
static pmn_node stride_large(pmn_graph *g, pmn_node x) {
  return graph_conv(g, "a", x, (pmn_window){1, 1, INT32_MAX, 1, 1, 1, 0, 0, 0, 0}, 2);
}
static pmn_node no_groups(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  return pmn_graph_conv2d(g, "a", x, &window, 0, 2, graph_zeros(9), graph_zeros(9));
}
static pmn_node groups_in(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  return pmn_graph_conv2d(g, "a", x, &window, 2, 2, graph_zeros(9), graph_zeros(9));
}
static pmn_node groups_out(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  return pmn_graph_conv2d(g, "a", x, &window, 3, 5, graph_zeros(9), graph_zeros(9));
}
static pmn_node filters_negative(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  return pmn_graph_conv2d(g, "a", x, &window, 3, -3, graph_zeros(9), graph_zeros(9));
}
static pmn_node weights_large(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  x = pmn_graph_conv2d(g, NULL, x, &window, 1, 40000, graph_zeros(120000), NULL);
  x = pmn_graph_global_average_pool(g, NULL, x);
  return pmn_graph_conv2d(g, "a", x, &window, 1, 60000, graph_zeros(1), NULL);
}
static pmn_node dense_zero(pmn_graph *g, pmn_node x) {
  return pmn_graph_dense(g, "a", x, 0, graph_zeros(1), graph_zeros(1));
}
static pmn_node dense_large(pmn_graph *g, pmn_node x) {
  return pmn_graph_dense(g, "a", x, INT32_MAX, graph_zeros(1), graph_zeros(1));
}
static pmn_node add_shapes(pmn_graph *g, pmn_node x) {
  return pmn_graph_add(g, "a", x, pmn_graph_global_max_pool(g, NULL, x));
}
static pmn_node multiply_shapes(pmn_graph *g, pmn_node x) {
  return pmn_graph_multiply(g, "a", x, graph_conv(g, NULL, x, pmn_window_square(1, 1), 2));
}
static pmn_node multiply_order(pmn_graph *g, pmn_node x) {
  return pmn_graph_multiply(g, "a", pmn_graph_global_max_pool(g, NULL, x), x);
}
static pmn_node clamp_crossed(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_NONE, 0, 1, 0);
}
static pmn_node clamp_nan(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_NONE, 0, NAN, 0);
}
static pmn_node alpha_nan(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_ELU, NAN, -INFINITY, INFINITY);
}
static pmn_node activation_unknown(pmn_graph *g, pmn_node x) {
  return pmn_graph_activation(g, "a", x, PMN_ACTIVATION_COUNT, 0, -INFINITY, INFINITY);
}
static pmn_node pool_in_padding(pmn_graph *g, pmn_node x) {
  return pmn_graph_max_pool(g, "a", x, &(pmn_window){2, 2, 1, 1, 1, 1, 0, 0, 0, 2});
}
static pmn_node pool_between(pmn_graph *g, pmn_node x) {
  /* Its two lines lie on either side of the picture. */
  return pmn_graph_max_pool(g, "a", x, &(pmn_window){2, 2, 1, 1, 9, 1, 1, 0, 2, 0});
}
static pmn_node average_dilated(pmn_graph *g, pmn_node x) {
  return pmn_graph_average_pool(g, "a", x, &(pmn_window){2, 2, 1, 1, 2, 1, 0, 0, 0, 0}, NULL);
}
static pmn_node average_counted(pmn_graph *g, pmn_node x) {
  return pmn_graph_average_pool(
      g, "a", x, &(pmn_window){2, 2, 1, 1, 1, 1, 0, 0, 0, 0}, &(pmn_window){2, 2, 1, 1, 1, 1, 0, 0, 1, 0});
}
static pmn_node crop_all(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, -3, 0, -4, 0);
}
static pmn_node crop_most(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, INT32_MIN, 0, 0, 0);
}
static pmn_node crop_much(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, -INT32_MAX, 0, -INT32_MAX, 0);
}
static pmn_node pad_large(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, INT32_MAX, 0, INT32_MAX, 0);
}
static pmn_node pad_product(pmn_graph *g, pmn_node x) {
  return pmn_graph_pad(g, "a", x, 50000, 50000, 0, 0);
}
static pmn_node concat_none(pmn_graph *g, pmn_node x) {
  return pmn_graph_concat(g, "a", &x, 0);
}
static pmn_node concat_heights(pmn_graph *g, pmn_node x) {
  return pmn_graph_concat(g, "a", (pmn_node[]){x, pmn_graph_pad(g, NULL, x, 1, 0, 0, 0)}, 2);
}
static pmn_node concat_unknown(pmn_graph *g, pmn_node x) {
  return pmn_graph_concat(g, "a", (pmn_node[]){x, x + 1}, 2);
}
static pmn_node copy_none(pmn_graph *g, pmn_node x) {
  return pmn_graph_copy(g, "a", x, (pmn_tensor){.h = 1, .w = 1, .c = 1}, NULL, 0);
}
static pmn_node copy_shape(pmn_graph *g, pmn_node x) {
  pmn_copy all = {.extent = {1, 1, 126}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  return pmn_graph_copy(g, "a", x, (pmn_tensor){.h = 1, .w = 0, .c = 126}, &all, 1);
}
static pmn_node copy_outside(pmn_graph *g, pmn_node x) {
  pmn_copy all = {.extent = {1, 1, 126}, .in_first = 1, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  return pmn_graph_copy(g, "a", x, (pmn_tensor){.h = 1, .w = 1, .c = 126}, &all, 1);
}
static pmn_node copy_holes(pmn_graph *g, pmn_node x) {
  pmn_copy all = {.extent = {1, 1, 126}, .in_stride = {0, 0, 1}, .out_stride = {0, 0, 1}};
  return pmn_graph_softmax(g, "b", pmn_graph_copy(g, "a", x, (pmn_tensor){.h = 1, .w = 1, .c = 127}, &all, 1));
}
static pmn_node lrn_size(pmn_graph *g, pmn_node x) {
  return pmn_graph_lrn(g, "a", x, 0, 1, 1, 1);
}
static pmn_node norm_epsilon(pmn_graph *g, pmn_node x) {
  return pmn_graph_layer_norm(g, "a", x, -1, graph_zeros(3), graph_zeros(3));
}
static pmn_node resize_zero(pmn_graph *g, pmn_node x) {
  return pmn_graph_resize(g, "a", x, 0, 1, graph_zeros(9));
}
static pmn_node resize_outside(pmn_graph *g, pmn_node x) {
  float *taps = graph_zeros(9);
  taps[1] = 7;
  return pmn_graph_resize(g, "a", x, 1, 2, taps);
}
static pmn_node weight_nan(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  float *weights = graph_zeros(6);
  weights[4] = NAN;
  return pmn_graph_conv2d(g, "a", x, &window, 1, 2, weights, NULL);
}
static pmn_node bias_infinite(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  float *bias = graph_zeros(2);
  bias[1] = -INFINITY;
  return pmn_graph_conv2d(g, "a", x, &window, 1, 2, graph_zeros(6), bias);
}
static pmn_node product_infinite(pmn_graph *g, pmn_node x) {
  pmn_window window = pmn_window_square(1, 1);
  float *weights = graph_zeros(6);
  weights[5] = 1e30f;
  x = pmn_graph_conv2d(g, "a", x, &window, 1, 2, weights, NULL);
  return pmn_graph_affine(g, "b", x, graph_doubles(2, 1e30), graph_doubles(2, 0));
}
static pmn_node affine_large(pmn_graph *g, pmn_node x) {
  return pmn_graph_affine(g, "a", sigmoid(g, x), graph_doubles(3, 1), graph_doubles(3, 1e300));
}
static pmn_node input_large(pmn_graph *g, pmn_node x) {
  return pmn_graph_affine(g, "a", x, graph_doubles(3, 1e300), graph_doubles(3, 0));
}
static pmn_node gain_nan(pmn_graph *g, pmn_node x) {
  float *gain = graph_zeros(3);
  gain[0] = NAN;
  return pmn_graph_layer_norm(g, "a", x, 1, gain, graph_zeros(3));
}

static const struct {
  const char *what;
  pmn_node (*build)(pmn_graph *graph, pmn_node x);
  const char *message; /* after "tiny.onnx: " */
} refusals[] = {
    {"no_such_input", no_such_input, "layer a: reads layer 1 of 1"},
    {"negative_input", negative_input, "layer a: reads layer -1 of 1"},
    {"second_input", second_input, "layer a: is not the first"},
    {"kernel_zero", kernel_zero, "layer a: kernel 0 x 0"},
    {"stride_zero", stride_zero, "layer a: kernel 1 x 1, stride 0 x 0"},
    {"same_stride_zero", same_stride_zero, "layer a: kernel 1 x 1, stride 0 x 0"},
    {"dilation_negative", dilation_negative, "layer a: kernel 2 x 2, stride 1 x 1, dilation 1 x -1"},
    {"pad_negative", pad_negative, "padding 0, -1, 0, 0 do not fit"},
    {"kernel_large", kernel_large, "layer a: kernel 7 x 7"},
    {"dilation_large", dilation_large, "do not fit a picture of 7 x 6"},
    {"pads_large", pads_large, "do not fit a picture of 7 x 6"},
    {"stride_large", stride_large, "do not fit a picture of 7 x 6"},
    {"no_groups", no_groups, "layer a: 0 groups do not divide"},
    {"groups_in", groups_in, "layer a: 2 groups do not divide 3 channels in and 2 out"},
    {"groups_out", groups_out, "layer a: 3 groups do not divide 3 channels in and 5 out"},
    {"filters_negative", filters_negative, "layer a: 3 groups do not divide 3 channels in and -3 out"},
    {"weights_large", weights_large, "layer a: 1 x 1 taps, 40000 channels in and 60000 out make 2^31 weights"},
    {"dense_zero", dense_zero, "layer a: gives 1 x 1 x 0 values"},
    {"dense_large", dense_large, "layer a: 1 x 1 taps, 126 channels in and 2147483647 out"},
    {"add_shapes", add_shapes, "layer a: 7 x 6 x 3 plus 1 x 1 x 3"},
    {"multiply_shapes", multiply_shapes, "layer a: 7 x 6 x 3 times 7 x 6 x 2"},
    {"multiply_order", multiply_order, "layer a: 1 x 1 x 3 times 7 x 6 x 3"},
    {"clamp_crossed", clamp_crossed, "layer a: an activation with alpha 0 and values from 1 to 0"},
    {"clamp_nan", clamp_nan, "layer a: an activation with"},
    {"alpha_nan", alpha_nan, "layer a: an activation with"},
    {"activation_unknown", activation_unknown, "layer a: an activation with"},
    {"pool_in_padding", pool_in_padding, "layer a: a window of the pool lies in the padding"},
    {"pool_between", pool_between, "layer a: a window of the pool lies in the padding"},
    {"average_dilated", average_dilated, "layer a: an average pool with dilation 2 x 1"},
    {"average_counted", average_counted, "layer a: counts padding of 0, 0, 1, 0"},
    {"crop_all", crop_all, "layer a: gives 0 x 6 x 3 values"},
    {"crop_most", crop_most, "layer a: crops 2^31"},
    {"crop_much", crop_much, "layer a: gives 0 x 6 x 3 values"},
    {"pad_large", pad_large, "layer a: kernel 1 x 1"},
    {"pad_product", pad_product, "layer a: gives 50007 x 50006 x 3 values"},
    {"concat_none", concat_none, "layer a: reads layer -1 of 1"},
    {"concat_heights", concat_heights, "layer a: 7 x 6 x 3 beside 8 x 6 x 3"},
    {"concat_unknown", concat_unknown, "layer a: reads layer 1 of 1"},
    {"copy_none", copy_none, "layer a: 0 copies"},
    {"copy_shape", copy_shape, "layer a: gives 1 x 0 x 126 values"},
    {"copy_outside", copy_outside, "a copies from outside its input"},
    {"copy_holes", copy_holes, "b reads tensor"},
    {"lrn_size", lrn_size, "a: normalises over 0 channels"},
    {"norm_epsilon", norm_epsilon, "a: epsilon -1"},
    {"resize_zero", resize_zero, "layer a: gives 0 x 1 x 3 values"},
    {"resize_outside", resize_outside, "a: output line 0 takes lines 0 and 7 of 7"},
    {"weight_nan", weight_nan, "layer a: weight 4 is nan"},
    {"bias_infinite", bias_infinite, "layer a: bias 1 is -inf"},
    {"product_infinite", product_infinite, "layer a: weight 5 is inf once its factors are multiplied in"},
    {"affine_large", affine_large, "layer a: bias 0 is inf once"},
    {"input_large", input_large, "channel 0 of the input becomes byte * 1e+300 + 0"},
    {"gain_nan", gain_nan, "layer a: weight 0 is nan"},
};

static void test_refusals(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    pmn_err err = PMN_ERR_INIT;
    const pmn_program *program = NULL;
    pmn_graph *graph = graph_start();
    pmn_node x = refusals[i].build(graph, 0);
    if (pmn_graph_failed(graph)) assert_int_equal(x, 0);
    pmn_status status = pmn_graph_finish(graph, &x, 1, &program, &err);
    if (status != PMN_STATUS_MODEL || err.status != status || strncmp(err.message, "tiny.onnx: ", 11) != 0 ||
        strstr(err.message, refusals[i].message) == NULL)
      fail_msg("%s: status %d, message \"%s\"", refusals[i].what, (int)status, err.message);
    assert_null(program);
    pmn_graph_destroy(graph);
  }
}

static void test_input_sizes(void **state) {
  (void)state;
  static const int32_t sizes[][2] = {{0, 5}, {5, -1}, {INT32_MAX, 1}, {30000, 30000}};
  for (int i = 0; i < 4; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_preprocess preprocess = graph_sized(sizes[i][0], sizes[i][1]);
    pmn_graph *graph = pmn_graph_create("sizes");
    pmn_node x = pmn_graph_input(graph, "input", &preprocess);
    const pmn_program *program = NULL;
    check_fails(pmn_graph_finish(graph, &x, 1, &program, &err), PMN_STATUS_MODEL, "sizes: layer input: gives ");
    pmn_graph_destroy(graph);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_input_sizes),
  };
  return cmocka_run_group_tests_name("graph_refusals", tests, NULL, NULL);
}
