/* pmn_mobilenet_v2.c - MobileNetV2 at alpha 1.0 (Sandler et al. 2018, table 2), with the layer names, padding and
 * BatchNorm epsilon of Keras's applications.mobilenet_v2, so that its tensors load by name. */
#include "pmn_inverted_residual.h"
#include "pmn_model.h"

#include <stdio.h>

static const struct {
  int32_t expansion, filters, repeats, stride;
} stages[] = {
    {1, 16, 1, 1},
    {6, 24, 2, 2},
    {6, 32, 3, 2},
    {6, 64, 4, 2},
    {6, 96, 3, 1},
    {6, 160, 3, 2},
    {6, 320, 1, 1},
};

static void build(
    pmn_graph *graph, const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits) {
  const double epsilon = 1e-3;
  pmn_node x = pmn_graph_input(graph, preprocess->height, preprocess->width, preprocess->scale, preprocess->shift);
  pmn_conv conv = {.name = "Conv1",
      .batch_norm = "bn_Conv1",
      .epsilon = epsilon,
      .filters = 32,
      .kernel = 3,
      .stride = 2,
      .clamp_max = 6.0f,
      .residual = PMN_NO_TENSOR};
  x = pmn_graph_conv2d(graph, x, &conv);
  int32_t index = 0;
  for (size_t s = 0; s < sizeof stages / sizeof *stages; s++) {
    for (int32_t repeat = 0; repeat < stages[s].repeats; repeat++, index++) {
      char prefix[32] = "expanded_conv_";
      if (index > 0) snprintf(prefix, sizeof prefix, "block_%d_", index);
      pmn_inverted_residual block = {.expansion = stages[s].expansion,
          .kernel = 3,
          .stride = repeat == 0 ? stages[s].stride : 1,
          .filters = stages[s].filters,
          .prefix = prefix,
          .bn = "_BN",
          .epsilon = epsilon};
      x = pmn_inverted_residual_build(graph, x, &block);
    }
  }
  conv.name = "Conv_1";
  conv.batch_norm = "Conv_1_bn";
  conv.filters = 1280;
  conv.kernel = conv.stride = 1;
  x = pmn_graph_conv2d(graph, x, &conv);
  *features = pmn_graph_global_average_pool(graph, x, "global_average_pooling2d");
  if (classifier) *logits = pmn_graph_dense(graph, *features, "predictions", 1000);
}

const pmn_architecture pmn_zoo_mobilenet_v2 = {
    .name = "mobilenet_v2",
    .description = "MobileNetV2 (alpha 1.0), 224x224, 1280 features; weights by --weights",
    .preprocess = {.width = 224,
        .height = 224,
        .resize = "bicubic",
        .scale = {1.0f / 127.5f, 1.0f / 127.5f, 1.0f / 127.5f},
        .shift = {-1.0f, -1.0f, -1.0f},
        .formula = "x / 127.5 - 1"},
    .build = build,
};
