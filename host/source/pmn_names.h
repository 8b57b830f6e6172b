/* pmn_names.h - the names of a listing: a table of entries over texts that are packed into large chunks and never move.
 *
 * Built for 10^7 names: 16 bytes an entry and the bytes of its path, no allocation of its own for any name.
 */
#ifndef PMN_NAMES_H
#define PMN_NAMES_H

#include "pmn_buf.h"

typedef struct pmn_name {
  const char *path;  /* as opened; the key is the end of it, from the listing's key offset on */
  const char *label; /* NULL until labels are set */
} pmn_name;

typedef struct pmn_names {
  pmn_name *entries;
  size_t count, capacity;
  struct pmn_names_chunk *chunks;
  char *room; /* of the newest chunk */
  size_t left, chunk_size;
} pmn_names; /* all zero is empty */

void pmn_names_reset(pmn_names *names);
/* Keeps a copy of `size` bytes, with a NUL behind them. */
PMN_MUST_USE pmn_status pmn_names_copy(
    pmn_names *names, const char *text, size_t size, const char **copy, pmn_err *err);
/* Keeps the text folder + "/" + name. */
PMN_MUST_USE pmn_status pmn_names_join(
    pmn_names *names, const char *folder, size_t folder_size, const char *name, const char **joined, pmn_err *err);
/* Gives back the room of `text`, the last that was kept. */
void pmn_names_undo(pmn_names *names, const char *text);
/* Keeps the bytes of `buf`, which is empty afterwards, in place. */
PMN_MUST_USE pmn_status pmn_names_adopt(pmn_names *names, pmn_buf *buf, pmn_err *err);
/* Adds an entry for a text that is kept. */
PMN_MUST_USE pmn_status pmn_names_add(pmn_names *names, const char *path, pmn_err *err);
/* Sorts byte-wise by path and drops every entry whose path is that of another; returns how many went. */
size_t pmn_names_sort(pmn_names *names);

#endif
