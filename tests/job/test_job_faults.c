/* test_job_faults.c - a job whose calls of the system fail, or that is killed in any of them: nothing or all is to be
 * seen, and a later run makes the rest.
 *
 * The linker sends the calls named in CMakeLists.txt through the __wrap_ functions below. */
#include "job_check.h"

#include "pmn_folder.h"

#include <fcntl.h>
#include <ftw.h>

/* Of all wrapped calls the one number `fail_at` fails; of those that change something the one number `die_at` is the
 * last of its process. Negative: none. */
static int fail_at = -1, die_at = -1, calls, changes;
static const char *vanishing; /* a lock, or the folder it is in, which goes when the lock has just been opened */
static bool poor;             /* a file system without RENAME_NOREPLACE and RENAME_EXCHANGE */
static bool lockless;         /* one without locks */

static bool fails(void) {
  if (calls++ != fail_at) return false;
  errno = ENOSPC;
  return true;
}

/* Of a call that was made, and is one that changes something. */
static long changed(long result) {
  if (changes++ == die_at) kill(getpid(), SIGKILL);
  return result;
}

#define WRAP(type, name, then, parameters, ...)                                                                        \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters {                                                                                      \
    return fails() ? (type)-1 : (type)then((long)__real_##name(__VA_ARGS__));                                          \
  }

WRAP(ssize_t, write, changed, (int fd, const void *bytes, size_t size), fd, bytes, size)
WRAP(ssize_t, pwrite, changed, (int fd, const void *bytes, size_t size, off_t at), fd, bytes, size, at)
WRAP(int, fsync, changed, (int fd), fd)
WRAP(int, ftruncate, changed, (int fd, off_t size), fd, size)
WRAP(int, mkdir, changed, (const char *path, mode_t mode), path, mode)
WRAP(int, rmdir, changed, (const char *path), path)
WRAP(int, openat, changed, (int at, const char *path, int flags, mode_t mode), at, path, flags, mode)
WRAP(int, unlinkat, changed, (int at, const char *path, int flags), at, path, flags)
WRAP(int, unlink, changed, (const char *path), path)
WRAP(int, rename, changed, (const char *from, const char *to), from, to)
WRAP(int, renameat, changed, (int from_at, const char *from, int to_at, const char *to), from_at, from, to_at, to)
WRAP(int, stat, , (const char *path, struct stat *info), path, info)
WRAP(int, lstat, , (const char *path, struct stat *info), path, info)

int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode) {
  if (fails()) return -1;
  int fd = __real_open(path, flags, mode);
  if ((flags & O_CREAT) != 0) changed(fd);
  if (vanishing != NULL && strstr(path, "lock") != NULL) {
    remove(path);
    remove(vanishing);
    vanishing = NULL;
  }
  return fd;
}

int __real_flock(int fd, int what);
int __wrap_flock(int fd, int what);
int __wrap_flock(int fd, int what) {
  errno = ENOLCK;
  return lockless ? -1 : __real_flock(fd, what);
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) {
  return fails() ? NULL : __real_opendir(path);
}

struct dirent *__real_readdir(DIR *handle);
struct dirent *__wrap_readdir(DIR *handle);
struct dirent *__wrap_readdir(DIR *handle) {
  return fails() ? NULL : __real_readdir(handle);
}

int __real_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  errno = EINVAL;
  if (poor) return -1;
  return fails() ? -1 : (int)changed(__real_renameat2(from_at, from, to_at, to, flags));
}

static void reset_faults(void) {
  fail_at = die_at = -1;
  calls = changes = 0;
  poor = lockless = false;
  vanishing = NULL;
}

/* In memory, where there is such a place: thousands of calls of fsync. */
static int make_fresh(void **state) {
  (void)state;
  reset_faults();
  snprintf(folder, sizeof folder, "/dev/shm/pomona-test-XXXXXX");
  if (mkdtemp(folder) == NULL) check_folder(folder);
  return 0;
}

static int remove_fresh(void **state) {
  reset_faults();
  return remove_folder(state);
}

/* ---------------------------------------------------------------------------------------------- what is tried -- */

/* What stands there before the run that fails or dies. */
typedef enum before { NOTHING, EMPTY, OTHER, WORK, OTHER_AND_WORK, BEFORES } before;

static char output[96];

static void prepare(before there) {
  pmn_err err = PMN_ERR_INIT;
  bool was_poor = poor;
  reset_faults();
  poor = was_poor;
  snprintf(output, sizeof output, "%s/out", folder);
  if (there == EMPTY) assert_int_equal(mkdir(output, 0700), 0);
  if (there == OTHER || there == OTHER_AND_WORK) check_ok(run_job(output, 'a', false, false, NULL, &err));
  if (there == WORK || there == OTHER_AND_WORK) leave_work(output, 'b', 2);
  calls = 0;
}

static bool has_other(before there) {
  return there == OTHER || there == OTHER_AND_WORK;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where) {
  (void)info;
  (void)type;
  return where->level == 0 ? 0 : remove(path);
}

static void remove_all(void) {
  assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The old output or the whole new one; where two folders cannot change places, there may be none in between. */
static void check_nothing_or_all(before there) {
  char letter = output_letter(output);
  if (letter == 'b' || (letter == 'a' && has_other(there)) || (letter == 0 && (!has_other(there) || poor))) return;
  fail_msg("there is '%c'", letter == 0 ? '0' : letter);
}

/* --------------------------------------------------------------------------------------------------- failures -- */

static void every_call_may_fail(void **state) {
  (void)state;
  for (int mode = 0; mode < 2 * BEFORES; mode++) {
    before there = (before)(mode / 2);
    poor = mode % 2 == 1;
    int failures = 0;
    for (int at = 0;; at++) {
      pmn_err err = PMN_ERR_INIT;
      prepare(there);
      fail_at = at;
      pmn_status st = run_job(output, 'b', has_other(there), there >= WORK, NULL, &err);
      bool reached = calls > at;
      fail_at = -1;
      if (st != PMN_STATUS_OK) {
        /* A file that is there and cannot be read is an input. */
        if (st != PMN_STATUS_NOT_FOUND || (there < WORK && !has_other(there))) assert_int_equal(st, PMN_STATUS_WRITE);
        if (strstr(err.message, "No space left") == NULL || strstr(err.message, folder) == NULL)
          fail_msg("call %d: %s", at, err.message);
        failures++;
      } else {
        assert_int_equal(output_letter(output), 'b');
      }
      check_nothing_or_all(there);
      if (has_other(there)) assert_int_not_equal(output_letter(output), 0); /* who fails can put it back */
      const char *left = names_in(in_folder(".out.pomona"));
      if (st != PMN_STATUS_OK && there < WORK && strcmp(left, "-") != 0) assert_non_null(strstr(left, "part-0000"));
      if (reached) {
        check_ok(run_job(output, 'b', has_other(there), true, NULL, &err));
        assert_int_equal(output_letter(output), 'b');
      }
      assert_string_equal(names_in(folder), "out");
      remove_all();
      if (!reached) break;
    }
    assert_in_range(failures, 40, 200);
  }
}

/* Whatever fails: without overwrite the other output is seen, and nothing is begun. */
static void other_output_is_always_seen(void **state) {
  (void)state;
  prepare(OTHER);
  for (int at = 0;; at++) {
    pmn_err err = PMN_ERR_INIT;
    calls = 0;
    fail_at = at;
    pmn_status st = run_job(output, 'b', false, false, NULL, &err);
    fail_at = -1;
    assert_int_equal(st, calls > at ? PMN_STATUS_WRITE : PMN_STATUS_EXISTS);
    assert_string_equal(names_in(folder), "out");
    if (calls <= at) break;
  }
}

/* Whose lock goes between opening and locking it holds nothing, and makes a new one. */
static void lock_that_goes(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_job *job;
  prepare(NOTHING);
  vanishing = in_folder(".out.pomona");
  check_ok(open_job(output, false, false, &job, &err));
  assert_null(vanishing);
  assert_string_equal(names_in(in_folder(".out.pomona")), "lock");
  check_fails(try_job(output, false, true, &err), PMN_STATUS_EXISTS, "another run");
  pmn_job_close(job);
  assert_string_equal(names_in(folder), "");
}

/* The lock of an output that is one file: it is had, or nothing is left; and where there are no locks, outputs are
 * written as if nobody else were there. */
static void guards_may_fail(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_job_guard *guard, *second;
  int failures = 0;
  for (int at = 0;; at++) {
    calls = 0;
    fail_at = at;
    pmn_status st = pmn_job_guard_take(NULL, in_folder("out.csv"), &guard, &err);
    fail_at = -1;
    if (calls <= at) break;
    if (st == PMN_STATUS_OK) { /* whose name cannot be looked at is taken to be there */
      pmn_job_guard_release(guard);
      continue;
    }
    failures++;
    check_fails(st, PMN_STATUS_WRITE, ".out.csv.lock: No space left");
    assert_null(guard);
    assert_string_equal(names_in(folder), "");
  }
  assert_in_range(failures, 3, 10);
  pmn_job_guard_release(guard);
  vanishing = in_folder(".out.csv.lock");
  check_ok(pmn_job_guard_take(NULL, in_folder("out.csv"), &guard, &err));
  assert_null(vanishing);
  check_fails(pmn_job_guard_take(NULL, in_folder("out.csv"), &second, &err), PMN_STATUS_EXISTS, "another run");
  lockless = true;
  check_ok(pmn_job_guard_take(NULL, in_folder("out.csv"), &second, &err));
  check_fails(try_job(in_folder("out/"), false, false, &err), PMN_STATUS_WRITE, "No locks available");
  pmn_job_guard_release(second);
  pmn_job_guard_release(guard);
  assert_string_equal(names_in(folder), "");
}

static pmn_status look_at(void *arg, const char *name, int64_t size, pmn_err *err) {
  (void)arg;
  (void)name;
  (void)size;
  (void)err;
  return PMN_STATUS_OK;
}

static pmn_status use_folder(int what, pmn_folder *files, pmn_err *err) {
  int64_t size;
  pmn_buf bytes;
  pmn_buf_init(&bytes, 100);
  pmn_folder *again = NULL;
  pmn_status st = what == 0   ? pmn_folder_open(NULL, output, true, &again, err)
                  : what == 1 ? pmn_folder_write(files, "new", "text", 4, err)
                  : what == 2 ? pmn_folder_size(files, "file", &size, err)
                  : what == 3 ? pmn_folder_list(files, look_at, NULL, err)
                  : what == 4 ? pmn_folder_read(files, "file", &bytes, err)
                              : pmn_folder_remove(files, "file", err);
  pmn_folder_close(again);
  pmn_buf_reset(&bytes);
  return st;
}

static void folders_may_fail(void **state) {
  (void)state;
  static const int fewest[] = {2, 5, 1, 2, 1, 1};
  pmn_err err = PMN_ERR_INIT;
  pmn_folder *files;
  snprintf(output, sizeof output, "%s/files", folder);
  check_ok(pmn_folder_open(NULL, output, true, &files, &err));
  check_ok(pmn_folder_write(files, "file", "text", 4, &err));
  for (int what = 0; what < 6; what++) {
    int failures = 0;
    for (int at = 0;; at++) {
      calls = 0;
      fail_at = at;
      pmn_status st = use_folder(what, files, &err);
      fail_at = -1;
      if (calls <= at) break;
      if (st == PMN_STATUS_OK) continue; /* a folder that cannot be opened to be synchronised */
      check_fails(st, what == 4 ? PMN_STATUS_NOT_FOUND : PMN_STATUS_WRITE, "No space left");
      assert_non_null(strstr(err.message, output));
      /* What has its name, but may not last, is left for the next to replace: an older one cannot be put back. */
      if (what == 1 && strcmp(names_in(output), "file new") == 0) check_ok(pmn_folder_remove(files, "new", &err));
      assert_string_equal(names_in(output), "file");
      failures++;
    }
    assert_in_range(failures, fewest[what], 20);
    if (what == 1) check_ok(pmn_folder_remove(files, "new", &err));
  }
  assert_string_equal(names_in(output), "");
  pmn_folder_close(files);
}

/* ------------------------------------------------------------------------------------------------------- death -- */

/* True: the run came to its end before its change number `at`. */
static bool die_in(before there, int at) {
  int result;
  pid_t child = fork();
  if (child == 0) {
    pmn_err err = PMN_ERR_INIT;
    die_at = at;
    changes = 0;
    pmn_status st = run_job(output, 'b', has_other(there), there >= WORK, NULL, &err);
    _exit(st == PMN_STATUS_OK ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &result, 0), child);
  if (WIFEXITED(result)) assert_int_equal(WEXITSTATUS(result), 0);
  return WIFEXITED(result);
}

/* `both`: the later run has overwrite too, as a command that is repeated word for word. */
static void die_everywhere(before there, bool both) {
  int deaths = 0;
  for (bool ended = false; !ended; deaths++) {
    pmn_err err = PMN_ERR_INIT;
    prepare(there);
    ended = die_in(there, deaths);
    check_nothing_or_all(there);
    if (!ended) check_ok(run_job(output, 'b', both, true, NULL, &err));
    assert_int_equal(output_letter(output), 'b');
    assert_string_equal(names_in(folder), "out");
    remove_all();
  }
  assert_in_range(deaths, 30, 200);
}

static void every_change_may_be_the_last(void **state) {
  (void)state;
  for (before there = NOTHING; there < BEFORES; there++) {
    if (!has_other(there)) die_everywhere(there, false); /* else the other output would only be told to be another's */
    die_everywhere(there, true);
    poor = true;
    die_everywhere(there, true);
    poor = false;
  }
}

/* Killed, and killed again at the same call: work does not get lost, however often. */
static void death_upon_death(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  prepare(OTHER);
  for (int at = 5; at < 40; at++) {
    if (die_in(OTHER_AND_WORK, at)) break;
    check_nothing_or_all(OTHER);
  }
  check_ok(run_job(output, 'b', true, true, NULL, &err));
  assert_int_equal(output_letter(output), 'b');
  assert_string_equal(names_in(folder), "out");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_fresh, remove_fresh)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_call_may_fail),
      TEST(other_output_is_always_seen),
      TEST(lock_that_goes),
      TEST(guards_may_fail),
      TEST(folders_may_fail),
      TEST(every_change_may_be_the_last),
      TEST(death_upon_death),
  };
  return cmocka_run_group_tests_name("job faults", tests, NULL, NULL);
}
