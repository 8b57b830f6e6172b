/* pmn_inspect.c - pmn_inspect of pomona.h: what a network or a file holds, before anything is computed with it.
 *
 * A network of the zoo is described without weights; a safetensors file with the network whose weights it holds, or
 * tensor by tensor if it names none; an ONNX file even if it cannot be run, so that all that stands in the way is seen;
 * what a run has kept, projections and models, by tensors and the record of how it was made.
 */
#include "pmn_file.h"
#include "pmn_json.h"
#include "pmn_mem.h"
#include "pmn_model.h"
#include "pmn_onnx.h"
#include "pmn_s3.h"
#include "pmn_store_file.h"
#include "pmn_text.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* Of pictures, where neither the file nor the user says. */
enum { SIZE_ASSUMED = 224 };
/* A safetensors file is read whole, as when it is used. */
enum { FILE_BYTES_MAX = 2000 * 1000 * 1000 };

struct pmn_inspection {
  pmn_inspection_info info; /* texts point into `texts` or are constants */
  pmn_layer_info *layers;   /* likewise */
  int32_t layer_count, layer_capacity;
  const char **unsupported;
  int32_t unsupported_count;
  char **texts; /* owned */
  int32_t text_count, text_capacity;
  char *made, *record;
};

void pmn_inspection_destroy(pmn_inspection *inspection) {
  if (inspection == NULL) return;
  for (int32_t i = 0; i < inspection->text_count; i++) pmn_free(inspection->texts[i]);
  pmn_free(inspection->texts);
  pmn_free(inspection->layers);
  pmn_free(inspection->unsupported);
  pmn_free(inspection->made);
  pmn_free(inspection->record);
  pmn_free(inspection);
}

pmn_inspection_info pmn_inspection_get(const pmn_inspection *inspection) {
  return inspection->info;
}

const pmn_layer_info *pmn_inspection_layers(const pmn_inspection *inspection, int32_t *count) {
  *count = inspection->layer_count;
  return inspection->layers;
}

const char *const *pmn_inspection_unsupported(const pmn_inspection *inspection, int32_t *count) {
  *count = inspection->unsupported_count;
  return inspection->unsupported;
}

const char *pmn_inspection_record(const pmn_inspection *inspection) {
  return inspection->record;
}

/* ---------------------------------------------------------------------------------------------------- filling -- */

/* The array with room for one more element of `size` bytes; NULL, and the array as it was, when memory cannot be had.
 */
static void *grown(void *array, int32_t count, int32_t *capacity, size_t size) {
  if (count < *capacity) return array;
  int32_t wanted = *capacity == 0 ? 64 : *capacity * 2;
  void *larger = pmn_realloc(array, (size_t)wanted, size);
  if (larger != NULL) *capacity = wanted;
  return larger;
}

/* A copy that lives as long as the inspection, valid UTF-8 without control characters; NULL when memory cannot be
 * had. */
static const char *keep(pmn_inspection *self, const char *text) {
  pmn_buf escaped;
  pmn_buf_init(&escaped, SIZE_MAX);
  char **texts = grown(self->texts, self->text_count, &self->text_capacity, sizeof *texts);
  if (texts == NULL) return NULL;
  self->texts = texts;
  if (pmn_text_escape(&escaped, text, strlen(text), NULL) != PMN_STATUS_OK) {
    pmn_buf_reset(&escaped);
    return NULL;
  }
  char *kept = escaped.size > 0 ? pmn_buf_take(&escaped) : pmn_strdup("");
  for (char *p = kept; p != NULL && *p != '\0'; p++) {
    if ((unsigned char)*p < ' ' || *p == 127) *p = ' ';
  }
  if (kept != NULL) texts[self->text_count++] = kept;
  return kept;
}

static pmn_status add_layer(pmn_inspection *self, const char *name, const char *kind, const char *shape,
    int64_t parameters, int64_t operations, pmn_err *err) {
  const char *kept_name = keep(self, name), *kept_kind = keep(self, kind), *kept_shape = keep(self, shape);
  pmn_layer_info *layers = grown(self->layers, self->layer_count, &self->layer_capacity, sizeof *layers);
  if (layers != NULL) self->layers = layers;
  if (kept_name == NULL || kept_kind == NULL || kept_shape == NULL || layers == NULL) {
    return pmn_err_memory(err, sizeof *layers, "a list of layers");
  }
  layers[self->layer_count++] = (pmn_layer_info){kept_name, kept_kind, kept_shape, parameters, operations};
  self->info.parameters += parameters;
  self->info.operations += operations;
  return PMN_STATUS_OK;
}

static pmn_status add_graph_layer(pmn_inspection *self, const pmn_graph_layer *layer, pmn_err *err) {
  char shape[64];
  snprintf(shape, sizeof shape, "%d x %d x %d", layer->h, layer->w, layer->c);
  return add_layer(self, layer->name, layer->kind, shape, layer->parameters, layer->operations, err);
}

static pmn_status add_graph(pmn_inspection *self, const pmn_graph *graph, pmn_err *err) {
  pmn_graph_layer layer;
  for (int32_t i = 0; pmn_graph_layer_at(graph, i, &layer); i++) {
    pmn_status st = add_graph_layer(self, &layer, err);
    if (st != PMN_STATUS_OK) return st;
  }
  return PMN_STATUS_OK;
}

/* ---------------------------------------------------------------------------------------------------- targets -- */

static void choose_size(
    const pmn_inspect_options *options, int32_t own_width, int32_t own_height, pmn_preprocess *preprocess) {
  preprocess->width = options->width > 0 ? options->width : own_width > 0 ? own_width : SIZE_ASSUMED;
  preprocess->height = options->height > 0 ? options->height : own_height > 0 ? own_height : SIZE_ASSUMED;
}

static pmn_status inspect_network(
    pmn_inspection *self, const pmn_inspect_options *options, const pmn_architecture *architecture, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_preprocess preprocess = *pmn_preprocess_find(architecture->preprocess);
  choose_size(options, architecture->size, architecture->size, &preprocess);
  pmn_layers layers = {.graph = pmn_graph_create(architecture->name)};
  if (layers.graph == NULL) return pmn_err_memory(err, 1, "a network");
  architecture->build(&layers, &preprocess, true);
  /* The features alone take smaller pictures than the classifier of some networks. */
  if (pmn_graph_failed(layers.graph)) {
    pmn_graph_destroy(layers.graph);
    layers.graph = pmn_graph_create(architecture->name);
    if (layers.graph == NULL) return pmn_err_memory(err, 1, "a network");
    architecture->build(&layers, &preprocess, false);
  }
  PMN_TRY(pmn_graph_check(layers.graph, err));
  self->info.kind = "network";
  self->info.name = architecture->name;
  self->info.preprocess = preprocess.formula;
  self->info.features = architecture->features;
  self->info.width = preprocess.width;
  self->info.height = preprocess.height;
  self->info.any_size = true;
  PMN_TRY(add_graph(self, layers.graph, err));
done:
  pmn_graph_destroy(layers.graph);
  return st;
}

/* The weights of a network, put into it: what the network reads must be there and fit. */
static pmn_status inspect_weights(pmn_inspection *self, const pmn_inspect_options *options,
    const pmn_architecture *architecture, bool classifier, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_model *model = NULL;
  pmn_graph_layer layer;
  pmn_model_options model_options = {.network = architecture->name,
      .weights = options->target,
      .width = options->width,
      .height = options->height,
      .layers = &architecture->output,
      .layer_count = classifier,
      .pooling = PMN_POOLING_AVERAGE};
  PMN_TRY(pmn_model_create(&model_options, &model, err));
  const pmn_preprocess *preprocess = pmn_model_preprocess(model);
  self->info.name = architecture->name;
  self->info.preprocess = preprocess->formula;
  self->info.features = architecture->features;
  self->info.width = preprocess->width;
  self->info.height = preprocess->height;
  self->info.any_size = true;
  for (int32_t i = 0; pmn_model_layer_at(model, i, &layer); i++) PMN_TRY(add_graph_layer(self, &layer, err));
done:
  pmn_model_destroy(model);
  return st;
}

static pmn_status add_tensor(pmn_inspection *self, const pmn_weight *weight, pmn_err *err) {
  char shape[256] = "";
  int64_t numbers = weight->size > 0; /* the product fits if none of its factors is 0: the file holds as many bytes */
  for (int32_t i = 0; i < weight->rank; i++) {
    size_t used = strlen(shape);
    snprintf(shape + used, sizeof shape - used, "%s%lld", i > 0 ? " x " : "", (long long)weight->shape[i]);
    if (numbers > 0) numbers *= weight->shape[i];
  }
  return add_layer(self, weight->name, weight->type, shape, numbers, 0, err);
}

/* A projection, moments, a vocabulary or a trained model. *ours: it is one. */
static pmn_status inspect_stored(pmn_inspection *self, const char *path, bool *ours, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_stored stored = {.path = path};
  const pmn_weight *weight;
  const char *format;
  char *text = NULL, sha256[PMN_SHA256_HEX_SIZE];
  PMN_TRY(pmn_stored_open_any(&stored, &format, err));
  *ours = format != NULL;
  if (!*ours) goto done;
  text = pmn_json_text(stored.record, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  PMN_TRY(pmn_safetensors_hash(stored.file, NULL, sha256, err));
  self->info.kind = keep(self, format);
  self->info.sha256 = keep(self, sha256);
  self->info.made = self->made = text;
  if (text == NULL || self->info.kind == NULL || self->info.sha256 == NULL)
    PMN_TRY(pmn_err_memory(err, 1, "the record of a file"));
  for (int32_t i = 0; (weight = pmn_safetensors_at(stored.file, i)) != NULL; i++)
    PMN_TRY(add_tensor(self, weight, err));
done:
  pmn_stored_reset(&stored);
  return st;
}

/* A file whose name says nothing. */
static pmn_status inspect_kept(pmn_inspection *self, const char *path, pmn_err *err) {
  pmn_err why = PMN_ERR_INIT;
  bool ours = false;
  pmn_status st = inspect_stored(self, path, &ours, &why);
  if (st == PMN_STATUS_OK && ours) return st;
  if (st == PMN_STATUS_NOT_FOUND) {
    return pmn_err_set(err, PMN_STATUS_ARGUMENT, why.foreign,
        "no network is called \"%.200s\" (see pomona models), and it is no file either: %.200s", path, why.message);
  }
  return pmn_err_set(err, st != PMN_STATUS_OK ? st : PMN_STATUS_ARGUMENT, why.foreign,
      "%.200s: neither an .onnx or .safetensors file nor what a run has kept%s%.240s; other weights are converted by "
      "pomona weights convert first",
      path, st != PMN_STATUS_OK ? ": " : "", st != PMN_STATUS_OK ? why.message : "");
}

static pmn_status inspect_safetensors(pmn_inspection *self, const pmn_inspect_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_safetensors *file = NULL;
  pmn_buf bytes;
  char sha256[PMN_SHA256_HEX_SIZE];
  pmn_buf_init(&bytes, FILE_BYTES_MAX);
  PMN_TRY(pmn_file_read(options->target, &bytes, err));
  const void *data = bytes.data;
  PMN_TRY(pmn_sha256_hex(&data, &bytes.size, 1, sha256, err));
  PMN_TRY(pmn_safetensors_create(bytes.data, bytes.size, options->target, &file, err));
  self->info.kind = "safetensors";
  self->info.sha256 = keep(self, sha256);
  if (self->info.sha256 == NULL) {
    st = pmn_err_memory(err, sizeof sha256, "a hash");
    goto done;
  }
  const char *network = options->network != NULL ? options->network : pmn_safetensors_metadata(file, "pomona.network");
  const pmn_architecture *architecture = network != NULL ? pmn_architecture_find(network) : NULL;
  if (network != NULL && architecture == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: no network is called \"%s\"; see pomona models", options->target, network);
  }
  if (architecture != NULL) {
    /* Of pictures of another size only the features can be looked at. */
    bool classifier = options->width == 0 && pmn_architecture_has_classifier(architecture, file);
    PMN_TRY(inspect_weights(self, options, architecture, classifier, err));
  } else {
    const pmn_weight *weight;
    for (int32_t i = 0; (weight = pmn_safetensors_at(file, i)) != NULL; i++) PMN_TRY(add_tensor(self, weight, err));
  }
done:
  pmn_safetensors_destroy(file);
  pmn_buf_reset(&bytes);
  return st;
}

/* Cuts the text into its lines. */
static pmn_status list_unsupported(pmn_inspection *self, pmn_buf *text, pmn_err *err) {
  int32_t lines = 0;
  for (size_t i = 0; i < text->size; i++) lines += text->data[i] == '\n';
  self->unsupported = pmn_alloc((size_t)lines, sizeof *self->unsupported);
  if (self->unsupported == NULL) return pmn_err_memory(err, (size_t)lines * sizeof(char *), "a list of operators");
  for (char *line = text->data; self->unsupported_count < lines;) {
    char *end = strchr(line, '\n');
    *end = '\0';
    const char *kept = keep(self, line);
    if (kept == NULL) return pmn_err_memory(err, strlen(line), "a list of operators");
    self->unsupported[self->unsupported_count++] = kept;
    line = end + 1;
  }
  return PMN_STATUS_OK;
}

static pmn_status inspect_onnx(pmn_inspection *self, const pmn_inspect_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_onnx *onnx = NULL;
  pmn_graph *graph = NULL;
  pmn_preprocess preprocess = *pmn_preprocess_find("raw");
  bool described = false;
  int32_t width, height;
  pmn_buf unsupported;
  pmn_buf_init(&unsupported, 16 * 1024 * 1024);
  PMN_TRY(pmn_onnx_open(options->target, &onnx, err));
  PMN_TRY(pmn_onnx_preprocess(onnx, &preprocess, &described, err));
  pmn_onnx_input_size(onnx, &width, &height);
  self->info.any_size = width == 0 || height == 0;
  choose_size(options, width, height, &preprocess);
  graph = pmn_graph_create(options->target);
  if (graph == NULL) {
    st = pmn_err_memory(err, 1, "a network");
    goto done;
  }
  pmn_onnx_build(onnx, graph, &preprocess, &unsupported);
  if (unsupported.size == 0) PMN_TRY(pmn_graph_check(graph, err));
  PMN_TRY(list_unsupported(self, &unsupported, err));
  self->info.kind = "ONNX";
  self->info.name = keep(self, pmn_onnx_name(onnx));
  self->info.sha256 = keep(self, pmn_onnx_sha256(onnx));
  self->info.preprocess = described ? keep(self, preprocess.formula) : NULL;
  self->info.opset = pmn_onnx_opset(onnx);
  self->info.width = preprocess.width;
  self->info.height = preprocess.height;
  if (self->info.name == NULL || self->info.sha256 == NULL || (described && self->info.preprocess == NULL)) {
    st = pmn_err_memory(err, 1, "a name");
    goto done;
  }
  PMN_TRY(add_graph(self, graph, err));
  if (self->unsupported_count == 0) {
    pmn_graph_layer layer;
    if (pmn_graph_layer_at(graph, pmn_onnx_features(onnx, graph), &layer)) self->info.features = keep(self, layer.name);
  }
done:
  pmn_graph_destroy(graph);
  pmn_onnx_close(onnx);
  pmn_buf_reset(&unsupported);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- record -- */

static json_t *text_json(const char *text) {
  return text != NULL ? json_string(text) : json_null();
}

static pmn_status make_record(pmn_inspection *self, pmn_err *err) {
  const pmn_inspection_info *i = &self->info;
  json_t *layers = json_array(), *unsupported = json_array();
  bool good = layers != NULL && unsupported != NULL;
  for (int32_t k = 0; good && k < self->layer_count; k++) {
    const pmn_layer_info *l = &self->layers[k];
    good = json_array_append_new(
               layers, json_pack("{s:s, s:s, s:s, s:I, s:I}", "name", l->name, "kind", l->kind, "shape", l->shape,
                           "parameters", (json_int_t)l->parameters, "operations", (json_int_t)l->operations)) == 0;
  }
  for (int32_t k = 0; good && k < self->unsupported_count; k++) {
    good = json_array_append_new(unsupported, json_string(self->unsupported[k])) == 0;
  }
  json_t *made = i->made != NULL ? json_loads(i->made, 0, NULL) : json_null();
  json_t *record = json_pack("{s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:b, s:I, s:I, s:o, s:o, s:o}", "kind", i->kind,
      "name", text_json(i->name), "sha256", text_json(i->sha256), "preprocess", text_json(i->preprocess), "features",
      text_json(i->features), "opset", i->opset, "width", i->width, "height", i->height, "any_size", i->any_size,
      "parameters", (json_int_t)i->parameters, "operations", (json_int_t)i->operations, "made", made, "unsupported",
      unsupported, "layers", layers);
  if (good) self->record = pmn_json_text(record, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
  json_decref(record);
  return self->record != NULL ? PMN_STATUS_OK : pmn_err_memory(err, 1, "the record of an inspection");
}

pmn_status pmn_inspect(const pmn_inspect_options *options, pmn_inspection **inspection, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *inspection = NULL;
  pmn_inspection *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "an inspection");
  if (options->struct_size != sizeof *options || options->target == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "nothing to inspect: name a network or a file");
  }
  if (pmn_s3_is_uri(options->target)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%.300s: only a file on a disk can be inspected: copy it first (aws s3 cp), and name the copy",
        options->target);
  }
  const pmn_architecture *architecture = pmn_architecture_find(options->target);
  bool ours = false;
  if (options->network != NULL && !pmn_text_ends(options->target, ".safetensors")) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s: a network is named for .safetensors files only", options->target);
  }
  if (architecture != NULL) {
    PMN_TRY(inspect_network(self, options, architecture, err));
  } else if (pmn_text_ends(options->target, ".onnx")) {
    PMN_TRY(inspect_onnx(self, options, err));
  } else if (pmn_text_ends(options->target, ".safetensors")) {
    if (options->network == NULL) PMN_TRY(inspect_stored(self, options->target, &ours, err));
    if (!ours) PMN_TRY(inspect_safetensors(self, options, err));
  } else {
    PMN_TRY(inspect_kept(self, options->target, err));
  }
  PMN_TRY(make_record(self, err));
  *inspection = self;
  self = NULL;
done:
  pmn_inspection_destroy(self);
  return st;
}
