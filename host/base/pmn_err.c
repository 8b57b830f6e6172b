/* pmn_err.c - see pmn_err.h. */
#include "pmn_err.h"

#include "pmn_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

pmn_status pmn_err_set(pmn_err *err, pmn_status status, int32_t foreign, const char *format, ...) {
  if (err == NULL) return status;
  /* Not straight into *err: its old message may be among the arguments. */
  char message[sizeof err->message];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  size_t size = strlen(message);
  for (size_t i = 0; i < size;) {
    int length = pmn_text_utf8_length(message + i, size - i);
    if (length == 0)
      message[i] = '?'; /* a name that is no UTF-8, or a character cut in two at the end */
    else if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
      message[i] = ' ';
    i += length == 0 ? 1 : (size_t)length;
  }
  memcpy(err->message, message, size + 1);
  err->status = status;
  err->foreign = foreign;
  return status;
}

pmn_status pmn_err_memory(pmn_err *err, size_t bytes, const char *what) {
  return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "cannot get %zu bytes of memory for %s", bytes, what);
}
