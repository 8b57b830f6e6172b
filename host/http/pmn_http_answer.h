/* pmn_http_answer.h - how an answer's headers are kept; private to the room. */
#ifndef PMN_HTTP_ANSWER_H
#define PMN_HTTP_ANSWER_H

#include "pmn_http.h"

/* Keeps a line as it came, with its end; one that is no header is no harm. PMN_STATUS_NETWORK past 64 KiB in all. */
PMN_MUST_USE pmn_status pmn_http_answer_add(pmn_http_answer *answer, const char *line, size_t size, pmn_err *err);

#endif
