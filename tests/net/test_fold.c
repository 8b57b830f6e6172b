/* test_fold.c - every rule of folding: that it is applied, that it changes no value, and that it is not applied where
 * it would; and what all rules do together. Those for activations and gates are test_fold_activations.c's.
 */
#include "fold_check.h"
#include "pmn_model.h"

/* --------------------------------------------------------------------------------------------- factors and terms -- */

static pmn_node conv_affine(net *n, pmn_node x) {
  return affine(n, conv_same(n, x));
}
static pmn_node conv_affines(net *n, pmn_node x) {
  return affine(n, affine(n, affine(n, conv(n, x, 3))));
}
static pmn_node depthwise_affine(net *n, pmn_node x) {
  return affine(n, depthwise(n, relu(n, conv(n, x, 1)), pmn_window_same(3, 2, H, W)));
}
static pmn_node groups_affine(net *n, pmn_node x) {
  return affine(n, conv_window(n, relu(n, conv(n, x, 1)), pmn_window_square(3, 1), 2, 6));
}
static pmn_node dense_affine(net *n, pmn_node x) {
  return affine(n, dense(n, relu(n, conv(n, x, 3)), 7));
}
static pmn_node no_bias_affine(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(3, 1);
  return affine(n, pmn_graph_conv2d(n->graph, NULL, x, &window, 1, 5, weights(n, 27 * 5), NULL));
}
static pmn_node relu_affine(net *n, pmn_node x) {
  return affine(n, relu(n, conv(n, x, 3)));
}
static pmn_node relu6_uniform(net *n, pmn_node x) {
  return affine_of(n, clamp(n, conv(n, x, 3), -1, 6), 0.5, 1.0);
}
static pmn_node relu6_negative(net *n, pmn_node x) {
  return affine_of(n, clamp(n, conv(n, x, 3), -1, 6), -0.5, 1.0);
}
static pmn_node leaky_uniform(net *n, pmn_node x) {
  return affine_of(n, activate(n, conv(n, x, 3), PMN_ACTIVATION_LEAKY_RELU), 0.5, 1.0);
}
static pmn_node add_affine(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 1));
  return affine(n, add(n, a, conv_same(n, a)));
}
static pmn_node two_readers_affine(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1);
  pmn_node b = affine(n, a);
  return add(n, b, relu(n, a));
}
static pmn_node pool_affine(net *n, pmn_node x) {
  return affine(n, max_pool(n, conv(n, x, 1)));
}
static pmn_node pad_affine(net *n, pmn_node x) {
  return max_pool(n, affine(n, pad(n, max_pool(n, conv(n, x, 1)), 1, 2, 0, 1)));
}
static pmn_node input_affine(net *n, pmn_node x) {
  return conv_same(n, affine(n, affine(n, x)));
}
static pmn_node input_affine_relu(net *n, pmn_node x) {
  return conv_same(n, relu(n, affine(n, x)));
}
static pmn_node input_affine_twice(net *n, pmn_node x) {
  pmn_node a = conv_same(n, affine(n, x));
  return add(n, a, conv(n, x, 1));
}

/* LayerNorm's numbers are no multiples of powers of 2. Beyond the roundings of the results, of which |gain| <= 2 and
 * |scale| <= 2 and |bias|, |shift| <= 2 allow magnitudes of 12 at sqrt(C) = 2 normalised: gain * scale is exact. */
static pmn_node norm_affine(net *n, pmn_node x) {
  float *gain = weights(n, C), *bias = weights(n, C);
  return affine(n, pmn_graph_layer_norm(n->graph, NULL, conv(n, x, 1), 0.5f, gain, bias));
}

static void test_affine(void **state) {
  (void)state;
  check_folds(conv_affine, "conv/1,1");
  check_folds(conv_affines, "conv");
  check_folds(depthwise_affine, "conv[0,inf] depthwise/0,1");
  check_folds(groups_affine, "conv[0,inf] conv");
  check_folds(dense_affine, "conv[0,inf] copy conv");
  check_folds(no_bias_affine, "conv");
  check_folds(relu6_uniform, "conv[0.5,4]");
  check_folds(add_affine, "conv[0,inf] conv/1,1+ depthwise");
  check_folds(pool_affine, "conv max depthwise");
  check_folds(pad_affine, "conv max depthwise/1,2 max");
  check_folds(input_affine, "conv/1,1");
  check_folds(input_affine_relu, "conv depthwise[0,inf] conv/1,1");
  check_epsilons("norm_affine", norm_affine, "conv norm", 12);
}

static void test_affine_stays(void **state) {
  (void)state;
  check_folds(relu_affine, "conv[0,inf] depthwise");
  check_folds(relu6_negative, "conv[-1,6] depthwise");
  check_folds(leaky_uniform, "conv:leaky depthwise");
  check_folds(two_readers_affine, "conv depthwise[0,inf] depthwise+");
  check_folds(input_affine_twice, "conv depthwise conv/1,1 conv+");
}

/* --------------------------------------------------------------------------------------------- before convolutions --
 */

static pmn_node affine_conv(net *n, pmn_node x) {
  return conv(n, affine(n, max_pool(n, conv(n, x, 1))), 3);
}
static pmn_node affine_groups(net *n, pmn_node x) {
  return conv_window(n, affine(n, max_pool(n, conv(n, x, 1))), pmn_window_square(3, 1), 2, 6);
}
static pmn_node affine_depthwise(net *n, pmn_node x) {
  return affine(n, depthwise(n, affine(n, max_pool(n, conv(n, x, 1))), pmn_window_square(3, 1)));
}
static pmn_node affine_padded(net *n, pmn_node x) {
  return conv_same(n, affine(n, max_pool(n, conv(n, x, 1))));
}
static pmn_node scale_padded(net *n, pmn_node x) {
  return conv_same(n, scale_only(n, max_pool(n, conv(n, x, 1))));
}
/* Padding below and to the right alone. */
static pmn_node affine_padded_after(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(3, 1);
  window.pad_bottom = 1;
  pmn_node a = conv_window(n, affine(n, max_pool(n, conv(n, x, 1))), window, 1, 3);
  window = pmn_window_square(2, 1);
  window.pad_right = 1;
  return conv_window(n, affine(n, max_pool(n, a)), window, 1, 3);
}
/* 4 columns in windows of 2 at stride 2: the padding to the right is never looked at. */
static pmn_node affine_padding_unread(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(2, 2);
  window.pad_right = 1;
  return conv_window(n, affine(n, max_pool(n, conv(n, x, 1))), window, 1, 3);
}
static pmn_node affine_relu_conv(net *n, pmn_node x) {
  return conv(n, relu(n, affine(n, max_pool(n, conv(n, x, 1)))), 3);
}
static pmn_node affine_asked_twice(net *n, pmn_node x) {
  pmn_node a = affine(n, max_pool(n, conv(n, x, 1)));
  return add(n, conv(n, a, 1), a);
}
static pmn_node pad_conv(net *n, pmn_node x) {
  return conv(n, pad(n, relu(n, conv(n, x, 1)), 1, 2, 3, 0), 3);
}
static pmn_node pad_input(net *n, pmn_node x) {
  return conv_window(n, pad(n, x, 3, 3, 3, 3), pmn_window_square(4, 2), 1, C);
}
static pmn_node pad_beyond_kernel(net *n, pmn_node x) {
  return conv(n, pad(n, relu(n, conv(n, x, 1)), 5, 4, 7, 6), 2);
}
static pmn_node pad_pad_same(net *n, pmn_node x) {
  return conv_same(n, pad(n, pad(n, relu(n, conv(n, x, 1)), 1, 0, 0, 0), 0, 2, 1, 0));
}
static pmn_node pad_depthwise(net *n, pmn_node x) {
  return depthwise(n, pad(n, relu(n, conv(n, x, 1)), 0, 0, 1, 1), pmn_window_square(3, 2));
}
static pmn_node pad_affine_conv(net *n, pmn_node x) {
  return conv(n, affine(n, pad(n, max_pool(n, conv(n, x, 1)), 1, 1, 1, 1)), 3);
}
static pmn_node pad_scale_conv(net *n, pmn_node x) {
  return conv(n, scale_only(n, pad(n, max_pool(n, conv(n, x, 1)), 1, 1, 1, 1)), 3);
}
/* Reading through the padding would bring it inside the factors and terms. */
static pmn_node affine_pad_conv(net *n, pmn_node x) {
  return conv(n, pad(n, affine(n, max_pool(n, conv(n, x, 1))), 1, 1, 1, 1), 3);
}
static pmn_node scale_pad_conv(net *n, pmn_node x) {
  return conv(n, pad(n, scale_only(n, max_pool(n, conv(n, x, 1))), 1, 1, 1, 1), 3);
}
static pmn_node scale_pad_scale_conv(net *n, pmn_node x) {
  return conv(n, scale_only(n, pad(n, scale_only(n, max_pool(n, conv(n, x, 1))), 1, 1, 1, 1)), 3);
}
static pmn_node affine_pad_scale_conv(net *n, pmn_node x) {
  return conv(n, scale_only(n, pad(n, affine(n, max_pool(n, conv(n, x, 1))), 1, 1, 1, 1)), 3);
}
static pmn_node pad_relu_conv(net *n, pmn_node x) {
  return conv(n, clamp(n, pad(n, max_pool(n, conv(n, x, 1)), 1, 1, 1, 1), 1, 6), 3);
}
static pmn_node pad_twice_read(net *n, pmn_node x) {
  pmn_node a = pad(n, max_pool(n, conv(n, x, 1)), 1, 1, 1, 1);
  pmn_node b = conv(n, a, 3);
  return add(n, b, max_pool(n, max_pool(n, a)));
}

static void test_before_convolution(void **state) {
  (void)state;
  check_folds(affine_conv, "conv max conv");
  check_folds(affine_groups, "conv max conv");
  check_folds(affine_depthwise, "conv max depthwise");
  check_folds(scale_padded, "conv max conv/1,1");
  check_folds(affine_padding_unread, "conv max conv");
  check_folds(pad_conv, "conv[0,inf] conv/1,2");
  check_folds(pad_input, "conv/3,3");
  check_folds(pad_beyond_kernel, "conv[0,inf] conv/5,4");
  check_folds(pad_pad_same, "conv[0,inf] conv/2,3");
  check_folds(pad_depthwise, "conv[0,inf] depthwise");
  check_folds(pad_scale_conv, "conv max conv/1,1");
  check_folds(scale_pad_conv, "conv max conv/1,1");
  check_folds(scale_pad_scale_conv, "conv max conv/1,1");
}

static void test_before_convolution_stays(void **state) {
  (void)state;
  check_folds(affine_padded, "conv max depthwise conv/1,1");
  check_folds(affine_padded_after, "conv max depthwise conv max depthwise conv");
  check_folds(affine_relu_conv, "conv max depthwise[0,inf] conv");
  check_folds(affine_asked_twice, "conv max depthwise conv+");
  check_folds(pad_affine_conv, "conv max depthwise/1,1 conv");
  check_folds(affine_pad_conv, "conv max depthwise conv/1,1");
  check_folds(affine_pad_scale_conv, "conv max depthwise conv/1,1");
  check_folds(pad_relu_conv, "conv max depthwise/1,1[1,6] conv");
  check_folds(pad_twice_read, "conv max depthwise/1,1 max max conv+");
}

/* -------------------------------------------------------------------------------------------------------- pools -- */

static pmn_node relu_pad_max(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(3, 2);
  return pmn_graph_max_pool(n->graph, NULL, pad(n, relu(n, conv(n, x, 1)), 1, 1, 1, 1), &window);
}
static pmn_node sigmoid_pad_max(net *n, pmn_node x) {
  return max_pool(n, pad(n, activate(n, conv(n, x, 1), PMN_ACTIVATION_SIGMOID), 1, 0, 0, 1));
}
/* A concatenation of pools of what is not negative is not negative. */
static pmn_node concat_pad_max(net *n, pmn_node x) {
  pmn_node a = max_pool(n, relu(n, conv(n, x, 1))), b = average_pool(n, clamp(n, conv(n, x, 1), 1, 2));
  return max_pool(n, pad(n, pmn_graph_concat(n->graph, NULL, (pmn_node[]){a, b}, 2), 1, 0, 0, 1));
}
static pmn_node linear_pad_max(net *n, pmn_node x) {
  return max_pool(n, pad(n, conv(n, x, 1), 1, 0, 0, 1));
}
static pmn_node negative_pad_max(net *n, pmn_node x) {
  return max_pool(n, pad(n, clamp(n, conv(n, x, 1), -3, -1), 1, 0, 0, 1));
}
static pmn_node scaled_pad_max(net *n, pmn_node x) {
  return max_pool(n, pad(n, affine(n, relu(n, conv(n, x, 1))), 1, 0, 0, 1));
}
static pmn_node concat_negative_pad_max(net *n, pmn_node x) {
  pmn_node a = max_pool(n, relu(n, conv(n, x, 1))), b = max_pool(n, clamp(n, conv(n, x, 1), -2, 2));
  return max_pool(n, pad(n, pmn_graph_concat(n->graph, NULL, (pmn_node[]){a, b}, 2), 1, 0, 0, 1));
}
/* A window would lie in the padding altogether. */
static pmn_node wide_pad_max(net *n, pmn_node x) {
  return max_pool(n, pad(n, relu(n, conv(n, x, 1)), 0, 0, 2, 0));
}
static pmn_node pad_average(net *n, pmn_node x) {
  return average_pool(n, pad(n, relu(n, conv(n, x, 1)), 1, 0, 0, 1));
}
static pmn_node pad_average_counted(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(4, 1);
  window.pad_top = window.pad_right = 1;
  return pmn_graph_average_pool(n->graph, NULL, pad(n, conv(n, x, 1), 1, 1, 0, 1), &window, &window);
}
/* Windows hang over the padded picture, whose pixels alone count: sums of 16 or 8 pixels. */
static pmn_node pad_average_overhang(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(4, 4);
  window.pad_bottom = 1, window.pad_right = 2;
  return pmn_graph_average_pool(n->graph, NULL, pad(n, conv(n, x, 1), 1, 1, 0, 0), &window, NULL);
}
static pmn_node pad_average_own(net *n, pmn_node x) {
  pmn_window window = pmn_window_square(2, 1);
  window.pad_top = 1;
  return pmn_graph_average_pool(n->graph, NULL, pad(n, conv(n, x, 1), 0, 1, 0, 0), &window, NULL);
}
static pmn_node average_whole(net *n, pmn_node x) {
  pmn_window halves = pmn_window_square(3, 1), window = pmn_window_square(1, 1);
  window.kernel_h = 4, window.kernel_w = 2;
  halves.kernel_w = 4;
  return pmn_graph_average_pool(n->graph, NULL, conv_window(n, x, halves, 1, C), &window, NULL);
}
static pmn_node average_whole_counted(net *n, pmn_node x) {
  pmn_window halves = pmn_window_square(3, 1), window = pmn_window_square(1, 1);
  window.kernel_h = 4, window.kernel_w = 2, window.pad_bottom = 4;
  window.stride_h = 8;
  halves.kernel_w = 4;
  return pmn_graph_average_pool(n->graph, NULL, conv_window(n, x, halves, 1, C), &window, &window);
}

static void test_pools(void **state) {
  (void)state;
  check_folds(relu_pad_max, "conv[0,inf] max/1,1");
  check_folds(sigmoid_pad_max, "conv:sigmoid max/1,0");
  check_folds(concat_pad_max, "conv[0,inf] max conv[1,2] average copy copy max/1,0");
  check_folds(pad_average, "conv[0,inf] average/1,0#0,1");
  check_folds(pad_average_counted, "conv average/2,1#0,2");
  check_folds(pad_average_overhang, "conv average/1,1#0,0");
  check_folds(average_whole, "conv mean");
}

static void test_pools_stay(void **state) {
  (void)state;
  check_folds(linear_pad_max, "conv depthwise/1,0 max");
  check_folds(negative_pad_max, "conv[-3,-1] depthwise/1,0 max");
  check_folds(scaled_pad_max, "conv[0,inf] depthwise depthwise/1,0 max");
  check_folds(concat_negative_pad_max, "conv[0,inf] max conv[-2,2] max copy copy depthwise/1,0 max");
  check_folds(wide_pad_max, "conv[0,inf] depthwise max");
  check_folds(pad_average_own, "conv depthwise/0,1 average/1,0");
  check_folds(average_whole_counted, "conv average#4,0");
}

/* ---------------------------------------------------------------------------------------------------- additions -- */

static pmn_node add_conv_later(net *n, pmn_node x) {
  pmn_node a = max_pool(n, conv(n, x, 1));
  return relu(n, add(n, conv_same(n, a), a));
}
static pmn_node add_conv_earlier(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 1)), b = conv(n, a, 2);
  return add(n, b, max_pool(n, a));
}
/* Both could: the later does. */
static pmn_node add_convs(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1), b = affine(n, conv_same(n, x));
  return clamp(n, add(n, a, b), -4, 4);
}
static pmn_node add_pools(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1);
  pmn_node b = max_pool(n, a);
  return relu(n, add(n, b, average_pool(n, a)));
}
static pmn_node add_affine_alone(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1);
  pmn_node b = affine(n, max_pool(n, a));
  return relu(n, add(n, b, average_pool(n, a)));
}
static pmn_node add_multiply(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 1));
  pmn_node b = dense(n, pmn_graph_global_max_pool(n->graph, NULL, a), C);
  return add(n, multiply(n, a, b), a);
}
static pmn_node add_self(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1);
  return add(n, a, a);
}
static pmn_node add_three(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1), b = conv(n, x, 1), c = conv_same(n, x);
  return add(n, add(n, a, b), c);
}
static pmn_node add_activated(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 1));
  return add(n, a, relu(n, conv_same(n, x)));
}
static pmn_node add_input(net *n, pmn_node x) {
  return add(n, conv_window(n, x, pmn_window_same(3, 1, H, W), 1, 3), x);
}

static void test_add(void **state) {
  (void)state;
  check_folds(add_conv_later, "conv max conv/1,1+[0,inf]");
  check_folds(add_conv_earlier, "conv[0,inf] max conv+");
  check_folds(add_convs, "conv conv/1,1+[-4,4]");
  check_folds(add_affine_alone, "conv max average depthwise+[0,inf]");
  check_folds(add_three, "conv conv+ conv/1,1+");
  check_folds(add_input, "conv conv/1,1+");
  check_folds(add_multiply, "conv[0,inf] max conv multiply+");
}

static void test_add_stays(void **state) {
  (void)state;
  check_folds(add_pools, "conv max average depthwise+[0,inf]");
  check_folds(add_self, "conv depthwise+");
  check_folds(add_activated, "conv[0,inf] conv/1,1[0,inf] depthwise+");
}

/* ------------------------------------------------------------------------------------------------ whole networks -- */

static void check_zoo(const char *name, const char *expected) {
  pmn_err err = PMN_ERR_INIT;
  const pmn_architecture *architecture = pmn_architecture_find(name);
  assert_non_null(architecture);
  pmn_preprocess preprocess = *pmn_preprocess_find(architecture->preprocess);
  preprocess.width = preprocess.height = architecture->size;
  pmn_layers layers = {.graph = pmn_graph_create(name)}; /* weights of zero */
  architecture->build(&layers, &preprocess, false);
  pmn_node features = pmn_graph_find(layers.graph, architecture->features);
  const pmn_program *program = NULL;
  check_ok(pmn_graph_finish(layers.graph, &features, 1, &program, &err));
  if (strcmp(graph_describe(program), expected) != 0) fail_msg("%s: %s", name, graph_describe(program));
  pmn_graph_destroy(layers.graph);
}

/* Nothing is left of BatchNorm, activations, additions and paddings; expansion, depthwise convolution and projection of
 * an inverted residual follow each other, which is what lets the cpu backend run them as one. */
static void test_zoo(void **state) {
  (void)state;
  static const int repeats[] = {2, 3, 4, 3, 3, 1}, strides[] = {2, 2, 2, 1, 2, 1};
  char text[4096] = "conv[0,6] depthwise/1,1[0,6] conv";
  for (int stage = 0; stage < 6; stage++) {
    for (int i = 0; i < repeats[stage]; i++) {
      graph_text_add(text, sizeof text, " conv[0,6] depthwise%s[0,6] conv%s",
          i == 0 && strides[stage] == 2 ? "" : "/1,1", i > 0 ? "+" : "");
    }
  }
  graph_text_add(text, sizeof text, " conv[0,6]");
  check_zoo("mobilenet_v2", text);

  static const int blocks[] = {3, 4, 6, 3};
  strcpy(text, "conv/3,3[0,inf] max/1,1");
  for (int stage = 0; stage < 4; stage++) {
    for (int i = 0; i < blocks[stage]; i++) {
      graph_text_add(text, sizeof text, " conv[0,inf] conv/1,1[0,inf] conv%s+[0,inf]", i == 0 ? " conv" : "");
    }
  }
  check_zoo("resnet50", text);
}

/* ---------------------------------------------------------------------------------------------------- any network --
 */

/* A layer of a random kind that reads random earlier layers; 0 if its shapes do not fit. Numbers stay multiples of
 * 1/2^k, k counting what can divide. */
static pmn_node random_layer(net *n, pmn_node count) {
  pmn_node a = count - 1 - graph_random(&n->random) % (count < 4 ? count : 4);
  pmn_node b = count - 1 - graph_random(&n->random) % (count < 6 ? count : 6);
  pmn_tensor x = pmn_graph_shape(n->graph, a), y = pmn_graph_shape(n->graph, b);
  int32_t p[4];
  for (int i = 0; i < 4; i++) p[i] = graph_random(&n->random) % 3;
  bool small = x.h < 3 || x.w < 3, same = x.h == y.h && x.w == y.w && x.c == y.c;
  switch (graph_random(&n->random) % 16) {
  case 0:
    return conv(n, a, 1);
  case 1:
    return small ? 0 : conv(n, a, 2);
  case 2:
    return conv_same(n, a);
  case 3:
    return depthwise(n, a, pmn_window_same(3, 1 + p[0] % 2, x.h, x.w));
  case 4:
    return affine(n, a);
  case 5:
    return scale_only(n, a);
  case 6:
    return affine_of(n, a, p[0] < 2 ? 0.5 : -1, p[1]);
  case 7:
    return relu(n, a);
  case 8:
    return clamp(n, a, (float)(p[0] - 2), (float)p[1]);
  case 9:
    return activate(n, a, PMN_ACTIVATION_LEAKY_RELU);
  case 10:
    return x.h + x.w > 12 ? 0 : pad(n, a, p[0], p[1], p[2], p[3]);
  case 11:
    return small ? 0 : max_pool(n, a);
  case 12:
    return small ? 0 : average_pool(n, a);
  case 13:
    return same && p[0] > 0 ? multiply(n, clamp(n, a, -2, 2), b) : 0;
  case 14:
    return x.h == y.h && x.w == y.w && x.c + y.c < 12 ? pmn_graph_concat(n->graph, NULL, (pmn_node[]){a, b}, 2) : 0;
  default:
    return same ? add(n, a, b) : 0;
  }
}

enum { RANDOM_LAYERS = 14, RANDOM_ASKED = 2 };

static int32_t random_net(net *n, uint64_t seed) {
  static const pmn_preprocess raw = {.width = W, .height = H, .scale = {1, 1, 1}, .shift = {-1, 0, 1}, .bgr = true};
  *n = (net){.graph = pmn_graph_create("random"), .random = seed * 2654435761u + 1};
  pmn_node last = pmn_graph_input(n->graph, "input", &raw);
  while (last < RANDOM_LAYERS) {
    pmn_node layer = random_layer(n, last + 1);
    if (layer > last) last = layer;
    assert_false(pmn_graph_failed(n->graph));
  }
  return last + 1;
}

/* What the rules do to each other: the values of two layers of a random network, asked for alone and with all layers.
 * Networks whose numbers may have needed more than 24 bits are left out. */
static void test_random(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  int compared = 0, rounds = 3000;
  int64_t unfolded_ops = 0, folded_ops = 0;
  for (int round = 0; round < rounds; round++) {
    net n;
    int32_t count = random_net(&n, (uint64_t)round);
    pmn_node all[RANDOM_LAYERS + 3], asked[RANDOM_ASKED] = {count - 1, round % count};
    size_t start[RANDOM_LAYERS + 4] = {0};
    for (int32_t i = 0; i < count; i++) {
      pmn_tensor shape = pmn_graph_shape(n.graph, i);
      all[i] = i;
      start[i + 1] = start[i] + pmn_tensor_size(&shape);
    }
    const pmn_program *program = NULL;
    check_ok(pmn_graph_finish(n.graph, all, count, &program, &err));
    unfolded_ops += program->op_count - count; /* the copies */
    float *expected = graph_run(program, picture());
    pmn_graph_destroy(n.graph);
    bool exact = true;
    for (size_t i = 0; i < start[count]; i++) {
      double scaled = (double)expected[i] * 256;
      exact = exact && fabs(scaled) < 1 << 20 && scaled == floor(scaled);
    }
    random_net(&n, (uint64_t)round);
    check_ok(pmn_graph_finish(n.graph, asked, RANDOM_ASKED, &program, &err));
    folded_ops += program->op_count - RANDOM_ASKED;
    float *values = graph_run(program, picture()), *value = values;
    for (int k = 0; exact && k < RANDOM_ASKED; k++) {
      for (size_t i = start[asked[k]]; i < start[asked[k] + 1]; i++, value++) {
        if (*value != expected[i]) {
          fail_msg("network %d, layer %d: %.9g, must be %.9g; %s", round, asked[k], (double)*value, (double)expected[i],
              graph_describe(program));
        }
      }
    }
    compared += exact;
    pmn_graph_destroy(n.graph);
    free(values);
    free(expected);
  }
  print_message("%d of %d networks compared; %lld operations became %lld\n", compared, rounds, (long long)unfolded_ops,
      (long long)folded_ops);
  assert_true(compared > rounds / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_affine),
      cmocka_unit_test(test_affine_stays),
      cmocka_unit_test(test_before_convolution),
      cmocka_unit_test(test_before_convolution_stays),
      cmocka_unit_test(test_pools),
      cmocka_unit_test(test_pools_stay),
      cmocka_unit_test(test_add),
      cmocka_unit_test(test_add_stays),
      cmocka_unit_test(test_zoo),
      cmocka_unit_test(test_random),
  };
  return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
