/* pmn_download.c - see pmn_download.h. Faults that may pass are tried again with growing pauses; a try that brought
 * more bytes than there ever were starts the count anew, so that a large file comes through a line that keeps breaking,
 * and a server that errs in the same way every time does not keep us. */
#define _GNU_SOURCE /* O_NOFOLLOW */
#include "pmn_download.h"

#include "pmn_file.h"
#include "pmn_http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  REDIRECTS_MAX = 5,
  TRIES_MAX = 5,  /* in a row without a new byte */
  PAUSE_MS = 250, /* before the second try; doubles */
  URL_SIZE = 4096,
  TAG_SIZE = 256, /* of a version of the file: an ETag or a date */
  EXCESS_MAX = 2, /* times as large as expected, a file is refused before all of it is here */
};
static const int64_t bytes_max = 2000 * 1000 * 1000; /* more than the largest file that is published */

typedef struct transfer {
  const pmn_download_options *options;
  const char *path;
  char tag_path[4096];
  pmn_http *http;
  int fd;
  pmn_digest *digest; /* of the first `have` bytes, which are in the file */
  int64_t have, most; /* most: of what `have` ever was */
  bool no_ranges;     /* the server has sent a wrong part: whole files only */
  char tag[TAG_SIZE]; /* version of those bytes; "" for none: they cannot be continued */

  /* of one try */
  bool asked_for_rest, body_started;
  int64_t started_at;
  pmn_status failed; /* of what was done with the body; OK: nothing did */
  pmn_err *err;
} transfer;

/* ------------------------------------------------------------------------------------------- what has come yet -- */

static pmn_status fail_write(const transfer *self, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_WRITE, errno, "cannot write %.300s: %s", self->path, strerror(errno));
}

static pmn_status start_anew(transfer *self, pmn_err *err) {
  self->have = 0;
  self->tag[0] = '\0';
  unlink(self->tag_path);
  if (ftruncate(self->fd, 0) != 0) return fail_write(self, err);
  pmn_digest_destroy(self->digest);
  self->digest = pmn_digest_create(true);
  return self->digest != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the hash of a download");
}

/* Can it go back to the server? */
static bool is_tag(const char *text) {
  const char *c = text;
  while (*c >= ' ' && *c <= '~') c++;
  return c > text && *c == '\0';
}

/* Opens what an earlier call has left, if it can be continued. */
static pmn_status open_part(transfer *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  pmn_buf tag;
  pmn_buf_init(&tag, TAG_SIZE - 1);
  self->fd = open(self->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (self->fd < 0 || fstat(self->fd, &info) != 0) {
    st = fail_write(self, err);
    goto done;
  }
  bool tagged = pmn_file_read(self->tag_path, &tag, NULL) == PMN_STATUS_OK && tag.size > 0 && is_tag(tag.data);
  if (!tagged || info.st_size > bytes_max) {
    st = start_anew(self, err);
    goto done;
  }
  PMN_TRY(pmn_digest_read(self->fd, info.st_size, self->path, true, self->options->stop, &self->digest, err));
  self->have = info.st_size;
  memcpy(self->tag, tag.data, tag.size + 1);
done:
  pmn_buf_reset(&tag);
  return st;
}

/* Remembers which version of the file is coming. A weak ETag promises no equal bytes. */
static void keep_tag(transfer *self, const pmn_http_answer *answer) {
  const char *tag = pmn_http_answer_header(answer, "ETag");
  if (tag[0] != '"') tag = pmn_http_answer_header(answer, "Last-Modified");
  snprintf(self->tag, sizeof self->tag, "%s", strlen(tag) < sizeof self->tag ? tag : "");
  if (!is_tag(self->tag) ||
      pmn_file_write_cached(self->tag_path, self->tag, strlen(self->tag), NULL) != PMN_STATUS_OK) {
    self->tag[0] = '\0';
    unlink(self->tag_path);
  }
}

/* ------------------------------------------------------------------------------------------------------ one try -- */

/* "bytes START-END/TOTAL"; -1 and 0 where it is not said. */
static void read_range(const pmn_http_answer *answer, long long *start, long long *total) {
  *start = -1;
  *total = 0;
  sscanf(pmn_http_answer_header(answer, "Content-Range"), "bytes %lld-%*[0-9]/%lld", start, total);
}

/* The first bytes of a body: do they continue what is there, or replace it? */
static pmn_status start_body(transfer *self, const pmn_http_answer *answer) {
  pmn_status st = PMN_STATUS_OK;
  long long start, total;
  read_range(answer, &start, &total);
  if (answer->code == 200) {
    if (self->have > 0) PMN_TRY(start_anew(self, self->err));
    keep_tag(self, answer);
  } else if (!self->asked_for_rest || start != self->have) {
    PMN_TRY(start_anew(self, self->err));
    self->no_ranges = true;
    PMN_FAIL(self->err, PMN_STATUS_NETWORK, "%.300s: the server sent another part of the file than it was asked for",
        self->options->url);
  }
  self->started_at = self->have;
  self->body_started = true;
done:
  return st;
}

static pmn_status keep_bytes(transfer *self, const char *bytes, size_t size) {
  int64_t limit = self->options->bytes > 0 ? EXCESS_MAX * self->options->bytes : bytes_max;
  if ((int64_t)size > limit - self->have) {
    return pmn_err_set(self->err, PMN_STATUS_MODEL, 0, "%.300s is larger than %lld bytes: it cannot be the right file",
        self->options->url, (long long)limit);
  }
  for (size_t done = 0; done < size;) {
    ssize_t written = pwrite(self->fd, bytes + done, size - done, self->have + (int64_t)done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail_write(self, self->err);
    done += (size_t)written;
  }
  if (!pmn_digest_update(self->digest, bytes, size)) {
    return pmn_err_set(self->err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute a hash");
  }
  self->have += (int64_t)size;
  return PMN_STATUS_OK;
}

static pmn_status take_piece(void *arg, const pmn_http_answer *answer, const char *bytes, size_t size) {
  transfer *self = arg;
  const pmn_download_options *o = self->options;
  int64_t length = answer->content_length;
  if (!self->body_started) self->failed = start_body(self, answer);
  if (self->failed == PMN_STATUS_OK) self->failed = keep_bytes(self, bytes, size);
  if (self->failed == PMN_STATUS_OK && o->on_progress != NULL) {
    o->on_progress(o->callback_arg, self->have, length > 0 ? self->started_at + length : o->bytes);
  }
  return self->failed;
}

/* Addresses that cannot leave this machine, where plain http harms nobody. */
static bool is_local(const char *url) {
  char host[PMN_HTTP_TEXT];
  return pmn_http_host(url, host) && pmn_http_host_is_loopback(host);
}

/* Asks, and follows redirects: to https, or within this machine, but never from there to elsewhere in plain text. */
static pmn_status ask(transfer *self, const pmn_http_request *request, pmn_http_answer *answer, pmn_err *err) {
  const char *asked = self->options->url;
  char url[URL_SIZE];
  pmn_http_request one = *request;
  one.url = asked;
  for (int redirects = 0;; redirects++) {
    pmn_http_call(self->http, &one, answer);
    const char *next = answer->redirect;
    if (answer->status != PMN_STATUS_OK || next == NULL) return PMN_STATUS_OK;
    bool good = strncasecmp(next, "https://", 8) == 0 || (is_local(asked) && is_local(next));
    if (!good || strlen(next) >= sizeof url) {
      return pmn_err_set(
          err, PMN_STATUS_NETWORK, 0, "%.200s: a redirect to %.150s, which is not https, is not followed", asked, next);
    }
    if (redirects == REDIRECTS_MAX) {
      return pmn_err_set(
          err, PMN_STATUS_NETWORK, answer->code, "%.300s: more than %d redirects in a row", asked, REDIRECTS_MAX);
    }
    snprintf(url, sizeof url, "%s", next);
    one.url = url;
  }
}

/* What came, if it is not the file; *temporary: another try may help. */
static pmn_status judge(transfer *self, const pmn_http_answer *answer, bool *temporary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *url = self->options->url;
  int32_t code = answer->code;
  if (self->failed != PMN_STATUS_OK) {
    *temporary = self->failed == PMN_STATUS_NETWORK;
    return self->failed;
  }
  if (answer->status == PMN_STATUS_INTERRUPTED) return pmn_err_set(err, answer->status, 0, "interrupted");
  if (answer->status != PMN_STATUS_OK) {
    *temporary = answer->status == PMN_STATUS_NETWORK;
    return pmn_err_set(err, answer->status, 0, "%.200s: %.150s", url, answer->reason);
  }
  if (code == 200 || code == 206) return PMN_STATUS_OK;
  *temporary = code == 408 || code == 416 || code == 429 || code >= 500;
  if (code == 416) PMN_TRY(start_anew(self, err)); /* nothing comes after what we have: it cannot be what we think */
  PMN_FAIL_CODE(err, *temporary || code < 400 ? PMN_STATUS_NETWORK : PMN_STATUS_NOT_FOUND, code,
      "%.300s: the server answers %d", url, (int)code);
done:
  return st;
}

static pmn_status try_once(transfer *self, bool *temporary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char range[48], condition[TAG_SIZE + 16];
  const char *const headers[] = {range, condition};
  long long start, total;
  pmn_http_answer answer;
  pmn_http_answer_init(&answer);
  *temporary = false;
  self->asked_for_rest = self->have > 0;
  self->body_started = false;
  self->failed = PMN_STATUS_OK;
  self->err = err;
  snprintf(range, sizeof range, "Range: bytes=%lld-", (long long)self->have);
  snprintf(condition, sizeof condition, "If-Range: %s", self->tag);
  const pmn_http_request request = {.method = "GET",
      .headers = headers,
      .header_count = self->asked_for_rest ? 2 : 0,
      .take = take_piece,
      .take_arg = self};
  PMN_TRY(ask(self, &request, &answer, err));
  PMN_TRY(judge(self, &answer, temporary, err));
  if (!self->body_started) PMN_TRY(start_anew(self, err)); /* the file is empty now */
  read_range(&answer, &start, &total);
  if (self->have < total) {
    *temporary = true;
    PMN_FAIL(err, PMN_STATUS_NETWORK, "%.300s: the server sent less than the rest", self->options->url);
  }
done:
  pmn_http_answer_reset(&answer);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ all of it --
 */

static void pause_for(const transfer *self, int ms) {
  const struct timespec step = {.tv_nsec = 50 * 1000 * 1000};
  for (; ms > 0 && (self->options->stop == NULL || *self->options->stop == 0); ms -= 50) nanosleep(&step, NULL);
}

void pmn_download_forget(const char *path) {
  char tag_path[4096];
  unlink(path);
  snprintf(tag_path, sizeof tag_path, "%s.etag", path);
  unlink(tag_path);
}

pmn_status pmn_download(const char *path, const pmn_download_options *options, int64_t *bytes,
    char md5[PMN_MD5_HEX_SIZE], char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  transfer self = {.options = options, .path = path, .fd = -1};
  const pmn_http_options http = {.in_flight_max = 1, .stop = options->stop};
  bool temporary;
  snprintf(self.tag_path, sizeof self.tag_path, "%s.etag", path);
  PMN_TRY(open_part(&self, err));
  PMN_TRY(pmn_http_create(&http, &self.http, err));
  self.most = self.have;
  for (int tries = 1, pause = PAUSE_MS;; tries++, pause *= 2) {
    st = try_once(&self, &temporary, err);
    if (st == PMN_STATUS_OK) break;
    bool whole = self.tag[0] == '\0' || self.no_ranges;
    if (self.have > 0 && whole && start_anew(&self, NULL) != PMN_STATUS_OK) goto done;
    if (self.have > self.most) {
      self.most = self.have;
      tries = 0;
      pause = PAUSE_MS;
    }
    if (!temporary || tries == TRIES_MAX) goto done;
    pause_for(&self, pause);
  }
  if (!pmn_digest_finish(self.digest, md5, sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  *bytes = self.have;
  if (ftruncate(self.fd, self.have) != 0 || fsync(self.fd) != 0) st = fail_write(&self, err);
done:
  pmn_http_destroy(self.http);
  pmn_digest_destroy(self.digest);
  if (self.fd >= 0) close(self.fd);
  return st;
}
