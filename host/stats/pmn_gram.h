/* pmn_gram.h - principal components of fewer rows than columns, by the Gram matrix of the rows; inside stats only. */
#ifndef PMN_GRAM_H
#define PMN_GRAM_H

#include "pmn_stats.h"

typedef struct pmn_gram {
  const pmn_rows *rows;
  const double *mean, *inverse; /* [width]; y = (x - mean) * inverse */
  const pmn_watch *watch;
  double *vectors; /* [count, count] eigenvectors of y y' as rows */
  double *values;  /* [count] descending; exactly 0 where y has no direction left */
} pmn_gram;

/* Reads the rows, more than once and tile by tile, and finds values and vectors. The caller fills the first four, which
 * are borrowed until reset; gram may be reset whatever this returns. */
PMN_MUST_USE pmn_status pmn_gram_init(pmn_gram *gram, pmn_err *err);
/* Bytes that both calls take for n rows of d columns and k components, beside the components. */
double pmn_gram_memory(int64_t n, int32_t d, int32_t k);
void pmn_gram_reset(pmn_gram *gram);
/* The first k right singular vectors of y to components [k, width], k <= min(count, width), orthonormal. Those of a
 * value 0 are any orthonormal completion, the same on every run. Reads the rows once. */
PMN_MUST_USE pmn_status pmn_gram_components(const pmn_gram *gram, int32_t k, double *components, pmn_err *err);

#endif
