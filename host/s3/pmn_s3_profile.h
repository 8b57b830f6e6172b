/* pmn_s3_profile.h - what the profile files of the AWS tools say; private to the room.
 *
 * ~/.aws/config (AWS_CONFIG_FILE) and ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE), read as botocore does with
 * Python's configparser. A file that is not there is as good as empty; of what is there twice, the later is taken, and
 * the credentials file comes after the config file.
 */
#ifndef PMN_S3_PROFILE_H
#define PMN_S3_PROFILE_H

#include "pmn_err.h"

typedef struct pmn_s3_profiles pmn_s3_profiles; /* holds secrets; not changed once read */

typedef enum pmn_s3_file { PMN_S3_FILE_CONFIG, PMN_S3_FILE_CREDENTIALS, PMN_S3_FILE_ANY } pmn_s3_file;

/* PMN_STATUS_ARGUMENT with file and line for malformed files, PMN_STATUS_NOT_FOUND for files that cannot be read. */
PMN_MUST_USE pmn_status pmn_s3_profiles_create(pmn_s3_profiles **profiles, pmn_err *err);
void pmn_s3_profiles_destroy(pmn_s3_profiles *profiles); /* wipes; NULL is fine */
bool pmn_s3_profiles_has(const pmn_s3_profiles *profiles, const char *profile);
/* Borrowed; NULL if `file` does not say. What is indented below `s3 =` has names like "s3.addressing_style". */
const char *pmn_s3_profiles_get(
    const pmn_s3_profiles *profiles, const char *profile, const char *name, pmn_s3_file file);
/* The same of a [services NAME] section; *found: there is such a section. */
const char *pmn_s3_profiles_service(
    const pmn_s3_profiles *profiles, const char *services, const char *name, bool *found);
const char *pmn_s3_profiles_path(const pmn_s3_profiles *profiles, pmn_s3_file file); /* "" without a home */

/* The environment's value; NULL if there is none or it is empty. */
const char *pmn_s3_env(const char *name);

#endif
