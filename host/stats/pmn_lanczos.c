/* pmn_lanczos.c - block Lanczos with a basis that is kept, and thick restarts.
 *
 * The Krylov space of a block V of b vectors, span{V, A V, A^2 V, ...}, is built block by block; Q [m, order] are its
 * orthonormal vectors and P = Q A their images. In it the eigenvectors are approximated by Rayleigh and Ritz:
 *
 *   H = Q P'   [m, m] = S T S',  v = S_c Q,  value T_c,  residual r = S_c P - T_c v
 *
 * When m has reached its limit, the best Ritz vectors and the last residual directions become the new basis, with their
 * images, and the space grows from there (thick restart: Wu and Simon 2000; blocks: Grimes, Lewis and Simon 1994).
 * Saad, Numerical Methods for Large Eigenvalue Problems, 2011, chapters 6 and 7, has all of it.
 *
 * b is k and some more, so that an eigenvalue that comes k times is found k times. Every new block is made orthogonal
 * to the whole basis twice, in fp64: what a Lanczos process with three terms forgets, and then finds again as a copy,
 * cannot happen. Then its rows are made so to each other; one that loses most of its length on that way, and with it
 * digits, is held against the basis again. A direction that vanishes - the space holds all that it can reach - is
 * replaced by a random one.
 */
#include "pmn_lanczos.h"

#include "pmn_eigen.h"
#include "pmn_mem.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

enum { SPARE = 8, BLOCKS = 8, MULTIPLICATIONS_MAX = 400 };

/* Of a row of length 1, what orthogonalising may leave before it is done again, and before it held nothing new. */
#define SHORTENED 0.1
#define VANISHED 1e-11

typedef struct krylov {
  const pmn_operator *a;
  const pmn_watch *watch;
  int32_t order, k, block, most; /* most: vectors that the basis may have */
  int32_t have;                  /* vectors of the basis */
  double *basis, *images;        /* [most, order] Q and P */
  double *next;                  /* [block, order] the directions that come next */
  double *h, *values;            /* [most, most], [most] */
  double *scratch;               /* [most, order] */
  uint64_t random;
} krylov;

int32_t pmn_lanczos_block(int32_t k) {
  return k + SPARE;
}

int64_t pmn_lanczos_most(int64_t order) {
  return order / (2 * BLOCKS) - SPARE;
}

bool pmn_lanczos_suits(int32_t order, int32_t k) {
  return k <= pmn_lanczos_most(order);
}

double pmn_lanczos_memory(int32_t order, int32_t k) {
  double block = pmn_lanczos_block(k), most = BLOCKS * block;
  return ((2.0 * most + 3.0 * block) * order + most * (most + 2.0)) * sizeof(double) + pmn_eigen_memory(most);
}

/* splitmix64 (Steele, Lea and Flood 2014), in [-1, 1). */
static double random_next(krylov *s) {
  uint64_t z = s->random += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  z ^= z >> 31;
  return (double)(z >> 11) * 0x1p-52 - 1.0;
}

static void random_fill(krylov *s, double *row) {
  for (int32_t j = 0; j < s->order; j++) row[j] = random_next(s);
}

/* row -= what of it lies in the span of `count` orthonormal rows; twice is enough (Parlett). */
static void project_out(const krylov *s, const double *rows, int32_t count, double *row, double *overlap) {
  if (count == 0) return;
  for (int pass = 0; pass < 2; pass++) {
    cblas_dgemv(CblasRowMajor, CblasNoTrans, count, s->order, 1.0, rows, s->order, row, 1, 0.0, overlap, 1);
    cblas_dgemv(CblasRowMajor, CblasTrans, count, s->order, -1.0, rows, s->order, overlap, 1, 1.0, row, 1);
  }
}

/* next -= what of it lies in the basis, as products of matrices: most of the work of project_out. */
static void block_project_out(krylov *s, int32_t count) {
  for (int pass = 0; pass < 2 && s->have > 0; pass++) {
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, s->have, s->order, 1.0, s->next, s->order, s->basis,
        s->order, 0.0, s->scratch, s->have);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, count, s->order, s->have, -1.0, s->scratch, s->have,
        s->basis, s->order, 1.0, s->next, s->order);
  }
}

/* `count` rows of next become orthonormal to each other and the basis, and join it. */
static void extend(krylov *s, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    double *row = s->next + (size_t)i * (size_t)s->order;
    double length = cblas_dnrm2(s->order, row, 1);
    if (length > 0.0) cblas_dscal(s->order, 1.0 / length, row, 1);
  }
  block_project_out(s, count);
  int32_t before = s->have;
  for (int32_t i = 0; i < count; i++) {
    double *row = s->next + (size_t)i * (size_t)s->order;
    double *to = s->basis + (size_t)s->have * (size_t)s->order;
    memcpy(to, row, (size_t)s->order * sizeof *to);
    project_out(s, s->basis + (size_t)before * (size_t)s->order, s->have - before, to, s->scratch);
    double length = cblas_dnrm2(s->order, to, 1);
    if (length < SHORTENED) {
      project_out(s, s->basis, s->have, to, s->scratch);
      length = cblas_dnrm2(s->order, to, 1);
    }
    while (!(length > VANISHED)) {
      random_fill(s, to);
      cblas_dscal(s->order, 1.0 / cblas_dnrm2(s->order, to, 1), to, 1);
      project_out(s, s->basis, s->have, to, s->scratch);
      length = cblas_dnrm2(s->order, to, 1);
    }
    cblas_dscal(s->order, 1.0 / length, to, 1);
    s->have++;
  }
}

/* Images of the last `count` vectors of the basis, and H's rows and columns of them. */
static pmn_status multiply(krylov *s, int32_t count, pmn_err *err) {
  size_t first = (size_t)(s->have - count), order = (size_t)s->order;
  return s->a->apply(s->a->arg, s->basis + first * order, count, s->images + first * order, err);
}

/* H = S T S': values and, in the rows of h, S', both of the basis as it is. */
static pmn_status ritz(krylov *s, pmn_err *err) {
  int32_t m = s->have;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, m, s->order, 1.0, s->basis, s->order, s->images, s->order,
      0.0, s->h, m);
  return pmn_eigen_symmetric(s->h, m, s->values, err);
}

/* to [count, order] = the first `count` rows of S' times `rows`. */
static void combine(const krylov *s, int32_t count, const double *rows, double *to) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, count, s->order, s->have, 1.0, s->h, s->have, rows, s->order,
      0.0, to, s->order);
}

/* The residuals of the first `count` Ritz pairs to next; true when those of the k wanted are small. The Ritz vectors go
 * to `vectors` and their images to scratch. */
static bool residuals(krylov *s, int32_t count, double *vectors) {
  bool small = true;
  size_t order = (size_t)s->order;
  combine(s, count, s->basis, vectors);
  combine(s, count, s->images, s->scratch);
  for (int32_t c = 0; c < count; c++) {
    double *r = s->next + (size_t)c * order;
    memcpy(r, s->scratch + (size_t)c * order, order * sizeof *r);
    cblas_daxpy(s->order, -s->values[c], vectors + (size_t)c * order, 1, r, 1);
    small = small && (c >= s->k || cblas_dnrm2(s->order, r, 1) <= PMN_LANCZOS_TOLERANCE * s->values[0]);
  }
  return small;
}

/* The first `count` Ritz vectors, in `vectors`, and their images, in scratch, become the basis. */
static void restart(krylov *s, int32_t count, const double *vectors) {
  size_t size = (size_t)count * (size_t)s->order * sizeof(double);
  memcpy(s->basis, vectors, size);
  memcpy(s->images, s->scratch, size);
  s->have = count;
}

static pmn_status iterate(krylov *s, double *ritz_vectors, bool *converged, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (int32_t i = 0; i < s->block; i++) random_fill(s, s->next + (size_t)i * (size_t)s->order);
  for (int i = 1;; i++) {
    PMN_TRY(pmn_watch_check(s->watch, err));
    extend(s, s->block);
    PMN_TRY(multiply(s, s->block, err));
    PMN_TRY(ritz(s, err));
    *converged = residuals(s, s->block, ritz_vectors);
    if (*converged || i == MULTIPLICATIONS_MAX) break;
    if (s->have + s->block > s->most) restart(s, s->block, ritz_vectors);
  }
done:
  return st;
}

pmn_status pmn_lanczos(const pmn_operator *a, int32_t k, const pmn_watch *watch, double *values, double *vectors,
    bool *converged, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  krylov s = {.a = a,
      .watch = watch,
      .order = a->order,
      .k = k,
      .block = pmn_lanczos_block(k),
      .most = BLOCKS * pmn_lanczos_block(k),
      .random = 1};
  size_t order = (size_t)s.order, most = (size_t)s.most, block = (size_t)s.block;
  double *ritz_vectors = pmn_alloc_aligned(block * order, sizeof *ritz_vectors);
  s.basis = pmn_alloc_aligned(most * order, sizeof *s.basis);
  s.images = pmn_alloc_aligned(most * order, sizeof *s.images);
  s.next = pmn_alloc_aligned(block * order, sizeof *s.next);
  s.scratch = pmn_alloc_aligned(block * order + most, sizeof *s.scratch);
  s.h = pmn_alloc_aligned(most * most, sizeof *s.h);
  s.values = pmn_alloc(most, sizeof *s.values);
  *converged = false;
  if (ritz_vectors == NULL || s.basis == NULL || s.images == NULL || s.next == NULL || s.scratch == NULL ||
      s.h == NULL || s.values == NULL) {
    st = pmn_err_memory(err, 2 * most * order * sizeof *s.basis, "the search for the largest components");
    goto done;
  }
  PMN_TRY(iterate(&s, ritz_vectors, converged, err));
  memcpy(values, s.values, (size_t)k * sizeof *values);
  memcpy(vectors, ritz_vectors, (size_t)k * order * sizeof *vectors);
done:
  pmn_free(ritz_vectors);
  pmn_free(s.basis);
  pmn_free(s.images);
  pmn_free(s.next);
  pmn_free(s.scratch);
  pmn_free(s.h);
  pmn_free(s.values);
  return st;
}
