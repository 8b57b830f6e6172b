/* pmn_onnx_read.h - the parts of reading an ONNX file, in their order; for pmn_onnx_file.c only.
 *
 * protobuf-c turns the bytes into a message, of which names and lists are used in place for as long as the file is
 * open; values of tensors are taken out of it one by one. External files live from the start until all values are
 * taken.
 */
#ifndef PMN_ONNX_READ_H
#define PMN_ONNX_READ_H

#include "onnx.pb-c.h"
#include "pmn_onnx_value.h"

enum { PMN_ONNX_FILE_MAX = INT32_MAX }; /* bytes of a file with all its external data; protobuf ends there, too */

/* A parsed file. Its memory is limited in proportion to the file, because two bytes of an unknown field become a
 * hundred in memory. */
typedef struct pmn_onnx_message {
  Onnx__ModelProto *model;
  ProtobufCAllocator allocator;
  size_t used, max; /* bytes ever asked for: frees do not count, so that work is limited, too */
  bool exhausted;   /* memory could not be had */
  bool refused;     /* more than `max` was asked for */
} pmn_onnx_message;
/* PMN_STATUS_MODEL, PMN_STATUS_NO_MEMORY. Call reset also after an error; the message must not move in between. */
PMN_MUST_USE pmn_status pmn_onnx_message_parse(
    pmn_onnx_message *message, const char *origin, const pmn_buf *bytes, pmn_err *err);
void pmn_onnx_message_reset(pmn_onnx_message *message);

/* Files that tensors lie in, found beside the model. */
typedef struct pmn_onnx_external {
  const char *location; /* in the message */
  pmn_buf bytes;
} pmn_onnx_external;
typedef struct pmn_onnx_externals {
  pmn_onnx_external *files; /* in order of location */
  size_t count;
} pmn_onnx_externals;
/* Reads all files that tensors of the graph name, with at most `max` bytes together. */
PMN_MUST_USE pmn_status pmn_onnx_externals_read(
    const Onnx__GraphProto *graph, const char *origin, size_t max, pmn_onnx_externals *externals, pmn_err *err);
void pmn_onnx_externals_reset(pmn_onnx_externals *externals);
/* True for a tensor whose data lies in another file. */
bool pmn_onnx_external_named(const Onnx__TensorProto *tensor);
/* The bytes of such a tensor, in `externals`. */
PMN_MUST_USE pmn_status pmn_onnx_external_find(const pmn_onnx_externals *externals, const Onnx__TensorProto *tensor,
    const char *origin, const void **bytes, size_t *size, pmn_err *err);

/* A tensor's values, all checked. `what` and `name` are for messages ("initializer", "conv1.weight"). */
PMN_MUST_USE pmn_status pmn_onnx_tensor_read(const Onnx__TensorProto *tensor, const char *origin, const char *what,
    const char *name, const pmn_onnx_externals *externals, pmn_onnx_value *value, pmn_err *err);

/* A graph with the memory that it is made of. */
typedef struct pmn_onnx_links {
  pmn_onnx_graph graph;
  pmn_onnx_value *values; /* of initializers, in the file's order */
  size_t value_count;
  pmn_onnx_id *ids;
  pmn_onnx_attribute *attributes;
  size_t attribute_count;
} pmn_onnx_links;
/* Numbers the names, checks that each is written once and before it is read, and puts nodes in order. Leaves values of
 * initializers and attributes' tensors empty. graph.origin must be set. Call reset also after an error. */
PMN_MUST_USE pmn_status pmn_onnx_links_make(const Onnx__GraphProto *proto, pmn_onnx_links *links, pmn_err *err);
void pmn_onnx_links_reset(pmn_onnx_links *links);

/* The preprocessing record of the file's metadata, with the size of the graph's input where that is fixed. `formula` is
 * where the record's own formula goes. */
enum { PMN_ONNX_FORMULA_SIZE = 256 };
PMN_MUST_USE pmn_status pmn_onnx_metadata_preprocess(const Onnx__ModelProto *model, const char *origin,
    pmn_preprocess *preprocess, char formula[PMN_ONNX_FORMULA_SIZE], bool *found, pmn_err *err);

#endif
