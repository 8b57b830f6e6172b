/* pmn_s3_metadata.c - see pmn_s3_source.h: the services inside AWS that give a container or an instance its keys.
 *
 * Both are asked without a proxy. Over plain http a container's keys, and the token that asks for them, only go where
 * the network is the machine's own. EC2's service is only asked in its second version, whose token a program that is
 * tricked into fetching an address cannot get.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_mem.h"
#include "pmn_s3_profile.h"
#include "pmn_s3_source.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { IMDS_TRIES = 2, IMDS_TOKEN_MAX = 1024, NAME_MAX_BYTES = 64, URL_MAX = 4096 };
#define IMDS_CONNECT_SECONDS 1.0
#define IMDS_STALL_SECONDS 2.0 /* a hop limit too low lets the connection through, but not the token */
#define CONTAINER_CONNECT_SECONDS 2.0
#define CONTAINER_STALL_SECONDS 5.0
static const char container[] = "the container's credentials service", imds[] = "EC2's instance metadata service";

static void forget(pmn_http_answer *answer) {
  pmn_s3_wipe(&answer->body);
  pmn_http_answer_reset(answer);
}

/* A status for everything but 200. */
static pmn_status judge(const pmn_http_answer *answer, const char *where, const char *url, pmn_err *err) {
  if (answer->status == PMN_STATUS_NETWORK) {
    return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "%s at %.150s: %.200s", where, url, answer->reason);
  }
  if (answer->status != PMN_STATUS_OK) {
    return pmn_err_set(err, answer->status, 0, "%s at %.150s: %.200s", where, url,
        answer->status == PMN_STATUS_INTERRUPTED ? "interrupted" : answer->reason);
  }
  if (answer->code == 200) return PMN_STATUS_OK;
  return pmn_err_set(err, answer->code >= 500 || answer->code == 429 ? PMN_STATUS_NETWORK : PMN_STATUS_ARGUMENT,
      answer->code, "%s at %.150s answers %d", where, url, answer->code);
}

/* --------------------------------------------------------------------------------------------------- containers -- */

static bool is_own_network(const char *host) {
  static const char *const others[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
  bool own = pmn_http_host_is_loopback(host);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) own = own || strcasecmp(host, others[i]) == 0;
  return own;
}

static pmn_status check_url(const char *url, pmn_err *err) {
  char host[PMN_HTTP_TEXT];
  bool good = pmn_http_host(url, host) && (strncasecmp(url, "https:", 6) == 0 || is_own_network(host));
  for (const char *c = url; *c != '\0'; c++) good = good && *c > ' ' && *c < 127;
  if (good) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "AWS_CONTAINER_CREDENTIALS_FULL_URI: only https, or http to this machine, 169.254.170.2, 169.254.170.23 or "
      "fd00:ec2::23");
}

pmn_status pmn_s3_container_url(pmn_buf *url, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *path = pmn_s3_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  const char *full = pmn_s3_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (path == NULL) {
    PMN_TRY(check_url(full != NULL ? full : "", err));
    PMN_TRY(pmn_buf_printf(url, err, "%s", full));
    goto done;
  }
  bool good = path[0] == '/';
  for (const char *c = path; *c != '\0'; c++) good = good && *c > ' ' && *c < 127;
  if (!good) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: a path starts with /");
  PMN_TRY(pmn_buf_printf(url, err, "http://169.254.170.2%s", path));
done:
  return st;
}

pmn_status pmn_s3_container_keys(pmn_http *http, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *file = pmn_s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  const char *token = pmn_s3_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  pmn_buf url, file_token, authorization;
  pmn_http_answer answer;
  pmn_http_answer_init(&answer);
  pmn_buf_init(&url, URL_MAX);
  pmn_buf_init(&file_token, PMN_S3_TOKEN_MAX);
  pmn_buf_init(&authorization, PMN_S3_TOKEN_MAX + 64);
  PMN_TRY(pmn_s3_container_url(&url, err));
  if (file != NULL) {
    PMN_TRY(pmn_s3_token_read(file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file_token, err));
    token = file_token.data;
  }
  if (token != NULL) {
    if (strpbrk(token, "\r\n") != NULL) {
      PMN_FAIL(err, PMN_STATUS_ARGUMENT, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds more than one line");
    }
    PMN_TRY(pmn_buf_reserve(&authorization, strlen(token) + 32, err));
    PMN_TRY(pmn_buf_printf(&authorization, err, "Authorization: %s", token));
  }
  const char *headers[] = {"Accept: application/json", authorization.data};
  const pmn_http_request request = {.method = "GET",
      .url = url.data,
      .headers = headers,
      .header_count = token != NULL ? 2 : 1,
      .answer_max = PMN_S3_ANSWER_MAX,
      .connect_seconds = CONTAINER_CONNECT_SECONDS,
      .stall_seconds = CONTAINER_STALL_SECONDS,
      .no_proxy = strncasecmp(url.data, "http:", 5) == 0};
  pmn_http_call(http, &request, &answer);
  PMN_TRY(judge(&answer, container, url.data, err));
  PMN_TRY(pmn_s3_keys_parse(&answer.body, false, container, keys, err));
done:
  forget(&answer);
  pmn_s3_wipe(&file_token);
  pmn_s3_wipe(&authorization);
  pmn_buf_reset(&url);
  return st;
}

/* --------------------------------------------------------------------------------------------------- instances -- */

/* A conversation with the service: what was asked last, and the answer. */
typedef struct session {
  pmn_http *http;
  char *endpoint;
  pmn_buf token; /* a whole header line */
  pmn_buf url;
  pmn_http_answer answer;
} session;

static pmn_status ask(session *self, const char *method, const char *path, const char *header, pmn_err *err) {
  forget(&self->answer);
  pmn_buf_clear(&self->url);
  pmn_status st = pmn_buf_printf(&self->url, err, "%s/latest/%s", self->endpoint, path);
  if (st != PMN_STATUS_OK) return st;
  const pmn_http_request request = {.method = method,
      .url = self->url.data,
      .headers = &header,
      .header_count = 1,
      .answer_max = PMN_S3_ANSWER_MAX,
      .connect_seconds = IMDS_CONNECT_SECONDS,
      .stall_seconds = IMDS_STALL_SECONDS,
      .no_proxy = true};
  pmn_http_call(self->http, &request, &self->answer);
  return PMN_STATUS_OK;
}

static pmn_status ask_for_token(session *self, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_http_answer *answer = &self->answer;
  for (int i = 0; i < IMDS_TRIES; i++) {
    PMN_TRY(ask(self, "PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", err));
    if (answer->status != PMN_STATUS_NETWORK) break;
  }
  if (answer->status == PMN_STATUS_NETWORK) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND,
        "%s at %.100s: %.150s (in a container on EC2: the instance's metadata hop limit must be 2)", imds,
        self->endpoint, answer->reason);
  }
  if (answer->status == PMN_STATUS_OK && answer->code >= 400 && answer->code < 500 && answer->code != 429) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s at %.100s answers %d when asked for a token: version 2 must be enabled there", imds, self->endpoint,
        answer->code);
  }
  PMN_TRY(judge(answer, imds, self->url.data, err));
  bool good = answer->body.size > 0 && answer->body.size <= IMDS_TOKEN_MAX;
  for (size_t i = 0; good && i < answer->body.size; i++) {
    good = answer->body.data[i] > ' ' && answer->body.data[i] < 127;
  }
  if (!good) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s at %.100s gives a token that is none", imds, self->endpoint);
  PMN_TRY(pmn_buf_reserve(&self->token, self->token.max, err)); /* so that it is not strewn about */
  PMN_TRY(pmn_buf_printf(&self->token, err, "X-aws-ec2-metadata-token: %s", answer->body.data));
done:
  return st;
}

/* The token comes first: without it nothing is asked, and never in the service's first version. Whatever comes of it,
 * the session is to be closed. */
static pmn_status open_session(session *self, pmn_http *http, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *named = pmn_s3_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  const char *mode = pmn_s3_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
  const char *disabled = pmn_s3_env("AWS_EC2_METADATA_DISABLED");
  bool six = mode != NULL && strcasecmp(mode, "ipv6") == 0;
  *self = (session){.http = http};
  pmn_http_answer_init(&self->answer);
  pmn_buf_init(&self->url, URL_MAX);
  pmn_buf_init(&self->token, IMDS_TOKEN_MAX + 64);
  if (disabled != NULL && strcasecmp(disabled, "true") == 0) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s is switched off by AWS_EC2_METADATA_DISABLED", imds);
  }
  if (named == NULL) named = six ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
  PMN_TRY(pmn_s3_endpoint_parse(named, "AWS_EC2_METADATA_SERVICE_ENDPOINT", &self->endpoint, err));
  PMN_TRY(ask_for_token(self, err));
done:
  return st;
}

static void close_session(session *self) {
  forget(&self->answer);
  pmn_s3_wipe(&self->token);
  pmn_free(self->endpoint);
  pmn_buf_reset(&self->url);
}

/* A name on a line of its own, as it may stand in a path. */
static pmn_status get_name(
    session *self, const char *path, const char *what, char name[NAME_MAX_BYTES + 1], pmn_err *err) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+=,.@_-";
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(ask(self, "GET", path, self->token.data, err));
  if (self->answer.status == PMN_STATUS_OK && self->answer.code == 404) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s at %.100s: this instance has no %s", imds, self->endpoint, what);
  }
  PMN_TRY(judge(&self->answer, imds, self->url.data, err));
  const char *text = self->answer.body.data != NULL ? self->answer.body.data : "";
  size_t length = strspn(text, letters);
  if (length == 0 || length > NAME_MAX_BYTES || strchr("\r\n", text[length]) == NULL || strspn(text, ".") == length) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s at %.100s: what it gives as %s is none", imds, self->endpoint, what);
  }
  memcpy(name, text, length);
  name[length] = '\0';
done:
  return st;
}

pmn_status pmn_s3_imds_keys(pmn_http *http, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  session self;
  char role[NAME_MAX_BYTES + 1], path[NAME_MAX_BYTES + 64];
  PMN_TRY(open_session(&self, http, err));
  PMN_TRY(get_name(&self, "meta-data/iam/security-credentials/", "role", role, err));
  snprintf(path, sizeof path, "meta-data/iam/security-credentials/%s", role);
  PMN_TRY(ask(&self, "GET", path, self.token.data, err));
  PMN_TRY(judge(&self.answer, imds, self.url.data, err));
  PMN_TRY(pmn_s3_keys_parse(&self.answer.body, false, imds, keys, err));
done:
  close_session(&self);
  return st;
}

pmn_status pmn_s3_imds_region(pmn_http *http, pmn_buf *region, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  session self;
  char name[NAME_MAX_BYTES + 1];
  PMN_TRY(open_session(&self, http, err));
  PMN_TRY(get_name(&self, "meta-data/placement/region", "region", name, err));
  if (!pmn_s3_region_valid(name)) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s gives a region that is none", imds);
  PMN_TRY(pmn_buf_append(region, name, strlen(name), err));
done:
  close_session(&self);
  return st;
}
