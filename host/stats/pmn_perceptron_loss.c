/* pmn_perceptron_loss.c - see pmn_perceptron_loss.h.
 *
 * With A_0 = x [rows, inputs], for a block of rows:
 *
 *   Z_l = A_(l-1) W_l' + b_l,   A_l = f(Z_l),   P = softmax(Z_L)          forwards
 *   D_L = P - (1 at the label)                                             backwards: D_l = dloss / dZ_l
 *   dloss / dW_l = D_l' A_(l-1),   dloss / db_l = column sums of D_l
 *   D_(l-1) = (D_l W_l) f'(Z_(l-1)),   f' = a (1 - a) for the logistic function, (a > 0) for max(0, z)
 *
 * (Rumelhart, Hinton and Williams, 1986). -ln p[label] = ln sum exp(z - max) - (z[label] - max): neither overflows, nor
 * is a small p rounded to 0 before its logarithm is taken.
 *
 * Rows are cut into pieces, whose number follows from the number of rows alone; threads share them out. A piece is gone
 * through in blocks that stay in the cache, its gradient summed in the order of its rows, and the pieces' sums are
 * added in their order: the same bits for any number of threads. OpenBLAS is on one thread.
 */
#include "pmn_perceptron_loss.h"

#include "pmn_mem.h"
#include "pmn_numbers.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

/* Rows that make a piece worth its sum; pieces, each with a gradient of its own; and how many weights are summed over
 * all pieces at a time. */
enum { PIECE_LEAST = 128, PIECES_MAX = 32, STRETCH = 4096 };

static size_t layer_weights(const int32_t *widths, int32_t layer) {
  return ((size_t)widths[layer] + 1) * (size_t)widths[layer + 1];
}

size_t pmn_perceptron_weight_count(const int32_t *widths, int32_t layer_count) {
  int64_t count = 0;
  if (layer_count < 1 || layer_count > PMN_HIDDEN_LAYERS_MAX + 1) return 0;
  for (int32_t l = 0; l <= layer_count; l++) {
    if (widths[l] < 1) return 0;
    if (l > 0) count += ((int64_t)widths[l - 1] + 1) * widths[l];
    if (count > INT32_MAX) return 0; /* CBLAS counts in 32 bits */
  }
  return (size_t)count;
}

void pmn_mlp_start(const pmn_mlp *net, pmn_random *random, double *weights) {
  double factor = net->activation == PMN_HIDDEN_SIGMOID ? 2.0 : 6.0;
  for (int32_t l = 0; l < net->layer_count; l++) {
    double bound = sqrt(factor / ((double)net->widths[l] + net->widths[l + 1]));
    size_t count = layer_weights(net->widths, l);
    for (size_t i = 0; i < count; i++) *weights++ = bound * (2.0 * pmn_random_uniform(random) - 1.0);
  }
}

/* -------------------------------------------------------------------------------------------------- forwards -- */

/* Widths of all layers but the inputs, together and at most. */
static size_t width_sum(const pmn_mlp *net) {
  size_t sum = 0;
  for (int32_t l = 1; l <= net->layer_count; l++) sum += (size_t)net->widths[l];
  return sum;
}

static size_t width_most(const pmn_mlp *net) {
  size_t most = 0;
  for (int32_t l = 1; l <= net->layer_count; l++) {
    if ((size_t)net->widths[l] > most) most = (size_t)net->widths[l];
  }
  return most;
}

/* Rows of a block: fewer where they are long. */
static int32_t block_of(const pmn_mlp *net) {
  size_t most = width_most(net);
  int32_t width = most > (size_t)net->widths[0] ? (int32_t)most : net->widths[0];
  return pmn_least(PMN_PERCEPTRON_BLOCK, pmn_block_rows(width));
}

/* a = f(a). NaN stays NaN. */
static void activate(pmn_hidden_kind kind, size_t count, double *a) {
  if (kind == PMN_HIDDEN_SIGMOID) {
    for (size_t i = 0; i < count; i++) a[i] = 1.0 / (1.0 + exp(-a[i]));
  } else {
    for (size_t i = 0; i < count; i++) a[i] = a[i] < 0.0 ? 0.0 : a[i];
  }
}

/* z = A W' + b of one layer, for n rows. */
static void layer_run(const double *a, const double *weights, int32_t inputs, int32_t outputs, int32_t n, double *z) {
  const double *b = weights + (size_t)inputs * (size_t)outputs;
  for (int32_t i = 0; i < n; i++) memcpy(z + (size_t)i * (size_t)outputs, b, (size_t)outputs * sizeof *z);
  cblas_dgemm(
      CblasRowMajor, CblasNoTrans, CblasTrans, n, outputs, inputs, 1.0, a, inputs, weights, inputs, 1.0, z, outputs);
}

/* The hidden layers A_1 .. A_(L-1), one behind the other in `layers`, and behind them Z_L, for n rows of a block. */
static double *forward(const pmn_mlp *net, const double *weights, const double *x, int32_t n, double *layers) {
  const double *from = x;
  double *to = layers;
  size_t block = (size_t)block_of(net);
  for (int32_t l = 0;; l++) {
    int32_t inputs = net->widths[l], outputs = net->widths[l + 1];
    layer_run(from, weights, inputs, outputs, n, to);
    if (l + 1 == net->layer_count) return to;
    activate(net->activation, (size_t)n * (size_t)outputs, to);
    weights += layer_weights(net->widths, l);
    from = to;
    to += block * (size_t)outputs;
  }
}

/* p = softmax(z), which may be the same; returns -ln p[label]. */
static double softmax(const double *z, int32_t classes, int32_t label, double *p) {
  double most = z[0], sum = 0.0;
  for (int32_t c = 1; c < classes; c++) most = z[c] > most ? z[c] : most;
  double of_label = z[label] - most;
  for (int32_t c = 0; c < classes; c++) sum += p[c] = exp(z[c] - most);
  for (int32_t c = 0; c < classes; c++) p[c] /= sum;
  return log(sum) - of_label;
}

size_t pmn_mlp_room(const pmn_mlp *net) {
  return (size_t)block_of(net) * width_sum(net);
}

void pmn_mlp_predict(const pmn_mlp *net, const double *weights, const double *x, int64_t n, double *room, double *p) {
  int32_t classes = net->widths[net->layer_count], block = block_of(net);
  for (int64_t first = 0; first < n; first += block) {
    int32_t rows = n - first < block ? (int32_t)(n - first) : block;
    const double *z = forward(net, weights, x + first * net->widths[0], rows, room);
    for (int32_t i = 0; i < rows; i++) {
      softmax(z + (size_t)i * (size_t)classes, classes, 0, p + (first + i) * classes);
    }
  }
}

/* ---------------------------------------------------------------------------------------- loss and backwards -- */

struct pmn_loss {
  pmn_mlp net;
  int32_t widths[PMN_HIDDEN_LAYERS_MAX + 2];
  pmn_pool *pool;
  size_t weight_count, room; /* room: doubles of one worker */
  double *rooms;             /* [workers, room] */
  double *gradients;         /* [pieces, weight_count] */
  double losses[PIECES_MAX];
  /* of the call in flight */
  const double *weights;
  const pmn_examples *examples;
  int64_t piece_rows;
  int32_t pieces;
  double penalty, *gradient;
};

static int32_t pieces_of(int64_t rows) {
  int64_t pieces = (rows + PIECE_LEAST - 1) / PIECE_LEAST;
  return pieces > PIECES_MAX ? PIECES_MAX : (int32_t)pieces;
}

/* Layers, a block of gathered rows, and D W. */
static size_t worker_room(const pmn_mlp *net) {
  return (size_t)block_of(net) * (width_sum(net) + (size_t)net->widths[0] + width_most(net));
}

double pmn_loss_memory(const pmn_mlp *net, int64_t rows_max, int32_t threads) {
  double weights = (double)pmn_perceptron_weight_count(net->widths, net->layer_count);
  return (weights * pieces_of(rows_max) + (double)worker_room(net) * threads) * sizeof(double) + sizeof(pmn_loss);
}

pmn_status pmn_loss_create(const pmn_mlp *net, int64_t rows_max, pmn_pool *pool, pmn_loss **loss, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t all_rooms = 0, all_weights = 0;
  pmn_loss *self = *loss = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the loss of a perceptron");
  self->net = *net;
  memcpy(self->widths, net->widths, ((size_t)net->layer_count + 1) * sizeof *self->widths);
  self->net.widths = self->widths;
  self->pool = pool;
  self->weight_count = pmn_perceptron_weight_count(net->widths, net->layer_count);
  self->room = worker_room(net);
  if (pmn_size_mul(self->room, (size_t)pmn_pool_threads(pool), &all_rooms))
    self->rooms = pmn_alloc_aligned(all_rooms, sizeof *self->rooms);
  if (pmn_size_mul(self->weight_count, (size_t)pieces_of(rows_max), &all_weights))
    self->gradients = pmn_alloc_aligned(all_weights, sizeof *self->gradients);
  if (self->rooms == NULL || self->gradients == NULL)
    st = pmn_err_memory(err, (all_rooms + all_weights) * sizeof *self->rooms, "the gradients of a perceptron");
  if (st != PMN_STATUS_OK) {
    pmn_loss_destroy(self);
    *loss = NULL;
  }
  return st;
}

void pmn_loss_destroy(pmn_loss *loss) {
  if (loss == NULL) return;
  pmn_free(loss->rooms);
  pmn_free(loss->gradients);
  pmn_free(loss);
}

/* Z_L becomes D_L; returns the sum of -ln p[label]. */
static double loss_of_outputs(double *z, int32_t classes, const pmn_examples *examples, int64_t first, int32_t n) {
  double sum = 0.0;
  for (int32_t i = 0; i < n; i++) {
    double *row = z + (size_t)i * (size_t)classes;
    int32_t label = examples->labels[examples->index != NULL ? examples->index[first + i] : first + i];
    sum += softmax(row, classes, label, row);
    row[label] -= 1.0;
  }
  return sum;
}

/* gradient += D'A and the column sums of D, of one layer. */
static void layer_gradient(
    const double *d, const double *a, int32_t inputs, int32_t outputs, int32_t n, double *gradient) {
  double *restrict b = gradient + (size_t)inputs * (size_t)outputs;
  cblas_dgemm(
      CblasRowMajor, CblasTrans, CblasNoTrans, outputs, inputs, n, 1.0, d, outputs, a, inputs, 1.0, gradient, inputs);
  for (int32_t i = 0; i < n; i++) {
    const double *restrict row = d + (size_t)i * (size_t)outputs;
    for (int32_t o = 0; o < outputs; o++) b[o] += row[o];
  }
}

/* a := d f', f' by what f gave. */
static void deactivate(pmn_hidden_kind kind, const double *restrict d, size_t count, double *restrict a) {
  if (kind == PMN_HIDDEN_SIGMOID) {
    for (size_t i = 0; i < count; i++) a[i] = d[i] * (a[i] * (1.0 - a[i]));
  } else {
    for (size_t i = 0; i < count; i++) a[i] = a[i] > 0.0 ? d[i] : 0.0;
  }
}

/* gradient += that of n rows x; `d` is D_L, in front of which the hidden layers lie; they become their D. */
static void backward(const pmn_loss *s, const double *x, int32_t n, double *d, double *product, double *gradient) {
  const pmn_mlp *net = &s->net;
  size_t behind = s->weight_count, block = (size_t)block_of(net);
  for (int32_t l = net->layer_count - 1;; l--) {
    int32_t inputs = net->widths[l], outputs = net->widths[l + 1];
    behind -= layer_weights(net->widths, l);
    if (l == 0) {
      layer_gradient(d, x, inputs, outputs, n, gradient + behind);
      return;
    }
    double *a = d - block * (size_t)inputs;
    layer_gradient(d, a, inputs, outputs, n, gradient + behind);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, inputs, outputs, 1.0, d, outputs, s->weights + behind,
        inputs, 0.0, product, inputs);
    deactivate(net->activation, product, (size_t)n * (size_t)inputs, a);
    d = a;
  }
}

/* The rows [first, first + n) of the examples: where they are, or copied to `gathered`. */
static const double *rows_of(const pmn_loss *s, int64_t first, int32_t n, double *gathered) {
  const pmn_examples *examples = s->examples;
  size_t width = (size_t)s->widths[0];
  if (examples->index == NULL) return examples->x + (size_t)first * width;
  for (int32_t i = 0; i < n; i++) {
    memcpy(gathered + (size_t)i * width, examples->x + (size_t)examples->index[first + i] * width,
        width * sizeof *gathered);
  }
  return gathered;
}

static void piece_run(void *arg, int64_t index, int32_t worker) {
  pmn_loss *s = arg;
  int32_t block = block_of(&s->net);
  double *layers = s->rooms + (size_t)worker * s->room, *gathered = layers + pmn_mlp_room(&s->net);
  double *product = gathered + (size_t)block * (size_t)s->widths[0];
  double *gradient = s->gradient != NULL ? s->gradients + (size_t)index * s->weight_count : NULL, loss = 0.0;
  int64_t first = index * s->piece_rows, end = first + s->piece_rows;
  if (end > s->examples->count) end = s->examples->count;
  if (gradient != NULL) memset(gradient, 0, s->weight_count * sizeof *gradient);
  for (; first < end; first += block) {
    int32_t n = end - first < block ? (int32_t)(end - first) : block;
    const double *x = rows_of(s, first, n, gathered);
    double *z = forward(&s->net, s->weights, x, n, layers);
    loss += loss_of_outputs(z, s->widths[s->net.layer_count], s->examples, first, n);
    if (gradient != NULL) backward(s, x, n, z, product, gradient);
  }
  s->losses[index] = loss;
}

/* Some weights' gradient: the mean of the pieces' sums. */
static void stretch_sum(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const pmn_loss *s = arg;
  size_t first = (size_t)index * STRETCH, count = s->weight_count - first < STRETCH ? s->weight_count - first : STRETCH;
  double *restrict to = s->gradient + first, inverse = 1.0 / (double)s->examples->count;
  memcpy(to, s->gradients + first, count * sizeof *to);
  for (int32_t p = 1; p < s->pieces; p++) {
    const double *restrict from = s->gradients + (size_t)p * s->weight_count + first;
    for (size_t i = 0; i < count; i++) to[i] += from[i];
  }
  for (size_t i = 0; i < count; i++) to[i] *= inverse;
}

/* Returns penalty / 2 * sum w^2, and adds its gradient. */
static double penalise(const pmn_mlp *net, const double *weights, double penalty, double *gradient) {
  double sum = 0.0;
  size_t behind = 0;
  if (penalty == 0.0) return 0.0;
  for (int32_t l = 0; l < net->layer_count; l++) {
    int32_t count = net->widths[l] * net->widths[l + 1];
    sum += cblas_ddot(count, weights + behind, 1, weights + behind, 1);
    if (gradient != NULL) cblas_daxpy(count, penalty, weights + behind, 1, gradient + behind, 1);
    behind += layer_weights(net->widths, l);
  }
  return 0.5 * penalty * sum;
}

double pmn_loss_run(
    pmn_loss *loss, const double *weights, const pmn_examples *examples, double penalty, double *gradient) {
  pmn_loss *s = loss;
  double sum = 0.0;
  s->weights = weights;
  s->examples = examples;
  s->gradient = gradient;
  s->piece_rows = (examples->count + pieces_of(examples->count) - 1) / pieces_of(examples->count);
  s->pieces = (int32_t)((examples->count + s->piece_rows - 1) / s->piece_rows);
  pmn_pool_run(s->pool, s->pieces, piece_run, s);
  for (int32_t p = 0; p < s->pieces; p++) sum += s->losses[p];
  if (gradient != NULL) pmn_pool_run(s->pool, ((int64_t)s->weight_count + STRETCH - 1) / STRETCH, stretch_sum, s);
  return sum / (double)examples->count + penalise(&s->net, weights, penalty, gradient);
}
