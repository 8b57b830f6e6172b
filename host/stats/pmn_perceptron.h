/* pmn_perceptron.h - a multilayer perceptron: rows in, probabilities of classes out.
 *
 *   a_0 = x,  a_l = f(W_l a_(l-1) + b_l) for hidden layers,  p = softmax(W_L a_(L-1) + b_L)
 *   loss = mean over rows of -ln p[label]  +  penalty / (2 rows) * sum of squared weights (not of b)
 *
 * f is the logistic function, as in Spark's MultilayerPerceptronClassifier, or max(0, z). Everything is fp64. The loss
 * and its gradient are summed over pieces of the rows whose borders depend on nothing but the number of rows, so the
 * result depends on data, options and seed alone, not on threads (of which 32 at most have something to do). The first
 * weights are Glorot's (Glorot and Bengio, 2010) with scikit-learn's bounds: uniform, b too, within +-sqrt(2 / (inputs
 * + outputs)) of a layer, with max(0, z) sqrt(6 / ...). OpenBLAS is set to one thread.
 */
#ifndef PMN_PERCEPTRON_H
#define PMN_PERCEPTRON_H

#include "pmn_stats.h"

typedef enum pmn_hidden_kind { PMN_HIDDEN_SIGMOID, PMN_HIDDEN_RELU } pmn_hidden_kind;
typedef enum pmn_solver_kind { PMN_SOLVER_LBFGS, PMN_SOLVER_ADAM } pmn_solver_kind;
enum { PMN_HIDDEN_LAYERS_MAX = 16 };

typedef struct pmn_perceptron_options {
  int32_t hidden[PMN_HIDDEN_LAYERS_MAX], hidden_count; /* widths of the hidden layers; none: logistic regression */
  pmn_hidden_kind activation;
  pmn_solver_kind
      solver; /* L-BFGS over all rows (Nocedal and Wright, 2006, chapter 7), or Adam (Kingma and Ba, 2015) */
  int32_t iterations_max; /* of L-BFGS, or epochs of Adam; 0: 100 */
  double tolerance; /* L-BFGS ends when the loss, in 10 iterations together, fell by no more than this share of it, or
                       of 1 if that is more; 0: 1e-6 */
  double penalty;   /* on squared weights; 0: none */
  double rate;      /* Adam's; 0: 1e-3 */
  int32_t batch;    /* Adam's rows, or all if there are fewer; 0: 200 */
  double held_out;  /* share of the rows, of every class alike, that is kept from the training, [0, 1): of c rows the
                       number nearest to c * held_out, but c - 1 at most, so a class with one row is never held out.
                       With it, the training ends when their loss has not fallen for `patience` iterations, and the
                       best weights are kept */
  int32_t patience; /* 0: 10 */
  uint64_t seed;
  int32_t threads; /* 0: one */
  pmn_watch watch;
  /* May be NULL. Of Adam, loss is the mean over the epoch's batches, each with the weights that it found; held_out_loss
   * is NaN when nothing is held out. */
  void (*on_iteration)(void *arg, int32_t iteration, double loss, double held_out_loss);
  void *callback_arg;
} pmn_perceptron_options;

typedef struct pmn_perceptron {
  int32_t layer_count;                       /* of weights: hidden layers + 1 */
  int32_t widths[PMN_HIDDEN_LAYERS_MAX + 2]; /* inputs, hidden layers, classes */
  pmn_hidden_kind activation;
  double *weights; /* layer after layer: W [outputs, inputs] row-major, then b [outputs] */
  size_t weight_count;
  int32_t iterations;          /* that the training took */
  double loss, held_out_loss;  /* of the weights that were kept; that of the rows held out is without the penalty, and
                                  NaN when there are none */
  int64_t rows, held_out_rows; /* that were trained, and held out */
} pmn_perceptron;

/* rows: read as pmn_rows says, once; finite; labels [rows->count], from 0 to classes - 1, every class with a row at
 * least. All rows are kept in memory (8 bytes a value): see pmn_perceptron_memory. The watch is asked before every sum
 * over all rows, or over a batch. Errors: PMN_STATUS_ARGUMENT (too few classes, a class without rows, numbers out of
 * range, no class with rows enough for held_out; the loss became no finite number), PMN_STATUS_NO_MEMORY; what the rows
 * or the watch return. */
PMN_MUST_USE pmn_status pmn_perceptron_train(const pmn_rows *rows, const int32_t *labels, int32_t classes,
    const pmn_perceptron_options *options, pmn_perceptron **perceptron, pmn_err *err);
void pmn_perceptron_destroy(pmn_perceptron *perceptron); /* NULL is fine */
/* Bytes, at most, that the training takes; 0 for options or widths that are out of range. */
double pmn_perceptron_memory(int64_t rows, int32_t width, int32_t classes, const pmn_perceptron_options *options);
/* Numbers that the weights of such widths [layer_count + 1] are; 0: out of range. */
size_t pmn_perceptron_weight_count(const int32_t *widths, int32_t layer_count);

/* Rows that are predicted together, at most. */
enum { PMN_PERCEPTRON_BLOCK = 256 };
/* p [n, classes] of x [n, inputs]. A stream of rows that is cut at multiples of PMN_PERCEPTRON_BLOCK has the same bits
 * wherever it is cut. Several threads may call with one perceptron. PMN_STATUS_ARGUMENT: a row is not finite, or its
 * probabilities are not; PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_perceptron_predict(
    const pmn_perceptron *perceptron, const double *x, int32_t n, double *p, pmn_err *err);

#endif
