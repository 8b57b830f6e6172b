/* pmn_graph.h - building a network layer by layer and turning it into a program.
 *
 * The zoo and the ONNX importer describe networks plainly: one call for every layer as its framework has it, BatchNorm,
 * activation and addition apart. pmn_graph_finish then folds what can be folded (pmn_fold.c), drops what nobody needs
 * and plans memory. So every inner layer can be asked for by name, and one set of rules makes all networks fast.
 *
 * The first error sticks: builders then do nothing and return node 0; callers may look at pmn_graph_finish alone.
 * Layers take their parameters: memory of pmn_alloc or pmn_alloc_aligned, which the graph frees, also after an error.
 * A NULL parameter that must not be NULL counts as memory that could not be had.
 */
#ifndef PMN_GRAPH_H
#define PMN_GRAPH_H

#include "pmn_err.h"
#include "pmn_preprocess.h"
#include "pmn_program.h"

typedef struct pmn_graph pmn_graph;
typedef int32_t pmn_node; /* a layer, which is also the tensor it gives */

/* Padding is explicit, on four sides; pads that no window reaches (stride) are harmless. */
typedef struct pmn_window {
  int32_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int32_t pad_top, pad_left, pad_bottom, pad_right;
} pmn_window;

/* A square window without padding and dilation. */
pmn_window pmn_window_square(int32_t kernel, int32_t stride);
/* TensorFlow's "same" for a picture of h x w: out = ceil(in / stride), the odd pixel goes below and to the right. */
pmn_window pmn_window_same(int32_t kernel, int32_t stride, int32_t h, int32_t w);

/* `origin` names the model in messages; copied. NULL when memory cannot be had. */
pmn_graph *pmn_graph_create(const char *origin);
void pmn_graph_destroy(pmn_graph *graph);
/* Records the first error, "ORIGIN: MESSAGE". */
void pmn_graph_fail(pmn_graph *graph, pmn_status status, const char *format, ...) PMN_PRINTF(3, 4);
bool pmn_graph_failed(const pmn_graph *graph);
/* Takes the first error, without ORIGIN, out of the graph: building goes on as if the layer had not been asked for. An
 * importer that lists all that is wrong with a file needs this. */
void pmn_graph_take_error(pmn_graph *graph, pmn_err *err);
/* The first error, if there was one. */
PMN_MUST_USE pmn_status pmn_graph_check(const pmn_graph *graph, pmn_err *err);

/* Names are copied; NULL for a layer that nobody can ask for. A name that is taken: the older node keeps it. */

/* A picture of bytes, height and width as in `preprocess`, whose channels come in the network's order. To be called
 * first, once. */
pmn_node pmn_graph_input(pmn_graph *graph, const char *name, const pmn_preprocess *preprocess);
/* weights [kernel_h, kernel_w, c / groups, filters]; bias [filters] or NULL. groups = c = filters is a depthwise
 * convolution, its weights [kernel_h, kernel_w, 1, c]. */
pmn_node pmn_graph_conv2d(pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window, int32_t groups,
    int32_t filters, float *weights, float *bias);
/* Every value of the input, in the order h, w, c, times weights [h * w * c, units], plus bias [units] or NULL. */
pmn_node pmn_graph_dense(
    pmn_graph *graph, const char *name, pmn_node input, int32_t units, float *weights, float *bias);
/* in * scale[c] + shift[c], in fp64 until it is folded: BatchNorm, and constants of channels. */
pmn_node pmn_graph_affine(pmn_graph *graph, const char *name, pmn_node input, double *scale, double *shift);
/* clamp_min and clamp_max as in pmn_op; alpha is read by the activations that have one. */
pmn_node pmn_graph_activation(pmn_graph *graph, const char *name, pmn_node input, pmn_activation activation,
    float alpha, float clamp_min, float clamp_max);
/* Tensors of one shape. */
pmn_node pmn_graph_add(pmn_graph *graph, const char *name, pmn_node a, pmn_node b);
/* Of b's h, w and c each is a's or 1. */
pmn_node pmn_graph_multiply(pmn_graph *graph, const char *name, pmn_node a, pmn_node b);
/* out = floor((in + pads - (kernel - 1) * dilation - 1) / stride) + 1. For ONNX's ceil_mode enlarge pad_bottom and
 * pad_right, and give average pools their true ones in `counted`. */
pmn_node pmn_graph_max_pool(pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window);
/* counted: NULL to divide by the pixels within the picture; else the window whose pads enlarge the picture for that. */
pmn_node pmn_graph_average_pool(
    pmn_graph *graph, const char *name, pmn_node input, const pmn_window *window, const pmn_window *counted);
pmn_node pmn_graph_global_average_pool(pmn_graph *graph, const char *name, pmn_node input);
pmn_node pmn_graph_global_max_pool(pmn_graph *graph, const char *name, pmn_node input);
/* Zeros around the picture; negative numbers crop. */
pmn_node pmn_graph_pad(
    pmn_graph *graph, const char *name, pmn_node input, int32_t top, int32_t left, int32_t bottom, int32_t right);
/* Along channels; all of one height and width. */
pmn_node pmn_graph_concat(pmn_graph *graph, const char *name, const pmn_node *inputs, int32_t count);
/* A tensor of any shape put together by copies from one input; together they write every element once. */
pmn_node pmn_graph_copy(
    pmn_graph *graph, const char *name, pmn_node input, pmn_tensor shape, const pmn_copy *copies, int32_t count);
/* The same values as [1, 1, h * w * c] in the order h, w, c, which is Keras's. */
pmn_node pmn_graph_flatten(pmn_graph *graph, const char *name, pmn_node input);
pmn_node pmn_graph_softmax(pmn_graph *graph, const char *name, pmn_node input);
pmn_node pmn_graph_lrn(
    pmn_graph *graph, const char *name, pmn_node input, int32_t size, float alpha, float beta, float bias);
/* gain, bias [c]. */
pmn_node pmn_graph_layer_norm(
    pmn_graph *graph, const char *name, pmn_node input, float epsilon, float *gain, float *bias);
/* taps [(h + w) * 3] as PMN_OP_RESIZE's weights. */
pmn_node pmn_graph_resize(pmn_graph *graph, const char *name, pmn_node input, int32_t h, int32_t w, float *taps);

/* A second name of a node. */
void pmn_graph_alias(pmn_graph *graph, pmn_node node, const char *name);
/* -1 for no such name. */
pmn_node pmn_graph_find(const pmn_graph *graph, const char *name);
pmn_tensor pmn_graph_shape(const pmn_graph *graph, pmn_node node); /* arena_offset is not meaningful yet */

/* A layer for people: nodes from 0, in the order of building; false past the last. Texts are borrowed. */
typedef struct pmn_graph_layer {
  const char *name; /* "" for none */
  const char *kind; /* "conv2d", "batch_norm", ... */
  int32_t h, w, c;
  int64_t parameters;
  int64_t operations; /* multiply-adds for one picture */
} pmn_graph_layer;
bool pmn_graph_layer_at(const pmn_graph *graph, int32_t index, pmn_graph_layer *layer);

/* Folds, plans memory for what the outputs need, and gives the program: its output is the only one of `outputs`, in its
 * shape, or several flattened (h, w, c) and joined as [1, 1, sum]. The program lives as long as the graph, which cannot
 * be built on afterwards. Whatever is asked for, an output's values are those of its layer within rounding.
 * PMN_STATUS_MODEL: the first error of the builders, values that are not finite after folding, sizes that do not fit;
 * PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_graph_finish(
    pmn_graph *graph, const pmn_node *outputs, int32_t count, const pmn_program **program, pmn_err *err);

#endif
