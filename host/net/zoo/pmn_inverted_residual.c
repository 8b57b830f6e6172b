/* pmn_inverted_residual.c - see pmn_inverted_residual.h. */
#include "pmn_inverted_residual.h"

#include <stdio.h>

pmn_node pmn_inverted_residual_build(pmn_graph *graph, pmn_node input, const pmn_inverted_residual *block) {
  char name[64], batch_norm[64];
  int32_t channels = pmn_graph_shape(graph, input).c;
  pmn_node x = input;
  pmn_conv conv = {.name = name,
      .batch_norm = batch_norm,
      .epsilon = block->epsilon,
      .kernel = 1,
      .stride = 1,
      .clamp_max = 6.0f,
      .residual = PMN_NO_TENSOR};
  if (block->expansion > 1) {
    snprintf(name, sizeof name, "%sexpand", block->prefix);
    snprintf(batch_norm, sizeof batch_norm, "%s%s", name, block->bn);
    conv.filters = channels * block->expansion;
    x = pmn_graph_conv2d(graph, x, &conv);
  }
  snprintf(name, sizeof name, "%sdepthwise", block->prefix);
  snprintf(batch_norm, sizeof batch_norm, "%s%s", name, block->bn);
  conv.kernel = block->kernel;
  conv.stride = block->stride;
  x = pmn_graph_depthwise_conv2d(graph, x, &conv);

  snprintf(name, sizeof name, "%sproject", block->prefix);
  snprintf(batch_norm, sizeof batch_norm, "%s%s", name, block->bn);
  conv.kernel = conv.stride = 1;
  conv.filters = block->filters;
  conv.clamp_max = 0.0f;
  if (block->stride == 1 && channels == block->filters) conv.residual = input;
  return pmn_graph_conv2d(graph, x, &conv);
}
