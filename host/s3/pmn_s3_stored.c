/* pmn_s3_stored.c - see pmn_s3_stored.h. */
#include "pmn_s3_stored.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

pmn_status pmn_s3_md5_compute(const void *bytes, size_t size, pmn_s3_md5 *md5, pmn_err *err) {
  size_t length = sizeof md5->bytes;
  if (EVP_Q_digest(NULL, "MD5", NULL, size > 0 ? bytes : "", size, md5->bytes, &length) != 1) {
    return pmn_err_set(
        err, PMN_STATUS_WRITE, 0, "libcrypto does not compute the MD5 that S3 wants; is it in FIPS mode?");
  }
  for (size_t i = 0; i < sizeof md5->bytes; i++) snprintf(md5->hex + 2 * i, 3, "%02x", md5->bytes[i]);
  EVP_EncodeBlock((unsigned char *)md5->base64, md5->bytes, (int)sizeof md5->bytes);
  return PMN_STATUS_OK;
}

static int hex_value(char c) {
  return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool pmn_s3_md5_parse(const char *etag, unsigned char bytes[16]) {
  if (strlen(etag) != 34 || etag[0] != '"' || etag[33] != '"') return false;
  for (size_t i = 0; i < 16; i++) {
    int high = hex_value(etag[1 + 2 * i]), low = hex_value(etag[2 + 2 * i]);
    if (high < 0 || low < 0) return false;
    bytes[i] = (unsigned char)(high << 4 | low);
  }
  return true;
}

bool pmn_s3_md5_of_answer(const pmn_http_answer *answer, unsigned char bytes[16]) {
  const char *encryption = pmn_http_answer_header(answer, "x-amz-server-side-encryption");
  const char *customer = pmn_http_answer_header(answer, "x-amz-server-side-encryption-customer-algorithm");
  bool plain = (encryption[0] == '\0' || strcmp(encryption, "AES256") == 0) && customer[0] == '\0';
  return plain && pmn_s3_md5_parse(pmn_http_answer_header(answer, "etag"), bytes);
}

void pmn_s3_etag_copy(const pmn_http_answer *answer, char etag[PMN_S3_ETAG]) {
  const char *said = pmn_http_answer_header(answer, "etag");
  snprintf(etag, PMN_S3_ETAG, "%s", strlen(said) < PMN_S3_ETAG ? said : "");
}

pmn_status pmn_s3_stored_check(const pmn_s3_md5 *md5, const pmn_http_answer *answer, pmn_err *err) {
  unsigned char stored[16];
  char etag[PMN_S3_ETAG];
  pmn_s3_etag_copy(answer, etag);
  bool good = etag[0] != '\0' && strpbrk(etag, "<>&\\") == NULL; /* it goes back to the server in XML and JSON */
  for (const char *c = etag; *c != '\0'; c++) good = good && *c > ' ' && *c <= '~';
  if (!good) return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the answer names no ETag: it is not S3's");
  if (pmn_s3_md5_of_answer(answer, stored) && memcmp(stored, md5->bytes, 16) != 0) {
    return pmn_err_set(err, PMN_STATUS_NETWORK, 0, "the server stored other bytes, ETag %s, MD5 %s", etag, md5->hex);
  }
  return PMN_STATUS_OK;
}

bool pmn_s3_etag_equal(const char *a, const char *b) {
  if (a == NULL || b == NULL) return false;
  a += *a == '"';
  b += *b == '"';
  size_t length = strcspn(a, "\"");
  return strcspn(b, "\"") == length && strncmp(a, b, length) == 0;
}
