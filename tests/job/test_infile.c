/* test_infile.c - files read again: from a disk, and from a bucket in windows of WINDOW bytes, as this test is built.
 */
#include "check.h"

#include "loopback.h"
#include "pmn_infile.h"
#include "pmn_s3.h"

enum { WINDOW = PMN_INFILE_WINDOW, SIZE = 20 * WINDOW + 77 };

static loopback server;
static pmn_s3 *client;

static int start(void **state) {
  (void)state;
  char url[64];
  pmn_err err = PMN_ERR_INIT;
  const pmn_s3_options options = {.flags = {.no_sign_request = true}};
  loopback_start(&server);
  snprintf(url, sizeof url, "http://127.0.0.1:%d", server.port);
  setenv("AWS_ENDPOINT_URL_S3", url, 1);
  setenv("AWS_REGION", "us-east-1", 1);
  setenv("AWS_MAX_ATTEMPTS", "2", 1);
  check_ok(pmn_s3_create(&options, &client, &err));
  return 0;
}

static int stop(void **state) {
  (void)state;
  pmn_s3_destroy(client);
  return 0;
}

static pmn_infile *open_file(const char *path) {
  pmn_infile *file = NULL;
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_infile_open(client, path, &file, &err));
  assert_non_null(file);
  atomic_store(&server.range_most, 0);
  atomic_store(&server.range_sum, 0);
  atomic_store(&server.requests, 0);
  return file;
}

/* Bytes [at, at + size), into memory of just that size. */
static void read_bytes(pmn_infile *file, int64_t at, size_t size) {
  pmn_err err = PMN_ERR_INIT;
  unsigned char *bytes = malloc(size + 1);
  assert_non_null(bytes);
  check_ok(pmn_infile_read(file, at, bytes, size, &err));
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] != (size_t)(at + (int64_t)i) % 251) fail_msg("byte %lld", (long long)at + (long long)i);
  }
  free(bytes);
}

/* From the beginning to the end: as many requests as windows, and no byte twice. */
static void in_order(void **state) {
  (void)state;
  char path[64];
  snprintf(path, sizeof path, "s3://range/%d", SIZE);
  pmn_infile *file = open_file(path);
  assert_int_equal(pmn_infile_size(file), SIZE);
  for (int64_t at = 0, step; at < SIZE; at += step) {
    step = SIZE - at < WINDOW / 8 ? SIZE - at : WINDOW / 8;
    read_bytes(file, at, (size_t)step);
  }
  assert_int_equal(atomic_load(&server.range_sum), SIZE);
  assert_int_equal(atomic_load(&server.range_most), WINDOW);
  assert_int_equal(atomic_load(&server.requests), 21); /* the first step, 19 windows, the rest */
  pmn_infile_close(file);
}

/* The first bytes and the last, again and again, as the formats are looked at. */
static void in_leaps(void **state) {
  (void)state;
  char path[64];
  snprintf(path, sizeof path, "s3://range/%d", SIZE);
  pmn_infile *file = open_file(path);
  for (int i = 0; i < 3; i++) {
    read_bytes(file, 0, 6);
    read_bytes(file, SIZE - 8, 8);
    read_bytes(file, SIZE, 0);
  }
  assert_int_equal(atomic_load(&server.requests), 6);
  assert_true(atomic_load(&server.range_sum) < WINDOW / 16);
  read_bytes(file, 5, 3 * WINDOW + 1); /* more than may be held */
  assert_int_equal(atomic_load(&server.range_most), WINDOW);
  read_bytes(file, SIZE - WINDOW - 1, WINDOW + 1);
  uint32_t random = 1;
  for (int i = 0; i < 300; i++) {
    random = random * 1664525 + 1013904223;
    int64_t at = (int64_t)(random >> 8) % SIZE;
    size_t size = (size_t)(random >> 4) % (2 * WINDOW);
    read_bytes(file, at, (int64_t)size > SIZE - at ? (size_t)(SIZE - at) : size);
  }
  assert_int_equal(atomic_load(&server.range_most), WINDOW);
  pmn_infile_close(file);
}

/* What fits comes at once, and stays. */
static void small_objects(void **state) {
  (void)state;
  char path[64];
  for (int size = WINDOW - 1; size <= WINDOW + 1; size++) {
    snprintf(path, sizeof path, "s3://range/%d", size);
    pmn_infile *file = open_file(path);
    read_bytes(file, size - 8, 8);
    read_bytes(file, 0, (size_t)size);
    read_bytes(file, 3, 5);
    if (size <= WINDOW) assert_int_equal(atomic_load(&server.requests), 1);
    assert_true(atomic_load(&server.range_most) <= WINDOW);
    pmn_infile_close(file);
  }
}

static void read_whole_files(void **state) {
  (void)state;
  char path[64];
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_buf_init(&bytes, SIZE);
  snprintf(path, sizeof path, "s3://range/%d", SIZE);
  pmn_infile *file = open_file(path);
  check_ok(pmn_infile_read_all(file, &bytes, &err));
  assert_int_equal(bytes.size, SIZE);
  for (size_t i = 0; i < bytes.size; i++) assert_int_equal((unsigned char)bytes.data[i], i % 251);
  bytes.max = SIZE - 1;
  check_fails(pmn_infile_read_all(file, &bytes, &err), PMN_STATUS_MODEL, "more than");
  pmn_infile_close(file);
  pmn_buf_reset(&bytes);
}

static void wrong_servers(void **state) {
  (void)state;
  char path[64], byte;
  pmn_err err = PMN_ERR_INIT;
  snprintf(path, sizeof path, "s3://range/%d", SIZE);
  pmn_infile *file = open_file(path);
  read_bytes(file, 0, 1);
  atomic_fetch_add(&server.version, 1);
  check_fails(pmn_infile_read(file, SIZE / 2, &byte, 1, &err), PMN_STATUS_NOT_FOUND, "has changed");
  check_fails(pmn_infile_read(file, 0, &byte, 1, &err), PMN_STATUS_NOT_FOUND, "has changed");
  atomic_fetch_sub(&server.version, 1);
  read_bytes(file, SIZE / 2, 7); /* nothing of what failed is kept */
  pmn_infile_close(file);
  snprintf(path, sizeof path, "s3://bytes/%d", SIZE); /* gives no ranges */
  file = open_file(path);
  check_fails(pmn_infile_read(file, 0, &byte, 1, &err), PMN_STATUS_NOT_FOUND, "it gives no parts of objects");
  pmn_infile_close(file);
  check_ok(pmn_infile_open(client, "s3://none/x", &file, &err));
  assert_null(file);
}

static void on_a_disk(void **state) {
  (void)state;
  char folder[64], path[128], byte;
  pmn_err err = PMN_ERR_INIT;
  pmn_infile *file;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/file", folder);
  check_ok(pmn_infile_open(NULL, path, &file, &err));
  assert_null(file);
  FILE *out = fopen(path, "wb");
  assert_non_null(out);
  for (int i = 0; i < 1000; i++) fputc(i % 251, out);
  fclose(out);
  file = open_file(path);
  assert_int_equal(pmn_infile_size(file), 1000);
  read_bytes(file, 0, 1000);
  read_bytes(file, 990, 10);
  assert_int_equal(truncate(path, 500), 0);
  check_fails(pmn_infile_read(file, 600, &byte, 1, &err), PMN_STATUS_NOT_FOUND, "became shorter");
  pmn_infile_close(file);
  check_fails(pmn_infile_open(NULL, folder, &file, &err), PMN_STATUS_NOT_FOUND, "not a regular file");
  check_folder_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(in_order),
      cmocka_unit_test(in_leaps),
      cmocka_unit_test(small_objects),
      cmocka_unit_test(read_whole_files),
      cmocka_unit_test(wrong_servers),
      cmocka_unit_test(on_a_disk),
  };
  return check_exit(cmocka_run_group_tests(tests, start, stop));
}
