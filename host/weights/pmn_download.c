/* pmn_download.c - see pmn_download.h. Faults that may pass are tried again with growing pauses; a try that brought
 * more bytes than there ever were starts the count anew, so that a large file comes through a line that keeps breaking,
 * and a server that errs in the same way every time does not keep us. */
#define _GNU_SOURCE /* strcasecmp with strings.h, O_NOFOLLOW */
#include "pmn_download.h"

#include "pmn_file.h"
#include "pmn_mem.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
  CONNECT_SECONDS = 15,
  STALL_SECONDS = 30, /* a line slower than SLOWEST for as long is as good as cut */
  SLOWEST = 1024,     /* bytes in a second */
  REDIRECTS_MAX = 5,
  TRIES_MAX = 5,  /* in a row without a new byte */
  PAUSE_MS = 250, /* before the second try; doubles */
  URL_SIZE = 4096,
  TAG_SIZE = 256, /* of a version of the file: an ETag or a date */
  ERROR_BODY_MAX = 1 << 20,
  EXCESS_MAX = 2, /* times as large as expected, a file is refused before all of it is here */
};
static const int64_t bytes_max = 2000 * 1000 * 1000; /* more than the largest file that is published */

typedef struct transfer {
  const pmn_download_options *options;
  const char *path;
  char tag_path[4096];
  int fd;
  pmn_digest *digest; /* of the first `have` bytes, which are in the file */
  int64_t have, most; /* most: of what `have` ever was */
  bool no_ranges;     /* the server has sent a wrong part: whole files only */
  char tag[TAG_SIZE]; /* version of those bytes; "" for none: they cannot be continued */

  /* of one try */
  CURL *curl;
  char url[URL_SIZE]; /* where redirects have led */
  bool asked_for_rest, body_started;
  int redirects;
  int64_t started_at, range_start, range_total, error_body; /* range_total 0: not said */
  char etag[TAG_SIZE], modified[TAG_SIZE];
  char reason[CURL_ERROR_SIZE];
  pmn_status failed; /* of a callback; OK: none */
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
  bool tagged =
      pmn_file_read(self->tag_path, &tag, NULL) == PMN_STATUS_OK && tag.size > 0 && strpbrk(tag.data, "\r\n") == NULL;
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
static void keep_tag(transfer *self) {
  bool strong = self->etag[0] == '"';
  snprintf(self->tag, sizeof self->tag, "%s", strong ? self->etag : self->modified);
  if (self->tag[0] == '\0' ||
      pmn_file_write_cached(self->tag_path, self->tag, strlen(self->tag), NULL) != PMN_STATUS_OK) {
    self->tag[0] = '\0';
    unlink(self->tag_path);
  }
}

/* --------------------------------------------------------------------------------------------------- callbacks -- */

/* The value of a header line "NAME: value\r\n" without blanks around it; false for other names. */
static bool take_header(const char *line, size_t size, const char *name, char value[TAG_SIZE]) {
  size_t length = strlen(name);
  if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':') return false;
  for (line += length + 1, size -= length + 1; size > 0 && (*line == ' ' || *line == '\t'); size--) line++;
  while (size > 0 && strchr(" \t\r\n", line[size - 1]) != NULL) size--;
  if (size >= TAG_SIZE) size = 0;
  memcpy(value, line, size);
  value[size] = '\0';
  return true;
}

static size_t on_header(char *line, size_t one, size_t size, void *arg) {
  transfer *self = arg;
  char range[TAG_SIZE];
  long long start = 0, total = 0;
  (void)one;
  if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) { /* another answer, after a redirect */
    self->etag[0] = self->modified[0] = '\0';
    self->range_start = -1;
    self->range_total = 0;
  }
  take_header(line, size, "ETag", self->etag);
  take_header(line, size, "Last-Modified", self->modified);
  if (take_header(line, size, "Content-Range", range) &&
      sscanf(range, "bytes %lld-%*[0-9]/%lld", &start, &total) >= 1) {
    self->range_start = start;
    self->range_total = total;
  }
  return size;
}

/* The first bytes of a body: do they continue what is there, or replace it? */
static pmn_status start_body(transfer *self, long code) {
  pmn_status st = PMN_STATUS_OK;
  if (code == 200) {
    if (self->have > 0) PMN_TRY(start_anew(self, self->err));
    keep_tag(self);
  } else if (!self->asked_for_rest || self->range_start != self->have) {
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

static size_t on_body(char *bytes, size_t one, size_t size, void *arg) {
  transfer *self = arg;
  long code = 0;
  (void)one;
  curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &code);
  if (code != 200 && code != 206) { /* the text of an error page */
    self->error_body += (int64_t)size;
    return self->error_body > ERROR_BODY_MAX ? 0 : size;
  }
  if (!self->body_started) self->failed = start_body(self, code);
  if (self->failed == PMN_STATUS_OK) self->failed = keep_bytes(self, bytes, size);
  return self->failed == PMN_STATUS_OK ? size : 0;
}

static int on_transfer(void *arg, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up) {
  transfer *self = arg;
  const pmn_download_options *o = self->options;
  (void)now;
  (void)up_total;
  (void)up;
  if (self->body_started && o->on_progress != NULL) {
    o->on_progress(o->callback_arg, self->have, total > 0 ? self->started_at + total : o->bytes);
  }
  return o->stop != NULL && *o->stop != 0;
}

/* ------------------------------------------------------------------------------------------------------ one try -- */

static void start_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Addresses that cannot leave this machine, where plain http harms nobody. */
static bool is_loopback(const char *url) {
  CURLU *parts = curl_url();
  char *host = NULL;
  struct in_addr address;
  bool loopback = parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                  curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                  (strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
                      (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127));
  curl_free(host);
  curl_url_cleanup(parts);
  return loopback;
}

static bool set_options(transfer *self, const struct curl_slist *headers, const char *range) {
  CURL *curl = self->curl;
  const char *protocols = self->options->allow_http ? "http,https" : "https";
  int bad = 0;
  bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)STALL_SECONDS) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" PMN_VERSION) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, self->reason) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, self) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, self) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_transfer) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, self) != CURLE_OK;
  /* Not CURLOPT_RESUME_FROM: it makes an error of a server that sends the whole file instead, which is good too. */
  if (range != NULL) bad |= curl_easy_setopt(curl, CURLOPT_RANGE, range) != CURLE_OK;
  if (headers != NULL) bad |= curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK;
  return bad == 0;
}

/* What an answer other than the file means; *temporary: another try may help. */
static pmn_status judge_code(transfer *self, long code, bool *temporary, pmn_err *err) {
  const char *url = self->options->url;
  if (code == 200 || code == 206) return PMN_STATUS_OK;
  if (code >= 300 && code < 400 && self->redirects > REDIRECTS_MAX) {
    return pmn_err_set(
        err, PMN_STATUS_NETWORK, (int32_t)code, "%.300s: more than %d redirects in a row", url, REDIRECTS_MAX);
  }
  *temporary = code == 408 || code == 416 || code == 429 || code >= 500;
  if (code == 416) { /* nothing comes after what we have: it cannot be what we think */
    pmn_status st = start_anew(self, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return pmn_err_set(err, *temporary || code < 400 ? PMN_STATUS_NETWORK : PMN_STATUS_NOT_FOUND, (int32_t)code,
      "%.300s: the server answers %ld", url, code);
}

static pmn_status judge_curl(const transfer *self, CURLcode code, bool *temporary, pmn_err *err) {
  const char *reason = self->reason[0] != '\0' ? self->reason : curl_easy_strerror(code);
  switch (code) {
  case CURLE_OUT_OF_MEMORY: /* that is what curl says of a header beyond its limits, too */
    reason = "the answer's header is too large, or there is no memory for it";
    break;
  case CURLE_URL_MALFORMAT:
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, (int32_t)code, "%.300s is no address", self->options->url);
  case CURLE_COULDNT_RESOLVE_HOST:
  case CURLE_COULDNT_CONNECT:
  case CURLE_OPERATION_TIMEDOUT:
  case CURLE_PARTIAL_FILE:
  case CURLE_GOT_NOTHING:
  case CURLE_SEND_ERROR:
  case CURLE_RECV_ERROR:
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_HTTP2:
  case CURLE_HTTP2_STREAM:
    *temporary = true;
    break;
  default:
    break;
  }
  return pmn_err_set(err, PMN_STATUS_NETWORK, (int32_t)code, "%.200s: %.150s", self->options->url, reason);
}

/* Asks, and follows redirects: to https, or within this machine, but never from there to elsewhere in plain text. */
static pmn_status perform(transfer *self, CURLcode *result, pmn_err *err) {
  bool local = is_loopback(self->options->url);
  snprintf(self->url, sizeof self->url, "%s", self->options->url);
  for (self->redirects = 0; self->redirects <= REDIRECTS_MAX; self->redirects++) {
    const char *next = NULL;
    self->error_body = 0;
    if (curl_easy_setopt(self->curl, CURLOPT_URL, self->url) != CURLE_OK) return pmn_err_memory(err, 1, "an address");
    *result = curl_easy_perform(self->curl);
    if (curl_easy_getinfo(self->curl, CURLINFO_REDIRECT_URL, &next) != CURLE_OK || next == NULL) break;
    bool good =
        strncasecmp(next, "https://", 8) == 0 || (local && strncasecmp(next, "http://", 7) == 0 && is_loopback(next));
    if (!good || strlen(next) >= sizeof self->url) {
      return pmn_err_set(err, PMN_STATUS_NETWORK, 0,
          "%.200s: a redirect to %.150s, which is not https, is not followed", self->options->url, next);
    }
    snprintf(self->url, sizeof self->url, "%s", next);
  }
  return PMN_STATUS_OK;
}

static pmn_status try_once(transfer *self, bool *temporary, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct curl_slist *headers = NULL;
  char range[32], condition[TAG_SIZE + 16];
  long code = 0;
  *temporary = false;
  self->asked_for_rest = self->have > 0;
  self->body_started = false;
  self->range_total = 0;
  self->reason[0] = '\0';
  self->failed = PMN_STATUS_OK;
  self->err = err;
  self->curl = curl_easy_init();
  bool good = self->curl != NULL;
  if (self->asked_for_rest) {
    snprintf(range, sizeof range, "%lld-", (long long)self->have);
    snprintf(condition, sizeof condition, "If-Range: %s", self->tag);
    headers = curl_slist_append(NULL, condition);
    good = good && headers != NULL;
  }
  if (!good || !set_options(self, headers, self->asked_for_rest ? range : NULL)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcurl cannot be set up");
  }
  CURLcode result = CURLE_OK;
  PMN_TRY(perform(self, &result, err));
  curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &code);
  if (self->options->stop != NULL && *self->options->stop != 0) PMN_FAIL(err, PMN_STATUS_INTERRUPTED, "interrupted");
  if (self->failed != PMN_STATUS_OK) {
    *temporary = self->failed == PMN_STATUS_NETWORK;
    st = self->failed;
    goto done;
  }
  st = result == CURLE_OK || self->error_body > 0 ? judge_code(self, code, temporary, err)
                                                  : judge_curl(self, result, temporary, err);
  if (st == PMN_STATUS_OK && !self->body_started) st = start_anew(self, err); /* the file is empty now */
  if (st == PMN_STATUS_OK && self->have < self->range_total) {
    *temporary = true;
    PMN_FAIL(err, PMN_STATUS_NETWORK, "%.300s: the server sent less than the rest", self->options->url);
  }
done:
  curl_slist_free_all(headers);
  curl_easy_cleanup(self->curl);
  self->curl = NULL;
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
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pmn_status st = PMN_STATUS_OK;
  transfer self = {.options = options, .path = path, .fd = -1};
  bool temporary;
  pthread_once(&once, start_curl);
  snprintf(self.tag_path, sizeof self.tag_path, "%s.etag", path);
  PMN_TRY(open_part(&self, err));
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
  pmn_digest_destroy(self.digest);
  if (self.fd >= 0) close(self.fd);
  return st;
}
