/* pmn_lbfgs.c - see pmn_lbfgs.h. Nocedal and Wright, Numerical Optimization, 2006: the numbers are theirs.
 *
 * Direction d = -H g with H, the inverse Hessian, known from the last `memory` steps s = x_new - x and their changes of
 * the gradient y = g_new - g: the two-loop recursion (algorithm 7.4), which begins with H_0 = s'y / y'y (7.20).
 *
 * The length of a step is found along phi(a) = f(x + a d), by algorithms 3.5 and 3.6 in one loop: `low` is the best
 * length so far that has
 *
 *   phi(a) <= phi(0) + DECREASE a phi'(0)     sufficient decrease
 *
 * and a is taken once also |phi'(a)| <= CURVATURE |phi'(0)|, the strong Wolfe conditions. They give s'y > 0, so that H
 * stays positive definite. While nothing lies beyond, a grows; once phi has risen between low and `high`, a minimum is
 * between the two, and a is the minimum of the cubic through both (3.59), kept off the ends. With CURVATURE 0.9 the
 * first try, a = 1, nearly always holds: an iteration costs one evaluation.
 *
 * Workload: 10^3 to 10^6 variables, an evaluation that costs some hundred times what these vectors do.
 */
#include "pmn_lbfgs.h"

#include "pmn_mem.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#define DECREASE 1e-4
#define CURVATURE 0.9
#define MARGIN 0.1 /* share of the bracket that a stays off its ends */
enum { TRIES_MAX = 30, GROWTH = 4 };

/* phi at a length. */
typedef struct point {
  double a, value, slope;
} point;

typedef struct search {
  const pmn_lbfgs_problem *problem;
  int32_t memory, have, next; /* of remembered steps: room, how many, place of the next */
  size_t n;
  double *s, *y, *rho, *alpha;                           /* [memory, n] twice, [memory] 1 / s'y, [memory] */
  double *gradient, *direction, *tried, *tried_gradient; /* [n] each; tried: x + a d */
  int64_t evaluations;
} search;

double pmn_lbfgs_memory(size_t count, int32_t memory) {
  return ((2.0 * memory + 4.0) * (double)count + 2.0 * memory) * sizeof(double);
}

static double dot(const search *s, const double *a, const double *b) {
  return cblas_ddot((int)s->n, a, 1, b, 1);
}

static void search_reset(search *s) {
  pmn_free(s->s);
  pmn_free(s->y);
  pmn_free(s->rho);
  pmn_free(s->gradient);
  pmn_free(s->direction);
  pmn_free(s->tried);
  pmn_free(s->tried_gradient);
}

static pmn_status search_init(search *s, const pmn_lbfgs_problem *problem, int32_t memory, pmn_err *err) {
  size_t n = problem->count, steps = 0;
  memset(s, 0, sizeof *s);
  s->problem = problem;
  s->memory = memory;
  s->n = n;
  if (!pmn_size_mul(n, (size_t)memory, &steps)) return pmn_err_memory(err, SIZE_MAX, "the steps of L-BFGS");
  s->s = pmn_alloc_aligned(steps, sizeof *s->s);
  s->y = pmn_alloc_aligned(steps, sizeof *s->y);
  s->rho = pmn_alloc_aligned(2 * (size_t)memory, sizeof *s->rho);
  s->gradient = pmn_alloc_aligned(n, sizeof *s->gradient);
  s->direction = pmn_alloc_aligned(n, sizeof *s->direction);
  s->tried = pmn_alloc_aligned(n, sizeof *s->tried);
  s->tried_gradient = pmn_alloc_aligned(n, sizeof *s->tried_gradient);
  if (s->s == NULL || s->y == NULL || s->rho == NULL || s->gradient == NULL || s->direction == NULL ||
      s->tried == NULL || s->tried_gradient == NULL)
    return pmn_err_memory(err, (size_t)pmn_lbfgs_memory(n, memory), "the steps of L-BFGS");
  s->alpha = s->rho + memory;
  return PMN_STATUS_OK;
}

/* ------------------------------------------------------------------------------------------------- direction -- */

/* direction = -H gradient. */
static void direction_make(search *s) {
  int n = (int)s->n;
  double *d = s->direction;
  for (size_t i = 0; i < s->n; i++) d[i] = -s->gradient[i];
  for (int32_t k = 1; k <= s->have; k++) { /* the latest first */
    int32_t at = (s->next - k + s->memory) % s->memory;
    const double *step = s->s + (size_t)at * s->n, *change = s->y + (size_t)at * s->n;
    s->alpha[at] = s->rho[at] * dot(s, step, d);
    cblas_daxpy(n, -s->alpha[at], change, 1, d, 1);
  }
  if (s->have > 0) {
    int32_t last = (s->next - 1 + s->memory) % s->memory;
    const double *change = s->y + (size_t)last * s->n;
    cblas_dscal(n, 1.0 / (s->rho[last] * dot(s, change, change)), d, 1);
  }
  for (int32_t k = s->have; k >= 1; k--) {
    int32_t at = (s->next - k + s->memory) % s->memory;
    const double *step = s->s + (size_t)at * s->n, *change = s->y + (size_t)at * s->n;
    cblas_daxpy(n, s->alpha[at] - s->rho[at] * dot(s, change, d), step, 1, d, 1);
  }
}

/* Remembers the step from x to `tried`, which takes the place of the oldest; one along which the gradient did not grow,
 * as far as rounding can tell, says nothing of H. */
static void step_remember(search *s, const double *x) {
  double *step = s->s + (size_t)s->next * s->n, *change = s->y + (size_t)s->next * s->n;
  for (size_t i = 0; i < s->n; i++) {
    step[i] = s->tried[i] - x[i];
    change[i] = s->tried_gradient[i] - s->gradient[i];
  }
  double curvature = dot(s, step, change);
  if (!(curvature > DBL_EPSILON * dot(s, change, change))) return;
  s->rho[s->next] = 1.0 / curvature;
  s->next = (s->next + 1) % s->memory;
  if (s->have < s->memory) s->have++;
}

/* ----------------------------------------------------------------------------------------------- step length -- */

/* phi(a); tried and tried_gradient are of it. */
static pmn_status evaluate(search *s, const double *x, double a, point *p, pmn_err *err) {
  memcpy(s->tried, x, s->n * sizeof *x);
  cblas_daxpy((int)s->n, a, s->direction, 1, s->tried, 1);
  pmn_status st = s->problem->evaluate(s->problem->arg, s->tried, &p->value, s->tried_gradient, err);
  p->a = a;
  p->slope = st == PMN_STATUS_OK ? dot(s, s->tried_gradient, s->direction) : 0.0;
  s->evaluations++;
  return st;
}

static bool is_finite(const point *p) {
  return isfinite(p->value) && isfinite(p->slope);
}

/* A length between the two: where the cubic through their values and slopes is least, or the middle. */
static double between(const point *low, const point *high) {
  double width = high->a - low->a, middle = low->a + 0.5 * width;
  if (!is_finite(high)) return middle;
  double d1 = low->slope + high->slope - 3.0 * (low->value - high->value) / (low->a - high->a);
  double square = d1 * d1 - low->slope * high->slope;
  if (!(square >= 0.0)) return middle;
  double d2 = copysign(sqrt(square), width);
  double a = high->a - width * (high->slope + d2 - d1) / (high->slope - low->slope + 2.0 * d2);
  double share = (a - low->a) / width;
  return share >= MARGIN && share <= 1.0 - MARGIN ? a : middle;
}

/* Finds a length, the first try being `a`, and leaves in *found the point that it leads to, as `tried` is; found->a = 0
 * when there is none that is lower. `start` is phi(0), its slope negative. */
static pmn_status line_search(search *s, const double *x, const point *start, double a, point *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  point low = *start, high = {0}, p = {0};
  bool bracketed = false;
  for (int tries = 0; tries < TRIES_MAX; tries++) {
    PMN_TRY(evaluate(s, x, a, &p, err));
    if (!is_finite(&p) || p.value > start->value + DECREASE * a * start->slope ||
        (low.a > 0.0 && p.value >= low.value)) {
      high = p;
      bracketed = true;
    } else {
      if (fabs(p.slope) <= -CURVATURE * start->slope) {
        *found = p;
        goto done;
      }
      if (bracketed ? p.slope * (high.a - low.a) >= 0.0 : p.slope >= 0.0) {
        high = low;
        bracketed = true;
      }
      low = p;
    }
    if (bracketed && fabs(high.a - low.a) * -start->slope <= DBL_EPSILON * fabs(start->value)) break;
    a = bracketed ? between(&low, &high) : GROWTH * a;
  }
  *found = low;
  if (low.a > 0.0 && p.a != low.a) PMN_TRY(evaluate(s, x, low.a, found, err));
done:
  return st;
}

/* One step downhill from x; found->a = 0 when no lower value was found. What the memory says is only a guess: without
 * success along its direction, the gradient's own is tried. */
static pmn_status step_find(search *s, const double *x, double value, point *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (;;) {
    direction_make(s);
    point start = {0.0, value, dot(s, s->gradient, s->direction)};
    *found = start;
    if (start.slope < 0.0) {
      /* Nothing is known of H at first: a step along the gradient, of its length or 1, whichever is less. */
      double a = s->have > 0 ? 1.0 : fmin(1.0, 1.0 / sqrt(-start.slope));
      PMN_TRY(line_search(s, x, &start, a, found, err));
    }
    if (found->a > 0.0 || s->have == 0) break;
    s->have = 0;
  }
done:
  return st;
}

/* window: the values before each of the last steps. */
static bool has_converged(const double *window, int32_t iterations, double value, double tolerance) {
  if (iterations < PMN_LBFGS_WINDOW) return false;
  return window[iterations % PMN_LBFGS_WINDOW] - value <= tolerance * fmax(1.0, fabs(value));
}

pmn_status pmn_lbfgs(const pmn_lbfgs_problem *problem, const pmn_lbfgs_options *options, double *x,
    pmn_lbfgs_result *result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  double window[PMN_LBFGS_WINDOW], value = 0.0;
  search s;
  memset(result, 0, sizeof *result);
  PMN_TRY(search_init(&s, problem, options->memory, err));
  PMN_TRY(problem->evaluate(problem->arg, x, &value, s.gradient, err));
  s.evaluations = 1;
  if (!isfinite(value) || !isfinite(dot(&s, s.gradient, s.gradient)))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "L-BFGS: the value or its gradient is not finite where the search begins: scale the variables");
  result->end = PMN_LBFGS_ITERATIONS;
  while (result->iterations < options->iterations_max && result->end == PMN_LBFGS_ITERATIONS) {
    point found;
    bool stop = false;
    PMN_TRY(step_find(&s, x, value, &found, err));
    if (!(found.a > 0.0)) {
      result->end = PMN_LBFGS_FLAT;
      break;
    }
    step_remember(&s, x);
    memcpy(x, s.tried, s.n * sizeof *x);
    memcpy(s.gradient, s.tried_gradient, s.n * sizeof *x);
    window[result->iterations++ % PMN_LBFGS_WINDOW] = value;
    value = found.value;
    if (problem->on_step != NULL) PMN_TRY(problem->on_step(problem->arg, result->iterations, x, value, &stop, err));
    if (stop)
      result->end = PMN_LBFGS_STOPPED;
    else if (has_converged(window, result->iterations, value, options->tolerance))
      result->end = PMN_LBFGS_CONVERGED;
  }
  result->value = value;
  result->evaluations = s.evaluations;
done:
  search_reset(&s);
  return st;
}
