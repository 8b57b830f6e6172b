/* test_lbfgs.c - L-BFGS where the minimum is known, and every step against the conditions that it must keep; the steps
 * of Adam against scikit-learn's. */
#include "check.h"

#include "pmn_adam.h"
#include "pmn_lbfgs.h"
#include "pmn_mem.h"

#include <cblas.h>
#include <math.h>

enum { MOST = 40 };

/* A function, and what was seen of it. */
typedef struct trial {
  double (*function)(const double *x, size_t n, double *gradient);
  size_t n;
  double before[MOST], value; /* where the last step began */
  int32_t stop_at;
  int64_t evaluations, fail_at;
  int32_t steps;
  bool wolfe; /* hold every step against the conditions */
} trial;

/* Rosenbrock, 1960, in a chain: sum of 100 (x_(i+1) - x_i^2)^2 + (1 - x_i)^2; 0 at (1, .., 1). */
static double rosenbrock(const double *x, size_t n, double *g) {
  double sum = 0.0;
  memset(g, 0, n * sizeof *g);
  for (size_t i = 0; i + 1 < n; i++) {
    double a = x[i + 1] - x[i] * x[i], b = 1.0 - x[i];
    sum += 100.0 * a * a + b * b;
    g[i] += -400.0 * a * x[i] - 2.0 * b;
    g[i + 1] += 200.0 * a;
  }
  return sum;
}

/* Sum of c_i (x_i - i)^2 / 2, c from 1 to 1e4; 0 at (0, 1, ..). */
static double quadratic(const double *x, size_t n, double *g) {
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) {
    double c = pow(1e4, (double)i / (double)(n - 1)), off = x[i] - (double)i;
    sum += 0.5 * c * off * off;
    g[i] = c * off;
  }
  return sum;
}

/* The same, beside a number that hides its last digits. */
static double hidden_quadratic(const double *x, size_t n, double *g) {
  return 1.0 + quadratic(x, n, g);
}

/* Sum of x - ln x: 1 at 1, infinite at 0, and no number below. */
static double barrier(const double *x, size_t n, double *g) {
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) {
    sum += x[i] - log(x[i]);
    g[i] = 1.0 - 1.0 / x[i];
  }
  return sum;
}

/* From 0 its slope is -1 and rises to 0.5 at 1, where it is all but as high again: too little for a step of 1. */
static double shallow(const double *x, size_t n, double *g) {
  (void)n;
  double b = 1.5 - 3e-5, c = -0.5 + 2e-5;
  g[0] = -1.0 + (2.0 * b + 3.0 * c * x[0]) * x[0];
  return ((c * x[0] + b) * x[0] - 1.0) * x[0];
}

/* |x - bend_at|: no length has the slope that is wanted. */
static double bend_at;
static double bend(const double *x, size_t n, double *g) {
  (void)n;
  g[0] = copysign(1.0, x[0] - bend_at);
  return fabs(x[0] - bend_at);
}

static pmn_status evaluate(void *arg, const double *x, double *value, double *gradient, pmn_err *err) {
  trial *t = arg;
  if (++t->evaluations == t->fail_at) return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "told to");
  *value = t->function(x, t->n, gradient);
  return PMN_STATUS_OK;
}

static pmn_status on_step(void *arg, int32_t iteration, const double *x, double value, bool *stop, pmn_err *err) {
  (void)err;
  trial *t = arg;
  double g0[MOST], g1[MOST], step[MOST], slope0 = 0.0, slope1 = 0.0;
  assert_int_equal(iteration, ++t->steps);
  double f0 = t->function(t->before, t->n, g0), f1 = t->function(x, t->n, g1);
  assert_true(f1 == value);
  assert_true(f1 <= f0);
  for (size_t i = 0; i < t->n; i++) {
    step[i] = x[i] - t->before[i];
    slope0 += g0[i] * step[i];
    slope1 += g1[i] * step[i];
  }
  /* Slopes here are of x as it was rounded: 1e-9 is far above that, and far below what another constant would do. */
  if (t->wolfe && !(f1 <= f0 + 1e-4 * slope0 + 1e-9 * fabs(slope0) && fabs(slope1) <= (0.9 + 1e-9) * fabs(slope0)))
    fail_msg("step %d: value %g to %g, slope %g to %g", iteration, f0, f1, slope0, slope1);
  memcpy(t->before, x, t->n * sizeof *x);
  *stop = iteration == t->stop_at;
  return PMN_STATUS_OK;
}

static pmn_status search(
    trial *t, const pmn_lbfgs_options *options, double *x, pmn_lbfgs_result *result, pmn_err *err) {
  pmn_lbfgs_problem problem = {t->n, t, evaluate, on_step};
  memcpy(t->before, x, t->n * sizeof *x);
  t->evaluations = 0;
  t->steps = 0;
  return pmn_lbfgs(&problem, options, x, result, err);
}

static void rosenbrock_is_solved(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static const size_t sizes[] = {2, 3, 10, MOST};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    trial t = {.function = rosenbrock, .n = sizes[i], .wolfe = true};
    double x[MOST];
    pmn_lbfgs_result result;
    for (size_t j = 0; j < t.n; j++) x[j] = j % 2 == 0 ? -1.2 : 1.0;
    check_ok(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-12}, x, &result, &err));
    assert_true(result.end == PMN_LBFGS_CONVERGED || result.end == PMN_LBFGS_FLAT);
    assert_int_equal(result.evaluations, t.evaluations);
    assert_int_equal(result.iterations, t.steps);
    /* Ten steps of less than 1e-12 together leave a value of about that; curvature is 0.4 and more at the minimum. */
    if (!(result.value <= 1e-11)) fail_msg("n = %zu: value %g", t.n, result.value);
    for (size_t j = 0; j < t.n; j++) assert_true(fabs(x[j] - 1.0) <= 1e-5);
    /* A descent along gradients takes thousands, and every step should take little more than one evaluation. */
    if (result.iterations > 300 || result.evaluations > 2 * result.iterations)
      fail_msg("n = %zu: %d iterations, %d evaluations", t.n, result.iterations, (int)result.evaluations);
  }
}

static void quadratic_is_solved(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int32_t memory = 1; memory <= 20; memory += 3) {
    trial t = {.function = quadratic, .n = 20, .wolfe = true};
    double x[MOST] = {0};
    pmn_lbfgs_result result;
    check_ok(search(&t, &(pmn_lbfgs_options){memory, 2000, 1e-12}, x, &result, &err));
    if (!(result.value <= 1e-10)) fail_msg("memory %d: value %g after %d", memory, result.value, result.iterations);
  }
}

/* Where rounding hides what is left to win, the search ends by itself, and soon: 400 evaluations lead there. */
static void the_end_is_found(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = hidden_quadratic, .n = 20};
  double x[MOST] = {0};
  pmn_lbfgs_result result;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 100000, -1.0}, x, &result, &err));
  assert_int_equal(result.end, PMN_LBFGS_FLAT);
  if (!(result.value <= 1.0 + 1e-13 && result.evaluations <= 600))
    fail_msg("value 1 + %g after %d evaluations", result.value - 1.0, (int)result.evaluations);
  check_ok(search(&t, &(pmn_lbfgs_options){10, 100, -1.0}, x, &result, &err));
  assert_true(result.end == PMN_LBFGS_FLAT && result.evaluations <= 60);
}

static void a_step_too_far_is_shortened(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = barrier, .n = 5, .wolfe = true};
  double x[MOST] = {1e-3, 0.4, 1.5, 20.0, 300.0};
  pmn_lbfgs_result result;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-14}, x, &result, &err));
  for (size_t i = 0; i < t.n; i++) assert_true(fabs(x[i] - 1.0) <= 1e-6);
}

static void a_step_that_wins_nothing_is_shortened(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = shallow, .n = 1, .wolfe = true};
  double x[MOST] = {0.0};
  pmn_lbfgs_result result;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 1, 1e-14}, x, &result, &err));
  assert_true(result.iterations == 1 && x[0] < 0.9 && result.value < -0.1);
}

static void a_bend_is_found(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = bend, .n = 1};
  for (bend_at = 0.1; bend_at < 3.0; bend_at += 0.17) {
    double x[MOST] = {0.0};
    pmn_lbfgs_result result;
    check_ok(search(&t, &(pmn_lbfgs_options){10, 50, 1e-14}, x, &result, &err));
    assert_true(fabs(x[0] - bend_at) <= 1e-7 && result.value == fabs(x[0] - bend_at));
  }
}

static void ends_as_asked(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = rosenbrock, .n = 10};
  double x[MOST] = {0}, loose, tight;
  pmn_lbfgs_result result;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 7, 1e-12}, x, &result, &err));
  assert_true(
      result.end == PMN_LBFGS_ITERATIONS && result.iterations == 7 && result.value == t.function(x, t.n, t.before));
  t.stop_at = 5;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-12}, x, &result, &err));
  assert_true(result.end == PMN_LBFGS_STOPPED && result.iterations == 5);
  t.stop_at = 0;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 0, 1e-12}, x, &result, &err));
  assert_true(result.end == PMN_LBFGS_ITERATIONS && result.iterations == 0);
  memset(x, 0, sizeof x);
  check_ok(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-2}, x, &result, &err));
  assert_int_equal(result.end, PMN_LBFGS_CONVERGED);
  loose = result.value;
  check_ok(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-8}, x, &result, &err));
  tight = result.value;
  assert_true(tight < loose && tight <= 1e-7);
}

static void errors(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = rosenbrock, .n = 10};
  double x[MOST] = {0};
  pmn_lbfgs_result result;
  for (t.fail_at = 1; t.fail_at < 20; t.fail_at++) {
    memset(x, 0, sizeof x);
    check_fails(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-12}, x, &result, &err), PMN_STATUS_INTERRUPTED, "told to");
  }
  t.fail_at = 0;
  x[3] = NAN;
  check_fails(search(&t, &(pmn_lbfgs_options){10, 1000, 1e-12}, x, &result, &err), PMN_STATUS_ARGUMENT, "not finite");
}

static void allocations_may_fail(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  trial t = {.function = rosenbrock, .n = 10};
  pmn_status st = PMN_STATUS_NO_MEMORY;
  int64_t failed = 0;
  for (int64_t k = 0; st != PMN_STATUS_OK; k++) {
    double x[MOST] = {0};
    pmn_lbfgs_result result;
    pmn_mem_fail_after(k);
    st = search(&t, &(pmn_lbfgs_options){10, 1000, 1e-12}, x, &result, &err);
    pmn_mem_fail_after(-1);
    if (st != PMN_STATUS_OK) {
      assert_int_equal(st, PMN_STATUS_NO_MEMORY);
      failed++;
    }
  }
  assert_true(failed >= 5);
}

/* See make_perceptron.py. */
static void adam_steps_as_scikit_learn(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_npy file = check_npy_read("tests/golden/perceptron_adam.npy");
  size_t n = (size_t)file.shape[2];
  double x[MOST];
  pmn_adam adam;
  assert_true(file.shape[0] == 25 && file.shape[1] == 2 && n <= MOST);
  check_ok(pmn_adam_init(&adam, n, 0.03, &err));
  for (size_t i = 0; i < n; i++) x[i] = 1.0;
  for (const double *step = file.data; step < (const double *)file.data + 50 * n; step += 2 * n) {
    pmn_adam_step(&adam, step, x);
    for (size_t i = 0; i < n; i++) assert_true(fabs(x[i] - step[n + i]) <= 1e-14);
  }
  pmn_adam_reset(&adam);
  free(file.data);
  for (int64_t k = 0; k < 2; k++) {
    pmn_mem_fail_after(k);
    pmn_status st = pmn_adam_init(&adam, n, 0.03, &err);
    pmn_mem_fail_after(-1);
    assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  }
}

int main(void) {
  openblas_set_num_threads(1);
  const struct CMUnitTest tests[] = {cmocka_unit_test(rosenbrock_is_solved), cmocka_unit_test(quadratic_is_solved),
      cmocka_unit_test(the_end_is_found), cmocka_unit_test(a_step_too_far_is_shortened),
      cmocka_unit_test(a_step_that_wins_nothing_is_shortened), cmocka_unit_test(a_bend_is_found),
      cmocka_unit_test(ends_as_asked), cmocka_unit_test(errors), cmocka_unit_test(allocations_may_fail),
      cmocka_unit_test(adam_steps_as_scikit_learn)};
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
