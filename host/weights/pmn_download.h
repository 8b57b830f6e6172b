/* pmn_download.h - one file by http(s), taken up again where it was cut short. Private to the room.
 *
 * What has come is in PATH; PATH.etag says of which version of the file, so that a later call asks for the rest of that
 * version alone, and starts anew when the server has another one.
 */
#ifndef PMN_DOWNLOAD_H
#define PMN_DOWNLOAD_H

#include "pmn_digest.h"

typedef struct pmn_download_options {
  const char *url; /* redirects lead to https only, or from this machine to this machine */
  int64_t bytes;   /* of the whole file, about; 0: not known. Twice as many are refused */
  void (*on_progress)(void *arg, int64_t done, int64_t total); /* from another thread */
  void *callback_arg;
  const volatile sig_atomic_t *stop;
} pmn_download_options;

/* On PMN_STATUS_OK the whole file is at `path`, flushed to the disk, and *bytes, md5 and sha256 are its own.
 * PMN_STATUS_NETWORK (after some tries; what has come stays), PMN_STATUS_NOT_FOUND (the server has no such file),
 * PMN_STATUS_ARGUMENT (no address, a certificate that is not trusted), PMN_STATUS_MODEL (larger than it can be),
 * PMN_STATUS_WRITE, PMN_STATUS_INTERRUPTED, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_download(const char *path, const pmn_download_options *options, int64_t *bytes,
    char md5[PMN_MD5_HEX_SIZE], char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err);
/* Removes `path` and what belongs to it. */
void pmn_download_forget(const char *path);

#endif
