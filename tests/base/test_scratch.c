/* test_scratch.c - bytes kept aside on the disk: read back as written, no name left in the folder, errors that say
 * where. */
#include "check.h"

#include "pmn_scratch.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

static int entries_of(const char *folder) {
  int count = 0;
  DIR *dir = opendir(folder);
  assert_non_null(dir);
  while (readdir(dir) != NULL) count++;
  closedir(dir);
  return count - 2; /* "." and ".." */
}

static void bytes_come_back(void **state) {
  (void)state;
  char folder[64], path[96], read[6];
  pmn_scratch *scratch = NULL;
  pmn_err err;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/out.parquet", folder);
  check_ok(pmn_scratch_create(path, &scratch, &err));
  assert_int_equal(entries_of(folder), 0);
  check_ok(pmn_scratch_append(scratch, "abc", 3, &err));
  check_ok(pmn_scratch_append(scratch, "defg", 4, &err));
  assert_int_equal(pmn_scratch_size(scratch), 7);
  check_ok(pmn_scratch_read(scratch, 1, read, 6, &err));
  assert_memory_equal(read, "bcdefg", 6);
  check_fails(pmn_scratch_read(scratch, 2, read, 6, &err), PMN_STATUS_WRITE, "became shorter");
  pmn_scratch_clear(scratch);
  assert_int_equal(pmn_scratch_size(scratch), 0);
  check_fails(pmn_scratch_read(scratch, 0, read, 1, &err), PMN_STATUS_WRITE, path);
  check_ok(pmn_scratch_append(scratch, "xyz", 3, &err));
  check_ok(pmn_scratch_read(scratch, 0, read, 3, &err));
  assert_memory_equal(read, "xyz", 3);
  pmn_scratch_destroy(scratch);
  pmn_scratch_destroy(NULL);
  check_folder_remove(folder);
}

static void errors_say_where(void **state) {
  (void)state;
  char folder[64], path[96];
  static const char block[8192];
  pmn_scratch *scratch = NULL;
  pmn_err err;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/missing/out.csv", folder);
  check_fails(pmn_scratch_create(path, &scratch, &err), PMN_STATUS_WRITE, path);
  assert_null(scratch);
  snprintf(path, sizeof path, "%s/out.csv", folder);
  check_ok(pmn_scratch_create(path, &scratch, &err));
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 4096;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  pmn_status full = pmn_scratch_append(scratch, block, sizeof block, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(full, PMN_STATUS_WRITE);
  assert_non_null(strstr(err.message, path));
  assert_int_equal(pmn_scratch_size(scratch), 0);
  pmn_scratch_destroy(scratch);
  check_folder_remove(folder);
}

/* With a name: what is in it stays, and is gone on with. */
static void named_files_stay(void **state) {
  (void)state;
  char folder[64], path[96], read[6];
  struct stat info;
  pmn_scratch *scratch = NULL;
  pmn_err err;
  check_folder(folder);
  snprintf(path, sizeof path, "%s/rows", folder);
  check_ok(pmn_scratch_open(path, &scratch, &err));
  assert_int_equal(pmn_scratch_size(scratch), 0);
  check_ok(pmn_scratch_append(scratch, "abcdef", 6, &err));
  check_ok(pmn_scratch_sync(scratch, &err));
  pmn_scratch_destroy(scratch);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_size, 6);

  check_ok(pmn_scratch_open(path, &scratch, &err));
  assert_int_equal(pmn_scratch_size(scratch), 6);
  check_fails(pmn_scratch_cut(scratch, 7, &err), PMN_STATUS_WRITE, "has 6 bytes, fewer than the 7");
  assert_non_null(strstr(err.message, path));
  check_ok(pmn_scratch_cut(scratch, 6, &err));
  check_ok(pmn_scratch_cut(scratch, 2, &err));
  assert_int_equal(pmn_scratch_size(scratch), 2);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_size, 2);
  check_ok(pmn_scratch_append(scratch, "XYZ", 3, &err));
  check_ok(pmn_scratch_read(scratch, 0, read, 5, &err));
  assert_memory_equal(read, "abXYZ", 5);
  check_fails(pmn_scratch_read(scratch, 0, read, 6, &err), PMN_STATUS_WRITE, "became shorter");
  check_ok(pmn_scratch_cut(scratch, 0, &err));
  pmn_scratch_destroy(scratch);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_size, 0);

  /* Never through a link, and not a folder. */
  assert_int_equal(unlink(path), 0);
  assert_int_equal(symlink("elsewhere", path), 0);
  check_fails(pmn_scratch_open(path, &scratch, &err), PMN_STATUS_WRITE, path);
  assert_null(scratch);
  check_fails(pmn_scratch_open(folder, &scratch, &err), PMN_STATUS_WRITE, folder);
  snprintf(path, sizeof path, "%s/missing/rows", folder);
  check_fails(pmn_scratch_open(path, &scratch, &err), PMN_STATUS_WRITE, path);
  check_folder_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_come_back),
      cmocka_unit_test(errors_say_where),
      cmocka_unit_test(named_files_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
