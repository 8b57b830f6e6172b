/* test_outfile.c - files on a system that fails: full disks, short writes, poor file systems, odd paths.
 *
 * The linker sends the calls named in CMakeLists.txt through the __wrap_ functions below. */
#include "sink_check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

/* Fault injection: of all wrapped calls, the one number `fail_at` fails. Negative: none. */
static int fail_at = -1, calls;
static int rename_new_code, link_code; /* not 0: renameat2 and linkat always fail with this */
static bool folder_synced;             /* the last call of fsync was for a folder */
static bool trickle;                   /* write takes few bytes and is interrupted often */
static char names[1024];

static bool fails(void) {
  if (calls++ != fail_at) return false;
  errno = ENOSPC;
  return true;
}

ssize_t __real_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size);
ssize_t __wrap_write(int fd, const void *bytes, size_t size) {
  if (fails()) return -1;
  if (!trickle) return __real_write(fd, bytes, size);
  if (calls % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  return __real_write(fd, bytes, size > 1000 ? 1000 : size);
}

ssize_t __real_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t size, off_t at) {
  if (fails()) return -1;
  if (!trickle) return __real_pwrite(fd, bytes, size, at);
  if (calls % 2 == 0) {
    errno = EINTR;
    return -1;
  }
  return __real_pwrite(fd, bytes, size > 10 ? 10 : size, at);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd) {
  struct stat info;
  if (fails()) return -1;
  folder_synced = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
  return __real_fsync(fd);
}

/* Only of files being written: what close of a folder says does not matter. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
  int flags = fcntl(fd, F_GETFL);
  bool failed = (flags & O_ACCMODE) == O_RDWR && fails();
  int result = __real_close(fd);
  if (failed) errno = ENOSPC;
  return failed ? -1 : result;
}

/* Only of new files: a folder that cannot be opened to be synced is no failure. */
int __real_openat(int at, const char *name, int flags, mode_t mode);
int __wrap_openat(int at, const char *name, int flags, mode_t mode);
int __wrap_openat(int at, const char *name, int flags, mode_t mode) {
  return (flags & O_CREAT) != 0 && fails() ? -1 : __real_openat(at, name, flags, mode);
}

int __real_renameat(int from_at, const char *from, int to_at, const char *to);
int __wrap_renameat(int from_at, const char *from, int to_at, const char *to);
int __wrap_renameat(int from_at, const char *from, int to_at, const char *to) {
  return fails() ? -1 : __real_renameat(from_at, from, to_at, to);
}

int __real_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags);
int __wrap_renameat2(int from_at, const char *from, int to_at, const char *to, unsigned flags) {
  errno = rename_new_code;
  return rename_new_code != 0 || fails() ? -1 : __real_renameat2(from_at, from, to_at, to, flags);
}

int __real_linkat(int from_at, const char *from, int to_at, const char *to, int flags);
int __wrap_linkat(int from_at, const char *from, int to_at, const char *to, int flags);
int __wrap_linkat(int from_at, const char *from, int to_at, const char *to, int flags) {
  errno = link_code;
  return link_code != 0 || fails() ? -1 : __real_linkat(from_at, from, to_at, to, flags);
}

static void reset_faults(void) {
  fail_at = -1;
  calls = rename_new_code = link_code = 0;
  trickle = false;
}

static int make_place(void **state) {
  reset_faults();
  return make_folder(state);
}

static int remove_place(void **state) {
  reset_faults();
  return remove_folder(state);
}

static const char *const outputs[] = {
    [PMN_FORMAT_CSV] = "out.csv", [PMN_FORMAT_PARQUET] = "out.parquet", [PMN_FORMAT_NPY] = "out.npy"};
static const char *const all_files[] = {[PMN_FORMAT_CSV] = "out.csv out.csv.record.json",
    [PMN_FORMAT_PARQUET] = "out.parquet",
    [PMN_FORMAT_NPY] = "out.npy out.npy.index.csv out.npy.record.json"};

static void every_call_may_fail(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (pmn_format format = PMN_FORMAT_CSV; format <= PMN_FORMAT_NPY; format++) {
    for (int poor = 0; poor < 3; poor++) { /* a file system with all calls, without NOREPLACE, without links too */
      reset_faults();
      rename_new_code = poor > 0 ? EINVAL : 0;
      link_code = poor > 1 ? EPERM : 0;
      int failures = 0;
      for (int at = 0;; at++) {
        fail_at = at;
        calls = 0;
        pmn_status st = sample_write(in_folder(outputs[format]), format, false, &err);
        if (st == PMN_STATUS_OK) break;
        assert_int_equal(st, PMN_STATUS_WRITE);
        assert_int_equal(err.foreign, ENOSPC);
        assert_non_null(strstr(err.message, "No space left"));
        bool is_unnamed = strstr(err.message, "temporary file") != NULL; /* Parquet's, before it is all known */
        assert_non_null(strstr(err.message, is_unnamed ? folder : outputs[format]));
        assert_string_equal(folder_names(folder, true, names), "");
        failures++;
      }
      assert_true(folder_synced);
      assert_in_range(failures, 5, 100); /* at least: create, write, sync, close, rename */
      assert_string_equal(folder_names(folder, true, names), all_files[format]);
      check_folder_remove(folder);
      assert_int_equal(mkdir(folder, 0700), 0);
    }
  }
}

/* With overwrite, a failure before the first rename leaves the old output as it was. */
static void old_output_survives(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  put_text(in_folder("out.csv"), "old");
  put_text(in_folder("out.csv.record.json"), "{\n \"pomona\": \"old\"}");
  for (fail_at = 0; fail_at < 8; fail_at++) { /* two each of create, write, sync and close */
    calls = 0;
    check_fails(sample_write(in_folder("out.csv"), PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "No space left");
    check_text(in_folder("out.csv"), "old");
    check_text(in_folder("out.csv.record.json"), "{\n \"pomona\": \"old\"}");
    assert_string_equal(folder_names(folder, true, names), all_files[PMN_FORMAT_CSV]);
  }
}

static void late_file_is_kept_everywhere(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  for (int poor = 0; poor < 3; poor++) {
    rename_new_code = poor > 0 ? EINVAL : 0;
    link_code = poor > 1 ? EPERM : 0;
    pmn_sink *sink = NULL;
    check_ok(pmn_sink_create(
        &(pmn_sink_options){.path = in_folder("out.csv"), .format = PMN_FORMAT_CSV, .width = 1, .overwrite = false},
        &sink, &err));
    put_text(in_folder("out.csv"), "late");
    check_fails(pmn_sink_commit(sink, "{}", &err), PMN_STATUS_EXISTS, "appeared");
    pmn_sink_destroy(sink);
    check_text(in_folder("out.csv"), "late");
    assert_string_equal(folder_names(folder, true, names), "out.csv");
    unlink(in_folder("out.csv"));
  }
}

/* With overwrite the main file goes first: when it cannot, its companions stay as they were. */
static void companions_stay_as_they_were(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_sink *sink = NULL;
  check_ok(pmn_sink_create(
      &(pmn_sink_options){.path = in_folder("out.npy"), .format = PMN_FORMAT_NPY, .width = 1, .overwrite = true}, &sink,
      &err));
  assert_int_equal(mkdir(in_folder("out.npy"), 0700), 0); /* rename over a folder fails */
  put_text(in_folder("out.npy.index.csv"), "path,label\nold,\n");
  check_fails(pmn_sink_commit(sink, "{}", &err), PMN_STATUS_WRITE, "out.npy: Is a directory");
  check_text(in_folder("out.npy.index.csv"), "path,label\nold,\n"); /* the table goes first */
  unlink(in_folder("out.npy.index.csv"));
  pmn_sink_destroy(sink);
  assert_string_equal(folder_names(folder, true, names), "out.npy");
}

static void short_writes_add_up(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_row_block rows = sample_block();
  for (pmn_format format = PMN_FORMAT_CSV; format <= PMN_FORMAT_NPY; format++) {
    static char texts[2][1 << 17];
    size_t sizes[2];
    for (int pass = 0; pass < 2; pass++) {
      pmn_sink *sink = NULL;
      trickle = pass == 1;
      check_ok(pmn_sink_create(
          &(pmn_sink_options){
              .path = in_folder(outputs[format]), .format = format, .width = SAMPLE_WIDTH, .overwrite = pass == 1},
          &sink, &err));
      for (int i = 0; i < 1000; i++) check_ok(pmn_sink_write(sink, &rows, &err));
      check_ok(pmn_sink_commit(sink, "{\n \"pomona\": \"new\"}", &err));
      pmn_sink_destroy(sink);
      FILE *file = fopen(in_folder(outputs[format]), "rb");
      assert_non_null(file);
      sizes[pass] = fread(texts[pass], 1, sizeof texts[pass], file);
      fclose(file);
    }
    assert_in_range(sizes[0], 400, sizeof texts[0] - 1);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(texts[0], texts[1], sizes[0]);
  }
}

/* The kernel itself says no in the middle of a file. */
static void file_size_limit(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  struct rlimit old;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
  void (*old_handler)(int) = signal(SIGXFSZ, SIG_IGN);
  struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = old.rlim_max};
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
  pmn_status results[3];
  for (pmn_format format = PMN_FORMAT_CSV; format <= PMN_FORMAT_NPY; format++) {
    pmn_sink *sink = NULL;
    enum { WIDTH = 1000 };
    static float features[WIDTH];
    uint32_t random = 1;
    results[format] = pmn_sink_create(
        &(pmn_sink_options){.path = in_folder(outputs[format]), .format = format, .width = WIDTH, .overwrite = false},
        &sink, &err);
    for (int i = 0; i < 1000 && results[format] == PMN_STATUS_OK; i++) {
      for (int k = 0; k < WIDTH; k++) features[k] = (float)(random = random * 1664525 + 1013904223);
      pmn_row_block row = sample_block();
      row.n = 1;
      row.features = features;
      results[format] = pmn_sink_write(sink, &row, &err);
    }
    if (results[format] == PMN_STATUS_OK) results[format] = pmn_sink_commit(sink, "{}", &err);
    pmn_sink_destroy(sink);
  }
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, old_handler);
  for (int i = 0; i < 3; i++) assert_int_equal(results[i], PMN_STATUS_WRITE);
  assert_non_null(strstr(err.message, "out.npy: File too large"));
  assert_string_equal(folder_names(folder, true, names), "");
}

static void relative_name_stays_where_it_was(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  pmn_sink *sink = NULL;
  char *before = getcwd(NULL, 0);
  assert_int_equal(chdir(folder), 0);
  check_ok(pmn_sink_create(
      &(pmn_sink_options){.path = "plain.csv", .format = PMN_FORMAT_CSV, .width = 1, .overwrite = false}, &sink, &err));
  assert_int_equal(chdir(before), 0);
  free(before);
  check_ok(pmn_sink_commit(sink, "{}", &err));
  pmn_sink_destroy(sink);
  assert_string_equal(folder_names(folder, true, names), "plain.csv plain.csv.record.json");
}

static void odd_names(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_ok(sample_write(in_folder("a b\xff\n'%s.parquet"), PMN_FORMAT_PARQUET, false, &err));
  assert_string_equal(folder_names(folder, true, names), "a b\xff\n'%s.parquet");
  check_fails(sample_write(in_folder("a b\xff\n'%s.parquet"), PMN_FORMAT_PARQUET, false, &err), PMN_STATUS_EXISTS,
      "a b\\xFF '%s.parquet exists");
  unlink(in_folder("a b\xff\n'%s.parquet"));

  char longest[256]; /* NAME_MAX; the temporary name cannot be longer, a companion's would be */
  memset(longest, 'x', 255);
  longest[255] = '\0';
  check_ok(sample_write(in_folder(longest), PMN_FORMAT_PARQUET, false, &err));
  assert_string_equal(folder_names(folder, true, names), longest);
  unlink(in_folder(longest));
  check_fails(sample_write(in_folder(longest), PMN_FORMAT_CSV, false, &err), PMN_STATUS_WRITE, "File name too long");
  assert_string_equal(folder_names(folder, true, names), "");
}

static void paths_that_cannot_be(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  check_fails(sample_write("", PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "names no file");
  check_fails(sample_write(in_folder(""), PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "names no file");
  check_fails(sample_write(in_folder("."), PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "is a folder");
  check_fails(sample_write(folder, PMN_FORMAT_CSV, false, &err), PMN_STATUS_WRITE, "is a folder");
  check_fails(
      sample_write(in_folder("none/x.csv"), PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "its folder does not exist");
  put_text(in_folder("file"), "");
  check_fails(sample_write(in_folder("file/x.csv"), PMN_FORMAT_CSV, true, &err), PMN_STATUS_WRITE, "Not a directory");

  /* Never replaced, overwrite or not. */
  assert_int_equal(symlink("file", in_folder("link")), 0);
  check_fails(sample_write(in_folder("link"), PMN_FORMAT_PARQUET, true, &err), PMN_STATUS_WRITE, "will not replace");
  check_fails(sample_write(in_folder("link"), PMN_FORMAT_PARQUET, false, &err), PMN_STATUS_EXISTS, "exists");
  assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
  check_fails(sample_write(in_folder("fifo"), PMN_FORMAT_PARQUET, true, &err), PMN_STATUS_WRITE, "will not replace");
  assert_string_equal(folder_names(folder, true, names), "fifo file link");
}

static void no_permission(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  bool root = geteuid() == 0;
  assert_int_equal(chmod(folder, 0555), 0);
  if (root) assert_int_equal(seteuid(65534), 0);
  pmn_rejects *rejects = NULL;
  pmn_err rejects_err = PMN_ERR_INIT;
  pmn_status sink_status = sample_write(in_folder("x.csv"), PMN_FORMAT_CSV, false, &err);
  pmn_status rejects_status = pmn_rejects_create(NULL, in_folder("x.csv"), false, &rejects, &rejects_err);
  if (root) assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod(folder, 0700), 0);
  assert_int_equal(sink_status, PMN_STATUS_WRITE);
  assert_non_null(strstr(err.message, "Permission denied"));
  assert_int_equal(rejects_status, PMN_STATUS_WRITE);
  assert_non_null(strstr(rejects_err.message, "Permission denied"));
}

static void mode_is_that_of_any_new_file(void **state) {
  (void)state;
  pmn_err err = PMN_ERR_INIT;
  mode_t old = umask(027);
  pmn_status st = sample_write(in_folder("x.parquet"), PMN_FORMAT_PARQUET, false, &err);
  umask(old);
  check_ok(st);
  struct stat info;
  assert_int_equal(stat(in_folder("x.parquet"), &info), 0);
  assert_int_equal(info.st_mode & 0777, 0640);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(every_call_may_fail),
      TEST(old_output_survives),
      TEST(late_file_is_kept_everywhere),
      TEST(companions_stay_as_they_were),
      TEST(short_writes_add_up),
      TEST(file_size_limit),
      TEST(relative_name_stays_where_it_was),
      TEST(odd_names),
      TEST(paths_that_cannot_be),
      TEST(no_permission),
      TEST(mode_is_that_of_any_new_file),
  };
  return cmocka_run_group_tests_name("outfile", tests, NULL, NULL);
}
