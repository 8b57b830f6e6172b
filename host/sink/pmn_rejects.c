/* pmn_rejects.c - the list of pictures left out: path,stage,reason. Most runs have none, so its file is made late. */
#include "pmn_companion.h"
#include "pmn_csv_text.h"
#include "pmn_mem.h"
#include "pmn_outfile.h"
#include "pmn_sink.h"

#include <string.h>

struct pmn_rejects {
  struct pmn_s3 *s3;
  char *path;
  bool overwrite;
  pmn_outfile *file; /* NULL until the first line */
  bool closed;       /* committed, or failed and so in no state to be committed */
  pmn_buf line;
};

static const char HEADER[] = "path,stage,reason\n";
enum { HEADER_SIZE = sizeof HEADER - 1 };

pmn_status pmn_rejects_create(struct pmn_s3 *s3, const char *path, bool overwrite, pmn_rejects **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_rejects *rejects = NULL;
  /* Told now, not after hours of work. */
  PMN_TRY(pmn_outfile_check(s3, path, "", overwrite, err));
  /* A run without rejects removes the list of an older one, and nothing else that has its name. */
  if (overwrite) PMN_TRY(pmn_companion_check(s3, path, "", HEADER, "list of rejects", err));
  rejects = pmn_calloc(1, sizeof *rejects);
  if (rejects == NULL) {
    st = pmn_err_memory(err, sizeof *rejects, "the list of rejects");
    goto done;
  }
  pmn_buf_init(&rejects->line, 3 * PMN_CSV_FIELD_MAX);
  rejects->s3 = s3;
  rejects->overwrite = overwrite;
  rejects->path = pmn_strdup(path);
  if (rejects->path == NULL) {
    st = pmn_err_memory(err, strlen(path) + 1, "a path");
    goto done;
  }
  *result = rejects;
  rejects = NULL;
done:
  pmn_rejects_destroy(rejects);
  return st;
}

static pmn_status refuse_closed(pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a list of rejects that failed or was committed takes no more calls");
}

pmn_status pmn_rejects_add(pmn_rejects *rejects, const char *key, const char *stage, const char *reason, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (rejects->closed) return refuse_closed(err);
  if (rejects->file == NULL) {
    PMN_TRY(pmn_outfile_create(rejects->s3, rejects->path, "", rejects->overwrite, &rejects->file, err));
    PMN_TRY(pmn_outfile_write(rejects->file, HEADER, HEADER_SIZE, err));
  }
  pmn_buf *line = &rejects->line;
  pmn_buf_clear(line);
  PMN_TRY(pmn_csv_text_append(line, key, err));
  PMN_TRY(pmn_buf_append(line, ",", 1, err));
  PMN_TRY(pmn_csv_text_append(line, stage, err));
  PMN_TRY(pmn_buf_append(line, ",", 1, err));
  PMN_TRY(pmn_csv_text_append(line, reason, err));
  PMN_TRY(pmn_buf_append(line, "\n", 1, err));
  PMN_TRY(pmn_outfile_write(rejects->file, line->data, line->size, err));
done:
  rejects->closed = st != PMN_STATUS_OK;
  return st;
}

pmn_status pmn_rejects_seal(pmn_rejects *rejects, pmn_outfile **file, pmn_err *err) {
  *file = NULL;
  if (rejects->closed) return refuse_closed(err);
  rejects->closed = true;
  pmn_status st = rejects->file != NULL ? pmn_outfile_seal(rejects->file, err) : PMN_STATUS_OK;
  if (st == PMN_STATUS_OK) *file = rejects->file;
  return st;
}

pmn_status pmn_rejects_commit(pmn_rejects *rejects, pmn_err *err) {
  if (rejects->closed) return refuse_closed(err);
  rejects->closed = true;
  if (rejects->file != NULL) return pmn_outfile_commit(&rejects->file, 1, err);
  return rejects->overwrite ? pmn_outfile_remove_old(rejects->s3, rejects->path, err) : PMN_STATUS_OK;
}

void pmn_rejects_destroy(pmn_rejects *rejects) {
  if (rejects == NULL) return;
  pmn_outfile_destroy(rejects->file);
  pmn_buf_reset(&rejects->line);
  pmn_free(rejects->path);
  pmn_free(rejects);
}
