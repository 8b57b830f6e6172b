/* test_base.c - the ground floor: errors, memory, buffers, text, numbers, files, hashes, clock. Threads are in
 * test_threads.c.
 */
#define _GNU_SOURCE
#include "check.h"

#include "pmn_buf.h"
#include "pmn_clock.h"
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_numbers.h"
#include "pmn_sha256.h"
#include "pmn_slab.h"
#include "pmn_text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <time.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* -------------------------------------------------------------------------------------------------- errors -- */

static void test_err_is_one_line_of_utf8(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  assert_int_equal(pmn_err_set(&err, PMN_STATUS_IMAGE, 7,
                       "a\nb\tc\x7f"
                       "d %s",
                       "\xc3\xa9\xff\xe2\x82."),
      PMN_STATUS_IMAGE);
  assert_int_equal(err.status, PMN_STATUS_IMAGE);
  assert_int_equal(err.foreign, 7);
  assert_string_equal(err.message, "a b c d \xc3\xa9???.");
  assert_int_equal(pmn_err_set(NULL, PMN_STATUS_WRITE, 0, "x"), PMN_STATUS_WRITE);
  assert_int_equal(pmn_err_memory(&err, 123456, "a \xf0\x9f\x8d\x8f"), PMN_STATUS_NO_MEMORY);
  assert_non_null(strstr(err.message, "123456 bytes of memory for a \xf0\x9f\x8d\x8f"));
}

static void test_err_is_cut_to_its_size(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char longer[600];
  memset(longer, 'x', sizeof longer);
  longer[sizeof longer - 1] = '\0';
  memcpy(longer + 510, "\xc3\xa9", 2); /* its second byte is the first that has no room */
  (void)pmn_err_set(&err, PMN_STATUS_MODEL, 0, "%s", longer);
  assert_int_equal(strlen(err.message), 511);
  assert_memory_equal(err.message, longer, 510);
  assert_int_equal(err.message[510], '?');
}

static void test_err_may_quote_itself(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  (void)pmn_err_set(&err, PMN_STATUS_MODEL, 0, "inner");
  (void)pmn_err_set(&err, PMN_STATUS_MODEL, 0, "outer of outer: %s, twice %s", err.message, err.message);
  assert_string_equal(err.message, "outer of outer: inner, twice inner");
}

/* -------------------------------------------------------------------------------------------------- memory -- */

static void test_sizes_are_checked(void **state) {
  (void)state;
  size_t out = 0;
  assert_true(pmn_size_mul(SIZE_MAX / 3, 3, &out));
  assert_true(out == SIZE_MAX);
  assert_false(pmn_size_mul(SIZE_MAX / 3 + 1, 3, &out));
  assert_true(pmn_size_add(SIZE_MAX - 1, 1, &out));
  assert_true(out == SIZE_MAX);
  assert_false(pmn_size_add(SIZE_MAX, 1, &out));
  assert_null(pmn_alloc(SIZE_MAX / 2 + 2, 2)); /* the product would wrap to 2 */
  assert_null(pmn_calloc(SIZE_MAX / 2 + 2, 2));
  assert_null(pmn_alloc_aligned(SIZE_MAX / 2 + 2, 2));
  char *block = pmn_strdup("kept");
  assert_null(pmn_realloc(block, SIZE_MAX / 2 + 2, 2));
  assert_string_equal(block, "kept");
  pmn_free(block);
  pmn_free(pmn_alloc(0, 8));
  pmn_free(NULL);
}

static void test_memory_is_zeroed_and_aligned(void **state) {
  (void)state;
  for (size_t size = 1; size < 300; size += 13) {
    char *zeroed = pmn_calloc(size, 3), *aligned = pmn_alloc_aligned(size, 1);
    for (size_t i = 0; i < 3 * size; i++) assert_int_equal(zeroed[i], 0);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    memset(aligned, 1, size);
    memset(zeroed, 1, 3 * size); /* dirt for the next one */
    pmn_free(zeroed);
    pmn_free(aligned);
  }
}

static void test_memory_fails_on_request(void **state) {
  (void)state;
  (void)pmn_mem_fail_after(2);
  void *a = pmn_alloc(1, 1), *b = pmn_calloc(1, 1);
  assert_non_null(a);
  assert_non_null(b);
  assert_null(pmn_alloc(1, 1));
  assert_null(pmn_calloc(1, 1));
  assert_null(pmn_alloc_aligned(1, 1));
  assert_null(pmn_realloc(a, 2, 1));
  assert_null(pmn_strdup("x"));
  assert_int_equal(pmn_mem_fail_after(-1), 7);
  assert_int_equal(pmn_mem_fail_after(-1), 0);
  a = pmn_realloc(a, 2, 1);
  assert_non_null(a);
  pmn_free(a);
  pmn_free(b);
}

/* Pieces of many sizes, some larger than a chunk: each its own, on a cache line, as it was written. */
static void test_slab(void **state) {
  (void)state;
  enum { PIECES = 64 };
  pmn_slab slab = {0};
  unsigned char *pieces[PIECES];
  size_t sizes[PIECES];
  for (size_t i = 0; i < PIECES; i++) {
    sizes[i] = i % 16 == 7 ? ((size_t)9 << 20) + i : i * i * i;
    pieces[i] = i % 2 == 0 ? pmn_slab_alloc(&slab, sizes[i], 1) : pmn_slab_calloc(&slab, 1, sizes[i]);
    assert_non_null(pieces[i]);
    assert_int_equal((uintptr_t)pieces[i] % 64, 0);
    for (size_t at = 0; i % 2 == 1 && at < sizes[i]; at++) {
      if (pieces[i][at] != 0) fail_msg("piece %zu has %d at %zu", i, pieces[i][at], at);
    }
    memset(pieces[i], (int)i + 1, sizes[i]);
  }
  for (size_t i = 0; i < PIECES; i++) {
    for (size_t at = 0; at < sizes[i]; at++) {
      if (pieces[i][at] != i + 1) fail_msg("piece %zu has %d at %zu", i, pieces[i][at], at);
    }
  }
#ifdef __SANITIZE_ADDRESS__
  assert_true(__asan_address_is_poisoned(pieces[5] + sizes[5]));
#endif
  pmn_slab_reset(&slab);
  assert_null(slab.chunks);
  pmn_slab_reset(&slab);
}

static void test_slab_without_memory(void **state) {
  (void)state;
  pmn_slab slab = {0};
  assert_null(pmn_slab_alloc(&slab, SIZE_MAX, 2));
  assert_null(pmn_slab_alloc(&slab, SIZE_MAX - 1, 1));
  pmn_mem_fail_after(0);
  assert_null(pmn_slab_alloc(&slab, 8, 1));
  pmn_mem_fail_after(1);
  assert_null(pmn_slab_calloc(&slab, 8, 1));
  pmn_mem_fail_after(2);
  void *first = pmn_slab_alloc(&slab, 8, 1), *second = pmn_slab_alloc(&slab, 8, 1);
  assert_true(first != NULL && second != NULL && first != second); /* a chunk for both */
  assert_null(pmn_slab_alloc(&slab, (size_t)16 << 20, 1));
  pmn_mem_fail_after(-1);
  assert_non_null(pmn_slab_alloc(&slab, (size_t)16 << 20, 1));
  pmn_slab_reset(&slab);
}

/* ------------------------------------------------------------------------------------------------- buffers -- */

static void test_buf_grows_to_its_maximum_and_no_further(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf buf;
  pmn_buf_init(&buf, 1000);
  assert_null(buf.data);
  for (int i = 0; i < 1000; i++) {
    char c = (char)('a' + i % 26);
    check_ok(pmn_buf_append(&buf, &c, 1, &err));
    assert_int_equal(buf.size, i + 1);
    assert_int_equal(buf.data[buf.size], 0);
  }
  check_fails(pmn_buf_append(&buf, "x", 1, &err), PMN_STATUS_NO_MEMORY, "at most 1000");
  check_fails(pmn_buf_printf(&buf, &err, "%d", 5), PMN_STATUS_NO_MEMORY, "at most 1000");
  check_fails(pmn_buf_append(&buf, "x", SIZE_MAX, &err), PMN_STATUS_NO_MEMORY, "");
  assert_int_equal(buf.size, 1000);
  for (int i = 0; i < 1000; i++) assert_int_equal(buf.data[i], 'a' + i % 26);
  char *kept = buf.data;
  pmn_buf_clear(&buf);
  assert_ptr_equal(buf.data, kept);
  assert_string_equal(buf.data, "");
  assert_int_equal(buf.size, 0);
  check_ok(pmn_buf_printf(&buf, &err, "%s-%03d", "n", 7));
  check_ok(pmn_buf_append(&buf, "\0z", 2, &err));
  assert_memory_equal(buf.data, "n-007\0z", 8);
  assert_int_equal(buf.size, 7);
  char *taken = pmn_buf_take(&buf);
  assert_memory_equal(taken, "n-007\0z", 8);
  pmn_free(taken);
  assert_null(buf.data);
  assert_null(pmn_buf_take(&buf));
  assert_int_equal(buf.max, 1000);
  check_ok(pmn_buf_append(&buf, NULL, 0, &err)); /* nothing, but then there is text to read */
  assert_string_equal(buf.data, "");
  pmn_buf_reset(&buf);
  pmn_buf_reset(&buf);
  assert_int_equal(buf.max, 1000);
}

static void test_buf_sizes_do_not_wrap(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf buf;
  pmn_buf_init(&buf, SIZE_MAX);
  check_fails(pmn_buf_reserve(&buf, SIZE_MAX, &err), PMN_STATUS_NO_MEMORY, "memory");
  assert_int_equal(buf.capacity, 0);
  check_ok(pmn_buf_append(&buf, "ab", 2, &err));
  check_fails(pmn_buf_append(&buf, "cd", SIZE_MAX - 1, &err), PMN_STATUS_NO_MEMORY, "memory");
  assert_string_equal(buf.data, "ab");
  pmn_buf_reset(&buf);
}

static void test_buf_survives_failed_growth(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf buf;
  pmn_buf_init(&buf, 1 << 20);
  check_ok(pmn_buf_append(&buf, "kept", 4, &err));
  (void)pmn_mem_fail_after(0);
  pmn_status reserve = pmn_buf_reserve(&buf, 10000, &err), print = pmn_buf_printf(&buf, &err, "%0500d", 1);
  (void)pmn_mem_fail_after(-1);
  assert_int_equal(reserve, PMN_STATUS_NO_MEMORY);
  assert_int_equal(print, PMN_STATUS_NO_MEMORY);
  assert_int_equal(buf.size, 4);
  assert_string_equal(buf.data, "kept");
  pmn_buf_reset(&buf);
}

/* ---------------------------------------------------------------------------------------------------- text -- */

/* The bits of a lead byte and its followers, taken for what they are: the number they make, and how it is written. */
static int utf8_reference(const unsigned char *s, size_t size) {
  int length = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
  if (length == 0 || (size_t)length > size) return 0;
  uint32_t code = length == 1 ? s[0] : s[0] & (0x7fU >> length);
  for (int i = 1; i < length; i++) {
    if (s[i] >> 6 != 2) return 0;
    code = code << 6 | (s[i] & 0x3fU);
  }
  int shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  bool scalar = code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
  return scalar && shortest == length ? length : 0;
}

static void test_utf8_against_its_definition(void **state) {
  (void)state;
  static const unsigned char tails[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xff};
  enum { TAILS = sizeof tails };
  int64_t accepted[5] = {0};
  for (int first = 0; first < 256; first++) {
    for (int second = 0; second < 256; second++) {
      for (int t = 0; t < TAILS * TAILS; t++) {
        unsigned char s[4] = {(unsigned char)first, (unsigned char)second, tails[t / TAILS], tails[t % TAILS]};
        for (size_t size = 1; size <= 4; size++) {
          int length = pmn_text_utf8_length((const char *)s, size);
          if (length != utf8_reference(s, size)) fail_msg("%02x %02x %02x %02x: %d", s[0], s[1], s[2], s[3], length);
          accepted[length]++;
        }
      }
    }
  }
  for (int length = 0; length <= 4; length++) assert_true(accepted[length] > 0);
  assert_int_equal(pmn_text_utf8_length("a", 0), 0);
}

/* The inverse of the escape; that there is one proves that no two names share an escape. */
static size_t unescape(const char *text, size_t size, char *name) {
  size_t length = 0;
  for (size_t i = 0; i < size; i++) {
    if (text[i] != '\\') {
      name[length++] = text[i];
    } else if (text[i + 1] == '\\') {
      name[length++] = '\\';
      i += 1;
    } else {
      char digits[3] = {text[i + 2], text[i + 3], '\0'};
      assert_int_equal(text[i + 1], 'x');
      name[length++] = (char)strtol(digits, NULL, 16);
      i += 3;
    }
  }
  return length;
}

static void test_escape_is_utf8_and_can_be_undone(void **state) {
  (void)state;
  static const char alphabet[] = {'\\', 'x', 'F', 'f', '0', '\n', '\xc3', '\xa9', '\xff'};
  enum { LETTERS = sizeof alphabet, LONGEST = 5 };
  pmn_err err = PMN_ERR_INIT;
  pmn_buf out;
  pmn_buf_init(&out, 100);
  for (int size = 0, names = 1; size <= LONGEST; size++, names *= LETTERS) {
    for (int n = 0; n < names; n++) {
      char name[LONGEST + 1] = "", back[100];
      for (int i = 0, rest = n; i < size; i++, rest /= LETTERS) name[i] = alphabet[rest % LETTERS];
      pmn_buf_clear(&out);
      check_ok(pmn_text_escape(&out, name, (size_t)size, &err));
      for (size_t i = 0; i < out.size;) {
        int length = pmn_text_utf8_length(out.data + i, out.size - i);
        assert_true(length > 0);
        i += (size_t)length;
      }
      assert_int_equal(unescape(out.data, out.size, back), size);
      assert_memory_equal(back, name, (size_t)size);
    }
  }
  pmn_buf_clear(&out);
  check_ok(pmn_text_escape(&out, "a\\\xff,\"\n\xc3\xa9\xc3", 9, &err));
  assert_string_equal(out.data, "a\\\\\\xFF,\"\n\xc3\xa9\\xC3");
  out.max = out.size;
  check_fails(pmn_text_escape(&out, "a", 1, &err), PMN_STATUS_NO_MEMORY, "");
  pmn_buf_reset(&out);
}

static void test_int64(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t min, max;
    bool good;
    int64_t value;
  } cases[] = {
      {"0", 0, 0, true, 0},
      {"007", 0, 10, true, 7},
      {"-12", -12, 0, true, -12},
      {"-13", -12, 0, false, 0},
      {"10", 0, 10, true, 10},
      {"11", 0, 10, false, 0},
      {"9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX},
      {"9223372036854775808", INT64_MIN, INT64_MAX, false, 0},
      {"-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN},
      {"-9223372036854775809", INT64_MIN, INT64_MAX, false, 0},
      {"", INT64_MIN, INT64_MAX, false, 0},
      {"-", INT64_MIN, INT64_MAX, false, 0},
      {"--1", INT64_MIN, INT64_MAX, false, 0},
      {"+1", INT64_MIN, INT64_MAX, false, 0},
      {" 1", INT64_MIN, INT64_MAX, false, 0},
      {"- 1", INT64_MIN, INT64_MAX, false, 0},
      {"1 ", INT64_MIN, INT64_MAX, false, 0},
      {"0x10", INT64_MIN, INT64_MAX, false, 0},
      {"1e3", INT64_MIN, INT64_MAX, false, 0},
      {"1.0", INT64_MIN, INT64_MAX, false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    int64_t value = 77;
    bool good = pmn_text_int64(cases[i].text, cases[i].min, cases[i].max, &value);
    if (good != cases[i].good || value != (good ? cases[i].value : 77)) fail_msg("\"%s\"", cases[i].text);
  }
}

static void test_double(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool good;
    double value;
  } cases[] = {
      {"0", true, 0},
      {"0.95", true, 0.95},
      {"-.5", true, -0.5},
      {"+2.", true, 2},
      {"1e-3", true, 1e-3},
      {"1.7976931348623157E308", true, 1.7976931348623157e308},
      {"1e309", false, 0},
      {"-1e309", false, 0},
      {"", false, 0},
      {".", false, 0},
      {"e5", false, 0},
      {"1e", false, 0},
      {"1e+", false, 0},
      {"nan", false, 0},
      {"inf", false, 0},
      {"infinity", false, 0},
      {"0x1p3", false, 0},
      {" 1", false, 0},
      {"1 ", false, 0},
      {"1,5", false, 0},
      {"1.2.3", false, 0},
      {"1-2", false, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    double value = 77;
    bool good = pmn_text_double(cases[i].text, &value);
    if (good != cases[i].good || value != (good ? cases[i].value : 77.0)) fail_msg("\"%s\"", cases[i].text);
  }
}

static void test_ends(void **state) {
  (void)state;
  assert_true(pmn_text_ends("a.onnx", ".onnx"));
  assert_true(pmn_text_ends("a.onnx.onnx", ".onnx"));
  static const char *const others[] = {"", ".onnx", "onnx", "aonnx", "a.onnx.", "a.onnx.b", "a.ONNX", "nnx"};
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    if (pmn_text_ends(others[i], ".onnx")) fail_msg("\"%s\"", others[i]);
  }
}

/* ------------------------------------------------------------------------------------------------- numbers -- */

/* The largest numbers are finite, wherever they stand; the first of those that are not is found, wherever it stands. */
static void test_nonfinite(void **state) {
  (void)state;
  enum { MOST = 70 };
  static const float values[] = {0, -0.0f, 1, -FLT_MAX, FLT_MAX, FLT_TRUE_MIN, -FLT_MIN};
  static const double wide_values[] = {0, -0.0, -1, -DBL_MAX, DBL_MAX, DBL_TRUE_MIN, -DBL_MIN};
  const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
  for (size_t count = 0; count <= MOST; count++) {
    float x[MOST] = {0};
    double wide[MOST] = {0};
    for (size_t i = 0; i < count; i++) {
      x[i] = values[i % 7];
      wide[i] = wide_values[i % 7];
    }
    assert_int_equal(pmn_nonfinite_find(x, count), count);
    assert_int_equal(pmn_nonfinite_find_wide(wide, count), count);
    for (size_t i = count; i-- > 0;) {
      x[i] = bad[i % 4];
      wide[i] = (double)bad[i % 4];
      assert_int_equal(pmn_nonfinite_find(x, count), i);
      assert_int_equal(pmn_nonfinite_find_wide(wide, count), i);
    }
  }
  assert_int_equal(pmn_least(-2, 1), -2);
  assert_int_equal(pmn_least(1, -2), -2);
}

/* --------------------------------------------------------------------------------------------------- files -- */

static void test_file_read(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char folder[64], path[128], content[100000];
  pmn_buf bytes;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/f", folder);
  for (size_t i = 0; i < sizeof content; i++) content[i] = (char)(i * 7 + i / 256);
  FILE *file = fopen(path, "wb");
  assert_non_null(file);
  assert_int_equal(fwrite(content, 1, sizeof content, file), sizeof content);
  fclose(file);

  pmn_buf_init(&bytes, sizeof content);
  for (int again = 0; again < 2; again++) { /* content is replaced, not appended to */
    check_ok(pmn_file_read(path, &bytes, &err));
    assert_int_equal(bytes.size, sizeof content);
    assert_memory_equal(bytes.data, content, sizeof content);
    assert_int_equal(bytes.data[bytes.size], 0);
  }
  pmn_buf small;
  pmn_buf_init(&small, sizeof content - 1);
  check_fails(pmn_file_read(path, &small, &err), PMN_STATUS_NOT_FOUND, "100000 bytes, more than the limit of 99999");
  assert_null(small.data); /* before memory is taken */

  assert_int_equal(truncate(path, 0), 0);
  check_ok(pmn_file_read(path, &bytes, &err));
  assert_int_equal(bytes.size, 0);
  assert_string_equal(bytes.data, "");
  check_fails(pmn_file_read(folder, &bytes, &err), PMN_STATUS_NOT_FOUND, "not a regular file");
  assert_int_equal(unlink(path), 0);
  check_fails(pmn_file_read(path, &bytes, &err), PMN_STATUS_NOT_FOUND, path);
  assert_int_equal(err.foreign, ENOENT);
  assert_int_equal(mkfifo(path, 0600), 0);
  check_fails(pmn_file_read(path, &bytes, &err), PMN_STATUS_NOT_FOUND, "not a regular file"); /* and does not wait */
  check_fails(pmn_file_read("/dev/null", &bytes, &err), PMN_STATUS_NOT_FOUND, "not a regular file");
  pmn_buf_reset(&bytes);
  check_folder_remove(folder);
}

static void test_file_read_without_memory(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_buf_init(&bytes, 1 << 20);
  check_ok(pmn_buf_append(&bytes, "old", 3, &err));
  (void)pmn_mem_fail_after(0);
  pmn_status st = pmn_file_read(PMN_SOURCE_DIR "/include/pomona.h", &bytes, &err);
  (void)pmn_mem_fail_after(-1);
  assert_int_equal(st, PMN_STATUS_NO_MEMORY);
  assert_int_equal(bytes.size, 0);
  assert_string_equal(bytes.data, ""); /* nothing of what was there before */
  pmn_buf_reset(&bytes);
}

static void test_file_write_cached(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char folder[64], path[128], missing[128];
  pmn_buf bytes;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/entry", folder);
  snprintf(missing, sizeof missing, "%s/none/entry", folder);
  pmn_buf_init(&bytes, 100);
  check_ok(pmn_file_write_cached(path, "first, longer", 13, &err));
  check_ok(pmn_file_write_cached(path, "two\0", 4, &err));
  check_ok(pmn_file_read(path, &bytes, &err));
  assert_int_equal(bytes.size, 4);
  assert_memory_equal(bytes.data, "two", 4);
  check_fails(pmn_file_write_cached(missing, "x", 1, &err), PMN_STATUS_WRITE, missing);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(mkdir(path, 0700), 0);
  check_fails(pmn_file_write_cached(path, "x", 1, &err), PMN_STATUS_WRITE, path); /* no file can go over a folder */
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(rmdir(folder), 0); /* no temporary files are left, or it would not be empty */
  pmn_buf_reset(&bytes);
}

static void test_cache_path(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char folder[64], expected[128], place[128];
  struct stat info;
  pmn_buf path;
  check_folder(folder);
  pmn_buf_init(&path, 4096);

  snprintf(place, sizeof place, "%s/xdg", folder);
  setenv("XDG_CACHE_HOME", place, 1);
  setenv("HOME", folder, 1);
  for (int again = 0; again < 2; again++) {
    check_ok(pmn_file_cache_path("programs", &path, &err));
    snprintf(expected, sizeof expected, "%s/xdg/pomona/programs", folder);
    assert_string_equal(path.data, expected);
  }
  snprintf(place, sizeof place, "%s/xdg/pomona", folder);
  assert_int_equal(stat(place, &info), 0);
  assert_true(S_ISDIR(info.st_mode));

  static const char *const ignored[] = {"", "relative", NULL};
  for (int i = 0; i < 3; i++) {
    if (ignored[i] != NULL)
      setenv("XDG_CACHE_HOME", ignored[i], 1);
    else
      unsetenv("XDG_CACHE_HOME");
    check_ok(pmn_file_cache_path("x", &path, &err));
    snprintf(expected, sizeof expected, "%s/.cache/pomona/x", folder);
    assert_string_equal(path.data, expected);
  }
  unsetenv("HOME");
  check_fails(pmn_file_cache_path("x", &path, &err), PMN_STATUS_NOT_FOUND, "HOME");
  snprintf(place, sizeof place, "%s/none/deeper", folder);
  setenv("XDG_CACHE_HOME", place, 1);
  check_fails(pmn_file_cache_path("x", &path, &err), PMN_STATUS_NOT_FOUND, place);
  snprintf(place, sizeof place, "%s/file", folder);
  setenv("XDG_CACHE_HOME", folder, 1);
  snprintf(place, sizeof place, "%s/pomona", folder);
  check_ok(pmn_file_write_cached(place, "in the way", 10, &err));
  check_fails(pmn_file_cache_path("x", &path, &err), PMN_STATUS_NOT_FOUND, "is no folder");
  pmn_buf_reset(&path);
  check_folder_remove(folder);
}

/* ------------------------------------------------------------------------------------------ hashes, clock -- */

/* The examples of FIPS 180-2, appendix B, and the digest of nothing. */
static void test_sha256_known_answers(void **state) {
  (void)state;
  static char million[1000000];
  memset(million, 'a', sizeof million);
  const struct {
    const char *text;
    size_t size;
    const char *digest;
  } cases[] = {
      {"", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {million, sizeof million, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  pmn_err err = PMN_ERR_INIT;
  char hex[PMN_SHA256_HEX_SIZE];
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (size_t cut = 0; cut <= cases[i].size && cut < 5; cut++) { /* in two runs, cut anywhere, it is the same text */
      const void *parts[] = {cases[i].text, cases[i].text + cut};
      size_t sizes[] = {cut, cases[i].size - cut};
      memset(hex, 'x', sizeof hex);
      check_ok(pmn_sha256_hex(parts, sizes, 2, hex, &err));
      assert_string_equal(hex, cases[i].digest);
    }
  }
  check_ok(pmn_sha256_hex(NULL, NULL, 0, hex, &err));
  assert_string_equal(hex, cases[0].digest);
}

static void test_clock(void **state) {
  (void)state;
  double before = pmn_clock_seconds();
  struct timespec pause = {.tv_nsec = 2000000};
  nanosleep(&pause, NULL);
  assert_true(pmn_clock_seconds() - before >= 0.002); /* nanosleep never sleeps less */
  char text[32], rest = 0;
  struct tm utc = {0};
  time_t earliest = time(NULL);
  pmn_clock_utc(text);
  assert_int_equal(sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%c", &utc.tm_year, &utc.tm_mon, &utc.tm_mday, &utc.tm_hour,
                       &utc.tm_min, &utc.tm_sec, &rest),
      6);
  assert_int_equal(strlen(text), 20);
  utc.tm_year -= 1900;
  utc.tm_mon -= 1;
  time_t told = timegm(&utc);
  assert_true(told >= earliest && told <= time(NULL));
}

int main(void) {
  setenv("TZ", "Pacific/Auckland", 1); /* far from UTC, so that local time would be noticed */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_err_is_one_line_of_utf8),
      cmocka_unit_test(test_err_is_cut_to_its_size),
      cmocka_unit_test(test_err_may_quote_itself),
      cmocka_unit_test(test_sizes_are_checked),
      cmocka_unit_test(test_memory_is_zeroed_and_aligned),
      cmocka_unit_test(test_memory_fails_on_request),
      cmocka_unit_test(test_slab),
      cmocka_unit_test(test_slab_without_memory),
      cmocka_unit_test(test_buf_grows_to_its_maximum_and_no_further),
      cmocka_unit_test(test_buf_sizes_do_not_wrap),
      cmocka_unit_test(test_buf_survives_failed_growth),
      cmocka_unit_test(test_utf8_against_its_definition),
      cmocka_unit_test(test_escape_is_utf8_and_can_be_undone),
      cmocka_unit_test(test_int64),
      cmocka_unit_test(test_double),
      cmocka_unit_test(test_ends),
      cmocka_unit_test(test_nonfinite),
      cmocka_unit_test(test_file_read),
      cmocka_unit_test(test_file_read_without_memory),
      cmocka_unit_test(test_file_write_cached),
      cmocka_unit_test(test_cache_path),
      cmocka_unit_test(test_sha256_known_answers),
      cmocka_unit_test(test_clock),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
