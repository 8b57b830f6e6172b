/* test_folder.c - small files by name in a folder on a disk. */
#include "job_check.h"

#include "pmn_folder.h"

/* A sub-folder counts 1000. */
static pmn_status count_size(void *arg, const char *name, int64_t size, pmn_err *err) {
  int64_t *sum = arg;
  bool is_folder = name[strlen(name) - 1] == '/';
  assert_true(is_folder == (size == -1));
  *sum += is_folder ? 1000 : size;
  return strcmp(name, "stop") == 0 ? pmn_err_set(err, PMN_STATUS_INTERRUPTED, 0, "enough") : PMN_STATUS_OK;
}

static void folders(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_folder *files = NULL;
  int64_t size = 0;
  pmn_buf bytes;
  pmn_buf_init(&bytes, 6);
  const char *path = in_folder("files");
  check_fails(pmn_folder_open(NULL, path, false, &files, &err), PMN_STATUS_NOT_FOUND, "files");
  check_fails(pmn_folder_open(NULL, in_folder("none/files"), true, &files, &err), PMN_STATUS_WRITE, "cannot make");
  put_text(in_folder("file"), "");
  check_fails(pmn_folder_open(NULL, in_folder("file"), true, &files, &err), PMN_STATUS_WRITE, "is not a folder");
  check_ok(pmn_folder_open(NULL, path, true, &files, &err));
  check_fails(pmn_folder_read(files, "a", &bytes, &err), PMN_STATUS_NOT_FOUND, "files/a");
  check_ok(pmn_folder_size(files, "a", &size, &err));
  assert_int_equal(size, -1);
  check_ok(pmn_folder_write(files, "a", "one", 3, &err));
  check_ok(pmn_folder_write(files, "a", "second", 6, &err));
  check_ok(pmn_folder_write(files, "empty", "", 0, &err));
  check_ok(pmn_folder_read(files, "a", &bytes, &err));
  assert_string_equal(bytes.data, "second");
  check_ok(pmn_folder_size(files, "a", &size, &err));
  assert_int_equal(size, 6);
  check_ok(pmn_folder_write(files, "b", "too long", 8, &err));
  check_fails(pmn_folder_read(files, "b", &bytes, &err), PMN_STATUS_NOT_FOUND, "more than the limit of 6");
  assert_int_equal(mkdir(in_folder("files/sub"), 0700), 0);
  put_text(in_folder("files/sub/c"), "not looked at");
  size = 0;
  check_ok(pmn_folder_list(files, count_size, &size, &err));
  assert_int_equal(size, 1014);
  put_text(in_folder("files/stop"), "");
  check_fails(pmn_folder_list(files, count_size, &size, &err), PMN_STATUS_INTERRUPTED, "enough");
  check_ok(pmn_folder_remove(files, "stop", &err));
  check_ok(pmn_folder_remove(files, "stop", &err));
  check_fails(pmn_folder_remove(files, "sub", &err), PMN_STATUS_WRITE, "files/sub");
  check_fails(pmn_folder_write(files, "sub", "", 0, &err), PMN_STATUS_WRITE, "files/sub");
  check_fails(pmn_folder_write(files, "none/x", "", 0, &err), PMN_STATUS_WRITE, "files/none/x");
  assert_string_equal(names_in(path), "a b empty sub");
  pmn_folder_close(files);
  pmn_folder_close(NULL);
  pmn_buf_reset(&bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(folders, make_folder, remove_folder),
  };
  return cmocka_run_group_tests_name("folder", tests, NULL, NULL);
}
