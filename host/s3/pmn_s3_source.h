/* pmn_s3_source.h - the places that keys come from, each asked once; private to the room.
 *
 * All fill *keys, to be reset by the caller, on success only. PMN_STATUS_ARGUMENT: the place refuses, or says what
 * makes no sense; PMN_STATUS_KEYS: STS refuses; PMN_STATUS_NETWORK: it may be asked again. `where` is what to call the
 * place in messages. What an answer holds is not shown, but for the words of a service's own error.
 */
#ifndef PMN_S3_SOURCE_H
#define PMN_S3_SOURCE_H

#include "pmn_buf.h"
#include "pmn_http.h"
#include "pmn_s3_config.h"
#include "pmn_s3_sign.h"

enum { PMN_S3_ANSWER_MAX = 64 * 1024, PMN_S3_TOKEN_MAX = 16 * 1024 };

/* ------------------------------------------------------------------------------------------------ pmn_s3_keys.c -- */

/* Texts as they were found; token and expires (ISO 8601) may be NULL or "". */
PMN_MUST_USE pmn_status pmn_s3_keys_set(const char *access_key, const char *secret_key, const char *token,
    const char *expires, const char *where, pmn_s3_keys *keys, pmn_err *err);
/* From JSON as a credential_process prints it (Version 1, SessionToken), else as services do (Code, Token). */
PMN_MUST_USE pmn_status pmn_s3_keys_parse(
    const pmn_buf *json, bool of_process, const char *where, pmn_s3_keys *keys, pmn_err *err);
/* "2026-11-21T08:50:35Z", with or without a fraction, "+01:00" in place of Z; false for anything else. */
bool pmn_s3_time_parse(const char *text, double *seconds);
/* The text of a small file without the blanks at its end, for tokens; PMN_STATUS_ARGUMENT if it is no header's value.
 */
PMN_MUST_USE pmn_status pmn_s3_token_read(const char *path, const char *where, pmn_buf *token, pmn_err *err);
/* Wipes and resets. */
void pmn_s3_wipe(pmn_buf *bytes);

/* --------------------------------------------------------------------------------------------- pmn_s3_process.c -- */

/* Runs a command without a shell, its words told apart as a shell would. Its standard error is ours. After `seconds` it
 * is killed. */
PMN_MUST_USE pmn_status pmn_s3_process_keys(
    const char *command, double seconds, const char *where, pmn_s3_keys *keys, pmn_err *err);

/* -------------------------------------------------------------------------------------------- pmn_s3_metadata.c -- */

/* Where a container's keys are, from the environment. Appended. */
PMN_MUST_USE pmn_status pmn_s3_container_url(pmn_buf *url, pmn_err *err);
PMN_MUST_USE pmn_status pmn_s3_container_keys(pmn_http *http, pmn_s3_keys *keys, pmn_err *err);
/* PMN_STATUS_NOT_FOUND: nobody answers there, or it is switched off. */
PMN_MUST_USE pmn_status pmn_s3_imds_keys(pmn_http *http, pmn_s3_keys *keys, pmn_err *err);
PMN_MUST_USE pmn_status pmn_s3_imds_region(pmn_http *http, pmn_buf *region, pmn_err *err);

/* ------------------------------------------------------------------------------------------------- pmn_s3_sts.c -- */

/* A role to be assumed; NULL where nothing is said. */
typedef struct pmn_s3_role {
  const char *arn, *session_name, *external_id, *duration_seconds;
  const char *token_file; /* of a web identity, which then signs in the place of keys */
} pmn_s3_role;
/* `signer` is not looked at with a token_file. */
PMN_MUST_USE pmn_status pmn_s3_sts_keys(const pmn_s3_config *config, pmn_http *http, const pmn_s3_role *role,
    const pmn_s3_keys *signer, const char *where, pmn_s3_keys *keys, pmn_err *err);

#endif
