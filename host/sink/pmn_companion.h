/* pmn_companion.h - files beside a table that a run replaces or removes without being told their names: only those that
 * an earlier run has written; private to this room. */
#ifndef PMN_COMPANION_H
#define PMN_COMPANION_H

#include "pmn_err.h"

struct pmn_s3;

/* `begin`: what such a file begins with, at most 63 bytes; `what`: its name in a message. Nothing and an empty file
 * pass, and so does what is no regular file, which is never replaced. PMN_STATUS_EXISTS: it begins with something else.
 */
PMN_MUST_USE pmn_status pmn_companion_check(
    struct pmn_s3 *s3, const char *path, const char *suffix, const char *begin, const char *what, pmn_err *err);

#endif
