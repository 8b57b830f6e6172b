/* onnx_run.h - a file of any bytes as far as features, if it is small: what all tests of hostile ONNX files do with
 * one. */
#ifndef ONNX_RUN_H
#define ONNX_RUN_H

#include "pmn_err.h"

/* Opens the bytes as a model, builds its network and finishes it; nothing is kept. A small program is computed for one
 * picture by `cpu` and by `ref`: PMN_STATUS_DEVICE if they do not agree. */
pmn_status onnx_run(const void *bytes, size_t size, pmn_err *err);

#endif
