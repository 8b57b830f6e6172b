/* pmn_s3_keys.c - see pmn_s3_sign.h and pmn_s3_source.h: keys as values, and out of JSON. */
#define _GNU_SOURCE /* explicit_bzero, timegm */
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_s3_source.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

void pmn_s3_keys_reset(pmn_s3_keys *keys) {
  if (keys->token != NULL) explicit_bzero(keys->token, strlen(keys->token));
  pmn_free(keys->token);
  explicit_bzero(keys, sizeof *keys);
}

pmn_status pmn_s3_keys_copy(const pmn_s3_keys *from, pmn_s3_keys *to, pmn_err *err) {
  *to = *from;
  if (from->token == NULL) return PMN_STATUS_OK;
  to->token = pmn_strdup(from->token);
  if (to->token != NULL) return PMN_STATUS_OK;
  pmn_s3_keys_reset(to);
  return pmn_err_memory(err, strlen(from->token) + 1, "a copy of the keys");
}

void pmn_s3_wipe(pmn_buf *bytes) {
  if (bytes->data != NULL) explicit_bzero(bytes->data, bytes->capacity);
  pmn_buf_reset(bytes);
}

/* -------------------------------------------------------------------------------------------------------- time -- */

static bool digits(const char **text, int count, int min, int max, int *value) {
  *value = 0;
  for (int i = 0; i < count; i++, (*text)++) {
    if (**text < '0' || **text > '9') return false;
    *value = 10 * *value + (**text - '0');
  }
  return *value >= min && *value <= max;
}

static bool letter(const char **text, char c) {
  if (**text != c) return false;
  (*text)++;
  return true;
}

bool pmn_s3_time_parse(const char *text, double *seconds) {
  struct tm tm = {0};
  int hours = 0, minutes = 0;
  bool good = digits(&text, 4, 1970, 9999, &tm.tm_year) && letter(&text, '-') && digits(&text, 2, 1, 12, &tm.tm_mon) &&
              letter(&text, '-') && digits(&text, 2, 1, 31, &tm.tm_mday) && letter(&text, 'T') &&
              digits(&text, 2, 0, 23, &tm.tm_hour) && letter(&text, ':') && digits(&text, 2, 0, 59, &tm.tm_min) &&
              letter(&text, ':') && digits(&text, 2, 0, 59, &tm.tm_sec);
  if (good && letter(&text, '.')) { /* a fraction of a second does not matter here */
    size_t count = strspn(text, "0123456789");
    good = count > 0;
    text += count;
  }
  int sign = good && *text == '-' ? -1 : 1;
  if (good && (letter(&text, '+') || letter(&text, '-'))) {
    good = digits(&text, 2, 0, 23, &hours) && letter(&text, ':') && digits(&text, 2, 0, 59, &minutes);
  } else {
    good = good && letter(&text, 'Z');
  }
  if (!good || *text != '\0') return false;
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  int day = tm.tm_mday;
  time_t when = timegm(&tm); /* which makes 1 March of 29 February in most years */
  if (tm.tm_mday != day) return false;
  *seconds = (double)when - sign * (hours * 3600.0 + minutes * 60.0);
  return true;
}

/* ------------------------------------------------------------------------------------------------------ values -- */

/* What a header can carry and a signature's scope may hold. */
static bool is_word(const char *text) {
  for (; *text != '\0'; text++) {
    if (*text <= ' ' || *text >= 127) return false;
  }
  return true;
}

pmn_status pmn_s3_keys_set(const char *access_key, const char *secret_key, const char *token, const char *expires,
    const char *where, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_s3_keys found = {.expires = 0};
  const char *missing = access_key == NULL || access_key[0] == '\0'   ? "access key"
                        : secret_key == NULL || secret_key[0] == '\0' ? "secret key"
                                                                      : NULL;
  if (missing != NULL) PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: there is no %s", where, missing);
  if (token == NULL) token = "";
  if (strlen(access_key) >= sizeof found.access_key || strlen(secret_key) >= sizeof found.secret_key ||
      strlen(token) > PMN_S3_TOKEN_MAX) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the keys are longer than any keys are", where);
  }
  if (!is_word(access_key) || !is_word(secret_key) || !is_word(token)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the keys hold blanks or characters that no key has", where);
  }
  if (expires != NULL && expires[0] != '\0' && !pmn_s3_time_parse(expires, &found.expires)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: the time of expiry does not look like 2026-11-21T08:50:35Z", where);
  }
  snprintf(found.access_key, sizeof found.access_key, "%s", access_key);
  snprintf(found.secret_key, sizeof found.secret_key, "%s", secret_key);
  if (token[0] != '\0' && (found.token = pmn_strdup(token)) == NULL) {
    st = pmn_err_memory(err, strlen(token) + 1, "a session token");
    goto done;
  }
  *keys = found;
  found.token = NULL;
done:
  pmn_s3_keys_reset(&found);
  return st;
}

pmn_status pmn_s3_token_read(const char *path, const char *where, pmn_buf *token, pmn_err *err) {
  pmn_status st = pmn_file_read(path, token, NULL);
  if (st != PMN_STATUS_OK) {
    return pmn_err_set(err, st == PMN_STATUS_NO_MEMORY ? st : PMN_STATUS_NOT_FOUND, 0,
        "%s: cannot read the token in %.200s, which may have up to %zu bytes", where, path, token->max);
  }
  while (token->size > 0 && strchr(" \t\r\n", token->data[token->size - 1]) != NULL) token->data[--token->size] = '\0';
  bool good = token->size > 0 && strlen(token->data) == token->size;
  for (size_t i = 0; good && i < token->size; i++) good = token->data[i] >= ' ' && token->data[i] < 127;
  if (good) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %.200s holds no token", where, path);
}

/* -------------------------------------------------------------------------------------------------------- JSON -- */

static const char *text_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

/* jansson does not wipe what it frees. */
static void wipe_texts(json_t *object) {
  const char *name;
  json_t *value;
  json_object_foreach(object, name, value) {
    char *text = (char *)(uintptr_t)json_string_value(value);
    if (text != NULL) explicit_bzero(text, json_string_length(value));
  }
}

static pmn_status check_object(const json_t *object, bool of_process, const char *where, pmn_err *err) {
  const char *code = text_of(object, "Code"), *message = text_of(object, "Message");
  if (!json_is_object(object)) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: what came is not a JSON object", where);
  }
  if (of_process && json_integer_value(json_object_get(object, "Version")) != 1) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: the JSON it prints does not say \"Version\": 1", where);
  }
  if (!of_process && code != NULL && strcmp(code, "Success") != 0) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %.80s: %.200s", where, code, message != NULL ? message : "");
  }
  static const char *const names[] = {"AccessKeyId", "SecretAccessKey", "SessionToken", "Token", "Expiration"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const json_t *value = json_object_get(object, names[i]);
    if (value != NULL && !json_is_string(value) && !json_is_null(value)) {
      return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s: %s is no text in the JSON that came", where, names[i]);
    }
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_s3_keys_parse(const pmn_buf *json, bool of_process, const char *where, pmn_s3_keys *keys, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_error_t unused; /* its text quotes the JSON, secrets and all */
  json_t *object = json_loadb(json->size > 0 ? json->data : "", json->size, JSON_REJECT_DUPLICATES, &unused);
  PMN_TRY(check_object(object, of_process, where, err));
  PMN_TRY(pmn_s3_keys_set(text_of(object, "AccessKeyId"), text_of(object, "SecretAccessKey"),
      text_of(object, of_process ? "SessionToken" : "Token"), text_of(object, "Expiration"), where, keys, err));
done:
  if (json_is_object(object)) wipe_texts(object);
  json_decref(object);
  return st;
}
