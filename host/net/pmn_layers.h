/* pmn_layers.h - layers of the zoo: a pmn_graph whose parameters come from a safetensors file by name.
 *
 * Tensor names are Keras's: LAYER/kernel [kh, kw, cin, cout] or [cin, cout], LAYER/depthwise_kernel [kh, kw, c, 1],
 * LAYER/bias; BN/gamma, BN/beta, BN/moving_mean, BN/moving_variance [c]. So are the names of layers: NAME is what
 * Keras's layer of that name gives. Where that includes an activation, NAME/linear is what goes into it (NAME/logits
 * into softmax).
 *
 * Without a file the layers only write down which tensors they would read: that list is how weights of other formats
 * are matched to a network (pmn_architecture_tensors).
 */
#ifndef PMN_LAYERS_H
#define PMN_LAYERS_H

#include "pmn_graph.h"
#include "pmn_safetensors.h"

/* A tensor that a network reads, in the order in which its layers are described, which is that of Keras's model.layers
 * among layers of one class. */
typedef struct pmn_tensor_spec {
  char name[128];
  int32_t rank;
  int64_t shape[4];
} pmn_tensor_spec;

typedef struct pmn_layers {
  pmn_graph *graph;
  const pmn_safetensors *weights; /* NULL: write down, give zeros */
  /* Weights trained with PyTorch: symmetric padding, BatchNorm epsilon 1e-5, and what else differs by network. */
  bool torch;
  pmn_tensor_spec *specs;            /* [spec_capacity], the first tensors without a file; may be NULL */
  int32_t spec_count, spec_capacity; /* all tensors without a file, kept or not */
} pmn_layers;

/* The layer "input": pictures from 32x32 pixels on, as Keras's applications take them; smaller ones fail. */
pmn_node pmn_layers_input(pmn_layers *layers, const pmn_preprocess *preprocess);
/* kernel (and bias) of `name`; the padding is Keras's "same", or symmetric when layers->torch. */
pmn_node pmn_layers_conv2d(
    pmn_layers *layers, const char *name, pmn_node input, int32_t filters, int32_t kernel, int32_t stride, bool bias);
/* The same with padding of the caller's choice. */
pmn_node pmn_layers_conv2d_window(
    pmn_layers *layers, const char *name, pmn_node input, int32_t filters, const pmn_window *window, bool bias);
/* The same with bias, stride 1 and ReLU: NAME/linear and NAME. */
pmn_node pmn_layers_conv2d_relu(pmn_layers *layers, const char *name, pmn_node input, int32_t filters, int32_t kernel);
pmn_node pmn_layers_depthwise_conv2d(
    pmn_layers *layers, const char *name, pmn_node input, int32_t kernel, int32_t stride);
pmn_node pmn_layers_depthwise_conv2d_window(
    pmn_layers *layers, const char *name, pmn_node input, const pmn_window *window);
/* What "same" or symmetric padding adds, as a layer of its own before a convolution without. */
pmn_node pmn_layers_pad(pmn_layers *layers, const char *name, pmn_node input, int32_t kernel, int32_t stride);
/* Inference of BatchNorm (Ioffe and Szegedy 2015, section 3.1). `epsilon` is Keras's. */
pmn_node pmn_layers_batch_norm(pmn_layers *layers, const char *name, pmn_node input, double epsilon);
/* min(max(x, 0), max); INFINITY for no maximum. */
pmn_node pmn_layers_relu(pmn_layers *layers, const char *name, pmn_node input, float max);
/* A dense layer with ReLU: NAME/linear and NAME. */
pmn_node pmn_layers_dense_relu(pmn_layers *layers, const char *name, pmn_node input, int32_t units);
/* A dense layer with softmax: NAME/logits and NAME. */
pmn_node pmn_layers_dense_softmax(pmn_layers *layers, const char *name, pmn_node input, int32_t units);

#endif
