/* pmn_onnx_file.c - see pmn_onnx_file.h. Reads in the order of pmn_onnx_read.h, so that at most the message and what
 * was taken out of it are in memory together once the file is hashed. */
#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_onnx_read.h"

#include <stdlib.h>
#include <string.h>

enum { OPSET_MIN = 7, OPSET_MAX = 22 };

struct pmn_onnx {
  pmn_onnx_links links;
  char *origin;
  pmn_onnx_message message; /* names point into it */
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_preprocess preprocess;
  char formula[PMN_ONNX_FORMULA_SIZE];
  bool preprocess_found;
  pmn_err preprocess_err;      /* a record that makes no sense harms only those who ask for it */
  pmn_onnx_lowering *lowering; /* of the last pmn_onnx_build */
};

static pmn_status hash_files(
    const pmn_buf *bytes, const pmn_onnx_externals *externals, char sha256[PMN_SHA256_HEX_SIZE], pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count = 1 + externals->count;
  const void **parts = pmn_alloc(count, sizeof *parts);
  size_t *sizes = pmn_alloc(count, sizeof *sizes);
  if (parts == NULL || sizes == NULL) {
    st = pmn_err_memory(err, count * sizeof *parts, "a list of files");
    goto done;
  }
  parts[0] = bytes->data;
  sizes[0] = bytes->size;
  for (size_t i = 1; i < count; i++) {
    parts[i] = externals->files[i - 1].bytes.data;
    sizes[i] = externals->files[i - 1].bytes.size;
  }
  PMN_TRY(pmn_sha256_hex(parts, sizes, count, sha256, err));
done:
  pmn_free(parts);
  pmn_free(sizes);
  return st;
}

/* The version of ONNX's own operators; other domains only matter to nodes of theirs. */
static pmn_status find_opset(const Onnx__ModelProto *model, const char *origin, int32_t *opset, pmn_err *err) {
  int64_t version = 0;
  for (size_t i = 0; i < model->n_opset_import; i++) {
    const Onnx__OperatorSetIdProto *import = model->opset_import[i];
    bool own = import->domain == NULL || import->domain[0] == '\0' || strcmp(import->domain, "ai.onnx") == 0;
    if (!own) continue;
    if (version != 0 && version != import->version) {
      return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s names two opsets, %lld and %lld", origin, (long long)version,
          (long long)import->version);
    }
    version = import->version;
  }
  if (version < OPSET_MIN || version > OPSET_MAX) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0,
        "%s is of ONNX opset %lld; %d to %d are taken: export it with one of these", origin, (long long)version,
        OPSET_MIN, OPSET_MAX);
  }
  *opset = (int32_t)version;
  return PMN_STATUS_OK;
}

/* Once read, a tensor's data is not needed twice. */
static void drop_data(pmn_onnx_message *message, Onnx__TensorProto *tensor) {
  if (tensor->raw_data.data != NULL) message->allocator.free(message->allocator.allocator_data, tensor->raw_data.data);
  tensor->raw_data = (ProtobufCBinaryData){0};
}

static pmn_status read_tensors(pmn_onnx *self, const pmn_onnx_externals *externals, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  Onnx__GraphProto *graph = self->message.model->graph;
  for (size_t i = 0; i < graph->n_initializer; i++) {
    Onnx__TensorProto *tensor = graph->initializer[i];
    PMN_TRY(pmn_onnx_tensor_read(
        tensor, self->origin, "initializer", tensor->name, externals, &self->links.values[i], err));
    drop_data(&self->message, tensor);
  }
  pmn_onnx_attribute *attribute = self->links.attributes;
  for (size_t i = 0; i < graph->n_node; i++) {
    const Onnx__NodeProto *node = graph->node[i];
    for (size_t j = 0; j < node->n_attribute; j++, attribute++) {
      if (attribute->kind != PMN_ONNX_ATTRIBUTE_TENSOR) continue;
      const char *name = node->n_output > 0 ? node->output[0] : "";
      Onnx__TensorProto *tensor = node->attribute[j]->t;
      PMN_TRY(pmn_onnx_tensor_read(
          tensor, self->origin, "the attribute of the node that writes", name, externals, &attribute->tensor, err));
      drop_data(&self->message, tensor);
    }
  }
done:
  return st;
}

/* Width and height are the input's where those are fixed. */
static pmn_status read_preprocess(pmn_onnx *self, pmn_err *err) {
  pmn_preprocess *preprocess = &self->preprocess;
  int32_t width, height;
  self->preprocess_err = (pmn_err)PMN_ERR_INIT;
  pmn_status st = pmn_onnx_metadata_preprocess(
      self->message.model, self->origin, preprocess, self->formula, &self->preprocess_found, &self->preprocess_err);
  if (st == PMN_STATUS_NO_MEMORY && err != NULL) *err = self->preprocess_err;
  if (st == PMN_STATUS_NO_MEMORY) return st;
  if (st != PMN_STATUS_OK || !self->preprocess_found) return PMN_STATUS_OK;
  pmn_onnx_input_size(self, &width, &height);
  if (preprocess->width == 0) preprocess->width = width;
  if (preprocess->height == 0) preprocess->height = height;
  if ((width != 0 && preprocess->width != width) || (height != 0 && preprocess->height != height)) {
    pmn_err_set(&self->preprocess_err, PMN_STATUS_MODEL, 0,
        "%s: its metadata speaks of pictures of %d x %d, its input is %d x %d", self->origin, preprocess->width,
        preprocess->height, width, height);
  }
  return PMN_STATUS_OK;
}

pmn_status pmn_onnx_open(const char *path, pmn_onnx **onnx, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf bytes;
  pmn_onnx_externals externals = {0};
  *onnx = NULL;
  pmn_buf_init(&bytes, PMN_ONNX_FILE_MAX);
  pmn_onnx *self = pmn_calloc(1, sizeof *self);
  if (self == NULL || (self->origin = pmn_strdup(path)) == NULL) {
    st = pmn_err_memory(err, sizeof *self, "an ONNX model");
    goto done;
  }
  pmn_onnx_graph *graph = &self->links.graph;
  graph->origin = self->origin;
  PMN_TRY(pmn_file_read(path, &bytes, err));
  graph->size = bytes.size;
  PMN_TRY(pmn_onnx_message_parse(&self->message, path, &bytes, err));
  const Onnx__GraphProto *proto = self->message.model->graph;
  PMN_TRY(find_opset(self->message.model, path, &graph->opset, err));
  if (proto->n_sparse_initializer > 0) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s has sparse initializers, which are not taken", path);
  }
  PMN_TRY(pmn_onnx_links_make(proto, &self->links, err));
  PMN_TRY(pmn_onnx_externals_read(proto, path, PMN_ONNX_FILE_MAX - bytes.size, &externals, err));
  for (size_t i = 0; i < externals.count; i++) graph->size += externals.files[i].bytes.size;
  PMN_TRY(hash_files(&bytes, &externals, self->sha256, err));
  pmn_buf_reset(&bytes);
  PMN_TRY(read_tensors(self, &externals, err));
  PMN_TRY(read_preprocess(self, err));
  *onnx = self;
  self = NULL;
done:
  pmn_onnx_externals_reset(&externals);
  pmn_buf_reset(&bytes);
  pmn_onnx_close(self);
  return st;
}

void pmn_onnx_close(pmn_onnx *onnx) {
  if (onnx == NULL) return;
  pmn_onnx_lowering_destroy(onnx->lowering);
  pmn_onnx_links_reset(&onnx->links);
  pmn_onnx_message_reset(&onnx->message);
  pmn_free(onnx->origin);
  pmn_free(onnx);
}

const char *pmn_onnx_name(const pmn_onnx *onnx) {
  const char *name = onnx->message.model->graph->name;
  return name != NULL ? name : "";
}

const char *pmn_onnx_sha256(const pmn_onnx *onnx) {
  return onnx->sha256;
}

int32_t pmn_onnx_opset(const pmn_onnx *onnx) {
  return onnx->links.graph.opset;
}

void pmn_onnx_input_size(const pmn_onnx *onnx, int32_t *width, int32_t *height) {
  const int64_t *dims = onnx->links.graph.input_dims;
  int rows = dims[1] == 3 ? 2 : 1; /* [n, 3, h, w] or [n, h, w, 3] */
  *height = dims[rows] < 0 ? 0 : (int32_t)dims[rows];
  *width = dims[rows + 1] < 0 ? 0 : (int32_t)dims[rows + 1];
}

pmn_status pmn_onnx_preprocess(const pmn_onnx *onnx, pmn_preprocess *preprocess, bool *found, pmn_err *err) {
  *found = false;
  if (onnx->preprocess_err.status != PMN_STATUS_OK) {
    return pmn_err_set(
        err, onnx->preprocess_err.status, 0, "%s; --preprocess NAME takes its place", onnx->preprocess_err.message);
  }
  *found = onnx->preprocess_found;
  if (*found) *preprocess = onnx->preprocess;
  return PMN_STATUS_OK;
}

const pmn_onnx_graph *pmn_onnx_file_graph(const pmn_onnx *onnx) {
  return &onnx->links.graph;
}

const pmn_onnx_lowering *pmn_onnx_file_lowering(const pmn_onnx *onnx) {
  return onnx->lowering;
}

void pmn_onnx_file_keep(pmn_onnx *onnx, pmn_onnx_lowering *lowering) {
  pmn_onnx_lowering_destroy(onnx->lowering);
  onnx->lowering = lowering;
}

const pmn_onnx_attribute *pmn_onnx_attribute_find(const pmn_onnx_node *node, const char *name) {
  for (int32_t i = 0; i < node->attribute_count; i++) {
    if (strcmp(node->attributes[i].name, name) == 0) return &node->attributes[i];
  }
  return NULL;
}

/* NULL also for an attribute of another kind. */
static const pmn_onnx_attribute *find_kind(const pmn_onnx_node *node, const char *name, pmn_onnx_attribute_kind kind) {
  const pmn_onnx_attribute *attribute = pmn_onnx_attribute_find(node, name);
  return attribute != NULL && attribute->kind == kind ? attribute : NULL;
}

int64_t pmn_onnx_attribute_int(const pmn_onnx_node *node, const char *name, int64_t otherwise) {
  const pmn_onnx_attribute *attribute = find_kind(node, name, PMN_ONNX_ATTRIBUTE_INT);
  return attribute != NULL ? attribute->integer : otherwise;
}

float pmn_onnx_attribute_float(const pmn_onnx_node *node, const char *name, float otherwise) {
  const pmn_onnx_attribute *attribute = find_kind(node, name, PMN_ONNX_ATTRIBUTE_FLOAT);
  return attribute != NULL ? attribute->number : otherwise;
}

const char *pmn_onnx_attribute_text(const pmn_onnx_node *node, const char *name, const char *otherwise) {
  const pmn_onnx_attribute *attribute = find_kind(node, name, PMN_ONNX_ATTRIBUTE_STRING);
  return attribute != NULL ? attribute->text : otherwise;
}
