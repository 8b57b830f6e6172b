/* test_s3_credentials.c - renewal among threads, and small parts; a service of keys stands in for pmn_http.c.
 *
 * check_credentials.py has the sources themselves, over real lines.
 */
#include "check.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_s3_credentials.h"
#include "pmn_s3_profile.h"
#include "pmn_s3_source.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

/* --------------------------------------------------------------------------------------------- a container's service
 * -- */

static atomic_int calls, busy, busy_most, failing; /* failing: code of the answers, 0: they are good */
static atomic_int lifetime;                        /* of the keys, in seconds */
static atomic_bool slow;

/* In the place of pmn_clock.c: time that can be skipped. */
static atomic_int clock_ahead;
double pmn_clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec + atomic_load(&clock_ahead);
}

void pmn_http_answer_init(pmn_http_answer *answer) {
  *answer = (pmn_http_answer){.status = PMN_STATUS_NETWORK};
}

void pmn_http_answer_reset(pmn_http_answer *answer) {
  pmn_buf_reset(&answer->body);
}

void pmn_http_call(pmn_http *http, const pmn_http_request *request, pmn_http_answer *answer) {
  const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
  (void)http;
  int number = atomic_fetch_add(&calls, 1), now = atomic_fetch_add(&busy, 1) + 1;
  if (now > atomic_load(&busy_most)) atomic_store(&busy_most, now);
  if (atomic_load(&slow)) nanosleep(&pause, NULL);
  assert_true(request->no_proxy);
  answer->code = atomic_load(&failing);
  answer->status = answer->code < 0 ? PMN_STATUS_NETWORK : PMN_STATUS_OK;
  snprintf(answer->reason, sizeof answer->reason, "nobody answers");
  if (answer->code == 0) {
    char when[32];
    struct tm utc;
    time_t expires = time(NULL) + atomic_load(&lifetime);
    gmtime_r(&expires, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    answer->code = 200;
    pmn_buf_init(&answer->body, request->answer_max);
    answer->status = pmn_buf_printf(&answer->body, NULL,
        "{\"AccessKeyId\":\"AK%d\",\"SecretAccessKey\":\"s%d\",\"Token\":\"t%d\",\"Expiration\":\"%s\"}", number,
        number, number, when);
  }
  atomic_fetch_sub(&busy, 1);
}

static pmn_s3_config config = {.profile = (char *)(uintptr_t) "default"};
static pmn_s3_credentials *credentials;

static int set_up(void **state) {
  pmn_err err = PMN_ERR_INIT;
  (void)state;
  static const char *const none[] = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE",
      "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
      "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++) unsetenv(none[i]);
  setenv("AWS_CONFIG_FILE", "/dev/null", 1);
  setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
  setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/keys", 1);
  calls = busy = busy_most = failing = 0;
  lifetime = 3600;
  slow = false;
  check_ok(pmn_s3_credentials_create(&config, NULL, &credentials, &err));
  assert_string_equal(pmn_s3_credentials_source(credentials), "the container");
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  pmn_s3_credentials_destroy(credentials);
  return 0;
}

/* ----------------------------------------------------------------------------------------------------- renewal -- */

static void check_get(bool refused, pmn_s3_keys *keys, const char *access_key) {
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_s3_credentials_get(credentials, refused, keys, &err));
  assert_string_equal(keys->access_key, access_key);
  assert_string_equal(keys->token + 1, access_key + 2);
  assert_string_equal(keys->secret_key + 1, access_key + 2);
}

static void test_renewal(void **state) {
  (void)state;
  pmn_s3_keys keys;
  check_get(false, &keys, "AK0");
  pmn_s3_keys_reset(&keys);
  check_get(false, &keys, "AK0"); /* for an hour nothing is asked */
  assert_int_equal(calls, 1);
  lifetime = 240;
  check_get(true, &keys, "AK1");
  pmn_s3_keys_reset(&keys);
  check_get(false, &keys, "AK1"); /* near their end, but asked a moment ago */
  assert_int_equal(calls, 2);
  pmn_s3_keys_reset(&keys);
}

static void test_early(void **state) {
  (void)state;
  pmn_s3_keys keys;
  pmn_err err = PMN_ERR_INIT;
  lifetime = 1;
  check_get(false, &keys, "AK0");
  pmn_s3_keys_reset(&keys);
  lifetime = 3600;
  sleep(2);
  check_get(false, &keys, "AK1"); /* expired: renewed at once */
  pmn_s3_keys_reset(&keys);
  lifetime = -5;
  pmn_s3_credentials_destroy(credentials);
  check_ok(pmn_s3_credentials_create(&config, NULL, &credentials, &err));
  check_fails(pmn_s3_credentials_get(credentials, false, &keys, &err), PMN_STATUS_KEYS, "expired already");
  assert_null(keys.token);
  assert_string_equal(keys.access_key, "");
}

/* Keys that were refused after others took their place are no reason to ask again. */
static void test_late_refusal(void **state) {
  (void)state;
  pmn_s3_keys keys, late;
  pmn_err err = PMN_ERR_INIT;
  check_get(false, &keys, "AK0");
  check_get(false, &late, "AK0");
  check_get(true, &keys, "AK1");
  check_get(true, &late, "AK1");
  assert_int_equal(calls, 2);
  failing = 403;
  check_fails(pmn_s3_credentials_get(credentials, true, &keys, &err), PMN_STATUS_KEYS, "answers 403");
  check_fails(pmn_s3_credentials_get(credentials, true, &late, &err), PMN_STATUS_KEYS, "answers 403");
  failing = 0;
  check_get(false, &keys, "AK1"); /* for others they are good as far as anybody knows */
  pmn_s3_keys_reset(&keys);
}

static void *get_in_thread(void *arg) {
  pmn_s3_keys keys = {.expires = 0};
  pmn_err err = PMN_ERR_INIT;
  pmn_status *st = arg;
  if (*st == PMN_STATUS_NETWORK) { /* the keys of the first answer, refused */
    snprintf(keys.access_key, sizeof keys.access_key, "AK0");
    keys.token = pmn_strdup("t0");
  }
  *st = pmn_s3_credentials_get(credentials, *st == PMN_STATUS_NETWORK, &keys, &err);
  pmn_s3_keys_reset(&keys);
  return NULL;
}

enum { THREADS = 16 };

static void run_threads(pmn_status before, pmn_status after) {
  pthread_t threads[THREADS];
  pmn_status statuses[THREADS];
  for (int i = 0; i < THREADS; i++) statuses[i] = before;
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, get_in_thread, &statuses[i]), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < THREADS; i++) assert_int_equal(statuses[i], after);
  assert_int_equal(busy_most, 1);
}

static void test_threads(void **state) {
  (void)state;
  slow = true;
  run_threads(PMN_STATUS_OK, PMN_STATUS_OK);
  assert_int_equal(calls, 1);
  run_threads(PMN_STATUS_NETWORK, PMN_STATUS_OK);
  assert_int_equal(calls, 2);
}

/* Those who waited for a renewal that failed do not each try it again. */
static void test_threads_failure(void **state) {
  (void)state;
  slow = true;
  failing = 400;
  run_threads(PMN_STATUS_OK, PMN_STATUS_ARGUMENT);
  assert_in_range(calls, 1, 3);
}

/* A renewal that fails while the old keys are good is no error, and is tried again after a minute. */
static void test_failed_renewal(void **state) {
  (void)state;
  pmn_s3_keys keys;
  lifetime = 240;
  check_get(false, &keys, "AK0");
  failing = -1;
  clock_ahead += 61;
  for (int i = 0; i < 3; i++) {
    pmn_s3_keys_reset(&keys);
    check_get(false, &keys, "AK0");
    assert_int_equal(calls, 4); /* three tries for the first one, none for the others */
  }
  failing = 0;
  clock_ahead += 58;
  pmn_s3_keys_reset(&keys);
  check_get(false, &keys, "AK0");
  clock_ahead += 3;
  pmn_s3_keys_reset(&keys);
  check_get(false, &keys, "AK4");
  pmn_s3_keys_reset(&keys);
}

/* Early renewal keeps nobody but the one who does it. */
static void test_threads_early(void **state) {
  (void)state;
  pmn_s3_keys keys;
  lifetime = 240;
  check_get(false, &keys, "AK0");
  pmn_s3_keys_reset(&keys);
  clock_ahead += 61;
  slow = true;
  pthread_t thread;
  pmn_status st = PMN_STATUS_OK;
  assert_int_equal(pthread_create(&thread, NULL, get_in_thread, &st), 0);
  while (busy == 0) sched_yield();
  check_get(false, &keys, "AK0");
  assert_int_equal(busy, 1);
  pmn_s3_keys_reset(&keys);
  pthread_join(thread, NULL);
  check_get(false, &keys, "AK1");
  pmn_s3_keys_reset(&keys);
}

static void test_tries(void **state) {
  (void)state;
  pmn_s3_keys keys;
  pmn_err err = PMN_ERR_INIT;
  failing = -1;
  check_fails(pmn_s3_credentials_get(credentials, false, &keys, &err), PMN_STATUS_NETWORK, "nobody answers");
  assert_int_equal(calls, 3);
  failing = 404;
  check_fails(pmn_s3_credentials_get(credentials, false, &keys, &err), PMN_STATUS_ARGUMENT, "404");
  assert_int_equal(calls, 4);
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int64_t k = 0;; k++) {
    pmn_s3_credentials *own = NULL;
    pmn_s3_keys keys = {.expires = 0};
    pmn_mem_fail_after(k);
    pmn_status st = pmn_s3_credentials_create(&config, NULL, &own, &err);
    if (st == PMN_STATUS_OK) st = pmn_s3_credentials_get(own, false, &keys, &err);
    pmn_mem_fail_after(-1);
    pmn_s3_keys_reset(&keys);
    pmn_s3_credentials_destroy(own);
    if (st == PMN_STATUS_OK) {
      assert_true(k > 5);
      return;
    }
    assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  }
}

/* ------------------------------------------------------------------------------------------------------- parts -- */

static void test_time(void **state) {
  (void)state;
  static const char *const bad[] = {"", "2026-11-21", "2026-11-21T08:50:35", "2026-11-21 08:50:35Z",
      "2026-13-21T08:50:35Z", "2026-00-21T08:50:35Z", "2026-02-29T08:50:35Z", "2026-11-31T08:50:35Z",
      "2026-11-21T24:50:35Z", "2026-11-21T08:60:35Z", "2026-11-21T08:50:60Z", "2026-11-21T08:50:35Zx",
      "2026-11-21T08:50:35.Z", "2026-11-21T08:50:35+0100", "2026-11-21T08:50:35+24:00", "26-11-21T08:50:35Z",
      "+026-11-21T08:50:35Z", "2026-11-21T08:50:35z", "1969-12-31T23:59:59Z", "12026-11-21T08:50:35Z",
      "2026-11-21T 8:50:35Z"};
  static const struct {
    const char *text;
    double seconds; /* by `date -u -d TEXT +%s` of GNU coreutils 9.1 */
  } good[] = {{"1970-01-01T00:00:00Z", 0}, {"2026-11-21T08:50:35Z", 1795251035}, {"2024-02-29T23:59:59Z", 1709251199},
      {"2026-11-21T08:50:35.123456Z", 1795251035}, {"2026-11-21T08:50:35+00:00", 1795251035},
      {"2026-11-21T08:50:35-05:30", 1795270835}, {"9999-12-31T23:59:59Z", 253402300799}};
  double seconds;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    if (pmn_s3_time_parse(bad[i], &seconds)) fail_msg("%s is believed", bad[i]);
  }
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (!pmn_s3_time_parse(good[i].text, &seconds) || seconds != good[i].seconds) fail_msg("%s", good[i].text);
  }
}

static void test_container_url(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  static const char *const good[] = {"https://example.com/x", "http://localhost:1/x", "http://127.1.2.3/x",
      "http://[::1]:9/x", "http://169.254.170.2/x", "http://169.254.170.23/v1/credentials",
      "http://[fd00:ec2::23]/v1/credentials"};
  static const char *const bad[] = {"http://169.254.170.22/x", "http://128.0.0.1/x", "http://localhost.evil.example/x",
      "http://localhost@evil.example/x", "http://[fd00:ec2::24]/", "gopher://127.0.0.1/", "/x", "http://127.0.0.1/ x",
      "http://169.254.170.2.evil.example/", "http://evil.example\\@127.0.0.1/"};
  pmn_buf url;
  pmn_buf_init(&url, 4096);
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i], 1);
    pmn_buf_clear(&url);
    check_ok(pmn_s3_container_url(&url, &err));
    assert_string_equal(url.data, good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
    if (pmn_s3_container_url(&url, &err) != PMN_STATUS_ARGUMENT) fail_msg("%s is believed", bad[i]);
  }
  setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1?id=2", 1);
  pmn_buf_clear(&url);
  check_ok(pmn_s3_container_url(&url, &err));
  assert_string_equal(url.data, "http://169.254.170.2/v2/credentials/1?id=2"); /* goes before the other */
  pmn_buf_reset(&url);
}

static void test_process_time(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_keys keys = {.expires = 0};
  double start = pmn_clock_seconds();
  check_fails(pmn_s3_process_keys("sleep 30", 0.2, "it", &keys, &err), PMN_STATUS_ARGUMENT, "has not ended in time");
  check_fails(pmn_s3_process_keys("sh -c 'exec >&-; exec sleep 30'", 0.2, "it", &keys, &err), PMN_STATUS_ARGUMENT,
      "has not ended in time");
  assert_true(pmn_clock_seconds() - start < 5);
}

static void test_token_file(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char folder[64], path[128];
  check_folder(folder);
  snprintf(path, sizeof path, "%s/token", folder);
  static const struct {
    const char *text;
    size_t size;
    const char *token; /* NULL: none */
  } cases[] = {{"abc", 3, "abc"}, {"abc \r\n\n", 7, "abc"}, {"", 0, NULL}, {"\n", 1, NULL}, {"a\nb", 3, NULL},
      {"a\0b", 3, NULL}, {"a\xff", 2, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_buf token;
    pmn_buf_init(&token, 100);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fwrite(cases[i].text, 1, cases[i].size, file);
    fclose(file);
    if (cases[i].token != NULL) {
      check_ok(pmn_s3_token_read(path, "it", &token, &err));
      assert_string_equal(token.data, cases[i].token);
    } else {
      check_fails(pmn_s3_token_read(path, "it", &token, &err), PMN_STATUS_ARGUMENT, "holds no token");
    }
    pmn_s3_wipe(&token);
  }
  check_folder_remove(folder);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {TEST(test_renewal), TEST(test_early), TEST(test_late_refusal), TEST(test_threads),
      TEST(test_threads_failure), TEST(test_failed_renewal), TEST(test_threads_early), TEST(test_tries),
      TEST(test_no_memory), TEST(test_time), TEST(test_container_url), TEST(test_process_time), TEST(test_token_file)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
