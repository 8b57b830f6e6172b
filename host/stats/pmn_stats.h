/* pmn_stats.h - standardisation and PCA, by the definitions of scikit-learn's StandardScaler and PCA, or of Spark ML's.
 *
 * Column statistics are gathered in one pass, in fp64, over rows that arrive in blocks. Each block is centred by its
 * own mean, so neither large means nor blocks unlike each other cost digits, and merged into n, mean, M2 = sum (x -
 * mean)(x - mean)'       (Chan, Golub, LeVeque 1983)
 *
 *                     scikit-learn                              Spark ML
 *   deviation         of the population (divide by n)           of the sample (divide by n - 1)
 *   constant column   divided by 1: becomes 0 when centred      becomes 0
 *                     (as far as rounding can tell)             (a deviation of exactly 0)
 *   covariance        of the sample                             of the sample
 *   projection        (y - mean of y) components'               y components', y not centred
 *
 * with y the standardised rows. Where rows are standardised by their mean, the two projections are the same.
 */
#ifndef PMN_STATS_H
#define PMN_STATS_H

#include "pmn_backend.h"

/* Rows of a matrix [count, width] that can be read again: the spool, a file, or memory in tests. */
typedef struct pmn_rows {
  int64_t count;
  int32_t width;
  void *arg;
  /* Rows [first, first + n) to `rows`, dense. Several threads may call at once. */
  pmn_status (*read)(void *arg, int64_t first, int32_t n, double *rows, pmn_err *err);
} pmn_rows;

/* Asked between the steps of what takes long: what it returns unless PMN_STATUS_OK ends that. `check` may be NULL. */
typedef struct pmn_watch {
  pmn_status (*check)(const void *arg, pmn_err *err);
  const void *arg;
} pmn_watch;

static inline pmn_status pmn_watch_check(const pmn_watch *watch, pmn_err *err) {
  return watch->check != NULL ? watch->check(watch->arg, err) : PMN_STATUS_OK;
}

/* Rows of d columns that are read, or projected, together: a power of two up to 512, of 8 MiB of fp64 at most unless a
 * row alone has more. */
int32_t pmn_block_rows(int32_t d);

/* LAPACK counts in 32 bits: no larger matrix can be decomposed as a whole. */
#define PMN_STATS_ORDER_MAX 32766

typedef struct pmn_moments pmn_moments;

/* The rows of a block are summed together; block borders, not batch borders, decide the bits of the result. */
#define PMN_MOMENTS_BLOCK 4096

/* Statistics of d columns; with_covariance: the whole M2 (d*d doubles), else its diagonal. The device is borrowed until
 * destroy and computes x'x of each block; NULL: no rows are added, only other moments. */
PMN_MUST_USE pmn_status pmn_moments_create(
    pmn_device *device, int32_t d, bool with_covariance, pmn_moments **moments, pmn_err *err);
void pmn_moments_destroy(pmn_moments *moments);
/* Takes n rows [n, d]; they are copied, and summed whenever PMN_MOMENTS_BLOCK are together.
 * PMN_STATUS_ARGUMENT: a value is not finite; the message names its row, counted over all calls from 0, and its column.
 * After an error the moments can only be destroyed. */
PMN_MUST_USE pmn_status pmn_moments_add(pmn_moments *moments, const float *x, int64_t n, pmn_err *err);
PMN_MUST_USE pmn_status pmn_moments_add_wide(pmn_moments *moments, const double *x, int64_t n, pmn_err *err);
/* Sums what is left of the last block. No more rows can be added. */
PMN_MUST_USE pmn_status pmn_moments_finish(pmn_moments *moments, pmn_err *err);
int64_t pmn_moments_count(const pmn_moments *moments);

/* Statistics as they are stored: n rows of d columns, whose mean [d] is origin + offset (two numbers, for they may
 * differ by more digits than one has), squares [d] = sum of (x - mean)^2, m2 [d, d] = sum of (x - mean)(x - mean)', of
 * which the upper triangle counts, or NULL. */
typedef struct pmn_moments_view {
  int64_t n;
  int32_t d;
  const double *origin, *offset, *squares, *m2;
} pmn_moments_view;
/* Of finished moments; borrowed until they are fitted or destroyed. */
pmn_moments_view pmn_moments_look(const pmn_moments *moments);
/* Adds the rows that `other` has seen. The moments are finished, or have no rows yet. PMN_STATUS_ARGUMENT: other
 * columns, or a covariance is missing. */
PMN_MUST_USE pmn_status pmn_moments_merge(pmn_moments *moments, const pmn_moments_view *other, pmn_err *err);

typedef enum pmn_compat { PMN_COMPAT_SKLEARN, PMN_COMPAT_SPARK } pmn_compat;

typedef struct pmn_fit_options {
  bool with_mean, with_std; /* standardise: subtract the mean, divide by the deviation */
  pmn_compat compat;
  int32_t components; /* K, 1 <= K <= min(n, d); 0: by ratio, or no PCA if ratio is 0 too */
  double ratio;       /* 0 < ratio < 1: the fewest components whose explained variance ratios sum to more than it */
  int32_t threads;    /* that may be used, 0: one; results do not depend on it */
  int64_t memory;     /* bytes that may be taken; 0: as many as are needed */
  pmn_watch watch;
} pmn_fit_options;

/* The fitted transform: y = (x - shift) / scale, then y = y components'. */
typedef struct pmn_fit {
  int64_t n;
  int32_t d, k; /* k = 0: no PCA, the output has d columns */
  bool with_mean, with_std;
  pmn_compat compat;
  double *mean;       /* [d] of the columns */
  double *shift;      /* [d] the mean, or 0 where rows are not centred */
  double *scale;      /* [d] 1 everywhere without with_std; infinite for what becomes 0 by Spark's rule */
  double *components; /* [k, d] orthonormal rows; the entry of largest magnitude of each is positive, among equals (to
                         1e-6) the first. Those with no variance left are any completion of the basis. */
  double *explained_variance, *explained_ratio; /* [k] descending; ratio of the total variance of all d columns */
  double total_variance;                        /* of all d columns, from the columns themselves */
  double *spectrum;         /* [spectrum_count] variances of all components that are known, descending */
  int32_t spectrum_count;   /* all there are, min(n, d), or those that were looked for */
  const char *solver;       /* how the components were found; lives as long as the program; NULL without PCA */
  int32_t constant_columns; /* columns with no variance, or with none to scikit-learn when they are divided by it */
} pmn_fit;

/* Can n rows of d columns give K components (0: none are asked for)? PMN_STATUS_ARGUMENT if not, or if they are fewer
 * than two; the message has the numbers, and calls a row `what`. */
PMN_MUST_USE pmn_status pmn_fit_check(int64_t n, int32_t d, int32_t components, const char *what, pmn_err *err);
/* From finished moments, whose covariance is used up. When the moments carry no covariance and PCA is asked for, the
 * components come from `rows` (meant for fewer rows than columns), which are read tile by tile, more than once;
 * otherwise `rows` may be NULL. OpenBLAS is set to one thread: its sums depend on the number.
 * PMN_STATUS_ARGUMENT: what pmn_fit_check says, or no column varies - the message has the numbers. */
PMN_MUST_USE pmn_status pmn_fit_create(
    pmn_moments *moments, const pmn_rows *rows, const pmn_fit_options *options, pmn_fit **fit, pmn_err *err);
/* Bytes, at most, for n rows of d columns; with_covariance as for pmn_moments_create. (A double: no product overflows.)
 * While rows are added, with what the device takes; */
double pmn_moments_memory(const pmn_device *device, int64_t n, int32_t d, bool with_covariance);
/* while the fit is made, its moments included. *kept: bytes that it will take beyond them to keep rows at hand, because
 * it helps and options->memory has room for it; else 0. An iteration that fails falls back on LAPACK, if
 * options->memory has room for that. */
double pmn_fit_memory(int64_t n, int32_t d, bool with_covariance, const pmn_fit_options *options, double *kept);
/* False: the matrix to be decomposed, of that many rows, is too large for LAPACK, and more than a few of its
 * eigenvectors are wanted. */
bool pmn_fit_possible(int64_t order, const pmn_fit_options *options);
/* How many of them can be found without LAPACK. */
int64_t pmn_fit_most(int64_t order);
/* The fewest components that explain more than `share` of the variance; 0 if the known ones do not. */
int32_t pmn_fit_components_for(const pmn_fit *fit, double share);
void pmn_fit_destroy(pmn_fit *fit);
/* Width of the transformed rows: k, or d without PCA. */
int32_t pmn_fit_width(const pmn_fit *fit);

typedef struct pmn_projector pmn_projector; /* a fit made ready for a device; one thread at a time */
/* The fit is borrowed until destroy. */
PMN_MUST_USE pmn_status pmn_projector_create(
    pmn_device *device, const pmn_fit *fit, pmn_projector **projector, pmn_err *err);
void pmn_projector_destroy(pmn_projector *projector);
/* Bytes that a projector to k components (0: none) takes, with its device, beside the fit. */
double pmn_projector_memory(const pmn_device *device, int32_t d, int32_t k);
/* x [n, d] -> y [n, width], infinite where fp32 ends. Everything before that last rounding is fp64, so a large mean
 * costs no digits. The bits of a row do not depend on n; the device works on tiles of pmn_block_rows rows, so cut
 * streams at multiples of that. */
PMN_MUST_USE pmn_status pmn_projector_run(pmn_projector *projector, const double *x, int32_t n, float *y, pmn_err *err);

#endif
