/* pmn_bucket.h - pictures in buckets: their names, and what a listing has told of them. */
#ifndef PMN_BUCKET_H
#define PMN_BUCKET_H

#include "pmn_names.h"
#include "pmn_s3.h"
#include "pmn_walk.h"

/* Adds every object below `uri`, "s3://bucket/prefix", that passes the filter; `skipped` counts up those that do not.
 * A prefix is a folder: "Test" and "Test/" name what begins with "Test/", or the object "Test" if there is no such.
 * Names with a leading dot are hidden as in folders, but "." and ".." between slashes are names like any other. Keys
 * that end with a slash stand for folders and are not looked at. Errors as pmn_s3_list. */
PMN_MUST_USE pmn_status pmn_bucket_walk(
    pmn_s3 *s3, const char *uri, const pmn_walk_filter *filter, pmn_names *names, int64_t *skipped, pmn_err *err);

/* Keeps a URI that no listing has told of. */
PMN_MUST_USE pmn_status pmn_bucket_add(const char *uri, pmn_names *names, pmn_err *err);

/* Behind the NUL of every s3:// path of a listing stands what is known of the object: "SIZE ETAG", or "". */
const char *pmn_bucket_stored(const char *path);
/* The same, read; size -1 and etag NULL where nothing is known. */
void pmn_bucket_object(const char *path, pmn_s3_object *object);

#endif
