/* pmn_model.h - networks by name: the zoo, its weights, and what a picture must look like before it goes in. */
#ifndef PMN_MODEL_H
#define PMN_MODEL_H

#include "pmn_graph.h"
#include "pmn_sha256.h"

/* How the authors of the weights prepared their pictures. Part of the network, stored with every output. */
typedef struct pmn_preprocess {
  int32_t width, height;    /* pixels; the picture is resized without crop */
  const char *resize;       /* Pillow's name of the filter */
  float scale[3], shift[3]; /* network input = byte * scale + shift, RGB */
  const char *formula;      /* the same in the words of its source */
} pmn_preprocess;

/* A network of the zoo. */
typedef struct pmn_architecture {
  const char *name;
  const char *description;
  pmn_preprocess preprocess;
  const unsigned char *embedded, *embedded_end; /* safetensors inside the program, or NULL */
  /* Builds all layers; gives the node of the penultimate features and of the classifier's logits. */
  void (*build)(
      pmn_graph *graph, const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits);
} pmn_architecture;

/* By index from 0; NULL past the last. By name; NULL for none. */
const pmn_architecture *pmn_architecture_at(int32_t index);
const pmn_architecture *pmn_architecture_find(const char *name);

typedef enum pmn_output { PMN_OUTPUT_FEATURES, PMN_OUTPUT_LOGITS } pmn_output;

typedef struct pmn_model pmn_model; /* a network with its weights, folded; holds no device */

/* weights_path: a safetensors file, or NULL for the embedded weights. The classifier's tensors are needed for logits
 * only. PMN_STATUS_ARGUMENT (no embedded weights and no file), PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL,
 * PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_model_create(
    const pmn_architecture *architecture, const char *weights_path, pmn_output output, pmn_model **model, pmn_err *err);
void pmn_model_destroy(pmn_model *model);
const pmn_program *pmn_model_program(const pmn_model *model); /* borrowed */
const char *pmn_model_sha256(const pmn_model *model);         /* of the weights file, hex */
const char *pmn_model_origin(const pmn_model *model);         /* the file's path, or "embedded" */
int32_t pmn_model_width(const pmn_model *model);              /* features of a picture */

#endif
