/* test_source.c - listings: every promise of pmn_source.h about sources, lists, keys, labels and reading. Walking is
 * test_walk.c's. Each test works inside a temporary folder of its own as working folder.
 */
#include "listing_check.h"

#include "pmn_mem.h"

#include <pthread.h>

/* ---------------------------------------------------------------------------------------------------- keys -- */

static void test_keys_by_kind_of_source(void **state) {
  (void)state;
  char absolute[128];
  make_file("s/a/1.jpg");
  make_file("t/1.jpg");
  static const char *const spellings[] = {"s", "s/", "s///", "./s", "s/.", "t/../s"};
  for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
    pmn_listing *listing = list(OPTIONS(SOURCES(spellings[i])));
    check_content(listing, 0, "s/a/1.jpg");
    check_keys(listing, 0, 0, "a/1.jpg");
  }
  check_keys(list(OPTIONS(SOURCES("."))), 0, 0, "s/a/1.jpg", "t/1.jpg");
  check_keys(list(OPTIONS(SOURCES("s/a/1.jpg"))), 0, 0, "s/a/1.jpg");
  check_keys(list(OPTIONS(SOURCES("./t/1.jpg"))), 0, 0, "./t/1.jpg");
  check_keys(list(OPTIONS(SOURCES("t//", "s"))), 0, 0, "s/a/1.jpg", "t/1.jpg");
  snprintf(absolute, sizeof absolute, "%s/t/1.jpg", folder);
  check_keys(list(OPTIONS(SOURCES("t/1.jpg", absolute))), 0, 0, absolute, "t/1.jpg");
  *strrchr(absolute, '/') = '\0';
  check_keys(list(OPTIONS(SOURCES(absolute))), 0, 0, "1.jpg");
  leave();
}

/* Equal keys are equal paths, so nothing but a second mention of a file is ever dropped. */
static void test_duplicates_are_mentions_never_other_files(void **state) {
  (void)state;
  make_file("1.jpg");
  make_file("a/1.jpg");
  make_file("a/b/1.jpg");
  make_file("b/1.jpg");
  put("names", "1.jpg\na/1.jpg\n1.jpg\n1.jpg\n./1.jpg\n", 33);
  check_keys(list(OPTIONS(SOURCES("a", "a"))), 0, 2, "a/1.jpg", "a/b/1.jpg");
  check_keys(list(OPTIONS(SOURCES("a", "a/", "a//"))), 0, 4, "a/1.jpg", "a/b/1.jpg");
  check_keys(list(OPTIONS(SOURCES("a", "a/b", "a/b/1.jpg"))), 0, 2, "a/1.jpg", "a/b/1.jpg");
  check_keys(list(OPTIONS(SOURCES("@names"))), 0, 2, "./1.jpg", "1.jpg", "a/1.jpg");
  check_keys(list(OPTIONS(SOURCES("@names", "a"))), 0, 3, "./1.jpg", "1.jpg", "a/1.jpg", "a/b/1.jpg");
  /* The same relative names in several sources, and in a list beside them. */
  pmn_listing *listing = list(OPTIONS(SOURCES("a", "b", "a/b", "@names")));
  static const char *const files[] = {"1.jpg", "1.jpg", "a/1.jpg", "a/b/1.jpg", "b/1.jpg"};
  for (int64_t i = 0; i < 5; i++) {
    pmn_item item = pmn_listing_item(listing, i);
    assert_string_equal(item.key, item.path);
    check_content(listing, i, files[i]);
  }
  check_keys(listing, 0, 4, "./1.jpg", "1.jpg", "a/1.jpg", "a/b/1.jpg", "b/1.jpg");
  leave();
}

static void test_limit(void **state) {
  (void)state;
  make_file("s/c.jpg");
  make_file("s/a.jpg");
  make_file("s/b.jpg");
  make_file("s/d.txt");
  check_keys(list(OPTIONS(SOURCES("s"), .limit = 2)), 1, 0, "a.jpg", "b.jpg");
  check_keys(list(OPTIONS(SOURCES("s"), .limit = 3)), 1, 0, "a.jpg", "b.jpg", "c.jpg");
  check_keys(list(OPTIONS(SOURCES("s"), .limit = INT64_MAX)), 1, 0, "a.jpg", "b.jpg", "c.jpg");
  check_keys(list(OPTIONS(SOURCES("s", "s"), .limit = 1)), 2, 3, "s/a.jpg");
  check_list_fails(OPTIONS(SOURCES("s"), .limit = -1), PMN_STATUS_ARGUMENT, "-1");
  leave();
}

/* --------------------------------------------------------------------------------------------------- lists -- */

static void test_lists(void **state) {
  (void)state;
  LIST("b.jpg\n\na b,\"c\".txt\n.hidden\n");
  check_keys(list(OPTIONS(SOURCES("@list"))), 0, 0, ".hidden", "a b,\"c\".txt", "b.jpg");
  LIST("b.jpg\r\n\r\na\r.jpg\r\nc"); /* one CR at the end of a line is part of the end, others are not */
  check_keys(list(OPTIONS(SOURCES("@list"))), 0, 0, "a\r.jpg", "b.jpg", "c");
  LIST("b\n.jpg\0\0a\r\0c\xff");
  check_keys(list(OPTIONS(SOURCES("@list"))), 0, 0, "a\r", "b\n.jpg", "c\xff");
  LIST("x\ny\0"); /* a single NUL at the end decides, too */
  check_keys(list(OPTIONS(SOURCES("@list"))), 0, 0, "x\ny");
  LIST("-\n@y\n"); /* no second meaning inside a list */
  check_keys(list(OPTIONS(SOURCES("@list"))), 0, 0, "-", "@y");
  LIST("a\n");
  put("list2", "b\n", 2);
  check_keys(list(OPTIONS(SOURCES("@list2", "@list"))), 0, 0, "a", "b");
  LIST("\n\r\n\n");
  check_list_fails(OPTIONS(SOURCES("@list")), PMN_STATUS_NOT_FOUND, "@list");
  LIST("a\ns3a://bucket/x.jpg\n");
  check_list_fails(OPTIONS(SOURCES("@list")), PMN_STATUS_ARGUMENT, "line 2 of list (s3a://bucket/x.jpg): write s3://");
  LIST("a\ns3://bucket/\n");
  check_list_fails(OPTIONS(SOURCES("@list")), PMN_STATUS_ARGUMENT, "names no object");
  check_list_fails(OPTIONS(SOURCES("@missing")), PMN_STATUS_NOT_FOUND, "missing");
  check_list_fails(OPTIONS(SOURCES("@.")), PMN_STATUS_NOT_FOUND, strerror(EISDIR));
  leave();
}

static void test_list_lines_are_as_long_as_paths(void **state) {
  (void)state;
  char line[PATH_MAX + 4];
  memset(line, 'x', sizeof line);
  memcpy(line, "a\n", 2);
  line[2 + PATH_MAX - 1] = '\n'; /* the longest path there is */
  put("list", line, 2 + PATH_MAX);
  pmn_listing *listing = list(OPTIONS(SOURCES("@list")));
  assert_int_equal(strlen(pmn_listing_item(listing, 1).key), PATH_MAX - 1);
  pmn_listing_destroy(listing);
  line[2 + PATH_MAX - 1] = 'x';
  line[2 + PATH_MAX] = '\n';
  put("list", line, 2 + PATH_MAX + 1);
  check_list_fails(OPTIONS(SOURCES("@list")), PMN_STATUS_ARGUMENT, "line 2 of list has 4096 bytes");
  leave();
}

static void *write_names(void *arg) {
  FILE *file = fdopen(*(int *)arg, "wb");
  for (int i = 0; file != NULL && i < 20000; i++) fprintf(file, "dir/%05d.jpg\n", (i * 7919) % 20000);
  return file == NULL || fclose(file) != 0 ? arg : NULL;
}

/* More than a pipe holds, in an order of its own. */
static void test_standard_input(void **state) {
  (void)state;
  int ends[2];
  pthread_t writer;
  void *failed = NULL;
  assert_int_equal(pipe(ends), 0);
  assert_int_equal(pthread_create(&writer, NULL, write_names, &ends[1]), 0);
  pmn_listing *listing = list(OPTIONS(SOURCES("-"), .list_fd = ends[0], .label_level = -1));
  assert_int_equal(pthread_join(writer, &failed), 0);
  assert_null(failed);
  close(ends[0]);
  assert_int_equal(pmn_listing_count(listing), 20000);
  for (int64_t i = 0; i < 20000; i++) {
    char key[32];
    snprintf(key, sizeof key, "dir/%05d.jpg", (int)i);
    assert_string_equal(pmn_listing_item(listing, i).key, key);
    assert_string_equal(pmn_listing_item(listing, i).label, "dir");
  }
  pmn_listing_destroy(listing);
  check_list_fails(OPTIONS(SOURCES("-"), .list_fd = -1), PMN_STATUS_NOT_FOUND, "standard input");
  leave();
}

/* -------------------------------------------------------------------------------------------------- labels -- */

typedef struct level_case {
  const char *source; /* its first picture is looked at */
  int32_t level;
  const char *label; /* NULL: the name of the temporary folder */
} level_case;

static void test_labels_by_level(void **state) {
  (void)state;
  static const level_case cases[] = {
      {"s", -1, "b"},
      {"s", -2, "a"},
      {"s", -3, "s"},
      {"s", -4, NULL},
      {"s", -5, "tmp"},
      {"s", -6, ""},
      {"s", INT32_MIN, ""},
      {"s", 0, "a"},
      {"s", 1, "b"},
      {"s", 2, ""},
      {"s", INT32_MAX, ""},
      {"s/", -3, "s"},
      {"s//.//", -3, "s"},
      {"./s", -3, "s"},
      {"./s", -4, NULL},
      {"./s/", 0, "a"},
      {"s/a/b", -1, "b"},
      {"s/a/b/", -1, "b"},
      {"s/a/b/.", -1, "b"},
      {"s/a/b/.", -2, "a"},
      {"s/a/b", 0, ""},
      {"s/a/b/1.jpg", -1, "b"},
      {"s/a/b/1.jpg", 0, "s"},
      {"./s//a/./b/1.jpg", 2, "b"},
      {"./s//a/./b/1.jpg", 0, "s"},
      {"s/a/b/../b/1.jpg", -1, "b"},
      {"s/a/b/../b/1.jpg", -2, "a"},
      {"s/a/b/../b/1.jpg", -3, "s"},
      {"1.jpg", -1, NULL},
      {"1.jpg", -2, "tmp"},
      {"1.jpg", -3, ""},
      {"1.jpg", 0, ""},
      {"./1.jpg", -1, NULL},
      {"s/..", -1, NULL},
      {"s/../1.jpg", -1, NULL},
      {"s/../1.jpg", 1, NULL},
      {"s/../1.jpg", 0, "s"},
      {"link/1.jpg", -1, "link"},
      {"link", -1, "link"},
      {"link", -2, NULL},
      {"link/.", -1, "link"},
      {"Apple 1/", -1, "Apple 1"},
      {"Apple 1", -1, "Apple 1"},
      {"\xff\n\"/1.jpg", -1, "\xff\n\""},
  };
  make_file("s/a/b/1.jpg");
  make_file("1.jpg");
  make_file("Apple 1/1.jpg");
  make_file("\xff\n\"/1.jpg");
  assert_int_equal(symlink("s/a/b", "link"), 0);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    const level_case *c = &cases[i];
    pmn_listing *listing = list(OPTIONS(SOURCES(c->source), .label_level = c->level));
    const char *label = pmn_listing_item(listing, 0).label, *expected = c->label == NULL ? folder + 5 : c->label;
    if (strcmp(label, expected) != 0) fail_msg("case %zu, %s at %d: \"%s\"", i, c->source, (int)c->level, label);
    pmn_listing_destroy(listing);
  }
  leave();
}

static void check_label(const pmn_source_options *options, int64_t index, const char *key, const char *label) {
  pmn_listing *listing = list(options);
  assert_string_equal(pmn_listing_item(listing, index).key, key);
  assert_string_equal(pmn_listing_item(listing, index).label, label);
  pmn_listing_destroy(listing);
}

static void test_labels_of_the_working_folder_and_of_several_sources(void **state) {
  (void)state;
  char absolute[128];
  make_file("s/a/1.jpg");
  make_file("t/a/2.jpg");
  make_file("t/3.jpg");
  assert_int_equal(chdir("t"), 0);
  check_label(OPTIONS(SOURCES("."), .label_level = -1), 0, "3.jpg", "t");
  check_label(OPTIONS(SOURCES("./"), .label_level = -1), 1, "a/2.jpg", "a");
  check_label(OPTIONS(SOURCES("."), .label_level = -2), 1, "a/2.jpg", "t");
  check_label(OPTIONS(SOURCES("."), .label_level = 0), 0, "3.jpg", "");
  check_label(OPTIONS(SOURCES("../t"), .label_level = -1), 0, "3.jpg", "t");
  check_label(OPTIONS(SOURCES("../t"), .label_level = -2), 0, "3.jpg", folder + 5);
  check_label(OPTIONS(SOURCES("a/.."), .label_level = -1), 0, "3.jpg", "t");
  check_label(OPTIONS(SOURCES("../t/3.jpg"), .label_level = 0), 0, "../t/3.jpg", folder + 5);
  assert_int_equal(chdir(".."), 0);
  check_label(OPTIONS(SOURCES("s", "t"), .label_level = 0), 0, "s/a/1.jpg", "s");
  check_label(OPTIONS(SOURCES("s", "t"), .label_level = 0), 1, "t/3.jpg", "t");
  check_label(OPTIONS(SOURCES("s", "t"), .label_level = 1), 1, "t/3.jpg", "");
  check_label(OPTIONS(SOURCES("s", "t"), .label_level = -1), 2, "t/a/2.jpg", "a");
  snprintf(absolute, sizeof absolute, "%s/t", folder);
  check_label(OPTIONS(SOURCES(absolute), .label_level = -1), 0, "3.jpg", "t");
  check_label(OPTIONS(SOURCES(absolute), .label_level = -3), 0, "3.jpg", "tmp");
  check_label(OPTIONS(SOURCES(absolute), .label_level = -4), 0, "3.jpg", "");
  /* Folders whose names are as long as their neighbours'. */
  make_file("u/aa/1.jpg");
  make_file("u/ab/1.jpg");
  make_file("u/ab/2.jpg");
  check_label(OPTIONS(SOURCES("u"), .label_level = -1), 0, "aa/1.jpg", "aa");
  check_label(OPTIONS(SOURCES("u"), .label_level = -1), 1, "ab/1.jpg", "ab");
  check_label(OPTIONS(SOURCES("u"), .label_level = -1), 2, "ab/2.jpg", "ab");
  /* Names are taken as written, but ".." behind a link is not where the writing says. */
  make_file("s/4.jpg");
  assert_int_equal(symlink("s/a", "link"), 0);
  check_label(OPTIONS(SOURCES("link/1.jpg"), .label_level = -1), 0, "link/1.jpg", "link");
  check_label(OPTIONS(SOURCES("link/../4.jpg"), .label_level = -1), 0, "link/../4.jpg", "s");
  /* A line whose folder does not exist has no real name. */
  LIST("nowhere/../x.jpg\n");
  check_label(OPTIONS(SOURCES("@list"), .label_level = -1), 0, "nowhere/../x.jpg", "");
  check_label(OPTIONS(SOURCES("@list"), .label_level = 0), 0, "nowhere/../x.jpg", "nowhere");
  leave();
}

static void test_labels_by_regex(void **state) {
  (void)state;
  make_file("s/cat.1.jpg");
  make_file("s/dog.2.jpg");
  make_file("s/x/\xff\xfe.3.jpg");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "^([a-z]+)\\."), 0, "cat.1.jpg", "cat");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "^([a-z]+)\\."), 1, "dog.2.jpg", "dog");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "^([a-z]+)\\."), 2, "x/\xff\xfe.3.jpg", "");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "[0-9]"), 1, "dog.2.jpg", "2");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "(cow)|d.(g)"), 1, "dog.2.jpg", ""); /* group 1 took no part */
  check_label(OPTIONS(SOURCES("s"), .label_regex = "x/(.*)\\.3"), 2, "x/\xff\xfe.3.jpg", "\xff\xfe");
  check_label(OPTIONS(SOURCES("s"), .label_regex = "^s/"), 0, "cat.1.jpg", ""); /* on the key, not the path */
  check_label(OPTIONS(SOURCES("s"), .label_regex = "", .label_level = -1), 0, "cat.1.jpg", "");
  check_list_fails(OPTIONS(SOURCES("s"), .label_regex = "(a"), PMN_STATUS_ARGUMENT, "\"(a\"");
  check_list_fails(OPTIONS(SOURCES("missing"), .label_regex = "["), PMN_STATUS_ARGUMENT, "regular expression");
  leave();
}

/* -------------------------------------------------------------------------------------------------- errors -- */

/* Objects that a list names: sorted among files, labelled by what stands behind the bucket, and nothing more. */
static void test_objects_in_lists(void **state) {
  (void)state;
  static const struct {
    int32_t level;
    const char *labels[4];
  } cases[] = {
      {-1, {"", "b", "..", "c"}}, {0, {"", "a", "..", "a"}}, {1, {"", "b", "", "c"}}, {-2, {"", "a", "", "a"}}};
  LIST("s3://bucket/a//c/2.jpg\ns3://bucket/1.jpg\ns3://bucket/a/b/1.jpg\ns3://bucket/../x.jpg\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pmn_listing *listing = list(OPTIONS(SOURCES("@list"), .label_level = cases[i].level));
    static const char *const keys[] = {
        "s3://bucket/../x.jpg", "s3://bucket/1.jpg", "s3://bucket/a//c/2.jpg", "s3://bucket/a/b/1.jpg"};
    static const int order[] = {2, 0, 3, 1}; /* of the labels above */
    for (int64_t k = 0; k < 4; k++) {
      pmn_item item = pmn_listing_item(listing, k);
      assert_string_equal(item.key, keys[k]);
      assert_string_equal(item.label, cases[i].labels[order[k]]);
      assert_string_equal(item.stored, "");
    }
    assert_true(pmn_listing_has_objects(listing));
    pmn_listing_destroy(listing);
  }
  leave();
}

static void test_wrong_sources(void **state) {
  (void)state;
  make_file("s/1.jpg");
  check_list_fails(OPTIONS(.source_count = 0), PMN_STATUS_ARGUMENT, "no source");
  check_list_fails(OPTIONS(SOURCES("s", "")), PMN_STATUS_ARGUMENT, "source 2");
  check_list_fails(OPTIONS(SOURCES("s", "s3://bucket/x")), PMN_STATUS_ARGUMENT, "needs a client");
  check_list_fails(OPTIONS(SOURCES("s", "s3a://bucket")), PMN_STATUS_ARGUMENT, "write s3:// instead of s3a://");
  check_list_fails(OPTIONS(SOURCES("s3n://bucket")), PMN_STATUS_ARGUMENT, "write s3:// instead of s3n://");
  check_list_fails(OPTIONS(SOURCES("@s3://bucket/list")), PMN_STATUS_ARGUMENT, "read from a disk");
  check_list_fails(OPTIONS(SOURCES("s", "missing")), PMN_STATUS_NOT_FOUND, "missing");
  check_list_fails(OPTIONS(SOURCES("s/1.jpg/")), PMN_STATUS_NOT_FOUND, strerror(ENOTDIR));
  assert_int_equal(mkfifo("pipe", 0600), 0);
  check_list_fails(OPTIONS(SOURCES("pipe")), PMN_STATUS_NOT_FOUND, "neither a folder nor a regular file");
  pmn_listing *none = (pmn_listing *)&none;
  assert_int_equal(pmn_listing_create(OPTIONS(SOURCES("missing")), &none, NULL), PMN_STATUS_NOT_FOUND);
  assert_null(none);
  pmn_listing_destroy(NULL);
  leave();
}

static void test_nothing_found_says_what_to_do(void **state) {
  (void)state;
  make_file("s/1.gif");
  make_file("s/2.gif");
  make_file("t/.x.jpg");
  check_list_fails(OPTIONS(SOURCES("s")), PMN_STATUS_NOT_FOUND, "no pictures in s: 2 files do not end");
  check_list_fails(OPTIONS(SOURCES("s")), PMN_STATUS_NOT_FOUND, "--include '*'");
  check_list_fails(OPTIONS(SOURCES("s", "t")), PMN_STATUS_NOT_FOUND, "2 sources, the first of them s: 3 files");
  check_list_fails(OPTIONS(SOURCES("s"), INCLUDES("*.bmp")), PMN_STATUS_NOT_FOUND, "2 files do not match --include");
  check_list_fails(
      OPTIONS(SOURCES("t"), INCLUDES("*")), PMN_STATUS_NOT_FOUND, "1 files do not match --include or are hidden");
  make_file("u/.v/x.jpg");
  check_list_fails(OPTIONS(SOURCES("u"), INCLUDES("*")), PMN_STATUS_NOT_FOUND, "no pictures in u: no files found");
  leave();
}

/* Every allocation of a listing fails in turn. Enough names that chunks, tables and buffers must grow. */
static void test_every_allocation_may_fail(void **state) {
  (void)state;
  char path[256];
  for (int i = 0; i < 150; i++) {
    snprintf(path, sizeof path, "s/folder %03d/%0100d.%s", i % 40, i, i % 5 == 0 ? "txt" : "jpg");
    make_file(path);
  }
  FILE *file = fopen("list", "wb");
  for (int i = 0; i < 3000; i++) fprintf(file, "somewhere/%d/in/a/list/%d.jpg\n", i % 50, i);
  assert_int_equal(fclose(file), 0);
  for (int by_regex = 0; by_regex < 2; by_regex++) {
    const char *regex = by_regex ? "([0-9]+)\\." : NULL;
    const pmn_source_options *options = OPTIONS(SOURCES("s", "@list", "list"), .label_regex = regex);
    int64_t failures = 0;
    for (pmn_status st = PMN_STATUS_NO_MEMORY; st != PMN_STATUS_OK; failures++) {
      pmn_err err = PMN_ERR_INIT;
      pmn_listing *listing = (pmn_listing *)&err;
      pmn_mem_fail_after(failures);
      st = pmn_listing_create(options, &listing, &err);
      pmn_mem_fail_after(-1);
      if (st == PMN_STATUS_OK) {
        assert_int_equal(pmn_listing_count(listing), 120 + 3000 + 1);
        pmn_listing_destroy(listing);
      } else {
        if (st != PMN_STATUS_NO_MEMORY) fail_msg("allocation %d: status %d, %s", (int)failures, (int)st, err.message);
        assert_int_equal(err.status, st);
        assert_null(listing);
      }
    }
    assert_true(failures > 20);
  }
  leave();
}

/* ------------------------------------------------------------------------------------------------- reading -- */

static void test_read_is_capped(void **state) {
  (void)state;
  make_file("1234.jpg"); /* 8 bytes */
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_listing *listing = list(OPTIONS(SOURCES("1234.jpg")));
  pmn_reader *reader = reader_of(listing, 8);
  pmn_buf_init(&bytes, 8);
  check_ok(pmn_reader_take(reader, 0, &bytes, &err));
  assert_string_equal(bytes.data, "1234.jpg");
  pmn_buf_reset(&bytes);
  pmn_buf_init(&bytes, 7);
  check_fails(pmn_reader_take(reader, 0, &bytes, &err), PMN_STATUS_NOT_FOUND, "8 bytes");
  pmn_buf_reset(&bytes);
  pmn_reader_destroy(reader);
  pmn_reader_destroy(NULL);
  pmn_listing_destroy(listing);
  leave();
}

typedef struct reading {
  const pmn_listing *listing;
  pmn_reader *reader;
} reading;

static void *read_all_items(void *arg) {
  const reading *r = arg;
  pmn_buf bytes;
  pmn_buf_init(&bytes, PATH_MAX);
  int64_t good = 0;
  for (int64_t i = 0; i < pmn_listing_count(r->listing); i++) {
    pmn_item item = pmn_listing_item(r->listing, i);
    if (pmn_reader_take(r->reader, i, &bytes, NULL) == PMN_STATUS_OK && strcmp(bytes.data, item.path) == 0) good++;
  }
  pmn_buf_reset(&bytes);
  return good == pmn_listing_count(r->listing) ? NULL : arg;
}

static void test_many_threads_read(void **state) {
  (void)state;
  pthread_t threads[4];
  char path[32];
  for (int i = 0; i < 100; i++) {
    snprintf(path, sizeof path, "s/%d/%d.jpg", i % 7, i);
    make_file(path);
  }
  pmn_listing *listing = list(OPTIONS(SOURCES("s")));
  reading r = {listing, reader_of(listing, PATH_MAX)};
  for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_all_items, &r), 0);
  for (int i = 0; i < 4; i++) {
    void *failed = NULL;
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
  }
  pmn_reader_destroy(r.reader);
  pmn_listing_destroy(listing);
  leave();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_keys_by_kind_of_source, enter),
      cmocka_unit_test_setup(test_duplicates_are_mentions_never_other_files, enter),
      cmocka_unit_test_setup(test_limit, enter),
      cmocka_unit_test_setup(test_lists, enter),
      cmocka_unit_test_setup(test_list_lines_are_as_long_as_paths, enter),
      cmocka_unit_test_setup(test_standard_input, enter),
      cmocka_unit_test_setup(test_labels_by_level, enter),
      cmocka_unit_test_setup(test_labels_of_the_working_folder_and_of_several_sources, enter),
      cmocka_unit_test_setup(test_labels_by_regex, enter),
      cmocka_unit_test_setup(test_objects_in_lists, enter),
      cmocka_unit_test_setup(test_wrong_sources, enter),
      cmocka_unit_test_setup(test_nothing_found_says_what_to_do, enter),
      cmocka_unit_test_setup(test_every_allocation_may_fail, enter),
      cmocka_unit_test_setup(test_read_is_capped, enter),
      cmocka_unit_test_setup(test_many_threads_read, enter),
  };
  return check_exit(cmocka_run_group_tests_name("source", tests, NULL, NULL));
}
