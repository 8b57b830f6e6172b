/* pmn_http.c - see pmn_http.h. Requests come in by a list under a lock. The driving thread sorts them by the time they
 * are due, keeps at most `limit` of them in libcurl's multi handle, and calls back when one has ended. All else is that
 * thread's own.
 *
 * Workload: up to a few dozen transfers at once of some ten kilobytes each, thousands in a second over connections that
 * stay open; and a few parts of many megabytes on their way up.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_http.h"

#include "pmn_clock.h"
#include "pmn_http_answer.h"
#include "pmn_latch.h"
#include "pmn_mem.h"

#include <curl/curl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum {
  CONNECT_SECONDS = 10,
  STALL_SECONDS = 30,
  STOP_POLL_MS = 200,
  IDLE_POLL_MS = 60 * 1000, /* with nothing to do; a wakeup ends it */
  ERROR_BODY_MAX = 64 << 10,
  RECEIVE_SIZE = 64 << 10,
};

typedef struct job {
  struct job *next;
  pmn_http *http;
  const pmn_http_request *request;
  pmn_http_answer *answer;
  pmn_http_done *done;
  void *arg;
  double due;
  int32_t slot; /* in http->active */
  CURL *curl;
  struct curl_slist *headers;
  char reason[CURL_ERROR_SIZE];
  pmn_status failed; /* of a callback; OK: none */
  bool enough;       /* of an error page that goes on */
} job;

struct pmn_http {
  int32_t in_flight_max;
  char *ca_bundle;
  const volatile sig_atomic_t *stop;
  CURLM *multi;
  pthread_t thread;
  bool locked, started; /* what create has got to */

  pthread_mutex_t lock; /* of these */
  job *incoming, **incoming_end;
  int32_t limit;
  bool closing;

  /* the driving thread's */
  job *waiting; /* by `due`; of equal ones the first come first */
  job **active;
  int32_t active_count;
  CURL **idle;
  int32_t idle_count;
};

/* -------------------------------------------------------------------------------------------- libcurl's callbacks --
 */

static void fail(job *self, pmn_status status, const char *reason) {
  self->failed = status;
  snprintf(self->answer->reason, sizeof self->answer->reason, "%.255s", reason);
}

static void refuse_as_too_large(job *self) {
  char reason[64];
  snprintf(reason, sizeof reason, "the answer is larger than %zu bytes", self->request->answer_max);
  fail(self, PMN_STATUS_NETWORK, reason);
  self->answer->too_large = true;
}

static bool is_error(const pmn_http_answer *answer) {
  return answer->code < 200 || answer->code >= 300;
}

/* Is the body wanted whole, in memory? */
static bool is_kept(const job *self) {
  return !is_error(self->answer) && self->request->take == NULL;
}

/* All headers are here: is the body welcome? */
static void end_headers(job *self) {
  pmn_http_answer *answer = self->answer;
  pmn_err err = PMN_ERR_INIT;
  long code = 0;
  curl_off_t said = -1;
  curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &code);
  curl_easy_getinfo(self->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &said);
  answer->code = (int32_t)code;
  answer->content_length = said;
  answer->body.max = is_error(answer) ? ERROR_BODY_MAX : self->request->answer_max;
  if (said <= 0 || !is_kept(self) || strcmp(self->request->method, "HEAD") == 0) return;
  if ((uintmax_t)said > answer->body.max) {
    refuse_as_too_large(self);
  } else if (pmn_buf_reserve(&answer->body, (size_t)said, &err) != PMN_STATUS_OK) {
    fail(self, err.status, err.message);
  }
}

/* Lines are those of the last answer: others before it were 100 Continue, or a proxy's. */
static size_t on_header(char *line, size_t one, size_t size, void *arg) {
  job *self = arg;
  pmn_http_answer *answer = self->answer;
  pmn_err err = PMN_ERR_INIT;
  (void)one;
  if (size > 5 && strncasecmp(line, "HTTP/", 5) == 0) pmn_buf_clear(&answer->headers);
  if (pmn_http_answer_add(answer, line, size, &err) != PMN_STATUS_OK) fail(self, err.status, err.message);
  if (size > 0 && (line[0] == '\r' || line[0] == '\n')) end_headers(self);
  return self->failed == PMN_STATUS_OK ? size : 0;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *arg) {
  job *self = arg;
  pmn_http_answer *answer = self->answer;
  pmn_err err = PMN_ERR_INIT;
  size_t room = answer->body.max - answer->body.size, some = size < room ? size : room;
  (void)one;
  if (!is_error(answer) && self->request->take != NULL) {
    self->failed = self->request->take(self->request->take_arg, answer, bytes, size);
  } else if (is_kept(self) && some < size) {
    refuse_as_too_large(self);
  } else if (pmn_buf_append(&answer->body, bytes, some, &err) != PMN_STATUS_OK) {
    fail(self, err.status, err.message);
  } else {
    self->enough = some < size;
  }
  return self->failed == PMN_STATUS_OK && !self->enough ? size : 0;
}

/* ---------------------------------------------------------------------------------------------------- one request --
 */

/* A line that is no header, or several, would change the meaning of what is signed. */
static pmn_status check_request(const pmn_http_request *request, pmn_err *err) {
  if (strncasecmp(request->url, "http://", 7) != 0 && strncasecmp(request->url, "https://", 8) != 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%.300s is no address: http:// or https://", request->url);
  }
  for (size_t i = 0; i < request->header_count; i++) {
    const char *line = request->headers[i];
    const char *colon = strchr(line, ':');
    bool good = colon != NULL && colon > line && colon[1 + strspn(colon + 1, " \t")] != '\0';
    for (const char *p = line; good && *p != '\0'; p++) good = (unsigned char)*p >= 0x20 && *p != 0x7f;
    if (!good) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a header line of a request has no value or odd characters");
    }
  }
  return PMN_STATUS_OK;
}

static bool add_header(job *self, const char *line) {
  struct curl_slist *list = curl_slist_append(self->headers, line);
  if (list != NULL) self->headers = list;
  return list != NULL;
}

/* Bodies go by POSTFIELDS, whatever the method: libcurl then sends them from our memory, and again if a kept
 * connection turns out to be closed. What it would add to them is taken away. */
static bool set_headers(job *self, bool with_body) {
  bool good = true, typed = false;
  for (size_t i = 0; i < self->request->header_count; i++) {
    const char *line = self->request->headers[i];
    good = good && add_header(self, line);
    typed = typed || strncasecmp(line, "content-type:", 13) == 0;
  }
  if (with_body) good = good && add_header(self, "Expect:") && (typed || add_header(self, "Content-Type:"));
  return good && curl_easy_setopt(self->curl, CURLOPT_HTTPHEADER, self->headers) == CURLE_OK;
}

static bool set_method(job *self) {
  const pmn_http_request *r = self->request;
  CURL *curl = self->curl;
  int bad = 0;
  bool with_body = r->body_size > 0 || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
  if (with_body) {
    bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_size) != CURLE_OK;
    bad |= curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body_size > 0 ? r->body : "") != CURLE_OK;
  }
  if (strcmp(r->method, "HEAD") == 0)
    bad |= curl_easy_setopt(curl, CURLOPT_NOBODY, 1L) != CURLE_OK;
  else
    bad |= curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method) != CURLE_OK;
  return bad == 0 && set_headers(self, with_body);
}

static bool set_options(job *self) {
  const pmn_http_request *r = self->request;
  CURL *curl = self->curl;
  double connect = r->connect_seconds > 0 ? r->connect_seconds : CONNECT_SECONDS;
  double stall = r->stall_seconds > 0 ? r->stall_seconds : STALL_SECONDS;
  int bad = 0;
  bad |= curl_easy_setopt(curl, CURLOPT_PRIVATE, self) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, self->reason) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_URL, r->url) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_USERAGENT, "pomona/" PMN_VERSION) != CURLE_OK;
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, (long)RECEIVE_SIZE); /* a handle that has its buffer yet says no */
  bad |= curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)ceil(connect * 1000)) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)ceil(stall)) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_HEADERDATA, self) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK;
  bad |= curl_easy_setopt(curl, CURLOPT_WRITEDATA, self) != CURLE_OK;
  if (r->no_proxy) bad |= curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") != CURLE_OK;
  if (self->http->ca_bundle != NULL) {
    bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, self->http->ca_bundle) != CURLE_OK;
  }
  return bad == 0 && set_method(self);
}

/* ---------------------------------------------------------------------------------------------- the driving thread --
 */

/* Tells the caller how it ended and frees the job, which is in no list any more. */
static void end_job(job *self, pmn_status status, const char *reason) {
  pmn_http_answer *answer = self->answer;
  answer->status = status;
  if (reason != NULL) snprintf(answer->reason, sizeof answer->reason, "%.255s", reason);
  if (status != PMN_STATUS_OK) pmn_buf_reset(&answer->body);
  for (struct curl_slist *line = self->headers; line != NULL; line = line->next) {
    explicit_bzero(line->data, strlen(line->data)); /* keys and tokens */
  }
  curl_slist_free_all(self->headers);
  if (self->curl != NULL) {
    curl_easy_reset(self->curl);
    self->http->idle[self->http->idle_count++] = self->curl;
  }
  self->done(self->arg, answer);
  pmn_free(self);
}

static void leave_multi(pmn_http *self, job *one) {
  curl_multi_remove_handle(self->multi, one->curl);
  self->active[one->slot] = self->active[--self->active_count];
  self->active[one->slot]->slot = one->slot;
}

static pmn_status judge(const job *self, CURLcode result) {
  if (self->enough) return PMN_STATUS_OK;
  switch (result) {
  case CURLE_OK:
    return PMN_STATUS_OK;
  case CURLE_URL_MALFORMAT:
  case CURLE_LOGIN_DENIED: /* a user in the address */
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CACERT_BADFILE:
    return PMN_STATUS_ARGUMENT;
  default: /* CURLE_OUT_OF_MEMORY too: that is what libcurl says of a header beyond its limits */
    return self->failed != PMN_STATUS_OK ? self->failed : PMN_STATUS_NETWORK;
  }
}

static void tell_reason(job *self, CURLcode result) {
  const char *said = self->reason[0] != '\0' ? self->reason : curl_easy_strerror(result);
  if (result == CURLE_OUT_OF_MEMORY) said = "the answer's header is too large, or there is no memory for it";
  /* OpenSSL's own words, "wrong version number", are no help alone. */
  snprintf(self->answer->reason, sizeof self->answer->reason, "%s%.240s",
      result == CURLE_SSL_CONNECT_ERROR ? "no TLS there: " : "", said);
}

static void end_finished(pmn_http *self) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(self->multi, &left)) != NULL) {
    char *private = NULL, *redirect = NULL;
    CURLcode result = message->data.result; /* *message dies with the handle's stay */
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
    job *one = (job *)(void *)private;
    pmn_status st = judge(one, result);
    curl_easy_getinfo(one->curl, CURLINFO_REDIRECT_URL, &redirect);
    if (redirect != NULL && (one->answer->redirect = pmn_strdup(redirect)) == NULL) st = PMN_STATUS_NO_MEMORY;
    if (st != PMN_STATUS_OK && one->failed == PMN_STATUS_OK) tell_reason(one, result);
    leave_multi(self, one);
    end_job(one, st, NULL);
  }
}

static void end_all_active(pmn_http *self, const char *reason) {
  while (self->active_count > 0) {
    job *one = self->active[self->active_count - 1];
    leave_multi(self, one);
    end_job(one, PMN_STATUS_NO_MEMORY, reason);
  }
}

static bool is_stopped(const volatile sig_atomic_t *stop) {
  return stop != NULL && __atomic_load_n(stop, __ATOMIC_RELAXED) != 0;
}

/* Ends what nobody waits for any more. */
static void end_stopped(pmn_http *self, bool all) {
  all = all || is_stopped(self->stop);
  for (int32_t i = self->active_count - 1; i >= 0; i--) {
    job *one = self->active[i]; /* whoever takes its slot has been looked at */
    if (!all && !is_stopped(one->request->stop)) continue;
    leave_multi(self, one);
    end_job(one, PMN_STATUS_INTERRUPTED, "interrupted");
  }
  for (job **place = &self->waiting; *place != NULL;) {
    job *one = *place;
    if (all || is_stopped(one->request->stop)) {
      *place = one->next;
      end_job(one, PMN_STATUS_INTERRUPTED, "interrupted");
    } else {
      place = &one->next;
    }
  }
}

static void begin(pmn_http *self, job *one) {
  one->curl = self->idle_count > 0 ? self->idle[--self->idle_count] : curl_easy_init();
  if (one->curl == NULL || !set_options(one) || curl_multi_add_handle(self->multi, one->curl) != CURLM_OK) {
    end_job(one, PMN_STATUS_NO_MEMORY, "libcurl cannot be set up for a request");
    return;
  }
  one->slot = self->active_count;
  self->active[self->active_count++] = one;
}

/* Takes over what other threads have asked for; false: the end has come. */
static bool take_incoming(pmn_http *self, int32_t *limit) {
  pthread_mutex_lock(&self->lock);
  job *list = self->incoming;
  self->incoming = NULL;
  self->incoming_end = &self->incoming;
  *limit = self->limit;
  bool go_on = !self->closing;
  pthread_mutex_unlock(&self->lock);
  job **place = &self->waiting; /* most are in the order of their times: the search goes on where it ended */
  double before = 0;
  while (list != NULL) {
    job *one = list;
    list = one->next;
    if (one->due < before) place = &self->waiting;
    before = one->due;
    while (*place != NULL && (*place)->due <= one->due) place = &(*place)->next;
    one->next = *place;
    *place = one;
  }
  return go_on;
}

static void wait_for_work(pmn_http *self) {
  double ms = self->active_count == 0 && self->waiting == NULL ? IDLE_POLL_MS : STOP_POLL_MS;
  pthread_mutex_lock(&self->lock);
  if (self->waiting != NULL && self->active_count < self->limit) {
    ms = fmin(ms, ceil((self->waiting->due - pmn_clock_seconds()) * 1000));
  }
  if (self->incoming != NULL) ms = 0; /* a callback has asked: such requests wake nobody */
  pthread_mutex_unlock(&self->lock);
  if (ms > 0) curl_multi_poll(self->multi, NULL, 0, (int)ms, NULL);
}

static void *drive(void *arg) {
  pmn_http *self = arg;
  int32_t limit;
  while (take_incoming(self, &limit)) {
    end_stopped(self, false);
    double now = pmn_clock_seconds();
    while (self->active_count < limit && self->waiting != NULL && self->waiting->due <= now) {
      job *one = self->waiting;
      self->waiting = one->next;
      begin(self, one);
    }
    int running;
    CURLMcode result = curl_multi_perform(self->multi, &running);
    if (result != CURLM_OK) end_all_active(self, curl_multi_strerror(result));
    end_finished(self);
    wait_for_work(self);
  }
  end_stopped(self, true);
  return NULL;
}

/* -------------------------------------------------------------------------------------------------- from outside -- */

static void start_curl(void) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* No signal is handled there: SIGPIPE of a cut TLS connection dies with it, and the program's handlers run where they
 * always did. */
static int start_thread(pmn_http *self) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int failed = pthread_create(&self->thread, NULL, drive, self);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed;
}

pmn_status pmn_http_create(const pmn_http_options *options, pmn_http **http, pmn_err *err) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pmn_status st = PMN_STATUS_OK;
  pmn_http *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an HTTP client");
  size_t slots = options->in_flight_max > 0 ? (size_t)options->in_flight_max : 1;
  pthread_once(&once, start_curl);
  self->in_flight_max = self->limit = (int32_t)slots;
  self->stop = options->stop;
  self->incoming_end = &self->incoming;
  self->active = pmn_calloc(slots, sizeof *self->active);
  self->idle = pmn_calloc(slots, sizeof *self->idle);
  if (options->ca_bundle != NULL) self->ca_bundle = pmn_strdup(options->ca_bundle);
  self->multi = curl_multi_init();
  if (self->active == NULL || self->idle == NULL || self->multi == NULL ||
      (options->ca_bundle != NULL && self->ca_bundle == NULL) ||
      curl_multi_setopt(self->multi, CURLMOPT_MAXCONNECTS, (long)slots) != CURLM_OK) {
    st = pmn_err_memory(err, slots * sizeof *self->active, "an HTTP client");
    goto done;
  }
  self->locked = pthread_mutex_init(&self->lock, NULL) == 0;
  self->started = self->locked && start_thread(self) == 0;
  if (!self->started) PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "cannot start a thread for requests");
  *http = self;
  self = NULL;
done:
  pmn_http_destroy(self);
  return st;
}

void pmn_http_cancel(pmn_http *http) {
  pthread_mutex_lock(&http->lock);
  http->closing = true;
  pthread_mutex_unlock(&http->lock);
  curl_multi_wakeup(http->multi);
}

void pmn_http_destroy(pmn_http *http) {
  if (http == NULL) return;
  if (http->started) {
    pmn_http_cancel(http);
    pthread_join(http->thread, NULL);
  }
  while (http->idle_count > 0) curl_easy_cleanup(http->idle[--http->idle_count]);
  curl_multi_cleanup(http->multi);
  if (http->locked) pthread_mutex_destroy(&http->lock);
  pmn_free(http->active);
  pmn_free(http->idle);
  pmn_free(http->ca_bundle);
  pmn_free(http);
}

pmn_status pmn_http_start(pmn_http *http, const pmn_http_request *request, pmn_http_answer *answer,
    double delay_seconds, pmn_http_done *done, void *arg, pmn_err *err) {
  pmn_http_answer_reset(answer);
  pmn_status st = check_request(request, err);
  if (st != PMN_STATUS_OK) return st;
  job *one = pmn_calloc(1, sizeof *one);
  if (one == NULL) return pmn_err_memory(err, sizeof *one, "a request");
  *one = (job){.http = http, .request = request, .answer = answer, .done = done, .arg = arg};
  one->due = pmn_clock_seconds() + delay_seconds;
  pthread_mutex_lock(&http->lock);
  bool refused = http->closing, first = http->incoming == NULL;
  if (!refused) {
    *http->incoming_end = one;
    http->incoming_end = &one->next;
  }
  pthread_mutex_unlock(&http->lock);
  if (refused) {
    pmn_free(one);
    return pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "interrupted");
  }
  if (first && !pthread_equal(pthread_self(), http->thread)) curl_multi_wakeup(http->multi);
  return PMN_STATUS_OK;
}

static void on_done(void *arg, pmn_http_answer *answer) {
  (void)answer;
  pmn_latch_open(arg);
}

void pmn_http_call(pmn_http *http, const pmn_http_request *request, pmn_http_answer *answer) {
  pmn_err err = PMN_ERR_INIT;
  pmn_latch ended;
  pmn_latch_init(&ended, false);
  pmn_status st = pmn_http_start(http, request, answer, 0, on_done, &ended, &err);
  if (st == PMN_STATUS_OK) {
    pmn_latch_wait(&ended);
  } else {
    answer->status = st;
    snprintf(answer->reason, sizeof answer->reason, "%.255s", err.message);
  }
  pmn_latch_destroy(&ended);
}

void pmn_http_limit(pmn_http *http, int32_t in_flight_max) {
  int32_t limit = in_flight_max < 1 ? 1 : in_flight_max > http->in_flight_max ? http->in_flight_max : in_flight_max;
  pthread_mutex_lock(&http->lock);
  bool more = limit > http->limit;
  http->limit = limit;
  pthread_mutex_unlock(&http->lock);
  if (more && !pthread_equal(pthread_self(), http->thread)) curl_multi_wakeup(http->multi);
}
