/* test_perceptron_spark.c - the perceptron against Spark's MultilayerPerceptronClassifier on the same rows: what its
 * weights say in ours, and how low the loss comes. See tests/golden/make_perceptron_spark.py. */
#include "perceptron_cases.h"

#include <cblas.h>

/* A golden file; x and labels are copies, the rest is borrowed from `file`. golden_reset(). */
typedef struct golden {
  check_npy file;
  table t;
  int32_t widths[4], layers, seeds;
  const double *losses, *weights,
      *p; /* losses [seeds], the least first, whose weights and p [rows, classes] these are */
} golden;

static golden golden_read(const char *path) {
  enum { VERSIONS = 7 };
  golden g = {.file = check_npy_read(path)};
  const double *at = g.file.data;
  assert_string_equal(g.file.type, "<f8");
  at += VERSIONS;
  int32_t n = (int32_t)at[0], inputs = (int32_t)at[1], classes = (int32_t)at[2], hidden = (int32_t)at[3];
  at += 4;
  assert_true(hidden <= 2);
  g.widths[0] = inputs;
  for (int32_t l = 1; l <= hidden; l++) g.widths[l] = (int32_t)*at++;
  g.widths[hidden + 1] = classes;
  g.layers = hidden + 1;
  g.seeds = (int32_t)*at++;
  g.losses = at;
  at += g.seeds;
  g.t = (table){.rows = n, .width = inputs, .classes = classes};
  g.t.x = malloc((size_t)(n * inputs) * sizeof *g.t.x);
  g.t.labels = malloc((size_t)n * sizeof *g.t.labels);
  assert_true(g.t.x != NULL && g.t.labels != NULL);
  memcpy(g.t.x, at, (size_t)(n * inputs) * sizeof *at);
  at += n * inputs;
  for (int32_t i = 0; i < n; i++) g.t.labels[i] = (int32_t)at[i];
  g.weights = at + n;
  g.p = g.weights + pmn_perceptron_weight_count(g.widths, g.layers);
  assert_true(g.p + n * classes == (const double *)g.file.data + g.file.size / sizeof(double));
  return g;
}

static void golden_reset(golden *g) {
  table_free(&g->t);
  free(g->file.data);
}

/* Spark's W is [outputs, inputs] as well, but lies column by column. */
static void from_spark(const golden *g, double *weights) {
  const double *from = g->weights;
  for (int32_t l = 0; l < g->layers; l++) {
    int32_t in = g->widths[l], out = g->widths[l + 1];
    for (int32_t o = 0; o < out; o++) {
      for (int32_t i = 0; i < in; i++) weights[o * in + i] = from[i * out + o];
    }
    memcpy(weights + in * out, from + in * out, (size_t)out * sizeof *from);
    weights += (in + 1) * out;
    from += (in + 1) * out;
  }
}

/* Weights come to 2000, and sums of products with them lose digits. To move all of them by up to eps of themselves, at
 * random, 300 times, moved a probability by 6e-14 at most; sums in another order do no more. The loss is a mean of
 * their logarithms. */
static const double SAME = 1e-12;

static void check_weights(const golden *g, const char *name) {
  pmn_err err = PMN_ERR_INIT;
  int32_t n = (int32_t)g->t.rows, values = n * g->t.classes;
  setup s;
  setup_init(&s, g->widths, g->layers, PMN_HIDDEN_SIGMOID, n, 1);
  from_spark(g, s.weights);
  pmn_perceptron given = {.layer_count = g->layers, .activation = PMN_HIDDEN_SIGMOID, .weight_count = s.count};
  memcpy(given.widths, g->widths, sizeof g->widths);
  given.weights = s.weights;
  double *p = malloc((size_t)values * sizeof *p);
  assert_non_null(p);
  check_ok(pmn_perceptron_predict(&given, g->t.x, n, p, &err));
  for (int32_t i = 0; i < values; i++) {
    if (!(fabs(p[i] - g->p[i]) <= SAME))
      fail_msg("%s: row %d, class %d: p %.17g, Spark's %.17g", name, i / g->t.classes, i % g->t.classes, p[i], g->p[i]);
  }
  pmn_examples all = {g->t.x, g->t.labels, NULL, n};
  double loss = pmn_loss_run(s.loss, s.weights, &all, 0.0, NULL);
  if (!(fabs(loss - g->losses[0]) <= SAME)) fail_msg("%s: loss %.17g, Spark's %.17g", name, loss, g->losses[0]);
  free(p);
  setup_reset(&s);
}

static void weights_say_the_same(void **state) {
  golden g = golden_read(*state);
  check_weights(&g, *state);
  golden_reset(&g);
}

static double trained_loss(golden *g, uint64_t seed, double tolerance) {
  pmn_err err = PMN_ERR_INIT;
  pmn_perceptron *p = NULL;
  pmn_rows rows = rows_of(&g->t);
  pmn_perceptron_options options = {
      .hidden_count = g->layers - 1, .iterations_max = 1000, .tolerance = tolerance, .seed = seed};
  memcpy(options.hidden, g->widths + 1, (size_t)options.hidden_count * sizeof *options.hidden);
  check_ok(pmn_perceptron_train(&rows, g->t.labels, g->t.classes, &options, &p, &err));
  double loss = p->loss;
  pmn_perceptron_destroy(p);
  return loss;
}

/* Without hidden layers there is one minimum. Spark's six losses lie within a share of 5e-9 of each other, and a
 * tenfold of our tolerance may be left to fall, which is 3e-10 of the loss. */
static void the_minimum_is_the_same(void **state) {
  golden g = golden_read(*state);
  for (uint64_t seed = 1; seed <= 40; seed++) {
    double loss = trained_loss(&g, seed, 1e-12);
    if (!(fabs(loss - g.losses[0]) <= 1e-8 * g.losses[0]))
      fail_msg("seed %d: loss %.12g, Spark's %.12g", (int)seed, loss, g.losses[0]);
  }
  golden_reset(&g);
}

/* Of the logarithms of losses; error is the standard error of the mean. */
typedef struct spread {
  double least, mean, error;
} spread;

static spread spread_of(const double *losses, int32_t count) {
  spread s = {.least = log(losses[0])};
  double squares = 0.0;
  for (int32_t i = 0; i < count; i++) {
    s.least = fmin(s.least, log(losses[i]));
    s.mean += log(losses[i]) / count;
  }
  for (int32_t i = 0; i < count; i++) squares += (log(losses[i]) - s.mean) * (log(losses[i]) - s.mean);
  s.error = sqrt(squares / (count - 1) / count);
  return s;
}

/* The first weights decide which valley of the loss is found, so the losses of several seeds are compared, all of them
 * trained until the loss hardly falls by 1e-9 any longer. Spark's six in "one" lie in one valley, within 0.2 % of each
 * other, and the next is 12 % above: 1 % tells valleys apart, but not a slow end from a quick one. The valley of
 * Spark's best must be found, which in "two" nearly one seed in ten does; and the mean may be above Spark's by no more
 * than 1 % and thrice the standard error of the difference, which is luck. */
static void valleys_are_as_deep(void **state) {
  enum { SEEDS = 100 };
  const double margin = 0.01;
  const char *name = *state;
  golden g = golden_read(name);
  double losses[SEEDS];
  for (uint64_t i = 0; i < SEEDS; i++) losses[i] = trained_loss(&g, i + 1, 1e-9);
  spread ours = spread_of(losses, SEEDS), theirs = spread_of(g.losses, g.seeds);
  print_message("%s: least %.6f, mean %.6f +- %.1f %%; Spark's %.6f, %.6f +- %.1f %%\n", name, exp(ours.least),
      exp(ours.mean), 100.0 * ours.error, exp(theirs.least), exp(theirs.mean), 100.0 * theirs.error);
  assert_true(ours.least - theirs.least <= margin);
  assert_true(ours.mean - theirs.mean <= margin + 3.0 * hypot(ours.error, theirs.error));
  golden_reset(&g);
}

int main(void) {
  openblas_set_num_threads(1);
  static char none[] = "tests/golden/perceptron_spark_none.npy", one[] = "tests/golden/perceptron_spark_one.npy",
              two[] = "tests/golden/perceptron_spark_two.npy";
  const struct CMUnitTest tests[] = {
      {"weights_none", weights_say_the_same, NULL, NULL, none},
      {"weights_one", weights_say_the_same, NULL, NULL, one},
      {"weights_two", weights_say_the_same, NULL, NULL, two},
      {"training_none", the_minimum_is_the_same, NULL, NULL, none},
      {"training_one", valleys_are_as_deep, NULL, NULL, one},
      {"training_two", valleys_are_as_deep, NULL, NULL, two},
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
