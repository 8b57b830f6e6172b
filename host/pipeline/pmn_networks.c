/* pmn_networks.c - see pmn_networks.h. */
#include "pmn_networks.h"

#include <stdio.h>

pmn_status pmn_networks_weights(const pmn_architecture *architecture, int32_t width, int32_t height, bool classifier,
    pmn_buf *path, bool *found, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *found = false;
  for (int top = classifier; top <= 1 && !*found; top++) {
    const pmn_weights_entry *entry = pmn_weights_choose(architecture->name, width, height, top != 0);
    if (entry == NULL) continue;
    pmn_buf_clear(path);
    PMN_TRY(pmn_weights_path(entry, path, found, err));
  }
done:
  return st;
}

static pmn_status describe(const pmn_architecture *architecture, pmn_network_info *info, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf path;
  bool found = false;
  pmn_buf_init(&path, sizeof info->weights - 1);
  *info = (pmn_network_info){.name = architecture->name,
      .description = architecture->description,
      .licence = architecture->licence,
      .layer = architecture->features,
      .preprocess = pmn_preprocess_find(architecture->preprocess)->formula,
      .resize = architecture->resize,
      .size = architecture->size,
      .embedded = architecture->embedded != NULL};
  if (!info->embedded) PMN_TRY(pmn_networks_weights(architecture, 0, 0, false, &path, &found, err));
  if (found) snprintf(info->weights, sizeof info->weights, "%s", path.data);
done:
  pmn_buf_reset(&path);
  return st;
}

pmn_status pmn_networks_list(pmn_network_info *list, int32_t capacity, int32_t *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_architecture *architecture;
  for (*count = 0; (architecture = pmn_architecture_at(*count)) != NULL; ++*count) {
    if (*count < capacity) PMN_TRY(describe(architecture, &list[*count], err));
  }
done:
  return st;
}
