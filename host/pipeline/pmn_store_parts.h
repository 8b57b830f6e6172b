/* pmn_store_parts.h - projections and vocabularies as parts of a file: their own, or that of a model.
 *
 * Each is a list of tensors and an object of scalars. `list` names the tensors by their shapes, to be written or to be
 * read; `describe` makes the object; `read` believes nothing of the one that pmn_stored_enter has led to; `take` moves
 * what pmn_stored_tensors has loaded to where it belongs.
 */
#ifndef PMN_STORE_PARTS_H
#define PMN_STORE_PARTS_H

#include "pmn_lexicon.h"
#include "pmn_stats.h"
#include "pmn_store_file.h"

enum { PMN_PROJECTION_TENSORS = 7, PMN_LEXICON_TENSORS = 2 };

/* Returns how many there are. */
int32_t pmn_projection_list(const pmn_fit *fit, pmn_store_tensor tensors[PMN_PROJECTION_TENSORS]);
/* PMN_STATUS_ARGUMENT: a number is not finite; `path` is for that. */
PMN_MUST_USE pmn_status pmn_projection_describe(
    const char *path, const pmn_fit *fit, struct json_t **record, pmn_err *err);
/* All of *fit but its arrays. */
PMN_MUST_USE pmn_status pmn_projection_read(const pmn_stored *stored, pmn_fit *fit, pmn_err *err);
void pmn_projection_take(pmn_fit *fit, pmn_store_tensor tensors[PMN_PROJECTION_TENSORS]);

/* values: of pmn_lexicon_values; NULL: to be read. */
void pmn_lexicon_list(const pmn_lexicon *words, const double *values, pmn_store_tensor tensors[PMN_LEXICON_TENSORS]);
/* Every number as it is stored, to be freed with pmn_free. */
PMN_MUST_USE pmn_status pmn_lexicon_values(const pmn_lexicon *words, double **values, pmn_err *err);
struct json_t *pmn_lexicon_describe(const pmn_lexicon *words); /* NULL when memory cannot be had */
/* words->descriptor and an empty words->vocabulary are set; the vocabulary gets all but its words.
 * PMN_STATUS_ARGUMENT: words of other descriptors. */
PMN_MUST_USE pmn_status pmn_lexicon_read(const pmn_stored *stored, pmn_lexicon *words, pmn_err *err);
/* And the hash. */
PMN_MUST_USE pmn_status pmn_lexicon_take(
    const pmn_stored *stored, const pmn_store_tensor tensors[PMN_LEXICON_TENSORS], pmn_lexicon *words, pmn_err *err);

#endif
