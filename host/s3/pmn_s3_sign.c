/* pmn_s3_sign.c - see pmn_s3_sign.h.
 *
 * A request is brought into canonical form, that form is hashed, and the hash is signed with a key derived from secret,
 * day, region and service: "Authenticating Requests (AWS Signature Version 4)" in the manual of S3. One signature takes
 * five HMACs, so nothing is cached.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_s3_sign.h"

#include "pmn_sha256.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  HMAC_SIZE = 32,
  CANONICAL_MAX = 1 << 20,
  HEADERS_MAX = PMN_S3_PAIRS_MAX + 4, /* host, and what signing adds */
};

/* A query's parts once encoded; offsets into one buffer, which moves while it grows. */
typedef struct encoded_pair {
  size_t name, value;
} encoded_pair;

/* ---------------------------------------------------------------------------------------------------- encoding -- */

static pmn_status encode(const char *text, bool keep_slash, pmn_buf *out, pmn_err *err) {
  static const char digits[] = "0123456789ABCDEF";
  pmn_status st = PMN_STATUS_OK;
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                 c == '_' || c == '~' || (c == '/' && keep_slash);
    const char escaped[] = {'%', digits[c >> 4], digits[c & 15]};
    PMN_TRY(plain ? pmn_buf_append(out, text, 1, err) : pmn_buf_append(out, escaped, 3, err));
  }
done:
  return st;
}

static int compare_pairs(const void *a, const void *b, void *texts) {
  const encoded_pair *x = a, *y = b;
  const char *base = texts;
  int order = strcmp(base + x->name, base + y->name);
  return order != 0 ? order : strcmp(base + x->value, base + y->value);
}

static pmn_status encode_query(const pmn_s3_request *request, pmn_buf *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  encoded_pair pairs[PMN_S3_PAIRS_MAX];
  pmn_buf texts;
  pmn_buf_init(&texts, CANONICAL_MAX);
  if (request->query_count > PMN_S3_PAIRS_MAX) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a request with too many parameters");
  for (size_t i = 0; i < request->query_count; i++) {
    pairs[i].name = texts.size;
    PMN_TRY(encode(request->query[i].name, false, &texts, err));
    PMN_TRY(pmn_buf_append(&texts, "", 1, err));
    pairs[i].value = texts.size;
    PMN_TRY(encode(request->query[i].value, false, &texts, err));
    PMN_TRY(pmn_buf_append(&texts, "", 1, err));
  }
  qsort_r(pairs, request->query_count, sizeof *pairs, compare_pairs, texts.data);
  for (size_t i = 0; i < request->query_count; i++) {
    PMN_TRY(
        pmn_buf_printf(out, err, "%s%s=%s", i > 0 ? "&" : "", texts.data + pairs[i].name, texts.data + pairs[i].value));
  }
done:
  pmn_buf_reset(&texts);
  return st;
}

pmn_status pmn_s3_encode_target(const pmn_s3_request *request, pmn_buf *target, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(encode(request->path, true, target, err));
  if (request->query_count == 0) goto done;
  PMN_TRY(pmn_buf_append(target, "?", 1, err));
  PMN_TRY(encode_query(request, target, err));
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- headers -- */

static int compare_headers(const void *a, const void *b) {
  const pmn_s3_pair *x = a, *y = b;
  return strcmp(x->name, y->name);
}

/* "name:value\n" with each run of blanks made one, and none at the ends. */
static pmn_status append_header(const pmn_s3_pair *header, pmn_buf *out, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const char *value = header->value + strspn(header->value, " \t");
  PMN_TRY(pmn_buf_printf(out, err, "%s:", header->name));
  while (*value != '\0') {
    size_t word = strcspn(value, " \t"), gap = strspn(value + word, " \t");
    PMN_TRY(pmn_buf_append(out, value, word, err));
    value += word + gap;
    if (gap > 0 && *value != '\0') PMN_TRY(pmn_buf_append(out, " ", 1, err));
  }
  PMN_TRY(pmn_buf_append(out, "\n", 1, err));
done:
  return st;
}

/* All that is signed, by name; PMN_STATUS_ARGUMENT for values that would end their line. */
static pmn_status collect_headers(const pmn_s3_request *request, const pmn_s3_keys *keys, const char *service,
    const char *date, pmn_s3_pair headers[HEADERS_MAX], size_t *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t n = 0;
  if (request->header_count > PMN_S3_PAIRS_MAX) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a request with too many headers");
  for (; n < request->header_count; n++) headers[n] = request->headers[n];
  headers[n++] = (pmn_s3_pair){"host", request->host};
  headers[n++] = (pmn_s3_pair){"x-amz-date", date};
  if (strcmp(service, "s3") == 0) headers[n++] = (pmn_s3_pair){"x-amz-content-sha256", request->payload_sha256};
  if (keys->token != NULL && keys->token[0] != '\0') {
    headers[n++] = (pmn_s3_pair){"x-amz-security-token", keys->token};
  }
  for (size_t i = 0; i < n; i++) {
    for (const char *c = headers[i].value; *c != '\0'; c++) {
      if (((unsigned char)*c < ' ' && *c != '\t') || *c == 127) {
        PMN_FAIL(err, PMN_STATUS_ARGUMENT, "a control character in the header %s", headers[i].name);
      }
    }
  }
  qsort(headers, n, sizeof *headers, compare_headers);
  *count = n;
done:
  return st;
}

/* ----------------------------------------------------------------------------------------------------- signing -- */

static pmn_status hash(const char *bytes, size_t size, char hex[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  const void *parts[] = {bytes};
  return pmn_sha256_hex(parts, &size, 1, hex, err);
}

static bool hmac(const void *key, size_t key_size, const char *text, unsigned char mac[HMAC_SIZE]) {
  return HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), mac, NULL) != NULL;
}

static pmn_status sign_text(const pmn_s3_keys *keys, const char *day, const char *region, const char *service,
    const char *text, char hex[2 * HMAC_SIZE + 1], pmn_err *err) {
  char secret[sizeof keys->secret_key + 4];
  unsigned char mac[HMAC_SIZE], key[HMAC_SIZE];
  int length = snprintf(secret, sizeof secret, "AWS4%s", keys->secret_key);
  bool good = hmac(secret, (size_t)length, day, mac) && hmac(mac, HMAC_SIZE, region, key) &&
              hmac(key, HMAC_SIZE, service, mac) && hmac(mac, HMAC_SIZE, "aws4_request", key) &&
              hmac(key, HMAC_SIZE, text, mac);
  for (int i = 0; good && i < HMAC_SIZE; i++) snprintf(hex + 2 * (size_t)i, 3, "%02x", mac[i]);
  explicit_bzero(secret, sizeof secret);
  explicit_bzero(mac, sizeof mac);
  explicit_bzero(key, sizeof key);
  return good ? PMN_STATUS_OK : pmn_err_set(err, PMN_STATUS_NO_MEMORY, 0, "libcrypto could not compute an HMAC");
}

/* Method, path, query, headers, their names, payload: a line each. The names are appended to `names`, too. */
static pmn_status canonicalise(const pmn_s3_request *request, const pmn_s3_pair *headers, size_t count,
    pmn_buf *canonical, pmn_buf *names, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t size = 4 * strlen(request->path) + 1024;
  for (size_t i = 0; i < count; i++) size += strlen(headers[i].value) + 64;
  PMN_TRY(
      pmn_buf_reserve(canonical, size < CANONICAL_MAX ? size : CANONICAL_MAX, err)); /* a token is not strewn about */
  PMN_TRY(pmn_buf_printf(canonical, err, "%s\n", request->method));
  PMN_TRY(encode(request->path, true, canonical, err));
  PMN_TRY(pmn_buf_append(canonical, "\n", 1, err));
  PMN_TRY(encode_query(request, canonical, err));
  PMN_TRY(pmn_buf_append(canonical, "\n", 1, err));
  for (size_t i = 0; i < count; i++) {
    PMN_TRY(append_header(&headers[i], canonical, err));
    PMN_TRY(pmn_buf_printf(names, err, "%s%s", i > 0 ? ";" : "", headers[i].name));
  }
  PMN_TRY(pmn_buf_printf(canonical, err, "\n%s\n%s", names->data, request->payload_sha256));
done:
  return st;
}

pmn_status pmn_s3_sign(const pmn_s3_request *request, const pmn_s3_keys *keys, const char *region, const char *service,
    time_t when, pmn_buf *lines, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_pair headers[HEADERS_MAX];
  size_t count = 0;
  char date[32], day[16], digest[PMN_SHA256_HEX_SIZE], signature[2 * HMAC_SIZE + 1];
  struct tm utc;
  pmn_buf canonical, names, text;
  pmn_buf_init(&canonical, CANONICAL_MAX);
  pmn_buf_init(&names, CANONICAL_MAX);
  pmn_buf_init(&text, CANONICAL_MAX);
  if (gmtime_r(&when, &utc) == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "this machine's clock cannot be right");
  strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &utc);
  snprintf(day, sizeof day, "%.8s", date);
  PMN_TRY(collect_headers(request, keys, service, date, headers, &count, err));
  PMN_TRY(canonicalise(request, headers, count, &canonical, &names, err));
  PMN_TRY(hash(canonical.data, canonical.size, digest, err));
  PMN_TRY(pmn_buf_printf(
      &text, err, "AWS4-HMAC-SHA256\n%s\n%s/%s/%s/aws4_request\n%s", date, day, region, service, digest));
  PMN_TRY(sign_text(keys, day, region, service, text.data, signature, err));
  PMN_TRY(pmn_buf_printf(lines, err, "x-amz-date: %s\n", date));
  if (strcmp(service, "s3") == 0) {
    PMN_TRY(pmn_buf_printf(lines, err, "x-amz-content-sha256: %s\n", request->payload_sha256));
  }
  if (keys->token != NULL && keys->token[0] != '\0') {
    PMN_TRY(pmn_buf_printf(lines, err, "x-amz-security-token: %s\n", keys->token));
  }
  PMN_TRY(pmn_buf_printf(lines, err,
      "authorization: AWS4-HMAC-SHA256 Credential=%s/%s/%s/%s/aws4_request, SignedHeaders=%s, Signature=%s\n",
      keys->access_key, day, region, service, names.data, signature));
done:
  if (canonical.data != NULL) explicit_bzero(canonical.data, canonical.capacity);
  pmn_buf_reset(&canonical);
  pmn_buf_reset(&names);
  pmn_buf_reset(&text);
  return st;
}
