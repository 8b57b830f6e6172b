/* pmn_weights_record.h - NAME.json beside NAME.safetensors: what was fetched, written last, so that there is no record
 * of something half done. Private to the room. */
#ifndef PMN_WEIGHTS_RECORD_H
#define PMN_WEIGHTS_RECORD_H

#include "pmn_weights.h"

/* Makes the folder of fetched weights in the cache folder. PMN_STATUS_WRITE. */
PMN_MUST_USE pmn_status pmn_weights_make_folder(pmn_err *err);
/* The path of a file of the entry in that folder, which may be missing. `suffix`: ".safetensors", ".json", ".h5", ...
 * PMN_STATUS_NOT_FOUND when no cache folder is said anywhere. */
PMN_MUST_USE pmn_status pmn_weights_file(
    const pmn_weights_entry *entry, const char *suffix, pmn_buf *path, pmn_err *err);

/* *found is false when there is no record, or no good one. `fetched` also gets the path. */
PMN_MUST_USE pmn_status pmn_weights_record_read(
    const pmn_weights_entry *entry, pmn_fetched *fetched, int64_t *safetensors_bytes, bool *found, pmn_err *err);
PMN_MUST_USE pmn_status pmn_weights_record_write(const pmn_weights_entry *entry, const pmn_fetched *fetched,
    int64_t safetensors_bytes, const char *url, pmn_err *err);

#endif
