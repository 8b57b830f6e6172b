/* pmn_s3.c - the client as a whole, and names of things in S3; see pmn_s3.h. */
#include "pmn_s3.h"

#include "pmn_mem.h"
#include "pmn_s3_client.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { BUCKET_MIN = 3, BUCKET_MAX = 255 }; /* 63 now; before 2018 longer names could be had in us-east-1 */

bool pmn_s3_is_uri(const char *text) {
  return strncmp(text, "s3://", 5) == 0;
}

static bool is_bucket(const char *name, size_t length) {
  if (length < BUCKET_MIN || length > BUCKET_MAX) return false;
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)name[i];
    bool inner = i > 0 && i + 1 < length && (c == '.' || c == '-' || c == '_') && !(c == '.' && name[i - 1] == '.');
    if (c >= 128 || !(isalnum(c) || inner)) return false;
  }
  return true;
}

pmn_status pmn_s3_uri_split(const char *uri, pmn_buf *bucket, const char **key, pmn_err *err) {
  if (!pmn_s3_is_uri(uri)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%.300s is no address in S3; they look like s3://bucket/key", uri);
  }
  const char *name = uri + 5;
  size_t length = strcspn(name, "/");
  if (!is_bucket(name, length)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%.300s: \"%.*s\" is no name of a bucket (3 to 255 letters, digits, hyphens, dots)", uri,
        length > 80 ? 80 : (int)length, name);
  }
  *key = name + length + (name[length] == '/');
  return pmn_buf_append(bucket, name, length, err);
}

/* While a client lives the process leaves no core file: keys are in its memory, and in its environment. */
static void forbid_core(bool forbid) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static int clients, before;
  pthread_mutex_lock(&lock);
  if (forbid && clients++ == 0) {
    before = prctl(PR_GET_DUMPABLE);
    prctl(PR_SET_DUMPABLE, 0);
  }
  if (!forbid && --clients == 0 && before == 1) prctl(PR_SET_DUMPABLE, 1);
  pthread_mutex_unlock(&lock);
}

static void describe(pmn_s3 *self) {
  const pmn_s3_config *c = self->config;
  snprintf(self->text, sizeof self->text, "%.200s, region %.63s, %.150s", c->endpoint != NULL ? c->endpoint : "AWS",
      c->region != NULL     ? c->region
      : c->endpoint != NULL ? "us-east-1"
                            : "of the bucket",
      c->no_sign_request ? "no signature" : pmn_s3_credentials_source(self->credentials));
}

pmn_status pmn_s3_create(const pmn_s3_options *options, pmn_s3 **s3, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3 *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a client of S3");
  pthread_mutex_init(&self->lock, NULL);
  forbid_core(true);
  PMN_TRY(pmn_s3_config_create(&options->flags, &self->config, err));
  const pmn_http_options http = {
      .in_flight_max = PMN_S3_IN_FLIGHT, .ca_bundle = self->config->ca_bundle, .stop = options->stop};
  PMN_TRY(pmn_http_create(&http, &self->http, err));
  PMN_TRY(pmn_s3_credentials_create(self->config, self->http, &self->credentials, err));
  PMN_TRY(pmn_s3_caller_create(self, &self->caller, err));
  describe(self);
  *s3 = self;
  self = NULL;
done:
  pmn_s3_destroy(self);
  return st;
}

void pmn_s3_destroy(pmn_s3 *s3) {
  if (s3 == NULL) return;
  pmn_s3_caller_destroy(s3->caller);
  pmn_s3_credentials_destroy(s3->credentials);
  pmn_http_destroy(s3->http);
  pmn_s3_config_destroy(s3->config);
  pthread_mutex_destroy(&s3->lock);
  pmn_free(s3);
  forbid_core(false);
}

bool pmn_s3_undeleted(pmn_s3 *s3, pmn_err *why) {
  pthread_mutex_lock(&s3->lock);
  *why = s3->undeleted;
  pthread_mutex_unlock(&s3->lock);
  return why->status != PMN_STATUS_OK;
}

const char *pmn_s3_describe(const pmn_s3 *s3) {
  return s3->text;
}
