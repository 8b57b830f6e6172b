/* pmn_onnx_file.h - an ONNX file as checked structs; inside the importer only.
 *
 * Everything here was looked at: dimensions are 0 or more and their product fits, a tensor's data has exactly the bytes
 * of its shape, names are never NULL, every node's inputs come from an earlier node, an initializer or the graph's
 * input (nodes are kept in a topological order), every name is written once.
 */
#ifndef PMN_ONNX_FILE_H
#define PMN_ONNX_FILE_H

#include "pmn_onnx.h"

/* PMN_ONNX_COUNT_MAX: elements of a constant. */
enum { PMN_ONNX_RANK_MAX = 8, PMN_ONNX_COUNT_MAX = 1 << 28 };

/* Data types by ONNX's numbers (TensorProto.DataType); values of all others are refused. */
typedef enum pmn_onnx_type {
  PMN_ONNX_FLOAT = 1,
  PMN_ONNX_UINT8 = 2,
  PMN_ONNX_INT8 = 3,
  PMN_ONNX_INT32 = 6,
  PMN_ONNX_INT64 = 7,
  PMN_ONNX_BOOL = 9,
  PMN_ONNX_FLOAT16 = 10,
  PMN_ONNX_DOUBLE = 11,
} pmn_onnx_type;

/* A constant. Real types are held as f32 or f64, whole ones as i64: what they are declared as is in `type`. */
typedef struct pmn_onnx_value {
  pmn_onnx_type type;
  int32_t rank;
  int64_t dims[PMN_ONNX_RANK_MAX];
  size_t count;    /* elements */
  float *floats;   /* FLOAT, FLOAT16; else NULL */
  double *doubles; /* DOUBLE; else NULL */
  int64_t *ints;   /* INT*, UINT8, BOOL; else NULL */
} pmn_onnx_value;
void pmn_onnx_value_reset(pmn_onnx_value *value); /* frees what it holds */

typedef enum pmn_onnx_attribute_kind {
  PMN_ONNX_ATTRIBUTE_FLOAT = 1,
  PMN_ONNX_ATTRIBUTE_INT = 2,
  PMN_ONNX_ATTRIBUTE_STRING = 3,
  PMN_ONNX_ATTRIBUTE_TENSOR = 4,
  PMN_ONNX_ATTRIBUTE_FLOATS = 6,
  PMN_ONNX_ATTRIBUTE_INTS = 7,
  PMN_ONNX_ATTRIBUTE_OTHER = 0, /* a kind that no operator of ours takes */
} pmn_onnx_attribute_kind;

typedef struct pmn_onnx_attribute {
  const char *name;
  pmn_onnx_attribute_kind kind;
  float number;
  int64_t integer;
  const char *text;
  pmn_onnx_value tensor;
  size_t count; /* of floats or integers */
  const float *floats;
  const int64_t *integers;
} pmn_onnx_attribute;

/* Values are numbered: every name of a tensor in the file has an id from 0 to value_count - 1. */
typedef int32_t pmn_onnx_id;
#define PMN_ONNX_NONE (-1) /* an optional input that is left out */

typedef struct pmn_onnx_node {
  const char *name;   /* "" for none */
  const char *op;     /* operator, for example "Conv" */
  const char *domain; /* "" for ONNX's own */
  pmn_onnx_id *inputs, *outputs;
  int32_t input_count, output_count;
  pmn_onnx_attribute *attributes;
  int32_t attribute_count;
} pmn_onnx_node;

typedef struct pmn_onnx_graph {
  const char *origin; /* the path, for messages */
  size_t size;        /* bytes of the file and its external data */
  int32_t opset;      /* of ONNX's own domain */
  int32_t node_count, value_count;
  pmn_onnx_node *nodes;       /* in a topological order */
  const char **names;         /* [value_count] */
  pmn_onnx_value **constants; /* [value_count]; NULL for what is computed */
  pmn_onnx_id input;          /* the one that is not a constant */
  int64_t input_dims[4];      /* -1 for open ones */
  pmn_onnx_id *outputs;
  int32_t output_count;
} pmn_onnx_graph;

/* Borrowed. The graph as the file has it. */
const pmn_onnx_graph *pmn_onnx_file_graph(const pmn_onnx *onnx);

/* What pmn_onnx_build leaves for pmn_onnx_flatten (pmn_onnx_graph.c), NULL at first; the next one to be kept and
 * pmn_onnx_close destroy it. */
typedef struct pmn_onnx_lowering pmn_onnx_lowering;
const pmn_onnx_lowering *pmn_onnx_file_lowering(const pmn_onnx *onnx);
void pmn_onnx_file_keep(pmn_onnx *onnx, pmn_onnx_lowering *lowering);
void pmn_onnx_lowering_destroy(pmn_onnx_lowering *lowering); /* accepts NULL */

/* NULL if the node has none of that name. */
const pmn_onnx_attribute *pmn_onnx_attribute_find(const pmn_onnx_node *node, const char *name);
/* The attribute's value, or `otherwise` if it is not there or of another kind. */
int64_t pmn_onnx_attribute_int(const pmn_onnx_node *node, const char *name, int64_t otherwise);
float pmn_onnx_attribute_float(const pmn_onnx_node *node, const char *name, float otherwise);
const char *pmn_onnx_attribute_text(const pmn_onnx_node *node, const char *name, const char *otherwise);

/* What a file may cost before it is a network: a byte of a constant that is computed or packed into a layer costs 1,
 * and so does an element that is read for it and a multiplication. A few bytes of a file can ask for any number of
 * these.
 */
typedef struct pmn_onnx_budget {
  size_t left, whole;
} pmn_onnx_budget;
pmn_onnx_budget pmn_onnx_budget_of(const pmn_onnx_graph *graph);
/* False, and nothing taken, if less than that is left. */
bool pmn_onnx_budget_take(pmn_onnx_budget *budget, size_t count, size_t cost_of_each);

/* What pmn_onnx_constant.c does: a node whose inputs are all constants (NULL entries for inputs left out) becomes
 * constants. *done is false, and nothing made, for an operator that it does not compute: Shape of something that is not
 * constant, say, or Conv. `dims` of Shape's input: see pmn_onnx_constant_shape. PMN_STATUS_MODEL for inputs that the
 * operator cannot have, for results above PMN_ONNX_COUNT_MAX and for more than `budget`; the message does not name the
 * node. PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_onnx_constant_compute(const pmn_onnx_graph *graph, const pmn_onnx_node *node,
    const pmn_onnx_value *const *inputs, pmn_onnx_budget *budget, pmn_onnx_value *outputs, bool *done, pmn_err *err);
/* Shape (start, end since opset 15) and Size of a tensor whose dimensions are known. */
PMN_MUST_USE pmn_status pmn_onnx_constant_shape(
    const pmn_onnx_node *node, const int64_t *dims, int32_t rank, pmn_onnx_value *output, pmn_err *err);

#endif
