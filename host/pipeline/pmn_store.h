/* pmn_store.h - what is kept of a run's statistics: projections to be used on other rows, moments to be merged.
 *
 * Both are files of pmn_store_file.h. A projection has mean, shift, scale [d], explained_variance, explained_ratio [k],
 * spectrum and, if k > 0, components [k, d]; moments have origin, offset (their sum is the mean), squares [d] and, with
 * a covariance, m2 [d, d], of which the upper triangle counts. What could not be read again is not written; nothing
 * that is read is believed unchecked.
 *
 * `features` is always the text of a JSON object.
 */
#ifndef PMN_STORE_H
#define PMN_STORE_H

#include "pmn_outfile.h"
#include "pmn_stats.h"

/* Whole where it lies, but not visible before pmn_outfile_publish. PMN_STATUS_EXISTS, PMN_STATUS_WRITE,
 * PMN_STATUS_NO_MEMORY; PMN_STATUS_ARGUMENT: `features` is no object, a number
 * is not finite, or there are no rows. */
PMN_MUST_USE pmn_status pmn_projection_save(
    const char *path, bool overwrite, const pmn_fit *fit, const char *features, pmn_outfile **file, pmn_err *err);
/* *fit is destroyed by pmn_fit_destroy, *features by pmn_free. PMN_STATUS_NOT_FOUND: the file cannot be read.
 * PMN_STATUS_MODEL: it is not a projection, or damaged. */
PMN_MUST_USE pmn_status pmn_projection_load(const char *path, pmn_fit **fit, char **features, pmn_err *err);

/* As pmn_projection_save. Beside `moments` no more than a row is held in memory. */
PMN_MUST_USE pmn_status pmn_moments_save(const char *path, bool overwrite, const pmn_moments_view *moments,
    const char *features, pmn_outfile **file, pmn_err *err);

typedef struct pmn_stored_moments {
  pmn_moments_view view;
  char *features;
  double *origin, *offset, *squares, *m2; /* what `view` shows */
} pmn_stored_moments;

/* As pmn_projection_load; fills *moments, or leaves it empty. */
PMN_MUST_USE pmn_status pmn_moments_load(const char *path, pmn_stored_moments *moments, pmn_err *err);
/* Rows, columns and whether there is a covariance: all but the numbers themselves. */
PMN_MUST_USE pmn_status pmn_moments_inspect(
    const char *path, int64_t *n, int32_t *d, bool *with_covariance, pmn_err *err);
void pmn_stored_moments_reset(pmn_stored_moments *moments);

/* PMN_STATUS_ARGUMENT: the features `theirs`, stored in the file `what`, are not the same as `mine`; the message has
 * the first difference. PMN_STATUS_MODEL: `theirs` are no features. "weights", a path, is not compared: the weights'
 * hash is. */
PMN_MUST_USE pmn_status pmn_features_compare(const char *mine, const char *theirs, const char *what, pmn_err *err);

#endif
