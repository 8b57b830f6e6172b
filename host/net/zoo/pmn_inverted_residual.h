/* pmn_inverted_residual.h - the family of networks that MobileNetV2 began and EfficientNet-Lite belongs to.
 *
 * A strided 3x3 convolution, stages of inverted residual blocks, a pointwise convolution, the mean over the picture.
 * A block (Sandler et al. 2018, section 3.3): a pointwise convolution expands the channels, a depthwise one looks
 * around, a linear pointwise one projects back; where shapes allow, the input is added. ReLU6 and BatchNorm throughout.
 */
#ifndef PMN_INVERTED_RESIDUAL_H
#define PMN_INVERTED_RESIDUAL_H

#include "pmn_layers.h"

/* `repeats` blocks of the same width; the first has the stride. */
typedef struct pmn_block_stage {
  int32_t expansion; /* factor; 1: no expanding convolution */
  int32_t kernel, stride, filters, repeats;
} pmn_block_stage;

/* What tells the members of the family apart: their stages, and how their authors named the layers. */
typedef struct pmn_inverted_residual_net {
  const pmn_block_stage *stages;
  int32_t stage_count;
  int32_t stem_filters, head_filters, classes;
  double epsilon; /* of every BatchNorm */
  const char *stem, *stem_bn, *stem_relu, *head, *head_bn, *head_relu, *pool, *classifier;
  /* The layers of block I are "block_I_expand", "block_I_depthwise", "block_I_project", each with a BatchNorm and all
   * but the last with a ReLU, and "block_I_add"; of block 0 with this prefix. */
  const char *first_prefix;
  const char *bn;   /* what their BatchNorms' names have in addition; their ReLUs have "_relu" */
  bool pads_stride; /* the padding of strided blocks is a layer of its own, "block_I_pad" */
} pmn_inverted_residual_net;

/* All layers, as pmn_architecture's `build` wants them, at `alpha` times as many channels. */
void pmn_inverted_residual_build(pmn_layers *layers, const pmn_inverted_residual_net *net, double alpha,
    const pmn_preprocess *preprocess, bool classifier);

#endif
