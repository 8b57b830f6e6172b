/* listing_check.h - for tests of listings: files to list, options in a line, and what a listing must be. */
#ifndef LISTING_CHECK_H
#define LISTING_CHECK_H

#include "source_check.h"

#include "pmn_reader.h"

#include <errno.h>
#include <limits.h>

/* A file that holds its own name, with the folders it needs. */
static inline void make_file(const char *path) {
  char parent[PATH_MAX];
  for (size_t i = 1; path[i] != '\0'; i++) {
    if (path[i] != '/') continue;
    memcpy(parent, path, i);
    parent[i] = '\0';
    if (mkdir(parent, 0755) != 0) assert_int_equal(errno, EEXIST);
  }
  put_text(path, path);
}

#define LIST(bytes) put("list", bytes, sizeof(bytes) - 1)

#define SOURCES(...)                                                                                                   \
  .sources = (const char *const[]){__VA_ARGS__},                                                                       \
  .source_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define INCLUDES(...)                                                                                                  \
  .includes = (const char *const[]){__VA_ARGS__},                                                                      \
  .include_count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define OPTIONS(...)                                                                                                   \
  &(pmn_source_options) {                                                                                              \
    __VA_ARGS__                                                                                                        \
  }

static inline pmn_listing *list(const pmn_source_options *options) {
  pmn_err err = PMN_ERR_INIT;
  pmn_listing *listing = NULL;
  check_ok(pmn_listing_create(options, &listing, &err));
  return listing;
}

#define check_list_fails(options, expected, text)                                                                      \
  do {                                                                                                                 \
    pmn_err err = PMN_ERR_INIT;                                                                                        \
    pmn_listing *none = (pmn_listing *)&err;                                                                           \
    check_fails(pmn_listing_create(options, &none, &err), expected, text);                                             \
    assert_null(none);                                                                                                 \
  } while (0)

/* The keys of the listing are these, in this order; the counts are these. Destroys it. */
#define check_keys(listing, skipped, duplicates, ...)                                                                  \
  keys_check(listing, skipped, duplicates, (const char *const[]){__VA_ARGS__},                                         \
      (int64_t)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static inline void keys_check(
    pmn_listing *listing, int64_t skipped, int64_t duplicates, const char *const *keys, int64_t count) {
  for (int64_t i = 0; i < pmn_listing_count(listing) && i < count; i++) {
    assert_string_equal(pmn_listing_item(listing, i).key, keys[i]);
  }
  assert_int_equal(pmn_listing_count(listing), count);
  assert_int_equal(pmn_listing_skipped(listing), skipped);
  assert_int_equal(pmn_listing_duplicates(listing), duplicates);
  pmn_listing_destroy(listing);
}

static inline pmn_reader *reader_of(const pmn_listing *listing, size_t bytes_max) {
  pmn_err err = PMN_ERR_INIT;
  pmn_reader *reader = NULL;
  check_ok(pmn_reader_create(&(pmn_reader_options){.listing = listing, .bytes_max = bytes_max}, &reader, &err));
  return reader;
}

/* Reading item i gives the name of the file it is, which make_file put into it. */
static inline void check_content(const pmn_listing *listing, int64_t index, const char *name) {
  pmn_err err = PMN_ERR_INIT;
  pmn_buf bytes;
  pmn_buf_init(&bytes, PATH_MAX);
  pmn_reader *reader = reader_of(listing, PATH_MAX);
  check_ok(pmn_reader_take(reader, index, &bytes, &err));
  assert_int_equal(bytes.size, strlen(name));
  assert_string_equal(bytes.data, name);
  pmn_buf_reset(&bytes);
  pmn_reader_destroy(reader);
}

#endif
