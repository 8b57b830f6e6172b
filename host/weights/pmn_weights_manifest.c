/* pmn_weights_manifest.c - see pmn_weights.h. The embedded manifest is ours: it is read without suspicion, once. */
#include "pmn_weights.h"

#include "pmn_file.h"
#include "pmn_mem.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

extern const char pmn_weights_manifest[], pmn_weights_manifest_end[];

static struct {
  pthread_mutex_t lock;
  json_t *json; /* owns the texts of the entries; kept until the process ends */
  pmn_weights_entry *entries;
  int32_t count;
} manifest = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool read_manifest(void) {
  json_t *json = json_loadb(pmn_weights_manifest, (size_t)(pmn_weights_manifest_end - pmn_weights_manifest), 0, NULL);
  json_t *list = json_object_get(json, "published"), *item;
  pmn_weights_entry *entries = pmn_calloc(json_array_size(list), sizeof *entries);
  size_t i;
  if (json == NULL || entries == NULL) {
    json_decref(json);
    pmn_free(entries);
    return false;
  }
  json_array_foreach(list, i, item) {
    entries[i] = (pmn_weights_entry){
        .name = json_string_value(json_object_get(item, "name")),
        .network = json_string_value(json_object_get(item, "network")),
        .classifier = json_is_true(json_object_get(item, "classifier")),
        .size = (int32_t)json_integer_value(json_object_get(item, "size")),
        .path = json_string_value(json_object_get(item, "path")),
        .md5 = json_string_value(json_object_get(item, "md5")),
        .bytes = json_integer_value(json_object_get(item, "bytes")),
        .licence = json_string_value(json_object_get(item, "license")),
    };
  }
  manifest.json = json;
  manifest.entries = entries;
  manifest.count = (int32_t)json_array_size(list);
  return true;
}

static bool have_manifest(void) {
  pthread_mutex_lock(&manifest.lock);
  bool have = manifest.json != NULL || read_manifest();
  pthread_mutex_unlock(&manifest.lock);
  return have;
}

const pmn_weights_entry *pmn_weights_at(int32_t index) {
  return index >= 0 && have_manifest() && index < manifest.count ? &manifest.entries[index] : NULL;
}

const pmn_weights_entry *pmn_weights_find(const char *name) {
  const pmn_weights_entry *entry;
  for (int32_t i = 0; (entry = pmn_weights_at(i)) != NULL; i++) {
    if (strcmp(entry->name, name) == 0) return entry;
  }
  return NULL;
}

const char *pmn_weights_base(void) {
  return have_manifest() ? json_string_value(json_object_get(manifest.json, "published_base")) : NULL;
}

const pmn_weights_entry *pmn_weights_choose(const char *network, int32_t width, int32_t height, bool classifier) {
  const pmn_architecture *architecture = pmn_architecture_find(network);
  const pmn_weights_entry *entry, *own = NULL;
  if (architecture == NULL) return NULL;
  for (int32_t i = 0; (entry = pmn_weights_at(i)) != NULL; i++) {
    if (strcmp(entry->network, network) != 0 || entry->classifier != classifier) continue;
    if (width == height && width == entry->size) return entry;
    if (entry->size == architecture->size) own = entry;
  }
  return own;
}

pmn_status pmn_weights_path(const pmn_weights_entry *entry, pmn_buf *path, bool *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  char name[128];
  snprintf(name, sizeof name, "weights/%s.safetensors", entry->name);
  PMN_TRY(pmn_file_cache_find(name, path, err));
  *found = access(path->data, R_OK) == 0;
done:
  return st;
}
