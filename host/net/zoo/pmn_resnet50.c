/* pmn_resnet50.c - ResNet50 (He et al. 2016, table 1) with the layer names of Keras's applications.resnet.
 *
 * Keras's is the paper's: the stride of a stage is in the first 1x1 convolution of its first block, and convolutions
 * have biases beside their BatchNorms. torchvision's, called v1.5, has the stride in the 3x3 convolution and no biases.
 */
#include "pmn_zoo.h"

#include <math.h>
#include <stdio.h>

enum { CLASSES = 1000 };
static const double epsilon = 1.001e-5; /* Keras's */

/* A stage: blocks of two narrow convolutions of `filters` and a wide one of four times as many. */
typedef struct stage {
  int32_t filters, blocks, stride;
} stage;

static const stage stages[] = {{64, 3, 1}, {128, 4, 2}, {256, 6, 2}, {512, 3, 2}};

typedef struct layer_name {
  char text[64];
} layer_name;

static layer_name name_layer(const char *block, const char *part) {
  layer_name name;
  snprintf(name.text, sizeof name.text, "%s_%s", block, part);
  return name;
}

static pmn_node convolve(pmn_layers *layers, const char *block, const char *part, pmn_node x, int32_t filters,
    int32_t kernel, int32_t stride) {
  return pmn_layers_conv2d(layers, name_layer(block, part).text, x, filters, kernel, stride, !layers->torch);
}

static pmn_node normalise(pmn_layers *layers, const char *block, const char *part, pmn_node x) {
  return pmn_layers_batch_norm(layers, name_layer(block, part).text, x, epsilon);
}

static pmn_node relu(pmn_layers *layers, const char *block, const char *part, pmn_node x) {
  return pmn_layers_relu(layers, name_layer(block, part).text, x, INFINITY);
}

/* The order of the layers is that of Keras's model.layers: the shortcut stands beside the last convolution. */
static pmn_node build_block(
    pmn_layers *layers, const char *block, int32_t filters, int32_t stride, bool projects, pmn_node input) {
  pmn_node x = convolve(layers, block, "1_conv", input, filters, 1, layers->torch ? 1 : stride);
  x = relu(layers, block, "1_relu", normalise(layers, block, "1_bn", x));
  x = convolve(layers, block, "2_conv", x, filters, 3, layers->torch ? stride : 1);
  x = relu(layers, block, "2_relu", normalise(layers, block, "2_bn", x));
  pmn_node shortcut = projects ? convolve(layers, block, "0_conv", input, 4 * filters, 1, stride) : input;
  x = convolve(layers, block, "3_conv", x, 4 * filters, 1, 1);
  if (projects) shortcut = normalise(layers, block, "0_bn", shortcut);
  x = normalise(layers, block, "3_bn", x);
  x = pmn_graph_add(layers->graph, name_layer(block, "add").text, shortcut, x);
  return relu(layers, block, "out", x);
}

static void build(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier) {
  const pmn_window stem = pmn_window_square(7, 2), pool = pmn_window_square(3, 2);
  pmn_node x = pmn_layers_input(layers, preprocess);
  x = pmn_graph_pad(layers->graph, "conv1_pad", x, 3, 3, 3, 3);
  x = pmn_layers_conv2d_window(layers, "conv1_conv", x, 64, &stem, !layers->torch);
  x = relu(layers, "conv1", "relu", normalise(layers, "conv1", "bn", x));
  /* Zeros and the values of a ReLU have the maximum that the values have alone, which is torchvision's. */
  x = pmn_graph_pad(layers->graph, "pool1_pad", x, 1, 1, 1, 1);
  x = pmn_graph_max_pool(layers->graph, "pool1_pool", x, &pool);
  for (int32_t s = 0; s < (int32_t)(sizeof stages / sizeof *stages); s++) {
    for (int32_t b = 0; b < stages[s].blocks; b++) {
      char block[32];
      snprintf(block, sizeof block, "conv%d_block%d", s + 2, b + 1);
      x = build_block(layers, block, stages[s].filters, b == 0 ? stages[s].stride : 1, b == 0, x);
    }
  }
  x = pmn_graph_global_average_pool(layers->graph, "avg_pool", x);
  if (classifier) pmn_layers_dense_softmax(layers, "predictions", x, CLASSES);
}

const pmn_architecture pmn_zoo_resnet50 = {
    .name = "resnet50",
    .description = "ResNet50, 224x224, 2048 features",
    .licence = "MIT, Kaiming He (Keras applications)",
    .preprocess = "caffe",
    .resize = "bicubic",
    .size = 224,
    .features = "conv5_block3_out",
    .classifier = "predictions",
    .output = "predictions",
    .build = build,
};
