/* pmn_folder.h - a folder on a disk, or a prefix in a bucket: small files by name, whole or not at all, and lasting. */
#ifndef PMN_FOLDER_H
#define PMN_FOLDER_H

#include "pmn_buf.h"

typedef struct pmn_folder pmn_folder; /* one thread at a time */
struct pmn_s3;

/* `path` is borrowed. A folder on a disk is made if `create`, its parent must be there; else PMN_STATUS_NOT_FOUND if
 * there is none. A prefix always is. PMN_STATUS_WRITE when it cannot be made or opened. */
PMN_MUST_USE pmn_status pmn_folder_open(
    struct pmn_s3 *s3, const char *path, bool create, pmn_folder **folder, pmn_err *err);
void pmn_folder_close(pmn_folder *folder);
/* "FOLDER/NAME", appended. */
PMN_MUST_USE pmn_status pmn_folder_name(const pmn_folder *folder, const char *name, pmn_buf *path, pmn_err *err);
/* Replaces the content of `bytes`, whose maximum caps the file. PMN_STATUS_NOT_FOUND. */
PMN_MUST_USE pmn_status pmn_folder_read(pmn_folder *folder, const char *name, pmn_buf *bytes, pmn_err *err);
/* Replaces what is there. On return it would survive a loss of power. */
PMN_MUST_USE pmn_status pmn_folder_write(
    pmn_folder *folder, const char *name, const void *bytes, size_t size, pmn_err *err);
/* It is no error if there is none. */
PMN_MUST_USE pmn_status pmn_folder_remove(pmn_folder *folder, const char *name, pmn_err *err);
/* Every file, in no order, and every sub-folder: its name ends with a slash, its size is -1, and it may be told more
 * than once. What sub-folders hold is not looked at. */
typedef pmn_status pmn_folder_each(void *arg, const char *name, int64_t size, pmn_err *err);
PMN_MUST_USE pmn_status pmn_folder_list(pmn_folder *folder, pmn_folder_each *each, void *arg, pmn_err *err);
/* Size of a file; -1 if there is none. */
PMN_MUST_USE pmn_status pmn_folder_size(pmn_folder *folder, const char *name, int64_t *size, pmn_err *err);

#endif
