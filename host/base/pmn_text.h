/* pmn_text.h - text that comes from users and file systems. */
#ifndef PMN_TEXT_H
#define PMN_TEXT_H

#include "pmn_buf.h"

/* Appends a name as valid UTF-8 that still tells every name from every other: valid UTF-8 stays as it is, a byte that
 * is part of none becomes \xHH, a backslash becomes \\. Newlines and quotes stay: quoting them is the format's
 * business. */
PMN_MUST_USE pmn_status pmn_text_escape(pmn_buf *out, const char *name, size_t size, pmn_err *err);
/* The name that pmn_text_escape made `text` of, to `name`, which has room for strlen(text) + 1 bytes. False: it can
 * have made it of none. */
bool pmn_text_unescape(const char *text, char *name);
/* Length in bytes (1 to 4) of the valid UTF-8 sequence at p, at most `size` long; 0 if there is none. */
int pmn_text_utf8_length(const char *p, size_t size);

/* The whole of `text` as a decimal number; false for anything else, out of range, NaN or empty. */
bool pmn_text_int64(const char *text, int64_t min, int64_t max, int64_t *value);
bool pmn_text_double(const char *text, double *value);

/* Has a file's name this ending? The ending alone is none: ".onnx" is a hidden file without one. */
bool pmn_text_ends(const char *name, const char *end);

#endif
