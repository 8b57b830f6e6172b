/* pmn_efficientnet_lite0.c - EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-and-excitation and
 * ReLU6 for swish). Padding is TensorFlow's "same", BatchNorm epsilon 1e-3. The default network: its weights are
 * embedded. */
#include "pmn_inverted_residual.h"
#include "pmn_zoo.h"

extern const unsigned char pmn_weights_efficientnet_lite0[], pmn_weights_efficientnet_lite0_end[];

/* expansion, kernel, stride, filters, repeats */
static const pmn_block_stage stages[] = {
    {1, 3, 1, 16, 1},
    {6, 3, 2, 24, 2},
    {6, 5, 2, 40, 2},
    {6, 3, 2, 80, 3},
    {6, 5, 1, 112, 3},
    {6, 5, 2, 192, 4},
    {6, 3, 1, 320, 1},
};

static const pmn_inverted_residual_net net = {
    .stages = stages,
    .stage_count = sizeof stages / sizeof *stages,
    .stem_filters = 32,
    .head_filters = 1280,
    .classes = 1000,
    .epsilon = 1e-3,
    .stem = "stem_conv",
    .stem_bn = "stem_bn",
    .stem_relu = "stem_relu",
    .head = "head_conv",
    .head_bn = "head_bn",
    .head_relu = "head_relu",
    .pool = "global_average_pool",
    .classifier = "predictions",
    .first_prefix = "block_0_",
    .bn = "_bn",
};

static void build(pmn_layers *layers, const pmn_preprocess *preprocess, bool classifier) {
  pmn_inverted_residual_build(layers, &net, 1.0, preprocess, classifier);
}

const pmn_architecture pmn_zoo_efficientnet_lite0 = {
    .name = "efficientnet_lite0",
    .description = "EfficientNet-Lite0, 224x224, 1280 features",
    .licence = "Apache-2.0, Google (by way of timm)",
    .preprocess = "lite",
    .resize = "bicubic",
    .size = 224,
    .features = "head_relu",
    .classifier = "predictions",
    .output = "predictions",
    .embedded = pmn_weights_efficientnet_lite0,
    .embedded_end = pmn_weights_efficientnet_lite0_end,
    .build = build,
};
