/* pmn_keypoints.h - a table of keypoints, for those who want the descriptors themselves.
 *
 * A row for each keypoint, in the order of pictures and, within one, of distinctness: path, label and as features x, y,
 * size, angle, response, octave, then the numbers of the descriptor.
 */
#ifndef PMN_KEYPOINTS_H
#define PMN_KEYPOINTS_H

#include "pmn_run.h"

typedef struct pmn_keypoints pmn_keypoints;

/* Into options->save_keypoints: .csv, .parquet or .npy. Errors as of pmn_sink_create. */
PMN_MUST_USE pmn_status pmn_keypoints_create(const pmn_run *run, pmn_keypoints **keypoints, pmn_err *err);
/* Those of picture `index` of the listing. */
PMN_MUST_USE pmn_status pmn_keypoints_put(
    pmn_keypoints *keypoints, int64_t index, const pmn_described *described, pmn_err *err);
/* Makes the table visible. `record`, the run's as JSON text, becomes that of the table: "counts" are of keypoints, and
 * those of pictures are under "pictures". */
PMN_MUST_USE pmn_status pmn_keypoints_commit(pmn_keypoints *keypoints, const char *record, pmn_err *err);
void pmn_keypoints_destroy(pmn_keypoints *keypoints); /* NULL is fine */

#endif
