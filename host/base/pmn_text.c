/* pmn_text.c - see pmn_text.h. */
#include "pmn_text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Well-formed sequences of Unicode 15, table 3-7: no overlong forms, no surrogates, nothing above U+10FFFF. */
int pmn_text_utf8_length(const char *p, size_t size) {
  const unsigned char *s = (const unsigned char *)p;
  if (size == 0) return 0;
  if (s[0] < 0x80) return 1;
  int length = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
  if (length == 0 || (size_t)length > size) return 0;
  unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
  if (s[1] < low || s[1] > high) return 0;
  for (int i = 2; i < length; i++) {
    if (s[i] < 0x80 || s[i] > 0xbf) return 0;
  }
  return length;
}

pmn_status pmn_text_escape(pmn_buf *out, const char *name, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (size_t i = 0; i < size;) {
    int length = pmn_text_utf8_length(name + i, size - i);
    if (length == 0) {
      PMN_TRY(pmn_buf_printf(out, err, "\\x%02X", (unsigned char)name[i]));
      i += 1;
    } else if (name[i] == '\\') {
      PMN_TRY(pmn_buf_append(out, "\\\\", 2, err));
      i += 1;
    } else {
      PMN_TRY(pmn_buf_append(out, name + i, (size_t)length, err));
      i += (size_t)length;
    }
  }
done:
  return st;
}

/* Value of a digit as pmn_text_escape writes it; -1 for anything else. */
static int hex_digit(char digit) {
  return digit >= '0' && digit <= '9' ? digit - '0' : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool pmn_text_unescape(const char *text, char *name) {
  while (*text != '\0') {
    if (*text != '\\') {
      *name++ = *text++;
    } else if (text[1] == '\\') {
      *name++ = '\\';
      text += 2;
    } else {
      int high = text[1] == 'x' ? hex_digit(text[2]) : -1, low = high >= 8 ? hex_digit(text[3]) : -1;
      if (low < 0) return false; /* and no byte below 0x80 is escaped */
      *name++ = (char)(high << 4 | low);
      text += 4;
    }
  }
  *name = '\0';
  return true;
}

bool pmn_text_int64(const char *text, int64_t min, int64_t max, int64_t *value) {
  if (!isdigit((unsigned char)text[0]) && text[0] != '-') return false;
  char *end = NULL;
  errno = 0;
  long long parsed = strtoll(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || parsed < min || parsed > max) return false;
  *value = parsed;
  return true;
}

bool pmn_text_double(const char *text, double *value) {
  if (text[0] == '\0' || strspn(text, "+-.0123456789eE") != strlen(text)) return false;
  char *end = NULL;
  errno = 0;
  double parsed = strtod(text, &end);
  if (errno != 0 || end == text || *end != '\0' || !isfinite(parsed)) return false;
  *value = parsed;
  return true;
}

bool pmn_text_ends(const char *name, const char *end) {
  size_t size = strlen(name), end_size = strlen(end);
  return size > end_size && strcmp(name + size - end_size, end) == 0;
}
