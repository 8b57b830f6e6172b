/* pmn_onnx_message.c - the bytes of an ONNX file as protobuf-c's structs, in limited memory. */
#include "pmn_mem.h"
#include "pmn_onnx_read.h"

/* A model's weights are copied once. Their lists of names, nodes and small numbers grow up to tenfold, but are small
 * themselves. Each block costs the allocator some bytes besides. */
enum { MEMORY_BASE = 64 << 20, MEMORY_FACTOR = 3, BLOCK_COST = 32 };

static void *limited_alloc(void *data, size_t size) {
  pmn_onnx_message *message = data;
  size_t used;
  if (!pmn_size_add(message->used, BLOCK_COST, &used) || !pmn_size_add(used, size, &used) || used > message->max) {
    message->refused = true;
    return NULL;
  }
  message->used = used;
  void *memory = pmn_alloc(size, 1);
  if (memory == NULL) message->exhausted = true;
  return memory;
}

static void limited_free(void *data, void *memory) {
  (void)data;
  pmn_free(memory);
}

pmn_status pmn_onnx_message_parse(pmn_onnx_message *message, const char *origin, const pmn_buf *bytes, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  *message = (pmn_onnx_message){
      .allocator = {.alloc = limited_alloc, .free = limited_free, .allocator_data = message},
      .max = MEMORY_BASE + MEMORY_FACTOR * bytes->size,
  };
  message->model = onnx__model_proto__unpack(&message->allocator, bytes->size, (const uint8_t *)bytes->data);
  if (message->model == NULL && message->exhausted) {
    st = pmn_err_memory(err, bytes->size, "an ONNX model");
    goto done;
  }
  if (message->model == NULL && message->refused) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: parsed, its %zu bytes would take more than %zu bytes of memory", origin,
        bytes->size, message->max);
  }
  if (message->model == NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%s is not an ONNX file, or is cut short", origin);
  if (message->model->graph == NULL)
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s is not an ONNX model: it has no graph", origin);
done:
  return st;
}

void pmn_onnx_message_reset(pmn_onnx_message *message) {
  if (message->model != NULL) onnx__model_proto__free_unpacked(message->model, &message->allocator);
  *message = (pmn_onnx_message){0};
}
