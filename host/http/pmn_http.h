/* pmn_http.h - requests over HTTP/1.1: one thread drives libcurl's multi interface, any number of threads ask.
 *
 * A request is sent as it is given: no redirect is followed, nothing is added that was not signed, no netrc, no
 * cookies. Proxies are those of the environment. An answer that is shorter than it said is no answer. Connections are
 * kept and used again.
 */
#ifndef PMN_HTTP_H
#define PMN_HTTP_H

#include "pmn_buf.h"

#include <time.h>

typedef struct pmn_http pmn_http;
typedef struct pmn_http_answer pmn_http_answer;

typedef struct pmn_http_options {
  int32_t in_flight_max;             /* transfers at once; more wait their turn, first come first served */
  const char *ca_bundle;             /* PEM file; NULL: the system's */
  const volatile sig_atomic_t *stop; /* non-zero: every request ends with PMN_STATUS_INTERRUPTED; may be NULL */
} pmn_http_options;

/* Borrowed until the answer is there. */
typedef struct pmn_http_request {
  const char *method;         /* "GET", "HEAD", "PUT", "POST", "DELETE" */
  const char *url;            /* complete and percent-encoded; http:// or https:// */
  const char *const *headers; /* "Name: value" */
  size_t header_count;
  const void *body; /* NULL: none */
  size_t body_size;
  size_t answer_max; /* a larger 2xx body is an error before memory is taken for it; of others 64 KiB are kept */
  /* Takes a 2xx body of any size piece by piece, from the driving thread; code, headers and length are in the answer by
   * then. It may block if no other request waits. An error ends the request with that status. NULL: answer->body. */
  pmn_status (*take)(void *arg, const pmn_http_answer *answer, const char *bytes, size_t size);
  void *take_arg;
  double connect_seconds;            /* 0: 10 */
  double stall_seconds;              /* without a byte either way for as long, the line is as good as cut; 0: 30 */
  const volatile sig_atomic_t *stop; /* as that of the options, for this request alone; may be NULL */
  bool no_proxy;                     /* of link-local and loopback services: never through a proxy */
} pmn_http_request;

enum { PMN_HTTP_TEXT = 256 };

/* What came. `status` OK: an answer, whatever its code, whole (of error pages as much as was kept). Else there is none
 * and `reason` says why: PMN_STATUS_NETWORK (the same request may be sent again, though the server may have acted on
 * it), PMN_STATUS_ARGUMENT (no use in trying again: no address, a certificate that is not trusted),
 * PMN_STATUS_INTERRUPTED, _NO_MEMORY; or what `take` gave, whose reason is its own. */
struct pmn_http_answer {
  pmn_status status;
  int32_t code;           /* 200, 404, ... */
  int64_t content_length; /* as the server said; -1: it did not */
  bool too_large;         /* status is PMN_STATUS_NETWORK because the body is beyond answer_max */
  char *redirect;         /* where a 3xx leads, a complete address; NULL: nowhere */
  pmn_buf headers;        /* for pmn_http_answer_header */
  pmn_buf body;
  char reason[PMN_HTTP_TEXT];
};
void pmn_http_answer_init(pmn_http_answer *answer);
void pmn_http_answer_reset(pmn_http_answer *answer);
/* The value of a header, in any case of letters, of several the last; "" if there is none. Borrowed from the answer. */
const char *pmn_http_answer_header(const pmn_http_answer *answer, const char *name);
/* A header that is a date; (time_t)-1 if it is none, or not there. */
time_t pmn_http_answer_date(const pmn_http_answer *answer, const char *name);
/* The server's clock, by its Date; (time_t)-1 if it does not say. */
time_t pmn_http_answer_time(const pmn_http_answer *answer);

PMN_MUST_USE pmn_status pmn_http_create(const pmn_http_options *options, pmn_http **http, pmn_err *err);
/* Ends what is under way with PMN_STATUS_INTERRUPTED, and refuses what comes later; returns at once. For callers with
 * threads of their own, to be ended before pmn_http_destroy. */
void pmn_http_cancel(pmn_http *http);
/* Cancels what is under way (their callbacks are called with PMN_STATUS_INTERRUPTED) and frees everything. NULL is
 * fine. */
void pmn_http_destroy(pmn_http *http);

/* Sends and waits; what *answer held is freed. Any thread but the driving one (so not from a callback). The outcome is
 * in *answer. */
void pmn_http_call(pmn_http *http, const pmn_http_request *request, pmn_http_answer *answer);
/* Sends and returns; `done` is called once, from the driving thread, and must not block. *answer is the caller's and
 * must live until then; what it held is freed. PMN_STATUS_ARGUMENT (a header line that is none), PMN_STATUS_INTERRUPTED
 * (being destroyed), PMN_STATUS_NO_MEMORY: `done` is not called. */
typedef void pmn_http_done(void *arg, pmn_http_answer *answer);
PMN_MUST_USE pmn_status pmn_http_start(pmn_http *http, const pmn_http_request *request, pmn_http_answer *answer,
    double delay_seconds, pmn_http_done *done, void *arg, pmn_err *err);
/* At most so many transfers at once from now on: for servers that ask to slow down. */
void pmn_http_limit(pmn_http *http, int32_t in_flight_max);

/* The host of an http:// or https:// address, "[::1]" with its brackets; false for anything else, and for an address
 * that names a user. */
bool pmn_http_host(const char *url, char host[PMN_HTTP_TEXT]);
/* localhost, 127.x.x.x, [::1]: what is sent there does not leave this machine. */
bool pmn_http_host_is_loopback(const char *host);

#endif
