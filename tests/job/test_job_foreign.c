/* test_job_foreign.c - files of other people, in the places and with the names of an output's, its work's and its
 * locks: refused, and left as they are. */
#include "job_check.h"

static void foreign_files(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  assert_int_equal(mkdir(in_folder("out"), 0700), 0);
  put_text(in_folder("out/notes.txt"), "mine");
  check_fails(
      try_job(in_folder("out/"), false, false, &err), PMN_STATUS_EXISTS, "notes.txt, which is none of Pomona's");
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "notes.txt, which is none of Pomona's");
  check_fails(try_job(in_folder("out/"), false, true, &err), PMN_STATUS_EXISTS, "notes.txt");
  put_text(in_folder("out/_SUCCESS"), "");
  put_text(in_folder("out/part-00000.csv"), "");
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "notes.txt");
  unlink(in_folder("out/notes.txt"));
  put_text(in_folder("out/.hidden"), "");
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, ".hidden");
  unlink(in_folder("out/.hidden"));
  /* Names like ours, but folders. */
  assert_int_equal(mkdir(in_folder("out/part-x"), 0700), 0);
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "part-x");
  assert_string_equal(names_in(in_folder("out")), "_SUCCESS part-00000.csv part-x");
  assert_string_equal(names_in(folder), "out");
}

/* Names that other programs give: a form alone is not enough, and where a record names the parts, the form neither. */
static void names_much_like_ours(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char path[64];
  static const char *const names[] = {"_metadata", "_notes.txt", "part-", "part-00000", "part-0000.csv",
      "part-00000.csv.bak", "part-00000-3f2a.snappy.parquet", "part-0x000.csv", "part-00000.json", "_SUCCESS2"};
  check_ok(run_job(in_folder("out/"), 'a', false, false, NULL, &err));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "out/%s", names[i]);
    put_text(in_folder(path), "precious");
    check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, names[i]);
    assert_non_null(strstr(err.message, "which is none of Pomona's"));
    check_text(in_folder(path), "precious");
    unlink(in_folder(path));
  }
  put_text(in_folder("out/part-00003.csv"), "precious");
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "part-00003.csv, which is none");
  unlink(in_folder("out/part-00003.csv"));
  put_text(in_folder("out/_rejects.csv"), "path,stage,reason\n");
  check_ok(run_job(in_folder("out/"), 'b', true, false, NULL, &err));
  assert_int_equal(output_letter(in_folder("out")), 'b');
}

/* Of other people's files with exactly our names the content tells, and of parts the record; without one, or with one
 * that names no files, nobody knows whose they are. */
static void names_just_like_ours(void **state) {
  (void)state;
  static const struct {
    const char *name, *text;
  } files[] = {{"part-00000.csv", "precious"}, {"_record.json", "{\"mine\": 1}"}, {"_record.json", "precious"},
      {"_record.json", ""}, {"_rejects.csv", "precious"}, {"_rejects.csv", "path,stage,reasons of mine\n"},
      {"_SUCCESS", "precious"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    for (int beside = 0; beside < 2; beside++) { /* beside an output of ours, too */
      pmn_err err = PMN_ERR_INIT;
      char path[64];
      snprintf(path, sizeof path, "out/%s", files[i].name);
      if (beside == 1 && i == 0) continue;
      if (beside == 1)
        check_ok(run_job(in_folder("out/"), 'a', false, false, NULL, &err));
      else
        assert_int_equal(mkdir(in_folder("out"), 0700), 0);
      put_text(in_folder(path), files[i].text);
      const char *before = names_in(in_folder("out"));
      check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE,
          beside == 1 && strcmp(files[i].name, "_record.json") == 0 ? "which is none" : files[i].name);
      assert_non_null(strstr(err.message, "choose another name, or remove it yourself"));
      check_text(in_folder(path), files[i].text);
      assert_string_equal(names_in(in_folder("out")), before);
      check_folder_remove(in_folder("out"));
    }
  }
}

/* A folder that has the name of the working folder by chance. */
static void foreign_work(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  int64_t removed;
  static const char *const names[] = {"thesis.txt", "data.json", ".hidden", "output", "lock"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[64];
    snprintf(path, sizeof path, ".out.pomona/%s", names[i]);
    assert_int_equal(mkdir(in_folder(".out.pomona"), 0700), 0);
    put_text(in_folder(path), "precious");
    for (int flags = 0; flags < 4; flags++) {
      check_fails(try_job(in_folder("out/"), flags & 1, flags & 2, &err),
          strcmp(names[i], "lock") == 0 ? PMN_STATUS_EXISTS : PMN_STATUS_WRITE, names[i]);
      assert_non_null(strstr(err.message, "is none of Pomona's and is not removed"));
    }
    assert_int_not_equal(pmn_job_clean(NULL, in_folder("out/"), &removed, &err), PMN_STATUS_OK);
    assert_int_equal(removed, 0);
    check_text(in_folder(path), "precious");
    assert_string_equal(names_in(in_folder(".out.pomona")), names[i]);
    check_folder_remove(in_folder(".out.pomona"));
  }
  /* Beside our own work, too. */
  leave_work(in_folder("out/"), 'a', 1);
  put_text(in_folder(".out.pomona/thesis.txt"), "precious");
  check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "thesis.txt");
  check_fails(pmn_job_clean(NULL, in_folder("out/"), &removed, &err), PMN_STATUS_WRITE, "thesis.txt");
  assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock output part-00000.json thesis.txt");
  unlink(in_folder(".out.pomona/thesis.txt"));
  check_ok(run_job(in_folder("out/"), 'a', false, true, NULL, &err));
  /* Names that a program of any kind may give, with a lock beside them that might be ours. */
  static const char *const beside[] = {
      "settings.json", "rows.f32", ".x.tmp", ".settings.json.aB3xYz.tmp", "part-1.json"};
  for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
    char path[64];
    snprintf(path, sizeof path, ".out.pomona/%s", beside[i]);
    assert_int_equal(mkdir(in_folder(".out.pomona"), 0700), 0);
    put_text(in_folder(".out.pomona/lock"), "4711");
    put_text(in_folder(path), "precious");
    check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, beside[i]);
    check_fails(pmn_job_clean(NULL, in_folder("out/"), &removed, &err), PMN_STATUS_WRITE, beside[i]);
    check_text(in_folder(path), "precious");
    check_text(in_folder(".out.pomona/lock"), "4711");
    check_folder_remove(in_folder(".out.pomona"));
  }
  for (int old = 0; old < 2; old++) {
    assert_int_equal(mkdir(in_folder(".out.pomona"), 0700), 0);
    put_text(in_folder(".out.pomona/lock"), "");
    assert_int_equal(mkdir(in_folder(old ? ".out.pomona/old" : ".out.pomona/output"), 0700), 0);
    put_text(in_folder(old ? ".out.pomona/old/thesis" : ".out.pomona/output/thesis"), "precious");
    check_fails(try_job(in_folder("out/"), true, false, &err), PMN_STATUS_WRITE, "thesis");
    check_folder_remove(in_folder(".out.pomona"));
  }
  /* An empty one is nobody's loss: a run may have been killed when it had just made it. */
  assert_int_equal(mkdir(in_folder(".out.pomona"), 0700), 0);
  check_ok(run_job(in_folder("out/"), 'b', true, false, NULL, &err));
  assert_string_equal(names_in(folder), "out");
}

/* A file that has the name of a lock by chance. */
static void foreign_locks(void **state) {
  (void)state;
  static const char *const texts[] = {"precious", "4711\n", "pid 4711", "471100000000000000000"};
  pmn_job_guard *guard = NULL;
  int64_t removed;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    pmn_err err = PMN_ERR_INIT;
    put_text(in_folder(".out.csv.lock"), texts[i]);
    check_fails(pmn_job_guard_take(NULL, in_folder("out.csv"), &guard, &err), PMN_STATUS_EXISTS,
        ".out.csv.lock is where a run");
    check_text(in_folder(".out.csv.lock"), texts[i]);
    check_fails(pmn_job_clean(NULL, in_folder("out.csv"), &removed, &err), PMN_STATUS_EXISTS, "none of Pomona's");
    check_text(in_folder(".out.csv.lock"), texts[i]);
  }
  for (int empty = 0; empty < 2; empty++) { /* of a run that was killed */
    pmn_err err = PMN_ERR_INIT;
    put_text(in_folder(".out.csv.lock"), empty ? "" : "4711");
    check_ok(pmn_job_guard_take(NULL, in_folder("out.csv"), &guard, &err));
    pmn_job_guard_release(guard);
    assert_string_equal(names_in(folder), "");
  }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(foreign_files),
      TEST(names_much_like_ours),
      TEST(names_just_like_ours),
      TEST(foreign_work),
      TEST(foreign_locks),
  };
  return check_exit(cmocka_run_group_tests(tests, NULL, NULL));
}
