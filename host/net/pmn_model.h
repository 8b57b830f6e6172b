/* pmn_model.h - a network ready to be given to a device: from the zoo by name, or from an ONNX file. */
#ifndef PMN_MODEL_H
#define PMN_MODEL_H

#include "pmn_layers.h"
#include "pmn_sha256.h"

/* A network of the zoo. */
typedef struct pmn_architecture {
  const char *name;
  const char *description;
  const char *licence;    /* of the published weights, and who published them */
  const char *preprocess; /* a name of pmn_preprocess.h */
  const char *resize;     /* "bicubic" */
  int32_t size;           /* width and height of the pictures it was trained on */
  const char *features;   /* name of the last layer before pooling: what is taken if no layer is asked for */
  const char *classifier; /* name of the first layer whose tensors belong to the classifier */
  const char *output;     /* name of the last layer: probabilities of the classes */
  const unsigned char *embedded, *embedded_end; /* safetensors inside the program, or NULL */
  /* Builds all layers if `classifier`, and else those before the first with tensors of the classifier. */
  void (*build)(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier);
} pmn_architecture;

/* By index from 0; NULL past the last. By name; NULL for none. */
const pmn_architecture *pmn_architecture_at(int32_t index);
const pmn_architecture *pmn_architecture_find(const char *name);
/* The tensors that the network reads, with the classifier's or without, of weights trained with Keras or with PyTorch
 * (some convolutions then have no bias); pmn_free the list. */
PMN_MUST_USE pmn_status pmn_architecture_tensors(const pmn_architecture *architecture, bool torch, bool classifier,
    pmn_tensor_spec **specs, int32_t *count, pmn_err *err);

/* Does the file hold the weights of the network's last layer, in our names? */
bool pmn_architecture_has_classifier(const pmn_architecture *architecture, const pmn_safetensors *file);

typedef enum pmn_pooling { PMN_POOLING_AVERAGE, PMN_POOLING_MAX, PMN_POOLING_NONE } pmn_pooling;
bool pmn_pooling_find(const char *name, pmn_pooling *pooling); /* "avg", "max", "none" */
const char *pmn_pooling_name(pmn_pooling pooling);

/* Everything borrowed for the call. */
typedef struct pmn_model_options {
  const char *network;    /* a name of the zoo, or the path of an .onnx file */
  const char *weights;    /* of a zoo network: safetensors; NULL: the embedded ones */
  int32_t width, height;  /* of pictures; 0: the network's own */
  const char *preprocess; /* name; NULL: the network's own */
  const char *resize;     /* name of a filter; NULL: the network's own */
  /* Layers whose values are the features, joined in this order; none: the features of the network. Of a layer with
   * more than one pixel `pooling` takes the mean or the maximum of each channel; PMN_POOLING_NONE flattens it: in the
   * order h, w, c for the zoo, as Keras does, and in the order of the file's own tensor for ONNX. */
  const char *const *layers;
  int32_t layer_count;
  pmn_pooling pooling;
} pmn_model_options;

/* What can be told of a network of the zoo without its weights: the errors of pmn_model_create for names, layers and
 * sizes; and whether a layer of the classifier is asked for, whose weights not every file has. */
PMN_MUST_USE pmn_status pmn_model_check(const pmn_model_options *options, bool *classifier, pmn_err *err);

typedef struct pmn_model pmn_model; /* a network with its weights, folded; holds no device */

/* PMN_STATUS_ARGUMENT (no such network or layer: the message names near ones; no weights; no preprocessing record; a
 * size that the network cannot take), PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_model_create(const pmn_model_options *options, pmn_model **model, pmn_err *err);
void pmn_model_destroy(pmn_model *model);
const pmn_program *pmn_model_program(const pmn_model *model);       /* borrowed */
const pmn_preprocess *pmn_model_preprocess(const pmn_model *model); /* with the size and filter that are used */
/* Layers in the order of the flow, for people; false past the last. */
bool pmn_model_layer_at(const pmn_model *model, int32_t index, pmn_graph_layer *layer);
const char *pmn_model_name(const pmn_model *model);   /* of the zoo, or the ONNX graph's own name */
const char *pmn_model_sha256(const pmn_model *model); /* of the weights or ONNX file, hex; external data included */
const char *pmn_model_origin(const pmn_model *model); /* the file's path, or "embedded" */
/* What the features are: layer names in order, and the number of values of each. */
int32_t pmn_model_output_count(const pmn_model *model);
const char *pmn_model_output_name(const pmn_model *model, int32_t index, int32_t *width);
int32_t pmn_model_width(const pmn_model *model); /* features of a picture */

#endif
