/* pmn_onnx_view.h - ONNX tensors as ways to look at tensors of a pmn_graph, so that Transpose and Reshape move nothing.
 *
 * ONNX networks are [N, C, H, W] and turn and regroup their dimensions freely; ours are [h, w, c]. A view says where
 * each element of an ONNX tensor (of one picture) sits in a node's tensor: enumerated in ONNX's order, last dimension
 * fastest, the elements are a nest of loops over factors, each an extent and a step in floats. The picture
 * [1, 3, 224, 224] on [224, 224, 3] is (3 step 1)(50176 step 3); reshaping changes the dimensions alone, and a
 * Transpose reorders the factors. Neighbours that are one loop are merged, extents of 1 dropped: equal factors mean
 * equal order.
 *
 * A view covers its node: every float once. What slices makes a new node.
 */
#ifndef PMN_ONNX_VIEW_H
#define PMN_ONNX_VIEW_H

#include "pmn_onnx_file.h"

enum { PMN_ONNX_FACTORS_MAX = 16 };

typedef struct pmn_onnx_factor {
  int64_t extent, stride;
} pmn_onnx_factor;

/* Where the elements sit in a tensor [h, w, c]; outermost factor first. */
typedef struct pmn_onnx_layout {
  int32_t h, w, c;
  int32_t count;
  pmn_onnx_factor factors[PMN_ONNX_FACTORS_MAX];
} pmn_onnx_layout;

typedef struct pmn_onnx_view {
  pmn_node node;
  pmn_onnx_layout layout;
  int32_t rank;
  int64_t dims[PMN_ONNX_RANK_MAX];
} pmn_onnx_view;

/* A layout without factors yet, and one more factor inside the others; false when there is no room. */
pmn_onnx_layout pmn_onnx_layout_init(int32_t h, int32_t w, int32_t c);
bool pmn_onnx_layout_append(pmn_onnx_layout *layout, int64_t extent, int64_t stride);
/* Elements in the order c, h, w, and in the order of memory. */
pmn_onnx_layout pmn_onnx_layout_image(int32_t h, int32_t w, int32_t c);
pmn_onnx_layout pmn_onnx_layout_flat(int32_t h, int32_t w, int32_t c);
bool pmn_onnx_layout_equal(const pmn_onnx_layout *a, const pmn_onnx_layout *b);

/* A node as [1, c, h, w], and a node's floats in order of memory as `dims`. */
pmn_onnx_view pmn_onnx_view_image(const pmn_graph *graph, pmn_node node);
pmn_onnx_view pmn_onnx_view_flat(const pmn_graph *graph, pmn_node node, const int64_t *dims, int32_t rank);
int64_t pmn_onnx_view_size(const pmn_onnx_view *view); /* elements */

/* The factors of every dimension apart: those of dimension d are [first[d], first[d + 1]). False if a factor lies
 * across two dimensions that do not divide it; pmn_onnx_view_settle mends that. */
typedef struct pmn_onnx_cut {
  int32_t first[PMN_ONNX_RANK_MAX + 1];
  pmn_onnx_factor factors[PMN_ONNX_FACTORS_MAX + PMN_ONNX_RANK_MAX];
} pmn_onnx_cut;
bool pmn_onnx_view_cut(const pmn_onnx_view *view, pmn_onnx_cut *cut);
/* The same, after moving the elements into order if there is no other way. False: the graph failed. */
bool pmn_onnx_view_settle(pmn_onnx_view *view, pmn_graph *graph, pmn_onnx_cut *cut);

/* Moves the elements to where `target` has them, by a new node called `name` unless they are there already. False when
 * the graph failed or the order is too scattered to copy. */
bool pmn_onnx_view_arrange(pmn_onnx_view *view, pmn_graph *graph, const char *name, const pmn_onnx_layout *target);
/* Moves the elements if need be so that the dimensions of `mask` (bit d: dimension d), in their order, are the node's
 * channels and all others its pixels, in any order. */
bool pmn_onnx_view_channels(pmn_onnx_view *view, pmn_graph *graph, uint32_t mask);
/* Reorders the dimensions: new dimension d is the old perm[d]. */
bool pmn_onnx_view_transpose(pmn_onnx_view *view, pmn_graph *graph, const int32_t *perm);

/* A new node of `out` from steps start, start + step, ... of each dimension (all of one dimension: 0, its extent, 1),
 * counts[d] of them (steps may be negative), in order of memory or, for an image [1, c, h, w], as an image. */
bool pmn_onnx_view_slice(pmn_onnx_view *view, pmn_graph *graph, const char *name, const int64_t *starts,
    const int64_t *counts, const int64_t *steps);
/* The same of one dimension with any indices, again and again if need be. */
bool pmn_onnx_view_pick(
    pmn_onnx_view *view, pmn_graph *graph, const char *name, int32_t axis, const int64_t *indices, int64_t count);
/* Repeats what has 1 along a dimension until it has as many as dims says there. */
bool pmn_onnx_view_expand(pmn_onnx_view *view, pmn_graph *graph, const int64_t *dims);

#endif
