/* test_http.c - requests against a server on this machine with every fault: what is sent, what is believed, how many
 * at once, and how it all ends. */
#define _GNU_SOURCE /* strcasestr */
#include "check.h"
#include "loopback.h"

#include "pmn_clock.h"
#include "pmn_http.h"
#include "pmn_mem.h"

#include <signal.h>

enum { MANY = 1000 };

static loopback server;

static pmn_http *client(int32_t in_flight, const volatile sig_atomic_t *stop) {
  pmn_err err = PMN_ERR_INIT;
  pmn_http *http = NULL;
  const pmn_http_options options = {.in_flight_max = in_flight, .stop = stop};
  check_ok(pmn_http_create(&options, &http, &err));
  return http;
}

static const char *address(const char *path) {
  static char url[1024];
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", server.port, path);
  return url;
}

/* One request by a client of its own. */
static void ask(const char *method, const char *path, pmn_http_request request, pmn_http_answer *answer) {
  pmn_http *http = client(4, NULL);
  request.method = method;
  request.url = address(path);
  if (request.answer_max == 0) request.answer_max = 1 << 20;
  pmn_http_answer_init(answer);
  pmn_http_call(http, &request, answer);
  pmn_http_destroy(http);
}

static bool says(const pmn_http_answer *answer, const char *text) {
  return answer->body.data != NULL && strcasestr(answer->body.data, text) != NULL;
}

static void test_request(void **state) {
  (void)state;
  pmn_http_answer answer;
  const char *const lines[] = {"x-amz-date: 20261121T100000Z", "authorization: AWS4 signed"};
  ask("GET", "/echo/a/../b//c%2E?x=&y=%2F", (pmn_http_request){.headers = lines, .header_count = 2}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.code, 200);
  assert_true(says(&answer, "GET /echo/a/../b//c%2E?x=&y=%2F HTTP/1.1\r\n"));
  assert_true(says(&answer, "\r\nx-amz-date: 20261121T100000Z\r\n"));
  assert_true(says(&answer, "\r\nauthorization: AWS4 signed\r\n"));
  assert_false(says(&answer, "content-"));
  pmn_http_answer_reset(&answer);

  size_t size = 3 << 20; /* libcurl asks for 100 Continue from 1 MiB on, if it may */
  unsigned char *body = malloc(size);
  int64_t sum = 0;
  for (size_t i = 0; i < size; i++) sum += body[i] = (unsigned char)(i * 7 >> 3);
  ask("PUT", "/echo", (pmn_http_request){.body = body, .body_size = size}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_true(says(&answer, "PUT /echo HTTP/1.1\r\n") && says(&answer, "\r\ncontent-length: 3145728\r\n"));
  assert_false(says(&answer, "expect") || says(&answer, "content-type"));
  assert_int_equal(server.body_size, size);
  assert_int_equal(server.body_sum, sum);
  pmn_http_answer_reset(&answer);
  free(body);

  const char *const typed[] = {"content-type: application/json"};
  ask("POST", "/echo", (pmn_http_request){.headers = typed, .header_count = 1, .body = "{}", .body_size = 2}, &answer);
  assert_true(says(&answer, "POST /echo ") && says(&answer, "\r\ncontent-type: application/json\r\n"));
  assert_int_equal(server.body_size, 2);
  pmn_http_answer_reset(&answer);

  const char *const empty[] = {"PUT", "POST"};
  for (int i = 0; i < 2; i++) {
    ask(empty[i], "/echo", (pmn_http_request){0}, &answer);
    assert_true(says(&answer, "\r\ncontent-length: 0\r\n"));
    assert_false(says(&answer, "content-type"));
    pmn_http_answer_reset(&answer);
  }
  ask("DELETE", "/echo", (pmn_http_request){0}, &answer);
  assert_true(says(&answer, "DELETE /echo "));
  assert_false(says(&answer, "content-length"));
  pmn_http_answer_reset(&answer);
}

static void test_answer(void **state) {
  (void)state;
  pmn_http_answer answer;
  ask("HEAD", "/bytes/12345678", (pmn_http_request){.answer_max = 10}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.content_length, 12345678);
  assert_int_equal(answer.body.size, 0);
  pmn_http_answer_reset(&answer);

  ask("GET", "/chunks/1000", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.body.size, 1000);
  assert_int_equal(answer.content_length, -1);
  pmn_http_answer_reset(&answer);

  ask("GET", "/headers", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.code, 503);
  assert_int_equal(strlen(pmn_http_answer_header(&answer, "ETag")), 400);
  assert_string_equal(pmn_http_answer_header(&answer, "date"), "Sat, 21 Nov 2026 10:00:00 GMT");
  assert_int_equal(pmn_http_answer_time(&answer), 1795255200);
  assert_string_equal(pmn_http_answer_header(&answer, "x-amz-bucket-region"), "eu-west-3");
  assert_string_equal(pmn_http_answer_header(&answer, "Retry-After"), "7");
  assert_string_equal(pmn_http_answer_header(&answer, "Retry"), "");
  pmn_http_answer_reset(&answer);

  ask("GET", "/many_headers", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_NETWORK);
  assert_string_equal(answer.reason, "the answer's header is larger than 65536 bytes");
  pmn_http_answer_reset(&answer);

  ask("GET", "/continue", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.code, 200);
  assert_string_equal(pmn_http_answer_header(&answer, "etag"), "\"late\"");
  assert_string_equal(pmn_http_answer_header(&answer, "retry-after"), "");
  assert_int_equal(pmn_http_answer_time(&answer), -1);
  pmn_http_answer_reset(&answer);

  ask("GET", "/redirect", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.code, 307);
  assert_string_equal(answer.redirect, address("/bytes/1"));
  assert_int_equal(answer.body.size, 0);
  pmn_http_answer_reset(&answer);
}

static void test_lengths(void **state) {
  (void)state;
  pmn_http_answer answer;
  static const char *const broken[] = {"/cut/1000", "/cut/2", "/cut_chunks", "/garbage"};
  for (int i = 0; i < 4; i++) {
    ask("GET", broken[i], (pmn_http_request){0}, &answer);
    assert_int_equal(answer.status, PMN_STATUS_NETWORK);
    assert_false(answer.too_large);
    assert_true(strlen(answer.reason) > 10);
    assert_int_equal(answer.body.size, 0);
    pmn_http_answer_reset(&answer);
  }
  ask("GET", "/more/1000", (pmn_http_request){0}, &answer); /* what comes after the length is not part of it */
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.body.size, 1000);
  pmn_http_answer_reset(&answer);

  static const char *const large[] = {"/huge", "/endless", "/bytes/1001", "/chunks/1001"};
  for (int i = 0; i < 4; i++) {
    ask("GET", large[i], (pmn_http_request){.answer_max = 1000}, &answer);
    assert_int_equal(answer.status, PMN_STATUS_NETWORK);
    assert_true(answer.too_large);
    assert_non_null(strstr(answer.reason, "larger than 1000 bytes"));
    assert_int_equal(answer.body.capacity, 0);
    pmn_http_answer_reset(&answer);
  }
  ask("GET", "/bytes/1000", (pmn_http_request){.answer_max = 1000}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.body.size, 1000);
  pmn_http_answer_reset(&answer);
  ask("GET", "/code/404/65536", (pmn_http_request){.answer_max = 1}, &answer); /* what an error says is wanted */
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.code, 404);
  assert_int_equal(answer.body.size, 65536);
  pmn_http_answer_reset(&answer);
  ask("GET", "/code/404/100000000", (pmn_http_request){.answer_max = 1 << 20}, &answer); /* a proxy's page */
  assert_int_equal(answer.status, PMN_STATUS_OK);
  assert_int_equal(answer.code, 404);
  assert_int_equal(answer.body.size, 65536);
  pmn_http_answer_reset(&answer);
}

typedef struct taker {
  size_t size, pieces, refuse_after;
  int64_t length;
} taker;

static pmn_status take(void *arg, const pmn_http_answer *answer, const char *bytes, size_t size) {
  taker *self = arg;
  (void)bytes;
  self->size += size;
  self->pieces++;
  self->length = answer->content_length;
  return self->size > self->refuse_after ? PMN_STATUS_WRITE : PMN_STATUS_OK;
}

/* A body of any size, in pieces; what goes wrong with it; pages of errors are no part of it. */
static void test_take(void **state) {
  (void)state;
  static const struct {
    const char *path;
    size_t refuse_after, size;
    pmn_status status;
    int64_t length;
    int32_t code;
    size_t kept;
  } cases[] = {
      {"/bytes/3000000", SIZE_MAX, 3000000, PMN_STATUS_OK, 3000000, 200, 0},
      {"/chunks/3000000", SIZE_MAX, 3000000, PMN_STATUS_OK, -1, 200, 0},
      {"/cut/3000000", SIZE_MAX, 1500000, PMN_STATUS_NETWORK, 3000000, 200, 0},
      {"/code/404/700", SIZE_MAX, 0, PMN_STATUS_OK, 0, 404, 700},
      {"/code/206/700", SIZE_MAX, 700, PMN_STATUS_OK, 700, 206, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    taker self = {.refuse_after = cases[i].refuse_after};
    pmn_http_answer answer;
    ask("GET", cases[i].path, (pmn_http_request){.answer_max = 10, .take = take, .take_arg = &self}, &answer);
    assert_int_equal(answer.status, cases[i].status);
    assert_int_equal(answer.code, cases[i].code);
    assert_int_equal(self.size, cases[i].size);
    assert_int_equal(self.length, cases[i].length);
    assert_int_equal(answer.body.size, cases[i].kept);
    pmn_http_answer_reset(&answer);
  }
  taker self = {.refuse_after = 1000000};
  pmn_http_answer answer;
  ask("GET", "/endless", (pmn_http_request){.take = take, .take_arg = &self}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_WRITE);
  assert_true(self.size > 1000000 && self.size < 1100000 && self.pieces > 1);
  pmn_http_answer_reset(&answer);
}

static void test_hosts(void **state) {
  (void)state;
  static const struct {
    const char *url, *host; /* NULL: none */
    bool loopback;
  } cases[] = {
      {"http://localhost/", "localhost", true},
      {"https://LocalHost:8443/a?b", "LocalHost", true},
      {"http://127.0.0.1:80", "127.0.0.1", true},
      {"http://127.9.9.9/", "127.9.9.9", true},
      {"http://[::1]:80/", "[::1]", true},
      {"http://127.0.0.1.example/", "127.0.0.1.example", false},
      {"http://localhost.example/", "localhost.example", false},
      {"http://128.0.0.1/", "128.0.0.1", false},
      {"http://[::2]/", "[::2]", false},
      {"https://fruit.s3.example/a/b", "fruit.s3.example", false},
      {"http://127.0.0.1@192.0.2.1/", NULL, false},
      {"http://user:word@127.0.0.1/", NULL, false},
      {"ftp://127.0.0.1/", NULL, false},
      {"file:///etc/passwd", NULL, false},
      {"127.0.0.1/", NULL, false},
      {"http://", NULL, false},
      {"", NULL, false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char host[PMN_HTTP_TEXT] = "";
    bool found = pmn_http_host(cases[i].url, host);
    if (found != (cases[i].host != NULL)) fail_msg("%s: %s", cases[i].url, host);
    if (found) assert_string_equal(host, cases[i].host);
    assert_int_equal(found && pmn_http_host_is_loopback(host), cases[i].loopback);
  }
}

static void test_addresses(void **state) {
  (void)state;
  static const struct {
    const char *url;
    pmn_status status;
  } cases[] = {
      {"http://127.0.0.1:1/", PMN_STATUS_NETWORK},
      {"http://no-such-host.invalid/", PMN_STATUS_NETWORK},
      {"file:///etc/passwd", PMN_STATUS_ARGUMENT},
      {"ftp://127.0.0.1/", PMN_STATUS_ARGUMENT},
      {"http://", PMN_STATUS_ARGUMENT},
      {"http://user:word@127.0.0.1/", PMN_STATUS_ARGUMENT},
      {"http://127.0.0.1/\r\nx: y", PMN_STATUS_ARGUMENT},
  };
  pmn_http *http = client(1, NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_http_answer answer;
    pmn_http_answer_init(&answer);
    pmn_http_call(http, &(pmn_http_request){.method = "GET", .url = cases[i].url, .answer_max = 9999}, &answer);
    if (answer.status != cases[i].status) fail_msg("%s: %d %s", cases[i].url, answer.status, answer.reason);
    assert_true(strlen(answer.reason) > 5);
    pmn_http_answer_reset(&answer);
  }
  pmn_http_destroy(http);
}

static void test_header_lines(void **state) {
  (void)state;
  static const char *const bad[] = {"x: a\r\ny: b", "x: a\n", "x:", "x: ", "x", ": a", "x: a\tb", "x: \x7f"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    pmn_http_answer answer;
    int before = server.requests;
    ask("GET", "/echo", (pmn_http_request){.headers = &bad[i], .header_count = 1}, &answer);
    assert_int_equal(answer.status, PMN_STATUS_ARGUMENT);
    assert_int_equal(server.requests, before);
    pmn_http_answer_reset(&answer);
  }
}

/* Proxies come from the environment, as in every program that uses libcurl. */
static void test_proxy(void **state) {
  (void)state;
  pmn_http_answer answer;
  setenv("http_proxy", "http://127.0.0.1:1", 1);
  ask("GET", "/bytes/1", (pmn_http_request){0}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_NETWORK);
  pmn_http_answer_reset(&answer);
  ask("GET", "/bytes/1", (pmn_http_request){.no_proxy = true}, &answer);
  assert_int_equal(answer.status, PMN_STATUS_OK);
  pmn_http_answer_reset(&answer);
  unsetenv("http_proxy");
}

/* ------------------------------------------------------------------------------------------------- many at once -- */

typedef struct batch {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int ended, by_status[100];
  pmn_http *again; /* the first answer asks for one more, from its callback */
  pmn_http_answer answers[MANY + 1];
} batch;
static batch all;
static pmn_http_request request_of[MANY + 1];

static void on_done(void *arg, pmn_http_answer *answer) {
  pmn_err err = PMN_ERR_INIT;
  batch *self = arg;
  pthread_mutex_lock(&self->lock);
  pmn_http *again = self->again;
  self->again = NULL;
  pthread_mutex_unlock(&self->lock);
  if (again != NULL) check_ok(pmn_http_start(again, &request_of[0], &self->answers[MANY], 0, on_done, self, &err));
  pthread_mutex_lock(&self->lock);
  self->ended++;
  self->by_status[answer->status]++;
  pthread_cond_signal(&self->changed);
  pthread_mutex_unlock(&self->lock);
}

static void start_for(pmn_http *http, int i, const char *path, double delay, double stall_seconds) {
  static char urls[MANY][1024];
  pmn_err err = PMN_ERR_INIT;
  snprintf(urls[i], sizeof urls[i], "%s", address(path));
  request_of[i] =
      (pmn_http_request){.method = "GET", .url = urls[i], .answer_max = 4096, .stall_seconds = stall_seconds};
  check_ok(pmn_http_start(http, &request_of[i], &all.answers[i], delay, on_done, &all, &err));
}

static void start(pmn_http *http, int i, const char *path, double delay) {
  start_for(http, i, path, delay, 60); /* nothing here is to end by itself, however slow the machine */
}

static void reset_all(pmn_http *again) {
  for (int i = 0; i <= MANY; i++) {
    pmn_http_answer_reset(&all.answers[i]);
    pmn_http_answer_init(&all.answers[i]);
  }
  all.ended = 0;
  all.again = again;
  memset(all.by_status, 0, sizeof all.by_status);
  server.connections = server.open_most = server.busy_most = server.requests = 0;
}

static void wait_all(int count) {
  pthread_mutex_lock(&all.lock);
  while (all.ended < count) pthread_cond_wait(&all.changed, &all.lock);
  pthread_mutex_unlock(&all.lock);
}

static void test_many(void **state) {
  (void)state;
  pmn_http *http = client(8, NULL);
  reset_all(http);
  for (int i = 0; i < MANY; i++) start(http, i, "/bytes/1000", 0);
  wait_all(MANY + 1);
  assert_int_equal(all.by_status[PMN_STATUS_OK], MANY + 1);
  for (int i = 0; i <= MANY; i++) assert_int_equal(all.answers[i].body.size, 1000);
  assert_in_range(server.connections, 1, 16); /* kept and used again; on a slow machine not all eight at once */

  pmn_http_limit(http, 2);
  reset_all(NULL);
  for (int i = 0; i < 10; i++) start(http, i, "/slow", 0);
  wait_all(10);
  assert_in_range(server.busy_most, 1, 2);
  pmn_http_limit(http, 100); /* more than there may ever be */
  reset_all(NULL);
  for (int i = 0; i < 40; i++) start(http, i, "/slow", 0);
  wait_all(40);
  assert_in_range(server.busy_most, 3, 8);
  pmn_http_destroy(http);
}

static void test_order(void **state) {
  (void)state;
  pmn_http *http = client(1, NULL);
  reset_all(NULL);
  start(http, 0, "/slow_b", 0);
  start(http, 1, "/slow_e", 0.4);
  start(http, 2, "/slow_d", 0.3);
  start(http, 3, "/slow_c", 0);
  double begun = pmn_clock_seconds();
  wait_all(4);
  assert_true(pmn_clock_seconds() - begun >= 0.4);
  assert_memory_equal(server.log, "bcde", 4);
  pmn_http_destroy(http);

  http = client(2, NULL); /* others come and go while one waits for its time */
  reset_all(NULL);
  begun = pmn_clock_seconds();
  start(http, 0, "/slow", 0.4);
  for (int i = 1; i < 4; i++) {
    usleep(50 * 1000);
    start(http, i, "/slow", 0);
  }
  wait_all(4);
  assert_true(pmn_clock_seconds() - begun >= 0.4);
  pmn_http_destroy(http);
}

/* Dead lines are given up, slow ones are not. libcurl looks at the mean of some seconds; three of them, so that a busy
 * machine that lets the server sleep for one does not make a dead line of a slow one. */
static void test_stall(void **state) {
  (void)state;
  pmn_http *http = client(3, NULL);
  reset_all(NULL);
  start_for(http, 0, "/silent", 0, 3);
  start_for(http, 1, "/half", 0, 3);
  start_for(http, 2, "/drip", 0, 3);
  double begun = pmn_clock_seconds();
  wait_all(3);
  assert_true(pmn_clock_seconds() - begun < 20);
  assert_int_equal(all.answers[0].status, PMN_STATUS_NETWORK);
  assert_int_equal(all.answers[1].status, PMN_STATUS_NETWORK);
  assert_int_equal(all.answers[2].status, PMN_STATUS_OK);
  assert_int_equal(all.answers[2].body.size, 20);
  pmn_http_destroy(http);
}

static void *call_some(void *arg) {
  for (int i = 0; i < 50; i++) {
    pmn_http_answer answer;
    pmn_http_answer_init(&answer);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/bytes/%d", server.port, i + 1);
    pmn_http_call(arg, &(pmn_http_request){.method = "GET", .url = url, .answer_max = 100}, &answer);
    if (answer.status != PMN_STATUS_OK || answer.body.size != (size_t)i + 1) abort();
    pmn_http_answer_reset(&answer);
  }
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  pthread_t threads[8];
  pmn_http *http = client(4, NULL);
  for (int i = 0; i < 8; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_some, http), 0);
  for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
  pmn_http_destroy(http);
}

/* A kept connection that the server has closed meanwhile is no broken line. */
static void test_dropped(void **state) {
  (void)state;
  pmn_http *http = client(1, NULL);
  for (int i = 0; i < 3; i++) {
    pmn_http_answer answer;
    pmn_http_answer_init(&answer);
    pmn_http_call(http,
        &(pmn_http_request){
            .method = "PUT", .url = address("/drop"), .body = "body", .body_size = 4, .answer_max = 100},
        &answer);
    assert_int_equal(answer.status, PMN_STATUS_OK);
    assert_int_equal(server.body_size, 4);
    pmn_http_answer_reset(&answer);
  }
  assert_int_equal(server.dropped, 1);
  pmn_http_destroy(http);
}

/* ------------------------------------------------------------------------------------------------------- the end -- */

static void test_destroy(void **state) {
  (void)state;
  pmn_http *http = client(8, NULL);
  reset_all(NULL);
  for (int i = 0; i < 20; i++) start(http, i, i % 2 ? "/silent" : "/half", i > 15 ? 60 : 0);
  while (server.busy < 8) usleep(1000);
  pmn_http_destroy(http);
  assert_int_equal(all.ended, 20);
  assert_int_equal(all.by_status[PMN_STATUS_INTERRUPTED], 20);
  pmn_http_destroy(NULL);
}

static volatile sig_atomic_t stop = 0;
static void test_stop(void **state) {
  (void)state;
  pmn_http *http = client(4, &stop);
  reset_all(NULL);
  for (int i = 0; i < 10; i++) start(http, i, "/silent", i > 7 ? 60 : 0);
  usleep(100 * 1000);
  assert_int_equal(all.ended, 0);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  wait_all(10);
  assert_int_equal(all.by_status[PMN_STATUS_INTERRUPTED], 10);
  start(http, 0, "/bytes/1", 0);
  wait_all(11);
  assert_int_equal(all.by_status[PMN_STATUS_INTERRUPTED], 11);
  __atomic_store_n(&stop, 0, __ATOMIC_RELAXED);
  start(http, 0, "/bytes/1", 0);
  wait_all(12);
  assert_int_equal(all.by_status[PMN_STATUS_OK], 1);
  pmn_http_destroy(http);
}

/* Every allocation fails once: an error and no leak, or an answer. */
static void test_memory(void **state) {
  (void)state;
  bool good = false;
  for (int64_t k = 0; k < 20 && !good; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_http *http = NULL;
    pmn_http_answer answer;
    pmn_http_answer_init(&answer);
    const pmn_http_request request = {.method = "GET", .url = address("/bytes/1000"), .answer_max = 1000};
    const pmn_http_options options = {.in_flight_max = 2, .ca_bundle = "/dev/null"};
    pmn_mem_fail_after(k);
    pmn_status st = pmn_http_create(&options, &http, &err);
    if (st == PMN_STATUS_OK) {
      pmn_http_call(http, &request, &answer);
      st = answer.status;
    }
    pmn_mem_fail_after(-1);
    good = st == PMN_STATUS_OK;
    if (!good) assert_int_equal(st, PMN_STATUS_NO_MEMORY);
    assert_true(k > 0 || !good);
    pmn_http_answer_reset(&answer);
    pmn_http_destroy(http);
  }
  assert_true(good);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_request),
      cmocka_unit_test(test_answer),
      cmocka_unit_test(test_lengths),
      cmocka_unit_test(test_take),
      cmocka_unit_test(test_hosts),
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_header_lines),
      cmocka_unit_test(test_proxy),
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_order),
      cmocka_unit_test(test_stall),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_dropped),
      cmocka_unit_test(test_destroy),
      cmocka_unit_test(test_stop),
      cmocka_unit_test(test_memory),
  };
  static const char *const proxies[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
  for (int i = 0; i < 3; i++) unsetenv(proxies[i]);
  pthread_mutex_init(&all.lock, NULL);
  pthread_cond_init(&all.changed, NULL);
  loopback_start(&server);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
