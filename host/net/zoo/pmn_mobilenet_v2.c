/* pmn_mobilenet_v2.c - MobileNetV2 at alpha 1.0 (Sandler et al. 2018, table 2), with the layer names, padding and
 * BatchNorm epsilon of Keras's applications.mobilenet_v2, so that its tensors load by name. */
#include "pmn_inverted_residual.h"

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
    .head = "Conv_1",
    .head_bn = "Conv_1_bn",
    .pool = "global_average_pooling2d",
    .classifier = "predictions",
    .first_prefix = "expanded_conv_",
    .bn = "_BN",
};

static void build(
    pmn_graph *graph, const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits) {
  pmn_inverted_residual_build(graph, &net, preprocess, classifier, features, logits);
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
