/* pmn_s3_sign.h - requests to S3 as they are addressed and signed (AWS Signature Version 4).
 *
 * Own code and not CURLOPT_AWS_SIGV4, because Debian 12's libcurl signs query strings and unusual keys wrongly.
 */
#ifndef PMN_S3_SIGN_H
#define PMN_S3_SIGN_H

#include "pmn_buf.h"

#include <time.h>

/* Who signs. Texts are NUL-terminated; access_key "": nobody. Wiped by pmn_s3_keys_reset. */
typedef struct pmn_s3_keys {
  char access_key[256], secret_key[512];
  char *token;    /* owned, may be long; NULL: none */
  double expires; /* seconds since 1970; 0: never */
} pmn_s3_keys;
void pmn_s3_keys_reset(pmn_s3_keys *keys);
PMN_MUST_USE pmn_status pmn_s3_keys_copy(const pmn_s3_keys *from, pmn_s3_keys *to, pmn_err *err);

typedef struct pmn_s3_pair {
  const char *name, *value; /* raw bytes, not encoded */
} pmn_s3_pair;

enum { PMN_S3_PAIRS_MAX = 16 };

typedef struct pmn_s3_request {
  const char *method;
  const char *host;                    /* as in the Host header: with the port unless it is the scheme's own */
  const char *path;                    /* raw bytes, from "/"; encoded once, never normalised */
  pmn_s3_pair query[PMN_S3_PAIRS_MAX]; /* in any order; value "" for names without one: "uploads=" on the wire */
  size_t query_count;
  pmn_s3_pair headers[PMN_S3_PAIRS_MAX]; /* beyond host: all are signed; names in lower case, none twice */
  size_t header_count;
  const char *payload_sha256; /* hex, or "UNSIGNED-PAYLOAD" */
} pmn_s3_request;

/* "/path?query" as it goes on the wire and into the signature: RFC 3986 unreserved bytes stay, "/" stays in the path,
 * all others become %XX in upper case. Appended. */
PMN_MUST_USE pmn_status pmn_s3_encode_target(const pmn_s3_request *request, pmn_buf *target, pmn_err *err);
/* Appends the header lines that sign it, each ended by '\n': x-amz-date, x-amz-content-sha256 (service "s3" only),
 * x-amz-security-token if there is a token, authorization. `when`: the time to sign with. Control characters in headers
 * are PMN_STATUS_ARGUMENT. Of services other than "s3" only paths that need no encoding are signed rightly. */
PMN_MUST_USE pmn_status pmn_s3_sign(const pmn_s3_request *request, const pmn_s3_keys *keys, const char *region,
    const char *service, time_t when, pmn_buf *lines, pmn_err *err);

#endif
