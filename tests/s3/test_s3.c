/* test_s3.c - the parts of the client that need no server: names, addresses, XML; and memory that runs out. */
#define _GNU_SOURCE /* strcasestr */
#include "check.h"
#include "loopback.h"

#include "pmn_mem.h"
#include "pmn_s3_wire.h"
#include "pmn_s3_xml.h"

static void test_uris(void **state) {
  (void)state;
  static const struct {
    const char *uri, *bucket, *key; /* bucket NULL: refused */
  } cases[] = {
      {"s3://fruit/a/b.jpg", "fruit", "a/b.jpg"},
      {"s3://fruit/", "fruit", ""},
      {"s3://fruit", "fruit", ""},
      {"s3://fruit//a", "fruit", "/a"},
      {"s3://my.fruit-1_x/k", "my.fruit-1_x", "k"},
      {"s3://123/k", "123", "k"},
      {"s3://", NULL, NULL},
      {"s3:///key", NULL, NULL},
      {"s3://ab/key", NULL, NULL},
      {"s3://-fruit/key", NULL, NULL},
      {"s3://fruit-/key", NULL, NULL},
      {"s3://fr..uit/key", NULL, NULL},
      {"s3://fr uit/key", NULL, NULL},
      {"s3://fr@uit/key", NULL, NULL},
      {"s3://\xea\xb0\x80\xea\xb0\x80/key", NULL, NULL},
      {"s3://fruit:80/key", NULL, NULL},
      {"https://fruit/key", NULL, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_err err = PMN_ERR_INIT;
    const char *key = NULL;
    pmn_buf bucket;
    pmn_buf_init(&bucket, 300);
    if (cases[i].bucket == NULL) {
      check_fails(pmn_s3_uri_split(cases[i].uri, &bucket, &key, &err), PMN_STATUS_ARGUMENT, "s3://");
    } else {
      check_ok(pmn_s3_uri_split(cases[i].uri, &bucket, &key, &err));
      assert_string_equal(bucket.data, cases[i].bucket);
      assert_string_equal(key, cases[i].key);
    }
    pmn_buf_reset(&bucket);
  }
  assert_true(pmn_s3_is_uri("s3://x") && !pmn_s3_is_uri("s3:/x") && !pmn_s3_is_uri("/s3://x"));
}

/* Where AWS, MinIO, Ceph and Swift expect requests: "Virtual hosting of buckets" in the manual of S3. */
static void test_addresses(void **state) {
  (void)state;
  static char own[] = "http://127.0.0.1:9000", own_tls[] = "https://s3.example.com";
  static const struct {
    char *endpoint;
    bool path_style;
    const char *region, *bucket, *key, *url, *host;
  } cases[] = {
      {NULL, false, "eu-west-3", "fruit", "a b", "https://fruit.s3.eu-west-3.amazonaws.com/a%20b",
          "fruit.s3.eu-west-3.amazonaws.com"},
      {NULL, false, "cn-north-1", "fruit", "a", "https://fruit.s3.cn-north-1.amazonaws.com.cn/a",
          "fruit.s3.cn-north-1.amazonaws.com.cn"},
      {NULL, false, "eu-west-3", "my.fruit", "a", "https://s3.eu-west-3.amazonaws.com/my.fruit/a",
          "s3.eu-west-3.amazonaws.com"},
      {NULL, false, "us-east-1", "My_Fruit", "a", "https://s3.us-east-1.amazonaws.com/My_Fruit/a",
          "s3.us-east-1.amazonaws.com"},
      {NULL, true, "eu-west-3", "fruit", "/a//b/../c", "https://s3.eu-west-3.amazonaws.com/fruit//a//b/../c",
          "s3.eu-west-3.amazonaws.com"},
      {NULL, false, "eu-west-3", "fruit", NULL, "https://fruit.s3.eu-west-3.amazonaws.com/",
          "fruit.s3.eu-west-3.amazonaws.com"},
      {own, true, "us-east-1", "fruit", "a+b", "http://127.0.0.1:9000/fruit/a%2Bb", "127.0.0.1:9000"},
      {own, true, "us-east-1", "fruit", NULL, "http://127.0.0.1:9000/fruit", "127.0.0.1:9000"},
      {own_tls, false, "us-east-1", "fruit", "a", "https://fruit.s3.example.com/a", "fruit.s3.example.com"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_s3_wire wire = {0};
    const pmn_s3_config config = {.endpoint = cases[i].endpoint, .path_style = cases[i].path_style};
    const pmn_s3_call call = {.method = "GET", .bucket = cases[i].bucket, .key = cases[i].key};
    char host[300];
    snprintf(host, sizeof host, "host: %s", cases[i].host);
    check_ok(pmn_s3_wire_build(&config, &call, NULL, cases[i].region, "", 0, &wire, &err));
    assert_string_equal(wire.request.url, cases[i].url);
    assert_int_equal(wire.request.header_count, 1);
    assert_string_equal(wire.request.headers[0], host);
    pmn_s3_wire_reset(&wire);
  }
}

static const pmn_s3_keys keys = {.access_key = "apple", .secret_key = "secret"};

static void test_wire(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_wire wire = {0};
  const pmn_s3_config config = {.no_sign_request = false};
  pmn_s3_call call = {.method = "PUT",
      .bucket = "fruit",
      .key = "a",
      .query = {{"uploadId", "x+y"}, {"partNumber", "1"}},
      .query_count = 2,
      .headers = {{"content-type", "text/plain"}},
      .header_count = 1,
      .body = "body",
      .body_size = 4,
      .answer_max = 7};
  check_ok(pmn_s3_wire_build(&config, &call, &keys, "eu-west-3", "not this", 1793232000, &wire, &err));
  assert_string_equal(wire.request.url, "https://fruit.s3.eu-west-3.amazonaws.com/a?partNumber=1&uploadId=x%2By");
  static const char *const wanted[] = {"host: fruit.s3.eu-west-3.amazonaws.com", "content-type: text/plain",
      "x-amz-date: 20261029T", "x-amz-content-sha256: UNSIGNED-PAYLOAD",
      "authorization: AWS4-HMAC-SHA256 Credential=apple/20261029/eu-west-3/s3/aws4_request, SignedHeaders="
      "content-type;host;x-amz-content-sha256;x-amz-date, Signature="};
  assert_int_equal(wire.request.header_count, 5);
  for (size_t i = 0; i < 5; i++) {
    if (strncmp(wire.request.headers[i], wanted[i], strlen(wanted[i])) != 0) {
      fail_msg("%s is not %s", wire.request.headers[i], wanted[i]);
    }
  }
  assert_ptr_equal(wire.request.body, call.body);
  assert_int_equal(wire.request.body_size, 4);
  assert_int_equal(wire.request.answer_max, 7);
  for (int patience = 0; patience <= 100; patience += 100) { /* of that call alone, whatever its method */
    call.method = "POST";
    call.stall_seconds = patience;
    check_ok(pmn_s3_wire_build(&config, &call, &keys, "eu-west-3", "not this", 1793232000, &wire, &err));
    assert_true(wire.request.stall_seconds == patience);
  }

  call.headers[0].value = "text\r\nx-amz-acl: public-read";
  check_fails(pmn_s3_wire_build(&config, &call, NULL, "eu-west-3", "", 0, &wire, &err), PMN_STATUS_ARGUMENT, "control");
  call.headers[0].value = "text/plain";
  call.header_count = PMN_S3_PAIRS_MAX + 1;
  check_fails(
      pmn_s3_wire_build(&config, &call, NULL, "eu-west-3", "", 0, &wire, &err), PMN_STATUS_ARGUMENT, "too many");
  call.header_count = 1;

  pmn_status st = PMN_STATUS_NO_MEMORY;
  for (int64_t k = 0; k < 100 && st != PMN_STATUS_OK; k++) {
    pmn_mem_fail_after(k);
    st = pmn_s3_wire_build(&config, &call, &keys, "eu-west-3", "x", 0, &wire, &err);
    pmn_mem_fail_after(-1);
    assert_true(st == PMN_STATUS_NO_MEMORY || (st == PMN_STATUS_OK && k > 1));
  }
  assert_int_equal(st, PMN_STATUS_OK);
  pmn_s3_wire_reset(&wire);
}

static pmn_status add_text(void *arg, const char *path, const char *text, pmn_err *err) {
  return pmn_buf_printf(arg, err, "%s=%s;", path, text);
}

static pmn_status parse(const char *bytes, size_t size, pmn_buf *out, pmn_err *err) {
  pmn_buf document;
  pmn_buf_init(&document, 1 << 20);
  pmn_status st = pmn_buf_append(&document, bytes, size, err);
  if (st == PMN_STATUS_OK) st = pmn_s3_xml_parse(&document, "R", add_text, out, err);
  pmn_buf_reset(&document);
  return st;
}

static void test_xml(void **state) {
  (void)state;
  static const char text[] =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<R xmlns=\"http://x/\"> <A> <B>1&amp;2</B>lost\n"
      "<B/><C a='b'><![CDATA[<&]]>&#x41;</C>kept</A><D>\xec\x82\xac</D></R>\n";
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out;
  pmn_buf_init(&out, 1 << 20);
  check_ok(parse(text, sizeof text - 1, &out, &err));
  assert_string_equal(out.data, "A/B=1&2;A/B=;A/C=<&A;A=kept;D=\xec\x82\xac;");
  for (size_t size = 0; size < sizeof text - 3; size++) { /* cut anywhere before the last '>' */
    pmn_status st = parse(text, size, &out, &err);
    if (st != PMN_STATUS_NETWORK) fail_msg("cut after %zu bytes: %d", size, (int)st);
  }
  check_fails(parse("<R/><R/>", 8, &out, &err), PMN_STATUS_NETWORK, "junk");
  check_fails(parse("<R\0/>", 5, &out, &err), PMN_STATUS_NETWORK, "XML");
  check_fails(parse("<E/>", 4, &out, &err), PMN_STATUS_NETWORK, "another root");
  pmn_buf_clear(&out);
  pmn_buf any = {.data = (char *)(uintptr_t) "<E><A>1</A></E>", .size = 15, .capacity = 15, .max = 15};
  check_ok(pmn_s3_xml_parse(&any, NULL, add_text, &out, &err));
  assert_string_equal(out.data, "A=1;");
  check_fails(parse("<!DOCTYPE R><R/>", 16, &out, &err), PMN_STATUS_NETWORK, "document type");

  pmn_status st = PMN_STATUS_NO_MEMORY;
  for (int64_t k = 0; k < 200 && st != PMN_STATUS_OK; k++) {
    pmn_mem_fail_after(k);
    st = parse(text, sizeof text - 1, &out, &err);
    pmn_mem_fail_after(-1);
    if (st != PMN_STATUS_OK) assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  }
  assert_int_equal(st, PMN_STATUS_OK);
  pmn_buf_reset(&out);
}

static void test_url_decode(void **state) {
  (void)state;
  static const char *const bad[] = {"%", "%4", "%zz", "a%0", "%00", "%%41", "%4%31"};
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out;
  pmn_buf_init(&out, 100);
  check_ok(pmn_s3_url_decode("a+b%2Bc%2f%EC%82%ac%25%30", &out, &err));
  assert_string_equal(out.data, "a b+c/\xec\x82\xac%0");
  assert_int_equal(out.size, 11);
  check_ok(pmn_s3_url_decode("", &out, &err));
  assert_string_equal(out.data, "");
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    check_fails(pmn_s3_url_decode(bad[i], &out, &err), PMN_STATUS_NETWORK, "not encoded");
  }
  pmn_buf_reset(&out);
}

static void name(void *arg, int64_t i, const char **bucket, pmn_s3_object *object) {
  (void)arg;
  (void)i;
  *bucket = "bytes";
  *object = (pmn_s3_object){.key = "1000", .size = 1000};
}

static pmn_status read_some(pmn_s3 *s3, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_reader *reader = NULL;
  const pmn_s3_reader_options options = {
      .count = 10, .ahead = 4, .bytes_max = 1 << 20, .object_max = 1 << 20, .name = name};
  pmn_buf bytes;
  pmn_buf_init(&bytes, 1 << 20);
  PMN_TRY(pmn_s3_get(s3, "bytes", "1000", -1, NULL, &bytes, err));
  assert_int_equal(bytes.size, 1000);
  PMN_TRY(pmn_s3_reader_create(s3, &options, &reader, err));
  for (int64_t i = 0; i < options.count; i++) PMN_TRY(pmn_s3_reader_take(reader, i, &bytes, err));
  assert_int_equal(bytes.size, 1000);
done:
  pmn_s3_reader_destroy(reader);
  pmn_buf_reset(&bytes);
  return st;
}

/* From the k-th allocation on there is none: an error, and nothing lost or waited for. */
static void test_memory(void **state) {
  (void)state;
  static loopback server;
  char endpoint[64];
  pmn_status st = PMN_STATUS_NO_MEMORY;
  loopback_start(&server);
  snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d", server.port);
  setenv("AWS_ACCESS_KEY_ID", "apple", 1);
  setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  setenv("AWS_CONFIG_FILE", "/dev/null", 1);
  setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
  for (int64_t k = 0; k < 2000 && st != PMN_STATUS_OK; k++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_s3 *s3 = NULL;
    const pmn_s3_options options = {.flags = {.endpoint = endpoint, .region = "us-east-1"}};
    pmn_mem_fail_after(k);
    st = pmn_s3_create(&options, &s3, &err);
    if (st == PMN_STATUS_OK) st = read_some(s3, &err);
    pmn_mem_fail_after(-1);
    if (st != PMN_STATUS_OK && st != PMN_STATUS_NO_MEMORY) fail_msg("%d: %s", (int)st, err.message);
    if (st != PMN_STATUS_OK) assert_int_equal(err.status, st);
    pmn_s3_destroy(s3);
  }
  assert_int_equal(st, PMN_STATUS_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_uris),
      cmocka_unit_test(test_addresses),
      cmocka_unit_test(test_wire),
      cmocka_unit_test(test_xml),
      cmocka_unit_test(test_url_decode),
      cmocka_unit_test(test_memory),
  };
  static const char *const proxies[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
  for (int i = 0; i < 3; i++) unsetenv(proxies[i]);
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
