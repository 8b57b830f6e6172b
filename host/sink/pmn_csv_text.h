/* pmn_csv_text.h - the one place that knows how text becomes a CSV field. */
#ifndef PMN_CSV_TEXT_H
#define PMN_CSV_TEXT_H

#include "pmn_buf.h"
#include "pmn_sink.h"

/* Longest field: ten times the longest path of the system, escaped and quoted. */
#define PMN_CSV_FIELD_MAX ((size_t)1 << 20)

/* Appends raw bytes as a field: escaped by pmn_text_escape, so always UTF-8, then quoted by RFC 4180 if it holds a
 * comma, a quote or a line end. */
PMN_MUST_USE pmn_status pmn_csv_text_append(pmn_buf *out, const char *raw, pmn_err *err);

/* What rows begin with, and the names of these columns: path, label and, where there is one, the number of keypoints.
 */
#define PMN_CSV_NAMES_MAX (2 * PMN_CSV_FIELD_MAX + 16)
const char *pmn_csv_names(bool keypoints);
PMN_MUST_USE pmn_status pmn_csv_names_append(pmn_buf *out, const pmn_row_block *rows, size_t i, pmn_err *err);

#endif
