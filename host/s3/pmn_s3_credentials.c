/* pmn_s3_credentials.c - see pmn_s3_credentials.h.
 *
 * Which source it is, is decided once, by what is configured and not by what works: keys of another account because
 * the right ones failed would be a surprise. The profile files are read again for each renewal, since some programs
 * renew keys there. At most one thread asks a source at a time; the lock is never held meanwhile.
 */
#define _GNU_SOURCE /* explicit_bzero */
#include "pmn_s3_credentials.h"

#include "pmn_clock.h"
#include "pmn_mem.h"
#include "pmn_s3_profile.h"
#include "pmn_s3_source.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { EARLY_SECONDS = 300, AGAIN_SECONDS = 60, TRIES = 3, PROCESS_SECONDS = 60, CHAIN_MAX = 10, WHERE = 160 };

typedef enum origin { NOBODY, ENVIRONMENT, WEB_IDENTITY, PROFILE, CONTAINER, INSTANCE } origin;

struct pmn_s3_credentials {
  const pmn_s3_config *config;
  pmn_http *http;
  origin origin;
  char source[WHERE];
  pthread_mutex_t lock;
  pthread_cond_t renewed;
  /* under the lock: */
  pmn_s3_keys keys;
  bool have, renewing;
  double not_before; /* when keys that are still good may be renewed again, by pmn_clock_seconds */
  uint64_t rounds;   /* renewals that have ended */
  pmn_err failure;   /* of the last one; status OK: none */
};

/* --------------------------------------------------------------------------------------------- what is configured --
 */

/* What a profile has, in the order of botocore. */
typedef enum kind { KIND_NONE, KIND_ROLE, KIND_WEB_IDENTITY, KIND_SSO, KIND_LOGIN, KIND_STATIC, KIND_PROCESS } kind;
static const char *const kinds[] = {
    "nothing", "role_arn", "web_identity_token_file", "sso", "login", "keys", "credential_process"};

/* Access key and secret key are of one file, or one of them is missing there. */
static bool has_keys(const pmn_s3_profiles *profiles, const char *profile, pmn_s3_file file) {
  return pmn_s3_profiles_get(profiles, profile, "aws_access_key_id", file) != NULL ||
         pmn_s3_profiles_get(profiles, profile, "aws_secret_access_key", file) != NULL;
}

/* `as_source`: of a role, whose own keys then come first. */
static kind kind_of(const pmn_s3_profiles *profiles, const char *profile, bool as_source, pmn_s3_file *file) {
#define SAYS(name) (pmn_s3_profiles_get(profiles, profile, name, PMN_S3_FILE_ANY) != NULL)
  *file = PMN_S3_FILE_CREDENTIALS;
  bool keys = has_keys(profiles, profile, PMN_S3_FILE_ANY);
  if (SAYS("role_arn") && !SAYS("web_identity_token_file") && !(as_source && keys)) return KIND_ROLE;
  if (SAYS("web_identity_token_file")) return KIND_WEB_IDENTITY;
  if (SAYS("sso_account_id") || SAYS("sso_role_name")) return KIND_SSO;
  if (has_keys(profiles, profile, PMN_S3_FILE_CREDENTIALS)) return KIND_STATIC;
  if (SAYS("login_session")) return KIND_LOGIN;
  if (SAYS("credential_process")) return KIND_PROCESS;
  *file = PMN_S3_FILE_CONFIG;
  return keys ? KIND_STATIC : KIND_NONE;
#undef SAYS
}

static void decide(pmn_s3_credentials *self, const pmn_s3_profiles *profiles) {
  const pmn_s3_config *config = self->config;
  pmn_s3_file file;
  kind of_profile = kind_of(profiles, config->profile, false, &file);
  bool environment = !config->profile_flag;
  const char *text;
  if (config->no_sign_request) {
    self->origin = NOBODY;
    text = "nobody: requests are not signed";
  } else if (environment && (pmn_s3_env("AWS_ACCESS_KEY_ID") != NULL || pmn_s3_env("AWS_SECRET_ACCESS_KEY") != NULL)) {
    self->origin = ENVIRONMENT;
    text = "the environment";
  } else if (environment && pmn_s3_env("AWS_WEB_IDENTITY_TOKEN_FILE") != NULL) {
    self->origin = WEB_IDENTITY;
    text = "the environment's web identity";
  } else if (of_profile != KIND_NONE) {
    self->origin = PROFILE;
    snprintf(self->source, sizeof self->source, "profile %.100s (%s)", config->profile, kinds[of_profile]);
    return;
  } else if (pmn_s3_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") != NULL ||
             pmn_s3_env("AWS_CONTAINER_CREDENTIALS_FULL_URI") != NULL) {
    self->origin = CONTAINER;
    text = "the container";
  } else {
    self->origin = INSTANCE;
    text = "the EC2 instance";
  }
  snprintf(self->source, sizeof self->source, "%s", text);
}

/* ------------------------------------------------------------------------------------------------------ asking -- */

/* Profiles that lead to this one. */
typedef struct chain {
  const char *profile;
  const struct chain *before;
  int length;
} chain;

static pmn_status ask_profile(
    const pmn_s3_credentials *self, const pmn_s3_profiles *profiles, const chain *at, pmn_s3_keys *keys, pmn_err *err);

static pmn_status ask_environment(pmn_s3_keys *keys, pmn_err *err) {
  const char *access = pmn_s3_env("AWS_ACCESS_KEY_ID"), *secret = pmn_s3_env("AWS_SECRET_ACCESS_KEY");
  if (access == NULL && secret == NULL) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "the environment has no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
  }
  if (access == NULL || secret == NULL) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s is set, but not %s: set both or neither",
        access != NULL ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY",
        access != NULL ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID");
  }
  return pmn_s3_keys_set(access, secret, pmn_s3_env("AWS_SESSION_TOKEN"), pmn_s3_env("AWS_CREDENTIAL_EXPIRATION"),
      "the keys of the environment (AWS_ACCESS_KEY_ID, ...)", keys, err);
}

static pmn_status ask_web_identity(const pmn_s3_credentials *self, pmn_s3_keys *keys, pmn_err *err) {
  const pmn_s3_role role = {.arn = pmn_s3_env("AWS_ROLE_ARN"),
      .session_name = pmn_s3_env("AWS_ROLE_SESSION_NAME"),
      .token_file = pmn_s3_env("AWS_WEB_IDENTITY_TOKEN_FILE")};
  if (role.token_file == NULL || role.arn == NULL) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but not AWS_ROLE_ARN");
  }
  return pmn_s3_sts_keys(
      self->config, self->http, &role, NULL, "web identity (AWS_WEB_IDENTITY_TOKEN_FILE)", keys, err);
}

/* The keys that may assume the role. */
static pmn_status ask_role_source(const pmn_s3_credentials *self, const pmn_s3_profiles *profiles, const chain *at,
    const char *where, pmn_s3_keys *keys, pmn_err *err) {
  const char *named = pmn_s3_profiles_get(profiles, at->profile, "source_profile", PMN_S3_FILE_ANY);
  const char *source = pmn_s3_profiles_get(profiles, at->profile, "credential_source", PMN_S3_FILE_ANY);
  if ((named == NULL) == (source == NULL)) {
    return pmn_err_set(
        err, PMN_STATUS_ARGUMENT, 0, "%s has a role_arn: it takes one of source_profile and credential_source", where);
  }
  if (source != NULL) {
    if (strcmp(source, "Environment") == 0) return ask_environment(keys, err);
    if (strcmp(source, "EcsContainer") == 0) return pmn_s3_container_keys(self->http, keys, err);
    if (strcmp(source, "Ec2InstanceMetadata") == 0) return pmn_s3_imds_keys(self->http, keys, err);
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%s: credential_source is none of Environment, EcsContainer and Ec2InstanceMetadata", where);
  }
  if (!pmn_s3_profiles_has(profiles, named)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: there is no profile %.100s, its source_profile", where, named);
  }
  /* A profile may name itself if it has keys besides the role. */
  bool itself = strcmp(named, at->profile) == 0 && has_keys(profiles, named, PMN_S3_FILE_ANY);
  bool loop = false;
  for (const chain *c = at; c != NULL; c = c->before) loop = loop || strcmp(c->profile, named) == 0;
  if ((loop && !itself) || at->length == CHAIN_MAX) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: its source_profile %.100s %s", where, named,
        loop ? "leads back to it" : "is one too many in a row");
  }
  const chain next = {named, at, at->length + 1};
  return ask_profile(self, profiles, &next, keys, err);
}

static pmn_status ask_role(const pmn_s3_credentials *self, const pmn_s3_profiles *profiles, const chain *at,
    const char *where, bool web_identity, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_keys signer = {.expires = 0};
#define SAYS(name) pmn_s3_profiles_get(profiles, at->profile, name, PMN_S3_FILE_ANY)
  const pmn_s3_role role = {.arn = SAYS("role_arn"),
      .session_name = SAYS("role_session_name"),
      .external_id = web_identity ? NULL : SAYS("external_id"),
      .duration_seconds = web_identity ? NULL : SAYS("duration_seconds"),
      .token_file = web_identity ? SAYS("web_identity_token_file") : NULL};
  if (role.arn == NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s has a web_identity_token_file, but no role_arn", where);
  if (!web_identity && SAYS("mfa_serial") != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s asks for an MFA code (mfa_serial), which Pomona cannot: set credential_process "
        "= aws configure export-credentials --profile %.100s --format process in another profile",
        where, at->profile);
  }
#undef SAYS
  if (!web_identity) PMN_TRY(ask_role_source(self, profiles, at, where, &signer, err));
  PMN_TRY(pmn_s3_sts_keys(self->config, self->http, &role, &signer, where, keys, err));
done:
  pmn_s3_keys_reset(&signer);
  return st;
}

static pmn_status ask_profile(
    const pmn_s3_credentials *self, const pmn_s3_profiles *profiles, const chain *at, pmn_s3_keys *keys, pmn_err *err) {
  char where[WHERE];
  pmn_s3_file file;
  kind what = kind_of(profiles, at->profile, at->before != NULL, &file);
  snprintf(where, sizeof where, "profile %.100s", at->profile);
  switch (what) {
  case KIND_ROLE:
  case KIND_WEB_IDENTITY:
    return ask_role(self, profiles, at, where, what == KIND_WEB_IDENTITY, keys, err);
  case KIND_STATIC:
    return pmn_s3_keys_set(pmn_s3_profiles_get(profiles, at->profile, "aws_access_key_id", file),
        pmn_s3_profiles_get(profiles, at->profile, "aws_secret_access_key", file),
        pmn_s3_profiles_get(profiles, at->profile, "aws_session_token", file), NULL, where, keys, err);
  case KIND_PROCESS:
    snprintf(where, sizeof where, "credential_process of profile %.100s", at->profile);
    return pmn_s3_process_keys(pmn_s3_profiles_get(profiles, at->profile, "credential_process", PMN_S3_FILE_ANY),
        PROCESS_SECONDS, where, keys, err);
  case KIND_SSO:
  case KIND_LOGIN:
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
        "%s signs in by %s, which Pomona cannot: set credential_process = aws configure export-credentials --profile "
        "%.100s --format process in another profile",
        where, what == KIND_SSO ? "SSO" : "aws login", at->profile);
  case KIND_NONE:
    break;
  }
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s has no keys, nor says where to get them", where);
}

/* The last in the chain: if nobody answers, there is nothing. */
static pmn_status ask_instance(const pmn_s3_credentials *self, pmn_s3_keys *keys, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  pmn_status st = pmn_s3_imds_keys(self->http, keys, &why);
  if (st == PMN_STATUS_OK) return st;
  if (st != PMN_STATUS_NOT_FOUND) return pmn_err_set(err, st, why.foreign, "%s", why.message);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, or read public buckets "
      "with --no-sign-request; profile %.60s has none, there is no container, and %.200s",
      self->config->profile, why.message);
}

static pmn_status ask_once(const pmn_s3_credentials *self, pmn_s3_keys *keys, pmn_err *err) {
  pmn_s3_profiles *profiles = NULL;
  const chain start = {.profile = self->config->profile};
  pmn_status st = PMN_STATUS_OK;
  switch (self->origin) {
  case NOBODY:
    return PMN_STATUS_OK;
  case ENVIRONMENT:
    return ask_environment(keys, err);
  case WEB_IDENTITY:
    return ask_web_identity(self, keys, err);
  case CONTAINER:
    return pmn_s3_container_keys(self->http, keys, err);
  case INSTANCE:
    return ask_instance(self, keys, err);
  case PROFILE:
    break;
  }
  PMN_TRY(pmn_s3_profiles_create(&profiles, err));
  PMN_TRY(ask_profile(self, profiles, &start, keys, err));
done:
  pmn_s3_profiles_destroy(profiles);
  return st;
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static pmn_status ask(const pmn_s3_credentials *self, pmn_s3_keys *keys, pmn_err *err) {
  struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
  pmn_status st;
  for (int i = 1; (st = ask_once(self, keys, err)) == PMN_STATUS_NETWORK && i < TRIES; i++) {
    nanosleep(&pause, NULL);
    pause.tv_nsec *= 4;
  }
  if (st != PMN_STATUS_OK || keys->expires == 0 || keys->expires > now()) return st;
  pmn_s3_keys_reset(keys);
  return pmn_err_set(err, PMN_STATUS_KEYS, 0,
      "%s: the keys have expired already; renew them, and see that this machine's clock is right", self->source);
}

/* ----------------------------------------------------------------------------------------------------- renewal -- */

static bool same_keys(const pmn_s3_keys *a, const pmn_s3_keys *b) {
  const char *x = a->token != NULL ? a->token : "", *y = b->token != NULL ? b->token : "";
  return strcmp(a->access_key, b->access_key) == 0 && strcmp(x, y) == 0;
}

/* Called with the lock held, and returns with it. */
static void renew(pmn_s3_credentials *self) {
  pmn_s3_keys fresh = {.expires = 0};
  pmn_err failure = PMN_ERR_INIT;
  self->renewing = true;
  pthread_mutex_unlock(&self->lock);
  pmn_status st = ask(self, &fresh, &failure);
  pthread_mutex_lock(&self->lock);
  self->renewing = false;
  self->rounds++;
  self->not_before = pmn_clock_seconds() + AGAIN_SECONDS;
  self->failure = failure;
  /* What has worked before is not written wrongly. */
  self->failure.status = st == PMN_STATUS_ARGUMENT && self->have ? PMN_STATUS_KEYS : st;
  if (st == PMN_STATUS_OK) {
    pmn_s3_keys_reset(&self->keys);
    self->keys = fresh;
    self->have = true;
  }
  pthread_cond_broadcast(&self->renewed);
}

pmn_status pmn_s3_credentials_get(pmn_s3_credentials *self, bool refused, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_keys bad = {.expires = 0};
  if (refused) bad = *keys;
  pthread_mutex_lock(&self->lock);
  for (uint64_t round = self->rounds;;) {
    double left = self->keys.expires > 0 ? self->keys.expires - now() : EARLY_SECONDS + 1;
    bool good = self->have && left > 0 && !(refused && same_keys(&self->keys, &bad));
    bool may_ask = !self->renewing && pmn_clock_seconds() >= self->not_before;
    if (good && (left > EARLY_SECONDS || !may_ask)) break;
    if (!good && self->rounds != round) { /* asked meanwhile, by this thread or another */
      if (self->failure.status != PMN_STATUS_OK) {
        PMN_FAIL_CODE(err, self->failure.status, self->failure.foreign, "%s", self->failure.message);
      }
      PMN_FAIL(err, PMN_STATUS_KEYS, "the server calls the keys of %s expired; renew them", self->source);
    }
    if (self->renewing)
      pthread_cond_wait(&self->renewed, &self->lock);
    else
      renew(self);
  }
  st = pmn_s3_keys_copy(&self->keys, keys, err);
done:
  if (st != PMN_STATUS_OK) *keys = (pmn_s3_keys){.expires = 0};
  pthread_mutex_unlock(&self->lock);
  pmn_s3_keys_reset(&bad);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- life -- */

pmn_status pmn_s3_credentials_create(
    const pmn_s3_config *config, pmn_http *http, pmn_s3_credentials **credentials, pmn_err *err) {
  pmn_s3_profiles *profiles = NULL;
  *credentials = NULL;
  pmn_s3_credentials *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "the credentials of S3");
  pmn_status st = pmn_s3_profiles_create(&profiles, err);
  if (st != PMN_STATUS_OK) {
    pmn_free(self);
    return st;
  }
  self->config = config;
  self->http = http;
  pthread_mutex_init(&self->lock, NULL);
  pthread_cond_init(&self->renewed, NULL);
  decide(self, profiles);
  pmn_s3_profiles_destroy(profiles);
  *credentials = self;
  return PMN_STATUS_OK;
}

void pmn_s3_credentials_destroy(pmn_s3_credentials *credentials) {
  if (credentials == NULL) return;
  pmn_s3_keys_reset(&credentials->keys);
  pthread_cond_destroy(&credentials->renewed);
  pthread_mutex_destroy(&credentials->lock);
  pmn_free(credentials);
}

const char *pmn_s3_credentials_source(const pmn_s3_credentials *credentials) {
  return credentials->source;
}

pmn_status pmn_s3_credentials_region(pmn_s3_credentials *credentials, pmn_buf *region, pmn_err *err) {
  return pmn_s3_imds_region(credentials->http, region, err);
}
