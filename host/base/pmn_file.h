/* pmn_file.h - whole files: read with a cap, and written so that a name only ever shows a whole file. */
#ifndef PMN_FILE_H
#define PMN_FILE_H

#include "pmn_buf.h"

/* Replaces the content of `bytes` by the whole of a regular file, read with pread; bytes->max is the cap on its size.
 * PMN_STATUS_NOT_FOUND with a message that names the file when it is missing, unreadable, no file, or over the cap. */
PMN_MUST_USE pmn_status pmn_file_read(const char *path, pmn_buf *bytes, pmn_err *err);

/* Small cached files (never data of the user): written under a temporary name in the same folder, then renamed. */
PMN_MUST_USE pmn_status pmn_file_write_cached(const char *path, const void *bytes, size_t size, pmn_err *err);

/* "$XDG_CACHE_HOME/pomona" or "$HOME/.cache/pomona", created if missing, appended to `path` with "/name".
 * PMN_STATUS_NOT_FOUND if there is no such folder and none can be made: callers then go on without a cache. */
PMN_MUST_USE pmn_status pmn_file_cache_path(const char *name, pmn_buf *path, pmn_err *err);
/* The same path, for reading what may be there: nothing is created. */
PMN_MUST_USE pmn_status pmn_file_cache_find(const char *name, pmn_buf *path, pmn_err *err);

#endif
