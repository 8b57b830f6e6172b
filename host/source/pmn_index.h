/* pmn_index.h - path and label of each row of a matrix, from a CSV file.
 *
 * RFC 4180 in UTF-8, with a header; lines end with \n or \r\n, the last one may lack its end, a byte order mark is
 * skipped. The column `path` must be there, `label` may be, all others are ignored. A path is never empty; paths may repeat, as when one
 * picture gave several rows.
 *
 * Our own tables write names through pmn_text_escape. A field that is what pmn_text_escape writes for some name is
 * taken as that name, so that writing it again gives the same text. Any other field stands for its own bytes: in
 * C:\fruits\1.jpg, by other software, the backslashes are no escapes.
 *
 * Built for 10^7 rows: 16 bytes a row and the bytes of its texts; neighbours share the text of an equal label. The file
 * is streamed, and may be a pipe.
 */
#ifndef PMN_INDEX_H
#define PMN_INDEX_H

#include "pmn_err.h"

typedef struct pmn_index pmn_index; /* immutable once read: any number of threads */

/* `rows` is how many rows the matrix has. PMN_STATUS_ARGUMENT (no column `path`, another number of rows, malformed: the
 * message has the line), PMN_STATUS_NOT_FOUND (cannot be read), PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_index_read(const char *path, int64_t rows, pmn_index **index, pmn_err *err);
void pmn_index_destroy(pmn_index *index); /* accepts NULL */

/* NUL-terminated raw bytes, as the sinks take them; borrowed from the index. */
const char *pmn_index_path(const pmn_index *index, int64_t row);
const char *pmn_index_label(const pmn_index *index, int64_t row); /* "" when there is none */

#endif
