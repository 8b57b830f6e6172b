/* pmn_perceptron.c - see pmn_perceptron.h: options, the two ways to train, when they end, and what is kept.
 *
 * Workload: 10^3 to 10^5 rows of 20 to 1280 inputs, one or two hidden layers of 20 to 100, 3 to 131 classes. Nearly all
 * time goes to pmn_loss_run; between its calls one thread works.
 *
 * Random numbers are drawn from one generator, in this order: the first weights, the rows that are held out, the order
 * of the rows in every epoch of Adam. So the first weights depend on the seed and the widths alone.
 */
#include "pmn_perceptron.h"

#include "pmn_adam.h"
#include "pmn_lbfgs.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_perceptron_loss.h"
#include "pmn_perceptron_rows.h"

#include <cblas.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Steps that L-BFGS remembers: as Spark, SciPy and Nocedal and Wright's advice of 3 to 20 have it. */
enum { STEPS = 10, ITERATIONS = 100, BATCH = 200, PATIENCE = 10 };
#define TOLERANCE 1e-6
#define RATE 1e-3

/* A training under way. */
typedef struct training {
  pmn_perceptron_options options; /* zeros replaced by what they stand for */
  pmn_perceptron *made;           /* its weights: the best so far, once best_at > 0 */
  pmn_mlp net;
  pmn_lessons lessons;
  pmn_random random;
  pmn_pool *pool;
  pmn_loss *loss;
  double *weights; /* [weight_count] as they are */
  double penalty;  /* on a mean over rows */
  double best;     /* the least held-out loss, */
  int32_t best_at; /* and its iteration; 0: none */
  bool begun;      /* a loss was finite */
} training;

/* --------------------------------------------------------------------------------------------------- options -- */

static pmn_status check_number(double value, const char *what, pmn_err *err) {
  if (isfinite(value) && value >= 0.0) return PMN_STATUS_OK;
  return pmn_err_set(
      err, PMN_STATUS_ARGUMENT, 0, "perceptron: the %s is %g: it must be 0, or a positive number", what, value);
}

static pmn_status check_options(const pmn_perceptron_options *o, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (o->hidden_count < 0 || o->hidden_count > PMN_HIDDEN_LAYERS_MAX)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "perceptron: %" PRId32 " hidden layers: 0 to %d are possible", o->hidden_count,
        PMN_HIDDEN_LAYERS_MAX);
  for (int32_t l = 0; l < o->hidden_count; l++) {
    if (o->hidden[l] < 1)
      PMN_FAIL(err, PMN_STATUS_ARGUMENT,
          "perceptron: hidden layer %" PRId32 " has width %" PRId32 ": at least 1 is needed", l + 1, o->hidden[l]);
  }
  if ((o->activation != PMN_HIDDEN_SIGMOID && o->activation != PMN_HIDDEN_RELU) ||
      (o->solver != PMN_SOLVER_LBFGS && o->solver != PMN_SOLVER_ADAM))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "perceptron: no such activation (%d) or solver (%d)", (int)o->activation,
        (int)o->solver);
  if (o->iterations_max < 0 || o->batch < 0 || o->patience < 0 || o->threads < 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "perceptron: iterations %" PRId32 ", batch %" PRId32 ", patience %" PRId32 ", threads %" PRId32
        ": none may be negative",
        o->iterations_max, o->batch, o->patience, o->threads);
  PMN_TRY(check_number(o->tolerance, "tolerance", err));
  PMN_TRY(check_number(o->penalty, "penalty", err));
  PMN_TRY(check_number(o->rate, "rate", err));
  if (!(o->held_out >= 0.0 && o->held_out < 1.0))
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "perceptron: the share of rows held out is %g: it must be at least 0 and below 1", o->held_out);
done:
  return st;
}

/* What zeros stand for. */
static pmn_perceptron_options settled(const pmn_perceptron_options *options) {
  pmn_perceptron_options o = *options;
  if (o.iterations_max == 0) o.iterations_max = ITERATIONS;
  if (o.tolerance == 0.0) o.tolerance = TOLERANCE;
  if (o.rate == 0.0) o.rate = RATE;
  if (o.batch == 0) o.batch = BATCH;
  if (o.patience == 0) o.patience = PATIENCE;
  if (o.threads == 0) o.threads = 1;
  return o;
}

/* Of checked options. */
static int32_t widths_of(
    int32_t inputs, int32_t classes, const pmn_perceptron_options *options, int32_t widths[PMN_HIDDEN_LAYERS_MAX + 2]) {
  int32_t hidden = options->hidden_count;
  widths[0] = inputs;
  for (int32_t l = 0; l < hidden; l++) widths[l + 1] = options->hidden[l];
  widths[hidden + 1] = classes;
  return hidden + 1;
}

/* Rows whose gradient is asked for at once, of settled options. */
static int64_t rows_at_once(const pmn_perceptron_options *o, int64_t rows) {
  return o->solver == PMN_SOLVER_ADAM && o->batch < rows ? o->batch : rows;
}

double pmn_perceptron_memory(int64_t rows, int32_t width, int32_t classes, const pmn_perceptron_options *options) {
  int32_t widths[PMN_HIDDEN_LAYERS_MAX + 2];
  pmn_err err = PMN_ERR_INIT;
  if (rows < 1 || check_options(options, &err) != PMN_STATUS_OK) return 0.0;
  int32_t layer_count = widths_of(width, classes, options, widths);
  pmn_perceptron_options o = settled(options);
  pmn_mlp net = {widths, layer_count, options->activation};
  size_t count = pmn_perceptron_weight_count(widths, layer_count);
  if (count == 0) return 0.0;
  double steps = options->solver == PMN_SOLVER_LBFGS
                     ? pmn_lbfgs_memory(count, STEPS)
                     : 3.0 * (double)count * sizeof(double) + (double)rows * sizeof(int64_t);
  return pmn_lessons_memory(rows, width, classes) + 2.0 * (double)count * sizeof(double) + steps +
         pmn_loss_memory(&net, rows_at_once(&o, rows), o.threads);
}

/* -------------------------------------------------------------------------------------------------- training -- */

static pmn_mlp net_of(const pmn_perceptron *p) {
  return (pmn_mlp){p->widths, p->layer_count, p->activation};
}

static pmn_status fail_infinite(const training *t, pmn_err *err) {
  if (!t->begun)
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "perceptron: the loss is no finite number at the start: the features are too large, standardise them");
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "perceptron: the loss became no finite number after iteration %" PRId32
      ": standardise the features, or with Adam take a smaller rate than %g",
      t->made->iterations, t->options.rate);
}

static pmn_examples trained_rows(const training *t) {
  return (pmn_examples){t->lessons.x, t->lessons.labels, NULL, t->lessons.count};
}

static double held_out_loss(const training *t, const double *weights) {
  const pmn_lessons *l = &t->lessons;
  if (l->held_count == 0) return NAN;
  pmn_examples held = {l->x + (size_t)l->count * (size_t)t->net.widths[0], l->labels + l->count, NULL, l->held_count};
  return pmn_loss_run(t->loss, weights, &held, 0.0, NULL);
}

/* After every step of L-BFGS and every epoch of Adam. */
static pmn_status after_iteration(
    void *arg, int32_t iteration, const double *weights, double loss, bool *stop, pmn_err *err) {
  training *t = arg;
  double held = held_out_loss(t, weights);
  if (t->lessons.held_count > 0 && !isfinite(held)) return fail_infinite(t, err);
  t->made->iterations = iteration;
  if (t->lessons.held_count > 0) {
    if (t->best_at == 0 || held < t->best) {
      t->best = held;
      t->best_at = iteration;
      memcpy(t->made->weights, weights, t->made->weight_count * sizeof *weights);
    }
    *stop = iteration - t->best_at >= t->options.patience;
  }
  if (t->options.on_iteration != NULL) t->options.on_iteration(t->options.callback_arg, iteration, loss, held);
  return PMN_STATUS_OK;
}

static pmn_status evaluate(void *arg, const double *weights, double *loss, double *gradient, pmn_err *err) {
  training *t = arg;
  pmn_examples all = trained_rows(t);
  pmn_status st = pmn_watch_check(&t->options.watch, err);
  if (st != PMN_STATUS_OK) return st;
  *loss = pmn_loss_run(t->loss, weights, &all, t->penalty, gradient);
  if (!isfinite(*loss) && !t->begun) return fail_infinite(t, err);
  t->begun = true;
  return PMN_STATUS_OK;
}

static pmn_status train_lbfgs(training *t, pmn_err *err) {
  pmn_lbfgs_problem problem = {t->made->weight_count, t, evaluate, after_iteration};
  pmn_lbfgs_options options = {STEPS, t->options.iterations_max, t->options.tolerance};
  pmn_lbfgs_result result;
  return pmn_lbfgs(&problem, &options, t->weights, &result, err);
}

/* Fisher and Yates. */
static void shuffle(pmn_random *random, int64_t *index, int64_t count) {
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t other = (int64_t)pmn_random_below(random, (uint64_t)i + 1), row = index[i];
    index[i] = index[other];
    index[other] = row;
  }
}

/* Once through all rows; *loss is the mean of the batches', each with the weights that it found. */
static pmn_status epoch(
    training *t, pmn_adam *adam, const int64_t *index, double *gradient, double *loss, pmn_err *err) {
  double sum = 0.0;
  for (int64_t first = 0; first < t->lessons.count; first += t->options.batch) {
    pmn_examples batch = trained_rows(t);
    batch.index = index + first;
    if (batch.count - first < t->options.batch)
      batch.count -= first;
    else
      batch.count = t->options.batch;
    pmn_status st = pmn_watch_check(&t->options.watch, err);
    if (st != PMN_STATUS_OK) return st;
    double of_batch = pmn_loss_run(t->loss, t->weights, &batch, t->penalty, gradient);
    if (!isfinite(of_batch)) return fail_infinite(t, err);
    t->begun = true;
    pmn_adam_step(adam, gradient, t->weights);
    sum += of_batch * (double)batch.count;
  }
  *loss = sum / (double)t->lessons.count;
  return PMN_STATUS_OK;
}

static pmn_status train_adam(training *t, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t rows = (size_t)t->lessons.count;
  pmn_adam adam = {0};
  int64_t *index = pmn_alloc(rows, sizeof *index);
  double *gradient = pmn_alloc_aligned(t->made->weight_count, sizeof *gradient);
  if (index == NULL || gradient == NULL) {
    st = pmn_err_memory(err, rows * sizeof *index + t->made->weight_count * sizeof *gradient, "an epoch of Adam");
    goto done;
  }
  PMN_TRY(pmn_adam_init(&adam, t->made->weight_count, t->options.rate, err));
  for (size_t i = 0; i < rows; i++) index[i] = (int64_t)i;
  bool stop = false;
  for (int32_t i = 1; i <= t->options.iterations_max && !stop; i++) {
    double loss = 0.0;
    shuffle(&t->random, index, t->lessons.count);
    PMN_TRY(epoch(t, &adam, index, gradient, &loss, err));
    PMN_TRY(after_iteration(t, i, t->weights, loss, &stop, err));
  }
done:
  pmn_adam_reset(&adam);
  pmn_free(index);
  pmn_free(gradient);
  return st;
}

/* What the training has led to, and its losses. */
static pmn_status finish(training *t, pmn_err *err) {
  pmn_perceptron *made = t->made;
  pmn_examples all = trained_rows(t);
  if (t->best_at == 0) memcpy(made->weights, t->weights, made->weight_count * sizeof *made->weights);
  made->loss = pmn_loss_run(t->loss, made->weights, &all, t->penalty, NULL);
  made->held_out_loss = held_out_loss(t, made->weights);
  made->rows = t->lessons.count;
  made->held_out_rows = t->lessons.held_count;
  return isfinite(made->loss) ? PMN_STATUS_OK : fail_infinite(t, err);
}

/* ---------------------------------------------------------------------------------------------- the whole way -- */

static pmn_status perceptron_create(
    int32_t inputs, int32_t classes, const pmn_perceptron_options *options, pmn_perceptron **perceptron, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_perceptron *p = *perceptron = pmn_calloc(1, sizeof *p);
  if (p == NULL) return pmn_err_memory(err, sizeof *p, "a perceptron");
  p->layer_count = widths_of(inputs, classes, options, p->widths);
  p->activation = options->activation;
  p->weight_count = pmn_perceptron_weight_count(p->widths, p->layer_count);
  if (p->weight_count == 0)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "perceptron: its layers have more than %" PRId32 " weights: make the hidden layers narrower", INT32_MAX);
  p->weights = pmn_alloc_aligned(p->weight_count, sizeof *p->weights);
  if (p->weights == NULL) st = pmn_err_memory(err, p->weight_count * sizeof *p->weights, "the weights of a perceptron");
done:
  if (st != PMN_STATUS_OK) {
    pmn_perceptron_destroy(p);
    *perceptron = NULL;
  }
  return st;
}

/* All but the rows; options are checked. */
static pmn_status training_init(training *t, const double *start, const pmn_rows *rows, int32_t classes,
    const pmn_perceptron_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  t->options = settled(options);
  openblas_set_num_threads(1); /* its sums depend on the number of threads, the weights must not */
  pmn_random_init(&t->random, t->options.seed);
  PMN_TRY(perceptron_create(rows->width, classes, options, &t->made, err));
  t->net = net_of(t->made);
  size_t count = t->made->weight_count;
  t->weights = pmn_alloc_aligned(count, sizeof *t->weights);
  if (t->weights == NULL) {
    st = pmn_err_memory(err, count * sizeof *t->weights, "the weights of a perceptron");
    goto done;
  }
  if (start != NULL)
    memcpy(t->weights, start, count * sizeof *start);
  else
    pmn_mlp_start(&t->net, &t->random, t->weights);
  PMN_TRY(pmn_pool_create(t->options.threads, &t->pool, err));
  PMN_TRY(pmn_loss_create(&t->net, rows_at_once(&t->options, rows->count), t->pool, &t->loss, err));
done:
  return st;
}

static void training_reset(training *t) {
  pmn_perceptron_destroy(t->made);
  pmn_loss_destroy(t->loss);
  pmn_pool_destroy(t->pool);
  pmn_lessons_reset(&t->lessons);
  pmn_free(t->weights);
}

pmn_status pmn_perceptron_train_from(const double *start, const pmn_rows *rows, const int32_t *labels, int32_t classes,
    const pmn_perceptron_options *options, pmn_perceptron **perceptron, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  training t = {.made = NULL};
  *perceptron = NULL;
  PMN_TRY(check_options(options, err));
  if (classes < 2)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "perceptron: %" PRId32 " classes: at least two are needed to tell them apart",
        classes);
  if (rows->count < classes || rows->width < 1)
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "perceptron: %" PRId64 " rows of %" PRId32 " columns: each of %" PRId32 " classes needs a row", rows->count,
        rows->width, classes);
  PMN_TRY(training_init(&t, start, rows, classes, options, err));
  PMN_TRY(pmn_lessons_init(&t.lessons, rows, labels, classes, t.options.held_out, &t.random, &t.options.watch, err));
  if (t.options.batch > t.lessons.count) t.options.batch = (int32_t)t.lessons.count;
  t.penalty = t.options.penalty / (double)t.lessons.count;
  PMN_TRY(t.options.solver == PMN_SOLVER_LBFGS ? train_lbfgs(&t, err) : train_adam(&t, err));
  PMN_TRY(finish(&t, err));
  *perceptron = t.made;
  t.made = NULL;
done:
  training_reset(&t);
  return st;
}

pmn_status pmn_perceptron_train(const pmn_rows *rows, const int32_t *labels, int32_t classes,
    const pmn_perceptron_options *options, pmn_perceptron **perceptron, pmn_err *err) {
  return pmn_perceptron_train_from(NULL, rows, labels, classes, options, perceptron, err);
}

void pmn_perceptron_destroy(pmn_perceptron *perceptron) {
  if (perceptron == NULL) return;
  pmn_free(perceptron->weights);
  pmn_free(perceptron);
}

pmn_status pmn_perceptron_predict(
    const pmn_perceptron *perceptron, const double *x, int32_t n, double *p, pmn_err *err) {
  pmn_mlp net = net_of(perceptron);
  int32_t width = perceptron->widths[0], classes = perceptron->widths[perceptron->layer_count];
  size_t values = (size_t)n * (size_t)width, results = (size_t)n * (size_t)classes;
  size_t bad = pmn_nonfinite_find_wide(x, values), room_count = pmn_mlp_room(&net);
  if (bad < values)
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "row %zu, column %zu is no finite number: a perceptron needs finite values", bad / (size_t)width,
        bad % (size_t)width);
  double *room = pmn_alloc_aligned(room_count, sizeof *room);
  if (room == NULL) return pmn_err_memory(err, room_count * sizeof *room, "the layers of a perceptron");
  openblas_set_num_threads(1);
  pmn_mlp_predict(&net, perceptron->weights, x, n, room, p);
  pmn_free(room);
  bad = pmn_nonfinite_find_wide(p, results);
  if (bad == results) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "row %zu has no finite probabilities: its values are far from those that the perceptron was trained with",
      bad / (size_t)classes);
}
