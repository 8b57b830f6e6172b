/* test_perceptron_loss.c - a perceptron's outputs, loss and gradient against scikit-learn's
 * (tests/golden/make_perceptron.py), plain loops and finite differences; its first weights. */
#include "perceptron_cases.h"

#include <cblas.h>
#include <float.h>

/* The loss of one row and its gradient, added to `gradient`, by plain loops. */
static double plain_row(
    const pmn_mlp *net, const double *weights, const double *x, int32_t label, long double *gradient) {
  enum { WIDEST = 70 };
  double a[PMN_HIDDEN_LAYERS_MAX + 2][WIDEST], d[WIDEST], sum = 0.0, loss;
  int32_t layers = net->layer_count;
  size_t at[PMN_HIDDEN_LAYERS_MAX + 1], from = 0;
  memcpy(a[0], x, (size_t)net->widths[0] * sizeof *x);
  for (int32_t l = 0; l < layers; l++) {
    int32_t in = net->widths[l], out = net->widths[l + 1];
    at[l] = from;
    for (int32_t o = 0; o < out; o++) {
      double z = weights[from + (size_t)(in * out + o)];
      for (int32_t i = 0; i < in; i++) z += weights[from + (size_t)(o * in + i)] * a[l][i];
      if (l + 1 < layers) z = net->activation == PMN_HIDDEN_RELU ? fmax(0.0, z) : 1.0 / (1.0 + exp(-z));
      a[l + 1][o] = z;
    }
    from += (size_t)((in + 1) * out);
  }
  for (int32_t c = 0; c < net->widths[layers]; c++) sum += exp(a[layers][c]);
  loss = log(sum) - a[layers][label];
  for (int32_t c = 0; c < net->widths[layers]; c++) d[c] = exp(a[layers][c]) / sum - (c == label);
  for (int32_t l = layers - 1; l >= 0; l--) {
    int32_t in = net->widths[l], out = net->widths[l + 1];
    double before[WIDEST] = {0};
    for (int32_t o = 0; o < out; o++) {
      gradient[at[l] + (size_t)(in * out + o)] += d[o];
      for (int32_t i = 0; i < in; i++) {
        gradient[at[l] + (size_t)(o * in + i)] += d[o] * a[l][i];
        before[i] += d[o] * weights[at[l] + (size_t)(o * in + i)];
      }
    }
    for (int32_t i = 0; i < in; i++)
      d[i] = before[i] * (net->activation == PMN_HIDDEN_RELU ? (a[l][i] > 0.0) : a[l][i] * (1.0 - a[l][i]));
  }
  return loss;
}

/* Every piece and block size there is: rows below a piece, at its border, more than a block in a piece; more weights
 * than are summed at once, and as many layers as can be. */
static void loss_is_that_of_plain_loops(void **state) {
  (void)state;
  static const int64_t sizes[] = {2, 127, 128, 129, 1000, 32 * 256 + 1, 9001};
  static const int32_t widths[][PMN_HIDDEN_LAYERS_MAX + 2] = {
      {3, 5, 4, 3}, {3, 4}, {6, 1, 2}, {70, 60, 3}, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}};
  static const int32_t layers[] = {3, 1, 2, 2, PMN_HIDDEN_LAYERS_MAX + 1};
  enum { SHAPES = sizeof layers / sizeof *layers };
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes * 2 * SHAPES; i++) {
    int64_t n = sizes[i / (2 * SHAPES)];
    size_t shape = i % SHAPES;
    setup s;
    int32_t classes = widths[shape][layers[shape]];
    table t = table_make(n, widths[shape][0], classes, 1.0, i);
    setup_init(
        &s, widths[shape], layers[shape], i % (2 * SHAPES) < SHAPES ? PMN_HIDDEN_SIGMOID : PMN_HIDDEN_RELU, n, 2);
    long double *expected = calloc(s.count, sizeof *expected);
    int64_t *index = malloc((size_t)n * sizeof *index);
    assert_true(expected != NULL && index != NULL);
    /* Once all rows, once every other of them from the last on. */
    for (int gathered = 0; gathered < 2; gathered++) {
      int64_t count = gathered ? n / 2 : n;
      memset(expected, 0, s.count * sizeof *expected);
      long double sum = 0.0;
      for (int64_t r = 0; r < count; r++) {
        index[r] = gathered ? n - 1 - 2 * r : r;
        sum += plain_row(&s.net, s.weights, t.x + index[r] * t.width, t.labels[index[r]], expected);
      }
      pmn_examples rows = {t.x, t.labels, gathered ? index : NULL, count};
      double found = pmn_loss_run(s.loss, s.weights, &rows, 0.0, s.gradient);
      double loss = (double)(sum / count);
      /* A mean of numbers of about 1, each the result of some 10 operations, summed in runs of 300 at most, whose
       * errors are of either sign: sqrt(300) + 10 eps, and something to spare. */
      if (!(fabs(found - loss) <= 64 * DBL_EPSILON * fmax(1.0, loss)))
        fail_msg("%d rows: loss %.17g, not %.17g", (int)count, found, loss);
      for (size_t w = 0; w < s.count; w++) {
        double expects = (double)(expected[w] / count);
        if (!(fabs(s.gradient[w] - expects) <= 64 * DBL_EPSILON))
          fail_msg("%d rows: gradient %zu is %.17g, not %.17g", (int)count, w, s.gradient[w], expects);
      }
      assert_true(pmn_loss_run(s.loss, s.weights, &rows, 0.0, NULL) == found);
    }
    free(expected);
    free(index);
    table_free(&t);
    setup_reset(&s);
  }
}

/* Rows so long that a piece of 100 is several blocks: all but the first columns are 0, and might as well not be there.
 */
static void long_rows_are_cut_smaller(void **state) {
  (void)state;
  enum { LONG = 17000, SHORT = 3, OUT = 4 };
  setup wide, narrow;
  table t = table_make(100, LONG, OUT, 1.0, 6), u = table_make(100, SHORT, OUT, 1.0, 6);
  setup_init(&wide, (int32_t[]){LONG, OUT, OUT}, 2, PMN_HIDDEN_SIGMOID, t.rows, 2);
  setup_init(&narrow, (int32_t[]){SHORT, OUT, OUT}, 2, PMN_HIDDEN_SIGMOID, u.rows, 2);
  assert_true(pmn_block_rows(LONG) < t.rows / 2);
  for (size_t i = 0; i < 100; i++) {
    for (size_t j = 0; j < LONG; j++) t.x[i * LONG + j] = j < SHORT ? u.x[i * SHORT + j] : 0.0;
  }
  for (size_t o = 0; o < OUT; o++) memcpy(wide.weights + o * LONG, narrow.weights + o * SHORT, SHORT * sizeof(double));
  memcpy(wide.weights + OUT * LONG, narrow.weights + OUT * SHORT, OUT * (OUT + 2) * sizeof(double));
  pmn_examples rows = {t.x, t.labels, NULL, t.rows}, narrow_rows = {u.x, u.labels, NULL, u.rows};
  double loss = pmn_loss_run(wide.loss, wide.weights, &rows, 0.0, wide.gradient);
  double expected = pmn_loss_run(narrow.loss, narrow.weights, &narrow_rows, 0.0, narrow.gradient);
  assert_true(fabs(loss - expected) <= 64 * DBL_EPSILON * expected); /* as above */
  for (size_t i = 0; i < wide.count; i++) {
    size_t column = i % LONG, behind = i - OUT * LONG;
    double expects = i >= OUT * LONG  ? narrow.gradient[OUT * SHORT + behind]
                     : column < SHORT ? narrow.gradient[i / LONG * SHORT + column]
                                      : 0.0;
    assert_true(fabs(wide.gradient[i] - expects) <= 64 * DBL_EPSILON);
  }
  setup_reset(&wide);
  setup_reset(&narrow);
  table_free(&t);
  table_free(&u);
}

/* Central differences D(h) = f' + h^2 / 6 f''' + ..: what D(2h) differs from D(h) is thrice D(h)'s error, and the
 * loss's own rounding, some 32 eps, is divided by h. */
static void gradient_is_that_of_differences(void **state) {
  (void)state;
  static const int32_t widths[] = {7, 6, 5, 4};
  const double h = 1e-5, penalty = 0.03;
  for (int kind = 0; kind < 2; kind++) {
    setup s;
    table t = table_make(30, 7, 4, 1.0, 77);
    pmn_examples rows = {t.x, t.labels, NULL, t.rows};
    setup_init(&s, widths, 3, kind == 0 ? PMN_HIDDEN_SIGMOID : PMN_HIDDEN_RELU, t.rows, 1);
    double loss = pmn_loss_run(s.loss, s.weights, &rows, penalty, s.gradient);
    int32_t sharp = 0;
    for (size_t w = 0; w < s.count; w++) {
      double at = s.weights[w], values[4], steps[4] = {-2 * h, -h, h, 2 * h};
      for (int i = 0; i < 4; i++) {
        s.weights[w] = at + steps[i];
        values[i] = pmn_loss_run(s.loss, s.weights, &rows, penalty, NULL);
      }
      s.weights[w] = at;
      double near = (values[2] - values[1]) / (2 * h), far = (values[3] - values[0]) / (4 * h);
      double rounding = 32 * DBL_EPSILON * loss / h, tolerance = fabs(far - near) + rounding;
      if (!(fabs(s.gradient[w] - near) <= tolerance))
        fail_msg("gradient %zu is %.12g, by differences %.12g +- %g", w, s.gradient[w], near, tolerance);
      sharp += tolerance <= 1e-8; /* no bend of max(0, z) is within reach */
    }
    assert_int_equal(sharp, s.count);
    table_free(&t);
    setup_reset(&s);
  }
}

/* Outputs of +-1000 and more: exp would overflow, or p be 0. */
static void large_outputs_are_no_trouble(void **state) {
  (void)state;
  static const int32_t widths[] = {1, 3};
  setup s;
  double x = 1.0, p[3];
  int32_t label = 1;
  pmn_err err = PMN_ERR_INIT;
  pmn_examples row = {&x, &label, NULL, 1};
  setup_init(&s, widths, 1, PMN_HIDDEN_SIGMOID, 1, 1);
  memcpy(s.weights, (double[]){1000.0, -1000.0, 999.0, 0.0, 0.0, 0.0}, 6 * sizeof(double));
  assert_true(fabs(pmn_loss_run(s.loss, s.weights, &row, 0.0, s.gradient) - 2000.0 - log1p(exp(-1.0))) <= 1e-12);
  assert_true(fabs(s.gradient[1] + 1.0) <= DBL_EPSILON && fabs(s.gradient[2] - 1.0 / (1.0 + M_E)) <= 1e-15);
  pmn_perceptron given = {.layer_count = 1, .widths = {1, 3}, .weights = s.weights, .weight_count = 6};
  check_ok(pmn_perceptron_predict(&given, &x, 1, p, &err));
  assert_true(p[1] == 0.0 && fabs(p[0] + p[2] - 1.0) <= DBL_EPSILON);
  setup_reset(&s);
}

/* See make_perceptron.py. */
static void scikit_learn_agrees(void **state) {
  (void)state;
  static const char *const files[] = {
      "tests/golden/perceptron_sigmoid.npy", "tests/golden/perceptron_relu.npy", "tests/golden/perceptron_none.npy"};
  for (int f = 0; f < 3; f++) {
    pmn_err err = PMN_ERR_INIT;
    check_npy file = check_npy_read(files[f]);
    const double *at = file.data;
    int32_t n = (int32_t)at[0], classes = (int32_t)at[2], hidden = (int32_t)at[3], widths[4] = {(int32_t)at[1]};
    at += 4;
    for (int32_t l = 1; l <= hidden; l++) widths[l] = (int32_t)*at++;
    widths[hidden + 1] = classes;
    pmn_hidden_kind kind = *at++ == 1.0 ? PMN_HIDDEN_RELU : PMN_HIDDEN_SIGMOID;
    double penalty = at[0], trained = at[1];
    table t = {.rows = n, .width = widths[0], .classes = classes};
    const double *x = at + 2, *labels = x + n * widths[0], *weights = labels + n;
    setup s;
    setup_init(&s, widths, hidden + 1, kind, n, 1);
    const double *loss = weights + s.count, *gradient = loss + 1, *p = gradient + s.count;
    assert_true(file.type[2] == '8' && p + n * classes == (const double *)file.data + file.size / sizeof(double));
    t.x = malloc((size_t)(n * widths[0]) * sizeof *t.x);
    t.labels = malloc((size_t)n * sizeof *t.labels);
    double *out = malloc((size_t)(n * classes) * sizeof *out);
    assert_true(t.x != NULL && t.labels != NULL && out != NULL);
    memcpy(t.x, x, (size_t)(n * widths[0]) * sizeof *x);
    for (int32_t i = 0; i < n; i++) t.labels[i] = (int32_t)labels[i];
    pmn_examples all = {t.x, t.labels, NULL, n};
    assert_true(fabs(pmn_loss_run(s.loss, weights, &all, penalty / n, s.gradient) - *loss) <= 1e-10 * *loss);
    for (size_t w = 0; w < s.count; w++) assert_true(fabs(s.gradient[w] - gradient[w]) <= 1e-10);
    pmn_perceptron given = {.layer_count = hidden + 1, .activation = kind, .weight_count = s.count};
    memcpy(given.widths, widths, sizeof widths);
    given.weights = s.weights;
    memcpy(s.weights, weights, s.count * sizeof *weights);
    check_ok(pmn_perceptron_predict(&given, t.x, n, out, &err));
    for (int32_t i = 0; i < n * classes; i++) assert_true(fabs(out[i] - p[i]) <= 1e-12);
    /* From the same weights: as low, or lower; the loss of logistic regression has one minimum. */
    pmn_perceptron_options options = {
        .hidden_count = hidden, .activation = kind, .iterations_max = 5000, .tolerance = 1e-14, .penalty = penalty};
    memcpy(options.hidden, widths + 1, (size_t)hidden * sizeof *widths);
    pmn_perceptron *made = NULL;
    pmn_rows rows = rows_of(&t);
    check_ok(pmn_perceptron_train_from(weights, &rows, t.labels, classes, &options, &made, &err));
    if (!(made->loss <= trained * (hidden > 0 ? 1.01 : 1.0 + 1e-10)))
      fail_msg("%s: loss %.12g, scikit-learn's %.12g", files[f], made->loss, trained);
    if (hidden == 0) assert_true(made->loss >= trained * (1.0 - 1e-10));
    pmn_perceptron_destroy(made);
    free(out);
    free(file.data);
    table_free(&t);
    setup_reset(&s);
  }
}

static void start_is_within_its_bounds(void **state) {
  (void)state;
  static const int32_t widths[] = {50, 30, 20};
  for (int kind = 0; kind < 2; kind++) {
    setup s;
    pmn_random random;
    setup_init(&s, widths, 2, kind == 0 ? PMN_HIDDEN_SIGMOID : PMN_HIDDEN_RELU, 1, 1);
    pmn_random_init(&random, 5);
    pmn_mlp_start(&s.net, &random, s.weights);
    size_t border = 51 * 30;
    for (int layer = 0; layer < 2; layer++) {
      double bound = sqrt((kind == 0 ? 2.0 : 6.0) / (layer == 0 ? 80.0 : 50.0)), most = 0.0, sum = 0.0;
      size_t first = layer == 0 ? 0 : border, end = layer == 0 ? border : s.count;
      for (size_t i = first; i < end; i++) {
        most = fmax(most, fabs(s.weights[i]));
        sum += s.weights[i];
      }
      /* Of m uniform numbers the largest misses the bound by 1/m of it, the mean 0 by 1 / sqrt(3 m); 7 and 5 times. */
      double m = (double)(end - first);
      assert_true(most <= bound && most >= bound * (1.0 - 7.0 / m) && fabs(sum / m) <= 5.0 * bound / sqrt(3.0 * m));
    }
    setup_reset(&s);
  }
}

static void numbers_of_weights(void **state) {
  (void)state;
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){1280, 100, 40}, 2), 1281 * 100 + 101 * 40);
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){4, 3}, 1), 15);
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){4, 0, 3}, 2), 0);
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){4, 3}, 0), 0);
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){46340, 46341}, 1), 0);
  assert_int_equal(pmn_perceptron_weight_count((int32_t[]){INT32_MAX, INT32_MAX, INT32_MAX}, 2), 0);
  /* 10^5 rows of 21, 10 classes, hidden 21, 21: rows 16.8 MB, 40 doubles of every weight less than 1 MB. */
  pmn_perceptron_options options = {.hidden = {21, 21}, .hidden_count = 2};
  double bytes = pmn_perceptron_memory(100000, 21, 10, &options);
  assert_true(bytes >= 1e5 * 21 * 8 && bytes <= 1e5 * 21 * 8 * 1.25);
  options.hidden[1] = -1;
  assert_true(pmn_perceptron_memory(100000, 21, 10, &options) == 0.0);
}

int main(void) {
  openblas_set_num_threads(1);
  const struct CMUnitTest tests[] = {cmocka_unit_test(loss_is_that_of_plain_loops),
      cmocka_unit_test(long_rows_are_cut_smaller), cmocka_unit_test(gradient_is_that_of_differences),
      cmocka_unit_test(large_outputs_are_no_trouble), cmocka_unit_test(scikit_learn_agrees),
      cmocka_unit_test(start_is_within_its_bounds), cmocka_unit_test(numbers_of_weights)};
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
