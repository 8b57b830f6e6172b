/* test_walk.c - folders as listings take them: every promise of pmn_source.h about walking them.
 *
 * readdir and fstatat are replaced by versions that can hide the kind of an entry, break off, and count the calls,
 * because file systems that do not tell the kind are rare here.
 */
#define _GNU_SOURCE
#include "listing_check.h"
#include "pmn_file.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>

static bool hide_kinds;
static int entries_left = -1; /* readdir fails after so many; negative: never */
static int stat_calls;

struct dirent *readdir(DIR *stream) {
  static struct dirent *(*next)(DIR *);
  if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "readdir");
  if (entries_left == 0) {
    errno = EIO;
    return NULL;
  }
  if (entries_left > 0) entries_left--;
  struct dirent *entry = next(stream);
  if (entry != NULL && hide_kinds) entry->d_type = DT_UNKNOWN;
  return entry;
}

int fstatat(int fd, const char *restrict name, struct stat *restrict info, int flags) {
  static int (*next)(int, const char *, struct stat *, int);
  if (next == NULL) *(void **)&next = dlsym(RTLD_NEXT, "fstatat");
  stat_calls++;
  return next(fd, name, info, flags);
}

static int enter_plain(void **state) {
  hide_kinds = false;
  entries_left = -1;
  return enter(state);
}

/* Any byte but NUL and '/' may be in a name. The order is that of bytes: ' ' before '-' before '/' before '0', and
 * bytes above 127 last. */
static void test_walk_keeps_every_name_and_sorts_bytewise(void **state) {
  (void)state;
  static const char *const keys[] = {
      "\x01.jpg",
      "\n\n.jpg",
      "\"quoted\",'name'.jpg",
      "$(touch x).jpg",
      "-r.jpg",
      "Z.jpg",
      "\\x80.jpg",
      "a b/x.jpg",
      "a-b/x.jpg",
      "a/b/c/d/e.jpg",
      "a/x.jpg",
      "a0/x.jpg",
      "caf\xc3\xa9.jpg",
      "\x80.jpg",
      "\xff\xfe.jpg",
  };
  enum { COUNT = sizeof keys / sizeof keys[0] };
  for (size_t i = 0; i < COUNT; i++) {
    char path[256];
    snprintf(path, sizeof path, "s/%s", keys[i]);
    make_file(path);
  }
  for (int hidden = 0; hidden < 2; hidden++) {
    hide_kinds = hidden == 1;
    stat_calls = 0;
    pmn_listing *listing = list(OPTIONS(SOURCES("s")));
    assert_int_equal(stat_calls == 0, !hide_kinds); /* readdir's word is taken where it gives it */
    for (int64_t i = 0; i < COUNT && i < pmn_listing_count(listing); i++) {
      char path[256];
      snprintf(path, sizeof path, "s/%s", keys[i]);
      assert_string_equal(pmn_listing_item(listing, i).path, path);
      check_content(listing, i, path);
    }
    keys_check(listing, 0, 0, keys, COUNT);
  }
  leave();
}

static void test_walk_takes_pictures_counts_others(void **state) {
  (void)state;
  static const char *const files[] = {"s/a.jpg", "s/b.JPEG", "s/c.jpe", "s/d.jfif", "s/e.PnG", "s/f.webp", "s/g.gif",
      "s/h", "s/jpg", "s/i.jpg.txt", "s/j.jpgx", "s/k.", "s/.l.jpg", "s/.m/n.jpg", "s/o/.p.png", "s/q.webpp",
      "s/.r.txt"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) make_file(files[i]);
  check_keys(list(OPTIONS(SOURCES("s"))), 9, 0, "a.jpg", "b.JPEG", "c.jpe", "d.jfif", "e.PnG", "f.webp");
  /* What the user names is taken whatever its name. */
  check_keys(list(OPTIONS(SOURCES("s/.l.jpg"))), 0, 0, "s/.l.jpg");
  check_keys(list(OPTIONS(SOURCES("s/.m"))), 0, 0, "n.jpg");
  check_keys(list(OPTIONS(SOURCES("s/h"), INCLUDES("*.png"))), 0, 0, "s/h");
  leave();
}

static void test_includes(void **state) {
  (void)state;
  static const char *const files[] = {"s/a/1.jpg", "s/a/b/2.jpg", "s/a/b/3.gif", "s/c/4.gif", "s/c/\xff.dat"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) make_file(files[i]);
  check_keys(
      list(OPTIONS(SOURCES("s"), INCLUDES("*"))), 0, 0, "a/1.jpg", "a/b/2.jpg", "a/b/3.gif", "c/4.gif", "c/\xff.dat");
  check_keys(list(OPTIONS(SOURCES("s"), INCLUDES("*.gif", "1.*"))), 2, 0, "a/1.jpg", "a/b/3.gif", "c/4.gif");
  check_keys(list(OPTIONS(SOURCES("s"), INCLUDES("a/*"))), 2, 0, "a/1.jpg", "a/b/2.jpg", "a/b/3.gif");
  check_keys(list(OPTIONS(SOURCES("s"), INCLUDES("?/[0-9].gif"))), 4, 0, "c/4.gif");
  check_keys(list(OPTIONS(SOURCES("s"), INCLUDES("s/*", "c/?.gif"))), 4, 0, "c/4.gif"); /* on the key, not the path */
  check_keys(list(OPTIONS(SOURCES("s/a", "s/c"), INCLUDES("s/c/*"))), 3, 0, "s/c/4.gif", "s/c/\xff.dat");
  leave();
}

static void test_links(void **state) {
  (void)state;
  make_file("real/x.jpg");
  make_file("s/a.jpg");
  assert_int_equal(symlink("../real", "s/one"), 0);
  assert_int_equal(symlink("../real", "s/two.jpg"), 0); /* a folder, whatever its name */
  assert_int_equal(symlink("../real/x.jpg", "s/file.png"), 0);
  assert_int_equal(symlink("nowhere", "s/gone.jpg"), 0);
  assert_int_equal(symlink("nowhere", "s/gone.txt"), 0);
  assert_int_equal(symlink("self.jpg", "s/self.jpg"), 0);
  assert_int_equal(mkfifo("s/pipe.jpg", 0600), 0);
  assert_int_equal(symlink("s", "door"), 0);
  for (int hidden = 0; hidden < 2; hidden++) {
    hide_kinds = hidden == 1;
    check_keys(list(OPTIONS(SOURCES("door"))), 1, 0, "a.jpg", "file.png", "gone.jpg", "one/x.jpg", "pipe.jpg",
        "self.jpg", "two.jpg/x.jpg");
  }
  pmn_listing *listing = list(OPTIONS(SOURCES("s")));
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_buf_init(&bytes, 100);
  pmn_item gone = pmn_listing_item(listing, 2), pipe_item = pmn_listing_item(listing, 4);
  check_fails(pmn_file_read(gone.path, &bytes, &err), PMN_STATUS_NOT_FOUND, "s/gone.jpg");
  check_fails(pmn_file_read(pipe_item.path, &bytes, &err), PMN_STATUS_NOT_FOUND, "not a regular file");
  check_content(listing, 1, "real/x.jpg");
  pmn_listing_destroy(listing);
  leave();
}

static void test_loops_are_errors_that_name_the_link(void **state) {
  (void)state;
  make_file("top/s/a/b/x.jpg");
  for (int hidden = 0; hidden < 2; hidden++) {
    hide_kinds = hidden == 1;
    assert_int_equal(symlink("../../a", "top/s/a/b/back"), 0);
    check_list_fails(OPTIONS(SOURCES("top/s")), PMN_STATUS_NOT_FOUND, "top/s/a/b/back leads back");
    assert_int_equal(unlink("top/s/a/b/back"), 0);
    assert_int_equal(symlink(".", "top/s/a/dot"), 0);
    check_list_fails(OPTIONS(SOURCES("top/s")), PMN_STATUS_NOT_FOUND, "top/s/a/dot leads back");
    assert_int_equal(unlink("top/s/a/dot"), 0);
    /* To a folder above the source: the loop closes one folder further down, at top/s/up/s. */
    assert_int_equal(symlink("../../top", "top/s/up"), 0);
    check_list_fails(OPTIONS(SOURCES("top/s")), PMN_STATUS_NOT_FOUND, hidden ? "top/s/up" : "top/s/up leads back");
    assert_int_equal(unlink("top/s/up"), 0);
  }
  leave();
}

/* Deeper than there are descriptors, then deeper than a path can be long. */
static void test_deep_trees(void **state) {
  (void)state;
  enum { FITS = 1500, TOO_DEEP = 2200 };
  struct rlimit old, low = {.rlim_cur = 64};
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  low.rlim_max = old.rlim_max;
  int top = open(".", O_RDONLY | O_DIRECTORY);
  assert_true(top >= 0);
  for (int i = 0; i < TOO_DEEP; i++) {
    if (i == FITS) {
      make_file("x.jpg");
      int bottom = open(".", O_RDONLY | O_DIRECTORY);
      assert_int_equal(fchdir(top), 0);
      assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
      pmn_listing *listing = list(OPTIONS(SOURCES("d")));
      assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
      assert_int_equal(pmn_listing_count(listing), 1);
      assert_int_equal(strlen(pmn_listing_item(listing, 0).path), 2 * FITS + 5);
      check_content(listing, 0, "x.jpg");
      pmn_listing_destroy(listing);
      assert_int_equal(fchdir(bottom), 0);
      close(bottom);
    }
    assert_int_equal(mkdir("d", 0755), 0);
    assert_int_equal(chdir("d"), 0);
  }
  assert_int_equal(fchdir(top), 0);
  close(top);
  check_list_fails(OPTIONS(SOURCES("d")), PMN_STATUS_NOT_FOUND, strerror(ENAMETOOLONG));
  leave();
}

static void test_unreadable_folders(void **state) {
  (void)state;
  make_file("s/a/1.jpg");
  make_file("s/2.jpg");
  assert_int_equal(chmod(folder, 0755), 0);
  assert_int_equal(mkdir("t", 0755), 0);
  assert_int_equal(symlink("../s/a/1.jpg", "t/link.jpg"), 0); /* may be a folder of pictures: who knows */
  assert_int_equal(chmod("s/a", 0), 0);
  if (geteuid() == 0) assert_int_equal(seteuid(65534), 0); /* root reads everything */
  check_list_fails(OPTIONS(SOURCES("s")), PMN_STATUS_NOT_FOUND, "s/a: Permission denied");
  check_list_fails(OPTIONS(SOURCES("t")), PMN_STATUS_NOT_FOUND, "t/link.jpg is: Permission denied");
  if (getuid() == 0) assert_int_equal(seteuid(0), 0);
  assert_int_equal(chmod("s/a", 0755), 0);
  leave();
}

/* A folder that breaks off in the middle is no shorter folder. */
static void test_a_folder_that_breaks_off_is_an_error(void **state) {
  (void)state;
  make_file("s/1.jpg");
  make_file("s/2.jpg");
  entries_left = 3; /* of four, with . and .. */
  check_list_fails(OPTIONS(SOURCES("s")), PMN_STATUS_NOT_FOUND, strerror(EIO));
  entries_left = -1;
  check_keys(list(OPTIONS(SOURCES("s"))), 0, 0, "1.jpg", "2.jpg");
  leave();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_walk_keeps_every_name_and_sorts_bytewise, enter_plain),
      cmocka_unit_test_setup(test_walk_takes_pictures_counts_others, enter_plain),
      cmocka_unit_test_setup(test_includes, enter_plain),
      cmocka_unit_test_setup(test_links, enter_plain),
      cmocka_unit_test_setup(test_loops_are_errors_that_name_the_link, enter_plain),
      cmocka_unit_test_setup(test_deep_trees, enter_plain),
      cmocka_unit_test_setup(test_unreadable_folders, enter_plain),
      cmocka_unit_test_setup(test_a_folder_that_breaks_off_is_an_error, enter_plain),
  };
  return check_exit(cmocka_run_group_tests_name("walk", tests, NULL, NULL));
}
