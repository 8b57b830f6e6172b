/* pmn_s3_credentials.h - keys to sign with, found in the order of the AWS tools and renewed before they expire.
 *
 *   environment      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *   web identity     AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN, AWS_ROLE_SESSION_NAME (STS, an unsigned call)
 *   profile          role_arn with source_profile or credential_source, web identity, static keys, credential_process
 *   container        AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN(_FILE)
 *   EC2              IMDSv2
 *
 * The first source that is configured is the one; if it fails, the message names it and what to do.
 */
#ifndef PMN_S3_CREDENTIALS_H
#define PMN_S3_CREDENTIALS_H

#include "pmn_http.h"
#include "pmn_s3_config.h"
#include "pmn_s3_sign.h"

typedef struct pmn_s3_credentials pmn_s3_credentials; /* any number of threads */

/* Finds out which source it is and asks it nothing yet. `config` and `http` (which may be NULL when nothing but
 * pmn_s3_credentials_source is asked for) must live longer. A profile that a flag named goes before the environment. */
PMN_MUST_USE pmn_status pmn_s3_credentials_create(
    const pmn_s3_config *config, pmn_http *http, pmn_s3_credentials **credentials, pmn_err *err);
void pmn_s3_credentials_destroy(pmn_s3_credentials *credentials);
/* A copy of the keys of now, to be reset by the caller; renewed five minutes before they expire, by one thread while
 * others go on with the old ones as long as those are good. `refused`: the server called *keys expired, which an
 * earlier call gave: they are reset and replaced by others, or it is an error. With no_sign_request: empty keys.
 * Errors: PMN_STATUS_ARGUMENT (none configured, denied, or malformed: says what was looked for), PMN_STATUS_NOT_FOUND
 * (a file cannot be read), PMN_STATUS_NETWORK, PMN_STATUS_INTERRUPTED. */
PMN_MUST_USE pmn_status pmn_s3_credentials_get(
    pmn_s3_credentials *credentials, bool refused, pmn_s3_keys *keys, pmn_err *err);
/* One line for humans, without values: "profile fruit (credential_process)". Borrowed. */
const char *pmn_s3_credentials_source(const pmn_s3_credentials *credentials);
/* The region that EC2's service names; PMN_STATUS_NOT_FOUND elsewhere. Appended. */
PMN_MUST_USE pmn_status pmn_s3_credentials_region(pmn_s3_credentials *credentials, pmn_buf *region, pmn_err *err);

#endif
