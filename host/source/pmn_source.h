/* pmn_source.h - which pictures there are, in which order, with which labels, and their bytes.
 *
 * A listing is complete and sorted (byte-wise by key) before the first picture is read, so row i of any run over the
 * same files is the same picture. Keys are unique.
 *
 *   SOURCE       key of a picture
 *   folder       path relative to the folder; with several sources: the source as given, "/", that path
 *   file         the path as given
 *   @list.txt    each line of it, as given (relative to the working folder)
 *   -            the same, from standard input
 *   s3://B/P     the whole URI of each object below the prefix; lists may hold such URIs too
 *
 * Slashes at the end of a folder's name are no part of it. The key decides the path, so equal keys are always the same
 * file: it is listed once, and its other mentions are counted as duplicates.
 *
 * Lists are split at NUL if they contain one, else at newline (a final CR is part of the line's end); empty lines are
 * skipped. Lines are not looked up: one that names no picture is found out when it is read.
 *
 * Folders are walked recursively, symbolic links followed; a link that leads back to a folder above it is an error.
 * Hidden folders (leading dot) are not entered, hidden files not listed. Files found in a folder are listed if they
 * match an include glob or, without globs, if their name ends like a picture's (.jpg .jpeg .jpe .jfif .png .webp, any
 * case); others are counted as skipped, and so are hidden ones that would be listed but for their dot. What is no
 * regular file (a link to nothing, a FIFO) is judged by its name too: it is listed, and reading it tells the reason.
 * Files named by the user are always listed.
 *
 * Label levels count the components of a picture's folder; empty ones and "." do not count.
 *   N >= 0   from the start of the key: 0 is the topmost folder of the key. "" if the key has fewer.
 *   N < 0    from the end of the path as it is opened: -1 is the folder the picture lies in, even if that is the source
 *            itself. From a ".." on, or above the start of a relative path, the folders' real names are used. "" above
 *            the root.
 * In a bucket folders are counted below it: 0 is the topmost behind "s3://bucket/", and ".." is a name like any other.
 *   "Training/" with key "Apple/1.jpg": -1 Apple, 0 Apple, -2 Training.  "Apple/" with key "1.jpg": -1 Apple, 0 "".
 */
#ifndef PMN_SOURCE_H
#define PMN_SOURCE_H

#include "pmn_buf.h"

typedef struct pmn_source_options {
  const char *const *sources;
  size_t source_count;
  const char *const *includes; /* fnmatch(3) globs, on the key if they hold a slash (* matches it), else on the name */
  size_t include_count;
  int32_t label_level;     /* -1: the folder the picture lies in */
  const char *label_regex; /* POSIX extended, on the key: group 1, or the whole match without groups; NULL: by level */
  int64_t limit;           /* keep the first N of the sorted listing; 0: all */
  int list_fd;             /* what "-" reads: 0 in the program */
  struct pmn_s3 *s3;       /* NULL if no source is s3:// */
} pmn_source_options;

/* One picture. Texts are NUL-terminated raw bytes as the file system has them, not necessarily UTF-8. */
typedef struct pmn_item {
  const char *key;
  const char *path;   /* what is opened */
  const char *label;  /* "" where the level or the regex finds none */
  const char *stored; /* of an object in a bucket its size and ETag, as far as they are known; else "" */
} pmn_item;

typedef struct pmn_listing pmn_listing; /* immutable once created: any number of threads may read it */

/* PMN_STATUS_NOT_FOUND (a source or folder missing or unreadable, a loop of links, nothing found: the message says
 * which and what to do), PMN_STATUS_ARGUMENT (bad regex, no or an empty source, a negative limit, a list line that is
 * too long, s3a://), PMN_STATUS_NO_MEMORY; of buckets the errors of pmn_s3.h. */
PMN_MUST_USE pmn_status pmn_listing_create(const pmn_source_options *options, pmn_listing **listing, pmn_err *err);
void pmn_listing_destroy(pmn_listing *listing);

int64_t pmn_listing_count(const pmn_listing *listing);
pmn_item pmn_listing_item(const pmn_listing *listing, int64_t index); /* borrowed from the listing */
int64_t pmn_listing_skipped(const pmn_listing *listing);              /* files in folders left out by their names */
int64_t pmn_listing_duplicates(const pmn_listing *listing);           /* mentions of a key beyond its first */

/* True if any path is s3://. */
bool pmn_listing_has_objects(const pmn_listing *listing);

#endif
