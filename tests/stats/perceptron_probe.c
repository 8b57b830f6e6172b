/* perceptron_probe.c - a perceptron for judge_perceptron.py, which lays its numbers down in a folder, raw, and takes
 * the answer from there.
 *
 *   perceptron_probe FOLDER WHAT ROWS INPUTS CLASSES HIDDEN ACTIVATION SOLVER ITERATIONS TOLERANCE PENALTY THREADS
 *
 * HIDDEN is a list like 21,21 or -; ACTIVATION logistic or relu; SOLVER lbfgs or adam. Read: x [rows, inputs] and
 * start, the weights, of doubles, labels of int32. Written: out, of doubles. WHAT is gradient  the loss at start, and
 * its gradient predict   the probabilities at start train     from start: the weights, whose loss, iterations and
 * seconds are printed
 */
#include "pmn_clock.h"
#include "pmn_perceptron_loss.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

static void die(const char *what) {
  fprintf(stderr, "%s\n", what);
  exit(1);
}

/* count values of `size` bytes of a file; free(). */
static void *load(const char *name, size_t count, size_t size) {
  char path[4096];
  void *data = malloc(count * size);
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  if (data == NULL || file == NULL || fread(data, size, count, file) != count) die(path);
  fclose(file);
  return data;
}

static void store(const double *data, size_t count) {
  char path[4096];
  snprintf(path, sizeof path, "%s/out", folder);
  FILE *file = fopen(path, "wb");
  if (file == NULL || fwrite(data, sizeof *data, count, file) != count || fclose(file) != 0) die(path);
}

typedef struct memory {
  const double *x;
  int32_t width;
} memory;

static pmn_status read_rows(void *arg, int64_t first, int32_t n, double *rows, pmn_err *err) {
  (void)err;
  const memory *m = arg;
  memcpy(rows, m->x + first * m->width, (size_t)n * (size_t)m->width * sizeof *rows);
  return PMN_STATUS_OK;
}

int main(int argc, char **argv) {
  pmn_err err = PMN_ERR_INIT;
  pmn_perceptron *p = NULL;
  pmn_pool *pool = NULL;
  pmn_loss *loss = NULL;
  if (argc != 13) die("see the head of perceptron_probe.c");
  folder = argv[1];
  int32_t rows = atoi(argv[3]), inputs = atoi(argv[4]), classes = atoi(argv[5]);
  pmn_perceptron_options options = {.activation = argv[7][0] == 'r' ? PMN_HIDDEN_RELU : PMN_HIDDEN_SIGMOID,
      .solver = argv[8][0] == 'a' ? PMN_SOLVER_ADAM : PMN_SOLVER_LBFGS,
      .iterations_max = atoi(argv[9]),
      .tolerance = atof(argv[10]),
      .penalty = atof(argv[11]),
      .threads = atoi(argv[12])};
  for (char *word = strtok(argv[6], ",-"); word != NULL; word = strtok(NULL, ","))
    options.hidden[options.hidden_count++] = atoi(word);

  pmn_perceptron given = {.layer_count = options.hidden_count + 1, .activation = options.activation};
  given.widths[0] = inputs;
  memcpy(given.widths + 1, options.hidden, (size_t)options.hidden_count * sizeof *given.widths);
  given.widths[given.layer_count] = classes;
  given.weight_count = pmn_perceptron_weight_count(given.widths, given.layer_count);
  given.weights = load("start", given.weight_count, sizeof *given.weights);
  double *x = load("x", (size_t)rows * (size_t)inputs, sizeof *x);
  int32_t *labels = load("labels", (size_t)rows, sizeof *labels);
  pmn_mlp net = {given.widths, given.layer_count, given.activation};

  if (strcmp(argv[2], "gradient") == 0) {
    double *out = calloc(given.weight_count + 1, sizeof *out);
    pmn_examples all = {x, labels, NULL, rows};
    openblas_set_num_threads(1);
    if (out == NULL || pmn_pool_create(options.threads, &pool, &err) != PMN_STATUS_OK ||
        pmn_loss_create(&net, rows, pool, &loss, &err) != PMN_STATUS_OK)
      die(err.message);
    out[0] = pmn_loss_run(loss, given.weights, &all, options.penalty / rows, out + 1);
    store(out, given.weight_count + 1);
    free(out);
  } else if (strcmp(argv[2], "predict") == 0) {
    double *out = calloc((size_t)rows * (size_t)classes, sizeof *out);
    if (out == NULL || pmn_perceptron_predict(&given, x, rows, out, &err) != PMN_STATUS_OK) die(err.message);
    store(out, (size_t)rows * (size_t)classes);
    free(out);
  } else {
    pmn_rows source = {rows, inputs, &(memory){x, inputs}, read_rows};
    double begin = pmn_clock_seconds();
    if (pmn_perceptron_train_from(given.weights, &source, labels, classes, &options, &p, &err) != PMN_STATUS_OK)
      die(err.message);
    printf("%.17g %d %.6f\n", p->loss, p->iterations, pmn_clock_seconds() - begin);
    store(p->weights, p->weight_count);
  }
  pmn_perceptron_destroy(p);
  pmn_loss_destroy(loss);
  pmn_pool_destroy(pool);
  free(given.weights);
  free(x);
  free(labels);
  return 0;
}
