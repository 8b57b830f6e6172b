/* pmn_architecture.c - the networks of the zoo, by name, and the tensors that they read. */
#include "pmn_mem.h"
#include "pmn_zoo.h"

#include <stdio.h>
#include <string.h>

const pmn_architecture *pmn_architecture_at(int32_t index) {
  static const pmn_architecture *const zoo[] = {&pmn_zoo_efficientnet_lite0, &pmn_zoo_mobilenet_v2_100,
      &pmn_zoo_mobilenet_v2_035, &pmn_zoo_mobilenet_v2_050, &pmn_zoo_mobilenet_v2_075, &pmn_zoo_mobilenet_v2_130,
      &pmn_zoo_mobilenet_v2_140, &pmn_zoo_resnet50, &pmn_zoo_vgg16, &pmn_zoo_vgg19};
  return index >= 0 && index < (int32_t)(sizeof zoo / sizeof *zoo) ? zoo[index] : NULL;
}

const pmn_architecture *pmn_architecture_find(const char *name) {
  const pmn_architecture *architecture;
  for (int32_t i = 0; (architecture = pmn_architecture_at(i)) != NULL; i++) {
    if (strcmp(architecture->name, name) == 0) return architecture;
  }
  return NULL;
}

/* Builds the network without weights; the tensors that it would read are in layers->specs and spec_count. */
static pmn_status write_down(const pmn_architecture *architecture, bool classifier, pmn_layers *layers, pmn_err *err) {
  pmn_preprocess preprocess = *pmn_preprocess_find(architecture->preprocess);
  preprocess.width = preprocess.height = architecture->size;
  layers->spec_count = 0;
  layers->graph = pmn_graph_create(architecture->name);
  if (layers->graph == NULL) return pmn_err_memory(err, 1, "a network");
  architecture->build(layers, &preprocess, classifier);
  pmn_status status = pmn_graph_check(layers->graph, err);
  pmn_graph_destroy(layers->graph);
  return status;
}

pmn_status pmn_architecture_tensors(const pmn_architecture *architecture, bool torch, bool classifier,
    pmn_tensor_spec **specs, int32_t *count, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  pmn_layers layers = {.torch = torch};
  *specs = NULL;
  PMN_TRY(write_down(architecture, classifier, &layers, err)); /* counts */
  layers.spec_capacity = layers.spec_count;
  layers.specs = pmn_alloc((size_t)layers.spec_count, sizeof *layers.specs);
  if (layers.specs == NULL) {
    st = pmn_err_memory(err, (size_t)layers.spec_count * sizeof *layers.specs, "a list of tensors");
    goto done;
  }
  PMN_TRY(write_down(architecture, classifier, &layers, err));
  *specs = layers.specs;
  *count = layers.spec_count;
  layers.specs = NULL;
done:
  pmn_free(layers.specs);
  return st;
}

bool pmn_architecture_has_classifier(const pmn_architecture *architecture, const pmn_safetensors *file) {
  char kernel[64];
  snprintf(kernel, sizeof kernel, "%s/kernel", architecture->output);
  return pmn_safetensors_find(file, kernel) != NULL;
}
