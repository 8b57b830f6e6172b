/* pmn_lines.c - lists of names, from a file, a pipe or standard input.
 *
 * The list is read whole, because one NUL anywhere means that newlines belong to names; its bytes then become the names
 * in place, so a list of 10^7 lines costs its own size and the table.
 */
#include "pmn_lines.h"

#include "pmn_bucket.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Ten million paths of 400 bytes; what is longer is no list of names. */
static const size_t LIST_MAX = (size_t)4 << 30;

bool pmn_lines_is_alias(const char *name) {
  return strncmp(name, "s3a://", 6) == 0 || strncmp(name, "s3n://", 6) == 0;
}

static pmn_status read_all(int fd, const char *what, pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  for (;;) {
    enum { STEP = 1 << 16 };
    if (bytes->size > LIST_MAX) {
      PMN_FAIL(
          err, PMN_STATUS_ARGUMENT, "%.300s is longer than the %zu bytes a list of names may have", what, LIST_MAX);
    }
    PMN_TRY(pmn_buf_reserve(bytes, bytes->size + STEP, err));
    ssize_t got = read(fd, bytes->data + bytes->size, STEP);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %.300s: %s", what, strerror(errno));
    if (got == 0) break;
    bytes->size += (size_t)got;
  }
  bytes->data[bytes->size] = '\0';
done:
  return st;
}

static pmn_status line_check(const char *line, size_t size, int64_t number, const char *what, pmn_err *err) {
  if (size >= PATH_MAX) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "line %lld of %.300s has %zu bytes, more than a path may have (%d): it must hold one path a line",
        (long long)number, what, size, PATH_MAX - 1);
  }
  if (pmn_lines_is_alias(line)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "line %lld of %.150s (%.150s): write s3:// instead of %.6s",
        (long long)number, what, line, line);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_lines_read(int fd, const char *what, pmn_names *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf bytes;
  pmn_buf_init(&bytes, LIST_MAX + (1 << 17));
  PMN_TRY(read_all(fd, what, &bytes, err));
  char *line = bytes.data, *end = bytes.data + bytes.size;
  PMN_TRY(pmn_names_adopt(names, &bytes, err));
  bool by_nul = memchr(line, '\0', (size_t)(end - line)) != NULL;
  for (int64_t number = 1; line < end; number++) {
    char *stop = memchr(line, by_nul ? '\0' : '\n', (size_t)(end - line));
    if (stop == NULL) stop = end; /* where the buffer has its own NUL */
    size_t size = (size_t)(stop - line);
    if (!by_nul && size > 0 && line[size - 1] == '\r') size--;
    line[size] = '\0';
    if (size > 0) {
      PMN_TRY(line_check(line, size, number, what, err));
      PMN_TRY(pmn_s3_is_uri(line) ? pmn_bucket_add(line, names, err) : pmn_names_add(names, line, err));
    }
    line = stop + 1;
  }
done:
  pmn_buf_reset(&bytes);
  return st;
}
