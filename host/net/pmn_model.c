/* pmn_model.c - see pmn_model.h: everything that a user may choose about a network, checked and put together.
 *
 * A network of the zoo is first built without weights, which costs nothing: so a mistyped layer or a size that does not
 * fit is told before a large file is read, and the classifier's weights are asked for only if they are used.
 */
#include "pmn_model.h"

#include "pmn_file.h"
#include "pmn_mem.h"
#include "pmn_nearest.h"
#include "pmn_onnx.h"
#include "pmn_text.h"

#include <string.h>

typedef struct model_output {
  char *name;
  pmn_node node;
  int32_t width;
} model_output;

struct pmn_model {
  pmn_graph *graph;
  pmn_onnx *onnx; /* NULL for a network of the zoo; owns texts of `preprocess` */
  const pmn_program *program;
  pmn_preprocess preprocess;
  char *resize; /* the user's; NULL: preprocess's own */
  char *name, *origin;
  char sha256[PMN_SHA256_HEX_SIZE];
  int32_t layer_count;   /* those of the network; outputs may have added some */
  model_output *outputs; /* [output_count] */
  int32_t output_count;
};

/* A weights file is read whole: larger than any network of the zoo could use is a mistake. */
enum { WEIGHTS_MAX = 2000 * 1000 * 1000 };
enum { NEAREST_TEXT = 400 };

bool pmn_pooling_find(const char *name, pmn_pooling *pooling) {
  for (*pooling = PMN_POOLING_AVERAGE; *pooling <= PMN_POOLING_NONE; ++*pooling) {
    if (strcmp(name, pmn_pooling_name(*pooling)) == 0) return true;
  }
  return false;
}

const char *pmn_pooling_name(pmn_pooling pooling) {
  static const char *const names[] = {
      [PMN_POOLING_AVERAGE] = "avg", [PMN_POOLING_MAX] = "max", [PMN_POOLING_NONE] = "none"};
  return names[pooling];
}

/* ------------------------------------------------------------------------------------- what the user may choose -- */

static pmn_status keep_text(const char *text, char **kept, pmn_err *err) {
  pmn_free(*kept);
  *kept = pmn_strdup(text);
  return *kept != NULL ? PMN_STATUS_OK : pmn_err_memory(err, strlen(text) + 1, "a name");
}

static pmn_status refuse_network(const char *name, pmn_err *err) {
  char near[NEAREST_TEXT];
  pmn_nearest nearest = pmn_nearest_init(name);
  const pmn_architecture *architecture;
  for (int32_t i = 0; (architecture = pmn_architecture_at(i)) != NULL; i++) {
    pmn_nearest_offer(&nearest, architecture->name);
  }
  pmn_nearest_text(&nearest, near, sizeof near);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0,
      "no network is called \"%s\"%s \"pomona models\" lists them; the name of an ONNX file ends in .onnx", name,
      nearest.count > 0 ? near : ";");
}

static pmn_status refuse_layer(const pmn_graph *graph, const char *network, const char *layer, pmn_err *err) {
  char near[NEAREST_TEXT];
  pmn_nearest nearest = pmn_nearest_init(layer);
  pmn_graph_layer known;
  for (int32_t i = 0; pmn_graph_layer_at(graph, i, &known); i++) pmn_nearest_offer(&nearest, known.name);
  pmn_nearest_text(&nearest, near, sizeof near);
  return pmn_err_set(err, PMN_STATUS_ARGUMENT, 0, "%s has no layer \"%s\"%s \"pomona inspect %s\" lists them", network,
      layer, nearest.count > 0 ? near : ";", network);
}

/* model->preprocess by the user's choice or, without one, `own`; NULL: there is no own. */
static pmn_status choose_preprocess(
    pmn_model *model, const pmn_preprocess *own, const pmn_model_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  const pmn_preprocess *chosen = own;
  if (options->preprocess != NULL) PMN_TRY(pmn_preprocess_choose(options->preprocess, &chosen, err));
  if (chosen == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s does not say how pictures are to be prepared: say what it was trained with by --preprocess: %s",
        options->network, PMN_PREPROCESS_NAMES);
  }
  model->preprocess = *chosen;
  if (options->resize != NULL) {
    PMN_TRY(keep_text(options->resize, &model->resize, err));
    model->preprocess.resize = model->resize;
  }
done:
  return st;
}

/* The picture's size by the user's choice or, without one, the network's own. */
static void choose_size(pmn_model *model, int32_t own_width, int32_t own_height, const pmn_model_options *options) {
  model->preprocess.width = options->width > 0 ? options->width : own_width;
  model->preprocess.height = options->height > 0 ? options->height : own_height;
}

/* ------------------------------------------------------------------------------------------------ of the graph -- */

/* Room for the outputs that the user asks for, and their names; `features` if none. */
static pmn_status name_outputs(pmn_model *model, const char *features, const pmn_model_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  int32_t count = options->layer_count > 0 ? options->layer_count : 1;
  model->outputs = pmn_calloc((size_t)count, sizeof *model->outputs);
  if (model->outputs == NULL) {
    st = pmn_err_memory(err, (size_t)count * sizeof *model->outputs, "a list of layers");
    goto done;
  }
  model->output_count = count;
  for (int32_t i = 0; i < count; i++) {
    PMN_TRY(keep_text(options->layer_count > 0 ? options->layers[i] : features, &model->outputs[i].name, err));
  }
done:
  return st;
}

/* Finds the outputs in model->graph, pools or flattens them, and folds the whole. */
static pmn_status finish_graph(pmn_model *model, pmn_pooling pooling, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_graph_layer layer;
  pmn_node *nodes = pmn_alloc((size_t)model->output_count, sizeof *nodes);
  if (nodes == NULL) {
    st = pmn_err_memory(err, (size_t)model->output_count * sizeof *nodes, "a list of layers");
    goto done;
  }
  while (pmn_graph_layer_at(model->graph, model->layer_count, &layer)) model->layer_count++;
  for (int32_t i = 0; i < model->output_count; i++) {
    pmn_node node = model->outputs[i].node;
    pmn_tensor shape = pmn_graph_shape(model->graph, node);
    if (pooling == PMN_POOLING_NONE) {
      node = model->onnx != NULL ? pmn_onnx_flatten(model->onnx, model->graph, node)
                                 : pmn_graph_flatten(model->graph, NULL, node);
    } else if (shape.h > 1 || shape.w > 1) {
      node = pooling == PMN_POOLING_MAX ? pmn_graph_global_max_pool(model->graph, NULL, node)
                                        : pmn_graph_global_average_pool(model->graph, NULL, node);
    }
    nodes[i] = node;
    model->outputs[i].width = pmn_graph_shape(model->graph, node).c;
  }
  PMN_TRY(pmn_graph_finish(model->graph, nodes, model->output_count, &model->program, err));
done:
  pmn_free(nodes);
  return st;
}

/* ------------------------------------------------------------------------------------------------------- zoo -- */

/* Builds the network without weights into *graph, which is to be destroyed also after an error. */
static pmn_status sketch(const pmn_architecture *architecture, const pmn_preprocess *preprocess, bool classifier,
    pmn_graph **graph, pmn_err *err) {
  pmn_graph_destroy(*graph);
  *graph = pmn_graph_create(architecture->name);
  if (*graph == NULL) return pmn_err_memory(err, 1, "a network");
  pmn_layers layers = {.graph = *graph};
  architecture->build(&layers, preprocess, classifier);
  return pmn_graph_check(*graph, err);
}

/* Checks names of layers and the size of pictures. *classifier: a layer that needs the classifier's weights is asked
 * for. */
static pmn_status check_choices(
    const pmn_model *model, const pmn_architecture *architecture, bool *classifier, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_graph *graph = NULL;
  pmn_preprocess own = *pmn_preprocess_find(architecture->preprocess);
  own.width = own.height = architecture->size; /* names do not depend on it, and all layers take it */
  PMN_TRY(sketch(architecture, &own, true, &graph, err));
  for (int32_t i = 0; i < model->output_count; i++) {
    if (pmn_graph_find(graph, model->outputs[i].name) >= 0) continue;
    st = refuse_layer(graph, architecture->name, model->outputs[i].name, err);
    goto done;
  }
  PMN_TRY(sketch(architecture, &model->preprocess, false, &graph, err));
  *classifier = false;
  for (int32_t i = 0; i < model->output_count; i++) {
    *classifier = *classifier || pmn_graph_find(graph, model->outputs[i].name) < 0;
  }
  if (*classifier) PMN_TRY(sketch(architecture, &model->preprocess, true, &graph, err));
done:
  pmn_graph_destroy(graph);
  return st;
}

/* What the file says of itself: *torch, how its weights were trained. A file that says nothing is believed to be
 * Keras's and of the right network: its tensors will show. */
static pmn_status read_metadata(
    const pmn_safetensors *file, const pmn_architecture *architecture, bool *torch, pmn_err *err) {
  const char *network = pmn_safetensors_metadata(file, "pomona.network");
  const char *framework = pmn_safetensors_metadata(file, "pomona.framework");
  *torch = framework != NULL && strcmp(framework, "torch") == 0;
  if (network != NULL && strcmp(network, architecture->name) != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: the weights are of %.64s, not of %s",
        pmn_safetensors_origin(file), network, architecture->name);
  }
  if (framework != NULL && !*torch && strcmp(framework, "keras") != 0) {
    return pmn_err_set(err, PMN_STATUS_MODEL, 0, "%s: pomona.framework is \"%.64s\", neither keras nor torch",
        pmn_safetensors_origin(file), framework);
  }
  return PMN_STATUS_OK;
}

/* All choices but those that depend on the weights. */
static pmn_status choose_zoo(pmn_model *self, const pmn_architecture *architecture, const pmn_model_options *options,
    bool *classifier, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_preprocess own = *pmn_preprocess_find(architecture->preprocess);
  own.resize = architecture->resize;
  PMN_TRY(keep_text(architecture->name, &self->name, err));
  PMN_TRY(choose_preprocess(self, &own, options, err));
  choose_size(self, architecture->size, architecture->size, options);
  PMN_TRY(name_outputs(self, architecture->features, options, err));
  PMN_TRY(check_choices(self, architecture, classifier, err));
done:
  return st;
}

static pmn_status create_zoo(
    pmn_model *self, const pmn_architecture *architecture, const pmn_model_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_safetensors *weights = NULL;
  pmn_buf file;
  pmn_buf_init(&file, WEIGHTS_MAX);
  bool classifier = false, torch = false;
  PMN_TRY(choose_zoo(self, architecture, options, &classifier, err));

  const void *bytes = architecture->embedded;
  size_t size = (size_t)(architecture->embedded_end - architecture->embedded);
  if (options->weights != NULL) {
    PMN_TRY(pmn_file_read(options->weights, &file, err));
    bytes = file.data;
    size = file.size;
  } else if (bytes == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s has no weights yet: fetch them with \"pomona weights fetch %s\", or give a safetensors file with --weights",
        self->name, self->name);
  }
  PMN_TRY(keep_text(options->weights != NULL ? options->weights : "embedded", &self->origin, err));
  PMN_TRY(pmn_sha256_hex(&bytes, &size, 1, self->sha256, err));
  PMN_TRY(pmn_safetensors_create(bytes, size, self->origin, &weights, err));
  PMN_TRY(read_metadata(weights, architecture, &torch, err));
  if (classifier && !pmn_architecture_has_classifier(architecture, weights)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s holds no classifier, which layer %s and those after it need", self->origin,
        architecture->classifier);
  }
  if (torch) {
    PMN_TRY(choose_preprocess(self, pmn_preprocess_find("torch"), options, err));
    choose_size(self, architecture->size, architecture->size, options);
  }
  self->graph = pmn_graph_create(self->origin);
  if (self->graph == NULL) {
    st = pmn_err_memory(err, 1, "a network");
    goto done;
  }
  pmn_layers layers = {.graph = self->graph, .weights = weights, .torch = torch};
  architecture->build(&layers, &self->preprocess, classifier);
  PMN_TRY(pmn_graph_check(self->graph, err));
  for (int32_t i = 0; i < self->output_count; i++) {
    self->outputs[i].node = pmn_graph_find(self->graph, self->outputs[i].name);
  }
done:
  pmn_safetensors_destroy(weights);
  pmn_buf_reset(&file);
  return st;
}

/* ------------------------------------------------------------------------------------------------------ ONNX -- */

/* Preprocessing and size, of which the file may say all, a part or nothing. */
static pmn_status choose_onnx_input(pmn_model *self, const pmn_model_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_preprocess own = {.name = NULL};
  bool described = false;
  int32_t width, height;
  st = pmn_onnx_preprocess(self->onnx, &own, &described, err);
  if (st == PMN_STATUS_MODEL && options->preprocess != NULL) st = PMN_STATUS_OK; /* which overrides it */
  if (st != PMN_STATUS_OK) goto done;
  pmn_onnx_input_size(self->onnx, &width, &height);
  PMN_TRY(choose_preprocess(self, described ? &own : NULL, options, err));
  choose_size(self, width > 0 ? width : own.width, height > 0 ? height : own.height, options);
  const pmn_preprocess *chosen = &self->preprocess;
  if ((width > 0 && chosen->width != width) || (height > 0 && chosen->height != height)) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s takes pictures of %dx%d pixels, not %dx%d: leave the size to the file",
        options->network, width > 0 ? width : chosen->width, height > 0 ? height : chosen->height, chosen->width,
        chosen->height);
  }
  if (chosen->width <= 0 || chosen->height <= 0) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s leaves the size of pictures open: give one with --size", options->network);
  }
done:
  return st;
}

static pmn_status create_onnx(pmn_model *self, const pmn_model_options *options, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_buf unsupported;
  pmn_graph_layer layer;
  pmn_buf_init(&unsupported, 16 * 1024 * 1024);
  if (options->weights != NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT, "%s holds its own weights: leave out --weights", options->network);
  }
  PMN_TRY(pmn_onnx_open(options->network, &self->onnx, err));
  PMN_TRY(keep_text(pmn_onnx_name(self->onnx), &self->name, err));
  PMN_TRY(keep_text(options->network, &self->origin, err));
  strcpy(self->sha256, pmn_onnx_sha256(self->onnx));
  PMN_TRY(choose_onnx_input(self, options, err));
  self->graph = pmn_graph_create(self->origin);
  if (self->graph == NULL) {
    st = pmn_err_memory(err, 1, "a network");
    goto done;
  }
  pmn_onnx_build(self->onnx, self->graph, &self->preprocess, &unsupported);
  PMN_TRY(pmn_graph_check(self->graph, err));
  pmn_node features = pmn_onnx_features(self->onnx, self->graph);
  bool found = pmn_graph_layer_at(self->graph, features, &layer);
  PMN_TRY(name_outputs(self, found ? layer.name : "", options, err));
  for (int32_t i = 0; i < self->output_count; i++) {
    const char *name = self->outputs[i].name;
    pmn_node node = options->layer_count > 0 ? pmn_graph_find(self->graph, name) : features;
    if (node < 0) {
      st = refuse_layer(self->graph, options->network, name, err);
      goto done;
    }
    self->outputs[i].node = node;
  }
done:
  pmn_buf_reset(&unsupported);
  return st;
}

/* ----------------------------------------------------------------------------------------------------- model -- */

pmn_status pmn_model_check(const pmn_model_options *options, bool *classifier, pmn_err *err) {
  const pmn_architecture *architecture = pmn_architecture_find(options->network);
  if (architecture == NULL) return refuse_network(options->network, err);
  pmn_model *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a model");
  pmn_status st = choose_zoo(self, architecture, options, classifier, err);
  pmn_model_destroy(self);
  return st;
}

pmn_status pmn_model_create(const pmn_model_options *options, pmn_model **model, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *model = NULL;
  pmn_model *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a model");
  const pmn_architecture *architecture = pmn_architecture_find(options->network);
  if (architecture != NULL) {
    PMN_TRY(create_zoo(self, architecture, options, err));
  } else if (pmn_text_ends(options->network, ".onnx")) {
    PMN_TRY(create_onnx(self, options, err));
  } else {
    st = refuse_network(options->network, err);
    goto done;
  }
  PMN_TRY(finish_graph(self, options->pooling, err));
  *model = self;
  self = NULL;
done:
  pmn_model_destroy(self);
  return st;
}

void pmn_model_destroy(pmn_model *model) {
  if (model == NULL) return;
  for (int32_t i = 0; i < model->output_count; i++) pmn_free(model->outputs[i].name);
  pmn_free(model->outputs);
  pmn_graph_destroy(model->graph);
  pmn_onnx_close(model->onnx);
  pmn_free(model->resize);
  pmn_free(model->name);
  pmn_free(model->origin);
  pmn_free(model);
}

const pmn_program *pmn_model_program(const pmn_model *model) {
  return model->program;
}

const pmn_preprocess *pmn_model_preprocess(const pmn_model *model) {
  return &model->preprocess;
}

bool pmn_model_layer_at(const pmn_model *model, int32_t index, pmn_graph_layer *layer) {
  return index < model->layer_count && pmn_graph_layer_at(model->graph, index, layer);
}

const char *pmn_model_name(const pmn_model *model) {
  return model->name;
}

const char *pmn_model_sha256(const pmn_model *model) {
  return model->sha256;
}

const char *pmn_model_origin(const pmn_model *model) {
  return model->origin;
}

int32_t pmn_model_output_count(const pmn_model *model) {
  return model->output_count;
}

const char *pmn_model_output_name(const pmn_model *model, int32_t index, int32_t *width) {
  *width = model->outputs[index].width;
  return model->outputs[index].name;
}

int32_t pmn_model_width(const pmn_model *model) {
  const pmn_tensor *output = &model->program->tensors[model->program->output];
  return (int32_t)pmn_tensor_size(output);
}
