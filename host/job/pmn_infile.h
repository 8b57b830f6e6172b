/* pmn_infile.h - finished files, read again: from a disk, or from a bucket in pieces of bounded size. */
#ifndef PMN_INFILE_H
#define PMN_INFILE_H

#include "pmn_buf.h"

typedef struct pmn_infile pmn_infile; /* one thread at a time */
struct pmn_s3;

/* *file is NULL and the status OK if there is none. PMN_STATUS_NOT_FOUND: it cannot be read, or is no regular file. */
PMN_MUST_USE pmn_status pmn_infile_open(struct pmn_s3 *s3, const char *path, pmn_infile **file, pmn_err *err);
void pmn_infile_close(pmn_infile *file); /* accepts NULL */
const char *pmn_infile_path(const pmn_infile *file);
int64_t pmn_infile_size(const pmn_infile *file);
/* Bytes [at, at + size), which must lie within the file. PMN_STATUS_NOT_FOUND: it cannot be read, has become shorter,
 * or is an object that has changed since it was opened. */
PMN_MUST_USE pmn_status pmn_infile_read(pmn_infile *file, int64_t at, void *bytes, size_t size, pmn_err *err);
/* Replaces the content of `bytes` by the whole file. PMN_STATUS_MODEL: it is longer than its maximum. */
PMN_MUST_USE pmn_status pmn_infile_read_all(pmn_infile *file, pmn_buf *bytes, pmn_err *err);

#endif
