/* pmn_s3_refusal.h - what an answer that is no 2xx says, and what to tell the user. Private to the room. */
#ifndef PMN_S3_REFUSAL_H
#define PMN_S3_REFUSAL_H

#include "pmn_s3_call.h"

typedef enum pmn_s3_cure {
  PMN_S3_CURE_NONE,
  PMN_S3_CURE_AGAIN,  /* it may pass */
  PMN_S3_CURE_SLOWER, /* it may pass if we ask for less */
  PMN_S3_CURE_KEYS,   /* other keys */
  PMN_S3_CURE_CLOCK,  /* the server's time */
} pmn_s3_cure;

typedef struct pmn_s3_refusal {
  int32_t http_code;
  char code[PMN_S3_CODE];     /* S3's; "" if it says none, as to HEAD */
  char message[320];          /* S3's */
  char region[PMN_HTTP_TEXT]; /* where the bucket is; "" if it does not say, or nonsense */
  char other[PMN_HTTP_TEXT];  /* host that a 3xx refers to; "" if it does not say */
  pmn_s3_cure cure;
} pmn_s3_refusal;

/* `head`: answers to HEAD have no body, their code has to be guessed. */
void pmn_s3_refusal_read(const pmn_http_answer *answer, bool head, bool with_token, pmn_s3_refusal *refusal);
/* Fills *err and gives its status. `source` says where the keys come from; NULL: unsigned. */
pmn_status pmn_s3_refusal_tell(
    const pmn_s3_refusal *refusal, const pmn_s3_call *call, const char *source, pmn_err *err);
/* "s3://bucket/key" for messages. */
enum { PMN_S3_NAME = 320 };
void pmn_s3_call_name(const pmn_s3_call *call, char name[PMN_S3_NAME]);

#endif
