/* test_perceptron.c - what the training of a perceptron promises: that it learns, the same for any number of threads,
 * keeps the best, ends when asked, and says what is wrong. */
#include "perceptron_cases.h"

#include "pmn_mem.h"
#include "pmn_perceptron_rows.h"

#include <cblas.h>
#include <float.h>

static pmn_perceptron *train(table *t, const pmn_perceptron_options *options) {
  pmn_err err = PMN_ERR_INIT;
  pmn_perceptron *p = NULL;
  pmn_rows rows = rows_of(t);
  check_ok(pmn_perceptron_train(&rows, t->labels, t->classes, options, &p, &err));
  return p;
}

/* Share of the rows whose label is the likeliest class. */
static double right_share(const pmn_perceptron *p, const table *t) {
  pmn_err err = PMN_ERR_INIT;
  int64_t right = 0;
  double *out = malloc((size_t)t->rows * (size_t)t->classes * sizeof *out);
  assert_non_null(out);
  check_ok(pmn_perceptron_predict(p, t->x, (int32_t)t->rows, out, &err));
  for (int64_t i = 0; i < t->rows; i++) {
    const double *row = out + i * t->classes;
    int32_t best = 0;
    double sum = 0.0;
    for (int32_t c = 0; c < t->classes; c++) {
      if (row[c] > row[best]) best = c;
      sum += row[c];
    }
    assert_true(fabs(sum - 1.0) <= t->classes * DBL_EPSILON);
    right += best == t->labels[i];
  }
  free(out);
  return (double)right / (double)t->rows;
}

/* -------------------------------------------------------------------------------------------------- training -- */

static const pmn_perceptron_options lbfgs = {.hidden = {8}, .hidden_count = 1, .seed = 1};
static const pmn_perceptron_options adam = {.hidden = {8},
    .hidden_count = 1,
    .solver = PMN_SOLVER_ADAM,
    .rate = 0.05,
    .batch = 32,
    .iterations_max = 30,
    .seed = 1};

static void exclusive_or_is_learned(void **state) {
  (void)state;
  double x[] = {0, 0, 0, 1, 1, 0, 1, 1};
  int32_t labels[] = {0, 1, 1, 0}, learned[3] = {0};
  table t = {.rows = 4, .width = 2, .classes = 2, .x = x, .labels = labels};
  pmn_perceptron_options ways[3] = {lbfgs, adam, lbfgs};
  ways[1].iterations_max = 400;
  ways[2].hidden_count = 0;
  for (int way = 0; way < 3; way++) {
    for (ways[way].seed = 1; ways[way].seed <= 10; ways[way].seed++) {
      pmn_perceptron *p = train(&t, &ways[way]);
      learned[way] += right_share(p, &t) == 1.0;
      pmn_perceptron_destroy(p);
    }
  }
  /* From an unlucky start a valley may be found that is not the deepest; without a hidden layer there is no way. */
  if (learned[0] < 8 || learned[1] < 8 || learned[2] > 0)
    fail_msg("learned from %d, %d and %d starts of 10", learned[0], learned[1], learned[2]);
}

static void both_solvers_learn(void **state) {
  (void)state;
  table t = table_make(600, 10, 5, 2.0, 3);
  for (int way = 0; way < 4; way++) {
    pmn_perceptron_options options = way < 2 ? lbfgs : adam;
    options.activation = way % 2 == 0 ? PMN_HIDDEN_SIGMOID : PMN_HIDDEN_RELU;
    pmn_perceptron *p = train(&t, &options);
    assert_true(right_share(p, &t) >= 0.98);
    assert_true(p->rows == 600 && p->held_out_rows == 0 && isnan(p->held_out_loss) && p->layer_count == 2);
    assert_true(p->iterations >= 1 && p->iterations <= (way < 2 ? 100 : 30));
    pmn_perceptron_destroy(p);
  }
  table_free(&t);
}

static void threads_do_not_matter(void **state) {
  (void)state;
  static const int32_t threads[] = {1, 2, 3, 7};
  table t = table_make(1111, 9, 4, 0.5, 4);
  for (int way = 0; way < 3; way++) {
    pmn_perceptron_options options = way == 1 ? adam : lbfgs;
    options.batch = 300;
    options.held_out = way == 2 ? 0.3 : 0.0;
    options.iterations_max = 12;
    pmn_perceptron *first = NULL;
    for (int i = 0; i < 4; i++) {
      options.threads = threads[i];
      pmn_perceptron *p = train(&t, &options);
      if (first == NULL) first = p;
      if (memcmp(first->weights, p->weights, p->weight_count * sizeof *p->weights) != 0 || first->loss != p->loss)
        fail_msg("%d threads: other weights", threads[i]);
      if (p != first) pmn_perceptron_destroy(p);
    }
    options.seed++;
    pmn_perceptron *other = train(&t, &options);
    assert_true(memcmp(first->weights, other->weights, other->weight_count * sizeof *other->weights) != 0);
    pmn_perceptron_destroy(other);
    pmn_perceptron_destroy(first);
  }
  table_free(&t);
}

static void few_and_dull_rows(void **state) {
  (void)state;
  /* One row a class, more columns than rows; then columns that never vary, and one row of each class but one. */
  table one = table_make(6, 30, 6, 1.0, 8), dull = table_make(90, 5, 3, 3.0, 9);
  for (int64_t i = 0; i < dull.rows; i++) {
    dull.x[i * 5 + 1] = 0.0;
    dull.x[i * 5 + 3] = 7.0;
  }
  for (int way = 0; way < 2; way++) {
    pmn_perceptron *p = train(&one, way == 0 ? &lbfgs : &adam);
    assert_true(right_share(p, &one) == 1.0);
    pmn_perceptron_destroy(p);
    pmn_perceptron_options longer = way == 0 ? lbfgs : adam;
    longer.iterations_max = 200;
    p = train(&dull, &longer);
    assert_true(right_share(p, &dull) >= 0.95);
    pmn_perceptron_destroy(p);
  }
  /* No column varies: the best that can be said is how often each class occurs. */
  for (int64_t i = 0; i < dull.rows * 5; i++) dull.x[i] = 1.0;
  for (int64_t i = 0; i < 60; i++) dull.labels[i] = 0;
  for (int64_t i = 60; i < 90; i++) dull.labels[i] = i % 3 == 0 ? 1 : 2;
  pmn_perceptron *p = train(&dull, &lbfgs);
  assert_true(fabs(p->loss - (log(1.5) * 60 + log(9.0) * 10 + log(4.5) * 20) / 90) <= 1e-5);
  pmn_perceptron_destroy(p);
  table_free(&one);
  table_free(&dull);
}

/* -------------------------------------------------------------------------------------------------- held out -- */

/* Of 1, 2, 3 and 694 rows, the number nearest to a share, and never all. */
static void check_held_out(double share, const int32_t expected[4]) {
  enum { ROWS = 700 }; /* a block of rows is 512 */
  pmn_err err = PMN_ERR_INIT;
  pmn_watch watch = {0};
  double x[ROWS * 2];
  int32_t labels[ROWS], total = expected[0] + expected[1] + expected[2] + expected[3];
  for (int32_t i = 0; i < ROWS; i++) {
    labels[i] = i == 5 ? 0 : i == 30 || i == 600 ? 1 : i == 7 || i == 8 || i == 699 ? 2 : 3;
    x[2 * i] = i;
    x[2 * i + 1] = labels[i];
  }
  table t = {.rows = ROWS, .width = 2, .classes = 4, .x = x, .labels = labels};
  pmn_rows rows = rows_of(&t);
  bool first_held[ROWS], same = true;
  for (uint64_t seed = 1; seed < 4; seed++) {
    pmn_lessons lessons;
    pmn_random random;
    int32_t held[4] = {0};
    bool seen[ROWS] = {false}, is_held[ROWS];
    pmn_random_init(&random, seed);
    check_ok(pmn_lessons_init(&lessons, &rows, labels, 4, share, &random, &watch, &err));
    assert_true(lessons.held_count == total && lessons.count == ROWS - total);
    for (int64_t i = 0; i < ROWS; i++) {
      int64_t row = (int64_t)lessons.x[2 * i];
      assert_false(seen[row]);
      seen[row] = true;
      is_held[row] = i >= lessons.count;
      assert_true(lessons.labels[i] == labels[row] && lessons.x[2 * i + 1] == labels[row]);
      if (i > 0 && i != lessons.count) assert_true(lessons.x[2 * i - 2] < lessons.x[2 * i]);
      held[lessons.labels[i]] += i >= lessons.count;
    }
    assert_memory_equal(held, expected, sizeof held);
    if (seed == 1) memcpy(first_held, is_held, sizeof is_held);
    same = same && memcmp(first_held, is_held, sizeof is_held) == 0;
    pmn_lessons_reset(&lessons);
  }
  assert_false(same);
}

static void rows_are_held_out_by_class(void **state) {
  (void)state;
  check_held_out(0.25, (int32_t[]){0, 1, 1, 174});
  check_held_out(0.9, (int32_t[]){0, 1, 2, 625});
}

typedef struct history {
  double losses[200], held[200];
  int32_t count;
} history;

static void note(void *arg, int32_t iteration, double loss, double held_out_loss) {
  history *h = arg;
  assert_int_equal(iteration, ++h->count);
  h->losses[iteration] = loss;
  h->held[iteration] = held_out_loss;
}

/* Labels by the dice: what is learned of some rows makes others only worse. */
static void the_best_weights_are_kept(void **state) {
  (void)state;
  table t = table_make(120, 12, 3, 0.15, 21);
  for (int way = 0; way < 2; way++) {
    history h = {.count = 0};
    pmn_perceptron_options options = way == 0 ? lbfgs : adam;
    options.held_out = 0.3;
    options.patience = 6;
    options.on_iteration = note;
    options.callback_arg = &h;
    pmn_perceptron *p = train(&t, &options);
    assert_true(p->rows == 84 && p->held_out_rows == 36);
    assert_int_equal(p->iterations, h.count);
    int32_t best = 1;
    for (int32_t i = 2; i <= h.count; i++) {
      if (h.held[i] < h.held[best]) best = i;
    }
    if (best + 6 != h.count || p->held_out_loss != h.held[best] || h.held[h.count] == h.held[best])
      fail_msg("best %g at %d of %d, kept %g", h.held[best], best, h.count, p->held_out_loss);
    if (way == 0) assert_true(p->loss == h.losses[best]);
    pmn_perceptron_destroy(p);
  }
  table_free(&t);
}

/* Loss and held-out loss mean what the header says: the second is without the penalty. */
static void losses_are_those_of_the_rows(void **state) {
  (void)state;
  table t = table_make(200, 4, 2, 1.0, 31);
  history h = {.count = 0};
  pmn_err err = PMN_ERR_INIT;
  pmn_perceptron_options options = lbfgs;
  options.held_out = 0.25;
  options.penalty = 3.0;
  options.iterations_max = 5;
  options.on_iteration = note;
  options.callback_arg = &h;
  pmn_perceptron *p = train(&t, &options);
  double *out = malloc(sizeof(double) * 400), sum = 0.0, squares = 0.0;
  assert_non_null(out);
  check_ok(pmn_perceptron_predict(p, t.x, 200, out, &err));
  for (int32_t i = 0; i < 200; i++) sum -= log(out[2 * i + t.labels[i]]);
  for (size_t i = 0; i < p->weight_count; i++) {
    bool is_b = (i >= 32 && i < 40) || i >= 56; /* 8 x 4, 8, 2 x 8, 2 */
    squares += is_b ? 0.0 : p->weights[i] * p->weights[i];
  }
  double found = 150.0 * (p->loss - 3.0 / 300.0 * squares) + 50.0 * p->held_out_loss;
  assert_true(p->weight_count == 58 && p->rows == 150 && fabs(found - sum) <= 1e-12 * sum);
  for (int32_t i = 2; i <= h.count; i++) assert_true(h.losses[i] < h.losses[i - 1]);
  free(out);
  pmn_perceptron_destroy(p);
  table_free(&t);
}

/* With a rate that moves nothing, the loss of an epoch is that of all rows, each once. With one that does, the seed
 * decides the order, from the same first weights. */
static void an_epoch_is_all_rows_shuffled(void **state) {
  (void)state;
  table t = table_make(110, 4, 3, 1.0, 32); /* batches of 32 leave 14 */
  double start[8 * 5 + 3 * 9];
  for (size_t i = 0; i < sizeof start / sizeof *start; i++) start[i] = 0.3 * number(1, 0, i);
  history h = {.count = 0};
  pmn_err err = PMN_ERR_INIT;
  pmn_rows rows = rows_of(&t);
  pmn_perceptron_options options = adam;
  options.rate = 1e-200;
  options.iterations_max = 3;
  options.on_iteration = note;
  options.callback_arg = &h;
  pmn_perceptron *still = NULL, *moved[2] = {NULL};
  check_ok(pmn_perceptron_train_from(start, &rows, t.labels, 3, &options, &still, &err));
  assert_memory_equal(still->weights, start, sizeof start);
  for (int32_t i = 1; i <= 3; i++) assert_true(fabs(h.losses[i] - still->loss) <= 1e-13);
  options = adam;
  for (int i = 0; i < 2; i++) {
    check_ok(pmn_perceptron_train_from(start, &rows, t.labels, 3, &options, &moved[i], &err));
    options.seed++;
  }
  assert_memory_not_equal(moved[0]->weights, moved[1]->weights, sizeof start);
  pmn_perceptron_destroy(still);
  pmn_perceptron_destroy(moved[0]);
  pmn_perceptron_destroy(moved[1]);
  table_free(&t);
}

/* ------------------------------------------------------------------------------------------- predictions, errors -- */

static void streams_may_be_cut(void **state) {
  (void)state;
  enum { N = 3 * PMN_PERCEPTRON_BLOCK + 5 };
  pmn_err err = PMN_ERR_INIT;
  table t = table_make(N, 13, 3, 1.0, 41);
  pmn_perceptron *p = train(&t, &lbfgs);
  double *whole = malloc(sizeof(double) * N * 3), *cut = malloc(sizeof(double) * N * 3);
  assert_true(whole != NULL && cut != NULL);
  check_ok(pmn_perceptron_predict(p, t.x, N, whole, &err));
  check_ok(pmn_perceptron_predict(p, t.x, PMN_PERCEPTRON_BLOCK, cut, &err));
  int32_t first = PMN_PERCEPTRON_BLOCK;
  check_ok(pmn_perceptron_predict(p, t.x + first * 13, N - first, cut + first * 3, &err));
  assert_memory_equal(whole, cut, sizeof(double) * N * 3);
  check_ok(pmn_perceptron_predict(p, t.x, 0, cut, &err));
  t.x[13 * 5 + 2] = INFINITY;
  check_fails(pmn_perceptron_predict(p, t.x, N, whole, &err), PMN_STATUS_ARGUMENT, "row 5, column 2");
  /* A sum of products that overflows, times 0. */
  for (int j = 0; j < 13; j++) t.x[13 * 5 + j] = 1.7e308;
  p->activation = PMN_HIDDEN_RELU;
  memset(p->weights, 0, p->weight_count * sizeof *p->weights);
  for (size_t j = 0; j < 8 * 13; j++) p->weights[j] = 1.0;
  check_fails(pmn_perceptron_predict(p, t.x, N, whole, &err), PMN_STATUS_ARGUMENT, "row 5 has no finite");
  /* No number in a hidden layer is not taken for 0. */
  pmn_perceptron deep = {.layer_count = 3, .widths = {1, 1, 1, 2}, .activation = PMN_HIDDEN_RELU};
  deep.weights = (double[]){1e10, 0, 0, 0, 1, -1, 0, 0};
  check_fails(pmn_perceptron_predict(&deep, t.x + 13 * 5, 1, whole, &err), PMN_STATUS_ARGUMENT, "row 0 has no finite");
  pmn_mem_fail_after(0);
  check_fails(pmn_perceptron_predict(p, t.x, N, whole, &err), PMN_STATUS_NO_MEMORY, "layers");
  pmn_mem_fail_after(-1);
  free(whole);
  free(cut);
  pmn_perceptron_destroy(p);
  table_free(&t);
}

static void fails(table *t, const pmn_perceptron_options *options, pmn_status status, const char *text) {
  pmn_err err = PMN_ERR_INIT;
  pmn_perceptron *p = (pmn_perceptron *)1;
  pmn_rows rows = rows_of(t);
  check_fails(pmn_perceptron_train(&rows, t->labels, t->classes, options, &p, &err), status, text);
  assert_null(p);
}

static void bad_options(void **state) {
  (void)state;
  table t = table_make(30, 4, 3, 1.0, 51);
  static const struct {
    pmn_perceptron_options options;
    const char *text;
  } cases[] = {
      {{.hidden_count = -1}, "hidden layers"},
      {{.hidden_count = PMN_HIDDEN_LAYERS_MAX + 1}, "hidden layers"},
      {{.hidden = {3, 0}, .hidden_count = 2}, "hidden layer 2 has width 0"},
      {{.hidden = {40000, 60000}, .hidden_count = 2}, "narrower"},
      {{.activation = (pmn_hidden_kind)7}, "activation"},
      {{.solver = (pmn_solver_kind)7}, "solver"},
      {{.iterations_max = -1}, "negative"},
      {{.batch = -1}, "negative"},
      {{.patience = -1}, "negative"},
      {{.threads = -1}, "negative"},
      {{.tolerance = -1.0}, "tolerance"},
      {{.penalty = NAN}, "penalty"},
      {{.rate = INFINITY}, "rate"},
      {{.held_out = 1.0}, "held out"},
      {{.held_out = NAN}, "held out"},
      {{.held_out = 0.01}, "another share"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    fails(&t, &cases[i].options, PMN_STATUS_ARGUMENT, cases[i].text);
  table_free(&t);
}

static void bad_rows(void **state) {
  (void)state;
  table t = table_make(900, 4, 3, 1.0, 52);
  t.classes = 1;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "1 classes");
  t.classes = 4;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "class 3 has no rows");
  t.classes = 2;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "row 2 has label 2");
  t.classes = 3;
  t.labels[77] = -1;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "row 77 has label -1");
  t.labels[77] = 0;
  t.rows = 2;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "2 rows");
  t.rows = 900;
  t.fail_at = 899;
  fails(&t, &lbfgs, PMN_STATUS_NOT_FOUND, "spool");
  t.fail_at = 0;
  t.x[4 * 600 + 3] = NAN;
  fails(&t, &lbfgs, PMN_STATUS_ARGUMENT, "row 600, column 3 is NaN");
  t.x[4 * 600 + 3] = -INFINITY;
  fails(&t, &adam, PMN_STATUS_ARGUMENT, "row 600, column 3 is infinite");
  table_free(&t);
}

static void losses_that_are_no_numbers(void **state) {
  (void)state;
  table t = table_make(90, 4, 3, 1.0, 53);
  pmn_perceptron_options options = adam;
  options.activation = PMN_HIDDEN_RELU;
  options.rate = 1e200;
  fails(&t, &options, PMN_STATUS_ARGUMENT, "smaller rate than 1e+200");
  options.held_out = 0.3;
  fails(&t, &options, PMN_STATUS_ARGUMENT, "smaller rate than 1e+200");
  for (int64_t i = 0; i < t.rows * t.width; i++) t.x[i] = copysign(1.7e308, t.x[i]);
  for (int way = 0; way < 2; way++) {
    options = way == 0 ? lbfgs : adam;
    options.activation = PMN_HIDDEN_RELU;
    fails(&t, &options, PMN_STATUS_ARGUMENT, "standardise them");
  }
  table_free(&t);
}

typedef struct asked {
  int64_t times, fail_at;
} asked;

static pmn_status ask(const void *arg, pmn_err *err) {
  asked *a = *(asked *const *)arg;
  return ++a->times == a->fail_at ? pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "told to") : PMN_STATUS_OK;
}

static void the_watch_ends_it(void **state) {
  (void)state;
  table t = table_make(600, 4, 3, 1.0, 54); /* two blocks are read */
  for (int way = 0; way < 2; way++) {
    asked a = {0}, *address = &a;
    pmn_perceptron_options options = way == 0 ? lbfgs : adam;
    options.watch = (pmn_watch){ask, &address};
    options.iterations_max = 3;
    pmn_perceptron_destroy(train(&t, &options));
    assert_true(a.times >= 2 + (way == 0 ? 4 : 3 * 19));
    for (int64_t k = a.times; k >= 1; k--) {
      a = (asked){.fail_at = k};
      fails(&t, &options, PMN_STATUS_INTERRUPTED, "told to");
      assert_int_equal(a.times, k);
    }
  }
  table_free(&t);
}

static void allocations_may_fail(void **state) {
  (void)state;
  table t = table_make(90, 4, 3, 1.0, 55);
  for (int way = 0; way < 2; way++) {
    pmn_perceptron_options options = way == 0 ? lbfgs : adam;
    options.iterations_max = 2;
    options.held_out = 0.2;
    options.threads = 2;
    pmn_status st = PMN_STATUS_NO_MEMORY;
    for (int64_t k = 0; st != PMN_STATUS_OK; k++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_perceptron *p = NULL;
      pmn_rows rows = rows_of(&t);
      pmn_mem_fail_after(k);
      st = pmn_perceptron_train(&rows, t.labels, t.classes, &options, &p, &err);
      pmn_mem_fail_after(-1);
      if (st != PMN_STATUS_OK && (st != PMN_STATUS_NO_MEMORY || err.status != st || p != NULL))
        fail_msg("allocation %d: status %d, %s", (int)k, (int)st, err.message);
      if (st == PMN_STATUS_OK) assert_true(k >= 14);
      pmn_perceptron_destroy(p);
    }
  }
  table_free(&t);
}

int main(void) {
  openblas_set_num_threads(1);
  const struct CMUnitTest tests[] = {cmocka_unit_test(exclusive_or_is_learned), cmocka_unit_test(both_solvers_learn),
      cmocka_unit_test(threads_do_not_matter), cmocka_unit_test(few_and_dull_rows),
      cmocka_unit_test(rows_are_held_out_by_class), cmocka_unit_test(the_best_weights_are_kept),
      cmocka_unit_test(losses_are_those_of_the_rows), cmocka_unit_test(an_epoch_is_all_rows_shuffled),
      cmocka_unit_test(streams_may_be_cut), cmocka_unit_test(bad_options), cmocka_unit_test(bad_rows),
      cmocka_unit_test(losses_that_are_no_numbers), cmocka_unit_test(the_watch_ends_it),
      cmocka_unit_test(allocations_may_fail)};
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
