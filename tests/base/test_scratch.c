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
  check_ok(pmn_scratch_create(path, NULL, &scratch, &err));
  assert_int_equal(entries_of(folder), 0);
  check_ok(pmn_scratch_append(scratch, "abc", 3, &err));
  check_ok(pmn_scratch_append(scratch, "defg", 4, &err));
  assert_int_equal(pmn_scratch_size(scratch), 7);
  check_ok(pmn_scratch_read(scratch, 1, read, 6, &err));
  assert_memory_equal(read, "bcdefg", 6);
  check_fails(pmn_scratch_read(scratch, 2, read, 6, &err), PMN_STATUS_WRITE, "became shorter");
  pmn_scratch_clear(scratch);
  assert_int_equal(pmn_scratch_size(scratch), 0);
  check_fails(pmn_scratch_read(scratch, 0, read, 1, &err), PMN_STATUS_WRITE, folder);
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
  check_fails(pmn_scratch_create(path, NULL, &scratch, &err), PMN_STATUS_WRITE, "/missing: ");
  assert_null(scratch);
  assert_null(strstr(err.message, "moves it"));
  /* Where an output in a bucket has its temporary files, and what moves them. */
  setenv("TMPDIR", "/nowhere/at/all", 1);
  check_fails(pmn_scratch_create("s3://fruit/out/_temporary/scratch", "--spool", &scratch, &err), PMN_STATUS_WRITE,
      "cannot make a temporary file in /nowhere/at/all: ");
  assert_non_null(strstr(err.message, "; --spool or TMPDIR moves it"));
  check_fails(pmn_scratch_create("s3://fruit/out.csv", NULL, &scratch, &err), PMN_STATUS_WRITE, "; TMPDIR moves it");
  check_fails(pmn_scratch_create("/nowhere/out.csv", "--spool", &scratch, &err), PMN_STATUS_WRITE,
      "in /nowhere: No such file or directory; --spool moves it");
  unsetenv("TMPDIR");
  snprintf(path, sizeof path, "%s/out.csv", folder);
  check_ok(pmn_scratch_create(path, NULL, &scratch, &err));
  struct rlimit before, small;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  small = before;
  small.rlim_cur = 4096;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
  pmn_status full = pmn_scratch_append(scratch, block, sizeof block, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(full, PMN_STATUS_WRITE);
  assert_non_null(strstr(err.message, folder));
  assert_int_equal(pmn_scratch_size(scratch), 0);
  pmn_scratch_destroy(scratch);
  check_folder_remove(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bytes_come_back),
      cmocka_unit_test(errors_say_where),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
