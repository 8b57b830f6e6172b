/* test_parquet_read.c - footers of Parquet files, as they should be and as they should not. */
#include "sink_check.h"

#include "pmn_parquet_meta.h"
#include "pmn_parquet_read.h"
#include "pmn_thrift.h"

enum { GROUPS = 20, GROUP_ROWS = 7, WIDTH = 3, CHUNK = 100, START = 4 + GROUPS * 3 * CHUNK };

/* A footer of GROUPS row groups, as the sink writes them; but one column lies `gap` bytes behind its place. */
static void make_footer(uint64_t gap, pmn_buf *footer) {
  pmn_err err;
  pmn_buf groups, least, greatest;
  pmn_buf_init(&groups, 1 << 20);
  pmn_buf_init(&least, 64);
  pmn_buf_init(&greatest, 64);
  pmn_buf_init(footer, 1 << 20);
  check_ok(pmn_buf_printf(&least, &err, "a"));
  check_ok(pmn_buf_printf(&greatest, &err, "z\xff"));
  for (uint64_t g = 0; g < GROUPS; g++) {
    pmn_parquet_chunk chunks[PMN_PARQUET_COLUMNS];
    static const int places[] = {PMN_PARQUET_PATH, PMN_PARQUET_LABEL, PMN_PARQUET_FEATURES};
    for (uint64_t c = 0; c < 3; c++) {
      chunks[places[c]] = (pmn_parquet_chunk){.values = c == 2 ? GROUP_ROWS * WIDTH : GROUP_ROWS,
          .offset = 4 + (g * 3 + c) * CHUNK + (g == 3 && c == 1 ? gap : 0),
          .size = CHUNK,
          .uncompressed_size = 2 * CHUNK,
          .min = c == 2 ? NULL : &least,
          .max = c == 2 ? NULL : &greatest};
    }
    check_ok(pmn_parquet_row_group((pmn_parquet_form){0}, chunks, GROUP_ROWS, &groups, &err));
  }
  check_ok(pmn_parquet_footer(
      (pmn_parquet_form){0}, &groups, GROUPS, GROUPS * GROUP_ROWS, "{\"a\": 1}", "0123", footer, &err));
  pmn_buf_reset(&groups);
  pmn_buf_reset(&least);
  pmn_buf_reset(&greatest);
}

/* From memory of just that size, so that a sanitizer sees every step beyond it. */
static pmn_status read_exact(const char *bytes, size_t size, int64_t start, pmn_parquet_info *info, pmn_err *err) {
  char *own = malloc(size > 0 ? size : 1);
  assert_non_null(own);
  memcpy(own, bytes, size);
  *err = (pmn_err)PMN_ERR_INIT;
  pmn_status st = pmn_parquet_read(own, size, start, info, err);
  if (st == PMN_STATUS_OK) {
    int64_t rows = 0;
    for (size_t i = 0; i < info->group_count; i++) rows += info->groups[i].rows;
    assert_int_equal(rows, info->rows);
    for (size_t i = 0; i < info->pair_count; i++) {
      assert_true(info->pairs[i].value.size <= size);
      (void)memchr(info->pairs[i].value.data, 1, info->pairs[i].value.size);
    }
  } else if (st != PMN_STATUS_MODEL || err->status != st || err->message[0] == '\0') {
    fail_msg("status %d, message \"%s\"", (int)st, err->message);
  }
  pmn_parquet_info_reset(info);
  free(own);
  return st;
}

static void a_footer_is_read(void **state) {
  (void)state;
  pmn_buf footer;
  pmn_parquet_info info;
  pmn_err err;
  make_footer(0, &footer);
  check_ok(pmn_parquet_read(footer.data, footer.size, START, &info, &err));
  assert_int_equal(info.rows, GROUPS * GROUP_ROWS);
  assert_int_equal(info.group_count, GROUPS);
  for (int g = 0; g < GROUPS; g++) {
    assert_int_equal(info.groups[g].rows, GROUP_ROWS);
    assert_int_equal(info.groups[g].values, GROUP_ROWS * WIDTH);
    assert_int_equal(info.groups[g].offset, 4 + g * 3 * CHUNK);
    assert_int_equal(info.groups[g].size, 3 * CHUNK);
  }
  const pmn_parquet_text *record = pmn_parquet_find(&info, PMN_PARQUET_RECORD);
  const pmn_parquet_text *sha256 = pmn_parquet_find(&info, PMN_PARQUET_SHA256);
  assert_true(record != NULL && record->size == 8 && memcmp(record->data, "{\"a\": 1}", 8) == 0);
  assert_true(sha256 != NULL && sha256->size == 4 && memcmp(sha256->data, "0123", 4) == 0);
  assert_null(pmn_parquet_find(&info, "pomona"));
  pmn_parquet_info_reset(&info);
  assert_int_equal(read_exact(footer.data, footer.size, START - 1, &info, &err), PMN_STATUS_MODEL);
  assert_int_equal(read_exact(footer.data, footer.size, START + 1, &info, &err), PMN_STATUS_MODEL);
  for (size_t size = 0; size < footer.size; size++) {
    if (read_exact(footer.data, size, START, &info, &err) == PMN_STATUS_OK) fail_msg("cut to %zu bytes", size);
  }
  char *offset = memmem(footer.data, footer.size, "\x26\x08\x16", 3); /* of the first row group: 4 */
  assert_non_null(offset);
  offset[1] = 10;
  assert_int_equal(read_exact(footer.data, footer.size, START, &info, &err), PMN_STATUS_MODEL);
  pmn_buf_reset(&footer);
  make_footer(1, &footer);
  assert_int_equal(read_exact(footer.data, footer.size, START, &info, &err), PMN_STATUS_MODEL);
  pmn_buf_reset(&footer);
}

/* From a small generator, the same on every machine. */
static uint32_t next(uint32_t *random) {
  *random ^= *random << 13;
  *random ^= *random >> 17;
  *random ^= *random << 5;
  return *random;
}

static void damaged_footers_are_errors(void **state) {
  (void)state;
  enum { ROUNDS = 10000 };
  pmn_buf footer;
  pmn_parquet_info info;
  pmn_err err;
  uint32_t random = 88172645;
  int refused = 0, same = 0;
  make_footer(0, &footer);
  char *bytes = malloc(footer.size);
  assert_non_null(bytes);
  for (int round = 0; round < ROUNDS; round++) {
    size_t size = footer.size;
    memcpy(bytes, footer.data, size);
    for (uint32_t n = next(&random) % 8 + 1; n > 0; n--) {
      uint32_t what = next(&random), at = next(&random) % (uint32_t)size, value = next(&random);
      if (what % 8 == 0) size = at + 1;
      int changed = what % 3 == 0 ? bytes[at] ^ 1 << value % 8 : what % 3 == 1 ? (int)value : 0xff;
      bytes[at] = (char)changed;
    }
    refused += read_exact(bytes, size, START, &info, &err) != PMN_STATUS_OK;
    same += size == footer.size && memcmp(bytes, footer.data, size) == 0;
  }
  print_message("%d of %d damaged footers refused\n", refused, ROUNDS - same);
  assert_true(same < ROUNDS / 10);
  assert_int_equal(refused, ROUNDS - same);
  free(bytes);
  pmn_buf_reset(&footer);
}

/* Every bit of every byte. Whose list of pairs is told as a field that nobody knows is no longer a file of ours. */
static void no_flip_passes(void **state) {
  (void)state;
  pmn_buf footer;
  pmn_parquet_info info;
  pmn_err err;
  make_footer(0, &footer);
  for (size_t i = 0; i < 8 * footer.size; i++) {
    footer.data[i / 8] ^= (char)(1 << i % 8);
    pmn_status st = pmn_parquet_read(footer.data, footer.size, START, &info, &err);
    bool foreign = st == PMN_STATUS_OK && pmn_parquet_find(&info, PMN_PARQUET_RECORD) == NULL && !info.sealed;
    if (st != PMN_STATUS_MODEL && !foreign) fail_msg("byte %zu, bit %zu: %d", i / 8, i % 8, st);
    pmn_parquet_info_reset(&info);
    footer.data[i / 8] ^= (char)(1 << i % 8);
  }
  check_ok(pmn_parquet_read(footer.data, footer.size, START, &info, &err));
  assert_true(info.sealed);
  pmn_parquet_info_reset(&info);
  pmn_buf_reset(&footer);
}

static void hostile_footers_are_errors(void **state) {
  (void)state;
  static const struct {
    const char *what, *bytes;
    size_t size;
  } cases[] = {
#define CASE(what, bytes) {what, bytes, sizeof bytes - 1}
      CASE("nothing", ""),
      CASE("a struct without rows", "\x00"),
      CASE("2^60 row groups", "\x49\xfc\xff\xff\xff\xff\xff\xff\xff\xff\x0f"),
      CASE("more row groups than bytes", "\x36\x00\x19\xfc\x7f\x00\x00"),
      CASE("row groups that are numbers", "\x36\x00\x19\x16\x00\x00"),
      CASE("pairs that are numbers", "\x36\x00\x29\x16\x00\x00"),
      CASE("row groups that are no list", "\x36\x00\x16\x00\x00"),
      CASE("rows below zero", "\x36\x01\x00"),
      CASE("rows of 2^64 and more", "\x36\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"),
      CASE("no rows, and a bit more than 64", "\x36\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02\x00"),
      CASE("a number that never ends", "\x36\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00"),
      CASE("a text of 2^63 bytes", "\x36\x00\x38\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"),
      CASE("a map of 2^63", "\x36\x00\x3b\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x88\x00"),
      CASE("a type that there is not", "\x36\x00\x1e\x00"),
      CASE("an id below zero", "\x36\x00\x08\x01\x00\x00"),
      CASE("bytes behind the end", "\x36\x00\x00\x00"),
      CASE("a hash of no digits", "\x36\x00\x29\x1c\x18\x14pomona.footer.sha256\x00\x00"),
      CASE("a hash of three digits", "\x36\x00\x29\x1c\x18\x14pomona.footer.sha256\x18\x03"
                                     "abc\x00\x00"),
      CASE("a pair that is not ours", "\x36\x00\x29\x2c\x18\x0dpomona.record\x18\x01"
                                      "a\x00\x18\x01k\x18\x01v\x00\x00"),
#undef CASE
  };
  pmn_parquet_info info;
  pmn_err err;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    if (read_exact(cases[i].bytes, cases[i].size, 4, &info, &err) != PMN_STATUS_MODEL) fail_msg("%s", cases[i].what);
  }
  assert_int_equal(read_exact("\x36\x00\x00", 3, 4, &info, &err), PMN_STATUS_OK); /* a file without rows */
  static const char older[] = "\x36\x00\x29\x1c\x18\x0dpomona.record\x18\x01"
                              "a\x00\x00";
  check_ok(pmn_parquet_read(older, sizeof older - 1, 4, &info, &err));
  assert_false(info.sealed);
  pmn_parquet_info_reset(&info);
  char deep[100000];
  memset(deep, 0x1c, sizeof deep); /* a struct in a struct in a struct... */
  assert_int_equal(read_exact(deep, sizeof deep, 4, &info, &err), PMN_STATUS_MODEL);
  memset(deep, 0x19, sizeof deep); /* and lists */
  assert_int_equal(read_exact(deep, sizeof deep, 4, &info, &err), PMN_STATUS_MODEL);
}

static void the_footer_is_found(void **state) {
  (void)state;
  assert_int_equal(pmn_parquet_footer_start("\x05\0\0\0PAR1", 100), 100 - 8 - 5);
  assert_int_equal(pmn_parquet_footer_start("\x58\0\0\0PAR1", 100), 4);
  assert_int_equal(pmn_parquet_footer_start("\x59\0\0\0PAR1", 100), -1);
  assert_int_equal(pmn_parquet_footer_start("\xff\xff\xff\xffPAR1", 100), -1);
  assert_int_equal(pmn_parquet_footer_start("\x05\0\0\0PARE", 100), -1);
  assert_int_equal(pmn_parquet_footer_start("\0\0\0\0PAR1", 8), -1);
  assert_int_equal(pmn_parquet_footer_start("\0\0\0\0PAR1", 12), 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_footer_is_read),
      cmocka_unit_test(damaged_footers_are_errors),
      cmocka_unit_test(no_flip_passes),
      cmocka_unit_test(hostile_footers_are_errors),
      cmocka_unit_test(the_footer_is_found),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
