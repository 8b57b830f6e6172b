/* pmn_efficientnet_lite0.c - EfficientNet-Lite0 (Tan and Le 2019; the Lite variant has no squeeze-and-excitation and
 * ReLU6 for swish). Padding is TensorFlow's "same", BatchNorm epsilon 1e-3. The default network: its weights are
 * embedded. */
#include "pmn_inverted_residual.h"

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
    .head = "head_conv",
    .head_bn = "head_bn",
    .pool = "global_average_pool",
    .classifier = "predictions",
    .first_prefix = "block_0_",
    .bn = "_bn",
};

static void build(
    pmn_graph *graph, const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits) {
  pmn_inverted_residual_build(graph, &net, preprocess, classifier, features, logits);
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
