/* pmn_digest.h - MD5 and SHA-256 of bytes as they pass by: the one is what Keras publishes, the other what can be
 * trusted. */
#ifndef PMN_DIGEST_H
#define PMN_DIGEST_H

#include "pmn_sha256.h"

#define PMN_MD5_HEX_SIZE 33 /* 32 digits and a NUL */

typedef struct pmn_digest pmn_digest;

/* SHA-256, and MD5 if `md5`. NULL when memory cannot be had, or libcrypto allows no MD5. */
pmn_digest *pmn_digest_create(bool md5);
void pmn_digest_destroy(pmn_digest *digest);
bool pmn_digest_update(pmn_digest *digest, const void *bytes, size_t size);
/* SHA-256 of what has passed so far, in lower-case hex; more may follow. */
bool pmn_digest_so_far(const pmn_digest *digest, char sha256[PMN_SHA256_HEX_SIZE]);
/* Lower-case hex; only destroy may follow. `md5` is NULL where none was asked for. */
bool pmn_digest_finish(pmn_digest *digest, char md5[PMN_MD5_HEX_SIZE], char sha256[PMN_SHA256_HEX_SIZE]);

/* The first `size` bytes of an open file from its beginning, into a fresh digest; they must be there.
 * PMN_STATUS_NOT_FOUND when they cannot be read. PMN_STATUS_INTERRUPTED once *stop is raised; stop may be NULL. */
PMN_MUST_USE pmn_status pmn_digest_read(int fd, int64_t size, const char *path, bool md5,
    const volatile sig_atomic_t *stop, pmn_digest **digest, pmn_err *err);

#endif
