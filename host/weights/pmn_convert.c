/* pmn_convert.c - see pmn_convert.h: what a file is, whose weights it holds, and the new file. */
#include "pmn_convert.h"

#include "pmn_digest.h"
#include "pmn_file.h"
#include "pmn_hdf5.h"
#include "pmn_mem.h"
#include "pmn_nearest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As pmn_model.c has it: larger than any network of the zoo could use is a mistake. */
enum { WEIGHTS_MAX = 2000 * 1000 * 1000, TENSORS_MAX = 2000 };

/* timm gives the tensors of these two the same names, so that only their user can tell them apart. */
static const char lite[] = "efficientnet_lite0", lite_of_tensorflow[] = "tf_efficientnet_lite0";

/* ----------------------------------------------------------------------------------------------------- matches -- */

void pmn_match_reset(pmn_match *match) {
  pmn_free(match->specs);
  pmn_free(match->tensors);
  match->specs = NULL;
  match->tensors = NULL;
  match->count = 0;
}

pmn_status pmn_match_start(pmn_match *match, bool classifier, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_match_reset(match);
  match->classifier = classifier;
  match->classes = match->own_classes = 0;
  PMN_TRY(pmn_architecture_tensors(match->architecture, match->torch, classifier, &match->specs, &match->count, err));
  match->tensors = pmn_calloc((size_t)match->count, sizeof *match->tensors);
  if (match->tensors == NULL) {
    st = pmn_err_memory(err, (size_t)match->count * sizeof *match->tensors, "a table of tensors");
  }
done:
  return st;
}

/* With `classes` in the place of `own` ones. */
static void print_shape(const int64_t *shape, int32_t rank, int64_t own, int64_t classes, char text[96]) {
  text[0] = '\0';
  for (int32_t i = 0; i < rank; i++) {
    size_t used = strlen(text);
    snprintf(text + used, 96 - used, "%s%lld", i > 0 ? ", " : "", (long long)(shape[i] == own ? classes : shape[i]));
  }
}

static bool is_of_last_layer(const pmn_match *match, int32_t index) {
  const char *name = match->specs[index].name, *last = match->specs[match->count - 1].name;
  size_t length = (size_t)(strrchr(last, '/') - last) + 1;
  return match->classifier && strncmp(name, last, length) == 0;
}

/* Has a tensor this shape? Of the classifier's last layer the number of classes may be another, but the same in all of
 * its tensors. */
static bool fits(pmn_match *match, int32_t index, const pmn_weight *source, int32_t rank, const int64_t *shape) {
  bool last = is_of_last_layer(match, index);
  const pmn_tensor_spec *spec = &match->specs[index];
  int64_t own = spec->shape[spec->rank - 1], classes = own;
  if (source->rank != rank) return false;
  for (int32_t i = 0; i < rank; i++) {
    if (source->shape[i] == shape[i]) continue;
    if (!last || shape[i] != own || classes != own) return false;
    classes = source->shape[i];
  }
  if (last) match->own_classes = own;
  if (last && match->classes == 0) match->classes = classes;
  return !last || match->classes == classes;
}

pmn_status pmn_match_set(pmn_match *match, int32_t index, const pmn_weight *source, int32_t rank, const int64_t *shape,
    const int64_t view[4], const int32_t axes[4], pmn_err *err) {
  static const char *const types[] = {"F32", "F16", "BF16"};
  pmn_weights_tensor *tensor = &match->tensors[index];
  char is[96], wanted[96];
  bool readable = false;
  for (int i = 0; i < 3; i++) readable = readable || strcmp(source->type, types[i]) == 0;
  if (!fits(match, index, source, rank, shape)) {
    bool other_classes = is_of_last_layer(match, index) && match->classes != match->own_classes;
    print_shape(source->shape, source->rank, 0, 0, is);
    print_shape(shape, rank, match->own_classes, other_classes ? match->classes : match->own_classes, wanted);
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: %s has the shape [%s]; as %s of %s it would have [%s]",
        pmn_safetensors_origin(match->file), source->name, is, match->specs[index].name, match->architecture->name,
        wanted);
  }
  if (!readable) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: %s is %s, and not float32, float16 or bfloat16",
        pmn_safetensors_origin(match->file), source->name, source->type);
  }
  *tensor = (pmn_weights_tensor){.spec = &match->specs[index], .source = source};
  memcpy(tensor->view, view, sizeof tensor->view);
  memcpy(tensor->axes, axes, sizeof tensor->axes);
  return PMN_STATUS_OK;
}

static bool is_used(const pmn_match *match, const pmn_weight *source) {
  static const char counter[] = "num_batches_tracked";
  size_t length = strlen(source->name), tail = sizeof counter - 1;
  if (length >= tail && strcmp(source->name + length - tail, counter) == 0) return true;
  for (int32_t i = 0; i < match->count; i++) {
    if (match->tensors[i].source == source) return true;
  }
  return false;
}

static pmn_status check_used(const pmn_match *match, pmn_err *err) {
  const pmn_weight *source;
  char names[256] = "";
  int32_t count = 0;
  for (int32_t i = 0; (source = pmn_safetensors_at(match->file, i)) != NULL; i++) {
    if (is_used(match, source)) continue;
    size_t used = strlen(names);
    if (count < 3) snprintf(names + used, sizeof names - used, "%s%.60s", count > 0 ? ", " : "", source->name);
    count++;
  }
  if (count == 0) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: %s has no place for %d of its tensors: %s%s",
      pmn_safetensors_origin(match->file), match->architecture->name, count, names, count > 3 ? ", ..." : "");
}

pmn_status pmn_match_finish(pmn_match *match, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(check_used(match, err));
  if (match->classes == match->own_classes) goto done;
  const char *first = match->architecture->classifier;
  size_t length = strlen(first);
  for (int32_t i = match->count - 1; i >= 0; i--) { /* the classifier's tensors come last */
    const char *name = match->specs[i].name;
    if (strncmp(name, first, length) == 0 && name[length] == '/') match->count = i;
  }
  match->classifier = false;
done:
  return st;
}

bool pmn_match_is_cut(const pmn_match *match) {
  return match->classes != match->own_classes;
}

/* ------------------------------------------------------------------------------------------------------ input -- */

typedef struct input {
  pmn_buf bytes; /* a whole safetensors file */
  pmn_safetensors *file;
  char sha256[PMN_SHA256_HEX_SIZE]; /* of the file that was given */
} input;

static pmn_status read_hdf5(
    int fd, int64_t size, const char *path, const volatile sig_atomic_t *stop, input *in, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_digest *digest = NULL;
  PMN_TRY(pmn_digest_read(fd, size, path, false, stop, &digest, err));
  if (!pmn_digest_finish(digest, NULL, in->sha256)) {
    PMN_FAIL(err, PMN_STATUS_NO_MEMORY, "libcrypto could not compute a hash");
  }
  PMN_TRY(pmn_hdf5_read(fd, size, path, stop, &in->bytes, err));
done:
  pmn_digest_destroy(digest);
  return st;
}

static pmn_status read_safetensors(const char *path, input *in, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  PMN_TRY(pmn_file_read(path, &in->bytes, err));
  const void *bytes = in->bytes.data;
  PMN_TRY(pmn_sha256_hex(&bytes, &in->bytes.size, 1, in->sha256, err));
done:
  return st;
}

/* A header's length, which leaves the upper bytes zero, and the header's first byte. */
static bool is_safetensors(const char head[PMN_HEAD_SIZE]) {
  return head[5] == 0 && head[6] == 0 && head[7] == 0 && head[8] == '{';
}

/* What the file is, its first bytes tell. */
static pmn_status read_input(
    const char *path, const char *output, const volatile sig_atomic_t *stop, input *in, pmn_err *err) {
  static const char zip[] = "PK\x03\x04";
  pmn_status st = PMN_STATUS_OK;
  char head[PMN_HEAD_SIZE] = "", shown[PMN_HEAD_TEXT_SIZE];
  struct stat info, out;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot open %s: %s", path, strerror(errno));
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    PMN_FAIL(err, PMN_STATUS_NOT_FOUND, "%s is not a regular file", path);
  }
  if (stat(output, &out) == 0 && out.st_dev == info.st_dev && out.st_ino == info.st_ino) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s is the file that is to be converted: name another output", output);
  }
  if (pread(fd, head, sizeof head, 0) < 0) {
    PMN_FAIL_CODE(err, PMN_STATUS_NOT_FOUND, errno, "cannot read %s: %s", path, strerror(errno));
  }
  if (info.st_size > WEIGHTS_MAX) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s has %lld bytes, more than any network of the zoo could use", path,
        (long long)info.st_size);
  }
  if (memcmp(head, zip, sizeof zip - 1) == 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL,
        "%s is a zip archive: of a .keras file convert the model.weights.h5 in it, and of PyTorch a state_dict saved "
        "as safetensors",
        path);
  }
  if (!pmn_hdf5_has_head(head) && !is_safetensors(head)) {
    pmn_hdf5_show_head(head, info.st_size, shown);
    PMN_FAIL(err, PMN_STATUS_MODEL, "%.350s is neither HDF5 nor safetensors: it begins with \"%s\"", path, shown);
  }
  if (pmn_hdf5_has_head(head))
    PMN_TRY(read_hdf5(fd, info.st_size, path, stop, in, err));
  else
    PMN_TRY(read_safetensors(path, in, err));
  PMN_TRY(pmn_safetensors_create(in->bytes.data, in->bytes.size, path, &in->file, err));
  if (pmn_safetensors_at(in->file, TENSORS_MAX) != NULL) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s holds more than %d tensors: no network of the zoo does", path, TENSORS_MAX);
  }
done:
  if (fd >= 0) close(fd);
  return st;
}

/* --------------------------------------------------------------------------------------------- whose they are -- */

/* Keras's names hold a slash, PyTorch's dots. */
static bool has_keras_names(const pmn_safetensors *file) {
  const pmn_weight *first = pmn_safetensors_at(file, 0);
  return first != NULL && strchr(first->name, '/') != NULL;
}

static pmn_status match_one(pmn_match *match, const char *network, pmn_err *err) {
  if (has_keras_names(match->file)) {
    /* In a file of our own the layers have Keras's names whoever trained them. */
    const char *framework = pmn_safetensors_metadata(match->file, "pomona.framework");
    match->torch = framework != NULL && strcmp(framework, "torch") == 0;
    return pmn_match_keras(match, err);
  }
  match->torch = network == NULL || strcmp(network, lite_of_tensorflow) != 0;
  return pmn_match_torch(match, err);
}

/* The network that takes all tensors. The first one that fits is the only one: all differ in number or shape. */
static pmn_status find_network(pmn_match *match, pmn_err *err) {
  const pmn_weight *first = pmn_safetensors_at(match->file, 0);
  pmn_status st;
  int32_t count = 0;
  for (int32_t i = 0; (match->architecture = pmn_architecture_at(i)) != NULL; i++) {
    st = match_one(match, NULL, err);
    if (st == PMN_STATUS_OK && match->torch && strcmp(match->architecture->name, lite) == 0 &&
        !has_keras_names(match->file)) {
      return pmn_err_set(err, PMN_STATUS_MODEL, 0,
          "%s holds EfficientNet-Lite0, but its names do not tell whether it was trained with PyTorch or TensorFlow: "
          "name the network, %s or %s",
          pmn_safetensors_origin(match->file), lite, lite_of_tensorflow);
    }
    if (st != PMN_STATUS_MODEL) return st;
  }
  while (pmn_safetensors_at(match->file, count) != NULL) count++;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0,
      "%.300s holds the weights of no network of the zoo (%d tensors%s%.60s); name the network that it should be "
      "(--network) to learn what does not fit",
      pmn_safetensors_origin(match->file), count, count > 0 ? ", the first " : "", count > 0 ? first->name : "");
}

static pmn_status match_network(pmn_match *match, const char *network, pmn_err *err) {
  if (network == NULL) return find_network(match, err);
  match->architecture = pmn_architecture_find(strcmp(network, lite_of_tensorflow) == 0 ? lite : network);
  if (match->architecture == NULL) {
    pmn_nearest nearest = pmn_nearest_init(network);
    const pmn_architecture *other;
    char hint[256];
    for (int32_t i = 0; (other = pmn_architecture_at(i)) != NULL; i++) pmn_nearest_offer(&nearest, other->name);
    pmn_nearest_text(&nearest, hint, sizeof hint);
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "there is no network \"%.64s\"%s", network, hint);
  }
  return match_one(match, network, err);
}

/* ----------------------------------------------------------------------------------------------------- output -- */

/* Is it what it was published as? */
static pmn_status check_entry(const pmn_match *match, const pmn_weights_entry *entry, const char *path, pmn_err *err) {
  if (pmn_match_is_cut(match)) {
    return pmn_err_set(
        err, PMN_STATUS_MODEL, 0, "%.300s: the classifier has %lld classes", path, (long long)match->classes);
  }
  if (entry->classifier == match->classifier) return PMN_STATUS_OK;
  return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%.300s: %s", path,
      entry->classifier ? "the classifier is missing" : "there is a classifier that should not be there");
}

/* What was found, for the caller; hashes are not known yet. */
static pmn_converted describe(const pmn_match *match) {
  pmn_converted converted = {.network = match->architecture->name,
      .framework = match->torch ? "torch" : "keras",
      .classifier = match->classifier,
      .tensors = match->count};
  if (pmn_match_is_cut(match)) {
    snprintf(converted.note, sizeof converted.note,
        "the classifier has %lld classes, not %lld: left out; layers up to %s can be had", (long long)match->classes,
        (long long)match->own_classes, match->architecture->features);
  }
  return converted;
}

pmn_status pmn_convert_file(const char *path, const char *network, const pmn_weights_entry *entry, const char *output,
    bool overwrite, const volatile sig_atomic_t *stop, pmn_converted *converted, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  input in = {.file = NULL};
  pmn_match match = {.file = NULL};
  char pixels[16];
  pmn_buf_init(&in.bytes, WEIGHTS_MAX);
  PMN_TRY(read_input(path, output, stop, &in, err));
  match.file = in.file;
  PMN_TRY(match_network(&match, network, err));
  if (entry != NULL) PMN_TRY(check_entry(&match, entry, path, err));
  *converted = describe(&match);
  snprintf(pixels, sizeof pixels, "%d", entry != NULL ? entry->size : 0);
  const pmn_weights_metadata metadata[] = {{"pomona.network", converted->network},
      {"pomona.framework", converted->framework}, {"pomona.source_sha256", in.sha256}, {"pomona.size", pixels}};
  memcpy(converted->source_sha256, in.sha256, sizeof in.sha256);
  PMN_TRY(pmn_weights_write(output, overwrite, match.tensors, match.count, metadata, entry != NULL ? 4 : 3, stop,
      converted->sha256, &converted->bytes, err));
done:
  pmn_match_reset(&match);
  pmn_safetensors_destroy(in.file);
  pmn_buf_reset(&in.bytes);
  return st;
}

pmn_status pmn_weights_convert(const char *path, const char *network, const char *output, bool overwrite,
    const volatile sig_atomic_t *stop, pmn_converted *converted, pmn_err *err) {
  return pmn_convert_file(path, network, NULL, output, overwrite, stop, converted, err);
}
