/* pmn_weights.h - published weights: which there are, and where the fetched ones are found.
 *
 * The manifest (weights/manifest.json, embedded) names every published file: network, with or without classifier,
 * address under the base, MD5 and size as published, licence. pmn_weights_fetch of pomona.h checks a file, converts it
 * to our safetensors and keeps that in the cache folder under the name of its entry: weights/NAME.safetensors, with
 * NAME.json, the record of what was fetched. This room also holds pmn_weights_list, _verify and _convert of pomona.h.
 */
#ifndef PMN_WEIGHTS_H
#define PMN_WEIGHTS_H

#include "pmn_buf.h"
#include "pmn_model.h"

typedef struct pmn_weights_entry {
  const char *name;    /* NETWORK[_SIZE][_top]: "resnet50", "resnet50_top", "mobilenet_v2_0.5_160", ... */
  const char *network; /* of the zoo */
  bool classifier;     /* holds the classifier's tensors too */
  int32_t size;        /* of pictures that these weights were trained for */
  const char *path;    /* under the base address */
  const char *md5;     /* as published; NULL: none is */
  int64_t bytes;       /* about, for people and progress: no one promises it; 0: not known */
  const char *licence;
} pmn_weights_entry;

/* By index from 0 and by name; NULL past the last, for no such name, and when the manifest cannot be read for want of
 * memory. */
const pmn_weights_entry *pmn_weights_at(int32_t index);
const pmn_weights_entry *pmn_weights_find(const char *name);
/* The address that the entries' paths are under; NULL for want of memory. */
const char *pmn_weights_base(void);

/* The entry whose weights `network` uses for pictures of this size: those trained on it if there are any (0: the
 * network's own), else those of the network's own size, as Keras does. NULL if none is published. */
const pmn_weights_entry *pmn_weights_choose(const char *network, int32_t width, int32_t height, bool classifier);
/* Path of the entry's safetensors in the cache; *found: it is there. */
PMN_MUST_USE pmn_status pmn_weights_path(const pmn_weights_entry *entry, pmn_buf *path, bool *found, pmn_err *err);

#endif
