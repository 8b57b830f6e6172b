/* pmn_convert_keras.c - see pmn_convert.h. What a layer is, its tensors' shapes tell. Which of its tensors is which,
 * their names tell where they are those of today's Keras, as in our own files, which are sorted by name; names of parts
 * have changed with Keras's versions ("block1_conv1_W_1", "bn_conv1_running_std", "0"), but never their order within a
 * layer, which an .h5 file keeps. */
#include "pmn_convert.h"

#include "pmn_mem.h"

#include <stdio.h>
#include <string.h>

typedef enum kind { CONVOLUTION, DEPTHWISE, DENSE, BATCH_NORM, OTHER } kind;
enum { KINDS = OTHER + 1, PARTS_MAX = 4 };

typedef struct layer {
  const char *folder; /* of its tensors' names, not terminated */
  size_t folder_length;
  kind kind;
  int32_t parts[PARTS_MAX]; /* indices of its tensors, in order */
  int32_t part_count;       /* may be more than PARTS_MAX: such a layer is OTHER */
} layer;

typedef struct layers {
  layer *list;
  int32_t count;
  int32_t of_kind[KINDS];
} layers;

/* A tensor of the file or of the network. */
typedef struct part {
  const char *name;
  int32_t rank;
  const int64_t *shape;
} part;

static part part_of_file(const pmn_match *match, int32_t index) {
  const pmn_weight *weight = pmn_safetensors_at(match->file, index);
  return weight == NULL ? (part){.name = NULL} : (part){weight->name, weight->rank, weight->shape};
}

static part part_of_network(const pmn_match *match, int32_t index) {
  const pmn_tensor_spec *spec = &match->specs[index];
  return index >= match->count ? (part){.name = NULL} : (part){spec->name, spec->rank, spec->shape};
}

/* Layers come one after the other; but in a model within a model, moving means come after all else. */
static layer *find_folder(const layers *self, const char *folder, size_t length) {
  for (int32_t i = self->count - 1; i >= 0; i--) {
    layer *l = &self->list[i];
    if (l->folder_length == length && memcmp(l->folder, folder, length) == 0) return l;
  }
  return NULL;
}

static kind kind_of(const part *parts, int32_t count) {
  if (count == 4) {
    for (int32_t i = 0; i < 4; i++) {
      if (parts[i].rank != 1) return OTHER;
    }
    return BATCH_NORM;
  }
  if (count < 1 || count > 2) return OTHER;
  const part *kernel = count == 2 && parts[0].rank == 1 ? &parts[1] : &parts[0]; /* sorted by name, a bias is first */
  if (count == 2 && parts[kernel == parts].rank != 1) return OTHER;
  if (kernel->rank == 2) return DENSE;
  if (kernel->rank != 4) return OTHER;
  return kernel->shape[3] == 1 ? DEPTHWISE : CONVOLUTION;
}

/* The layers that tensors belong to. */
static pmn_status group(const pmn_match *match, part (*get)(const pmn_match *, int32_t), layers *self, pmn_err *err) {
  int32_t count = 0;
  while (get(match, count).name != NULL) count++;
  self->list = pmn_calloc((size_t)count, sizeof *self->list);
  if (self->list == NULL) return pmn_err_memory(err, (size_t)count * sizeof *self->list, "a table of layers");
  for (int32_t i = 0; i < count; i++) {
    const char *name = get(match, i).name, *slash = strrchr(name, '/');
    size_t length = slash == NULL ? strlen(name) : (size_t)(slash - name);
    layer *l = find_folder(self, name, length);
    if (l == NULL) {
      l = &self->list[self->count++];
      *l = (layer){.folder = name, .folder_length = length};
    }
    if (l->part_count < PARTS_MAX) l->parts[l->part_count] = i;
    l->part_count++;
  }
  for (int32_t i = 0; i < self->count; i++) {
    layer *l = &self->list[i];
    part parts[PARTS_MAX];
    for (int32_t k = 0; k < l->part_count && k < PARTS_MAX; k++) parts[k] = get(match, l->parts[k]);
    l->kind = kind_of(parts, l->part_count);
    self->of_kind[l->kind]++;
  }
  return PMN_STATUS_OK;
}

/* ----------------------------------------------------------------------------------------------------- pairing -- */

/* A layer's own name: the last component of its folder. */
static bool has_name(const layer *l, const layer *other) {
  size_t length = other->folder_length;
  if (l->folder_length < length || memcmp(l->folder + l->folder_length - length, other->folder, length) != 0) {
    return false;
  }
  return l->folder_length == length || l->folder[l->folder_length - length - 1] == '/';
}

static const layer *find_by_name(const layers *file, const layer *wanted) {
  for (int32_t i = 0; i < file->count; i++) {
    if (has_name(&file->list[i], wanted)) return &file->list[i];
  }
  return NULL;
}

static bool all_named(const layers *file, const layers *network) {
  for (int32_t i = 0; i < network->count; i++) {
    if (find_by_name(file, &network->list[i]) == NULL) return false;
  }
  return true;
}

static const layer *find_by_order(const layers *file, kind wanted, int32_t place) {
  for (int32_t i = 0; i < file->count; i++) {
    if (file->list[i].kind == wanted && place-- == 0) return &file->list[i];
  }
  return NULL;
}

/* May the k-th layer of a kind be taken for the network's k-th? In a safetensors file, sorted by name mostly, the order
 * says nothing. */
static pmn_status check_order(const pmn_match *match, const layers *file, const layers *network, pmn_err *err) {
  const int32_t *is = file->of_kind, *wanted = network->of_kind;
  if (memcmp(is, wanted, sizeof file->of_kind) == 0) {
    if (pmn_safetensors_metadata(match->file, "pomona.layout") != NULL) return PMN_STATUS_OK;
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%s: its layers are not named as those of %s, and their order says nothing in a safetensors file: convert the "
        ".h5 file that Keras wrote",
        pmn_safetensors_origin(match->file), match->architecture->name);
  }
  return pmn_err_set(err, PMN_STATUS_MODEL, 0,
      "%s does not fit %s: it holds %d convolutions, %d depthwise ones, %d dense layers, %d batch norms and %d others, "
      "not %d, %d, %d, %d and %d",
      pmn_safetensors_origin(match->file), match->architecture->name, is[CONVOLUTION], is[DEPTHWISE], is[DENSE],
      is[BATCH_NORM], is[OTHER], wanted[CONVOLUTION], wanted[DEPTHWISE], wanted[DENSE], wanted[BATCH_NORM],
      wanted[OTHER]);
}

/* What a tensor is in its layer, by its name: "kernel", "gamma", ... with Keras 2's number of an output (":0") or
 * without; NULL for other names. A layer has one kernel, so that it does not matter how a depthwise one is named. */
static const char *role_of(const char *name) {
  static const char *const roles[] = {
      "kernel", "depthwise_kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance"};
  const char *slash = strrchr(name, '/'), *own = slash == NULL ? name : slash + 1;
  size_t length = strcspn(own, ":");
  if (own[length] == ':' && strspn(own + length + 1, "0123456789") != strlen(own + length + 1)) return NULL;
  for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
    if (strlen(roles[i]) == length && memcmp(own, roles[i], length) == 0) return roles[i == 1 ? 0 : i];
  }
  return NULL;
}

static bool has_roles(const pmn_match *match, const layer *from) {
  for (int32_t i = 0; i < from->part_count; i++) {
    if (i == PARTS_MAX || role_of(pmn_safetensors_at(match->file, from->parts[i])->name) == NULL) return false;
  }
  return true;
}

/* The tensor of a layer of the file that is this part of the network's: by name if all of the layer's have names that
 * say what they are, else the one in the same place. NULL if the layer has none of that name. */
static const pmn_weight *find_part(const pmn_match *match, const layer *from, const char *wanted, int32_t place) {
  if (!has_roles(match, from)) return pmn_safetensors_at(match->file, from->parts[place]);
  for (int32_t i = 0; i < from->part_count; i++) {
    const pmn_weight *weight = pmn_safetensors_at(match->file, from->parts[i]);
    if (strcmp(role_of(weight->name), role_of(wanted)) == 0) return weight;
  }
  return NULL;
}

static pmn_status pair(pmn_match *match, const layer *from, const layer *to, pmn_err *err) {
  static const int32_t as_they_are[4] = {0, 1, 2, 3};
  pmn_status st = PMN_STATUS_OK;
  if (from->part_count != to->part_count) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: layer %.*s has %d tensors; as %.*s of %s it would have %d",
        pmn_safetensors_origin(match->file), (int)from->folder_length, from->folder, from->part_count,
        (int)to->folder_length, to->folder, match->architecture->name, to->part_count);
  }
  for (int32_t i = 0; i < to->part_count; i++) {
    const pmn_tensor_spec *spec = &match->specs[to->parts[i]];
    const pmn_weight *source = find_part(match, from, spec->name, i);
    if (source == NULL) {
      PMN_FAIL(err, PMN_STATUS_MODEL, "%s: layer %.*s has nothing that could be %s of %s",
          pmn_safetensors_origin(match->file), (int)from->folder_length, from->folder, spec->name,
          match->architecture->name);
    }
    int64_t view[4] = {1, 1, 1, 1};
    memcpy(view, spec->shape, (size_t)spec->rank * sizeof *view);
    PMN_TRY(pmn_match_set(match, to->parts[i], source, spec->rank, spec->shape, view, as_they_are, err));
  }
done:
  return st;
}

pmn_status pmn_match_keras(pmn_match *match, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  layers file = {0}, network = {0};
  int32_t places[KINDS] = {0};
  PMN_TRY(group(match, part_of_file, &file, err));
  PMN_TRY(pmn_match_start(match, file.of_kind[DENSE] > 0, err));
  PMN_TRY(group(match, part_of_network, &network, err));
  bool named = all_named(&file, &network);
  if (!named) PMN_TRY(check_order(match, &file, &network, err));
  for (int32_t i = 0; i < network.count; i++) {
    const layer *to = &network.list[i];
    PMN_TRY(pair(match, named ? find_by_name(&file, to) : find_by_order(&file, to->kind, places[to->kind]++), to, err));
  }
  PMN_TRY(pmn_match_finish(match, err));
done:
  pmn_free(file.list);
  pmn_free(network.list);
  return st;
}
