/* pmn_lines.h - the names in a list. */
#ifndef PMN_LINES_H
#define PMN_LINES_H

#include "pmn_names.h"

/* Adds every line of what `fd` reads to its end; `what` names it in messages.
 * PMN_STATUS_NOT_FOUND (cannot be read), PMN_STATUS_ARGUMENT (a line no path can have), PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_lines_read(int fd, const char *what, pmn_names *names, pmn_err *err);

/* Whether `name` begins with what other programs call s3://: s3a:// or s3n://. */
bool pmn_lines_is_alias(const char *name);

#endif
