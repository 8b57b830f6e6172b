/* pmn_vgg.c - VGG16 and VGG19 (Simonyan and Zisserman 2015, table 1, columns D and E) with the layer names of Keras's
 * applications. torchvision's are the same networks. */
#include "pmn_zoo.h"

#include <stdio.h>

enum { BLOCKS = 5, CLASSIFIER_SIDE = 7, CLASSIFIER_UNITS = 4096, CLASSES = 1000 };

static pmn_node build_block(pmn_layers *layers, int32_t block, int32_t filters, int32_t convolutions, pmn_node x) {
  const pmn_window halve = pmn_window_square(2, 2);
  char name[32];
  for (int32_t i = 1; i <= convolutions; i++) {
    snprintf(name, sizeof name, "block%d_conv%d", block, i);
    x = pmn_layers_conv2d_relu(layers, name, x, filters, 3);
  }
  snprintf(name, sizeof name, "block%d_pool", block);
  return pmn_graph_max_pool(layers->graph, name, x, &halve);
}

/* `convolutions` of each block. */
static void build(
    pmn_layers *layers, const int32_t convolutions[BLOCKS], const pmn_preprocess *preprocess, bool classifier) {
  static const int32_t filters[BLOCKS] = {64, 128, 256, 512, 512};
  pmn_node x = pmn_layers_input(layers, preprocess);
  for (int32_t i = 0; i < BLOCKS; i++) x = build_block(layers, i + 1, filters[i], convolutions[i], x);
  pmn_tensor shape = pmn_graph_shape(layers->graph, x);
  x = pmn_graph_flatten(layers->graph, "flatten", x);
  if (!classifier) return;
  if (shape.h != CLASSIFIER_SIDE || shape.w != CLASSIFIER_SIDE) {
    pmn_graph_fail(layers->graph, PMN_STATUS_ARGUMENT,
        "layer fc1 and those after it take pictures of 224x224 pixels, not %dx%d", preprocess->width,
        preprocess->height);
  }
  x = pmn_layers_dense_relu(layers, "fc1", x, CLASSIFIER_UNITS);
  x = pmn_layers_dense_relu(layers, "fc2", x, CLASSIFIER_UNITS);
  pmn_layers_dense_softmax(layers, "predictions", x, CLASSES);
}

static void build_vgg16(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier) {
  build(layers, (const int32_t[BLOCKS]){2, 2, 3, 3, 3}, preprocess, classifier);
}

static void build_vgg19(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier) {
  build(layers, (const int32_t[BLOCKS]){2, 2, 4, 4, 4}, preprocess, classifier);
}

static const char licence[] = "CC BY 4.0, Visual Geometry Group, University of Oxford (Keras applications)";

const pmn_architecture pmn_zoo_vgg16 = {
    .name = "vgg16",
    .description = "VGG16, 224x224, 512 features",
    .licence = licence,
    .preprocess = "caffe",
    .resize = "bicubic",
    .size = 224,
    .features = "block5_pool",
    .classifier = "fc1",
    .output = "predictions",
    .build = build_vgg16,
};

const pmn_architecture pmn_zoo_vgg19 = {
    .name = "vgg19",
    .description = "VGG19, 224x224, 512 features",
    .licence = licence,
    .preprocess = "caffe",
    .resize = "bicubic",
    .size = 224,
    .features = "block5_pool",
    .classifier = "fc1",
    .output = "predictions",
    .build = build_vgg19,
};
