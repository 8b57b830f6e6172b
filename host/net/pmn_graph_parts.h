/* pmn_graph_parts.h - what a graph is made of, for pmn_graph*.c and pmn_fold.c only.
 *
 * A layer is kept as the operation that it would be alone, so that folding two of them is a change to one pmn_op. What
 * has no kind of its own is a depthwise convolution of 1x1 pixel without weights: affine, activation, addition,
 * padding.
 */
#ifndef PMN_GRAPH_PARTS_H
#define PMN_GRAPH_PARTS_H

#include "pmn_graph.h"
#include "pmn_graph_names.h"

/* Layers of one graph; far above what people train (DenseNet-201 has 700), far below what would take minutes. */
enum { PMN_GRAPH_LAYERS_MAX = 100000 };

typedef struct pmn_layer {
  /* As it was built; for people. */
  const char *name; /* "" for none; the graph's */
  const char *kind;
  pmn_tensor shape;
  int64_t parameters, operations;

  /* What computes it, with nodes for tensors; op.weights, bias and copy are set at the end. Folding changes all this.
   */
  pmn_op op;
  /* All owned, NULL for none. The result before residual and activation is multiplied by scale[c], then shift[c] is
   * added; the input, before it is padded, by in_scale[c] and in_shift[c]. Both of a pair are there or none. */
  float *weights, *bias;
  double *scale, *shift, *in_scale, *in_shift;
  pmn_copy *copies;  /* [copy_count] of PMN_OP_COPY */
  pmn_node *sources; /* [copy_count] what each copy reads; NULL: all read op.input */
  int32_t copy_count;

  bool needed;       /* computed: an output depends on it, and it is not part of another operation */
  bool non_negative; /* no value is below 0; known while folding */
  int32_t readers;   /* operands, and outputs, that are this layer */
  int32_t tensor;    /* its number in the program */
} pmn_layer;

struct pmn_graph {
  pmn_err error; /* the first one; its status is OK until then */
  char *origin;
  pmn_layer *layers; /* [capacity] */
  int32_t count, capacity;
  pmn_graph_names names;
  pmn_node input; /* the layer whose values are byte * scale[c] + shift[c]; its op is not used */
  bool bgr;
  bool finished;
  pmn_tensor *tensors; /* of the program */
  pmn_op *ops;
  pmn_program program;
};

/* As pmn_graph_fail, PMN_STATUS_MODEL, "ORIGIN: layer NAME: MESSAGE". */
void pmn_graph_refuse(pmn_graph *graph, const pmn_layer *layer, const char *format, ...) PMN_PRINTF(3, 4);
void pmn_graph_fail_memory(pmn_graph *graph, size_t bytes, const char *what);

/* Frees what the layer owns. */
void pmn_layer_reset(pmn_layer *layer);
/* The layer's operands by index from 0: input, residual and factor where it has them, sources; NULL past the last. */
pmn_node *pmn_layer_operand(pmn_layer *layer, int32_t index);
/* A depthwise convolution of 1x1 pixel without weights: scales, shifts, pads, adds, applies an activation. */
bool pmn_layer_is_pointwise(const pmn_layer *layer);
/* Every window of a pool along one axis holds a line of the picture. */
bool pmn_window_meets_picture(int32_t in, int32_t out, int32_t kernel, int32_t stride, int32_t dilation, int32_t pad);

#endif
