/* pmn_s3_sts.c - see pmn_s3_source.h: keys of a role, from AWS's Security Token Service.
 *
 * One POST: signed by the keys that may assume the role, or carrying the token of a web identity in their place. The
 * answer is XML, of which the texts of six elements matter.
 */
#include "pmn_mem.h"
#include "pmn_s3_profile.h"
#include "pmn_s3_source.h"
#include "pmn_s3_xml.h"
#include "pmn_sha256.h"
#include "pmn_text.h"

#include <stdio.h>
#include <string.h>

enum { DURATION_MIN = 900, DURATION_MAX = 43200, LINES_MAX = 10 };

/* ---------------------------------------------------------------------------------------------------- the call -- */

typedef struct call {
  const char *where;
  pmn_buf url, body, lines;
  const char *headers[LINES_MAX]; /* into lines */
  size_t header_count;
  pmn_http_answer answer;
} call;

static pmn_status add_field(call *self, const char *name, const char *value, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  if (value == NULL) return PMN_STATUS_OK;
  PMN_TRY(pmn_buf_printf(&self->body, err, "&%s=", name));
  for (; *value != '\0'; value++) {
    bool keep = strchr(plain, *value) != NULL;
    PMN_TRY(pmn_buf_printf(&self->body, err, keep ? "%c" : "%%%02X", (unsigned char)*value));
  }
done:
  return st;
}

static pmn_status write_body(call *self, const pmn_s3_role *role, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int64_t seconds;
  pmn_buf token;
  pmn_buf_init(&token, PMN_S3_TOKEN_MAX);
  if (role->duration_seconds != NULL && !pmn_text_int64(role->duration_seconds, DURATION_MIN, DURATION_MAX, &seconds)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: duration_seconds is no number from %d to %d", self->where, DURATION_MIN,
        DURATION_MAX);
  }
  PMN_TRY(pmn_buf_reserve(&self->body, 4 * PMN_S3_TOKEN_MAX, err)); /* so that a token is not strewn about */
  PMN_TRY(pmn_buf_printf(
      &self->body, err, "Action=AssumeRole%s&Version=2011-06-15", role->token_file != NULL ? "WithWebIdentity" : ""));
  PMN_TRY(add_field(self, "RoleArn", role->arn, err));
  PMN_TRY(add_field(self, "RoleSessionName", role->session_name != NULL ? role->session_name : "pomona", err));
  PMN_TRY(add_field(self, "ExternalId", role->external_id, err));
  PMN_TRY(add_field(self, "DurationSeconds", role->duration_seconds, err));
  if (role->token_file != NULL) {
    PMN_TRY(pmn_s3_token_read(role->token_file, self->where, &token, err)); /* anew each time: it is rotated */
    PMN_TRY(add_field(self, "WebIdentityToken", token.data, err));
  }
done:
  pmn_s3_wipe(&token);
  return st;
}

static pmn_status write_headers(call *self, const char *region, const pmn_s3_keys *signer, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char digest[PMN_SHA256_HEX_SIZE];
  const void *parts[] = {self->body.data};
  static const pmn_s3_pair type = {"content-type", "application/x-www-form-urlencoded; charset=utf-8"};
  PMN_TRY(pmn_buf_reserve(&self->lines, PMN_S3_TOKEN_MAX + 4096, err));
  PMN_TRY(pmn_buf_printf(&self->lines, err, "%s: %s\n", type.name, type.value));
  if (signer != NULL) {
    PMN_TRY(pmn_sha256_hex(parts, &self->body.size, 1, digest, err));
    const pmn_s3_request request = {.method = "POST",
        .host = strstr(self->url.data, "://") + 3,
        .path = "/",
        .headers = {type},
        .header_count = 1,
        .payload_sha256 = digest};
    PMN_TRY(pmn_s3_sign(&request, signer, region, "sts", time(NULL), &self->lines, err));
  }
  for (char *line = self->lines.data; *line != '\0';) {
    char *end = strchr(line, '\n');
    if (self->header_count == LINES_MAX) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: too many headers", self->where);
    self->headers[self->header_count++] = line;
    *end = '\0';
    line = end + 1;
  }
done:
  return st;
}

/* -------------------------------------------------------------------------------------------------- the answer -- */

enum { ACCESS_KEY, SECRET_KEY, TOKEN, EXPIRATION, CODE, MESSAGE, TEXTS };
static const char *const elements[TEXTS] = {
    "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Code", "Message"};

/* An element's name is enough: where it stands differs from action to action. */
static pmn_status take_text(void *arg, const char *path, const char *text, pmn_err *err) {
  pmn_buf *texts = arg;
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  for (int i = 0; i < TEXTS; i++) {
    if (strcmp(name, elements[i]) != 0) continue;
    pmn_s3_wipe(&texts[i]);
    return pmn_buf_append(&texts[i], text, strlen(text), err);
  }
  return PMN_STATUS_OK;
}

static const char *text_of(const pmn_buf *text) {
  return text->data != NULL ? text->data : "";
}

/* What may pass by itself, though the code is 400. */
static bool is_temporary(const char *code) {
  return strncmp(code, "Throttling", 10) == 0 || strcmp(code, "RequestLimitExceeded") == 0 ||
         strcmp(code, "IDPCommunicationError") == 0;
}

static pmn_status read_answer(const call *self, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_http_answer *answer = &self->answer;
  const char *url = self->url.data;
  pmn_buf texts[TEXTS];
  for (int i = 0; i < TEXTS; i++) pmn_buf_init(&texts[i], PMN_S3_TOKEN_MAX);
  pmn_status parsed = pmn_s3_xml_parse(&answer->body, NULL, take_text, texts, NULL);
  if (parsed == PMN_STATUS_NO_MEMORY) PMN_TRY(pmn_err_memory(err, answer->body.size, "an answer of STS"));
  const char *code = text_of(&texts[CODE]);
  if (answer->code != 200) {
    bool temporary = answer->code >= 500 || answer->code == 429 || is_temporary(code);
    PMN_FAIL(err, temporary ? PMN_STATUS_NETWORK : PMN_STATUS_KEYS, "%s: %.100s answers %d%s%.80s%s%.200s", self->where,
        url, answer->code, code[0] != '\0' ? " " : "", code, code[0] != '\0' ? ": " : "", text_of(&texts[MESSAGE]));
  }
  if (parsed != PMN_STATUS_OK) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: %.100s answers what is not STS's XML", self->where, url);
  }
  PMN_TRY(pmn_s3_keys_set(text_of(&texts[ACCESS_KEY]), text_of(&texts[SECRET_KEY]), text_of(&texts[TOKEN]),
      text_of(&texts[EXPIRATION]), self->where, keys, err));
done:
  for (int i = 0; i < TEXTS; i++) pmn_s3_wipe(&texts[i]);
  return st;
}

pmn_status pmn_s3_sts_keys(const pmn_s3_config *config, pmn_http *http, const pmn_s3_role *role,
    const pmn_s3_keys *signer, const char *where, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  call self = {.where = where};
  const char *region = config->region != NULL ? config->region : "us-east-1";
  pmn_http_answer_init(&self.answer);
  pmn_buf_init(&self.url, 1024);
  pmn_buf_init(&self.body, 1 << 18);
  pmn_buf_init(&self.lines, 1 << 16);
  if (config->sts_endpoint != NULL)
    PMN_TRY(pmn_buf_printf(&self.url, err, "%s", config->sts_endpoint));
  else if (config->region != NULL)
    PMN_TRY(pmn_buf_printf(&self.url, err, "https://sts.%s.%s", region, pmn_s3_region_domain(region)));
  else
    PMN_TRY(pmn_buf_printf(&self.url, err, "https://sts.amazonaws.com"));
  PMN_TRY(write_body(&self, role, err));
  PMN_TRY(write_headers(&self, region, role->token_file == NULL ? signer : NULL, err));
  PMN_TRY(pmn_buf_append(&self.url, "/", 1, err));
  const pmn_http_request request = {.method = "POST",
      .url = self.url.data,
      .headers = self.headers,
      .header_count = self.header_count,
      .body = self.body.data,
      .body_size = self.body.size,
      .answer_max = PMN_S3_ANSWER_MAX};
  pmn_http_call(http, &request, &self.answer);
  if (self.answer.status != PMN_STATUS_OK) {
    PMN_FAIL(err, self.answer.status, "%s: %.100s: %.200s", where, self.url.data,
        self.answer.status == PMN_STATUS_INTERRUPTED ? "interrupted" : self.answer.reason);
  }
  PMN_TRY(read_answer(&self, keys, err));
done:
  pmn_s3_wipe(&self.answer.body);
  pmn_http_answer_reset(&self.answer);
  pmn_s3_wipe(&self.body);
  pmn_s3_wipe(&self.lines);
  pmn_buf_reset(&self.url);
  return st;
}
