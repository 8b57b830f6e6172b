/* pmn_s3_client.h - the parts of a client; private to the room. */
#ifndef PMN_S3_CLIENT_H
#define PMN_S3_CLIENT_H

#include "pmn_s3_call.h"
#include "pmn_s3_credentials.h"

#include <pthread.h>

/* The thread that signs requests and judges answers, and what it has learnt: regions, the clock, how much is too much.
 */
typedef struct pmn_s3_caller pmn_s3_caller;

struct pmn_s3 {
  pmn_s3_config *config;
  pmn_http *http;
  pmn_s3_credentials *credentials;
  pmn_s3_caller *caller;
  char text[512];
  pthread_mutex_t lock;
  pmn_err undeleted; /* the last object or upload that could not be removed; status OK: none */
};

/* `s3` has its first three parts by now and must live longer. */
PMN_MUST_USE pmn_status pmn_s3_caller_create(pmn_s3 *s3, pmn_s3_caller **caller, pmn_err *err);
/* Ends all calls under way; s3->http is cancelled. NULL is fine. */
void pmn_s3_caller_destroy(pmn_s3_caller *caller);

#endif
