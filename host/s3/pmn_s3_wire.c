/* pmn_s3_wire.c - see pmn_s3_wire.h. */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_s3_wire.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { URL_MAX = 128 << 10, LINES_MAX = 128 << 10, HOST_MAX = 512 };

static bool is_label(const char *text, size_t max) {
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
  return length > 0 && text[length] == '\0' && length <= max && text[0] != '-' && text[length - 1] != '-';
}

/* Which server is asked, and whether the bucket is part of its name. One with dots never is with TLS: the certificate's
 * asterisk stands for one label. */
static bool find_host(
    const pmn_s3_config *config, const char *bucket, const char *region, const char **scheme, char host[HOST_MAX]) {
  bool in_host = !config->path_style && is_label(bucket, 63);
  const char *prefix = in_host ? bucket : "", *dot = in_host ? "." : "";
  if (config->endpoint != NULL) {
    *scheme = strncasecmp(config->endpoint, "https://", 8) == 0 ? "https://" : "http://";
    snprintf(host, HOST_MAX, "%s%s%.300s", prefix, dot, config->endpoint + strlen(*scheme));
  } else {
    *scheme = "https://";
    snprintf(host, HOST_MAX, "%s%ss3.%.63s.%s", prefix, dot, region, pmn_s3_region_domain(region));
  }
  return in_host;
}

static pmn_status append_path(const pmn_s3_call *call, bool bucket_in_host, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  if (!bucket_in_host) PMN_TRY(pmn_buf_printf(path, err, "/%s", call->bucket));
  if (bucket_in_host || call->key != NULL) PMN_TRY(pmn_buf_append(path, "/", 1, err));
  if (call->key != NULL) PMN_TRY(pmn_buf_append(path, call->key, strlen(call->key), err));
done:
  return st;
}

static pmn_status append_line(const char *name, const char *value, pmn_buf *lines, pmn_err *err) {
  for (const char *p = value; *p != '\0'; p++) {
    if ((unsigned char)*p < ' ' || *p == 127) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "a control character in the header %s", name);
    }
  }
  return pmn_buf_printf(lines, err, "%s: %s\n", name, value);
}

/* Cuts the lines apart, in place. */
static void split_lines(pmn_s3_wire *wire) {
  pmn_http_request *r = &wire->request;
  r->headers = wire->headers;
  for (char *line = wire->lines.data, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
    *end = '\0';
    wire->headers[r->header_count++] = line;
  }
}

pmn_status pmn_s3_wire_build(const pmn_s3_config *config, const pmn_s3_call *call, const pmn_s3_keys *keys,
    const char *region, const char *payload, time_t when, pmn_s3_wire *wire, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char host[HOST_MAX];
  const char *scheme;
  pmn_s3_request signed_part = {.method = call->method, .host = host, .query_count = call->query_count};
  pmn_buf path;
  pmn_buf_init(&path, URL_MAX);
  pmn_s3_wire_reset(wire);
  if (call->header_count > PMN_S3_PAIRS_MAX || call->query_count > PMN_S3_PAIRS_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a request with too many headers or parameters");
  }
  bool in_host = find_host(config, call->bucket, region, &scheme, host);
  PMN_TRY(append_path(call, in_host, &path, err));
  signed_part.path = path.data;
  memcpy(signed_part.query, call->query, sizeof call->query);
  memcpy(signed_part.headers, call->headers, sizeof call->headers);
  signed_part.header_count = call->header_count;
  /* Over TLS nobody can change a body on its way; hashing it would take longer than sending it. */
  signed_part.payload_sha256 = call->body_size > 0 && strcmp(scheme, "https://") == 0 ? "UNSIGNED-PAYLOAD" : payload;
  PMN_TRY(pmn_buf_printf(&wire->url, err, "%s%s", scheme, host));
  PMN_TRY(pmn_s3_encode_target(&signed_part, &wire->url, err));
  PMN_TRY(pmn_buf_reserve(&wire->lines, 4096, err)); /* seldom more: tokens are not strewn about in memory */
  PMN_TRY(append_line("host", host, &wire->lines, err));
  for (size_t i = 0; i < signed_part.header_count; i++) {
    PMN_TRY(append_line(signed_part.headers[i].name, signed_part.headers[i].value, &wire->lines, err));
  }
  if (keys != NULL) PMN_TRY(pmn_s3_sign(&signed_part, keys, region, "s3", when, &wire->lines, err));
  wire->request = (pmn_http_request){
      .method = call->method,
      .url = wire->url.data,
      .body = call->body,
      .body_size = call->body_size,
      .answer_max = call->answer_max,
      .stop = call->stop,
      .stall_seconds = call->stall_seconds,
  };
  split_lines(wire);
done:
  pmn_buf_reset(&path);
  return st;
}

void pmn_s3_wire_reset(pmn_s3_wire *wire) {
  if (wire->lines.data != NULL) explicit_bzero(wire->lines.data, wire->lines.capacity);
  pmn_buf_reset(&wire->lines);
  pmn_buf_reset(&wire->url);
  *wire = (pmn_s3_wire){.url = {.max = URL_MAX}, .lines = {.max = LINES_MAX}};
}
