/* pmn_weights_record.c - see pmn_weights_record.h. */
#include "pmn_weights_record.h"

#include "pmn_clock.h"
#include "pmn_file.h"
#include "pmn_mem.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RECORD_MAX = 1 << 16, PATH_SIZE = 4096 };

pmn_status pmn_weights_make_folder(pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  pmn_buf_init(&path, PATH_SIZE - 1);
  st = pmn_file_cache_path("weights", &path, err);
  if (st == PMN_STATUS_NOT_FOUND) { /* to those who would write there */
    st = PMN_STATUS_WRITE;
    if (err != NULL) err->status = st;
  }
  if (st != PMN_STATUS_OK) goto done;
  if (mkdir(path.data, 0700) != 0 && errno != EEXIST) {
    PMN_FAIL_CODE(err, PMN_STATUS_WRITE, errno, "cannot make the cache folder %s: %s", path.data, strerror(errno));
  }
done:
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_weights_file(const pmn_weights_entry *entry, const char *suffix, pmn_buf *path, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_file_cache_find("weights", path, err));
  PMN_TRY(pmn_buf_printf(path, err, "/%s%s", entry->name, suffix));
done:
  return st;
}

/* A hash of as many digits as `hex` has room for. */
static bool take_hash(const json_t *json, const char *key, char *hex, size_t size) {
  const char *text = json_string_value(json_object_get(json, key));
  if (text == NULL || strlen(text) != size - 1 || strspn(text, "0123456789abcdef") != size - 1) return false;
  memcpy(hex, text, size);
  return true;
}

pmn_status pmn_weights_record_read(
    const pmn_weights_entry *entry, pmn_fetched *fetched, int64_t *safetensors_bytes, bool *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  json_t *json = NULL;
  pmn_buf path, text;
  pmn_buf_init(&path, sizeof fetched->path - 1);
  pmn_buf_init(&text, RECORD_MAX);
  *found = false;
  *fetched = (pmn_fetched){.was_there = true};
  PMN_TRY(pmn_weights_file(entry, ".json", &path, err));
  if (pmn_file_read(path.data, &text, NULL) == PMN_STATUS_OK) json = json_loadb(text.data, text.size, 0, NULL);
  *found = take_hash(json, "md5", fetched->md5, sizeof fetched->md5) &&
           take_hash(json, "sha256", fetched->sha256, sizeof fetched->sha256) &&
           take_hash(json, "safetensors_sha256", fetched->safetensors_sha256, sizeof fetched->safetensors_sha256);
  fetched->bytes = json_integer_value(json_object_get(json, "bytes"));
  fetched->pinned = entry->md5 != NULL && strcmp(entry->md5, fetched->md5) == 0;
  *safetensors_bytes = json_integer_value(json_object_get(json, "safetensors_bytes"));
  pmn_buf_clear(&path);
  PMN_TRY(pmn_weights_file(entry, ".safetensors", &path, err));
  snprintf(fetched->path, sizeof fetched->path, "%s", path.data);
done:
  json_decref(json);
  pmn_buf_reset(&text);
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_weights_record_write(const pmn_weights_entry *entry, const pmn_fetched *fetched,
    int64_t safetensors_bytes, const char *url, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char now[32], *text = NULL;
  pmn_buf path;
  pmn_buf_init(&path, sizeof fetched->path - 1);
  pmn_clock_utc(now);
  json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:s}", "name", entry->name, "url", url, "fetched",
      now, "bytes", (json_int_t)fetched->bytes, "md5", fetched->md5, "sha256", fetched->sha256, "safetensors_sha256",
      fetched->safetensors_sha256, "safetensors_bytes", (json_int_t)safetensors_bytes, "licence", entry->licence);
  if (json == NULL || (text = json_dumps(json, JSON_INDENT(2))) == NULL) {
    st = pmn_err_memory(err, RECORD_MAX, "the record of a download");
    goto done;
  }
  PMN_TRY(pmn_weights_file(entry, ".json", &path, err));
  PMN_TRY(pmn_file_write_cached(path.data, text, strlen(text), err));
done:
  free(text);
  json_decref(json);
  pmn_buf_reset(&path);
  return st;
}
