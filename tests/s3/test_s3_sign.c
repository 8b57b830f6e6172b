/* test_s3_sign.c - signatures against the worked examples of S3's manual, "Authenticating Requests: Using the
 * Authorization Header (AWS Signature Version 4)"; check_sign.py holds a thousand others against botocore. */
#include "check.h"

#include "pmn_mem.h"
#include "pmn_s3_sign.h"

static const char nothing[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

static pmn_s3_keys example_keys(void) {
  return (pmn_s3_keys){.access_key = "AKIAIOSFODNN7EXAMPLE", .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static pmn_s3_request example_request(void) {
  return (pmn_s3_request){
      .method = "GET", .host = "examplebucket.s3.amazonaws.com", .path = "/", .payload_sha256 = nothing};
}

/* 24 May 2013, 00:00 UTC, as all examples. */
static void check_signature(const pmn_s3_request *request, const char *names, const char *signature) {
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_keys keys = example_keys();
  char wanted[512];
  pmn_buf lines;
  pmn_buf_init(&lines, 4096);
  check_ok(pmn_s3_sign(request, &keys, "us-east-1", "s3", 1369353600, &lines, &err));
  snprintf(wanted, sizeof wanted,
      "x-amz-date: 20130524T000000Z\nx-amz-content-sha256: %s\nauthorization: AWS4-HMAC-SHA256 "
      "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=%s, Signature=%s\n",
      request->payload_sha256, names, signature);
  assert_string_equal(lines.data, wanted);
  pmn_buf_reset(&lines);
}

static void test_manual(void **state) {
  (void)state;
  pmn_s3_request get = example_request();
  get.path = "/test.txt";
  get.headers[get.header_count++] = (pmn_s3_pair){"range", "bytes=0-9"};
  check_signature(&get, "host;range;x-amz-content-sha256;x-amz-date",
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

  pmn_s3_request put = example_request();
  put.method = "PUT";
  put.path = "/test$file.text";
  put.payload_sha256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
  put.headers[put.header_count++] = (pmn_s3_pair){"x-amz-storage-class", "REDUCED_REDUNDANCY"};
  put.headers[put.header_count++] = (pmn_s3_pair){"date", "Fri, 24 May 2013 00:00:00 GMT"};
  check_signature(&put, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

  pmn_s3_request lifecycle = example_request();
  lifecycle.query[lifecycle.query_count++] = (pmn_s3_pair){"lifecycle", ""};
  check_signature(&lifecycle, "host;x-amz-content-sha256;x-amz-date",
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

  pmn_s3_request list = example_request();
  list.query[list.query_count++] = (pmn_s3_pair){"prefix", "J"};
  list.query[list.query_count++] = (pmn_s3_pair){"max-keys", "2"};
  check_signature(&list, "host;x-amz-content-sha256;x-amz-date",
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_target(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_request request = example_request();
  request.path = "/a b/../%41//\xff~";
  request.query[request.query_count++] = (pmn_s3_pair){"a-b", "1"};
  request.query[request.query_count++] = (pmn_s3_pair){"a", "z"};
  request.query[request.query_count++] = (pmn_s3_pair){"a", "+/="};
  request.query[request.query_count++] = (pmn_s3_pair){"A", ""};
  pmn_buf target;
  pmn_buf_init(&target, 4096);
  check_ok(pmn_s3_encode_target(&request, &target, &err));
  assert_string_equal(target.data, "/a%20b/../%2541//%FF~?A=&a=%2B%2F%3D&a=z&a-b=1");
  pmn_buf_reset(&target);
}

static void test_refusals(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_keys keys = example_keys();
  pmn_s3_request request = example_request();
  pmn_buf lines;
  pmn_buf_init(&lines, 4096);
  request.headers[request.header_count++] = (pmn_s3_pair){"if-match", "a\nx-evil: 1"};
  check_fails(pmn_s3_sign(&request, &keys, "us-east-1", "s3", 0, &lines, &err), PMN_STATUS_ARGUMENT, "if-match");
  request.header_count = 0;
  keys.token = (char *)(uintptr_t) "SECRET\r\n";
  check_fails(pmn_s3_sign(&request, &keys, "us-east-1", "s3", 0, &lines, &err), PMN_STATUS_ARGUMENT, "security-token");
  assert_null(strstr(err.message, "SECRET"));
  request.header_count = PMN_S3_PAIRS_MAX + 1;
  check_fails(pmn_s3_sign(&request, &keys, "us-east-1", "s3", 0, &lines, &err), PMN_STATUS_ARGUMENT, "too many");
  pmn_buf_reset(&lines);
}

static void test_no_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_s3_keys keys = example_keys();
  pmn_s3_request request = example_request();
  request.query[request.query_count++] = (pmn_s3_pair){"prefix", "J"};
  for (int64_t k = 0;; k++) {
    pmn_buf lines;
    pmn_buf_init(&lines, 4096);
    pmn_mem_fail_after(k);
    pmn_status st = pmn_s3_sign(&request, &keys, "us-east-1", "s3", 0, &lines, &err);
    pmn_mem_fail_after(-1);
    pmn_buf_reset(&lines);
    if (st == PMN_STATUS_OK) {
      assert_true(k > 3);
      return;
    }
    assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  }
}

static void test_keys(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char token[] = "token";
  pmn_s3_keys keys = example_keys(), copy;
  keys.token = token;
  keys.expires = 7;
  check_ok(pmn_s3_keys_copy(&keys, &copy, &err));
  assert_ptr_not_equal(copy.token, token);
  assert_string_equal(copy.token, "token");
  assert_string_equal(copy.secret_key, keys.secret_key);
  assert_true(copy.expires == 7);
  pmn_s3_keys_reset(&copy);
  const pmn_s3_keys empty = {.expires = 0};
  assert_memory_equal(&copy, &empty, sizeof copy);
  pmn_mem_fail_after(0);
  pmn_status st = pmn_s3_keys_copy(&keys, &copy, &err);
  pmn_mem_fail_after(-1);
  assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  assert_memory_equal(&copy, &empty, sizeof copy);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_manual),
      cmocka_unit_test(test_target),
      cmocka_unit_test(test_refusals),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_keys),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
