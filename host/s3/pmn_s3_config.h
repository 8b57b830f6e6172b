/* pmn_s3_config.h - where S3 is and how it is spoken to, from flags, environment and the AWS profile files. */
#ifndef PMN_S3_CONFIG_H
#define PMN_S3_CONFIG_H

#include "pmn_buf.h"

/* What the user said on the command line; NULL, false: nothing. */
typedef struct pmn_s3_flags {
  const char *region, *endpoint, *profile;
  bool no_sign_request;
} pmn_s3_flags;

/* Owned texts; NULL where nothing says. Order of search as the AWS tools have it: flag, environment, profile. An empty
 * variable or setting says nothing. */
typedef struct pmn_s3_config {
  char *region;   /* AWS_REGION, AWS_DEFAULT_REGION, profile's region: fit to be part of a host name */
  char *endpoint; /* flag, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, profile (services section too); "http://host:port" */
  char *sts_endpoint; /* AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL, profile; the flag is of S3 only */
  char *ca_bundle;    /* AWS_CA_BUNDLE, profile's ca_bundle: a file that can be read */
  char *profile;      /* its name: flag, AWS_PROFILE, AWS_DEFAULT_PROFILE, "default" */
  bool profile_flag;  /* a flag named it: its keys go before those of the environment */
  bool path_style;    /* profile's s3 addressing_style = path; with an endpoint of one's own unless it is virtual */
  bool no_sign_request;
  int32_t attempts_max; /* AWS_MAX_ATTEMPTS, profile's max_attempts; else 8 */
} pmn_s3_config;

/* PMN_STATUS_ARGUMENT: a profile that is named but in no file, a malformed file, or a value that cannot be; the message
 * says where it comes from. PMN_STATUS_NOT_FOUND: a file cannot be read. */
PMN_MUST_USE pmn_status pmn_s3_config_create(const pmn_s3_flags *flags, pmn_s3_config **config, pmn_err *err);
void pmn_s3_config_destroy(pmn_s3_config *config);

/* "https://host:8443/" without its last slash, and without a port that is the scheme's own. PMN_STATUS_ARGUMENT for
 * anything with a user, path or query; `where` is the flag or variable that said so. */
PMN_MUST_USE pmn_status pmn_s3_endpoint_parse(const char *text, const char *where, char **endpoint, pmn_err *err);
/* Letters, digits and inner hyphens: what comes from outside must be this before it is part of a host name. */
bool pmn_s3_region_valid(const char *region);
/* The domain that AWS's services of a region are in: "amazonaws.com" or "amazonaws.com.cn". */
const char *pmn_s3_region_domain(const char *region);

#endif
