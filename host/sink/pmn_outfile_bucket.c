/* pmn_outfile_bucket.c - output files in a bucket; see pmn_outfile_kind.h.
 *
 * Every file is a multipart upload, small ones too: that is what makes a file whole and yet invisible.
 */
#include "pmn_mem.h"
#include "pmn_outfile_kind.h"
#include "pmn_s3.h"

#include <string.h>

enum { DESCRIPTION_MAX = 4 << 20 }; /* bytes: 10,000 parts of an ETag each */

typedef struct object {
  const pmn_outfile_name *file;
  pmn_buf bucket;
  const char *key; /* within file->path */
  pmn_s3_upload *upload;
  pmn_buf description; /* once somebody has asked for it */
} object;

static void close_object(void *state) {
  object *self = state;
  pmn_s3_upload_destroy(self->upload);
  pmn_buf_reset(&self->bucket);
  pmn_buf_reset(&self->description);
  pmn_free(self);
}

/* PMN_STATUS_EXISTS if there is one. */
static pmn_status check_absent(const object *self, const char *message, pmn_err *err) {
  int64_t size;
  char etag[PMN_S3_ETAG];
  pmn_status st = pmn_s3_head(self->file->s3, self->bucket.data, self->key, &size, etag, err);
  if (st == PMN_STATUS_NOT_FOUND) return PMN_STATUS_OK;
  return st != PMN_STATUS_OK ? st : pmn_err_set(err, PMN_STATUS_EXISTS, 0, message, self->file->shown);
}

static pmn_status open_object(const pmn_outfile_name *file, void **state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  object *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an output file");
  self->file = file;
  pmn_buf_init(&self->bucket, 256);
  pmn_buf_init(&self->description, DESCRIPTION_MAX);
  PMN_TRY(pmn_s3_uri_split(file->path, &self->bucket, &self->key, err));
  size_t size = strlen(self->key);
  if (size == 0 || self->key[size - 1] == '/') {
    PMN_FAIL(err, PMN_STATUS_WRITE, "cannot write \"%s\": it names no file", file->shown);
  }
  if (!file->overwrite) {
    PMN_TRY(check_absent(self, "%s exists; choose another name or allow to overwrite it", err));
  }
  *state = self;
  self = NULL;
done:
  if (self != NULL) close_object(self);
  return st;
}

/* Permissions are the server's to know; the first request that needs them will tell. */
static pmn_status check_object(void *state, pmn_err *err) {
  (void)state, (void)err;
  return PMN_STATUS_OK;
}

static pmn_status begin(void *state, pmn_err *err) {
  object *self = state;
  return pmn_s3_upload_create(self->file->s3, self->bucket.data, self->key, &self->upload, err);
}

static pmn_status write_object(void *state, const char *bytes, size_t size, pmn_err *err) {
  object *self = state;
  return pmn_s3_upload_write(self->upload, bytes, size, err);
}

static pmn_status rewrite_head(void *state, const char *bytes, size_t size, pmn_err *err) {
  object *self = state;
  return pmn_s3_upload_rewrite_head(self->upload, bytes, size, err);
}

static pmn_status seal(void *state, pmn_err *err) {
  object *self = state;
  return pmn_s3_upload_finish(self->upload, err);
}

static const char *describe(void *state) {
  object *self = state;
  if (self->description.size == 0 && pmn_s3_upload_describe(self->upload, &self->description, NULL) != PMN_STATUS_OK) {
    pmn_buf_reset(&self->description);
  }
  return self->description.data;
}

static pmn_status publish(void *state, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_err why = PMN_ERR_INIT;
  object *self = state;
  if (!self->file->overwrite) {
    PMN_TRY(
        check_absent(self, "%s appeared while its rows were computed and was left as it is; choose another name", err));
  }
  st = pmn_s3_upload_complete(self->upload, &why);
  if (st == PMN_STATUS_NOT_FOUND) PMN_FAIL(err, PMN_STATUS_WRITE, "%.400s; run again", why.message);
  if (st != PMN_STATUS_OK && err != NULL) *err = why;
done:
  return st;
}

static void unpublish(void *state) {
  object *self = state;
  if (pmn_s3_delete(self->file->s3, self->bucket.data, self->key, NULL) != PMN_STATUS_OK) return;
}

static pmn_status keep(void *state, pmn_err *err) {
  (void)state, (void)err; /* what a server has said is there is there */
  return PMN_STATUS_OK;
}

static pmn_status remove_old(void *state, pmn_err *err) {
  object *self = state;
  return pmn_s3_delete(self->file->s3, self->bucket.data, self->key, err);
}

const pmn_outfile_kind pmn_outfile_bucket = {
    .open = open_object,
    .check = check_object,
    .begin = begin,
    .write = write_object,
    .rewrite_head = rewrite_head,
    .seal = seal,
    .reread = NULL,
    .upload = describe,
    .publish = publish,
    .unpublish = unpublish,
    .keep = keep,
    .remove = remove_old,
    .close = close_object,
};
