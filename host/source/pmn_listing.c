/* pmn_listing.c - see pmn_source.h.
 *
 * Keys are unique and no picture is lost to that: the key decides the path. For one folder the path is that folder, "/"
 * and the key; for everything else the key is the path. So only the path is stored, the key is its end from
 * `key_offset` on, and two entries with one key are two mentions of one path, never two files.
 */
#include "pmn_source.h"

#include "pmn_bucket.h"
#include "pmn_labels.h"
#include "pmn_lines.h"
#include "pmn_mem.h"
#include "pmn_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pmn_listing {
  pmn_names names;
  size_t key_offset;
  int64_t skipped, duplicates;
};

static pmn_status options_check(const pmn_source_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (options->source_count == 0) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "no source: name a folder, a file or @LIST");
  if (options->limit < 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a limit of %lld pictures: it must be 0 or more", (long long)options->limit);
  }
  for (size_t i = 0; i < options->source_count; i++) {
    const char *source = options->sources[i];
    if (source[0] == '\0') PMN_FAIL(err, PMN_STATUS_ARGUMENT, "source %zu is an empty name", i + 1);
    const char *name = source[0] == '@' ? source + 1 : source;
    if (pmn_lines_is_alias(name)) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s: write s3:// instead of %.6s", source, name);
    }
    if (source[0] == '@' && pmn_s3_is_uri(source + 1)) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s: a list is read from a disk; fetch it first", source);
    }
  }
done:
  return st;
}

static pmn_status list_add(pmn_listing *l, const char *path, pmn_err *err) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return pmn_err_set(err, PMN_STATUS_NOT_FOUND, errno, "cannot open the list %.300s: %s", path, strerror(errno));
  }
  pmn_status st = pmn_lines_read(fd, path, &l->names, err);
  close(fd);
  return st;
}

static pmn_status folder_add(pmn_listing *l, const char *source, const pmn_source_options *options, pmn_err *err) {
  if (options->source_count == 1) {
    size_t size = strlen(source);
    while (size > 0 && source[size - 1] == '/') size--;
    l->key_offset = size + 1;
  }
  pmn_walk_filter filter = {options->includes, options->include_count, l->key_offset};
  return pmn_walk_folder(source, &filter, &l->names, &l->skipped, err);
}

static pmn_status source_add(pmn_listing *l, const char *source, const pmn_source_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  struct stat info;
  const char *copy = NULL;
  if (strcmp(source, "-") == 0) return pmn_lines_read(options->list_fd, "standard input", &l->names, err);
  if (source[0] == '@') return list_add(l, source + 1, err);
  if (pmn_s3_is_uri(source)) {
    if (options->s3 == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%.300s: a bucket needs a client", source);
    pmn_walk_filter filter = {options->includes, options->include_count, 0};
    return pmn_bucket_walk(options->s3, source, &filter, &l->names, &l->skipped, err);
  }
  if (stat(source, &info) != 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot find the source %.300s: %s", source, strerror(errno));
  }
  if (S_ISDIR(info.st_mode)) return folder_add(l, source, options, err);
  if (!S_ISREG(info.st_mode)) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND,
        "the source %.300s is neither a folder nor a regular file; to read names from it, write @ before it", source);
  }
  PMN_TRY(pmn_names_copy(&l->names, source, strlen(source), &copy, err));
  PMN_TRY(pmn_names_add(&l->names, copy, err));
done:
  return st;
}

static pmn_status empty_fail(const pmn_listing *l, const pmn_source_options *options, pmn_err *err) {
  char where[256], advice[200];
  if (options->source_count == 1)
    snprintf(where, sizeof where, "%.250s", options->sources[0]);
  else
    snprintf(where, sizeof where, "%zu sources, the first of them %.180s", options->source_count, options->sources[0]);
  if (l->skipped == 0) {
    snprintf(advice, sizeof advice, "no files found (hidden folders are not looked into)");
  } else if (options->include_count == 0) {
    snprintf(advice, sizeof advice,
        "%lld files do not end like pictures (.jpg .jpeg .jpe .jfif .png .webp) or are hidden; %s",
        (long long)l->skipped, "to take all but hidden ones, add --include '*'");
  } else {
    snprintf(advice, sizeof advice,
        "%lld files do not match --include or are hidden; to take all but hidden ones, use --include '*'",
        (long long)l->skipped);
  }
  return pmn_err_set(err, PMN_STATUS_NOT_FOUND, 0, "no pictures in %s: %s", where, advice);
}

pmn_status pmn_listing_create(const pmn_source_options *options, pmn_listing **listing, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_labels labels = {0};
  pmn_listing *l = NULL;
  *listing = NULL;
  PMN_TRY(options_check(options, err));
  /* Before the walk, which may be long: a wrong expression is told at once. */
  PMN_TRY(pmn_labels_init(&labels, options->label_regex, options->label_level, err));
  l = pmn_calloc(1, sizeof *l);
  if (l == NULL) {
    st = pmn_err_memory(err, sizeof *l, "a listing");
    goto done;
  }
  for (size_t i = 0; i < options->source_count; i++) PMN_TRY(source_add(l, options->sources[i], options, err));
  l->duplicates = (int64_t)pmn_names_sort(&l->names);
  if (l->names.count == 0) {
    st = empty_fail(l, options, err);
    goto done;
  }
  if (options->limit > 0 && (uint64_t)options->limit < l->names.count) l->names.count = (size_t)options->limit;
  PMN_TRY(pmn_labels_apply(&labels, l->key_offset, &l->names, err));
  *listing = l;
  l = NULL;
done:
  pmn_labels_reset(&labels);
  pmn_listing_destroy(l);
  return st;
}

void pmn_listing_destroy(pmn_listing *listing) {
  if (listing == NULL) return;
  pmn_names_reset(&listing->names);
  pmn_free(listing);
}

int64_t pmn_listing_count(const pmn_listing *listing) {
  return (int64_t)listing->names.count;
}

pmn_item pmn_listing_item(const pmn_listing *listing, int64_t index) {
  const pmn_name *entry = &listing->names.entries[index];
  return (pmn_item){.key = entry->path + listing->key_offset,
      .path = entry->path,
      .label = entry->label,
      .stored = pmn_s3_is_uri(entry->path) ? pmn_bucket_stored(entry->path) : ""};
}

int64_t pmn_listing_skipped(const pmn_listing *listing) {
  return listing->skipped;
}

int64_t pmn_listing_duplicates(const pmn_listing *listing) {
  return listing->duplicates;
}

bool pmn_listing_has_objects(const pmn_listing *listing) {
  for (size_t i = 0; i < listing->names.count; i++) {
    if (pmn_s3_is_uri(listing->names.entries[i].path)) return true;
  }
  return false;
}
