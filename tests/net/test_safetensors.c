/* test_safetensors.c - files that lie: every one is refused with a message, or read in full; none is believed.
 *
 * Files stand in memory of exactly their size, so under a sanitizer a single byte read too far is a failure.
 */
#include "net_weights.h"
#include "pmn_mem.h"
#include "pmn_safetensors.h"

#include <jansson.h>

static pmn_status open_bytes(net_bytes file, pmn_safetensors **st, pmn_err *err) {
  *err = (pmn_err)PMN_ERR_INIT;
  return pmn_safetensors_create(file.bytes, file.size, "w.safetensors", st, err);
}

/* Whatever was accepted can be looked at without leaving the file. */
static void look_at(const pmn_safetensors *st, net_bytes file, const char *name) {
  const pmn_weight *w = pmn_safetensors_find(st, name);
  if (w == NULL) return;
  assert_string_equal(w->name, name);
  assert_in_range(w->rank, 0, PMN_TENSOR_RANK_MAX);
  const unsigned char *data = w->data;
  assert_true(data >= file.bytes + 8 && data <= file.bytes + file.size);
  assert_true(w->size <= (size_t)(file.bytes + file.size - data));
  unsigned sum = 0;
  for (size_t i = 0; i < w->size; i++) sum += data[i];
  assert_true(sum <= 255 * w->size);
}

static void refuse(net_bytes file, const char *text, const char *what) {
  pmn_err err;
  pmn_safetensors *st = NULL;
  pmn_status status = open_bytes(file, &st, &err);
  if (status != PMN_STATUS_MODEL || st != NULL || strstr(err.message, text) == NULL ||
      strncmp(err.message, "w.safetensors: ", 15) != 0) {
    fail_msg("%s: status %d, \"%s\", expected \"%s\"", what, (int)status, err.message, text);
  }
  free(file.bytes);
}

static void refuse_header(const char *header, size_t data_size, const char *text) {
  refuse(net_bytes_create(header, data_size), text, header);
}

static void accept(const char *header, size_t data_size, const char *name, int rank, size_t size) {
  pmn_err err = PMN_ERR_INIT;
  pmn_safetensors *st = NULL;
  net_bytes file = net_bytes_create(header, data_size);
  if (open_bytes(file, &st, &err) != PMN_STATUS_OK) fail_msg("%s: %s", header, err.message);
  const pmn_weight *w = pmn_safetensors_find(st, name);
  if (w == NULL || w->rank != rank || w->size != size) fail_msg("%s: %s not found as it is", header, name);
  look_at(st, file, name);
  pmn_safetensors_destroy(st);
  free(file.bytes);
}

/* Two tensors of 24 and 4 bytes, the second in the file's middle by name. */
static const char sample[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                             "\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[4,28]},"
                             "\"ab\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[0,4]}}  ";
enum { SAMPLE_DATA = 28 };

static void test_sound(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_safetensors *st = NULL;
  net_bytes file = net_bytes_create(sample, SAMPLE_DATA);
  check_ok(open_bytes(file, &st, &err));
  assert_string_equal(pmn_safetensors_origin(st), "w.safetensors");
  const pmn_weight *a = pmn_safetensors_find(st, "a"), *ab = pmn_safetensors_find(st, "ab");
  assert_non_null(a);
  assert_non_null(ab);
  assert_string_equal(a->type, "F32");
  assert_int_equal(a->rank, 2);
  assert_int_equal(a->shape[0], 2);
  assert_int_equal(a->shape[1], 3);
  assert_int_equal(a->size, 24);
  assert_int_equal(*(const unsigned char *)a->data, 4);
  assert_string_equal(ab->type, "I16");
  assert_int_equal(ab->size, 4);
  assert_int_equal(*(const unsigned char *)ab->data, 0);
  assert_null(pmn_safetensors_find(st, "abc"));
  assert_null(pmn_safetensors_find(st, ""));
  assert_null(pmn_safetensors_find(st, "__metadata__"));
  assert_ptr_equal(pmn_safetensors_at(st, 0), ab);
  assert_ptr_equal(pmn_safetensors_at(st, 1), a);
  assert_null(pmn_safetensors_at(st, 2));
  assert_null(pmn_safetensors_at(st, -1));
  assert_string_equal(pmn_safetensors_metadata(st, "format"), "pt");
  assert_null(pmn_safetensors_metadata(st, "a"));
  pmn_safetensors_destroy(st);
  free(file.bytes);
  pmn_safetensors_destroy(NULL);

  accept("{\"\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}", 1, "", 0, 1);
  accept(
      "{\"\\u00e4\\n\":{\"dtype\":\"F64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}}", 8, "\xc3\xa4\n", 8, 8);
  accept("{\"z\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[4,4]},"
         "\"y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      4, "z", 2, 0);
}

static void test_no_tensors(void **state) {
  (void)state;
  static const char *const headers[] = {"{}", "{\"__metadata__\":{}}", "{}      "};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_safetensors *st = NULL;
    net_bytes file = net_bytes_create(headers[i], 0);
    check_ok(open_bytes(file, &st, &err));
    assert_null(pmn_safetensors_find(st, "a"));
    assert_null(pmn_safetensors_at(st, 0));
    assert_null(pmn_safetensors_metadata(st, "a"));
    pmn_safetensors_destroy(st);
    free(file.bytes);
    refuse_header(headers[i], 1, "1 bytes at the end belong to no tensor");
  }
}

/* Data of any alignment is handed out where it lies. */
static void test_misaligned(void **state) {
  (void)state;
  for (size_t shift = 0; shift < 8; shift++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_safetensors *st = NULL;
    net_bytes file = net_bytes_create(sample, SAMPLE_DATA);
    unsigned char *moved = malloc(file.size + shift);
    assert_non_null(moved);
    memcpy(moved + shift, file.bytes, file.size);
    check_ok(pmn_safetensors_create(moved + shift, file.size, "w", &st, &err));
    assert_ptr_equal(pmn_safetensors_find(st, "a")->data, moved + shift + file.size - 24);
    pmn_safetensors_destroy(st);
    free(moved);
    free(file.bytes);
  }
}

static void test_header_length(void **state) {
  (void)state;
  uint64_t length = sizeof sample - 1, size = 8 + length + SAMPLE_DATA;
  const struct {
    uint64_t length;
    const char *text;
  } lies[] = {
      {0, "header of 0 bytes"},
      {1, "header of 1 bytes"},
      {2, "not JSON"},
      {length - 3, "not JSON"},
      {length - 2, "2 bytes at the end"}, /* the padding becomes data */
      {length + 1, "not JSON"},
      {size - 8, "not JSON"},
      {size - 7, "header of"},
      {size, "header of"},
      {UINT32_MAX, "header of 4294967295 bytes"},
      {1ull << 32, "header of"},
      {1ull << 63, "header of 9223372036854775808 bytes"},
      {UINT64_MAX - 7, "header of"},
      {UINT64_MAX, "header of 18446744073709551615 bytes"},
      {(1ull << 40) + length, "header of"},
  };
  for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
    net_bytes file = net_bytes_create(sample, SAMPLE_DATA);
    for (int b = 0; b < 8; b++) file.bytes[b] = (unsigned char)(lies[i].length >> (8 * b) & 255);
    refuse(file, lies[i].text, lies[i].text);
  }
  /* Longer than any header may be, in a file that really has the bytes. */
  enum { LARGE = 16 * 1000 * 1000 + 1 };
  net_bytes file = {.bytes = malloc(8 + LARGE), .size = 8 + LARGE};
  assert_non_null(file.bytes);
  memset(file.bytes, ' ', file.size);
  for (int b = 0; b < 8; b++) file.bytes[b] = (unsigned char)(LARGE >> (b < 4 ? 8 * b : 31) & 255);
  file.bytes[8] = '{';
  file.bytes[9] = '}';
  refuse(file, "header of 16000001 bytes", "a header too long");
}

static void test_not_json(void **state) {
  (void)state;
  static const char *const headers[] = {"{ ", "{]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{}{}", "{} x", "{\"a\":nul}",
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", "{\"\xff\":{}}",
      "{\"\\u0000\":{}}", "{\"\\ud800\":{}}", "{\"a\":1e999}",
      /* the same name twice, of tensors and of fields */
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
      "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"shape\":[1],\"data_offsets\":[0,1]}}"};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) refuse_header(headers[i], 1, "not JSON");
  static const char *const others[] = {"[]", "12", "\"{}\"", "null", " {}", "\xef\xbb\xbf{}"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) refuse_header(others[i], 0, "not a safetensors file");

  enum { DEPTH = 1000 * 1000 };
  char *deep = calloc(1, DEPTH + 8);
  assert_non_null(deep);
  strcpy(deep, "{\"a\":");
  memset(deep + 5, '[', DEPTH);
  refuse_header(deep, 0, "not JSON");
  free(deep);
}

static void test_fields(void **state) {
  (void)state;
  static const struct {
    const char *entry, *text;
  } bad[] = {
      {"1", "no known dtype"},
      {"[]", "no known dtype"},
      {"null", "no known dtype"},
      {"{}", "no known dtype"},
      {"{\"dtype\":null,\"shape\":[2],\"data_offsets\":[0,8]}", "no known dtype"},
      {"{\"dtype\":\"F31\",\"shape\":[2],\"data_offsets\":[0,8]}", "no known dtype"},
      {"{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}", "no known dtype"},
      {"{\"dtype\":\"\",\"shape\":[2],\"data_offsets\":[0,8]}", "no known dtype"},
      {"{\"dtype\":\"F32\",\"data_offsets\":[0,8]}", "no shape"},
      {"{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}", "no shape"},
      {"{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}", "no shape"},
      {"{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}", "no shape"},
      {"{\"dtype\":\"F32\",\"shape\":[2,-1],\"data_offsets\":[0,8]}", "dimension 1 is out of range"},
      {"{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[-2,-1],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[2147483648],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[4294967298],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,8]}", "dimension 0"},
      {"{\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]}", "dimension 0"},
      /* products that wrap around to 0 and to 8 bytes */
      {"{\"dtype\":\"U8\",\"shape\":[65536,65536,65536,65536],\"data_offsets\":[0,0]}", "dimension 3"},
      {"{\"dtype\":\"F64\",\"shape\":[2147483647,2147483647,2147483647],\"data_offsets\":[0,8]}", "dimension 1"},
      {"{\"dtype\":\"F32\",\"shape\":[2147483647,2147483647,0],\"data_offsets\":[0,8]}", "data_offsets"},
      /* nothing times a negative number; nothing at an offset that is no number */
      {"{\"dtype\":\"U8\",\"shape\":[0,-1],\"data_offsets\":[0,0]}", "dimension 1"},
      {"{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,\"0\"]}", "data_offsets"},
      /* 2^64 - 4 bytes from 4 to 0: (2^31 - 1) (2^31 + 1) = 2^62 - 1 */
      {"{\"dtype\":\"F32\",\"shape\":[2147483647,715827883,3],\"data_offsets\":[4,0]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":8}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[\"0\",8]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[9223372036854775800,9223372036854775807]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9223372036854775807]}", "data_offsets"},
      {"{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-9223372036854775808,9223372036854775807]}", "data_offsets"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char header[256];
    snprintf(header, sizeof header, "{\"layer/kernel\":%s}", bad[i].entry);
    refuse_header(header, 8, bad[i].text);
    refuse_header(header, 8, "layer/kernel");
  }
}

/* The tensors must cover the data, each byte once. */
static void test_cover(void **state) {
  (void)state;
  static const struct {
    int first[2], second[2], data;
    const char *text;
  } bad[] = {
      {{0, 4}, {0, 4}, 4, "hole or an overlap before tensor"},
      {{0, 4}, {2, 6}, 6, "hole or an overlap before tensor b"},
      {{0, 8}, {4, 8}, 8, "hole or an overlap before tensor b"},
      {{4, 4}, {0, 8}, 8, "hole or an overlap before tensor a"}, /* an empty tensor inside another */
      {{0, 4}, {5, 9}, 9, "hole or an overlap before tensor b"},
      {{1, 5}, {5, 9}, 9, "hole or an overlap before tensor a"},
      {{4, 8}, {0, 4}, 9, "1 bytes at the end"},
      {{0, 4}, {4, 8}, 1000, "992 bytes at the end"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char header[256];
    snprintf(header, sizeof header,
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]},"
        "\"b\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[%d,%d]}}",
        bad[i].first[1] - bad[i].first[0], bad[i].first[0], bad[i].first[1], bad[i].second[1] - bad[i].second[0],
        bad[i].second[0], bad[i].second[1]);
    refuse_header(header, (size_t)bad[i].data, bad[i].text);
  }
}

static void test_metadata(void **state) {
  (void)state;
  static const char *const bad[] = {"1", "null", "[]", "\"x\"", "{\"a\":1}", "{\"a\":{}}", "{\"a\":\"b\",\"c\":null}",
      "{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char header[128];
    snprintf(header, sizeof header, "{\"__metadata__\":%s}", bad[i]);
    refuse_header(header, 0, "__metadata__");
  }
}

/* Names go into messages: one line of UTF-8 whatever they hold, and no more than fits. */
static void test_odd_names(void **state) {
  (void)state;
  enum { LONG = 100 * 1000 };
  char *header = calloc(1, LONG + 64);
  assert_non_null(header);
  strcpy(header, "{\"");
  for (int i = 0; i < LONG; i += 2) memcpy(header + 2 + i, "\xc3\xa4", 2);
  strcat(header, "\":1}");
  const char *const headers[] = {"{\"a\\nb\\u001b[2J\\u007f%s%n\":1}", header};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    pmn_err err;
    pmn_safetensors *st = NULL;
    net_bytes file = net_bytes_create(headers[i], 0);
    check_fails(open_bytes(file, &st, &err), PMN_STATUS_MODEL, "w.safetensors: tensor ");
    assert_true(strlen(err.message) < sizeof err.message);
    for (const char *p = err.message; *p != '\0'; p++) assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
    free(file.bytes);
  }
  refuse_header(headers[0], 0, "%s%n");
  free(header);
}

/* `count` empty tensors, then `tail`. */
static net_bytes many_tensors(int count, const char *tail) {
  enum { ENTRY = 64 };
  char *header = malloc((size_t)count * ENTRY + 64), *to = header;
  assert_non_null(header);
  *to++ = '{';
  for (int i = 0; i < count; i++) {
    to += sprintf(to, "%s\"t%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}", i > 0 ? "," : "", i);
  }
  sprintf(to, "%s}", tail);
  net_bytes file = net_bytes_create(header, 0);
  free(header);
  return file;
}

static void test_many_tensors(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_safetensors *st = NULL;
  net_bytes file = many_tensors(PMN_TENSOR_COUNT_MAX, ",\"__metadata__\":{}");
  check_ok(open_bytes(file, &st, &err));
  /* As many look-ups as a network makes: a file made to be slow is not. */
  for (int i = 0; i < 300; i++) {
    char name[16];
    snprintf(name, sizeof name, "t%d", PMN_TENSOR_COUNT_MAX - 1 - i);
    assert_non_null(pmn_safetensors_find(st, name));
  }
  pmn_safetensors_destroy(st);
  free(file.bytes);
  refuse(many_tensors(PMN_TENSOR_COUNT_MAX + 1, ""), "100001 tensors", "one tensor too many");
}

static void test_truncated(void **state) {
  (void)state;
  net_bytes whole = net_bytes_create(sample, SAMPLE_DATA);
  for (size_t size = 0; size < whole.size; size++) {
    net_bytes part = {.bytes = malloc(size + (size == 0)), .size = size};
    assert_non_null(part.bytes);
    memcpy(part.bytes, whole.bytes, size);
    refuse(part, "", "a file cut short");
  }
  free(whole.bytes);
}

/* Every byte of length and header becomes every other byte. */
static void test_flipped(void **state) {
  (void)state;
  net_bytes whole = net_bytes_create(sample, SAMPLE_DATA);
  int refused = 0, accepted = 0;
  for (size_t at = 0; at < whole.size - SAMPLE_DATA; at++) {
    for (int value = 0; value < 256; value++) {
      pmn_err err;
      pmn_safetensors *st = NULL;
      net_bytes file = {.bytes = malloc(whole.size), .size = whole.size};
      assert_non_null(file.bytes);
      memcpy(file.bytes, whole.bytes, whole.size);
      file.bytes[at] = (unsigned char)value;
      pmn_status status = open_bytes(file, &st, &err);
      if (status == PMN_STATUS_OK) {
        accepted++;
        look_at(st, file, "a");
        look_at(st, file, "ab");
      } else {
        refused++;
        if (status != PMN_STATUS_MODEL || st != NULL) fail_msg("byte %zu = %d: status %d", at, value, (int)status);
      }
      pmn_safetensors_destroy(st);
      free(file.bytes);
    }
  }
  free(whole.bytes);
  print_message("%d files refused, %d accepted\n", refused, accepted);
  assert_true(accepted > 256 && refused > 10 * accepted);
}

static int64_t json_left; /* allocations until the JSON library's memory ends */

static void *json_malloc_limited(size_t size) {
  return json_left-- > 0 ? malloc(size) : NULL;
}

/* The k-th allocation fails, for all k: first ours, then those of the JSON library, which calls some of its failures a
 * syntax error. */
static void test_no_memory(void **state) {
  (void)state;
  pmn_err err;
  pmn_safetensors *st = NULL;
  net_bytes file = net_bytes_create(sample, SAMPLE_DATA);
  pmn_status status = PMN_STATUS_NO_MEMORY;
  int64_t k = 0;
  for (; status != PMN_STATUS_OK; k++) {
    pmn_mem_fail_after(k);
    status = open_bytes(file, &st, &err);
    pmn_mem_fail_after(-1);
    if (status != PMN_STATUS_OK) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    if (status != PMN_STATUS_OK) assert_null(st);
  }
  assert_true(k > 3);
  pmn_safetensors_destroy(st);

  json_malloc_t json_malloc;
  json_free_t json_free;
  json_get_alloc_funcs(&json_malloc, &json_free);
  status = PMN_STATUS_NO_MEMORY;
  for (k = 0; status != PMN_STATUS_OK; k++) {
    json_left = k;
    json_set_alloc_funcs(json_malloc_limited, free);
    status = open_bytes(file, &st, &err);
    if (status != PMN_STATUS_OK && status != PMN_STATUS_MODEL) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    if (k == 0) assert_int_equal(status, PMN_STATUS_NO_MEMORY);
    if (status != PMN_STATUS_OK) assert_null(st);
    json_left = INT64_MAX;
  }
  assert_true(k > 20);
  pmn_safetensors_destroy(st);
  json_set_alloc_funcs(json_malloc, json_free);
  free(file.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sound),
      cmocka_unit_test(test_no_tensors),
      cmocka_unit_test(test_misaligned),
      cmocka_unit_test(test_header_length),
      cmocka_unit_test(test_not_json),
      cmocka_unit_test(test_fields),
      cmocka_unit_test(test_cover),
      cmocka_unit_test(test_metadata),
      cmocka_unit_test(test_odd_names),
      cmocka_unit_test(test_many_tensors),
      cmocka_unit_test(test_truncated),
      cmocka_unit_test(test_flipped),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
