/* pmn_inverted_residual.c - see pmn_inverted_residual.h. */
#include "pmn_inverted_residual.h"

#include <stdio.h>

static const float relu6 = 6.0f;

/* Names of one block's layers; `conv` points to them. */
typedef struct block_names {
  char layer[64], batch_norm[64];
} block_names;

static void name_layer(const pmn_inverted_residual_net *net, int32_t index, const char *part, block_names *names) {
  if (index == 0) {
    snprintf(names->layer, sizeof names->layer, "%s%s", net->first_prefix, part);
  } else {
    snprintf(names->layer, sizeof names->layer, "block_%d_%s", index, part);
  }
  snprintf(names->batch_norm, sizeof names->batch_norm, "%s%s", names->layer, net->bn);
}

static pmn_node build_block(pmn_graph *graph, const pmn_inverted_residual_net *net, const pmn_block_stage *stage,
    int32_t index, int32_t stride, pmn_node input) {
  block_names names;
  int32_t channels = pmn_graph_shape(graph, input).c;
  pmn_node x = input;
  pmn_conv conv = {.name = names.layer,
      .batch_norm = names.batch_norm,
      .epsilon = net->epsilon,
      .kernel = 1,
      .stride = 1,
      .clamp_max = relu6,
      .residual = PMN_NO_TENSOR};
  if (stage->expansion > 1) {
    name_layer(net, index, "expand", &names);
    conv.filters = channels * stage->expansion;
    x = pmn_graph_conv2d(graph, x, &conv);
  }
  name_layer(net, index, "depthwise", &names);
  conv.kernel = stage->kernel;
  conv.stride = stride;
  x = pmn_graph_depthwise_conv2d(graph, x, &conv);

  name_layer(net, index, "project", &names);
  conv.kernel = conv.stride = 1;
  conv.filters = stage->filters;
  conv.clamp_max = 0.0f;
  if (stride == 1 && channels == stage->filters) conv.residual = input;
  return pmn_graph_conv2d(graph, x, &conv);
}

void pmn_inverted_residual_build(pmn_graph *graph, const pmn_inverted_residual_net *net,
    const pmn_preprocess *preprocess, bool classifier, pmn_node *features, pmn_node *logits) {
  pmn_node x = pmn_graph_input(graph, preprocess->height, preprocess->width, preprocess->scale, preprocess->shift);
  pmn_conv conv = {.name = net->stem,
      .batch_norm = net->stem_bn,
      .epsilon = net->epsilon,
      .filters = net->stem_filters,
      .kernel = 3,
      .stride = 2,
      .clamp_max = relu6,
      .residual = PMN_NO_TENSOR};
  x = pmn_graph_conv2d(graph, x, &conv);
  int32_t index = 0;
  for (int32_t s = 0; s < net->stage_count; s++) {
    const pmn_block_stage *stage = &net->stages[s];
    for (int32_t repeat = 0; repeat < stage->repeats; repeat++) {
      x = build_block(graph, net, stage, index++, repeat == 0 ? stage->stride : 1, x);
    }
  }
  conv.name = net->head;
  conv.batch_norm = net->head_bn;
  conv.filters = net->head_filters;
  conv.kernel = conv.stride = 1;
  x = pmn_graph_conv2d(graph, x, &conv);
  *features = pmn_graph_global_average_pool(graph, x, net->pool);
  if (classifier) *logits = pmn_graph_dense(graph, *features, net->classifier, net->classes);
}
