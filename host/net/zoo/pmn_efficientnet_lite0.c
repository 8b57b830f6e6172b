/* pmn_efficientnet_lite0.c - EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-and-excitation and
 * ReLU6 for swish). Padding is TensorFlow's "same", BatchNorm epsilon 1e-3. The default network: its weights are
 * embedded. */
#include "pmn_inverted_residual.h"
#include "pmn_model.h"

#include <stdio.h>

extern const unsigned char pmn_weights_efficientnet_lite0[], pmn_weights_efficientnet_lite0_end[];

static const struct {
  int32_t expansion, kernel, stride, filters, repeats;
} stages[] = {
    {1, 3, 1, 16, 1},
    {6, 3, 2, 24, 2},
    {6, 5, 2, 40, 2},
    {6, 3, 2, 80, 3},
    {6, 5, 1, 112, 3},
    {6, 5, 2, 192, 4},
    {6, 3, 1, 320, 1},
};

static void build(
    pmn_graph *graph, const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits) {
  const double epsilon = 1e-3;
  pmn_node x = pmn_graph_input(graph, preprocess->height, preprocess->width, preprocess->scale, preprocess->shift);
  pmn_conv conv = {.name = "stem_conv",
      .batch_norm = "stem_bn",
      .epsilon = epsilon,
      .filters = 32,
      .kernel = 3,
      .stride = 2,
      .clamp_max = 6.0f,
      .residual = PMN_NO_TENSOR};
  x = pmn_graph_conv2d(graph, x, &conv);
  int32_t index = 0;
  for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
    for (int32_t repeat = 0; repeat < stages[s].repeats; repeat++) {
      char prefix[32];
      snprintf(prefix, sizeof prefix, "block_%d_", index++);
      pmn_inverted_residual block = {.expansion = stages[s].expansion,
          .kernel = stages[s].kernel,
          .stride = repeat == 0 ? stages[s].stride : 1,
          .filters = stages[s].filters,
          .prefix = prefix,
          .bn = "_bn",
          .epsilon = epsilon};
      x = pmn_inverted_residual_build(graph, x, &block);
    }
  }
  conv.name = "head_conv";
  conv.batch_norm = "head_bn";
  conv.filters = 1280;
  conv.kernel = conv.stride = 1;
  x = pmn_graph_conv2d(graph, x, &conv);
  *features = pmn_graph_global_average_pool(graph, x, "global_average_pool");
  if (classifier) *logits = pmn_graph_dense(graph, *features, "predictions", 1000);
}

const pmn_architecture pmn_zoo_efficientnet_lite0 = {
    .name = "efficientnet_lite0",
    .description = "EfficientNet-Lite0, 224x224, 1280 features; weights embedded",
    .preprocess = {.width = 224,
        .height = 224,
        .resize = "bicubic",
        .scale = {1.0f / 128, 1.0f / 128, 1.0f / 128},
        .shift = {-127.0f / 128, -127.0f / 128, -127.0f / 128},
        .formula = "(x - 127) / 128"},
    .embedded = pmn_weights_efficientnet_lite0,
    .embedded_end = pmn_weights_efficientnet_lite0_end,
    .build = build,
};
