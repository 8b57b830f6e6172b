/* hdf5_list.c - which datasets of a Keras file are weights, and in what order Keras reads them.
 *
 * keras2: attribute layer_names of the root, or of /model_weights in a file of a full model; each layer is a group with
 * the attribute weight_names, which are paths of datasets within it. An attribute too long for an object header is
 * split: layer_names0, layer_names1, ...
 * keras3: group /layers/CLASS_N, class and counter of the layer in the model, with its variables in vars/0, vars/1, ...
 * and sub-layers in further groups; newer versions store the layer's own name as attribute "name" of vars.
 *
 * Only hard links are followed, so that no other file and no loop can be reached.
 */
#include "hdf5_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct names {
  char (*text)[NAME_SIZE];
  size_t count, capacity;
} names;

static void check_name(const char *name) {
  size_t length = strlen(name);
  bool good = length > 0 && length < NAME_SIZE / 2;
  for (size_t i = 0; i < length; i++) {
    good = good && name[i] > ' ' && name[i] < 127 && name[i] != '"' && name[i] != '\\';
  }
  if (!good) fail("the file holds a name that is empty, longer than %d characters, or not plain text", NAME_SIZE / 2);
}

/* ------------------------------------------------------------------------------------------------- attributes -- */

static void append_name(names *list, const char *text, size_t size) {
  size_t length = text == NULL ? 0 : strnlen(text, size);
  if (list->count == TENSORS_MAX) fail("the file lists more than %d names", TENSORS_MAX);
  if (list->count == list->capacity) {
    list->capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    list->text = realloc(list->text, list->capacity * sizeof *list->text);
    if (list->text == NULL) fail("no memory for %zu names", list->capacity);
  }
  if (length >= NAME_SIZE) length = NAME_SIZE - 1; /* too long: check_name refuses it */
  char *name = memset(list->text[list->count++], 0, NAME_SIZE);
  if (length > 0) memcpy(name, text, length);
  check_name(name);
}

/* An array of texts, of one length or of any. */
static void read_texts(hid_t attribute, const char *what, names *list) {
  hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
  hssize_t count = space < 0 ? -1 : H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > TENSORS_MAX) fail_hdf5("attribute %s: no list of names", what);
  if (count > 0) {
    if (H5Tget_class(type) != H5T_STRING) fail("attribute %s is no list of names", what);
    if (H5Tis_variable_str(type) > 0) {
      char **texts = allocate((size_t)count, sizeof *texts);
      hid_t memory = H5Tcopy(type);
      if (H5Aread(attribute, memory, texts) < 0) fail_hdf5("cannot read attribute %s", what);
      for (hssize_t i = 0; i < count; i++) append_name(list, texts[i], NAME_SIZE);
      H5Dvlen_reclaim(memory, space, H5P_DEFAULT, texts);
      H5Tclose(memory);
      free(texts);
    } else {
      size_t size = H5Tget_size(type);
      if (size == 0 || size >= NAME_SIZE) fail("attribute %s has names of %zu bytes", what, size);
      char *texts = allocate((size_t)count, size);
      if (H5Aread(attribute, type, texts) < 0) fail_hdf5("cannot read attribute %s", what);
      for (hssize_t i = 0; i < count; i++) append_name(list, texts + (size_t)i * size, size);
      free(texts);
    }
  }
  H5Sclose(space);
  H5Tclose(type);
}

/* Attribute `name`, or name0, name1, ... joined; false if there is neither. */
static bool read_attribute(hid_t object, const char *name, names *list) {
  char part[64];
  snprintf(part, sizeof part, "%s", name);
  bool split = H5Aexists(object, part) <= 0;
  for (int i = 0;; i++) {
    if (split) snprintf(part, sizeof part, "%s%d", name, i);
    if (H5Aexists(object, part) <= 0) return i > 0;
    hid_t attribute = H5Aopen(object, part, H5P_DEFAULT);
    if (attribute < 0) fail_hdf5("cannot read attribute %s", part);
    read_texts(attribute, part, list);
    H5Aclose(attribute);
    if (!split) return true;
  }
}

/* ---------------------------------------------------------------------------------------------------- objects -- */

static bool has_link(hid_t group, const char *name) {
  H5L_info_t info;
  if (H5Lexists(group, name, H5P_DEFAULT) <= 0) return false;
  if (H5Lget_info(group, name, &info, H5P_DEFAULT) < 0) fail_hdf5("cannot look at %s", name);
  if (info.type != H5L_TYPE_HARD) fail("%s is a link to elsewhere: refused", name);
  return true;
}

/* The object at a path of hard links, negative if there is none. */
static hid_t open_path(hid_t group, const char *path) {
  char part[NAME_SIZE];
  hid_t at = group;
  for (const char *from = path;;) {
    size_t length = strcspn(from, "/");
    if (length == 0 || length >= sizeof part) return -1;
    memcpy(part, from, length);
    part[length] = '\0';
    if (strcmp(part, ".") == 0 || !has_link(at, part)) return -1;
    hid_t next = H5Oopen(at, part, H5P_DEFAULT);
    if (at != group) H5Oclose(at);
    if (next < 0) fail_hdf5("cannot open %s", path);
    from += length;
    if (*from == '\0') return next;
    if (H5Iget_type(next) != H5I_GROUP) fail("%s: %s is no group", path, part);
    at = next;
    from++;
  }
}

static hid_t open_group(hid_t parent, const char *path) {
  hid_t group = open_path(parent, path);
  if (group < 0) fail("there is no group %s", path);
  if (H5Iget_type(group) != H5I_GROUP) fail("%s is no group", path);
  return group;
}

/* ---------------------------------------------------------------------------------------------------- tensors -- */

/* Values within the file itself, not compressed but by what HDF5 brings along. */
static void check_storage(hid_t dataset, const char *name) {
  hid_t properties = H5Dget_create_plist(dataset);
  if (properties < 0) fail_hdf5("cannot look at %s", name);
  if (H5Pget_layout(properties) == H5D_VIRTUAL || H5Pget_external_count(properties) != 0) {
    fail("the values of %s are in another file: refused", name);
  }
  int filters = H5Pget_nfilters(properties);
  for (int i = 0; i < filters; i++) {
    unsigned flags, parameters_out;
    size_t parameters = 0;
    H5Z_filter_t filter = H5Pget_filter2(properties, (unsigned)i, &flags, &parameters, NULL, 0, NULL, &parameters_out);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32) {
      fail("%s is stored through filter %d, which is none of deflate, shuffle, fletcher32", name, (int)filter);
    }
  }
  H5Pclose(properties);
}

/* Takes the dataset over. Integers (counters, seeds) are no weights and are passed by. */
static void append_tensor(tensor_list *list, hid_t dataset, const char *name) {
  if (H5Iget_type(dataset) != H5I_DATASET) fail("%s is no dataset", name);
  hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
  if (type < 0 || space < 0) fail_hdf5("cannot look at %s", name);
  H5T_class_t class = H5Tget_class(type);
  size_t size = H5Tget_size(type);
  tensor t = {.dataset = dataset, .rank = H5Sget_simple_extent_ndims(space), .bytes = sizeof(float)};
  if (class == H5T_INTEGER) {
    H5Dclose(dataset);
    H5Sclose(space);
    H5Tclose(type);
    return;
  }
  if (class != H5T_FLOAT) fail("%s holds no numbers", name);
  if (size != 4 && size != 2) fail("%s holds floats of %zu bytes: save the model in float32", name, size);
  if (t.rank < 0 || t.rank > RANK_MAX) fail("%s has %d dimensions", name, t.rank);
  if (H5Sget_simple_extent_dims(space, t.shape, NULL) < 0) fail_hdf5("cannot look at %s", name);
  for (int i = 0; i < t.rank; i++) {
    if (t.shape[i] < 1 || t.shape[i] > TENSOR_BYTES_MAX / t.bytes) fail("%s is empty, or larger than 1 GiB", name);
    t.bytes *= t.shape[i];
  }
  check_storage(dataset, name);
  if (t.bytes / EXPANSION_MAX > H5Dget_storage_size(dataset)) {
    fail("%s says it holds %llu bytes, but the file has %llu for it", name, (unsigned long long)t.bytes,
        (unsigned long long)H5Dget_storage_size(dataset));
  }
  if (list->count == TENSORS_MAX) fail("more than %d tensors", TENSORS_MAX);
  if (list->count == list->capacity) {
    list->capacity = list->capacity == 0 ? 512 : 2 * list->capacity;
    list->tensors = realloc(list->tensors, list->capacity * sizeof *list->tensors);
    if (list->tensors == NULL) fail("no memory for the list of tensors");
  }
  snprintf(t.name, sizeof t.name, "%s", name);
  list->tensors[list->count++] = t;
  H5Sclose(space);
  H5Tclose(type);
}

/* ----------------------------------------------------------------------------------------------------- keras2 -- */

/* Length of the path before the last component, without the slash. */
static size_t folder_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? 0 : (size_t)(slash - path);
}

/* A model within a model is one layer here: its weights then have the layers' own names before them. */
static bool is_nested(const names *weights) {
  for (size_t i = 1; i < weights->count; i++) {
    size_t length = folder_length(weights->text[0]);
    if (folder_length(weights->text[i]) != length || memcmp(weights->text[i], weights->text[0], length) != 0) {
      return true;
    }
  }
  return false;
}

static void list_keras2(hid_t root, tensor_list *list) {
  names layers = {0}, weights = {0};
  read_attribute(root, "layer_names", &layers);
  for (size_t i = 0; i < layers.count; i++) {
    const char *layer = layers.text[i];
    hid_t group = open_group(root, layer);
    weights.count = 0;
    read_attribute(group, "weight_names", &weights);
    bool nested = is_nested(&weights);
    for (size_t k = 0; k < weights.count; k++) {
      char name[NAME_SIZE], *path = weights.text[k];
      hid_t dataset = open_path(group, path);
      if (dataset < 0) fail("layer %s has no %s", layer, path);
      size_t length = strlen(path);
      if (length > 2 && strcmp(path + length - 2, ":0") == 0) path[length - 2] = '\0'; /* TensorFlow's output number */
      const char *slash = strrchr(path, '/'), *leaf = slash == NULL ? path : slash + 1;
      int size = nested ? snprintf(name, sizeof name, "%s", path) : snprintf(name, sizeof name, "%s/%s", layer, leaf);
      if (size >= (int)sizeof name) fail("a weight's name is too long: %.100s...", path);
      append_tensor(list, dataset, name);
    }
    H5Gclose(group);
  }
  free(layers.text);
  free(weights.text);
}

/* ----------------------------------------------------------------------------------------------------- keras3 -- */

static herr_t collect(hid_t group, const char *name, const H5L_info_t *info, void *list) {
  (void)group;
  (void)info;
  append_name(list, name, NAME_SIZE);
  return 0;
}

/* "conv2d_12" is "conv2d" and 12, "conv2d" is "conv2d" and 0: returns the number. */
static long counter_of(const char *name, size_t *stem) {
  size_t length = strlen(name), digits = 0;
  while (digits < length && digits < 9 && name[length - 1 - digits] >= '0' && name[length - 1 - digits] <= '9')
    digits++;
  bool counted = digits > 0 && digits < length && name[length - 1 - digits] == '_';
  *stem = counted ? length - 1 - digits : length;
  return counted ? strtol(name + length - digits, NULL, 10) : 0;
}

static int by_counter(const void *a, const void *b) {
  size_t stem_a, stem_b;
  long counter_a = counter_of(a, &stem_a), counter_b = counter_of(b, &stem_b);
  size_t shorter = stem_a < stem_b ? stem_a : stem_b;
  int order = memcmp(a, b, shorter);
  if (order != 0) return order;
  if (stem_a != stem_b) return stem_a < stem_b ? -1 : 1;
  return counter_a < counter_b ? -1 : counter_a > counter_b;
}

/* Attribute "name" of a group, into `text`; false if there is none that is good for anything. */
static bool read_layer_name(hid_t vars, char text[NAME_SIZE]) {
  names list = {0};
  if (H5Aexists(vars, "name") <= 0) return false;
  hid_t attribute = H5Aopen(vars, "name", H5P_DEFAULT);
  if (attribute < 0) fail_hdf5("cannot read a layer's name");
  read_texts(attribute, "name", &list);
  bool found = list.count == 1 && strchr(list.text[0], '/') == NULL;
  if (found) memcpy(text, list.text[0], NAME_SIZE);
  free(list.text);
  H5Aclose(attribute);
  return found;
}

/* The layer's variables by number, from 0. `path` ends with the layer's class and counter. */
static void list_variables(hid_t layer, const char *path, tensor_list *list) {
  char own[NAME_SIZE], name[NAME_SIZE], number[16];
  hid_t vars = open_group(layer, "vars");
  bool named = read_layer_name(vars, own);
  for (int i = 0;; i++) {
    snprintf(number, sizeof number, "%d", i);
    hid_t dataset = open_path(vars, number);
    if (dataset < 0) break;
    int folder = (int)folder_length(path) + 1;
    int length = named ? snprintf(name, sizeof name, "%.*s%s/%s", folder, path, own, number)
                       : snprintf(name, sizeof name, "%s/%s", path, number);
    if (length >= (int)sizeof name) fail("a layer's path is too long: %.100s...", path);
    append_tensor(list, dataset, name);
  }
  H5Gclose(vars);
}

static void list_keras3(hid_t group, const char *path, int depth, tensor_list *list) {
  names children = {0};
  if (depth > DEPTH_MAX) fail("more than %d groups within each other", DEPTH_MAX);
  if (H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, collect, &children) < 0) fail_hdf5("cannot list %s", path);
  if (children.count > 0) qsort(children.text, children.count, sizeof *children.text, by_counter);
  for (size_t i = 0; i < children.count; i++) {
    char child[NAME_SIZE];
    if (snprintf(child, sizeof child, "%s/%s", path, children.text[i]) >= (int)sizeof child) {
      fail("a layer's path is too long: %.100s...", path);
    }
    hid_t object = open_path(group, children.text[i]);
    if (object < 0) fail("cannot open %s", child);
    if (H5Iget_type(object) == H5I_GROUP && strcmp(children.text[i], "vars") != 0) {
      if (has_link(object, "vars")) list_variables(object, child, list);
      list_keras3(object, child, depth + 1, list);
    }
    H5Oclose(object);
  }
  free(children.text);
}

/* ------------------------------------------------------------------------------------------------------- both -- */

static bool has_layer_names(hid_t group) {
  return H5Aexists(group, "layer_names") > 0 || H5Aexists(group, "layer_names0") > 0;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_unique(const tensor_list *list) {
  const char **sorted = allocate(list->count, sizeof *sorted);
  for (size_t i = 0; i < list->count; i++) sorted[i] = list->tensors[i].name;
  qsort(sorted, list->count, sizeof *sorted, by_name);
  for (size_t i = 1; i < list->count; i++) {
    if (strcmp(sorted[i - 1], sorted[i]) == 0) fail("two tensors are named %s", sorted[i]);
  }
  free(sorted);
}

void list_tensors(hid_t file, uint64_t file_size, tensor_list *list) {
  hid_t root = H5Gopen2(file, "/", H5P_DEFAULT);
  uint64_t total = 0;
  if (root < 0) fail_hdf5("cannot open the root group");
  if (!has_layer_names(root) && has_link(root, "model_weights")) root = open_group(root, "model_weights");
  if (has_layer_names(root)) {
    list->layout = "keras2";
    list_keras2(root, list);
  } else if (has_link(root, "layers")) {
    list->layout = "keras3";
    list_keras3(open_group(root, "layers"), "layers", 1, list);
  } else {
    fail("not a file of Keras: there is neither an attribute layer_names nor a group layers");
  }
  if (list->count == 0) fail("the file holds no weights");
  check_unique(list);
  for (size_t i = 0; i < list->count; i++) total += list->tensors[i].bytes;
  if (total / EXPANSION_MAX > file_size) {
    fail("the tensors would take %llu bytes, the file has %llu", (unsigned long long)total,
        (unsigned long long)file_size);
  }
}
