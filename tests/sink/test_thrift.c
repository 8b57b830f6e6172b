/* test_thrift.c - bytes of the compact protocol, worked out by hand from its specification. */
#include "check.h"
#include "pmn_thrift.h"

static void check_bytes(const pmn_thrift *t, const char *expected, size_t size) {
  assert_int_equal(pmn_thrift_status(t), PMN_STATUS_OK);
  assert_int_equal(t->out->size, size);
  assert_memory_equal(t->out->data, expected, size);
}
#define CHECK_BYTES(t, expected) check_bytes(t, expected, sizeof expected - 1)

static void numbers(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out;
  pmn_buf_init(&out, 1000);
  pmn_thrift t;
  pmn_thrift_init(&t, &out, &err);
  pmn_thrift_struct(&t, 0);
  pmn_thrift_i32(&t, 1, 0);
  pmn_thrift_i32(&t, 2, -1);
  pmn_thrift_i32(&t, 3, 63);
  pmn_thrift_i32(&t, 4, 64);
  pmn_thrift_i64(&t, 6, INT64_MIN);
  pmn_thrift_true(&t, 21);
  pmn_thrift_i8(&t, 22, 8);
  pmn_thrift_i8(&t, 23, -1);
  pmn_thrift_false(&t, 24);
  pmn_thrift_end(&t);
  CHECK_BYTES(&t, "\x15\x00\x15\x01\x15\x7e\x15\x80\x01\x26\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\xf1"
                  "\x13\x08\x13\xff\x12\x00");
  pmn_buf_reset(&out);
}

static void structs_and_lists(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out, elements;
  pmn_buf_init(&out, 1000);
  pmn_buf_init(&elements, 10);
  assert_int_equal(pmn_buf_append(&elements, "\x00\x00", 2, &err), PMN_STATUS_OK);
  pmn_thrift t;
  pmn_thrift_init(&t, &out, &err);
  pmn_thrift_struct(&t, 0);
  pmn_thrift_struct(&t, 2); /* ids begin anew inside and go on outside */
  pmn_thrift_text(&t, 1, "ab");
  pmn_thrift_end(&t);
  pmn_thrift_list(&t, 3, PMN_THRIFT_I32, 14);
  for (int i = 0; i < 14; i++) pmn_thrift_i32(&t, 0, 1);
  pmn_thrift_list(&t, 4, PMN_THRIFT_BINARY, 15);
  for (int i = 0; i < 15; i++) pmn_thrift_binary(&t, 0, "", 0);
  pmn_thrift_list(&t, 5, PMN_THRIFT_STRUCT, 2);
  pmn_thrift_encoded(&t, &elements);
  pmn_thrift_end(&t);
  CHECK_BYTES(&t, "\x2c\x18\x02"
                  "ab\x00\x19\xe5\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02"
                  "\x19\xf8\x0f\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
                  "\x19\x2c\x00\x00\x00");
  pmn_buf_reset(&out);
  pmn_buf_reset(&elements);
}

static void first_failure_sticks(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out;
  pmn_buf_init(&out, 3);
  pmn_thrift t;
  pmn_thrift_init(&t, &out, &err);
  pmn_thrift_struct(&t, 0);
  pmn_thrift_text(&t, 1, "long");
  pmn_thrift_i32(&t, 2, 0);
  pmn_thrift_end(&t);
  check_fails(pmn_thrift_status(&t), PMN_STATUS_NO_MEMORY, "at most 3");
  assert_int_equal(out.size, 2);
  pmn_buf_reset(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(numbers),
      cmocka_unit_test(structs_and_lists),
      cmocka_unit_test(first_failure_sticks),
  };
  return cmocka_run_group_tests_name("thrift", tests, NULL, NULL);
}
