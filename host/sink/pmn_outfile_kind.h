/* pmn_outfile_kind.h - where the bytes of a pmn_outfile go; private to this room.
 *
 * Life of a state: open, then check or remove, or begin, write..., reread, seal, publish; close at any point.
 */
#ifndef PMN_OUTFILE_KIND_H
#define PMN_OUTFILE_KIND_H

#include "pmn_outfile.h"

typedef struct pmn_outfile_name {
  const char *path;  /* whole, with its suffix */
  const char *shown; /* the same for messages: UTF-8, and not so long that the reason is cut off */
  bool overwrite;
  struct pmn_s3 *s3;
} pmn_outfile_name;

typedef struct pmn_outfile_kind {
  /* The name is checked as pmn_outfile_check says; nothing is created. *name lives longer than the state. */
  pmn_status (*open)(const pmn_outfile_name *name, void **state, pmn_err *err);
  pmn_status (*check)(void *state, pmn_err *err); /* may something be created here? */
  pmn_status (*begin)(void *state, pmn_err *err);
  pmn_status (*write)(void *state, const char *bytes, size_t size, pmn_err *err);
  pmn_status (*rewrite_head)(void *state, const char *bytes, size_t size, pmn_err *err);
  /* All bytes once more, after a rewritten head; NULL where they cannot be had back. */
  pmn_status (*reread)(void *state, pmn_digest **digest, pmn_err *err);
  pmn_status (*seal)(void *state, pmn_err *err);
  const char *(*upload)(void *state); /* see pmn_outfile_upload */
  pmn_status (*publish)(void *state, pmn_err *err);
  void (*unpublish)(void *state);
  pmn_status (*keep)(void *state, pmn_err *err); /* after publish: the name itself is to last */
  pmn_status (*remove)(void *state, pmn_err *err);
  void (*close)(void *state); /* removes what is not published */
} pmn_outfile_kind;

extern const pmn_outfile_kind pmn_outfile_disk, pmn_outfile_bucket;

#endif
