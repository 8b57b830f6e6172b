/* pmn_outfile.c - see pmn_outfile.h. Names, buffering and hashes; pmn_outfile_kind.h is where the bytes go. */
#include "pmn_outfile.h"

#include "pmn_mem.h"
#include "pmn_outfile_kind.h"
#include "pmn_s3.h"
#include "pmn_text.h"

#include <stdio.h>
#include <string.h>

enum {
  BUFFER_SIZE = 1 << 17,
  SHOWN_MAX = 240, /* bytes of the path shown in messages, so that the reason is not cut off */
};

struct pmn_outfile {
  const pmn_outfile_kind *kind;
  void *state;
  pmn_outfile_name name;
  char *path;
  char shown[SHOWN_MAX + 8];
  pmn_digest *digest;
  char sha256[PMN_SHA256_HEX_SIZE];
  uint64_t hashed_from; /* bytes before that are the head's, and not in `digest` */
  uint64_t size;        /* including what is still in the buffer */
  size_t buffered;
  char buffer[BUFFER_SIZE];
};

/* The path as UTF-8 for messages; of a long one the end, which tells more than the beginning. */
static pmn_status show_path(pmn_outfile *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf text;
  pmn_buf_init(&text, (size_t)1 << 20);
  PMN_TRY(pmn_text_escape(&text, out->path, strlen(out->path), err));
  const char *from = text.size == 0 ? "" : text.data;
  if (text.size > SHOWN_MAX) from += text.size - SHOWN_MAX;
  while (((unsigned char)*from & 0xc0) == 0x80) from++;
  snprintf(out->shown, sizeof out->shown, "%s%s", text.size > SHOWN_MAX ? "..." : "", from);
done:
  pmn_buf_reset(&text);
  return st;
}

/* A handle with its name checked, but no file yet. */
static pmn_status open_name(
    struct pmn_s3 *s3, const char *path, const char *suffix, bool overwrite, pmn_outfile **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = pmn_calloc(1, sizeof *out);
  if (out == NULL) return pmn_err_memory(err, sizeof *out, "an output file");
  size_t length = strlen(path), suffix_size = strlen(suffix) + 1;
  out->path = pmn_alloc(length + suffix_size, 1);
  if (out->path == NULL) {
    st = pmn_err_memory(err, length + suffix_size, "a path");
    goto done;
  }
  memcpy(out->path, path, length);
  memcpy(out->path + length, suffix, suffix_size);
  PMN_TRY(show_path(out, err));
  out->kind = pmn_s3_is_uri(path) ? &pmn_outfile_bucket : &pmn_outfile_disk;
  if (pmn_s3_is_uri(path) && s3 == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s: this file is written to a disk, not to a bucket: name one there, and copy it afterwards (aws s3 cp)",
        out->shown);
  }
  out->name = (pmn_outfile_name){.path = out->path, .shown = out->shown, .overwrite = overwrite, .s3 = s3};
  PMN_TRY(out->kind->open(&out->name, &out->state, err));
  *result = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  return st;
}

pmn_status pmn_outfile_check(struct pmn_s3 *s3, const char *path, const char *suffix, bool overwrite, pmn_err *err) {
  pmn_outfile *out = NULL;
  pmn_status st = open_name(s3, path, suffix, overwrite, &out, err);
  if (st == PMN_STATUS_OK) st = out->kind->check(out->state, err);
  pmn_outfile_destroy(out);
  return st;
}

pmn_status pmn_outfile_create(
    struct pmn_s3 *s3, const char *path, const char *suffix, bool overwrite, pmn_outfile **result, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_outfile *out = NULL;
  PMN_TRY(open_name(s3, path, suffix, overwrite, &out, err));
  out->digest = pmn_digest_create(false);
  if (out->digest == NULL) {
    st = pmn_err_memory(err, 1, "the hash of an output");
    goto done;
  }
  PMN_TRY(out->kind->begin(out->state, err));
  *result = out;
  out = NULL;
done:
  pmn_outfile_destroy(out);
  return st;
}

static pmn_status fail_hash(const pmn_outfile *out, pmn_err *err) {
  return pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute the hash of %s", out->shown);
}

static pmn_status pass_on(pmn_outfile *out, const char *bytes, size_t size, pmn_err *err) {
  if (!pmn_digest_update(out->digest, bytes, size)) return fail_hash(out, err);
  return out->kind->write(out->state, bytes, size, err);
}

static pmn_status flush(pmn_outfile *out, pmn_err *err) {
  size_t size = out->buffered;
  out->buffered = 0;
  return pass_on(out, out->buffer, size, err);
}

pmn_status pmn_outfile_write(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (size > BUFFER_SIZE - out->buffered) PMN_TRY(flush(out, err));
  if (size >= BUFFER_SIZE) {
    PMN_TRY(pass_on(out, bytes, size, err));
  } else if (size > 0) {
    memcpy(out->buffer + out->buffered, bytes, size);
    out->buffered += size;
  }
  out->size += size;
done:
  return st;
}

pmn_status pmn_outfile_write_head(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err) {
  out->size = size;
  out->hashed_from = size;
  return out->kind->write(out->state, bytes, size, err);
}

pmn_status pmn_outfile_hash(pmn_outfile *out, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = flush(out, err);
  if (st != PMN_STATUS_OK) return st;
  return pmn_digest_so_far(out->digest, sha256) ? PMN_STATUS_OK : fail_hash(out, err);
}

pmn_status pmn_outfile_rewrite_head(pmn_outfile *out, const void *bytes, size_t size, pmn_err *err) {
  pmn_status st = flush(out, err);
  return st == PMN_STATUS_OK ? out->kind->rewrite_head(out->state, bytes, size, err) : st;
}

const char *pmn_outfile_path(const pmn_outfile *out) {
  return out->path;
}

uint64_t pmn_outfile_size(const pmn_outfile *out) {
  return out->size;
}

const char *pmn_outfile_sha256(const pmn_outfile *out, uint64_t *from) {
  *from = out->hashed_from;
  return out->sha256;
}

const char *pmn_outfile_upload(pmn_outfile *out) {
  return out->kind->upload(out->state);
}

pmn_status pmn_outfile_seal(pmn_outfile *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(flush(out, err));
  if (out->hashed_from > 0 && out->kind->reread != NULL) {
    pmn_digest_destroy(out->digest);
    out->digest = NULL;
    PMN_TRY(out->kind->reread(out->state, &out->digest, err));
    out->hashed_from = 0;
  }
  if (!pmn_digest_finish(out->digest, NULL, out->sha256)) {
    st = fail_hash(out, err);
    goto done;
  }
  PMN_TRY(out->kind->seal(out->state, err));
done:
  return st;
}

/* What is replaced cannot be put back, so the first file goes first: if that cannot be, all is as it was. */
static pmn_status replace(pmn_outfile *const *files, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_err why = PMN_ERR_INIT;
  size_t shown = 0;
  while (shown < count && st == PMN_STATUS_OK) {
    st = files[shown]->kind->publish(files[shown]->state, &why);
    shown += st == PMN_STATUS_OK;
  }
  if (st == PMN_STATUS_OK) return files[0]->kind->keep(files[0]->state, err);
  if (shown == 0) {
    if (err != NULL) *err = why;
    return st;
  }
  return pmn_err_set(err, st, why.foreign,
      "%.500s; %s is new already, and what is beside it is not: run again and allow to overwrite it", why.message,
      files[0]->shown);
}

pmn_status pmn_outfile_publish(pmn_outfile *const *files, size_t count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t hidden = count; /* files[hidden] and those after it are visible */
  if (count > 0 && files[0]->name.overwrite) return replace(files, count, err);
  while (hidden > 0) {
    PMN_TRY(files[hidden - 1]->kind->publish(files[hidden - 1]->state, err));
    hidden--;
  }
  PMN_TRY(files[0]->kind->keep(files[0]->state, err));
done:
  if (st != PMN_STATUS_OK) {
    for (size_t i = hidden; i < count; i++) files[i]->kind->unpublish(files[i]->state);
  }
  return st;
}

pmn_status pmn_outfile_commit(pmn_outfile *const *files, size_t count, pmn_err *err) {
  for (size_t i = 0; i < count; i++) {
    pmn_status st = pmn_outfile_seal(files[i], err);
    if (st != PMN_STATUS_OK) return st;
  }
  return pmn_outfile_publish(files, count, err);
}

void pmn_outfile_destroy(pmn_outfile *out) {
  if (out == NULL) return;
  if (out->state != NULL) out->kind->close(out->state);
  pmn_digest_destroy(out->digest);
  pmn_free(out->path);
  pmn_free(out);
}

pmn_status pmn_outfile_remove_old(struct pmn_s3 *s3, const char *path, pmn_err *err) {
  pmn_outfile *out = NULL;
  pmn_status st = open_name(s3, path, "", true, &out, err);
  if (st == PMN_STATUS_OK) st = out->kind->remove(out->state, err);
  pmn_outfile_destroy(out);
  return st;
}
