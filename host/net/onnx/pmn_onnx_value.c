/* pmn_onnx_value.c - see pmn_onnx_value.h. */
#include "pmn_onnx_value.h"

#include "pmn_mem.h"

#include <math.h>
#include <string.h>

const char *pmn_onnx_type_name(int32_t type) {
  static const char *const names[] = {"UNDEFINED", "FLOAT", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64",
      "STRING", "BOOL", "FLOAT16", "DOUBLE", "UINT32", "UINT64", "COMPLEX64", "COMPLEX128", "BFLOAT16", "FLOAT8E4M3FN",
      "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "UINT4", "INT4", "FLOAT4E2M1"};
  return type >= 0 && (size_t)type < sizeof names / sizeof *names ? names[type] : "unknown";
}

bool pmn_onnx_type_known(int32_t type) {
  switch (type) {
  case PMN_ONNX_FLOAT:
  case PMN_ONNX_UINT8:
  case PMN_ONNX_INT8:
  case PMN_ONNX_INT32:
  case PMN_ONNX_INT64:
  case PMN_ONNX_BOOL:
  case PMN_ONNX_FLOAT16:
  case PMN_ONNX_DOUBLE:
    return true;
  default:
    return false;
  }
}

size_t pmn_onnx_type_width(pmn_onnx_type type) {
  return type == PMN_ONNX_FLOAT || type == PMN_ONNX_FLOAT16 ? sizeof(float) : sizeof(int64_t);
}

const char *pmn_onnx_dims_wrong(const int64_t *dims, int32_t rank, size_t *count) {
  static const char too_many[] = "more than 2^28 elements";
  _Static_assert(PMN_ONNX_COUNT_MAX == 1 << 28 && PMN_ONNX_RANK_MAX == 8, "what the messages say");
  int64_t product = 1;
  bool empty = false;
  if (rank < 0 || rank > PMN_ONNX_RANK_MAX) return "more than 8 dimensions";
  for (int32_t i = 0; i < rank; i++) {
    if (dims[i] < 0) return "a negative dimension";
    if (dims[i] > PMN_ONNX_COUNT_MAX) return too_many;
    empty = empty || dims[i] == 0;
    product *= dims[i] == 0 ? 1 : dims[i];
    if (product > PMN_ONNX_COUNT_MAX) return too_many;
  }
  *count = empty ? 0 : (size_t)product;
  return NULL;
}

pmn_status pmn_onnx_value_create(
    pmn_onnx_type type, const int64_t *dims, int32_t rank, pmn_onnx_value *value, pmn_err *err) {
  *value = (pmn_onnx_value){.type = type, .rank = rank};
  const char *wrong = pmn_onnx_dims_wrong(dims, rank, &value->count);
  if (wrong != NULL) return pmn_err_set(err, PMN_STATUS_MODEL, 0, "a constant of %s", wrong);
  if (rank > 0) memcpy(value->dims, dims, (size_t)rank * sizeof *dims);
  if (type == PMN_ONNX_FLOAT || type == PMN_ONNX_FLOAT16) {
    value->floats = pmn_alloc(value->count, sizeof *value->floats);
  } else if (type == PMN_ONNX_DOUBLE) {
    value->doubles = pmn_alloc(value->count, sizeof *value->doubles);
  } else {
    value->ints = pmn_alloc(value->count, sizeof *value->ints);
  }
  if (pmn_onnx_value_data(value) != NULL) return PMN_STATUS_OK;
  return pmn_err_memory(err, value->count * sizeof *value->ints, "a constant");
}

void pmn_onnx_value_reset(pmn_onnx_value *value) {
  pmn_free(value->floats);
  pmn_free(value->doubles);
  pmn_free(value->ints);
  *value = (pmn_onnx_value){0};
}

void *pmn_onnx_value_data(const pmn_onnx_value *value) {
  if (value->floats != NULL) return value->floats;
  return value->doubles != NULL ? (void *)value->doubles : value->ints;
}

size_t pmn_onnx_value_width(const pmn_onnx_value *value) {
  return value->floats != NULL ? sizeof *value->floats : sizeof *value->ints;
}

double pmn_onnx_value_real(const pmn_onnx_value *value, size_t index) {
  if (value->floats != NULL) return (double)value->floats[index];
  return value->doubles != NULL ? value->doubles[index] : (double)value->ints[index];
}

/* C leaves open what a real number out of range is as a whole one; here it is the nearest, and NaN is 0. */
static int64_t whole(double number) {
  if (isnan(number)) return 0;
  if (number >= 0x1p63) return INT64_MAX;
  return number < -0x1p63 ? INT64_MIN : (int64_t)number;
}

void pmn_onnx_value_set_real(pmn_onnx_value *value, size_t index, double number) {
  if (value->floats != NULL) {
    value->floats[index] = (float)number;
  } else if (value->doubles != NULL) {
    value->doubles[index] = number;
  } else {
    value->ints[index] = value->type == PMN_ONNX_BOOL ? number != 0.0 : whole(number);
  }
}

float pmn_onnx_half(uint16_t bits) {
  int exponent = bits >> 10 & 31, fraction = bits & 1023;
  float magnitude = exponent == 0 ? ldexpf((float)fraction, -24) : ldexpf((float)(fraction + 1024), exponent - 25);
  if (exponent == 31) magnitude = fraction == 0 ? INFINITY : NAN;
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

/* To the nearest binary16, ties to even: 11 digits, the last of them worth 2^-24 or more; 65520 is nearer to 2^16,
 * which there is no binary16 of, than to the largest, 65504. */
static float round_half(float number) {
  int exponent;
  if (!isfinite(number) || number == 0) return number;
  frexpf(number, &exponent);
  int last = exponent - 11 > -24 ? exponent - 11 : -24;
  float rounded = ldexpf(rintf(ldexpf(number, -last)), last);
  return fabsf(rounded) > 65504.0f ? copysignf(INFINITY, number) : rounded;
}

void pmn_onnx_value_settle(pmn_onnx_value *value) {
  if (value->type == PMN_ONNX_FLOAT16) {
    for (size_t i = 0; i < value->count; i++) value->floats[i] = round_half(value->floats[i]);
  } else if (value->type == PMN_ONNX_INT32) {
    for (size_t i = 0; i < value->count; i++) value->ints[i] = (int32_t)(uint32_t)value->ints[i];
  } else if (value->type == PMN_ONNX_INT8) {
    for (size_t i = 0; i < value->count; i++) value->ints[i] = (int8_t)(uint8_t)value->ints[i];
  } else if (value->type == PMN_ONNX_UINT8) {
    for (size_t i = 0; i < value->count; i++) value->ints[i] = (uint8_t)value->ints[i];
  } else if (value->type == PMN_ONNX_BOOL) {
    for (size_t i = 0; i < value->count; i++) value->ints[i] = value->ints[i] != 0;
  }
}

void pmn_onnx_walk_next(pmn_onnx_walk *walk) {
  for (int32_t d = walk->rank - 1; d >= 0; d--) {
    for (int32_t t = 0; t < PMN_ONNX_WALK_TENSORS; t++) walk->offsets[t] += walk->strides[t][d];
    if (++walk->at[d] < walk->dims[d]) return;
    for (int32_t t = 0; t < PMN_ONNX_WALK_TENSORS; t++) walk->offsets[t] -= walk->strides[t][d] * walk->dims[d];
    walk->at[d] = 0;
  }
}

void pmn_onnx_strides(const int64_t *dims, int32_t rank, int64_t *strides) {
  int64_t stride = 1;
  for (int32_t i = rank - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= dims[i] == 0 ? 1 : dims[i];
  }
}

void pmn_onnx_slice_bounds(int64_t extent, int64_t start, int64_t end, int64_t *step, int64_t *first, int64_t *count) {
  const int64_t far = (int64_t)1 << 30;
  *step = *step > far ? far : *step < -far ? -far : *step;
  int64_t low = *step > 0 ? 0 : -1, high = *step > 0 ? extent : extent - 1;
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  start = start < low ? low : start > high ? high : start;
  end = end < low ? low : end > high ? high : end;
  int64_t span = *step > 0 ? end - start : start - end, stride = *step > 0 ? *step : -*step;
  *first = start;
  *count = span > 0 ? (span - 1) / stride + 1 : 0;
}
