/* test_job.c - names of outputs, what may stand in their way, the lock, the journal, plans, and what clean removes. */
#include "job_check.h"

#include <fcntl.h>
#include <sys/file.h>

/* ----------------------------------------------------------------------------------------------------- names -- */

static void folders_end_with_a_slash(void **state) {
  (void)state;
  assert_true(pmn_job_is_folder("out/"));
  assert_true(pmn_job_is_folder("/"));
  assert_false(pmn_job_is_folder("out"));
  assert_false(pmn_job_is_folder("out.d/x.csv"));
  assert_false(pmn_job_is_folder(""));
}

static void names_that_name_nothing(void **state) {
  (void)state;
  static const char *const names[] = {"/", "//", "./", "../", ".//", "a/../", "a/./", "a/..//"};
  pmn_err err = PMN_ERR_INIT;
  char *before = getcwd(NULL, 0);
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(mkdir("a", 0700), 0);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    check_fails(try_job(names[i], true, true, &err), PMN_STATUS_WRITE, "is no output's name: give");
  }
  assert_int_equal(chdir(before), 0);
  free(before);
  assert_string_equal(names_in(folder), "a");
}

static void names_of_all_kinds(void **state) {
  (void)state;
  static const char *const names[] = {"out/", "out//", "./out/", "a/../out///", "out"};
  pmn_err err = PMN_ERR_INIT;
  char *before = getcwd(NULL, 0);
  assert_int_equal(chdir(folder), 0);
  assert_int_equal(mkdir("a", 0700), 0);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    check_ok(run_job(names[i], 'a', i > 0, false, NULL, &err));
    assert_string_equal(names_in("."), "a out");
    assert_int_equal(output_letter("out"), 'a');
  }
  check_ok(run_job("a b\xff\n'%s/", 'a', false, false, NULL, &err));
  assert_int_equal(output_letter("a b\xff\n'%s"), 'a');
  assert_int_equal(chdir(before), 0);
  free(before);
  check_ok(run_job(in_folder("a/out/"), 'b', false, false, NULL, &err));
  assert_string_equal(names_in(in_folder("a")), "out");
}

static void long_names(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char name[257];
  memset(name, 'x', 256);
  strcpy(name + 247, "/"); /* with ".NAME.pomona" 255 bytes: NAME_MAX */
  check_ok(run_job(in_folder(name), 'a', false, false, NULL, &err));
  assert_int_equal(output_letter(in_folder(name)), 'a');
  memset(name, 'x', 256);
  strcpy(name + 248, "/");
  check_fails(try_job(in_folder(name), false, false, &err), PMN_STATUS_WRITE, "File name too long");
}

/* ---------------------------------------------------------------------------------------- what is in the way -- */

static void no_parent(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_fails(try_job(in_folder("none/out/"), true, false, &err), PMN_STATUS_WRITE, "does not exist; make it first");
  assert_non_null(strstr(err.message, "none/out"));
  put_text(in_folder("file"), "");
  check_fails(try_job(in_folder("file/out/"), true, false, &err), PMN_STATUS_WRITE, "Not a directory");
  assert_string_equal(names_in(folder), "file");
}

/* In a process of its own, since root may write everywhere. */
static void parent_not_writable(void **state) {
  (void)state;
  assert_int_equal(chmod(folder, 0555), 0);
  pid_t child = fork();
  if (child == 0) {
    pmn_err err = PMN_ERR_INIT;
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) _exit(2);
    pmn_status st = try_job(in_folder("out/"), false, false, &err);
    _exit(st != PMN_STATUS_WRITE || strstr(err.message, "Permission denied") == NULL);
  }
  int result;
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_int_equal(chmod(folder, 0700), 0);
  assert_int_equal(result, 0);
  assert_string_equal(names_in(folder), "");
}

static void links_and_files(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  put_text(in_folder("file"), "text");
  assert_int_equal(mkdir(in_folder("real"), 0700), 0);
  assert_int_equal(symlink("real", in_folder("link")), 0);
  assert_int_equal(symlink("nothing", in_folder("lost")), 0);
  for (int overwrite = 0; overwrite < 2; overwrite++) {
    check_fails(try_job(in_folder("file/"), overwrite, false, &err), PMN_STATUS_WRITE, "is no folder");
    check_fails(try_job(in_folder("link/"), overwrite, false, &err), PMN_STATUS_WRITE, "is a link");
    check_fails(try_job(in_folder("lost/"), overwrite, false, &err), PMN_STATUS_WRITE, "is a link");
  }
  check_text(in_folder("file"), "text");
  put_text(in_folder(".out.pomona"), "mine");
  check_fails(try_job(in_folder("out/"), true, true, &err), PMN_STATUS_WRITE, "is in the way");
  assert_string_equal(names_in(folder), ".out.pomona file link lost real");
  /* A link above it is a way like any other. */
  check_ok(run_job(in_folder("link/out/"), 'a', false, false, NULL, &err));
  assert_int_equal(output_letter(in_folder("real/out")), 'a');
}

static void mount_points(void **state) {
  (void)state;
  static const char *const names[] = {"/dev/shm/", "/proc/", "/sys/", "/dev/"};
  pmn_err err = PMN_ERR_INIT;
  int found = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char parent[16];
    struct stat info, above;
    snprintf(parent, sizeof parent, "%s..", names[i]);
    if (stat(names[i], &info) != 0 || stat(parent, &above) != 0 || info.st_dev == above.st_dev ||
        access(parent, W_OK) != 0)
      continue;
    found++;
    check_fails(try_job(names[i], true, true, &err), PMN_STATUS_WRITE, "is a mount point");
    assert_non_null(strstr(err.message, "/results/"));
  }
  if (found == 0) check_skip();
}

static void outputs_there(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  assert_int_equal(mkdir(in_folder("out"), 0700), 0); /* empty */
  check_ok(run_job(in_folder("out/"), 'a', false, false, NULL, &err));
  check_fails(run_job(in_folder("out/"), 'b', false, false, NULL, &err), PMN_STATUS_EXISTS, "holds an output");
  assert_int_equal(output_letter(in_folder("out")), 'a');
  check_ok(run_job(in_folder("out/"), 'b', true, false, NULL, &err));
  assert_int_equal(output_letter(in_folder("out")), 'b');
  assert_string_equal(names_in(folder), "out");
}

/* What comes there while the rows are computed is not replaced, and what was computed is not lost. */
static void outputs_that_appear(void **state) {
  (void)state;
  for (int overwrite = 0; overwrite < 2; overwrite++) {
    pmn_err err = PMN_ERR_INIT;
    pmn_job *job;
    char *record;
    json_t *plan = plan_for('a'), *files = json_array();
    check_ok(open_job(in_folder("out/"), overwrite, false, &job, &err));
    check_ok(pmn_job_begin(job, plan, &record, &err));
    check_ok(write_parts(job, PARTS, 'a', files, &err));
    assert_int_equal(mkdir(in_folder("out"), 0700), 0);
    put_text(in_folder("out/notes.txt"), "mine");
    check_fails(pmn_job_commit(job, files, "{}", &err), overwrite ? PMN_STATUS_WRITE : PMN_STATUS_EXISTS, "notes.txt");
    check_text(in_folder("out/notes.txt"), "mine");
    unlink(in_folder("out/notes.txt"));
    put_text(in_folder("out/part-00000.csv"), "another's");
    if (!overwrite) check_fails(pmn_job_commit(job, files, "{}", &err), PMN_STATUS_EXISTS, "holds an output");
    check_text(in_folder("out/part-00000.csv"), "another's");
    assert_true(pmn_job_has_journal(job));
    pmn_job_close(job);
    unlink(in_folder("out/part-00000.csv"));
    check_ok(run_job(in_folder("out/"), 'a', false, true, NULL, &err));
    assert_int_equal(output_letter(in_folder("out")), 'a');
    assert_string_equal(names_in(folder), "out");
    check_folder_remove(in_folder("out"));
    json_decref(plan);
    json_decref(files);
  }
}

/* ------------------------------------------------------------------------------------------------------ lock -- */

static void one_run_at_a_time(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  int ready[2];
  char byte, owner[32];
  int64_t removed;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    pmn_job *job;
    char *record;
    bool good = open_job(in_folder("out/"), false, false, &job, &err) == PMN_STATUS_OK &&
                pmn_job_begin(job, plan_for('a'), &record, &err) == PMN_STATUS_OK &&
                write_parts(job, 1, 'a', json_array(), &err) == PMN_STATUS_OK && write(ready[1], "x", 1) == 1;
    for (; good;) pause();
    _exit(1);
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  snprintf(owner, sizeof owner, "(process %d)", (int)child);
  for (int flags = 0; flags < 4; flags++) {
    check_fails(try_job(in_folder("out/"), flags & 1, flags & 2, &err), PMN_STATUS_EXISTS, owner);
  }
  check_fails(pmn_job_clean(NULL, in_folder("out/"), &removed, &err), PMN_STATUS_EXISTS, owner);
  assert_int_equal(removed, 0);
  assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock output part-00000.json");
  check_ok(run_job(in_folder("other/"), 'a', false, false, NULL, &err)); /* beside it */
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  check_fails(try_job(in_folder("out/"), false, false, &err), PMN_STATUS_EXISTS, "--resume");
  assert_non_null(strstr(err.message, "pomona clean"));
  check_ok(run_job(in_folder("out/"), 'a', false, true, NULL, &err));
  assert_int_equal(output_letter(in_folder("out")), 'a');
  assert_string_equal(names_in(folder), "other out");
}

static pmn_status take_guard(const char *output, pmn_job_guard **guard, pmn_err *err) {
  *guard = (pmn_job_guard *)(uintptr_t)1; /* must be overwritten whatever happens */
  pmn_status st = pmn_job_guard_take(NULL, output, guard, err);
  if (st != PMN_STATUS_OK && *guard != NULL) fail_msg("a guard that could not be taken is there");
  return st;
}

/* An output that is one file: the same, with nothing to be gone on with. */
static void one_run_at_a_time_on_a_file(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_job_guard *guard, *second;
  int ready[2], result;
  char byte, owner[32], *before = getcwd(NULL, 0);
  int64_t removed;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    alarm(60); /* should the test end first */
    bool good = take_guard(in_folder("out.csv"), &guard, &err) == PMN_STATUS_OK && write(ready[1], "x", 1) == 1;
    for (; good;) pause();
    _exit(1);
  }
  close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  snprintf(owner, sizeof owner, "(process %d) is writing ", (int)child);
  check_fails(take_guard(in_folder("out.csv"), &second, &err), PMN_STATUS_EXISTS, owner);
  assert_non_null(strstr(err.message, "wait for it, or name another output"));
  assert_int_equal(chdir(folder), 0);
  check_fails(take_guard("out.csv", &second, &err), PMN_STATUS_EXISTS, owner);
  assert_int_equal(chdir(before), 0);
  check_fails(pmn_job_clean(NULL, in_folder("out.csv"), &removed, &err), PMN_STATUS_EXISTS, owner);
  assert_int_equal(removed, 0);
  assert_string_equal(names_in(folder), ".out.csv.lock");
  check_ok(take_guard(in_folder("out.npy"), &second, &err)); /* beside it */
  pmn_job_guard_release(second);
  check_ok(run_job(in_folder("out.csv/"), 'a', false, false, NULL, &err)); /* a folder has a lock of its own */
  check_folder_remove(in_folder("out.csv"));
  kill(child, SIGKILL);
  assert_int_equal(waitpid(child, &result, 0), child);
  assert_string_equal(names_in(folder), ".out.csv.lock");
  check_ok(take_guard(in_folder("out.csv"), &guard, &err));
  check_ok(pmn_job_guard_check(guard, &err));
  snprintf(owner, sizeof owner, "(process %d) is writing ", (int)getpid());
  check_fails(take_guard(in_folder("out.csv"), &second, &err), PMN_STATUS_EXISTS, owner); /* in one process, too */
  pmn_job_guard_release(guard);
  pmn_job_guard_release(NULL);
  assert_string_equal(names_in(folder), "");
  put_text(in_folder(".out.csv.lock"), "1"); /* of a dead run */
  check_ok(pmn_job_clean(NULL, in_folder("out.csv"), &removed, &err));
  assert_int_equal(removed, 1);
  assert_string_equal(names_in(folder), "");

  /* Who goes elsewhere meanwhile removes nothing of another's. */
  assert_int_equal(mkdir(in_folder("else"), 0700), 0);
  assert_int_equal(chdir(folder), 0);
  check_ok(take_guard("out.csv", &guard, &err));
  assert_int_equal(chdir("else"), 0);
  check_ok(take_guard("out.csv", &second, &err));
  pmn_job_guard_release(guard);
  assert_string_equal(names_in("."), ".out.csv.lock");
  pmn_job_guard_release(second);
  assert_string_equal(names_in("."), "");
  assert_int_equal(chdir(before), 0);
  free(before);
}

typedef struct held {
  pmn_job *job;
  pmn_job_guard *guard;
} held;

static pmn_status hold(bool is_file, int way, held *h, pmn_err *err) {
  return is_file ? take_guard(in_folder("out"), &h->guard, err)
                 : open_job(in_folder("out/"), way == 0, way == 1, &h->job, err);
}

/* Who ends removes the lock, while the next may have it open: there is never one lock for two. */
static void change_hands(bool is_file) {
  enum { PROCESSES = 3, TURNS = 150 };
  pid_t children[PROCESSES];
  char inside[96];
  snprintf(inside, sizeof inside, "%s/inside", folder);
  for (int i = 0; i < PROCESSES; i++) {
    children[i] = fork();
    if (children[i] != 0) continue;
    for (int turn = 0; turn < TURNS;) {
      pmn_err err = PMN_ERR_INIT;
      held h = {NULL, NULL};
      pmn_status st = hold(is_file, i, &h, &err);
      if (st == PMN_STATUS_EXISTS) continue;
      if (st != PMN_STATUS_OK) {
        fprintf(stderr, "%s\n", err.message);
        _exit(1);
      }
      int file = open(inside, O_CREAT | O_EXCL | O_WRONLY, 0600);
      if (file < 0) _exit(2);
      unlink(inside);
      close(file);
      pmn_job_close(h.job);
      pmn_job_guard_release(h.guard);
      turn++;
    }
    _exit(0);
  }
  for (int i = 0; i < PROCESSES; i++) {
    int result;
    assert_int_equal(waitpid(children[i], &result, 0), children[i]);
    assert_int_equal(result, 0);
  }
  assert_string_equal(names_in(folder), "");
}

static void lock_changes_hands(void **state) {
  (void)state;
  change_hands(false);
  change_hands(true);
}

/* --------------------------------------------------------------------------------------------------- journal -- */

static void work_stays_if_there_is_any(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_job *job;
  char *record;
  json_t *plan = plan_for('a'), *entry = json_pack("{s:i}", "end", 7);
  check_ok(open_job(in_folder("out/"), false, false, &job, &err));
  assert_false(pmn_job_has_journal(job));
  assert_false(pmn_job_goes_on(job));
  pmn_job_close(job);
  assert_string_equal(names_in(folder), "");
  check_ok(open_job(in_folder("out/"), false, true, &job, &err)); /* nothing is there: it is begun */
  check_ok(pmn_job_begin(job, plan, &record, &err));
  assert_null(record);
  assert_false(pmn_job_has_journal(job)); /* a plan is no work */
  pmn_job_close(job);
  assert_string_equal(names_in(folder), "");
  check_ok(open_job(in_folder("out/"), false, false, &job, &err));
  check_ok(pmn_job_begin(job, plan, &record, &err));
  check_ok(pmn_job_note(job, "rows-00000", entry, &err));
  assert_true(pmn_job_has_journal(job));
  assert_string_equal(pmn_job_work_folder(job), in_folder(".out.pomona"));
  pmn_job_close(job);
  assert_string_equal(names_in(folder), ".out.pomona");
  assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock rows-00000.json");

  /* In the way without resume; overwrite begins anew. */
  check_fails(try_job(in_folder("out/"), false, false, &err), PMN_STATUS_EXISTS, "a broken run has left its work");
  assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock rows-00000.json");
  check_ok(open_job(in_folder("out/"), false, true, &job, &err));
  assert_true(pmn_job_goes_on(job));
  pmn_job_close(job); /* before anything was compared: it stays */
  assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock rows-00000.json");
  check_ok(open_job(in_folder("out/"), true, false, &job, &err));
  assert_false(pmn_job_goes_on(job));
  assert_string_equal(names_in(in_folder(".out.pomona")), "lock");
  pmn_job_close(job);
  pmn_job_close(NULL);
  assert_string_equal(names_in(folder), "");
  json_decref(plan);
  json_decref(entry);
}

static void entries(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_job *job;
  json_t *entry, *first = json_pack("{s:i, s:[f, s]}", "end", 7, "values", 0.1, "\xc3\xbf\n\\"),
                 *second = json_pack("[]");
  check_ok(open_job(in_folder("out/"), false, false, &job, &err));
  check_ok(pmn_job_recall(job, "rows-00000", &entry, &err));
  assert_null(entry);
  check_ok(pmn_job_note(job, "rows-00000", first, &err));
  check_ok(pmn_job_note(job, "rows-00001", second, &err));
  check_ok(pmn_job_recall(job, "rows-00000", &entry, &err));
  assert_true(json_equal(entry, first));
  json_decref(entry);
  check_ok(pmn_job_note(job, "rows-00000", second, &err)); /* replaced */
  check_ok(pmn_job_recall(job, "rows-00000", &entry, &err));
  assert_true(json_equal(entry, second));
  json_decref(entry);
  check_ok(pmn_job_forget(job, "rows-00000", &err));
  check_ok(pmn_job_forget(job, "rows-00000", &err));
  check_ok(pmn_job_recall(job, "rows-00000", &entry, &err));
  assert_null(entry);
  check_ok(pmn_job_recall(job, "rows-00001", &entry, &err));
  json_decref(entry);
  assert_string_equal(names_in(in_folder(".out.pomona")), "lock rows-00001.json");
  pmn_job_close(job);
  json_decref(first);
  json_decref(second);
}

static void damaged_entries(void **state) {
  (void)state;
  static const char *const texts[] = {"", "{\"end\": 7", "{\"end\": 7} x", "{\"end\": 7, \"end\": 8}", "\xff"};
  pmn_err err = PMN_ERR_INIT;
  pmn_job *job;
  json_t *entry = NULL;
  leave_work(in_folder("out/"), 'a', 2);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    put_text(in_folder(".out.pomona/part-00001.json"), texts[i]);
    check_ok(open_job(in_folder("out/"), false, true, &job, &err));
    check_fails(
        pmn_job_recall(job, "part-00001", &entry, &err), PMN_STATUS_MODEL, ".out.pomona/part-00001.json is damaged");
    assert_non_null(strstr(err.message, "pomona clean"));
    assert_null(entry);
    pmn_job_close(job);
    put_text(in_folder(".out.pomona/job.json"), texts[i]);
    check_fails(run_job(in_folder("out/"), 'a', false, true, NULL, &err), PMN_STATUS_MODEL, "job.json is damaged");
  }
  unlink(in_folder(".out.pomona/part-00001.json"));
  assert_int_equal(mkdir(in_folder(".out.pomona/part-00001.json"), 0700), 0);
  check_ok(open_job(in_folder("out/"), false, true, &job, &err));
  check_fails(pmn_job_recall(job, "part-00001", &entry, &err), PMN_STATUS_NOT_FOUND, "is not a regular file");
  pmn_job_close(job);
  assert_string_equal(
      names_in(in_folder(".out.pomona")), "job.json lock output part-00000.json part-00001.json"); /* nothing is lost */
}

/* Every member of a plan counts, those within a member too, and those that only one of the two has. */
static void plans_that_differ(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  char *record;
  pmn_job *job;
  leave_work(in_folder("out/"), 'a', 1);
  for (int change = 0; change < 6; change++) {
    static const char *const says[] = {"(letter: \"a\" then, \"b\" now)", "(parts: 3 then, 4 now)", "(pca_ratio: 0.1",
        "(letter: \"a\" then, nothing now)", "(weights: nothing then, \"x\" now)", ""};
    json_t *plan = plan_for(change == 0 ? 'b' : 'a');
    if (change == 1) json_object_set_new(plan, "parts", json_integer(4));
    if (change == 2)
      json_object_set_new(json_object_get(plan, "statistics"), "pca_ratio", json_real(0.1 + 1e-17 + 1e-16));
    if (change == 3) json_object_del(plan, "letter");
    if (change == 4) json_object_set_new(plan, "weights", json_string("x"));
    check_ok(open_job(in_folder("out/"), false, true, &job, &err));
    if (change == 5) {
      check_ok(pmn_job_begin(job, plan, &record, &err));
    } else {
      check_fails(pmn_job_begin(job, plan, &record, &err), PMN_STATUS_ARGUMENT, says[change]);
      assert_non_null(strstr(err.message, ".out.pomona is another job's"));
      assert_non_null(strstr(err.message, "--overwrite"));
    }
    assert_null(record);
    pmn_job_close(job);
    assert_string_equal(names_in(in_folder(".out.pomona")), "job.json lock output part-00000.json");
    json_decref(plan);
  }
}

static void finished_output_is_found_again(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  bool found = true;
  check_ok(run_job(in_folder("out/"), 'a', false, true, &found, &err));
  assert_false(found);
  check_ok(run_job(in_folder("out/"), 'a', false, true, &found, &err));
  assert_true(found);
  assert_string_equal(names_in(folder), "out");
  check_fails(run_job(in_folder("out/"), 'b', false, true, &found, &err), PMN_STATUS_ARGUMENT, "(letter: ");
  assert_null(strstr(err.message, ".pomona"));
  assert_int_equal(output_letter(in_folder("out")), 'a');
  /* Of another origin: no record, one without a plan, a damaged one. */
  assert_int_equal(rename(in_folder("out/_record.json"), in_folder("record")), 0);
  put_text(in_folder("out/_record.json"), "{");
  check_fails(run_job(in_folder("out/"), 'a', false, true, &found, &err), PMN_STATUS_MODEL, "is damaged");
  put_text(in_folder("out/_record.json"), "{\"plan\": 1}");
  check_fails(run_job(in_folder("out/"), 'a', false, true, &found, &err), PMN_STATUS_EXISTS, "other origin");
  unlink(in_folder("out/_record.json"));
  check_fails(run_job(in_folder("out/"), 'a', false, true, &found, &err), PMN_STATUS_EXISTS, "other origin");
  assert_string_equal(names_in(folder), "out record");
  check_fails(run_job(in_folder("out/"), 'a', true, true, &found, &err), PMN_STATUS_WRITE, "part-0000");
  assert_int_equal(rename(in_folder("record"), in_folder("out/_record.json")), 0);
  check_ok(run_job(in_folder("out/"), 'a', true, true, &found, &err)); /* overwrite makes it anew */
  assert_false(found);
  assert_int_equal(output_letter(in_folder("out")), 'a');

  /* What another job has left beside it stays; what this one has left goes. */
  leave_work(in_folder("out/"), 'b', 2);
  check_ok(run_job(in_folder("out/"), 'a', false, true, &found, &err));
  assert_true(found);
  assert_string_equal(names_in(folder), ".out.pomona out");
  check_ok(run_job(in_folder("out/"), 'b', true, true, &found, &err));
  assert_int_equal(output_letter(in_folder("out")), 'b');
  leave_work(in_folder("out/"), 'b', 2);
  check_ok(run_job(in_folder("out/"), 'b', false, true, &found, &err));
  assert_true(found);
  assert_string_equal(names_in(folder), "out");
}

/* What a killed run was writing has no place in the output. */
static void strays_are_left_out(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  leave_work(in_folder("out/"), 'a', 2);
  put_text(in_folder(".out.pomona/output/.part-00002.csv.aB3xYz.tmp"), "half");
  put_text(in_folder(".out.pomona/output/part-00002.csv"), "whole, but not journalled");
  put_text(in_folder(".out.pomona/.part-00002.json.aB3xYz.tmp"), "{");
  check_ok(run_job(in_folder("out/"), 'a', false, true, NULL, &err));
  assert_int_equal(output_letter(in_folder("out")), 'a');
  assert_string_equal(names_in(folder), "out");
}

/* ----------------------------------------------------------------------------------------------------- clean -- */

static void clean_removes_work(void **state) {
  (void)state;
  static const char *const names[] = {".", "./", "..", "../", "/"};
  pmn_err err = PMN_ERR_INIT;
  int64_t removed = -1;
  check_fails(pmn_job_clean(NULL, in_folder("out/"), &removed, &err), PMN_STATUS_NOT_FOUND, "check the name");
  assert_non_null(strstr(err.message, "/out/ is not there, nor has a broken run left anything of it"));
  assert_int_equal(removed, 0);
  check_ok(run_job(in_folder("out/"), 'a', false, false, NULL, &err));
  leave_work(in_folder("out/"), 'b', 2);
  leave_work(in_folder("other/"), 'b', 1);
  assert_int_equal(mkdir(in_folder(".out.pomona/old"), 0700), 0);
  put_text(in_folder(".out.pomona/old/part-00000.csv"), "");
  check_ok(pmn_job_clean(NULL, in_folder("out"), &removed, &err)); /* with and without the slash */
  assert_int_equal(removed, 2 + 1 + 4); /* parts, what was replaced, and lock, plan and two entries */
  assert_string_equal(names_in(folder), ".other.pomona out");
  assert_int_equal(output_letter(in_folder("out")), 'a');
  /* What nobody of us has put there is not gone through. */
  assert_int_equal(mkdir(in_folder(".other.pomona/mine"), 0700), 0);
  put_text(in_folder(".other.pomona/mine/text"), "");
  check_fails(pmn_job_clean(NULL, in_folder("other/"), &removed, &err), PMN_STATUS_WRITE, ".other.pomona");
  assert_string_equal(names_in(in_folder(".other.pomona/mine")), "text");
  check_fails(pmn_job_clean(NULL, in_folder("none/out/"), &removed, &err), PMN_STATUS_NOT_FOUND, "none");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    check_fails(pmn_job_clean(NULL, names[i], &removed, &err), PMN_STATUS_WRITE, "is no output's name");
  }
  assert_int_equal(mkdir(in_folder("made"), 0700), 0);
  check_ok(pmn_job_clean(NULL, in_folder("made"), &removed, &err)); /* there, and nothing left beside it */
  assert_int_equal(removed, 0);
}

/* Temporary files of outputs that are single files; those that a living run has open stay. */
static void clean_removes_temporary_files(void **state) {
  (void)state;
  static const char *const others[] = {".out.csv.aB3xY.tmp", ".out.csv.aB3xYz.tm", ".out.csv", "out.csv",
      ".out.csvx.aB3xYz.tmp", "xout.csv.aB3xYz.tmp", ".out.csv.aB3xYzz.tmp", ".xout.csv.aB3xYz.tmp"};
  pmn_err err = PMN_ERR_INIT;
  int64_t removed;
  char name[256], temporary[256], all[512];
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) put_text(in_folder(others[i]), "");
  snprintf(all, sizeof all, "%s", names_in(folder));
  put_text(in_folder(".out.csv.aB3xYz.tmp"), "half");
  put_text(in_folder(".out.csv.record.json.aB3xYz.tmp"), "half");
  check_ok(pmn_job_clean(NULL, in_folder("out.csv"), &removed, &err));
  assert_int_equal(removed, 2);
  assert_string_equal(names_in(folder), all);

  pmn_outfile *file = NULL;
  check_ok(pmn_outfile_create(NULL, in_folder("out.csv"), "", true, &file, &err));
  check_ok(pmn_outfile_write(file, "new", 3, &err));
  check_ok(pmn_job_clean(NULL, in_folder("out.csv"), &removed, &err));
  assert_int_equal(removed, 0);
  check_ok(pmn_outfile_commit(&file, 1, &err));
  pmn_outfile_destroy(file);
  check_text(in_folder("out.csv"), "new");

  /* pmn_outfile keeps 200 bytes of a long name. */
  memset(name, 'x', 250);
  name[250] = '\0';
  snprintf(temporary, sizeof temporary, ".%.200s.aB3xYz.tmp", name);
  put_text(in_folder(temporary), "half");
  check_ok(pmn_job_clean(NULL, in_folder(name), &removed, &err));
  assert_int_equal(removed, 1);
  assert_string_equal(names_in(folder), all);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(folders_end_with_a_slash),
      TEST(names_that_name_nothing),
      TEST(names_of_all_kinds),
      TEST(long_names),
      TEST(no_parent),
      TEST(parent_not_writable),
      TEST(links_and_files),
      TEST(mount_points),
      TEST(outputs_there),
      TEST(outputs_that_appear),
      TEST(one_run_at_a_time),
      TEST(one_run_at_a_time_on_a_file),
      TEST(lock_changes_hands),
      TEST(work_stays_if_there_is_any),
      TEST(entries),
      TEST(damaged_entries),
      TEST(plans_that_differ),
      TEST(finished_output_is_found_again),
      TEST(strays_are_left_out),
      TEST(clean_removes_work),
      TEST(clean_removes_temporary_files),
  };
  return check_exit(cmocka_run_group_tests_name("job", tests, NULL, NULL));
}
