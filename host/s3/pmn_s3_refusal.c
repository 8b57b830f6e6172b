/* pmn_s3_refusal.c - see pmn_s3_refusal.h. Codes are those of "Error responses" in the manual of S3. */
#include "pmn_s3_refusal.h"

#include "pmn_s3_xml.h"

#include <stdio.h>
#include <string.h>

typedef struct known {
  const char *code;
  pmn_s3_cure cure;
  pmn_status status; /* if there is no cure, or it did not help */
  const char *text;
} known;

static const char try_later[] = "the server cannot do it now";
static const char too_much[] = "the server asks to slow down";
static const char damaged[] = "the request was damaged on its way";
static const char expired[] = "the keys have expired; log in again";
static const known table[] = {
    {"InternalError", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, try_later},
    {"RequestTimeout", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, try_later},
    {"OperationAborted", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, try_later},
    {"BadDigest", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, damaged},
    {"IncompleteBody", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, damaged},
    {"XAmzContentSHA256Mismatch", PMN_S3_CURE_AGAIN, PMN_STATUS_NETWORK, damaged},
    {"SlowDown", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"ServiceUnavailable", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"Throttling", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"ThrottlingException", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"RequestLimitExceeded", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"TooManyRequests", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"BandwidthLimitExceeded", PMN_S3_CURE_SLOWER, PMN_STATUS_NETWORK, too_much},
    {"ExpiredToken", PMN_S3_CURE_KEYS, PMN_STATUS_KEYS, expired},
    {"ExpiredTokenException", PMN_S3_CURE_KEYS, PMN_STATUS_KEYS, expired},
    {"TokenRefreshRequired", PMN_S3_CURE_KEYS, PMN_STATUS_KEYS, expired},
    {"RequestTimeTooSkewed", PMN_S3_CURE_CLOCK, PMN_STATUS_KEYS,
        "the server's clock and this machine's differ; set this one right"},
    {"SignatureDoesNotMatch", PMN_S3_CURE_NONE, PMN_STATUS_KEYS,
        "the server refuses the signature: the secret key is wrong, or a proxy changes requests"},
    {"InvalidAccessKeyId", PMN_S3_CURE_NONE, PMN_STATUS_KEYS, "the server does not know the access key"},
    {"InvalidToken", PMN_S3_CURE_NONE, PMN_STATUS_KEYS, "the session token is not that of the keys"},
    {"AccountProblem", PMN_S3_CURE_NONE, PMN_STATUS_KEYS, "there is a problem with the account"},
    {"NoSuchBucket", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "there is no such bucket"},
    {"NoSuchKey", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "there is no such object"},
    {"NoSuchUpload", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "there is no such upload any more"},
    {"PreconditionFailed", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "the object has changed meanwhile"},
    {"InvalidRange", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "the object has become shorter"},
    {"InvalidObjectState", PMN_S3_CURE_NONE, PMN_STATUS_NOT_FOUND, "the object is archived; restore it first"},
};

static const known *find(const char *code) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    if (strcmp(table[i].code, code) == 0) return &table[i];
  }
  return NULL;
}

static pmn_status take_text(void *arg, const char *path, const char *text, pmn_err *err) {
  pmn_s3_refusal *self = arg;
  (void)err;
  if (strcmp(path, "Code") == 0) snprintf(self->code, sizeof self->code, "%s", text);
  if (strcmp(path, "Message") == 0) snprintf(self->message, sizeof self->message, "%s", text);
  if (strcmp(path, "Region") == 0) snprintf(self->region, sizeof self->region, "%s", text);
  return PMN_STATUS_OK;
}

static pmn_s3_cure cure_by_number(int32_t code) {
  if (code == 429 || code == 503) return PMN_S3_CURE_SLOWER;
  return code == 408 || (code >= 500 && code != 501) ? PMN_S3_CURE_AGAIN : PMN_S3_CURE_NONE;
}

void pmn_s3_refusal_read(const pmn_http_answer *answer, bool head, bool with_token, pmn_s3_refusal *refusal) {
  *refusal = (pmn_s3_refusal){.http_code = answer->code};
  /* No XML, as from a proxy: the number alone has to do. */
  if (pmn_s3_xml_parse(&answer->body, "Error", take_text, refusal, NULL) != PMN_STATUS_OK) refusal->code[0] = '\0';
  const char *region = pmn_http_answer_header(answer, "x-amz-bucket-region");
  if (region[0] != '\0') snprintf(refusal->region, sizeof refusal->region, "%.255s", region);
  if (!pmn_s3_region_valid(refusal->region)) refusal->region[0] = '\0';
  if (answer->redirect != NULL && !pmn_http_host(answer->redirect, refusal->other)) refusal->other[0] = '\0';
  const known *entry = find(refusal->code);
  refusal->cure = entry != NULL ? entry->cure : cure_by_number(answer->code);
  if (head && answer->code == 400 && with_token) refusal->cure = PMN_S3_CURE_KEYS;
  if (head && answer->code == 403) refusal->cure = PMN_S3_CURE_CLOCK; /* its Date tells whether it is that */
}

void pmn_s3_call_name(const pmn_s3_call *call, char name[PMN_S3_NAME]) {
  snprintf(name, PMN_S3_NAME, "s3://%.63s%s%.240s", call->bucket, call->key != NULL ? "/" : "",
      call->key != NULL ? call->key : "");
}

/* What the account must allow for this. */
static const char *right_of(const pmn_s3_call *call) {
  const char *first = call->query_count > 0 ? call->query[0].name : "";
  if (strcmp(call->method, "DELETE") == 0) return first[0] != '\0' ? "s3:AbortMultipartUpload" : "s3:DeleteObject";
  if (call->key == NULL) return strcmp(first, "uploads") == 0 ? "s3:ListBucketMultipartUploads" : "s3:ListBucket";
  if (strcmp(call->method, "HEAD") == 0) return "s3:GetObject and s3:ListBucket"; /* to be told that there is none */
  return call->denied == PMN_STATUS_WRITE ? "s3:PutObject" : "s3:GetObject";
}

static pmn_status tell_denied(
    const pmn_s3_refusal *refusal, const pmn_s3_call *call, const char *name, const char *source, pmn_err *err) {
  bool head = strcmp(call->method, "HEAD") == 0, get = call->key != NULL && strcmp(call->method, "GET") == 0;
  if (refusal->code[0] == '\0' && !head) {
    return pmn_err_set(err, call->denied, 403,
        "%s: access denied (403), but not by S3: does a proxy or another server answer in its place?", name);
  }
  if (source == NULL) {
    return pmn_err_set(err, call->denied, 403, "%s: access without keys is denied; leave out --no-sign-request", name);
  }
  /* Of late S3 says who lacks which right, and whose policy it is. */
  if (refusal->message[0] != '\0' && strncmp(refusal->message, "Access Denied", 13) != 0) {
    bool named = strstr(refusal->message, "s3:") != NULL || strstr(refusal->message, "perform: ") != NULL;
    return pmn_err_set(err, call->denied, 403, "%s: access denied with the keys of %.100s: %s%s%s", name, source,
        refusal->message, named ? "" : "; this takes ", named ? "" : right_of(call));
  }
  return pmn_err_set(err, call->denied, 403,
      "%s: access denied with the keys of %.100s; is it the right account, does it allow %s%s?", name, source,
      right_of(call), get ? ", and is the object there" : "");
}

/* The server sends elsewhere, and the region that it may have named was tried. */
static pmn_status tell_redirected(const pmn_s3_refusal *refusal, const char *name, pmn_err *err) {
  bool region = refusal->region[0] != '\0';
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, refusal->http_code,
      "%s: the server refers to %.100s%s%.63s (%d), which is not followed; are --region and --endpoint-url right?",
      name, refusal->other[0] != '\0' ? refusal->other : "another one", region ? " in region " : "", refusal->region,
      (int)refusal->http_code);
}

pmn_status pmn_s3_refusal_tell(
    const pmn_s3_refusal *refusal, const pmn_s3_call *call, const char *source, pmn_err *err) {
  char name[PMN_S3_NAME];
  int32_t code = refusal->http_code;
  const known *entry = find(refusal->code);
  bool writes = call->denied == PMN_STATUS_WRITE;
  pmn_s3_call_name(call, name);
  if (entry != NULL) {
    pmn_status status = writes && entry->status == PMN_STATUS_NOT_FOUND ? PMN_STATUS_WRITE : entry->status;
    bool keys = status == PMN_STATUS_KEYS && source != NULL;
    return pmn_err_set(err, status, code, "%s: %s (%s%s%.100s)", name, entry->text, refusal->code,
        keys ? "; keys of " : "", keys ? source : "");
  }
  bool denied = refusal->code[0] == '\0' || strcmp(refusal->code, "AccessDenied") == 0;
  if (code == 403 && denied) return tell_denied(refusal, call, name, source, err);
  if (code == 404)
    return pmn_err_set(err, writes ? call->denied : PMN_STATUS_NOT_FOUND, code, "%s: there is none", name);
  if (code >= 300 && code < 400) return tell_redirected(refusal, name, err);
  if (code == 407) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, code,
        "%s: the proxy asks for a name and a password: http://NAME:PASSWORD@HOST:PORT in http_proxy or https_proxy",
        name);
  }
  /* S3's word on one object is about that object. */
  bool one = call->key != NULL && refusal->code[0] != '\0';
  pmn_status status = cure_by_number(code) != PMN_S3_CURE_NONE ? PMN_STATUS_NETWORK
                      : writes || one                          ? call->denied
                                                               : PMN_STATUS_ARGUMENT;
  return pmn_err_set(err, status, code, "%s: the server answers %d%s%s%s%s", name, (int)code,
      refusal->code[0] != '\0' ? " " : "", refusal->code, refusal->message[0] != '\0' ? ": " : "", refusal->message);
}
