/* pmn_onnx_tensor.c - values of tensors, from whichever of the six places that ONNX has for them. */
#include "pmn_onnx_read.h"

#include <string.h>

/* Bytes of one element where a tensor's data is bytes. */
static size_t raw_width(pmn_onnx_type type) {
  switch (type) {
  case PMN_ONNX_UINT8:
  case PMN_ONNX_INT8:
  case PMN_ONNX_BOOL:
    return 1;
  case PMN_ONNX_FLOAT16:
    return 2;
  case PMN_ONNX_FLOAT:
  case PMN_ONNX_INT32:
    return 4;
  case PMN_ONNX_INT64:
  case PMN_ONNX_DOUBLE:
    return 8;
  }
  return 0;
}

/* `bytes` has exactly value->count elements. Data of any alignment, little-endian as our machines are. */
static void take_raw(const unsigned char *bytes, pmn_onnx_value *value) {
  size_t count = value->count, width = raw_width(value->type);
  if (count == 0) return;
  if (value->type == PMN_ONNX_FLOAT || value->type == PMN_ONNX_DOUBLE || value->type == PMN_ONNX_INT64) {
    memcpy(pmn_onnx_value_data(value), bytes, count * width);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    uint32_t bits = 0;
    memcpy(&bits, bytes + i * width, width);
    if (value->type == PMN_ONNX_FLOAT16) {
      value->floats[i] = pmn_onnx_half((uint16_t)bits);
    } else {
      value->ints[i] = bits;
    }
  }
}

/* The list that data of a type is in if it is not bytes: its length, and whether the other lists are empty. */
static bool typed_count(const Onnx__TensorProto *tensor, pmn_onnx_type type, size_t *count) {
  size_t all = tensor->n_float_data + tensor->n_double_data + tensor->n_int64_data + tensor->n_int32_data;
  switch (type) {
  case PMN_ONNX_FLOAT:
    *count = tensor->n_float_data;
    break;
  case PMN_ONNX_DOUBLE:
    *count = tensor->n_double_data;
    break;
  case PMN_ONNX_INT64:
    *count = tensor->n_int64_data;
    break;
  default:
    *count = tensor->n_int32_data;
    break;
  }
  return *count == all;
}

static void take_typed(const Onnx__TensorProto *tensor, pmn_onnx_value *value) {
  size_t count = value->count;
  if (count == 0) return;
  if (value->type == PMN_ONNX_FLOAT) {
    memcpy(value->floats, tensor->float_data, count * sizeof *value->floats);
  } else if (value->type == PMN_ONNX_DOUBLE) {
    memcpy(value->doubles, tensor->double_data, count * sizeof *value->doubles);
  } else if (value->type == PMN_ONNX_INT64) {
    memcpy(value->ints, tensor->int64_data, count * sizeof *value->ints);
  } else if (value->type == PMN_ONNX_FLOAT16) {
    for (size_t i = 0; i < count; i++) value->floats[i] = pmn_onnx_half((uint16_t)tensor->int32_data[i]);
  } else {
    for (size_t i = 0; i < count; i++) value->ints[i] = tensor->int32_data[i];
  }
}

pmn_status pmn_onnx_tensor_read(const Onnx__TensorProto *tensor, const char *origin, const char *what, const char *name,
    const pmn_onnx_externals *externals, pmn_onnx_value *value, pmn_err *err) {
  pmn_status st = PMN_STATUS_OK;
  size_t count, typed, size = tensor->raw_data.len;
  const void *bytes = tensor->raw_data.data;
  bool raw = size > 0 || pmn_onnx_external_named(tensor);
  if (!pmn_onnx_type_known(tensor->data_type)) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s %s is of type %s (%d), which is not taken", origin, what, name,
        pmn_onnx_type_name(tensor->data_type), tensor->data_type);
  }
  pmn_onnx_type type = (pmn_onnx_type)tensor->data_type;
  int32_t rank = tensor->n_dims > INT32_MAX ? INT32_MAX : (int32_t)tensor->n_dims;
  const char *wrong = pmn_onnx_dims_wrong(tensor->dims, rank, &count);
  if (wrong != NULL) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s %s has %s", origin, what, name, wrong);
  if (tensor->has_segment) PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s %s is cut into segments", origin, what, name);
  if (!typed_count(tensor, type, &typed) || (raw && typed > 0) || (size > 0 && pmn_onnx_external_named(tensor))) {
    PMN_FAIL(
        err, PMN_STATUS_MODEL, "%s: %s %s has data in several forms or in that of another type", origin, what, name);
  }
  if (pmn_onnx_external_named(tensor)) {
    PMN_TRY(pmn_onnx_external_find(externals, tensor, origin, &bytes, &size, err));
  }
  size_t found = raw ? size : typed, needed = raw ? count * raw_width(type) : count;
  if (found != needed) {
    PMN_FAIL(err, PMN_STATUS_MODEL, "%s: %s %s has %zu %s of data where its shape needs %zu", origin, what, name, found,
        raw ? "bytes" : "elements", needed);
  }
  PMN_TRY(pmn_onnx_value_create(type, tensor->dims, rank, value, err));
  if (raw) {
    take_raw(bytes, value);
  } else {
    take_typed(tensor, value);
  }
  pmn_onnx_value_settle(value);
done:
  return st;
}
