/* pmn_http_answer.c - what came, see pmn_http.h. Headers are kept as "name" NUL "value" NUL, one after the other: an
 * answer has a dozen, of which few are ever asked for. */
#include "pmn_http_answer.h"

#include "pmn_mem.h"

#include <curl/curl.h>
#include <string.h>
#include <strings.h>

enum { HEADERS_MAX = 64 << 10, HEADERS_USUAL = 1 << 10 };

void pmn_http_answer_init(pmn_http_answer *answer) {
  *answer = (pmn_http_answer){.content_length = -1, .headers = {.max = HEADERS_MAX}};
}

void pmn_http_answer_reset(pmn_http_answer *answer) {
  pmn_buf_reset(&answer->headers);
  pmn_buf_reset(&answer->body);
  pmn_free(answer->redirect);
  pmn_http_answer_init(answer);
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

pmn_status pmn_http_answer_add(pmn_http_answer *answer, const char *line, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf *headers = &answer->headers;
  const char *colon = memchr(line, ':', size);
  if (colon == NULL || memchr(line, '\0', size) != NULL) goto done;
  const char *value = colon + 1, *end = line + size;
  while (value < end && is_blank(*value)) value++;
  while (end > value && is_blank(end[-1])) end--;
  if (size > headers->max - headers->size) {
    PMN_FAIL(err, PMN_STATUS_NETWORK, "the answer's header is larger than %zu bytes", headers->max);
  }
  PMN_TRY(pmn_buf_reserve(headers, headers->data == NULL ? HEADERS_USUAL : 0, err));
  PMN_TRY(pmn_buf_append(headers, line, (size_t)(colon - line), err));
  PMN_TRY(pmn_buf_append(headers, "", 1, err));
  PMN_TRY(pmn_buf_append(headers, value, (size_t)(end - value), err));
  PMN_TRY(pmn_buf_append(headers, "", 1, err));
done:
  return st;
}

const char *pmn_http_answer_header(const pmn_http_answer *answer, const char *name) {
  const char *last = "";
  for (size_t at = 0; at < answer->headers.size;) {
    const char *found = answer->headers.data + at, *value = found + strlen(found) + 1;
    if (strcasecmp(found, name) == 0) last = value;
    at += strlen(found) + strlen(value) + 2;
  }
  return last;
}

time_t pmn_http_answer_date(const pmn_http_answer *answer, const char *name) {
  return curl_getdate(pmn_http_answer_header(answer, name), NULL);
}

time_t pmn_http_answer_time(const pmn_http_answer *answer) {
  return pmn_http_answer_date(answer, "Date");
}
