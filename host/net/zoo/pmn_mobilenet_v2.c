/* pmn_mobilenet_v2.c - MobileNetV2 (Sandler et al. 2018, table 2) at the six widths for which weights are published,
 * with the layer names, padding and BatchNorm epsilon of Keras's applications.mobilenet_v2. */
#include "pmn_inverted_residual.h"
#include "pmn_zoo.h"

/* expansion, kernel, stride, filters, repeats */
static const pmn_block_stage stages[] = {
    {1, 3, 1, 16, 1},
    {6, 3, 2, 24, 2},
    {6, 3, 2, 32, 3},
    {6, 3, 2, 64, 4},
    {6, 3, 1, 96, 3},
    {6, 3, 2, 160, 3},
    {6, 3, 1, 320, 1},
};

static const pmn_inverted_residual_net net = {
    .stages = stages,
    .stage_count = sizeof stages / sizeof *stages,
    .stem_filters = 32,
    .head_filters = 1280,
    .classes = 1000,
    .epsilon = 1e-3,
    .stem = "Conv1",
    .stem_bn = "bn_Conv1",
    .stem_relu = "Conv1_relu",
    .head = "Conv_1",
    .head_bn = "Conv_1_bn",
    .head_relu = "out_relu",
    .pool = "global_average_pooling2d",
    .classifier = "predictions",
    .first_prefix = "expanded_conv_",
    .bn = "_BN",
    .pads_stride = true,
};

/* One width: the constant pmn_zoo_mobilenet_v2_ID. */
#define MOBILENET_V2(id, network, alpha, width)                                                                        \
  static void build_##id(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier) {                      \
    pmn_inverted_residual_build(layers, &net, alpha, preprocess, classifier);                                          \
  }                                                                                                                    \
  const pmn_architecture pmn_zoo_mobilenet_v2_##id = {                                                                 \
      .name = network,                                                                                                 \
      .description = "MobileNetV2 (alpha " #alpha "), 224x224, " #width " features",                                   \
      .licence = "Apache-2.0, Google (Keras applications)",                                                            \
      .preprocess = "tf",                                                                                              \
      .resize = "bicubic",                                                                                             \
      .size = 224,                                                                                                     \
      .features = "out_relu",                                                                                          \
      .classifier = "predictions",                                                                                     \
      .output = "predictions",                                                                                         \
      .build = build_##id,                                                                                             \
  }

MOBILENET_V2(035, "mobilenet_v2_0.35", 0.35, 1280);
MOBILENET_V2(050, "mobilenet_v2_0.5", 0.5, 1280);
MOBILENET_V2(075, "mobilenet_v2_0.75", 0.75, 1280);
MOBILENET_V2(100, "mobilenet_v2", 1.0, 1280);
MOBILENET_V2(130, "mobilenet_v2_1.3", 1.3, 1664);
MOBILENET_V2(140, "mobilenet_v2_1.4", 1.4, 1792);
