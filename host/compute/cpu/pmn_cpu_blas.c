/* pmn_cpu_blas.c - see pmn_cpu_blas.h.
 *
 * OpenBLAS is held to one thread: its sums depend on the number of threads, ours must not. Instead the triangle of the
 * scatter is cut into squares of fixed size, and our threads share those out; every square is summed by one of them, in
 * the order of the rows. Products are cut into slabs of rows. fp64 throughout: 1.6 million multiply-adds a picture of
 * 1280 features, where the network itself takes 400 million.
 */
#include "pmn_cpu_blas.h"

#include "pmn_cpu_network.h"
#include "pmn_pool.h"

#include <cblas.h>

enum { SQUARE = 320, SLAB = 128 /* rows of a product */ };

typedef struct scatter {
  const double *x;
  double *c;
  int32_t n, d;
} scatter;

/* Square number `index` of the upper triangle, counted column of squares by column of squares: the largest first, so
 * that the threads end together. */
static void scatter_square(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const scatter *s = arg;
  int32_t column = (s->d + SQUARE - 1) / SQUARE - 1;
  while (index > column) index -= column-- + 1;
  int32_t i = (int32_t)index * SQUARE, j = column * SQUARE;
  int32_t rows = s->d - i < SQUARE ? s->d - i : SQUARE, columns = s->d - j < SQUARE ? s->d - j : SQUARE;
  double *c = s->c + (size_t)i * (size_t)s->d + (size_t)j;
  if (i == j)
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, rows, s->n, 1.0, s->x + i, s->d, 1.0, c, s->d);
  else
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, rows, columns, s->n, 1.0, s->x + i, s->d, s->x + j, s->d, 1.0,
        c, s->d);
}

pmn_status pmn_cpu_syrk(pmn_device *device, const double *x, int32_t n, int32_t d, double *c, pmn_err *err) {
  (void)err;
  int64_t squares = (d + SQUARE - 1) / SQUARE;
  scatter s = {x, c, n, d};
  openblas_set_num_threads(1);
  pmn_pool_run(((pmn_cpu_device *)device)->pool, squares * (squares + 1) / 2, scatter_square, &s);
  return PMN_STATUS_OK;
}

typedef struct product {
  const double *a, *b;
  double *y;
  int32_t n, k, m;
} product;

static void product_slab(void *arg, int64_t index, int32_t worker) {
  (void)worker;
  const product *p = arg;
  int32_t first = (int32_t)index * SLAB, rows = p->n - first < SLAB ? p->n - first : SLAB;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, p->m, p->k, 1.0, p->a + (size_t)first * (size_t)p->k, p->k,
      p->b, p->k, 0.0, p->y + (size_t)first * (size_t)p->m, p->m);
}

pmn_status pmn_cpu_gemm_plain(
    pmn_device *device, const double *a, const double *b, int32_t n, int32_t k, int32_t m, double *y, pmn_err *err) {
  (void)err;
  product p = {a, b, y, n, k, m};
  openblas_set_num_threads(1);
  pmn_pool_run(((pmn_cpu_device *)device)->pool, (n + SLAB - 1) / SLAB, product_slab, &p);
  return PMN_STATUS_OK;
}
