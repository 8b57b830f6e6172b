/* pmn_sha256.h - SHA-256 by libcrypto: names weights, kernels and cached checks by their content. */
#ifndef PMN_SHA256_H
#define PMN_SHA256_H

#include "pmn_err.h"

#define PMN_SHA256_HEX_SIZE 65 /* 64 digits and a NUL */

/* Lower-case hex digest of `count` runs of bytes, one after the other. */
PMN_MUST_USE pmn_status pmn_sha256_hex(
    const void *const *parts, const size_t *sizes, size_t count, char hex[PMN_SHA256_HEX_SIZE], pmn_err *err);

#endif
