/* pmn_outfile.h - files that show under their names only when they are whole, on a disk or in a bucket.
 *
 * On a disk bytes go to `.NAME.XXXXXX.tmp` in the folder of the final name; what a crash leaves behind is hidden and
 * can be told by that form. Sealing flushes and closes, publishing renames. The folder is held open, so a relative path
 * means the same file at the end as at creation, whatever the working folder is then.
 *
 * In a bucket (s3://...) bytes go to a multipart upload; sealing sends the last of them, publishing completes it. What
 * a crash leaves behind is an upload that pomona clean ends.
 */
#ifndef PMN_OUTFILE_H
#define PMN_OUTFILE_H

#include "pmn_digest.h"

typedef struct pmn_outfile pmn_outfile; /* one thread at a time */
struct pmn_s3;                          /* the client; NULL where no path is s3:// */

/* Could a file be put at path + suffix? Creates nothing. PMN_STATUS_EXISTS (something is there and overwrite is false),
 * PMN_STATUS_WRITE (no such folder, no permission, or what is there is no regular file and so is never replaced). */
PMN_MUST_USE pmn_status pmn_outfile_check(
    struct pmn_s3 *s3, const char *path, const char *suffix, bool overwrite, pmn_err *err);
/* Errors as pmn_outfile_check. */
PMN_MUST_USE pmn_status pmn_outfile_create(
    struct pmn_s3 *s3, const char *path, const char *suffix, bool overwrite, pmn_outfile **out, pmn_err *err);
/* Buffered: PMN_STATUS_WRITE may come later than the bytes it is about, at the latest from seal. */
PMN_MUST_USE pmn_status pmn_outfile_write(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err);
/* The first bytes of all, which pmn_outfile_rewrite_head is going to replace. */
PMN_MUST_USE pmn_status pmn_outfile_write_head(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err);
/* SHA-256, in hex, of all bytes written so far, but for those of pmn_outfile_write_head. */
PMN_MUST_USE pmn_status pmn_outfile_hash(pmn_outfile *out, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err);
/* Replaces them, all `size` of them, after the last of the others. */
PMN_MUST_USE pmn_status pmn_outfile_rewrite_head(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err);
const char *pmn_outfile_path(const pmn_outfile *out); /* the final name; borrowed */
uint64_t pmn_outfile_size(const pmn_outfile *out);    /* bytes written so far */

/* Makes the file whole where it lies, but not visible. Only publish and destroy may follow. */
PMN_MUST_USE pmn_status pmn_outfile_seal(pmn_outfile *out, pmn_err *err);
/* Of a sealed file, in hex, from byte *from on: 0, or in a bucket, where nothing can be read again, the size of a head
 * that was rewritten. */
const char *pmn_outfile_sha256(const pmn_outfile *out, uint64_t *from);
/* Of a sealed file in a bucket: what pmn_s3_complete needs to publish it, in another process too. Then the file is not
 * ended by destroy. Else NULL. */
const char *pmn_outfile_upload(pmn_outfile *out);

/* Makes sealed files visible, the last of the list first: files[0] is the one that promises the others. On failure
 * those that became visible are removed again. A file that appeared under a name since creation is not replaced unless
 * overwrite was given: PMN_STATUS_EXISTS. With overwrite files[0] is the first: if it fails the older files are as they
 * were; if another one does, those before it have been replaced, and the message says so. Only destroy may follow. */
PMN_MUST_USE pmn_status pmn_outfile_publish(pmn_outfile *const *files, size_t count, pmn_err *err);
/* Seals all, then publishes all. */
PMN_MUST_USE pmn_status pmn_outfile_commit(pmn_outfile *const *files, size_t count, pmn_err *err);
/* Removes what was written unless it was published. Accepts NULL. */
void pmn_outfile_destroy(pmn_outfile *out);
/* Removes an output of an earlier run; it is no error if there is none. */
PMN_MUST_USE pmn_status pmn_outfile_remove_old(struct pmn_s3 *s3, const char *path, pmn_err *err);

#endif
