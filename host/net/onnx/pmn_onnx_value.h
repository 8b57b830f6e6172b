/* pmn_onnx_value.h - making constants, and walking through them; inside the importer only.
 *
 * No dimension and no product of dimensions (zeros left out) is above PMN_ONNX_COUNT_MAX, so that strides and offsets
 * of a value never overflow.
 */
#ifndef PMN_ONNX_VALUE_H
#define PMN_ONNX_VALUE_H

#include "pmn_onnx_file.h"

/* "FLOAT", ...; "unknown" for numbers that we have no name of. */
const char *pmn_onnx_type_name(int32_t type);
/* False for types whose values we do not hold. */
bool pmn_onnx_type_known(int32_t type);

/* Bytes in memory of an element of a type whose values we hold. */
size_t pmn_onnx_type_width(pmn_onnx_type type);

/* The number of elements; or what is wrong, for a message: too many dimensions, negative ones, too many elements. */
const char *pmn_onnx_dims_wrong(const int64_t *dims, int32_t rank, size_t *count);
/* A value of `type` with room for its elements, which are not set. The dimensions must not be wrong.
 * PMN_STATUS_NO_MEMORY. */
PMN_MUST_USE pmn_status pmn_onnx_value_create(
    pmn_onnx_type type, const int64_t *dims, int32_t rank, pmn_onnx_value *value, pmn_err *err);
/* Makes every element one that the declared type has: whole numbers wrap, FLOAT16 rounds, BOOL is 0 or 1. */
void pmn_onnx_value_settle(pmn_onnx_value *value);

/* Elements without their type: where they are, and the bytes of each. */
void *pmn_onnx_value_data(const pmn_onnx_value *value);
size_t pmn_onnx_value_width(const pmn_onnx_value *value);
/* One element as a number; whole numbers above 2^53 lose digits. */
double pmn_onnx_value_real(const pmn_onnx_value *value, size_t index);
void pmn_onnx_value_set_real(pmn_onnx_value *value, size_t index, double number);

float pmn_onnx_half(uint16_t bits); /* the number that IEEE 754 binary16 writes so */

/* A walk over all elements of a box in row-major order, with the offsets of up to three tensors along: Transpose, Slice
 * and broadcasting differ only in strides. */
enum { PMN_ONNX_WALK_RANK_MAX = 2 * PMN_ONNX_RANK_MAX, PMN_ONNX_WALK_TENSORS = 3 };
typedef struct pmn_onnx_walk {
  int32_t rank;
  int64_t dims[PMN_ONNX_WALK_RANK_MAX], at[PMN_ONNX_WALK_RANK_MAX];
  int64_t strides[PMN_ONNX_WALK_TENSORS][PMN_ONNX_WALK_RANK_MAX]; /* in elements; 0 repeats, negative runs back */
  int64_t offsets[PMN_ONNX_WALK_TENSORS];                         /* of the present element */
} pmn_onnx_walk;
void pmn_onnx_walk_next(pmn_onnx_walk *walk);
/* One dimension of a slice: where it starts, how many it takes. Positions outside are moved to the ends; a step (not 0)
 * beyond any dimension is as good as one of 2^30, which it becomes. */
void pmn_onnx_slice_bounds(int64_t extent, int64_t start, int64_t end, int64_t *step, int64_t *first, int64_t *count);
/* Row-major strides of a tensor. */
void pmn_onnx_strides(const int64_t *dims, int32_t rank, int64_t *strides);

#endif
