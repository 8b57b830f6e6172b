/* pmn_model.c - see pmn_model.h. */
#include "pmn_model.h"

#include "pmn_file.h"
#include "pmn_mem.h"

#include <string.h>

struct pmn_model {
  pmn_buf file; /* empty for embedded weights */
  pmn_safetensors *weights;
  pmn_graph *graph;
  const pmn_program *program;
  char *origin;
  char sha256[PMN_SHA256_HEX_SIZE];
};

extern const pmn_architecture pmn_zoo_efficientnet_lite0, pmn_zoo_mobilenet_v2;

const pmn_architecture *pmn_architecture_at(int32_t index) {
  static const pmn_architecture *const zoo[] = {&pmn_zoo_efficientnet_lite0, &pmn_zoo_mobilenet_v2};
  return index >= 0 && index < (int32_t)(sizeof zoo / sizeof *zoo) ? zoo[index] : NULL;
}

const pmn_architecture *pmn_architecture_find(const char *name) {
  const pmn_architecture *architecture;
  for (int32_t i = 0; (architecture = pmn_architecture_at(i)) != NULL; i++) {
    if (strcmp(architecture->name, name) == 0) return architecture;
  }
  return NULL;
}

/* A weights file is read whole: larger than any network of the zoo could use is a mistake. */
enum { WEIGHTS_MAX = 2000 * 1000 * 1000 };

pmn_status pmn_model_create(const pmn_architecture *architecture, const char *weights_path, pmn_output output,
    pmn_model **model, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *model = NULL;
  pmn_model *self = pmn_calloc(1, sizeof *self);
  if (self == NULL) return pmn_err_memory(err, sizeof *self, "a model");
  pmn_buf_init(&self->file, WEIGHTS_MAX);
  const void *bytes = architecture->embedded;
  size_t size = (size_t)(architecture->embedded_end - architecture->embedded);
  if (weights_path != NULL) {
    PMN_TRY(pmn_file_read(weights_path, &self->file, err));
    bytes = self->file.data;
    size = self->file.size;
  } else if (bytes == NULL) {
    PMN_FAIL(err, PMN_STATUS_ARGUMENT,
        "%s has no embedded weights: give a safetensors file of Keras's tensors with --weights", architecture->name);
  }
  self->origin = pmn_strdup(weights_path != NULL ? weights_path : "embedded");
  if (self->origin == NULL) {
    st = pmn_err_memory(err, 1, "a name");
    goto done;
  }
  PMN_TRY(pmn_sha256_hex(&bytes, &size, 1, self->sha256, err));
  PMN_TRY(pmn_safetensors_create(bytes, size, self->origin, &self->weights, err));
  self->graph = pmn_graph_create(self->weights);
  if (self->graph == NULL) {
    st = pmn_err_memory(err, 1, "a network");
    goto done;
  }
  pmn_node features = 0, logits = 0;
  architecture->build(self->graph, &architecture->preprocess, output == PMN_OUTPUT_LOGITS, &features, &logits);
  PMN_TRY(pmn_graph_finish(self->graph, output == PMN_OUTPUT_LOGITS ? logits : features, &self->program, err));
  *model = self;
  self = NULL;
done:
  pmn_model_destroy(self);
  return st;
}

void pmn_model_destroy(pmn_model *model) {
  if (model == NULL) return;
  pmn_graph_destroy(model->graph);
  pmn_safetensors_destroy(model->weights);
  pmn_buf_reset(&model->file);
  pmn_free(model->origin);
  pmn_free(model);
}

const pmn_program *pmn_model_program(const pmn_model *model) {
  return model->program;
}

const char *pmn_model_sha256(const pmn_model *model) {
  return model->sha256;
}

const char *pmn_model_origin(const pmn_model *model) {
  return model->origin;
}

int32_t pmn_model_width(const pmn_model *model) {
  return model->program->tensors[model->program->output].c;
}
