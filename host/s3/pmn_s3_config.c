/* pmn_s3_config.c - see pmn_s3_config.h. */
#include "pmn_s3_config.h"

#include "pmn_mem.h"
#include "pmn_s3_profile.h"
#include "pmn_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { ATTEMPTS = 8, ATTEMPTS_MAX = 100, HOST_MAX = 255, REGION_MAX = 63, WHERE = 160 };

/* A value, and what to call the place it was found in. */
typedef struct setting {
  const char *value; /* NULL: nowhere */
  char where[WHERE];
} setting;

typedef struct lookup {
  const pmn_s3_profiles *profiles;
  const char *profile;
} lookup;

static setting of_profile(const lookup *self, const char *name) {
  setting s = {.value = pmn_s3_profiles_get(self->profiles, self->profile, name, PMN_S3_FILE_ANY)};
  snprintf(s.where, sizeof s.where, "%s of profile %.100s", name, self->profile);
  return s;
}

static setting of_env(const char *name) {
  setting s = {.value = pmn_s3_env(name)};
  snprintf(s.where, sizeof s.where, "%s", name);
  return s;
}

static setting of_flag(const char *name, const char *value) {
  setting s = {.value = value};
  snprintf(s.where, sizeof s.where, "%s", name);
  return s;
}

static setting first_of(const setting *list, size_t count) {
  size_t i = 0;
  while (i + 1 < count && list[i].value == NULL) i++;
  return list[i];
}

static pmn_status keep(const char *value, char **text, pmn_err *err) {
  if (value == NULL) return PMN_STATUS_OK;
  *text = pmn_strdup(value);
  return *text != NULL ? PMN_STATUS_OK : pmn_err_memory(err, strlen(value) + 1, "the configuration of S3");
}

/* ----------------------------------------------------------------------------------------------------- regions -- */

bool pmn_s3_region_valid(const char *region) {
  size_t length = strlen(region);
  bool good = length > 0 && length <= REGION_MAX && region[0] != '-' && region[length - 1] != '-';
  for (const char *c = region; good && *c != '\0'; c++) good = isalnum((unsigned char)*c) || *c == '-';
  return good;
}

static pmn_status find_region(const lookup *self, const char *flag, char **region, pmn_err *err) {
  const setting places[] = {
      of_flag("--region", flag), of_env("AWS_REGION"), of_env("AWS_DEFAULT_REGION"), of_profile(self, "region")};
  setting s = first_of(places, 4);
  if (s.value == NULL) return PMN_STATUS_OK;
  if (pmn_s3_region_valid(s.value)) return keep(s.value, region, err);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %.80s is no region; they look like us-east-1", s.where, s.value);
}

const char *pmn_s3_region_domain(const char *region) {
  return strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
}

/* --------------------------------------------------------------------------------------------------- endpoints -- */

static bool is_port(const char *text, size_t size) {
  char digits[6];
  int64_t port;
  if (size < 1 || size >= sizeof digits || strspn(text, "0123456789") < size) return false;
  memcpy(digits, text, size);
  digits[size] = '\0';
  return pmn_text_int64(digits, 1, 65535, &port);
}

pmn_status pmn_s3_endpoint_parse(const char *text, const char *where, char **endpoint, pmn_err *err) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  const char *p = strncasecmp(text, "https://", 8) == 0  ? text + 8
                  : strncasecmp(text, "http://", 7) == 0 ? text + 7
                                                         : NULL;
  if (p == NULL) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: an endpoint starts with http:// or https://", where);
  }
  size_t host = 0;
  if (*p == '[') {
    host = 1 + strspn(p + 1, "0123456789abcdefABCDEF:.");
    host = host > 2 && p[host] == ']' ? host + 1 : 0;
  } else {
    while (p[host] != '\0' && (strchr(letters, p[host]) != NULL || strchr("-._", p[host]) != NULL)) host++;
    if (strchr("-.", p[0]) != NULL || strstr(p, "..") != NULL) host = 0;
  }
  const char *end = p + host, *kept = end;
  bool good = host > 0 && host <= HOST_MAX;
  if (good && *end == ':') {
    size_t port = strcspn(end + 1, "/");
    const char *standard = p - text == 8 ? "443" : "80"; /* libcurl's Host header leaves these out */
    good = is_port(end + 1, port);
    end += 1 + port;
    if (strlen(standard) != port || strncmp(end - port, standard, port) != 0) kept = end;
  }
  if (!good || (*end != '\0' && strcmp(end, "/") != 0)) {
    /* The value is not shown: a user's name and password may stand in it. */
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%s: an endpoint is http://HOST:PORT or https://HOST:PORT, without a user, path or query", where);
  }
  size_t size = (size_t)(kept - text);
  char *copy = pmn_alloc(size + 1, 1);
  if (copy == NULL) return pmn_err_memory(err, size + 1, "the address of S3");
  memcpy(copy, text, size);
  copy[size] = '\0';
  for (char *c = copy; c < copy + (p - text); c++) *c = (char)tolower((unsigned char)*c);
  *endpoint = copy;
  return PMN_STATUS_OK;
}

/* `service` is "s3" or "sts", `variable` its own in the environment. */
static pmn_status find_endpoint(
    const lookup *self, const char *flag, const char *variable, const char *service, char **endpoint, pmn_err *err) {
  const setting flagged = of_flag("--endpoint-url", flag);
  const setting ignored[] = {
      of_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"), of_profile(self, "ignore_configured_endpoint_urls")};
  setting ignore = first_of(ignored, 2);
  if (flag != NULL) return pmn_s3_endpoint_parse(flag, flagged.where, endpoint, err);
  if (ignore.value != NULL && strcasecmp(ignore.value, "true") == 0) return PMN_STATUS_OK;
  const char *services = pmn_s3_profiles_get(self->profiles, self->profile, "services", PMN_S3_FILE_CONFIG);
  setting own = {.value = NULL};
  if (services != NULL) {
    char name[32];
    bool found;
    snprintf(name, sizeof name, "%s.endpoint_url", service);
    own.value = pmn_s3_profiles_service(self->profiles, services, name, &found);
    snprintf(own.where, sizeof own.where, "%s endpoint_url of [services %.80s]", service, services);
    if (!found) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
          "services of profile %.80s: %.200s has no section [services %.80s]", self->profile,
          pmn_s3_profiles_path(self->profiles, PMN_S3_FILE_CONFIG), services);
    }
  }
  const setting places[] = {of_env(variable), of_env("AWS_ENDPOINT_URL"), own, of_profile(self, "endpoint_url")};
  setting s = first_of(places, 4);
  return s.value != NULL ? pmn_s3_endpoint_parse(s.value, s.where, endpoint, err) : PMN_STATUS_OK;
}

/* -------------------------------------------------------------------------------------------------- all others -- */

static pmn_status find_profile(
    const pmn_s3_flags *flags, const pmn_s3_profiles *profiles, pmn_s3_config *config, pmn_err *err) {
  const setting places[] = {of_flag("--profile", flags->profile), of_env("AWS_PROFILE"), of_env("AWS_DEFAULT_PROFILE")};
  setting s = first_of(places, 3);
  config->profile_flag = flags->profile != NULL;
  if (s.value != NULL && !pmn_s3_profiles_has(profiles, s.value)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: there is no profile %.80s in %.150s or %.150s", s.where,
        s.value, pmn_s3_profiles_path(profiles, PMN_S3_FILE_CONFIG),
        pmn_s3_profiles_path(profiles, PMN_S3_FILE_CREDENTIALS));
  }
  return keep(s.value != NULL ? s.value : "default", &config->profile, err);
}

static pmn_status find_style(const lookup *self, pmn_s3_config *config, pmn_err *err) {
  setting s = of_profile(self, "s3.addressing_style");
  config->path_style = config->endpoint != NULL;
  if (s.value == NULL || strcmp(s.value, "auto") == 0) return PMN_STATUS_OK;
  config->path_style = strcmp(s.value, "path") == 0;
  if (config->path_style || strcmp(s.value, "virtual") == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %.80s is none of path, virtual and auto", s.where, s.value);
}

static pmn_status find_attempts(const lookup *self, int32_t *attempts, pmn_err *err) {
  const setting places[] = {of_env("AWS_MAX_ATTEMPTS"), of_profile(self, "max_attempts")};
  setting s = first_of(places, 2);
  int64_t number = ATTEMPTS;
  if (s.value != NULL && !pmn_text_int64(s.value, 1, ATTEMPTS_MAX, &number)) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%s: %.80s is no number from 1 to %d", s.where, s.value, ATTEMPTS_MAX);
  }
  *attempts = (int32_t)number;
  return PMN_STATUS_OK;
}

static pmn_status find_ca_bundle(const lookup *self, char **path, pmn_err *err) {
  const setting places[] = {of_env("AWS_CA_BUNDLE"), of_profile(self, "ca_bundle")};
  setting s = first_of(places, 2);
  if (s.value != NULL && access(s.value, R_OK) != 0) {
    return pmn_err_set(
        err, PMN_STATUS_NOT_FOUND, errno, "%s: cannot read %.250s: %s", s.where, s.value, strerror(errno));
  }
  return keep(s.value, path, err);
}

pmn_status pmn_s3_config_create(const pmn_s3_flags *flags, pmn_s3_config **config, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_profiles *profiles = NULL;
  pmn_s3_config *self = pmn_calloc(1, sizeof *self);
  *config = NULL;
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the configuration of S3");
  PMN_TRY(pmn_s3_profiles_create(&profiles, err));
  PMN_TRY(find_profile(flags, profiles, self, err));
  const lookup in = {profiles, self->profile};
  self->no_sign_request = flags->no_sign_request;
  PMN_TRY(find_region(&in, flags->region, &self->region, err));
  PMN_TRY(find_endpoint(&in, flags->endpoint, "AWS_ENDPOINT_URL_S3", "s3", &self->endpoint, err));
  PMN_TRY(find_endpoint(&in, NULL, "AWS_ENDPOINT_URL_STS", "sts", &self->sts_endpoint, err));
  PMN_TRY(find_style(&in, self, err));
  PMN_TRY(find_attempts(&in, &self->attempts_max, err));
  PMN_TRY(find_ca_bundle(&in, &self->ca_bundle, err));
  *config = self;
  self = NULL;
done:
  pmn_s3_profiles_destroy(profiles);
  pmn_s3_config_destroy(self);
  return st;
}

void pmn_s3_config_destroy(pmn_s3_config *config) {
  if (config == NULL) return;
  pmn_free(config->region);
  pmn_free(config->endpoint);
  pmn_free(config->sts_endpoint);
  pmn_free(config->ca_bundle);
  pmn_free(config->profile);
  pmn_free(config);
}
