/* pmn_inverted_residual.h - the block that MobileNetV2 and EfficientNet-Lite are made of.
 *
 * Sandler et al. 2018, section 3.3: a pointwise convolution expands the channels, a depthwise one looks around, a
 * linear pointwise one projects back; where shapes allow, the input is added.
 */
#ifndef PMN_INVERTED_RESIDUAL_H
#define PMN_INVERTED_RESIDUAL_H

#include "pmn_graph.h"

typedef struct pmn_inverted_residual {
  int32_t expansion; /* factor; 1: no expanding convolution */
  int32_t kernel, stride, filters;
  /* Layer names are PREFIX "expand", "depthwise", "project", each followed by `bn` for its BatchNorm. */
  const char *prefix, *bn;
  double epsilon;
} pmn_inverted_residual;

pmn_node pmn_inverted_residual_build(pmn_graph *graph, pmn_node input, const pmn_inverted_residual *block);

#endif
