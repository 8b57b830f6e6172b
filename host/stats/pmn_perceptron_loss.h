/* pmn_perceptron_loss.h - a perceptron as a network: its outputs, its loss over rows, and the loss's gradient; inside
 * stats and its tests only. */
#ifndef PMN_PERCEPTRON_LOSS_H
#define PMN_PERCEPTRON_LOSS_H

#include "pmn_perceptron.h"
#include "pmn_pool.h"
#include "pmn_random.h"

/* Weights lie as in pmn_perceptron. Borrowed. */
typedef struct pmn_mlp {
  const int32_t *widths;
  int32_t layer_count;
  pmn_hidden_kind activation;
} pmn_mlp;

/* Glorot and Bengio, 2010, with the bounds of scikit-learn's MLPClassifier: weights, b too, are uniform in
 * +-sqrt(2 / (inputs + outputs)) of their layer, with PMN_HIDDEN_RELU in +-sqrt(6 / (inputs + outputs)). */
void pmn_mlp_start(const pmn_mlp *net, pmn_random *random, double *weights);

/* What pmn_mlp_predict needs for its intermediate results: doubles; */
size_t pmn_mlp_room(const pmn_mlp *net);
/* with it, p [n, classes] of x [n, inputs]. */
void pmn_mlp_predict(const pmn_mlp *net, const double *weights, const double *x, int64_t n, double *room, double *p);

/* Rows that a loss is of; borrowed. */
typedef struct pmn_examples {
  const double *x;       /* [.., inputs] */
  const int32_t *labels; /* [..] */
  const int64_t *index;  /* [count] the rows that are meant; NULL: 0, 1, .. */
  int64_t count;
} pmn_examples;

typedef struct pmn_loss pmn_loss; /* one call at a time; it uses the threads of its pool */
/* For gradients of at most `rows_max` rows at once, and losses of any number. The pool is borrowed until destroy. */
PMN_MUST_USE pmn_status pmn_loss_create(
    const pmn_mlp *net, int64_t rows_max, pmn_pool *pool, pmn_loss **loss, pmn_err *err);
void pmn_loss_destroy(pmn_loss *loss);
/* The mean over rows of -ln p[label], and its gradient by the weights, of which gradient may be NULL. penalty:
 * `penalty` / 2 * sum of squared weights (not b) is added. */
double pmn_loss_run(
    pmn_loss *loss, const double *weights, const pmn_examples *examples, double penalty, double *gradient);
/* Bytes. */
double pmn_loss_memory(const pmn_mlp *net, int64_t rows_max, int32_t threads);

/* As pmn_perceptron_train, from given weights; NULL: from pmn_mlp_start's. */
PMN_MUST_USE pmn_status pmn_perceptron_train_from(const double *start, const pmn_rows *rows, const int32_t *labels,
    int32_t classes, const pmn_perceptron_options *options, pmn_perceptron **perceptron, pmn_err *err);

#endif
