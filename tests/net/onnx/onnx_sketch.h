/* onnx_sketch.h - ONNX files for tests, written byte by byte: what no exporter would write is as easy as the rest.
 *
 * A message is a pmn_buf that fields are appended to, in any order; sketch_message closes one into another and frees
 * it.
 */
#ifndef ONNX_SKETCH_H
#define ONNX_SKETCH_H

#include "check.h"
#include "pmn_onnx.h"

pmn_buf sketch_new(void);
void sketch_append(pmn_buf *to, const void *bytes, size_t size); /* as they are */
void sketch_varint(pmn_buf *to, uint64_t number);
void sketch_number(pmn_buf *to, int field, int64_t number);
void sketch_float(pmn_buf *to, int field, float number);
void sketch_bytes(pmn_buf *to, int field, const void *bytes, size_t size);
void sketch_text(pmn_buf *to, int field, const char *text);
void sketch_message(pmn_buf *to, int field, pmn_buf *message);

/* TensorProto without data; an external one with "location=w.bin;offset=4". */
pmn_buf sketch_tensor(const char *name, int type, const int64_t *dims, int rank);
void sketch_external(pmn_buf *tensor, const char *entries);
/* ValueInfoProto of a tensor; a dimension of -1 is written as a name. */
pmn_buf sketch_value_info(const char *name, int type, const int64_t *dims, int rank);
/* NodeProto; inputs and outputs separated by commas, "" between two for one left out. */
pmn_buf sketch_node(const char *op, const char *name, const char *inputs, const char *outputs);
/* AttributeProto of kind INT, INTS, ... with its value still to come. */
pmn_buf sketch_attribute(const char *name, int kind);

/* Fields of the messages, by ONNX's numbers. */
enum {
  MODEL_GRAPH = 7,
  MODEL_OPSET = 8,
  MODEL_METADATA = 14,
  GRAPH_NODE = 1,
  GRAPH_NAME = 2,
  GRAPH_INITIALIZER = 5,
  GRAPH_INPUT = 11,
  GRAPH_OUTPUT = 12,
  GRAPH_SPARSE = 15,
  NODE_NAME = 3,
  NODE_OP = 4,
  NODE_ATTRIBUTE = 5,
  NODE_DOMAIN = 7,
  TENSOR_SEGMENT = 3,
  TENSOR_FLOAT_DATA = 4,
  TENSOR_INT32_DATA = 5,
  TENSOR_INT64_DATA = 7,
  TENSOR_RAW = 9,
  TENSOR_DOUBLE_DATA = 10,
};
enum { FLOAT = 1, UINT8 = 2, INT8 = 3, INT32 = 6, INT64 = 7, STRING = 8, BOOL = 9, FLOAT16 = 10, DOUBLE = 11 };

/* Parts of a small sound graph: input "x" [1, 3, 4, 5]; "w" FLOAT [3, 1, 1] = 0.5, 1, 2; y = Relu(x * w). */
enum { PART_INPUT = 1, PART_WEIGHT = 2, PART_NODES = 4, PART_OUTPUT = 8, PART_ALL = 15 };
pmn_buf sketch_graph(unsigned parts);
/* ModelProto of a graph, which is freed; an opset of 0 is left out. */
pmn_buf sketch_model(pmn_buf *graph, int64_t opset);
void sketch_metadata(pmn_buf *model, const char *key, const char *value);

/* Writes folder/name; text is as good as bytes. */
void sketch_file(const char *folder, const char *name, const void *bytes, size_t size);

/* A test's folder with a file for its models; set up and torn down for every test. */
typedef struct sketch_case {
  char folder[64], path[80];
} sketch_case;
int sketch_setup(void **state);
int sketch_teardown(void **state);

/* All these write the model and free it. */
pmn_status sketch_open(const sketch_case *f, pmn_buf *model, pmn_onnx **onnx, pmn_err *err);
pmn_onnx *sketch_accept_model(const sketch_case *f, pmn_buf *model);
void sketch_refuse_model(const sketch_case *f, pmn_buf *model, const char *text); /* PMN_STATUS_MODEL, "PATH...TEXT" */
/* A graph as a model of opset 13. */
pmn_onnx *sketch_accept_graph(const sketch_case *f, pmn_buf *graph);
/* Fails unless sha256sum says of these files of the folder, one after the other, what the model says of itself. */
void sketch_check_hash(const sketch_case *f, const pmn_onnx *onnx, const char *files);
void sketch_refuse_graph(const sketch_case *f, pmn_buf *graph, const char *text);

#endif
