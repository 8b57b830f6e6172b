/* pmn_sink_format.h - what a file format has to do for pmn_sink.c; private to this room.
 *
 * A format only turns rows into bytes of the files it is handed: creating, naming, committing and removing files is the
 * sink's business, the same for all formats.
 */
#ifndef PMN_SINK_FORMAT_H
#define PMN_SINK_FORMAT_H

#include "pmn_outfile.h"
#include "pmn_sink.h"

#define PMN_SINK_FILES_MAX 2

typedef struct pmn_sink_format {
  const char *name;                         /* also the ending of a file name, after a dot */
  const char *suffixes[PMN_SINK_FILES_MAX]; /* files by what is added to the output's name; first "", then companions */
  bool holds_record;                        /* the run record is in the file itself */
  /* files[i] belongs to suffixes[i] and is open until after destroy; *state is handed to the calls below. */
  pmn_status (*create)(const pmn_sink_options *options, pmn_outfile *const *files, void **state, pmn_err *err);
  /* `bytes` [n, width] are the features where options->values are bytes, else NULL. */
  pmn_status (*write)(void *state, const pmn_row_block *rows, const uint8_t *bytes, pmn_err *err);
  /* The last bytes of all files; `record` is for formats that hold one. */
  pmn_status (*finish)(void *state, const char *record, pmn_err *err);
  void (*destroy)(void *state); /* accepts NULL */
} pmn_sink_format;

extern const pmn_sink_format pmn_sink_csv, pmn_sink_npy, pmn_sink_parquet;

#endif
