/* pmn_csv_text.c - see pmn_csv_text.h. */
#include "pmn_csv_text.h"

#include "pmn_text.h"

#include <inttypes.h>
#include <string.h>

pmn_status pmn_csv_text_append(pmn_buf *out, const char *raw, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t start = out->size;
  PMN_TRY(pmn_text_escape(out, raw, strlen(raw), err));
  /* Nothing may have been appended to a buffer without memory. */
  if (out->size == start || strpbrk(out->data + start, ",\"\r\n") == NULL) goto done;

  size_t length = out->size - start, quotes = 0;
  for (size_t i = 0; i < length; i++) quotes += out->data[start + i] == '"';
  size_t quoted = length + quotes + 2;
  PMN_TRY(pmn_buf_reserve(out, start + quoted, err));
  /* Widened in place, from the end: a byte is read before its place is written. */
  char *to = out->data + start + quoted;
  *to = '\0';
  *--to = '"';
  for (size_t i = length; i-- > 0;) {
    char byte = out->data[start + i];
    *--to = byte;
    if (byte == '"') *--to = '"';
  }
  *--to = '"';
  out->size = start + quoted;
done:
  return st;
}

const char *pmn_csv_names(bool keypoints) {
  return keypoints ? "path,label,keypoints" : "path,label";
}

pmn_status pmn_csv_names_append(pmn_buf *out, const pmn_row_block *rows, size_t i, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_csv_text_append(out, rows->keys[i], err));
  PMN_TRY(pmn_buf_append(out, ",", 1, err));
  PMN_TRY(pmn_csv_text_append(out, rows->labels[i], err));
  if (rows->keypoints != NULL) PMN_TRY(pmn_buf_printf(out, err, ",%" PRId32, rows->keypoints[i]));
done:
  return st;
}
