/* onnx_sketch.c - see onnx_sketch.h. */
#include "onnx_sketch.h"

#include "pmn_mem.h"

pmn_buf sketch_new(void) {
  pmn_buf buf;
  pmn_buf_init(&buf, 1 << 30);
  return buf;
}

void sketch_append(pmn_buf *to, const void *bytes, size_t size) {
  pmn_err err = PMN_ERR_INIT;
  check_ok(pmn_buf_append(to, bytes, size, &err));
}

void sketch_varint(pmn_buf *to, uint64_t number) {
  for (; number > 127; number >>= 7) sketch_append(to, (unsigned char[]){(unsigned char)(number & 127) | 128}, 1);
  sketch_append(to, (unsigned char[]){(unsigned char)number}, 1);
}

static void tag(pmn_buf *to, int field, int wire_type) {
  sketch_varint(to, (uint64_t)field << 3 | (uint64_t)wire_type);
}

void sketch_number(pmn_buf *to, int field, int64_t number) {
  tag(to, field, 0);
  sketch_varint(to, (uint64_t)number);
}

void sketch_float(pmn_buf *to, int field, float number) {
  tag(to, field, 5);
  sketch_append(to, &number, sizeof number);
}

void sketch_bytes(pmn_buf *to, int field, const void *bytes, size_t size) {
  tag(to, field, 2);
  sketch_varint(to, size);
  sketch_append(to, bytes, size);
}

void sketch_text(pmn_buf *to, int field, const char *text) {
  sketch_bytes(to, field, text, strlen(text));
}

void sketch_message(pmn_buf *to, int field, pmn_buf *message) {
  sketch_bytes(to, field, message->data, message->size);
  pmn_buf_reset(message);
}

pmn_buf sketch_tensor(const char *name, int type, const int64_t *dims, int rank) {
  pmn_buf tensor = sketch_new();
  for (int i = 0; i < rank; i++) sketch_number(&tensor, 1, dims[i]);
  sketch_number(&tensor, 2, type);
  if (name != NULL) sketch_text(&tensor, 8, name);
  return tensor;
}

void sketch_external(pmn_buf *tensor, const char *entries) {
  char copy[512], *left = NULL;
  snprintf(copy, sizeof copy, "%s", entries);
  for (char *entry = strtok_r(copy, ";", &left); entry != NULL; entry = strtok_r(NULL, ";", &left)) {
    pmn_buf message = sketch_new();
    char *equals = strchr(entry, '=');
    *equals = '\0';
    sketch_text(&message, 1, entry);
    sketch_text(&message, 2, equals + 1);
    sketch_message(tensor, 13, &message);
  }
  sketch_number(tensor, 14, 1);
}

pmn_buf sketch_value_info(const char *name, int type, const int64_t *dims, int rank) {
  pmn_buf info = sketch_new(), kind = sketch_new(), tensor = sketch_new(), shape = sketch_new();
  for (int i = 0; i < rank; i++) {
    pmn_buf dim = sketch_new();
    if (dims[i] == -1) sketch_text(&dim, 2, "open");
    if (dims[i] != -1) sketch_number(&dim, 1, dims[i]);
    sketch_message(&shape, 1, &dim);
  }
  sketch_number(&tensor, 1, type);
  sketch_message(&tensor, 2, &shape);
  sketch_message(&kind, 1, &tensor);
  if (name != NULL) sketch_text(&info, 1, name);
  sketch_message(&info, 2, &kind);
  return info;
}

static void names(pmn_buf *to, int field, const char *list) {
  for (const char *p = list; *list != '\0' && p != NULL;) {
    const char *comma = strchr(p, ',');
    sketch_bytes(to, field, p, comma == NULL ? strlen(p) : (size_t)(comma - p));
    p = comma == NULL ? NULL : comma + 1;
  }
}

pmn_buf sketch_node(const char *op, const char *name, const char *inputs, const char *outputs) {
  pmn_buf node = sketch_new();
  names(&node, 1, inputs);
  names(&node, 2, outputs);
  sketch_text(&node, NODE_NAME, name);
  sketch_text(&node, NODE_OP, op);
  return node;
}

pmn_buf sketch_attribute(const char *name, int kind) {
  pmn_buf attribute = sketch_new();
  sketch_text(&attribute, 1, name);
  sketch_number(&attribute, 20, kind);
  return attribute;
}

pmn_buf sketch_graph(unsigned parts) {
  static const float weights[] = {0.5f, 1, 2};
  static const int64_t picture[] = {1, 3, 4, 5}, weight[] = {3, 1, 1};
  pmn_buf graph = sketch_new();
  sketch_text(&graph, GRAPH_NAME, "sketch");
  if (parts & PART_INPUT) {
    pmn_buf input = sketch_value_info("x", FLOAT, picture, 4);
    sketch_message(&graph, GRAPH_INPUT, &input);
  }
  if (parts & PART_WEIGHT) {
    pmn_buf tensor = sketch_tensor("w", FLOAT, weight, 3);
    sketch_bytes(&tensor, TENSOR_RAW, weights, sizeof weights);
    sketch_message(&graph, GRAPH_INITIALIZER, &tensor);
  }
  if (parts & PART_NODES) {
    pmn_buf mul = sketch_node("Mul", "scale", "x,w", "m"), relu = sketch_node("Relu", "", "m", "y");
    sketch_message(&graph, GRAPH_NODE, &mul);
    sketch_message(&graph, GRAPH_NODE, &relu);
  }
  if (parts & PART_OUTPUT) {
    pmn_buf output = sketch_value_info("y", FLOAT, picture, 4);
    sketch_message(&graph, GRAPH_OUTPUT, &output);
  }
  return graph;
}

pmn_buf sketch_model(pmn_buf *graph, int64_t opset) {
  pmn_buf model = sketch_new();
  sketch_number(&model, 1, 8);
  sketch_message(&model, MODEL_GRAPH, graph);
  if (opset != 0) {
    pmn_buf import = sketch_new();
    sketch_text(&import, 1, "");
    sketch_number(&import, 2, opset);
    sketch_message(&model, MODEL_OPSET, &import);
  }
  return model;
}

void sketch_metadata(pmn_buf *model, const char *key, const char *value) {
  pmn_buf entry = sketch_new();
  sketch_text(&entry, 1, key);
  sketch_text(&entry, 2, value);
  sketch_message(model, MODEL_METADATA, &entry);
}

void sketch_file(const char *folder, const char *name, const void *bytes, size_t size) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "wb");
  if (file == NULL || (size > 0 && fwrite(bytes, 1, size, file) != size) || fclose(file) != 0)
    fail_msg("cannot write %s", path);
}

int sketch_setup(void **state) {
  static sketch_case f;
  check_folder(f.folder);
  snprintf(f.path, sizeof f.path, "%s/m.onnx", f.folder);
  *state = &f;
  return 0;
}

int sketch_teardown(void **state) {
  check_folder_remove(((sketch_case *)*state)->folder);
  return 0;
}

/* Writes the model, which is freed, and opens it. */
pmn_status sketch_open(const sketch_case *f, pmn_buf *model, pmn_onnx **onnx, pmn_err *err) {
  *err = (pmn_err)PMN_ERR_INIT;
  sketch_file(f->folder, "m.onnx", model->data, model->size);
  pmn_buf_reset(model);
  return pmn_onnx_open(f->path, onnx, err);
}

pmn_onnx *sketch_accept_model(const sketch_case *f, pmn_buf *model) {
  pmn_err err;
  pmn_onnx *onnx = NULL;
  check_ok(sketch_open(f, model, &onnx, &err));
  assert_non_null(onnx);
  return onnx;
}

pmn_onnx *sketch_accept_graph(const sketch_case *f, pmn_buf *graph) {
  pmn_buf model = sketch_model(graph, 13);
  return sketch_accept_model(f, &model);
}

void sketch_refuse_model(const sketch_case *f, pmn_buf *model, const char *text) {
  pmn_err err;
  pmn_onnx *onnx = NULL;
  check_fails(sketch_open(f, model, &onnx, &err), PMN_STATUS_MODEL, text);
  assert_null(onnx);
  if (strncmp(err.message, f->path, strlen(f->path)) != 0) fail_msg("\"%s\" does not begin with the path", err.message);
}

void sketch_refuse_graph(const sketch_case *f, pmn_buf *graph, const char *text) {
  pmn_buf model = sketch_model(graph, 13);
  sketch_refuse_model(f, &model, text);
}

void sketch_check_hash(const sketch_case *f, const pmn_onnx *onnx, const char *files) {
  char command[256], hex[65] = "";
  snprintf(command, sizeof command, "cd %s && cat %s | sha256sum", f->folder, files);
  FILE *pipe = popen(command, "r");
  assert_non_null(pipe);
  assert_int_equal(fread(hex, 1, 64, pipe), 64);
  pclose(pipe);
  assert_string_equal(pmn_onnx_sha256(onnx), hex);
}
