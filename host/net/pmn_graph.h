/* pmn_graph.h - building a network layer by layer and turning it into a program.
 *
 * A zoo file describes its network once, top to bottom. The graph infers shapes and padding as it goes, reads each
 * layer's weights, folds BatchNorm into them in fp64, and at the end plans memory. The first error sticks: builders may
 * ignore return values and look at pmn_graph_finish.
 *
 * Tensor names are Keras's: LAYER/kernel [kh, kw, cin, cout], LAYER/depthwise_kernel [kh, kw, c, 1], LAYER/bias;
 * BN/gamma, BN/beta, BN/moving_mean, BN/moving_variance [c].
 */
#ifndef PMN_GRAPH_H
#define PMN_GRAPH_H

#include "pmn_program.h"
#include "pmn_safetensors.h"

typedef struct pmn_graph pmn_graph;
typedef int32_t pmn_node; /* a tensor of the graph */

/* Padding is TensorFlow's "same": out = ceil(in / stride), the odd pixel of padding goes below and to the right. */
typedef struct pmn_conv {
  const char *name;
  const char *batch_norm; /* layer name of the BatchNorm that follows; NULL: none, the layer has a bias */
  double epsilon;         /* of the BatchNorm */
  int32_t filters;        /* output channels; ignored by depthwise */
  int32_t kernel, stride;
  float clamp_min, clamp_max; /* both 0: no activation */
  pmn_node residual;          /* added to the result; PMN_NO_TENSOR: none */
} pmn_conv;

/* The weights are borrowed until destroy. NULL when memory cannot be had. */
pmn_graph *pmn_graph_create(const pmn_safetensors *weights);
void pmn_graph_destroy(pmn_graph *graph);

/* A picture of bytes, normalised as value * scale[c] + shift[c]. To be called first. */
pmn_node pmn_graph_input(pmn_graph *graph, int32_t height, int32_t width, const float scale[3], const float shift[3]);
pmn_node pmn_graph_conv2d(pmn_graph *graph, pmn_node input, const pmn_conv *conv);
pmn_node pmn_graph_depthwise_conv2d(pmn_graph *graph, pmn_node input, const pmn_conv *conv);
pmn_node pmn_graph_global_average_pool(pmn_graph *graph, pmn_node input, const char *name);
/* LAYER/kernel [cin, cout] and LAYER/bias on a tensor of 1x1 pixels. */
pmn_node pmn_graph_dense(pmn_graph *graph, pmn_node input, const char *name, int32_t units);
pmn_tensor pmn_graph_shape(const pmn_graph *graph, pmn_node node); /* arena_offset is not meaningful yet */

/* Plans memory for the operations that `output` needs. The program lives as long as the graph.
 * PMN_STATUS_MODEL: a tensor is missing, has another shape or type, or holds NaN or infinity; PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_graph_finish(pmn_graph *graph, pmn_node output, const pmn_program **program, pmn_err *err);

#endif
