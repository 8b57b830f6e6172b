/* test_fold_activations.c - activations and gates that fold, and those that must not; as test_fold.c. */
#include "fold_check.h"

static pmn_node clamp_clamp(net *n, pmn_node x) {
  return clamp(n, clamp(n, conv(n, x, 3), -1, 9), 2, 5);
}
static pmn_node clamp_clamp_apart(net *n, pmn_node x) {
  pmn_node a = clamp(n, clamp(n, conv(n, x, 3), 6, 9), 2, 5);
  return add(n, a, conv(n, x, 3));
}
static pmn_node clamp_clamp_above(net *n, pmn_node x) {
  pmn_node a = clamp(n, clamp(n, conv(n, x, 3), -1, 1), 2, 5);
  return add(n, a, conv(n, x, 3));
}
static pmn_node leaky_clamp(net *n, pmn_node x) {
  return clamp(n, activate(n, conv(n, x, 3), PMN_ACTIVATION_LEAKY_RELU), -1, 4);
}
static pmn_node clamp_leaky(net *n, pmn_node x) {
  return activate(n, clamp(n, conv(n, x, 3), -1, 4), PMN_ACTIVATION_LEAKY_RELU);
}
static pmn_node leaky_leaky(net *n, pmn_node x) {
  pmn_node a = activate(n, conv(n, x, 3), PMN_ACTIVATION_LEAKY_RELU);
  return activate(n, a, PMN_ACTIVATION_LEAKY_RELU);
}
static pmn_node pools_relu(net *n, pmn_node x) {
  pmn_node a = clamp(n, max_pool(n, conv(n, x, 1)), -2, 2);
  return clamp(n, mean(n, clamp(n, average_pool(n, a), -1, 1)), -0.5f, 0.5f);
}
static pmn_node others_relu(net *n, pmn_node x) {
  float *taps = pmn_alloc(2 * H + 2 * W, 3 * sizeof *taps);
  for (int i = 0; i < 2 * H + 2 * W; i++) {
    int line = (i < 2 * H ? i : i - 2 * H) / 2;
    taps[3 * i] = taps[3 * i + 1] = (float)line;
    taps[3 * i + 2] = 0;
  }
  pmn_node a = clamp(n, pmn_graph_resize(n->graph, NULL, conv(n, x, 1), 2 * H, 2 * W, taps), -1, 9);
  a = clamp(n, multiply(n, a, a), 1, 9);
  a = clamp(n, pmn_graph_lrn(n->graph, NULL, a, 3, 0.5f, 0.5f, 1), 0.25f, 2);
  a = clamp(n, pmn_graph_layer_norm(n->graph, NULL, a, 0.5f, weights(n, C), weights(n, C)), -1, 1);
  return clamp(n, pmn_graph_softmax(n->graph, NULL, a), 0.1f, 0.9f);
}
static pmn_node concat_relu(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1), b = conv_same(n, x);
  return relu(n, pmn_graph_concat(n->graph, NULL, (pmn_node[]){a, b}, 2));
}
static pmn_node input_relu(net *n, pmn_node x) {
  return relu(n, x);
}

static void test_activation(void **state) {
  (void)state;
  check_folds(clamp_clamp, "conv[2,5]");
  check_folds(clamp_clamp_apart, "conv[5,5] conv+");
  check_folds(clamp_clamp_above, "conv[2,2] conv+");
  check_folds(leaky_clamp, "conv:leaky[-1,4]");
  check_folds(pools_relu, "conv max[-2,2] average[-1,1] mean[-0.5,0.5]");
  check_folds(others_relu, "conv resize[-1,9] multiply[1,9] lrn[0.25,2] norm[-1,1] softmax[0.1,0.9]");
}

static void test_activation_stays(void **state) {
  (void)state;
  check_folds(clamp_leaky, "conv[-1,4] depthwise:leaky");
  check_folds(leaky_leaky, "conv:leaky depthwise:leaky");
  check_folds(concat_relu, "conv conv/1,1 copy copy depthwise[0,inf]");
  check_folds(input_relu, "conv depthwise[0,inf]");
}

static pmn_node silu(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, activate(n, a, PMN_ACTIVATION_SIGMOID));
}
static pmn_node silu_swapped(net *n, pmn_node x) {
  pmn_node a = max_pool(n, conv(n, x, 3));
  return multiply(n, activate(n, a, PMN_ACTIVATION_SIGMOID), a);
}
static pmn_node silu_of_concat(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 1), b = conv_same(n, x), c = pmn_graph_concat(n->graph, NULL, (pmn_node[]){a, b}, 2);
  return multiply(n, c, activate(n, c, PMN_ACTIVATION_SIGMOID));
}
static pmn_node silu_of_other(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3), b = conv(n, x, 3);
  return multiply(n, a, activate(n, b, PMN_ACTIVATION_SIGMOID));
}
static pmn_node silu_read_twice(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3), b = activate(n, a, PMN_ACTIVATION_SIGMOID);
  return add(n, multiply(n, a, b), b);
}
static pmn_node silu_scaled(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, activate(n, affine_of(n, a, 2, 0), PMN_ACTIVATION_SIGMOID));
}
static pmn_node silu_clamped(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, clamp(n, activate(n, a, PMN_ACTIVATION_SIGMOID), 0, 0.75f));
}
static pmn_node silu_squeeze(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 3));
  return multiply(n, a, activate(n, mean(n, a), PMN_ACTIVATION_SIGMOID));
}
/* The gate is larger than x, by zeros whose sigmoid is 1/2. */
static pmn_node silu_padded(net *n, pmn_node x) {
  pmn_node a = pmn_graph_global_max_pool(n->graph, NULL, conv(n, x, 1));
  return multiply(n, activate(n, pad(n, a, 1, 1, 0, 1), PMN_ACTIVATION_SIGMOID), a);
}

static const double sixth = (double)(1.0f / 6.0f);

static pmn_node hard_sigmoid(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, clamp(n, affine_of(n, a, sixth, 0.5), 0, 1));
}
/* relu6(x + 3) / 6 * x */
static pmn_node hard_relu6(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, affine_of(n, clamp(n, affine_of(n, a, 1, 3), 0, 6), sixth, 0), a);
}
/* x * relu6(x + 3) / 6 */
static pmn_node hard_product(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return affine_of(n, multiply(n, a, clamp(n, affine_of(n, a, 1, 3), 0, 6)), sixth, 0);
}
static pmn_node hard_fifth(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, clamp(n, affine_of(n, a, 0.25, 0.5), 0, 1));
}
static pmn_node hard_low(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, clamp(n, affine_of(n, a, sixth, 0.5), 0.25f, 1));
}
static pmn_node mish(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3);
  return multiply(n, a, activate(n, activate(n, a, PMN_ACTIVATION_SOFTPLUS), PMN_ACTIVATION_TANH));
}
static pmn_node mish_asked(net *n, pmn_node x) {
  pmn_node a = conv(n, x, 3), b = activate(n, a, PMN_ACTIVATION_SOFTPLUS);
  return add(n, multiply(n, a, activate(n, b, PMN_ACTIVATION_TANH)), b);
}
static pmn_node product_scaled(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 3));
  return affine_of(n, multiply(n, a, dense(n, mean(n, a), C)), 0.5, 0);
}
static pmn_node product_shifted(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 3));
  return affine_of(n, multiply(n, a, conv(n, a, 1)), 0.5, 1);
}
static pmn_node product_affine(net *n, pmn_node x) {
  pmn_node a = relu(n, conv(n, x, 3));
  return scale_only(n, multiply(n, a, conv(n, a, 1)));
}

static void test_gates(void **state) {
  (void)state;
  /* Without folding the gate is rounded, then the product: one rounding more than the activation. With fp32's 1/6 the
   * gate is off by half an epsilon of x / 6, which is at most 1 where it counts; its own rounding, and those of x + 3
   * and of its sixth, add as much each. */
  check_epsilons("silu", silu, "conv:silu", 1);
  check_epsilons("silu_swapped", silu_swapped, "conv max:silu", 1);
  check_epsilons("silu_of_concat", silu_of_concat, "conv conv/1,1 copy copy depthwise:silu", 1);
  check_epsilons("mish", mish, "conv:mish", 2);
  check_epsilons("hard_sigmoid", hard_sigmoid, "conv:hard", 3);
  check_epsilons("hard_relu6", hard_relu6, "conv:hard", 3);
  check_epsilons("hard_product", hard_product, "conv:hard", 3);
  /* The mean is rounded, the scaled weights are exact: two roundings change their place. */
  check_epsilons("product_scaled", product_scaled, "conv[0,inf] mean conv multiply", 2);
}

static void test_gates_stay(void **state) {
  (void)state;
  check_epsilons("silu_of_other", silu_of_other, "conv conv:sigmoid multiply", 0);
  check_epsilons("silu_read_twice", silu_read_twice, "conv depthwise:sigmoid multiply+", 1);
  check_epsilons("silu_scaled", silu_scaled, "conv depthwise:sigmoid multiply", 0);
  check_epsilons("silu_clamped", silu_clamped, "conv depthwise:sigmoid[0,0.75] multiply", 0);
  check_epsilons("silu_squeeze", silu_squeeze, "conv[0,inf] mean:sigmoid multiply", 1);
  check_epsilons("silu_padded", silu_padded, "conv max depthwise/1,1:sigmoid multiply", 0);
  check_epsilons("hard_fifth", hard_fifth, "conv depthwise[0,1] multiply", 0);
  check_epsilons("hard_low", hard_low, "conv depthwise[0.25,1] multiply", 1);
  check_epsilons("mish_asked", mish_asked, "conv depthwise:softplus depthwise:tanh multiply+", 1);
  check_epsilons("product_shifted", product_shifted, "conv[0,inf] conv multiply depthwise", 0);
  check_epsilons("product_affine", product_affine, "conv[0,inf] conv multiply depthwise", 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_activation),
      cmocka_unit_test(test_activation_stays),
      cmocka_unit_test(test_gates),
      cmocka_unit_test(test_gates_stay),
  };
  return cmocka_run_group_tests_name("fold_activations", tests, NULL, NULL);
}
