/* pmn_scratch.h - bytes kept on the disk for a while, in a file without a name.
 *
 * For what is too much for memory: feature rows between two passes, pages of a row group that is not complete. The file
 * is in the folder of the output, where there is room if anywhere, and needs no cleaning up, whatever happens to the
 * process.
 */
#ifndef PMN_SCRATCH_H
#define PMN_SCRATCH_H

#include "pmn_err.h"

typedef struct pmn_scratch pmn_scratch; /* one thread at a time */

/* `beside` is the path of the output, whose folder is used; of one in a bucket (s3://...) $TMPDIR, or /tmp. `option`
 * names another place, for messages; NULL: none does. PMN_STATUS_WRITE with the folder's name. */
PMN_MUST_USE pmn_status pmn_scratch_create(const char *beside, const char *option, pmn_scratch **scratch, pmn_err *err);
void pmn_scratch_destroy(pmn_scratch *scratch); /* accepts NULL */
/* PMN_STATUS_WRITE, a full disk included; the bytes before stay as they are. */
PMN_MUST_USE pmn_status pmn_scratch_append(pmn_scratch *scratch, const void *bytes, size_t size, pmn_err *err);
uint64_t pmn_scratch_size(const pmn_scratch *scratch);
/* Bytes [at, at + size), which must have been written. PMN_STATUS_WRITE when they cannot be read back. */
PMN_MUST_USE pmn_status pmn_scratch_read(
    const pmn_scratch *scratch, uint64_t at, void *bytes, size_t size, pmn_err *err);
/* Forgets all bytes and gives their room on the disk back. */
void pmn_scratch_clear(pmn_scratch *scratch);

#endif
