/* pmn_inverted_residual.c - see pmn_inverted_residual.h. */
#include "pmn_inverted_residual.h"

#include <stdio.h>

static const float relu6 = 6.0f;

/* As the authors of MobileNets round a number of channels: to the nearest multiple of 8, at least 8, at least 0.9 of
 * it. */
static int32_t scale_channels(int32_t channels, double alpha) {
  double wanted = channels * alpha;
  int32_t rounded = (int32_t)(wanted + 4) / 8 * 8;
  if (rounded < 8) rounded = 8;
  return rounded < 0.9 * wanted ? rounded + 8 : rounded;
}

typedef struct layer_name {
  char text[64];
} layer_name;

/* The name of a block's layer. */
static layer_name name_layer(
    const pmn_inverted_residual_net *net, int32_t index, const char *part, const char *suffix) {
  layer_name name;
  if (index == 0) {
    snprintf(name.text, sizeof name.text, "%s%s%s", net->first_prefix, part, suffix);
  } else {
    snprintf(name.text, sizeof name.text, "block_%d_%s%s", index, part, suffix);
  }
  return name;
}

/* BatchNorm and, but for the projection, ReLU6 after the block's convolution `part`. */
static pmn_node finish_part(pmn_layers *layers, const pmn_inverted_residual_net *net, int32_t index, const char *part,
    bool relu, pmn_node input) {
  layer_name bn = name_layer(net, index, part, net->bn), activation = name_layer(net, index, part, "_relu");
  pmn_node x = pmn_layers_batch_norm(layers, bn.text, input, net->epsilon);
  return relu ? pmn_layers_relu(layers, activation.text, x, relu6) : x;
}

static pmn_node build_block(pmn_layers *layers, const pmn_inverted_residual_net *net, const pmn_block_stage *stage,
    int32_t index, int32_t stride, int32_t filters, pmn_node input) {
  int32_t channels = pmn_graph_shape(layers->graph, input).c;
  layer_name expand = name_layer(net, index, "expand", ""), pad = name_layer(net, index, "pad", ""),
             depthwise = name_layer(net, index, "depthwise", ""), project = name_layer(net, index, "project", ""),
             add = name_layer(net, index, "add", "");
  pmn_node x = input;
  if (stage->expansion > 1) {
    x = pmn_layers_conv2d(layers, expand.text, x, channels * stage->expansion, 1, 1, false);
    x = finish_part(layers, net, index, "expand", true, x);
  }
  if (net->pads_stride && stride > 1) {
    pmn_window window = pmn_window_square(stage->kernel, stride);
    x = pmn_layers_pad(layers, pad.text, x, stage->kernel, stride);
    x = pmn_layers_depthwise_conv2d_window(layers, depthwise.text, x, &window);
  } else {
    x = pmn_layers_depthwise_conv2d(layers, depthwise.text, x, stage->kernel, stride);
  }
  x = finish_part(layers, net, index, "depthwise", true, x);
  x = pmn_layers_conv2d(layers, project.text, x, filters, 1, 1, false);
  x = finish_part(layers, net, index, "project", false, x);
  return stride == 1 && channels == filters ? pmn_graph_add(layers->graph, add.text, input, x) : x;
}

void pmn_inverted_residual_build(pmn_layers *layers, const pmn_inverted_residual_net *net, double alpha,
    const pmn_preprocess *preprocess, bool classifier) {
  pmn_node x = pmn_layers_input(layers, preprocess);
  x = pmn_layers_conv2d(layers, net->stem, x, scale_channels(net->stem_filters, alpha), 3, 2, false);
  x = pmn_layers_batch_norm(layers, net->stem_bn, x, net->epsilon);
  x = pmn_layers_relu(layers, net->stem_relu, x, relu6);
  int32_t index = 0;
  for (int32_t s = 0; s < net->stage_count; s++) {
    const pmn_block_stage *stage = &net->stages[s];
    int32_t filters = scale_channels(stage->filters, alpha);
    for (int32_t repeat = 0; repeat < stage->repeats; repeat++) {
      x = build_block(layers, net, stage, index++, repeat == 0 ? stage->stride : 1, filters, x);
    }
  }
  /* Narrow networks keep the full head. */
  x = pmn_layers_conv2d(layers, net->head, x, scale_channels(net->head_filters, alpha > 1 ? alpha : 1), 1, 1, false);
  x = pmn_layers_batch_norm(layers, net->head_bn, x, net->epsilon);
  x = pmn_layers_relu(layers, net->head_relu, x, relu6);
  x = pmn_graph_global_average_pool(layers->graph, net->pool, x);
  if (classifier) pmn_layers_dense_softmax(layers, net->classifier, x, net->classes);
}
