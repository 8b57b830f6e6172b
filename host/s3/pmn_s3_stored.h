/* pmn_s3_stored.h - what was sent against what the server says it stored; private to the room. */
#ifndef PMN_S3_STORED_H
#define PMN_S3_STORED_H

#include "pmn_s3_call.h"

/* MD5 is what S3 checks bodies by and makes ETags of; nothing here rests on its strength. */
typedef struct pmn_s3_md5 {
  unsigned char bytes[16];
  char hex[33], base64[25]; /* base64: for the header content-md5 */
} pmn_s3_md5;
PMN_MUST_USE pmn_status pmn_s3_md5_compute(const void *bytes, size_t size, pmn_s3_md5 *md5, pmn_err *err);
/* The 16 bytes of an ETag `"32 hex digits"`; false if it is none. */
bool pmn_s3_md5_parse(const char *etag, unsigned char bytes[16]);
/* The same of an answer's; false too if the server encrypts by a key that makes the ETag no MD5 (SSE-KMS, SSE-C). */
bool pmn_s3_md5_of_answer(const pmn_http_answer *answer, unsigned char bytes[16]);

/* The answer's ETag; "" if it has none or an impossibly long one. */
void pmn_s3_etag_copy(const pmn_http_answer *answer, char etag[PMN_S3_ETAG]);

/* The answer to a PUT of bytes with this MD5: it has an ETag, and one of these bytes where ETags are MD5s. */
PMN_MUST_USE pmn_status pmn_s3_stored_check(const pmn_s3_md5 *md5, const pmn_http_answer *answer, pmn_err *err);

/* The same ETag, with quotes or without: some servers write them in one place and not in the other. NULL equals none.
 */
bool pmn_s3_etag_equal(const char *a, const char *b);

#endif
