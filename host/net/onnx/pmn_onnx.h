/* pmn_onnx.h - networks from ONNX files that nobody has vouched for.
 *
 * Three steps, one file each: the file becomes checked structs (pmn_onnx_file), constants are computed away
 * (pmn_onnx_constant), the rest becomes layers of a pmn_graph (pmn_onnx_graph). Opsets 7 to 22, one input of pictures
 * [1 or N, 3, H, W] or [1 or N, H, W, 3].
 */
#ifndef PMN_ONNX_H
#define PMN_ONNX_H

#include "pmn_buf.h"
#include "pmn_graph.h"
#include "pmn_sha256.h"

typedef struct pmn_onnx pmn_onnx;

/* Reads and checks a file, and the external data it names (only inside its own folder, no links).
 * PMN_STATUS_NOT_FOUND, PMN_STATUS_MODEL, PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_onnx_open(const char *path, pmn_onnx **onnx, pmn_err *err);
void pmn_onnx_close(pmn_onnx *onnx);

const char *pmn_onnx_name(const pmn_onnx *onnx);   /* of the graph; "" for none */
const char *pmn_onnx_sha256(const pmn_onnx *onnx); /* of the file, then of each external file in order of name */
int32_t pmn_onnx_opset(const pmn_onnx *onnx);
/* 0 for a dimension that the file leaves open. */
void pmn_onnx_input_size(const pmn_onnx *onnx, int32_t *width, int32_t *height);
/* The preprocessing record in the file's metadata: our own key "pomona.preprocess", or ONNX's Image.* keys. *found is
 * false if there is none. *preprocess points into `onnx`. PMN_STATUS_MODEL for a record that makes no sense. */
PMN_MUST_USE pmn_status pmn_onnx_preprocess(
    const pmn_onnx *onnx, pmn_preprocess *preprocess, bool *found, pmn_err *err);

/* Adds the file's network to an empty graph. Tensors are found by their ONNX names, and by the names of the nodes that
 * write them. Every node that cannot be taken is appended to `unsupported`, one line each ("Conv3D node /features/0,
 * opset 17: 3-dimensional kernel"), and then the graph holds an error that names the first and their number. */
void pmn_onnx_build(pmn_onnx *onnx, pmn_graph *graph, const pmn_preprocess *preprocess, pmn_buf *unsupported);
/* The features of a classifier, else the file's (first) output. Back from the output, through nodes that read one
 * tensor of the network each, the first dense layer or convolution is looked at:
 * - Gemm or MatMul of a row: its input is the features.
 * - Conv of 1x1 taps on 1x1 pixels: so is its input, if nothing stands behind it but Add of a constant, Softmax,
 * Sigmoid and what moves nothing (Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity, Dropout, Cast).
 * - Anything else, and a convolution on more pixels (SqueezeNet's classifier): the output is the features. */
pmn_node pmn_onnx_features(const pmn_onnx *onnx, const pmn_graph *graph);
/* A layer's tensor as [1, 1, h * w * c] in the order that the ONNX tensor of that name has (c, h, w mostly). */
pmn_node pmn_onnx_flatten(const pmn_onnx *onnx, pmn_graph *graph, pmn_node node);

#endif
